/*
 * What a list can be asked for: the fields of its message, and the orders and filters behind them.
 */
#include "application/list.h"

/* ---- Columns ---- */

static bool find_column(const struct mr_app_resource *resource, const char *name, struct list_column *out)
{
    static const struct list_column implied[] = {{"id", "id", MR_APP_UUID, false, NULL},
                                                 {"version", "version", MR_APP_INTEGER, false, NULL},
                                                 {"createdAt", "created_at", MR_APP_TIMESTAMP, false, NULL},
                                                 {"updatedAt", "updated_at", MR_APP_TIMESTAMP, false, NULL}};
    const struct mr_app_field *field = mr_app_field(&resource->fields, name);

    if (field != NULL)
        *out = (struct list_column){name, field->column, (enum mr_app_type)field->type.index, !field->required, field};
    for (size_t i = 0; field == NULL && i < sizeof implied / sizeof implied[0]; i++) {
        if (strcmp(implied[i].name, name) != 0)
            continue;
        *out = implied[i];
        return true;
    }
    return field != NULL;
}

/* What a declared order is by. */
static bool find_order(const struct mr_making *self, const struct mr_app_resource *resource, const struct mr_app_sort *sort,
                       struct list_order *out)
{
    out->through = NULL;
    if (sort->through == NULL)
        return find_column(resource, sort->field, &out->by);
    out->through = mr_app_field(&resource->fields, sort->through);
    out->others = out->through != NULL ? mr_app_resource(self->application, out->through->references.resource) : NULL;
    if (out->others == NULL || !find_column(out->others, sort->of, &out->by))
        return false;
    out->by.name = sort->field;
    return true;
}

static void add_order(struct mr_making *self, struct list *list, struct list_order order)
{
    struct list_order *orders = mr_arena_grow(self->arena, list->orders, list->order_count, sizeof *orders);

    for (unsigned i = 0; i < list->order_count; i++)
        if (strcmp(list->orders[i].by.name, order.by.name) == 0 && list->orders[i].descending == order.descending)
            return;
    if (orders == NULL)
        return;
    list->orders = orders;
    orders[list->order_count++] = order;
}

static void check_order(struct mr_making *self, const struct mr_app_sort *sort, const struct list_column *by)
{
    const struct mr_app_length *length = by->field != NULL ? &by->field->length : NULL;

    if (by->type == MR_APP_TEXT && (length == NULL || !length->is_set || length->max > LIST_KEY_MOST))
        mr_problems_add(self->problems, mr_yaml_place(sort->node),
                        "\"%s\" may be longer than %d characters, expected a field to sort by with a length that is declared",
                        by->name, LIST_KEY_MOST);
}

/* Either direction of what is declared; what is declared comes first. */
void list_find_orders(struct mr_making *self, struct list *list)
{
    const struct mr_app_sorts *sorts = &list->resource->list.sort;
    struct list_order order = {.descending = true};

    for (int turn = 0; turn < 2; turn++)
        for (unsigned i = 0; i < sorts->count; i++) {
            if (!find_order(self, list->resource, &sorts->items[i], &order))
                continue;
            if (turn == 0)
                check_order(self, &sorts->items[i], &order.by);
            order.descending = sorts->items[i].descending != (turn == 1);
            add_order(self, list, order);
        }
    if (list->order_count > 0 || !find_column(list->resource, "createdAt", &order.by))
        return;
    order = (struct list_order){.by = order.by, .descending = true};
    add_order(self, list, order);
    order.descending = false;
    add_order(self, list, order);
}

/* ---- The message ---- */

static void add_field(struct mr_making *self, struct mr_making_fields *fields, unsigned *place, struct mr_field field)
{
    *place = fields->count;
    mr_make_field(self, fields, field);
}

static const char *told(enum mr_app_comparison comparison)
{
    static const char *const words[] = {[MR_APP_EQUAL] = "is",
                                        [MR_APP_UNEQUAL] = "is not",
                                        [MR_APP_LESS] = "is less than",
                                        [MR_APP_LESS_EQUAL] = "is at most",
                                        [MR_APP_GREATER] = "is more than",
                                        [MR_APP_GREATER_EQUAL] = "is at least"};

    return words[comparison];
}

/* A value of the column. What it is compared with as greater or less may be beyond what the column can hold. */
static struct mr_field parameter(struct mr_making *self, const struct list_filter *filter)
{
    static const enum mr_type implied[] = {[MR_APP_UUID] = MR_UUID, [MR_APP_INTEGER] = MR_INT, [MR_APP_TIMESTAMP] = MR_TIME};
    struct mr_field out = {.type = filter->of.field == NULL ? implied[filter->of.type] : MR_TEXT};

    if (filter->of.field != NULL)
        out = mr_field_of(self, filter->of.field, MR_QUERY);
    out.name = filter->parameter;
    out.from = MR_QUERY;
    out.required = false;
    out.clearable = false;
    out.fallback = NULL;
    if (filter->comparison > MR_APP_UNEQUAL && out.type == MR_INT)
        out.min = out.max = 0;
    out.about = mr_make_text(self, "only those whose %s %s this", filter->of.name, told(filter->comparison));
    return out;
}

static void add_filters(struct mr_making *self, struct list *list, struct mr_making_fields *fields, bool by_value)
{
    const struct mr_app_filters *filters = &list->resource->list.filter;

    for (unsigned i = 0; i < filters->count; i++) {
        struct list_filter filter = {.parameter = filters->items[i].parameter, .comparison = filters->items[i].comparison};
        struct list_filter *all;

        if (by_value != (filter.comparison == MR_APP_EQUAL) ||
            !find_column(list->resource, filters->items[i].field, &filter.of))
            continue;
        all = mr_arena_grow(self->arena, list->filters, list->filter_count, sizeof *all);
        add_field(self, fields, &filter.field, parameter(self, &filter));
        if (all == NULL)
            return;
        list->filters = all;
        all[list->filter_count++] = filter;
    }
}

static void check_search(struct mr_making *self, const struct mr_app_resource *resource)
{
    for (unsigned i = 0; i < resource->list.search.count; i++) {
        const struct mr_app_name *name = &resource->list.search.items[i];
        const struct mr_app_field *field = mr_app_field(&resource->fields, name->name);

        if (field != NULL && field->many)
            mr_problems_add(self->problems, mr_yaml_place(name->node), "\"%s\" is an array, expected a field of one text",
                            name->name);
    }
}

static void add_words(struct mr_making *self, struct list *list, struct mr_making_fields *fields)
{
    struct mr_buf names = {0};

    if (list->resource->list.search.count == 0)
        return;
    check_search(self, list->resource);
    for (unsigned i = 0; i < list->resource->list.search.count; i++)
        mr_buf_printf(&names, "%s%s", i > 0 ? ", " : "", list->resource->list.search.items[i].name);
    mr_buf_char(&names, '\0');
    self->arena->failed |= names.failed;
    add_field(self, fields, &list->words,
              (struct mr_field){.name = "q",
                                .type = MR_TEXT,
                                .from = MR_QUERY,
                                .min = 1,
                                .max = 200,
                                .format = MR_FORMAT_WORDS,
                                .about = mr_make_text(self, "only those with all these words in %s; punctuation parts words",
                                                      names.failed ? "" : names.data)});
    mr_buf_fini(&names);
}

static enum mr_cursor_key key_of(const struct list_order *order)
{
    static const enum mr_cursor_key keys[] = {
        [MR_APP_TEXT] = MR_CURSOR_TEXT,       [MR_APP_UUID] = MR_CURSOR_UUID,     [MR_APP_INTEGER] = MR_CURSOR_INTEGER,
        [MR_APP_DECIMAL] = MR_CURSOR_DECIMAL, [MR_APP_NUMBER] = MR_CURSOR_NUMBER, [MR_APP_BOOLEAN] = MR_CURSOR_BOOLEAN,
        [MR_APP_DATE] = MR_CURSOR_DATE,       [MR_APP_TIMESTAMP] = MR_CURSOR_TIME};

    return strcmp(order->by.column, "id") == 0 ? MR_CURSOR_NONE : keys[order->by.type];
}

/* Digits of the longest cursor. */
static int64_t cursor_most(const struct list *list)
{
    int64_t most = 64;

    for (unsigned i = 0; i < list->order_count; i++) {
        const struct mr_app_field *field = list->orders[i].by.field;

        if (key_of(&list->orders[i]) == MR_CURSOR_DECIMAL)
            most = most > 512 ? most : 512;
        if (key_of(&list->orders[i]) == MR_CURSOR_TEXT && field != NULL && most < INT64_C(8) * field->length.max)
            most = INT64_C(8) * field->length.max;
    }
    return MR_CURSOR_LEAST + most;
}

static const enum mr_cursor_key *cursor_keys(struct mr_making *self, const struct list *list)
{
    enum mr_cursor_key *keys = mr_arena_take(self->arena, (list->order_count + 1) * sizeof *keys);

    for (unsigned i = 0; keys != NULL && i < list->order_count; i++)
        keys[i] = key_of(&list->orders[i]);
    return keys;
}

static const char *order_name(struct mr_making *self, const struct list_order *order)
{
    return mr_make_text(self, "%s%s", order->descending ? "-" : "", order->by.name);
}

static void add_sort(struct mr_making *self, struct list *list, struct mr_making_fields *fields)
{
    struct mr_buf choices = {0};

    for (unsigned i = 0; i < list->order_count; i++)
        mr_buf_printf(&choices, "%s%s", i > 0 ? "|" : "", order_name(self, &list->orders[i]));
    add_field(
        self, fields, &list->sort,
        (struct mr_field){.name = "sort",
                          .type = MR_TEXT,
                          .from = MR_QUERY,
                          .format = MR_FORMAT_CHOICE,
                          .fallback = order_name(self, &list->orders[0]),
                          .choices = mr_arena_text(self->arena, (struct mr_slice){choices.data, choices.len}),
                          .about = "the order; with - descending. What has no value there comes last in either direction"});
    self->arena->failed |= choices.failed;
    mr_buf_fini(&choices);
}

static void add_place(struct mr_making *self, struct list *list, struct mr_making_fields *fields)
{
    unsigned cursor;

    add_field(self, fields, &list->limit,
              (struct mr_field){.name = "limit",
                                .type = MR_INT,
                                .from = MR_QUERY,
                                .min = 1,
                                .max = 100,
                                .example = "20",
                                .about = "at most so many; the Link header leads to the rest"});
    add_field(self, fields, &cursor,
              (struct mr_field){.name = "cursor",
                                .type = MR_TEXT,
                                .from = MR_QUERY,
                                .min = MR_CURSOR_LEAST,
                                .max = cursor_most(list),
                                .format = MR_FORMAT_CURSOR,
                                .belongs_to = "sort",
                                .keys = cursor_keys(self, list),
                                .about = "the position that a Link header gave, for the same order"});
    add_field(self, fields, &list->page,
              (struct mr_field){.name = "page",
                                .type = MR_INT,
                                .from = MR_QUERY,
                                .min = 1,
                                .max = 2147483647,
                                .example = "1",
                                .about = "which page, from 1"});
    add_field(self, fields, &list->page_size,
              (struct mr_field){.name = "pageSize",
                                .type = MR_INT,
                                .from = MR_QUERY,
                                .min = 1,
                                .max = 100,
                                .fallback = "10",
                                .example = "10",
                                .about = "how many on a page"});
}

void list_make_fields(struct mr_making *self, struct list *list)
{
    struct mr_making_fields fields = {0};

    if (list->by_user)
        mr_make_caller(self, &fields, mr_access_scopes(list->resource->access.read));
    add_place(self, list, &fields);
    add_filters(self, list, &fields, true);
    add_filters(self, list, &fields, false);
    add_words(self, list, &fields);
    add_sort(self, list, &fields);
    list->fields = mr_make_fields(self, &fields);
}

/* ---- How long rows can be ---- */

bool list_is_long(const struct mr_app_field *field)
{
    if (field == NULL || field->type.index == MR_APP_JSON || field->many)
        return true;
    return field->type.index == MR_APP_TEXT && (!field->length.is_set || field->length.max > 250);
}

static int64_t value_bytes(const struct mr_app_field *field)
{
    int64_t items = field != NULL && field->many ? field->items.is_set ? field->items.max : LIST_TEXT_MOST : 1;
    int64_t bytes = 20;

    if (field == NULL || field->type.index == MR_APP_JSON)
        bytes = LIST_TEXT_MOST;
    else if (field->type.index == MR_APP_TEXT)
        bytes = field->length.is_set ? 4 * field->length.max : LIST_TEXT_MOST;
    return items > 0 && bytes > LIST_TEXT_MOST / items ? LIST_TEXT_MOST : items * bytes;
}

static int64_t row_bytes(const struct mr_application *application, const struct mr_app_resource *resource)
{
    int64_t bytes = 100;

    for (unsigned i = 0; i < resource->fields.count; i++) {
        const struct mr_app_field *field = &resource->fields.items[i];
        const struct mr_app_resource *other =
            field->references.resource != NULL ? mr_app_resource(application, field->references.resource) : NULL;
        const struct mr_app_field *same = other != NULL ? mr_app_field(&other->fields, field->references.field) : NULL;

        /* What it names is as long as what is there. */
        bytes += value_bytes(same != NULL && !field->length.is_set && !field->many ? same : field);
        for (unsigned j = 0; other != NULL && j < field->embed.columns.count; j++)
            bytes += value_bytes(mr_field_of_column(other, field->embed.columns.items[j].name));
    }
    return bytes;
}

int64_t list_few_rows(const struct list *list)
{
    int64_t few = LIST_FEW_BYTES / row_bytes(list->application, list->resource);

    return few > LIST_MOST ? LIST_MOST : few > 1 ? few : 1;
}
