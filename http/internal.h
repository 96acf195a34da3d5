/*
 * internal: what the files of the server share.
 */
#ifndef MR_HTTP_INTERNAL_H
#define MR_HTTP_INTERNAL_H

#include <ev.h>
#include <netinet/in.h>
#include <sys/queue.h>

#include "http/body.h"
#include "http/connection.h"
#include "http/server.h"

struct lws;
struct lws_context;
struct lws_vhost;

enum { MR_HTTP_RECEIVE = 64 * 1024 };

/* What a connection waits for. */
enum phase {
    PHASE_IDLE,   /* the first byte of a request */
    PHASE_HEAD,   /* the rest of a head */
    PHASE_BODY,   /* the rest of a body */
    PHASE_SLOW,   /* the same, past the span that every body has or behind a pause: looked at each second */
    PHASE_WAIT,   /* the handler; it has a deadline of its own */
    PHASE_FLUSH,  /* the client, to take what is written */
    PHASE_LINGER, /* the client's end, after ours: closing with unread input would destroy the answer on its way */
    PHASE_DEAD,   /* mr_http_server_reap */
    PHASE_COUNT
};

/* A request whose body did not come together with its head. */
struct incoming {
    struct mr_http_plan plan;
    struct mr_http_body body;
    struct mr_http_request request; /* its slices borrow `head` */
    uint64_t received;              /* bytes of content */
    int64_t started_ms;             /* monotonic; without the time that the handler took */
    int64_t paused_ms;              /* when the handler took less than all */
    struct mr_buf content;          /* unless plan.stream */
    char head[];
};

/* Lives in libwebsockets' memory for the descriptor, zeroed when that is adopted. */
struct mr_http_connection {
    struct lws *wsi;
    struct mr_http_server *server;
    int fd;
    struct sockaddr_in6 peer; /* room for IPv4 as well */
    enum phase phase;
    int64_t phase_ends_ms; /* monotonic */
    TAILQ_ENTRY(mr_http_connection) in_phase;
    TAILQ_ENTRY(mr_http_connection) in_runnable;
    struct mr_buf in;  /* received, not yet part of a finished request */
    struct mr_buf out; /* written, not yet taken by the kernel from `out_at` on */
    size_t out_at;
    int64_t out_seen;        /* how far the client had come in `out` when its time to take it began last */
    int64_t linger_until_ms; /* monotonic; what arrives later does not prolong PHASE_LINGER */
    struct mr_http_scan scan;
    struct incoming *incoming; /* NULL: the request under way is complete, or there is none */
    void *exchange;            /* the handler's; NULL: no request is under way */
    bool is_head;              /* of the request under way */
    bool is_old;               /* it is HTTP/1.0 */
    bool body_unread;          /* bytes of its body are still to come */
    bool close_after;          /* the answer to it is the last */
    bool is_runnable;          /* on the server's list */
    bool paused;               /* enough is kept; nothing is read */
    bool ended;                /* the client has sent all it will */
    bool broken;               /* the kernel says that the connection does not stand any more */
    struct mr_buf receipt;     /* the argument of handler.lost; empty: nothing needs one */
    int64_t receipt_until_ms;  /* monotonic; a reset until then destroyed the answer */
    bool lost;                 /* the connection ended, and what the receipt is for did not arrive */
};

TAILQ_HEAD(connection_list, mr_http_connection);

struct mr_http_server {
    struct mr_http_options options;
    struct lws_context *context;
    struct lws_vhost *vhost;
    ev_io accepting;
    unsigned count;
    struct mr_http_traffic traffic;
    struct connection_list phases[PHASE_COUNT]; /* each by end, since all in a phase have the same span */
    struct connection_list runnable;
    struct mr_buf out; /* the answer being written */
    struct {           /* how answers of this second, status and type begin, up to the length of the body */
        struct mr_buf text;
        int64_t second;
        int status;
        const char *type; /* compared by its address; borrowed, static */
    } opening;
    bool draining;
    char received[MR_HTTP_RECEIVE];
};

/* ---- connection.c: none of these frees the connection; connection_closed fills the place of a destructor. ---- */

/* Moves it to a phase, whose timer starts. Nothing leads out of PHASE_DEAD. */
void connection_enter(struct mr_http_connection *self, enum phase phase);

/* Sends bytes, or keeps a copy of what the kernel does not take. Out of memory or a broken socket: PHASE_DEAD. */
void connection_write(struct mr_http_connection *self, struct mr_slice bytes);

/* Says that the answer is written. Sends the rest, then waits for the next request or closes. */
void connection_answered(struct mr_http_connection *self);

/* Says that a request begins, which shows that its client has the previous answer. */
void connection_begins(struct mr_http_connection *self);

/* Says that libwebsockets has taken the socket. Begins the first phase. */
void connection_adopted(struct mr_http_connection *self);

/* Receives what has arrived and continues to read. May end an exchange. */
void connection_readable(struct mr_http_connection *self);

/* Sends what was kept because the kernel did not take it. */
void connection_writeable(struct mr_http_connection *self);

/* Continues with the bytes that arrived while a request was under way. */
void connection_run(struct mr_http_connection *self);

/*
 * Says that the phase's timer has expired. Gives a body that arrives fast enough more time, answers 408 to one that does not,
 * and closes the connection otherwise.
 */
void connection_expire(struct mr_http_connection *self);

/* Marks it for closing; the server closes it at the end of its turn, not here. */
void connection_die(struct mr_http_connection *self);

/* The socket is closed: tells the handler that its exchange lost the client, and frees what the struct holds. */
void connection_closed(struct mr_http_connection *self);

#endif
