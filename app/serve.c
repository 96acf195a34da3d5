#include "app/serve.h"

#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/tier.h"
#include "gateway/gateway.h"
#include "http/server.h"
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "runtime/migrate.h"
#include "scheduler/pulse.h"

/* How long a start waits for a database that is not there yet. */
enum { DATABASE_PATIENCE_MS = 60000, STOP_S = 10 };

static bool migrate(const struct mr_config *config)
{
    struct mr_buf problem = {0};
    unsigned applied;
    mr_status status = MR_OK;

    if (config->db_migrations_run)
        status = mr_migrate_up(config, &mr_system_clock, DATABASE_PATIENCE_MS, &applied, &problem);
    if (status != MR_OK)
        mr_log(MR_LOG_ERROR, "migrations failed", mr_log_slice("reason", ((struct mr_slice){problem.data, problem.len})));
    mr_buf_fini(&problem);
    return status == MR_OK;
}

static bool open_port(const struct mr_config *config, int *out)
{
    struct mr_buf problem = {0};
    bool good = mr_http_listen(out, config->app_host, (int)config->app_port, &problem) == MR_OK;

    if (!good)
        mr_log(MR_LOG_ERROR, "no port", mr_log_slice("reason", ((struct mr_slice){problem.data, problem.len})));
    mr_buf_fini(&problem);
    return good;
}

static void say_listening(void *argument)
{
    const struct mr_config *config = argument;

    mr_log(MR_LOG_INFO, "listening", mr_log_int("port", config->app_port), mr_log_text("version", MR_VERSION));
}

/* Past the grace something does not end: better to leave than to be killed without a word. */
static void on_overdue(int signal)
{
    static const char line[] = "millrace: did not stop in time\n";

    (void)signal;
    (void)!write(STDERR_FILENO, line, sizeof line - 1);
    _exit(MR_EXIT_FAILED);
}

/* The end of a process: what does not end in time is left. */
static void stop(struct mr_crew *crew, struct mr_tier *tier)
{
    signal(SIGALRM, on_overdue);
    alarm(STOP_S);
    mr_tier_stop(tier);
    mr_crew_stop(crew);
    alarm(0);
}

static int told(mr_status status, bool refused)
{
    if (status != MR_OK)
        mr_log(MR_LOG_ERROR, "cannot serve", mr_log_text("status", mr_status_name(status)));
    else
        mr_log(MR_LOG_INFO, "stopped");
    return status == MR_OK && !refused ? MR_EXIT_OK : MR_EXIT_FAILED;
}

static int run_api(const struct mr_config *config, const struct mr_zone *zone, int listen_fd)
{
    struct mr_crew crew = {.count = 0};
    struct mr_tier tier = {.scheduler = NULL};
    struct mr_config shown = *config;
    bool refused;
    mr_status status = mr_crew_start_api(&crew, config);

    if (status == MR_OK && zone != NULL)
        status = mr_tier_start(&tier, config, zone, -1);
    if (status == MR_OK) {
        struct mr_gateway_options options = {
            .config = config,
            .clock = &mr_system_clock,
            .actors = crew.actors,
            .actor_count = crew.count,
            .version = MR_VERSION,
            .listen_fd = listen_fd,
            .on_listening = say_listening,
            .argument = &shown,
        };

        status = mr_gateway_run(&options);
    } else {
        close(listen_fd);
    }
    refused = mr_crew_is_refused(&crew) || mr_tier_is_refused(&tier);
    stop(&crew, &tier);
    return told(status, refused);
}

static bool set_up(const struct mr_config *config)
{
    signal(SIGPIPE, SIG_IGN);
    if (sodium_init() < 0)
        return false;
    mr_mailbox_setup();
    return migrate(config);
}

int mr_serve_api(const struct mr_config *config, const struct mr_zone *zone)
{
    int listen_fd;

    mr_metrics_setup(zone != NULL ? "AS" : "A", zone != NULL ? "all" : "api", config->metrics_emf);
    if (!set_up(config) || !open_port(config, &listen_fd))
        return MR_EXIT_FAILED;
    return run_api(config, zone, listen_fd);
}

/* ---- The scheduler has no event loop of its own to hear signals with ---- */

static void on_second_signal(int signal)
{
    _exit(128 + signal);
}

static void wait_for_signal(const sigset_t *set)
{
    int got = 0;

    while (sigwait(set, &got) != 0) {
    }
    signal(SIGTERM, on_second_signal);
    signal(SIGINT, on_second_signal);
    pthread_sigmask(SIG_UNBLOCK, set, NULL);
    mr_log(MR_LOG_INFO, "draining", mr_log_int("signal", got));
}

/* Two schedulers on one machine can do without a pulse of the second better than without the second. */
static int open_pulse(const struct mr_config *config)
{
    int fd = -1;

    if (mr_pulse_listen(&fd, config->health_socket) != MR_OK)
        mr_log(MR_LOG_WARN, "`millrace health` cannot ask this process: its HEALTH_SOCKET is taken",
               mr_log_text("name", config->health_socket));
    return fd;
}

int mr_serve_scheduler(const struct mr_config *config, const struct mr_zone *zone)
{
    struct mr_crew none = {.count = 0};
    struct mr_tier tier = {.scheduler = NULL};
    bool refused;
    mr_status status;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    mr_metrics_setup("S", "scheduler", config->metrics_emf);
    if (!set_up(config))
        return MR_EXIT_FAILED;
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    status = mr_tier_start(&tier, config, zone, open_pulse(config));
    if (status == MR_OK) {
        mr_log(MR_LOG_INFO, "scheduling", mr_log_text("timezone", config->schedule_timezone),
               mr_log_text("version", MR_VERSION));
        wait_for_signal(&set);
    }
    refused = mr_tier_is_refused(&tier);
    stop(&none, &tier);
    return told(status, refused);
}
