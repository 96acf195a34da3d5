#include <stdio.h>
#include <string.h>

#include "app/commands.h"
#include "app/secret.h"
#include "app/settings.h"

static char kept[MR_SECRET_ROOM]; /* of `all`; "": none */

/* What a process would find: for JWT_SECRET also what `all` keeps, or `api` uses in development. */
static const char *found(const char *name)
{
    const char *value = mr_environment(name);
    const char *stage = mr_environment("NODE_ENV");

    if ((value != NULL && *value != '\0') || strcmp(name, "JWT_SECRET") != 0)
        return value;
    if (kept[0] != '\0')
        return kept;
    return stage != NULL && strcmp(stage, "development") == 0 ? MR_EXAMPLE_JWT_SECRET : value;
}

/* Where the secret comes from, for people: beside the table, so that it stays NAME=VALUE. */
static void explain_secret(void)
{
    const char *secret = mr_config_value("JWT_SECRET", mr_environment);
    const char *stage = mr_environment("NODE_ENV");
    const char *state_dir = mr_config_value("MILLRACE_STATE_DIR", mr_environment);
    struct mr_buf text = {0};
    mr_status status;

    if (*secret != '\0')
        return;
    if (stage != NULL && strcmp(stage, "production") == 0) {
        fputs("millrace config: JWT_SECRET is not set: `all` and `api` refuse to start\n", stderr);
        return;
    }
    status = mr_secret_read(kept, state_dir, &text);
    if (status == MR_OK || status == MR_NOT_FOUND)
        mr_secret_path(&text, state_dir);
    if (status != MR_OK)
        kept[0] = '\0';
    fprintf(stderr, "millrace config: JWT_SECRET is not set: `all` %s %.*s; `api` %s\n",
            status == MR_OK          ? "uses the one in"
            : status == MR_NOT_FOUND ? "makes one in"
                                     : "refuses to start:",
            (int)text.len, text.len > 0 ? text.data : "",
            stage != NULL && strcmp(stage, "development") == 0 ? "uses the published example" : "refuses to start");
    mr_buf_fini(&text);
}

static void load(void)
{
    struct mr_buf problems = {0};

    if (!mr_load_environment(MR_RUN_ALL, &problems))
        fprintf(stderr, "millrace config: a process would refuse to start:\n%.*s", (int)problems.len,
                problems.len > 0 ? problems.data : "");
    mr_buf_fini(&problems);
    explain_secret();
}

int mr_command_config(int argc, char **argv)
{
    const char *form = argc > 0 ? argv[0] : "";
    struct mr_buf out = {0};

    if (argc > 1 || (argc == 1 && strcmp(form, "--json") != 0 && strcmp(form, "--markdown") != 0)) {
        fprintf(stderr, "millrace config: takes --json or --markdown, got '%s'\n", argv[argc - 1]);
        return MR_EXIT_USAGE;
    }
    if (strcmp(form, "--markdown") == 0) {
        mr_config_print_markdown(&out);
    } else {
        load();
        (argc == 0 ? mr_config_print : mr_config_print_json)(&out, found);
    }
    fwrite(out.data, 1, out.len, stdout);
    mr_buf_fini(&out);
    return MR_EXIT_OK;
}
