/*
 * outgrown: tables with many more rows than their statistics say.
 *
 * A table that was analyzed while it was nearly empty, but kept its pages, is taken for nearly empty until it is analyzed again: the
 * planner multiplies the rows of a page, then, by the pages, now. It looks ids up in an index that does not begin with them, because
 * all ways look the same, and making plans anew makes the same plans. A queue that was drained is such a table at the next burst.
 * Autovacuum comes a minute later at the earliest. New statistics also end the plans that clients keep, in sessions of their own.
 */
#include "scheduler/internal.h"

enum { LOOK_MS = 2000, WAIT_MS = 10000, LEAST_ROWS = 1000 };

void outgrown_look(struct mr_scheduler *self)
{
    char sql[1024];
    struct mr_slice text;
    mr_rows *rows = NULL;

    self->outgrown_ms = scheduler_now_ms(self) + LOOK_MS;
    if (scheduler_pause_ms(self, STEP_OUTGROWN) > 0)
        return;
    mr_params_begin(&self->params, 1);
    mr_params_int(&self->params, 0, LEAST_ROWS);
    if (scheduler_query(self, STEP_OUTGROWN, "schedule__outgrown", &rows) != MR_OK)
        return;
    for (unsigned row = 0; row < mr_rows_count(rows); row++) {
        if (!mr_rows_get(rows, row, 0, &text) || text.len >= sizeof sql)
            continue;
        memcpy(sql, text.data, text.len);
        sql[text.len] = '\0';
        if (mr_db_exec(self->db, sql, scheduler_now_ms(self) + WAIT_MS, NULL) != MR_OK)
            break; /* the next look may begin with another */
    }
    mr_rows_free(&rows);
}
