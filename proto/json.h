/*
 * json: values as the text a client reads (RFC 8259).
 */
#ifndef MR_PROTO_JSON_H
#define MR_PROTO_JSON_H

#include "proto/buffer.h"

/* Appends `text` as a JSON string with its quotes. Does not check that it is UTF-8: that was checked when it arrived. */
void mr_json_string(struct mr_buf *out, struct mr_slice text);

/* Appends a finite double with the fewest digits that parse to the same value. */
void mr_json_number(struct mr_buf *out, double value);

/* As mr_json_number, for a single-precision value: 0.1, not 0.10000000149011612. */
void mr_json_number_single(struct mr_buf *out, float value);

#endif
