/*
 * tier: the scheduler, the workers of its jobs, and push.
 *
 * Thread: the main thread.
 */
#ifndef MR_APP_TIER_H
#define MR_APP_TIER_H

#include "app/crew.h"
#include "jobs/push.h"
#include "scheduler/scheduler.h"

/* Not to be moved while it runs. A zeroed struct is one that was not started. */
struct mr_tier {
    struct mr_crew crew;
    struct mr_scheduler_options options;
    struct mr_scheduler *scheduler;
    struct mr_push *push;
};

/* Whatever comes of it, mr_tier_stop_by takes it apart. `pulse_fd` goes over to the scheduler; -1: none. */
mr_status mr_tier_start(struct mr_tier *self, const struct mr_config *config, const struct mr_zone *zone,
                        int pulse_fd) MR_WARN_UNUSED;

/* Runs under way are given back after the chunk in hand; calls under way may finish. Async-signal-safe. */
void mr_tier_ask_to_stop(struct mr_tier *self);

/* Waits for that until `deadline_ms` (monotonic) at most. False: some of it still runs and is left; it may be called again. */
bool mr_tier_stop_by(struct mr_tier *self, int64_t deadline_ms) MR_WARN_UNUSED;

/* Whether it stopped because the database refuses user or password: trying again does not help. */
bool mr_tier_is_refused(const struct mr_tier *self);

#endif
