/*
 * envelope: what travels between the gateway, the scheduler and the actors.
 *
 * One msgpack array in one ZeroMQ frame: [version, kind, op, correlation, deadline, traceparent, principal,
 * payload, times]. Bytes travel, never pointers, so that the same message can cross inproc:// and tcp:// alike.
 */
#ifndef MR_PROTO_ENVELOPE_H
#define MR_PROTO_ENVELOPE_H

#include "proto/message.h"
#include "proto/status.h"
#include "proto/wire.h"

enum { MR_ENVELOPE_VERSION = 3 };

enum mr_kind { MR_REQUEST, MR_REPLY, MR_ERROR, MR_KIND_COUNT };

/* An API key (proto/apikey.h) is no user: it may do what its scopes say, and nothing is its own. */
enum mr_role { MR_ROLE_USER, MR_ROLE_ADMIN, MR_ROLE_KEY, MR_ROLE_COUNT };

/* On whose behalf a message travels. The session stays behind in the gateway: an op that wants it has a field of it. */
struct mr_principal {
    uint8_t user_id[16]; /* of MR_ROLE_KEY the key's id */
    enum mr_role role;
    bool has_session; /* the token named the session it was issued in */
    uint8_t session_id[16];
};

/*
 * Where the time of a message went. A request says when it was sent; its reply gives that back with what the actor measured.
 * Each is 0 where it is not known.
 */
struct mr_times {
    int64_t sent_us;     /* wall clock, Unix microseconds */
    int64_t mailbox_us;  /* from there to the beginning of the batch that answered it */
    int64_t database_us; /* of that batch's statements, all of them: each of its messages waited for them */
    int64_t batch;       /* how many messages it answered */
};

struct mr_envelope {
    enum mr_kind kind;
    enum mr_op op;
    uint64_t correlation;        /* chosen by the asker, given back with the answer; at most INT64_MAX */
    int64_t deadline_ms;         /* wall clock, Unix milliseconds; an actor drops what is past it */
    struct mr_slice traceparent; /* W3C Trace Context; empty: none */
    bool has_principal;
    struct mr_principal principal;
    struct mr_slice payload; /* msgpack: a request's fields, a reply, or an error; borrowed */
    struct mr_times times;
};

/* Appends the encoded envelope. MR_NO_MEMORY is the only failure. */
mr_status mr_envelope_encode(struct mr_buf *out, const struct mr_envelope *envelope) MR_WARN_UNUSED;

/*
 * Reads an envelope; its slices borrow `data`. MR_INVALID for an unknown version, kind, op or role and for
 * bytes that are not such an array; trailing bytes are a fault too. `out` is untouched on failure.
 */
mr_status mr_envelope_decode(struct mr_envelope *out, const void *data, size_t len) MR_WARN_UNUSED;

/* ---- Request payload: the values of the op's fields, in the order of its field table. ---- */

/*
 * Appends the payload: `values` has an element for each field of the op's table, and is borrowed. Out of memory:
 * `out->failed`.
 */
void mr_payload_encode(struct mr_buf *out, enum mr_op op, const struct mr_value *values);

/* Fills `values`, one for each field of the op's table; they borrow `payload`. MR_INVALID: the payload does not fit the table. */
mr_status mr_payload_decode(struct mr_value *values, enum mr_op op, struct mr_slice payload) MR_WARN_UNUSED;

/* ---- Reply payload: [body, next, version, id, claims, pending]; the body is a bin, the text of one JSON value as the client gets it. ---- */

/* What a reply says beside its body. A zeroed struct says nothing. */
struct mr_reply_head {
    struct mr_slice next; /* cursor of the rest of a list; empty: none */
    int64_t version;      /* of the resource, for its entity tag; 0: none */
    struct mr_slice id;   /* the 16 bytes of the resource's id; empty: none */
    struct mr_slice
        claims;   /* of runs that the answer hands out, MR_CLAIM_BYTES each: whoever cannot deliver it gives them back */
    bool pending; /* what the client may wait for has not come yet */
};

/* The 16 bytes of a run's id, and its claim, big-endian. */
enum { MR_CLAIM_BYTES = 24 };

/* Begins a reply. Append its JSON, which has to be well-formed, and pass the returned position to mr_reply_end. */
size_t mr_reply_begin(struct mr_buf *out);

/* Ends a reply. `begun` is what mr_reply_begin returned; `head` is borrowed. Out of memory: `out->failed`. */
void mr_reply_end(struct mr_buf *out, size_t begun, const struct mr_reply_head *head);

/* Splits a reply into head and JSON, which both borrow `payload`. MR_INVALID: it is not a reply. Does not check the JSON. */
mr_status mr_reply_decode(struct mr_slice payload, struct mr_reply_head *head, struct mr_slice *json) MR_WARN_UNUSED;

/* ---- Error payload: [status, field, code, message, errors]. ---- */

struct mr_fault {
    mr_status status;
    struct mr_slice field;   /* "one|or|more"; empty: the request as a whole */
    struct mr_slice code;    /* stable word for programs */
    struct mr_slice message; /* for people */
    struct mr_slice errors;  /* instead of these three where several things are wrong: members of a JSON array, as
                                gateway/request.h has them, for which the writer vouches; empty: none */
};

/* Bytes of such a list behind which nothing more is added to it: a body may have a hundred thousand mistakes. */
enum { MR_FAULT_ERRORS = 16384 };

/* Appends {field, code, message}, with a comma in front unless it is the first. All arguments are copied. */
void mr_fault_error(struct mr_buf *out, struct mr_slice field, struct mr_slice code, struct mr_slice message);

/* Appends a fault as the payload of an error reply; `fault` is borrowed. Out of memory: `out->failed`. */
void mr_fault_encode(struct mr_buf *out, const struct mr_fault *fault);

/*
 * Reads what mr_fault_encode wrote; the slices of `out` borrow `payload`. MR_INVALID: it is no fault, and `out` is untouched.
 */
mr_status mr_fault_decode(struct mr_fault *out, struct mr_slice payload) MR_WARN_UNUSED;

#endif
