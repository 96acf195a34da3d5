/*
 * uuid: 16 bytes that name a row (RFC 9562).
 */
#ifndef MR_PROTO_UUID_H
#define MR_PROTO_UUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MR_UUID_TEXT = 36 };

/* Version 7 (RFC 9562, 5.7): `unix_ms` in the first 48 bits, `random` (10 bytes) in the rest. */
void mr_uuid_v7(uint8_t out[16], int64_t unix_ms, const uint8_t random[10]);

/*
 * The next id of this process: as mr_uuid_v7, but greater than every one that this function returned before, so that what is
 * listed by id is listed in the order it was made (RFC 9562, 6.2, method 1). A clock that steps back by up to ten seconds
 * changes nothing; one that steps back further is followed. Ids of two processes are in order by the millisecond only, and
 * so are those that SQL makes. Safe from any thread.
 */
void mr_uuid_next(uint8_t out[16], int64_t unix_ms, const uint8_t random[10]);

/* Reads the 36-character form, any version, upper or lower case. `out` is untouched on failure. */
bool mr_uuid_parse(uint8_t out[16], const char *text, size_t len);

/* Writes MR_UUID_TEXT lower-case characters, no terminator. */
void mr_uuid_format(char *out, const uint8_t uuid[16]);

#endif
