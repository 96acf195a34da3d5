/*
 * connection: bytes in, requests out, one at a time and in order.
 *
 * While a request is under way what follows it is only kept; past PIPELINE_MAX reading stops. An answer that is
 * the last is followed by a half-close and a short wait for the client's end, so that bytes it is still
 * sending do not reset the connection under the answer.
 */
#include <libwebsockets.h>
#include <sys/socket.h>

#include "gateway/internal.h"

enum { LINGER_MS = 2000 };

static int64_t span_ms(const struct gateway *gateway, enum phase phase)
{
    switch (phase) {
    case PHASE_IDLE: return gateway->config->keepalive_timeout;
    case PHASE_HEAD: return gateway->config->header_timeout;
    case PHASE_BODY:
    case PHASE_FLUSH: return gateway->config->body_timeout;
    case PHASE_LINGER: return LINGER_MS;
    case PHASE_ANSWER:
    case PHASE_COUNT: break;
    }
    return INT64_MAX / 2;
}

void connection_enter(struct connection *self, enum phase phase)
{
    struct gateway *gateway = self->gateway;

    if (self->phase_ends_ms != 0)
        TAILQ_REMOVE(&gateway->phases[self->phase], self, in_phase);
    self->phase = phase;
    self->phase_ends_ms = gateway_now_ms(gateway) + span_ms(gateway, phase);
    TAILQ_INSERT_TAIL(&gateway->phases[phase], self, in_phase);
}

void connection_kill(struct connection *self)
{
    lws_set_timeout(self->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
}

static void refuse(struct connection *self, const struct mr_http_request *request, mr_status fault)
{
    self->close_after = true;
    dispatch_fault(self, request, fault);
}

/* One more interim line; the client waits for it before it sends the body (RFC 9110, 10.1.1). */
static void invite_body(struct connection *self)
{
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    unsigned char out[LWS_PRE + sizeof line];

    memcpy(out + LWS_PRE, line, sizeof line - 1);
    if (lws_write(self->wsi, out + LWS_PRE, sizeof line - 1, LWS_WRITE_RAW) < 0)
        self->dead = true;
}

/* The head is complete: check it, and see whether the body may come. False when the request was refused. */
static bool accept_head(struct connection *self, const char *data, struct mr_http_request *request, bool body_is_here)
{
    mr_status fault = mr_http_parse(request, data, self->head_len);
    const struct mr_upload *upload = fault == MR_OK ? upload_of(request) : NULL;

    if (fault == MR_OK && request->content_length > (upload != NULL ? (uint64_t)upload->max : (uint64_t)BODY_MAX))
        fault = MR_TOO_LARGE;
    if (fault != MR_OK) {
        refuse(self, request, fault);
        return false;
    }
    self->body_len = (size_t)request->content_length;
    self->close_after |= !request->keep_alive;
    if (upload != NULL && !upload_begin(self, request))
        return false;
    if (self->body_len > 0 && !body_is_here && request->expects_continue)
        invite_body(self);
    return true;
}

static void finish_request(struct connection *self)
{
    self->scan = (struct mr_http_scan){0};
    self->head_len = 0;
    self->body_len = 0;
}

/* The head of an upload is done with; its body goes on by itself. Returns the bytes taken. */
static size_t begin_body(struct connection *self, const char *data, size_t len)
{
    size_t used = self->head_len;

    finish_request(self);
    connection_enter(self, PHASE_BODY);
    return used + upload_take(self, data + used, len - used);
}

/*
 * Reads at most one request from `data`. Returns the bytes it took: 0 when there is no whole request yet, and
 * all of them when the connection is about to end.
 */
static size_t read_request(struct connection *self, const char *data, size_t len)
{
    struct mr_http_request request;
    mr_status fault;
    size_t used;

    if (self->upload != NULL)
        return upload_take(self, data, len);
    if (self->head_len == 0) {
        enum mr_http_progress progress;

        if (self->phase != PHASE_HEAD)
            connection_enter(self, PHASE_HEAD);
        progress = mr_http_scan(&self->scan, data, len, &self->head_len, &fault);
        if (progress == MR_HTTP_MORE)
            return 0;
        if (progress == MR_HTTP_REFUSED) {
            refuse(self, NULL, fault);
            return len;
        }
        if (!accept_head(self, data, &request, len > self->head_len))
            return len;
        if (self->upload != NULL)
            return begin_body(self, data, len);
        if (self->body_len > len - self->head_len)
            connection_enter(self, PHASE_BODY);
    } else if (self->body_len <= len - self->head_len) {
        /* The buffer may have moved while the body came in: read the head once more where it is now. */
        if (mr_http_parse(&request, data, self->head_len) != MR_OK)
            return len;
    }
    if (self->body_len > len - self->head_len)
        return 0;
    used = self->head_len + self->body_len;
    dispatch(self, &request, (struct mr_slice){data + self->head_len, self->body_len});
    finish_request(self);
    return used;
}

static bool takes_requests(const struct connection *self)
{
    return !self->dead && (self->phase == PHASE_IDLE || self->phase == PHASE_HEAD || self->phase == PHASE_BODY);
}

/* Reads requests as long as each is answered at once. Returns the bytes taken. */
static size_t advance(struct connection *self, const char *data, size_t len)
{
    size_t used = 0;

    self->advancing = true;
    while (used < len && takes_requests(self)) {
        size_t taken = read_request(self, data + used, len - used);

        if (taken == 0)
            break;
        used += taken;
    }
    self->advancing = false;
    return used;
}

static void pause_reading(struct connection *self, bool pause)
{
    if (self->paused == pause)
        return;
    self->paused = pause;
    lws_rx_flow_control(self->wsi, !pause);
}

static void keep(struct connection *self, const char *data, size_t len)
{
    mr_buf_append(&self->in, data, len);
    if (self->in.failed)
        self->dead = true;
    if (!takes_requests(self) && self->in.len > PIPELINE_MAX)
        pause_reading(self, true);
}

static void forget(struct connection *self, size_t used)
{
    if (used == self->in.len) {
        mr_buf_fini(&self->in);
        return;
    }
    memmove(self->in.data, self->in.data + used, self->in.len - used);
    self->in.len -= used;
}

static void advance_kept(struct connection *self)
{
    size_t used = advance(self, self->in.data, self->in.len);

    if (self->phase == PHASE_LINGER)
        used = self->in.len;
    forget(self, used);
}

/* -1 tells libwebsockets to close. */
int connection_received(struct connection *self, const char *data, size_t len)
{
    if (self->phase == PHASE_LINGER)
        return 0;
    if (self->in.len == 0) {
        size_t used = advance(self, data, len);

        if (self->phase != PHASE_LINGER && used < len)
            keep(self, data + used, len - used);
    } else {
        keep(self, data, len);
        if (takes_requests(self))
            advance_kept(self);
    }
    return self->dead ? -1 : 0;
}

static void linger(struct connection *self)
{
    mr_buf_fini(&self->in);
    pause_reading(self, false);
    shutdown(lws_get_socket_fd(self->wsi), SHUT_WR);
    connection_enter(self, PHASE_LINGER);
}

/* The answer is with the kernel, all of it. */
static void flushed(struct connection *self)
{
    if (self->close_after) {
        linger(self);
        return;
    }
    connection_enter(self, PHASE_IDLE);
    if (self->advancing)
        return; /* the loop there goes on */
    if (self->in.len > 0)
        advance_kept(self);
    if (takes_requests(self))
        pause_reading(self, false);
}

/* The body goes on. */
void connection_resume(struct connection *self)
{
    if (self->advancing)
        return;
    if (self->in.len > 0)
        advance_kept(self);
    if (takes_requests(self))
        pause_reading(self, false);
    if (self->dead)
        connection_kill(self);
}

void connection_answered(struct connection *self)
{
    if (self->dead) {
        if (!self->advancing)
            connection_kill(self);
        return;
    }
    if (lws_partial_buffered(self->wsi))
        connection_enter(self, PHASE_FLUSH);
    else
        flushed(self);
    if (self->dead && !self->advancing)
        connection_kill(self);
}

int connection_writeable(struct connection *self)
{
    if (self->phase == PHASE_FLUSH && !lws_partial_buffered(self->wsi))
        flushed(self);
    return self->dead ? -1 : 0;
}

void connection_closed(struct connection *self)
{
    upload_free(self);
    if (self->exchange != NULL && !self->exchange->sent)
        exchange_free(self->exchange); /* of an upload between two parts */
    else if (self->exchange != NULL)
        self->exchange->connection = NULL;
    if (self->phase_ends_ms != 0)
        TAILQ_REMOVE(&self->gateway->phases[self->phase], self, in_phase);
    mr_buf_fini(&self->in);
}

/* A client that is too slow with a request is told nothing: it would not read it. */
void connection_expire(struct gateway *gateway, int64_t now_ms)
{
    for (int phase = 0; phase < PHASE_COUNT; phase++) {
        struct connection *self;

        while ((self = TAILQ_FIRST(&gateway->phases[phase])) != NULL && self->phase_ends_ms <= now_ms)
            connection_kill(self);
    }
}
