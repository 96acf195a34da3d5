#include "runtime/rows.h"

static int *reserved(struct mr_row_plan *plan, const char *name)
{
    const struct {
        const char *name;
        int *index;
    } table[] = {{"$status", &plan->status},      {"$field", &plan->field},
                 {"$next", &plan->next},          {"$message", &plan->message},
                 {"$version", &plan->version},    {"$page", &plan->page},
                 {"$pageSize", &plan->page_size}, {"$totalItems", &plan->total_items},
                 {"$take", &plan->take},          {"$key", &plan->key}};

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(name, table[i].name) == 0)
            return table[i].index;
    return NULL;
}

static void add_column(struct mr_row_plan *plan, unsigned index, const char *name, bool may_be_unsaid)
{
    const char *dot = strchr(name, '.');
    struct mr_column *column = &plan->columns[plan->count++];

    column->index = index;
    column->may_be_unsaid = may_be_unsaid;
    column->group = dot != NULL ? (struct mr_slice){name, (size_t)(dot - name)} : (struct mr_slice){name, 0};
    column->name = mr_slice_of(dot != NULL ? dot + 1 : name);
}

/* All but the columns, which are many and are told by their count. */
static void clear(struct mr_row_plan *out)
{
    out->count = 0;
    out->ordinal = -1;
    out->status = out->field = out->message = out->next = out->version = out->id = -1;
    out->page = out->page_size = out->total_items = out->take = out->key = -1;
    out->unsaid = NULL;
}

/* `ordinal` NULL: there is none. */
static mr_status plan_columns(struct mr_row_plan *out, const mr_rows *rows, const char *ordinal)
{
    unsigned columns = mr_rows_columns(rows);

    clear(out);
    for (unsigned i = 0; i < columns; i++) {
        const char *name = mr_rows_name(rows, i);
        int *index = reserved(out, name);

        if (index != NULL)
            *index = (int)i;
        else if (ordinal != NULL && strcmp(name, ordinal) == 0)
            out->ordinal = (int)i;
        else if (out->count == MR_COLUMNS_MAX)
            return MR_INTERNAL;
        else
            add_column(out, i, name, mr_type_may_be_unsaid(mr_rows_type(rows, i)));
        if (strcmp(name, "id") == 0 && mr_rows_is_uuid(rows, i))
            out->id = (int)i;
    }
    return ordinal == NULL || out->ordinal >= 0 ? MR_OK : MR_INTERNAL;
}

mr_status mr_row_plan_init(struct mr_row_plan *out, const mr_rows *rows)
{
    const char *ordinal = "n";

    for (unsigned i = 0; i < mr_rows_columns(rows); i++)
        if (strcmp(mr_rows_name(rows, i), "$n") == 0)
            ordinal = "$n";
    return plan_columns(out, rows, ordinal);
}

mr_status mr_row_plan_init_single(struct mr_row_plan *out, const mr_rows *rows)
{
    return plan_columns(out, rows, NULL);
}

static struct mr_slice text_or_empty(const mr_rows *rows, unsigned row, int column)
{
    struct mr_slice text = {"", 0};

    if (column >= 0)
        mr_rows_get(rows, row, (unsigned)column, &text);
    return text;
}

static int64_t int_or_zero(const mr_rows *rows, unsigned row, int column)
{
    return column >= 0 ? mr_rows_int(rows, row, (unsigned)column, 0) : 0;
}

void mr_row_read(struct mr_row *out, const struct mr_row_plan *plan, const mr_rows *rows, unsigned row)
{
    out->status = int_or_zero(rows, row, plan->status);
    out->field = text_or_empty(rows, row, plan->field);
    out->message = text_or_empty(rows, row, plan->message);
    out->head.next = text_or_empty(rows, row, plan->next);
    out->head.version = int_or_zero(rows, row, plan->version);
    out->head.id = text_or_empty(rows, row, plan->id);
}

/* What a row takes in an answer, about: its values, and something for their names. */
static size_t row_bytes(const struct mr_row_plan *plan, const mr_rows *rows, unsigned row)
{
    struct mr_slice value;
    size_t bytes = 0;

    for (unsigned i = 0; i < plan->count; i++)
        if (mr_rows_get(rows, row, plan->columns[i].index, &value))
            bytes += value.len + plan->columns[i].name.len;
    return bytes;
}

unsigned mr_rows_fit(const struct mr_row_plan *plan, const mr_rows *rows, unsigned from, unsigned to, struct mr_buf *next)
{
    int64_t take = plan->take >= 0 ? mr_rows_int(rows, from, (unsigned)plan->take, 0) : 0;
    unsigned end = from + 1;
    size_t bytes;

    if (take <= 0 || plan->id < 0)
        return to;
    bytes = row_bytes(plan, rows, from);
    for (; end < to && end - from < take; end++) {
        bytes += row_bytes(plan, rows, end);
        if (bytes > MR_LIST_BYTES)
            break;
    }
    if (end < to)
        mr_rows_cursor(next, rows, end - 1, (unsigned)plan->id, plan->key);
    return end;
}

/* What of a row goes into the JSON. It is asked for several times, so it is looked up once. */
static void note_present(struct mr_row_plan *plan, const mr_rows *rows, unsigned row)
{
    struct mr_slice ignored;

    for (unsigned i = 0; i < plan->count; i++) {
        struct mr_column *column = &plan->columns[i];

        column->is_present = mr_rows_get(rows, row, column->index, &ignored);
        if (!column->is_present || !column->may_be_unsaid || mr_rows_says(rows, row, column->index))
            continue;
        column->is_present = false;
        plan->unsaid = mr_rows_name(rows, column->index);
    }
}

/* The columns from `at` on that nest under one name, and how many of them are present. */
static unsigned group_end(const struct mr_row_plan *plan, unsigned at, uint32_t *present)
{
    struct mr_slice group = plan->columns[at].group;
    unsigned end = at;

    *present = 0;
    for (; end < plan->count && plan->columns[end].group.len == group.len &&
           memcmp(plan->columns[end].group.data, group.data, group.len) == 0;
         end++)
        *present += plan->columns[end].is_present;
    return end;
}

static mr_status write_members(struct mr_buf *out, const struct mr_row_plan *plan, const mr_rows *rows, unsigned row,
                               unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        if (!plan->columns[i].is_present)
            continue;
        mr_wire_text(out, plan->columns[i].name);
        if (mr_rows_wire(rows, row, plan->columns[i].index, out) != MR_OK)
            return MR_INTERNAL;
    }
    return MR_OK;
}

/* Takes the row in hand. Members of the object it becomes: its top-level columns, and each nested object once. */
static uint32_t count_members(struct mr_row_plan *plan, const mr_rows *rows, unsigned row)
{
    uint32_t members = 0;
    uint32_t present;

    note_present(plan, rows, row);
    for (unsigned i = 0; i < plan->count;) {
        unsigned end = group_end(plan, i, &present);

        members += plan->columns[i].group.len == 0 ? present : present > 0;
        i = end;
    }
    return members;
}

/* Of the row in hand, which has that many members. */
static mr_status write_object(struct mr_buf *out, const struct mr_row_plan *plan, const mr_rows *rows, unsigned row,
                              uint32_t members)
{
    uint32_t present;

    mr_wire_map(out, members);
    for (unsigned i = 0; i < plan->count;) {
        unsigned end = group_end(plan, i, &present);

        if (plan->columns[i].group.len > 0 && present > 0) {
            mr_wire_text(out, plan->columns[i].group);
            mr_wire_map(out, present);
        }
        if (present > 0 && write_members(out, plan, rows, row, i, end) != MR_OK)
            return MR_INTERNAL;
        i = end;
    }
    return MR_OK;
}

static mr_status write_array(struct mr_buf *out, struct mr_row_plan *plan, const mr_rows *rows, unsigned from, unsigned to)
{
    uint32_t items = 0;

    for (unsigned row = from; row < to; row++)
        items += count_members(plan, rows, row) > 0;
    mr_wire_array(out, items);
    for (unsigned row = from; row < to; row++) {
        uint32_t members = count_members(plan, rows, row);

        if (members > 0 && write_object(out, plan, rows, row, members) != MR_OK)
            return MR_INTERNAL;
    }
    return MR_OK;
}

static void write_pagination(struct mr_buf *out, int64_t page, int64_t page_size, int64_t items)
{
    const struct {
        const char *name;
        int64_t value;
    } members[] = {{"page", page},
                   {"pageSize", page_size},
                   {"totalItems", items},
                   {"totalPages", page_size > 0 ? (items + page_size - 1) / page_size : 0}};

    mr_wire_map(out, 4);
    for (size_t i = 0; i < 4; i++) {
        mr_wire_text(out, mr_slice_of(members[i].name));
        mr_wire_int(out, members[i].value);
    }
}

static mr_status write_page(struct mr_buf *out, struct mr_row_plan *plan, const mr_rows *rows, unsigned from, unsigned to)
{
    mr_status status;

    mr_wire_map(out, 2);
    mr_wire_text(out, MR_SLICE("data"));
    status = write_array(out, plan, rows, from, to);
    mr_wire_text(out, MR_SLICE("pagination"));
    write_pagination(out, int_or_zero(rows, from, plan->page), int_or_zero(rows, from, plan->page_size),
                     int_or_zero(rows, from, plan->total_items));
    return status;
}

mr_status mr_rows_body(struct mr_buf *out, enum mr_shape shape, struct mr_row_plan *plan, const mr_rows *rows, unsigned from,
                       unsigned to)
{
    switch (shape) {
    case MR_SHAPE_NONE: mr_wire_nil(out); return MR_OK;
    case MR_SHAPE_ONE: return write_object(out, plan, rows, from, count_members(plan, rows, from));
    case MR_SHAPE_MANY: return write_array(out, plan, rows, from, to);
    case MR_SHAPE_PAGE: return write_page(out, plan, rows, from, to);
    }
    return MR_INTERNAL;
}
