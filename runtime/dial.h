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
 * Connects to the first address of `host` that answers, `timeout_ms` each; no read and no write of it takes longer either.
 * `numeric`: the host is an address, and no name is looked up. The descriptor is the caller's to close; -1: nobody answers.
 */
int mr_dial(const char *host, const char *port, bool numeric, int64_t timeout_ms);

#endif
