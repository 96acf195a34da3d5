#include "proto/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/timestamp.h"
#include "proto/uuid.h"

static void escape(struct mr_buf *out, unsigned char c)
{
    static const char digits[] = "0123456789abcdef";
    static const char named[] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\'};
    char text[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 0x0f]};

    if (c < sizeof named && named[c] != '\0')
        mr_buf_append(out, (char[]){'\\', named[c]}, 2);
    else
        mr_buf_append(out, text, sizeof text);
}

void mr_json_string(struct mr_buf *out, struct mr_slice text)
{
    size_t clean = 0;

    mr_buf_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        mr_buf_append(out, text.data + clean, i - clean);
        escape(out, c);
        clean = i + 1;
    }
    mr_buf_append(out, text.data + clean, text.len - clean);
    mr_buf_char(out, '"');
}

static mr_status value(struct mr_buf *out, struct mr_wire *wire, unsigned depth);

static mr_status array(struct mr_buf *out, struct mr_wire *wire, uint32_t count, unsigned depth)
{
    mr_buf_char(out, '[');
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            mr_buf_char(out, ',');
        if (value(out, wire, depth + 1) != MR_OK)
            return MR_INVALID;
    }
    mr_buf_char(out, ']');
    return MR_OK;
}

static mr_status object(struct mr_buf *out, struct mr_wire *wire, uint32_t pairs, unsigned depth)
{
    struct mr_wire_item key;

    mr_buf_char(out, '{');
    for (uint32_t i = 0; i < pairs; i++) {
        if (i > 0)
            mr_buf_char(out, ',');
        if (mr_wire_next(wire, &key) != MR_OK || key.kind != MR_WIRE_TEXT)
            return MR_INVALID;
        mr_json_string(out, key.bytes);
        mr_buf_char(out, ':');
        if (value(out, wire, depth + 1) != MR_OK)
            return MR_INVALID;
    }
    mr_buf_char(out, '}');
    return MR_OK;
}

static mr_status uuid(struct mr_buf *out, struct mr_slice bytes)
{
    char text[MR_UUID_TEXT + 2] = {[0] = '"', [MR_UUID_TEXT + 1] = '"'};

    if (bytes.len != 16)
        return MR_INVALID;
    mr_uuid_format(text + 1, (const uint8_t *)bytes.data);
    mr_buf_append(out, text, sizeof text);
    return MR_OK;
}

static mr_status instant(struct mr_buf *out, const struct mr_wire_item *item)
{
    char text[MR_TIMESTAMP_TEXT + 2] = {[0] = '"', [MR_TIMESTAMP_TEXT + 1] = '"'};
    int64_t micros;

    if (!mr_wire_is_time(item, &micros))
        return MR_INVALID;
    mr_timestamp_format(text + 1, micros);
    mr_buf_append(out, text, sizeof text);
    return MR_OK;
}

/* A double is told apart by 17 digits and often by fewer, a single by 9. */
void mr_json_number(struct mr_buf *out, double value)
{
    char text[32];

    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    mr_buf_text(out, text);
}

void mr_json_number_single(struct mr_buf *out, float value)
{
    char text[32];

    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value)
            break;
    }
    mr_buf_text(out, text);
}

static mr_status number(struct mr_buf *out, double value)
{
    if (!isfinite(value))
        return MR_INVALID;
    mr_json_number(out, value);
    return MR_OK;
}

static mr_status value(struct mr_buf *out, struct mr_wire *wire, unsigned depth)
{
    struct mr_wire_item item;

    if (depth > MR_WIRE_DEPTH || mr_wire_next(wire, &item) != MR_OK)
        return MR_INVALID;
    switch (item.kind) {
    case MR_WIRE_NIL: mr_buf_text(out, "null"); return MR_OK;
    case MR_WIRE_BOOL: mr_buf_text(out, item.boolean ? "true" : "false"); return MR_OK;
    case MR_WIRE_INT: mr_buf_int(out, item.integer); return MR_OK;
    case MR_WIRE_DOUBLE: return number(out, item.number);
    case MR_WIRE_TEXT: mr_json_string(out, item.bytes); return MR_OK;
    case MR_WIRE_BIN: return uuid(out, item.bytes);
    case MR_WIRE_EXT:
        if (item.ext != MR_WIRE_JSON)
            return instant(out, &item);
        mr_buf_slice(out, item.bytes);
        return item.bytes.len > 0 ? MR_OK : MR_INVALID;
    case MR_WIRE_ARRAY: return array(out, wire, item.count, depth);
    case MR_WIRE_MAP: return object(out, wire, item.count, depth);
    }
    return MR_INVALID;
}

mr_status mr_json_from_wire(struct mr_buf *out, struct mr_wire *wire)
{
    return value(out, wire, 0);
}
