#include "gateway/request.h"

#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/body.h"
#include "gateway/media.h"
#include "http/target.h"
#include "proto/json.h"
#include "proto/literal.h"
#include "proto/json_reader.h"
#include "proto/uuid.h"

static struct mr_slice slice_of(const struct mr_buf *buf)
{
    return (struct mr_slice){buf->len > 0 ? buf->data : "", buf->len};
}

static void set_text(struct mr_value *value, struct mr_slice text)
{
    *value = (struct mr_value){.present = true, .text = text};
}

static void set_int(struct mr_value *value, int64_t integer)
{
    *value = (struct mr_value){.present = true, .integer = integer};
}

static void add_error(struct mr_request *self, const struct mr_field *field, const char *code, const char *message)
{
    mr_body_error(self, field->name, code, message);
}

/* ---- Body ---- */

static const char json_only[] = "application/json";
static const char patch_types[] = "application/json|application/merge-patch+json";

static bool takes_items(const struct mr_field *fields)
{
    while (fields->name != NULL && fields->from != MR_BODY_ITEMS)
        fields++;
    return fields->name != NULL;
}

static mr_status load(struct mr_request *self, const struct mr_field *fields, struct mr_slice body, const char **detail)
{
    struct mr_json_refusal why;
    mr_status status = takes_items(fields) ? mr_json_load_any(&self->json, body, &why) : mr_json_load(&self->json, body, &why);

    if (status == MR_INVALID && why.twice[0] != '\0')
        mr_body_error(self, why.twice, "duplicate", "must be given once");
    else if (status != MR_OK)
        *detail = why.detail;
    return status;
}

/* No Content-Type at all is taken for JSON. */
static mr_status read_json(struct mr_request *self, const struct mr_field *fields, const struct mr_http_request *http,
                           struct mr_slice body, const char **detail)
{
    const char *types = http->verb == MR_VERB_PATCH ? patch_types : json_only;
    enum mr_coding coding;
    struct mr_slice type;
    mr_status status = mr_media_coding(http, false, &coding);

    if (status == MR_OK && mr_http_header_count(http, "content-type") > 0) {
        status = mr_media_type(http, types, &type, detail);
        self->is_merge_patch = status == MR_OK && type.len != sizeof json_only - 1;
        if (status != MR_OK && *detail == NULL && http->verb == MR_VERB_PATCH)
            *detail = "The body has to be application/json or application/merge-patch+json.";
    }
    if (status == MR_OK)
        status = load(self, fields, body, detail);
    if (status != MR_OK)
        return status;
    if (json_is_array(self->json))
        mr_body_items(self, fields, body);
    else
        mr_json_find(body, fields, self->values);
    return MR_OK;
}

static void tell(void *context, const struct mr_field *field, int index, const struct mr_problem *problem)
{
    char name[MR_ITEM_NAME];

    mr_json_item_name(name, field, index);
    mr_body_error(context, name, problem->code, problem->message);
}

/* ---- Path and query ---- */

/* The digits of a cursor stand behind what it belongs to and a dot; without a dot there are none. */
static struct mr_slice digits_of(struct mr_slice cursor)
{
    const char *dot = memchr(cursor.data, '.', cursor.len);
    size_t before = dot != NULL ? (size_t)(dot - cursor.data) + 1 : cursor.len;

    return (struct mr_slice){cursor.data + before, cursor.len - before};
}

static void parse_decoded(struct mr_request *self, unsigned i, const struct mr_field *field)
{
    struct mr_slice text = slice_of(&self->decoded[i]);
    bool is_tagged = field->belongs_to != NULL;
    struct mr_problem problem;

    if (mr_field_parse(field, is_tagged ? digits_of(text) : text, &self->values[i], &problem))
        return;
    if (is_tagged)
        mr_problem_set(&problem, "format", "must be a cursor taken from a Link header");
    add_error(self, field, problem.code, problem.message);
}

static mr_status read_text_field(struct mr_request *self, unsigned i, const struct mr_field *field, struct mr_slice raw,
                                 bool form)
{
    mr_status status = mr_http_decode(&self->decoded[i], raw, form);

    if (status == MR_OK)
        parse_decoded(self, i, field);
    return status;
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

/* An element of what is `many`, which is given as often as there are elements. */
static mr_status add_query_item(struct mr_request *self, unsigned i, const struct mr_field *field, int index,
                                struct mr_slice raw, unsigned *problems)
{
    struct mr_buf decoded = {0};
    mr_status status = mr_http_decode(&decoded, raw, true);
    struct mr_problem problem;
    struct mr_value value;

    if (status == MR_OK && mr_field_parse(field, slice_of(&decoded), &value, &problem))
        mr_literal_add(&self->decoded[i], field->type, &value);
    else if (status == MR_OK && (*problems)++ < MR_ITEM_PROBLEMS)
        tell(self, field, index, &problem);
    self->decoded[i].failed |= decoded.failed;
    mr_buf_fini(&decoded);
    return status;
}

static mr_status read_query_items(struct mr_request *self, unsigned i, const struct mr_field *field, struct mr_slice query)
{
    struct mr_problem problem;
    struct mr_slice name;
    struct mr_slice value;
    unsigned problems = 0;
    int items = 0;

    mr_literal_begin(&self->decoded[i]);
    while (mr_http_query_next(&query, &name, &value)) {
        mr_status status = MR_OK;

        if (mr_http_query_is(name, field->name))
            status = add_query_item(self, i, field, items++, value, &problems);
        if (status != MR_OK)
            return status;
    }
    mr_literal_end(&self->decoded[i]);
    if (items == 0)
        mr_buf_clear(&self->decoded[i], SIZE_MAX);
    if (items == 0 || problems > 0)
        return MR_OK;
    if (mr_field_check_items(field, (size_t)items, &problem))
        set_text(&self->values[i], slice_of(&self->decoded[i]));
    else
        tell(self, field, -1, &problem);
    return MR_OK;
}

static mr_status read_query_field(struct mr_request *self, unsigned i, const struct mr_field *field, struct mr_slice query)
{
    struct mr_slice name;
    struct mr_slice value;
    bool seen = false;

    while (mr_http_query_next(&query, &name, &value)) {
        mr_status status;

        if (!mr_http_query_is(name, field->name))
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

/* What stands between the quotes of a structured-field string (RFC 8941, 3.3.3); false when it is none. */
static bool read_sf_string(struct mr_buf *out, struct mr_slice text)
{
    for (size_t i = 1; i < text.len; i++) {
        char c = text.data[i];

        if (c == '"')
            return i == text.len - 1;
        if (c == '\\' && (++i == text.len || ((c = text.data[i]) != '"' && c != '\\')))
            return false;
        if (c < ' ' || c > '~')
            return false;
        mr_buf_char(out, c);
    }
    return false;
}

/* Bare text: what could not be anything else. A comma would be two values that somebody has joined. */
static bool read_bare(struct mr_buf *out, struct mr_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < ' ' || text.data[i] > '~' || text.data[i] == '"' || text.data[i] == ',')
            return false;
    mr_buf_slice(out, text);
    return true;
}

static void read_header_field(struct mr_request *self, unsigned i, const struct mr_field *field,
                              const struct mr_http_request *http)
{
    struct mr_buf *decoded = &self->decoded[i];
    struct mr_slice value;
    unsigned next = 0;

    if (!mr_http_line_next(http, field->name, &next, &value))
        return;
    if (mr_http_header_count(http, field->name) > 1)
        add_error(self, field, "duplicate", "must be given once");
    else if (value.len > 0 && *value.data == '"' ? read_sf_string(decoded, value) : read_bare(decoded, value))
        parse_decoded(self, i, field);
    else
        add_error(self, field, "format", "must be a string of printable ASCII (RFC 8941, 3.3.3), with or without quotes");
}

/* ---- Conditions ---- */

static void check_grammar(struct mr_request *self, const char *name, const struct mr_condition *condition)
{
    if (condition->kind == MR_CONDITION_MALFORMED)
        mr_body_error(self, name, "format", "must be * or a list of entity tags in quotes (RFC 9110, 8.8.3)");
}

static bool has_versions(enum mr_op op)
{
    for (const struct mr_field *field = mr_op_info(op)->traits->fields; field->name != NULL; field++)
        if (field->from == MR_IF_MATCH)
            return true;
    return false;
}

mr_status mr_request_conditions(struct mr_request *out, enum mr_op op, const struct mr_preconditions *conditions,
                                const char **detail)
{
    bool by_date = conditions->if_unmodified_since && conditions->if_match.kind == MR_CONDITION_ABSENT;
    bool fails;

    check_grammar(out, "If-Match", &conditions->if_match);
    check_grammar(out, "If-None-Match", &conditions->if_none_match);
    if (mr_preconditions_malformed(conditions))
        return MR_INVALID;
    if (mr_op_info(op)->verb == MR_VERB_GET)
        return MR_OK;
    fails = has_versions(op)
                ? by_date
                : mr_preconditions_judge(conditions, false, mr_route_takes(op, MR_VERB_GET), NULL) != MR_VERDICT_PROCEED;
    if (fails && by_date)
        *detail = "The resource has no modification date for If-Unmodified-Since; use If-Match with its entity tag.";
    return fails ? MR_PRECONDITION : MR_OK;
}

static void set_versions(struct mr_request *self, unsigned i, const struct mr_condition *condition, bool weakly)
{
    mr_condition_versions(condition, weakly, &self->decoded[i]);
    self->values[i] = (struct mr_value){.present = true, .text = slice_of(&self->decoded[i])};
}

/* `*` asks only that there is something to change, which is so or is 404. */
static void read_if_match(struct mr_request *self, unsigned i, const struct mr_preconditions *conditions)
{
    if (conditions != NULL && conditions->if_match.kind == MR_CONDITION_TAGS)
        set_versions(self, i, &conditions->if_match, false);
}

/* `*` asks that there is nothing, so whatever is there does not do. */
static void read_if_none_match(struct mr_request *self, unsigned i, const struct mr_preconditions *conditions)
{
    if (conditions == NULL)
        return;
    if (conditions->if_none_match.kind == MR_CONDITION_ANY)
        set_text(&self->values[i], MR_SLICE("*"));
    else if (conditions->if_none_match.kind == MR_CONDITION_TAGS)
        set_versions(self, i, &conditions->if_none_match, true);
}

/* ---- Idempotency ---- */

static bool has_idempotency_key(const struct mr_request *self, const struct mr_field *fields)
{
    for (unsigned i = 0; fields[i].name != NULL; i++)
        if (fields[i].from == MR_HEADER)
            return self->values[i].present;
    return false;
}

/* Methods that are not idempotent of themselves. Who sends a key counts on it: an answer without a word would let a second try through. */
static void check_unkept_key(struct mr_request *self, enum mr_op op, const struct mr_http_request *http)
{
    static const char name[] = "Idempotency-Key";

    if ((http->verb == MR_VERB_POST || http->verb == MR_VERB_PATCH) && mr_field_index(op, name) < 0 &&
        mr_http_header_count(http, name) > 0)
        mr_body_error(self, name, "unsupported", "is not honoured by this operation");
}

/* What was asked for, without what differs from one try to the next: the same payload has the same fingerprint. */
static void add_fingerprint(struct mr_request *self, unsigned i, enum mr_op op, struct mr_slice content)
{
    const struct mr_field *fields = mr_op_info(op)->traits->fields;
    struct mr_value body[MR_FIELDS_MAX] = {0};
    struct mr_buf bytes = {0};
    unsigned char hash[16];

    for (unsigned f = 0; fields[f].name != NULL; f++)
        if (fields[f].from == MR_BODY || fields[f].from == MR_BODY_ITEMS || fields[f].from == MR_PATH ||
            fields[f].from == MR_UPLOAD_TYPE)
            body[f] = self->values[f];
    if (op >= MR_OP_COUNT) /* many operations of an application take the same fields */
        mr_buf_text(&bytes, mr_op_info(op)->name);
    mr_payload_encode(&bytes, op, body);
    mr_buf_slice(&bytes, content);
    crypto_generichash(hash, sizeof hash, (const unsigned char *)bytes.data, bytes.len, NULL, 0);
    if (!bytes.failed && mr_buf_reserve(&self->decoded[i], 2 * sizeof hash + 1) != NULL) {
        sodium_bin2hex(self->decoded[i].data, 2 * sizeof hash + 1, hash, sizeof hash);
        self->values[i] = (struct mr_value){.present = true, .text = {self->decoded[i].data, 2 * sizeof hash}};
    }
    self->decoded[i].failed |= bytes.failed;
    mr_buf_fini(&bytes);
}

static void add_fingerprints(struct mr_request *self, enum mr_op op, struct mr_slice content)
{
    const struct mr_field *fields = mr_op_info(op)->traits->fields;

    for (unsigned i = 0; fields[i].name != NULL; i++)
        if (fields[i].from == MR_FINGERPRINT && has_idempotency_key(self, fields))
            add_fingerprint(self, i, op, content);
}

/* ---- The whole ---- */

/* The body of an OPTIONAL operation holds a credential, and may be left out by who has an access token. */
static bool wants_body(const struct mr_traits *traits, struct mr_slice body)
{
    for (const struct mr_field *field = traits->fields; field->name != NULL; field++)
        if (field->from == MR_BODY)
            return body.len > 0 || (traits->credential == NULL && !traits->body_optional);
    return false;
}

/* Fields that stand in the head of a request. */
static bool is_of_head(const struct mr_field *field)
{
    return field->from == MR_QUERY || field->from == MR_HEADER;
}

/* Nobody is signed in where an operation leaves that open; then there is no value. A key is nobody's session, and no user. */
static void read_token_field(struct mr_value *value, const struct mr_field *field, const struct mr_principal *principal)
{
    bool is_key = principal != NULL && principal->role == MR_ROLE_KEY;

    if (principal == NULL)
        return;
    switch (field->from) {
    case MR_TOKEN_SESSION:
        value->present = principal->has_session;
        memcpy(value->uuid, principal->session_id, sizeof value->uuid);
        break;
    case MR_TOKEN_ADMIN:
        value->present = !is_key;
        value->boolean = principal->role == MR_ROLE_ADMIN;
        break;
    default:
        value->present = is_key == (field->from == MR_TOKEN_KEY);
        memcpy(value->uuid, principal->user_id, sizeof value->uuid);
        break;
    }
}

static void read_only_field(struct mr_value *value, struct mr_slice only)
{
    if (only.len > 0)
        set_text(value, only);
}

static mr_status read_field(struct mr_request *self, unsigned i, const struct mr_field *field, const struct mr_route *route,
                            const struct mr_http_request *http, const struct mr_request_facts *facts)
{
    struct mr_slice raw;

    if (http == NULL && is_of_head(field)) {
        self->values[i] = facts->head != NULL ? facts->head->values[i] : (struct mr_value){.present = false};
        return MR_OK;
    }
    switch (field->from) {
    case MR_BODY:
        if (!json_is_array(self->json))
            mr_body_field(self, i, field);
        break;
    case MR_PATH: return path_param(route, field->name, &raw) ? read_text_field(self, i, field, raw, false) : MR_INTERNAL;
    case MR_QUERY:
        return field->many ? read_query_items(self, i, field, http->query) : read_query_field(self, i, field, http->query);
    case MR_TOKEN_USER:
    case MR_TOKEN_ADMIN:
    case MR_TOKEN_KEY:
    case MR_TOKEN_SESSION: read_token_field(&self->values[i], field, facts->principal); break;
    case MR_TOKEN_ONLY: read_only_field(&self->values[i], facts->only); break;
    case MR_NEW_ID:
        memcpy(self->values[i].uuid, facts->new_id, 16);
        self->values[i].present = true;
        break;
    case MR_HEADER: read_header_field(self, i, field, http); break;
    case MR_IF_MATCH: read_if_match(self, i, facts->conditions); break;
    case MR_IF_NONE_MATCH: read_if_none_match(self, i, facts->conditions); break;
    case MR_TRACE: set_text(&self->values[i], mr_slice_of(facts->traceparent)); break;
    case MR_OPERATION: set_text(&self->values[i], mr_slice_of(mr_op_info(route->op)->name)); break;
    case MR_UPLOAD_TYPE: set_text(&self->values[i], facts->upload_type); break;
    case MR_UPLOAD_PARTS: set_int(&self->values[i], facts->upload_parts); break;
    case MR_UPLOAD_LINES: set_int(&self->values[i], facts->upload_lines); break;
    case MR_BODY_ITEMS:  /* with the body */
    case MR_FINGERPRINT: /* when the others are known */
    case MR_ACTOR: break;
    }
    return MR_OK;
}

static bool is_same(enum mr_type carried, const struct mr_value *a, const struct mr_value *b)
{
    struct mr_slice left = mr_value_bytes(carried, a);
    struct mr_slice right = mr_value_bytes(carried, b);

    return left.len == right.len && memcmp(left.data, right.data, left.len) == 0;
}

static void compare_fields(struct mr_request *self, enum mr_op op)
{
    const struct mr_field *fields = mr_op_info(op)->traits->fields;

    for (unsigned i = 0; fields[i].name != NULL; i++) {
        int other = fields[i].same_as != NULL ? mr_field_index(op, fields[i].same_as) : -1;

        if (other >= 0 && self->values[i].present && self->values[other].present &&
            !is_same(mr_field_carried(&fields[i]), &self->values[i], &self->values[other]))
            add_error(self, &fields[i], "mismatch", "must be the same as in the path");
    }
}

/* A cursor that somebody made up must not be an error of the statement. */
static void check_cursor(struct mr_request *self, const struct mr_field *cursor, const struct mr_value *value,
                         const struct mr_field *order, const struct mr_value *in)
{
    int choice = cursor->keys != NULL ? mr_field_choice(order, in->text) : -1;

    if (choice >= 0 && !mr_cursor_is_good(value->text, cursor->keys[choice]))
        add_error(self, cursor, "format", "must be a cursor taken from a Link header");
}

/* A cursor is a place in one order: in another it would be any place at all, and answer as if the list ended there. */
static void compare_cursors(struct mr_request *self, enum mr_op op)
{
    const struct mr_field *fields = mr_op_info(op)->traits->fields;

    for (unsigned i = 0; fields[i].name != NULL; i++) {
        int other = fields[i].belongs_to != NULL ? mr_field_index(op, fields[i].belongs_to) : -1;
        struct mr_slice whole = slice_of(&self->decoded[i]);
        char told[120];

        if (other < 0 || !self->values[i].present || !self->values[other].present)
            continue;
        whole.len -= self->values[i].text.len + 1;
        if (whole.len == self->values[other].text.len && memcmp(whole.data, self->values[other].text.data, whole.len) == 0) {
            check_cursor(self, &fields[i], &self->values[i], &fields[other], &self->values[other]);
            continue;
        }
        snprintf(told, sizeof told, "belongs to a list with another %s", fields[other].name);
        add_error(self, &fields[i], "mismatch", told);
    }
}

static const char broken_target[] = "The request target has a broken percent-escape or an escaped U+0000.";

/* What is `many` may have begun a literal of no elements. */
static void use_fallback(struct mr_request *self, unsigned i, const struct mr_field *field)
{
    if (field->many)
        mr_buf_clear(&self->decoded[i], SIZE_MAX);
    mr_json_read_default(field, &self->decoded[i], &self->values[i]);
}

static void complete_field(struct mr_request *self, unsigned i, const struct mr_field *field, size_t errors_before)
{
    if (self->values[i].present || self->errors.len != errors_before || (field->from == MR_BODY && json_is_array(self->json)))
        return;
    if (field->fallback != NULL)
        use_fallback(self, i, field);
    else if (field->required)
        add_error(self, field, "required", "is required");
}

static mr_status read_fields(struct mr_request *out, const struct mr_route *route, const struct mr_http_request *http,
                             const struct mr_request_facts *facts, const char **detail)
{
    const struct mr_field *fields = mr_op_info(route->op)->traits->fields;
    mr_status status = MR_OK;

    for (unsigned i = 0; status == MR_OK && fields[i].name != NULL; i++) {
        size_t before = out->errors.len;

        status = read_field(out, i, &fields[i], route, http, facts);
        if (status == MR_INVALID)
            *detail = broken_target;
        complete_field(out, i, &fields[i], before);
    }
    return status;
}

/* Room for what is read of the op's fields, and no more: one block. */
static mr_status make_room(struct mr_request *self, enum mr_op op)
{
    unsigned count = mr_field_count(op);

    if (count == 0)
        return MR_OK;
    self->decoded = calloc(count, sizeof *self->decoded + sizeof *self->values);
    if (self->decoded == NULL)
        return MR_NO_MEMORY;
    self->values = (struct mr_value *)(void *)(self->decoded + count);
    self->count = count;
    return MR_OK;
}

/* A value that is not whole is none: a guard would let pass what its last tag forbids. */
static bool ran_out_of_memory(const struct mr_request *self)
{
    for (unsigned i = 0; i < self->count; i++)
        if (self->decoded[i].failed)
            return true;
    return self->errors.failed;
}

mr_status mr_request_read_head(struct mr_request *out, const struct mr_route *route, const struct mr_http_request *http,
                               const char **detail)
{
    const struct mr_field *fields = mr_op_info(route->op)->traits->fields;
    const struct mr_request_facts none = {.head = NULL};
    mr_status status = make_room(out, route->op);

    for (unsigned i = 0; status == MR_OK && fields[i].name != NULL; i++) {
        size_t before = out->errors.len;

        if (!is_of_head(&fields[i]))
            continue;
        status = read_field(out, i, &fields[i], route, http, &none);
        if (status == MR_INVALID)
            *detail = broken_target;
        complete_field(out, i, &fields[i], before);
    }
    if (status == MR_OK && ran_out_of_memory(out))
        status = MR_NO_MEMORY;
    return status == MR_OK && out->errors.len > 0 ? MR_INVALID : status;
}

mr_status mr_request_read(struct mr_request *out, const struct mr_route *route, const struct mr_http_request *http,
                          struct mr_slice body, const struct mr_request_facts *facts, const char **detail)
{
    mr_status allowed = MR_OK;
    mr_status status;

    *detail = NULL;
    memset(out, 0, sizeof *out);
    status = make_room(out, route->op);
    if (status == MR_OK && wants_body(mr_op_info(route->op)->traits, body))
        status = read_json(out, mr_op_info(route->op)->traits->fields, http, body, detail);
    if (status == MR_OK)
        status = read_fields(out, route, http, facts, detail);
    if (status == MR_OK && http != NULL)
        check_unkept_key(out, route->op, http);
    if (status == MR_OK) {
        compare_fields(out, route->op);
        compare_cursors(out, route->op);
        mr_body_schedule(out, mr_op_info(route->op)->traits->fields);
        if (mr_op_info(route->op)->traits->body_exact)
            mr_body_unknown(out, mr_op_info(route->op)->traits->fields);
        add_fingerprints(out, route->op, facts->upload_digest);
        if (facts->conditions != NULL)
            allowed = mr_request_conditions(out, route->op, facts->conditions, detail);
    }
    if (ran_out_of_memory(out))
        return MR_NO_MEMORY;
    if (status != MR_OK || out->errors.len == 0)
        return status != MR_OK ? status : allowed;
    *detail = NULL; /* the errors say it */
    return MR_INVALID;
}

void mr_request_fini(struct mr_request *self)
{
    for (unsigned i = 0; i < self->count; i++)
        if (self->decoded[i].data != NULL)
            mr_buf_fini(&self->decoded[i]);
    free(self->decoded); /* the values are behind them */
    self->decoded = NULL;
    self->values = NULL;
    self->count = 0;
    mr_buf_fini(&self->errors);
    json_decref(self->json);
}
