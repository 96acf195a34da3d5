#include "application/check.h"

#include <stdio.h>
#include <stdlib.h>

#include "application/access.h"
#include "application/keys.h"
#include "application/value.h"
#include "proto/jobs.h"
#include "proto/kind.h"
#include "proto/message.h"
#include "runtime/clock.h"
#include "runtime/webhook.h"
#include "scheduler/cron.h"

struct checking {
    struct mr_application *application;
    const struct mr_application_options *options;
    struct mr_problems *problems;
};

#define complain(self, place, ...) mr_problems_add((self)->problems, place, __VA_ARGS__)

/* ---- Fields that lists, embeds and references name ---- */

static const char *near_field(const struct mr_app_fields *fields, const char *name, char room[MR_WORD_ROOM])
{
    struct mr_buf words = {0};

    for (unsigned i = 0; i < fields->count; i++)
        mr_word_add(&words, fields->items[i].name);
    return mr_word_near_of(&words, name, room);
}

static void no_field(struct checking *self, struct mr_place place, const struct mr_app_fields *fields, const char *name)
{
    char room[MR_WORD_ROOM];
    const char *near = near_field(fields, name, room);

    if (near != NULL)
        complain(self, place, "there is no field \"%s\", expected \"%s\"", name, near);
    else
        complain(self, place, "there is no field \"%s\", expected one that is declared", name);
}

/* The type of a field by its name, those that every resource has included; -1 when there is none. */
static int type_of(const struct mr_app_resource *resource, const char *name)
{
    const struct mr_app_field *field = mr_app_field(&resource->fields, name);

    if (field != NULL)
        return field->type.index;
    if (strcmp(name, "id") == 0)
        return MR_APP_UUID;
    if (strcmp(name, "version") == 0)
        return MR_APP_INTEGER;
    return mr_word_is_in(MR_IMPLIED_NAMES, name, NULL) ? MR_APP_TIMESTAMP : -1;
}

/* Whether a field can be compared: there, one value, and of a type that has an order. */
static void check_comparable(struct checking *self, const struct mr_app_resource *resource, const char *name,
                             const struct mr_yaml *node)
{
    const struct mr_app_field *field = mr_app_field(&resource->fields, name);
    int type = type_of(resource, name);

    if (type < 0)
        no_field(self, mr_yaml_place(node), &resource->fields, name);
    else if (type == MR_APP_JSON || (field != NULL && field->many))
        complain(self, mr_yaml_place(node), "\"%s\" is %s, expected a field that can be compared", name,
                 type == MR_APP_JSON ? "json" : "an array");
}

/* Rows without a value there would have to come last: which they are no index knows. */
static void check_through(struct checking *self, const struct mr_app_resource *resource, const struct mr_app_sort *sort)
{
    const struct mr_app_field *field = mr_app_field(&resource->fields, sort->through);
    const struct mr_app_resource *other = field != NULL && field->references.resource != NULL
                                              ? mr_app_resource(self->application, field->references.resource)
                                              : NULL;
    const struct mr_app_field *of = other != NULL ? mr_app_field(&other->fields, sort->of) : NULL;
    struct mr_place place = mr_yaml_place(sort->node);

    if (type_of(resource, sort->field) >= 0)
        complain(self, mr_yaml_place(sort->node->key), "a field has the name \"%s\" already, expected another", sort->field);
    if (field == NULL)
        no_field(self, place, &resource->fields, sort->through);
    else if (other == NULL)
        complain(self, place, "\"%s\" references nothing, expected a field that does", sort->through);
    else if (of == NULL)
        no_field(self, place, &other->fields, sort->of);
    else if (other->owner != NULL)
        complain(self, place, "rows of \"%s\" have owners, expected a resource that is everybody's", other->name);
    else {
        check_comparable(self, other, sort->of, sort->node);
        if (!field->required || !of->required)
            complain(self, place, "\"%s\" is not required, expected an order by what every row has",
                     field->required ? sort->of : sort->through);
    }
}

static void check_sorts(struct checking *self, const struct mr_app_resource *resource)
{
    for (unsigned i = 0; i < resource->list.sort.count; i++) {
        const struct mr_app_sort *sort = &resource->list.sort.items[i];

        if (sort->through != NULL)
            check_through(self, resource, sort);
        else
            check_comparable(self, resource, sort->field, sort->node);
    }
}

static void check_filters(struct checking *self, const struct mr_app_resource *resource)
{
    for (unsigned i = 0; i < resource->list.filter.count; i++) {
        const struct mr_app_filter *filter = &resource->list.filter.items[i];

        check_comparable(self, resource, filter->field, filter->node);
        if (mr_word_is_in("limit|cursor|page|pageSize|sort|q|" MR_RESERVED_NAMES, filter->parameter, NULL))
            complain(self, mr_yaml_place(filter->node->key), "the parameter \"%s\" is the engine's own, expected another name",
                     filter->parameter);
        if (type_of(resource, filter->field) == MR_APP_BOOLEAN && filter->comparison > MR_APP_UNEQUAL)
            complain(self, mr_yaml_place(filter->node), "booleans have no order, expected = or !=");
    }
}

static void check_search(struct checking *self, const struct mr_app_resource *resource)
{
    for (unsigned i = 0; i < resource->list.search.count; i++) {
        const struct mr_app_name *name = &resource->list.search.items[i];
        int type = type_of(resource, name->name);

        if (type < 0)
            no_field(self, mr_yaml_place(name->node), &resource->fields, name->name);
        else if (type != MR_APP_TEXT && type != MR_APP_JSON)
            complain(self, mr_yaml_place(name->node), "\"%s\" is %s, expected a field of text or json", name->name,
                     mr_app_type_name(type));
    }
}

/* ---- References ---- */

static const struct mr_app_field *field_by_column(const struct mr_app_fields *fields, const char *column)
{
    for (unsigned i = 0; i < fields->count; i++)
        if (fields->items[i].column != NULL && strcmp(fields->items[i].column, column) == 0)
            return &fields->items[i];
    return NULL;
}

static void check_embed(struct checking *self, const struct mr_app_resource *resource, const struct mr_app_field *field,
                        const struct mr_app_resource *target)
{
    const struct mr_app_embed *embed = &field->embed;

    if (embed->as != NULL && (mr_app_field(&resource->fields, embed->as) != NULL ||
                              mr_word_is_in(MR_IMPLIED_NAMES "|" MR_RESERVED_NAMES, embed->as, NULL)))
        complain(self, mr_yaml_place_of(embed->node, "as"), "a field has the name \"%s\" already, expected another", embed->as);
    for (unsigned i = 0; i < embed->columns.count; i++) {
        const struct mr_app_name *column = &embed->columns.items[i];

        if (!mr_word_is_in("id|version|created_at|updated_at", column->name, NULL) &&
            field_by_column(&target->fields, column->name) == NULL)
            complain(self, mr_yaml_place(column->node), "no field of \"%s\" has the column \"%s\", expected one that has",
                     target->name, column->name);
    }
    /* Else whoever reads this resource would read of the other what they may not. */
    if (target->access.read != NULL && resource->access.read != NULL &&
        !mr_access_covers(resource->access.read, target->access.read))
        complain(self, mr_yaml_place(embed->node),
                 "who reads \"%s\" (%s) may not read \"%s\" (%s), expected no embed or another access", resource->name,
                 resource->access.read, target->name, target->access.read);
}

static void check_reference(struct checking *self, const struct mr_app_resource *resource, const struct mr_app_field *field)
{
    const struct mr_app_resource *target;
    struct mr_place place;
    int type;

    if (field->references.resource == NULL)
        return;
    place = mr_yaml_place_of(field->node, "references");
    target = mr_app_resource(self->application, field->references.resource);
    if (target == NULL) {
        complain(self, place, "there is no resource \"%s\", expected one of resources/", field->references.resource);
        return;
    }
    type = type_of(target, field->references.field);
    if (type < 0)
        no_field(self, place, &target->fields, field->references.field);
    else if (field->type.is_set && type != field->type.index)
        complain(self, place, "%s.%s is %s, expected %s as this field", target->name, field->references.field,
                 mr_app_type_name(type), mr_app_type_name(field->type.index));
    if (field->embed.node != NULL)
        check_embed(self, resource, field, target);
}

static void check_statement(struct checking *self, struct mr_place place, const char *name);

/* ---- Resources ---- */

static void check_columns(struct checking *self, const struct mr_app_resource *resource)
{
    for (unsigned i = 0; i < resource->fields.count; i++) {
        const struct mr_app_field *field = &resource->fields.items[i];
        const struct mr_app_field *first = field->column != NULL ? field_by_column(&resource->fields, field->column) : field;
        struct mr_place place;

        if (field->node == NULL || field->column == NULL)
            continue;
        place = mr_yaml_get(field->node, "column") != NULL ? mr_yaml_place_of(field->node, "column")
                                                           : mr_yaml_place(field->node->key);
        if (first != field)
            complain(self, place, "the column \"%s\" belongs to \"%s\" already, expected another", field->column, first->name);
        else if (resource->owner != NULL && strcmp(field->column, resource->owner) == 0 && !field->readonly)
            complain(self, place, "the column \"%s\" is the owner, which the engine fills in, expected another, or readonly",
                     field->column);
        else if (mr_word_is_in("id|version|created_at|updated_at", field->column, NULL))
            complain(self, place, "the column \"%s\" is the engine's own, expected another", field->column);
        else if (strlen(field->column) > 63)
            complain(self, place, "the column \"%s\" is too long, expected 63 bytes at most, or another \"column\"",
                     field->column);
    }
}

static void check_owner(struct checking *self, const struct mr_app_resource *resource)
{
    if (resource->owner == NULL)
        return;
    if (mr_word_is_in("id|version|created_at|updated_at", resource->owner, NULL))
        complain(self, mr_yaml_place_of(resource->node, "owner"),
                 "the column \"%s\" is the engine's own, expected one for the caller", resource->owner);
    for (int write = 0; write < 2; write++) {
        const char *word = write != 0 ? resource->access.write : resource->access.read;

        if (word != NULL && (mr_access_of(word) == MR_ACCESS_PUBLIC || mr_access_scopes(word) != NULL))
            complain(self, mr_yaml_place_of(resource->node, "access"),
                     "%s is \"%s\" beside an owner, expected user or admin: nobody else owns rows",
                     write != 0 ? "write" : "read", word);
    }
}

static bool serves(const struct mr_app_resource *resource, enum mr_app_standard operation)
{
    return (resource->operations & 1U << operation) != 0;
}

static void check_resource(struct checking *self, const struct mr_app_resource *resource)
{
    check_columns(self, resource);
    check_owner(self, resource);
    check_sorts(self, resource);
    check_filters(self, resource);
    check_search(self, resource);
    if (resource->list.total != NULL)
        check_statement(self, mr_yaml_place_of(resource->list.node, "total"), resource->list.total);
    for (unsigned i = 0; i < resource->fields.count; i++)
        check_reference(self, resource, &resource->fields.items[i]);
    if (resource->cache_ms.is_set && resource->access.read != NULL && strcmp(resource->access.read, "public") != 0)
        complain(self, mr_yaml_place_of(resource->node, "cache"),
                 "a cache where read access is \"%s\", expected it only with public", resource->access.read);
    if (resource->list.node != NULL && resource->operations != 0 && !serves(resource, MR_APP_LIST))
        complain(self, mr_yaml_place(resource->list.node->key),
                 "\"list\" here, but \"operations\" has no list, expected both or neither");
}

/* ---- Operations ---- */

static bool has_body(enum mr_verb verb)
{
    return verb == MR_VERB_POST || verb == MR_VERB_PUT || verb == MR_VERB_PATCH;
}

/* Whether the route has {name}. */
static bool is_in_path(const char *path, const char *name)
{
    char segment[MR_WORD_ROOM + 4];

    if (path == NULL || name == NULL || strlen(name) >= MR_WORD_ROOM)
        return false;
    snprintf(segment, sizeof segment, "{%s}", name);
    return strstr(path, segment) != NULL;
}

static void check_input(struct checking *self, const struct mr_app_operation *operation, struct mr_app_field *field)
{
    bool in_path = is_in_path(operation->route.path, field->name);
    struct mr_place place;

    if (field->node == NULL || operation->route.path == NULL)
        return;
    place = field->from.is_set ? mr_yaml_place_of(field->node, "from") : mr_yaml_place(field->node->key);
    if (field->from.is_set && in_path != (field->from.index == MR_APP_FROM_PATH))
        complain(self, place, "the path %s {%s}, expected %s", in_path ? "has" : "has no", field->name,
                 in_path ? "from: path" : "it in the path, or another \"from\"");
    if (!field->from.is_set) {
        field->from.is_set = true;
        field->from.index = in_path ? MR_APP_FROM_PATH : has_body(operation->route.verb) ? MR_APP_FROM_BODY : MR_APP_FROM_QUERY;
    }
    if (field->from.index == MR_APP_FROM_BODY && !has_body(operation->route.verb))
        complain(self, place, "\"%s\" is in the body, but %s has none, expected from: query", field->name,
                 mr_verb_name(operation->route.verb));
    if (field->from.index == MR_APP_FROM_PATH && field->many)
        complain(self, place, "\"%s\" is an array, expected it in the query or the body", field->name);
    if (field->from.index != MR_APP_FROM_BODY && field->type.is_set && field->type.index == MR_APP_JSON)
        complain(self, place, "\"%s\" is json, expected it in the body", field->name);
    if (in_path && field->fallback != NULL)
        complain(self, mr_yaml_place_of(field->node, "default"),
                 "a default of a field of the path, expected none: the field is always there");
    field->required = field->required || in_path;
}

/* Every {name} of the route is a field, and stands there once. */
static void check_path(struct checking *self, const struct mr_app_operation *operation)
{
    const char *at = operation->route.path;
    struct mr_place place = mr_yaml_place_of(operation->node, "route");

    while (at != NULL && (at = strchr(at, '{')) != NULL) {
        char name[MR_WORD_ROOM];

        snprintf(name, sizeof name, "%.*s", (int)strcspn(at + 1, "}"), at + 1);
        if (mr_app_field(&operation->fields, name) == NULL)
            no_field(self, place, &operation->fields, name);
        at++;
        if (is_in_path(at, name))
            complain(self, place, "the path has {%s} twice, expected it once", name);
    }
}

static void check_returns(struct checking *self, struct mr_app_operation *operation)
{
    const struct mr_app_returns *returns = &operation->returns;
    struct mr_place status = mr_yaml_place_of(operation->node, "status");

    if (returns->resource != NULL && mr_app_resource(self->application, returns->resource) == NULL)
        complain(self, mr_yaml_place(returns->node), "there is no resource \"%s\", expected one of resources/",
                 returns->resource);
    if (!operation->status.is_set) {
        operation->status = (struct mr_app_integer){true, returns->node != NULL ? 200 : 204};
        return;
    }
    if (operation->status.value == 204 && returns->node != NULL)
        complain(self, status, "204 beside \"returns\", expected another status: 204 has no body");
    if (operation->status.value == 201 && (returns->resource == NULL || returns->many))
        complain(self, status, "201 without one resource in \"returns\", expected one: it gives the Location");
}

static void check_statement(struct checking *self, struct mr_place place, const char *name)
{
    const struct mr_application *application = self->application;
    const char *near = NULL;
    char room[MR_WORD_ROOM];

    if (mr_app_statement(application, name) != NULL)
        return;
    for (unsigned i = 0; i < application->statement_count && near == NULL; i++)
        near = mr_word_near(application->statements[i].name, name, room);
    if (near != NULL)
        complain(self, place, "there is no statement \"%s\", expected \"%s\"", name, near);
    else
        complain(self, place, "there is no statement \"%s\", expected -- name: %s in a file of queries/", name, name);
}

static void check_operation(struct checking *self, struct mr_app_operation *operation)
{
    if (operation->node == NULL)
        return;
    if (operation->statement == NULL)
        operation->statement = operation->name;
    check_statement(self,
                    mr_yaml_get(operation->node, "statement") != NULL ? mr_yaml_place_of(operation->node, "statement")
                                                                      : mr_yaml_place(operation->node->key),
                    operation->statement);
    for (unsigned i = 0; i < operation->fields.count; i++)
        check_input(self, operation, &operation->fields.items[i]);
    if (operation->route.path != NULL)
        check_path(self, operation);
    check_returns(self, operation);
    if (operation->key != NULL) {
        const struct mr_app_field *key = mr_app_field(&operation->fields, operation->key);

        if (key == NULL)
            no_field(self, mr_yaml_place_of(operation->node, "key"), &operation->fields, operation->key);
        else if (key->many || key->type.index == MR_APP_JSON)
            complain(self, mr_yaml_place_of(operation->node, "key"), "\"%s\" is %s, expected one value", key->name,
                     key->many ? "an array" : "json");
    }
    if (operation->cache_ms.is_set && operation->route.path != NULL && operation->route.verb != MR_VERB_GET)
        complain(self, mr_yaml_place_of(operation->node, "cache"), "\"cache\" on %s, expected it on GET",
                 mr_verb_name(operation->route.verb));
    if (operation->cache_ms.is_set && operation->access != NULL && strcmp(operation->access, "public") != 0)
        complain(self, mr_yaml_place_of(operation->node, "cache"),
                 "a cache where access is \"%s\", expected it only with public", operation->access);
    if (operation->idempotent && operation->route.path != NULL && operation->route.verb != MR_VERB_POST &&
        operation->route.verb != MR_VERB_PATCH)
        complain(self, mr_yaml_place_of(operation->node, "idempotent"),
                 "\"idempotent\" on %s, expected it on POST or PATCH: the others are idempotent anyway",
                 mr_verb_name(operation->route.verb));
}

/* ---- Jobs ---- */

static void check_secret(struct checking *self, const char *secret, const struct mr_yaml *node)
{
    if (secret != NULL && !mr_webhook_secret_is_good(mr_slice_of(secret)))
        complain(self, mr_yaml_place(node), "the value is not valid, expected whsec_ and the base64 of %d to %d bytes",
                 MR_SECRET_LEAST, MR_SECRET_MOST);
}

static void check_secrets(struct checking *self, const struct mr_app_job *job)
{
    check_secret(self, job->secret, mr_yaml_get(job->node, "secret"));
    for (unsigned i = 0; i < job->secrets.count; i++)
        check_secret(self, job->secrets.items[i].name, job->secrets.items[i].node);
    if (job->secrets.count > MR_SECRETS_MAX)
        complain(self, mr_yaml_place_of(job->node, "secrets"), "%u secrets, expected at most %d: a call is signed by each",
                 job->secrets.count, MR_SECRETS_MAX);
}

/* Of push and pull the database fills it in, and compares it with what runs are given. */
static void check_instant(struct checking *self, const struct mr_app_field *arg)
{
    const struct mr_yaml *value = arg->fallback;

    if (value == NULL || arg->type.index != MR_APP_TIMESTAMP || value->kind != MR_YAML_TEXT ||
        mr_kind_timestamp_is_good(mr_slice_of(value->text)))
        return;
    complain(self, mr_yaml_place(value),
             "the default is not one that a run may have, expected one such as 2026-01-31T12:00:00Z");
}

/* What a run is given is looked at where it is queued, in SQL; a tick gives it nothing. */
static void check_args(struct checking *self, const struct mr_app_job *job)
{
    for (unsigned i = 0; i < job->args.count; i++) {
        const struct mr_app_field *arg = &job->args.items[i];

        if (arg->node == NULL)
            continue;
        if (arg->required && job->cron != NULL)
            complain(self, mr_yaml_place_of(arg->node, "required"),
                     "\"%s\" is required, and a run that \"cron\" starts has no arguments, expected a default", arg->name);
        if (!job->work.is_set || job->work.index == MR_APP_BY_SQL)
            continue;
        check_instant(self, arg);
        if (arg->pattern != NULL)
            complain(self, mr_yaml_place(mr_yaml_get(arg->node, "pattern")->key),
                     "arguments of a run take no \"pattern\", expected it left out");
    }
}

static void check_job(struct checking *self, const struct mr_app_job *job)
{
    if (job->node == NULL)
        return;
    if (job->url != NULL && !mr_webhook_is_url(mr_slice_of(job->url)))
        complain(self, mr_yaml_place_of(job->node, "url"), "the value is not valid, expected %s",
                 mr_kind_info(MR_KIND_URL)->told);
    check_secrets(self, job);
    check_args(self, job);
    if (job->cron != NULL && job->timezone != NULL && job->work.is_set && job->work.index != MR_APP_BY_SQL &&
        mr_cron_never_fires(mr_slice_of(job->cron), job->timezone, mr_wall_ms(&mr_system_clock)))
        complain(self, mr_yaml_place_of(job->node, "cron"), "no tick of it ever comes in %s, expected one that does",
                 job->timezone);
    if (job->started_by.index == MR_APP_BY_USER)
        complain(
            self, mr_yaml_place_of(job->node, "startedBy"),
            "users start no jobs, expected \"admin\": a statement of an operation queues runs for them, by millrace.enqueue");
    for (unsigned i = 0; i < job->statements.count; i++)
        check_statement(self, mr_yaml_place(job->statements.items[i].node), job->statements.items[i].name);
    if (job->work.is_set && job->work.index == MR_APP_BY_SQL && mr_yaml_get(job->node, "statements") == NULL)
        complain(self, mr_yaml_place(job->node->key), "\"statements\" is missing, expected a list: the work is sql");
    if (job->work.is_set && job->work.index == MR_APP_BY_PUSH && mr_yaml_get(job->node, "url") == NULL)
        complain(self, mr_yaml_place(job->node->key), "\"url\" is missing, expected one: the work is push");
    if (job->work.is_set && job->work.index == MR_APP_BY_PUSH && mr_yaml_get(job->node, "secret") == NULL &&
        mr_yaml_get(job->node, "secrets") == NULL)
        complain(self, mr_yaml_place(job->node->key), "\"secret\" is missing, expected one: a call is signed");
    if (job->retry.node != NULL && job->retry.first_ms.is_set && job->retry.most_ms.is_set &&
        job->retry.first_ms.value > job->retry.most_ms.value)
        complain(self, mr_yaml_place(job->retry.node), "\"first\" is longer than \"most\", expected it shorter");
    for (unsigned i = 0; i < job->unique.by.count; i++)
        if (mr_app_field(&job->args, job->unique.by.items[i].name) == NULL)
            no_field(self, mr_yaml_place(job->unique.by.items[i].node), &job->args, job->unique.by.items[i].name);
    for (int i = 0; i < MR_JOB_COUNT; i++)
        if (!mr_job_takes_more((enum mr_job)i) && strcmp(mr_job_info((enum mr_job)i)->name, job->name) == 0)
            complain(self, mr_yaml_place(job->node->key), "the job \"%s\" is the engine's own, expected another name",
                     job->name);
}

/* ---- Names and routes that are there twice ---- */

/* Something that has to be there once. Of the engine it has no place. */
struct claim {
    char *text; /* "GET /v1/products/{}" or "product_get" */
    struct mr_place place;
    const char *by; /* "operation order_place", "resource product" or "the engine" */
};

struct claims {
    struct mr_arena *arena;
    struct claim *items;
    unsigned count;
};

static void claim(struct claims *self, struct mr_slice text, struct mr_place place, const char *by)
{
    struct claim *all = mr_arena_grow(self->arena, self->items, self->count, sizeof *all);
    char *copy = mr_arena_text(self->arena, text);

    if (all == NULL || copy == NULL)
        return;
    self->items = all;
    all[self->count++] = (struct claim){copy, place, by};
}

/* Parameters are one whatever they are called: `{id}` of files, `:id` of the map. */
static void claim_route(struct claims *self, enum mr_verb verb, const char *path, struct mr_place place, const char *by)
{
    struct mr_buf text = {0};

    mr_buf_text(&text, mr_verb_name(verb));
    mr_buf_char(&text, ' ');
    while (*path != '\0') {
        size_t length = strcspn(path + 1, "/") + 1;
        bool parameter = path[1] == ':' || path[1] == '{';

        mr_buf_append(&text, parameter ? "/{}" : path, parameter ? 3 : length);
        path += length;
    }
    if (text.failed)
        self->arena->failed = true;
    else
        claim(self, (struct mr_slice){text.data, text.len}, place, by);
    mr_buf_fini(&text);
}

static void claim_engine(struct claims *names, struct claims *routes)
{
    static const struct {
        enum mr_verb verb;
        const char *path;
        enum mr_op op;
    } aliases[] = {
#define ALIAS(verb, path, message, ...) {MR_VERB_##verb, path, MR_OP_##message},
        MR_ALIASES(ALIAS)
#undef ALIAS
    };
    struct mr_place nowhere = {.file = ""};

    for (int op = 0; op < MR_OP_COUNT; op++) {
        const struct mr_op_info *info = mr_op_info((enum mr_op)op);

        claim(names, mr_slice_of(info->name), nowhere, "the engine");
        if (info->path != NULL)
            claim_route(routes, info->verb, info->path, nowhere, "the engine");
    }
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
        claim_route(routes, aliases[i].verb, aliases[i].path, nowhere, "the engine");
}

static void claim_standard(const struct mr_app_resource *resource, enum mr_app_standard operation, struct claims *names,
                           struct claims *routes)
{
    static const struct {
        const char *name;
        enum mr_verb verb;
        enum mr_verb also;
        const char *below;
    } standards[] = {
        [MR_APP_CREATE] = {"create", MR_VERB_POST, MR_VERB_NONE, ""},
        [MR_APP_GET] = {"get", MR_VERB_GET, MR_VERB_NONE, "/{id}"},
        [MR_APP_LIST] = {"list", MR_VERB_GET, MR_VERB_NONE, ""},
        [MR_APP_UPDATE] = {"update", MR_VERB_PUT, MR_VERB_PATCH, "/{id}"},
        [MR_APP_DELETE] = {"delete", MR_VERB_DELETE, MR_VERB_NONE, "/{id}"},
        [MR_APP_IMPORT] = {"import", MR_VERB_POST, MR_VERB_NONE, "/import"},
    };
    struct mr_place place = mr_yaml_place_of(resource->node, "path");
    struct mr_buf text = {0};

    mr_buf_printf(&text, "%s_%s", resource->name, standards[operation].name);
    if (!text.failed)
        claim(names, (struct mr_slice){text.data, text.len}, place, "a resource");
    mr_buf_clear(&text, SIZE_MAX);
    mr_buf_printf(&text, "%s%s", resource->path, standards[operation].below);
    mr_buf_char(&text, '\0');
    if (!text.failed)
        claim_route(routes, standards[operation].verb, text.data, place, "a resource");
    if (!text.failed && standards[operation].also != MR_VERB_NONE)
        claim_route(routes, standards[operation].also, text.data, place, "a resource");
    names->arena->failed = names->arena->failed || text.failed;
    mr_buf_fini(&text);
}

static int compare_claims(const void *left, const void *right)
{
    const struct claim *a = left;
    const struct claim *b = right;
    int order = strcmp(a->text, b->text);

    if (order == 0)
        order = strcmp(a->place.file, b->place.file); /* the engine first */
    return order != 0 ? order : (a->place.line > b->place.line) - (a->place.line < b->place.line);
}

static void tell_twice(struct checking *self, const struct claims *claims, const char *what)
{
    if (claims->count > 1)
        qsort(claims->items, claims->count, sizeof *claims->items, compare_claims);
    for (unsigned i = 1; i < claims->count; i++) {
        const struct claim *first = &claims->items[i - 1];
        const struct claim *second = &claims->items[i];

        if (strcmp(first->text, second->text) != 0 || second->place.file[0] == '\0')
            continue;
        if (first->place.file[0] == '\0')
            complain(self, second->place, "the %s %s is the engine's own, expected another", what, second->text);
        else
            complain(self, second->place, "the %s %s is that of %s in %s:%u already, expected another", what, second->text,
                     first->by, first->place.file, first->place.line);
    }
}

/* Everything that has a name and a route, the engine's own included. */
static void claim_all(const struct mr_application *application, struct claims *names, struct claims *routes)
{
    claim_engine(names, routes);
    for (unsigned i = 0; i < application->resource_count; i++)
        for (int operation = MR_APP_CREATE; operation <= MR_APP_IMPORT; operation++)
            if (application->resources[i].path != NULL && serves(&application->resources[i], (enum mr_app_standard)operation))
                claim_standard(&application->resources[i], (enum mr_app_standard)operation, names, routes);
    for (unsigned i = 0; i < application->operation_count; i++) {
        const struct mr_app_operation *operation = &application->operations[i];

        if (operation->node == NULL)
            continue;
        claim(names, mr_slice_of(operation->name), mr_yaml_place(operation->node->key), "an operation");
        if (operation->route.path != NULL)
            claim_route(routes, operation->route.verb, operation->route.path, mr_yaml_place_of(operation->node, "route"),
                        "an operation");
    }
}

static void check_twice(struct checking *self)
{
    struct mr_application *application = self->application;
    struct mr_arena arena = {.limit = application->arena.limit}; /* nobody asks for the claims again */
    struct claims names = {.arena = &arena};
    struct claims routes = {.arena = &arena};

    claim_all(application, &names, &routes);
    tell_twice(self, &names, "name");
    tell_twice(self, &routes, "route");
    application->arena.failed |= arena.failed;
    mr_arena_fini(&arena);
    for (unsigned i = 1; i < application->job_count; i++)
        if (application->jobs[i].node != NULL && strcmp(application->jobs[i - 1].name, application->jobs[i].name) == 0)
            complain(self, mr_yaml_place(application->jobs[i].node->key), "the job \"%s\" is declared twice, expected it once",
                     application->jobs[i].name);
}

void mr_check_application(struct mr_application *self, const struct mr_application_options *options,
                          struct mr_problems *problems)
{
    struct checking checking = {self, options, problems};

    for (unsigned i = 0; i < self->resource_count; i++)
        if (self->resources[i].node != NULL)
            check_resource(&checking, &self->resources[i]);
    for (unsigned i = 0; i < self->operation_count; i++)
        check_operation(&checking, &self->operations[i]);
    for (unsigned i = 0; i < self->job_count; i++)
        check_job(&checking, &self->jobs[i]);
    check_twice(&checking);
}
