/*
 * push: does the runs of jobs whose `work` is push: each is a signed HTTP call to the job's URL.
 *
 * Thread:  one for the database, beside that of the courier (jobs/courier.h), which sends: so neither a receiver nor a database
 *          that hangs holds up the other side. One connection, which listens to `millrace_ready`.
 * Input:   runs that are ready, claimed by millrace.claim_runs; how their calls ended.
 * Promise: a run that was claimed here is called for, and its outcome is stored, however often that has to be retried; a lease is
 *          kept alive as long as its call is under way. In flight are bounded in all and by receiver, so that one that is slow or
 *          dead holds up no other. When the process ends, runs that were not sent go back uncounted, and calls under way may
 *          finish while there is time. What is told is at least once: a receiver that has seen a webhook-id has seen that run.
 */
#ifndef MR_JOBS_PUSH_H
#define MR_JOBS_PUSH_H

#include "runtime/clock.h"
#include "runtime/config.h"

struct mr_push;

struct mr_push_options {
    const struct mr_config *config;
    const struct mr_clock *clock;
    bool (*is_awake)(void *argument); /* whether somebody else keeps the database awake (DB_IDLE_RELEASE); NULL: not known */
    void *argument;
    const char *const *resolve; /* of tests: as of the courier's */
};

/*
 * Starts the actor that makes the calls, and returns at once; it waits for a database that is away or not migrated. Borrows what
 * the options point to until mr_push_stop_by has freed it.
 */
mr_status mr_push_start(struct mr_push **out, const struct mr_push_options *options) MR_WARN_UNUSED;

/* Stops claiming runs; calls under way continue. Async-signal-safe. */
void mr_push_ask_to_stop(struct mr_push *self);

/*
 * Waits until the calls under way have ended or the grace period is nearly over, frees the actor and sets the caller's pointer
 * to NULL. Waits until `deadline_ms` (monotonic) at most. False: it still runs, and nothing is freed. Accepts NULL.
 */
bool mr_push_stop_by(struct mr_push **self, int64_t deadline_ms) MR_WARN_UNUSED;

/* Whether the database refused user or password, and the process has been told to end. */
bool mr_push_is_refused(const struct mr_push *self);

#endif
