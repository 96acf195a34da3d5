/*
 * dispatch: what becomes of a request that has arrived whole.
 *
 * Exactly once for each request: the connection calls it when head and body are there, and reads on only when
 * the answer is written.
 */
#include "gateway/internal.h"
#include "gateway/link.h"

static struct mr_slice slice_of(const struct mr_buf *buf)
{
    return (struct mr_slice){buf->data != NULL ? buf->data : "", buf->len};
}

/* Out of memory before there is anything to answer with: the connection ends. */
struct exchange *dispatch_begin(struct connection *connection, const struct mr_http_request *request)
{
    struct exchange *exchange = exchange_new(connection, request);

    if (exchange == NULL)
        connection->dead = true;
    else if (request != NULL)
        reply_origin(exchange, request);
    return exchange;
}

static void answer_options(struct exchange *exchange, const struct mr_http_request *request)
{
    struct mr_buf allow = {0};
    struct mr_route route;

    if (mr_slice_is(request->path, "*"))
        mr_buf_text(&allow, "OPTIONS, GET, HEAD, POST, PUT, PATCH, DELETE");
    else
        (void)!mr_route_find(&route, MR_VERB_NONE, request->path, &allow);
    if (allow.len > 0)
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

    if (mr_route_find(&route, MR_VERB_NONE, request->path, &allow) == MR_METHOD)
        reply_method(exchange, slice_of(&allow));
    else
        reply_problem(exchange, MR_NOT_FOUND, NULL, (struct mr_slice){0});
    mr_buf_fini(&allow);
}

static void send_message(struct exchange *exchange, const struct mr_route *route, const struct mr_http_request *request,
                         struct mr_slice body, const struct mr_principal *principal)
{
    struct connection *connection = exchange->connection;
    struct mr_request message;
    struct mr_request_facts facts = {
        .principal = principal,
        .conditions = &exchange->conditions,
        .new_id = exchange->new_id,
        .traceparent = exchange->traceparent,
    };
    const char *detail;
    mr_status status = mr_request_read(&message, route, request, body, &facts, &detail);

    if (status == MR_OK) {
        if (mr_op_info(route->op)->traits->shape == MR_SHAPE_MANY)
            mr_link_begin(&message, route->op, &exchange->link);
        status = exchange_send(exchange, route->op, message.values, principal, exchange->gateway->config->request_timeout);
    }
    if (status == MR_OK)
        connection_enter(connection, PHASE_ANSWER);
    else
        reply_problem(exchange, status, detail, slice_of(&message.errors));
    mr_request_fini(&message);
}

/* True when the answer was at hand. Otherwise the exchange knows what to keep when it comes. */
static bool answer_from_cache(struct exchange *exchange, const struct mr_route *route)
{
    struct gateway *gateway = exchange->gateway;
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

static void answer_here(struct exchange *exchange)
{
    switch (exchange->op) {
    case MR_OP_health: health_answer(exchange); break;
    case MR_OP_livez: health_live(exchange); break;
    case MR_OP_readyz: health_ready(exchange); break;
    default: reply_problem(exchange, MR_INTERNAL, NULL, (struct mr_slice){0}); break;
    }
}

mr_status dispatch_identify(struct exchange *exchange, const struct mr_http_request *request, struct mr_principal *caller)
{
    struct gateway *gateway = exchange->gateway;
    enum mr_access access = mr_op_info(exchange->op)->access;
    bool is_known = access == MR_ACCESS_PUBLIC;
    mr_status status = MR_OK;

    if (!is_known)
        status = mr_authenticate(caller, gateway->tokens, request, gateway->config->jwt_secret,
                                 gateway->config->jwt_secret_previous, mr_wall_ms(gateway->clock) / 1000);
    if (!admit(exchange, request, !is_known && status == MR_OK ? caller : NULL))
        return MR_RATE_LIMITED;
    if (status == MR_OK && access == MR_ACCESS_ADMIN && caller->role != MR_ROLE_ADMIN)
        return MR_FORBIDDEN;
    return status;
}

static void pass_on(struct exchange *exchange, const struct mr_route *route, const struct mr_http_request *request,
                    struct mr_slice body)
{
    const struct mr_op_info *info = mr_op_info(route->op);
    struct mr_principal caller;
    mr_status status = dispatch_identify(exchange, request, &caller);

    if (status == MR_OK)
        status = mr_preconditions_read(&exchange->conditions, request);
    if (status != MR_OK)
        reply_problem(exchange, status, NULL, (struct mr_slice){0});
    else if (info->traits->cache_s == 0 || !answer_from_cache(exchange, route))
        send_message(exchange, route, request, body, info->access != MR_ACCESS_PUBLIC ? &caller : NULL);
}

/* Also where nothing would ever read them: what is no text is no target. */
static bool escapes_are_sound(struct mr_slice text)
{
    struct mr_buf ignored = {0};
    bool sound = memchr(text.data, '%', text.len) == NULL || mr_http_decode(&ignored, text, false) != MR_INVALID;

    mr_buf_fini(&ignored);
    return sound;
}

void dispatch(struct connection *connection, const struct mr_http_request *request, struct mr_slice body)
{
    struct exchange *exchange = dispatch_begin(connection, request);
    struct mr_route route;

    if (exchange == NULL)
        return;
    if (!escapes_are_sound(request->path) || !escapes_are_sound(request->query)) {
        reply_problem(exchange, MR_INVALID, "The request target has a broken percent-escape or an escaped U+0000.",
                      (struct mr_slice){0});
    } else if (request->is_options) {
        answer_options(exchange, request);
    } else if (mr_route_find(&route, request->verb, request->path, NULL) != MR_OK) {
        answer_no_route(exchange, request);
    } else {
        exchange->op = route.op;
        if (mr_op_info(route.op)->actor == MR_ACTOR_GATEWAY)
            answer_here(exchange);
        else
            pass_on(exchange, &route, request, body);
    }
}

void dispatch_fault(struct connection *connection, const struct mr_http_request *request, mr_status fault)
{
    struct exchange *exchange;

    connection->close_after = true;
    exchange = dispatch_begin(connection, request);
    if (exchange == NULL)
        return;
    if (fault == MR_METHOD)
        answer_no_route(exchange, request);
    else
        reply_problem(exchange, fault, NULL, (struct mr_slice){0});
}
