#include "application/load.h"

#include <stdlib.h>

#include "application/check.h"
#include "application/fill.h"
#include "application/folder.h"
#include "application/read.h"
#include "application/sqlfiles.h"

struct loading {
    struct mr_application *application;
    struct mr_reader *reader;
    const struct mr_application_options *options;
    struct mr_folder folder;
};

const char *mr_file_kind_name(int kind)
{
    static const char *const names[] = {"application", "resource", "operations", "jobs"};

    return kind >= 0 && kind < MR_FILE_KIND_COUNT ? names[kind] : "";
}

/* ---- One file ---- */

/* "resources/product.yaml": product. */
static const char *name_of(struct mr_arena *arena, const char *file)
{
    const char *slash = strrchr(file, '/');
    const char *name = slash != NULL ? slash + 1 : file;
    const char *dot = strrchr(name, '.');

    return mr_arena_text(arena, (struct mr_slice){name, dot != NULL ? (size_t)(dot - name) : strlen(name)});
}

static void read_application(struct loading *self, const struct mr_yaml *root)
{
    mr_read_section(self->reader, MR_SECTION_application, root, self->application);
}

static void read_resource(struct loading *self, const struct mr_yaml *root)
{
    struct mr_application *application = self->application;
    struct mr_app_resource *all =
        mr_arena_grow(&application->arena, application->resources, application->resource_count, sizeof *all);
    struct mr_app_resource *resource;

    if (all == NULL)
        return;
    application->resources = all;
    resource = &all[application->resource_count++];
    *resource = (struct mr_app_resource){.name = name_of(&application->arena, root->file)};
    if (resource->name != NULL && !mr_is_word(resource->name))
        mr_problems_add(self->folder.problems, (struct mr_place){.file = root->file},
                        "not a name of a resource, expected one of a-z, 0-9 and _ that begins with a letter");
    mr_read_section(self->reader, MR_SECTION_resource, root, resource);
    if (resource->table == NULL)
        resource->table = resource->name;
}

/* A map of names to one section. `add` makes room for one more. */
static void read_map(struct loading *self, const struct mr_yaml *root, enum mr_section section,
                     void *(*add)(struct mr_application *self, const char *name))
{
    char quote[MR_QUOTE_ROOM];

    if (root->kind != MR_YAML_MAP || root->count == 0) {
        mr_problems_add(self->folder.problems, mr_yaml_place(root), "%s, expected a map of a name to %s",
                        root->count == 0 ? "nothing" : mr_yaml_told(root->kind), mr_section_info(section)->about);
        return;
    }
    for (const struct mr_yaml *item = root->first; item != NULL; item = item->next) {
        void *entry = add(self->application, item->key->text);

        if (entry == NULL)
            return;
        if (!mr_is_word(item->key->text))
            mr_problems_add(self->folder.problems, mr_yaml_place(item->key), "%s, expected a name of a-z, 0-9 and _",
                            mr_quote(quote, item->key->text));
        mr_read_section(self->reader, section, item, entry);
    }
}

static void *add_operation(struct mr_application *self, const char *name)
{
    struct mr_app_operation *all = mr_arena_grow(&self->arena, self->operations, self->operation_count, sizeof *all);

    if (all == NULL)
        return NULL;
    self->operations = all;
    all[self->operation_count] = (struct mr_app_operation){.name = name};
    return &all[self->operation_count++];
}

static void *add_job(struct mr_application *self, const char *name)
{
    struct mr_app_job *all = mr_arena_grow(&self->arena, self->jobs, self->job_count, sizeof *all);

    if (all == NULL)
        return NULL;
    self->jobs = all;
    all[self->job_count] = (struct mr_app_job){.name = name};
    return &all[self->job_count++];
}

static void read_tree(struct loading *self, enum mr_file_kind kind, const struct mr_yaml *root)
{
    switch (kind) {
    case MR_FILE_APPLICATION: read_application(self, root); break;
    case MR_FILE_RESOURCE: read_resource(self, root); break;
    case MR_FILE_OPERATIONS: read_map(self, root, MR_SECTION_operation, add_operation); break;
    case MR_FILE_JOBS: read_map(self, root, MR_SECTION_job, add_job); break;
    case MR_FILE_KIND_COUNT: break;
    }
}

static void read_text(struct loading *self, enum mr_file_kind kind, const char *file, struct mr_slice text)
{
    struct mr_problems *problems = self->folder.problems;
    struct mr_yaml *root = mr_yaml_read(&self->application->arena, file, text, problems);

    if (root == NULL)
        return;
    mr_fill(self->application, root, self->options->lookup, problems);
    read_tree(self, kind, root);
}

/* ---- A folder ---- */

static void read_folder(struct loading *self, enum mr_file_kind kind, const char *below)
{
    struct mr_folder_files files;
    struct mr_slice text;

    mr_folder_list(&self->folder, below, ".yaml", &files);
    for (unsigned i = 0; i < files.count; i++)
        if (mr_folder_read(&self->folder, files.names[i], &text))
            read_text(self, kind, files.names[i], text);
}

static int compare_resources(const void *left, const void *right)
{
    return strcmp(((const struct mr_app_resource *)left)->name, ((const struct mr_app_resource *)right)->name);
}

static int compare_operations(const void *left, const void *right)
{
    return strcmp(((const struct mr_app_operation *)left)->name, ((const struct mr_app_operation *)right)->name);
}

static int compare_jobs(const void *left, const void *right)
{
    return strcmp(((const struct mr_app_job *)left)->name, ((const struct mr_app_job *)right)->name);
}

static int compare_variables(const void *left, const void *right)
{
    return strcmp(((const struct mr_app_variable *)left)->name, ((const struct mr_app_variable *)right)->name);
}

static void sort(void *items, unsigned count, size_t size, int (*compare)(const void *, const void *))
{
    if (count > 1)
        qsort(items, count, size, compare);
}

static void sort_all(struct mr_application *self)
{
    sort(self->resources, self->resource_count, sizeof *self->resources, compare_resources);
    sort(self->operations, self->operation_count, sizeof *self->operations, compare_operations);
    sort(self->jobs, self->job_count, sizeof *self->jobs, compare_jobs);
    sort(self->variables, self->variable_count, sizeof *self->variables, compare_variables);
}

static void read_all(struct loading *self)
{
    struct mr_slice text;

    if (mr_folder_read(&self->folder, "millrace.yaml", &text))
        read_text(self, MR_FILE_APPLICATION, "millrace.yaml", text);
    read_folder(self, MR_FILE_RESOURCE, "resources");
    read_folder(self, MR_FILE_OPERATIONS, "operations");
    read_folder(self, MR_FILE_JOBS, "jobs");
    mr_read_statements(self->application, &self->folder);
    mr_read_migrations(self->application, &self->folder);
    if (self->application->arena.failed)
        return;
    sort_all(self->application);
    mr_check_fields(self->application, self->folder.problems);
    mr_check_application(self->application, self->options, self->folder.problems);
}

/* What of the folder is to be loaded; false: out of memory. `application` is made. */
static bool begin(struct loading *self, const char *folder, const struct mr_application_options *options,
                  struct mr_problems *problems)
{
    static const struct mr_application_options none = {.lookup = NULL};

    *self = (struct loading){.options = options != NULL ? options : &none};
    self->application = calloc(1, sizeof *self->application);
    if (self->application == NULL)
        return false;
    self->application->arena.limit = MR_APPLICATION_MEMORY;
    self->folder = (struct mr_folder){
        .path = folder, .packed = self->options->packed, .arena = &self->application->arena, .problems = problems};
    problems->of = self->options->packed != NULL ? self->options->packed->name : NULL;
    self->reader = mr_reader_new(&self->application->arena, problems);
    return self->reader != NULL;
}

static void end(struct loading *self)
{
    mr_reader_destroy(&self->reader);
    mr_application_destroy(&self->application);
}

mr_status mr_application_load(struct mr_application **out, const char *folder, const struct mr_application_options *options,
                              struct mr_problems *problems)
{
    struct loading self;
    mr_status status = MR_NO_MEMORY;

    if (!begin(&self, folder, options, problems))
        goto out;
    read_all(&self);
    if (self.application->arena.failed || problems->failed)
        goto out;
    status = problems->found > 0 ? MR_INVALID : MR_OK;
    if (status != MR_OK && !self.options->keep_broken)
        goto out;

    *out = self.application;
    self.application = NULL; /* now the caller's */

out:
    end(&self);
    return status;
}

void mr_application_destroy(struct mr_application **self)
{
    if (*self == NULL)
        return;
    mr_arena_fini(&(*self)->arena);
    free(*self);
    *self = NULL;
}

mr_status mr_application_read_file(enum mr_file_kind kind, const char *file, struct mr_slice text,
                                   const struct mr_application_options *options, struct mr_problems *problems)
{
    struct loading self;
    mr_status status = MR_NO_MEMORY;

    if (begin(&self, "", options, problems)) {
        read_text(&self, kind, file, text);
        if (!self.application->arena.failed)
            mr_check_fields(self.application, problems);
        if (!self.application->arena.failed && !problems->failed)
            status = problems->found > 0 ? MR_INVALID : MR_OK;
    }
    end(&self);
    return status;
}

/* ---- Look-ups ---- */

const struct mr_app_resource *mr_app_resource(const struct mr_application *self, const char *name)
{
    struct mr_app_resource wanted = {.name = name};

    return self->resource_count == 0
               ? NULL
               : bsearch(&wanted, self->resources, self->resource_count, sizeof wanted, compare_resources);
}

static int compare_statement_names(const void *left, const void *right)
{
    return strcmp(((const struct mr_app_statement *)left)->name, ((const struct mr_app_statement *)right)->name);
}

const struct mr_app_statement *mr_app_statement(const struct mr_application *self, const char *name)
{
    struct mr_app_statement wanted = {.name = name};

    return self->statement_count == 0
               ? NULL
               : bsearch(&wanted, self->statements, self->statement_count, sizeof wanted, compare_statement_names);
}

bool mr_app_is_served(const struct mr_app_resource *resource)
{
    return resource->operations != 0;
}

const struct mr_app_field *mr_app_field(const struct mr_app_fields *self, const char *name)
{
    for (unsigned i = 0; i < self->count; i++)
        if (strcmp(self->items[i].name, name) == 0)
            return &self->items[i];
    return NULL;
}
