#include "proto/field.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unictype.h>
#include <unistr.h>

#include "proto/timestamp.h"
#include "proto/username.h"
#include "proto/uuid.h"

static const struct {
    const char *sql;
    uint32_t oid;
    const char *told;
} types[] = {
#define T(name, sql, oid, told) [MR_##name] = {sql, oid, told},
    MR_TYPES(T)
#undef T
};

const char *mr_type_sql(enum mr_type type)
{
    return types[type].sql;
}

uint32_t mr_type_oid(enum mr_type type)
{
    return types[type].oid;
}

const char *mr_type_told(enum mr_type type)
{
    return types[type].told;
}

void mr_problem_set(struct mr_problem *problem, const char *code, const char *format, ...)
{
    va_list args;

    problem->code = code;
    va_start(args, format);
    vsnprintf(problem->message, sizeof problem->message, format, args);
    va_end(args);
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

    mr_problem_set(problem, "invisible",
                   "must not hold control, invisible or direction characters, or space at its ends: U+%04" PRIX32, refused);
    return refused == 0;
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

static bool check_format(const struct mr_field *field, struct mr_slice text, struct mr_problem *problem)
{
    switch (field->format) {
    case MR_FORMAT_CHOICE:
        mr_problem_set(problem, "choice", "must be one of %s", field->choices);
        return mr_field_choice(field, text) >= 0;
    case MR_FORMAT_EMAIL: mr_problem_set(problem, "email", "must be a valid email address"); return is_email(text);
    case MR_FORMAT_WORDS: mr_problem_set(problem, "words", "must hold a word: a letter or a digit"); return has_word(text);
    case MR_FORMAT_USERNAME: return is_username(text, problem);
    case MR_FORMAT_CODE:
        mr_problem_set(problem, "format", "may hold only A-Z, 0-9, _ and -");
        return all_of(text, "_-", false, true);
    case MR_FORMAT_CURSOR:
        mr_problem_set(problem, "format", "must be a cursor taken from a Link header");
        return all_of(text, "abcdef", false, false);
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
    if (!check_format(field, text, problem))
        return false;
    out->text = text;
    return true;
}

bool mr_field_check_integer(const struct mr_field *field, int64_t value, struct mr_problem *problem)
{
    if (field->max != 0 && (value < field->min || value > field->max)) {
        mr_problem_set(problem, "range", "must be from %" PRId64 " to %" PRId64, field->min, field->max);
        return false;
    }
    return true;
}

static bool parse_integer(const struct mr_field *field, struct mr_slice text, struct mr_value *out, struct mr_problem *problem)
{
    bool negative = text.len > 0 && text.data[0] == '-';
    int64_t value = 0;

    if (text.len == (size_t)negative || text.len > 18) {
        mr_problem_set(problem, "type", "must be an integer");
        return false;
    }
    for (size_t i = negative; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            mr_problem_set(problem, "type", "must be an integer");
            return false;
        }
        value = value * 10 + (text.data[i] - '0');
    }
    out->integer = negative ? -value : value;
    return mr_field_check_integer(field, out->integer, problem);
}

bool mr_field_parse(const struct mr_field *field, struct mr_slice text, struct mr_value *out, struct mr_problem *problem)
{
    struct mr_value value = {.present = true};
    bool good = false;

    mr_problem_set(problem, "type", "must be a %s", mr_type_told(field->type));
    switch (field->type) {
    case MR_TEXT: good = parse_text(field, text, &value, problem); break;
    case MR_UUID: good = mr_uuid_parse(value.uuid, text.data, text.len); break;
    case MR_TIME: good = mr_timestamp_parse(&value.integer, text.data, text.len); break;
    case MR_INT: good = parse_integer(field, text, &value, problem); break;
    case MR_BOOL:
        value.boolean = mr_slice_is(text, "true");
        good = value.boolean || mr_slice_is(text, "false");
        break;
    case MR_BYTES: break; /* nobody writes bytes as text */
    }
    if (good)
        *out = value;
    return good;
}
