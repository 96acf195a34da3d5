/*
 * rate_limit: a token bucket for each caller, in memory that never grows.
 *
 * A bucket holds as many tokens as requests are allowed in a minute; each request takes one, and they come back
 * evenly. A caller whose bucket is full and one that was never seen are the same, and cost nothing.
 *
 * The buckets are in a table of fixed size. A keyed hash selects a caller's set, so nobody outside can aim at another's. A caller
 * without a bucket takes over the fullest bucket of its set, with its content: it is mostly full, because an idle bucket is a
 * full one. Nobody gains by that: the caller that loses a bucket had the fullest of the set, so any bucket that it gets later
 * holds no more than its own would. A million addresses free nobody's bucket, and in a table that is all in use newcomers share
 * buckets instead of getting fresh ones.
 *
 * Thread: one, the gateway's. O(1) for a request, nothing is allocated.
 */
#ifndef MR_GATEWAY_RATE_LIMIT_H
#define MR_GATEWAY_RATE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

enum { MR_RATE_WINDOW_S = 60, MR_RATE_SETS = 16384, MR_RATE_WAYS = 8, MR_RATE_ID = 16 };

struct mr_rate_limit;

/* A user and an address of the same bytes are two callers. */
enum mr_rate_caller { MR_RATE_USER, MR_RATE_ADDRESS };

/* What the RateLimit headers tell (draft-ietf-httpapi-ratelimit-headers). */
struct mr_quota {
    const char *policy; /* NULL: no limit applies */
    unsigned limit;     /* tokens of a full bucket */
    unsigned remaining; /* tokens left */
    unsigned reset_s;   /* until it is full, or when the request was refused, until a token is there; at least 1 */
};

/* `policy`: its name in the headers, not copied. `per_minute`: 1 to 1,000,000. NULL without memory. */
struct mr_rate_limit *mr_rate_limit_new(const char *policy, unsigned per_minute);

/* Frees it and sets the caller's pointer to NULL. Accepts NULL. */
void mr_rate_limit_destroy(struct mr_rate_limit **self);

/* Takes a token from the caller's bucket; false when there is none. `now_ms`: monotonic. Sets `quota` either way. */
bool mr_rate_limit_take(struct mr_rate_limit *self, enum mr_rate_caller caller, const uint8_t id[MR_RATE_ID], int64_t now_ms,
                        struct mr_quota *quota);

/* Whether mr_rate_limit_take would find one; takes nothing. */
bool mr_rate_limit_has(struct mr_rate_limit *self, enum mr_rate_caller caller, const uint8_t id[MR_RATE_ID], int64_t now_ms);

#endif
