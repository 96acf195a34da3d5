#include "proto/json_reader.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/decimal.h"
#include "proto/jsontext.h"
#include "proto/literal.h"

enum { DEPTH_MAX = 16, POWER_OVER = 308 };

/* The ends of what an integer can be; those two fit. */
#define MOST  "9223372036854775807"
#define LEAST "-9223372036854775808"

/* What stands for an integer that does not fit, and for any other number: no field takes either. */
#define OVER_INTEGER 8e307

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

/* ---- Numbers that jansson has no room for: it calls them a mistake, in whatever member they stand ---- */

/* Behind all that a number can be made of: what begins inside of that is none. */
static size_t skip_number(struct mr_slice text, size_t at)
{
    while (at < text.len && text.data[at] != '\0' && strchr("+-.0123456789eE", text.data[at]) != NULL)
        at++;
    return at;
}

static bool fits(struct mr_slice text, const struct mr_decimal *number)
{
    const char *bound = number->negative ? LEAST : MOST;

    if (!number->is_integer)
        return number->power < POWER_OVER;
    return text.len < strlen(bound) || (text.len == strlen(bound) && memcmp(text.data, bound, text.len) <= 0);
}

/* By one that has room, and is shorter. */
static void replace(char *text, size_t len, const struct mr_decimal *number)
{
    const char *by = number->is_integer ? (number->negative ? "-8e307" : "8e307") : (number->negative ? "-9e307" : "9e307");

    for (size_t i = 0; i < len; i++) {
        text[i] = ' ';
        if (*by != '\0')
            text[i] = *by++;
    }
}

/* Where the string ends that begins at `at`. */
static size_t skip_string(struct mr_slice text, size_t at)
{
    for (at++; at < text.len && text.data[at] != '"'; at++)
        at += text.data[at] == '\\';
    return at + 1;
}

/* The next number from `*at` on that does not fit, and its length; false when there is none. */
static bool next_too_large(struct mr_slice text, size_t *at, size_t *len, struct mr_decimal *out)
{
    while (*at < text.len) {
        char c = text.data[*at];

        if (c == '"') {
            *at = skip_string(text, *at);
        } else if (c == '-' || (c >= '0' && c <= '9')) {
            struct mr_slice number = {text.data + *at, skip_number(text, *at) - *at};

            *len = number.len;
            if (mr_decimal_parse(out, number) && !fits(number, out))
                return true;
            *at += number.len;
        } else {
            ++*at;
        }
    }
    return false;
}

/* `text`, or a copy of it in `*copy` with numbers that fit. False when memory is short. */
static bool with_room(struct mr_slice *text, char **copy)
{
    struct mr_decimal number;
    size_t at = 0;
    size_t len;

    while (next_too_large(*text, &at, &len, &number)) {
        if (*copy == NULL && (*copy = malloc(text->len)) == NULL)
            return false;
        if (text->data != *copy)
            memcpy(*copy, text->data, text->len);
        text->data = *copy;
        replace(*copy + at, len, &number);
        at += len;
    }
    return true;
}

/* ---- Where a key stands twice ---- */

/* An object or array that is open. */
struct level {
    bool is_object;
    struct mr_slice name; /* the last one of an object, in its quotes */
    size_t index;         /* of an array's element */
};

/* The levels that are open where `begun` ends, which jansson has read so far; -1: more than there may be. */
static int open_levels(struct mr_slice begun, struct level levels[DEPTH_MAX])
{
    bool is_name = false;
    int open = 0;

    for (size_t at = 0, next; at < begun.len; at = next) {
        char c = begun.data[at];

        next = c == '"' ? skip_string(begun, at) : at + 1;
        if (c == '{' || c == '[') {
            if (open == DEPTH_MAX)
                return -1;
            levels[open++] = (struct level){.is_object = c == '{'};
            is_name = c == '{';
        } else if (open == 0) {
            continue;
        } else if (c == '}' || c == ']') {
            open--;
        } else if (c == ',') {
            levels[open - 1].index++;
            is_name = levels[open - 1].is_object;
        } else if (c == '"' && is_name) {
            levels[open - 1].name = (struct mr_slice){begun.data + at, next - at};
            is_name = false;
        }
    }
    return open;
}

static void put_name(struct mr_buf *out, struct mr_slice quoted)
{
    json_t *name = json_loadb(quoted.data, quoted.len, JSON_DECODE_ANY, NULL);

    if (name == NULL)
        out->failed = true;
    else
        mr_buf_printf(out, "%s%s", out->len > 0 ? "." : "", json_string_value(name));
    json_decref(name);
}

/* `begun` ends behind the key that is there for the second time. */
static void tell_twice(struct mr_json_refusal *why, struct mr_slice begun)
{
    struct level levels[DEPTH_MAX];
    struct mr_buf place = {0};
    int open = open_levels(begun, levels);

    why->detail = open < 0 ? "The body nests deeper than 16 levels." : "The body has the same key twice in one object.";
    for (int i = 0; i < open; i++)
        if (levels[i].is_object)
            put_name(&place, levels[i].name);
        else
            mr_buf_printf(&place, "[%zu]", levels[i].index);
    if (!place.failed)
        mr_slice_copy(why->twice, sizeof why->twice, (struct mr_slice){place.data, place.len});
    mr_buf_fini(&place);
}

/* jansson skips a NUL behind a number or a literal, and then takes what follows for the rest. JSON has none. */
static json_t *load(struct mr_slice text, size_t flags, struct mr_json_refusal *why)
{
    json_error_t error;
    char *copy = NULL;
    json_t *json = NULL;

    why->twice[0] = '\0';
    why->detail = "The body is not valid JSON (RFC 8259, UTF-8).";
    if (text.len == 0 || memchr(text.data, '\0', text.len) != NULL)
        return NULL;
    why->detail = "The body is too large to be read.";
    if (with_room(&text, &copy)) {
        json = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES | flags, &error);
        if (json == NULL && json_error_code(&error) == json_error_duplicate_key)
            tell_twice(why, (struct mr_slice){text.data, (size_t)error.position});
        else if (json == NULL && json_error_code(&error) == json_error_stack_overflow)
            why->detail = "The body nests deeper than 16 levels.";
        else if (json == NULL && json_error_code(&error) != json_error_out_of_memory)
            why->detail = "The body is not valid JSON (RFC 8259, UTF-8).";
    }
    free(copy);
    return json;
}

static mr_status load_container(json_t **out, struct mr_slice text, bool takes_arrays, struct mr_json_refusal *why)
{
    json_t *json = load(text, 0, why);

    if (json == NULL)
        return MR_INVALID;
    if (!json_is_object(json) && !takes_arrays)
        why->detail = "The body has to be a JSON object.";
    else if (!json_is_object(json) && !json_is_array(json))
        why->detail = "The body has to be a JSON object or an array of such.";
    else if (too_deep(json, 1))
        why->detail = "The body nests deeper than 16 levels.";
    else {
        *out = json;
        return MR_OK;
    }
    json_decref(json);
    return MR_INVALID;
}

mr_status mr_json_load(json_t **out, struct mr_slice text, struct mr_json_refusal *why)
{
    return load_container(out, text, false, why);
}

mr_status mr_json_load_any(json_t **out, struct mr_slice text, struct mr_json_refusal *why)
{
    return load_container(out, text, true, why);
}

const json_t *mr_json_member(const json_t *object, const char *name)
{
    const char *dot;

    while ((dot = strchr(name, '.')) != NULL) {
        object = json_object_getn(object, name, (size_t)(dot - name));
        name = dot + 1;
    }
    return json_object_get(object, name);
}

static bool from_string(const struct mr_field *field, const json_t *json, struct mr_value *out, struct mr_problem *problem)
{
    struct mr_slice text = {json_string_value(json), json_string_length(json)};

    if (!json_is_string(json)) {
        mr_problem_set(problem, "type", field->format == MR_FORMAT_DURATION ? "must be a string such as 30s" : "must be a %s",
                       mr_type_told(field->type));
        return false;
    }
    return mr_field_parse(field, text, out, problem);
}

static bool is_integer(const json_t *json, struct mr_problem *problem)
{
    double value = fabs(json_real_value(json)); /* 0 for what is no real number */

    if (value >= OVER_INTEGER && value <= OVER_INTEGER)
        mr_problem_set(problem, "range", "is out of range");
    else
        mr_problem_set(problem, "type", "must be an integer");
    return json_is_integer(json);
}

bool mr_json_wants_text(const struct mr_field *field)
{
    return field->type == MR_DECIMAL || field->type == MR_NUMBER || field->type == MR_JSON;
}

static bool is_wanted(const struct mr_field *field)
{
    return field->from == MR_BODY && mr_json_wants_text(field);
}

void mr_json_find(struct mr_slice text, const struct mr_field *fields, struct mr_value *values)
{
    struct mr_json_walk walk;
    struct mr_slice name;
    struct mr_slice member;
    unsigned wanted = 0;

    for (unsigned i = 0; fields[i].name != NULL; i++)
        wanted += is_wanted(&fields[i]);
    if (wanted == 0)
        return;
    walk = mr_json_walk_of(text);
    while (mr_json_member_next(&walk, &name, &member))
        for (unsigned i = 0; fields[i].name != NULL; i++)
            if (is_wanted(&fields[i]) && mr_json_name_is(name, fields[i].name)) {
                values[i].text = member;
                break;
            }
}

bool mr_json_read_value(const struct mr_field *field, const json_t *json, struct mr_slice text, struct mr_value *out,
                        struct mr_problem *problem)
{
    switch (field->type) {
    case MR_TEXT:
    case MR_UUID:
    case MR_DATE:
    case MR_TIME: return from_string(field, json, out, problem);
    case MR_BOOL:
        mr_problem_set(problem, "type", "must be a boolean");
        *out = (struct mr_value){.present = true, .boolean = json_is_true(json)};
        return json_is_boolean(json);
    case MR_INT:
        if (field->format == MR_FORMAT_DURATION)
            return from_string(field, json, out, problem);
        *out = (struct mr_value){.present = true, .integer = json_integer_value(json)};
        return is_integer(json, problem) && mr_field_check_integer(field, out->integer, problem);
    case MR_DECIMAL:
    case MR_NUMBER:
        mr_problem_set(problem, "type", "must be a number");
        return json_is_number(json) && mr_field_parse(field, text, out, problem);
    case MR_JSON: return mr_field_parse(field, text, out, problem);
    case MR_BYTES: mr_problem_set(problem, "type", "must be left out"); break; /* JSON has none */
    }
    return false;
}

/* ---- Arrays ---- */

/* Whether there are as many as there may be. */
static bool check_items(const struct mr_field *field, size_t items, const struct mr_listener *listener)
{
    struct mr_problem problem;

    if (mr_field_check_items(field, items, &problem))
        return true;
    listener->tell(listener->context, field, -1, &problem);
    return false;
}

static bool add_items(const struct mr_field *field, const json_t *json, struct mr_slice text, struct mr_buf *room,
                      const struct mr_listener *listener)
{
    struct mr_json_walk walk = mr_json_walk_of(text);
    struct mr_field one = *field;
    unsigned problems = 0;
    size_t index;
    const json_t *item;

    one.many = false;
    json_array_foreach(json, index, item) {
        struct mr_slice part = {"", 0};
        struct mr_problem problem;
        struct mr_value value;

        if (mr_json_wants_text(field))
            (void)mr_json_element_next(&walk, &part);
        if (mr_json_read_value(&one, item, part, &value, &problem)) {
            mr_literal_add(room, field->type, &value);
            continue;
        }
        listener->tell(listener->context, field, (int)index, &problem);
        if (++problems == MR_ITEM_PROBLEMS)
            break;
    }
    return problems == 0;
}

bool mr_json_read_array(const struct mr_field *field, const json_t *json, struct mr_slice text, struct mr_buf *room,
                        struct mr_value *out, const struct mr_listener *listener)
{
    struct mr_problem problem;

    if (!json_is_array(json)) {
        mr_problem_set(&problem, "type", "must be an array");
        listener->tell(listener->context, field, -1, &problem);
        return false;
    }
    if (!check_items(field, json_array_size(json), listener))
        return false;
    mr_literal_begin(room);
    if (!add_items(field, json, text, room, listener))
        return false;
    mr_literal_end(room);
    *out = (struct mr_value){.present = !room->failed, .text = {room->data, room->len}};
    return true;
}

/* ---- Objects in an array ---- */

/* A problem of a member of the element, or of the element itself. */
struct told {
    const struct mr_listener *listener;
    unsigned count;
};

static bool tell(struct told *told, const struct mr_field *field, int index, const struct mr_problem *problem)
{
    told->listener->tell(told->listener->context, field, index, problem);
    return ++told->count < MR_JSON_OBJECT_PROBLEMS;
}

/* The members of one object, whose texts are in `values`. */
static bool read_members(const json_t *json, const struct mr_field *fields, struct mr_value *values, int index,
                         struct told *told)
{
    for (unsigned i = 0; fields[i].name != NULL; i++) {
        const json_t *member = json_object_get(json, fields[i].name);
        struct mr_slice text = values[i].text;
        struct mr_problem problem;

        values[i] = (struct mr_value){.present = false};
        mr_problem_set(&problem, "required", "is required");
        if (member == NULL || json_is_null(member) ? !fields[i].required
                                                   : mr_json_read_value(&fields[i], member, text, &values[i], &problem))
            continue;
        if (told == NULL || !tell(told, &fields[i], index, &problem))
            return false;
    }
    return told == NULL || told->count == 0;
}

bool mr_json_read_objects(const struct mr_field *field, const json_t *json, struct mr_slice text, struct mr_value *out,
                          const struct mr_listener *listener)
{
    struct mr_json_walk walk = mr_json_walk_of(text);
    struct told told = {listener, 0};
    struct mr_problem problem;
    size_t index;
    const json_t *item;

    mr_problem_set(&problem, "type", "must be an array of objects");
    if (!json_is_array(json))
        return tell(&told, field, -1, &problem) && false;
    if (!check_items(field, json_array_size(json), listener))
        return false;
    json_array_foreach(json, index, item) {
        struct mr_value values[MR_JSON_OBJECT_FIELDS] = {0};
        struct mr_slice part = {"", 0};

        (void)mr_json_element_next(&walk, &part);
        mr_problem_set(&problem, "type", "must be an object");
        if (!json_is_object(item) && !tell(&told, field, (int)index, &problem))
            return false;
        if (!json_is_object(item))
            continue;
        mr_json_find(part, field->of, values);
        if (!read_members(item, field->of, values, (int)index, &told) && told.count >= MR_JSON_OBJECT_PROBLEMS)
            return false;
    }
    *out = (struct mr_value){.present = told.count == 0, .text = text};
    return told.count == 0;
}

mr_status mr_json_read_object(json_t **json, struct mr_slice text, const struct mr_field *fields, struct mr_value *values)
{
    struct mr_json_refusal why;
    mr_status status = mr_json_load(json, text, &why);

    if (status != MR_OK)
        return status;
    for (unsigned i = 0; fields[i].name != NULL; i++)
        values[i] = (struct mr_value){.present = false};
    mr_json_find(text, fields, values);
    return read_members(*json, fields, values, 0, NULL) ? MR_OK : MR_INVALID;
}

bool mr_json_read_array_text(const struct mr_field *field, struct mr_slice text, struct mr_buf *room, struct mr_value *out,
                             const struct mr_listener *listener)
{
    struct mr_json_refusal why;
    json_t *json = load(text, JSON_DECODE_ANY, &why);
    bool good = mr_json_read_array(field, json, text, room, out, listener);

    json_decref(json);
    return good;
}

static void ignore(void *context, const struct mr_field *field, int index, const struct mr_problem *problem)
{
    (void)context;
    (void)field;
    (void)index;
    (void)problem;
}

void mr_json_read_default(const struct mr_field *field, struct mr_buf *room, struct mr_value *out)
{
    static const struct mr_listener nobody = {ignore, NULL};
    struct mr_problem ignored;

    if (field->many) /* it is a good one, so that only memory can be missing */
        room->failed |= !mr_json_read_array_text(field, mr_slice_of(field->fallback), room, out, &nobody);
    else
        (void)mr_field_parse(field, mr_slice_of(field->fallback), out, &ignored);
}

void mr_json_item_name(char out[MR_ITEM_NAME], const struct mr_field *field, int index)
{
    if (index < 0)
        snprintf(out, MR_ITEM_NAME, "%s", field->name);
    else
        snprintf(out, MR_ITEM_NAME, "%s[%d]", field->name, index);
}
