/*
 * read: from the bytes of a connection to requests.
 */
#ifndef MR_HTTP_READ_H
#define MR_HTTP_READ_H

#include "http/internal.h"

/* Whether bytes are wanted now: no request waits for its answer. */
bool read_wants_bytes(const struct mr_http_connection *self);

/* Reads requests as long as each is answered at once, or content as long as it is taken. Returns the bytes used. */
size_t read_bytes(struct mr_http_connection *self, const char *data, size_t len);

/* Tells the handler that the request under way cannot be read on, and why. */
void read_fail(struct mr_http_connection *self, mr_status fault);

/* Frees what is kept of a request whose body has not come to its end. */
void read_forget(struct mr_http_connection *self);

#endif
