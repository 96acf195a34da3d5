/*
 * connection: a client connection, from the accepted socket to its end; one request at a time, in order.
 *
 * No function here frees the connection, runs another request or calls the handler, except where it says so: mr_http_server_run
 * runs requests that an answer has unblocked, and mr_http_server_reap frees finished connections. So a caller may keep using the
 * connection after an answer.
 *
 * Thread: the event loop's.
 */
#ifndef MR_HTTP_CONNECTION_H
#define MR_HTTP_CONNECTION_H

#include "http/handler.h"

struct sockaddr;

/*
 * Begins the answer to the request under way: status line, date, type, length and what becomes of the connection. `type`
 * NULL: no Content-Type. `body_len`: bytes that will follow; 204 and 304 have no length. Returns the buffer, borrowed until
 * mr_http_respond_end, for further field lines, each ended by CR LF.
 *
 * The connection closes after the answer if the client asked for that, if the server drains, and always if the body of the
 * request was not read to its end, because the next request could not be told from it.
 */
struct mr_buf *mr_http_respond(struct mr_http_connection *self, int status, const char *type, size_t body_len);

/* Writes the answer, the body with it unless the request was HEAD. The exchange of the request is over for the server. */
void mr_http_respond_end(struct mr_http_connection *self, struct mr_slice body);

/* Says that the handler can take more content. mr_http_server_run then calls the handler with it. */
void mr_http_resume(struct mr_http_connection *self);

/*
 * Says that the answer under way hands out something that must not be lost with it, described by `receipt`, which is copied. If
 * the connection ends before the client certainly has the answer (bytes were not sent or not acknowledged, or a reset follows
 * within 2 s), the server calls handler.lost. A client that acknowledges nothing for 5 s ends it, too. The server keeps the receipt until
 * the next request. Out of memory: handler.lost is not called.
 */
void mr_http_need_receipt(struct mr_http_connection *self, struct mr_slice receipt);

/* Whether the client has closed its sending side. Until something is sent to it, that looks the same as a client that hung up. */
bool mr_http_has_ended(const struct mr_http_connection *self);

/* Whether a request may wait: the client is connected, and the server would notice if it left. */
bool mr_http_may_wait(const struct mr_http_connection *self);

/* The client's address, as accepted. Borrowed from the connection. */
const struct sockaddr *mr_http_peer(const struct mr_http_connection *self);

#endif
