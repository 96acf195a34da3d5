#include "runtime/answer.h"

#include <stdio.h>

#include "runtime/constraints.h"
#include "runtime/link.h"
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "runtime/plan.h"
#include "runtime/queue.h"
#include "runtime/rows.h"
#include "runtime/shutdown.h"
#include "runtime/trace.h"

static void send_reply(struct mr_actor *self, struct mr_message *message, enum mr_kind kind, const struct mr_buf *payload)
{
    struct mr_envelope reply = {
        .kind = kind,
        .op = message->envelope.op,
        .correlation = message->envelope.correlation,
        .payload = {payload->data, payload->len},
        .times.sent_us = message->envelope.times.sent_us,
    };

    mr_status status = MR_NO_MEMORY;

    if (message->batch > 0) {
        reply.times.mailbox_us = message->mailbox_us;
        reply.times.database_us = self->database_us;
        reply.times.batch = message->batch;
    }
    mr_buf_clear(&self->frame, SIZE_MAX);
    if (!payload->failed)
        status = mr_envelope_encode(&self->frame, &reply);
    if (status == MR_OK)
        status = mr_mailbox_send(self->mailbox, message->parcel.from, self->frame.data, self->frame.len);
    mr_queue_note_answered(self, message);
    if (status == MR_NO_MEMORY && kind == MR_REPLY) /* an error is much smaller */
        mr_answer_error(self, message, MR_NO_MEMORY, NULL, NULL, NULL);
    else if (status != MR_OK && !mr_shutdown_is_cut()) /* who is cut short has nobody to answer */
        mr_log_bounded(MR_LOG_ERROR, "reply lost", mr_log_text("actor", self->name),
                       mr_log_text("op", mr_op_info(message->envelope.op)->name), mr_log_trace(message->envelope.traceparent));
}

static void send_fault(struct mr_actor *self, struct mr_message *message, const struct mr_fault *fault)
{
    mr_buf_clear(&self->body, SIZE_MAX);
    mr_fault_encode(&self->body, fault);
    send_reply(self, message, MR_ERROR, &self->body);
}

void mr_answer_error(struct mr_actor *self, struct mr_message *message, mr_status status, const char *field, const char *code,
                     const char *text)
{
    struct mr_fault fault = {
        .status = status,
        .field = mr_slice_of(field != NULL ? field : ""),
        .code = mr_slice_of(code != NULL ? code : ""),
        .message = mr_slice_of(text != NULL ? text : ""),
    };

    send_fault(self, message, &fault);
}

static const struct mr_reply_head nothing_beside = {{"", 0}, 0, {"", 0}, {"", 0}, false};

void mr_answer_json(struct mr_actor *self, struct mr_message *message, const struct mr_reply_head *head, struct mr_slice json)
{
    size_t begun;

    mr_buf_clear(&self->body, SIZE_MAX);
    begun = mr_reply_begin(&self->body);
    mr_buf_slice(&self->body, json);
    mr_reply_end(&self->body, begun, head != NULL ? head : &nothing_beside);
    send_reply(self, message, MR_REPLY, &self->body);
}

void mr_answer_nothing(struct mr_actor *self, struct mr_message *message)
{
    mr_answer_json(self, message, NULL, MR_SLICE("null"));
}

static void answer_all(struct mr_actor *self, struct mr_message *const *messages, unsigned count, mr_status status)
{
    for (unsigned i = 0; i < count; i++)
        if (!messages[i]->answered)
            mr_answer_error(self, messages[i], status, NULL, NULL, NULL);
}

int64_t mr_answer_deadline(const struct mr_actor *self, struct mr_message *const *messages, unsigned count)
{
    int64_t latest = 0;
    int64_t left;

    for (unsigned i = 0; i < count; i++)
        if (messages[i]->envelope.deadline_ms > latest)
            latest = messages[i]->envelope.deadline_ms;
    left = latest - mr_wall_ms(self->clock);
    return mr_mono_ms(self->clock) + (left < INT32_MAX ? left : INT32_MAX);
}

static void log_error(const struct mr_actor *self, const char *statement, mr_status status, unsigned count,
                      const struct mr_db_error *error)
{
    struct mr_slice trace = self->in_hand_count > 0 ? self->in_hand[0]->envelope.traceparent : (struct mr_slice){"", 0};

    if (mr_status_http(status) < 500)
        return;
    mr_log_bounded(MR_LOG_ERROR, "statement failed", mr_log_text("actor", self->name), mr_log_text("statement", statement),
                   mr_log_text("status", mr_status_name(status)), mr_log_text("sqlstate", error->sqlstate),
                   mr_log_text("reason", error->message), mr_log_int("messages", count), mr_log_trace(trace));
}

void mr_answer_log(const struct mr_actor *self, const char *statement, mr_status status, unsigned count)
{
    log_error(self, statement, status, count, mr_db_last_error(self->db));
}

static bool may_run_again(const struct mr_db_error *error, bool rerun_safe)
{
    return error->undone || (error->lost && rerun_safe);
}

/* Sends the statement, and counts the time until its answer. */
static mr_status run(struct mr_actor *self, const char *statement, int64_t deadline_ms, mr_rows **out)
{
    int64_t begun_us = mr_mono_us(self->clock);
    mr_status status = mr_db_run(self->db, statement, &self->params, deadline_ms, out);
    int64_t took_us = mr_mono_us(self->clock) - begun_us;

    self->database_us += took_us;
    mr_metric_statement(self->spec->id, took_us);
    mr_trace_statement(self, statement, begun_us, status);
    return status;
}

/* One attempt to connect for all that was lost together. */
static mr_status reconnect(struct mr_actor *self, const struct mr_outcome *outcome)
{
    return outcome->follows ? mr_db_connect(self->db) : mr_db_reconnect(self->db);
}

/* The second attempt, if there may be one; `outcome` is of the first, and gets what became of it. */
static void try_again(struct mr_actor *self, const char *statement, bool rerun_safe, int64_t deadline_ms,
                      struct mr_outcome *outcome)
{
    if (mr_mono_ms(self->clock) >= deadline_ms)
        return;
    if (!(rerun_safe && outcome->on_replica && mr_actor_fall_back(self, &outcome->error)) &&
        !may_run_again(&outcome->error, rerun_safe))
        return;
    if (reconnect(self, outcome) != MR_OK)
        return;
    outcome->status = run(self, statement, deadline_ms, &outcome->rows);
    if (outcome->status != MR_OK)
        outcome->error = *mr_db_last_error(self->db);
}

mr_status mr_answer_query(struct mr_actor *self, const char *statement, bool rerun_safe, int64_t deadline_ms, mr_rows **out)
{
    struct mr_outcome outcome = {.status = mr_db_connect(self->db), .on_replica = self->db != self->primary};

    if (outcome.status == MR_OK)
        outcome.status = run(self, statement, deadline_ms, &outcome.rows);
    if (outcome.status != MR_OK) {
        outcome.error = *mr_db_last_error(self->db);
        try_again(self, statement, rerun_safe, deadline_ms, &outcome);
        mr_link_note(self);
    }
    if (outcome.status == MR_OK)
        *out = outcome.rows;
    return outcome.status;
}

/* One array a field, one element a message; behind a clearable field the array that says where it was given. */
mr_status mr_answer_bind(struct mr_actor *self, struct mr_message *const *messages, unsigned count)
{
    enum mr_op op = messages[0]->envelope.op;
    const struct mr_field *fields = mr_op_info(op)->traits->fields;
    unsigned column = 0;

    mr_params_begin(&self->params, mr_statement_params(op));
    for (unsigned f = 0; fields[f].name != NULL; f++) {
        for (unsigned i = 0; i < count; i++)
            mr_params_add(&self->params, column, mr_field_carried(&fields[f]), &messages[i]->values[f]);
        column++;
        if (!fields[f].clearable)
            continue;
        for (unsigned i = 0; i < count; i++) {
            const struct mr_value *value = &messages[i]->values[f];
            struct mr_value given = {.present = true, .boolean = value->present || value->cleared};

            mr_params_add(&self->params, column, MR_BOOL, &given);
        }
        column++;
    }
    return mr_params_end(&self->params);
}

static struct mr_slice or_usual(struct mr_slice told, const char *usual)
{
    return told.len > 0 ? told : mr_slice_of(usual);
}

/* Code and text of a field that a row complains of. */
static void explain(const struct mr_row *row, struct mr_slice *code, struct mr_slice *text)
{
    bool conflicts = mr_status_from_http((int)row->status) == MR_CONFLICT;

    if (row->message.len > 0)
        *code = or_usual(row->code, conflicts ? "state" : "range");
    else
        *code = or_usual(row->code, conflicts ? "taken" : "unknown");
    *text = or_usual(row->message, conflicts ? MR_TOLD_TAKEN : MR_TOLD_UNKNOWN);
}

static void answer_with_status(struct mr_actor *self, struct mr_message *message, const struct mr_row *row)
{
    struct mr_fault fault = {.status = mr_status_from_http((int)row->status), .field = row->field, .message = row->message};

    if (row->field.len > 0)
        explain(row, &fault.code, &fault.message);
    send_fault(self, message, &fault);
}

/* Whether each row complains of a field of its own. */
static bool are_errors(const struct mr_row_plan *plan, const mr_rows *rows, unsigned from, unsigned to)
{
    struct mr_row row;

    if (to - from < 2)
        return false;
    for (; from < to; from++) {
        mr_row_read(&row, plan, rows, from);
        if (row.status == 0 || row.field.len == 0)
            return false;
    }
    return true;
}

/* All that is wrong at once, but for what is beyond MR_FAULT_ERRORS, under the status of the last row. */
static void answer_with_errors(struct mr_actor *self, struct mr_message *message, const struct mr_row_plan *plan,
                               const mr_rows *rows, unsigned from, unsigned to)
{
    struct mr_fault fault = {.status = MR_OK};
    struct mr_buf errors = {0};
    struct mr_slice code;
    struct mr_slice text;
    struct mr_row row;

    mr_row_read(&row, plan, rows, to - 1);
    fault.status = mr_status_from_http((int)row.status);
    for (; from < to && errors.len <= MR_FAULT_ERRORS; from++) {
        mr_row_read(&row, plan, rows, from);
        explain(&row, &code, &text);
        mr_fault_error(&errors, row.field, code, text);
    }
    fault.errors = (struct mr_slice){errors.data, errors.len};
    if (errors.failed)
        mr_answer_error(self, message, MR_NO_MEMORY, NULL, NULL, NULL);
    else
        send_fault(self, message, &fault);
    mr_buf_fini(&errors);
}

const char *mr_answer_statement(const struct mr_message *message)
{
    return message->variant != NULL ? message->variant->statement : mr_op_info(message->envelope.op)->name;
}

static enum mr_shape shape_of(const struct mr_message *message)
{
    return message->variant != NULL ? message->variant->shape : mr_op_info(message->envelope.op)->traits->shape;
}

/*
 * Puts a success into `self->body`. MR_INTERNAL: the rows do not fit one; MR_ANSWER_TOO_LARGE: they are too many. `unsaid`: a
 * column that JSON has no form for, or NULL.
 */
static mr_status make_reply(struct mr_actor *self, const struct mr_message *message, struct mr_row *row,
                            const struct mr_row_plan *plan, const mr_rows *rows, unsigned from, unsigned to,
                            const char **unsaid)
{
    struct mr_body_notes notes = {.unsaid = NULL};
    mr_status status;
    size_t begun;

    mr_buf_clear(&self->body, SIZE_MAX);
    begun = mr_reply_begin(&self->body);
    status = mr_rows_body(&self->body, shape_of(message), plan, rows, from, to, &notes);
    if (notes.next.len > 0)
        row->head.next = (struct mr_slice){notes.next.data, notes.next.len};
    mr_reply_end(&self->body, begun, &row->head);
    mr_buf_fini(&notes.next);
    *unsaid = notes.unsaid;
    return status == MR_OK && self->body.len > MR_REPLY_BYTES ? MR_ANSWER_TOO_LARGE : status;
}

static void answer_unfit(struct mr_actor *self, struct mr_message *message, mr_status status)
{
    mr_log_bounded(MR_LOG_ERROR, "rows do not fit the reply", mr_log_text("op", mr_op_info(message->envelope.op)->name),
                   mr_log_text("status", mr_status_name(status)), mr_log_trace(message->envelope.traceparent));
    mr_answer_error(self, message, status, NULL, NULL, NULL);
}

/* The columns are not those of an answer, or there is no memory to find out. */
static void answer_unplanned(struct mr_actor *self, struct mr_message *const *messages, unsigned count, mr_status status)
{
    if (status == MR_INTERNAL)
        mr_log_bounded(MR_LOG_ERROR, "rows have no ordinal, or too many columns",
                       mr_log_text("op", mr_op_info(messages[0]->envelope.op)->name),
                       mr_log_trace(messages[0]->envelope.traceparent));
    answer_all(self, messages, count, status);
}

static void tell_unsaid(const struct mr_message *message, const char *column)
{
    if (column != NULL)
        mr_log_bounded(MR_LOG_WARN, "a value that JSON cannot express was left out",
                       mr_log_text("op", mr_op_info(message->envelope.op)->name), mr_log_text("column", column),
                       mr_log_trace(message->envelope.traceparent));
}

/* A run of rows with one ordinal is the answer to one message. */
static void answer_from_rows(struct mr_actor *self, struct mr_message *message, const struct mr_row_plan *plan,
                             const mr_rows *rows, unsigned from, unsigned to)
{
    mr_status status = MR_OK;
    const char *unsaid;
    struct mr_row row;

    mr_row_read(&row, plan, rows, to - 1);
    if (row.status != 0 && are_errors(plan, rows, from, to)) {
        answer_with_errors(self, message, plan, rows, from, to);
    } else if (row.status != 0) {
        answer_with_status(self, message, &row);
    } else if ((status = make_reply(self, message, &row, plan, rows, from, to, &unsaid)) == MR_OK) {
        tell_unsaid(message, unsaid);
        send_reply(self, message, MR_REPLY, &self->body);
    } else {
        answer_unfit(self, message, status);
    }
}

/* No row is nothing, or none; but not one. */
static bool make_empty(struct mr_actor *self, const struct mr_message *message)
{
    size_t begun;

    mr_buf_clear(&self->body, SIZE_MAX);
    begun = mr_reply_begin(&self->body);
    mr_buf_text(&self->body, shape_of(message) == MR_SHAPE_NONE ? "null" : "[]");
    mr_reply_end(&self->body, begun, &nothing_beside);
    return shape_of(message) != MR_SHAPE_ONE;
}

bool mr_answer_make(struct mr_actor *self, const struct mr_message *message, const mr_rows *rows)
{
    unsigned count = mr_rows_count(rows);
    const struct mr_row_plan *plan;
    const char *unsaid;
    struct mr_row row;

    if (mr_row_plan_find(&self->plans, &plan, mr_answer_statement(message), rows, true) != MR_OK)
        return false;
    if (count == 0)
        return make_empty(self, message);
    mr_row_read(&row, plan, rows, count - 1);
    return row.status == 0 && make_reply(self, message, &row, plan, rows, 0, count, &unsaid) == MR_OK;
}

void mr_answer_single(struct mr_actor *self, struct mr_message *message, const mr_rows *rows)
{
    unsigned count = mr_rows_count(rows);
    const struct mr_row_plan *plan;
    mr_status status = mr_row_plan_find(&self->plans, &plan, mr_answer_statement(message), rows, true);

    if (status != MR_OK) {
        answer_unplanned(self, &message, 1, status);
    } else if (count > 0) {
        answer_from_rows(self, message, plan, rows, 0, count);
    } else if (make_empty(self, message)) {
        send_reply(self, message, MR_REPLY, &self->body);
    } else {
        mr_answer_error(self, message, MR_NOT_FOUND, NULL, NULL, NULL);
    }
}

static void answer_rows(struct mr_actor *self, struct mr_message *const *messages, unsigned count, const mr_rows *rows)
{
    unsigned total = mr_rows_count(rows);
    const struct mr_row_plan *plan;
    mr_status status = mr_row_plan_find(&self->plans, &plan, mr_answer_statement(messages[0]), rows, false);

    if (status != MR_OK) {
        answer_unplanned(self, messages, count, status);
        return;
    }
    for (unsigned from = 0, to; from < total; from = to) {
        int64_t ordinal = mr_row_ordinal(plan, rows, from);

        for (to = from + 1; to < total && mr_row_ordinal(plan, rows, to) == ordinal;)
            to++;
        if (ordinal >= 1 && ordinal <= count && !messages[ordinal - 1]->answered)
            answer_from_rows(self, messages[ordinal - 1], plan, rows, from, to);
    }
}

static void answer_batch(struct mr_actor *self, struct mr_message **messages, unsigned count);

/* No other was faster where the row itself is wrong; in the engine's table of keys none of it is the client's (application/create.c). */
static bool is_own_fault(const struct mr_db_error *error, const struct mr_message *message)
{
    return mr_op_info(message->envelope.op)->traits->constraints && strcmp(error->table, "idempotency_key") != 0 &&
           (strcmp(error->sqlstate, "23514") == 0 || strcmp(error->sqlstate, "23502") == 0);
}

/*
 * A statement looks before it writes, so a broken integrity rule (class 23) means that somebody else was faster: the
 * user was removed, the name taken. Leave it unanswered: the retry runs on a new snapshot and sees their change.
 */
static bool is_lost_race(const struct mr_db_error *error, struct mr_message *message)
{
    bool lost = strncmp(error->sqlstate, "23", 2) == 0 && !message->lost_race && !is_own_fault(error, message);

    message->lost_race = true;
    return lost;
}

/*
 * What kind of rule a value broke, of those that only the server knows. It does not say whose value it was. The first match decides. NULL:
 * the usual.
 */
static const char *told_of_data(const struct mr_db_error *error)
{
    static const struct {
        const char *sqlstate;
        const char *text;
    } told[] = {
        {"22000", "Values do not fit together, such as the end of a range before its beginning."},
        {"22001", "A text is longer than what it is stored as."},
        {"22003", "A number is out of range for what is computed from it."},
        {"22007", "A date or time has not the form that it needs."},
        {"22008", "A date or time is out of range for what is computed from it."},
        {"22012", "A number that something is divided by is 0."},
        {"22P02", "A text has not the form of the type that it is read as."},
        {"22", "A value is not one that can be computed with."},
    };

    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++)
        if (strncmp(error->sqlstate, told[i].sqlstate, strlen(told[i].sqlstate)) == 0)
            return told[i].text;
    return NULL;
}

/*
 * Whoever keeps an answer under an Idempotency-Key has an account. Statements look for the user who calls; an API key was looked for
 * seconds ago, so one that was deleted since is found out by what would be kept for it.
 */
static bool has_no_account(const struct mr_db_error *error)
{
    return strcmp(error->sqlstate, "23503") == 0 && strcmp(error->constraint, "idempotency_key_account") == 0 &&
           strcmp(error->schema, "millrace") == 0;
}

void mr_answer_failure(struct mr_actor *self, struct mr_message *message, mr_status status, const struct mr_db_error *error)
{
    struct mr_refusal refusal;

    if (has_no_account(error)) {
        mr_answer_error(self, message, MR_INVALID_KEY, NULL, NULL, NULL);
        return;
    }
    if (mr_constraints_explain(self, message->envelope.op, error, &refusal)) {
        mr_answer_error(self, message, refusal.status, refusal.fields, refusal.code, refusal.text);
        return;
    }
    log_error(self, mr_answer_statement(message), status, 1, error);
    mr_answer_error(self, message, status, NULL, NULL, status == MR_INVALID ? told_of_data(error) : NULL);
}

/* The server refused the batch: find the message to blame, or blame them all when that cannot help. */
static void answer_refused(struct mr_actor *self, struct mr_message **messages, unsigned count, mr_status status,
                           const struct mr_db_error *error)
{
    if (count == 1 && is_lost_race(error, messages[0]))
        return;
    if (count == 1) {
        mr_answer_failure(self, messages[0], status, error);
        return;
    }
    if (error->lost || !error->rerun) {
        log_error(self, mr_answer_statement(messages[0]), status, count, error);
        answer_all(self, messages, count, status);
        return;
    }
    answer_batch(self, messages, count / 2);
    answer_batch(self, messages + count / 2, count - count / 2);
}

static void answer_batch(struct mr_actor *self, struct mr_message **messages, unsigned count)
{
    const struct mr_traits *traits = mr_op_info(messages[0]->envelope.op)->traits;
    mr_rows *rows = NULL;
    struct mr_db_error error;
    mr_status status;

    count = mr_queue_drop_late(self, messages, count);
    if (count == 0)
        return;
    self->in_hand = messages;
    self->in_hand_count = count;
    status = mr_answer_bind(self, messages, count);
    if (status != MR_OK) {
        answer_all(self, messages, count, status);
        return;
    }
    status = mr_answer_query(self, mr_answer_statement(messages[0]), traits->rerun_safe,
                             mr_answer_deadline(self, messages, count), &rows);
    if (status != MR_OK) {
        error = *mr_db_last_error(self->db);
        answer_refused(self, messages, count, status, &error);
        return;
    }
    answer_rows(self, messages, count, rows);
    mr_rows_free(&rows);
}

unsigned mr_answer_left(struct mr_message *const *messages, unsigned count, struct mr_message **out)
{
    unsigned left = 0;

    for (unsigned i = 0; i < count; i++)
        if (!messages[i]->answered)
            out[left++] = messages[i];
    return left;
}

/*
 * A statement that lost a race for a key (it neither wrote the row nor could see the winner's) leaves the
 * ordinal out; a second statement has a snapshot in which the winner is there. One that still says nothing
 * is a fault of the statement, unless its traits say that only a conflict can be the reason.
 */
static void answer_left(struct mr_actor *self, struct mr_message *const *messages, unsigned count)
{
    const struct mr_traits *traits = mr_op_info(messages[0]->envelope.op)->traits;
    struct mr_message *rest[MR_PLAN_MAX];
    unsigned left = mr_answer_left(messages, count, rest);

    if (left == 0)
        return;
    for (unsigned i = 0; traits->again != NULL && i < left; i++) {
        rest[i]->variant = traits->again;
        rest[i]->lost_race = true; /* what is broken now, is told */
    }
    answer_batch(self, rest, left);
    left = mr_answer_left(messages, count, rest);
    if (left > 0 && traits->conflicts) {
        answer_all(self, rest, left, MR_CONFLICT);
    } else if (left > 0) {
        mr_log_bounded(MR_LOG_ERROR, "statement left messages unanswered",
                       mr_log_text("statement", mr_answer_statement(rest[0])), mr_log_int("messages", left));
        answer_all(self, rest, left, MR_INTERNAL);
    }
}

void mr_answer_by_sql(struct mr_actor *self, struct mr_message *const *messages, unsigned count)
{
    struct mr_message *all[MR_PLAN_MAX];

    memcpy(all, messages, count * sizeof *all);
    answer_batch(self, all, count);
    answer_left(self, messages, count);
}

/* ---- What follows an attempt that was made elsewhere ---- */

/* Answers those whom the rows answer, and frees these. Whether these were all. */
static bool take_rows(struct mr_actor *self, struct mr_message *const *messages, unsigned count, struct mr_outcome *outcome)
{
    unsigned left = 0;

    if (outcome->rows != NULL)
        answer_rows(self, messages, count, outcome->rows);
    mr_rows_free(&outcome->rows);
    for (unsigned i = 0; i < count; i++)
        left += !messages[i]->answered;
    return left == 0;
}

/* No other statement could change anything about it: nor does what it broke (class 23) have to be asked for. */
static bool is_final(const struct mr_outcome *outcome, unsigned count)
{
    const struct mr_db_error *error = &outcome->error;

    if (error->lost || error->undone || (outcome->on_replica && strcmp(error->sqlstate, "40001") == 0))
        return false;
    return count == 1 ? strncmp(error->sqlstate, "23", 2) != 0 : !error->rerun;
}

bool mr_answer_at_once(struct mr_actor *self, struct mr_message *const *messages, unsigned count, struct mr_outcome *outcome)
{
    if (outcome->status == MR_OK)
        return take_rows(self, messages, count, outcome);
    if (!is_final(outcome, count))
        return false;
    if (count == 1) {
        mr_answer_failure(self, messages[0], outcome->status, &outcome->error);
        return true;
    }
    log_error(self, mr_answer_statement(messages[0]), outcome->status, count, &outcome->error);
    answer_all(self, messages, count, outcome->status);
    return true;
}

/* It failed: the second attempt if there may be one, and what follows from that. */
static void answer_failed(struct mr_actor *self, struct mr_message **messages, unsigned count, struct mr_outcome *outcome)
{
    bool rerun_safe = mr_op_info(messages[0]->envelope.op)->traits->rerun_safe;
    mr_status status = mr_answer_bind(self, messages, count);

    if (status != MR_OK) {
        answer_all(self, messages, count, status);
        return;
    }
    try_again(self, mr_answer_statement(messages[0]), rerun_safe, mr_answer_deadline(self, messages, count), outcome);
    mr_link_note(self); /* whoever is told 503 finds /readyz the same */
    if (outcome->status == MR_OK)
        (void)take_rows(self, messages, count, outcome);
    else
        answer_refused(self, messages, count, outcome->status, &outcome->error);
}

void mr_answer_settle(struct mr_actor *self, struct mr_message *const *messages, unsigned count, struct mr_outcome *outcome)
{
    struct mr_message *all[MR_PLAN_MAX];

    memcpy(all, messages, count * sizeof *all);
    if (outcome->status == MR_OK)
        (void)take_rows(self, messages, count, outcome);
    else
        answer_failed(self, all, count, outcome);
    answer_left(self, messages, count);
}

void mr_answer_end(struct mr_actor *self, struct mr_message *const *messages, unsigned count)
{
    const struct mr_op_info *info = mr_op_info(messages[0]->envelope.op);

    for (unsigned i = 0; i < count; i++)
        if (!messages[i]->answered) {
            mr_log_bounded(MR_LOG_ERROR, "handler left a message unanswered", mr_log_text("op", info->name),
                           mr_log_trace(messages[i]->envelope.traceparent));
            mr_answer_error(self, messages[i], MR_INTERNAL, NULL, NULL, NULL);
        }
    self->in_hand_count = 0;
    if (messages[0]->envelope.op != MR_OP_db_ping) /* what health asks is no work */
        self->last_work_ms = mr_mono_ms(self->clock);
}
