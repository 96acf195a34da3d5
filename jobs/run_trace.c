#include "jobs/run_trace.h"

#include "proto/uuid.h"
#include "runtime/tracer.h"

void mr_run_trace_begin(struct mr_run *run)
{
    struct mr_context parent;
    bool has_parent = mr_context_read(&parent, mr_slice_of(run->traceparent));

    if (has_parent)
        run->context = parent;
    if (!mr_tracer_is_on())
        return;
    if (!has_parent)
        mr_tracer_new_id(run->context.trace_id, sizeof run->context.trace_id);
    mr_tracer_new_id(run->context.span_id, sizeof run->context.span_id);
    run->context.sampled = mr_tracer_wants(has_parent ? &parent : NULL, run->context.trace_id);
}

/* OpenTelemetry's semantic conventions for who takes a message from a queue and works on it. */
void mr_run_trace_end(const struct mr_actor *self, const struct mr_run *run, const char *outcome, bool failed)
{
    const char *job = mr_job_info(mr_job_of(self))->name;
    char id[MR_UUID_TEXT + 1] = "";
    struct mr_context parent;
    bool has_parent;
    struct mr_span *span;

    if (!mr_tracer_is_on() || !run->context.sampled)
        return;
    has_parent = mr_context_read(&parent, mr_slice_of(run->traceparent));
    mr_uuid_format(id, run->id);
    span = mr_span_new(MR_SPAN_CONSUMER, &run->context, has_parent ? &parent : NULL, run->started_us);
    if (span != NULL)
        span->parent_is_remote = has_parent;
    mr_span_name(span, "process %s", job);
    mr_span_text(span, "messaging.system", MR_SLICE("millrace"));
    mr_span_text(span, "messaging.operation.name", MR_SLICE("run"));
    mr_span_text(span, "messaging.operation.type", MR_SLICE("process"));
    mr_span_text(span, "messaging.destination.name", mr_slice_of(job));
    mr_span_text(span, "messaging.message.id", mr_slice_of(id));
    mr_span_int(span, "millrace.run.attempt", run->attempt);
    mr_span_int(span, "millrace.run.waited_ms", run->waited_ms);
    mr_span_int(span, "millrace.run.done", run->done);
    mr_span_text(span, "millrace.run.outcome", mr_slice_of(outcome));
    if (failed)
        mr_span_fail(span, mr_slice_of(outcome));
    mr_span_end(span, mr_mono_us(self->clock));
}

void mr_run_trace_write(const struct mr_run *run, char out[MR_TRACEPARENT])
{
    static const uint8_t none[16];

    out[0] = '\0';
    if (memcmp(run->context.trace_id, none, sizeof none) != 0)
        mr_context_write(out, &run->context);
}
