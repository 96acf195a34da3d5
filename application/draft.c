#include "application/draft.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "application/check.h"
#include "application/read.h"

/* ---- Files ---- */

static void path_of(char out[MR_PATH_ROOM], const struct mr_scaffold *self, const char *name)
{
    snprintf(out, MR_PATH_ROOM, "%s/%s", self->folder, name);
}

struct mr_buf *mr_draft_file(struct mr_drafts *self, const char *folder, const char *name, const char *extension)
{
    struct mr_draft *file = &self->items[self->count++];

    snprintf(file->name, sizeof file->name, "%s%s%s", folder, name, extension);
    return &file->text;
}

static mr_status file_system_refused(struct mr_scaffold *self, const char *path)
{
    bool is_there = errno == EEXIST;

    mr_buf_printf(self->problem, "%s: %s\n", path, is_there ? "it is there already, and is left as it is" : strerror(errno));
    return is_there ? MR_INVALID : MR_INTERNAL;
}

mr_status mr_draft_make_folder(struct mr_scaffold *self, const char *path)
{
    return mkdir(path, 0777) == 0 || errno == EEXIST ? MR_OK : file_system_refused(self, path);
}

/* The folder of a file, unless it is there. */
static mr_status make_folder_of(struct mr_scaffold *self, const char *file)
{
    char path[MR_PATH_ROOM];
    char *slash;

    path_of(path, self, file);
    slash = strrchr(path, '/');
    *slash = '\0';
    return mr_draft_make_folder(self, path);
}

static bool write_all(int fd, struct mr_slice text)
{
    while (text.len > 0) {
        ssize_t done = write(fd, text.data, text.len);

        if (done < 0 && errno != EINTR)
            return false;
        if (done > 0)
            text = (struct mr_slice){text.data + done, text.len - (size_t)done};
    }
    return true;
}

static mr_status write_draft(struct mr_scaffold *self, struct mr_draft *file)
{
    char path[MR_PATH_ROOM];
    mr_status status = file->text.failed ? MR_NO_MEMORY : make_folder_of(self, file->name);
    int fd;

    if (status != MR_OK)
        return status;
    path_of(path, self, file->name);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return file_system_refused(self, path);
    file->is_written = true;
    if (!write_all(fd, (struct mr_slice){file->text.data, file->text.len}))
        status = file_system_refused(self, path);
    if (close(fd) != 0 && status == MR_OK)
        status = file_system_refused(self, path);
    return status;
}

static void take_back(struct mr_scaffold *self, struct mr_drafts *drafts)
{
    char path[MR_PATH_ROOM];

    for (unsigned i = 0; i < drafts->count; i++)
        if (drafts->items[i].is_written) {
            path_of(path, self, drafts->items[i].name);
            unlink(path);
        }
}

/* ---- Before and after ---- */

static mr_status load(struct mr_scaffold *self, struct mr_application **out)
{
    struct mr_problems problems = {0};
    mr_status status = mr_application_load(out, self->folder, self->options, &problems);

    mr_problems_print(&problems, self->problem);
    mr_problems_fini(&problems);
    return status;
}

mr_status mr_drafts_load_first(struct mr_scaffold *self, struct mr_application **out)
{
    char path[MR_PATH_ROOM];
    mr_status status;

    path_of(path, self, "millrace.yaml");
    if (access(path, F_OK) != 0) {
        mr_buf_printf(self->problem, "%s: %s; an application's folder has a millrace.yaml: `millrace new app DIR` makes one\n",
                      path, strerror(errno));
        return MR_INVALID;
    }
    status = load(self, out);
    if (status == MR_INVALID)
        mr_buf_text(self->problem, "nothing was written: the application has to be right first\n");
    return status;
}

mr_status mr_drafts_write(struct mr_scaffold *self, struct mr_drafts *drafts)
{
    struct mr_application *application = NULL;
    mr_status status = MR_OK;

    for (unsigned i = 0; status == MR_OK && i < drafts->count; i++)
        status = write_draft(self, &drafts->items[i]);
    if (status == MR_OK)
        status = load(self, &application);
    mr_application_destroy(&application);
    if (status != MR_OK)
        take_back(self, drafts);
    for (unsigned i = 0; i < drafts->count; i++) {
        if (status == MR_OK)
            mr_buf_printf(self->told, "wrote %s/%s\n", self->folder, drafts->items[i].name);
        mr_buf_fini(&drafts->items[i].text);
    }
    return status;
}

mr_status mr_draft_check_name(struct mr_scaffold *self, const char *what, const char *name)
{
    char quote[MR_QUOTE_ROOM];

    if (mr_is_word(name))
        return MR_OK;
    mr_buf_printf(self->problem, "%s is not a name of a %s, expected a-z, 0-9 and _, beginning with a letter\n",
                  mr_quote(quote, name), what);
    return MR_INVALID;
}

struct mr_buf *mr_draft_migration(struct mr_drafts *self, const struct mr_application *application, const char *name)
{
    char folder[32];
    char part[MR_NAME_LENGTH + 1];

    snprintf(folder, sizeof folder, "migrations/%04u_", application->migration_count + 1);
    snprintf(part, sizeof part, "%.*s", MR_NAME_LENGTH - 5, name);
    return mr_draft_file(self, folder, part, ".sql");
}
