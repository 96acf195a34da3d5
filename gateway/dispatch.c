#include "gateway/dispatch.h"

#include "gateway/admit.h"
#include "gateway/claims.h"
#include "gateway/docs.h"
#include "gateway/health.h"
#include "gateway/link.h"
#include "gateway/reply.h"
#include "gateway/upload.h"
#include "gateway/waiting.h"
#include "http/target.h"

/* A text that is incomplete because memory ran out counts as none. */
static struct mr_slice slice_of(const struct mr_buf *buf)
{
    return buf->len > 0 && !buf->failed ? (struct mr_slice){buf->data, buf->len} : (struct mr_slice){"", 0};
}

static void *begin(void *application, struct mr_http_connection *connection, const struct mr_http_request *request)
{
    struct exchange *exchange = exchange_new(application, connection, request);

    if (exchange != NULL)
        reply_origin(exchange, request);
    if (exchange != NULL)
        exchange->head_faults = request->faults;
    return exchange;
}

/* ---- The head ---- */

/* Also where nothing would ever read them: what is no text is no target. */
static bool escapes_are_sound(struct mr_slice text)
{
    struct mr_buf ignored = {0};
    bool sound = memchr(text.data, '%', text.len) == NULL || mr_http_decode(&ignored, text, false) != MR_INVALID;

    mr_buf_fini(&ignored);
    return sound;
}

/* A row of the map, except that what is turned off is not there. */
static mr_status find(const struct gateway *gateway, struct mr_route *out, enum mr_verb verb, struct mr_slice path,
                      struct mr_buf *allow)
{
    if (gateway->docs == NULL && mr_route_find(out, MR_VERB_GET, path, NULL) == MR_OK && mr_op_info(out->op)->traits->kept)
        return MR_NOT_FOUND;
    return mr_route_find(out, verb, path, allow);
}

static void resolve(struct exchange *exchange, const struct mr_http_request *request)
{
    if (request->is_options)
        return;
    exchange->route_status = find(exchange->gateway, &exchange->route, request->verb, request->path, NULL);
    if (exchange->route_status == MR_OK)
        exchange->op = exchange->route.op;
}

static void on_head(void *self, const struct mr_http_request *request, struct mr_http_plan *plan)
{
    struct exchange *exchange = self;
    const struct mr_upload *upload;

    plan->body_max = BODY_MAX;
    if (!escapes_are_sound(request->path) || !escapes_are_sound(request->query)) {
        reply_problem(exchange, MR_INVALID, "The request target has a broken percent-escape or an escaped U+0000.",
                      (struct mr_slice){0});
        return;
    }
    resolve(exchange, request);
    upload = exchange->route_status == MR_OK ? mr_op_info(exchange->op)->traits->upload : NULL;
    if (upload == NULL)
        return;
    *plan = (struct mr_http_plan){.stream = true, .body_max = upload->max};
    if (request->content_length <= upload->max) /* else the server says so */
        upload_begin(exchange, request);
}

/* ---- The whole request ---- */

static void answer_options(struct exchange *exchange, const struct mr_http_request *request)
{
    struct mr_buf allow = {0};
    struct mr_route route;

    if (mr_slice_is(request->path, "*"))
        mr_buf_text(&allow, "OPTIONS, GET, HEAD, POST, PUT, PATCH, DELETE");
    else
        (void)!find(exchange->gateway, &route, MR_VERB_NONE, request->path, &allow);
    if (allow.failed)
        reply_problem(exchange, MR_NO_MEMORY, NULL, (struct mr_slice){0});
    else if (allow.len > 0)
        reply_preflight(exchange, slice_of(&allow));
    else
        reply_problem(exchange, MR_NOT_FOUND, NULL, (struct mr_slice){0});
    mr_buf_fini(&allow);
}

/* No row for this verb and path. */
static void answer_no_route(struct exchange *exchange, const struct mr_http_request *request)
{
    struct mr_buf allow = {0};
    struct mr_route route;

    if (find(exchange->gateway, &route, MR_VERB_NONE, request->path, &allow) == MR_METHOD && !allow.failed)
        reply_method(exchange, slice_of(&allow));
    else if (allow.failed)
        reply_problem(exchange, MR_NO_MEMORY, NULL, (struct mr_slice){0});
    else
        reply_problem(exchange, MR_NOT_FOUND, NULL, (struct mr_slice){0});
    mr_buf_fini(&allow);
}

/* Of an OPTIONAL operation, whose caller need not be known: then there has to be something else in its place. */
static mr_status check_credential(const struct exchange *exchange, const struct mr_request *message)
{
    const char *credential = mr_op_info(exchange->op)->traits->credential;

    if (credential == NULL || exchange->identity == MR_OK || message->values[mr_field_index(exchange->op, credential)].present)
        return MR_OK;
    return exchange->identity;
}

/* Whose workers have something to do when this has come to be. */
static void note_wakes(struct exchange *exchange, const struct mr_value *values)
{
    if (exchange->op == MR_OP_job_run_create)
        mr_slice_copy(exchange->wakes, sizeof exchange->wakes, values[mr_field_index(exchange->op, "job")].text);
}

static void send_message(struct exchange *exchange, const struct mr_http_request *request, struct mr_slice body,
                         const struct mr_principal *principal)
{
    const struct mr_route *route = &exchange->route;
    struct mr_request message;
    struct mr_request_facts facts = {
        .principal = principal,
        .conditions = &exchange->conditions,
        .new_id = exchange->new_id,
        .traceparent = exchange->traceparent,
        .only = slice_of(&exchange->only),
    };
    const char *detail;
    mr_status status = mr_request_read(&message, route, request, body, &facts, &detail);

    if (status == MR_OK)
        status = check_credential(exchange, &message);
    if (status == MR_OK) {
        if (mr_op_info(route->op)->traits->shape == MR_SHAPE_MANY)
            mr_link_begin(&message, route->op, &exchange->link);
        status = waiting_begin(exchange, message.values);
    }
    if (status == MR_OK) {
        note_wakes(exchange, message.values);
        status = exchange_send(exchange, route->op, message.values, principal, exchange->gateway->config->request_timeout);
    }
    if (status != MR_OK)
        reply_problem(exchange, status, detail, slice_of(&message.errors));
    mr_request_fini(&message);
}

/* True when the answer was at hand. Otherwise the exchange knows what to keep when it comes. */
static bool answer_from_cache(struct exchange *exchange)
{
    struct gateway *gateway = exchange->gateway;
    const struct mr_route *route = &exchange->route;
    struct mr_slice key = route->param_count > 0 ? route->params[0].value : (struct mr_slice){"", 0};
    const struct mr_cached *cached = mr_cache_find(&gateway->cache, route->op, key, exchange->started_ms);

    if (mr_preconditions_malformed(&exchange->conditions))
        return false;
    if (cached != NULL)
        reply_cached(exchange, cached);
    else
        mr_buf_slice(&exchange->cache_key, key);
    return cached != NULL;
}

static void answer_here(struct exchange *exchange, const struct mr_http_request *request)
{
    if (mr_op_info(exchange->op)->traits->kept) {
        docs_answer(exchange, request);
        return;
    }
    switch (exchange->op) {
    case MR_OP_health: health_answer(exchange); break;
    case MR_OP_livez: health_live(exchange); break;
    case MR_OP_readyz: health_ready(exchange); break;
    default: reply_problem(exchange, MR_INTERNAL, NULL, (struct mr_slice){0}); break;
    }
}

/*
 * Room is looked for first: under overload most requests are refused, and what that takes is taken from those that are served. So a
 * refusal tells nobody whether their token is good, and counts against nobody's rate.
 */
static void pass_on(struct exchange *exchange, const struct mr_http_request *request, struct mr_slice body)
{
    const struct mr_op_info *info = mr_op_info(exchange->op);
    struct mr_principal caller;
    mr_status status = info->traits->cache_s == 0 ? exchange_find_room(exchange) : MR_OK;

    if (status == MR_OK)
        status = admit_caller(exchange, request, &caller);
    if (status == MR_OK)
        status = mr_preconditions_read(&exchange->conditions, request);
    if (status != MR_OK)
        reply_problem(exchange, status, NULL, (struct mr_slice){0});
    else if (info->traits->cache_s == 0 || !answer_from_cache(exchange))
        send_message(exchange, request, body, exchange->identity == MR_OK ? &caller : NULL);
}

void dispatch_identified(struct exchange *exchange, const struct mr_http_request *request, struct mr_slice body)
{
    resolve(exchange, request); /* the parameters of the route borrow the request */
    pass_on(exchange, request, body);
}

static void on_whole(void *self, const struct mr_http_request *request, struct mr_slice body)
{
    struct exchange *exchange = self;

    if (request->is_options)
        answer_options(exchange, request);
    else if (exchange->route_status != MR_OK)
        answer_no_route(exchange, request);
    else if (mr_op_info(exchange->op)->actor == MR_ACTOR_GATEWAY)
        answer_here(exchange, request);
    else if (keys_must_ask(exchange, request))
        keys_ask(exchange, request, body);
    else
        pass_on(exchange, request, body);
}

/* ---- The rest of the handler ---- */

static size_t on_part(void *self, struct mr_slice content)
{
    return upload_take(self, content);
}

static void on_end(void *self)
{
    upload_end(self);
}

/* Every field of the head that is wrong. Returns a sentence on what no field says; NULL: the status's own. */
static const char *tell_faults(uint32_t faults, struct mr_buf *errors)
{
    const char *detail = NULL;

    for (unsigned i = 0; i < MR_HTTP_FAULT_COUNT; i++) {
        const struct mr_http_reason *reason = &mr_http_reasons[i];

        if ((faults >> i & 1) == 0)
            continue;
        if (reason->field == NULL)
            detail = reason->message;
        else
            mr_buf_printf(errors, "%s{\"field\":\"%s\",\"code\":\"%s\",\"message\":\"%s\"}", errors->len > 0 ? "," : "",
                          reason->field, reason->code, reason->message);
    }
    return detail;
}

static void on_fail(void *self, mr_status fault)
{
    struct exchange *exchange = self;
    struct mr_buf errors = {0};
    const char *detail = NULL;

    if (fault == MR_INVALID && exchange->head_faults == 0)
        detail = "The body ends early, or its chunks are malformed (RFC 9112, 7.1).";
    else if (fault == MR_INVALID)
        detail = tell_faults(exchange->head_faults, &errors);
    reply_problem(exchange, fault, detail, slice_of(&errors));
    mr_buf_fini(&errors);
}

static void on_pressed(void *self)
{
    waiting_pressed(self);
}

/* A worker went away between its claim and the answer. */
static void on_lost(void *application, struct mr_slice receipt)
{
    claims_give_back(application, receipt);
}

static void on_gone(void *self)
{
    exchange_abandon(self);
}

const struct mr_http_handler dispatch_handler = {
    .begin = begin,
    .head = on_head,
    .whole = on_whole,
    .part = on_part,
    .end = on_end,
    .fail = on_fail,
    .gone = on_gone,
    .pressed = on_pressed,
    .lost = on_lost,
};
