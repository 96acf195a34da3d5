/*
 * metrics: what a process has counted, in one table, without locks.
 *
 * Any thread adds; with METRICS_EMF=true one line a minute tells the figures to CloudWatch (embedded metric format,
 * specification of 2023), from wherever the process keeps time.
 *
 *   COUNT  how often since the last line
 *   LAST   as it was seen last
 *   MOST   the greatest since the last line
 */
#ifndef MR_RUNTIME_METRICS_H
#define MR_RUNTIME_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/buffer.h"
#include "runtime/clock.h"

/* clang-format off */
#define MR_METRICS(M)                                                                                         \
    /* name              in CloudWatch          kind   unit            of whom  what it is */                  \
    M(requests,          "Requests",            COUNT, "Count",        "A", "requests that were answered")     \
    M(requests_4xx,      "Requests4xx",         COUNT, "Count",        "A", "of them, those with an error of the client's") \
    M(requests_5xx,      "Requests5xx",         COUNT, "Count",        "A", "of them, those with an error of ours")      \
    M(request_ms_total,  "RequestTime",         COUNT, "Milliseconds", "A", "time from a request to its answer, in all") \
    M(request_ms_most,   "RequestTimeMax",      MOST,  "Milliseconds", "A", "the longest of these")             \
    M(connections,       "Connections",         LAST,  "Count",        "A", "client connections")               \
    M(messages,          "Messages",            COUNT, "Count",        "AS", "messages that actors have answered") \
    M(batches,           "Batches",             COUNT, "Count",        "AS", "statements and handlers that answered them") \
    M(expired,           "MessagesExpired",     COUNT, "Count",        "AS", "messages dropped past their deadline") \
    M(db_lost,           "DatabaseConnectionsLost", COUNT, "Count",    "AS", "connections to the database that broke") \
    M(db_failed,         "DatabaseConnectsFailed", COUNT, "Count",     "AS", "attempts to connect to the database that failed") \
    M(runs_succeeded,    "JobRunsSucceeded",    COUNT, "Count",        "S", "job runs by outcome")              \
    M(runs_failed,       "JobRunsFailed",       COUNT, "Count",        "S", "will be tried again")              \
    M(runs_dead,         "JobRunsDead",         COUNT, "Count",        "S", "used up their attempts")           \
    M(runs_cancelled,    "JobRunsCancelled",    COUNT, "Count",        "S", "on request")                       \
    M(runs_released,     "JobRunsReleased",     COUNT, "Count",        "S", "given back at the end of a process") \
    M(runs_rescued,      "JobRunsRescued",      COUNT, "Count",        "S", "put back after their owner went silent") \
    M(runs_lost,         "JobRunsLost",         COUNT, "Count",        "S", "taken away from us meanwhile")     \
    M(run_ms_total,      "JobRunTime",          COUNT, "Milliseconds", "S", "time that runs took, in all")      \
    M(run_ms_most,       "JobRunTimeMax",       MOST,  "Milliseconds", "S", "the longest of these")             \
    M(units_skipped,     "JobUnitsSkipped",     COUNT, "Count",        "S", "units that the database refused")  \
    M(run_rows,          "JobRows",             COUNT, "Count",        "S", "rows that jobs have handled")      \
    M(queue_age_ms,      "JobQueueAge",         LAST,  "Milliseconds", "S", "for how long the oldest due run has waited") \
    M(ticks,             "Ticks",               COUNT, "Count",        "S", "ticks that this process made a run for") \
    M(ticks_late,        "TicksLate",           COUNT, "Count",        "S", "of them, those more than a second late") \
    M(ticks_missed,      "TicksMissed",         COUNT, "Count",        "S", "ticks that were given up (SCHEDULE_MISSED)")
/* clang-format on */

enum mr_metric {
#define M(name, ...) MR_METRIC_##name,
    MR_METRICS(M)
#undef M
        MR_METRIC_COUNT
};

/* Adds to a COUNT. */
void mr_metric_add(enum mr_metric metric, uint64_t more);

/* Shows a value of a LAST or MOST. */
void mr_metric_show(enum mr_metric metric, uint64_t value);

/* What has been counted in all, or shown last. */
uint64_t mr_metric_value(enum mr_metric metric);

/* Which roles' figures the line has ("A", "S" or "AS"), and its dimension Role; once, before other threads exist. */
void mr_metrics_setup(const char *roles, const char *role, bool emf);

/* To be called now and then: writes the line when a minute has passed, if it is wanted. Any thread. */
void mr_metrics_tick(const struct mr_clock *clock);

/* Appends the line, with its line break, and begins a new minute. */
void mr_metrics_emf(struct mr_buf *out, int64_t wall_ms);

#endif
