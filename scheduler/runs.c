/*
 * runs: prompts for those that are due, a heartbeat for those in hand, a second chance for those that were left.
 */
#include "proto/uuid.h"
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "scheduler/internal.h"

/*
 * A worker takes a prompt as soon as it is idle. One that was frozen for longer than PROMPT_LIFE_MS may have dropped it. While other jobs
 * wait for a worker, each keeps one for TURN_MS.
 */
enum { PROMPT_LIFE_MS = 60000, TURN_MS = 1000 };

static bool send_prompt(struct mr_scheduler *self, unsigned worker, enum mr_job job)
{
    const struct mr_value name = {.present = true, .text = mr_slice_of(mr_job_info(job)->name)};
    int64_t now_us = mr_wall_us(self->clock);
    struct mr_envelope prompt = {.kind = MR_REQUEST,
                                 .op = MR_OP_run_due,
                                 .correlation = self->prompts + 1,
                                 .deadline_ms = now_us / 1000 + PROMPT_LIFE_MS,
                                 .times.sent_us = now_us};
    struct mr_actor *actor = self->options->actors[worker];

    mr_buf_clear(&self->payload, SIZE_MAX);
    mr_buf_clear(&self->frame, SIZE_MAX);
    mr_payload_encode(&self->payload, prompt.op, &name);
    prompt.payload = (struct mr_slice){self->payload.data, self->payload.len};
    atomic_store(&actor->stats.is_wanted, false);
    if (self->payload.failed || mr_envelope_encode(&self->frame, &prompt) != MR_OK ||
        mr_mailbox_send(self->mailbox, actor->name, self->frame.data, self->frame.len) != MR_OK)
        return false;
    self->prompts++;
    self->workers[worker] = (struct worker){.prompt = prompt.correlation, .job = job, .since_ms = scheduler_now_ms(self)};
    self->demands[job].is_wanted = false;
    self->demands[job].served_ms = scheduler_now_ms(self);
    return true;
}

/* ---- Workers ---- */

/* One job has one worker: its runs go one after the other, and a long queue of one job leaves the others theirs. */
static bool is_in_hand(const struct mr_scheduler *self, unsigned job)
{
    for (unsigned i = 0; i < self->options->actor_count; i++)
        if (self->workers[i].prompt != 0 && self->workers[i].job == (enum mr_job)job)
            return true;
    return false;
}

/* The job whose turn it is; false: none waits for a worker. */
static bool find_next(const struct mr_scheduler *self, enum mr_job *out)
{
    int64_t now = scheduler_now_ms(self);
    bool found = false;

    for (unsigned job = 0; job < mr_job_count(); job++) {
        const struct demand *demand = &self->demands[job];

        if (!demand->is_wanted || !mr_backoff_is_over(&demand->backoff, now) || is_in_hand(self, job) ||
            (found && demand->served_ms >= self->demands[*out].served_ms))
            continue;
        *out = (enum mr_job)job;
        found = true;
    }
    return found;
}

/* The first that is: those behind it may rest. False: all are at work. */
static bool find_idle(const struct mr_scheduler *self, unsigned *out)
{
    for (*out = 0; *out < self->options->actor_count; (*out)++)
        if (self->workers[*out].prompt == 0)
            return true;
    return false;
}

/* Another job waits: whoever has had a turn lets its run pass after the chunk in hand. */
static void ask_for_turns(struct mr_scheduler *self, bool does_one_wait)
{
    int64_t now = scheduler_now_ms(self);

    for (unsigned i = 0; i < self->options->actor_count; i++)
        if (self->workers[i].prompt != 0)
            atomic_store(&self->options->actors[i]->stats.is_wanted,
                         does_one_wait && now - self->workers[i].since_ms >= TURN_MS);
}

/* ---- What workers say ---- */

/* What a worker has left, or passed on, is looked for at once. */
static void note_answer(struct mr_scheduler *self, unsigned worker, const struct mr_envelope *reply)
{
    struct worker *told = &self->workers[worker];
    struct demand *demand = &self->demands[told->job];

    if (reply->kind == MR_REPLY) {
        mr_backoff_succeed(&demand->backoff);
    } else if (mr_actor_has_database(self->options->actors[worker])) {
        mr_backoff_fail(&demand->backoff, scheduler_now_ms(self));
        demand->is_wanted = true;
    }
    if (atomic_load(&self->options->actors[worker]->stats.is_wanted))
        self->poll_ms = 0;
    told->prompt = 0;
}

static void take_answer(struct mr_scheduler *self, const struct mr_envelope *reply)
{
    for (unsigned i = 0; i < self->options->actor_count; i++)
        if (reply->correlation != 0 && self->workers[i].prompt == reply->correlation)
            note_answer(self, i, reply);
}

static void forget_dropped(struct mr_scheduler *self)
{
    int64_t now = scheduler_now_ms(self);

    for (unsigned i = 0; i < self->options->actor_count; i++)
        if (self->workers[i].prompt != 0 && now - self->workers[i].since_ms > PROMPT_LIFE_MS &&
            atomic_load(&self->options->actors[i]->stats.job) == 0)
            self->workers[i].prompt = 0;
}

void runs_want(struct mr_scheduler *self, enum mr_job job)
{
    self->demands[job].is_wanted = true;
}

void runs_give_out(struct mr_scheduler *self)
{
    struct mr_parcel parcel;
    struct mr_envelope reply;
    enum mr_job job;
    unsigned worker;

    while (mr_mailbox_take(self->mailbox, &parcel)) {
        if (mr_envelope_decode(&reply, parcel.data, parcel.len) == MR_OK && reply.kind != MR_REQUEST)
            take_answer(self, &reply);
        mr_parcel_release(&parcel);
    }
    forget_dropped(self);
    while (find_next(self, &job) && find_idle(self, &worker) && send_prompt(self, worker, job)) {
    }
    ask_for_turns(self, find_next(self, &job));
}

int64_t runs_failing_ms(const struct mr_scheduler *self)
{
    int64_t longest = 0;

    for (unsigned job = 0; job < mr_job_count(); job++) {
        int64_t failing_ms = mr_backoff_failing_ms(&self->demands[job].backoff, scheduler_now_ms(self));

        if (failing_ms > longest)
            longest = failing_ms;
    }
    return longest;
}

void runs_poll(struct mr_scheduler *self)
{
    enum mr_job jobs[MR_JOBS_MAX];
    unsigned count = 0;
    int64_t oldest_ms = 0;
    mr_rows *rows = NULL;

    mr_params_begin(&self->params, 2);
    for (unsigned job = 0; job < mr_job_count(); job++)
        if (self->options->is_on[job]) {
            jobs[count++] = (enum mr_job)job;
            mr_params_text(&self->params, 0, mr_job_info((enum mr_job)job)->name);
            mr_params_bool(&self->params, 1, mr_job_info((enum mr_job)job)->exclusive);
        }
    if (scheduler_query(self, STEP_POLL, "schedule__due", &rows) != MR_OK)
        return;
    self->has_unfinished = false;
    for (unsigned row = 0; row < mr_rows_count(rows); row++) {
        int64_t waited_ms = mr_rows_int(rows, row, 1, -1);

        if (waited_ms >= 0 && mr_rows_int(rows, row, 2, 0) != 0)
            runs_want(self, jobs[mr_rows_int(rows, row, 0, 1) - 1]);
        mr_metric_job_oldest(jobs[mr_rows_int(rows, row, 0, 1) - 1], waited_ms > 0 ? (uint64_t)waited_ms : 0);
        if (waited_ms > oldest_ms)
            oldest_ms = waited_ms;
        if (mr_rows_int(rows, row, 3, 0) != 0)
            self->has_unfinished = true;
    }
    if (self->has_unfinished)
        self->busy_ms = scheduler_now_ms(self);
    mr_metric_show(MR_METRIC_queue_age_ms, (uint64_t)oldest_ms);
    mr_rows_free(&rows);
}

void runs_count(struct mr_scheduler *self)
{
    enum mr_job jobs[MR_JOBS_MAX];
    unsigned count = 0;
    uint64_t total = 0;
    mr_rows *rows = NULL;

    mr_params_begin(&self->params, 1);
    for (unsigned job = 0; job < mr_job_count(); job++)
        if (self->options->is_on[job]) {
            jobs[count++] = (enum mr_job)job;
            mr_params_text(&self->params, 0, mr_job_info((enum mr_job)job)->name);
        }
    if (scheduler_query(self, STEP_COUNT_WAITING, "schedule__waiting", &rows) != MR_OK)
        return;
    for (unsigned row = 0; row < mr_rows_count(rows); row++) {
        uint64_t waiting = (uint64_t)mr_rows_int(rows, row, 1, 0);

        mr_metric_job_waiting(jobs[mr_rows_int(rows, row, 0, 1) - 1], waiting);
        total += waiting;
    }
    mr_metric_show(MR_METRIC_runs_waiting, total);
    mr_rows_free(&rows);
}

void runs_beat(struct mr_scheduler *self)
{
    mr_rows *rows = NULL;
    unsigned count = 0;

    mr_params_begin(&self->params, 2);
    for (unsigned i = 0; i < self->options->actor_count; i++) {
        const struct mr_actor *actor = self->options->actors[i];
        int64_t claim = atomic_load(&actor->stats.claim);

        if (claim != 0) {
            mr_params_text(&self->params, 0, mr_job_info(self->workers[i].job)->name);
            mr_params_int(&self->params, 1, claim);
            count++;
        }
    }
    if (count > 0 && scheduler_query(self, STEP_BEAT, "schedule__beat", &rows) == MR_OK)
        mr_rows_free(&rows);
}

static void note_rescue(const mr_rows *rows, unsigned row)
{
    struct mr_slice job = {"", 0};
    struct mr_slice id = {"", 0};
    struct mr_slice state = {"", 0};
    struct mr_slice owner = {"", 0};
    char text[MR_UUID_TEXT + 1] = "";
    const char *outcome = "rescued";

    mr_rows_get(rows, row, 0, &job);
    mr_rows_get(rows, row, 3, &state);
    mr_rows_get(rows, row, 5, &owner);
    if (mr_rows_get(rows, row, 1, &id))
        mr_uuid_format(text, (const uint8_t *)id.data);
    if (mr_slice_is(state, "dead"))
        outcome = "dead";
    else if (mr_slice_is(state, "cancelled"))
        outcome = "cancelled";
    mr_metric_add(*outcome == 'd'   ? MR_METRIC_runs_dead
                  : *outcome == 'c' ? MR_METRIC_runs_cancelled
                                    : MR_METRIC_runs_rescued,
                  1);
    mr_log(*outcome == 'd' ? MR_LOG_ERROR : MR_LOG_WARN, "job run", mr_log_slice("job", job), mr_log_text("runId", text),
           mr_log_int("attempt", mr_rows_int(rows, row, 2, 0)), mr_log_int("durationMs", mr_rows_int(rows, row, 4, 0)),
           mr_log_text("outcome", outcome), mr_log_slice("owner", owner), mr_log_text("reason", "its process went silent"));
}

void runs_rescue(struct mr_scheduler *self)
{
    mr_rows *rows = NULL;

    mr_params_begin(&self->params, 1);
    mr_params_int(&self->params, 0, MR_RUN_SILENT_MS);
    if (scheduler_query(self, STEP_RESCUE, "schedule__rescue", &rows) != MR_OK)
        return;
    for (unsigned row = 0; row < mr_rows_count(rows); row++)
        note_rescue(rows, row);
    if (mr_rows_count(rows) > 0)
        self->poll_ms = 0;
    mr_rows_free(&rows);
}
