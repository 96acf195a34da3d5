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

/* Fills `self->params` with the parameters of a batch. */
mr_status mr_answer_bind(struct mr_actor *self, struct mr_message *const *messages, unsigned count) MR_WARN_UNUSED;

/* The name of the statement that answers the message. Static, or as long as the installed operations. */
const char *mr_answer_statement(const struct mr_message *message);

/*
 * Answers the messages that need no other statement: those that the rows answer or, after a final error, all. Frees the rows.
 * True: every message is answered. False: mr_answer_settle has to answer the rest.
 */
bool mr_answer_at_once(struct mr_actor *self, struct mr_message *const *messages, unsigned count,
                       struct mr_outcome *outcome) MR_WARN_UNUSED;

/* Answers all messages that are left, as mr_answer_by_sql does after its first attempt. */
void mr_answer_settle(struct mr_actor *self, struct mr_message *const *messages, unsigned count, struct mr_outcome *outcome);

/* Puts the messages that are not answered into `out`, which has room for `count`, in their order; returns how many. */
unsigned mr_answer_left(struct mr_message *const *messages, unsigned count, struct mr_message **out);

/* Ends a batch: answers 500 to each message that the handler left unanswered. */
void mr_answer_end(struct mr_actor *self, struct mr_message *const *messages, unsigned count);

/* Answers one message with an error. `field`, `code` and `text` may be NULL. */
void mr_answer_error(struct mr_actor *self, struct mr_message *message, mr_status status, const char *field, const char *code,
                     const char *text);

/* Answers a message with a success whose body is `json`. `head` may be NULL: no entity tag, Location or claims. */
void mr_answer_json(struct mr_actor *self, struct mr_message *message, const struct mr_reply_head *head, struct mr_slice json);

/* Answers a message with a success without a body. */
void mr_answer_nothing(struct mr_actor *self, struct mr_message *message);

/*
 * Runs a statement for a C handler, which has the connection to itself. Reconnects first if need be, and once more after a lost
 * connection if `rerun_safe` is set or nothing took effect. `self->params` holds the parameters, ended. MR_OK: the caller frees
 * `out` with mr_rows_free.
 */
mr_status mr_answer_query(struct mr_actor *self, const char *statement, bool rerun_safe, int64_t deadline_ms,
                          mr_rows **out) MR_WARN_UNUSED;

/* The latest deadline among the messages, in monotonic milliseconds. */
int64_t mr_answer_deadline(const struct mr_actor *self, struct mr_message *const *messages, unsigned count);

/*
 * Answers a message with all rows of a statement that answers this message alone, and so has no ordinal. Without a row, an op
 * that wants one gets 404. The rows stay the caller's.
 */
void mr_answer_single(struct mr_actor *self, struct mr_message *message, const mr_rows *rows);

/*
 * Puts the payload of such an answer into `self->body` and sends nothing. False: it is not a success, and the body must not be
 * used.
 */
bool mr_answer_make(struct mr_actor *self, const struct mr_message *message, const mr_rows *rows) MR_WARN_UNUSED;

/*
 * Answers one message with the error of its own statement: a refusal that the client can understand, or the bare status, which
 * is logged unless a client caused it. Nothing may be in flight if the error is of class 23, because its constraint has to be
 * looked up.
 */
void mr_answer_failure(struct mr_actor *self, struct mr_message *message, mr_status status, const struct mr_db_error *error);

/* Logs the database's last error, unless `status` is one that a client caused. */
void mr_answer_log(const struct mr_actor *self, const char *statement, mr_status status, unsigned count);

#endif
