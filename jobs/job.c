#include "jobs/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "jobs/run.h"
#include "runtime/answer.h"
#include "runtime/backoff.h"

enum { STATEMENT_MS = 30000, IDLE_MS = 10000 };

/* The statements of the engine's jobs: "cleanup__tokens". */
static bool owns(const char *statement)
{
    for (int job = 0; job < MR_JOB_COUNT; job++)
        if (mr_job_does(mr_job_info((enum mr_job)job), statement))
            return true;
    return false;
}

bool mr_job_is_on(enum mr_job job, const struct mr_config *config)
{
    return job != MR_JOB_noop || config->job_noop;
}

/* Who has a run: unique to this thread, so that a restarted process never takes the runs of its forerunner for its own. */
static void worker_name(const struct mr_actor *self, char out[128])
{
    char host[64] = "";

    gethostname(host, sizeof host - 1);
    snprintf(out, 128, "%s:%d:%lld/%s", host, (int)getpid(), (long long)self->born_ms, self->name);
}

static mr_status claim(struct mr_actor *self, const char *worker, const uint8_t served[16], mr_rows **out)
{
    const struct mr_job_info *info = mr_job_info(mr_job_of(self));
    bool in_turn = info->starter == MR_STARTED_BY_USER;

    mr_params_begin(&self->params, in_turn ? 3 : 4);
    mr_params_text(&self->params, 0, info->name);
    mr_params_text(&self->params, 1, worker);
    if (in_turn) {
        mr_params_id(&self->params, 2, served);
    } else {
        mr_params_int(&self->params, 2, info->at_once);
        mr_params_bool(&self->params, 3, info->exclusive);
    }
    return mr_job_query(self, in_turn ? "run_due__claim_in_turn" : "run_due__claim", out);
}

/* Nobody answers for runs whose claim was committed while the connection broke: they go back. */
static mr_status disown(struct mr_actor *self, const char *worker)
{
    mr_rows *rows = NULL;
    mr_status status;

    mr_params_begin(&self->params, 2);
    mr_params_text(&self->params, 0, mr_job_info(mr_job_of(self))->name);
    mr_params_text(&self->params, 1, worker);
    status = mr_job_query(self, "run_due__disown", &rows);
    if (status == MR_OK)
        mr_rows_free(&rows);
    return status;
}

static int64_t now_ms(const struct mr_actor *self)
{
    return mr_mono_ms(self->clock);
}

/* Somebody else's being faster is no failure (class 23). */
static bool was_faster(const struct mr_actor *self)
{
    return strncmp(mr_db_last_error(self->db)->sqlstate, "23", 2) == 0;
}

/* As claim, but comes back from a connection that breaks. */
static mr_status claim_surely(struct mr_actor *self, const uint8_t served[16], mr_rows **out)
{
    struct mr_backoff backoff = {0};
    char worker[128];
    mr_status status;

    worker_name(self, worker);
    status = claim(self, worker, served, out);
    while (status != MR_OK && mr_db_last_error(self->db)->lost) {
        if (!mr_job_come_back(self) || mr_actor_pause(self, (int)mr_backoff_fail(&backoff, now_ms(self))))
            break;
        status = disown(self, worker);
        if (status == MR_OK)
            status = claim(self, worker, served, out);
    }
    return status;
}

/* The user whose run was the last one of a job that users start, for whose turn is next; whichever worker that was. */
static _Atomic uint64_t last_served[2];

static void remember_served(struct mr_slice owner)
{
    uint64_t halves[2];

    memcpy(halves, owner.data, sizeof halves);
    atomic_store(&last_served[0], halves[0]);
    atomic_store(&last_served[1], halves[1]);
}

/* MR_OK: `out` has runs, or is NULL when there is nothing more to do for now. */
static mr_status take(struct mr_actor *self, mr_rows **out)
{
    uint64_t served[2] = {atomic_load(&last_served[0]), atomic_load(&last_served[1])};
    struct mr_slice owner;
    mr_status status = claim_surely(self, (const uint8_t *)served, out);

    if (status != MR_OK) {
        if (was_faster(self))
            return MR_OK;
        mr_answer_log(self, "run_due__claim", status, 1);
        return status;
    }
    if (mr_rows_count(*out) == 0)
        mr_rows_free(out);
    else if (mr_rows_get(*out, 0, 3, &owner))
        remember_served(owner);
    return MR_OK;
}

/* Runs that are taken together have no chunks of their own. */
static bool work_on_all(struct mr_actor *self, const mr_rows *rows)
{
    unsigned count = mr_rows_count(rows);
    struct mr_run *runs = calloc(count, sizeof *runs);
    bool go_on = runs != NULL;

    for (unsigned i = 0; go_on && i < count; i++)
        mr_run_take(&runs[i], self, rows, i);
    if (go_on && mr_job_info(mr_job_of(self))->at_once > 1) {
        mr_run_end(self, runs, count, "succeeded", NULL, NULL);
    } else if (go_on) {
        atomic_store(&self->stats.claim, runs[0].claim);
        go_on = mr_run_work(self, &runs[0]);
        atomic_store(&self->stats.claim, 0);
    }
    for (unsigned i = 0; runs != NULL && i < count; i++)
        mr_run_fini(&runs[i]);
    free(runs);
    return go_on;
}

static mr_status work_on_job(struct mr_actor *self)
{
    bool go_on = true;

    while (go_on && !mr_actor_pause(self, 0) && !atomic_load(&self->stats.is_wanted)) {
        mr_rows *rows = NULL;
        mr_status status = take(self, &rows);

        if (status != MR_OK)
            return status;
        go_on = rows != NULL && work_on_all(self, rows);
        mr_rows_free(&rows);
    }
    return MR_OK;
}

/* Answered at the end: until then whoever prompted gives the worker nothing else to do. The reason of a failure is in the log. */
static void on_run_due(struct mr_actor *self, struct mr_message *const *messages, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        mr_status status = MR_NOT_FOUND;
        enum mr_job job;

        if (mr_job_find(messages[i]->values[0].text, &job)) {
            atomic_store(&self->stats.job, (unsigned)job + 1);
            status = work_on_job(self);
            atomic_store(&self->stats.job, 0);
        }
        if (status == MR_OK)
            mr_answer_nothing(self, messages[i]);
        else
            mr_answer_error(self, messages[i], MR_INTERNAL, NULL, NULL, NULL);
    }
}

static mr_code_handler *const handlers[MR_OP_COUNT] = {[MR_OP_run_due] = on_run_due};

const struct mr_actor_spec mr_job_spec = {
    .id = MR_ACTOR_JOB,
    .handlers = handlers,
    .owns = owns,
    .statement_timeout = STATEMENT_MS,
    .idle_timeout = IDLE_MS,
};
