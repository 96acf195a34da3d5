#include "proto/json.h"

#include <jansson.h>

#include "tests/support/test.h"

/* Every character below U+0080, and some above, as jansson reads them back. */
static void test_json__strings_are_read_back_by_another_parser(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 0x80; c++) {
        char text[] = {'a', (char)c, 'b', (char)c, '\0'};
        struct mr_buf buf = {0};
        json_t *json;

        mr_json_string(&buf, (struct mr_slice){text, 4});
        json = json_loadb(buf.data, buf.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_non_null(json);
        assert_int_equal(json_string_length(json), 4);
        assert_memory_equal(json_string_value(json), text, 4);
        json_decref(json);
        mr_buf_fini(&buf);
    }
    for (const char *const *text = (const char *const[]){"", "\xc3\xa9", "\xe2\x80\xa8", "\xf0\x9f\xa6\xa9 end", "</script>", NULL}; *text != NULL; text++) {
        struct mr_buf buf = {0};
        json_t *json;

        mr_json_string(&buf, mr_slice_of(*text));
        json = json_loadb(buf.data, buf.len, JSON_DECODE_ANY, NULL);
        assert_string_equal(json_string_value(json), *text);
        json_decref(json);
        mr_buf_fini(&buf);
    }
}

/* What has to be escaped, at every place of a string of every length up to some words of the machine. */
static void test_json__what_is_special_is_escaped_wherever_it_stands(void **state)
{
    static const struct {
        char c;
        const char *escaped;
    } specials[] = {{'"', "\\\""}, {'\\', "\\\\"}, {'\n', "\\n"}, {0x1f, "\\u001f"}, {0, "\\u0000"}};
    static const char plain[] = {'a', ' ', '\x7f', '\x80', '\xff'};
    char text[40];

    (void)state;
    for (size_t len = 1; len <= sizeof text; len++)
        for (size_t at = 0; at < len; at++)
            for (size_t i = 0; i < sizeof plain; i++) {
                struct mr_buf expected = {0};
                struct mr_buf json = {0};

                memset(text, plain[i], len);
                text[at] = specials[i].c;
                mr_buf_char(&expected, '"');
                mr_buf_append(&expected, text, at);
                mr_buf_text(&expected, specials[i].escaped);
                mr_buf_append(&expected, text + at + 1, len - at - 1);
                mr_buf_char(&expected, '"');
                mr_json_string(&json, (struct mr_slice){text, len});
                assert_int_equal(json.len, expected.len);
                assert_memory_equal(json.data, expected.data, expected.len);
                mr_buf_fini(&expected);
                mr_buf_fini(&json);
            }
}

static void test_json__numbers_keep_their_value(void **state)
{
    static const double values[] = {0.1, -1e300, 1.0 / 3, 5e-324, 123456789.125, 1e21};

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct mr_buf buf = {0};

        mr_json_number(&buf, values[i]);
        mr_buf_char(&buf, '\0');
        assert_true(strtod(buf.data, NULL) == values[i]);
        mr_buf_clear(&buf, SIZE_MAX);
        mr_json_number_single(&buf, (float)values[i]);
        mr_buf_char(&buf, '\0');
        assert_true(strtof(buf.data, NULL) == (float)values[i]);
        mr_buf_fini(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json__strings_are_read_back_by_another_parser),
        cmocka_unit_test(test_json__what_is_special_is_escaped_wherever_it_stands),
        cmocka_unit_test(test_json__numbers_keep_their_value),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
