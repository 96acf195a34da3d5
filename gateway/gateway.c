/*
 * gateway: the event loop, and the end of it all.
 *
 * Mail is looked for each time before the loop sleeps, behind everything that sends, so that the edge of ZMQ_FD can never be
 * missed.
 */
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/admit.h"
#include "gateway/dispatch.h"
#include "gateway/docs.h"
#include "gateway/exchange.h"
#include "gateway/mail.h"
#include "gateway/reply.h"
#include "gateway/waiting.h"
#include "runtime/log.h"
#include "runtime/metrics.h"

/* For how long an idle client may still send the request that it was about to; of a short grace, half. */
enum { LAST_REQUEST_MS = 2000 };

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
    mr_uuid_next(out, mr_wall_ms(gateway->clock), gateway->random + gateway->random_left);
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
    mr_http_server_drain(gateway->server);
    gateway->drain_started_ms = gateway_now_ms(gateway);
    waiting_drain(gateway);
    mr_log(MR_LOG_INFO, "draining", mr_log_int("signal", watcher->signum),
           mr_log_int("connections", mr_http_server_connections(gateway->server)));
}

static bool is_done(const struct gateway *gateway)
{
    return !mr_http_server_is_listening(gateway->server) && mr_http_server_connections(gateway->server) == 0 &&
           !exchange_any(gateway);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void drain(struct gateway *gateway)
{
    int64_t since_ms = gateway_now_ms(gateway) - gateway->drain_started_ms;
    int64_t delay_ms = least(gateway->config->shutdown_delay, gateway->config->shutdown_grace / 4 * 3);
    int64_t last_ms = least(LAST_REQUEST_MS, (gateway->config->shutdown_grace - delay_ms) / 2);

    if (since_ms >= delay_ms)
        mr_http_server_stop_accepting(gateway->server);
    if (since_ms >= delay_ms + last_ms)
        mr_http_server_close_idle(gateway->server);
    if (is_done(gateway))
        ev_break(gateway->loop, EVBREAK_ALL);
    if (since_ms >= gateway->config->shutdown_grace) {
        mr_log(MR_LOG_WARN, "shut down before everything was answered",
               mr_log_int("connections", mr_http_server_connections(gateway->server)));
        ev_break(gateway->loop, EVBREAK_ALL);
    }
}

/* ---- The loop ---- */

/* What costs more than to be looked at ten times a second would be worth. */
static void show_figures(struct gateway *gateway)
{
    struct mr_http_traffic traffic = mr_http_server_traffic(gateway->server);
    unsigned most = 0;

    for (unsigned i = 0; i < gateway->mailbox_count; i++)
        if (gateway->mailboxes[i].messages > most)
            most = gateway->mailboxes[i].messages;
    mr_metric_show(MR_METRIC_mailbox_most, most);
    mr_metric_show(MR_METRIC_connections, mr_http_server_connections(gateway->server));
    mr_metric_show(MR_METRIC_in_flight, gateway->exchange_room - gateway->free_count - waiting_parked(gateway));
    mr_metric_add(MR_METRIC_received_bytes, traffic.received - gateway->traffic.received);
    mr_metric_add(MR_METRIC_sent_bytes, traffic.sent - gateway->traffic.sent);
    gateway->traffic = traffic;
}

static void on_tick(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct gateway *gateway = watcher->data;

    (void)loop;
    (void)events;
    mail_expire(gateway);
    waiting_tick(gateway);
    exchange_beat_uploads(gateway);
    mr_http_server_expire(gateway->server);
    if (gateway->draining)
        drain(gateway);
    show_figures(gateway);
    mr_metrics_tick(gateway->clock);
}

/* A request that waited behind an answer may send a message, and a message that comes may set a request free. */
static void on_before_sleep(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    struct gateway *gateway = watcher->data;

    (void)loop;
    (void)events;
    do {
        mr_http_server_run(gateway->server);
        mail_take(gateway);
    } while (mr_http_server_has_work(gateway->server));
    waiting_tell(gateway);
    mr_http_server_reap(gateway->server);
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

    ev_io_init(&gateway->mail, on_mail, mr_mailbox_fd(gateway->mailbox), EV_READ);
    ev_prepare_init(&gateway->before_sleep, on_before_sleep);
    ev_timer_init(&gateway->tick, on_tick, tick_s, tick_s);
    ev_signal_init(&gateway->sigterm, on_signal, SIGTERM);
    ev_signal_init(&gateway->sigint, on_signal, SIGINT);
    gateway->before_sleep.data = gateway->tick.data = gateway;
    gateway->sigterm.data = gateway->sigint.data = gateway;
    ev_io_start(loop, &gateway->mail);
    ev_prepare_start(loop, &gateway->before_sleep);
    ev_timer_start(loop, &gateway->tick);
    ev_signal_start(loop, &gateway->sigterm);
    ev_signal_start(loop, &gateway->sigint);
}

static void stop_watchers(struct gateway *gateway)
{
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

static void destroy(struct gateway *gateway)
{
    mr_http_server_destroy(&gateway->server);
    if (gateway->listen_fd >= 0)
        close(gateway->listen_fd);
    if (gateway->loop != NULL)
        ev_loop_destroy(gateway->loop);
    mr_mailbox_destroy(&gateway->mailbox);
    mr_token_cache_destroy(&gateway->tokens);
    mr_key_cache_destroy(&gateway->keys);
    mr_cache_drop(&gateway->cache);
    admit_fini(gateway);
    docs_fini(gateway);
    mr_route_forget();
    waiting_room_destroy(&gateway->waiting);
    exchange_fini_all(gateway);
    free(gateway->mailboxes);
    free(gateway->wrote_until_ms);
    mr_buf_fini(&gateway->body);
    mr_buf_fini(&gateway->headers);
    mr_buf_fini(&gateway->frame);
    mr_buf_fini(&gateway->payload);
    mr_buf_fini(&gateway->fixed);
    mr_buf_fini(&gateway->plain);
    mr_buf_fini(&gateway->problem);
    mr_buf_fini(&gateway->health);
    free(gateway);
}

static bool open_server(struct gateway *gateway)
{
    const struct mr_config *config = gateway->config;
    struct mr_http_options options = {
        .loop = gateway->loop,
        .clock = gateway->clock,
        .listen_fd = gateway->options->listen_fd,
        .most = mr_http_allow_files((unsigned)config->gateway_max_conns),
        .idle_ms = config->keepalive_timeout,
        .head_ms = config->header_timeout,
        .body_ms = config->body_timeout,
        .body_rate = config->body_min_rate,
        .handler = &dispatch_handler,
        .application = gateway,
    };

    mr_metric_show(MR_METRIC_connections_max, options.most);
    gateway->listen_fd = -1;
    gateway->server = mr_http_server_new(&options);
    return gateway->server != NULL;
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
    TAILQ_INIT(&gateway->in_flight);
    TAILQ_INIT(&gateway->uploads);
    reply_setup(gateway);
    if (options->config->db_host_read_only[0] != '\0')
        gateway->wrote_until_ms = calloc(WRITERS_REMEMBERED, sizeof *gateway->wrote_until_ms);
    gateway->tokens = mr_token_cache_new();
    gateway->keys = mr_key_cache_new();
    gateway->waiting = waiting_room_new();
    gateway->loop = ev_default_loop(EVFLAG_AUTO);
    if (gateway->tokens == NULL || gateway->keys == NULL || gateway->waiting == NULL || gateway->loop == NULL ||
        gateway->fixed.failed || gateway->plain.failed || !admit_setup(gateway) || docs_setup(gateway) != MR_OK ||
        mr_route_prepare() != MR_OK || open_mailboxes(gateway) != MR_OK || !open_server(gateway)) {
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
    destroy(gateway);
    return MR_OK;
}
