#include "proto/buffer.h"

#include <limits.h>

#include "tests/support/test.h"

static void test_buffer__appends_of_every_kind_follow_each_other(void **state)
{
    struct mr_buf buf = {0};

    (void)state;
    mr_buf_text(&buf, "text ");
    mr_buf_char(&buf, 'c');
    mr_buf_slice(&buf, MR_SLICE(" slice "));
    mr_buf_int(&buf, -42);
    mr_buf_printf(&buf, " %s %d", "printed", 7);
    mr_buf_append(&buf, "\0x", 2);
    assert_false(buf.failed);
    assert_int_equal(buf.len, strlen("text c slice -42 printed 7") + 2);
    assert_memory_equal(buf.data, "text c slice -42 printed 7\0x", buf.len);
    mr_buf_fini(&buf);
    assert_int_equal(buf.len, 0);
    assert_null(buf.data);
}

static void test_buffer__grows_and_keeps_what_it_holds(void **state)
{
    struct mr_buf buf = {0};

    (void)state;
    for (unsigned i = 0; i < 100000; i++)
        mr_buf_char(&buf, (char)('a' + i % 26));
    assert_int_equal(buf.len, 100000);
    for (unsigned i = 0; i < 100000; i++)
        if (buf.data[i] != (char)('a' + i % 26))
            fail_test("byte %u changed", i);
    mr_buf_fini(&buf);
}

static void test_buffer__integers_are_written_as_printf_does(void **state)
{
    static const long long values[] = {0, 1, -1, 9, 10, -10, 1234567890123, LLONG_MAX, LLONG_MIN, LLONG_MIN + 1};

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct mr_buf buf = {0};
        char text[32];

        snprintf(text, sizeof text, "%lld", values[i]);
        mr_buf_int(&buf, values[i]);
        assert_slice_equal(buf_slice(&buf), text);
        mr_buf_fini(&buf);
    }
}

static void test_buffer__appending_nothing_is_nothing(void **state)
{
    struct mr_buf buf = {0};

    (void)state;
    mr_buf_append(&buf, NULL, 0);
    mr_buf_slice(&buf, (struct mr_slice){NULL, 0});
    mr_buf_text(&buf, "");
    assert_int_equal(buf.len, 0);
    assert_false(buf.failed);
    mr_buf_fini(&buf);
}

static void test_buffer__a_failure_is_remembered_until_cleared(void **state)
{
    struct mr_buf buf = {0};

    (void)state;
    mr_buf_text(&buf, "before");
    assert_null(mr_buf_reserve(&buf, SIZE_MAX / 2));
    assert_true(buf.failed);
    mr_buf_text(&buf, "after");
    assert_int_equal(buf.len, 6);
    mr_buf_clear(&buf, SIZE_MAX);
    assert_false(buf.failed);
    mr_buf_text(&buf, "again");
    assert_slice_equal(buf_slice(&buf), "again");
    mr_buf_fini(&buf);
}

static void test_buffer__clearing_keeps_small_memory_and_frees_large(void **state)
{
    struct mr_buf buf = {0};

    (void)state;
    mr_buf_reserve(&buf, 1000);
    mr_buf_clear(&buf, 4096);
    assert_non_null(buf.data);
    mr_buf_reserve(&buf, 100000);
    mr_buf_clear(&buf, 4096);
    assert_null(buf.data);
    assert_int_equal(buf.cap, 0);
}

static void test_buffer__prints_all_of_it_also_of_nothing(void **state)
{
    char page[8] = "";
    FILE *out = fmemopen(page, sizeof page, "w");
    struct mr_buf buf = {0};

    (void)state;
    assert_non_null(out);
    mr_buf_print(&buf, out);
    mr_buf_append(&buf, "a\0b", 3);
    mr_buf_print(&buf, out);
    mr_buf_fini(&buf);
    assert_int_equal(fclose(out), 0);
    assert_memory_equal(page, "a\0b", 4);
}

static void test_buffer__a_slice_equals_text_of_its_length_only(void **state)
{
    (void)state;
    assert_true(mr_slice_is(MR_SLICE("abc"), "abc"));
    assert_false(mr_slice_is(MR_SLICE("ab"), "abc"));
    assert_false(mr_slice_is(MR_SLICE("abc\0d"), "abc"));
    assert_true(mr_slice_is((struct mr_slice){"", 0}, ""));
}

static void test_buffer__a_copy_ends_before_the_character_that_does_not_fit(void **state)
{
    char out[5];

    (void)state;
    mr_slice_copy(out, sizeof out, MR_SLICE("abcd"));
    assert_string_equal(out, "abcd");
    mr_slice_copy(out, sizeof out, MR_SLICE("abcde"));
    assert_string_equal(out, "abcd");
    mr_slice_copy(out, sizeof out, MR_SLICE("ab\xe2\x82\xac"));
    assert_string_equal(out, "ab");
    mr_slice_copy(out, sizeof out, MR_SLICE("a\xe2\x82\xac"));
    assert_string_equal(out, "a\xe2\x82\xac");
    mr_slice_copy(out, 1, MR_SLICE("ab"));
    assert_string_equal(out, "");
    mr_slice_copy(out, sizeof out, (struct mr_slice){NULL, 0});
    assert_string_equal(out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buffer__appends_of_every_kind_follow_each_other),
        cmocka_unit_test(test_buffer__grows_and_keeps_what_it_holds),
        cmocka_unit_test(test_buffer__integers_are_written_as_printf_does),
        cmocka_unit_test(test_buffer__appending_nothing_is_nothing),
        cmocka_unit_test(test_buffer__a_failure_is_remembered_until_cleared),
        cmocka_unit_test(test_buffer__clearing_keeps_small_memory_and_frees_large),
        cmocka_unit_test(test_buffer__prints_all_of_it_also_of_nothing),
        cmocka_unit_test(test_buffer__a_slice_equals_text_of_its_length_only),
        cmocka_unit_test(test_buffer__a_copy_ends_before_the_character_that_does_not_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
