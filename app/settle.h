/*
 * settle: which queries may answer a batch, asked again of a database that could not say so at the start.
 *
 * A process may be started before its migrations have run, or while its database is away; its queries then run message by message. Once
 * an actor has a connection for requests, all that the statements name is there (runtime/needs.h): then the question is asked until there
 * is an answer, and the thread ends.
 *
 * Thread: its own; the functions: the main thread.
 */
#ifndef MR_APP_SETTLE_H
#define MR_APP_SETTLE_H

#include <stdbool.h>

#include "proto/status.h"
#include "runtime/config.h"

struct mr_settle;

/* Starts the thread. `config` is borrowed. MR_NO_MEMORY: there is none. */
mr_status mr_settle_start(struct mr_settle **out, const struct mr_config *config) MR_WARN_UNUSED;

/* Does not wait. Accepts NULL. */
void mr_settle_ask_to_stop(struct mr_settle *self);

/*
 * Waits until `deadline_ms` (monotonic) at most, and frees it. False: it still runs, and nothing is freed. Accepts a pointer to NULL.
 */
bool mr_settle_stop_by(struct mr_settle **self, int64_t deadline_ms) MR_WARN_UNUSED;

#endif
