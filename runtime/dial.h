/*
 * dial: a plain connection to a host, in bounded time; for questions that are asked once, by threads that may wait.
 *
 * Thread: any.
 */
#ifndef MR_RUNTIME_DIAL_H
#define MR_RUNTIME_DIAL_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Connects to the first address of `host` that answers, waiting `timeout_ms` for each; the timeout also applies to each read and
 * write. With `numeric`, `host` has to be an address, and no name is looked up. The caller closes the descriptor. -1: none
 * answers.
 */
int mr_dial(const char *host, const char *port, bool numeric, int64_t timeout_ms);

#endif
