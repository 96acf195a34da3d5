#include "proto/timestamp.h"

#include <stdio.h>
#include <string.h>

#define MICROS_PER_SECOND INT64_C(1000000)
#define SECONDS_PER_DAY   INT64_C(86400)

/* 0001-01-01T00:00:00Z and 10000-01-01T00:00:00Z. */
#define FIRST_INSTANT INT64_C(-62135596800000000)
#define PAST_INSTANTS INT64_C(253402300800000000)

/* Of a fraction; what follows is less than any microsecond that could still change. */
enum { FRACTION_DIGITS = 28 };

/* What is left to read. */
struct cursor {
    const char *at;
    const char *end;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t digits_ahead(const struct cursor *c)
{
    size_t n = 0;

    while (c->at + n < c->end && is_digit(c->at[n]))
        n++;
    return n;
}

static bool take(struct cursor *c, char wanted)
{
    if (c->at == c->end || *c->at != wanted)
        return false;
    c->at++;
    return true;
}

static bool number(struct cursor *c, size_t digits, int64_t min, int64_t max, int64_t *out)
{
    int64_t value = 0;

    if (digits_ahead(c) < digits)
        return false;
    for (size_t i = 0; i < digits; i++)
        value = value * 10 + (*c->at++ - '0');
    *out = value;
    return value >= min && value <= max;
}

/* Days from 1970-01-01 in the proleptic Gregorian calendar; months are counted from March so that the leap day is last. */
static int64_t days_from_civil(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month > 2 ? year : year - 1;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void civil_from_days(int64_t days, int64_t *year, int64_t *month, int64_t *day)
{
    int64_t shifted = days + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t of_era = shifted - era * 146097;
    int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * y + y / 4 - y / 100);
    int64_t m = (5 * of_year + 2) / 153;

    *day = of_year - (153 * m + 2) / 5 + 1;
    *month = m < 10 ? m + 3 : m - 9;
    *year = y + era * 400 + (*month <= 2);
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int64_t month_length(int64_t year, int64_t month)
{
    static const int8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return month == 2 && is_leap(year) ? 29 : lengths[month - 1];
}

/* Day of the week of 1 January, Monday 0; ISO week 1 is the week with the first Thursday. */
static int64_t weekday_of_new_year(int64_t year)
{
    int64_t weekday = (days_from_civil(year, 1, 1) + 3) % 7;

    return weekday < 0 ? weekday + 7 : weekday;
}

static bool week_date(struct cursor *c, int64_t year, bool extended, int64_t *days)
{
    int64_t first = weekday_of_new_year(year);
    int64_t weeks = first == 3 || (first == 2 && is_leap(year)) ? 53 : 52;
    int64_t week;
    int64_t day = 1;

    if (!number(c, 2, 1, weeks, &week))
        return false;
    if ((extended ? take(c, '-') : digits_ahead(c) > 0) && !number(c, 1, 1, 7, &day))
        return false;
    *days = days_from_civil(year, 1, 1) + (first <= 3 ? -first : 7 - first) + (week - 1) * 7 + day - 1;
    return true;
}

static bool date(struct cursor *c, int64_t *days)
{
    int64_t year;
    int64_t month;
    int64_t day;
    bool extended;

    if (!number(c, 4, 1, 9999, &year))
        return false;
    extended = take(c, '-');
    if (take(c, 'W'))
        return week_date(c, year, extended, days);
    if (digits_ahead(c) == 3) {
        *days = days_from_civil(year, 1, 0);
        return number(c, 3, 1, is_leap(year) ? 366 : 365, &day) && (*days += day, true);
    }
    if (!number(c, 2, 1, 12, &month) || take(c, '-') != extended || !number(c, 2, 1, month_length(year, month), &day))
        return false;
    *days = days_from_civil(year, month, day);
    return true;
}

/* What the digits behind a decimal sign are of `unit` (a second, a minute), cut at microseconds. */
static bool fraction(struct cursor *c, int64_t unit, int64_t *micros)
{
    __extension__ typedef __int128 wide;
    wide numerator = 0;
    wide denominator = 1;

    if (digits_ahead(c) == 0)
        return false;
    for (int i = 0; c->at < c->end && is_digit(*c->at); c->at++, i++)
        if (i < FRACTION_DIGITS) {
            numerator = numerator * 10 + (*c->at - '0');
            denominator *= 10;
        }
    *micros = (int64_t)(numerator * unit / denominator);
    return true;
}

/* `24:00` is the end of the day and nothing behind it, however little. */
static bool is_end_of_day(const char *from, const char *to)
{
    if (memcmp(from, "24", 2) != 0)
        return false;
    for (from += 2; from < to; from++)
        if (is_digit(*from) && *from != '0')
            return false;
    return true;
}

/* A decimal fraction is one of the last element that is there (ISO 8601-1, 5.3.1.4): 10:30.5 is half a minute past. */
static bool time_of_day(struct cursor *c, int64_t *micros, bool *leaps)
{
    const char *start = c->at;
    int64_t hour;
    int64_t minute;
    int64_t second = 0;
    int64_t part = 0;
    bool extended;
    bool has_second;

    if (!number(c, 2, 0, 24, &hour))
        return false;
    extended = take(c, ':');
    if (!number(c, 2, 0, 59, &minute))
        return false;
    has_second = extended ? take(c, ':') : digits_ahead(c) > 0;
    if (has_second && !number(c, 2, 0, 60, &second))
        return false;
    if ((take(c, '.') || take(c, ',')) && !fraction(c, (has_second ? 1 : 60) * MICROS_PER_SECOND, &part))
        return false;
    *micros = ((hour * 60 + minute) * 60 + second) * MICROS_PER_SECOND + part;
    *leaps = second == 60;
    return hour < 24 || is_end_of_day(start, c->at);
}

/* Leap seconds end a month (ITU-R TF.460), so that the second that follows is the first of one, in UTC. */
static bool follows_a_month(int64_t micros)
{
    int64_t seconds = micros / MICROS_PER_SECOND - (micros % MICROS_PER_SECOND < 0);
    int64_t days = seconds / SECONDS_PER_DAY;
    int64_t year;
    int64_t month;
    int64_t day;

    if (seconds % SECONDS_PER_DAY != 0)
        return false;
    civil_from_days(days, &year, &month, &day);
    return day == 1;
}

static bool offset(struct cursor *c, int64_t *micros)
{
    int64_t hours;
    int64_t minutes = 0;
    bool west = c->at < c->end && *c->at == '-';

    *micros = 0;
    if (c->at == c->end || take(c, 'Z') || take(c, 'z'))
        return true;
    if (!take(c, '+') && !take(c, '-'))
        return false;
    if (!number(c, 2, 0, 23, &hours))
        return false;
    if ((take(c, ':') || digits_ahead(c) > 0) && !number(c, 2, 0, 59, &minutes))
        return false;
    *micros = (hours * 60 + minutes) * 60 * MICROS_PER_SECOND * (west ? -1 : 1);
    return true;
}

bool mr_timestamp_parse(int64_t *out, const char *text, size_t len)
{
    struct cursor c = {text, text + len};
    int64_t days;
    int64_t day_micros = 0;
    int64_t offset_micros = 0;
    int64_t micros;
    bool leaps = false;

    if (!date(&c, &days))
        return false;
    if ((take(&c, 'T') || take(&c, 't') || take(&c, ' ')) &&
        (!time_of_day(&c, &day_micros, &leaps) || !offset(&c, &offset_micros)))
        return false;
    if (c.at != c.end)
        return false;
    micros = days * SECONDS_PER_DAY * MICROS_PER_SECOND + day_micros - offset_micros;
    if (micros < FIRST_INSTANT || micros >= PAST_INSTANTS || (leaps && !follows_a_month(micros)))
        return false;
    *out = micros;
    return true;
}

static void put_two(char *out, unsigned value)
{
    out[0] = (char)('0' + value / 10);
    out[1] = (char)('0' + value % 10);
}

bool mr_timestamp_is_sayable(int64_t micros)
{
    return micros >= FIRST_INSTANT && micros < PAST_INSTANTS;
}

bool mr_date_parse(int64_t *out, const char *text, size_t len)
{
    struct cursor c = {text, text + len};
    int64_t year;
    int64_t month;
    int64_t day;

    if (len != MR_DATE_TEXT || !number(&c, 4, 1, 9999, &year) || !take(&c, '-') || !number(&c, 2, 1, 12, &month) ||
        !take(&c, '-') || !number(&c, 2, 1, month_length(year, month), &day))
        return false;
    *out = days_from_civil(year, month, day);
    return true;
}

static void put_date(char *out, int64_t days)
{
    int64_t year;
    int64_t month;
    int64_t day;

    civil_from_days(days, &year, &month, &day);
    put_two(out, (unsigned)year / 100);
    put_two(out + 2, (unsigned)year % 100);
    out[4] = '-';
    put_two(out + 5, (unsigned)month);
    out[7] = '-';
    put_two(out + 8, (unsigned)day);
}

bool mr_date_format(char *out, int64_t days)
{
    if (days < FIRST_INSTANT / MICROS_PER_SECOND / SECONDS_PER_DAY ||
        days >= PAST_INSTANTS / MICROS_PER_SECOND / SECONDS_PER_DAY)
        return false;
    put_date(out, days);
    return true;
}

/* With 3 or 6 decimals of a second. */
static void put_instant(char *out, int64_t micros, int decimals)
{
    int64_t per_day = SECONDS_PER_DAY * MICROS_PER_SECOND;
    int64_t of_day = micros % per_day;
    int64_t days = micros / per_day;
    unsigned second;
    unsigned fraction;

    if (of_day < 0) {
        of_day += per_day;
        days--;
    }
    second = (unsigned)(of_day / MICROS_PER_SECOND);
    fraction = (unsigned)(of_day % MICROS_PER_SECOND);
    put_date(out, days);
    out[10] = 'T';
    put_two(out + 11, second / 3600);
    out[13] = ':';
    put_two(out + 14, second / 60 % 60);
    out[16] = ':';
    put_two(out + 17, second % 60);
    out[19] = '.';
    put_two(out + 20, fraction / 10000);
    if (decimals == 3) {
        out[22] = (char)('0' + fraction / 1000 % 10);
    } else {
        put_two(out + 22, fraction / 100 % 100);
        put_two(out + 24, fraction % 100);
    }
    out[20 + decimals] = 'Z';
}

void mr_timestamp_format(char *out, int64_t micros)
{
    put_instant(out, micros, 3);
}

void mr_timestamp_format_micros(char *out, int64_t micros)
{
    put_instant(out, micros, 6);
}
