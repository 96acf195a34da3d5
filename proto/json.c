#include "proto/json.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static void escape(struct mr_buf *out, unsigned char c)
{
    static const char digits[] = "0123456789abcdef";
    static const char named[] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\'};
    char text[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 0x0f]};

    if (c < sizeof named && named[c] != '\0')
        mr_buf_append(out, (char[]){'\\', named[c]}, 2);
    else
        mr_buf_append(out, text, sizeof text);
}

#define OF_EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* The highest bit of some byte, when one is zero. */
static uint64_t zero_bytes(uint64_t word)
{
    return (word - OF_EACH(1)) & ~word & OF_EACH(0x80);
}

/* Whether one of eight bytes has to be escaped: a quote, a backslash, or one below a blank. */
static bool has_special(const char *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof word);
    return (((word - OF_EACH(0x20)) & ~word & OF_EACH(0x80)) | zero_bytes(word ^ OF_EACH('"')) |
            zero_bytes(word ^ OF_EACH('\\'))) != 0;
}

/* How many bytes at the front stand for themselves. */
static size_t clean_run(const char *at, size_t len)
{
    size_t i = 0;

    while (len - i >= sizeof(uint64_t) && !has_special(at + i))
        i += sizeof(uint64_t);
    while (i < len && (unsigned char)at[i] >= 0x20 && at[i] != '"' && at[i] != '\\')
        i++;
    return i;
}

/* Nothing in it has to be escaped, as in nearly all. */
static void write_clean(struct mr_buf *out, struct mr_slice text)
{
    char *end = mr_buf_reserve(out, text.len + 2);

    if (end == NULL)
        return;
    *end++ = '"';
    if (text.len > 0)
        memcpy(end, text.data, text.len);
    end[text.len] = '"';
    out->len += text.len + 2;
}

void mr_json_string(struct mr_buf *out, struct mr_slice text)
{
    size_t before = clean_run(text.data, text.len);

    if (before == text.len) {
        write_clean(out, text);
        return;
    }
    mr_buf_char(out, '"');
    mr_buf_append(out, text.data, before);
    for (size_t i = before; i < text.len; i++) {
        size_t clean = clean_run(text.data + i, text.len - i);

        mr_buf_append(out, text.data + i, clean);
        i += clean;
        if (i < text.len)
            escape(out, (unsigned char)text.data[i]);
    }
    mr_buf_char(out, '"');
}

/* A double is told apart by 17 digits and often by fewer, a single by 9. */
void mr_json_number(struct mr_buf *out, double value)
{
    char text[32];

    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    mr_buf_text(out, text);
}

void mr_json_number_single(struct mr_buf *out, float value)
{
    char text[32];

    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value)
            break;
    }
    mr_buf_text(out, text);
}
