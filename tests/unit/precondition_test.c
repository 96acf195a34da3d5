#include "gateway/precondition.h"

#include "tests/support/test.h"

#define OK   MR_VERDICT_PROCEED
#define SAME MR_VERDICT_NOT_MODIFIED
#define NO   MR_VERDICT_FAILED

/* Name and value of up to four headers, ended by a NULL name. */
typedef const char *const headers[4][2];

static void read_headers(struct mr_preconditions *out, headers given)
{
    struct mr_http_request request = {.verb = MR_VERB_GET};

    for (unsigned i = 0; i < 4 && given[i][0] != NULL; i++)
        request.headers[request.header_count++] = (struct mr_http_header){mr_slice_of(given[i][0]), mr_slice_of(given[i][1])};
    assert_int_equal(mr_preconditions_read(out, &request), MR_OK);
}

/* RFC 9110, 13.1 and 13.2.2, for a target whose tag is "3", one without a tag, and one without a representation. */
static void test_precondition__verdicts(void **state)
{
    static const struct {
        headers given;
        enum mr_verdict read, write, write_untagged, write_nothing;
    } rows[] = {
        {{{NULL}}, OK, OK, OK, OK},
        {{{"If-Match", "\"3\""}}, OK, OK, NO, NO},
        {{{"If-Match", "\"2\""}}, NO, NO, NO, NO},
        {{{"If-Match", "W/\"3\""}}, NO, NO, NO, NO},
        {{{"If-Match", ""}}, NO, NO, NO, NO},
        {{{"If-Match", "*"}}, OK, OK, OK, NO},
        {{{"If-Match", "3"}}, NO, NO, NO, NO},
        {{{"If-Match", "\"1\""}, {"If-Match", "\"3\""}}, OK, OK, NO, NO},
        {{{"If-None-Match", "\"3\""}}, SAME, NO, OK, OK},
        {{{"If-None-Match", "W/\"3\""}}, SAME, NO, OK, OK},
        {{{"If-None-Match", "\"2\""}}, OK, OK, OK, OK},
        {{{"If-None-Match", ""}}, OK, OK, OK, OK},
        {{{"If-None-Match", "*"}}, SAME, NO, NO, OK},
        {{{"If-None-Match", "3"}}, NO, NO, NO, NO},
        {{{"If-None-Match", "\"2\""}, {"If-None-Match", "\"3\""}}, SAME, NO, OK, OK},
        {{{"If-Match", "\"3\""}, {"If-None-Match", "\"3\""}}, SAME, NO, NO, NO},
        {{{"If-Match", "\"2\""}, {"If-None-Match", "\"3\""}}, NO, NO, NO, NO}, /* If-Match comes first */
        {{{"If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"}}, OK, NO, NO, NO},
        {{{"If-Unmodified-Since", "soon"}}, OK, NO, NO, NO},
        {{{"If-Match", "\"3\""}, {"If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"}}, OK, OK, NO, NO},
        {{{"If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"}}, OK, OK, OK, OK},
        {{{"If-Range", "\"2\""}}, OK, OK, OK, OK},
    };
    struct mr_preconditions conditions = {.if_unmodified_since = true}; /* what is left of a request before is forgotten */

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        read_headers(&conditions, rows[i].given);
        if (mr_preconditions_judge(&conditions, true, true, "\"3\"") != rows[i].read ||
            mr_preconditions_judge(&conditions, false, true, "\"3\"") != rows[i].write ||
            mr_preconditions_judge(&conditions, false, true, NULL) != rows[i].write_untagged ||
            mr_preconditions_judge(&conditions, false, false, NULL) != rows[i].write_nothing)
            fail_test("row %zu", i);
    }
    mr_preconditions_fini(&conditions);
}

static void test_precondition__what_is_no_list_is_malformed(void **state)
{
    static headers bad[] = {
        {{"If-Match", "3"}},
        {{"If-Match", "\"3"}},
        {{"If-Match", "*, \"3\""}},
        {{"If-Match", "\"3\", *"}},
        {{"If-Match", "*,"}},
        {{"If-Match", "**"}},
        {{"If-Match", "*"}, {"If-Match", "*"}},
        {{"If-Match", "\"3"}, {"If-Match", "4\""}}, /* no tag goes from one line to the next */
        {{"If-None-Match", "3"}},
        {{"If-None-Match", "W/3"}},
        {{"If-None-Match", "\"3\""}, {"If-None-Match", "*"}},
    };
    struct mr_preconditions conditions = {.if_unmodified_since = false};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        read_headers(&conditions, bad[i]);
        if (!mr_preconditions_malformed(&conditions))
            fail_test("row %zu was taken", i);
    }
    read_headers(&conditions, (headers){{"If-Match", "\"3\", W/\"x\","}, {"If-None-Match", "*"}});
    assert_false(mr_preconditions_malformed(&conditions));
    mr_preconditions_fini(&conditions);
}

static void test_precondition__versions_are_tags_as_we_write_them(void **state)
{
    struct mr_preconditions conditions = {.if_unmodified_since = false};
    struct mr_buf versions = {0};

    (void)state;
    read_headers(&conditions, (headers){{"If-Match", "\"3\", \"x\", \"04\", \"0\", \"\", W/\"5\", \"9999999999999999999\""},
                                        {"If-Match", "\"999999999999999999\""}});
    mr_condition_versions(&conditions.if_match, false, &versions);
    assert_slice_equal(buf_slice(&versions), "3,999999999999999999");
    mr_buf_clear(&versions, SIZE_MAX);
    mr_condition_versions(&conditions.if_match, true, &versions);
    assert_slice_equal(buf_slice(&versions), "3,5,999999999999999999");
    mr_buf_fini(&versions);
    mr_preconditions_fini(&conditions);
}

static void test_precondition__no_list_is_too_long(void **state)
{
    struct mr_preconditions conditions = {.if_unmodified_since = false};
    struct mr_buf line = {0};

    (void)state;
    for (unsigned i = 100; i < 400; i++)
        mr_buf_printf(&line, "\"%u\", ", i);
    mr_buf_text(&line, "\"3\"");
    mr_buf_char(&line, '\0');
    read_headers(&conditions, (headers){{"If-None-Match", line.data}});
    assert_int_equal(mr_preconditions_judge(&conditions, true, true, "\"3\""), MR_VERDICT_NOT_MODIFIED);
    mr_buf_fini(&line);
    mr_preconditions_fini(&conditions);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_precondition__verdicts),
        cmocka_unit_test(test_precondition__what_is_no_list_is_malformed),
        cmocka_unit_test(test_precondition__versions_are_tags_as_we_write_them),
        cmocka_unit_test(test_precondition__no_list_is_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
