#include "proto/kind.h"
#include "proto/message.h"

static const struct mr_result progress = {
    .name = "Progress",
    .about = "Progress of a run, in rows or lines",
    .members = MR_MEMBERS(
        {"done", MR_INT, .about = "how many are done", .example = "250"},
        {"total", MR_INT, .optional = true, .about = "how many there are, if known", .example = "1000"}),
};

const struct mr_result mr_result_job_run = {
    .name = "JobRun",
    .about = "A run of a background job",
    .members = MR_MEMBERS(
        {"id", MR_UUID, .about = "its id", .example = "0198c0de-7a5c-7e0f-8a1b-2c3d4e5f6073"},
        {"job", MR_TEXT, .about = "the job's name", .example = "import"},
        {"trigger", MR_TEXT, .choices = "cron|manual|user", .about = "what started it. cron: its schedule; manual: an operation on the job; user: a user, or millrace.enqueue", .example = "user"},
        {"state", MR_TEXT, .choices = "queued|running|cancelling|succeeded|failed|dead|cancelled",
         .about = "failed: it will be retried; cancelling: it was asked to stop; succeeded, dead and cancelled are final", .example = "running"},
        {"attempt", MR_INT, .about = "number of the present attempt; 0 before the first", .example = "1"},
        {"maxAttempts", MR_INT, .about = "the most attempts", .example = "5"},
        {"scheduledFor", MR_TIME, .optional = true, .about = "the tick it belongs to", .example = "2027-01-01T02:00:00.000Z"},
        {"createdAt", MR_TIME, .about = "when it was queued", .example = "2027-01-01T08:00:00.000Z"},
        {"startedAt", MR_TIME, .optional = true, .about = "when the first attempt began", .example = "2027-01-01T08:00:01.000Z"},
        {"finishedAt", MR_TIME, .optional = true, .about = "when it ended", .example = "2027-01-01T08:00:09.000Z"},
        {"progress", .columns = &progress, .about = "progress"},
        {"result", MR_JSON, .optional = true,
         .about = "the outcome: any JSON that a worker or a receiver tells; for an import {imported, rejected, errors: [{line, field, message}]}"},
        {"error", MR_TEXT, .optional = true, .about = "why the last attempt failed", .example = "the database was away"},
        {"waitsFor", MR_TEXT, .choices = "scheduler", .optional = true,
         .about = "scheduler: no scheduler is awake to take the run; a sleeping one takes it at its next tick",
         .example = "scheduler"},
        {"dueAt", MR_TIME, .optional = true, .about = "the earliest time at which it may start", .example = "2027-01-01T08:00:00.000Z"},
        {"key", MR_TEXT, .optional = true, .about = "whom the run is for; the keys of a job take turns", .example = "tenant-7"},
        {"priority", MR_INT, .optional = true, .about = "within a key the higher goes first", .example = "0"},
        {"args", .json = &mr_result_anything, .optional = true, .about = "the arguments of the run"},
        {"duplicate", MR_BOOL, .optional = true, .about = "true: the run existed already, and nothing was queued", .example = "true"}),
};

static const struct mr_result queued = {
    .name = "QueuedRun",
    .about = "One of the runs that were queued together",
    .members = MR_MEMBERS(
        {"id", MR_UUID, .about = "its id", .example = "0198c0de-7a5c-7e0f-8a1b-2c3d4e5f6073"},
        {"duplicate", MR_BOOL, .optional = true, .about = "true: the run existed already, and nothing was queued", .example = "true"}),
};

static const struct mr_result queued_together = {
    .name = "QueuedRuns",
    .about = "Runs that were queued together, in the order of the body",
    .members = MR_MEMBERS({"runs", .json = &queued, .many = true, .about = "one for each"}),
};

static const struct mr_result attempt = {
    .name = "RunAttempt",
    .about = "An attempt of a run; of pull jobs only failed ones are kept",
    .members = MR_MEMBERS(
        {"attempt", MR_INT, .about = "number of the attempt, from 1", .example = "1"},
        {"at", MR_TIME, .about = "when it began", .example = "2027-01-01T08:00:01.000Z"},
        {"tookMs", MR_INT, .optional = true, .about = "how long it took, in milliseconds", .example = "210"},
        {"status", MR_INT, .optional = true, .about = "push: the status of the answer", .example = "503"},
        {"answer", MR_TEXT, .optional = true, .about = "push: the first 2 KiB of the answer's body", .example = "try later"},
        {"error", MR_TEXT, .optional = true, .about = "why it failed", .example = "HTTP 503"},
        {"worker", MR_TEXT, .optional = true, .about = "pull: the worker that had it", .example = "w1"}),
};

MR_MESSAGE(job_list) {
    .summary = "The jobs, their schedules and their last runs",
    .shape = MR_SHAPE_MANY,
    .rerun_safe = true,
    .returns = &mr_result_job,
    .scopes = "jobs:admin|jobs:work",
    .fields = MR_FIELDS(
        {"userId", MR_UUID, MR_TOKEN_USER, .about = "who is calling"},
        {"apiKey", MR_UUID, MR_TOKEN_KEY, .about = "the API key that is calling"},
        {"onlyJobs", MR_TEXT, MR_TOKEN_ONLY, .about = "the jobs that the key is for"}),
};

MR_MESSAGE(job_get) {
    .summary = "One job, by its name",
    .shape = MR_SHAPE_ONE,
    .rerun_safe = true,
    .returns = &mr_result_job,
    .scopes = "jobs:admin|jobs:work",
    .narrow = "job",
    .answers = "404",
    .fields = MR_FIELDS(
        {"userId", MR_UUID, MR_TOKEN_USER, .about = "who is calling"},
        {"job", MR_TEXT, MR_PATH, true, 1, 64, .about = "its name", .example = "cleanup"},
        {"apiKey", MR_UUID, MR_TOKEN_KEY, .about = "the API key that is calling"}),
};

MR_MESSAGE(job_run_list) {
    .summary = "The runs of a job, newest first",
    .shape = MR_SHAPE_MANY,
    .lane = MR_LANE_SLOW,
    .batch_max = 16,
    .rerun_safe = true,
    .returns = &mr_result_job_run,
    .scopes = "jobs:admin",
    .narrow = "job",
    .answers = "404",
    .continued = true,
    .fields = MR_FIELDS(
        {"userId", MR_UUID, MR_TOKEN_USER, .about = "who is calling"},
        {"job", MR_TEXT, MR_PATH, true, 1, 64, .about = "its name", .example = "cleanup"},
        {"limit", MR_INT, MR_QUERY, false, 1, 100, .fallback = "50", .about = "the most to return; the Link header leads to the rest", .example = "20"},
        {"cursor", MR_TEXT, MR_QUERY, false, 32, 32, MR_FORMAT_CURSOR, .about = "where to continue, from a Link header"},
        {"apiKey", MR_UUID, MR_TOKEN_KEY, .about = "the API key that is calling"}),
};

MR_MESSAGE(job_run_create) {
    .summary = "Queue a run of a job; an array queues up to a thousand, all of them or none",
    .shape = MR_SHAPE_ONE,
    .location = "/v1/job-runs/:id",
    .idempotent = true,
    .resource = "job_run_create",
    .key = "id",
    .returns = &mr_result_job_run,
    .scopes = "jobs:enqueue|jobs:admin",
    .narrow = "job",
    .answers = "404|409|422",
    .body_optional = true,
    .variants = MR_VARIANTS(
        {.statement = "job_run_create__many", .shape = MR_SHAPE_ONE, .when = MR_WHEN({"runs", NULL}), .batch_max = 8, .returns = &queued_together},
        {.statement = "job_run_create__once", .shape = MR_SHAPE_ONE, .when = MR_WHEN({"Idempotency-Key", NULL}), .batch_max = 128}, /* joins what it makes of them, each to each */
        {.statement = "job_run_create__any", .shape = MR_SHAPE_ONE, .when = MR_WHEN({"runAt", NULL})},
        {.statement = "job_run_create__any", .shape = MR_SHAPE_ONE, .when = MR_WHEN({"uniqueKey", NULL})}),
    .fields = MR_FIELDS(
        {"id", MR_UUID, MR_NEW_ID, true, .about = "identifies the message"},
        {"userId", MR_UUID, MR_TOKEN_USER, .about = "who queues it"},
        {"job", MR_TEXT, MR_PATH, true, 1, 64, .about = "the job's name", .example = "cleanup"},
        {"traceparent", MR_TEXT, MR_TRACE, .about = "the trace that the run belongs to"},
        {"Idempotency-Key", MR_TEXT, MR_HEADER, false, 1, 255, .about = "repeats the first answer for a day", .example = "\"8e03978e-40d5-43dd-bc93-6894a57f9324\""},
        {"fingerprint", MR_TEXT, MR_FINGERPRINT, .about = "identifies the payload"},
        {"apiKey", MR_UUID, MR_TOKEN_KEY, .about = "the API key that is calling"},
        {"args", MR_JSON, MR_BODY, .fallback = "{}", .rule = mr_kind_object_rule, .about = "the arguments of the run, by the job's rules", .example = "{}"},
        {"runAt", MR_TIME, MR_BODY, .about = "the earliest time at which it may start; absent: now", .example = "2027-01-01T08:00:00Z"},
        {"priority", MR_INT, MR_BODY, false, -100, 100, .about = "within a key the higher goes first; absent: the job's"},
        {"key", MR_TEXT, MR_BODY, false, 1, 255, .about = "whom the run is for; the keys of a job take turns"},
        {"uniqueKey", MR_TEXT, MR_BODY, false, 1, 255, .about = "while a run with the same key is unfinished, or for as long as the job says, the answer is that run"},
        {"runs", MR_JSON, MR_BODY_ITEMS, .items_min = 1, .items_max = 1000, .about = "several runs at once"}),
};

MR_MESSAGE(job_run_search) {
    .summary = "Runs of all jobs, newest first; a page may be short or empty: follow the Link",
    .shape = MR_SHAPE_MANY,
    .lane = MR_LANE_SLOW,
    .batch_max = 4,
    .rerun_safe = true,
    .returns = &mr_result_job_run,
    .scopes = "jobs:admin",
    .answers = "404",
    .continued = true,
    .fields = MR_FIELDS(
        {"userId", MR_UUID, MR_TOKEN_USER, .about = "who is calling"},
        {"apiKey", MR_UUID, MR_TOKEN_KEY, .about = "the API key that is calling"},
        {"onlyJobs", MR_TEXT, MR_TOKEN_ONLY, .about = "the jobs that the key is for"},
        {"job", MR_TEXT, MR_QUERY, false, 1, 64, .about = "runs of this job", .example = "import"},
        {"state", MR_TEXT, MR_QUERY, false, .format = MR_FORMAT_CHOICE, .choices = "queued|running|cancelling|succeeded|failed|dead|cancelled", .about = "runs in this state", .example = "dead"},
        {"key", MR_TEXT, MR_QUERY, false, 1, 255, .about = "runs with this key", .example = "tenant-7"},
        {"since", MR_TIME, MR_QUERY, .about = "runs queued then or later", .example = "2027-01-01T00:00:00Z"},
        {"limit", MR_INT, MR_QUERY, false, 1, 100, .fallback = "50", .about = "the most to return; the Link header leads to the rest", .example = "20"},
        {"cursor", MR_TEXT, MR_QUERY, false, 32, 32, MR_FORMAT_CURSOR, .about = "where to continue, from a Link header"}),
};

MR_MESSAGE(job_run_attempts) {
    .summary = "The attempts of a run; of pull jobs the failed ones",
    .shape = MR_SHAPE_MANY,
    .rerun_safe = true,
    .returns = &attempt,
    .scopes = "jobs:enqueue|jobs:work|jobs:admin",
    .answers = "404",
    .fields = MR_FIELDS(
        {"runId", MR_UUID, MR_PATH, true, .about = "the run", .example = "0198c0de-7a5c-7e0f-8a1b-2c3d4e5f6073"},
        {"userId", MR_UUID, MR_TOKEN_USER, .about = "who is calling"},
        {"apiKey", MR_UUID, MR_TOKEN_KEY, .about = "the API key that is calling"},
        {"onlyJobs", MR_TEXT, MR_TOKEN_ONLY, .about = "the jobs that the key is for"}),
};

MR_MESSAGE(job_run_retry) {
    .summary = "Retry a run: a dead or cancelled one gets all its attempts again, a failed one its next at once",
    .shape = MR_SHAPE_ONE,
    .resource = "job_run",
    .key = "runId",
    .returns = &mr_result_job_run,
    .scopes = "jobs:admin",
    .answers = "404|409",
    .fields = MR_FIELDS(
        {"runId", MR_UUID, MR_PATH, true, .about = "the run", .example = "0198c0de-7a5c-7e0f-8a1b-2c3d4e5f6073"},
        {"userId", MR_UUID, MR_TOKEN_USER, .about = "who is calling"},
        {"apiKey", MR_UUID, MR_TOKEN_KEY, .about = "the API key that is calling"},
        {"onlyJobs", MR_TEXT, MR_TOKEN_ONLY, .about = "the jobs that the key is for"}),
};

/* What is done to all runs that match is a run of its own, of the job `bulk`. */
#define BULK_FIELDS(states)                                                                                                                         \
    {"id", MR_UUID, MR_NEW_ID, true, .about = "the run that does it, and its entry of the audit"},                                                   \
    {"userId", MR_UUID, MR_TOKEN_USER, .about = "who is calling"},                                                                                  \
    {"apiKey", MR_UUID, MR_TOKEN_KEY, .about = "the API key that is calling"},                                                                      \
    {"onlyJobs", MR_TEXT, MR_TOKEN_ONLY, .about = "the jobs that the key is for"},                                                                  \
    {"job", MR_TEXT, MR_BODY, true, 1, 64, .about = "runs of this job", .example = "send_receipt"},                                                      \
    {"state", MR_TEXT, MR_BODY, false, .format = MR_FORMAT_CHOICE, .choices = (states), .about = "runs in this state; absent: in any of these"},   \
    {"key", MR_TEXT, MR_BODY, false, 1, 255, .about = "runs with this key"},                                                                       \
    {"before", MR_TIME, MR_BODY, .about = "runs queued before; absent: before now", .example = "2027-01-01T00:00:00Z"}

MR_MESSAGE(job_runs_retry) {
    .summary = "Retry all runs that match; the answer is the run that does it",
    .shape = MR_SHAPE_ONE,
    .location = "/v1/job-runs/:id",
    .returns = &mr_result_job_run,
    .scopes = "jobs:admin",
    .answers = "404|409",
    .body_exact = true,
    .fields = MR_FIELDS(BULK_FIELDS("failed|dead|cancelled")),
};

MR_MESSAGE(job_runs_cancel) {
    .summary = "Cancel all runs that match; the answer is the run that does it",
    .shape = MR_SHAPE_ONE,
    .location = "/v1/job-runs/:id",
    .returns = &mr_result_job_run,
    .scopes = "jobs:admin",
    .answers = "404|409",
    .body_exact = true,
    .fields = MR_FIELDS(BULK_FIELDS("queued|failed|running")),
};

MR_MESSAGE(job_runs_delete) {
    .summary = "Delete all finished runs that match; the answer is the run that does it",
    .shape = MR_SHAPE_ONE,
    .location = "/v1/job-runs/:id",
    .returns = &mr_result_job_run,
    .scopes = "jobs:admin",
    .answers = "404|409",
    .body_exact = true,
    .fields = MR_FIELDS(BULK_FIELDS("succeeded|dead|cancelled")),
};

MR_MESSAGE(job_run_get) {
    .summary = "A run; administrators see all, users their own imports",
    .shape = MR_SHAPE_ONE,
    .rerun_safe = true,
    .returns = &mr_result_job_run,
    .scopes = "jobs:enqueue|jobs:work|jobs:admin",
    .answers = "404",
    .waits = &(const struct mr_waits){.field = "wait", .on = "runId"},
    .fields = MR_FIELDS(
        {"runId", MR_UUID, MR_PATH, true, .about = "the run", .example = "0198c0de-7a5c-7e0f-8a1b-2c3d4e5f6073"},
        {"userId", MR_UUID, MR_TOKEN_USER, .about = "who is calling"},
        {"isAdmin", MR_BOOL, MR_TOKEN_ADMIN, .about = "whether they may see every run"},
        {"apiKey", MR_UUID, MR_TOKEN_KEY, .about = "the API key that is calling"},
        {"onlyJobs", MR_TEXT, MR_TOKEN_ONLY, .about = "the jobs that the key is for"},
        {"wait", MR_INT, MR_QUERY, false, 0, 60000, MR_FORMAT_DURATION, .about = "how long to wait for the run to end, up to 60s; then the answer is the run as it is", .example = "30s"}),
};

MR_MESSAGE(job_run_cancel) {
    .summary = "Cancel a run; a running one stops after the current chunk",
    .shape = MR_SHAPE_ONE,
    .resource = "job_run",
    .key = "runId",
    .returns = &mr_result_job_run,
    .scopes = "jobs:admin",
    .answers = "404|409",
    .fields = MR_FIELDS(
        {"runId", MR_UUID, MR_PATH, true, .about = "the run", .example = "0198c0de-7a5c-7e0f-8a1b-2c3d4e5f6073"},
        {"userId", MR_UUID, MR_TOKEN_USER, .about = "who is calling"},
        {"isAdmin", MR_BOOL, MR_TOKEN_ADMIN, .about = "whether they may cancel every run"},
        {"apiKey", MR_UUID, MR_TOKEN_KEY, .about = "the API key that is calling"},
        {"onlyJobs", MR_TEXT, MR_TOKEN_ONLY, .about = "the jobs that the key is for"}),
};

const struct mr_upload mr_import_upload = {
    .part = MR_OP_import_part,
    .drop = MR_OP_import_drop,
    .beat = MR_OP_import_beat,
    .types = "application/x-ndjson|text/csv",
    .max = 16 << 20,
    .takes_gzip = true,
};

const struct mr_field mr_import_fields[] = {
    {"id", MR_UUID, MR_NEW_ID, true, .about = "the new run"},
    {"userId", MR_UUID, MR_TOKEN_USER, true, .about = "who uploads"},
    {"isAdmin", MR_BOOL, MR_TOKEN_ADMIN, true, .about = "whether they are an administrator"},
    {"operation", MR_TEXT, MR_OPERATION, true, .about = "what the records become"},
    {"format", MR_TEXT, MR_UPLOAD_TYPE, true, .about = "what was sent"},
    {"parts", MR_INT, MR_UPLOAD_PARTS, true, .about = "how many parts it came in"},
    {"lines", MR_INT, MR_UPLOAD_LINES, true, .about = "how many lines it has"},
    {"traceparent", MR_TEXT, MR_TRACE, .about = "the trace that the run belongs to"},
    {"Idempotency-Key", MR_TEXT, MR_HEADER, false, 1, 255, .about = "repeats the first answer for a day", .example = "\"8e03978e-40d5-43dd-bc93-6894a57f9324\""},
    {"fingerprint", MR_TEXT, MR_FINGERPRINT, .about = "identifies the content"},
    {.name = NULL},
};

MR_MESSAGE(import_part) {
    .summary = "Stores a part of an upload; the gateway sends it while the rest arrives",
    .shape = MR_SHAPE_NONE,
    .lane = MR_LANE_SLOW,
    .batch_max = 8, /* 2 MiB */
    .rerun_safe = true,
    .resource = "import_part",
    .key = "runId",
    .fields = MR_FIELDS(
        {"runId", MR_UUID, MR_NEW_ID, true, .about = "the future run"},
        {"part", MR_INT, MR_UPLOAD_PARTS, true, .about = "its place, from 0"},
        {"bytes", MR_BYTES, MR_BODY, true, .about = "as they came"}),
};

MR_MESSAGE(import_drop) {
    .summary = "Deletes the parts of an upload that broke off",
    .shape = MR_SHAPE_NONE,
    .lane = MR_LANE_SLOW,
    .rerun_safe = true,
    .resource = "import_part",
    .key = "runId",
    .fields = MR_FIELDS({"runId", MR_UUID, MR_NEW_ID, true, .about = "the run that the upload was for"}),
};

MR_MESSAGE(import_beat) {
    .summary = "Keeps the parts of an upload that is under way",
    .shape = MR_SHAPE_NONE,
    .lane = MR_LANE_SLOW,
    .rerun_safe = true,
    .resource = "import_part",
    .key = "runId",
    .fields = MR_FIELDS({"runId", MR_UUID, MR_NEW_ID, true, .about = "the future run"}),
};

MR_MESSAGE(run_due) {
    .summary = "Prompts a worker: runs of the job may be due. The worker answers when it is idle again",
    .shape = MR_SHAPE_NONE,
    .rerun_safe = true,
    .fields = MR_FIELDS({"job", MR_TEXT, MR_ACTOR, true, .about = "the job's name"}),
};
