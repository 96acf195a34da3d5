#include "application/build.h"

#include <stdlib.h>

#include "application/folder.h"
#include "application/making.h"
#include "runtime/app_ledger.h"
#include "runtime/constraints.h"
#include "application/volatility.h"

/* Who writes a statement; `writing` is NULL where it has its text. */
struct written {
    const struct mr_writing *writing;
    unsigned which;
};

struct mr_built {
    struct mr_op_table table;
    const struct mr_job_info *jobs;
    unsigned job_count;
    const struct mr_job_kind *kinds;
    unsigned kind_count;
    const struct mr_job_addition *additions;
    unsigned addition_count;
    struct mr_app_steps steps;
    struct mr_table_need *table_needs; /* those of `needs` */
    struct mr_function_need *function_needs;
    struct mr_needs needs;
    struct mr_op_info *ops; /* those of the table */
    struct mr_statement *statements;
    struct written *written; /* the same, by place: who writes them */
    unsigned statement_count;
    const char **job_texts; /* of those that are jobs' */
    unsigned job_text_count;
    struct mr_choice *choices;
    unsigned choice_count;
    struct mr_pattern **patterns;
    unsigned pattern_count;
    const struct mr_column_names *names; /* the names of columns in answers about broken constraints */
    struct mr_arena arena;
    struct mr_arena asked; /* what the database said of the choices */
};

/* Of the message that has the most: its own, or that of a record of its upload. */
static unsigned fields_of(const struct mr_traits *traits)
{
    unsigned own = traits->fields != NULL ? mr_fields_count(traits->fields) : 0;
    unsigned record = traits->import != NULL ? mr_fields_count(traits->import->fields) : 0;

    return own > record ? own : record;
}

/* Columns that make a row of the answer: those of an object in it, too. */
static unsigned columns_of(const struct mr_result *result)
{
    unsigned count = 0;

    for (const struct mr_member *m = result != NULL ? result->members : NULL; m != NULL && m->name != NULL; m++)
        count += m->columns != NULL ? columns_of(m->columns) : 1;
    return count;
}

/* Messages and rows have bounds, which a declaration of many fields may pass. `made`: operations that were there before it. */
static void check_width(struct mr_making *self, unsigned made, const struct mr_yaml *node)
{
    for (; made < self->op_count; made++) {
        const struct mr_op_info *op = &self->ops[made];
        unsigned fields = fields_of(op->traits);
        unsigned columns = columns_of(op->traits->returns);

        if (op->path == NULL) /* a successor, which is as wide as the other */
            continue;
        if (fields > MR_FIELDS_MAX)
            mr_problems_add(self->problems, mr_yaml_place(node), "%s takes %u fields, its own among them, expected at most %d",
                            op->name, fields, MR_FIELDS_MAX);
        if (columns > MR_ROW_COLUMNS)
            mr_problems_add(self->problems, mr_yaml_place(node), "%s answers with %u columns, expected at most %d", op->name,
                            columns, MR_ROW_COLUMNS);
    }
}

static void make_resource(struct mr_making *self, const struct mr_app_resource *resource)
{
    static void (*const makers[])(struct mr_making *, const struct mr_app_resource *) = {
        [MR_APP_CREATE] = mr_make_create, [MR_APP_GET] = mr_make_get,       [MR_APP_LIST] = mr_make_list,
        [MR_APP_UPDATE] = mr_make_update, [MR_APP_DELETE] = mr_make_delete, [MR_APP_IMPORT] = mr_make_import,
    };

    unsigned made = self->op_count;

    for (unsigned operation = 0; operation < sizeof makers / sizeof makers[0]; operation++)
        if (resource->operations & 1U << operation)
            makers[operation](self, resource);
    check_width(self, made, resource->node);
}

static void make_operation(struct mr_making *self, const struct mr_app_operation *operation)
{
    unsigned made = self->op_count;

    mr_make_operation(self, operation);
    check_width(self, made, operation->node);
}

/* What the documentation says of the operations under a path, "/v1/products": the resource that is there. */
static void make_group(struct mr_making *self, const struct mr_app_resource *resource)
{
    struct mr_group *groups = mr_arena_grow(self->arena, self->groups, self->group_count, sizeof *groups);
    const char *slash = strrchr(resource->path, '/');

    if (groups == NULL || resource->about == NULL || !mr_app_is_served(resource))
        return;
    self->groups = groups;
    groups[self->group_count++] = (struct mr_group){slash != NULL ? slash + 1 : resource->path, resource->about};
}

/* Behind those of resources: of a name that is there twice the last counts. */
static void make_groups(struct mr_making *self)
{
    const struct mr_app_texts *texts = &self->application->groups;

    for (unsigned i = 0; i < texts->count; i++) {
        struct mr_group *groups = mr_arena_grow(self->arena, self->groups, self->group_count, sizeof *groups);

        if (groups == NULL)
            return;
        self->groups = groups;
        groups[self->group_count++] = (struct mr_group){texts->items[i].name, texts->items[i].text};
    }
}

static void make_all(struct mr_making *self)
{
    const struct mr_application *application = self->application;

    for (unsigned i = 0; i < application->resource_count; i++) {
        make_group(self, &application->resources[i]);
        make_resource(self, &application->resources[i]);
        mr_make_needs(self, &application->resources[i]);
    }
    make_groups(self);
    mr_make_replacements(self);
    for (unsigned i = 0; i < application->operation_count; i++)
        make_operation(self, &application->operations[i]);
    for (unsigned i = 0; i < application->job_count; i++)
        mr_make_job(self, &application->jobs[i]);
    mr_make_removal(self);
}

static int by_made_name(const void *left, const void *right)
{
    return strcmp(((const struct mr_made *)left)->statement.name, ((const struct mr_made *)right)->statement.name);
}

static void take_statements(struct mr_built *out, struct mr_making *self)
{
    struct mr_statement *all = mr_arena_take(self->arena, (self->statement_count + 1) * sizeof *all);
    struct written *written = mr_arena_take(self->arena, (self->statement_count + 1) * sizeof *written);
    bool have = all != NULL && written != NULL;

    if (self->statement_count > 0)
        qsort(self->statements, self->statement_count, sizeof *self->statements, by_made_name);
    for (unsigned i = 0; have && i < self->statement_count; i++) {
        all[i] = self->statements[i].statement;
        written[i] = (struct written){self->statements[i].writing, self->statements[i].which};
    }
    out->statements = all;
    out->written = written;
    out->statement_count = have ? self->statement_count : 0;
    free(self->statements);
    self->statements = NULL;
}

/* Columns that clients write. What is the database's own, and the owner, is none of their business. */
static void take_names(struct mr_built *out, struct mr_making *self)
{
    const struct mr_application *application = self->application;
    struct mr_column_names *names;
    unsigned count = 0;

    for (unsigned i = 0; i < application->resource_count; i++)
        count += application->resources[i].fields.count;
    names = mr_arena_take(self->arena, (count + 1) * sizeof *names);
    out->names = names;
    for (unsigned i = 0; names != NULL && i < application->resource_count; i++) {
        const struct mr_app_resource *resource = &application->resources[i];

        for (unsigned f = 0; f < resource->fields.count; f++)
            if (mr_is_written(&resource->fields.items[f]))
                *names++ =
                    (struct mr_column_names){resource->table, resource->fields.items[f].column, resource->fields.items[f].name};
    }
}

/* Its first migration is that of the application in the binary, whose tables the engine's migrations used to make. */
static bool is_heir(const struct mr_application *application)
{
    static const char first[] = "migrations/0001_";

    for (unsigned i = 0; application->migration_count > 0 && i < mr_packed_application.count; i++)
        if (strncmp(mr_packed_application.files[i].name, first, sizeof first - 1) == 0)
            return strcmp(mr_packed_application.files[i].text, application->migrations[0].sql) == 0;
    return false;
}

static void take_steps(struct mr_built *out, struct mr_making *self)
{
    const struct mr_application *application = self->application;
    struct mr_app_step *steps = mr_arena_take(self->arena, (application->migration_count + 1) * sizeof *steps);

    for (unsigned i = 0; steps != NULL && i < application->migration_count; i++) {
        const struct mr_app_migration *migration = &application->migrations[i];

        steps[i] = (struct mr_app_step){migration->name, migration->sql, migration->breaking};
    }
    out->steps = (struct mr_app_steps){
        .items = steps, .count = steps != NULL ? application->migration_count : 0, .inherits = is_heir(application)};
}

static void take_needs(struct mr_built *out, const struct mr_making *self)
{
    out->table_needs = self->needs;
    out->function_needs = self->function_needs;
    out->needs = (struct mr_needs){self->needs, self->need_count, self->function_needs, self->function_need_count};
}

static void take_over(struct mr_built *out, struct mr_making *self)
{
    take_statements(out, self);
    take_steps(out, self);
    take_names(out, self);
    out->ops = self->ops;
    out->choices = self->choices;
    out->choice_count = self->choice_count;
    out->patterns = self->patterns;
    out->pattern_count = self->pattern_count;
    take_needs(out, self);
    out->job_texts = self->job_texts;
    out->job_text_count = self->job_text_count;
    out->jobs = self->jobs;
    out->job_count = self->job_count;
    out->kinds = self->kinds;
    out->kind_count = self->kind_count;
    out->additions = self->additions;
    out->addition_count = self->addition_count;
    out->table = (struct mr_op_table){.ops = self->ops,
                                      .op_count = self->op_count,
                                      .ways = self->ways,
                                      .way_count = self->way_count,
                                      .groups = self->groups,
                                      .group_count = self->group_count,
                                      .title = self->application->title,
                                      .version = self->application->version,
                                      .about = self->application->about,
                                      .license = self->application->license};
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
    take_over(built, &self);
    if (self.arena->failed || problems->failed)
        status = MR_NO_MEMORY;
    else if (problems->found > before)
        status = MR_INVALID;
    if (status != MR_OK)
        mr_built_destroy(&built);
    *out = built;
    return status;
}

/* ---- What a database decides ---- */

static bool is_taken(const struct mr_choice *choice)
{
    return atomic_load(&choice->successor->is_ready);
}

/* True: it is settled for good. */
static bool decide(struct mr_choice *choice, const struct mr_volatility *volatility)
{
    struct mr_objection why = {.text = NULL};

    if (mr_volatility_allows(volatility, &choice->sql, &why))
        atomic_store(&choice->successor->is_ready, true);
    choice->why = why.text;
    return !why.is_unknown;
}

mr_status mr_built_settle(struct mr_built *self, mr_db *db, int64_t deadline_ms, const char **missing)
{
    struct mr_volatility volatility = {.arena = &self->asked};
    mr_status status;

    *missing = NULL;
    mr_arena_fini(&self->asked);
    self->asked = (struct mr_arena){.limit = MR_APPLICATION_MEMORY};
    for (unsigned i = 0; i < self->choice_count; i++) {
        self->choices[i].why = NULL; /* it was in that arena */
        if (!is_taken(&self->choices[i]))
            mr_volatility_add(&volatility, &self->choices[i].sql);
    }
    status = mr_volatility_ask(&volatility, db, deadline_ms);
    for (unsigned i = 0; status == MR_OK && i < self->choice_count; i++)
        if (!is_taken(&self->choices[i]) && !decide(&self->choices[i], &volatility) && *missing == NULL)
            *missing = self->choices[i].why;
    return status;
}

bool mr_built_has_choices(const struct mr_built *self)
{
    return self->choice_count > 0;
}

const struct mr_choice *mr_built_choice(const struct mr_built *self, const char *name)
{
    for (unsigned i = 0; i < self->choice_count; i++)
        if (strcmp(self->choices[i].name, name) == 0)
            return &self->choices[i];
    return NULL;
}

/* ---- What was built ---- */

char *mr_built_text(const struct mr_built *self, unsigned place)
{
    const struct written *written = &self->written[place];
    struct mr_buf text = {0};

    if (written->writing != NULL)
        written->writing->write(written->writing, written->which, &text);
    else
        mr_buf_text(&text, self->statements[place].text);
    mr_buf_char(&text, '\0');
    if (text.failed)
        mr_buf_fini(&text);
    return text.data;
}

static char *write_text(const void *built, unsigned place)
{
    return mr_built_text(built, place);
}

void mr_built_install(const struct mr_built *self)
{
    static const struct mr_job_info none;

    mr_jobs_install(self == NULL ? NULL : self->job_count > 0 ? self->jobs : &none, self != NULL ? self->job_count : 0);
    mr_job_kinds_install(self != NULL ? self->kinds : NULL, self != NULL ? self->kind_count : 0);
    mr_jobs_add_to(self != NULL ? self->additions : NULL, self != NULL ? self->addition_count : 0);
    mr_ops_install(self != NULL ? &self->table : NULL);
    mr_statements_install(self != NULL ? self->statements : NULL, self != NULL ? self->statement_count : 0);
    mr_statements_write_with(self != NULL ? write_text : NULL, self);
    mr_app_steps_install(self != NULL ? &self->steps : NULL);
    mr_constraints_install(self != NULL ? self->names : NULL);
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

const struct mr_needs *mr_built_needs(const struct mr_built *self)
{
    return &self->needs;
}

mr_status mr_built_read_jobs(struct mr_built *self)
{
    struct mr_making making = {.arena = &self->arena,
                               .needs = self->table_needs,
                               .need_count = self->needs.count,
                               .function_needs = self->function_needs,
                               .function_need_count = self->needs.function_count};

    for (unsigned i = 0; i < self->job_text_count; i++)
        mr_make_needs_of_text(&making, self->job_texts[i], MR_DB_FOR_JOBS);
    self->job_text_count = 0;
    take_needs(self, &making);
    return self->arena.failed ? MR_NO_MEMORY : MR_OK;
}

void mr_built_destroy(struct mr_built **self)
{
    if (*self == NULL)
        return;
    for (unsigned i = 0; i < (*self)->pattern_count; i++)
        mr_pattern_destroy(&(*self)->patterns[i]);
    mr_arena_fini(&(*self)->arena);
    mr_arena_fini(&(*self)->asked);
    free(*self);
    *self = NULL;
}
