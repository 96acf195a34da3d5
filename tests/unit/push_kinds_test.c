/*
 * What the process keeps of a job that pushes.
 */
#include "jobs/push_internal.h"
#include "runtime/clock.h"

#include "tests/support/test.h"

static void assert_timeout(int64_t declared_ms, int64_t kept_ms)
{
    struct mr_config config = {.push_per_host = 100};
    struct mr_push push = {.config = &config, .clock = &mr_system_clock};
    const struct push_kind *kind = push_kind_seen(&push, "receipts", "https://hooks.example.org/x", "", declared_ms);

    assert_non_null(kind);
    assert_int_equal(kind->timeout_ms, kept_ms);
    push_kinds_fini(&push);
    mr_buf_fini(&push.text);
}

/* SQL may write what no declaration and no PUT says: libcurl is not given that. */
static void test_push_kinds__a_call_may_take_as_long_as_a_job_may_say(void **state)
{
    const int64_t day_ms = INT64_C(24) * 60 * 60 * 1000;

    (void)state;
    assert_timeout(1000, 1000);
    assert_timeout(day_ms, day_ms);
    assert_timeout(INT64_MAX, day_ms);
    assert_timeout(0, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_push_kinds__a_call_may_take_as_long_as_a_job_may_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
