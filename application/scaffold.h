/*
 * scaffold: writes the first version of an application's files, for people to continue from.
 *
 * The files load and pass `millrace check`: a resource's file and the migration that makes its table agree. An existing file is
 * never overwritten, and a failed call leaves nothing behind.
 *
 * `told` gets a line for each file that was written, and what to do next; `problem` the reasons of a failure, in lines. Both are
 * the caller's. MR_INVALID: what was asked for cannot be; MR_INTERNAL: the file system refused; MR_NO_MEMORY.
 */
#ifndef MR_APPLICATION_SCAFFOLD_H
#define MR_APPLICATION_SCAFFOLD_H

#include "application/load.h"

struct mr_scaffold {
    const char *folder; /* the application's */
    const struct mr_application_options *options;
    struct mr_buf *told;
    struct mr_buf *problem;
};

/* Writes a new application into `folder`, which is made if it does not exist. */
mr_status mr_scaffold_application(struct mr_scaffold *self) MR_WARN_UNUSED;

/*
 * Writes a resource and the migration of its table. A field is NAME:TYPE, optionally followed by :many, :clearable and :unique,
 * which set the keys of these names.
 */
mr_status mr_scaffold_resource(struct mr_scaffold *self, const char *name, const char *const *fields,
                               unsigned count) MR_WARN_UNUSED;

/* Writes a migration with the next number, which contains only a comment. */
mr_status mr_scaffold_migration(struct mr_scaffold *self, const char *name) MR_WARN_UNUSED;

/* Writes a job whose work is a statement. */
mr_status mr_scaffold_job(struct mr_scaffold *self, const char *name) MR_WARN_UNUSED;

/* Words that PostgreSQL takes for names of columns and tables only in quotation marks, in order; ended by NULL. For tests. */
extern const char *const mr_reserved_words[];

#endif
