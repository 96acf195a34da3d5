/*
 * draft: files that are added to an application's folder, all of them or none.
 *
 * A file that is there is never overwritten; what does not load with the others is taken away again.
 */
#ifndef MR_APPLICATION_DRAFT_H
#define MR_APPLICATION_DRAFT_H

#include "application/keys.h"
#include "application/scaffold.h"

enum { MR_DRAFTS_MAX = 2, MR_PATH_ROOM = 4096, MR_NAME_LENGTH = 63 }; /* of a name, as PostgreSQL has it */

/* A file to write, or one that has been written. */
struct mr_draft {
    char name[2 * MR_WORD_ROOM]; /* below the folder */
    struct mr_buf text;
    bool is_written;
};

struct mr_drafts {
    struct mr_draft items[MR_DRAFTS_MAX];
    unsigned count;
};

/* The buffer for the text of a new file FOLDER NAME EXTENSION, e.g. "jobs/" "night" ".yaml". Borrowed. At most MR_DRAFTS_MAX. */
struct mr_buf *mr_draft_file(struct mr_drafts *self, const char *folder, const char *name, const char *extension);

/* As mr_draft_file, for the application's next migration: "migrations/0003_" and as much of the name as fits. */
struct mr_buf *mr_draft_migration(struct mr_drafts *self, const struct mr_application *application, const char *name);

/* Makes the folder `path` unless it exists. */
mr_status mr_draft_make_folder(struct mr_scaffold *self, const char *path) MR_WARN_UNUSED;

/* Loads the application as it is; the caller destroys it. Nothing can be added to an application that does not load. */
mr_status mr_drafts_load_first(struct mr_scaffold *self, struct mr_application **out) MR_WARN_UNUSED;

/* Writes the files and loads the application with them. If that fails, removes them again. Frees the texts. */
mr_status mr_drafts_write(struct mr_scaffold *self, struct mr_drafts *drafts) MR_WARN_UNUSED;

/* Checks that `name` can name a `what`. MR_INVALID: it cannot, and a problem is added. */
mr_status mr_draft_check_name(struct mr_scaffold *self, const char *what, const char *name) MR_WARN_UNUSED;

#endif
