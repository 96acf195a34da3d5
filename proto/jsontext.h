/*
 * jsontext: JSON as text, which is checked, found and passed on as it is, so that no number loses a digit.
 */
#ifndef MR_PROTO_JSONTEXT_H
#define MR_PROTO_JSONTEXT_H

#include "proto/field.h"

/*
 * Of a number: the largest power of ten either way. A power takes a few characters in and as many
 * as it says out again, so this is a bound for memory, too; it is about a double's, which is what readers of JSON can be relied on
 * to have (RFC 8259, 6).
 */
enum { MR_JSON_POWER_MAX = 308, MR_JSON_DEPTH = 16 };

/*
 * Whether `text` is one JSON value (RFC 8259) that PostgreSQL's jsonb accepts: UTF-8, no U+0000, no escaped half of a surrogate
 * pair, numbers of at most MR_DECIMAL_DIGITS digits and within the bound above, at most MR_JSON_DEPTH levels. False: `problem`
 * says what is wrong.
 */
bool mr_json_check(struct mr_slice text, struct mr_problem *problem);

/* A walk over the members of an object or the elements of an array. Its text has to be good JSON. */
struct mr_json_walk {
    const char *at;
    const char *end;
};

/* Starts a walk through an object or array. The walk borrows `text`, and is empty for any other value. */
struct mr_json_walk mr_json_walk_of(struct mr_slice text);

/* Sets `value` to the text of the next element, borrowed. False: the walk has ended. */
bool mr_json_element_next(struct mr_json_walk *self, struct mr_slice *value);

/*
 * Sets `name` to the next member's name, without quotes but with its escapes, and `value` to its text; both are borrowed. False:
 * the walk has ended.
 */
bool mr_json_member_next(struct mr_json_walk *self, struct mr_slice *name, struct mr_slice *value);

/* Whether a member's name, as mr_json_member_next gives it, is `name`, which needs no escape. */
bool mr_json_name_is(struct mr_slice escaped, const char *name);

#endif
