/*
 * push_verdict: what the end of a call means for its run.
 *
 *   2xx               succeeded; a body that is JSON and whole is the result. Any other body is none, and succeeds as well
 *   410               failed, and the receiver wants no more: the job is to be paused
 *   429, 503          failed; Retry-After says when the next attempt may come, and that the receiver wants a rest until then
 *   any other, none   failed
 *   not sent          released: no attempt was made
 *
 * Thread: any; pure functions.
 */
#ifndef MR_JOBS_PUSH_VERDICT_H
#define MR_JOBS_PUSH_VERDICT_H

#include "jobs/courier.h"

enum { MR_PUSH_ANSWER_KEPT = 2048, MR_PUSH_RETRY_AFTER_LEAST_MS = 1000, MR_PUSH_RETRY_AFTER_MOST_MS = 24 * 60 * 60 * 1000 };

enum mr_push_outcome { MR_PUSH_SUCCEEDED, MR_PUSH_FAILED, MR_PUSH_RELEASED };

struct mr_push_verdict {
    enum mr_push_outcome outcome;
    bool is_gone;              /* the receiver answered 410 */
    bool is_dead;              /* there was no answer at all */
    int64_t retry_after_ms;    /* of 429 and 503; -1: as the kind says */
    struct mr_slice result;    /* JSON; data NULL: none. Borrowed from the call */
    char error[MR_CALL_ERROR]; /* why it failed; "" */
};

/* Judges a call that has ended; `out->result` borrows the call's answer. */
void mr_push_judge(const struct mr_call *call, struct mr_push_verdict *out);

/*
 * Appends at most `most` bytes of `text` in a form that PostgreSQL accepts, cut between characters. NUL, and bytes that are not
 * UTF-8, become question marks.
 */
void mr_push_text(struct mr_buf *out, struct mr_slice text, size_t most);

#endif
