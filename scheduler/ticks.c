/*
 * ticks: from schedules to runs.
 */
#include <sodium.h>

#include "proto/uuid.h"
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "scheduler/internal.h"

enum { BACKWARDS_MS = 500 };

static void make_id(struct mr_scheduler *self, int64_t wall_ms)
{
    uint8_t random[10];
    struct mr_value id = {.present = true};

    randombytes_buf(random, sizeof random);
    mr_uuid_v7(id.uuid, wall_ms, random);
    mr_params_add(&self->params, 0, MR_UUID, &id);
}

static void add_tick(struct mr_scheduler *self, const struct mr_schedule *schedule, const int64_t *tick_ms, int64_t seen_to_ms,
                     int64_t next_ms)
{
    make_id(self, mr_wall_ms(self->clock));
    mr_params_text(&self->params, 1, mr_job_info(schedule->job)->name);
    mr_params_text(&self->params, 2, schedule->text);
    if (tick_ms != NULL)
        mr_params_time(&self->params, 3, *tick_ms * 1000);
    else
        mr_params_null(&self->params, 3, MR_TIME);
    mr_params_time(&self->params, 4, seen_to_ms * 1000);
    if (next_ms != INT64_MAX)
        mr_params_time(&self->params, 5, next_ms * 1000);
    else
        mr_params_null(&self->params, 5, MR_TIME);
}

static void note_ticks(const struct mr_schedule *schedule, const struct mr_ticks *ticks, unsigned made)
{
    const char *job = mr_job_info(schedule->job)->name;

    mr_metric_add(MR_METRIC_ticks, made);
    mr_metric_add(MR_METRIC_ticks_late, made > 0 ? ticks->late : 0);
    mr_metric_add(MR_METRIC_ticks_missed, ticks->missed);
    if (ticks->missed > 0)
        mr_log(MR_LOG_WARN, "ticks missed", mr_log_text("job", job), mr_log_int("ticks", ticks->missed));
    mr_log(MR_LOG_DEBUG, "tick", mr_log_text("job", job), mr_log_int("runs", made));
}

static unsigned count_made(const mr_rows *rows)
{
    unsigned made = 0;

    for (unsigned row = 0; row < mr_rows_count(rows); row++)
        made += mr_rows_int(rows, row, 1, 0) != 0;
    return made;
}

/* A schedule moves when its runs are in the table: what fails here is due in the next round, too. */
static bool fire(struct mr_scheduler *self, struct mr_schedule *schedule, const struct mr_ticks *ticks)
{
    struct mr_schedule moved = *schedule;
    mr_rows *rows = NULL;
    unsigned made;

    mr_schedule_move(&moved, self->zone, ticks->seen_to_ms);
    mr_params_begin(&self->params, 6);
    for (unsigned i = 0; i < ticks->count; i++)
        add_tick(self, schedule, &ticks->tick_ms[i], ticks->seen_to_ms, moved.next_ms);
    if (ticks->count == 0)
        add_tick(self, schedule, NULL, ticks->seen_to_ms, moved.next_ms);
    if (scheduler_query(self, "schedule__tick", &rows) != MR_OK)
        return false;
    made = count_made(rows);
    mr_rows_free(&rows);
    note_ticks(schedule, ticks, made);
    *schedule = moved;
    if (made > 0)
        runs_prompt(self, schedule->job);
    return true;
}

/* A process that was frozen, or away, asks first what others have seen to: only what is left then was missed. */
static bool catch_up(struct mr_scheduler *self, int64_t wall_ms)
{
    return ticks_next_ms(self) >= wall_ms - MR_TICK_LATE_MS || ticks_sync(self) == MR_OK;
}

void ticks_fire(struct mr_scheduler *self)
{
    int64_t wall_ms = mr_wall_ms(self->clock);
    struct mr_ticks ticks;

    if (!catch_up(self, wall_ms))
        return;
    for (unsigned i = 0; i < self->schedule_count; i++) {
        struct mr_schedule *schedule = &self->schedules[i];

        if (wall_ms < self->wall_ms - BACKWARDS_MS)
            mr_schedule_rewind(schedule, self->zone, wall_ms);
        while (mr_schedule_due(schedule, self->zone, wall_ms, self->missed, &ticks)) {
            self->busy_ms = scheduler_now_ms(self);
            if (!fire(self, schedule, &ticks))
                return;
        }
    }
    self->wall_ms = wall_ms;
}

int64_t ticks_next_ms(const struct mr_scheduler *self)
{
    int64_t next = INT64_MAX;

    for (unsigned i = 0; i < self->schedule_count; i++)
        if (self->schedules[i].next_ms < next)
            next = self->schedules[i].next_ms;
    return next;
}

/* What the table says of the next tick is for people to see. */
static mr_status tell_next(struct mr_scheduler *self)
{
    mr_rows *rows = NULL;
    mr_status status;

    if (self->schedule_count == 0)
        return MR_OK;
    mr_params_begin(&self->params, 6);
    for (unsigned i = 0; i < self->schedule_count; i++)
        add_tick(self, &self->schedules[i], NULL, self->schedules[i].seen_to_ms, self->schedules[i].next_ms);
    status = scheduler_query(self, "schedule__tick", &rows);
    if (status == MR_OK)
        mr_rows_free(&rows);
    return status;
}

mr_status ticks_sync(struct mr_scheduler *self)
{
    int64_t wall_ms = mr_wall_ms(self->clock);
    mr_rows *rows = NULL;
    mr_status status;

    mr_params_begin(&self->params, 6);
    for (int job = 0; job < MR_JOB_COUNT; job++) {
        const struct mr_job_info *info = mr_job_info((enum mr_job)job);
        const char *cron = info->cron != NULL ? mr_config_text(self->config, info->cron) : "";

        if (!self->is_on[job])
            continue;
        mr_params_text(&self->params, 0, info->name);
        mr_params_bool(&self->params, 1, info->alone);
        mr_params_bool(&self->params, 2, info->starter == MR_STARTED_BY_ADMIN);
        mr_params_text(&self->params, 3, *cron != '\0' ? cron : NULL);
        mr_params_text(&self->params, 4, *cron != '\0' ? self->config->schedule_timezone : NULL);
        mr_params_time(&self->params, 5, wall_ms * 1000);
    }
    status = scheduler_query(self, "schedule__sync", &rows);
    if (status != MR_OK)
        return status;
    for (unsigned row = 0; row < mr_rows_count(rows); row++) {
        struct mr_slice name = {"", 0};
        int64_t seen_to_ms;

        mr_rows_get(rows, row, 0, &name);
        seen_to_ms = (mr_rows_int(rows, row, 1, 0) + MR_POSTGRES_EPOCH_MICROS) / 1000;
        if (seen_to_ms > wall_ms)
            seen_to_ms = wall_ms; /* by somebody whose clock was ahead */
        for (unsigned i = 0; i < self->schedule_count; i++)
            if (mr_slice_is(name, mr_job_info(self->schedules[i].job)->name))
                mr_schedule_move(&self->schedules[i], self->zone, seen_to_ms);
    }
    mr_rows_free(&rows);
    return tell_next(self);
}
