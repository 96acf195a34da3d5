/*
 * DELETE of a row. One that others reference stays, and the answer is 409, unless the application's table says otherwise.
 */
#include "application/making.h"

static const struct mr_field *make_fields(struct mr_making *self, const struct mr_writes *writes)
{
    struct mr_making_fields fields = {0};

    mr_make_row_id(self, &fields, writes->resource);
    if (writes->by_user)
        mr_make_caller(self, &fields, writes->scopes);
    mr_writes_conditions(self, &fields);
    return mr_make_fields(self, &fields);
}

/* What was locked, matches and is there still was kept by a trigger of the application's: it is left unanswered, twice. */
static void put_statement(struct mr_buf *out, struct mr_making *self, const struct mr_writes *writes, const char *id,
                          const struct mr_field *fields)
{
    (void)self;
    mr_buf_text(out, "WITH " MR_BATCH " AS (");
    mr_sql_batch(out, fields);
    mr_buf_text(out, "), \"$locked\" AS (");
    mr_sql_lock(out, writes, id, "UPDATE");
    mr_sql_put(out,
               "), \"$gone\" AS (DELETE FROM %I AS \"$t\" USING \"$locked\""
               " WHERE \"$t\".\"id\" = \"$locked\".\"id\" AND \"$locked\".\"matches\" RETURNING \"$t\".\"id\")"
               " SELECT " MR_BATCH ".\"$n\", CASE WHEN \"$gone\".\"id\" IS NOT NULL THEN NULL ",
               writes->resource->table);
    if (writes->by_user)
        mr_buf_text(out, "WHEN " MR_BATCH ".\"$caller\" IS NULL THEN 401 ");
    mr_sql_put(
        out,
        "WHEN \"$locked\".\"id\" IS NULL THEN 404 WHEN NOT \"$locked\".\"matches\" THEN 412 END AS \"$status\" FROM " MR_BATCH
            MR_JOIN_EACH "\"$locked\" ON \"$locked\".\"id\" = " MR_BATCH ".%I" MR_JOIN_EACH
        "\"$gone\" ON \"$gone\".\"id\" = " MR_BATCH ".%I"
        " WHERE \"$gone\".\"id\" IS NOT NULL OR \"$locked\".\"id\" IS NULL OR NOT \"$locked\".\"matches\"",
        id, id);
}

void mr_make_delete(struct mr_making *self, const struct mr_app_resource *resource)
{
    struct mr_writes writes = mr_writes_of(self, resource);
    const char *name = mr_make_text(self, "%s_delete", resource->name);
    const char *id = mr_id_name(self, resource);
    const struct mr_field *fields = make_fields(self, &writes);

    if (fields == NULL)
        return;
    mr_make_op(self,
               &(struct mr_op_info){
                   .name = name,
                   .verb = MR_VERB_DELETE,
                   .path = mr_row_path(self, resource),
                   .actor = MR_ACTOR_DATA_WRITER,
                   .access = writes.access,
                   .http = 204,
                   .handler = MR_BY_SQL,
                   .traits = mr_make_traits(self,
                                            &(struct mr_traits){
                                                .summary = mr_make_text(self, "Delete a %s", mr_words_of(self, resource->name)),
                                                .shape = MR_SHAPE_NONE,
                                                .resource = resource->name,
                                                .key = id,
                                                .conflicts = true,
                                                .constraints = true,
                                                .scopes = writes.scopes,
                                                .answers = "404|409|412",
                                                .fields = fields,
                                            }),
               });
    mr_make_rows(self, name, put_statement, &writes, id, fields);
}
