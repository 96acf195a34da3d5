/*
 * What the values of a kind of jobs have to be like.
 */
#include <jansson.h>
#include <stdio.h>

#include "proto/kind.h"
#include "tests/support/test.h"

static void check(bool (*is_good)(struct mr_slice), const char *const *texts, bool expected)
{
    for (; *texts != NULL; texts++)
        if (is_good(mr_slice_of(*texts)) != expected)
            fail_test("%s %s", *texts, expected ? "was refused" : "was taken");
}

static void test_secret__is_base64_of_24_to_64_bytes(void **state)
{
    static const char *const good[] = {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
                                       "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                                       "AAAAAAAAAAAAAAAAAAAAAAAAAA==", /* 64 bytes */
                                       "whsec_++++////AAAAAAAAAAAAAAAAAAAAAAAA", NULL};
    static const char *const bad[] = {"whsec_", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa==",
                                      "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_-_KQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                                      "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaL=Sw", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa\n=",
                                      "", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB==" /* bits behind the last byte: nothing signs with it */, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA======",
                                      "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                                      "AAAAAAAAAAAAAAAAAAAAAAAAAAAA", /* 66 bytes */
                                      NULL};

    (void)state;
    check(mr_webhook_secret_is_good, good, true);
    check(mr_webhook_secret_is_good, bad, false);
}

static void test_secret__nothing_is_left_of_what_is_none(void **state)
{
    uint8_t key[MR_SECRET_MOST] = {1};

    (void)state;
    assert_int_equal(mr_webhook_key(key, mr_slice_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")), 24);
    assert_int_equal(key[0], 0x31);
    assert_int_equal(mr_webhook_key(key, mr_slice_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa==")), 0); /* 22 bytes */
    for (size_t i = 0; i < sizeof key; i++)
        assert_int_equal(key[i], 0);
}

static void test_name__is_a_word_of_a_scope(void **state)
{
    static const char *const good[] = {"a", "send_receipt", "send-receipt2", NULL};
    static const char *const bad[] = {"", "2a", "_a", "-a", "Send", "a:b", "a b", "a.b", "a/b", "\xc3\xbc", NULL};

    (void)state;
    check(mr_kind_name_is_good, good, true);
    check(mr_kind_name_is_good, bad, false);
}

struct told {
    char text[512];
};

static void note(void *context, const char *name, const struct mr_problem *problem)
{
    struct told *told = context;
    size_t len = strlen(told->text);

    snprintf(told->text + len, sizeof told->text - len, "%s%s:%s", len > 0 ? "," : "", name, problem->code);
}

/* Every problem of the rules in `text`, as "name:code". */
static const char *problems_of(const char *text)
{
    static struct told told;
    json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
    bool good;

    assert_non_null(json);
    told.text[0] = '\0';
    good = mr_kind_args_rule(json, "args", note, &told);
    assert_int_equal(good, told.text[0] == '\0');
    json_decref(json);
    return told.text;
}

static void test_args__rules_that_are_good(void **state)
{
    (void)state;
    assert_string_equal(problems_of("{}"), "");
    assert_string_equal(problems_of("{\"orderId\":{\"type\":\"uuid\",\"required\":true},\"locale\":{\"type\":\"text\",\"default\":\"en\",\"length\":5},"
                                    "\"n\":{\"type\":\"integer\",\"min\":1,\"max\":9,\"default\":3},\"x\":{\"type\":\"number\",\"min\":0.5},"
                                    "\"on\":{\"type\":\"date\",\"default\":\"2027-01-31\"},\"at\":{\"type\":\"timestamp\",\"default\":\"2027-01-01T00:00:00Z\"},"
                                    "\"b\":{\"type\":\"boolean\",\"default\":false},\"j\":{\"type\":\"json\",\"default\":[1]}}"),
                        "");
}

static void test_args__every_problem_is_told_by_name(void **state)
{
    (void)state;
    assert_string_equal(problems_of("[]"), "args:type");
    assert_string_equal(problems_of("{\"a\":5,\"b c\":{\"type\":\"text\"},\"d\":{\"type\":\"word\"},\"e\":{}}"),
                        "args.a:type,args.b c:format,args.d.type:choice,args.e.type:choice");
    assert_string_equal(problems_of("{\"a\":{\"type\":\"uuid\",\"lenght\":5,\"required\":1,\"default\":\"x\",\"min\":1,\"length\":2}}"),
                        "args.a.lenght:unknown,args.a.required:type,args.a.min:mismatch,args.a.length:mismatch,args.a.default:type");
    assert_string_equal(problems_of("{\"a\":{\"type\":\"integer\",\"min\":5,\"max\":4},\"b\":{\"type\":\"integer\",\"max\":4,\"default\":5},"
                                    "\"c\":{\"type\":\"integer\",\"min\":0.5},\"d\":{\"type\":\"text\",\"required\":true,\"default\":\"x\"},"
                                    "\"e\":{\"type\":\"text\",\"length\":0}}"),
                        "args.a.max:range,args.b.default:range,args.c.min:type,args.d.default:mismatch,args.e.length:range");
    assert_string_equal(problems_of("{\"a\":{\"type\":\"text\",\"length\":3,\"default\":\"long\"},\"b\":{\"type\":\"text\",\"length\":[2,3],\"default\":\"x\"},"
                                    "\"c\":{\"type\":\"text\",\"length\":[2,3],\"default\":\"\u00e4\u00f6\u00fc\"},\"d\":{\"type\":\"text\",\"length\":1,\"default\":\"\"}}"),
                        "args.a.default:length,args.b.default:length");
}

static void test_args__a_default_is_what_a_run_may_have(void **state)
{
    static const char *const good[] = {"2027-01-31T12:00:00Z", "2027-01-31t12:00:00z", "2027-01-31T12:00:00.25+15:59",
                                       "2016-12-31T23:59:60-00:00", "2027-01-31T24:00:00Z", NULL};
    static const char *const bad[] = {"2027-01-31", "2027-W04-1", "2027-031T12:00:00Z", "20270131T120000Z", "2027-01-31 12:00:00Z",
                                      "2027-01-31T12:00Z", "2027-01-31T12:00:00", "2027-01-31T12:00:00,5Z", "2027-01-31T12:00:00+02",
                                      "2027-01-31T12:00:00+0200", "2027-01-31T12:00:00-16:00", "2027-01-31T12:00:00+23:00",
                                      "2027-02-30T12:00:00Z", "0000-01-01T00:00:00Z", "", NULL};

    (void)state;
    check(mr_kind_timestamp_is_good, good, true);
    check(mr_kind_timestamp_is_good, bad, false);
    assert_string_equal(problems_of("{\"a\":{\"type\":\"timestamp\",\"default\":\"2027-W04-1\"}}"), "args.a.default:type");
}

static void test_args__integers_are_compared_exactly(void **state)
{
    (void)state;
    assert_string_equal(problems_of("{\"a\":{\"type\":\"integer\",\"min\":9007199254740993,\"max\":9007199254740992},"
                                    "\"b\":{\"type\":\"integer\",\"min\":9223372036854775807,\"default\":9223372036854775806},"
                                    "\"c\":{\"type\":\"integer\",\"min\":9223372036854775806,\"default\":9223372036854775806,\"max\":9223372036854775807}}"),
                        "args.a.max:range,args.b.default:range");
}

/* A name is cut between characters: the answer is JSON. */
static void test_args__long_names_are_told_in_whole_characters(void **state)
{
    (void)state;
    for (int lead = 0; lead < 2; lead++) {
        struct mr_buf text = {0};
        struct mr_buf inner = {0};
        const char *told;

        mr_buf_text(&inner, &"a"[lead]);
        for (int i = 0; i < 150; i++)
            mr_buf_text(&inner, "\xc3\xa9");
        mr_buf_printf(&text, "{\"%.*s\":{\"type\":\"text\"},\"b\":{\"type\":\"text\",\"%.*s\":1}}", (int)inner.len, inner.data,
                      (int)inner.len, inner.data);
        mr_buf_char(&text, '\0');
        told = problems_of(text.data);
        assert_non_null(strstr(told, ":format,args.b."));
        assert_true(mr_utf8_valid(mr_slice_of(told), NULL));
        mr_buf_fini(&inner);
        mr_buf_fini(&text);
    }
}

static void test_args__are_bounded(void **state)
{
    struct mr_buf text = {0};

    (void)state;
    mr_buf_char(&text, '{');
    for (int i = 0; i <= MR_ARGS_MAX; i++)
        mr_buf_printf(&text, "%s\"a%d\":{\"type\":\"text\"}", i > 0 ? "," : "", i);
    mr_buf_text(&text, "}");
    mr_buf_char(&text, '\0');
    assert_string_equal(problems_of(text.data), "args:items");
    mr_buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secret__is_base64_of_24_to_64_bytes),
        cmocka_unit_test(test_secret__nothing_is_left_of_what_is_none),
        cmocka_unit_test(test_name__is_a_word_of_a_scope),
        cmocka_unit_test(test_args__rules_that_are_good),
        cmocka_unit_test(test_args__every_problem_is_told_by_name),
        cmocka_unit_test(test_args__a_default_is_what_a_run_may_have),
        cmocka_unit_test(test_args__integers_are_compared_exactly),
        cmocka_unit_test(test_args__long_names_are_told_in_whole_characters),
        cmocka_unit_test(test_args__are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
