#include "gateway/trace.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/message.h"
#include "runtime/tracer.h"

enum { TRACE_AT = 3, TRACE_LEN = 32, PARENT_AT = 36, PARENT_LEN = 16, FLAGS_AT = 53, FLAGS_LEN = 2, LEN = MR_TRACEPARENT - 1 };

/* Lower-case digits, not all of them zero unless that is allowed. */
static bool is_hex(const char *text, size_t len, bool may_be_zero)
{
    bool all_zero = true;

    for (size_t i = 0; i < len; i++) {
        if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
            return false;
        all_zero = all_zero && text[i] == '0';
    }
    return may_be_zero || !all_zero;
}

static bool is_good(struct mr_slice text)
{
    const char *t = text.data;

    if (text.len < LEN || !is_hex(t, 2, true) || memcmp(t, "ff", 2) == 0)
        return false;
    if (text.len > LEN && (memcmp(t, "00", 2) == 0 || t[LEN] != '-'))
        return false;
    return t[TRACE_AT - 1] == '-' && is_hex(t + TRACE_AT, TRACE_LEN, false) && t[PARENT_AT - 1] == '-' &&
           is_hex(t + PARENT_AT, PARENT_LEN, false) && t[FLAGS_AT - 1] == '-' && is_hex(t + FLAGS_AT, FLAGS_LEN, true);
}

/* As version 00 has it: of the flags to come only "sampled" is known (3.2.4). */
static void copy(char out[MR_TRACEPARENT], const char *given)
{
    memcpy(out, given, LEN);
    out[LEN] = '\0';
    if (memcmp(given, "00", 2) == 0)
        return;
    memcpy(out, "00", 2);
    memcpy(out + FLAGS_AT, strchr("13579bdf", given[LEN - 1]) != NULL ? "01" : "00", FLAGS_LEN);
}

/* Of two parents neither is the one. */
static bool is_given(const struct mr_http_request *request, struct mr_slice *out)
{
    return mr_http_header_count(request, "traceparent") == 1 && mr_http_header(request, "traceparent", out) && is_good(*out);
}

/* mr_trace_of; whether the request has brought a trace. */
static bool write_trace(char out[MR_TRACEPARENT], const struct mr_http_request *request, const uint8_t id[16])
{
    static const char digits[] = "0123456789abcdef";
    struct mr_slice given;

    if (request != NULL && is_given(request, &given)) {
        copy(out, given.data);
        return true;
    }
    memcpy(out, "00-00000000000000000000000000000000-0000000000000000-00", MR_TRACEPARENT);
    for (size_t i = 0; i < 16; i++) {
        out[TRACE_AT + 2 * i] = digits[id[i] >> 4];
        out[TRACE_AT + 2 * i + 1] = digits[id[i] & 15];
    }
    memcpy(out + PARENT_AT, out + TRACE_AT + TRACE_LEN - PARENT_LEN, PARENT_LEN);
    return false;
}

void mr_trace_of(char out[MR_TRACEPARENT], const struct mr_http_request *request, const uint8_t id[16])
{
    (void)write_trace(out, request, id);
}

/* ---- The request's span: OpenTelemetry's semantic conventions for HTTP servers ---- */

/* What is no method that we know is not repeated: anybody can send any. */
static const char *method_of(const struct mr_http_request *request)
{
    if (request->is_head)
        return "HEAD";
    if (request->is_options)
        return "OPTIONS";
    return request->verb != MR_VERB_NONE ? mr_verb_name(request->verb) : "_OTHER";
}

/* "host:port", as the client named it. */
static void describe_server(struct mr_span *span, struct mr_slice host)
{
    size_t len = host.len;

    while (len > 0 && host.data[len - 1] >= '0' && host.data[len - 1] <= '9')
        len--;
    if (len > 1 && len < host.len && host.data[len - 1] == ':') {
        mr_span_int(span, "server.port", strtol(host.data + len, NULL, 10));
        host.len = len - 1;
    }
    mr_span_text(span, "server.address", host);
}

static void describe(struct mr_span *span, const struct mr_http_request *request)
{
    struct mr_slice value;

    mr_span_name(span, "%s", *method_of(request) != '_' ? method_of(request) : "HTTP");
    mr_span_text(span, "http.request.method", mr_slice_of(method_of(request)));
    mr_span_text(span, "url.scheme", MR_SLICE("http"));
    mr_span_text(span, "url.path", request->path);
    if (mr_http_header(request, "host", &value))
        describe_server(span, value);
    if (mr_http_header(request, "user-agent", &value))
        mr_span_text(span, "user_agent.original", value);
    if (mr_http_header_count(request, "tracestate") == 1 && mr_http_header(request, "tracestate", &value))
        mr_span_state(span, value);
}

struct mr_span *mr_trace_begin(char out[MR_TRACEPARENT], const struct mr_http_request *request, const uint8_t id[16],
                               int64_t start_us)
{
    struct mr_context parent;
    struct mr_context own;
    struct mr_span *span;
    bool has_parent = write_trace(out, request, id);

    if (!mr_tracer_is_on())
        return NULL;
    if (has_parent)
        (void)mr_context_read(&parent, (struct mr_slice){out, LEN});
    memcpy(own.trace_id, has_parent ? parent.trace_id : id, sizeof own.trace_id);
    own.sampled = mr_tracer_wants(has_parent ? &parent : NULL, own.trace_id);
    if (!own.sampled && !has_parent) /* most requests, and `out` says it already */
        return NULL;
    mr_tracer_new_id(own.span_id, sizeof own.span_id);
    mr_context_write(out, &own);
    if (!own.sampled)
        return NULL;
    span = mr_span_new(MR_SPAN_SERVER, &own, has_parent ? &parent : NULL, start_us);
    if (span != NULL)
        span->parent_is_remote = has_parent;
    if (request != NULL)
        describe(span, request);
    return span;
}

void mr_trace_end(struct mr_span **span, const char *route, int http, int64_t end_us)
{
    char status[12];

    if (*span == NULL)
        return;
    if (route != NULL) {
        mr_span_name(*span, "%.*s %s", (int)(*span)->name.len, (*span)->name.data, route);
        mr_span_text(*span, "http.route", mr_slice_of(route));
    }
    mr_span_int(*span, "http.response.status_code", http);
    snprintf(status, sizeof status, "%d", http);
    if (http >= 500)
        mr_span_fail(*span, mr_slice_of(status));
    mr_span_end(*span, end_us);
    *span = NULL;
}

void mr_trace_abandon(struct mr_span **span, int64_t end_us)
{
    mr_span_fail(*span, MR_SLICE("client_gone"));
    mr_span_end(*span, end_us);
    *span = NULL;
}
