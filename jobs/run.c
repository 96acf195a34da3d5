#include "jobs/run.h"

#include <stdio.h>

#include "jobs/run_trace.h"
#include "proto/uuid.h"
#include "runtime/answer.h"
#include "runtime/backoff.h"
#include "runtime/log.h"
#include "runtime/metrics.h"

/*
 * A chunk aims at CHUNK_MS, which is about what a reader's own wait is, so that nobody waits long for a lock or a processor
 * that it holds, and is followed by as long a pause. It has ROWS_FEW all the same, so that the fixed cost of a chunk does not
 * dominate; a statement that the server ends is tried again with fewer, down to ROWS_LEAST, and has more again once that takes
 * less than SLOW_MS.
 *
 * Where somebody waits for the job, a chunk aims at PROMPT_CHUNK_MS, and the pause is a part of that: most of what a chunk of 3 ms takes
 * beside its work is the way to the server and back.
 */
enum {
    CHUNK_MS = 3,
    PROMPT_CHUNK_MS = 50,
    PROMPT_PAUSE_PART = 8,
    SLOW_MS = 500,
    ROWS_FIRST = 500,
    ROWS_FEW = 200,
    ROWS_LEAST = 10,
    WAIT_MS = 35000,
    AWAY_PAUSE_MS = 100,
    TURN_MS = 1000,
    LOOK_MS = 100,
    TIMEOUTS_MOST = 10
};

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

static void take_text(struct mr_buf *out, const mr_rows *rows, unsigned row, unsigned column)
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

static void chunk_fini(struct mr_chunk *chunk)
{
    mr_buf_fini(&chunk->cursor);
    mr_buf_fini(&chunk->result);
    mr_buf_fini(&chunk->unit);
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
    take_text(&out->args, rows, row, 5);
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

static mr_status exec(struct mr_actor *self, const char *sql)
{
    return mr_db_exec(self->db, sql, now_ms(self) + WAIT_MS, NULL);
}

bool mr_job_come_back(struct mr_actor *self)
{
    while (mr_db_connect(self->db) != MR_OK) {
        atomic_store(&self->stats.connected, false);
        if (mr_db_is_refused(self->db) || mr_actor_pause(self, AWAY_PAUSE_MS))
            return false;
    }
    atomic_store(&self->stats.connected, true);
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

/* ---- A chunk ---- */

/* What becomes of the run after a chunk. */
enum turn {
    TURN_NEXT,      /* there is another */
    TURN_DONE,      /* that was the last */
    TURN_CANCELLED, /* somebody has asked for that */
    TURN_LOST,      /* the run is not ours any more */
    TURN_FAILED     /* see the error of the connection */
};

static mr_status hold(struct mr_actor *self, struct mr_run *run, enum turn *turn)
{
    mr_rows *rows = NULL;
    mr_status status;

    mr_params_begin(&self->params, 2);
    mr_params_id(&self->params, 0, run->id);
    mr_params_int(&self->params, 1, run->claim);
    status = mr_job_query(self, "run_due__hold", &rows);
    if (status != MR_OK)
        return status;
    if (mr_rows_count(rows) == 0) {
        *turn = TURN_LOST;
    } else if (mr_rows_int(rows, 0, 4, 0) != 0) {
        *turn = TURN_CANCELLED;
    } else {
        run->phase = mr_rows_int(rows, 0, 0, 0);
        run->done = mr_rows_int(rows, 0, 2, 0);
        run->skip.count = mr_rows_int(rows, 0, 5, 0);
        take_text(&run->cursor, rows, 0, 1);
        take_text(&run->result, rows, 0, 3);
        *turn = TURN_NEXT;
    }
    mr_rows_free(&rows);
    return MR_OK;
}

/* Every unit that is left out is told; the bound is the log's. */
static void note_skipped(const struct mr_actor *self, struct mr_run *run, const struct mr_chunk *chunk)
{
    char id[MR_UUID_TEXT + 1] = "";
    char unit[128];

    if (chunk->unit.len == 0)
        return;
    run->skip.count++;
    mr_metric_add(MR_METRIC_units_skipped, 1);
    mr_uuid_format(id, run->id);
    snprintf(unit, sizeof unit, "%.*s", (int)chunk->unit.len, chunk->unit.data);
    mr_log_bounded(MR_LOG_WARN, "job unit skipped", mr_log_text("job", mr_job_info(mr_job_of(self))->name),
                   mr_log_text("runId", id), mr_log_text("of", chunk->of), mr_log_text("unit", unit),
                   mr_log_text("sqlstate", run->skip.error.sqlstate), mr_log_text("reason", run->skip.error.message));
}

static mr_status keep_progress(struct mr_actor *self, struct mr_run *run, struct mr_chunk *chunk, enum turn *turn)
{
    struct mr_buf skipped = {0};
    mr_rows *rows = NULL;
    mr_status status;

    mr_buf_char(&chunk->cursor, '\0');
    mr_buf_char(&chunk->result, '\0');
    if (chunk->unit.len > 0)
        mr_skip_name(&run->skip, &skipped, chunk->of, (struct mr_slice){chunk->unit.data, chunk->unit.len});
    mr_buf_char(&skipped, '\0');
    if (chunk->cursor.failed || chunk->result.failed || chunk->unit.failed || skipped.failed) {
        mr_buf_fini(&skipped);
        return MR_NO_MEMORY;
    }
    mr_params_begin(&self->params, 8);
    mr_params_id(&self->params, 0, run->id);
    mr_params_int(&self->params, 1, run->claim);
    mr_params_int(&self->params, 2, chunk->phase);
    mr_params_text(&self->params, 3, chunk->cursor.data[0] != '\0' ? chunk->cursor.data : NULL);
    mr_params_int(&self->params, 4, chunk->rows);
    mr_params_text(&self->params, 5, chunk->counter);
    mr_params_text(&self->params, 6, chunk->result.data[0] != '\0' ? chunk->result.data : "{}");
    mr_params_text(&self->params, 7, skipped.data[0] != '\0' ? skipped.data : NULL);
    status = mr_job_query(self, "run_due__progress", &rows);
    mr_buf_fini(&skipped);
    if (status != MR_OK)
        return status;
    *turn = mr_rows_count(rows) == 0 ? TURN_LOST : chunk->more ? TURN_NEXT : TURN_DONE;
    run->done += chunk->rows;
    mr_metric_add(MR_METRIC_run_rows, (uint64_t)chunk->rows);
    mr_rows_free(&rows);
    return MR_OK;
}

/* Number `*phase` of them; when there are fewer, `*phase` is what is left to count and the name is NULL. */
static struct mr_job_statement statement_of_application(const struct mr_job_statement *statements, int64_t *phase)
{
    for (; statements != NULL && statements->name != NULL; statements++)
        if ((*phase)-- == 0)
            return *statements;
    return (struct mr_job_statement){.name = NULL};
}

static bool is_of_job(const char *statement, const char *job)
{
    return strncmp(statement, job, strlen(job)) == 0 && strncmp(statement + strlen(job), "__", 2) == 0;
}

/* The engine's, among which stands what an application adds. */
static struct mr_job_statement statement_of_engine(const struct mr_actor *self, const struct mr_job_info *info, int64_t phase)
{
    struct mr_job_statement found = {.name = NULL};

    if (info->added_behind == NULL)
        found = statement_of_application(info->added, &phase);
    for (const struct mr_statement *const *s = self->statements; found.name == NULL && *s != NULL; s++) {
        if (!is_of_job((*s)->name, info->name))
            continue;
        if (phase-- == 0)
            found = (struct mr_job_statement){.name = (*s)->name, .in_chunks = true};
        else if (info->added_behind != NULL && strcmp((*s)->name, info->added_behind) == 0)
            found = statement_of_application(info->added, &phase);
    }
    return found;
}

/* The job's statement number `phase`; its name is NULL behind the last. */
static struct mr_job_statement statement_of(const struct mr_actor *self, int64_t phase)
{
    const struct mr_job_info *info = mr_job_info(mr_job_of(self));

    return info->statements != NULL ? statement_of_application(info->statements, &phase)
                                    : statement_of_engine(self, info, phase);
}

/* "orders" of "cleanup__orders/paid"; of a name without "__" all of it. */
static void counter_of(char out[64], const char *statement)
{
    const char *separator = strstr(statement, "__");
    const char *from = separator != NULL ? separator + 2 : statement;

    snprintf(out, 64, "%.*s", (int)strcspn(from, "/"), from);
}

/* The run's own behind those of its job: of two of one name, jsonb keeps the last. */
static void put_args(struct mr_buf *out, const struct mr_actor *self, const struct mr_run *run)
{
    const char *usual = mr_job_info(mr_job_of(self))->args;

    if (usual == NULL) {
        mr_buf_text(out, run->args.data);
    } else {
        mr_buf_append(out, usual, strlen(usual) - 1);
        mr_buf_text(out, strcmp(run->args.data, "{}") == 0 ? "" : ",");
        mr_buf_text(out, run->args.data + 1);
    }
    mr_buf_char(out, '\0');
}

/* The parameters of a chunk: $1 to $7 of {{chunk}}. */
static mr_status ask_for_chunk(struct mr_actor *self, const struct mr_run *run, const char *statement, mr_rows **out)
{
    struct mr_buf settings = {0};
    struct mr_buf args = {0};
    mr_status status;

    put_args(&args, self, run);
    mr_config_values_json(&settings, self->config);
    mr_buf_char(&settings, '\0');
    mr_params_begin(&self->params, 7);
    mr_params_int(&self->params, 0, run->skip.now ? 1 : run->chunk_rows);
    mr_params_text(&self->params, 1, run->cursor.data[0] != '\0' ? run->cursor.data : NULL);
    if (run->is_tick)
        mr_params_time(&self->params, 2, run->scheduled_for);
    else
        mr_params_null(&self->params, 2, MR_TIME);
    mr_params_text(&self->params, 3, settings.data);
    mr_params_text(&self->params, 4, args.data);
    mr_params_bool(&self->params, 5, run->skip.now);
    mr_params_int(&self->params, 6, run->skip.count);
    status = settings.failed || args.failed ? MR_NO_MEMORY : mr_job_query(self, statement, out);
    mr_buf_fini(&args);
    mr_buf_fini(&settings);
    return status;
}

static mr_status ask_once(struct mr_actor *self, const char *statement, mr_rows **out)
{
    mr_params_begin(&self->params, 0);
    return mr_job_query(self, statement, out);
}

/* Rows of a view are those of other tables, and theirs to delete. */
static mr_status find_table(struct mr_actor *self, const char *table, bool *out)
{
    mr_rows *rows = NULL;
    mr_status status;

    *out = table == NULL;
    if (table == NULL)
        return MR_OK;
    mr_params_begin(&self->params, 1);
    mr_params_text(&self->params, 0, table);
    status = mr_job_query(self, "run_due__table", &rows);
    if (status == MR_OK)
        *out = mr_rows_count(rows) > 0;
    mr_rows_free(&rows);
    return status;
}

static void take_chunk(const struct mr_run *run, const mr_rows *rows, struct mr_chunk *out)
{
    struct mr_slice value;

    out->rows = mr_rows_int(rows, 0, 0, 0);
    out->more = mr_rows_int(rows, 0, 2, 0) != 0;
    if (out->more && mr_rows_get(rows, 0, 1, &value))
        mr_buf_slice(&out->cursor, value);
    if (run->skip.now && mr_rows_get(rows, 0, 3, &value))
        mr_buf_slice(&out->unit, value);
}

static mr_status chunk_by_sql(struct mr_actor *self, const struct mr_run *run, struct mr_chunk *out)
{
    struct mr_job_statement statement = statement_of(self, run->phase);
    static _Thread_local char counter[64];
    mr_rows *rows = NULL;
    mr_status status;
    bool is_there;

    if (statement.name == NULL)
        return MR_OK;
    status = find_table(self, statement.table, &is_there);
    if (status == MR_OK && is_there)
        status = statement.in_chunks ? ask_for_chunk(self, run, statement.name, &rows) : ask_once(self, statement.name, &rows);
    if (status != MR_OK)
        return status;
    counter_of(counter, statement.name);
    out->counter = counter;
    out->of = counter;
    if (is_there && statement.in_chunks)
        take_chunk(run, rows, out);
    else if (is_there)
        out->rows = mr_rows_affected(rows);
    out->phase = out->more ? run->phase : run->phase + 1;
    out->more = out->more || statement_of(self, run->phase + 1).name != NULL;
    mr_rows_free(&rows);
    return MR_OK;
}

static mr_status do_chunk(struct mr_actor *self, struct mr_run *run, struct mr_chunk *out)
{
    const struct mr_job_code *own = mr_job_code_of(mr_job_of(self));
    int64_t began_ms = now_ms(self);
    mr_status status = own != NULL ? own->chunk(self, run, out) : chunk_by_sql(self, run, out);

    run->chunk_ms = now_ms(self) - began_ms;
    return status;
}

/* A crash of the server may take the last chunks along, but then their progress too. */
static const char begin[] = "BEGIN; SET LOCAL synchronous_commit TO off";

/*
 * Hold the run, do the work, move the progress: one transaction. Held rows make whoever would rescue the run pass it by;
 * and when the row says that it is somebody else's, nothing has been done yet.
 */
static mr_status turn_in_transaction(struct mr_actor *self, struct mr_run *run, struct mr_chunk *chunk, enum turn *turn)
{
    mr_status status = exec(self, begin);

    if (status == MR_OK)
        status = hold(self, run, turn);
    if (status == MR_OK && *turn == TURN_NEXT)
        status = do_chunk(self, run, chunk);
    if (status == MR_OK && *turn == TURN_NEXT)
        status = keep_progress(self, run, chunk, turn);
    if (status == MR_OK)
        status = exec(self, *turn == TURN_NEXT || *turn == TURN_DONE ? "COMMIT" : "ROLLBACK");
    return status;
}

static mr_status turn_outside_transaction(struct mr_actor *self, struct mr_run *run, struct mr_chunk *chunk, enum turn *turn)
{
    mr_status status = hold(self, run, turn);

    if (status == MR_OK && *turn == TURN_NEXT)
        status = do_chunk(self, run, chunk);
    if (status == MR_OK && *turn == TURN_NEXT)
        status = keep_progress(self, run, chunk, turn);
    return status;
}

static bool is_prompt(const struct mr_actor *self)
{
    return mr_job_info(mr_job_of(self))->pace == MR_PACE_PROMPT;
}

/* What fewer rows do not shorten, the way to the server and back, does not count. */
static void adapt(const struct mr_actor *self, struct mr_run *run)
{
    int64_t took_ms = run->chunk_ms;
    int64_t aim_ms = is_prompt(self) ? PROMPT_CHUNK_MS : CHUNK_MS;
    bool has_few = run->chunk_rows < ROWS_FEW && took_ms < SLOW_MS;

    if (took_ms > aim_ms && run->chunk_rows > ROWS_FEW)
        run->chunk_rows = run->chunk_rows / 2 > ROWS_FEW ? run->chunk_rows / 2 : ROWS_FEW;
    else if (took_ms < (aim_ms + 1) / 2 || has_few)
        run->chunk_rows *= 2;
    if (run->chunk_rows > self->config->job_chunk_rows)
        run->chunk_rows = self->config->job_chunk_rows;
}

/* How long to rest after a chunk that took so long: nothing of the run is held meanwhile, and a reader's turn is sure. */
static int64_t rest_after(const struct mr_actor *self, const struct mr_run *run, const struct mr_chunk *chunk, int64_t took_ms)
{
    if (chunk->rows < ROWS_LEAST && run->chunk_ms < CHUNK_MS)
        return 0;
    return is_prompt(self) ? took_ms / PROMPT_PAUSE_PART : took_ms;
}

static enum turn turn(struct mr_actor *self, struct mr_run *run, int64_t *pause_ms, mr_status *failure)
{
    const struct mr_job_code *own = mr_job_code_of(mr_job_of(self));
    int64_t began_ms = now_ms(self);
    struct mr_chunk chunk = {0};
    enum turn turn = TURN_FAILED;
    mr_status status = own != NULL && own->outside_transaction ? turn_outside_transaction(self, run, &chunk, &turn)
                                                               : turn_in_transaction(self, run, &chunk, &turn);

    if (status == MR_OK) {
        note_skipped(self, run, &chunk);
        *pause_ms = turn == TURN_NEXT ? rest_after(self, run, &chunk, now_ms(self) - began_ms) : 0;
        if (!mr_skip_passed(&run->skip, chunk.rows, &run->chunk_rows))
            adapt(self, run);
    } else {
        turn = TURN_FAILED;
        *failure = status;
        memcpy(run->error, chunk.error, sizeof run->error);
    }
    chunk_fini(&chunk);
    return turn;
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
    if (run->chunk_rows > ROWS_LEAST)
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
        (void)!exec(self, "ROLLBACK");
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
        switch (turn(self, run, &pause_ms, &failure)) {
        case TURN_NEXT:
            trouble = (struct trouble){.timeouts = 0};
            mr_job_note_answer(self);
            if ((is_wanted(self) || is_turn_over(self, run)) && pass(self, run, 0))
                return true;
            break;
        case TURN_DONE: mr_run_end(self, run, 1, "succeeded", NULL, NULL); return true;
        case TURN_CANCELLED: mr_run_end(self, run, 1, "cancelled", NULL, NULL); return true;
        case TURN_LOST:
            note_outcome(self, run, MR_SLICE(""),
                         "it was silent for too long and is somebody else's now, or it was deleted with its user");
            return true;
        case TURN_FAILED:
            if (!recover(self, run, failure, &trouble, &pause_ms))
                return true;
            if (!mr_job_come_back(self))
                return false;
        }
    }
}
