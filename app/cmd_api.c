#include "app/application.h"
#include "app/commands.h"
#include "app/serve.h"
#include "app/settings.h"

int mr_command_api(int argc, char **argv)
{
    struct mr_config config;
    int exit_status;

    if (!mr_application_arguments("api", argc, argv) || !mr_load_settings_of(&config, MR_RUN_API, argc, argv))
        return MR_EXIT_USAGE;
    exit_status = mr_serve_api(&config, NULL);
    mr_serve_leave(exit_status);
    return exit_status;
}
