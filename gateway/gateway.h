/*
 * gateway: HTTP/JSON on one side, messages on the other.
 *
 * Thread:  one, the caller's; it owns the event loop, the connections and a mailbox.
 * Input:   HTTP/1.1 requests for the rows of proto/ops.h; replies of the actors.
 * Promise: one request, one answer, at its deadline at the latest; what it cannot pass on it refuses at once.
 */
#ifndef MR_GATEWAY_GATEWAY_H
#define MR_GATEWAY_GATEWAY_H

#include "runtime/actor.h"

struct mr_gateway_options {
    const struct mr_config *config;
    const struct mr_clock *clock;
    struct mr_actor *const *actors; /* those that answer; started, and to be stopped after the gateway */
    unsigned actor_count;
    const char *version; /* of the build, for the documentation, and for health when APP_VERSION is not a semantic version */
    int listen_fd;       /* a listening socket; the gateway closes it */
    void (*on_listening)(void *argument);
    void *argument;
};

/*
 * Serves until SIGTERM or SIGINT and everything under way is answered, SHUTDOWN_GRACE at most. A second signal
 * ends the process. MR_UNAVAILABLE when the event loop cannot be set up.
 */
mr_status mr_gateway_run(const struct mr_gateway_options *options) MR_WARN_UNUSED;

#endif
