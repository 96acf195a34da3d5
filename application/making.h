/*
 * making: what the makers of operations share while an application is built.
 *
 * A maker (application/create.c and its siblings) turns a declaration into an operation: its row, its fields in the order of the
 * statement's parameters, and the statement. The arena remembers a failed allocation, so nobody else has to check.
 */
#ifndef MR_APPLICATION_MAKING_H
#define MR_APPLICATION_MAKING_H

#include "application/access.h"
#include "application/model.h"
#include "proto/jobs.h"
#include "proto/message.h"
#include "proto/pattern.h"
#include "runtime/needs.h"
#include "sql/sql.h"

/* The longest row of a field table there is while it is made, and the alias of a batch's rows in what is generated. */
#define MR_BATCH "\"$k\""

/*
 * Joins each message of a batch with what the statement did for it, of which there is no more. An actor's session plans no join by hash
 * or merge if there is another way (runtime/db_session.c), and the other way reads all of it again for each message. A full join has
 * only these two; what it joins has nothing that no message asked for.
 */
#define MR_JOIN_EACH " FULL JOIN "

/* The engine's tables, as statements of an application name them: users, and the first answers to an Idempotency-Key. */
#define MR_USERS       "millrace.app_user"
#define MR_IDEMPOTENCY "millrace.idempotency_key"

struct mr_choice;

/* Writes one of very many statements each time it is needed; its data follows this struct. Any thread. */
struct mr_writing {
    void (*write)(const struct mr_writing *self, unsigned which, struct mr_buf *out);
};

/* A statement, with its text or the function that writes it. */
struct mr_made {
    struct mr_statement statement;
    const struct mr_writing *writing;
    unsigned which;
};

/* A map of fields that an operation answers with. */
struct mr_made_map {
    const char *operation;
    struct mr_result *result;
    bool is_shared; /* another answers with the same */
};

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
    struct mr_made *statements; /* on the heap: it grows long, and becomes a shorter table in the end */
    unsigned statement_count;
    unsigned statement_room;
    const char **job_texts; /* of those that are jobs' */
    unsigned job_text_count;
    struct mr_choice *choices; /* application/choice.h */
    unsigned choice_count;
    struct mr_pattern **patterns; /* those of fields; each is to be destroyed */
    unsigned pattern_count;
    struct mr_job_info *jobs;
    unsigned job_count;
    struct mr_job_kind *kinds;
    unsigned kind_count;
    struct mr_job_addition *additions; /* to jobs of the engine's */
    unsigned addition_count;
    struct mr_table_need *needs; /* of its tables */
    unsigned need_count;
    struct mr_function_need *function_needs; /* and functions */
    unsigned function_need_count;
    const struct mr_result **results; /* by the resource's place; NULL until first needed */
    struct mr_made_map *maps;         /* what operations answer that name no resource */
    unsigned map_count;
};

/* The fields of a message while they are gathered, on the heap until mr_make_fields takes them. A zeroed struct has none. */
struct mr_making_fields {
    struct mr_field *items;
    unsigned count;
    unsigned room;
};

/* ---- Adding ---- */

/* Formats a text into the arena; "" if there is no memory. */
const char *mr_make_text(struct mr_making *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A name in people's words: "basket item" for "basket_item". */
const char *mr_words_of(struct mr_making *self, const char *name);

/* Adds a copy of an operation without a route. False: no memory. */
bool mr_make_row(struct mr_making *self, const struct mr_op_info *info);

/* Adds a copy of an operation, and its route. Its traits, and everything they point to, have to live in the arena. */
void mr_make_op(struct mr_making *self, const struct mr_op_info *info);

/* Adds another route to the operation that was added last; `name` has to be unique. */
void mr_make_way(struct mr_making *self, const char *name, enum mr_verb verb, const char *path);

/* Adds a statement and empties `text`. A statement of queries/ with the same name takes precedence. */
void mr_make_statement(struct mr_making *self, const char *name, struct mr_buf *text);

/* As mr_make_statement, for a statement of a job, whose text says what the job needs of the database (mr_built_read_jobs). */
void mr_make_job_statement(struct mr_making *self, const char *name, struct mr_buf *text);

/* Adds a statement that `writing` writes, as its `which`, when somebody asks for its text. `writing` lives in the arena. */
void mr_make_written(struct mr_making *self, const char *name, const struct mr_writing *writing, unsigned which);

/* Whether a statement of that name exists already. */
bool mr_has_statement(const struct mr_making *self, const char *name);

/* Copies traits into the arena. */
const struct mr_traits *mr_make_traits(struct mr_making *self, const struct mr_traits *traits);

struct mr_sql;

/* Adds what the generated operations of a resource need of the database. */
void mr_make_needs(struct mr_making *self, const struct mr_app_resource *resource);

/* Adds the tables and functions that a statement of queries/ uses. `sql` is borrowed. */
void mr_make_needs_of(struct mr_making *self, const struct mr_sql *sql, enum mr_db_use use);

/* As mr_make_needs_of, for the final text of a statement. Adds nothing if it does not parse: the server will report that. */
void mr_make_needs_of_text(struct mr_making *self, const char *text, enum mr_db_use use);

/*
 * Moves the gathered fields into the arena, ended by a NULL name, and empties `fields`. NULL: no memory. Call it even after a
 * failure, because it frees `fields`.
 */
const struct mr_field *mr_make_fields(struct mr_making *self, struct mr_making_fields *fields);

/* Adds a field to a message. */
void mr_make_field(struct mr_making *self, struct mr_making_fields *fields, struct mr_field field);

/* ---- What declarations mean ---- */

/* Converts "/v1/orders/{id}" to "/v1/orders/:id". */
const char *mr_path_of(struct mr_making *self, const char *path);

/*
 * A declared field as a field of a message that reads it from `from`, with its name, rules and documentation. Whether it is
 * required is taken from the declaration.
 */
struct mr_field mr_field_of(struct mr_making *self, const struct mr_app_field *field, enum mr_source from);

/* An id, for the documentation. */
#define MR_EXAMPLE_ID "0198c0de-7a5c-7e0f-8a1b-2c3d4e5f6071"

/* The name of a row's id in paths: "orderItemId" for an order_item. */
const char *mr_id_name(struct mr_making *self, const struct mr_app_resource *resource);

/* The path of one row: "/v1/products/:productId". */
const char *mr_row_path(struct mr_making *self, const struct mr_app_resource *resource);

#define MR_KEY_FIELD "$apiKey"

/*
 * Adds the reserved field `caller`, the id of the user who calls, for an operation that needs a token. When the operation also takes
 * scopes, an API key may call it: then `caller` is empty, and MR_KEY_FIELD holds the key's id. `scopes`: as struct mr_traits has them.
 */
void mr_make_caller(struct mr_making *self, struct mr_making_fields *fields, const char *scopes);

/* Adds what an operation has that honours Idempotency-Key: the key, and what tells whether the payload is the same. */
void mr_make_idempotency(struct mr_making *self, struct mr_making_fields *fields);

/* Adds the id of the row that the path names (mr_id_name). */
void mr_make_row_id(struct mr_making *self, struct mr_making_fields *fields, const struct mr_app_resource *resource);

/* The result that describes a row of the resource: id, the declared fields with what they embed, createdAt, updatedAt. */
const struct mr_result *mr_result_of(struct mr_making *self, const struct mr_app_resource *resource);

/* The field of that column; NULL: no field is declared for it. */
const struct mr_app_field *mr_field_of_column(const struct mr_app_resource *resource, const char *column);

/* The JSON name of a column of `other` where it is embedded: that of its field there, or the column's name in camel case. */
const char *mr_embed_name(struct mr_making *self, const struct mr_app_resource *other, const char *column);

/* The result that describes a map of fields. `about`: a sentence for the document; NULL: none. */
const struct mr_result *mr_result_of_fields(struct mr_making *self, const char *name, const char *about,
                                            const struct mr_app_fields *fields);

/* ---- SQL ---- */

/* Appends a quoted identifier, with quotation marks in it doubled. */
void mr_sql_name(struct mr_buf *out, const char *name);

/* Appends a quoted text, with apostrophes in it doubled. */
void mr_sql_literal(struct mr_buf *out, const char *text);

/* Appends a formatted text: %I is an identifier, %L a literal, %s text as it is. */
void mr_sql_put(struct mr_buf *out, const char *format, ...);

/* Appends `alias`."name", both quoted. */
void mr_sql_column(struct mr_buf *out, const char *alias, const char *name);

/* The column of a batch that says whether a clearable field was given. */
void mr_sql_given(struct mr_buf *out, const char *field);

/*
 * The SELECT that makes the rows of a batch from the parameters, one row a message: a column for each field, of its SQL type and
 * under its name; behind a clearable one the boolean "NAME?", whether it was given; "$n", the ordinal; and, when the message has the
 * field `caller`, "$caller": their id if they are still there, or that of the API key that calls; NULL: neither.
 */
void mr_sql_batch(struct mr_buf *out, const struct mr_field *fields);

/* ASCII's punctuation, which parts words. */
#define MR_SQL_SIGNS "'!\"#$%&''()*+,-./:;<=>?@[\\]^_`{|}~'"

/*
 * The words of the row under `alias`, as a tsvector: of the texts that a list searches, of the strings in its json, and the owner
 * as one more word, so that one owner's words are found without reading the rows of others. It uses only PostgreSQL's own
 * immutable functions, because the application has an index on it that outlives releases of the engine.
 */
void mr_sql_words(struct mr_buf *out, const struct mr_app_resource *resource, const char *alias);

/* Writes the alias of the row that the field at that place embeds. */
void mr_sql_embed_alias(char room[16], unsigned place);

/* The select list of a row of the resource that stands under `alias`: "t"."id" AS "id", ... Embeds are those of mr_sql_embeds. */
void mr_sql_members(struct mr_buf *out, struct mr_making *self, const struct mr_app_resource *resource, const char *alias);

/*
 * The LEFT JOINs of the resource's embeds. `caller` is an expression for the caller's id, for rows that have an owner: others'
 * rows do not exist; NULL where nobody is signed in.
 */
void mr_sql_embeds(struct mr_buf *out, struct mr_making *self, const struct mr_app_resource *resource, const char *alias,
                   const char *caller);

/* ---- Writes (application/writes.c) ---- */

/* How a resource is written: by whom, and what they see of it. */
struct mr_writes {
    const struct mr_app_resource *resource;
    enum mr_access access;
    const char *scopes; /* of API keys that may write it; NULL: none */
    bool by_user;       /* there is a caller: the message has the field `caller`, the batch the column "$caller" */
    bool by_role;       /* a field references what not all who write may see: the message has the field "$admin" */
    bool is_shown;      /* who writes a row may also read it; others get its id */
};

/* Appends the text of a statement that reads or writes rows of a resource; `id` is the field that names the row, if one does. */
typedef void mr_row_text(struct mr_buf *out, struct mr_making *self, const struct mr_writes *writes, const char *id,
                         const struct mr_field *fields);

/* Adds a statement that `text` writes when somebody asks for it: texts are long, and most are needed in few of the processes. */
void mr_make_rows(struct mr_making *self, const char *name, mr_row_text *text, const struct mr_writes *writes, const char *id,
                  const struct mr_field *fields);

/* Gathers what is declared for writes of a resource. A reference to rows that no writer may see is a problem. */
struct mr_writes mr_writes_of(struct mr_making *self, const struct mr_app_resource *resource);

/* Whether messages that write have the field: not if the database fills it in. */
bool mr_is_written(const struct mr_app_field *field);

/* Adds the fields `caller` and "$admin", if the resource needs them. */
void mr_writes_callers(struct mr_making *self, const struct mr_writes *writes, struct mr_making_fields *fields);

/* Adds the fields for If-Match and If-None-Match. */
void mr_writes_conditions(struct mr_making *self, struct mr_making_fields *fields);

/* The result that describes a write's answer; lives in the arena. */
const struct mr_result *mr_writes_result(struct mr_making *self, const struct mr_writes *writes);

/* Appends the select list of a write's answer from a row under the alias "t": see mr_sql_members. */
void mr_sql_shown(struct mr_buf *out, struct mr_making *self, const struct mr_writes *writes);

/* Appends the joins that this select list needs: see mr_sql_embeds. */
void mr_sql_shown_joins(struct mr_buf *out, struct mr_making *self, const struct mr_writes *writes);

/* Appends the joins that look up the references of a batch's row under `alias`. */
void mr_sql_references(struct mr_buf *out, struct mr_making *self, const struct mr_writes *writes, const char *alias);

/*
 * Appends an expression for the name of the first field that references nothing the caller may refer to; it is NULL if there is
 * none.
 */
void mr_sql_wrong(struct mr_buf *out, const struct mr_writes *writes, const char *alias);

/*
 * Appends " AND ..." that `alias`, a row of the resource, belongs to the caller in the batch's row; nothing for a resource
 * without an owner.
 */
void mr_sql_owned(struct mr_buf *out, const struct mr_app_resource *resource, const char *alias, const char *batch);

/*
 * As mr_sql_owned, for a row found by its id, in a form that no index supports. With an index of the owner the planner might
 * read all of the owner's rows and look for the id among them, because it does not know that this owner has a hundred times as
 * many as others.
 */
void mr_sql_own_row(struct mr_buf *out, const struct mr_app_resource *resource, const char *alias, const char *batch);

/* Whether a field is unique and can be written. */
bool mr_is_unique(const struct mr_app_field *field);

/*
 * Appends an expression for the name of the first unique field whose value in the batch's row `alias` a stored row has already;
 * it is NULL if there is none. `self_id`, a column of the batch's row, is the id of a row to ignore; NULL: none. In a resource
 * with an owner only the caller's rows count.
 */
void mr_sql_taken(struct mr_buf *out, const struct mr_app_resource *resource, const char *alias, const char *self_id);

/*
 * The SELECT that locks the batch's rows in the order of their ids: "id", and "matches", whether If-Match and If-None-Match hold.
 * `id` is the field that names the row; `strength` is UPDATE or NO KEY UPDATE.
 */
void mr_sql_lock(struct mr_buf *out, const struct mr_writes *writes, const char *id, const char *strength);

/* ---- New rows (application/create.c) ---- */

/* Adds the fields of a new row: its id, the caller, and the fields that are written. null counts as absent. */
void mr_new_row_fields(struct mr_making *self, const struct mr_writes *writes, struct mr_making_fields *fields);

/*
 * Appends the INSERT of the batch's rows that have NULL in "$wrong" and whose callers exist, ordered by their unique fields and
 * then by the batch. `condition` is appended to its WHERE, as " AND ...". The caller appends ON CONFLICT and RETURNING.
 */
void mr_sql_insert(struct mr_buf *out, const struct mr_writes *writes, const char *condition);

/* ---- Failures (application/failures.c) ---- */

/*
 * What a statement of queries/ may answer beside a success, as struct mr_traits has it ("404|409", NULL: nothing): no row where one is
 * wanted; what it gives for "$status"; and of one that changes rows or calls a function of the folder, a broken constraint and whatever the
 * folder's migrations raise.
 */
const char *mr_failures_of(struct mr_making *self, const struct mr_sql *sql, enum mr_shape shape, bool idempotent);

/* ---- The makers ---- */

/* Makes POST of a resource. All makers here add rows, fields and statements to `self`, where failures are gathered. */
void mr_make_create(struct mr_making *self, const struct mr_app_resource *resource);

/* Makes GET of one row. */
void mr_make_get(struct mr_making *self, const struct mr_app_resource *resource);

/* Makes the list of a resource: its message, and a statement for each case. */
void mr_make_list(struct mr_making *self, const struct mr_app_resource *resource);

/* Makes PUT and PATCH of a resource. */
void mr_make_update(struct mr_making *self, const struct mr_app_resource *resource);

/* Makes DELETE of a resource. */
void mr_make_delete(struct mr_making *self, const struct mr_app_resource *resource);

/* Makes the import of a resource, and the statement of its job. */
void mr_make_import(struct mr_making *self, const struct mr_app_resource *resource);

/* Makes an operation with its own statement. */
void mr_make_operation(struct mr_making *self, const struct mr_app_operation *operation);

/* Replaces generated statements by those of queries/ with the same name. */
void mr_make_replacements(struct mr_making *self);

/* Makes the row of a job, and its statements. */
void mr_make_job(struct mr_making *self, const struct mr_app_job *job);

/* Makes the rules of its arguments, as the column millrace.job.args has them. In the arena; NULL if there is no memory. */
const char *mr_make_rules(struct mr_making *self, const struct mr_app_job *job);

/* Makes the row that the table of jobs is to have for it. */
void mr_make_kind(struct mr_making *self, const struct mr_app_job *job);

/* Makes the statements that the job `removal` runs for the application's resources. Call it after all jobs are made. */
void mr_make_removal(struct mr_making *self);

/* Appends the statement's text with its {{parts}} filled in. False: a part is unknown, and a problem is added. */
bool mr_fill_parts(struct mr_making *self, const struct mr_app_statement *statement, struct mr_buf *out);

#endif
