#include "proto/jsontext.h"

#include <jansson.h>

#include "proto/json_reader.h"
#include "tests/support/test.h"

/* NULL when it is taken. */
static const char *wrong_with(const char *text)
{
    static struct mr_problem problem;

    return mr_json_check(mr_slice_of(text), &problem) ? NULL : problem.code;
}

static void test_jsontext__takes_what_jsonb_takes(void **state)
{
    static const char *const good[] = {"null", "true", "false", "0", "-1.50e3", "\"\"", "\"a\\n\\u00e9\\ud83d\\ude00\\/\"", "[]", "{}", " [ 1 , {\"a\" : [ ] } ] ",
                                       "123456789012345678901234567890.123", "1e308", "9.99e308", "1e-308", "\"\xc3\xa9\"", "{\"\":1,\"a\":{\"b\":null}}",
                                       "[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]", "0e400000"};
    static const struct {
        const char *text, *code;
    } bad[] = {{"", "type"}, {" ", "type"}, {"nul", "type"}, {"True", "type"}, {"NaN", "type"}, {"-Infinity", "type"}, {"01", "type"}, {"1.", "type"}, {"+1", "type"},
               {"e5", "type"}, {"[1,]", "type"}, {"[1", "type"}, {"]", "type"}, {"{\"a\"}", "type"}, {"{a:1}", "type"}, {"{\"a\":1,}", "type"}, {"[1}", "type"},
               {"1 2", "type"}, {"'a'", "type"}, {"\"a", "type"}, {"\"\\x\"", "type"}, {"\"\\u12\"", "type"}, {"\"\t\"", "type"}, {"\"\\", "type"},
               {"\"\\u0000\"", "encoding"}, {"{\"\\u0000\":1}", "encoding"}, {"\"\\ud800\"", "encoding"}, {"\"\\udc00\"", "encoding"}, {"\"\\ud800\\n\"", "encoding"},
               {"\"\\ud800\\ud800\"", "encoding"}, {"\"\xff\"", "encoding"}, {"\"\xed\xa0\x80\"", "encoding"}, {"[1e400000]", "range"}, {"1e309", "range"},
               {"{\"a\":-1e-309}", "range"}, {"[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "depth"}};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (wrong_with(good[i]) != NULL)
            fail_test("%s: %s", good[i], wrong_with(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (wrong_with(bad[i].text) == NULL || strcmp(wrong_with(bad[i].text), bad[i].code) != 0)
            fail_test("%s: %s, not %s", bad[i].text, wrong_with(bad[i].text), bad[i].code);
}

static void test_jsontext__no_beginning_of_a_value_is_one(void **state)
{
    static const char whole[] = "{\"a\":[1.5e+3,\"x\\\"\\ud83d\\ude00\",true,{\"b\":null}],\"c\":{}}";

    (void)state;
    assert_null(wrong_with(whole));
    for (size_t len = 0; len < sizeof whole - 1; len++) {
        char *exact = malloc(len + 1);
        struct mr_problem problem;

        memcpy(exact, whole, len);
        if (mr_json_check((struct mr_slice){exact, len}, &problem))
            fail_test("%.*s is taken", (int)len, whole);
        free(exact);
    }
}

static void test_jsontext__a_number_is_bounded_in_digits(void **state)
{
    char digits[1002];

    (void)state;
    memset(digits, '0', sizeof digits);
    memcpy(digits, "0.", 2);
    digits[1000] = '\0';
    assert_null(wrong_with(digits));
    digits[1000] = '0';
    digits[1001] = '\0';
    assert_string_equal(wrong_with(digits), "range");
}

static void test_jsontext__members_are_found_as_they_stand(void **state)
{
    static const struct mr_field fields[] = {{.name = "price", .type = MR_DECIMAL, .from = MR_BODY},
                                             {.name = "text", .type = MR_TEXT, .from = MR_BODY},
                                             {.name = "a/b", .type = MR_JSON, .from = MR_BODY},
                                             {.name = "last", .type = MR_NUMBER, .many = true, .from = MR_BODY},
                                             {.name = "none", .type = MR_JSON, .from = MR_BODY},
                                             {.name = "query", .type = MR_JSON, .from = MR_QUERY},
                                             {.name = NULL}};
    static const char *const expected[] = {"1.10", NULL, "{\"x\":[1,\"}]\\\"\", {} ] }", "[1, 2.0 ]", NULL, NULL};
    struct mr_slice body = MR_SLICE(" { \"other\" : [ {\"price\":1}, \"\\\\\" ], \"pr\\u0069ce\" : 1.10 , \"text\":\"t\",\"a\\/b\":{\"x\":[1,\"}]\\\"\", {} ] },"
                                    "\"query\":1,\"last\":[1, 2.0 ]}\n");
    struct mr_value values[6] = {{0}};
    json_t *json = NULL;
    struct mr_json_refusal why;

    (void)state;
    assert_int_equal(mr_json_load(&json, body, &why), MR_OK);
    json_decref(json);
    mr_json_find(body, fields, values);
    for (unsigned i = 0; fields[i].name != NULL; i++)
        if (expected[i] != NULL)
            assert_slice_equal(values[i].text, expected[i]);
        else
            assert_int_equal(values[i].text.len, 0);
}

static void test_jsontext__elements(void **state)
{
    static const char *const expected[] = {"1.0", "[2,3]", "{\"a\":\"]\"}", "\"x,y\"", "null"};
    struct mr_json_walk walk = mr_json_walk_of(MR_SLICE("  [1.0 ,[2,3], {\"a\":\"]\"},\"x,y\"\t,null ] "));
    struct mr_slice value;

    (void)state;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_true(mr_json_element_next(&walk, &value));
        assert_slice_equal(value, expected[i]);
    }
    assert_false(mr_json_element_next(&walk, &value));
    walk = mr_json_walk_of(MR_SLICE("[ ]"));
    assert_false(mr_json_element_next(&walk, &value));
    walk = mr_json_walk_of(MR_SLICE("7"));
    assert_false(mr_json_element_next(&walk, &value));
    walk = mr_json_walk_of((struct mr_slice){"", 0});
    assert_false(mr_json_element_next(&walk, &value));
}

static void test_jsontext__names_with_escapes(void **state)
{
    (void)state;
    assert_true(mr_json_name_is(MR_SLICE("abc"), "abc"));
    assert_true(mr_json_name_is(MR_SLICE("\\u0061bc"), "abc"));
    assert_true(mr_json_name_is(MR_SLICE("a\\u0062\\u0063"), "abc"));
    assert_false(mr_json_name_is(MR_SLICE("ab"), "abc"));
    assert_false(mr_json_name_is(MR_SLICE("abcd"), "abc"));
    assert_false(mr_json_name_is(MR_SLICE("\\u0161bc"), "abc"));
    assert_false(mr_json_name_is(MR_SLICE("\\nbc"), "abc"));
    assert_false(mr_json_name_is((struct mr_slice){"", 0}, "abc"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jsontext__takes_what_jsonb_takes),
        cmocka_unit_test(test_jsontext__no_beginning_of_a_value_is_one),
        cmocka_unit_test(test_jsontext__a_number_is_bounded_in_digits),
        cmocka_unit_test(test_jsontext__members_are_found_as_they_stand),
        cmocka_unit_test(test_jsontext__elements),
        cmocka_unit_test(test_jsontext__names_with_escapes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
