/*
 * pulse: how `millrace health` learns whether a scheduler lives: it asks, and the tick loop itself answers.
 *
 * A Unix socket in the abstract name space: no port and no file, gone with the process, and only for who shares the
 * network name space. A question is a connection; the answer is one line of JSON, the first byte of which tells more than
 * nothing: that the loop goes round.
 */
#ifndef MR_SCHEDULER_PULSE_H
#define MR_SCHEDULER_PULSE_H

#include "proto/buffer.h"
#include "proto/status.h"

/* Opens the listening socket of that name. MR_CONFLICT: somebody has it already. MR_UNAVAILABLE: it cannot be had. */
mr_status mr_pulse_listen(int *out, const char *name) MR_WARN_UNUSED;

/* Answers whoever waits, without waiting for anybody. */
void mr_pulse_answer(int fd, struct mr_slice line);

/*
 * Asks the process that listens to that name, and waits `timeout_ms` at most. MR_NOT_FOUND: there is none. MR_TIMEOUT: it
 * says nothing. MR_OK: `out` holds what it said, terminated.
 */
mr_status mr_pulse_ask(const char *name, int timeout_ms, char *out, size_t room) MR_WARN_UNUSED;

#endif
