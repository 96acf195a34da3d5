/*
 * signals: how this process learns that it is to end, and that it does.
 *
 * The first SIGTERM or SIGINT begins the shutdown (runtime/shutdown.h); a second one from outside ends the process at once.
 * One that the process sent itself counts only as the first. Whatever happens, the process is gone when SHUTDOWN_GRACE is over.
 *
 * Thread: the main thread.
 */
#ifndef MR_APP_SIGNALS_H
#define MR_APP_SIGNALS_H

#include <stdint.h>

/*
 * Blocks SIGTERM and SIGINT until mr_signals_listen; threads that start in between never receive them. `grace_ms` is
 * SHUTDOWN_GRACE.
 */
void mr_signals_hold(int64_t grace_ms);

/*
 * Handles the signals from now on. Calls `on_first` (async-signal-safe; NULL: nothing) at the first one. An earlier handler, the
 * gateway's, still receives every signal.
 */
void mr_signals_listen(void (*on_first)(void *argument), void *argument);

/* Handles the signals without the gateway, which has removed its handlers. */
void mr_signals_listen_alone(void);

/* Waits for the first signal. */
void mr_signals_await(void);

/* Begins the shutdown without a signal, unless it has begun. SHUTDOWN_GRACE counts from now. */
void mr_signals_begin(void);

#endif
