/*
 * cron: when a job is due.
 *
 * An expression has five fields (minute, hour, day, month, day-of-week) or six (seconds first), or is one of @hourly
 * @daily @weekly @monthly @yearly. A field is a list of `*`, numbers, names (JAN, SUN, in any case), ranges, steps over
 * `*` or a range, and, for the day, `L`: the last day of the month. Sunday is 0 and 7. A tick is a whole second whose
 * local time fits every field.
 *
 * Days. As in Vixie cron, and OCPS 1.4, 4.1.1: when day and day-of-week are both restricted, either may fit; a field
 * that begins with `*` restricts nothing, and then both have to fit (a step over `*` still chooses).
 *
 * Clock changes. As in Vixie cron an expression is paced when its minute or its hour field begins with `*` (a step may
 * follow), and at fixed times otherwise; the seconds do not matter.
 *
 *                                          clocks put forward              clocks put back
 *   paced  `* * * * *`, `30 * * * *`,      continues after the gap         fires whenever the clocks show it,
 *          `* 1-3 * * *`, @hourly,                                         the second time too
 *          every 15 minutes or 2 hours
 *   fixed  `30 2 * * *`, `0 1-3 * * *`,    what would be in the gap        fires at the first of two like
 *          `0 0-23/2 * * *`,               is skipped                      times, not at the second
 *          `* 30 2 * * *`, @daily
 *
 * The rules of fixed times are those of OCPS 1.4, 4.3.1. Vixie cron instead runs, right after a gap, what
 * was in it. Every change of a zone's offset is a change of clocks; that somebody sets the machine's clock is not.
 *
 * Thread: any; nothing here is shared, allocated or kept.
 */
#ifndef MR_SCHEDULER_CRON_H
#define MR_SCHEDULER_CRON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buffer.h"

struct mr_zone;

enum { MR_CRON_REASON = 256 };

/* An expression, ready to use; a plain value. Bit n of a set stands for the value n. */
struct mr_cron {
    uint64_t seconds;
    uint64_t minutes;
    uint64_t hours;
    uint64_t days;     /* 1 to 31 */
    uint64_t months;   /* 1 to 12 */
    uint64_t weekdays; /* 0 to 6; Sunday is 0 */
    bool last_day;     /* `L` is among the days */
    bool any_day;      /* the day field begins with `*` */
    bool any_weekday;  /* the day-of-week field does */
    bool paced;        /* the minute field or the hour field does */
};

/* Why an expression was refused. */
struct mr_cron_problem {
    size_t position;             /* in characters; 1 is the first */
    char reason[MR_CRON_REASON]; /* one sentence without a full stop; cut at a character when it is too long */
};

/*
 * Reads an expression (UTF-8). Refused are syntax errors and a tick that can never come (`0 0 30 2 *`). The deployment's
 * check, infrastructure/config/cron.ts, has the same rules, positions and reasons. Of `out` and `problem` only the one
 * that the result speaks of is written.
 */
bool mr_cron_parse(struct mr_cron *out, struct mr_slice text, struct mr_cron_problem *problem)
    __attribute__((warn_unused_result));

/*
 * The first tick strictly after a moment; both are Unix time in milliseconds, of 1970 or later (earlier moments count as
 * its beginning). false, and `out_ms` as it was, when none comes up to the end of year 9999. Well before that end this
 * means that all its times are in gaps of the zone: half past two on the last Sunday of March, in Europe/Berlin.
 */
bool mr_cron_next(const struct mr_cron *self, const struct mr_zone *zone, int64_t after_ms, int64_t *out_ms)
    __attribute__((warn_unused_result));

/*
 * Whether no tick of an expression ever comes in the zone of that name, after a moment as in mr_cron_next. False, too, when it is no
 * expression, or there is no such zone: that is for others to tell.
 */
bool mr_cron_never_fires(struct mr_slice expression, const char *zone_name, int64_t after_ms)
    __attribute__((warn_unused_result));

#endif
