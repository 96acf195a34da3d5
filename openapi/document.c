#include <stdlib.h>

#include "openapi/internal.h"
#include "proto/apikey.h"

static const char about[] =
    "JSON over HTTP. Times are RFC 3339 in UTC, ids are UUIDs, properties without a value are left out. Every refusal is a "
    "problem (RFC 9457); a 400 names all fields that break a rule at once. HEAD works wherever GET does. To try calls: "
    "register, sign in, and send the access token as Authorization: Bearer.";

/* An application has a name of its own, and a licence where it says one. */
static void put_info(struct doc *doc, json_t *root, const char *version)
{
    const struct mr_op_table *application = mr_ops_installed();
    const char *license = application->title != NULL ? application->license : "MIT";
    json_t *info = put_object(doc, root, "info");

    put_text(doc, info, "title", application->title != NULL ? application->title : "Millrace");
    put_text(doc, info, "version", application->version != NULL ? application->version : version);
    put(doc, info, "description",
        application->about != NULL ? json_sprintf("%s\n\n%s", application->about, about) : json_string(about));
    if (license != NULL)
        put(doc, info, "license", json_pack("{s:s, s:s}", "name", license, "identifier", license));
}

static void put_security_scheme(struct doc *doc, json_t *components)
{
    json_t *schemes = put_object(doc, components, "securitySchemes");

    put(doc, schemes, "bearer",
        json_pack("{s:s, s:s, s:s, s:s}", "type", "http", "scheme", "bearer", "bearerFormat", "JWT", "description",
                  "The accessToken from a sign-in"));
    put(doc, schemes, "apiKey",
        json_pack("{s:s, s:s, s:s, s:s}", "type", "http", "scheme", "bearer", "bearerFormat", MR_KEY_PREFIX "...",
                  "description",
                  "A key of a program, from POST /v1/api-keys, in the place of an access token. An operation that takes one "
                  "names the scope that the key has to have"));
}

/* The head of the document, whole before its paths. Borrowed by the caller. */
static void put_head(struct doc *doc, json_t *root, const char *version)
{
    put_text(doc, root, "openapi", "3.1.0");
    put_info(doc, root, version);
    put(doc, root, "servers", json_pack("[{s:s, s:s}]", "url", "/", "description", "where this document comes from"));
}

/* What its paths refer to, whole behind them. Borrowed by `doc`, held by `root`. */
static void put_foot(struct doc *doc, json_t *root)
{
    json_t *components;

    doc->tags = put_array(doc, root, "tags");
    components = put_object(doc, root, "components");
    put_security_scheme(doc, components);
    doc->schemas = put_object(doc, components, "schemas");
    doc->responses = put_object(doc, components, "responses");
    doc->headers = put_object(doc, components, "headers");
}

/* ---- Text ---- */

static int append(const char *text, size_t len, void *out)
{
    mr_buf_append(out, text, len);
    return ((struct mr_buf *)out)->failed ? -1 : 0;
}

static void write_value(struct doc *doc, const json_t *value, struct mr_buf *out)
{
    if (json_dump_callback(value, append, out, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(DOC_DIGITS)) != 0)
        doc->failed = true;
}

/* The members of an object, without its braces; in front of the first stands `before`. */
static void write_members(struct doc *doc, json_t *object, char before, struct mr_buf *out)
{
    const char *name;
    json_t *value;

    json_object_foreach(object, name, value) {
        mr_buf_printf(out, "%c\"%s\":", before, name);
        write_value(doc, value, out);
        before = ',';
    }
}

/* Whether a way before it has the same path. */
static bool is_told_already(unsigned place, const char *path)
{
    for (unsigned i = 0; i < place; i++) {
        const char *other = mr_way(i)->path;

        if (other != NULL && strcmp(other, path) == 0)
            return true;
    }
    return false;
}

/* What can be done with the path of the way at that place: that way and those behind it. */
static void write_path(struct doc *doc, unsigned place, const char *path, struct mr_buf *out)
{
    json_t *item = json_object();
    json_t *name;
    char text[PATH_MAX_LEN];

    for (const struct mr_way *way = mr_way(place); way != NULL; way = mr_way(++place))
        if (way->path != NULL && strcmp(way->path, path) == 0)
            put_way(doc, item, way);
    path_template(text, path);
    name = json_string(text);
    write_value(doc, name, out);
    mr_buf_char(out, ':');
    write_value(doc, item, out);
    json_decref(name);
    json_decref(item);
}

static void write_paths(struct doc *doc, struct mr_buf *out)
{
    bool is_first = true;
    unsigned i = 0;

    mr_buf_text(out, ",\"paths\":{");
    for (const struct mr_way *way = mr_way(0); way != NULL && !doc->failed; way = mr_way(++i)) {
        if (way->path == NULL || is_told_already(i, way->path))
            continue;
        if (!is_first)
            mr_buf_char(out, ',');
        write_path(doc, i, way->path, out);
        is_first = false;
    }
    mr_buf_char(out, '}');
}

static mr_status write_document(struct mr_buf *out, const char *version)
{
    json_t *head = json_object();
    json_t *foot = json_object();
    struct doc doc = {.failed = head == NULL || foot == NULL};

    put_head(&doc, head, version);
    put_foot(&doc, foot);
    write_members(&doc, head, '{', out);
    write_paths(&doc, out);
    write_members(&doc, foot, ',', out);
    mr_buf_char(out, '}');
    json_decref(head);
    json_decref(foot);
    return doc.failed || out->failed ? MR_NO_MEMORY : MR_OK;
}

/* For people. */
static mr_status indented(struct mr_buf *out, const struct mr_buf *text)
{
    json_t *root = json_loadb(text->data, text->len, 0, NULL);
    char *pretty = root != NULL ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(DOC_DIGITS)) : NULL;

    json_decref(root);
    if (pretty == NULL)
        return MR_NO_MEMORY;
    mr_buf_text(out, pretty);
    free(pretty);
    return out->failed ? MR_NO_MEMORY : MR_OK;
}

mr_status mr_openapi_write(struct mr_buf *out, const char *version, bool indent)
{
    struct mr_buf text = {0};
    mr_status status = write_document(indent ? &text : out, version);

    if (status == MR_OK && indent)
        status = indented(out, &text);
    mr_buf_fini(&text);
    return status;
}
