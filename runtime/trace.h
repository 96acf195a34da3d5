/*
 * trace: what an actor adds to the traces of the requests it answers.
 *
 * Of each request that is recorded: a span of its time in the mailbox. Of each statement: one span, in the trace of the first of
 * the requests that it answers, with a link to the span of each; in the traces of the others stands one that links to it, so
 * that every trace shows where its request's time went, and the database's spans are as many as its statements.
 *
 * Thread: the actor's. Where nothing is recorded this costs a look at a flag.
 */
#ifndef MR_RUNTIME_TRACE_H
#define MR_RUNTIME_TRACE_H

#include "runtime/actor.h"

/* Records that the messages, whose times are set, have left the mailbox. */
void mr_trace_mailbox(struct mr_actor *self, struct mr_message *const *messages, unsigned count);

/* Records that a statement for `self->in_hand`, begun at `begun_us` (monotonic), has ended with `status`. */
void mr_trace_statement(struct mr_actor *self, const char *statement, int64_t begun_us, mr_status status);

#endif
