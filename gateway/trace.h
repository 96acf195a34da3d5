/*
 * trace: which trace a request belongs to (W3C Trace Context, 3.2).
 */
#ifndef MR_GATEWAY_TRACE_H
#define MR_GATEWAY_TRACE_H

#include "http/head.h"
#include "runtime/span.h"

/*
 * The request's traceparent, terminated: as given when it is one and well-formed, else made of `id`. `request` NULL: none
 * was given. Of versions to come only what version 00 knows is kept.
 */
void mr_trace_of(char out[MR_TRACEPARENT], const struct mr_http_request *request, const uint8_t id[16]);

/*
 * As mr_trace_of, but where spans are recorded (runtime/tracer.h) the flags say what the sampler has decided, and the parent id is that
 * of a new span, unless the request is not recorded and brought no trace: so it goes to the actors. Returns the request's span, the
 * caller's to end; NULL: it is not recorded.
 * `start_us`: monotonic, microseconds.
 */
struct mr_span *mr_trace_begin(char out[MR_TRACEPARENT], const struct mr_http_request *request, const uint8_t id[16],
                               int64_t start_us);

/* Ends it with what was answered. `route`: the path of the map's row; NULL: it has none for the request. Accepts NULL. */
void mr_trace_end(struct mr_span **span, const char *route, int http, int64_t end_us);

/* Ends it without an answer: the client had gone. Accepts NULL. */
void mr_trace_abandon(struct mr_span **span, int64_t end_us);

#endif
