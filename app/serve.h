/*
 * serve: puts the parts of a process together, runs them, and takes them apart.
 */
#ifndef MR_APP_SERVE_H
#define MR_APP_SERVE_H

#include "runtime/config.h"

struct mr_zone;

/*
 * Both migrate unless DB_MIGRATIONS_RUN=false, and serve until a signal ends them. They return the exit status.
 *
 * The API; with a `zone` (SCHEDULE_TIMEZONE), the scheduler and its jobs in the same process.
 */
int mr_serve_api(const struct mr_config *config, const struct mr_zone *zone);

/* The scheduler and its jobs, without a port. */
int mr_serve_scheduler(const struct mr_config *config, const struct mr_zone *zone);

/*
 * Ends the process right here when one of the two had to leave a thread behind that did not end in time: that thread still
 * uses the configuration and the zone. To be called before those go.
 */
void mr_serve_leave(int exit_status);

#endif
