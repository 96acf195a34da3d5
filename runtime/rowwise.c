#include "runtime/rowwise.h"

#include <stdlib.h>

#include "runtime/answer.h"
#include "runtime/link.h"
#include "runtime/metrics.h"
#include "runtime/queue.h"
#include "runtime/repeat.h"
#include "runtime/shutdown.h"
#include "runtime/trace.h"

/* RUNS_MOST: of a message that meets another deadlock each time. */
enum { RUNS_MOST = 3 };

#define CALLERS "row_wise__callers"

/* A round over messages of one op. */
struct round {
    struct mr_actor *actor;
    enum mr_op op;
    bool together; /* a window is one transaction */
    bool lost;     /* the connection was lost in it, and nobody has tried to make another */
};

static const struct mr_traits *traits_of(const struct round *self)
{
    return mr_op_info(self->op)->traits;
}

/* ---- Order ---- */

static int compare_bytes(struct mr_slice a, struct mr_slice b)
{
    int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_values(enum mr_type type, const struct mr_value *a, const struct mr_value *b)
{
    if (a->present != b->present)
        return a->present ? 1 : -1;
    if (!a->present)
        return 0;
    if (type == MR_UUID)
        return memcmp(a->uuid, b->uuid, sizeof a->uuid);
    if (type == MR_INT || type == MR_TIME)
        return (a->integer > b->integer) - (a->integer < b->integer);
    if (type == MR_BOOL)
        return (int)a->boolean - (int)b->boolean;
    if (type == MR_NUMBER)
        return (a->number > b->number) - (a->number < b->number);
    return compare_bytes(a->text, b->text);
}

/*
 * All processes take the rows of their keys in the same order, as set-wise statements do, so that they do not wait for each other in
 * a circle. Equal ones keep their order.
 */
static void sort_by_key(struct mr_message **messages, unsigned count)
{
    const struct mr_traits *traits = mr_op_info(messages[0]->envelope.op)->traits;
    int field = mr_field_index(messages[0]->envelope.op, traits->key);

    for (unsigned i = 1; i < count; i++) {
        struct mr_message *message = messages[i];
        unsigned at = i;

        for (; at > 0 && compare_values(mr_field_carried(&traits->fields[field]), &messages[at - 1]->values[field],
                                        &message->values[field]) > 0;
             at--)
            messages[at] = messages[at - 1];
        messages[at] = message;
    }
}

/* ---- Sending ---- */

static mr_status bind_message(struct mr_params *params, const struct mr_message *message)
{
    const struct mr_field *fields = mr_op_info(message->envelope.op)->traits->fields;
    unsigned column = 0;

    mr_params_begin(params, mr_statement_params(message->envelope.op));
    for (unsigned f = 0; fields[f].name != NULL; f++) {
        const struct mr_value *value = &message->values[f];
        struct mr_value given = {.present = true, .boolean = value->present || value->cleared};

        mr_params_value(params, column++, mr_field_carried(&fields[f]), value);
        if (fields[f].clearable)
            mr_params_value(params, column++, MR_BOOL, &given);
    }
    return mr_params_end(params);
}

static bool has_caller(const struct mr_message *message)
{
    return message->envelope.has_principal && message->envelope.principal.role != MR_ROLE_KEY &&
           mr_op_info(message->envelope.op)->access != MR_ACCESS_PUBLIC;
}

/* Looks up the callers in front of what is added next, or in front of all. */
static mr_status guard(struct mr_actor *self, bool all, struct mr_message *const *messages, unsigned count)
{
    struct mr_params *params = &self->other_params;
    mr_status status;
    unsigned callers = 0;

    mr_params_begin(params, 1);
    for (unsigned i = 0; i < count; i++)
        if (has_caller(messages[i])) {
            mr_params_id(params, 0, messages[i]->envelope.principal.user_id);
            callers++;
        }
    status = mr_params_end(params);
    if (status == MR_OK && callers > 0 && all)
        mr_db_window_guard_all(self->db, CALLERS, params);
    else if (status == MR_OK && callers > 0)
        mr_db_window_guard(self->db, CALLERS, params);
    return status;
}

static mr_status add(struct mr_actor *self, bool together, struct mr_message *message)
{
    mr_status status = bind_message(&self->params, message);

    if (status == MR_OK && !together)
        status = guard(self, false, &message, 1);
    if (status == MR_OK && mr_repeat_is_keyed(message))
        status = mr_repeat_claim(self, message);
    if (status == MR_OK)
        mr_db_window_add(self->db, &self->params);
    return status;
}

/* ---- Answers ---- */

static void answer_failed(struct mr_actor *self, struct mr_message *message, const struct mr_db_step *step)
{
    if (step->guard != NULL && strcmp(step->guard, CALLERS) == 0 && strcmp(step->error.sqlstate, "22012") == 0)
        mr_answer_error(self, message, MR_INVALID_TOKEN, NULL, NULL, NULL);
    else
        mr_answer_failure(self, message, step->status, &step->error);
}

/* What is sure to have taken no effect runs again; what may have, only when that does no harm: its key finds what the first did. */
static bool may_run_again(const struct mr_message *message, const struct mr_db_error *error)
{
    if (message->runs >= RUNS_MOST)
        return false;
    if (error->undone)
        return true;
    if (error->lost)
        return message->runs < 2 && (mr_op_info(message->envelope.op)->traits->rerun_safe || mr_repeat_is_keyed(message));
    return strncmp(error->sqlstate, "40", 2) == 0;
}

/* A key that is gone by now was given back, or is a day old: the message is the first with it. */
static void answer_repeated(struct mr_actor *self, struct mr_message *message)
{
    if (!mr_repeat_answer(self, message) && message->runs >= RUNS_MOST)
        mr_answer_error(self, message, MR_OVERLOADED, NULL, NULL, NULL);
}

static void answer_step(struct round *self, struct mr_message *message, struct mr_db_step *step)
{
    if (step->status == MR_OK)
        mr_answer_single(self->actor, message, step->rows);
    else if (mr_repeat_was_there(step))
        answer_repeated(self->actor, message);
    else if (!may_run_again(message, &step->error))
        answer_failed(self->actor, message, step);
    mr_rows_free(&step->rows);
}

static void answer_all(struct mr_actor *self, struct mr_message *const *messages, unsigned count, mr_status status)
{
    for (unsigned i = 0; i < count; i++)
        mr_answer_error(self, messages[i], status, NULL, NULL, NULL);
}

/* ---- A window ---- */

/* One attempt at a connection for all who lost theirs together; after that its pauses are kept. */
static mr_status connect(struct round *self)
{
    mr_status status = self->lost ? mr_db_reconnect(self->actor->db) : mr_db_connect(self->actor->db);

    self->lost = false;
    if (status != MR_OK)
        mr_link_note(self->actor); /* whoever is told 503 finds /readyz the same */
    return status;
}

static mr_status queue(struct mr_actor *self, bool together, struct mr_message **messages, unsigned count)
{
    mr_status status = MR_OK;

    if (together)
        status = guard(self, true, messages, count);
    for (unsigned i = 0; status == MR_OK && i < count; i++)
        status = add(self, together, messages[i]);
    return status;
}

static bool has_keys(struct mr_message *const *messages, unsigned count)
{
    bool any = false;

    for (unsigned i = 0; i < count; i++)
        any = any || mr_repeat_is_keyed(messages[i]);
    return any;
}

static void note_statement(struct mr_actor *self, const char *statement, int64_t begun_us, mr_status status)
{
    int64_t took_us = mr_mono_us(self->clock) - begun_us;

    self->database_us += took_us;
    mr_metric_statement(self->spec->id, took_us);
    mr_trace_statement(self, statement, begun_us, status);
}

/* The first that failed tells the span; what is no fault of the server's is not told there. */
static mr_status status_of(const struct mr_db_step *steps, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (steps[i].status != MR_OK && mr_status_http(steps[i].status) >= 500)
            return steps[i].status;
    return MR_OK;
}

/* Nothing was sent. */
static void answer_not_begun(struct round *self, struct mr_message *const *messages, unsigned count, mr_status status)
{
    struct mr_db_error error = *mr_db_last_error(self->actor->db);

    self->lost = !mr_db_is_up(self->actor->db);
    error.undone = error.lost;
    for (unsigned i = 0; i < count; i++) {
        struct mr_db_step step = {.status = status, .error = error};

        messages[i]->runs++;
        answer_step(self, messages[i], &step);
    }
}

/* With keys it is two round trips: what they are kept with is known after the first. */
static void end_window(struct mr_actor *self, bool keyed, struct mr_message **messages, unsigned count,
                       struct mr_db_step *steps)
{
    if (!keyed) {
        mr_db_window_end(self->db, steps);
        return;
    }
    mr_db_window_hold(self->db, steps);
    mr_repeat_commit(self, messages, count, steps);
}

static mr_status begin_window(struct round *self, bool together, struct mr_message **messages, unsigned count)
{
    struct mr_actor *actor = self->actor;
    const char *statement = mr_answer_statement(messages[0]);
    static const char *const guards[] = {CALLERS, MR_REPEAT_CLAIM, MR_REPEAT_KEEP, NULL};
    mr_status status = connect(self);

    if (status != MR_OK) {
        mr_answer_log(actor, statement, status, count);
        answer_all(actor, messages, count, status);
        return status;
    }
    status = mr_db_prepare(actor->db, guards, mr_answer_deadline(actor, messages, count));
    if (status == MR_OK)
        status = mr_db_window_begin(actor->db, statement, together, mr_answer_deadline(actor, messages, count));
    if (status != MR_OK) {
        answer_not_begun(self, messages, count, status);
        return status;
    }
    status = queue(actor, together, messages, count);
    if (status != MR_OK) { /* as little is known of those before as when the connection breaks */
        mr_db_release(actor->db);
        answer_all(actor, messages, count, status);
    }
    return status;
}

/* One message alone needs no savepoint; but a transaction, when its answer is kept with its key. */
static void run_window(struct round *self, struct mr_message **messages, unsigned count)
{
    struct mr_actor *actor = self->actor;
    bool keyed = has_keys(messages, count);
    struct mr_db_step steps[MR_DB_WINDOW_MAX];
    int64_t begun_us = mr_mono_us(actor->clock);

    if (begin_window(self, keyed || (self->together && count > 1), messages, count) != MR_OK)
        return;
    end_window(actor, keyed, messages, count, steps);
    self->lost = !mr_db_is_up(actor->db);
    note_statement(actor, mr_answer_statement(messages[0]), begun_us, status_of(steps, count));
    for (unsigned i = 0; i < count; i++) {
        messages[i]->runs++;
        answer_step(self, messages[i], &steps[i]);
    }
}

/* ---- All ---- */

/* How many of the messages make up the next window: in one transaction, or each in its own, and then one with a key by itself. */
static unsigned window_size(const struct round *self, struct mr_message *const *messages, unsigned count)
{
    unsigned most = count < MR_DB_WINDOW_MAX ? count : MR_DB_WINDOW_MAX;
    unsigned size = 0;

    if (self->together)
        return most;
    while (size < most && !mr_repeat_is_keyed(messages[size]))
        size++;
    return size > 0 ? size : 1;
}

/* Late ones are dropped from window to window, so that nobody waits behind what nobody waits for. */
static void run_round(struct round *self, struct mr_message **messages, unsigned count)
{
    for (unsigned at = 0; at < count && !mr_shutdown_is_cut();) {
        unsigned size = window_size(self, messages + at, count - at);
        unsigned in_time = mr_queue_drop_late(self->actor, messages + at, size);

        if (self->together && in_time > 1)
            sort_by_key(messages + at, in_time);
        self->actor->in_hand = messages + at;
        self->actor->in_hand_count = in_time;
        if (in_time > 0)
            run_window(self, messages + at, in_time);
        at += size;
    }
}

void mr_rowwise_answer(struct mr_actor *self, struct mr_message *const *messages, unsigned count)
{
    struct mr_message *left[MR_PLAN_MAX];
    struct round round = {.actor = self, .op = messages[0]->envelope.op};
    unsigned waiting;

    round.together = traits_of(&round)->key != NULL;
    while ((waiting = mr_answer_left(messages, count, left)) > 0 && !mr_shutdown_is_cut()) {
        run_round(&round, left, waiting);
        round.together = false; /* who runs again does so alone, and can spoil nothing for others */
    }
    answer_all(self, left, mr_answer_left(messages, count, left), MR_UNAVAILABLE); /* the process ends */
    if (round.lost && !mr_shutdown_is_cut()) /* perhaps only given up, after an order to cancel: then nothing is amiss */
        (void)!connect(&round);
}
