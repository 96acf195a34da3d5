#include "gateway/request.h"

#include <jansson.h>
#include <sodium.h>
#include <strings.h>

#include "proto/json.h"
#include "proto/object.h"
#include "proto/uuid.h"

static void add_error(struct mr_request *self, const struct mr_field *field, const char *code, const char *message)
{
    struct mr_buf *out = &self->errors;

    if (out->len > 0)
        mr_buf_char(out, ',');
    mr_buf_text(out, "{\"field\":");
    mr_json_string(out, mr_slice_of(field->name));
    mr_buf_text(out, ",\"code\":");
    mr_json_string(out, mr_slice_of(code));
    mr_buf_text(out, ",\"message\":");
    mr_json_string(out, mr_slice_of(message));
    mr_buf_char(out, '}');
}

/* ---- Body ---- */

static bool is_json_type(struct mr_slice type)
{
    static const char json[] = "application/json";
    size_t len = sizeof json - 1;

    return type.len >= len && strncasecmp(type.data, json, len) == 0 &&
           (type.len == len || type.data[len] == ';' || type.data[len] == ' ');
}

static mr_status read_json(struct mr_request *self, const struct mr_http_request *http, struct mr_slice body,
                           const char **detail)
{
    struct mr_slice type;

    if (mr_http_header(http, "content-type", &type) && !is_json_type(type))
        return MR_MEDIA_TYPE;
    return mr_object_load(&self->json, body, detail);
}

static void read_body_field(struct mr_request *self, unsigned i, const struct mr_field *field)
{
    const json_t *json = json_object_get(self->json, field->name);
    struct mr_problem problem;

    self->values[i].cleared = json_is_null(json) && field->clearable;
    if (json == NULL || json_is_null(json))
        return;
    if (!mr_object_value(field, json, &self->values[i], &problem)) {
        self->values[i].present = false;
        add_error(self, field, problem.code, problem.message);
    }
}

/* ---- Path and query ---- */

static mr_status read_text_field(struct mr_request *self, unsigned i, const struct mr_field *field, struct mr_slice raw,
                                 bool form)
{
    struct mr_buf *decoded = &self->decoded[i];
    struct mr_problem problem;
    mr_status status = mr_http_decode(decoded, raw, form);

    if (status != MR_OK)
        return status;
    if (!mr_field_parse(field, (struct mr_slice){decoded->len > 0 ? decoded->data : "", decoded->len}, &self->values[i],
                        &problem))
        add_error(self, field, problem.code, problem.message);
    return MR_OK;
}

static bool path_param(const struct mr_route *route, const char *name, struct mr_slice *out)
{
    for (unsigned i = 0; i < route->param_count; i++)
        if (mr_slice_is(route->params[i].name, name)) {
            *out = route->params[i].value;
            return true;
        }
    return false;
}

static mr_status read_query_field(struct mr_request *self, unsigned i, const struct mr_field *field, struct mr_slice query)
{
    struct mr_slice name;
    struct mr_slice value;
    bool seen = false;

    while (mr_http_query_next(&query, &name, &value)) {
        mr_status status;

        if (!mr_slice_is(name, field->name))
            continue;
        if (seen) {
            add_error(self, field, "duplicate", "must be given once");
            return MR_OK;
        }
        seen = true;
        status = read_text_field(self, i, field, value, true);
        if (status != MR_OK)
            return status;
    }
    return MR_OK;
}

/* ---- Headers ---- */

/* A structured-field string without its quotes and escapes, or the bare text. */
static void unquote(struct mr_buf *out, struct mr_slice text)
{
    bool quoted = text.len >= 2 && text.data[0] == '"' && text.data[text.len - 1] == '"';

    for (size_t i = quoted; i < text.len - quoted; i++) {
        if (quoted && text.data[i] == '\\' && i + 1 < text.len - 1)
            i++;
        mr_buf_char(out, text.data[i]);
    }
}

static void read_header_field(struct mr_request *self, unsigned i, const struct mr_field *field,
                              const struct mr_http_request *http)
{
    struct mr_buf *decoded = &self->decoded[i];
    struct mr_problem problem;
    struct mr_slice value;

    if (!mr_http_header(http, field->name, &value))
        return;
    unquote(decoded, value);
    if (!mr_field_parse(field, (struct mr_slice){decoded->len > 0 ? decoded->data : "", decoded->len}, &self->values[i],
                        &problem))
        add_error(self, field, problem.code, problem.message);
}

/* Digits between quotes are one of our tags; anything else, weak tags too, is none and matches nothing. */
static bool is_version_tag(struct mr_slice tag)
{
    if (tag.len < 3 || tag.len > 20 || tag.data[0] != '"' || tag.data[tag.len - 1] != '"')
        return false;
    for (size_t i = 1; i < tag.len - 1; i++)
        if (tag.data[i] < '0' || tag.data[i] > '9')
            return false;
    return true;
}

/* `*` asks only that there is something to change, which is so or is 404. */
static void read_if_match(struct mr_request *self, unsigned i, const struct mr_http_request *http)
{
    struct mr_buf *versions = &self->decoded[i];
    struct mr_slice rest;
    struct mr_slice tag;

    if (!mr_http_header(http, "if-match", &rest) || mr_slice_is(rest, "*"))
        return;
    while (mr_http_list_next(&rest, &tag))
        if (is_version_tag(tag)) {
            if (versions->len > 0)
                mr_buf_char(versions, ',');
            mr_buf_append(versions, tag.data + 1, tag.len - 2);
        }
    self->values[i] = (struct mr_value){.present = true, .text = {versions->len > 0 ? versions->data : "", versions->len}};
}

static bool has_idempotency_key(const struct mr_request *self, const struct mr_field *fields)
{
    for (unsigned i = 0; fields[i].name != NULL; i++)
        if (fields[i].from == MR_HEADER)
            return self->values[i].present;
    return false;
}

/* What was asked for, without what differs from one try to the next: the same payload has the same fingerprint. */
static void add_fingerprint(struct mr_request *self, unsigned i, enum mr_op op)
{
    const struct mr_field *fields = mr_op_info(op)->traits->fields;
    struct mr_value body[MR_FIELDS_MAX] = {0};
    struct mr_buf bytes = {0};
    unsigned char hash[16];

    for (unsigned f = 0; fields[f].name != NULL; f++)
        if (fields[f].from == MR_BODY || fields[f].from == MR_PATH)
            body[f] = self->values[f];
    mr_payload_encode(&bytes, op, body);
    crypto_generichash(hash, sizeof hash, (const unsigned char *)bytes.data, bytes.len, NULL, 0);
    if (!bytes.failed && mr_buf_reserve(&self->decoded[i], 2 * sizeof hash + 1) != NULL) {
        sodium_bin2hex(self->decoded[i].data, 2 * sizeof hash + 1, hash, sizeof hash);
        self->values[i] = (struct mr_value){.present = true, .text = {self->decoded[i].data, 2 * sizeof hash}};
    }
    mr_buf_fini(&bytes);
}

static void add_fingerprints(struct mr_request *self, enum mr_op op)
{
    const struct mr_field *fields = mr_op_info(op)->traits->fields;

    for (unsigned i = 0; fields[i].name != NULL; i++)
        if (fields[i].from == MR_FINGERPRINT && has_idempotency_key(self, fields))
            add_fingerprint(self, i, op);
}

/* ---- The whole ---- */

static bool wants_body(const struct mr_field *fields)
{
    for (; fields->name != NULL; fields++)
        if (fields->from == MR_BODY)
            return true;
    return false;
}

static void set_text(struct mr_value *value, struct mr_slice text)
{
    *value = (struct mr_value){.present = true, .text = text};
}

static void set_int(struct mr_value *value, int64_t integer)
{
    *value = (struct mr_value){.present = true, .integer = integer};
}

static mr_status read_field(struct mr_request *self, unsigned i, const struct mr_field *field, const struct mr_route *route,
                            const struct mr_http_request *http, const struct mr_request_facts *facts)
{
    struct mr_slice raw;

    if (http == NULL && (field->from == MR_QUERY || field->from == MR_HEADER || field->from == MR_IF_MATCH))
        return MR_OK; /* the head of an upload is gone when its last part has come */
    switch (field->from) {
    case MR_BODY: read_body_field(self, i, field); break;
    case MR_PATH: return path_param(route, field->name, &raw) ? read_text_field(self, i, field, raw, false) : MR_INTERNAL;
    case MR_QUERY: return read_query_field(self, i, field, http->query);
    case MR_TOKEN_USER:
        memcpy(self->values[i].uuid, facts->principal->user_id, 16);
        self->values[i].present = true;
        break;
    case MR_TOKEN_ADMIN:
        self->values[i] = (struct mr_value){.present = true, .boolean = facts->principal->role == MR_ROLE_ADMIN};
        break;
    case MR_TOKEN_SESSION:
        memcpy(self->values[i].uuid, facts->principal->session_id, 16);
        self->values[i].present = facts->principal->has_session;
        break;
    case MR_NEW_ID:
        memcpy(self->values[i].uuid, facts->new_id, 16);
        self->values[i].present = true;
        break;
    case MR_HEADER: read_header_field(self, i, field, http); break;
    case MR_IF_MATCH: read_if_match(self, i, http); break;
    case MR_TRACE: set_text(&self->values[i], mr_slice_of(facts->traceparent)); break;
    case MR_UPLOAD_TYPE: set_text(&self->values[i], facts->upload_type); break;
    case MR_UPLOAD_PARTS: set_int(&self->values[i], facts->upload_parts); break;
    case MR_UPLOAD_LINES: set_int(&self->values[i], facts->upload_lines); break;
    case MR_FINGERPRINT: /* when the others are known */
    case MR_ACTOR: break;
    }
    return MR_OK;
}

static bool is_same(enum mr_type type, const struct mr_value *a, const struct mr_value *b)
{
    if (type == MR_UUID)
        return memcmp(a->uuid, b->uuid, sizeof a->uuid) == 0;
    if (type == MR_TEXT)
        return a->text.len == b->text.len && memcmp(a->text.data, b->text.data, a->text.len) == 0;
    return a->integer == b->integer;
}

static void compare_fields(struct mr_request *self, enum mr_op op)
{
    const struct mr_field *fields = mr_op_info(op)->traits->fields;

    for (unsigned i = 0; fields[i].name != NULL; i++) {
        int other = fields[i].same_as != NULL ? mr_field_index(op, fields[i].same_as) : -1;

        if (other >= 0 && self->values[i].present && self->values[other].present &&
            !is_same(fields[i].type, &self->values[i], &self->values[other]))
            add_error(self, &fields[i], "mismatch", "must be the same as in the path");
    }
}

static void complete_field(struct mr_request *self, unsigned i, const struct mr_field *field, size_t errors_before)
{
    struct mr_problem ignored;

    if (self->values[i].present || self->errors.len != errors_before)
        return;
    if (field->fallback != NULL)
        (void)mr_field_parse(field, mr_slice_of(field->fallback), &self->values[i], &ignored);
    else if (field->required)
        add_error(self, field, "required", "is required");
}

mr_status mr_request_read(struct mr_request *out, const struct mr_route *route, const struct mr_http_request *http,
                          struct mr_slice body, const struct mr_request_facts *facts, const char **detail)
{
    const struct mr_field *fields = mr_op_info(route->op)->traits->fields;
    mr_status status = MR_OK;

    *detail = NULL;
    memset(out, 0, sizeof *out);
    if (wants_body(fields))
        status = read_json(out, http, body, detail);
    for (unsigned i = 0; status == MR_OK && fields[i].name != NULL; i++) {
        size_t before = out->errors.len;

        status = read_field(out, i, &fields[i], route, http, facts);
        if (status == MR_INVALID)
            *detail = "The request target has a broken percent-escape or an escaped U+0000.";
        complete_field(out, i, &fields[i], before);
    }
    if (status == MR_OK) {
        compare_fields(out, route->op);
        add_fingerprints(out, route->op);
    }
    if (out->errors.failed)
        return MR_NO_MEMORY;
    return status == MR_OK && out->errors.len > 0 ? MR_INVALID : status;
}

void mr_request_fini(struct mr_request *self)
{
    for (unsigned i = 0; i < MR_FIELDS_MAX; i++)
        if (self->decoded[i].data != NULL)
            mr_buf_fini(&self->decoded[i]);
    mr_buf_fini(&self->errors);
    json_decref(self->json);
}
