/*
 * token: access tokens, JSON Web Tokens signed with HS256 (RFC 7519, RFC 8725). The only file that knows libjwt.
 */
#ifndef MR_RUNTIME_TOKEN_H
#define MR_RUNTIME_TOKEN_H

#include "proto/envelope.h"

#define MR_TOKEN_ISSUER "millrace"

/* Longest token that is looked at; ours are about 400 bytes. */
enum { MR_TOKEN_MAX = 4096 };

/* Appends a token for `principal`, its session in the claim `sid`, valid from `now_s` (Unix seconds) for `life_s` seconds. */
mr_status mr_token_issue(struct mr_buf *out, const struct mr_principal *principal, struct mr_slice username, const char *secret,
                         int64_t now_s, int64_t life_s) MR_WARN_UNUSED;

/*
 * Verifies a token and sets `out` and `expires_s` (Unix seconds). It accepts only HS256, and checks the signature, iss, exp
 * (required), nbf, id, role and, if present, sid. Dates may have a fraction. A claim of the wrong type, a claim that occurs
 * twice, aud and crit make a token invalid. MR_INVALID_TOKEN: `out` and `expires_s` are untouched.
 */
mr_status mr_token_verify(struct mr_principal *out, int64_t *expires_s, struct mr_slice token, const char *secret,
                          int64_t now_s) MR_WARN_UNUSED;

#endif
