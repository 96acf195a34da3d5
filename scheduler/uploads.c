/*
 * uploads: parts that nobody will make a run of.
 *
 * An API drops the parts of an upload that breaks off. When it dies, or cannot reach the database, or does not learn whether its
 * last message made a run, they stay; and there is no beat of the upload any more.
 */
#include "proto/uuid.h"
#include "runtime/log.h"
#include "scheduler/internal.h"

enum { LOOK_MS = 5000, WAIT_MS = 10000 };

/* False: no upload is broken, as far as was looked. */
static bool find(struct mr_scheduler *self, uint8_t out[16])
{
    mr_rows *rows = NULL;
    struct mr_slice value;
    bool found;

    mr_params_begin(&self->params, 2);
    mr_params_id(&self->params, 0, self->uploads_after);
    mr_params_int(&self->params, 1, MR_UPLOAD_SILENT_MS);
    if (scheduler_query(self, STEP_UPLOADS, "schedule__broken_upload", &rows) != MR_OK)
        return false;
    found = mr_rows_get(rows, 0, 0, &value);
    if (found) {
        memcpy(out, value.data, 16); /* there may be others: from the same place again */
    } else {
        memset(self->uploads_after, 0, sizeof self->uploads_after);
        if (mr_rows_get(rows, 0, 1, &value))
            memcpy(self->uploads_after, value.data, 16);
    }
    if (mr_rows_int(rows, 0, 2, 0) != 0)
        self->busy_ms = scheduler_now_ms(self); /* it may break off yet */
    mr_rows_free(&rows);
    return found;
}

static bool drop(struct mr_scheduler *self, const uint8_t run_id[16])
{
    mr_rows *rows = NULL;
    char text[MR_UUID_TEXT + 1] = "";

    mr_params_begin(&self->params, 1);
    mr_params_id(&self->params, 0, run_id);
    if (scheduler_query(self, STEP_UPLOADS, "schedule__drop_upload", &rows) != MR_OK)
        return false;
    mr_uuid_format(text, run_id);
    mr_log_bounded(MR_LOG_INFO, "broken upload deleted", mr_log_text("runId", text),
                   mr_log_int("parts", mr_rows_int(rows, 0, 0, 0)));
    mr_rows_free(&rows);
    return true;
}

static bool exec(struct mr_scheduler *self, const char *sql)
{
    return mr_db_exec(self->db, sql, scheduler_now_ms(self) + WAIT_MS, NULL) == MR_OK;
}

/* Two statements: the second sees whether a run was made before the first held the upload. */
void uploads_sweep(struct mr_scheduler *self)
{
    uint8_t run_id[16];
    bool done;

    self->uploads_ms = scheduler_now_ms(self) + LOOK_MS;
    if (scheduler_pause_ms(self, STEP_UPLOADS) > 0 || !exec(self, "BEGIN"))
        return;
    done = find(self, run_id) && drop(self, run_id);
    if (mr_db_is_up(self->db) && exec(self, done ? "COMMIT" : "ROLLBACK") && done)
        self->uploads_ms = scheduler_now_ms(self);
}
