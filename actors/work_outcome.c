/*
 * Outcomes: what workers say became of their runs.
 *
 * All outcomes of all messages that wait are one statement. One that the server refuses is run again for each message alone, so that
 * a worker's mistake is its own.
 */
#include <jansson.h>
#include <stdlib.h>

#include "actors/work_internal.h"
#include "proto/json.h"
#include "proto/jsontext.h"
#include "proto/json_reader.h"
#include "proto/uuid.h"
#include "runtime/answer.h"
#include "runtime/metrics.h"

static const char statement[] = "run_outcomes__settle";

/* Parameters: the fields of an outcome, and what the key is narrowed to. Columns of the answer. */
enum { ONLY = MR_OUTCOME_FIELDS, PARAMS, N = 0, STATUS, STATE, MESSAGE };

static const struct mr_value *value_of(const struct mr_message *message, const char *field)
{
    return &message->values[mr_field_index(message->envelope.op, field)];
}

static mr_status bind_one(struct mr_actor *self, struct mr_slice text, const struct mr_value *only)
{
    struct mr_value values[MR_OUTCOME_FIELDS];
    struct json_t *json = NULL;
    mr_status status = mr_json_read_object(&json, text, mr_outcome_fields, values);

    for (unsigned i = 0; status == MR_OK && i < MR_OUTCOME_FIELDS; i++)
        mr_params_add(&self->params, i, mr_outcome_fields[i].type, &values[i]);
    if (status == MR_OK)
        mr_params_add(&self->params, ONLY, MR_TEXT, only);
    json_decref(json);
    return status;
}

static mr_status bind_message(struct mr_actor *self, const struct mr_message *message)
{
    struct mr_json_walk walk = mr_json_walk_of(value_of(message, "outcomes")->text);
    const struct mr_value *only = value_of(message, "onlyJobs");
    mr_status status = MR_OK;
    struct mr_slice text;

    while (status == MR_OK && mr_json_element_next(&walk, &text))
        status = bind_one(self, text, only);
    return status;
}

/* ---- Answers ---- */

/* The id as the worker wrote it is good, and so found again. */
static void write_id(struct mr_buf *out, struct mr_slice text)
{
    struct mr_json_walk walk = mr_json_walk_of(text);
    struct mr_slice name;
    struct mr_slice member;

    while (mr_json_member_next(&walk, &name, &member))
        if (mr_json_name_is(name, mr_outcome_fields[MR_OUTCOME_id].name)) {
            mr_buf_slice(out, member);
            return;
        }
    mr_buf_text(out, "null");
}

static void write_text(struct mr_buf *out, const mr_rows *rows, unsigned row, unsigned column, const char *member)
{
    struct mr_slice text;

    if (!mr_rows_get(rows, row, column, &text))
        return;
    mr_buf_text(out, member);
    mr_json_string(out, text);
}

static void write_settled(struct mr_buf *out, struct mr_slice text, const mr_rows *rows, unsigned row)
{
    mr_buf_text(out, "{\"id\":");
    write_id(out, text);
    mr_buf_text(out, ",\"status\":");
    mr_buf_int(out, mr_rows_int(rows, row, STATUS, 500));
    write_text(out, rows, row, STATE, ",\"state\":");
    write_text(out, rows, row, MESSAGE, ",\"message\":");
    mr_buf_char(out, '}');
}

/* Each outcome has a row, in their order. Returns the row behind those of the message. */
static unsigned answer_one(struct mr_actor *self, struct mr_message *message, const mr_rows *rows, unsigned row)
{
    struct mr_json_walk walk = mr_json_walk_of(value_of(message, "outcomes")->text);
    struct mr_buf json = {0};
    struct mr_slice text;
    bool whole = true;

    mr_buf_text(&json, "{\"outcomes\":[");
    for (unsigned first = row; mr_json_element_next(&walk, &text); row++) {
        whole = whole && row < mr_rows_count(rows) && mr_rows_int(rows, row, N, 0) == (int64_t)row + 1;
        if (!whole)
            break;
        if (row > first)
            mr_buf_char(&json, ',');
        write_settled(&json, text, rows, row);
    }
    mr_buf_text(&json, "]}");
    if (whole && !json.failed)
        mr_answer_json(self, message, NULL, (struct mr_slice){json.data, json.len});
    else
        mr_answer_error(self, message, json.failed ? MR_NO_MEMORY : MR_INTERNAL, NULL, NULL, NULL);
    mr_buf_fini(&json);
    return row;
}

static void count_settled(const mr_rows *rows)
{
    uint64_t stale = 0;

    for (unsigned row = 0; row < mr_rows_count(rows); row++)
        stale += mr_rows_int(rows, row, STATUS, 200) == 409;
    mr_metric_add(MR_METRIC_outcomes, mr_rows_count(rows));
    mr_metric_add(MR_METRIC_outcomes_stale, stale);
}

/* ---- The statement ---- */

static mr_status run(struct mr_actor *self, struct mr_message *const *messages, unsigned count, int64_t deadline_ms,
                     mr_rows **rows)
{
    mr_status status = MR_OK;

    mr_params_begin(&self->params, PARAMS);
    for (unsigned i = 0; status == MR_OK && i < count; i++)
        status = bind_message(self, messages[i]);
    if (status == MR_OK)
        status = mr_params_end(&self->params);
    if (status == MR_OK)
        status = mr_answer_query(self, statement, true, deadline_ms, rows);
    return status;
}

static bool can_divide(const struct mr_actor *self, mr_status status, unsigned count)
{
    const struct mr_db_error *error = mr_db_last_error(self->db);

    return count > 1 && status == error->status && error->rerun && !error->lost;
}

static void settle(struct mr_actor *self, struct mr_message *const *messages, unsigned count, int64_t deadline_ms)
{
    mr_rows *rows = NULL;
    mr_status status = run(self, messages, count, deadline_ms, &rows);
    unsigned row = 0;

    if (status != MR_OK && can_divide(self, status, count)) {
        settle(self, messages, count / 2, deadline_ms);
        settle(self, messages + count / 2, count - count / 2, deadline_ms);
        return;
    }
    if (status != MR_OK)
        mr_answer_log(self, statement, status, count);
    for (unsigned i = 0; i < count; i++)
        if (status == MR_OK)
            row = answer_one(self, messages[i], rows, row);
        else
            mr_answer_error(self, messages[i], status, NULL, NULL, NULL);
    if (status == MR_OK)
        count_settled(rows);
    mr_rows_free(&rows);
}

void work_on_outcomes(struct mr_actor *self, struct mr_message *const *messages, unsigned count)
{
    int64_t deadline_ms = mr_answer_deadline(self, messages, count);
    struct mr_message *left[MR_PLAN_MAX];
    unsigned left_count = 0;

    if (work_refuse_gone(self, "run_outcomes__gone", messages, count, deadline_ms) != MR_OK)
        return;
    for (unsigned i = 0; i < count; i++)
        if (!messages[i]->answered)
            left[left_count++] = messages[i];
    if (left_count > 0)
        settle(self, left, left_count, deadline_ms);
}
