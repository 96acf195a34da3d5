/*
 * A resource's first version: what the command line says of its fields, its declaration, and the migration of its table.
 */
#include <stdio.h>
#include <string.h>

#include "application/check.h"
#include "application/draft.h"
#include "application/read.h"

enum { FIELDS_MAX = MR_ENTRIES_MAX };

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

    return length > 0 && length <= MR_NAME_LENGTH && strspn(text, letters) > 0 && strspn(text, all) == length;
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

/* clang-format off */
const char *const mr_reserved_words[] = {
    "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "authorization", "binary", "both", "case",
    "cast", "check", "collate", "collation", "column", "concurrently", "constraint", "create", "cross", "current_catalog",
    "current_date", "current_role", "current_schema", "current_time", "current_timestamp", "current_user", "default",
    "deferrable", "desc", "distinct", "do", "else", "end", "except", "false", "fetch", "for", "foreign", "freeze", "from",
    "full", "grant", "group", "having", "ilike", "in", "initially", "inner", "intersect", "into", "is", "isnull", "join",
    "lateral", "leading", "left", "like", "limit", "localtime", "localtimestamp", "natural", "not", "notnull", "null",
    "offset", "on", "only", "or", "order", "outer", "overlaps", "placing", "primary", "references", "returning", "right",
    "select", "session_user", "similar", "some", "symmetric", "table", "tablesample", "then", "to", "trailing", "true",
    "union", "unique", "user", "using", "variadic", "verbose", "when", "where", "window", "with", NULL
};
/* clang-format on */

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
                                struct mr_drafts *drafts)
{
    struct mr_application *application = NULL;
    struct field parsed[FIELDS_MAX];
    char segment[2 * MR_WORD_ROOM];
    mr_status status = mr_draft_check_name(self, "resource", name);

    if (parse_fields(self, fields, count, parsed) != MR_OK || status != MR_OK)
        return MR_INVALID;
    status = mr_drafts_load_first(self, &application);
    if (status == MR_OK) {
        path_segment(segment, name);
        make_table(mr_draft_migration(drafts, application, name), name, parsed, count);
        declare_resource(mr_draft_file(drafts, "resources/", name, ".yaml"), name, segment, parsed, count);
    }
    mr_application_destroy(&application);
    return status;
}

mr_status mr_scaffold_resource(struct mr_scaffold *self, const char *name, const char *const *fields, unsigned count)
{
    struct mr_drafts drafts = {.count = 0};
    char segment[2 * MR_WORD_ROOM];
    mr_status status = draft_resource(self, name, fields, count, &drafts);

    if (status == MR_OK)
        status = mr_drafts_write(self, &drafts);
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
