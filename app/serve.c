#include "app/serve.h"

#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#include "actors/auth.h"
#include "actors/data_reader.h"
#include "actors/data_writer.h"
#include "app/commands.h"
#include "gateway/gateway.h"
#include "runtime/log.h"
#include "runtime/migrate.h"

/* How long a start waits for a database that is not there yet. */
enum { DATABASE_PATIENCE_MS = 60000, ACTORS_MAX = 512 };

static const struct mr_actor_spec *const specs[] = {&mr_auth_spec, &mr_data_reader_spec, &mr_data_writer_spec};

struct crew {
    struct mr_actor *actors[ACTORS_MAX];
    unsigned count;
};

static mr_status start_lane(struct crew *crew, const struct mr_actor_spec *spec, enum mr_lane lane,
                            const struct mr_config *config)
{
    unsigned instances = mr_actor_instances(config, spec->id, lane);

    for (unsigned i = 0; i < instances; i++) {
        mr_status status = mr_actor_start(&crew->actors[crew->count], spec, lane, i, config, &mr_system_clock);

        if (status != MR_OK)
            return status;
        crew->count++;
    }
    return MR_OK;
}

static mr_status start_crew(struct crew *crew, const struct mr_config *config)
{
    mr_status status = MR_OK;

    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++)
        for (int lane = 0; lane < MR_LANE_COUNT && status == MR_OK; lane++)
            status = start_lane(crew, specs[i], (enum mr_lane)lane, config);
    return status;
}

static void stop_crew(struct crew *crew)
{
    while (crew->count > 0)
        mr_actor_stop(&crew->actors[--crew->count]);
}

/* Whether the end came because the database refused the password. */
static bool is_refused(const struct crew *crew)
{
    for (unsigned i = 0; i < crew->count; i++)
        if (atomic_load(&crew->actors[i]->stats.refused))
            return true;
    return false;
}

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
    bool good = mr_gateway_listen(out, config->app_host, (int)config->app_port, &problem) == MR_OK;

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

static int run(const struct mr_config *config, int listen_fd)
{
    struct crew crew = {.count = 0};
    struct mr_config shown = *config;
    bool refused;
    mr_status status = start_crew(&crew, config);

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
    refused = is_refused(&crew);
    signal(SIGALRM, on_overdue);
    alarm(10);
    stop_crew(&crew);
    alarm(0);
    if (status != MR_OK)
        mr_log(MR_LOG_ERROR, "cannot serve", mr_log_text("status", mr_status_name(status)));
    else
        mr_log(MR_LOG_INFO, "stopped");
    return status == MR_OK && !refused ? MR_EXIT_OK : MR_EXIT_FAILED;
}

int mr_serve_api(const struct mr_config *config)
{
    int listen_fd;

    signal(SIGPIPE, SIG_IGN);
    if (sodium_init() < 0)
        return MR_EXIT_FAILED;
    mr_mailbox_setup();
    if (!migrate(config) || !open_port(config, &listen_fd))
        return MR_EXIT_FAILED;
    return run(config, listen_fd);
}
