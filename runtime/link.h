/*
 * link: manages an actor's connections: reconnecting, resting (DB_IDLE_RELEASE), the replica and the fallback to the primary.
 *
 * Thread: the actor's.
 */
#ifndef MR_RUNTIME_LINK_H
#define MR_RUNTIME_LINK_H

#include "runtime/actor.h"

/* Logs and counts what happened to the connection since the last call. The actor's thread, as for all functions here. */
void mr_link_note(struct mr_actor *self);

/*
 * Sets `db` to the replica while it works, otherwise to the primary. An actor that starts (`first_time`) or resumes tries the
 * replica first; one that has lost it does not wait for it.
 */
void mr_link_choose(struct mr_actor *self, bool first_time);

/*
 * Whether mr_link_choose would return to the replica, or mr_lag_look would measure. Neither may be called while something is in
 * flight, so the caller first waits for that.
 */
bool mr_link_has_way_back(const struct mr_actor *self);

/* Milliseconds until the idle connection may be closed; -1: never, or not in the present state. */
int64_t mr_link_rest_due_in(const struct mr_actor *self);

/* Closes the actor's connections, so that the database can sleep. mr_link_wake_up opens them again. */
void mr_link_rest(struct mr_actor *self);

/* Starts to wake up an actor that rests; does nothing otherwise. */
void mr_link_begin_waking(struct mr_actor *self);

/* False while there is nothing to wake up for. */
bool mr_link_wake_up(struct mr_actor *self);

/* Whether the database still gets time to resume. Call mr_link_end_waking after each attempt to connect. */
bool mr_link_is_waking(const struct mr_actor *self);

/* Ends the time to resume, once the connection stands or the time is over; does nothing otherwise. */
void mr_link_end_waking(struct mr_actor *self);

#endif
