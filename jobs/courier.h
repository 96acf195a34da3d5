/*
 * courier: sends HTTP requests, thousands at a time, and returns the outcome of each.
 *
 * One thread turns libcurl's multi interface by epoll, so what a call costs does not grow with the number of those under way.
 * Connections are kept; https speaks HTTP/2 where the receiver offers it. A receiver may be slow, dead, endless or hostile: every
 * call ends by its time-out, at most MR_CALL_ANSWER bytes of an answer and MR_CALL_HEAD of its head are read, and nothing but the
 * URL says where a call goes: no proxy, no redirection, no .netrc, no cookie. Where only public addresses are allowed, that is
 * decided for the address of each socket as it is opened (jobs/push_guard.h), so a name that changes its mind gains nothing.
 *
 * Thread: the functions are for one owner's thread; the transfers have one of their own.
 */
#ifndef MR_JOBS_COURIER_H
#define MR_JOBS_COURIER_H

#include <stdatomic.h>

#include "proto/buffer.h"
#include "proto/status.h"
#include "runtime/clock.h"

enum { MR_CALL_ANSWER = 65536, MR_CALL_HEAD = 65536, MR_CALL_ERROR = 160, MR_CALL_CONNECT_MS = 10000 };

struct mr_courier;

enum mr_call_end {
    MR_CALL_ANSWERED,  /* there is a whole head of an answer */
    MR_CALL_NO_ANSWER, /* `error` says why; the receiver may have got the request */
    MR_CALL_FORBIDDEN, /* no address of the receiver's is public */
    MR_CALL_NOT_SENT   /* given back before any of it was sent (mr_courier_recall), or no memory */
};

/* A POST. Owned by whoever makes it; the courier's from mr_courier_send until mr_courier_take gives it back. */
struct mr_call {
    /* What is asked. */
    struct mr_buf url;     /* terminated; mr_webhook_is_url has been asked */
    struct mr_buf headers; /* lines "Name: value", each terminated */
    struct mr_buf body;
    int64_t timeout_ms; /* for all of it */

    /* What came of it. */
    enum mr_call_end end;
    int http;              /* status of an answer */
    int64_t retry_after_s; /* as the answer asks, a date made a duration; 0 or less: it does not */
    struct mr_buf answer;  /* its body, or how it begins */
    bool is_cut;           /* the body went on, or broke off */
    bool has_connected;    /* the receiver was there */
    int64_t took_us;
    char error[MR_CALL_ERROR]; /* tells nothing of the URL but the host */

    void *owner; /* for whoever made it */

    /* The courier's. */
    _Atomic bool unwanted;
    struct mr_call *next;
};

struct mr_courier_options {
    const struct mr_clock *clock;
    unsigned connections;       /* that are kept, also while idle */
    bool allow_private;         /* addresses that are not public are let through */
    const char *certificate;    /* file of the authorities that https is trusted by; "": the system's */
    const char *const *resolve; /* of tests: what names resolve to, as "host:port:address,address", ended by NULL; NULL: DNS */
};

/* Starts the thread. The options are read once. MR_NO_MEMORY: no memory, thread or descriptor to be had. */
mr_status mr_courier_start(struct mr_courier **out, const struct mr_courier_options *options) MR_WARN_UNUSED;

/*
 * Ends the thread, waits for that until `deadline_ms` (monotonic) at most, and frees the courier. Calls under way are broken off;
 * mr_courier_recall brings them back before. False: it still runs and nothing is freed. Accepts NULL.
 */
bool mr_courier_stop_by(struct mr_courier **self, int64_t deadline_ms) MR_WARN_UNUSED;

/* Sends a call. It comes back by mr_courier_take, whatever happens. */
void mr_courier_send(struct mr_courier *self, struct mr_call *call);

/* Breaks off a call that was sent and not taken yet: it comes back soon, with what is known by then. */
void mr_courier_drop(struct mr_courier *self, struct mr_call *call);

/*
 * Returns every call that has not been sent, now or later, as MR_CALL_NOT_SENT; with `all` also those under way, as
 * MR_CALL_NO_ANSWER. For the end of a process.
 */
void mr_courier_recall(struct mr_courier *self, bool all);

/* Readable while there is something to take. */
int mr_courier_fd(const struct mr_courier *self);

/* The calls that have ended since, linked by `next`; NULL: none. They are the caller's. */
struct mr_call *mr_courier_take(struct mr_courier *self);

/* Frees what a call holds. */
void mr_call_fini(struct mr_call *call);

#endif
