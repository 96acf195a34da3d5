#include "application/build.h"

#include <stdlib.h>

#include "application/making.h"

struct mr_built {
    struct mr_op_table table;
    const struct mr_job_info *jobs;
    unsigned job_count;
    const struct mr_statement *statements;
    unsigned statement_count;
    struct mr_arena arena;
};

static void make_resource(struct mr_making *self, const struct mr_app_resource *resource)
{
    static void (*const makers[])(struct mr_making *, const struct mr_app_resource *) = {
        [MR_APP_CREATE] = mr_make_create, [MR_APP_GET] = mr_make_get,       [MR_APP_LIST] = mr_make_list,
        [MR_APP_UPDATE] = mr_make_update, [MR_APP_DELETE] = mr_make_delete, [MR_APP_IMPORT] = NULL,
    };

    for (unsigned operation = 0; operation < sizeof makers / sizeof makers[0]; operation++)
        if (resource->operations & 1U << operation && makers[operation] != NULL)
            makers[operation](self, resource);
}

/* What the documentation says of the operations under a path, "/v1/products": the resource that is there. */
static void make_group(struct mr_making *self, const struct mr_app_resource *resource)
{
    struct mr_group *groups = mr_arena_grow(self->arena, self->groups, self->group_count, sizeof *groups);
    const char *slash = strrchr(resource->path, '/');

    if (groups == NULL || resource->about == NULL)
        return;
    self->groups = groups;
    groups[self->group_count++] = (struct mr_group){slash != NULL ? slash + 1 : resource->path, resource->about};
}

static void make_all(struct mr_making *self)
{
    const struct mr_application *application = self->application;

    for (unsigned i = 0; i < application->resource_count; i++) {
        make_group(self, &application->resources[i]);
        make_resource(self, &application->resources[i]);
    }
    for (unsigned i = 0; i < application->operation_count; i++)
        mr_make_operation(self, &application->operations[i]);
    for (unsigned i = 0; i < application->job_count; i++)
        mr_make_job(self, &application->jobs[i]);
}

static int by_name(const void *left, const void *right)
{
    return strcmp(((const struct mr_statement *)left)->name, ((const struct mr_statement *)right)->name);
}

static void take_over(struct mr_built *out, struct mr_making *self)
{
    if (self->statement_count > 0)
        qsort(self->statements, self->statement_count, sizeof *self->statements, by_name);
    out->statements = self->statements;
    out->statement_count = self->statement_count;
    out->jobs = self->jobs;
    out->job_count = self->job_count;
    out->table = (struct mr_op_table){.ops = self->ops,
                                      .op_count = self->op_count,
                                      .ways = self->ways,
                                      .way_count = self->way_count,
                                      .groups = self->groups,
                                      .group_count = self->group_count,
                                      .title = self->application->title,
                                      .version = self->application->version,
                                      .about = self->application->about};
}

mr_status mr_application_build(struct mr_built **out, const struct mr_application *application, struct mr_problems *problems)
{
    struct mr_built *built = calloc(1, sizeof *built);
    struct mr_making self = {.application = application, .problems = problems};
    unsigned before = problems->found;
    mr_status status = MR_OK;

    if (built == NULL)
        return MR_NO_MEMORY;
    built->arena.limit = MR_APPLICATION_MEMORY;
    self.arena = &built->arena;
    self.results = mr_arena_take(self.arena, (application->resource_count + 1) * sizeof(const struct mr_result *));
    if (self.results != NULL)
        make_all(&self);
    if (self.arena->failed || problems->failed)
        status = MR_NO_MEMORY;
    else if (problems->found > before)
        status = MR_INVALID;
    take_over(built, &self);
    if (status != MR_OK)
        mr_built_destroy(&built);
    *out = built;
    return status;
}

void mr_built_install(const struct mr_built *self)
{
    static const struct mr_job_info none;

    mr_jobs_install(self == NULL ? NULL : self->job_count > 0 ? self->jobs : &none, self != NULL ? self->job_count : 0);
    mr_ops_install(self != NULL ? &self->table : NULL);
    mr_statements_install(self != NULL ? self->statements : NULL, self != NULL ? self->statement_count : 0);
}

const struct mr_op_table *mr_built_ops(const struct mr_built *self)
{
    return &self->table;
}

const struct mr_statement *mr_built_statements(const struct mr_built *self, unsigned *count)
{
    *count = self->statement_count;
    return self->statements;
}

void mr_built_destroy(struct mr_built **self)
{
    if (*self == NULL)
        return;
    mr_arena_fini(&(*self)->arena);
    free(*self);
    *self = NULL;
}
