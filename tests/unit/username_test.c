#include "proto/username.h"

#include <uninorm.h>
#include <unistr.h>

#include "tests/support/test.h"

static struct mr_buf folded;

static const char *fold(const char *name)
{
    mr_buf_clear(&folded, 0);
    if (mr_username_fold(mr_slice_of(name), &folded) != MR_OK)
        return NULL;
    mr_buf_char(&folded, '\0');
    return folded.data;
}

static void test_username__folds_to(void **state)
{
    static const struct {
        const char *name, *folded;
    } rows[] = {
        {"ada", "ada"},
        {"ADA", "ada"},
        {"Ada Lovelace", "ada lovelace"},
        {"o'neil_2.x-y@z", "o'neil_2.x-y@z"},
        /* Case beyond ASCII, one to one and one to several. */
        {"ÄÖÜ", "äöü"},
        {"ЁЖ", "ёж"},
        {"ΣΊΣΥΦΟΣ", "σίσυφοσ"},
        {"σίσυφος", "σίσυφοσ"},
        {"Straße", "strasse"},
        {"STRASSE", "strasse"},
        {"STRAẞE", "strasse"},
        {"ﬃ", "ffi"},
        {"İstanbul", "i̇stanbul"}, /* no Turkish rule: a dotted capital keeps its dot */
        {"ısı", "ısı"},
        {"ŉ", "ʼn"},
        {"ᏸ", "Ᏸ"}, /* Cherokee folds to capitals */
        {"Ა", "ა"},
        /* Composed, decomposed, and out of order. */
        {"é", "é"},
        {"e\u0301", "é"},
        {"E\u0301", "é"},
        {"q\u0323\u0307", "q\u0323\u0307"},
        {"q\u0307\u0323", "q\u0323\u0307"},
        {"\uac00", "\uac00"},
        {"\u1100\u1161", "\uac00"},
        {"\u1fb3\u0301", "\u03ac\u03b9"},
        {"\u03b1\u0345\u0301", "\u03ac\u03b9"},
        /* Compatible forms. */
        {"Ａｄａ", "ada"},
        {"𝐀𝒹𝕒", "ada"},
        {"ｱﾀﾞ", "アダ"},
        {"x²", "x2"},
        {"№ 5", "no 5"},
        {"Ⅷ", "viii"},
        {"a\u00a0b", "a b"},
        {"a\u3000b", "a b"},
        {"\u212b", "å"},
        {"\u2126", "ω"},
        {"\u1d2c", "a"},
        {"\u03d2", "υ"}, /* compatible to a capital, which the next round folds */
        /* What is ignorable does not count, wherever it stands. */
        {"a\u00ad" "da", "ada"},
        {"a\u200bd\u200da", "ada"},
        {"\ufeff\u2060ada", "ada"},
        {"ada\ufe0f", "ada"},
        {"e\u034f\u0301", "é"},
        {"a\u3164\uffa0", "a"},
        {"a\U000e0101", "a"},
        /* Other letters stay other letters. */
        {"а", "а"}, /* Cyrillic */
        {"ø", "ø"},
        {"ð", "ð"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *got = fold(rows[i].name);

        if (got == NULL || strcmp(got, rows[i].folded) != 0)
            fail_test("row %zu: \"%s\" folds to \"%s\", not \"%s\"", i, rows[i].name, got != NULL ? got : "nothing", rows[i].folded);
        assert_string_equal(fold(rows[i].folded), rows[i].folded);
    }
}

static void test_username__has_no_folded_form(void **state)
{
    char longest[MR_USERNAME_BYTES + 2];

    (void)state;
    assert_null(fold(""));
    assert_null(fold("\u200b\u00ad"));
    assert_null(fold("a\xff"));
    assert_null(fold("\xed\xa0\x80"));
    memset(longest, 'x', sizeof longest);
    longest[MR_USERNAME_BYTES + 1] = '\0';
    assert_null(fold(longest));
    longest[MR_USERNAME_BYTES] = '\0';
    assert_non_null(fold(longest));
}

/* The longest there is has to fit an index of the database, whose entries have at most 2,704 bytes. */
static void test_username__a_folded_name_fits_the_index(void **state)
{
    char name[MR_USERNAME_BYTES + 1] = "";

    (void)state;
    for (int i = 0; i < 50; i++)
        strcat(name, "\ufdfa"); /* 18 characters each */
    assert_non_null(fold(name));
    assert_in_range(folded.len, 1000, 2600);
}

static size_t random_text(uint64_t *seed, uint8_t *out)
{
    /* Where folding and normalizing get into each other's way. */
    static const uint32_t pool[] = {0x345, 0x301,  0x308,  0x323,  0x3a3,  0x3c2,  0x391,  0x1fb3, 0x1fbc, 0x130, 0x131, 0x69,
                                    0x307, 0xdf,   0x1e9e, 0xfb06, 0xfdfa, 0xad,   0x200d, 0x1160, 0x1100, 0x1161, 0xac00, 0xff21,
                                    0x13a0, 0xab70, 0x1c90, 0x390, 0x1fd3, 0x587,  0x1e9b, 0x17f,  0x3099, 0x304b, 0x344, 0x1f80};
    size_t len = 0;

    for (unsigned i = 0, count = 1 + random_below(seed, 6); i < count; i++) {
        uint32_t point = random_below(seed, 8) != 0 ? pool[random_below(seed, sizeof pool / sizeof pool[0])] : 1 + random_below(seed, 0x1ffff);

        if (point < 0xd800 || point > 0xdfff)
            len += (size_t)u8_uctomb(out + len, point, 8);
    }
    return len;
}

static void assert_folds_alike(uninorm_t form, const uint8_t *text, size_t len)
{
    struct mr_buf first = {0};
    struct mr_buf second = {0};
    size_t other_len = 0;
    uint8_t *other = u8_normalize(form, text, len, NULL, &other_len);
    mr_status status = mr_username_fold((struct mr_slice){(const char *)text, len}, &first);

    assert_int_equal(mr_username_fold((struct mr_slice){(const char *)other, other_len}, &second), status);
    if (first.len != second.len || (first.len > 0 && memcmp(first.data, second.data, first.len) != 0))
        fail_test("\"%.*s\" and a form of it that is equivalent fold differently", (int)len, (const char *)text);
    free(other);
    mr_buf_fini(&first);
    mr_buf_fini(&second);
}

static void test_username__equivalent_texts_fold_alike(void **state)
{
    uint64_t seed = 12;
    uint8_t text[64];

    (void)state;
    for (int i = 0; i < 20000; i++) {
        size_t len = random_text(&seed, text);

        if (len == 0)
            continue;
        assert_folds_alike(UNINORM_NFC, text, len);
        assert_folds_alike(UNINORM_NFD, text, len);
    }
}

static void test_username__refuses(void **state)
{
    static const struct {
        const char *name;
        uint32_t refused;
    } rows[] = {
        {"ada", 0},
        {"Ada Lovelace", 0},
        {"Zoë", 0},
        {"Zoe\u0308", 0},
        {"李小龍", 0},
        {"ناصر", 0},
        {"דוד", 0},
        {"हिन्दी", 0},
        {"é😀", 0},
        {"a\u00b7b", 0},
        {"a\u00a0b", 0},
        {"a\tb", 0x09},
        {"a\nb", 0x0a},
        {"a\x7f", 0x7f},
        {"a\xc2\x85" "b", 0x85},
        {"a\u00adb", 0xad},
        {"a\u034fb", 0x34f},
        {"a\u061cb", 0x61c},
        {"a\u115fb", 0x115f},
        {"a\u180eb", 0x180e},
        {"a\u200bb", 0x200b},
        {"a\u200cb", 0x200c},
        {"a\u200db", 0x200d},
        {"a\u200eb", 0x200e},
        {"a\u2028b", 0x2028},
        {"a\u2029b", 0x2029},
        {"a\u202eb", 0x202e},
        {"a\u2060b", 0x2060},
        {"a\u2066b", 0x2066},
        {"a\u206ab", 0x206a},
        {"a\u2800b", 0x2800},
        {"a\u3164b", 0x3164},
        {"a\ue000b", 0xe000},
        {"a\ufe0fb", 0xfe0f},
        {"\ufeffab", 0xfeff},
        {"a\uffa0b", 0xffa0},
        {"a\ufff9b", 0xfff9},
        {"a\uffffb", 0xffff},
        {"a\u0378b", 0x378},
        {"a\U0001d173b", 0x1d173},
        {"a\U000e0041b", 0xe0041},
        {"a\U000e0100b", 0xe0100},
        {"a\U0010fffdb", 0x10fffd},
        {" ab", 0x20},
        {"ab ", 0x20},
        {"   ", 0x20},
        {"\u00a0ab", 0xa0},
        {"ab\u3000", 0x3000},
        {"ab\u200b", 0x200b},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (mr_username_refused(mr_slice_of(rows[i].name)) != rows[i].refused)
            fail_test("row %zu: U+%04X is refused, not U+%04X", i, mr_username_refused(mr_slice_of(rows[i].name)), rows[i].refused);
}

/* Nothing that folding drops without a trace may be in a new name: two that look different would be one. */
static void test_username__what_folds_to_nothing_is_refused(void **state)
{
    (void)state;
    for (uint32_t point = 1; point < 0x110000; point++) {
        uint8_t text[8];
        struct mr_slice name;

        if (point >= 0xd800 && point <= 0xdfff)
            continue;
        name = (struct mr_slice){(const char *)text, (size_t)u8_uctomb(text, point, 8)};
        mr_buf_clear(&folded, 0);
        if (mr_username_fold(name, &folded) != MR_OK && mr_username_refused(name) == 0)
            fail_test("U+%04X", point);
    }
    mr_buf_fini(&folded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_username__folds_to),
        cmocka_unit_test(test_username__has_no_folded_form),
        cmocka_unit_test(test_username__a_folded_name_fits_the_index),
        cmocka_unit_test(test_username__equivalent_texts_fold_alike),
        cmocka_unit_test(test_username__refuses),
        cmocka_unit_test(test_username__what_folds_to_nothing_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
