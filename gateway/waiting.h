/*
 * waiting: parked requests (struct mr_waits): claims that wait for a run, `?wait` for a run's end.
 *
 * An actor answers such a request as any other. If the answer says that nothing has come yet, the request is parked: without a
 * thread, a place in a mailbox, a database connection or a deadline. Each second the gateway tells the actor `work` what all of
 * them wait for; the actor reports what has come, and the requests concerned ask again. At the end of its wait a request is
 * answered with the present state. While the database is away it keeps waiting, and is answered 503 only at the end of its wait.
 *
 * Parked requests are bounded in number (GATEWAY_MAX_WAITING) and bytes. A client that hangs up is dropped at once, and runs that
 * an actor has just handed out for it are given back (gateway/claims.h). While a request waits, its API key is verified again
 * whenever the cached answer expires.
 *
 * Thread: the gateway's.
 */
#ifndef MR_GATEWAY_WAITING_H
#define MR_GATEWAY_WAITING_H

#include "gateway/exchange.h"

struct waiting_room;

/* An empty room, the caller's to destroy. NULL: no memory. */
struct waiting_room *waiting_room_new(void);

/* Frees it and sets the caller's pointer to NULL. Accepts NULL. */
void waiting_room_destroy(struct waiting_room **self);

/* How many requests are parked. */
unsigned waiting_parked(const struct gateway *gateway);

/*
 * The request is about to be sent with these values: whether it says that it waits is kept. MR_OVERLOADED: too many wait;
 * MR_NO_MEMORY.
 */
mr_status waiting_begin(struct exchange *exchange, const struct mr_value *values) MR_WARN_UNUSED;

/* Forgets that it waits; for exchange_end. */
void waiting_end(struct exchange *exchange);

/* What an actor answered. True: nothing has come yet, and the request is parked. */
bool waiting_keeps(struct exchange *exchange, struct mr_slice payload) MR_WARN_UNUSED;

/* An attempt has failed with that status. True: the request waits on. */
bool waiting_endures(struct exchange *exchange, mr_status status) MR_WARN_UNUSED;

/* Whether the message under way asks who the key of a waiting request is. */
bool waiting_verifies(const struct exchange *exchange);

/* Takes the answer to that, which is borrowed. May end the exchange: the caller must not touch it afterwards. */
void waiting_verified(struct exchange *exchange, const struct mr_envelope *reply);

/*
 * The client has closed its sending side, or sends more than is buffered behind its request: a parked request is answered. Others
 * are answered later.
 */
void waiting_pressed(struct exchange *exchange);

/* So many runs of a job can be claimed: as many parked claims as that may satisfy ask again. */
void waiting_wake_job(struct gateway *gateway, struct mr_slice job, int64_t runs);

/* Runs have ended: the literal of a uuid[]. */
void waiting_wake_runs(struct gateway *gateway, struct mr_slice ids);

/* Outcomes were told by this process: somebody may wait for just these. */
void waiting_look(struct gateway *gateway);

/* Sends the actor what requests wait for, if that has changed. Call it in every turn of the loop. */
void waiting_tell(struct gateway *gateway);

/* Answers those whose time is over, verifies keys, and tells the actor; for every tick. */
void waiting_tick(struct gateway *gateway);

/* The process ends: everybody who is parked is answered, and nobody is parked any more. */
void waiting_drain(struct gateway *gateway);

/* For how long the request was parked, which is not time that its answer took. */
int64_t waiting_rested_us(const struct exchange *exchange);

#endif
