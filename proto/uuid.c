#include "proto/uuid.h"

#include <string.h>

/* Where the hyphens stand in 8-4-4-4-12. */
static bool is_hyphen(size_t i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

void mr_uuid_v7(uint8_t out[16], int64_t unix_ms, const uint8_t random[10])
{
    for (int i = 0; i < 6; i++)
        out[i] = (uint8_t)(unix_ms >> (40 - 8 * i));
    memcpy(out + 6, random, 10);
    out[6] = (uint8_t)((out[6] & 0x0f) | 0x70);
    out[8] = (uint8_t)((out[8] & 0x3f) | 0x80);
}

bool mr_uuid_parse(uint8_t out[16], const char *text, size_t len)
{
    uint8_t uuid[16] = {0};
    unsigned digits = 0;

    if (len != MR_UUID_TEXT)
        return false;
    for (size_t i = 0; i < len; i++) {
        int digit = hex(text[i]);

        if (is_hyphen(i) != (text[i] == '-') || (digit < 0 && !is_hyphen(i)))
            return false;
        if (digit >= 0) {
            uuid[digits / 2] = (uint8_t)(uuid[digits / 2] << 4 | digit);
            digits++;
        }
    }
    memcpy(out, uuid, sizeof uuid);
    return true;
}

void mr_uuid_format(char *out, const uint8_t uuid[16])
{
    static const char digits[] = "0123456789abcdef";
    unsigned nibble = 0;

    for (size_t i = 0; i < MR_UUID_TEXT; i++) {
        if (is_hyphen(i)) {
            out[i] = '-';
            continue;
        }
        out[i] = digits[uuid[nibble / 2] >> (nibble % 2 == 0 ? 4 : 0) & 0x0f];
        nibble++;
    }
}
