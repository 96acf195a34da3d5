/*
 * json_reader: reads a JSON value (RFC 8259) as the values of a message's fields.
 *
 * Strict: UTF-8, no NUL, no key twice, at most 16 levels, nothing after the end. A number may have any size here; only the field
 * that takes it as its value limits it. A value has to keep the rules of its field, as everywhere.
 *
 * Functions here may be called from any thread: they keep nothing between calls.
 */
#ifndef MR_PROTO_JSON_READER_H
#define MR_PROTO_JSON_READER_H

#include "proto/field.h"
#include "proto/status.h"

struct json_t;

/* Reads an object; json_decref frees it. MR_INVALID: `detail` is a sentence that says why, in static storage. */
mr_status mr_json_load(struct json_t **out, struct mr_slice text, const char **detail) MR_WARN_UNUSED;

/* The same of an object or an array, whatever its elements are. */
mr_status mr_json_load_any(struct json_t **out, struct mr_slice text, const char **detail) MR_WARN_UNUSED;

/* The member of a field's name, where "retry.first" is that of an object in the object; NULL: it has none. */
const struct json_t *mr_json_member(const struct json_t *object, const char *name);

/*
 * Whether the field's values are read from the text of the body, for they lose what jansson does not keep: the digits of a number.
 */
bool mr_json_wants_text(const struct mr_field *field);

/*
 * Finds the members of a body that was loaded, as they stand in its text, for the fields that want it: `values[i].text` is where
 * that of field i stands, and untouched where there is none. Borrows `text`.
 */
void mr_json_find(struct mr_slice text, const struct mr_field *fields, struct mr_value *values);

/*
 * Reads a member, which is not null, as the field's type and holds it against the field's rules; of what is `many`, an element.
 * `text` is the member as mr_json_find gives it, and is looked at for fields that want it only. True: `out` is set and
 * borrows from `json` and `text`. False: `problem` says what is wrong.
 */
bool mr_json_read_value(const struct mr_field *field, const struct json_t *json, struct mr_slice text, struct mr_value *out,
                        struct mr_problem *problem);

/* ---- What is `many` ---- */

enum { MR_ITEM_PROBLEMS = 10, MR_ITEM_NAME = 128 };

/* Called for each problem of an array: of the element `index`, or with -1 of the array itself. */
struct mr_listener {
    void (*tell)(void *context, const struct mr_field *field, int index, const struct mr_problem *problem);
    void *context;
};

/*
 * Reads a member, which is not null, as an array of the field's values. True: `out` is set to the array's literal, which is in
 * `room` (empty before; without memory `failed` is set, and the value is not present). False: the listener has heard of every
 * element that is wrong, up to MR_ITEM_PROBLEMS of them.
 */
bool mr_json_read_array(const struct mr_field *field, const struct json_t *json, struct mr_slice text, struct mr_buf *room,
                        struct mr_value *out, const struct mr_listener *listener);

/* ---- Objects in an array (mr_field.of) ---- */

/* Fields of such an object, at most. */
enum { MR_JSON_OBJECT_PROBLEMS = 100, MR_JSON_OBJECT_FIELDS = 16 };

/*
 * Reads a member, which is not null, as an array of objects, `text` as it stands. True: each keeps the rules of its fields, and `out`
 * is the text. False: the listener has heard of everything that is wrong, up to MR_JSON_OBJECT_PROBLEMS. `field` is that of the object, or
 * the array's own where an element is wrong as a whole (or the array is: index -1).
 */
bool mr_json_read_objects(const struct mr_field *field, const struct json_t *json, struct mr_slice text, struct mr_value *out,
                          const struct mr_listener *listener);

/* The values of one such object, whose text was checked so, in `values`: one for each of `fields`. They borrow `json`, which the caller
   frees by json_decref, and `text`. MR_NO_MEMORY, or MR_INVALID where it was not checked. */
mr_status mr_json_read_object(struct json_t **json, struct mr_slice text, const struct mr_field *fields,
                              struct mr_value *values) MR_WARN_UNUSED;

/* The same of a text that is to be a JSON array: a default, or a cell of a CSV. */
bool mr_json_read_array_text(const struct mr_field *field, struct mr_slice text, struct mr_buf *room, struct mr_value *out,
                             const struct mr_listener *listener);

/* The field's `fallback` as its value; `room` is used by what is `many`. Not present: there was no memory. */
void mr_json_read_default(const struct mr_field *field, struct mr_buf *room, struct mr_value *out);

/* "tags[2]", as an error names an element; "tags" for -1. */
void mr_json_item_name(char out[MR_ITEM_NAME], const struct mr_field *field, int index);

#endif
