/*
 * What an application needs of its database: the tables that its operations and jobs name, and what they do with them
 * (runtime/needs.h). Of a generated operation that is known; of a statement of queries/ its text says which tables, and not with which
 * rights. What functions of the application use is the functions' affair.
 */
#include "application/making.h"
#include "application/statement.h"
#include "runtime/needs.h"

static bool is_same(const struct mr_table_need *need, const char *schema, const char *table, enum mr_db_use use)
{
    if (need->use != use || strcmp(need->table, table) != 0)
        return false;
    return schema == NULL || need->schema == NULL ? schema == need->schema : strcmp(schema, need->schema) == 0;
}

static void add(struct mr_making *self, const char *schema, const char *table, unsigned rights, enum mr_db_use use)
{
    struct mr_table_need *all;

    for (unsigned i = 0; i < self->need_count; i++)
        if (is_same(&self->needs[i], schema, table, use)) {
            self->needs[i].rights |= rights;
            return;
        }
    all = mr_arena_grow(self->arena, self->needs, self->need_count, sizeof *all);
    if (all == NULL)
        return;
    self->needs = all;
    all[self->need_count++] = (struct mr_table_need){schema, table, rights, use};
}

void mr_make_needs_of(struct mr_making *self, const struct mr_sql *sql, enum mr_db_use use)
{
    for (unsigned i = 0; i < sql->relations.count; i++) {
        const struct mr_sql_name *name = &sql->relations.items[i];

        if (name->schema != NULL || !mr_sql_has(&sql->parts, name->name))
            add(self, name->schema, name->name, 0, use);
    }
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

/* What its fields refer to is read by whoever reads or writes a row. */
static void add_referenced(struct mr_making *self, const struct mr_app_resource *resource, enum mr_db_use use)
{
    for (unsigned i = 0; i < resource->fields.count; i++) {
        const char *name = resource->fields.items[i].references.resource;
        const struct mr_app_resource *other = name != NULL ? mr_app_resource(self->application, name) : NULL;

        if (other != NULL)
            add(self, NULL, other->table, MR_RIGHT_SELECT, use);
    }
}

void mr_make_needs(struct mr_making *self, const struct mr_app_resource *resource)
{
    unsigned rights = rights_of(self, resource);

    if (rights != 0) {
        add(self, NULL, resource->table, rights, MR_DB_FOR_REQUESTS);
        add_referenced(self, resource, MR_DB_FOR_REQUESTS);
    }
    if ((resource->operations & 1U << MR_APP_IMPORT) != 0) {
        add(self, NULL, resource->table, MR_RIGHT_SELECT | MR_RIGHT_INSERT, MR_DB_FOR_JOBS);
        add_referenced(self, resource, MR_DB_FOR_JOBS);
    }
}
