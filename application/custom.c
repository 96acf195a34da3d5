/*
 * An operation of its own: fields, row and statement.
 */
#include "application/form.h"
#include "application/keys.h"

struct custom {
    struct mr_making *making;
    const struct mr_app_operation *declared;
    const struct mr_app_statement *source;
    struct mr_sql sql;
    struct mr_making_fields gathered;
    const struct mr_field *fields; /* those, once they are all there */
    enum mr_access access;
    const struct mr_app_resource *resource; /* that the answer shows, NULL: another answer */
    enum mr_shape shape;
};

#define complain(self, place, ...) mr_problems_add((self)->making->problems, place, __VA_ARGS__)

static struct mr_place place_of(const struct custom *self, const char *key)
{
    return mr_yaml_place_of(self->declared->node, key);
}

/* ---- Names behind a colon ---- */

static bool names(const struct custom *self, const char *name)
{
    for (unsigned i = 0; i < self->sql.parameter_count; i++)
        if (strcmp(self->sql.parameters[i].name, name) == 0)
            return true;
    return false;
}

static bool needs_caller(const char *name)
{
    return strcmp(name, "caller") == 0 || strcmp(name, "role") == 0;
}

/* The declared field that is meant, if one is near. */
static const char *near_name(const struct custom *self, const char *name, char room[MR_WORD_ROOM])
{
    struct mr_buf words = {0};

    mr_word_add(&words, MR_RESERVED_NAMES);
    for (unsigned i = 0; i < self->declared->fields.count; i++)
        mr_word_add(&words, self->declared->fields.items[i].name);
    return mr_word_near_of(&words, name, room);
}

static void check_parameter(struct custom *self, const struct mr_sql_parameter *parameter)
{
    bool is_reserved = mr_word_is_in(MR_RESERVED_NAMES, parameter->name, NULL);
    char room[MR_WORD_ROOM];
    const char *near;

    if (is_reserved && needs_caller(parameter->name) && self->access == MR_ACCESS_PUBLIC)
        complain(self, parameter->place, "\":%s\" where anybody may call %s, expected access: user or admin", parameter->name,
                 self->declared->name);
    if (is_reserved || mr_app_field(&self->declared->fields, parameter->name) != NULL)
        return;
    near = near_name(self, parameter->name, room);
    if (near != NULL)
        complain(self, parameter->place, "%s has no field \"%s\", expected \":%s\"", self->declared->name, parameter->name,
                 near);
    else
        complain(self, parameter->place, "%s has no field \"%s\", expected one of its fields or " MR_RESERVED_NAMES,
                 self->declared->name, parameter->name);
}

/* A field that is asked for and not used is a mistake, in the one or in the other file. A set-wise statement names columns of k. */
static void check_parameters(struct custom *self)
{
    for (unsigned i = 0; i < self->sql.parameter_count; i++)
        check_parameter(self, &self->sql.parameters[i]);
    for (unsigned i = 0; self->sql.kind != MR_SQL_SET_WISE && i < self->declared->fields.count; i++) {
        const struct mr_app_field *field = &self->declared->fields.items[i];

        if (!names(self, field->name))
            complain(self, mr_yaml_place(field->node->key), "the statement %s does not use \"%s\", expected \":%s\" in it",
                     self->source->name, field->name, field->name);
    }
}

/* ---- The answer ---- */

static void take_answer(struct custom *self)
{
    const struct mr_app_returns *returns = &self->declared->returns;

    if (returns->resource != NULL)
        self->resource = mr_app_resource(self->making->application, returns->resource);
    self->shape = returns->node == NULL ? MR_SHAPE_NONE : returns->many ? MR_SHAPE_MANY : MR_SHAPE_ONE;
}

/* A column that the statement names itself; with `*` only the database knows. */
static void check_member(struct custom *self, const struct mr_app_field *field)
{
    if (!self->sql.has_star && !mr_sql_has(&self->sql.columns, field->name))
        complain(self, mr_yaml_place(field->node->key), "the statement %s has no column \"%s\", expected one of that name",
                 self->source->name, field->name);
}

static void check_answer(struct custom *self)
{
    const struct mr_sql *sql = &self->sql;

    if (self->shape != MR_SHAPE_NONE && !sql->answers)
        complain(self, place_of(self, "returns"),
                 "the statement %s answers no rows, expected a query, RETURNING, or no `returns`", self->source->name);
    else if (sql->kind == MR_SQL_SET_WISE && !sql->has_star && !mr_sql_has(&sql->columns, "$n"))
        complain(self, sql->place, "a set-wise statement without the column \"$n\", expected it: k.\"$n\"");
    else
        for (unsigned i = 0; self->shape != MR_SHAPE_NONE && i < self->declared->returns.fields.count; i++)
            check_member(self, &self->declared->returns.fields.items[i]);
}

/* ---- Fields ---- */

static enum mr_source source_of(const struct mr_app_field *field)
{
    static const enum mr_source sources[] = {
        [MR_APP_FROM_PATH] = MR_PATH, [MR_APP_FROM_QUERY] = MR_QUERY, [MR_APP_FROM_BODY] = MR_BODY};

    return sources[field->from.index];
}

static void add_field(struct custom *self, const char *name, enum mr_type type, enum mr_source from, bool required,
                      const char *about)
{
    mr_make_field(self->making, &self->gathered,
                  (struct mr_field){.name = name, .type = type, .from = from, .required = required, .about = about});
}

/* CALL takes what it names and nothing else; any other statement can have a parameter beside. */
static bool wants(const struct custom *self, const char *name)
{
    return self->sql.kind == MR_SQL_SET_WISE || names(self, name);
}

static void take_reserved(struct custom *self)
{
    bool by_user = self->access != MR_ACCESS_PUBLIC;

    const char *scopes = mr_access_scopes(self->declared->access);

    if (by_user && (self->sql.kind != MR_SQL_CALL || wants(self, "caller")))
        mr_make_caller(self->making, &self->gathered, scopes);
    if (by_user && wants(self, "role"))
        add_field(self, MR_ROLE_FIELD, MR_BOOL, MR_TOKEN_ADMIN, scopes == NULL, "whether an administrator calls");
    if (wants(self, "newId") || (self->gathered.count == 0 && self->sql.kind != MR_SQL_CALL))
        add_field(self, "newId", MR_UUID, MR_NEW_ID, true, "a new id");
    if (self->declared->idempotent)
        mr_make_idempotency(self->making, &self->gathered);
}

static void take_fields(struct custom *self)
{
    for (unsigned i = 0; i < self->declared->fields.count; i++) {
        const struct mr_app_field *declared = &self->declared->fields.items[i];
        struct mr_field field = mr_field_of(self->making, declared, source_of(declared));

        field.required = field.required || field.from == MR_PATH;
        mr_make_field(self->making, &self->gathered, field);
    }
    take_reserved(self);
    self->fields = mr_make_fields(self->making, &self->gathered);
}

static void check_idempotent(struct custom *self)
{
    if (!self->declared->idempotent)
        return;
    if (self->access == MR_ACCESS_PUBLIC)
        complain(self, place_of(self, "idempotent"), "keys are a user's own, expected access: user or admin");
    if (self->sql.kind == MR_SQL_SET_WISE || self->sql.kind == MR_SQL_CALL)
        complain(self, place_of(self, "idempotent"),
                 "%s cannot be kept with its answer, expected another statement or no `idempotent`",
                 self->sql.kind == MR_SQL_CALL ? "CALL" : "a set-wise statement");
}

/* ---- The row ---- */

static bool has_get(const struct mr_app_resource *resource)
{
    return resource != NULL && (resource->operations & 1U << MR_APP_GET) != 0;
}

static int http_of(const struct custom *self)
{
    if (self->declared->status.is_set)
        return (int)self->declared->status.value;
    return self->shape == MR_SHAPE_NONE ? 204 : 200;
}

static const char *location_of(struct custom *self)
{
    if (http_of(self) != 201 || self->shape != MR_SHAPE_ONE || !has_get(self->resource))
        return NULL;
    return mr_make_text(self->making, "%s/:id", self->resource->path);
}

static const struct mr_result *result_of(struct custom *self)
{
    if (self->shape == MR_SHAPE_NONE)
        return NULL;
    if (self->resource != NULL)
        return mr_result_of(self->making, self->resource);
    return mr_result_of_fields(self->making, self->declared->name, self->declared->about, &self->declared->returns.fields);
}

/* What has a key, or may change something, waits behind what came before it; a list of what is there may take long. */
static enum mr_lane lane_of(const struct custom *self)
{
    bool reads = self->sql.kind != MR_SQL_CALL && !self->sql.changes && self->declared->key == NULL;

    return reads && self->shape == MR_SHAPE_MANY ? MR_LANE_SLOW : MR_LANE_QUICK;
}

/* Two operations that name one field their key keep its messages in order between them, whatever they are called. */
static struct mr_traits traits_of(struct custom *self)
{
    const struct mr_app_operation *declared = self->declared;

    return (struct mr_traits){
        .summary = declared->about != NULL ? declared->about : mr_make_text(self->making, "%s", declared->name),
        .shape = self->shape,
        .lane = lane_of(self),
        .resource = declared->key,
        .key = declared->key,
        .location = location_of(self),
        .idempotent = declared->idempotent,
        .scopes = mr_access_scopes(declared->access),
        .returns = result_of(self),
        .answers = mr_failures_of(self->making, &self->sql, self->shape, declared->idempotent),
        .versioned = self->resource != NULL && self->shape == MR_SHAPE_ONE && mr_app_is_served(self->resource),
        .cache_s = (unsigned)(declared->cache_ms.value / 1000),
        .constraints = true,
        .fields = self->fields,
    };
}

static void add_op(struct custom *self)
{
    struct mr_traits *traits = mr_arena_take(self->making->arena, sizeof *traits);
    const struct mr_app_operation *declared = self->declared;
    const struct mr_app_fields *members =
        self->resource == NULL && self->shape != MR_SHAPE_NONE ? &declared->returns.fields : NULL;

    if (traits == NULL || self->fields == NULL)
        return;
    *traits = traits_of(self);
    mr_make_op(self->making, &(struct mr_op_info){.name = declared->name,
                                                  .verb = declared->route.verb,
                                                  .path = mr_path_of(self->making, declared->route.path),
                                                  .actor = MR_ACTOR_DATA_WRITER,
                                                  .access = self->access,
                                                  .http = http_of(self),
                                                  .handler = MR_BY_SQL,
                                                  .traits = traits});
    if (self->making->arena->failed)
        return;
    mr_make_form(&(struct mr_custom){.making = self->making,
                                     .sql = &self->sql,
                                     .fields = self->fields,
                                     .shape = self->shape,
                                     .resource = self->resource,
                                     .members = members},
                 self->making->op_count - 1, traits);
}

void mr_make_operation(struct mr_making *self, const struct mr_app_operation *operation)
{
    struct custom custom = {
        .making = self, .declared = operation, .source = mr_app_statement(self->application, operation->statement)};
    unsigned before = self->problems->found;

    if (custom.source == NULL || !mr_sql_read(&custom.sql, self->arena, custom.source, self->problems))
        return;
    mr_make_needs_of(self, &custom.sql, MR_DB_FOR_REQUESTS);
    custom.access = mr_access_of(operation->access);
    take_answer(&custom);
    check_parameters(&custom);
    check_answer(&custom);
    check_idempotent(&custom);
    take_fields(&custom);
    if (self->problems->found == before)
        add_op(&custom);
}
