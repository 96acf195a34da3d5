/*
 * server: the listening socket, the connections and their timers.
 *
 * Sockets live in libwebsockets' place in a libev loop, as descriptors that are read and written here: decision 0024 says
 * why. Requests go to the handler; the server knows no operation.
 *
 * Thread: the event loop's, all of it.
 */
#ifndef MR_HTTP_SERVER_H
#define MR_HTTP_SERVER_H

#include "http/handler.h"
#include "runtime/clock.h"

struct ev_loop;

struct mr_http_options {
    struct ev_loop *loop;
    const struct mr_clock *clock;
    int listen_fd;     /* listening; the server closes it */
    unsigned most;     /* connections at once; more wait in the kernel's queue */
    int64_t idle_ms;   /* for the first byte of a request */
    int64_t head_ms;   /* for a head, all of it */
    int64_t body_ms;   /* for a body, and for a client to take an answer; longer for who keeps up `body_rate` */
    int64_t body_rate; /* bytes a second that let a body take longer than that */
    const struct mr_http_handler *handler;
    void *application; /* given to handler.begin */
};

struct mr_http_server;

/* Opens a listening socket, which the caller owns. Not MR_OK: `problem` says why. */
mr_status mr_http_listen(int *out, const char *host, int port, struct mr_buf *problem) MR_WARN_UNUSED;

/* Raises the limit of open files to what `connections` need; returns how many connections it allows. */
unsigned mr_http_allow_files(unsigned connections);

/*
 * Makes a server, which takes over the listening socket; the caller destroys it. NULL: the event loop or libwebsockets cannot be
 * set up, and the listening socket is closed.
 */
struct mr_http_server *mr_http_server_new(const struct mr_http_options *options);

/* Ends every connection (handler.gone is called for their exchanges) and frees the server. NULL is fine. */
void mr_http_server_destroy(struct mr_http_server **self);

/* Continues what answers have made possible: requests that waited behind them, and content that can be taken. Calls the handler. */
void mr_http_server_run(struct mr_http_server *self);

/* Whether mr_http_server_run has anything to do. */
bool mr_http_server_has_work(const struct mr_http_server *self);

/* Frees the connections that have ended. Call it at the end of each turn of the loop. Calls handler.gone. */
void mr_http_server_reap(struct mr_http_server *self);

/* Ends what is late, and resumes accepting after a failure to accept. Call it with every tick. Calls handler.fail. */
void mr_http_server_expire(struct mr_http_server *self);

/* From now on every connection closes after its next answer. */
void mr_http_server_drain(struct mr_http_server *self);

/* Closes the listening socket. Clients that have connected are still served. */
void mr_http_server_stop_accepting(struct mr_http_server *self);

/* Ends the connections on which no request is under way. */
void mr_http_server_close_idle(struct mr_http_server *self);

/* Bytes of all connections so far. */
struct mr_http_traffic {
    uint64_t received;
    uint64_t sent;
};

/* Bytes in and out of all connections since the start, including closed ones. */
struct mr_http_traffic mr_http_server_traffic(const struct mr_http_server *self);

/* How many connections are open. */
unsigned mr_http_server_connections(const struct mr_http_server *self);

/* Whether the port is open to new connections: true from the start until the server stops listening. */
bool mr_http_server_is_listening(const struct mr_http_server *self);

#endif
