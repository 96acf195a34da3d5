/*
 * upload: one part is under way at a time, and nothing is read from the client meanwhile: so an upload of any size takes
 * the memory of a few parts, and a client is never faster than the database. The message that makes something of the parts
 * is sent when the last of them is kept; if the client goes away before, they stay behind and are cleaned up.
 */
#include "gateway/upload.h"

#include <stdio.h>
#include <strings.h>

#include "gateway/admit.h"
#include "gateway/parts.h"
#include "gateway/reply.h"
#include "gateway/request.h"

/* The one of "one|of|these" that the Content-Type names; its parameters do not matter. */
static bool match_type(const char *types, struct mr_slice given, struct mr_slice *out)
{
    size_t len = 0;

    while (len < given.len && given.data[len] != ';' && given.data[len] != ' ')
        len++;
    for (const char *at = types; at != NULL; at = strchr(at, '|')) {
        at += *at == '|';
        *out = (struct mr_slice){at, strcspn(at, "|")};
        if (out->len == len && strncasecmp(at, given.data, len) == 0)
            return true;
    }
    return false;
}

static const struct mr_upload *traits_of(const struct exchange *exchange)
{
    return mr_op_info(exchange->op)->traits->upload;
}

static mr_status check_head(struct exchange *exchange, const struct mr_http_request *request)
{
    struct parts *self = exchange->parts;
    struct mr_slice type;
    mr_status status = admit_caller(exchange, request, &self->caller);

    if (status != MR_OK)
        return status;
    if (!request->has_length && !request->chunked)
        return MR_LENGTH_REQUIRED;
    return mr_http_header(request, "content-type", &type) && match_type(traits_of(exchange)->types, type, &self->type)
               ? MR_OK
               : MR_MEDIA_TYPE;
}

static void fail(struct exchange *exchange, mr_status status)
{
    char detail[128];

    snprintf(detail, sizeof detail, "The body has to be one of %s.", traits_of(exchange)->types);
    reply_problem(exchange, status, status == MR_MEDIA_TYPE ? detail : NULL, (struct mr_slice){0});
}

void upload_begin(struct exchange *exchange, const struct mr_http_request *request)
{
    mr_status status = MR_NO_MEMORY;

    exchange->parts = parts_new();
    if (exchange->parts != NULL)
        status = check_head(exchange, request);
    if (status != MR_OK)
        fail(exchange, status);
}

static mr_status send_part(struct exchange *exchange)
{
    struct parts *self = exchange->parts;
    enum mr_op message = traits_of(exchange)->part;
    const struct mr_field *fields = mr_op_info(message)->traits->fields;
    struct mr_value values[MR_FIELDS_MAX] = {0};

    parts_count_lines(self);
    for (unsigned i = 0; fields[i].name != NULL; i++) {
        values[i].present = true;
        if (fields[i].from == MR_NEW_ID)
            memcpy(values[i].uuid, exchange->new_id, sizeof values[i].uuid);
        else if (fields[i].from == MR_UPLOAD_PARTS)
            values[i].integer = self->sent;
        else
            values[i].text = (struct mr_slice){self->part.data, self->part.len};
    }
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
        .upload_type = self->type,
        .upload_parts = self->sent,
        .upload_lines = self->lines + self->is_in_line,
    };
    struct mr_route route = {.op = exchange->op};
    const char *detail;
    mr_status status = mr_request_read(&message, &route, NULL, (struct mr_slice){"", 0}, &facts, &detail);

    if (status == MR_OK)
        status =
            exchange_send(exchange, exchange->op, message.values, &self->caller, exchange->gateway->config->request_timeout);
    mr_request_fini(&message);
    return status;
}

static void send_next(struct exchange *exchange)
{
    struct parts *self = exchange->parts;
    mr_status status = MR_NO_MEMORY;

    if (!self->part.failed)
        status = self->part.len > 0 ? send_part(exchange) : send_last(exchange);
    if (status != MR_OK)
        fail(exchange, status);
}

size_t upload_take(struct exchange *exchange, struct mr_slice content)
{
    struct parts *self = exchange->parts;
    size_t taken;

    if (exchange->sent)
        return 0;
    taken = parts_take(self, content);
    if (self->part.failed || parts_is_full(self))
        send_next(exchange);
    return taken;
}

void upload_end(struct exchange *exchange)
{
    exchange->parts->ended = true;
    if (!exchange->sent)
        send_next(exchange);
}

void upload_part_kept(struct exchange *exchange)
{
    struct parts *self = exchange->parts;

    parts_next(self);
    if (self->ended)
        send_next(exchange);
    else
        mr_http_resume(exchange->connection);
}
