/*
 * answers: what a server sent, read as strictly as RFC 9112 allows.
 */
#ifndef MR_TESTS_FUZZ_GATEWAY_ANSWERS_H
#define MR_TESTS_FUZZ_GATEWAY_ANSWERS_H

#include "proto/buffer.h"

enum { ANSWER_ID = 129 };

struct answer {
    int status;
    bool interim; /* 1xx: another answer to the same request follows */
    bool closes;  /* Connection: close */
    bool is_page; /* Content-Type: text/... */
    bool has_length;
    size_t length;
    struct mr_slice id; /* X-Request-Id */
    struct mr_slice body;
};

enum answer_progress { ANSWER_MORE, ANSWER_COMPLETE, ANSWER_BROKEN };

/*
 * Reads the next answer from the `len` bytes that are there. COMPLETE: `*used` bytes are the answer. BROKEN: `*why` says
 * which rule is broken. `to_head`: 1 it answers a HEAD, 0 it does not, -1 nobody knows; a body of ours never begins as
 * an answer does.
 */
enum answer_progress answer_read(struct answer *out, const char *data, size_t len, int to_head, size_t *used, const char **why);

#endif
