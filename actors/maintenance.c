#include <stdio.h>

#include "actors/run.h"
#include "proto/json.h"

/* A table is a phase: what is hot, because it is written all the time. */
static const char *const tables[] = {"task",        "app_user",  "session", "refresh_token", "idempotency_key", "task_count",
                                     "task_change", "task_stat", "job_run", "import_part",   "report"};

enum { TABLE_COUNT = sizeof tables / sizeof tables[0] };

static bool is_asked_to_stop(void *argument)
{
    return mr_actor_pause(argument, 0);
}

static mr_status exec(struct mr_actor *self, const char *sql)
{
    return mr_db_exec_unless(self->db, sql, is_asked_to_stop, self);
}

/* The figures of the table as a member of the result, {"task": {...}}. */
static mr_status add_figures(struct mr_actor *self, const char *table, struct mr_chunk *out)
{
    struct mr_slice figures = {"{}", 2};
    mr_rows *rows = NULL;
    mr_status status;

    mr_params_begin(&self->params, 1);
    mr_params_text(&self->params, 0, table);
    status = mr_job_query(self, "maintenance__figures", &rows);
    if (status != MR_OK)
        return status;
    mr_rows_get(rows, 0, 0, &figures);
    mr_buf_printf(&out->result, "{\"%s\":", table);
    mr_buf_slice(&out->result, figures);
    mr_buf_char(&out->result, '}');
    mr_rows_free(&rows);
    return MR_OK;
}

/* A table that is held by somebody is left for the next time, rather than to stand in a queue that others then stand in. */
static mr_status vacuum(struct mr_actor *self, const char *table)
{
    char sql[128];

    snprintf(sql, sizeof sql, "VACUUM (ANALYZE, SKIP_LOCKED) %s", table);
    return exec(self, sql);
}

/* Locks nobody out, and takes its time. What a rebuild that was interrupted left behind goes first. */
static mr_status rebuild_words(struct mr_actor *self)
{
    mr_status status = exec(self, "DROP INDEX CONCURRENTLY IF EXISTS task_words_ccnew");

    if (status == MR_OK)
        status = exec(self, "REINDEX INDEX CONCURRENTLY task_words");
    if (status == MR_OK)
        status = exec(self, "COMMENT ON INDEX task_words IS 'words of paths'");
    return status;
}

/* Once in the life of a database that was large when migration 9 came. */
static mr_status rebuild_outdated(struct mr_actor *self, const char *table)
{
    mr_rows *rows = NULL;
    mr_status status;
    bool outdated;

    mr_params_begin(&self->params, 1);
    mr_params_text(&self->params, 0, table);
    status = mr_job_query(self, "maintenance__outdated", &rows);
    if (status != MR_OK)
        return status;
    outdated = mr_rows_count(rows) > 0;
    mr_rows_free(&rows);
    return outdated ? rebuild_words(self) : MR_OK;
}

static mr_status chunk(struct mr_actor *self, const struct mr_run *run, struct mr_chunk *out)
{
    const char *table;
    mr_status status;

    if (run->phase >= TABLE_COUNT)
        return MR_OK;
    table = tables[run->phase];
    status = vacuum(self, table);
    if (status == MR_OK)
        status = rebuild_outdated(self, table);
    if (status == MR_OK)
        status = add_figures(self, table, out);
    out->rows = 1;
    out->phase = run->phase + 1;
    out->more = out->phase < TABLE_COUNT;
    return status;
}

/* VACUUM does not run in a transaction, and a second one does no harm. */
const struct mr_job_code mr_job_maintenance = {.chunk = chunk, .alone = true};
