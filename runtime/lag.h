/*
 * lag: how far a reader's replica lags, and up to which time it certainly has everything (DB_REPLICA_MAX_LAG).
 *
 * Each reader of the replica asks the server behind its own connection twice a second, since a name may lead to several; each
 * reader of the primary asks how far the primary's log has come. Both are asked while nothing else is under way, and by actors
 * that have nothing to do, too, until DB_IDLE_RELEASE lets the connection go: it is no work.
 *
 * Thread: the actor's. What the primary said is shared by all of them, under a lock.
 */
#ifndef MR_RUNTIME_LAG_H
#define MR_RUNTIME_LAG_H

#include "runtime/db.h"

struct mr_actor;

/* What an actor knows of the server that it asks. Zeroed: nothing. */
struct mr_lag {
    uint64_t connection; /* mr_db_serial of the one that this was learnt from */
    int64_t looked_ms;   /* monotonic; 0: not yet */
    int64_t level_ms;    /* monotonic: the replica had everything of that moment; 0: not known */
    unsigned question;   /* of several; those before it are not answered by this server */
};

/* Measures the lag if that is due. Nothing may be in flight. The connection may be lost. */
void mr_lag_look(struct mr_actor *self);

/* Whether the replica lags by more than the setting allows. Once it does, that stays true until it lags by less than half. */
bool mr_lag_is_beyond(const struct mr_actor *self);

/* Milliseconds until mr_lag_look has to measure; -1: never, or not in the present state. */
int64_t mr_lag_due_in_ms(const struct mr_actor *self);

#endif
