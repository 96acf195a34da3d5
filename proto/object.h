/*
 * object: a JSON object (RFC 8259) as the body of a message.
 *
 * Strict: UTF-8, no NUL, no key twice, no depth over 16, nothing behind the end. A number of any size is one: it matters to
 * the field whose value it is, and to no other. What it says of a field is held against the
 * field's rules, as everywhere.
 */
#ifndef MR_PROTO_OBJECT_H
#define MR_PROTO_OBJECT_H

#include "proto/field.h"
#include "proto/status.h"

struct json_t;

/* Reads an object; json_decref frees it. MR_INVALID: `detail` is a sentence that says why, in static storage. */
mr_status mr_object_load(struct json_t **out, struct mr_slice text, const char **detail) MR_WARN_UNUSED;

/*
 * Reads a member, which is not null, as the field's type and holds it against the field's rules. True: `out` is set and
 * borrows from `json`. False: `problem` says what is wrong.
 */
bool mr_object_value(const struct mr_field *field, const struct json_t *json, struct mr_value *out, struct mr_problem *problem);

#endif
