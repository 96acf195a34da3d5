#include "runtime/flight.h"

#include <assert.h>

#include "runtime/answer.h"
#include "runtime/metrics.h"
#include "runtime/plan.h"
#include "runtime/trace.h"

static struct mr_flight *at(struct mr_actor *self, unsigned place)
{
    return &self->flights[(self->first_flight + place) % self->flights_most];
}

/* One set-wise statement answers it, and nothing else has to be asked of the connection first. */
static bool can_fly(const struct mr_actor *self, const struct mr_message *message)
{
    const struct mr_op_info *info = mr_op_info(message->envelope.op);

    return self->flights_most > 1 && self->flight_count < self->flights_most && info->handler == MR_BY_SQL &&
           !info->traits->row_wise && mr_db_is_prepared(self->db, mr_answer_statement(message));
}

bool mr_flight_suits(const struct mr_actor *self, const struct mr_message *message)
{
    return can_fly(self, message) && mr_db_overlaps(self->db) && mr_db_send_due_in_ms(self->db) >= 0;
}

bool mr_flight_may_lead(const struct mr_actor *self, const struct mr_message *message)
{
    return can_fly(self, message) && mr_db_is_sound(self->db);
}

unsigned mr_flight_room(const struct mr_actor *self)
{
    unsigned most = (unsigned)self->config->actor_batch_max;
    unsigned left = MR_PLAN_MAX - self->flying;

    if (self->flight_count == 0)
        return most;
    if (self->flight_count == self->flights_most || self->held || mr_db_send_due_in_ms(self->db) != 0)
        return 0;
    return left < most ? left : most;
}

int64_t mr_flight_due_in_ms(const struct mr_actor *self)
{
    int64_t look_ms = mr_db_look_in_ms(self->db);
    int64_t send_ms = mr_db_send_due_in_ms(self->db);

    if (self->flight_count == 0)
        return -1;
    if (self->waiting == self->flying || self->held || self->flying == MR_PLAN_MAX || send_ms < 0)
        return look_ms;
    return send_ms < look_ms ? send_ms : look_ms;
}

/* ---- Sending ---- */

static struct mr_flight *add(struct mr_actor *self, struct mr_message *const *messages, unsigned count)
{
    struct mr_flight *flight = at(self, self->flight_count++);
    bool follows = mr_db_in_flight(self->db) > 0;

    memcpy(flight->messages, messages, count * sizeof *messages);
    flight->count = count;
    flight->landed = false;
    flight->sent_us = mr_mono_us(self->clock);
    flight->database_us = 0;
    flight->outcome = (struct mr_outcome){.status = MR_OK, .on_replica = self->db != self->primary, .follows = follows};
    for (unsigned i = 0; i < count; i++)
        messages[i]->flying = true;
    self->flying += count;
    atomic_store(&self->stats.in_flight, self->flight_count);
    if (follows)
        atomic_fetch_add(&self->stats.overlaps, 1);
    return flight;
}

static void set_failed(struct mr_actor *self, struct mr_flight *flight, mr_status status)
{
    flight->landed = true;
    flight->outcome.status = status;
    flight->outcome.error = *mr_db_last_error(self->db);
}

void mr_flight_send(struct mr_actor *self, struct mr_message *const *messages, unsigned count)
{
    struct mr_flight *flight;
    mr_status status;

    assert(self->flight_count < self->flights_most);
    flight = add(self, messages, count);
    status = mr_answer_bind(self, messages, count);
    if (status != MR_OK) {
        flight->landed = true;
        flight->outcome.status = status;
        flight->outcome.error = (struct mr_db_error){.status = status};
    } else {
        status =
            mr_db_send(self->db, mr_answer_statement(messages[0]), &self->params, mr_answer_deadline(self, messages, count));
        if (status != MR_OK)
            set_failed(self, flight, status);
    }
    if (status != MR_OK)
        mr_flight_land_all(self);
    self->in_hand_count = 0;
}

/* ---- Landing ---- */

static void retire_oldest(struct mr_actor *self)
{
    struct mr_flight *flight = at(self, 0);

    for (unsigned i = 0; i < flight->count; i++)
        flight->messages[i]->flying = false;
    self->flying -= flight->count;
    self->first_flight = (self->first_flight + 1) % self->flights_most;
    self->flight_count--;
    atomic_store(&self->stats.in_flight, self->flight_count);
    self->held = false;
    mr_answer_end(self, flight->messages, flight->count);
}

/* It went down with the connection: what the database said of another says nothing of this one. */
static void set_lost(struct mr_actor *self, struct mr_flight *flight)
{
    set_failed(self, flight, MR_UNAVAILABLE);
    flight->outcome.error.status = MR_UNAVAILABLE;
    flight->outcome.error.undone = false;
    flight->outcome.error.rerun = false;
}

static void take_in_hand(struct mr_actor *self, const struct mr_flight *flight)
{
    self->in_hand = flight->messages;
    self->in_hand_count = flight->count;
    self->database_us = flight->database_us;
}

/* Its time is that between its sending and its answer, whatever was in flight before it. */
static void note_statement(struct mr_actor *self, struct mr_flight *flight, mr_status status)
{
    flight->database_us = mr_mono_us(self->clock) - flight->sent_us;
    take_in_hand(self, flight);
    mr_metric_statement(self->spec->id, flight->database_us);
    mr_trace_statement(self, mr_answer_statement(flight->messages[0]), flight->sent_us, status);
}

/* Takes the answer to one in its turn; false: it has not come. */
static bool take(struct mr_actor *self, struct mr_flight *flight, bool wait)
{
    mr_status status = MR_OK;

    if (flight->landed)
        return true;
    if (mr_db_in_flight(self->db) == 0) {
        set_lost(self, flight);
        return true;
    }
    if (!mr_db_take(self->db, wait, &status, &flight->outcome.rows))
        return false;
    flight->landed = true;
    note_statement(self, flight, status);
    if (status != MR_OK)
        set_failed(self, flight, status);
    return true;
}

void mr_flight_await(struct mr_actor *self)
{
    for (unsigned i = 0; i < self->flight_count; i++)
        (void)take(self, at(self, i), true);
}

void mr_flight_land_all(struct mr_actor *self)
{
    mr_flight_await(self);
    while (self->flight_count > 0) {
        struct mr_flight *flight = at(self, 0);

        take_in_hand(self, flight);
        mr_answer_settle(self, flight->messages, flight->count, &flight->outcome);
        retire_oldest(self);
    }
}

/* The oldest has landed. False: it calls for another statement, and all in flight were settled with it. */
static bool answer_oldest(struct mr_actor *self)
{
    struct mr_flight *flight = at(self, 0);

    take_in_hand(self, flight);
    if (!mr_answer_at_once(self, flight->messages, flight->count, &flight->outcome)) {
        mr_flight_land_all(self);
        return false;
    }
    retire_oldest(self);
    return true;
}

void mr_flight_land(struct mr_actor *self)
{
    while (self->flight_count > 0 && take(self, at(self, 0), false) && answer_oldest(self)) {
    }
}

void mr_flight_lead(struct mr_actor *self, struct mr_message *const *messages, unsigned count)
{
    mr_flight_send(self, messages, count);
    while (self->flight_count > 1 && answer_oldest(self)) {
    }
}
