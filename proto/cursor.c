#include "proto/cursor.h"

#include <errno.h>
#include <stdlib.h>

#include "proto/field.h"
#include "proto/uuid.h"

enum { ID_DIGITS = 32, NUMBER_MOST = 1200 };

/* What PostgreSQL has room for. */
#define TIME_LEAST (-INT64_C(210866803200000000))
#define TIME_MOST  INT64_C(9223371331199999999)
#define DATE_LEAST (-INT64_C(2440588))
#define DATE_MOST  INT64_C(2145031948)

static void append_hex(struct mr_buf *out, const void *data, size_t len)
{
    const uint8_t *bytes = data;
    char *to = mr_buf_reserve(out, 2 * len);

    if (to == NULL)
        return;
    for (size_t i = 0; i < len; i++) {
        *to++ = "0123456789abcdef"[bytes[i] >> 4];
        *to++ = "0123456789abcdef"[bytes[i] & 15];
    }
    out->len += 2 * len;
}

void mr_cursor_write(struct mr_buf *out, const uint8_t id[16], const struct mr_slice *key)
{
    append_hex(out, id, 16);
    mr_buf_char(out, key != NULL ? '1' : '0');
    if (key != NULL)
        append_hex(out, key->data, key->len);
}

/* -1: no digit. */
static int value_of(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static bool read_hex(struct mr_buf *out, struct mr_slice digits)
{
    for (size_t i = 0; i + 1 < digits.len; i += 2) {
        int high = value_of(digits.data[i]);
        int low = value_of(digits.data[i + 1]);

        if (high < 0 || low < 0)
            return false;
        mr_buf_char(out, (char)(high << 4 | low));
    }
    return digits.len % 2 == 0 && !out->failed;
}

static size_t digits_at(const char *text)
{
    return strspn(text, "0123456789");
}

/* "-12": as it is written, so that SQL reads the same. */
static bool is_integer(const char *text, int64_t least, int64_t most)
{
    size_t digits = digits_at(text + (*text == '-'));
    long long value;

    if (digits == 0 || text[(*text == '-') + digits] != '\0')
        return false;
    errno = 0;
    value = strtoll(text, NULL, 10);
    return errno == 0 && value >= least && value <= most;
}

static bool is_unbounded(const char *text)
{
    return strcmp(text, "NaN") == 0 || strcmp(text, "Infinity") == 0 || strcmp(text, "-Infinity") == 0;
}

/* "-12.5"; the end of it. NULL: it is no number. */
static const char *decimal_end(const char *text)
{
    size_t digits;

    text += *text == '-';
    digits = digits_at(text);
    if (digits == 0 || digits > NUMBER_MOST)
        return NULL;
    text += digits;
    if (*text != '.')
        return text;
    digits = digits_at(++text);
    return digits > 0 && digits <= NUMBER_MOST ? text + digits : NULL;
}

static bool is_decimal(const char *text)
{
    const char *end = decimal_end(text);

    return is_unbounded(text) || (end != NULL && *end == '\0');
}

/* "1.5e-07", which a double precision has room for. */
static bool is_number(const char *text)
{
    const char *end = decimal_end(text);
    double value;

    if (is_unbounded(text))
        return true;
    if (end == NULL)
        return false;
    if (*end == 'e') {
        end += end[1] == '-' || end[1] == '+' ? 2 : 1;
        if (digits_at(end) == 0 || digits_at(end) > 3)
            return false;
        end += digits_at(end);
    }
    errno = 0;
    value = strtod(text, NULL);
    return *end == '\0' &&
           (errno == 0 || (value != 0 && value - value == 0)); /* one that is denormal is said to be too small */
}

static bool is_key(struct mr_slice text, enum mr_cursor_key key)
{
    uint8_t id[16];

    if (!mr_utf8_valid((struct mr_slice){text.data, text.len - 1}, NULL))
        return false;
    switch (key) {
    case MR_CURSOR_NONE: return false;
    case MR_CURSOR_TEXT: return true;
    case MR_CURSOR_UUID: return mr_uuid_parse(id, text.data, text.len - 1);
    case MR_CURSOR_INTEGER: return is_integer(text.data, INT64_MIN, INT64_MAX);
    case MR_CURSOR_BOOLEAN: return is_integer(text.data, 0, 1);
    case MR_CURSOR_TIME:
        return is_integer(text.data, TIME_LEAST, TIME_MOST) || is_integer(text.data, INT64_MAX, INT64_MAX) ||
               is_integer(text.data, INT64_MIN, INT64_MIN);
    case MR_CURSOR_DATE:
        return is_integer(text.data, DATE_LEAST, DATE_MOST) || is_integer(text.data, INT32_MAX, INT32_MAX) ||
               is_integer(text.data, INT32_MIN, INT32_MIN);
    case MR_CURSOR_DECIMAL: return is_decimal(text.data);
    case MR_CURSOR_NUMBER: return is_number(text.data);
    }
    return false;
}

bool mr_cursor_is_good(struct mr_slice digits, enum mr_cursor_key key)
{
    struct mr_buf text = {0};
    bool good = false;

    if (digits.len < MR_CURSOR_LEAST || !read_hex(&text, (struct mr_slice){digits.data, ID_DIGITS}))
        goto out;
    if (digits.data[ID_DIGITS] == '0') {
        good = digits.len == MR_CURSOR_LEAST;
        goto out;
    }
    text.len = 0;
    if (digits.data[ID_DIGITS] != '1' ||
        !read_hex(&text, (struct mr_slice){digits.data + MR_CURSOR_LEAST, digits.len - MR_CURSOR_LEAST}))
        goto out;
    mr_buf_char(&text, '\0');
    good = !text.failed && is_key((struct mr_slice){text.data, text.len}, key);
out:
    mr_buf_fini(&text);
    return good;
}
