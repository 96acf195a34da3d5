/*
 * scheduler: decides when runs of jobs start, and rescues lost ones.
 *
 * Thread:  one; owns a mailbox, a database connection of its own, which also listens for runs that others queue, and the
 *          socket that answers `millrace health`.
 * Input:   time; the channel `millrace_jobs`; answers of the workers to its prompts.
 * Promise: a tick has one run, however many schedulers there are; a due run finds a worker within a moment when this
 *          process hears of it and within a second when it does not, and when all are at work within a second or two of that; a run
 *          whose owner is silent for 30 s is put back.
 */
#ifndef MR_SCHEDULER_SCHEDULER_H
#define MR_SCHEDULER_SCHEDULER_H

#include "proto/jobs.h"
#include "runtime/actor.h"

struct mr_scheduler;
struct mr_zone;

enum { MR_WORKERS_MAX = 64 };

struct mr_scheduler_options {
    const struct mr_config *config; /* whose expressions and zone have been checked (mr_scheduler_checks) */
    const struct mr_clock *clock;
    struct mr_actor *const *actors; /* the workers; started; stopped after mr_scheduler_stop_by */
    unsigned actor_count;           /* MR_WORKERS_MAX at most */
    bool is_on[MR_JOBS_MAX];        /* whether runs of the job are worked on here */
    const struct mr_zone *zone;     /* SCHEDULE_TIMEZONE */
    int pulse_fd;                   /* a listening socket (scheduler/pulse.h), closed by the scheduler; -1: none */
};

/*
 * Starts the scheduler; returns when its loop runs. The options and what they point to, but for the actors, outlive it.
 */
mr_status mr_scheduler_start(struct mr_scheduler **out, const struct mr_scheduler_options *options) MR_WARN_UNUSED;

/* Asks its loop to end and does not wait. Async-signal-safe. */
void mr_scheduler_ask_to_stop(struct mr_scheduler *self);

/*
 * Ends its loop: no tick and no prompt after this; answers of the actors still find its mailbox. Waits until `deadline_ms`
 * (monotonic) at most. False: it still runs, and the actors have to stay. Accepts NULL.
 */
bool mr_scheduler_stop_by(struct mr_scheduler *self, int64_t deadline_ms) MR_WARN_UNUSED;

/* Ends its loop, if that still runs, frees it and sets the caller's pointer to NULL. Accepts NULL. */
void mr_scheduler_destroy(struct mr_scheduler **self);

/* When the loop last completed a turn (monotonic), so that another thread can notice that it is stuck. Any thread. */
int64_t mr_scheduler_turned_ms(const struct mr_scheduler *self);

/* Whether the scheduler is connected to the database, or closed an idle connection (DB_IDLE_RELEASE). Any thread. */
bool mr_scheduler_is_connected(const struct mr_scheduler *self);

/* Why nobody can rely on ticks and runs at present: a static sentence that clients may see. NULL: they can. Any thread. */
const char *mr_scheduler_trouble(const struct mr_scheduler *self);

/* Whether the scheduler has a connection; without one, it lets the database sleep (DB_IDLE_RELEASE). Any thread. */
bool mr_scheduler_is_awake(const struct mr_scheduler *self);

/* Whether the database refused user or password, and the process has been told to end. */
bool mr_scheduler_is_refused(const struct mr_scheduler *self);

/*
 * Checks that every schedule, of a setting or an application's job, has a tick to come in its zone (`zone` if it names none):
 * all its times may lie in a gap of the zone. Appends a line for each schedule without one. Call it before other threads exist.
 */
bool mr_scheduler_check(const struct mr_config *config, const struct mr_zone *zone, struct mr_buf *problems);

struct mr_config_check;
/* The rules of the settings that are cron expressions or a time zone, for mr_config_read. */
extern const struct mr_config_check mr_scheduler_checks[];

#endif
