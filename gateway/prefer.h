/*
 * prefer: the preferences of a client (RFC 7240), which the server may ignore.
 */
#ifndef MR_GATEWAY_PREFER_H
#define MR_GATEWAY_PREFER_H

#include "http/head.h"

/*
 * Whether a Prefer field of the request has this preference, in any case, with or without a value or parameters. Anything that
 * cannot be parsed is ignored, as section 2 demands: a preference never invalidates a request.
 */
bool mr_prefers(const struct mr_http_request *request, const char *preference);

#endif
