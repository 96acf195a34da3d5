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
#include "gateway/keys.h"
#include "gateway/precondition.h"
#include "gateway/rate_limit.h"
#include "gateway/route.h"
#include "gateway/trace.h"
#include "http/connection.h"
#include "http/server.h"
#include "proto/uuid.h"

enum { WRITERS_REMEMBERED = 16384, REQUEST_ID_MAX = 128, BODY_MAX = 1024 * 1024, KEEP_BYTES = 256 * 1024 };

struct exchange;
struct docs;
struct waiting_room;
TAILQ_HEAD(exchange_list, exchange);

/* What waits at one actor; the bound of its mailbox. */
struct mailbox_load {
    struct mr_actor *actor;
    unsigned messages;
    size_t bytes;
};

/* What the body of health says. */
struct health_state {
    bool up;   /* the database */
    bool idle; /* nobody is connected to it, because there is no work */
    bool has_replica, replica_away, replica_lags;
    int64_t lag_ms; /* of a replica that lags; else 0 */
};

struct gateway {
    const struct mr_gateway_options *options;
    const struct mr_config *config;
    const struct mr_clock *clock;

    struct ev_loop *loop;
    int listen_fd; /* until the server has it */
    struct mr_http_server *server;
    struct mr_http_traffic traffic; /* as of the last tick */
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
    struct exchange_list uploads; /* by when they beat next */
    struct waiting_room *waiting; /* requests that wait for something to happen */

    struct mr_token_cache *tokens;
    struct mr_key_cache *keys;
    struct mr_cache cache;
    struct docs *docs;                   /* NULL: no documentation is served */
    struct mr_rate_limit *auth_limit;    /* NULL: off */
    struct mr_rate_limit *default_limit; /* NULL: off */
    int64_t *wrote_until_ms; /* by hash of the user: until then their reads go to the primary; NULL without a replica */
    struct mr_buf body;      /* the JSON of the answer being made */
    struct mr_buf headers;   /* further headers of the answer being made */
    struct mr_buf frame;     /* the envelope being built */
    struct mr_buf payload;   /* its payload */
    struct mr_buf fixed;     /* headers of every response */
    struct mr_buf plain;     /* the same, with those that a response has unless it brings its own */
    struct mr_buf problem;   /* how the last problem without details began, up to its instance; `problem_status` says which */
    mr_status problem_status;
    struct mr_buf health; /* the body of health as of `health_state`; empty: there is none yet */
    struct health_state health_state;
    uint8_t random[1024];
    size_t random_left;

    bool draining;
    int64_t drain_started_ms;
    int64_t database_seen_ms; /* when the primary last answered anything; monotonic, 0: never */
};

/* gateway.c */

/* Makes a UUID of version 7 (RFC 9562). */
void gateway_new_id(struct gateway *gateway, uint8_t out[16]);

/* Monotonic time of the gateway's clock, in milliseconds. */
int64_t gateway_now_ms(const struct gateway *gateway);

#endif
