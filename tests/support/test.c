#include "tests/support/test.h"

#include <time.h>

void pause_briefly(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

static const struct test_clock *clock_of(const struct mr_clock *clock)
{
    return (const struct test_clock *)(const void *)clock; /* its first member */
}

static int64_t wall_ms(const struct mr_clock *clock)
{
    return clock_of(clock)->wall_ms;
}

static int64_t mono_ms(const struct mr_clock *clock)
{
    return clock_of(clock)->mono_ms;
}

void test_clock_init(struct test_clock *self, int64_t now_ms)
{
    self->clock = (struct mr_clock){wall_ms, mono_ms};
    self->wall_ms = now_ms;
    self->mono_ms = 1000;
}

void test_clock_advance(struct test_clock *self, int64_t ms)
{
    self->wall_ms += ms;
    self->mono_ms += ms;
}
