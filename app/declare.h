/*
 * declare: tells the table of jobs what the application says of its jobs (docs/decisions/0061-kinds.md).
 *
 * Every process does so before it is ready, and says now and then that it still serves this folder. Of several folders that are served
 * side by side the one that was first seen last stands; when its processes are gone the next one's does. Where the database sleeps
 * (DB_IDLE_RELEASE) nothing is said while the process rests.
 *
 * Thread: its own, with a connection that is open while something is said. Start and stop: the main thread.
 */
#ifndef MR_APP_DECLARE_H
#define MR_APP_DECLARE_H

#include "runtime/config.h"

struct mr_declare;

/*
 * Begins to declare, and returns. A database that does not take it is told so later, with a warning. `is_awake`: whether the process
 * uses its database; any thread may ask. `config` is borrowed.
 */
mr_status mr_declare_start(struct mr_declare **out, const struct mr_config *config, bool (*is_awake)(void)) MR_WARN_UNUSED;

/*
 * Returns when it was declared, or was tried in vain: the database is away, or its migrations have not run. Nobody who listens waits for
 * that; three seconds at most. Once, by who started it. Accepts NULL.
 */
void mr_declare_await(struct mr_declare *self);

/* Asks it to end and does not wait. Async-signal-safe. Accepts NULL. */
void mr_declare_ask_to_stop(struct mr_declare *self);

/*
 * Says that this process serves the folder no longer, and frees it, by `deadline_ms` (monotonic) at most. False: it still runs, and nothing
 * is freed. Accepts NULL.
 */
bool mr_declare_stop_by(struct mr_declare **self, int64_t deadline_ms) MR_WARN_UNUSED;

#endif
