/*
 * What a statement would answer, without running it.
 */
#include "runtime/db_internal.h"

mr_status mr_db_describe(mr_db *self, const char *sql, const uint32_t *types, unsigned count, int64_t deadline_ms,
                         mr_rows **out)
{
    PGresult *result = NULL;
    mr_status status = db_begin(self, deadline_ms);

    if (status != MR_OK)
        return status;
    if (PQenterPipelineMode(self->conn) != 1 || PQsendPrepare(self->conn, "", sql, (int)count, types) != 1 ||
        PQsendDescribePrepared(self->conn, "") != 1)
        return db_fail_lost(self, PQerrorMessage(self->conn));
    status = db_end_pipeline(self, deadline_ms, &result);
    if (status == MR_OK)
        *out = (mr_rows *)(void *)result;
    return status;
}
