#include "runtime/actor.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/answer.h"
#include "runtime/constraints.h"
#include "runtime/flight.h"
#include "runtime/link.h"
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "runtime/plan.h"
#include "runtime/queue.h"
#include "runtime/replica.h"
#include "runtime/rowwise.h"
#include "runtime/shutdown.h"
#include "runtime/trace.h"

/*
 * NO_MEMORY: mail that cannot be taken keeps the mailbox awake. RECONNECT and WAKE: longest sleeps while the database is away; an attempt to reach it has pauses of its own. Who waits for
 * one that resumes is told ANSWER_MARGIN_MS before the deadline that it has not.
 */
enum { RECONNECT_PAUSE_MS = 100, WAKE_PAUSE_MS = 10, ANSWER_MARGIN_MS = 250, NO_MEMORY_PAUSE_MS = 20 };

/* How long an actor of a process that serves has had nothing to do that prepares what it owes. */
enum { LEISURE_MS = 100, PREPARE_MS = 10000 };

bool mr_actor_has_database(const struct mr_actor *self)
{
    return atomic_load(&self->stats.connected) || atomic_load(&self->stats.resting);
}

bool mr_actor_has_lane(enum mr_actor_id id, enum mr_lane lane)
{
    for (unsigned op = 0; op < mr_op_count(); op++)
        if (mr_op_info((enum mr_op)op)->actor == id && mr_op_info((enum mr_op)op)->traits->lane == lane)
            return true;
    return false;
}

void mr_actor_mailbox_name(char out[MR_MAILBOX_NAME], enum mr_actor_id id, enum mr_lane lane, unsigned instance)
{
    if (lane == MR_LANE_SLOW && instance == 0)
        snprintf(out, MR_MAILBOX_NAME, "%s/slow", mr_actor_info(id)->name);
    else if (lane == MR_LANE_SLOW)
        snprintf(out, MR_MAILBOX_NAME, "%s/slow/%u", mr_actor_info(id)->name, instance);
    else
        snprintf(out, MR_MAILBOX_NAME, "%s/%u", mr_actor_info(id)->name, instance);
}

static bool reads_replica(const struct mr_config *config, enum mr_actor_id id)
{
    return mr_actor_info(id)->database == MR_DATABASE_REPLICA && config->db_host_read_only[0] != '\0';
}

/* Instances of a lane for each database it reads from. */
static unsigned instances_each(const struct mr_config *config, enum mr_actor_id id, enum mr_lane lane)
{
    /* Of auth it is the slow lane that may be had more than once: it hashes. */
    if (lane == (id == MR_ACTOR_AUTH ? MR_LANE_QUICK : MR_LANE_SLOW))
        return 1;
    switch (id) {
    case MR_ACTOR_AUTH: return (unsigned)config->actor_auth_count;
    case MR_ACTOR_DATA_READER: return (unsigned)config->actor_reader_count;
    case MR_ACTOR_DATA_WRITER: return (unsigned)config->actor_writer_count;
    case MR_ACTOR_JOB: return (unsigned)config->job_workers;
    default: return 1;
    }
}

unsigned mr_actor_instances(const struct mr_config *config, enum mr_actor_id id, enum mr_lane lane)
{
    if (!mr_actor_has_lane(id, lane))
        return 0;
    return instances_each(config, id, lane) * (reads_replica(config, id) ? 2 : 1);
}

/* FNV-1a. A chance collision costs a smaller batch and nothing else. */
static uint64_t hash(uint64_t seed, const void *data, size_t len)
{
    const unsigned char *bytes = data;

    for (size_t i = 0; i < len; i++)
        seed = (seed ^ bytes[i]) * UINT64_C(1099511628211);
    return seed;
}

/*
 * The fields that are the message's key: the user and their Idempotency-Key, or the one its traits name. Row by row that one goes
 * first: it is there for what the statement does, and a key that comes twice is found in any case.
 */
static unsigned key_fields(enum mr_op op, const struct mr_value *values, int out[2])
{
    const struct mr_traits *traits = mr_op_info(op)->traits;
    unsigned count = 0;

    bool by_header = traits->idempotent && !(traits->row_wise && traits->key != NULL);

    for (int i = 0; by_header && count < 2 && traits->fields[i].name != NULL; i++)
        if (traits->fields[i].from == MR_TOKEN_USER || (traits->fields[i].from == MR_HEADER && values[i].present))
            out[count++] = i;
    if (count == 2)
        return 2;
    out[0] = traits->key != NULL ? mr_field_index(op, traits->key) : -1;
    return out[0] >= 0;
}

uint64_t mr_message_key(enum mr_op op, const struct mr_value *values)
{
    const struct mr_traits *traits = mr_op_info(op)->traits;
    uint64_t key = UINT64_C(14695981039346656037);
    const char *resource;
    int fields[2];
    unsigned count = key_fields(op, values, fields);

    if (count == 0)
        return 0;
    resource = traits->resource != NULL ? traits->resource : mr_op_info(op)->name;
    key = hash(key, resource, strlen(resource));
    for (unsigned i = 0; i < count; i++) {
        struct mr_slice bytes = {"", 0};

        if (values[fields[i]].present)
            bytes = mr_value_bytes(mr_field_carried(&traits->fields[fields[i]]), &values[fields[i]]);
        key = hash(key, bytes.data, bytes.len);
    }
    return key != 0 ? key : 1;
}

static bool holds(const struct mr_when *when, enum mr_op op, const struct mr_value *values)
{
    int index = mr_field_index(op, when->field);

    assert(index >= 0);
    return values[index].present && (when->is == NULL || mr_slice_is(values[index].text, when->is));
}

static bool all_hold(const struct mr_variant *variant, enum mr_op op, const struct mr_value *values)
{
    for (const struct mr_when *when = variant->when; when != NULL && when->field != NULL; when++)
        if (!holds(when, op, values))
            return false;
    return true;
}

const struct mr_variant *mr_message_variant(enum mr_op op, const struct mr_value *values)
{
    const struct mr_traits *traits = mr_op_info(op)->traits;
    const struct mr_variant *variant = traits->variants;

    if (traits->pick != NULL)
        return traits->pick->variant(traits->pick, traits, values);
    for (; variant != NULL && variant->statement != NULL; variant++)
        if (all_hold(variant, op, values))
            return variant;
    return NULL;
}

/* ---- The work ---- */

/*
 * One look at the clock for all of them. A wall clock that was set back meanwhile makes no negative times. Counted before it is
 * answered: who has the answer finds it counted.
 */
static void begin_batch(struct mr_actor *self, struct mr_message **messages, unsigned count)
{
    int64_t now_us = mr_wall_us(self->clock);

    self->database_us = 0;
    for (unsigned i = 0; i < count; i++) {
        int64_t sent_us = messages[i]->envelope.times.sent_us;

        messages[i]->mailbox_us = sent_us > 0 && sent_us < now_us ? now_us - sent_us : 0;
        messages[i]->batch = count;
    }
    self->in_hand = messages;
    self->in_hand_count = count;
    atomic_fetch_add(&self->stats.messages, count);
    atomic_fetch_add(&self->stats.batches, 1);
    mr_metric_batch(self->spec->id, count);
    mr_trace_mailbox(self, messages, count);
}

/* How the statement of a batch is sent. */
enum way {
    ALONE,   /* it has the connection to itself, until it is answered */
    LEADING, /* when the one before has come back, and before that is answered */
    FLYING   /* behind those in flight (runtime/flight.h) */
};

/* `others`: more batches are at hand. One that waited for the server may find the connection gone: what is left is settled first. */
static enum way choose_way(struct mr_actor *self, const struct mr_message *message, bool others)
{
    if (mr_flight_suits(self, message))
        return FLYING;
    if ((others || self->flight_count > 0) && mr_flight_may_lead(self, message)) {
        mr_flight_await(self);
        if (mr_flight_may_lead(self, message))
            return LEADING;
    }
    mr_flight_land_all(self);
    return ALONE;
}

static void answer_alone(struct mr_actor *self, struct mr_message **messages, unsigned count)
{
    const struct mr_op_info *info = mr_op_info(messages[0]->envelope.op);

    if (info->handler == MR_BY_CODE)
        self->spec->handlers[messages[0]->envelope.op](self, messages, count);
    else if (info->traits->row_wise)
        mr_rowwise_answer(self, messages, count);
    else
        mr_answer_by_sql(self, messages, count);
    mr_answer_end(self, messages, count);
}

static enum way answer_group(struct mr_actor *self, struct mr_message **messages, unsigned count, bool others)
{
    enum way way = choose_way(self, messages[0], others);

    count = mr_queue_drop_late(self, messages, count);
    if (count == 0 || mr_shutdown_is_cut())
        return way;
    begin_batch(self, messages, count);
    switch (way) {
    case ALONE: answer_alone(self, messages, count); break;
    case LEADING: mr_flight_lead(self, messages, count); break;
    case FLYING: mr_flight_send(self, messages, count); break;
    }
    return way;
}

/* How many messages like this one may share a statement. */
static unsigned at_once(const struct mr_message *message)
{
    unsigned most = message->variant != NULL ? message->variant->batch_max : 0;

    if (most == 0)
        most = mr_op_info(message->envelope.op)->traits->batch_max;
    return most != 0 ? most : MR_PLAN_MAX;
}

static void answer_next_batch(struct mr_actor *self, unsigned most)
{
    struct mr_message *batch[MR_PLAN_MAX];
    unsigned count = mr_plan_batch(self->first, self->waiting - self->flying, self->flying, most, batch);
    enum way way = FLYING;

    self->held = count == 0;
    for (unsigned done = 0; done < count;) {
        unsigned group = mr_plan_group(batch + done, count - done, at_once(batch[done]));

        way = answer_group(self, batch + done, group, done + group < count);
        done += group;
    }
    if (way == LEADING)
        mr_flight_land_all(self);
}

void mr_actor_tell_gateway(struct mr_actor *self, enum mr_op op, const struct mr_value *values)
{
    struct mr_envelope notice = {.kind = MR_REQUEST, .op = op, .deadline_ms = mr_wall_ms(self->clock)};

    mr_buf_clear(&self->body, SIZE_MAX);
    mr_buf_clear(&self->frame, SIZE_MAX);
    mr_payload_encode(&self->body, notice.op, values);
    notice.payload = (struct mr_slice){self->body.data, self->body.len};
    if (!self->body.failed && mr_envelope_encode(&self->frame, &notice) == MR_OK)
        (void)!mr_mailbox_send(self->mailbox, mr_actor_info(MR_ACTOR_GATEWAY)->name, self->frame.data, self->frame.len);
}

/* Passes on what the database told; before the gateway is there, nobody has anything to forget. */
static void pass_on_notice(struct mr_actor *self)
{
    if (self->spec->channel == NULL || !mr_db_notified(self->db))
        return;
    if (self->spec->noticed != NULL)
        self->spec->noticed(self);
    else
        mr_actor_tell_gateway(self, self->spec->tells, NULL);
}

/*
 * While the database is away everybody is answered so at once; waiting would only fill the mailbox. While it resumes, messages are
 * held until just before their deadline, each until its own.
 */
static void answer_unavailable(struct mr_actor *self)
{
    int64_t patient_ms = mr_wall_ms(self->clock) + ANSWER_MARGIN_MS;

    for (struct mr_message *m = self->first; m != NULL; m = m->next)
        if (!mr_link_is_waking(self) || m->envelope.deadline_ms < patient_ms)
            mr_answer_error(self, m, MR_UNAVAILABLE, NULL, NULL, NULL);
}

/* During an attempt to connect, which a database that resumes can keep waiting for long. Nothing is in hand then. */
static void answer_impatient(void *argument)
{
    struct mr_actor *self = argument;

    if (!mr_link_is_waking(self))
        return;
    (void)!mr_queue_take_mail(self);
    answer_unavailable(self);
    mr_queue_sweep(self);
}

static mr_status connect(struct mr_actor *self)
{
    mr_status status;

    mr_db_meanwhile(self->db, answer_impatient, self);
    status = mr_db_connect(self->db);
    mr_db_meanwhile(self->db, NULL, NULL);
    mr_link_end_waking(self);
    mr_link_note(self);
    return status;
}

/* While something is in flight the connection stands, and stays the same one. */
static void work_in_flight(struct mr_actor *self)
{
    unsigned room = mr_flight_room(self);

    if (mr_link_has_way_back(self))
        self->held = true;
    else if (room > 0 && self->waiting > self->flying)
        answer_next_batch(self, room);
    mr_queue_sweep(self);
    mr_link_note(self);
}

static void work_on_ground(struct mr_actor *self)
{
    mr_status status;

    if (!mr_link_wake_up(self))
        return;
    mr_lag_look(self);
    mr_link_choose(self, false);
    status = connect(self);
    if (self->first == NULL)
        return;
    if (status == MR_OK)
        answer_next_batch(self, (unsigned)self->config->actor_batch_max);
    else
        answer_unavailable(self);
    mr_queue_sweep(self);
    if (self->flight_count == 0)
        mr_link_choose(self, false);
    mr_link_note(self);
}

static void work(struct mr_actor *self)
{
    mr_flight_land(self);
    mr_queue_sweep(self);
    if (mr_shutdown_is_cut())
        return;
    if (self->flight_count > 0)
        work_in_flight(self);
    else
        work_on_ground(self);
}

/* Only the quick lane has anything to do unasked. */
static int64_t turn_due_in_ms(const struct mr_actor *self)
{
    return self->spec->turn != NULL && self->lane == MR_LANE_QUICK ? self->spec->due_in_ms(self) : -1;
}

static void take_turn(struct mr_actor *self)
{
    if (turn_due_in_ms(self) != 0 || self->flight_count > 0 || mr_shutdown_is_cut())
        return;
    mr_link_begin_waking(self);
    if (connect(self) != MR_OK)
        return;
    self->last_work_ms = mr_mono_ms(self->clock);
    self->spec->turn(self);
    mr_link_note(self);
}

static _Atomic bool serves;

void mr_actors_note_serving(void)
{
    atomic_store(&serves, true);
}

/* Milliseconds until there is time to prepare what nobody has asked for yet; -1: nothing is owed, or there is something to do. */
static int64_t leisure_due_in_ms(const struct mr_actor *self)
{
    int64_t left_ms = self->last_work_ms + LEISURE_MS - mr_mono_ms(self->clock);

    if (self->first != NULL || self->flight_count > 0 || !mr_db_owes(self->db))
        return -1;
    return !atomic_load(&serves) ? LEISURE_MS : left_ms > 0 ? left_ms : 0;
}

/* One after another, so that what arrives meanwhile waits for one. */
static void use_leisure(struct mr_actor *self)
{
    if (leisure_due_in_ms(self) == 0 && mr_db_prepare_next(self->db, mr_mono_ms(self->clock) + PREPARE_MS) != MR_OK)
        mr_link_note(self);
}

/* Of two times that are left; less than 0: never. */
static int64_t sooner(int64_t a, int64_t b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

static int sleep_ms(const struct mr_actor *self)
{
    int64_t rest_ms = sooner(sooner(mr_link_rest_due_in(self), mr_db_poll_in_ms(self->db)), mr_lag_due_in_ms(self));
    int64_t turn_ms = turn_due_in_ms(self);

    if (self->flight_count > 0)
        return (int)sooner(mr_flight_due_in_ms(self), mr_db_poll_in_ms(self->db));
    rest_ms = sooner(sooner(rest_ms, turn_ms), leisure_due_in_ms(self));
    if (mr_db_is_up(self->db))
        return self->first != NULL ? 0 : rest_ms < INT32_MAX ? (int)rest_ms : INT32_MAX;
    if (atomic_load(&self->stats.resting) && !mr_link_is_waking(self))
        return turn_ms < INT32_MAX ? (int)turn_ms : INT32_MAX;
    return self->first != NULL ? WAKE_PAUSE_MS : RECONNECT_PAUSE_MS;
}

/* What else wakes it up: its replica is back, or another actor has found the primary demoted. One on the replica looks often. */
static int other_fd(const struct mr_actor *self)
{
    if (self->replica != NULL)
        return mr_replica_fd(self->replica);
    return self->flight_count == 0 ? mr_db_demoted_fd(self->db) : -1; /* what is in flight lands first */
}

static void loop(mr_thread *thread, void *argument)
{
    struct mr_actor *self = argument;
    bool stop = false;
    bool has_memory;

    self->inside = thread;
    mr_link_choose(self, true);
    atomic_store(&self->stats.connected, mr_db_connect(self->db) == MR_OK);
    mr_link_note(self);
    self->last_work_ms = mr_mono_ms(self->clock);
    mr_thread_ready(thread);
    while (!stop) {
        struct mr_wake wake = mr_mailbox_wait(self->mailbox, thread, mr_db_fd(self->db), other_fd(self), sleep_ms(self));

        if (wake.other_fd && self->replica != NULL)
            mr_replica_welcome(self->replica);
        if (wake.fd && self->flight_count == 0) {
            mr_db_consume_input(self->db);
            if (self->db == self->primary) /* otherwise there is still another way */
                mr_link_note(self);
        }
        has_memory = mr_queue_take_mail(self);
        work(self);
        pass_on_notice(self);
        take_turn(self);
        use_leisure(self);
        if (mr_link_rest_due_in(self) == 0)
            mr_link_rest(self);
        stop = wake.stop || (!has_memory && mr_actor_pause(self, NO_MEMORY_PAUSE_MS));
    }
    mr_flight_land_all(self);
}

/* ---- Life ---- */

/* The statements of the actor's ops: those of a message's name, and those that begin with it and "/" or "__"; and its own. */
static bool belongs(const struct mr_actor *self, const char *statement)
{
    if (self->spec->owns != NULL && self->spec->owns(statement))
        return true;
    for (unsigned op = 0; op < MR_OP_COUNT; op++) {
        const struct mr_op_info *info = mr_op_info((enum mr_op)op);
        size_t len = strlen(info->name);

        if (info->actor == self->spec->id && info->traits->lane == self->lane && strncmp(statement, info->name, len) == 0 &&
            (statement[len] == '\0' || statement[len] == '/' || strncmp(statement + len, "__", 2) == 0))
            return true;
    }
    return false;
}

/* What the runtime asks beside the statements of an application's operations. */
static bool is_common(const char *statement)
{
    return mr_op_count() > MR_OP_COUNT && strncmp(statement, "row_wise__", strlen("row_wise__")) == 0;
}

static bool is_wanted(const struct mr_actor *self, const char *statement)
{
    return belongs(self, statement) || is_common(statement);
}

static mr_status select_statements(struct mr_actor *self)
{
    size_t count = 0;

    for (const struct mr_statement *s = mr_statements; s->name != NULL; s++)
        count += is_wanted(self, s->name);
    self->statements = calloc(count + 1, sizeof *self->statements);
    if (self->statements == NULL)
        return MR_NO_MEMORY;
    count = 0;
    for (const struct mr_statement *s = mr_statements; s->name != NULL; s++)
        if (is_wanted(self, s->name))
            self->statements[count++] = s;
    return MR_OK;
}

/* Only what a statement answers can be in flight. */
static bool is_answered_by_sql(const struct mr_actor *self)
{
    for (unsigned op = 0; op < mr_op_count(); op++) {
        const struct mr_op_info *info = mr_op_info((enum mr_op)op);

        if (info->actor == self->spec->id && info->traits->lane == self->lane && info->handler == MR_BY_SQL)
            return true;
    }
    return false;
}

static mr_status make_room_for_flights(struct mr_actor *self)
{
    if (self->config->db_in_flight <= 1 || !is_answered_by_sql(self))
        return MR_OK;
    self->flights_most = (unsigned)self->config->db_in_flight;
    self->flights = calloc(self->flights_most, sizeof *self->flights);
    return self->flights != NULL ? MR_OK : MR_NO_MEMORY;
}

/* Whoever signs in needs nothing of the application. */
static enum mr_db_use use_of(const struct mr_actor *self)
{
    if (self->spec->id == MR_ACTOR_DATA_READER || self->spec->id == MR_ACTOR_DATA_WRITER)
        return MR_DB_FOR_REQUESTS;
    return self->spec->id == MR_ACTOR_JOB ? MR_DB_FOR_JOBS : MR_DB_FOR_ITSELF;
}

static mr_status open_db(struct mr_actor *self)
{
    struct mr_db_options options = {
        .config = self->config,
        .clock = self->clock,
        .host = self->config->db_host,
        .application_name = self->name,
        .channel = self->instance == 0 && self->lane == MR_LANE_QUICK ? self->spec->channel : NULL,
        .set_wise = true,
        .statement_timeout = self->spec->statement_timeout,
        .idle_timeout = self->spec->idle_timeout,
        .application = true,
        .unhurried = true,
        .use = use_of(self),
    };
    mr_status status = mr_db_new(&self->primary, &options, self->statements);

    self->db = self->primary;
    if (status != MR_OK || !self->on_replica)
        return status;
    options.host = self->config->db_host_read_only;
    options.standby = true;
    status = mr_replica_new(&self->replica, &options, self->statements, &self->stats.resting);
    if (status == MR_OK)
        self->db = mr_replica_db(self->replica);
    return status;
}

static void destroy(struct mr_actor *self)
{
    mr_queue_free(self);
    mr_replica_destroy(&self->replica);
    mr_db_destroy(&self->primary);
    mr_mailbox_destroy(&self->mailbox);
    mr_params_fini(&self->params);
    mr_params_fini(&self->other_params);
    mr_row_plans_fini(&self->plans);
    mr_constraints_destroy(&self->constraints);
    mr_buf_fini(&self->body);
    mr_buf_fini(&self->frame);
    if (self->own != NULL && self->spec->own_fini != NULL)
        self->spec->own_fini(self->own);
    free(self->own);
    free(self->flights);
    free(self->statements);
    free(self);
}

mr_status mr_actor_start(struct mr_actor **out, const struct mr_actor_spec *spec, enum mr_lane lane, unsigned instance,
                         const struct mr_config *config, const struct mr_clock *clock)
{
    struct mr_actor *self = calloc(1, sizeof *self);
    mr_status status = MR_NO_MEMORY;

    if (self == NULL)
        return MR_NO_MEMORY;
    self->spec = spec;
    self->config = config;
    self->clock = clock;
    self->born_ms = mr_wall_ms(clock);
    self->lane = lane;
    self->instance = instance;
    self->on_replica = reads_replica(config, spec->id) && instance < instances_each(config, spec->id, lane);
    self->last = &self->first;
    mr_actor_mailbox_name(self->name, spec->id, lane, instance);
    if (spec->own_bytes > 0)
        self->own = calloc(1, spec->own_bytes);
    status = spec->own_bytes > 0 && self->own == NULL ? MR_NO_MEMORY : select_statements(self);
    if (status == MR_OK)
        status = make_room_for_flights(self);
    if (status == MR_OK)
        status = open_db(self);
    if (status == MR_OK)
        status = mr_mailbox_new(&self->mailbox, self->name);
    if (status == MR_OK) {
        self->thread = mr_thread_begin(self->name, loop, self);
        status = self->thread != NULL ? MR_OK : MR_NO_MEMORY;
    }
    if (status != MR_OK) {
        destroy(self);
        return status;
    }
    *out = self;
    return MR_OK;
}

void mr_actor_await(struct mr_actor *self)
{
    mr_thread_await(self->thread);
}

bool mr_actor_pause(struct mr_actor *self, int ms)
{
    return mr_thread_asked_to_end(self->inside, ms);
}

void mr_actor_ask_to_stop(struct mr_actor *self)
{
    mr_thread_ask_to_end(self->thread);
    if (self->replica != NULL)
        mr_replica_ask_to_stop(self->replica);
}

bool mr_actor_stop_by(struct mr_actor **self, int64_t deadline_ms)
{
    struct mr_actor *actor = *self;

    if (actor == NULL)
        return true;
    if (!mr_thread_stop_by(&actor->thread, deadline_ms) ||
        (actor->replica != NULL && !mr_replica_stop_by(actor->replica, deadline_ms)))
        return false;
    mr_log(MR_LOG_INFO, "actor stopped", mr_log_text("actor", actor->name), mr_log_int("messages", actor->stats.messages),
           mr_log_int("batches", actor->stats.batches), mr_log_int("overlaps", actor->stats.overlaps),
           mr_log_int("expired", actor->stats.expired));
    destroy(actor);
    *self = NULL;
    return true;
}
