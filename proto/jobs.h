/*
 * jobs: THE TABLE OF JOBS. Every background job of Millrace is one row here.
 *
 * Workers, "job/0" to "job/<JOB_WORKERS - 1>", take the runs of whichever job they are prompted for, and work on them in chunks. What
 * a chunk does is SQL, the statements `<name>__<what>` in sql/queries/, in the order they stand there (mr_job_does); or CODE, a
 * function in jobs/. docs/adding-a-job.md walks through it.
 */
#ifndef MR_PROTO_JOBS_H
#define MR_PROTO_JOBS_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/buffer.h"

/* clang-format off */
#define MR_JOBS(JOB)                                                                                                           \
    /*  name         cron setting                      at once exclusive started by work  pace    what it does */                  \
    JOB(cleanup,     "SCHEDULE_TASK_CLEANUP_CRON",     1,      true,  ADMIN,     SQL,  POLITE, "deletes what is over")                \
    JOB(maintenance, "SCHEDULE_TASK_MAINTENANCE_CRON", 1,      true,  ADMIN,     CODE, POLITE, "vacuums all tables")                  \
    JOB(import,      NULL,                             1,      false, USER,      CODE, POLITE, "makes rows of an upload")             \
    JOB(removal,     NULL,                             1,      false, ADMIN,     SQL,  POLITE, "deletes what a removed user leaves")  \
    JOB(housekeeping,NULL,                             1,      true,  ADMIN,     SQL,  POLITE, "deletes what the engine leaves")      \
    JOB(bulk,        NULL,                             1,      false, ADMIN,     SQL,  PROMPT, "retries, cancels or deletes many runs") \
    JOB(noop,        NULL,                             4000,   false, ADMIN,     SQL,  POLITE, "nothing, to be measured")
/* clang-format on */

/* Jobs of statements and code there may be in all, those of an application included. */
enum { MR_JOBS_MAX = 256 };

/* Jobs of an application, also of those whose work is push or pull. */
enum { MR_KINDS_MAX = 1000 };

enum mr_job {
#define JOB(name, cron, at_once, exclusive, starter, work, pace, about) MR_JOB_##name,
    MR_JOBS(JOB)
#undef JOB
        MR_JOB_COUNT /* those of an application follow: mr_jobs_install */
};

/* Who starts runs of a job, beside its schedule: an administrator, or a user by an operation of its own. */
enum mr_job_starter { MR_STARTED_BY_ADMIN, MR_STARTED_BY_USER };

/* How chunks follow each other: as if nobody waited for the job, or as somebody does. */
enum mr_job_pace { MR_PACE_POLITE, MR_PACE_PROMPT };

struct mr_job_info {
    const char *name;
    const char *cron; /* name of the setting that says when; NULL: it has no schedule */
    unsigned at_once; /* runs that are taken, and finished, together; more than 1 only where no chunk can fail by itself */
    bool exclusive;   /* one run at a time, in all processes */
    enum mr_job_starter starter;
    enum mr_job_pace pace;
    bool by_code;      /* a C function does a chunk, not statements */
    const char *about; /* one line for the documentation */

    /* Of an application's. */
    const struct mr_job_statement
        *statements;      /* in their order, ended by a NULL name; NULL: those that begin with the job's name */
    const char *schedule; /* cron expression; NULL: as the setting says, if there is one */
    const char *timezone; /* of the schedule; NULL: SCHEDULE_TIMEZONE */
    const char *missed;   /* "once", "skip" or "all"; NULL: SCHEDULE_MISSED */
    const char *args;     /* JSON object of what a run has that says nothing else; NULL: nothing. Of an addition, too */

    /* Of the engine's. */
    bool takes_more;         /* an application may add statements */
    const char *const *also; /* statements of other jobs that it runs: how their names begin, ended by NULL; NULL: none */
    const struct mr_job_statement *added; /* what an application does in the same runs, ended by a NULL name; NULL: nothing */
    const char *added_behind;             /* the statement that goes before them; NULL: they are the first */
    const char *rules; /* of the arguments that they read, as the column millrace.job.args; NULL: they read none */
};

/* A statement of a job. One in chunks has {{chunk}} and returns the cursor of the next; any other runs once, and its rows are counted. */
struct mr_job_statement {
    const char *name;
    bool in_chunks;
    const char *table; /* as SQL has it: the statement runs where that is a table, and not where it is a view; NULL: anywhere */
};

/* What an application adds to a job of the engine's. */
struct mr_job_addition {
    enum mr_job job;
    const struct mr_job_statement *statements; /* ended by a NULL name */
    const char *args;                          /* as a job's */
    const char *rules;                         /* as a job's */
};

/* What a job of push or pull is that says nothing else. */
enum { MR_KIND_ATTEMPTS = 10, MR_KIND_RETRY_FIRST_MS = 2000, MR_KIND_RETRY_MOST_MS = 3600000, MR_KIND_TIMEOUT_MS = 30000 };

/* A job of an application as the table of jobs is to have it, whoever does its work. */
struct mr_job_kind {
    const char *name;
    const char *columns; /* JSON object: columns of millrace.job by their names. It may hold secrets */
};

/* Makes these the kinds of jobs of this process. Borrows `kinds` until the process ends. Call it before other threads exist. */
void mr_job_kinds_install(const struct mr_job_kind *kinds, unsigned count);

/* Returns the installed kinds and sets `*count` to their number. Borrowed. */
const struct mr_job_kind *mr_job_kinds(unsigned *count);

/*
 * Makes these the application's jobs of this process; NULL removes them. Element `i` is the job MR_JOB_COUNT + i, and with the
 * engine's jobs there may be at most MR_JOBS_MAX. Borrows `own` until the process ends or until the next call. Call it before
 * other threads exist.
 */
void mr_jobs_install(const struct mr_job_info *own, unsigned count);

/* Adds statements to jobs of the engine, and replaces what an earlier call added. Lifetime and threads as in mr_jobs_install. */
void mr_jobs_add_to(const struct mr_job_addition *additions, unsigned count);

/*
 * Whether the job runs the engine's statement of that name. Its own statements begin with its name and "__"; some jobs also run
 * those of another job.
 */
bool mr_job_does(const struct mr_job_info *job, const char *statement);

/* Whether an application may add statements to the job. It may not if the job is C code, or exists for measuring. */
bool mr_job_takes_more(enum mr_job job);

/* The number of jobs, of the engine and the application: one more than the greatest job. */
unsigned mr_job_count(void);

/* Sets `out` to the job of that name. False: there is none, and `out` is untouched. */
bool mr_job_find(struct mr_slice name, enum mr_job *out);

/* The row of a job, which has to be below mr_job_count(). Borrowed. */
const struct mr_job_info *mr_job_info(enum mr_job job);

#endif
