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
 * Starts it. Of the options `loop` is made here. `name` has to outlive it. NULL when the system has no memory or no thread to
 * give; the listening socket is closed then, too.
 */
struct mr_http_solo *mr_http_solo_start(const char *name, const struct mr_http_options *options);

/* Ends every connection and the thread, frees it and sets the caller's pointer to NULL. Accepts NULL. */
void mr_http_solo_stop(struct mr_http_solo **self);

#endif
