/*
 * runs: prompts for those that are due, a heartbeat for those in hand, a second chance for those that were left.
 */
#include "proto/uuid.h"
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "scheduler/internal.h"

enum { PROMPT_LIFE_MS = 60000 };

static void send_prompt(struct mr_scheduler *self, enum mr_job job)
{
    int64_t now_us = mr_wall_us(self->clock);
    struct mr_envelope prompt = {.kind = MR_REQUEST,
                                 .op = MR_OP_run_due,
                                 .correlation = (uint64_t)job,
                                 .deadline_ms = now_us / 1000 + PROMPT_LIFE_MS,
                                 .times.sent_us = now_us};

    mr_buf_clear(&self->payload, SIZE_MAX);
    mr_buf_clear(&self->frame, SIZE_MAX);
    mr_payload_encode(&self->payload, prompt.op, NULL);
    prompt.payload = (struct mr_slice){self->payload.data, self->payload.len};
    for (unsigned i = 0; i < self->options->actor_count; i++)
        if (self->options->actors[i]->instance == (unsigned)job && mr_envelope_encode(&self->frame, &prompt) == MR_OK &&
            mr_mailbox_send(self->mailbox, self->options->actors[i]->name, self->frame.data, self->frame.len) == MR_OK)
            self->prompted_until_ms[job] = scheduler_now_ms(self) + PROMPT_LIFE_MS;
}

/* At most one waits at an actor: a run can take hours. */
void runs_prompt(struct mr_scheduler *self, enum mr_job job)
{
    if (self->prompted_until_ms[job] <= scheduler_now_ms(self))
        send_prompt(self, job);
}

void runs_take_mail(struct mr_scheduler *self)
{
    struct mr_parcel parcel;
    struct mr_envelope reply;

    while (mr_mailbox_take(self->mailbox, &parcel)) {
        if (mr_envelope_decode(&reply, parcel.data, parcel.len) == MR_OK && reply.kind != MR_REQUEST &&
            reply.correlation < mr_job_count())
            self->prompted_until_ms[reply.correlation] = 0;
        mr_parcel_release(&parcel);
    }
}

void runs_poll(struct mr_scheduler *self)
{
    enum mr_job jobs[MR_JOBS_MAX];
    unsigned count = 0;
    int64_t oldest_ms = 0;
    mr_rows *rows = NULL;

    mr_params_begin(&self->params, 2);
    for (unsigned job = 0; job < mr_job_count(); job++)
        if (self->is_on[job]) {
            jobs[count++] = (enum mr_job)job;
            mr_params_text(&self->params, 0, mr_job_info((enum mr_job)job)->name);
            mr_params_bool(&self->params, 1, mr_job_info((enum mr_job)job)->alone);
        }
    if (scheduler_query(self, STEP_POLL, "schedule__due", &rows) != MR_OK)
        return;
    self->has_unfinished = false;
    for (unsigned row = 0; row < mr_rows_count(rows); row++) {
        int64_t waited_ms = mr_rows_int(rows, row, 1, -1);

        if (waited_ms >= 0 && mr_rows_int(rows, row, 2, 0) != 0)
            runs_prompt(self, jobs[mr_rows_int(rows, row, 0, 1) - 1]);
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
        if (self->is_on[job]) {
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
            mr_params_text(&self->params, 0, mr_job_info((enum mr_job)actor->instance)->name);
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
