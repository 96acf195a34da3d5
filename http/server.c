#include "http/server.h"

#include <errno.h>
#include <libwebsockets.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "http/internal.h"
#include "runtime/log.h"

enum { BACKLOG = 4096, ACCEPT_BURST = 64, FILES_BESIDE = 128 };

/* ---- libwebsockets ---- */

static void forward_log(int level, const char *line)
{
    struct mr_slice text = {line, strcspn(line, "\n")};

    mr_log(level == LLL_ERR ? MR_LOG_ERROR : MR_LOG_WARN, "libwebsockets", mr_log_slice("line", text));
}

static void closed(struct mr_http_connection *connection)
{
    struct mr_http_server *server = connection->server;

    if (server == NULL) /* never adopted */
        return;
    connection_closed(connection);
    server->count--;
    if (server->options.listen_fd >= 0 && !ev_is_active(&server->accepting))
        ev_io_start(server->options.loop, &server->accepting);
}

/* Never tells libwebsockets to close: connections end in mr_http_server_reap, and nowhere else. */
static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    (void)wsi;
    (void)in;
    (void)len;
    switch (reason) {
    case LWS_CALLBACK_RAW_RX_FILE: connection_readable(user); break;
    case LWS_CALLBACK_RAW_WRITEABLE_FILE: connection_writeable(user); break;
    case LWS_CALLBACK_RAW_CLOSE_FILE: closed(user); break;
    default: break;
    }
    return 0;
}

static const struct lws_protocols protocols[] = {
    {.name = "millrace", .callback = on_event, .per_session_data_size = sizeof(struct mr_http_connection)},
    {0},
};

static bool make_context(struct mr_http_server *self)
{
    void *loops[] = {self->options.loop};
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_LIBEV,
        .foreign_loops = loops,
        .gid = -1,
        .uid = -1,
        .vhost_name = "millrace",
    };

    lws_set_log_level(LLL_ERR | LLL_WARN, forward_log);
    self->context = lws_create_context(&info);
    if (self->context != NULL)
        self->vhost = lws_get_vhost_by_name(self->context, "millrace");
    return self->vhost != NULL;
}

/* ---- Accepting ---- */

static void adopt(struct mr_http_server *self, int accepted, const struct sockaddr_in6 *peer)
{
    lws_sock_file_fd_type fd = {.filefd = accepted};
    struct mr_http_connection *connection;
    struct lws *wsi;

    setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    wsi = lws_adopt_descriptor_vhost(self->vhost, LWS_ADOPT_RAW_FILE_DESC, fd, "millrace", NULL);
    if (wsi == NULL)
        return; /* libwebsockets has closed it */
    connection = lws_wsi_user(wsi);
    connection->wsi = wsi;
    connection->server = self;
    connection->fd = accepted;
    connection->peer = *peer;
    lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
    connection_adopted(connection);
    self->count++;
}

/* False when nobody waits, nobody more may come in, or accepting fails. */
static bool accept_one(struct mr_http_server *self)
{
    struct sockaddr_in6 peer = {0};
    socklen_t len = sizeof peer;
    int fd;

    if (self->count >= self->options.most)
        return false;
    fd = accept4(self->options.listen_fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
        ev_io_stop(self->options.loop, &self->accepting); /* out of files or memory: again at the next tick */
    if (fd < 0)
        return errno == ECONNABORTED;
    adopt(self, fd, &peer);
    return true;
}

/* The rest wait in the kernel's queue: for the next turn of the loop, or for one that leaves. */
static void on_accept(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct mr_http_server *self = watcher->data;

    (void)events;
    for (int i = 0; i < ACCEPT_BURST && accept_one(self); i++) {
    }
    if (self->count >= self->options.most)
        ev_io_stop(loop, watcher);
}

static void resume_accepting(struct mr_http_server *self)
{
    if (self->options.listen_fd >= 0 && self->count < self->options.most && !ev_is_active(&self->accepting))
        ev_io_start(self->options.loop, &self->accepting);
}

void mr_http_server_stop_accepting(struct mr_http_server *self)
{
    if (self->options.listen_fd < 0)
        return;
    while (accept_one(self)) {
    }
    ev_io_stop(self->options.loop, &self->accepting);
    close(self->options.listen_fd);
    self->options.listen_fd = -1;
}

static int try_listen(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (address->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){0}, sizeof(int));
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    close(fd);
    return -1;
}

mr_status mr_http_listen(int *out, const char *host, int port, struct mr_buf *problem)
{
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses = NULL;
    char service[8];
    int fd = -1;
    int error;

    snprintf(service, sizeof service, "%d", port);
    error = getaddrinfo(host, service, &hints, &addresses);
    for (struct addrinfo *a = addresses; a != NULL && fd < 0; a = a->ai_next)
        fd = try_listen(a);
    if (error != 0)
        mr_buf_printf(problem, "cannot listen on %s: %s", host, gai_strerror(error));
    else if (fd < 0 && (errno != EAFNOSUPPORT || strcmp(host, "::") != 0))
        mr_buf_printf(problem, "cannot listen on %s port %d: %s", host, port, strerror(errno));
    else if (fd < 0 && mr_http_listen(&fd, "0.0.0.0", port, problem) != MR_OK) /* a machine without IPv6 */
        fd = -1;
    if (addresses != NULL)
        freeaddrinfo(addresses);
    if (fd < 0)
        return MR_UNAVAILABLE;
    *out = fd;
    return MR_OK;
}

unsigned mr_http_allow_files(unsigned connections)
{
    struct rlimit limit;
    rlim_t wanted = connections + FILES_BESIDE;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return connections;
    /* Exactly what is needed, not more: libwebsockets makes tables for the whole limit. */
    limit.rlim_cur = limit.rlim_max != RLIM_INFINITY && limit.rlim_max < wanted ? limit.rlim_max : wanted;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= wanted)
        return connections;
    return limit.rlim_cur > (rlim_t)2 * FILES_BESIDE ? (unsigned)(limit.rlim_cur - FILES_BESIDE) : FILES_BESIDE;
}

/* ---- Turns of the loop ---- */

bool mr_http_server_has_work(const struct mr_http_server *self)
{
    return !TAILQ_EMPTY(&self->runnable);
}

void mr_http_server_run(struct mr_http_server *self)
{
    struct mr_http_connection *connection;

    while ((connection = TAILQ_FIRST(&self->runnable)) != NULL) {
        TAILQ_REMOVE(&self->runnable, connection, in_runnable);
        connection->is_runnable = false;
        connection_run(connection);
    }
}

void mr_http_server_reap(struct mr_http_server *self)
{
    struct mr_http_connection *connection;

    while ((connection = TAILQ_FIRST(&self->phases[PHASE_DEAD])) != NULL)
        lws_set_timeout(connection->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
}

void mr_http_server_expire(struct mr_http_server *self)
{
    int64_t now_ms = mr_mono_ms(self->options.clock);

    resume_accepting(self);
    for (int phase = 0; phase < PHASE_DEAD; phase++) {
        struct mr_http_connection *connection;

        while ((connection = TAILQ_FIRST(&self->phases[phase])) != NULL && connection->phase_ends_ms <= now_ms)
            connection_expire(connection);
    }
}

static void end_all(struct mr_http_server *self, enum phase phase)
{
    struct mr_http_connection *connection;

    while ((connection = TAILQ_FIRST(&self->phases[phase])) != NULL)
        connection_die(connection);
}

void mr_http_server_close_idle(struct mr_http_server *self)
{
    end_all(self, PHASE_IDLE);
    end_all(self, PHASE_LINGER);
}

void mr_http_server_drain(struct mr_http_server *self)
{
    self->draining = true;
}

struct mr_http_traffic mr_http_server_traffic(const struct mr_http_server *self)
{
    return self->traffic;
}

unsigned mr_http_server_connections(const struct mr_http_server *self)
{
    return self->count;
}

bool mr_http_server_is_listening(const struct mr_http_server *self)
{
    return self->options.listen_fd >= 0;
}

/* ---- Life ---- */

struct mr_http_server *mr_http_server_new(const struct mr_http_options *options)
{
    struct mr_http_server *self = calloc(1, sizeof *self);

    if (self == NULL) {
        close(options->listen_fd);
        return NULL;
    }
    self->options = *options;
    for (int phase = 0; phase < PHASE_COUNT; phase++)
        TAILQ_INIT(&self->phases[phase]);
    TAILQ_INIT(&self->runnable);
    ev_io_init(&self->accepting, on_accept, options->listen_fd, EV_READ);
    self->accepting.data = self;
    if (!make_context(self)) {
        mr_http_server_destroy(&self);
        return NULL;
    }
    ev_io_start(options->loop, &self->accepting);
    return self;
}

static void destroy(struct mr_http_server *self)
{
    self->options.most = 0; /* the queue is not served any more */
    mr_http_server_stop_accepting(self);
    for (int phase = 0; phase < PHASE_DEAD; phase++)
        end_all(self, (enum phase)phase);
    mr_http_server_reap(self);
    if (self->context != NULL)
        lws_context_destroy(self->context);
    mr_buf_fini(&self->out);
    mr_buf_fini(&self->opening.text);
    free(self);
}

void mr_http_server_destroy(struct mr_http_server **self)
{
    if (*self != NULL)
        destroy(*self);
    *self = NULL;
}
