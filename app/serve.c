#include "app/serve.h"

#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/activation.h"
#include "app/admin.h"
#include "app/ahead.h"
#include "app/application.h"
#include "app/commands.h"
#include "app/declare.h"
#include "app/settle.h"
#include "app/signals.h"
#include "app/tier.h"
#include "gateway/gateway.h"
#include "http/server.h"
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "runtime/migrate.h"
#include "runtime/needs.h"
#include "runtime/shutdown.h"
#include "runtime/tracer.h"
#include "scheduler/pulse.h"

/* How long a start waits for a database that is not there yet. */
enum { DATABASE_PATIENCE_MS = 60000 };

/* The connection that has looked at the migrations, until the application has asked its questions; NULL: there is none. */
static mr_db *first;

static bool migrate(const struct mr_config *config)
{
    struct mr_buf problem = {0};
    unsigned applied;
    mr_status status = MR_OK;

    first = mr_ahead_take();
    if (config->db_migrations_run)
        status = mr_migrate_up_on(&first, config, &mr_system_clock, DATABASE_PATIENCE_MS, &applied, &problem);
    if (status == MR_OK && config->db_migrations_run)
        mr_needs_note_migrated();
    if (status != MR_OK)
        mr_log(MR_LOG_ERROR, "migrations failed", mr_log_slice("reason", ((struct mr_slice){problem.data, problem.len})));
    mr_buf_fini(&problem);
    return status == MR_OK;
}

static bool open_port(const struct mr_config *config, int *out)
{
    struct mr_buf problem = {0};
    bool good;

    *out = mr_activation_take("api");
    good = *out >= 0 || mr_http_listen(out, config->app_host, (int)config->app_port, &problem) == MR_OK;
    if (!good)
        mr_log(MR_LOG_ERROR, "cannot open the port", mr_log_slice("reason", ((struct mr_slice){problem.data, problem.len})));
    mr_buf_fini(&problem);
    return good;
}

/* Static, because a thread that is left behind at the end of the process goes on using them. */
static struct mr_crew crew;
static struct mr_tier tier;
static struct mr_admin *admin;
static struct mr_declare *declaration;
static struct mr_settle *settling; /* NULL: the start has settled it */
static bool left_behind;

static void ask_tier_to_stop(void *argument)
{
    mr_tier_ask_to_stop(argument);
}

/* Jobs are asked to give back their runs with the signal; the API's actors have requests to answer first. */
static void on_listening(void *argument)
{
    const struct mr_config *config = argument;

    mr_signals_listen(ask_tier_to_stop, &tier);
    mr_log(MR_LOG_INFO, "listening", mr_log_int("port", config->app_port), mr_log_text("version", MR_VERSION));
    mr_activation_ready();
    mr_actors_note_serving();
}

/* ---- What the application declares ---- */

static bool uses_database(const struct mr_crew *actors)
{
    for (unsigned i = 0; i < actors->count; i++)
        if (atomic_load(&actors->actors[i]->stats.connected))
            return true;
    return false;
}

/*
 * The thread that declares asks about crew and tier, which the main thread makes and frees: it may look at them only in between,
 * and while it looks they are not freed.
 */
static pthread_mutex_t life_mutex = PTHREAD_MUTEX_INITIALIZER; /* guards life */
static enum life { LIFE_BEGINS, LIFE_GOES_ON, LIFE_ENDS } life;

static void set_life(enum life now)
{
    pthread_mutex_lock(&life_mutex);
    life = now;
    pthread_mutex_unlock(&life_mutex);
}

/* A database that may sleep is not woken for it. A process that has just begun is awake, one that ends is not. */
static bool is_awake(void)
{
    bool awake;

    pthread_mutex_lock(&life_mutex);
    if (life == LIFE_GOES_ON)
        awake = (tier.scheduler != NULL && mr_scheduler_is_awake(tier.scheduler)) || uses_database(&crew) ||
                uses_database(&tier.crew);
    else
        awake = life == LIFE_BEGINS;
    pthread_mutex_unlock(&life_mutex);
    return awake;
}

/* ---- The end: see runtime/shutdown.h ---- */

static bool stop_by(int64_t deadline_ms)
{
    bool tier_ended = mr_tier_stop_by(&tier, deadline_ms);
    bool crew_ended = mr_crew_stop_by(&crew, deadline_ms);
    bool declaration_ended = mr_declare_stop_by(&declaration, deadline_ms);
    bool settled = mr_settle_stop_by(&settling, deadline_ms);

    return tier_ended && crew_ended && declaration_ended && settled;
}

/* Side by side, in the time that is left. False: not everything came to its own end. */
static bool stop(const struct mr_config *config)
{
    struct mr_shutdown_plan plan = mr_shutdown_plan(config->shutdown_grace);
    int64_t begun_ms;

    mr_signals_begin();
    set_life(LIFE_ENDS);
    mr_admin_stop(&admin); /* it looks at the actors */
    begun_ms = mr_shutdown_begun_ms();
    mr_declare_ask_to_stop(declaration);
    mr_settle_ask_to_stop(settling);
    mr_tier_ask_to_stop(&tier);
    mr_crew_ask_to_stop(&crew);
    if (stop_by(begun_ms + plan.cut_ms))
        return true;
    mr_log(MR_LOG_WARN, "SHUTDOWN_GRACE is nearly over: cancelling running statements");
    mr_shutdown_cut(begun_ms + (plan.cut_ms + 3 * plan.abandon_ms) / 4);
    left_behind = !stop_by(begun_ms + plan.abandon_ms);
    if (left_behind)
        mr_log(MR_LOG_ERROR, "SHUTDOWN_GRACE is nearly over: abandoning threads that do not end");
    return false;
}

/* What has ended is sent while there is time; a collector that hangs takes none from what comes after. */
static void stop_tracer(const struct mr_config *config)
{
    int64_t deadline_ms = mr_shutdown_begun_ms() + mr_shutdown_plan(config->shutdown_grace).abandon_ms;

    left_behind = !mr_tracer_stop_by(deadline_ms) || left_behind;
}

static bool stop_all(const struct mr_config *config)
{
    bool in_order = stop(config);

    stop_tracer(config);
    return in_order;
}

static int told(mr_status status, bool in_order)
{
    if (status != MR_OK)
        mr_log(MR_LOG_ERROR, "cannot serve", mr_log_text("status", mr_status_name(status)),
               mr_log_text("reason", status == MR_NO_MEMORY ? "there is no memory, or the system allows no more threads" : ""));
    else
        mr_log(MR_LOG_INFO, "stopped");
    return status == MR_OK && in_order ? MR_EXIT_OK : MR_EXIT_FAILED;
}

void mr_serve_leave(int exit_status)
{
    if (left_behind)
        _exit(exit_status);
}

static mr_status run_gateway(const struct mr_config *config, int listen_fd)
{
    struct mr_config for_gateway = *config; /* what it may take of the grace is what stands before the cut */
    struct mr_gateway_options options = {
        .config = &for_gateway,
        .clock = &mr_system_clock,
        .actors = crew.actors,
        .actor_count = crew.count,
        .version = MR_VERSION,
        .listen_fd = listen_fd,
        .on_listening = on_listening,
        .argument = &for_gateway,
    };
    mr_status status;

    for_gateway.shutdown_grace = mr_shutdown_plan(config->shutdown_grace).cut_ms;
    status = mr_gateway_run(&options);
    mr_signals_listen_alone();
    return status;
}

/* Whether the gateway left because its time was over, and not because everything was answered. */
static bool is_overdue(const struct mr_config *config)
{
    int64_t begun_ms = mr_shutdown_begun_ms();

    return begun_ms != INT64_MAX && mr_mono_ms(&mr_system_clock) - begun_ms >= mr_shutdown_plan(config->shutdown_grace).cut_ms;
}

/* `status` is that of the start so far; whatever it is, the socket is taken care of. */
static mr_status start_admin(mr_status status, int fd, const struct mr_config *config)
{
    if (status == MR_OK)
        return mr_admin_start(&admin, fd, config, &crew, &tier);
    if (fd >= 0)
        close(fd);
    return status;
}

/* Actors connect while the application asks the database how to run its queries: before the gateway is there nobody asks them. */
static mr_status start_crew(const struct mr_config *config)
{
    mr_status status = mr_crew_start_api(&crew, config);
    bool settled = status != MR_OK || mr_application_settle(config, &first) == MR_OK;

    mr_db_destroy(&first);
    status = mr_crew_await_api(&crew, config, status);
    return status == MR_OK && !settled ? mr_settle_start(&settling, config) : status;
}

static int run_api(const struct mr_config *config, const struct mr_zone *zone, int listen_fd, int admin_fd)
{
    mr_status status = mr_declare_start(&declaration, config, is_awake);
    bool good;

    if (status == MR_OK)
        status = start_crew(config);
    if (status == MR_OK && zone != NULL)
        status = mr_tier_start(&tier, config, zone, -1);
    set_life(LIFE_GOES_ON);
    mr_declare_await(declaration);
    status = start_admin(status, admin_fd, config);
    if (status == MR_OK)
        status = run_gateway(config, listen_fd);
    else
        close(listen_fd);
    good = !mr_crew_is_refused(&crew) && !mr_tier_is_refused(&tier) && !is_overdue(config);
    return told(status, stop_all(config) && good);
}

static bool set_up(const struct mr_config *config, const char *role)
{
    signal(SIGPIPE, SIG_IGN);
    if (sodium_init() < 0)
        return false;
    mr_mailbox_setup();
    if (!migrate(config))
        return false;
    mr_signals_hold(config->shutdown_grace);
    return mr_tracer_start(config, role, MR_VERSION) == MR_OK;
}

int mr_serve_api(const struct mr_config *config, const struct mr_zone *zone)
{
    int listen_fd;
    int admin_fd;

    mr_metrics_setup(zone != NULL ? "AS" : "A", zone != NULL ? "all" : "api", config->metrics_emf);
    mr_metrics_name_environment(config->metrics_environment);
    if (!set_up(config, zone != NULL ? "all" : "api") || !open_port(config, &listen_fd))
        return MR_EXIT_FAILED;
    if (!mr_admin_listen(config, &admin_fd)) {
        close(listen_fd);
        return MR_EXIT_FAILED;
    }
    return run_api(config, zone, listen_fd, admin_fd);
}

/* ---- The scheduler ---- */

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
    mr_status status;
    bool good;
    int admin_fd;

    mr_metrics_setup("S", "scheduler", config->metrics_emf);
    mr_metrics_name_environment(config->metrics_environment);
    if (!set_up(config, "scheduler") || !mr_admin_listen(config, &admin_fd))
        return MR_EXIT_FAILED;
    mr_db_destroy(&first);
    status = mr_declare_start(&declaration, config, is_awake);
    if (status == MR_OK)
        status = mr_tier_start(&tier, config, zone, open_pulse(config));
    set_life(LIFE_GOES_ON);
    mr_declare_await(declaration);
    status = start_admin(status, admin_fd, config);
    if (status == MR_OK) {
        mr_signals_listen(ask_tier_to_stop, &tier);
        mr_log(MR_LOG_INFO, "scheduling", mr_log_text("timezone", config->schedule_timezone),
               mr_log_text("version", MR_VERSION));
        mr_activation_ready();
        mr_actors_note_serving();
        mr_signals_await();
        mr_log(MR_LOG_INFO, "draining");
    }
    good = !mr_tier_is_refused(&tier);
    return told(status, stop_all(config) && good);
}
