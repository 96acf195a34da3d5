/*
 * The statements that the application is served by: those that were made of declarations, those of queries/ in the form in which
 * an actor runs them, and those of queries/ that take the place of one that was made. They are prepared, as an actor would, and
 * what they answer is held against what the document says.
 *
 * A list has hundreds, of one pattern: each order, each filter, the words and a page are looked at once.
 */
#include <stdlib.h>

#include "application/build.h"
#include "application/choice.h"
#include "application/verify_internal.h"

struct generated {
    struct verifying *self;
    const struct mr_op_info *op;
    const char *name; /* of the statement */
    struct mr_place place;
    bool is_internal; /* nobody is shown its answer */
    const char *told; /* what it is: "the statement that was made for", "the statement" */
};

/* ---- Where a declaration is ---- */

static bool is_of(const char *op, const char *resource)
{
    size_t length = strlen(resource);

    return strncmp(op, resource, length) == 0 && op[length] == '_';
}

/* An operation's own place, or that of the resource whose name is the longest in front of the op's. */
static struct mr_place place_of_op(const struct mr_application *application, const char *op)
{
    const struct mr_app_resource *found = NULL;

    for (unsigned i = 0; i < application->operation_count; i++)
        if (strcmp(application->operations[i].name, op) == 0)
            return mr_yaml_place(application->operations[i].node->key);
    for (unsigned i = 0; i < application->resource_count; i++)
        if (is_of(op, application->resources[i].name) &&
            (found == NULL || strlen(application->resources[i].name) > strlen(found->name)))
            found = &application->resources[i];
    return found != NULL ? mr_yaml_place_of(found->node, "path") : (struct mr_place){.file = "millrace.yaml"};
}

/* ---- One statement ---- */

static void tell(const struct generated *one)
{
    const struct mr_db_error *error = mr_db_last_error(one->self->options->db);

    complain(one->self, one->place, "%s %s cannot be prepared: %s (SQLSTATE %s)", one->told, one->name, error->message,
             error->sqlstate);
}

static mr_status verify_text(const struct generated *one, const char *text)
{
    mr_rows *columns = NULL;
    mr_status status = mr_db_describe(one->self->options->db, text, NULL, 0, verify_deadline(), &columns);

    if (status != MR_OK && verify_is_refusal(one->self)) {
        tell(one);
        return mr_db_reconnect(one->self->options->db);
    }
    if (status == MR_OK && one->op->traits->returns != NULL && !one->is_internal)
        status = verify_result(one->self, one->name, one->place, one->op->traits->returns, columns);
    mr_rows_free(&columns);
    return status;
}

static int by_name(const void *name, const void *statement)
{
    return strcmp(name, ((const struct mr_statement *)statement)->name);
}

static mr_status verify_named(const struct generated *one)
{
    const struct mr_built *built = one->self->options->built;
    unsigned count;
    const struct mr_statement *all = mr_built_statements(built, &count);
    const struct mr_statement *found = count > 0 ? bsearch(one->name, all, count, sizeof *all, by_name) : NULL;
    mr_status status = MR_OK;
    char *text;

    if (found == NULL)
        return MR_OK;
    text = mr_built_text(built, (unsigned)(found - all));
    status = text != NULL ? verify_text(one, text) : MR_NO_MEMORY;
    free(text);
    return status;
}

/* ---- A list's ---- */

/* Whether a variant shows something that those before it do not: "NAME/walk/ORDER", and of the first order each filter and a page. */
static bool is_telling(const struct mr_variant *first, const struct mr_variant *variant)
{
    const char *shape = strchr(variant->statement, '/');
    const char *order = shape != NULL ? strchr(shape + 1, '/') : NULL;
    const char *first_order = strchr(first->statement, '/');
    size_t length;

    first_order = first_order != NULL ? strchr(first_order + 1, '/') : NULL;
    if (order == NULL || first_order == NULL)
        return true;
    if (strchr(order + 1, '/') == NULL)
        return variant->shape != MR_SHAPE_PAGE || strcmp(order, first_order) == 0;
    length = strlen(first_order);
    return variant->shape != MR_SHAPE_PAGE && strncmp(order, first_order, length) == 0 && order[length] == '/' &&
           strchr(order + 1 + length, '/') == NULL && strchr(order + 1 + length, '+') == NULL;
}

/* Their answers are the job's alone. */
static mr_status verify_import(struct generated *one)
{
    const struct mr_import *import = one->op->traits->import;
    mr_status status = MR_OK;

    if (import == NULL)
        return MR_OK;
    one->is_internal = true;
    one->name = import->statement;
    status = verify_named(one);
    one->name = import->reason;
    status = status == MR_OK ? verify_named(one) : status;
    one->name = import->plain;
    return status == MR_OK ? verify_named(one) : status;
}

static mr_status verify_variants(struct generated *one)
{
    const struct mr_variant *variants = one->op->traits->variants;
    mr_status status = MR_OK;

    for (const struct mr_variant *v = variants; v != NULL && v->statement != NULL && status == MR_OK; v++) {
        one->name = v->statement;
        if (is_telling(variants, v))
            status = verify_named(one);
    }
    return status;
}

static mr_status verify_op(struct verifying *self, const struct mr_op_info *op)
{
    const struct mr_app_statement *source = mr_app_statement(self->application, op->name);
    struct generated one = {.self = self, .op = op, .name = op->name, .place = place_of_op(self->application, op->name)};
    mr_status status;

    one.told = source != NULL ? "the statement" : "the statement that was made for";
    if (source != NULL)
        one.place = source->begin;
    status = verify_named(&one);
    if (status == MR_OK)
        status = verify_variants(&one);
    return status == MR_OK ? verify_import(&one) : status;
}

mr_status verify_generated(struct verifying *self)
{
    const struct mr_op_table *table = self->options->built != NULL ? mr_built_ops(self->options->built) : NULL;
    /* Otherwise what was made fails for what has been told, and says it worse. */
    unsigned count = table != NULL && self->problems->found == 0 ? table->op_count : 0;
    mr_status status = MR_OK;

    for (unsigned i = 0; i < count && status == MR_OK; i++)
        if (table->ops[i].path != NULL) /* a successor has the statement of the other's name */
            status = verify_op(self, &table->ops[i]);
    return status;
}
