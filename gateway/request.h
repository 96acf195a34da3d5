/*
 * request: from an HTTP request to the values of a message's fields, as the field table says.
 *
 * Every problem is reported at once: {field, code, message} for each field that breaks its rule.
 */
#ifndef MR_GATEWAY_REQUEST_H
#define MR_GATEWAY_REQUEST_H

#include "http/head.h"
#include "gateway/route.h"
#include "proto/envelope.h"

struct json_t;

/* The values, and what they borrow from; mr_request_fini frees it. */
struct mr_request {
    struct mr_value values[MR_FIELDS_MAX];
    struct mr_buf decoded[MR_FIELDS_MAX]; /* path segments and query parameters */
    struct mr_buf errors;                 /* members of a JSON array, comma-separated; empty: none */
    struct json_t *json;                  /* the parsed body */
};

/* What is known of a request beside its bytes; borrowed. */
struct mr_request_facts {
    const struct mr_principal *principal; /* NULL: nobody is signed in */
    const uint8_t *new_id;                /* 16 bytes, for the fields that the gateway makes */
    const char *traceparent;
    struct mr_slice upload_type; /* of a body that travelled ahead; see enum mr_source */
    int64_t upload_parts;
    int64_t upload_lines;
};

/*
 * Reads the values. MR_INVALID: `detail` (static) or `errors` says what is wrong. MR_MEDIA_TYPE: the body is
 * not JSON by its Content-Type. `http` may be NULL for an op that asks for nothing in it.
 */
mr_status mr_request_read(struct mr_request *out, const struct mr_route *route, const struct mr_http_request *http,
                          struct mr_slice body, const struct mr_request_facts *facts, const char **detail) MR_WARN_UNUSED;

void mr_request_fini(struct mr_request *self);

#endif
