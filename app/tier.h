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

/*
 * Starts the scheduler and its jobs. Whatever it returns, mr_tier_stop_by has to follow. The scheduler takes over `pulse_fd`;
 * -1: none.
 */
mr_status mr_tier_start(struct mr_tier *self, const struct mr_config *config, const struct mr_zone *zone,
                        int pulse_fd) MR_WARN_UNUSED;

/*
 * Makes runs stop after the current chunk, which gives them back, and lets calls under way finish. Does not wait. Async-signal-
 * safe.
 */
void mr_tier_ask_to_stop(struct mr_tier *self);

/*
 * Waits for the tier to stop, until `deadline_ms` (monotonic) at most. False: some of it still runs, and nothing of that is
 * freed; call it again later.
 */
bool mr_tier_stop_by(struct mr_tier *self, int64_t deadline_ms) MR_WARN_UNUSED;

/* Whether the tier stopped because the database refuses the user or password, so that retrying cannot help. */
bool mr_tier_is_refused(const struct mr_tier *self);

#endif
