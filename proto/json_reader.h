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

enum { MR_JSON_PLACE = 256 };

/* Why a text is refused. */
struct mr_json_refusal {
    const char *detail; /* a sentence; static */
    char
        twice[MR_JSON_PLACE]; /* the key that an object has twice, as errors name a field: "lines[2].sku"; "": something else */
};

/* Parses a JSON object. MR_OK: the caller frees `out` with json_decref. MR_INVALID: `why` is set. */
mr_status mr_json_load(struct json_t **out, struct mr_slice text, struct mr_json_refusal *why) MR_WARN_UNUSED;

/* As mr_json_load, for an object or an array with any elements. */
mr_status mr_json_load_any(struct json_t **out, struct mr_slice text, struct mr_json_refusal *why) MR_WARN_UNUSED;

/*
 * The member of that name, borrowed from `object`. "retry.first" names the member `first` of the object `retry`. NULL: there is
 * none.
 */
const struct json_t *mr_json_member(const struct json_t *object, const char *name);

/*
 * Whether the field's values have to be read from the text of the body, because jansson does not keep them exactly: the digits
 * of a number.
 */
bool mr_json_wants_text(const struct mr_field *field);

/*
 * Finds the text of those members that mr_json_wants_text names, in a body that mr_json_load has accepted. Sets `values[i].text`
 * for field i if the body has that member, and leaves it untouched otherwise. The results borrow `text`.
 */
void mr_json_find(struct mr_slice text, const struct mr_field *fields, struct mr_value *values);

/*
 * Reads a member that is not null as a value of the field, or as one element of a field that is `many`, and checks the field's
 * rules. `text` is the member's text from mr_json_find; only fields that want it use it. True: `out` is set and borrows `json`
 * and `text`. False: `problem` says what is wrong.
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
 * Reads a member that is not null as an array of the field's values. True: `out` is the array's literal, which lives in `room`
 * (empty before). Out of memory: `room->failed`, and the value is not present. False: the listener was called for every wrong
 * element, at most MR_ITEM_PROBLEMS times.
 */
bool mr_json_read_array(const struct mr_field *field, const struct json_t *json, struct mr_slice text, struct mr_buf *room,
                        struct mr_value *out, const struct mr_listener *listener);

/* ---- Objects in an array (mr_field.of) ---- */

/* Fields of such an object, at most. */
enum { MR_JSON_OBJECT_PROBLEMS = 100, MR_JSON_OBJECT_FIELDS = 16 };

/*
 * Reads a member that is not null as an array of objects, whose text is `text`, and checks each against the rules of its fields.
 * True: `out` borrows `text`. False: the listener was called for every problem, at most MR_JSON_OBJECT_PROBLEMS times: with the
 * object's field, or with the array's own field if a whole element (or, with index -1, the array) is wrong.
 */
bool mr_json_read_objects(const struct mr_field *field, const struct json_t *json, struct mr_slice text, struct mr_value *out,
                          const struct mr_listener *listener);

/*
 * Reads the values of one object whose text mr_json_read_objects has accepted: one value for each of `fields`. They borrow
 * `text` and `json`, which the caller frees with json_decref. MR_INVALID: the text was not checked. MR_NO_MEMORY.
 */
mr_status mr_json_read_object(struct json_t **json, struct mr_slice text, const struct mr_field *fields,
                              struct mr_value *values) MR_WARN_UNUSED;

/* As mr_json_read_array, for a text: a default, or a cell of a CSV file. */
bool mr_json_read_array_text(const struct mr_field *field, struct mr_slice text, struct mr_buf *room, struct mr_value *out,
                             const struct mr_listener *listener);

/* Sets `out` to the field's `fallback`. A field that is `many` puts it into `room`. Out of memory: the value is not present. */
void mr_json_read_default(const struct mr_field *field, struct mr_buf *room, struct mr_value *out);

/* Writes the name of an element as errors have it: "tags[2]", or "tags" for index -1. Terminated. */
void mr_json_item_name(char out[MR_ITEM_NAME], const struct mr_field *field, int index);

#endif
