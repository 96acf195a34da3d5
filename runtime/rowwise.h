/*
 * rowwise: answers messages one by one, many in a round trip, where a statement cannot answer a batch (docs/decisions/0045-row-wise.md).
 *
 * An op with the trait `row_wise` has a statement that takes values: $1 for its first field and so on, and behind a clearable one a
 * boolean that says whether it was given. Its rows, without an ordinal, are the answer to its message; "$status" and the other
 * reserved columns mean what they do in a batch. No row is 404 where the answer is one object.
 *
 * With a key in its traits, messages that wait are run in windows of MR_DB_WINDOW_MAX: one transaction, in the order of their keys,
 * each in a savepoint. Without one each is a transaction of its own. What fails is the answer to its own message and to no other;
 * nobody is answered before the commit is confirmed.
 *
 * Callers of an op that needs a token are looked up in front, in the same transaction; who is gone is answered 401.
 *
 * The op belongs to an actor on the primary.
 */
#ifndef MR_RUNTIME_ROWWISE_H
#define MR_RUNTIME_ROWWISE_H

#include "runtime/actor.h"

/*
 * Answers messages of one row-wise op, at most MR_PLAN_MAX and no two with the same key. A deadlock's victim, and a message that
 * had no effect because the connection broke or a commit failed, runs again by itself. One that may have had an effect runs
 * again only if the op is `rerun_safe` or the message has an Idempotency-Key.
 */
void mr_rowwise_answer(struct mr_actor *self, struct mr_message *const *messages, unsigned count);

#endif
