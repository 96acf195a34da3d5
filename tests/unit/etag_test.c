#include "gateway/etag.h"

#include "tests/support/test.h"

/* "tag tag W/tag" of a list as it was read, and "!" behind them when it is no list to its end. */
static const char *read_list(const char *text)
{
    static char out[256];
    struct mr_slice list = mr_slice_of(text);
    struct mr_etag tag;

    out[0] = '\0';
    while (mr_etag_next(&list, &tag))
        snprintf(out + strlen(out), sizeof out - strlen(out), "%s%s%.*s", out[0] != '\0' ? " " : "", tag.weak ? "W/" : "",
                 (int)tag.opaque.len, tag.opaque.data);
    if (list.len > 0)
        strcat(out, "!");
    return out;
}

/* RFC 9110, 8.8.3 and 5.6.1. */
static void test_etag__lists_are_read_by_the_grammar(void **state)
{
    static const char *const lists[][2] = {
        {"", ""},
        {" , ,\t", ""},
        {"\"1\"", "\"1\""},
        {"\"1\",\"2\" ,W/\"3\"", "\"1\" \"2\" W/\"3\""},
        {",, \"1\" , , \"2\",", "\"1\" \"2\""},
        {"\"\"", "\"\""},
        {"\"a,b\", \"c\"", "\"a,b\" \"c\""},
        {"\"a\\\", \"b\"", "\"a\\\" \"b\""}, /* a backslash escapes nothing */
        {"\"\xc3\xa4\"", "\"\xc3\xa4\""},
        {"1", "!"},
        {"*", "!"},
        {"\"1\", *", "\"1\"!"},
        {"\"1\" \"2\"", "!"},
        {"\"1\"2", "!"},
        {"\"1", "!"},
        {"\"", "!"},
        {"W/", "!"},
        {"W/1", "!"},
        {"w/\"1\"", "!"},
        {"W/ \"1\"", "!"},
        {"\"a b\"", "!"},
        {"\"a\x7f\"", "!"},
        {"\"1\", 2", "\"1\"!"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        if (strcmp(read_list(lists[i][0]), lists[i][1]) != 0)
            fail_test("%s was read as %s", lists[i][0], read_list(lists[i][0]));
}

static void test_etag__whole_tags_are_compared(void **state)
{
    static const char ours[] = "\"12\"";

    (void)state;
    assert_true(mr_etag_listed(MR_SLICE("\"1\", \"12\""), ours, false));
    assert_false(mr_etag_listed(MR_SLICE("\"1\", \"2\", \"123\", \"012\""), ours, true));
    assert_false(mr_etag_listed(MR_SLICE("\"a\\\"12\"\""), ours, true)); /* ours stands inside, and it is no list */
    assert_false(mr_etag_listed(MR_SLICE("W/\"12\""), ours, false));
    assert_true(mr_etag_listed(MR_SLICE("W/\"12\""), ours, true));
    assert_false(mr_etag_listed(MR_SLICE(""), ours, true));
}

static void test_etag__a_tag_of_ours_is_a_tag(void **state)
{
    char etag[MR_ETAG_TEXT];
    struct mr_slice list;
    struct mr_etag tag;

    (void)state;
    mr_etag_make(etag, MR_SLICE("a body"));
    list = mr_slice_of(etag);
    assert_true(mr_etag_next(&list, &tag));
    assert_slice_equal(tag.opaque, etag);
    assert_false(tag.weak);
    assert_int_equal(list.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_etag__lists_are_read_by_the_grammar),
        cmocka_unit_test(test_etag__whole_tags_are_compared),
        cmocka_unit_test(test_etag__a_tag_of_ours_is_a_tag),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
