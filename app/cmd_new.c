#include <stdio.h>
#include <string.h>

#include "app/commands.h"
#include "app/settings.h"
#include "application/scaffold.h"

static int usage(FILE *out)
{
    fputs("usage: millrace new WHAT\n\n"
          "  app DIR                        an application: a folder with its millrace.yaml\n"
          "  resource NAME FIELD:TYPE ...   a resource and the migration of its table; types are text, uuid, integer, decimal, "
          "number,\n"
          "                                 boolean, date, timestamp and json; FIELD:TYPE:many is an array, :clearable may be "
          "null,\n"
          "                                 and :unique is there once\n"
          "  migration NAME                 a migration under the next number\n"
          "  job NAME                       a job and its statement\n\n"
          "All but `app` write to the application that MILLRACE_APP names, or else to the one in this folder. Nothing is "
          "overwritten.\n",
          out);
    return MR_EXIT_USAGE;
}

static const char *application_folder(void)
{
    const char *folder = mr_environment("MILLRACE_APP");

    return folder != NULL && *folder != '\0' ? folder : ".";
}

/* MR_OVERLOADED, which no scaffold answers: the call is not one of these. */
static mr_status make(struct mr_scaffold *self, int argc, char **argv)
{
    const char *what = argc > 0 ? argv[0] : "";

    if (strcmp(what, "app") == 0 && argc == 2) {
        self->folder = argv[1];
        return mr_scaffold_application(self);
    }
    if (strcmp(what, "resource") == 0 && argc >= 2)
        return mr_scaffold_resource(self, argv[1], (const char *const *)(argv + 2), (unsigned)(argc - 2));
    if (strcmp(what, "migration") == 0 && argc == 2)
        return mr_scaffold_migration(self, argv[1]);
    if (strcmp(what, "job") == 0 && argc == 2)
        return mr_scaffold_job(self, argv[1]);
    return MR_OVERLOADED;
}

static int exit_status_of(mr_status status)
{
    switch (status) {
    case MR_OK: return MR_EXIT_OK;
    case MR_INVALID: return MR_EXIT_USAGE;
    case MR_OVERLOADED: return usage(stderr);
    default: return MR_EXIT_FAILED;
    }
}

static bool is_known(const char *what)
{
    static const char *const all[] = {"app", "resource", "migration", "job"};

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (strcmp(what, all[i]) == 0)
            return true;
    return false;
}

int mr_command_new(int argc, char **argv)
{
    bool helps = argc == 1 && mr_is_help(argv[0]);
    struct mr_application_options options = {.lookup = mr_environment};
    struct mr_buf told = {0};
    struct mr_buf problem = {0};
    struct mr_scaffold scaffold = {application_folder(), &options, &told, &problem};
    mr_status status;

    if (helps) {
        usage(stdout);
        return MR_EXIT_OK;
    }
    if (argc > 0 && !is_known(argv[0]))
        fprintf(stderr, "millrace new: '%s' is none of app, resource, migration and job\n\n", argv[0]);
    status = make(&scaffold, argc, argv);
    if (status == MR_NO_MEMORY || told.failed || problem.failed)
        fputs("millrace new: out of memory\n", stderr);
    mr_buf_print(&told, stdout);
    mr_buf_print(&problem, stderr);
    mr_buf_fini(&told);
    mr_buf_fini(&problem);
    return exit_status_of(status);
}
