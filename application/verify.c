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

mr_status mr_verify(const struct mr_application *application, const struct mr_verify_options *options,
                    struct mr_problems *problems)
{
    struct verifying self = {.application = application, .options = options, .problems = problems};
    mr_status status;

    if (is_told_of(problems, "migrations"))
        return MR_OK;
    status = verify_migrations(&self);
    if (status == MR_OK)
        status = mr_catalogue_read(&self.catalogue, options->db, verify_deadline());
    if (status == MR_OK)
        status = verify_tables(&self);
    if (status == MR_OK)
        status = verify_statements(&self);
    if (status == MR_OK)
        status = verify_generated(&self);
    mr_catalogue_fini(&self.catalogue);
    return status == MR_INVALID ? MR_OK : status;
}
