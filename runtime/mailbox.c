#include "runtime/mailbox.h"

#include <assert.h>
#include <czmq.h>
#include <pthread.h>
#include <signal.h>

/*
 * ZeroMQ hands a message from one thread to the next inside its own lock-free queue, which a race detector
 * that did not compile it cannot see. The pair of hints tells it what ZeroMQ guarantees: what was written
 * before the send is visible after the receive.
 */
#if defined(__SANITIZE_THREAD__)
#define MR_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MR_THREAD_SANITIZER 1
#endif
#endif
#ifdef MR_THREAD_SANITIZER
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define HAND_OVER(address) __tsan_release(address)
#define TAKE_OVER(address) __tsan_acquire(address)
#else
#define HAND_OVER(address) ((void)(address))
#define TAKE_OVER(address) ((void)(address))
#endif

struct mr_mailbox {
    zsock_t *socket;
    void *handle; /* the same socket, for the functions of libzmq */
};

struct mr_thread {
    const char *name;
    mr_thread_main *body;
    void *argument;
    zactor_t *actor;
    zsock_t *pipe; /* our end, inside the thread */
    bool asked;    /* to end; the thread's own */
};

_Static_assert(sizeof(zmq_msg_t) == sizeof(((struct mr_parcel *)NULL)->frame), "a parcel holds one zmq_msg_t");

static zmq_msg_t *frame_of(struct mr_parcel *parcel)
{
    return (zmq_msg_t *)(void *)parcel->frame;
}

void mr_mailbox_setup(void)
{
    zsys_handler_set(NULL);
    zsys_init();
    zsys_set_logstream(NULL);
    zsys_set_io_threads(1);
}

mr_status mr_mailbox_new(mr_mailbox **out, const char *name)
{
    mr_mailbox *self = calloc(1, sizeof *self);

    assert(strlen(name) < MR_MAILBOX_NAME);
    if (self == NULL)
        return MR_NO_MEMORY;
    self->socket = zsock_new(ZMQ_ROUTER);
    if (self->socket == NULL)
        goto fail;
    zsock_set_identity(self->socket, name);
    zsock_set_router_mandatory(self->socket, 1);
    zsock_set_sndhwm(self->socket, 0);
    zsock_set_rcvhwm(self->socket, 0);
    zsock_set_linger(self->socket, 0);
    if (zsock_bind(self->socket, "inproc://%s", name) != 0)
        goto fail;
    self->handle = zsock_resolve(self->socket);
    *out = self;
    return MR_OK;

fail:
    mr_mailbox_destroy(&self);
    return MR_NO_MEMORY;
}

void mr_mailbox_destroy(mr_mailbox **self)
{
    const char *endpoint;

    if (*self == NULL)
        return;
    /* A closed socket keeps its name until ZeroMQ's reaper comes by; unbinding gives it back at once. */
    endpoint = (*self)->socket != NULL ? zsock_endpoint((*self)->socket) : NULL;
    if (endpoint != NULL)
        zsock_unbind((*self)->socket, "%s", endpoint);
    zsock_destroy(&(*self)->socket);
    free(*self);
    *self = NULL;
}

mr_status mr_mailbox_connect(mr_mailbox *self, const char *name)
{
    return zsock_connect(self->socket, "inproc://%s", name) == 0 ? MR_OK : MR_UNAVAILABLE;
}

/* ZeroMQ has taken the frame over when the send succeeds; otherwise it is still ours to close. */
static bool send_frame(mr_mailbox *self, const void *data, size_t len, int flags)
{
    zmq_msg_t frame;

    if (zmq_msg_init_size(&frame, len) != 0)
        return false;
    memcpy(zmq_msg_data(&frame), data, len);
    HAND_OVER(zmq_msg_data(&frame));
    if (zmq_msg_send(&frame, self->handle, flags | ZMQ_DONTWAIT) >= 0)
        return true;
    zmq_msg_close(&frame);
    return false;
}

mr_status mr_mailbox_send(mr_mailbox *self, const char *to, const void *data, size_t len)
{
    if (!send_frame(self, to, strlen(to), ZMQ_SNDMORE))
        return errno == ENOMEM ? MR_NO_MEMORY : MR_UNAVAILABLE;
    return send_frame(self, data, len, 0) ? MR_OK : MR_NO_MEMORY;
}

static bool take_sender(mr_mailbox *self, char from[MR_MAILBOX_NAME])
{
    zmq_msg_t frame;
    size_t len;

    zmq_msg_init(&frame);
    if (zmq_msg_recv(&frame, self->handle, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&frame);
        return false;
    }
    len = zmq_msg_size(&frame);
    assert(len < MR_MAILBOX_NAME);
    memcpy(from, zmq_msg_data(&frame), len);
    from[len] = '\0';
    zmq_msg_close(&frame);
    return true;
}

/* A message is two frames, sender and bytes; ZeroMQ delivers both or none. */
bool mr_mailbox_take(mr_mailbox *self, struct mr_parcel *out)
{
    if (!take_sender(self, out->from))
        return false;
    zmq_msg_init(frame_of(out));
    if (zmq_msg_recv(frame_of(out), self->handle, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(frame_of(out));
        return false;
    }
    out->data = zmq_msg_data(frame_of(out));
    out->len = zmq_msg_size(frame_of(out));
    TAKE_OVER(zmq_msg_data(frame_of(out)));
    return true;
}

void mr_parcel_release(struct mr_parcel *self)
{
    HAND_OVER(zmq_msg_data(frame_of(self)));
    zmq_msg_close(frame_of(self));
}

int mr_mailbox_fd(mr_mailbox *self)
{
    return (int)zsock_fd(self->socket);
}

/* Reads the pipe once it has something; what it said stays. */
static bool read_pipe(mr_thread *self, bool readable)
{
    char *command = readable ? zstr_recv_nowait(self->pipe) : NULL;

    self->asked = self->asked || (command != NULL && streq(command, "$TERM"));
    zstr_free(&command);
    return self->asked;
}

struct mr_wake mr_mailbox_wait(mr_mailbox *self, mr_thread *thread, int fd, int other_fd, int timeout_ms)
{
    struct mr_wake wake = {.stop = thread->asked};
    zmq_pollitem_t items[4] = {
        {.socket = self->handle, .events = ZMQ_POLLIN},
        {.socket = zsock_resolve(thread->pipe), .events = ZMQ_POLLIN},
    };
    int count = 2;
    int fd_at = fd >= 0 ? count++ : -1;
    int other_at = other_fd >= 0 ? count++ : -1;

    if (fd_at >= 0)
        items[fd_at] = (zmq_pollitem_t){.fd = fd, .events = ZMQ_POLLIN};
    if (other_at >= 0)
        items[other_at] = (zmq_pollitem_t){.fd = other_fd, .events = ZMQ_POLLIN};
    if (zmq_poll(items, count, wake.stop ? 0 : timeout_ms) <= 0)
        return wake;
    wake.mail = (items[0].revents & ZMQ_POLLIN) != 0;
    wake.stop = read_pipe(thread, (items[1].revents & ZMQ_POLLIN) != 0);
    wake.fd = fd_at >= 0 && items[fd_at].revents != 0;
    wake.other_fd = other_at >= 0 && items[other_at].revents != 0;
    return wake;
}

bool mr_thread_asked_to_end(mr_thread *self, int timeout_ms)
{
    zmq_pollitem_t item = {.socket = zsock_resolve(self->pipe), .events = ZMQ_POLLIN};

    return self->asked || read_pipe(self, zmq_poll(&item, 1, timeout_ms) > 0);
}

/* Signals are for the main thread, which turns them into an orderly end. */
static void run(zsock_t *pipe, void *argument)
{
    mr_thread *self = argument;
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    pthread_setname_np(pthread_self(), self->name);
    self->pipe = pipe;
    self->body(self, self->argument);
    HAND_OVER(self);
}

mr_thread *mr_thread_start(const char *name, mr_thread_main *body, void *argument)
{
    mr_thread *self = calloc(1, sizeof *self);

    if (self == NULL)
        return NULL;
    self->name = name;
    self->body = body;
    self->argument = argument;
    self->actor = zactor_new(run, self);
    if (self->actor == NULL) {
        free(self);
        return NULL;
    }
    TAKE_OVER(self);
    return self;
}

void mr_thread_ready(mr_thread *self)
{
    HAND_OVER(self);
    zsock_signal(self->pipe, 0);
}

void mr_thread_ask_to_end(mr_thread *self)
{
    zstr_send(self->actor, "$TERM");
}

void mr_thread_stop(mr_thread **self)
{
    if (*self == NULL)
        return;
    zactor_destroy(&(*self)->actor);
    TAKE_OVER(*self);
    free(*self);
    *self = NULL;
}
