/*
 * pattern: a regular expression (POSIX, extended) that the whole of a text has to match.
 *
 * Who makes one vouches that it cannot take long: what comes from an application was weighed by its loader. Immutable after it is
 * made; any thread may match.
 */
#ifndef MR_PROTO_PATTERN_H
#define MR_PROTO_PATTERN_H

#include "proto/buffer.h"
#include "proto/status.h"

struct mr_pattern;

/* Compiles a regular expression. MR_OK: the caller destroys `out`. MR_INVALID: `text` is not a regular expression. MR_NO_MEMORY. */
mr_status mr_pattern_new(struct mr_pattern **out, const char *text) MR_WARN_UNUSED;

/* Frees it and sets the caller's pointer to NULL. Accepts NULL. */
void mr_pattern_destroy(struct mr_pattern **self);

/* Whether the pattern matches all of `text`, which must not contain a NUL. Any thread. */
bool mr_pattern_matches(const struct mr_pattern *self, struct mr_slice text);

/* The text of the expression; borrowed. */
const char *mr_pattern_text(const struct mr_pattern *self);

#endif
