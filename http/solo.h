/*
 * solo: a server with a loop and a thread of its own, which answers whatever the event loop of the requests does.
 *
 * The handler and its application are called in that thread only.
 */
#ifndef MR_HTTP_SOLO_H
#define MR_HTTP_SOLO_H

#include "http/server.h"

struct mr_http_solo;

/*
 * Starts a server with a thread of its own; it makes the `loop` of the options itself. `name` has to outlive it. NULL: no memory
 * or no thread, and the listening socket is closed.
 */
struct mr_http_solo *mr_http_solo_start(const char *name, const struct mr_http_options *options);

/* Ends every connection and the thread, frees it and sets the caller's pointer to NULL. Accepts NULL. */
void mr_http_solo_stop(struct mr_http_solo **self);

#endif
