#include "proto/cursor.h"

#include <stdio.h>

#include "tests/support/test.h"

static const uint8_t id[16] = {0x01, 0x98, 0xc0, 0xde, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff};

static bool is_good(const char *key, size_t len, enum mr_cursor_key kind)
{
    struct mr_buf cursor = {0};
    bool good;

    mr_cursor_write(&cursor, id, &(struct mr_slice){key, len});
    good = mr_cursor_is_good((struct mr_slice){cursor.data, cursor.len}, kind);
    mr_buf_fini(&cursor);
    return good;
}

static void test_cursor__is_the_id_and_what_the_row_is_sorted_by(void **state)
{
    struct mr_buf cursor = {0};

    (void)state;
    mr_cursor_write(&cursor, id, &(struct mr_slice){"\xc3\xa9!", 3});
    mr_buf_char(&cursor, '\0');
    assert_string_equal(cursor.data, "0198c0de0000000000000000000000ff1c3a921");
    mr_buf_clear(&cursor, SIZE_MAX);
    mr_cursor_write(&cursor, id, NULL);
    mr_buf_char(&cursor, '\0');
    assert_string_equal(cursor.data, "0198c0de0000000000000000000000ff0");
    mr_buf_fini(&cursor);
}

/* What it lets pass, SQL casts: see also tests/integration/list_test.c. */
static void test_cursor__one_that_was_made_up_is_refused(void **state)
{
    static const struct {
        const char *digits;
        enum mr_cursor_key key;
        bool good;
    } cases[] = {
        {"0198c0de0000000000000000000000ff0", MR_CURSOR_NONE, true},
        {"0198c0de0000000000000000000000ff0", MR_CURSOR_TIME, true},
        {"0198c0de0000000000000000000000ff", MR_CURSOR_NONE, false},
        {"0198c0de0000000000000000000000f-0", MR_CURSOR_NONE, false},
        {"0198c0de0000000000000000000000ff2", MR_CURSOR_NONE, false},
        {"0198c0de0000000000000000000000ff031", MR_CURSOR_INTEGER, false},
        {"0198c0de0000000000000000000000ff131", MR_CURSOR_NONE, false},
        {"0198c0de0000000000000000000000ff131", MR_CURSOR_INTEGER, true},
        {"0198c0de0000000000000000000000ff13", MR_CURSOR_TEXT, false},
        {"0198c0de0000000000000000000000ff1", MR_CURSOR_TEXT, true},
        {"0198c0de0000000000000000000000ff1", MR_CURSOR_INTEGER, false},
        {"0198c0de0000000000000000000000ff100", MR_CURSOR_TEXT, false},
        {"0198c0de0000000000000000000000ff1c3", MR_CURSOR_TEXT, false},
        {"0198c0de0000000000000000000000ff1C3A9", MR_CURSOR_TEXT, false},
        {"", MR_CURSOR_TEXT, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (mr_cursor_is_good(mr_slice_of(cases[i].digits), cases[i].key) != cases[i].good)
            fail_test("\"%s\" as %d", cases[i].digits, (int)cases[i].key);
}

static void test_cursor__the_value_is_of_the_type_of_the_order(void **state)
{
    static const struct {
        enum mr_cursor_key key;
        const char *good[8], *bad[14];
    } cases[] = {
        {MR_CURSOR_TEXT, {"", "a", "\xf0\x9f\x98\x80"}, {"\xff"}},
        {MR_CURSOR_UUID, {"0198c0de-7a5c-7e0f-8a1b-2c3d4e5f6071"}, {"", "0198c0de", "0198c0de-7a5c-7e0f-8a1b-2c3d4e5f607g"}},
        {MR_CURSOR_INTEGER,
         {"0", "-1", "9223372036854775807", "-9223372036854775808"},
         {"", "-", "+1", " 1", "1 ", "1.0", "1e1", "9223372036854775808", "-9223372036854775809", "0x1"}},
        {MR_CURSOR_BOOLEAN, {"0", "1"}, {"2", "-1", "true", ""}},
        {MR_CURSOR_TIME,
         {"0", "-62135596800000000", "9223371331199999999", "9223372036854775807", "-9223372036854775808"},
         {"9223371331200000000", "-210866803200000001", "2027-01-01", ""}},
        {MR_CURSOR_DATE,
         {"0", "-2440588", "2145031948", "2147483647", "-2147483648"},
         {"2145031949", "-2440589", "2147483648", "2027-01-01", ""}},
        {MR_CURSOR_DECIMAL,
         {"0", "-0.10", "99999999999999999999999999.99", "NaN", "Infinity", "-Infinity"},
         {"", ".5", "5.", "1e5", "+1", "0x10", "inf", "nan", "1.2.3", "--1", " 1"}},
        {MR_CURSOR_NUMBER,
         {"0", "-0.1", "1e+20", "1.7976931348623157e+308", "5e-324", "NaN", "-Infinity"},
         {"", "1e", "1e+", "1e999", "1.8e308", "1e-999", "0x1p3", "inf", "1e1.5", "e5", ".5"}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (const char *const *text = cases[i].good; *text != NULL; text++)
            if (!is_good(*text, strlen(*text), cases[i].key))
                fail_test("\"%s\" is refused as %d", *text, (int)cases[i].key);
        for (const char *const *text = cases[i].bad; *text != NULL; text++)
            if (is_good(*text, strlen(*text), cases[i].key))
                fail_test("\"%s\" is taken as %d", *text, (int)cases[i].key);
    }
    assert_false(is_good("1\0002", 3, MR_CURSOR_INTEGER));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cursor__is_the_id_and_what_the_row_is_sorted_by),
        cmocka_unit_test(test_cursor__one_that_was_made_up_is_refused),
        cmocka_unit_test(test_cursor__the_value_is_of_the_type_of_the_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
