/*
 * holds: which schedulers stand behind the schedules in the table of jobs. Those that have the same stand there together; one
 * whose schedules differ waits until the others are gone, and then ends, so that two that were set up differently are told,
 * instead of overwriting each other's.
 */
#include <stdio.h>
#include <unistd.h>

#include "runtime/log.h"
#include "runtime/shutdown.h"
#include "scheduler/internal.h"

/* Where a row of schedule__sync, or of schedule__hold, begins to speak of another scheduler. */
enum { SYNC_SCHEDULE = 4, HOLD_SCHEDULE = 1 };

void holds_begin(struct mr_scheduler *self)
{
    char host[64] = "";

    gethostname(host, sizeof host - 1);
    snprintf(self->holder, sizeof self->holder, "%s:%d:%lld", host, (int)getpid(), (long long)mr_wall_ms(self->clock));
}

static const char *schedule_of(const struct mr_scheduler *self, enum mr_job job)
{
    const char *cron = ticks_expression(self->config, job);

    return *cron != '\0' ? cron : NULL;
}

void holds_bind(struct mr_scheduler *self, enum mr_job job, unsigned first_column)
{
    const char *schedule = schedule_of(self, job);

    mr_params_text(&self->params, first_column, schedule);
    mr_params_text(&self->params, first_column + 1, schedule != NULL ? ticks_zone(self->config, job) : NULL);
}

static const char *ours(const struct mr_scheduler *self, struct mr_slice name)
{
    const char *schedule = NULL;

    for (unsigned job = 0; job < mr_job_count(); job++)
        if (mr_slice_is(name, mr_job_info((enum mr_job)job)->name))
            schedule = schedule_of(self, (enum mr_job)job);
    return schedule != NULL ? schedule : "";
}

/* One line for each job, with both schedules, and who has the other one. */
static void tell(const struct mr_scheduler *self, enum mr_log_level level, const char *message, const mr_rows *rows,
                 unsigned column)
{
    for (unsigned row = 0; row < mr_rows_count(rows); row++) {
        struct mr_slice name = {"", 0};
        struct mr_slice other[4] = {{"", 0}, {"", 0}, {"", 0}, {"", 0}};

        mr_rows_get(rows, row, 0, &name);
        for (unsigned i = 0; i < 4; i++)
            mr_rows_get(rows, row, column + i, &other[i]);
        mr_log(level, message, mr_log_slice("job", name), mr_log_text("schedule", ours(self, name)),
               mr_log_text("timezone", self->config->schedule_timezone), mr_log_slice("otherSchedule", other[0]),
               mr_log_slice("otherTimezone", other[1]), mr_log_slice("heldBy", other[2]), mr_log_slice("heldUntil", other[3]));
    }
}

static void end(struct mr_scheduler *self)
{
    if (!atomic_exchange(&self->refused, true))
        mr_shutdown_request();
}

static void wait_for_others(struct mr_scheduler *self, const mr_rows *rows)
{
    int64_t now = scheduler_now_ms(self);

    if (!self->waits) {
        self->waits = true;
        self->waits_since_ms = now;
        tell(self, MR_LOG_WARN, "another scheduler has a different schedule: waiting for it to stop", rows, SYNC_SCHEDULE);
    }
    self->hold_ms = now + MR_HOLD_LOOK_MS;
    if (now - self->waits_since_ms < MR_HOLD_PATIENCE_MS || atomic_load(&self->refused))
        return;
    tell(self, MR_LOG_ERROR, "another scheduler has a different schedule: give both the same, or run one", rows, SYNC_SCHEDULE);
    end(self);
}

bool holds_are_refused(struct mr_scheduler *self, const mr_rows *rows)
{
    struct mr_slice holder;
    bool is_refused = mr_rows_count(rows) > 0 && mr_rows_get(rows, 0, SYNC_SCHEDULE + 2, &holder);

    if (is_refused) {
        wait_for_others(self, rows);
    } else {
        self->waits = false;
        self->hold_ms = scheduler_now_ms(self) + MR_HOLD_KEEP_MS;
    }
    return is_refused;
}

void holds_keep(struct mr_scheduler *self)
{
    mr_rows *rows = NULL;

    if (self->looking || scheduler_now_ms(self) < self->hold_ms || scheduler_pause_ms(self, STEP_HOLD) > 0)
        return;
    mr_params_begin(&self->params, 4);
    for (unsigned job = 0; job < mr_job_count(); job++)
        if (self->options->is_on[job]) {
            mr_params_text(&self->params, 0, mr_job_info((enum mr_job)job)->name);
            holds_bind(self, (enum mr_job)job, 1);
            mr_params_text(&self->params, 3, self->holder);
        }
    if (scheduler_query(self, STEP_HOLD, "schedule__hold", &rows) != MR_OK)
        return;
    self->hold_ms = scheduler_now_ms(self) + MR_HOLD_KEEP_MS;
    if (mr_rows_count(rows) > 0 && !atomic_load(&self->refused)) {
        self->synced = false; /* no more ticks of ours */
        tell(self, MR_LOG_ERROR, "another scheduler has replaced the schedule", rows, HOLD_SCHEDULE);
        end(self);
    }
    mr_rows_free(&rows);
}

mr_status holds_let_go(struct mr_scheduler *self, int64_t timeout_ms, int64_t *others_ms)
{
    mr_rows *rows = NULL;
    mr_status status;

    mr_params_begin(&self->params, 1);
    mr_params_text(&self->params, 0, self->holder);
    status = mr_params_end(&self->params);
    if (status == MR_OK)
        status = mr_db_run(self->db, "schedule__let_go", &self->params, scheduler_now_ms(self) + timeout_ms, &rows);
    if (status != MR_OK)
        return status;
    *others_ms = mr_rows_int(rows, 0, 0, 0);
    mr_rows_free(&rows);
    return MR_OK;
}
