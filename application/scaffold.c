#include "application/scaffold.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "application/check.h"
#include "application/keys.h"
#include "application/read.h"

enum { NAME_MAX_LENGTH = 63, FIELDS_MAX = MR_ENTRIES_MAX, FILES_MAX = 2, PATH_ROOM = 4096 };

/* A file to write, or one that has been written. */
struct draft {
    char name[2 * MR_WORD_ROOM]; /* below the folder */
    struct mr_buf text;
    bool is_written;
};

struct drafts {
    struct draft items[FILES_MAX];
    unsigned count;
};

/* A field as the command line says it. */
struct field {
    char name[MR_WORD_ROOM];
    char column[2 * MR_WORD_ROOM];
    char type[MR_WORD_ROOM];
    int type_index;
    bool many;
    bool clearable;
    bool unique;
};

static mr_status refuse(struct mr_scaffold *self, const char *text)
{
    mr_buf_text(self->problem, text);
    mr_buf_char(self->problem, '\n');
    return MR_INVALID;
}

/* ---- Files ---- */

static void path_of(char out[PATH_ROOM], const struct mr_scaffold *self, const char *name)
{
    snprintf(out, PATH_ROOM, "%s/%s", self->folder, name);
}

static struct mr_buf *draft(struct drafts *self, const char *folder, const char *name, const char *extension)
{
    struct draft *file = &self->items[self->count++];

    snprintf(file->name, sizeof file->name, "%s%s%s", folder, name, extension);
    return &file->text;
}

static mr_status file_system_refused(struct mr_scaffold *self, const char *path)
{
    bool is_there = errno == EEXIST;

    mr_buf_printf(self->problem, "%s: %s\n", path, is_there ? "it is there already, and is left as it is" : strerror(errno));
    return is_there ? MR_INVALID : MR_INTERNAL;
}

static mr_status make_folder(struct mr_scaffold *self, const char *path)
{
    return mkdir(path, 0777) == 0 || errno == EEXIST ? MR_OK : file_system_refused(self, path);
}

/* The folder of a file, unless it is there. */
static mr_status make_folder_of(struct mr_scaffold *self, const char *file)
{
    char path[PATH_ROOM];
    char *slash;

    path_of(path, self, file);
    slash = strrchr(path, '/');
    *slash = '\0';
    return make_folder(self, path);
}

static bool write_all(int fd, struct mr_slice text)
{
    while (text.len > 0) {
        ssize_t done = write(fd, text.data, text.len);

        if (done < 0 && errno != EINTR)
            return false;
        if (done > 0)
            text = (struct mr_slice){text.data + done, text.len - (size_t)done};
    }
    return true;
}

static mr_status write_draft(struct mr_scaffold *self, struct draft *file)
{
    char path[PATH_ROOM];
    mr_status status = file->text.failed ? MR_NO_MEMORY : make_folder_of(self, file->name);
    int fd;

    if (status != MR_OK)
        return status;
    path_of(path, self, file->name);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return file_system_refused(self, path);
    file->is_written = true;
    if (!write_all(fd, (struct mr_slice){file->text.data, file->text.len}))
        status = file_system_refused(self, path);
    if (close(fd) != 0 && status == MR_OK)
        status = file_system_refused(self, path);
    return status;
}

static void take_back(struct mr_scaffold *self, struct drafts *drafts)
{
    char path[PATH_ROOM];

    for (unsigned i = 0; i < drafts->count; i++)
        if (drafts->items[i].is_written) {
            path_of(path, self, drafts->items[i].name);
            unlink(path);
        }
}

/* ---- Before and after ---- */

static mr_status load(struct mr_scaffold *self, struct mr_application **out)
{
    struct mr_problems problems = {0};
    mr_status status = mr_application_load(out, self->folder, self->options, &problems);

    mr_problems_print(&problems, self->problem);
    mr_problems_fini(&problems);
    return status;
}

/* The application as it is; what is added to one that does not load could not be held to be right. */
static mr_status load_first(struct mr_scaffold *self, struct mr_application **out)
{
    char path[PATH_ROOM];
    mr_status status;

    path_of(path, self, "millrace.yaml");
    if (access(path, F_OK) != 0) {
        mr_buf_printf(self->problem, "%s: %s; an application's folder has a millrace.yaml: `millrace new app DIR` makes one\n",
                      path, strerror(errno));
        return MR_INVALID;
    }
    status = load(self, out);
    if (status == MR_INVALID)
        mr_buf_text(self->problem, "nothing was written: the application has to be right first\n");
    return status;
}

/* Writes the files and loads the application with them; what does not load is taken away again. */
static mr_status write_drafts(struct mr_scaffold *self, struct drafts *drafts)
{
    struct mr_application *application = NULL;
    mr_status status = MR_OK;

    for (unsigned i = 0; status == MR_OK && i < drafts->count; i++)
        status = write_draft(self, &drafts->items[i]);
    if (status == MR_OK)
        status = load(self, &application);
    mr_application_destroy(&application);
    if (status != MR_OK)
        take_back(self, drafts);
    for (unsigned i = 0; i < drafts->count; i++) {
        if (status == MR_OK)
            mr_buf_printf(self->told, "wrote %s/%s\n", self->folder, drafts->items[i].name);
        mr_buf_fini(&drafts->items[i].text);
    }
    return status;
}

static mr_status check_name(struct mr_scaffold *self, const char *what, const char *name)
{
    char quote[MR_QUOTE_ROOM];

    if (mr_is_word(name))
        return MR_OK;
    mr_buf_printf(self->problem, "%s is no name of a %s, expected a-z, 0-9 and _, beginning with a letter\n",
                  mr_quote(quote, name), what);
    return MR_INVALID;
}

/* "migrations/0003_", and as much of the name as fits. */
static struct mr_buf *draft_migration(struct drafts *self, const struct mr_application *application, const char *name)
{
    char folder[32];
    char part[NAME_MAX_LENGTH + 1];

    snprintf(folder, sizeof folder, "migrations/%04u_", application->migration_count + 1);
    snprintf(part, sizeof part, "%.*s", NAME_MAX_LENGTH - 5, name);
    return draft(self, folder, part, ".sql");
}

/* ---- An application ---- */

/* The last part of the folder's path, as a title: "shop" of "./shop/", with a capital. */
static void title_of(char out[MR_WORD_ROOM], const char *folder)
{
    char path[PATH_ROOM];
    size_t length;
    size_t begin;
    size_t kept = 0;

    /* "." and "shop/.." have a name, too. */
    if (realpath(folder, path) == NULL)
        snprintf(path, sizeof path, "%s", folder);
    length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    begin = length;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    for (size_t i = begin; i < length && kept + 1 < MR_WORD_ROOM; i++)
        if ((path[i] >= 'a' && path[i] <= 'z') || (path[i] >= 'A' && path[i] <= 'Z') || (path[i] >= '0' && path[i] <= '9'))
            out[kept++] = path[i];
        else if (kept > 0 && out[kept - 1] != ' ')
            out[kept++] = ' ';
    if (kept > 0 && out[0] >= 'a' && out[0] <= 'z')
        out[0] = (char)(out[0] - 'a' + 'A');
    out[kept] = '\0';
    if (kept == 0)
        snprintf(out, MR_WORD_ROOM, "Application");
}

mr_status mr_scaffold_application(struct mr_scaffold *self)
{
    struct drafts drafts = {.count = 0};
    char title[MR_WORD_ROOM];
    mr_status status = make_folder(self, self->folder);

    if (status != MR_OK)
        return status;
    title_of(title, self->folder);
    mr_buf_printf(draft(&drafts, "millrace", "", ".yaml"), "title: '%s'\nversion: 0.1.0\nabout: A backend of tables and SQL\n",
                  title);
    mr_buf_text(draft(&drafts, ".gitignore", "", ""),
                "# The database that `millrace dev` keeps, and settings of one machine.\n.millrace/\n.env\n");
    status = write_drafts(self, &drafts);
    if (status == MR_OK)
        mr_buf_printf(
            self->told,
            "next: cd %s, then a resource, such as `millrace new resource product sku:text:unique name:text price:decimal`; "
            "`millrace dev` serves it\n",
            self->folder);
    return status;
}

/* ---- Fields ---- */

static mr_status complain_of_field(struct mr_scaffold *self, const char *argument, const char *expected)
{
    char quote[MR_QUOTE_ROOM];

    mr_buf_printf(self->problem, "%s: expected %s\n", mr_quote(quote, argument), expected);
    return MR_INVALID;
}

static bool is_name(const char *text, size_t length)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    static const char all[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";

    return length > 0 && length <= NAME_MAX_LENGTH && strspn(text, letters) > 0 && strspn(text, all) == length;
}

static void snake_case(char out[2 * MR_WORD_ROOM], const char *name)
{
    struct mr_arena arena = {0};
    const char *column = mr_column_of(&arena, name);

    snprintf(out, 2 * (size_t)MR_WORD_ROOM, "%s", column != NULL ? column : name);
    mr_arena_fini(&arena);
}

static mr_status parse_type(struct mr_scaffold *self, const char *argument, struct field *out)
{
    char near[MR_WORD_ROOM];
    const char *found;

    if (mr_word_is_in(MR_TYPE_WORDS, out->type, &out->type_index))
        return MR_OK;
    found = mr_word_near(MR_TYPE_WORDS, out->type, near);
    if (found == NULL)
        return complain_of_field(self, argument,
                                 "NAME:TYPE, of a type text, uuid, integer, decimal, number, boolean, date, timestamp or json");
    mr_buf_printf(self->problem, "there is no type \"%s\", expected \"%s\"\n", out->type, found);
    return MR_INVALID;
}

/* What stands behind the type: the keys that are true. */
static mr_status parse_flags(struct mr_scaffold *self, const char *argument, const char *at, struct field *out)
{
    static const char *const words[] = {"many", "clearable", "unique"};
    bool *const flags[] = {&out->many, &out->clearable, &out->unique};

    while (*at == ':') {
        size_t length = strcspn(at + 1, ":");
        bool *flag = NULL;

        for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++)
            if (strlen(words[i]) == length && strncmp(words[i], at + 1, length) == 0)
                flag = flags[i];
        if (flag == NULL)
            return complain_of_field(self, argument, "many, clearable or unique behind the type, or nothing");
        *flag = true;
        at += 1 + length;
    }
    if (out->many && (out->clearable || out->unique))
        return complain_of_field(self, argument, "many without clearable and unique: an array may be empty");
    if (out->unique && out->type_index == MR_APP_JSON)
        return complain_of_field(self, argument, "unique with another type than json");
    return MR_OK;
}

/* sku:text:unique, tags:text:many, released:date:clearable */
static mr_status parse_field(struct mr_scaffold *self, const char *argument, struct field *out)
{
    const char *type = strchr(argument, ':');
    size_t length;

    *out = (struct field){.name = ""};
    if (type == NULL || !is_name(argument, (size_t)(type - argument)))
        return complain_of_field(self, argument, "NAME:TYPE, such as sku:text, or sku:text:unique");
    snprintf(out->name, sizeof out->name, "%.*s", (int)(type - argument), argument);
    if (mr_word_is_in(MR_IMPLIED_NAMES, out->name, NULL))
        return complain_of_field(self, argument, "another name: every resource has id, version, createdAt and updatedAt");
    if (mr_word_is_in(MR_RESERVED_NAMES, out->name, NULL))
        return complain_of_field(self, argument, "another name: caller, role, newId and now are the engine's");
    snake_case(out->column, out->name);
    type++;
    length = strcspn(type, ":");
    snprintf(out->type, sizeof out->type, "%.*s", (int)length, type);
    if (parse_type(self, argument, out) != MR_OK)
        return MR_INVALID;
    return parse_flags(self, argument, type + length, out);
}

static mr_status parse_fields(struct mr_scaffold *self, const char *const *arguments, unsigned count, struct field *out)
{
    mr_status status = MR_OK;

    if (count == 0)
        return refuse(self, "a resource needs a field, expected NAME:TYPE, such as sku:text");
    if (count > FIELDS_MAX)
        return refuse(self, "too many fields, expected 100 at most");
    for (unsigned i = 0; i < count; i++) {
        if (parse_field(self, arguments[i], &out[i]) != MR_OK)
            status = MR_INVALID;
        for (unsigned j = 0; j < i; j++)
            if (out[i].column[0] != '\0' && strcmp(out[i].column, out[j].column) == 0)
                status = complain_of_field(self, arguments[i], "another name: a field before it has the same column");
    }
    return status;
}

/* ---- A resource's declaration ---- */

struct type {
    const char *keys; /* beside the type, in the declaration */
    const char *sql;  /* type of the column */
};

static const struct type *type_of(const struct field *field)
{
    /* In the order of enum mr_app_type. */
    static const struct type types[] = {
        {", length: 1..200", "text"},
        {"", "uuid"},
        {"", "bigint"},
        {", scale: 2, range: -9999999999.99..9999999999.99", "numeric(12, 2)"},
        {"", "double precision"},
        {"", "boolean"},
        {"", "date"},
        {"", "timestamptz"},
        {"", "jsonb"},
    };

    return &types[field->type_index];
}

/* A flag that nobody sets is false. */
static bool has_default(const struct field *field)
{
    return field->type_index == MR_APP_BOOLEAN && !field->many && !field->clearable;
}

static void declare_field(struct mr_buf *out, const struct field *field)
{
    mr_buf_printf(out, "  %s: {type: %s", field->name, field->type);
    if (field->many)
        mr_buf_text(out, ", many: true, items: 0..100");
    else if (field->clearable)
        mr_buf_text(out, ", clearable: true");
    else
        mr_buf_text(out, has_default(field) ? ", default: false" : ", required: true");
    mr_buf_text(out, type_of(field)->keys);
    if (field->unique)
        mr_buf_text(out, ", unique: true");
    mr_buf_text(out, "}\n");
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text);

    return length >= strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

/* The plural of an English noun, near enough for a path that can be changed: products, categories, boxes, order-lines. */
static void path_segment(char out[2 * MR_WORD_ROOM], const char *name)
{
    static const char *const hissing[] = {"s", "x", "z", "ch", "sh"};
    size_t length = strlen(name);
    const char *end = "s";
    bool is_y = ends_with(name, "y") && length > 1 && strchr("aeiou", name[length - 2]) == NULL;

    for (unsigned i = 0; i < sizeof hissing / sizeof hissing[0]; i++)
        if (ends_with(name, hissing[i]))
            end = "es";
    snprintf(out, 2 * (size_t)MR_WORD_ROOM, "%.*s%s", (int)(length - is_y), name, is_y ? "ies" : end);
    for (char *c = out; *c != '\0'; c++)
        if (*c == '_')
            *c = '-';
}

static void declare_resource(struct mr_buf *out, const char *name, const char *segment, const struct field *fields,
                             unsigned count)
{
    mr_buf_printf(out,
                  "# The table is `%s`; its migration holds the same bounds as this file.\n"
                  "path: /v1/%s\n"
                  "access: user # or public, admin, a scope of API keys; {read: public, write: admin} tells them apart\n"
                  "fields:\n",
                  name, segment);
    for (unsigned i = 0; i < count; i++)
        declare_field(out, &fields[i]);
    mr_buf_text(out, "list:\n  sort: [-createdAt]\n");
}

/* ---- A resource's table ---- */

const char *const mr_reserved_words[] = {"all",
                                         "analyse",
                                         "analyze",
                                         "and",
                                         "any",
                                         "array",
                                         "as",
                                         "asc",
                                         "asymmetric",
                                         "authorization",
                                         "binary",
                                         "both",
                                         "case",
                                         "cast",
                                         "check",
                                         "collate",
                                         "collation",
                                         "column",
                                         "concurrently",
                                         "constraint",
                                         "create",
                                         "cross",
                                         "current_catalog",
                                         "current_date",
                                         "current_role",
                                         "current_schema",
                                         "current_time",
                                         "current_timestamp",
                                         "current_user",
                                         "default",
                                         "deferrable",
                                         "desc",
                                         "distinct",
                                         "do",
                                         "else",
                                         "end",
                                         "except",
                                         "false",
                                         "fetch",
                                         "for",
                                         "foreign",
                                         "freeze",
                                         "from",
                                         "full",
                                         "grant",
                                         "group",
                                         "having",
                                         "ilike",
                                         "in",
                                         "initially",
                                         "inner",
                                         "intersect",
                                         "into",
                                         "is",
                                         "isnull",
                                         "join",
                                         "lateral",
                                         "leading",
                                         "left",
                                         "like",
                                         "limit",
                                         "localtime",
                                         "localtimestamp",
                                         "natural",
                                         "not",
                                         "notnull",
                                         "null",
                                         "offset",
                                         "on",
                                         "only",
                                         "or",
                                         "order",
                                         "outer",
                                         "overlaps",
                                         "placing",
                                         "primary",
                                         "references",
                                         "returning",
                                         "right",
                                         "select",
                                         "session_user",
                                         "similar",
                                         "some",
                                         "symmetric",
                                         "table",
                                         "tablesample",
                                         "then",
                                         "to",
                                         "trailing",
                                         "true",
                                         "union",
                                         "unique",
                                         "user",
                                         "using",
                                         "variadic",
                                         "verbose",
                                         "when",
                                         "where",
                                         "window",
                                         "with",
                                         NULL};

/* The name as SQL takes it. */
static const char *identifier(char room[MR_WORD_ROOM + 4], const char *name)
{
    bool is_reserved = false;

    for (const char *const *word = mr_reserved_words; *word != NULL && !is_reserved; word++)
        is_reserved = strcmp(*word, name) == 0;
    snprintf(room, MR_WORD_ROOM + 4, is_reserved ? "\"%s\"" : "%s", name);
    return room;
}

static void make_column(struct mr_buf *out, const struct field *field)
{
    char room[MR_WORD_ROOM + 4];
    const char *name = identifier(room, field->column);

    mr_buf_printf(out, "    %s %s%s", name, type_of(field)->sql, field->many ? "[]" : "");
    if (!field->clearable)
        mr_buf_text(out, " NOT NULL");
    if (field->many)
        mr_buf_printf(out, " DEFAULT '{}' CHECK (cardinality(%s) <= 100)", name);
    else if (has_default(field))
        mr_buf_text(out, " DEFAULT false");
    if (field->unique)
        mr_buf_text(out, " UNIQUE");
    if (field->type_index == MR_APP_TEXT && !field->many)
        mr_buf_printf(out, " CHECK (length(%s) BETWEEN 1 AND 200)", name);
    mr_buf_text(out, ",\n");
}

static void make_table(struct mr_buf *out, const char *name, const struct field *fields, unsigned count)
{
    char room[MR_WORD_ROOM + 4];
    const char *table = identifier(room, name);

    mr_buf_printf(out,
                  "-- The table of resources/%s.yaml.\n"
                  "CREATE TABLE %s (\n"
                  "    id uuid PRIMARY KEY,\n"
                  "    version bigint NOT NULL DEFAULT 1,\n",
                  name, table);
    for (unsigned i = 0; i < count; i++)
        make_column(out, &fields[i]);
    mr_buf_printf(out,
                  "    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),\n"
                  "    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()\n"
                  ");\n\n"
                  "-- The list walks it in either direction.\n"
                  "CREATE INDEX ON %s (created_at, id);\n",
                  table);
}

static mr_status draft_resource(struct mr_scaffold *self, const char *name, const char *const *fields, unsigned count,
                                struct drafts *drafts)
{
    struct mr_application *application = NULL;
    struct field parsed[FIELDS_MAX];
    char segment[2 * MR_WORD_ROOM];
    mr_status status = check_name(self, "resource", name);

    if (parse_fields(self, fields, count, parsed) != MR_OK || status != MR_OK)
        return MR_INVALID;
    status = load_first(self, &application);
    if (status == MR_OK) {
        path_segment(segment, name);
        make_table(draft_migration(drafts, application, name), name, parsed, count);
        declare_resource(draft(drafts, "resources/", name, ".yaml"), name, segment, parsed, count);
    }
    mr_application_destroy(&application);
    return status;
}

mr_status mr_scaffold_resource(struct mr_scaffold *self, const char *name, const char *const *fields, unsigned count)
{
    struct drafts drafts = {.count = 0};
    char segment[2 * MR_WORD_ROOM];
    mr_status status = draft_resource(self, name, fields, count, &drafts);

    if (status == MR_OK)
        status = write_drafts(self, &drafts);
    if (status == MR_OK) {
        path_segment(segment, name);
        mr_buf_printf(
            self->told,
            "next: look at the bounds and the access in both files, then `millrace check`; `millrace dev` serves it at /v1/%s. "
            "A migration that has been applied is changed by another one: `millrace new migration NAME`\n",
            segment);
    }
    return status;
}

/* ---- Migrations and jobs ---- */

mr_status mr_scaffold_migration(struct mr_scaffold *self, const char *name)
{
    struct drafts drafts = {.count = 0};
    struct mr_application *application = NULL;
    mr_status status = check_name(self, "migration", name);

    if (status == MR_OK)
        status = load_first(self, &application);
    if (status != MR_OK)
        return status;
    mr_buf_printf(
        draft_migration(&drafts, application, name),
        "-- %s. One transaction; what the release before uses has to stay: add here, and remove with the release after.\n",
        name);
    mr_application_destroy(&application);
    status = write_drafts(self, &drafts);
    if (status == MR_OK)
        mr_buf_text(self->told, "next: write its SQL, then `millrace check`; once it has been applied it stays as it is\n");
    return status;
}

mr_status mr_scaffold_job(struct mr_scaffold *self, const char *name)
{
    struct drafts drafts = {.count = 0};
    struct mr_application *application = NULL;
    mr_status status = check_name(self, "job", name);

    if (status == MR_OK)
        status = load_first(self, &application);
    if (status != MR_OK)
        return status;
    mr_application_destroy(&application);
    mr_buf_printf(draft(&drafts, "jobs/", name, ".yaml"),
                  "%s:\n"
                  "  work: sql\n"
                  "  statements: [%s]\n"
                  "  exclusive: true\n"
                  "  # cron: 0 3 * * *     when a run begins by itself; without it an administrator starts each\n",
                  name, name);
    mr_buf_printf(draft(&drafts, "queries/", name, ".sql"),
                  "-- name: %s\n"
                  "-- One chunk: at most k.most rows, from k.cursor on. It is run again, with the cursor that it answers, "
                  "while there is more.\n"
                  "WITH {{chunk}}\n"
                  "SELECT 0 AS rows, NULL::text AS cursor, false AS more\n"
                  "  FROM k;\n",
                  name);
    status = write_drafts(self, &drafts);
    if (status == MR_OK)
        mr_buf_printf(self->told, "next: write the statement in queries/%s.sql and say `cron`, then `millrace check`\n", name);
    return status;
}
