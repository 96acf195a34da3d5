/*
 * serve: puts the parts of a process together, runs them, and takes them apart.
 */
#ifndef MR_APP_SERVE_H
#define MR_APP_SERVE_H

#include "runtime/config.h"

struct mr_zone;

/*
 * Serves the API and, with a `zone` (SCHEDULE_TIMEZONE), the scheduler and its jobs, until a signal ends it. Migrates first,
 * unless DB_MIGRATIONS_RUN=false. Returns the exit status.
 */
int mr_serve_api(const struct mr_config *config, const struct mr_zone *zone);

/* As mr_serve_api, for the scheduler and its jobs, without a port. */
int mr_serve_scheduler(const struct mr_config *config, const struct mr_zone *zone);

/*
 * Ends the process at once if one of the two had to abandon a thread that did not end in time: that thread still uses the
 * configuration and the zone. Call it before these are freed.
 */
void mr_serve_leave(int exit_status);

#endif
