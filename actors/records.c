#include "actors/records.h"

#include <csv.h>
#include <jansson.h>

#include "proto/json.h"
#include "proto/object.h"

/* ---- Where a record ends ---- */

/* A quote within a quoted cell is doubled: outside of cells the number of quotes so far is even. */
static size_t csv_length(struct mr_slice text)
{
    bool quoted = false;

    for (size_t i = 0; i < text.len; i++) {
        quoted ^= text.data[i] == '"';
        if (text.data[i] == '\n' && !quoted)
            return i + 1;
    }
    return 0;
}

static size_t line_length(struct mr_slice text)
{
    const char *end = text.len > 0 ? memchr(text.data, '\n', text.len) : NULL;

    return end != NULL ? (size_t)(end - text.data) + 1 : 0;
}

size_t mr_record_length(struct mr_slice text, bool is_csv, bool is_last)
{
    size_t len = is_csv ? csv_length(text) : line_length(text);

    return len == 0 && is_last ? text.len : len;
}

int64_t mr_record_lines(struct mr_slice text)
{
    int64_t lines = 0;

    for (size_t i = 0; i < text.len; i++)
        lines += text.data[i] == '\n';
    return lines;
}

bool mr_record_is_blank(struct mr_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] == '\0' || strchr(" \t\r\n", text.data[i]) == NULL)
            return false;
    return true;
}

/* ---- Problems ---- */

void mr_record_problem(struct mr_record *self, int64_t line, const char *field, const char *message)
{
    struct mr_buf *out = &self->errors;

    if (self->error_count++ > 0)
        mr_buf_char(out, ',');
    mr_buf_printf(out, "{\"line\":%lld,\"field\":", (long long)line);
    mr_json_string(out, mr_slice_of(field));
    mr_buf_text(out, ",\"message\":");
    mr_json_string(out, mr_slice_of(message));
    mr_buf_char(out, '}');
}

/* What was left out: the usual value, or a problem. Fields in trouble already are in no need of another. */
static void complete(struct mr_record *self, enum mr_op op, int64_t line, const bool *in_trouble)
{
    const struct mr_field *fields = mr_op_info(op)->traits->fields;
    struct mr_problem ignored;

    for (unsigned i = 0; fields[i].name != NULL; i++) {
        if (fields[i].from != MR_BODY || self->values[i].present || in_trouble[i])
            continue;
        if (fields[i].fallback != NULL)
            (void)mr_field_parse(&fields[i], mr_slice_of(fields[i].fallback), &self->values[i], &ignored);
        else if (fields[i].required)
            mr_record_problem(self, line, fields[i].name, "is required");
    }
}

/* ---- JSON ---- */

static void read_members(struct mr_record *self, enum mr_op op, int64_t line, bool *in_trouble)
{
    const struct mr_field *fields = mr_op_info(op)->traits->fields;

    for (unsigned i = 0; fields[i].name != NULL; i++) {
        const json_t *member = fields[i].from == MR_BODY ? json_object_get(self->json, fields[i].name) : NULL;
        struct mr_problem problem;

        if (member == NULL || json_is_null(member) || mr_object_value(&fields[i], member, &self->values[i], &problem))
            continue;
        in_trouble[i] = true;
        mr_record_problem(self, line, fields[i].name, problem.message);
    }
}

static void read_json(struct mr_record *self, struct mr_slice text, enum mr_op op, int64_t line)
{
    bool in_trouble[MR_FIELDS_MAX] = {false};
    const char *detail;

    if (mr_object_load(&self->json, text, &detail) != MR_OK) {
        mr_record_problem(self, line, "", "is not a valid JSON object (RFC 8259, UTF-8)");
        return;
    }
    read_members(self, op, line, in_trouble);
    complete(self, op, line, in_trouble);
}

/* ---- CSV ---- */

/* The cells of a record, one behind the other. */
struct cells {
    struct mr_buf *bytes;
    size_t ends[MR_RECORD_COLUMNS];
    unsigned count;
    unsigned records; /* libcsv ends one at a bare CR, too */
};

static void on_cell(void *data, size_t len, void *argument)
{
    struct cells *self = argument;

    if (self->count < MR_RECORD_COLUMNS) {
        mr_buf_append(self->bytes, data, len);
        self->ends[self->count] = self->bytes->len;
    }
    self->count++;
}

static void on_record(int c, void *argument)
{
    struct cells *self = argument;

    (void)c;
    self->records++;
}

/* Space belongs to its cell (RFC 4180, 2.4). */
static int never(unsigned char c)
{
    (void)c;
    return 0;
}

/* By its own 128 bytes libcsv would grow a cell of half a MiB four thousand times. */
enum { CELL_GROWTH = 16 * 1024 };

static mr_status split(struct cells *self, struct mr_slice text)
{
    struct csv_parser parser;
    bool good;

    if (csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI) != 0)
        return MR_NO_MEMORY;
    csv_set_space_func(&parser, never);
    csv_set_blk_size(&parser, CELL_GROWTH);
    good = csv_parse(&parser, text.data, text.len, on_cell, on_record, self) == text.len &&
           csv_fini(&parser, on_cell, on_record, self) == 0 && self->records <= 1;
    csv_free(&parser);
    if (self->bytes->failed)
        return MR_NO_MEMORY;
    return good ? MR_OK : MR_INVALID;
}

static struct mr_slice cell(const struct cells *self, unsigned i)
{
    size_t from = i > 0 ? self->ends[i - 1] : 0;

    return (struct mr_slice){self->bytes->len > 0 ? self->bytes->data + from : "", self->ends[i] - from};
}

bool mr_record_is_csv(struct mr_slice text)
{
    struct mr_buf bytes = {0};
    struct cells cells = {.bytes = &bytes};
    bool good = split(&cells, text) != MR_INVALID;

    mr_buf_fini(&bytes);
    return good;
}

mr_status mr_record_header(struct mr_slice text, enum mr_op op, int columns[MR_RECORD_COLUMNS], unsigned *count)
{
    const struct mr_field *fields = mr_op_info(op)->traits->fields;
    struct mr_buf bytes = {0};
    struct cells cells = {.bytes = &bytes};
    mr_status status = split(&cells, text);

    if (status == MR_OK && cells.count > MR_RECORD_COLUMNS)
        status = MR_INVALID;
    for (unsigned c = 0; status == MR_OK && c < cells.count; c++) {
        columns[c] = -1;
        for (int i = 0; fields[i].name != NULL; i++)
            if (fields[i].from == MR_BODY && mr_slice_is(cell(&cells, c), fields[i].name))
                columns[c] = i;
    }
    if (status == MR_OK)
        *count = cells.count;
    mr_buf_fini(&bytes);
    return status;
}

/* An empty cell is a value that is left out. */
static void read_cells(struct mr_record *self, const struct cells *cells, enum mr_op op, int64_t line, const int *columns,
                       bool *in_trouble)
{
    const struct mr_field *fields = mr_op_info(op)->traits->fields;

    for (unsigned c = 0; c < cells->count; c++) {
        struct mr_slice text = cell(cells, c);
        struct mr_problem problem;
        int i = columns[c];

        if (i < 0 || text.len == 0 || mr_field_parse(&fields[i], text, &self->values[i], &problem))
            continue;
        in_trouble[i] = true;
        mr_record_problem(self, line, fields[i].name, problem.message);
    }
}

static mr_status read_csv(struct mr_record *self, struct mr_slice text, enum mr_op op, int64_t line, const int *columns,
                          unsigned count)
{
    bool in_trouble[MR_FIELDS_MAX] = {false};
    struct cells cells = {.bytes = &self->cells};
    mr_status status = split(&cells, text);
    char message[80];

    if (status == MR_NO_MEMORY)
        return status;
    if (status != MR_OK) {
        mr_record_problem(self, line, "", "is not valid CSV (RFC 4180)");
    } else if (cells.count != count) {
        snprintf(message, sizeof message, "has %u cells where the header has %u", cells.count, count);
        mr_record_problem(self, line, "", message);
    } else {
        read_cells(self, &cells, op, line, columns, in_trouble);
        complete(self, op, line, in_trouble);
    }
    return MR_OK;
}

/* ---- The whole ---- */

mr_status mr_record_read(struct mr_record *out, struct mr_slice text, enum mr_op op, int64_t line, const int *columns,
                         unsigned count)
{
    mr_status status = MR_OK;

    *out = (struct mr_record){.json = NULL};
    if (columns == NULL)
        read_json(out, text, op, line);
    else
        status = read_csv(out, text, op, line, columns, count);
    return out->errors.failed ? MR_NO_MEMORY : status;
}

void mr_record_fini(struct mr_record *self)
{
    mr_buf_fini(&self->errors);
    mr_buf_fini(&self->cells);
    json_decref(self->json);
}
