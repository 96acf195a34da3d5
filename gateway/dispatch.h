/*
 * dispatch: what becomes of a request; the handler of the server.
 */
#ifndef MR_GATEWAY_DISPATCH_H
#define MR_GATEWAY_DISPATCH_H

#include "http/handler.h"

/* The application that the server gives to `begin` is a struct gateway. */
extern const struct mr_http_handler dispatch_handler;

#endif
