#include "proto/literal.h"

#include "proto/json.h"
#include "proto/timestamp.h"
#include "proto/uuid.h"

static void put_uuid(struct mr_buf *out, const uint8_t uuid[16])
{
    char text[MR_UUID_TEXT];

    mr_uuid_format(text, uuid);
    mr_buf_append(out, text, sizeof text);
}

static void put_time(struct mr_buf *out, int64_t micros)
{
    char text[MR_TIMESTAMP_MICROS_TEXT];

    mr_timestamp_format_micros(text, micros);
    mr_buf_append(out, text, sizeof text);
}

void mr_literal_text(struct mr_buf *out, enum mr_type type, const struct mr_value *value)
{
    switch (type) {
    case MR_TEXT:
    case MR_DECIMAL:
    case MR_DATE:
    case MR_JSON:
    case MR_BYTES: mr_buf_slice(out, value->text); break;
    case MR_UUID: put_uuid(out, value->uuid); break;
    case MR_TIME: put_time(out, value->integer); break;
    case MR_INT: mr_buf_int(out, value->integer); break;
    case MR_BOOL: mr_buf_text(out, value->boolean ? "true" : "false"); break;
    case MR_NUMBER: mr_json_number(out, value->number); break;
    }
}

void mr_literal_begin(struct mr_buf *out)
{
    mr_buf_char(out, '{');
}

static void put_quoted(struct mr_buf *out, struct mr_slice text)
{
    size_t clean = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] != '"' && text.data[i] != '\\')
            continue;
        mr_buf_append(out, text.data + clean, i - clean);
        mr_buf_char(out, '\\');
        clean = i;
    }
    mr_buf_append(out, text.data + clean, text.len - clean);
}

void mr_literal_add(struct mr_buf *out, enum mr_type type, const struct mr_value *value)
{
    if (out->len > 0 && out->data[out->len - 1] != '{')
        mr_buf_char(out, ',');
    mr_buf_char(out, '"');
    if (type == MR_TEXT || type == MR_JSON)
        put_quoted(out, value->text);
    else
        mr_literal_text(out, type, value); /* these have nothing that would have to be quoted */
    mr_buf_char(out, '"');
}

void mr_literal_end(struct mr_buf *out)
{
    mr_buf_char(out, '}');
}

bool mr_literal_next(struct mr_slice *rest, struct mr_buf *out)
{
    const char *at = memchr(rest->data, '"', rest->len);
    const char *end = rest->data + rest->len;

    if (at == NULL)
        return false;
    for (at++; at < end && *at != '"'; at++) {
        at += *at == '\\' && at + 1 < end;
        mr_buf_char(out, *at);
    }
    at += at < end;
    *rest = (struct mr_slice){at, (size_t)(end - at)};
    return true;
}
