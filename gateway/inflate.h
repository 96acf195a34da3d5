/*
 * inflate: decodes a gzip body while it arrives (RFC 1952).
 *
 * The output is bounded as a whole, so a few bytes that would become gigabytes are refused at the bound, and it never exceeds the
 * caller's room at a time. Consecutive members are one text (2.2); anything else after a member is refused.
 *
 * Thread: one at a time. Ownership: mr_inflate_new's result is the caller's.
 */
#ifndef MR_GATEWAY_INFLATE_H
#define MR_GATEWAY_INFLATE_H

#include <stdint.h>

#include "proto/buffer.h"
#include "proto/status.h"

struct mr_inflate;

/* Where its memory comes from; NULL stands for calloc and free. For tests, which run out of it. */
struct mr_inflate_memory {
    void *(*take)(void *argument, unsigned count, unsigned size);
    void (*give)(void *argument, void *memory);
    void *argument;
};

/* `max`: bytes that may come out in all. MR_NO_MEMORY. */
mr_status mr_inflate_new(struct mr_inflate **out, uint64_t max, const struct mr_inflate_memory *memory) MR_WARN_UNUSED;

/* Frees it and sets the caller's pointer to NULL. Accepts NULL. */
void mr_inflate_destroy(struct mr_inflate **self);

/*
 * Takes from the front of `in` and makes at most `room` (1 or more) bytes, `*made` of them. Call it until `in` is empty and
 * less than `room` was made: only then is nothing kept back. MR_INVALID: this is no gzip, or its check does not hold.
 * MR_TOO_LARGE: more than `max` would come out. MR_NO_MEMORY. After a failure only destroy it.
 */
mr_status mr_inflate_take(struct mr_inflate *self, struct mr_slice *in, char *out, size_t room, size_t *made) MR_WARN_UNUSED;

/* Whether the text may end here: behind a whole member. */
bool mr_inflate_is_whole(const struct mr_inflate *self);

#endif
