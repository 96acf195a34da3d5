/*
 * mailbox: where messages wait. The only file that knows ZeroMQ.
 *
 * The gateway, the scheduler and each actor have one mailbox with a unique name. A mailbox sends to the mailboxes it has
 * connected to and to those that connected to it; each message names its sender. It is a ROUTER socket without a high-water mark:
 * ROUTER drops silently at its mark, so the sender's count of messages under way bounds a mailbox.
 *
 * Thread: a mailbox belongs to the thread that uses it first; only mr_mailbox_new may run elsewhere before.
 */
#ifndef MR_RUNTIME_MAILBOX_H
#define MR_RUNTIME_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/status.h"
#include "runtime/thread.h"

enum { MR_MAILBOX_NAME = 32 };

typedef struct mr_mailbox mr_mailbox;

/* A message as it arrived. Not to be copied or moved; release it once. */
struct mr_parcel {
    _Alignas(8) unsigned char frame[64];
    char from[MR_MAILBOX_NAME];
    const void *data;
    size_t len;
};

/* Keeps czmq from handling signals and writing to standard error. Call it once, in the main thread, before anything else here. */
void mr_mailbox_setup(void);

/* Creates and binds a mailbox. `name`: under MR_MAILBOX_NAME bytes, unique in the process. */
mr_status mr_mailbox_new(mr_mailbox **out, const char *name) MR_WARN_UNUSED;

/*
 * Closes and frees the mailbox and sets the caller's pointer to NULL; messages that were not taken are lost. Only in the thread
 * that takes its mail. Accepts NULL.
 */
void mr_mailbox_destroy(mr_mailbox **self);

/* Connects to the mailbox `name`, which has to exist, so that this mailbox can send to it. */
mr_status mr_mailbox_connect(mr_mailbox *self, const char *name) MR_WARN_UNUSED;

/* Sends a copy of `data`. Never blocks. MR_UNAVAILABLE: there is no such mailbox. MR_NO_MEMORY. On failure nothing is sent. */
mr_status mr_mailbox_send(mr_mailbox *self, const char *to, const void *data, size_t len) MR_WARN_UNUSED;

/* Takes the next message without waiting; false when there is none. */
bool mr_mailbox_take(mr_mailbox *self, struct mr_parcel *out);

/* Frees what the parcel holds. Slices of its message become invalid. */
void mr_parcel_release(struct mr_parcel *self);

/*
 * A descriptor for an event loop, readable when there may be mail. It is edge-triggered: after every send and every take, call
 * mr_mailbox_take before sleeping, or a wake-up is lost. Borrowed.
 */
int mr_mailbox_fd(mr_mailbox *self);

/* What ended a wait. */
struct mr_wake {
    bool mail;
    bool stop; /* the thread was asked to end; stays so */
    bool fd;
    bool other_fd;
};

/*
 * Waits for mail, for mr_thread_stop or for `fd` or `other_fd` (-1: none) to be readable, at most `timeout_ms` (-1: no
 * limit).
 */
struct mr_wake mr_mailbox_wait(mr_mailbox *self, mr_thread *thread, int fd, int other_fd, int timeout_ms);

#endif
