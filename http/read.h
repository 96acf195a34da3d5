/*
 * read: from the bytes of a connection to requests.
 */
#ifndef MR_HTTP_READ_H
#define MR_HTTP_READ_H

#include "http/internal.h"

/* Whether bytes are wanted now: no request waits for its answer. */
bool read_wants_bytes(const struct mr_http_connection *self);

/*
 * Reads requests as long as each is answered at once, or content as long as the handler takes it. Returns the number of bytes
 * used.
 */
size_t read_bytes(struct mr_http_connection *self, const char *data, size_t len);

/* Tells the handler that the request under way cannot be read further, and why. */
void read_fail(struct mr_http_connection *self, mr_status fault);

/* Frees what was kept of a request whose body did not arrive completely. */
void read_forget(struct mr_http_connection *self);

#endif
