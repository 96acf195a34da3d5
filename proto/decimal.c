#include "proto/decimal.h"

#define EXPONENT_MOST INT64_C(1000000000000)

/* The parts of a number as it is written. */
struct parts {
    const char *start; /* of its digits */
    size_t whole;      /* digits in front of the point */
    size_t part;       /* and behind it */
    bool has_point;
    bool has_exponent;
    size_t exponent_digits;
    int64_t exponent;
    const char *end; /* behind all of it */
};

static size_t digits_at(const char *at, const char *end)
{
    const char *from = at;

    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return (size_t)(at - from);
}

static bool is_at(const char *at, const char *end, char one, char other)
{
    return at < end && (*at == one || *at == other);
}

static void read_exponent(struct parts *self, const char *at, const char *end)
{
    bool negative = is_at(at, end, '-', '-');

    at += is_at(at, end, '+', '-');
    self->exponent_digits = digits_at(at, end);
    self->end = at + self->exponent_digits;
    for (; at < self->end; at++)
        if (self->exponent < EXPONENT_MOST)
            self->exponent = self->exponent * 10 + (*at - '0');
    if (negative)
        self->exponent = -self->exponent;
}

static struct parts read_parts(const char *at, const char *end)
{
    struct parts self = {.start = at, .whole = digits_at(at, end)};

    self.end = at + self.whole;
    self.has_point = is_at(self.end, end, '.', '.');
    if (self.has_point) {
        self.part = digits_at(self.end + 1, end);
        self.end += 1 + self.part;
    }
    self.has_exponent = is_at(self.end, end, 'e', 'E');
    if (self.has_exponent)
        read_exponent(&self, self.end + 1, end);
    return self;
}

/* The power of ten that the digit at `at` stands for, but for the exponent. */
static int64_t power_at(const struct parts *parts, const char *at)
{
    int64_t behind = at - (parts->start + parts->whole);

    return behind < 0 ? -1 - behind : -behind;
}

static void find_digits(struct mr_decimal *out, const struct parts *parts)
{
    const char *from = parts->start;
    const char *end = from + parts->whole + (parts->has_point ? 1 + parts->part : 0);
    int64_t last;

    while (from < end && (*from == '0' || *from == '.'))
        from++;
    while (end > from && (end[-1] == '0' || end[-1] == '.'))
        end--;
    out->digits = from;
    out->end = end;
    if (from == end) {
        out->negative = false;
        return;
    }
    out->power = power_at(parts, from) + parts->exponent;
    last = power_at(parts, end - 1) + parts->exponent;
    out->scale = last < 0 ? -last : 0;
}

bool mr_decimal_parse(struct mr_decimal *out, struct mr_slice text)
{
    const char *end = text.data + text.len;
    bool negative = is_at(text.data, end, '-', '-');
    struct parts parts = read_parts(text.data + negative, end);

    if (parts.end != end || parts.whole == 0 || (parts.whole > 1 && *parts.start == '0'))
        return false;
    if ((parts.has_point && parts.part == 0) || (parts.has_exponent && parts.exponent_digits == 0))
        return false;
    *out = (struct mr_decimal){.negative = negative, .is_integer = !parts.has_point && !parts.has_exponent};
    find_digits(out, &parts);
    return true;
}

static char next_digit(const char **at, const char *end)
{
    if (is_at(*at, end, '.', '.'))
        ++*at;
    if (*at == end)
        return '0';
    return *(*at)++;
}

/* Of two that are not negative; zero has no digits, and the least power. */
static int order_of_size(const struct mr_decimal *a, const struct mr_decimal *b)
{
    const char *x = a->digits;
    const char *y = b->digits;

    if (x == a->end || y == b->end)
        return (x != a->end) - (y != b->end);
    if (a->power != b->power)
        return a->power > b->power ? 1 : -1;
    while (x < a->end || y < b->end) {
        char left = next_digit(&x, a->end);
        char right = next_digit(&y, b->end);

        if (left != right)
            return left > right ? 1 : -1;
    }
    return 0;
}

int mr_decimal_order(const struct mr_decimal *a, const struct mr_decimal *b)
{
    if (a->negative != b->negative)
        return a->negative ? -1 : 1;
    return a->negative ? order_of_size(b, a) : order_of_size(a, b);
}

struct mr_decimal mr_decimal_of(const char *text)
{
    struct mr_decimal out = {.negative = *text == '-'};
    struct parts parts;

    text += *text == '-' || *text == '+';
    parts = read_parts(text, text + strlen(text));
    find_digits(&out, &parts);
    return out;
}

int mr_decimal_compare(const char *a, const char *b)
{
    struct mr_decimal left = mr_decimal_of(a);
    struct mr_decimal right = mr_decimal_of(b);

    return mr_decimal_order(&left, &right);
}

int64_t mr_decimal_scale(const char *text)
{
    return mr_decimal_of(text).scale;
}
