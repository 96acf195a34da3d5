/*
 * query: how the other files of the scheduler ask the database.
 */
#include "runtime/log.h"
#include "scheduler/internal.h"

/* The server ends a statement before that by itself. */
enum { WAIT_MS = 10000 };

int64_t scheduler_now_ms(const struct mr_scheduler *self)
{
    return mr_mono_ms(self->clock);
}

mr_status scheduler_query(struct mr_scheduler *self, const char *statement, mr_rows **out)
{
    mr_status status = mr_params_end(&self->params);

    if (status == MR_OK)
        status = mr_db_run(self->db, statement, &self->params, scheduler_now_ms(self) + WAIT_MS, out);
    if (status == MR_OK) {
        self->answered_ms = scheduler_now_ms(self);
        return MR_OK;
    }
    mr_log_bounded(MR_LOG_ERROR, "statement failed", mr_log_text("actor", "scheduler"), mr_log_text("statement", statement),
                   mr_log_text("status", mr_status_name(status)), mr_log_text("sqlstate", mr_db_last_error(self->db)->sqlstate),
                   mr_log_text("reason", mr_db_last_error(self->db)->message));
    return status;
}
