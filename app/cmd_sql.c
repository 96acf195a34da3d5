/*
 * millrace sql [NAME]: the statements that operations run, as they are sent, and in which form. With DB_HOST the database is asked
 * which may answer a batch at once, as a start does; without it both forms of such a statement are shown.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/application.h"
#include "app/commands.h"
#include "app/settings.h"
#include "application/build.h"
#include "proto/message.h"

/* Whether a statement is the one of that name, a variant of it, or of the resource of that name. */
static bool is_wanted(const char *statement, const char *name)
{
    size_t len = name != NULL ? strlen(name) : 0;

    return name == NULL || (strncmp(statement, name, len) == 0 && strchr("_/", statement[len]) != NULL);
}

/* The operation that runs it: of its name, up to a "/". */
static const struct mr_op_info *op_of(const char *statement)
{
    size_t len = strcspn(statement, "/");

    for (unsigned op = 0; op < mr_op_count(); op++) {
        const struct mr_op_info *info = mr_op_info((enum mr_op)op);

        if (strlen(info->name) == len && strncmp(info->name, statement, len) == 0)
            return info;
    }
    return NULL;
}

static void print_statement(const char *name, const char *form, const char *why, const char *text)
{
    printf("-- name: %s\n-- %s%s%s\n%s;\n\n", name, form, why != NULL ? ": " : "", why != NULL ? why : "", text);
}

/* Of a choice's two statements, `for_batch` is the one that has the name: what is decided against is not shown. */
static void print_of_choice(const struct mr_choice *choice, bool for_batch, const char *text)
{
    bool is_taken = atomic_load(&choice->successor->is_ready);

    if (for_batch && choice->why == NULL)
        print_statement(choice->name, is_taken ? "one for a batch" : "one for a batch, if nothing that it calls is volatile",
                        NULL, text);
    if (!for_batch && !is_taken)
        print_statement(choice->name, "message by message", choice->why, text);
}

/* The choice whose statement for one message has that name. */
static const struct mr_choice *choice_of_each(const struct mr_built *built, const char *statement)
{
    char name[128];
    size_t len = strcspn(statement, "/");

    if (strcmp(statement + len, MR_EACH) != 0 || len >= sizeof name)
        return NULL;
    memcpy(name, statement, len);
    name[len] = '\0';
    return mr_built_choice(built, name);
}

static void print_one(const struct mr_built *built, const char *name, const char *text)
{
    const struct mr_op_info *info = op_of(name);
    const struct mr_choice *choice = mr_built_choice(built, name);
    const struct mr_choice *of_each = choice_of_each(built, name);

    if (choice != NULL || of_each != NULL)
        print_of_choice(choice != NULL ? choice : of_each, choice != NULL, text);
    else if (info == NULL)
        print_statement(name, "a job's", NULL, text);
    else
        print_statement(name, info->traits->row_wise ? "message by message" : "one for a batch", NULL, text);
}

static unsigned print_of_application(const struct mr_built *built, const char *name)
{
    unsigned printed = 0;
    unsigned count;
    const struct mr_statement *statements = mr_built_statements(built, &count);

    for (unsigned i = 0; i < count; i++) {
        char *text = is_wanted(statements[i].name, name) ? mr_built_text(built, i) : NULL;

        if (text != NULL) {
            print_one(built, statements[i].name, text);
            printed++;
        }
        free(text);
    }
    return printed;
}

/* False: a setting is wrong, which has been printed. */
static bool ask_database(void)
{
    const char *host = mr_environment("DB_HOST");
    struct mr_config config;
    mr_db *none = NULL;

    if (host == NULL || host[0] == '\0')
        return true;
    if (!mr_load_settings(&config, MR_RUN_MIGRATE))
        return false;
    (void)mr_application_settle(&config, &none);
    return true;
}

int mr_command_sql(int argc, char **argv)
{
    const char *name = argc > 0 ? argv[0] : NULL;
    unsigned printed;

    if (argc > 1) {
        fprintf(stderr, "millrace sql: takes the name of a resource or an operation, got '%s'\n", argv[argc - 1]);
        return MR_EXIT_USAGE;
    }
    mr_load_dotenv();
    if (!mr_application_use_here(0, NULL) || !ask_database())
        return MR_EXIT_USAGE;
    printed = print_of_application(mr_application_built(), name);
    if (printed > 0 || name == NULL)
        return MR_EXIT_OK;
    fprintf(stderr, "millrace sql: there is no statement of '%s'; `millrace sql` prints all\n", name);
    return MR_EXIT_FAILED;
}
