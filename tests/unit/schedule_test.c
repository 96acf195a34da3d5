#include "scheduler/schedule.h"

#include "proto/timestamp.h"
#include "scheduler/zone.h"
#include "tests/support/test.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };

static const int64_t day = INT64_C(24) * HOUR;

static int64_t ms_of(const char *text)
{
    int64_t micros;

    if (!mr_timestamp_parse(&micros, text, strlen(text)))
        fail_test("%s is no instant", text);
    return micros / 1000;
}

static const char *text_of(int64_t ms)
{
    static char text[MR_TIMESTAMP_TEXT + 1];

    mr_timestamp_format(text, ms * 1000);
    return text;
}

/* ---- A scheduler in small: the rows it has made, and what it has counted ---- */

enum { ROWS = 8192 };

static struct mr_zone *utc;
static struct mr_zone *berlin;
static struct mr_schedule schedule;
static const struct mr_zone *zone;
static enum mr_missed policy;
static int64_t rows[ROWS]; /* as the table of runs: no tick twice */
static unsigned row_count;
static unsigned next_row; /* the first that the test has not looked at */
static unsigned late;
static unsigned missed;

static int open_zones(void **state)
{
    (void)state;
    return mr_zone_new(&utc, "UTC") == MR_OK && mr_zone_new(&berlin, "Europe/Berlin") == MR_OK ? 0 : -1;
}

static int close_zones(void **state)
{
    (void)state;
    mr_zone_destroy(&utc);
    mr_zone_destroy(&berlin);
    return 0;
}

/* The schedule is first seen, or changed, at `now`. */
static void begin(const char *cron, const struct mr_zone *in, enum mr_missed missed_policy, const char *now)
{
    struct mr_cron_problem problem;

    if (!mr_cron_parse(&schedule.cron, mr_slice_of(cron), &problem))
        fail_test("\"%s\" was refused at %zu: %s", cron, problem.position, problem.reason);
    schedule.text = cron;
    zone = in;
    policy = missed_policy;
    mr_schedule_move(&schedule, zone, ms_of(now));
}

static int forget(void **state)
{
    (void)state;
    schedule = (struct mr_schedule){.next_ms = INT64_MAX};
    row_count = next_row = late = missed = 0;
    return 0;
}

static void insert(int64_t tick_ms)
{
    for (unsigned i = row_count; i > 0 && rows[i - 1] >= tick_ms; i--)
        if (rows[i - 1] == tick_ms)
            return;
    assert_true(row_count < ROWS);
    rows[row_count++] = tick_ms;
}

/* One look at the schedule; false when nothing was due. */
static bool look(int64_t now_ms)
{
    struct mr_ticks ticks;

    if (!mr_schedule_due(&schedule, zone, now_ms, policy, &ticks))
        return false;
    for (unsigned i = 0; i < ticks.count; i++) {
        assert_true(ticks.tick_ms[i] <= now_ms);
        assert_true(i == 0 || ticks.tick_ms[i - 1] < ticks.tick_ms[i]);
        insert(ticks.tick_ms[i]);
    }
    late += ticks.late;
    missed += ticks.missed;
    mr_schedule_move(&schedule, zone, ticks.seen_to_ms);
    return true;
}

/* It is `now`: everything that is due is done. Returns how many looks that took. */
static unsigned at_ms(int64_t now_ms)
{
    unsigned looks = 0;

    while (look(now_ms))
        looks++;
    assert_true(schedule.next_ms > now_ms);
    return looks;
}

static unsigned at(const char *now)
{
    return at_ms(ms_of(now));
}

/* A round every `step_ms` in (from, to]. */
static void pass_ms(int64_t from_ms, int64_t to_ms, int64_t step_ms)
{
    for (int64_t now_ms = from_ms + step_ms; now_ms <= to_ms; now_ms += step_ms)
        at_ms(now_ms);
}

/* The clocks have been put back, and this is noticed at `now`. */
static void set_back(const char *now)
{
    mr_schedule_rewind(&schedule, zone, ms_of(now));
    at(now);
}

/* The next run that was made is that of `tick`. */
static void assert_run(const char *tick)
{
    if (next_row == row_count)
        fail_test("%s has no run", tick);
    if (rows[next_row] != ms_of(tick))
        fail_test("%s has a run where %s should have one", text_of(rows[next_row]), tick);
    next_row++;
}

static void assert_no_more_runs(void)
{
    if (next_row < row_count)
        fail_test("%s has a run", text_of(rows[next_row]));
}

/* ---- Due and late ---- */

static void test_schedule__a_tick_is_due_from_its_moment_on_and_then_no_more(void **state)
{
    (void)state;
    begin("0 * * * *", utc, MR_MISSED_ONCE, "2026-03-01T00:30:00Z");
    assert_int_equal(schedule.next_ms, ms_of("2026-03-01T01:00:00Z"));
    assert_int_equal(at("2026-03-01T00:59:59.999Z"), 0);
    assert_int_equal(at("2026-03-01T01:00:00Z"), 1);
    assert_run("2026-03-01T01:00:00Z");
    assert_int_equal(at("2026-03-01T01:00:00Z"), 0);
    assert_int_equal(at("2026-03-01T01:59:59Z"), 0);
    assert_int_equal(at("2026-03-01T02:00:00Z"), 1);
    assert_run("2026-03-01T02:00:00Z");
    assert_no_more_runs();
    assert_int_equal(late, 0);
    assert_int_equal(missed, 0);
}

static void test_schedule__a_tick_is_late_after_more_than_a_second(void **state)
{
    (void)state;
    begin("0 * * * *", utc, MR_MISSED_ONCE, "2026-03-01T00:30:00Z");
    at("2026-03-01T01:00:01Z");
    assert_int_equal(late, 0);
    at("2026-03-01T02:00:01.001Z");
    assert_int_equal(late, 1);
    assert_int_equal(row_count, 2);
}

/* Whatever becomes of those that were missed. */
static void test_schedule__a_tick_is_not_missed_until_it_is_ten_seconds_old(void **state)
{
    static const enum mr_missed policies[] = {MR_MISSED_ONCE, MR_MISSED_SKIP, MR_MISSED_ALL};

    for (size_t i = 0; i < 3; i++) {
        forget(state);
        begin("0 * * * *", utc, policies[i], "2026-03-01T00:30:00Z");
        at("2026-03-01T01:00:10Z");
        assert_run("2026-03-01T01:00:00Z");
        assert_no_more_runs();
        assert_int_equal(late, 1);
        assert_int_equal(missed, 0);
    }
}

static void test_schedule__a_tick_is_missed_when_it_is_older(void **state)
{
    (void)state;
    begin("0 * * * *", utc, MR_MISSED_ONCE, "2026-03-01T00:30:00Z");
    at("2026-03-01T01:00:10.001Z");
    assert_run("2026-03-01T01:00:00Z"); /* the one run for all that were missed */
    assert_int_equal(missed, 0);
    begin("0 * * * *", utc, MR_MISSED_SKIP, "2026-03-01T01:30:00Z");
    at("2026-03-01T02:00:10.001Z");
    assert_no_more_runs();
    assert_int_equal(missed, 1);
}

/* Being away does not make what is late any later: with "skip" too, its run is made. */
static void test_schedule__behind_missed_ticks_those_of_the_last_ten_seconds_are_due(void **state)
{
    static const enum mr_missed policies[] = {MR_MISSED_ONCE, MR_MISSED_SKIP};

    for (size_t i = 0; i < 2; i++) {
        forget(state);
        begin("*/5 * * * * *", utc, policies[i], "2026-03-01T00:00:00Z");
        at("2026-03-01T00:01:00Z");
        if (policies[i] == MR_MISSED_ONCE)
            assert_run("2026-03-01T00:00:45Z");
        assert_run("2026-03-01T00:00:50Z");
        assert_run("2026-03-01T00:00:55Z");
        assert_run("2026-03-01T00:01:00Z");
        assert_no_more_runs();
        assert_int_equal(missed, policies[i] == MR_MISSED_ONCE ? 8 : 9);
        assert_int_equal(late, policies[i] == MR_MISSED_ONCE ? 3 : 2);
    }
}

/* ---- Missed ---- */

static void test_schedule__once_makes_one_run_for_all_that_were_missed(void **state)
{
    (void)state;
    begin("0 * * * *", utc, MR_MISSED_ONCE, "2026-03-01T00:30:00Z");
    at("2026-03-01T05:59:00Z");
    assert_run("2026-03-01T05:00:00Z");
    assert_no_more_runs();
    assert_int_equal(missed, 4);
    assert_int_equal(late, 1);
    at("2026-03-01T06:00:00Z");
    assert_run("2026-03-01T06:00:00Z");
    assert_no_more_runs();
}

static void test_schedule__once_finds_the_last_of_a_rare_schedule(void **state)
{
    (void)state;
    begin("0 4 29 2 *", utc, MR_MISSED_ONCE, "2020-03-01T00:00:00Z");
    at("2031-12-31T00:00:00Z");
    assert_run("2028-02-29T04:00:00Z");
    assert_no_more_runs();
    assert_int_equal(missed, 1);
    assert_int_equal(schedule.next_ms, ms_of("2032-02-29T04:00:00Z"));
}

static void test_schedule__skip_makes_none(void **state)
{
    (void)state;
    begin("0 * * * *", utc, MR_MISSED_SKIP, "2026-03-01T00:30:00Z");
    assert_int_equal(at("2026-03-01T05:59:00Z"), 1);
    assert_no_more_runs();
    assert_int_equal(missed, 5);
    assert_int_equal(late, 0);
    at("2026-03-01T06:00:00Z");
    assert_run("2026-03-01T06:00:00Z");
}

static void test_schedule__all_makes_one_each(void **state)
{
    (void)state;
    begin("0 * * * *", utc, MR_MISSED_ALL, "2026-03-01T00:30:00Z");
    at("2026-03-01T03:59:00Z");
    assert_run("2026-03-01T01:00:00Z");
    assert_run("2026-03-01T02:00:00Z");
    assert_run("2026-03-01T03:00:00Z");
    assert_no_more_runs();
    assert_int_equal(missed, 0);
    assert_int_equal(late, 3);
}

static void test_schedule__all_gives_up_what_is_a_day_old(void **state)
{
    (void)state;
    begin("0 */6 * * *", utc, MR_MISSED_ALL, "2026-03-01T00:30:00Z");
    at("2026-03-03T12:00:00Z");
    assert_run("2026-03-02T18:00:00Z");
    assert_run("2026-03-03T00:00:00Z");
    assert_run("2026-03-03T06:00:00Z");
    assert_run("2026-03-03T12:00:00Z");
    assert_no_more_runs();
    assert_int_equal(missed, 6);
    assert_int_equal(late, 3);
}

static void test_schedule__all_keeps_what_is_a_millisecond_short_of_a_day(void **state)
{
    (void)state;
    begin("0 12 * * *", utc, MR_MISSED_ALL, "2026-03-01T00:00:00Z");
    at("2026-03-02T11:59:59.999Z");
    assert_run("2026-03-01T12:00:00Z");
    assert_int_equal(missed, 0);
    begin("0 11 * * *", utc, MR_MISSED_ALL, "2026-03-03T00:00:00Z");
    at("2026-03-04T11:00:00Z");
    assert_run("2026-03-04T11:00:00Z");
    assert_no_more_runs();
    assert_int_equal(missed, 1);
}

/* Each look ends where the next begins. */
static void test_schedule__more_than_fit_come_with_the_next_look(void **state)
{
    enum { TICKS = 1000 };

    (void)state;
    begin("* * * * *", utc, MR_MISSED_ALL, "2026-03-01T00:00:00Z");
    assert_int_equal(at_ms(ms_of("2026-03-01T00:00:00Z") + TICKS * MINUTE), (TICKS + MR_TICKS_MOST - 1) / MR_TICKS_MOST);
    assert_int_equal(row_count, TICKS);
    for (unsigned i = 0; i < TICKS; i++)
        assert_int_equal(rows[i], ms_of("2026-03-01T00:01:00Z") + (int64_t)i * MINUTE);
}

static void test_schedule__a_look_that_is_just_full_leaves_nothing_behind(void **state)
{
    (void)state;
    begin("* * * * *", utc, MR_MISSED_ALL, "2026-03-01T00:00:00Z");
    assert_int_equal(at_ms(ms_of("2026-03-01T00:00:00Z") + (int64_t)MR_TICKS_MOST * MINUTE), 1);
    assert_int_equal(row_count, MR_TICKS_MOST);
}

/* A schedule of seconds, years later: counting has an end. */
static void test_schedule__no_more_than_the_most_are_counted(void **state)
{
    (void)state;
    begin("* * * * * *", utc, MR_MISSED_SKIP, "2016-03-01T00:00:00Z");
    at("2026-03-01T00:00:00Z");
    assert_int_equal(missed, MR_TICKS_MOST);
    forget(state);
    begin("* * * * *", utc, MR_MISSED_ONCE, "2016-03-01T00:00:00Z");
    at("2026-03-01T00:00:30Z");
    assert_run("2026-03-01T00:00:00Z");
    assert_no_more_runs();
}

static void test_schedule__nothing_due_leaves_everything_as_it_was(void **state)
{
    struct mr_ticks ticks;

    (void)state;
    begin("0 * * * *", utc, MR_MISSED_ALL, "2026-03-01T00:30:00Z");
    assert_false(mr_schedule_due(&schedule, zone, ms_of("2026-03-01T00:45:00Z"), policy, &ticks));
    assert_int_equal(ticks.count + ticks.late + ticks.missed, 0);
    assert_int_equal(ticks.seen_to_ms, ms_of("2026-03-01T00:30:00Z"));
}

/* What was decided takes effect when the runs are made: until then it is decided anew. */
static void test_schedule__what_was_not_done_is_due_again(void **state)
{
    struct mr_ticks first;
    struct mr_ticks second;

    (void)state;
    begin("0 * * * *", utc, MR_MISSED_ONCE, "2026-03-01T00:30:00Z");
    assert_true(mr_schedule_due(&schedule, zone, ms_of("2026-03-01T01:00:05Z"), policy, &first));
    assert_true(mr_schedule_due(&schedule, zone, ms_of("2026-03-01T01:00:05Z"), policy, &second));
    assert_int_equal(first.count, 1);
    assert_int_equal(second.count, 1);
    assert_int_equal(first.tick_ms[0], second.tick_ms[0]);
}

/* ---- The beginning, and changes ---- */

static void test_schedule__counts_from_when_it_was_first_seen(void **state)
{
    (void)state;
    begin("0 * * * *", utc, MR_MISSED_ALL, "2026-03-01T00:30:00Z");
    assert_int_equal(at("2026-03-01T00:30:00Z"), 0);
    at("2026-03-01T01:00:00Z");
    assert_run("2026-03-01T01:00:00Z");
    assert_no_more_runs();
    assert_int_equal(missed, 0);
}

static void test_schedule__the_tick_of_the_moment_it_was_first_seen_is_over(void **state)
{
    (void)state;
    begin("0 * * * *", utc, MR_MISSED_ALL, "2026-03-01T01:00:00Z");
    assert_int_equal(at("2026-03-01T01:00:00Z"), 0);
    assert_int_equal(schedule.next_ms, ms_of("2026-03-01T02:00:00Z"));
}

static void test_schedule__another_expression_begins_anew(void **state)
{
    (void)state;
    begin("0 * * * *", utc, MR_MISSED_ALL, "2026-03-01T00:30:00Z");
    at("2026-03-01T01:00:00Z");
    assert_run("2026-03-01T01:00:00Z");
    begin("*/10 * * * *", utc, MR_MISSED_ALL, "2026-03-01T05:35:00Z");
    at("2026-03-01T05:40:00Z");
    assert_run("2026-03-01T05:40:00Z");
    assert_no_more_runs();
    assert_int_equal(missed, 0);
}

static void test_schedule__another_zone_begins_anew(void **state)
{
    (void)state;
    begin("0 12 * * *", utc, MR_MISSED_ALL, "2026-07-01T00:00:00Z");
    assert_int_equal(schedule.next_ms, ms_of("2026-07-01T12:00:00Z"));
    begin("0 12 * * *", berlin, MR_MISSED_ALL, "2026-07-01T11:00:00Z");
    assert_int_equal(at("2026-07-01T12:00:00Z"), 0);
    at("2026-07-02T10:00:00Z");
    assert_run("2026-07-02T10:00:00Z");
    assert_no_more_runs();
}

/* ---- Somebody sets the machine's clock ---- */

static void test_schedule__clock_put_forward_by_an_hour_is_an_hour_missed(void **state)
{
    static const struct {
        enum mr_missed policy;
        unsigned runs, missed;
    } table[] = {{MR_MISSED_ONCE, 1, 5}, {MR_MISSED_SKIP, 0, 6}, {MR_MISSED_ALL, 6, 0}};

    for (size_t i = 0; i < 3; i++) {
        forget(state);
        begin("*/10 * * * *", utc, table[i].policy, "2026-03-01T00:05:00Z");
        at("2026-03-01T01:05:00Z");
        assert_int_equal(row_count, table[i].runs);
        assert_int_equal(missed, table[i].missed);
        at("2026-03-01T01:10:00Z");
        assert_int_equal(row_count, table[i].runs + 1);
    }
}

/* The hour comes a second time: its ticks have their runs, and those behind it come when they should. */
static void test_schedule__clock_put_back_by_an_hour_runs_no_tick_twice(void **state)
{
    static const enum mr_missed policies[] = {MR_MISSED_ONCE, MR_MISSED_SKIP, MR_MISSED_ALL};

    for (size_t i = 0; i < 3; i++) {
        forget(state);
        begin("*/10 * * * *", utc, policies[i], "2026-03-01T00:00:00Z");
        pass_ms(ms_of("2026-03-01T00:00:00Z"), ms_of("2026-03-01T01:05:00Z"), SECOND);
        assert_int_equal(row_count, 6);
        set_back("2026-03-01T00:05:00Z");
        pass_ms(ms_of("2026-03-01T00:05:00Z"), ms_of("2026-03-01T02:00:00Z"), SECOND);
        assert_int_equal(row_count, 12);
        for (unsigned r = 0; r < row_count; r++)
            assert_int_equal(rows[r], ms_of("2026-03-01T00:10:00Z") + (int64_t)r * 10 * MINUTE);
        assert_int_equal(missed, 0);
        assert_int_equal(late, 0);
    }
}

/* Clocks that were ahead of time, then mended: what was not seen to in between is not lost. */
static void test_schedule__clock_put_back_far_behind_its_beginning_loses_nothing(void **state)
{
    (void)state;
    begin("0 0 * * *", utc, MR_MISSED_ONCE, "2036-03-01T12:00:00Z");
    set_back("2026-03-01T12:00:00Z");
    assert_no_more_runs();
    at("2026-03-02T00:00:00Z");
    assert_run("2026-03-02T00:00:00Z");
    assert_no_more_runs();
    assert_int_equal(missed, 0);
}

/* Between two ticks there is nothing to take back: what was seen to, and what is next, stays. */
static void test_schedule__clock_put_back_between_ticks_changes_nothing(void **state)
{
    int64_t next_ms;

    (void)state;
    begin("0 * * * *", utc, MR_MISSED_ONCE, "2026-03-01T00:30:00Z");
    at("2026-03-01T01:00:00Z");
    next_ms = schedule.next_ms;
    mr_schedule_rewind(&schedule, zone, ms_of("2026-03-01T01:00:00Z"));
    assert_int_equal(schedule.next_ms, next_ms);
    assert_int_equal(schedule.seen_to_ms, ms_of("2026-03-01T01:00:00Z"));
    mr_schedule_rewind(&schedule, zone, ms_of("2026-03-01T00:59:59.999Z"));
    assert_int_equal(schedule.next_ms, ms_of("2026-03-01T01:00:00Z"));
}

/* The database was away, so that the tick of 01:00 has no run yet; meanwhile the clocks were put back, but not behind it. */
static void test_schedule__clock_put_back_keeps_what_is_still_to_be_done(void **state)
{
    (void)state;
    begin("0 * * * *", utc, MR_MISSED_ONCE, "2026-03-01T00:30:00Z");
    set_back("2026-03-01T01:00:05Z");
    assert_run("2026-03-01T01:00:00Z");
}

/* ---- Calendars ---- */

static void test_schedule__has_a_run_at_the_end_of_every_month(void **state)
{
    static const char *const ends[] = {"2027-12-31T23:00:00Z", "2028-01-31T23:00:00Z", "2028-02-29T23:00:00Z",
                                       "2028-03-31T23:00:00Z", "2028-04-30T23:00:00Z"};

    (void)state;
    begin("0 23 L * *", utc, MR_MISSED_SKIP, "2027-12-01T00:00:00Z");
    pass_ms(ms_of("2027-12-01T00:00:00Z"), ms_of("2028-05-01T00:00:00Z"), HOUR);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        assert_run(ends[i]);
    assert_no_more_runs();
}

static void test_schedule__leap_day_comes_every_fourth_year(void **state)
{
    (void)state;
    begin("0 0 29 2 *", utc, MR_MISSED_SKIP, "2026-01-01T00:00:00Z");
    pass_ms(ms_of("2026-01-01T00:00:00Z"), ms_of("2033-01-01T00:00:00Z"), day);
    assert_run("2028-02-29T00:00:00Z");
    assert_run("2032-02-29T00:00:00Z");
    assert_no_more_runs();
}

/* 02:30 does not exist on 29 March, and exists twice on 25 October. */
static void test_schedule__fixed_time_through_the_changes_of_summer_time(void **state)
{
    (void)state;
    begin("30 2 * * *", berlin, MR_MISSED_ALL, "2026-03-28T00:00:00Z");
    pass_ms(ms_of("2026-03-28T00:00:00Z"), ms_of("2026-03-31T00:00:00Z"), MINUTE);
    assert_run("2026-03-28T01:30:00Z");
    assert_run("2026-03-30T00:30:00Z");
    assert_no_more_runs();
    begin("30 2 * * *", berlin, MR_MISSED_ALL, "2026-10-24T12:00:00Z");
    pass_ms(ms_of("2026-10-24T12:00:00Z"), ms_of("2026-10-26T12:00:00Z"), MINUTE);
    assert_run("2026-10-25T00:30:00Z");
    assert_run("2026-10-26T01:30:00Z");
    assert_no_more_runs();
    assert_int_equal(missed, 0);
}

/* Nobody runs while the clocks change: what is in the gap was not missed, and the time that comes twice counts once. */
static void test_schedule__missed_through_the_changes_of_summer_time(void **state)
{
    (void)state;
    begin("30 2 * * *", berlin, MR_MISSED_ONCE, "2026-03-28T12:00:00Z");
    assert_int_equal(at("2026-03-29T12:00:00Z"), 0);
    begin("30 2 * * *", berlin, MR_MISSED_ONCE, "2026-10-24T12:00:00Z");
    at("2026-10-25T12:00:00Z");
    assert_run("2026-10-25T00:30:00Z");
    assert_no_more_runs();
    assert_int_equal(missed, 0);
    forget(state);
    begin("*/15 * * * *", berlin, MR_MISSED_SKIP, "2026-10-24T23:50:00Z"); /* 01:50, and five hours later 05:50 */
    at("2026-10-25T04:50:00Z");
    assert_int_equal(missed, 20);
}

/* Each of its times is in a gap. */
static void test_schedule__one_that_never_comes_is_never_due(void **state)
{
    (void)state;
    begin("30 2 25-31 3 */7", berlin, MR_MISSED_ALL, "2026-01-01T00:00:00Z");
    assert_true(schedule.next_ms == INT64_MAX);
    assert_int_equal(at("2026-01-01T00:00:01Z"), 0);
    assert_int_equal(at("9999-12-31T23:59:59Z"), 0);
    mr_schedule_rewind(&schedule, zone, ms_of("2020-01-01T00:00:00Z"));
    assert_true(schedule.next_ms == INT64_MAX);
    assert_int_equal(schedule.seen_to_ms, ms_of("2026-01-01T00:00:00Z"));
}

static void test_schedule__ends_behind_its_last_tick(void **state)
{
    static const enum mr_missed policies[] = {MR_MISSED_ONCE, MR_MISSED_SKIP, MR_MISSED_ALL};

    for (size_t i = 0; i < 3; i++) {
        forget(state);
        begin("0 0 31 12 *", utc, policies[i], "9998-12-30T12:00:00Z");
        at("9998-12-31T00:00:00Z");
        at("9999-12-31T00:00:00Z");
        assert_run("9998-12-31T00:00:00Z");
        assert_run("9999-12-31T00:00:00Z");
        assert_true(schedule.next_ms == INT64_MAX);
    }
}

/* ---- Whatever happens ---- */

/* The rule, tick by tick: what becomes of the ticks in (seen, now]. */
static void assert_follows_the_rule(int64_t seen_ms, int64_t now_ms, unsigned missed_before, unsigned rows_before)
{
    int64_t missed_to_ms = policy == MR_MISSED_ALL ? now_ms - day : now_ms - MR_TICK_LATE_MS - 1;
    int64_t last_missed_ms = 0;
    unsigned lost = 0;
    unsigned row = rows_before;

    for (int64_t t = seen_ms; mr_cron_next(&schedule.cron, zone, t, &t) && t <= missed_to_ms; lost++)
        last_missed_ms = t;
    if (lost > MR_TICKS_MOST)
        lost = MR_TICKS_MOST;
    if (policy == MR_MISSED_ONCE && lost > 0) {
        lost--;
        assert_int_equal(rows[row++], last_missed_ms);
    }
    for (int64_t t = missed_to_ms > seen_ms ? missed_to_ms : seen_ms; mr_cron_next(&schedule.cron, zone, t, &t) && t <= now_ms;)
        assert_int_equal(rows[row++], t);
    assert_int_equal(row, row_count);
    assert_int_equal(missed, missed_before + lost);
}

/* Rounds at random distances, from a millisecond to weeks: no tick is lost, or made, against the policy. */
static void test_schedule__follows_the_rule_at_any_pace(void **state)
{
    enum { STEPS = 5 };
    static const struct {
        const char *cron;
        unsigned paces; /* of `most_ms`: so that no more ticks come than the test has room for */
    } table[] = {{"* * * * * *", 5},  {"*/7 * * * * *", 6}, {"* * * * *", 8},   {"*/10 1-4 * * *", 8},
                 {"30 2 * * *", 8}, {"0 0 L * *", 8},     {"15 3 29 2 *", 8}, {"0 12 * * MON-FRI", 8}};
    static const int64_t most_ms[] = {2, SECOND, 12 * SECOND, MINUTE, 20 * MINUTE, HOUR, 30 * HOUR, INT64_C(960) * HOUR};
    uint64_t seed = 17;

    for (unsigned round = 0; round < 4000; round++) {
        unsigned row = random_below(&seed, sizeof table / sizeof table[0]);
        int64_t now_ms = ms_of("2024-02-20T00:00:00Z") + (int64_t)(random_next(&seed) % (uint64_t)(900 * day));

        forget(state);
        begin(table[row].cron, random_below(&seed, 2) == 0 ? utc : berlin, (enum mr_missed)random_below(&seed, 3), text_of(now_ms));
        for (unsigned step = 0; step < STEPS; step++) {
            int64_t seen_ms = schedule.seen_to_ms;
            unsigned missed_before = missed;
            unsigned rows_before = row_count;

            now_ms += 1 + (int64_t)(random_next(&seed) % (uint64_t)most_ms[random_below(&seed, table[row].paces)]);
            at_ms(now_ms);
            assert_follows_the_rule(seen_ms, now_ms, missed_before, rows_before);
        }
    }
}

static void test_schedule__words_of_the_policies(void **state)
{
    (void)state;
    assert_int_equal(mr_missed_of("once"), MR_MISSED_ONCE);
    assert_int_equal(mr_missed_of("skip"), MR_MISSED_SKIP);
    assert_int_equal(mr_missed_of("all"), MR_MISSED_ALL);
}

#define TEST(name) cmocka_unit_test_setup(name, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_schedule__a_tick_is_due_from_its_moment_on_and_then_no_more),
        TEST(test_schedule__a_tick_is_late_after_more_than_a_second),
        TEST(test_schedule__a_tick_is_not_missed_until_it_is_ten_seconds_old),
        TEST(test_schedule__a_tick_is_missed_when_it_is_older),
        TEST(test_schedule__behind_missed_ticks_those_of_the_last_ten_seconds_are_due),
        TEST(test_schedule__once_makes_one_run_for_all_that_were_missed),
        TEST(test_schedule__once_finds_the_last_of_a_rare_schedule),
        TEST(test_schedule__skip_makes_none),
        TEST(test_schedule__all_makes_one_each),
        TEST(test_schedule__all_gives_up_what_is_a_day_old),
        TEST(test_schedule__all_keeps_what_is_a_millisecond_short_of_a_day),
        TEST(test_schedule__more_than_fit_come_with_the_next_look),
        TEST(test_schedule__a_look_that_is_just_full_leaves_nothing_behind),
        TEST(test_schedule__no_more_than_the_most_are_counted),
        TEST(test_schedule__nothing_due_leaves_everything_as_it_was),
        TEST(test_schedule__what_was_not_done_is_due_again),
        TEST(test_schedule__counts_from_when_it_was_first_seen),
        TEST(test_schedule__the_tick_of_the_moment_it_was_first_seen_is_over),
        TEST(test_schedule__another_expression_begins_anew),
        TEST(test_schedule__another_zone_begins_anew),
        TEST(test_schedule__clock_put_forward_by_an_hour_is_an_hour_missed),
        TEST(test_schedule__clock_put_back_by_an_hour_runs_no_tick_twice),
        TEST(test_schedule__clock_put_back_far_behind_its_beginning_loses_nothing),
        TEST(test_schedule__clock_put_back_between_ticks_changes_nothing),
        TEST(test_schedule__clock_put_back_keeps_what_is_still_to_be_done),
        TEST(test_schedule__has_a_run_at_the_end_of_every_month),
        TEST(test_schedule__leap_day_comes_every_fourth_year),
        TEST(test_schedule__fixed_time_through_the_changes_of_summer_time),
        TEST(test_schedule__missed_through_the_changes_of_summer_time),
        TEST(test_schedule__one_that_never_comes_is_never_due),
        TEST(test_schedule__ends_behind_its_last_tick),
        TEST(test_schedule__follows_the_rule_at_any_pace),
        TEST(test_schedule__words_of_the_policies),
    };

    return cmocka_run_group_tests(tests, open_zones, close_zones);
}
