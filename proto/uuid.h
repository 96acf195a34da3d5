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
 * Makes the next id of this process: a UUID as mr_uuid_v7 makes it, but greater than all earlier results, so that a list by id
 * is in the order of creation (RFC 9562, 6.2, method 1). If the clock steps back by up to ten seconds, ids keep growing; if it
 * steps back further, they follow it. Ids of two processes, and ids made by SQL, are ordered by the millisecond only. Any
 * thread.
 */
void mr_uuid_next(uint8_t out[16], int64_t unix_ms, const uint8_t random[10]);

/* Reads the 36-character form, any version, upper or lower case. `out` is untouched on failure. */
bool mr_uuid_parse(uint8_t out[16], const char *text, size_t len);

/* Writes MR_UUID_TEXT lower-case characters, no terminator. */
void mr_uuid_format(char *out, const uint8_t uuid[16]);

#endif
