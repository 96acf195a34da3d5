/*
 * verify_internal: what the files of verify share.
 *
 *   verify.c             the order of things
 *   verify_migrations.c  migrations, and where one went wrong
 *   verify_tables.c      a resource and its table
 *   verify_column.c      a field and its column
 *   verify_indexes.c     what lists need
 *   verify_plans.c       whether an index serves it
 *   verify_statements.c  statements of queries/
 *   verify_generated.c   those that were made
 *   verify_answer.c      what a statement answers
 */
#ifndef MR_APPLICATION_VERIFY_INTERNAL_H
#define MR_APPLICATION_VERIFY_INTERNAL_H

#include "application/verify.h"
#include "proto/result.h"

enum { VERIFY_STATEMENT_MS = 60000 };

struct verifying {
    const struct mr_application *application;
    const struct mr_verify_options *options;
    struct mr_problems *problems;
    struct mr_catalogue catalogue;
};

#define complain(self, place, ...) mr_problems_add((self)->problems, place, __VA_ARGS__)

/* Applies the migrations. MR_INVALID: one failed, and a problem is added. */
mr_status verify_migrations(struct verifying *self) MR_WARN_UNUSED;

/* Compares the columns of a resource's table with its fields. Adds a problem for each that does not fit. */
void verify_table(struct verifying *self, const struct mr_app_resource *resource);

/* Checks that the indexes for the lists exist, for all resources in one statement. Adds problems. */
mr_status verify_indexes(struct verifying *self) MR_WARN_UNUSED;

/* The place of a field for a problem about its column: its key `column`, or its name. */
struct mr_place verify_field_place(const struct mr_app_field *field);

/* The column of a field, given its JSON name; also for the fields that every resource has. */
const char *verify_column_name(const struct mr_app_resource *resource, const char *name);

/*
 * The place of a character of `text`, which begins at `begin`: of the one at `end` or, if `end` is NULL, of the one at a
 * position that counts characters from 1, as the server does.
 */
struct mr_place verify_place_at(struct mr_place begin, const char *text, const char *end, unsigned position);

/* Whether the last failure is the server's verdict on the SQL, and not trouble of the server itself. */
bool verify_is_refusal(const struct verifying *self);

/* Checks the statements that operations and jobs name. Adds problems. */
mr_status verify_statements(struct verifying *self) MR_WARN_UNUSED;

/* Compares the columns of a statement's answer with what `returns` declares. Adds problems. */
mr_status verify_answer(struct verifying *self, const struct mr_app_statement *source, const struct mr_app_returns *returns,
                        const mr_rows *columns) MR_WARN_UNUSED;

/* Prepares the statements that would serve the application (options->built). Adds problems. */
mr_status verify_generated(struct verifying *self) MR_WARN_UNUSED;

/* As verify_answer, for a generated statement and the result that the document describes. */
mr_status verify_result(struct verifying *self, const char *statement, struct mr_place place, const struct mr_result *result,
                        const mr_rows *columns) MR_WARN_UNUSED;

/* OIDs of types, as pg_type.dat has them. */
enum { VERIFY_TEXT = 25, VERIFY_TIMESTAMPTZ = 1184, VERIFY_UUID = 2950 };

/* The declared type that corresponds to a type of messages. */
enum mr_app_type verify_app_type(enum mr_type type);

/* The OID of the SQL type of a declared field. */
uint32_t verify_type_id(const struct mr_app_field *field);

/* The name of the SQL type of a declared field. Static. */
const char *verify_type_name(const struct mr_app_field *field);

/* The moment (monotonic) until which the database may work on a statement. */
int64_t verify_deadline(void);

#endif
