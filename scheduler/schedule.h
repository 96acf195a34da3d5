/*
 * schedule: which ticks of a job are due, and what happens to missed ones.
 *
 * A tick is a moment of the wall clock, in Unix milliseconds. One that is at most MR_TICK_LATE_MS old is due, or late; an
 * older one was missed: nobody ran, or the database was away for long. Nothing here asks a clock or keeps anything: what
 * was decided takes effect with mr_schedule_move, when the runs are made.
 *
 * Thread: any, one at a time.
 */
#ifndef MR_SCHEDULER_SCHEDULE_H
#define MR_SCHEDULER_SCHEDULE_H

#include "proto/jobs.h"
#include "scheduler/cron.h"

enum { MR_TICKS_MOST = 256, MR_TICK_LATE_MS = 10000 };

/* SCHEDULE_MISSED: one run for all that were missed, none, or one each for those of the last 24 hours. */
enum mr_missed { MR_MISSED_ONCE, MR_MISSED_SKIP, MR_MISSED_ALL };

struct mr_schedule {
    enum mr_job job;
    const char *text; /* as set; borrowed */
    struct mr_cron cron;
    const struct mr_zone *zone; /* of its expression; borrowed */
    enum mr_missed missed;
    int64_t seen_to_ms; /* every tick up to this one was handled */
    int64_t next_ms;    /* the first after that; INT64_MAX: none */
    bool is_paused;     /* a tick came while its job was paused: the table's mark is behind seen_to_ms */
};

/* What is to be done now. */
struct mr_ticks {
    int64_t tick_ms[MR_TICKS_MOST]; /* each is to have a run; ascending */
    unsigned count;
    int64_t seen_to_ms; /* for mr_schedule_move, when they have */
    unsigned late;      /* how many of them are more than a second late */
    unsigned missed;    /* ticks that are given up; at most MR_TICKS_MOST are counted */
};

/* Starts the ticks: the next one is the first after `seen_to_ms`. */
void mr_schedule_move(struct mr_schedule *self, const struct mr_zone *zone, int64_t seen_to_ms);

/*
 * Adapts to a wall clock that was set back: the next tick is the first after `now_ms`. Ticks that already have a run do not run
 * again.
 */
void mr_schedule_rewind(struct mr_schedule *self, const struct mr_zone *zone, int64_t now_ms);

/* Whether there is something to do; `out` says what. When it is full, the rest comes with the next call. */
bool mr_schedule_due(const struct mr_schedule *self, const struct mr_zone *zone, int64_t now_ms, enum mr_missed policy,
                     struct mr_ticks *out);

/* Converts "once", "skip" or "all". */
enum mr_missed mr_missed_of(const char *word);

#endif
