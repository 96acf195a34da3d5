#include "jobs/utf16.h"

#include <stdint.h>

enum mr_encoding mr_utf16_mark(struct mr_slice bytes, size_t *len)
{
    *len = 0;
    if (bytes.len >= 3 && memcmp(bytes.data, "\xef\xbb\xbf", 3) == 0) {
        *len = 3;
    } else if (bytes.len >= 2 && memcmp(bytes.data, "\xff\xfe", 2) == 0) {
        *len = 2;
        return MR_ENCODING_UTF16_LE;
    } else if (bytes.len >= 2 && memcmp(bytes.data, "\xfe\xff", 2) == 0) {
        *len = 2;
        return MR_ENCODING_UTF16_BE;
    }
    return MR_ENCODING_UTF8;
}

static void add_point(struct mr_buf *out, uint32_t point)
{
    static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    unsigned len = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;

    mr_buf_char(out, (char)(leads[len] | point >> (6 * (len - 1))));
    for (unsigned left = len - 1; left-- > 0;)
        mr_buf_char(out, (char)(0x80 | (point >> (6 * left) & 0x3f)));
}

static uint32_t unit_at(struct mr_slice bytes, size_t at, enum mr_encoding encoding)
{
    uint32_t first = (uint8_t)bytes.data[at];
    uint32_t second = (uint8_t)bytes.data[at + 1];

    return encoding == MR_ENCODING_UTF16_LE ? second << 8 | first : first << 8 | second;
}

static bool is_half(uint32_t unit, uint32_t first)
{
    return unit >= first && unit < first + 0x400;
}

void mr_utf16_decode(struct mr_buf *out, struct mr_slice bytes, enum mr_encoding encoding, bool is_last)
{
    size_t at = 0;

    while (at + 1 < bytes.len) {
        uint32_t point = unit_at(bytes, at, encoding);
        uint32_t next = at + 3 < bytes.len ? unit_at(bytes, at + 2, encoding) : 0;

        if (is_half(point, 0xd800) && at + 3 >= bytes.len && !is_last)
            return;
        at += 2;
        if (is_half(point, 0xd800) && is_half(next, 0xdc00)) {
            point = 0x10000 + ((point - 0xd800) << 10 | (next - 0xdc00));
            at += 2;
        }
        add_point(out, point);
    }
    if (at < bytes.len && is_last)
        add_point(out, 0xd800);
}

size_t mr_utf16_length(struct mr_slice text)
{
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = (uint8_t)text.data[i];

        len += byte >= 0xf0 ? 4 : byte < 0x80 || byte >= 0xc0 ? 2 : 0;
    }
    return len;
}
