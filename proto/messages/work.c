#include "proto/message.h"

enum { LEASE_LEAST = 1000, DAY = 24 * 60 * 60 * 1000, WAIT_MOST = 60000, RESULT_MOST = 64 * 1024, PROGRESS_MOST = 4096 };

const struct mr_field mr_outcome_fields[MR_OUTCOME_FIELDS + 1] = {
    [MR_OUTCOME_id] = {"id", MR_UUID, MR_BODY, true, .about = "the run", .example = "0198c0de-7a5c-7e0f-8a1b-2c3d4e5f6073"},
    [MR_OUTCOME_claim] = {"claim", MR_INT, MR_BODY, true, 1, INT64_MAX - 1, .about = "the claim number that came with the run",
                          .example = "7"},
    [MR_OUTCOME_outcome] = {"outcome", MR_TEXT, MR_BODY, true, .format = MR_FORMAT_CHOICE,
                            .choices = "succeeded|failed|snoozed|working|released",
                            .about = "succeeded; failed: retried while attempts are left; snoozed: not yet, no attempt is counted; "
                                     "working: extends the lease; released: put back at once, no attempt is counted",
                            .example = "succeeded"},
    [MR_OUTCOME_result] = {"result", MR_JSON, MR_BODY, .max = RESULT_MOST, .about = "succeeded: the result, up to 64 KiB of JSON",
                           .example = "{\"mailed\":true}"},
    [MR_OUTCOME_error] = {"error", MR_TEXT, MR_BODY, false, 1, 2000, .about = "failed: the reason", .example = "the mail server was away"},
    [MR_OUTCOME_retry_after] = {"retryAfter", MR_INT, MR_BODY, false, 0, INT64_C(30) * DAY, MR_FORMAT_DURATION,
                                .about = "failed, snoozed: the pause before the run is handed out again; absent: for failed the job's, for snoozed none",
                                .example = "10s"},
    [MR_OUTCOME_lease] = {"lease", MR_INT, MR_BODY, false, LEASE_LEAST, DAY, MR_FORMAT_DURATION,
                          .about = "working: the new lease, from now on; absent: the job's", .example = "30s"},
    [MR_OUTCOME_progress] = {"progress", MR_JSON, MR_BODY, .max = PROGRESS_MOST, .about = "working: progress, {done, total}",
                             .example = "{\"done\":3,\"total\":9}"},
};

static const struct mr_result claimed_run = {
    .name = "ClaimedRun",
    .about = "A claimed run",
    .members = MR_MEMBERS(
        {"id", MR_UUID, .about = "its id", .example = "0198c0de-7a5c-7e0f-8a1b-2c3d4e5f6073"},
        {"claim", MR_INT, .about = "the claim number, to report outcomes with; a later claim of the run makes it stale", .example = "7"},
        {"attempt", MR_INT, .about = "number of the attempt, from 1", .example = "1"},
        {"maxAttempts", MR_INT, .about = "the most attempts", .example = "10"},
        {"key", MR_TEXT, .optional = true, .about = "whom the run is for", .example = "tenant-7"},
        {"args", .json = &mr_result_anything, .about = "the arguments of the run"},
        {"createdAt", MR_TIME, .about = "when it was queued", .example = "2027-01-01T08:00:00.000Z"},
        {"dueAt", MR_TIME, .about = "when it was due", .example = "2027-01-01T08:00:00.000Z"},
        {"scheduledFor", MR_TIME, .optional = true, .about = "the tick it belongs to", .example = "2027-01-01T02:00:00.000Z"},
        {"traceparent", MR_TEXT, .optional = true, .about = "the trace that it belongs to (W3C Trace Context)",
         .example = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
        {"leaseUntil", MR_TIME, .about = "the end of the lease, by the database's clock: without an outcome, another worker then gets the run",
         .example = "2027-01-01T08:00:30.000Z"}),
};

static const struct mr_result claimed = {
    .name = "ClaimedRuns",
    .about = "Runs for a worker",
    .members = MR_MEMBERS({"runs", .json = &claimed_run, .many = true, .about = "the claimed runs; empty if none came"}),
};

MR_MESSAGE(run_claim) {
    .summary = "Claim runs of a job, to work on them",
    .shape = MR_SHAPE_ONE,
    .returns = &claimed,
    .scopes = "jobs:work|jobs:admin",
    .narrow = "job",
    .body_optional = true,
    .answers = "404|409",
    .waits = &(const struct mr_waits){.field = "wait", .on = "job", .nothing = "{\"runs\":[]}"},
    .fields = MR_FIELDS(
        {"job", MR_TEXT, MR_PATH, true, 1, 64, .about = "the job's name", .example = "receipts"},
        {"max", MR_INT, MR_BODY, false, 1, 200, .fallback = "1", .about = "the most runs to hand out", .example = "10"},
        {"lease", MR_INT, MR_BODY, false, LEASE_LEAST, DAY, MR_FORMAT_DURATION, .about = "how long the runs are the worker's; absent: the job's", .example = "30s"},
        {"wait", MR_INT, MR_BODY, false, 0, WAIT_MOST, MR_FORMAT_DURATION, .fallback = "0s", .about = "how long to wait for the first run, up to 60s", .example = "20s"},
        {"worker", MR_TEXT, MR_BODY, false, 1, 100, .about = "a name for the worker, stored with failed attempts", .example = "w1"},
        {"userId", MR_UUID, MR_TOKEN_USER, .about = "who is calling"},
        {"apiKey", MR_UUID, MR_TOKEN_KEY, .about = "the API key that is calling"}),
};

static const struct mr_result settled_run = {
    .name = "SettledRun",
    .about = "The answer to an outcome",
    .members = MR_MEMBERS(
        {"id", MR_UUID, .about = "the run", .example = "0198c0de-7a5c-7e0f-8a1b-2c3d4e5f6073"},
        {"status", MR_INT, .about = "200: recorded, now or by an earlier request; 409: the claim is stale, nothing changed; 404: no such run, or the key is not for its job; 400: not valid", .example = "200"},
        {"state", MR_TEXT, .optional = true, .about = "with 200, the state of the run; cancelling: stop, and report any outcome but working", .example = "succeeded"},
        {"message", MR_TEXT, .optional = true, .about = "the reason, if it was not recorded", .example = "the claim is stale"}),
};

static const struct mr_result settled = {
    .name = "SettledRuns",
    .about = "The answers to outcomes, in the same order",
    .members = MR_MEMBERS({"outcomes", .json = &settled_run, .many = true, .about = "one for each"}),
};

/* In a lane of its own: what comes with it may be large, and claims do not wait behind that. */
MR_MESSAGE(run_outcomes) {
    .summary = "Report the outcomes of claimed runs",
    .shape = MR_SHAPE_ONE,
    .lane = MR_LANE_SLOW,
    .rerun_safe = true,
    .returns = &settled,
    .scopes = "jobs:work|jobs:admin",
    .fields = MR_FIELDS(
        {"outcomes", MR_JSON, MR_BODY, true, .items_min = 1, .items_max = 1000, .of = mr_outcome_fields, .about = "one for each run",
         .example = "[{\"id\":\"0198c0de-7a5c-7e0f-8a1b-2c3d4e5f6073\",\"claim\":7,\"outcome\":\"succeeded\",\"result\":{\"mailed\":true}}]"},
        {"userId", MR_UUID, MR_TOKEN_USER, .about = "who is calling"},
        {"apiKey", MR_UUID, MR_TOKEN_KEY, .about = "the API key that is calling"},
        {"onlyJobs", MR_TEXT, MR_TOKEN_ONLY, .about = "the jobs that the key is for"}),
};

MR_MESSAGE(run_release) {
    .summary = "Puts claimed runs back whose worker is gone",
    .shape = MR_SHAPE_NONE,
    .rerun_safe = true,
    .fields = MR_FIELDS({"claims", MR_BYTES, MR_BODY, true, .about = "as an answer carries them (struct mr_reply_head)"}),
};

MR_MESSAGE(run_watch) {
    .summary = "Everything that clients wait for; sent each second, and valid a little longer",
    .shape = MR_SHAPE_NONE,
    .rerun_safe = true,
    .fields = MR_FIELDS(
        {"jobs", MR_TEXT, MR_BODY, true, .many = true, .about = "jobs whose runs are waited for"},
        {"runs", MR_UUID, MR_BODY, true, .many = true, .about = "runs whose end is waited for"},
        {"look", MR_BOOL, MR_BODY, true, .about = "true: something may have just changed"}),
};

MR_MESSAGE(work_ready) {
    .summary = "Runs of a job can be claimed",
    .shape = MR_SHAPE_NONE,
    .fields = MR_FIELDS(
        {"job", MR_TEXT, MR_BODY, true, .about = "its name"},
        {"runs", MR_INT, MR_BODY, true, .about = "how many"}),
};

MR_MESSAGE(runs_ended) {
    .summary = "Runs that clients wait for have ended",
    .shape = MR_SHAPE_NONE,
    .fields = MR_FIELDS({"runs", MR_UUID, MR_BODY, true, .many = true, .about = "these"}),
};
