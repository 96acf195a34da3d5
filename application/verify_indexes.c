/*
 * What lists need: each order an index that has it, each filter one that finds its rows, and words one of words. The queries are the
 * parts of what application/list_sql.c writes.
 */
#include "application/making.h"
#include "application/verify_plans.h"

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

static void ordered_sql(struct mr_buf *out, const struct query *query, const char *condition, bool descending)
{
    const char *direction = descending ? " DESC" : "";

    narrow(out, query);
    mr_sql_name(out, query->column->name);
    mr_buf_printf(out, " %s ORDER BY ", condition);
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

static void searched_sql(struct mr_buf *out, const struct query *query)
{
    mr_buf_text(out, "SELECT id FROM ");
    mr_sql_name(out, query->table->name);
    mr_buf_text(out, " AS \"t\" WHERE ");
    mr_sql_words(out, query->resource, "t");
    mr_buf_text(out, " @@ (SELECT NULL::tsquery OFFSET 0)");
}

/* ---- Wishes ---- */

/* "product (price, id)" */
static const char *index_for(struct wishes *wishes, const struct query *query)
{
    struct mr_buf text = {0};
    const char *out;

    mr_buf_printf(&text, "%s (%s%s%s%s)", query->table->quoted, query->owner != NULL ? query->owner->quoted : "",
                  query->owner != NULL ? ", " : "", query->column->quoted,
                  strcmp(query->column->name, "id") != 0 ? ", id" : "");
    out = mr_arena_text(&wishes->arena, (struct mr_slice){text.data, text.len});
    wishes->arena.failed = wishes->arena.failed || text.failed;
    mr_buf_fini(&text);
    return out;
}

/* "product USING gin ((to_tsvector('simple', ...)))": the words as they stand in the statement, without its alias. */
static const char *index_for_words(struct wishes *wishes, const struct query *query)
{
    static const char alias[] = "\"t\".";
    struct mr_buf words = {0};
    struct mr_buf text = {0};
    const char *out = "";

    mr_sql_words(&words, query->resource, "t");
    mr_buf_char(&words, '\0');
    mr_buf_printf(&text, "%s USING gin (", query->table->quoted);
    for (const char *at = words.failed ? "" : words.data; *at != '\0'; at++) {
        if (strncmp(at, alias, strlen(alias)) == 0)
            at += strlen(alias);
        mr_buf_char(&text, *at);
    }
    mr_buf_char(&text, ')');
    if (!text.failed)
        out = mr_arena_text(&wishes->arena, (struct mr_slice){text.data, text.len});
    wishes->arena.failed = wishes->arena.failed || words.failed || text.failed;
    mr_buf_fini(&words);
    mr_buf_fini(&text);
    return out;
}

/* The column of a field by its name, also of those that every resource has. */
static const struct mr_sql_column *column_of(const struct mr_app_resource *resource, const struct mr_sql_table *table,
                                             const char *name)
{
    const char *column = verify_column_name(resource, name);
    const struct mr_app_field *field = mr_app_field(&resource->fields, name);

    if (field != NULL && (field->many || field->type.index == MR_APP_JSON)) /* it cannot be compared, and that has been told */
        return NULL;
    return column != NULL ? mr_catalogue_column(table, column) : NULL;
}

/* In the order of what a field references: the rows of each value in the order of their ids. */
static void wish_order_through(struct wishes *wishes, struct query query, const struct mr_app_sort *sort)
{
    const struct mr_sql_column *compared[2];
    struct wish wish = {.place = mr_yaml_place(sort->node), .what = "the order by", .name = sort->field};
    struct mr_buf sql = {0};

    query.column = column_of(query.resource, query.table, sort->through);
    if (query.column == NULL)
        return;
    compared[0] = query.column;
    compared[1] = query.owner;
    wish.index = index_for(wishes, &query);
    filtered_sql(&sql, &query, "=");
    mr_buf_printf(&sql, " ORDER BY id%s", sort->descending ? " DESC" : "");
    wishes_add(wishes, wish, &sql, compared, 2);
}

static void wish_order(struct wishes *wishes, struct query query, const struct mr_app_sort *sort, struct mr_place place)
{
    const struct mr_app_field *field = mr_app_field(&query.resource->fields, sort->field);
    const struct mr_sql_column *columns[] = {NULL, query.owner};
    struct wish wish = {.place = place, .what = "the order by", .name = sort->field};
    struct mr_buf sql = {0};

    query.column = column_of(query.resource, query.table, sort->field);
    if (query.column == NULL)
        return;
    columns[0] = query.column;
    query.is_unique = mr_catalogue_is_unique(query.table, columns, 1) || mr_catalogue_is_unique(query.table, columns, 2);
    wish.index = index_for(wishes, &query);
    ordered_sql(&sql, &query, "IS NOT NULL", sort->descending);
    wishes_add(wishes, wish, &sql, &query.owner, 1);
    if (query.column->is_not_null || field == NULL || field->required)
        return;
    sql = (struct mr_buf){0};
    query.is_unique = false; /* any number of rows may have none; they come last, in the order of their ids */
    ordered_sql(&sql, &query, "IS NULL", sort->descending);
    columns[1] = query.owner;
    wishes_add(wishes, wish, &sql, columns, 2);
}

/* Without a declared order a list has the newest first. */
static void wish_default_order(struct wishes *wishes, const struct query *query)
{
    static const struct mr_app_sort newest = {.field = "createdAt", .descending = true};

    if (query->resource->list.sort.count == 0)
        wish_order(wishes, *query, &newest, mr_yaml_place_of(query->resource->node, "list"));
}

static void wish_search(struct wishes *wishes, const struct query *query)
{
    const struct mr_app_names *search = &query->resource->list.search;
    struct wish wish = {.what = "the search", .name = "q"};
    struct mr_buf sql = {0};

    for (unsigned i = 0; i < search->count; i++) {
        const struct mr_app_field *field = mr_app_field(&query->resource->fields, search->items[i].name);

        if (field == NULL || !field->type.is_set || field->column == NULL ||
            mr_catalogue_column(query->table, field->column) == NULL)
            return; /* told */
    }
    if (search->count == 0)
        return;
    wish.place = mr_yaml_place(search->items[0].node);
    wish.index = index_for_words(wishes, query);
    searched_sql(&sql, query);
    wishes_add(wishes, wish, &sql, NULL, 0);
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
    const struct mr_sql_column *compared[2];
    struct mr_buf sql = {0};

    query.column = column_of(query.resource, query.table, filter->field);
    if (query.column == NULL || filter->comparison == MR_APP_UNEQUAL)
        return;
    if (filter->comparison == MR_APP_EQUAL && mr_catalogue_is_unique(query.table, &query.column, 1))
        query.owner = NULL; /* of the one row that is found, the owner may be looked at */
    compared[0] = query.column;
    compared[1] = query.owner;
    wish.index = index_for(wishes, &query);
    filtered_sql(&sql, &query, comparisons[filter->comparison]);
    wishes_add(wishes, wish, &sql, compared, 2);
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
    for (unsigned i = 0; i < resource->list.sort.count; i++) {
        const struct mr_app_sort *sort = &resource->list.sort.items[i];

        if (sort->through != NULL)
            wish_order_through(wishes, query, sort);
        else
            wish_order(wishes, query, sort, mr_yaml_place(sort->node));
    }
    wish_default_order(wishes, &query);
    for (unsigned i = 0; i < resource->list.filter.count; i++)
        wish_filter(wishes, query, &resource->list.filter.items[i]);
    wish_search(wishes, &query);
}

mr_status verify_indexes(struct verifying *self)
{
    struct wishes wishes = {.self = self};
    mr_status status;

    for (unsigned i = 0; i < self->application->resource_count; i++)
        wish_list(&wishes, &self->application->resources[i]);
    status = wishes_ask(&wishes);
    wishes_fini(&wishes);
    return status;
}
