#include "jobs/records.h"

#include <csv.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "proto/json.h"
#include "proto/json_reader.h"

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

/* ---- Names ---- */

/* Index of the body field of that name, -1 when there is none. */
static int field_of(const struct mr_field *fields, struct mr_slice name)
{

    for (int i = 0; fields[i].name != NULL; i++)
        if (fields[i].from == MR_BODY && mr_slice_is(name, fields[i].name))
            return i;
    return -1;
}

static struct mr_slice trimmed(struct mr_slice name)
{
    while (name.len > 0 && (*name.data == ' ' || *name.data == '\t'))
        name = (struct mr_slice){name.data + 1, name.len - 1};
    while (name.len > 0 && strchr(" \t\r\n", name.data[name.len - 1]) != NULL)
        name.len--;
    return name;
}

const char *mr_record_meant(const struct mr_field *fields, struct mr_slice name)
{
    name = trimmed(name);
    for (const struct mr_field *field = fields; field->name != NULL; field++)
        if (field->from == MR_BODY && strlen(field->name) == name.len && strncasecmp(field->name, name.data, name.len) == 0)
            return field->name;
    return NULL;
}

void mr_record_name(char out[MR_RECORD_NAME], struct mr_slice name)
{
    size_t len = name.len < MR_RECORD_NAME ? name.len : MR_RECORD_NAME - 1;

    while (len < name.len && len > 0 && ((uint8_t)name.data[len] & 0xc0) == 0x80)
        len--;
    if (len > 0)
        memcpy(out, name.data, len);
    out[len] = '\0';
}

void mr_record_stranger(char *out, size_t room, const struct mr_field *fields, struct mr_slice name)
{
    const char *meant = mr_record_meant(fields, name);

    snprintf(out, room, "is not a field and was left out%s%s%s", meant != NULL ? "; did you mean " : "",
             meant != NULL ? meant : "", meant != NULL ? "?" : "");
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

/* Where the literal of field `i` is made, which is `many`; NULL without memory. */
static struct mr_buf *room_of(struct mr_record *self, const struct mr_field *fields, unsigned i)
{
    if (self->rooms == NULL) {
        self->room_count = mr_fields_count(fields);
        self->rooms = calloc(self->room_count, sizeof *self->rooms);
    }
    self->errors.failed |= self->rooms == NULL;
    return self->rooms != NULL ? &self->rooms[i] : NULL;
}

/* Whose array is looked at. */
struct listening {
    struct mr_record *record;
    int64_t line;
};

static void note(void *context, const struct mr_field *field, int index, const struct mr_problem *problem)
{
    const struct listening *self = context;
    char name[MR_ITEM_NAME];

    mr_json_item_name(name, field, index);
    mr_record_problem(self->record, self->line, name, problem->message);
}

/* An array: of JSON, or without it of a cell, which holds one as text. */
static bool read_array(struct mr_record *self, const struct mr_field *fields, unsigned i, const json_t *json,
                       struct mr_slice text, int64_t line)
{
    const struct mr_field *field = &fields[i];
    struct listening context = {self, line};
    const struct mr_listener listener = {note, &context};
    struct mr_buf *room = room_of(self, fields, i);

    if (room == NULL)
        return false;
    return json != NULL ? mr_json_read_array(field, json, text, room, &self->values[i], &listener)
                        : mr_json_read_array_text(field, text, room, &self->values[i], &listener);
}

static void use_fallback(struct mr_record *self, const struct mr_field *fields, unsigned i)
{
    const struct mr_field *field = &fields[i];
    struct mr_buf *room = field->many ? room_of(self, fields, i) : NULL;

    if (room != NULL || !field->many)
        mr_json_read_default(field, room, &self->values[i]);
}

/* What was left out: the usual value, or a problem. Fields in trouble already are in no need of another. */
static void complete(struct mr_record *self, const struct mr_field *fields, int64_t line, const bool *in_trouble)
{

    for (unsigned i = 0; fields[i].name != NULL; i++) {
        if (fields[i].from != MR_BODY || self->values[i].present || in_trouble[i])
            continue;
        if (fields[i].fallback != NULL)
            use_fallback(self, fields, i);
        else if (fields[i].required)
            mr_record_problem(self, line, fields[i].name, "is required");
    }
}

/* ---- JSON ---- */

/* Whether the member is good. Until here the value held its text, for the fields that are read from that. */
static bool read_member(struct mr_record *self, const struct mr_field *fields, unsigned i, const json_t *member, int64_t line)
{
    const struct mr_field *field = &fields[i];
    struct mr_slice text = self->values[i].text;
    struct mr_problem problem;

    self->values[i] = (struct mr_value){.present = false};
    if (member == NULL || json_is_null(member))
        return true;
    if (field->many)
        return read_array(self, fields, i, member, text, line);
    if (mr_json_read_value(field, member, text, &self->values[i], &problem))
        return true;
    self->values[i].present = false;
    mr_record_problem(self, line, field->name, problem.message);
    return false;
}

static void read_members(struct mr_record *self, struct mr_slice text, const struct mr_field *fields, int64_t line,
                         bool *in_trouble)
{

    mr_json_find(text, fields, self->values);
    for (unsigned i = 0; fields[i].name != NULL; i++)
        if (fields[i].from == MR_BODY)
            in_trouble[i] = !read_member(self, fields, i, json_object_get(self->json, fields[i].name), line);
}

static void read_json(struct mr_record *self, struct mr_slice text, const struct mr_field *fields, int64_t line)
{
    bool in_trouble[MR_FIELDS_MAX] = {false};
    struct mr_json_refusal why;

    if (mr_json_load(&self->json, text, &why) != MR_OK) {
        mr_record_problem(self, line, why.twice,
                          why.twice[0] != '\0' ? "must be given once" : "is not a valid JSON object (RFC 8259, UTF-8)");
        return;
    }
    read_members(self, text, fields, line, in_trouble);
    complete(self, fields, line, in_trouble);
}

void mr_record_strangers(const struct mr_record *self, const struct mr_field *fields,
                         void (*tell)(void *argument, struct mr_slice name), void *argument)
{
    const char *name;
    json_t *ignored;

    json_object_foreach(self->json, name, ignored)
        if (field_of(fields, mr_slice_of(name)) < 0)
            tell(argument, mr_slice_of(name));
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

static const char delimiters[] = ",;\t";

/* By its own 128 bytes libcsv would grow a cell of half a MiB four thousand times. */
enum { CELL_GROWTH = 16 * 1024 };

static mr_status split(struct cells *self, struct mr_slice text, char delimiter)
{
    struct csv_parser parser;
    bool good;

    if (csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI) != 0)
        return MR_NO_MEMORY;
    csv_set_delim(&parser, (unsigned char)delimiter);
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

bool mr_record_is_csv(struct mr_slice text, char delimiter)
{
    struct mr_buf bytes = {0};
    struct cells cells = {.bytes = &bytes};
    bool good = split(&cells, text, delimiter) != MR_INVALID;

    mr_buf_fini(&bytes);
    return good;
}

/* ---- The header of a CSV ---- */

bool mr_record_is_separator(struct mr_slice text)
{
    while (text.len > 0 && (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == '\r'))
        text.len--;
    return text.len == 5 && strncasecmp(text.data, "sep=", 4) == 0 && strchr(delimiters, text.data[4]) != NULL;
}

static unsigned count_meant(const struct cells *cells, const struct mr_field *fields)
{
    unsigned count = 0;

    for (unsigned c = 0; c < cells->count && c < MR_RECORD_COLUMNS; c++)
        count += mr_record_meant(fields, cell(cells, c)) != NULL;
    return count;
}

/* Comma, unless another delimiter finds more fields. */
static char delimiter_of(struct mr_slice text, const struct mr_field *fields)
{
    unsigned most = 0;
    char best = delimiters[0];

    for (const char *delimiter = delimiters; *delimiter != '\0'; delimiter++) {
        struct mr_buf bytes = {0};
        struct cells cells = {.bytes = &bytes};
        unsigned found = split(&cells, text, *delimiter) == MR_OK ? count_meant(&cells, fields) : 0;

        mr_buf_fini(&bytes);
        if (found > most) {
            most = found;
            best = *delimiter;
        }
    }
    return best;
}

static void ignore(struct mr_record *ignored, const struct mr_field *fields, int64_t line, unsigned column,
                   struct mr_slice name)
{
    const char *meant = mr_record_meant(fields, name);
    char message[120];
    char text[MR_RECORD_NAME];

    mr_record_name(text, name);
    if (name.len == 0)
        snprintf(message, sizeof message, "column %u has no name and was left out", column + 1);
    else if (meant != NULL && mr_slice_is(name, meant))
        snprintf(message, sizeof message, "column %u is a second one of that name and was left out", column + 1);
    else
        mr_record_stranger(message, sizeof message, fields, name);
    mr_record_problem(ignored, line, text, message);
}

/* A field that cannot be left out has to have one column. */
static void check_required(const struct cells *cells, const struct mr_field *fields, int64_t line, struct mr_record *refused)
{
    for (const struct mr_field *field = fields; field->name != NULL; field++) {
        struct mr_slice meant = {NULL, 0};
        unsigned columns = 0;
        char message[160];

        if (field->from != MR_BODY || !field->required || field->fallback != NULL)
            continue;
        for (unsigned c = 0; c < cells->count; c++) {
            if (mr_slice_is(cell(cells, c), field->name))
                columns++;
            else if (mr_record_meant(fields, cell(cells, c)) == field->name)
                meant = cell(cells, c);
        }
        if (columns > 1)
            mr_record_problem(refused, line, field->name, "has more than one column");
        else if (columns == 0 && meant.data != NULL) {
            snprintf(message, sizeof message,
                     "is required, and no column has that name; the column \"%.*s\" has to be named so", (int)meant.len,
                     meant.data);
            mr_record_problem(refused, line, field->name, message);
        } else if (columns == 0)
            mr_record_problem(refused, line, field->name, "is required, and no column has that name");
    }
}

static void set_columns(struct mr_layout *out, const struct cells *cells, const struct mr_field *fields, int64_t line,
                        struct mr_record *ignored)
{
    bool taken[MR_FIELDS_MAX] = {false};

    out->count = cells->count;
    for (unsigned c = 0; c < cells->count; c++) {
        int field = field_of(fields, cell(cells, c));

        out->columns[c] = field >= 0 && !taken[field] ? field : -1;
        if (out->columns[c] >= 0)
            taken[field] = true;
        else
            ignore(ignored, fields, line, c, cell(cells, c));
    }
}

mr_status mr_record_header(struct mr_layout *out, struct mr_slice text, const struct mr_field *fields, int64_t line,
                           struct mr_record *refused, struct mr_record *ignored)
{
    struct mr_buf bytes = {0};
    struct cells cells = {.bytes = &bytes};
    mr_status status;

    *out = (struct mr_layout){.delimiter = delimiter_of(text, fields), .count = 1, .columns = {-1}};
    status = split(&cells, text, out->delimiter);
    if (!mr_utf8_valid(text, NULL)) {
        mr_record_problem(refused, line, "", "is not UTF-8, nor UTF-16 with a byte order mark");
    } else if (status == MR_INVALID || cells.count > MR_RECORD_COLUMNS) {
        mr_record_problem(refused, line, "", "is not a CSV header (RFC 4180) of at most 128 columns");
    } else if (status == MR_OK) {
        check_required(&cells, fields, line, refused);
        set_columns(out, &cells, fields, line, ignored);
    }
    mr_buf_fini(&bytes);
    return status == MR_NO_MEMORY || refused->errors.failed || ignored->errors.failed ? MR_NO_MEMORY : MR_OK;
}

/* ---- The records of a CSV ---- */

/* Spreadsheets write TRUE and FALSE. */
static bool parse_cell(const struct mr_field *field, struct mr_slice text, struct mr_value *out, struct mr_problem *problem)
{
    if (field->type == MR_BOOL && text.len == 4 && strncasecmp(text.data, "true", 4) == 0)
        text = MR_SLICE("true");
    else if (field->type == MR_BOOL && text.len == 5 && strncasecmp(text.data, "false", 5) == 0)
        text = MR_SLICE("false");
    return mr_field_parse(field, text, out, problem);
}

/* An empty cell is a value that is left out. */
static void read_cells(struct mr_record *self, const struct cells *cells, const struct mr_field *fields, int64_t line,
                       const int *columns, bool *in_trouble)
{

    for (unsigned c = 0; c < cells->count; c++) {
        struct mr_slice text = cell(cells, c);
        struct mr_problem problem;
        int i = columns[c];

        if (i < 0 || text.len == 0)
            continue;
        if (fields[i].many) {
            in_trouble[i] = !read_array(self, fields, (unsigned)i, NULL, text, line);
            continue;
        }
        if (parse_cell(&fields[i], text, &self->values[i], &problem))
            continue;
        in_trouble[i] = true;
        mr_record_problem(self, line, fields[i].name, problem.message);
    }
}

static mr_status read_csv(struct mr_record *self, struct mr_slice text, const struct mr_field *fields, int64_t line,
                          const struct mr_layout *layout)
{
    bool in_trouble[MR_FIELDS_MAX] = {false};
    struct cells cells = {.bytes = &self->cells};
    mr_status status = split(&cells, text, layout->delimiter);
    char message[80];

    if (status == MR_NO_MEMORY)
        return status;
    if (status != MR_OK) {
        mr_record_problem(self, line, "", "is not valid CSV (RFC 4180)");
    } else if (cells.count != layout->count) {
        snprintf(message, sizeof message, "has %u cells where the header has %u", cells.count, layout->count);
        mr_record_problem(self, line, "", message);
    } else {
        read_cells(self, &cells, fields, line, layout->columns, in_trouble);
        complete(self, fields, line, in_trouble);
    }
    return MR_OK;
}

/* ---- The whole ---- */

mr_status mr_record_read(struct mr_record *out, struct mr_slice text, const struct mr_field *fields, int64_t line,
                         const struct mr_layout *layout)
{
    mr_status status = MR_OK;

    *out = (struct mr_record){.json = NULL};
    if (layout == NULL)
        read_json(out, text, fields, line);
    else
        status = read_csv(out, text, fields, line, layout);
    return out->errors.failed ? MR_NO_MEMORY : status;
}

void mr_record_fini(struct mr_record *self)
{
    mr_buf_fini(&self->errors);
    mr_buf_fini(&self->cells);
    for (unsigned i = 0; i < self->room_count && self->rooms != NULL; i++)
        mr_buf_fini(&self->rooms[i]);
    free(self->rooms);
    json_decref(self->json);
}
