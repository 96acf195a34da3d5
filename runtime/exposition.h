/*
 * exposition: writes the figures of runtime/metrics.h in Prometheus's formats.
 *
 * Text 0.0.4, or OpenMetrics 1.0 for clients that ask for it. Figures of mailboxes and of the process, which nothing counts, are
 * read while the text is written.
 *
 * Thread: any, for as long as the actors stay.
 */
#ifndef MR_RUNTIME_EXPOSITION_H
#define MR_RUNTIME_EXPOSITION_H

#include "runtime/actor.h"

#define MR_EXPOSITION_TEXT        "text/plain; version=0.0.4; charset=utf-8"
#define MR_EXPOSITION_OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* A group of actors; borrowed. */
struct mr_exposed_crew {
    struct mr_actor *const *actors;
    unsigned count;
};

struct mr_exposition {
    const struct mr_clock *clock;
    struct mr_exposed_crew crews[2]; /* of requests, of jobs */
    const bool *jobs_on;             /* whether runs of a job are worked on, by its number; borrowed. NULL: of none */
    bool has_scheduler;
    bool is_scheduler_connected; /* to the database, or closed because there was no work */
    int64_t started_ms;          /* monotonic: when the process began */
    const char *version;
    const char *revision;
};

/* Appends every metric family that this process's role has. */
void mr_exposition_write(struct mr_buf *out, const struct mr_exposition *facts, bool open_metrics);

#endif
