#include "proto/field.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unictype.h>
#include <unistr.h>

#include "proto/decimal.h"
#include "proto/jsontext.h"
#include "proto/kind.h"
#include "proto/pattern.h"
#include "proto/timestamp.h"
#include "proto/username.h"
#include "proto/uuid.h"

static const struct {
    const char *sent;
    uint32_t oid;
    const char *column;
    const char *columns; /* an array of such */
    const char *told;
} types[] = {
#define T(name, sent, oid, column, told) [MR_##name] = {sent, oid, column, column "[]", told},
    MR_TYPES(T)
#undef T
};

enum mr_type mr_field_carried(const struct mr_field *field)
{
    return field->many ? MR_TEXT : field->type;
}

const char *mr_field_sql(const struct mr_field *field)
{
    return types[mr_field_carried(field)].sent;
}

uint32_t mr_field_oid(const struct mr_field *field)
{
    return types[mr_field_carried(field)].oid;
}

const char *mr_field_cast(const struct mr_field *field)
{
    return field->many ? types[field->type].columns : types[field->type].column;
}

const char *mr_type_told(enum mr_type type)
{
    return types[type].told;
}

struct mr_slice mr_value_bytes(enum mr_type carried, const struct mr_value *value)
{
    switch (carried) {
    case MR_UUID: return (struct mr_slice){(const char *)value->uuid, sizeof value->uuid};
    case MR_TIME:
    case MR_INT: return (struct mr_slice){(const char *)&value->integer, sizeof value->integer};
    case MR_BOOL: return (struct mr_slice){(const char *)&value->boolean, sizeof value->boolean};
    case MR_NUMBER: return (struct mr_slice){(const char *)&value->number, sizeof value->number};
    case MR_TEXT:
    case MR_BYTES:
    case MR_DECIMAL:
    case MR_DATE:
    case MR_JSON: break;
    }
    return value->text;
}

void mr_problem_set(struct mr_problem *problem, const char *code, const char *format, ...)
{
    char whole[sizeof problem->message + 4]; /* a character more tells whether the last one is whole */
    va_list args;

    problem->code = code;
    va_start(args, format);
    vsnprintf(whole, sizeof whole, format, args);
    va_end(args);
    mr_slice_copy(problem->message, sizeof problem->message, mr_slice_of(whole));
}

/* Bytes of the UTF-8 sequence at `p`, 0 when there is none that is well formed and shortest. */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
    static const struct {
        unsigned char mask, lead;
        size_t len;
        uint32_t least;
    } forms[] = {{0x80, 0x00, 1, 1}, {0xe0, 0xc0, 2, 0x80}, {0xf0, 0xe0, 3, 0x800}, {0xf8, 0xf0, 4, 0x10000}};

    for (size_t f = 0; f < 4; f++) {
        uint32_t point = *p & (unsigned char)~forms[f].mask;

        if ((*p & forms[f].mask) != forms[f].lead)
            continue;
        if (forms[f].len > left)
            return 0;
        for (size_t i = 1; i < forms[f].len; i++) {
            if ((p[i] & 0xc0) != 0x80)
                return 0;
            point = point << 6 | (p[i] & 0x3f);
        }
        return point >= forms[f].least && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff) ? forms[f].len : 0;
    }
    return 0;
}

bool mr_utf8_valid(struct mr_slice text, int64_t *points)
{
    const unsigned char *p = (const unsigned char *)text.data;
    int64_t count = 0;

    for (size_t at = 0; at < text.len; count++) {
        size_t len = utf8_sequence(p + at, text.len - at);

        if (len == 0)
            return false;
        at += len;
    }
    if (points != NULL)
        *points = count;
    return true;
}

static bool in_class(char c, const char *others, bool lower, bool upper)
{
    return (c >= '0' && c <= '9') || (lower && c >= 'a' && c <= 'z') || (upper && c >= 'A' && c <= 'Z') ||
           (c != '\0' && strchr(others, c) != NULL);
}

static bool all_of(struct mr_slice text, const char *others, bool lower, bool upper)
{
    for (size_t i = 0; i < text.len; i++)
        if (!in_class(text.data[i], others, lower, upper))
            return false;
    return true;
}

/* Labels of letters, digits and inner hyphens, 1 to 63 long, at least two of them (RFC 1035, 2.3.1). */
static bool is_domain(struct mr_slice text)
{
    size_t start = 0;
    size_t labels = 0;

    for (size_t i = 0; i <= text.len; i++) {
        if (i < text.len && text.data[i] != '.')
            continue;
        if (i == start || i - start > 63 || text.data[start] == '-' || text.data[i - 1] == '-')
            return false;
        if (!all_of((struct mr_slice){text.data + start, i - start}, "-", true, true))
            return false;
        labels++;
        start = i + 1;
    }
    return labels >= 2;
}

/* dot-atom "@" domain (RFC 5322, 3.4.1), the form that mailers take everywhere. */
static bool is_email(struct mr_slice text)
{
    const char *at = memchr(text.data, '@', text.len);
    struct mr_slice local;

    if (at == NULL)
        return false;
    local = (struct mr_slice){text.data, (size_t)(at - text.data)};
    if (local.len == 0 || local.len > 64 || local.data[0] == '.' || local.data[local.len - 1] == '.')
        return false;
    for (size_t i = 1; i < local.len; i++)
        if (local.data[i] == '.' && local.data[i - 1] == '.')
            return false;
    return all_of(local, ".!#$%&'*+/=?^_`{|}~-", true, true) && is_domain((struct mr_slice){at + 1, text.len - local.len - 1});
}

int mr_field_choice(const struct mr_field *field, struct mr_slice text)
{
    const char *at = field->choices;

    for (int place = 0; *at != '\0'; place++) {
        size_t len = strcspn(at, "|");

        if (len == text.len && memcmp(at, text.data, len) == 0)
            return place;
        at += len + (at[len] == '|');
    }
    return -1;
}

static bool is_username(struct mr_slice text, struct mr_problem *problem)
{
    uint32_t refused = mr_username_refused(text);

    if (refused == 0)
        return true;
    mr_problem_set(problem, "invisible",
                   "must not contain control, invisible or direction characters, or space at its ends: U+%04" PRIX32, refused);
    return false;
}

static bool has_word(struct mr_slice text)
{
    const uint8_t *bytes = (const uint8_t *)text.data;
    ucs4_t point;

    for (size_t at = 0, step; at < text.len; at += step) {
        step = (size_t)u8_mbtouc(&point, bytes + at, text.len - at);
        if (uc_is_general_category_withtable(point, UC_CATEGORY_MASK_L | UC_CATEGORY_MASK_Nd | UC_CATEGORY_MASK_Nl))
            return true;
    }
    return false;
}

/* False, and tells why: the text is written only where there is something to tell, for that costs more than to look at a value. */
static bool refuse(struct mr_problem *problem, const char *code, const char *text)
{
    mr_problem_set(problem, code, "%s", text);
    return false;
}

static bool is_choice(const struct mr_field *field, struct mr_slice text, struct mr_problem *problem)
{
    if (mr_field_choice(field, text) >= 0)
        return true;
    mr_problem_set(problem, "choice", "must be one of %s", field->choices);
    return false;
}

static bool is_secret(struct mr_slice text, struct mr_problem *problem)
{
    if (mr_webhook_secret_is_good(text))
        return true;
    mr_problem_set(problem, "format", "must be whsec_ and base64 of %d to %d bytes", MR_SECRET_LEAST, MR_SECRET_MOST);
    return false;
}

static bool check_format(const struct mr_field *field, struct mr_slice text, struct mr_problem *problem)
{
    switch (field->format) {
    case MR_FORMAT_CHOICE: return is_choice(field, text, problem);
    case MR_FORMAT_EMAIL: return is_email(text) || refuse(problem, "email", "must be a valid email address");
    case MR_FORMAT_WORDS: return has_word(text) || refuse(problem, "words", "must contain a word: a letter or a digit");
    case MR_FORMAT_USERNAME: return is_username(text, problem);
    case MR_FORMAT_CODE: return all_of(text, "_-", false, true) || refuse(problem, "format", "may hold only A-Z, 0-9, _ and -");
    case MR_FORMAT_CURSOR:
        return all_of(text, "abcdef", false, false) || refuse(problem, "format", "must be a cursor taken from a Link header");
    case MR_FORMAT_NAME:
        return mr_kind_name_is_good(text) || refuse(problem, "format", "must be a letter and then a-z, 0-9, _ and -");
    case MR_FORMAT_SECRET: return is_secret(text, problem);
    case MR_FORMAT_URL: /* the gateway's to read */
    case MR_FORMAT_CRON:
    case MR_FORMAT_ZONE:
    case MR_FORMAT_DURATION:
    case MR_FORMAT_ANY: break;
    }
    return true;
}

static bool parse_text(const struct mr_field *field, struct mr_slice text, struct mr_value *out, struct mr_problem *problem)
{
    int64_t points;

    if (!mr_utf8_valid(text, &points)) {
        mr_problem_set(problem, "encoding", "must be UTF-8 without U+0000");
        return false;
    }
    if (field->max != 0 && (points < field->min || points > field->max)) {
        mr_problem_set(problem, "length", "must be %" PRId64 " to %" PRId64 " characters long, is %" PRId64, field->min,
                       field->max, points);
        return false;
    }
    if (field->pattern != NULL && !mr_pattern_matches(field->pattern, text)) {
        mr_problem_set(problem, "format", field->hint != NULL ? "%s" : "must match %s",
                       field->hint != NULL ? field->hint : mr_pattern_text(field->pattern));
        return false;
    }
    if (!check_format(field, text, problem))
        return false;
    out->text = text;
    return true;
}

bool mr_field_check_integer(const struct mr_field *field, int64_t value, struct mr_problem *problem)
{
    if ((field->min != 0 || field->max != 0) && (value < field->min || value > field->max)) {
        mr_problem_set(problem, "range", "must be from %" PRId64 " to %" PRId64, field->min, field->max);
        return false;
    }
    return true;
}

static bool parse_integer(const struct mr_field *field, struct mr_slice text, struct mr_value *out, struct mr_problem *problem)
{
    bool negative = text.len > 0 && text.data[0] == '-';
    bool fits = true;
    int64_t value = 0;

    if (text.len == (size_t)negative)
        return refuse(problem, "type", "must be an integer");
    for (size_t i = negative; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return refuse(problem, "type", "must be an integer");
        fits = fits && !__builtin_mul_overflow(value, 10, &value) &&
               !__builtin_sub_overflow(value, text.data[i] - '0', &value); /* below zero there is room for one more */
    }
    if (!fits || (!negative && value == INT64_MIN))
        return refuse(problem, "range", "is out of range");
    out->integer = negative ? value : -value;
    return mr_field_check_integer(field, out->integer, problem);
}

/* ---- Durations ---- */

static const struct unit {
    const char *name;
    int64_t ms;
} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};

enum { UNITS = sizeof units / sizeof units[0], DURATION_DIGITS = 9 };

bool mr_duration_parse(int64_t *out_ms, struct mr_slice text)
{
    int64_t value = 0;
    size_t at = 0;

    for (; at < text.len && at < DURATION_DIGITS && text.data[at] >= '0' && text.data[at] <= '9'; at++)
        value = value * 10 + (text.data[at] - '0');
    for (size_t i = 0; at > 0 && i < UNITS; i++)
        if (mr_slice_is((struct mr_slice){text.data + at, text.len - at}, units[i].name)) {
            *out_ms = value * units[i].ms;
            return true;
        }
    return false;
}

/* In the largest unit that it is a multiple of. */
static void write_duration(char *out, size_t room, int64_t ms)
{
    size_t unit = UNITS - 1;

    while (unit > 0 && (ms == 0 || ms % units[unit].ms != 0))
        unit--;
    snprintf(out, room, "%" PRId64 "%s", ms / units[unit].ms, units[unit].name);
}

static bool parse_duration(const struct mr_field *field, struct mr_slice text, struct mr_value *out, struct mr_problem *problem)
{
    char least[32];
    char most[32];

    if (!mr_duration_parse(&out->integer, text))
        return refuse(problem, "type", "must be a duration such as 500ms, 30s, 15m, 1h or 7d");
    if ((field->min == 0 && field->max == 0) || (out->integer >= field->min && out->integer <= field->max))
        return true;
    write_duration(least, sizeof least, field->min);
    write_duration(most, sizeof most, field->max);
    mr_problem_set(problem, "range", "must be from %s to %s", least, most);
    return false;
}

/* ---- Numbers ---- */

/* Zeros at the end of a fraction, and with them the point, say nothing. */
static struct mr_slice shortest(struct mr_slice text, const struct mr_decimal *number)
{
    if (number->digits == number->end)
        return MR_SLICE("0");
    if (memchr(text.data, '.', text.len) == NULL || memchr(text.data, 'e', text.len) != NULL ||
        memchr(text.data, 'E', text.len) != NULL)
        return text;
    while (text.data[text.len - 1] == '0')
        text.len--;
    text.len -= text.data[text.len - 1] == '.';
    return text;
}

static bool check_range(const struct mr_field *field, const struct mr_decimal *number, struct mr_problem *problem)
{
    const struct mr_decimal least = mr_decimal_of(field->least != NULL ? field->least : "");
    const struct mr_decimal most = mr_decimal_of(field->most != NULL ? field->most : "");

    if ((field->least == NULL || mr_decimal_order(number, &least) >= 0) &&
        (field->most == NULL || mr_decimal_order(number, &most) <= 0))
        return true;
    if (field->least != NULL && field->most != NULL)
        mr_problem_set(problem, "range", "must be from %s to %s", field->least, field->most);
    else
        mr_problem_set(problem, "range", "must be at %s %s", field->least != NULL ? "least" : "most",
                       field->least != NULL ? field->least : field->most);
    return false;
}

/* Bounded also when written out, for an exponent is short and what it stands for is not. */
static bool parse_decimal(const struct mr_field *field, struct mr_slice text, struct mr_value *out, struct mr_problem *problem)
{
    struct mr_decimal number;

    if (!mr_decimal_parse(&number, text))
        return false;
    if (text.len > MR_DECIMAL_DIGITS || number.scale > MR_DECIMAL_DIGITS || number.power > MR_DECIMAL_DIGITS) {
        mr_problem_set(problem, "range", "must have at most %d digits", MR_DECIMAL_DIGITS);
        return false;
    }
    if (field->scale >= 0 && number.scale > field->scale) {
        mr_problem_set(problem, "scale", "must have at most %d digits after the point", field->scale);
        return false;
    }
    out->text = shortest(text, &number);
    return check_range(field, &number, problem);
}

static bool parse_number(const struct mr_field *field, struct mr_slice text, struct mr_value *out, struct mr_problem *problem)
{
    char copy[MR_DECIMAL_DIGITS + 1];
    struct mr_decimal number;

    if (!mr_decimal_parse(&number, text))
        return false;
    if (text.len > MR_DECIMAL_DIGITS) {
        mr_problem_set(problem, "range", "must have at most %d digits", MR_DECIMAL_DIGITS);
        return false;
    }
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    out->number = strtod(copy, NULL);
    return isfinite(out->number) ? check_range(field, &number, problem) : refuse(problem, "range", "is out of range");
}

/* ---- The whole ---- */

static bool parse_date(struct mr_slice text, struct mr_value *out)
{
    int64_t ignored;

    out->text = text;
    return mr_date_parse(&ignored, text.data, text.len);
}

static bool parse_json(const struct mr_field *field, struct mr_slice text, struct mr_value *out, struct mr_problem *problem)
{
    out->text = text;
    if (field->max == 0 || (int64_t)text.len <= field->max)
        return mr_json_check(text, problem);
    mr_problem_set(problem, "length", "must be at most %" PRId64 " bytes of JSON, is %zu", field->max, text.len);
    return false;
}

bool mr_field_check_items(const struct mr_field *field, size_t items, struct mr_problem *problem)
{
    if ((field->items_max == 0 && field->items_min == 0) ||
        (items <= INT64_MAX && (int64_t)items >= field->items_min && (int64_t)items <= field->items_max))
        return true;
    mr_problem_set(problem, "items", "must have %" PRId64 " to %" PRId64 " items, has %zu", field->items_min, field->items_max,
                   items);
    return false;
}

bool mr_field_parse(const struct mr_field *field, struct mr_slice text, struct mr_value *out, struct mr_problem *problem)
{
    struct mr_value value = {.present = true};
    bool good = false;

    problem->code = NULL;
    switch (field->type) {
    case MR_TEXT: good = parse_text(field, text, &value, problem); break;
    case MR_UUID: good = mr_uuid_parse(value.uuid, text.data, text.len); break;
    case MR_TIME: good = mr_timestamp_parse(&value.integer, text.data, text.len); break;
    case MR_INT:
        good = field->format == MR_FORMAT_DURATION ? parse_duration(field, text, &value, problem)
                                                   : parse_integer(field, text, &value, problem);
        break;
    case MR_BOOL:
        value.boolean = mr_slice_is(text, "true");
        good = value.boolean || mr_slice_is(text, "false");
        break;
    case MR_DECIMAL: good = parse_decimal(field, text, &value, problem); break;
    case MR_NUMBER: good = parse_number(field, text, &value, problem); break;
    case MR_DATE: good = parse_date(text, &value); break;
    case MR_JSON: good = parse_json(field, text, &value, problem); break;
    case MR_BYTES: break; /* nobody writes bytes as text */
    }
    if (good)
        *out = value;
    else if (problem->code == NULL)
        mr_problem_set(problem, "type", "must be a %s", mr_type_told(field->type));
    return good;
}
