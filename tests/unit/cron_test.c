#include "scheduler/cron.h"

#include <jansson.h>
#include <time.h>

#include "proto/timestamp.h"
#include "scheduler/zone.h"
#include "tests/support/test.h"

#define SECONDS_PER_DAY 86400

static const char vectors_file[] = MR_SOURCE_DIR "/infrastructure/test/cron-vectors.json"; /* the deployment's check reads it too */
static const char ticks_file[] = MR_SOURCE_DIR "/tests/data/cron/next.json";               /* tells what made it */

static json_t *load(const char *path)
{
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error);

    if (root == NULL)
        fail_test("%s:%d: %s", path, error.line, error.text);
    return root;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    if (text == NULL)
        fail_test("a row has no %s", key);
    return text;
}

static int64_t ms_of(const char *text)
{
    int64_t micros;

    if (!mr_timestamp_parse(&micros, text, strlen(text)))
        fail_test("%s is no instant", text);
    return micros / 1000;
}

static struct mr_cron cron_of(const char *text)
{
    struct mr_cron cron = {0};
    struct mr_cron_problem problem;

    if (!mr_cron_parse(&cron, mr_slice_of(text), &problem))
        fail_test("\"%s\" was refused at %zu: %s", text, problem.position, problem.reason);
    return cron;
}

/* Opened once and kept until the end. */
static struct {
    const char *name;
    struct mr_zone *zone;
} zones[] = {
    {.name = "UTC"},
    {.name = "Asia/Kolkata"},
    {.name = "Europe/Berlin"},
    {.name = "America/New_York"},
    {.name = "Australia/Lord_Howe"},
    {.name = "Pacific/Apia"},
    {.name = "Antarctica/Troll"},
};

static const struct mr_zone *zone_of(const char *name)
{
    for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++) {
        if (strcmp(zones[i].name, name) != 0)
            continue;
        if (zones[i].zone == NULL && mr_zone_new(&zones[i].zone, name) != MR_OK)
            fail_test("zone %s was refused; is tzdata installed?", name);
        return zones[i].zone;
    }
    fail_test("zone %s is not among the test's", name);
    return NULL;
}

static int close_zones(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++)
        mr_zone_destroy(&zones[i].zone);
    return 0;
}

/* ---- Reading ---- */

static void test_cron__takes_what_the_deployment_takes(void **state)
{
    json_t *root = load(vectors_file);
    json_t *cron;
    size_t i;

    (void)state;
    assert_true(json_array_size(json_object_get(root, "good")) > 20);
    json_array_foreach(json_object_get(root, "good"), i, cron)
        (void)cron_of(json_string_value(cron));
    json_decref(root);
}

static void test_cron__refuses_with_the_positions_and_reasons_of_the_deployment(void **state)
{
    json_t *root = load(vectors_file);
    json_t *row;
    size_t i;

    (void)state;
    assert_true(json_array_size(json_object_get(root, "bad")) > 20);
    json_array_foreach(json_object_get(root, "bad"), i, row) {
        const char *text = text_of(row, "cron");
        struct mr_cron cron;
        struct mr_cron_problem problem;

        if (mr_cron_parse(&cron, mr_slice_of(text), &problem))
            fail_test("\"%s\" was taken", text);
        if (problem.position != (size_t)json_integer_value(json_object_get(row, "at")) || strcmp(problem.reason, text_of(row, "reason")) != 0)
            fail_test("\"%s\" was refused at %zu: %s", text, problem.position, problem.reason);
    }
    json_decref(root);
}

static void test_cron__a_refusal_leaves_the_result_alone_and_an_expression_the_problem(void **state)
{
    struct mr_cron cron = cron_of("1 2 3 4 5");
    struct mr_cron before = cron;
    struct mr_cron_problem problem = {.position = 77};

    (void)state;
    assert_false(mr_cron_parse(&cron, MR_SLICE("0 0 30 2 *"), &problem));
    assert_memory_equal(&cron, &before, sizeof cron);
    problem.position = 77;
    assert_true(mr_cron_parse(&cron, MR_SLICE("* * * * *"), &problem));
    assert_int_equal(problem.position, 77);
}

/* The reason quotes what was found, however long: it ends at a character. */
static void test_cron__a_long_reason_is_cut_between_characters(void **state)
{
    char text[600] = "0 0 * * ";
    struct mr_cron cron;
    struct mr_cron_problem problem;

    (void)state;
    for (size_t pad = 0; pad < 3; pad++) {
        size_t len = 8;

        for (size_t i = 0; i < pad; i++)
            text[len++] = 'x';
        while (len + 3 < sizeof text) {
            memcpy(text + len, "☃", 3);
            len += 3;
        }
        assert_false(mr_cron_parse(&cron, (struct mr_slice){text, len}, &problem));
        assert_in_range(strlen(problem.reason), MR_CRON_REASON - 5, MR_CRON_REASON - 1);
        assert_memory_equal(problem.reason + strlen(problem.reason) - 3, "☃", 3);
    }
}

static void test_cron__is_paced_when_minute_or_hour_begins_with_a_star(void **state)
{
    static const char *const paced[] = {"* * * * *",       "*/15 1-3 * * *", "30 * * * *",      "0 */2 * * *",
                                        "*,5 2 * * *",     "0 */5 * * * *",  "@hourly",         "*/30 * * * * *"};
    static const char *const fixed[] = {"30 2 * * *",      "0 1-3 * * *",    "0 0-23/2 * * *",  "0-59 0-23 * * *",
                                        "* 30 2 * * *",    "5,*/5 2 * * *",  "@daily",          "@weekly"};

    (void)state;
    for (size_t i = 0; i < sizeof paced / sizeof paced[0]; i++)
        if (!cron_of(paced[i]).paced)
            fail_test("%s is not paced", paced[i]);
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        if (cron_of(fixed[i]).paced)
            fail_test("%s is paced", fixed[i]);
}

/* ---- Ticks ---- */

static void check_row(const json_t *row, const struct mr_zone *zone)
{
    const char *text = text_of(row, "cron");
    struct mr_cron cron = cron_of(text);
    int64_t at = ms_of(text_of(row, "after"));
    json_t *tick;
    size_t i;

    assert_true(json_array_size(json_object_get(row, "next")) > 0);
    json_array_foreach(json_object_get(row, "next"), i, tick) {
        char have[MR_TIMESTAMP_TEXT + 1] = "none";
        int64_t after = at;

        if (mr_cron_next(&cron, zone, after, &at))
            mr_timestamp_format(have, at * 1000);
        if (at != ms_of(json_string_value(tick)))
            fail_test("%s in %s after %s: tick %zu is %s, not %s", text, text_of(row, "zone"), text_of(row, "after"), i + 1, have,
                      json_string_value(tick));
    }
}

static void test_cron__agrees_with_an_independent_table(void **state)
{
    json_t *root = load(ticks_file);
    json_t *rows = json_object_get(root, "rows");
    json_t *row;
    size_t i;

    (void)state;
    assert_true(json_array_size(rows) > 500);
    json_array_foreach(rows, i, row)
        check_row(row, zone_of(text_of(row, "zone")));
    json_decref(root);
}

static bool fits(const struct mr_cron *cron, const struct tm *tm)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = tm->tm_year + 1900;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    bool last = tm->tm_mday == lengths[tm->tm_mon] + (leap && tm->tm_mon == 1);
    bool day = (cron->days >> tm->tm_mday & 1) != 0 || (cron->last_day && last);
    bool weekday = (cron->weekdays >> tm->tm_wday & 1) != 0;

    return (cron->seconds >> tm->tm_sec & 1) != 0 && (cron->minutes >> tm->tm_min & 1) != 0 && (cron->hours >> tm->tm_hour & 1) != 0 &&
           (cron->months >> (tm->tm_mon + 1) & 1) != 0 && (cron->any_day || cron->any_weekday ? day && weekday : day || weekday);
}

/* A field by chance; now and then a wildcard, so that ticks are neither all nor none. */
static void any_field(uint64_t *seed, char *out, size_t size, unsigned low, unsigned high)
{
    unsigned a = low + random_below(seed, high - low + 1);
    unsigned b = low + random_below(seed, high - low + 1);

    switch (random_below(seed, 6)) {
    case 0: snprintf(out, size, "%u", a); break;
    case 1: snprintf(out, size, "*/%u", 1 + random_below(seed, high)); break;
    case 2: snprintf(out, size, "%u-%u/%u", a < b ? a : b, a < b ? b : a, 1 + random_below(seed, high)); break;
    case 3: snprintf(out, size, "%u,%u", a, b); break;
    default: snprintf(out, size, "*"); break;
    }
}

static void any_expression(uint64_t *seed, char *out, size_t size)
{
    static const unsigned limits[][2] = {{0, 59}, {0, 59}, {0, 23}, {1, 29}, {1, 12}, {0, 7}};
    size_t len = 0;

    for (size_t i = random_below(seed, 2); i < 6; i++) {
        any_field(seed, out + len, size - len, limits[i][0], limits[i][1]);
        len += strlen(out + len);
        if (i == 3 && random_below(seed, 4) == 0)
            len += (size_t)snprintf(out + len, size - len, ",L");
        if (i < 5)
            out[len++] = ' ';
    }
    out[len] = '\0';
}

/* Every second of some days, as the C library shows it in the zone that TZ names. */
struct days {
    int64_t from;
    size_t count;
    struct tm *shown;
    bool *seen; /* the clocks showed this or a later time before */
};

static void show_days(struct days *self, const char *zone, int64_t from, size_t count)
{
    int64_t latest = INT64_MIN;

    *self = (struct days){from, count, malloc(count * sizeof(struct tm)), malloc(count * sizeof(bool))};
    assert_non_null(self->shown);
    assert_non_null(self->seen);
    setenv("TZ", zone, 1);
    tzset();
    for (size_t i = 0; i < count; i++) {
        time_t at = (time_t)(from + (int64_t)i);
        int64_t local;

        localtime_r(&at, &self->shown[i]);
        local = at + self->shown[i].tm_gmtoff;
        self->seen[i] = local <= latest;
        if (local > latest)
            latest = local;
    }
    unsetenv("TZ");
    tzset();
}

static void forget_days(struct days *self)
{
    free(self->shown);
    free(self->seen);
}

/* Walks the ticks of the days and looks at every second between them. Returns their number. */
static size_t compare_days(const struct days *days, const struct mr_zone *zone, const char *text)
{
    struct mr_cron cron = cron_of(text);
    int64_t next = 0;
    bool some = mr_cron_next(&cron, zone, days->from * 1000 - 1, &next);
    size_t ticks = 0;

    for (size_t i = 0; i < days->count; i++) {
        int64_t at = days->from + (int64_t)i;
        bool due = fits(&cron, &days->shown[i]) && (cron.paced || !days->seen[i]);
        int64_t now = next;

        if (due != (some && next == at * 1000))
            fail_test("%s: %lld is %s tick; next was %lld", text, (long long)at, due ? "a" : "no", (long long)next);
        if (!due)
            continue;
        ticks++;
        some = mr_cron_next(&cron, zone, now + (int64_t)(i % 1000), &next); /* from within the second, too */
        assert_true(!some || next > now);
    }
    return ticks;
}

/* Brute force: three days around each change of clocks, and around ends of months without one. */
static void test_cron__every_tick_fits_and_none_is_missed(void **state)
{
    static const struct {
        const char *zone;
        const char *middle;
    } places[] = {
        {"UTC", "2028-02-29T12:00:00Z"},
        {"UTC", "2027-12-31T23:00:00Z"},
        {"Asia/Kolkata", "2026-10-31T12:00:00Z"},
        {"Europe/Berlin", "2026-03-29T01:00:00Z"},
        {"Europe/Berlin", "2026-10-25T01:00:00Z"},
        {"America/New_York", "2027-03-14T07:00:00Z"},
        {"America/New_York", "2027-11-07T06:00:00Z"},
        {"Australia/Lord_Howe", "2025-10-04T15:30:00Z"},
        {"Australia/Lord_Howe", "2026-04-04T15:00:00Z"},
        {"Pacific/Apia", "2011-12-30T10:00:00Z"},  /* a day that was not */
        {"Antarctica/Troll", "2026-10-25T01:00:00Z"}, /* two hours */
    };
    uint64_t seed = 5;
    size_t ticks = 0;

    (void)state;
    for (size_t p = 0; p < sizeof places / sizeof places[0]; p++) {
        const struct mr_zone *zone = zone_of(places[p].zone);
        struct days days;

        show_days(&days, places[p].zone, ms_of(places[p].middle) / 1000 - SECONDS_PER_DAY * 3 / 2, (size_t)SECONDS_PER_DAY * 3);
        for (int n = 0; n < 25; n++) {
            char text[128];

            any_expression(&seed, text, sizeof text);
            ticks += compare_days(&days, zone, text);
        }
        ticks += compare_days(&days, zone, "30 2 * * *");
        ticks += compare_days(&days, zone, "*/20 * * * *");
        forget_days(&days);
    }
    assert_true(ticks > 10000);
}

static void assert_next(const char *text, const struct mr_zone *zone, const char *after, const char *want)
{
    struct mr_cron cron = cron_of(text);
    char have[MR_TIMESTAMP_TEXT + 1] = "none";
    int64_t at;

    if (mr_cron_next(&cron, zone, ms_of(after), &at))
        mr_timestamp_format(have, at * 1000);
    if (strcmp(have, want) != 0)
        fail_test("%s after %s: %s, not %s", text, after, have, want);
}

static void test_cron__a_tick_is_strictly_after_and_on_a_whole_second(void **state)
{
    const struct mr_zone *utc = zone_of("UTC");

    (void)state;
    assert_next("* * * * * *", utc, "2026-01-01T00:00:00.000Z", "2026-01-01T00:00:01.000Z");
    assert_next("* * * * * *", utc, "2026-01-01T00:00:00.001Z", "2026-01-01T00:00:01.000Z");
    assert_next("* * * * * *", utc, "2026-01-01T00:00:00.999Z", "2026-01-01T00:00:01.000Z");
    assert_next("0 0 1 1 *", utc, "2025-12-31T23:59:59.999Z", "2026-01-01T00:00:00.000Z");
}

static void test_cron__ticks_are_of_the_years_1970_to_9999(void **state)
{
    const struct mr_zone *utc = zone_of("UTC");
    const struct mr_zone *new_york = zone_of("America/New_York");

    (void)state;
    assert_next("* * * * * *", utc, "0001-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z");
    assert_next("0 * * * *", new_york, "1969-12-31T12:00:00Z", "1970-01-01T00:00:00.000Z");
    assert_next("0 20 31 12 *", new_york, "1969-12-31T12:00:00Z", "1970-01-01T01:00:00.000Z");
    assert_next("* * * * * *", utc, "9999-12-31T23:59:58Z", "9999-12-31T23:59:59.000Z");
    assert_next("* * * * * *", utc, "9999-12-31T23:59:59Z", "none");
    assert_next("0 0 29 2 *", utc, "9996-02-29T00:00:00Z", "none");
    assert_next("0 0 29 2 MON", utc, "9996-03-01T00:00:00Z", "9997-02-03T00:00:00.000Z");
}

/* Rules that go on for ever, past the dates that a zone's file spells out and past the table that is kept. */
static void test_cron__knows_the_clocks_of_centuries_to_come(void **state)
{
    const struct mr_zone *berlin = zone_of("Europe/Berlin");

    (void)state;
    assert_next("0 12 * * *", berlin, "2499-12-31T18:00:00Z", "2500-01-01T11:00:00.000Z");
    assert_next("0 12 * 7 *", berlin, "2500-01-01T00:00:00Z", "2500-07-01T10:00:00.000Z");
    assert_next("0 12 * 7 *", berlin, "2899-08-01T00:00:00Z", "2900-07-01T10:00:00.000Z");
    assert_next("0 12 * 1 *", berlin, "9998-02-01T00:00:00Z", "9999-01-01T11:00:00.000Z");
    /* The last Sunday of March and of October, 3026: the 25th and the 28th, by the Gregorian rule. */
    assert_next("30 2 25-31 3 *", berlin, "3026-03-25T12:00:00Z", "3026-03-27T00:30:00.000Z");
    assert_next("30 2 31 10 *", berlin, "3026-10-01T12:00:00Z", "3026-10-31T01:30:00.000Z");
}

static void test_cron__ends_when_every_time_is_in_a_gap(void **state)
{
    const struct mr_zone *berlin = zone_of("Europe/Berlin");
    const struct mr_zone *utc = zone_of("UTC");

    (void)state;
    assert_next("30 2 25-31 3 */7", berlin, "2026-01-01T00:00:00Z", "none");
    assert_next("30 2 25-31 3 */7", utc, "2026-01-01T00:00:00Z", "2026-03-29T02:30:00.000Z");
}

static void test_cron__says_whether_it_never_fires(void **state)
{
    static const struct {
        const char *expression, *zone;
        bool never;
    } cases[] = {{"30 2 25-31 3 */7", "Europe/Berlin", true}, {"30 2 25-31 3 */7", "UTC", false},           {"0 0 29 2 MON", "Europe/Berlin", false},
                 {"0 0 29 2 *", "Europe/Berlin", false},      {"30 2 25-31 3 */7", "Mars/Olympus", false}, {"nonsense", "Europe/Berlin", false}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (mr_cron_never_fires(mr_slice_of(cases[i].expression), cases[i].zone, 1790000000000) != cases[i].never)
            fail_test("%s in %s: expected %s", cases[i].expression, cases[i].zone, cases[i].never ? "never" : "a tick");
}

/* ---- Zones ---- */

static void test_zone__refuses_names_that_are_none(void **state)
{
    static const char *const bad[] = {"",     "Mars/Olympus",  "Europe",        "europe/berlin",    "Europe/Berlin/",        "/usr/share/zoneinfo/UTC", "/Europe/Berlin",
                                      "utc ", "../zoneinfo/UTC", "Europe/../UTC", ":Europe/Berlin", "CET-1CEST,M3.5.0,M10.5.0", "zone.tab",
                                      "+02:00", "<+02>-2",     "UTC0",          "tzdata.zi"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct mr_zone *zone = NULL;

        if (mr_zone_new(&zone, bad[i]) != MR_NOT_FOUND)
            fail_test("\"%s\" was taken", bad[i]);
        assert_null(zone);
    }
}

/* Changes a week apart, Ramadan of decades to come, half an hour: every twelve hours, as the C library shows them. */
static void test_zone__agrees_with_the_c_library(void **state)
{
    static const char *const names[] = {"America/Boa_Vista", "Asia/Gaza", "Africa/Casablanca", "Australia/Lord_Howe", "Europe/London"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct mr_zone *zone = NULL;

        assert_int_equal(mr_zone_new(&zone, names[i]), MR_OK);
        setenv("TZ", names[i], 1);
        tzset();
        for (int64_t at = 0; at < ms_of("2100-01-01T00:00:00Z") / 1000; at += SECONDS_PER_DAY / 2) {
            time_t second = (time_t)at;
            struct tm tm;

            localtime_r(&second, &tm);
            if (tm.tm_gmtoff != mr_zone_at(zone, at).offset)
                fail_test("%s at %lld: %lld, not %ld", names[i], (long long)at, (long long)mr_zone_at(zone, at).offset, tm.tm_gmtoff);
        }
        mr_zone_destroy(&zone);
    }
    unsetenv("TZ");
    tzset();
}

static void test_zone__leaves_the_environment_as_it_was(void **state)
{
    struct mr_zone *zone = NULL;

    (void)state;
    setenv("TZ", "Asia/Kolkata", 1);
    tzset();
    assert_int_equal(mr_zone_new(&zone, "Europe/Berlin"), MR_OK);
    assert_string_equal(getenv("TZ"), "Asia/Kolkata");
    assert_int_equal(timezone, -19800);
    mr_zone_destroy(&zone);
    unsetenv("TZ");
    tzset();
    assert_int_equal(mr_zone_new(&zone, "Europe/Berlin"), MR_OK);
    assert_null(getenv("TZ"));
    mr_zone_destroy(&zone);
    assert_null(zone);
    mr_zone_destroy(&zone);
}

static void test_zone__utc_needs_no_file(void **state)
{
    struct mr_zone *zone = NULL;
    struct mr_zone *other = NULL;

    (void)state;
    setenv("TZDIR", "/nonexistent", 1);
    assert_int_equal(mr_zone_new(&zone, "UTC"), MR_OK);
    assert_int_equal(mr_zone_new(&other, "Europe/Berlin"), MR_NOT_FOUND);
    unsetenv("TZDIR");
    assert_int_equal(mr_zone_at(zone, 0).offset, 0);
    assert_true(mr_zone_at(zone, INT64_C(200000000000)).until == INT64_MAX);
    mr_zone_destroy(&zone);
}

static void test_zone__spans_meet_and_tell_where_the_clocks_show_something_new(void **state)
{
    const struct mr_zone *zone = zone_of("Europe/Berlin");
    int64_t change = ms_of("2026-10-25T01:00:00Z") / 1000;
    struct mr_zone_span summer = mr_zone_at(zone, change - 1);
    struct mr_zone_span winter = mr_zone_at(zone, change);

    (void)state;
    assert_int_equal(summer.offset, 7200);
    assert_int_equal(summer.fresh, ms_of("2026-03-29T01:00:00Z") / 1000);
    assert_int_equal(summer.until, change);
    assert_int_equal(winter.offset, 3600);
    assert_int_equal(winter.fresh, change + 3600);
    assert_int_equal(winter.until, ms_of("2027-03-28T01:00:00Z") / 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cron__takes_what_the_deployment_takes),
        cmocka_unit_test(test_cron__refuses_with_the_positions_and_reasons_of_the_deployment),
        cmocka_unit_test(test_cron__a_refusal_leaves_the_result_alone_and_an_expression_the_problem),
        cmocka_unit_test(test_cron__a_long_reason_is_cut_between_characters),
        cmocka_unit_test(test_cron__is_paced_when_minute_or_hour_begins_with_a_star),
        cmocka_unit_test(test_cron__agrees_with_an_independent_table),
        cmocka_unit_test(test_cron__every_tick_fits_and_none_is_missed),
        cmocka_unit_test(test_cron__a_tick_is_strictly_after_and_on_a_whole_second),
        cmocka_unit_test(test_cron__ticks_are_of_the_years_1970_to_9999),
        cmocka_unit_test(test_cron__knows_the_clocks_of_centuries_to_come),
        cmocka_unit_test(test_cron__ends_when_every_time_is_in_a_gap),
        cmocka_unit_test(test_cron__says_whether_it_never_fires),
        cmocka_unit_test(test_zone__refuses_names_that_are_none),
        cmocka_unit_test(test_zone__agrees_with_the_c_library),
        cmocka_unit_test(test_zone__leaves_the_environment_as_it_was),
        cmocka_unit_test(test_zone__utc_needs_no_file),
        cmocka_unit_test(test_zone__spans_meet_and_tell_where_the_clocks_show_something_new),
    };

    return cmocka_run_group_tests(tests, NULL, close_zones);
}
