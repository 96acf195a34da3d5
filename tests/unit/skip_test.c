#include "jobs/skip.h"
#include "tests/support/test.h"

enum { UNITS_MOST = 2000 };

static const struct mr_db_error refused = {.status = MR_INVALID, .sqlstate = "23514", .message = "violates a rule"};

/* Units that are done one chunk after another; those that are poisoned refuse their chunk. */
struct work {
    bool poisoned[UNITS_MOST];
    bool done[UNITS_MOST];
    int64_t count;
    int64_t turns;
    int64_t skipped;
    bool failed;
};

static bool is_refused(const struct work *work, int64_t from, int64_t most)
{
    for (int64_t i = from; i < from + most && i < work->count; i++)
        if (work->poisoned[i])
            return true;
    return false;
}

/* As a run does it: chunks of `most` units that grow again, one that is refused is looked for. */
static void do_all(struct work *work, int64_t most)
{
    struct mr_skip skip = {0};
    int64_t at = 0;

    while (at < work->count && !work->failed) {
        work->turns++;
        if (skip.now) {
            assert_true(work->poisoned[at]);
            work->skipped++;
            at++;
            mr_skip_passed(&skip, 0, &most);
        } else if (is_refused(work, at, most)) {
            work->failed = !mr_skip_find(&skip, &refused, true, &most);
        } else {
            int64_t rows = 0;

            for (int64_t i = at; i < at + most && i < work->count; i++, rows++)
                work->done[i] = true;
            at += most;
            if (!mr_skip_passed(&skip, rows, &most))
                most *= 2;
        }
    }
}

static void test_skip__a_refused_unit_is_found_by_halving_wherever_it_is(void **state)
{
    (void)state;
    for (int64_t place = 0; place < 500; place++) {
        struct work work = {.count = 500};

        work.poisoned[place] = true;
        do_all(&work, 500);
        assert_false(work.failed);
        assert_int_equal(work.skipped, 1);
        assert_in_range(work.turns, 1, 40); /* 2 log2(500), and to grow again */
        for (int64_t i = 0; i < 500; i++)
            assert_int_equal(work.done[i], i != place);
    }
}

static void test_skip__many_refused_units_stop_none_of_the_others(void **state)
{
    struct work work = {.count = UNITS_MOST};

    (void)state;
    for (int64_t i = 0; i < work.count; i++)
        work.poisoned[i] = i % 7 == 3 || (i > 900 && i < 1000);
    do_all(&work, 500);
    assert_false(work.failed);
    for (int64_t i = 0; i < work.count; i++)
        assert_int_equal(work.done[i], !work.poisoned[i]);
}

static void test_skip__a_long_row_of_refused_units_is_no_poison_but_a_failure(void **state)
{
    struct work work = {.count = UNITS_MOST};

    (void)state;
    for (int64_t i = 0; i < work.count; i++)
        work.poisoned[i] = true;
    do_all(&work, 500);
    assert_true(work.failed);
    assert_int_equal(work.skipped, 1000);
}

static void test_skip__what_is_no_fault_of_a_unit_skips_none(void **state)
{
    static const char *const others[] = {"42P01", "42501", "40P01", "40001", "55P03", "57014", "53100", "53300", "25006", "08006", "57P01", ""};

    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct mr_db_error error = {.status = MR_INTERNAL};
        struct mr_skip skip = {0};
        int64_t most = 500;

        snprintf(error.sqlstate, sizeof error.sqlstate, "%s", others[i]);
        assert_false(mr_skip_find(&skip, &error, true, &most));
        assert_int_equal(most, 500);
    }
}

/* What comes from outside may be wrong all the way; what is wrong with the database itself is still seen. */
static void test_skip__input_may_be_refused_however_often_for_its_data(void **state)
{
    static const char *const data[] = {"22003", "23514", "MR409"};

    (void)state;
    for (size_t i = 0; i < sizeof data / sizeof data[0]; i++) {
        struct mr_db_error error = {.status = MR_INVALID};
        struct mr_skip skip = {.in_a_row = 1000000};
        int64_t most = 1;

        snprintf(error.sqlstate, sizeof error.sqlstate, "%s", data[i]);
        assert_false(mr_skip_find(&skip, &error, true, &most));
        skip.is_input = true;
        assert_true(mr_skip_find(&skip, &error, true, &most));
    }
    for (size_t i = 0; i < 2; i++) {
        struct mr_db_error error = {.status = MR_INTERNAL, .sqlstate = "P0001"};
        struct mr_skip skip = {.in_a_row = 1000000, .is_input = i == 1};
        int64_t most = 1;

        assert_false(mr_skip_find(&skip, &error, true, &most));
    }
}

static void test_skip__a_lost_connection_says_nothing_of_a_unit(void **state)
{
    struct mr_db_error error = refused;
    struct mr_skip skip = {0};
    int64_t most = 500;

    (void)state;
    error.lost = true;
    assert_false(mr_skip_find(&skip, &error, true, &most));
}

static void test_skip__what_does_not_divide_is_skipped_at_once_and_only_once(void **state)
{
    struct mr_skip skip = {0};
    int64_t most = 500;

    (void)state;
    assert_true(mr_skip_find(&skip, &refused, false, &most));
    assert_true(skip.now);
    assert_int_equal(most, 500);
    assert_string_equal(skip.error.sqlstate, "23514");
    assert_false(mr_skip_find(&skip, &refused, false, &most)); /* without the unit it is refused, too */
}

static void test_skip__a_name_tells_the_unit_and_no_more(void **state)
{
    struct mr_skip skip = {.error = {.sqlstate = "P0001", .message = "secret"}};
    struct mr_buf out = {0};

    (void)state;
    mr_skip_name(&skip, &out, "tasks", MR_SLICE("a\"b"));
    mr_buf_char(&out, '\0');
    assert_string_equal(out.data, "{\"of\":\"tasks\",\"id\":\"a\\\"b\",\"reason\":\"raised by a function (SQLSTATE P0001)\"}");
    mr_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_skip__a_refused_unit_is_found_by_halving_wherever_it_is),
        cmocka_unit_test(test_skip__many_refused_units_stop_none_of_the_others),
        cmocka_unit_test(test_skip__a_long_row_of_refused_units_is_no_poison_but_a_failure),
        cmocka_unit_test(test_skip__what_is_no_fault_of_a_unit_skips_none),
        cmocka_unit_test(test_skip__input_may_be_refused_however_often_for_its_data),
        cmocka_unit_test(test_skip__a_lost_connection_says_nothing_of_a_unit),
        cmocka_unit_test(test_skip__what_does_not_divide_is_skipped_at_once_and_only_once),
        cmocka_unit_test(test_skip__a_name_tells_the_unit_and_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
