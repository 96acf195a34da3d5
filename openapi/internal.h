/*
 * internal: what the files of openapi/ share.
 */
#ifndef MR_OPENAPI_INTERNAL_H
#define MR_OPENAPI_INTERNAL_H

#include <jansson.h>

#include "openapi/openapi.h"

/* A number of that many digits comes back as it was written, from whoever reads it as a double. */
enum { STATUS_FIRST = 200, STATUS_END = 600, DOC_DIGITS = 15, PATH_MAX_LEN = 256 };

/*
 * The document while it is made, but for its paths, each of which is written as soon as it is whole: trees of small pieces, all of them
 * together, would be twice what the process has otherwise. Whatever there was no memory for sets `failed`, and nothing is done about it
 * before the end.
 */
struct doc {
    json_t *schemas;
    json_t *responses;
    json_t *headers;
    json_t *tags;
    bool failed;
};

/* ---- json.c: jansson, with the failures gathered. A `value` of NULL is a failure, noted in `doc`. ---- */

/* Sets a member of `object`. Takes over `value`. */
void put(struct doc *doc, json_t *object, const char *name, json_t *value);

/* Sets a member to a text, which is copied. */
void put_text(struct doc *doc, json_t *object, const char *name, const char *text);

/* Appends to an array. Takes over `value`. */
void add(struct doc *doc, json_t *array, json_t *value);

/* Sets a member to a new object, which `object` owns and the caller borrows. NULL, which the others ignore: failure. */
json_t *put_object(struct doc *doc, json_t *object, const char *name);

/* Sets a member to a new array. As put_object. */
json_t *put_array(struct doc *doc, json_t *object, const char *name);

/* {"$ref": "#/components/KIND/NAME"}; the caller's. */
json_t *reference(struct doc *doc, const char *kind, const char *name);

/* Copies the first word of "one|of|these" into `out`, cut to its size, and advances `choices`. False: there are no more. */
bool next_choice(const char **choices, char *out, size_t size);

/* ---- schema.c: JSON Schema 2020-12 ---- */

/*
 * The schema of a field of a request, which the caller owns. It contains the field's `about` only in a body, where there is no
 * other place for it.
 */
json_t *field_schema(struct doc *doc, const struct mr_field *field);

/* A valid value of the field, which the caller owns; NULL: there is none. */
json_t *field_example(struct doc *doc, const struct mr_field *field);

/* Whether the op takes a JSON body. */
bool has_body(const struct mr_traits *traits);

/* Adds the schema of the body to the components, and returns a reference to it, which the caller owns. */
json_t *body_reference(struct doc *doc, const struct mr_op_info *info);

/* A body that the op accepts; the caller's. NULL: there is none. */
json_t *body_example(struct doc *doc, const struct mr_traits *traits);

/* Adds the schema of the result, and those of its parts, to the components, and returns a reference, which the caller owns. */
json_t *result_reference(struct doc *doc, const struct mr_result *result);

/* The schema of every form that the op's success can have; the caller owns it. */
json_t *success_schema(struct doc *doc, const struct mr_traits *traits);

/* ---- answers.c: what an op may answer ---- */

/* Puts all answers that the op may give into `responses`. */
void put_answers(struct doc *doc, json_t *responses, const struct mr_op_info *info);

/* ---- operation.c ---- */

/* "/v1/products/:productId" becomes "/v1/products/{productId}". */
void path_template(char out[PATH_MAX_LEN], const char *path);

/* Adds the operation of a way to `item`, the object of its path. */
void put_way(struct doc *doc, json_t *item, const struct mr_way *way);

#endif
