#include "proto/kind.h"
#include "proto/message.h"

static const struct mr_result progress = {
    .name = "Progress",
    .about = "How far a run is, in rows or lines",
    .members = MR_MEMBERS(
        {"done", MR_INT, .about = "so many are done", .example = "250"},
        {"total", MR_INT, .optional = true, .about = "of so many, where that is known", .example = "1000"}),
};

const struct mr_result mr_result_job_run = {
    .name = "JobRun",
    .about = "A run of a background job",
    .members = MR_MEMBERS(
        {"id", MR_UUID, .about = "its id", .example = "0198c0de-7a5c-7e0f-8a1b-2c3d4e5f6073"},
        {"job", MR_TEXT, .about = "the job's name", .example = "import"},
        {"trigger", MR_TEXT, .choices = "cron|manual|user", .about = "what started it: its schedule, an operation of jobs, or a user, and millrace.enqueue", .example = "user"},
        {"state", MR_TEXT, .choices = "queued|running|cancelling|succeeded|failed|dead|cancelled",
         .about = "failed: it will be tried again; cancelling: it is at work and asked to stop; succeeded, dead and cancelled are final", .example = "running"},
        {"attempt", MR_INT, .about = "which attempt this is; 0 before the first", .example = "1"},
        {"maxAttempts", MR_INT, .about = "how many there may be", .example = "5"},
        {"scheduledFor", MR_TIME, .optional = true, .about = "the tick it belongs to", .example = "2027-01-01T02:00:00.000Z"},
        {"createdAt", MR_TIME, .about = "when it was queued", .example = "2027-01-01T08:00:00.000Z"},
        {"startedAt", MR_TIME, .optional = true, .about = "when the last attempt began", .example = "2027-01-01T08:00:01.000Z"},
        {"finishedAt", MR_TIME, .optional = true, .about = "when it came to its end", .example = "2027-01-01T08:00:09.000Z"},
        {"progress", .columns = &progress, .about = "how far it is"},
        {"result", .json = &mr_result_anything, .optional = true,
         .about = "what came of it; of an import {imported, rejected, errors: [{line, field, message}]}"},
        {"error", MR_TEXT, .optional = true, .about = "why the last attempt failed", .example = "the database was away"},
        {"waitsFor", MR_TEXT, .choices = "scheduler", .optional = true,
         .about = "scheduler: none is awake to take the run; one that rests does at its next tick, and without one nobody does",
         .example = "scheduler"},
        {"dueAt", MR_TIME, .optional = true, .about = "not before that it is worked on", .example = "2027-01-01T08:00:00.000Z"},
        {"key", MR_TEXT, .optional = true, .about = "whose turn it takes, among the keys of its job", .example = "tenant-7"},
        {"priority", MR_INT, .optional = true, .about = "within its key the greater goes first", .example = "0"},
        {"args", .json = &mr_result_anything, .optional = true, .about = "what it was queued with"},
        {"duplicate", MR_BOOL, .optional = true, .about = "true: the run was there already, and nothing was queued", .example = "true"}),
};

static const struct mr_result queued = {
    .name = "QueuedRun",
    .about = "One of the runs that were queued together",
    .members = MR_MEMBERS(
        {"id", MR_UUID, .about = "its id", .example = "0198c0de-7a5c-7e0f-8a1b-2c3d4e5f6073"},
        {"duplicate", MR_BOOL, .optional = true, .about = "true: the run was there already, and nothing was queued", .example = "true"}),
};

static const struct mr_result queued_together = {
    .name = "QueuedRuns",
    .about = "Runs that were queued together, in the order of the body",
    .members = MR_MEMBERS({"runs", .json = &queued, .many = true, .about = "one for each"}),
};

static const struct mr_result attempt = {
    .name = "RunAttempt",
    .about = "An attempt: of push each, of pull those that failed",
    .members = MR_MEMBERS(
        {"attempt", MR_INT, .about = "which one, from 1 on", .example = "1"},
        {"at", MR_TIME, .about = "when it began", .example = "2027-01-01T08:00:01.000Z"},
        {"tookMs", MR_INT, .optional = true, .about = "how long it took, in milliseconds", .example = "210"},
        {"status", MR_INT, .optional = true, .about = "of push: the status of the answer", .example = "503"},
        {"answer", MR_TEXT, .optional = true, .about = "of push: the first 2 KiB of its body", .example = "try later"},
        {"error", MR_TEXT, .optional = true, .about = "why it failed", .example = "HTTP 503"},
        {"worker", MR_TEXT, .optional = true, .about = "of pull: who had it", .example = "w1"}),
};

MR_MESSAGE(job_list) {
    .summary = "The jobs, when they run and how they ran last",
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
        {"limit", MR_INT, MR_QUERY, false, 1, 100, .fallback = "50", .about = "at most so many; the Link header leads to the rest", .example = "20"},
        {"cursor", MR_TEXT, MR_QUERY, false, 32, 32, MR_FORMAT_CURSOR, .about = "where a Link header goes on"},
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
    .batch_max = 128, /* the statement joins what it makes of them, each to each */
    .body_optional = true,
    .variants = MR_VARIANTS(
        {.statement = "job_run_create__many", .shape = MR_SHAPE_ONE, .when = MR_WHEN({"runs", NULL}), .batch_max = 8, .returns = &queued_together}),
    .fields = MR_FIELDS(
        {"id", MR_UUID, MR_NEW_ID, true, .about = "tells this message from others"},
        {"userId", MR_UUID, MR_TOKEN_USER, .about = "who queues it"},
        {"job", MR_TEXT, MR_PATH, true, 1, 64, .about = "the job's name", .example = "cleanup"},
        {"traceparent", MR_TEXT, MR_TRACE, .about = "the trace that the run belongs to"},
        {"Idempotency-Key", MR_TEXT, MR_HEADER, false, 1, 255, .about = "the same key for a day: the first answer again", .example = "\"8e03978e-40d5-43dd-bc93-6894a57f9324\""},
        {"fingerprint", MR_TEXT, MR_FINGERPRINT, .about = "tells whether the payload is the same, too"},
        {"apiKey", MR_UUID, MR_TOKEN_KEY, .about = "the API key that is calling"},
        {"args", MR_JSON, MR_BODY, .fallback = "{}", .rule = mr_kind_object_rule, .about = "what the run is about, as the job's rules want it", .example = "{}"},
        {"runAt", MR_TIME, MR_BODY, .about = "not before that; left out: now", .example = "2027-01-01T08:00:00Z"},
        {"priority", MR_INT, MR_BODY, false, -100, 100, .about = "within its key the greater goes first; left out: as the job says"},
        {"key", MR_TEXT, MR_BODY, false, 1, 200, .about = "whose turn it takes: runs of different keys go in turn"},
        {"uniqueKey", MR_TEXT, MR_BODY, false, 1, 200, .about = "while a run with it is not finished, or for as long as the job says, that run is answered"},
        {"runs", MR_JSON, MR_BODY_ITEMS, .items_min = 1, .items_max = 1000, .about = "several at once"}),
};

MR_MESSAGE(job_run_search) {
    .summary = "Runs of all jobs, newest first; a page may be short, the Link leads on all the same",
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
        {"job", MR_TEXT, MR_QUERY, false, 1, 64, .about = "of this job", .example = "import"},
        {"state", MR_TEXT, MR_QUERY, false, .format = MR_FORMAT_CHOICE, .choices = "queued|running|cancelling|succeeded|failed|dead|cancelled", .about = "in this state", .example = "dead"},
        {"key", MR_TEXT, MR_QUERY, false, 1, 200, .about = "with this key", .example = "tenant-7"},
        {"since", MR_TIME, MR_QUERY, .about = "queued then or later", .example = "2027-01-01T00:00:00Z"},
        {"limit", MR_INT, MR_QUERY, false, 1, 100, .fallback = "50", .about = "at most so many; the Link header leads to the rest", .example = "20"},
        {"cursor", MR_TEXT, MR_QUERY, false, 32, 32, MR_FORMAT_CURSOR, .about = "where a Link header goes on"}),
};

MR_MESSAGE(job_run_attempts) {
    .summary = "The attempts of a run: of push each, of pull those that failed",
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
    .summary = "Try a run again that is dead or was cancelled, or one that failed at once, with all its attempts before it",
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
    {"job", MR_TEXT, MR_BODY, true, 1, 64, .about = "of this job", .example = "send_receipt"},                                                      \
    {"state", MR_TEXT, MR_BODY, false, .format = MR_FORMAT_CHOICE, .choices = states, .about = "those in this state; left out: in any of these"},   \
    {"key", MR_TEXT, MR_BODY, false, 1, 200, .about = "those with this key"},                                                                       \
    {"before", MR_TIME, MR_BODY, .about = "those queued before; left out: before now", .example = "2027-01-01T00:00:00Z"}

MR_MESSAGE(job_runs_retry) {
    .summary = "Try all runs again that match; the answer is the run that does it",
    .shape = MR_SHAPE_ONE,
    .location = "/v1/job-runs/:id",
    .returns = &mr_result_job_run,
    .scopes = "jobs:admin",
    .answers = "404|409",
    .fields = MR_FIELDS(BULK_FIELDS("failed|dead|cancelled")),
};

MR_MESSAGE(job_runs_cancel) {
    .summary = "Cancel all runs that match; the answer is the run that does it",
    .shape = MR_SHAPE_ONE,
    .location = "/v1/job-runs/:id",
    .returns = &mr_result_job_run,
    .scopes = "jobs:admin",
    .answers = "404|409",
    .fields = MR_FIELDS(BULK_FIELDS("queued|failed|running")),
};

MR_MESSAGE(job_runs_delete) {
    .summary = "Delete all finished runs that match; the answer is the run that does it",
    .shape = MR_SHAPE_ONE,
    .location = "/v1/job-runs/:id",
    .returns = &mr_result_job_run,
    .scopes = "jobs:admin",
    .answers = "404|409",
    .fields = MR_FIELDS(BULK_FIELDS("succeeded|dead|cancelled")),
};

MR_MESSAGE(job_run_get) {
    .summary = "A run: for administrators, and for the user whose import it is",
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
        {"wait", MR_INT, MR_QUERY, false, 0, 60000, MR_FORMAT_DURATION, .about = "wait so long for the run to end, 60s at most; then it is told as it is", .example = "30s"}),
};

MR_MESSAGE(job_run_cancel) {
    .summary = "Cancel a run; one that is at work stops after the chunk in hand",
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
    {"Idempotency-Key", MR_TEXT, MR_HEADER, false, 1, 255, .about = "the same key for a day: the first answer again", .example = "\"8e03978e-40d5-43dd-bc93-6894a57f9324\""},
    {"fingerprint", MR_TEXT, MR_FINGERPRINT, .about = "tells whether the content is the same, too"},
    {.name = NULL},
};

MR_MESSAGE(import_part) {
    .summary = "A part of an upload; sent by the gateway while the rest is on its way",
    .shape = MR_SHAPE_NONE,
    .lane = MR_LANE_SLOW,
    .batch_max = 8, /* 2 MiB */
    .rerun_safe = true,
    .resource = "import_part",
    .key = "runId",
    .fields = MR_FIELDS(
        {"runId", MR_UUID, MR_NEW_ID, true, .about = "the run to be"},
        {"part", MR_INT, MR_UPLOAD_PARTS, true, .about = "its place, from 0"},
        {"bytes", MR_BYTES, MR_BODY, true, .about = "as they came"}),
};

MR_MESSAGE(import_drop) {
    .summary = "An upload broke off: what came of it goes",
    .shape = MR_SHAPE_NONE,
    .lane = MR_LANE_SLOW,
    .rerun_safe = true,
    .resource = "import_part",
    .key = "runId",
    .fields = MR_FIELDS({"runId", MR_UUID, MR_NEW_ID, true, .about = "the run that was to be"}),
};

MR_MESSAGE(import_beat) {
    .summary = "An upload is still under way: what came of it stays",
    .shape = MR_SHAPE_NONE,
    .lane = MR_LANE_SLOW,
    .rerun_safe = true,
    .resource = "import_part",
    .key = "runId",
    .fields = MR_FIELDS({"runId", MR_UUID, MR_NEW_ID, true, .about = "the run to be"}),
};

MR_MESSAGE(run_due) {
    .summary = "Runs of a job may be due: a prompt for a worker, which looks for itself and answers when it has done with the job",
    .shape = MR_SHAPE_NONE,
    .rerun_safe = true,
    .fields = MR_FIELDS({"job", MR_TEXT, MR_ACTOR, true, .about = "the job's name"}),
};
