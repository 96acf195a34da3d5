#include "runtime/mailbox.h"

#include <assert.h>
#include <czmq.h>

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

static bool fill(zmq_msg_t *frame, const void *data, size_t len)
{
    if (zmq_msg_init_size(frame, len) != 0)
        return false;
    memcpy(zmq_msg_data(frame), data, len);
    HAND_OVER(zmq_msg_data(frame));
    return true;
}

/* ZeroMQ has taken the frame over when that succeeds; otherwise it is closed here. */
static bool push(mr_mailbox *self, zmq_msg_t *frame, int flags)
{
    if (zmq_msg_send(frame, self->handle, flags | ZMQ_DONTWAIT) >= 0)
        return true;
    zmq_msg_close(frame);
    return false;
}

/* Ends a message whose second frame was not taken: an empty frame needs no memory, and its receiver finds no envelope in it. */
static void end_message(mr_mailbox *self)
{
    zmq_msg_t nothing;

    zmq_msg_init(&nothing);
    (void)push(self, &nothing, 0);
}

/* Both frames exist before the first is handed over: a socket must not stay in the middle of a message. */
mr_status mr_mailbox_send(mr_mailbox *self, const char *to, const void *data, size_t len)
{
    zmq_msg_t name;
    zmq_msg_t body;

    if (!fill(&body, data, len))
        return MR_NO_MEMORY;
    if (!fill(&name, to, strlen(to))) {
        zmq_msg_close(&body);
        return MR_NO_MEMORY;
    }
    if (!push(self, &name, ZMQ_SNDMORE)) {
        zmq_msg_close(&body);
        return MR_UNAVAILABLE;
    }
    if (push(self, &body, 0))
        return MR_OK;
    end_message(self);
    return MR_NO_MEMORY;
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

/* A message is two frames, sender and bytes; ZeroMQ delivers both or none, and receiving takes no memory. */
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

static bool is_set(const zmq_pollitem_t *items, int at)
{
    return at >= 0 && items[at].revents != 0;
}

struct mr_wake mr_mailbox_wait(mr_mailbox *self, mr_thread *thread, int fd, int other_fd, int timeout_ms)
{
    struct mr_wake wake = {.stop = mr_thread_asked_to_end(thread, 0)};
    zmq_pollitem_t items[4] = {
        {.socket = self->handle, .events = ZMQ_POLLIN},
        {.fd = mr_thread_end_fd(thread), .events = ZMQ_POLLIN},
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
    wake.mail = is_set(items, 0);
    wake.stop = mr_thread_asked_to_end(thread, 0);
    wake.fd = is_set(items, fd_at);
    wake.other_fd = is_set(items, other_at);
    return wake;
}
