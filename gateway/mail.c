#include "gateway/mail.h"

#include "gateway/claims.h"
#include "gateway/health.h"
#include "gateway/reply.h"
#include "gateway/upload.h"
#include "gateway/waiting.h"
#include "runtime/log.h"

/* Nobody says how many a request has queued; who is woken for nothing waits on. */
enum { MANY_RUNS = 1000 };

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
    if (waiting_endures(self, fault->status))
        return;
    if (!may_be_behind(fault->status) || !exchange_ask_primary(self))
        reply_fault(self, fault);
}

/*
 * Who has hung up is taken to be gone, though they could still read: what they asked to be handed out goes back, and they are told of
 * nothing.
 */
static bool hands_out_to_nobody(struct exchange *self, const struct mr_envelope *reply)
{
    struct mr_slice claims = claims_of(reply);

    if (claims.len == 0 || (self->connection != NULL && !mr_http_has_ended(self->connection))) {
        if (self->connection != NULL)
            claims_need_receipt(self, claims);
        return false;
    }
    claims_give_back(self->gateway, claims);
    return true;
}

static void answer_success(struct exchange *self, const struct mr_envelope *reply)
{
    struct gateway *gateway = self->gateway;

    if (reply->op == MR_OP_run_outcomes)
        waiting_look(gateway);
    if (self->wakes[0] != '\0')
        waiting_wake_job(gateway, mr_slice_of(self->wakes), MANY_RUNS);
    exchange_note_write(self);
    reply_answer(self, reply->payload);
}

static void answer(struct exchange *self, const struct mr_envelope *reply)
{
    bool to_nobody = hands_out_to_nobody(self, reply);
    struct mr_fault fault;

    if (reply->kind != MR_REPLY)
        upload_refused(self);
    if (self->connection == NULL) {
        exchange_end(self);
    } else if (to_nobody) {
        reply_json(self, 200, mr_slice_of(mr_op_info(self->op)->traits->waits->nothing), NULL);
    } else if (waiting_verifies(self)) {
        waiting_verified(self, reply);
    } else if (reply->op == MR_OP_key_verify) {
        keys_answered(self, reply);
    } else if (reply->op == MR_OP_db_ping) {
        health_pinged(self, reply->kind == MR_REPLY);
    } else if (reply->kind == MR_REPLY && is_of_a_part(self, reply)) {
        exchange_settle(self);
        upload_part_kept(self);
    } else if (reply->kind == MR_REPLY) {
        if (!waiting_keeps(self, reply->payload))
            answer_success(self, reply);
    } else if (mr_fault_decode(&fault, reply->payload) == MR_OK) {
        answer_fault(self, &fault);
    } else {
        reply_problem(self, MR_INTERNAL, NULL, (struct mr_slice){0});
    }
}

/* What an actor says unasked. False: it is nothing that an actor would. */
static bool take_news(struct gateway *gateway, const struct mr_envelope *news)
{
    struct mr_value values[MR_FIELDS_MAX];

    if (mr_op_info(news->op)->actor != MR_ACTOR_GATEWAY || mr_op_info(news->op)->access != MR_ACCESS_INTERNAL ||
        mr_payload_decode(values, news->op, news->payload) != MR_OK)
        return false;
    switch (news->op) {
    case MR_OP_cache_stale: mr_cache_drop(&gateway->cache); return true;
    case MR_OP_work_ready: waiting_wake_job(gateway, values[0].text, values[1].integer); return true;
    case MR_OP_runs_ended: waiting_wake_runs(gateway, values[0].text); return true;
    default: return false;
    }
}

static void deliver(struct gateway *gateway, const struct mr_parcel *parcel)
{
    struct mr_envelope reply;
    struct exchange *self;
    bool good = mr_envelope_decode(&reply, parcel->data, parcel->len) == MR_OK;

    if (good && reply.kind == MR_REQUEST && take_news(gateway, &reply))
        return;
    if (!good || reply.kind == MR_REQUEST) {
        mr_log_bounded(MR_LOG_ERROR, "malformed envelope", mr_log_text("actor", "gateway"), mr_log_text("from", parcel->from));
        return;
    }
    self = exchange_find(gateway, &reply);
    if (self == NULL) { /* its deadline has passed, or it answers what was not asked */
        claims_give_back(gateway, claims_of(&reply));
        return;
    }
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
        else if (!waiting_endures(self, MR_TIMEOUT))
            reply_problem(self, MR_TIMEOUT, NULL, (struct mr_slice){0});
    }
}
