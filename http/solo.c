#include "http/solo.h"

#include <ev.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/thread.h"

static const ev_tstamp tick_s = 0.5;

struct mr_http_solo {
    struct ev_loop *loop;
    struct mr_http_server *server;
    mr_thread *thread;
    ev_prepare before_sleep;
    ev_timer tick;
    ev_io end;
};

static void on_before_sleep(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    struct mr_http_solo *self = watcher->data;

    (void)loop;
    (void)events;
    mr_http_server_run(self->server);
    mr_http_server_reap(self->server);
}

static void on_tick(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct mr_http_solo *self = watcher->data;

    (void)loop;
    (void)events;
    mr_http_server_expire(self->server);
}

static void on_end(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)watcher;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

static void run(mr_thread *thread, void *argument)
{
    struct mr_http_solo *self = argument;

    ev_prepare_init(&self->before_sleep, on_before_sleep);
    ev_timer_init(&self->tick, on_tick, tick_s, tick_s);
    ev_io_init(&self->end, on_end, mr_thread_end_fd(thread), EV_READ);
    self->before_sleep.data = self->tick.data = self;
    ev_prepare_start(self->loop, &self->before_sleep);
    ev_timer_start(self->loop, &self->tick);
    ev_io_start(self->loop, &self->end);
    mr_thread_ready(thread);
    ev_run(self->loop, 0);
    ev_prepare_stop(self->loop, &self->before_sleep);
    ev_timer_stop(self->loop, &self->tick);
    ev_io_stop(self->loop, &self->end);
}

static void destroy(struct mr_http_solo *self)
{
    mr_http_server_destroy(&self->server);
    if (self->loop != NULL)
        ev_loop_destroy(self->loop);
    free(self);
}

struct mr_http_solo *mr_http_solo_start(const char *name, const struct mr_http_options *options)
{
    struct mr_http_options own = *options;
    struct mr_http_solo *self = calloc(1, sizeof *self);

    if (self != NULL)
        self->loop = ev_loop_new(EVFLAG_AUTO);
    if (self == NULL || self->loop == NULL) {
        close(options->listen_fd);
        free(self);
        return NULL;
    }
    own.loop = self->loop;
    self->server = mr_http_server_new(&own);
    if (self->server != NULL)
        self->thread = mr_thread_start(name, run, self);
    if (self->thread == NULL) {
        destroy(self);
        return NULL;
    }
    return self;
}

void mr_http_solo_stop(struct mr_http_solo **self)
{
    if (*self == NULL)
        return;
    mr_thread_stop(&(*self)->thread);
    destroy(*self);
    *self = NULL;
}
