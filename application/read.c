#include "application/read.h"

#include <stdio.h>
#include <stdlib.h>

#include "application/read_internal.h"

struct mr_reader *mr_reader_new(struct mr_arena *arena, struct mr_problems *problems)
{
    struct mr_reader *self = calloc(1, sizeof *self);

    if (self == NULL)
        return NULL;
    self->arena = arena;
    self->problems = problems;
    return self;
}

void mr_reader_destroy(struct mr_reader **self)
{
    if (*self == NULL)
        return;
    for (int kind = 0; kind < MR_KIND_COUNT; kind++)
        if ((*self)->compiled[kind])
            regfree(&(*self)->patterns[kind]);
    free(*self);
    *self = NULL;
}

/* ---- Sections ---- */

static bool is_reserved(enum mr_section section, const char *name)
{
    return mr_word_is_in(MR_RESERVED_NAMES, name, NULL) ||
           (section == MR_SECTION_field && mr_word_is_in(MR_IMPLIED_NAMES, name, NULL));
}

static void read_fields_of(struct mr_reader *self, enum mr_section section, const struct mr_yaml *node,
                           struct mr_app_fields *out)
{
    char quote[MR_QUOTE_ROOM];

    if (!read_is_filled(self, node, MR_YAML_MAP, mr_kind_info(MR_KIND_FIELDS)->told))
        return;
    out->items = mr_arena_take(self->arena, node->count * sizeof *out->items);
    for (const struct mr_yaml *item = node->first; item != NULL && out->items != NULL; item = item->next) {
        struct mr_app_field *field = &out->items[out->count++];

        /* A key is a name whatever YAML takes it for. */
        if (!read_fits(self, MR_KIND_NAME, item->key->text))
            mr_problems_add(self->problems, mr_yaml_place(item->key), "%s, expected %s", mr_quote(quote, item->key->text),
                            mr_kind_info(MR_KIND_NAME)->told);
        else if (is_reserved(section, item->key->text))
            mr_problems_add(self->problems, mr_yaml_place(item->key), "the name %s is the engine's own, expected another",
                            mr_quote(quote, item->key->text));
        mr_read_section(self, section, item, field);
        field->name = item->key->text;
    }
}

static void read_fields(struct mr_reader *self, const struct mr_key *key, const struct mr_yaml *node, void *out)
{
    read_fields_of(self, mr_section_named(key->allowed), node, out);
}

static void read_sub_section(struct mr_reader *self, const struct mr_key *key, const struct mr_yaml *node, void *out)
{
    mr_read_section(self, mr_section_named(key->allowed), node, out);
}

static void read_returns(struct mr_reader *self, const struct mr_key *key, const struct mr_yaml *node, void *out)
{
    struct mr_app_returns *returns = out;
    const struct mr_yaml *name = node->kind == MR_YAML_LIST ? node->first : node;

    returns->node = node;
    returns->many = node->kind == MR_YAML_LIST;
    if (returns->many && node->count != 1)
        mr_problems_add(self->problems, mr_yaml_place(node), "a list of %u, expected one resource or one map in it",
                        node->count);
    else if (name->kind == MR_YAML_MAP)
        read_fields_of(self, MR_SECTION_result, name, &returns->fields);
    else if (name->kind == MR_YAML_TEXT && mr_is_word(name->text))
        returns->resource = name->text;
    else
        read_unexpected(self, name, mr_kind_info(key->kind)->told);
}

/* What reads a key of that kind. */
static read_value *reader_of(enum mr_kind kind)
{
    switch (kind) {
    case MR_KIND_RETURNS: return read_returns;
    case MR_KIND_SECTION: return read_sub_section;
    case MR_KIND_FIELDS: return read_fields;
    default: return read_value_of(kind);
    }
}

static void unknown_key(struct mr_reader *self, enum mr_section section, const struct mr_yaml *key)
{
    const char *near = mr_key_near(section, key->text);
    char quote[MR_QUOTE_ROOM];
    char keys[256] = "";
    size_t length = 0;

    if (near != NULL) {
        mr_problems_add(self->problems, mr_yaml_place(key), "unknown key %s, expected \"%s\"", mr_quote(quote, key->text),
                        near);
        return;
    }
    for (const struct mr_key *k = mr_key_next(section, NULL); k != NULL && length < sizeof keys; k = mr_key_next(section, k))
        length += (size_t)snprintf(keys + length, sizeof keys - length, "%s%s", length > 0 ? ", " : "", k->name);
    mr_problems_add(self->problems, mr_yaml_place(key), "unknown key %s, expected one of %s", mr_quote(quote, key->text), keys);
}

/* As if the file had it: the table's own text, which always fits. */
static void read_fallback(struct mr_reader *self, const struct mr_key *key, void *out)
{
    struct mr_yaml node = {.kind = MR_YAML_TEXT, .file = "", .text = key->fallback, .source = key->fallback};
    const char *words = key->fallback;
    char word[MR_WORD_ROOM];
    int index;

    if (key->kind == MR_KIND_WORDS) {
        while (mr_word_next(&words, word))
            if (mr_word_is_in(key->allowed, word, &index))
                *(unsigned *)out |= 1U << index;
        return;
    }
    if (key->kind == MR_KIND_BOOLEAN)
        node.kind = MR_YAML_BOOLEAN;
    else if (key->kind == MR_KIND_INTEGER)
        node.kind = MR_YAML_INTEGER;
    reader_of(key->kind)(self, key, &node, out);
}

/* ---- What keys need of each other ---- */

static bool is_false(const struct mr_yaml *node)
{
    return node->kind == MR_YAML_BOOLEAN && (node->text[0] == 'f' || node->text[0] == 'F');
}

/* Also when the other key has a problem of its own: one is enough. */
static bool is_met(enum mr_section section, const struct mr_need *need, const struct mr_yaml *map)
{
    const struct mr_yaml *other = mr_yaml_get(map, need->key);
    const char *allowed = mr_key_find(section, need->key)->allowed;

    if (need->negated)
        return other == NULL || is_false(other);
    if (other == NULL || need->words[0] == '\0')
        return other != NULL;
    if (other->kind == MR_YAML_BOOLEAN)
        return !is_false(other);
    if (other->text == NULL || !mr_word_is_in(allowed, other->text, NULL))
        return true;
    return mr_word_is_in(need->words, other->text, NULL);
}

static void check_needs(struct mr_reader *self, enum mr_section section, const struct mr_key *key, const struct mr_yaml *value,
                        const struct mr_yaml *map)
{
    const char *at = key->needs;
    struct mr_need need;
    char words[128];

    if (is_false(value))
        return;
    while (mr_need_next(&at, &need)) {
        if (is_met(section, &need, map))
            continue;
        if (need.negated)
            mr_problems_add(self->problems, mr_yaml_place(value->key), "\"%s\" beside \"%s\", expected one of the two",
                            key->name, need.key);
        else
            mr_problems_add(self->problems, mr_yaml_place(value->key),
                            "\"%s\" does not go here, expected it only with \"%s\"%s%s", key->name, need.key,
                            need.words[0] != '\0' ? ": " : "", read_list_words(need.words, words, sizeof words));
    }
}

static void check_missing(struct mr_reader *self, const struct mr_key *key, const struct mr_yaml *map)
{
    char words[256];
    bool choice = key->kind == MR_KIND_WORD;

    mr_problems_add(self->problems, mr_yaml_place(map->key != NULL ? map->key : map), "\"%s\" is missing, expected %s",
                    key->name, choice ? read_list_words(key->allowed, words, sizeof words) : mr_kind_info(key->kind)->told);
}

void mr_read_section(struct mr_reader *self, enum mr_section section, const struct mr_yaml *node, void *out)
{
    if (node->kind != MR_YAML_MAP) {
        read_mistyped(self, node, "a map");
        return;
    }
    *(const struct mr_yaml **)out = node; /* the first member of every struct */
    for (const struct mr_yaml *value = node->first; value != NULL; value = value->next) {
        const struct mr_key *key = mr_key_find(section, value->key->text);

        if (key == NULL) {
            unknown_key(self, section, value->key);
            continue;
        }
        reader_of(key->kind)(self, key, value, (char *)out + key->member);
        check_needs(self, section, key, value, node);
    }
    for (const struct mr_key *key = mr_key_next(section, NULL); key != NULL; key = mr_key_next(section, key)) {
        if (mr_yaml_get(node, key->name) != NULL)
            continue;
        if (key->must)
            check_missing(self, key, node);
        else if (key->fallback != NULL)
            read_fallback(self, key, (char *)out + key->member);
    }
}
