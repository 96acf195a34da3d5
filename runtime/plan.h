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
 * Sets `taken` on the messages of the next batch and lists them in `out` (room for MR_PLAN_MAX). Returns how
 * many; at least one when the queue holds any, unless something is in flight. `waiting` is how many of the queue that `first`
 * begins are not in flight; those that are, MR_PLAN_MAX at most, are left alone.
 */
unsigned mr_plan_batch(struct mr_message *first, unsigned waiting, unsigned max, struct mr_message **out);

/* Moves the messages of one statement, those alike `messages[0]`, to the front in their order; returns how many, at most `most`. */
unsigned mr_plan_group(struct mr_message **messages, unsigned count, unsigned most);

#endif
