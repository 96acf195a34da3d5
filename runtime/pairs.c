#include "runtime/pairs.h"

#include <stdint.h>

static struct mr_slice trim(struct mr_slice text)
{
    while (text.len > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t'))
        text.len--;
    return text;
}

static struct mr_slice take_item(struct mr_slice *rest)
{
    const char *comma = memchr(rest->data, ',', rest->len);
    struct mr_slice item = {rest->data, comma != NULL ? (size_t)(comma - rest->data) : rest->len};
    size_t taken = comma != NULL ? item.len + 1 : item.len;

    rest->data += taken;
    rest->len -= taken;
    return trim(item);
}

static int digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c != '\0' ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;

    return at != NULL ? (int)(at - digits) : -1;
}

static bool decode(struct mr_buf *out, struct mr_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];

        if (c == '%') {
            int high = i + 1 < text.len ? digit(text.data[i + 1]) : -1;
            int low = i + 2 < text.len ? digit(text.data[i + 2]) : -1;

            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if ((unsigned char)c < ' ' || c == 0x7f)
            return false;
        mr_buf_char(out, c);
    }
    return !out->failed;
}

enum mr_pair mr_pairs_next(struct mr_slice *rest, struct mr_slice *name, struct mr_buf *value)
{
    struct mr_slice item = {"", 0};
    const char *equals;

    mr_buf_clear(value, SIZE_MAX);
    while (item.len == 0 && rest->len > 0)
        item = take_item(rest);
    if (item.len == 0)
        return MR_PAIR_END;
    equals = memchr(item.data, '=', item.len);
    if (equals == NULL)
        return MR_PAIR_BROKEN;
    *name = trim((struct mr_slice){item.data, (size_t)(equals - item.data)});
    item = trim((struct mr_slice){equals + 1, item.len - (size_t)(equals + 1 - item.data)});
    return name->len > 0 && decode(value, item) ? MR_PAIR_FOUND : MR_PAIR_BROKEN;
}
