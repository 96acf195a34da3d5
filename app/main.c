/*
 * Millrace: the entry point. Finds the subcommand and hands over.
 */
#include <stdio.h>
#include <string.h>

#include "app/commands.h"
#include "app/version.h"

static const struct command {
    const char *name;
    const char *arguments;
    const char *about;
    int (*run)(int argc, char **argv);
} commands[] = {
#define CMD(name, arguments, about) {#name, arguments, about, mr_command_##name},
    MR_COMMANDS(CMD)
#undef CMD
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void print_help(FILE *out)
{
    fputs("usage: millrace COMMAND\n\n", out);
    for (int i = 0; i < COMMAND_COUNT; i++) {
        char call[48];

        snprintf(call, sizeof call, "%s %s", commands[i].name, commands[i].arguments);
        fprintf(out, "  %-30s %s\n", call, commands[i].about);
    }
    fputs("\n  --version [--verbose]          print version and revision, and with --verbose the libraries in use\n"
          "  --help                         print this page\n\n"
          "Settings are environment variables; `millrace config` lists them.\n",
          out);
}

static int print_help_of(const struct command *command)
{
    const char *gap = command->arguments[0] != '\0' ? " " : "";

    printf("usage: millrace %s%s%s\n\n  %s\n", command->name, gap, command->arguments, command->about);
    return MR_EXIT_OK;
}

/* `new` has more to say of itself. */
static int run(const struct command *command, int argc, char **argv)
{
    if (argc == 1 && mr_is_help(argv[0]) && command->run != mr_command_new)
        return print_help_of(command);
    return command->run(argc, argv);
}

/* A full disk, or a pipe that has ended, is found here for all commands: logs do not go to stdout, so there are only answers. */
static int finished(int status)
{
    if ((fflush(stdout) == 0 && !ferror(stdout)) || status != MR_EXIT_OK)
        return status;
    perror("millrace: the output could not be written");
    return MR_EXIT_FAILED;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "--help";

    if (mr_is_help(name) || strcmp(name, "help") == 0) {
        print_help(stdout);
        return finished(argc > 1 ? MR_EXIT_OK : MR_EXIT_USAGE);
    }
    if (strcmp(name, "--version") == 0) {
        mr_print_version(argc > 2 && strcmp(argv[2], "--verbose") == 0);
        return finished(MR_EXIT_OK);
    }
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(name, commands[i].name) == 0)
            return finished(run(&commands[i], argc - 2, argv + 2));
    fprintf(stderr, "millrace: there is no command '%s'; `millrace --help` lists them\n", name);
    return MR_EXIT_USAGE;
}
