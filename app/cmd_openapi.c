#include <stdio.h>

#include "app/application.h"
#include "app/commands.h"
#include "app/settings.h"
#include "openapi/openapi.h"

int mr_command_openapi(int argc, char **argv)
{
    struct mr_buf document = {0};
    bool good;

    mr_load_dotenv();
    if (!mr_application_arguments("openapi", argc, argv) || !mr_application_use_here(argc, argv))
        return MR_EXIT_USAGE;
    good = mr_openapi_write(&document, MR_VERSION, true) == MR_OK && !document.failed;
    if (good) {
        mr_buf_print(&document, stdout);
        putchar('\n');
    } else {
        fputs("millrace openapi: out of memory\n", stderr);
    }
    mr_buf_fini(&document);
    return good ? MR_EXIT_OK : MR_EXIT_FAILED;
}
