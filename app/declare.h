/*
 * declare: writes the application's jobs into the table of jobs (docs/decisions/0061-kinds.md).
 *
 * Every process does so before it is ready, and renews its claim to this folder from time to time. Of several folders that are
 * served side by side, the one that was first seen later wins; when its processes are gone, the next one's declaration applies.
 * With DB_IDLE_RELEASE a resting process renews nothing, so that the database can sleep.
 *
 * Thread: its own, with a connection that is open while something is said. Start and stop: the main thread.
 */
#ifndef MR_APP_DECLARE_H
#define MR_APP_DECLARE_H

#include "runtime/config.h"

struct mr_declare;

/*
 * Begins to declare, and returns. If the database refuses the declaration, it is retried, with a warning. `is_awake`: whether the
 * process uses its database; any thread may ask. `config` is borrowed.
 */
mr_status mr_declare_start(struct mr_declare **out, const struct mr_config *config, bool (*is_awake)(void)) MR_WARN_UNUSED;

/*
 * Returns when the first attempt has ended, after at most three seconds: the jobs are declared, or the database is away, or its
 * migrations have not run. To be called once, by whoever started it. Accepts NULL.
 */
void mr_declare_await(struct mr_declare *self);

/* Asks it to end and does not wait. Async-signal-safe. Accepts NULL. */
void mr_declare_ask_to_stop(struct mr_declare *self);

/*
 * Gives up this process's claim to the folder, and frees it, by `deadline_ms` (monotonic) at most. False: it still runs, and
 * nothing is freed. Accepts NULL.
 */
bool mr_declare_stop_by(struct mr_declare **self, int64_t deadline_ms) MR_WARN_UNUSED;

#endif
