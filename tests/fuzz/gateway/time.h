/*
 * time: a clock that the driver moves, for the gateway and for the libraries that run inside its thread.
 *
 * clock_gettime and epoll_wait are defined here and so take the place of the C library's in the whole program. In a
 * thread that has entered virtual time the clocks say what the driver sets and a microsecond more with each turn of the loop, and epoll_wait never blocks: it notes that
 * the loop would have slept. Every other thread gets the real ones.
 *
 * One thread at a time uses virtual time; handing it over is up to the driver.
 */
#ifndef MR_TESTS_FUZZ_GATEWAY_TIME_H
#define MR_TESTS_FUZZ_GATEWAY_TIME_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/clock.h"

enum time_mode {
    TIME_REAL,
    TIME_STILL,  /* a sleeping loop only notes that it slept */
    TIME_HURRIED /* a sleeping loop moves the clock to the next tick, so that it ends by itself */
};

/* Of the calling thread; returns the mode before. */
enum time_mode time_enter(enum time_mode mode);

void time_advance(int64_t ms);
int64_t time_now_ms(void);

/* Whether a loop wanted to sleep since the last call. */
bool time_slept(void);

/* The same clock for those who take one. */
extern const struct mr_clock virtual_clock;

#endif
