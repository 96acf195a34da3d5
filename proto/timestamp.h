/*
 * timestamp: instants, as microseconds since 1970-01-01T00:00:00Z.
 */
#ifndef MR_PROTO_TIMESTAMP_H
#define MR_PROTO_TIMESTAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MR_TIMESTAMP_TEXT = 24 };

/*
 * Reads a date or date-time of RFC 3339 or ISO 8601: calendar, ordinal (2027-001) and week (2027-W01-1)
 * dates, extended or basic; minutes at least when there is a time; any number of decimals of the last element,
 * a second or a minute (cut at microseconds); `24:00`, and `:60` where a month ends in UTC, as the next instant.
 * Without an offset it is UTC, without a time midnight. Years 0001 to 9999. `out` is untouched on failure.
 */
bool mr_timestamp_parse(int64_t *out, const char *text, size_t len);

/* Writes MR_TIMESTAMP_TEXT characters, 2027-01-01T00:00:00.000Z, no terminator. Years 0001 to 9999. */
void mr_timestamp_format(char *out, int64_t micros);

#endif
