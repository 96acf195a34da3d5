#include "application/value.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

#include "application/keys.h"
#include "proto/field.h"
#include "proto/timestamp.h"
#include "proto/uuid.h"

int64_t mr_duration_ms(const char *text)
{
    static const struct unit {
        const char *name;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    char *unit;
    long long value = strtoll(text, &unit, 10);

    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(unit, units[i].name) == 0)
            return value * units[i].ms; /* nine digits at most */
    return 0;
}

/* ---- Regular expressions ---- */

/* What a pattern comes to with its repetitions written out: a group's size is that of its parts. */
struct weighing {
    const char *at;
    long sizes[MR_REGEX_DEPTH + 1]; /* of each open group so far */
    unsigned depth;
    long last; /* size of what a repetition would repeat */
    const char *reason;
};

/* Behind `[`, up to and with its `]`; classes such as [:alpha:] included. */
static const char *skip_bracket(const char *at)
{
    at += *at == '^';
    at += *at == ']';
    while (*at != '\0' && *at != ']') {
        const char *end = at[0] == '[' && (at[1] == ':' || at[1] == '.' || at[1] == '=') ? strchr(at + 2, ']') : NULL;

        at = end != NULL ? end + 1 : at + 1;
    }
    return *at == ']' ? at + 1 : at;
}

/* {m}, {m,} or {m,n}: how often at most. */
static long read_times(const char **at)
{
    char *end;
    long times = strtol(*at, &end, 10);

    if (*end == ',') {
        long most = strtol(end + 1, &end, 10);

        times = most > times ? most : times + 1;
    }
    *at = *end == '}' ? end + 1 : end;
    return times;
}

static void add_size(struct weighing *self, long size)
{
    self->last = size;
    self->sizes[self->depth] += size;
    if (self->sizes[self->depth] > MR_REGEX_SIZE)
        self->reason = "its repetitions come to more than 10000 characters";
}

static void open_group(struct weighing *self)
{
    if (self->depth == MR_REGEX_DEPTH) {
        self->reason = "more than 20 groups in each other";
        return;
    }
    self->sizes[++self->depth] = 0;
    self->last = 0;
}

static void close_group(struct weighing *self)
{
    if (self->depth > 0) {
        self->depth--;
        add_size(self, self->sizes[self->depth + 1] + 1);
    }
}

static void repeat(struct weighing *self)
{
    long times = read_times(&self->at);

    if (times < 0 || times > 1000)
        self->reason = "a repetition of more than 1000";
    else if (times > 1)
        add_size(self, self->last * (times - 1));
}

static void escape(struct weighing *self)
{
    if (*self->at >= '0' && *self->at <= '9')
        self->reason = "a back-reference";
    self->at += *self->at != '\0';
    add_size(self, 1);
}

static void weigh_next(struct weighing *self)
{
    switch (*self->at++) {
    case '\\': escape(self); break;
    case '(': open_group(self); break;
    case ')': close_group(self); break;
    case '{': repeat(self); break;
    case '[':
        self->at = skip_bracket(self->at);
        add_size(self, 1);
        break;
    default: add_size(self, 1); break;
    }
}

static const char *weigh(const char *pattern)
{
    struct weighing self = {.at = pattern};

    if (strlen(pattern) > MR_REGEX_BYTES)
        return "longer than 500 bytes";
    while (*self.at != '\0' && self.reason == NULL)
        weigh_next(&self);
    return self.reason;
}

bool mr_regex_check(const char *pattern, char *reason, size_t room)
{
    const char *heavy = weigh(pattern);
    regex_t regex;
    int code;

    if (heavy != NULL) {
        snprintf(reason, room, "%s", heavy);
        return false;
    }
    code = regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB);
    if (code != 0)
        regerror(code, &regex, reason, room);
    else
        regfree(&regex);
    return code == 0;
}

/* ---- Defaults ---- */

const char *mr_app_type_name(int type)
{
    static const char *const names[] = {"text", "uuid", "integer", "decimal", "number", "boolean", "date", "timestamp", "json"};

    return names[type];
}

static bool is_number(const struct mr_yaml *node)
{
    struct mr_buf out = {0};
    bool good = (node->kind == MR_YAML_INTEGER || node->kind == MR_YAML_FLOAT) && mr_yaml_json(node, &out);

    mr_buf_fini(&out);
    return good;
}

static bool is_date(const char *text)
{
    int64_t days;

    return mr_date_parse(&days, text, strlen(text));
}

static bool is_timestamp(const char *text)
{
    int64_t micros;

    return mr_timestamp_parse(&micros, text, strlen(text));
}

static bool is_uuid(const char *text)
{
    uint8_t uuid[16];

    return mr_uuid_parse(uuid, text, strlen(text));
}

static bool is_bigint(const struct mr_yaml *node)
{
    return node->kind == MR_YAML_INTEGER && is_number(node) && mr_decimal_compare(node->text, "-9223372036854775808") >= 0 &&
           mr_decimal_compare(node->text, "9223372036854775807") <= 0;
}

static bool is_of_type(int type, const struct mr_yaml *node)
{
    bool text = node->kind == MR_YAML_TEXT;

    switch ((enum mr_app_type)type) {
    case MR_APP_TEXT: return text;
    case MR_APP_UUID: return text && is_uuid(node->text);
    case MR_APP_INTEGER: return is_bigint(node);
    case MR_APP_DECIMAL: return is_number(node) && strpbrk(node->text, "eE") == NULL;
    case MR_APP_NUMBER: return is_number(node);
    case MR_APP_BOOLEAN: return node->kind == MR_YAML_BOOLEAN;
    case MR_APP_DATE: return text && is_date(node->text);
    case MR_APP_TIMESTAMP: return text && is_timestamp(node->text);
    case MR_APP_JSON: break;
    }
    return true; /* what it holds is looked at as a whole */
}

/* An example is looked at without the default beside it. */
static const char *told(const struct mr_app_field *field)
{
    return field->fallback != NULL ? "default" : "example";
}

static void check_text(const struct mr_app_field *field, const struct mr_yaml *node, struct mr_problems *problems)
{
    regex_t regex;
    char whole[MR_REGEX_BYTES + 8];
    char quote[MR_QUOTE_ROOM];
    int64_t points = 0;

    (void)mr_utf8_valid(mr_slice_of(node->text), &points);
    if (field->length.is_set && (points < field->length.min || points > field->length.max))
        mr_problems_add(problems, mr_yaml_place(node), "the %s has %lld characters, expected %lld to %lld", told(field),
                        (long long)points, (long long)field->length.min, (long long)field->length.max);
    if (field->pattern == NULL)
        return;
    snprintf(whole, sizeof whole, "^(%s)$", field->pattern);
    if (regcomp(&regex, whole, REG_EXTENDED | REG_NOSUB) != 0)
        return;
    if (regexec(&regex, node->text, 0, NULL, 0) != 0)
        mr_problems_add(problems, mr_yaml_place(node), "the %s %s does not match, expected the field's pattern", told(field),
                        mr_quote(quote, node->source));
    regfree(&regex);
}

static void check_number(const struct mr_app_field *field, const struct mr_yaml *node, struct mr_problems *problems)
{
    const struct mr_app_range *range = &field->range;

    if ((range->min != NULL && mr_decimal_compare(node->text, range->min) < 0) ||
        (range->max != NULL && mr_decimal_compare(node->text, range->max) > 0))
        mr_problems_add(problems, mr_yaml_place(node), "the %s is %s, expected it in %s..%s", told(field), node->text,
                        range->min != NULL ? range->min : "", range->max != NULL ? range->max : "");
    if (field->scale.is_set && mr_decimal_scale(node->text) > field->scale.value)
        mr_problems_add(problems, mr_yaml_place(node), "the %s is %s, expected at most %lld digits after the point",
                        told(field), node->text, (long long)field->scale.value);
}

static void check_one(const struct mr_app_field *field, const struct mr_yaml *node, struct mr_problems *problems)
{
    char quote[MR_QUOTE_ROOM];
    int type = field->type.index;

    if (!is_of_type(type, node)) {
        mr_problems_add(problems, mr_yaml_place(node), "the %s is %s, expected %s", told(field),
                        node->source != NULL ? mr_quote(quote, node->source) : mr_yaml_told(node->kind),
                        mr_app_type_name(type));
        return;
    }
    if (type == MR_APP_TEXT)
        check_text(field, node, problems);
    else if (type == MR_APP_INTEGER || type == MR_APP_DECIMAL || type == MR_APP_NUMBER)
        check_number(field, node, problems);
}

static void check_json(const struct mr_app_field *field, const struct mr_yaml *node, struct mr_problems *problems)
{
    struct mr_buf out = {0};

    if (!mr_yaml_json(node, &out))
        mr_problems_add(problems, mr_yaml_place(node),
                        "the %s contains a number that JSON does not have, expected one such as 31 or 0.5", told(field));
    mr_buf_fini(&out);
}

static void check_many(const struct mr_app_field *field, const struct mr_yaml *list, struct mr_problems *problems)
{
    if (list->kind != MR_YAML_LIST) {
        mr_problems_add(problems, mr_yaml_place(list), "the %s is %s, expected a list", told(field), mr_yaml_told(list->kind));
        return;
    }
    if (field->items.is_set && (list->count < field->items.min || list->count > field->items.max))
        mr_problems_add(problems, mr_yaml_place(list), "the %s has %u items, expected %lld to %lld", told(field), list->count,
                        (long long)field->items.min, (long long)field->items.max);
    for (const struct mr_yaml *item = list->first; item != NULL; item = item->next)
        check_one(field, item, problems);
}

static void check_value(const struct mr_app_field *field, const struct mr_yaml *value, struct mr_problems *problems)
{
    if (value == NULL || !field->type.is_set)
        return;
    if (field->many)
        check_many(field, value, problems);
    else
        check_one(field, value, problems);
    if (field->type.index == MR_APP_JSON)
        check_json(field, value, problems);
}

void mr_check_default(const struct mr_app_field *field, struct mr_problems *problems)
{
    struct mr_app_field example = *field;

    check_value(field, field->fallback, problems);
    example.fallback = NULL;
    check_value(&example, field->example, problems);
}
