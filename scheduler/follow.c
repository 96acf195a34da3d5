/*
 * follow: kinds whose work is push or pull, whose schedules are rows that change while the process runs: declared by a folder, or made
 * and changed by administrators. Nobody holds them: the rows say when, and (job, scheduled_for) is there once however many look.
 */
#include <stdio.h>
#include <stdlib.h>

#include "runtime/log.h"
#include "scheduler/internal.h"
#include "scheduler/zone.h"

/* Columns of schedule__kinds. */
enum { NAME, SCHEDULE, ZONE, MISSED, TICKED_AT, NEXT_AT, PAUSED };

enum { SWEEP_MS = 1000, SWEEP_LEAST_MS = 50, SWEEP_MOST = 1000 };

static void fini(struct followed *self)
{
    mr_zone_destroy(&self->zone);
    free(self->name);
    free(self->expression);
    free(self->zone_name);
}

void follow_end(struct mr_scheduler *self)
{
    for (unsigned i = 0; i < self->followed_count; i++)
        fini(&self->followed[i]);
    free(self->followed);
    self->followed = NULL;
    self->followed_count = 0;
}

static int64_t time_ms(const mr_rows *rows, unsigned row, unsigned column)
{
    return (mr_rows_int(rows, row, column, 0) + MR_POSTGRES_EPOCH_MICROS) / 1000;
}

static struct mr_slice text_of(const mr_rows *rows, unsigned row, unsigned column)
{
    struct mr_slice text = {"", 0};

    mr_rows_get(rows, row, column, &text);
    return text;
}

static bool is_same(const char *text, struct mr_slice other)
{
    return text != NULL && mr_slice_is(other, text);
}

static bool take_text(char **out, struct mr_slice text)
{
    char *copy = strndup(text.data, text.len);

    if (copy == NULL)
        return false;
    free(*out);
    *out = copy;
    return true;
}

/* ---- One kind ---- */

static struct followed *find(struct mr_scheduler *self, struct mr_slice name)
{
    for (unsigned i = 0; i < self->followed_count; i++)
        if (is_same(self->followed[i].name, name))
            return &self->followed[i];
    return NULL;
}

static struct followed *add(struct mr_scheduler *self, struct mr_slice name)
{
    struct followed *all = realloc(self->followed, (self->followed_count + 1) * sizeof *all);
    struct followed *added;

    if (all == NULL)
        return NULL;
    self->followed = all;
    added = &all[self->followed_count];
    *added = (struct followed){.schedule.next_ms = INT64_MAX};
    if (!take_text(&added->name, name))
        return NULL;
    self->followed_count++;
    return added;
}

/* Whoever writes such a row checks it; but SQL can write anything, and whether a tick ever comes also depends on the scheduler's zone. */
static void read_schedule(struct followed *self, int64_t wall_ms)
{
    struct mr_cron_problem problem = {.reason = ""};
    const char *reason = NULL;
    int64_t ignored;

    mr_zone_destroy(&self->zone);
    if (mr_zone_new(&self->zone, self->zone_name) != MR_OK)
        reason = "no such time zone";
    else if (!mr_cron_parse(&self->schedule.cron, mr_slice_of(self->expression), &problem))
        reason = problem.reason;
    else if (!mr_cron_next(&self->schedule.cron, self->zone, wall_ms, &ignored))
        reason = "no tick of it ever comes in this zone";
    self->is_good = reason == NULL;
    self->schedule.zone = self->zone;
    self->schedule.next_ms = INT64_MAX;
    if (reason != NULL)
        mr_log(MR_LOG_WARN, "schedule cannot be followed", mr_log_text("job", self->name),
               mr_log_text("schedule", self->expression), mr_log_text("timezone", self->zone_name),
               mr_log_text("reason", reason));
}

/* A schedule that is new here continues where its row says that others were. */
static void take_schedule(struct followed *kind, const mr_rows *rows, unsigned row, int64_t wall_ms)
{
    int64_t seen_to_ms = time_ms(rows, row, TICKED_AT);
    struct mr_slice ignored;

    if (!take_text(&kind->expression, text_of(rows, row, SCHEDULE)) || !take_text(&kind->zone_name, text_of(rows, row, ZONE)))
        return;
    read_schedule(kind, wall_ms);
    if (!mr_rows_get(rows, row, TICKED_AT, &ignored) || seen_to_ms > wall_ms)
        seen_to_ms = wall_ms;
    if (kind->is_good)
        mr_schedule_move(&kind->schedule, kind->zone, seen_to_ms);
    kind->is_told = false;
}

static void take_row(struct mr_scheduler *self, const mr_rows *rows, unsigned row, int64_t wall_ms)
{
    struct followed *kind = find(self, text_of(rows, row, NAME));
    char missed[8];

    if (kind == NULL)
        kind = add(self, text_of(rows, row, NAME));
    if (kind == NULL)
        return; /* no memory: the next look has it */
    if (!is_same(kind->expression, text_of(rows, row, SCHEDULE)) || !is_same(kind->zone_name, text_of(rows, row, ZONE)))
        take_schedule(kind, rows, row, wall_ms);
    else if (kind->is_good && time_ms(rows, row, TICKED_AT) > kind->schedule.seen_to_ms &&
             time_ms(rows, row, TICKED_AT) <= wall_ms)
        mr_schedule_move(&kind->schedule, kind->zone, time_ms(rows, row, TICKED_AT));
    snprintf(missed, sizeof missed, "%.*s", (int)text_of(rows, row, MISSED).len, text_of(rows, row, MISSED).data);
    kind->schedule.missed = mr_missed_of(missed);
    kind->is_paused = mr_rows_int(rows, row, PAUSED, 0) != 0;
    kind->is_there = true;
    if (kind->is_good && kind->schedule.next_ms != INT64_MAX && time_ms(rows, row, NEXT_AT) != kind->schedule.next_ms)
        kind->is_told = false;
}

static void drop_those_gone(struct mr_scheduler *self)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < self->followed_count; i++)
        if (self->followed[i].is_there)
            self->followed[kept++] = self->followed[i];
        else
            fini(&self->followed[i]);
    self->followed_count = kept;
}

/* ---- Ticks ---- */

static void add_tick(struct mr_scheduler *self, const struct followed *kind, const int64_t *tick_ms, int64_t seen_to_ms,
                     int64_t next_ms)
{
    mr_params_text(&self->params, 0, kind->name);
    mr_params_text(&self->params, 1, kind->expression);
    if (tick_ms != NULL)
        mr_params_time(&self->params, 2, *tick_ms * 1000);
    else
        mr_params_null(&self->params, 2, MR_TIME);
    mr_params_time(&self->params, 3, seen_to_ms * 1000);
    if (next_ms != INT64_MAX)
        mr_params_time(&self->params, 4, next_ms * 1000);
    else
        mr_params_null(&self->params, 4, MR_TIME);
}

/* What the table says of the next tick is for people to see. */
static void tell_next(struct mr_scheduler *self)
{
    mr_rows *rows = NULL;
    unsigned count = 0;

    mr_params_begin(&self->params, 5);
    for (unsigned i = 0; i < self->followed_count; i++) {
        const struct followed *kind = &self->followed[i];

        if (!kind->is_good || kind->is_told || kind->is_paused)
            continue;
        add_tick(self, kind, NULL, kind->schedule.seen_to_ms, kind->schedule.next_ms);
        count++;
    }
    if (count == 0 || scheduler_query(self, STEP_KIND_TICKS, "schedule__queue_ticks", &rows) != MR_OK)
        return;
    for (unsigned i = 0; i < self->followed_count; i++)
        self->followed[i].is_told = true;
    mr_rows_free(&rows);
}

static void note_refused(const struct followed *kind, const mr_rows *rows)
{
    for (unsigned row = 0; row < mr_rows_count(rows); row++)
        if (mr_rows_int(rows, row, 2, 0) != 0)
            mr_log_bounded(MR_LOG_WARN, "tick refused", mr_log_text("job", kind->name),
                           mr_log_slice("reason", text_of(rows, row, 3)));
}

/* A schedule moves when its runs are in the table: what fails here is due again. */
static void fire(struct mr_scheduler *self, struct followed *kind, const struct mr_ticks *ticks)
{
    struct mr_schedule moved = kind->schedule;
    mr_rows *rows = NULL;
    unsigned made = 0;

    mr_schedule_move(&moved, kind->zone, ticks->seen_to_ms);
    mr_params_begin(&self->params, 5);
    for (unsigned i = 0; i < ticks->count; i++)
        add_tick(self, kind, &ticks->tick_ms[i], ticks->seen_to_ms, moved.next_ms);
    if (ticks->count == 0)
        add_tick(self, kind, NULL, ticks->seen_to_ms, moved.next_ms);
    if (scheduler_query(self, STEP_KIND_TICKS, "schedule__queue_ticks", &rows) != MR_OK) {
        mr_backoff_fail(&kind->backoff, scheduler_now_ms(self));
        return;
    }
    mr_backoff_succeed(&kind->backoff);
    for (unsigned row = 0; row < mr_rows_count(rows); row++)
        made += mr_rows_int(rows, row, 1, 0) != 0;
    note_refused(kind, rows);
    mr_rows_free(&rows);
    ticks_note(kind->name, ticks, made);
    kind->schedule = moved;
}

static bool may_tick(const struct mr_scheduler *self, const struct followed *kind)
{
    return kind->is_good && !kind->is_paused && mr_backoff_is_over(&kind->backoff, scheduler_now_ms(self));
}

void follow_poll(struct mr_scheduler *self)
{
    int64_t wall_ms = mr_wall_ms(self->clock);
    mr_rows *rows = NULL;

    if (scheduler_pause_ms(self, STEP_KINDS) > 0)
        return;
    mr_params_begin(&self->params, 2);
    mr_params_text(&self->params, 0, self->config->schedule_timezone);
    mr_params_text(&self->params, 1, self->config->schedule_missed);
    if (scheduler_query(self, STEP_KINDS, "schedule__kinds", &rows) != MR_OK)
        return;
    for (unsigned i = 0; i < self->followed_count; i++)
        self->followed[i].is_there = false;
    for (unsigned row = 0; row < mr_rows_count(rows); row++)
        take_row(self, rows, row, wall_ms);
    mr_rows_free(&rows);
    drop_those_gone(self);
    tell_next(self);
}

/* Whether ticks are long overdue; others may have handled them. */
static bool is_behind(const struct mr_scheduler *self, int64_t wall_ms)
{
    for (unsigned i = 0; i < self->followed_count; i++)
        if (may_tick(self, &self->followed[i]) && self->followed[i].schedule.next_ms < wall_ms - MR_TICK_LATE_MS)
            return true;
    return false;
}

void follow_fire(struct mr_scheduler *self, int64_t wall_ms)
{
    struct mr_ticks ticks;

    if (is_behind(self, wall_ms))
        follow_poll(self);
    for (unsigned i = 0; i < self->followed_count; i++) {
        struct followed *kind = &self->followed[i];

        if (may_tick(self, kind) && mr_schedule_due(&kind->schedule, kind->zone, wall_ms, kind->schedule.missed, &ticks)) {
            self->busy_ms = scheduler_now_ms(self);
            fire(self, kind, &ticks);
        }
    }
}

void follow_the_clock_back(struct mr_scheduler *self, int64_t wall_ms)
{
    for (unsigned i = 0; i < self->followed_count; i++)
        if (self->followed[i].is_good)
            mr_schedule_rewind(&self->followed[i].schedule, self->followed[i].zone, wall_ms);
}

int64_t follow_next_ms(const struct mr_scheduler *self)
{
    int64_t next_ms = INT64_MAX;

    for (unsigned i = 0; i < self->followed_count; i++)
        if (may_tick(self, &self->followed[i]) && self->followed[i].schedule.next_ms < next_ms)
            next_ms = self->followed[i].schedule.next_ms;
    return next_ms;
}

/* ---- What time does to runs of push and pull ---- */

void follow_sweep(struct mr_scheduler *self)
{
    int64_t now = scheduler_now_ms(self);
    mr_rows *rows = NULL;
    int64_t next_ms;
    bool did;

    if (now < self->sweep_ms || scheduler_pause_ms(self, STEP_SWEEP) > 0)
        return;
    self->sweep_ms = now + SWEEP_MS;
    mr_params_begin(&self->params, 1);
    mr_params_int(&self->params, 0, SWEEP_MOST);
    if (scheduler_query(self, STEP_SWEEP, "schedule__sweep", &rows) != MR_OK)
        return;
    next_ms = mr_rows_int(rows, 0, 2, -1);
    did = mr_rows_int(rows, 0, 0, 0) > 0 || mr_rows_int(rows, 0, 1, 0) > 0;
    mr_rows_free(&rows);
    if (did)
        self->busy_ms = now;
    else if (next_ms >= 0 && next_ms < SWEEP_LEAST_MS)
        next_ms = SWEEP_LEAST_MS; /* somebody else holds what is due */
    self->waiting_until_ms = next_ms >= 0 ? now + next_ms : INT64_MAX;
    if (self->waiting_until_ms < self->sweep_ms)
        self->sweep_ms = self->waiting_until_ms;
}
