/*
 * query: how the other files of the scheduler ask the database.
 */
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "scheduler/internal.h"

/* The server ends a statement before that by itself. */
enum { WAIT_MS = 10000 };

int64_t scheduler_now_ms(const struct mr_scheduler *self)
{
    return mr_mono_ms(self->clock);
}

int64_t scheduler_pause_ms(const struct mr_scheduler *self, enum step step)
{
    const struct mr_backoff *backoff = &self->troubles[step].backoff;
    int64_t now = scheduler_now_ms(self);

    return mr_backoff_is_over(backoff, now) ? 0 : backoff->until_ms - now;
}

int64_t scheduler_failing_ms(const struct mr_scheduler *self)
{
    int64_t longest = 0;

    for (int step = 0; step < STEP_COUNT; step++) {
        int64_t failing_ms = mr_backoff_failing_ms(&self->troubles[step].backoff, scheduler_now_ms(self));

        if (failing_ms > longest)
            longest = failing_ms;
    }
    return longest;
}

/* A step with a pace of its own may come before its backoff is over: that failure is counted, not told. */
static void note_failure(struct mr_scheduler *self, enum step step, const char *statement, mr_status status,
                         const char *sqlstate, const char *reason, bool is_trouble)
{
    struct trouble *trouble = &self->troubles[step];
    bool is_told = mr_backoff_is_over(&trouble->backoff, scheduler_now_ms(self));

    trouble->failures++;
    if (!is_told)
        return;
    mr_backoff_fail(&trouble->backoff, scheduler_now_ms(self));
    if (!is_trouble)
        return;
    mr_log(MR_LOG_ERROR, "statement failed", mr_log_text("actor", "scheduler"), mr_log_text("statement", statement),
           mr_log_text("status", mr_status_name(status)), mr_log_text("sqlstate", sqlstate), mr_log_text("reason", reason),
           mr_log_int("failures", trouble->failures));
}

mr_status scheduler_held(struct mr_scheduler *self, enum step step, const char *statement, const char *reason)
{
    /* Two that start at once meet for a moment: that is no trouble until it lasts. */
    note_failure(self, step, statement, MR_OVERLOADED, "", reason, self->troubles[step].failures > 0);
    return MR_OVERLOADED;
}

void scheduler_succeeded(struct mr_scheduler *self, enum step step, const char *statement)
{
    struct trouble *trouble = &self->troubles[step];

    if (trouble->failures > 1)
        mr_log(MR_LOG_INFO, "statement succeeds again", mr_log_text("actor", "scheduler"), mr_log_text("statement", statement),
               mr_log_int("failures", trouble->failures));
    *trouble = (struct trouble){.failures = 0};
}

mr_status scheduler_ask(struct mr_scheduler *self, enum step step, const char *statement, mr_rows **out)
{
    const struct mr_db_error *error = mr_db_last_error(self->db);
    mr_status status = mr_params_end(&self->params);
    int64_t begun_us = mr_mono_us(self->clock);

    if (status == MR_OK) {
        status = mr_db_run(self->db, statement, &self->params, scheduler_now_ms(self) + WAIT_MS, out);
        mr_metric_statement(MR_ACTOR_SCHEDULER, mr_mono_us(self->clock) - begun_us);
    }
    if (status == MR_OK)
        self->answered_ms = scheduler_now_ms(self);
    else
        note_failure(self, step, statement, status, error->sqlstate, error->message, true);
    return status;
}

mr_status scheduler_query(struct mr_scheduler *self, enum step step, const char *statement, mr_rows **out)
{
    mr_status status = scheduler_ask(self, step, statement, out);

    if (status == MR_OK)
        scheduler_succeeded(self, step, statement);
    return status;
}
