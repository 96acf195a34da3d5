/*
 * Statements of queries/, asked for by an operation or a job: whether the server takes them, and what they answer.
 *
 * A statement is prepared as it stands in its file, with $1 for :name and typed NULLs for {{k}}, so that the server's error has
 * its place there. Nothing runs.
 */
#include <stdio.h>

#include "application/build.h"
#include "application/statement.h"
#include "application/verify_internal.h"

/* Of an operation's own, and those that are always there. */
enum { PARAMETERS = 110 };

/* A stretch of the text that is sent: as it stands in the file, or in place of something there. */
struct piece {
    size_t source; /* where it begins in the file's text, in bytes */
    unsigned sent; /* where it begins in what is sent, in characters */
    bool is_other;
};

struct preparing {
    struct verifying *self;
    const struct mr_app_fields *fields;
    const struct mr_app_statement *source;
    struct mr_sql sql;
    struct mr_buf sent;
    unsigned characters; /* in `sent` */
    struct piece *pieces;
    unsigned piece_count;
    const char *names[PARAMETERS]; /* $1, $2, ... */
    uint32_t types[PARAMETERS];
    unsigned count;
    struct mr_arena arena;
};

/* ---- The text ---- */

static void add(struct preparing *self, size_t source, const char *text, size_t length, bool is_other)
{
    struct piece *all = mr_arena_grow(&self->arena, self->pieces, self->piece_count, sizeof *all);

    if (all == NULL)
        return;
    self->pieces = all;
    all[self->piece_count++] = (struct piece){source, self->characters, is_other};
    mr_buf_append(&self->sent, text, length);
    for (size_t i = 0; i < length; i++)
        self->characters += ((unsigned char)text[i] & 0xc0) != 0x80;
}

static uint32_t type_of_name(const struct preparing *self, const char *name)
{
    const struct mr_app_field *field = mr_app_field(self->fields, name);

    if (field != NULL && field->type.is_set)
        return verify_type_id(field);
    if (strcmp(name, "caller") == 0 || strcmp(name, "newId") == 0)
        return VERIFY_UUID;
    if (strcmp(name, "now") == 0)
        return VERIFY_TIMESTAMPTZ;
    return strcmp(name, "role") == 0 ? VERIFY_TEXT : 0;
}

/* The number of $n for a name. */
static unsigned number_of(struct preparing *self, const char *name)
{
    for (unsigned i = 0; i < self->count; i++)
        if (strcmp(self->names[i], name) == 0)
            return i + 1;
    if (self->count < PARAMETERS) {
        self->names[self->count] = name;
        self->types[self->count++] = type_of_name(self, name);
    }
    return self->count;
}

static void add_parameter(struct preparing *self, const struct mr_sql_parameter *parameter)
{
    char text[16];

    snprintf(text, sizeof text, "$%u", number_of(self, parameter->name));
    add(self, parameter->begin, text, strlen(text), true);
}

/* `{{k}}`: a row of the batch without values. */
static void add_rows(struct preparing *self)
{
    static const char others[] = "NULL::bigint AS \"$n\", NULL::uuid AS caller, NULL::text AS role, NULL::uuid AS \"newId\","
                                 " NULL::timestamptz AS now";
    struct mr_buf text = {0};

    mr_buf_text(&text, "SELECT ");
    for (unsigned i = 0; i < self->fields->count; i++)
        if (self->fields->items[i].type.is_set)
            mr_buf_printf(&text, "NULL::%s AS \"%s\", ", verify_type_name(&self->fields->items[i]),
                          self->fields->items[i].name);
    mr_buf_text(&text, others);
    if (!text.failed)
        add(self, self->sql.rows_at, text.data, text.len, true);
    self->sent.failed = self->sent.failed || text.failed;
    mr_buf_fini(&text);
}

static void write_text(struct preparing *self)
{
    const char *text = self->sql.text;
    size_t at = 0;

    for (unsigned i = 0; i < self->sql.parameter_count; i++) {
        const struct mr_sql_parameter *parameter = &self->sql.parameters[i];

        add(self, at, text + at, parameter->begin - at, false);
        add_parameter(self, parameter);
        at = parameter->end;
    }
    if (self->sql.kind == MR_SQL_SET_WISE) {
        add(self, at, text + at, self->sql.rows_at - at, false);
        add_rows(self);
        at = self->sql.rows_at + strlen("{{k}}");
    }
    add(self, at, text + at, strlen(text + at), false);
    mr_buf_char(&self->sent, '\0');
}

/* ---- The answer ---- */

/* Where a character of what was sent, counted from 1, stands in the file. */
static struct mr_place place_of(const struct preparing *self, unsigned position)
{
    const struct piece *piece = self->pieces;
    struct mr_place begin;

    for (unsigned i = 1; i < self->piece_count; i++)
        if (self->pieces[i].sent < position)
            piece = &self->pieces[i];
    begin = verify_place_at(self->source->begin, self->source->sql, self->source->sql + piece->source, 0);
    if (piece->is_other)
        return begin;
    return verify_place_at(begin, self->source->sql + piece->source, NULL, position - piece->sent);
}

static void tell(const struct preparing *self)
{
    const struct mr_db_error *error = mr_db_last_error(self->self->options->db);
    struct mr_place place = self->source->begin;

    if (error->position > 0)
        place = place_of(self, error->position);
    complain(self->self, place, "%s (SQLSTATE %s), expected a statement that can be prepared", error->message, error->sqlstate);
}

static mr_status describe(struct preparing *self, mr_rows **out)
{
    mr_db *db = self->self->options->db;
    mr_status status;

    write_text(self);
    if (self->sent.failed || self->arena.failed)
        return MR_NO_MEMORY;
    status = mr_db_describe(db, self->sent.data, self->types, self->count, verify_deadline(), out);
    if (status == MR_OK || !verify_is_refusal(self->self))
        return status;
    tell(self);
    return mr_db_reconnect(db); /* it may have been dropped: 0A000 */
}

/* `returns`: of an operation, what it has to answer; NULL: whatever it does. */
static mr_status verify_statement(struct verifying *self, const char *name, const struct mr_app_fields *fields,
                                  const struct mr_app_returns *returns)
{
    struct preparing preparing = {.self = self, .fields = fields, .source = mr_app_statement(self->application, name)};
    mr_rows *columns = NULL;
    mr_status status = MR_OK;

    if (preparing.source == NULL)
        return MR_OK; /* told */
    if (mr_sql_read(&preparing.sql, &preparing.arena, preparing.source, self->problems))
        status = describe(&preparing, &columns);
    else if (preparing.arena.failed)
        status = MR_NO_MEMORY;
    if (columns != NULL && returns != NULL)
        status = verify_answer(self, preparing.source, returns, columns);
    mr_rows_free(&columns);
    mr_buf_fini(&preparing.sent);
    mr_arena_fini(&preparing.arena);
    return status;
}

/* A statement with parts of the engine's own, as those of jobs have, is no text for the server. */
static bool has_parts(const struct mr_application *application, const char *name)
{
    const struct mr_app_statement *statement = mr_app_statement(application, name);

    return statement != NULL && strstr(statement->sql, "{{") != NULL;
}

static mr_status verify_job(struct verifying *self, const struct mr_app_job *job)
{
    mr_status status = MR_OK;

    for (unsigned i = 0; i < job->statements.count && status == MR_OK; i++)
        if (!has_parts(self->application, job->statements.items[i].name))
            status = verify_statement(self, job->statements.items[i].name, &job->args, NULL);
    return status;
}

/* ---- In the place of one that is made: it has the fields of that, and answers rows of the resource's table ---- */

/* Only what stands as it is can be sent: what k has of such an operation is the engine's (verify_generated.c). */
static bool is_set_wise(const struct mr_app_statement *statement)
{
    return strstr(statement->sql, "{{k}}") != NULL;
}

static unsigned count_fields(const struct mr_field *fields)
{
    unsigned count = 0;

    while (fields[count].name != NULL)
        count++;
    return count;
}

/* The fields of a message as they would be declared. */
static bool declare(struct mr_app_fields *out, struct mr_arena *arena, const struct mr_field *fields)
{
    out->count = count_fields(fields);
    out->items = mr_arena_take(arena, (out->count + 1) * sizeof *out->items);
    for (unsigned i = 0; out->items != NULL && i < out->count; i++)
        out->items[i] = (struct mr_app_field){
            .name = fields[i].name, .many = fields[i].many, .type = {true, (int)verify_app_type(fields[i].type)}};
    return out->items != NULL;
}

static mr_status verify_replacement(struct verifying *self, const struct mr_app_resource *resource, const struct mr_op_info *op)
{
    struct mr_app_returns returns = {.node = mr_yaml_get(resource->node, "path"), .resource = resource->name};
    struct mr_arena arena = {.blocks = NULL};
    struct mr_app_fields fields = {.count = 0};
    mr_status status = MR_NO_MEMORY;

    if (declare(&fields, &arena, op->traits->fields))
        status = verify_statement(self, op->name, &fields, op->verb == MR_VERB_GET ? &returns : NULL);
    mr_arena_fini(&arena);
    return status;
}

/* The op of that name, when a statement of queries/ stands in its place and can be sent. */
static const struct mr_op_info *replaced(const struct verifying *self, const char *name)
{
    const struct mr_app_statement *statement = mr_app_statement(self->application, name);
    const struct mr_op_table *table = mr_built_ops(self->options->built);

    for (unsigned i = 0; statement != NULL && !is_set_wise(statement) && i < table->op_count; i++)
        if (strcmp(table->ops[i].name, name) == 0 && table->ops[i].traits->fields != NULL)
            return &table->ops[i];
    return NULL;
}

static mr_status verify_replacements(struct verifying *self, const struct mr_app_resource *resource)
{
    static const char *const names[] = {
        [MR_APP_GET] = "get", [MR_APP_CREATE] = "create", [MR_APP_UPDATE] = "update", [MR_APP_DELETE] = "delete"};
    mr_status status = MR_OK;

    for (size_t i = 0; i < sizeof names / sizeof names[0] && status == MR_OK; i++) {
        const struct mr_op_info *op;
        char name[128];

        if (names[i] == NULL || (resource->operations & 1U << i) == 0)
            continue;
        snprintf(name, sizeof name, "%s_%s", resource->name, names[i]);
        op = replaced(self, name);
        if (op != NULL)
            status = verify_replacement(self, resource, op);
    }
    return status;
}

mr_status verify_statements(struct verifying *self)
{
    const struct mr_application *application = self->application;
    mr_status status = MR_OK;

    for (unsigned i = 0; i < application->operation_count && status == MR_OK; i++)
        if (application->operations[i].node != NULL && application->operations[i].statement != NULL)
            status = verify_statement(self, application->operations[i].statement, &application->operations[i].fields,
                                      &application->operations[i].returns);
    for (unsigned i = 0; self->options->built != NULL && i < application->resource_count && status == MR_OK; i++)
        status = verify_replacements(self, &application->resources[i]);
    for (unsigned i = 0; i < application->job_count && status == MR_OK; i++)
        status = verify_job(self, &application->jobs[i]);
    return status;
}
