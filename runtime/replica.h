/*
 * replica: a reader's connection to its replica, and the thread that reopens it.
 *
 * While the replica is away its reader asks the primary; meanwhile a thread connects to the replica again, so that no reader
 * waits for an attempt. Whatever keeps it away (a crash, a silent host, a password that it does not know yet), a replica that
 * is away is no failure of the process.
 *
 * Thread: the reader's. The connection is the reader's while mr_replica_db returns it, and the connecting thread's otherwise.
 */
#ifndef MR_RUNTIME_REPLICA_H
#define MR_RUNTIME_REPLICA_H

#include <stdatomic.h>

#include "runtime/db.h"

struct mr_replica;

/*
 * Starts a thread that connects to the replica; the caller frees it with mr_replica_destroy. While `rests` is true it makes no
 * attempt, so that the database can sleep. `statements` and `rests` are borrowed until then.
 */
mr_status mr_replica_new(struct mr_replica **out, const struct mr_db_options *options,
                         const struct mr_statement *const *statements, const _Atomic bool *rests) MR_WARN_UNUSED;

/* The connection, which may be down; NULL while the thread tries to restore it. Borrowed. */
mr_db *mr_replica_db(struct mr_replica *self);

/* A descriptor that is readable from the moment when the connection is restored until mr_replica_welcome. Borrowed. */
int mr_replica_fd(const struct mr_replica *self);

/* Acknowledges a restored connection: mr_replica_fd is no longer readable. */
void mr_replica_welcome(struct mr_replica *self);

/* Hands a useless connection to the thread, which restores it. */
void mr_replica_give_up(struct mr_replica *self);

/* Asks the thread to end and does not wait. Async-signal-safe. */
void mr_replica_ask_to_stop(struct mr_replica *self);

/* Ends the thread; false when it still runs at `deadline_ms` (monotonic). */
bool mr_replica_stop_by(struct mr_replica *self, int64_t deadline_ms) MR_WARN_UNUSED;

/* Ends its thread, if that still runs, frees it and sets the caller's pointer to NULL. Accepts NULL. */
void mr_replica_destroy(struct mr_replica **self);

#endif
