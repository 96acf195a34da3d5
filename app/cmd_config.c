#include <stdio.h>
#include <string.h>

#include "app/commands.h"
#include "app/settings.h"

int mr_command_config(int argc, char **argv)
{
    struct mr_buf out = {0};

    if (argc == 0)
        mr_config_print(&out, mr_environment);
    else if (argc == 1 && strcmp(argv[0], "--json") == 0)
        mr_config_print_json(&out, mr_environment);
    else if (argc == 1 && strcmp(argv[0], "--markdown") == 0)
        mr_config_print_markdown(&out);
    else {
        fprintf(stderr, "millrace config: takes --json or --markdown, got '%s'\n", argv[argc - 1]);
        return MR_EXIT_USAGE;
    }
    fwrite(out.data, 1, out.len, stdout);
    mr_buf_fini(&out);
    return MR_EXIT_OK;
}
