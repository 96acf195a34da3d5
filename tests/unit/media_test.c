#include "gateway/media.h"

#include "tests/support/test.h"

static void test_media__types_are_read_by_the_grammar(void **state)
{
    static const struct {
        const char *text, *type, *charset; /* type NULL: refused */
    } rows[] = {
        {"application/json", "application/json", ""},
        {"text/csv; charset=utf-8", "text/csv", "utf-8"},
        {"text/csv;CHARSET=\"utf\\-8\";header=present", "text/csv", "\"utf\\-8\""},
        {"text/csv ;\theader=\"a;b=\\\"c\" ", "text/csv", ""},
        {"text/csv;; ;", "text/csv", ""},
        {"a.b+c/d!e; x=1", "a.b+c/d!e", ""},
        {"text/csv; charset=\"\"", "text/csv", "\"\""},
        {"", NULL, NULL},
        {"json", NULL, NULL},
        {"/json", NULL, NULL},
        {"application/", NULL, NULL},
        {"application /json", NULL, NULL},
        {"application/ json", NULL, NULL},
        {"application/json, text/csv", NULL, NULL},
        {"application/json charset=utf-8", NULL, NULL},
        {"application/json; charset", NULL, NULL},
        {"application/json; charset=", NULL, NULL},
        {"application/json; charset =utf-8", NULL, NULL},
        {"application/json; charset= utf-8", NULL, NULL},
        {"application/json; charset=\"utf-8", NULL, NULL},
        {"application/json; charset=\"utf-8\\\"", NULL, NULL},
        {"application/json; charset=\"utf-8\"x", NULL, NULL},
        {"application/json; charset=utf-8; charset=utf-8", NULL, NULL},
        {"application/json; =x", NULL, NULL},
        {"application/json/x", NULL, NULL},
        {"application/j\xc3\xa4son", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mr_media media = {{"", 0}, {"", 0}};
        bool good = mr_media_parse(&media, mr_slice_of(rows[i].text));

        if (good != (rows[i].type != NULL))
            fail_test("%s was %s", rows[i].text, good ? "taken" : "refused");
        if (good) {
            assert_slice_equal(media.type, rows[i].type);
            assert_int_equal(media.charset.len, strlen(rows[i].charset));
            assert_memory_equal(media.charset.len > 0 ? media.charset.data : "", rows[i].charset, media.charset.len);
        }
    }
}

static void test_media__utf8_in_every_spelling(void **state)
{
    static const char *const good[] = {"utf-8", "UTF-8", "\"utf-8\"", "\"UtF-8\"", "\"\\u\\t\\f\\-\\8\""};
    static const char *const bad[] = {"utf8", "utf-16", "iso-8859-1", "us-ascii", "\"\"", "utf-", "utf-88", "\"utf-8 \""};

    (void)state;
    assert_true(mr_media_is_utf8(&(struct mr_media){{"", 0}, {"", 0}}));
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(mr_media_is_utf8(&(struct mr_media){.charset = mr_slice_of(good[i])}));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(mr_media_is_utf8(&(struct mr_media){.charset = mr_slice_of(bad[i])}));
}

static void add(struct mr_http_request *request, const char *name, const char *value)
{
    if (value != NULL)
        request->headers[request->header_count++] = (struct mr_http_header){mr_slice_of(name), mr_slice_of(value)};
}

static void test_media__a_content_type_is_one_of_those_that_are_taken(void **state)
{
    static const char types[] = "application/x-ndjson|text/csv";
    static const struct {
        const char *first, *second, *match;
        bool has_detail;
    } rows[] = {
        {"text/csv", NULL, "text/csv", false},
        {"TEXT/CSV; charset=UTF-8", NULL, "text/csv", false},
        {"application/x-ndjson;a=b", NULL, "application/x-ndjson", false},
        {"text/csv; charset=latin1", NULL, NULL, true},
        {"application/json; charset=latin1", NULL, NULL, false},
        {"text/cs", NULL, NULL, false},
        {"text/csvx", NULL, NULL, false},
        {"application/x-ndjson|text/csv", NULL, NULL, false},
        {"", NULL, NULL, false},
        {NULL, NULL, NULL, false},
        {"text/csv", "text/csv", NULL, false},
        {"text/csv", "application/json", NULL, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mr_http_request request = {.header_count = 0};
        const char *detail = NULL;
        struct mr_slice type;

        add(&request, "Content-Type", rows[i].first);
        add(&request, "content-type", rows[i].second);
        if (mr_media_type(&request, types, &type, &detail) != (rows[i].match != NULL ? MR_OK : MR_MEDIA_TYPE))
            fail_test("row %zu", i);
        if (rows[i].match != NULL)
            assert_slice_equal(type, rows[i].match);
        assert_int_equal(detail != NULL, rows[i].has_detail);
    }
}

static void test_media__codings(void **state)
{
    enum { NONE = MR_CODING_IDENTITY, GZIP = MR_CODING_GZIP, BAD = -1 };
    static const struct {
        const char *first, *second;
        int plain, with_gzip;
    } rows[] = {
        {NULL, NULL, NONE, NONE},
        {"", NULL, NONE, NONE},
        {" , ", NULL, NONE, NONE},
        {"identity", NULL, NONE, NONE},
        {"Identity", NULL, NONE, NONE},
        {"gzip", NULL, BAD, GZIP},
        {"GZip", NULL, BAD, GZIP},
        {"x-gzip", NULL, BAD, GZIP},
        {", gzip,", NULL, BAD, GZIP},
        {"", "gzip", BAD, GZIP},
        {"gzip, gzip", NULL, BAD, BAD},
        {"gzip", "gzip", BAD, BAD},
        {"identity, gzip", NULL, BAD, BAD},
        {"gzip", "identity", BAD, BAD},
        {"deflate", NULL, BAD, BAD},
        {"br", NULL, BAD, BAD},
        {"gzip;q=1", NULL, BAD, BAD},
        {"\"gzip\"", NULL, BAD, BAD},
        {"\"gzip", NULL, BAD, BAD},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int takes_gzip = 0; takes_gzip < 2; takes_gzip++) {
            struct mr_http_request request = {.header_count = 0};
            int wanted = takes_gzip ? rows[i].with_gzip : rows[i].plain;
            enum mr_coding coding = MR_CODING_GZIP;

            add(&request, "Content-Encoding", rows[i].first);
            add(&request, "Content-Encoding", rows[i].second);
            if (mr_media_coding(&request, takes_gzip, &coding) != (wanted == BAD ? MR_CODING : MR_OK) ||
                (wanted != BAD && (int)coding != wanted))
                fail_test("row %zu, %d", i, takes_gzip);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_media__types_are_read_by_the_grammar),
        cmocka_unit_test(test_media__utf8_in_every_spelling),
        cmocka_unit_test(test_media__a_content_type_is_one_of_those_that_are_taken),
        cmocka_unit_test(test_media__codings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
