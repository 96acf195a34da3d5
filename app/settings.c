#include "app/settings.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/log.h"
#include "runtime/tracer.h"
#include "scheduler/scheduler.h"

enum { CHECKS_MOST = 16 };

bool mr_no_arguments(const char *command, int argc, char **argv)
{
    if (argc == 0)
        return true;
    fprintf(stderr, "millrace %s: takes no argument, got '%s'\n", command, argv[0]);
    return false;
}

const char *mr_environment(const char *name)
{
    return getenv(name);
}

static bool is_production(void)
{
    const char *env = getenv("NODE_ENV");

    return env != NULL && strcmp(env, "production") == 0;
}

static void refuse(const struct mr_buf *problems)
{
    fprintf(stderr, "millrace: the configuration is refused:\n%.*s", (int)problems->len,
            problems->len > 0 ? problems->data : "");
}

/*
 * libpq reads PGHOSTADDR, PGSERVICE, PGOPTIONS and two dozen more, each of which could lead a connection elsewhere or change
 * what it means. Settings have names of their own; what begins with PG is for other programs.
 */
static void clear_libpq_environment(void)
{
    char **entry = environ;
    char name[64];

    while (*entry != NULL) {
        size_t len = strcspn(*entry, "=");

        snprintf(name, sizeof name, "%.*s", (int)len, *entry);
        if (strncmp(name, "PG", 2) != 0 || len >= sizeof name || unsetenv(name) != 0)
            entry++; /* otherwise the next has moved here */
    }
}

void mr_load_dotenv(void)
{
    if (!is_production() && mr_config_load_dotenv(".env") != MR_OK)
        fputs("millrace: .env cannot be read\n", stderr);
}

static bool load_environment(enum mr_role_of_process role, struct mr_buf *problems)
{
    mr_load_dotenv();
    clear_libpq_environment();
    return mr_config_load_secrets(role, problems) == MR_OK;
}

static void set_up_log(const struct mr_config *config)
{
    enum mr_log_level level = MR_LOG_INFO;

    (void)mr_log_level_parse(config->logging_level, &level);
    mr_log_setup(level, strcmp(config->logging_format, "json") == 0);
    if (strcmp(config->jwt_secret, MR_EXAMPLE_JWT_SECRET) == 0)
        mr_log(MR_LOG_WARN, "tokens are signed with the published example secret: anybody can forge them");
}

/* The rules of all folders; every list ends at a NULL rule. */
static void gather_checks(struct mr_config_check out[CHECKS_MOST])
{
    const struct mr_config_check *const lists[] = {mr_scheduler_checks, mr_tracer_checks};
    unsigned count = 0;

    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        for (const struct mr_config_check *check = lists[i]; check->rule != NULL; check++) {
            assert(count + 1 < CHECKS_MOST);
            out[count++] = *check;
        }
    out[count] = (struct mr_config_check){NULL, NULL};
}

bool mr_read_settings(struct mr_config *out, enum mr_role_of_process role, struct mr_buf *problems)
{
    struct mr_config_check checks[CHECKS_MOST];
    bool good = load_environment(role, problems);

    gather_checks(checks);
    return mr_config_read(out, role, mr_environment, checks, problems) == MR_OK && good;
}

bool mr_load_settings(struct mr_config *out, enum mr_role_of_process role)
{
    struct mr_buf problems = {0};
    bool good = mr_read_settings(out, role, &problems);

    if (good) {
        set_up_log(out);
    } else {
        refuse(&problems);
    }
    mr_buf_fini(&problems);
    return good;
}

bool mr_load_zone(struct mr_zone **out, const struct mr_config *config)
{
    struct mr_buf problems = {0};
    bool good = mr_zone_new(out, config->schedule_timezone) == MR_OK && mr_scheduler_check(config, *out, &problems);

    if (!good)
        refuse(&problems);
    mr_buf_fini(&problems);
    return good;
}
