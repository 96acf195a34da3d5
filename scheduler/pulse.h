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

/* Opens a listening socket of that name, which the caller owns. MR_CONFLICT: the name is taken. MR_UNAVAILABLE: any other failure. */
mr_status mr_pulse_listen(int *out, const char *name) MR_WARN_UNUSED;

/* Sends `line` to every waiting client. Never blocks. */
void mr_pulse_answer(int fd, struct mr_slice line);

/*
 * Asks the process that listens to that name, waiting `timeout_ms` at most. MR_OK: `out` is its answer, terminated.
 * MR_NOT_FOUND: nobody listens. MR_TIMEOUT: it does not answer.
 */
mr_status mr_pulse_ask(const char *name, int timeout_ms, char *out, size_t room) MR_WARN_UNUSED;

#endif
