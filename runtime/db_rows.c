/*
 * What a statement answered, read by row and column.
 *
 * Values come in the binary form (each type's send function in src/backend/utils/adt). A type of the database's own (an enum,
 * citext) has no number that could be known here: see write_own.
 */
#include <math.h>
#include <stdlib.h>

#include "proto/json.h"
#include "proto/timestamp.h"
#include "proto/uuid.h"
#include "runtime/db_internal.h"

enum { SECONDS_PER_DAY = 86400, ARRAY_DIMS_MAX = 6, NUMERIC_HEAD = 8 };

#define POSTGRES_EPOCH_DAYS (MR_POSTGRES_EPOCH_MICROS / 1000000 / SECONDS_PER_DAY)

/* How the values of a type are read. */
enum form { BOOL, INT, OID, TEXT, JSON, JSONB, UUID, TIMESTAMPTZ, DATE, FLOAT4, FLOAT8, NUMERIC };

/* The types that are understood, by their object identifiers and those of their arrays (pg_type.dat; 0: there is none). */
static const struct {
    Oid type;
    Oid array;
    enum form form;
} types[] = {
    {25, 1009, TEXT},      {2950, 2951, UUID}, {1184, 1185, TIMESTAMPTZ}, {20, 1016, INT},     {16, 1000, BOOL},
    {23, 1007, INT},       {1043, 1015, TEXT}, {21, 1005, INT},           {3802, 3807, JSONB}, {114, 199, JSON},
    {1700, 1231, NUMERIC}, {1082, 1182, DATE}, {701, 1022, FLOAT8},       {700, 1021, FLOAT4}, {1042, 1014, TEXT},
    {705, 0, TEXT},        {19, 1003, TEXT},   {18, 1002, TEXT},          {26, 1028, OID},
};

enum { TYPES = sizeof types / sizeof types[0] };

/* Whether it is one of these, and which form its values have. */
static bool form_of(Oid type, enum form *out)
{
    for (unsigned i = 0; i < TYPES; i++)
        if (types[i].type == type) {
            *out = types[i].form;
            return true;
        }
    return false;
}

static bool is_array(Oid type)
{
    for (unsigned i = 0; i < TYPES; i++)
        if (types[i].array == type)
            return type != 0;
    return false;
}

bool mr_type_known(uint32_t type)
{
    enum form form;

    return form_of(type, &form) || is_array(type);
}

/* A PGresult by another name: mr_rows is never defined, only pointed to. */
static const PGresult *result_of(const mr_rows *rows)
{
    return (const PGresult *)(const void *)rows;
}

unsigned mr_rows_count(const mr_rows *self)
{
    return (unsigned)PQntuples(result_of(self));
}

unsigned mr_rows_columns(const mr_rows *self)
{
    return (unsigned)PQnfields(result_of(self));
}

const char *mr_rows_name(const mr_rows *self, unsigned column)
{
    return PQfname(result_of(self), (int)column);
}

uint32_t mr_rows_type(const mr_rows *self, unsigned column)
{
    return PQftype(result_of(self), (int)column);
}

bool mr_rows_get(const mr_rows *self, unsigned row, unsigned column, struct mr_slice *out)
{
    const PGresult *result = result_of(self);

    if (PQgetisnull(result, (int)row, (int)column))
        return false;
    *out = (struct mr_slice){PQgetvalue(result, (int)row, (int)column), (size_t)PQgetlength(result, (int)row, (int)column)};
    return true;
}

bool mr_rows_is_uuid(const mr_rows *self, unsigned column)
{
    enum form form;

    return form_of(mr_rows_type(self, column), &form) && form == UUID;
}

static int64_t big_endian(struct mr_slice bytes)
{
    uint64_t value = bytes.len > 0 && (bytes.data[0] & 0x80) ? UINT64_MAX : 0;

    for (size_t i = 0; i < bytes.len; i++)
        value = value << 8 | (uint8_t)bytes.data[i];
    return (int64_t)value;
}

int64_t mr_rows_int(const mr_rows *self, unsigned row, unsigned column, int64_t otherwise)
{
    struct mr_slice bytes;

    return mr_rows_get(self, row, column, &bytes) ? big_endian(bytes) : otherwise;
}

/* ---- Numbers ---- */

static double double_of(struct mr_slice bytes)
{
    int64_t bits = big_endian(bytes);
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static float single_of(struct mr_slice bytes)
{
    int32_t bits = (int32_t)big_endian(bytes);
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

/* A single is told in the digits of its own precision, which a double has not kept. */
static void write_single(struct mr_buf *out, float value)
{
    struct mr_buf text = {0};

    mr_json_number_single(&text, value);
    mr_wire_json(out, (struct mr_slice){text.data, text.len});
    out->failed |= text.failed;
    mr_buf_fini(&text);
}

static int16_t int16_at(struct mr_slice bytes, size_t at)
{
    return (int16_t)big_endian((struct mr_slice){bytes.data + at, 2});
}

/* Digits of four decimals; the first has the weight of 10000^weight (src/backend/utils/adt/numeric.c). */
struct numeric {
    struct mr_slice digits;
    int count;
    int weight;
    int scale; /* decimals behind the point */
    bool negative;
};

/* False: it is none, of NaN and the infinities too. */
static bool read_numeric(struct numeric *out, struct mr_slice bytes)
{
    uint16_t sign;

    if (bytes.len < NUMERIC_HEAD)
        return false;
    sign = (uint16_t)int16_at(bytes, 4);
    *out = (struct numeric){.digits = {bytes.data + NUMERIC_HEAD, bytes.len - NUMERIC_HEAD},
                            .count = int16_at(bytes, 0),
                            .weight = int16_at(bytes, 2),
                            .scale = int16_at(bytes, 6),
                            .negative = sign == 0x4000};
    if (sign != 0 && sign != 0x4000)
        return false;
    if (out->count == 0)
        out->weight = -1;
    return out->count >= 0 && out->scale >= 0 && out->digits.len == (size_t)out->count * 2;
}

/* That of weight `weight`; those that are not sent are zero. */
static int digit_at(const struct numeric *self, int weight)
{
    int at = self->weight - weight;

    return at >= 0 && at < self->count ? int16_at(self->digits, (size_t)at * 2) : 0;
}

/* Four decimals, without the zeros in front when they are the first of the number. */
static size_t decimals_of(char out[4], int digit, bool first)
{
    char all[4] = {(char)('0' + digit / 1000 % 10), (char)('0' + digit / 100 % 10), (char)('0' + digit / 10 % 10),
                   (char)('0' + digit % 10)};
    size_t skip = 0;

    while (first && skip < 3 && all[skip] == '0')
        skip++;
    memcpy(out, all + skip, 4 - skip);
    return 4 - skip;
}

/* JSON's grammar has a digit in front of the point, and behind it. */
static void write_numeric(struct mr_buf *out, const struct numeric *self)
{
    char four[4];
    size_t whole = self->weight < 0 ? 1 : decimals_of(four, digit_at(self, self->weight), true) + 4 * (size_t)self->weight;

    mr_wire_json_head(out, self->negative + whole + (self->scale > 0 ? 1 + (size_t)self->scale : 0));
    if (self->negative)
        mr_buf_char(out, '-');
    if (self->weight < 0)
        mr_buf_char(out, '0');
    for (int weight = self->weight; weight >= 0; weight--)
        mr_buf_append(out, four, decimals_of(four, digit_at(self, weight), weight == self->weight));
    if (self->scale > 0)
        mr_buf_char(out, '.');
    for (int done = 0; done < self->scale; done += 4) {
        (void)decimals_of(four, digit_at(self, -1 - done / 4), false);
        mr_buf_append(out, four, self->scale - done < 4 ? (size_t)(self->scale - done) : 4);
    }
}

/* ---- Values that JSON has no form for: no number, no instant in the years 0001 to 9999 ---- */

static bool is_sayable(enum form form, struct mr_slice bytes)
{
    struct numeric ignored;
    char date[MR_DATE_TEXT];

    switch (form) {
    case FLOAT4: return isfinite(single_of(bytes));
    case FLOAT8: return isfinite(double_of(bytes));
    case NUMERIC: return read_numeric(&ignored, bytes);
    case DATE: return mr_date_format(date, big_endian(bytes) + POSTGRES_EPOCH_DAYS);
    case TIMESTAMPTZ:
        return big_endian(bytes) < INT64_MAX - MR_POSTGRES_EPOCH_MICROS &&
               mr_timestamp_is_sayable(big_endian(bytes) + MR_POSTGRES_EPOCH_MICROS);
    default: return true;
    }
}

bool mr_type_may_be_unsaid(uint32_t type)
{
    enum form form;

    return form_of(type, &form) && (form == FLOAT4 || form == FLOAT8 || form == NUMERIC || form == DATE || form == TIMESTAMPTZ);
}

bool mr_rows_says(const mr_rows *self, unsigned row, unsigned column)
{
    struct mr_slice bytes;
    enum form form;

    return !mr_rows_get(self, row, column, &bytes) || !form_of(mr_rows_type(self, column), &form) || is_sayable(form, bytes);
}

/* ---- One value ---- */

static mr_status write_date(struct mr_buf *out, struct mr_slice bytes)
{
    char text[MR_DATE_TEXT];

    if (!mr_date_format(text, big_endian(bytes) + POSTGRES_EPOCH_DAYS))
        return MR_INTERNAL;
    mr_wire_text(out, (struct mr_slice){text, sizeof text});
    return MR_OK;
}

static mr_status write_form(struct mr_buf *out, enum form form, struct mr_slice bytes)
{
    struct numeric numeric;

    switch (form) {
    case BOOL: mr_wire_bool(out, bytes.data[0] != 0); return MR_OK;
    case INT: mr_wire_int(out, big_endian(bytes)); return MR_OK;
    case OID: mr_wire_int(out, big_endian(bytes) & UINT32_MAX); return MR_OK;
    case TEXT: mr_wire_text(out, bytes); return MR_OK;
    case JSON: mr_wire_json(out, bytes); return MR_OK;
    case JSONB: mr_wire_json(out, (struct mr_slice){bytes.data + 1, bytes.len - 1}); return MR_OK; /* behind its version */
    case UUID: mr_wire_uuid(out, (const uint8_t *)bytes.data); return MR_OK;
    case TIMESTAMPTZ: mr_wire_time(out, big_endian(bytes) + MR_POSTGRES_EPOCH_MICROS); return MR_OK;
    case DATE: return write_date(out, bytes);
    case FLOAT4: write_single(out, single_of(bytes)); return MR_OK;
    case FLOAT8: mr_wire_double(out, double_of(bytes)); return MR_OK;
    case NUMERIC:
        if (!read_numeric(&numeric, bytes))
            return MR_INTERNAL;
        write_numeric(out, &numeric);
        return MR_OK;
    }
    return MR_INTERNAL;
}

static mr_status write_value(struct mr_buf *out, Oid type, struct mr_slice bytes);

/* ---- Arrays (array_send in src/backend/utils/adt/arrayfuncs.c): dimensions, then the elements with their lengths ---- */

struct array {
    struct mr_slice rest;
    Oid type; /* of the elements */
    int dims;
    int sizes[ARRAY_DIMS_MAX];
};

static bool next_int32(struct mr_slice *bytes, int64_t *out)
{
    if (bytes->len < 4)
        return false;
    *out = big_endian((struct mr_slice){bytes->data, 4});
    *bytes = (struct mr_slice){bytes->data + 4, bytes->len - 4};
    return true;
}

static bool read_array(struct array *out, struct mr_slice bytes)
{
    int64_t dims;
    int64_t flags;
    int64_t type;
    int64_t size;
    int64_t bound;

    if (!next_int32(&bytes, &dims) || !next_int32(&bytes, &flags) || !next_int32(&bytes, &type))
        return false;
    if (dims < 0 || dims > ARRAY_DIMS_MAX || flags < 0 || flags > 1 || type == 0)
        return false;
    *out = (struct array){.type = (Oid)type, .dims = (int)dims};
    for (int i = 0; i < out->dims; i++) {
        if (!next_int32(&bytes, &size) || !next_int32(&bytes, &bound) || size < 0)
            return false;
        out->sizes[i] = (int)size;
    }
    out->rest = bytes;
    return true;
}

static mr_status write_element(struct mr_buf *out, struct array *array)
{
    struct mr_slice bytes;
    enum form form;
    int64_t len;

    if (!next_int32(&array->rest, &len) || (len >= 0 && (uint64_t)len > array->rest.len))
        return MR_INTERNAL;
    bytes = (struct mr_slice){array->rest.data, len < 0 ? 0 : (size_t)len};
    array->rest = (struct mr_slice){array->rest.data + bytes.len, array->rest.len - bytes.len};
    if (len >= 0 && !(form_of(array->type, &form) && !is_sayable(form, bytes)))
        return write_value(out, array->type, bytes);
    mr_wire_nil(out); /* in its place, so that the others keep theirs */
    return MR_OK;
}

/* A dimension more is an array in an array. */
static mr_status write_dimension(struct mr_buf *out, struct array *array, int dim)
{
    mr_wire_array(out, (uint32_t)array->sizes[dim]);
    for (int i = 0; i < array->sizes[dim]; i++) {
        mr_status status = dim + 1 < array->dims ? write_dimension(out, array, dim + 1) : write_element(out, array);

        if (status != MR_OK)
            return status;
    }
    return MR_OK;
}

static mr_status write_array(struct mr_buf *out, struct array *array)
{
    if (array->dims == 0) {
        mr_wire_array(out, 0);
        return MR_OK;
    }
    return write_dimension(out, array, 0) == MR_OK && array->rest.len == 0 ? MR_OK : MR_INTERNAL;
}

/* ---- Types of the database's own ---- */

static bool is_plain_text(struct mr_slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        if ((unsigned char)bytes.data[i] < ' ' && bytes.data[i] != '\t' && bytes.data[i] != '\n' && bytes.data[i] != '\r')
            return false;
    return mr_utf8_valid(bytes, NULL);
}

/*
 * Enums and citext are sent as their text, arrays as arrays are. What else a database may define (a composite, a range) has bytes of
 * control in it: numbers, lengths. The exact answer needs the catalogue, and is given before it comes to this: mr_db_type_known.
 */
static mr_status write_own(struct mr_buf *out, struct mr_slice bytes)
{
    struct array array;

    if (is_plain_text(bytes)) {
        mr_wire_text(out, bytes);
        return MR_OK;
    }
    return read_array(&array, bytes) ? write_array(out, &array) : MR_INTERNAL;
}

static mr_status write_value(struct mr_buf *out, Oid type, struct mr_slice bytes)
{
    struct array array;
    enum form form;

    if (form_of(type, &form))
        return write_form(out, form, bytes);
    if (is_array(type))
        return read_array(&array, bytes) ? write_array(out, &array) : MR_INTERNAL;
    return type >= MR_TYPE_OWN_FIRST ? write_own(out, bytes) : MR_INTERNAL;
}

mr_status mr_rows_wire(const mr_rows *self, unsigned row, unsigned column, struct mr_buf *out)
{
    struct mr_slice bytes;

    if (!mr_rows_get(self, row, column, &bytes)) {
        mr_wire_nil(out);
        return MR_OK;
    }
    return write_value(out, mr_rows_type(self, column), bytes);
}

int64_t mr_rows_affected(const mr_rows *self)
{
    return strtoll(PQcmdTuples((PGresult *)result_of(self)), NULL, 10);
}

/* As proto/cursor.h has it. What is of another type is text, as SQL made it. */
static void append_key(struct mr_buf *out, Oid type, struct mr_slice bytes)
{
    char text[MR_UUID_TEXT];
    enum form form;
    int64_t micros;

    switch (form_of(type, &form) ? form : TEXT) {
    case BOOL: mr_buf_char(out, bytes.data[0] != 0 ? '1' : '0'); return;
    case INT: mr_buf_int(out, big_endian(bytes)); return;
    case UUID:
        mr_uuid_format(text, (const uint8_t *)bytes.data);
        mr_buf_append(out, text, sizeof text);
        return;
    case TIMESTAMPTZ:
        micros = big_endian(bytes);
        if (micros != INT64_MAX && micros != INT64_MIN) /* infinity, and -infinity */
            micros += MR_POSTGRES_EPOCH_MICROS;
        mr_buf_int(out, micros);
        return;
    default: mr_buf_slice(out, bytes); return;
    }
}

void mr_rows_cursor(struct mr_buf *out, const mr_rows *self, unsigned row, unsigned id, int key)
{
    struct mr_slice place;
    struct mr_slice bytes;
    struct mr_buf text = {0};
    bool has_key = key >= 0 && mr_rows_get(self, row, (unsigned)key, &bytes);

    if (!mr_rows_get(self, row, id, &place) || place.len != 16) {
        out->failed = true;
        return;
    }
    if (has_key)
        append_key(&text, PQftype(result_of(self), key), bytes);
    out->failed |= text.failed;
    mr_cursor_write(out, (const uint8_t *)place.data, has_key ? &(struct mr_slice){text.data, text.len} : NULL);
    mr_buf_fini(&text);
}

void mr_rows_free(mr_rows **self)
{
    PQclear((PGresult *)(void *)*self);
    *self = NULL;
}

/* ---- Known or not ---- */

/*
 * From a domain to its base, from there to the elements when it is an array: that is the type whose values are read. Elements that
 * are of a domain come under its number, so that of these only text is understood.
 */
static const char leaf_sql[] =
    "WITH RECURSIVE base (oid, depth) AS ("
    " SELECT %u::pg_catalog.oid, 0"
    " UNION ALL"
    " SELECT t.typbasetype, b.depth + 1 FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.oid WHERE t.typtype = 'd')"
    " SELECT e.oid, e.typtype = 'e' OR e.typsend::pg_catalog.text ~ '(^|[.])(text|citext|varchar|bpchar|name)send$'"
    " FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.oid"
    " JOIN pg_catalog.pg_type e ON e.oid = CASE WHEN t.typcategory = 'A' AND t.typelem <> 0 THEN t.typelem ELSE t.oid END"
    " ORDER BY b.depth DESC LIMIT 1";

mr_status mr_db_type_known(mr_db *db, uint32_t type, int64_t deadline_ms, bool *out)
{
    char sql[sizeof leaf_sql + 16];
    struct mr_slice leaf;
    struct mr_slice is_text;
    mr_rows *rows = NULL;
    mr_status status;

    snprintf(sql, sizeof sql, leaf_sql, type);
    status = mr_db_exec(db, sql, deadline_ms, &rows);
    if (status != MR_OK)
        return status;
    *out = mr_rows_count(rows) == 1 && mr_rows_get(rows, 0, 0, &leaf) && mr_rows_get(rows, 0, 1, &is_text) &&
           (mr_type_known((uint32_t)strtoul(leaf.data, NULL, 10)) || mr_slice_is(is_text, "t"));
    mr_rows_free(&rows);
    return MR_OK;
}
