/*
 * What lists need: each order an index that has it, each filter one that finds its rows.
 *
 * The server says so itself, by its plan for the empty table: which operator class, collation, order of NULLs and predicate of a
 * partial index serve a query is its knowledge, and not to be written down a second time. With everything else forbidden the plan
 * reads a table in full, sorts, or throws rows away only where there is no such index. One thing a plan does not tell: an index on
 * (a, b) is read from end to end for a condition on b. So the columns that are compared have to be the index's first.
 */
#include "application/making.h"
#include "application/verify_internal.h"

#define PREPARE_SQL                                                                                                         \
    "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off; SET enable_incremental_sort = off;"      \
    "SET enable_indexscan = on; SET enable_indexonlyscan = on; SET jit = off;"                                              \
    "CREATE OR REPLACE FUNCTION pg_temp.millrace_served(query text, compared name[]) RETURNS text LANGUAGE plpgsql AS $$\n" \
    "DECLARE plan jsonb; answer json;\n"                                                                                    \
    "BEGIN\n"                                                                                                               \
    "EXECUTE 'EXPLAIN (FORMAT JSON, COSTS off) ' || query INTO answer;\n"                                                   \
    "plan := answer;\n"                                                                                                     \
    "IF jsonb_path_exists(plan, '$.**.\"Node Type\" ? (@ == \"Seq Scan\" || @ == \"Sort\")')\n"                             \
    "OR jsonb_path_exists(plan, '$.**.Filter') THEN RETURN 'no'; END IF;\n"                                                 \
    "RETURN CASE WHEN EXISTS (SELECT FROM jsonb_path_query(plan, '$.**.\"Index Name\"') AS p (name)\n"                      \
    "JOIN pg_index i ON i.indexrelid = to_regclass(quote_ident(p.name #>> '{}'))\n"                                         \
    "CROSS JOIN generate_series(0, cardinality(compared) - 1) AS k (place)\n"                                               \
    "LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k.place]\n"                                \
    "WHERE (a.attname = ANY (compared)) IS NOT TRUE) THEN 'no' ELSE 'yes' END;\n"                                           \
    "EXCEPTION WHEN OTHERS THEN RETURN SQLERRM;\n"                                                                          \
    "END $$"

/* Something that a list can be asked for. */
struct wish {
    struct mr_place place;
    const char *what;
    const char *name;
    const char *index; /* that would do, as CREATE INDEX takes it */
};

struct wishes {
    struct verifying *self;
    struct mr_arena arena;
    struct wish *items;
    unsigned count;
    struct mr_buf sql; /* asks for all of them */
};

/* A list's table, and the columns that narrow and order it. */
struct query {
    const struct mr_app_resource *resource;
    const struct mr_sql_table *table;
    const struct mr_sql_column *owner; /* NULL: none */
    const struct mr_sql_column *column;
    bool is_unique; /* the column by itself, or one owner's */
};

/* ---- SQL ---- */

/* A value of the column's type that the planner does not know. */
static void compare(struct mr_buf *out, const struct mr_sql_column *column, const char *comparison)
{
    mr_sql_name(out, column->name);
    mr_buf_printf(out, " %s (SELECT NULL::%s OFFSET 0)", comparison, column->told);
}

static void narrow(struct mr_buf *out, const struct query *query)
{
    mr_buf_text(out, "SELECT id FROM ");
    mr_sql_name(out, query->table->name);
    mr_buf_text(out, " WHERE ");
    if (query->owner != NULL) {
        compare(out, query->owner, "=");
        mr_buf_text(out, " AND ");
    }
}

static void ordered_sql(struct mr_buf *out, const struct query *query, bool descending)
{
    const char *direction = descending ? " DESC" : "";

    narrow(out, query);
    mr_sql_name(out, query->column->name);
    mr_buf_text(out, " IS NOT NULL ORDER BY ");
    mr_sql_name(out, query->column->name);
    mr_buf_text(out, direction);
    if (!query->is_unique)
        mr_buf_printf(out, ", id%s", direction);
}

static void filtered_sql(struct mr_buf *out, const struct query *query, const char *comparison)
{
    narrow(out, query);
    compare(out, query->column, comparison);
}

/* ---- Wishes ---- */

/* "product (price, id)" */
static const char *index_for(struct wishes *wishes, const struct query *query)
{
    struct mr_buf text = {0};
    const char *out;

    mr_buf_printf(&text, "%s (%s%s%s%s)", query->table->name, query->owner != NULL ? query->owner->name : "",
                  query->owner != NULL ? ", " : "", query->column->name, strcmp(query->column->name, "id") != 0 ? ", id" : "");
    out = mr_arena_text(&wishes->arena, (struct mr_slice){text.data, text.len});
    wishes->arena.failed = wishes->arena.failed || text.failed;
    mr_buf_fini(&text);
    return out;
}

/* Adds one, and its query as a row of literals; takes `sql` over. `is_compared`: the column, and not only its order. */
static void add(struct wishes *wishes, const struct query *query, struct wish wish, struct mr_buf *sql, bool is_compared)
{
    struct wish *all = mr_arena_grow(&wishes->arena, wishes->items, wishes->count, sizeof *all);

    wish.index = index_for(wishes, query);
    mr_buf_char(sql, '\0');
    mr_buf_printf(&wishes->sql, "%s(%u,", wishes->count > 0 ? "," : "", wishes->count);
    if (!sql->failed)
        mr_sql_literal(&wishes->sql, sql->data);
    mr_buf_text(&wishes->sql, ",ARRAY[");
    if (query->owner != NULL)
        mr_sql_literal(&wishes->sql, query->owner->name);
    if (query->owner != NULL && is_compared)
        mr_buf_char(&wishes->sql, ',');
    if (is_compared)
        mr_sql_literal(&wishes->sql, query->column->name);
    mr_buf_text(&wishes->sql, "]::name[])");
    wishes->sql.failed = wishes->sql.failed || sql->failed;
    mr_buf_fini(sql);
    if (all == NULL)
        return;
    wishes->items = all;
    all[wishes->count++] = wish;
}

/* The column of a field by its name, also of those that every resource has. */
static const struct mr_sql_column *column_of(const struct mr_app_resource *resource, const struct mr_sql_table *table,
                                             const char *name)
{
    const char *column = verify_column_name(resource, name);

    return column != NULL ? mr_catalogue_column(table, column) : NULL;
}

static void wish_order(struct wishes *wishes, struct query query, const struct mr_app_sort *sort)
{
    const struct mr_sql_column *columns[] = {NULL, query.owner};
    struct wish wish = {.place = mr_yaml_place(sort->node), .what = "the order by", .name = sort->field};
    struct mr_buf sql = {0};

    query.column = column_of(query.resource, query.table, sort->field);
    if (query.column == NULL)
        return;
    columns[0] = query.column;
    query.is_unique = mr_catalogue_is_unique(query.table, columns, 1) || mr_catalogue_is_unique(query.table, columns, 2);
    ordered_sql(&sql, &query, sort->descending);
    add(wishes, &query, wish, &sql, false);
}

/* What is unequal to a value is nearly everything, and no index finds that. */
static void wish_filter(struct wishes *wishes, struct query query, const struct mr_app_filter *filter)
{
    static const char *const comparisons[] = {[MR_APP_EQUAL] = "=",
                                              [MR_APP_LESS] = "<",
                                              [MR_APP_LESS_EQUAL] = "<=",
                                              [MR_APP_GREATER] = ">",
                                              [MR_APP_GREATER_EQUAL] = ">="};
    struct wish wish = {.place = mr_yaml_place(filter->node), .what = "the filter", .name = filter->parameter};
    struct mr_buf sql = {0};

    query.column = column_of(query.resource, query.table, filter->field);
    if (query.column == NULL || filter->comparison == MR_APP_UNEQUAL)
        return;
    if (filter->comparison == MR_APP_EQUAL && mr_catalogue_is_unique(query.table, &query.column, 1))
        query.owner = NULL; /* of the one row that is found, the owner may be looked at */
    filtered_sql(&sql, &query, comparisons[filter->comparison]);
    add(wishes, &query, wish, &sql, true);
}

static void wish_list(struct wishes *wishes, const struct mr_app_resource *resource)
{
    struct query query = {.resource = resource};

    if (resource->node == NULL || resource->table == NULL || (resource->operations & 1U << MR_APP_LIST) == 0)
        return;
    query.table = mr_catalogue_table(&wishes->self->catalogue, resource->table);
    if (query.table == NULL || mr_catalogue_column(query.table, "id") == NULL)
        return; /* told */
    query.owner = resource->owner != NULL ? mr_catalogue_column(query.table, resource->owner) : NULL;
    if (resource->owner != NULL && query.owner == NULL)
        return;
    for (unsigned i = 0; i < resource->list.sort.count; i++)
        wish_order(wishes, query, &resource->list.sort.items[i]);
    for (unsigned i = 0; i < resource->list.filter.count; i++)
        wish_filter(wishes, query, &resource->list.filter.items[i]);
}

/* ---- Answers ---- */

static void take_answers(struct wishes *wishes, const mr_rows *rows)
{
    for (unsigned i = 0; i < wishes->count && i < mr_rows_count(rows); i++) {
        const struct wish *wish = &wishes->items[i];
        struct mr_slice answer = {"", 0};

        mr_rows_get(rows, i, 0, &answer);
        if (mr_slice_is(answer, "no"))
            complain(wishes->self, wish->place, "no index serves %s %s, expected CREATE INDEX ON %s", wish->what, wish->name,
                     wish->index);
        else if (!mr_slice_is(answer, "yes"))
            complain(wishes->self, wish->place, "%s %s cannot be planned: %.*s", wish->what, wish->name, (int)answer.len,
                     answer.data);
    }
}

static mr_status ask(struct wishes *wishes)
{
    mr_db *db = wishes->self->options->db;
    mr_rows *rows = NULL;
    mr_status status = mr_db_exec(db, PREPARE_SQL, verify_deadline(), NULL);

    mr_buf_text(&wishes->sql, ") AS q (n, query, compared) ORDER BY n");
    mr_buf_char(&wishes->sql, '\0');
    if (status == MR_OK && (wishes->sql.failed || wishes->arena.failed))
        status = MR_NO_MEMORY;
    if (status == MR_OK)
        status = mr_db_exec(db, wishes->sql.data, verify_deadline(), &rows);
    if (status == MR_OK)
        take_answers(wishes, rows);
    mr_rows_free(&rows);
    return status;
}

mr_status verify_indexes(struct verifying *self)
{
    struct wishes wishes = {.self = self};
    mr_status status = MR_OK;

    mr_buf_text(&wishes.sql, "SELECT pg_temp.millrace_served(query, compared) FROM (VALUES ");
    for (unsigned i = 0; i < self->application->resource_count; i++)
        wish_list(&wishes, &self->application->resources[i]);
    if (wishes.count > 0)
        status = ask(&wishes);
    mr_buf_fini(&wishes.sql);
    mr_arena_fini(&wishes.arena);
    return status;
}
