/*
 * The job `import`: from the parts of an upload to rows, as the operation says that took it (struct mr_import).
 *
 * A chunk begins where the cursor says, reads as many records as it may, and makes rows of the good ones. The cursor, the
 * rows and the problems are one transaction, so that an import that is interrupted continues after the last line it took.
 */
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>

#include "jobs/run.h"
#include "jobs/records.h"
#include "jobs/utf16.h"
#include "proto/uuid.h"
#include "runtime/constraints.h"

enum { PART_BYTES = MR_UPLOAD_PART, RECORDS_MAX = 4096, ERRORS_MAX = 1000, IGNORED_MAX = MR_RECORD_COLUMNS };

/* What a run is to do. */
struct orders {
    enum mr_op op; /* that took the upload */
    const struct mr_import *import;
    bool is_csv;
    bool by_admin;
    int64_t parts;
};

/* Where an import is. */
struct place {
    int64_t offset; /* bytes that are done */
    int64_t line;   /* of the next record, from 1 */
    bool skipping;  /* in the middle of a record that is too long */
    bool refused;   /* CSV: its header makes every record a bad one */
    enum mr_encoding encoding;
    struct mr_layout layout; /* CSV: once it has columns */
    bool has_mark;           /* CSV: the fields that the columns stand for are those of this mark */
    uint32_t mark;
};

/* What a chunk has gathered. */
struct harvest {
    const struct orders *orders;
    struct place place;
    bool is_last;       /* the text reaches the end of the upload */
    struct mr_buf text; /* from the place on, in UTF-8 */
    struct mr_buf raw;  /* the same in UTF-16, if it came so */
    size_t used;        /* of the text */
    json_t *result;     /* of the run */
    json_t *errors;     /* in it; borrowed */
    json_t *ignored;    /* in it; borrowed */
    int64_t lines;      /* lines that are done */
    int64_t records;    /* in those */
    int64_t good;       /* records that are in the parameters */
    int64_t rejected;
    int64_t line_of[RECORDS_MAX]; /* of the good ones */
    bool is_open[RECORDS_MAX];    /* of these: no row was made of it, and it is not known why */
};

/* ---- The cursor: "offset line skipping column column ...|encoding delimiter refused mark" ---- */

static void read_cursor(struct place *out, char *at)
{
    *out = (struct place){.line = 1, .layout.delimiter = ','};
    if (*at == '\0')
        return;
    out->offset = strtoll(at, &at, 10);
    out->line = strtoll(at, &at, 10);
    out->skipping = strtol(at, &at, 10) != 0;
    while (*at == ' ' && out->layout.count < MR_RECORD_COLUMNS)
        out->layout.columns[out->layout.count++] = (int)strtol(at, &at, 10);
    if (*at++ != '|')
        return; /* release 7 wrote it, which knew one encoding and one delimiter */
    out->encoding = (enum mr_encoding)strtol(at, &at, 10);
    out->layout.delimiter = (char)strtol(at, &at, 10);
    out->refused = strtol(at, &at, 10) != 0;
    out->has_mark = *at == ' ';
    out->mark = (uint32_t)strtoul(at, &at, 10);
}

static void write_cursor(struct mr_buf *out, const struct place *place)
{
    mr_buf_printf(out, "%lld %lld %d", (long long)place->offset, (long long)place->line, place->skipping);
    for (unsigned i = 0; i < place->layout.count; i++)
        mr_buf_printf(out, " %d", place->layout.columns[i]);
    mr_buf_printf(out, "|%d %d %d %lu", (int)place->encoding, place->layout.delimiter, place->refused,
                  (unsigned long)place->mark);
}

/* FNV-1a, with the end of the name. */
static uint32_t add_name(uint32_t hash, const char *name)
{
    do
        hash = (hash ^ (uint8_t)*name) * UINT32_C(16777619);
    while (*name++ != '\0');
    return hash;
}

/* Of the names of a record's fields and of their places, which the columns of a cursor count. */
static uint32_t mark_of(const struct mr_field *fields)
{
    uint32_t hash = UINT32_C(2166136261);

    for (; fields->name != NULL; fields++)
        hash = add_name(hash, fields->from == MR_BODY ? fields->name : "");
    return hash;
}

/* ---- Reading ---- */

/* The bytes behind a mark of the byte order, which is no text (RFC 8259, 8.1), and which only an upload begins with. */
static struct mr_slice without_mark(struct place *place, struct mr_slice bytes)
{
    size_t len = 0;

    if (place->offset == 0)
        place->encoding = mr_utf16_mark(bytes, &len);
    place->offset += (int64_t)len;
    return (struct mr_slice){bytes.data + len, bytes.len - len};
}

static mr_status fetch(struct mr_actor *self, const struct mr_run *run, int64_t first, int64_t last, mr_rows **out)
{
    mr_params_begin(&self->params, 3);
    mr_params_id(&self->params, 0, run->id);
    mr_params_int(&self->params, 1, first);
    mr_params_int(&self->params, 2, last);
    return mr_job_query(self, "import__parts", out);
}

static void decode(struct harvest *self)
{
    if (self->place.encoding == MR_ENCODING_UTF8)
        return;
    mr_buf_clear(&self->raw, SIZE_MAX);
    mr_buf_slice(&self->raw, (struct mr_slice){self->text.data, self->text.len});
    mr_buf_clear(&self->text, SIZE_MAX);
    if (self->raw.len > 0)
        mr_utf16_decode(&self->text, (struct mr_slice){self->raw.data, self->raw.len}, self->place.encoding, self->is_last);
    self->text.failed |= self->raw.failed;
}

/* From the place to the end of its part, and `more` parts. */
static mr_status read_text(struct mr_actor *self, const struct mr_run *run, int64_t more, struct harvest *out)
{
    int64_t first = out->place.offset / PART_BYTES;
    int64_t skip = out->place.offset % PART_BYTES;
    mr_rows *rows = NULL;
    mr_status status = fetch(self, run, first, first + more, &rows);

    if (status != MR_OK)
        return status;
    mr_buf_clear(&out->text, SIZE_MAX);
    for (unsigned row = 0; row < mr_rows_count(rows); row++) {
        struct mr_slice bytes = {"", 0};

        mr_rows_get(rows, row, 0, &bytes);
        if (row == 0 && (size_t)skip <= bytes.len)
            bytes = without_mark(&out->place, (struct mr_slice){bytes.data + skip, bytes.len - (size_t)skip});
        mr_buf_slice(&out->text, bytes);
    }
    out->is_last = mr_rows_count(rows) == 0 ||
                   first + (int64_t)mr_rows_count(rows) >= out->orders->parts; /* none: all was done, and dropped */
    mr_rows_free(&rows);
    decode(out);
    return out->text.failed ? MR_NO_MEMORY : MR_OK;
}

static struct mr_slice rest(const struct harvest *self)
{
    return (struct mr_slice){self->text.len > 0 ? self->text.data + self->used : "", self->text.len - self->used};
}

/* Moves behind text that is done. */
static void pass(struct harvest *self, struct mr_slice text)
{
    self->used += text.len;
    self->place.offset += (int64_t)(self->place.encoding == MR_ENCODING_UTF8 ? text.len : mr_utf16_length(text));
}

static void take(struct harvest *self, struct mr_slice record)
{
    int64_t lines = mr_record_lines(record);

    /* The last line may have no break. */
    if (record.len > 0 && record.data[record.len - 1] != '\n')
        lines++;
    pass(self, record);
    self->place.line += lines;
    self->lines += lines;
}

/* Moves the problems of a record to a list that has `most` at most. */
static void move_problems(json_t *to, size_t most, const struct mr_record *record)
{
    struct mr_buf array = {0};
    json_t *list;

    mr_buf_printf(&array, "[%.*s]", (int)record->errors.len, record->errors.data);
    list = json_loadb(array.data, array.len, 0, NULL);
    for (size_t i = 0; i < json_array_size(list) && json_array_size(to) < most; i++)
        json_array_append(to, json_array_get(list, i));
    json_decref(list);
    mr_buf_fini(&array);
}

static void keep_problems(struct harvest *self, const struct mr_record *record)
{
    move_problems(self->errors, ERRORS_MAX, record);
    self->rejected++;
}

static bool is_listed(const json_t *list, struct mr_slice name)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(list, i, entry)
        if (mr_slice_is(name, json_string_value(json_object_get(entry, "field"))))
            return true;
    return false;
}

/* A member that is no field is reported once, for the first line that has it. */
static void ignore_member(void *argument, struct mr_slice name)
{
    struct harvest *self = argument;
    struct mr_record record = {0};
    char message[120];
    char text[MR_RECORD_NAME];

    mr_record_name(text, name);
    if (json_array_size(self->ignored) >= IGNORED_MAX || is_listed(self->ignored, mr_slice_of(text)))
        return;
    mr_record_stranger(message, sizeof message, self->orders->import->fields, name);
    mr_record_problem(&record, self->place.line, text, message);
    move_problems(self->ignored, IGNORED_MAX, &record);
    mr_record_fini(&record);
}

static void reject(struct harvest *self, int64_t line, const char *field, const char *message)
{
    struct mr_record record = {0};

    mr_record_problem(&record, line, field, message);
    keep_problems(self, &record);
    mr_record_fini(&record);
}

/* What no record says. Ids ascend, so that lists have the rows in the order of the lines. A user has uploaded it: no API key is there. */
static void fill_in(const struct mr_actor *self, const struct mr_run *run, const struct orders *orders, enum mr_source from,
                    struct mr_value *out)
{
    uint8_t random[10];

    out->present = true;
    switch (from) {
    case MR_TOKEN_ADMIN: out->boolean = orders->by_admin; break;
    case MR_TOKEN_USER: memcpy(out->uuid, run->owner, sizeof run->owner); break;
    case MR_NEW_ID:
        randombytes_buf(random, sizeof random);
        mr_uuid_next(out->uuid, mr_wall_ms(self->clock), random);
        break;
    default: out->present = false; break;
    }
}

static void add_row(struct mr_actor *self, const struct mr_run *run, const struct orders *orders, struct mr_record *record)
{
    const struct mr_field *fields = orders->import->fields;

    for (unsigned i = 0; fields[i].name != NULL; i++) {
        if (fields[i].from != MR_BODY)
            fill_in(self, run, orders, fields[i].from, &record->values[i]);
        mr_params_add(&self->params, i, mr_field_carried(&fields[i]), &record->values[i]);
    }
}

static mr_status read_record(struct mr_actor *self, const struct mr_run *run, struct harvest *out, struct mr_slice text)
{
    const struct orders *orders = out->orders;
    const struct mr_field *fields = orders->import->fields;
    struct mr_record record;
    mr_status status = mr_record_read(&record, text, fields, out->place.line, orders->is_csv ? &out->place.layout : NULL);

    mr_record_strangers(&record, fields, ignore_member, out);
    if (status == MR_OK && record.error_count == 0) {
        add_row(self, run, orders, &record);
        out->line_of[out->good++] = out->place.line;
    } else if (status == MR_OK) {
        keep_problems(out, &record);
    }
    mr_record_fini(&record);
    return status;
}

static mr_status read_header(struct harvest *self, struct mr_slice text)
{
    struct mr_record refused = {0};
    struct mr_record ignored = {0};
    mr_status status;

    if (mr_record_is_separator(text))
        return MR_OK;
    status = mr_record_header(&self->place.layout, text, self->orders->import->fields, self->place.line, &refused, &ignored);
    self->place.refused = refused.error_count > 0;
    move_problems(self->errors, ERRORS_MAX, &refused);
    move_problems(self->ignored, IGNORED_MAX, &ignored);
    mr_record_fini(&refused);
    mr_record_fini(&ignored);
    return status;
}

/* What a record, which is not blank, comes to. Behind a header that was refused they are only counted. */
static mr_status read_any(struct mr_actor *self, const struct mr_run *run, struct harvest *out, struct mr_slice text)
{
    out->records++;
    if (out->orders->is_csv && out->place.layout.count == 0)
        return read_header(out, text);
    if (!out->place.refused)
        return read_record(self, run, out, text);
    out->rejected++;
    return MR_OK;
}

/*
 * A record that has no end within MR_RECORD_MAX is given up: its line, that is, and what is left of it with the chunks that
 * follow. Where a quote was not closed, the lines behind it are records of their own.
 */
static void skip(struct harvest *self)
{
    size_t len = mr_record_length(rest(self), false, self->is_last);

    if (!self->place.skipping && self->place.refused)
        self->rejected++;
    else if (!self->place.skipping)
        reject(self, self->place.line, "",
               self->orders->is_csv ? "is longer than 512 KiB, or has a quote that is not closed" : "is longer than 512 KiB");
    self->place.skipping = len == 0;
    if (len == 0)
        len = rest(self).len;
    pass(self, (struct mr_slice){rest(self).data, len});
    if (!self->place.skipping) {
        self->place.line++;
        self->lines++;
    }
}

/* The record at the place; of CSV that is none, its first line, so that a stray quote takes no other lines along. */
static struct mr_slice record_at(const struct harvest *self, size_t len)
{
    struct mr_slice text = {rest(self).data, len};

    if (self->orders->is_csv && mr_record_lines(text) > 1 && !mr_record_is_csv(text, self->place.layout.delimiter))
        text.len = mr_record_length(text, false, true);
    return text;
}

static mr_status read_records(struct mr_actor *self, const struct mr_run *run, struct harvest *out)
{
    int64_t most = run->chunk_rows < RECORDS_MAX ? run->chunk_rows : RECORDS_MAX;
    mr_status status = MR_OK;

    mr_params_begin(&self->params, mr_fields_count(out->orders->import->fields));
    if (out->place.skipping)
        skip(out);
    while (status == MR_OK && out->records < most && !out->place.skipping && rest(out).len > 0) {
        size_t len = mr_record_length(rest(out), out->orders->is_csv, out->is_last);
        struct mr_slice text;

        if (len > MR_RECORD_MAX || (len == 0 && rest(out).len >= MR_RECORD_MAX)) {
            skip(out);
            continue;
        }
        if (len == 0)
            break; /* its end is in the next part */
        text = record_at(out, len);
        if (!mr_record_is_blank(text))
            status = read_any(self, run, out, text);
        take(out, text);
    }
    return status;
}

/*
 * A part has enough for most chunks. Only where a record goes on behind it are those read that hold the longest one: small
 * chunks would otherwise read the same parts over and over.
 */
static mr_status read_chunk(struct mr_actor *self, const struct mr_run *run, struct harvest *out)
{
    mr_status status = read_text(self, run, 0, out);

    if (status == MR_OK)
        status = read_records(self, run, out);
    if (status == MR_OK && out->used == 0 && !out->is_last) {
        int64_t bytes_each = out->place.encoding == MR_ENCODING_UTF8 ? 1 : 2;
        int64_t more = bytes_each * (MR_RECORD_MAX / PART_BYTES);

        status = read_text(self, run, more, out);
        if (status == MR_OK)
            status = read_records(self, run, out);
    }
    return status;
}

/* ---- Writing ---- */

/* A problem for each of the fields, "one|or|more"; "": of the record as a whole. */
static void reject_fields(struct harvest *self, int64_t line, const char *fields, const char *message)
{
    struct mr_record record = {0};
    char room[sizeof((struct mr_refusal *)NULL)->fields];
    char *rest = room;
    char *field;

    snprintf(room, sizeof room, "%s", fields);
    while ((field = strsep(&rest, "|")) != NULL)
        mr_record_problem(&record, line, field, message);
    keep_problems(self, &record);
    mr_record_fini(&record);
}

/* The one record of the chunk is what the database refuses: a problem of its line. */
static void refuse_row(struct mr_actor *self, const struct mr_run *run, struct harvest *harvest)
{
    const struct mr_db_error *error = &run->skip.error;
    struct mr_refusal refusal;
    char message[96];

    if (!mr_constraints_explain_record(self, harvest->orders->op, error, &refusal) || refusal.text[0] == '\0') {
        snprintf(message, sizeof message, "was refused by the database: %s", mr_skip_reason(error->sqlstate));
        reject(harvest, harvest->line_of[0], "", message);
    } else {
        reject_fields(harvest, harvest->line_of[0], refusal.fields, refusal.text);
    }
    harvest->good = 0;
}

static const char *told(int64_t status)
{
    switch (status) {
    case 400: return MR_TOLD_UNKNOWN;
    case 401: return "belongs to a user who is gone";
    case 409: return MR_TOLD_TAKEN;
    default: return "collides with what is stored";
    }
}

/* A record of which no row was made. */
static void reject_row(struct harvest *harvest, const mr_rows *rows, unsigned row)
{
    int64_t n = mr_rows_int(rows, row, 0, 1);
    struct mr_slice field = {"", 0};
    char name[128];

    mr_rows_get(rows, row, 2, &field);
    snprintf(name, sizeof name, "%.*s", (int)field.len, field.data);
    reject(harvest, harvest->line_of[n - 1], name, told(mr_rows_int(rows, row, 1, 0)));
    harvest->good--;
}

/*
 * With the parameters of the statement before it. What is stored now is why, or nobody knows: those are told only where `all` are. `left`:
 * whether there are such.
 */
static mr_status ask_for_reasons(struct mr_actor *self, struct harvest *harvest, bool all, bool *left)
{
    mr_rows *rows = NULL;
    mr_status status = mr_job_query(self, harvest->orders->import->reason, &rows);

    *left = false;
    if (status != MR_OK)
        return status;
    for (unsigned row = 0; row < mr_rows_count(rows); row++) {
        bool *is_open = &harvest->is_open[mr_rows_int(rows, row, 0, 1) - 1];
        bool is_known = all || mr_rows_int(rows, row, 1, 0) != 0;

        if (*is_open && is_known)
            reject_row(harvest, rows, row);
        *left = *left || (*is_open && !is_known);
        *is_open = *is_open && !is_known;
    }
    mr_rows_free(&rows);
    return MR_OK;
}

/*
 * A record that collides with what nobody has declared is made an exception of: the chunk is halved until it is alone, and told by the
 * fields of the constraint. One that makes none, and no row either, was kept away by a trigger.
 */
static mr_status find_reasons(struct mr_actor *self, struct harvest *harvest)
{
    const char *plain = harvest->orders->import->plain;
    mr_rows *rows = NULL;
    bool left;
    mr_status status = ask_for_reasons(self, harvest, plain == NULL, &left);

    if (status != MR_OK || !left)
        return status;
    status = mr_job_query(self, plain, &rows);
    mr_rows_free(&rows);
    return status == MR_OK ? ask_for_reasons(self, harvest, true, &left) : status;
}

static mr_status write_rows(struct mr_actor *self, struct harvest *harvest)
{
    bool knows_all = harvest->orders->import->reason == NULL;
    bool is_open = false;
    mr_rows *rows = NULL;
    mr_status status = mr_job_query(self, harvest->orders->import->statement, &rows);

    if (status != MR_OK)
        return status;
    for (unsigned row = 0; row < mr_rows_count(rows); row++) {
        if (knows_all || mr_rows_int(rows, row, 1, 0) != 0)
            reject_row(harvest, rows, row);
        else
            is_open = harvest->is_open[mr_rows_int(rows, row, 0, 1) - 1] = true;
    }
    mr_rows_free(&rows);
    return is_open ? find_reasons(self, harvest) : MR_OK;
}

static void add_to(json_t *object, const char *name, int64_t more)
{
    json_object_set_new(object, name, json_integer(json_integer_value(json_object_get(object, name)) + more));
}

static int by_line(const void *a, const void *b)
{
    int64_t left = json_integer_value(json_object_get(*(json_t *const *)a, "line"));
    int64_t right = json_integer_value(json_object_get(*(json_t *const *)b, "line"));

    return left < right ? -1 : left > right;
}

/* Those that the database found come after those that we did. */
static void sort_errors(struct harvest *self)
{
    size_t count = json_array_size(self->errors);
    json_t **list = calloc(count + 1, sizeof *list);

    for (size_t i = 0; list != NULL && i < count; i++)
        list[i] = json_incref(json_array_get(self->errors, i));
    if (list != NULL) {
        qsort(list, count, sizeof *list, by_line);
        for (size_t i = 0; i < count; i++)
            json_array_set_new(self->errors, i, list[i]);
    }
    free(list);
}

static mr_status write_result(struct harvest *self, struct mr_buf *out)
{
    char *text;

    add_to(self->result, "imported", self->good);
    add_to(self->result, "rejected", self->rejected);
    sort_errors(self);
    text = json_dumps(self->result, JSON_COMPACT);
    if (text == NULL)
        return MR_NO_MEMORY;
    mr_buf_text(out, text);
    free(text);
    return MR_OK;
}

static void begin_result(struct harvest *out, const char *text)
{
    out->result = json_loads(text, 0, NULL);
    if (out->result == NULL)
        out->result = json_object();
    if (json_object_get(out->result, "errors") == NULL)
        json_object_set_new(out->result, "errors", json_array());
    if (json_object_get(out->result, "ignored") == NULL)
        json_object_set_new(out->result, "ignored", json_array());
    out->errors = json_object_get(out->result, "errors");
    out->ignored = json_object_get(out->result, "ignored");
}

/* ---- What a run is to do ---- */

/* The operation of that name. Release 7 named none, because there was one: NULL is the only one there is. MR_OP_NONE: there is none. */
static enum mr_op find_operation(const char *name)
{
    enum mr_op found = MR_OP_NONE;

    for (unsigned i = 0; i < mr_op_count(); i++) {
        enum mr_op op = (enum mr_op)i;

        if (mr_op_info(op)->traits->import == NULL)
            continue;
        if (name != NULL && strcmp(mr_op_info(op)->name, name) == 0)
            return op;
        if (name == NULL && found != MR_OP_NONE)
            return MR_OP_NONE;
        if (name == NULL)
            found = op;
    }
    return found;
}

/* An application's folder may have changed since the upload. Another process may still have the old one, or the new one already. */
static mr_status take_orders(struct orders *out, const struct mr_run *run, struct mr_chunk *chunk)
{
    json_t *args = json_loads(run->args.data, 0, NULL);
    const char *format = json_string_value(json_object_get(args, "format"));
    const char *name = json_string_value(json_object_get(args, "operation"));

    *out = (struct orders){.op = find_operation(name),
                           .is_csv = format != NULL && strcmp(format, "text/csv") == 0,
                           .by_admin = json_is_true(json_object_get(args, "admin")),
                           .parts = json_integer_value(json_object_get(args, "parts"))};
    if (out->op == MR_OP_NONE)
        snprintf(chunk->error, sizeof chunk->error, "the served application has no operation %.64s any more",
                 name != NULL ? name : "that imports, or several");
    json_decref(args);
    if (out->op == MR_OP_NONE)
        return MR_NOT_FOUND;
    out->import = mr_op_info(out->op)->traits->import;
    return MR_OK;
}

/* Columns are counted among the fields that there were when the header was read. */
static mr_status check_mark(struct harvest *harvest, struct mr_chunk *chunk)
{
    uint32_t mark = mark_of(harvest->orders->import->fields);
    bool is_other = harvest->place.has_mark && harvest->place.layout.count > 0 && harvest->place.mark != mark;

    harvest->place.mark = mark;
    if (!is_other)
        return MR_OK;
    snprintf(chunk->error, sizeof chunk->error,
             "the fields of %.64s have changed, expected the lines that are left in a new upload",
             mr_op_info(harvest->orders->op)->name);
    return MR_CONFLICT;
}

static mr_status work(struct mr_actor *self, const struct mr_run *run, struct harvest *harvest, struct mr_chunk *out)
{
    mr_status status = read_chunk(self, run, harvest);

    if (status == MR_OK && harvest->good == 1 && run->skip.now)
        refuse_row(self, run, harvest);
    else if (status == MR_OK && harvest->good > 0)
        status = write_rows(self, harvest);
    out->more = !harvest->is_last || rest(harvest).len > 0;
    if (status == MR_OK)
        status = write_result(harvest, &out->result);
    out->rows = harvest->lines;
    write_cursor(&out->cursor, &harvest->place);
    return status;
}

static mr_status chunk(struct mr_actor *self, const struct mr_run *run, struct mr_chunk *out)
{
    struct orders orders;
    struct harvest *harvest;
    mr_status status = take_orders(&orders, run, out);

    if (status != MR_OK)
        return status;
    harvest = calloc(1, sizeof *harvest);
    if (harvest == NULL)
        return MR_NO_MEMORY;
    harvest->orders = &orders;
    read_cursor(&harvest->place, run->cursor.data);
    status = orders.is_csv ? check_mark(harvest, out) : MR_OK;
    if (status == MR_OK) {
        begin_result(harvest, run->result.data);
        status = work(self, run, harvest, out);
    }
    json_decref(harvest->result);
    mr_buf_fini(&harvest->text);
    mr_buf_fini(&harvest->raw);
    free(harvest);
    return status;
}

const struct mr_job_code mr_job_import = {.chunk = chunk, .is_input = true};
