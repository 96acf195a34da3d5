/*
 * backoff: when to retry a failed step.
 *
 * If only success moves a deadline, a step that fails at once makes the loop spin. So every loop that retries keeps one of these
 * for each step that can fail: the pause is 100 ms at first and doubles up to 30 s, give or take a quarter, so that several
 * processes do not retry in step.
 *
 * Thread: its owner's; a zeroed struct has not failed.
 */
#ifndef MR_RUNTIME_BACKOFF_H
#define MR_RUNTIME_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

enum { MR_BACKOFF_LEAST_MS = 100, MR_BACKOFF_MOST_MS = 30000 };

struct mr_backoff {
    int64_t pause_ms; /* before the next try; 0: the last one succeeded */
    int64_t until_ms; /* monotonic: the next try is due then */
    int64_t since_ms; /* monotonic: the first failure after a success */
};

/* Notes a failure at `now_ms` (monotonic); returns the pause, in milliseconds. */
int64_t mr_backoff_fail(struct mr_backoff *self, int64_t now_ms);

/* Notes a success: the next failure begins with the shortest pause again. */
void mr_backoff_succeed(struct mr_backoff *self);

/* Whether the pause is over and the next attempt is due at `now_ms` (monotonic). */
bool mr_backoff_is_over(const struct mr_backoff *self, int64_t now_ms);

/* For how many milliseconds all attempts have failed; 0: the last one succeeded. */
int64_t mr_backoff_failing_ms(const struct mr_backoff *self, int64_t now_ms);

#endif
