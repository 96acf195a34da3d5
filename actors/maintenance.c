#include <stdio.h>
#include <string.h>

#include "actors/run.h"
#include "proto/json.h"

#define ENGINE "millrace."

/* A table is a phase: what is hot, because it is written all the time. */
static const char *const tables[] = {
    "task",       ENGINE "app_user", ENGINE "session", ENGINE "refresh_token", ENGINE "idempotency_key",
    "task_count", "task_change",     "task_stat",      ENGINE "job_run",       ENGINE "import_part",
    "report"};

enum { TABLE_COUNT = sizeof tables / sizeof tables[0] };

/* What the result calls it. */
static const char *name_of(const char *table)
{
    const char *dot = strchr(table, '.');

    return dot != NULL ? dot + 1 : table;
}

static bool is_asked_to_stop(void *argument)
{
    return mr_actor_pause(argument, 0);
}

static mr_status exec(struct mr_actor *self, const char *sql)
{
    return mr_db_exec_unless(self->db, sql, is_asked_to_stop, self);
}

/* {"task": {"skipped": "...", figures}}; what VACUUM left out is no failure, and no success either. */
static void put_figures(struct mr_buf *out, const char *table, struct mr_slice figures, const char *skipped)
{
    mr_buf_printf(out, "{\"%s\":{", name_of(table));
    if (skipped[0] != '\0') {
        mr_buf_text(out, "\"skipped\":");
        mr_json_string(out, mr_slice_of(skipped));
        mr_buf_text(out, figures.len > 2 ? "," : "");
    }
    mr_buf_slice(out, (struct mr_slice){figures.data + 1, figures.len - 1}); /* without its brace */
    mr_buf_char(out, '}');
}

/* The figures of the table as a member of the result. */
static mr_status add_figures(struct mr_actor *self, const char *table, const char *skipped, struct mr_chunk *out)
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
    put_figures(&out->result, table, figures, skipped);
    mr_rows_free(&rows);
    return MR_OK;
}

enum { WARNING_ROOM = 200 };

/*
 * A table that is held by somebody is left for the next time, rather than to stand in a queue that others then stand in. That,
 * or a table that is not the role's own, PostgreSQL skips with no more than a warning: `skipped` gets it; "": nothing was.
 */
static mr_status vacuum(struct mr_actor *self, const char *table, char skipped[WARNING_ROOM])
{
    char sql[128];
    mr_status status;

    snprintf(sql, sizeof sql, "VACUUM (ANALYZE, SKIP_LOCKED) %s", table);
    status = exec(self, sql);
    snprintf(skipped, WARNING_ROOM, "%s", mr_db_warning(self->db));
    return status;
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
    char skipped[WARNING_ROOM];
    const char *table;
    mr_status status;

    if (run->phase >= TABLE_COUNT)
        return MR_OK;
    table = tables[run->phase];
    out->phase = run->phase + 1;
    out->more = out->phase < TABLE_COUNT;
    if (run->skip.now) {
        out->of = "tables";
        mr_buf_text(&out->unit, name_of(table));
        return MR_OK;
    }
    status = vacuum(self, table, skipped);
    if (status == MR_OK)
        status = rebuild_outdated(self, table);
    if (status == MR_OK)
        status = add_figures(self, table, skipped, out);
    out->rows = 1;
    return status;
}

/* VACUUM does not run in a transaction, and a second one does no harm. */
const struct mr_job_code mr_job_maintenance = {.chunk = chunk, .alone = true, .one_unit = true};
