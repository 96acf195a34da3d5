/*
 * thread: a thread that starts and ends in step with whoever made it.
 *
 * The maker returns from mr_thread_start when the thread says that it is ready, and from mr_thread_stop when it has ended.
 * Signals are blocked in every such thread: they are for the main thread, which turns them into an orderly end.
 */
#ifndef MR_RUNTIME_THREAD_H
#define MR_RUNTIME_THREAD_H

#include <stdbool.h>
#include <stdint.h>

typedef struct mr_thread mr_thread;

/* Runs in the new thread. Has to call mr_thread_ready once, and to return soon after it was asked to end. */
typedef void mr_thread_main(mr_thread *self, void *argument);

/*
 * Starts a thread and returns when it is ready. `name` and `argument` have to outlive it. NULL, and nothing runs, when the
 * system has no memory or no thread to give.
 */
mr_thread *mr_thread_start(const char *name, mr_thread_main *body, void *argument);

/*
 * As mr_thread_start, but returns at once, so that several threads can start side by side. Until mr_thread_await returns, no
 * other function may be called for the thread.
 */
mr_thread *mr_thread_begin(const char *name, mr_thread_main *body, void *argument);

/* Returns when the thread that mr_thread_begin started is ready. */
void mr_thread_await(mr_thread *self);

/* Says that the thread is ready, which ends mr_thread_start or mr_thread_await. The thread itself calls it, once. */
void mr_thread_ready(mr_thread *self);

/* Waits until the thread is asked to end, `timeout_ms` at most (-1: no limit). True: it was. The thread itself calls it. */
bool mr_thread_asked_to_end(mr_thread *self, int timeout_ms);

/* A descriptor that is readable for good once the thread was asked to end. Borrowed. */
int mr_thread_end_fd(const mr_thread *self);

/* Asks the thread to end and does not wait, so that several can do so side by side. Async-signal-safe. */
void mr_thread_ask_to_end(mr_thread *self);

/* Asks the thread to end, waits until it has, frees it and sets the caller's pointer to NULL. Accepts NULL. */
void mr_thread_stop(mr_thread **self);

/*
 * As mr_thread_stop, but waits until `deadline_ms` (monotonic) at most. False: the thread still runs and nothing is freed, so what
 * it uses has to stay; it may be stopped again later.
 */
bool mr_thread_stop_by(mr_thread **self, int64_t deadline_ms);

#endif
