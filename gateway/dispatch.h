/*
 * dispatch: routes a request to its operation; it is the server's handler.
 */
#ifndef MR_GATEWAY_DISPATCH_H
#define MR_GATEWAY_DISPATCH_H

#include "http/handler.h"

struct exchange;

/* The application that the server gives to `begin` is a struct gateway. */
extern const struct mr_http_handler dispatch_handler;

/* Resumes a request that was held until its API key was known. Answers, now or later. */
void dispatch_identified(struct exchange *exchange, const struct mr_http_request *request, struct mr_slice body);

#endif
