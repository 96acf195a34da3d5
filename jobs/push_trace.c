#include "jobs/push_internal.h"
#include "proto/uuid.h"
#include "runtime/tracer.h"

void push_trace_begin(struct errand *errand)
{
    struct mr_context parent;
    bool has_parent = mr_context_read(&parent, mr_slice_of(errand->traceparent));

    if (!has_parent)
        errand->traceparent[0] = '\0';
    if (!mr_tracer_is_on())
        return;
    memcpy(errand->parent, errand->traceparent, sizeof errand->parent);
    if (has_parent)
        errand->context = parent;
    else
        mr_tracer_new_id(errand->context.trace_id, sizeof errand->context.trace_id);
    mr_tracer_new_id(errand->context.span_id, sizeof errand->context.span_id);
    errand->context.sampled = mr_tracer_wants(has_parent ? &parent : NULL, errand->context.trace_id);
    mr_context_write(errand->traceparent, &errand->context);
}

/* OpenTelemetry's semantic conventions for HTTP clients; but no URL, which may hold a token. */
void push_trace_end(const struct mr_push *self, const struct errand *errand)
{
    static const char *const outcomes[] = {
        [MR_PUSH_SUCCEEDED] = "succeeded", [MR_PUSH_FAILED] = "failed", [MR_PUSH_RELEASED] = "released"};
    struct mr_context parent;
    bool has_parent;
    char id[MR_UUID_TEXT];
    struct mr_span *span;

    if (!mr_tracer_is_on() || !errand->context.sampled)
        return;
    has_parent = mr_context_read(&parent, mr_slice_of(errand->parent));
    mr_uuid_format(id, errand->id);
    span = mr_span_new(MR_SPAN_CLIENT, &errand->context, has_parent ? &parent : NULL, errand->begun_us);
    if (span != NULL)
        span->parent_is_remote = has_parent;
    mr_span_name(span, "push %s", errand->kind->name);
    mr_span_text(span, "http.request.method", MR_SLICE("POST"));
    mr_span_text(span, "server.address", mr_slice_of(errand->host->origin));
    if (errand->call.http != 0)
        mr_span_int(span, "http.response.status_code", errand->call.http);
    mr_span_text(span, "messaging.destination.name", mr_slice_of(errand->kind->name));
    mr_span_text(span, "messaging.message.id", (struct mr_slice){id, sizeof id});
    mr_span_int(span, "millrace.run.attempt", errand->attempt);
    mr_span_text(span, "millrace.run.outcome", mr_slice_of(outcomes[errand->verdict.outcome]));
    if (errand->verdict.outcome == MR_PUSH_FAILED)
        mr_span_fail(span, MR_SLICE("failed"));
    mr_span_end(span, mr_mono_us(self->clock));
}
