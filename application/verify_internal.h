/*
 * verify_internal: what the files of verify share.
 *
 *   verify.c             the order of things
 *   verify_migrations.c  migrations, and where one went wrong
 *   verify_tables.c      a resource and its table
 *   verify_column.c      a field and its column
 *   verify_indexes.c     what lists need
 */
#ifndef MR_APPLICATION_VERIFY_INTERNAL_H
#define MR_APPLICATION_VERIFY_INTERNAL_H

#include "application/verify.h"

enum { VERIFY_STATEMENT_MS = 60000 };

struct verifying {
    const struct mr_application *application;
    const struct mr_verify_options *options;
    struct mr_problems *problems;
    struct mr_catalogue catalogue;
};

#define complain(self, place, ...) mr_problems_add((self)->problems, place, __VA_ARGS__)

/* MR_INVALID: one failed, and is a problem. */
mr_status verify_migrations(struct verifying *self) MR_WARN_UNUSED;

void verify_table(struct verifying *self, const struct mr_app_resource *resource);

/* Whether the indexes that its lists need are there; of all resources in one statement. */
mr_status verify_indexes(struct verifying *self) MR_WARN_UNUSED;

/* "the column "x"..." where a field stands: its "column", or its name. */
struct mr_place verify_field_place(const struct mr_app_field *field);

/* The column of a field by its name in JSON, also of one that every resource has. */
const char *verify_column_name(const struct mr_app_resource *resource, const char *name);

/* When the database may keep a statement no longer (monotonic). */
int64_t verify_deadline(void);

#endif
