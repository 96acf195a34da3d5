#include "gateway/inflate.h"

#define ZLIB_CONST
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

enum { GZIP_ONLY = 16 + MAX_WBITS };

struct mr_inflate {
    z_stream zlib;
    uint64_t left; /* that may still come out */
    bool is_whole; /* behind the end of a member, and nothing of another one has come */
};

mr_status mr_inflate_new(struct mr_inflate **out, uint64_t max, const struct mr_inflate_memory *memory)
{
    struct mr_inflate *self = calloc(1, sizeof *self);

    if (self == NULL)
        return MR_NO_MEMORY;
    if (memory != NULL) {
        self->zlib.zalloc = memory->take;
        self->zlib.zfree = memory->give;
        self->zlib.opaque = memory->argument;
    }
    self->left = max;
    if (inflateInit2(&self->zlib, GZIP_ONLY) != Z_OK) {
        free(self);
        return MR_NO_MEMORY;
    }
    *out = self;
    return MR_OK;
}

void mr_inflate_destroy(struct mr_inflate **self)
{
    if (*self != NULL)
        inflateEnd(&(*self)->zlib);
    free(*self);
    *self = NULL;
}

/* One step of zlib's on what is set; behind a whole member it begins the next. */
static mr_status step(struct mr_inflate *self)
{
    if (self->is_whole) {
        if (inflateReset(&self->zlib) != Z_OK)
            return MR_INVALID;
        self->is_whole = false;
    }
    switch (inflate(&self->zlib, Z_NO_FLUSH)) {
    case Z_STREAM_END: self->is_whole = true; return MR_OK;
    case Z_OK:
    case Z_BUF_ERROR: return MR_OK; /* it wants more input, or more room */
    case Z_MEM_ERROR: return MR_NO_MEMORY;
    default: return MR_INVALID;
    }
}

static unsigned at_most(uint64_t size)
{
    return size < UINT_MAX ? (unsigned)size : UINT_MAX;
}

/* Into the caller's room as far as the bound allows; past it into a byte of our own, which must stay empty. */
static mr_status fill(struct mr_inflate *self, char *out, size_t room, size_t *made)
{
    unsigned char beyond;
    bool at_bound = self->left == 0;
    unsigned size = at_bound ? 1 : at_most(room < self->left ? room : self->left);
    mr_status status;

    self->zlib.next_out = at_bound ? &beyond : (unsigned char *)out;
    self->zlib.avail_out = size;
    status = step(self);
    if (status == MR_OK && at_bound && self->zlib.avail_out == 0)
        return MR_TOO_LARGE;
    *made = at_bound ? 0 : size - self->zlib.avail_out;
    self->left -= *made;
    return status;
}

/* Takes what it can from the front of `in`; how much came of it is in `*made`. */
static mr_status advance(struct mr_inflate *self, struct mr_slice *in, char *out, size_t room, size_t *made)
{
    unsigned given = at_most(in->len);
    mr_status status;
    size_t taken;

    self->zlib.next_in = (const unsigned char *)in->data;
    self->zlib.avail_in = given;
    status = fill(self, out, room, made);
    taken = given - self->zlib.avail_in;
    *in = (struct mr_slice){in->data + taken, in->len - taken};
    return status;
}

mr_status mr_inflate_take(struct mr_inflate *self, struct mr_slice *in, char *out, size_t room, size_t *made)
{
    *made = 0;
    while (*made < room && (in->len > 0 || !self->is_whole)) {
        size_t before = in->len;
        size_t more = 0;
        mr_status status = advance(self, in, out + *made, room - *made, &more);

        if (status != MR_OK)
            return status;
        if (in->len == before && more == 0)
            break;
        *made += more;
    }
    return MR_OK;
}

bool mr_inflate_is_whole(const struct mr_inflate *self)
{
    return self->is_whole;
}
