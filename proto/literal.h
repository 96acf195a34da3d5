/*
 * literal: values in PostgreSQL's text form.
 *
 * A field that is `many` travels as one text, the literal of an array: `{"a","b"}`. Every element stands in quotes, so that none
 * can be taken for a delimiter, for NULL or for an array, whatever it holds (arrays.sgml, "Array Input and Output Syntax").
 */
#ifndef MR_PROTO_LITERAL_H
#define MR_PROTO_LITERAL_H

#include "proto/field.h"

/*
 * Appends the text of a present value without quotes; an instant in full, with microseconds. Not for MR_BYTES. Out of memory:
 * `out->failed`.
 */
void mr_literal_text(struct mr_buf *out, enum mr_type type, const struct mr_value *value);

/* Begins an array literal. Call mr_literal_add for each element, then mr_literal_end. Out of memory: `out->failed`. */
void mr_literal_begin(struct mr_buf *out);

/* Appends an element; NULL where the value is not present. Between mr_literal_begin and mr_literal_end. */
void mr_literal_add(struct mr_buf *out, enum mr_type type, const struct mr_value *value);

/* Closes the array. */
void mr_literal_end(struct mr_buf *out);

/*
 * Takes the next element from an array literal: appends its text to `out` and moves `rest` behind it. `rest` is the literal
 * before the first call. False: no element is left.
 */
bool mr_literal_next(struct mr_slice *rest, struct mr_buf *out);

#endif
