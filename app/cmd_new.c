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
          "                                 boolean, date, timestamp and json. FIELD:TYPE:many is an array; with :clearable "
          "the\n"
          "                                 field may be null; with :unique no two rows have the same value\n"
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

static mr_status make_application(struct mr_scaffold *self, char **argv, unsigned count)
{
    (void)count;
    self->folder = argv[0];
    return mr_scaffold_application(self);
}

static mr_status make_resource(struct mr_scaffold *self, char **argv, unsigned count)
{
    return mr_scaffold_resource(self, argv[0], (const char *const *)(argv + 1), count - 1);
}

static mr_status make_migration(struct mr_scaffold *self, char **argv, unsigned count)
{
    (void)count;
    return mr_scaffold_migration(self, argv[0]);
}

static mr_status make_job(struct mr_scaffold *self, char **argv, unsigned count)
{
    (void)count;
    return mr_scaffold_job(self, argv[0]);
}

/* What can be made, and whether anything may follow its name. */
static const struct kind {
    const char *name;
    bool takes_more;
    mr_status (*make)(struct mr_scaffold *self, char **argv, unsigned count);
} kinds[] = {
    {"app", false, make_application},
    {"resource", true, make_resource},
    {"migration", false, make_migration},
    {"job", false, make_job},
};

static const struct kind *find(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(name, kinds[i].name) == 0)
            return &kinds[i];
    return NULL;
}

static int exit_status_of(mr_status status)
{
    switch (status) {
    case MR_OK: return MR_EXIT_OK;
    case MR_INVALID: return MR_EXIT_USAGE;
    default: return MR_EXIT_FAILED;
    }
}

int mr_command_new(int argc, char **argv)
{
    const struct kind *kind = argc > 0 ? find(argv[0]) : NULL;
    struct mr_application_options options = {.lookup = mr_environment};
    struct mr_buf told = {0};
    struct mr_buf problem = {0};
    struct mr_scaffold scaffold = {application_folder(), &options, &told, &problem};
    mr_status status;

    if (argc == 1 && mr_is_help(argv[0])) {
        usage(stdout);
        return MR_EXIT_OK;
    }
    if (argc > 0 && kind == NULL)
        fprintf(stderr, "millrace new: '%s' is none of app, resource, migration and job\n\n", argv[0]);
    if (kind == NULL || argc < 2 || (argc > 2 && !kind->takes_more))
        return usage(stderr);
    status = kind->make(&scaffold, argv + 1, (unsigned)(argc - 1));
    if (status == MR_NO_MEMORY || told.failed || problem.failed)
        fputs("millrace new: out of memory\n", stderr);
    mr_buf_print(&told, stdout);
    mr_buf_print(&problem, stderr);
    mr_buf_fini(&told);
    mr_buf_fini(&problem);
    return exit_status_of(status);
}
