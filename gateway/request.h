/*
 * request: from an HTTP request to the values of a message's fields, as the field table says.
 *
 * Every problem is reported at once: {field, code, message} for each field that breaks its rule.
 */
#ifndef MR_GATEWAY_REQUEST_H
#define MR_GATEWAY_REQUEST_H

#include "gateway/precondition.h"
#include "gateway/route.h"
#include "proto/envelope.h"

struct json_t;

/* The values, and what they borrow from; mr_request_fini frees it. */
struct mr_request {
    struct mr_value *values; /* one for each field of the op */
    struct mr_buf *decoded;  /* of each: a path segment, a query parameter, an array */
    unsigned count;          /* of these; 0: nothing was read */
    struct mr_buf errors;    /* members of a JSON array, comma-separated; empty: none */
    struct json_t *json;     /* the parsed body */
    bool is_merge_patch;     /* by its type: null removes a member (RFC 7396) */
};

/* What is known of a request beside its bytes; borrowed. */
struct mr_request_facts {
    const struct mr_principal *principal;      /* NULL: nobody is signed in */
    const struct mr_preconditions *conditions; /* NULL: none, or they were checked against the op before */
    const uint8_t *new_id;                     /* 16 bytes, for the fields that the gateway makes */
    const char *traceparent;
    const struct mr_request *head; /* what mr_request_read_head read, when there is no `http`; NULL: nothing */
    struct mr_slice only;          /* what the scopes of an API key are narrowed to; empty: to nothing */
    struct mr_slice upload_type;   /* of a body that travelled ahead; see enum mr_source */
    int64_t upload_parts;
    int64_t upload_lines;
    struct mr_slice upload_digest; /* the same for the same content */
};

/*
 * Reads the values. MR_INVALID: `detail` (static) or `errors` says what is wrong. MR_MEDIA_TYPE, MR_CODING: the body is
 * not JSON by its Content-Type, or encoded. MR_PRECONDITION: see mr_request_conditions. `http` is NULL when the head is gone:
 * what stood in it is then in the facts.
 */
mr_status mr_request_read(struct mr_request *out, const struct mr_route *route, const struct mr_http_request *http,
                          struct mr_slice body, const struct mr_request_facts *facts, const char **detail) MR_WARN_UNUSED;

/*
 * Reads the fields that stand in the head of an upload, whose body comes after it. `out` is zeroed, and keeps what it borrows.
 * MR_INVALID: `errors` says what is wrong, or `detail` (static).
 */
mr_status mr_request_read_head(struct mr_request *out, const struct mr_route *route, const struct mr_http_request *http,
                               const char **detail) MR_WARN_UNUSED;

/*
 * Checks a request's conditions for an op. MR_INVALID: one of them is malformed, `errors` of `out` (zeroed, or being read) says
 * which. MR_PRECONDITION: the op writes, and the conditions certainly fail, because its target has no version or they need a
 * modification date. Otherwise a statement or mr_preconditions_judge decides.
 */
mr_status mr_request_conditions(struct mr_request *out, enum mr_op op, const struct mr_preconditions *conditions,
                                const char **detail) MR_WARN_UNUSED;

/* Frees what the message holds, not the struct itself; its values are gone with that. A zeroed struct is fine. */
void mr_request_fini(struct mr_request *self);

#endif
