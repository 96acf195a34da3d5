/*
 * route: from verb and path to a row of the map.
 */
#ifndef MR_GATEWAY_ROUTE_H
#define MR_GATEWAY_ROUTE_H

#include "proto/message.h"
#include "proto/status.h"

enum { MR_ROUTE_PARAMS = 4 };

/* A `:name` segment of a path; name and value are borrowed, the value is as sent. */
struct mr_route_param {
    struct mr_slice name;
    struct mr_slice value;
};

struct mr_route {
    enum mr_op op;
    struct mr_route_param params[MR_ROUTE_PARAMS];
    unsigned param_count;
};

/*
 * Finds the row. MR_NOT_FOUND: no row has that path. MR_METHOD: some have it, with other verbs; `allow` (may be
 * NULL) then lists them as an Allow header does. Segments are compared as sent: an escaped slash is no slash. What is written out
 * in a path comes before a parameter in its place. MR_NO_MEMORY: the index of the ways could not be made. The gateway's thread only.
 */
mr_status mr_route_find(struct mr_route *out, enum mr_verb verb, struct mr_slice path, struct mr_buf *allow) MR_WARN_UNUSED;

/* Makes the index of the ways, and gives its memory back; mr_route_find makes it when there is none. */
mr_status mr_route_prepare(void) MR_WARN_UNUSED;

/* Frees the index of the ways; without one it does nothing. To be called again before other ways are installed. */
void mr_route_forget(void);

/* Whether the op's resource takes the verb too: a row or an alias has one of its paths, and that verb. */
bool mr_route_takes(enum mr_op op, enum mr_verb verb);

#endif
