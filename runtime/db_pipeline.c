/*
 * Statements in flight: sent behind each other in libpq's pipeline mode, a synchronization point after each, so that each is
 * a transaction of its own, and one that fails takes no other with it.
 *
 * The connection is in pipeline mode while something is in flight, and only then. A statement that had to wait behind another
 * begins late, when the server's limit for it is too long; so one that is past its deadline is cancelled. That order may meet
 * the statement behind it, which is then told apart: nothing of it took effect, and it may run again.
 */
#include <assert.h>
#include <poll.h>

#include "runtime/db_internal.h"

unsigned mr_db_in_flight(const mr_db *self)
{
    return self->pipeline.count;
}

static struct db_in_flight *at(mr_db *self, unsigned place)
{
    return &self->pipeline.ring[(self->pipeline.first + place) % DB_IN_FLIGHT_MAX];
}

static const struct db_in_flight *oldest(const mr_db *self)
{
    return &self->pipeline.ring[self->pipeline.first];
}

bool mr_db_is_sound(const mr_db *self)
{
    return self->conn != NULL && !self->stale && !db_is_demoted(self);
}

bool mr_db_overlaps(const mr_db *self)
{
    return mr_db_is_sound(self) && (mr_pace_is_long(&self->pace) || mr_pace_wants_probe(&self->pace, db_now_ms(self)));
}

int64_t mr_db_send_due_in_ms(const mr_db *self)
{
    if (self->pipeline.count == 0)
        return 0;
    if (self->stale || db_is_demoted(self))
        return -1;
    return mr_pace_due_in_ms(&self->pace, self->pipeline.count, oldest(self)->sent_ms, db_now_ms(self));
}

/* ---- Sending ---- */

/* Puts it into libpq's buffer: the limit and the statement in one transaction; the probe is one of its own, in front. */
static bool queue(mr_db *self, const char *statement, const struct mr_params *params, int64_t timeout_ms, bool probes)
{
    if (self->pipeline.count == 0 && PQenterPipelineMode(self->conn) != 1)
        return false;
    return (!probes || PQpipelineSync(self->conn) == 1) && db_send_front(self, timeout_ms) &&
           db_send_run(self, statement, params) && PQpipelineSync(self->conn) == 1;
}

/* What the server sends meanwhile is read: it may not read on before. */
static bool flush(mr_db *self, int64_t deadline_ms)
{
    int unsent;

    while ((unsent = PQflush(self->conn)) > 0) {
        self->pipeline.read = true;
        if (!db_wait_socket(self, POLLIN | POLLOUT, deadline_ms) || !PQconsumeInput(self->conn))
            return false;
    }
    return unsent == 0;
}

mr_status mr_db_send(mr_db *self, const char *statement, const struct mr_params *params, int64_t deadline_ms)
{
    mr_status status = db_begin(self, deadline_ms);
    int64_t now_ms = db_now_ms(self);
    struct db_in_flight sent = {.sent_ms = now_ms, .deadline_ms = deadline_ms};
    int64_t timeout_ms;

    if (status != MR_OK)
        return status;
    assert(self->pipeline.count < DB_IN_FLIGHT_MAX);
    timeout_ms = db_timeout_to_set(self, db_left_ms(self, deadline_ms));
    sent.limited = timeout_ms >= 0;
    sent.probes = self->pipeline.count == 0 && mr_pace_wants_probe(&self->pace, now_ms);
    if (!queue(self, statement, params, timeout_ms, sent.probes) || !flush(self, deadline_ms + DB_LATE_MS))
        return db_fail_lost(self, PQerrorMessage(self->conn));
    if (sent.limited)
        self->timeout_ms = timeout_ms;
    *at(self, self->pipeline.count++) = sent;
    mr_pace_note_sent(&self->pace, now_ms);
    return MR_OK;
}

/* ---- Taking ---- */

/* Its error is kept until it lands: until then others may fail before they are sent. */
static void weigh(mr_db *self, PGresult *result)
{
    mr_status before = self->pipeline.status;

    self->pipeline.status = db_weigh(self, before, result, &self->pipeline.kept);
    if (before == MR_OK)
        self->pipeline.error = self->error;
}

/* True when all results of the oldest are there. */
static bool take_available(mr_db *self, struct db_in_flight *flight)
{
    while (PQstatus(self->conn) == CONNECTION_OK && !PQisBusy(self->conn)) {
        PGresult *result = PQgetResult(self->conn);

        if (PQresultStatus(result) != PGRES_PIPELINE_SYNC) {
            if (result != NULL)
                weigh(self, result);
            continue;
        }
        PQclear(result);
        if (!flight->probes)
            return true;
        flight->probes = false;
        mr_pace_note_probe(&self->pace, db_now_ms(self) - flight->sent_ms, db_now_ms(self));
    }
    return false;
}

/* The connection is of no more use, and with it all that is in flight. */
static mr_status give_up(mr_db *self, int64_t deadline_ms)
{
    bool said = self->pipeline.status != MR_OK; /* what the server's last words were */
    mr_status status = said ? self->pipeline.status : db_fail_wait(self, deadline_ms);

    if (said) {
        self->error = self->pipeline.error;
        self->error.lost = true;
        db_drop(self);
    }
    return status;
}

/* The order was for another, which had ended by then: this one met it long before its time. */
static void tell_bystander(mr_db *self, const struct db_in_flight *flight)
{
    if (flight->beside_cancel && strcmp(self->error.sqlstate, "57014") == 0 && db_now_ms(self) < flight->deadline_ms)
        self->error.undone = true;
}

/* Its results are whole. The connection leaves pipeline mode behind the last. */
static mr_status land(mr_db *self, mr_rows **out)
{
    struct db_in_flight flight = *oldest(self);
    mr_status status = self->pipeline.status;
    PGresult *kept = self->pipeline.kept;
    int64_t now_ms = db_now_ms(self);

    self->pipeline.kept = NULL;
    self->pipeline.status = MR_OK;
    self->pipeline.first = (self->pipeline.first + 1) % DB_IN_FLIGHT_MAX;
    self->pipeline.count--;
    mr_pace_note_landed(&self->pace, flight.sent_ms, now_ms);
    if (!mr_pace_is_long(&self->pace) && self->pipeline.count == 0)
        mr_pace_note_alone(&self->pace, now_ms - flight.sent_ms);
    db_note_took(self, now_ms - flight.sent_ms);
    if (status == MR_OK) {
        *out = (mr_rows *)(void *)kept;
    } else {
        PQclear(kept);
        self->error = self->pipeline.error;
        tell_bystander(self, &flight);
        if (flight.limited) /* it was rolled back */
            self->timeout_ms = 0;
    }
    if (self->pipeline.count == 0 && (self->stale || PQexitPipelineMode(self->conn) != 1))
        db_drop(self);
    return status;
}

/* The order to cancel the oldest may meet those behind it. */
static void note_cancelled(mr_db *self, struct db_in_flight *flight)
{
    flight->cancelled = true;
    for (unsigned i = 1; i < self->pipeline.count; i++)
        at(self, i)->beside_cancel = true;
}

/* The oldest is past its deadline: its clients have stopped waiting. */
static void cancel_late(mr_db *self, struct db_in_flight *flight)
{
    note_cancelled(self, flight);
    db_cancel(self);
}

/* When the oldest is to be looked after, whether or not something has arrived. */
static int64_t look_at_ms(const struct db_in_flight *flight)
{
    return flight->deadline_ms + (flight->cancelled ? DB_LATE_MS : DB_LATE_MS / 2);
}

int64_t mr_db_look_in_ms(const mr_db *self)
{
    int64_t left_ms;

    if (self->pipeline.count == 0)
        return -1;
    if (self->pipeline.read)
        return 0;
    left_ms = look_at_ms(oldest(self)) - db_now_ms(self);
    return left_ms > 0 ? left_ms : 0;
}

bool mr_db_take(mr_db *self, bool wait, mr_status *status, mr_rows **out)
{
    struct db_in_flight *flight = at(self, 0);
    bool usable = true;

    assert(self->pipeline.count > 0);
    self->pipeline.read = false;
    for (bool read = false;; read = !read) {
        if (take_available(self, flight)) {
            *status = land(self, out);
            return true;
        }
        if (!usable || PQstatus(self->conn) != CONNECTION_OK || db_now_ms(self) >= flight->deadline_ms + DB_LATE_MS) {
            *status = give_up(self, flight->deadline_ms + DB_LATE_MS);
            return true;
        }
        if (!read) {
            usable = db_read(self);
            if (self->overflowed)
                note_cancelled(self, flight);
            continue;
        }
        if (!flight->cancelled && db_now_ms(self) >= look_at_ms(flight))
            cancel_late(self, flight);
        if (!wait)
            return false;
        if (!db_wait_socket(self, POLLIN, look_at_ms(flight)))
            usable = db_now_ms(self) >= look_at_ms(flight); /* before its time: the process ends */
    }
}
