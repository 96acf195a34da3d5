/*
 * The first byte says which kind of file the rest is. Whatever it is, the loader takes it or says why not: with a place inside
 * of the file, on one line, and within its memory.
 */
#include <string.h>

#include "application/load.h"
#include "application/sqlfiles.h"
#include "application/statement.h"
#include "tests/fuzz/fuzz.h"

static const char *lookup(const char *name)
{
    return name[0] == 'S' ? "0 5 * * *" : NULL;
}

static unsigned lines_of(struct mr_slice text)
{
    unsigned lines = 2; /* the end may be told as the beginning of a line behind the last */

    for (size_t i = 0; i < text.len; i++)
        lines += text.data[i] == '\n' || text.data[i] == '\r' || (unsigned char)text.data[i] >= 0x80;
    return lines;
}

static void check_problems(struct mr_problems *problems, struct mr_slice text)
{
    struct mr_buf told = {0};
    unsigned lines = 0;

    mr_problems_print(problems, &told);
    for (unsigned i = 0; i < problems->count; i++) {
        const struct mr_app_problem *problem = &problems->items[i];

        must(problem->text[0] != '\0' && strchr(problem->text, '\n') == NULL);
        must(strstr(problem->text, "expected") != NULL || strlen(problem->text) == MR_PROBLEM_TEXT - 1);
        must(problem->place.line <= lines_of(text));
    }
    for (size_t i = 0; i < told.len; i++)
        lines += told.data[i] == '\n';
    must(lines <= MR_PROBLEMS_TOLD + 1);
    mr_buf_fini(&told);
}

static void read_yaml(enum mr_file_kind kind, struct mr_slice text)
{
    static const struct mr_application_options options = {.lookup = lookup};
    struct mr_problems problems = {0};
    mr_status status = mr_application_read_file(kind, "f.yaml", text, &options, &problems);

    must(status == MR_OK || status == MR_INVALID || status == MR_NO_MEMORY);
    must((status == MR_OK) == (problems.found == 0) || status == MR_NO_MEMORY);
    check_problems(&problems, text);
    mr_problems_fini(&problems);
}

/* What the parser takes is a piece of the statement, and so is each of its parameters. */
static void parse(struct mr_application *application, const struct mr_app_statement *statement, struct mr_problems *problems)
{
    unsigned before = problems->found;
    struct mr_sql sql;
    size_t at = 0;

    if (!mr_sql_read(&sql, &application->arena, statement, problems)) {
        must(problems->found > before || application->arena.failed);
        return;
    }
    must(strncmp(sql.text, statement->sql, strlen(sql.text)) == 0 && sql.main_at <= strlen(sql.text));
    for (unsigned i = 0; i < sql.parameter_count; i++) {
        const struct mr_sql_parameter *parameter = &sql.parameters[i];

        must(parameter->begin >= at && parameter->end <= strlen(sql.text) && sql.text[parameter->begin] == ':');
        must(strncmp(sql.text + parameter->begin + 1, parameter->name, strlen(parameter->name)) == 0);
        at = parameter->end;
    }
}

/* No statement is empty, and each is a piece of the file. */
static void read_sql(struct mr_slice text)
{
    struct mr_application application = {.title = NULL};
    struct mr_problems problems = {0};

    if (mr_check_utf8("f.sql", text, &problems))
        mr_cut_statements(&application, "f.sql", text, &problems);
    for (unsigned i = 0; i < application.statement_count; i++) {
        const struct mr_app_statement *statement = &application.statements[i];

        must(statement->sql[0] != '\0' && memmem(text.data, text.len, statement->sql, strlen(statement->sql)) != NULL);
        must(strlen(statement->name) <= 63);
        parse(&application, statement, &problems);
    }
    check_problems(&problems, text);
    mr_problems_fini(&problems);
    mr_arena_fini(&application.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mr_slice text = {(const char *)data + 1, size - 1};
    int kind;

    if (size == 0)
        return 0;
    kind = data[0] % (MR_FILE_KIND_COUNT + 1);
    if (kind == MR_FILE_KIND_COUNT)
        read_sql(text);
    else
        read_yaml((enum mr_file_kind)kind, text);
    return 0;
}
