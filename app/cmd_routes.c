#include <stdio.h>

#include "app/application.h"
#include "app/commands.h"
#include "app/settings.h"
#include "proto/message.h"

static const char *access_name(enum mr_access access)
{
    static const char *const names[] = {[MR_ACCESS_PUBLIC] = "public",
                                        [MR_ACCESS_OPTIONAL] = "optional",
                                        [MR_ACCESS_USER] = "user",
                                        [MR_ACCESS_ADMIN] = "admin",
                                        [MR_ACCESS_INTERNAL] = "internal"};

    return names[access];
}

int mr_command_routes(int argc, char **argv)
{
    mr_load_dotenv();
    if (!mr_application_arguments("routes", argc, argv) || !mr_application_use_here(argc, argv))
        return MR_EXIT_USAGE;
    for (unsigned op = 0; op < mr_op_count(); op++) {
        const struct mr_op_info *info = mr_op_info((enum mr_op)op);

        if (info->path != NULL)
            printf("%-6s %-22s %-12s %-12s %-8s %-12s %s\n", mr_verb_name(info->verb), info->path, info->name,
                   mr_actor_info(info->actor)->name, access_name(info->access),
                   info->traits->scopes != NULL ? info->traits->scopes : "-", info->traits->summary);
    }
    return MR_EXIT_OK;
}
