/*
 * What the end of a call means for its run.
 */
#include "jobs/push_verdict.h"

#include "tests/support/test.h"

static struct mr_push_verdict verdict_of(int http, const char *body, int64_t retry_after_s)
{
    struct mr_call call = {.end = MR_CALL_ANSWERED, .http = http, .retry_after_s = retry_after_s};
    struct mr_push_verdict verdict;

    mr_buf_text(&call.answer, body);
    mr_push_judge(&call, &verdict);
    verdict.result.data = verdict.result.data != NULL ? body : NULL; /* the call's are gone in a moment */
    mr_call_fini(&call);
    return verdict;
}

static void assert_result(const char *body, bool is_result)
{
    struct mr_push_verdict verdict = verdict_of(200, body, 0);

    assert_int_equal(verdict.outcome, MR_PUSH_SUCCEEDED);
    assert_string_equal(verdict.error, "");
    if ((verdict.result.data != NULL) != is_result)
        fail_test("%s is %sa result", body, is_result ? "not " : "");
    if (is_result)
        assert_slice_equal(verdict.result, body);
}

static void test_push_verdict__a_body_that_is_json_is_the_result(void **state)
{
    (void)state;
    assert_result("{\"a\": [1, 2.50, \"x\"]}", true);
    assert_result("[]", true);
    assert_result("17", true);
    assert_result("{\"id\": 12345678901234567890123}", true);
    assert_result("null", true);
    assert_result("\"text\"\n", true);
    assert_result("", false);
    assert_result("ok", false);
    assert_result("{\"a\": 1", false);
    assert_result("{} {}", false);
    assert_result("{\"a\": \"\\u0000\"}", false); /* jsonb takes none */
    assert_result("{\"a\": \"\xff\"}", false);
}

static void test_push_verdict__a_body_that_was_cut_is_none(void **state)
{
    struct mr_call call = {.end = MR_CALL_ANSWERED, .http = 204, .is_cut = true};
    struct mr_push_verdict verdict;

    (void)state;
    mr_buf_text(&call.answer, "1");
    mr_push_judge(&call, &verdict);
    assert_int_equal(verdict.outcome, MR_PUSH_SUCCEEDED);
    assert_null(verdict.result.data);
    mr_call_fini(&call);
}

static void assert_failed(int http, const char *error, bool is_gone)
{
    struct mr_push_verdict verdict = verdict_of(http, "{}", 0);

    assert_int_equal(verdict.outcome, MR_PUSH_FAILED);
    assert_string_equal(verdict.error, error);
    assert_int_equal(verdict.is_gone, is_gone);
    assert_int_equal(verdict.retry_after_ms, -1);
    assert_null(verdict.result.data);
}

static void test_push_verdict__any_other_status_is_a_failure(void **state)
{
    (void)state;
    assert_failed(300, "the receiver answered 300: redirections are not followed", false);
    assert_failed(308, "the receiver answered 308: redirections are not followed", false);
    assert_failed(400, "the receiver answered 400", false);
    assert_failed(404, "the receiver answered 404", false);
    assert_failed(410, "the receiver answered 410: it wants no more, and the job is paused", true);
    assert_failed(429, "the receiver answered 429", false);
    assert_failed(500, "the receiver answered 500", false);
    assert_failed(599, "the receiver answered 599", false);
    assert_failed(700, "the receiver answered 700", false);
}

static void test_push_verdict__retry_after_of_429_and_503_is_kept_within_a_day(void **state)
{
    (void)state;
    assert_int_equal(verdict_of(429, "", 1).retry_after_ms, 1000);
    assert_int_equal(verdict_of(503, "", 120).retry_after_ms, 120000);
    assert_int_equal(verdict_of(503, "", 86400).retry_after_ms, MR_PUSH_RETRY_AFTER_MOST_MS);
    assert_int_equal(verdict_of(503, "", INT64_MAX).retry_after_ms, MR_PUSH_RETRY_AFTER_MOST_MS);
    assert_int_equal(verdict_of(503, "", -5).retry_after_ms, -1);
    assert_int_equal(verdict_of(500, "", 120).retry_after_ms, -1);
}

static void test_push_verdict__without_an_answer(void **state)
{
    struct mr_call call = {.end = MR_CALL_NO_ANSWER, .error = "Connection refused"};
    struct mr_push_verdict verdict;

    (void)state;
    mr_push_judge(&call, &verdict);
    assert_int_equal(verdict.outcome, MR_PUSH_FAILED);
    assert_true(verdict.is_dead);
    assert_string_equal(verdict.error, "Connection refused");
    call.end = MR_CALL_FORBIDDEN;
    mr_push_judge(&call, &verdict);
    assert_int_equal(verdict.outcome, MR_PUSH_FAILED);
    assert_false(verdict.is_dead);
    call.end = MR_CALL_NOT_SENT;
    mr_push_judge(&call, &verdict);
    assert_int_equal(verdict.outcome, MR_PUSH_RELEASED);
}

static void assert_text(struct mr_slice text, size_t most, const char *expected)
{
    struct mr_buf out = {0};

    mr_buf_char(&out, '|');
    mr_push_text(&out, text, most);
    assert_slice_equal(((struct mr_slice){out.data + 1, out.len - 1}), expected);
    mr_buf_fini(&out);
}

static void test_push_verdict__text_is_what_the_database_takes(void **state)
{
    (void)state;
    assert_text(MR_SLICE("plain"), 100, "plain");
    assert_text(MR_SLICE("plain"), 3, "pla");
    assert_text(MR_SLICE("a\0b"), 100, "a?b");
    assert_text(MR_SLICE("\xff\xfe"), 100, "??");
    assert_text(MR_SLICE("\xc3\xa4\xc3"), 100, "\xc3\xa4?");
    assert_text(MR_SLICE("\xc3\xa4\xc3\xa4"), 3, "\xc3\xa4");
    assert_text(MR_SLICE("\xf0\x9f\x98\x80!"), 4, "\xf0\x9f\x98\x80");
    assert_text(MR_SLICE("\xf0\x9f\x98\x80!"), 3, "");
    assert_text(MR_SLICE("\xed\xa0\x80"), 100, "???"); /* half of a surrogate pair */
    assert_text(MR_SLICE(""), 100, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_push_verdict__a_body_that_is_json_is_the_result),
        cmocka_unit_test(test_push_verdict__a_body_that_was_cut_is_none),
        cmocka_unit_test(test_push_verdict__any_other_status_is_a_failure),
        cmocka_unit_test(test_push_verdict__retry_after_of_429_and_503_is_kept_within_a_day),
        cmocka_unit_test(test_push_verdict__without_an_answer),
        cmocka_unit_test(test_push_verdict__text_is_what_the_database_takes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
