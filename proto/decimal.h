/*
 * decimal: numbers as they are written, of any length and without rounding.
 *
 * A decimal never becomes a double: it is held against its rules, compared and sent as the text it is.
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
    int64_t scale;      /* digits behind the point that count: of 1.50 one, of 1e2 none, of 1e-3 three */
    bool is_integer;    /* written without a point and without an exponent */
};

/* Reads a number by JSON's grammar (RFC 8259, 6), all of `text`. An exponent past 10^12 stands for one of about that size. */
bool mr_decimal_parse(struct mr_decimal *out, struct mr_slice text);

/* -1, 0 or 1: exact, and no slower for a large exponent. */
int mr_decimal_order(const struct mr_decimal *a, const struct mr_decimal *b);

/* Of a text that is known to be a number; a plus sign, leading zeros and an empty side of the point are borne. Borrows it. */
struct mr_decimal mr_decimal_of(const char *text);

/* The order of two such texts. */
int mr_decimal_compare(const char *a, const char *b);

/* Digits behind the point that count: 2 for "0.50" is 1. */
int64_t mr_decimal_scale(const char *text);

#endif
