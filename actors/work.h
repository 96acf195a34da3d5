/*
 * work: hands out runs to workers, records outcomes, and looks for what waiting requests wait for.
 *
 * Thread:  two, each with a mailbox and a database connection: claims, and what is looked for unasked; and in the slow lane
 *          outcomes, whose results may be large.
 * Input:   the ops whose actor column says WORK; the channel `millrace_ready`; time.
 * Promise: claims of one job share a statement, in the order of their arrival, and the keys of the job take turns from one
 *          statement to the next. A run that is due, or whose lease ran out, is found within a second while anybody waits or anything
 *          is leased here; otherwise nothing is asked.
 */
#ifndef MR_ACTORS_WORK_H
#define MR_ACTORS_WORK_H

struct mr_actor_spec;
extern const struct mr_actor_spec mr_work_spec;

#endif
