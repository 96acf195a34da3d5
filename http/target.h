/*
 * target: the request target, its query, and percent-escapes (RFC 9112, 3.2; RFC 3986).
 *
 * Thread: any; slices borrow the bytes they were cut from.
 */
#ifndef MR_HTTP_TARGET_H
#define MR_HTTP_TARGET_H

#include "proto/buffer.h"
#include "proto/status.h"

/*
 * Splits a target in origin form or absolute form, or `*` if `is_options`, into path and query (without its question mark),
 * which borrow it. False: any other form, a fragment, a byte that RFC 3986 does not allow, or an authority that is no host.
 */
bool mr_http_target_split(struct mr_slice target, bool is_options, struct mr_slice *path, struct mr_slice *query);

/* Takes the next name and value of a query, both as sent; false at its end. */
bool mr_http_query_next(struct mr_slice *query, struct mr_slice *name, struct mr_slice *value);

/* Whether the name of a parameter, as sent, means `plain` (without `+`): %71 is q, as for everybody else who reads the query. */
bool mr_http_query_is(struct mr_slice name, const char *plain);

/* Appends `text` with %XX decoded (and + as blank when `form`). MR_INVALID for a broken escape and for %00. */
mr_status mr_http_decode(struct mr_buf *out, struct mr_slice text, bool form) MR_WARN_UNUSED;

#endif
