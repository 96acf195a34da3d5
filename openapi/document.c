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

/* Borrowed by `doc`, held by `root`. */
static void lay_out(struct doc *doc, json_t *root, const char *version)
{
    json_t *components;

    put_text(doc, root, "openapi", "3.1.0");
    put_info(doc, root, version);
    put(doc, root, "servers", json_pack("[{s:s, s:s}]", "url", "/", "description", "where this document comes from"));
    doc->tags = put_array(doc, root, "tags");
    doc->paths = put_object(doc, root, "paths");
    components = put_object(doc, root, "components");
    put_security_scheme(doc, components);
    doc->schemas = put_object(doc, components, "schemas");
    doc->responses = put_object(doc, components, "responses");
    doc->headers = put_object(doc, components, "headers");
}

mr_status mr_openapi_write(struct mr_buf *out, const char *version, bool indent)
{
    json_t *root = json_object();
    struct doc doc = {.failed = root == NULL};
    char *text = NULL;
    unsigned i = 0;

    lay_out(&doc, root, version);
    for (const struct mr_way *way = mr_way(0); way != NULL; way = mr_way(++i))
        put_way(&doc, way);
    if (!doc.failed)
        text = json_dumps(root, (indent ? JSON_INDENT(2) : JSON_COMPACT) | JSON_REAL_PRECISION(DOC_DIGITS));
    json_decref(root);
    if (text == NULL)
        return MR_NO_MEMORY;
    mr_buf_text(out, text);
    free(text);
    return out->failed ? MR_NO_MEMORY : MR_OK;
}
