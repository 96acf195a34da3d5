/*
 * PUT and PATCH of a row: fields left out stay as they are, null clears where it may.
 *
 * Rows are locked in the order of their ids before anything is changed, so that two batches never wait for each other.
 */
#include "application/making.h"

/* ---- Its message ---- */

static void id_fields(struct mr_making *self, const struct mr_writes *writes, const char *id, struct mr_making_fields *fields)
{
    mr_make_row_id(self, fields, writes->resource);
    mr_writes_callers(self, writes, fields);
    mr_make_field(self, fields,
                  (struct mr_field){
                      .name = "id", .type = MR_UUID, .from = MR_BODY, .same_as = id, .about = "may be repeated in the body"});
}

static const struct mr_field *make_fields(struct mr_making *self, const struct mr_writes *writes, const char *id)
{
    const struct mr_app_resource *resource = writes->resource;
    const struct mr_app_field *same = mr_app_field(&resource->fields, id);
    struct mr_making_fields fields = {0};

    if (same != NULL)
        mr_problems_add(self->problems, mr_yaml_place(same->node->key),
                        "\"%s\" is what the path calls the row itself, expected another name", id);
    id_fields(self, writes, id, &fields);
    for (unsigned i = 0; i < resource->fields.count; i++) {
        struct mr_field field = mr_field_of(self, &resource->fields.items[i], MR_BODY);

        field.required = false;
        field.fallback = NULL;
        if (mr_is_written(&resource->fields.items[i]))
            mr_make_field(self, &fields, field);
    }
    mr_writes_conditions(self, &fields);
    return mr_make_fields(self, &fields);
}

/* ---- Its statement ---- */

static void put_batch(struct mr_buf *out, struct mr_making *self, const struct mr_writes *writes, const struct mr_field *fields)
{
    mr_buf_text(out, "SELECT \"$b\".*, ");
    mr_sql_wrong(out, writes, "$b");
    mr_buf_text(out, " AS \"$wrong\" FROM (");
    mr_sql_batch(out, fields);
    mr_buf_text(out, ") AS \"$b\"");
    mr_sql_references(out, self, writes, "$b");
}

/* Which rows can be changed, as far as one can see, and what stands against the others. */
static void put_able(struct mr_buf *out, const struct mr_writes *writes, const char *id)
{
    const struct mr_app_resource *resource = writes->resource;

    mr_buf_text(out, "SELECT " MR_BATCH ".*, ");
    mr_sql_taken(out, resource, "$k", id);
    mr_buf_text(out, " AS \"$taken\", ");
    for (unsigned i = 0; i < resource->fields.count; i++)
        if (mr_is_unique(&resource->fields.items[i]))
            mr_sql_put(out,
                       MR_BATCH ".%I IS NOT NULL AND row_number() OVER (PARTITION BY " MR_BATCH ".%I ORDER BY " MR_BATCH
                                ".\"$n\") > 1 OR ",
                       resource->fields.items[i].name, resource->fields.items[i].name);
    mr_sql_put(out,
               "false AS \"$second\" FROM (SELECT " MR_BATCH
               ".*, \"$locked\".\"matches\" AS \"$matches\" FROM " MR_BATCH MR_JOIN_EACH
               "\"$locked\" ON \"$locked\".\"id\" = " MR_BATCH ".%I OFFSET 0) AS " MR_BATCH " WHERE " MR_BATCH
               ".\"$matches\" AND " MR_BATCH ".\"$wrong\" IS NULL",
               id);
}

static void put_assignment(struct mr_buf *out, const struct mr_app_field *field)
{
    if (!field->clearable) {
        mr_sql_put(out, "%I = coalesce(\"$able\".%I, \"$t\".%I), ", field->column, field->name, field->column);
        return;
    }
    mr_sql_put(out, "%I = CASE WHEN \"$able\".", field->column);
    mr_sql_given(out, field->name);
    mr_sql_put(out, " THEN \"$able\".%I ELSE \"$t\".%I END, ", field->name, field->column);
}

static void put_update(struct mr_buf *out, const struct mr_app_resource *resource, const char *id)
{
    mr_sql_put(out, "UPDATE %I AS \"$t\" SET ", resource->table);
    for (unsigned i = 0; i < resource->fields.count; i++)
        if (mr_is_written(&resource->fields.items[i]))
            put_assignment(out, &resource->fields.items[i]);
    mr_sql_put(out,
               "\"version\" = \"$t\".\"version\" + 1, \"updated_at\" = now() FROM \"$able\" WHERE \"$t\".\"id\" = \"$able\".%I"
               " AND \"$able\".\"$taken\" IS NULL AND NOT \"$able\".\"$second\" RETURNING \"$t\".*",
               id);
}

static void put_status(struct mr_buf *out, const struct mr_writes *writes)
{
    mr_buf_text(out, "CASE WHEN \"t\".\"id\" IS NOT NULL THEN NULL ");
    if (writes->by_user)
        mr_buf_text(out, "WHEN " MR_BATCH ".\"$caller\" IS NULL THEN 401 ");
    mr_buf_text(out, "WHEN \"$locked\".\"id\" IS NULL THEN 404 WHEN NOT \"$locked\".\"matches\" THEN 412"
                     " WHEN " MR_BATCH ".\"$wrong\" IS NOT NULL THEN 400 WHEN \"$able\".\"$taken\" IS NOT NULL THEN 409"
                     " END AS \"$status\","
                     " CASE WHEN \"$locked\".\"matches\" AND \"t\".\"id\" IS NULL"
                     " THEN coalesce(" MR_BATCH ".\"$wrong\", \"$able\".\"$taken\") END AS \"$field\"");
}

/*
 * Left unanswered, and asked for once more, are those to whom nothing stands against but a message before them in the batch, that
 * gives its row the value they want: the next statement sees what became of it.
 */
static void put_from(struct mr_buf *out, struct mr_making *self, const struct mr_writes *writes, const char *id)
{
    mr_sql_put(out,
               " FROM " MR_BATCH MR_JOIN_EACH "\"$locked\" ON \"$locked\".\"id\" = " MR_BATCH ".%I" MR_JOIN_EACH
               "\"$able\" ON \"$able\".\"$n\" = " MR_BATCH ".\"$n\"" MR_JOIN_EACH
               "\"$changed\" AS \"t\" ON \"t\".\"id\" = " MR_BATCH ".%I",
               id, id);
    mr_sql_shown_joins(out, self, writes);
    mr_buf_text(out, " WHERE \"t\".\"id\" IS NOT NULL OR \"$able\".\"$n\" IS NULL OR \"$able\".\"$taken\" IS NOT NULL");
}

static void put_statement(struct mr_buf *out, struct mr_making *self, const struct mr_writes *writes, const char *id,
                          const struct mr_field *fields)
{
    mr_buf_text(out, "WITH " MR_BATCH " AS (");
    put_batch(out, self, writes, fields);
    mr_buf_text(out, "), \"$locked\" AS (");
    mr_sql_lock(out, writes, id, "NO KEY UPDATE");
    mr_buf_text(out, "), \"$able\" AS (");
    put_able(out, writes, id);
    mr_buf_text(out, "), \"$changed\" AS (");
    put_update(out, writes->resource, id);
    mr_buf_text(out, ") SELECT " MR_BATCH ".\"$n\", ");
    put_status(out, writes);
    mr_buf_text(out, ", \"t\".\"version\" AS \"$version\", ");
    mr_sql_shown(out, self, writes);
    put_from(out, self, writes, id);
}

/* "Change a task: fields left out stay as they are, null clears description and dueAt" */
static const char *summary_of(struct mr_making *self, const struct mr_app_resource *resource)
{
    const struct mr_app_field *last = NULL;
    struct mr_buf names = {0};
    const char *out;

    for (unsigned i = 0; i < resource->fields.count; i++) {
        if (!resource->fields.items[i].clearable)
            continue;
        if (last != NULL)
            mr_buf_printf(&names, "%s%s", names.len > 0 ? ", " : "", last->name);
        last = &resource->fields.items[i];
    }
    if (last != NULL)
        mr_buf_printf(&names, "%s%s", names.len > 0 ? " and " : "", last->name);
    out = mr_make_text(self, "Change a %s: fields left out stay as they are%s%.*s", mr_words_of(self, resource->name),
                       names.len > 0 ? ", null clears " : "", (int)names.len, names.len > 0 ? names.data : "");
    self->arena->failed |= names.failed;
    mr_buf_fini(&names);
    return out;
}

void mr_make_update(struct mr_making *self, const struct mr_app_resource *resource)
{
    struct mr_writes writes = mr_writes_of(self, resource);
    const char *name = mr_make_text(self, "%s_update", resource->name);
    const char *id = mr_id_name(self, resource);
    const char *path = mr_row_path(self, resource);
    const struct mr_field *fields = make_fields(self, &writes, id);

    if (fields == NULL)
        return;
    mr_make_op(self, &(struct mr_op_info){
                         .name = name,
                         .verb = MR_VERB_PUT,
                         .path = path,
                         .actor = MR_ACTOR_DATA_WRITER,
                         .access = writes.access,
                         .http = 200,
                         .handler = MR_BY_SQL,
                         .traits = mr_make_traits(self,
                                                  &(struct mr_traits){
                                                      .summary = summary_of(self, resource),
                                                      .shape = MR_SHAPE_ONE,
                                                      .resource = resource->name,
                                                      .key = id,
                                                      .conflicts = true,
                                                      .constraints = true,
                                                      .returns = mr_writes_result(self, &writes),
                                                      .scopes = writes.scopes,
                                                      .answers = "404|409|412",
                                                      .versioned = true,
                                                      .fields = fields,
                                                  }),
                     });
    mr_make_way(self, mr_make_text(self, "%s_patch", resource->name), MR_VERB_PATCH, path);
    mr_make_rows(self, name, put_statement, &writes, id, fields);
}
