/*
 * The derivation of a refresh token's heir: the same for whoever brings the same token, and for nobody else.
 */
#include "actors/grant.h"

#include <sodium.h>

#include "tests/support/test.h"

#define SECRET   "the secret of the test, long enough for anybody"
#define PREVIOUS "the secret of the test before this one, as long"

static const struct mr_slice spent = {"a spent token", 13};

static struct mr_config config_of(const char *secret, const char *previous)
{
    return (struct mr_config){.jwt_secret = secret, .jwt_secret_previous = previous};
}

static struct mr_attempt heir_of(struct mr_slice token, const char *secret)
{
    struct mr_attempt attempt = {.message = NULL};
    struct mr_config config = config_of(secret, "");

    mr_grant_inherit(&attempt, token, &config, 1000);
    return attempt;
}

/* Whether one who knows these secrets makes the heir again. */
static bool recalls(const struct mr_attempt *heir, struct mr_slice token, const char *secret, const char *previous)
{
    struct mr_attempt attempt = {.message = NULL};
    struct mr_config config = config_of(secret, previous);
    bool found = mr_grant_recall(&attempt, token, &config, heir->token_id, mr_slice_of(heir->refresh_hash));

    if (found)
        assert_string_equal(attempt.refresh_token, heir->refresh_token);
    return found;
}

/*
 * Processes of two releases serve side by side during an update. The value is of Python: key = HMAC-SHA256(secret, "millrace:
 * heir of a refresh token"), heir = base64url(HMAC-SHA256(key, id || spent)).
 */
static void test_grant__every_release_makes_the_same_heir(void **state)
{
    static const char expected[] = "OIt3odYqouoS3BzMvShYeX-vv4V4Gu0dXFXaf3uUWsY";
    static const uint8_t id[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    struct mr_config config = config_of(SECRET, "");
    struct mr_attempt attempt = {.message = NULL};
    char hash[MR_TOKEN_HASH];

    (void)state;
    mr_grant_hash(hash, mr_slice_of(expected));
    assert_true(mr_grant_recall(&attempt, spent, &config, id, mr_slice_of(hash)));
    assert_string_equal(attempt.refresh_token, expected);
    assert_string_equal(attempt.refresh_hash, hash);
    assert_memory_equal(attempt.token_id, id, sizeof id);
}

static void test_grant__an_heir_is_another_one_each_time(void **state)
{
    struct mr_attempt first = heir_of(spent, SECRET);
    struct mr_attempt second = heir_of(spent, SECRET);

    (void)state;
    assert_memory_not_equal(first.token_id, second.token_id, sizeof first.token_id);
    assert_string_not_equal(first.refresh_token, second.refresh_token);
    assert_int_equal(strlen(first.refresh_token), MR_TOKEN_TEXT - 1);
}

static void test_grant__takes_the_spent_token_and_a_secret_to_recall_one(void **state)
{
    struct mr_attempt heir = heir_of(spent, SECRET);

    (void)state;
    assert_true(recalls(&heir, spent, SECRET, ""));
    assert_true(recalls(&heir, spent, PREVIOUS, SECRET)); /* the secret has been rotated since */
    assert_false(recalls(&heir, spent, PREVIOUS, ""));
    assert_false(recalls(&heir, MR_SLICE("another token"), SECRET, ""));
    assert_false(recalls(&heir, mr_slice_of(heir.refresh_token), SECRET, PREVIOUS));
    heir.token_id[15] ^= 1;
    assert_false(recalls(&heir, spent, SECRET, PREVIOUS));
}

/* Without a previous secret none is tried: an empty key is nobody's. */
static void test_grant__an_empty_secret_recalls_nothing(void **state)
{
    struct mr_attempt forged = heir_of(spent, "");

    (void)state;
    assert_false(recalls(&forged, spent, SECRET, ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grant__every_release_makes_the_same_heir),
        cmocka_unit_test(test_grant__an_heir_is_another_one_each_time),
        cmocka_unit_test(test_grant__takes_the_spent_token_and_a_secret_to_recall_one),
        cmocka_unit_test(test_grant__an_empty_secret_recalls_nothing),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
