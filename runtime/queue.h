/*
 * queue: the messages in an actor's hands, oldest first.
 *
 * Thread: the actor's.
 */
#ifndef MR_RUNTIME_QUEUE_H
#define MR_RUNTIME_QUEUE_H

#include "runtime/actor.h"

/*
 * Takes all mail. What is no request is logged and counted; a payload that does not fit its table is answered. False: there is no
 * memory for more, and the rest stays in the mailbox.
 */
bool mr_queue_take_mail(struct mr_actor *self) MR_WARN_UNUSED;

/* Takes out what is answered, and what nobody waits for any more: its deadline has passed. What is in flight stays. */
void mr_queue_sweep(struct mr_actor *self);

/*
 * Drops those of `messages` (at most MR_PLAN_MAX) whose deadline has passed: they count as answered. Moves the others to the
 * front, in their order; returns how many these are.
 */
unsigned mr_queue_drop_late(struct mr_actor *self, struct mr_message **messages, unsigned count);

/* Frees all messages, also those kept for reuse. */
void mr_queue_free(struct mr_actor *self);

#endif
