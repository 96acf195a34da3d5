/*
 * trace: which trace a request belongs to (W3C Trace Context, 3.2).
 */
#ifndef MR_GATEWAY_TRACE_H
#define MR_GATEWAY_TRACE_H

#include "http/head.h"

enum { MR_TRACEPARENT = 56 };

/*
 * The request's traceparent, terminated: as given when it is one and well-formed, else made of `id`. `request` NULL: none
 * was given. Of versions to come only what version 00 knows is kept.
 */
void mr_trace_of(char out[MR_TRACEPARENT], const struct mr_http_request *request, const uint8_t id[16]);

/* The trace id of such a text, 32 digits; borrowed. */
struct mr_slice mr_trace_id(const char traceparent[MR_TRACEPARENT]);

#endif
