/*
 * The statement of a list. For each message of the batch the rows are read along an index, as many as are asked for and one more,
 * in at most three parts that follow on each other:
 *
 *     a list that begins      WHERE no cursor                        ORDER BY key, id LIMIT take
 *     one that continues      WHERE (key, id) > (the cursor's)       ORDER BY key, id LIMIT take
 *     rows without a key      WHERE key IS NULL AND id > ...         ORDER BY key, id LIMIT take
 *
 * Each is a range of one plain index (owner, key, id), which is read forwards or backwards, and what a part leaves open is decided
 * once, before it reads: a condition "no cursor, or behind it" would have to look at every row. The parts come in the order of the
 * answer, so nothing sorts it.
 */
#include "application/list.h"

#define K    "\"$k\"."
#define TAKE "\"$k\".\"$take\" + 1"

struct writing {
    const struct list *list;
    const struct list_case *one;
    const struct list_order *order;
    struct mr_making making; /* for the pieces that it makes, into an arena that ends with the text */
    struct mr_buf *out;
};

static void put(struct writing *self, const char *text)
{
    mr_buf_text(self->out, text);
}

/* `value` stands wherever the form has an @. */
static void put_filled(struct writing *self, const char *form, const char *value)
{
    for (; *form != '\0'; form++) {
        if (*form == '@')
            put(self, value);
        else
            mr_buf_char(self->out, *form);
    }
}

static void put_column(struct writing *self, const char *column)
{
    mr_sql_column(self->out, "t", column);
}

static const char *key_of(const struct writing *self)
{
    return self->order->through != NULL ? LIST_BY : self->order->by.column;
}

static bool by_id(const struct writing *self)
{
    return strcmp(key_of(self), "id") == 0;
}

/* ---- What rows belong to it ---- */

static void comparison(struct writing *self, const struct list_filter *filter)
{
    static const char *const operators[] = {
        [MR_APP_EQUAL] = " = ",   [MR_APP_UNEQUAL] = " IS DISTINCT FROM ", [MR_APP_LESS] = " < ", [MR_APP_LESS_EQUAL] = " <= ",
        [MR_APP_GREATER] = " > ", [MR_APP_GREATER_EQUAL] = " >= "};
    static const char *const casts[] = {
        [MR_APP_DECIMAL] = "::numeric", [MR_APP_NUMBER] = "::float8", [MR_APP_DATE] = "::date", [MR_APP_JSON] = ""};
    const char *cast = casts[filter->of.type];

    put_column(self, filter->of.column);
    put(self, operators[filter->comparison]);
    mr_sql_column(self->out, "$k", filter->parameter);
    put(self, cast != NULL ? cast : "");
}

static bool is_firm(const struct list_case *one, unsigned filter)
{
    for (unsigned i = 0; i < one->firm_count; i++)
        if (one->firm[i] == filter)
            return true;
    return false;
}

/* Filters of which the statement does not know whether they are there: behind others, which leave few rows. */
static void loose_filters(struct writing *self)
{
    for (unsigned i = 0; i < self->list->filter_count; i++) {
        if (is_firm(self->one, i))
            continue;
        put(self, " AND (");
        mr_sql_column(self->out, "$k", self->list->filters[i].parameter);
        put(self, " IS NULL OR ");
        comparison(self, &self->list->filters[i]);
        put(self, ")");
    }
}

static void filters(struct writing *self)
{
    const struct list_case *one = self->one;

    if (self->list->resource->owner != NULL) {
        put(self, " AND ");
        put_column(self, self->list->resource->owner);
        put(self, " = " K "\"$caller\"");
    }
    for (unsigned i = 0; i < one->firm_count; i++) {
        put(self, " AND ");
        comparison(self, &self->list->filters[one->firm[i]]);
    }
    if (one->searched || one->firm_count == 2)
        loose_filters(self);
}

/* The table; of a search, the rows with these words, found by their index before anything else is looked at. */
static void source(struct writing *self)
{
    if (!self->one->searched) {
        mr_sql_name(self->out, self->list->resource->table);
        put(self, " AS \"t\"");
        return;
    }
    put(self, "(SELECT * FROM ");
    mr_sql_name(self->out, self->list->resource->table);
    put(self, " AS \"t\" WHERE ");
    mr_sql_words(self->out, self->list->resource, "t");
    put(self, " @@ " K "\"$words\" OFFSET 0) AS \"t\"");
}

/* ---- The parts ---- */

/* Rows from the first on that have to be looked at. */
static const char *reach(const struct writing *self)
{
    return self->one->paged ? K "\"page\" * " K "\"pageSize\"" : TAKE;
}

static void along(struct writing *self)
{
    const char *direction = self->order->descending ? " DESC" : "";

    put(self, " ORDER BY ");
    if (!by_id(self)) {
        put_column(self, key_of(self));
        mr_buf_printf(self->out, "%s, ", direction);
    }
    mr_buf_printf(self->out, "\"t\".\"id\"%s LIMIT %s", direction, reach(self));
}

static void part(struct writing *self, const char *condition)
{
    put(self, "(SELECT * FROM ");
    source(self);
    put(self, " WHERE ");
    if (condition[0] == '\0')
        return; /* the caller goes on */
    put(self, condition);
    filters(self);
}

static void key_is(struct writing *self, const char *what)
{
    put(self, " AND ");
    put_column(self, key_of(self));
    put(self, what);
}

/* Rows with a key, from the first on. */
static void beginning(struct writing *self)
{
    part(self, self->one->paged ? "true" : K "\"$afterId\" IS NULL");
    if (self->order->by.nullable)
        key_is(self, " IS NOT NULL");
    along(self);
    put(self, ")");
}

static const char *beyond(const struct writing *self)
{
    return self->order->descending ? " < " : " > ";
}

/* Rows with a key, behind the cursor. */
static void going_on(struct writing *self)
{
    put(self, " UNION ALL ");
    part(self, by_id(self) ? K "\"$afterId\" IS NOT NULL" : K "\"$after\" IS NOT NULL");
    if (by_id(self)) {
        mr_buf_printf(self->out, " AND \"t\".\"id\"%s" K "\"$afterId\"", beyond(self));
    } else {
        put(self, " AND (");
        put_column(self, key_of(self));
        mr_buf_printf(self->out, ", \"t\".\"id\")%s(" K "\"$after\", " K "\"$afterId\")", beyond(self));
    }
    along(self);
    put(self, ")");
}

/* An id in front of all others. */
static const char *edge(const struct writing *self)
{
    return self->order->descending ? "'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid"
                                   : "'00000000-0000-0000-0000-000000000000'::uuid";
}

/* Rows without one: last in either direction, from the first of them on or behind the cursor. */
static void without_key(struct writing *self)
{
    put(self, " UNION ALL ");
    part(self, "true");
    key_is(self, " IS NULL");
    if (!self->one->paged)
        mr_buf_printf(self->out,
                      " AND \"t\".\"id\"%sCASE WHEN " K "\"$after\" IS NULL THEN coalesce(" K "\"$afterId\", %s) ELSE %s END",
                      beyond(self), edge(self), edge(self));
    along(self);
    put(self, ")");
}

/* The places in the order that there are, on or behind that of the cursor; rows of the others that share one are one place. */
static void places(struct writing *self)
{
    const struct list_order *order = self->order;

    put(self, "(SELECT DISTINCT ");
    mr_sql_column(self->out, "$o", order->by.column);
    put(self, " AS \"" LIST_BY "\" FROM ");
    mr_sql_name(self->out, order->others->table);
    put(self, " AS \"$o\"");
    if (!self->one->paged) {
        put(self, " WHERE (" K "\"$after\" IS NULL OR ");
        mr_sql_column(self->out, "$o", order->by.column);
        put(self, order->descending ? " <= " : " >= ");
        put(self, K "\"$after\")");
    }
    mr_buf_printf(self->out, " ORDER BY 1%s) AS \"$p\"", order->descending ? " DESC" : "");
}

/* Of each row of the others that has this place as many as may be needed, which is a range of an index (owner, reference, id). */
static void rows_of_place(struct writing *self)
{
    const struct list_order *order = self->order;
    const struct mr_app_field *key = mr_app_field(&order->others->fields, order->through->references.field);

    put(self, "SELECT \"t\".*, \"$p\".\"" LIST_BY "\" FROM ");
    mr_sql_name(self->out, order->others->table);
    put(self, " AS \"$o\" CROSS JOIN LATERAL ");
    part(self, "");
    mr_sql_column(self->out, "t", order->through->column);
    put(self, " = ");
    mr_sql_column(self->out, "$o", key != NULL ? key->column : "id");
    filters(self);
    if (!self->one->paged)
        mr_buf_printf(self->out,
                      " AND \"t\".\"id\"%sCASE WHEN \"$p\".\"" LIST_BY "\" = " K "\"$after\" THEN " K
                      "\"$afterId\" ELSE %s END",
                      beyond(self), edge(self));
    mr_buf_printf(self->out, " ORDER BY \"t\".\"id\"%s LIMIT %s) AS \"t\" WHERE ", order->descending ? " DESC" : "",
                  reach(self));
    mr_sql_column(self->out, "$o", order->by.column);
    put(self, " = \"$p\".\"" LIST_BY "\"");
}

/*
 * In the order of what a field references, of which there are few: place by place, and those behind the last row that is wanted are never
 * looked at. As the parts of other lists, the places come in the order of the answer, and nothing sorts it.
 */
static void rows_through(struct writing *self)
{
    const char *direction = self->order->descending ? " DESC" : "";

    put(self, "(SELECT \"t\".* FROM ");
    places(self);
    put(self, " CROSS JOIN LATERAL (");
    rows_of_place(self);
    mr_buf_printf(self->out, " ORDER BY \"t\".\"id\"%s LIMIT %s) AS \"t\" LIMIT ", direction, reach(self));
    put(self, self->one->paged ? K "\"pageSize\" OFFSET (" K "\"page\" - 1) * " K "\"pageSize\"" : TAKE);
    put(self, ") AS \"t\"");
}

static void rows(struct writing *self)
{
    if (self->order->through != NULL) {
        rows_through(self);
        return;
    }
    put(self, "(SELECT * FROM (");
    beginning(self);
    if (!self->one->paged)
        going_on(self);
    if (self->order->by.nullable)
        without_key(self);
    put(self, ") AS \"t\" LIMIT ");
    put(self, self->one->paged ? K "\"pageSize\" OFFSET (" K "\"page\" - 1) * " K "\"pageSize\"" : TAKE);
    put(self, ") AS \"t\"");
}

/* ---- Rows that may be long ---- */

/* No more than what the actor counts of the same value (mr_rows_fit). Text may be an enumeration, whose words have no length. */
static void add_bytes(struct writing *self, const char *alias, const char *column, const struct mr_app_field *field)
{
    bool many = field != NULL && field->many;

    if (!list_is_long(field))
        return;
    put(self, " + coalesce(octet_length(");
    put(self, many ? "array_to_string(" : "");
    mr_sql_column(self->out, alias, column);
    put(self, many ? ", '')" : "::text");
    put(self, "), 0)");
}

static bool add_embedded_bytes(struct writing *self, unsigned place)
{
    const struct mr_app_field *field = &self->list->resource->fields.items[place];
    const struct mr_app_resource *other =
        field->embed.node != NULL ? mr_app_resource(self->list->application, field->references.resource) : NULL;
    char alias[16];
    bool any = false;

    mr_sql_embed_alias(alias, place);
    for (unsigned i = 0; other != NULL && i < field->embed.columns.count; i++) {
        const char *column = field->embed.columns.items[i].name;
        const struct mr_app_field *shown = mr_field_of_column(other, column);

        any = any || list_is_long(shown);
        add_bytes(self, alias, column, shown);
    }
    return any;
}

/* Whether what it embeds has a part in it. */
static bool row_bytes(struct writing *self)
{
    const struct mr_app_resource *resource = self->list->resource;
    bool embeds = false;

    put(self, "0");
    for (unsigned i = 0; i < resource->fields.count; i++) {
        add_bytes(self, "t", resource->fields.items[i].column, &resource->fields.items[i]);
        embeds = add_embedded_bytes(self, i) || embeds;
    }
    return embeds;
}

static void embeds(struct writing *self)
{
    mr_sql_embeds(self->out, &self->making, self->list->resource, "t", self->list->by_user ? K "\"$caller\"" : NULL);
}

/*
 * The rows that the actor may need: those behind a mebibyte stay where they are. It counts the same or more, and has to see one
 * row behind those that it takes; so the row before is left out of the sum.
 */
static void bounded_rows(struct writing *self)
{
    bool with_embeds;

    put(self, "(SELECT * FROM (SELECT \"t\".*, sum(");
    with_embeds = row_bytes(self);
    put(self, ") OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND 2 PRECEDING) AS \"$bytes\" FROM ");
    rows(self);
    if (with_embeds)
        embeds(self);
    mr_buf_printf(self->out, ") AS \"t\" WHERE coalesce(\"t\".\"$bytes\", 0) <= %d) AS \"t\"", LIST_TEXT_MOST);
}

/* ---- The batch ---- */

/* The cursor's value, as it was: proto/cursor.h says what it can be, and the gateway that it is that. */
static void after(struct writing *self)
{
    static const char *const forms[] = {
        [MR_APP_TEXT] = "@",
        [MR_APP_UUID] = "@::uuid",
        [MR_APP_INTEGER] = "@::bigint",
        [MR_APP_DECIMAL] = "@::numeric",
        [MR_APP_NUMBER] = "@::float8",
        [MR_APP_BOOLEAN] = "@::integer::boolean",
        [MR_APP_DATE] = "CASE @ WHEN '2147483647' THEN date 'infinity' WHEN '-2147483648' THEN date '-infinity'"
                        " ELSE date '1970-01-01' + @::integer END",
        [MR_APP_TIMESTAMP] = "CASE @ WHEN '9223372036854775807' THEN timestamptz 'infinity'"
                             " WHEN '-9223372036854775808' THEN timestamptz '-infinity'"
                             " ELSE timestamptz '1970-01-01 00:00:00+00' + @::bigint / 3600000000 * interval '1 hour'"
                             " + @::bigint % 3600000000 * interval '1 microsecond' END",
        [MR_APP_JSON] = "@",
    };

    put(self, ", CASE WHEN substr(\"cursor\", 33, 1) = '1' THEN ");
    put_filled(self, forms[self->order->by.type], "convert_from(decode(substr(\"cursor\", 34), 'hex'), 'UTF8')");
    put(self, " END AS \"$after\"");
}

/* All these words, and the owner as one more; NULL, which finds nothing, when there is no word among them. */
static void words(struct writing *self)
{
    static const char query[] = "plainto_tsquery('simple', translate(\"q\", " MR_SQL_SIGNS ", repeat(' ', 32)))";

    mr_buf_printf(self->out, ", CASE WHEN numnode(%s) > 0 THEN %s", query, query);
    if (self->list->resource->owner != NULL)
        put(self, " && ('''' || \"$caller\" || '''')::tsquery");
    put(self, " END AS \"$words\"");
}

static void batch(struct writing *self)
{
    put(self, "(SELECT *");
    if (!self->one->paged) {
        mr_buf_printf(self->out, ", coalesce(\"limit\", %d) AS \"$take\", substr(\"cursor\", 1, 32)::uuid AS \"$afterId\"",
                      LIST_MOST);
        if (!by_id(self))
            after(self);
    }
    if (self->one->searched)
        words(self);
    put(self, " FROM (");
    mr_sql_batch(self->out, self->list->fields);
    put(self, ") AS \"$c\" OFFSET 0) AS " MR_BATCH);
}

static void write_caller(struct mr_buf *out, const char *name, void *argument)
{
    (void)argument;
    mr_buf_text(out, strcmp(name, "now") == 0 ? "pg_catalog.now()" : K "\"$caller\"");
}

/* How many there are where nothing narrows the list: the application may know. */
static void known_total(struct writing *self)
{
    const struct mr_sql *total = &self->list->total;

    put(self, "coalesce((\n");
    mr_sql_write(total, 0, strlen(total->text), self->out, write_caller, NULL);
    put(self, "\n), 0)::bigint");
}

/* How many there are: once for each message; without a filter, of rows that are everybody's, once for the batch. */
static void batch_with_total(struct writing *self)
{
    put(self, "(SELECT *, ");
    if (self->list->total.text != NULL && !self->one->searched && self->one->firm_count == 0) {
        known_total(self);
    } else {
        put(self, "(SELECT count(*) FROM ");
        source(self);
        put(self, " WHERE true");
        filters(self);
        put(self, ")");
    }
    put(self, " AS \"$items\" FROM ");
    batch(self);
    put(self, " OFFSET 0) AS " MR_BATCH);
}

/* ---- The whole ---- */

/* What mr_rows_cursor has to know of the last row. A type that it does not know is sent as text. */
static void key(struct writing *self)
{
    struct mr_buf column = {0};

    if (by_id(self))
        return;
    mr_sql_column(&column, "t", key_of(self));
    mr_buf_char(&column, '\0');
    self->out->failed |= column.failed;
    put(self, ", ");
    if (!column.failed && self->order->by.type == MR_APP_DATE)
        put_filled(self,
                   "CASE WHEN isfinite(@) THEN @ - date '1970-01-01' WHEN @ > date '1970-01-01' THEN 2147483647"
                   " WHEN @ IS NOT NULL THEN -2147483648 END",
                   column.data);
    else if (!column.failed)
        put(self, column.data);
    if (self->order->by.type == MR_APP_DECIMAL || self->order->by.type == MR_APP_NUMBER || self->order->by.type == MR_APP_TEXT)
        put(self, "::text");
    put(self, " AS \"$key\"");
    mr_buf_fini(&column);
}

static void head(struct writing *self)
{
    put(self, "SELECT " K "\"$n\"");
    if (self->list->by_user)
        put(self, ", CASE WHEN " K "\"$caller\" IS NULL THEN 401 END AS \"$status\"");
    if (self->one->paged) {
        put(self, ", " K "\"page\" AS \"$page\", " K "\"pageSize\" AS \"$pageSize\", " K "\"$items\" AS \"$totalItems\"");
    } else {
        put(self, ", " K "\"$take\"");
        key(self);
    }
    put(self, ", ");
    mr_sql_members(self->out, &self->making, self->list->resource, "t");
}

void list_write(const struct list *list, const struct list_case *one, struct mr_buf *out)
{
    struct mr_arena arena = {0};
    struct writing self = {.list = list,
                           .one = one,
                           .order = &list->orders[one->order],
                           .making = {.application = list->application, .arena = &arena},
                           .out = out};

    head(&self);
    put(&self, " FROM ");
    if (one->paged)
        batch_with_total(&self);
    else
        batch(&self);
    put(&self, " LEFT JOIN LATERAL ");
    if (one->many && !one->paged)
        bounded_rows(&self);
    else
        rows(&self);
    put(&self, " ON true");
    embeds(&self);
    out->failed |= arena.failed;
    mr_arena_fini(&arena);
}
