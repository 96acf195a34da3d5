#include "tests/fuzz/gateway/time.h"

#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { TICK_MS = 100, TURN_US = 1 };

static const int64_t born_s = 1800000000; /* the wall clock when the virtual one starts */

static _Thread_local enum time_mode mode;
static int64_t now_us = 1000000;
static bool slept;

enum time_mode time_enter(enum time_mode wanted)
{
    enum time_mode before = mode;

    mode = wanted;
    return before;
}

void time_advance(int64_t ms)
{
    now_us += ms * 1000;
}

int64_t time_now_ms(void)
{
    return now_us / 1000;
}

bool time_slept(void)
{
    bool was = slept;

    slept = false;
    return was;
}

static int64_t mono_ms(const struct mr_clock *self)
{
    (void)self;
    return now_us / 1000;
}

static int64_t wall_ms(const struct mr_clock *self)
{
    (void)self;
    return born_s * 1000 + now_us / 1000;
}

const struct mr_clock virtual_clock = {.wall_ms = wall_ms, .mono_ms = mono_ms};

/* ---- In place of the C library's ---- */

int clock_gettime(clockid_t id, struct timespec *out)
{
    int64_t us = now_us + (id == CLOCK_REALTIME ? born_s * 1000000 : 0);

    if (mode == TIME_REAL)
        return (int)syscall(SYS_clock_gettime, id, out);
    out->tv_sec = (time_t)(us / 1000000);
    out->tv_nsec = (long)(us % 1000000) * 1000;
    return 0;
}

int epoll_wait(int fd, struct epoll_event *events, int most, int timeout)
{
    /* A moment goes by with each turn: libev lets a timer that is late come again at once, and then not before. */
    int count = (int)syscall(SYS_epoll_pwait, fd, events, most, mode == TIME_REAL ? timeout : 0, NULL, 8);

    if (mode == TIME_REAL)
        return count;
    now_us += TURN_US;
    if (count != 0 || timeout == 0)
        return count;
    slept = true;
    if (mode == TIME_HURRIED)
        now_us += TICK_MS * 1000;
    return 0;
}
