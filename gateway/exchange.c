/*
 * exchange: a request under way, from the message to its reply.
 *
 * The correlation id is the exchange's place in the table and the generation of that place, so that a reply
 * that comes after its deadline finds nobody and is dropped. What waits at an actor is counted here, and only
 * here: a mailbox that has its fill is refused before anything is sent.
 */
#include "gateway/exchange.h"

#include <stdlib.h>

#include "gateway/parts.h"
#include "gateway/prefer.h"
#include "runtime/metrics.h"
#include "gateway/reply.h"
#include "gateway/waiting.h"

/* ACTOR_DATA_READER_COUNT, once for the replica and once for the primary. */
enum { MAILBOXES_MAX = 128, DROP_LIFE_MS = 60000, BEAT_MS = 10000, BEAT_LIFE_MS = 30000 };

static bool grow(struct gateway *gateway)
{
    uint32_t room = gateway->exchange_room != 0 ? gateway->exchange_room * 2 : 256;
    struct exchange **exchanges = realloc(gateway->exchanges, room * sizeof *exchanges);
    uint32_t *indices;

    if (exchanges == NULL)
        return false;
    gateway->exchanges = exchanges;
    indices = realloc(gateway->free_indices, room * sizeof *indices);
    if (indices == NULL)
        return false;
    gateway->free_indices = indices;
    for (uint32_t i = room; i-- > gateway->exchange_room;) {
        exchanges[i] = NULL;
        indices[gateway->free_count++] = i;
    }
    gateway->exchange_room = room;
    return true;
}

static bool id_is_good(struct mr_slice id)
{
    if (id.len == 0 || id.len > REQUEST_ID_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++)
        if (id.data[i] <= ' ' || id.data[i] > '~' || id.data[i] == '"' || id.data[i] == '\\')
            return false;
    return true;
}

static void set_request_id(struct exchange *self, const struct mr_http_request *request)
{
    struct mr_slice given;

    if (request != NULL && mr_http_header(request, "x-request-id", &given) && id_is_good(given)) {
        memcpy(self->request_id, given.data, given.len);
        self->request_id[given.len] = '\0';
        return;
    }
    mr_uuid_format(self->request_id, self->new_id);
    self->request_id[MR_UUID_TEXT] = '\0';
}

/* An exchange that nobody uses; its memory stays with its place in the table. NULL: no memory. */
static struct exchange *take_free(struct gateway *gateway)
{
    struct exchange *self;
    uint32_t index;

    if (gateway->free_count == 0 && !grow(gateway))
        return NULL;
    index = gateway->free_indices[gateway->free_count - 1];
    if (gateway->exchanges[index] == NULL)
        gateway->exchanges[index] = calloc(1, sizeof *self);
    self = gateway->exchanges[index];
    if (self == NULL)
        return NULL;
    gateway->free_count--;
    self->gateway = gateway;
    self->index = index;
    return self;
}

struct exchange *exchange_new(struct gateway *gateway, struct mr_http_connection *connection,
                              const struct mr_http_request *request)
{
    struct exchange *self = take_free(gateway);

    if (self == NULL)
        return NULL;
    self->connection = connection;
    self->op = MR_OP_NONE;
    self->route_status = MR_NOT_FOUND;
    self->held = NULL;
    self->waiting = NULL;
    self->has_key = false;
    self->wakes[0] = '\0';
    self->key_asked_ms = 0;
    mr_buf_clear(&self->only, 512);
    self->has_user = false;
    self->asks_primary = gateway->wrote_until_ms != NULL && request != NULL && mr_prefers(request, "primary");
    mr_buf_clear(&self->link, 512);
    self->quota.policy = NULL;
    mr_buf_clear(&self->cache_key, 512);
    mr_preconditions_clear(&self->conditions);
    self->origin[0] = '\0';
    self->beats_ms = 0;
    self->started_us = mr_mono_us(gateway->clock);
    self->started_ms = self->started_us / 1000;
    self->sent_us = 0;
    self->away_us = 0;
    self->times = (struct mr_times){0};
    gateway_new_id(gateway, self->new_id);
    set_request_id(self, request);
    self->span = mr_trace_begin(self->traceparent, request, self->new_id, self->started_us);
    return self;
}

void exchange_settle(struct exchange *self)
{
    struct gateway *gateway = self->gateway;
    struct mailbox_load *load = &gateway->mailboxes[self->mailbox];

    if (self->sent) {
        TAILQ_REMOVE(&gateway->in_flight, self, in_flight);
        load->messages--;
        load->bytes -= self->bytes;
        atomic_store_explicit(&load->actor->stats.under_way, load->messages, memory_order_relaxed);
    }
    self->sent = false;
    self->generation = (self->generation + 1) & 0x3fffffff;
}

void exchange_note_times(struct exchange *self, const struct mr_times *times)
{
    self->away_us += mr_mono_us(self->gateway->clock) - self->sent_us;
    self->sent_us = 0;
    mr_metric_show(MR_METRIC_mailbox_ms_most, (uint64_t)times->mailbox_us / 1000);
    self->times.mailbox_us += times->mailbox_us;
    self->times.database_us += times->database_us;
    self->times.batch = times->batch;
}

/* Users who share a place read from the primary a little more often than they need to. */
static int64_t *wrote_until(const struct gateway *gateway, const uint8_t user_id[16])
{
    uint32_t hash;

    memcpy(&hash, user_id + 12, sizeof hash);
    return &gateway->wrote_until_ms[hash % WRITERS_REMEMBERED];
}

/* Read your writes: the caller, and a user who was just made, find on the primary what the replica may not have yet. */
void exchange_note_write(const struct exchange *self)
{
    struct gateway *gateway = self->gateway;
    int64_t until_ms = gateway_now_ms(gateway) + gateway->config->db_read_your_writes;

    if (gateway->wrote_until_ms == NULL || mr_op_info(self->op)->verb == MR_VERB_GET)
        return;
    *wrote_until(gateway, self->has_user ? self->caller.user_id : self->new_id) = until_ms;
}

static bool has_just_written(const struct exchange *self)
{
    const struct gateway *gateway = self->gateway;

    return gateway->wrote_until_ms != NULL && self->has_user && *wrote_until(gateway, self->caller.user_id) > self->started_ms;
}

/* When the caller's last write was answered, monotonic; 0: there is none that anybody remembers. */
static int64_t wrote_ms(const struct exchange *self)
{
    const struct gateway *gateway = self->gateway;
    int64_t until_ms = gateway->wrote_until_ms != NULL && self->has_user ? *wrote_until(gateway, self->caller.user_id) : 0;

    return until_ms != 0 ? until_ms - gateway->config->db_read_your_writes : 0;
}

/* A reader whose replica has, for certain, what the caller wrote. */
static bool has_their_writes(const struct mr_actor *actor, int64_t written_ms)
{
    return atomic_load(&actor->stats.replica_has_ms) >= written_ms;
}

/* The mailboxes that may answer: readers of the replica, or of the primary; all others are on the primary anyway. */
static unsigned find_candidates(const struct exchange *self, enum mr_op op, bool replica, unsigned out[MAILBOXES_MAX])
{
    const struct gateway *gateway = self->gateway;
    const struct mr_op_info *info = mr_op_info(op);
    int64_t written_ms = wrote_ms(self);
    unsigned count = 0;

    for (unsigned i = 0; i < gateway->mailbox_count && count < MAILBOXES_MAX; i++) {
        const struct mr_actor *actor = gateway->mailboxes[i].actor;

        if (actor->spec->id == info->actor && actor->lane == info->traits->lane && actor->on_replica == replica &&
            (!replica || has_their_writes(actor, written_ms)))
            out[count++] = i;
    }
    return count;
}

/* The mailbox a message goes to: that of its key, else the one with the least to do. -1: nobody serves the op here. */
static int choose_mailbox(const struct exchange *self, enum mr_op op, const struct mr_value *values)
{
    const struct gateway *gateway = self->gateway;
    uint64_t key = mr_message_key(op, values);
    bool primary = self->asks_primary || has_just_written(self);
    unsigned candidates[MAILBOXES_MAX];
    unsigned count = primary ? 0 : find_candidates(self, op, true, candidates);
    unsigned best;

    if (count == 0)
        count = find_candidates(self, op, false, candidates);
    if (count == 0)
        return -1;
    if (key != 0)
        return (int)candidates[key % count];
    best = candidates[0];
    for (unsigned i = 1; i < count; i++)
        if (gateway->mailboxes[candidates[i]].messages < gateway->mailboxes[best].messages)
            best = candidates[i];
    return (int)best;
}

/* `trace`: the request's traceparent; empty: it belongs to none. */
static mr_status encode(struct gateway *gateway, struct mr_slice trace, enum mr_op message, uint64_t correlation,
                        const struct mr_value *values, const struct mr_principal *principal, int64_t patience_ms)
{
    int64_t now_us = mr_wall_us(gateway->clock);
    struct mr_envelope envelope = {
        .kind = MR_REQUEST,
        .op = message,
        .correlation = correlation,
        .deadline_ms = now_us / 1000 + patience_ms,
        .times.sent_us = now_us,
        .traceparent = trace,
        .has_principal = principal != NULL,
    };

    mr_buf_clear(&gateway->payload, KEEP_BYTES);
    mr_payload_encode(&gateway->payload, message, values);
    if (gateway->payload.failed)
        return MR_NO_MEMORY;
    if (principal != NULL)
        envelope.principal = *principal;
    envelope.payload = (struct mr_slice){gateway->payload.data, gateway->payload.len};
    mr_buf_clear(&gateway->frame, KEEP_BYTES);
    return mr_envelope_encode(&gateway->frame, &envelope);
}

/* Nearly always at the end; a shorter patience (a ping) is sorted in from there. */
static void insert_by_deadline(struct gateway *gateway, struct exchange *self)
{
    struct exchange *before = TAILQ_LAST(&gateway->in_flight, exchange_list);

    while (before != NULL && before->deadline_ms > self->deadline_ms)
        before = TAILQ_PREV(before, exchange_list, in_flight);
    if (before == NULL)
        TAILQ_INSERT_HEAD(&gateway->in_flight, self, in_flight);
    else
        TAILQ_INSERT_AFTER(&gateway->in_flight, before, self, in_flight);
}

static bool is_full(const struct gateway *gateway, const struct mailbox_load *load, size_t more)
{
    return load->messages >= (unsigned)gateway->config->mailbox_max_messages ||
           load->bytes + more > (size_t)gateway->config->mailbox_max_bytes;
}

static mr_status refuse(struct mailbox_load *load)
{
    atomic_fetch_add_explicit(&load->actor->stats.turned_away, 1, memory_order_relaxed);
    mr_metric_add(MR_METRIC_refused, 1);
    return MR_OVERLOADED;
}

mr_status exchange_find_room(const struct exchange *self)
{
    const struct gateway *gateway = self->gateway;
    const struct mr_op_info *info = mr_op_info(mr_op_answering(self->op));
    struct mailbox_load *full = NULL;

    for (unsigned i = 0; i < gateway->mailbox_count; i++) {
        struct mailbox_load *load = &gateway->mailboxes[i];

        if (load->actor->spec->id != info->actor || load->actor->lane != info->traits->lane)
            continue;
        if (!is_full(gateway, load, 0))
            return MR_OK;
        full = load;
    }
    return full != NULL ? refuse(full) : MR_OK;
}

/* What was sent, so that the primary can be asked the same. */
static void keep_asked(struct exchange *self)
{
    const struct mr_buf *payload = &self->gateway->payload;

    mr_buf_clear(&self->asked, KEEP_BYTES);
    mr_buf_append(&self->asked, payload->data, payload->len);
}

/* A ping enters even a full mailbox: overload must not make the database look unwell. */
mr_status exchange_send(struct exchange *self, enum mr_op message, const struct mr_value *values,
                        const struct mr_principal *principal, int64_t patience_ms)
{
    struct gateway *gateway = self->gateway;
    int64_t sent_us = mr_mono_us(gateway->clock); /* before that of the message: the actor's times lie within ours */
    uint64_t correlation = (uint64_t)self->generation << 32 | self->index;
    struct mailbox_load *load;
    mr_status status;
    int chosen;

    message = mr_op_answering(message);
    status = encode(gateway, mr_slice_of(self->traceparent), message, correlation, values, principal, patience_ms);
    if (status != MR_OK)
        return status;
    self->has_user = principal != NULL;
    if (principal != NULL)
        self->caller = *principal;
    chosen = choose_mailbox(self, message, values);
    if (chosen < 0)
        return MR_UNAVAILABLE;
    load = &gateway->mailboxes[chosen];
    self->bytes = gateway->frame.len + (self->held != NULL ? self->held->size : 0);
    if (message != MR_OP_db_ping && is_full(gateway, load, self->bytes))
        return refuse(load);
    status = mr_mailbox_send(gateway->mailbox, load->actor->name, gateway->frame.data, gateway->frame.len);
    if (status != MR_OK)
        return status;
    load->messages++;
    load->bytes += self->bytes;
    atomic_store_explicit(&load->actor->stats.under_way, load->messages, memory_order_relaxed);
    self->message = message;
    self->mailbox = (unsigned)chosen;
    self->sent = true;
    if (load->actor->on_replica)
        keep_asked(self);
    self->cache_generation = gateway->cache.generation;
    self->sent_us = sent_us;
    self->deadline_ms = self->sent_us / 1000 + patience_ms;
    insert_by_deadline(gateway, self);
    return MR_OK;
}

bool exchange_ask_primary(struct exchange *self)
{
    const struct gateway *gateway = self->gateway;
    struct mr_slice payload = {self->asked.data, self->asked.len};
    struct mr_value values[MR_FIELDS_MAX];
    mr_status status = MR_NO_MEMORY;

    if (!self->sent || self->asks_primary || !gateway->mailboxes[self->mailbox].actor->on_replica)
        return false;
    self->asks_primary = true;
    exchange_settle(self);
    if (!self->asked.failed)
        status = mr_payload_decode(values, self->op, payload);
    if (status == MR_OK)
        status = exchange_send(self, self->op, values, self->has_user ? &self->caller : NULL,
                               self->deadline_ms - gateway_now_ms(gateway));
    if (status != MR_OK)
        reply_problem(self, status, NULL, (struct mr_slice){0});
    return true;
}

static const uint64_t nobody = UINT32_MAX; /* no table of exchanges has such an index */

/*
 * Tells the actor that keeps an upload something of it. Nobody waits for the answer, which finds no exchange, and the mailbox may
 * have its fill: what is dropped makes room, and a beat is small.
 */
static void tell_of_upload(struct exchange *self, enum mr_op message, int64_t life_ms)
{
    struct gateway *gateway = self->gateway;
    struct mr_value id = {.present = true};
    int chosen;

    memcpy(id.uuid, self->new_id, sizeof id.uuid);
    chosen = choose_mailbox(self, message, &id);
    if (chosen >= 0 && encode(gateway, mr_slice_of(self->traceparent), message, nobody, &id, NULL, life_ms) == MR_OK)
        (void)!mr_mailbox_send(gateway->mailbox, gateway->mailboxes[chosen].actor->name, gateway->frame.data,
                               gateway->frame.len);
}

/* The first mailbox that serves it: such messages go to actors of which there is only one. */
void exchange_tell(struct gateway *gateway, enum mr_op message, const struct mr_value *values, int64_t life_ms)
{
    const struct mr_op_info *info = mr_op_info(message);

    for (unsigned i = 0; i < gateway->mailbox_count; i++) {
        const struct mr_actor *actor = gateway->mailboxes[i].actor;

        if (actor->spec->id != info->actor || actor->lane != info->traits->lane)
            continue;
        if (encode(gateway, (struct mr_slice){"", 0}, message, nobody, values, NULL, life_ms) == MR_OK)
            (void)!mr_mailbox_send(gateway->mailbox, actor->name, gateway->frame.data, gateway->frame.len);
        return;
    }
}

/* What came to nothing is to go. Where this is lost a scheduler finds the parts, because they do not beat any more. */
static void drop_upload(struct exchange *self)
{
    tell_of_upload(self, mr_op_info(self->op)->traits->upload->drop, DROP_LIFE_MS);
}

static void beat_later(struct exchange *self)
{
    self->beats_ms = gateway_now_ms(self->gateway) + BEAT_MS;
    TAILQ_INSERT_TAIL(&self->gateway->uploads, self, in_uploads);
}

void exchange_keep_upload(struct exchange *self)
{
    if (self->beats_ms == 0)
        beat_later(self);
}

void exchange_beat_uploads(struct gateway *gateway)
{
    int64_t now_ms = gateway_now_ms(gateway);
    struct exchange *self;

    while ((self = TAILQ_FIRST(&gateway->uploads)) != NULL && self->beats_ms <= now_ms) {
        tell_of_upload(self, mr_op_info(self->op)->traits->upload->beat, BEAT_LIFE_MS);
        TAILQ_REMOVE(&gateway->uploads, self, in_uploads);
        beat_later(self);
    }
}

void exchange_end(struct exchange *self)
{
    struct gateway *gateway = self->gateway;

    if (self->parts != NULL && self->parts->is_kept && !self->parts->is_handed_over)
        drop_upload(self);
    if (self->beats_ms != 0)
        TAILQ_REMOVE(&gateway->uploads, self, in_uploads);
    self->beats_ms = 0;
    exchange_settle(self);
    waiting_end(self);
    mr_trace_abandon(&self->span, mr_mono_us(gateway->clock));
    parts_destroy(&self->parts);
    free(self->held);
    self->held = NULL;
    self->connection = NULL;
    gateway->free_indices[gateway->free_count++] = self->index;
}

void exchange_abandon(struct exchange *self)
{
    self->connection = NULL;
    if (!self->sent)
        exchange_end(self);
}

struct exchange *exchange_find(struct gateway *gateway, const struct mr_envelope *reply)
{
    uint32_t index = (uint32_t)reply->correlation;
    struct exchange *self = index < gateway->exchange_room ? gateway->exchanges[index] : NULL;

    if (self == NULL || !self->sent || self->generation != reply->correlation >> 32)
        return NULL;
    return self->message == reply->op ? self : NULL;
}

bool exchange_any(const struct gateway *gateway)
{
    return !TAILQ_EMPTY(&gateway->in_flight);
}

void exchange_fini_all(struct gateway *gateway)
{
    for (uint32_t i = 0; i < gateway->exchange_room; i++) {
        if (gateway->exchanges[i] == NULL)
            continue;
        mr_buf_fini(&gateway->exchanges[i]->link);
        mr_buf_fini(&gateway->exchanges[i]->cache_key);
        mr_buf_fini(&gateway->exchanges[i]->asked);
        mr_preconditions_fini(&gateway->exchanges[i]->conditions);
        parts_destroy(&gateway->exchanges[i]->parts);
        free(gateway->exchanges[i]->held);
        mr_buf_fini(&gateway->exchanges[i]->only);
        mr_span_destroy(&gateway->exchanges[i]->span);
        free(gateway->exchanges[i]);
    }
    free(gateway->exchanges);
    free(gateway->free_indices);
}
