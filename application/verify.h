/*
 * verify: compares an application with a database that its migrations have made.
 *
 * It checks what the loader cannot know: whether each table and column exists, with a type that takes every value that the
 * declaration allows, and whether unique fields and lists have their indexes. Bounds are proven and not tried: a value that a
 * column refuses (22001, 22003, 22P02, a domain's CHECK) comes back without the column's name, and nobody could tell the client
 * which field it was.
 *
 * The database is one that nobody else uses (app/scratch.h): migrations are applied to it.
 */
#ifndef MR_APPLICATION_VERIFY_H
#define MR_APPLICATION_VERIFY_H

#include "application/catalogue.h"
#include "application/model.h"

struct mr_built;

struct mr_verify_options {
    mr_db *db;                       /* set up as actors' connections are; borrowed */
    const struct mr_built *built;    /* what it became; NULL: it could not be built */
    bool (*is_over)(void *argument); /* asked some times a second: whether to give up */
    void *argument;
};

/*
 * Applies the application's migrations and compares the application with the result; every problem is added. Parts that the
 * loader had problems with (struct mr_application_options, keep_broken) are skipped. Not MR_OK: the database failed, which is no
 * problem of the application, and mr_db_last_error() says how; MR_TIMEOUT also when `is_over` said so.
 */
mr_status mr_verify(const struct mr_application *application, const struct mr_verify_options *options,
                    struct mr_problems *problems) MR_WARN_UNUSED;

/* Checks that the column fits its field: the type, and everything the field allows. Adds problems. */
void mr_verify_column(const struct mr_app_field *field, const struct mr_sql_column *column, struct mr_problems *problems);

#endif
