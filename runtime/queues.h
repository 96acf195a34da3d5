/*
 * queues: what a scheduler saw last of the runs of push and pull, by job, for whoever exports it.
 *
 * A scheduler reads it from the database now and then (schedule__queues); exporting it asks nobody. There are as many rows as jobs, but at
 * most MR_QUEUES_MAX with a name of their own, so that labels stay few; the others are added up.
 *
 * Thread: any. Both functions hold one lock for as long as a copy takes.
 */
#ifndef MR_RUNTIME_QUEUES_H
#define MR_RUNTIME_QUEUES_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/status.h"

enum { MR_QUEUES_MAX = 256, MR_QUEUE_NAME = 64 };

/* Where a run stands that waits or is dead. */
enum mr_queue_state { MR_QUEUE_READY, MR_QUEUE_LATER, MR_QUEUE_LEASED, MR_QUEUE_DEAD, MR_QUEUE_STATES };

/* What comes of attempts; `failed` counts the last ones of dead runs, too. */
enum mr_queue_outcome { MR_QUEUE_SUCCEEDED, MR_QUEUE_FAILED, MR_QUEUE_DIED, MR_QUEUE_CANCELLED, MR_QUEUE_OUTCOMES };

struct mr_queue {
    char name[MR_QUEUE_NAME];             /* of the job; "": of all that have no row of their own */
    uint64_t runs[MR_QUEUE_STATES];       /* ten thousand at most are counted */
    uint64_t oldest_ms;                   /* for how long the oldest run that is ready has waited */
    uint64_t paused;                      /* how many of these jobs are */
    uint64_t outcomes[MR_QUEUE_OUTCOMES]; /* since this process began to look */
};

/* Replaces the shown figures by a copy of these. MR_NO_MEMORY: the earlier ones stay. Any thread. */
mr_status mr_queues_show(const struct mr_queue *queues, unsigned count) MR_WARN_UNUSED;

/*
 * Returns a copy of the shown figures, `*count` of them, for the caller to free(). NULL: none are shown, or there is no memory.
 * Any thread.
 */
struct mr_queue *mr_queues_copy(unsigned *count);

#endif
