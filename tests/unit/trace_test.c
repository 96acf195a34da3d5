/*
 * W3C Trace Context, 3.2, with the cases of its test suite (w3c/trace-context, test/test.py): each header, as a request
 * carries it, and the trace that the request then belongs to.
 */
#include "gateway/trace.h"

#include "tests/support/test.h"

#define TRACE  "0af7651916cd43dd8448eb211c80319c"
#define PARENT "b7ad6b7169203331"
#define GOOD   "00-" TRACE "-" PARENT "-01"

static const uint8_t id[16] = {0x01, 0x9f, 0x5c, 0xa0, 0x77, 0x20, 0x7a, 0xbc, 0x8d, 0xef, 0x10, 0x32, 0x54, 0x76, 0x98, 0xba};

/* What is made of the id, when nothing good was given. */
static const char own[] = "00-019f5ca077207abc8def1032547698ba-8def1032547698ba-00";

/* What a request with these header lines comes to. */
static const char *trace_of(const char *lines)
{
    static char out[MR_TRACEPARENT];
    struct mr_http_request *request = calloc(1, sizeof *request);
    struct mr_buf head = {0};

    assert_non_null(request);
    mr_buf_printf(&head, "GET /v1/tasks HTTP/1.1\r\nHost: localhost\r\n%s\r\n", lines);
    if (mr_http_parse(request, head.data, head.len) != MR_OK)
        fail_test("no request: %s", lines);
    memset(out, '#', sizeof out);
    mr_trace_of(out, request, id);
    assert_int_equal(strnlen(out, sizeof out), MR_TRACEPARENT - 1);
    mr_buf_fini(&head);
    free(request);
    return out;
}

static const char *trace_of_value(const char *value)
{
    char line[256];

    snprintf(line, sizeof line, "traceparent: %s\r\n", value);
    return trace_of(line);
}

static void assert_taken(const char *value, const char *as)
{
    const char *trace = trace_of_value(value);

    if (strcmp(trace, as) != 0)
        fail_test("\"%s\" became %s", value, trace);
}

static void assert_refused(const char *value)
{
    assert_taken(value, own);
}

static void test_trace__a_good_one_is_kept_as_it_is(void **state)
{
    (void)state;
    assert_taken(GOOD, GOOD);
    assert_taken("00-" TRACE "-" PARENT "-00", "00-" TRACE "-" PARENT "-00");
    assert_taken("00-" TRACE "-" PARENT "-03", "00-" TRACE "-" PARENT "-03");
    assert_taken("00-00000000000000000000000000000001-0000000000000001-01", "00-00000000000000000000000000000001-0000000000000001-01");
    assert_taken("00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-ff", "00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-ff");
}

static void test_trace__without_a_request_or_a_header_it_is_made_of_the_id(void **state)
{
    char out[MR_TRACEPARENT];

    (void)state;
    mr_trace_of(out, NULL, id);
    assert_string_equal(out, own);
    assert_string_equal(trace_of(""), own);
}

/* Its own is one that others would take. */
static void test_trace__what_is_made_of_an_id_is_taken(void **state)
{
    (void)state;
    assert_string_equal(trace_of_value(own), own);
}

/* RFC 9110, 5.1: whatever the case; but it is no other name. */
static void test_trace__the_header_has_one_name_in_any_case(void **state)
{
    (void)state;
    assert_string_equal(trace_of("TraceParent: " GOOD "\r\n"), GOOD);
    assert_string_equal(trace_of("TRACEPARENT: " GOOD "\r\n"), GOOD);
    assert_string_equal(trace_of("trace-parent: " GOOD "\r\n"), own);
    assert_string_equal(trace_of("trace.parent: " GOOD "\r\n"), own);
    assert_string_equal(trace_of("tracestate: " GOOD "\r\n"), own);
}

/* RFC 9112, 5.1: blanks around a value are no part of it. */
static void test_trace__blanks_around_the_value_do_not_matter(void **state)
{
    static const char *const lines[] = {"traceparent:" GOOD "\r\n", "traceparent:  " GOOD "\r\n", "traceparent:\t" GOOD "\r\n",
                                        "traceparent: " GOOD " \r\n", "traceparent: " GOOD "\t\r\n", "traceparent:\t " GOOD " \t\r\n"};

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (strcmp(trace_of(lines[i]), GOOD) != 0)
            fail_test("not taken: %s", lines[i]);
}

/* Which of them would be the parent? */
static void test_trace__two_headers_are_none(void **state)
{
    (void)state;
    assert_string_equal(trace_of("traceparent: " GOOD "\r\ntraceparent: 00-" TRACE "-" PARENT "-00\r\n"), own);
    assert_string_equal(trace_of("traceparent: " GOOD "\r\nTraceparent: nonsense\r\n"), own);
    assert_refused(GOOD ", " GOOD);
}

static void test_trace__version_ff_is_refused(void **state)
{
    (void)state;
    assert_refused("ff-" TRACE "-" PARENT "-01");
    assert_refused("ff-" TRACE "-" PARENT "-01-more");
}

static void test_trace__a_version_is_two_digits(void **state)
{
    static const char *const versions[] = {"", "0", "000", "0x", "x0", ".0", "0.", "FF", "CC", "0C", "C0", "-0", " 0"};

    (void)state;
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        char value[80];

        snprintf(value, sizeof value, "%s-" TRACE "-" PARENT "-01", versions[i]);
        assert_refused(value);
    }
}

static void test_trace__ids_of_zeros_are_refused(void **state)
{
    (void)state;
    assert_refused("00-00000000000000000000000000000000-" PARENT "-01");
    assert_refused("00-" TRACE "-0000000000000000-01");
    assert_refused("cc-00000000000000000000000000000000-" PARENT "-01");
    assert_refused("cc-" TRACE "-0000000000000000-01-more");
}

/* In place of every character, one that does not belong there; upper-case digits are none (3.2.2.3). */
static void test_trace__every_character_has_to_fit(void **state)
{
    static const char wrong[] = "-0AFgG/:`._~\x80\xff";

    (void)state;
    for (size_t at = 0; at < sizeof GOOD - 1; at++)
        for (const char *c = wrong; *c != '\0'; c++) {
            char value[] = GOOD;

            value[at] = *c;
            if (*c != (GOOD[at] == '-' ? '-' : '0'))
                assert_refused(value);
        }
}

static void test_trace__every_digit_may_be_any_digit(void **state)
{
    static const char digits[] = "0123456789abcdef";

    (void)state;
    for (size_t at = 3; at < sizeof GOOD - 1; at++)
        for (size_t i = 0; i < 16 && GOOD[at] != '-'; i++) {
            char value[] = GOOD;

            value[at] = digits[i];
            assert_taken(value, value);
        }
}

static void test_trace__parts_have_one_length(void **state)
{
    static const char *const values[] = {
        "00-" TRACE "0-" PARENT "-01",
        "00-0af7651916cd43dd8448eb211c80319-" PARENT "-01",
        "00-" TRACE "-" PARENT "0-01",
        "00-" TRACE "-b7ad6b716920333-01",
        "00-" TRACE "-" PARENT "-1",
        "00-" TRACE "-" PARENT "-001",
        "00-" TRACE "-" PARENT "-",
        "00-" TRACE "-" PARENT,
        "00-0af7651916cd43dd8448eb211c80319-" PARENT "0-01",
        "0-0" TRACE "-" PARENT "-01",
    };

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        assert_refused(values[i]);
}

/* From nothing to all but the last character; what stands behind the value in memory makes it no longer. */
static void test_trace__whatever_is_shorter_is_refused(void **state)
{
    static const char *const values[] = {GOOD, "cc-" TRACE "-" PARENT "-01"};
    struct mr_http_request *request = calloc(1, sizeof *request);

    (void)state;
    assert_non_null(request);
    request->header_count = 1;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        for (size_t len = 0; len < sizeof GOOD - 1; len++) {
            char out[MR_TRACEPARENT];

            request->headers[0] = (struct mr_http_header){MR_SLICE("traceparent"), {values[i], len}};
            mr_trace_of(out, request, id);
            assert_string_equal(out, own);
        }
    free(request);
}

static void test_trace__version_00_has_nothing_behind_its_flags(void **state)
{
    (void)state;
    assert_refused(GOOD "-");
    assert_refused(GOOD "-what-the-future-will-be-like");
    assert_refused(GOOD "0");
    assert_refused(GOOD ".");
}

/* 3.2.4: of a version to come, what version 00 knows. */
static void test_trace__a_version_to_come_is_taken_as_version_00(void **state)
{
    static const char *const tails[] = {"", "-", "-what-the-future-will-be-like", "-01-02-03", "--"};
    static const char *const versions[] = {"01", "0f", "cc", "f0", "fe"};

    (void)state;
    for (size_t v = 0; v < sizeof versions / sizeof versions[0]; v++)
        for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
            char value[128];

            snprintf(value, sizeof value, "%s-" TRACE "-" PARENT "-01%s", versions[v], tails[i]);
            assert_taken(value, GOOD);
        }
    assert_refused("cc-" TRACE "-" PARENT "-01.what-the-future-will-not-be-like");
    assert_refused("cc-" TRACE "-" PARENT "-010");
}

/* Its flags may mean something else: only "sampled" is known (3.2.4), the others are zero (3.2.2.5). */
static void test_trace__of_the_flags_to_come_only_sampled_is_kept(void **state)
{
    static const struct {
        const char *given, *kept;
    } table[] = {{"00", "00"}, {"01", "01"}, {"02", "00"}, {"03", "01"}, {"09", "01"}, {"10", "00"}, {"ae", "00"}, {"af", "01"}, {"ff", "01"}};

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char value[80];
        char kept[80];

        snprintf(value, sizeof value, "01-" TRACE "-" PARENT "-%s", table[i].given);
        snprintf(kept, sizeof kept, "00-" TRACE "-" PARENT "-%s", table[i].kept);
        assert_taken(value, kept);
    }
}

/* 3.3.1.2: we hand no tracestate on, and whatever is wrong with one does not spoil the parent. */
static void test_trace__a_tracestate_decides_nothing(void **state)
{
    static const char *const states[] = {
        "", "foo=1", "foo=1,bar=2", "foo=1, \t bar=2", "foo=1,", ",foo=1", "foo=1,,bar=2", "foo =1", "FOO=1", "foo.bar=1", "foo@=1,bar=2",
        "@foo=1,bar=2", "foo@@bar=1,bar=2", "foo@bar@baz=1", "foo=1=2", "=", "foo", "foo=", "foo=1,foo=1", "foo=bar=baz", "foo=1;bar",
        "a-b*c/d_e=1", "0foo@v=1", "foo=\x80"};
    static const char *const two[] = {"tracestate: foo=1\r\ntracestate: bar=2\r\n", "tracestate: foo=1\r\ntracestate: foo=1\r\n",
                                      "tracestate:\r\ntracestate: foo=1\r\n"};

    (void)state;
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        char lines[256];

        snprintf(lines, sizeof lines, "traceparent: " GOOD "\r\ntracestate: %s\r\n", states[i]);
        assert_string_equal(trace_of(lines), GOOD);
        snprintf(lines, sizeof lines, "tracestate: %s\r\n", states[i]);
        assert_string_equal(trace_of(lines), own);
        snprintf(lines, sizeof lines, "traceparent: nonsense\r\ntracestate: %s\r\n", states[i]);
        assert_string_equal(trace_of(lines), own);
    }
    for (size_t i = 0; i < sizeof two / sizeof two[0]; i++) {
        char lines[256];

        snprintf(lines, sizeof lines, "%straceparent: " GOOD "\r\n", two[i]);
        assert_string_equal(trace_of(lines), GOOD);
    }
}

/* As many members as the standard allows (3.3.1.1), and one more; each as long as it may be. */
static void test_trace__a_long_tracestate_decides_nothing(void **state)
{
    (void)state;
    for (int members = 31; members <= 33; members++) {
        struct mr_buf lines = {0};

        mr_buf_text(&lines, "traceparent: " GOOD "\r\ntracestate: ");
        for (int i = 0; i < members; i++)
            mr_buf_printf(&lines, "%sbar%02d=%0200d", i > 0 ? "," : "", i, i);
        mr_buf_text(&lines, "\r\n");
        mr_buf_char(&lines, '\0');
        assert_string_equal(trace_of(lines.data), GOOD);
        mr_buf_fini(&lines);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trace__a_good_one_is_kept_as_it_is),
        cmocka_unit_test(test_trace__without_a_request_or_a_header_it_is_made_of_the_id),
        cmocka_unit_test(test_trace__what_is_made_of_an_id_is_taken),
        cmocka_unit_test(test_trace__the_header_has_one_name_in_any_case),
        cmocka_unit_test(test_trace__blanks_around_the_value_do_not_matter),
        cmocka_unit_test(test_trace__two_headers_are_none),
        cmocka_unit_test(test_trace__version_ff_is_refused),
        cmocka_unit_test(test_trace__a_version_is_two_digits),
        cmocka_unit_test(test_trace__ids_of_zeros_are_refused),
        cmocka_unit_test(test_trace__every_character_has_to_fit),
        cmocka_unit_test(test_trace__every_digit_may_be_any_digit),
        cmocka_unit_test(test_trace__parts_have_one_length),
        cmocka_unit_test(test_trace__whatever_is_shorter_is_refused),
        cmocka_unit_test(test_trace__version_00_has_nothing_behind_its_flags),
        cmocka_unit_test(test_trace__a_version_to_come_is_taken_as_version_00),
        cmocka_unit_test(test_trace__of_the_flags_to_come_only_sampled_is_kept),
        cmocka_unit_test(test_trace__a_tracestate_decides_nothing),
        cmocka_unit_test(test_trace__a_long_tracestate_decides_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
