#include "runtime/pace.h"

#include "tests/support/test.h"

enum { LIMIT = 16 };

/* A way of `trip_ms`, which probes have found out; returns the time. */
static int64_t far_away(struct mr_pace *pace, int64_t trip_ms)
{
    int64_t now_ms = 1000;

    mr_pace_init(pace, LIMIT);
    mr_pace_note_alone(pace, trip_ms + 1);
    for (int i = 0; i < MR_PACE_PROBES; i++) {
        assert_false(mr_pace_is_long(pace));
        assert_true(mr_pace_wants_probe(pace, now_ms));
        now_ms += trip_ms;
        mr_pace_note_probe(pace, trip_ms, now_ms);
    }
    assert_true(mr_pace_is_long(pace));
    return now_ms;
}

static void test_pace__with_the_database_near_by_nothing_overlaps(void **state)
{
    struct mr_pace pace;

    (void)state;
    mr_pace_init(&pace, LIMIT);
    assert_false(mr_pace_wants_probe(&pace, 1000));
    mr_pace_note_alone(&pace, 1);
    assert_false(mr_pace_wants_probe(&pace, 1000));
    assert_int_equal(mr_pace_due_in_ms(&pace, 0, 0, 1000), 0);
    assert_int_equal(mr_pace_due_in_ms(&pace, 1, 1000, 1000), -1);
}

/* A slow statement makes it look; the probe tells the statement from the way. */
static void test_pace__a_slow_statement_is_no_long_way(void **state)
{
    struct mr_pace pace;

    (void)state;
    mr_pace_init(&pace, LIMIT);
    mr_pace_note_alone(&pace, 200);
    assert_true(mr_pace_wants_probe(&pace, 1000));
    mr_pace_note_probe(&pace, 0, 1200);
    assert_false(mr_pace_is_long(&pace));
    mr_pace_note_alone(&pace, 200);
    assert_false(mr_pace_wants_probe(&pace, 1400)); /* not again so soon */
    assert_true(mr_pace_wants_probe(&pace, 2200));
}

static void test_pace__one_short_probe_is_enough_to_stop(void **state)
{
    struct mr_pace pace;
    int64_t now_ms = far_away(&pace, 20);

    (void)state;
    mr_pace_note_probe(&pace, 1, now_ms + 100);
    assert_false(mr_pace_is_long(&pace));
    assert_int_equal(mr_pace_due_in_ms(&pace, 1, now_ms + 100, now_ms + 100), -1);
}

static void test_pace__the_least_of_the_latest_probes_counts(void **state)
{
    struct mr_pace pace;
    int64_t now_ms = far_away(&pace, 20);

    (void)state;
    mr_pace_note_probe(&pace, 90, now_ms);
    assert_int_equal(mr_pace_trip_ms(&pace), 20);
    for (int i = 0; i < MR_PACE_PROBES; i++)
        mr_pace_note_probe(&pace, 50 + i, now_ms);
    assert_int_equal(mr_pace_trip_ms(&pace), 50);
}

static void test_pace__a_long_way_is_measured_now_and_then(void **state)
{
    struct mr_pace pace;
    int64_t now_ms = far_away(&pace, 20);

    (void)state;
    assert_false(mr_pace_wants_probe(&pace, now_ms + 50));
    assert_true(mr_pace_wants_probe(&pace, now_ms + 100));
}

static void test_pace__batches_leave_at_even_intervals(void **state)
{
    struct mr_pace pace;
    int64_t now_ms = far_away(&pace, 160);

    (void)state;
    mr_pace_note_sent(&pace, now_ms);
    assert_int_equal(mr_pace_due_in_ms(&pace, 1, now_ms, now_ms), 10);
    assert_int_equal(mr_pace_due_in_ms(&pace, 1, now_ms, now_ms + 7), 3);
    assert_int_equal(mr_pace_due_in_ms(&pace, 1, now_ms, now_ms + 10), 0);
    assert_int_equal(mr_pace_due_in_ms(&pace, 1, now_ms, now_ms + 15), 0);
    assert_int_equal(mr_pace_due_in_ms(&pace, LIMIT - 1, now_ms, now_ms + 15), 0);
    assert_int_equal(mr_pace_due_in_ms(&pace, LIMIT, now_ms, now_ms + 15), -1);
}

/* What the server cannot do at once would only wait there. */
static void test_pace__they_leave_no_faster_than_the_server_works(void **state)
{
    struct mr_pace pace;
    int64_t now_ms = far_away(&pace, 20);

    (void)state;
    for (int i = 0; i < 50; i++, now_ms += 8) /* one answer every 8 ms */
        mr_pace_note_landed(&pace, now_ms - 30, now_ms);
    mr_pace_note_sent(&pace, now_ms);
    assert_in_range(mr_pace_due_in_ms(&pace, 2, now_ms - 8, now_ms), 7, 8);
}

static void test_pace__none_follows_one_that_is_stuck(void **state)
{
    struct mr_pace pace;
    int64_t now_ms = far_away(&pace, 20);

    (void)state;
    mr_pace_note_sent(&pace, now_ms);
    assert_int_equal(mr_pace_due_in_ms(&pace, 1, now_ms, now_ms + 40), 0);
    assert_int_equal(mr_pace_due_in_ms(&pace, 1, now_ms, now_ms + 60), -1);
}

static void test_pace__a_limit_of_one_never_overlaps(void **state)
{
    struct mr_pace pace;

    (void)state;
    mr_pace_init(&pace, 1);
    mr_pace_note_alone(&pace, 100);
    assert_false(mr_pace_wants_probe(&pace, 1000));
    for (int i = 0; i < MR_PACE_PROBES; i++)
        mr_pace_note_probe(&pace, 100, 1000);
    assert_false(mr_pace_is_long(&pace));
    assert_int_equal(mr_pace_due_in_ms(&pace, 1, 1000, 1000), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pace__with_the_database_near_by_nothing_overlaps),
        cmocka_unit_test(test_pace__a_slow_statement_is_no_long_way),
        cmocka_unit_test(test_pace__one_short_probe_is_enough_to_stop),
        cmocka_unit_test(test_pace__the_least_of_the_latest_probes_counts),
        cmocka_unit_test(test_pace__a_long_way_is_measured_now_and_then),
        cmocka_unit_test(test_pace__batches_leave_at_even_intervals),
        cmocka_unit_test(test_pace__they_leave_no_faster_than_the_server_works),
        cmocka_unit_test(test_pace__none_follows_one_that_is_stuck),
        cmocka_unit_test(test_pace__a_limit_of_one_never_overlaps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
