/*
 * json: values as the text a client reads (RFC 8259).
 */
#ifndef MR_PROTO_JSON_H
#define MR_PROTO_JSON_H

#include "proto/buffer.h"

/* Appends `text` as a JSON string, quotes included. Ill-formed UTF-8 passes as it is: it was checked on the way in. */
void mr_json_string(struct mr_buf *out, struct mr_slice text);

/* Appends a finite double in the fewest digits that are read back as the same. */
void mr_json_number(struct mr_buf *out, double value);

/* The same of a single-precision value: 0.1, not 0.10000000149011612. */
void mr_json_number_single(struct mr_buf *out, float value);

#endif
