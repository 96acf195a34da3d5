/*
 * upload: one part is under way at a time, and nothing is read from the client meanwhile: so an upload of any size takes
 * the memory of a few parts, and a client is never faster than the database. The message that makes something of the parts
 * is sent when the last of them is kept; if the client goes away before, another drops them.
 */
#include "gateway/upload.h"

#include <stdio.h>

#include "gateway/admit.h"
#include "gateway/media.h"
#include "gateway/parts.h"
#include "gateway/reply.h"
#include "gateway/request.h"

static const struct mr_upload *traits_of(const struct exchange *exchange)
{
    return mr_op_info(exchange->op)->traits->upload;
}

/* Fields and conditions that break a rule are named together. */
static mr_status read_head(struct exchange *exchange, const struct mr_http_request *request, const char **detail)
{
    struct mr_request *head = &exchange->parts->head;
    mr_status fields = mr_request_read_head(head, &exchange->route, request, detail);
    mr_status conditions = mr_request_conditions(head, exchange->op, &exchange->conditions, detail);

    return fields != MR_OK ? fields : conditions;
}

/* What can be said before a byte of the body is read. The errors of `parts->head` and `detail` say more. */
static mr_status check_head(struct exchange *exchange, const struct mr_http_request *request, const char **detail)
{
    struct parts *self = exchange->parts;
    const struct mr_upload *traits = traits_of(exchange);
    enum mr_coding coding = MR_CODING_IDENTITY;
    mr_status status = admit_caller(exchange, request, &self->caller);

    if (status == MR_OK && !request->has_length && !request->chunked)
        status = MR_LENGTH_REQUIRED;
    if (status == MR_OK)
        status = mr_media_coding(request, traits->takes_gzip, &coding);
    if (status == MR_OK)
        status = mr_media_type(request, traits->types, &self->type, detail);
    if (status == MR_OK)
        status = mr_preconditions_read(&exchange->conditions, request);
    if (status == MR_OK)
        status = read_head(exchange, request, detail);
    if (status == MR_OK && coding == MR_CODING_GZIP)
        status = mr_inflate_new(&self->inflate, traits->max, NULL);
    return status;
}

static void fail(struct exchange *exchange, mr_status status)
{
    reply_problem(exchange, status, NULL, (struct mr_slice){0});
}

static void refuse_head(struct exchange *exchange, mr_status status, const char *detail)
{
    const struct mr_buf *errors = &exchange->parts->head.errors;
    char types[128];

    if (status == MR_MEDIA_TYPE && detail == NULL) {
        snprintf(types, sizeof types, "The body has to be one of %s.", traits_of(exchange)->types);
        detail = types;
    }
    reply_problem(exchange, status, detail,
                  errors->failed ? (struct mr_slice){0} : (struct mr_slice){errors->data, errors->len});
}

/* False: it was answered. */
static bool take_head(struct exchange *exchange, const struct mr_http_request *request)
{
    const char *detail = NULL;
    mr_status status = check_head(exchange, request, &detail);

    if (status != MR_OK)
        refuse_head(exchange, status, detail);
    return status == MR_OK;
}

void upload_begin(struct exchange *exchange, const struct mr_http_request *request)
{
    exchange->parts = parts_new();
    if (exchange->parts == NULL)
        fail(exchange, MR_NO_MEMORY);
    else if (keys_must_ask(exchange, request))
        keys_ask(exchange, request, (struct mr_slice){"", 0}); /* no content is taken meanwhile */
    else
        (void)!take_head(exchange, request);
}

static mr_status send_part(struct exchange *exchange)
{
    struct parts *self = exchange->parts;
    enum mr_op message = traits_of(exchange)->part;
    const struct mr_field *fields = mr_op_info(message)->traits->fields;
    struct mr_value values[MR_FIELDS_MAX] = {0};

    parts_note(self);
    for (unsigned i = 0; fields[i].name != NULL; i++) {
        values[i].present = true;
        if (fields[i].from == MR_NEW_ID)
            memcpy(values[i].uuid, exchange->new_id, sizeof values[i].uuid);
        else if (fields[i].from == MR_UPLOAD_PARTS)
            values[i].integer = self->sent;
        else
            values[i].text = (struct mr_slice){self->part.data, self->part.len};
    }
    self->is_kept = true;
    exchange_keep_upload(exchange);
    return exchange_send(exchange, message, values, &self->caller, exchange->gateway->config->request_timeout);
}

/* Everything is kept: now the message that is to make something of it. */
static mr_status send_last(struct exchange *exchange)
{
    struct parts *self = exchange->parts;
    struct mr_request message;
    struct mr_request_facts facts = {
        .principal = &self->caller,
        .new_id = exchange->new_id,
        .traceparent = exchange->traceparent,
        .head = &self->head,
        .only = {exchange->only.len > 0 ? exchange->only.data : "", exchange->only.len},
        .upload_type = self->type,
        .upload_parts = self->sent,
        .upload_lines = self->lines + self->is_in_line,
        .upload_digest = {(const char *)self->digest, sizeof self->digest},
    };
    struct mr_route route = {.op = exchange->op};
    const char *detail;
    mr_status status = mr_request_read(&message, &route, NULL, (struct mr_slice){"", 0}, &facts, &detail);

    self->is_handed_over = status == MR_OK;
    if (status == MR_OK)
        status =
            exchange_send(exchange, exchange->op, message.values, &self->caller, exchange->gateway->config->request_timeout);
    mr_request_fini(&message);
    return status;
}

/* The part that is complete or, behind the last, the message. */
static void send_next(struct exchange *exchange)
{
    struct parts *self = exchange->parts;
    mr_status status = self->part.len > 0 ? send_part(exchange) : send_last(exchange);

    if (status == MR_OK)
        return;
    upload_refused(exchange);
    fail(exchange, status);
}

static void fail_content(struct exchange *exchange, mr_status status)
{
    reply_problem(exchange, status, status == MR_INVALID ? "The body is not what its Content-Encoding says." : NULL,
                  (struct mr_slice){0});
}

/* What there is of the content has been taken. Sends what is complete by that. */
static void go_on(struct exchange *exchange)
{
    struct parts *self = exchange->parts;

    if (!parts_is_full(self) && !self->ended)
        return;
    if (parts_is_full(self) || parts_may_end(self))
        send_next(exchange);
    else
        fail_content(exchange, MR_INVALID);
}

size_t upload_take(struct exchange *exchange, struct mr_slice content)
{
    size_t len = content.len;
    mr_status status;

    if (exchange->sent)
        return 0;
    status = parts_fill(exchange->parts, &content);
    if (status == MR_OK)
        go_on(exchange);
    else
        fail_content(exchange, status);
    return len - content.len;
}

void upload_end(struct exchange *exchange)
{
    exchange->parts->ended = true;
    if (!exchange->sent)
        go_on(exchange);
}

void upload_refused(struct exchange *exchange)
{
    if (exchange->parts != NULL)
        exchange->parts->is_handed_over = false;
}

void upload_identified(struct exchange *exchange, const struct mr_http_request *request)
{
    (void)!mr_route_find(&exchange->route, request->verb, request->path, NULL); /* its parameters borrow the request */
    if (!take_head(exchange, request))
        return;
    if (exchange->parts->ended)
        go_on(exchange);
    else
        mr_http_resume(exchange->connection);
}

void upload_part_kept(struct exchange *exchange)
{
    struct parts *self = exchange->parts;
    struct mr_slice nothing = {"", 0};
    mr_status status;

    parts_next(self);
    status = parts_fill(self, &nothing); /* what was taken, and did not fit */
    if (status != MR_OK)
        fail_content(exchange, status);
    else if (parts_is_full(self) || self->ended)
        go_on(exchange);
    else
        mr_http_resume(exchange->connection);
}
