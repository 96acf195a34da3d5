#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "app/application.h"
#include "app/commands.h"
#include "app/settings.h"
#include "runtime/migrate.h"

static mr_status up(const struct mr_config *config, struct mr_buf *problem)
{
    unsigned applied;
    mr_status status = mr_migrate_up(config, &mr_system_clock, 0, &applied, problem);

    if (status == MR_OK)
        printf(applied > 0 ? "applied %u\n" : "nothing to apply\n", applied);
    return status;
}

static mr_status list(const struct mr_config *config, struct mr_buf *problem)
{
    struct mr_buf out = {0};
    mr_status status = mr_migrate_status(config, &mr_system_clock, &out, problem);

    if (status == MR_OK)
        mr_buf_print(&out, stdout);
    mr_buf_fini(&out);
    return status;
}

int mr_command_migrate(int argc, char **argv)
{
    const char *what = argc > 0 ? argv[0] : "up";
    struct mr_buf problem = {0};
    struct mr_config config;
    mr_status status;

    if (argc > 1 || (strcmp(what, "up") != 0 && strcmp(what, "status") != 0)) {
        fprintf(stderr, "millrace migrate: takes up or status, got '%s'\n", argv[argc - 1]);
        return MR_EXIT_USAGE;
    }
    if (!mr_load_settings_of(&config, MR_RUN_MIGRATE, 0, NULL))
        return MR_EXIT_USAGE;
    if (sodium_init() < 0)
        return MR_EXIT_FAILED;
    status = strcmp(what, "up") == 0 ? up(&config, &problem) : list(&config, &problem);
    if (status != MR_OK)
        fprintf(stderr, "millrace migrate: %.*s\n", (int)problem.len, problem.len > 0 ? problem.data : "");
    mr_buf_fini(&problem);
    return status == MR_OK ? MR_EXIT_OK : MR_EXIT_FAILED;
}
