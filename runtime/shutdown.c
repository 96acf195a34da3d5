#include "runtime/shutdown.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "runtime/clock.h"

/* Shares of the grace that stay for what comes after, and the most of each. */
enum { CUT_SHARE = 5, CUT_MOST_MS = 5000, ABANDON_SHARE = 10, ABANDON_MOST_MS = 2500, END_SHARE = 50, END_MOST_MS = 300 };

static _Atomic int64_t begun_ms = INT64_MAX;
static _Atomic int64_t cut_limit_ms = INT64_MAX;
static pthread_once_t cut_once = PTHREAD_ONCE_INIT;
static int cut_fd = -1;

static int64_t rest(int64_t grace_ms, int64_t share, int64_t most_ms)
{
    return grace_ms / share < most_ms ? grace_ms / share : most_ms;
}

struct mr_shutdown_plan mr_shutdown_plan(int64_t grace_ms)
{
    return (struct mr_shutdown_plan){
        .cut_ms = grace_ms - rest(grace_ms, CUT_SHARE, CUT_MOST_MS),
        .abandon_ms = grace_ms - rest(grace_ms, ABANDON_SHARE, ABANDON_MOST_MS),
        .end_ms = grace_ms - rest(grace_ms, END_SHARE, END_MOST_MS),
    };
}

bool mr_shutdown_begin(void)
{
    int64_t not_yet = INT64_MAX;

    return atomic_compare_exchange_strong(&begun_ms, &not_yet, mr_mono_ms(&mr_system_clock));
}

int64_t mr_shutdown_begun_ms(void)
{
    return atomic_load(&begun_ms);
}

void mr_shutdown_request(void)
{
    static atomic_flag asked = ATOMIC_FLAG_INIT;

    if (mr_shutdown_begun_ms() == INT64_MAX && !atomic_flag_test_and_set(&asked))
        kill(getpid(), SIGTERM);
}

static void make_fd(void)
{
    cut_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

int mr_shutdown_cut_fd(void)
{
    pthread_once(&cut_once, make_fd);
    return cut_fd;
}

void mr_shutdown_cut(int64_t limit_ms)
{
    int64_t not_yet = INT64_MAX;

    if (atomic_compare_exchange_strong(&cut_limit_ms, &not_yet, limit_ms))
        (void)!write(mr_shutdown_cut_fd(), &(uint64_t){1}, sizeof(uint64_t));
}

bool mr_shutdown_is_cut(void)
{
    return mr_shutdown_limit_ms() != INT64_MAX;
}

int64_t mr_shutdown_limit_ms(void)
{
    return atomic_load(&cut_limit_ms);
}
