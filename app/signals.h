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

/* Keeps SIGTERM and SIGINT waiting until mr_signals_listen; threads that are made meanwhile never get them. */
void mr_signals_hold(int64_t grace_ms);

/*
 * Takes them from now on; `on_first` (async-signal-safe; NULL: none) runs with the first. A handler that is installed already,
 * the gateway's, hears of every signal as well.
 */
void mr_signals_listen(void (*on_first)(void *argument), void *argument);

/* The gateway has taken its handlers away: takes the signals without it. */
void mr_signals_listen_alone(void);

/* Waits for the first. */
void mr_signals_await(void);

/* Begins the shutdown without a signal, unless it has begun: the time runs from now. */
void mr_signals_begin(void);

#endif
