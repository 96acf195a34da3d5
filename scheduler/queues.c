/*
 * queues: what waits of push and pull, and what came of it, for the metrics.
 *
 * Counts come from the tables, outcomes from the tallies that settling writes anyway. A tally is a minute's: one that nobody adds to any
 * more is added once, to what was seen before, and the young ones are added up anew with each look. So a counter never falls.
 */
#include <stdlib.h>

#include "proto/kind.h"
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "scheduler/internal.h"

/* Columns of schedule__queues; CLOSED and OPEN are the first of one for each outcome. */
enum { NAME, STATES, OLDEST = STATES + MR_QUEUE_STATES, PAUSED, EDGE, CLOSED, OPEN = CLOSED + MR_QUEUE_OUTCOMES };

enum { ROWS = MR_QUEUES_MAX + 1 };

/* A look at all jobs. */
struct look {
    struct mr_queue shown[ROWS];
    uint64_t closed[ROWS][MR_QUEUE_OUTCOMES]; /* what of the outcomes will not change any more */
    unsigned count;
    unsigned own;       /* of them, those with a name */
    int64_t edge_us;    /* up to where tallies are closed */
    uint64_t died;      /* runs, since the last look */
    uint64_t oldest_ms; /* of jobs that are not paused */
};

static int find(const struct look *self, const char *name)
{
    for (unsigned i = 0; self != NULL && i < self->count; i++)
        if (strcmp(self->shown[i].name, name) == 0)
            return (int)i;
    return -1;
}

/* The place of a job's row; those that have none of their own share one, whose name is "". */
static unsigned place_of(struct look *self, const struct look *before, struct mr_slice job)
{
    char name[MR_QUEUE_NAME] = "";
    int place;

    if (mr_kind_name_is_good(job) && job.len < MR_QUEUE_NAME && self->own < MR_QUEUES_MAX) {
        mr_slice_copy(name, sizeof name, job);
        self->own++;
    } else if ((place = find(self, "")) >= 0) {
        return (unsigned)place;
    }
    memcpy(self->shown[self->count].name, name, sizeof name);
    place = find(before, name);
    if (place >= 0)
        memcpy(self->closed[self->count], before->closed[place], sizeof self->closed[0]);
    return self->count++;
}

static uint64_t figure(const mr_rows *rows, unsigned row, unsigned column)
{
    return (uint64_t)mr_rows_int(rows, row, column, 0);
}

static void take_row(struct look *self, const struct look *before, const mr_rows *rows, unsigned row)
{
    struct mr_slice job = {"", 0};
    struct mr_queue *queue;
    unsigned place;

    self->edge_us = mr_rows_int(rows, row, EDGE, 0) + MR_POSTGRES_EPOCH_MICROS;
    if (!mr_rows_get(rows, row, NAME, &job))
        return; /* there are no such jobs */
    place = place_of(self, before, job);
    queue = &self->shown[place];
    for (unsigned state = 0; state < MR_QUEUE_STATES; state++)
        queue->runs[state] += figure(rows, row, STATES + state);
    if (figure(rows, row, OLDEST) > queue->oldest_ms)
        queue->oldest_ms = figure(rows, row, OLDEST);
    if (figure(rows, row, PAUSED) != 0)
        queue->paused++;
    else if (figure(rows, row, OLDEST) > self->oldest_ms)
        self->oldest_ms = figure(rows, row, OLDEST);
    for (unsigned i = 0; i < MR_QUEUE_OUTCOMES; i++) {
        self->closed[place][i] += figure(rows, row, CLOSED + i);
        queue->outcomes[i] += figure(rows, row, OPEN + i);
    }
}

/* Nobody else tells of runs that died because their lease ran out, or because a worker said so. */
static void note_dead(struct look *self, const struct look *before, const struct mr_queue *queue)
{
    int place = find(before, queue->name);
    uint64_t seen = place >= 0 ? before->shown[place].outcomes[MR_QUEUE_DIED] : 0;

    if (before == NULL || queue->outcomes[MR_QUEUE_DIED] <= seen)
        return;
    self->died += queue->outcomes[MR_QUEUE_DIED] - seen;
    mr_log_bounded(MR_LOG_ERROR, "runs are dead", mr_log_text(queue->name[0] != '\0' ? "job" : "", queue->name),
                   mr_log_int("runs", (int64_t)(queue->outcomes[MR_QUEUE_DIED] - seen)));
}

static void show(struct look *self, const struct look *before)
{
    uint64_t totals[MR_QUEUE_STATES] = {0};
    uint64_t paused = 0;

    for (unsigned i = 0; i < self->count; i++) {
        struct mr_queue *queue = &self->shown[i];

        for (unsigned outcome = 0; outcome < MR_QUEUE_OUTCOMES; outcome++)
            queue->outcomes[outcome] += self->closed[i][outcome];
        for (unsigned state = 0; state < MR_QUEUE_STATES; state++)
            totals[state] += queue->runs[state];
        paused += queue->paused;
        note_dead(self, before, queue);
    }
    mr_metric_add(MR_METRIC_queue_died, self->died);
    mr_metric_show(MR_METRIC_queue_oldest_ms, self->oldest_ms);
    mr_metric_show(MR_METRIC_queue_ready, totals[MR_QUEUE_READY]);
    mr_metric_show(MR_METRIC_queue_dead, totals[MR_QUEUE_DEAD]);
    mr_metric_show(MR_METRIC_queues_paused, paused);
}

void queues_count(struct mr_scheduler *self)
{
    struct look *before = self->queues;
    struct look *now;
    mr_rows *rows = NULL;

    mr_params_begin(&self->params, 1);
    if (before != NULL)
        mr_params_time(&self->params, 0, before->edge_us);
    else
        mr_params_null(&self->params, 0, MR_TIME);
    if (scheduler_query(self, STEP_QUEUES, "schedule__queues", &rows) != MR_OK)
        return;
    now = calloc(1, sizeof *now);
    for (unsigned row = 0; now != NULL && row < mr_rows_count(rows); row++)
        take_row(now, before, rows, row);
    mr_rows_free(&rows);
    if (now == NULL)
        return; /* the next look has it */
    show(now, before);
    if (mr_queues_show(now->shown, now->count) != MR_OK)
        mr_log_bounded(MR_LOG_WARN, "no memory to show the queues", mr_log_text("actor", "scheduler"));
    free(before);
    self->queues = now;
}

void queues_end(struct mr_scheduler *self)
{
    free(self->queues);
    self->queues = NULL;
}
