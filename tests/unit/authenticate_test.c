#include "gateway/authenticate.h"

#include <sodium.h>

#include "runtime/token.h"
#include "tests/support/test.h"

#define SECRET "a secret of the test, 32 bytes long"
#define PREVIOUS "the secret before that one, as long"

enum { NOW_S = 1800000000 };

static const struct mr_principal alice = {.user_id = {0xa1, 0x1c, 0xe0}, .role = MR_ROLE_USER};

static int setup(void **state)
{
    (void)state;
    return sodium_init() < 0 ? -1 : 0;
}

static void append_base64(struct mr_buf *out, const void *data, size_t len)
{
    char text[8192];

    sodium_bin2base64(text, sizeof text, data, len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    mr_buf_text(out, text);
}

/* A token of any header and claims, signed with HMAC-SHA-256 by hand, so that forgeries need no library's help. */
static struct mr_buf forge(const char *header, const char *claims, const char *secret)
{
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_state hmac;
    struct mr_buf out = {0};

    append_base64(&out, header, strlen(header));
    mr_buf_char(&out, '.');
    append_base64(&out, claims, strlen(claims));
    crypto_auth_hmacsha256_init(&hmac, (const unsigned char *)secret, strlen(secret));
    crypto_auth_hmacsha256_update(&hmac, (const unsigned char *)out.data, out.len);
    crypto_auth_hmacsha256_final(&hmac, mac);
    mr_buf_char(&out, '.');
    append_base64(&out, mac, sizeof mac);
    return out;
}

#define HEADER   "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define IDENTITY "\"sub\":\"a11ce000-0000-0000-0000-000000000000\",\"id\":\"a11ce000-0000-0000-0000-000000000000\",\"username\":\"alice\""
#define CLAIMS   "{" IDENTITY ",\"role\":\"user\",\"iss\":\"millrace\",\"iat\":1799999990,\"exp\":1800000100}"

static mr_status verify(struct mr_slice token, int64_t now_s)
{
    struct mr_principal principal = {.role = MR_ROLE_ADMIN};
    int64_t expires_s = 77;
    mr_status status = mr_token_verify(&principal, &expires_s, token, SECRET, now_s);

    if (status != MR_OK) {
        assert_int_equal(expires_s, 77);
        assert_int_equal(principal.role, MR_ROLE_ADMIN);
    }
    return status;
}

static mr_status verify_forged(const char *header, const char *claims, const char *secret)
{
    struct mr_buf token = forge(header, claims, secret);
    mr_status status = verify(buf_slice(&token), NOW_S);

    mr_buf_fini(&token);
    return status;
}

static void test_authenticate__what_is_issued_verifies(void **state)
{
    struct mr_buf token = {0};
    struct mr_principal principal;
    int64_t expires_s;

    (void)state;
    assert_int_equal(mr_token_issue(&token, &alice, MR_SLICE("alice"), SECRET, NOW_S, 60), MR_OK);
    assert_int_equal(mr_token_verify(&principal, &expires_s, buf_slice(&token), SECRET, NOW_S), MR_OK);
    assert_memory_equal(principal.user_id, alice.user_id, 16);
    assert_int_equal(principal.role, MR_ROLE_USER);
    assert_int_equal(expires_s, NOW_S + 60);
    assert_int_equal(verify(buf_slice(&token), NOW_S + 59), MR_OK);
    assert_int_equal(verify(buf_slice(&token), NOW_S + 60), MR_INVALID_TOKEN);
    mr_buf_fini(&token);
}

static void test_authenticate__a_token_names_its_session_or_none(void **state)
{
    struct mr_principal inside = {.user_id = {0xa1}, .has_session = true, .session_id = {0x5e, 0x55}};
    struct mr_principal principal = {.has_session = true};
    struct mr_buf token = {0};
    int64_t expires_s;

    (void)state;
    assert_int_equal(mr_token_issue(&token, &inside, MR_SLICE("alice"), SECRET, NOW_S, 60), MR_OK);
    assert_int_equal(mr_token_verify(&principal, &expires_s, buf_slice(&token), SECRET, NOW_S), MR_OK);
    assert_true(principal.has_session);
    assert_memory_equal(principal.session_id, inside.session_id, 16);
    token.len = 0;
    assert_int_equal(mr_token_issue(&token, &alice, MR_SLICE("alice"), SECRET, NOW_S, 60), MR_OK);
    assert_int_equal(mr_token_verify(&principal, &expires_s, buf_slice(&token), SECRET, NOW_S), MR_OK);
    assert_false(principal.has_session);
    mr_buf_fini(&token);
}

static void test_authenticate__a_token_made_by_hand_verifies(void **state)
{
    (void)state;
    assert_int_equal(verify_forged(HEADER, CLAIMS, SECRET), MR_OK);
    assert_int_equal(verify_forged(HEADER, "{" IDENTITY ",\"role\":\"user\",\"iss\":\"millrace\",\"exp\":1800000100,\"nbf\":1800000000}", SECRET), MR_OK);
}

static void test_authenticate__forged_tokens_do_not(void **state)
{
    static const struct {
        const char *header, *claims, *secret;
    } forged[] = {
        {"{\"alg\":\"none\",\"typ\":\"JWT\"}", CLAIMS, SECRET},
        {"{\"alg\":\"None\"}", CLAIMS, SECRET},
        {"{\"alg\":\"HS384\",\"typ\":\"JWT\"}", CLAIMS, SECRET},
        {"{\"alg\":\"HS512\",\"typ\":\"JWT\"}", CLAIMS, SECRET},
        {"{\"alg\":\"RS256\",\"typ\":\"JWT\"}", CLAIMS, SECRET},
        {"{\"alg\":\"ES256\",\"typ\":\"JWT\"}", CLAIMS, SECRET},
        {"{\"typ\":\"JWT\"}", CLAIMS, SECRET},
        {"{\"alg\":256}", CLAIMS, SECRET},
        {"[]", CLAIMS, SECRET},
        {"", CLAIMS, SECRET},
        {HEADER, CLAIMS, "another secret, 32 bytes long as well"},
        {HEADER, CLAIMS, ""},
        {HEADER, "{}", SECRET},
        {HEADER, "", SECRET},
        {HEADER, "[]", SECRET},
        {HEADER, "{" IDENTITY ",\"role\":\"user\",\"iss\":\"millrace\",\"exp\":1800000000}", SECRET},          /* expired this second */
        {HEADER, "{" IDENTITY ",\"role\":\"user\",\"iss\":\"millrace\",\"exp\":-1}", SECRET},
        {HEADER, "{" IDENTITY ",\"role\":\"user\",\"iss\":\"millrace\"}", SECRET},                              /* no expiry */
        {HEADER, "{" IDENTITY ",\"role\":\"user\",\"iss\":\"millrace\",\"exp\":\"1800000100\"}", SECRET},
        {HEADER, "{" IDENTITY ",\"role\":\"user\",\"iss\":\"millrace\",\"exp\":null}", SECRET},
        {HEADER, "{" IDENTITY ",\"role\":\"user\",\"iss\":\"millrace\",\"exp\":1800000100,\"nbf\":1800000001}", SECRET},
        {HEADER, "{" IDENTITY ",\"role\":\"user\",\"iss\":\"another\",\"exp\":1800000100}", SECRET},
        {HEADER, "{" IDENTITY ",\"role\":\"user\",\"exp\":1800000100}", SECRET},
        {HEADER, "{" IDENTITY ",\"iss\":\"millrace\",\"exp\":1800000100}", SECRET},                             /* no role */
        {HEADER, "{" IDENTITY ",\"role\":\"root\",\"iss\":\"millrace\",\"exp\":1800000100}", SECRET},
        {HEADER, "{\"role\":\"user\",\"iss\":\"millrace\",\"exp\":1800000100}", SECRET},                        /* no id */
        {HEADER, "{" IDENTITY ",\"role\":\"user\",\"iss\":\"millrace\",\"exp\":1800000100,\"sid\":\"alice\"}", SECRET},
        {HEADER, "{" IDENTITY ",\"role\":\"user\",\"iss\":\"millrace\",\"exp\":1800000100,\"sid\":7}", SECRET},
        {HEADER, "{\"id\":\"alice\",\"role\":\"user\",\"iss\":\"millrace\",\"exp\":1800000100}", SECRET},
    };

    (void)state;
    for (size_t i = 0; i < sizeof forged / sizeof forged[0]; i++)
        if (verify_forged(forged[i].header, forged[i].claims, forged[i].secret) != MR_INVALID_TOKEN)
            fail_test("case %zu was let in: %s %s", i, forged[i].header, forged[i].claims);
}

static void test_authenticate__a_token_without_a_signature_is_refused(void **state)
{
    static const char *const headers[] = {"{\"alg\":\"none\",\"typ\":\"JWT\"}", HEADER};

    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (int dot = 0; dot < 2; dot++) {
            struct mr_buf token = {0};

            append_base64(&token, headers[i], strlen(headers[i]));
            mr_buf_char(&token, '.');
            append_base64(&token, CLAIMS, strlen(CLAIMS));
            if (dot)
                mr_buf_char(&token, '.');
            assert_int_equal(verify(buf_slice(&token), NOW_S), MR_INVALID_TOKEN);
            mr_buf_fini(&token);
        }
}

static void test_authenticate__a_token_that_is_cut_or_changed_is_refused(void **state)
{
    struct mr_buf token = forge(HEADER, CLAIMS, SECRET);

    (void)state;
    for (size_t len = 0; len < token.len; len++)
        assert_int_equal(verify((struct mr_slice){token.data, len}, NOW_S), MR_INVALID_TOKEN);
    for (size_t i = 0; i + 1 < token.len; i++) { /* the last character carries bits that mean nothing */
        char was = token.data[i];

        token.data[i] = was == 'A' ? 'B' : 'A';
        if (verify(buf_slice(&token), NOW_S) == MR_OK)
            fail_test("with byte %zu changed it was let in", i);
        token.data[i] = was;
    }
    mr_buf_fini(&token);
}

static void test_authenticate__odd_bytes_are_refused(void **state)
{
    struct mr_buf huge = {0};

    (void)state;
    assert_int_equal(verify((struct mr_slice){"", 0}, NOW_S), MR_INVALID_TOKEN);
    assert_int_equal(verify(MR_SLICE("..."), NOW_S), MR_INVALID_TOKEN);
    assert_int_equal(verify(MR_SLICE("a.b.c"), NOW_S), MR_INVALID_TOKEN);
    assert_int_equal(verify(MR_SLICE("\xff\xfe.\x01.\x02"), NOW_S), MR_INVALID_TOKEN);
    assert_int_equal(verify(MR_SLICE("a\0b.c.d"), NOW_S), MR_INVALID_TOKEN);
    for (unsigned i = 0; i < 2 * MR_TOKEN_MAX; i++)
        mr_buf_char(&huge, i == 100 || i == 200 ? '.' : 'A');
    assert_int_equal(verify(buf_slice(&huge), NOW_S), MR_INVALID_TOKEN);
    huge.len = MR_TOKEN_MAX;
    assert_int_equal(verify(buf_slice(&huge), NOW_S), MR_INVALID_TOKEN);
    mr_buf_fini(&huge);
}

/* ---- The Authorization header and the cache ---- */

static mr_status authenticate(struct mr_token_cache *cache, const char *header, int64_t now_s, struct mr_principal *out)
{
    struct mr_http_request request = {0};

    if (header != NULL)
        request.headers[request.header_count++] = (struct mr_http_header){MR_SLICE("Authorization"), mr_slice_of(header)};
    return mr_authenticate(out, cache, &request, SECRET, PREVIOUS, now_s);
}

static void test_authenticate__takes_a_bearer_token_only(void **state)
{
    struct mr_token_cache *cache = mr_token_cache_new();
    struct mr_buf token = forge(HEADER, CLAIMS, SECRET);
    static const struct {
        const char *format;
        mr_status status;
    } cases[] = {{"Bearer %.*s", MR_OK},  {"bearer %.*s", MR_OK},    {"BEARER   %.*s \t", MR_OK},      {"Basic %.*s", MR_UNAUTHORIZED},
                 {"%.*s", MR_UNAUTHORIZED}, {"Bearer%.*s", MR_UNAUTHORIZED}, {"Bearer %.*s x", MR_INVALID_TOKEN}, {"Bearer %.0s", MR_UNAUTHORIZED}, {"Bearer", MR_UNAUTHORIZED}, {"Bearer x", MR_INVALID_TOKEN}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mr_principal principal = {0};
        struct mr_buf header = {0};

        for (const char *c = cases[i].format; *c != '\0'; c++)
            if (strncmp(c, "%.*s", 4) == 0) {
                mr_buf_slice(&header, buf_slice(&token));
                c += 3;
            } else if (strncmp(c, "%.0s", 4) == 0) {
                c += 3;
            } else {
                mr_buf_char(&header, *c);
            }
        mr_buf_char(&header, '\0');
        if (authenticate(cache, header.data, NOW_S, &principal) != cases[i].status)
            fail_test("%s", cases[i].format);
        if (cases[i].status == MR_OK)
            assert_memory_equal(principal.user_id, alice.user_id, 16);
        mr_buf_fini(&header);
    }
    assert_int_equal(authenticate(cache, NULL, NOW_S, &(struct mr_principal){0}), MR_UNAUTHORIZED);
    mr_buf_fini(&token);
    mr_token_cache_destroy(&cache);
}

static void test_authenticate__what_is_remembered_expires_all_the_same(void **state)
{
    struct mr_token_cache *cache = mr_token_cache_new();
    struct mr_buf token = forge(HEADER, CLAIMS, SECRET);
    struct mr_principal principal;
    struct mr_buf header = {0};

    (void)state;
    mr_buf_printf(&header, "Bearer %.*s", (int)token.len, token.data);
    mr_buf_char(&header, '\0');
    for (int64_t now_s = NOW_S; now_s < NOW_S + 100; now_s += 11)
        assert_int_equal(authenticate(cache, header.data, now_s, &principal), MR_OK);
    assert_int_equal(authenticate(cache, header.data, NOW_S + 99, &principal), MR_OK);
    assert_int_equal(authenticate(cache, header.data, NOW_S + 100, &principal), MR_INVALID_TOKEN);
    assert_int_equal(authenticate(cache, header.data, NOW_S + 99, &principal), MR_OK);
    mr_buf_fini(&header);
    mr_buf_fini(&token);
    mr_token_cache_destroy(&cache);
}

/* More tokens than slots: each time a user has to be the token's own. */
static void test_authenticate__the_cache_never_mixes_users_up(void **state)
{
    struct mr_token_cache *cache = mr_token_cache_new();
    enum { TOKENS = 5000 };
    static struct mr_buf headers[TOKENS];

    (void)state;
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < TOKENS; i++) {
            struct mr_principal owner = {.user_id = {(uint8_t)i, (uint8_t)(i >> 8)}, .role = i % 2 == 0 ? MR_ROLE_USER : MR_ROLE_ADMIN};
            struct mr_principal principal;

            if (round == 0) {
                mr_buf_text(&headers[i], "Bearer ");
                assert_int_equal(mr_token_issue(&headers[i], &owner, MR_SLICE("u"), SECRET, NOW_S, 60), MR_OK);
                mr_buf_char(&headers[i], '\0');
            }
            assert_int_equal(authenticate(cache, headers[i].data, NOW_S, &principal), MR_OK);
            assert_memory_equal(principal.user_id, owner.user_id, 16);
            assert_int_equal(principal.role, owner.role);
        }
    for (unsigned i = 0; i < TOKENS; i++)
        mr_buf_fini(&headers[i]);
    mr_token_cache_destroy(&cache);
    mr_token_cache_destroy(&cache);
}

static mr_status authenticate_signed(struct mr_token_cache *cache, const char *claims, const char *signed_with, const char *previous,
                                     int64_t now_s)
{
    struct mr_buf token = forge(HEADER, claims, signed_with);
    struct mr_http_request request = {.header_count = 1};
    struct mr_principal principal;
    struct mr_buf header = {0};
    mr_status status;

    mr_buf_printf(&header, "Bearer %.*s", (int)token.len, token.data);
    request.headers[0] = (struct mr_http_header){MR_SLICE("Authorization"), buf_slice(&header)};
    status = mr_authenticate(&principal, cache, &request, SECRET, previous, now_s);
    mr_buf_fini(&header);
    mr_buf_fini(&token);
    return status;
}

/* The second time from memory; its expiry holds there, too. */
static void test_authenticate__the_secret_before_still_verifies(void **state)
{
    struct mr_token_cache *cache = mr_token_cache_new();

    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        assert_int_equal(authenticate_signed(cache, CLAIMS, PREVIOUS, PREVIOUS, NOW_S), MR_OK);
        assert_int_equal(authenticate_signed(cache, CLAIMS, SECRET, PREVIOUS, NOW_S), MR_OK);
        assert_int_equal(authenticate_signed(cache, CLAIMS, "the one before that is known no more", PREVIOUS, NOW_S), MR_INVALID_TOKEN);
        assert_int_equal(authenticate_signed(cache, "{}", PREVIOUS, PREVIOUS, NOW_S), MR_INVALID_TOKEN);
    }
    assert_int_equal(authenticate_signed(cache, CLAIMS, PREVIOUS, PREVIOUS, NOW_S + 100), MR_INVALID_TOKEN);
    mr_token_cache_destroy(&cache);
}

static void test_authenticate__no_secret_before_is_no_empty_one(void **state)
{
    struct mr_token_cache *cache = mr_token_cache_new();

    (void)state;
    assert_int_equal(authenticate_signed(cache, CLAIMS, "", "", NOW_S), MR_INVALID_TOKEN);
    assert_int_equal(authenticate_signed(cache, CLAIMS, PREVIOUS, "", NOW_S), MR_INVALID_TOKEN);
    assert_int_equal(authenticate_signed(cache, CLAIMS, SECRET, "", NOW_S), MR_OK);
    mr_token_cache_destroy(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_authenticate__what_is_issued_verifies),
        cmocka_unit_test(test_authenticate__a_token_names_its_session_or_none),
        cmocka_unit_test(test_authenticate__a_token_made_by_hand_verifies),
        cmocka_unit_test(test_authenticate__forged_tokens_do_not),
        cmocka_unit_test(test_authenticate__a_token_without_a_signature_is_refused),
        cmocka_unit_test(test_authenticate__a_token_that_is_cut_or_changed_is_refused),
        cmocka_unit_test(test_authenticate__odd_bytes_are_refused),
        cmocka_unit_test(test_authenticate__takes_a_bearer_token_only),
        cmocka_unit_test(test_authenticate__what_is_remembered_expires_all_the_same),
        cmocka_unit_test(test_authenticate__the_cache_never_mixes_users_up),
        cmocka_unit_test(test_authenticate__the_secret_before_still_verifies),
        cmocka_unit_test(test_authenticate__no_secret_before_is_no_empty_one),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
