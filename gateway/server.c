/*
 * server: the event loop, the listening socket and the end of it all.
 *
 * libwebsockets is used in its raw role: it owns the sockets, TLS should it be wanted, what the kernel did not
 * take yet, and its place in the libev loop. Sockets are accepted here and handed to it. Mail is looked for
 * each time before the loop sleeps, so that the edge of ZMQ_FD can never be missed.
 */
#include <errno.h>
#include <fcntl.h>
#include <libwebsockets.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "gateway/internal.h"
#include "runtime/log.h"
#include "runtime/metrics.h"

enum { BACKLOG = 4096, ACCEPT_BURST = 64, FILES_BESIDE = 128, LAST_REQUEST_MS = 2000, WRITE_MAX = 256 * 1024 };

static const ev_tstamp tick_s = 0.1;

int64_t gateway_now_ms(const struct gateway *gateway)
{
    return mr_mono_ms(gateway->clock);
}

void gateway_new_id(struct gateway *gateway, uint8_t out[16])
{
    if (gateway->random_left < 10) {
        randombytes_buf(gateway->random, sizeof gateway->random);
        gateway->random_left = sizeof gateway->random;
    }
    gateway->random_left -= 10;
    mr_uuid_v7(out, mr_wall_ms(gateway->clock), gateway->random + gateway->random_left);
}

/* ---- libwebsockets ---- */

static void forward_log(int level, const char *line)
{
    struct mr_slice text = {line, strcspn(line, "\n")};

    mr_log(level == LLL_ERR ? MR_LOG_ERROR : MR_LOG_WARN, "libwebsockets", mr_log_slice("line", text));
}

static int adopted(struct lws *wsi, struct connection *connection)
{
    struct gateway *gateway = lws_context_user(lws_get_context(wsi));

    connection->wsi = wsi;
    connection->gateway = gateway;
    lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
    connection_enter(connection, PHASE_IDLE);
    return 0;
}

static void count_down(struct gateway *gateway)
{
    gateway->connection_count--;
    if (gateway->listen_fd >= 0 && !ev_is_active(&gateway->accepting))
        ev_io_start(gateway->loop, &gateway->accepting);
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    struct connection *connection = user;

    switch (reason) {
    case LWS_CALLBACK_RAW_ADOPT: return adopted(wsi, connection);
    case LWS_CALLBACK_RAW_RX: return connection_received(connection, in, len);
    case LWS_CALLBACK_RAW_WRITEABLE: return connection_writeable(connection);
    case LWS_CALLBACK_RAW_CLOSE:
        if (connection->gateway != NULL) {
            connection_closed(connection);
            count_down(connection->gateway);
        }
        return 0;
    default: return 0;
    }
}

static const struct lws_protocols protocols[] = {
    {.name = "millrace", .callback = on_event, .per_session_data_size = sizeof(struct connection), .tx_packet_size = WRITE_MAX},
    {0},
};

static bool make_context(struct gateway *gateway)
{
    void *loops[] = {gateway->loop};
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_LIBEV,
        .foreign_loops = loops,
        .pt_serv_buf_size = 32 * 1024,
        .gid = -1,
        .uid = -1,
        .user = gateway,
        .vhost_name = "millrace",
    };

    lws_set_log_level(LLL_ERR | LLL_WARN, forward_log);
    gateway->context = lws_create_context(&info);
    if (gateway->context != NULL)
        gateway->vhost = lws_get_vhost_by_name(gateway->context, "millrace");
    return gateway->vhost != NULL;
}

/* ---- Accepting ---- */

/* False when nobody waits, or nobody more may come in. */
static bool accept_one(struct gateway *gateway)
{
    lws_sock_file_fd_type fd;

    if (gateway->connection_count >= gateway->connection_limit)
        return false;
    fd.sockfd = accept4(gateway->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd.sockfd < 0)
        return false;
    setsockopt(fd.sockfd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    gateway->connection_count++;
    if (lws_adopt_descriptor_vhost(gateway->vhost, LWS_ADOPT_SOCKET, fd, "millrace", NULL) == NULL)
        gateway->connection_count--;
    return true;
}

static void on_accept(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct gateway *gateway = watcher->data;

    (void)events;
    for (int i = 0; i < ACCEPT_BURST && accept_one(gateway); i++) {
    }
    if (gateway->connection_count >= gateway->connection_limit)
        ev_io_stop(loop, watcher); /* the rest wait in the kernel's queue until one leaves */
}

/* Who has connected by now is served. */
static void stop_accepting(struct gateway *gateway)
{
    if (gateway->listen_fd < 0)
        return;
    while (accept_one(gateway)) {
    }
    ev_io_stop(gateway->loop, &gateway->accepting);
    close(gateway->listen_fd);
    gateway->listen_fd = -1;
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

mr_status mr_gateway_listen(int *out, const char *host, int port, struct mr_buf *problem)
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
        mr_buf_printf(problem, "APP_HOST=%s: %s", host, gai_strerror(error));
    else if (fd < 0 && (errno != EAFNOSUPPORT || strcmp(host, "::") != 0))
        mr_buf_printf(problem, "cannot listen on %s port %d: %s", host, port, strerror(errno));
    else if (fd < 0 && mr_gateway_listen(&fd, "0.0.0.0", port, problem) != MR_OK) /* a machine without IPv6 */
        fd = -1;
    if (addresses != NULL)
        freeaddrinfo(addresses);
    if (fd < 0)
        return MR_UNAVAILABLE;
    *out = fd;
    return MR_OK;
}

unsigned mr_gateway_allow_files(unsigned connections)
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

/* ---- Draining ---- */

static void on_signal(struct ev_loop *loop, ev_signal *watcher, int events)
{
    struct gateway *gateway = watcher->data;

    (void)loop;
    (void)events;
    if (gateway->draining)
        _exit(128 + watcher->signum);
    gateway->draining = true;
    gateway->drain_started_ms = gateway_now_ms(gateway);
    mr_log(MR_LOG_INFO, "draining", mr_log_int("signal", watcher->signum),
           mr_log_int("connections", gateway->connection_count));
}

static void kill_all(struct gateway *gateway, enum phase phase)
{
    struct connection *connection;

    while ((connection = TAILQ_FIRST(&gateway->phases[phase])) != NULL)
        connection_kill(connection);
}

static void drain(struct gateway *gateway, int64_t now_ms)
{
    int64_t since_ms = now_ms - gateway->drain_started_ms;

    if (since_ms >= gateway->config->shutdown_delay)
        stop_accepting(gateway);
    if (since_ms >= gateway->config->shutdown_delay + LAST_REQUEST_MS) {
        kill_all(gateway, PHASE_IDLE);
        kill_all(gateway, PHASE_LINGER);
    }
    if (gateway->listen_fd < 0 && gateway->connection_count == 0 && !exchange_any(gateway))
        ev_break(gateway->loop, EVBREAK_ALL);
    if (since_ms >= gateway->config->shutdown_grace) {
        mr_log(MR_LOG_WARN, "shut down before everything was answered", mr_log_int("connections", gateway->connection_count));
        ev_break(gateway->loop, EVBREAK_ALL);
    }
}

/* ---- The loop ---- */

static void on_tick(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct gateway *gateway = watcher->data;
    int64_t now_ms = gateway_now_ms(gateway);

    (void)loop;
    (void)events;
    exchange_expire(gateway, now_ms);
    connection_expire(gateway, now_ms);
    if (gateway->draining)
        drain(gateway, now_ms);
    mr_metric_show(MR_METRIC_connections, gateway->connection_count);
    mr_metrics_tick(gateway->clock);
}

static void on_before_sleep(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    (void)loop;
    (void)events;
    exchange_take_mail(watcher->data);
}

/* Only wakes the loop up; the mail is taken before it sleeps again. */
static void on_mail(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    (void)watcher;
    (void)events;
}

static void start_watchers(struct gateway *gateway)
{
    struct ev_loop *loop = gateway->loop;

    ev_io_init(&gateway->accepting, on_accept, gateway->listen_fd, EV_READ);
    ev_io_init(&gateway->mail, on_mail, mr_mailbox_fd(gateway->mailbox), EV_READ);
    ev_prepare_init(&gateway->before_sleep, on_before_sleep);
    ev_timer_init(&gateway->tick, on_tick, tick_s, tick_s);
    ev_signal_init(&gateway->sigterm, on_signal, SIGTERM);
    ev_signal_init(&gateway->sigint, on_signal, SIGINT);
    gateway->accepting.data = gateway->before_sleep.data = gateway->tick.data = gateway;
    gateway->sigterm.data = gateway->sigint.data = gateway;
    ev_io_start(loop, &gateway->accepting);
    ev_io_start(loop, &gateway->mail);
    ev_prepare_start(loop, &gateway->before_sleep);
    ev_timer_start(loop, &gateway->tick);
    ev_signal_start(loop, &gateway->sigterm);
    ev_signal_start(loop, &gateway->sigint);
}

static void stop_watchers(struct gateway *gateway)
{
    stop_accepting(gateway);
    ev_io_stop(gateway->loop, &gateway->mail);
    ev_prepare_stop(gateway->loop, &gateway->before_sleep);
    ev_timer_stop(gateway->loop, &gateway->tick);
    ev_signal_stop(gateway->loop, &gateway->sigterm);
    ev_signal_stop(gateway->loop, &gateway->sigint);
}

static mr_status open_mailboxes(struct gateway *gateway)
{
    const struct mr_gateway_options *options = gateway->options;
    mr_status status = mr_mailbox_new(&gateway->mailbox, mr_actor_info(MR_ACTOR_GATEWAY)->name);

    gateway->mailboxes = calloc(options->actor_count, sizeof *gateway->mailboxes);
    if (gateway->mailboxes == NULL)
        return MR_NO_MEMORY;
    for (unsigned i = 0; i < options->actor_count && status == MR_OK; i++) {
        gateway->mailboxes[i].actor = options->actors[i];
        status = mr_mailbox_connect(gateway->mailbox, options->actors[i]->name);
    }
    gateway->mailbox_count = options->actor_count;
    return status;
}

static void free_exchanges(struct gateway *gateway)
{
    for (uint32_t i = 0; i < gateway->exchange_room; i++) {
        if (gateway->exchanges[i] != NULL) {
            mr_buf_fini(&gateway->exchanges[i]->link);
            mr_buf_fini(&gateway->exchanges[i]->cache_key);
            mr_preconditions_fini(&gateway->exchanges[i]->conditions);
        }
        free(gateway->exchanges[i]);
    }
    free(gateway->exchanges);
    free(gateway->free_indices);
}

static void destroy(struct gateway *gateway)
{
    if (gateway->context != NULL)
        lws_context_destroy(gateway->context);
    if (gateway->listen_fd >= 0)
        close(gateway->listen_fd);
    if (gateway->loop != NULL)
        ev_loop_destroy(gateway->loop);
    mr_mailbox_destroy(&gateway->mailbox);
    mr_token_cache_destroy(&gateway->tokens);
    mr_cache_drop(&gateway->cache);
    admit_fini(gateway);
    free_exchanges(gateway);
    free(gateway->mailboxes);
    free(gateway->wrote_until_ms);
    mr_buf_fini(&gateway->out);
    mr_buf_fini(&gateway->body);
    mr_buf_fini(&gateway->frame);
    mr_buf_fini(&gateway->payload);
    mr_buf_fini(&gateway->fixed);
    free(gateway);
}

static struct gateway *create(const struct mr_gateway_options *options)
{
    struct gateway *gateway = calloc(1, sizeof *gateway);

    if (gateway == NULL)
        return NULL;
    gateway->options = options;
    gateway->config = options->config;
    gateway->clock = options->clock;
    gateway->listen_fd = options->listen_fd;
    gateway->connection_limit = mr_gateway_allow_files((unsigned)options->config->gateway_max_conns);
    for (int phase = 0; phase < PHASE_COUNT; phase++)
        TAILQ_INIT(&gateway->phases[phase]);
    TAILQ_INIT(&gateway->in_flight);
    reply_setup(gateway);
    if (options->config->db_host_read_only[0] != '\0')
        gateway->wrote_until_ms = calloc(WRITERS_REMEMBERED, sizeof *gateway->wrote_until_ms);
    gateway->tokens = mr_token_cache_new();
    gateway->loop = ev_default_loop(EVFLAG_AUTO);
    if (gateway->tokens == NULL || gateway->loop == NULL || !admit_setup(gateway) || open_mailboxes(gateway) != MR_OK ||
        !make_context(gateway)) {
        destroy(gateway);
        return NULL;
    }
    return gateway;
}

mr_status mr_gateway_run(const struct mr_gateway_options *options)
{
    struct gateway *gateway = create(options);

    if (gateway == NULL)
        return MR_UNAVAILABLE;
    start_watchers(gateway);
    if (options->on_listening != NULL)
        options->on_listening(options->argument);
    ev_run(gateway->loop, 0);
    stop_watchers(gateway);
    for (int phase = 0; phase < PHASE_COUNT; phase++)
        kill_all(gateway, (enum phase)phase);
    destroy(gateway);
    return MR_OK;
}
