/*
 * run: works on a job's run, chunk by chunk.
 *
 * Thread: the actor's.
 */
#ifndef MR_ACTORS_RUN_H
#define MR_ACTORS_RUN_H

#include "jobs/skip.h"
#include "proto/jobs.h"
#include "runtime/actor.h"
#include "runtime/span.h"

enum { MR_RUN_ERROR = 160 };

/* A run in its actor's hands. */
struct mr_run {
    uint8_t id[16];
    int64_t claim; /* every write shows it */
    int64_t attempt;
    int64_t waited_ms;  /* from when it could have started */
    int64_t started_ms; /* monotonic; this attempt */
    bool is_tick;
    int64_t scheduled_for;            /* of a tick: microseconds since 1970 */
    uint8_t owner[16];                /* of an upload */
    char traceparent[MR_TRACEPARENT]; /* of the request that queued it, "" when there is none */
    struct mr_context context;        /* of this attempt, which is a span below that request's, or at the root */
    int64_t started_us;               /* monotonic */
    struct mr_buf args;               /* JSON, terminated */

    /* As the row has it, when a chunk begins. */
    int64_t phase;
    int64_t done;
    struct mr_buf cursor; /* terminated; "" at the beginning of a phase */
    struct mr_buf result; /* JSON, terminated */

    int64_t turn_ms;          /* monotonic; when its turn began, among the users' */
    int64_t chunk_rows;       /* how many rows the next chunk may take */
    int64_t chunk_ms;         /* what the work of the last one took */
    char error[MR_RUN_ERROR]; /* why the last one could not be done; "": the database says */
    struct mr_skip skip;
};

/* What a chunk has come to. A zeroed struct: nothing, and the run is finished. */
struct mr_chunk {
    int64_t rows;         /* how many it has handled */
    int64_t phase;        /* what the next one is in, */
    struct mr_buf cursor; /* where it resumes; empty: at the beginning */
    bool more;            /* there is a next one */
    const char *counter;  /* member of the result that counts the rows; NULL: none */
    struct mr_buf
        unit; /* with run->skip.now: the id of the unit that was left out; empty: the result names it, or there was none */
    const char *of;           /* what kind of unit that is; static */
    struct mr_buf result;     /* JSON object with members of the result to set; empty: none */
    char error[MR_RUN_ERROR]; /* where it fails for what is no error of the database: why, for the run's row */
};

/*
 * What does a chunk of a job whose work is CODE. What it returns fails the run, unless the connection was lost, or the database
 * refuses a unit: that one comes again with run->skip.now, to be passed without being touched.
 */
struct mr_job_code {
    mr_status (*chunk)(struct mr_actor *self, const struct mr_run *run, struct mr_chunk *out);
    bool outside_transaction; /* the chunk may be done again after a crash */
    bool one_unit;            /* a chunk is one unit, whatever run->chunk_rows says */
    bool is_input;            /* units come from outside: see struct mr_skip */
};

extern const struct mr_job_code mr_job_import;      /* import.c */
extern const struct mr_job_code mr_job_maintenance; /* maintenance.c */

/* The function mr_job_<name> of a job that is C code; NULL: the job is SQL. */
const struct mr_job_code *mr_job_code_of(enum mr_job job);

/*
 * Runs a statement with the parameters in `self->params`, which are not ended yet, inside the chunk's transaction. MR_OK:
 * `out` is the caller's to free.
 */
mr_status mr_job_query(struct mr_actor *self, const char *statement, mr_rows **out) MR_WARN_UNUSED;

/* Runs SQL without parameters and rows, such as BEGIN. */
mr_status mr_job_exec(struct mr_actor *self, const char *sql) MR_WARN_UNUSED;

/* Replaces the contents of `out` by a text column of a row, terminated; "" if the column is NULL. */
void mr_job_take_text(struct mr_buf *out, const mr_rows *rows, unsigned row, unsigned column);

/* The job that the worker is working on. */
enum mr_job mr_job_of(const struct mr_actor *self);

/* Waits until the connection is restored. False: the actor has to stop, or the server refuses the user or password. */
bool mr_job_come_back(struct mr_actor *self);

/* Notes for the health check that the database, although connected, has refused the run's statements since `since_ms` (monotonic). */
void mr_job_note_refused(struct mr_actor *self, int64_t since_ms);

/* Notes that the database answered the run's statement, which ends what mr_job_note_refused began. */
void mr_job_note_answer(struct mr_actor *self);

/* Reads row `row` of run_due__claim into `out`. mr_run_fini frees what it holds. */
void mr_run_take(struct mr_run *out, const struct mr_actor *self, const mr_rows *rows, unsigned row);

/* Frees what the run holds, not the struct itself. A zeroed struct is fine. */
void mr_run_fini(struct mr_run *self);

/*
 * Works on a run until it ends, until it is another run's turn, or until the actor has to stop and gives the run back. False:
 * there is no time for another run.
 */
bool mr_run_work(struct mr_actor *self, struct mr_run *run);

/*
 * Stores how `count` runs ended ("succeeded", "failed", "cancelled", or "queued" for a run that is given back) and logs it.
 * Retries until the update commits, so that no run stays at work because the connection broke at its end. `error` goes into the
 * row, `reason` into the log; either may be NULL.
 */
void mr_run_end(struct mr_actor *self, const struct mr_run *runs, unsigned count, const char *state, const char *error,
                const char *reason);

#endif
