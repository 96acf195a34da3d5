#include "runtime/backoff.h"

#include "tests/support/test.h"

/* The pause before the try of that number, 1 for the first after a failure, without its jitter. */
static int64_t pause_of(unsigned failures)
{
    int64_t pause_ms = MR_BACKOFF_LEAST_MS;

    while (--failures > 0 && pause_ms < MR_BACKOFF_MOST_MS)
        pause_ms *= 2;
    return pause_ms < MR_BACKOFF_MOST_MS ? pause_ms : MR_BACKOFF_MOST_MS;
}

static void test_backoff__pauses_double_up_to_the_longest(void **state)
{
    struct mr_backoff backoff = {0};
    int64_t now_ms = 5000;

    (void)state;
    for (unsigned failures = 1; failures < 40; failures++) {
        int64_t pause_ms = mr_backoff_fail(&backoff, now_ms);
        int64_t expected = pause_of(failures);

        assert_in_range(pause_ms, expected - expected / 4, expected + expected / 4);
        assert_false(mr_backoff_is_over(&backoff, now_ms));
        assert_false(mr_backoff_is_over(&backoff, now_ms + pause_ms - 1));
        now_ms += pause_ms;
        assert_true(mr_backoff_is_over(&backoff, now_ms));
        assert_int_equal(mr_backoff_failing_ms(&backoff, now_ms), now_ms - 5000);
    }
}

static void test_backoff__a_success_begins_anew(void **state)
{
    struct mr_backoff backoff = {0};

    (void)state;
    assert_true(mr_backoff_is_over(&backoff, 0));
    assert_int_equal(mr_backoff_failing_ms(&backoff, 7), 0);
    for (int i = 0; i < 5; i++)
        mr_backoff_fail(&backoff, 100);
    assert_int_equal(mr_backoff_failing_ms(&backoff, 100), 1); /* it fails already, and 0 would say that it does not */
    mr_backoff_succeed(&backoff);
    assert_true(mr_backoff_is_over(&backoff, 100));
    assert_int_equal(mr_backoff_failing_ms(&backoff, 1000), 0);
    assert_in_range(mr_backoff_fail(&backoff, 200), 75, 125);
}

static void test_backoff__two_do_not_stay_in_step(void **state)
{
    struct mr_backoff one = {0};
    struct mr_backoff other = {0};
    unsigned apart = 0;

    (void)state;
    for (int i = 0; i < 20; i++)
        apart += mr_backoff_fail(&one, 0) != mr_backoff_fail(&other, 0);
    assert_true(apart > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backoff__pauses_double_up_to_the_longest),
        cmocka_unit_test(test_backoff__a_success_begins_anew),
        cmocka_unit_test(test_backoff__two_do_not_stay_in_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
