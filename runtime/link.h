/*
 * link: manages an actor's connections: reconnecting, resting (DB_IDLE_RELEASE), the replica and the fallback to the primary.
 *
 * Thread: the actor's.
 */
#ifndef MR_RUNTIME_LINK_H
#define MR_RUNTIME_LINK_H

#include "runtime/actor.h"

/* Tells the log and the figures what became of the connection since the last call. */
void mr_link_note(struct mr_actor *self);

/*
 * Sets `db`: the replica while it works, otherwise the primary. An actor that resumes or starts (`first_time`) tries the replica
 * first; one that has lost it does not wait for it.
 */
void mr_link_choose(struct mr_actor *self, bool first_time);

/*
 * Whether mr_link_choose would go back to the replica, or mr_lag_look has something to ask: neither must be called while
 * something is in flight, so that has to land.
 */
bool mr_link_has_way_back(const struct mr_actor *self);

/* Milliseconds until the connection may be let go; -1: never, or not now. */
int64_t mr_link_rest_due_in(const struct mr_actor *self);

/* Closes the actor's connections, so that the database can sleep. mr_link_wake_up opens them again. The actor's thread. */
void mr_link_rest(struct mr_actor *self);

/* Wakes one that rests; of any other nothing changes. */
void mr_link_begin_waking(struct mr_actor *self);

/* False while there is nothing to wake up for. */
bool mr_link_wake_up(struct mr_actor *self);

/* Whether the database is given time to resume; to be asked to end after each attempt to connect. */
bool mr_link_is_waking(const struct mr_actor *self);

/* Ends the time to resume, once the connection stands or the time is over; does nothing otherwise. */
void mr_link_end_waking(struct mr_actor *self);

#endif
