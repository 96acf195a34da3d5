#include "http/grammar.h"
#include "http/head.h"
#include "http/target.h"

#include "tests/support/test.h"

#define GOOD "GET /v1/tasks?page=2 HTTP/1.1\r\nHost: localhost\r\nX-One: 1\r\n\r\n"

static enum mr_http_progress scan_all(struct mr_slice text, size_t *head_len, mr_status *fault)
{
    struct mr_http_scan scan = {0};

    return mr_http_scan(&scan, text.data, text.len, head_len, fault);
}

static mr_status parse(struct mr_http_request *out, const char *head)
{
    return mr_http_parse(out, head, strlen(head));
}

static void test_head__a_head_ends_at_the_empty_line(void **state)
{
    size_t head_len = 0;
    mr_status fault;

    (void)state;
    assert_int_equal(scan_all(MR_SLICE(GOOD), &head_len, &fault), MR_HTTP_COMPLETE);
    assert_int_equal(head_len, strlen(GOOD));
    assert_int_equal(scan_all(MR_SLICE(GOOD "body and more"), &head_len, &fault), MR_HTTP_COMPLETE);
    assert_int_equal(head_len, strlen(GOOD));
}

/* The answer does not depend on how the bytes came in: for each split in two, and one by one. */
static void check_every_split(struct mr_slice text)
{
    size_t whole_len = 0;
    mr_status whole_fault = MR_OK;
    enum mr_http_progress whole = scan_all(text, &whole_len, &whole_fault);

    for (size_t cut = 0; cut <= text.len; cut++) {
        struct mr_http_scan scan = {0};
        size_t head_len = 0;
        mr_status fault = MR_OK;
        enum mr_http_progress progress = mr_http_scan(&scan, text.data, cut, &head_len, &fault);

        if (progress == MR_HTTP_MORE)
            progress = mr_http_scan(&scan, text.data, text.len, &head_len, &fault);
        assert_int_equal(progress, whole);
        assert_int_equal(head_len, whole_len);
        if (whole == MR_HTTP_REFUSED)
            assert_int_equal(fault, whole_fault);
    }
}

static void test_head__a_head_in_pieces_is_the_same_head(void **state)
{
    static const char *const texts[] = {GOOD, GOOD "rest", "\r\n" GOOD, "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\nHost: a\r\n\r\n",
                                        "GET / HTTP/1.1\r\nHost: a\n\r\n", "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", "\r\n\r\n" GOOD, "\n", ""};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        check_every_split(mr_slice_of(texts[i]));
    check_every_split(MR_SLICE("GET / HTTP/1.1\r\nA: b\0c\r\n\r\n"));
}

static void test_head__one_empty_line_before_a_request_is_let_pass(void **state)
{
    struct mr_http_request request;
    size_t head_len = 0;
    mr_status fault;

    (void)state;
    assert_int_equal(scan_all(MR_SLICE("\r\n" GOOD), &head_len, &fault), MR_HTTP_COMPLETE);
    assert_int_equal(head_len, strlen(GOOD) + 2);
    assert_int_equal(parse(&request, "\r\n" GOOD), MR_OK);
    assert_slice_equal(request.path, "/v1/tasks");
    assert_int_equal(scan_all(MR_SLICE("\r\n\r\n" GOOD), &head_len, &fault), MR_HTTP_REFUSED);
}

static void test_head__bare_line_ends_are_refused(void **state)
{
    static const char *const bad[] = {"GET / HTTP/1.1\n", "GET / HTTP/1.1\r\nHost: a\n", "GET /\r HTTP/1.1\r\n", "\n"};
    size_t head_len;
    mr_status fault;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(scan_all(mr_slice_of(bad[i]), &head_len, &fault), MR_HTTP_REFUSED);
        assert_int_equal(fault, MR_INVALID);
    }
}

static void append_repeated(struct mr_buf *out, char c, size_t count)
{
    while (count-- > 0)
        mr_buf_char(out, c);
}

static void test_head__a_request_line_is_bounded(void **state)
{
    struct mr_buf buf = {0};
    size_t head_len;
    mr_status fault = MR_OK;

    (void)state;
    mr_buf_text(&buf, "GET /");
    append_repeated(&buf, 'a', MR_HTTP_TARGET_MAX - 1);
    mr_buf_text(&buf, " HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(scan_all(buf_slice(&buf), &head_len, &fault), MR_HTTP_COMPLETE);
    mr_buf_clear(&buf, SIZE_MAX);
    append_repeated(&buf, 'a', MR_HTTP_TARGET_MAX + MR_HTTP_LINE_SLACK + 1); /* no line end in sight */
    assert_int_equal(scan_all(buf_slice(&buf), &head_len, &fault), MR_HTTP_REFUSED);
    assert_int_equal(fault, MR_URI_TOO_LONG);
    mr_buf_fini(&buf);
}

static void test_head__a_target_is_bounded_to_the_byte(void **state)
{
    (void)state;
    for (size_t extra = 0; extra < 2; extra++) {
        struct mr_http_request request;
        struct mr_buf buf = {0};

        mr_buf_text(&buf, "GET /");
        append_repeated(&buf, 'a', MR_HTTP_TARGET_MAX - 1 + extra);
        mr_buf_text(&buf, " HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_int_equal(mr_http_parse(&request, buf.data, buf.len), extra == 0 ? MR_OK : MR_URI_TOO_LONG);
        mr_buf_fini(&buf);
    }
}

static void test_head__headers_are_bounded_in_bytes(void **state)
{
    (void)state;
    for (size_t extra = 0; extra < 2; extra++) {
        struct mr_buf buf = {0};
        size_t head_len;
        mr_status fault = MR_OK;
        enum mr_http_progress progress;

        mr_buf_text(&buf, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
        append_repeated(&buf, 'x', MR_HTTP_HEADERS_SIZE - strlen("Host: a\r\nX: \r\n") + extra);
        mr_buf_text(&buf, "\r\n\r\n");
        progress = scan_all(buf_slice(&buf), &head_len, &fault);
        assert_int_equal(progress, extra == 0 ? MR_HTTP_COMPLETE : MR_HTTP_REFUSED);
        if (extra == 1)
            assert_int_equal(fault, MR_HEADERS_TOO_LARGE);
        mr_buf_fini(&buf);
    }
}

static void test_head__headers_are_bounded_in_number(void **state)
{
    (void)state;
    for (unsigned extra = 0; extra < 2; extra++) {
        struct mr_http_request request;
        struct mr_buf buf = {0};

        mr_buf_text(&buf, "GET / HTTP/1.1\r\nHost: a\r\n");
        for (unsigned i = 1; i < MR_HTTP_HEADERS_MAX + extra; i++)
            mr_buf_printf(&buf, "X-%u: %u\r\n", i, i);
        mr_buf_text(&buf, "\r\n");
        assert_int_equal(mr_http_parse(&request, buf.data, buf.len), extra == 0 ? MR_OK : MR_HEADERS_TOO_LARGE);
        mr_buf_fini(&buf);
    }
}

#define BIT(fault) (UINT32_C(1) << (fault))

static void test_head__says_everything_that_is_wrong(void **state)
{
    static const struct {
        const char *head;
        mr_status status;
        uint32_t faults;
    } heads[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\nAccept: a\r\nAccept: a\r\n\r\n", MR_OK, 0},
        {"GET / HTTP/1.1\r\nHost: a\r\nidempotency-KEY: a\r\nIdempotency-Key: a\r\n\r\n", MR_INVALID, BIT(MR_HTTP_TWICE_KEY)},
        {"GET / HTTP/1.1\r\nHost: a,b\r\nRange: a\r\nRange: a\r\nOrigin: a\r\nOrigin: b\r\nContent-Length: 1x\r\n\r\n", MR_INVALID,
         BIT(MR_HTTP_TWICE_RANGE) | BIT(MR_HTTP_TWICE_ORIGIN) | BIT(MR_HTTP_FAULT_LENGTH) | BIT(MR_HTTP_FAULT_HOST)},
        {"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", MR_INVALID,
         BIT(MR_HTTP_FAULT_LENGTH_BESIDE) | BIT(MR_HTTP_FAULT_NO_HOST)},
        {"GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", MR_TRANSFER_CODING, BIT(MR_HTTP_FAULT_NO_HOST)},
        {"GET / HTTP/1.2\r\nHost: a\r\n\r\n", MR_INVALID, BIT(MR_HTTP_FAULT_REQUEST_LINE)},
        {"GET /\r\nHost: a\r\n\r\n", MR_INVALID, BIT(MR_HTTP_FAULT_REQUEST_LINE)},
        {"GET /[] HTTP/1.1\r\nHost : a\r\n\r\n", MR_INVALID, BIT(MR_HTTP_FAULT_TARGET) | BIT(MR_HTTP_FAULT_FIELD_LINE)},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n", MR_INVALID, BIT(MR_HTTP_FAULT_LINE_END)},
    };

    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        struct mr_http_request request;

        assert_int_equal(parse(&request, heads[i].head), heads[i].status);
        assert_int_equal(request.faults, heads[i].faults);
    }
    for (size_t i = 0; i < MR_HTTP_FAULT_COUNT; i++) {
        assert_non_null(mr_http_reasons[i].message);
        assert_int_equal(mr_http_reasons[i].field == NULL, mr_http_reasons[i].code == NULL);
    }
}

static void test_head__parts_of_a_request(void **state)
{
    struct mr_http_request request;
    struct mr_slice value = {"", 0};

    (void)state;
    assert_int_equal(parse(&request, "POST /v1/tasks?a=1?b#no HTTP/1.1\r\nHost: h\r\n\r\n"), MR_INVALID);
    assert_int_equal(parse(&request, "POST /v1/tasks?a=1?b HTTP/1.1\r\nhOsT:h\r\nContent-Length: 12 \r\nX-Empty:\r\nX-Last: \t v w \r\nExpect: 100-continue\r\n\r\n"),
                     MR_OK);
    assert_int_equal(request.verb, MR_VERB_POST);
    assert_slice_equal(request.path, "/v1/tasks");
    assert_slice_equal(request.query, "a=1?b");
    assert_int_equal(request.content_length, 12);
    assert_true(request.keep_alive);
    assert_true(request.expects_continue);
    assert_int_equal(request.header_count, 5);
    assert_true(mr_http_header(&request, "host", &value));
    assert_slice_equal(value, "h");
    assert_true(mr_http_header(&request, "x-empty", &value));
    assert_int_equal(value.len, 0);
    assert_true(mr_http_header(&request, "x-last", &value));
    assert_int_equal(memcmp(value.data, "v w", 3), 0);
    assert_false(mr_http_header(&request, "x-none", &value));
}

static void test_head__methods(void **state)
{
    static const struct {
        const char *name;
        enum mr_verb verb;
    } methods[] = {{"GET", MR_VERB_GET}, {"HEAD", MR_VERB_GET}, {"POST", MR_VERB_POST}, {"PUT", MR_VERB_PUT},
                   {"PATCH", MR_VERB_PATCH}, {"DELETE", MR_VERB_DELETE}, {"OPTIONS", MR_VERB_NONE}, {"TRACE", MR_VERB_NONE}};
    struct mr_http_request request;

    (void)state;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        char head[80];

        snprintf(head, sizeof head, "%s /x HTTP/1.1\r\nHost: a\r\n\r\n", methods[i].name);
        assert_int_equal(parse(&request, head), MR_OK);
        assert_int_equal(request.verb, methods[i].verb);
        assert_int_equal(request.is_head, strcmp(methods[i].name, "HEAD") == 0);
        assert_int_equal(request.is_options, strcmp(methods[i].name, "OPTIONS") == 0);
    }
    /* A token that is no method of ours is for the routes to refuse; what could be framed in another way ends there. */
    assert_int_equal(parse(&request, "BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n"), MR_OK);
    assert_int_equal(request.verb, MR_VERB_NONE);
    assert_slice_equal(request.path, "/pot");
    assert_false(request.keep_alive);
    assert_int_equal(parse(&request, "get /pot HTTP/1.1\r\nHost: a\r\n\r\n"), MR_OK);
    assert_int_equal(request.verb, MR_VERB_NONE);
    assert_int_equal(parse(&request, "G(T /pot HTTP/1.1\r\nHost: a\r\n\r\n"), MR_INVALID);
    assert_int_equal(parse(&request, " /pot HTTP/1.1\r\nHost: a\r\n\r\n"), MR_INVALID);
}

static void test_head__targets_of_every_form(void **state)
{
    struct mr_http_request request;

    (void)state;
    assert_int_equal(parse(&request, "GET http://host:80/v1/tasks?x=1 HTTP/1.1\r\nHost: a\r\n\r\n"), MR_OK);
    assert_slice_equal(request.path, "/v1/tasks");
    assert_slice_equal(request.query, "x=1");
    assert_int_equal(parse(&request, "GET http://host HTTP/1.1\r\nHost: a\r\n\r\n"), MR_OK);
    assert_slice_equal(request.path, "/");
    assert_int_equal(parse(&request, "GET //evil.example/x HTTP/1.1\r\nHost: a\r\n\r\n"), MR_OK);
    assert_slice_equal(request.path, "//evil.example/x");
    assert_int_equal(parse(&request, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), MR_OK);
    assert_slice_equal(request.path, "*");
    assert_int_equal(parse(&request, "GET * HTTP/1.1\r\nHost: a\r\n\r\n"), MR_INVALID);
    assert_int_equal(parse(&request, "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n"), MR_INVALID);
    assert_int_not_equal(parse(&request, "GET x HTTP/1.1\r\nHost: a\r\n\r\n"), MR_OK);
}

/* RFC 9112: what could be read in two ways is refused. */
static void test_head__framing_faults(void **state)
{
    static const struct {
        const char *head;
        mr_status status;
    } faults[] = {
        {"GET / HTTP/1.1\r\n\r\n", MR_INVALID},                                                         /* no Host */
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", MR_INVALID},
        {"GET / HTTP/1.1\r\nHost:\r\n\r\n", MR_INVALID},
        {"GET / HTTP/1.1\r\nHost: \t \r\n\r\n", MR_INVALID},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", MR_INVALID},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", MR_INVALID},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", MR_INVALID},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", MR_INVALID},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n", MR_INVALID},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 1\r\n\r\n", MR_INVALID},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", MR_INVALID},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", MR_INVALID},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", MR_INVALID},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: identity\r\n\r\n", MR_INVALID},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", MR_INVALID},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", MR_LENGTH_REQUIRED},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", MR_TRANSFER_CODING},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", MR_TRANSFER_CODING},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", MR_TRANSFER_CODING},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n", MR_TRANSFER_CODING},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", MR_TRANSFER_CODING},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", MR_TRANSFER_CODING},
        {"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", MR_INVALID},
        {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", MR_INVALID},
        {"GET / HTTP/1.1\r\n: a\r\nHost: a\r\n\r\n", MR_INVALID},
        {"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", MR_INVALID},
        {"GET / HTTP/1.2\r\nHost: a\r\n\r\n", MR_INVALID},
        {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", MR_INVALID},
        {"GET / HTTP/0.9\r\nHost: a\r\n\r\n", MR_INVALID},
        {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", MR_INVALID},
        {"GET / HTTP/1.10\r\nHost: a\r\n\r\n", MR_INVALID},
        {"GET / http/1.1\r\nHost: a\r\n\r\n", MR_INVALID},
        {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", MR_INVALID},
        {"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", MR_INVALID},
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest", MR_INVALID},
        {"GET /\r\n\r\n", MR_INVALID},
        {"GET / \r\nHost: a\r\n\r\n", MR_INVALID},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", MR_INVALID},
        {"GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", MR_EXPECTATION},
        {"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, x\r\n\r\n", MR_EXPECTATION},
        {"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n\r\n", MR_EXPECTATION},
    };
    struct mr_http_request request;

    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        mr_status status = parse(&request, faults[i].head);

        if (status != faults[i].status)
            fail_test("%s: %s", faults[i].head, mr_status_name(status));
    }
}

/* RFC 9112, 5.1: what stands in front of a colon is a token and nothing else, or the field would count as absent for us and
   as present for others. Every byte is tried at the end and in the middle of a name that guards. */
static void test_head__a_field_name_is_a_token(void **state)
{
    static const char *const names[] = {"Content-Length", "Transfer-Encoding", "If-Match", "Idempotency-Key", "Host", "X"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        for (int c = 1; c < 256; c++) {
            struct mr_http_request request;
            char head[128];
            bool is_token = strchr("!#$%&'*+-.^_`|~", c) != NULL || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                            (c >= 'a' && c <= 'z');

            if (c == '\r' || c == '\n' || c == ':')
                continue;
            snprintf(head, sizeof head, "GET / HTTP/1.0\r\n%s%c: 1\r\n\r\n", names[i], c);
            assert_int_equal(parse(&request, head), is_token ? MR_OK : MR_INVALID);
            snprintf(head, sizeof head, "GET / HTTP/1.0\r\n%c%s: 1\r\n\r\n", c, names[i]);
            assert_int_equal(parse(&request, head), is_token ? MR_OK : MR_INVALID);
        }
}

static void test_head__a_field_value_has_no_control_bytes(void **state)
{
    (void)state;
    for (int c = 1; c < 256; c++) {
        struct mr_http_request request;
        char head[80];
        bool is_good = c == '\t' || (c >= ' ' && c != 127);

        if (c == '\n')
            continue;
        snprintf(head, sizeof head, "GET / HTTP/1.0\r\nX: a%cb\r\n\r\n", c);
        assert_int_equal(parse(&request, head), is_good ? MR_OK : MR_INVALID);
    }
}

/* RFC 9110, 7.2 and RFC 3986, 3.2. */
/* Eight bytes at a time or one: the same, whichever byte stands wherever. */
static void test_head__a_value_is_judged_by_each_of_its_bytes(void **state)
{
    char text[24];

    (void)state;
    for (size_t len = 0; len <= sizeof text; len++)
        for (size_t at = 0; at < len; at++)
            for (int byte = 0; byte < 256; byte++) {
                struct mr_slice value = {text, len};

                memset(text, 'x', sizeof text);
                text[at] = (char)byte;
                assert_int_equal(mr_http_is_value(value), mr_http_all(value, MR_HTTP_VALUE));
            }
}

static void test_head__hosts(void **state)
{
    static const char *const good[] = {"a", "localhost:3000", "example.com", "example.com:", "127.0.0.1:80", "[::1]", "[::1]:3000",
                                       "a_b", "a%20b", "[::ffff:1.2.3.4]", "xn--e1aybc"};
    static const char *const bad[] = {"user@example.com", "user:pw@example.com", "a,b", "a, b", "a b", "[::1", "::1]", "[::1]x",
                                      "[]", "[", "a:b", "a:123456", "a:80:80", ":80", "a/b", "a?b", "a#b", "http://a", "a\\b",
                                      "[::g]", "a:-1", "\"a\"", "<a>", "a\tb", "\xc3\xa9"};
    struct mr_http_request request;
    char head[128];

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", good[i]);
        if (parse(&request, head) != MR_OK)
            fail_test("%s", good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", bad[i]);
        if (parse(&request, head) != MR_INVALID)
            fail_test("%s", bad[i]);
        snprintf(head, sizeof head, "GET http://%s/ HTTP/1.1\r\nHost: a\r\n\r\n", bad[i]);
        if (strpbrk(bad[i], "/?") == NULL && parse(&request, head) != MR_INVALID)
            fail_test("target of %s", bad[i]);
    }
}

/* RFC 3986, 3.3 and 3.4: each byte in the path and in the query. */
static void test_head__a_target_has_no_other_bytes(void **state)
{
    (void)state;
    for (int c = 1; c < 256; c++) {
        struct mr_http_request request;
        char head[80];
        bool is_pchar = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                        strchr("-._~!$&'()*+,;=:@%/", c) != NULL;

        if (c == '\n')
            continue;
        snprintf(head, sizeof head, "GET /a%cb HTTP/1.0\r\n\r\n", c);
        assert_int_equal(parse(&request, head), is_pchar || c == '?' ? MR_OK : MR_INVALID);
        snprintf(head, sizeof head, "GET /a?b%cc HTTP/1.0\r\n\r\n", c);
        assert_int_equal(parse(&request, head), is_pchar || c == '?' ? MR_OK : MR_INVALID);
    }
}

/* RFC 9110, 5.3: one of two would be read by us, the other by somebody else. */
static void test_head__fields_that_stand_once(void **state)
{
    static const char *const once[] = {"Authorization: a", "Content-Type: a/b", "content-length: 0", "Idempotency-Key: a",
                                       "If-Unmodified-Since: a", "If-Modified-Since: a", "If-Range: a", "Range: a",
                                       "Content-Range: a", "Origin: a"};
    static const char *const often[] = {"Accept: a", "Cookie: a", "If-Match: \"1\"", "If-None-Match: \"1\"", "X-Forwarded-For: a",
                                        "Connection: a", "Cache-Control: a"};
    struct mr_http_request request;
    char head[256];

    (void)state;
    for (size_t i = 0; i < sizeof once / sizeof once[0]; i++) {
        snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\nX: y\r\n%s\r\n\r\n", once[i], once[i]);
        if (parse(&request, head) != MR_INVALID)
            fail_test("%s", once[i]);
    }
    for (size_t i = 0; i < sizeof often / sizeof often[0]; i++) {
        snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\nX: y\r\n%s\r\n\r\n", often[i], often[i]);
        if (parse(&request, head) != MR_OK)
            fail_test("%s", often[i]);
    }
}

static void test_head__chunks_are_announced(void **state)
{
    struct mr_http_request request;

    (void)state;
    assert_int_equal(parse(&request, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"), MR_OK);
    assert_true(request.chunked);
    assert_true(request.keep_alive);
    assert_false(request.has_length);
}

/* Its sender may need to know who may read the answer. */
static void test_head__what_stands_in_front_of_a_fault_is_known(void **state)
{
    struct mr_http_request request;
    struct mr_slice value = {"", 0};
    struct mr_buf head = {0};

    (void)state;
    mr_buf_text(&head, "GET /");
    append_repeated(&head, 'a', MR_HTTP_TARGET_MAX);
    mr_buf_text(&head, " HTTP/1.1\r\nHost: a\r\nOrigin: https://app.example\r\n\r\n");
    assert_int_equal(mr_http_parse(&request, head.data, head.len), MR_URI_TOO_LONG);
    assert_true(mr_http_header(&request, "origin", &value));
    assert_slice_equal(value, "https://app.example");
    mr_buf_fini(&head);
}

static void test_head__lists_go_on_over_lines(void **state)
{
    struct mr_http_request request;

    (void)state;
    assert_int_equal(parse(&request, "GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nConnection: y, Close\r\n\r\n"), MR_OK);
    assert_true(mr_http_header_has(&request, "connection", "close"));
    assert_true(mr_http_header_has(&request, "connection", "x"));
    assert_false(mr_http_header_has(&request, "connection", "z"));
    assert_false(request.keep_alive);
}

static void test_head__keeping_a_connection(void **state)
{
    static const struct {
        const char *head;
        bool keep_alive;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, CLOSE\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", true},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
        {"POST / HTTP/1.1\r\nHost: a\r\n\r\n", false},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", true},
    };
    struct mr_http_request request;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(parse(&request, cases[i].head), MR_OK);
        if (request.keep_alive != cases[i].keep_alive)
            fail_test("%s", cases[i].head);
    }
}

static void test_head__a_value_has_no_blanks_around_it(void **state)
{
    static struct mr_http_request request;
    struct mr_slice value = {"", 0};

    (void)state;
    assert_int_equal(parse(&request, "GET / HTTP/1.1\r\nHost: a\r\nX-One: \t one two \t\r\nX-Two: \r\nx-two:2\r\n\r\n"), MR_OK);
    assert_true(mr_http_header(&request, "x-one", &value));
    assert_slice_equal(value, "one two");
    assert_true(mr_http_header(&request, "x-two", &value));
    assert_slice_equal(value, "");
    assert_int_equal(mr_http_header_count(&request, "x-two"), 2);
    assert_int_equal(mr_http_header_count(&request, "x-three"), 0);
}

/* Fields are told apart by the length of their names first: one of 68 bytes counts as one of 4. */
static void test_head__names_of_one_length_are_different_fields(void **state)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\nX-AA: 1\r\n"
                               "X-012345678901234567890123456789012345678901234567890123456789-of-68: 2\r\n"
                               "x-0123456789012345678901234567890123456789012345678901234567-of-66: 3\r\n\r\n";
    static struct mr_http_request request;
    struct mr_slice value = {"", 0};

    (void)state;
    assert_int_equal(parse(&request, text), MR_OK);
    assert_int_equal(request.faults, 0);
    assert_true(mr_http_header(&request, "host", &value));
    assert_slice_equal(value, "a");
    assert_true(mr_http_header(&request, "x-aa", &value));
    assert_slice_equal(value, "1");
    assert_true(mr_http_header(&request, "x-012345678901234567890123456789012345678901234567890123456789-of-68", &value));
    assert_slice_equal(value, "2");
    assert_false(mr_http_header(&request, "date", &value));
    assert_false(mr_http_header(&request, "te", &value));
    assert_int_equal(mr_http_header_count(&request, "te"), 0);
    assert_false(mr_http_header_has(&request, "te", "trailers"));
    assert_int_equal(parse(&request, "GET / HTTP/1.1\r\nHost: a\r\nDate: x\r\nhost: b\r\n\r\n"), MR_INVALID);
        assert_int_equal(request.faults, BIT(MR_HTTP_TWICE_HOST));
}

static void test_head__lists(void **state)
{
    (void)state;
    assert_true(mr_http_list_has(MR_SLICE("a, B ,c"), "b"));
    assert_true(mr_http_list_has(MR_SLICE("close"), "close"));
    assert_true(mr_http_list_has(MR_SLICE(",,close,"), "close"));
    assert_false(mr_http_list_has(MR_SLICE("ab, bc"), "b"));
    assert_false(mr_http_list_has((struct mr_slice){"", 0}, "b"));
}

static void test_head__percent_escapes(void **state)
{
    static const char *const bad[] = {"%", "%4", "a%", "%4g", "%g4", "%%41", "%00", "x%00y"};
    struct mr_buf buf = {0};

    (void)state;
    assert_int_equal(mr_http_decode(&buf, MR_SLICE("a%20b%2Fc%c3%A9+d"), false), MR_OK);
    assert_slice_equal(buf_slice(&buf), "a b/c\xc3\xa9+d");
    mr_buf_clear(&buf, SIZE_MAX);
    assert_int_equal(mr_http_decode(&buf, MR_SLICE("a+b%2B%25"), true), MR_OK);
    assert_slice_equal(buf_slice(&buf), "a b+%");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(mr_http_decode(&buf, mr_slice_of(bad[i]), true), MR_INVALID);
    mr_buf_fini(&buf);
}

static void test_head__a_parameter_is_known_however_it_is_escaped(void **state)
{
    static const char *const names[] = {"sort", "s%6Frt", "s%6frt", "%73%6F%72%74"};
    static const char *const others[] = {"", "s", "sor", "sorts", "Sort", "s%4Frt", "sor%", "sor%7", "sor%7g", "sort%00", "sort%", "s%256Frt"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_true(mr_http_query_is(mr_slice_of(names[i]), "sort"));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(mr_http_query_is(mr_slice_of(others[i]), "sort"));
}

/* "item|item" of a field, and "!" behind them when it is no list to its end. */
static const char *items_of(const struct mr_http_request *request, const char *name)
{
    static char out[256];
    struct mr_http_list list = {0};
    struct mr_slice item;

    out[0] = '\0';
    while (mr_http_list_item(&list, request, name, &item))
        snprintf(out + strlen(out), sizeof out - strlen(out), "%s%.*s", out[0] != '\0' ? "|" : "", (int)item.len, item.data);
    return list.broken ? strcat(out, "!") : out;
}

/* RFC 9110, 5.3 and 5.6.1. */
static void test_head__a_list_goes_over_all_its_lines(void **state)
{
    struct mr_http_request request;

    (void)state;
    assert_int_equal(parse(&request, "GET / HTTP/1.1\r\nHost: a\r\nX-L: a, b\r\nX-Empty:\r\nx-l:\r\nX-LL: no\r\nX-l: ,\tc d ,,e,\r\n"
                                     "X-Q: \"a,b\", \"c\\\",d\" ,e\r\nX-Q: f\r\nX-Open: a, \"b, c\r\nX-Open: d\"\r\n\r\n"),
                     MR_OK);
    assert_string_equal(items_of(&request, "x-l"), "a|b|c d|e");
    assert_string_equal(items_of(&request, "x-q"), "\"a,b\"|\"c\\\",d\"|e|f");
    assert_string_equal(items_of(&request, "x-open"), "a!"); /* a quoted string does not go on on the next line */
    assert_string_equal(items_of(&request, "x-empty"), "");
    assert_string_equal(items_of(&request, "x-none"), "");
    assert_true(mr_http_header_has(&request, "x-l", "e"));
    assert_false(mr_http_header_has(&request, "x-l", "c"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head__a_head_ends_at_the_empty_line),
        cmocka_unit_test(test_head__a_head_in_pieces_is_the_same_head),
        cmocka_unit_test(test_head__one_empty_line_before_a_request_is_let_pass),
        cmocka_unit_test(test_head__bare_line_ends_are_refused),
        cmocka_unit_test(test_head__a_request_line_is_bounded),
        cmocka_unit_test(test_head__a_target_is_bounded_to_the_byte),
        cmocka_unit_test(test_head__headers_are_bounded_in_bytes),
        cmocka_unit_test(test_head__headers_are_bounded_in_number),
        cmocka_unit_test(test_head__parts_of_a_request),
        cmocka_unit_test(test_head__methods),
        cmocka_unit_test(test_head__targets_of_every_form),
        cmocka_unit_test(test_head__framing_faults),
        cmocka_unit_test(test_head__a_field_name_is_a_token),
        cmocka_unit_test(test_head__a_field_value_has_no_control_bytes),
        cmocka_unit_test(test_head__a_value_is_judged_by_each_of_its_bytes),
        cmocka_unit_test(test_head__hosts),
        cmocka_unit_test(test_head__a_target_has_no_other_bytes),
        cmocka_unit_test(test_head__fields_that_stand_once),
        cmocka_unit_test(test_head__chunks_are_announced),
        cmocka_unit_test(test_head__what_stands_in_front_of_a_fault_is_known),
        cmocka_unit_test(test_head__lists_go_on_over_lines),
        cmocka_unit_test(test_head__keeping_a_connection),
        cmocka_unit_test(test_head__a_value_has_no_blanks_around_it),
        cmocka_unit_test(test_head__says_everything_that_is_wrong),
        cmocka_unit_test(test_head__names_of_one_length_are_different_fields),
        cmocka_unit_test(test_head__lists),
        cmocka_unit_test(test_head__percent_escapes),
        cmocka_unit_test(test_head__a_parameter_is_known_however_it_is_escaped),
        cmocka_unit_test(test_head__a_list_goes_over_all_its_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
