#include "app/application.h"
#include "app/commands.h"
#include "app/embedded.h"
#include "app/secret.h"
#include "app/serve.h"
#include "app/settings.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/shutdown.h"

/* Milliseconds for the server to stop in. */
static int64_t time_left(const struct mr_config *config)
{
    int64_t begun_ms = mr_shutdown_begun_ms();

    if (begun_ms == INT64_MAX)
        return config->shutdown_grace;
    return begun_ms + mr_shutdown_plan(config->shutdown_grace).end_ms - mr_mono_ms(&mr_system_clock);
}

static int serve_embedded(struct mr_config *config, const struct mr_zone *zone)
{
    struct mr_embedded_options options = {
        .state_dir = config->state_dir, .bin_dir = config->pg_bin_dir, .database = config->db_database};
    struct mr_embedded *server = NULL;
    struct mr_buf problem = {0};
    int exit_status = MR_EXIT_FAILED;

    if (mr_embedded_start(&server, &options, &problem) == MR_OK) {
        config->db_host = mr_embedded_host(server);
        config->db_port = 5432;
        config->db_user = "postgres";
        config->db_ssl = "false";
        mr_log(MR_LOG_INFO, "embedded PostgreSQL runs", mr_log_text("socket", config->db_host));
        exit_status = mr_serve_api(config, zone);
    } else {
        mr_log(MR_LOG_ERROR, "cannot start PostgreSQL", mr_log_slice("reason", ((struct mr_slice){problem.data, problem.len})));
    }
    mr_embedded_stop(&server, time_left(config));
    mr_buf_fini(&problem);
    return exit_status;
}

/* MR_EXIT_OK: there is a secret, JWT_SECRET or the one that is kept in the state directory. */
static int find_secret(struct mr_config *config, char kept[MR_SECRET_ROOM])
{
    struct mr_buf problem = {0};
    mr_status status = config->jwt_secret[0] != '\0' ? MR_OK : mr_secret_keep(kept, config->state_dir, &problem);

    if (status != MR_OK)
        mr_log(MR_LOG_ERROR, "cannot read or make the token secret",
               mr_log_slice("reason", ((struct mr_slice){problem.data != NULL ? problem.data : "", problem.len})));
    else if (config->jwt_secret[0] == '\0')
        config->jwt_secret = kept;
    mr_buf_fini(&problem);
    return status == MR_OK ? MR_EXIT_OK : status == MR_INVALID ? MR_EXIT_USAGE : MR_EXIT_FAILED;
}

int mr_command_all(int argc, char **argv)
{
    struct mr_config config;
    struct mr_zone *zone = NULL;
    char kept[MR_SECRET_ROOM];
    int exit_status = MR_EXIT_USAGE;

    if (mr_application_arguments("all", argc, argv) && mr_load_settings_of(&config, MR_RUN_ALL, argc, argv) &&
        mr_load_zone(&zone, &config))
        exit_status = find_secret(&config, kept);
    if (zone != NULL && exit_status == MR_EXIT_OK)
        exit_status = config.db_host[0] != '\0' ? mr_serve_api(&config, zone) : serve_embedded(&config, zone);
    mr_serve_leave(exit_status);
    mr_zone_destroy(&zone);
    return exit_status;
}
