/*
 * answers: every status an operation may answer with, its headers and its body.
 *
 * What is refused before an operation is known (http/) may be answered by each of them; the rest follows from who may call
 * it, where it is answered and what it reads, and from `answers` of its traits, which a test holds against the statement.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "openapi/internal.h"

enum { NAME_MAX_LEN = 64, DETAIL_MAX = 512 };

/* ---- Which ---- */

static bool answers_listed(const char *listed, int http)
{
    char status[8];

    while (next_choice(&listed, status, sizeof status))
        if (strtol(status, NULL, 10) == http)
            return true;
    return false;
}

/* An actor answers it, so there are a limit, a deadline and conditions (gateway/dispatch.c, pass_on). */
static bool is_passed_on(const struct mr_op_info *info)
{
    return info->actor != MR_ACTOR_GATEWAY;
}

static bool reads_conditions(const struct mr_op_info *info)
{
    return is_passed_on(info) || info->traits->kept;
}

static bool may_answer(const struct mr_op_info *info, int http)
{
    const struct mr_traits *traits = info->traits;

    switch (http) {
    case 304: return info->verb == MR_VERB_GET && reads_conditions(info);
    case 400:
    case 408:
    case 411:
    case 413:
    case 414:
    case 417:
    case 431:
    case 500:
    case 501:
    case 503: return true;
    case 401: return info->access != MR_ACCESS_PUBLIC || answers_listed(traits->answers, http);
    case 403: return info->access == MR_ACCESS_ADMIN || info->access == MR_ACCESS_USER || answers_listed(traits->answers, http);
    case 412: return reads_conditions(info);
    case 415: return has_body(traits) || traits->upload != NULL;
    case 429:
    case 504: return is_passed_on(info);
    default: return http == info->http || http == traits->unwell || answers_listed(traits->answers, http);
    }
}

bool mr_openapi_answers(enum mr_op op, int http)
{
    return may_answer(mr_op_info(op), http);
}

/* ---- Headers ---- */

static const struct header {
    const char *name;
    const char *about;
    const char *type;
    const char *example;
    bool required;
} known_headers[] = {
    {"X-Request-Id", "id of the request in logs and problems: the client's, or a generated one", "string",
     "0198c0de7a5c7e0f8a1b2c3d4e5f6071", true},
    {"Cache-Control", "who may keep the answer, and for how long", "string", "no-store", true},
    {"ETag", "version of the resource, for If-Match and If-None-Match", "string", "\"3\"", true},
    {"Location", "path of the new resource", "string", "/v1/tasks/0198c0de-7a5c-7e0f-8a1b-2c3d4e5f6071", true},
    {"Link", "where the list continues; absent at its end", "string", "</v1/tasks?cursor=...>; rel=\"next\"", false},
    {"WWW-Authenticate", "how to authenticate, and what was wrong with the token", "string", "Bearer error=\"invalid_token\"",
     true},
    {"Retry-After", "seconds after which to retry", "integer", "1", true},
    {"RateLimit-Policy", "the caller's limit, if one is set", "string", "\"default\";q=100;w=60", false},
    {"RateLimit", "what is left of the limit", "string", "\"default\";r=50;t=30", false},
    {"Accept-Encoding", "the supported codings, if another was refused", "string", "identity", false},
    {"Accept-Patch", "the media types that PATCH accepts, if another was refused", "string", "application/merge-patch+json",
     false},
};

enum { HEADER_COUNT = sizeof known_headers / sizeof known_headers[0] };

static void put_header_component(struct doc *doc, const struct header *header, const char *key, bool required)
{
    json_t *self = put_object(doc, doc->headers, key);
    bool is_number = strcmp(header->type, "integer") == 0;

    put_text(doc, self, "description", header->about);
    put(doc, self, "required", json_boolean(required));
    put(doc, self, "schema", json_pack("{s:s}", "type", header->type));
    put(doc, self, "example", is_number ? json_integer(strtoll(header->example, NULL, 10)) : json_string(header->example));
}

static void put_header(struct doc *doc, json_t *headers, const char *name)
{
    for (size_t i = 0; i < HEADER_COUNT; i++) {
        const struct header *header = &known_headers[i];

        if (strcmp(header->name, name) != 0)
            continue;
        if (json_object_get(doc->headers, name) == NULL)
            put_header_component(doc, header, name, header->required);
        put(doc, headers, name, reference(doc, "headers", name));
    }
}

static json_t *begin_headers(struct doc *doc, json_t *response)
{
    json_t *headers = put_object(doc, response, "headers");

    put_header(doc, headers, "X-Request-Id");
    put_header(doc, headers, "Cache-Control");
    return headers;
}

static void put_quota(struct doc *doc, json_t *headers)
{
    put_header(doc, headers, "RateLimit-Policy");
    put_header(doc, headers, "RateLimit");
}

/* ---- Problems ---- */

static const struct mr_result field_problem = {
    .name = "FieldProblem",
    .about = "What is wrong with a field",
    .members = MR_MEMBERS({"field", MR_TEXT, .about = "its name, wherever in the request it stands", .example = "summary"},
                          {"code", MR_TEXT, .about = "the rule that it breaks, for programs", .example = "required"},
                          {"message", MR_TEXT, .about = "the same for people", .example = "is required"}),
};

static const struct mr_result problem = {
    .name = "Problem",
    .about = "Why a request was refused or failed (RFC 9457)",
    .members = MR_MEMBERS(
        {"type", MR_TEXT, .format = "uri-reference", .about = "what kind of problem it is", .example = "about:blank"},
        {"title", MR_TEXT, .about = "the same for people", .example = "Bad Request"},
        {"status", MR_INT, .about = "the status of the answer", .example = "400"},
        {"detail", MR_TEXT, .optional = true, .about = "what happened",
         .example = "The request is malformed or a field breaks its rule."},
        {"instance", MR_TEXT, .optional = true, .about = "id of the request", .example = "0198c0de7a5c7e0f8a1b2c3d4e5f6071"},
        {"errors", .json = &field_problem, .many = true, .optional = true,
         .about = "every field that breaks a rule, all at once"},
        {"violated-policies", MR_TEXT, .many = true, .optional = true, .about = "of the RateLimit-Policy, with 429",
         .example = "default"}),
};

/* Every detail that the table of statuses has for the code, with a blank between them. */
static void describe(char out[DETAIL_MAX], int http)
{
    size_t len = 0;

    out[0] = '\0';
    for (int status = 0; status < MR_STATUS_COUNT; status++) {
        int written;

        if (mr_status_http((mr_status)status) != http)
            continue;
        written = snprintf(out + len, DETAIL_MAX - len, "%s%s", len > 0 ? " " : "", mr_status_detail((mr_status)status));
        len += written > 0 ? (size_t)written : 0;
        if (len >= DETAIL_MAX)
            return;
    }
}

/* "Not Found" becomes "NotFound". */
static void name_response(char out[NAME_MAX_LEN], int http)
{
    size_t len = 0;

    for (const char *at = mr_http_reason(http); *at != '\0' && len < NAME_MAX_LEN - 1; at++)
        if (isalnum((unsigned char)*at))
            out[len++] = *at;
    out[len] = '\0';
}

static void put_problem_headers(struct doc *doc, json_t *headers, int http)
{
    if (http == 401)
        put_header(doc, headers, "WWW-Authenticate");
    if (http == 429 || http == 503)
        put_header(doc, headers, "Retry-After");
    if (http == 415) {
        put_header(doc, headers, "Accept-Encoding");
        put_header(doc, headers, "Accept-Patch");
    }
    put_quota(doc, headers);
}

static json_t *problem_content(struct doc *doc, json_t *response)
{
    json_t *content = put_object(doc, response, "content");
    json_t *media = put_object(doc, content, "application/problem+json");

    put(doc, media, "schema", result_reference(doc, &problem));
    return content;
}

static void put_problem(struct doc *doc, json_t *responses, const char *status, int http)
{
    char name[NAME_MAX_LEN];
    char about[DETAIL_MAX];
    json_t *response;

    name_response(name, http);
    if (json_object_get(doc->responses, name) == NULL) {
        response = put_object(doc, doc->responses, name);
        describe(about, http);
        put_text(doc, response, "description", about);
        put_problem_headers(doc, begin_headers(doc, response), http);
        problem_content(doc, response);
    }
    put(doc, responses, status, reference(doc, "responses", name));
}

/* ---- Successes ---- */

static void put_media(struct doc *doc, json_t *content, const struct mr_traits *traits)
{
    const char *types = traits->media;
    char type[NAME_MAX_LEN];

    while (next_choice(&types, type, sizeof type))
        put(doc, content, type, json_pack("{s:{s:s}}", "schema", "type", "string"));
    if (traits->media == NULL)
        put(doc, put_object(doc, content, "application/json"), "schema", success_schema(doc, traits));
}

static void put_success_headers(struct doc *doc, json_t *headers, const struct mr_op_info *info)
{
    if (info->traits->versioned || info->traits->cache_s > 0 || info->traits->kept)
        put_header(doc, headers, "ETag");
    if (info->traits->location != NULL)
        put_header(doc, headers, "Location");
    if (info->traits->continued)
        put_header(doc, headers, "Link");
    if (is_passed_on(info))
        put_quota(doc, headers);
}

static void put_success(struct doc *doc, json_t *responses, const char *status, const struct mr_op_info *info)
{
    json_t *response = put_object(doc, responses, status);

    put_text(doc, response, "description",
             info->traits->returns != NULL ? info->traits->returns->about : mr_http_reason(info->http));
    put_success_headers(doc, begin_headers(doc, response), info);
    if (info->http != 204)
        put_media(doc, put_object(doc, response, "content"), info->traits);
}

static void put_not_modified(struct doc *doc, json_t *responses, const struct mr_op_info *info)
{
    json_t *response = put_object(doc, responses, "304");

    put_text(doc, response, "description", "The resource still has a tag that If-None-Match names.");
    put_success_headers(doc, begin_headers(doc, response), info);
}

/* The body of a success, or the problem when not even that can be said. */
static void put_unwell(struct doc *doc, json_t *responses, const char *status, const struct mr_op_info *info)
{
    json_t *response = put_object(doc, responses, status);
    char about[DETAIL_MAX];

    describe(about, info->traits->unwell);
    put_text(doc, response, "description", about);
    put_problem_headers(doc, begin_headers(doc, response), info->traits->unwell);
    put_media(doc, problem_content(doc, response), info->traits);
}

void put_answers(struct doc *doc, json_t *responses, const struct mr_op_info *info)
{
    for (int http = STATUS_FIRST; http < STATUS_END; http++) {
        char status[12];

        if (!may_answer(info, http))
            continue;
        snprintf(status, sizeof status, "%d", http);
        if (http == info->http)
            put_success(doc, responses, status, info);
        else if (http == 304)
            put_not_modified(doc, responses, info);
        else if (http == info->traits->unwell)
            put_unwell(doc, responses, status, info);
        else
            put_problem(doc, responses, status, http);
    }
}
