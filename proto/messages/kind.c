#include "proto/kind.h"
#include "proto/message.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, DAY = 24 * 60 * MINUTE };

static const struct mr_result retry = {
    .name = "JobRetry",
    .about = "When a failed run is retried: each pause is twice the one before, give or take 10 %",
    .members = MR_MEMBERS(
        {"attempts", MR_INT, .about = "the most attempts", .example = "10"},
        {"first", MR_TEXT, .about = "the pause before the second attempt", .example = "2s"},
        {"most", MR_TEXT, .about = "the longest pause", .example = "1h"}),
};

static const struct mr_result unique = {
    .name = "JobUnique",
    .about = "When two runs count as duplicates",
    .members = MR_MEMBERS(
        {"by", MR_TEXT, .many = true, .optional = true, .about = "the arguments that identify a run", .example = "orderId"},
        {"for", MR_TEXT, .optional = true, .about = "for how long; absent: until the run is finished", .example = "1h"}),
};

static const struct mr_result depth = {
    .name = "JobDepth",
    .about = "Number of runs in each state, counted up to ten thousand",
    .members = MR_MEMBERS(
        {"ready", MR_INT, .about = "due now", .example = "12"},
        {"later", MR_INT, .about = "due later: delayed, snoozed, or waiting for the next attempt", .example = "3"},
        {"running", MR_INT, .about = "running", .example = "2"},
        {"dead", MR_INT, .about = "without attempts left", .example = "0"}),
};

static const struct mr_result done = {
    .name = "JobThroughput",
    .about = "Outcomes of attempts",
    .members = MR_MEMBERS(
        {"succeeded", MR_INT, .about = "runs that succeeded", .example = "240"},
        {"failed", MR_INT, .about = "attempts that failed, the last ones of dead runs among them", .example = "1"},
        {"dead", MR_INT, .about = "runs without attempts left", .example = "0"}),
};

#define JOB_MEMBERS                                                                                                                                \
    {"name", MR_TEXT, .about = "its name", .example = "cleanup"},                                                                                   \
    {"work", MR_TEXT, .choices = "sql|push|pull", .about = "who does the work. sql: statements; push: a signed HTTP call; pull: workers", .example = "push"},  \
    {"origin", MR_TEXT, .choices = "engine|folder|managed", .about = "who declared it: Millrace, the application's folder, or PUT /v1/jobs/{job}", .example = "managed"}, \
    {"schedule", MR_TEXT, .optional = true, .about = "when it runs, as a cron expression", .example = "0 2 * * *"},                                 \
    {"timezone", MR_TEXT, .optional = true, .about = "of the schedule", .example = "UTC"},                                                          \
    {"missed", MR_TEXT, .choices = "once|skip|all", .optional = true, .about = "what happens to ticks while no scheduler runs, or while the job is paused; absent: SCHEDULE_MISSED", .example = "once"}, \
    {"enabled", MR_BOOL, .about = "whether it has a schedule", .example = "true"},                                                                  \
    {"nextAt", MR_TIME, .optional = true, .about = "when it runs next", .example = "2027-01-02T02:00:00.000Z"},                                     \
    {"pausedAt", MR_TIME, .optional = true, .about = "when it was paused; absent: it is not", .example = "2027-01-01T08:00:00.000Z"}, \
    {"removedAt", MR_TIME, .optional = true, .about = "when it was removed: it takes no more runs, and waiting ones are still done", .example = "2027-01-01T08:00:00.000Z"}, \
    {"url", MR_TEXT, .optional = true, .format = "uri", .about = "push: the URL to call", .example = "https://hooks.example.org/receipts"}, \
    {"secrets", MR_INT, .optional = true, .about = "push: how many secrets sign the call; no answer contains them", .example = "1"},                 \
    {"args", .json = &mr_result_anything, .optional = true, .about = "the rules for a run's arguments, by name"},                                 \
    {"retry", .columns = &retry, .optional = true, .about = "when a failed run is retried"},                                               \
    {"timeout", MR_TEXT, .optional = true, .about = "push: how long a call may take; pull: the lease of a claim that names none", .example = "30s"}, \
    {"concurrency", MR_INT, .optional = true, .about = "the most runs at once, in all processes; absent: no limit", .example = "20"},                    \
    {"perKey", MR_INT, .optional = true, .about = "the most runs of one key at once; absent: no limit", .example = "1"},                          \
    {"priority", MR_INT, .optional = true, .about = "priority of a run that names none; within a key the higher goes first", .example = "0"},                \
    {"unique", .columns = &unique, .optional = true, .about = "when two runs count as duplicates"},                                                   \
    {"keep", MR_TEXT, .optional = true, .about = "how long finished runs are kept; absent: JOB_RUN_RETENTION", .example = "14d"},         \
    {"depth", .columns = &depth, .about = "its runs by state"},                                                                                     \
    {"oldestReadyAt", MR_TIME, .optional = true, .about = "since when the oldest due run has waited, among up to a thousand keys", .example = "2027-01-01T08:00:00.000Z"}, \
    {"oldestRunningAt", MR_TIME, .optional = true, .about = "when the longest-running run began", .example = "2027-01-01T08:00:00.000Z"},   \
    {"lastMinute", .columns = &done, .about = "outcomes of attempts in the last 60 seconds"},                                                      \
    {"lastHour", .columns = &done, .about = "outcomes of attempts in the last hour"},                                                              \
    {"lastRun", .json = &mr_result_job_run, .optional = true, .about = "its last run, without the result"}

const struct mr_result mr_result_job = {
    .name = "Job",
    .about = "A background job",
    .members = MR_MEMBERS(JOB_MEMBERS),
};

#define NO_FALLBACK(text) NULL
#define FALLBACK(text)    text

/* What a kind says of itself. `or` gives a default to who makes one, `clears`: null takes it away. */
#define KIND_FIELDS(or, clears)                                                                                                                     \
    {"url", MR_TEXT, MR_BODY, false, 1, MR_URL_MAX, MR_FORMAT_URL, .about = "push: the URL to call", .example = "https://hooks.example.org/receipts"}, \
    {"secret", MR_TEXT, MR_BODY, false, 1, MR_SECRET_TEXT, MR_FORMAT_SECRET, .about = "push: the secret that signs the call (Standard Webhooks)", .example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, \
    {"secrets", MR_TEXT, MR_BODY, false, 1, MR_SECRET_TEXT, MR_FORMAT_SECRET, .many = true, .items_min = 1, .items_max = MR_SECRETS_MAX, .about = "push: several secrets, while one is rotated; each signs the call"}, \
    {"args", MR_JSON, MR_BODY, .clearable = (clears), .rule = mr_kind_args_rule, .about = "the rules for a run's arguments: name to {type, required, default, min, max, length}; type is text, uuid, integer, number, boolean, timestamp, date or json; absent: any object", .example = "{\"orderId\":{\"type\":\"uuid\"},\"locale\":{\"type\":\"text\",\"default\":\"en\"}}"}, \
    {"retry.attempts", MR_INT, MR_BODY, false, 1, 100, .fallback = or("10"), .about = "the most attempts", .example = "10"},                          \
    {"retry.first", MR_INT, MR_BODY, false, SECOND, DAY, MR_FORMAT_DURATION, .fallback = or("2s"), .about = "the pause before the second attempt; each later one is twice as long", .example = "2s"}, \
    {"retry.most", MR_INT, MR_BODY, false, SECOND, INT64_C(30) * DAY, MR_FORMAT_DURATION, .fallback = or("1h"), .about = "the longest pause", .example = "1h"}, \
    {"timeout", MR_INT, MR_BODY, false, SECOND, DAY, MR_FORMAT_DURATION, .fallback = or("30s"), .about = "push: how long a call may take; pull: the lease of a claim that names none", .example = "30s"}, \
    {"concurrency", MR_INT, MR_BODY, false, 1, 100000, .clearable = (clears), .about = "the most runs at once, in all processes", .example = "20"},            \
    {"perKey", MR_INT, MR_BODY, false, 1, 100000, .clearable = (clears), .about = "the most runs of one key at once", .example = "1"},                  \
    {"priority", MR_INT, MR_BODY, false, -100, 100, .fallback = or("0"), .about = "priority of a run that names none; within a key the higher goes first, and waiting raises it", .example = "0"}, \
    {"unique.by", MR_TEXT, MR_BODY, false, 1, 63, .many = true, .items_min = 1, .items_max = 16, .clearable = (clears), .about = "the arguments that identify a run", .example = "[\"orderId\"]"}, \
    {"unique.for", MR_INT, MR_BODY, false, SECOND, INT64_C(365) * DAY, MR_FORMAT_DURATION, .clearable = (clears), .about = "for how long; absent: until the run is finished", .example = "1h"}, \
    {"cron", MR_TEXT, MR_BODY, false, 1, 200, MR_FORMAT_CRON, .clearable = (clears), .about = "its schedule, as a cron expression", .example = "0 5 * * MON"}, \
    {"timezone", MR_TEXT, MR_BODY, false, 1, 64, MR_FORMAT_ZONE, .clearable = (clears), .about = "time zone of the schedule; absent: SCHEDULE_TIMEZONE", .example = "Europe/Berlin"}, \
    {"missed", MR_TEXT, MR_BODY, false, .format = MR_FORMAT_CHOICE, .choices = "once|skip|all", .clearable = (clears), .about = "what happens to ticks while no scheduler runs, or while the job is paused", .example = "once"}, \
    {"keep", MR_INT, MR_BODY, false, MINUTE, INT64_C(3650) * DAY, MR_FORMAT_DURATION, .clearable = (clears), .about = "how long finished runs are kept; absent: JOB_RUN_RETENTION", .example = "14d"}

#define CALLER_FIELDS                                                                                                                               \
    {"userId", MR_UUID, MR_TOKEN_USER, .about = "who is calling"},                                                                                  \
    {"apiKey", MR_UUID, MR_TOKEN_KEY, .about = "the API key that is calling"},                                                                      \
    {"auditId", MR_UUID, MR_NEW_ID, true, .about = "the audit entry of the change"}

MR_MESSAGE(job_put) {
    .summary = "Create a job of push or pull, or replace one; secrets that are left out stay",
    .shape = MR_SHAPE_ONE,
    .resource = "job",
    .key = "job",
    .returns = &mr_result_job,
    .scopes = "jobs:admin",
    .narrow = "job",
    .answers = "409",
    .fields = MR_FIELDS(
        {"job", MR_TEXT, MR_PATH, true, 1, 63, MR_FORMAT_NAME, .about = "its name", .example = "send_receipt"},
        CALLER_FIELDS,
        {"work", MR_TEXT, MR_BODY, true, .format = MR_FORMAT_CHOICE, .choices = "push|pull", .about = "who does the work. push: a signed HTTP call; pull: workers", .example = "push"},
        KIND_FIELDS(FALLBACK, false)),
};

MR_MESSAGE(job_update) {
    .summary = "Change a job that PUT created; the change applies from the next attempt on",
    .shape = MR_SHAPE_ONE,
    .resource = "job",
    .key = "job",
    .returns = &mr_result_job,
    .scopes = "jobs:admin",
    .narrow = "job",
    .answers = "404|409",
    .fields = MR_FIELDS(
        {"job", MR_TEXT, MR_PATH, true, 1, 64, .about = "its name", .example = "send_receipt"},
        CALLER_FIELDS,
        KIND_FIELDS(NO_FALLBACK, true)),
};

MR_MESSAGE(job_delete) {
    .summary = "Remove a job that PUT created: nobody can queue runs of it any more, and those that wait are still done",
    .shape = MR_SHAPE_NONE,
    .resource = "job",
    .key = "job",
    .scopes = "jobs:admin",
    .narrow = "job",
    .answers = "404|409",
    .fields = MR_FIELDS(
        {"job", MR_TEXT, MR_PATH, true, 1, 64, .about = "its name", .example = "send_receipt"},
        CALLER_FIELDS),
};

MR_MESSAGE(job_pause) {
    .summary = "Pause a job: within a second no run of it starts, and its ticks count as missed; running ones continue",
    .shape = MR_SHAPE_ONE,
    .resource = "job",
    .key = "job",
    .returns = &mr_result_job,
    .scopes = "jobs:admin",
    .narrow = "job",
    .answers = "404",
    .fields = MR_FIELDS(
        {"job", MR_TEXT, MR_PATH, true, 1, 64, .about = "its name", .example = "send_receipt"},
        CALLER_FIELDS),
};

MR_MESSAGE(job_resume) {
    .summary = "Resume a job that was paused",
    .shape = MR_SHAPE_ONE,
    .resource = "job",
    .key = "job",
    .returns = &mr_result_job,
    .scopes = "jobs:admin",
    .narrow = "job",
    .answers = "404",
    .fields = MR_FIELDS(
        {"job", MR_TEXT, MR_PATH, true, 1, 64, .about = "its name", .example = "send_receipt"},
        CALLER_FIELDS),
};
