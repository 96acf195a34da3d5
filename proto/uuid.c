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

/* Value of a hexadecimal digit plus one; 0 for any other byte. */
static const uint8_t hex_digits[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16};

/* Takes `count` bytes of two digits each off `text`; false when there is another character. */
static bool take_hex(uint8_t *out, const char **text, size_t count)
{
    for (size_t i = 0; i < count; i++, *text += 2) {
        unsigned high = hex_digits[(unsigned char)(*text)[0]];
        unsigned low = hex_digits[(unsigned char)(*text)[1]];

        if (high == 0 || low == 0)
            return false;
        out[i] = (uint8_t)((high - 1) << 4 | (low - 1));
    }
    return true;
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
    static const uint8_t groups[] = {4, 2, 2, 2, 6};
    uint8_t uuid[16];
    size_t done = 0;

    if (len != MR_UUID_TEXT)
        return false;
    for (size_t i = 0; i < sizeof groups; i++) {
        if ((i > 0 && *text++ != '-') || !take_hex(uuid + done, &text, groups[i]))
            return false;
        done += groups[i];
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
