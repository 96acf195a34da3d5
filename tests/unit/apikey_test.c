#include "gateway/keys.h"

#include <stdlib.h>

#include "tests/support/test.h"

/* ---- Keys ---- */

static void test_apikey__has_one_form(void **state)
{
    static const char good[] = "mk_K7gNU3sdo-OL0wNhqoVWhr3g6s1xYv72ol_pe_Unols";
    char bad[sizeof good];

    (void)state;
    assert_true(mr_key_is_formed(MR_SLICE(good)));
    assert_false(mr_key_is_formed((struct mr_slice){good, sizeof good - 2}));
    assert_false(mr_key_is_formed(MR_SLICE("mk_K7gNU3sdo-OL0wNhqoVWhr3g6s1xYv72ol_pe_UnolsA")));
    assert_false(mr_key_is_formed(MR_SLICE("")));
    assert_false(mr_key_is_formed(MR_SLICE("mk_")));
    for (int c = 0; c < 256; c++) {
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';

        memcpy(bad, good, sizeof good);
        bad[20] = (char)c;
        assert_int_equal(mr_key_is_formed((struct mr_slice){bad, sizeof bad - 1}), letter);
    }
    assert_true(mr_key_is_meant(MR_SLICE("mk_x")));
    assert_false(mr_key_is_meant(MR_SLICE("eyJhbGciOiJIUzI1NiJ9.e30.x")));
}

/* ---- Scopes ---- */

static const struct mr_traits by_path = {
    .scopes = "jobs:enqueue|jobs:admin", .narrow = "job", .fields = (const struct mr_field[]){{.name = NULL}}};
static const struct mr_traits by_statement = {
    .scopes = "jobs:work|jobs:admin", .fields = (const struct mr_field[]){{.name = "only", .from = MR_TOKEN_ONLY}, {.name = NULL}}};
static const struct mr_traits plain = {.scopes = "products:write", .fields = (const struct mr_field[]){{.name = NULL}}};

static bool grants(const struct mr_traits *traits, const char *granted, const char *value, const char *expected)
{
    struct mr_buf only = {0};
    bool good = mr_scope_grants(traits, mr_slice_of(granted), mr_slice_of(value), &only);

    assert_int_equal(only.len, strlen(expected));
    assert_memory_equal(only.len > 0 ? only.data : "", expected, only.len);
    mr_buf_fini(&only);
    return good;
}

static void test_scope__is_compared_whole(void **state)
{
    (void)state;
    assert_true(grants(&plain, "a:b products:write c:d", "", ""));
    assert_false(grants(&plain, "products:writer products:writ xproducts:write products products:write:a", "", ""));
    assert_false(grants(&plain, "", "", ""));
    assert_true(grants(&by_path, "jobs:admin", "cleanup", ""));
    assert_true(grants(&by_path, "jobs:enqueue", "cleanup", ""));
    assert_false(grants(&by_path, "jobs:work jobs", "cleanup", ""));
}

static void test_scope__narrowed_by_the_path(void **state)
{
    (void)state;
    assert_true(grants(&by_path, "jobs:enqueue:report jobs:admin:cleanup", "cleanup", ""));
    assert_false(grants(&by_path, "jobs:enqueue:report", "cleanup", ""));
    assert_false(grants(&by_path, "jobs:enqueue:", "", ""));
    assert_false(grants(&by_path, "jobs:enqueue:cleanup", "cleanup:x", ""));
    assert_false(grants(&by_path, "jobs:enqueue:cleanup", "clean", ""));
}

static void test_scope__narrowed_by_the_statement(void **state)
{
    (void)state;
    assert_true(grants(&by_statement, "jobs:work:a x:y jobs:admin:b", "", "{\"a\",\"b\"}"));
    assert_true(grants(&by_statement, "jobs:work:a jobs:admin", "", ""));
    assert_true(grants(&by_statement, "jobs:admin jobs:work:a", "", ""));
    assert_false(grants(&by_statement, "jobs:enqueue:a", "", ""));
}

static void test_scope__of_the_map_are_known(void **state)
{
    struct mr_buf known = {0};

    (void)state;
    mr_scopes_known(&known);
    mr_buf_char(&known, '\0');
    assert_non_null(strstr(known.data, "jobs:enqueue,\"jobs:enqueue:*\""));
    assert_non_null(strstr(known.data, "jobs:work"));
    assert_non_null(strstr(known.data, "jobs:admin"));
    assert_int_equal(known.data[0], '{');
    assert_int_equal(known.data[known.len - 2], '}');
    mr_buf_fini(&known);
}

/* ---- What the gateway remembers ---- */

static void test_keys__are_known_until_their_end(void **state)
{
    struct mr_key_cache *cache = mr_key_cache_new();
    uint8_t id[16] = {7};
    uint8_t one[MR_KEY_HASH];
    uint8_t two[MR_KEY_HASH];
    uint8_t beside[MR_KEY_HASH];
    const struct mr_key *key;

    (void)state;
    mr_key_hash(one, MR_SLICE("mk_one"));
    mr_key_hash(two, MR_SLICE("mk_two"));
    memcpy(beside, one, sizeof beside);
    beside[31] ^= 1; /* the same slot */
    assert_null(mr_key_cache_find(cache, one, 100));
    assert_int_equal(mr_key_cache_keep(cache, one, id, MR_SLICE("jobs:admin a:b"), 4100), MR_OK);
    key = mr_key_cache_find(cache, one, 4099);
    assert_non_null(key);
    assert_memory_equal(key->id, id, sizeof id);
    assert_string_equal(key->scopes, "jobs:admin a:b");
    assert_null(mr_key_cache_find(cache, one, 4100));
    assert_null(mr_key_cache_find(cache, two, 100));
    assert_null(mr_key_cache_find(cache, beside, 100));
    assert_int_equal(mr_key_cache_keep(cache, beside, id, MR_SLICE("c:d"), 4100), MR_OK);
    assert_null(mr_key_cache_find(cache, one, 100));
    assert_string_equal(mr_key_cache_find(cache, beside, 100)->scopes, "c:d");
    assert_true(mr_key_cache_knew(cache, beside)); /* also when its time is over */
    assert_null(mr_key_cache_find(cache, beside, 4100));
    mr_key_cache_drop(cache, one); /* another's slot */
    assert_true(mr_key_cache_knew(cache, beside));
    mr_key_cache_drop(cache, beside);
    assert_false(mr_key_cache_knew(cache, beside));
    assert_null(mr_key_cache_find(cache, beside, 100));
    mr_key_cache_destroy(&cache);
    mr_key_cache_destroy(&cache);
}

/* It outlives the bytes that it was made of. */
static void test_held__has_bytes_of_its_own(void **state)
{
    static const char head[] = "POST /v1/jobs/cleanup/runs?a=b HTTP/1.1\r\nHost: x\r\nEmpty:\r\nContent-Length: 4\r\n\r\n";
    char *bytes = strdup(head);
    char *content = strdup("body");
    struct mr_http_request request;
    struct mr_slice value;
    struct held *held;

    (void)state;
    assert_int_equal(mr_http_parse(&request, bytes, strlen(bytes)), MR_OK);
    held = held_new(&request, mr_slice_of(content));
    memset(bytes, 'x', strlen(bytes));
    memset(content, 'x', 4);
    free(bytes);
    free(content);
    assert_true(mr_slice_is(held->request.path, "/v1/jobs/cleanup/runs"));
    assert_true(mr_slice_is(held->request.query, "a=b"));
    assert_true(mr_http_header(&held->request, "host", &value) && mr_slice_is(value, "x"));
    assert_true(mr_http_header(&held->request, "empty", &value) && value.len == 0);
    assert_true(mr_slice_is(held->body, "body"));
    assert_int_equal(held->request.content_length, 4);
    assert_true(held->size > strlen(head));
    free(held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_apikey__has_one_form),
        cmocka_unit_test(test_scope__is_compared_whole),
        cmocka_unit_test(test_scope__narrowed_by_the_path),
        cmocka_unit_test(test_scope__narrowed_by_the_statement),
        cmocka_unit_test(test_scope__of_the_map_are_known),
        cmocka_unit_test(test_keys__are_known_until_their_end),
        cmocka_unit_test(test_held__has_bytes_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
