/*
 * config: the settings of this process, read once from its environment.
 */
#ifndef MR_RUNTIME_CONFIG_H
#define MR_RUNTIME_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/buffer.h"
#include "proto/status.h"
#include "runtime/settings.h"

/* What a process does; decides which settings it reads. */
enum mr_role_of_process { MR_RUN_ALL, MR_RUN_API, MR_RUN_SCHEDULER, MR_RUN_MIGRATE, MR_RUN_CHECK, MR_RUN_HEALTH };

/* The secret that documents and examples show: good enough to try things, refused unless NODE_ENV=development is said. */
#define MR_EXAMPLE_JWT_SECRET "development-only-secret-do-not-use-in-production"

/* Bytes of a secret that is long enough: as many as the hash of HS256 has (RFC 7518, 3.2). */
enum { MR_JWT_SECRET_LEAST = 32 };

/* clang-format off */
#define MR_C_INTEGER  int64_t
#define MR_C_BYTES    int64_t
#define MR_C_DURATION int64_t
#define MR_C_BOOLEAN  bool
#define MR_C_CHOICE   const char *
#define MR_C_TEXT     const char *
#define MR_C_SECRET   const char *
/* clang-format on */

/* One member a setting; text is owned by the process environment and lives as long as the process. */
struct mr_config {
#define SET(member, name, alias, type, otherwise, rule, roles, about) MR_C_##type member;
    MR_SETTINGS(SET)
#undef SET
};

/* How the environment is read; getenv in the binary, a table in tests. */
typedef const char *mr_getenv(const char *name);

/* A rule for text that a folder above this one knows: `rule` is its name in the settings table. */
struct mr_config_check {
    const char *rule;
    bool (*is_good)(const char *value, struct mr_buf *reason); /* false: `reason` says what is expected */
};

/*
 * Reads the settings of a role into `out`. Appends a line to `problems` for every wrong setting: its name, its value (never a
 * secret's) and what is expected. MR_INVALID: there is at least one. `checks` ends with a NULL rule; NULL: none. For MR_RUN_ALL,
 * jwt_secret is "" if none is set: a process that serves has to make one (app/secret.h).
 */
mr_status mr_config_read(struct mr_config *out, enum mr_role_of_process role, mr_getenv *get,
                         const struct mr_config_check *checks, struct mr_buf *problems) MR_WARN_UNUSED;

/* The value of a TEXT or CHOICE setting, e.g. "SCHEDULE_TIMEZONE"; "" if it is unset. The setting has to exist. Borrowed. */
const char *mr_config_text(const struct mr_config *self, const char *name);

/* The effective value of any setting as text: from the environment, else the default. The setting has to exist. Borrowed. */
const char *mr_config_value(const char *name, mr_getenv *get);

/*
 * Appends the scheduler's settings, without secrets, as a JSON object with durations in milliseconds. The statements of jobs may
 * use these.
 */
void mr_config_values_json(struct mr_buf *out, const struct mr_config *self);

/* A setting that the application of this process has beside: a variable that stands in its files. */
struct mr_config_variable {
    const char *name;
    const char *takes;     /* "text", "cron", "timezone", or the words there are: "completed|all" */
    const char *otherwise; /* its value when it is not set; "": none */
    const char *about;
    bool is_secret;
};

/* They are printed behind the engine's, but for those that are the engine's, too. A zeroed struct has none. */
struct mr_config_more {
    const struct mr_config_variable *items;
    unsigned count;
};

/* Appends every setting with its effective value, secrets masked, as lines for people. Out of memory: `out->failed`. */
void mr_config_print(struct mr_buf *out, mr_getenv *get, const struct mr_config_more *more);

/* As mr_config_print, as a JSON array. Out of memory: `out->failed`. */
void mr_config_print_json(struct mr_buf *out, mr_getenv *get, const struct mr_config_more *more);

/* Appends the table of settings as Markdown, for the documentation. */
void mr_config_print_markdown(struct mr_buf *out, const struct mr_config_more *more);

/*
 * Sets the environment variables that the NAME=VALUE lines of a file name and that are not set yet. A line with `#` is a
 * comment, and quotes around a value are removed. A missing file is no failure.
 */
mr_status mr_config_load_dotenv(const char *path) MR_WARN_UNUSED;

/* Reads a file of text without the end of its last line; false when there is none that can be read, or it does not fit. */
bool mr_config_read_secret(const char *path, char *out, size_t room) MR_WARN_UNUSED;

/*
 * Reads the secrets of a role from the files that NAME_FILE variables name, and sets the variables NAME in the environment.
 * Containers and systemd hand secrets over as files, and /proc/PID/environ never shows them. Appends problems as mr_config_read
 * does.
 */
mr_status mr_config_load_secrets(enum mr_role_of_process role, struct mr_buf *problems) MR_WARN_UNUSED;

#endif
