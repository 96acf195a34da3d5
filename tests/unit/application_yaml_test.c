/* A YAML file as a tree with places; whatever would mean something else than it shows, or is too much, is refused. */
#include "application/yaml.h"

#include "tests/support/test.h"

static struct mr_arena arena;
static struct mr_problems problems;

static int setup(void **state)
{
    (void)state;
    arena = (struct mr_arena){0};
    problems = (struct mr_problems){0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mr_problems_fini(&problems);
    mr_arena_fini(&arena);
    return 0;
}

static const struct mr_yaml *read_slice(struct mr_slice text)
{
    return mr_yaml_read(&arena, "f.yaml", text, &problems);
}

/* The file as JSON, or its problems. */
static void assert_reads(const char *text, const char *expected)
{
    const struct mr_yaml *root = read_slice(mr_slice_of(text));
    struct mr_buf out = {0};

    if (root != NULL && problems.found == 0)
        assert_true(mr_yaml_json(root, &out));
    mr_problems_print(&problems, &out);
    if (!mr_slice_is(buf_slice(&out), expected))
        fail_test("%s\nis read as\n%.*s\nand not\n%s", text, (int)out.len, out.data, expected);
    mr_buf_fini(&out);
    mr_problems_fini(&problems);
}

static void test_yaml__is_read_with_the_core_schema(void **state)
{
    (void)state;
    assert_reads("a: on\nb: yes\nc: 2026-01-01\nd: 'true'\n", "{\"a\":\"on\",\"b\":\"yes\",\"c\":\"2026-01-01\",\"d\":\"true\"}");
    assert_reads("[true, False, null, ~, 12, -1.5, 1e3, 1_000, 0..9, 60s]",
                 "[true,false,null,null,12,-1.5,1e3,\"1_000\",\"0..9\",\"60s\"]");
    assert_reads("{a: {b: [{c: d}]}, e: }", "{\"a\":{\"b\":[{\"c\":\"d\"}]},\"e\":null}");
    assert_reads("a: |\n  one\n  two\n", "{\"a\":\"one\\ntwo\\n\"}");
    assert_reads("\xef\xbb\xbf" "a: 1\n", "{\"a\":1}");
}

static void test_yaml__knows_the_place_of_every_node(void **state)
{
    const struct mr_yaml *root = read_slice(mr_slice_of("a: 1\n\xc3\xa4: {x: 2,  y: [3]}\n"));
    const struct mr_yaml *y;

    (void)state;
    assert_non_null(root);
    y = mr_yaml_get(mr_yaml_get(root, "\xc3\xa4"), "y");
    assert_int_equal(y->key->line, 2);
    assert_int_equal(y->key->column, 12); /* characters, not bytes */
    assert_int_equal(y->first->line, 2);
    assert_int_equal(y->first->column, 16);
    assert_int_equal(mr_yaml_get(root, "a")->column, 4);
}

static void test_yaml__refuses_what_means_something_else_than_it_shows(void **state)
{
    (void)state;
    assert_reads("a: &x 1\nb: *x\n", "f.yaml:1:4: an anchor, expected the value itself: there are no aliases here\n");
    assert_reads("a: &x [*x]\n", "f.yaml:1:4: an anchor, expected the value itself: there are no aliases here\n");
    assert_reads("b: *x\n", "f.yaml:1:4: an alias, expected the value itself\n");
    assert_reads("a: !!str 1\n", "f.yaml:1:4: a tag, expected a value without one\n");
    assert_reads("a: ! x\n", "f.yaml:1:4: a tag, expected a value without one\n");
    assert_reads("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document, expected one in a file\n");
    assert_reads("? [a]\n: 1\n", "f.yaml:1:3: a key that is a map or a list, expected a name\n");
    assert_reads("'': 1\n", "f.yaml:1:1: an empty key, expected a name\n");
    assert_reads("a: \"x\\0y\"\n", "f.yaml:1:4: the character U+0000, expected text without it\n");
    assert_reads("", "f.yaml: the file is empty, expected a map\n");
    assert_reads("# nothing\n", "f.yaml: the file is empty, expected a map\n");
}

static void test_yaml__tells_all_keys_that_stand_twice(void **state)
{
    (void)state;
    assert_reads("a: 1\nb: {c: 1, c: 2}\na: 3\n\"a\": 4\n",
                 "f.yaml:2:11: the key \"c\" stands in line 2 already, expected it once\n"
                 "f.yaml:3:1: the key \"a\" stands in line 1 already, expected it once\n"
                 "f.yaml:4:1: the key \"a\" stands in line 3 already, expected it once\n");
}

/* Who reads a map may rely on it: a second list of fields would be read into the room of the first. */
static void test_yaml__a_key_that_stands_twice_has_its_first_value(void **state)
{
    const struct mr_yaml *root = read_slice(mr_slice_of("a: 1\nb: {c: 1, c: 2, d: 3, c: 4}\na: 3\n"));
    struct mr_buf out = {0};

    (void)state;
    assert_non_null(root);
    assert_int_equal(problems.found, 3);
    assert_int_equal(root->count, 2);
    assert_int_equal(mr_yaml_get(root, "b")->count, 2);
    assert_true(mr_yaml_json(root, &out));
    assert_slice_equal(buf_slice(&out), "{\"a\":1,\"b\":{\"c\":1,\"d\":3}}");
    mr_buf_fini(&out);
}

static void test_yaml__tells_where_the_syntax_ends(void **state)
{
    (void)state;
    assert_reads("a: [1, 2\nb: 3\n", "f.yaml:2:2: did not find expected ',' or ']' while parsing a flow sequence, expected YAML\n");
    assert_reads("a:\n\t- 1\n", "f.yaml:2:1: found character that cannot start any token while scanning for the next token, expected YAML\n");
}

static void test_yaml__refuses_what_is_not_utf8(void **state)
{
    (void)state;
    assert_reads("a: 1\nb: \xc3\xa4\xff\n", "f.yaml:2:5: the byte 0xff is not UTF-8, or is U+0000, expected UTF-8 text\n");
    assert_reads("\xff\xfe" "a", "f.yaml:1:1: the byte 0xff is not UTF-8, or is U+0000, expected UTF-8 text\n");
    assert_reads("a: \xed\xa0\x80", "f.yaml:1:4: the byte 0xed is not UTF-8, or is U+0000, expected UTF-8 text\n");
    assert_reads("a: \xc3", "f.yaml:1:4: the byte 0xc3 is not UTF-8, or is U+0000, expected UTF-8 text\n");
    assert_null(read_slice((struct mr_slice){"a: \0", 4}));
    assert_int_equal(problems.found, 1);
}

/* `part` as often as wanted, between two ends. */
static struct mr_buf repeat(const char *begin, const char *part, size_t times, const char *end)
{
    struct mr_buf text = {0};

    mr_buf_text(&text, begin);
    for (size_t i = 0; i < times; i++)
        mr_buf_text(&text, part);
    mr_buf_text(&text, end);
    return text;
}

static void assert_refused_quickly(struct mr_buf text, const char *reason)
{
    struct stopwatch watch = stopwatch_start();
    struct mr_buf told = {0};

    assert_null(read_slice(buf_slice(&text)));
    mr_problems_print(&problems, &told);
    mr_buf_char(&told, '\0');
    if (strstr(told.data, reason) == NULL)
        fail_test("%s does not say: %s", told.data, reason);
    assert_took(&watch, 0, 5000);
    assert_true(arena.taken < 32 * 1024 * 1024);
    mr_problems_fini(&problems);
    mr_buf_fini(&told);
    mr_buf_fini(&text);
}

static void test_yaml__refuses_too_much(void **state)
{
    (void)state;
    assert_refused_quickly(repeat("a: '", "0123456789", 200000, "'"), "f.yaml: the file has 2000005 bytes, expected 1048576 at most");
    assert_refused_quickly(repeat("[", "1,", 500000, "]"), "the file has more than 20000 values, expected fewer");
    assert_refused_quickly(repeat("", "[", 1000, ""), "f.yaml:1:17: more than 16 levels, expected fewer");
    assert_refused_quickly(repeat("", "{a: ", 1000, ""), "f.yaml:1:65: more than 16 levels, expected fewer");
    assert_refused_quickly(repeat("", "- ", 500000, ""), "f.yaml:1:33: more than 16 levels, expected fewer");
    assert_refused_quickly(repeat("", "[", 1000000, ""), "more than 16 levels");
    assert_refused_quickly(repeat("", "? ", 500000, ""), "expected");
    assert_refused_quickly(repeat("a: {", "a: 1, ", 9000, ""), "expected");
}

static void test_yaml__a_thousand_keys_twice_are_counted_and_a_hundred_told(void **state)
{
    struct mr_buf text = repeat("", "a: 1\n", 5000, "");
    struct mr_buf told = {0};
    unsigned lines = 0;

    (void)state;
    assert_non_null(read_slice(buf_slice(&text)));
    assert_int_equal(problems.found, 4999);
    assert_int_equal(problems.count, MR_PROBLEMS_KEPT);
    mr_problems_print(&problems, &told);
    for (size_t i = 0; i < told.len; i++)
        lines += told.data[i] == '\n';
    assert_int_equal(lines, MR_PROBLEMS_TOLD + 1);
    mr_buf_char(&told, '\0');
    assert_non_null(strstr(told.data, "\nand 4899 more\n"));
    mr_buf_fini(&told);
    mr_buf_fini(&text);
}

static void test_yaml__numbers_that_json_cannot_say_are_no_json(void **state)
{
    static const char *const numbers[] = {"0x1f", "0o17", "007", "+1", ".5", "1.", ".inf", "-.INF", ".nan", NULL};

    (void)state;
    for (const char *const *n = numbers; *n != NULL; n++) {
        const struct mr_yaml *root = read_slice(mr_slice_of(*n));
        struct mr_buf out = {0};

        assert_non_null(root);
        assert_true(root->kind == MR_YAML_INTEGER || root->kind == MR_YAML_FLOAT);
        if (mr_yaml_json(root, &out))
            fail_test("%s is JSON", *n);
        mr_buf_fini(&out);
    }
}

static void test_quote__is_one_line_and_cut_at_a_character(void **state)
{
    char room[MR_QUOTE_ROOM];

    (void)state;
    assert_string_equal(mr_quote(room, "a\nb"), "\"a?b\"");
    mr_quote(room, "x\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
                   "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4");
    assert_int_equal(strlen(room), 1 + 1 + 27 * 2 + 3 + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_yaml__is_read_with_the_core_schema, setup, teardown),
        cmocka_unit_test_setup_teardown(test_yaml__knows_the_place_of_every_node, setup, teardown),
        cmocka_unit_test_setup_teardown(test_yaml__refuses_what_means_something_else_than_it_shows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_yaml__tells_all_keys_that_stand_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(test_yaml__a_key_that_stands_twice_has_its_first_value, setup, teardown),
        cmocka_unit_test_setup_teardown(test_yaml__tells_where_the_syntax_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_yaml__refuses_what_is_not_utf8, setup, teardown),
        cmocka_unit_test_setup_teardown(test_yaml__refuses_too_much, setup, teardown),
        cmocka_unit_test_setup_teardown(test_yaml__a_thousand_keys_twice_are_counted_and_a_hundred_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_yaml__numbers_that_json_cannot_say_are_no_json, setup, teardown),
        cmocka_unit_test_setup_teardown(test_quote__is_one_line_and_cut_at_a_character, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
