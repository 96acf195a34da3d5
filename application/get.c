/*
 * GET of one row: 404 for what is not there, and for what is somebody else's.
 */
#include "application/making.h"

/* Nothing is written here; what counts of `writes` is who reads. */
static void put_statement(struct mr_buf *out, struct mr_making *self, const struct mr_writes *writes, const char *id,
                          const struct mr_field *fields)
{
    const struct mr_app_resource *resource = writes->resource;
    bool by_user = writes->by_user;

    mr_buf_text(out, "SELECT " MR_BATCH ".\"$n\", CASE ");
    if (by_user)
        mr_buf_text(out, "WHEN " MR_BATCH ".\"$caller\" IS NULL THEN 401 ");
    mr_buf_text(out, "WHEN \"t\".\"id\" IS NULL THEN 404 END AS \"$status\", \"t\".\"version\" AS \"$version\", ");
    mr_sql_members(out, self, resource, "t");
    mr_buf_text(out, " FROM (");
    mr_sql_batch(out, fields);
    mr_buf_text(out, ") AS " MR_BATCH " LEFT JOIN ");
    mr_sql_name(out, resource->table);
    mr_buf_text(out, " AS \"t\" ON \"t\".\"id\" = ");
    mr_sql_column(out, "$k", id);
    mr_sql_own_row(out, resource, "t", "$k");
    mr_sql_embeds(out, self, resource, "t", by_user ? MR_BATCH ".\"$caller\"" : NULL);
}

void mr_make_get(struct mr_making *self, const struct mr_app_resource *resource)
{
    const char *name = mr_make_text(self, "%s_get", resource->name);
    enum mr_access access = mr_access_of(resource->access.read);
    const char *scopes = mr_access_scopes(resource->access.read);
    struct mr_writes reads = {.resource = resource, .access = access, .scopes = scopes, .by_user = access != MR_ACCESS_PUBLIC};
    const char *id = mr_id_name(self, resource);
    struct mr_making_fields gathered = {0};
    const struct mr_field *fields;

    mr_make_row_id(self, &gathered, resource);
    if (reads.by_user)
        mr_make_caller(self, &gathered, scopes);
    fields = mr_make_fields(self, &gathered);
    if (fields == NULL)
        return;
    mr_make_op(self,
               &(struct mr_op_info){
                   .name = name,
                   .verb = MR_VERB_GET,
                   .path = mr_row_path(self, resource),
                   .actor = MR_ACTOR_DATA_READER,
                   .access = access,
                   .http = 200,
                   .handler = MR_BY_SQL,
                   .traits = mr_make_traits(self,
                                            &(struct mr_traits){
                                                .summary = mr_make_text(self, "One %s", mr_words_of(self, resource->name)),
                                                .shape = MR_SHAPE_ONE,
                                                .rerun_safe = true,
                                                .cache_s = (unsigned)(resource->cache_ms.value / 1000),
                                                .returns = mr_result_of(self, resource),
                                                .scopes = scopes,
                                                .answers = "404",
                                                .versioned = true,
                                                .fields = fields,
                                            }),
               });
    mr_make_rows(self, name, put_statement, &reads, id, fields);
}
