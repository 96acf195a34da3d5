/*
 * plan: which of the waiting messages make up the next batch.
 *
 *  - In the order of arrival, at most `max`.
 *  - Two messages of the same key never share a batch: it is cut at the first conflict, so that the order of a
 *    key is the order of arrival whatever ops are involved.
 *  - A message whose key is in flight is passed over until that has been answered, and so are all of its key behind it.
 *  - When more wait than fit, one user gets at most a quarter of the batch before everybody else had a turn.
 */
#ifndef MR_RUNTIME_PLAN_H
#define MR_RUNTIME_PLAN_H

#include "runtime/actor.h"

/*
 * Chooses the next batch from the queue that begins with `first`: sets `taken` on its messages and lists them in `out` (room for
 * MR_PLAN_MAX). Returns their number, at least one if a message waits and nothing is in flight. `waiting` is the number of
 * messages that are not in flight; those in flight, `flying` and at most MR_PLAN_MAX, stay as they are. It looks no further than it has to:
 * thousands may wait.
 */
unsigned mr_plan_batch(struct mr_message *first, unsigned waiting, unsigned flying, unsigned max, struct mr_message **out);

/* Moves the messages that share a statement with messages[0] to the front, in their order. Returns their number, at most `most`. */
unsigned mr_plan_group(struct mr_message **messages, unsigned count, unsigned most);

#endif
