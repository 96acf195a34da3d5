/*
 * GET of many rows: a plain array, a walk by `limit` and `cursor`, or a page; in the orders and with the filters that the
 * resource declares.
 */
#include "application/list.h"

struct list_pick {
    struct mr_pick pick;
    const struct list *list;
    const struct mr_variant *variants;
};

struct list_writing {
    struct mr_writing writing;
    const struct list *list;
};

/* ---- Its statements ---- */

static void write_text(const struct mr_writing *self, unsigned which, struct mr_buf *out)
{
    const struct list *list = ((const struct list_writing *)(const void *)self)->list;
    struct list_case one = list_case_at(list, which);

    list_write(list, &one, out);
}

/* "product_list/walk/-price/category+priceUpTo", "product_list/page/name/many", "product_list/walk/name/q". */
static const char *case_name(struct mr_making *self, const struct list *list, const struct list_case *one)
{
    const struct list_order *order = &list->orders[one->order];
    const char *shape = one->paged ? "page" : "walk";
    const char *direction = order->descending ? "-" : "";
    const char *many = one->many && !one->searched ? "/many" : "";
    const char *first = one->firm_count > 0 ? list->filters[one->firm[0]].parameter : one->searched ? "q" : "";
    const char *second = one->firm_count > 1 ? list->filters[one->firm[1]].parameter : "";

    return mr_make_text(self, "%s_list/%s/%s%s%s%s%s%s%s", list->resource->name, shape, direction, order->by.name, many,
                        first[0] != '\0' ? "/" : "", first, second[0] != '\0' ? "+" : "", second);
}

static const struct mr_variant *make_variants(struct mr_making *self, const struct list *list)
{
    struct list_writing *writing = mr_arena_take(self->arena, sizeof *writing);
    struct mr_variant *variants = mr_arena_take(self->arena, (list_cases(list) + 1) * sizeof *variants);

    if (writing == NULL || variants == NULL)
        return NULL;
    *writing = (struct list_writing){{write_text}, list};
    for (unsigned i = 0; i < list_cases(list); i++) {
        struct list_case one = list_case_at(list, i);
        const char *name = case_name(self, list, &one);

        variants[i].statement = name;
        variants[i].shape = one.paged ? MR_SHAPE_PAGE : MR_SHAPE_MANY;
        variants[i].batch_max = list_batch(list, &one);
        mr_make_written(self, name, &writing->writing, i);
    }
    return variants;
}

/* ---- Which of them answers ---- */

static const struct mr_variant *choose(const struct mr_pick *self, const struct mr_traits *traits,
                                       const struct mr_value *values)
{
    const struct list *list = ((const struct list_pick *)(const void *)self)->list;
    const struct mr_value *rows;
    struct list_case one = {.paged = values[list->page].present, .searched = list->words != 0 && values[list->words].present};
    int order = mr_field_choice(&list->fields[list->sort], values[list->sort].text);

    one.order = order > 0 ? (unsigned)order : 0;
    rows = &values[one.paged ? list->page_size : list->limit];
    one.many = (rows->present ? rows->integer : LIST_MOST) > list->few;
    for (unsigned i = 0; !one.searched && i < list->filter_count && one.firm_count < 2; i++)
        if (values[list->filters[i].field].present)
            one.firm[one.firm_count++] = i;
    return &traits->variants[list_case_number(list, &one)];
}

static const struct mr_pick *make_pick(struct mr_making *self, const struct list *list)
{
    struct list_pick *pick = mr_arena_take(self->arena, sizeof *pick);

    if (pick == NULL)
        return NULL;
    *pick = (struct list_pick){{choose}, list, NULL};
    return &pick->pick;
}

/* ---- The operation ---- */

static struct mr_op_info info_of(struct mr_making *self, const struct list *list, enum mr_access access)
{
    const struct mr_app_resource *resource = list->resource;
    struct mr_traits traits = {
        .summary = mr_make_text(self, "Every %s%s: a plain array, a walk by limit and cursor, or a page",
                                mr_words_of(self, resource->name), resource->owner != NULL ? " of the caller" : ""),
        .shape = MR_SHAPE_MANY,
        .lane = MR_LANE_SLOW,
        .batch_max = LIST_BATCH,
        .rerun_safe = true,
        .cache_s = (unsigned)(resource->cache_ms.value / 1000),
        .returns = mr_result_of(self, resource),
        .continued = true,
        .scopes = mr_access_scopes(resource->access.read),
        .variants = make_variants(self, list),
        .pick = make_pick(self, list),
        .fields = list->fields,
    };

    return (struct mr_op_info){.name = mr_make_text(self, "%s_list", resource->name),
                               .verb = MR_VERB_GET,
                               .path = mr_path_of(self, resource->path),
                               .actor = MR_ACTOR_DATA_READER,
                               .access = access,
                               .http = 200,
                               .handler = MR_BY_SQL,
                               .traits = mr_make_traits(self, &traits)};
}

/* One value, of the caller at most. */
static void read_total(struct mr_making *self, struct list *list)
{
    const char *name = list->resource->list.total;
    const struct mr_app_statement *source = name != NULL ? mr_app_statement(self->application, name) : NULL;
    struct mr_sql sql = {.text = NULL};

    if (source == NULL || !mr_sql_read(&sql, self->arena, source, self->problems))
        return;
    for (unsigned i = 0; i < sql.parameter_count; i++) {
        const struct mr_sql_parameter *parameter = &sql.parameters[i];

        if (strcmp(parameter->name, "now") != 0 && !(list->by_user && strcmp(parameter->name, "caller") == 0))
            mr_problems_add(self->problems, parameter->place, "\":%s\" in a total of %s, expected %s", parameter->name,
                            list->resource->name, list->by_user ? ":caller or :now" : ":now");
    }
    if (sql.kind != MR_SQL_READ)
        mr_problems_add(self->problems, source->begin, "a total that is not a plain query, expected SELECT");
    list->total = sql;
}

void mr_make_list(struct mr_making *self, const struct mr_app_resource *resource)
{
    enum mr_access access = mr_access_of(resource->access.read);
    struct list *list = mr_arena_take(self->arena, sizeof *list);
    struct mr_op_info info;

    if (list == NULL)
        return;
    *list = (struct list){.application = self->application, .resource = resource, .by_user = access != MR_ACCESS_PUBLIC};
    list_find_orders(self, list);
    read_total(self, list);
    list->few = list_few_rows(list);
    if (self->arena->failed || list->order_count == 0)
        return;
    list_make_fields(self, list);
    if (self->arena->failed)
        return;
    info = info_of(self, list, access);
    if (!self->arena->failed)
        mr_make_op(self, &info);
}
