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

/* A new application in `folder`, which is made unless it is there. */
mr_status mr_scaffold_application(struct mr_scaffold *self) MR_WARN_UNUSED;

/*
 * A resource and the migration of its table. A field is NAME:TYPE, behind which may stand :many, :clearable and :unique, the keys
 * of a field that are true then.
 */
mr_status mr_scaffold_resource(struct mr_scaffold *self, const char *name, const char *const *fields,
                               unsigned count) MR_WARN_UNUSED;

/* A migration under the next number, of which only the comment is there. */
mr_status mr_scaffold_migration(struct mr_scaffold *self, const char *name) MR_WARN_UNUSED;

/* A job whose work is a statement. */
mr_status mr_scaffold_job(struct mr_scaffold *self, const char *name) MR_WARN_UNUSED;

/* Words that PostgreSQL takes for names of columns and tables only in quotation marks, in order; ended by NULL. For tests. */
extern const char *const mr_reserved_words[];

#endif
