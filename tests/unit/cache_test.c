#include "gateway/cache.h"

#include "tests/support/test.h"

static void keep(struct mr_cache *cache, const char *key, const char *body, int64_t until_ms)
{
    mr_cache_keep(cache, cache->generation, MR_OP_profile_get, mr_slice_of(key), mr_slice_of(body), until_ms);
}

static const char *found(const struct mr_cache *cache, const char *key, int64_t now_ms)
{
    static char text[128];
    const struct mr_cached *cached = mr_cache_find(cache, MR_OP_profile_get, mr_slice_of(key), now_ms);

    snprintf(text, sizeof text, "%.*s", cached != NULL ? (int)cached->body.len : 0, cached != NULL ? cached->body.data : "");
    return text;
}

static void test_cache__keeps_an_answer_until_its_time_is_over(void **state)
{
    static struct mr_cache cache;

    (void)state;
    keep(&cache, "LOW", "low", 1000);
    assert_string_equal(found(&cache, "LOW", 999), "low");
    assert_string_equal(found(&cache, "LOW", 1000), "");
    assert_string_equal(found(&cache, "LO", 0), "");
    assert_null(mr_cache_find(&cache, MR_OP_job_list, MR_SLICE("LOW"), 0));
    mr_cache_drop(&cache);
    assert_string_equal(found(&cache, "LOW", 0), "");
}

/* A key that does not fit is not kept, and never in the name of its beginning. */
static void test_cache__a_long_key_is_nobody_elses(void **state)
{
    static struct mr_cache cache;
    char key[MR_CACHE_KEY + 2] = {0};

    (void)state;
    memset(key, 'x', MR_CACHE_KEY);
    keep(&cache, key, "long", 1000);
    assert_string_equal(found(&cache, key, 0), "");
    key[MR_CACHE_KEY - 1] = '\0';
    assert_string_equal(found(&cache, key, 0), "");
    keep(&cache, key, "fits", 1000);
    assert_string_equal(found(&cache, key, 0), "fits");
    key[MR_CACHE_KEY - 1] = 'x';
    assert_string_equal(found(&cache, key, 0), "");
    mr_cache_drop(&cache);
}

static void test_cache__what_was_dropped_meanwhile_is_not_kept(void **state)
{
    static struct mr_cache cache;
    uint64_t before = cache.generation;

    (void)state;
    mr_cache_drop(&cache);
    mr_cache_keep(&cache, before, MR_OP_profile_get, MR_SLICE("LOW"), MR_SLICE("old"), 1000);
    assert_string_equal(found(&cache, "LOW", 0), "");
}

static void test_cache__is_bounded(void **state)
{
    static struct mr_cache cache;

    (void)state;
    for (int i = 0; i < 2 * MR_CACHE_ENTRIES; i++) {
        char key[16];

        snprintf(key, sizeof key, "K%d", i);
        keep(&cache, key, key, 1000 + i);
    }
    assert_string_equal(found(&cache, "K0", 0), "");
    assert_string_equal(found(&cache, "K127", 0), "K127");
    mr_cache_drop(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cache__keeps_an_answer_until_its_time_is_over),
        cmocka_unit_test(test_cache__a_long_key_is_nobody_elses),
        cmocka_unit_test(test_cache__what_was_dropped_meanwhile_is_not_kept),
        cmocka_unit_test(test_cache__is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
