#include "application/verify_plans.h"

#include "application/making.h"

#define PREPARE_SQL                                                                                                         \
    "SET enable_seqscan = off; SET enable_sort = off; SET enable_incremental_sort = off;"                                   \
    "SET enable_indexscan = on; SET enable_indexonlyscan = on; SET enable_bitmapscan = on; SET jit = off;"                  \
    "CREATE OR REPLACE FUNCTION pg_temp.millrace_served(query text, compared name[]) RETURNS text LANGUAGE plpgsql AS $$\n" \
    "DECLARE plan jsonb; answer json;\n"                                                                                    \
    "BEGIN\n"                                                                                                               \
    "EXECUTE 'EXPLAIN (FORMAT JSON, COSTS off) ' || query INTO answer;\n"                                                   \
    "plan := answer;\n"                                                                                                     \
    "IF jsonb_path_exists(plan, '$.**.\"Node Type\" ? (@ == \"Seq Scan\" || @ == \"Sort\")')\n"                             \
    "OR jsonb_path_exists(plan, '$.**.Filter') THEN RETURN 'no'; END IF;\n"                                                 \
    "RETURN CASE WHEN EXISTS (SELECT FROM jsonb_path_query(plan, '$.**.\"Index Name\"') AS p (name)\n"                      \
    "JOIN pg_index i ON i.indexrelid = to_regclass(quote_ident(p.name #>> '{}'))\n"                                         \
    "CROSS JOIN generate_series(0, cardinality(compared) - 1) AS k (place)\n"                                               \
    "LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k.place]\n"                                \
    "WHERE (a.attname = ANY (compared)) IS NOT TRUE) THEN 'no' ELSE 'yes' END;\n"                                           \
    "EXCEPTION WHEN OTHERS THEN RETURN SQLERRM;\n"                                                                          \
    "END $$"

/* ---- Questions ---- */

/* A number, the query, and the columns, as a row of literals. */
void wishes_add(struct wishes *self, struct wish wish, struct mr_buf *query, const struct mr_sql_column *const *compared,
                unsigned count)
{
    struct wish *all = mr_arena_grow(&self->arena, self->items, self->count, sizeof *all);
    const char *between = "";

    mr_buf_char(query, '\0');
    mr_buf_printf(&self->sql, "%s(%u,", self->count > 0 ? "," : "", self->count);
    if (!query->failed)
        mr_sql_literal(&self->sql, query->data);
    mr_buf_text(&self->sql, ",ARRAY[");
    for (unsigned i = 0; i < count; i++) {
        if (compared[i] == NULL)
            continue;
        mr_buf_text(&self->sql, between);
        mr_sql_literal(&self->sql, compared[i]->name);
        between = ",";
    }
    mr_buf_text(&self->sql, "]::name[])");
    self->sql.failed = self->sql.failed || query->failed;
    mr_buf_fini(query);
    if (all == NULL)
        return;
    self->items = all;
    all[self->count++] = wish;
}

/* ---- Answers ---- */

static void take_answers(struct wishes *self, const mr_rows *rows)
{
    for (unsigned i = 0; i < self->count && i < mr_rows_count(rows); i++) {
        const struct wish *wish = &self->items[i];
        struct mr_slice answer = {"", 0};

        mr_rows_get(rows, i, 0, &answer);
        if (mr_slice_is(answer, "no"))
            complain(self->self, wish->place, "no index serves %s %s, expected CREATE INDEX ON %s", wish->what, wish->name,
                     wish->index);
        else if (!mr_slice_is(answer, "yes"))
            complain(self->self, wish->place, "%s %s cannot be planned: %.*s", wish->what, wish->name, (int)answer.len,
                     answer.data);
    }
}

mr_status wishes_ask(struct wishes *self)
{
    mr_db *db = self->self->options->db;
    struct mr_buf sql = {0};
    mr_rows *rows = NULL;
    mr_status status;

    if (self->count == 0)
        return self->arena.failed ? MR_NO_MEMORY : MR_OK;
    mr_buf_text(&sql, "SELECT pg_temp.millrace_served(query, compared) FROM (VALUES ");
    mr_buf_slice(&sql, (struct mr_slice){self->sql.data, self->sql.len});
    mr_buf_text(&sql, ") AS q (n, query, compared) ORDER BY n");
    mr_buf_char(&sql, '\0');
    status = self->arena.failed || self->sql.failed || sql.failed ? MR_NO_MEMORY : MR_OK;
    if (status == MR_OK)
        status = mr_db_exec(db, PREPARE_SQL, verify_deadline(), NULL);
    if (status == MR_OK)
        status = mr_db_exec(db, sql.data, verify_deadline(), &rows);
    if (status == MR_OK)
        take_answers(self, rows);
    mr_rows_free(&rows);
    mr_buf_fini(&sql);
    return status;
}

void wishes_fini(struct wishes *self)
{
    mr_buf_fini(&self->sql);
    mr_arena_fini(&self->arena);
}
