/*
 * queue: the messages in an actor's hands, oldest first.
 *
 * Thread: the actor's.
 */
#ifndef MR_RUNTIME_QUEUE_H
#define MR_RUNTIME_QUEUE_H

#include "runtime/actor.h"

/*
 * Takes all mail into the queue. Logs and counts what is no request, and answers a payload that does not fit its table. False:
 * there is no memory for more, and the rest stays in the mailbox.
 */
bool mr_queue_take_mail(struct mr_actor *self) MR_WARN_UNUSED;

/*
 * Frees the messages that are answered, and drops those whose deadline has passed. Messages in flight stay. It looks no further than it
 * has to: thousands may wait, and it is called for every batch.
 */
void mr_queue_sweep(struct mr_actor *self);

/* Everybody who answers a message says so here: that is how a sweep knows how many there are to free. */
void mr_queue_note_answered(struct mr_actor *self, struct mr_message *message);

/*
 * Drops those of `messages` (at most MR_PLAN_MAX) whose deadline has passed; they count as answered. Moves the others to the
 * front, in their order, and returns their number.
 */
unsigned mr_queue_drop_late(struct mr_actor *self, struct mr_message **messages, unsigned count);

/* Frees all messages, also those kept for reuse. */
void mr_queue_free(struct mr_actor *self);

#endif
