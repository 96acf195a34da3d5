/*
 * crew: the actors of a process.
 *
 * Thread: the main thread.
 */
#ifndef MR_APP_CREW_H
#define MR_APP_CREW_H

#include "actors/usernames.h"
#include "runtime/actor.h"

enum { MR_CREW_MOST = 512 };

struct mr_crew {
    struct mr_actor *actors[MR_CREW_MOST];
    unsigned count;
    struct mr_usernames *usernames; /* of those that answer requests */
};

/*
 * Starts the actors that answer requests; each connects by itself. mr_crew_await_api has to follow, whatever this returns. On
 * failure `self` holds the started actors, for the caller to stop.
 */
mr_status mr_crew_start_api(struct mr_crew *self, const struct mr_config *config) MR_WARN_UNUSED;

/*
 * Waits until they take messages, and starts the threads beside them. `started` is the result of mr_crew_start_api, and is
 * returned.
 */
mr_status mr_crew_await_api(struct mr_crew *self, const struct mr_config *config, mr_status started) MR_WARN_UNUSED;

/* Starts the workers of jobs, and waits until they take messages. On failure as mr_crew_start_api. */
mr_status mr_crew_start_jobs(struct mr_crew *self, const struct mr_config *config) MR_WARN_UNUSED;

/* Asks all of them to stop, side by side. Async-signal-safe. */
void mr_crew_ask_to_stop(struct mr_crew *self);

/* Asks them to stop, and waits until `deadline_ms` (monotonic) at most. False: those that still run remain in it. */
bool mr_crew_stop_by(struct mr_crew *self, int64_t deadline_ms) MR_WARN_UNUSED;

/* Whether the database refused the user or password of one of them. */
bool mr_crew_is_refused(const struct mr_crew *self);

#endif
