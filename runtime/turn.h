/*
 * turn: waits for a lock on behalf of a migration.
 *
 * Whoever waits for an exclusive lock on a table blocks everybody who comes later, readers too. So a migration waits only a
 * second, gives up, lets the others pass and retries; the log says who holds the lock. The same applies to the lock that lets one
 * process at a time migrate.
 *
 * Thread: the connection's.
 */
#ifndef MR_RUNTIME_TURN_H
#define MR_RUNTIME_TURN_H

#include "runtime/db.h"

/* Limits how long the connection's statements wait for a lock. Call it once for each connection. */
mr_status mr_turn_setup(mr_db *db, int64_t deadline_ms) MR_WARN_UNUSED;

/*
 * Runs SQL text, and retries while a lock is in its way, until `deadline_ms` (monotonic). `what` names it in the log. On failure
 * `failure` says why, and everything is rolled back.
 */
mr_status mr_turn_exec(mr_db *db, const char *sql, const char *what, int64_t deadline_ms,
                       struct mr_db_error *failure) MR_WARN_UNUSED;

#endif
