#include "runtime/log.h"

#include <jansson.h>

#include "tests/support/test.h"

static unsigned count_lines(const struct mr_buf *text)
{
    unsigned lines = 0;

    for (size_t i = 0; i < text->len; i++)
        lines += text->data[i] == '\n';
    return lines;
}

static void write_plain(void)
{
    mr_log(MR_LOG_WARN, "what happened", mr_log_text("who", "somebody"), mr_log_int("count", -5),
           mr_log_slice("part", ((struct mr_slice){"abcdef", 3})));
}

static void write_nasty(void)
{
    mr_log(MR_LOG_ERROR, "a \"quoted\"\nmessage", mr_log_text("new\nline", "x\ny\r\n\t\x01\x7f\\\""), mr_log_text("empty", ""));
}

static void write_newline_without_blank(void)
{
    mr_log(MR_LOG_ERROR, "message", mr_log_text("value", "x\n12:00:00.000Z"), mr_log_text("escape", "\x1b[31mred"));
}

static void write_ill_formed(void)
{
    mr_log(MR_LOG_ERROR, "message", mr_log_text("value", "cut \xe2\x82"), mr_log_text("other", "\xff"));
}

static void write_all_levels(void)
{
    mr_log(MR_LOG_DEBUG, "debug");
    mr_log(MR_LOG_INFO, "info");
    mr_log(MR_LOG_WARN, "warn");
    mr_log(MR_LOG_ERROR, "error");
}

static const char *member(const json_t *line, const char *name)
{
    const char *text = json_string_value(json_object_get(line, name));

    return text != NULL ? text : "(none)";
}

static void test_log__a_line_is_json(void **state)
{
    struct mr_buf text;
    json_t *line;

    (void)state;
    mr_log_setup(MR_LOG_DEBUG, true);
    text = capture_stderr(write_plain);
    assert_int_equal(count_lines(&text), 1);
    line = json_loads(text.data, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(line);
    assert_string_equal(member(line, "level"), "warn");
    assert_string_equal(member(line, "message"), "what happened");
    assert_string_equal(member(line, "who"), "somebody");
    assert_string_equal(member(line, "part"), "abc");
    assert_int_equal(json_integer_value(json_object_get(line, "count")), -5);
    assert_int_equal(strlen(member(line, "time")), 24);
    json_decref(line);
    mr_buf_fini(&text);
}

static void test_log__whatever_it_says_it_is_one_line(void **state)
{
    struct mr_buf text;
    json_t *line;

    (void)state;
    mr_log_setup(MR_LOG_DEBUG, true);
    text = capture_stderr(write_nasty);
    assert_int_equal(count_lines(&text), 1);
    line = json_loads(text.data, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(line);
    assert_string_equal(member(line, "message"), "a \"quoted\"\nmessage");
    assert_string_equal(member(line, "new\nline"), "x\ny\r\n\t\x01\x7f\\\"");
    assert_string_equal(member(line, "empty"), "");
    json_decref(line);
    mr_buf_fini(&text);
}

/* What the database or a client says is not always whole; the line has to be, or it is lost to whoever reads it. */
static void test_log__ill_formed_text_still_makes_a_line_that_parses(void **state)
{
    struct mr_buf text;
    json_t *line;

    (void)state;
    mr_log_setup(MR_LOG_DEBUG, true);
    text = capture_stderr(write_ill_formed);
    line = json_loads(text.data, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(line);
    assert_int_equal(strncmp(member(line, "value"), "cut ", 4), 0);
    json_decref(line);
    mr_buf_fini(&text);
}

static void test_log__pretty_is_for_people(void **state)
{
    struct mr_buf text;

    (void)state;
    mr_log_setup(MR_LOG_DEBUG, false);
    text = capture_stderr(write_plain);
    assert_int_equal(count_lines(&text), 1);
    assert_string_equal(text.data + 12, "  warn   what happened  who=somebody  count=-5  part=abc\n");
    mr_buf_fini(&text);
}

static void test_log__pretty_is_one_line_too(void **state)
{
    struct mr_buf text;

    (void)state;
    mr_log_setup(MR_LOG_DEBUG, false);
    text = capture_stderr(write_newline_without_blank);
    assert_int_equal(count_lines(&text), 1);
    assert_null(strchr(text.data, '\x1b'));
    mr_buf_fini(&text);
}

static void test_log__less_than_the_least_level_is_not_written(void **state)
{
    (void)state;
    for (int least = MR_LOG_DEBUG; least <= MR_LOG_ERROR; least++) {
        struct mr_buf text;

        mr_log_setup((enum mr_log_level)least, true);
        text = capture_stderr(write_all_levels);
        assert_int_equal(count_lines(&text), MR_LOG_ERROR - least + 1);
        mr_buf_fini(&text);
    }
}

static void write_flood(void)
{
    for (int burst = 0; burst < 2; burst++) {
        int64_t second = mr_mono_ms(&mr_system_clock) / 1000;

        for (int i = 0; i < 5000; i++)
            mr_log_bounded(MR_LOG_ERROR, "the same again", mr_log_int("burst", burst));
        while (burst == 0 && mr_mono_ms(&mr_system_clock) / 1000 == second)
            pause_briefly();
    }
}

/* Whatever goes wrong with every message, the log stays readable, and says what it leaves out. */
static void test_log__a_flood_is_bounded_and_counted(void **state)
{
    struct mr_buf text;
    int64_t left_out = 0;
    unsigned lines = 0;

    (void)state;
    mr_log_setup(MR_LOG_DEBUG, true);
    text = capture_stderr(write_flood);
    for (char *line = strtok(text.data, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        json_t *json = json_loads(line, 0, NULL);

        assert_non_null(json);
        left_out += json_integer_value(json_object_get(json, "leftOut"));
        lines++;
        json_decref(json);
    }
    assert_in_range(lines, 2 * MR_LOG_BURST, 5 * MR_LOG_BURST); /* a burst may go on into the next second */
    assert_in_range(left_out, 5000 - 3 * MR_LOG_BURST, 10000);
    mr_buf_fini(&text);
}

static void test_log__levels_by_name(void **state)
{
    enum mr_log_level level = MR_LOG_INFO;

    (void)state;
    assert_true(mr_log_level_parse("error", &level));
    assert_int_equal(level, MR_LOG_ERROR);
    assert_true(mr_log_level_parse("debug", &level));
    assert_int_equal(level, MR_LOG_DEBUG);
    assert_false(mr_log_level_parse("Error", &level));
    assert_false(mr_log_level_parse("", &level));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log__a_line_is_json),
        cmocka_unit_test(test_log__whatever_it_says_it_is_one_line),
        cmocka_unit_test(test_log__ill_formed_text_still_makes_a_line_that_parses),
        cmocka_unit_test(test_log__pretty_is_for_people),
        cmocka_unit_test(test_log__pretty_is_one_line_too),
        cmocka_unit_test(test_log__less_than_the_least_level_is_not_written),
        cmocka_unit_test(test_log__a_flood_is_bounded_and_counted),
        cmocka_unit_test(test_log__levels_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
