/*
 * upload: a body that is larger than a message, passed on in parts while it comes in.
 *
 * One part is under way at a time, and nothing is read from the client meanwhile: so an upload of any size takes the
 * memory of a few parts, and a client is never faster than the database. The message that makes something of the parts is
 * sent when the last of them is kept; if the client goes away before, they stay behind and are cleaned up.
 */
#include <stdio.h>
#include <stdlib.h>

#include "gateway/internal.h"
#include "gateway/media.h"
#include "gateway/request.h"

struct upload {
    enum mr_op op;
    struct mr_principal caller;
    struct mr_slice type; /* one of the op's media types */
    size_t left;          /* bytes of the body that have not come yet */
    int64_t ends_ms;      /* monotonic; GATEWAY_BODY_TIMEOUT for all of it */
    int64_t parts;        /* that are kept */
    int64_t lines;
    bool is_in_line; /* the last byte was no line break */
    struct mr_buf part;
};

const struct mr_upload *upload_of(const struct mr_http_request *request)
{
    struct mr_route route;

    if (request->is_options || mr_route_find(&route, request->verb, request->path, NULL) != MR_OK)
        return NULL;
    return mr_op_info(route.op)->traits->upload;
}

/* What can be said before a byte of the body is read. `errors` (zeroed) and `detail` say more. */
static mr_status open_upload(struct upload *self, struct exchange *exchange, const struct mr_http_request *request,
                             struct mr_request *errors, const char **detail)
{
    const struct mr_upload *traits = mr_op_info(self->op)->traits->upload;
    enum mr_coding coding;
    mr_status status = dispatch_identify(exchange, request, &self->caller);

    if (status == MR_OK)
        status = mr_media_coding(request, traits->takes_gzip, &coding);
    if (status == MR_OK)
        status = mr_media_type(request, traits->types, &self->type, detail);
    if (status == MR_OK)
        status = mr_preconditions_read(&exchange->conditions, request);
    if (status == MR_OK)
        status = mr_request_conditions(errors, self->op, &exchange->conditions, detail);
    self->left = (size_t)request->content_length;
    self->ends_ms = exchange->started_ms + exchange->gateway->config->body_timeout;
    return status;
}

static void refuse(struct exchange *exchange, mr_status status, const char *detail, const struct mr_request *errors)
{
    char types[128];

    if (status == MR_MEDIA_TYPE && detail == NULL) {
        snprintf(types, sizeof types, "The body has to be one of %s.", mr_op_info(exchange->op)->traits->upload->types);
        detail = types;
    }
    reply_problem(exchange, status, detail, (struct mr_slice){errors->errors.data, errors->errors.len});
}

bool upload_begin(struct connection *connection, const struct mr_http_request *request)
{
    struct upload *self = calloc(1, sizeof *self);
    struct exchange *exchange = self != NULL ? dispatch_begin(connection, request) : NULL;
    struct mr_request errors = {.errors = {0}};
    const char *detail = NULL;
    struct mr_route route;
    mr_status status;

    if (exchange == NULL || mr_route_find(&route, request->verb, request->path, NULL) != MR_OK) {
        connection->dead = true;
        free(self);
        return false;
    }
    connection->upload = self;
    self->op = exchange->op = route.op;
    status = open_upload(self, exchange, request, &errors, &detail);
    if (status == MR_OK)
        return true;
    connection->close_after = true; /* its body is not going to be read */
    upload_free(connection);
    refuse(exchange, status, detail, &errors);
    mr_request_fini(&errors);
    return false;
}

static void fail(struct connection *connection, mr_status status)
{
    struct exchange *exchange = connection->exchange;

    connection->close_after = true;
    upload_free(connection);
    reply_problem(exchange, status, NULL, (struct mr_slice){0});
}

static void count_lines(struct upload *self)
{
    const struct mr_buf *part = &self->part;

    for (size_t i = 0; i < part->len; i++)
        self->lines += part->data[i] == '\n';
    self->is_in_line = part->len > 0 && part->data[part->len - 1] != '\n';
}

static mr_status send_part(struct connection *connection)
{
    struct upload *self = connection->upload;
    struct exchange *exchange = connection->exchange;
    enum mr_op message = mr_op_info(self->op)->traits->upload->part;
    const struct mr_field *fields = mr_op_info(message)->traits->fields;
    struct mr_value values[MR_FIELDS_MAX] = {0};

    count_lines(self);
    for (unsigned i = 0; fields[i].name != NULL; i++) {
        values[i].present = true;
        if (fields[i].from == MR_NEW_ID)
            memcpy(values[i].uuid, exchange->new_id, sizeof values[i].uuid);
        else if (fields[i].from == MR_UPLOAD_PARTS)
            values[i].integer = self->parts;
        else
            values[i].text = (struct mr_slice){self->part.data, self->part.len};
    }
    return exchange_send(exchange, message, values, &self->caller, connection->gateway->config->request_timeout);
}

/* Everything is kept: now the message that is to make something of it. */
static void finish(struct connection *connection)
{
    struct upload *self = connection->upload;
    struct exchange *exchange = connection->exchange;
    struct mr_request message;
    struct mr_request_facts facts = {
        .principal = &self->caller,
        .new_id = exchange->new_id,
        .traceparent = exchange->traceparent,
        .upload_type = self->type,
        .upload_parts = self->parts,
        .upload_lines = self->lines + self->is_in_line,
    };
    struct mr_route route = {.op = self->op};
    const char *detail;
    mr_status status = mr_request_read(&message, &route, NULL, (struct mr_slice){"", 0}, &facts, &detail);

    if (status == MR_OK)
        status = exchange_send(exchange, self->op, message.values, &self->caller, connection->gateway->config->request_timeout);
    mr_request_fini(&message);
    if (status != MR_OK) {
        fail(connection, status);
        return;
    }
    upload_free(connection);
    connection_enter(connection, PHASE_ANSWER);
}

/* Passes on what there is, when it is enough or the end. */
static void advance(struct connection *connection)
{
    struct upload *self = connection->upload;
    mr_status status;

    if (self->left > 0 && self->part.len < MR_UPLOAD_PART)
        return;
    if (self->part.len == 0) {
        finish(connection);
        return;
    }
    status = self->part.failed ? MR_NO_MEMORY : send_part(connection);
    if (status == MR_OK)
        connection_enter(connection, PHASE_ANSWER);
    else
        fail(connection, status);
}

size_t upload_take(struct connection *connection, const char *data, size_t len)
{
    struct upload *self = connection->upload;
    size_t room = MR_UPLOAD_PART - self->part.len;

    if (len > self->left)
        len = self->left;
    if (len > room)
        len = room;
    mr_buf_append(&self->part, data, len);
    self->left -= len;
    advance(connection);
    return len;
}

void upload_part_kept(struct connection *connection)
{
    struct upload *self = connection->upload;

    self->parts++;
    mr_buf_clear(&self->part, MR_UPLOAD_PART);
    if (self->left > 0 && gateway_now_ms(connection->gateway) >= self->ends_ms) {
        connection_kill(connection);
        return;
    }
    connection_enter(connection, PHASE_BODY);
    if (self->left == 0)
        advance(connection);
    else
        connection_resume(connection);
}

void upload_free(struct connection *connection)
{
    if (connection->upload != NULL)
        mr_buf_fini(&connection->upload->part);
    free(connection->upload);
    connection->upload = NULL;
}
