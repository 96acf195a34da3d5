/*
 * Standard Webhooks: signatures, secrets, and the URLs that are taken.
 */
#include "runtime/webhook.h"

#include "proto/kind.h"
#include "tests/support/test.h"

#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define OTHER  "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

static mr_status sign(struct mr_buf *out, const char *secrets, const char *id, int64_t timestamp_s, const char *body)
{
    return mr_webhook_sign(out, mr_slice_of(secrets), mr_slice_of(id), timestamp_s, mr_slice_of(body));
}

/* The vector of the specification's own libraries. */
static void test_webhook__a_signature_is_that_of_the_standard(void **state)
{
    struct mr_buf out = {0};

    (void)state;
    assert_int_equal(sign(&out, SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, "{\"test\": 2432232314}"), MR_OK);
    assert_slice_equal(buf_slice(&out), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    mr_buf_fini(&out);
}

static void test_webhook__every_secret_signs_in_its_order(void **state)
{
    struct mr_buf both = {0};
    struct mr_buf first = {0};
    struct mr_buf second = {0};

    (void)state;
    assert_int_equal(sign(&first, SECRET, "id", 1, "body"), MR_OK);
    assert_int_equal(sign(&second, OTHER, "id", 1, "body"), MR_OK);
    assert_int_equal(sign(&both, "  " SECRET "  " OTHER " ", "id", 1, "body"), MR_OK);
    mr_buf_char(&first, ' ');
    mr_buf_slice(&first, buf_slice(&second));
    mr_buf_char(&first, '\0');
    assert_slice_equal(buf_slice(&both), first.data);
    mr_buf_fini(&both);
    mr_buf_fini(&first);
    mr_buf_fini(&second);
}

static void assert_no_secret(const char *text)
{
    struct mr_buf out = {0};

    assert_int_equal(sign(&out, text, "id", 1, "body"), MR_INVALID);
    mr_buf_fini(&out);
}

/* What is one is said by proto/kind.h, whose test has the rest. */
static void test_webhook__what_is_no_secret_signs_nothing(void **state)
{
    (void)state;
    assert_no_secret("");
    assert_no_secret("whsec_");
    assert_no_secret("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    assert_no_secret(SECRET " whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa==");
}

static void test_webhook__so_many_secrets_and_no_more(void **state)
{
    struct mr_buf secrets = {0};
    struct mr_buf out = {0};

    (void)state;
    for (int i = 0; i < MR_SECRETS_MAX; i++)
        mr_buf_text(&secrets, SECRET " ");
    assert_int_equal(mr_webhook_sign(&out, buf_slice(&secrets), MR_SLICE("id"), 1, MR_SLICE("")), MR_OK);
    mr_buf_text(&secrets, SECRET);
    assert_int_equal(mr_webhook_sign(&out, buf_slice(&secrets), MR_SLICE("id"), 1, MR_SLICE("")), MR_INVALID);
    mr_buf_fini(&secrets);
    mr_buf_fini(&out);
}

static void assert_url(const char *text, const char *origin)
{
    struct mr_buf out = {0};

    if (mr_webhook_is_url(mr_slice_of(text)) != (origin != NULL))
        fail_test("\"%s\" is %staken", text, origin != NULL ? "not " : "");
    assert_int_equal(mr_webhook_origin(text, &out), origin != NULL);
    assert_slice_equal(buf_slice(&out), origin != NULL ? origin : "");
    mr_buf_fini(&out);
}

static void test_webhook__urls(void **state)
{
    char longest[MR_URL_MAX + 2];

    (void)state;
    assert_url("https://Example.ORG/hooks/token?key=secret", "https://example.org:443");
    assert_url("http://example.org", "http://example.org:80");
    assert_url("HTTP://example.org:8080/", "http://example.org:8080");
    assert_url("http://[2001:DB8::1]:9/", "http://[2001:db8::1]:9");
    assert_url("http://192.0.2.1/", "http://192.0.2.1:80");
    assert_url("https://hooks.example.org/receipts?a=1&b=%20", "https://hooks.example.org:443");
    assert_url("https://a", "https://a:443");
    assert_url("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example:443");
    assert_url("http://a_b.internal:65535/", "http://a_b.internal:65535");
    assert_url("", NULL);
    assert_url("example.org/path", NULL);
    assert_url("/path", NULL);
    assert_url("ftp://example.org/", NULL);
    assert_url("file:///etc/passwd", NULL);
    assert_url("gopher://example.org/", NULL);
    assert_url("javascript:alert(1)", NULL);
    assert_url("http://user@example.org/", NULL);
    assert_url("http://user:password@example.org/", NULL);
    assert_url("http://:password@example.org/", NULL);
    assert_url("http://example.org/#part", NULL);
    assert_url("http://example.org/#", NULL);
    assert_url("http:/example.org/", NULL);
    assert_url("http:example.org", NULL);
    assert_url("http:/example.org/?next=http://other.example", NULL);
    assert_url("http://example.org/?next=https:///x", "http://example.org:80");
    assert_url("http://example.org/a b", NULL);
    assert_url("http://example.org/\r\nX: y", NULL);
    assert_url("http://example.org\\@other.example/", NULL);
    assert_url("http://ex\xc3\xa4mple.org/", NULL);
    assert_url("http://example.org:99999/", NULL);
    assert_url("https://", NULL);
    assert_url("https:///x", NULL);
    assert_url("//a.b/", NULL);
    assert_url("https://a b/", NULL);
    assert_url("https://a.b:0/", NULL);
    assert_url("https://a.b:/", "https://a.b:443");
    assert_url("https://a.b:8o/", NULL);
    assert_url("HTTPS//a", NULL);
    assert_url("https://[::1", NULL);
    assert_url("https://[::1]x/", NULL);
    assert_url("https://[.]/", NULL);
    assert_url("https://[::g]/", NULL);
    assert_url("https://a.b/<", NULL);
    assert_url("https://a.b/\"x", NULL);
    memset(longest, 'a', sizeof longest);
    memcpy(longest, "http://example.org/", 19);
    longest[MR_URL_MAX] = '\0';
    assert_url(longest, "http://example.org:80");
    longest[MR_URL_MAX] = 'a';
    longest[MR_URL_MAX + 1] = '\0';
    assert_url(longest, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_webhook__a_signature_is_that_of_the_standard),
        cmocka_unit_test(test_webhook__every_secret_signs_in_its_order),
        cmocka_unit_test(test_webhook__what_is_no_secret_signs_nothing),
        cmocka_unit_test(test_webhook__so_many_secrets_and_no_more),
        cmocka_unit_test(test_webhook__urls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
