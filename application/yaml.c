#include "application/yaml.h"

#include <stdlib.h>
#include <yaml.h>

#include "proto/field.h"
#include "proto/json.h"

struct reading {
    struct mr_arena *arena;
    struct mr_problems *problems;
    const char *file;
    struct mr_yaml *root;
    struct mr_yaml *key; /* of the innermost map: waits for its value */
    struct mr_yaml *open[MR_YAML_DEPTH];
    struct mr_yaml *last[MR_YAML_DEPTH]; /* child of each */
    unsigned depth;
    unsigned nodes;
    bool has_document;
};

/* ---- Scalars ---- */

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcmp(text, *words) == 0)
            return true;
    return false;
}

/* [-+]? [0-9]+, 0o [0-7]+, 0x [0-9a-fA-F]+ */
static bool is_integer(const char *text)
{
    if (strncmp(text, "0o", 2) == 0)
        return text[2] != '\0' && text[2 + strspn(text + 2, "01234567")] == '\0';
    if (strncmp(text, "0x", 2) == 0)
        return text[2] != '\0' && text[2 + strspn(text + 2, "0123456789abcdefABCDEF")] == '\0';
    text += *text == '-' || *text == '+';
    return *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool is_decimal(const char *text)
{
    size_t digits;

    text += *text == '-' || *text == '+';
    digits = strspn(text, "0123456789");
    text += digits;
    if (*text == '.') {
        size_t more = strspn(++text, "0123456789");

        digits += more;
        text += more;
    }
    if (digits == 0)
        return false;
    if (*text != 'e' && *text != 'E')
        return *text == '\0';
    text++;
    text += *text == '-' || *text == '+';
    return *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

static bool is_float(const char *text)
{
    static const char *const infinite[] = {".inf",  ".Inf",  ".INF", "+.inf", "+.Inf", "+.INF", "-.inf",
                                           "-.Inf", "-.INF", ".nan", ".NaN",  ".NAN",  NULL};

    return is_decimal(text) || is_one_of(text, infinite);
}

/* The core schema's tag of a plain scalar (YAML 1.2.2, 10.3.2). */
static enum mr_yaml_kind resolve(const char *text)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const booleans[] = {"true", "True", "TRUE", "false", "False", "FALSE", NULL};

    if (is_one_of(text, nulls))
        return MR_YAML_NULL;
    if (is_one_of(text, booleans))
        return MR_YAML_BOOLEAN;
    if (is_integer(text))
        return MR_YAML_INTEGER;
    return is_float(text) ? MR_YAML_FLOAT : MR_YAML_TEXT;
}

/* ---- The tree ---- */

static struct mr_place place_of(const struct reading *self, const yaml_mark_t *mark)
{
    return (struct mr_place){.file = self->file, .line = (unsigned)mark->line + 1, .column = (unsigned)mark->column + 1};
}

static bool refuse(struct reading *self, const yaml_event_t *event, const char *what, const char *expected)
{
    mr_problems_add(self->problems, place_of(self, &event->start_mark), "%s, expected %s", what, expected);
    return false;
}

static bool is_in_map(const struct reading *self)
{
    return self->depth > 0 && self->open[self->depth - 1]->kind == MR_YAML_MAP;
}

static struct mr_yaml *new_node(struct reading *self, const yaml_event_t *event, enum mr_yaml_kind kind)
{
    struct mr_yaml *node;

    if (++self->nodes > MR_YAML_NODES) {
        mr_problems_add(self->problems, place_of(self, &event->start_mark), "the file has more than %d values, expected fewer",
                        MR_YAML_NODES);
        return NULL;
    }
    node = mr_arena_take(self->arena, sizeof *node);
    if (node == NULL)
        return NULL;
    node->kind = kind;
    node->file = self->file;
    node->line = (unsigned)event->start_mark.line + 1;
    node->column = (unsigned)event->start_mark.column + 1;
    return node;
}

/* Puts a value where it belongs; in a map, under the key that waits. */
static void attach(struct reading *self, struct mr_yaml *node)
{
    struct mr_yaml *parent;

    if (self->depth == 0) {
        self->root = node;
        return;
    }
    parent = self->open[self->depth - 1];
    node->key = self->key;
    self->key = NULL;
    if (self->last[self->depth - 1] == NULL)
        parent->first = node;
    else
        self->last[self->depth - 1]->next = node;
    self->last[self->depth - 1] = node;
    parent->count++;
}

static bool is_plain_form(const yaml_event_t *event, const yaml_char_t *anchor, const yaml_char_t *tag, struct reading *self)
{
    if (anchor != NULL)
        return refuse(self, event, "an anchor", "the value itself: there are no aliases here");
    if (tag != NULL)
        return refuse(self, event, "a tag", "a value without one");
    return true;
}

static bool on_scalar(struct reading *self, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    struct mr_slice slice = {text, event->data.scalar.length};
    bool is_key = is_in_map(self) && self->key == NULL;
    struct mr_yaml *node;

    if (!is_plain_form(event, event->data.scalar.anchor, event->data.scalar.tag, self))
        return false;
    if (memchr(text, '\0', slice.len) != NULL)
        return refuse(self, event, "the character U+0000", "text without it");
    node = new_node(self, event, event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? resolve(text) : MR_YAML_TEXT);
    if (node == NULL)
        return false;
    node->text = node->source = mr_arena_text(self->arena, slice);
    if (node->text == NULL)
        return false;
    if (!is_key)
        attach(self, node);
    else if (*node->text == '\0')
        return refuse(self, event, "an empty key", "a name");
    else
        self->key = node;
    return true;
}

static bool on_start(struct reading *self, const yaml_event_t *event, enum mr_yaml_kind kind)
{
    struct mr_yaml *node;

    if (is_in_map(self) && self->key == NULL)
        return refuse(self, event, "a key that is a map or a list", "a name");
    if (self->depth == MR_YAML_DEPTH) {
        mr_problems_add(self->problems, place_of(self, &event->start_mark), "more than %d levels, expected fewer",
                        MR_YAML_DEPTH);
        return false;
    }
    node = new_node(self, event, kind);
    if (node == NULL)
        return false;
    attach(self, node);
    self->last[self->depth] = NULL;
    self->open[self->depth++] = node;
    return true;
}

static int compare_keys(const void *left, const void *right)
{
    const struct mr_yaml *a = *(const struct mr_yaml *const *)left;
    const struct mr_yaml *b = *(const struct mr_yaml *const *)right;
    int order = strcmp(a->text, b->text);

    if (order == 0)
        order = (a->line > b->line) - (a->line < b->line);
    return order != 0 ? order : (a->column > b->column) - (a->column < b->column);
}

/* Takes the values of repeated keys out of the map. */
static void drop_repeated(struct mr_yaml *map)
{
    struct mr_yaml **link = &map->first;

    while (*link != NULL) {
        if ((*link)->key->is_repeated) {
            *link = (*link)->next;
            map->count--;
        } else {
            link = &(*link)->next;
        }
    }
}

/* Sorted, so that a map of ten thousand keys costs no more than its share. */
static void check_keys(struct reading *self, struct mr_yaml *map)
{
    struct mr_yaml **keys = map->count > 1 ? calloc(map->count, sizeof(struct mr_yaml *)) : NULL;
    char quote[MR_QUOTE_ROOM];
    unsigned count = 0;

    if (keys == NULL) {
        self->arena->failed = self->arena->failed || map->count > 1;
        return;
    }
    for (struct mr_yaml *child = map->first; child != NULL; child = child->next)
        keys[count++] = child->key;
    qsort(keys, count, sizeof(struct mr_yaml *), compare_keys);
    for (unsigned i = 1; i < count; i++) {
        keys[i]->is_repeated = strcmp(keys[i - 1]->text, keys[i]->text) == 0;
        if (keys[i]->is_repeated)
            mr_problems_add(self->problems, mr_yaml_place(keys[i]), "the key %s stands in line %u already, expected it once",
                            mr_quote(quote, keys[i]->text), keys[i - 1]->line);
    }
    drop_repeated(map);
    free(keys);
}

static bool on_end(struct reading *self)
{
    struct mr_yaml *node = self->depth > 0 ? self->open[--self->depth] : NULL;

    if (node != NULL && node->kind == MR_YAML_MAP)
        check_keys(self, node);
    return true;
}

static bool on_document(struct reading *self, const yaml_event_t *event)
{
    if (self->has_document)
        return refuse(self, event, "a second document", "one in a file");
    self->has_document = true;
    return true;
}

static bool on_event(struct reading *self, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT: return on_document(self, event);
    case YAML_ALIAS_EVENT: return refuse(self, event, "an alias", "the value itself");
    case YAML_SCALAR_EVENT: return on_scalar(self, event);
    case YAML_SEQUENCE_START_EVENT:
        return is_plain_form(event, event->data.sequence_start.anchor, event->data.sequence_start.tag, self) &&
               on_start(self, event, MR_YAML_LIST);
    case YAML_MAPPING_START_EVENT:
        return is_plain_form(event, event->data.mapping_start.anchor, event->data.mapping_start.tag, self) &&
               on_start(self, event, MR_YAML_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: return on_end(self);
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT: break;
    }
    return true;
}

/* libyaml's reason, and what it was reading; its texts are constants of the library. */
static void add_syntax(struct reading *self, const yaml_parser_t *parser)
{
    if (parser->error == YAML_MEMORY_ERROR) {
        self->arena->failed = true;
        return;
    }
    mr_problems_add(self->problems, place_of(self, &parser->problem_mark), "%s%s%s, expected YAML",
                    parser->problem != NULL ? parser->problem : "not YAML", parser->context != NULL ? " " : "",
                    parser->context != NULL ? parser->context : "");
}

static bool read_events(struct reading *self, yaml_parser_t *parser)
{
    bool done = false;
    bool good = true;

    while (good && !done) {
        yaml_event_t event;

        if (yaml_parser_parse(parser, &event) == 0) {
            add_syntax(self, parser);
            return false;
        }
        done = event.type == YAML_STREAM_END_EVENT;
        good = on_event(self, &event);
        yaml_event_delete(&event);
    }
    return good;
}

/* Bytes of the character that begins with `lead`; a stray byte counts as one, and is found out as such. */
static size_t character_length(unsigned char lead)
{
    if (lead < 0xc0)
        return 1;
    if (lead < 0xe0)
        return 2;
    return lead < 0xf0 ? 3 : 4;
}

bool mr_check_utf8(const char *file, struct mr_slice text, struct mr_problems *problems)
{
    struct mr_place place = {.file = file, .line = 1, .column = 1};
    size_t at = 0;

    if (mr_utf8_valid(text, NULL))
        return true;
    while (at < text.len) {
        size_t length = character_length((unsigned char)text.data[at]);

        if (length > text.len - at || !mr_utf8_valid((struct mr_slice){text.data + at, length}, NULL))
            break;
        place.column = text.data[at] == '\n' ? 1 : place.column + 1;
        place.line += text.data[at] == '\n';
        at += length;
    }
    mr_problems_add(problems, place, "the byte 0x%02x is not UTF-8, or is U+0000, expected UTF-8 text",
                    at < text.len ? (unsigned char)text.data[at] : 0);
    return false;
}

struct mr_yaml *mr_yaml_read(struct mr_arena *arena, const char *file, struct mr_slice text, struct mr_problems *problems)
{
    struct reading self = {.arena = arena, .problems = problems, .file = file};
    struct mr_place whole = {.file = file};
    yaml_parser_t parser;
    bool good;

    if (text.len > MR_YAML_BYTES) {
        mr_problems_add(problems, whole, "the file has %zu bytes, expected %d at most", text.len, MR_YAML_BYTES);
        return NULL;
    }
    if (!mr_check_utf8(file, text, problems))
        return NULL;
    if (yaml_parser_initialize(&parser) == 0) {
        arena->failed = true;
        return NULL;
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.data, text.len);
    good = read_events(&self, &parser);
    yaml_parser_delete(&parser);
    if (good && self.root == NULL)
        mr_problems_add(problems, whole, "the file is empty, expected a map");
    return good && !arena->failed ? self.root : NULL;
}

const struct mr_yaml *mr_yaml_get(const struct mr_yaml *map, const char *key)
{
    for (const struct mr_yaml *child = map->kind == MR_YAML_MAP ? map->first : NULL; child != NULL; child = child->next)
        if (strcmp(child->key->text, key) == 0)
            return child;
    return NULL;
}

struct mr_place mr_yaml_place(const struct mr_yaml *node)
{
    return (struct mr_place){node->file, node->line, node->column, node->variable};
}

struct mr_place mr_yaml_place_of(const struct mr_yaml *map, const char *key)
{
    const struct mr_yaml *value = mr_yaml_get(map, key);

    return mr_yaml_place(value != NULL ? value : map);
}

const char *mr_yaml_told(enum mr_yaml_kind kind)
{
    static const char *const told[] = {[MR_YAML_NULL] = "nothing",       [MR_YAML_BOOLEAN] = "true or false",
                                       [MR_YAML_INTEGER] = "an integer", [MR_YAML_FLOAT] = "a number",
                                       [MR_YAML_TEXT] = "text",          [MR_YAML_LIST] = "a list",
                                       [MR_YAML_MAP] = "a map"};

    return told[kind];
}

/* ---- JSON ---- */

/* -? (0 | [1-9][0-9]*) (\. [0-9]+)? ([eE] [-+]? [0-9]+)?, when it is a decimal number at all. */
static bool is_json_number(const char *text)
{
    const char *point = strchr(text, '.');

    if (!is_decimal(text) || *text == '+')
        return false;
    text += *text == '-';
    if (*text == '.' || (text[0] == '0' && text[1] >= '0' && text[1] <= '9'))
        return false;
    return point == NULL || (point[1] >= '0' && point[1] <= '9');
}

static bool write_children(const struct mr_yaml *node, struct mr_buf *out)
{
    mr_buf_char(out, node->kind == MR_YAML_MAP ? '{' : '[');
    for (const struct mr_yaml *child = node->first; child != NULL; child = child->next) {
        if (child != node->first)
            mr_buf_char(out, ',');
        if (node->kind == MR_YAML_MAP) {
            mr_json_string(out, mr_slice_of(child->key->text));
            mr_buf_char(out, ':');
        }
        if (!mr_yaml_json(child, out)) /* as deep as MR_YAML_DEPTH */
            return false;
    }
    mr_buf_char(out, node->kind == MR_YAML_MAP ? '}' : ']');
    return true;
}

bool mr_yaml_json(const struct mr_yaml *node, struct mr_buf *out)
{
    switch (node->kind) {
    case MR_YAML_NULL: mr_buf_text(out, "null"); return true;
    case MR_YAML_BOOLEAN: mr_buf_text(out, node->text[0] == 't' || node->text[0] == 'T' ? "true" : "false"); return true;
    case MR_YAML_INTEGER:
    case MR_YAML_FLOAT: mr_buf_text(out, node->text); return is_json_number(node->text);
    case MR_YAML_TEXT: mr_json_string(out, mr_slice_of(node->text)); return true;
    case MR_YAML_LIST:
    case MR_YAML_MAP: break;
    }
    return write_children(node, out);
}
