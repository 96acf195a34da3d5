/*
 * requests: what clients send: well-formed requests for the rows of the map, and pieces of every other kind.
 */
#ifndef MR_TESTS_FUZZ_GATEWAY_REQUESTS_H
#define MR_TESTS_FUZZ_GATEWAY_REQUESTS_H

#include <stdint.h>

#include "proto/ops.h"
#include "proto/buffer.h"

/* The variations of a request. */
enum request_flags {
    REQUEST_ADMIN = 1,
    REQUEST_ANONYMOUS = 2, /* no token; with REQUEST_ADMIN one that expired, or with REQUEST_FULL, too, an API key */
    REQUEST_CLOSES = 4,
    REQUEST_HEAD = 8,     /* HEAD instead of GET; Expect: 100-continue where there is a body */
    REQUEST_GUARDED = 16, /* If-None-Match, If-Match, Idempotency-Key */
    REQUEST_OLD = 32,     /* HTTP/1.0 */
    REQUEST_FULL = 64,    /* with all its fields, not only those it needs */
    REQUEST_ORIGIN = 128
};

/* How its body comes, where it has one; any combination. */
enum request_body {
    REQUEST_CHUNKED = 1,
    REQUEST_GZIP = 2, /* members one after the other; of an upload */
    REQUEST_BOMB = 12  /* both bits, with REQUEST_GZIP: each a thousand times larger than it looks */
};

/* A request in the making. */
struct request {
    struct mr_buf bytes; /* its head; its body, too, unless it goes on */
    size_t goes_on;      /* bytes of the body that are still to come: `pattern`, again and again */
    struct mr_slice pattern;
    bool chunked; /* they come in chunks; behind them the last, empty one */
    bool to_head;
    bool closes;  /* its answer is the last */
    bool invites; /* 100 Continue may come first */
};

/* Makes tokens and compressed bodies, once; they outlive every input. */
void requests_setup(void);

/* The row of the map for any number; those that have no route are left out. */
enum mr_op request_op(uint8_t number);

/* A row whose body travels in parts. */
enum mr_op request_upload_op(uint8_t number);

/* A request for a row, under an id. `size`: of the body, for an op whose body travels in parts. */
void request_make(struct request *out, enum mr_op op, unsigned flags, unsigned body, size_t size, const char *id);

/* Lines as an import takes them, again and again. */
struct mr_slice request_lines(void);

/* A piece of a request, or a whole one, well-formed or not. */
struct mr_slice request_piece(uint8_t number);

#endif
