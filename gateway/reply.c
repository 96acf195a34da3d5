#include "gateway/reply.h"

#include <stdio.h>

#include "gateway/waiting.h"
#include "proto/json.h"
#include "runtime/log.h"
#include "runtime/metrics.h"

enum { VERSION_ETAG = 24 }; /* a number between quotes, and a NUL */

static const char json_type[] = "application/json";

/* Those of every response. HSTS counts once the balancer speaks TLS, and is ignored on plain HTTP (RFC 6797, 8.1). */
static const char security_headers[] = "Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n"
                                       "X-Content-Type-Options: nosniff\r\n"
                                       "X-Frame-Options: DENY\r\n"
                                       "Referrer-Policy: no-referrer\r\n"
                                       "Cross-Origin-Opener-Policy: same-origin\r\n"
                                       "Cross-Origin-Resource-Policy: same-origin\r\n";

/* Of every response that does not bring its own. */
static const char no_content_policy[] = "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n";

static const char no_store[] = "Cache-Control: no-store\r\n";

static const char preflight_headers[] = "Access-Control-Allow-Headers: authorization, baggage, content-encoding, "
                                        "content-type, idempotency-key, if-match, if-none-match, prefer, traceparent, "
                                        "tracestate, x-request-id\r\n"
                                        "Access-Control-Max-Age: 600\r\n";

static const char exposed_headers[] = "Access-Control-Expose-Headers: accept-encoding, accept-patch, allow, etag, "
                                      "link, location, ratelimit, ratelimit-policy, retry-after, "
                                      "www-authenticate, x-request-id\r\n";

/* What PATCH takes (RFC 5789, 3.1). */
static const char accept_patch[] = "Accept-Patch: application/merge-patch+json, application/json\r\n";

/* The problem type that the draft of the RateLimit headers registers for a 429. */
static const char quota_exceeded[] = "https://iana.org/assignments/http-problem-types#quota-exceeded";

static bool allows_everybody(const struct gateway *gateway)
{
    return strcmp(gateway->config->cors_allowed_origin, "*") == 0;
}

/* Where everybody is allowed, every answer says so, also one that is given before an Origin was read or that a cache keeps. */
static void write_fixed(struct mr_buf *out, const struct gateway *gateway)
{
    mr_buf_text(out, security_headers);
    if (!allows_everybody(gateway)) {
        mr_buf_text(out, "Vary: Origin\r\n");
        return;
    }
    mr_buf_text(out, "Access-Control-Allow-Origin: *\r\n");
    mr_buf_text(out, exposed_headers);
}

void reply_setup(struct gateway *gateway)
{
    write_fixed(&gateway->fixed, gateway);
    write_fixed(&gateway->plain, gateway);
    mr_buf_text(&gateway->plain, no_content_policy);
    mr_buf_text(&gateway->plain, no_store);
}

/* A list answers its members and leaves the others without a word. */
void reply_origin(struct exchange *exchange, const struct mr_http_request *request)
{
    const char *allowed = exchange->gateway->config->cors_allowed_origin;
    struct mr_slice origin;
    char wanted[sizeof exchange->origin];

    if (!mr_http_header(request, "origin", &origin) || origin.len == 0 || origin.len >= sizeof wanted)
        return;
    if (allows_everybody(exchange->gateway)) {
        strcpy(exchange->origin, "*"); /* a preflight is answered; the rest is among the headers of every answer */
        return;
    }
    for (size_t i = 0; i < origin.len; i++)
        wanted[i] = (char)(origin.data[i] >= 'A' && origin.data[i] <= 'Z' ? origin.data[i] + 32 : origin.data[i]);
    wanted[origin.len] = '\0';
    if (mr_http_list_has(mr_slice_of(allowed), wanted)) {
        memcpy(exchange->origin, origin.data, origin.len);
        exchange->origin[origin.len] = '\0';
    }
}

static bool is_slow(const struct exchange *exchange, int64_t took_us)
{
    int64_t slow_ms = exchange->gateway->config->log_slow_ms;

    return slow_ms > 0 && took_us >= slow_ms * 1000;
}

/* Where the time went that a slow request took. Of a message that is not answered only the gateway's part is known. */
static void log_slow(enum mr_log_level level, const struct exchange *exchange, const char *op, int http, int64_t took_us,
                     int64_t left_out)
{
    const struct mr_times *times = &exchange->times;
    int64_t away_us = exchange->away_us;
    bool answered = exchange->sent_us == 0;

    if (!answered)
        away_us += mr_mono_us(exchange->gateway->clock) - exchange->sent_us;
    mr_log(
        level, "request", mr_log_text("requestId", exchange->request_id), mr_log_trace(mr_slice_of(exchange->traceparent)),
        mr_log_text("op", op), mr_log_int("status", http), mr_log_int("durationMs", took_us / 1000),
        mr_log_int("gatewayMs", (took_us - away_us) / 1000), mr_log_int(answered ? "mailboxMs" : "", times->mailbox_us / 1000),
        mr_log_int(answered ? "databaseMs" : "", times->database_us / 1000), mr_log_int(answered ? "batch" : "", times->batch),
        mr_log_text("traceparent", exchange->traceparent), mr_log_int(left_out > 0 ? "leftOut" : "", left_out));
}

/*
 * Whether the line of an outcome is written. While something is wrong nearly every request has one, and the time that it takes is
 * taken from those that are served. Of each kind there is a burst a second, so that none hides another.
 */
static bool passes(enum mr_log_level level, bool slow, int64_t *left_out)
{
    static struct mr_log_bound faults;
    static struct mr_log_bound refusals;
    static struct mr_log_bound slow_ones;

    *left_out = 0;
    if (!mr_log_wants(level) || level == MR_LOG_DEBUG)
        return mr_log_wants(level);
    return mr_log_passes(level == MR_LOG_ERROR ? &faults : slow ? &slow_ones : &refusals, left_out);
}

static void log_outcome(const struct exchange *exchange, int http, int64_t took_us)
{
    const char *op = exchange->op != MR_OP_NONE ? mr_op_info(exchange->op)->name : "none";
    bool slow = is_slow(exchange, took_us);
    enum mr_log_level level = http == 500 ? MR_LOG_ERROR : http > 500 || slow ? MR_LOG_WARN : MR_LOG_DEBUG;
    int64_t left_out;

    if (!passes(level, slow, &left_out))
        return;
    if (slow)
        log_slow(level, exchange, op, http, took_us, left_out);
    else
        mr_log(level, "request", mr_log_text("requestId", exchange->request_id),
               mr_log_trace(mr_slice_of(exchange->traceparent)), mr_log_text("op", op), mr_log_int("status", http),
               mr_log_int("durationMs", took_us / 1000), mr_log_text("traceparent", exchange->traceparent),
               mr_log_int(left_out > 0 ? "leftOut" : "", left_out));
}

static void end_span(struct exchange *exchange, int http, int64_t took_us)
{
    const char *route = exchange->op != MR_OP_NONE ? mr_op_info(exchange->op)->path : NULL;

    mr_trace_end(&exchange->span, route, http, exchange->started_us + took_us);
}

static void count_outcome(const struct exchange *exchange, int http, int64_t took_us)
{
    mr_metric_request(exchange->op, http, took_us);
    if (http == 429)
        mr_metric_add(MR_METRIC_rate_limited, 1);
    if (http == 401 && exchange->op == MR_OP_sign_in)
        mr_metric_add(MR_METRIC_sign_ins_refused, 1);
}

/* Names and meaning: draft-ietf-httpapi-ratelimit-headers. */
static void write_quota(struct mr_buf *out, const struct mr_quota *quota, int http)
{
    mr_buf_printf(out, "RateLimit-Policy: \"%s\";q=%u;w=%d\r\n", quota->policy, quota->limit, MR_RATE_WINDOW_S);
    mr_buf_printf(out, "RateLimit: \"%s\";r=%u;t=%u\r\n", quota->policy, quota->remaining, quota->reset_s);
    if (http == 429)
        mr_buf_printf(out, "Retry-After: %u\r\n", quota->reset_s);
}

/* Those of one response, in place of what it would have else. */
static void write_special(struct mr_buf *out, const char *headers)
{
    if (strstr(headers, "Content-Security-Policy: ") == NULL)
        mr_buf_text(out, no_content_policy);
    if (strstr(headers, "Cache-Control: ") == NULL)
        mr_buf_text(out, no_store);
    mr_buf_text(out, headers);
}

static void write_headers(struct exchange *exchange, struct mr_buf *out, int http, const char *extra_headers)
{
    struct gateway *gateway = exchange->gateway;

    mr_buf_text(out, "X-Request-Id: ");
    mr_buf_text(out, exchange->request_id);
    mr_buf_text(out, "\r\n");
    if (exchange->origin[0] != '\0' && exchange->origin[0] != '*') {
        mr_buf_text(out, "Access-Control-Allow-Origin: ");
        mr_buf_text(out, exchange->origin);
        mr_buf_text(out, "\r\n");
        mr_buf_text(out, exposed_headers);
    }
    if (extra_headers == NULL || *extra_headers == '\0') {
        mr_buf_slice(out, (struct mr_slice){gateway->plain.data, gateway->plain.len});
    } else {
        mr_buf_slice(out, (struct mr_slice){gateway->fixed.data, gateway->fixed.len});
        write_special(out, extra_headers);
    }
    if (exchange->quota.policy != NULL)
        write_quota(out, &exchange->quota, http);
}

static void respond(struct exchange *exchange, int http, const char *type, struct mr_slice body, const char *extra_headers)
{
    struct mr_http_connection *connection = exchange->connection;
    int64_t took_us;

    write_headers(exchange, mr_http_respond(connection, http, type, body.len), http, extra_headers);
    mr_http_respond_end(connection, body);
    took_us = mr_mono_us(exchange->gateway->clock) - exchange->started_us - waiting_rested_us(exchange);
    log_outcome(exchange, http, took_us);
    count_outcome(exchange, http, took_us);
    end_span(exchange, http, took_us + waiting_rested_us(exchange));
    exchange_end(exchange);
}

void reply_json(struct exchange *exchange, int http, struct mr_slice body, const char *extra_headers)
{
    respond(exchange, http, json_type, body, extra_headers);
}

/* "/v1/tasks/:id" with the id of what was made; a repeated request is told the id of the first. */
static void add_location(struct mr_buf *out, struct mr_slice made, const char *location)
{
    const char *colon = strchr(location, ':');
    char id[MR_UUID_TEXT];

    mr_uuid_format(id, (const uint8_t *)made.data);
    mr_buf_text(out, "Location: ");
    mr_buf_append(out, location, (size_t)(colon - location));
    mr_buf_append(out, id, sizeof id);
    mr_buf_text(out, "\r\n");
}

/* The rest of a list: the same question, from the cursor on. */
static void add_link(struct mr_buf *out, const struct exchange *exchange, struct mr_slice next)
{
    mr_buf_text(out, "Link: <");
    mr_buf_append(out, exchange->link.data, exchange->link.len);
    mr_buf_slice(out, next);
    mr_buf_text(out, ">; rel=\"next\"\r\n");
}

/* A success with its headers and, when it is a read, under the conditions of the request. `etag` NULL: it has none. */
static void respond_success(struct exchange *exchange, const char *type, struct mr_slice body, const char *etag,
                            const char *headers)
{
    const struct mr_op_info *info = mr_op_info(exchange->op);
    enum mr_verdict verdict = MR_VERDICT_PROCEED;

    if (info->verb == MR_VERB_GET)
        verdict = mr_preconditions_judge(&exchange->conditions, true, true, etag);
    if (verdict == MR_VERDICT_FAILED && exchange_ask_primary(exchange)) /* a replica may not have the change of that tag yet */
        return;
    if (verdict == MR_VERDICT_FAILED)
        reply_problem(exchange, MR_PRECONDITION, NULL, (struct mr_slice){0});
    else if (verdict == MR_VERDICT_NOT_MODIFIED)
        respond(exchange, 304, NULL, (struct mr_slice){0}, headers);
    else if (info->http == 204)
        respond(exchange, 204, NULL, (struct mr_slice){0}, headers);
    else
        respond(exchange, info->http, type, body, headers);
}

void reply_kept(struct exchange *exchange, const char *type, struct mr_slice body, const char *etag, const char *headers)
{
    respond_success(exchange, type, body, etag, headers);
}

/* What everybody may keep. */
static void respond_cacheable(struct exchange *exchange, struct mr_slice body, const char *etag)
{
    struct mr_buf *headers = &exchange->gateway->headers;

    mr_buf_clear(headers, KEEP_BYTES);
    mr_buf_text(headers, "Cache-Control: public, max-age=");
    mr_buf_int(headers, mr_op_info(exchange->op)->traits->cache_s);
    mr_buf_text(headers, "\r\nETag: ");
    mr_buf_text(headers, etag);
    mr_buf_append(headers, "\r\n", sizeof "\r\n");
    if (headers->failed)
        reply_problem(exchange, MR_NO_MEMORY, NULL, (struct mr_slice){0});
    else
        respond_success(exchange, json_type, body, etag, headers->data);
}

void reply_cached(struct exchange *exchange, const struct mr_cached *cached)
{
    respond_cacheable(exchange, (struct mr_slice){cached->body.data, cached->body.len}, cached->etag);
}

static void keep_and_respond(struct exchange *exchange, struct mr_slice body)
{
    struct gateway *gateway = exchange->gateway;
    int64_t life_ms = (int64_t)mr_op_info(exchange->op)->traits->cache_s * 1000;
    struct mr_slice key = {exchange->cache_key.len > 0 ? exchange->cache_key.data : "", exchange->cache_key.len};
    char etag[MR_ETAG_TEXT];

    mr_etag_make(etag, body);
    if (!exchange->cache_key.failed)
        mr_cache_keep(&gateway->cache, exchange->cache_generation, exchange->op, key, body, gateway_now_ms(gateway) + life_ms);
    respond_cacheable(exchange, body, etag);
}

/* The tag of a version, which stays behind in `etag`. */
static void add_etag(struct mr_buf *out, int64_t version, char etag[VERSION_ETAG])
{
    size_t begun;

    mr_buf_text(out, "ETag: ");
    begun = out->len;
    mr_buf_char(out, '"');
    mr_buf_int(out, version);
    mr_buf_char(out, '"');
    mr_slice_copy(etag, VERSION_ETAG,
                  out->failed ? (struct mr_slice){0} : (struct mr_slice){out->data + begun, out->len - begun});
    mr_buf_text(out, "\r\n");
}

void reply_answer(struct exchange *exchange, struct mr_slice payload)
{
    const struct mr_op_info *info = mr_op_info(exchange->op);
    struct mr_buf *extra = &exchange->gateway->headers;
    struct mr_reply_head head;
    struct mr_slice body;
    char etag[VERSION_ETAG];

    mr_buf_clear(extra, KEEP_BYTES);
    if (mr_reply_decode(payload, &head, &body) != MR_OK) {
        mr_log_bounded(MR_LOG_ERROR, "malformed reply", mr_log_text("requestId", exchange->request_id),
                       mr_log_trace(mr_slice_of(exchange->traceparent)), mr_log_text("op", info->name));
        reply_problem(exchange, MR_INTERNAL, NULL, (struct mr_slice){0});
        return;
    }
    if (info->traits->cache_s > 0) {
        keep_and_respond(exchange, body);
        return;
    }
    if (info->traits->location != NULL && head.id.len == 16)
        add_location(extra, head.id, info->traits->location);
    if (head.next.len > 0)
        add_link(extra, exchange, head.next);
    if (head.version != 0)
        add_etag(extra, head.version, etag);
    mr_buf_char(extra, '\0');
    if (extra->failed || exchange->link.failed)
        reply_problem(exchange, MR_NO_MEMORY, NULL, (struct mr_slice){0});
    else
        respond_success(exchange, json_type, body, head.version != 0 ? etag : NULL, extra->data);
}

/* `name` brings the comma, the quotes and the colon. */
static void add_member(struct mr_buf *out, const char *name, const char *value)
{
    mr_buf_text(out, name);
    mr_json_string(out, mr_slice_of(value));
}

static bool takes_gzip(const struct exchange *exchange)
{
    const struct mr_upload *upload = exchange->op != MR_OP_NONE ? mr_op_info(exchange->op)->traits->upload : NULL;

    return upload != NULL && upload->takes_gzip;
}

/* Headers that a status brings along. Accept-Encoding is only for a coding that was refused (RFC 9110, 12.5.3). */
static const char *headers_of(mr_status status, const struct exchange *exchange)
{
    int http = mr_status_http(status);

    if (status == MR_INVALID_TOKEN || status == MR_INVALID_KEY)
        return "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n";
    if (http == 401)
        return "WWW-Authenticate: Bearer\r\n";
    if (status == MR_CODING)
        return takes_gzip(exchange) ? "Accept-Encoding: gzip, identity\r\n" : "Accept-Encoding: identity\r\n";
    if (status == MR_MEDIA_TYPE && exchange->op != MR_OP_NONE && mr_route_takes(exchange->op, MR_VERB_PATCH))
        return accept_patch;
    if (http == 503)
        return exchange->gateway->draining ? "Retry-After: 5\r\n" : "Retry-After: 1\r\n";
    return NULL;
}

/* There is no memory to say more. */
static void respond_no_memory(struct exchange *exchange)
{
    static const char body[] = "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503}";

    respond(exchange, 503, "application/problem+json", MR_SLICE(body), headers_of(MR_NO_MEMORY, exchange));
}

/* Type, title, status and detail. */
static void begin_problem(struct mr_buf *out, int http, const char *type, const char *detail)
{
    add_member(out, "{\"type\":", type);
    add_member(out, ",\"title\":", mr_http_reason(http));
    mr_buf_text(out, ",\"status\":");
    mr_buf_int(out, http);
    add_member(out, ",\"detail\":", detail);
}

/* One that says no more than its status does. Where there are many, as under overload, they are of one kind. */
static void begin_plain_problem(struct mr_buf *out, struct gateway *gateway, mr_status status)
{
    struct mr_buf *text = &gateway->problem;

    if (text->len == 0 || gateway->problem_status != status) {
        mr_buf_clear(text, KEEP_BYTES);
        begin_problem(text, mr_status_http(status), "about:blank", mr_status_detail(status));
        gateway->problem_status = status;
    }
    out->failed |= text->failed;
    mr_buf_slice(out, (struct mr_slice){text->data, text->len});
    if (text->failed)
        mr_buf_fini(text);
}

static void problem(struct exchange *exchange, mr_status status, const char *detail, struct mr_slice errors,
                    const char *headers)
{
    struct mr_buf *body = &exchange->gateway->body;
    int http = mr_status_http(status);
    bool over_quota = http == 429 && exchange->quota.policy != NULL;

    mr_buf_clear(body, KEEP_BYTES);
    if (detail == NULL && !over_quota)
        begin_plain_problem(body, exchange->gateway, status);
    else
        begin_problem(body, http, over_quota ? quota_exceeded : "about:blank",
                      detail != NULL ? detail : mr_status_detail(status));
    add_member(body, ",\"instance\":", exchange->request_id);
    if (over_quota)
        mr_buf_printf(body, ",\"violated-policies\":[\"%s\"]", exchange->quota.policy);
    if (errors.len > 0) {
        mr_buf_text(body, ",\"errors\":[");
        mr_buf_slice(body, errors);
        mr_buf_char(body, ']');
    }
    mr_buf_char(body, '}');
    if (body->failed)
        respond_no_memory(exchange);
    else
        respond(exchange, http, "application/problem+json", (struct mr_slice){body->data, body->len}, headers);
}

/* RFC 6750, 3.1. What the operation takes is named; one that takes no key names nothing. */
static void refuse_key(struct exchange *exchange, mr_status status)
{
    const char *scopes = mr_op_info(exchange->op)->traits->scopes;
    struct mr_buf detail = {0};
    struct mr_buf header = {0};
    struct mr_slice scope;
    unsigned count = 0;

    mr_buf_text(&header, "WWW-Authenticate: Bearer error=\"insufficient_scope\"");
    mr_buf_text(&detail, "The API key does not have a scope that lets it do this: ");
    while (mr_scope_next(&scopes, &scope)) {
        if (count == 0)
            mr_buf_printf(&header, ", scope=\"%.*s\"", (int)scope.len, scope.data);
        mr_buf_printf(&detail, "%s%.*s", count++ == 0 ? "" : " or ", (int)scope.len, scope.data);
    }
    mr_buf_append(&header, "\r\n", sizeof "\r\n");
    mr_buf_append(&detail, ".", sizeof ".");
    if (detail.failed || header.failed)
        respond_no_memory(exchange);
    else
        problem(exchange, status, count > 0 ? detail.data : NULL, (struct mr_slice){0}, header.data);
    mr_buf_fini(&detail);
    mr_buf_fini(&header);
}

void reply_problem(struct exchange *exchange, mr_status status, const char *detail, struct mr_slice errors)
{
    if (status == MR_KEY_REFUSED || status == MR_SCOPE)
        refuse_key(exchange, status);
    else
        problem(exchange, status, detail, errors, headers_of(status, exchange));
}

/* Each of the fields that it is about. */
static void add_errors(struct mr_buf *out, const struct mr_fault *fault)
{
    struct mr_slice rest = fault->field;

    mr_buf_slice(out, fault->errors);
    while (rest.len > 0) {
        const char *end = memchr(rest.data, '|', rest.len);
        size_t len = end != NULL ? (size_t)(end - rest.data) : rest.len;

        mr_fault_error(out, (struct mr_slice){rest.data, len}, fault->code, fault->message);
        rest.data += end != NULL ? len + 1 : len;
        rest.len -= end != NULL ? len + 1 : len;
    }
}

void reply_fault(struct exchange *exchange, const struct mr_fault *fault)
{
    struct mr_buf errors = {0};
    struct mr_buf detail = {0};
    bool says = fault->field.len == 0 && fault->errors.len == 0 && fault->message.len > 0; /* of the request as a whole */

    add_errors(&errors, fault);
    mr_buf_slice(&detail, fault->message);
    mr_buf_char(&detail, '\0');
    if (errors.failed || detail.failed)
        respond_no_memory(exchange);
    else
        reply_problem(exchange, fault->status, says ? detail.data : NULL, (struct mr_slice){errors.data, errors.len});
    mr_buf_fini(&errors);
    mr_buf_fini(&detail);
}

void reply_method(struct exchange *exchange, struct mr_slice allow)
{
    char header[256];

    snprintf(header, sizeof header, "Allow: %.*s\r\n", (int)allow.len, allow.data);
    problem(exchange, MR_METHOD, NULL, (struct mr_slice){0}, header);
}

/* OPTIONS, asked by a browser before a request from another origin or by anybody else. */
void reply_preflight(struct exchange *exchange, struct mr_slice allow)
{
    struct mr_buf headers = {0};

    mr_buf_printf(&headers, "Allow: %.*s\r\n", (int)allow.len, allow.data);
    if (exchange->origin[0] != '\0') {
        mr_buf_printf(&headers, "Access-Control-Allow-Methods: %.*s\r\n", (int)allow.len, allow.data);
        mr_buf_text(&headers, preflight_headers);
    }
    if (memmem(allow.data, allow.len, "PATCH", strlen("PATCH")) != NULL)
        mr_buf_text(&headers, accept_patch);
    mr_buf_char(&headers, '\0');
    if (headers.failed)
        respond_no_memory(exchange);
    else
        respond(exchange, 204, NULL, (struct mr_slice){0}, headers.data);
    mr_buf_fini(&headers);
}
