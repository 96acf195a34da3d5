/*
 * making: what the makers of operations share while an application is built.
 *
 * A maker (application/create.c and its siblings) turns a declaration into an operation: its row, its fields in the order of the
 * statement's parameters, and the statement. A failed allocation is remembered in the arena; nobody else has to look.
 */
#ifndef MR_APPLICATION_MAKING_H
#define MR_APPLICATION_MAKING_H

#include "application/model.h"
#include "proto/message.h"
#include "sql/sql.h"

/* The longest row of a field table there is while it is made, and the alias of a batch's rows in what is generated. */
#define MR_BATCH "\"$k\""

/* The engine's table of users, as statements of an application name it. */
#define MR_USERS "millrace.app_user"

struct mr_making {
    const struct mr_application *application;
    struct mr_arena *arena;
    struct mr_problems *problems;
    struct mr_op_info *ops;
    unsigned op_count;
    struct mr_way *ways;
    unsigned way_count;
    struct mr_group *groups;
    unsigned group_count;
    struct mr_statement *statements;
    unsigned statement_count;
    const struct mr_result **results; /* by the resource's place; NULL until it is asked for */
};

/* The fields of a message while they are gathered. A zeroed struct has none. */
struct mr_making_fields {
    struct mr_field *items; /* ended by a NULL name, as struct mr_traits has it; NULL while there are none */
    unsigned count;
};

/* ---- Adding ---- */

/* Text in the arena; "" when memory ran out. */
const char *mr_make_text(struct mr_making *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Adds an operation, copied, and the way to it. Its traits and everything they name live in the arena. */
void mr_make_op(struct mr_making *self, const struct mr_op_info *info);

/* Another way to the operation that was added last; `name` is unique. */
void mr_make_way(struct mr_making *self, const char *name, enum mr_verb verb, const char *path);

/* Adds a statement and empties `text`. One in queries/ that has the name takes its place. */
void mr_make_statement(struct mr_making *self, const char *name, struct mr_buf *text);

/* A copy of traits in the arena. */
const struct mr_traits *mr_make_traits(struct mr_making *self, const struct mr_traits *traits);

/* Adds a field to a message. */
void mr_make_field(struct mr_making *self, struct mr_making_fields *fields, struct mr_field field);

/* ---- What declarations mean ---- */

/* public, user or admin. A scope is a problem: there are no keys that could have one yet. */
enum mr_access mr_access_of(struct mr_making *self, const char *word, const struct mr_yaml *node);

/* "/v1/orders/{id}": "/v1/orders/:id". */
const char *mr_path_of(struct mr_making *self, const char *path);

/* A declared field as one of a message, from `from`. Its name, its rules and its documentation; whether it is required is said as
   it was declared. */
struct mr_field mr_field_of(struct mr_making *self, const struct mr_app_field *field, enum mr_source from);

/* The reserved field `caller`: the id of who calls, of an operation that needs a token. */
struct mr_field mr_caller_field(void);

/* What a row of the resource looks like: id, the declared fields with what they embed, createdAt, updatedAt. */
const struct mr_result *mr_result_of(struct mr_making *self, const struct mr_app_resource *resource);

/* The field of that column; NULL when none is declared. */
const struct mr_app_field *mr_field_of_column(const struct mr_app_resource *resource, const char *column);

/* What a column of `other` is called in JSON where it is embedded: as its field there, or the column's own name in camel case. */
const char *mr_embed_name(struct mr_making *self, const struct mr_app_resource *other, const char *column);

/* What a map of fields looks like. */
const struct mr_result *mr_result_of_fields(struct mr_making *self, const char *name, const struct mr_app_fields *fields);

/* ---- SQL ---- */

/* An identifier in quotation marks; a text in apostrophes. */
void mr_sql_name(struct mr_buf *out, const char *name);
void mr_sql_literal(struct mr_buf *out, const char *text);

/* `alias`."name"; both are quoted. */
void mr_sql_column(struct mr_buf *out, const char *alias, const char *name);

/*
 * The SELECT that makes the rows of a batch from the parameters, one row a message: a column for each field, of its SQL type and
 * under its name; behind a clearable one the boolean "NAME?", whether it was given; "$n", the ordinal; and, when the message has the
 * field `caller`, "$caller": their id if they are still there, NULL if not.
 */
void mr_sql_batch(struct mr_buf *out, const struct mr_field *fields);

/* The select list of a row of the resource that stands under `alias`: "t"."id" AS "id", ... Embeds are those of mr_sql_embeds. */
void mr_sql_members(struct mr_buf *out, struct mr_making *self, const struct mr_app_resource *resource, const char *alias);

/*
 * The LEFT JOINs of what the resource embeds. `caller` is an expression for the caller's id, for rows that have an owner: others
 * are as if they were not there; NULL where nobody is signed in.
 */
void mr_sql_embeds(struct mr_buf *out, struct mr_making *self, const struct mr_app_resource *resource, const char *alias,
                   const char *caller);

/* ---- The makers ---- */

void mr_make_create(struct mr_making *self, const struct mr_app_resource *resource);
void mr_make_get(struct mr_making *self, const struct mr_app_resource *resource);
void mr_make_list(struct mr_making *self, const struct mr_app_resource *resource);
void mr_make_update(struct mr_making *self, const struct mr_app_resource *resource);
void mr_make_delete(struct mr_making *self, const struct mr_app_resource *resource);
void mr_make_operation(struct mr_making *self, const struct mr_app_operation *operation);

#endif
