#include "proto/object.h"

#include <jansson.h>

enum { DEPTH_MAX = 16 };

static bool too_deep(const json_t *value, unsigned depth)
{
    size_t index;
    const char *key;
    json_t *member;

    if (depth > DEPTH_MAX)
        return json_is_object(value) || json_is_array(value);
    json_array_foreach(value, index, member) {
        if (too_deep(member, depth + 1))
            return true;
    }
    json_object_foreach((json_t *)value, key, member) {
        if (too_deep(member, depth + 1))
            return true;
    }
    return false;
}

mr_status mr_object_load(json_t **out, struct mr_slice text, const char **detail)
{
    json_error_t error;
    json_t *json = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &error);

    if (json == NULL)
        *detail = json_error_code(&error) == json_error_duplicate_key   ? "The body has the same key twice in one object."
                  : json_error_code(&error) == json_error_out_of_memory ? "The body is too large to be read."
                                                                        : "The body is not valid JSON (RFC 8259, UTF-8).";
    else if (!json_is_object(json))
        *detail = "The body has to be a JSON object.";
    else if (too_deep(json, 1))
        *detail = "The body nests deeper than 16 levels.";
    else {
        *out = json;
        return MR_OK;
    }
    json_decref(json);
    return MR_INVALID;
}

static bool from_string(const struct mr_field *field, const json_t *json, struct mr_value *out, struct mr_problem *problem)
{
    struct mr_slice text = {json_string_value(json), json_string_length(json)};

    if (!json_is_string(json)) {
        mr_problem_set(problem, "type", "must be a %s", mr_type_told(field->type));
        return false;
    }
    return mr_field_parse(field, text, out, problem);
}

bool mr_object_value(const struct mr_field *field, const json_t *json, struct mr_value *out, struct mr_problem *problem)
{
    switch (field->type) {
    case MR_TEXT:
    case MR_UUID:
    case MR_TIME: return from_string(field, json, out, problem);
    case MR_BOOL:
        mr_problem_set(problem, "type", "must be a boolean");
        *out = (struct mr_value){.present = true, .boolean = json_is_true(json)};
        return json_is_boolean(json);
    case MR_INT:
        mr_problem_set(problem, "type", "must be an integer");
        *out = (struct mr_value){.present = true, .integer = json_integer_value(json)};
        return json_is_integer(json) && mr_field_check_integer(field, out->integer, problem);
    case MR_BYTES: break; /* JSON has none */
    }
    return false;
}
