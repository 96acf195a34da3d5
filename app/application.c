#include "app/application.h"

#include <stdio.h>

#include "app/settings.h"
#include "application/build.h"
#include "proto/message.h"

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

static bool is_engine(enum mr_op op)
{
    return !mr_op_info(op)->traits->built_in;
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

bool mr_application_use(int argc, char **argv)
{
    const char *named = mr_environment("MILLRACE_APP");
    const char *folder = argc > 0 ? argv[0] : named != NULL ? named : "";
    struct mr_application_options options = {.lookup = mr_environment, .is_engine = is_engine};
    struct mr_problems problems = {0};
    mr_status status;

    if (folder[0] == '\0')
        return true;
    status = mr_application_load(&application, folder, &options, &problems);
    if (status == MR_OK)
        status = mr_application_build(&built, application, &problems);
    if (status == MR_OK)
        mr_built_install(built);
    else
        tell(folder, status, &problems);
    mr_problems_fini(&problems);
    return status == MR_OK;
}

const struct mr_application *mr_application_used(void)
{
    return application;
}
