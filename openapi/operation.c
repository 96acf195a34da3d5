#include <stdio.h>
#include <string.h>

#include "openapi/internal.h"
#include "proto/apikey.h"

enum { GROUP_MAX = 64 };

/* ---- The path and the group ---- */

void path_template(char out[PATH_MAX_LEN], const char *path)
{
    size_t len = 0;

    while (*path != '\0' && len + 3 < PATH_MAX_LEN) {
        if (*path != ':') {
            out[len++] = *path++;
            continue;
        }
        out[len++] = '{';
        for (path++; *path != '\0' && *path != '/' && len + 3 < PATH_MAX_LEN; path++)
            out[len++] = *path;
        out[len++] = '}';
    }
    out[len] = '\0';
}

/* What stands behind /v1/. */
static void group_of(char out[GROUP_MAX], const char *path)
{
    static const char version[] = "/v1/";

    if (strncmp(path, version, sizeof version - 1) != 0)
        snprintf(out, GROUP_MAX, "system");
    else
        snprintf(out, GROUP_MAX, "%.*s", (int)strcspn(path + sizeof version - 1, "/"), path + sizeof version - 1);
}

static bool is_known_group(const json_t *tags, const char *name)
{
    size_t i;
    const json_t *tag;

    json_array_foreach(tags, i, tag)
        if (strcmp(json_string_value(json_object_get(tag, "name")), name) == 0)
            return true;
    return false;
}

/* A group that nobody has described has its name. */
static void put_group(struct doc *doc, json_t *operation, const char *path)
{
    char name[GROUP_MAX];
    json_t *tag;
    unsigned i = 0;

    group_of(name, path);
    put(doc, operation, "tags", json_pack("[s]", name));
    if (is_known_group(doc->tags, name))
        return;
    tag = json_pack("{s:s}", "name", name);
    for (const struct mr_group *group = mr_group(0); group != NULL; group = mr_group(++i))
        if (strcmp(group->name, name) == 0)
            put_text(doc, tag, "description", group->about);
    add(doc, doc->tags, tag);
}

/* ---- Parameters ---- */

static const char *place_of(enum mr_source from)
{
    switch (from) {
    case MR_PATH: return "path";
    case MR_QUERY: return "query";
    case MR_HEADER:
    case MR_IF_MATCH:
    case MR_IF_NONE_MATCH: return "header";
    default: return NULL;
    }
}

static void put_parameter(struct doc *doc, json_t *parameters, const struct mr_field *field)
{
    json_t *self = json_object();

    put_text(doc, self, "name", field->name);
    put_text(doc, self, "in", place_of(field->from));
    if (field->required)
        put(doc, self, "required", json_true());
    put(doc, self, "description",
        field->type == MR_TIME ? json_sprintf("%s; a %s", field->about, mr_type_told(MR_TIME)) : json_string(field->about));
    put(doc, self, "schema", field_schema(doc, field));
    add(doc, parameters, self);
}

/* What every read with an entity tag takes, beside the fields of its message. */
static const struct mr_field if_none_match = {"If-None-Match", MR_TEXT, MR_IF_NONE_MATCH,
                                              .about = "304 if this is the version that is stored", .example = "\"3\""};

/* What every read that a replica may answer takes. */
static const struct mr_field prefer = {"Prefer", MR_TEXT, MR_HEADER,
                                       .about =
                                           "`primary`: the answer has every write that was answered before, also one through "
                                           "another process; without it a replica may answer that is a little behind",
                                       .example = "primary"};

static void put_parameters(struct doc *doc, json_t *operation, const struct mr_op_info *info)
{
    const struct mr_traits *traits = info->traits;
    json_t *parameters = json_array();

    for (const struct mr_field *field = traits->fields; field->name != NULL; field++)
        if (place_of(field->from) != NULL)
            put_parameter(doc, parameters, field);
    if (info->verb == MR_VERB_GET && (traits->versioned || traits->cache_s > 0 || traits->kept))
        put_parameter(doc, parameters, &if_none_match);
    /* Whether a query of an application may go to a replica says a database, which nobody needs for the document: on the primary this
       changes nothing. */
    if (info->verb == MR_VERB_GET && info->handler == MR_BY_SQL)
        put_parameter(doc, parameters, &prefer);
    if (json_array_size(parameters) > 0)
        put(doc, operation, "parameters", json_incref(parameters));
    json_decref(parameters);
}

/* ---- The body ---- */

static void put_json_body(struct doc *doc, json_t *content, const char *type, const struct mr_op_info *info)
{
    json_t *media = put_object(doc, content, type);
    json_t *example;

    put(doc, media, "schema", body_reference(doc, info));
    example = body_example(doc, info->traits);
    if (example != NULL)
        put(doc, media, "example", example);
}

/* What a record of an upload may say. */
static void put_record(struct mr_buf *out, const struct mr_import *import)
{
    bool is_first = true;

    for (const struct mr_field *field = import->fields; field->name != NULL; field++) {
        if (field->from != MR_BODY)
            continue;
        mr_buf_text(out, is_first ? ". Fields of a record: " : ", ");
        mr_buf_printf(out, "%s%s", field->name, field->required && field->fallback == NULL ? " (required)" : "");
        is_first = false;
    }
}

static void describe_upload(struct doc *doc, json_t *body, const struct mr_traits *traits)
{
    const struct mr_upload *upload = traits->upload;
    struct mr_buf text = {0};

    mr_buf_printf(&text, "In UTF-8%s, %u bytes at most", upload->takes_gzip ? ", with Content-Encoding: gzip or without" : "",
                  (unsigned)upload->max);
    if (traits->import != NULL)
        put_record(&text, traits->import);
    put(doc, body, "description", text.failed ? NULL : json_stringn(text.data, text.len));
    mr_buf_fini(&text);
}

static void put_upload(struct doc *doc, json_t *content, const struct mr_upload *upload)
{
    const char *types = upload->types;
    char type[GROUP_MAX];

    while (next_choice(&types, type, sizeof type))
        put(doc, content, type, json_pack("{s:{s:s}}", "schema", "type", "string"));
}

static void put_body(struct doc *doc, json_t *operation, const struct mr_way *way, const struct mr_op_info *info)
{
    const struct mr_traits *traits = info->traits;
    json_t *body;
    json_t *content;

    if (!has_body(traits) && traits->upload == NULL)
        return;
    body = put_object(doc, operation, "requestBody");
    if (traits->upload != NULL)
        describe_upload(doc, body, traits);
    put(doc, body, "required", json_boolean(traits->credential == NULL && !traits->body_optional));
    content = put_object(doc, body, "content");
    if (traits->upload != NULL) {
        put_upload(doc, content, traits->upload);
        return;
    }
    put_json_body(doc, content, "application/json", info);
    if (way->verb == MR_VERB_PATCH)
        put_json_body(doc, content, "application/merge-patch+json", info);
}

/* ---- The operation ---- */

/* One is enough: an access token, or a key with one of the scopes. An empty requirement stands for "or without". */
static void put_security(struct doc *doc, json_t *operation, const struct mr_op_info *info)
{
    json_t *security = put_array(doc, operation, "security");
    const char *scopes = info->traits->scopes;
    struct mr_slice scope;

    if (info->access == MR_ACCESS_PUBLIC)
        return;
    add(doc, security, json_pack("{s:[]}", "bearer"));
    while (mr_scope_next(&scopes, &scope))
        add(doc, security, json_pack("{s:[s%]}", "apiKey", scope.data, scope.len));
    if (info->access == MR_ACCESS_OPTIONAL)
        add(doc, security, json_object());
}

static const char *method_of(enum mr_verb verb)
{
    switch (verb) {
    case MR_VERB_POST: return "post";
    case MR_VERB_PUT: return "put";
    case MR_VERB_PATCH: return "patch";
    case MR_VERB_DELETE: return "delete";
    default: return "get";
    }
}

void put_way(struct doc *doc, json_t *item, const struct mr_way *way)
{
    const struct mr_op_info *info = mr_op_info(way->op);
    json_t *operation = put_object(doc, item, method_of(way->verb));

    put_text(doc, operation, "operationId", way->name);
    put_text(doc, operation, "summary", info->traits->summary);
    put_group(doc, operation, way->path);
    put_security(doc, operation, info);
    put_parameters(doc, operation, info);
    put_body(doc, operation, way, info);
    put_answers(doc, put_object(doc, operation, "responses"), info);
}
