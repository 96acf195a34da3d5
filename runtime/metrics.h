/*
 * metrics: what a process has counted, in two tables, without locks.
 *
 * Any thread may add. ADMIN_PORT serves the figures to Prometheus (runtime/exposition.h). With METRICS_EMF=true, one log line a minute
 * carries them to CloudWatch (embedded metric format, specification of 2023), written by the loop that keeps the time. The memory is
 * static: labels have the values in the maps (operations, actors, jobs), and no others.
 *
 * MR_METRICS has the single figures. Where Prometheus wants another unit, the value is converted. A figure without a Prometheus name is
 * replaced there by a family, which says more. Rows with the same name stand together and differ by their label.
 *
 *   COUNT  a counter; CloudWatch gets the increase since the last line
 *   LAST   the last value seen
 *   MOST   the maximum since the last line, for CloudWatch only
 *
 * MR_METRIC_FAMILIES has the figures that one or two labels split, for Prometheus only: in CloudWatch each value would be a metric of its own.
 */
#ifndef MR_RUNTIME_METRICS_H
#define MR_RUNTIME_METRICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/buffer.h"
#include "proto/jobs.h"
#include "proto/ops.h"
#include "runtime/clock.h"

/* clang-format off */
#define MR_METRICS(M) \
    /* name              in CloudWatch              kind   unit            of whom  in Prometheus, and its label                 what it is */ \
    M(requests,          "Requests",                COUNT, "Count",        "A",  "", "",                                            "requests answered") \
    M(requests_4xx,      "Requests4xx",             COUNT, "Count",        "A",  "", "",                                            "of these, those with a client error") \
    M(requests_5xx,      "Requests5xx",             COUNT, "Count",        "A",  "", "",                                            "of these, those with a server error") \
    M(request_ms_total,  "RequestTime",             COUNT, "Milliseconds", "A",  "", "",                                            "total time from request to answer") \
    M(request_ms_most,   "RequestTimeMax",          MOST,  "Milliseconds", "A",  "", "",                                            "the longest of these") \
    M(in_flight,         "RequestsInFlight",        LAST,  "Count",        "A",  "millrace_http_requests_in_flight", "",            "requests not answered yet") \
    M(waiting,           "RequestsWaiting",         LAST,  "Count",        "A",  "millrace_http_requests_waiting", "",               "requests that wait: claims for a run, others for the end of a run") \
    M(waiting_refused,   "RequestsWaitingRefused",  COUNT, "Count",        "A",  "millrace_http_requests_waiting_refused", "",       "requests refused with 503 because GATEWAY_MAX_WAITING were waiting") \
    M(runs_claimed,      "WorkRunsClaimed",          COUNT, "Count",        "A",  "millrace_work_runs_claimed", "",                    "runs handed out to workers") \
    M(runs_given_back,   "WorkRunsGivenBack",        COUNT, "Count",        "A",  "millrace_work_runs_given_back", "",                 "of these, those that came back because the worker disconnected before the answer") \
    M(outcomes,          "WorkOutcomes",             COUNT, "Count",        "A",  "millrace_work_outcomes", "",                        "outcomes that workers reported") \
    M(outcomes_stale,    "WorkOutcomesStale",        COUNT, "Count",        "A",  "millrace_work_outcomes_stale", "",                  "of these, those for an expired lease or a run that was settled otherwise") \
    M(connections,       "Connections",             LAST,  "Count",        "A",  "millrace_http_connections", "",                   "client connections") \
    M(connections_max,   "ConnectionsLimit",        LAST,  "Count",        "A",  "millrace_http_connections_limit", "",             "client connections that may be open at once; more wait in the kernel's queue") \
    M(received_bytes,    "RequestBytes",            COUNT, "Bytes",        "A",  "millrace_http_received_bytes", "",                "bytes received from clients, heads and bodies") \
    M(sent_bytes,        "ResponseBytes",           COUNT, "Bytes",        "A",  "millrace_http_sent_bytes", "",                    "bytes sent to clients, heads and bodies") \
    M(rate_limited,      "RequestsRateLimited",     COUNT, "Count",        "A",  "millrace_http_requests_rate_limited", "",         "requests refused with 429 because the caller was over its limit") \
    M(sign_ins_refused,  "SignInsRefused",          COUNT, "Count",        "A",  "millrace_sign_ins_refused", "",                   "sign-ins with a wrong name or password") \
    M(messages,          "Messages",                COUNT, "Count",        "AS", "", "",                                            "messages answered by actors") \
    M(batches,           "Batches",                 COUNT, "Count",        "AS", "", "",                                            "statements and handlers that answered these") \
    M(expired,           "MessagesExpired",         COUNT, "Count",        "AS", "", "",                                            "messages dropped past their deadline") \
    M(refused,           "MessagesRefused",         COUNT, "Count",        "A",  "", "",                                            "requests refused with 503 because a mailbox was full") \
    M(mailbox_most,      "MailboxMessagesMax",      MOST,  "Count",        "A",  "", "",                                            "the most messages under way at one actor") \
    M(mailbox_ms_most,   "MailboxTimeMax",          MOST,  "Milliseconds", "A",  "", "",                                            "the longest time that a message waited for its batch") \
    M(db_us_total,       "DatabaseTime",            COUNT, "Microseconds", "AS", "", "",                                            "total time of statements") \
    M(db_errors,         "DatabaseErrors",          COUNT, "Count",        "AS", "", "",                                            "errors of the database, also those that a retry resolved") \
    M(db_reconnects,     "DatabaseReconnects",      COUNT, "Count",        "AS", "millrace_database_reconnects", "",                "connections to the database that were reopened") \
    M(db_lost,           "DatabaseConnectionsLost", COUNT, "Count",        "AS", "millrace_database_connections_lost", "",          "connections to the database that broke") \
    M(db_failed,         "DatabaseConnectsFailed",  COUNT, "Count",        "AS", "millrace_database_connects_failed", "",           "failed attempts to connect to the database") \
    M(runs_succeeded,    "JobRunsSucceeded",        COUNT, "Count",        "S",  "millrace_job_runs", "outcome=\"succeeded\"",      "job runs by outcome") \
    M(runs_failed,       "JobRunsFailed",           COUNT, "Count",        "S",  "millrace_job_runs", "outcome=\"failed\"",         "will be retried") \
    M(runs_dead,         "JobRunsDead",             COUNT, "Count",        "S",  "millrace_job_runs", "outcome=\"dead\"",           "have no attempts left") \
    M(runs_cancelled,    "JobRunsCancelled",        COUNT, "Count",        "S",  "millrace_job_runs", "outcome=\"cancelled\"",      "on request") \
    M(runs_released,     "JobRunsReleased",         COUNT, "Count",        "S",  "millrace_job_runs", "outcome=\"released\"",       "put back at the end of a process") \
    M(runs_rescued,      "JobRunsRescued",          COUNT, "Count",        "S",  "millrace_job_runs", "outcome=\"rescued\"",        "put back because their owner went silent") \
    M(runs_lost,         "JobRunsLost",             COUNT, "Count",        "S",  "millrace_job_runs", "outcome=\"lost\"",           "taken over by another process") \
    M(run_ms_total,      "JobRunTime",              COUNT, "Milliseconds", "S",  "", "",                                            "total time of runs") \
    M(run_ms_most,       "JobRunTimeMax",           MOST,  "Milliseconds", "S",  "", "",                                            "the longest of these") \
    M(run_rows,          "JobRows",                 COUNT, "Count",        "S",  "millrace_job_rows", "",                           "rows that jobs have handled") \
    M(units_skipped,     "JobUnitsSkipped",         COUNT, "Count",        "S",  "millrace_job_units_skipped", "",                  "units that the database refused") \
    M(queue_age_ms,      "JobQueueAge",             LAST,  "Milliseconds", "S",  "", "",                                            "how long the oldest due run has waited") \
    M(runs_waiting,      "JobRunsWaiting",          LAST,  "Count",        "S",  "", "",                                            "due runs that wait, in all processes; counted up to ten thousand a job") \
    M(pushes_delivered,  "PushesDelivered",         COUNT, "Count",        "S",  "millrace_pushes", "outcome=\"delivered\"",        "calls to receivers by outcome") \
    M(pushes_refused,    "PushesRefused",           COUNT, "Count",        "S",  "millrace_pushes", "outcome=\"refused\"",          "the receiver answered, but not with 2xx") \
    M(pushes_unanswered, "PushesUnanswered",        COUNT, "Count",        "S",  "millrace_pushes", "outcome=\"unanswered\"",       "no answer, or no connection") \
    M(pushes_forbidden,  "PushesForbidden",         COUNT, "Count",        "S",  "millrace_pushes", "outcome=\"forbidden\"",        "the receiver's address is not public (PUSH_ALLOW_PRIVATE)") \
    M(push_ms_total,     "PushTime",                COUNT, "Milliseconds", "S",  "", "",                                            "total time of calls") \
    M(push_ms_most,      "PushTimeMax",             MOST,  "Milliseconds", "S",  "", "",                                            "the longest of these") \
    M(pushes_in_flight,  "PushesInFlight",          LAST,  "Count",        "S",  "millrace_pushes_in_flight", "",                   "calls under way") \
    M(held_back,         "PushReceiversHeldBack",   LAST,  "Count",        "S",  "millrace_push_receivers_held_back", "",           "receivers that get fewer calls for now, or none, because they did not answer or asked for a pause") \
    M(queue_oldest_ms,   "QueueOldest",             LAST,  "Milliseconds", "S",  "", "",                                            "how long the oldest ready run of push or pull has waited, paused jobs aside") \
    M(queue_ready,       "QueueRunsReady",          LAST,  "Count",        "S",  "", "",                                            "ready runs of push and pull; counted up to ten thousand a job") \
    M(queue_dead,        "QueueRunsDead",           LAST,  "Count",        "S",  "", "",                                            "dead runs of push and pull that are kept; counted up to ten thousand a job") \
    M(queue_died,        "QueueRunsDied",           COUNT, "Count",        "S",  "", "",                                            "runs of push and pull that used up their attempts") \
    M(queues_paused,     "QueuesPaused",            LAST,  "Count",        "S",  "", "",                                            "paused jobs of push and pull") \
    M(ticks,             "Ticks",                   COUNT, "Count",        "S",  "millrace_schedule_ticks", "",                     "ticks for which this process made a run") \
    M(ticks_late,        "TicksLate",               COUNT, "Count",        "S",  "millrace_schedule_ticks_late", "",                "ticks whose run was made more than a second late") \
    M(ticks_missed,      "TicksMissed",             COUNT, "Count",        "S",  "millrace_schedule_ticks_missed", "",              "ticks that got no run (SCHEDULE_MISSED)") \
    M(spans_sent,        "SpansSent",               COUNT, "Count",        "AS", "millrace_spans_sent", "",                          "spans that the collector accepted") \
    M(spans_dropped,     "SpansDropped",            COUNT, "Count",        "AS", "millrace_spans_dropped", "",                       "spans that were dropped: the collector was away, refused them, or was too slow")

#define MR_METRIC_FAMILIES(F) \
    /* name               in Prometheus                                   type       labels       of whom  what it is */ \
    F(http_requests,      "millrace_http_requests",                       COUNTER,   "op, class",   "A",  "requests answered, by operation (none: no such operation) and class of status") \
    F(http_duration,      "millrace_http_request_duration_seconds",       HISTOGRAM, "op",          "A",  "time from a request to its answer") \
    F(mailbox_messages,   "millrace_mailbox_messages",                    GAUGE,     "mailbox",     "AS", "messages at an actor: those that wait, and those it is answering") \
    F(mailbox_oldest,     "millrace_mailbox_oldest_seconds",              GAUGE,     "mailbox",     "AS", "how long the oldest of these has waited") \
    F(mailbox_refused,    "millrace_mailbox_refused",                     COUNTER,   "mailbox",     "AS", "requests refused with 503 because the mailbox was full") \
    F(mailbox_expired,    "millrace_mailbox_expired",                     COUNTER,   "mailbox",     "AS", "messages dropped past their deadline") \
    F(batch_messages,     "millrace_batch_messages",                      HISTOGRAM, "actor",       "AS", "messages that one statement or handler answered") \
    F(database_duration,  "millrace_database_statement_duration_seconds", HISTOGRAM, "actor",       "AS", "time from sending a statement to its answer") \
    F(database_connected, "millrace_database_connected",                  GAUGE,     "mailbox",     "AS", "whether an actor is connected to the database, or has closed its connection because it is idle") \
    F(database_errors,    "millrace_database_errors",                     COUNTER,   "class",       "AS", "errors of the database by class of their SQLSTATE, also those that a retry resolved") \
    F(job_waiting,        "millrace_job_runs_waiting",                    GAUGE,     "job_name",    "S",  "due runs that wait, in all processes; counted up to ten thousand") \
    F(job_oldest,         "millrace_job_runs_oldest_seconds",             GAUGE,     "job_name",    "S",  "how long the oldest due run has waited, including for another run of its job") \
    F(job_running,        "millrace_job_runs_running",                    GAUGE,     "job_name",    "S",  "whether this process works on a run of the job") \
    F(job_duration,       "millrace_job_run_duration_seconds",            HISTOGRAM, "job_name",    "S",  "duration of runs") \
    F(push_duration,      "millrace_push_duration_seconds",               HISTOGRAM, "outcome",     "S",  "duration of calls to receivers") \
    F(push_answers,       "millrace_push_answers",                        COUNTER,   "class",       "S",  "answers of receivers by class of status") \
    F(queue_runs,         "millrace_queue_runs",                          GAUGE,     "job_name, state", "S", "runs of push and pull in all processes: ready, later, leased, dead; counted up to ten thousand") \
    F(queue_oldest,       "millrace_queue_oldest_seconds",                GAUGE,     "job_name",    "S",  "how long the oldest ready run of push or pull has waited") \
    F(queue_paused,       "millrace_queue_paused",                        GAUGE,     "job_name",    "S",  "whether the job is paused") \
    F(queue_outcomes,     "millrace_queue_outcomes",                      COUNTER,   "job_name, outcome", "S", "runs of push and pull in all processes that succeeded, died or were cancelled, and attempts that failed") \
    F(process_memory,     "millrace_process_resident_memory_bytes",       GAUGE,     "",            "AS", "resident memory of the process") \
    F(process_cpu,        "millrace_process_cpu_seconds",                 COUNTER,   "",            "AS", "processor time, user and system") \
    F(process_files,      "millrace_process_open_descriptors",            GAUGE,     "",            "AS", "open file descriptors") \
    F(process_files_max,  "millrace_process_descriptors_limit",           GAUGE,     "",            "AS", "file descriptors that may be open") \
    F(process_uptime,     "millrace_process_uptime_seconds",              GAUGE,     "",            "AS", "time since the process started") \
    F(build,              "millrace_build",                               INFO,      "version, revision, role", "AS", "what runs here")
/* clang-format on */

enum mr_metric {
#define M(name, ...) MR_METRIC_##name,
    MR_METRICS(M)
#undef M
        MR_METRIC_COUNT
};

enum mr_metric_kind { MR_METRIC_IS_COUNT, MR_METRIC_IS_LAST, MR_METRIC_IS_MOST };

/* A row of the first table. */
struct mr_metric_info {
    const char *cloudwatch;
    enum mr_metric_kind kind;
    const char *unit;
    const char *roles;
    const char *prometheus; /* "": a family exports it */
    const char *label;      /* name and value; "": none */
    const char *about;
};

/* The metric's row in the table; static. */
const struct mr_metric_info *mr_metric_info(enum mr_metric metric);

/* ---- Families ---- */

enum { MR_BUCKETS = 16, MR_STATUS_CLASSES = 4, MR_SQLSTATE_CLASSES = 36 * 36 };

/* Of values in one unit; the last bucket takes what is over the greatest bound. */
struct mr_histogram {
    _Atomic uint64_t buckets[MR_BUCKETS];
    _Atomic uint64_t sum;
};

/* The upper bounds of a kind of histogram, ascending, and what one of Prometheus's units is in theirs. */
struct mr_bounds {
    int64_t bounds[MR_BUCKETS - 1];
    unsigned count;
    int64_t unit;
};

extern const struct mr_bounds mr_request_bounds;  /* microseconds */
extern const struct mr_bounds mr_database_bounds; /* microseconds */
extern const struct mr_bounds mr_batch_bounds;    /* messages */
extern const struct mr_bounds mr_run_bounds;      /* milliseconds */

/* The requests of an operation. */
struct mr_op_family {
    _Atomic uint64_t requests[MR_STATUS_CLASSES]; /* 2xx to 5xx */
    struct mr_histogram request_us;
};

/* How a call to a receiver ended, as MR_METRICS has it. */
enum mr_push_end { MR_PUSH_DELIVERED, MR_PUSH_REFUSED, MR_PUSH_UNANSWERED, MR_PUSH_FORBIDDEN, MR_PUSH_END_COUNT };

/* What the families are made of. Those of the map stand first, then the requests of no operation: mr_op_family. */
struct mr_families {
    struct mr_op_family ops[MR_OP_COUNT + 1];
    struct mr_op_family *more; /* of an application, by mr_metrics_setup; NULL: there is none, or no memory */
    struct mr_histogram batch[MR_ACTOR_COUNT];
    struct mr_histogram database_us[MR_ACTOR_COUNT];
    struct mr_histogram run_ms[MR_JOBS_MAX];
    struct mr_histogram push_us[MR_PUSH_END_COUNT];
    _Atomic uint64_t push_answers[MR_STATUS_CLASSES];      /* 2xx to 5xx */
    _Atomic uint64_t database_errors[MR_SQLSTATE_CLASSES]; /* by the two characters of the class, each 0-9A-Z */
    _Atomic uint64_t jobs_waiting[MR_JOBS_MAX];
    _Atomic uint64_t jobs_oldest_ms[MR_JOBS_MAX];
};

extern struct mr_families mr_families;

/*
 * The family under which requests of `op` are counted. MR_OP_NONE shares one with the application's ops if there was no memory
 * for theirs.
 */
struct mr_op_family *mr_op_family(enum mr_op op);

/*
 * Counts a request that was answered with `http` after `took_us`; `op` is MR_OP_NONE if it named no operation. Any thread, as
 * for all functions that count.
 */
void mr_metric_request(enum mr_op op, int http, int64_t took_us);

/* Counts a batch of so many messages that an actor answered. */
void mr_metric_batch(enum mr_actor_id actor, unsigned messages);

/* Counts a statement that ended, with or without an error, after `took_us`. */
void mr_metric_statement(enum mr_actor_id actor, int64_t took_us);

/* Counts a run of a job that ended, with any outcome, after `took_ms`. */
void mr_metric_run(enum mr_job job, int64_t took_ms);

/* Counts a call to a receiver that ended after `took_us`; `http` is the status of its answer, or 0 without one. */
void mr_metric_push(enum mr_push_end end, int http, int64_t took_us);

/* Counts an error that the database, or a pooler in front of it, reported. "" counts nothing. */
void mr_metric_sqlstate(const char *sqlstate);

/* How many due runs of a job wait. Any thread. */
void mr_metric_job_waiting(enum mr_job job, uint64_t runs);

/* For how many milliseconds the oldest due run of a job has waited; 0: none waits. Any thread. */
void mr_metric_job_oldest(enum mr_job job, uint64_t ms);

/* ---- Single figures ---- */

/* Adds to a COUNT. */
void mr_metric_add(enum mr_metric metric, uint64_t more);

/* Sets the value of a metric of the kind LAST, or raises that of a MOST. */
void mr_metric_show(enum mr_metric metric, uint64_t value);

/* The total of a COUNT, or the last value of another metric. */
uint64_t mr_metric_value(enum mr_metric metric);

/*
 * Sets whose figures are exported ("A", "S" or "AS") and the name of this process's role, borrowed for good. Call it once,
 * before other threads exist.
 */
void mr_metrics_setup(const char *roles, const char *role, bool emf);

/* The environment that the line names beside the role, borrowed for good; "": none. As mr_metrics_setup. */
void mr_metrics_name_environment(const char *name);

/* Whether this process exports the figures of these roles. Any thread. */
bool mr_metrics_are_of(const char *roles);

/* The role that mr_metrics_setup was given, e.g. "api"; borrowed for good. Any thread. */
const char *mr_metrics_role(void);

/* Writes the CloudWatch line when a minute has passed, if METRICS_EMF asks for it. Call it every second or so. Any thread. */
void mr_metrics_tick(const struct mr_clock *clock);

/* Appends the CloudWatch line, with its line break, and begins a new minute. */
void mr_metrics_emf(struct mr_buf *out, int64_t wall_ms);

#endif
