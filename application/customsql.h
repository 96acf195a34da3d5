/*
 * customsql: an operation's own statement, in the form in which an actor runs it.
 *
 *   wrapped    one statement for a batch: the query stands in the middle of it, LATERAL to the rows of the batch
 *   set-wise   WITH k AS ({{k}}): the rows of the batch are filled in; those of callers who are gone are not among them
 *   row-wise   one message: values in place of the names
 *
 * What the answer shows is what `returns` declares, by name: a column beside it stays here. Every generated alias and column begins
 * with $, or with : where it is a parameter, and statements may not use such names (application/statement.h), so nothing that a
 * statement says can be taken for an ordinal.
 */
#ifndef MR_APPLICATION_CUSTOMSQL_H
#define MR_APPLICATION_CUSTOMSQL_H

#include "application/making.h"
#include "application/statement.h"

/* Where whether the caller is an administrator travels; statements see `role`. */
#define MR_ROLE_FIELD "$admin"

struct mr_custom {
    struct mr_making *making;
    const struct mr_sql *sql;
    const struct mr_field *fields;          /* of the message */
    enum mr_shape shape;                    /* NONE, ONE or MANY */
    const struct mr_app_resource *resource; /* that the answer shows; NULL: `members` of it, or nothing */
    const struct mr_app_fields *members;
};

/* Appends the wrapped form. Out of memory: `out->failed`. */
void mr_custom_wrapped(struct mr_buf *out, const struct mr_custom *self);

/* Appends the set-wise form. The statement has to contain {{k}}. Out of memory: `out->failed`. */
void mr_custom_set_wise(struct mr_buf *out, const struct mr_custom *self);

/* Appends the row-wise form. Out of memory: `out->failed`. */
void mr_custom_row_wise(struct mr_buf *out, const struct mr_custom *self);

/* The field that `:name` means; NULL: none. */
const struct mr_field *mr_custom_field(const struct mr_field *fields, const char *name);

#endif
