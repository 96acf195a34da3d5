/*
 * ticks: from schedules to runs.
 */
#include <sodium.h>

#include "proto/uuid.h"
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "scheduler/internal.h"

enum { BACKWARDS_MS = 500, RESUMED_MS = 1000 };

/* Daily, at a time when most are asleep, and not at a full hour, when others begin. */
#define HOUSEKEEPING_TICK "23 3 * * *"

const char *ticks_expression(const struct mr_config *config, enum mr_job job)
{
    const char *setting = mr_job_info(job)->cron;

    if (mr_job_info(job)->schedule != NULL)
        return mr_job_info(job)->schedule;
    if (job == MR_JOB_housekeeping)
        return config->housekeeping ? HOUSEKEEPING_TICK : "";
    return setting != NULL ? mr_config_text(config, setting) : "";
}

const char *ticks_zone(const struct mr_config *config, enum mr_job job)
{
    const char *own = mr_job_info(job)->timezone;

    return own != NULL ? own : config->schedule_timezone;
}

static void make_id(struct mr_scheduler *self, int64_t wall_ms)
{
    uint8_t random[10];
    struct mr_value id = {.present = true};

    randombytes_buf(random, sizeof random);
    mr_uuid_next(id.uuid, wall_ms, random);
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

void ticks_note(const char *job, const struct mr_ticks *ticks, unsigned made)
{
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
static void fire(struct mr_scheduler *self, struct mr_schedule *schedule, const struct mr_ticks *ticks)
{
    struct mr_schedule moved = *schedule;
    mr_rows *rows = NULL;
    unsigned made;

    mr_schedule_move(&moved, moved.zone, ticks->seen_to_ms);
    mr_params_begin(&self->params, 6);
    for (unsigned i = 0; i < ticks->count; i++)
        add_tick(self, schedule, &ticks->tick_ms[i], ticks->seen_to_ms, moved.next_ms);
    if (ticks->count == 0)
        add_tick(self, schedule, NULL, ticks->seen_to_ms, moved.next_ms);
    if (scheduler_query(self, STEP_TICK + schedule->job, "schedule__tick", &rows) != MR_OK)
        return;
    made = count_made(rows);
    moved.is_paused = mr_rows_count(rows) > 0 && mr_rows_int(rows, 0, 2, 0) != 0;
    mr_rows_free(&rows);
    if (!moved.is_paused)
        ticks_note(mr_job_info(schedule->job)->name, ticks, made);
    *schedule = moved;
    if (made > 0)
        runs_want(self, schedule->job);
}

/*
 * A tick of a job that was paused at the one before. Nothing is made of it and the table's mark stays, whatever the job is by now: the
 * mark is behind what this process has passed, and to move it would lose the ticks in between. If the job was resumed, they are due again
 * from the mark.
 */
static void pass_paused(struct mr_scheduler *self, struct mr_schedule *schedule, const struct mr_ticks *ticks)
{
    struct mr_schedule moved = *schedule;
    mr_rows *rows = NULL;
    bool is_resumed;

    mr_schedule_move(&moved, moved.zone, ticks->seen_to_ms);
    mr_params_begin(&self->params, 6);
    add_tick(self, schedule, NULL, 0, moved.next_ms);
    if (scheduler_query(self, STEP_TICK + schedule->job, "schedule__tick", &rows) != MR_OK)
        return;
    is_resumed = mr_rows_count(rows) > 0 && mr_rows_int(rows, 0, 2, 0) == 0;
    mr_rows_free(&rows);
    *schedule = moved;
    if (is_resumed)
        (void)!ticks_sync(self); /* else the next look finds it */
}

/*
 * A process that was frozen, or away, asks first what others have handled: only the rest was missed. Once is enough for
 * all portions of that.
 */
static bool catch_up(struct mr_scheduler *self, int64_t wall_ms)
{
    if (ticks_next_ms(self) >= wall_ms - MR_TICK_LATE_MS)
        self->catching_up = false;
    else if (!self->catching_up)
        self->catching_up = scheduler_pause_ms(self, STEP_SYNC) == 0 && ticks_sync(self) == MR_OK;
    else
        return true;
    return ticks_next_ms(self) >= wall_ms - MR_TICK_LATE_MS || self->catching_up;
}

static void follow_the_clock(struct mr_scheduler *self, int64_t wall_ms)
{
    for (unsigned i = 0; i < self->schedule_count && wall_ms < self->wall_ms - BACKWARDS_MS; i++)
        mr_schedule_rewind(&self->schedules[i], self->schedules[i].zone, wall_ms);
    if (wall_ms < self->wall_ms - BACKWARDS_MS)
        follow_the_clock_back(self, wall_ms);
    self->wall_ms = wall_ms;
}

/*
 * A job that was paused when a tick came goes on within a second of its resumption: from the table's mark, so that what came meanwhile
 * was missed.
 */
static void look_for_resumed(struct mr_scheduler *self, int64_t wall_ms)
{
    bool is_resumed = false;

    for (unsigned i = 0; i < self->schedule_count; i++) {
        struct mr_schedule *schedule = &self->schedules[i];
        mr_rows *rows = NULL;

        if (!schedule->is_paused || wall_ms < self->looked_for_resumed_ms + RESUMED_MS)
            continue;
        mr_params_begin(&self->params, 1);
        mr_params_text(&self->params, 0, mr_job_info(schedule->job)->name);
        if (scheduler_query(self, STEP_TICK + schedule->job, "schedule__paused", &rows) != MR_OK)
            return;
        is_resumed = is_resumed || mr_rows_count(rows) == 0 || mr_rows_int(rows, 0, 0, 0) == 0;
        mr_rows_free(&rows);
    }
    if (wall_ms >= self->looked_for_resumed_ms + RESUMED_MS || wall_ms < self->looked_for_resumed_ms)
        self->looked_for_resumed_ms = wall_ms;
    if (is_resumed)
        (void)!ticks_sync(self);
}

/* One statement for each schedule that is due: what is left of many ticks comes with the next round of the loop. */
void ticks_fire(struct mr_scheduler *self)
{
    int64_t wall_ms = mr_wall_ms(self->clock);
    struct mr_ticks ticks;

    if (!catch_up(self, wall_ms))
        return;
    follow_the_clock(self, wall_ms);
    look_for_resumed(self, wall_ms);
    for (unsigned i = 0; i < self->schedule_count; i++) {
        struct mr_schedule *schedule = &self->schedules[i];

        if (scheduler_pause_ms(self, STEP_TICK + schedule->job) == 0 &&
            mr_schedule_due(schedule, schedule->zone, wall_ms, schedule->missed, &ticks)) {
            self->busy_ms = scheduler_now_ms(self);
            (schedule->is_paused ? pass_paused : fire)(self, schedule, &ticks);
        }
    }
    follow_fire(self, wall_ms);
}

/* Until the schedule's next tick, or until one that failed is tried again. */
static int64_t idle_ms_of(const struct mr_scheduler *self, const struct mr_schedule *schedule, int64_t wall_ms)
{
    int64_t pause_ms = scheduler_pause_ms(self, STEP_TICK + schedule->job);
    int64_t sync_ms = scheduler_pause_ms(self, STEP_SYNC);
    int64_t due_ms = schedule->next_ms > wall_ms ? schedule->next_ms - wall_ms : 0;

    if (due_ms == 0 && sync_ms > pause_ms)
        pause_ms = sync_ms;
    return due_ms > pause_ms ? due_ms : pause_ms;
}

int64_t ticks_idle_ms(const struct mr_scheduler *self)
{
    int64_t wall_ms = mr_wall_ms(self->clock);
    int64_t followed_ms = follow_next_ms(self);
    int64_t least = INT64_MAX;

    for (unsigned i = 0; i < self->schedule_count; i++) {
        int64_t idle_ms = idle_ms_of(self, &self->schedules[i], wall_ms);

        if (self->schedules[i].is_paused && idle_ms > RESUMED_MS)
            idle_ms = RESUMED_MS;
        if (self->schedules[i].next_ms != INT64_MAX && idle_ms < least)
            least = idle_ms;
    }
    if (followed_ms != INT64_MAX && followed_ms - wall_ms < least)
        least = followed_ms > wall_ms ? followed_ms - wall_ms : 0;
    return least;
}

int64_t ticks_next_ms(const struct mr_scheduler *self)
{
    int64_t next = follow_next_ms(self);

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
    status = scheduler_query(self, STEP_SYNC, "schedule__tick", &rows);
    if (status == MR_OK)
        mr_rows_free(&rows);
    return status;
}

/* What the table of jobs is to know: one element for each job that is on; returns how many. */
static unsigned bind_jobs(struct mr_scheduler *self, int64_t wall_ms)
{
    unsigned count = 0;

    mr_params_begin(&self->params, 7);
    for (unsigned job = 0; job < mr_job_count(); job++) {
        const struct mr_job_info *info = mr_job_info((enum mr_job)job);

        if (!self->options->is_on[job])
            continue;
        mr_params_text(&self->params, 0, info->name);
        mr_params_bool(&self->params, 1, info->exclusive);
        mr_params_bool(&self->params, 2, info->starter == MR_STARTED_BY_ADMIN);
        holds_bind(self, (enum mr_job)job, 3);
        mr_params_time(&self->params, 5, wall_ms * 1000);
        mr_params_text(&self->params, 6, self->holder);
        count++;
    }
    return count;
}

static int64_t time_ms(const mr_rows *rows, unsigned row, unsigned column)
{
    return (mr_rows_int(rows, row, column, 0) + MR_POSTGRES_EPOCH_MICROS) / 1000;
}

/* Ticks follow our clock, runs and rescues the database's. */
static void compare_clocks(struct mr_scheduler *self, const mr_rows *rows, int64_t wall_ms)
{
    int64_t ahead_ms = mr_rows_count(rows) > 0 ? wall_ms - time_ms(rows, 0, 3) : 0;
    bool differs = ahead_ms > MR_TICK_LATE_MS || ahead_ms < -MR_TICK_LATE_MS;

    if (differs && !self->clock_differs)
        mr_log(MR_LOG_WARN, "the clock differs from the database's", mr_log_int("aheadMs", ahead_ms));
    self->clock_differs = differs;
}

static void take_mark(struct mr_scheduler *self, const mr_rows *rows, unsigned row, int64_t wall_ms)
{
    struct mr_slice name = {"", 0};
    int64_t seen_to_ms = time_ms(rows, row, 1);

    mr_rows_get(rows, row, 0, &name);
    if (mr_rows_int(rows, row, 2, 0) != 0)
        mr_log(MR_LOG_WARN, "ticks were handled ahead of time, by a process whose clock was fast", mr_log_slice("job", name));
    if (seen_to_ms > wall_ms)
        seen_to_ms = wall_ms;
    for (unsigned i = 0; i < self->schedule_count; i++)
        if (mr_slice_is(name, mr_job_info(self->schedules[i].job)->name)) {
            mr_schedule_move(&self->schedules[i], self->schedules[i].zone, seen_to_ms);
            self->schedules[i].is_paused = false; /* as far as is known here; its next tick says */
        }
}

mr_status ticks_sync(struct mr_scheduler *self)
{
    int64_t wall_ms = mr_wall_ms(self->clock);
    unsigned wanted = bind_jobs(self, wall_ms);
    mr_rows *rows = NULL;
    mr_status status = scheduler_ask(self, STEP_SYNC, "schedule__sync", &rows);

    if (status != MR_OK)
        return status;
    if (holds_are_refused(self, rows)) {
        scheduler_succeeded(self, STEP_SYNC, "schedule__sync"); /* who is in the way is told, and waited for, apart */
        self->synced = false;
        mr_rows_free(&rows);
        return MR_OVERLOADED;
    }
    if (mr_rows_count(rows) < wanted)
        status = scheduler_held(self, STEP_SYNC, "schedule__sync",
                                "another session holds a lock on a row of the table of schedules");
    else
        scheduler_succeeded(self, STEP_SYNC, "schedule__sync");
    for (unsigned row = 0; row < mr_rows_count(rows); row++)
        take_mark(self, rows, row, wall_ms);
    compare_clocks(self, rows, wall_ms);
    mr_rows_free(&rows);
    return status == MR_OK ? tell_next(self) : status;
}
