/*
 * zone: the offsets of one time zone from UTC, and the moments at which they change.
 *
 * The zone's file (TZif, RFC 9636) is read while it is opened (scheduler/tzif.h); from then on the zone is a table.
 *
 * Thread: any. An open zone never changes, so that any thread may read it.
 */
#ifndef MR_SCHEDULER_ZONE_H
#define MR_SCHEDULER_ZONE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/buffer.h"
#include "proto/jobs.h"
#include "proto/status.h"

struct mr_zone;

/* A stretch of time with one offset. All three are seconds; local time is UTC plus `offset`. */
struct mr_zone_span {
    int64_t offset;
    int64_t
        fresh; /* Unix time from which the clocks show what they never showed before; later than the span's begin when they were put back */
    int64_t until; /* Unix time of the next span's begin; INT64_MAX when there is none */
};

/*
 * Opens a zone by its name in the IANA database, exactly as written there: `Europe/Berlin`. `UTC` needs no file; other
 * names need one in the system's folder (TZDIR, else /usr/share/zoneinfo). MR_NOT_FOUND: no such zone, or a name that
 * could leave that folder; MR_NO_MEMORY. The zone is the caller's, to be destroyed.
 */
mr_status mr_zone_new(struct mr_zone **out, const char *name) __attribute__((warn_unused_result));

/* Frees it and sets the caller's pointer to NULL. Accepts NULL. */
void mr_zone_destroy(struct mr_zone **self);

/* Whether mr_zone_new would find a zone of that name. Any thread. */
bool mr_zone_is_known(const char *name);

/*
 * Opens the zones that jobs of an application name for themselves, for as long as the process lasts. MR_INVALID: there is no such zone;
 * `problems` has a line for each. MR_NO_MEMORY.
 */
mr_status mr_job_zones_open(struct mr_buf *problems) __attribute__((warn_unused_result));

/* The zone of a job's schedule: the job's own, else `usual`. Borrowed. */
const struct mr_zone *mr_job_zone(enum mr_job job, const struct mr_zone *usual);

/*
 * The span that a moment (Unix time, seconds) is in. Before 1970 the first offset of that year holds; after the database's
 * explicit dates the zone's last rules hold for ever, as RFC 9636, 3.3 (TZ string) has it.
 */
struct mr_zone_span mr_zone_at(const struct mr_zone *self, int64_t second);

#endif
