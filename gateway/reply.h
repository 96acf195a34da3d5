/*
 * reply: from the outcome of a request to its answer.
 *
 * Each function here writes the answer and ends the exchange (exchange_end): it must not be touched afterwards. Everything
 * else that is given is borrowed for the call.
 */
#ifndef MR_GATEWAY_REPLY_H
#define MR_GATEWAY_REPLY_H

#include "gateway/exchange.h"

/* Answers with JSON and the code `http`. `extra_headers`: further field lines, each ended by CR LF; NULL: none. */
void reply_json(struct exchange *exchange, int http, struct mr_slice body, const char *extra_headers);

/* Answers with a success of the gateway's own, under the conditions of the request. `headers` holds the entity tag, too. */
void reply_kept(struct exchange *exchange, const char *type, struct mr_slice body, const char *etag, const char *headers);

/* Answers with what an actor answered to the operation of the exchange. */
void reply_answer(struct exchange *exchange, struct mr_slice payload);

/* Answers with what was kept of an earlier answer; `cached` is borrowed. */
void reply_cached(struct exchange *exchange, const struct mr_cached *cached);

/* Answers with a problem (RFC 9457). `detail` NULL: the status's own. `errors`: members of a JSON array, comma-separated; empty: none. */
void reply_problem(struct exchange *exchange, mr_status status, const char *detail, struct mr_slice errors);

/* Answers with a fault of the request, as an actor or a check tells it; `fault` is borrowed. */
void reply_fault(struct exchange *exchange, const struct mr_fault *fault);

/* Answers 405. `allow`: a list of methods. */
void reply_method(struct exchange *exchange, struct mr_slice allow);

/* Answers a CORS preflight. `allow`: a list of methods. */
void reply_preflight(struct exchange *exchange, struct mr_slice allow);

/* ---- These end nothing. ---- */

/* Makes the parts of the head that all answers share. `gateway->fixed.failed`: no memory. */
void reply_setup(struct gateway *gateway);

/* Remembers which origin the answer may go to (the Fetch standard, CORS protocol). */
void reply_origin(struct exchange *exchange, const struct mr_http_request *request);

#endif
