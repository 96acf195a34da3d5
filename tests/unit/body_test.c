#include "http/body.h"

#include "tests/support/test.h"

static struct mr_http_body chunked(void)
{
    struct mr_http_request request = {.chunked = true};
    struct mr_http_body body;

    mr_http_body_init(&body, &request);
    return body;
}

/* Reads `text` in steps of `step` bytes, content taken at most `most` bytes at a time. Returns the bytes used. */
static enum mr_http_progress read_in_steps(struct mr_slice text, size_t step, size_t most, struct mr_buf *content, size_t *used)
{
    struct mr_http_body body = chunked();
    enum mr_http_progress progress = MR_HTTP_MORE;
    size_t here = 0;

    *used = 0;
    while (progress == MR_HTTP_MORE) {
        struct mr_slice piece;
        size_t framing = 0;

        progress = mr_http_body_next(&body, text.data + *used, here - *used, &framing, &piece);
        *used += framing;
        if (piece.len > most)
            piece.len = most;
        if (progress == MR_HTTP_MORE && piece.len > 0) {
            mr_buf_slice(content, piece);
            mr_http_body_took(&body, piece.len);
            *used += piece.len;
        } else if (progress == MR_HTTP_MORE) {
            if (here == text.len)
                break;
            here = here + step < text.len ? here + step : text.len;
        }
    }
    return progress;
}

/* The same whichever way the bytes come and are taken. */
static void check(const char *text, enum mr_http_progress wanted, const char *content, size_t rest)
{
    for (size_t step = 1; step <= 64; step = step * 2 + 1)
        for (size_t most = 1; most <= 64; most *= 8) {
            struct mr_buf got = {0};
            size_t used = 0;
            enum mr_http_progress progress = read_in_steps(mr_slice_of(text), step, most, &got, &used);

            if (progress != wanted)
                fail_test("%s: %d", text, (int)progress);
            if (wanted == MR_HTTP_COMPLETE) {
                assert_slice_equal(buf_slice(&got), content);
                assert_int_equal(strlen(text) - used, rest);
            }
            mr_buf_fini(&got);
        }
}

static void test_body__chunks(void **state)
{
    (void)state;
    check("0\r\n\r\n", MR_HTTP_COMPLETE, "", 0);
    check("5\r\nhello\r\n0\r\n\r\n", MR_HTTP_COMPLETE, "hello", 0);
    check("5\r\nhello\r\n1\r\n \r\n00A\r\nwide world\r\n0000\r\n\r\nGET / HTTP/1.1", MR_HTTP_COMPLETE, "hello wide world", 14);
    check("2\r\n\r\n\r\n0\r\n\r\n", MR_HTTP_COMPLETE, "\r\n", 0);
    check("a\r\n0123456789\r\n0\r\n\r\n", MR_HTTP_COMPLETE, "0123456789", 0);
}

static void test_body__what_is_read_over(void **state)
{
    (void)state;
    check("5;name=value\r\nhello\r\n0;last\r\n\r\n", MR_HTTP_COMPLETE, "hello", 0);
    check("5;a=\"b; c\"\r\nhello\r\n0\r\nTrailer: x\r\nOther:\r\n\r\nrest", MR_HTTP_COMPLETE, "hello", 4);
}

/* RFC 9112, 7.1. */
static void test_body__what_is_refused(void **state)
{
    static const char *const bad[] = {
        "\r\n", " 5\r\n", "5 \r\n", "5\t\r\n", "-5\r\n", "+5\r\n", "0x5\r\n", "g\r\n", ";a\r\n", "5\n", "5\r5", "5 ;a\r\nhello",
        "100000000\r\n", "ffffffffffffffff\r\n", "5;a\nhello", "5;a\x01\r\n", "5;a\x7f\r\n", "5\r\nhello0\r\n", "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r\r\n", "0\r\n\n", "0\r\n\rX", "0\r\nno colon\r\n\r\n", "0\r\n: v\r\n\r\n", "0\r\nA : v\r\n\r\n", "0\r\n A: v\r\n\r\n",
        "0\r\nA: v\n\r\n", "0\r\nA: v\r\rX", "0\r\nA: \x01\r\n\r\n", "0\r\nGET / HTTP/1.1\r\n\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        check(bad[i], MR_HTTP_REFUSED, NULL, 0);
}

static void test_body__what_is_not_over(void **state)
{
    static const char *const parts[] = {"", "5", "5\r", "5\r\n", "5\r\nhell", "5\r\nhello", "5\r\nhello\r\n", "0\r\n", "0\r\n\r", "0\r\nA: v\r\n"};

    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        check(parts[i], MR_HTTP_MORE, NULL, 0);
}

static void test_body__what_is_read_over_is_bounded(void **state)
{
    struct mr_buf text = {0};
    struct mr_buf content = {0};
    size_t used;

    (void)state;
    for (int i = 0; i < 10; i++) { /* zeros in front, within one line */
        mr_buf_clear(&text, SIZE_MAX);
        for (int zeros = 0; zeros < MR_HTTP_CHUNK_LINE - 8 + i; zeros++)
            mr_buf_char(&text, '0');
        mr_buf_text(&text, "\r\n\r\n");
        assert_int_equal(read_in_steps(buf_slice(&text), 64, 64, &content, &used), i <= 7 ? MR_HTTP_COMPLETE : MR_HTTP_REFUSED);
    }
    mr_buf_clear(&text, SIZE_MAX);
    for (int i = 0; i < 100; i++) /* extensions, over all chunks */
        mr_buf_printf(&text, "1;%0200d\r\nx\r\n", i);
    mr_buf_text(&text, "0\r\n\r\n");
    assert_int_equal(read_in_steps(buf_slice(&text), 64, 64, &content, &used), MR_HTTP_REFUSED);
    mr_buf_clear(&text, SIZE_MAX);
    mr_buf_text(&text, "0\r\n");
    for (int i = 0; i < 2000; i++) /* trailers */
        mr_buf_printf(&text, "X-%d: v\r\n", i);
    mr_buf_text(&text, "\r\n");
    assert_int_equal(read_in_steps(buf_slice(&text), 64, 64, &content, &used), MR_HTTP_REFUSED);
    mr_buf_fini(&text);
    mr_buf_fini(&content);
}

static void test_body__by_length(void **state)
{
    struct mr_http_request request = {.has_length = true, .content_length = 5};
    struct mr_http_body body;
    struct mr_slice piece;
    size_t framing = 9;

    (void)state;
    mr_http_body_init(&body, &request);
    assert_int_equal(mr_http_body_next(&body, "hel", 3, &framing, &piece), MR_HTTP_MORE);
    assert_int_equal(framing, 0);
    assert_int_equal(piece.len, 3);
    mr_http_body_took(&body, 3);
    assert_int_equal(mr_http_body_next(&body, "lo and more", 11, &framing, &piece), MR_HTTP_MORE);
    assert_int_equal(piece.len, 2);
    mr_http_body_took(&body, 2);
    assert_int_equal(mr_http_body_next(&body, " and more", 9, &framing, &piece), MR_HTTP_COMPLETE);
    assert_int_equal(framing, 0);
    request.content_length = 0;
    mr_http_body_init(&body, &request);
    assert_int_equal(mr_http_body_next(&body, "x", 1, &framing, &piece), MR_HTTP_COMPLETE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body__chunks),
        cmocka_unit_test(test_body__what_is_read_over),
        cmocka_unit_test(test_body__what_is_refused),
        cmocka_unit_test(test_body__what_is_not_over),
        cmocka_unit_test(test_body__what_is_read_over_is_bounded),
        cmocka_unit_test(test_body__by_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
