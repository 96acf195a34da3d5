#include "tests/fuzz/tasks.h"

#include <string.h>

#include "application/build.h"
#include "application/folder.h"
#include "tests/fuzz/fuzz.h"

void serve_tasks(void)
{
    static struct mr_application *application; /* until the process ends: what is installed borrows them */
    static struct mr_built *built;
    struct mr_application_options options = {.packed = &mr_packed_application};
    struct mr_problems problems = {0};

    if (built != NULL)
        return;
    must(mr_application_load(&application, "tasks:", &options, &problems) == MR_OK);
    must(mr_application_build(&built, application, &problems) == MR_OK);
    mr_built_install(built);
    mr_problems_fini(&problems);
}

enum mr_op op_named(const char *name)
{
    unsigned op = 0;

    while (strcmp(mr_op_info((enum mr_op)op)->name, name) != 0) {
        op++;
        must(op < mr_op_count());
    }
    return (enum mr_op)op;
}
