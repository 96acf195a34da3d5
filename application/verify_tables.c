/*
 * A resource and its table: what the engine's statements need of it, and what the declaration says of it.
 */
#include "application/keys.h"
#include "application/verify_internal.h"

/* A resource beside its table. */
struct pair {
    struct verifying *self;
    const struct mr_app_resource *resource;
    const struct mr_sql_table *table;
    struct mr_place place; /* where the resource says its table */
    bool is_misspelt;      /* a column was not found, so one that nobody writes may be the one that was meant */
};

/* ---- Near spellings ---- */

static const char *near_table(const struct mr_catalogue *catalogue, const char *name, char room[MR_WORD_ROOM])
{
    struct mr_buf words = {0};

    for (unsigned i = 0; i < catalogue->table_count; i++)
        mr_word_add(&words, catalogue->tables[i].name);
    return mr_word_near_of(&words, name, room);
}

static const char *near_column(const struct mr_sql_table *table, const char *name, char room[MR_WORD_ROOM])
{
    struct mr_buf words = {0};

    for (unsigned i = 0; i < table->column_count; i++)
        mr_word_add(&words, table->columns[i].name);
    return mr_word_near_of(&words, name, room);
}

/* The column; NULL when there is none, which has been told. */
static const struct mr_sql_column *need_column(struct pair *pair, struct mr_place place, const char *name)
{
    const struct mr_sql_column *found = mr_catalogue_column(pair->table, name);
    char room[MR_WORD_ROOM];
    const char *near;

    if (found != NULL)
        return found;
    pair->is_misspelt = true;
    near = near_column(pair->table, name, room);
    if (near != NULL)
        complain(pair->self, place, "the table \"%s\" has no column \"%s\", expected \"%s\"", pair->table->name, name, near);
    else
        complain(pair->self, place, "the table \"%s\" has no column \"%s\", expected one that its migrations make",
                 pair->table->name, name);
    return NULL;
}

/* ---- What every resource has ---- */

static void check_standard(const struct pair *pair, const char *name, const char *type, const char *definition)
{
    const struct mr_sql_column *column = mr_catalogue_column(pair->table, name);

    if (column == NULL)
        complain(pair->self, pair->place, "the table \"%s\" has no column \"%s\", expected %s %s", pair->table->name, name,
                 name, definition);
    else if (strcmp(column->type, type) != 0 || column->is_many)
        complain(pair->self, pair->place, "the column \"%s\" of \"%s\" is %s, expected %s %s", name, pair->table->name,
                 column->told, name, definition);
    else if (!column->is_not_null)
        complain(pair->self, pair->place, "the column \"%s\" of \"%s\" takes NULL, expected %s %s", name, pair->table->name,
                 name, definition);
}

static void check_standards(const struct pair *pair)
{
    const struct mr_sql_column *id = mr_catalogue_column(pair->table, "id");

    check_standard(pair, "id", "uuid", "uuid PRIMARY KEY");
    check_standard(pair, "version", "int8", "bigint NOT NULL DEFAULT 1");
    check_standard(pair, "created_at", "timestamptz", "timestamptz NOT NULL DEFAULT clock_timestamp()");
    check_standard(pair, "updated_at", "timestamptz", "timestamptz NOT NULL DEFAULT clock_timestamp()");
    if (id != NULL && !mr_catalogue_is_unique(pair->table, &id, 1))
        complain(pair->self, pair->place, "the column \"id\" of \"%s\" is not unique, expected it as the primary key",
                 pair->table->name);
}

/* ---- The owner ---- */

/* The foreign key on this column alone, or with others; NULL: none. `at` is the column's place in it. */
static const struct mr_sql_reference *reference_of(const struct mr_sql_table *table, const struct mr_sql_column *column,
                                                   const struct mr_sql_reference *after, unsigned *at)
{
    const struct mr_sql_reference *next = after != NULL ? after + 1 : table->references;

    for (; next != NULL && next < table->references + table->reference_count; next++)
        for (*at = 0; *at < next->count; ++*at)
            if (next->numbers[*at] == column->number)
                return next;
    return NULL;
}

static bool is_of_callers(const struct mr_sql_reference *reference)
{
    return strcmp(reference->table, "millrace.app_user") == 0 || strcmp(reference->table, "millrace.account") == 0;
}

/* An account stays until the job `removal` has deleted what belongs to it; app_user goes at once. */
static bool is_removed_by_job(const struct mr_sql_reference *reference)
{
    return strcmp(reference->table, "millrace.account") == 0;
}

/* What belongs to a user goes when they do; a foreign key that forbids it keeps them from leaving. */
static void check_owner(struct pair *pair)
{
    struct mr_place place = mr_yaml_place_of(pair->resource->node, "owner");
    const struct mr_sql_column *column;
    const struct mr_sql_reference *reference = NULL;
    unsigned at;

    if (pair->resource->owner == NULL)
        return;
    column = need_column(pair, place, pair->resource->owner);
    if (column == NULL)
        return;
    if (strcmp(column->type, "uuid") != 0 || column->is_many) {
        complain(pair->self, place, "the owner's column \"%s\" is %s, expected uuid", column->name, column->told);
        return;
    }
    while ((reference = reference_of(pair->table, column, reference, &at)) != NULL && !is_of_callers(reference)) {
    }
    if (reference == NULL)
        complain(pair->self, place, "the owner's column \"%s\" refers to no user, expected REFERENCES millrace.account",
                 column->name);
    else if ((reference->on_delete == 'a' || reference->on_delete == 'r') && !is_removed_by_job(reference))
        complain(pair->self, place,
                 "a user who has rows here could not be removed, expected the column \"%s\" with REFERENCES millrace.account",
                 column->name);
}

/* ---- Unique fields, and references ---- */

static const struct mr_sql_column *owner_of(const struct pair *pair)
{
    return pair->resource->owner != NULL ? mr_catalogue_column(pair->table, pair->resource->owner) : NULL;
}

static bool is_unique(const struct pair *pair, const struct mr_sql_column *column)
{
    const struct mr_sql_column *columns[] = {column, owner_of(pair)};

    return mr_catalogue_is_unique(pair->table, columns, 2) || mr_catalogue_is_unique(pair->table, columns, 1);
}

static void check_unique(const struct pair *pair, const struct mr_app_field *field, const struct mr_sql_column *column)
{
    const struct mr_sql_column *owner = owner_of(pair);

    if (field->unique && !is_unique(pair, column))
        complain(pair->self, mr_yaml_place_of(field->node, "unique"),
                 "no unique index is on the column \"%s\", expected CREATE UNIQUE INDEX ON %s (%s%s%s)", column->name,
                 pair->table->quoted, owner != NULL ? owner->quoted : "", owner != NULL ? ", " : "", column->quoted);
}

static bool refers_to(const struct mr_sql_reference *reference, unsigned at, const struct mr_sql_table *table,
                      const struct mr_sql_column *column)
{
    return reference->table_id == table->id && reference->targets[at] == column->number;
}

/* A foreign key says both that there is a row and that there is one only; without it the second has to be said at least. */
static void check_reference(const struct pair *pair, const struct mr_app_field *field, const struct mr_sql_column *column)
{
    const struct mr_app_resource *resource;
    const struct mr_sql_table *table;
    const struct mr_sql_column *target;
    const struct mr_sql_reference *reference = NULL;
    unsigned at;

    if (field->references.resource == NULL)
        return;
    resource = mr_app_resource(pair->self->application, field->references.resource);
    table = resource != NULL && resource->table != NULL ? mr_catalogue_table(&pair->self->catalogue, resource->table) : NULL;
    target = table != NULL ? mr_catalogue_column(table, verify_column_name(resource, field->references.field)) : NULL;
    if (target == NULL)
        return; /* told where that resource is */
    while ((reference = reference_of(pair->table, column, reference, &at)) != NULL &&
           !refers_to(reference, at, table, target)) {
    }
    if (reference == NULL && !mr_catalogue_is_unique(table, &target, 1))
        complain(pair->self, mr_yaml_place_of(field->node, "references"),
                 "no foreign key is on the column \"%s\", and \"%s\" of \"%s\" is not unique, expected REFERENCES %s (%s)",
                 column->name, target->name, table->name, table->name, target->name);
}

/* ---- What lists compare ---- */

/* The server compares a word of an enumeration with no text, and has no words to search in it. */
static void check_compared(const struct pair *pair, const struct mr_app_resource *resource, const char *name,
                           const struct mr_yaml *node)
{
    const struct mr_sql_table *table =
        resource != NULL && resource->table != NULL ? mr_catalogue_table(&pair->self->catalogue, resource->table) : NULL;
    const char *named = table != NULL ? verify_column_name(resource, name) : NULL;
    const struct mr_sql_column *column = named != NULL ? mr_catalogue_column(table, named) : NULL;

    if (column != NULL && column->is_enum)
        complain(pair->self, mr_yaml_place(node),
                 "the column \"%s\" is %s, an enumeration, which lists cannot compare with a text, expected text with a CHECK",
                 column->name, column->told);
}

static const struct mr_app_resource *referenced_by(const struct pair *pair, const char *name)
{
    for (unsigned i = 0; i < pair->resource->fields.count; i++) {
        const struct mr_app_field *field = &pair->resource->fields.items[i];

        if (field->name != NULL && strcmp(field->name, name) == 0 && field->references.resource != NULL)
            return mr_app_resource(pair->self->application, field->references.resource);
    }
    return NULL;
}

static void check_list(const struct pair *pair)
{
    const struct mr_app_list *list = &pair->resource->list;

    for (unsigned i = 0; i < list->sort.count; i++) {
        const struct mr_app_sort *sort = &list->sort.items[i];

        if (sort->through != NULL)
            check_compared(pair, referenced_by(pair, sort->through), sort->of, sort->node);
        else
            check_compared(pair, pair->resource, sort->field, sort->node);
    }
    for (unsigned i = 0; i < list->filter.count; i++)
        check_compared(pair, pair->resource, list->filter.items[i].field, list->filter.items[i].node);
    for (unsigned i = 0; i < list->search.count; i++)
        check_compared(pair, pair->resource, list->search.items[i].name, list->search.items[i].node);
}

/* ---- Fields, and what no field is of ---- */

static bool writes(const struct mr_app_resource *resource)
{
    return (resource->operations & (1U << MR_APP_CREATE | 1U << MR_APP_UPDATE | 1U << MR_APP_IMPORT)) != 0;
}

/* Bounds are those of what clients write. */
static void check_fields(struct pair *pair)
{
    for (unsigned i = 0; i < pair->resource->fields.count; i++) {
        const struct mr_app_field *field = &pair->resource->fields.items[i];
        const struct mr_sql_column *column;
        struct mr_app_field shown;

        if (field->node == NULL || field->column == NULL)
            continue;
        column = need_column(pair, verify_field_place(field), field->column);
        if (column == NULL)
            continue;
        shown = *field;
        shown.readonly = field->readonly || !writes(pair->resource);
        mr_verify_column(&shown, column, pair->self->problems);
        check_unique(pair, field, column);
        check_reference(pair, field, column);
    }
}

static bool is_written(const struct mr_app_resource *resource, const char *column)
{
    if (mr_word_is_in("id|version|created_at|updated_at", column, NULL) ||
        (resource->owner != NULL && strcmp(resource->owner, column) == 0))
        return true;
    for (unsigned i = 0; i < resource->fields.count; i++)
        if (!resource->fields.items[i].readonly && resource->fields.items[i].column != NULL &&
            strcmp(resource->fields.items[i].column, column) == 0)
            return true;
    return false;
}

/* Where rows are made, every column that takes no NULL gets a value: from a field, a default or a trigger. */
static void check_rest(const struct pair *pair)
{
    unsigned makes = 1U << MR_APP_CREATE | 1U << MR_APP_IMPORT;

    if ((pair->resource->operations & makes) == 0 || pair->is_misspelt)
        return;
    for (unsigned i = 0; i < pair->table->column_count; i++) {
        const struct mr_sql_column *column = &pair->table->columns[i];

        if (column->is_not_null && !column->has_default && !column->is_generated && !column->may_be_filled &&
            !is_written(pair->resource, column->name))
            complain(pair->self, pair->place,
                     "the column \"%s\" of \"%s\" is NOT NULL without a DEFAULT, and a new row has no value for it, expected a"
                     " field that is written, or a DEFAULT",
                     column->name, pair->table->name);
    }
}

static const char *told_kind(char kind)
{
    return kind == 'v' ? "a view" : kind == 'm' ? "a materialized view" : "a foreign table";
}

static void no_table(struct verifying *self, const struct mr_app_resource *resource, struct mr_place place)
{
    char room[MR_WORD_ROOM];
    const char *near = near_table(&self->catalogue, resource->table, room);

    if (near != NULL)
        complain(self, place, "there is no table \"%s\", expected \"%s\"", resource->table, near);
    else
        complain(self, place, "there is no table \"%s\", expected one that migrations/ makes", resource->table);
}

void verify_table(struct verifying *self, const struct mr_app_resource *resource)
{
    struct pair pair = {.self = self, .resource = resource};

    if (resource->node == NULL || resource->table == NULL)
        return;
    pair.place = mr_yaml_place_of(resource->node, "table");
    pair.table = mr_catalogue_table(&self->catalogue, resource->table);
    if (pair.table == NULL) {
        no_table(self, resource, pair.place);
        return;
    }
    if (pair.table->kind != 'r' && pair.table->kind != 'p') {
        complain(self, pair.place, "\"%s\" is %s, expected a table", resource->table, told_kind(pair.table->kind));
        return;
    }
    if (mr_app_is_served(resource))
        check_standards(&pair);
    check_owner(&pair);
    check_fields(&pair);
    check_list(&pair);
    check_rest(&pair);
}
