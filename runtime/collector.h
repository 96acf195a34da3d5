/*
 * collector: sends spans to an OTLP collector over HTTP, with libcurl.
 *
 * The collector may be away, slow, full, or send endless nonsense: every request has a time limit, and only a few kilobytes of an
 * answer are read. Proxies, .netrc and redirections are ignored: the settings alone say where spans go.
 *
 * Thread: its owner's.
 */
#ifndef MR_RUNTIME_COLLECTOR_H
#define MR_RUNTIME_COLLECTOR_H

#include "runtime/config.h"
#include "runtime/thread.h"

struct mr_collector;

enum mr_delivery {
    MR_DELIVERED, /* taken, except for `rejected` */
    MR_DELAYED,   /* not now: to be tried again */
    MR_REFUSED    /* not these: trying again would not help */
};

struct mr_receipt {
    enum mr_delivery delivery;
    int64_t rejected;       /* of what was delivered, spans that the collector says it left out */
    int64_t retry_after_ms; /* of MR_DELAYED: as the collector asks; 0: it does not */
    char reason[256];       /* why not everything was taken, for the log; "" */
};

/* Makes a sender of spans; the caller destroys it. The settings have to be valid. NULL: no memory. */
struct mr_collector *mr_collector_new(const struct mr_config *config);

/* Closes its connections, frees it and sets the caller's pointer to NULL. Accepts NULL. */
void mr_collector_destroy(struct mr_collector **self);

/*
 * Sends a request body. Waits OTEL_EXPORTER_OTLP_TIMEOUT at most, and `flush_ms` once `thread` is asked to end.
 */
void mr_collector_send(struct mr_collector *self, struct mr_slice body, mr_thread *thread, int64_t flush_ms,
                       struct mr_receipt *out);

/* Whether text is an http or https URL with a host, and without user, query or fragment. */
bool mr_collector_is_url(const char *text, struct mr_buf *reason);

/* Whether text is a list of headers, as OTEL_EXPORTER_OTLP_HEADERS takes them. */
bool mr_collector_are_headers(const char *text, struct mr_buf *reason);

#endif
