#include "application/sqlfiles.h"

#include <stdlib.h>

#include "application/load.h"

static const char mark[] = "-- name:";

/* ---- Statements ---- */

static struct mr_slice line_at(struct mr_slice text, size_t at)
{
    const char *end = memchr(text.data + at, '\n', text.len - at);

    return (struct mr_slice){text.data + at, end != NULL ? (size_t)(end - text.data) - at : text.len - at};
}

static struct mr_slice trim(struct mr_slice text)
{
    while (text.len > 0 && strchr(" \t\r\n", text.data[text.len - 1]) != NULL)
        text.len--;
    while (text.len > 0 && strchr(" \t\r\n", text.data[0]) != NULL) {
        text.data++;
        text.len--;
    }
    return text;
}

static bool begins_with(struct mr_slice text, const char *begin)
{
    return text.len >= strlen(begin) && memcmp(text.data, begin, strlen(begin)) == 0;
}

static bool is_comment(struct mr_slice line)
{
    struct mr_slice text = trim(line);

    return text.len == 0 || begins_with(text, "--");
}

static size_t last_line(struct mr_slice text)
{
    size_t at = text.len;

    while (at > 0 && text.data[at - 1] != '\n')
        at--;
    return at;
}

/* Without blank lines and comments at the end, which belong to what follows, and without the last semicolon. */
static struct mr_slice trim_statement(struct mr_slice text)
{
    text = trim(text);
    while (text.len > 0) {
        size_t at = last_line(text);

        if (!is_comment((struct mr_slice){text.data + at, text.len - at}))
            break;
        text = trim((struct mr_slice){text.data, at});
    }
    if (text.len > 0 && text.data[text.len - 1] == ';')
        text.len--;
    return trim(text);
}

static bool is_statement_name(struct mr_slice name)
{
    static const char rest[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_/-";

    if (name.len == 0 || name.len > 63 || (unsigned char)((name.data[0] | 32) - 'a') > 'z' - 'a')
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (memchr(rest, name.data[i], sizeof rest - 1) == NULL)
            return false;
    return true;
}

/* Where a statement begins behind the line with its name; `text` is what follows on that line. */
static struct mr_place begin_of(struct mr_place place, struct mr_slice text, struct mr_slice sql)
{
    for (const char *at = text.data; at < sql.data; at++) {
        place.column = *at == '\n' ? 1 : place.column + 1;
        place.line += *at == '\n';
    }
    return place;
}

static void add_statement(struct mr_application *self, struct mr_slice name, struct mr_slice text, struct mr_place place,
                          struct mr_problems *problems)
{
    struct mr_app_statement *all;
    struct mr_slice sql = trim_statement(text);

    if (!is_statement_name(name)) {
        mr_problems_add(problems, place, "not a name of a statement, expected -- name: and letters, digits, _, / or -");
        return;
    }
    if (sql.len == 0) {
        mr_problems_add(problems, place, "the statement %.*s is empty, expected SQL", (int)name.len, name.data);
        return;
    }
    if (self->statement_count == MR_STATEMENTS_MAX) {
        mr_problems_add(problems, place, "more than %d statements, expected fewer", MR_STATEMENTS_MAX);
        return;
    }
    all = mr_arena_grow(&self->arena, self->statements, self->statement_count, sizeof *all);
    if (all == NULL)
        return;
    self->statements = all;
    all[self->statement_count++] = (struct mr_app_statement){
        mr_arena_text(&self->arena, name), mr_arena_text(&self->arena, sql), place, begin_of(place, text, sql)};
}

void mr_cut_statements(struct mr_application *self, const char *file, struct mr_slice text, struct mr_problems *problems)
{
    struct mr_place place = {.file = file, .column = 1};
    struct mr_place began = {.file = file, .column = 1};
    struct mr_slice name = {NULL, 0};
    size_t begin = 0; /* of the statement's text */
    size_t at = 0;
    bool stray = false;

    while (at < text.len && self->statement_count < MR_STATEMENTS_MAX + 1) {
        struct mr_slice line = line_at(text, at);

        place.line++;
        if (begins_with(line, mark)) {
            if (name.data != NULL)
                add_statement(self, name, (struct mr_slice){text.data + begin, at - begin}, began, problems);
            name = trim((struct mr_slice){line.data + sizeof mark - 1, line.len - (sizeof mark - 1)});
            began = place;
            begin = at + line.len;
        } else if (name.data == NULL && !stray && !is_comment(line)) {
            mr_problems_add(problems, place, "SQL before the first statement, expected a line -- name: NAME above it");
            stray = true;
        }
        at += line.len + 1;
    }
    if (name.data != NULL)
        add_statement(self, name, (struct mr_slice){text.data + begin, text.len - begin}, began, problems);
}

static int compare_statements(const void *left, const void *right)
{
    const struct mr_app_statement *a = left;
    const struct mr_app_statement *b = right;
    int order = strcmp(a->name, b->name);

    if (order == 0)
        order = strcmp(a->place.file, b->place.file);
    return order != 0 ? order : (a->place.line > b->place.line) - (a->place.line < b->place.line);
}

static void sort_statements(struct mr_application *self, struct mr_problems *problems)
{
    if (self->statement_count == 0 || self->arena.failed)
        return;
    qsort(self->statements, self->statement_count, sizeof *self->statements, compare_statements);
    for (unsigned i = 1; i < self->statement_count; i++) {
        const struct mr_app_statement *first = &self->statements[i - 1];

        if (strcmp(first->name, self->statements[i].name) == 0)
            mr_problems_add(problems, self->statements[i].place, "the statement %s stands in %s:%u already, expected it once",
                            first->name, first->place.file, first->place.line);
    }
}

void mr_read_statements(struct mr_application *self, struct mr_folder *folder)
{
    struct mr_folder_files files;
    struct mr_slice text;

    mr_folder_list(folder, "queries", ".sql", &files);
    for (unsigned i = 0; i < files.count; i++)
        if (mr_folder_read(folder, files.names[i], &text) && mr_check_utf8(files.names[i], text, folder->problems))
            mr_cut_statements(self, files.names[i], text, folder->problems);
    sort_statements(self, folder->problems);
}

/* ---- Migrations ---- */

/* "migrations/0001_shop.sql": 1 and "0001_shop". */
static bool parse_migration(struct mr_arena *arena, const char *file, struct mr_app_migration *out)
{
    const char *name = strchr(file, '/') + 1;
    size_t length = strlen(name) - strlen(".sql");
    size_t digits = strspn(name, "0123456789");

    if (digits != 4 || name[4] != '_' || length <= 5 || length > 63 ||
        strspn(name + 5, "abcdefghijklmnopqrstuvwxyz0123456789_") != length - 5)
        return false;
    out->number = (unsigned)strtoul(name, NULL, 10);
    out->name = mr_arena_text(arena, (struct mr_slice){name, length});
    return out->number > 0;
}

/* Whether the next number is `number`; files come in order, so a smaller one is there already. */
static bool is_next(const struct mr_application *self, const char *file, unsigned number, struct mr_problems *problems)
{
    unsigned wanted = self->migration_count + 1;

    if (number == wanted)
        return true;
    if (number < wanted)
        mr_problems_add(problems, (struct mr_place){.file = file},
                        "the number %04u is that of migrations/%s.sql already, expected %04u", number,
                        self->migrations[number - 1].name, wanted);
    else
        mr_problems_add(problems, (struct mr_place){.file = file}, "a gap in front of the number %04u, expected %04u", number,
                        wanted);
    return false;
}

/* Its first line says so. */
static bool is_breaking(const char *sql)
{
    static const char line[] = "-- breaking";

    return strncmp(sql, line, sizeof line - 1) == 0 && strchr("\r\n", sql[sizeof line - 1]) != NULL;
}

static void read_migration(struct mr_application *self, struct mr_folder *folder, const char *file)
{
    struct mr_app_migration migration = {0};
    struct mr_app_migration *all;
    struct mr_slice text;

    if (!parse_migration(&self->arena, file, &migration)) {
        mr_problems_add(folder->problems, (struct mr_place){.file = file},
                        "not a name of a migration, expected one such as 0001_shop.sql: a-z, 0-9 and _");
        return;
    }
    if (!mr_folder_read(folder, file, &text) || !mr_check_utf8(file, text, folder->problems))
        text = (struct mr_slice){"", 0};
    else if (trim(text).len == 0)
        mr_problems_add(folder->problems, (struct mr_place){.file = file}, "the file is empty, expected SQL");
    /* After a gap the numbers go on from the file's, so that one gap is one problem. */
    if (!is_next(self, file, migration.number, folder->problems) && migration.number <= self->migration_count)
        return;
    while (self->migration_count < migration.number && migration.number <= MR_MIGRATIONS_MAX && !self->arena.failed) {
        all = mr_arena_grow(&self->arena, self->migrations, self->migration_count, sizeof *all);
        if (all == NULL)
            return;
        self->migrations = all;
        migration.sql = text.data;
        migration.breaking = text.len > 0 && is_breaking(text.data);
        all[self->migration_count++] = migration;
    }
}

void mr_read_migrations(struct mr_application *self, struct mr_folder *folder)
{
    struct mr_folder_files files;

    mr_folder_list(folder, "migrations", ".sql", &files);
    for (unsigned i = 0; i < files.count; i++)
        read_migration(self, folder, files.names[i]);
}

bool mr_app_has_sql(const char *sql)
{
    while (*sql != '\0') {
        size_t line = strcspn(sql, "\n");
        size_t blank = strspn(sql, " \t\r");

        if (blank < line && strncmp(sql + blank, "--", 2) != 0)
            return true;
        sql += line + (sql[line] == '\n');
    }
    return false;
}
