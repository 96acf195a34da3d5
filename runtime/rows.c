#include "runtime/rows.h"

#include <stdlib.h>

#include "proto/json.h"

/* A column of the result, whatever becomes of it. */
struct told {
    uint32_t type;
    size_t name_bytes; /* with its NUL */
};

struct mr_row_plan {
    int ordinal;
    int status, field, code, message, next, version, id, page, page_size, total_items, take, key,
        pending; /* column index, -1: none */
    bool single;
    unsigned width; /* columns of the result */
    struct told *told;
    struct mr_buf text; /* what the slices of the columns borrow, and before that the names of all, each with a NUL */
    unsigned count;
    struct mr_column *columns;
};

/* ---- Plans ---- */

static int *reserved(struct mr_row_plan *plan, const char *name)
{
    const struct {
        const char *name;
        int *index;
    } table[] = {{"$status", &plan->status},      {"$field", &plan->field},
                 {"$next", &plan->next},          {"$message", &plan->message},
                 {"$version", &plan->version},    {"$page", &plan->page},
                 {"$pageSize", &plan->page_size}, {"$totalItems", &plan->total_items},
                 {"$take", &plan->take},          {"$key", &plan->key},
                 {"$code", &plan->code},          {"$pending", &plan->pending}};

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(name, table[i].name) == 0)
            return table[i].index;
    return NULL;
}

static void plan_destroy(struct mr_row_plan **self)
{
    if (*self == NULL)
        return;
    mr_buf_fini(&(*self)->text);
    free((*self)->told);
    free((*self)->columns);
    free(*self);
    *self = NULL;
}

static struct mr_row_plan *plan_new(unsigned width, bool single)
{
    struct mr_row_plan *self = calloc(1, sizeof *self);

    if (self == NULL)
        return NULL;
    self->width = width;
    self->single = single;
    self->told = calloc(width + 1, sizeof *self->told);
    self->columns = calloc(width + 1, sizeof *self->columns);
    self->ordinal = -1;
    self->status = self->field = self->code = self->message = self->next = self->version = self->id = -1;
    self->page = self->page_size = self->total_items = self->take = self->key = self->pending = -1;
    if (self->told == NULL || self->columns == NULL)
        plan_destroy(&self);
    return self;
}

/* `,"name":`, and a brace behind it; its text is found by its length when all of it is there. */
static struct mr_slice add_name(struct mr_buf *text, struct mr_slice name, bool opens)
{
    size_t before = text->len;

    mr_buf_char(text, ',');
    mr_json_string(text, name);
    mr_buf_text(text, opens ? ":{" : ":");
    return (struct mr_slice){NULL, text->len - before};
}

static void add_column(struct mr_row_plan *self, unsigned index, const char *name)
{
    const char *dot = strchr(name, '.');
    struct mr_column *column = &self->columns[self->count++];
    struct mr_slice own = mr_slice_of(dot != NULL ? dot + 1 : name);

    column->index = index;
    column->type = self->told[index].type;
    column->write = mr_column_writer_of(column->type);
    column->name_bytes = own.len;
    column->member = add_name(&self->text, own, false);
    if (dot != NULL && dot > name)
        column->open = add_name(&self->text, (struct mr_slice){name, (size_t)(dot - name)}, true);
}

/* The text has come to rest: its pieces stand behind the names in the order in which they were added. */
static void place_names(struct mr_row_plan *self, size_t at)
{
    for (unsigned i = 0; i < self->count; i++) {
        struct mr_column *column = &self->columns[i];

        column->member.data = self->text.data + at;
        at += column->member.len;
        column->open.data = self->text.data + at;
        at += column->open.len;
    }
}

static bool is_together(const struct mr_column *a, const struct mr_column *b)
{
    return a->open.len == b->open.len && memcmp(a->open.data, b->open.data, a->open.len) == 0;
}

static void find_runs(struct mr_row_plan *self)
{
    for (unsigned i = self->count; i-- > 0;) {
        struct mr_column *column = &self->columns[i];

        column->run_end = i + 1 < self->count && is_together(column, column + 1) ? column[1].run_end : i + 1;
    }
}

static const char *ordinal_of(const mr_rows *rows, bool single)
{
    for (unsigned i = 0; !single && i < mr_rows_columns(rows); i++)
        if (strcmp(mr_rows_name(rows, i), "$n") == 0)
            return "$n";
    return single ? NULL : "n";
}

static mr_status plan_columns(struct mr_row_plan *self, const mr_rows *rows)
{
    const char *ordinal = ordinal_of(rows, self->single);

    for (unsigned i = 0; i < self->width; i++) {
        const char *name = mr_rows_name(rows, i);
        int *index = reserved(self, name);

        if (index != NULL)
            *index = (int)i;
        else if (ordinal != NULL && strcmp(name, ordinal) == 0)
            self->ordinal = (int)i;
        else if (self->count == MR_COLUMNS_MAX)
            return MR_INTERNAL;
        else
            add_column(self, i, name);
        if (strcmp(name, "id") == 0 && mr_type_is_uuid(self->told[i].type))
            self->id = (int)i;
    }
    return ordinal == NULL || self->ordinal >= 0 ? MR_OK : MR_INTERNAL;
}

static mr_status plan_make(struct mr_row_plan **out, const mr_rows *rows, bool single)
{
    struct mr_row_plan *self = plan_new(mr_rows_columns(rows), single);
    mr_status status;
    size_t names;

    if (self == NULL)
        return MR_NO_MEMORY;
    for (unsigned i = 0; i < self->width; i++) {
        const char *name = mr_rows_name(rows, i);

        self->told[i] = (struct told){mr_rows_type(rows, i), strlen(name) + 1};
        mr_buf_append(&self->text, name, self->told[i].name_bytes);
    }
    names = self->text.len;
    status = plan_columns(self, rows);
    if (status == MR_OK && self->text.failed)
        status = MR_NO_MEMORY;
    if (status != MR_OK) {
        plan_destroy(&self);
        return status;
    }
    place_names(self, names);
    find_runs(self);
    *out = self;
    return MR_OK;
}

/* Whether it says of these rows what a plan made of them would: a statement may change with the connection that it is prepared on. */
static bool fits(const struct mr_row_plan *self, const mr_rows *rows, bool single)
{
    const char *name = self->text.data;

    if (self->single != single || self->width != mr_rows_columns(rows))
        return false;
    for (unsigned i = 0; i < self->width; i++) {
        if (self->told[i].type != mr_rows_type(rows, i) || strcmp(name, mr_rows_name(rows, i)) != 0)
            return false;
        name += self->told[i].name_bytes;
    }
    return true;
}

/* FNV-1a. */
static unsigned place_of(const char *statement)
{
    uint32_t hash = 2166136261U;

    for (; *statement != '\0'; statement++)
        hash = (hash ^ (unsigned char)*statement) * 16777619U;
    return hash % MR_ROW_PLANS;
}

enum { NEAR_BY = 4 };

/* Where the plan is, or can be: one of the places that the name leads to. Where all are taken the first has to go. */
static struct mr_row_plan **find_place(struct mr_row_plans *self, const char *statement, const mr_rows *rows, bool single)
{
    unsigned first = place_of(statement);

    for (unsigned i = 0; i < NEAR_BY; i++) {
        struct mr_row_plan **place = &self->plans[(first + i) % MR_ROW_PLANS];

        if (*place == NULL || fits(*place, rows, single))
            return place;
    }
    plan_destroy(&self->plans[first]);
    return &self->plans[first];
}

mr_status mr_row_plan_find(struct mr_row_plans *self, const struct mr_row_plan **out, const char *statement,
                           const mr_rows *rows, bool single)
{
    struct mr_row_plan **place = find_place(self, statement, rows, single);
    mr_status status = MR_OK;

    if (*place == NULL)
        status = plan_make(place, rows, single);
    if (status == MR_OK)
        *out = *place;
    return status;
}

void mr_row_plans_fini(struct mr_row_plans *self)
{
    for (unsigned i = 0; i < MR_ROW_PLANS; i++)
        plan_destroy(&self->plans[i]);
}

/* ---- What concerns the message as a whole ---- */

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

static bool is_true(const mr_rows *rows, unsigned row, int column)
{
    struct mr_slice value = text_or_empty(rows, row, column);

    return value.len == 1 && value.data[0] == 1;
}

int64_t mr_row_ordinal(const struct mr_row_plan *plan, const mr_rows *rows, unsigned row)
{
    return int_or_zero(rows, row, plan->ordinal);
}

void mr_row_read(struct mr_row *out, const struct mr_row_plan *plan, const mr_rows *rows, unsigned row)
{
    out->status = int_or_zero(rows, row, plan->status);
    out->field = text_or_empty(rows, row, plan->field);
    out->code = text_or_empty(rows, row, plan->code);
    out->message = text_or_empty(rows, row, plan->message);
    if (mr_slice_is_blank(out->message))
        out->message.len = 0;
    out->head.next = text_or_empty(rows, row, plan->next);
    out->head.version = int_or_zero(rows, row, plan->version);
    out->head.id = text_or_empty(rows, row, plan->id);
    out->head.claims = (struct mr_slice){"", 0};
    out->head.pending = is_true(rows, row, plan->pending);
}

/* ---- Bodies ---- */

/* A body under way. */
struct writer {
    struct mr_buf *out;
    const struct mr_row_plan *plan;
    const mr_rows *rows;
    struct mr_body_notes *notes;
    size_t bytes; /* of the rows so far, about: their values, and something for their names */
    bool broken;  /* a value was not understood */
};

/* In front of a member there is a comma, unless it is the first of its object. */
static void write_name(struct mr_buf *out, struct mr_slice name, bool first)
{
    mr_buf_append(out, name.data + first, name.len - first);
}

/* Whether it is there. */
static bool write_member(struct writer *self, const struct mr_column *column, unsigned row, bool first)
{
    struct mr_buf *out = self->out;
    size_t before = out->len;
    struct mr_slice value;
    enum mr_said said;

    if (!mr_rows_get(self->rows, row, column->index, &value))
        return false;
    self->bytes += value.len + column->name_bytes;
    write_name(out, column->member, first);
    said = column->write(out, column->type, value);
    if (said == MR_SAID)
        return true;
    out->len = before;
    if (said == MR_UNSAID)
        self->notes->unsaid = mr_rows_name(self->rows, column->index);
    else
        self->broken = true;
    return false;
}

/* The columns [from, to) as members of one object, of which none was written before if `first`. Whether any is there now. */
static bool write_members(struct writer *self, unsigned from, unsigned to, unsigned row, bool first)
{
    bool none = first;

    for (unsigned i = from; i < to; i++)
        if (write_member(self, &self->plan->columns[i], row, none))
            none = false;
    return !none;
}

/* The same columns as an object under their own name. */
static bool write_group(struct writer *self, unsigned from, unsigned to, unsigned row, bool first)
{
    size_t before = self->out->len;

    write_name(self->out, self->plan->columns[from].open, first);
    if (!write_members(self, from, to, row, true)) {
        self->out->len = before;
        return !first;
    }
    mr_buf_char(self->out, '}');
    return true;
}

/* Whether it has any member. */
static bool write_object(struct writer *self, unsigned row)
{
    const struct mr_row_plan *plan = self->plan;
    bool any = false;

    mr_buf_char(self->out, '{');
    for (unsigned i = 0, end; i < plan->count; i = end) {
        end = plan->columns[i].run_end;
        any = plan->columns[i].open.len == 0 ? write_members(self, i, end, row, !any) : write_group(self, i, end, row, !any);
    }
    mr_buf_char(self->out, '}');
    return any;
}

/* The row as an element of an array. A row without a member is none. */
static bool write_item(struct writer *self, unsigned row, bool first)
{
    size_t before = self->out->len;

    if (!first)
        mr_buf_char(self->out, ',');
    if (write_object(self, row))
        return true;
    self->out->len = before;
    return false;
}

/* How many rows the array may have at most; 0: it has no bounds. */
static int64_t bound_of(const struct writer *self, unsigned from)
{
    int64_t take = self->plan->id >= 0 ? int_or_zero(self->rows, from, self->plan->take) : 0;

    return take > 0 ? take : 0;
}

/* The rows of an array with bounds, until it is full. Returns the row behind its last. */
static unsigned write_bounded(struct writer *self, unsigned from, unsigned end)
{
    bool any = write_item(self, from, true);
    unsigned row = from + 1;

    for (; row < end; row++) {
        struct writer before = *self;
        const char *unsaid = self->notes->unsaid;
        size_t len = self->out->len;
        bool is_item = write_item(self, row, !any);

        if (self->bytes > MR_LIST_BYTES) { /* as if it had not been looked at */
            *self = before;
            self->notes->unsaid = unsaid;
            self->out->len = len;
            break;
        }
        any |= is_item;
    }
    return row;
}

static void write_array(struct writer *self, unsigned from, unsigned to)
{
    int64_t take = bound_of(self, from);
    unsigned end = take > 0 && take < to - from ? from + (unsigned)take : to;
    bool any = false;

    mr_buf_char(self->out, '[');
    if (take > 0)
        end = write_bounded(self, from, end);
    for (unsigned row = from; take == 0 && row < to; row++)
        any |= write_item(self, row, !any);
    mr_buf_char(self->out, ']');
    if (end < to)
        mr_rows_cursor(&self->notes->next, self->rows, end - 1, (unsigned)self->plan->id, self->plan->key);
}

static void write_page(struct writer *self, unsigned from, unsigned to)
{
    const struct mr_row_plan *plan = self->plan;
    int64_t size = int_or_zero(self->rows, from, plan->page_size);
    int64_t items = int_or_zero(self->rows, from, plan->total_items);

    mr_buf_text(self->out, "{\"data\":");
    write_array(self, from, to);
    mr_buf_text(self->out, ",\"pagination\":{\"page\":");
    mr_buf_int(self->out, int_or_zero(self->rows, from, plan->page));
    mr_buf_text(self->out, ",\"pageSize\":");
    mr_buf_int(self->out, size);
    mr_buf_text(self->out, ",\"totalItems\":");
    mr_buf_int(self->out, items);
    mr_buf_text(self->out, ",\"totalPages\":");
    mr_buf_int(self->out, size > 0 ? (items + size - 1) / size : 0);
    mr_buf_text(self->out, "}}");
}

mr_status mr_rows_body(struct mr_buf *out, enum mr_shape shape, const struct mr_row_plan *plan, const mr_rows *rows,
                       unsigned from, unsigned to, struct mr_body_notes *notes)
{
    struct writer self = {.out = out, .plan = plan, .rows = rows, .notes = notes};

    switch (shape) {
    case MR_SHAPE_NONE: mr_buf_text(out, "null"); break;
    case MR_SHAPE_ONE: (void)write_object(&self, from); break;
    case MR_SHAPE_MANY: write_array(&self, from, to); break;
    case MR_SHAPE_PAGE: write_page(&self, from, to); break;
    }
    out->failed |= notes->next.failed;
    return self.broken ? MR_INTERNAL : MR_OK;
}
