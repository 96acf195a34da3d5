/*
 * decimal: numbers as they are written, of any length and without rounding.
 *
 * A decimal never becomes a double: its text is checked, compared and sent as it is.
 */
#ifndef MR_PROTO_DECIMAL_H
#define MR_PROTO_DECIMAL_H

#include <stdint.h>

#include "proto/buffer.h"

/* How long a number may be, as it is written and as it is written out; PostgreSQL takes more. */
enum { MR_DECIMAL_DIGITS = 1000 };

/* A number in its parts; borrows the text. */
struct mr_decimal {
    bool negative;      /* never for zero */
    const char *digits; /* from the first to behind the last digit that is not zero, a point perhaps among them; */
    const char *end;    /* the same: zero */
    int64_t power;      /* of ten: of the first of these digits; 0 for zero */
    int64_t scale;      /* digits after the point that count: of 1.50 one, of 1e2 none, of 1e-3 three */
    bool is_integer;    /* written without a point and without an exponent */
};

/*
 * Parses all of `text` as a number in JSON's grammar (RFC 8259, 6). `out` borrows `text`. An exponent beyond 10^12 counts as
 * about 10^12. False: it is no number.
 */
bool mr_decimal_parse(struct mr_decimal *out, struct mr_slice text);

/* Compares two numbers exactly: -1, 0 or 1. A large exponent costs no extra time. */
int mr_decimal_order(const struct mr_decimal *a, const struct mr_decimal *b);

/*
 * Parses a text that is known to be a number. It may have a plus sign, leading zeros, and nothing before or after the point.
 * Borrows the text.
 */
struct mr_decimal mr_decimal_of(const char *text);

/* Compares two such texts: -1, 0 or 1. */
int mr_decimal_compare(const char *a, const char *b);

/* The number of digits after the point, without trailing zeros: 1 for "0.50". */
int64_t mr_decimal_scale(const char *text);

#endif
