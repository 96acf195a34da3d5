/*
 * internal: what the files of the scheduler share. One thread uses all of it.
 */
#ifndef MR_SCHEDULER_INTERNAL_H
#define MR_SCHEDULER_INTERNAL_H

#include <stdatomic.h>

#include "runtime/backoff.h"
#include "runtime/mailbox.h"
#include "runtime/queues.h"
#include "scheduler/schedule.h"
#include "scheduler/scheduler.h"

/*
 * A scheduler that has not renewed its hold for 60 s (sql/queries/run.sql) counts as gone. A start waits that long for one that
 * was killed, or that is stopped once its successor is healthy.
 */
enum { MR_HOLD_KEEP_MS = 20000, MR_HOLD_LOOK_MS = 2000, MR_HOLD_PATIENCE_MS = 75000 };

/*
 * A run without a heartbeat for this long is put back. An upload without one is broken: the gateway sends a heartbeat every 10 s,
 * which can wait behind a statement for the deadline of a request, and a broken upload must be gone within a minute.
 */
enum { MR_RUN_SILENT_MS = 30000, MR_UPLOAD_SILENT_MS = 40000 };

/* What the scheduler asks of the database. Each fails, and is tried again, by itself; a tick is that of one job. */
enum step {
    STEP_SYNC,
    STEP_HOLD,
    STEP_POLL,
    STEP_BEAT,
    STEP_RESCUE,
    STEP_UPLOADS,
    STEP_KINDS,
    STEP_KIND_TICKS,
    STEP_SWEEP,
    STEP_OUTGROWN,
    STEP_COUNT_WAITING,
    STEP_QUEUES,
    STEP_TICK,
    STEP_COUNT = STEP_TICK + MR_JOBS_MAX
};

struct trouble {
    struct mr_backoff backoff;
    unsigned failures; /* since the last success */
};

/* A worker has one prompt at a time. */
struct worker {
    uint64_t prompt;  /* the correlation id of the one that it has not answered; 0: it is idle */
    enum mr_job job;  /* of that, */
    int64_t since_ms; /* and when it was sent */
};

/* What there is to do of a job. */
struct demand {
    bool is_wanted;            /* a run may be due, and no worker has been told since that was seen */
    int64_t served_ms;         /* when a worker was told last; who has waited longest is next */
    struct mr_backoff backoff; /* runs of it could not be taken */
};

/* A kind of push or pull with a schedule, as its row was seen last. */
struct followed {
    char *name;
    char *expression;
    char *zone_name;
    struct mr_zone *zone;        /* NULL: there is none of that name */
    struct mr_schedule schedule; /* without its job and text */
    struct mr_backoff backoff;   /* its ticks could not be queued */
    bool is_good;                /* the expression and the zone can be followed */
    bool is_paused;
    bool is_told;  /* the table knows its next tick */
    bool is_there; /* in the look that is taken now */
};

struct mr_scheduler {
    const struct mr_scheduler_options *options;
    const struct mr_config *config;
    const struct mr_clock *clock;
    struct mr_schedule schedules[MR_JOBS_MAX];
    unsigned schedule_count;
    _Atomic bool refused;
    _Atomic bool connected;
    _Atomic bool awake; /* connected, and not resting */
    _Atomic int64_t turned_ms;
    _Atomic(const char *) trouble;

    /* The thread's own. */
    mr_thread *thread;
    mr_mailbox *mailbox;
    mr_db *db;
    const struct mr_statement **statements;
    struct mr_params params;
    struct mr_buf payload;
    struct mr_buf frame;
    struct trouble troubles[STEP_COUNT];
    bool was_up;
    bool synced;                   /* the table of jobs knows our schedules */
    bool waits;                    /* for another scheduler to go, whose schedules differ */
    bool has_unfinished;           /* there are runs that are not; or nobody has looked yet */
    bool looking;                  /* woken from a rest only to see whether somebody was killed */
    bool clock_differs;            /* from the database's, and the log says so */
    bool catching_up;              /* ticks are long overdue, and it is known which of them others have handled */
    bool resting;                  /* the connection was closed because there was no work */
    int64_t up_since_ms;           /* monotonic, as all below unless they say otherwise */
    int64_t answered_ms;           /* when the database did, last */
    int64_t busy_ms;               /* when there was something to do, last */
    int64_t poll_ms;               /* when to look next */
    int64_t beat_ms;               /* when to beat next */
    int64_t hold_ms;               /* when to say next that we are there */
    int64_t look_ms;               /* while resting: when to look whether another was killed */
    int64_t waits_since_ms;        /* while `waits` */
    int64_t uploads_ms;            /* when to look for broken uploads next, */
    uint8_t uploads_after[16];     /* and behind which one */
    int64_t outgrown_ms;           /* when to look next for tables that have outgrown their statistics */
    int64_t count_ms;              /* when to count next what waits */
    int64_t wall_ms;               /* wall clock: as it was in the last round */
    int64_t looked_for_resumed_ms; /* wall clock: when schedules of paused jobs were looked at */
    struct followed *followed;     /* owned */
    unsigned followed_count;
    struct look *queues;                   /* owned: what was seen last of push and pull; NULL: nothing yet */
    int64_t sweep_ms;                      /* when to look next which runs of push and pull are due, or were left */
    int64_t waiting_until_ms;              /* when one of these will be, as far as is known; INT64_MAX: none waits */
    struct worker workers[MR_WORKERS_MAX]; /* as the options' actors */
    struct demand demands[MR_JOBS_MAX];
    uint64_t prompts; /* that were sent */
    char holder[128]; /* this process, as others see it in the table of jobs */
};

/* query.c */

/* Monotonic time of the scheduler's clock, in milliseconds. */
int64_t scheduler_now_ms(const struct mr_scheduler *self);

/*
 * Runs a statement with `self->params`, which are not ended yet. MR_OK: `out` is the caller's to free. A failure is logged at
 * the pace of the step's backoff, with the number of those before it.
 */
mr_status scheduler_query(struct mr_scheduler *self, enum step step, const char *statement, mr_rows **out) MR_WARN_UNUSED;

/* As scheduler_query, but its rows say whether the step succeeded: the caller calls scheduler_succeeded or scheduler_held. */
mr_status scheduler_ask(struct mr_scheduler *self, enum step step, const char *statement, mr_rows **out) MR_WARN_UNUSED;

/* Ends the backoff of a step that failed, and logs that it did if it failed more than once. */
void scheduler_succeeded(struct mr_scheduler *self, enum step step, const char *statement);

/*
 * Notes that a step has to wait for rows that somebody else holds; returns MR_OVERLOADED. Logged as a failure from the second
 * time in a row on.
 */
mr_status scheduler_held(struct mr_scheduler *self, enum step step, const char *statement, const char *reason);

/* How long the step has to wait after a failure, in milliseconds; 0: not at all. */
int64_t scheduler_pause_ms(const struct mr_scheduler *self, enum step step);

/* How long the longest-failing step has failed, in milliseconds; 0: all succeed. */
int64_t scheduler_failing_ms(const struct mr_scheduler *self);

/* holds.c */

/* Chooses the name by which other schedulers know this process. */
void holds_begin(struct mr_scheduler *self);

/* Binds the schedule that the present job should have, and the name of this process; "" for no schedule. */
void holds_bind(struct mr_scheduler *self, enum mr_job job, unsigned first_column);

/*
 * Whether the rows of schedule__sync say that another scheduler holds a different schedule. This one then waits for it, up to
 * MR_HOLD_PATIENCE_MS, and shuts down after that.
 */
bool holds_are_refused(struct mr_scheduler *self, const mr_rows *rows);

/* Renews this process's hold when that is due. Shuts the process down if somebody has replaced its schedules. */
void holds_keep(struct mr_scheduler *self);

/*
 * Says that it is not. `others_ms`: for how long another scheduler is taken to be there that says nothing more; 0: none is.
 * Waits `timeout_ms` at most.
 */
mr_status holds_let_go(struct mr_scheduler *self, int64_t timeout_ms, int64_t *others_ms) MR_WARN_UNUSED;

/* ticks.c */

/* The cron expression of a job; "": it is not scheduled. Borrowed. */
const char *ticks_expression(const struct mr_config *config, enum mr_job job);

/* The name of the zone in which the job's expression is read. Borrowed. */
const char *ticks_zone(const struct mr_config *config, enum mr_job job);

/* Writes the schedules into the table of jobs, and reads up to which tick each was handled. */
mr_status ticks_sync(struct mr_scheduler *self) MR_WARN_UNUSED;

/* Queues the runs of ticks that are due. */
void ticks_fire(struct mr_scheduler *self);

/* When the next tick is due (wall clock, milliseconds); INT64_MAX: never. */
int64_t ticks_next_ms(const struct mr_scheduler *self);

/* Milliseconds until ticks_fire has something to do; INT64_MAX: never. */
int64_t ticks_idle_ms(const struct mr_scheduler *self);

/* Counts and logs the ticks of a job that became runs, or that were given up. */
void ticks_note(const char *job, const struct mr_ticks *ticks, unsigned made);

/* follow.c */

/* Reads which kinds of push and pull have a schedule, and whether they are paused. */
void follow_poll(struct mr_scheduler *self);

/* Queues the runs of their ticks that are due. A paused kind misses its ticks. */
void follow_fire(struct mr_scheduler *self, int64_t wall_ms);

/* Adapts their next ticks after the wall clock was set back. */
void follow_the_clock_back(struct mr_scheduler *self, int64_t wall_ms);

/* When their next tick is due (wall clock, milliseconds); INT64_MAX: never. */
int64_t follow_next_ms(const struct mr_scheduler *self);

/* Once a second, or when it is due: makes ready the runs whose time has come, and ends the claims whose lease has expired. */
void follow_sweep(struct mr_scheduler *self);

/* Frees what is known of these kinds. */
void follow_end(struct mr_scheduler *self);

/* runs.c */

/* Runs of the job may be due: prompts the next idle worker to look for them, unless one works on that job. */
void runs_want(struct mr_scheduler *self, enum mr_job job);

/* Takes the workers' answers to prompts, and prompts idle workers for waiting jobs. */
void runs_give_out(struct mr_scheduler *self);

/* How long runs of some job could not be taken, in milliseconds; 0: runs of all jobs can. */
int64_t runs_failing_ms(const struct mr_scheduler *self);

/* Reads which jobs have a run that could start. */
void runs_poll(struct mr_scheduler *self);

/* Counts the waiting runs for the metrics. */
void runs_count(struct mr_scheduler *self);

/* Sends heartbeats for the runs of this process, also during a long statement. */
void runs_beat(struct mr_scheduler *self);

/* Puts back runs whose owner has been silent for too long. */
void runs_rescue(struct mr_scheduler *self);

/* queues.c */

/* Counts the waiting runs of push and pull by job, and their outcomes, for the metrics. */
void queues_count(struct mr_scheduler *self);

/* Frees the figures of the last count. */
void queues_end(struct mr_scheduler *self);

/* outgrown.c */

/* Gives new statistics to tables that have many more rows than theirs say. */
void outgrown_look(struct mr_scheduler *self);

/* uploads.c */

/* Deletes the remains of one upload that broke off without a word, because its API died or the database was away. */
void uploads_sweep(struct mr_scheduler *self);

#endif
