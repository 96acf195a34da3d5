/*
 * timestamp: instants, as microseconds since 1970-01-01T00:00:00Z.
 */
#ifndef MR_PROTO_TIMESTAMP_H
#define MR_PROTO_TIMESTAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MR_TIMESTAMP_TEXT = 24, MR_TIMESTAMP_MICROS_TEXT = 27, MR_DATE_TEXT = 10 };

/*
 * Reads a date or date-time of RFC 3339 or ISO 8601: calendar, ordinal (2027-001) and week (2027-W01-1)
 * dates, extended or basic; minutes at least when there is a time; any number of decimals of the last element,
 * a second or a minute (cut at microseconds); `24:00`, and `:60` where a month ends in UTC, as the next instant.
 * Without an offset it is UTC, without a time midnight. Years 0001 to 9999. `out` is untouched on failure.
 */
bool mr_timestamp_parse(int64_t *out, const char *text, size_t len);

/* Writes MR_TIMESTAMP_TEXT characters, 2027-01-01T00:00:00.000Z, no terminator. Years 0001 to 9999. */
void mr_timestamp_format(char *out, int64_t micros);

/* As mr_timestamp_format, with microseconds: MR_TIMESTAMP_MICROS_TEXT characters. */
void mr_timestamp_format_micros(char *out, int64_t micros);

/* Whether the two functions above can write it: it lies in the years 0001 to 9999. */
bool mr_timestamp_is_sayable(int64_t micros);

/*
 * Parses a calendar date, YYYY-MM-DD, from 0001-01-01 to 9999-12-31, and sets days since 1970-01-01. False: it is no such date,
 * and `out` is untouched.
 */
bool mr_date_parse(int64_t *out, const char *text, size_t len);

/* Writes MR_DATE_TEXT characters without a terminator. False: the day is outside of these years, and nothing is written. */
bool mr_date_format(char *out, int64_t days);

#endif
