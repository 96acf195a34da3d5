/*
 * shutdown: the time that is left for the end of this process.
 *
 * It begins with the first SIGTERM or SIGINT. SHUTDOWN_GRACE after that the process is gone, whatever a statement, a lock or
 * a server that hangs does:
 *
 *   begin                                  cut             abandon        end
 *     | what is under way is finished       | is cancelled    | is left     |
 *
 * Between cut and abandon every wait for the database ends: what was at work is cancelled, and what follows (a roll-back, a
 * run that is given back) has until `abandon`. From then to the end the embedded PostgreSQL is stopped.
 *
 * Thread: any.
 */
#ifndef MR_RUNTIME_SHUTDOWN_H
#define MR_RUNTIME_SHUTDOWN_H

#include <stdbool.h>
#include <stdint.h>

/* Milliseconds since it began. */
struct mr_shutdown_plan {
    int64_t cut_ms;
    int64_t abandon_ms;
    int64_t end_ms; /* just before the grace is over: time to leave */
};

/* Divides SHUTDOWN_GRACE: `grace_ms` from the first signal to the end of the process. */
struct mr_shutdown_plan mr_shutdown_plan(int64_t grace_ms);

/* Begins the shutdown. True: this call began it; false: it had begun. Async-signal-safe. */
bool mr_shutdown_begin(void);

/* When the shutdown began (monotonic); INT64_MAX: it has not. Any thread. */
int64_t mr_shutdown_begun_ms(void);

/*
 * Makes this process end as if it had received SIGTERM; for a part that finds that it cannot continue. Only the first call
 * before a signal has an effect.
 */
void mr_shutdown_request(void);

/* Cancels every running statement; later ones may take until `limit_ms` (monotonic) at most. Only the first call counts. */
void mr_shutdown_cut(int64_t limit_ms);

/* Whether mr_shutdown_cut was called. */
bool mr_shutdown_is_cut(void);

/* The moment (monotonic) after which nothing may be waited for; INT64_MAX before the cut. Any thread. */
int64_t mr_shutdown_limit_ms(void);

/* A descriptor that is readable for good from the cut on; -1: the system had none to give. Borrowed. */
int mr_shutdown_cut_fd(void);

#endif
