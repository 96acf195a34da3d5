#include "runtime/otlp.h"

#include "proto/field.h"
#include "proto/json.h"

/* Trace flags, and the two bits of a span's flags that say where its parent is (opentelemetry.proto.trace.v1.SpanFlags). */
enum { SAMPLED = 0x01, KNOWS_REMOTE = 0x100, IS_REMOTE = 0x200, STATUS_ERROR = 2 };

static void hex(struct mr_buf *out, struct mr_slice before, const uint8_t *id, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    char *end = mr_buf_reserve(out, before.len + 2 * len + 1);

    if (end == NULL)
        return;
    memcpy(end, before.data, before.len);
    end += before.len;
    for (size_t i = 0; i < len; i++) {
        *end++ = digits[id[i] >> 4];
        *end++ = digits[id[i] & 15];
    }
    *end = '"';
    out->len += before.len + 2 * len + 1;
}

/* A time in microseconds, as the nanoseconds that a fixed64 is in JSON: a text. */
static void nanoseconds(struct mr_buf *out, struct mr_slice before, int64_t time_us)
{
    mr_buf_slice(out, before);
    mr_buf_int(out, time_us);
    mr_buf_slice(out, MR_SLICE("000\""));
}

void mr_otlp_attribute(struct mr_buf *out, struct mr_slice key, struct mr_slice value)
{
    if (out->len > 0)
        mr_buf_char(out, ',');
    mr_buf_text(out, "{\"key\":");
    mr_json_string(out, key);
    mr_buf_text(out, ",\"value\":{\"stringValue\":");
    mr_json_string(out, mr_utf8_valid(value, NULL) ? value : MR_SLICE("?"));
    mr_buf_text(out, "}}");
}

void mr_otlp_begin(struct mr_buf *out, const struct mr_buf *resource, const char *version)
{
    mr_buf_text(out, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
    mr_buf_append(out, resource->data, resource->len);
    mr_buf_text(out, "]},\"scopeSpans\":[{\"scope\":{\"name\":\"millrace\",\"version\":");
    mr_json_string(out, mr_slice_of(version));
    mr_buf_text(out, "},\"spans\":[");
}

/* Millions of attributes are written for every one that anybody looks at: appended piece by piece, since printf reads its format anew. */
static void attributes(struct mr_buf *out, const struct mr_span *span)
{
    for (unsigned i = 0; i < span->attribute_count; i++) {
        const struct mr_attribute *attribute = &span->attributes[i];

        mr_buf_slice(out, i > 0 ? MR_SLICE(",{\"key\":\"") : MR_SLICE("{\"key\":\""));
        mr_buf_text(out, attribute->key);
        if (attribute->text.data != NULL) {
            mr_buf_slice(out, MR_SLICE("\",\"value\":{\"stringValue\":"));
            mr_json_string(out, attribute->text);
            mr_buf_slice(out, MR_SLICE("}}"));
        } else {
            mr_buf_slice(out, MR_SLICE("\",\"value\":{\"intValue\":\""));
            mr_buf_int(out, attribute->integer);
            mr_buf_slice(out, MR_SLICE("\"}}"));
        }
    }
}

static void links(struct mr_buf *out, const struct mr_span *span)
{
    mr_buf_slice(out, MR_SLICE(",\"links\":["));
    for (unsigned i = 0; i < span->link_count; i++) {
        hex(out, i > 0 ? MR_SLICE(",{\"traceId\":\"") : MR_SLICE("{\"traceId\":\""), span->links[i].trace_id,
            sizeof span->links[i].trace_id);
        hex(out, MR_SLICE(",\"spanId\":\""), span->links[i].span_id, sizeof span->links[i].span_id);
        mr_buf_slice(out, MR_SLICE(",\"flags\":"));
        mr_buf_int(out, SAMPLED | KNOWS_REMOTE);
        mr_buf_char(out, '}');
    }
    mr_buf_char(out, ']');
    if (span->links_dropped > 0) {
        mr_buf_slice(out, MR_SLICE(",\"droppedLinksCount\":"));
        mr_buf_int(out, span->links_dropped);
    }
}

static void ids(struct mr_buf *out, const struct mr_span *span)
{
    hex(out, MR_SLICE("{\"traceId\":\""), span->context.trace_id, sizeof span->context.trace_id);
    hex(out, MR_SLICE(",\"spanId\":\""), span->context.span_id, sizeof span->context.span_id);
    if (span->has_parent)
        hex(out, MR_SLICE(",\"parentSpanId\":\""), span->parent_id, sizeof span->parent_id);
    if (span->trace_state.len > 0) {
        mr_buf_slice(out, MR_SLICE(",\"traceState\":"));
        mr_json_string(out, span->trace_state);
    }
    mr_buf_slice(out, MR_SLICE(",\"flags\":"));
    mr_buf_int(out, SAMPLED | (span->has_parent ? KNOWS_REMOTE | (span->parent_is_remote ? IS_REMOTE : 0) : 0));
}

void mr_otlp_span(struct mr_buf *out, const struct mr_span *span, bool first, int64_t epoch_us)
{
    if (!first)
        mr_buf_char(out, ',');
    ids(out, span);
    mr_buf_slice(out, MR_SLICE(",\"name\":"));
    mr_json_string(out, span->name.data != NULL ? span->name : MR_SLICE("unnamed"));
    mr_buf_slice(out, MR_SLICE(",\"kind\":"));
    mr_buf_int(out, span->kind);
    nanoseconds(out, MR_SLICE(",\"startTimeUnixNano\":\""), epoch_us + span->start_us);
    nanoseconds(out, MR_SLICE(",\"endTimeUnixNano\":\""), epoch_us + span->end_us);
    mr_buf_slice(out, MR_SLICE(",\"attributes\":["));
    attributes(out, span);
    mr_buf_char(out, ']');
    if (span->link_count > 0 || span->links_dropped > 0)
        links(out, span);
    if (span->failed) {
        mr_buf_slice(out, MR_SLICE(",\"status\":{\"code\":"));
        mr_buf_int(out, STATUS_ERROR);
        mr_buf_char(out, '}');
    }
    mr_buf_char(out, '}');
}

void mr_otlp_end(struct mr_buf *out)
{
    mr_buf_text(out, "]}]}]}");
}
