/*
 * POST of a resource: one statement makes the rows of a batch.
 *
 * A value that is taken, by a row or by a message before it in the batch, makes no exception, which would cost the batch twenty
 * times its speed: the row is not made, and the answer is looked up. What cannot be told so (a race, a rule of the table that is
 * not declared) is left unanswered, and a second statement, NAME/again, is asked: it looks up before it writes, and an exception
 * that is still made names the columns.
 *
 * An Idempotency-Key is kept with the row that was stored, triggers and all, in the statement that stores it. A key that another
 * transaction has taken meanwhile breaks the rule that a fingerprint is not null: the statement is undone, and run again it finds
 * that one's answer. Rows are written in the order of their unique fields and keys in their own, so that two batches never wait
 * for each other in a circle.
 */
#include "application/making.h"

/* ---- Its message ---- */

void mr_new_row_fields(struct mr_making *self, const struct mr_writes *writes, struct mr_making_fields *fields)
{
    const struct mr_app_resource *resource = writes->resource;

    mr_make_field(self, fields,
                  (struct mr_field){.name = "id",
                                    .type = MR_UUID,
                                    .from = MR_NEW_ID,
                                    .required = true,
                                    .about = mr_make_text(self, "the new %s", mr_words_of(self, resource->name))});
    mr_writes_callers(self, writes, fields);
    for (unsigned i = 0; i < resource->fields.count; i++) {
        struct mr_field field = mr_field_of(self, &resource->fields.items[i], MR_BODY);

        field.clearable = false;
        if (mr_is_written(&resource->fields.items[i]))
            mr_make_field(self, fields, field);
    }
}

static const struct mr_field *make_fields(struct mr_making *self, const struct mr_writes *writes)
{
    struct mr_making_fields fields = {0};

    mr_new_row_fields(self, writes, &fields);
    if (writes->by_user)
        mr_make_idempotency(self, &fields);
    return mr_make_fields(self, &fields);
}

/* ---- Its statement ---- */

/* The batch, with what is wrong with each message, and the answer that its key has already. */
static void put_batch(struct mr_buf *out, struct mr_making *self, const struct mr_writes *writes, const struct mr_field *fields,
                      bool again)
{
    mr_buf_text(out, "SELECT \"$b\".*, ");
    mr_sql_wrong(out, writes, "$b");
    mr_buf_text(out, " AS \"$wrong\"");
    if (again) {
        mr_buf_text(out, ", ");
        mr_sql_taken(out, writes->resource, "$b", NULL);
        mr_buf_text(out, " AS \"$had\"");
    }
    if (writes->by_user)
        mr_buf_text(out, ", \"$f\".fingerprint AS \"$first\", \"$f\".answer AS \"$answer\"");
    mr_buf_text(out, " FROM (");
    mr_sql_batch(out, fields);
    mr_buf_text(out, ") AS \"$b\"");
    mr_sql_references(out, self, writes, "$b");
    if (writes->by_user)
        mr_buf_text(out, " LEFT JOIN " MR_IDEMPOTENCY " AS \"$f\" ON \"$f\".user_id = \"$b\".\"$caller\""
                         " AND \"$f\".key = \"$b\".\"Idempotency-Key\" AND \"$f\".created_at >= now() - interval '1 day'");
}

/* What a field that was left out is worth: an array is empty rather than nothing, unless null is a value of it. */
static void put_value(struct mr_buf *out, const struct mr_app_field *field)
{
    if (field->many && !field->clearable)
        mr_sql_put(out, ", coalesce(" MR_BATCH ".%I, '{}')", field->name);
    else
        mr_sql_put(out, ", " MR_BATCH ".%I", field->name);
}

void mr_sql_insert(struct mr_buf *out, const struct mr_writes *writes, const char *condition)
{
    const struct mr_app_resource *resource = writes->resource;

    mr_sql_put(out, "INSERT INTO %I (\"id\", \"version\", \"created_at\", \"updated_at\"", resource->table);
    if (resource->owner != NULL)
        mr_sql_put(out, ", %I", resource->owner);
    for (unsigned i = 0; i < resource->fields.count; i++)
        if (mr_is_written(&resource->fields.items[i]))
            mr_sql_put(out, ", %I", resource->fields.items[i].column);
    mr_buf_text(out, ") SELECT " MR_BATCH ".\"id\", 1, now(), now()");
    if (resource->owner != NULL)
        mr_buf_text(out, ", " MR_BATCH ".\"$caller\"");
    for (unsigned i = 0; i < resource->fields.count; i++)
        if (mr_is_written(&resource->fields.items[i]))
            put_value(out, &resource->fields.items[i]);
    mr_buf_text(out, " FROM " MR_BATCH " WHERE " MR_BATCH ".\"$wrong\" IS NULL");
    if (writes->by_user)
        mr_buf_text(out, " AND " MR_BATCH ".\"$caller\" IS NOT NULL");
    mr_sql_put(out, "%s ORDER BY ", condition);
    for (unsigned i = 0; i < resource->fields.count; i++)
        if (mr_is_unique(&resource->fields.items[i]))
            mr_sql_put(out, MR_BATCH ".%I, ", resource->fields.items[i].name);
    mr_buf_text(out, MR_BATCH ".\"$n\"");
}

#define NO_FIRST " AND " MR_BATCH ".\"$first\" IS NULL"
#define NOT_HAD  " AND " MR_BATCH ".\"$had\" IS NULL"

static void put_insert(struct mr_buf *out, const struct mr_writes *writes, bool again)
{
    if (writes->by_user)
        mr_sql_insert(out, writes, again ? NO_FIRST NOT_HAD : NO_FIRST);
    else
        mr_sql_insert(out, writes, again ? NOT_HAD : "");
    mr_sql_put(out, " ON CONFLICT%s DO NOTHING RETURNING *", again ? " (\"id\")" : "");
}

/* OFFSET 0 keeps the order of the two: for a message without a key, which nearly every one is, no row is looked for. */
static void put_keys(struct mr_buf *out)
{
    mr_buf_text(out, "INSERT INTO " MR_IDEMPOTENCY " AS \"$i\" (user_id, key, fingerprint, answer)"
                     " SELECT " MR_BATCH ".\"$caller\", " MR_BATCH ".\"Idempotency-Key\", " MR_BATCH
                     ".\"$fingerprint\", to_jsonb(\"$made\")"
                     " FROM " MR_BATCH " CROSS JOIN LATERAL (SELECT \"$m\".* FROM \"$made\" AS \"$m\""
                     " WHERE \"$m\".\"id\" = " MR_BATCH ".\"id\" OFFSET 0) AS \"$made\""
                     " WHERE " MR_BATCH ".\"Idempotency-Key\" IS NOT NULL ORDER BY 1, 2"
                     " ON CONFLICT (user_id, key) DO UPDATE SET fingerprint ="
                     " CASE WHEN \"$i\".created_at < now() - interval '1 day' THEN excluded.fingerprint END,"
                     " answer = excluded.answer, created_at = excluded.created_at");
}

/*
 * The row that answers: the new one; that of a run before this one, whose answer was lost; or the first of the key. This statement
 * does not see its own rows in the table. The limit ends the search at the first, which is the row where it was made.
 */
static void put_row(struct mr_buf *out, const struct mr_writes *writes)
{
    const struct mr_app_resource *resource = writes->resource;

    mr_sql_put(out,
               MR_JOIN_EACH "\"$made\" ON \"$made\".\"id\" = " MR_BATCH ".\"id\""
                            " LEFT JOIN LATERAL (SELECT \"$made\".* WHERE \"$made\".\"id\" IS NOT NULL"
                            " UNION ALL SELECT \"$o\".* FROM %I AS \"$o\" WHERE \"$o\".\"id\" = " MR_BATCH ".\"id\"",
               resource->table);
    mr_sql_own_row(out, resource, "$o", "$k");
    if (writes->by_user)
        mr_sql_put(
            out,
            " AND " MR_BATCH ".\"$caller\" IS NOT NULL AND " MR_BATCH ".\"Idempotency-Key\" IS NULL"
            " UNION ALL SELECT \"$a\".* FROM jsonb_populate_record((SELECT \"$o\" FROM %I AS \"$o\" WHERE false), " MR_BATCH
            ".\"$answer\") AS \"$a\" WHERE " MR_BATCH ".\"$first\" = " MR_BATCH ".\"$fingerprint\"",
            resource->table);
    mr_buf_text(out, " LIMIT 1) AS \"t\" ON true");
}

static void put_status(struct mr_buf *out, const struct mr_writes *writes)
{
    mr_buf_text(out, "CASE ");
    if (writes->by_user)
        mr_buf_text(out, "WHEN " MR_BATCH ".\"$caller\" IS NULL THEN 401 WHEN " MR_BATCH ".\"$first\" <> " MR_BATCH
                         ".\"$fingerprint\" THEN 422 ");
    mr_buf_text(out, "WHEN \"t\".\"id\" IS NOT NULL THEN NULL WHEN " MR_BATCH ".\"$wrong\" IS NOT NULL THEN 400"
                     " WHEN \"$taken\".\"field\" IS NOT NULL THEN 409 END AS \"$status\", CASE WHEN ");
    if (writes->by_user)
        mr_buf_text(out, MR_BATCH ".\"$caller\" IS NOT NULL AND " MR_BATCH ".\"$first\" IS NULL AND ");
    mr_buf_text(out, "\"t\".\"id\" IS NULL THEN coalesce(" MR_BATCH ".\"$wrong\", \"$taken\".\"field\") END AS \"$field\"");
}

/*
 * A row that was not made although nothing is known against it lost a race, or to a message before it in the batch: left
 * unanswered, it is retried, and the next statement's snapshot has the winner.
 */
static void put_answered(struct mr_buf *out, const struct mr_writes *writes)
{
    mr_buf_text(out,
                " WHERE \"t\".\"id\" IS NOT NULL OR " MR_BATCH ".\"$wrong\" IS NOT NULL OR \"$taken\".\"field\" IS NOT NULL");
    if (writes->by_user)
        mr_buf_text(out, " OR " MR_BATCH ".\"$caller\" IS NULL OR " MR_BATCH ".\"$first\" <> " MR_BATCH ".\"$fingerprint\"");
}

static void put_one(struct mr_buf *out, struct mr_making *self, const struct mr_writes *writes, const struct mr_field *fields,
                    bool again)
{
    mr_buf_text(out, "WITH " MR_BATCH " AS (");
    put_batch(out, self, writes, fields, again);
    mr_buf_text(out, "), \"$made\" AS (");
    put_insert(out, writes, again);
    if (writes->by_user) {
        mr_buf_text(out, "), \"$kept\" AS (");
        put_keys(out);
    }
    mr_buf_text(out, ") SELECT " MR_BATCH ".\"$n\", ");
    put_status(out, writes);
    mr_buf_text(out, ", \"t\".\"version\" AS \"$version\", ");
    mr_sql_shown(out, self, writes);
    mr_buf_text(out, " FROM " MR_BATCH);
    put_row(out, writes);
    mr_buf_text(out, " LEFT JOIN LATERAL (SELECT ");
    mr_sql_taken(out, writes->resource, "$k", NULL);
    mr_buf_text(out, " AS \"field\" WHERE \"t\".\"id\" IS NULL) AS \"$taken\" ON true");
    mr_sql_shown_joins(out, self, writes);
    put_answered(out, writes);
}

static void put_statement(struct mr_buf *out, struct mr_making *self, const struct mr_writes *writes, const char *id,
                          const struct mr_field *fields)
{
    (void)id;
    put_one(out, self, writes, fields, false);
}

static void put_again(struct mr_buf *out, struct mr_making *self, const struct mr_writes *writes, const char *id,
                      const struct mr_field *fields)
{
    (void)id;
    put_one(out, self, writes, fields, true);
}

void mr_make_create(struct mr_making *self, const struct mr_app_resource *resource)
{
    struct mr_writes writes = mr_writes_of(self, resource);
    const char *name = mr_make_text(self, "%s_create", resource->name);
    const struct mr_field *fields = make_fields(self, &writes);
    struct mr_variant *again = mr_arena_take(self->arena, sizeof *again);

    if (fields == NULL || again == NULL)
        return;
    *again = (struct mr_variant){.statement = mr_make_text(self, "%s/again", name), .shape = MR_SHAPE_ONE};
    mr_make_op(self,
               &(struct mr_op_info){
                   .name = name,
                   .verb = MR_VERB_POST,
                   .path = resource->path,
                   .actor = MR_ACTOR_DATA_WRITER,
                   .access = writes.access,
                   .http = 201,
                   .handler = MR_BY_SQL,
                   .traits = mr_make_traits(self,
                                            &(struct mr_traits){
                                                .summary = mr_make_text(self, "Create a %s", mr_words_of(self, resource->name)),
                                                .shape = MR_SHAPE_ONE,
                                                .rerun_safe = true,
                                                .resource = resource->name,
                                                .key = "id",
                                                .location = mr_make_text(self, "%s/:id", resource->path),
                                                .idempotent = writes.by_user,
                                                .conflicts = true,
                                                .constraints = true,
                                                .returns = mr_writes_result(self, &writes),
                                                .scopes = writes.scopes,
                                                .answers = writes.by_user ? "409|422" : "409",
                                                .versioned = true,
                                                .again = again,
                                                .fields = fields,
                                            }),
               });
    mr_make_rows(self, name, put_statement, &writes, NULL, fields);
    mr_make_rows(self, again->statement, put_again, &writes, NULL, fields);
}
