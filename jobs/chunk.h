/*
 * chunk: one step of a run: a transaction that does the next rows and moves the run's progress, whatever its job does.
 *
 * Thread: the actor's.
 */
#ifndef MR_JOBS_CHUNK_H
#define MR_JOBS_CHUNK_H

#include "jobs/run.h"

/* Fewer rows than that are no smaller burden: a statement that takes too long with them is in other trouble. */
enum { MR_CHUNK_ROWS_LEAST = 10 };

/* What becomes of the run after a chunk. */
enum mr_turn {
    MR_TURN_NEXT,      /* there is another */
    MR_TURN_DONE,      /* that was the last */
    MR_TURN_CANCELLED, /* somebody has asked for that */
    MR_TURN_LOST,      /* the run is not ours any more */
    MR_TURN_FAILED     /* see the error of the connection */
};

/*
 * Does the next chunk of the run. `pause_ms`: how long it is to rest before the one that follows. MR_TURN_FAILED: `failure` says why,
 * the transaction is still open, and where the database refused it the connection has the error.
 */
enum mr_turn mr_run_turn(struct mr_actor *self, struct mr_run *run, int64_t *pause_ms, mr_status *failure);

#endif
