/*
 * Claims: runs for workers.
 *
 * The claims of a job that wait together are one statement, which serves them in their order and gives each what is left. Turns are
 * taken among the keys of a job: the last key that was served is kept here, and the next statement begins behind it.
 */
#include <endian.h>
#include <stdlib.h>

#include "actors/work_internal.h"
#include "runtime/answer.h"
#include "runtime/log.h"
#include "runtime/metrics.h"

static const char claim_statement[] = "run_claim__take";
static const char release_statement[] = "run_release__settle";

/* The columns of that statement. */
enum { N, STATUS, MESSAGE, ID, CLAIM, KEY, CLAIM_PARAMS = 5 };

static const struct mr_value *value_of(const struct mr_message *message, const char *field)
{
    return &message->values[mr_field_index(message->envelope.op, field)];
}

/* ---- Turns ---- */

/* That of a job; where all places are taken, the one that was used longest ago goes. */
static struct turn_of_keys *turn_of(struct mr_actor *self, struct mr_slice job)
{
    struct work_own *own = work_own(self);
    struct turn_of_keys *oldest = &own->turns[0];

    for (unsigned i = 0; i < WORK_JOBS; i++) {
        struct turn_of_keys *turn = &own->turns[i];

        if (mr_slice_is(job, turn->job)) {
            turn->used_ms = mr_mono_ms(self->clock);
            return turn;
        }
        if (turn->used_ms < oldest->used_ms)
            oldest = turn;
    }
    mr_slice_copy(oldest->job, sizeof oldest->job, job);
    oldest->used_ms = mr_mono_ms(self->clock);
    oldest->has_key = false;
    return oldest;
}

static void move_turn(struct turn_of_keys *turn, struct mr_slice key)
{
    mr_buf_clear(&turn->key, SIZE_MAX);
    mr_buf_slice(&turn->key, key);
    turn->has_key = !turn->key.failed;
}

/* ---- Answers ---- */

static void add_claim(struct mr_buf *out, const mr_rows *rows, unsigned row)
{
    uint64_t claim = htobe64((uint64_t)mr_rows_int(rows, row, CLAIM, 0));
    struct mr_slice id = {"", 0};

    mr_rows_get(rows, row, ID, &id);
    mr_buf_slice(out, id);
    mr_buf_append(out, (const char *)&claim, sizeof claim);
}

/* The rows [from, to) are a worker's. */
static void hand_out(struct mr_actor *self, struct mr_message *message, const struct mr_row_plan *plan, const mr_rows *rows,
                     unsigned from, unsigned to)
{
    struct mr_body_notes notes = {.unsaid = NULL};
    struct mr_buf claims = {0};
    struct mr_buf json = {0};
    mr_status status = MR_OK;

    mr_buf_text(&json, "{\"runs\":");
    if (from < to)
        status = mr_rows_body(&json, MR_SHAPE_MANY, plan, rows, from, to, &notes);
    else
        mr_buf_text(&json, "[]");
    mr_buf_char(&json, '}');
    for (unsigned row = from; row < to; row++)
        add_claim(&claims, rows, row);
    if (status == MR_OK && (json.failed || claims.failed))
        status = MR_NO_MEMORY; /* what nobody hears of comes back when its lease is over */
    if (status == MR_OK)
        mr_answer_json(
            self, message,
            &(struct mr_reply_head){{"", 0}, 0, {"", 0}, {claims.len > 0 ? claims.data : "", claims.len}, from == to},
            (struct mr_slice){json.data, json.len});
    else
        mr_answer_error(self, message, status, NULL, NULL, NULL);
    mr_metric_add(MR_METRIC_runs_claimed, to - from);
    mr_buf_fini(&notes.next);
    mr_buf_fini(&json);
    mr_buf_fini(&claims);
}

/* There is no such job, or nothing of it can be claimed. */
static void refuse(struct mr_actor *self, struct mr_message *const *messages, unsigned count, const mr_rows *rows)
{
    mr_status status = mr_status_from_http((int)mr_rows_int(rows, 0, STATUS, 500));
    struct mr_slice said = {"", 0};
    char text[128];

    mr_rows_get(rows, 0, MESSAGE, &said);
    mr_slice_copy(text, sizeof text, said);
    for (unsigned i = 0; i < count; i++)
        mr_answer_error(self, messages[i], status, NULL, NULL, text);
}

static void answer_rows(struct mr_actor *self, struct mr_message *const *messages, unsigned count, const mr_rows *rows)
{
    unsigned total = mr_rows_count(rows);
    const struct mr_row_plan *plan;
    struct mr_slice key = {"", 0};
    unsigned row = 0;

    if (total > 0 && mr_rows_int(rows, 0, STATUS, 0) != 0) {
        refuse(self, messages, count, rows);
        return;
    }
    if (mr_row_plan_find(&self->plans, &plan, claim_statement, rows, false) != MR_OK)
        return; /* mr_answer_end says so */
    for (unsigned i = 0; i < count; i++) {
        unsigned from = row;

        while (row < total && mr_rows_int(rows, row, N, 0) == (int64_t)i + 1)
            row++;
        hand_out(self, messages[i], plan, rows, from, row);
    }
    work_note_claim(self, row > 0);
    if (row == 0)
        return;
    mr_rows_get(rows, row - 1, KEY, &key);
    move_turn(turn_of(self, value_of(messages[0], "job")->text), key);
}

/* ---- The statement ---- */

static mr_status bind(struct mr_actor *self, struct mr_message *const *messages, unsigned count)
{
    const struct mr_value *job = value_of(messages[0], "job");
    struct turn_of_keys *turn = turn_of(self, job->text);
    struct mr_value after = {.present = turn->has_key, .text = {turn->key.len > 0 ? turn->key.data : "", turn->key.len}};

    mr_params_begin(&self->params, CLAIM_PARAMS);
    mr_params_value(&self->params, 0, MR_TEXT, job);
    for (unsigned i = 0; i < count; i++) {
        mr_params_add(&self->params, 1, MR_INT, value_of(messages[i], "max"));
        mr_params_add(&self->params, 2, MR_INT, value_of(messages[i], "lease"));
        mr_params_add(&self->params, 3, MR_TEXT, value_of(messages[i], "worker"));
    }
    mr_params_value(&self->params, 4, MR_TEXT, &after);
    return mr_params_end(&self->params);
}

/* Of one job. A statement whose answer was lost is not run again: what it took comes back when its lease is over. */
static void claim(struct mr_actor *self, struct mr_message *const *messages, unsigned count, int64_t deadline_ms)
{
    mr_rows *rows = NULL;
    mr_status status = bind(self, messages, count);

    if (status == MR_OK)
        status = mr_answer_query(self, claim_statement, false, deadline_ms, &rows);
    if (status != MR_OK) {
        mr_answer_log(self, claim_statement, status, count);
        for (unsigned i = 0; i < count; i++)
            mr_answer_error(self, messages[i], status, NULL, NULL, NULL);
        return;
    }
    answer_rows(self, messages, count, rows);
    mr_rows_free(&rows);
}

static bool is_same_job(const struct mr_message *a, const struct mr_message *b)
{
    struct mr_slice left = value_of(a, "job")->text;
    struct mr_slice right = value_of(b, "job")->text;

    return left.len == right.len && memcmp(left.data, right.data, left.len) == 0;
}

/* Takes out the first that has no answer, and those of its job, in their order. Returns how many these are. */
static unsigned take_job(struct mr_message **left, unsigned *count, struct mr_message **out)
{
    unsigned kept = 0;
    unsigned taken = 0;

    for (unsigned i = 0; i < *count; i++) {
        if (left[i]->answered)
            continue;
        if (taken == 0 || is_same_job(left[i], out[0]))
            out[taken++] = left[i];
        else
            left[kept++] = left[i];
    }
    *count = kept;
    return taken;
}

void work_on_claim(struct mr_actor *self, struct mr_message *const *messages, unsigned count)
{
    int64_t deadline_ms = mr_answer_deadline(self, messages, count);
    struct mr_message *left[MR_PLAN_MAX];
    struct mr_message *of_job[MR_PLAN_MAX];
    unsigned taken;

    if (work_refuse_gone(self, "run_claim__gone", messages, count, deadline_ms) != MR_OK)
        return;
    memcpy(left, messages, count * sizeof(struct mr_message *));
    while ((taken = take_job(left, &count, of_job)) > 0)
        claim(self, of_job, taken, deadline_ms);
}

/* ---- Back again ---- */

static void bind_released(struct mr_actor *self, struct mr_slice claims)
{
    for (size_t at = 0; at + MR_CLAIM_BYTES <= claims.len; at += MR_CLAIM_BYTES) {
        uint64_t claim;

        memcpy(&claim, claims.data + at + 16, sizeof claim);
        mr_params_id(&self->params, 0, (const uint8_t *)claims.data + at);
        mr_params_int(&self->params, 1, (int64_t)be64toh(claim));
    }
}

void work_on_release(struct mr_actor *self, struct mr_message *const *messages, unsigned count)
{
    mr_rows *rows = NULL;
    mr_status status;

    mr_params_begin(&self->params, 2);
    for (unsigned i = 0; i < count; i++)
        bind_released(self, value_of(messages[i], "claims")->text);
    status = mr_params_end(&self->params);
    if (status == MR_OK)
        status = mr_answer_query(self, release_statement, true, mr_answer_deadline(self, messages, count), &rows);
    if (status != MR_OK)
        mr_answer_log(self, release_statement, status, count);
    else
        mr_metric_add(MR_METRIC_runs_given_back, mr_rows_count(rows));
    mr_rows_free(&rows);
    for (unsigned i = 0; i < count; i++)
        mr_answer_nothing(self, messages[i]);
    work_look_soon(self);
}
