/*
 * Tables are what the database has: those of the engine and of the application, one a chunk, in the order of their names. The
 * cursor is the table that was the last one.
 */
#include <stdio.h>
#include <string.h>

#include "jobs/run.h"
#include "proto/json.h"

/* A row of maintenance__next; borrowed from its rows. */
struct table {
    struct mr_slice place; /* schema and name, as SQL has them */
    struct mr_slice name;  /* what the result calls it */
    bool more;             /* there is another behind it */
};

static bool is_asked_to_stop(void *argument)
{
    return mr_actor_pause(argument, 0);
}

static mr_status exec(struct mr_actor *self, const char *sql)
{
    return mr_db_exec_unless(self->db, sql, is_asked_to_stop, self);
}

/* {"task": {"skipped": "...", figures}}; what VACUUM left out is no failure, and no success either. */
static void put_figures(struct mr_buf *out, const struct table *table, struct mr_slice figures, const char *skipped)
{
    mr_buf_char(out, '{');
    mr_json_string(out, table->name);
    mr_buf_text(out, ":{");
    if (skipped[0] != '\0') {
        mr_buf_text(out, "\"skipped\":");
        mr_json_string(out, mr_slice_of(skipped));
        mr_buf_text(out, figures.len > 2 ? "," : "");
    }
    mr_buf_slice(out, (struct mr_slice){figures.data + 1, figures.len - 1}); /* without its brace */
    mr_buf_char(out, '}');
}

/* The figures of the table as a member of the result. */
static mr_status add_figures(struct mr_actor *self, const struct table *table, const char *skipped, struct mr_chunk *out)
{
    struct mr_slice figures = {"{}", 2};
    mr_rows *rows = NULL;
    mr_status status;

    mr_params_begin(&self->params, 1);
    mr_params_text(&self->params, 0, table->place.data); /* libpq terminates its values */
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
static mr_status vacuum(struct mr_actor *self, const struct table *table, char skipped[WARNING_ROOM])
{
    char sql[320]; /* two names of at most 63 bytes, each of which quoting may double */
    mr_status status;

    snprintf(sql, sizeof sql, "VACUUM (ANALYZE, SKIP_LOCKED) %.*s", (int)table->place.len, table->place.data);
    status = exec(self, sql);
    snprintf(skipped, WARNING_ROOM, "%s", mr_db_warning(self->db));
    return status;
}

/* The statements of the row, one by one: none of them runs in a transaction. */
static mr_status rebuild(struct mr_actor *self, const mr_rows *rows, unsigned row)
{
    enum { STATEMENTS = 3 };
    mr_status status = MR_OK;

    for (unsigned column = 0; column < STATEMENTS && status == MR_OK; column++) {
        struct mr_slice sql = {"", 0};

        mr_rows_get(rows, row, column, &sql);
        status = exec(self, sql.data); /* libpq terminates its values */
    }
    return status;
}

/* Indexes that a migration has left to this job, since the table was large. */
static mr_status rebuild_outdated(struct mr_actor *self, const struct table *table)
{
    mr_rows *rows = NULL;
    mr_status status;

    mr_params_begin(&self->params, 1);
    mr_params_text(&self->params, 0, table->place.data); /* libpq terminates its values */
    status = mr_job_query(self, "maintenance__outdated", &rows);
    for (unsigned row = 0; status == MR_OK && row < mr_rows_count(rows); row++)
        status = rebuild(self, rows, row);
    mr_rows_free(&rows);
    return status;
}

/* The table behind the cursor, which has no place when there is none. */
static mr_status find_next(struct mr_actor *self, const struct mr_run *run, struct table *out, mr_rows **rows)
{
    mr_status status;

    *out = (struct table){.more = false};
    mr_params_begin(&self->params, 1);
    mr_params_text(&self->params, 0, run->cursor.data);
    status = mr_job_query(self, "maintenance__next", rows);
    if (status != MR_OK || mr_rows_count(*rows) == 0)
        return status;
    mr_rows_get(*rows, 0, 0, &out->place);
    mr_rows_get(*rows, 0, 1, &out->name);
    out->more = mr_rows_int(*rows, 0, 2, 0) != 0;
    return MR_OK;
}

static mr_status work_on(struct mr_actor *self, const struct table *table, struct mr_chunk *out)
{
    char skipped[WARNING_ROOM];
    mr_status status = vacuum(self, table, skipped);

    if (status == MR_OK)
        status = rebuild_outdated(self, table);
    if (status == MR_OK)
        status = add_figures(self, table, skipped, out);
    out->rows = 1;
    return status;
}

static mr_status chunk(struct mr_actor *self, const struct mr_run *run, struct mr_chunk *out)
{
    struct table table;
    mr_rows *rows = NULL;
    mr_status status = find_next(self, run, &table, &rows);

    if (status == MR_OK && table.place.len > 0) {
        mr_buf_slice(&out->cursor, table.place);
        out->more = table.more;
        if (run->skip.now) {
            out->of = "tables";
            mr_buf_slice(&out->unit, table.name);
        } else {
            status = work_on(self, &table, out);
        }
    }
    mr_rows_free(&rows);
    return status;
}

/* VACUUM does not run in a transaction, and a second one does no harm. */
const struct mr_job_code mr_job_maintenance = {.chunk = chunk, .outside_transaction = true, .one_unit = true};
