#include "application/verify_internal.h"

int64_t verify_deadline(void)
{
    return mr_mono_ms(&mr_system_clock) + VERIFY_STATEMENT_MS;
}

const char *verify_column_name(const struct mr_app_resource *resource, const char *name)
{
    const struct mr_app_field *found = mr_app_field(&resource->fields, name);

    if (found != NULL)
        return found->column;
    return strcmp(name, "createdAt") == 0 ? "created_at" : strcmp(name, "updatedAt") == 0 ? "updated_at" : name;
}

/* A file of migrations with a problem would make others of tables that are not there. */
static bool is_told_of(const struct mr_problems *problems, const char *folder)
{
    for (unsigned i = 0; i < problems->count; i++)
        if (strncmp(problems->items[i].place.file, folder, strlen(folder)) == 0)
            return true;
    return false;
}

static mr_status verify_tables(struct verifying *self)
{
    for (unsigned i = 0; i < self->application->resource_count; i++)
        verify_table(self, &self->application->resources[i]);
    return verify_indexes(self);
}

static mr_status read_catalogue(struct verifying *self)
{
    return mr_catalogue_read(&self->catalogue, self->options->db, verify_deadline());
}

mr_status mr_verify(const struct mr_application *application, const struct mr_verify_options *options,
                    struct mr_problems *problems)
{
    static mr_status (*const steps[])(struct verifying *) = {verify_migrations, read_catalogue, verify_tables,
                                                             verify_statements, verify_generated};
    struct verifying self = {.application = application, .options = options, .problems = problems};
    mr_status status = MR_OK;

    if (is_told_of(problems, "migrations"))
        return MR_OK;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && status == MR_OK; i++)
        status = options->is_over(options->argument) ? MR_TIMEOUT : steps[i](&self);
    mr_catalogue_fini(&self.catalogue);
    return status == MR_INVALID ? MR_OK : status;
}
