/*
 * writes: what create, update and delete of a resource have in common: who may write, what they may name, what they see of it.
 */
#include "application/making.h"

#include <stdio.h>

/* ---- Its statements ---- */

struct rows {
    struct mr_writing writing;
    const struct mr_application *application;
    mr_row_text *text;
    struct mr_writes writes;
    const char *id;
    const struct mr_field *fields;
};

static void write_rows(const struct mr_writing *writing, unsigned which, struct mr_buf *out)
{
    const struct rows *self = (const struct rows *)(const void *)writing;
    struct mr_arena arena = {0};
    struct mr_making making = {.application = self->application, .arena = &arena};

    (void)which;
    self->text(out, &making, &self->writes, self->id, self->fields);
    out->failed |= arena.failed;
    mr_arena_fini(&arena);
}

void mr_make_rows(struct mr_making *self, const char *name, mr_row_text *text, const struct mr_writes *writes, const char *id,
                  const struct mr_field *fields)
{
    struct rows *rows = mr_arena_take(self->arena, sizeof *rows);

    if (rows == NULL)
        return;
    *rows = (struct rows){{write_rows}, self->application, text, *writes, id, fields};
    mr_make_written(self, name, &rows->writing, 0);
}

/* ---- Who ---- */

static const char *read_word(const struct mr_application *application, const struct mr_app_field *field)
{
    const struct mr_app_resource *other = mr_app_resource(application, field->references.resource);

    return other != NULL ? other->access.read : "public";
}

bool mr_is_written(const struct mr_app_field *field)
{
    return !field->readonly;
}

static bool is_reference(const struct mr_app_field *field)
{
    return field->references.resource != NULL && mr_is_written(field);
}

static void check_reference(struct mr_making *self, struct mr_writes *writes, const struct mr_app_field *field)
{
    const char *read = read_word(self->application, field);

    if (writes->access == MR_ACCESS_PUBLIC && mr_access_of(read) != MR_ACCESS_PUBLIC)
        mr_problems_add(self->problems, mr_yaml_place(mr_yaml_get(field->node, "references")),
                        "who writes \"%s\" (public) may not read \"%s\" (%s), expected another access", writes->resource->name,
                        field->references.resource, read);
    writes->by_role |= writes->by_user && !mr_access_covers(writes->resource->access.write, read);
}

struct mr_writes mr_writes_of(struct mr_making *self, const struct mr_app_resource *resource)
{
    struct mr_writes out = {
        .resource = resource,
        .access = mr_access_of(resource->access.write),
        .scopes = mr_access_scopes(resource->access.write),
        .is_shown = mr_access_covers(resource->access.write, resource->access.read),
    };

    out.by_user = out.access != MR_ACCESS_PUBLIC;
    for (unsigned i = 0; i < resource->fields.count; i++)
        if (is_reference(&resource->fields.items[i]))
            check_reference(self, &out, &resource->fields.items[i]);
    return out;
}

void mr_writes_callers(struct mr_making *self, const struct mr_writes *writes, struct mr_making_fields *fields)
{
    if (writes->by_user)
        mr_make_caller(self, fields, writes->scopes);
    if (writes->by_role)
        mr_make_field(self, fields,
                      (struct mr_field){.name = "$admin",
                                        .type = MR_BOOL,
                                        .from = MR_TOKEN_ADMIN,
                                        .required = writes->scopes == NULL,
                                        .about = "whether they are an administrator"});
}

void mr_writes_conditions(struct mr_making *self, struct mr_making_fields *fields)
{
    mr_make_field(self, fields,
                  (struct mr_field){.name = "If-Match",
                                    .type = MR_TEXT,
                                    .from = MR_IF_MATCH,
                                    .about = "only if this is the stored version",
                                    .example = "\"3\""});
    mr_make_field(self, fields,
                  (struct mr_field){.name = "If-None-Match",
                                    .type = MR_TEXT,
                                    .from = MR_IF_NONE_MATCH,
                                    .about = "only if this is not the stored version",
                                    .example = "\"3\""});
}

static void put_matches(struct mr_buf *out)
{
    mr_buf_text(out,
                "(" MR_BATCH ".\"If-Match\" IS NULL"
                " OR \"$t\".\"version\" = ANY (string_to_array(" MR_BATCH ".\"If-Match\", ',')::bigint[]))"
                " AND CASE WHEN " MR_BATCH ".\"If-None-Match\" = '*' THEN false ELSE " MR_BATCH ".\"If-None-Match\" IS NULL"
                " OR \"$t\".\"version\" <> ALL (string_to_array(" MR_BATCH ".\"If-None-Match\", ',')::bigint[]) END");
}

void mr_sql_lock(struct mr_buf *out, const struct mr_writes *writes, const char *id, const char *strength)
{
    mr_buf_text(out, "SELECT \"$t\".\"id\", ");
    put_matches(out);
    mr_sql_put(out, " AS \"matches\" FROM %I AS \"$t\" JOIN " MR_BATCH " ON \"$t\".\"id\" = " MR_BATCH ".%I",
               writes->resource->table, id);
    mr_sql_own_row(out, writes->resource, "$t", "$k");
    if (writes->by_user)
        mr_buf_text(out, " AND " MR_BATCH ".\"$caller\" IS NOT NULL");
    mr_sql_put(out, " ORDER BY \"$t\".\"id\" FOR %s OF \"$t\"", strength);
}

/* ---- What they see ---- */

static const struct mr_result *id_only(struct mr_making *self, const struct mr_app_resource *resource)
{
    struct mr_result *out = mr_arena_take(self->arena, sizeof *out);
    struct mr_member *members = mr_arena_take(self->arena, 2 * sizeof *members);

    if (out == NULL || members == NULL)
        return &mr_result_anything;
    members[0] = (struct mr_member){.name = "id", .type = MR_UUID, .about = "its id", .example = MR_EXAMPLE_ID};
    *out = (struct mr_result){.name = mr_make_text(self, "%sId", mr_result_of(self, resource)->name),
                              .about = mr_make_text(self, "the id of a %s", resource->name),
                              .members = members};
    return out;
}

const struct mr_result *mr_writes_result(struct mr_making *self, const struct mr_writes *writes)
{
    return writes->is_shown ? mr_result_of(self, writes->resource) : id_only(self, writes->resource);
}

void mr_sql_shown(struct mr_buf *out, struct mr_making *self, const struct mr_writes *writes)
{
    if (writes->is_shown)
        mr_sql_members(out, self, writes->resource, "t");
    else
        mr_buf_text(out, "\"t\".\"id\" AS \"id\"");
}

void mr_sql_shown_joins(struct mr_buf *out, struct mr_making *self, const struct mr_writes *writes)
{
    if (writes->is_shown)
        mr_sql_embeds(out, self, writes->resource, "t", writes->by_user ? MR_BATCH ".\"$caller\"" : NULL);
}

/* ---- What they may name ---- */

void mr_sql_owned(struct mr_buf *out, const struct mr_app_resource *resource, const char *alias, const char *batch)
{
    if (resource->owner != NULL)
        mr_sql_put(out, " AND %I.%I = %I.\"$caller\"", alias, resource->owner, batch);
}

void mr_sql_own_row(struct mr_buf *out, const struct mr_app_resource *resource, const char *alias, const char *batch)
{
    if (resource->owner != NULL)
        mr_sql_put(out, " AND (%I.%I = %I.\"$caller\") IS TRUE", alias, resource->owner, batch);
}

static void lookup_alias(char room[16], unsigned place)
{
    snprintf(room, 16, "$r%u", place);
}

/* A lateral join with a limit: one index scan a row, and never two rows of one. */
static void look_up(struct mr_buf *out, struct mr_making *self, const struct mr_writes *writes, unsigned place,
                    const char *alias)
{
    const struct mr_app_field *field = &writes->resource->fields.items[place];
    const struct mr_app_resource *other = mr_app_resource(self->application, field->references.resource);
    const struct mr_app_field *key = other != NULL ? mr_app_field(&other->fields, field->references.field) : NULL;
    char own[16];

    if (other == NULL)
        return;
    lookup_alias(own, place);
    mr_sql_put(out, " LEFT JOIN LATERAL (SELECT true AS \"there\" FROM %I AS \"$o\" WHERE \"$o\".%I = %I.%I", other->table,
               key != NULL ? key->column : "id", alias, field->name);
    if (key != NULL)
        mr_sql_owned(out, other, "$o", alias);
    else
        mr_sql_own_row(out, other, "$o", alias);
    if (writes->by_user && !mr_access_covers(writes->resource->access.write, other->access.read))
        mr_sql_put(out, " AND %I.\"$admin\"", alias);
    mr_sql_put(out, " LIMIT 1) AS %I ON true", own);
}

void mr_sql_references(struct mr_buf *out, struct mr_making *self, const struct mr_writes *writes, const char *alias)
{
    for (unsigned i = 0; i < writes->resource->fields.count; i++)
        if (is_reference(&writes->resource->fields.items[i]))
            look_up(out, self, writes, i, alias);
}

void mr_sql_wrong(struct mr_buf *out, const struct mr_writes *writes, const char *alias)
{
    bool any = false;

    for (unsigned i = 0; i < writes->resource->fields.count; i++) {
        const struct mr_app_field *field = &writes->resource->fields.items[i];
        char own[16];

        if (!is_reference(field))
            continue;
        lookup_alias(own, i);
        mr_sql_put(out, any ? " " : "CASE ");
        mr_sql_put(out, "WHEN %I.%I IS NOT NULL AND %I.\"there\" IS NULL THEN %L", alias, field->name, own, field->name);
        any = true;
    }
    mr_buf_text(out, any ? " END" : "NULL::text");
}

/* ---- What others have ---- */

bool mr_is_unique(const struct mr_app_field *field)
{
    return field->unique && mr_is_written(field);
}

void mr_sql_taken(struct mr_buf *out, const struct mr_app_resource *resource, const char *alias, const char *self_id)
{
    bool any = false;

    for (unsigned i = 0; i < resource->fields.count; i++) {
        const struct mr_app_field *field = &resource->fields.items[i];

        if (!mr_is_unique(field))
            continue;
        mr_sql_put(out, any ? " " : "CASE ");
        mr_sql_put(out, "WHEN EXISTS (SELECT FROM %I AS \"$o\" WHERE \"$o\".%I = %I.%I", resource->table, field->column, alias,
                   field->name);
        mr_sql_owned(out, resource, "$o", alias);
        if (self_id != NULL)
            mr_sql_put(out, " AND \"$o\".\"id\" <> %I.%I", alias, self_id);
        mr_sql_put(out, ") THEN %L", field->name);
        any = true;
    }
    mr_buf_text(out, any ? " END" : "NULL::text");
}
