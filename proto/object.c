#include "proto/object.h"

#include <jansson.h>
#include <stdlib.h>

enum { DEPTH_MAX = 16, POWER_OVER = 308 };

#define EXPONENT_MOST INT64_C(1000000000000)

/* What stands for an integer that is out of range. */
#define MOST  "9223372036854775807"
#define LEAST "-9223372036854775808"

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

static size_t digits_at(struct mr_slice text, size_t at)
{
    size_t count = 0;

    while (at + count < text.len && text.data[at + count] >= '0' && text.data[at + count] <= '9')
        count++;
    return count;
}

/* Behind all that a number can be made of: what begins inside of that is none. */
static size_t skip_number(struct mr_slice text, size_t at)
{
    while (at < text.len && text.data[at] != '\0' && strchr("+-.0123456789eE", text.data[at]) != NULL)
        at++;
    return at;
}

struct number {
    size_t len; /* 0: it is none */
    bool is_integer;
    int64_t power; /* of ten: of the first digit that is not 0 */
};

static bool is_any(struct mr_slice text, size_t at, char one, char other)
{
    return at < text.len && (text.data[at] == one || text.data[at] == other);
}

static size_t zeros_at(struct mr_slice text, size_t at)
{
    size_t count = 0;

    while (is_any(text, at + count, '0', '0'))
        count++;
    return count;
}

/* Behind the decimal point, if there is one; false when no digit is behind it. */
static bool read_fraction(struct mr_slice text, size_t *at, struct number *out)
{
    bool is_below_one = is_any(text, *at - 1, '0', '0') && out->power == 0;
    size_t digits;

    if (!is_any(text, *at, '.', '.'))
        return true;
    digits = digits_at(text, *at + 1);
    if (is_below_one)
        out->power = -1 - (int64_t)zeros_at(text, *at + 1);
    out->is_integer = false;
    *at += 1 + digits;
    return digits > 0;
}

static bool read_exponent(struct mr_slice text, size_t *at, struct number *out)
{
    int64_t exponent = 0;
    size_t digits;
    bool negative;

    if (!is_any(text, *at, 'e', 'E'))
        return true;
    negative = is_any(text, ++*at, '-', '-');
    *at += is_any(text, *at, '+', '-');
    digits = digits_at(text, *at);
    for (size_t i = 0; i < digits; i++)
        if (exponent < EXPONENT_MOST)
            exponent = exponent * 10 + (text.data[*at + i] - '0');
    out->power += negative ? -exponent : exponent;
    out->is_integer = false;
    *at += digits;
    return digits > 0;
}

static bool is_zero(struct mr_slice text, size_t at, size_t end)
{
    while (at < end && strchr("-0.", text.data[at]) != NULL)
        at++;
    return at == end;
}

/* The number that begins at `start`, by the grammar of RFC 8259, 6. */
static struct number number_at(struct mr_slice text, size_t start)
{
    static const struct number none;
    struct number out = {.is_integer = true};
    size_t at = start + is_any(text, start, '-', '-');
    size_t digits = digits_at(text, at);
    bool zero;

    if (digits == 0 || (digits > 1 && text.data[at] == '0'))
        return none;
    at += digits;
    out.power = (int64_t)digits - 1;
    if (!read_fraction(text, &at, &out))
        return none;
    zero = is_zero(text, start, at);
    if (!read_exponent(text, &at, &out))
        return none;
    if (zero)
        out.power = 0; /* whatever the exponent */
    if (at != skip_number(text, start))
        return none; /* what stands for it must not become one with what is behind it */
    out.len = at - start;
    return out;
}

static bool fits(const char *text, const struct number *number)
{
    const char *bound = *text == '-' ? LEAST : MOST;

    if (!number->is_integer)
        return number->power < POWER_OVER;
    return number->len < strlen(bound) || (number->len == strlen(bound) && memcmp(text, bound, number->len) <= 0);
}

/* By one that is as large as can be: an integer stays one, which its field refuses. */
static void replace(char *text, const struct number *number)
{
    bool negative = *text == '-';
    const char *by = number->is_integer ? (negative ? LEAST : MOST) : (negative ? "-9e307" : "9e307");

    for (size_t i = 0; i < number->len; i++) {
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

/* The next number from `*at` on that does not fit; false when there is none. */
static bool next_too_large(struct mr_slice text, size_t *at, struct number *out)
{
    while (*at < text.len) {
        char c = text.data[*at];

        if (c == '"') {
            *at = skip_string(text, *at);
        } else if (c == '-' || (c >= '0' && c <= '9')) {
            *out = number_at(text, *at);
            if (out->len > 0 && !fits(text.data + *at, out))
                return true;
            *at = skip_number(text, *at);
        } else {
            ++*at;
        }
    }
    return false;
}

/* `text`, or a copy of it in `*copy` with numbers that fit. False when memory is short. */
static bool with_room(struct mr_slice *text, char **copy)
{
    struct number number;
    size_t at = 0;

    while (next_too_large(*text, &at, &number)) {
        if (*copy == NULL && (*copy = malloc(text->len)) == NULL)
            return false;
        if (text->data != *copy)
            memcpy(*copy, text->data, text->len);
        text->data = *copy;
        replace(*copy + at, &number);
        at += number.len;
    }
    return true;
}

/* jansson skips a NUL behind a number or a literal, and then takes what follows for the rest. JSON has none. */
static json_t *load(struct mr_slice text, const char **detail)
{
    json_error_t error;
    char *copy = NULL;
    json_t *json = NULL;

    *detail = "The body is not valid JSON (RFC 8259, UTF-8).";
    if (text.len == 0 || memchr(text.data, '\0', text.len) != NULL)
        return NULL;
    *detail = "The body is too large to be read.";
    if (with_room(&text, &copy)) {
        json = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &error);
        if (json == NULL && json_error_code(&error) == json_error_duplicate_key)
            *detail = "The body has the same key twice in one object.";
        else if (json == NULL && json_error_code(&error) == json_error_stack_overflow)
            *detail = "The body nests deeper than 16 levels.";
        else if (json == NULL && json_error_code(&error) != json_error_out_of_memory)
            *detail = "The body is not valid JSON (RFC 8259, UTF-8).";
    }
    free(copy);
    return json;
}

mr_status mr_object_load(json_t **out, struct mr_slice text, const char **detail)
{
    json_t *json = load(text, detail);

    if (json == NULL)
        return MR_INVALID;
    if (!json_is_object(json))
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

/* The ends of the range stand for what is beyond them. */
static bool is_in_range(int64_t value, struct mr_problem *problem)
{
    if (value > INT64_MIN && value < INT64_MAX)
        return true;
    mr_problem_set(problem, "range", "is out of range");
    return false;
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
        return json_is_integer(json) && is_in_range(out->integer, problem) &&
               mr_field_check_integer(field, out->integer, problem);
    case MR_BYTES: break; /* JSON has none */
    }
    return false;
}
