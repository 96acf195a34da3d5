/*
 * What an application needs of its database: the tables and functions that its operations and jobs name, and what they do with them
 * (runtime/needs.h). Of a generated operation that is known, with the columns; of a statement of queries/ its text says which tables,
 * and neither with which rights nor which of the columns that it names are theirs. What functions of the application use is the functions' affair.
 */
#include "application/making.h"
#include "application/statement.h"
#include "runtime/needs.h"

/* A schema may be NULL: that of the search path, which is no other's. */
static bool is_same(const char *schema, const char *name, const char *other_schema, const char *other_name)
{
    if (strcmp(name, other_name) != 0)
        return false;
    return schema == NULL || other_schema == NULL ? schema == other_schema : strcmp(schema, other_schema) == 0;
}

/* The need of that table, which holds until the next is added; NULL: no memory. */
static struct mr_table_need *add(struct mr_making *self, const char *schema, const char *table, unsigned rights,
                                 enum mr_db_use use)
{
    struct mr_table_need *all;

    for (unsigned i = 0; i < self->need_count; i++)
        if (self->needs[i].use == use && is_same(self->needs[i].schema, self->needs[i].table, schema, table)) {
            self->needs[i].rights |= rights;
            return &self->needs[i];
        }
    all = mr_arena_grow(self->arena, self->needs, self->need_count, sizeof *all);
    if (all == NULL)
        return NULL;
    self->needs = all;
    all[self->need_count] = (struct mr_table_need){.schema = schema, .table = table, .rights = rights, .use = use};
    return &all[self->need_count++];
}

static void add_column(struct mr_making *self, struct mr_table_need *need, const char *column)
{
    const char **all;

    if (need == NULL || column == NULL)
        return;
    for (unsigned i = 0; i < need->column_count; i++)
        if (strcmp(need->columns[i], column) == 0)
            return;
    all = mr_arena_grow(self->arena, need->columns, need->column_count, sizeof *all);
    if (all == NULL)
        return;
    need->columns = all;
    all[need->column_count++] = column;
}

static void add_function(struct mr_making *self, const struct mr_sql_name *name, enum mr_db_use use)
{
    struct mr_function_need *all;

    for (unsigned i = 0; i < self->function_need_count; i++) {
        const struct mr_function_need *need = &self->function_needs[i];

        if (need->use == use && is_same(need->schema, need->function, name->schema, name->name))
            return;
    }
    all = mr_arena_grow(self->arena, self->function_needs, self->function_need_count, sizeof *all);
    if (all == NULL)
        return;
    self->function_needs = all;
    all[self->function_need_count++] = (struct mr_function_need){name->schema, name->name, use};
}

/* The parser makes calls in pg_catalog of what is syntax, EXTRACT for one, and not each release of the server has those. */
static void add_functions(struct mr_making *self, const struct mr_sql_names *names, enum mr_db_use use)
{
    for (unsigned i = 0; i < names->count; i++)
        if (names->items[i].schema == NULL || strcmp(names->items[i].schema, "pg_catalog") != 0)
            add_function(self, &names->items[i], use);
}

void mr_make_needs_of(struct mr_making *self, const struct mr_sql *sql, enum mr_db_use use)
{
    for (unsigned i = 0; i < sql->relations.count; i++) {
        const struct mr_sql_name *name = &sql->relations.items[i];

        if (name->schema != NULL || !mr_sql_has(&sql->parts, name->name))
            (void)add(self, name->schema, name->name, 0, use);
    }
    add_functions(self, &sql->functions, use);
}

void mr_make_needs_of_text(struct mr_making *self, const char *text, enum mr_db_use use)
{
    struct mr_sql sql = {0};

    if (mr_sql_collect_names(&sql, self->arena, text))
        mr_make_needs_of(self, &sql, use);
}

/* ---- What is generated ---- */

/* The rights of the operations that no statement of the application's own stands in for. */
static unsigned rights_of(struct mr_making *self, const struct mr_app_resource *resource)
{
    static const struct {
        enum mr_app_standard standard;
        const char *name;
        unsigned rights;
    } table[] = {
        {MR_APP_CREATE, "create", MR_RIGHT_SELECT | MR_RIGHT_INSERT},
        {MR_APP_GET, "get", MR_RIGHT_SELECT},
        {MR_APP_LIST, "list", MR_RIGHT_SELECT},
        {MR_APP_UPDATE, "update", MR_RIGHT_SELECT | MR_RIGHT_UPDATE},
        {MR_APP_DELETE, "delete", MR_RIGHT_SELECT | MR_RIGHT_DELETE},
    };
    unsigned rights = 0;

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if ((resource->operations & 1U << table[i].standard) != 0 &&
            mr_app_statement(self->application, mr_make_text(self, "%s_%s", resource->name, table[i].name)) == NULL)
            rights |= table[i].rights;
    return rights;
}

static const char *column_of(const struct mr_app_resource *resource, const char *name)
{
    const struct mr_app_field *field = name != NULL ? mr_app_field(&resource->fields, name) : NULL;

    return field != NULL ? field->column : NULL;
}

/* Columns of the row that the field references: what it is found by, what is embedded of it, and what lists are sorted by. */
static void add_columns_of(struct mr_making *self, const struct mr_app_resource *resource, const struct mr_app_field *field,
                           const struct mr_app_resource *other, struct mr_table_need *need)
{
    add_column(self, need, column_of(other, field->references.field));
    add_column(self, need, other->owner);
    for (unsigned i = 0; i < field->embed.columns.count; i++)
        add_column(self, need, field->embed.columns.items[i].name);
    for (unsigned i = 0; i < resource->list.sort.count; i++) {
        const struct mr_app_sort *sort = &resource->list.sort.items[i];

        if (sort->through != NULL && strcmp(sort->through, field->name) == 0)
            add_column(self, need, column_of(other, sort->of));
    }
}

/* What its fields refer to is read by whoever reads or writes a row. */
static void add_referenced(struct mr_making *self, const struct mr_app_resource *resource, enum mr_db_use use)
{
    for (unsigned i = 0; i < resource->fields.count; i++) {
        const char *name = resource->fields.items[i].references.resource;
        const struct mr_app_resource *other = name != NULL ? mr_app_resource(self->application, name) : NULL;

        if (other != NULL)
            add_columns_of(self, resource, &resource->fields.items[i], other,
                           add(self, NULL, other->table, MR_RIGHT_SELECT, use));
    }
}

static void add_rows(struct mr_making *self, const struct mr_app_resource *resource, unsigned rights, enum mr_db_use use)
{
    static const char *const standard[] = {"id", "version", "created_at", "updated_at"};
    struct mr_table_need *need = add(self, NULL, resource->table, rights, use);

    for (size_t i = 0; i < sizeof standard / sizeof standard[0]; i++)
        add_column(self, need, standard[i]);
    add_column(self, need, resource->owner);
    for (unsigned i = 0; i < resource->fields.count; i++)
        add_column(self, need, resource->fields.items[i].column);
    add_referenced(self, resource, use);
}

void mr_make_needs(struct mr_making *self, const struct mr_app_resource *resource)
{
    unsigned rights = rights_of(self, resource);

    if (rights != 0)
        add_rows(self, resource, rights, MR_DB_FOR_REQUESTS);
    if ((resource->operations & 1U << MR_APP_IMPORT) != 0)
        add_rows(self, resource, MR_RIGHT_SELECT | MR_RIGHT_INSERT, MR_DB_FOR_JOBS);
}
