#include "application/fill.h"

#include "application/load.h"
#include "proto/field.h"

struct filling {
    struct mr_application *application;
    struct mr_yaml *node;
    struct mr_yaml *trail[MR_YAML_DEPTH + 1]; /* from the root to it */
    unsigned depth;
    const char *(*lookup)(const char *name);
    struct mr_problems *problems;
};

/* ---- What there is to know of a variable ---- */

static const char *last_key(const struct filling *self)
{
    return self->node->key != NULL ? self->node->key->text : "";
}

static bool stands_in_secret(const struct filling *self)
{
    for (unsigned i = 0; i < self->depth; i++) {
        const struct mr_yaml *key = self->trail[i]->key;

        if (key != NULL && (strcmp(key->text, "secret") == 0 || strcmp(key->text, "secrets") == 0))
            return true;
    }
    return false;
}

static const char *path_of(const struct filling *self)
{
    struct mr_arena *arena = &self->application->arena;
    struct mr_buf path = {0};
    const char *out;

    for (unsigned i = 0; i < self->depth; i++)
        if (self->trail[i]->key != NULL)
            mr_buf_printf(&path, "%s%s", path.len > 0 ? "." : "", self->trail[i]->key->text);
    arena->failed |= path.failed;
    out = path.len > 0 ? mr_arena_text(arena, (struct mr_slice){path.data, path.len}) : "";
    mr_buf_fini(&path);
    return out;
}

/* The text of a key beside the one at hand, as it stands in the file; NULL when there is none. */
static const char *beside(const struct filling *self, const char *key)
{
    const struct mr_yaml *map = self->depth > 1 ? self->trail[self->depth - 2] : NULL;
    const struct mr_yaml *found = map != NULL && map->kind == MR_YAML_MAP ? mr_yaml_get(map, key) : NULL;

    return found != NULL && found->kind == MR_YAML_TEXT ? found->source : NULL;
}

static const char *takes(const struct filling *self)
{
    static const char words[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-|";
    const char *pattern = beside(self, "pattern");

    if (strcmp(last_key(self), "cron") == 0 || strcmp(last_key(self), "timezone") == 0)
        return last_key(self);
    return pattern != NULL && pattern[strspn(pattern, words)] == '\0' ? pattern : "text";
}

static void note(struct filling *self, const char *name, const char *fallback)
{
    struct mr_application *application = self->application;
    struct mr_app_variable *all;

    for (unsigned i = 0; i < application->variable_count; i++)
        if (strcmp(application->variables[i].name, name) == 0) {
            application->variables[i].is_secret = application->variables[i].is_secret || stands_in_secret(self);
            return;
        }
    if (application->variable_count == MR_VARIABLES_MAX) {
        mr_problems_add(self->problems, mr_yaml_place(self->node), "more than %d variables, expected fewer", MR_VARIABLES_MAX);
        return;
    }
    all = mr_arena_grow(&application->arena, application->variables, application->variable_count, sizeof *all);
    if (all == NULL)
        return;
    application->variables = all;
    all[application->variable_count++] = (struct mr_app_variable){.name = name,
                                                                  .fallback = fallback,
                                                                  .place = mr_yaml_place(self->node),
                                                                  .path = path_of(self),
                                                                  .takes = takes(self),
                                                                  .about = beside(self, "about"),
                                                                  .is_secret = stands_in_secret(self)};
}

/* ---- Filling in ---- */

static bool is_name(const char *text, size_t length)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";

    return length > 0 && length <= 100 && strspn(text, letters) >= length && (*text < '0' || *text > '9');
}

/* `begin` is behind `${`; returns what is behind `}`, NULL when there is no variable. */
static const char *fill_variable(struct filling *self, const char *begin, struct mr_buf *out)
{
    struct mr_arena *arena = &self->application->arena;
    const char *end = strchr(begin, '}');
    const char *colon; /* of `:-` */
    const char *fallback = NULL;
    const char *value;
    char *name;
    size_t length;

    if (end == NULL)
        return NULL;
    colon = memmem(begin, (size_t)(end - begin), ":-", 2);
    if (colon != NULL)
        fallback = mr_arena_text(arena, (struct mr_slice){colon + 2, (size_t)(end - colon) - 2});
    length = (size_t)((colon != NULL ? colon : end) - begin);
    name = is_name(begin, length) ? mr_arena_text(arena, (struct mr_slice){begin, length}) : NULL;
    if (name == NULL)
        return NULL;
    note(self, name, fallback);
    if (self->node->variable == NULL)
        self->node->variable = name;
    value = self->lookup != NULL ? self->lookup(name) : NULL;
    if (value == NULL || *value == '\0')
        value = fallback;
    if (value == NULL)
        mr_problems_add(self->problems, mr_yaml_place(self->node),
                        "%s is not set, expected a value in the environment, or ${%s:-default}", name, name);
    else
        mr_buf_text(out, value);
    return end + 1;
}

static bool fill_text(struct filling *self, const char *text, struct mr_buf *out)
{
    while (*text != '\0' && out->len <= MR_FILL_BYTES) {
        const char *dollar = strstr(text, "${");

        if (dollar == NULL) {
            mr_buf_text(out, text);
            break;
        }
        mr_buf_append(out, text, (size_t)(dollar - text));
        if (dollar > text && dollar[-1] == '$') {
            mr_buf_char(out, '{'); /* the first of the two dollars is there already */
            text = dollar + 2;
            continue;
        }
        text = fill_variable(self, dollar + 2, out);
        if (text == NULL) {
            mr_problems_add(self->problems, mr_yaml_place(self->node),
                            "${ does not begin a variable, expected ${NAME} or ${NAME:-default}, or $${ for ${");
            return false;
        }
    }
    if (out->len > MR_FILL_BYTES)
        mr_problems_add(self->problems, mr_yaml_place(self->node),
                        "the value is longer than %d bytes when it is filled in, expected less", MR_FILL_BYTES);
    else if (!mr_utf8_valid((struct mr_slice){out->data, out->len}, NULL))
        mr_problems_add(self->problems, mr_yaml_place(self->node),
                        "the value is not UTF-8 when it is filled in, expected UTF-8 text");
    else
        return true;
    return false;
}

static void fill_scalar(struct filling *self, struct mr_yaml *node)
{
    struct mr_buf out = {0};
    const char *text;

    if (node->kind != MR_YAML_TEXT || strstr(node->text, "${") == NULL)
        return;
    self->node = node;
    if (fill_text(self, node->text, &out)) {
        text = mr_arena_text(&self->application->arena, (struct mr_slice){out.data, out.len});
        if (text != NULL)
            node->text = text;
    }
    self->application->arena.failed = self->application->arena.failed || out.failed;
    mr_buf_fini(&out);
}

/* As deep as MR_YAML_DEPTH. */
static void fill_node(struct filling *self, struct mr_yaml *node)
{
    if (self->depth > MR_YAML_DEPTH)
        return; /* such a file has been refused */
    self->trail[self->depth++] = node;
    fill_scalar(self, node);
    for (struct mr_yaml *child = node->first; child != NULL; child = child->next)
        fill_node(self, child);
    self->depth--;
}

void mr_fill(struct mr_application *self, struct mr_yaml *node, const char *(*lookup)(const char *name),
             struct mr_problems *problems)
{
    struct filling filling = {.application = self, .lookup = lookup, .problems = problems};

    fill_node(&filling, node);
}
