/*
 * run_trace: the spans of runs. Every attempt is one: below the request that queued the run, or, of a tick, at the root of a
 * trace of its own.
 *
 * Thread: the actor's.
 */
#ifndef MR_ACTORS_RUN_TRACE_H
#define MR_ACTORS_RUN_TRACE_H

#include "jobs/run.h"

/* Begins the span of a run that was taken. */
void mr_run_trace_begin(struct mr_run *run);

/* Ends the span with the run's outcome, which is also the type of the error if the run failed. */
void mr_run_trace_end(const struct mr_actor *self, const struct mr_run *run, const char *outcome, bool failed);

/* Writes the run's traceparent for the log, terminated; "" if it belongs to no trace. */
void mr_run_trace_write(const struct mr_run *run, char out[MR_TRACEPARENT]);

#endif
