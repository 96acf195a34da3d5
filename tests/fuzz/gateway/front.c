#include "tests/fuzz/gateway/front.h"

#include <ev.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sodium.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "gateway/gateway.h"
#include "runtime/log.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/gateway/memory.h"
#include "tests/fuzz/gateway/stubs.h"
#include "tests/fuzz/gateway/time.h"

/* Time limits are short and differ, so that each comes first now and then. */
static const char *const environment[][2] = {
    {"NODE_ENV", "test"},
    {"DB_HOST", "primary.invalid"},
    {"DB_HOST_READ_ONLY", "replica.invalid"},
    {"JWT_SECRET", "a secret of the driver, long enough for HS256"},
    {"JWT_SECRET_PREVIOUS", "the secret that the driver had before, also long"},
    {"CORS_ALLOWED_ORIGIN", "https://a.example,https://b.example"},
    {"TRUST_PROXY_HOPS", "1"},
    {"RATE_LIMIT_PER_MINUTE", "600"},
    {"GATEWAY_MAX_CONNECTIONS", "5"},
    {"GATEWAY_HEADER_TIMEOUT", "3s"},
    {"GATEWAY_BODY_TIMEOUT", "5s"},
    {"GATEWAY_KEEPALIVE_TIMEOUT", "4s"},
    {"GATEWAY_REQUEST_TIMEOUT", "2s"},
    {"MAILBOX_MAX_MESSAGES", "3"},
    {"MAILBOX_MAX_BYTES", "300KiB"}, /* a part of an upload, and not two */
};

struct mr_config front_config;

static struct {
    pthread_t thread;
    sem_t listens;
    sem_t may_end;
    struct ev_loop *loop;
    struct sockaddr_un address;
    socklen_t address_len;
    int listen_fd;
    bool is_up;
} front;

/* What the gateway logs goes nowhere (--wrap), or to standard error with FUZZ_LOG set. */
void __real_mr_log_line(enum mr_log_level level, const char *message, const struct mr_log_field *fields);
void __wrap_mr_log_line(enum mr_log_level level, const char *message, const struct mr_log_field *fields);

void __wrap_mr_log_line(enum mr_log_level level, const char *message, const struct mr_log_field *fields)
{
    if (getenv("FUZZ_LOG") != NULL)
        __real_mr_log_line(level, message, fields);
}

static const char *get(const char *name)
{
    for (size_t i = 0; i < sizeof environment / sizeof environment[0]; i++)
        if (strcmp(environment[i][0], name) == 0)
            return environment[i][1];
    return NULL;
}

static void read_config(void)
{
    struct mr_buf problems = {0};

    if (mr_config_read(&front_config, MR_RUN_API, get, NULL, &problems) != MR_OK)
        fprintf(stderr, "%.*s\n", (int)problems.len, problems.data);
    must(problems.len == 0);
    mr_buf_fini(&problems);
    must(front_config.gateway_max_conns == FRONT_CONNECTIONS && front_config.mailbox_max_messages == FRONT_MESSAGES);
    must(front_config.request_timeout == FRONT_REQUEST_MS);
}

/* A Unix socket with a name that the kernel chooses: no ports, and any number of drivers side by side. */
static void open_socket(void)
{
    const struct sockaddr_un any = {.sun_family = AF_UNIX};

    front.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    front.address_len = sizeof front.address;
    must(front.listen_fd >= 0 && bind(front.listen_fd, (const struct sockaddr *)&any, sizeof any.sun_family) == 0);
    must(getsockname(front.listen_fd, (struct sockaddr *)&front.address, &front.address_len) == 0);
    must(listen(front.listen_fd, 64) == 0);
}

int front_connect(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    must(fd >= 0);
    if (connect(fd, (const struct sockaddr *)&front.address, front.address_len) == 0)
        return fd;
    close(fd);
    return -1;
}

static void on_listening(void *argument)
{
    (void)argument;
    front.loop = ev_default_loop(0);
    sem_post(&front.listens);
    sem_wait(&front.may_end);
}

static void *run(void *argument)
{
    const struct mr_gateway_options options = {
        .config = &front_config,
        .clock = &virtual_clock,
        .actors = stub_actors,
        .actor_count = STUB_COUNT,
        .version = "1.2.3",
        .listen_fd = front.listen_fd,
        .on_listening = on_listening,
    };

    (void)argument;
    time_enter(TIME_HURRIED);
    memory_known();
    must(mr_gateway_run(&options) == MR_OK);
    return NULL;
}

/* libFuzzer looks now and then how long an input has taken, also inside a turn, and by real time. */
static struct sigaction alarm_before;

static void on_alarm(int signal, siginfo_t *info, void *context)
{
    enum time_mode before = time_enter(TIME_REAL);

    alarm_before.sa_sigaction(signal, info, context);
    time_enter(before);
}

static void take_alarm(void)
{
    struct sigaction action = {.sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO | SA_RESTART};

    sigaction(SIGALRM, NULL, &alarm_before);
    if ((alarm_before.sa_flags & SA_SIGINFO) != 0)
        sigaction(SIGALRM, &action, NULL);
}

static void set_up_once(void)
{
    static bool done;

    if (done)
        return;
    done = true;
    signal(SIGPIPE, SIG_IGN);
    must(sodium_init() >= 0);
    mr_mailbox_setup();
    read_config();
    take_alarm();
    memory_known();
    sem_init(&front.listens, 0, 0);
    sem_init(&front.may_end, 0, 0);
    atexit(front_stop);
}

/* The gateway takes both signals for itself; whoever runs the driver wants them to end it. */
static void start_thread(void)
{
    struct sigaction term;
    struct sigaction interrupt;

    sigaction(SIGTERM, NULL, &term);
    sigaction(SIGINT, NULL, &interrupt);
    must(pthread_create(&front.thread, NULL, run, NULL) == 0);
    while (sem_wait(&front.listens) != 0) {
    }
    sigaction(SIGTERM, &term, NULL);
    sigaction(SIGINT, &interrupt, NULL);
}

void front_start(void)
{
    set_up_once();
    stubs_open(&front_config);
    open_socket();
    start_thread();
    front.is_up = true;
}

bool front_is_up(void)
{
    return front.is_up;
}

void front_stop(void)
{
    if (!front.is_up)
        return;
    front.is_up = false;
    ev_feed_signal(SIGTERM);
    sem_post(&front.may_end);
    must(pthread_join(front.thread, NULL) == 0);
    stubs_close();
    must(memory_live() == 0);
}

bool front_turn(void)
{
    enum time_mode before = time_enter(TIME_STILL);

    (void)time_slept();
    memory_watch(true);
    ev_run(front.loop, EVRUN_ONCE);
    memory_watch(false);
    time_enter(before);
    return time_slept();
}
