#include <stdio.h>
#include <string.h>

#include "app/application.h"
#include "app/commands.h"
#include "app/secret.h"
#include "app/settings.h"
#include "application/load.h"

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
    struct mr_config ignored;
    struct mr_buf problems = {0};

    if (!mr_read_settings(&ignored, MR_RUN_ALL, &problems))
        fprintf(stderr, "millrace config: a process would refuse to start:\n%.*s", (int)problems.len,
                problems.len > 0 ? problems.data : "");
    mr_buf_fini(&problems);
    explain_secret();
}

/* ---- The application's ---- */

struct gathered {
    struct mr_config_variable items[MR_VARIABLES_MAX];
    struct mr_config_more more;
    struct mr_arena arena; /* of their texts: the application is gone when they are printed */
};

static const char *kept_text(struct gathered *self, const char *text)
{
    const char *copy = mr_arena_text(&self->arena, mr_slice_of(text));

    return copy != NULL ? copy : "";
}

/* What the file says that it is for, and where it stands. */
static const char *about_of(struct gathered *self, const struct mr_app_variable *variable)
{
    struct mr_buf text = {0};
    const char *out;

    if (variable->about != NULL)
        mr_buf_printf(&text, "%s; ", variable->about);
    mr_buf_printf(&text, "the application's `%s` (%s)", variable->path, variable->place.file);
    if (variable->fallback == NULL)
        mr_buf_text(&text, "; needed");
    mr_buf_char(&text, '\0');
    out = kept_text(self, text.failed ? "" : text.data);
    mr_buf_fini(&text);
    return out;
}

static void gather(const struct mr_app_variable *variable, void *argument)
{
    struct gathered *self = argument;

    if (self->more.count == MR_VARIABLES_MAX)
        return;
    self->items[self->more.count++] =
        (struct mr_config_variable){.name = kept_text(self, variable->name),
                                    .takes = kept_text(self, variable->takes),
                                    .otherwise = kept_text(self, variable->fallback != NULL ? variable->fallback : ""),
                                    .about = about_of(self, variable),
                                    .is_secret = variable->is_secret};
    self->more.items = self->items;
}

int mr_command_config(int argc, char **argv)
{
    static struct gathered gathered = {.arena = {.limit = MR_APPLICATION_MEMORY}};
    const char *form = argc > 0 ? argv[0] : "";
    struct mr_buf out = {0};

    if (argc > 1 || (argc == 1 && strcmp(form, "--json") != 0 && strcmp(form, "--markdown") != 0)) {
        fprintf(stderr, "millrace config: takes --json or --markdown, got '%s'\n", argv[argc - 1]);
        return MR_EXIT_USAGE;
    }
    if (strcmp(form, "--markdown") != 0)
        load();
    mr_application_variables(gather, &gathered);
    if (strcmp(form, "--markdown") == 0)
        mr_config_print_markdown(&out, &gathered.more);
    else
        (argc == 0 ? mr_config_print : mr_config_print_json)(&out, found, &gathered.more);
    mr_buf_print(&out, stdout);
    mr_buf_fini(&out);
    mr_arena_fini(&gathered.arena);
    return MR_EXIT_OK;
}
