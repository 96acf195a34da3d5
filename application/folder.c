#include "application/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* "PATH/NAME" in the arena. */
static char *join(struct mr_arena *arena, const char *path, const char *name)
{
    size_t room = strlen(path) + strlen(name) + 2;
    char *out = mr_arena_take(arena, room);

    if (out != NULL)
        snprintf(out, room, "%s/%s", path, name);
    return out;
}

static void refuse(struct mr_folder *self, const char *name, const char *what, const char *expected)
{
    mr_problems_add(self->problems, (struct mr_place){.file = name}, "%s, expected %s", what, expected);
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text);

    return length > strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

static bool is_ignored(const char *name)
{
    return name[0] == '.' || ends_with(name, "~") || ends_with(name, ".md");
}

static bool add_name(struct mr_folder *self, const char *below, const char *extension, const char *name,
                     struct mr_folder_files *out)
{
    char *path;
    const char **names;

    if (is_ignored(name))
        return true;
    path = join(self->arena, below, name);
    if (path == NULL)
        return false;
    if (!ends_with(name, extension)) {
        mr_problems_add(self->problems, (struct mr_place){.file = path},
                        "not a file of this folder, expected a name that ends in %s", extension);
        return true;
    }
    if (self->files == MR_FOLDER_FILES) {
        mr_problems_add(self->problems, (struct mr_place){.file = below},
                        "the application has more than %d files, expected fewer", MR_FOLDER_FILES);
        return false;
    }
    names = mr_arena_grow(self->arena, out->names, out->count, sizeof *out->names);
    if (names == NULL)
        return false;
    self->files++;
    out->names = names;
    out->names[out->count++] = path;
    return true;
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static void list_packed(struct mr_folder *self, const char *below, const char *extension, struct mr_folder_files *out)
{
    size_t length = strlen(below);

    for (unsigned i = 0; i < self->packed->count; i++) {
        const char *name = self->packed->files[i].name;

        if (strncmp(name, below, length) == 0 && name[length] == '/' &&
            !add_name(self, below, extension, name + length + 1, out))
            return;
    }
}

static void list_below(struct mr_folder *self, const char *below, const char *extension, struct mr_folder_files *out)
{
    const char *path = join(self->arena, self->path, below);
    DIR *directory = path != NULL ? opendir(path) : NULL;
    const struct dirent *entry;

    if (directory == NULL) {
        if (path != NULL && errno != ENOENT)
            refuse(self, below, strerror(errno), "a folder that can be read");
        return;
    }
    while ((entry = readdir(directory)) != NULL) /* a stream of this function's own */
        if (!add_name(self, below, extension, entry->d_name, out))
            break;
    closedir(directory);
}

void mr_folder_list(struct mr_folder *self, const char *below, const char *extension, struct mr_folder_files *out)
{
    *out = (struct mr_folder_files){0};
    if (self->packed != NULL)
        list_packed(self, below, extension, out);
    else
        list_below(self, below, extension, out);
    if (out->count > 0)
        qsort(out->names, out->count, sizeof *out->names, compare_names);
}

/* What a file that grows meanwhile has beside its size is left for the next time. */
static bool read_all(int file, char *data, size_t room, size_t *length)
{
    *length = 0;
    while (*length < room) {
        ssize_t got = read(file, data + *length, room - *length);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return false;
        if (got == 0)
            break;
        *length += (size_t)got;
    }
    return true;
}

static bool check_size(struct mr_folder *self, const char *name, off_t size)
{
    if (size > MR_FOLDER_FILE_BYTES) {
        mr_problems_add(self->problems, (struct mr_place){.file = name}, "the file has %lld bytes, expected %d at most",
                        (long long)size, MR_FOLDER_FILE_BYTES);
        return false;
    }
    if ((size_t)size > MR_FOLDER_BYTES - self->bytes) {
        mr_problems_add(self->problems, (struct mr_place){.file = name}, "the files together pass %d bytes, expected fewer",
                        MR_FOLDER_BYTES);
        return false;
    }
    return true;
}

static bool read_open(struct mr_folder *self, const char *name, int file, struct mr_slice *out)
{
    struct stat about;
    char *data;
    size_t length;

    if (fstat(file, &about) != 0) {
        refuse(self, name, strerror(errno), "a file that can be read");
        return false;
    }
    if (!S_ISREG(about.st_mode)) {
        refuse(self, name, S_ISDIR(about.st_mode) ? "a folder" : "neither a file nor a folder", "a file");
        return false;
    }
    if (!check_size(self, name, about.st_size))
        return false;
    data = mr_arena_take(self->arena, (size_t)about.st_size + 1);
    if (data == NULL)
        return false;
    if (!read_all(file, data, (size_t)about.st_size, &length)) {
        refuse(self, name, strerror(errno), "a file that can be read");
        return false;
    }
    self->bytes += length;
    *out = (struct mr_slice){data, length};
    return true;
}

static bool read_packed(struct mr_folder *self, const char *name, struct mr_slice *out)
{
    const struct mr_packed_file *file = self->packed->files;
    const struct mr_packed_file *end = file + self->packed->count;

    while (file < end && strcmp(file->name, name) != 0)
        file++;
    if (file == end) {
        refuse(self, name, "there is no such file", "a file that can be read");
        return false;
    }
    *out = mr_slice_of(file->text);
    if (!check_size(self, name, (off_t)out->len))
        return false;
    self->bytes += out->len;
    return true;
}

static bool read_below(struct mr_folder *self, const char *name, struct mr_slice *out)
{
    const char *path = join(self->arena, self->path, name);
    int file;
    bool good;

    if (path == NULL)
        return false;
    file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0) {
        refuse(self, name, errno == ENOENT ? "there is no such file" : strerror(errno), "a file that can be read");
        return false;
    }
    good = read_open(self, name, file, out);
    close(file);
    return good;
}

bool mr_folder_read(struct mr_folder *self, const char *name, struct mr_slice *out)
{
    return self->packed != NULL ? read_packed(self, name, out) : read_below(self, name, out);
}
