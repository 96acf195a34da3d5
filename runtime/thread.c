#include "runtime/thread.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { NAME_ROOM = 16 }; /* the kernel's, with its terminator */

struct mr_thread {
    const char *name;
    mr_thread_main *body;
    void *argument;
    pthread_t id;
    sem_t ready;
    sem_t ended;
    int end_fd;
    _Atomic bool asked;
};

static void *run(void *argument)
{
    mr_thread *self = argument;
    char name[NAME_ROOM];

    snprintf(name, sizeof name, "%s", self->name);
    pthread_setname_np(pthread_self(), name);
    self->body(self, self->argument);
    sem_post(&self->ended);
    return NULL;
}

static void destroy(mr_thread *self)
{
    if (self->end_fd >= 0)
        close(self->end_fd);
    sem_destroy(&self->ready);
    sem_destroy(&self->ended);
    free(self);
}

/* The new thread inherits the mask, so that there is no moment in which a signal could find it. */
static bool create(mr_thread *self)
{
    sigset_t all;
    sigset_t before;
    bool created;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    created = pthread_create(&self->id, NULL, run, self) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return created;
}

mr_thread *mr_thread_begin(const char *name, mr_thread_main *body, void *argument)
{
    mr_thread *self = calloc(1, sizeof *self);

    if (self == NULL)
        return NULL;
    self->name = name;
    self->body = body;
    self->argument = argument;
    sem_init(&self->ready, 0, 0);
    sem_init(&self->ended, 0, 0);
    self->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->end_fd < 0 || !create(self)) {
        destroy(self);
        return NULL;
    }
    return self;
}

void mr_thread_await(mr_thread *self)
{
    while (sem_wait(&self->ready) != 0 && errno == EINTR) {
    }
}

mr_thread *mr_thread_start(const char *name, mr_thread_main *body, void *argument)
{
    mr_thread *self = mr_thread_begin(name, body, argument);

    if (self != NULL)
        mr_thread_await(self);
    return self;
}

void mr_thread_ready(mr_thread *self)
{
    sem_post(&self->ready);
}

bool mr_thread_asked_to_end(mr_thread *self, int timeout_ms)
{
    struct pollfd item = {.fd = self->end_fd, .events = POLLIN};

    if (!atomic_load(&self->asked) && timeout_ms != 0)
        (void)poll(&item, 1, timeout_ms);
    return atomic_load(&self->asked);
}

int mr_thread_end_fd(const mr_thread *self)
{
    return self->end_fd;
}

void mr_thread_ask_to_end(mr_thread *self)
{
    int before = errno; /* a signal handler leaves it as it was */

    atomic_store(&self->asked, true);
    (void)!write(self->end_fd, &(uint64_t){1}, sizeof(uint64_t)); /* fails only when it is readable already */
    errno = before;
}

void mr_thread_stop(mr_thread **self)
{
    if (*self == NULL)
        return;
    mr_thread_ask_to_end(*self);
    pthread_join((*self)->id, NULL);
    destroy(*self);
    *self = NULL;
}

/* A join with a limit is nothing that a race detector understands; the end of a wait, and then a plain join, is. */
bool mr_thread_stop_by(mr_thread **self, int64_t deadline_ms)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ms / 1000), .tv_nsec = (long)(deadline_ms % 1000) * 1000000L};

    if (*self == NULL)
        return true;
    mr_thread_ask_to_end(*self);
    while (sem_clockwait(&(*self)->ended, CLOCK_MONOTONIC, &until) != 0)
        if (errno != EINTR)
            return false;
    mr_thread_stop(self);
    return true;
}
