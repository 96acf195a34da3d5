#include "jobs/run.h"

#include <stdio.h>

#include "jobs/chunk.h"
#include "jobs/run_trace.h"
#include "proto/uuid.h"
#include "runtime/answer.h"
#include "runtime/backoff.h"
#include "runtime/link.h"
#include "runtime/log.h"
#include "runtime/metrics.h"

enum { ROWS_FIRST = 500, WAIT_MS = 35000, AWAY_PAUSE_MS = 100, TURN_MS = 1000, LOOK_MS = 100, TIMEOUTS_MOST = 10 };

/* clang-format off */
#define FUNCTION_OF_SQL(name)  NULL
#define FUNCTION_OF_CODE(name) &mr_job_##name
#define JOB(name, cron, at_once, exclusive, starter, work, pace, about) FUNCTION_OF_##work(name),
static const struct mr_job_code *const code[] = {MR_JOBS(JOB)};
#undef JOB
/* clang-format on */

const struct mr_job_code *mr_job_code_of(enum mr_job job)
{
    return job < MR_JOB_COUNT ? code[job] : NULL;
}

enum mr_job mr_job_of(const struct mr_actor *self)
{
    return (enum mr_job)(atomic_load(&self->stats.job) - 1);
}

static int64_t now_ms(const struct mr_actor *self)
{
    return mr_mono_ms(self->clock);
}

static void set_text(struct mr_buf *out, struct mr_slice text)
{
    mr_buf_clear(out, SIZE_MAX);
    mr_buf_slice(out, text);
    mr_buf_char(out, '\0');
}

void mr_job_take_text(struct mr_buf *out, const mr_rows *rows, unsigned row, unsigned column)
{
    struct mr_slice text = {"", 0};

    mr_rows_get(rows, row, column, &text);
    set_text(out, text);
}

void mr_run_fini(struct mr_run *self)
{
    mr_buf_fini(&self->args);
    mr_buf_fini(&self->cursor);
    mr_buf_fini(&self->result);
}

void mr_run_take(struct mr_run *out, const struct mr_actor *self, const mr_rows *rows, unsigned row)
{
    const struct mr_job_code *own = mr_job_code_of(mr_job_of(self));
    struct mr_slice value;

    *out = (struct mr_run){
        .started_ms = now_ms(self), .started_us = mr_mono_us(self->clock), .turn_ms = now_ms(self), .chunk_rows = ROWS_FIRST};
    if (out->chunk_rows > self->config->job_chunk_rows)
        out->chunk_rows = self->config->job_chunk_rows;
    out->skip.is_input = own != NULL && own->is_input;
    if (mr_rows_get(rows, row, 0, &value))
        memcpy(out->id, value.data, sizeof out->id);
    out->claim = mr_rows_int(rows, row, 1, 0);
    out->attempt = mr_rows_int(rows, row, 2, 0);
    if (mr_rows_get(rows, row, 3, &value))
        memcpy(out->owner, value.data, sizeof out->owner);
    out->is_tick = mr_rows_get(rows, row, 4, &value);
    out->scheduled_for = mr_rows_int(rows, row, 4, 0) + MR_POSTGRES_EPOCH_MICROS;
    mr_job_take_text(&out->args, rows, row, 5);
    if (mr_rows_get(rows, row, 6, &value))
        snprintf(out->traceparent, sizeof out->traceparent, "%.*s", (int)value.len, value.data);
    out->waited_ms = mr_rows_int(rows, row, 7, 0);
    mr_run_trace_begin(out);
}

/* ---- The connection ---- */

mr_status mr_job_query(struct mr_actor *self, const char *statement, mr_rows **out)
{
    mr_status status = mr_params_end(&self->params);
    int64_t begun_us = mr_mono_us(self->clock);

    if (status != MR_OK)
        return status;
    status = mr_db_run(self->db, statement, &self->params, now_ms(self) + WAIT_MS, out);
    mr_metric_statement(self->spec->id, mr_mono_us(self->clock) - begun_us);
    return status;
}

mr_status mr_job_exec(struct mr_actor *self, const char *sql)
{
    return mr_db_exec(self->db, sql, now_ms(self) + WAIT_MS, NULL);
}

bool mr_job_come_back(struct mr_actor *self)
{
    while (mr_db_connect(self->db) != MR_OK) {
        mr_link_note(self);
        if (mr_db_is_refused(self->db) || mr_actor_pause(self, AWAY_PAUSE_MS))
            return false;
    }
    mr_link_note(self);
    return true;
}

void mr_job_note_refused(struct mr_actor *self, int64_t since_ms)
{
    int64_t never = 0;

    atomic_compare_exchange_strong(&self->stats.failing_since_ms, &never, since_ms);
}

void mr_job_note_answer(struct mr_actor *self)
{
    atomic_store(&self->stats.failing_since_ms, 0);
}

/* ---- How a run ends ---- */

/* What a run came to, by the state that its row is in. */
static const struct outcome {
    const char *state;
    const char *name;
    enum mr_log_level level;
    enum mr_metric metric;
} outcomes[] = {
    {"succeeded", "succeeded", MR_LOG_INFO, MR_METRIC_runs_succeeded},
    {"failed", "failed", MR_LOG_WARN, MR_METRIC_runs_failed},
    {"dead", "dead", MR_LOG_ERROR, MR_METRIC_runs_dead},
    {"cancelled", "cancelled", MR_LOG_INFO, MR_METRIC_runs_cancelled},
    {"queued", "released", MR_LOG_INFO, MR_METRIC_runs_released},
    {"", "lost", MR_LOG_WARN, MR_METRIC_runs_lost},
};

static const struct outcome *outcome_of(struct mr_slice state)
{
    const struct outcome *outcome = outcomes;

    while (outcome->state[0] != '\0' && !mr_slice_is(state, outcome->state))
        outcome++;
    return outcome;
}

/* The line that metric filters count: its message, names and outcomes are documented in docs/jobs.md. */
static void note_outcome(const struct mr_actor *self, const struct mr_run *run, struct mr_slice state, const char *reason)
{
    const struct outcome *outcome = outcome_of(state);
    bool has_skipped = run->skip.count > 0;
    int64_t took_ms = now_ms(self) - run->started_ms;
    char id[MR_UUID_TEXT + 1] = "";
    char trace[MR_TRACEPARENT];

    mr_uuid_format(id, run->id);
    mr_run_trace_write(run, trace);
    mr_log(has_skipped && outcome->level < MR_LOG_WARN ? MR_LOG_WARN : outcome->level, "job run",
           mr_log_text("job", mr_job_info(mr_job_of(self))->name), mr_log_text("runId", id),
           mr_log_int("attempt", run->attempt), mr_log_int("durationMs", took_ms), mr_log_text("outcome", outcome->name),
           mr_log_int("waitedMs", run->waited_ms), mr_log_int("done", run->done),
           mr_log_int(has_skipped ? "skipped" : "", run->skip.count), mr_log_trace(mr_slice_of(trace)),
           mr_log_text(run->traceparent[0] != '\0' ? "traceparent" : "", run->traceparent),
           mr_log_text(reason != NULL ? "reason" : "", reason != NULL ? reason : ""));
    mr_run_trace_end(self, run, outcome->name, outcome->level >= MR_LOG_WARN);
    mr_metric_add(outcome->metric, 1);
    mr_metric_run(mr_job_of(self), took_ms);
}

static mr_status end_once(struct mr_actor *self, const struct mr_run *runs, unsigned count, const char *state,
                          const char *error, mr_rows **out)
{
    mr_params_begin(&self->params, 4);
    for (unsigned i = 0; i < count; i++) {
        mr_params_id(&self->params, 0, runs[i].id);
        mr_params_int(&self->params, 1, runs[i].claim);
        mr_params_text(&self->params, 2, state);
        mr_params_text(&self->params, 3, error);
    }
    return mr_job_query(self, "run_due__end", out);
}

/* The state of ordinal `n`, "" when there is none. Nearly always rows come in the order of their ordinals. */
static struct mr_slice state_of(const mr_rows *rows, unsigned n)
{
    struct mr_slice state = {"", 0};
    unsigned count = rows != NULL ? mr_rows_count(rows) : 0;

    for (unsigned tried = 0; tried < count; tried++) {
        unsigned row = (n - 1 + tried) % count;

        if (mr_rows_int(rows, row, 0, 0) == n) {
            mr_rows_get(rows, row, 1, &state);
            break;
        }
    }
    return state;
}

void mr_run_end(struct mr_actor *self, const struct mr_run *runs, unsigned count, const char *state, const char *error,
                const char *reason)
{
    struct mr_backoff backoff = {0};
    mr_rows *rows = NULL;

    while (end_once(self, runs, count, state, error, &rows) != MR_OK) {
        mr_answer_log(self, "run_due__end", mr_db_last_error(self->db)->status, count);
        mr_job_note_refused(self, now_ms(self));
        if (!mr_job_come_back(self))
            break; /* it is found silent, and rescued */
        if (mr_actor_pause(self, (int)mr_backoff_fail(&backoff, now_ms(self))) && strcmp(state, "queued") != 0)
            break;
    }
    mr_job_note_answer(self);
    for (unsigned i = 0; i < count; i++)
        note_outcome(self, &runs[i], state_of(rows, i + 1), reason);
    if (rows != NULL)
        mr_rows_free(&rows);
}

/* ---- Trouble ---- */

/* What a run has met since its last good chunk. */
struct trouble {
    struct mr_backoff backoff;
    unsigned timeouts;
};

/* Somebody else has the lock, or is in a deadlock with us. */
static bool is_lock(const struct mr_db_error *error)
{
    return error->status == MR_OVERLOADED;
}

/*
 * Trouble that passes by itself: the server is away or short of something, or somebody else has the lock. It spends no attempt,
 * but JOB_BLOCKED_MAX. A statement that takes too long is tried with fewer rows.
 */
static bool passes(const struct mr_actor *self, struct mr_run *run, const struct mr_db_error *error, struct trouble *trouble)
{
    if (mr_backoff_failing_ms(&trouble->backoff, now_ms(self)) >= self->config->job_blocked_max)
        return false;
    if (error->lost || error->status == MR_UNAVAILABLE || is_lock(error))
        return true;
    if (error->status != MR_TIMEOUT)
        return false;
    if (run->chunk_rows > MR_CHUNK_ROWS_LEAST)
        run->chunk_rows = run->chunk_rows / 4 + 1;
    return ++trouble->timeouts < TIMEOUTS_MOST;
}

/* The row says what the run waits for, until its next chunk or its end. That it cannot be said is no trouble of its own. */
static void tell_waiting(struct mr_actor *self, const struct mr_run *run, const struct mr_db_error *error)
{
    mr_rows *rows = NULL;
    char text[96];

    if (!mr_db_is_up(self->db))
        return;
    snprintf(text, sizeof text, "waits for %s (SQLSTATE %s)",
             is_lock(error) ? "a lock that somebody else holds" : "the database", error->sqlstate);
    mr_params_begin(&self->params, 3);
    mr_params_id(&self->params, 0, run->id);
    mr_params_int(&self->params, 1, run->claim);
    mr_params_text(&self->params, 2, text);
    if (mr_job_query(self, "run_due__wait", &rows) == MR_OK)
        mr_rows_free(&rows);
}

static void fail_run(struct mr_actor *self, struct mr_run *run, mr_status failure, const struct mr_db_error *error)
{
    char text[MR_RUN_ERROR];

    if (run->error[0] != '\0')
        snprintf(text, sizeof text, "%s", run->error);
    else if (error == NULL)
        snprintf(text, sizeof text, "%s", mr_status_name(failure));
    else
        snprintf(text, sizeof text, "a statement was refused (SQLSTATE %s)", error->sqlstate);
    mr_run_end(self, run, 1, "failed", text, error != NULL ? error->message : run->error[0] != '\0' ? text : NULL);
}

static bool does_divide(const struct mr_actor *self)
{
    const struct mr_job_code *own = mr_job_code_of(mr_job_of(self));

    return own == NULL || !own->one_unit;
}

/* Ends the transaction that failed; false when the run is not to be tried again, otherwise after `pause_ms`. */
static bool recover(struct mr_actor *self, struct mr_run *run, mr_status failure, struct trouble *trouble, int64_t *pause_ms)
{
    struct mr_db_error error = *mr_db_last_error(self->db);
    bool by_server =
        run->error[0] == '\0' && error.status == failure; /* otherwise what the server said last is about something else */

    if (mr_db_is_up(self->db))
        (void)!mr_job_exec(self, "ROLLBACK");
    if (by_server && mr_skip_find(&run->skip, &error, does_divide(self), &run->chunk_rows)) {
        *pause_ms = 0;
        return true;
    }
    if (!by_server || !passes(self, run, &error, trouble)) {
        fail_run(self, run, failure, by_server ? &error : NULL);
        return false;
    }
    tell_waiting(self, run, &error);
    *pause_ms = mr_backoff_fail(&trouble->backoff, now_ms(self));
    if (error.status == MR_UNAVAILABLE && !error.lost)
        mr_job_note_refused(self, trouble->backoff.since_ms);
    mr_log_bounded(MR_LOG_WARN, "job chunk is retried", mr_log_text("job", mr_job_info(mr_job_of(self))->name),
                   mr_log_text("sqlstate", error.sqlstate), mr_log_text("reason", error.message),
                   mr_log_int("inMs", *pause_ms));
    return true;
}

/* ---- Turns ---- */

/*
 * The trouble that a run was in when it let others pass, for whichever worker takes it next: its pauses grow all the same, and it is
 * not blocked for less than it was. One for each job, of which one run at a time is at work in a process.
 */
static struct {
    _Atomic uint64_t run; /* the last half of its id */
    _Atomic int64_t pause_ms;
    _Atomic int64_t since_ms;
} left_in_trouble[MR_JOBS_MAX];

static uint64_t mark_of(const struct mr_run *run)
{
    uint64_t mark;

    memcpy(&mark, run->id + 8, sizeof mark);
    return mark;
}

static void leave_trouble(struct mr_actor *self, const struct mr_run *run, const struct trouble *trouble)
{
    enum mr_job job = mr_job_of(self);

    atomic_store(&left_in_trouble[job].run, mark_of(run));
    atomic_store(&left_in_trouble[job].pause_ms, trouble->backoff.pause_ms);
    atomic_store(&left_in_trouble[job].since_ms, trouble->backoff.since_ms);
}

static void find_trouble(struct mr_actor *self, const struct mr_run *run, struct trouble *out)
{
    enum mr_job job = mr_job_of(self);

    *out = (struct trouble){.timeouts = 0};
    if (atomic_load(&left_in_trouble[job].run) != mark_of(run))
        return;
    out->backoff.pause_ms = atomic_load(&left_in_trouble[job].pause_ms);
    out->backoff.since_ms = atomic_load(&left_in_trouble[job].since_ms);
}

static bool does_another_wait(struct mr_actor *self)
{
    mr_rows *rows = NULL;
    bool waits = false;

    mr_params_begin(&self->params, 1);
    mr_params_text(&self->params, 0, mr_job_info(mr_job_of(self))->name);
    if (mr_job_query(self, "run_due__waits", &rows) == MR_OK)
        waits = mr_rows_int(rows, 0, 0, 0) != 0;
    mr_rows_free(&rows);
    return waits;
}

/* Users take turns: what one of them started lets others pass. */
static bool is_turn_over(struct mr_actor *self, struct mr_run *run)
{
    if (mr_job_info(mr_job_of(self))->starter != MR_STARTED_BY_USER || now_ms(self) - run->turn_ms < TURN_MS)
        return false;
    run->turn_ms = now_ms(self);
    return does_another_wait(self);
}

/*
 * Gives the run back, after `later_ms` at the earliest: it goes on at its cursor, and spends no attempt. Where that fails it is still
 * ours.
 */
static bool pass(struct mr_actor *self, struct mr_run *run, int64_t later_ms)
{
    mr_rows *rows = NULL;
    bool passed = false;

    if (!mr_db_is_up(self->db))
        return false;
    mr_params_begin(&self->params, 4);
    mr_params_id(&self->params, 0, run->id);
    mr_params_int(&self->params, 1, run->claim);
    mr_params_bool(&self->params, 2, mr_job_info(mr_job_of(self))->starter == MR_STARTED_BY_USER);
    mr_params_int(&self->params, 3, later_ms);
    if (mr_job_query(self, "run_due__pass", &rows) == MR_OK)
        passed = mr_rows_count(rows) > 0;
    if (passed)
        mr_run_trace_end(self, run, "passed", false);
    mr_rows_free(&rows);
    return passed;
}

static bool is_wanted(const struct mr_actor *self)
{
    return atomic_load(&self->stats.is_wanted);
}

/* Sleeps before the next chunk, in short pieces where that is long: another job may come to want the worker. Whether to stop. */
static bool rest(struct mr_actor *self, int64_t *pause_ms)
{
    bool stop = mr_actor_pause(self, (int)(*pause_ms < LOOK_MS ? *pause_ms : LOOK_MS));

    *pause_ms -= *pause_ms < LOOK_MS ? *pause_ms : LOOK_MS;
    return stop;
}

/* What comes before a chunk. False: the run is no longer in hand; `go_on`: there may be another. */
static bool begin_turn(struct mr_actor *self, struct mr_run *run, const struct trouble *trouble, int64_t *pause_ms, bool *go_on)
{
    do {
        if (rest(self, pause_ms)) {
            mr_run_end(self, run, 1, "queued", NULL, NULL);
            *go_on = false;
            return false;
        }
        if (*pause_ms > 0 && is_wanted(self) && pass(self, run, *pause_ms)) {
            leave_trouble(self, run, trouble);
            mr_job_note_answer(self);
            *go_on = true;
            return false;
        }
    } while (*pause_ms > 0);
    return true;
}

bool mr_run_work(struct mr_actor *self, struct mr_run *run)
{
    struct trouble trouble;
    int64_t pause_ms = 0;
    mr_status failure = MR_OK;
    bool go_on;

    find_trouble(self, run, &trouble);
    for (;;) {
        if (!begin_turn(self, run, &trouble, &pause_ms, &go_on))
            return go_on;
        switch (mr_run_turn(self, run, &pause_ms, &failure)) {
        case MR_TURN_NEXT:
            trouble = (struct trouble){.timeouts = 0};
            mr_job_note_answer(self);
            if ((is_wanted(self) || is_turn_over(self, run)) && pass(self, run, 0))
                return true;
            break;
        case MR_TURN_DONE: mr_run_end(self, run, 1, "succeeded", NULL, NULL); return true;
        case MR_TURN_CANCELLED: mr_run_end(self, run, 1, "cancelled", NULL, NULL); return true;
        case MR_TURN_LOST:
            note_outcome(self, run, MR_SLICE(""),
                         "it sent no heartbeat for too long and another process has it now, or it was deleted with its user");
            return true;
        case MR_TURN_FAILED:
            if (!recover(self, run, failure, &trouble, &pause_ms))
                return true;
            if (!mr_job_come_back(self))
                return false;
        }
    }
}
