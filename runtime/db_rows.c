/*
 * What a statement answered, read by row and column.
 */
#include <stdlib.h>

#include "proto/uuid.h"
#include "runtime/db_internal.h"

/* Object identifiers of the result types that are understood (pg_type.dat). */
/* clang-format off */
enum { OID_BOOL = 16, OID_INT8 = 20, OID_INT2 = 21, OID_INT4 = 23, OID_TEXT = 25, OID_FLOAT8 = 701,
       OID_VARCHAR = 1043, OID_TIMESTAMPTZ = 1184, OID_UUID = 2950, OID_UNKNOWN = 705, OID_JSON = 114, OID_JSONB = 3802 };
/* clang-format on */

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
    return PQftype(result_of(self), (int)column) == OID_UUID;
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

mr_status mr_rows_wire(const mr_rows *self, unsigned row, unsigned column, struct mr_buf *out)
{
    struct mr_slice bytes;
    int64_t integer;
    double number;

    if (!mr_rows_get(self, row, column, &bytes)) {
        mr_wire_nil(out);
        return MR_OK;
    }
    switch (PQftype(result_of(self), (int)column)) {
    case OID_BOOL: mr_wire_bool(out, bytes.data[0] != 0); return MR_OK;
    case OID_INT2:
    case OID_INT4:
    case OID_INT8: mr_wire_int(out, big_endian(bytes)); return MR_OK;
    case OID_TEXT:
    case OID_VARCHAR:
    case OID_UNKNOWN: mr_wire_text(out, bytes); return MR_OK;
    case OID_JSON: mr_wire_json(out, bytes); return MR_OK;
    case OID_JSONB: mr_wire_json(out, (struct mr_slice){bytes.data + 1, bytes.len - 1}); return MR_OK; /* behind its version */
    case OID_UUID: mr_wire_uuid(out, (const uint8_t *)bytes.data); return MR_OK;
    case OID_TIMESTAMPTZ: mr_wire_time(out, big_endian(bytes) + MR_POSTGRES_EPOCH_MICROS); return MR_OK;
    case OID_FLOAT8:
        integer = big_endian(bytes);
        memcpy(&number, &integer, sizeof number);
        mr_wire_double(out, number);
        return MR_OK;
    default: return MR_INTERNAL;
    }
}

int64_t mr_rows_affected(const mr_rows *self)
{
    return strtoll(PQcmdTuples((PGresult *)(uintptr_t)(const void *)self), NULL, 10);
}

/* As proto/cursor.h has it. What is of another type is text, as SQL made it. */
static void append_key(struct mr_buf *out, Oid type, struct mr_slice bytes)
{
    char text[MR_UUID_TEXT];
    int64_t micros;

    switch (type) {
    case OID_BOOL: mr_buf_char(out, bytes.data[0] != 0 ? '1' : '0'); return;
    case OID_INT2:
    case OID_INT4:
    case OID_INT8: mr_buf_int(out, big_endian(bytes)); return;
    case OID_UUID:
        mr_uuid_format(text, (const uint8_t *)bytes.data);
        mr_buf_append(out, text, sizeof text);
        return;
    case OID_TIMESTAMPTZ:
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
