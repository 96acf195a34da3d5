#include "tests/support/folder.h"

#include <errno.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/message.h"
#include "tests/support/test.h"

static const char *const kinds[] = {"resources", "operations", "jobs", "queries", "migrations"};

void folder_make_bare(struct folder *self)
{
    snprintf(self->path, sizeof self->path, "/tmp/millrace-folder-XXXXXX");
    if (mkdtemp(self->path) == NULL)
        fail_test("%s: %s", self->path, strerror(errno));
}

void folder_make(struct folder *self)
{
    folder_make_bare(self);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        folder_add(self, kinds[i]);
    folder_write(self, "millrace.yaml", "title: Test\n");
}

void folder_add(const struct folder *self, const char *name)
{
    char path[256];

    snprintf(path, sizeof path, "%s/%s", self->path, name);
    if (mkdir(path, 0700) != 0)
        fail_test("%s: %s", path, strerror(errno));
}

static int remove_entry(const char *path, const struct stat *about, int kind, struct FTW *walk)
{
    (void)about;
    (void)kind;
    (void)walk;
    return remove(path);
}

void folder_remove(struct folder *self)
{
    if (self->path[0] != '\0')
        nftw(self->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    self->path[0] = '\0';
}

void folder_write(const struct folder *self, const char *name, const char *text)
{
    char path[256];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", self->path, name);
    file = fopen(path, "w");
    if (file == NULL)
        fail_test("%s: %s", path, strerror(errno));
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

struct mr_application *folder_load(const char *path, struct mr_problems *problems)
{
    static const struct mr_application_options options = {.keep_broken = true};
    struct mr_application *out = NULL;
    mr_status status = mr_application_load(&out, path, &options, problems);

    if (out == NULL)
        fail_test("%s: %s", path, mr_status_name(status));
    return out;
}

void read_file(const char *path, struct mr_buf *out)
{
    char piece[4096];
    FILE *file = fopen(path, "r");
    size_t got;

    if (file == NULL)
        fail_test("%s: %s", path, strerror(errno));
    while ((got = fread(piece, 1, sizeof piece, file)) > 0)
        mr_buf_append(out, piece, got);
    fclose(file);
    assert_false(out->failed);
}
