/*
 * Bytes as a program that clients, actors, the clock and memory follow, against a whole gateway.
 *
 * An op is a byte, its operands follow (see `steps`). After each the gateway's loop turns until it would sleep. Whatever
 * happens: every answer is well-formed and belongs to its request, nothing comes behind the last one, every connection ends
 * in its time, and afterwards the gateway is as it was: no connection, no place in a mailbox is lost, and it answers.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "proto/message.h"
#include "runtime/metrics.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/gateway/answers.h"
#include "tests/fuzz/gateway/clients.h"
#include "tests/fuzz/gateway/front.h"
#include "tests/fuzz/gateway/memory.h"
#include "tests/fuzz/gateway/stubs.h"
#include "tests/fuzz/gateway/time.h"
#include "tests/fuzz/tasks.h"

enum {
    STEPS_MAX = 256,    /* of an input */
    SENT_MAX = 4 << 20, /* bytes that an input sends in all */
    TURNS_MAX = 20000,  /* that the loop may take to come to rest */
    LIFE_MS = 300000,   /* in which the connections of an input end by themselves */
    APART_MS = 600000,  /* between two inputs: what is remembered for a time is forgotten */
    LIVE_MAX = 64,      /* blocks of memory that the gateway keeps between inputs, for the next requests */
    INPUTS_MAX = 1000   /* that one gateway serves */
};

/* What is left of the input. */
struct program {
    const uint8_t *at;
    const uint8_t *end;
    size_t sent;
    bool has_lost_actor;
    bool has_upload;
};

static uint8_t next(struct program *self)
{
    return self->at < self->end ? *self->at++ : 0;
}

/* One client is used more than the others, so that what steps do meets. */
static unsigned next_client(struct program *self)
{
    static const uint8_t clients[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 4, 5};

    return clients[next(self) % sizeof clients];
}

/* Past the last row of the map those that take a body in parts: most of what can go wrong is theirs. */
static enum mr_op next_op(struct program *self)
{
    uint8_t number = next(self);

    return number < 160 ? request_op(number) : request_upload_op(number);
}

/* ---- The gateway ---- */

static void settle(void)
{
    for (unsigned turns = 0;; turns++) {
        bool slept = front_turn();
        bool moved = stubs_work();

        moved |= clients_work();
        if (slept && !moved)
            return;
        must(turns < TURNS_MAX); /* the loop turns without doing anything */
    }
}

static void pass(int64_t ms)
{
    time_advance(ms);
    settle();
}

/* ---- Steps ---- */

static void step_open(struct program *program)
{
    client_open(next_client(program));
}

static void step_send(struct program *program)
{
    unsigned client = next_client(program);
    size_t len = next(program) + (size_t)1;

    if (len > (size_t)(program->end - program->at))
        len = (size_t)(program->end - program->at);
    client_send(client, program->at, len);
    program->at += len;
    program->sent += len;
}

static void step_piece(struct program *program)
{
    unsigned client = next_client(program);
    struct mr_slice piece = request_piece(next(program));

    client_send(client, piece.data, piece.len);
    program->sent += piece.len;
}

/* Around the size of a part, and beyond what is allowed. */
static const size_t sizes[] = {0, 1, 40, 4096, 262143, 262144, 262145, 300000, 600000, 17 << 20};

enum { SIZES = sizeof sizes / sizeof sizes[0] };

static void step_request(struct program *program)
{
    static struct request request;
    unsigned client = next_client(program);
    enum mr_op op = next_op(program);
    uint8_t flags = next(program);
    uint8_t body = next(program);
    char id[CLIENT_ID];

    client_open(client);
    client_next_id(client, id);
    request_make(&request, op, flags, body / 16, sizes[body % 16 % SIZES], id);
    client_request(client, &request);
    program->has_upload |= mr_op_info(op)->traits->upload != NULL;
    program->sent += request.bytes.len;
    mr_buf_fini(&request.bytes);
}

static void step_body(struct program *program)
{
    unsigned client = next_client(program);
    size_t len = next(program);
    uint8_t fill = next(program);

    len = fill < 128 ? len * 2048 + 1 : len;
    client_send_body(client, fill, len);
    program->sent += len;
}

static void step_shut(struct program *program)
{
    client_shut(next_client(program));
}

static void step_close(struct program *program)
{
    client_close(next_client(program));
}

static void step_hold(struct program *program)
{
    unsigned client = next_client(program);

    client_hold(client, next(program) % 4 != 0);
}

static void step_read(struct program *program)
{
    unsigned client = next_client(program);

    client_read(client, next(program) * (size_t)64 + 1);
}

static void step_dribble(struct program *program)
{
    unsigned client = next_client(program);

    client_dribble(client, next(program) * (size_t)16);
}

static void step_behave(struct program *program)
{
    unsigned stub = next(program) % (STUB_COUNT * 2);
    enum stub_manner manner = (enum stub_manner)(next(program) % STUB_MANNERS);
    uint8_t argument = next(program);

    for (unsigned i = 0; i < STUB_COUNT; i++)
        if (stub >= STUB_COUNT || i == stub)
            stub_behave(i, manner, argument);
}

static void step_answer(struct program *program)
{
    unsigned stub = next(program) % (STUB_COUNT * 2);
    unsigned how = next(program);
    enum stub_manner manner = (enum stub_manner)(next(program) % STUB_MANNERS);
    uint8_t argument = next(program);

    for (unsigned i = 0; i < STUB_COUNT; i++)
        if (stub >= STUB_COUNT || i == stub)
            stub_answer_late(i, how >= 128, how % 4 + 1, manner, argument);
}

static void step_speak(struct program *program)
{
    unsigned stub = next(program);

    stub_speak_up(stub, next(program));
}

static void step_advance(struct program *program)
{
    static const int64_t spans_ms[] = {1, 100, 200, 900, 1000, 1100, 2000, 2100, 3100, 4100, 5100, 10000};

    clients_aged();
    time_advance(spans_ms[next(program) % (sizeof spans_ms / sizeof spans_ms[0])]);
}

static void step_fail(struct program *program)
{
    unsigned after = next(program);

    memory_fail(after % 64, after / 64 + 1);
}

/* Seldom, since the gateway is a new one afterwards. */
static void step_vanish(struct program *program)
{
    unsigned stub = next(program);

    if (next(program) % 8 != 0)
        return;
    program->has_lost_actor = true;
    stub_vanish(stub);
}

struct step {
    const char *name; /* for FUZZ_TRACE */
    void (*take)(struct program *program);
    size_t operands; /* bytes; those of `send` are followed by what is sent */
};

/*
 * By the low bits of a byte. What is likely to matter stands here more than once; a new step takes the place of such a one,
 * so that the programs of the corpus stay what they are.
 */
static const struct step steps[] = {
    {"open", step_open, 1},         {"send", step_send, 2},       {"piece", step_piece, 2},     {"request", step_request, 4},
    {"body", step_body, 3},         {"shut", step_shut, 1},       {"close", step_close, 1},     {"hold", step_hold, 2},
    {"read", step_read, 2},         {"dribble", step_dribble, 2}, {"behave", step_behave, 3},   {"answer", step_answer, 4},
    {"speak", step_speak, 2},       {"advance", step_advance, 1}, {"fail", step_fail, 1},       {"vanish", step_vanish, 2},
    {"request", step_request, 4},   {"request", step_request, 4}, {"request", step_request, 4}, {"request", step_request, 4},
    {"piece", step_piece, 2},       {"piece", step_piece, 2},     {"piece", step_piece, 2},     {"body", step_body, 3},
    {"body", step_body, 3},         {"behave", step_behave, 3},   {"behave", step_behave, 3},   {"answer", step_answer, 4},
    {"advance", step_advance, 1},   {"advance", step_advance, 1}, {"close", step_close, 1},     {"send", step_send, 2},
};

enum { STEP_KINDS = sizeof steps / sizeof steps[0] };

/* With FUZZ_TRACE set the program is told, with FUZZ_LOG what the gateway logs. */
static void trace(const struct program *program, const struct step *step)
{
    if (getenv("FUZZ_TRACE") == NULL)
        return;
    fprintf(stderr, "%8lld ms  %s", (long long)time_now_ms(), step->name);
    for (size_t i = 0; i < step->operands && program->at + i < program->end; i++)
        fprintf(stderr, " %u", program->at[i]);
    fprintf(stderr, "\n");
}

static void run(struct program *program)
{
    for (unsigned i = 0; i < STEPS_MAX && program->at < program->end && program->sent < SENT_MAX; i++) {
        const struct step *step = &steps[next(program) % STEP_KINDS];

        trace(program, step);
        step->take(program);
        settle();
    }
}

/* ---- For libFuzzer: changes that keep steps whole ---- */

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max) __attribute__((weak));
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed);

static size_t step_len(const uint8_t *at, size_t left)
{
    const struct step *step = &steps[*at % STEP_KINDS];
    size_t len = 1 + step->operands;

    if (step->take == step_send && left >= len)
        len += at[2] + (size_t)1;
    return len < left ? len : left;
}

/* Where a step begins, any of them or the end. */
static size_t some_step(const uint8_t *data, size_t size, unsigned *seed)
{
    size_t starts[STEPS_MAX];
    size_t count = 0;

    for (size_t at = 0; at < size && count < STEPS_MAX - 1; at += step_len(data + at, size - at))
        starts[count++] = at;
    starts[count++] = size;
    return starts[(unsigned)rand_r(seed) % count];
}

static size_t insert(uint8_t *data, size_t size, size_t size_max, const uint8_t *bytes, size_t len, unsigned *seed)
{
    size_t at = some_step(data, size, seed);

    if (size + len > size_max)
        return size;
    memmove(data + at + len, data + at, size - at);
    memcpy(data + at, bytes, len);
    return size + len;
}

static size_t insert_new(uint8_t *data, size_t size, size_t size_max, unsigned *seed)
{
    uint8_t bytes[16];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(rand_r(seed) >> 7);
    bytes[2] %= 8;
    return insert(data, size, size_max, bytes, step_len(bytes, sizeof bytes), seed);
}

static size_t insert_copy(uint8_t *data, size_t size, size_t size_max, unsigned *seed)
{
    uint8_t bytes[512];
    size_t from = some_step(data, size, seed);
    size_t len = from < size ? step_len(data + from, size - from) : 0;

    memcpy(bytes, data + from, len);
    return insert(data, size, size_max, bytes, len, seed);
}

static size_t leave_out(uint8_t *data, size_t size, unsigned *seed)
{
    size_t at = some_step(data, size, seed);
    size_t len = at < size ? step_len(data + at, size - at) : 0;

    memmove(data + at, data + at + len, size - at - len);
    return size - len;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
    switch (rand_r(&seed) % 8) {
    case 0:
    case 1:
    case 2: return insert_new(data, size, size_max, &seed);
    case 3: return insert_copy(data, size, size_max, &seed);
    case 4: return leave_out(data, size, &seed);
    default: return LLVMFuzzerMutate(data, size, size_max);
    }
}

/* ---- Afterwards ---- */

static void send_request(unsigned client, enum mr_op op, unsigned flags)
{
    struct request request = {.goes_on = 0};
    char id[CLIENT_ID];

    client_open(client);
    client_next_id(client, id);
    request_make(&request, op, flags, 0, 0, id);
    client_request(client, &request);
    mr_buf_fini(&request.bytes);
}

static void check_is_alive(void)
{
    send_request(0, MR_OP_livez, 0);
    settle();
    must(client_status(0) == 200);
    clients_check();
}

/* An op of the stub's actor and lane that a user may call, whose body is no upload; mr_op_count(): there is none. */
static enum mr_op op_of(const struct mr_actor *actor)
{
    unsigned op = 0;

    for (; op < mr_op_count(); op++) {
        const struct mr_op_info *info = mr_op_info((enum mr_op)op);

        if (info->path != NULL && info->access != MR_ACCESS_ADMIN && info->actor == actor->spec->id && info->traits->lane == actor->lane && info->traits->upload == NULL)
            break;
    }
    return (enum mr_op)op;
}

/* A mailbox takes as many messages as ever. */
static void check_has_room(unsigned stub)
{
    enum mr_op op = op_of(stub_actors[stub]);

    if (op == mr_op_count())
        return;
    stub_behave(stub, STUB_LATE, 0);
    for (unsigned i = 0; i < FRONT_MESSAGES; i++)
        send_request(i, op, 0);
    settle();
    stub_answer_late(stub, false, FRONT_MESSAGES, STUB_REPLIES, 0);
    stub_behave(stub, STUB_REPLIES, 0);
    settle();
    for (unsigned i = 0; i < FRONT_MESSAGES; i++)
        if (client_status(i) == 503 || (stubs_asked() & 1U << stub) == 0) {
            fprintf(stderr, "%s has no room: %s is answered with %d\n", stub_actors[stub]->name, mr_op_info(op)->name, client_status(i));
            abort();
        }
    clients_check();
    settle();
}

/* So do the bytes: a whole part fits, and hardly anything more. */
static void check_takes_a_part(void)
{
    struct request request = {.goes_on = 0};
    char id[CLIENT_ID];

    client_open(0);
    client_next_id(0, id);
    request_make(&request, request_upload_op(0), 0, 0, MR_UPLOAD_PART, id);
    client_request(0, &request);
    client_send_body(0, 0, MR_UPLOAD_PART);
    mr_buf_fini(&request.bytes);
    settle();
    must(client_status(0) < 300);
    clients_check();
    settle();
}

/* Those that were used. A reader of the primary is asked only after the user has written. */
static void check_mailboxes(unsigned asked)
{
    for (unsigned stub = 0; stub < STUB_COUNT; stub++) {
        if ((asked & 1U << stub) == 0)
            continue;
        if (stub_actors[stub]->spec->id == MR_ACTOR_DATA_READER && !stub_actors[stub]->on_replica) {
            send_request(0, op_named("task_create"), 0);
            settle();
            clients_check();
        }
        check_has_room(stub);
    }
}

/* The gateway's tick shows the figure. Who has closed may still have a request under way, and others behind it. */
static void check_no_connection_is_left(void)
{
    settle();
    for (int64_t ms = 0; pass(FRONT_TICK_MS), mr_metric_value(MR_METRIC_connections) > 0; ms += 1000) {
        must(ms < LIFE_MS);
        pass(1000);
    }
}

/* Everything ends by itself, in its time, once the stubs behave and the clients read. */
static void finish(const struct program *program)
{
    unsigned asked = stubs_asked();

    memory_fail(0, 0);
    stubs_reset();
    clients_finish();
    settle();
    for (int64_t ms = 0; !clients_all_ended(); ms += 1000) {
        must(ms < LIFE_MS); /* a connection does not end */
        pass(1000);
    }
    clients_check();
    memory_heal();
    check_no_connection_is_left();
    stub_speak_up(0, 0);
    pass(APART_MS);
    check_is_alive();
    if (!program->has_lost_actor)
        check_mailboxes(asked);
    if (!program->has_lost_actor && program->has_upload)
        check_takes_a_part();
    stubs_reset();
    must(memory_live() <= LIVE_MAX);
}

/* Of LeakSanitizer, where the program is built with it. */
int leaks(void) __asm__("__lsan_do_recoverable_leak_check") __attribute__((weak));

/* Now and then, since it takes as long as many inputs: nothing is left of a gateway that has ended. */
static void look_for_leaks(void)
{
    front_stop();
    if (leaks != NULL)
        must(leaks() == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned inputs;
    struct program program = {.at = data, .end = data + size};

    serve_tasks();
    if (!front_is_up()) {
        front_start();
        requests_setup();
    }
    run(&program);
    finish(&program);
    if (program.has_lost_actor)
        front_stop();
    if (++inputs % INPUTS_MAX == 0)
        look_for_leaks();
    return 0;
}
