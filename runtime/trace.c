#include "runtime/trace.h"

#include "runtime/plan.h"
#include "runtime/tracer.h"

/* The request's span, when it is recorded. */
static bool context_of(const struct mr_message *message, struct mr_context *out)
{
    struct mr_slice traceparent = message->envelope.traceparent;

    return traceparent.len == MR_TRACEPARENT - 1 && traceparent.data[traceparent.len - 1] != '0' &&
           mr_context_read(out, traceparent) && out->sampled;
}

static void describe_batch(struct mr_span *span, unsigned count)
{
    mr_span_int(span, "batch.size", count);
}

void mr_trace_mailbox(struct mr_actor *self, struct mr_message *const *messages, unsigned count)
{
    int64_t now_us = mr_tracer_is_on() ? mr_mono_us(self->clock) : 0;
    struct mr_context request;

    for (unsigned i = 0; mr_tracer_is_on() && i < count; i++) {
        struct mr_span *span;

        if (!context_of(messages[i], &request))
            continue;
        span = mr_span_below(MR_SPAN_INTERNAL, &request, now_us - messages[i]->mailbox_us);
        mr_span_name(span, "receive %s", self->name);
        mr_span_text(span, "messaging.system", MR_SLICE("zeromq"));
        mr_span_text(span, "messaging.operation.name", MR_SLICE("receive"));
        mr_span_text(span, "messaging.operation.type", MR_SLICE("receive"));
        mr_span_text(span, "messaging.destination.name", mr_slice_of(self->name));
        mr_span_text(span, "messaging.message.type", mr_slice_of(mr_op_info(messages[i]->envelope.op)->name));
        describe_batch(span, count);
        mr_span_end(span, now_us);
    }
}

static void describe_server(struct mr_span *span, const struct mr_actor *self)
{
    const char *host = self->db == self->primary ? self->config->db_host : self->config->db_host_read_only;

    mr_span_text(span, "server.address", mr_slice_of(host));
    if (*host != '/')
        mr_span_int(span, "server.port", self->config->db_port);
}

static void describe_failure(struct mr_span *span, const struct mr_actor *self, mr_status status)
{
    const struct mr_db_error *error = mr_db_last_error(self->db);

    if (status == MR_OK)
        return;
    if (error->sqlstate[0] != '\0')
        mr_span_text(span, "db.response.status_code", mr_slice_of(error->sqlstate));
    mr_span_fail(span, mr_slice_of(error->sqlstate[0] != '\0' ? error->sqlstate : mr_status_name(status)));
}

/* OpenTelemetry's semantic conventions for PostgreSQL. The statement's name, never its text or what is bound to it. */
static void describe_statement(struct mr_span *span, const struct mr_actor *self, const char *statement, mr_status status)
{
    mr_span_name(span, "%s", statement);
    mr_span_text(span, "db.system.name", MR_SLICE("postgresql"));
    mr_span_text(span, "db.namespace", mr_slice_of(self->config->db_database));
    mr_span_text(span, "db.operation.name", mr_slice_of(statement));
    mr_span_text(span, "db.query.summary", mr_slice_of(statement));
    if (self->in_hand_count > 1)
        mr_span_int(span, "db.operation.batch.size", self->in_hand_count);
    describe_batch(span, self->in_hand_count);
    describe_server(span, self);
    describe_failure(span, self, status);
}

/* In the trace of a request that the statement answered too: the same time, and a link to the statement's span. */
static void refer(const struct mr_actor *self, const struct mr_context *request, const struct mr_context *shared,
                  const char *statement, int64_t begun_us, int64_t ended_us)
{
    struct mr_span *span = mr_span_below(MR_SPAN_INTERNAL, request, begun_us);

    mr_span_name(span, "%s", statement);
    describe_batch(span, self->in_hand_count);
    mr_span_expect_links(span, 1);
    mr_span_link(span, shared);
    mr_span_end(span, ended_us);
}

void mr_trace_statement(struct mr_actor *self, const char *statement, int64_t begun_us, mr_status status)
{
    struct mr_context requests[MR_PLAN_MAX];
    unsigned count = 0;
    int64_t ended_us;
    struct mr_span *span;
    struct mr_context shared;

    for (unsigned i = 0; mr_tracer_is_on() && i < self->in_hand_count && count < MR_PLAN_MAX; i++)
        count += context_of(self->in_hand[i], &requests[count]);
    if (count == 0)
        return;
    ended_us = mr_mono_us(self->clock);
    span = mr_span_below(MR_SPAN_CLIENT, &requests[0], begun_us);
    if (span == NULL)
        return;
    shared = span->context;
    describe_statement(span, self, statement, status);
    mr_span_expect_links(span, count);
    for (unsigned i = 0; i < count; i++)
        mr_span_link(span, &requests[i]);
    mr_span_end(span, ended_us);
    for (unsigned i = 1; i < count; i++)
        refer(self, &requests[i], &shared, statement, begun_us, ended_us);
}
