/*
 * A window: up to sixteen statements that are sent together, each with an outcome of its own.
 *
 * After an error the server skips everything up to the next synchronization point, so each statement stands in a segment of its
 * own, which ends with one. Outside a transaction that is all: a segment is a transaction. In one transaction a savepoint has to
 * undo what failed, and nobody can wait to see whether it did:
 *
 *     head    BEGIN; SAVEPOINT s
 *     step    [ROLLBACK TO s;] statement; RELEASE s; SAVEPOINT s
 *     tail    ROLLBACK TO s
 *             COMMIT
 *
 * A statement that succeeds moves the savepoint behind itself, and ROLLBACK TO s has nothing to undo; after one that fails, s is
 * still where it was in front of it. So the same sequence is right in either case, and all of it is one round trip.
 */
#include <assert.h>
#include <stdio.h>

#include "runtime/db_internal.h"
#include "runtime/pace.h"

/*
 * When the deadline has passed for longer than the server's own limit explains, what is at work is cancelled; and then the next,
 * for nobody waits for any of them.
 */
enum { CANCEL_AFTER_MS = DB_LATE_MS / 4, CANCEL_EVERY_MS = 20 };

/* ---- Sending ---- */

static struct db_segment *current(struct db_window *window)
{
    return &window->steps[window->count];
}

static void queue(mr_db *self, struct db_segment *segment, const char *sql)
{
    segment->commands++;
    self->window.usable = self->window.usable && PQsendQueryParams(self->conn, sql, 0, NULL, NULL, NULL, NULL, 0) == 1;
}

static void queue_own(mr_db *self, struct db_segment *segment, const char *sql)
{
    segment->before++;
    queue(self, segment, sql);
}

static void queue_statement(mr_db *self, struct db_segment *segment, const char *statement, const struct mr_params *params)
{
    segment->commands++;
    self->window.usable = self->window.usable && db_send_run(self, statement, params);
}

static void queue_sync(mr_db *self)
{
    self->window.usable = self->window.usable && PQpipelineSync(self->conn) == 1;
}

/* In a session that is shared, the settings and the limit of a transaction: two commands; else the limit alone. */
static void queue_limits(mr_db *self, struct db_segment *segment)
{
    unsigned commands = self->shared ? 2 : 1;

    segment->before += commands;
    segment->commands += commands;
    self->window.usable = self->window.usable && db_send_limits(self, self->window.timeout_ms);
}

static void queue_replan(mr_db *self, struct db_segment *segment)
{
    segment->before++;
    segment->commands++;
    self->window.usable = self->window.usable && db_send_replan(self);
}

mr_status mr_db_window_begin(mr_db *self, const char *statement, bool together, int64_t deadline_ms)
{
    struct db_window *window = &self->window;
    mr_status status = db_begin(self, deadline_ms);

    assert(self->pipeline.count == 0);
    if (status == MR_OK)
        status = db_prepare(self, statement, deadline_ms);
    if (status != MR_OK)
        return status;
    *window = (struct db_window){.statement = statement,
                                 .together = together,
                                 .usable = PQenterPipelineMode(self->conn) == 1,
                                 .begun_ms = db_now_ms(self),
                                 .deadline_ms = deadline_ms,
                                 .look_ms = deadline_ms + CANCEL_AFTER_MS};
    window->timeout_ms = db_timeout_to_set(self, db_left_ms(self, deadline_ms));
    window->limited = window->timeout_ms >= 0;
    if (together)
        queue_own(self, &window->head, "BEGIN");
    if (self->replans)
        queue_replan(self, &window->head);
    if (window->limited && (together || !self->shared))
        queue_limits(self, &window->head);
    if (!together && window->head.commands > 0)
        queue_sync(self);
    return MR_OK;
}

/* What is in front of the first guard, or of the run: in one transaction it undoes what the one before may have left. */
static void begin_segment(mr_db *self)
{
    struct db_window *window = &self->window;
    struct db_segment *segment = current(window);

    if (segment->commands > 0)
        return;
    if (window->together && window->count == 0) {
        queue(self, &window->head, "SAVEPOINT s");
        queue_sync(self);
    } else if (window->together) {
        queue_own(self, segment, "ROLLBACK TO SAVEPOINT s");
    } else if (self->shared && window->limited) {
        queue_limits(self, segment);
    }
}

static void queue_guard(mr_db *self, struct db_segment *segment, const char *statement, const struct mr_params *params)
{
    assert(segment->guard_count < DB_GUARDS_MAX);
    segment->guards[segment->guard_count++] = statement;
    queue_statement(self, segment, statement, params);
}

void mr_db_window_guard_all(mr_db *self, const char *statement, const struct mr_params *params)
{
    assert(self->window.together && current(&self->window)->commands == 0);
    queue_guard(self, &self->window.head, statement, params);
}

void mr_db_window_guard(mr_db *self, const char *statement, const struct mr_params *params)
{
    begin_segment(self);
    queue_guard(self, current(&self->window), statement, params);
}

void mr_db_window_add(mr_db *self, const struct mr_params *params)
{
    struct db_window *window = &self->window;
    struct db_segment *segment = current(window);

    assert(window->count < MR_DB_WINDOW_MAX);
    begin_segment(self);
    queue_statement(self, segment, window->statement, params);
    if (window->together) {
        queue(self, segment, "RELEASE SAVEPOINT s");
        queue(self, segment, "SAVEPOINT s");
    }
    queue_sync(self);
    window->count++;
}

/* Undoes what the last may have left. */
static void queue_undo(mr_db *self)
{
    queue_own(self, &self->window.undo, "ROLLBACK TO SAVEPOINT s");
    queue_sync(self);
}

/* A segment of its own: it has to end the transaction also when there is no savepoint any more. */
static void queue_commit(mr_db *self)
{
    queue(self, &self->window.commit, "COMMIT");
    queue_sync(self);
}

/* ---- Results ---- */

/* Waits for the next result; false: the connection is of no more use. */
static bool await(mr_db *self)
{
    struct db_window *window = &self->window;
    int64_t last_ms = window->deadline_ms + DB_LATE_MS;

    while (!db_await_result(self, window->look_ms < last_ms ? window->look_ms : last_ms)) {
        int64_t now_ms = db_now_ms(self);

        if (PQstatus(self->conn) != CONNECTION_OK || now_ms >= last_ms || now_ms < window->look_ms)
            return false;
        db_cancel(self);
        window->cancelled = true;
        window->look_ms = now_ms + CANCEL_EVERY_MS;
    }
    window->cancelled |= self->overflowed;
    return true;
}

/* Of a segment: the command that failed first (`commands`: none did, but its end, a commit), and what its statement answered. */
struct outcome {
    mr_status status;
    unsigned failed_at;
    PGresult *kept;
};

/* False: the connection broke on the way; what it said before is kept. */
static bool take_segment(mr_db *self, const struct db_segment *segment, struct outcome *out)
{
    unsigned statement = segment->before + segment->guard_count;

    *out = (struct outcome){.status = MR_OK};
    for (unsigned command = 0; PQstatus(self->conn) == CONNECTION_OK && await(self);) {
        PGresult *result = PQgetResult(self->conn);
        mr_status before = out->status;
        PGresult *passed = NULL;

        if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
            PQclear(result);
            return true;
        }
        if (result == NULL) {
            command++;
            continue;
        }
        out->status = db_weigh(self, out->status, result, command == statement ? &out->kept : &passed);
        PQclear(passed);
        if (before == MR_OK && out->status != MR_OK)
            out->failed_at = command;
    }
    return false;
}

static void set_failed(struct mr_db_step *step, const struct mr_db_error *error)
{
    mr_rows_free(&step->rows);
    *step = (struct mr_db_step){.status = error->status, .error = *error};
}

/* Behind a statement that ended the window's transaction: nothing holds. */
static void fail_broken(mr_db *self)
{
    db_fail(self, MR_INTERNAL, false, "25000", "a statement has ended the transaction that it runs in");
}

/* The guard that is that command; NULL: it is none. */
static const char *guard_at(const struct db_segment *segment, unsigned command)
{
    bool is_guard = command >= segment->before && command < segment->before + segment->guard_count;

    return is_guard ? segment->guards[command - segment->before] : NULL;
}

static void note_step(mr_db *self, const struct db_segment *segment, struct outcome *outcome, struct mr_db_step *step)
{
    unsigned statement = segment->before + segment->guard_count;

    *step = (struct mr_db_step){.status = outcome->status};
    if (outcome->status == MR_OK) {
        step->rows = (mr_rows *)(void *)outcome->kept;
        return;
    }
    PQclear(outcome->kept);
    step->guard = guard_at(segment, outcome->failed_at);
    if (self->window.together && (outcome->failed_at < segment->before || outcome->failed_at > statement) && !self->error.lost)
        fail_broken(self);
    step->status = self->error.status;
    step->error = self->error;
}

/*
 * The connection broke while segment `at` was being read. What the server said last, good-bye, tells that it did not come to what
 * is behind that; `said` is how far it was then. In one transaction nothing of it holds before the commit is confirmed.
 */
static void lose(mr_db *self, struct mr_db_step *steps, unsigned at, const struct db_segment *segment,
                 const struct outcome *said)
{
    struct db_window *window = &self->window;
    bool bade = said->status != MR_OK && self->error.lost;
    bool early = bade && (window->together || said->failed_at < segment->commands);
    struct mr_db_error error;

    if (!bade)
        (void)db_fail_wait(self, window->deadline_ms + DB_LATE_MS);
    error = self->error;
    error.lost = true;
    for (unsigned i = window->together ? 0 : at; i < window->count; i++) {
        error.undone = early || (bade && i > at);
        set_failed(&steps[i], &error);
    }
    db_drop(self);
}

/* What holds for all: nothing of them took effect, and only who is to blame is not known. */
static void fail_all(mr_db *self, struct mr_db_step *steps, const char *guard)
{
    struct mr_db_error error = self->error;

    error.undone = true;
    for (unsigned i = 0; i < self->window.count; i++) {
        set_failed(&steps[i], &error);
        steps[i].guard = guard;
    }
}

/* The segments behind one that failed for all say nothing of interest, and would be counted as errors. */
static bool skip(mr_db *self, unsigned segments)
{
    while (segments > 0 && PQstatus(self->conn) == CONNECTION_OK && await(self)) {
        PGresult *result = PQgetResult(self->conn);

        segments -= PQresultStatus(result) == PGRES_PIPELINE_SYNC;
        PQclear(result);
    }
    return segments == 0;
}

/* COMMIT succeeds also when there is nothing left that it could commit. */
static bool is_committed(const struct outcome *outcome)
{
    return outcome->status == MR_OK && outcome->kept != NULL && strcmp(PQcmdStatus(outcome->kept), "COMMIT") == 0;
}

static void take_commit(mr_db *self, struct mr_db_step *steps)
{
    const struct db_segment *commit = &self->window.commit;
    struct outcome outcome;

    if (!take_segment(self, commit, &outcome)) {
        outcome.status = MR_OK; /* a good-bye does not tell whether it came before the commit or after it */
        lose(self, steps, self->window.count, commit, &outcome);
    } else if (is_committed(&outcome)) {
        if (self->window.limited)
            self->timeout_ms = self->window.timeout_ms;
    } else {
        if (outcome.status == MR_OK)
            fail_broken(self);
        fail_all(self, steps, NULL);
    }
    PQclear(outcome.kept);
}

/* The window's own head. False: it failed, or the connection is lost, and the steps are told. */
static bool take_head(mr_db *self, struct mr_db_step *steps)
{
    struct db_window *window = &self->window;
    struct outcome outcome;
    bool whole;

    if (window->head.commands == 0)
        return true;
    whole = take_segment(self, &window->head, &outcome);
    PQclear(outcome.kept);
    if (!whole) {
        lose(self, steps, 0, &window->head, &outcome);
        return false;
    }
    if (outcome.status == MR_OK && !window->together && window->limited)
        self->timeout_ms = window->timeout_ms;
    if (outcome.status == MR_OK || !window->together)
        return true;
    fail_all(self, steps, guard_at(&window->head, outcome.failed_at));
    if (!skip(self, window->count + 1))
        (void)db_fail_wait(self, window->deadline_ms + DB_LATE_MS);
    return false;
}

static bool take_undo(mr_db *self, struct mr_db_step *steps)
{
    struct db_window *window = &self->window;
    struct outcome outcome;
    bool whole = take_segment(self, &window->undo, &outcome);

    PQclear(outcome.kept);
    if (!whole)
        lose(self, steps, window->count, &window->undo, &outcome);
    return whole;
}

/* All but the commit. False: that is of no interest any more, for nothing holds, or the connection is lost. */
static bool take_steps(mr_db *self, struct mr_db_step *steps)
{
    struct db_window *window = &self->window;
    struct outcome outcome;

    memset(steps, 0, window->count * sizeof *steps);
    if (window->limited)
        self->timeout_ms = 0; /* not known, should it be rolled back */
    if (!window->usable) {
        lose(self, steps, 0, &window->head, &(struct outcome){.status = MR_OK});
        return false;
    }
    if (!take_head(self, steps))
        return false;
    for (unsigned i = 0; i < window->count; i++) {
        if (!take_segment(self, &window->steps[i], &outcome)) {
            PQclear(outcome.kept);
            lose(self, steps, i, &window->steps[i], &outcome);
            return false;
        }
        note_step(self, &window->steps[i], &outcome, &steps[i]);
    }
    return !window->together || take_undo(self, steps);
}

/* The connection stays in use, unless an answer may still arrive. */
static void leave(mr_db *self)
{
    struct db_window *window = &self->window;
    int64_t took_ms = db_now_ms(self) - window->begun_ms;

    mr_pace_note_alone(&self->pace, took_ms);
    db_note_took(self, took_ms);
    if (self->conn == NULL)
        return;
    if (self->stale || window->cancelled || PQexitPipelineMode(self->conn) != 1 ||
        PQtransactionStatus(self->conn) != PQTRANS_IDLE)
        db_drop(self);
}

void mr_db_window_end(mr_db *self, struct mr_db_step *steps)
{
    struct db_window *window = &self->window;

    assert(window->count > 0);
    if (window->together) {
        queue_undo(self);
        queue_commit(self);
    }
    window->holds = take_steps(self, steps);
    if (window->together && window->holds)
        take_commit(self, steps);
    else if (window->together && self->conn != NULL && !skip(self, 1))
        db_drop(self);
    leave(self);
}

void mr_db_window_hold(mr_db *self, struct mr_db_step *steps)
{
    assert(self->window.count > 0 && self->window.together);
    queue_undo(self);
    self->window.holds = take_steps(self, steps);
}

/* The statement in front of the commit. False: nothing holds, and the steps are told. */
static bool take_last(mr_db *self, struct mr_db_step *steps)
{
    struct outcome outcome;
    bool whole = take_segment(self, &self->window.last, &outcome);

    PQclear(outcome.kept);
    if (!whole)
        lose(self, steps, self->window.count, &self->window.last, &outcome);
    else if (outcome.status != MR_OK)
        fail_all(self, steps, NULL);
    return whole && outcome.status == MR_OK;
}

void mr_db_window_commit(mr_db *self, const char *statement, const struct mr_params *params, struct mr_db_step *steps)
{
    struct db_window *window = &self->window;
    bool holds = window->holds;

    if (self->conn != NULL && holds && statement != NULL) {
        queue_statement(self, &window->last, statement, params);
        queue_sync(self);
    }
    if (self->conn != NULL)
        queue_commit(self);
    if (self->conn != NULL && !window->usable)
        lose(self, steps, window->count, &window->commit, &(struct outcome){.status = MR_OK});
    if (self->conn != NULL && holds && statement != NULL)
        holds = take_last(self, steps);
    if (self->conn != NULL && holds)
        take_commit(self, steps);
    else if (self->conn != NULL && !skip(self, 1))
        db_drop(self);
    leave(self);
}

/* The server rolls back what it has of a connection that is gone. */
void mr_db_window_abandon(mr_db *self, mr_status status, struct mr_db_step *steps)
{
    db_fail(self, status, false, "", mr_status_detail(status));
    for (unsigned i = 0; i < self->window.count; i++)
        set_failed(&steps[i], &self->error);
    db_drop(self);
}
