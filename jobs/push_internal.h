/*
 * push_internal: what the files of push share.
 *
 *   push.c        the loop, the connection, start and end
 *   push_kinds.c  jobs and receivers, and how many calls each may have
 *   push_claim.c  from a run that is ready to a call
 *   push_settle.c from the end of a call to the run's outcome
 *   push_trace.c  the spans of calls
 *
 * Thread: push's own.
 */
#ifndef MR_JOBS_PUSH_INTERNAL_H
#define MR_JOBS_PUSH_INTERNAL_H

#include "jobs/courier.h"
#include "jobs/push.h"
#include "jobs/push_verdict.h"
#include "runtime/backoff.h"
#include "runtime/db.h"
#include "runtime/span.h"
#include "runtime/thread.h"

enum {
    PUSH_STATEMENT_MS = 10000,
    PUSH_CLAIM_MOST = 100,  /* runs of a kind in one statement */
    PUSH_KINDS_MOST = 256,  /* kinds in one statement */
    PUSH_SETTLE_MOST = 500, /* outcomes in one statement */
    PUSH_LEASE_MS = 30000,  /* how soon somebody else has the run when this process is gone */
    PUSH_BEAT_MS = 2000,    /* between two looks at the leases */
    PUSH_RENEW_MS = 26000,  /* a lease that ends sooner is renewed, which also tells whether its run is to be cancelled */
    PUSH_POLL_MS = 1000,
    PUSH_REST_MOST_MS = 60000, /* of a job whose receiver asked for a rest */
    PUSH_TELL_LEAST_MS = 10000,
    PUSH_TELL_MOST_MS = 300000
};

/* A receiver: all that is sent to one scheme, host and port. */
struct push_host {
    char *origin;
    unsigned in_flight;
    unsigned window; /* calls it may have: fewer after each that it left without an answer, more after each that it answered */
    unsigned users;  /* kinds */
    bool is_held;    /* fewer calls than it may have; for the metrics */
    unsigned ready;  /* of them, those that have runs to be claimed now; for the statement at hand */
};

/* A job, as it was seen last. */
struct push_kind {
    char *name;
    struct push_host *host; /* NULL: its URL is none */
    struct mr_buf url;      /* terminated */
    struct mr_buf secrets;  /* terminated; wiped when they change */
    int64_t timeout_ms;
    struct mr_buf after_key; /* of the last run that was claimed; terminated */
    bool has_more;           /* more runs than were claimed wait for room */
    bool is_limited;         /* runs that were not claimed may wait for one of the job's to end */
    unsigned asked;          /* runs that the statement at hand may still claim */
    unsigned in_hand;
    int64_t rest_until_ms; /* the receiver asked for a rest; monotonic */
    int64_t seen_ms;

    /* Lines of the log about failures: at a growing pace. */
    int64_t tell_ms; /* monotonic: not before then */
    int64_t tell_pause_ms;
    int64_t untold;
};

/* A run in our hands. */
struct errand {
    struct mr_call call;
    struct push_kind *kind;
    struct push_host *host; /* of the call; NULL: nothing was sent */
    uint8_t id[16];
    int64_t claim;
    int64_t attempt;
    int64_t begun_us; /* monotonic */
    int64_t begun_wall_us;
    int64_t until_ms;                 /* monotonic: the lease holds about so long */
    char traceparent[MR_TRACEPARENT]; /* of this attempt, for the receiver and the log; "": there is no trace */
    char parent[MR_TRACEPARENT];      /* of the request that queued the run */
    struct mr_context context;
    bool is_lost;      /* somebody else has it: no outcome is stored */
    bool is_cancelled; /* on request */
    bool is_plain;     /* what the receiver said is left out: the database did not take it */
    bool is_settled;
    struct mr_push_verdict verdict;
    struct errand *previous;
    struct errand *next;
};

struct errands {
    struct errand *first;
    unsigned count;
};

struct mr_push {
    struct mr_push_options options;
    const struct mr_config *config;
    const struct mr_clock *clock;
    char worker[128];
    mr_thread *thread; /* the owner's to know */
    mr_thread *inside;
    struct mr_courier *courier;
    mr_db *db;
    const struct mr_statement **statements;
    struct mr_params params;
    struct mr_buf body; /* room for what is being made */
    struct mr_buf text;
    _Atomic bool refused;

    struct push_kind **kinds; /* by name */
    unsigned kind_count;
    unsigned kind_room;
    struct push_host **hosts;
    unsigned host_count;
    unsigned host_room;
    unsigned turn; /* which of the kinds that are ready comes first */
    bool is_freed; /* a run of a job with limits has ended, so that another may be claimed */

    struct errands sent; /* at the courier's */
    struct errands done; /* to be told */
    unsigned in_hand;    /* both */

    uint64_t serial;     /* of the connection that was disowned on */
    int64_t wake_ms;     /* monotonic: when somebody said that there is work, */
    unsigned wake_looks; /* and how many looks at it were taken */
    int64_t poll_ms;
    int64_t sweep_ms;
    int64_t next_due_ms; /* when something becomes due, as of the last sweep; INT64_MAX: nothing waits */
    int64_t beat_ms;
    int64_t busy_ms;       /* the last time there was something to do */
    int64_t rest_until_ms; /* while `is_resting` */
    bool is_resting;
    struct mr_backoff claiming;
    struct mr_backoff settling;

    bool was_up;
    bool is_stopping;
    bool is_cut;     /* what was under way has been called back */
    int64_t stop_ms; /* monotonic: what is under way then is broken off */
};

/* ---- push.c ---- */

/* Monotonic time of the actor's clock, in milliseconds. */
int64_t push_now_ms(const struct mr_push *self);

/* Runs a statement with the parameters begun in the actor. MR_OK: the caller frees `out` with mr_rows_free. */
mr_status push_run(struct mr_push *self, const char *statement, mr_rows **out) MR_WARN_UNUSED;

/* Notes and logs a failed statement, at most as often as its backoff lets it run. */
void push_note_failure(struct mr_push *self, struct mr_backoff *backoff, const char *statement, mr_status status);

/* Inserts an errand at the front of a list. The list borrows it; it may be in no other. */
void push_errands_add(struct errands *self, struct errand *errand);

/* Removes an errand from its list without freeing it. */
void push_errands_remove(struct errands *self, struct errand *errand);

/* ---- push_kinds.c ---- */

/* The kind of that name, made or updated with what the database says now. Borrowed. NULL: no memory. */
struct push_kind *push_kind_seen(struct mr_push *self, const char *name, const char *url, const char *secrets,
                                 int64_t timeout_ms);

/* How many runs the kind may claim now; 0 while it pauses. `reserved`: the room that others have taken in the same statement. */
unsigned push_kind_room(const struct mr_push *self, const struct push_kind *kind, unsigned reserved);

/* Whether some kind has waiting runs and room for them. */
bool push_kinds_have_work(const struct mr_push *self);

/* Notes that a call to the host ended, with or without an answer. */
void push_host_note(const struct mr_push *self, struct push_host *host, bool has_answered);

/* How many receivers get fewer calls than they may have, because they left calls unanswered or asked for a pause. */
unsigned push_hosts_held_back(const struct mr_push *self);

/* Frees kinds that the database has not named for long, and receivers that no kind uses any more. */
void push_kinds_prune(struct mr_push *self);

/* Frees all kinds and receivers. Nothing may be under way. */
void push_kinds_fini(struct mr_push *self);

/* Whether to log a failure of this kind now. Sets `untold` to the number of failures suppressed since the last line. */
bool push_kind_tells(struct push_kind *kind, int64_t now_ms, int64_t *untold);

/* ---- push_claim.c ---- */

/* Claims as many runs as there is room for, and hands them to the courier. */
void push_look(struct mr_push *self);

/* ---- push_trace.c ---- */

/* Begins the span of an attempt, if spans are recorded: the errand's traceparent becomes that of a child of the run's. */
void push_trace_begin(struct errand *errand);

/* Ends the span of the attempt. */
void push_trace_end(const struct mr_push *self, const struct errand *errand);

/* ---- push_settle.c ---- */

/* Takes the calls that have ended from the courier. */
void push_take_calls(struct mr_push *self);

/* Ends an errand, whose call has ended or was never made. Its verdict has to be stored next. */
void push_end(struct mr_push *self, struct errand *errand);

/* Stores the known outcomes. False: some could not be stored yet. */
bool push_settle(struct mr_push *self);

/* Renews the leases that would end soon. */
void push_beat(struct mr_push *self);

/* Gives back the runs that were claimed for this process while the connection broke. */
void push_disown(struct mr_push *self);

/* Frees an errand, which may be in no list. It must not be NULL. */
void push_errand_destroy(struct errand *errand);

#endif
