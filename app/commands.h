/*
 * commands: the subcommands of the binary, one file each.
 *
 * Each gets the arguments after its own name and returns the exit status: 0 done, 1 failed, 2 wrong usage or
 * configuration.
 */
#ifndef MR_APP_COMMANDS_H
#define MR_APP_COMMANDS_H

#include <stdbool.h>
#include <string.h>

enum { MR_EXIT_OK = 0, MR_EXIT_FAILED = 1, MR_EXIT_USAGE = 2 };

/* Whether a word of the command line asks for help. `word` is borrowed and not NULL. Any thread. */
static inline bool mr_is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/*  name, arguments, what it does */
/* clang-format off */
#define MR_COMMANDS(CMD) \
    CMD(all, "[DIR]", "run everything in one process; without DB_HOST, with a PostgreSQL of its own") \
    CMD(api, "[DIR]", "run the API: gateway, auth, data-reader and data-writer") \
    CMD(scheduler, "[DIR]", "run the scheduler and the jobs; opens no port but ADMIN_PORT") \
    CMD(migrate, "[up|status]", "apply the missing migrations (up, the default), or list them") \
    CMD(user, "grant-admin NAME", "make a user an administrator") \
    CMD(key, "make|list|delete", "make an API key (NAME SCOPE ...), list the keys, or delete one (ID)") \
    CMD(config, "[--json|--markdown]", "print every setting with its value, secrets masked") \
    CMD(routes, "[DIR]", "print every operation of the API") \
    CMD(openapi, "[DIR]", "print the OpenAPI document of the API; needs no database") \
    CMD(sql, "[NAME]", "print the statements of all operations, or of one operation or resource") \
    CMD(check, "[DIR]", "list every problem of an application's folder, compared with a database") \
    CMD(dev, "[DIR]", "run all, and restart it whenever a file of the application changes") \
    CMD(new, "WHAT", "write the first files of an application, resource, migration or job") \
    CMD(schema, "[FILE-KIND|--markdown]", "print the JSON Schema of an application's files, or a table of all keys") \
    CMD(health, "", "ask the API or the scheduler on this machine; exit status 0 if it is healthy")
/* clang-format on */

#define CMD(name, arguments, about) int mr_command_##name(int argc, char **argv);
MR_COMMANDS(CMD)
#undef CMD

#endif
