/*
 * cache: answers that are the same for everybody, kept as long as their op's traits say.
 *
 * Thread: the gateway's. Bounded: MR_CACHE_ENTRIES answers; a new one takes the place of the one that ends first.
 */
#ifndef MR_GATEWAY_CACHE_H
#define MR_GATEWAY_CACHE_H

#include <stdint.h>

#include "gateway/etag.h"
#include "proto/ops.h"

enum { MR_CACHE_ENTRIES = 64, MR_CACHE_KEY = 64 };

struct mr_cached {
    enum mr_op op;
    char key[MR_CACHE_KEY]; /* the path parameter, as sent */
    struct mr_buf body;
    char etag[MR_ETAG_TEXT]; /* quoted, terminated */
    int64_t until_ms;        /* monotonic */
};

struct mr_cache {
    struct mr_cached entries[MR_CACHE_ENTRIES];
    uint64_t generation; /* rises when everything is dropped */
};

/* The answer for op and key, NULL if there is none or it has expired. */
const struct mr_cached *mr_cache_find(const struct mr_cache *self, enum mr_op op, struct mr_slice key, int64_t now_ms);

/*
 * Keeps a copy of the body, unless the cache was emptied since `generation` was read: an answer that was under way while the data
 * changed may be outdated. Keys of MR_CACHE_KEY bytes and more are not kept.
 */
void mr_cache_keep(struct mr_cache *self, uint64_t generation, enum mr_op op, struct mr_slice key, struct mr_slice body,
                   int64_t until_ms);

/* Forgets everything. */
void mr_cache_drop(struct mr_cache *self);

#endif
