/*
 * admin: the operators' port (ADMIN_PORT): /metrics, /livez and /readyz, in every role.
 *
 * It has a thread and an event loop of its own, so that it answers whatever the requests' loop does, and so that a scheduler,
 * which has no such loop, answers in the same way.
 *
 * Thread: the main thread starts and stops it.
 */
#ifndef MR_APP_ADMIN_H
#define MR_APP_ADMIN_H

#include "app/crew.h"
#include "app/tier.h"

struct mr_admin;

/*
 * Opens ADMIN_HOST and ADMIN_PORT; `fd` gets the listening socket, -1 when the port is 0. False: it cannot be opened, which is
 * logged.
 */
bool mr_admin_listen(const struct mr_config *config, int *fd);

/*
 * Starts answering. `crew` (of requests) and `tier` (of jobs) must outlive it, until mr_admin_stop; each may be empty. It closes
 * `fd` at its end; -1: `out` becomes NULL. MR_NO_MEMORY: no memory, or no thread.
 */
mr_status mr_admin_start(struct mr_admin **out, int fd, const struct mr_config *config, const struct mr_crew *crew,
                         const struct mr_tier *tier) MR_WARN_UNUSED;

/* Ends its thread, frees it and sets the caller's pointer to NULL. Accepts NULL. */
void mr_admin_stop(struct mr_admin **self);

#endif
