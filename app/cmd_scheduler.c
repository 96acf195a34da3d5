#include "app/application.h"
#include "app/commands.h"
#include "app/serve.h"
#include "app/settings.h"

int mr_command_scheduler(int argc, char **argv)
{
    struct mr_config config;
    struct mr_zone *zone = NULL;
    int exit_status = MR_EXIT_USAGE;

    if (mr_application_arguments("scheduler", argc, argv) && mr_load_settings_of(&config, MR_RUN_SCHEDULER, argc, argv) &&
        mr_load_zone(&zone, &config))
        exit_status = mr_serve_scheduler(&config, zone);
    mr_serve_leave(exit_status);
    mr_zone_destroy(&zone);
    return exit_status;
}
