/*
 * run_trace: the spans of runs. Every attempt is one: below the request that queued the run, or, of a tick, at the root of a
 * trace of its own.
 *
 * Thread: the actor's.
 */
#ifndef MR_ACTORS_RUN_TRACE_H
#define MR_ACTORS_RUN_TRACE_H

#include "jobs/run.h"

/* A run was taken. */
void mr_run_trace_begin(struct mr_run *run);

/* It came to `outcome`; when it failed, that is the type of the error. */
void mr_run_trace_end(const struct mr_actor *self, const struct mr_run *run, const char *outcome, bool failed);

/* Its traceparent, for the log; "" when it belongs to no trace. */
void mr_run_trace_write(const struct mr_run *run, char out[MR_TRACEPARENT]);

#endif
