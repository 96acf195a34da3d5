/*
 * connection: its phases, and the bytes in and out.
 *
 * While a request is under way what follows it is only kept; past PIPELINE_MAX reading stops. A client that has shut down
 * its sending side is answered all the same (RFC 9112, 9.6). An answer that is the last is followed by a half-close and a
 * wait for the client's end, so that bytes it is still sending do not reset the connection under the answer: LINGER_MS after the last of
 * them. A client that sends all of a refused body before it reads has as long as it would have for one that is not refused.
 */
#include <errno.h>
#include <libwebsockets.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "http/internal.h"
#include "http/read.h"

enum { RECEIPT_MS = 2000, SILENCE_MS = 5000, LINGER_MS = 2000, SLOW_MS = 1000, PIPELINE_MAX = 32 * 1024 };

static int64_t now_ms(const struct mr_http_connection *self)
{
    return mr_mono_ms(self->server->options.clock);
}

/* -1: it has no end of its own. */
static int64_t span_ms(const struct mr_http_options *options, enum phase phase)
{
    switch (phase) {
    case PHASE_IDLE: return options->idle_ms;
    case PHASE_HEAD: return options->head_ms;
    case PHASE_BODY:
    case PHASE_FLUSH: return options->body_ms;
    case PHASE_SLOW: return SLOW_MS;
    case PHASE_LINGER: return LINGER_MS;
    case PHASE_WAIT:
    case PHASE_DEAD:
    case PHASE_COUNT: break;
    }
    return -1;
}

/* Nothing leads out of PHASE_DEAD. */
void connection_enter(struct mr_http_connection *self, enum phase phase)
{
    struct mr_http_server *server = self->server;
    int64_t span = span_ms(&server->options, phase);

    if (self->phase == PHASE_DEAD)
        return;
    TAILQ_REMOVE(&server->phases[self->phase], self, in_phase);
    self->phase = phase;
    self->phase_ends_ms = span >= 0 ? now_ms(self) + span : INT64_MAX;
    TAILQ_INSERT_TAIL(&server->phases[phase], self, in_phase);
}

/* ---- Receipts ---- */

/* How long the kernel waits until the client acknowledges something of what was sent, before it ends the connection; 0: for minutes. */
static void limit_silence(struct mr_http_connection *self, unsigned ms)
{
    setsockopt(self->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
}

void mr_http_need_receipt(struct mr_http_connection *self, struct mr_slice receipt)
{
    limit_silence(self, SILENCE_MS);
    mr_buf_clear(&self->receipt, 0);
    mr_buf_slice(&self->receipt, receipt);
    if (self->receipt.failed)
        mr_buf_fini(&self->receipt);
    self->receipt_until_ms = now_ms(self) + RECEIPT_MS;
}

/* Who asks for the next thing has the last. */
void connection_begins(struct mr_http_connection *self)
{
    if (self->receipt.len == 0)
        return;
    limit_silence(self, 0);
    mr_buf_fini(&self->receipt);
}

/* Bytes, and the end of ours, that the kernel has taken and the client's has not. */
static int unacknowledged(const struct mr_http_connection *self)
{
    int count = 0;

    return ioctl(self->fd, SIOCOUTQ, &count) == 0 ? count : 0;
}

/*
 * A client that closes with bytes unread resets the connection, and so does one that bytes reach after it has closed. One that has read
 * everything acknowledges everything with its end, but perhaps not ours. What is acknowledged and reset later was long read: networks
 * forget idle connections.
 */
static bool is_lost(const struct mr_http_connection *self)
{
    if (self->out.len > 0 || unacknowledged(self) > (self->phase == PHASE_LINGER))
        return true;
    return self->broken && now_ms(self) < self->receipt_until_ms;
}

void connection_die(struct mr_http_connection *self)
{
    if (self->phase != PHASE_DEAD && self->receipt.len > 0)
        self->lost = is_lost(self);
    connection_enter(self, PHASE_DEAD);
}

void connection_adopted(struct mr_http_connection *self)
{
    self->phase = PHASE_IDLE;
    self->phase_ends_ms = now_ms(self) + self->server->options.idle_ms;
    TAILQ_INSERT_TAIL(&self->server->phases[PHASE_IDLE], self, in_phase);
}

bool mr_http_has_ended(const struct mr_http_connection *self)
{
    return self->ended || self->phase == PHASE_DEAD;
}

bool mr_http_may_wait(const struct mr_http_connection *self)
{
    return !mr_http_has_ended(self) && !self->paused;
}

void connection_closed(struct mr_http_connection *self)
{
    if (self->exchange != NULL)
        self->server->options.handler->gone(self->exchange);
    if (self->lost)
        self->server->options.handler->lost(self->server->options.application,
                                            (struct mr_slice){self->receipt.data, self->receipt.len});
    mr_buf_fini(&self->receipt);
    if (self->is_runnable)
        TAILQ_REMOVE(&self->server->runnable, self, in_runnable);
    TAILQ_REMOVE(&self->server->phases[self->phase], self, in_phase);
    read_forget(self);
    mr_buf_fini(&self->in);
    mr_buf_fini(&self->out);
}

static void set_runnable(struct mr_http_connection *self)
{
    if (self->is_runnable)
        return;
    self->is_runnable = true;
    TAILQ_INSERT_TAIL(&self->server->runnable, self, in_runnable);
}

/* Behind the end of a client's input a socket is always readable. */
static void set_reading(struct mr_http_connection *self, bool paused)
{
    self->paused = paused;
    lws_rx_flow_control(self->wsi, !paused && !self->ended);
}

/* ---- Out ---- */

static void linger(struct mr_http_connection *self)
{
    if (self->ended) {
        connection_die(self);
        return;
    }
    mr_buf_fini(&self->in);
    set_reading(self, false);
    shutdown(self->fd, SHUT_WR);
    self->linger_until_ms = now_ms(self) + self->server->options.body_ms;
    connection_enter(self, PHASE_LINGER);
}

/* Of what arrives behind the last answer only that it does is of interest. */
static void linger_on(struct mr_http_connection *self)
{
    if (now_ms(self) < self->linger_until_ms)
        connection_enter(self, PHASE_LINGER);
}

/* The answer is with the kernel, all of it. */
static void flushed(struct mr_http_connection *self)
{
    if (self->close_after) {
        linger(self);
        return;
    }
    connection_enter(self, PHASE_IDLE);
    if (self->in.len > 0 || self->paused || self->ended)
        set_runnable(self);
}

/* Returns how much the kernel took. */
static size_t send_some(struct mr_http_connection *self, struct mr_slice bytes)
{
    ssize_t sent = send(self->fd, bytes.data, bytes.len, MSG_NOSIGNAL);

    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        self->broken = true;
        connection_die(self);
    }
    self->server->traffic.sent += sent > 0 ? (uint64_t)sent : 0;
    return sent > 0 ? (size_t)sent : 0;
}

/*
 * How far the client has come in `out`; less than 0 while it is behind that. The kernel takes much at a time, and after that nothing until
 * a third of it has gone: by what it takes, a client at a slow but steady pace would stand still.
 */
static int64_t arrived(const struct mr_http_connection *self)
{
    return (int64_t)self->out_at - unacknowledged(self);
}

void connection_write(struct mr_http_connection *self, struct mr_slice bytes)
{
    size_t sent = self->out.len == 0 ? send_some(self, bytes) : 0;

    if (self->phase == PHASE_DEAD || sent == bytes.len)
        return;
    mr_buf_append(&self->out, bytes.data + sent, bytes.len - sent);
    if (self->out.failed)
        connection_die(self);
    lws_callback_on_writable(self->wsi);
}

/* libwebsockets forgets, behind its call, what it was asked for in it; so the rest is asked for in the turn that follows. */
void connection_writeable(struct mr_http_connection *self)
{
    if (self->phase == PHASE_DEAD || self->out.len == 0)
        return;
    self->out_at += send_some(self, (struct mr_slice){self->out.data + self->out_at, self->out.len - self->out_at});
    if (self->out_at < self->out.len) {
        set_runnable(self);
        return;
    }
    mr_buf_fini(&self->out);
    self->out_at = 0;
    if (self->phase == PHASE_FLUSH)
        flushed(self);
}

void connection_answered(struct mr_http_connection *self)
{
    if (self->out.len > 0) {
        self->out_seen = arrived(self);
        connection_enter(self, PHASE_FLUSH);
    } else {
        flushed(self);
    }
}

/* ---- In ---- */

static void press(struct mr_http_connection *self)
{
    if (self->exchange != NULL)
        self->server->options.handler->pressed(self->exchange);
}

static void keep(struct mr_http_connection *self, const char *data, size_t len)
{
    mr_buf_append(&self->in, data, len);
    if (self->in.failed)
        connection_die(self);
    else if (!read_wants_bytes(self) && self->in.len > PIPELINE_MAX) {
        set_reading(self, true);
        press(self);
    }
}

/* What is kept is set aside meanwhile: an answer that is the last throws away what would come behind it. */
static void read_kept(struct mr_http_connection *self)
{
    struct mr_buf in = self->in;
    size_t used;

    self->in = (struct mr_buf){0};
    used = read_bytes(self, in.data, in.len);
    if (used == in.len || self->phase == PHASE_LINGER || self->phase == PHASE_DEAD) {
        mr_buf_fini(&in);
        return;
    }
    memmove(in.data, in.data + used, in.len - used);
    in.len -= used;
    self->in = in;
}

/*
 * The client sends nothing more. What is not complete by now never will be; a request that is under way gets its answer,
 * and so do those that wait behind it.
 */
static void conclude(struct mr_http_connection *self)
{
    if (self->phase == PHASE_IDLE || self->phase == PHASE_HEAD || self->phase == PHASE_LINGER)
        connection_die(self);
    else if (read_wants_bytes(self))
        read_fail(self, MR_INVALID);
    else
        press(self);
}

static void received(struct mr_http_connection *self, const char *data, size_t len)
{
    if (self->phase == PHASE_LINGER) {
        linger_on(self);
    } else if (self->in.len == 0) {
        size_t used = read_bytes(self, data, len);

        if (used < len && self->phase != PHASE_LINGER && self->phase != PHASE_DEAD)
            keep(self, data + used, len - used);
    } else {
        keep(self, data, len);
        if (read_wants_bytes(self))
            read_kept(self);
    }
}

void connection_readable(struct mr_http_connection *self)
{
    struct mr_http_server *server = self->server;
    ssize_t len;

    if (self->phase == PHASE_DEAD || self->ended)
        return;
    len = recv(self->fd, server->received, sizeof server->received, 0);
    if (len > 0) {
        server->traffic.received += (uint64_t)len;
        received(self, server->received, (size_t)len);
    } else if (len == 0) {
        self->ended = true;
        set_reading(self, self->paused);
        conclude(self);
    } else if (errno != EAGAIN && errno != EINTR) {
        self->broken = true;
        connection_die(self);
    }
}

void connection_run(struct mr_http_connection *self)
{
    if (self->phase != PHASE_DEAD && self->out.len > 0)
        lws_callback_on_writable(self->wsi);
    if (!read_wants_bytes(self))
        return;
    if (self->in.len > 0)
        read_kept(self);
    if (!read_wants_bytes(self))
        return;
    if (self->paused)
        set_reading(self, false);
    if (self->ended)
        conclude(self);
}

void mr_http_resume(struct mr_http_connection *self)
{
    struct incoming *incoming = self->incoming;

    if (self->phase != PHASE_WAIT || incoming == NULL)
        return;
    incoming->started_ms += now_ms(self) - incoming->paused_ms;
    connection_enter(self, PHASE_SLOW);
    set_runnable(self);
}

/* ---- Late ---- */

/* Whether a body has come as fast as it has to. The span for every body is over when this is asked. */
static bool is_fast_enough(const struct mr_http_connection *self)
{
    const struct incoming *incoming = self->incoming;
    int64_t took_ms = now_ms(self) - incoming->started_ms;

    return took_ms < self->server->options.body_ms ||
           (int64_t)incoming->received >= self->server->options.body_rate * took_ms / 1000;
}

/* Whether the client has taken as much of an answer, since this was last asked, as it has to. */
static bool takes_fast_enough(struct mr_http_connection *self)
{
    const struct mr_http_options *options = &self->server->options;
    int64_t taken = arrived(self) - self->out_seen;

    self->out_seen += taken;
    return taken >= options->body_rate * options->body_ms / 1000;
}

/* A client that is too slow with a head gets no answer: nobody knows whether it speaks HTTP. */
void connection_expire(struct mr_http_connection *self)
{
    if (self->phase == PHASE_FLUSH && takes_fast_enough(self))
        connection_enter(self, PHASE_FLUSH);
    else if (self->phase != PHASE_BODY && self->phase != PHASE_SLOW)
        connection_die(self);
    else if (is_fast_enough(self))
        connection_enter(self, PHASE_SLOW);
    else
        read_fail(self, MR_REQUEST_TIMEOUT);
}

const struct sockaddr *mr_http_peer(const struct mr_http_connection *self)
{
    return (const struct sockaddr *)&self->peer;
}
