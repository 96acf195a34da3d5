/*
 * prefer: what a client would like to have (RFC 7240), and need not get.
 */
#ifndef MR_GATEWAY_PREFER_H
#define MR_GATEWAY_PREFER_H

#include "http/head.h"

/*
 * Whether a Prefer field of the request has this preference, in any case, with or without a value or parameters. What is not
 * understood is passed over, as section 2 asks: a preference never makes a request wrong.
 */
bool mr_prefers(const struct mr_http_request *request, const char *preference);

#endif
