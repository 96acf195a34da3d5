#include "proto/username.h"

#include <stdlib.h>
#include <string.h>
#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

enum { ROUNDS_MAX = 8, BRAILLE_BLANK = 0x2800 };

/* Copies `text` without its default ignorable characters; returns how many bytes that makes. */
static size_t without_ignorable(uint8_t *out, const uint8_t *text, size_t len)
{
    size_t kept = 0;
    ucs4_t point;

    for (size_t at = 0, step; at < len; at += step) {
        step = (size_t)u8_mbtouc(&point, text + at, len - at);
        if (uc_is_property_default_ignorable_code_point(point))
            continue;
        memmove(out + kept, text + at, step);
        kept += step;
    }
    return kept;
}

/* One round, in new memory; NULL when there is none left. */
static uint8_t *fold_once(uint8_t *text, size_t *len)
{
    size_t kept = without_ignorable(text, text, *len);

    return u8_casefold(text, kept, NULL, UNINORM_NFKC, NULL, len);
}

/* A round can bring out what the next one folds, as a compatible form of a capital does. */
static mr_status fold(uint8_t **text, size_t *len)
{
    for (int round = 0; round < ROUNDS_MAX; round++) {
        size_t next_len = *len;
        uint8_t *next = fold_once(*text, &next_len);
        bool same = next != NULL && next_len == *len && memcmp(next, *text, next_len) == 0;

        if (next == NULL)
            return MR_NO_MEMORY;
        free(*text);
        *text = next;
        *len = next_len;
        if (same)
            return MR_OK;
    }
    return MR_INVALID;
}

mr_status mr_username_fold(struct mr_slice name, struct mr_buf *out)
{
    const uint8_t *bytes = (const uint8_t *)name.data;
    size_t len = name.len;
    uint8_t *text = NULL;
    mr_status status = MR_NO_MEMORY;

    if (len == 0 || len > MR_USERNAME_BYTES || u8_check(bytes, len) != NULL)
        return MR_INVALID;
    text = malloc(len);
    if (text != NULL) {
        memcpy(text, bytes, len);
        status = fold(&text, &len);
    }
    if (status == MR_OK && len == 0)
        status = MR_INVALID;
    if (status == MR_OK)
        mr_buf_append(out, text, len);
    free(text);
    return status == MR_OK && out->failed ? MR_NO_MEMORY : status;
}

static bool is_refused(ucs4_t point)
{
    static const uint32_t refused = UC_CATEGORY_MASK_Cc | UC_CATEGORY_MASK_Cf | UC_CATEGORY_MASK_Cs | UC_CATEGORY_MASK_Co |
                                    UC_CATEGORY_MASK_Cn | UC_CATEGORY_MASK_Zl | UC_CATEGORY_MASK_Zp;

    return uc_is_general_category_withtable(point, refused) || uc_is_property_default_ignorable_code_point(point) ||
           uc_is_property_bidi_control(point) || point == BRAILLE_BLANK;
}

uint32_t mr_username_refused(struct mr_slice name)
{
    const uint8_t *bytes = (const uint8_t *)name.data;
    ucs4_t point = 0;

    for (size_t at = 0, step; at < name.len; at += step) {
        step = (size_t)u8_mbtouc(&point, bytes + at, name.len - at);
        if (is_refused(point) || (at == 0 && uc_is_property_white_space(point)))
            return point;
    }
    return uc_is_property_white_space(point) ? point : 0;
}
