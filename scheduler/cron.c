#include "scheduler/cron.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#include "scheduler/zone.h"

#define SECONDS_PER_DAY INT64_C(86400)
#define PAST_TICKS      INT64_C(253402300800) /* 10000-01-01T00:00:00Z */

/* ---- Reading ---- */

/* What a field may hold. */
struct field {
    const char *name;
    int low;
    int high;
    const char *names; /* three letters each, the first is `low`; NULL when there are none */
    const char *expected;
    bool takes_last;
};

static const char month_names[] = "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC";
static const char weekday_names[] = "SUNMONTUEWEDTHUFRISAT";

enum { SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELDS };

static const struct field fields[FIELDS] = {
    [SECOND] = {.name = "second", .low = 0, .high = 59, .expected = "0–59"},
    [MINUTE] = {.name = "minute", .low = 0, .high = 59, .expected = "0–59"},
    [HOUR] = {.name = "hour", .low = 0, .high = 23, .expected = "0–23"},
    [DAY] = {.name = "day", .low = 1, .high = 31, .expected = "1–31", .takes_last = true},
    [MONTH] = {.name = "month", .low = 1, .high = 12, .names = month_names, .expected = "1–12 or JAN–DEC"},
    [WEEKDAY] = {.name = "day-of-week", .low = 0, .high = 7, .names = weekday_names, .expected = "0–7 or SUN–SAT"},
};

static const struct {
    const char *name;
    const char *meaning;
} macros[] = {
    {"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},  {"@weekly", "0 0 * * 0"},
    {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
};

struct reader {
    struct mr_slice text;
    struct mr_cron_problem *problem;
};

/* The values of one field. */
struct set {
    uint64_t bits;
    bool last;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_inside_character(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80; /* UTF-8: RFC 3629, 3 */
}

static size_t characters(const char *text, size_t len)
{
    size_t count = 0;

    for (size_t i = 0; i < len; i++)
        count += !is_inside_character(text[i]);
    return count;
}

/* Always false. `at` points into the text. */
__attribute__((format(printf, 3, 4))) static bool refuse(const struct reader *self, const char *at, const char *format, ...)
{
    struct mr_cron_problem *problem = self->problem;
    va_list arguments;
    int len;

    problem->position = characters(self->text.data, (size_t)(at - self->text.data)) + 1;
    va_start(arguments, format);
    len = vsnprintf(problem->reason, sizeof problem->reason, format, arguments);
    va_end(arguments);
    if (len >= (int)sizeof problem->reason) {
        size_t end = sizeof problem->reason - 2;

        while (end > 0 && is_inside_character(problem->reason[end]))
            end--;
        problem->reason[end] = '\0';
    }
    return false;
}

/* Cuts `text` at a separator; returns the number of pieces and tells the first three. */
static size_t cut(struct mr_slice text, char separator, struct mr_slice pieces[3])
{
    size_t count = 0;
    size_t from = 0;

    for (size_t i = 0; i <= text.len; i++) {
        if (i < text.len && text.data[i] != separator)
            continue;
        if (count < 3)
            pieces[count] = (struct mr_slice){text.data + from, i - from};
        count++;
        from = i + 1;
    }
    return count;
}

static bool begins_with_star(struct mr_slice text)
{
    return text.len > 0 && text.data[0] == '*';
}

/* One or two digits. */
static bool is_number(struct mr_slice text, int *value)
{
    int sum = 0;

    if (text.len < 1 || text.len > 2)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        sum = sum * 10 + (text.data[i] - '0');
    }
    *value = sum;
    return true;
}

static bool is_name(const struct field *field, struct mr_slice text, int *value)
{
    if (field->names == NULL || text.len != 3)
        return false;
    for (const char *name = field->names; *name != '\0'; name += 3)
        if (strncasecmp(name, text.data, 3) == 0) {
            *value = field->low + (int)(name - field->names) / 3;
            return true;
        }
    return false;
}

static bool read_value(const struct reader *self, const struct field *field, struct mr_slice text, int *value)
{
    if (is_name(field, text, value))
        return true;
    if (text.len == 0)
        return refuse(self, text.data, "%s: expected %s, found nothing", field->name, field->expected);
    if (!is_number(text, value))
        return refuse(self, text.data, "%s: expected %s, found \"%.*s\"", field->name, field->expected, (int)text.len,
                      text.data);
    if (*value < field->low || *value > field->high)
        return refuse(self, text.data, "%s: %d is not within %d–%d", field->name, *value, field->low, field->high);
    return true;
}

static bool read_step(const struct reader *self, const struct field *field, struct mr_slice text, int *step)
{
    if (is_number(text, step) && *step >= 1 && *step <= field->high)
        return true;
    return refuse(self, text.data, "%s: expected a step of 1–%d, found \"%.*s\"", field->name, field->high, (int)text.len,
                  text.data);
}

/* `*`, `5` or `1-5`. */
static bool read_range(const struct reader *self, const struct field *field, struct mr_slice text, int *low, int *high)
{
    struct mr_slice ends[3];
    size_t count = cut(text, '-', ends);

    if (count > 2)
        return refuse(self, ends[2].data, "%s: a range has two ends", field->name);
    if (mr_slice_is(text, "*")) {
        *low = field->low;
        *high = field->high;
        return true;
    }
    if (!read_value(self, field, ends[0], low))
        return false;
    *high = *low;
    if (count == 2 && !read_value(self, field, ends[1], high))
        return false;
    if (*high < *low)
        return refuse(self, ends[1].data, "%s: the range %.*s runs backwards", field->name, (int)text.len, text.data);
    return true;
}

/* One entry of a list: a range, perhaps with a step, or `L`. */
static bool read_entry(const struct reader *self, const struct field *field, struct mr_slice text, struct set *set)
{
    struct mr_slice pieces[3];
    size_t count = cut(text, '/', pieces);
    struct mr_slice range = pieces[0];
    int low = 0;
    int high = 0;
    int step = 1;

    if (count > 2)
        return refuse(self, pieces[2].data, "%s: only one step is allowed", field->name);
    if (field->takes_last && (mr_slice_is(text, "L") || mr_slice_is(text, "l"))) {
        set->last = true;
        return true;
    }
    if (!read_range(self, field, range, &low, &high))
        return false;
    if (count == 2) {
        if (!begins_with_star(range) && memchr(range.data, '-', range.len) == NULL)
            return refuse(self, pieces[1].data, "%s: a step needs * or a range before it", field->name);
        if (!read_step(self, field, pieces[1], &step))
            return false;
    }
    for (int value = low; value <= high; value += step)
        set->bits |= UINT64_C(1) << value;
    return true;
}

static bool read_field(const struct reader *self, const struct field *field, struct mr_slice text, struct set *set)
{
    size_t from = 0;

    *set = (struct set){.bits = 0};
    for (size_t i = 0; i <= text.len; i++) {
        if (i < text.len && text.data[i] != ',')
            continue;
        if (!read_entry(self, field, (struct mr_slice){text.data + from, i - from}, set))
            return false;
        from = i + 1;
    }
    return true;
}

/* Finds the fields; returns how many there are, even where they do not fit into `out`. */
static size_t split(struct mr_slice text, struct mr_slice out[FIELDS])
{
    size_t count = 0;

    for (size_t i = 0; i < text.len;) {
        size_t from = i;

        while (i < text.len && !is_blank(text.data[i]))
            i++;
        if (i > from && count++ < FIELDS)
            out[count - 1] = (struct mr_slice){text.data + from, i - from};
        while (i < text.len && is_blank(text.data[i]))
            i++;
    }
    return count;
}

static void list_months(uint64_t months, char out[sizeof "JAN, " * 12])
{
    size_t len = 0;

    for (size_t i = 0; i < 12; i++)
        if (months >> (i + 1) & 1)
            len += (size_t)sprintf(out + len, "%s%.3s", len > 0 ? ", " : "", month_names + i * 3);
}

/* A day that none of the months has, with no day of the week to save it. */
static bool check_days(const struct reader *self, struct mr_slice day, const struct mr_cron *cron)
{
    static const int longest[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}; /* a leap day still comes */
    char names[sizeof "JAN, " * 12];
    uint64_t possible = 0;

    for (int month = 1; month <= 12; month++)
        if (cron->months >> month & 1)
            possible |= (UINT64_C(2) << longest[month - 1]) - 1;
    if (cron->last_day || !cron->any_weekday || (cron->days & possible) != 0)
        return true;
    list_months(cron->months, names);
    return refuse(self, day.data, "this tick never comes: no day %.*s in %s", (int)day.len, day.data, names);
}

static bool read_fields(const struct reader *self, struct mr_cron *out)
{
    struct mr_slice parts[FIELDS];
    struct set sets[FIELDS] = {[SECOND] = {.bits = 1}};
    size_t count = split(self->text, parts);

    if (count != FIELDS && count != FIELDS - 1) {
        size_t last = self->text.len;

        while (last > 0 && is_inside_character(self->text.data[last - 1]))
            last--;
        return refuse(self, self->text.data + (last > 0 ? last - 1 : 0),
                      "expected 5 fields (minute hour day month day-of-week) or 6 (seconds first), found %zu", count);
    }
    if (count == FIELDS - 1)
        memmove(&parts[MINUTE], &parts[SECOND], count * sizeof parts[0]);
    for (size_t i = FIELDS - count; i < FIELDS; i++)
        if (!read_field(self, &fields[i], parts[i], &sets[i]))
            return false;
    *out = (struct mr_cron){
        .seconds = sets[SECOND].bits,
        .minutes = sets[MINUTE].bits,
        .hours = sets[HOUR].bits,
        .days = sets[DAY].bits,
        .months = sets[MONTH].bits,
        .weekdays = (sets[WEEKDAY].bits | sets[WEEKDAY].bits >> 7) & 0x7f,
        .last_day = sets[DAY].last,
        .any_day = begins_with_star(parts[DAY]),
        .any_weekday = begins_with_star(parts[WEEKDAY]),
        .paced = begins_with_star(parts[MINUTE]) || begins_with_star(parts[HOUR]),
    };
    return check_days(self, parts[DAY], out);
}

static struct mr_slice trimmed(struct mr_slice text)
{
    while (text.len > 0 && is_blank(text.data[0])) {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && is_blank(text.data[text.len - 1]))
        text.len--;
    return text;
}

static bool read_macro(struct reader *self, struct mr_slice name, struct mr_cron *out)
{
    for (size_t i = 0; i < sizeof macros / sizeof macros[0]; i++)
        if (name.len == strlen(macros[i].name) && strncasecmp(name.data, macros[i].name, name.len) == 0) {
            self->text = mr_slice_of(macros[i].meaning);
            return read_fields(self, out);
        }
    return refuse(self, name.data, "expected one of @hourly @daily @weekly @monthly @yearly");
}

bool mr_cron_parse(struct mr_cron *out, struct mr_slice text, struct mr_cron_problem *problem)
{
    struct reader self = {text, problem};
    struct mr_slice inner = trimmed(text);
    struct mr_cron cron;

    if (!(inner.len > 0 && inner.data[0] == '@' ? read_macro(&self, inner, &cron) : read_fields(&self, &cron)))
        return false;
    *out = cron;
    return true;
}

/* ---- The next tick ---- */

/* The least value of `set` that is `from` or more; -1 when there is none. */
static int next_of(uint64_t set, int from)
{
    uint64_t rest = from < 64 ? set >> from << from : 0;

    return rest != 0 ? __builtin_ctzll(rest) : -1;
}

/* The first fitting second of a day from `from` on; -1 when there is none. */
static int next_in_day(const struct mr_cron *self, int from)
{
    int hour = next_of(self->hours, from / 3600);
    int minute = 0;
    int second = 0;

    if (hour == from / 3600) {
        minute = from / 60 % 60;
        second = next_of(self->seconds, from % 60);
        if (second < 0 || next_of(self->minutes, minute) != minute) {
            minute = next_of(self->minutes, minute + 1);
            second = 0;
        }
        if (minute < 0) {
            hour = next_of(self->hours, hour + 1);
            minute = 0;
        }
    }
    if (hour < 0)
        return -1;
    minute = next_of(self->minutes, minute);
    return (hour * 60 + minute) * 60 + next_of(self->seconds, second);
}

static bool is_last_day(int64_t day)
{
    time_t next = (time_t)((day + 1) * SECONDS_PER_DAY);
    struct tm tm;

    return gmtime_r(&next, &tm) != NULL && tm.tm_mday == 1;
}

static bool day_fits(const struct mr_cron *self, int64_t day, const struct tm *tm)
{
    bool by_day = (self->days >> tm->tm_mday & 1) || (self->last_day && is_last_day(day));
    bool by_weekday = self->weekdays >> tm->tm_wday & 1;

    return self->any_day || self->any_weekday ? by_day && by_weekday : by_day || by_weekday;
}

/* The first day from `day` (since 1970-01-01) on, up to `limit`, that fits. `limit` when there is none. */
static int64_t next_day(const struct mr_cron *self, int64_t day, int64_t limit)
{
    while (day < limit) {
        time_t midnight = (time_t)(day * SECONDS_PER_DAY);
        struct tm tm;

        if (gmtime_r(&midnight, &tm) == NULL)
            return limit;
        if (!(self->months >> (tm.tm_mon + 1) & 1)) {
            tm.tm_mon++;
            tm.tm_mday = 1;
            day = timegm(&tm) / SECONDS_PER_DAY;
            continue;
        }
        if (day_fits(self, day, &tm))
            return day;
        day++;
    }
    return limit;
}

static int64_t day_of(int64_t second)
{
    return (second >= 0 ? second : second - (SECONDS_PER_DAY - 1)) / SECONDS_PER_DAY;
}

/* The first fitting local second from `from` on, as if there were no time zones; `limit` or more when none is before that. */
static int64_t next_local(const struct mr_cron *self, int64_t from, int64_t limit)
{
    int64_t first_day = day_of(from);
    int64_t past_days = day_of(limit - 1) + 1;
    int64_t day = next_day(self, first_day, past_days);

    while (day < past_days) {
        int second = next_in_day(self, day == first_day ? (int)(from - day * SECONDS_PER_DAY) : 0);

        if (second >= 0)
            return day * SECONDS_PER_DAY + second;
        day = next_day(self, day + 1, past_days);
    }
    return limit;
}

static int64_t first_second_after(int64_t ms)
{
    return ms < 0 ? 0 : ms / 1000 + 1;
}

static bool next_before(int64_t end, const struct mr_cron *self, const struct mr_zone *zone, int64_t after_ms, int64_t *out_ms)
{
    int64_t at = first_second_after(after_ms);

    while (at < end) {
        struct mr_zone_span span = mr_zone_at(zone, at);
        int64_t until = span.until < end ? span.until : end;
        int64_t found;

        if (!self->paced && span.fresh > at)
            at = span.fresh;
        if (at < until) {
            found = next_local(self, at + span.offset, until + span.offset) - span.offset;
            if (found < until) {
                *out_ms = found * 1000;
                return true;
            }
        }
        at = until;
    }
    return false;
}

bool mr_cron_next(const struct mr_cron *self, const struct mr_zone *zone, int64_t after_ms, int64_t *out_ms)
{
    return next_before(PAST_TICKS, self, zone, after_ms, out_ms);
}

/* The calendar repeats itself after 400 years, and the rules of zones hold for ever once their explicit dates have passed. */
bool mr_cron_never_fires(struct mr_slice expression, const char *zone_name, int64_t after_ms)
{
    int64_t end = first_second_after(after_ms) + 500 * INT64_C(366) * SECONDS_PER_DAY;
    struct mr_cron_problem ignored;
    struct mr_zone *zone = NULL;
    struct mr_cron cron;
    int64_t tick_ms;
    bool never = mr_cron_parse(&cron, expression, &ignored) && mr_zone_new(&zone, zone_name) == MR_OK &&
                 !next_before(end, &cron, zone, after_ms, &tick_ms);

    mr_zone_destroy(&zone);
    return never;
}
