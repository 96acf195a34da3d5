/*
 * cursor: a place in a list, as a Link carries it.
 *
 * The id of the last row in 32 hexadecimal digits, then a digit: 1 when the row had a value in the column that the list is in
 * the order of, and then that value as text, its UTF-8 bytes in hexadecimal; 0 when it had none. Digits a to f are lower case.
 *
 * A cursor goes through the hands of a client. One that mr_cursor_is_good lets pass is one that a statement can take apart and
 * cast without an error, whatever it says.
 */
#ifndef MR_PROTO_CURSOR_H
#define MR_PROTO_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/buffer.h"

/* What the value is, as text. */
enum mr_cursor_key {
    MR_CURSOR_NONE,    /* the list is in the order of ids: there is no value */
    MR_CURSOR_TEXT,    /* anything */
    MR_CURSOR_UUID,    /* an id */
    MR_CURSOR_INTEGER, /* a bigint */
    MR_CURSOR_BOOLEAN, /* 0 or 1 */
    MR_CURSOR_TIME,    /* microseconds since 1970; the greatest and the least bigint stand for infinity and -infinity */
    MR_CURSOR_DATE,    /* days since 1970; the greatest and the least integer likewise */
    MR_CURSOR_DECIMAL, /* a numeric */
    MR_CURSOR_NUMBER   /* a double precision */
};

enum { MR_CURSOR_LEAST = 33 }; /* digits of the shortest */

/* Appends the cursor of a row with this id. `key` is the value that the list is sorted by; NULL: the row has none. */
void mr_cursor_write(struct mr_buf *out, const uint8_t id[16], const struct mr_slice *key);

/* Whether `digits` is a well-formed cursor for a list that is sorted by a value of this kind. */
bool mr_cursor_is_good(struct mr_slice digits, enum mr_cursor_key key);

#endif
