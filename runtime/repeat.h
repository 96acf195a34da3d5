/*
 * repeat: gives a repeated request with an Idempotency-Key its first answer again, for messages that are answered one by one
 * (runtime/rowwise.h).
 *
 * In the transaction of its message, the key is claimed in front of the statement and kept with the answer behind it; only a success is
 * kept. A key that is there already keeps the statement from running: its message gets the answer that was kept, or 422 when it
 * has another payload. Whoever meets a claim that is not committed waits for that (docs/decisions/0009-idempotency.md).
 *
 * Thread: the actor's.
 */
#ifndef MR_RUNTIME_REPEAT_H
#define MR_RUNTIME_REPEAT_H

#include "runtime/actor.h"

/* The statements that a window is guarded by and ended with: mr_db_prepare them first. */
#define MR_REPEAT_CLAIM "row_wise__claim"
#define MR_REPEAT_KEEP  "row_wise__keep"

/* Whether the message has an Idempotency-Key. */
bool mr_repeat_is_keyed(const struct mr_message *message);

/* Queues the statement that claims the message's key before the next execution that is added to the window. */
mr_status mr_repeat_claim(struct mr_actor *self, const struct mr_message *message) MR_WARN_UNUSED;

/*
 * Ends a held window: stores the answers of its messages with keys, and commits. `steps` is as mr_db_window_hold left it, and
 * afterwards as mr_db_window_commit leaves it.
 */
void mr_repeat_commit(struct mr_actor *self, struct mr_message *const *messages, unsigned count, struct mr_db_step *steps);

/* Whether the step failed because its key was claimed before. */
bool mr_repeat_was_there(const struct mr_db_step *step);

/*
 * Answers such a message with the stored answer. No window may be open. False: the key has gone meanwhile, and the message may
 * run again.
 */
bool mr_repeat_answer(struct mr_actor *self, struct mr_message *message) MR_WARN_UNUSED;

#endif
