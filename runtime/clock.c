#include "runtime/clock.h"

#include <time.h>

static int64_t read_ms(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t wall_ms(const struct mr_clock *self)
{
    (void)self;
    return read_ms(CLOCK_REALTIME);
}

static int64_t mono_ms(const struct mr_clock *self)
{
    (void)self;
    return read_ms(CLOCK_MONOTONIC);
}

static int64_t read_us(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t wall_us(const struct mr_clock *self)
{
    (void)self;
    return read_us(CLOCK_REALTIME);
}

static int64_t mono_us(const struct mr_clock *self)
{
    (void)self;
    return read_us(CLOCK_MONOTONIC);
}

const struct mr_clock mr_system_clock = {wall_ms, mono_ms, wall_us, mono_us};
