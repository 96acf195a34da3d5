/*
 * answer: from messages to one set-wise statement, and from its rows to replies.
 *
 * Expected outcomes are rows: the statement answers every ordinal, with "$status" and "$field" for failures. Surprises are
 * exceptions: a batch that the server refuses is halved until the failing message is alone with its own error. After a lost
 * connection only ops that find what they already wrote (`rerun_safe`) run again, once.
 */
#ifndef MR_RUNTIME_ANSWER_H
#define MR_RUNTIME_ANSWER_H

#include "runtime/actor.h"

/*
 * Answers messages of one op and variant, at most MR_PLAN_MAX, with the named statement of that op. Those whose deadline passes
 * before a statement is sent are dropped.
 */
void mr_answer_by_sql(struct mr_actor *self, struct mr_message *const *messages, unsigned count);

/* The parameters of a batch, in `self->params`. */
mr_status mr_answer_bind(struct mr_actor *self, struct mr_message *const *messages, unsigned count) MR_WARN_UNUSED;

/* The name of the statement that answers it. */
const char *mr_answer_statement(const struct mr_message *message);

/*
 * Answers what needs no other statement: whom the rows answer, which are freed, or all if the error is final. Whether that was
 * everybody; mr_answer_settle does the rest otherwise.
 */
bool mr_answer_at_once(struct mr_actor *self, struct mr_message *const *messages, unsigned count,
                       struct mr_outcome *outcome) MR_WARN_UNUSED;

/* Answers all messages the way mr_answer_by_sql does after its first attempt. */
void mr_answer_settle(struct mr_actor *self, struct mr_message *const *messages, unsigned count, struct mr_outcome *outcome);

/* Ends a batch: answers 500 to each message that the handler left unanswered. */
void mr_answer_end(struct mr_actor *self, struct mr_message *const *messages, unsigned count);

/* Answers one message with an error. `field`, `code` and `text` may be NULL. */
void mr_answer_error(struct mr_actor *self, struct mr_message *message, mr_status status, const char *field, const char *code,
                     const char *text);

/* Answers a message with a success whose body is this JSON. `head` NULL: there is nothing to say beside it. */
void mr_answer_json(struct mr_actor *self, struct mr_message *message, const struct mr_reply_head *head, struct mr_slice json);

/* Answers with a success that has no body. */
void mr_answer_nothing(struct mr_actor *self, struct mr_message *message);

/*
 * Runs a statement for a C handler, which has the connection to itself: reconnecting first if need be and, once more after a
 * lost connection, when `rerun_safe` or when nothing of it took effect. `self->params` holds the parameters, ended. MR_OK: `out` is the caller's to free.
 */
mr_status mr_answer_query(struct mr_actor *self, const char *statement, bool rerun_safe, int64_t deadline_ms,
                          mr_rows **out) MR_WARN_UNUSED;

/* The latest deadline among the messages, as a moment of the monotonic clock. */
int64_t mr_answer_deadline(const struct mr_actor *self, struct mr_message *const *messages, unsigned count);

/* Answers a message with all rows of a statement that answers nobody else, and so has no ordinal. No row: 404 to who wants one. */
void mr_answer_single(struct mr_actor *self, struct mr_message *message, const mr_rows *rows);

/* Puts the payload of that answer into `self->body` and sends nothing; false: it is no success, and the body is of no use. */
bool mr_answer_make(struct mr_actor *self, const struct mr_message *message, const mr_rows *rows) MR_WARN_UNUSED;

/*
 * Answers a message with the error that stands against it alone: a refusal that the client can understand, or its status, which is
 * logged when it is nothing a client brought about. Nothing may be in flight, unless the error is not of class 23.
 */
void mr_answer_failure(struct mr_actor *self, struct mr_message *message, mr_status status, const struct mr_db_error *error);

/* Logs what the database said last when `status` is nothing a client brought about. */
void mr_answer_log(const struct mr_actor *self, const char *statement, mr_status status, unsigned count);

#endif
