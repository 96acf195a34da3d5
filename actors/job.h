/*
 * job: the actors that do what no request waits for.
 *
 * Thread:  one for each row of proto/jobs.h; owns its mailbox and its database connection.
 * Input:   run_due, a prompt: the actor takes due runs of its job, as many as there are.
 * Promise: a run is worked on in chunks, one transaction each, which also moves the run's progress and proves that the run
 *          is still ours. What a chunk has committed is never done again; what it has not, whoever has the run does. When
 *          the actor is asked to stop, the chunk in hand is the last, and the run goes back without counting as an attempt.
 */
#ifndef MR_ACTORS_JOB_H
#define MR_ACTORS_JOB_H

#include "proto/jobs.h"
#include "runtime/actor.h"

extern const struct mr_actor_spec mr_job_spec;

/* Whether runs of the job are worked on at all; `noop` has to be switched on. */
bool mr_job_is_on(enum mr_job job, const struct mr_config *config);

/* A run in its actor's hands. */
struct mr_run {
    uint8_t id[16];
    int64_t claim; /* every write shows it */
    int64_t attempt;
    int64_t waited_ms;  /* from when it could have started */
    int64_t started_ms; /* monotonic; this attempt */
    bool is_tick;
    int64_t scheduled_for; /* of a tick: microseconds since 1970 */
    uint8_t owner[16];     /* of an upload */
    char traceparent[56];  /* "" when there is none */
    struct mr_buf args;    /* JSON, terminated */

    /* As the row has it, when a chunk begins. */
    int64_t phase;
    int64_t done;
    struct mr_buf cursor; /* terminated; "" at the beginning of a phase */
    struct mr_buf result; /* JSON, terminated */

    int64_t chunk_rows; /* how many rows the next chunk may take */
};

/* What a chunk has come to. A zeroed struct: nothing, and the run is finished. */
struct mr_chunk {
    int64_t rows;         /* how many it has handled */
    int64_t phase;        /* what the next one is in, */
    struct mr_buf cursor; /* and where it goes on; empty: at the beginning */
    bool more;            /* there is a next one */
    const char *counter;  /* member of the result that counts the rows; NULL: none */
    struct mr_buf result; /* JSON object with members of the result to set; empty: none */
};

/* What does a chunk of a job whose work is CODE. What it returns fails the run, unless the connection was lost. */
struct mr_job_code {
    mr_status (*chunk)(struct mr_actor *self, const struct mr_run *run, struct mr_chunk *out);
    bool alone; /* not in a transaction: the chunk may then be done again */
};

extern const struct mr_job_code mr_job_import;      /* import.c */
extern const struct mr_job_code mr_job_maintenance; /* maintenance.c */

/*
 * Runs a statement with the parameters in `self->params`, which are not ended yet, inside the chunk's transaction. MR_OK:
 * `out` is the caller's to free.
 */
mr_status mr_job_query(struct mr_actor *self, const char *statement, mr_rows **out) MR_WARN_UNUSED;

#endif
