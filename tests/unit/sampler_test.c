#include "runtime/sampler.h"

#include "tests/support/test.h"

enum { TRACES = 20000 };

static const uint8_t high[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t low[16] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static bool wants(const char *name, const char *arg, bool has_parent, bool parent_sampled, const uint8_t id[16])
{
    struct mr_sampler sampler = mr_sampler_of(name, arg);

    return mr_sampler_wants(&sampler, has_parent, parent_sampled, id);
}

static void test_sampler__a_parent_is_followed_where_the_name_says_so(void **state)
{
    (void)state;
    assert_true(wants("parentbased_always_on", "1", true, true, low));
    assert_false(wants("parentbased_always_on", "1", true, false, high));
    assert_true(wants("parentbased_always_off", "1", true, true, low));
    assert_false(wants("parentbased_always_off", "1", true, false, high));
    assert_true(wants("parentbased_traceidratio", "0", true, true, low));
    assert_false(wants("parentbased_traceidratio", "1", true, false, high));
    assert_true(wants("always_on", "1", true, false, low));
    assert_false(wants("always_off", "1", true, true, high));
    assert_false(wants("traceidratio", "0.5", true, true, low));
    assert_true(wants("traceidratio", "0.5", true, false, high));
}

static void test_sampler__a_root_is_for_the_name_to_decide(void **state)
{
    (void)state;
    assert_true(wants("parentbased_always_on", "0", false, false, low));
    assert_true(wants("always_on", "0", false, false, low));
    assert_false(wants("parentbased_always_off", "1", false, true, high));
    assert_false(wants("always_off", "1", false, false, high));
    assert_true(wants("parentbased_traceidratio", "0.5", false, false, high));
    assert_false(wants("parentbased_traceidratio", "0.5", false, false, low));
}

static void test_sampler__the_ends_of_the_ratio_are_all_and_none(void **state)
{
    (void)state;
    assert_true(wants("traceidratio", "1", false, false, low));
    assert_true(wants("traceidratio", "1.0", false, false, high));
    assert_true(wants("traceidratio", "", false, false, low));
    assert_false(wants("traceidratio", "0", false, false, low));
    assert_false(wants("traceidratio", "0", false, false, high));
    assert_false(wants("traceidratio", "0.0", false, false, high));
}

/* Of random ids; and what a ratio takes, a larger one takes too. */
static void test_sampler__a_ratio_is_kept_and_contains_the_smaller_ones(void **state)
{
    struct mr_sampler one = mr_sampler_of("traceidratio", "0.01");
    struct mr_sampler ten = mr_sampler_of("traceidratio", "0.1");
    uint64_t seed = 7;
    unsigned of_one = 0;
    unsigned of_ten = 0;

    (void)state;
    for (int i = 0; i < TRACES; i++) {
        uint64_t id[2] = {random_next(&seed), random_next(&seed)};
        bool in_one = mr_sampler_wants(&one, false, false, (const uint8_t *)id);
        bool in_ten = mr_sampler_wants(&ten, false, false, (const uint8_t *)id);

        assert_true(in_ten || !in_one);
        of_one += in_one;
        of_ten += in_ten;
    }
    assert_in_range(of_one, TRACES / 100 - 50, TRACES / 100 + 50);
    assert_in_range(of_ten, TRACES / 10 - 150, TRACES / 10 + 150);
}

static void test_sampler__what_is_no_ratio_is_refused(void **state)
{
    static const char *const good[] = {"0", "1", "0.5", ".25", "1e-3", "1.0"};
    static const char *const bad[] = {"", "-0.1", "1.01", "2", "half", "0.5x", "0x1", "nan", "inf", "1,0", " 0.5", "1e999"};
    struct mr_buf reason = {0};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!mr_sampler_is_ratio(good[i], &reason))
            fail_test("%s was refused", good[i]);
    assert_int_equal(reason.len, 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (mr_sampler_is_ratio(bad[i], &reason))
            fail_test("%s was taken", bad[i]);
    assert_true(reason.len > 0);
    mr_buf_fini(&reason);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sampler__a_parent_is_followed_where_the_name_says_so),
        cmocka_unit_test(test_sampler__a_root_is_for_the_name_to_decide),
        cmocka_unit_test(test_sampler__the_ends_of_the_ratio_are_all_and_none),
        cmocka_unit_test(test_sampler__a_ratio_is_kept_and_contains_the_smaller_ones),
        cmocka_unit_test(test_sampler__what_is_no_ratio_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
