#include "proto/kind.h"
#include "proto/message.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, DAY = 24 * 60 * MINUTE };

static const struct mr_result retry = {
    .name = "JobRetry",
    .about = "When a run that failed is tried again: each pause is twice the one before, give or take 10 %",
    .members = MR_MEMBERS(
        {"attempts", MR_INT, .about = "attempts in all", .example = "10"},
        {"first", MR_TEXT, .about = "the pause before the second", .example = "2s"},
        {"most", MR_TEXT, .about = "the longest pause", .example = "1h"}),
};

static const struct mr_result unique = {
    .name = "JobUnique",
    .about = "Which runs are one and the same",
    .members = MR_MEMBERS(
        {"by", MR_TEXT, .many = true, .optional = true, .about = "the arguments that make them so", .example = "orderId"},
        {"for", MR_TEXT, .optional = true, .about = "for how long; left out: until the run is finished", .example = "1h"}),
};

static const struct mr_result depth = {
    .name = "JobDepth",
    .about = "How many runs there are of a state; ten thousand at most are counted",
    .members = MR_MEMBERS(
        {"ready", MR_INT, .about = "that could be worked on now", .example = "12"},
        {"later", MR_INT, .about = "that wait for their time: delayed, snoozed, or for the next attempt", .example = "3"},
        {"running", MR_INT, .about = "that are at work", .example = "2"},
        {"dead", MR_INT, .about = "that used up their attempts", .example = "0"}),
};

static const struct mr_result done = {
    .name = "JobThroughput",
    .about = "What came of attempts",
    .members = MR_MEMBERS(
        {"succeeded", MR_INT, .about = "runs that succeeded", .example = "240"},
        {"failed", MR_INT, .about = "attempts that failed, the last ones of dead runs among them", .example = "1"},
        {"dead", MR_INT, .about = "runs that used up their attempts", .example = "0"}),
};

#define JOB_MEMBERS                                                                                                                                \
    {"name", MR_TEXT, .about = "its name", .example = "cleanup"},                                                                                   \
    {"work", MR_TEXT, .choices = "sql|push|pull", .about = "who does it: statements, a signed HTTP call, or workers that ask", .example = "push"},  \
    {"origin", MR_TEXT, .choices = "engine|folder|managed", .about = "who says what it is: Millrace, the application's folder, or PUT /v1/jobs/{job}", .example = "managed"}, \
    {"schedule", MR_TEXT, .optional = true, .about = "when it runs, as a cron expression", .example = "0 2 * * *"},                                 \
    {"timezone", MR_TEXT, .optional = true, .about = "of the schedule", .example = "UTC"},                                                          \
    {"missed", MR_TEXT, .choices = "once|skip|all", .optional = true, .about = "what becomes of ticks that came while no scheduler ran, or while it was paused; left out: as SCHEDULE_MISSED says", .example = "once"}, \
    {"enabled", MR_BOOL, .about = "whether it has a schedule", .example = "true"},                                                                  \
    {"nextAt", MR_TIME, .optional = true, .about = "when it runs next", .example = "2027-01-02T02:00:00.000Z"},                                     \
    {"pausedAt", MR_TIME, .optional = true, .about = "since when nobody takes its runs; left out: it is not paused", .example = "2027-01-01T08:00:00.000Z"}, \
    {"removedAt", MR_TIME, .optional = true, .about = "since when it takes no more runs; those that wait are worked on", .example = "2027-01-01T08:00:00.000Z"}, \
    {"url", MR_TEXT, .optional = true, .format = "uri", .about = "of push: where the call goes", .example = "https://hooks.example.org/receipts"}, \
    {"secrets", MR_INT, .optional = true, .about = "of push: how many secrets sign the call; they are never told", .example = "1"},                 \
    {"args", .json = &mr_result_anything, .optional = true, .about = "the rules of its arguments, by their names"},                                 \
    {"retry", .columns = &retry, .optional = true, .about = "when a run that failed is tried again"},                                               \
    {"timeout", MR_TEXT, .optional = true, .about = "of push: how long one call may take; of pull: the lease of a claim that names none", .example = "30s"}, \
    {"concurrency", MR_INT, .optional = true, .about = "runs at once, in all processes; left out: any number", .example = "20"},                    \
    {"perKey", MR_INT, .optional = true, .about = "runs at once that have one key; left out: any number", .example = "1"},                          \
    {"priority", MR_INT, .optional = true, .about = "of a run that says none; within a key the greater goes first", .example = "0"},                \
    {"unique", .columns = &unique, .optional = true, .about = "which runs are one and the same"},                                                   \
    {"keep", MR_TEXT, .optional = true, .about = "how long finished runs are kept; left out: as JOB_RUN_RETENTION says", .example = "14d"},         \
    {"depth", .columns = &depth, .about = "its runs by state"},                                                                                     \
    {"oldestReadyAt", MR_TIME, .optional = true, .about = "since when the run that has waited longest could be worked on; of a thousand keys at most", .example = "2027-01-01T08:00:00.000Z"}, \
    {"oldestRunningAt", MR_TIME, .optional = true, .about = "when the one that is longest at work began", .example = "2027-01-01T08:00:00.000Z"},   \
    {"lastMinute", .columns = &done, .about = "what came of attempts in the last 60 seconds"},                                                      \
    {"lastHour", .columns = &done, .about = "what came of attempts in the last hour"},                                                              \
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
    {"url", MR_TEXT, MR_BODY, false, 1, MR_URL_MAX, MR_FORMAT_URL, .about = "of push: where the call goes", .example = "https://hooks.example.org/receipts"}, \
    {"secret", MR_TEXT, MR_BODY, false, 1, MR_SECRET_TEXT, MR_FORMAT_SECRET, .about = "of push: what signs the call (Standard Webhooks)", .example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, \
    {"secrets", MR_TEXT, MR_BODY, false, 1, MR_SECRET_TEXT, MR_FORMAT_SECRET, .many = true, .items_min = 1, .items_max = MR_SECRETS_MAX, .about = "several of them, while one is rotated: each signs the call"}, \
    {"args", MR_JSON, MR_BODY, .clearable = clears, .rule = mr_kind_args_rule, .about = "rules of its arguments: name to {type, required, default, min, max, length}; type is text, uuid, integer, number, boolean, timestamp, date or json; left out: any object will do", .example = "{\"orderId\":{\"type\":\"uuid\",\"required\":true}}"}, \
    {"retry.attempts", MR_INT, MR_BODY, false, 1, 100, .fallback = or("10"), .about = "attempts in all", .example = "10"},                          \
    {"retry.first", MR_INT, MR_BODY, false, SECOND, DAY, MR_FORMAT_DURATION, .fallback = or("2s"), .about = "the pause before the second attempt; later ones double", .example = "2s"}, \
    {"retry.most", MR_INT, MR_BODY, false, SECOND, INT64_C(30) * DAY, MR_FORMAT_DURATION, .fallback = or("1h"), .about = "the longest pause", .example = "1h"}, \
    {"timeout", MR_INT, MR_BODY, false, SECOND, DAY, MR_FORMAT_DURATION, .fallback = or("30s"), .about = "of push: how long one call may take; of pull: the lease of a claim that names none", .example = "30s"}, \
    {"concurrency", MR_INT, MR_BODY, false, 1, 100000, .clearable = clears, .about = "runs at once, in all processes", .example = "20"},            \
    {"perKey", MR_INT, MR_BODY, false, 1, 100000, .clearable = clears, .about = "runs at once that have one key", .example = "1"},                  \
    {"priority", MR_INT, MR_BODY, false, -100, 100, .fallback = or("0"), .about = "of a run that says none; within a key the greater goes first, and what waits long rises", .example = "0"}, \
    {"unique.by", MR_TEXT, MR_BODY, false, 1, 63, .many = true, .items_min = 1, .items_max = 16, .clearable = clears, .about = "arguments that make two runs one", .example = "[\"orderId\"]"}, \
    {"unique.for", MR_INT, MR_BODY, false, SECOND, INT64_C(365) * DAY, MR_FORMAT_DURATION, .clearable = clears, .about = "for how long; left out: until the run is finished", .example = "1h"}, \
    {"cron", MR_TEXT, MR_BODY, false, 1, 200, MR_FORMAT_CRON, .clearable = clears, .about = "when a run begins by itself", .example = "0 5 * * MON"}, \
    {"timezone", MR_TEXT, MR_BODY, false, 1, 64, MR_FORMAT_ZONE, .clearable = clears, .about = "whose clock cron means; left out: SCHEDULE_TIMEZONE", .example = "Europe/Berlin"}, \
    {"missed", MR_TEXT, MR_BODY, false, .format = MR_FORMAT_CHOICE, .choices = "once|skip|all", .clearable = clears, .about = "what becomes of ticks that came while no scheduler ran, or while it was paused", .example = "once"}, \
    {"keep", MR_INT, MR_BODY, false, MINUTE, INT64_C(3650) * DAY, MR_FORMAT_DURATION, .clearable = clears, .about = "how long finished runs are kept; left out: JOB_RUN_RETENTION", .example = "14d"}

#define CALLER_FIELDS                                                                                                                               \
    {"userId", MR_UUID, MR_TOKEN_USER, .about = "who is calling"},                                                                                  \
    {"apiKey", MR_UUID, MR_TOKEN_KEY, .about = "the API key that is calling"},                                                                      \
    {"auditId", MR_UUID, MR_NEW_ID, true, .about = "the entry that says who did it"}

MR_MESSAGE(job_put) {
    .summary = "Make a kind of jobs, or replace one that was made so; secrets that are left out stay",
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
        {"work", MR_TEXT, MR_BODY, true, .format = MR_FORMAT_CHOICE, .choices = "push|pull", .about = "who does it: a signed HTTP call, or workers that ask", .example = "push"},
        KIND_FIELDS(FALLBACK, false)),
};

MR_MESSAGE(job_update) {
    .summary = "Change a kind of jobs that was made by PUT; it holds from the next run on",
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
    .summary = "Remove a kind of jobs that was made by PUT: it takes no more runs, those that wait are worked on",
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
    .summary = "Pause a job: within a second nobody takes its runs, and its ticks are missed; what is at work goes on",
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
