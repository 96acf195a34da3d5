#include "application/tree.h"

#include <stdio.h>

/* ---- Names ---- */

static bool same(const struct mr_sql_name *a, const char *schema, const char *name)
{
    return strcmp(a->name, name) == 0 &&
           (a->schema == NULL || schema == NULL ? a->schema == schema : strcmp(a->schema, schema) == 0);
}

void mr_sql_add(struct mr_sql_names *self, struct mr_arena *arena, const char *schema, const char *name, bool of_parameters)
{
    struct mr_sql_name *all;

    for (unsigned i = 0; i < self->count; i++)
        if (same(&self->items[i], schema, name)) {
            self->items[i].of_parameters = self->items[i].of_parameters || of_parameters;
            return;
        }
    all = mr_arena_grow(arena, self->items, self->count, sizeof *all);
    if (all == NULL)
        return;
    self->items = all;
    all[self->count++] = (struct mr_sql_name){schema != NULL ? mr_arena_text(arena, mr_slice_of(schema)) : NULL,
                                              mr_arena_text(arena, mr_slice_of(name)), of_parameters};
}

static void add(struct mr_tree *self, struct mr_sql_names *names, const char *schema, const char *name, bool of_parameters)
{
    mr_sql_add(names, self->arena, schema, name, of_parameters);
}

/* The text of {"String": {"sval": ...}}, NULL of another node. */
static const char *text_of(json_t *node)
{
    return json_string_value(json_object_get(json_object_get(node, "String"), "sval"));
}

/* A list of strings: `name`, `schema.name` or `database.schema.name`. */
static void add_list(struct mr_tree *self, struct mr_sql_names *names, json_t *list, bool of_parameters)
{
    size_t count = json_array_size(list);
    const char *name = count > 0 ? text_of(json_array_get(list, count - 1)) : NULL;

    if (name != NULL)
        add(self, names, count > 1 ? text_of(json_array_get(list, count - 2)) : NULL, name, of_parameters);
}

/* ---- What stands below a node ---- */

static bool has(json_t *node, const char *key)
{
    const char *name;
    json_t *value;
    size_t index;

    if (json_is_array(node)) {
        json_array_foreach(node, index, value)
            if (has(value, key))
                return true;
    } else if (json_is_object(node)) {
        json_object_foreach(node, name, value)
            if (strcmp(name, key) == 0 || has(value, key))
                return true;
    }
    return false;
}

/* An aggregate function whose arguments are all of an outer query would be that query's. */
static bool is_of_parameters(json_t *call)
{
    static const char *const places[] = {"args", "agg_order", "agg_filter"};
    bool parameters = false;
    bool columns = false;
    bool queries = false;

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        json_t *place = json_object_get(call, places[i]);

        parameters = parameters || has(place, "ParamRef");
        columns = columns || has(place, "ColumnRef");
        queries = queries || has(place, "SelectStmt");
    }
    return parameters && (!columns || queries);
}

/* ---- Nodes ---- */

static void find(struct mr_tree *self, enum mr_tree_found found)
{
    if (found > self->found)
        self->found = found;
}

static void on_function(struct mr_tree *self, json_t *node)
{
    add_list(self, &self->out->functions, json_object_get(node, "funcname"), is_of_parameters(node));
}

static void on_operator(struct mr_tree *self, json_t *node)
{
    add_list(self, &self->out->operators, json_object_get(node, "name"), false);
}

static void on_sublink(struct mr_tree *self, json_t *node)
{
    add_list(self, &self->out->operators, json_object_get(node, "operName"), false);
}

static void on_sort(struct mr_tree *self, json_t *node)
{
    add_list(self, &self->out->operators, json_object_get(node, "useOp"), false);
}

static void on_relation(struct mr_tree *self, json_t *node)
{
    const char *name = json_string_value(json_object_get(node, "relname"));

    if (name != NULL)
        add(self, &self->out->relations, json_string_value(json_object_get(node, "schemaname")), name, false);
}

static void on_part(struct mr_tree *self, json_t *node)
{
    const char *name = json_string_value(json_object_get(node, "ctename"));

    if (name != NULL)
        add(self, &self->out->parts, NULL, name, false);
}

static void on_change(struct mr_tree *self, json_t *node)
{
    (void)node;
    find(self, MR_TREE_CHANGE);
}

static void on_into(struct mr_tree *self, json_t *node)
{
    (void)node;
    find(self, MR_TREE_INTO);
}

static void on_node(struct mr_tree *self, const char *name, json_t *node)
{
    static const struct {
        const char *name;
        void (*call)(struct mr_tree *self, json_t *node);
    } table[] = {
        {"FuncCall", on_function},       {"A_Expr", on_operator},   {"SubLink", on_sublink},      {"SortBy", on_sort},
        {"RangeVar", on_relation},       {"relation", on_relation}, {"CommonTableExpr", on_part}, {"InsertStmt", on_change},
        {"UpdateStmt", on_change},       {"DeleteStmt", on_change}, {"MergeStmt", on_change},     {"LockingClause", on_change},
        {"RangeTableSample", on_change}, {"intoClause", on_into},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(name, table[i].name) == 0)
            table[i].call(self, node);
}

static void walk(struct mr_tree *self, json_t *node)
{
    const char *name;
    json_t *value;
    size_t index;

    if (json_is_array(node)) {
        json_array_foreach(node, index, value)
            walk(self, value);
    } else if (json_is_object(node)) {
        json_object_foreach(node, name, value) {
            on_node(self, name, value);
            if (strcmp(name, "LockingClause") != 0) /* FOR UPDATE OF x: names of its own query */
                walk(self, value);
        }
    }
}

/* ---- The answer's columns ---- */

/* The list that names them: of a query its own, of a union that of its first. */
static json_t *targets_of(json_t *body)
{
    while (json_object_get(body, "larg") != NULL)
        body = json_object_get(body, "larg");
    return json_object_get(body, "targetList");
}

/* The name that a target has of its own: its alias, or the column it is. */
static const char *target_name(json_t *target)
{
    const char *name = json_string_value(json_object_get(target, "name"));
    json_t *fields = json_object_get(json_object_get(json_object_get(target, "val"), "ColumnRef"), "fields");

    return name != NULL ? name : text_of(json_array_get(fields, json_array_size(fields) - 1));
}

/* More than a column (or `*`), a value or a parameter: it can fail. */
static bool is_computed(json_t *target)
{
    json_t *value = json_object_get(target, "val");

    return json_object_get(value, "ColumnRef") == NULL && json_object_get(value, "A_Const") == NULL &&
           json_object_get(value, "ParamRef") == NULL;
}

static void add_columns(struct mr_tree *self, json_t *targets)
{
    json_t *target;
    size_t index;

    json_array_foreach(targets, index, target) {
        const char *name = target_name(json_object_get(target, "ResTarget"));

        if (is_computed(json_object_get(target, "ResTarget")))
            add(self, &self->out->computed, NULL, name != NULL ? name : "", false);
        if (name != NULL)
            add(self, &self->out->columns, NULL, name, false);
        else
            self->out->has_star = true;
    }
    self->out->answers = self->out->answers || json_array_size(targets) > 0;
}

static bool takes_returning(const char *kind)
{
    return strcmp(kind, "InsertStmt") == 0 || strcmp(kind, "UpdateStmt") == 0 || strcmp(kind, "DeleteStmt") == 0;
}

static void on_statement(struct mr_tree *self, const char *kind, json_t *body)
{
    if (strcmp(kind, "SelectStmt") == 0) {
        add_columns(self, targets_of(body));
        self->out->answers = true; /* VALUES has no targets */
        self->out->has_star = self->out->has_star || json_array_size(targets_of(body)) == 0;
    } else if (takes_returning(kind)) {
        add_columns(self, json_object_get(body, "returningList"));
    } else if (strcmp(kind, "CallStmt") == 0) {
        find(self, MR_TREE_CALL);
    } else if (strcmp(kind, "MergeStmt") != 0) {
        find(self, MR_TREE_OTHER);
        snprintf(self->told, sizeof self->told, "%.*s", (int)(strlen(kind) - strlen("Stmt")), kind);
    }
}

void mr_tree_walk(struct mr_tree *self, json_t *root)
{
    json_t *statement = json_object_get(json_array_get(json_object_get(root, "stmts"), 0), "stmt");
    const char *kind;
    json_t *body;

    json_object_foreach(statement, kind, body)
        on_statement(self, kind, body);
    walk(self, statement);
}
