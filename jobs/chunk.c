#include "jobs/chunk.h"

#include <stdio.h>

#include "proto/uuid.h"
#include "runtime/log.h"
#include "runtime/metrics.h"

/*
 * A chunk aims at CHUNK_MS, which is about what a reader's own wait is, so that nobody waits long for a lock or a processor
 * that it holds, and is followed by as long a pause. It has ROWS_FEW all the same, so that the fixed cost of a chunk does not
 * dominate; a statement that the server ends is tried again with fewer, down to MR_CHUNK_ROWS_LEAST, and has more again once that takes
 * less than SLOW_MS.
 *
 * Where somebody waits for the job, a chunk aims at PROMPT_CHUNK_MS, and the pause is a part of that: most of what a chunk of 3 ms takes
 * beside its work is the way to the server and back.
 */
enum { CHUNK_MS = 3, PROMPT_CHUNK_MS = 50, PROMPT_PAUSE_PART = 8, SLOW_MS = 500, ROWS_FEW = 200 };

static int64_t now_ms(const struct mr_actor *self)
{
    return mr_mono_ms(self->clock);
}

static void chunk_fini(struct mr_chunk *chunk)
{
    mr_buf_fini(&chunk->cursor);
    mr_buf_fini(&chunk->result);
    mr_buf_fini(&chunk->unit);
}

static mr_status hold(struct mr_actor *self, struct mr_run *run, enum mr_turn *turn)
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
        *turn = MR_TURN_LOST;
    } else if (mr_rows_int(rows, 0, 4, 0) != 0) {
        *turn = MR_TURN_CANCELLED;
    } else {
        run->phase = mr_rows_int(rows, 0, 0, 0);
        run->done = mr_rows_int(rows, 0, 2, 0);
        run->skip.count = mr_rows_int(rows, 0, 5, 0);
        mr_job_take_text(&run->cursor, rows, 0, 1);
        mr_job_take_text(&run->result, rows, 0, 3);
        *turn = MR_TURN_NEXT;
    }
    mr_rows_free(&rows);
    return MR_OK;
}

/* Every skipped unit is logged, within the log's bound. */
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

static mr_status keep_progress(struct mr_actor *self, struct mr_run *run, struct mr_chunk *chunk, enum mr_turn *turn)
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
    *turn = mr_rows_count(rows) == 0 ? MR_TURN_LOST : chunk->more ? MR_TURN_NEXT : MR_TURN_DONE;
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

/* The engine's, among which stands what an application adds. */
static struct mr_job_statement statement_of_engine(const struct mr_actor *self, const struct mr_job_info *info, int64_t phase)
{
    struct mr_job_statement found = {.name = NULL};

    if (info->added_behind == NULL)
        found = statement_of_application(info->added, &phase);
    for (const struct mr_statement *const *s = self->statements; found.name == NULL && *s != NULL; s++) {
        if (!mr_job_does(info, (*s)->name))
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
static mr_status turn_in_transaction(struct mr_actor *self, struct mr_run *run, struct mr_chunk *chunk, enum mr_turn *turn)
{
    mr_status status = mr_job_exec(self, begin);

    if (status == MR_OK)
        status = hold(self, run, turn);
    if (status == MR_OK && *turn == MR_TURN_NEXT)
        status = do_chunk(self, run, chunk);
    if (status == MR_OK && *turn == MR_TURN_NEXT)
        status = keep_progress(self, run, chunk, turn);
    if (status == MR_OK)
        status = mr_job_exec(self, *turn == MR_TURN_NEXT || *turn == MR_TURN_DONE ? "COMMIT" : "ROLLBACK");
    return status;
}

static mr_status turn_outside_transaction(struct mr_actor *self, struct mr_run *run, struct mr_chunk *chunk, enum mr_turn *turn)
{
    mr_status status = hold(self, run, turn);

    if (status == MR_OK && *turn == MR_TURN_NEXT)
        status = do_chunk(self, run, chunk);
    if (status == MR_OK && *turn == MR_TURN_NEXT)
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
    if (chunk->rows < MR_CHUNK_ROWS_LEAST && run->chunk_ms < CHUNK_MS)
        return 0;
    return is_prompt(self) ? took_ms / PROMPT_PAUSE_PART : took_ms;
}

enum mr_turn mr_run_turn(struct mr_actor *self, struct mr_run *run, int64_t *pause_ms, mr_status *failure)
{
    const struct mr_job_code *own = mr_job_code_of(mr_job_of(self));
    int64_t began_ms = now_ms(self);
    struct mr_chunk chunk = {0};
    enum mr_turn turn = MR_TURN_FAILED;
    mr_status status = own != NULL && own->outside_transaction ? turn_outside_transaction(self, run, &chunk, &turn)
                                                               : turn_in_transaction(self, run, &chunk, &turn);

    if (status == MR_OK) {
        note_skipped(self, run, &chunk);
        *pause_ms = turn == MR_TURN_NEXT ? rest_after(self, run, &chunk, now_ms(self) - began_ms) : 0;
        if (!mr_skip_passed(&run->skip, chunk.rows, &run->chunk_rows))
            adapt(self, run);
    } else {
        turn = MR_TURN_FAILED;
        *failure = status;
        memcpy(run->error, chunk.error, sizeof run->error);
    }
    chunk_fini(&chunk);
    return turn;
}
