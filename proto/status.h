/*
 * status: the outcomes of operations, in one table.
 *
 * A row is the result of a C function, the HTTP status of an answer and the text a client may see, so
 * that no second place decides any of them. SQLSTATEs map onto the same rows in the second table.
 */
#ifndef MR_PROTO_STATUS_H
#define MR_PROTO_STATUS_H

#include <stdbool.h>

/*     name             http  public detail */
/* clang-format off */
#define MR_STATUSES(ST)                                                                                     \
    ST(OK,               200, "")                                                                           \
    ST(INVALID,          400, "The request is malformed or a field breaks its rule.")                       \
    ST(INVALID_TOKEN,    401, "The access token has expired or is not valid; refresh it or sign in again.") \
    ST(UNAUTHORIZED,     401, "An access token is required.")                                                 \
    ST(BAD_CREDENTIALS,  401, "The username or the password is wrong.")                                     \
    ST(BAD_REFRESH_TOKEN,401, "The refresh token is unknown, expired or spent; sign in again.")             \
    ST(INVALID_KEY,      401, "The API key is unknown, was deleted, or has expired.")                       \
    ST(FORBIDDEN,        403, "The caller may not do this.")                                                \
    ST(KEY_REFUSED,      403, "An API key may not do this; use a user's access token.")                 \
    ST(SCOPE,            403, "The API key lacks the scope that this operation needs.")                       \
    ST(NOT_FOUND,        404, "There is no such resource.")                                                 \
    ST(METHOD,           405, "The resource does not support this method; Allow lists those it supports.")        \
    ST(REQUEST_TIMEOUT,  408, "The body did not arrive in time.")                                             \
    ST(CONFLICT,         409, "The request conflicts with what is stored.")                                 \
    ST(GONE,             410, "The resource is gone for good.")                               \
    ST(LENGTH_REQUIRED,  411, "A body needs a Content-Length or, in HTTP/1.1, the chunked transfer coding.") \
    ST(PRECONDITION,     412, "A condition of the request, such as If-Match, does not hold.")               \
    ST(TOO_LARGE,        413, "The body is larger than this operation accepts.")                              \
    ST(URI_TOO_LONG,     414, "The request target is longer than 8 KiB.")                                   \
    ST(MEDIA_TYPE,       415, "The body has to be application/json.")                                       \
    ST(CODING,           415, "The body has a content coding that is not supported; Accept-Encoding lists those that are.") \
    ST(EXPECTATION,      417, "The only supported expectation is 100-continue.")                      \
    ST(UNPROCESSABLE,    422, "The Idempotency-Key was used before, with another payload.")                 \
    ST(RATE_LIMITED,     429, "Too many requests; Retry-After says after how many seconds to retry.") \
    ST(HEADERS_TOO_LARGE,431, "The header fields are larger than 16 KiB or more than 100.")                 \
    ST(INTERNAL,         500, "Something went wrong; the log has the reason under this request id.")             \
    ST(ANSWER_TOO_LARGE, 500, "The answer is larger than 16 MiB; ask for less at a time.")                  \
    ST(TRANSFER_CODING,  501, "The only supported transfer coding is chunked, once.")                    \
    ST(NO_MEMORY,        503, "The server is short of memory; try again shortly.")                          \
    ST(OVERLOADED,       503, "The server is busy; try again shortly.")                                     \
    ST(UNAVAILABLE,      503, "The database cannot be reached; try again shortly.")                         \
    ST(TIMEOUT,          504, "The request did not finish before its deadline.")
/* clang-format on */

typedef enum mr_status {
#define ST(name, http, detail) MR_##name,
    MR_STATUSES(ST)
#undef ST
        MR_STATUS_COUNT
} mr_status;

/*
 * SQLSTATE, or the beginning of one, to status (PostgreSQL manual, Appendix A). The first match decides.
 * `rerun` says whether halving the batch can help: it can when one message is to blame, and cannot when
 * the server as a whole refuses or the statement ran out of time.
 */
/*     prefix    status       rerun */
/* clang-format off */
#define MR_SQLSTATES(S)                                                     \
    S("22004",   INTERNAL,    true)  /* NULL where a statement may have none */ \
    S("22",      INVALID,     true)  /* data exception */                   \
    S("23505",   CONFLICT,    true)  /* unique violation */                 \
    S("23P01",   CONFLICT,    true)  /* exclusion violation */              \
    S("23",      INVALID,     true)  /* other integrity violation */        \
    S("40",      OVERLOADED,  true)  /* deadlock, serialization failure */  \
    S("55P03",   OVERLOADED,  true)  /* lock not available */               \
    S("57014",   TIMEOUT,     false) /* cancelled by statement_timeout */   \
    S("53",      UNAVAILABLE, false) /* out of disk, memory, connections */ \
    S("57P",     UNAVAILABLE, false) /* shutting down or starting up */     \
    S("58",      UNAVAILABLE, false) /* system error */                     \
    S("08",      UNAVAILABLE, false) /* connection exception */             \
    S("25006",   UNAVAILABLE, false) /* read-only server */                 \
    S("",        INTERNAL,    true)
/* clang-format on */

/* What an application's SQL may ask for. The engine alone decides who a caller is (401) and how much they may ask for (429). */
#define MR_RAISABLE(S) S(400) S(403) S(404) S(409) S(410) S(412) S(422)

#define MR_WARN_UNUSED __attribute__((warn_unused_result))

/* HTTP status code of `status`, e.g. 404. */
int mr_status_http(mr_status status);

/* RFC 9110 reason phrase of an HTTP status code; "Unknown" for one that Millrace never sends. */
const char *mr_http_reason(int http);

/* One sentence that a client may see. Static storage. */
const char *mr_status_detail(mr_status status);

/* Name as in the table, e.g. "NOT_FOUND"; for log lines. Static storage. */
const char *mr_status_name(mr_status status);

/* The status that a statement's "$status" column stands for; MR_INTERNAL for a code no row of the table has. */
mr_status mr_status_from_http(int http);

/* The status that an application's SQL asks for with RAISE SQLSTATE 'MR409', one of MR_RAISABLE. MR_OK for every other SQLSTATE. */
mr_status mr_status_raised(const char *sqlstate);

/* Whether an application's SQL may ask for that status: one of MR_RAISABLE. */
bool mr_status_can_be_raised(int http);

/* The status for a five-letter SQLSTATE; `rerun` (may be NULL) is set as the table says. */
mr_status mr_status_from_sqlstate(const char *sqlstate, bool *rerun);

#endif
