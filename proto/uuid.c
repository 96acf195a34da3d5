#include "proto/uuid.h"

#include <stdatomic.h>
#include <string.h>

/*
 * What the last id of this process began with: 48 bits of time and the 12 behind the version, which count. They start below
 * SEEDS, at random, so that at least as many follow in the same millisecond; what does not fit borrows from the next one. A
 * clock that was further ahead than STEP_MS is not waited for.
 */
enum { COUNTER_BITS = 12, SEEDS = 1 << 11, STEP_MS = 10000 };

static _Atomic uint64_t last_made;

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

static uint64_t successor(uint64_t last, int64_t unix_ms, uint64_t seed)
{
    uint64_t now = (uint64_t)unix_ms << COUNTER_BITS | seed;
    bool is_later = now > last;
    bool was_far_ahead = (int64_t)(last >> COUNTER_BITS) - unix_ms > STEP_MS;

    return is_later || was_far_ahead ? now : last + 1;
}

void mr_uuid_next(uint8_t out[16], int64_t unix_ms, const uint8_t random[10])
{
    uint64_t seed = (unsigned)(random[0] << 8 | random[1]) % SEEDS;
    uint64_t last = atomic_load(&last_made);
    uint64_t made = successor(last, unix_ms, seed);
    uint8_t rest[10];

    while (!atomic_compare_exchange_weak(&last_made, &last, made))
        made = successor(last, unix_ms, seed);
    memcpy(rest, random, sizeof rest);
    rest[0] = (uint8_t)(made >> 8);
    rest[1] = (uint8_t)made;
    mr_uuid_v7(out, (int64_t)(made >> COUNTER_BITS), rest);
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

static char *put_hex(char *out, const uint8_t *bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < count; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 0x0f];
    }
    return out;
}

/* Each row of a reply has some, so no digit asks whether a hyphen is due. */
void mr_uuid_format(char *out, const uint8_t uuid[16])
{
    out = put_hex(out, uuid, 4);
    *out++ = '-';
    out = put_hex(out, uuid + 4, 2);
    *out++ = '-';
    out = put_hex(out, uuid + 6, 2);
    *out++ = '-';
    out = put_hex(out, uuid + 8, 2);
    *out++ = '-';
    (void)put_hex(out, uuid + 10, 6);
}
