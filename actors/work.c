#include "actors/work.h"

#include "actors/work_internal.h"
#include "runtime/answer.h"

static struct mr_value *user_of(const struct mr_message *message)
{
    return &message->values[mr_field_index(message->envelope.op, "userId")];
}

static void answer_all(struct mr_actor *self, struct mr_message *const *messages, unsigned count, mr_status status)
{
    for (unsigned i = 0; i < count; i++)
        if (!messages[i]->answered)
            mr_answer_error(self, messages[i], status, NULL, NULL, NULL);
}

/* An API key was verified a moment ago by the gateway; a token may be older than the removal of its user. */
mr_status work_refuse_gone(struct mr_actor *self, const char *statement, struct mr_message *const *messages, unsigned count,
                           int64_t deadline_ms)
{
    mr_rows *rows = NULL;
    mr_status status;
    bool any = false;

    for (unsigned i = 0; i < count; i++)
        any |= user_of(messages[i])->present;
    if (!any)
        return MR_OK;
    mr_params_begin(&self->params, 1);
    for (unsigned i = 0; i < count; i++)
        mr_params_add(&self->params, 0, MR_UUID, user_of(messages[i]));
    status = mr_params_end(&self->params);
    if (status == MR_OK)
        status = mr_answer_query(self, statement, true, deadline_ms, &rows);
    if (status != MR_OK) {
        mr_answer_log(self, statement, status, count);
        answer_all(self, messages, count, status);
        return status;
    }
    for (unsigned row = 0; row < mr_rows_count(rows); row++)
        mr_answer_error(self, messages[mr_rows_int(rows, row, 0, 1) - 1], MR_INVALID_TOKEN, NULL, NULL, NULL);
    mr_rows_free(&rows);
    return MR_OK;
}

static void fini(void *own)
{
    struct work_own *self = own;

    for (unsigned i = 0; i < WORK_JOBS; i++)
        mr_buf_fini(&self->turns[i].key);
    mr_buf_fini(&self->watch.jobs);
    mr_buf_fini(&self->watch.runs);
}

static mr_code_handler *const handlers[MR_OP_COUNT] = {
    [MR_OP_run_claim] = work_on_claim,
    [MR_OP_run_release] = work_on_release,
    [MR_OP_run_outcomes] = work_on_outcomes,
    [MR_OP_run_watch] = work_on_watch,
};

const struct mr_actor_spec mr_work_spec = {
    .id = MR_ACTOR_WORK,
    .handlers = handlers,
    .channel = "millrace_ready",
    .noticed = work_noticed,
    .due_in_ms = work_due_in_ms,
    .turn = work_turn,
    .own_bytes = sizeof(struct work_own),
    .own_fini = fini,
};
