/*
 * job: the workers, which do the work that no request waits for.
 *
 * Thread:  JOB_WORKERS of them, whatever jobs there are; each owns its mailbox and its database connection.
 * Input:   run_due, a prompt that names a job: the worker takes due runs of that job, as many as there are, and answers when there is
 *          none left, or when another job waits for a worker (stats.is_wanted): the run at work then pauses after the chunk in hand, and
 *          resumes at its cursor with its next turn. An error: runs could not be taken.
 * Promise: a run is worked on in chunks, one transaction each, which also moves the run's progress and proves that the run
 *          is still ours. What a chunk has committed is never done again; what it has not, whoever has the run does. When
 *          the actor is asked to stop, the chunk in hand is the last, and the run goes back without counting as an attempt.
 */
#ifndef MR_ACTORS_JOB_H
#define MR_ACTORS_JOB_H

#include "proto/jobs.h"
#include "runtime/actor.h"

extern const struct mr_actor_spec mr_job_spec;

/* Whether this process works on runs of the job at all; `noop` has to be switched on. */
bool mr_job_is_on(enum mr_job job, const struct mr_config *config);

#endif
