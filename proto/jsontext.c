#include "proto/jsontext.h"

#include "proto/decimal.h"

/* What is left to read. */
struct reading {
    const char *at;
    const char *end;
    struct mr_problem *problem;
};

static bool refuse(struct reading *self, const char *code, const char *message)
{
    mr_problem_set(self->problem, code, "%s", message);
    return false;
}

static bool is_broken(struct reading *self)
{
    return refuse(self, "type", "must be JSON (RFC 8259)");
}

static void skip_space(struct reading *self)
{
    while (self->at < self->end && (*self->at == ' ' || *self->at == '\t' || *self->at == '\n' || *self->at == '\r'))
        self->at++;
}

static bool take(struct reading *self, char wanted)
{
    if (self->at == self->end || *self->at != wanted)
        return false;
    self->at++;
    return true;
}

/* The four hexadecimal digits of an escape, from `at` on; -1 when they are none. */
static int unit_at(const char *at, const char *end)
{
    int unit = 0;

    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;

        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static bool is_low_half(int unit)
{
    return unit >= 0xdc00 && unit <= 0xdfff;
}

/* Behind `\u`: a code point, of two escapes when it is outside of the first plane. */
static bool read_unit(struct reading *self)
{
    int unit = unit_at(self->at, self->end);

    if (unit < 0)
        return is_broken(self);
    self->at += 4;
    if (unit == 0 || is_low_half(unit))
        return refuse(self, "encoding", "must not contain U+0000, nor half of a surrogate pair");
    if (unit < 0xd800 || unit > 0xdbff)
        return true;
    if (!take(self, '\\') || !take(self, 'u') || !is_low_half(unit_at(self->at, self->end)))
        return refuse(self, "encoding", "must not contain U+0000, nor half of a surrogate pair");
    self->at += 4;
    return true;
}

static bool read_escape(struct reading *self)
{
    char c;

    if (self->at == self->end)
        return is_broken(self);
    c = *self->at++;
    if (c == 'u')
        return read_unit(self);
    return (c != '\0' && strchr("\"\\/bfnrt", c) != NULL) || is_broken(self);
}

/* Behind the quote. */
static bool read_string(struct reading *self)
{
    while (self->at < self->end) {
        unsigned char c = (unsigned char)*self->at++;

        if (c == '"')
            return true;
        if (c < ' ')
            break;
        if (c == '\\' && !read_escape(self))
            return false;
    }
    return is_broken(self);
}

static bool is_of_number(char c)
{
    return c != '\0' && strchr("+-.0123456789eE", c) != NULL;
}

static bool read_number(struct reading *self)
{
    const char *from = self->at;
    struct mr_decimal number;

    while (self->at < self->end && is_of_number(*self->at))
        self->at++;
    if (!mr_decimal_parse(&number, (struct mr_slice){from, (size_t)(self->at - from)}))
        return is_broken(self);
    if (self->at - from > MR_DECIMAL_DIGITS)
        return refuse(self, "range", "must not contain a number of more than 1000 digits");
    if (number.power > MR_JSON_POWER_MAX || number.power < -MR_JSON_POWER_MAX)
        return refuse(self, "range", "must not contain a number beyond 1e308 or 1e-308");
    return true;
}

static bool read_word(struct reading *self)
{
    static const char *const words[] = {"true", "false", "null"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t len = strlen(words[i]);

        if ((size_t)(self->end - self->at) >= len && memcmp(self->at, words[i], len) == 0) {
            self->at += len;
            return true;
        }
    }
    return is_broken(self);
}

static bool read_value(struct reading *self, unsigned depth);

static bool read_name(struct reading *self)
{
    skip_space(self);
    if (!take(self, '"'))
        return is_broken(self);
    if (!read_string(self))
        return false;
    skip_space(self);
    return take(self, ':') || is_broken(self);
}

/* Behind the bracket. */
static bool read_items(struct reading *self, char close, unsigned depth)
{
    if (depth > MR_JSON_DEPTH)
        return refuse(self, "depth", "must not nest deeper than 16 levels");
    skip_space(self);
    if (take(self, close))
        return true;
    do {
        if (close == '}' && !read_name(self))
            return false;
        if (!read_value(self, depth))
            return false;
    } while (take(self, ','));
    return take(self, close) || is_broken(self);
}

/* With the space around it. */
static bool read_value(struct reading *self, unsigned depth)
{
    bool good;

    skip_space(self);
    if (take(self, '{'))
        good = read_items(self, '}', depth + 1);
    else if (take(self, '['))
        good = read_items(self, ']', depth + 1);
    else if (take(self, '"'))
        good = read_string(self);
    else if (self->at < self->end && is_of_number(*self->at) && *self->at != 'e' && *self->at != 'E')
        good = read_number(self);
    else
        good = read_word(self);
    skip_space(self);
    return good;
}

bool mr_json_check(struct mr_slice text, struct mr_problem *problem)
{
    struct reading self = {text.data, text.data + text.len, problem};

    if (!mr_utf8_valid(text, NULL))
        return refuse(&self, "encoding", "must be UTF-8 without U+0000");
    return read_value(&self, 0) && (self.at == self.end || is_broken(&self));
}

/* ---- Walks: the text is good, so that they only look for where things end ---- */

static const char *skip_blank(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return at;
}

/* Behind the string that begins at `at`. */
static const char *behind_string(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++)
        at += *at == '\\';
    return at < end ? at + 1 : end;
}

/* Behind the value that begins at `at`. */
static const char *behind_value(const char *at, const char *end)
{
    unsigned depth = 0;

    while (at < end) {
        char c = *at;

        if (depth == 0 && (c == ',' || c == ']' || c == '}'))
            break;
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        at = c == '"' ? behind_string(at, end) : at + 1;
    }
    return at < end ? at : end;
}

static struct mr_slice trimmed(const char *from, const char *end)
{
    while (end > from && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\n' || end[-1] == '\r'))
        end--;
    return (struct mr_slice){from, (size_t)(end - from)};
}

struct mr_json_walk mr_json_walk_of(struct mr_slice text)
{
    const char *end = text.data + text.len;
    const char *at = skip_blank(text.data, end);

    if (at == end || (*at != '{' && *at != '['))
        return (struct mr_json_walk){end, end};
    return (struct mr_json_walk){at + 1, end};
}

bool mr_json_element_next(struct mr_json_walk *self, struct mr_slice *value)
{
    const char *at = skip_blank(self->at, self->end);
    const char *behind = behind_value(at, self->end);

    if (behind == at)
        return false; /* the closing bracket, or the end */
    *value = trimmed(at, behind);
    self->at = behind < self->end && *behind == ',' ? behind + 1 : behind;
    return true;
}

bool mr_json_member_next(struct mr_json_walk *self, struct mr_slice *name, struct mr_slice *value)
{
    const char *at = skip_blank(self->at, self->end);
    const char *behind;

    if (at == self->end || *at != '"')
        return false;
    behind = behind_string(at, self->end);
    *name = (struct mr_slice){at + 1, (size_t)(behind - at) - (behind - at > 1 ? 2 : 1)};
    at = skip_blank(behind, self->end);
    self->at = at < self->end ? at + 1 : at; /* the colon */
    return mr_json_element_next(self, value);
}

/* A character of an escape that could stand in a name; '\0' for all others. */
static char escaped_at(const char *at, const char *end, size_t *len)
{
    int unit;

    if (*at != '\\') {
        *len = 1;
        return *at;
    }
    if (end - at >= 2 && at[1] == '/') {
        *len = 2;
        return '/';
    }
    unit = end - at >= 2 && at[1] == 'u' ? unit_at(at + 2, end) : -1;
    *len = 6;
    if (unit <= 0 || unit >= 0x80)
        return '\0';
    return (char)unit;
}

bool mr_json_name_is(struct mr_slice escaped, const char *name)
{
    const char *at = escaped.data;
    const char *end = at + escaped.len;
    size_t len;

    for (; at < end && *name != '\0'; at += len, name++)
        if (escaped_at(at, end, &len) != *name)
            return false;
    return at == end && *name == '\0';
}
