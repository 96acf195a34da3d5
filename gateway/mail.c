#include "gateway/mail.h"

#include "gateway/health.h"
#include "gateway/reply.h"
#include "gateway/upload.h"
#include "runtime/log.h"

/* An upload is answered by the message that makes something of it; what comes before that lets it go on. */
static bool is_of_a_part(const struct exchange *self, const struct mr_envelope *reply)
{
    return self->parts != NULL && reply->op != self->op;
}

/* Of a replica it may mean no more than that it is behind: the user, the session or the resource is not there yet. */
static bool may_be_behind(mr_status status)
{
    int http = mr_status_http(status);

    return http == 401 || http == 404;
}

static void answer_fault(struct exchange *self, const struct mr_fault *fault)
{
    if (!may_be_behind(fault->status) || !exchange_ask_primary(self))
        reply_fault(self, fault);
}

static void answer(struct exchange *self, const struct mr_envelope *reply)
{
    struct mr_fault fault;

    if (reply->kind != MR_REPLY)
        upload_refused(self);
    if (self->connection == NULL) {
        exchange_end(self);
    } else if (reply->op == MR_OP_key_verify) {
        keys_answered(self, reply);
    } else if (reply->op == MR_OP_db_ping) {
        health_pinged(self, reply->kind == MR_REPLY);
    } else if (reply->kind == MR_REPLY && is_of_a_part(self, reply)) {
        exchange_settle(self);
        upload_part_kept(self);
    } else if (reply->kind == MR_REPLY) {
        exchange_note_write(self);
        reply_answer(self, reply->payload);
    } else if (mr_fault_decode(&fault, reply->payload) == MR_OK) {
        answer_fault(self, &fault);
    } else {
        reply_problem(self, MR_INTERNAL, NULL, (struct mr_slice){0});
    }
}

static void deliver(struct gateway *gateway, const struct mr_parcel *parcel)
{
    struct mr_envelope reply;
    struct exchange *self;
    bool good = mr_envelope_decode(&reply, parcel->data, parcel->len) == MR_OK;

    if (good && reply.kind == MR_REQUEST && reply.op == MR_OP_cache_stale) {
        mr_cache_drop(&gateway->cache);
        return;
    }
    if (!good || reply.kind == MR_REQUEST) {
        mr_log_bounded(MR_LOG_ERROR, "malformed envelope", mr_log_text("actor", "gateway"), mr_log_text("from", parcel->from));
        return;
    }
    self = exchange_find(gateway, &reply);
    if (self == NULL)
        return; /* its deadline has passed, or it answers what was not asked */
    exchange_note_times(self, &reply.times);
    if (reply.kind == MR_REPLY)
        health_saw(gateway, self->mailbox);
    answer(self, &reply);
}

void mail_take(struct gateway *gateway)
{
    struct mr_parcel parcel;

    while (mr_mailbox_take(gateway->mailbox, &parcel)) {
        deliver(gateway, &parcel);
        mr_parcel_release(&parcel);
    }
}

void mail_expire(struct gateway *gateway)
{
    int64_t now_ms = gateway_now_ms(gateway);
    struct exchange *self;

    while ((self = TAILQ_FIRST(&gateway->in_flight)) != NULL && self->deadline_ms <= now_ms) {
        if (self->connection == NULL)
            exchange_end(self);
        else if (self->op == MR_OP_health)
            health_pinged(self, false);
        else
            reply_problem(self, MR_TIMEOUT, NULL, (struct mr_slice){0});
    }
}
