#include "application/customsql.h"

#include "application/keys.h"

/* ---- Names ---- */

const struct mr_field *mr_custom_field(const struct mr_field *fields, const char *name)
{
    const char *wanted = strcmp(name, "role") == 0 ? MR_ROLE_FIELD : name;

    for (; fields->name != NULL; fields++)
        if (strcmp(fields->name, wanted) == 0)
            return fields;
    return NULL;
}

static bool has_caller(const struct mr_custom *self)
{
    return mr_custom_field(self->fields, "caller") != NULL;
}

static void role_of(struct mr_buf *out, const char *is_admin)
{
    mr_buf_printf(out, "CASE %s WHEN true THEN 'admin' WHEN false THEN 'user' ELSE 'key' END", is_admin);
}

/* ---- What the answer shows ---- */

static bool says(const struct mr_custom *self, const char *column)
{
    return mr_sql_has(&self->sql->columns, column);
}

static void put_own(struct mr_buf *out, const struct mr_custom *self, const char *column)
{
    if (says(self, column))
        mr_buf_printf(out, ", \"$u\".\"%s\" AS \"%s\"", column, column);
}

/* Columns behind the first, each with a comma in front: "$u" are the statement's own rows. */
static void put_columns(struct mr_buf *out, const struct mr_custom *self)
{
    put_own(out, self, "$field");
    put_own(out, self, "$message");
    if (self->resource != NULL && self->shape == MR_SHAPE_ONE && mr_app_is_served(self->resource))
        mr_buf_text(out, ", \"$u\".\"version\" AS \"$version\"");
    else
        put_own(out, self, "$version");
    if (self->resource != NULL) {
        mr_buf_text(out, ",\n       ");
        mr_sql_members(out, self->making, self->resource, "$u");
    }
    for (unsigned i = 0; self->members != NULL && i < self->members->count; i++) {
        mr_buf_text(out, ", ");
        mr_sql_column(out, "$u", self->members->items[i].name);
    }
}

static void put_embeds(struct mr_buf *out, const struct mr_custom *self, const char *caller)
{
    if (self->resource != NULL)
        mr_sql_embeds(out, self->making, self->resource, "$u", caller);
}

/* The statement's own "$status": of those that SQL may ask for, or else a failure. */
static void put_own_status(struct mr_buf *out, const struct mr_custom *self)
{
#define BEHIND_COMMA(http) ", " #http
    static const char raisable[] = MR_RAISABLE(BEHIND_COMMA);
#undef BEHIND_COMMA

    if (says(self, "$status"))
        mr_buf_printf(out,
                      "CASE WHEN \"$u\".\"$status\" IN (%s) THEN \"$u\".\"$status\""
                      " WHEN \"$u\".\"$status\" IS NOT NULL THEN 500 END",
                      raisable + strlen(", "));
    else
        mr_buf_text(out, "NULL::integer");
}

/* "$status" of a statement that answers a batch: what is known of the message goes before what the statement says. */
static void put_status(struct mr_buf *out, const struct mr_custom *self, bool knows_rows)
{
    mr_buf_text(out, ", ");
    if (has_caller(self) || knows_rows)
        mr_buf_text(out, "CASE ");
    if (has_caller(self))
        mr_buf_text(out, "WHEN " MR_BATCH ".\"$caller\" IS NULL THEN 401 ");
    if (knows_rows)
        mr_buf_text(out, "WHEN \"$u\".\"$found\" IS NULL THEN 404 ");
    if (has_caller(self) || knows_rows)
        mr_buf_text(out, "ELSE ");
    put_own_status(out, self);
    mr_buf_text(out, has_caller(self) || knows_rows ? " END AS \"$status\"" : " AS \"$status\"");
}

/* ---- What it does not show ---- */

static bool is_shown(const struct mr_custom *self, const char *column)
{
    if (column[0] == '$')
        return true;
    if (self->resource != NULL)
        return mr_field_of_column(self->resource, column) != NULL ||
               (mr_app_is_served(self->resource) && mr_word_is_in("id|version|created_at|updated_at", column, NULL));
    return self->members != NULL && mr_app_field(self->members, column) != NULL;
}

/*
 * Whether the statement computes what the answer leaves out: a function that only looks whether the message may be answered, and raises if
 * not. PostgreSQL computes what nobody reads only in a part that is materialized, unless it is volatile.
 */
static bool computes_unshown(const struct mr_custom *self)
{
    for (unsigned i = 0; i < self->sql->computed.count; i++)
        if (!is_shown(self, self->sql->computed.items[i].name))
            return true;
    return false;
}

static const char *begin_part(const struct mr_custom *self)
{
    return computes_unshown(self) ? "\"$q\" AS MATERIALIZED (\n" : "\"$q\" AS (\n";
}

/* ---- Wrapped ---- */

/* Each value of the batch under ":name", which is no column of anybody's, so that a word without a colon is never a parameter. */
static void put_batch_columns(struct mr_buf *out, const struct mr_field *fields)
{
    mr_buf_text(out, "SELECT \"$r\".\"$n\"");
    for (const struct mr_field *field = fields; field->name != NULL; field++) {
        mr_buf_text(out, ", ");
        if (strcmp(field->name, MR_ROLE_FIELD) == 0) {
            role_of(out, "\"$r\".\"" MR_ROLE_FIELD "\"");
            mr_buf_text(out, " AS \":role\"");
            continue;
        }
        mr_sql_column(out, "$r", field->name);
        mr_buf_printf(out, " AS \":%s\"", field->name);
    }
}

static void put_batch(struct mr_buf *out, const struct mr_custom *self)
{
    put_batch_columns(out, self->fields);
    if (has_caller(self))
        mr_buf_text(out, ", \"$r\".\"$caller\"");
    mr_buf_text(out, " FROM (");
    mr_sql_batch(out, self->fields);
    mr_buf_text(out, ") AS \"$r\"");
}

static void write_of_batch(struct mr_buf *out, const char *name, void *argument)
{
    (void)argument;
    if (strcmp(name, "now") == 0)
        mr_buf_text(out, "pg_catalog.now()");
    else
        mr_buf_printf(out, MR_BATCH ".\":%s\"", name);
}

void mr_custom_wrapped(struct mr_buf *out, const struct mr_custom *self)
{
    const char *row = self->shape == MR_SHAPE_MANY ? ", pg_catalog.row_number() OVER () AS \"$row\"" : "";

    mr_buf_text(out, "SELECT " MR_BATCH ".\"$n\"");
    put_status(out, self, self->shape == MR_SHAPE_ONE);
    put_columns(out, self);
    mr_buf_text(out, "\n  FROM (");
    put_batch(out, self);
    mr_buf_text(out, ") AS " MR_BATCH "\n  LEFT JOIN LATERAL (");
    if (computes_unshown(self))
        mr_buf_printf(out, "WITH %s", begin_part(self));
    else
        mr_buf_printf(out, "SELECT true AS \"$found\"%s, \"$q\".* FROM (\n", row);
    mr_sql_write(self->sql, 0, strlen(self->sql->text), out, write_of_batch, NULL);
    if (computes_unshown(self))
        mr_buf_printf(out, "\n) SELECT true AS \"$found\"%s, \"$q\".* FROM \"$q\"", row);
    else
        mr_buf_text(out, "\n) AS \"$q\"");
    mr_buf_printf(out, "%s) AS \"$u\" ON true", self->shape == MR_SHAPE_MANY ? "" : " LIMIT 1");
    put_embeds(out, self, has_caller(self) ? MR_BATCH ".\"$caller\"" : NULL);
    mr_buf_text(out, "\n ORDER BY " MR_BATCH ".\"$n\"");
    if (self->shape == MR_SHAPE_MANY)
        mr_buf_text(out, ", \"$u\".\"$row\"");
}

/* ---- Set-wise ---- */

static void put_with(struct mr_buf *out, const struct mr_sql *sql)
{
    mr_buf_text(out, sql->is_recursive ? "WITH RECURSIVE " : "WITH ");
}

/* What stands for `{{k}}`. */
static void put_rows(struct mr_buf *out, const struct mr_custom *self)
{
    mr_buf_text(out, "SELECT " MR_BATCH ".*");
    if (mr_custom_field(self->fields, "role") != NULL) {
        mr_buf_text(out, ", ");
        role_of(out, MR_BATCH ".\"" MR_ROLE_FIELD "\"");
        mr_buf_text(out, " AS \"role\"");
    }
    mr_buf_text(out, " FROM " MR_BATCH);
    if (has_caller(self))
        mr_buf_text(out, " WHERE " MR_BATCH ".\"$caller\" IS NOT NULL");
}

/*
 * Of messages, those that have a row, and those whose caller is gone; of rows, those that answer a message. In a CASE, because the planner
 * sees through anything else that the join need not be a full one, and would read all rows again for each message.
 */
static void put_answered(struct mr_buf *out, const struct mr_custom *self)
{
    mr_buf_text(out, "\n WHERE CASE WHEN " MR_BATCH ".\"$n\" IS NULL THEN false ELSE \"$u\".\"$n\" IS NOT NULL");
    if (has_caller(self))
        mr_buf_text(out, " OR " MR_BATCH ".\"$caller\" IS NULL");
    mr_buf_text(out, " END");
}

void mr_custom_set_wise(struct mr_buf *out, const struct mr_custom *self)
{
    const struct mr_sql *sql = self->sql;

    put_with(out, sql);
    mr_buf_text(out, MR_BATCH " AS (");
    mr_sql_batch(out, self->fields);
    mr_buf_text(out, "),\n");
    mr_buf_append(out, sql->text + sql->list_at, sql->rows_at - sql->list_at);
    put_rows(out, self);
    mr_buf_append(out, sql->text + sql->rows_at + MR_ROWS_MARK, sql->main_at - sql->rows_at - MR_ROWS_MARK);
    mr_buf_printf(out, ",\n%s", begin_part(self));
    mr_buf_text(out, sql->text + sql->main_at);
    mr_buf_text(out, "\n), \"$u\" AS (SELECT pg_catalog.row_number() OVER () AS \"$row\", \"$q\".* FROM \"$q\")\n"
                     "SELECT " MR_BATCH ".\"$n\"");
    put_status(out, self, false);
    put_columns(out, self);
    mr_buf_text(out, "\n  FROM " MR_BATCH "\n " MR_JOIN_EACH "\"$u\" ON \"$u\".\"$n\" = " MR_BATCH ".\"$n\"");
    put_embeds(out, self, has_caller(self) ? MR_BATCH ".\"$caller\"" : NULL);
    put_answered(out, self);
    mr_buf_text(out, "\n ORDER BY " MR_BATCH ".\"$n\", \"$u\".\"$row\"");
}

/* ---- Row-wise ---- */

static unsigned number_of(const struct mr_field *fields, const struct mr_field *field)
{
    unsigned number = 1;

    for (const struct mr_field *before = fields; before != field; before++)
        number += before->clearable ? 2 : 1;
    return number;
}

/* The value of a field: in the brackets, so that what follows, [1] or ::date, is of the value. */
static void put_value(struct mr_buf *out, const struct mr_field *fields, const struct mr_field *field)
{
    unsigned number = number_of(fields, field);

    if (strcmp(mr_field_sql(field), mr_field_cast(field)) != 0)
        mr_buf_printf(out, "($%u::%s::%s)", number, mr_field_sql(field), mr_field_cast(field));
    else
        mr_buf_printf(out, "($%u::%s)", number, mr_field_sql(field));
}

static void write_value(struct mr_buf *out, const char *name, void *argument)
{
    const struct mr_custom *self = argument;
    const struct mr_field *field = mr_custom_field(self->fields, name);

    if (field == NULL) {
        mr_buf_text(out, "pg_catalog.now()");
    } else if (strcmp(field->name, MR_ROLE_FIELD) == 0) {
        mr_buf_text(out, "(CASE ");
        put_value(out, self->fields, field);
        mr_buf_text(out, " WHEN true THEN 'admin' WHEN false THEN 'user' ELSE 'key' END)");
    } else {
        put_value(out, self->fields, field);
    }
}

static void put_text(struct mr_buf *out, const struct mr_custom *self, size_t from, size_t to)
{
    mr_sql_write(self->sql, from, to, out, write_value, (void *)self);
}

static bool is_used(const struct mr_custom *self, const struct mr_field *field)
{
    for (unsigned i = 0; i < self->sql->parameter_count; i++)
        if (mr_custom_field(self->fields, self->sql->parameters[i].name) == field)
            return true;
    return false;
}

/*
 * Every parameter has to have a type, those that the statement does not name as well, and whether a clearable field was given, which it
 * cannot: a part that nobody reads.
 */
static bool put_unused(struct mr_buf *out, const struct mr_custom *self)
{
    bool any = false;

    for (const struct mr_field *field = self->fields; field->name != NULL; field++) {
        if (is_used(self, field) && !field->clearable)
            continue;
        mr_buf_text(out, any ? ", " : "\"$unused\" AS (SELECT ");
        put_value(out, self->fields, field);
        if (field->clearable)
            mr_buf_printf(out, ", $%u::boolean", number_of(self->fields, field) + 1);
        any = true;
    }
    if (any)
        mr_buf_char(out, ')');
    return any;
}

/* The statement as it is, but for its parameters. */
static void put_plain(struct mr_buf *out, const struct mr_custom *self)
{
    const struct mr_sql *sql = self->sql;
    struct mr_buf unused = {0};

    if (sql->kind != MR_SQL_CALL && put_unused(&unused, self)) {
        put_with(out, sql);
        mr_buf_append(out, unused.data, unused.len);
        mr_buf_text(out, sql->has_with ? ", " : "\n");
    } else if (sql->has_with) {
        put_with(out, sql);
    }
    put_text(out, self, sql->list_at, strlen(sql->text));
    out->failed |= unused.failed;
    mr_buf_fini(&unused);
}

static void put_list(struct mr_buf *out, const struct mr_custom *self)
{
    const struct mr_sql *sql = self->sql;

    put_with(out, sql);
    if (put_unused(out, self))
        mr_buf_text(out, ",\n");
    if (sql->has_with) {
        put_text(out, self, sql->list_at, sql->main_at);
        mr_buf_text(out, ",\n");
    }
}

/* The caller's id in what is embedded; NULL: nobody is signed in. */
static const char *caller_value(struct mr_buf *room, const struct mr_custom *self)
{
    const struct mr_field *field = mr_custom_field(self->fields, "caller");

    if (field == NULL)
        return NULL;
    put_value(room, self->fields, field);
    mr_buf_char(room, '\0');
    return room->failed ? NULL : room->data;
}

void mr_custom_row_wise(struct mr_buf *out, const struct mr_custom *self)
{
    const struct mr_sql *sql = self->sql;
    struct mr_buf caller = {0};

    if (!sql->answers) {
        put_plain(out, self);
        return;
    }
    put_list(out, self);
    mr_buf_text(out, begin_part(self));
    put_text(out, self, sql->main_at, strlen(sql->text));
    mr_buf_text(out, "\n), \"$u\" AS (SELECT pg_catalog.row_number() OVER () AS \"$row\", \"$q\".* FROM \"$q\")\nSELECT ");
    put_own_status(out, self);
    mr_buf_text(out, " AS \"$status\"");
    put_columns(out, self);
    mr_buf_text(out, "\n  FROM \"$u\"");
    put_embeds(out, self, caller_value(&caller, self));
    mr_buf_text(out, "\n ORDER BY \"$u\".\"$row\"");
    out->failed |= caller.failed;
    mr_buf_fini(&caller);
}
