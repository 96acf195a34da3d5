/*
 * load: reads an application's folder, completely or not at all.
 *
 *     millrace.yaml  resources/NAME.yaml  operations/NAME.yaml  jobs/NAME.yaml  queries/NAME.sql  migrations/NNNN_NAME.sql
 *
 * It checks everything that needs no database: the files, their keys and values, their references to each other, and that no
 * route or name exists twice, including the engine's. It reports all problems at once.
 *
 * Thread: any; nothing is shared. A load opens files and allocates; what it returns is read-only.
 */
#ifndef MR_APPLICATION_LOAD_H
#define MR_APPLICATION_LOAD_H

#include "application/model.h"
#include "proto/status.h"

enum { MR_APPLICATION_MEMORY = 256 * 1024 * 1024, MR_VARIABLES_MAX = 500, MR_STATEMENTS_MAX = 10000, MR_MIGRATIONS_MAX = 2000 };

struct mr_packed;

struct mr_application_options {
    const struct mr_packed *packed;          /* what is in the binary, in place of a folder; NULL: the folder */
    const char *(*lookup)(const char *name); /* value of an environment variable, NULL when it is not set; NULL: none is set */
    bool
        keep_broken; /* `out` is filled with MR_INVALID, too: what has a problem is zeroed there, and nothing may serve from it */
};

/*
 * Loads a folder, or an application packed into the binary, whose problems begin with its name. MR_OK: the caller destroys
 * `out`. MR_INVALID: `problems` says why, and `out` is untouched, unless `keep_broken` asks for what could be read.
 * MR_NO_MEMORY: it needs more than there is, or than MR_APPLICATION_MEMORY.
 */
mr_status mr_application_load(struct mr_application **out, const char *folder, const struct mr_application_options *options,
                              struct mr_problems *problems) MR_WARN_UNUSED;

/* Frees it, and all that was borrowed from it, and sets the caller's pointer to NULL. Accepts NULL. */
void mr_application_destroy(struct mr_application **self);

/* A single file of a kind, read as in a folder, except for its references to other files. */
enum mr_file_kind { MR_FILE_APPLICATION, MR_FILE_RESOURCE, MR_FILE_OPERATIONS, MR_FILE_JOBS, MR_FILE_KIND_COUNT };

/* "application", "resource", "operations", "jobs"; "" for another number. */
const char *mr_file_kind_name(int kind);

/*
 * Reads one file's text: MR_OK, MR_INVALID with problems added, or MR_NO_MEMORY. References to other files are not checked.
 */
mr_status mr_application_read_file(enum mr_file_kind kind, const char *file, struct mr_slice text,
                                   const struct mr_application_options *options, struct mr_problems *problems) MR_WARN_UNUSED;

#endif
