#include "actors/step.h"

#include <stdlib.h>

#include "runtime/answer.h"

struct mr_attempt *mr_step_begin(struct mr_actor *self, struct mr_message *const *messages, unsigned count)
{
    struct mr_attempt *attempts = calloc(count, sizeof *attempts);

    for (unsigned i = 0; i < count; i++)
        if (attempts != NULL)
            attempts[i].message = messages[i];
        else
            mr_answer_error(self, messages[i], MR_NO_MEMORY, NULL, NULL, NULL);
    return attempts;
}

void mr_step_fail(struct mr_actor *self, struct mr_attempt *attempt, mr_status status)
{
    mr_answer_error(self, attempt->message, status, NULL, NULL, NULL);
}

unsigned mr_step_left(struct mr_attempt *attempts, unsigned count)
{
    unsigned left = 0;

    for (unsigned i = 0; i < count; i++)
        if (!attempts[i].message->answered)
            attempts[left++] = attempts[i];
    return left;
}

/* Row of ordinal `n`, -1 when there is none. */
static int row_of(const mr_rows *rows, int64_t n)
{
    for (unsigned row = 0; row < mr_rows_count(rows); row++)
        if (mr_rows_int(rows, row, 0, 0) == n)
            return (int)row;
    return -1;
}

static mr_status query(struct mr_actor *self, const struct mr_step *step, const struct mr_attempt *attempts, unsigned count,
                       int64_t deadline_ms, mr_rows **out)
{
    mr_params_begin(&self->params, step->params);
    for (unsigned i = 0; i < count; i++)
        step->bind(self, &self->params, &attempts[i]);
    if (mr_params_end(&self->params) != MR_OK)
        return MR_NO_MEMORY;
    return mr_answer_query(self, step->statement, step->rerun_safe, deadline_ms, out);
}

/* The server refused a statement for many, and for fewer it may not: the message to blame is to stand alone. */
static bool can_halve(const struct mr_actor *self, mr_status status, unsigned count)
{
    const struct mr_db_error *error = mr_db_last_error(self->db);

    return count > 1 && status == error->status && error->rerun && !error->lost;
}

void mr_step_run(struct mr_actor *self, const struct mr_step *step, struct mr_attempt *attempts, unsigned count,
                 int64_t deadline_ms)
{
    mr_rows *rows = NULL;
    mr_status status = count > 0 ? query(self, step, attempts, count, deadline_ms, &rows) : MR_OK;

    if (status != MR_OK && can_halve(self, status, count)) {
        mr_step_run(self, step, attempts, count / 2, deadline_ms);
        mr_step_run(self, step, attempts + count / 2, count - count / 2, deadline_ms);
        return;
    }
    if (status != MR_OK)
        mr_answer_log(self, step->statement, status, count);
    for (unsigned i = 0; i < count; i++)
        if (status == MR_OK)
            step->take(self, &attempts[i], rows, row_of(rows, i + 1));
        else
            mr_step_fail(self, &attempts[i], status);
    mr_rows_free(&rows);
}
