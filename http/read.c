#include "http/read.h"

#include <stdlib.h>

static const struct mr_http_handler *handler_of(const struct mr_http_connection *connection)
{
    return connection->server->options.handler;
}

static int64_t now_ms(const struct mr_http_connection *connection)
{
    return mr_mono_ms(connection->server->options.clock);
}

bool read_wants_bytes(const struct mr_http_connection *self)
{
    return self->phase <= PHASE_SLOW;
}

/* ---- A request begins ---- */

static void begin(struct mr_http_connection *self, const struct mr_http_request *request)
{
    self->is_head = request->is_head;
    self->is_old = request->minor == 0;
    self->close_after |= !request->keep_alive;
    self->body_unread = request->chunked || request->content_length > 0;
    connection_begins(self);
    self->exchange = handler_of(self)->begin(self->server->options.application, self, request);
    if (self->exchange == NULL)
        connection_die(self);
}

void read_forget(struct mr_http_connection *self)
{
    if (self->incoming != NULL)
        mr_buf_fini(&self->incoming->content);
    free(self->incoming);
    self->incoming = NULL;
}

void read_fail(struct mr_http_connection *self, mr_status fault)
{
    self->close_after = true;
    handler_of(self)->fail(self->exchange, fault);
}

/* `request` has what could be read of the head: enough for an answer that its sender can use. */
static void refuse_head(struct mr_http_connection *self, const struct mr_http_request *request, mr_status fault)
{
    begin(self, request);
    if (self->exchange != NULL)
        read_fail(self, fault);
}

/* One more interim line; the client waits for it before it sends the body (RFC 9110, 10.1.1). */
static void invite_body(struct mr_http_connection *self)
{
    connection_write(self, MR_SLICE("HTTP/1.1 100 Continue\r\n\r\n"));
}

/* ---- A request that arrived whole: it is read in place, without a copy ---- */

static bool is_whole(const struct mr_http_request *request, size_t body_here)
{
    return !request->chunked && request->content_length <= body_here;
}

/* False when the head was answered. */
static bool make_plan(struct mr_http_connection *self, const struct mr_http_request *request, struct mr_http_plan *plan)
{
    begin(self, request);
    if (self->exchange == NULL)
        return false;
    handler_of(self)->head(self->exchange, request, plan);
    if (self->exchange == NULL)
        return false;
    if (request->content_length <= plan->body_max)
        return true;
    read_fail(self, MR_TOO_LARGE);
    return false;
}

static void hand_over(struct mr_http_connection *self, const struct mr_http_request *request, struct mr_slice body)
{
    self->body_unread = false;
    connection_enter(self, PHASE_WAIT);
    handler_of(self)->whole(self->exchange, request, body);
}

/* ---- A request whose body comes, or is handed on, bit by bit ---- */

/* The head is copied to where it stays; NULL without memory. */
static struct incoming *keep_head(struct mr_http_connection *self, const char *head, size_t len)
{
    struct incoming *incoming = calloc(1, sizeof *incoming + len);

    if (incoming == NULL) {
        connection_die(self);
        return NULL;
    }
    memcpy(incoming->head, head, len);
    (void)!mr_http_parse(&incoming->request, incoming->head, len); /* it was sound a moment ago */
    mr_http_body_init(&incoming->body, &incoming->request);
    incoming->started_ms = now_ms(self);
    self->incoming = incoming;
    return incoming;
}

static void end_body(struct mr_http_connection *self)
{
    struct incoming *incoming = self->incoming;
    struct mr_buf *content = &incoming->content;

    self->incoming = NULL;
    if (incoming->plan.stream) {
        self->body_unread = false;
        connection_enter(self, PHASE_WAIT);
        handler_of(self)->end(self->exchange);
    } else {
        hand_over(self, &incoming->request, (struct mr_slice){content->data != NULL ? content->data : "", content->len});
    }
    mr_buf_fini(content);
    free(incoming);
}

/* Returns how much of the piece was taken; less than all ends the reading for now. */
static size_t take_piece(struct mr_http_connection *self, struct mr_slice piece)
{
    struct incoming *incoming = self->incoming;
    size_t taken = piece.len;

    if (incoming->plan.stream)
        taken = handler_of(self)->part(self->exchange, piece);
    else
        mr_buf_slice(&incoming->content, piece);
    if (self->exchange == NULL)
        return 0;
    if (incoming->content.failed) {
        read_fail(self, MR_NO_MEMORY);
        return 0;
    }
    mr_http_body_took(&incoming->body, taken);
    if (taken < piece.len) {
        incoming->paused_ms = now_ms(self);
        connection_enter(self, PHASE_WAIT);
    }
    return taken;
}

/* Whether the content stays within its bound, counting what has come and is yet to be taken. */
static bool fits(struct incoming *incoming, size_t more)
{
    return incoming->received + more <= incoming->plan.body_max;
}

/* Takes content from `data` as long as it is taken; returns the bytes used, all of them when the connection ends. */
static size_t read_body(struct mr_http_connection *self, const char *data, size_t len)
{
    size_t used = 0;

    while (self->exchange != NULL && self->incoming != NULL && read_wants_bytes(self)) {
        struct incoming *incoming = self->incoming;
        struct mr_slice piece;
        size_t framing = 0;
        size_t taken;
        enum mr_http_progress progress = mr_http_body_next(&incoming->body, data + used, len - used, &framing, &piece);

        used += framing;
        if (progress == MR_HTTP_REFUSED) {
            read_fail(self, MR_INVALID);
        } else if (progress == MR_HTTP_COMPLETE) {
            end_body(self);
        } else if (!fits(incoming, piece.len)) {
            read_fail(self, MR_TOO_LARGE);
        } else if (piece.len == 0) {
            break;
        } else {
            taken = take_piece(self, piece);
            used += taken;
            if (self->exchange == NULL)
                break;
            incoming->received += taken;
        }
    }
    return self->phase == PHASE_LINGER || self->phase == PHASE_DEAD ? len : used;
}

/* The head is kept, and so is what was planned for its body. Returns the bytes used. */
static size_t begin_body(struct mr_http_connection *self, const char *data, size_t head_len, size_t len)
{
    if (self->incoming->request.expects_continue && len == head_len && self->body_unread)
        invite_body(self);
    connection_enter(self, PHASE_BODY);
    return head_len + read_body(self, data + head_len, len - head_len);
}

/* It came whole, but is handed on bit by bit: what is not taken at once has to be kept. */
static size_t stream_whole(struct mr_http_connection *self, const struct mr_http_plan *plan, const char *data, size_t head_len,
                           size_t len)
{
    struct incoming *incoming = keep_head(self, data, head_len);

    if (incoming == NULL)
        return len;
    incoming->plan = *plan;
    return begin_body(self, data, head_len, len);
}

/* ---- Heads ---- */

static size_t read_complete_head(struct mr_http_connection *self, const char *data, size_t head_len, size_t len)
{
    struct mr_http_request request;
    struct mr_http_plan plan = {0};
    mr_status fault = mr_http_parse(&request, data, head_len);

    self->scan = (struct mr_http_scan){0};
    if (fault != MR_OK) {
        refuse_head(self, &request, fault);
        return len;
    }
    if (!is_whole(&request, len - head_len)) {
        struct incoming *incoming = keep_head(self, data, head_len);

        if (incoming == NULL || !make_plan(self, &incoming->request, &incoming->plan))
            return len;
        return begin_body(self, data, head_len, len);
    }
    if (!make_plan(self, &request, &plan))
        return head_len + (size_t)request.content_length;
    if (plan.stream)
        return stream_whole(self, &plan, data, head_len, len);
    hand_over(self, &request, (struct mr_slice){data + head_len, (size_t)request.content_length});
    return head_len + (size_t)request.content_length;
}

/* One that comes at once, as nearly all do, is never waited for. */
static size_t wait_for_head(struct mr_http_connection *self)
{
    if (self->phase != PHASE_HEAD)
        connection_enter(self, PHASE_HEAD);
    return 0;
}

static size_t read_head(struct mr_http_connection *self, const char *data, size_t len)
{
    struct mr_http_request request;
    size_t head_len = 0;
    mr_status fault = MR_INVALID;

    switch (mr_http_scan(&self->scan, data, len, &head_len, &fault)) {
    case MR_HTTP_MORE: return wait_for_head(self);
    case MR_HTTP_COMPLETE: return read_complete_head(self, data, head_len, len);
    case MR_HTTP_REFUSED: break;
    }
    (void)!mr_http_parse(&request, data, len); /* for the lines in front of the fault */
    request.faults = UINT32_C(1) << MR_HTTP_FAULT_LINE_END;
    refuse_head(self, &request, fault);
    return len;
}

size_t read_bytes(struct mr_http_connection *self, const char *data, size_t len)
{
    size_t used = 0;

    while (used < len && read_wants_bytes(self)) {
        size_t taken =
            self->incoming != NULL ? read_body(self, data + used, len - used) : read_head(self, data + used, len - used);

        if (taken == 0)
            break;
        used += taken;
    }
    return used;
}
