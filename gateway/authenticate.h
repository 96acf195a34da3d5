/*
 * authenticate: who is calling, from the Authorization header (RFC 6750).
 *
 * A verified token is cached until it expires, so that its signature is checked once and not at every request. Thread: the
 * gateway's.
 */
#ifndef MR_GATEWAY_AUTHENTICATE_H
#define MR_GATEWAY_AUTHENTICATE_H

#include "http/head.h"
#include "proto/envelope.h"

struct mr_token_cache;

/* An empty cache, the caller's to destroy. NULL: no memory. */
struct mr_token_cache *mr_token_cache_new(void);

/* Frees it and sets the caller's pointer to NULL. Accepts NULL. */
void mr_token_cache_destroy(struct mr_token_cache **self);

/* The credentials after "Bearer " in the Authorization header; the case of the scheme does not matter. False: there are none. */
bool mr_bearer(const struct mr_http_request *request, struct mr_slice *out);

/*
 * Sets `out` to the caller. MR_UNAUTHORIZED without a bearer token, also with credentials of another scheme;
 * MR_INVALID_TOKEN when none of the secrets signed it, or it is out of time (RFC 6750, 3.1). `previous` is empty when there
 * is none. A cache serves one pair of secrets. `now_s`: Unix seconds.
 */
mr_status mr_authenticate(struct mr_principal *out, struct mr_token_cache *cache, const struct mr_http_request *request,
                          const char *secret, const char *previous, int64_t now_s) MR_WARN_UNUSED;

#endif
