/*
 * work_internal: what the files of the actor `work` share. Each thread has its own.
 */
#ifndef MR_ACTORS_WORK_INTERNAL_H
#define MR_ACTORS_WORK_INTERNAL_H

#include "runtime/actor.h"

enum { WORK_JOBS = 256, WORK_JOB_NAME = 65 };

/* Where the turns of a job's keys have come to. */
struct turn_of_keys {
    char job[WORK_JOB_NAME]; /* "": free */
    int64_t used_ms;
    struct mr_buf key; /* the last that had a run claimed; `has_key`: there is one */
    bool has_key;
};

/* What the actor looks for without a request: see work_watch.c. All times are monotonic. */
struct watch {
    struct mr_buf jobs; /* literals of arrays: what clients wait for */
    struct mr_buf runs;
    int64_t believed_until_ms; /* 0: nobody waits */
    int64_t look_ms;           /* when to look next; 0: not before something happens */
    int64_t notified_ms;       /* when a wake came */
    unsigned looks;            /* after that one */
    int64_t sweep_ms;          /* when to sweep next; 0: nothing is known of that would be due */
    int64_t swept_ms;
};

struct work_own {
    struct turn_of_keys turns[WORK_JOBS];
    struct watch watch;
};

/* What this actor keeps for itself; borrowed, and freed with the actor. The actor's thread. */
static inline struct work_own *work_own(const struct mr_actor *self)
{
    return self->own;
}

/* ---- work_claim.c ---- */

/* Claims runs for a batch of workers, fairly among the keys of each job, and answers each. */
void work_on_claim(struct mr_actor *self, struct mr_message *const *messages, unsigned count);

/* Gives back runs that were claimed for a request whose client disconnected, and answers each message. */
void work_on_release(struct mr_actor *self, struct mr_message *const *messages, unsigned count);

/* ---- work_outcome.c ---- */

/* Records outcomes of runs, in one statement for all messages, and answers each. */
void work_on_outcomes(struct mr_actor *self, struct mr_message *const *messages, unsigned count);

/* ---- work_watch.c ---- */

/* Takes over what the gateway's waiting requests wait for; the last of several messages counts. Answers each. */
void work_on_watch(struct mr_actor *self, struct mr_message *const *messages, unsigned count);

/* Milliseconds until work_turn has something to do; -1: never. */
int64_t work_due_in_ms(const struct mr_actor *self);

/* Looks for what requests wait for, and sweeps what is due, each when its time has come. */
void work_turn(struct mr_actor *self);

/* The channel said that runs are ready: the next look is at once. */
void work_noticed(struct mr_actor *self);

/* Runs were handed out, or there were none (then a due run may not have been promoted yet). */
void work_note_claim(struct mr_actor *self, bool any);

/* Something may be ready. */
void work_look_soon(struct mr_actor *self);

/* Answers 401 to messages whose user is gone; MR_OK: the others may continue. On failure all have been answered. */
mr_status work_refuse_gone(struct mr_actor *self, const char *statement, struct mr_message *const *messages, unsigned count,
                           int64_t deadline_ms) MR_WARN_UNUSED;

#endif
