/*
 * commands: the subcommands of the binary, one file each.
 *
 * Each gets the arguments after its own name and returns the exit status: 0 done, 1 failed, 2 wrong usage or
 * configuration.
 */
#ifndef MR_APP_COMMANDS_H
#define MR_APP_COMMANDS_H

enum { MR_EXIT_OK = 0, MR_EXIT_FAILED = 1, MR_EXIT_USAGE = 2 };

/*  name, arguments, what it does */
/* clang-format off */
#define MR_COMMANDS(CMD) \
    CMD(all, "[DIR]", "everything in one process; without DB_HOST with a PostgreSQL of its own") \
    CMD(api, "[DIR]", "the API: gateway, auth, data-reader and data-writer") \
    CMD(scheduler, "[DIR]", "the scheduler and the jobs; opens no port but ADMIN_PORT") \
    CMD(migrate, "[up|status]", "apply the missing migrations (up, the default), or list them") \
    CMD(user, "grant-admin NAME", "make a user an administrator") \
    CMD(key, "make|list|delete", "API keys: make one (NAME SCOPE ...), list them, delete one (ID)") \
    CMD(config, "[--json|--markdown]", "every setting with its value, secrets masked") \
    CMD(routes, "[DIR]", "every operation of the API") \
    CMD(openapi, "[DIR]", "the OpenAPI document of the API; needs no database") \
    CMD(sql, "[NAME]", "the statements that operations run, or those of one or of a resource") \
    CMD(check, "[DIR]", "every problem of an application's folder, held against a database") \
    CMD(dev, "[DIR]", "all, and again whenever a file of the application changes") \
    CMD(new, "WHAT", "the first files of an application; alone it lists which") \
    CMD(schema, "[FILE-KIND|--markdown]", "the JSON Schema of an application's files, for editors; or all keys, for people") \
    CMD(health, "", "ask the API or the scheduler here; exit status 0 when it is well")
/* clang-format on */

#define CMD(name, arguments, about) int mr_command_##name(int argc, char **argv);
MR_COMMANDS(CMD)
#undef CMD

#endif
