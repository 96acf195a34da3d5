/*
 * The values of keys: text held against the pattern of its kind, words, numbers, bounds, and lists and maps of them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "application/read_internal.h"
#include "application/value.h"
#include "proto/message.h"
#include "scheduler/cron.h"

bool read_fits(struct mr_reader *self, enum mr_kind kind, const char *text)
{
    const char *pattern = mr_kind_info(kind)->pattern;

    if (pattern == NULL)
        return true;
    if (!self->compiled[kind] && regcomp(&self->patterns[kind], pattern, REG_EXTENDED | REG_NOSUB) != 0) {
        self->arena->failed = true; /* the patterns are ours, and good: only memory can be missing */
        return true;
    }
    self->compiled[kind] = true;
    return regexec(&self->patterns[kind], text, 0, NULL, 0) == 0;
}

bool mr_is_word(const char *name)
{
    size_t length = strlen(name);

    return length > 0 && length <= 63 && name[0] >= 'a' && name[0] <= 'z' &&
           name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

/* ---- Problems ---- */

/* "price" for a scalar, else what it is; in words that fit behind nothing. */
static const char *shown(const struct mr_yaml *node, char room[MR_QUOTE_ROOM])
{
    if (node->source == NULL)
        return mr_yaml_told(node->kind);
    return node->kind == MR_YAML_NULL ? "nothing" : mr_quote(room, node->source);
}

void read_unexpected(struct mr_reader *self, const struct mr_yaml *node, const char *expected)
{
    char quote[MR_QUOTE_ROOM];
    bool quoted = node->kind == MR_YAML_BOOLEAN || node->kind == MR_YAML_INTEGER || node->kind == MR_YAML_FLOAT;

    mr_problems_add(self->problems, mr_yaml_place(node), "%s%s, expected %s", shown(node, quote),
                    quoted ? " without quotes is not text" : "", expected);
}

void read_mistyped(struct mr_reader *self, const struct mr_yaml *node, const char *expected)
{
    char quote[MR_QUOTE_ROOM];

    mr_problems_add(self->problems, mr_yaml_place(node), "%s, expected %s", shown(node, quote), expected);
}

static bool is_small(struct mr_reader *self, const struct mr_yaml *node)
{
    if (node->count == 0)
        mr_problems_add(self->problems, mr_yaml_place(node), "it is empty, expected at least one entry");
    else if (node->count > MR_ENTRIES_MAX)
        mr_problems_add(self->problems, mr_yaml_place(node), "%u entries, expected %d at most", node->count, MR_ENTRIES_MAX);
    return node->count > 0 && node->count <= MR_ENTRIES_MAX;
}

/* A list, or a map, with 1 to MR_ENTRIES_MAX entries. */
bool read_is_filled(struct mr_reader *self, const struct mr_yaml *node, enum mr_yaml_kind kind, const char *expected)
{
    if (node->kind != kind) {
        read_mistyped(self, node, expected);
        return false;
    }
    return is_small(self, node);
}

/* ---- Text ---- */

bool mr_read_text(struct mr_reader *self, enum mr_kind kind, const struct mr_yaml *node, const char **out)
{
    bool fits = node->kind == MR_YAML_TEXT && node->text[0] != '\0' && read_fits(self, kind, node->text);

    if (fits)
        *out = node->text;
    else if (kind == MR_KIND_SECRET)
        mr_problems_add(self->problems, mr_yaml_place(node), "the value is not valid, expected %s", mr_kind_info(kind)->told);
    else
        read_unexpected(self, node, mr_kind_info(kind)->told);
    return fits;
}

static void read_text(struct mr_reader *self, const struct mr_key *key, const struct mr_yaml *node, void *out)
{
    (void)mr_read_text(self, key->kind, node, out);
}

static void read_pattern(struct mr_reader *self, const struct mr_key *key, const struct mr_yaml *node, void *out)
{
    char reason[128];
    const char *text;

    if (!mr_read_text(self, key->kind, node, &text))
        return;
    if (mr_regex_check(text, reason, sizeof reason))
        *(const char **)out = text;
    else
        mr_problems_add(self->problems, mr_yaml_place(node), "%s, expected %s", reason, mr_kind_info(key->kind)->told);
}

static void read_cron(struct mr_reader *self, const struct mr_key *key, const struct mr_yaml *node, void *out)
{
    struct mr_cron_problem problem;
    struct mr_cron cron;
    const char *text;

    if (node->kind == MR_YAML_TEXT && node->text[0] == '\0' && node->source[0] != '\0')
        return; /* of a variable that is empty: there is no schedule */
    if (!mr_read_text(self, key->kind, node, &text))
        return;
    if (mr_cron_parse(&cron, mr_slice_of(text), &problem))
        *(const char **)out = text;
    else
        mr_problems_add(self->problems, mr_yaml_place(node), "at position %zu of the cron expression: %s, expected %s",
                        problem.position, problem.reason, mr_kind_info(key->kind)->told);
}

static void read_route(struct mr_reader *self, const struct mr_key *key, const struct mr_yaml *node, void *out)
{
    struct mr_app_route *route = out;
    const char *text;

    if (!mr_read_text(self, key->kind, node, &text))
        return;
    for (int verb = MR_VERB_GET; verb < MR_VERB_COUNT; verb++) {
        const char *name = mr_verb_name((enum mr_verb)verb);

        if (strncmp(text, name, strlen(name)) == 0 && text[strlen(name)] == ' ')
            *route = (struct mr_app_route){(enum mr_verb)verb, text + strlen(name) + 1};
    }
}

static void read_reference(struct mr_reader *self, const struct mr_key *key, const struct mr_yaml *node, void *out)
{
    struct mr_app_reference *reference = out;
    const char *text;
    const char *point;

    if (!mr_read_text(self, key->kind, node, &text))
        return;
    point = strchr(text, '.');
    reference->resource = mr_arena_text(self->arena, (struct mr_slice){text, (size_t)(point - text)});
    reference->field = point + 1;
}

/* ---- Words, numbers, bounds ---- */

/* "a, b or c" */
const char *read_list_words(const char *words, char *room, size_t size)
{
    char word[MR_WORD_ROOM];
    size_t length = 0;

    room[0] = '\0';
    for (bool first = true; length < size && mr_word_next(&words, word); first = false)
        length += (size_t)snprintf(room + length, size - length, "%s%s", first ? "" : *words == '\0' ? " or " : ", ", word);
    return room;
}

static bool read_one_word(struct mr_reader *self, const struct mr_key *key, const struct mr_yaml *node, int *out)
{
    char near[MR_WORD_ROOM];
    char quote[MR_QUOTE_ROOM];
    char words[256];
    bool text = node->kind == MR_YAML_TEXT;

    if (text && mr_word_is_in(key->allowed, node->text, out))
        return true;
    if (text && mr_word_near(key->allowed, node->source, near) != NULL)
        mr_problems_add(self->problems, mr_yaml_place(node), "%s, expected \"%s\"", mr_quote(quote, node->source), near);
    else
        read_mistyped(self, node, read_list_words(key->allowed, words, sizeof words));
    return false;
}

static void read_word(struct mr_reader *self, const struct mr_key *key, const struct mr_yaml *node, void *out)
{
    struct mr_app_word *word = out;

    word->is_set = read_one_word(self, key, node, &word->index);
}

static void read_words(struct mr_reader *self, const struct mr_key *key, const struct mr_yaml *node, void *out)
{
    unsigned *set = out;
    char quote[MR_QUOTE_ROOM];
    int index;

    if (node->kind == MR_YAML_LIST && node->count == 0)
        return; /* none of them */
    if (!read_is_filled(self, node, MR_YAML_LIST, mr_kind_info(key->kind)->told))
        return;
    for (const struct mr_yaml *item = node->first; item != NULL; item = item->next) {
        if (!read_one_word(self, key, item, &index))
            continue;
        if ((*set & 1U << index) != 0)
            mr_problems_add(self->problems, mr_yaml_place(item), "%s occurs here twice, expected it once",
                            mr_quote(quote, item->source));
        *set |= 1U << index;
    }
}

static void read_boolean(struct mr_reader *self, const struct mr_key *key, const struct mr_yaml *node, void *out)
{
    if (node->kind == MR_YAML_BOOLEAN)
        *(bool *)out = node->text[0] == 't' || node->text[0] == 'T';
    else
        read_mistyped(self, node, mr_kind_info(key->kind)->told);
}

static void read_integer(struct mr_reader *self, const struct mr_key *key, const struct mr_yaml *node, void *out)
{
    struct mr_app_integer *integer = out;
    char quote[MR_QUOTE_ROOM];
    char *end;
    long long min = strtoll(key->allowed, &end, 10);
    long long max = strtoll(end + 2, NULL, 10);
    long long value;
    struct mr_buf json = {0};
    bool good = node->kind == MR_YAML_INTEGER && mr_yaml_json(node, &json) && node->text[0] != '+' && strlen(node->text) < 18;

    mr_buf_fini(&json);
    value = good ? strtoll(node->text, NULL, 10) : 0;
    if (good && value >= min && value <= max)
        *integer = (struct mr_app_integer){true, value};
    else
        mr_problems_add(self->problems, mr_yaml_place(node), "%s, expected an integer from %lld to %lld", shown(node, quote),
                        min, max);
}

static void read_duration(struct mr_reader *self, const struct mr_key *key, const struct mr_yaml *node, void *out)
{
    struct mr_app_integer *duration = out;
    const char *max = strchr(key->allowed, '.') + 2;
    char min[MR_WORD_ROOM];
    char quote[MR_QUOTE_ROOM];
    const char *text;
    int64_t ms;

    if (!mr_read_text(self, key->kind, node, &text))
        return;
    snprintf(min, sizeof min, "%.*s", (int)(max - 2 - key->allowed), key->allowed);
    ms = mr_duration_ms(text);
    if (ms >= mr_duration_ms(min) && ms <= mr_duration_ms(max))
        *duration = (struct mr_app_integer){true, ms};
    else
        mr_problems_add(self->problems, mr_yaml_place(node), "%s, expected %s to %s", shown(node, quote), min, max);
}

/* The two sides of "from..to" in the arena; NULL for one that is left out. */
static bool split_range(struct mr_reader *self, const char *text, const char **min, const char **max)
{
    const char *dots = strstr(text, "..");

    *min = dots > text ? mr_arena_text(self->arena, (struct mr_slice){text, (size_t)(dots - text)}) : NULL;
    *max = dots[2] != '\0' ? dots + 2 : NULL;
    return *min != NULL || *max != NULL;
}

static void read_range(struct mr_reader *self, const struct mr_key *key, const struct mr_yaml *node, void *out)
{
    struct mr_app_range range = {.is_set = true};
    const char *text;

    if (!mr_read_text(self, key->kind, node, &text))
        return;
    if (!split_range(self, text, &range.min, &range.max))
        read_unexpected(self, node, "one bound at least");
    else if (range.min != NULL && range.max != NULL && mr_decimal_compare(range.min, range.max) > 0)
        read_unexpected(self, node, "the smaller bound first");
    else
        *(struct mr_app_range *)out = range;
}

static void read_length(struct mr_reader *self, const struct mr_key *key, const struct mr_yaml *node, void *out)
{
    struct mr_app_length length = {.is_set = true};
    const char *text;

    if (!mr_read_text(self, key->kind, node, &text))
        return;
    length.min = strtoll(text, NULL, 10);
    length.max = strtoll(strstr(text, "..") + 2, NULL, 10);
    if (length.min > length.max)
        read_unexpected(self, node, "the smaller bound first");
    else if (length.max == 0)
        read_unexpected(self, node, "room for at least one");
    else
        *(struct mr_app_length *)out = length;
}

static void read_value_node(struct mr_reader *self, const struct mr_key *key, const struct mr_yaml *node, void *out)
{
    if (node->kind == MR_YAML_NULL)
        read_mistyped(self, node, mr_kind_info(key->kind)->told);
    else
        *(const struct mr_yaml **)out = node;
}

/* ---- Lists and maps of them ---- */

/* A list of texts of one kind, each once. */
static void read_names_of(struct mr_reader *self, enum mr_kind kind, const struct mr_key *key, const struct mr_yaml *node,
                          void *out)
{
    struct mr_app_names *names = out;
    char quote[MR_QUOTE_ROOM];

    if (!read_is_filled(self, node, MR_YAML_LIST, mr_kind_info(key->kind)->told))
        return;
    names->items = mr_arena_take(self->arena, node->count * sizeof *names->items);
    for (const struct mr_yaml *item = node->first; item != NULL && names->items != NULL; item = item->next) {
        const char *text;
        bool twice = false;

        if (!mr_read_text(self, kind, item, &text))
            continue;
        for (unsigned i = 0; i < names->count; i++)
            twice = twice || strcmp(names->items[i].name, text) == 0;
        if (twice)
            mr_problems_add(self->problems, mr_yaml_place(item), "%s occurs here twice, expected it once",
                            kind == MR_KIND_SECRET ? "a secret" : mr_quote(quote, item->source));
        else
            names->items[names->count++] = (struct mr_app_name){text, item};
    }
}

static void read_names(struct mr_reader *self, const struct mr_key *key, const struct mr_yaml *node, void *out)
{
    read_names_of(self, MR_KIND_NAME, key, node, out);
}

static void read_columns(struct mr_reader *self, const struct mr_key *key, const struct mr_yaml *node, void *out)
{
    read_names_of(self, MR_KIND_COLUMN, key, node, out);
}

static void read_statements(struct mr_reader *self, const struct mr_key *key, const struct mr_yaml *node, void *out)
{
    read_names_of(self, MR_KIND_STATEMENT, key, node, out);
}

static void read_secrets(struct mr_reader *self, const struct mr_key *key, const struct mr_yaml *node, void *out)
{
    read_names_of(self, MR_KIND_SECRET, key, node, out);
}

/* `-name`, or a map of one entry, `-word: field.other`. */
static bool read_sort(struct mr_reader *self, const struct mr_yaml *node, struct mr_app_sort *out)
{
    const struct mr_yaml *value = node->kind == MR_YAML_MAP ? node->first : NULL;
    const char *point;
    const char *text;
    const char *name;

    if (node->kind == MR_YAML_MAP && node->count != 1) {
        read_unexpected(self, node, "one entry in it, such as label: categoryCode.label");
        return false;
    }
    if (!mr_read_text(self, MR_KIND_SORT, value != NULL ? value->key : node, &name))
        return false;
    *out =
        (struct mr_app_sort){.field = name + (*name == '-'), .descending = *name == '-', .node = value != NULL ? value : node};
    if (value == NULL)
        return true;
    if (!mr_read_text(self, MR_KIND_THROUGH, value, &text))
        return false;
    point = strchr(text, '.');
    out->through = mr_arena_text(self->arena, (struct mr_slice){text, (size_t)(point - text)});
    out->of = point + 1;
    return out->through != NULL;
}

static void read_sorts(struct mr_reader *self, const struct mr_key *key, const struct mr_yaml *node, void *out)
{
    struct mr_app_sorts *sorts = out;
    char quote[MR_QUOTE_ROOM];

    if (!read_is_filled(self, node, MR_YAML_LIST, mr_kind_info(key->kind)->told))
        return;
    sorts->items = mr_arena_take(self->arena, node->count * sizeof *sorts->items);
    for (const struct mr_yaml *item = node->first; item != NULL && sorts->items != NULL; item = item->next) {
        struct mr_app_sort *sort = &sorts->items[sorts->count];
        bool twice = false;

        if (!read_sort(self, item, sort))
            continue;
        for (unsigned i = 0; i < sorts->count; i++)
            twice =
                twice || (strcmp(sorts->items[i].field, sort->field) == 0 && sorts->items[i].descending == sort->descending);
        if (twice)
            mr_problems_add(self->problems, mr_yaml_place(sort->node), "%s occurs here twice, expected it once",
                            mr_quote(quote, item->kind == MR_YAML_MAP ? item->first->key->text : item->source));
        else
            sorts->count++;
    }
}

static void read_filter(struct mr_reader *self, const struct mr_yaml *node, struct mr_app_filters *filters)
{
    static const char comparisons[] = "=|!=|<|<=|>|>=";
    struct mr_app_filter filter = {.node = node};
    const char *text;
    const char *space;
    int comparison;

    if (!mr_read_text(self, MR_KIND_NAME, node->key, &filter.parameter) || !mr_read_text(self, MR_KIND_CONDITION, node, &text))
        return;
    space = strchr(text, ' ');
    filter.field =
        space == NULL ? filter.parameter : mr_arena_text(self->arena, (struct mr_slice){text, (size_t)(space - text)});
    if (!mr_word_is_in(comparisons, space == NULL ? text : space + 1, &comparison) || filter.field == NULL)
        return;
    filter.comparison = (enum mr_app_comparison)comparison;
    filters->items[filters->count++] = filter;
}

static void read_filters(struct mr_reader *self, const struct mr_key *key, const struct mr_yaml *node, void *out)
{
    struct mr_app_filters *filters = out;

    if (!read_is_filled(self, node, MR_YAML_MAP, mr_kind_info(key->kind)->told))
        return;
    filters->items = mr_arena_take(self->arena, node->count * sizeof *filters->items);
    for (const struct mr_yaml *item = node->first; item != NULL && filters->items != NULL; item = item->next)
        read_filter(self, item, filters);
}

/* Names are those of URLs, and not held to a pattern. */
static void read_texts(struct mr_reader *self, const struct mr_key *key, const struct mr_yaml *node, void *out)
{
    struct mr_app_texts *texts = out;

    if (!read_is_filled(self, node, MR_YAML_MAP, mr_kind_info(key->kind)->told))
        return;
    texts->items = mr_arena_take(self->arena, node->count * sizeof *texts->items);
    for (const struct mr_yaml *item = node->first; item != NULL && texts->items != NULL; item = item->next) {
        struct mr_app_text text = {.name = item->key->text};

        if (mr_read_text(self, MR_KIND_TEXT, item, &text.text))
            texts->items[texts->count++] = text;
    }
}

static void read_access(struct mr_reader *self, const struct mr_key *key, const struct mr_yaml *node, void *out)
{
    struct mr_app_access *access = out;
    char quote[MR_QUOTE_ROOM];

    (void)key;
    if (node->kind != MR_YAML_MAP) {
        if (mr_read_text(self, MR_KIND_SCOPE, node, &access->read))
            access->write = access->read;
        return;
    }
    for (const struct mr_yaml *item = node->first; item != NULL; item = item->next)
        if (strcmp(item->key->text, "read") == 0)
            (void)mr_read_text(self, MR_KIND_SCOPE, item, &access->read);
        else if (strcmp(item->key->text, "write") == 0)
            (void)mr_read_text(self, MR_KIND_SCOPE, item, &access->write);
        else
            mr_problems_add(self->problems, mr_yaml_place(item->key), "unknown key %s, expected read or write",
                            mr_quote(quote, item->key->text));
    if (mr_yaml_get(node, "read") == NULL)
        access->read = "user";
    if (mr_yaml_get(node, "write") == NULL)
        access->write = "user";
    (void)is_small(self, node);
}

/* ---- By kind ---- */

static read_value *const readers[MR_KIND_COUNT] = {
    [MR_KIND_TEXT] = read_text,           [MR_KIND_NAME] = read_text,
    [MR_KIND_COLUMN] = read_text,         [MR_KIND_STATEMENT] = read_text,
    [MR_KIND_PATH] = read_text,           [MR_KIND_ROUTE] = read_route,
    [MR_KIND_DURATION] = read_duration,   [MR_KIND_RANGE] = read_range,
    [MR_KIND_LENGTH] = read_length,       [MR_KIND_PATTERN] = read_pattern,
    [MR_KIND_REFERENCE] = read_reference, [MR_KIND_SCOPE] = read_text,
    [MR_KIND_SORT] = read_text,           [MR_KIND_THROUGH] = read_text,
    [MR_KIND_CONDITION] = read_text,      [MR_KIND_CRON] = read_cron,
    [MR_KIND_ZONE] = read_text,           [MR_KIND_URL] = read_text,
    [MR_KIND_SECRET] = read_text,         [MR_KIND_WORD] = read_word,
    [MR_KIND_BOOLEAN] = read_boolean,     [MR_KIND_INTEGER] = read_integer,
    [MR_KIND_VALUE] = read_value_node,    [MR_KIND_ACCESS] = read_access,
    [MR_KIND_WORDS] = read_words,         [MR_KIND_NAMES] = read_names,
    [MR_KIND_COLUMNS] = read_columns,     [MR_KIND_STATEMENTS] = read_statements,
    [MR_KIND_SECRETS] = read_secrets,     [MR_KIND_SORTS] = read_sorts,
    [MR_KIND_FILTERS] = read_filters,     [MR_KIND_TEXTS] = read_texts,
};

read_value *read_value_of(enum mr_kind kind)
{
    return readers[kind];
}
