/*
 * exchange: a request under way, from its head to its answer.
 *
 * Ownership: the table of exchanges owns them. `exchange_end` ends one, and nothing else does: the functions of reply.h
 * call it behind the answer, `exchange_abandon` when a client has gone and no actor is at work. After either the exchange
 * may belong to another request, and must not be touched. What hangs on it, an upload above all, ends with it.
 *
 * Thread: the gateway's.
 */
#ifndef MR_GATEWAY_EXCHANGE_H
#define MR_GATEWAY_EXCHANGE_H

#include "gateway/internal.h"

/* What is needed to answer. */
struct exchange {
    struct gateway *gateway;
    struct mr_http_connection *connection; /* NULL: the client has gone */
    uint32_t index;                        /* in gateway.exchanges */
    uint32_t generation;                   /* tells this use of the index from the one before */
    enum mr_op op;                         /* what the client asked for; MR_OP_NONE while that is not known */
    struct mr_route route;                 /* its parameters borrow the request: until that has been handed over */
    mr_status route_status;                /* MR_OK: `op` and `route` are set */
    struct parts *parts;                   /* of a body that travels ahead; NULL: it does not. Owned */
    enum mr_op message;                    /* the one that was sent last: `op`, or what goes ahead of it */
    unsigned mailbox;                      /* where it waits; index into gateway.mailboxes */
    size_t bytes;                          /* of its envelope */
    int64_t started_us;                    /* monotonic */
    int64_t started_ms;                    /* the same, in milliseconds */
    int64_t sent_us;                       /* monotonic: when the message under way was; 0: there is none */
    int64_t away_us;                       /* for how long its messages so far were */
    struct mr_times times;                 /* of these, added up; `batch` is that of the last */
    int64_t deadline_ms;                   /* monotonic */
    bool sent;                             /* counted at its mailbox */
    struct mr_buf link;                    /* of a list: the Link's target up to the cursor's digits; see mr_link_begin */
    struct mr_quota quota;                 /* what is left to the caller */
    uint64_t cache_generation;             /* when the message was sent */
    struct mr_buf cache_key;               /* of an op that may be cached: whole, another answer may have its beginning */
    struct mr_preconditions conditions;
    mr_status identity;      /* MR_OK: the caller is known; else the 401 of an op that has to know them */
    struct waiting *waiting; /* the client waits for something to happen; NULL: for the answer only. Owned */
    bool has_key;            /* the caller shows what has the form of an API key, that of `key_hash` */
    char wakes[65];          /* the job that the message under way queues runs of; "": none */
    struct held *held;       /* the request, while its key is being verified; NULL: it is not. Owned */
    int64_t key_asked_ms;    /* monotonic: when somebody was asked who its key is; 0: nobody was */
    uint8_t key_hash[MR_KEY_HASH];
    struct mr_buf only; /* what the scopes of its key are narrowed to; empty: to nothing. See mr_scope_grants */
    bool has_user;
    struct mr_principal caller; /* when has_user */
    struct mr_buf asked;        /* the payload of the message under way, when that went to a replica */
    bool asks_primary;          /* the client prefers it, or a replica was asked already, whose answer is doubtful */
    uint8_t new_id[16];         /* the id made for the message, for Location */
    uint32_t head_faults;       /* of mr_http_request */
    char request_id[REQUEST_ID_MAX + 1];
    char traceparent[MR_TRACEPARENT];
    struct mr_span *span;             /* of the request; NULL: it is not recorded, or has ended. Owned */
    char origin[256];                 /* CORS: the value of Access-Control-Allow-Origin, "" for none */
    TAILQ_ENTRY(exchange) in_flight;  /* by deadline; deadlines are made in order, or nearly */
    TAILQ_ENTRY(exchange) in_uploads; /* by `beats_ms`; while actors keep some of the upload */
    int64_t beats_ms;                 /* monotonic; 0: it is in no list */
};

/* `request` is what could be read of it. NULL: no memory. */
struct exchange *exchange_new(struct gateway *gateway, struct mr_http_connection *connection,
                              const struct mr_http_request *request);

/* Ends the exchange: its answer is under way, or nobody waits for one. It must not be touched afterwards. */
void exchange_end(struct exchange *self);

/*
 * The client has disconnected. Ends the exchange, unless an actor works on it: then it ends with the actor's answer, and counts
 * as a message of the mailbox until then. The caller must not touch it afterwards.
 */
void exchange_abandon(struct exchange *self);

/*
 * Sends a message to an actor. MR_OVERLOADED: its mailbox is full; MR_UNAVAILABLE: no actor here serves it. From then on the
 * exchange has a deadline, and one message under way at a time. `patience_ms`: until the deadline.
 */
mr_status exchange_send(struct exchange *self, enum mr_op message, const struct mr_value *values,
                        const struct mr_principal *principal, int64_t patience_ms) MR_WARN_UNUSED;

/*
 * Sends a message that nobody waits for: its answer finds no exchange, and the mailbox may be full. It is lost if no actor serves
 * it, or if there is no memory. `life_ms`: its age limit.
 */
void exchange_tell(struct gateway *gateway, enum mr_op message, const struct mr_value *values, int64_t life_ms);

/*
 * MR_OVERLOADED if every mailbox for the exchange's op is full. It is checked before the request is read any further, so that a
 * refusal costs little. MR_OK promises nothing about exchange_send.
 */
mr_status exchange_find_room(const struct exchange *self) MR_WARN_UNUSED;

/* Actors keep something of the upload from here on. While the exchange lasts it sends them heartbeats. */
void exchange_keep_upload(struct exchange *self);

/* Sends the heartbeats that are due. */
void exchange_beat_uploads(struct gateway *gateway);

/* The message under way is answered: adds up where its time went. */
void exchange_note_times(struct exchange *self, const struct mr_times *times);

/* The message under way is answered; another may be sent. */
void exchange_settle(struct exchange *self);

/* The exchange that waits for this reply to the message that it sent. NULL if it waits no more. */
struct exchange *exchange_find(struct gateway *gateway, const struct mr_envelope *reply);

/*
 * To be called for an answer that a lagging replica might give wrongly. True: it came from a replica, and the primary is now
 * asked, within the same deadline; if that is impossible, the client gets 503. False: the answer is final.
 */
bool exchange_ask_primary(struct exchange *self) MR_WARN_UNUSED;

/* The caller has written: their reads go to the primary for a while. */
void exchange_note_write(const struct exchange *self);

/* Whether a request is under way. */
bool exchange_any(const struct gateway *gateway);

/* Frees all exchanges and their table; at the end of the gateway, when no connection is left. */
void exchange_fini_all(struct gateway *gateway);

#endif
