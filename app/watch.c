#include "app/watch.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where no event comes, files are looked at this often. */
enum { IDLE_MS = 1000, PATH_ROOM = 4096 };

static const char *const folders[] = {"resources", "operations", "jobs", "queries", "migrations"};

enum { FOLDERS = sizeof folders / sizeof folders[0] };

struct mr_watch {
    const char *folder;
    int fd;
    int top;            /* the watch of the folder itself */
    uint64_t events;    /* so far; two writes within a tick of the kernel's clock leave a file with one time */
    uint64_t told;      /* the files as they were when a look was last true */
    uint64_t seen;      /* as the last look found them */
    int64_t changed_ms; /* when they first were others than `told`; -1: they are not */
    int64_t still_ms;   /* since when they are as `seen` */
    bool has_told;
};

mr_status mr_watch_new(struct mr_watch **out, const char *folder)
{
    struct mr_watch *self = calloc(1, sizeof *self);

    if (self == NULL)
        return MR_NO_MEMORY;
    self->folder = folder;
    self->changed_ms = -1;
    self->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (self->fd < 0) {
        free(self);
        return MR_UNAVAILABLE;
    }
    *out = self;
    return MR_OK;
}

void mr_watch_destroy(struct mr_watch **self)
{
    if (*self == NULL)
        return;
    close((*self)->fd);
    free(*self);
    *self = NULL;
}

int mr_watch_fd(const struct mr_watch *self)
{
    return self->fd;
}

/* ---- What the files are ---- */

static uint64_t mix(uint64_t hash, const void *data, size_t length)
{
    const unsigned char *bytes = data;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    return hash;
}

/* A number that is another one when the file is: it was replaced, written to or given another name. 0: there is none. */
static uint64_t print_of(const char *path, const char *name)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    struct stat about;

    if (stat(path, &about) != 0)
        return 0;
    hash = mix(hash, name, strlen(name));
    hash = mix(hash, &about.st_dev, sizeof about.st_dev);
    hash = mix(hash, &about.st_ino, sizeof about.st_ino);
    hash = mix(hash, &about.st_size, sizeof about.st_size);
    hash = mix(hash, &about.st_mtim, sizeof about.st_mtim);
    return mix(hash, &about.st_ctim, sizeof about.st_ctim);
}

/* Hidden files and copies of editors are none of the application's. */
static bool counts(const char *name)
{
    return name[0] != '.' && name[strlen(name) - 1] != '~';
}

/* The sum over the files of a folder, so that their order does not matter. */
static uint64_t print_below(const struct mr_watch *self, const char *below)
{
    char path[PATH_ROOM];
    uint64_t sum = 0;
    struct dirent *entry;
    DIR *open_folder;

    snprintf(path, sizeof path, "%s/%s", self->folder, below);
    open_folder = opendir(path);
    if (open_folder == NULL)
        return 0;
    while ((entry = readdir(open_folder)) != NULL)
        if (counts(entry->d_name)) {
            char name[2 * NAME_MAX];

            snprintf(name, sizeof name, "%s/%s", below, entry->d_name);
            snprintf(path, sizeof path, "%s/%s", self->folder, name);
            sum += print_of(path, name);
        }
    closedir(open_folder);
    return sum;
}

static uint64_t print_all(const struct mr_watch *self)
{
    char path[PATH_ROOM];
    uint64_t sum;

    snprintf(path, sizeof path, "%s/millrace.yaml", self->folder);
    sum = print_of(path, "millrace.yaml");
    for (int i = 0; i < FOLDERS; i++)
        sum += print_below(self, folders[i]);
    return sum;
}

/* ---- When to look ---- */

/* Of the folder itself, and of those below that are there. To watch one that is watched already changes nothing. */
static void watch_folders(struct mr_watch *self)
{
    const uint32_t events = IN_CLOSE_WRITE | IN_MODIFY | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_ONLYDIR;
    char path[PATH_ROOM];

    self->top = inotify_add_watch(self->fd, self->folder, events);
    for (int i = 0; i < FOLDERS; i++) {
        snprintf(path, sizeof path, "%s/%s", self->folder, folders[i]);
        (void)inotify_add_watch(self->fd, path, events); /* one that is missing appears in the folder above */
    }
}

static bool is_of_application(const struct mr_watch *self, const struct inotify_event *event)
{
    bool is_known = event->len > 0 && strcmp(event->name, "millrace.yaml") == 0;

    if (event->wd != self->top || event->len == 0)
        return event->len > 0 && counts(event->name);
    for (int i = 0; i < FOLDERS; i++)
        is_known = is_known || strcmp(event->name, folders[i]) == 0;
    return is_known;
}

/* That some were lost does not matter: the files are looked at in any case. */
static void drain(struct mr_watch *self)
{
    char events[16 * 1024] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t got;

    while ((got = read(self->fd, events, sizeof events)) > 0)
        for (ssize_t at = 0; at < got;) {
            const struct inotify_event *event = (const void *)(events + at);

            self->events += is_of_application(self, event);
            at += (ssize_t)(sizeof *event + event->len);
        }
}

bool mr_watch_look(struct mr_watch *self, int64_t now_ms)
{
    uint64_t seen;

    drain(self);
    watch_folders(self);
    seen = print_all(self) + self->events;
    if (!self->has_told) {
        self->has_told = true;
        self->told = self->seen = seen;
        return true;
    }
    if (seen != self->seen)
        self->still_ms = now_ms;
    self->seen = seen;
    if (seen == self->told) {
        self->changed_ms = -1;
        return false;
    }
    if (self->changed_ms < 0)
        self->changed_ms = now_ms;
    if (now_ms - self->still_ms < MR_WATCH_QUIET_MS && now_ms - self->changed_ms < MR_WATCH_LONGEST_MS)
        return false;
    self->told = seen;
    self->changed_ms = -1;
    return true;
}

int mr_watch_timeout_ms(const struct mr_watch *self, int64_t now_ms)
{
    int64_t left = IDLE_MS;

    if (self->changed_ms >= 0)
        left = self->still_ms + MR_WATCH_QUIET_MS - now_ms;
    return left < 1 ? 1 : left > IDLE_MS ? IDLE_MS : (int)left;
}
