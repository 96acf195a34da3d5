/*
 * turn: how a migration waits for a lock.
 *
 * Who waits for an exclusive lock on a table stands in front of everybody who comes later, readers too. So a migration waits for a
 * second only, gives up, lets the others pass and tries again; and the log says who is in the way. So it is with the lock that
 * lets one process at a time migrate.
 *
 * Thread: the connection's.
 */
#ifndef MR_RUNTIME_TURN_H
#define MR_RUNTIME_TURN_H

#include "runtime/db.h"

/* To be called once a connection: its statements do not wait longer than that for a lock. */
mr_status mr_turn_setup(mr_db *db, int64_t deadline_ms) MR_WARN_UNUSED;

/*
 * Runs SQL text, again and again as long as a lock is in its way, until `deadline_ms` (monotonic). `what` is for the log. When
 * it fails, `failure` says why, and what the text began is rolled back.
 */
mr_status mr_turn_exec(mr_db *db, const char *sql, const char *what, int64_t deadline_ms,
                       struct mr_db_error *failure) MR_WARN_UNUSED;

#endif
