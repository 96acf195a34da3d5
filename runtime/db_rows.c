/*
 * What a statement answered, read by row and column.
 */
#include <stdlib.h>

#include "runtime/column.h"
#include "runtime/db_internal.h"

/* A PGresult by another name: mr_rows is never defined, only pointed to. */
static const PGresult *result_of(const mr_rows *rows)
{
    return (const PGresult *)(const void *)rows;
}

unsigned mr_rows_count(const mr_rows *self)
{
    return (unsigned)PQntuples(result_of(self));
}

unsigned mr_rows_columns(const mr_rows *self)
{
    return (unsigned)PQnfields(result_of(self));
}

const char *mr_rows_name(const mr_rows *self, unsigned column)
{
    return PQfname(result_of(self), (int)column);
}

uint32_t mr_rows_type(const mr_rows *self, unsigned column)
{
    return PQftype(result_of(self), (int)column);
}

bool mr_rows_get(const mr_rows *self, unsigned row, unsigned column, struct mr_slice *out)
{
    const PGresult *result = result_of(self);
    int len = PQgetlength(result, (int)row, (int)column);

    if (len == 0 && PQgetisnull(result, (int)row, (int)column))
        return false;
    *out = (struct mr_slice){PQgetvalue(result, (int)row, (int)column), (size_t)len};
    return true;
}

int64_t mr_rows_int(const mr_rows *self, unsigned row, unsigned column, int64_t otherwise)
{
    struct mr_slice bytes;

    return mr_rows_get(self, row, column, &bytes) ? mr_column_int(bytes) : otherwise;
}

int64_t mr_rows_affected(const mr_rows *self)
{
    return strtoll(PQcmdTuples((PGresult *)result_of(self)), NULL, 10);
}

void mr_rows_cursor(struct mr_buf *out, const mr_rows *self, unsigned row, unsigned id, int key)
{
    struct mr_slice place;
    struct mr_slice bytes;
    struct mr_buf text = {0};
    bool has_key = key >= 0 && mr_rows_get(self, row, (unsigned)key, &bytes);

    if (!mr_rows_get(self, row, id, &place) || place.len != 16) {
        out->failed = true;
        return;
    }
    if (has_key)
        mr_column_key(&text, PQftype(result_of(self), key), bytes);
    out->failed |= text.failed;
    mr_cursor_write(out, (const uint8_t *)place.data, has_key ? &(struct mr_slice){text.data, text.len} : NULL);
    mr_buf_fini(&text);
}

void mr_rows_free(mr_rows **self)
{
    PQclear((PGresult *)(void *)*self);
    *self = NULL;
}

/* ---- Known or not ---- */

/*
 * From a domain to its base, from there to the elements when it is an array: that is the type whose values are read. Elements that
 * are of a domain come under its number, so that of these only text is understood.
 */
static const char leaf_sql[] =
    "WITH RECURSIVE base (oid, depth) AS ("
    " SELECT %u::pg_catalog.oid, 0"
    " UNION ALL"
    " SELECT t.typbasetype, b.depth + 1 FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.oid WHERE t.typtype = 'd')"
    " SELECT e.oid, e.typtype = 'e' OR e.typsend::pg_catalog.text ~ '(^|[.])(text|citext|varchar|bpchar|name)send$'"
    " FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.oid"
    " JOIN pg_catalog.pg_type e ON e.oid = CASE WHEN t.typcategory = 'A' AND t.typelem <> 0 THEN t.typelem ELSE t.oid END"
    " ORDER BY b.depth DESC LIMIT 1";

mr_status mr_db_type_known(mr_db *db, uint32_t type, int64_t deadline_ms, bool *out)
{
    char sql[sizeof leaf_sql + 16];
    struct mr_slice leaf;
    struct mr_slice is_text;
    mr_rows *rows = NULL;
    mr_status status;

    snprintf(sql, sizeof sql, leaf_sql, type);
    status = mr_db_exec(db, sql, deadline_ms, &rows);
    if (status != MR_OK)
        return status;
    *out = mr_rows_count(rows) == 1 && mr_rows_get(rows, 0, 0, &leaf) && mr_rows_get(rows, 0, 1, &is_text) &&
           (mr_type_known((uint32_t)strtoul(leaf.data, NULL, 10)) || mr_slice_is(is_text, "t"));
    mr_rows_free(&rows);
    return MR_OK;
}
