#include "proto/kind.h"

#include <jansson.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>

#include "proto/timestamp.h"
#include "proto/uuid.h"

enum { NAME_ROOM = 192, LENGTH_MAX = 1000000, TIMESTAMP_MOST = 100 /* bytes; PostgreSQL reads no more than some */ };

static bool all_among(struct mr_slice text, const char *others)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];

        if ((c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c == '\0' || strchr(others, c) == NULL))
            return false;
    }
    return true;
}

size_t mr_webhook_key(uint8_t key[MR_SECRET_MOST], struct mr_slice text)
{
    static const char prefix[] = "whsec_";
    const size_t begin = sizeof prefix - 1;
    size_t len = 0;

    if (text.len > begin && memcmp(text.data, prefix, begin) == 0 &&
        sodium_base642bin(key, MR_SECRET_MOST, text.data + begin, text.len - begin, NULL, &len, NULL,
                          sodium_base64_VARIANT_ORIGINAL) == 0 &&
        len >= MR_SECRET_LEAST)
        return len;
    sodium_memzero(key, MR_SECRET_MOST);
    return 0;
}

bool mr_webhook_secret_is_good(struct mr_slice text)
{
    uint8_t key[MR_SECRET_MOST];
    bool good = mr_webhook_key(key, text) > 0;

    sodium_memzero(key, sizeof key);
    return good;
}

bool mr_kind_name_is_good(struct mr_slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];

        if ((c < 'a' || c > 'z') && (i == 0 || ((c < '0' || c > '9') && c != '_' && c != '-')))
            return false;
    }
    return name.len > 0;
}

/* ---- Arguments ---- */

/* Who hears of what is wrong with one argument. */
struct hearing {
    void (*tell)(void *context, const char *name, const struct mr_problem *problem);
    void *context;
    const char *name; /* "args.orderId" */
    bool good;
};

/* Appends what `room` bytes have room for: of whole characters, since the answer is JSON. */
static void put_part(char *name, size_t room, const char *part)
{
    size_t len = strlen(name);

    mr_slice_copy(name + len, room - len, mr_slice_of(part));
}

static void complain(struct hearing *self, const char *member, const char *code, const char *message)
{
    char name[NAME_ROOM] = "";
    struct mr_problem problem;

    put_part(name, sizeof name, self->name);
    put_part(name, sizeof name, member[0] != '\0' ? "." : "");
    put_part(name, sizeof name, member);
    mr_problem_set(&problem, code, "%s", message);
    self->tell(self->context, name, &problem);
    self->good = false;
}

enum kind { OF_TEXT, OF_UUID, OF_INTEGER, OF_NUMBER, OF_BOOLEAN, OF_TIMESTAMP, OF_DATE, OF_JSON, KINDS };

static const char *const kinds[KINDS] = {"text", "uuid", "integer", "number", "boolean", "timestamp", "date", "json"};

static enum kind kind_of(const json_t *type)
{
    int kind = 0;

    while (kind < KINDS && (!json_is_string(type) || strcmp(json_string_value(type), kinds[kind]) != 0))
        kind++;
    return (enum kind)kind;
}

/* Behind the seconds: decimals perhaps, then an offset that PostgreSQL has. */
static bool is_rest_of_moment(const char *text, size_t len)
{
    size_t at = 0;

    if (len > 0 && text[0] == '.')
        for (at = 1; at < len && text[at] >= '0' && text[at] <= '9';)
            at++;
    if (len - at == 1)
        return text[at] == 'Z' || text[at] == 'z';
    return len - at == strlen("+00:00") && text[at + 3] == ':' &&
           (text[at + 1] == '0' || (text[at + 1] == '1' && text[at + 2] < '6'));
}

bool mr_kind_timestamp_is_good(struct mr_slice text)
{
    static const char form[] = "0000-00-00T00:00:00";
    const size_t whole = sizeof form - 1;
    int64_t ignored;

    if (text.len < whole || text.len > TIMESTAMP_MOST || !mr_timestamp_parse(&ignored, text.data, text.len))
        return false;
    for (size_t i = 0; i < whole; i++) {
        char c = text.data[i];

        if (form[i] == '0' ? c < '0' || c > '9' : c != form[i] && (form[i] != 'T' || c != 't'))
            return false;
    }
    return is_rest_of_moment(text.data + whole, text.len - whole);
}

static bool is_moment(enum kind kind, const json_t *value)
{
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);
    uint8_t uuid[16];
    int64_t ignored;

    if (text == NULL)
        return false;
    if (kind == OF_UUID)
        return mr_uuid_parse(uuid, text, len);
    return kind == OF_DATE ? mr_date_parse(&ignored, text, len) : mr_kind_timestamp_is_good((struct mr_slice){text, len});
}

static bool is_of(enum kind kind, const json_t *value)
{
    switch (kind) {
    case OF_TEXT: return json_is_string(value);
    case OF_INTEGER: return json_is_integer(value);
    case OF_NUMBER: return json_is_number(value);
    case OF_BOOLEAN: return json_is_boolean(value);
    case OF_UUID:
    case OF_TIMESTAMP:
    case OF_DATE: return is_moment(kind, value);
    default: return true;
    }
}

/* One that run_problems would refuse: a number is at most so many characters, a pair from and to. */
static bool has_length(const json_t *rules, const json_t *text)
{
    const json_t *length = json_object_get(rules, "length");
    bool is_pair = json_is_array(length);
    json_int_t from = is_pair ? json_integer_value(json_array_get(length, 0)) : 0;
    json_int_t to = json_integer_value(is_pair ? json_array_get(length, 1) : length);
    int64_t points = 0;

    return length == NULL || !mr_utf8_valid((struct mr_slice){json_string_value(text), json_string_length(text)}, &points) ||
           (points >= from && points <= to);
}

/* A double has not every integer of 64 bits. */
static long double number_of(const json_t *rules, const char *member, long double otherwise)
{
    const json_t *value = json_object_get(rules, member);

    if (json_is_integer(value))
        return (long double)json_integer_value(value);
    return json_is_real(value) ? (long double)json_real_value(value) : otherwise;
}

static void check_default(struct hearing *self, enum kind kind, const json_t *rules)
{
    const json_t *value = json_object_get(rules, "default");

    if (value == NULL)
        return;
    if (!is_of(kind, value))
        complain(self, "default", "type", "must be a value of the type");
    else if (json_is_true(json_object_get(rules, "required")))
        complain(self, "default", "mismatch", "makes no sense where the argument is required");
    else if (json_is_number(value) && (number_of(rules, "default", 0) < number_of(rules, "min", -HUGE_VALL) ||
                                       number_of(rules, "default", 0) > number_of(rules, "max", HUGE_VALL)))
        complain(self, "default", "range", "must lie between min and max");
    else if (kind == OF_TEXT && !has_length(rules, value))
        complain(self, "default", "length", "must be as long as length says");
}

static void check_bounds(struct hearing *self, enum kind kind, const json_t *rules)
{
    static const char *const bounds[] = {"min", "max"};
    bool is_number = kind == OF_INTEGER || kind == OF_NUMBER;

    for (size_t i = 0; i < 2; i++) {
        const json_t *bound = json_object_get(rules, bounds[i]);

        if (bound != NULL && !is_number)
            complain(self, bounds[i], "mismatch", "is for arguments of type integer and number");
        else if (bound != NULL && !is_of(kind, bound))
            complain(self, bounds[i], "type", kind == OF_INTEGER ? "must be an integer" : "must be a number");
    }
    if (number_of(rules, "min", -HUGE_VALL) > number_of(rules, "max", HUGE_VALL))
        complain(self, "max", "range", "must not be below min");
}

static bool is_length(const json_t *length, json_int_t least)
{
    return json_is_integer(length) && json_integer_value(length) >= least && json_integer_value(length) <= LENGTH_MAX;
}

/* At most so many characters, or [from, to]. */
static void check_length(struct hearing *self, enum kind kind, const json_t *rules)
{
    const json_t *length = json_object_get(rules, "length");
    const json_t *from = json_array_get(length, 0);
    const json_t *to = json_array_get(length, 1);

    if (length == NULL)
        return;
    if (kind != OF_TEXT)
        complain(self, "length", "mismatch", "is for arguments of type text");
    else if (json_array_size(length) == 2 ? !is_length(from, 0) || !is_length(to, json_integer_value(from))
                                          : !is_length(length, 1))
        complain(self, "length", "range", "must be an integer from 1 to 1000000, or two of them: [from, to]");
}

static void check_rules(struct hearing *self, const json_t *rules)
{
    static const char known[] = "type|required|default|min|max|length";
    enum kind kind = kind_of(json_object_get(rules, "type"));
    const json_t *required = json_object_get(rules, "required");
    const struct mr_field words = {.choices = known};
    const char *member;
    json_t *value;

    json_object_foreach((json_t *)rules, member, value) {
        if (mr_field_choice(&words, mr_slice_of(member)) < 0)
            complain(self, member, "unknown", "is not one of type, required, default, min, max and length");
    }
    if (kind == KINDS) {
        complain(self, "type", "choice", "must be one of text|uuid|integer|number|boolean|timestamp|date|json");
        return;
    }
    if (required != NULL && !json_is_boolean(required))
        complain(self, "required", "type", "must be a boolean");
    check_bounds(self, kind, rules);
    check_length(self, kind, rules);
    check_default(self, kind, rules);
}

static bool is_argument(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len <= 63 && (name[0] < '0' || name[0] > '9') && all_among((struct mr_slice){name, len}, "_");
}

bool mr_kind_args_rule(const struct json_t *json, const char *name,
                       void (*tell)(void *context, const char *name, const struct mr_problem *problem), void *context)
{
    struct hearing whole = {tell, context, name, true};
    const char *argument;
    json_t *rules;

    if (!json_is_object(json)) {
        complain(&whole, "", "type", "must be an object of arguments and their rules");
        return false;
    }
    if (json_object_size(json) > MR_ARGS_MAX)
        complain(&whole, "", "items", "must have at most 64 arguments");
    json_object_foreach((json_t *)json, argument, rules) {
        char path[NAME_ROOM / 2] = "";
        struct hearing one = {tell, context, path, true};

        put_part(path, sizeof path, name);
        put_part(path, sizeof path, ".");
        put_part(path, sizeof path, argument);
        if (!is_argument(argument))
            complain(&one, "", "format", "must have a name of letters, digits and _ that begins with no digit");
        else if (!json_is_object(rules))
            complain(&one, "", "type", "must be an object of rules, such as {\"type\": \"uuid\"}");
        else
            check_rules(&one, rules);
        whole.good = whole.good && one.good;
    }
    return whole.good;
}

bool mr_kind_object_rule(const struct json_t *json, const char *name,
                         void (*tell)(void *context, const char *name, const struct mr_problem *problem), void *context)
{
    struct hearing self = {tell, context, name, true};

    if (!json_is_object(json))
        complain(&self, "", "type", "must be an object");
    return self.good;
}
