#include "runtime/tracer.h"

#include <poll.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "runtime/backoff.h"
#include "runtime/clock.h"
#include "runtime/collector.h"
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "runtime/otlp.h"
#include "runtime/pairs.h"
#include "runtime/thread.h"

/*
 * GIVE_UP: how long one batch is tried before its next failure is its last; FLUSH: how long a request may still take once the
 * thread is asked to end; SAY: between two log lines about the same trouble.
 */
enum { GIVE_UP_MS = 60000, FLUSH_MS = 1500, SAY_MS = 60000, KEEP_BYTES = 1024 * 1024, CLOCK_TRIES = 8, CLOCKS_APART_US = 20 };

/*
 * A bounded queue of many writers and one reader (D. Vyukov). A place's turn says whose it is: at `p` the writer with ticket p
 * may fill it, at p + 1 the reader may empty it, which makes it the writer's of the next round. A writer that is held up between
 * its two steps holds up the reader, and nobody else.
 */
struct place {
    _Atomic uint64_t turn;
    struct mr_span *span;
};

static struct {
    _Atomic bool on;
    struct mr_sampler sampler;
    const char *version;
    int64_t delay_ms;
    struct mr_buf resource;
    struct mr_collector *collector;
    mr_thread *thread;
    int wake_fd;
    struct place places[MR_TRACER_QUEUE];
    _Atomic uint64_t tail;    /* the next writer's ticket */
    _Atomic uint64_t head;    /* the reader's */
    _Atomic uint64_t dropped; /* since the log last told */

    /* The thread's own. */
    struct mr_buf body;
    struct mr_backoff backoff;
    int64_t said_ms; /* when the log last told of trouble; 0: never */
    bool is_said;    /* and it has not been taken back */
} tracer = {.wake_fd = -1};

/*
 * Unix time of the monotonic clock's 0, as of now: a wall clock that is set moves whole spans, never their ends apart. A thread
 * that is held up between its looks at the two clocks looks again.
 */
static int64_t epoch_us(void)
{
    int64_t best_us = INT64_MAX;
    int64_t epoch = 0;

    for (int tries = 0; tries < CLOCK_TRIES && best_us > CLOCKS_APART_US; tries++) {
        int64_t before_us = mr_mono_us(&mr_system_clock);
        int64_t wall_us = mr_wall_us(&mr_system_clock);
        int64_t took_us = mr_mono_us(&mr_system_clock) - before_us;

        if (took_us < best_us) {
            best_us = took_us;
            epoch = wall_us - before_us - took_us / 2;
        }
    }
    return epoch;
}

bool mr_tracer_is_on(void)
{
    return atomic_load_explicit(&tracer.on, memory_order_relaxed);
}

bool mr_tracer_wants(const struct mr_context *parent, const uint8_t trace_id[16])
{
    return mr_tracer_is_on() && mr_sampler_wants(&tracer.sampler, parent != NULL, parent != NULL && parent->sampled, trace_id);
}

void mr_tracer_new_id(uint8_t *out, size_t len)
{
    static _Thread_local uint8_t pool[512];
    static _Thread_local size_t left;

    if (left < len) {
        randombytes_buf(pool, sizeof pool);
        left = sizeof pool;
    }
    left -= len;
    memcpy(out, pool + left, len);
    out[0] |= 1; /* an id of zeroes is none */
}

void mr_tracer_note_dropped(uint64_t count)
{
    atomic_fetch_add_explicit(&tracer.dropped, count, memory_order_relaxed);
    mr_metric_add(MR_METRIC_spans_dropped, count);
}

/* ---- The queue ---- */

static bool put(struct mr_span *span, uint64_t *ticket)
{
    uint64_t at = atomic_load_explicit(&tracer.tail, memory_order_relaxed);

    for (;;) {
        struct place *place = &tracer.places[at % MR_TRACER_QUEUE];
        uint64_t turn = atomic_load_explicit(&place->turn, memory_order_acquire);

        if (turn < at)
            return false; /* the reader has not been here yet: full */
        if (turn > at)
            at = atomic_load_explicit(&tracer.tail, memory_order_relaxed);
        else if (atomic_compare_exchange_weak_explicit(&tracer.tail, &at, at + 1, memory_order_relaxed, memory_order_relaxed)) {
            place->span = span;
            atomic_store_explicit(&place->turn, at + 1, memory_order_release);
            *ticket = at;
            return true;
        }
    }
}

static struct mr_span *get(void)
{
    uint64_t at = atomic_load_explicit(&tracer.head, memory_order_relaxed);
    struct place *place = &tracer.places[at % MR_TRACER_QUEUE];
    struct mr_span *span;

    if (atomic_load_explicit(&place->turn, memory_order_acquire) != at + 1)
        return NULL;
    span = place->span;
    atomic_store_explicit(&place->turn, at + MR_TRACER_QUEUE, memory_order_release);
    atomic_store_explicit(&tracer.head, at + 1, memory_order_relaxed);
    return span;
}

static uint64_t waiting(void)
{
    return atomic_load_explicit(&tracer.tail, memory_order_relaxed) - atomic_load_explicit(&tracer.head, memory_order_relaxed);
}

void mr_tracer_take(struct mr_span *span)
{
    uint64_t ticket;

    if (!mr_tracer_is_on() || !put(span, &ticket)) {
        mr_tracer_note_dropped(1);
        mr_span_destroy(&span);
    } else if (ticket % MR_TRACER_BATCH == MR_TRACER_BATCH - 1) {
        (void)!write(tracer.wake_fd, &(uint64_t){1}, sizeof(uint64_t)); /* fails only when it is readable already */
    }
}

/* ---- The thread ---- */

/* Takes up to a batch off the queue and encodes it; returns how many. */
static unsigned encode_batch(void)
{
    int64_t epoch = epoch_us();
    unsigned count = 0;
    struct mr_span *span;

    mr_buf_clear(&tracer.body, KEEP_BYTES);
    mr_otlp_begin(&tracer.body, &tracer.resource, tracer.version);
    while (count < MR_TRACER_BATCH && (span = get()) != NULL) {
        mr_otlp_span(&tracer.body, span, count == 0, epoch);
        mr_span_destroy(&span);
        count++;
    }
    mr_otlp_end(&tracer.body);
    return count;
}

/* At most one line a minute, however often things turn bad and good; what is good again takes it back. */
static void say(int64_t now_ms, const char *reason)
{
    if (tracer.said_ms != 0 && now_ms - tracer.said_ms < SAY_MS)
        return;
    tracer.said_ms = now_ms;
    tracer.is_said = true;
    mr_log(MR_LOG_WARN, "the collector does not take spans", mr_log_text("reason", reason),
           mr_log_int("dropped", atomic_exchange(&tracer.dropped, 0)));
}

static void say_well(void)
{
    if (!tracer.is_said)
        return;
    tracer.is_said = false;
    mr_log(MR_LOG_INFO, "the collector takes spans again", mr_log_int("dropped", atomic_exchange(&tracer.dropped, 0)));
}

/* Whether the batch is done with, for better or worse; otherwise it is to be tried again in `pause_ms`. */
static bool settle(const struct mr_receipt *receipt, unsigned count, int64_t now_ms, int64_t *pause_ms)
{
    switch (receipt->delivery) {
    case MR_DELIVERED:
        mr_backoff_succeed(&tracer.backoff);
        mr_metric_add(MR_METRIC_spans_sent, count - (receipt->rejected < count ? (unsigned)receipt->rejected : count));
        if (receipt->rejected > 0) {
            mr_tracer_note_dropped((uint64_t)(receipt->rejected < count ? receipt->rejected : count));
            say(now_ms, receipt->reason[0] != '\0' ? receipt->reason : "the collector rejected some of them");
        } else if (atomic_load(&tracer.dropped) > 0) {
            say(now_ms, "spans end faster than they are sent");
        } else {
            say_well();
        }
        return true;
    case MR_DELAYED:
        *pause_ms = mr_backoff_fail(&tracer.backoff, now_ms);
        if (*pause_ms < receipt->retry_after_ms)
            *pause_ms = receipt->retry_after_ms;
        break;
    case MR_REFUSED: mr_tracer_note_dropped(count); break;
    }
    say(now_ms, receipt->reason);
    return receipt->delivery == MR_REFUSED;
}

/*
 * A batch that fails when it has been tried for GIVE_UP_MS is dropped: what the collector gets when it is back is of now. The pause
 * that follows a failure holds for the next batch, too.
 */
static void send_batch(unsigned count)
{
    int64_t began_ms = mr_mono_ms(&mr_system_clock);
    struct mr_receipt receipt;
    int64_t pause_ms = 0;

    if (tracer.body.failed) {
        mr_tracer_note_dropped(count);
        return;
    }
    for (;;) {
        bool last = mr_thread_asked_to_end(tracer.thread, 0);
        int64_t now_ms;

        mr_collector_send(tracer.collector, (struct mr_slice){tracer.body.data, tracer.body.len}, tracer.thread, FLUSH_MS,
                          &receipt);
        now_ms = mr_mono_ms(&mr_system_clock);
        if (settle(&receipt, count, now_ms, &pause_ms))
            return;
        if (!last && now_ms - began_ms <= GIVE_UP_MS && !mr_thread_asked_to_end(tracer.thread, (int)pause_ms))
            continue;
        mr_tracer_note_dropped(count);
        if (!last)
            (void)mr_thread_asked_to_end(tracer.thread, (int)pause_ms);
        return;
    }
}

/* Until a batch is there, `delay_ms` are over or the thread is to end; true for that. */
static bool wait_for_batch(mr_thread *thread)
{
    struct pollfd items[] = {{.fd = mr_thread_end_fd(thread), .events = POLLIN}, {.fd = tracer.wake_fd, .events = POLLIN}};
    int64_t until_ms = mr_mono_ms(&mr_system_clock) + tracer.delay_ms;
    int64_t now_ms;
    uint64_t ignored;

    while (waiting() < MR_TRACER_BATCH && (now_ms = mr_mono_ms(&mr_system_clock)) < until_ms &&
           !mr_thread_asked_to_end(thread, 0)) {
        (void)poll(items, 2, (int)(until_ms - now_ms));
        (void)!read(tracer.wake_fd, &ignored, sizeof ignored);
    }
    return mr_thread_asked_to_end(thread, 0);
}

/* What is in the queue at the end has FLUSH_MS, all of it; a collector that fails once then is not asked again. */
static void flush(void)
{
    int64_t until_ms = mr_mono_ms(&mr_system_clock) + FLUSH_MS;
    unsigned count;

    while (mr_mono_ms(&mr_system_clock) < until_ms && tracer.backoff.pause_ms == 0 && (count = encode_batch()) > 0)
        send_batch(count);
    while ((count = encode_batch()) > 0)
        mr_tracer_note_dropped(count);
}

static void loop(mr_thread *thread, void *argument)
{
    unsigned count;

    (void)argument;
    tracer.thread = thread;
    mr_thread_ready(thread);
    while (!wait_for_batch(thread))
        if ((count = encode_batch()) > 0)
            send_batch(count);
    atomic_store(&tracer.on, false);
    flush();
    if (atomic_load(&tracer.dropped) > 0)
        mr_log(MR_LOG_WARN, "spans were lost", mr_log_int("dropped", atomic_exchange(&tracer.dropped, 0)));
}

/* ---- Life ---- */

static bool are_attributes(const char *text, struct mr_buf *reason)
{
    struct mr_slice rest = mr_slice_of(text);
    struct mr_slice name;
    struct mr_buf value = {0};
    enum mr_pair pair;

    do
        pair = mr_pairs_next(&rest, &name, &value);
    while (pair == MR_PAIR_FOUND);
    mr_buf_fini(&value);
    if (pair == MR_PAIR_BROKEN)
        mr_buf_text(reason, "expected name=value,name=value with percent-encoded values");
    return pair == MR_PAIR_END;
}

const struct mr_config_check mr_tracer_checks[] = {{"url", mr_collector_is_url},
                                                   {"headers", mr_collector_are_headers},
                                                   {"attributes", are_attributes},
                                                   {"ratio", mr_sampler_is_ratio},
                                                   {NULL, NULL}};

/* Those of OTEL_RESOURCE_ATTRIBUTES stand above what the process knows itself, and OTEL_SERVICE_NAME above them. */
static bool is_given(const char *attributes, const char *wanted)
{
    struct mr_slice rest = mr_slice_of(attributes);
    struct mr_slice name;
    struct mr_buf value = {0};
    bool found = false;

    while (!found && mr_pairs_next(&rest, &name, &value) == MR_PAIR_FOUND)
        found = mr_slice_is(name, wanted);
    mr_buf_fini(&value);
    return found;
}

static void add_own(struct mr_buf *out, const struct mr_config *config, const char *name, const char *value)
{
    if (!is_given(config->otel_resource_attributes, name))
        mr_otlp_attribute(out, mr_slice_of(name), mr_slice_of(value));
}

static void describe(struct mr_buf *out, const struct mr_config *config, const char *role, const char *version)
{
    struct mr_slice rest = mr_slice_of(config->otel_resource_attributes);
    struct mr_slice name;
    struct mr_buf value = {0};
    uint8_t id[16];
    char instance[2 * sizeof id + 1];

    randombytes_buf(id, sizeof id);
    sodium_bin2hex(instance, sizeof instance, id, sizeof id);
    if (config->otel_service_name[0] != '\0')
        mr_otlp_attribute(out, MR_SLICE("service.name"), mr_slice_of(config->otel_service_name));
    else
        add_own(out, config, "service.name", "millrace");
    add_own(out, config, "service.version", config->app_version[0] != '\0' ? config->app_version : version);
    add_own(out, config, "service.instance.id", instance);
    add_own(out, config, "millrace.role", role);
    mr_otlp_attribute(out, MR_SLICE("telemetry.sdk.name"), MR_SLICE("millrace"));
    mr_otlp_attribute(out, MR_SLICE("telemetry.sdk.language"), MR_SLICE("c"));
    mr_otlp_attribute(out, MR_SLICE("telemetry.sdk.version"), mr_slice_of(version));
    while (mr_pairs_next(&rest, &name, &value) == MR_PAIR_FOUND)
        if (!mr_slice_is(name, "service.name") || config->otel_service_name[0] == '\0')
            mr_otlp_attribute(out, name, (struct mr_slice){value.len > 0 ? value.data : "", value.len});
    mr_buf_fini(&value);
}

mr_status mr_tracer_start(const struct mr_config *config, const char *role, const char *version)
{
    if (config->otel_endpoint[0] == '\0' && config->otel_traces_endpoint[0] == '\0')
        return MR_OK;
    tracer.sampler = mr_sampler_of(config->otel_sampler, config->otel_sampler_arg);
    tracer.version = version;
    tracer.delay_ms = config->otel_schedule_delay;
    for (uint64_t i = 0; i < MR_TRACER_QUEUE; i++)
        atomic_init(&tracer.places[i].turn, i);
    mr_buf_clear(&tracer.resource, SIZE_MAX);
    describe(&tracer.resource, config, role, version);
    tracer.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    tracer.collector = mr_collector_new(config);
    if (tracer.resource.failed || tracer.wake_fd < 0 || tracer.collector == NULL)
        return MR_NO_MEMORY;
    atomic_store(&tracer.on, true);
    tracer.thread = mr_thread_start("tracer", loop, NULL);
    atomic_store(&tracer.on, tracer.thread != NULL);
    return tracer.thread != NULL ? MR_OK : MR_NO_MEMORY;
}

bool mr_tracer_stop_by(int64_t deadline_ms)
{
    if (tracer.thread == NULL)
        return true;
    if (!mr_thread_stop_by(&tracer.thread, deadline_ms))
        return false;
    mr_collector_destroy(&tracer.collector);
    mr_buf_fini(&tracer.resource);
    mr_buf_fini(&tracer.body);
    return true;
}
