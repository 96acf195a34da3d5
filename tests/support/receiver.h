/*
 * receiver: an HTTP server on 127.0.0.1 that behaves as a test says, however badly.
 *
 * Thread: one for each connection; the functions are the test's, but for what a behaviour calls.
 */
#ifndef MR_TESTS_SUPPORT_RECEIVER_H
#define MR_TESTS_SUPPORT_RECEIVER_H

#include <stdatomic.h>

#include "tests/support/test.h"

struct receiver;

/* A request as it came, head and body, terminated. */
struct received {
    char *text;
    const char *body;
    size_t body_len;
};

/*
 * Answers a request on a connection's socket. False: the connection is closed. It must come to an end by itself once the receiver
 * is stopped: the socket is shut down then.
 */
typedef bool receiver_behaviour(struct receiver *self, int fd, const struct received *request);

struct receiver *receiver_new(receiver_behaviour *behave, const void *argument);
void receiver_destroy(struct receiver **self);

unsigned receiver_port(const struct receiver *self);
const void *receiver_argument(const struct receiver *self);

/* Connections that were accepted, and requests that were read whole, so far. */
unsigned receiver_connections(const struct receiver *self);
unsigned receiver_requests(const struct receiver *self);

/* The request that was read as the `index`-th. Borrowed. */
const struct received *receiver_request(struct receiver *self, unsigned index);

/* The value of a header of a request, in static storage; "" when it has none. `name` in lower case, as they are compared. */
const char *received_header(const struct received *request, const char *name);

/* Writes text to a socket; false: the other side has gone. */
bool receiver_write(int fd, const char *text, size_t len);

/* The behaviour that writes the argument, a whole answer, and keeps the connection. */
receiver_behaviour receiver_answers;

#endif
