/*
 * clock: the time, as an object that a test can replace.
 *
 * Code that waits, expires or stamps takes a clock, so that a test decides the time.
 */
#ifndef MR_RUNTIME_CLOCK_H
#define MR_RUNTIME_CLOCK_H

#include <stddef.h>
#include <stdint.h>

struct mr_clock {
    int64_t (*wall_ms)(const struct mr_clock *self); /* Unix milliseconds; may jump */
    int64_t (*mono_ms)(const struct mr_clock *self); /* milliseconds since some moment; never goes back */
    int64_t (*wall_us)(const struct mr_clock *self); /* the same clocks in microseconds; NULL: no finer than milliseconds */
    int64_t (*mono_us)(const struct mr_clock *self);
};

/* The machine's clocks. Safe from any thread. */
extern const struct mr_clock mr_system_clock;

/* Unix time in milliseconds. It can jump, either way. */
static inline int64_t mr_wall_ms(const struct mr_clock *clock)
{
    return clock->wall_ms(clock);
}

/* Monotonic time in milliseconds, from an arbitrary moment on. It never goes back; deadlines are made of it. */
static inline int64_t mr_mono_ms(const struct mr_clock *clock)
{
    return clock->mono_ms(clock);
}

/* Unix time in microseconds; as fine as the clock is. */
static inline int64_t mr_wall_us(const struct mr_clock *clock)
{
    return clock->wall_us != NULL ? clock->wall_us(clock) : clock->wall_ms(clock) * 1000;
}

/* Monotonic time in microseconds; the same moment 0 as mr_mono_ms, and as fine as the clock is. */
static inline int64_t mr_mono_us(const struct mr_clock *clock)
{
    return clock->mono_us != NULL ? clock->mono_us(clock) : clock->mono_ms(clock) * 1000;
}

#endif
