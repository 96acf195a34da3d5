/*
 * settings: what every subcommand does first with the environment.
 */
#ifndef MR_APP_SETTINGS_H
#define MR_APP_SETTINGS_H

#include "runtime/config.h"
#include "scheduler/zone.h"

/* Refuses arguments that a command does not take: prints so and returns false. */
bool mr_no_arguments(const char *command, int argc, char **argv);

/* The environment, as mr_config_read wants it. */
const char *mr_environment(const char *name);

/* Reads .env into the environment, unless NODE_ENV=production; for commands that need no other setting. */
void mr_load_dotenv(void);

/* As mr_load_settings, but prints nothing and leaves the log alone. False: `problems` has a line for each. */
bool mr_read_settings(struct mr_config *out, enum mr_role_of_process role, struct mr_buf *problems);

/*
 * Reads .env (unless NODE_ENV=production) and the files of secrets, then the settings of the role, and sets the log
 * up. What libpq would read from the environment is taken out of it. False: every problem has been printed, and the exit status is MR_EXIT_USAGE.
 */
bool mr_load_settings(struct mr_config *out, enum mr_role_of_process role);

/*
 * Opens SCHEDULE_TIMEZONE, while there is one thread only. False: a schedule has no tick in it, which has been printed, and
 * the exit status is MR_EXIT_USAGE.
 */
bool mr_load_zone(struct mr_zone **out, const struct mr_config *config);

#endif
