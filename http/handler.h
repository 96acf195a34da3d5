/*
 * handler: the table of functions that the server calls to have requests answered.
 *
 * A request has one exchange, from its head to its end. `begin` makes it; exactly one of three ends it: an answer
 * (mr_http_respond and mr_http_respond_end, from wherever), or `gone`. After either, neither side names it again.
 *
 *   begin ─┬─ fail                                            a head that is refused
 *          └─ head ─┬─ whole                                  the body is at hand
 *                   └─ part … part ─┬─ end                    the body travels on while it comes (plan.stream)
 *                                   └─ fail                   it is malformed, too large, too slow or cut off
 *
 * Each but `begin`, `gone` and `lost` may answer; `whole`, `part` and `end` may leave that for later, `fail` has to do it.
 *
 * Thread: the event loop's.
 */
#ifndef MR_HTTP_HANDLER_H
#define MR_HTTP_HANDLER_H

#include "http/head.h"

struct mr_http_connection;

/* What becomes of the body. Zeroed: none is taken. */
struct mr_http_plan {
    bool stream;       /* it is handed on in parts; else when it is whole */
    uint64_t body_max; /* bytes; what is over that fails with MR_TOO_LARGE, as soon as it is known */
};

struct mr_http_handler {
    /*
     * Makes the exchange; must not answer. Of a head that is going to fail, `request` is what could be read. NULL: no
     * memory, and the connection ends. The request is borrowed, for this call.
     */
    void *(*begin)(void *application, struct mr_http_connection *connection, const struct mr_http_request *request);

    /* Makes the plan, or answers. */
    void (*head)(void *exchange, const struct mr_http_request *request, struct mr_http_plan *plan);

    /* The request is complete. It and the body are borrowed, for this call. */
    void (*whole)(void *exchange, const struct mr_http_request *request, struct mr_slice body);

    /* Content came. Returns how much was taken; after less than all nothing more is offered until mr_http_resume. */
    size_t (*part)(void *exchange, struct mr_slice content);

    /* All of the content was taken. */
    void (*end)(void *exchange);

    /* The request cannot be read, or cannot be read on: answers with `fault`, and the connection ends behind that. */
    void (*fail)(void *exchange, mr_status fault);

    /* The client is gone; nobody reads an answer any more. */
    void (*gone)(void *exchange);

    /*
     * The client has closed its sending side, which may be the only sign that it left, or sends more than is buffered behind a
     * request, so that its leaving could not be seen. A parked request answers now; others may continue.
     */
    void (*pressed)(void *exchange);

    /* The answer that needed this receipt (mr_http_need_receipt) did not arrive, whole, as far as can be known. */
    void (*lost)(void *application, struct mr_slice receipt);
};

#endif
