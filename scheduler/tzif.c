#include "scheduler/tzif.h"

#include <stdlib.h>
#include <string.h>

enum { HEADER = 44, TYPE = 6, DAY = 86400, COUNTS = 6 };

/* A day of a year, and the time of that day, in seconds, at which the clocks change (the TZ string's rule, POSIX 8.3). */
struct rule {
    enum { MONTH, JULIAN, ORDINAL } kind; /* M3.5.0; J60, which has no 29 February; 59, which has */
    int month;
    int week;
    int day;
    int64_t time_s;
};

/* What holds behind the last change that is listed. */
struct rules {
    bool is_there;
    bool changes;
    int64_t standard;
    int64_t summer;
    struct rule begin; /* of summer */
    struct rule end;
};

struct mr_tzif {
    struct rules rules;
    int64_t first; /* offset before the first change */
    size_t count;
    struct {
        int64_t at;
        int64_t offset;
    } changes[];
};

/* ---- The calendar ---- */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Days from 1970-01-01 to the first of January of a year. */
static int64_t days_of_year(int64_t year)
{
    int64_t before = year - 1;

    return 365 * (year - 1970) + floor_div(before, 4) - floor_div(before, 100) + floor_div(before, 400) - 477;
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int64_t year_of(int64_t second)
{
    int64_t days = floor_div(second, DAY);
    int64_t year = 1970 + floor_div(days, 365);

    while (days_of_year(year) > days)
        year--;
    return year;
}

static int days_of_month(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return days[month - 1] + (month == 2 && is_leap(year));
}

/* Day of the year, from 0, of the week's day in a month: the last one where the week is 5. */
static int64_t day_in_month(const struct rule *rule, int64_t year)
{
    int64_t first = days_of_year(year);
    int64_t day;
    int weekday;

    for (int month = 1; month < rule->month; month++)
        first += days_of_month(year, month);
    weekday = (int)(((first + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
    day = (rule->day - weekday + 7) % 7 + 7 * (rule->week - 1);
    while (day >= days_of_month(year, rule->month))
        day -= 7;
    return first + day;
}

/* Seconds since 1970, by the clock that shows local time before the change. */
static int64_t local_change(const struct rule *rule, int64_t year)
{
    int64_t day = days_of_year(year);

    if (rule->kind == MONTH)
        day = day_in_month(rule, year);
    else if (rule->kind == JULIAN)
        day += rule->day - 1 + (is_leap(year) && rule->day >= 60);
    else
        day += rule->day;
    return day * DAY + rule->time_s;
}

static int64_t offset_by_rules(const struct rules *rules, int64_t second)
{
    int64_t year = year_of(second + rules->standard);
    int64_t begin;
    int64_t end;
    bool is_summer;

    if (!rules->changes)
        return rules->standard;
    begin = local_change(&rules->begin, year) - rules->standard;
    end = local_change(&rules->end, year) - rules->summer;
    is_summer = begin < end ? second >= begin && second < end : second >= begin || second < end;
    return is_summer ? rules->summer : rules->standard;
}

/* ---- The TZ string: "CET-1CEST,M3.5.0,M10.5.0/3" ---- */

static bool skip_name(const char **at)
{
    const char *begin = *at;

    if (*begin == '<') {
        const char *close = strchr(begin, '>');

        *at = close != NULL ? close + 1 : begin;
    } else {
        *at += strspn(begin, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
    }
    return *at != begin;
}

static bool read_number(const char **at, int least, int most, int *out)
{
    char *end;
    long number = **at >= '0' && **at <= '9' ? strtol(*at, &end, 10) : -1;

    if (number < least || number > most)
        return false;
    *at = end;
    *out = (int)number;
    return true;
}

/* [+-]h[:m[:s]] */
static bool read_time(const char **at, int64_t *out)
{
    bool is_negative = **at == '-';
    int hours;
    int minutes = 0;
    int seconds = 0;

    *at += **at == '-' || **at == '+';
    if (!read_number(at, 0, 167, &hours))
        return false;
    if (**at == ':') {
        ++*at;
        if (!read_number(at, 0, 59, &minutes))
            return false;
    }
    if (**at == ':') {
        ++*at;
        if (!read_number(at, 0, 59, &seconds))
            return false;
    }
    *out = ((int64_t)hours * 60 + minutes) * 60 + seconds;
    if (is_negative)
        *out = -*out;
    return true;
}

static bool read_point(const char **at)
{
    return *(*at)++ == '.';
}

static bool read_rule(const char **at, struct rule *out)
{
    bool good;

    if (*(*at)++ != ',')
        return false;
    *out = (struct rule){.time_s = 7200};
    if (**at == 'M') {
        ++*at;
        good = read_number(at, 1, 12, &out->month) && read_point(at) && read_number(at, 1, 5, &out->week) && read_point(at) &&
               read_number(at, 0, 6, &out->day);
    } else {
        out->kind = **at == 'J' ? JULIAN : ORDINAL;
        *at += out->kind == JULIAN;
        good = read_number(at, out->kind == JULIAN, 365, &out->day);
    }
    if (good && **at == '/') {
        ++*at;
        good = read_time(at, &out->time_s);
    }
    return good;
}

/* Offsets of the string count west of Greenwich. */
static bool read_rules(const char *text, struct rules *out)
{
    *out = (struct rules){.is_there = *text != '\0'};
    if (!out->is_there)
        return true;
    if (!skip_name(&text) || !read_time(&text, &out->standard))
        return false;
    out->standard = -out->standard;
    if (*text == '\0')
        return true;
    out->changes = true;
    out->summer = out->standard + 3600;
    if (!skip_name(&text))
        return false;
    if (*text != ',') {
        if (!read_time(&text, &out->summer))
            return false;
        out->summer = -out->summer;
    }
    return read_rule(&text, &out->begin) && read_rule(&text, &out->end) && *text == '\0';
}

/* ---- The file ---- */

static int64_t read_big(const uint8_t *bytes, unsigned width)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < width; i++)
        value = value << 8 | bytes[i];
    return width == 4 ? (int32_t)(uint32_t)value : (int64_t)value;
}

struct header {
    size_t utc, standard, leap, times, types, chars;
};

static bool read_header(const uint8_t *bytes, size_t length, struct header *out)
{
    size_t counts[COUNTS];

    if (length < HEADER || memcmp(bytes, "TZif", 4) != 0)
        return false;
    for (unsigned i = 0; i < COUNTS; i++)
        counts[i] = (size_t)read_big(bytes + 20 + (size_t)4 * i, 4) & UINT32_MAX;
    *out = (struct header){counts[0], counts[1], counts[2], counts[3], counts[4], counts[5]};
    for (unsigned i = 0; i < COUNTS; i++)
        if (counts[i] > length)
            return false;
    return out->types > 0;
}

/* Bytes of a block whose times have that width. */
static size_t block_of(const struct header *header, size_t width)
{
    return header->times * (width + 1) + header->types * TYPE + header->chars + header->leap * (width + 4) + header->standard +
           header->utc;
}

static bool read_footer(const uint8_t *bytes, size_t length, struct rules *out)
{
    char text[128];
    const uint8_t *end;

    if (length < 2 || bytes[0] != '\n')
        return false;
    end = memchr(bytes + 1, '\n', length - 1);
    if (end == NULL || (size_t)(end - bytes) > sizeof text)
        return false;
    memcpy(text, bytes + 1, (size_t)(end - bytes) - 1);
    text[end - bytes - 1] = '\0';
    return read_rules(text, out);
}

/* `bytes` is a block of 64-bit times. */
static mr_status read_block(struct mr_tzif **out, const uint8_t *bytes, const struct header *header)
{
    struct mr_tzif *self = calloc(1, sizeof *self + header->times * sizeof self->changes[0]);
    const uint8_t *kinds = bytes + header->times * 8;
    const uint8_t *types = kinds + header->times;

    if (self == NULL)
        return MR_NO_MEMORY;
    self->count = header->times;
    self->first = read_big(types, 4);
    for (size_t i = 0; i < header->times; i++) {
        if (kinds[i] >= header->types) {
            free(self);
            return MR_INVALID;
        }
        self->changes[i].at = read_big(bytes + i * 8, 8);
        self->changes[i].offset = read_big(types + (size_t)kinds[i] * TYPE, 4);
    }
    *out = self;
    return MR_OK;
}

mr_status mr_tzif_new(struct mr_tzif **out, const uint8_t *bytes, size_t length)
{
    struct mr_tzif *self = NULL;
    struct header header;
    size_t at;
    mr_status status;

    if (!read_header(bytes, length, &header) || bytes[4] < '2')
        return MR_INVALID; /* of the first version, which has not been written for decades */
    at = HEADER + block_of(&header, 4);
    if (at > length || !read_header(bytes + at, length - at, &header) || block_of(&header, 8) > length - at - HEADER)
        return MR_INVALID;
    at += HEADER;
    status = read_block(&self, bytes + at, &header);
    if (status != MR_OK)
        return status;
    at += block_of(&header, 8);
    if (!read_footer(bytes + at, length - at, &self->rules)) {
        mr_tzif_destroy(&self);
        return MR_INVALID;
    }
    *out = self;
    return MR_OK;
}

void mr_tzif_destroy(struct mr_tzif **self)
{
    free(*self);
    *self = NULL;
}

int64_t mr_tzif_offset(const struct mr_tzif *self, int64_t second)
{
    size_t low = 0;
    size_t high = self->count;

    if (self->rules.is_there && (self->count == 0 || second >= self->changes[self->count - 1].at))
        return offset_by_rules(&self->rules, second);
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (self->changes[middle].at <= second)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? self->first : self->changes[low - 1].offset;
}
