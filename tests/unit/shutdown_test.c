#include "runtime/shutdown.h"

#include "tests/support/test.h"

/* Whatever the grace, something is left for every stage, and all of them end before it does. */
static void test_shutdown__every_stage_has_time_within_the_grace(void **state)
{
    (void)state;
    for (int64_t grace_ms = 1000; grace_ms <= 600000; grace_ms += 500) {
        struct mr_shutdown_plan plan = mr_shutdown_plan(grace_ms);

        assert_true(plan.cut_ms >= grace_ms / 2);
        assert_true(plan.abandon_ms - plan.cut_ms >= 100);
        assert_true(plan.end_ms - plan.abandon_ms >= 50);
        assert_true(grace_ms - plan.end_ms >= 20);
        assert_true(grace_ms - plan.cut_ms <= 5000);
    }
}

static void test_shutdown__the_default_leaves_five_seconds_for_the_end(void **state)
{
    struct mr_shutdown_plan plan = mr_shutdown_plan(25000);

    (void)state;
    assert_int_equal(plan.cut_ms, 20000);
    assert_int_equal(plan.abandon_ms, 22500);
    assert_int_equal(plan.end_ms, 24700);
}

static void test_shutdown__begins_and_is_cut_once(void **state)
{
    int64_t limit_ms = mr_mono_ms(&mr_system_clock) + 1000;

    (void)state;
    assert_int_equal(mr_shutdown_begun_ms(), INT64_MAX);
    assert_int_equal(mr_shutdown_limit_ms(), INT64_MAX);
    assert_false(mr_shutdown_is_cut());
    assert_true(mr_shutdown_begin());
    assert_false(mr_shutdown_begin());
    assert_true(mr_shutdown_begun_ms() <= mr_mono_ms(&mr_system_clock));
    mr_shutdown_cut(limit_ms);
    mr_shutdown_cut(limit_ms + 1);
    assert_true(mr_shutdown_is_cut());
    assert_int_equal(mr_shutdown_limit_ms(), limit_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shutdown__every_stage_has_time_within_the_grace),
        cmocka_unit_test(test_shutdown__the_default_leaves_five_seconds_for_the_end),
        cmocka_unit_test(test_shutdown__begins_and_is_cut_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
