#include "runtime/queue.h"

#include <stdlib.h>

#include "runtime/answer.h"
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "runtime/plan.h"

static struct mr_message *message_new(struct mr_actor *self)
{
    struct mr_message *message = self->spare;

    if (message != NULL) {
        self->spare = message->next;
        return message;
    }
    message = malloc(sizeof *message);
    if (message != NULL) {
        message->values = NULL;
        message->room = 0;
    }
    return message;
}

void mr_queue_note_answered(struct mr_actor *self, struct mr_message *message)
{
    self->answered += !message->answered;
    message->answered = true;
}

static void message_free(struct mr_actor *self, struct mr_message *message)
{
    self->answered -= message->answered;
    message->answered = false;
    mr_parcel_release(&message->parcel);
    message->next = self->spare;
    self->spare = message;
}

static void enqueue(struct mr_actor *self, struct mr_message *message)
{
    message->next = NULL;
    *self->last = message;
    self->last = &message->next;
    self->waiting++;
    self->held = false;
    if (message->envelope.deadline_ms < self->earliest_ms)
        self->earliest_ms = message->envelope.deadline_ms;
}

/* For whoever looks from outside: what is in hand, and since when the oldest has waited. */
static void show(struct mr_actor *self)
{
    atomic_store_explicit(&self->stats.queued, self->waiting, memory_order_relaxed);
    atomic_store_explicit(&self->stats.oldest_us, self->first != NULL ? self->first->envelope.times.sent_us : 0,
                          memory_order_relaxed);
}

static void note_expired(struct mr_actor *self)
{
    atomic_fetch_add(&self->stats.expired, 1);
    mr_metric_add(MR_METRIC_expired, 1);
}

/* Frees the message at `link` if it is answered or late; false: it stays. */
static bool sweep_one(struct mr_actor *self, struct mr_message **link, int64_t now_ms)
{
    struct mr_message *message = *link;
    bool expired = !message->answered && message->envelope.deadline_ms <= now_ms;

    if (message->flying || (!message->answered && !expired))
        return false;
    if (expired)
        note_expired(self);
    *link = message->next;
    self->waiting--;
    message_free(self, message);
    return true;
}

/* Only when a deadline passes does every message have to be looked at; else the walk ends with the last that is answered. */
void mr_queue_sweep(struct mr_actor *self)
{
    int64_t now_ms = mr_wall_ms(self->clock);
    bool is_due = self->earliest_ms <= now_ms;
    int64_t earliest_ms = INT64_MAX;
    struct mr_message **link = &self->first;

    while (*link != NULL && (is_due || self->answered > 0)) {
        if (sweep_one(self, link, now_ms))
            continue;
        if ((*link)->envelope.deadline_ms < earliest_ms)
            earliest_ms = (*link)->envelope.deadline_ms;
        link = &(*link)->next;
    }
    if (*link == NULL) {
        self->last = link;
        self->earliest_ms = earliest_ms;
    }
    show(self);
}

unsigned mr_queue_drop_late(struct mr_actor *self, struct mr_message **messages, unsigned count)
{
    struct mr_message *late[MR_PLAN_MAX];
    int64_t now_ms = mr_wall_ms(self->clock);
    unsigned in_time = 0;
    unsigned dropped = 0;

    for (unsigned i = 0; i < count; i++)
        if (messages[i]->envelope.deadline_ms > now_ms)
            messages[in_time++] = messages[i];
        else
            late[dropped++] = messages[i];
    for (unsigned i = 0; i < dropped; i++) {
        messages[in_time + i] = late[i];
        mr_queue_note_answered(self, late[i]);
        note_expired(self);
    }
    return in_time;
}

/* False when the parcel is no request of this actor's; there is nobody who could be answered then. */
static bool read_request(struct mr_actor *self, struct mr_message *message)
{
    const struct mr_op_info *info;

    if (mr_envelope_decode(&message->envelope, message->parcel.data, message->parcel.len) != MR_OK ||
        message->envelope.kind != MR_REQUEST)
        return false;
    info = mr_op_info(message->envelope.op);
    return info->actor == self->spec->id && info->traits->lane == self->lane;
}

/* Room for the values of its op, kept for the next message that uses this memory. */
static bool make_room(struct mr_message *message)
{
    unsigned count = mr_field_count(message->envelope.op);
    struct mr_value *values;

    if (count <= message->room)
        return true;
    values = realloc(message->values, count * sizeof *values);
    if (values == NULL)
        return false;
    message->values = values;
    message->room = count;
    return true;
}

static void receive(struct mr_actor *self, struct mr_message *message)
{
    message->taken = false;
    message->flying = false;
    message->answered = false;
    message->lost_race = false;
    message->runs = 0;
    message->batch = 0;
    if (!read_request(self, message)) {
        atomic_fetch_add(&self->stats.malformed, 1);
        mr_log_bounded(MR_LOG_ERROR, "malformed envelope", mr_log_text("actor", self->name),
                       mr_log_text("from", message->parcel.from));
        message_free(self, message);
        return;
    }
    if (!make_room(message)) {
        mr_answer_error(self, message, MR_NO_MEMORY, NULL, NULL, NULL);
        message_free(self, message);
        return;
    }
    if (mr_payload_decode(message->values, message->envelope.op, message->envelope.payload) != MR_OK) {
        atomic_fetch_add(&self->stats.malformed, 1);
        mr_answer_error(self, message, MR_INVALID, NULL, NULL, NULL);
        message_free(self, message);
        return;
    }
    message->variant = mr_message_variant(message->envelope.op, message->values);
    message->key = mr_message_key(message->envelope.op, message->values);
    enqueue(self, message);
}

bool mr_queue_take_mail(struct mr_actor *self)
{
    for (;;) {
        struct mr_message *message = message_new(self);

        if (message == NULL || !mr_mailbox_take(self->mailbox, &message->parcel)) {
            if (message != NULL) {
                message->next = self->spare;
                self->spare = message;
            }
            show(self);
            return message != NULL;
        }
        receive(self, message);
    }
}

void mr_queue_free(struct mr_actor *self)
{
    while (self->first != NULL) {
        struct mr_message *message = self->first;

        self->first = message->next;
        message_free(self, message);
    }
    self->last = &self->first;
    self->waiting = 0;
    while (self->spare != NULL) {
        struct mr_message *message = self->spare;

        self->spare = message->next;
        free(message->values);
        free(message);
    }
}
