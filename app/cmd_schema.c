#include <stdio.h>
#include <string.h>

#include "app/commands.h"
#include "application/schema.h"

static int usage(const char *got)
{
    fprintf(stderr, "millrace schema: takes application, resource, operations, jobs or --markdown, got '%s'\n", got);
    return MR_EXIT_USAGE;
}

int mr_command_schema(int argc, char **argv)
{
    struct mr_buf out = {0};
    int kind = 0;
    bool as_page = argc == 1 && strcmp(argv[0], "--markdown") == 0;
    bool failed;

    if (argc > 1)
        return usage(argv[1]);
    while (kind < MR_FILE_KIND_COUNT && (argc == 0 || strcmp(argv[0], mr_file_kind_name(kind)) != 0))
        kind++;
    if (argc == 1 && kind == MR_FILE_KIND_COUNT && !as_page)
        return usage(argv[0]);
    if (as_page)
        mr_reference_print(&out);
    else
        mr_schema_print(&out, (enum mr_file_kind)kind);
    mr_buf_print(&out, stdout);
    failed = out.failed;
    if (failed)
        fputs("millrace schema: out of memory\n", stderr);
    mr_buf_fini(&out);
    return failed ? MR_EXIT_FAILED : MR_EXIT_OK;
}
