/*
 * usernames: stores the folded names (proto/username.h) of users that a release without them wrote.
 *
 * Each process does so once after its start, in chunks, beside its work. If several names fold alike, the first user in the order
 * of ids gets the folded name; the others are logged, and sign in by their exact spelling.
 *
 * Thread: its own, with a connection that it closes when it is done. Start and stop: the main thread.
 */
#ifndef MR_ACTORS_USERNAMES_H
#define MR_ACTORS_USERNAMES_H

#include "runtime/actor.h"

struct mr_usernames;

/* Returns at once. A database that is away, or not migrated yet, is tried again. `config` and `clock` are borrowed. */
mr_status mr_usernames_start(struct mr_usernames **out, const struct mr_config *config,
                             const struct mr_clock *clock) MR_WARN_UNUSED;

/* Ends after the chunk in hand, by `deadline_ms` (monotonic) at most; false: it still runs, and nothing is freed. Accepts NULL. */
bool mr_usernames_stop_by(struct mr_usernames **self, int64_t deadline_ms) MR_WARN_UNUSED;

/* Adds a name's folded form to the array `column`; NULL when it has none. */
void mr_usernames_bind(struct mr_params *params, unsigned column, struct mr_slice name);

#endif
