/*
 * What the job `removal` deletes when a user is gone: the rows of every resource that is served and has an owner, whoever made them.
 * What the application itself says of that job comes first.
 */
#include "application/making.h"

/* The group of the resource's operations, "products" of /v1/products: under that name the result counts the rows. */
static const char *counter_of(struct mr_making *self, const struct mr_app_resource *resource)
{
    const char *slash = strrchr(resource->path, '/');
    char *out = mr_arena_text(self->arena, mr_slice_of(slash != NULL ? slash + 1 : resource->path));

    for (char *c = out; c != NULL && *c != '\0'; c++)
        if (*c == '-' || *c == '.')
            *c = '_';
    return out != NULL ? out : "";
}

/* A row that a trigger keeps is not asked for again and again: a chunk without an effect is the last one. */
static void make_statement(struct mr_making *self, const struct mr_app_resource *resource, const char *name)
{
    struct mr_app_statement statement = {.name = name, .place = mr_yaml_place(resource->node)};
    struct mr_buf sql = {0};
    struct mr_buf text = {0};

    mr_sql_put(
        &sql,
        "WITH {{chunk}}, {{closed}}, mine AS (SELECT t.id FROM closed c CROSS JOIN LATERAL ("
        "SELECT t.id FROM %I t WHERE t.%I = c.id AND t.id <> ALL ({{skipped_ids}}) LIMIT c.most FOR UPDATE SKIP LOCKED) t"
        "), gone AS (DELETE FROM %I t USING mine WHERE t.id = mine.id AND {{unless_skipped}} RETURNING t.id)"
        " SELECT (SELECT count(*) FROM gone) AS rows, {{ids_with_this}} AS cursor,"
        " (SELECT count(*) FROM mine) >= k.most AND (k.skip OR EXISTS (SELECT FROM gone)) AS more,"
        " {{this_id}} AS unit FROM k",
        resource->table, resource->owner, resource->table);
    mr_buf_char(&sql, '\0');
    statement.sql = sql.data;
    if (!sql.failed && mr_fill_parts(self, &statement, &text))
        mr_make_statement(self, name, &text);
    self->arena->failed |= sql.failed;
    mr_buf_fini(&text);
    mr_buf_fini(&sql);
}

static struct mr_job_statement make_one(struct mr_making *self, const struct mr_app_resource *resource)
{
    const char *name = mr_make_text(self, "removal__%s/%s", counter_of(self, resource), resource->name);
    struct mr_buf table = {0};
    struct mr_job_statement out = {.name = name, .in_chunks = true};

    mr_sql_name(&table, resource->table);
    out.table = mr_arena_text(self->arena, (struct mr_slice){table.data, table.len});
    mr_buf_fini(&table);
    make_statement(self, resource, name);
    return out;
}

/* ---- In their order: rows go before those that they refer to ---- */

struct ordering {
    struct mr_making *making;
    struct mr_job_statement *out;
    unsigned count;
    bool *seen;
};

static bool refers_to(const struct mr_app_resource *resource, const char *other)
{
    for (unsigned i = 0; i < resource->fields.count; i++) {
        const char *target = resource->fields.items[i].references.resource;

        if (target != NULL && strcmp(target, other) == 0)
            return true;
    }
    return false;
}

/* The depth is at most the number of resources; two that refer to each other come in either order. */
static void put(struct ordering *self, unsigned at)
{
    const struct mr_application *application = self->making->application;
    const struct mr_app_resource *resource = &application->resources[at];

    if (self->seen[at])
        return;
    self->seen[at] = true;
    for (unsigned i = 0; i < application->resource_count; i++)
        if (refers_to(&application->resources[i], resource->name))
            put(self, i);
    if (resource->owner != NULL && resource->table != NULL && mr_app_is_served(resource))
        self->out[self->count++] = make_one(self->making, resource);
}

static struct mr_job_addition *addition_of(struct mr_making *self)
{
    struct mr_job_addition *all;

    for (unsigned i = 0; i < self->addition_count; i++)
        if (self->additions[i].job == MR_JOB_removal)
            return &self->additions[i];
    all = mr_arena_grow(self->arena, self->additions, self->addition_count, sizeof *all);
    if (all == NULL)
        return NULL;
    self->additions = all;
    all[self->addition_count] = (struct mr_job_addition){.job = MR_JOB_removal};
    return &all[self->addition_count++];
}

static unsigned count_of(const struct mr_job_statement *statements)
{
    unsigned count = 0;

    while (statements != NULL && statements[count].name != NULL)
        count++;
    return count;
}

void mr_make_removal(struct mr_making *self)
{
    unsigned resources = self->application->resource_count;
    struct mr_job_addition *addition = addition_of(self);
    struct ordering ordering = {.making = self};

    if (addition == NULL)
        return;
    ordering.count = count_of(addition->statements);
    ordering.out = mr_arena_take(self->arena, (ordering.count + resources + 1) * sizeof *ordering.out);
    ordering.seen = mr_arena_take(self->arena, resources + 1);
    if (ordering.out == NULL || ordering.seen == NULL)
        return;
    for (unsigned i = 0; addition->statements != NULL && i < ordering.count; i++)
        ordering.out[i] = addition->statements[i];
    for (unsigned i = 0; i < resources; i++)
        put(&ordering, i);
    addition->statements = ordering.out;
}
