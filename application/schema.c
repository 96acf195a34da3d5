#include "application/schema.h"

#include <stdio.h>
#include <stdlib.h>

#include "application/keys.h"
#include "proto/json.h"

/* Text of a schema as it grows, indented by what is open. */
struct writing {
    struct mr_buf *out;
    unsigned depth;
    bool is_first; /* nothing stands in the innermost object or array yet */
};

static void begin_line(struct writing *self)
{
    if (!self->is_first)
        mr_buf_char(self->out, ',');
    if (self->depth > 0)
        mr_buf_char(self->out, '\n');
    for (unsigned i = 0; i < self->depth; i++)
        mr_buf_text(self->out, "  ");
    self->is_first = false;
}

static void write_name(struct writing *self, const char *name)
{
    begin_line(self);
    if (name == NULL)
        return;
    mr_json_string(self->out, mr_slice_of(name));
    mr_buf_text(self->out, ": ");
}

/* `name` is NULL for an element of an array. */
static void open_with(struct writing *self, const char *name, char bracket)
{
    write_name(self, name);
    mr_buf_char(self->out, bracket);
    self->depth++;
    self->is_first = true;
}

static void close_with(struct writing *self, char bracket)
{
    self->depth--;
    self->is_first = true;
    mr_buf_char(self->out, '\n');
    for (unsigned i = 0; i < self->depth; i++)
        mr_buf_text(self->out, "  ");
    mr_buf_char(self->out, bracket);
    self->is_first = false;
}

static void write_text(struct writing *self, const char *name, const char *text)
{
    write_name(self, name);
    mr_json_string(self->out, mr_slice_of(text));
}

/* A number, true, false. */
static void write_bare(struct writing *self, const char *name, const char *text)
{
    write_name(self, name);
    mr_buf_text(self->out, text);
}

static void write_path(struct writing *self, const char *section)
{
    char path[MR_WORD_ROOM];

    snprintf(path, sizeof path, "#/$defs/%s", section);
    write_text(self, "$ref", path);
}

static void write_ref(struct writing *self, const char *name, const char *section)
{
    open_with(self, name, '{');
    write_path(self, section);
    close_with(self, '}');
}

/* ---- Kinds ---- */

/* Text of a pattern, or text with `${...}` in it, whose value is not known here. */
static void write_pattern(struct writing *self, const char *name, const char *pattern)
{
    struct mr_buf text = {0};

    mr_buf_printf(&text, "%s|[$][{]", pattern);
    mr_buf_char(&text, '\0');
    if (!text.failed)
        write_text(self, name, text.data);
    self->out->failed = self->out->failed || text.failed;
    mr_buf_fini(&text);
}

static void write_string(struct writing *self, const char *pattern)
{
    write_text(self, "type", "string");
    if (pattern != NULL)
        write_pattern(self, "pattern", pattern);
    else
        write_bare(self, "minLength", "1");
}

static void write_words(struct writing *self, const char *words)
{
    char word[MR_WORD_ROOM];

    open_with(self, "anyOf", '[');
    open_with(self, NULL, '{');
    open_with(self, "enum", '[');
    while (mr_word_next(&words, word))
        write_text(self, NULL, word);
    close_with(self, ']');
    close_with(self, '}');
    open_with(self, NULL, '{');
    write_text(self, "type", "string");
    write_text(self, "pattern", "[$][{]");
    close_with(self, '}');
    close_with(self, ']');
}

/* "-100..100" */
static void write_bounds(struct writing *self, const char *bounds)
{
    char text[32];
    char *end;

    snprintf(text, sizeof text, "%ld", strtol(bounds, &end, 10));
    write_text(self, "type", "integer");
    write_bare(self, "minimum", text);
    write_bare(self, "maximum", end + 2);
}

static void write_most(struct writing *self, const char *least, const char *most)
{
    char text[32];

    snprintf(text, sizeof text, "%d", MR_ENTRIES_MAX);
    write_bare(self, least, "1");
    write_bare(self, most, text);
}

static void begin_list(struct writing *self, bool distinct)
{
    write_text(self, "type", "array");
    write_most(self, "minItems", "maxItems");
    if (distinct)
        write_bare(self, "uniqueItems", "true");
    open_with(self, "items", '{');
}

static void write_list(struct writing *self, enum mr_kind kind)
{
    begin_list(self, true);
    write_string(self, mr_kind_info(kind)->pattern);
    close_with(self, '}');
}

/* It may be empty. */
static void write_word_list(struct writing *self, const char *words)
{
    write_text(self, "type", "array");
    write_bare(self, "uniqueItems", "true");
    open_with(self, "items", '{');
    write_words(self, words);
    close_with(self, '}');
}

static void write_texts(struct writing *self)
{
    write_text(self, "type", "object");
    write_most(self, "minProperties", "maxProperties");
    open_with(self, "additionalProperties", '{');
    write_string(self, NULL);
    close_with(self, '}');
}

/* What names of fields are not: the engine's. */
static void write_reserved(struct writing *self, const char *section)
{
    const char *words = strcmp(section, "field") == 0 ? MR_RESERVED_NAMES "|" MR_IMPLIED_NAMES : MR_RESERVED_NAMES;
    char word[MR_WORD_ROOM];

    open_with(self, "propertyNames", '{');
    write_text(self, "pattern", mr_kind_info(MR_KIND_NAME)->pattern);
    open_with(self, "not", '{');
    open_with(self, "enum", '[');
    while (mr_word_next(&words, word))
        write_text(self, NULL, word);
    close_with(self, ']');
    close_with(self, '}');
    close_with(self, '}');
}

static void write_fields(struct writing *self, const char *section)
{
    write_text(self, "type", "object");
    write_most(self, "minProperties", "maxProperties");
    write_reserved(self, section);
    write_ref(self, "additionalProperties", section);
}

static void write_filters(struct writing *self)
{
    write_text(self, "type", "object");
    write_most(self, "minProperties", "maxProperties");
    open_with(self, "propertyNames", '{');
    write_text(self, "pattern", mr_kind_info(MR_KIND_NAME)->pattern);
    close_with(self, '}');
    open_with(self, "additionalProperties", '{');
    write_string(self, mr_kind_info(MR_KIND_CONDITION)->pattern);
    close_with(self, '}');
}

static void write_access(struct writing *self)
{
    static const char *const sides[] = {"read", "write"};
    const char *pattern = mr_kind_info(MR_KIND_SCOPE)->pattern;

    open_with(self, "anyOf", '[');
    open_with(self, NULL, '{');
    write_string(self, pattern);
    close_with(self, '}');
    open_with(self, NULL, '{');
    write_text(self, "type", "object");
    write_bare(self, "minProperties", "1");
    write_bare(self, "additionalProperties", "false");
    open_with(self, "properties", '{');
    for (int i = 0; i < 2; i++) {
        open_with(self, sides[i], '{');
        write_string(self, pattern);
        close_with(self, '}');
    }
    close_with(self, '}');
    close_with(self, '}');
    close_with(self, ']');
}

static void write_sorts(struct writing *self)
{
    begin_list(self, true);
    open_with(self, "anyOf", '[');
    open_with(self, NULL, '{');
    write_string(self, mr_kind_info(MR_KIND_SORT)->pattern);
    close_with(self, '}');
    open_with(self, NULL, '{');
    write_text(self, "type", "object");
    write_bare(self, "minProperties", "1");
    write_bare(self, "maxProperties", "1");
    open_with(self, "propertyNames", '{');
    write_text(self, "pattern", mr_kind_info(MR_KIND_SORT)->pattern);
    close_with(self, '}');
    open_with(self, "additionalProperties", '{');
    write_string(self, mr_kind_info(MR_KIND_THROUGH)->pattern);
    close_with(self, '}');
    close_with(self, '}');
    close_with(self, ']');
    close_with(self, '}');
}

static void write_returned_kinds(struct writing *self)
{
    open_with(self, NULL, '{');
    write_string(self, "^" MR_WORD_PATTERN "$");
    close_with(self, '}');
    open_with(self, NULL, '{');
    write_fields(self, "result");
    close_with(self, '}');
}

static void write_returned(struct writing *self)
{
    open_with(self, "anyOf", '[');
    write_returned_kinds(self);
    close_with(self, ']');
}

static void write_returns(struct writing *self)
{
    open_with(self, "anyOf", '[');
    write_returned_kinds(self);
    open_with(self, NULL, '{');
    write_text(self, "type", "array");
    write_bare(self, "minItems", "1");
    write_bare(self, "maxItems", "1");
    open_with(self, "items", '{');
    write_returned(self);
    close_with(self, '}');
    close_with(self, '}');
    close_with(self, ']');
}

/* What a value is like, inside of its object. Kinds that are not here are text. */
static void write_kind(struct writing *self, const struct mr_key *key)
{
    switch (key->kind) {
    case MR_KIND_WORD: write_words(self, key->allowed); break;
    case MR_KIND_BOOLEAN: write_text(self, "type", "boolean"); break;
    case MR_KIND_INTEGER: write_bounds(self, key->allowed); break;
    case MR_KIND_VALUE:
        open_with(self, "not", '{');
        write_text(self, "type", "null");
        close_with(self, '}');
        break;
    case MR_KIND_ACCESS: write_access(self); break;
    case MR_KIND_RETURNS: write_returns(self); break;
    case MR_KIND_WORDS: write_word_list(self, key->allowed); break;
    case MR_KIND_NAMES: write_list(self, MR_KIND_NAME); break;
    case MR_KIND_COLUMNS: write_list(self, MR_KIND_COLUMN); break;
    case MR_KIND_STATEMENTS: write_list(self, MR_KIND_STATEMENT); break;
    case MR_KIND_SECRETS: write_list(self, MR_KIND_SECRET); break;
    case MR_KIND_SORTS: write_sorts(self); break;
    case MR_KIND_FILTERS: write_filters(self); break;
    case MR_KIND_TEXTS: write_texts(self); break;
    case MR_KIND_FIELDS: write_fields(self, key->allowed); break;
    default: write_string(self, mr_kind_info(key->kind)->pattern); break;
    }
}

/* ---- Sections ---- */

static void write_default(struct writing *self, const struct mr_key *key)
{
    const char *words = key->fallback;
    char word[MR_WORD_ROOM];

    if (key->fallback == NULL)
        return;
    if (key->kind == MR_KIND_WORDS) {
        open_with(self, "default", '[');
        while (mr_word_next(&words, word))
            write_text(self, NULL, word);
        close_with(self, ']');
    } else if (key->kind == MR_KIND_BOOLEAN || key->kind == MR_KIND_INTEGER) {
        write_bare(self, "default", key->fallback);
    } else {
        write_text(self, "default", key->fallback);
    }
}

static void write_property(struct writing *self, const struct mr_key *key)
{
    open_with(self, key->name, '{');
    write_text(self, "description", key->about);
    if (key->kind == MR_KIND_SECTION) {
        write_path(self, key->allowed);
    } else {
        write_kind(self, key);
    }
    write_default(self, key);
    close_with(self, '}');
}

/* {"properties": {KEY: ...}}, of a boolean that is true, and with `required` when it has to be there. */
static void write_condition(struct writing *self, const char *name, bool boolean, const char *words, bool required)
{
    if (boolean || words[0] != '\0') {
        open_with(self, "properties", '{');
        open_with(self, name, '{');
        if (boolean)
            write_bare(self, "const", "true");
        else
            write_words(self, words);
        close_with(self, '}');
        close_with(self, '}');
    }
    if (required) {
        open_with(self, "required", '[');
        write_text(self, NULL, name);
        close_with(self, ']');
    }
}

static void write_need(struct writing *self, enum mr_section section, const struct mr_key *key, const struct mr_need *need)
{
    const struct mr_key *other = mr_key_find(section, need->key);
    bool boolean = other->kind == MR_KIND_BOOLEAN;

    open_with(self, NULL, '{');
    open_with(self, "if", '{');
    write_condition(self, key->name, key->kind == MR_KIND_BOOLEAN, "", true);
    close_with(self, '}');
    open_with(self, "then", '{');
    if (need->negated)
        open_with(self, "not", '{');
    write_condition(self, need->key, boolean, need->words, true);
    if (need->negated)
        close_with(self, '}');
    close_with(self, '}');
    close_with(self, '}');
}

static bool has_needs(enum mr_section section)
{
    for (const struct mr_key *key = mr_key_next(section, NULL); key != NULL; key = mr_key_next(section, key))
        if (key->needs != NULL)
            return true;
    return false;
}

static void write_needs(struct writing *self, enum mr_section section)
{
    if (!has_needs(section))
        return;
    open_with(self, "allOf", '[');
    for (const struct mr_key *key = mr_key_next(section, NULL); key != NULL; key = mr_key_next(section, key)) {
        const char *at = key->needs;
        struct mr_need need;

        while (mr_need_next(&at, &need))
            write_need(self, section, key, &need);
    }
    close_with(self, ']');
}

static void write_required(struct writing *self, enum mr_section section)
{
    bool any = false;

    for (const struct mr_key *key = mr_key_next(section, NULL); key != NULL; key = mr_key_next(section, key)) {
        if (!key->must)
            continue;
        if (!any)
            open_with(self, "required", '[');
        any = true;
        write_text(self, NULL, key->name);
    }
    if (any)
        close_with(self, ']');
}

static void write_section(struct writing *self, enum mr_section section)
{
    const struct mr_section_info *info = mr_section_info(section);

    open_with(self, info->name, '{');
    write_text(self, "description", info->about);
    write_text(self, "type", "object");
    write_bare(self, "additionalProperties", "false");
    write_required(self, section);
    open_with(self, "properties", '{');
    for (const struct mr_key *key = mr_key_next(section, NULL); key != NULL; key = mr_key_next(section, key))
        write_property(self, key);
    close_with(self, '}');
    write_needs(self, section);
    close_with(self, '}');
}

/* A file that is a map of names to a section. */
static void write_map(struct writing *self, enum mr_file_kind kind, enum mr_section section)
{
    open_with(self, mr_file_kind_name((int)kind), '{');
    write_text(self, "description",
               kind == MR_FILE_JOBS ? "jobs/NAME.yaml: jobs by their names"
                                    : "operations/NAME.yaml: operations by their names");
    write_text(self, "type", "object");
    write_bare(self, "minProperties", "1");
    open_with(self, "propertyNames", '{');
    write_text(self, "pattern", "^" MR_WORD_PATTERN "$");
    close_with(self, '}');
    write_ref(self, "additionalProperties", mr_section_info(section)->name);
    close_with(self, '}');
}

void mr_schema_print(struct mr_buf *out, enum mr_file_kind kind)
{
    struct writing self = {.out = out, .is_first = true};

    open_with(&self, NULL, '{');
    write_text(&self, "$schema", "https://json-schema.org/draft/2020-12/schema");
    write_text(&self, "title", "Millrace application");
    if (kind < MR_FILE_KIND_COUNT) {
        write_path(&self, mr_file_kind_name((int)kind));
    } else {
        open_with(&self, "anyOf", '[');
        for (int i = 0; i < MR_FILE_KIND_COUNT; i++)
            write_ref(&self, NULL, mr_file_kind_name(i));
        close_with(&self, ']');
    }
    open_with(&self, "$defs", '{');
    for (int section = 0; section < MR_SECTION_COUNT; section++)
        write_section(&self, (enum mr_section)section);
    write_map(&self, MR_FILE_OPERATIONS, MR_SECTION_operation);
    write_map(&self, MR_FILE_JOBS, MR_SECTION_job);
    close_with(&self, '}');
    close_with(&self, '}');
    mr_buf_char(out, '\n');
}
