/*
 * A statement of queries/ in the place of one that was generated. It has the fields of that, and answers with rows of the resource.
 */
#include "application/form.h"

struct replacing {
    struct mr_making *making;
    const struct mr_app_statement *source;
    const struct mr_app_resource *resource;
    unsigned at; /* the operation's place */
    const struct mr_op_info *op;
    struct mr_sql sql;
};

#define complain(self, place, ...) mr_problems_add((self)->making->problems, place, __VA_ARGS__)

/* "product_get" is of product; NULL: of no resource. */
static const struct mr_app_resource *resource_of(const struct mr_application *application, const char *name)
{
    const char *end = strrchr(name, '_');

    for (unsigned i = 0; end != NULL && i < application->resource_count; i++) {
        const char *resource = application->resources[i].name;

        if (strlen(resource) == (size_t)(end - name) && strncmp(resource, name, (size_t)(end - name)) == 0)
            return &application->resources[i];
    }
    return NULL;
}

static void check_parameters(struct replacing *self)
{
    for (unsigned i = 0; i < self->sql.parameter_count; i++) {
        const struct mr_sql_parameter *parameter = &self->sql.parameters[i];

        if (strcmp(parameter->name, "now") != 0 && mr_custom_field(self->op->traits->fields, parameter->name) == NULL)
            complain(self, parameter->place, "%s has no field \"%s\", expected one of its own", self->op->name,
                     parameter->name);
    }
}

/* What a statement of its own does for each new row, an import would go round: that works with what was generated. */
static void check_import(const struct replacing *self)
{
    if (self->op->verb == MR_VERB_POST && self->op->traits->import == NULL && self->resource->operations & 1U << MR_APP_IMPORT)
        complain(self, self->source->place,
                 "an import of \"%s\" would make rows without %s, expected a trigger in its place, or \"import\" left out",
                 self->resource->name, self->op->name);
}

/*
 * Only the rows of k have a name for what If-Match says; a list is many statements, one for each order and filter; and the work of an
 * import is a job's.
 */
static void check_kind(struct replacing *self)
{
    const struct mr_traits *traits = self->op->traits;

    check_import(self);
    if (traits->import != NULL)
        complain(self, self->source->place,
                 "the import %s is a job and cannot be replaced by a statement, expected another name", self->op->name);
    else if (traits->variants != NULL)
        complain(self, self->source->place,
                 "the list %s is many statements and cannot be replaced by one, expected an operation of its own",
                 self->op->name);
    else if (self->sql.kind == MR_SQL_CALL)
        complain(self, self->source->begin, "CALL in the place of %s, expected a statement that answers with a row",
                 self->op->name);
    else if (self->sql.kind != MR_SQL_SET_WISE && (self->op->verb == MR_VERB_PUT || self->op->verb == MR_VERB_DELETE))
        complain(self, self->source->begin, "%s honours If-Match, expected a statement that begins with WITH k AS ({{k}})",
                 self->op->name);
    if (self->sql.kind == MR_SQL_SET_WISE && !self->sql.has_star && !mr_sql_has(&self->sql.columns, "$n"))
        complain(self, self->source->begin, "a set-wise statement without the column \"$n\", expected it: k.\"$n\"");
    if (traits->shape != MR_SHAPE_NONE && !self->sql.answers)
        complain(self, self->source->begin, "the statement answers no rows, expected a query or RETURNING");
}

/* Who writes and may not read sees the id of what they wrote, whatever the statement answers. */
static bool shows_all(const struct replacing *self)
{
    return self->op->traits->returns == mr_result_of(self->making, self->resource);
}

static void make_form(struct replacing *self, struct mr_traits *traits)
{
    static struct mr_app_field id = {.name = "id"};
    static const struct mr_app_fields only_id = {&id, 1};
    struct mr_custom custom = {.making = self->making, .sql = &self->sql, .fields = traits->fields, .shape = traits->shape};

    if (traits->shape != MR_SHAPE_NONE && shows_all(self))
        custom.resource = self->resource;
    else if (traits->shape != MR_SHAPE_NONE)
        custom.members = &only_id;
    self->making->ops[self->at].traits = traits;
    mr_make_form(&custom, self->at, traits);
}

static void replace(struct replacing *self)
{
    unsigned before = self->making->problems->found;
    struct mr_traits *traits = mr_arena_take(self->making->arena, sizeof *traits);

    if (traits == NULL || !mr_sql_read(&self->sql, self->making->arena, self->source, self->making->problems))
        return;
    mr_make_needs_of(self->making, &self->sql, MR_DB_FOR_REQUESTS);
    check_parameters(self);
    check_kind(self);
    if (self->making->problems->found > before)
        return;
    *traits = *self->op->traits;
    traits->again = NULL;
    make_form(self, traits);
}

void mr_make_replacements(struct mr_making *self)
{
    unsigned count = self->op_count; /* a replacement adds operations of its own */

    for (unsigned i = 0; i < count && !self->arena->failed; i++) {
        struct replacing replacing = {.making = self,
                                      .source = mr_app_statement(self->application, self->ops[i].name),
                                      .resource = resource_of(self->application, self->ops[i].name),
                                      .at = i,
                                      .op = &self->ops[i]};

        if (replacing.source != NULL && replacing.resource != NULL)
            replace(&replacing);
    }
}
