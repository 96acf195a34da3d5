#include <stdlib.h>

#include "jobs/push_internal.h"
#include "proto/uuid.h"
#include "runtime/log.h"
#include "runtime/metrics.h"

/* ---- The end of a call ---- */

static void count_call(const struct errand *errand)
{
    enum mr_push_end end = MR_PUSH_UNANSWERED;

    if (errand->call.end == MR_CALL_NOT_SENT)
        return;
    if (errand->verdict.outcome == MR_PUSH_SUCCEEDED)
        end = MR_PUSH_DELIVERED;
    else if (errand->call.end == MR_CALL_ANSWERED)
        end = MR_PUSH_REFUSED;
    else if (errand->call.end == MR_CALL_FORBIDDEN)
        end = MR_PUSH_FORBIDDEN;
    mr_metric_push(end, errand->call.end == MR_CALL_ANSWERED ? errand->call.http : 0, errand->call.took_us);
}

/* So that the other runs of the job do not spend their attempts on a receiver that has asked for a rest. */
static void note_rest(const struct mr_push *self, struct errand *errand)
{
    int64_t rest_ms = errand->verdict.retry_after_ms;

    if (rest_ms > PUSH_REST_MOST_MS)
        rest_ms = PUSH_REST_MOST_MS;
    if (rest_ms > 0 && push_now_ms(self) + rest_ms > errand->kind->rest_until_ms)
        errand->kind->rest_until_ms = push_now_ms(self) + rest_ms;
}

void push_end(struct mr_push *self, struct errand *errand)
{
    if (errand->is_cancelled && errand->verdict.outcome == MR_PUSH_FAILED)
        mr_slice_copy(errand->verdict.error, sizeof errand->verdict.error, MR_SLICE("cancelled on request"));
    push_errands_add(&self->done, errand);
}

static void end_call(struct mr_push *self, struct errand *errand)
{
    push_errands_remove(&self->sent, errand);
    errand->host->in_flight--;
    mr_push_judge(&errand->call, &errand->verdict);
    count_call(errand);
    if (errand->call.end == MR_CALL_ANSWERED || errand->verdict.is_dead)
        push_host_note(self, errand->host, errand->call.end == MR_CALL_ANSWERED);
    note_rest(self, errand);
    push_trace_end(self, errand);
    push_end(self, errand);
}

void push_take_calls(struct mr_push *self)
{
    struct mr_call *next;

    for (struct mr_call *call = mr_courier_take(self->courier); call != NULL; call = next) {
        next = call->next;
        end_call(self, call->owner);
    }
    mr_metric_show(MR_METRIC_pushes_in_flight, self->sent.count);
}

void push_errand_destroy(struct errand *errand)
{
    mr_call_fini(&errand->call);
    free(errand);
}

/* Nothing more is to be told of it. */
static void forget(struct mr_push *self, struct errand *errand)
{
    push_errands_remove(&self->done, errand);
    errand->kind->in_hand--;
    self->in_hand--;
    self->is_freed = self->is_freed || errand->kind->is_limited;
    push_errand_destroy(errand);
}

/* ---- What the log says of it ---- */

static const char *receiver_of(const struct errand *errand)
{
    return errand->host != NULL ? errand->host->origin : "";
}

/* The reason is ours: nothing that the receiver said, and nothing of the URL but the host. */
static void tell(const struct errand *errand, enum mr_log_level level, const char *outcome, int64_t untold)
{
    char id[MR_UUID_TEXT];

    mr_uuid_format(id, errand->id);
    mr_log(level, "push", mr_log_text("job", errand->kind->name), mr_log_slice("runId", ((struct mr_slice){id, sizeof id})),
           mr_log_int("attempt", errand->attempt), mr_log_int("durationMs", errand->call.took_us / 1000),
           mr_log_text("outcome", outcome), mr_log_text(errand->host != NULL ? "receiver" : "", receiver_of(errand)),
           mr_log_int(errand->call.http != 0 ? "status" : "", errand->call.http),
           mr_log_text(errand->verdict.error[0] != '\0' ? "reason" : "", errand->verdict.error),
           mr_log_int(untold > 0 ? "untold" : "", untold), mr_log_trace(mr_slice_of(errand->traceparent)));
}

static void tell_failure(struct mr_push *self, const struct errand *errand, const char *outcome)
{
    int64_t untold;

    if (push_kind_tells(errand->kind, push_now_ms(self), &untold))
        tell(errand, strcmp(outcome, "dead") == 0 ? MR_LOG_ERROR : MR_LOG_WARN, outcome, untold);
}

/* What the database made of an outcome. */
static void note_state(struct mr_push *self, const struct errand *errand, const char *state)
{
    static const struct {
        const char *state;
        enum mr_metric metric;
    } metrics[] = {{"succeeded", MR_METRIC_runs_succeeded}, {"failed", MR_METRIC_runs_failed},
                   {"dead", MR_METRIC_runs_dead},           {"cancelled", MR_METRIC_runs_cancelled},
                   {"released", MR_METRIC_runs_released},   {"lost", MR_METRIC_runs_lost}};

    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++)
        if (strcmp(state, metrics[i].state) == 0)
            mr_metric_add(metrics[i].metric, 1);
    if (strcmp(state, "failed") == 0 || strcmp(state, "dead") == 0 || strcmp(state, "lost") == 0)
        tell_failure(self, errand, state);
    else
        tell(errand, MR_LOG_DEBUG, state, 0);
}

/* ---- Outcomes ---- */

static const char *outcome_of(const struct errand *errand)
{
    static const char *const words[] = {
        [MR_PUSH_SUCCEEDED] = "succeeded", [MR_PUSH_FAILED] = "failed", [MR_PUSH_RELEASED] = "released"};

    return words[errand->verdict.outcome];
}

static void add_text(struct mr_params *params, unsigned column, struct mr_slice text, bool present)
{
    struct mr_value value = {.present = present, .text = text};

    mr_params_add(params, column, MR_TEXT, &value);
}

static void add_number(struct mr_params *params, unsigned column, int64_t number, bool present)
{
    struct mr_value value = {.present = present, .integer = number};

    mr_params_add(params, column, MR_INT, &value);
}

static void bind(struct mr_push *self, struct errand *errand)
{
    const struct mr_push_verdict *verdict = &errand->verdict;
    const struct mr_call *call = &errand->call;
    struct mr_params *params = &self->params;

    mr_buf_clear(&self->text, SIZE_MAX);
    mr_push_text(&self->text, (struct mr_slice){call->answer.data, call->answer.len}, MR_PUSH_ANSWER_KEPT);
    mr_params_id(params, 0, errand->id);
    mr_params_int(params, 1, errand->claim);
    mr_params_text(params, 2, outcome_of(errand));
    add_text(params, 3, verdict->result, verdict->result.data != NULL && !errand->is_plain);
    add_text(params, 4, mr_slice_of(verdict->error), verdict->outcome == MR_PUSH_FAILED);
    add_number(params, 5, verdict->retry_after_ms, verdict->retry_after_ms >= 0);
    mr_params_int(params, 6, errand->attempt);
    mr_params_time(params, 7, errand->begun_wall_us);
    mr_params_int(params, 8, call->took_us / 1000);
    add_number(params, 9, call->http, call->http != 0);
    add_text(params, 10, (struct mr_slice){self->text.data, self->text.len}, call->answer.len > 0 && !errand->is_plain);
}

static void take_settled(struct mr_push *self, struct errand *const *batch, unsigned count, const mr_rows *rows)
{
    for (unsigned row = 0; row < mr_rows_count(rows); row++) {
        int64_t n = mr_rows_int(rows, row, 0, 0);
        struct mr_slice state = MR_SLICE("");
        char word[16];

        if (n < 1 || n > count)
            continue;
        mr_rows_get(rows, row, 2, &state);
        mr_slice_copy(word, sizeof word, state);
        if (mr_rows_int(rows, row, 1, 0) != 200)
            note_state(self, batch[n - 1], "lost");
        else
            note_state(self, batch[n - 1], batch[n - 1]->verdict.outcome == MR_PUSH_RELEASED ? "released" : word);
        batch[n - 1]->is_settled = true;
    }
    for (unsigned i = 0; i < count; i++)
        if (batch[i]->is_settled)
            forget(self, batch[i]);
}

/* The values are to blame, not the server or a lock: what the receiver said, most likely. */
static bool is_about_values(const struct mr_db_error *error)
{
    return strncmp(error->sqlstate, "22", 2) == 0 || strncmp(error->sqlstate, "23", 2) == 0 ||
           strncmp(error->sqlstate, "54", 2) == 0;
}

static mr_status run_settle(struct mr_push *self, struct errand *const *batch, unsigned count, mr_rows **out)
{
    mr_params_begin(&self->params, 12);
    for (unsigned i = 0; i < count; i++)
        bind(self, batch[i]);
    mr_params_text(&self->params, 11, self->worker);
    return push_run(self, "push__settle", out);
}

/* What cannot be told even in plain words is left to its lease, which runs out. */
static void give_up(struct mr_push *self, struct errand *errand)
{
    note_state(self, errand, "lost");
    forget(self, errand);
}

/* A batch that is refused for a value in it is halved until that stands alone. False: another time. */
static bool settle_batch(struct mr_push *self, struct errand **batch, unsigned count)
{
    mr_rows *rows = NULL;
    mr_status status = run_settle(self, batch, count, &rows);

    if (status == MR_OK) {
        take_settled(self, batch, count, rows);
        mr_rows_free(&rows);
        return true;
    }
    if (!is_about_values(mr_db_last_error(self->db))) {
        push_note_failure(self, &self->settling, "push__settle", status);
        return false;
    }
    if (count > 1) {
        bool first = settle_batch(self, batch, count / 2);

        return first && settle_batch(self, batch + count / 2, count - count / 2);
    }
    if (batch[0]->is_plain) {
        push_note_failure(self, &self->settling, "push__settle", status);
        give_up(self, batch[0]);
        return true;
    }
    batch[0]->is_plain = true;
    return settle_batch(self, batch, 1);
}

/* ---- Jobs that the receiver wants no more of ---- */

static void pause_jobs(struct mr_push *self, struct errand *const *batch, unsigned count)
{
    mr_rows *rows = NULL;
    unsigned gone = 0;
    mr_status status;

    mr_params_begin(&self->params, 2);
    for (unsigned i = 0; i < count; i++)
        if (batch[i]->verdict.is_gone) {
            mr_params_text(&self->params, 0, batch[i]->kind->name);
            mr_params_text(&self->params, 1, batch[i]->call.url.data);
            gone++;
        }
    if (gone == 0)
        return;
    status = push_run(self, "push__pause", &rows);
    if (status != MR_OK) {
        push_note_failure(self, &self->settling, "push__pause", status);
        return;
    }
    for (unsigned row = 0; row < mr_rows_count(rows); row++) {
        struct mr_slice name = MR_SLICE("");

        mr_rows_get(rows, row, 0, &name);
        mr_log(MR_LOG_WARN, "job paused", mr_log_slice("job", name), mr_log_text("reason", "the receiver answered 410"));
    }
    mr_rows_free(&rows);
}

/* Jobs are paused first: a run whose outcome is stored before that could be claimed again in between. */
bool push_settle(struct mr_push *self)
{
    struct errand *batch[PUSH_SETTLE_MOST];
    bool good = true;

    while (good && self->done.first != NULL && mr_db_is_up(self->db) &&
           mr_backoff_is_over(&self->settling, push_now_ms(self))) {
        unsigned count = 0;

        for (struct errand *errand = self->done.first; errand != NULL && count < PUSH_SETTLE_MOST; errand = errand->next)
            batch[count++] = errand;
        pause_jobs(self, batch, count);
        good = mr_db_is_up(self->db) && settle_batch(self, batch, count);
        if (good)
            mr_backoff_succeed(&self->settling);
        self->busy_ms = push_now_ms(self);
    }
    return self->done.count == 0;
}

/* ---- Leases ---- */

static unsigned collect(struct mr_push *self, const struct errands *list, struct errand **out, unsigned count)
{
    int64_t soon_ms = push_now_ms(self) + PUSH_RENEW_MS;

    for (struct errand *errand = list->first; errand != NULL && count < PUSH_SETTLE_MOST; errand = errand->next)
        if (errand->until_ms < soon_ms && !errand->is_lost && !errand->is_cancelled) {
            mr_params_id(&self->params, 0, errand->id);
            mr_params_int(&self->params, 1, errand->claim);
            mr_params_text(&self->params, 2, "working");
            mr_params_int(&self->params, 3, PUSH_LEASE_MS);
            out[count++] = errand;
        }
    return count;
}

/* One that is somebody else's, or is to be cancelled, is broken off; what it came to by then is told as ever, and refused if it is late. */
static void note_renewed(struct mr_push *self, struct errand *errand, int64_t status, struct mr_slice state, int64_t until_ms)
{
    errand->until_ms = until_ms;
    errand->is_lost = status != 200;
    errand->is_cancelled = mr_slice_is(state, "cancelling");
    if (errand->is_lost || errand->is_cancelled)
        mr_courier_drop(self->courier, &errand->call);
}

void push_beat(struct mr_push *self)
{
    struct errand *renewed[PUSH_SETTLE_MOST];
    int64_t until_ms = push_now_ms(self) + PUSH_LEASE_MS;
    mr_rows *rows = NULL;
    unsigned count;
    mr_status status;

    mr_params_begin(&self->params, 4);
    count = collect(self, &self->sent, renewed, 0);
    self->beat_ms = push_now_ms(self) + (count == PUSH_SETTLE_MOST ? 0 : PUSH_BEAT_MS);
    if (count == 0)
        return;
    status = push_run(self, "push__beat", &rows);
    if (status != MR_OK) {
        self->beat_ms = push_now_ms(self) + PUSH_BEAT_MS;
        push_note_failure(self, &self->settling, "push__beat", status);
        return;
    }
    for (unsigned row = 0; row < mr_rows_count(rows); row++) {
        int64_t n = mr_rows_int(rows, row, 0, 0);
        struct mr_slice state = MR_SLICE("");

        mr_rows_get(rows, row, 2, &state);
        if (n >= 1 && n <= count)
            note_renewed(self, renewed[n - 1], mr_rows_int(rows, row, 1, 0), state, until_ms);
    }
    mr_rows_free(&rows);
}

static void bind_ids(struct mr_push *self, const struct errands *list)
{
    for (const struct errand *errand = list->first; errand != NULL; errand = errand->next)
        mr_params_id(&self->params, 1, errand->id);
}

void push_disown(struct mr_push *self)
{
    static const uint8_t nobody[16];
    mr_rows *rows = NULL;
    mr_status status;

    mr_params_begin(&self->params, 2);
    mr_params_text(&self->params, 0, self->worker);
    mr_params_id(&self->params, 1, nobody); /* an array has an element */
    bind_ids(self, &self->sent);
    bind_ids(self, &self->done);
    status = push_run(self, "push__disown", &rows);
    if (status != MR_OK) {
        push_note_failure(self, &self->claiming, "push__disown", status);
        return;
    }
    self->serial = mr_db_serial(self->db);
    mr_rows_free(&rows);
}
