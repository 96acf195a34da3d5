#include "tests/fuzz/gateway/stubs.h"

#include "proto/json.h"
#include "runtime/log.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/tasks.h"

enum { LATE_MAX = 64, LARGE_BYTES = 400 * 1024 };

struct late {
    enum mr_op op;
    uint64_t correlation;
};

struct stub {
    struct mr_actor actor;
    mr_mailbox *mailbox;
    enum stub_manner manner;
    uint8_t argument;
    struct late late[LATE_MAX];
    unsigned late_count;
};

static const struct mr_actor_spec specs[] = {
    {.id = MR_ACTOR_AUTH},
    {.id = MR_ACTOR_DATA_READER},
    {.id = MR_ACTOR_DATA_WRITER},
};

/*
 * One of each actor and lane; the reader twice, on a replica and on the primary. The replica's come first, since whoever is
 * asked after a write may share a place in the gateway's memory of writers with the one who wrote.
 */
static struct stub stubs[STUB_COUNT] = {
    {.actor = {.spec = &specs[1], .lane = MR_LANE_QUICK, .on_replica = true}},
    {.actor = {.spec = &specs[1], .lane = MR_LANE_SLOW, .on_replica = true}},
    {.actor = {.spec = &specs[0], .lane = MR_LANE_QUICK}},
    {.actor = {.spec = &specs[0], .lane = MR_LANE_SLOW}},
    {.actor = {.spec = &specs[1], .lane = MR_LANE_QUICK, .instance = 1}},
    {.actor = {.spec = &specs[1], .lane = MR_LANE_SLOW, .instance = 1}},
    {.actor = {.spec = &specs[2], .lane = MR_LANE_QUICK}},
    {.actor = {.spec = &specs[2], .lane = MR_LANE_SLOW}},
};

struct mr_actor *const stub_actors[STUB_COUNT] = {
    &stubs[0].actor, &stubs[1].actor, &stubs[2].actor, &stubs[3].actor,
    &stubs[4].actor, &stubs[5].actor, &stubs[6].actor, &stubs[7].actor,
};

static struct mr_buf frame;
static struct mr_buf payload;
static unsigned asked;

void stubs_open(const struct mr_config *config)
{
    for (unsigned i = 0; i < STUB_COUNT; i++) {
        struct mr_actor *actor = &stubs[i].actor;

        actor->config = config;
        atomic_store(&actor->stats.replica_has_ms, INT64_MAX);
        mr_actor_mailbox_name(actor->name, actor->spec->id, actor->lane, actor->instance);
        must(mr_mailbox_new(&stubs[i].mailbox, actor->name) == MR_OK);
    }
    stubs_reset();
}

void stubs_close(void)
{
    for (unsigned i = 0; i < STUB_COUNT; i++)
        mr_mailbox_destroy(&stubs[i].mailbox);
    mr_buf_fini(&frame);
    mr_buf_fini(&payload);
}

void stub_behave(unsigned stub, enum stub_manner manner, uint8_t argument)
{
    struct stub *self = &stubs[stub % STUB_COUNT];

    self->manner = manner;
    self->argument = argument;
    atomic_store(&self->actor.stats.connected, manner != STUB_DEAD);
    atomic_store(&self->actor.stats.resting, manner == STUB_DEAD && (argument & 1) != 0);
}

void stubs_reset(void)
{
    for (unsigned i = 0; i < STUB_COUNT; i++) {
        stub_behave(i, STUB_REPLIES, 0);
        stubs[i].late_count = 0;
    }
    asked = 0;
}

unsigned stubs_asked(void)
{
    return asked;
}

void stub_vanish(unsigned stub)
{
    struct stub *self = &stubs[stub % STUB_COUNT];

    atomic_store(&self->actor.stats.connected, false);
    mr_mailbox_destroy(&self->mailbox);
}

/* ---- Sending ---- */

/* The gateway may have ended: then nobody is there to hear it. */
static void send_bytes(struct stub *self, const void *data, size_t len)
{
    if (self->mailbox != NULL)
        (void)!mr_mailbox_send(self->mailbox, mr_actor_info(MR_ACTOR_GATEWAY)->name, data, len);
}

static void send_payload(struct stub *self, enum mr_kind kind, enum mr_op op, uint64_t correlation)
{
    struct mr_envelope envelope = {
        .kind = kind, .op = op, .correlation = correlation, .payload = {payload.data != NULL ? payload.data : "", payload.len}};

    mr_buf_clear(&frame, SIZE_MAX);
    must(mr_envelope_encode(&frame, &envelope) == MR_OK);
    send_bytes(self, frame.data, frame.len);
}

static void write_object(size_t bytes)
{
    static char filler[LARGE_BYTES];

    if (filler[0] == '\0')
        memset(filler, 'x', sizeof filler);
    mr_buf_text(&payload, "{\"id\":\"0190a0a0-0000-7000-8000-000000000001\",\"text\":");
    mr_json_string(&payload, (struct mr_slice){filler, bytes});
    mr_buf_char(&payload, '}');
}

static void write_page(size_t bytes)
{
    mr_buf_text(&payload, "{\"data\":[");
    write_object(bytes);
    mr_buf_text(&payload, "],\"pagination\":{\"page\":1}}");
}

static void write_body(enum mr_op op, size_t bytes)
{
    if (op == MR_OP_key_verify) {
        mr_buf_text(&payload, "{\"scopes\":\"jobs:admin\",\"life\":60000}");
        return;
    }
    switch (mr_op_info(op)->traits->shape) {
    case MR_SHAPE_NONE: mr_buf_text(&payload, "null"); break;
    case MR_SHAPE_ONE: write_object(bytes); break;
    case MR_SHAPE_MANY:
        mr_buf_char(&payload, '[');
        write_object(bytes);
        mr_buf_char(&payload, ']');
        break;
    case MR_SHAPE_PAGE: write_page(bytes); break;
    }
}

static void reply_with(struct stub *self, const struct late *asking, const struct mr_reply_head *head, size_t bytes)
{
    size_t begun;

    mr_buf_clear(&payload, SIZE_MAX);
    begun = mr_reply_begin(&payload);
    write_body(asking->op, bytes);
    mr_reply_end(&payload, begun, head);
    send_payload(self, MR_REPLY, asking->op, asking->correlation);
}

static void reply(struct stub *self, const struct late *asking)
{
    static const struct mr_reply_head plain = {{"", 0}, 0, {"", 0}, {"", 0}, false};
    static const struct mr_reply_head of_key = {{"", 0}, 0, {"0123456789abcdef", 16}, {"", 0}, false};

    reply_with(self, asking, asking->op == MR_OP_key_verify ? &of_key : &plain, 10);
}

/* The gateway alone decides about methods and rates. */
static void refuse(struct stub *self, const struct late *asking, mr_status status, bool names_field)
{
    struct mr_fault fault = {.status = status, .field = {"", 0}, .code = {"", 0}, .message = {"", 0}};

    if (status == MR_METHOD || status == MR_RATE_LIMITED)
        fault.status = MR_INTERNAL;
    if (names_field) {
        fault.field = MR_SLICE("summary");
        fault.code = MR_SLICE("too_long");
        fault.message = MR_SLICE("It is \"too\" long.");
    }
    mr_buf_clear(&payload, SIZE_MAX);
    mr_fault_encode(&payload, &fault);
    send_payload(self, MR_ERROR, asking->op, asking->correlation);
}

static void answer_garbage(struct stub *self, uint8_t argument)
{
    uint8_t bytes[32];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(argument * (i + 1) ^ 0x98);
    send_bytes(self, bytes, argument % sizeof bytes);
}

/* The payload of a reply or of an error, cut short or with a byte changed. */
static void answer_garbled(struct stub *self, const struct late *asking, uint8_t argument)
{
    size_t begun;

    mr_buf_clear(&payload, SIZE_MAX);
    if ((argument & 1) != 0) {
        mr_fault_encode(&payload, &(struct mr_fault){.status = MR_INVALID, .field = {"a", 1}, .code = {"b", 1}, .message = {"c", 1}});
    } else {
        begun = mr_reply_begin(&payload);
        if ((argument & 2) == 0)
            write_body(asking->op, 10);
        mr_reply_end(&payload, begun, &(struct mr_reply_head){{"", 0}, 0, {"", 0}, {"", 0}, false});
    }
    if ((argument & 4) != 0)
        payload.len -= (argument >> 3) % payload.len;
    else
        payload.data[(size_t)(argument >> 3) * 5 % payload.len] ^= (char)0xa5;
    send_payload(self, (argument & 1) != 0 ? MR_ERROR : MR_REPLY, asking->op, asking->correlation);
}

static void answer_astray(struct stub *self, const struct late *asking, uint8_t argument)
{
    struct late other = *asking;

    switch (argument % 4) {
    case 0: other.correlation += 1; break;
    case 1: other.correlation += UINT64_C(1) << 32; break;
    case 2: other.correlation = UINT64_C(0x3fffffff) << 32 | 0xffffff; break;
    case 3: other.op = (enum mr_op)((asking->op + argument / 4) % mr_op_count()); break;
    }
    reply(self, &other);
    reply(self, asking);
}

static void answer_headed(struct stub *self, const struct late *asking, uint8_t argument)
{
    static const char bytes[] = "0123456789abcdef0123456789abcdef0123456789abcdef";
    static const int64_t versions[] = {0, 1, -1, INT64_MAX};
    static const size_t lengths[] = {0, 16, 3, 48};
    struct mr_reply_head head = {
        .next = {bytes, lengths[argument & 3]}, .version = versions[argument >> 2 & 3], .id = {bytes, lengths[argument >> 4 & 3]}};

    reply_with(self, asking, &head, 10);
}

static void keep_back(struct stub *self, const struct late *asking)
{
    if (self->late_count < LATE_MAX)
        self->late[self->late_count++] = *asking;
}

static void answer(struct stub *self, const struct late *asking, enum stub_manner manner, uint8_t argument)
{
    switch (manner) {
    case STUB_REPLIES: reply(self, asking); break;
    case STUB_REFUSES: refuse(self, asking, (mr_status)((argument & 127) % MR_STATUS_COUNT), argument > 127); break;
    case STUB_TWICE:
        reply(self, asking);
        refuse(self, asking, MR_CONFLICT, false);
        break;
    case STUB_LATE: keep_back(self, asking); break;
    case STUB_GARBAGE: answer_garbage(self, argument); break;
    case STUB_GARBLED: answer_garbled(self, asking, argument); break;
    case STUB_LARGE: reply_with(self, asking, &(struct mr_reply_head){{"", 0}, 0, {"", 0}, {"", 0}, false}, LARGE_BYTES); break;
    case STUB_ASTRAY: answer_astray(self, asking, argument); break;
    case STUB_HEADED: answer_headed(self, asking, argument); break;
    case STUB_DEAD: refuse(self, asking, MR_UNAVAILABLE, false); break;
    case STUB_NEVER:
    case STUB_MANNERS: break;
    }
}

void stub_answer_late(unsigned stub, bool last_first, unsigned count, enum stub_manner manner, uint8_t argument)
{
    struct stub *self = &stubs[stub % STUB_COUNT];

    if (manner == STUB_LATE)
        manner = STUB_REPLIES;
    while (count-- > 0 && self->late_count > 0) {
        struct late asking = self->late[last_first ? self->late_count - 1 : 0];

        self->late_count--;
        if (!last_first)
            memmove(self->late, self->late + 1, self->late_count * sizeof *self->late);
        answer(self, &asking, manner, argument);
    }
}

void stub_speak_up(unsigned stub, uint8_t what)
{
    struct stub *self = &stubs[stub % STUB_COUNT];

    mr_buf_clear(&payload, SIZE_MAX);
    mr_wire_array(&payload, 0);
    switch (what % 3) {
    case 0: send_payload(self, MR_REQUEST, MR_OP_cache_stale, 0); break;
    case 1: send_payload(self, MR_REQUEST, op_named("task_get"), what); break;
    case 2: answer_garbage(self, what); break;
    }
}

/* ---- Receiving ---- */

/* What the gateway sends fits the tables: actors rely on it. */
static void take(struct stub *self, const struct mr_parcel *parcel)
{
    struct mr_value values[MR_FIELDS_MAX];
    struct mr_envelope envelope;

    must(mr_envelope_decode(&envelope, parcel->data, parcel->len) == MR_OK);
    must(envelope.kind == MR_REQUEST && mr_payload_decode(values, envelope.op, envelope.payload) == MR_OK);
    must(mr_op_info(envelope.op)->actor == self->actor.spec->id && mr_op_info(envelope.op)->traits->lane == self->actor.lane);
    answer(self, &(struct late){envelope.op, envelope.correlation}, self->manner, self->argument);
}

bool stubs_work(void)
{
    bool any = false;
    struct mr_parcel parcel;

    for (unsigned i = 0; i < STUB_COUNT; i++)
        while (stubs[i].mailbox != NULL && mr_mailbox_take(stubs[i].mailbox, &parcel)) {
            take(&stubs[i], &parcel);
            mr_parcel_release(&parcel);
            asked |= 1U << i;
            any = true;
        }
    return any;
}
