#include "runtime/otlp.h"

#include "proto/field.h"
#include "proto/json.h"

/* Trace flags, and the two bits of a span's flags that say where its parent is (opentelemetry.proto.trace.v1.SpanFlags). */
enum { SAMPLED = 0x01, KNOWS_REMOTE = 0x100, IS_REMOTE = 0x200, STATUS_ERROR = 2 };

static void hex(struct mr_buf *out, const char *member, const uint8_t *id, size_t len)
{
    static const char digits[] = "0123456789abcdef";

    mr_buf_printf(out, "\"%s\":\"", member);
    for (size_t i = 0; i < len; i++) {
        mr_buf_char(out, digits[id[i] >> 4]);
        mr_buf_char(out, digits[id[i] & 15]);
    }
    mr_buf_char(out, '"');
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

static void attributes(struct mr_buf *out, const struct mr_span *span)
{
    for (unsigned i = 0; i < span->attribute_count; i++) {
        const struct mr_attribute *attribute = &span->attributes[i];

        mr_buf_printf(out, "%s{\"key\":\"%s\",\"value\":{", i > 0 ? "," : "", attribute->key);
        if (attribute->text.data != NULL) {
            mr_buf_text(out, "\"stringValue\":");
            mr_json_string(out, attribute->text);
        } else {
            mr_buf_printf(out, "\"intValue\":\"%lld\"", (long long)attribute->integer);
        }
        mr_buf_text(out, "}}");
    }
}

static void links(struct mr_buf *out, const struct mr_span *span)
{
    mr_buf_text(out, ",\"links\":[");
    for (unsigned i = 0; i < span->link_count; i++) {
        mr_buf_text(out, i > 0 ? ",{" : "{");
        hex(out, "traceId", span->links[i].trace_id, sizeof span->links[i].trace_id);
        mr_buf_char(out, ',');
        hex(out, "spanId", span->links[i].span_id, sizeof span->links[i].span_id);
        mr_buf_printf(out, ",\"flags\":%d}", SAMPLED | KNOWS_REMOTE);
    }
    mr_buf_char(out, ']');
    if (span->links_dropped > 0)
        mr_buf_printf(out, ",\"droppedLinksCount\":%u", span->links_dropped);
}

void mr_otlp_span(struct mr_buf *out, const struct mr_span *span, bool first, int64_t epoch_us)
{
    long long start_us = epoch_us + span->start_us;
    long long end_us = epoch_us + span->end_us;

    mr_buf_text(out, first ? "{" : ",{");
    hex(out, "traceId", span->context.trace_id, sizeof span->context.trace_id);
    mr_buf_char(out, ',');
    hex(out, "spanId", span->context.span_id, sizeof span->context.span_id);
    if (span->has_parent) {
        mr_buf_char(out, ',');
        hex(out, "parentSpanId", span->parent_id, sizeof span->parent_id);
    }
    if (span->trace_state.len > 0) {
        mr_buf_text(out, ",\"traceState\":");
        mr_json_string(out, span->trace_state);
    }
    mr_buf_printf(out, ",\"flags\":%d,\"name\":",
                  SAMPLED | (span->has_parent ? KNOWS_REMOTE | (span->parent_is_remote ? IS_REMOTE : 0) : 0));
    mr_json_string(out, span->name.data != NULL ? span->name : MR_SLICE("unnamed"));
    mr_buf_printf(out, ",\"kind\":%d,\"startTimeUnixNano\":\"%lld000\",\"endTimeUnixNano\":\"%lld000\",\"attributes\":[",
                  (int)span->kind, start_us, end_us);
    attributes(out, span);
    mr_buf_char(out, ']');
    if (span->link_count > 0 || span->links_dropped > 0)
        links(out, span);
    if (span->failed)
        mr_buf_printf(out, ",\"status\":{\"code\":%d}", STATUS_ERROR);
    mr_buf_char(out, '}');
}

void mr_otlp_end(struct mr_buf *out)
{
    mr_buf_text(out, "]}]}]}");
}
