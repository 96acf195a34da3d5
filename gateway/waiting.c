#include "gateway/waiting.h"

#include <stdlib.h>

#include "gateway/reply.h"
#include "proto/literal.h"
#include "runtime/metrics.h"

/*
 * ROOM_BYTES: what all that wait keep. TELL_MS: how often the actor hears what is waited for, which it believes a little longer;
 * SETTLE_MS: how soon after that a change may be told. VERIFY_MS: how often somebody asks who a key is that cannot be verified.
 */
enum {
    BUCKETS = 1024,
    TOPIC_BYTES = 64,
    ROOM_BYTES = 64 * 1024 * 1024,
    TELL_MS = 1000,
    TELL_LIFE_MS = 2000,
    SETTLE_MS = 10,
    VERIFY_MS = 1000
};

/* What is under way for a request that waits. */
enum activity {
    PARKED,   /* nothing */
    ASKING,   /* what the client asked for */
    VERIFYING /* who its key is */
};

/* What somebody waits for: runs of a job, or the end of a run. It is there as long as anybody waits. */
struct topic {
    TAILQ_ENTRY(topic) in_room;
    TAILQ_ENTRY(topic) in_bucket;
    TAILQ_HEAD(waiters, waiting) waiters; /* in the order in which they came to wait last */
    bool is_run;
    char text[TOPIC_BYTES]; /* the job's name, not terminated; or the 16 bytes of the run's id */
    size_t len;
};

TAILQ_HEAD(topics, topic);

/* Of an exchange. */
struct waiting {
    struct exchange *exchange;
    struct topic *topic;
    TAILQ_ENTRY(waiting) in_topic;
    TAILQ_ENTRY(waiting) in_room;
    enum activity activity;
    bool called;      /* something came while its key was verified */
    bool last;        /* what is asked now is asked for the last time */
    bool has_key;     /* an API key calls, which ends while it waits */
    int64_t until_ms; /* monotonic */
    int64_t parked_us;
    int64_t rested_us;     /* parked before that, in all */
    int64_t most;          /* runs that it takes */
    mr_status fault;       /* of the last attempt; MR_OK: it was answered, by `answer` */
    struct mr_buf payload; /* its values */
    struct mr_buf answer;  /* JSON */
};

struct waiting_room {
    TAILQ_HEAD(all_waiting, waiting) all;
    struct topics topics;
    struct topics buckets[BUCKETS];
    unsigned count;
    unsigned parked;
    size_t bytes;
    int64_t told_ms;
    bool changed; /* since the actor was told */
    bool look;    /* ask it to look now */
};

struct waiting_room *waiting_room_new(void)
{
    struct waiting_room *self = calloc(1, sizeof *self);

    if (self == NULL)
        return NULL;
    TAILQ_INIT(&self->all);
    TAILQ_INIT(&self->topics);
    for (unsigned i = 0; i < BUCKETS; i++)
        TAILQ_INIT(&self->buckets[i]);
    return self;
}

static void free_waiting(struct waiting *self)
{
    mr_buf_fini(&self->payload);
    mr_buf_fini(&self->answer);
    free(self);
}

void waiting_room_destroy(struct waiting_room **self)
{
    struct waiting *waiting;
    struct topic *topic;

    if (*self == NULL)
        return;
    while ((waiting = TAILQ_FIRST(&(*self)->all)) != NULL) {
        TAILQ_REMOVE(&(*self)->all, waiting, in_room);
        waiting->exchange->waiting = NULL;
        free_waiting(waiting);
    }
    while ((topic = TAILQ_FIRST(&(*self)->topics)) != NULL) {
        TAILQ_REMOVE(&(*self)->topics, topic, in_room);
        free(topic);
    }
    free(*self);
    *self = NULL;
}

unsigned waiting_parked(const struct gateway *gateway)
{
    return gateway->waiting->parked;
}

/* ---- Topics ---- */

/* FNV-1a. */
static struct topics *bucket_of(struct waiting_room *room, bool is_run, struct mr_slice text)
{
    uint32_t hash = 2166136261U + is_run;

    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (unsigned char)text.data[i]) * 16777619U;
    return &room->buckets[hash % BUCKETS];
}

static struct topic *topic_find(struct waiting_room *room, bool is_run, struct mr_slice text)
{
    struct topic *self;

    TAILQ_FOREACH(self, bucket_of(room, is_run, text), in_bucket)
    if (self->is_run == is_run && self->len == text.len && memcmp(self->text, text.data, text.len) == 0)
        return self;
    return NULL;
}

/* That topic, made where there is none. NULL: no memory, or the text is none that anything is called by. */
static struct topic *topic_get(struct waiting_room *room, bool is_run, struct mr_slice text)
{
    struct topic *self = topic_find(room, is_run, text);

    if (self != NULL || text.len > TOPIC_BYTES)
        return self;
    self = calloc(1, sizeof *self);
    if (self == NULL)
        return NULL;
    TAILQ_INIT(&self->waiters);
    self->is_run = is_run;
    memcpy(self->text, text.data, text.len);
    self->len = text.len;
    TAILQ_INSERT_TAIL(&room->topics, self, in_room);
    TAILQ_INSERT_TAIL(bucket_of(room, is_run, text), self, in_bucket);
    room->changed = true;
    return self;
}

static void topic_leave(struct waiting_room *room, struct topic *self)
{
    if (!TAILQ_EMPTY(&self->waiters))
        return;
    TAILQ_REMOVE(&room->topics, self, in_room);
    TAILQ_REMOVE(bucket_of(room, self->is_run, (struct mr_slice){self->text, self->len}), self, in_bucket);
    room->changed = true;
    free(self);
}

/* ---- Beginning and end ---- */

static void count_parked(struct waiting_room *room, int more)
{
    room->parked += (unsigned)more;
    mr_metric_show(MR_METRIC_waiting, room->parked);
}

static const struct mr_waits *waits_of(const struct exchange *exchange)
{
    return mr_op_info(exchange->op)->traits->waits;
}

static int64_t now_ms(const struct exchange *exchange)
{
    return gateway_now_ms(exchange->gateway);
}

static size_t bytes_of(const struct waiting *self)
{
    return sizeof *self + self->payload.len + self->answer.len;
}

static int64_t most_of(enum mr_op op, const struct mr_value *values)
{
    int field = mr_field_index(op, "max");

    return field >= 0 && values[field].present ? values[field].integer : 1;
}

/* The text that the topic goes by. */
static struct mr_slice named_by(const struct mr_field *field, const struct mr_value *value)
{
    return mr_value_bytes(field->type, value);
}

static bool has_room(const struct gateway *gateway)
{
    return gateway->waiting->count < (unsigned)gateway->config->gateway_max_waiting && gateway->waiting->bytes < ROOM_BYTES;
}

static struct waiting *waiting_new(struct exchange *exchange, const struct mr_value *values)
{
    struct waiting_room *room = exchange->gateway->waiting;
    const struct mr_field *on = &mr_op_info(exchange->op)->traits->fields[mr_field_index(exchange->op, waits_of(exchange)->on)];
    struct waiting *self = calloc(1, sizeof *self);

    if (self == NULL)
        return NULL;
    mr_payload_encode(&self->payload, exchange->op, values);
    self->topic = topic_get(room, on->type == MR_UUID, named_by(on, &values[mr_field_index(exchange->op, on->name)]));
    if (self->topic == NULL || self->payload.failed) {
        if (self->topic != NULL)
            topic_leave(room, self->topic);
        free_waiting(self);
        return NULL;
    }
    return self;
}

mr_status waiting_begin(struct exchange *exchange, const struct mr_value *values)
{
    const struct mr_waits *waits = waits_of(exchange);
    int field = waits != NULL ? mr_field_index(exchange->op, waits->field) : -1;
    struct waiting_room *room = exchange->gateway->waiting;
    struct waiting *self;

    if (field < 0 || !values[field].present || values[field].integer <= 0 || exchange->gateway->draining)
        return MR_OK;
    if (!has_room(exchange->gateway)) {
        mr_metric_add(MR_METRIC_waiting_refused, 1);
        return MR_OVERLOADED;
    }
    self = waiting_new(exchange, values);
    if (self == NULL)
        return MR_NO_MEMORY;
    self->exchange = exchange;
    self->activity = ASKING;
    self->has_key = exchange->identity == MR_OK && exchange->has_key;
    self->until_ms = exchange->started_ms + values[field].integer;
    self->most = most_of(exchange->op, values);
    exchange->waiting = self;
    TAILQ_INSERT_TAIL(&room->all, self, in_room);
    TAILQ_INSERT_TAIL(&self->topic->waiters, self, in_topic);
    room->count++;
    room->bytes += bytes_of(self);
    return MR_OK;
}

static void unpark(struct waiting *self)
{
    struct gateway *gateway = self->exchange->gateway;

    if (self->activity != PARKED)
        return;
    self->rested_us += mr_mono_us(gateway->clock) - self->parked_us;
    count_parked(gateway->waiting, -1);
    self->activity = ASKING;
}

void waiting_end(struct exchange *exchange)
{
    struct waiting_room *room = exchange->gateway->waiting;
    struct waiting *self = exchange->waiting;

    if (self == NULL)
        return;
    unpark(self);
    exchange->waiting = NULL;
    room->count--;
    room->bytes -= bytes_of(self);
    TAILQ_REMOVE(&room->all, self, in_room);
    TAILQ_REMOVE(&self->topic->waiters, self, in_topic);
    topic_leave(room, self->topic);
    free_waiting(self);
}

int64_t waiting_rested_us(const struct exchange *exchange)
{
    const struct waiting *self = exchange->waiting;

    if (self == NULL)
        return 0;
    return self->rested_us + (self->activity == PARKED ? mr_mono_us(exchange->gateway->clock) - self->parked_us : 0);
}

/* ---- Parking ---- */

/* Who asked in vain stands behind the others. That its key was looked up costs nobody a place. */
static void park(struct waiting *self)
{
    struct gateway *gateway = self->exchange->gateway;

    exchange_settle(self->exchange);
    if (self->activity == ASKING) {
        TAILQ_REMOVE(&self->topic->waiters, self, in_topic);
        TAILQ_INSERT_TAIL(&self->topic->waiters, self, in_topic);
    }
    self->activity = PARKED;
    self->called = false;
    self->parked_us = mr_mono_us(gateway->clock);
    count_parked(gateway->waiting, 1);
}

/* Whether it may go on waiting, whatever came of the attempt. */
static bool may_wait(const struct waiting *self)
{
    const struct exchange *exchange = self->exchange;

    return !self->last && !exchange->gateway->draining && mr_http_may_wait(exchange->connection) &&
           now_ms(exchange) < self->until_ms;
}

bool waiting_keeps(struct exchange *exchange, struct mr_slice payload)
{
    struct waiting *self = exchange->waiting;
    struct mr_reply_head head;
    struct mr_slice json;

    if (self == NULL || mr_reply_decode(payload, &head, &json) != MR_OK || !head.pending || !may_wait(self))
        return false;
    exchange->gateway->waiting->bytes -= self->answer.len;
    mr_buf_clear(&self->answer, SIZE_MAX);
    mr_buf_slice(&self->answer, json);
    if (self->answer.failed)
        mr_buf_fini(&self->answer);
    exchange->gateway->waiting->bytes += self->answer.len;
    if (self->answer.len == 0)
        return false;
    self->fault = MR_OK;
    park(self);
    return true;
}

/* Time and the database's return may change these. */
static bool passes(mr_status status)
{
    return mr_status_http(status) >= 503;
}

bool waiting_endures(struct exchange *exchange, mr_status status)
{
    struct waiting *self = exchange->waiting;

    if (self == NULL || !passes(status) || !may_wait(self))
        return false;
    self->fault = status;
    park(self);
    return true;
}

/* ---- Asking again ---- */

static void ask(struct waiting *self)
{
    struct exchange *exchange = self->exchange;
    struct mr_slice payload = {self->payload.data, self->payload.len};
    struct mr_value values[MR_FIELDS_MAX];
    mr_status status = mr_payload_decode(values, exchange->op, payload);

    unpark(self);
    self->activity = ASKING;
    exchange->asks_primary = true; /* which says that it has come; a replica may be behind */
    if (status == MR_OK)
        status = exchange_send(exchange, exchange->op, values, exchange->has_user ? &exchange->caller : NULL,
                               exchange->gateway->config->request_timeout);
    if (status != MR_OK && !waiting_endures(exchange, status))
        reply_problem(exchange, status, NULL, (struct mr_slice){0});
}

static bool is_key_known(const struct waiting *self)
{
    const struct exchange *exchange = self->exchange;

    return !self->has_key || mr_key_cache_find(exchange->gateway->keys, exchange->key_hash, now_ms(exchange)) != NULL;
}

/* Somebody asks at a time for all that call with the same key. */
static void verify(struct waiting *self)
{
    struct exchange *exchange = self->exchange;
    mr_status status;

    if (!mr_key_cache_may_ask(exchange->gateway->keys, exchange->key_hash, now_ms(exchange), VERIFY_MS))
        return;
    unpark(self);
    self->activity = VERIFYING;
    status = keys_ask_again(exchange);
    if (status != MR_OK && !waiting_endures(exchange, status))
        reply_problem(exchange, status, NULL, (struct mr_slice){0});
}

/* Something has come. */
static void call(struct waiting *self)
{
    if (self->activity == PARKED && is_key_known(self)) {
        ask(self);
        return;
    }
    self->called = true;
    if (self->activity == PARKED)
        verify(self);
}

bool waiting_verifies(const struct exchange *exchange)
{
    return exchange->waiting != NULL && exchange->waiting->activity == VERIFYING;
}

static bool has_same_key(const struct waiting *self, const uint8_t hash[MR_KEY_HASH])
{
    return self->activity == PARKED && self->has_key && memcmp(self->exchange->key_hash, hash, MR_KEY_HASH) == 0;
}

static void refuse_key(struct exchange *exchange)
{
    struct waiting_room *room = exchange->gateway->waiting;
    uint8_t hash[MR_KEY_HASH];
    struct waiting *self;
    struct waiting *next;

    memcpy(hash, exchange->key_hash, sizeof hash);
    reply_problem(exchange, MR_INVALID_KEY, NULL, (struct mr_slice){0});
    for (self = TAILQ_FIRST(&room->all); self != NULL; self = next) {
        next = TAILQ_NEXT(self, in_room);
        if (has_same_key(self, hash))
            reply_problem(self->exchange, MR_INVALID_KEY, NULL, (struct mr_slice){0});
    }
}

void waiting_verified(struct exchange *exchange, const struct mr_envelope *reply)
{
    struct waiting_room *room = exchange->gateway->waiting;
    mr_status status = keys_keep_answer(exchange, reply);
    struct waiting *self = exchange->waiting;
    struct waiting *next;
    bool called = self->called;

    exchange_settle(exchange);
    if (status == MR_INVALID_KEY) {
        refuse_key(exchange);
        return;
    }
    if (status != MR_OK) {
        if (!waiting_endures(exchange, status))
            reply_problem(exchange, status, NULL, (struct mr_slice){0});
        return;
    }
    if (called || !may_wait(self))
        ask(self);
    else
        park(self);
    for (self = TAILQ_FIRST(&room->all); self != NULL; self = next) {
        next = TAILQ_NEXT(self, in_room);
        if (self->called && self->activity == PARKED && is_key_known(self))
            ask(self);
    }
}

/* ---- The end of a wait ---- */

/* With what was answered last, or why nothing was. */
static void answer_now(struct waiting *self)
{
    struct exchange *exchange = self->exchange;
    struct mr_slice json = {self->answer.data, self->answer.len};

    if (self->fault != MR_OK || self->answer.len == 0)
        reply_problem(exchange, self->fault != MR_OK ? self->fault : MR_UNAVAILABLE, NULL, (struct mr_slice){0});
    else
        reply_json(exchange, mr_op_info(exchange->op)->http, json, NULL);
}

/* A run that has not ended is reported as it is now; a claim is answered without runs. */
static void finish(struct waiting *self)
{
    self->last = true;
    if (self->fault == MR_OK && waits_of(self->exchange)->nothing == NULL && is_key_known(self))
        ask(self);
    else
        answer_now(self);
}

void waiting_pressed(struct exchange *exchange)
{
    if (exchange->waiting != NULL && exchange->waiting->activity == PARKED)
        answer_now(exchange->waiting);
}

void waiting_drain(struct gateway *gateway)
{
    struct waiting *self;
    struct waiting *next;

    for (self = TAILQ_FIRST(&gateway->waiting->all); self != NULL; self = next) {
        next = TAILQ_NEXT(self, in_room);
        if (self->activity == PARKED)
            answer_now(self);
    }
}

/* ---- What has come ---- */

/* A claim that is under way takes its part, too. An answer may end the topic, so that the next is found before. */
void waiting_wake_job(struct gateway *gateway, struct mr_slice job, int64_t runs)
{
    struct topic *topic = topic_find(gateway->waiting, false, job);
    struct waiting *self = topic != NULL ? TAILQ_FIRST(&topic->waiters) : NULL;
    struct waiting *last = topic != NULL ? TAILQ_LAST(&topic->waiters, waiters) : NULL;
    bool more = self != NULL;

    while (more && runs > 0) {
        struct waiting *next = TAILQ_NEXT(self, in_topic);

        more = self != last;
        runs -= self->most;
        call(self);
        self = next;
    }
}

static void wake_run(struct gateway *gateway, const uint8_t id[16])
{
    struct topic *topic = topic_find(gateway->waiting, true, (struct mr_slice){(const char *)id, 16});
    struct waiting *self = topic != NULL ? TAILQ_FIRST(&topic->waiters) : NULL;
    struct waiting *last = topic != NULL ? TAILQ_LAST(&topic->waiters, waiters) : NULL;
    bool more = self != NULL;

    while (more) {
        struct waiting *next = TAILQ_NEXT(self, in_topic);

        more = self != last;
        call(self);
        self = next;
    }
}

void waiting_wake_runs(struct gateway *gateway, struct mr_slice ids)
{
    struct mr_buf text = {0};

    while (mr_literal_next(&ids, &text)) {
        uint8_t id[16];

        if (!text.failed && mr_uuid_parse(id, text.data, text.len))
            wake_run(gateway, id);
        mr_buf_clear(&text, SIZE_MAX);
    }
    mr_buf_fini(&text);
}

/* ---- What is waited for ---- */

static void add_topic(struct mr_buf *jobs, struct mr_buf *runs, const struct topic *topic)
{
    struct mr_value value = {.present = true};

    if (topic->is_run) {
        memcpy(value.uuid, topic->text, sizeof value.uuid);
        mr_literal_add(runs, MR_UUID, &value);
    } else {
        value.text = (struct mr_slice){topic->text, topic->len};
        mr_literal_add(jobs, MR_TEXT, &value);
    }
}

static void tell(struct gateway *gateway)
{
    struct waiting_room *room = gateway->waiting;
    struct mr_value values[3] = {{.present = true}, {.present = true}, {.present = true, .boolean = room->look}};
    struct mr_buf jobs = {0};
    struct mr_buf runs = {0};
    const struct topic *topic;

    mr_literal_begin(&jobs);
    mr_literal_begin(&runs);
    TAILQ_FOREACH(topic, &room->topics, in_room)
    add_topic(&jobs, &runs, topic);
    mr_literal_end(&jobs);
    mr_literal_end(&runs);
    values[0].text = (struct mr_slice){jobs.data, jobs.len};
    values[1].text = (struct mr_slice){runs.data, runs.len};
    if (!jobs.failed && !runs.failed)
        exchange_tell(gateway, MR_OP_run_watch, values, TELL_LIFE_MS);
    mr_buf_fini(&jobs);
    mr_buf_fini(&runs);
    room->told_ms = gateway_now_ms(gateway);
    room->changed = room->look = false;
}

void waiting_look(struct gateway *gateway)
{
    gateway->waiting->look = gateway->waiting->count > 0;
}

void waiting_tell(struct gateway *gateway)
{
    const struct waiting_room *room = gateway->waiting;

    if ((room->changed || room->look) && gateway_now_ms(gateway) - room->told_ms >= SETTLE_MS)
        tell(gateway);
}

void waiting_tick(struct gateway *gateway)
{
    struct waiting_room *room = gateway->waiting;
    int64_t at_ms = gateway_now_ms(gateway);
    struct waiting *self;
    struct waiting *next;

    for (self = TAILQ_FIRST(&room->all); self != NULL; self = next) {
        next = TAILQ_NEXT(self, in_room);
        if (self->activity != PARKED)
            continue;
        if (at_ms >= self->until_ms)
            finish(self);
        else if (!is_key_known(self))
            verify(self);
    }
    if (room->count > 0 && at_ms - room->told_ms >= TELL_MS)
        tell(gateway);
    waiting_tell(gateway);
}
