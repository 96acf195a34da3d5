#include "actors/password.h"

#include <sodium.h>
#include <time.h>

#include "tests/support/test.h"

static int setup(void **state)
{
    (void)state;
    return sodium_init() < 0 ? -1 : 0;
}

static void test_password__a_hash_matches_its_password_only(void **state)
{
    char hash[MR_PASSWORD_HASH];

    (void)state;
    assert_int_equal(mr_password_hash(hash, MR_SLICE("correct horse")), MR_OK);
    assert_true(mr_password_matches(mr_slice_of(hash), MR_SLICE("correct horse")));
    assert_false(mr_password_matches(mr_slice_of(hash), MR_SLICE("correct horsf")));
    assert_false(mr_password_matches(mr_slice_of(hash), MR_SLICE("correct hors")));
    assert_false(mr_password_matches(mr_slice_of(hash), (struct mr_slice){"", 0}));
}

static void test_password__a_hash_tells_its_parameters_and_differs_each_time(void **state)
{
    char a[MR_PASSWORD_HASH];
    char b[MR_PASSWORD_HASH];

    (void)state;
    assert_int_equal(mr_password_hash(a, MR_SLICE("same")), MR_OK);
    assert_int_equal(mr_password_hash(b, MR_SLICE("same")), MR_OK);
    assert_string_not_equal(a, b);
    assert_int_equal(strncmp(a, "$argon2id$v=19$m=19456,t=2,p=1$", 31), 0);
}

/* bcrypt would cut at 72 bytes. */
static void test_password__every_byte_of_a_long_password_counts(void **state)
{
    char hash[MR_PASSWORD_HASH];
    char password[400];

    (void)state;
    memset(password, 'p', sizeof password);
    assert_int_equal(mr_password_hash(hash, (struct mr_slice){password, sizeof password}), MR_OK);
    password[399] = 'q';
    assert_false(mr_password_matches(mr_slice_of(hash), (struct mr_slice){password, sizeof password}));
    password[399] = 'p';
    assert_true(mr_password_matches(mr_slice_of(hash), (struct mr_slice){password, sizeof password}));
}

static void test_password__an_unknown_user_or_a_broken_hash_never_matches(void **state)
{
    static const char *const hashes[] = {"", "x", "$argon2id$v=19$m=19456,t=2,p=1$", "plain text"};
    char long_one[2 * MR_PASSWORD_HASH];

    (void)state;
    for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++)
        assert_false(mr_password_matches(mr_slice_of(hashes[i]), MR_SLICE("plain text")));
    memset(long_one, '$', sizeof long_one);
    assert_false(mr_password_matches((struct mr_slice){long_one, sizeof long_one}, MR_SLICE("x")));
}

static void test_password__a_hash_of_less_is_outdated(void **state)
{
    static const char *const outdated[] = {"$argon2id$v=19$m=19455,t=2,p=1$x$y", "$argon2id$v=19$m=19456,t=1,p=1$x$y", "$argon2id$v=19$m=8,t=9,p=1$x$y",
                                           "$argon2i$v=19$m=19456,t=3,p=1$x$y", "$2b$12$x", ""};
    static const char *const good[] = {"$argon2id$v=19$m=19456,t=2,p=1$x$y", "$argon2id$v=19$m=65536,t=2,p=1$x$y", "$argon2id$v=19$m=19456,t=3,p=1$x$y"};
    char hash[MR_PASSWORD_HASH];

    (void)state;
    for (size_t i = 0; i < sizeof outdated / sizeof outdated[0]; i++)
        assert_true(mr_password_is_outdated(mr_slice_of(outdated[i])));
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_false(mr_password_is_outdated(mr_slice_of(good[i])));
    assert_int_equal(mr_password_hash(hash, MR_SLICE("x")), MR_OK);
    assert_false(mr_password_is_outdated(mr_slice_of(hash)));
}

/* Of the processor, which is the thread's own however busy the machine is: hashing waits for nothing. */
static int64_t cpu_us(void)
{
    struct timespec at;

    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at), 0);
    return (int64_t)at.tv_sec * 1000000 + at.tv_nsec / 1000;
}

static int64_t cost_us(struct mr_slice hash)
{
    int64_t least = INT64_MAX;

    for (int i = 0; i < 3; i++) {
        int64_t began = cpu_us();
        int64_t took;

        (void)mr_password_matches(hash, MR_SLICE("some password"));
        took = cpu_us() - began;
        if (took < least)
            least = took;
    }
    return least;
}

/* A skipped hash would take next to nothing. */
static void test_password__an_unknown_user_costs_as_much(void **state)
{
    char hash[MR_PASSWORD_HASH];

    (void)state;
    assert_int_equal(mr_password_hash(hash, MR_SLICE("whatever")), MR_OK);
    assert_true(cost_us((struct mr_slice){"", 0}) * 2 >= cost_us(mr_slice_of(hash)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_password__a_hash_matches_its_password_only),
        cmocka_unit_test(test_password__a_hash_tells_its_parameters_and_differs_each_time),
        cmocka_unit_test(test_password__every_byte_of_a_long_password_counts),
        cmocka_unit_test(test_password__an_unknown_user_or_a_broken_hash_never_matches),
        cmocka_unit_test(test_password__a_hash_of_less_is_outdated),
        cmocka_unit_test(test_password__an_unknown_user_costs_as_much),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
