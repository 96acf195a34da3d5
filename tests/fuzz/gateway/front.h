/*
 * front: a whole gateway, its loop turned by hand.
 *
 * mr_gateway_run is called in a thread of its own, which stops where the gateway says that it listens. From there the
 * driver's thread turns the gateway's loop until it would sleep, so that nothing depends on how threads are scheduled:
 * the same input takes the same path.
 */
#ifndef MR_TESTS_FUZZ_GATEWAY_FRONT_H
#define MR_TESTS_FUZZ_GATEWAY_FRONT_H

#include "runtime/config.h"

/* Small enough for an input to reach. */
enum { FRONT_CONNECTIONS = 5, FRONT_MESSAGES = 3, FRONT_REQUEST_MS = 2000, FRONT_TICK_MS = 100 };

extern struct mr_config front_config;

/* Reads the configuration and opens the stubs' mailboxes; then starts the gateway. Once, or again after front_stop. */
void front_start(void);
bool front_is_up(void);

/* SIGTERM, and all that the gateway does until it has ended; nothing that it allocated is left. */
void front_stop(void);

/* One turn of the loop; whether it would have slept. */
bool front_turn(void);

/* A connection to the gateway, -1 when its queue is full. Non-blocking. */
int front_connect(void);

#endif
