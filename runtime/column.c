/*
 * The binary form is what each type's send function makes (src/backend/utils/adt). A type of the database's own (an enum, citext) has
 * no number that could be known here: see write_own.
 */
#include "runtime/column.h"

#include <endian.h>
#include <math.h>

#include "proto/field.h"
#include "proto/json.h"
#include "proto/timestamp.h"
#include "proto/uuid.h"
#include "runtime/params.h"

enum { SECONDS_PER_DAY = 86400, ARRAY_DIMS_MAX = 6, NUMERIC_HEAD = 8 };

#define POSTGRES_EPOCH_DAYS (MR_POSTGRES_EPOCH_MICROS / 1000000 / SECONDS_PER_DAY)

static int64_t by_bytes(struct mr_slice bytes)
{
    uint64_t value = bytes.len > 0 && (bytes.data[0] & 0x80) ? UINT64_MAX : 0;

    for (size_t i = 0; i < bytes.len; i++)
        value = value << 8 | (uint8_t)bytes.data[i];
    return (int64_t)value;
}

int64_t mr_column_int(struct mr_slice bytes)
{
    uint64_t eight;
    uint32_t four;

    switch (bytes.len) {
    case 8: memcpy(&eight, bytes.data, 8); return (int64_t)be64toh(eight);
    case 4: memcpy(&four, bytes.data, 4); return (int32_t)be32toh(four);
    default: return by_bytes(bytes);
    }
}

/* ---- Scalars ---- */

static enum mr_said write_bool(struct mr_buf *out, uint32_t type, struct mr_slice bytes)
{
    (void)type;
    if (bytes.len != 1)
        return MR_UNREADABLE;
    mr_buf_slice(out, bytes.data[0] != 0 ? MR_SLICE("true") : MR_SLICE("false"));
    return MR_SAID;
}

static enum mr_said write_int(struct mr_buf *out, uint32_t type, struct mr_slice bytes)
{
    (void)type;
    if (bytes.len != 2 && bytes.len != 4 && bytes.len != 8)
        return MR_UNREADABLE;
    mr_buf_int(out, mr_column_int(bytes));
    return MR_SAID;
}

static enum mr_said write_oid(struct mr_buf *out, uint32_t type, struct mr_slice bytes)
{
    (void)type;
    if (bytes.len != 4)
        return MR_UNREADABLE;
    mr_buf_int(out, mr_column_int(bytes) & UINT32_MAX);
    return MR_SAID;
}

static enum mr_said write_text(struct mr_buf *out, uint32_t type, struct mr_slice bytes)
{
    (void)type;
    mr_json_string(out, bytes);
    return MR_SAID;
}

static enum mr_said write_json(struct mr_buf *out, uint32_t type, struct mr_slice bytes)
{
    (void)type;
    if (bytes.len == 0)
        return MR_UNREADABLE;
    mr_buf_slice(out, bytes);
    return MR_SAID;
}

/* Its text stands behind the version of its form. */
static enum mr_said write_jsonb(struct mr_buf *out, uint32_t type, struct mr_slice bytes)
{
    if (bytes.len == 0)
        return MR_UNREADABLE;
    return write_json(out, type, (struct mr_slice){bytes.data + 1, bytes.len - 1});
}

static enum mr_said write_uuid(struct mr_buf *out, uint32_t type, struct mr_slice bytes)
{
    char text[MR_UUID_TEXT + 2] = {[0] = '"', [MR_UUID_TEXT + 1] = '"'};

    (void)type;
    if (bytes.len != 16)
        return MR_UNREADABLE;
    mr_uuid_format(text + 1, (const uint8_t *)bytes.data);
    mr_buf_append(out, text, sizeof text);
    return MR_SAID;
}

static enum mr_said write_instant(struct mr_buf *out, uint32_t type, struct mr_slice bytes)
{
    char text[MR_TIMESTAMP_TEXT + 2] = {[0] = '"', [MR_TIMESTAMP_TEXT + 1] = '"'};
    int64_t micros = mr_column_int(bytes);

    (void)type;
    if (bytes.len != 8)
        return MR_UNREADABLE;
    if (micros >= INT64_MAX - MR_POSTGRES_EPOCH_MICROS || !mr_timestamp_is_sayable(micros + MR_POSTGRES_EPOCH_MICROS))
        return MR_UNSAID;
    mr_timestamp_format(text + 1, micros + MR_POSTGRES_EPOCH_MICROS);
    mr_buf_append(out, text, sizeof text);
    return MR_SAID;
}

static enum mr_said write_date(struct mr_buf *out, uint32_t type, struct mr_slice bytes)
{
    char text[MR_DATE_TEXT + 2] = {[0] = '"', [MR_DATE_TEXT + 1] = '"'};

    (void)type;
    if (bytes.len != 4)
        return MR_UNREADABLE;
    if (!mr_date_format(text + 1, mr_column_int(bytes) + POSTGRES_EPOCH_DAYS))
        return MR_UNSAID;
    mr_buf_append(out, text, sizeof text);
    return MR_SAID;
}

/* ---- Numbers ---- */

static enum mr_said write_double(struct mr_buf *out, uint32_t type, struct mr_slice bytes)
{
    int64_t bits = mr_column_int(bytes);
    double value;

    (void)type;
    if (bytes.len != sizeof value)
        return MR_UNREADABLE;
    memcpy(&value, &bits, sizeof value);
    if (!isfinite(value))
        return MR_UNSAID;
    mr_json_number(out, value);
    return MR_SAID;
}

/* In the digits of its own precision, which a double would not keep. */
static enum mr_said write_single(struct mr_buf *out, uint32_t type, struct mr_slice bytes)
{
    int32_t bits = (int32_t)mr_column_int(bytes);
    float value;

    (void)type;
    if (bytes.len != sizeof value)
        return MR_UNREADABLE;
    memcpy(&value, &bits, sizeof value);
    if (!isfinite(value))
        return MR_UNSAID;
    mr_json_number_single(out, value);
    return MR_SAID;
}

static int16_t int16_at(struct mr_slice bytes, size_t at)
{
    return (int16_t)by_bytes((struct mr_slice){bytes.data + at, 2});
}

/* Digits of four decimals; the first has the weight of 10000^weight (src/backend/utils/adt/numeric.c). */
struct numeric {
    struct mr_slice digits;
    int count;
    int weight;
    int scale; /* decimals after the point */
    bool negative;
};

static bool has_good_digits(const struct numeric *self)
{
    if (self->count < 0 || self->scale < 0 || self->digits.len != (size_t)self->count * 2)
        return false;
    for (size_t at = 0; at < self->digits.len; at += 2)
        if (int16_at(self->digits, at) < 0 || int16_at(self->digits, at) > 9999)
            return false;
    return true;
}

/* The server sends none: what is left of a number begins with another digit, or has none at all. */
static void drop_zeros(struct numeric *self)
{
    while (self->count > 0 && int16_at(self->digits, 0) == 0) {
        self->digits = (struct mr_slice){self->digits.data + 2, self->digits.len - 2};
        self->count--;
        self->weight--;
    }
    if (self->count == 0)
        self->weight = -1;
}

static enum mr_said read_numeric(struct numeric *out, struct mr_slice bytes)
{
    uint16_t sign;

    if (bytes.len < NUMERIC_HEAD)
        return MR_UNREADABLE;
    sign = (uint16_t)int16_at(bytes, 4);
    *out = (struct numeric){.digits = {bytes.data + NUMERIC_HEAD, bytes.len - NUMERIC_HEAD},
                            .count = int16_at(bytes, 0),
                            .weight = int16_at(bytes, 2),
                            .scale = int16_at(bytes, 6),
                            .negative = sign == 0x4000};
    if (sign != 0 && sign != 0x4000) /* NaN, an infinity */
        return MR_UNSAID;
    if (!has_good_digits(out))
        return MR_UNREADABLE;
    drop_zeros(out);
    return MR_SAID;
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
static enum mr_said write_numeric(struct mr_buf *out, uint32_t type, struct mr_slice bytes)
{
    struct numeric self;
    enum mr_said said = read_numeric(&self, bytes);
    char four[4];

    (void)type;
    if (said != MR_SAID)
        return said;
    if (self.negative)
        mr_buf_char(out, '-');
    if (self.weight < 0)
        mr_buf_char(out, '0');
    for (int weight = self.weight; weight >= 0; weight--)
        mr_buf_append(out, four, decimals_of(four, digit_at(&self, weight), weight == self.weight));
    if (self.scale > 0)
        mr_buf_char(out, '.');
    for (int done = 0; done < self.scale; done += 4) {
        (void)decimals_of(four, digit_at(&self, -1 - done / 4), false);
        mr_buf_append(out, four, self.scale - done < 4 ? (size_t)(self.scale - done) : 4);
    }
    return MR_SAID;
}

/* ---- The types that are understood ---- */

/* By their object identifiers and those of their arrays (0: there is none). */
static const struct {
    uint32_t type;
    uint32_t array;
    mr_column_writer *write;
} types[] = {
    {25, 1009, write_text},    {2950, 2951, write_uuid},  {1184, 1185, write_instant}, {20, 1016, write_int},
    {16, 1000, write_bool},    {23, 1007, write_int},     {1043, 1015, write_text},    {21, 1005, write_int},
    {3802, 3807, write_jsonb}, {114, 199, write_json},    {1700, 1231, write_numeric}, {1082, 1182, write_date},
    {701, 1022, write_double}, {700, 1021, write_single}, {1042, 1014, write_text},    {705, 0, write_text},
    {19, 1003, write_text},    {18, 1002, write_text},    {26, 1028, write_oid},
};

enum { TYPES = sizeof types / sizeof types[0] };

/* NULL: it is none of these. */
static mr_column_writer *scalar_writer_of(uint32_t type)
{
    for (unsigned i = 0; i < TYPES; i++)
        if (types[i].type == type)
            return types[i].write;
    return NULL;
}

static bool is_array(uint32_t type)
{
    for (unsigned i = 0; i < TYPES; i++)
        if (types[i].array == type)
            return type != 0;
    return false;
}

bool mr_type_known(uint32_t type)
{
    return scalar_writer_of(type) != NULL || is_array(type);
}

bool mr_type_is_uuid(uint32_t type)
{
    return scalar_writer_of(type) == write_uuid;
}

/* ---- Arrays (array_send in src/backend/utils/adt/arrayfuncs.c): dimensions, then the elements with their lengths ---- */

struct array {
    struct mr_slice rest;
    uint32_t type; /* of the elements */
    mr_column_writer *write;
    int dims;
    int sizes[ARRAY_DIMS_MAX];
};

static bool next_int32(struct mr_slice *bytes, int64_t *out)
{
    if (bytes->len < 4)
        return false;
    *out = mr_column_int((struct mr_slice){bytes->data, 4});
    *bytes = (struct mr_slice){bytes->data + 4, bytes->len - 4};
    return true;
}

static bool read_sizes(struct array *out, struct mr_slice *bytes)
{
    int64_t elements = 1;
    int64_t size;
    int64_t bound;

    for (int i = 0; i < out->dims; i++) {
        if (!next_int32(bytes, &size) || !next_int32(bytes, &bound) || size <= 0)
            return false;
        out->sizes[i] = (int)size;
        elements *= size;
        if (elements * 4 > (int64_t)bytes->len) /* each has a length at least */
            return false;
    }
    return true;
}

static bool read_array(struct array *out, struct mr_slice bytes)
{
    int64_t dims;
    int64_t flags;
    int64_t type;

    if (!next_int32(&bytes, &dims) || !next_int32(&bytes, &flags) || !next_int32(&bytes, &type))
        return false;
    if (dims < 0 || dims > ARRAY_DIMS_MAX || flags < 0 || flags > 1 || type == 0)
        return false;
    *out = (struct array){.type = (uint32_t)type, .dims = (int)dims};
    out->write = mr_column_writer_of(out->type);
    if (!read_sizes(out, &bytes))
        return false;
    out->rest = bytes;
    return true;
}

static enum mr_said write_element(struct mr_buf *out, struct array *array)
{
    enum mr_said said = MR_UNSAID;
    struct mr_slice bytes;
    size_t before = out->len;
    int64_t len;

    if (!next_int32(&array->rest, &len) || (len >= 0 && (uint64_t)len > array->rest.len))
        return MR_UNREADABLE;
    bytes = (struct mr_slice){array->rest.data, len < 0 ? 0 : (size_t)len};
    array->rest = (struct mr_slice){array->rest.data + bytes.len, array->rest.len - bytes.len};
    if (len >= 0)
        said = array->write(out, array->type, bytes);
    if (said != MR_UNSAID)
        return said;
    out->len = before;
    mr_buf_slice(out, MR_SLICE("null")); /* in its place, so that the others keep theirs */
    return MR_SAID;
}

/* A dimension more is an array in an array. */
static enum mr_said write_dimension(struct mr_buf *out, struct array *array, int dim)
{
    mr_buf_char(out, '[');
    for (int i = 0; i < array->sizes[dim]; i++) {
        enum mr_said said;

        if (i > 0)
            mr_buf_char(out, ',');
        said = dim + 1 < array->dims ? write_dimension(out, array, dim + 1) : write_element(out, array);
        if (said != MR_SAID)
            return said;
    }
    mr_buf_char(out, ']');
    return MR_SAID;
}

static enum mr_said write_array(struct mr_buf *out, uint32_t type, struct mr_slice bytes)
{
    struct array array;

    (void)type;
    if (!read_array(&array, bytes))
        return MR_UNREADABLE;
    if (array.dims == 0)
        mr_buf_slice(out, MR_SLICE("[]"));
    else if (write_dimension(out, &array, 0) != MR_SAID)
        return MR_UNREADABLE;
    return array.rest.len == 0 ? MR_SAID : MR_UNREADABLE;
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
static enum mr_said write_own(struct mr_buf *out, uint32_t type, struct mr_slice bytes)
{
    return is_plain_text(bytes) ? write_text(out, type, bytes) : write_array(out, type, bytes);
}

static enum mr_said write_nothing(struct mr_buf *out, uint32_t type, struct mr_slice bytes)
{
    (void)out;
    (void)type;
    (void)bytes;
    return MR_UNREADABLE;
}

mr_column_writer *mr_column_writer_of(uint32_t type)
{
    mr_column_writer *scalar = scalar_writer_of(type);

    if (scalar != NULL)
        return scalar;
    if (is_array(type))
        return write_array;
    return type >= MR_TYPE_OWN_FIRST ? write_own : write_nothing;
}

/* ---- Cursors ---- */

static int64_t since_1970(int64_t micros)
{
    bool is_infinite = micros == INT64_MAX || micros == INT64_MIN; /* infinity, and -infinity */

    return is_infinite ? micros : micros + MR_POSTGRES_EPOCH_MICROS;
}

void mr_column_key(struct mr_buf *out, uint32_t type, struct mr_slice bytes)
{
    mr_column_writer *writer = scalar_writer_of(type);
    char text[MR_UUID_TEXT];

    if (writer == write_bool) {
        mr_buf_char(out, bytes.data[0] != 0 ? '1' : '0');
    } else if (writer == write_int) {
        mr_buf_int(out, mr_column_int(bytes));
    } else if (writer == write_uuid) {
        mr_uuid_format(text, (const uint8_t *)bytes.data);
        mr_buf_append(out, text, sizeof text);
    } else if (writer == write_instant) {
        mr_buf_int(out, since_1970(mr_column_int(bytes)));
    } else {
        mr_buf_slice(out, bytes);
    }
}
