/*
 * millrace check [DIR]: every problem of an application's folder. The files come first; then a scratch database shows what the
 * migrations make, and what of the declarations it does not bear out. Nothing of it is left, whatever happens.
 */
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/application.h"
#include "app/commands.h"
#include "app/scratch.h"
#include "app/settings.h"
#include "application/build.h"
#include "application/verify.h"
#include "runtime/app_ledger.h"
#include "runtime/log.h"
#include "runtime/migrate.h"

static volatile sig_atomic_t stopped_by;

static void on_signal(int number)
{
    stopped_by = number;
}

/* The scratch database is to be gone first. */
static void listen_to_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* As if it had not been held: a shell that waits learns what ended the process. */
static void leave_by_signal(void)
{
    if (stopped_by == 0)
        return;
    signal(stopped_by, SIG_DFL);
    raise(stopped_by);
}

static bool is_stopped(void *argument)
{
    (void)argument;
    return stopped_by != 0;
}

/* ---- The folder ---- */

static bool is_folder(const char *path)
{
    struct stat about;

    if (stat(path, &about) != 0)
        fprintf(stderr, "millrace check: %s: %s\n", path, strerror(errno));
    else if (!S_ISDIR(about.st_mode))
        fprintf(stderr, "millrace check: %s is not a folder\n", path);
    else
        return true;
    return false;
}

/* What is checked: what could be read of it, and what it became if nothing was in the way. */
struct subject {
    struct mr_application *application;
    struct mr_built *built;
};

/* False: there is no memory for it. */
static bool read_subject(struct subject *self, const char *folder, struct mr_problems *problems)
{
    struct mr_application_options options = {
        .packed = mr_application_packed(folder), .lookup = mr_environment, .keep_broken = true};
    mr_status status = mr_application_load(&self->application, folder, &options, problems);

    if (status == MR_OK)
        status = mr_application_build(&self->built, self->application, problems);
    if (status == MR_NO_MEMORY)
        fprintf(stderr, "millrace check: there is no memory to read the application in %s\n", folder);
    return status != MR_NO_MEMORY;
}

static void forget_subject(struct subject *self)
{
    mr_built_destroy(&self->built);
    mr_application_destroy(&self->application);
}

/* ---- Against a database ---- */

static int fail(const char *what, const struct mr_buf *problem)
{
    fprintf(stderr, "millrace check: %s%.*s\n", what, (int)problem->len, problem->len > 0 ? problem->data : "");
    return MR_EXIT_FAILED;
}

static int verify_on(mr_db *db, const struct subject *subject, struct mr_problems *problems)
{
    struct mr_verify_options options = {.db = db, .built = subject->built, .is_over = is_stopped};
    mr_status status = mr_db_reconnect(db);

    if (status == MR_OK)
        status = mr_verify(subject->application, &options, problems);
    if (status != MR_OK && stopped_by == 0)
        fprintf(stderr, "millrace check: the scratch database failed: %s\n",
                status == MR_NO_MEMORY ? "out of memory" : mr_db_last_error(db)->message);
    return status == MR_OK ? MR_EXIT_OK : MR_EXIT_FAILED;
}

/* The engine's tables and nothing else: what the application's migrations make is for mr_verify to find out. */
static int verify(const struct mr_config *config, const struct subject *subject, struct mr_problems *problems)
{
    static const struct mr_app_steps nothing = {.count = 0};
    struct mr_db_options options = {
        .config = config, .clock = &mr_system_clock, .host = config->db_host, .application_name = "millrace check"};
    struct mr_buf problem = {0};
    unsigned applied;
    mr_db *db = NULL;
    int result = MR_EXIT_FAILED;

    mr_app_steps_install(&nothing);
    if (mr_migrate_up(config, &mr_system_clock, 0, &applied, &problem) != MR_OK)
        fail("the engine's migrations: ", &problem);
    else if (mr_db_new(&db, &options, NULL) == MR_OK)
        result = verify_on(db, subject, problems);
    mr_db_destroy(&db);
    mr_buf_fini(&problem);
    return result;
}

static int verify_on_scratch(const struct mr_config *config, const struct subject *subject, struct mr_problems *problems)
{
    struct mr_scratch *scratch = NULL;
    struct mr_buf problem = {0};
    int result = MR_EXIT_FAILED;

    if (mr_scratch_new(&scratch, config, &problem) != MR_OK)
        fail("", &problem);
    else if (stopped_by == 0)
        result = verify(mr_scratch_config(scratch), subject, problems);
    mr_buf_clear(&problem, SIZE_MAX);
    if (mr_scratch_destroy(&scratch, &problem) != MR_OK)
        result = fail("", &problem);
    mr_buf_fini(&problem);
    return result;
}

/* ---- All of it ---- */

static void print_good(const struct mr_application *application)
{
    printf("%s: resources %u, operations %u, jobs %u, migrations %u: no problem\n", application->title,
           application->resource_count, application->operation_count, application->job_count, application->migration_count);
}

static int print(struct mr_problems *problems)
{
    struct mr_buf out = {0};

    mr_problems_print(problems, &out);
    mr_buf_print(&out, stdout);
    mr_buf_fini(&out);
    return MR_EXIT_USAGE;
}

static int check(const struct mr_config *config, const char *folder)
{
    struct mr_problems problems = {0};
    struct subject subject = {.built = NULL};
    int result = MR_EXIT_FAILED;

    if (read_subject(&subject, folder, &problems))
        result = verify_on_scratch(config, &subject, &problems);
    if (problems.failed) {
        fputs("millrace check: out of memory\n", stderr);
        result = MR_EXIT_FAILED;
    }
    if (stopped_by == 0 && problems.found > 0)
        result = print(&problems);
    else if (result == MR_EXIT_OK)
        print_good(subject.application);
    forget_subject(&subject);
    mr_problems_fini(&problems);
    return result;
}

int mr_command_check(int argc, char **argv)
{
    struct mr_config config;
    const char *folder;
    int result;

    if (!mr_application_arguments("check", argc, argv) || !mr_load_settings(&config, MR_RUN_CHECK))
        return MR_EXIT_USAGE;
    mr_log_setup(MR_LOG_WARN, false);
    folder = mr_application_folder_here(argc, argv);
    if (folder[0] == '\0') {
        fputs("millrace check: there is no millrace.yaml here; name a folder, or set MILLRACE_APP;"
              " `millrace new app DIR` makes one\n",
              stderr);
        return MR_EXIT_USAGE;
    }
    if (mr_application_packed(folder) == NULL && !is_folder(folder))
        return MR_EXIT_USAGE;
    if (sodium_init() < 0)
        return MR_EXIT_FAILED;
    listen_to_signals();
    result = check(&config, folder);
    leave_by_signal();
    return result;
}
