#include "app/application.h"

#include <stdio.h>
#include <unistd.h>
#include <time.h>

#include "app/ahead.h"
#include "app/settings.h"
#include "application/build.h"
#include "application/folder.h"
#include "proto/message.h"
#include "runtime/log.h"

enum { SETTLE_PATIENCE_MS = 10000, SETTLE_PAUSE_MS = 100 };

/* Until the process ends: everything that was installed borrows them. */
static struct mr_application *application;
static struct mr_built *built;

bool mr_application_arguments(const char *command, int argc, char **argv)
{
    if (argc == 0 || (argc == 1 && argv[0][0] != '-' && argv[0][0] != '\0'))
        return true;
    fprintf(stderr, "millrace %s: takes the folder of one application, got '%s'\n", command, argv[argc - 1]);
    return false;
}

static void tell(const char *folder, mr_status status, struct mr_problems *problems)
{
    struct mr_buf text = {0};

    if (status == MR_NO_MEMORY || problems->failed) {
        fprintf(stderr, "millrace: there is no memory to read the application in %s\n", folder);
        return;
    }
    mr_problems_print(problems, &text);
    fprintf(stderr, "millrace: the application in '%s' is refused:\n%.*s", folder, (int)text.len,
            text.len > 0 ? text.data : "");
    mr_buf_fini(&text);
}

const struct mr_packed *mr_application_packed(const char *folder)
{
    return strcmp(folder, "tasks:") == 0 ? &mr_packed_application : NULL;
}

void mr_application_variables(void (*call)(const struct mr_app_variable *variable, void *argument), void *argument)
{
    const char *named = mr_environment("MILLRACE_APP");
    const char *folder = named != NULL && named[0] != '\0' ? named : "tasks:";
    struct mr_application_options options = {
        .packed = mr_application_packed(folder), .lookup = mr_environment, .keep_broken = true};
    struct mr_problems problems = {0};
    struct mr_application *read = NULL;
    mr_status status = mr_application_load(&read, folder, &options, &problems);

    if (status != MR_OK)
        tell(folder, status, &problems);
    for (unsigned i = 0; read != NULL && i < read->variable_count; i++)
        call(&read->variables[i], argument);
    mr_problems_fini(&problems);
    mr_application_destroy(&read);
}

/* What comes of it is for the caller, also when it fails. */
static bool read_folder(const char *folder, struct mr_application **out, struct mr_built **tables)
{
    struct mr_application_options options = {.packed = mr_application_packed(folder), .lookup = mr_environment};
    struct mr_problems problems = {0};
    mr_status status = mr_application_load(out, folder, &options, &problems);

    if (status == MR_OK)
        status = mr_application_build(tables, *out, &problems);
    if (status != MR_OK)
        tell(folder, status, &problems);
    mr_problems_fini(&problems);
    return status == MR_OK;
}

static const char *folder_named(int argc, char **argv)
{
    const char *named = mr_environment("MILLRACE_APP");

    return argc > 0 ? argv[0] : named != NULL ? named : "";
}

/* `works`: on jobs. */
static bool use(const char *named, bool works)
{
    const char *folder = named[0] != '\0' ? named : "tasks:";
    struct mr_problems none = {0};

    if (!read_folder(folder, &application, &built))
        return false;
    if (works && mr_built_read_jobs(built) != MR_OK) {
        tell(folder, MR_NO_MEMORY, &none);
        return false;
    }
    mr_built_install(built);
    mr_needs_install(mr_built_needs(built));
    return true;
}

static void give_up_connection(void)
{
    mr_db *ahead = mr_ahead_take();

    mr_db_destroy(&ahead);
}

bool mr_load_settings_of(struct mr_config *config, enum mr_role_of_process role, int argc, char **argv)
{
    bool good = mr_load_settings(config, role);

    if (good && (role == MR_RUN_API || role == MR_RUN_SCHEDULER || role == MR_RUN_ALL))
        mr_ahead_begin(config);
    good = use(folder_named(argc, argv), role == MR_RUN_SCHEDULER || role == MR_RUN_ALL) && good;
    mr_ahead_await();
    if (!good)
        give_up_connection();
    return good;
}

const char *mr_application_folder_here(int argc, char **argv)
{
    const char *folder = folder_named(argc, argv);

    return folder[0] == '\0' && access("millrace.yaml", F_OK) == 0 ? "." : folder;
}

bool mr_application_use_here(int argc, char **argv)
{
    return use(mr_application_folder_here(argc, argv), false);
}

struct mr_application *mr_application_try(const char *folder)
{
    struct mr_application *tried = NULL;
    struct mr_built *tables = NULL;

    if (!read_folder(folder, &tried, &tables))
        mr_application_destroy(&tried);
    mr_built_destroy(&tables);
    return tried;
}

/* ---- What the database decides ---- */

static mr_status connect(mr_db *db)
{
    int64_t give_up_ms = mr_mono_ms(&mr_system_clock) + SETTLE_PATIENCE_MS;
    mr_status status;

    while ((status = mr_db_connect(db)) != MR_OK && !mr_db_is_hopeless(db) && mr_mono_ms(&mr_system_clock) < give_up_ms)
        nanosleep(&(struct timespec){.tv_nsec = SETTLE_PAUSE_MS * 1000000L}, NULL);
    return status;
}

/* What has not been migrated cannot say it: it is as if it were not there. */
static mr_status check_migrations(mr_db *db, struct mr_buf *reason)
{
    enum mr_db_trouble trouble;
    mr_status status = mr_needs_migrations(db, mr_mono_ms(&mr_system_clock) + SETTLE_PATIENCE_MS, reason, &trouble);

    return status == MR_CONFLICT ? MR_UNAVAILABLE : MR_OK;
}

/* `reason`: of another status than MR_OK. */
static mr_status settle_on(mr_db *db, struct mr_buf *reason)
{
    const char *missing = NULL;
    mr_status status = check_migrations(db, reason);

    if (status != MR_OK)
        return status;
    status = mr_built_settle(built, db, mr_mono_ms(&mr_system_clock) + SETTLE_PATIENCE_MS, &missing);
    if (status == MR_OK && missing == NULL)
        return MR_OK;
    mr_buf_text(reason, missing != NULL ? missing : status == MR_NO_MEMORY ? "out of memory" : mr_db_last_error(db)->message);
    return status == MR_OK ? MR_NOT_FOUND : status;
}

/* `connected`: what came of connecting. */
static mr_status settle(mr_db *db, mr_status connected, bool tells)
{
    struct mr_buf reason = {0};
    mr_status status = connected;

    if (status == MR_OK)
        status = settle_on(db, &reason);
    else
        mr_buf_text(&reason, mr_db_last_error(db)->message);
    if (status != MR_OK && tells)
        mr_log(MR_LOG_WARN, "queries run one by one for now",
               mr_log_slice("reason", ((struct mr_slice){reason.data, reason.len})));
    mr_buf_fini(&reason);
    return status;
}

static mr_status open_db(const struct mr_config *config, mr_db **out)
{
    struct mr_db_options options = {
        .config = config, .clock = &mr_system_clock, .host = config->db_host, .application_name = "millrace start"};

    return mr_db_new(out, &options, NULL);
}

mr_status mr_application_settle(const struct mr_config *config, mr_db **given)
{
    mr_status status = MR_OK;

    if (built != NULL && mr_built_has_choices(built)) {
        status = *given != NULL ? MR_OK : open_db(config, given);
        if (status == MR_OK)
            status = settle(*given, connect(*given), true);
    }
    mr_db_destroy(given);
    return status;
}

mr_status mr_application_settle_late(const struct mr_config *config)
{
    mr_db *db = NULL;
    mr_status status = open_db(config, &db);

    if (status == MR_OK)
        status = settle(db, mr_db_connect(db), false);
    mr_db_destroy(&db);
    return status;
}

const struct mr_built *mr_application_built(void)
{
    return built;
}
