#include "gateway/rate_limit.h"

#include <malloc.h>
#include <sodium.h>

#include "tests/support/test.h"

enum { MILLION = 1000000, PLACES = MR_RATE_SETS * MR_RATE_WAYS, MINUTE_MS = 60000 };

static int setup(void **state)
{
    (void)state;
    return sodium_init() < 0 ? -1 : 0;
}

struct caller {
    uint8_t id[MR_RATE_ID];
};

static struct caller caller_of(uint32_t n)
{
    struct caller caller = {{0}};

    memcpy(caller.id, &n, sizeof n);
    return caller;
}

static bool take_at(struct mr_rate_limit *limit, uint32_t n, int64_t now_ms)
{
    struct caller caller = caller_of(n);
    struct mr_quota quota;

    return mr_rate_limit_take(limit, MR_RATE_ADDRESS, caller.id, now_ms, &quota);
}

/* Takes `tries` times at once; how often there was a token. */
static unsigned take_many(struct mr_rate_limit *limit, uint32_t n, unsigned tries, int64_t now_ms)
{
    unsigned taken = 0;

    for (unsigned i = 0; i < tries; i++)
        taken += take_at(limit, n, now_ms);
    return taken;
}

static struct mr_quota quota_at(struct mr_rate_limit *limit, uint32_t n, int64_t now_ms)
{
    struct caller caller = caller_of(n);
    struct mr_quota quota;

    (void)!mr_rate_limit_take(limit, MR_RATE_ADDRESS, caller.id, now_ms, &quota);
    return quota;
}

static void test_rate_limit__a_bucket_holds_a_minute_of_tokens(void **state)
{
    static const unsigned limits[] = {1, 2, 7, 60, 999, 7919, MILLION};

    (void)state;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct mr_rate_limit *limit = mr_rate_limit_new("default", limits[i]);

        assert_int_equal(take_many(limit, 1, limits[i] + 5, 0), limits[i]);
        assert_int_equal(take_many(limit, 1, limits[i] + 5, MINUTE_MS), limits[i]);
        assert_int_equal(take_many(limit, 1, limits[i] + 5, INT64_C(100) * 365 * 86400000), limits[i]);
        mr_rate_limit_destroy(&limit);
    }
}

static void test_rate_limit__tokens_come_back_evenly(void **state)
{
    struct mr_rate_limit *limit = mr_rate_limit_new("default", 60);

    (void)state;
    assert_int_equal(take_many(limit, 1, 100, 5000), 60);
    assert_int_equal(take_many(limit, 1, 100, 5999), 0);
    assert_int_equal(take_many(limit, 1, 100, 6000), 1);
    assert_int_equal(take_many(limit, 1, 100, 16000), 10);
    assert_int_equal(take_many(limit, 1, 100, 16000 + 10 * MINUTE_MS), 60);
    mr_rate_limit_destroy(&limit);
}

/* Whoever is refused and tries on does not wait longer for it. */
static void test_rate_limit__being_refused_costs_nothing(void **state)
{
    struct mr_rate_limit *limit = mr_rate_limit_new("default", 60);

    (void)state;
    assert_int_equal(take_many(limit, 1, MILLION, 0), 60);
    assert_int_equal(take_many(limit, 1, 2, 1000), 1);
    mr_rate_limit_destroy(&limit);
}

static void test_rate_limit__the_rate_holds_for_a_day(void **state)
{
    struct mr_rate_limit *limit = mr_rate_limit_new("default", 7);
    unsigned taken = 0;

    (void)state;
    for (int64_t now_ms = 0; now_ms < 24 * 60 * MINUTE_MS; now_ms += 500)
        taken += take_at(limit, 1, now_ms);
    assert_in_range(taken, 7 * 24 * 60 - 1, 7 * 24 * 60 + 7);
    mr_rate_limit_destroy(&limit);
}

static void test_rate_limit__says_what_is_left(void **state)
{
    struct mr_rate_limit *limit = mr_rate_limit_new("auth", 3);
    struct mr_quota quota = quota_at(limit, 1, 0);

    (void)state;
    assert_string_equal(quota.policy, "auth");
    assert_int_equal(quota.limit, 3);
    assert_int_equal(quota.remaining, 2);
    assert_int_equal(quota.reset_s, 20);
    quota = quota_at(limit, 1, 0);
    assert_int_equal(quota.remaining, 1);
    assert_int_equal(quota.reset_s, 40);
    quota = quota_at(limit, 1, 0);
    assert_int_equal(quota.remaining, 0);
    assert_int_equal(quota.reset_s, 60);
    quota = quota_at(limit, 1, 1); /* refused: until a token is there */
    assert_int_equal(quota.remaining, 0);
    assert_int_equal(quota.reset_s, 20);
    assert_int_equal(quota_at(limit, 1, 19999).reset_s, 1);
    assert_int_equal(quota_at(limit, 1, 20000).reset_s, 60);
    mr_rate_limit_destroy(&limit);
}

/* A client that waits as long as it is told is served. */
static void test_rate_limit__waiting_as_told_is_enough(void **state)
{
    static const unsigned limits[] = {1, 7, 20, 59, 1000, MILLION};

    (void)state;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct mr_rate_limit *limit = mr_rate_limit_new("default", limits[i]);
        struct mr_quota quota;

        take_many(limit, 1, limits[i], 123);
        quota = quota_at(limit, 1, 123);
        assert_in_range(quota.reset_s, 1, 60);
        assert_true(take_at(limit, 1, 123 + (int64_t)quota.reset_s * 1000));
        mr_rate_limit_destroy(&limit);
    }
}

static void test_rate_limit__callers_do_not_share(void **state)
{
    struct mr_rate_limit *limit = mr_rate_limit_new("default", 2);
    struct caller caller = caller_of(1);
    struct mr_quota quota;

    (void)state;
    assert_int_equal(take_many(limit, 1, 5, 0), 2);
    assert_int_equal(take_many(limit, 2, 5, 0), 2);
    assert_true(mr_rate_limit_take(limit, MR_RATE_USER, caller.id, 0, &quota)); /* a user with the bytes of an address */
    mr_rate_limit_destroy(&limit);
}

static void test_rate_limit__a_million_addresses_take_no_memory(void **state)
{
    struct mr_rate_limit *limit = mr_rate_limit_new("default", 10);
    size_t before;

    (void)state;
    take_at(limit, 0, 0);
    before = mallinfo2().uordblks;
    for (uint32_t n = 1; n <= MILLION; n++)
        take_at(limit, n, n / 100);
    assert_int_equal(mallinfo2().uordblks, before);
    mr_rate_limit_destroy(&limit);
}

/* They come one after the other, each with a request or two; the one who has used up their tokens stays without. */
static void test_rate_limit__a_million_addresses_free_nobody(void **state)
{
    enum { VICTIMS = 100 };
    struct mr_rate_limit *limit = mr_rate_limit_new("default", 10);

    (void)state;
    for (uint32_t v = 0; v < VICTIMS; v++)
        assert_int_equal(take_many(limit, MILLION + v, 20, 0), 10);
    for (uint32_t n = 0; n < MILLION; n++)
        take_at(limit, n, n / 1000);
    for (uint32_t v = 0; v < VICTIMS; v++)
        assert_int_equal(take_many(limit, MILLION + v, 20, 1000), 0);
    mr_rate_limit_destroy(&limit);
}

/* All that is granted at one moment is what the table holds, however many addresses ask, in turn or at random. */
static void test_rate_limit__nobody_gets_more_by_being_pushed_out(void **state)
{
    enum { LIMIT = 2 };
    struct mr_rate_limit *limit = mr_rate_limit_new("default", LIMIT);
    uint64_t seed = 7;
    unsigned taken = 0;

    (void)state;
    for (uint32_t n = 0; n < MILLION; n++)
        taken += take_many(limit, n, LIMIT + 1, 0);
    for (uint32_t n = 0; n < MILLION; n++)
        taken += take_at(limit, random_below(&seed, MILLION), 0);
    assert_int_equal(taken, PLACES * LIMIT);
    mr_rate_limit_destroy(&limit);
}

/* The model: a bucket each, in memory without bounds. The table never grants what the model refuses. */
static void test_rate_limit__is_never_laxer_than_a_bucket_each(void **state)
{
    enum { LIMIT = 6, CALLERS = 3 * PLACES, TOKEN_MS = MINUTE_MS / LIMIT };
    struct mr_rate_limit *limit = mr_rate_limit_new("default", LIMIT);
    int64_t *full_at_ms = calloc(CALLERS, sizeof *full_at_ms);
    uint64_t seed = 11;

    (void)state;
    assert_non_null(full_at_ms);
    for (unsigned i = 0; i < 3 * MILLION; i++) {
        uint32_t n = random_below(&seed, random_below(&seed, 4) == 0 ? CALLERS : CALLERS / 50);
        int64_t now_ms = i / 20;
        int64_t missing_ms = full_at_ms[n] > now_ms ? full_at_ms[n] - now_ms : 0;
        bool good = take_at(limit, n, now_ms);

        if (good && missing_ms + TOKEN_MS > MINUTE_MS)
            fail_test("caller %u at %lld", n, (long long)now_ms);
        if (good)
            full_at_ms[n] = now_ms + missing_ms + TOKEN_MS;
    }
    free(full_at_ms);
    mr_rate_limit_destroy(&limit);
}

/* Half as many as there are places, all at once and all at their limit: nearly nobody notices the others. */
static void test_rate_limit__many_callers_within_their_limit_are_served(void **state)
{
    enum { LIMIT = 10 };
    struct mr_rate_limit *limit = mr_rate_limit_new("default", LIMIT);
    unsigned refused = 0;

    (void)state;
    for (unsigned turn = 0; turn < LIMIT; turn++)
        for (uint32_t n = 0; n < PLACES / 2; n++)
            refused += !take_at(limit, n, 0);
    assert_in_range(refused, 0, PLACES / 2 * LIMIT / 50);
    mr_rate_limit_destroy(&limit);
}

/* Half a minute of 20,000 requests a second from a million addresses, and all the while people sign in. */
static void test_rate_limit__a_flood_locks_nobody_out(void **state)
{
    enum { LIMIT = 20, EACH_MS = 20, PEOPLE = 1000 };
    struct mr_rate_limit *limit = mr_rate_limit_new("auth", LIMIT);
    uint64_t seed = 3;
    unsigned refused = 0;

    (void)state;
    for (int64_t now_ms = 0; now_ms < 30000; now_ms++) {
        for (unsigned i = 0; i < EACH_MS; i++)
            take_at(limit, random_below(&seed, MILLION), now_ms);
        if (now_ms % (30000 / PEOPLE) == 0)
            refused += !take_at(limit, (uint32_t)(MILLION + now_ms), now_ms);
    }
    assert_in_range(refused, 0, PEOPLE / 100);
    mr_rate_limit_destroy(&limit);
}

static void test_rate_limit__destroy_takes_null(void **state)
{
    struct mr_rate_limit *limit = NULL;

    (void)state;
    mr_rate_limit_destroy(&limit);
    assert_null(limit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate_limit__a_bucket_holds_a_minute_of_tokens),
        cmocka_unit_test(test_rate_limit__tokens_come_back_evenly),
        cmocka_unit_test(test_rate_limit__being_refused_costs_nothing),
        cmocka_unit_test(test_rate_limit__the_rate_holds_for_a_day),
        cmocka_unit_test(test_rate_limit__says_what_is_left),
        cmocka_unit_test(test_rate_limit__waiting_as_told_is_enough),
        cmocka_unit_test(test_rate_limit__callers_do_not_share),
        cmocka_unit_test(test_rate_limit__a_million_addresses_take_no_memory),
        cmocka_unit_test(test_rate_limit__a_million_addresses_free_nobody),
        cmocka_unit_test(test_rate_limit__nobody_gets_more_by_being_pushed_out),
        cmocka_unit_test(test_rate_limit__is_never_laxer_than_a_bucket_each),
        cmocka_unit_test(test_rate_limit__many_callers_within_their_limit_are_served),
        cmocka_unit_test(test_rate_limit__a_flood_locks_nobody_out),
        cmocka_unit_test(test_rate_limit__destroy_takes_null),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
