/*
 * What a token has to say, claim by claim (RFC 7519, 4). All of these are signed as they should be.
 */
#include "runtime/token.h"

#include <sodium.h>

#include "tests/support/test.h"

#define SECRET "a secret of the test, 32 bytes long"

enum { NOW_S = 1800000000 };

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

static mr_status verify(const char *head, struct mr_slice claims, struct mr_principal *principal, int64_t *expires_s)
{
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_state hmac;
    struct mr_buf token = {0};
    mr_status status;

    append_base64(&token, head, strlen(head));
    mr_buf_char(&token, '.');
    append_base64(&token, claims.data, claims.len);
    crypto_auth_hmacsha256_init(&hmac, (const unsigned char *)SECRET, strlen(SECRET));
    crypto_auth_hmacsha256_update(&hmac, (const unsigned char *)token.data, token.len);
    crypto_auth_hmacsha256_final(&hmac, mac);
    mr_buf_char(&token, '.');
    append_base64(&token, mac, sizeof mac);
    status = mr_token_verify(principal, expires_s, buf_slice(&token), SECRET, NOW_S);
    mr_buf_fini(&token);
    return status;
}

#define HEAD "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define ID   "a11ce000-0000-0000-0000-000000000000"

/* The claims that a token has to have, by name, so that a case can change one, add one or leave one out. */
static const struct {
    const char *name, *value;
} whole[] = {{"sub", "\"" ID "\""},         {"id", "\"" ID "\""},  {"username", "\"alice\""}, {"role", "\"user\""},
             {"iss", "\"millrace\""}, {"iat", "1799999990"}, {"exp", "1800000100"}};

/* `value` NULL: left out. A name that is not among them is added. */
static struct mr_buf claims_with(const char *name, const char *value)
{
    struct mr_buf out = {0};
    bool found = false;

    mr_buf_char(&out, '{');
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        bool is = strcmp(whole[i].name, name) == 0;
        const char *text = is ? value : whole[i].value;

        found = found || is;
        if (text != NULL)
            mr_buf_printf(&out, "%s\"%s\":%s", out.len > 1 ? "," : "", whole[i].name, text);
    }
    if (!found && value != NULL)
        mr_buf_printf(&out, ",\"%s\":%s", name, value);
    mr_buf_char(&out, '}');
    return out;
}

static const struct {
    const char *claim, *value;
    bool good;
    int64_t expires_s; /* 0: 1800000100 */
} cases[] = {
    {"", NULL, true, 0},
    /* exp: the time on or after which it is no more (4.1.4). */
    {"exp", NULL, false, 0},
    {"exp", "1800000001", true, 1800000001},
    {"exp", "1800000000", false, 0},
    {"exp", "1799999999", false, 0},
    {"exp", "1800000000.5", true, 1800000001},
    {"exp", "1800000000.0", false, 0},
    {"exp", "1799999999.999", false, 0},
    {"exp", "1800000100.25", true, 1800000101},
    {"exp", "1.8000001e9", true, 1800000100},
    {"exp", "1.8e9", false, 0},
    {"exp", "2e9", true, 2000000000},
    {"exp", "9223372036854775807", true, INT64_MAX},
    {"exp", "99999999999999999999", false, 0}, /* the library has no room for it */
    {"exp", "1e300", true, INT64_MAX},
    {"exp", "-99999999999999999999", false, 0},
    {"exp", "-1e300", false, 0},
    {"exp", "0", false, 0},
    {"exp", "-1", false, 0},
    {"exp", "\"1800000100\"", false, 0},
    {"exp", "\"\"", false, 0},
    {"exp", "null", false, 0},
    {"exp", "true", false, 0},
    {"exp", "[1800000100]", false, 0},
    {"exp", "{\"exp\":1800000100}", false, 0},
    /* nbf: the time before which it is not yet (4.1.5). */
    {"nbf", "1800000000", true, 0},
    {"nbf", "1799999999", true, 0},
    {"nbf", "1800000001", false, 0},
    {"nbf", "1799999999.5", true, 0},
    {"nbf", "1800000000.0", true, 0},
    {"nbf", "1800000000.5", false, 0},
    {"nbf", "1800000001.5", false, 0},
    {"nbf", "1.8e9", true, 0},
    {"nbf", "1.9e9", false, 0},
    {"nbf", "1e300", false, 0},
    {"nbf", "99999999999999999999", false, 0},
    {"nbf", "-99999999999999999999", false, 0},
    {"nbf", "0", true, 0},
    {"nbf", "-5", true, 0},
    {"nbf", "\"1799999999\"", false, 0},
    {"nbf", "\"1800000001\"", false, 0},
    {"nbf", "\"soon\"", false, 0},
    {"nbf", "null", false, 0},
    {"nbf", "false", false, 0},
    {"nbf", "[]", false, 0},
    {"nbf", "{}", false, 0},
    /* iat: says when, and decides nothing (4.1.6). */
    {"iat", NULL, true, 0},
    {"iat", "1799999990.75", true, 0},
    {"iat", "1800000050", true, 0},
    {"iat", "\"1799999990\"", false, 0},
    {"iat", "null", false, 0},
    {"iat", "[]", false, 0},
    {"iat", "true", false, 0},
    /* iss, sub, aud, jti (4.1.1 to 4.1.3, 4.1.7). */
    {"iss", NULL, false, 0},
    {"iss", "\"Millrace\"", false, 0},
    {"iss", "\"millrace \"", false, 0},
    {"iss", "\"\"", false, 0},
    {"iss", "[\"millrace\"]", false, 0},
    {"iss", "7", false, 0},
    {"iss", "null", false, 0},
    {"iss", "{}", false, 0},
    {"sub", NULL, true, 0},
    {"sub", "7", false, 0},
    {"sub", "null", false, 0},
    {"sub", "[\"" ID "\"]", false, 0},
    {"aud", "\"millrace\"", false, 0},
    {"aud", "[]", false, 0},
    {"aud", "null", false, 0},
    {"jti", "\"one\"", true, 0},
    {"jti", "1", false, 0},
    /* Ours. */
    {"username", NULL, true, 0},
    {"username", "null", false, 0},
    {"username", "7", false, 0},
    {"id", NULL, false, 0},
    {"id", "\"\"", false, 0},
    {"id", "\"alice\"", false, 0},
    {"id", "\"" ID "0\"", false, 0},
    {"id", "\"" ID " \"", false, 0},
    {"id", "7", false, 0},
    {"id", "null", false, 0},
    {"id", "[\"" ID "\"]", false, 0},
    {"role", NULL, false, 0},
    {"role", "\"admin\"", true, 0},
    {"role", "\"Admin\"", false, 0},
    {"role", "\"root\"", false, 0},
    {"role", "\"\"", false, 0},
    {"role", "[\"admin\"]", false, 0},
    {"role", "1", false, 0},
    {"role", "null", false, 0},
    {"sid", "\"5e550000-0000-0000-0000-000000000000\"", true, 0},
    {"sid", "\"\"", false, 0},
    {"sid", "\"x\"", false, 0},
    {"sid", "null", false, 0},
    {"sid", "7", false, 0},
    {"sid", "false", false, 0},
    {"sid", "[\"5e550000-0000-0000-0000-000000000000\"]", false, 0},
    /* What is not known is ignored (4), whatever it is; but no name stands there twice. */
    {"x", "{\"y\":[1,null,true,\"z\"]}", true, 0},
    {"x", "1.5e-7", true, 0},
    {"x", "1,\"y\":2,\"x\":1", false, 0},
    {"x", "{\"y\":1,\"y\":1}", false, 0},
    {"exp", "1,\"exp\":1800000100", false, 0},
    {"exp", "1800000100,\"exp\":1800000100", false, 0},
    {"x", "1,\"nbf\":1,\"nbf\":1900000000", false, 0},
    {"role", "\"user\",\"role\":\"admin\"", false, 0},
    {"role", "\"user\",\"\\u0072ole\":\"admin\"", false, 0},
    {"id", "\"" ID "\",\"id\":\"" ID "\"", false, 0},
    {"iss", "\"another\",\"iss\":\"millrace\"", false, 0},
};

static void test_token__claim_by_claim(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mr_buf claims = claims_with(cases[i].claim, cases[i].value);
        struct mr_principal principal = {.role = MR_ROLE_COUNT};
        int64_t expires_s = 77;
        bool good = verify(HEAD, buf_slice(&claims), &principal, &expires_s) == MR_OK;

        if (good != cases[i].good)
            fail_test("row %zu: %.*s", i, (int)claims.len, claims.data);
        if (!good && (expires_s != 77 || principal.role != MR_ROLE_COUNT))
            fail_test("row %zu: something was written for %.*s", i, (int)claims.len, claims.data);
        if (good && expires_s != (cases[i].expires_s != 0 ? cases[i].expires_s : 1800000100))
            fail_test("row %zu: %.*s ends at %lld", i, (int)claims.len, claims.data, (long long)expires_s);
        mr_buf_fini(&claims);
    }
}

static void test_token__role_and_session_are_those_of_the_claims(void **state)
{
    struct mr_buf claims = claims_with("role", "\"admin\",\"sid\":\"5e550000-0000-0000-0000-000000000000\"");
    struct mr_principal principal = {0};
    int64_t expires_s;

    (void)state;
    assert_int_equal(verify(HEAD, buf_slice(&claims), &principal, &expires_s), MR_OK);
    assert_int_equal(principal.role, MR_ROLE_ADMIN);
    assert_true(principal.has_session);
    assert_memory_equal(principal.session_id, "\x5e\x55\0\0", 4);
    assert_memory_equal(principal.user_id, "\xa1\x1c\xe0\0", 4);
    mr_buf_fini(&claims);
}

static void test_token__head_by_head(void **state)
{
    static const struct {
        const char *head;
        bool good;
    } heads[] = {
        {"{\"alg\":\"HS256\"}", true},
        {"{\"alg\":\"HS256\",\"typ\":\"JWT\"}", true},
        {"{\"alg\":\"HS256\",\"kid\":\"2027\",\"x\":[1]}", true},
        {"{\"alg\":\"hs256\"}", false},
        {"{\"alg\":\"HS256 \"}", false},
        {"{\"alg\":\"HS512\"}", false},
        {"{\"alg\":\"none\"}", false},
        {"{\"alg\":[\"HS256\"]}", false},
        {"{\"alg\":null}", false},
        {"{\"alg\":\"none\",\"alg\":\"HS256\"}", false},
        {"{\"alg\":\"HS256\",\"alg\":\"HS256\"}", false},
        {"{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}", false}, /* RFC 7515, 4.1.11 */
        {"{\"alg\":\"HS256\",\"crit\":[]}", false},
        {"{\"alg\":\"HS256\",\"b64\":false,\"crit\":[\"b64\"]}", false},
        {"{\"alg\":\"HS256\"} ", true},
        {"{\"alg\":\"HS256\"}x", false},
        {"{\"alg\":\"HS256\"", false},
    };
    struct mr_buf claims = claims_with("", NULL);

    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        struct mr_principal principal;
        int64_t expires_s;

        if ((verify(heads[i].head, buf_slice(&claims), &principal, &expires_s) == MR_OK) != heads[i].good)
            fail_test("%s", heads[i].head);
    }
    mr_buf_fini(&claims);
}

/* The claims are one JSON object and nothing else: what the library reads past or swallows is amiss. */
static void test_token__claims_are_strict_json(void **state)
{
    struct mr_buf claims = claims_with("", NULL);
    struct mr_principal principal;
    int64_t expires_s;

    (void)state;
    mr_buf_char(&claims, '\0');
    assert_int_not_equal(verify(HEAD, buf_slice(&claims), &principal, &expires_s), MR_OK);
    claims.data[claims.len - 1] = ' ';
    assert_int_equal(verify(HEAD, buf_slice(&claims), &principal, &expires_s), MR_OK);
    mr_buf_text(&claims, "{}");
    assert_int_not_equal(verify(HEAD, buf_slice(&claims), &principal, &expires_s), MR_OK);
    mr_buf_fini(&claims);
    claims = claims_with("exp", "1800000100?,\"x\":1");
    *(char *)memchr(claims.data, '?', claims.len) = '\0';
    assert_int_not_equal(verify(HEAD, buf_slice(&claims), &principal, &expires_s), MR_OK);
    mr_buf_fini(&claims);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token__claim_by_claim),
        cmocka_unit_test(test_token__role_and_session_are_those_of_the_claims),
        cmocka_unit_test(test_token__head_by_head),
        cmocka_unit_test(test_token__claims_are_strict_json),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
