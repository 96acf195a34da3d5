/*
 * internal: what the files of the gateway share. One thread uses all of it.
 */
#ifndef MR_GATEWAY_INTERNAL_H
#define MR_GATEWAY_INTERNAL_H

#include <ev.h>
#include <sys/queue.h>

#include "gateway/authenticate.h"
#include "gateway/cache.h"
#include "gateway/gateway.h"
#include "gateway/http.h"
#include "gateway/precondition.h"
#include "gateway/rate_limit.h"
#include "gateway/route.h"
#include "gateway/trace.h"
#include "proto/uuid.h"

struct lws;
struct lws_context;
struct lws_vhost;

enum { WRITERS_REMEMBERED = 16384, REQUEST_ID_MAX = 128, PIPELINE_MAX = 32 * 1024, BODY_MAX = 100 * 1024 };

/* ---- Connections ---- */

/* What a connection waits for. */
enum phase {
    PHASE_IDLE,   /* the first byte of a request; GATEWAY_KEEPALIVE_TIMEOUT */
    PHASE_HEAD,   /* the rest of a head; GATEWAY_HEADER_TIMEOUT for all of it */
    PHASE_BODY,   /* the rest of a body; GATEWAY_BODY_TIMEOUT for all of it */
    PHASE_ANSWER, /* an actor; the exchange has the deadline */
    PHASE_FLUSH,  /* the client, to take what is written; GATEWAY_BODY_TIMEOUT */
    PHASE_LINGER, /* the client's end, after ours: closing with unread input would destroy the answer on its way */
    PHASE_COUNT
};

/* Lives in libwebsockets' per-session memory, zeroed when the socket is adopted. */
struct connection {
    struct lws *wsi;
    struct gateway *gateway;
    enum phase phase;
    int64_t phase_ends_ms; /* monotonic; unless in PHASE_ANSWER */
    TAILQ_ENTRY(connection) in_phase;
    struct mr_buf in; /* received, not yet part of a finished request */
    struct mr_http_scan scan;
    size_t head_len;
    size_t body_len;
    struct exchange *exchange; /* the request under way; NULL: none */
    struct upload *upload;     /* its body travels ahead in parts; NULL: it does not */
    bool close_after;          /* the answer at hand is the last */
    bool advancing;            /* inside advance(): an answer now must not start another */
    bool paused;               /* reading is off */
    bool dead;                 /* a write failed */
    bool peer_is_known;
    uint8_t peer[16]; /* its address, to count by */
};

TAILQ_HEAD(connection_list, connection);

/* ---- Requests under way ---- */

/* What is needed to answer, from the request's arrival to its end. */
struct exchange {
    struct gateway *gateway;
    struct connection *connection; /* NULL: the client has gone */
    uint32_t index;                /* in gateway.exchanges */
    uint32_t generation;           /* tells this use of the index from the one before */
    enum mr_op op;                 /* what the client asked for; MR_OP_COUNT while that is not known */
    unsigned mailbox;              /* where it waits; index into gateway.mailboxes */
    size_t bytes;                  /* of its envelope */
    int64_t started_ms;            /* monotonic */
    int64_t deadline_ms;           /* monotonic */
    bool sent;                     /* counted at its mailbox */
    bool is_head;
    struct mr_buf link;        /* of a list: the Link's target up to the cursor's digits; see mr_link_begin */
    struct mr_quota quota;     /* what is left to the caller */
    uint64_t cache_generation; /* when the message was sent */
    struct mr_buf cache_key;   /* of an op that may be cached: whole, since another answer may have its beginning */
    struct mr_preconditions conditions;
    bool has_user;
    uint8_t user_id[16]; /* of the caller */
    uint8_t new_id[16];  /* the id made for the message, for Location */
    char request_id[REQUEST_ID_MAX + 1];
    char traceparent[MR_TRACEPARENT];
    char origin[256];                /* CORS: the value of Access-Control-Allow-Origin, "" for none */
    TAILQ_ENTRY(exchange) in_flight; /* by deadline; deadlines are made in order, or nearly */
};

TAILQ_HEAD(exchange_list, exchange);

/* What waits at one actor; the bound of its mailbox. */
struct mailbox_load {
    const struct mr_actor *actor;
    unsigned messages;
    size_t bytes;
};

/* ---- The whole ---- */

struct gateway {
    const struct mr_gateway_options *options;
    const struct mr_config *config;
    const struct mr_clock *clock;

    struct ev_loop *loop;
    struct lws_context *context;
    struct lws_vhost *vhost;
    int listen_fd;
    unsigned connection_limit;
    unsigned connection_count;
    struct connection_list phases[PHASE_COUNT]; /* each by end, since all in a phase have the same span */
    ev_io accepting;
    ev_io mail;
    ev_prepare before_sleep;
    ev_timer tick;
    ev_signal sigterm, sigint;

    mr_mailbox *mailbox;
    struct mailbox_load *mailboxes;
    unsigned mailbox_count;
    struct exchange **exchanges;
    uint32_t exchange_room;
    uint32_t *free_indices;
    uint32_t free_count;
    struct exchange_list in_flight;

    struct mr_token_cache *tokens;
    struct mr_cache cache;
    struct mr_rate_limit *auth_limit;    /* NULL: off */
    struct mr_rate_limit *default_limit; /* NULL: off */
    int64_t *wrote_until_ms; /* by hash of the user: until then their reads go to the primary; NULL without a replica */
    struct mr_buf out;       /* the response being built */
    struct mr_buf body;      /* its JSON */
    struct mr_buf frame;     /* the envelope being built */
    struct mr_buf payload;   /* its payload */
    struct mr_buf fixed;     /* headers of every response */
    char date[64];           /* IMF-fixdate of `date_s` */
    int64_t date_s;
    uint8_t random[1024];
    size_t random_left;

    bool draining;
    int64_t drain_started_ms;
    bool database_up; /* what the last ping said */
    int64_t database_seen_ms;
};

/* connection.c */
void connection_enter(struct connection *self, enum phase phase);
int connection_received(struct connection *self, const char *data, size_t len);
int connection_writeable(struct connection *self);
void connection_closed(struct connection *self);
void connection_answered(struct connection *self);
void connection_expire(struct gateway *gateway, int64_t now_ms);
void connection_kill(struct connection *self);
void connection_resume(struct connection *self);

/* dispatch.c: a whole request, or one that is refused before its body is read. */
void dispatch(struct connection *connection, const struct mr_http_request *request, struct mr_slice body);
void dispatch_fault(struct connection *connection, const struct mr_http_request *request, mr_status fault);

/* The first steps of every request: an exchange (NULL: the connection is as good as dead), and who asks for it. */
struct exchange *dispatch_begin(struct connection *connection, const struct mr_http_request *request);
mr_status dispatch_identify(struct exchange *exchange, const struct mr_http_request *request,
                            struct mr_principal *caller) MR_WARN_UNUSED;

/* upload.c: `upload_begin` false: refused, and answered. `upload_take` returns how many bytes it took. */
const struct mr_upload *upload_of(const struct mr_http_request *request);
bool upload_begin(struct connection *connection, const struct mr_http_request *request);
size_t upload_take(struct connection *connection, const char *data, size_t len);
void upload_part_kept(struct connection *connection);
void upload_free(struct connection *connection);

/* admit.c: false when the caller has to wait; exchange.quota says how long. `caller` NULL: not signed in. */
bool admit_setup(struct gateway *gateway);
void admit_fini(struct gateway *gateway);
bool admit(struct exchange *exchange, const struct mr_http_request *request, const struct mr_principal *caller);

/* exchange.c */
struct exchange *exchange_new(struct connection *connection, const struct mr_http_request *request);
mr_status exchange_send(struct exchange *self, enum mr_op message, const struct mr_value *values,
                        const struct mr_principal *principal, int64_t patience_ms) MR_WARN_UNUSED;
void exchange_free(struct exchange *self);
void exchange_take_mail(struct gateway *gateway);
void exchange_expire(struct gateway *gateway, int64_t now_ms);
bool exchange_any(const struct gateway *gateway);

/* reply.c: each ends the exchange. */
void reply_json(struct exchange *exchange, int http, struct mr_slice body, const char *extra_headers);
void reply_wire(struct exchange *exchange, struct mr_slice payload);
void reply_cached(struct exchange *exchange, const struct mr_cached *cached);
void reply_problem(struct exchange *exchange, mr_status status, const char *detail, struct mr_slice errors);
void reply_fault(struct exchange *exchange, const struct mr_fault *fault);
void reply_method(struct exchange *exchange, struct mr_slice allow);
void reply_preflight(struct exchange *exchange, struct mr_slice allow);
void reply_setup(struct gateway *gateway);
void reply_origin(struct exchange *exchange, const struct mr_http_request *request);

/* health.c */
void health_answer(struct exchange *exchange);
void health_pinged(struct exchange *exchange, bool up);
void health_live(struct exchange *exchange);
void health_ready(struct exchange *exchange);

/* server.c */
void gateway_new_id(struct gateway *gateway, uint8_t out[16]);
int64_t gateway_now_ms(const struct gateway *gateway);

#endif
