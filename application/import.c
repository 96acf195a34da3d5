/*
 * POST of many rows: an upload, whose records the job `import` makes rows of, chunk by chunk (jobs/import.c).
 *
 * A record is read as the body of a create, and what is made of it is what create would make: the same fields, the same INSERT, the
 * same references and owners. Only what is told of a row that is not made differs: a problem of its line. A value that is taken makes
 * no exception, which would cost the whole chunk; the second statement looks for what the first, whose snapshot is older than its own
 * rows, could not see: the same value in a record before this one, or a row that was stored meanwhile. What is left then breaks a
 * constraint that is not declared: the third statement makes an exception of it.
 */
#include "application/making.h"

/* Columns "$n", "status" and "field" of the batch's rows, as struct mr_import has them. */
static void put_answer(struct mr_buf *out, const struct mr_writes *writes)
{
    mr_buf_text(out, "SELECT " MR_BATCH ".\"$n\", CASE ");
    if (writes->by_user)
        mr_buf_text(out, "WHEN " MR_BATCH ".\"$caller\" IS NULL THEN 401 ");
    mr_buf_text(out, "WHEN " MR_BATCH ".\"$wrong\" IS NOT NULL THEN 400 WHEN \"$taken\".\"field\" IS NOT NULL THEN 409"
                     " END AS \"status\", ");
    if (writes->by_user)
        mr_buf_text(out, "CASE WHEN " MR_BATCH ".\"$caller\" IS NOT NULL THEN ");
    mr_buf_text(out, "coalesce(" MR_BATCH ".\"$wrong\", \"$taken\".\"field\")");
    mr_buf_text(out, writes->by_user ? " END AS \"field\"" : " AS \"field\"");
    mr_buf_text(out, " FROM " MR_BATCH " CROSS JOIN LATERAL (SELECT ");
    mr_sql_taken(out, writes->resource, "$k", NULL);
    mr_buf_text(out, " AS \"field\") AS \"$taken\"");
}

static void put_batch(struct mr_buf *out, struct mr_making *self, const struct mr_writes *writes, const struct mr_field *fields)
{
    mr_buf_text(out, "WITH " MR_BATCH " AS (SELECT \"$b\".*, ");
    mr_sql_wrong(out, writes, "$b");
    mr_buf_text(out, " AS \"$wrong\" FROM (");
    mr_sql_batch(out, fields);
    mr_buf_text(out, ") AS \"$b\"");
    mr_sql_references(out, self, writes, "$b");
    mr_buf_text(out, ") ");
}

/* That all were made is counted once; otherwise the ids of those that were are hashed, whatever kinds of joins the connection has. */
static void put_statement(struct mr_buf *out, struct mr_making *self, const struct mr_writes *writes, const char *id,
                          const struct mr_field *fields)
{
    (void)id;
    put_batch(out, self, writes, fields);
    mr_buf_text(out, ", \"$made\" AS (");
    mr_sql_insert(out, writes, "");
    mr_buf_text(out, " ON CONFLICT DO NOTHING RETURNING \"id\") ");
    put_answer(out, writes);
    mr_buf_text(out, " WHERE (SELECT count(*) FROM \"$made\") < (SELECT count(*) FROM " MR_BATCH ")"
                     " AND " MR_BATCH ".\"id\" NOT IN (SELECT \"$made\".\"id\" FROM \"$made\") ORDER BY 1");
}

static void put_reason(struct mr_buf *out, struct mr_making *self, const struct mr_writes *writes, const char *id,
                       const struct mr_field *fields)
{
    (void)id;
    put_batch(out, self, writes, fields);
    put_answer(out, writes);
    mr_sql_put(out, " WHERE NOT EXISTS (SELECT FROM %I AS \"$o\" WHERE \"$o\".\"id\" = " MR_BATCH ".\"id\") ORDER BY 1",
               writes->resource->table);
}

/*
 * Those that nothing declared stands in the way of, as a create makes them: a constraint that they break says by its exception which it
 * is, and the job finds their lines.
 */
static void put_plain(struct mr_buf *out, struct mr_making *self, const struct mr_writes *writes, const char *id,
                      const struct mr_field *fields)
{
    struct mr_buf open = {0};

    (void)id;
    put_batch(out, self, writes, fields);
    mr_sql_put(&open, " AND NOT EXISTS (SELECT FROM %I AS \"$o\" WHERE \"$o\".\"id\" = " MR_BATCH ".\"id\") AND ",
               writes->resource->table);
    mr_sql_taken(&open, writes->resource, "$k", NULL);
    mr_buf_text(&open, " IS NULL");
    mr_buf_char(&open, '\0');
    out->failed |= open.failed;
    mr_sql_insert(out, writes, open.failed ? "" : open.data);
    mr_buf_fini(&open);
}

/* The one that queues the run is the engine's, the same for all. */
static void make_queueing(struct mr_making *self, const char *name)
{
    const struct mr_statement *engine = mr_statement_find("import_run");
    struct mr_buf out = {0};

    mr_buf_text(&out, engine->text);
    mr_make_statement(self, name, &out);
}

static const struct mr_import *make_import(struct mr_making *self, const struct mr_writes *writes, const char *name)
{
    struct mr_import *import = mr_arena_take(self->arena, sizeof *import);
    struct mr_making_fields gathered = {0};
    const struct mr_field *fields;

    mr_new_row_fields(self, writes, &gathered);
    fields = mr_make_fields(self, &gathered);
    if (import == NULL || fields == NULL)
        return NULL;
    *import = (struct mr_import){.fields = fields,
                                 .statement = mr_make_text(self, "%s/rows", name),
                                 .reason = mr_make_text(self, "%s/reason", name),
                                 .plain = mr_make_text(self, "%s/plain", name)};
    return import;
}

/* A run belongs to who uploaded it, and so do its rows. */
static void check_access(struct mr_making *self, const struct mr_writes *writes)
{
    if (!writes->by_user)
        mr_problems_add(
            self->problems, mr_yaml_place_of(writes->resource->node, "operations"),
            "\"import\" where everybody may write, and nobody could see what became of it, expected access of users or"
            " administrators");
}

void mr_make_import(struct mr_making *self, const struct mr_app_resource *resource)
{
    struct mr_writes writes = mr_writes_of(self, resource);
    const char *name = mr_make_text(self, "%s_import", resource->name);
    const struct mr_import *import = make_import(self, &writes, name);

    check_access(self, &writes);
    if (import == NULL)
        return;
    mr_make_op(
        self,
        &(struct mr_op_info){
            .name = name,
            .verb = MR_VERB_POST,
            .path = mr_make_text(self, "%s/import", resource->path),
            .actor = MR_ACTOR_DATA_WRITER,
            .access = writes.access,
            .http = 202,
            .handler = MR_BY_SQL,
            .traits = mr_make_traits(
                self,
                &(struct mr_traits){
                    .summary = mr_make_text(self,
                                            "Make a %s of each record of an upload: NDJSON, or CSV with a header row; a run"
                                            " says how far it is and which lines are wrong",
                                            mr_words_of(self, resource->name)),
                    .shape = MR_SHAPE_ONE,
                    .rerun_safe = true,
                    .resource = name,
                    .key = "id",
                    .location = "/v1/job-runs/:id",
                    .idempotent = true,
                    .upload = &mr_import_upload,
                    .import = import,
                    .returns = &mr_result_job_run,
                    .answers = "422|503",
                    .fields = mr_import_fields,
                }),
        });
    make_queueing(self, name);
    mr_make_rows(self, import->statement, put_statement, &writes, NULL, import->fields);
    mr_make_rows(self, import->reason, put_reason, &writes, NULL, import->fields);
    mr_make_rows(self, import->plain, put_plain, &writes, NULL, import->fields);
}
