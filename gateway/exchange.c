/*
 * exchange: a request under way, from the message to its reply.
 *
 * The correlation id is the exchange's place in the table and the generation of that place, so that a reply
 * that comes after its deadline finds nobody and is dropped. What waits at an actor is counted here, and only
 * here: a mailbox that has its fill is refused before anything is sent.
 */
#include <stdlib.h>

#include "gateway/internal.h"
#include "runtime/log.h"

/* ACTOR_DATA_READER_COUNT, once for the replica and once for the primary. */
enum { MAILBOXES_MAX = 128 };

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

struct exchange *exchange_new(struct connection *connection, const struct mr_http_request *request)
{
    struct gateway *gateway = connection->gateway;
    struct exchange *self;
    uint32_t index;

    if (gateway->free_count == 0 && !grow(gateway))
        return NULL;
    index = gateway->free_indices[gateway->free_count - 1];
    self = gateway->exchanges[index];
    if (self == NULL) {
        self = calloc(1, sizeof *self);
        if (self == NULL)
            return NULL;
        self->gateway = gateway;
        self->index = index;
        gateway->exchanges[index] = self;
    }
    gateway->free_count--;
    self->connection = connection;
    self->op = MR_OP_COUNT;
    self->sent = false;
    self->has_user = false;
    mr_buf_clear(&self->link, 512);
    self->quota.policy = NULL;
    mr_buf_clear(&self->cache_key, 512);
    mr_preconditions_clear(&self->conditions);
    self->is_head = request != NULL && request->is_head;
    self->origin[0] = '\0';
    self->started_ms = gateway_now_ms(gateway);
    gateway_new_id(gateway, self->new_id);
    set_request_id(self, request);
    mr_trace_of(self->traceparent, request, self->new_id);
    connection->exchange = self;
    return self;
}

/* What was sent is answered, or nobody waits for it any more. */
static void settle(struct exchange *self)
{
    struct gateway *gateway = self->gateway;
    struct mailbox_load *load = &gateway->mailboxes[self->mailbox];

    if (self->sent) {
        TAILQ_REMOVE(&gateway->in_flight, self, in_flight);
        load->messages--;
        load->bytes -= self->bytes;
    }
    self->sent = false;
    self->generation = (self->generation + 1) & 0x3fffffff;
}

/* Memory stays with its place: the next request will want the same. */
void exchange_free(struct exchange *self)
{
    struct gateway *gateway = self->gateway;

    settle(self);
    if (self->connection != NULL)
        self->connection->exchange = NULL;
    self->connection = NULL;
    gateway->free_indices[gateway->free_count++] = self->index;
}

/* Users who share a place read from the primary a little more often than they need to. */
static int64_t *wrote_until(const struct gateway *gateway, const uint8_t user_id[16])
{
    uint32_t hash;

    memcpy(&hash, user_id + 12, sizeof hash);
    return &gateway->wrote_until_ms[hash % WRITERS_REMEMBERED];
}

/* Read your writes: the caller, and a user who was just made, find on the primary what the replica may not have yet. */
static void note_write(const struct exchange *self)
{
    struct gateway *gateway = self->gateway;
    int64_t until_ms = gateway_now_ms(gateway) + gateway->config->db_read_your_writes;

    if (gateway->wrote_until_ms == NULL || mr_op_info(self->op)->verb == MR_VERB_GET)
        return;
    *wrote_until(gateway, self->has_user ? self->user_id : self->new_id) = until_ms;
}

static bool has_just_written(const struct exchange *self)
{
    const struct gateway *gateway = self->gateway;

    return gateway->wrote_until_ms != NULL && self->has_user && *wrote_until(gateway, self->user_id) > self->started_ms;
}

/* The mailbox a message goes to: that of its key, else the one with the least to do. -1: nobody serves the op here. */
static int choose_mailbox(const struct exchange *self, enum mr_op op, const struct mr_value *values)
{
    const struct gateway *gateway = self->gateway;
    const struct mr_op_info *info = mr_op_info(op);
    uint64_t key = mr_message_key(op, values);
    bool primary = has_just_written(self);
    bool replica = gateway->wrote_until_ms != NULL && !primary && mr_actor_info(info->actor)->database == MR_DATABASE_REPLICA;
    unsigned candidates[MAILBOXES_MAX];
    unsigned count = 0;
    unsigned best;

    for (unsigned i = 0; i < gateway->mailbox_count && count < MAILBOXES_MAX; i++) {
        const struct mr_actor *actor = gateway->mailboxes[i].actor;

        if (actor->spec->id == info->actor && actor->lane == info->traits->lane && !(primary && actor->on_replica) &&
            !(replica && !actor->on_replica))
            candidates[count++] = i;
    }
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

static mr_status encode(struct exchange *self, enum mr_op message, const struct mr_value *values,
                        const struct mr_principal *principal, int64_t patience_ms)
{
    struct gateway *gateway = self->gateway;
    struct mr_envelope envelope = {
        .kind = MR_REQUEST,
        .op = message,
        .correlation = (uint64_t)self->generation << 32 | self->index,
        .deadline_ms = mr_wall_ms(gateway->clock) + patience_ms,
        .traceparent = mr_slice_of(self->traceparent),
        .has_principal = principal != NULL,
    };

    mr_buf_clear(&gateway->payload, BODY_MAX);
    mr_payload_encode(&gateway->payload, message, values);
    if (gateway->payload.failed)
        return MR_NO_MEMORY;
    if (principal != NULL)
        envelope.principal = *principal;
    envelope.payload = (struct mr_slice){gateway->payload.data, gateway->payload.len};
    mr_buf_clear(&gateway->frame, BODY_MAX);
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

mr_status exchange_send(struct exchange *self, enum mr_op message, const struct mr_value *values,
                        const struct mr_principal *principal, int64_t patience_ms)
{
    struct gateway *gateway = self->gateway;
    mr_status status = encode(self, message, values, principal, patience_ms);
    struct mailbox_load *load;
    int chosen;

    if (status != MR_OK)
        return status;
    self->has_user = principal != NULL;
    if (principal != NULL)
        memcpy(self->user_id, principal->user_id, sizeof self->user_id);
    chosen = choose_mailbox(self, message, values);
    if (chosen < 0)
        return MR_UNAVAILABLE;
    load = &gateway->mailboxes[chosen];
    self->bytes = gateway->frame.len;
    if (load->messages >= (unsigned)gateway->config->mailbox_max_messages ||
        load->bytes + self->bytes > (size_t)gateway->config->mailbox_max_bytes)
        return MR_OVERLOADED;
    status = mr_mailbox_send(gateway->mailbox, load->actor->name, gateway->frame.data, gateway->frame.len);
    if (status != MR_OK)
        return status;
    load->messages++;
    load->bytes += self->bytes;
    self->mailbox = (unsigned)chosen;
    self->sent = true;
    self->cache_generation = gateway->cache.generation;
    self->deadline_ms = gateway_now_ms(gateway) + patience_ms;
    insert_by_deadline(gateway, self);
    return MR_OK;
}

static struct exchange *find(struct gateway *gateway, uint64_t correlation)
{
    uint32_t index = (uint32_t)correlation;
    struct exchange *self = index < gateway->exchange_room ? gateway->exchanges[index] : NULL;

    return self != NULL && self->sent && self->generation == correlation >> 32 ? self : NULL;
}

static void answer(struct exchange *self, const struct mr_envelope *reply)
{
    struct mr_fault fault;

    if (self->connection == NULL) {
        exchange_free(self);
    } else if (reply->op == MR_OP_db_ping) {
        health_pinged(self, reply->kind == MR_REPLY);
    } else if (reply->kind == MR_REPLY && self->connection->upload != NULL) {
        settle(self);
        upload_part_kept(self->connection);
    } else if (reply->kind == MR_REPLY) {
        note_write(self);
        reply_wire(self, reply->payload);
    } else if (mr_fault_decode(&fault, reply->payload) == MR_OK) {
        reply_fault(self, &fault);
    } else {
        reply_problem(self, MR_INTERNAL, NULL, (struct mr_slice){0});
    }
}

static void deliver(struct gateway *gateway, const struct mr_parcel *parcel)
{
    struct mr_envelope reply;
    struct exchange *self;
    bool good = mr_envelope_decode(&reply, parcel->data, parcel->len) == MR_OK;

    if (good && reply.kind == MR_REQUEST && reply.op == MR_OP_refdata_changed) {
        mr_cache_drop(&gateway->cache);
        return;
    }
    if (!good || reply.kind == MR_REQUEST) {
        mr_log(MR_LOG_ERROR, "malformed envelope", mr_log_text("actor", "gateway"), mr_log_text("from", parcel->from));
        return;
    }
    self = find(gateway, reply.correlation);
    if (self != NULL)
        answer(self, &reply);
}

void exchange_take_mail(struct gateway *gateway)
{
    struct mr_parcel parcel;

    while (mr_mailbox_take(gateway->mailbox, &parcel)) {
        deliver(gateway, &parcel);
        mr_parcel_release(&parcel);
    }
}

void exchange_expire(struct gateway *gateway, int64_t now_ms)
{
    struct exchange *self;

    while ((self = TAILQ_FIRST(&gateway->in_flight)) != NULL && self->deadline_ms <= now_ms) {
        if (self->connection == NULL)
            exchange_free(self);
        else if (self->op == MR_OP_health)
            health_pinged(self, false);
        else
            reply_problem(self, MR_TIMEOUT, NULL, (struct mr_slice){0});
    }
}

bool exchange_any(const struct gateway *gateway)
{
    return !TAILQ_EMPTY(&gateway->in_flight);
}
