/*
 * The figures belong to the process, and a line tells what came since the one before: each test begins with a line.
 */
#include "runtime/metrics.h"

#include <jansson.h>
#include <pthread.h>

#include "tests/support/test.h"

#define COUNT MR_METRIC_IS_COUNT
#define MOST  MR_METRIC_IS_MOST

static const struct mr_metric_info table[] = {
#define M(name, ...) {__VA_ARGS__},
#define LAST MR_METRIC_IS_LAST
    MR_METRICS(M)
#undef LAST
#undef M
};

enum { MINUTE_MS = 60000 };

static struct test_clock now;

/* The line at hand; a new minute begins. */
static json_t *line_at(int64_t wall_ms)
{
    struct mr_buf text = {0};
    json_error_t error;
    json_t *line;

    mr_metrics_emf(&text, wall_ms);
    assert_false(text.failed);
    assert_true(text.len > 0 && text.data[text.len - 1] == '\n');
    assert_ptr_equal(memchr(text.data, '\n', text.len), text.data + text.len - 1);
    line = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &error);
    if (line == NULL)
        fail_test("%s in %.*s", error.text, (int)text.len, text.data);
    mr_buf_fini(&text);
    return line;
}

/* A figure of the line; -1 when it is not told. */
static int64_t figure(const json_t *line, const char *name)
{
    const json_t *value = json_object_get(line, name);

    return json_is_integer(value) ? json_integer_value(value) : -1;
}

static int64_t next_figure(const char *name)
{
    json_t *line = line_at(0);
    int64_t value = figure(line, name);

    json_decref(line);
    return value;
}

static int setup(void **state)
{
    (void)state;
    mr_metrics_setup("AS", "all", false);
    for (int i = 0; i < MR_METRIC_COUNT; i++)
        if (table[i].kind == MR_METRIC_IS_LAST)
            mr_metric_show((enum mr_metric)i, 0);
    json_decref(line_at(0));
    return 0;
}

/* ---- The line ---- */

static const json_t *directive(const json_t *line)
{
    const json_t *directives = json_object_get(json_object_get(line, "_aws"), "CloudWatchMetrics");

    assert_int_equal(json_array_size(directives), 1);
    return json_array_get(directives, 0);
}

/* Embedded metric format: a namespace, the sets of dimensions, the metrics; dimensions and figures are members of the root. */
static void test_metrics__a_line_is_of_the_embedded_metric_format(void **state)
{
    json_t *line = line_at(INT64_C(1767225600123));
    const json_t *dimensions = json_object_get(directive(line), "Dimensions");
    const json_t *metrics = json_object_get(directive(line), "Metrics");
    const json_t *metric;
    size_t i;

    (void)state;
    assert_int_equal(json_integer_value(json_object_get(json_object_get(line, "_aws"), "Timestamp")), 1767225600123);
    assert_string_equal(json_string_value(json_object_get(directive(line), "Namespace")), "Millrace");
    assert_int_equal(json_array_size(dimensions), 1);
    assert_int_equal(json_array_size(json_array_get(dimensions, 0)), 1);
    assert_string_equal(json_string_value(json_array_get(json_array_get(dimensions, 0), 0)), "Role");
    assert_string_equal(json_string_value(json_object_get(line, "Role")), "all");
    assert_in_range(json_array_size(metrics), 1, 100); /* CloudWatch takes no more */
    json_array_foreach(metrics, i, metric) {
        const char *unit = json_string_value(json_object_get(metric, "Unit"));

        assert_non_null(strstr(" Count Milliseconds Microseconds Bytes ", unit)); /* of CloudWatch's list */
    }
    json_decref(line);
}

/* A figure that the directive does not name is no metric; one that it names and the line has not is an error. */
static void assert_names_what_it_tells(const json_t *line)
{
    const json_t *metrics = json_object_get(directive(line), "Metrics");
    const json_t *metric;
    size_t i;

    json_array_foreach(metrics, i, metric)
        assert_true(figure(line, json_string_value(json_object_get(metric, "Name"))) >= 0);
    assert_int_equal(json_object_size(line), 2 + json_array_size(metrics)); /* _aws and Role */
}

/* A name may have any character. */
static void test_emf__names_the_environment_beside_the_role(void **state)
{
    json_t *line;
    json_t *dimensions;

    (void)state;
    mr_metrics_name_environment("shop-\"dev\"");
    line = line_at(0);
    assert_string_equal(json_string_value(json_object_get(line, "Environment")), "shop-\"dev\"");
    dimensions = json_array_get(json_object_get(json_array_get(json_object_get(json_object_get(line, "_aws"), "CloudWatchMetrics"), 0),
                                                "Dimensions"),
                                0);
    assert_int_equal(json_array_size(dimensions), 2);
    assert_string_equal(json_string_value(json_array_get(dimensions, 0)), "Environment");
    assert_string_equal(json_string_value(json_array_get(dimensions, 1)), "Role");
    json_decref(line);
    mr_metrics_name_environment("");
    line = line_at(0);
    assert_null(json_object_get(line, "Environment"));
    json_decref(line);
}

static void assert_line_of(const char *roles, const char *role, const char *told, const char *not_told)
{
    json_t *line;

    mr_metrics_setup(roles, role, false);
    line = line_at(0);
    assert_names_what_it_tells(line);
    assert_string_equal(json_string_value(json_object_get(line, "Role")), role);
    for (size_t i = 0; i < MR_METRIC_COUNT; i++)
        assert_int_equal(figure(line, table[i].cloudwatch) >= 0, strpbrk(table[i].roles, roles) != NULL);
    assert_true(figure(line, told) >= 0);
    assert_true(figure(line, "Messages") >= 0);
    if (not_told != NULL)
        assert_int_equal(figure(line, not_told), -1);
    json_decref(line);
}

static void test_metrics__a_role_tells_its_own_figures(void **state)
{
    (void)state;
    assert_line_of("A", "api", "Requests", "Ticks");
    assert_line_of("S", "scheduler", "Ticks", "Requests");
    assert_line_of("AS", "all", "Requests", NULL);
    assert_line_of("AS", "all", "Ticks", NULL);
}

static void test_metrics__names_are_unique_and_documented(void **state)
{
    (void)state;
    for (size_t i = 0; i < MR_METRIC_COUNT; i++) {
        assert_true(strlen(table[i].about) >= 8);
        assert_true(strcmp(table[i].roles, "A") == 0 || strcmp(table[i].roles, "S") == 0 || strcmp(table[i].roles, "AS") == 0);
        assert_string_not_equal(table[i].cloudwatch, "Role");
        assert_string_not_equal(table[i].cloudwatch, "_aws");
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(table[i].cloudwatch, table[j].cloudwatch);
    }
}

/* docs/metrics.md lists them, for whoever makes an alarm. */
static void test_metrics__every_name_is_in_the_documentation(void **state)
{
    struct mr_buf text = {0};
    FILE *file = fopen(MR_SOURCE_DIR "/docs/metrics.md", "r");
    char chunk[4096];
    size_t len;

    (void)state;
    assert_non_null(file);
    while ((len = fread(chunk, 1, sizeof chunk, file)) > 0)
        mr_buf_append(&text, chunk, len);
    fclose(file);
    mr_buf_char(&text, '\0');
    for (size_t i = 0; i < MR_METRIC_COUNT; i++) {
        char name[64];

        snprintf(name, sizeof name, "`%s`", table[i].cloudwatch);
        if (strstr(text.data, name) == NULL)
            fail_test("%s is not documented", name);
    }
    mr_buf_fini(&text);
}

/* ---- Figures ---- */

/* Also when there is nothing to tell: an alarm that finds no figures would say that nobody runs. */
static void test_metrics__a_minute_in_which_nothing_was_is_zeros(void **state)
{
    json_t *line = line_at(0);

    (void)state;
    for (size_t i = 0; i < MR_METRIC_COUNT; i++)
        assert_int_equal(figure(line, table[i].cloudwatch), 0);
    json_decref(line);
}

static void test_metrics__a_count_is_what_came_since_the_last_line(void **state)
{
    uint64_t before = mr_metric_value(MR_METRIC_requests);

    (void)state;
    mr_metric_add(MR_METRIC_requests, 3);
    mr_metric_add(MR_METRIC_requests, 4);
    mr_metric_add(MR_METRIC_requests, 0);
    assert_int_equal(next_figure("Requests"), 7);
    assert_int_equal(next_figure("Requests"), 0);
    mr_metric_add(MR_METRIC_requests, 1);
    assert_int_equal(next_figure("Requests"), 1);
    assert_int_equal(mr_metric_value(MR_METRIC_requests), before + 8);
}

static void test_metrics__a_last_value_stays_until_there_is_another(void **state)
{
    (void)state;
    mr_metric_show(MR_METRIC_connections, 9);
    mr_metric_show(MR_METRIC_connections, 5);
    assert_int_equal(next_figure("Connections"), 5);
    assert_int_equal(next_figure("Connections"), 5);
    assert_int_equal(mr_metric_value(MR_METRIC_connections), 5);
}

static void test_metrics__a_maximum_is_of_the_time_since_the_last_line(void **state)
{
    (void)state;
    mr_metric_show(MR_METRIC_request_ms_most, 20);
    mr_metric_show(MR_METRIC_request_ms_most, 70);
    mr_metric_show(MR_METRIC_request_ms_most, 30);
    assert_int_equal(mr_metric_value(MR_METRIC_request_ms_most), 70);
    assert_int_equal(next_figure("RequestTimeMax"), 70);
    assert_int_equal(next_figure("RequestTimeMax"), 0);
    mr_metric_show(MR_METRIC_request_ms_most, 10);
    assert_int_equal(next_figure("RequestTimeMax"), 10);
}

/* Most requests take less than a millisecond; together they take many. */
static void test_metrics__short_times_add_up(void **state)
{
    int64_t told;

    (void)state;
    for (int i = 0; i < 1000; i++)
        mr_metric_request(MR_OP_livez, 200, 400);
    told = next_figure("RequestTime");
    assert_true(told == 400 || told == 401); /* a part of one may have been left before */
    assert_int_equal(next_figure("RequestTimeMax"), 0);
}

/* Each into the cell of its own, and the line tells it under its own name. */
static void test_metrics__figures_are_not_mixed_up(void **state)
{
    json_t *line;

    (void)state;
    for (int i = 0; i < MR_METRIC_COUNT; i++)
        if (table[i].kind == COUNT)
            mr_metric_add((enum mr_metric)i, (uint64_t)i + 1);
        else
            mr_metric_show((enum mr_metric)i, (uint64_t)i + 1);
    line = line_at(0);
    for (int i = 0; i < MR_METRIC_COUNT; i++)
        assert_int_equal(figure(line, table[i].cloudwatch), i + 1);
    json_decref(line);
}

/* A cell begins anew behind its greatest value; what came meanwhile is told all the same. */
static void test_metrics__a_count_that_runs_over_tells_what_came(void **state)
{
    uint64_t value = mr_metric_value(MR_METRIC_run_rows);
    struct mr_buf unread = {0}; /* its figure is more than JSON's readers take */

    (void)state;
    mr_metric_add(MR_METRIC_run_rows, UINT64_MAX - value - 2);
    mr_metrics_emf(&unread, 0);
    mr_buf_fini(&unread);
    mr_metric_add(MR_METRIC_run_rows, 10);
    assert_int_equal(mr_metric_value(MR_METRIC_run_rows), 7);
    assert_int_equal(next_figure("JobRows"), 10);
}

/* ---- Threads ---- */

enum { THREADS = 4, TIMES = 1000000 };

static pthread_barrier_t barrier;

static void run_threads(void *(*run)(void *))
{
    pthread_t threads[THREADS];
    unsigned numbers[THREADS];

    pthread_barrier_init(&barrier, NULL, THREADS);
    for (unsigned i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, run, &numbers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
}

static int64_t told;

/* The first tells lines meanwhile: what one does not tell the next one does. */
static void *count(void *argument)
{
    const unsigned *number = argument;

    pthread_barrier_wait(&barrier);
    for (unsigned i = 0; i < TIMES; i++) {
        mr_metric_add(MR_METRIC_messages, 1);
        if (*number == 0 && i % (TIMES / 100) == 0)
            told += next_figure("Messages");
    }
    return NULL;
}

static void test_metrics__threads_add_side_by_side(void **state)
{
    (void)state;
    told = 0;
    run_threads(count);
    assert_int_equal(told + next_figure("Messages"), THREADS * TIMES);
}

static _Atomic unsigned lost;

static void *rise(void *argument)
{
    const unsigned *number = argument;

    pthread_barrier_wait(&barrier);
    for (unsigned i = 0; i < TIMES; i++) {
        uint64_t value = (uint64_t)i * THREADS + *number;

        mr_metric_show(MR_METRIC_run_ms_most, value);
        lost += mr_metric_value(MR_METRIC_run_ms_most) < value;
    }
    return NULL;
}

static void test_metrics__no_thread_lowers_a_maximum(void **state)
{
    (void)state;
    lost = 0;
    run_threads(rise);
    assert_int_equal(lost, 0);
    assert_int_equal(next_figure("JobRunTimeMax"), THREADS * TIMES - 1);
}

/* ---- Once a minute ---- */

static void tick(void)
{
    mr_metrics_tick(&now.clock);
}

/* Whether a tick writes a line. */
static bool ticks(void)
{
    struct mr_buf text = capture_stderr(tick);
    bool wrote = text.len > 0;

    if (wrote) {
        json_t *line = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);

        assert_non_null(line);
        assert_int_equal(json_integer_value(json_object_get(json_object_get(line, "_aws"), "Timestamp")), now.wall_ms);
        json_decref(line);
    }
    mr_buf_fini(&text);
    return wrote;
}

static void test_metrics__nothing_is_written_unless_it_is_wanted(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_false(ticks());
        test_clock_advance(&now, MINUTE_MS);
    }
}

/* The process keeps time: nothing before this test has begun a minute. */
static void test_metrics__a_line_a_minute_is_written_when_it_is_wanted(void **state)
{
    (void)state;
    mr_metrics_setup("AS", "all", true);
    assert_false(ticks()); /* the first minute begins */
    test_clock_advance(&now, MINUTE_MS - 1);
    assert_false(ticks());
    test_clock_advance(&now, 1);
    assert_true(ticks());
    assert_false(ticks());
    test_clock_advance(&now, 10 * MINUTE_MS); /* nobody called for long: one line for all of it */
    assert_true(ticks());
    assert_false(ticks());
    test_clock_advance(&now, MINUTE_MS - 1);
    assert_false(ticks());
    now.wall_ms -= 60 * MINUTE_MS; /* set back by somebody */
    test_clock_advance(&now, 1);
    assert_true(ticks());
}

enum { MINUTES = 1000 };

static void *tick_every_minute(void *argument)
{
    const unsigned *number = argument;

    for (unsigned i = 0; i < MINUTES; i++) {
        pthread_barrier_wait(&barrier);
        if (*number == 0)
            test_clock_advance(&now, MINUTE_MS);
        pthread_barrier_wait(&barrier);
        tick();
    }
    return NULL;
}

static void tick_in_threads(void)
{
    run_threads(tick_every_minute);
}

static void test_metrics__of_many_threads_one_writes_the_line(void **state)
{
    struct mr_buf text;
    unsigned lines = 0;

    (void)state;
    mr_metrics_setup("AS", "all", true);
    tick();
    text = capture_stderr(tick_in_threads);
    for (size_t i = 0; i < text.len; i++)
        lines += text.data[i] == '\n';
    assert_int_equal(lines, MINUTES);
    mr_buf_fini(&text);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_emf__names_the_environment_beside_the_role),
        TEST(test_metrics__a_line_is_of_the_embedded_metric_format),
        TEST(test_metrics__a_role_tells_its_own_figures),
        TEST(test_metrics__names_are_unique_and_documented),
        TEST(test_metrics__every_name_is_in_the_documentation),
        TEST(test_metrics__a_minute_in_which_nothing_was_is_zeros),
        TEST(test_metrics__a_count_is_what_came_since_the_last_line),
        TEST(test_metrics__a_last_value_stays_until_there_is_another),
        TEST(test_metrics__a_maximum_is_of_the_time_since_the_last_line),
        TEST(test_metrics__short_times_add_up),
        TEST(test_metrics__figures_are_not_mixed_up),
        TEST(test_metrics__a_count_that_runs_over_tells_what_came),
        TEST(test_metrics__threads_add_side_by_side),
        TEST(test_metrics__no_thread_lowers_a_maximum),
        TEST(test_metrics__nothing_is_written_unless_it_is_wanted),
        TEST(test_metrics__a_line_a_minute_is_written_when_it_is_wanted),
        TEST(test_metrics__of_many_threads_one_writes_the_line),
    };

    test_clock_init(&now, INT64_C(1767225600000));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
