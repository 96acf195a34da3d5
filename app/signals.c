#include "app/signals.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include "app/commands.h"
#include "runtime/shutdown.h"

static const int numbers[] = {SIGTERM, SIGINT};

enum { NUMBERS = sizeof numbers / sizeof numbers[0] };

static struct sigaction before[NUMBERS];
static void (*first)(void *argument);
static void *first_argument;
static sem_t begun;
static timer_t timer;
static bool has_timer;
static int64_t grace_ms;

/* Better to leave than to be killed without a word. */
static void on_overdue(int number)
{
    static const char line[] = "millrace: did not stop within SHUTDOWN_GRACE\n";

    (void)number;
    (void)!write(STDERR_FILENO, line, sizeof line - 1);
    _exit(MR_EXIT_FAILED);
}

static void arm(void)
{
    struct itimerspec due = {.it_value = {.tv_sec = (time_t)(grace_ms / 1000), .tv_nsec = (long)(grace_ms % 1000) * 1000000L}};

    if (has_timer)
        timer_settime(timer, 0, &due, NULL);
}

/* True for the call that began it. Async-signal-safe. */
static bool begin(void)
{
    if (!mr_shutdown_begin())
        return false;
    arm();
    sem_post(&begun);
    return true;
}

static const struct sigaction *handler_before(int number)
{
    const struct sigaction *found = &before[number == numbers[0] ? 0 : 1];

    return found->sa_handler != SIG_DFL && found->sa_handler != SIG_IGN ? found : NULL;
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    const struct sigaction *next = handler_before(number);
    int error = errno;
    bool is_first = begin();

    (void)context;
    if (!is_first && info->si_pid == getpid())
        return;
    if (is_first && first != NULL)
        first(first_argument);
    if (next != NULL)
        next->sa_handler(number);
    else if (!is_first)
        _exit(128 + number);
    errno = error;
}

static void install(bool chained)
{
    struct sigaction ours = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct sigaction was;

    sigfillset(&ours.sa_mask);
    for (int i = 0; i < NUMBERS; i++) {
        sigaction(numbers[i], NULL, &was);
        before[i] = chained ? was : (struct sigaction){.sa_handler = SIG_DFL};
        sigaction(numbers[i], &ours, NULL);
    }
}

static void mask(int how)
{
    sigset_t set;

    sigemptyset(&set);
    for (int i = 0; i < NUMBERS; i++)
        sigaddset(&set, numbers[i]);
    pthread_sigmask(how, &set, NULL);
}

void mr_signals_hold(int64_t grace)
{
    struct sigevent alarm = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};

    grace_ms = grace;
    sem_init(&begun, 0, 0);
    mask(SIG_BLOCK);
    signal(SIGALRM, on_overdue);
    has_timer = timer_create(CLOCK_MONOTONIC, &alarm, &timer) == 0;
}

void mr_signals_listen(void (*on_first)(void *argument), void *argument)
{
    first = on_first;
    first_argument = argument;
    install(true);
    mask(SIG_UNBLOCK);
}

void mr_signals_listen_alone(void)
{
    mask(SIG_BLOCK);
    install(false);
    mask(SIG_UNBLOCK);
}

void mr_signals_await(void)
{
    while (sem_wait(&begun) != 0 && errno == EINTR) {
    }
}

void mr_signals_begin(void)
{
    (void)begin();
}
