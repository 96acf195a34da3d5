#include "application/making.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Adding ---- */

const char *mr_make_text(struct mr_making *self, const char *format, ...)
{
    struct mr_buf text = {0};
    char line[512];
    const char *out;
    va_list arguments;
    int len;

    va_start(arguments, format);
    len = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (len >= 0 && (size_t)len < sizeof line) {
        out = mr_arena_text(self->arena, (struct mr_slice){line, (size_t)len});
        return out != NULL ? out : "";
    }
    if (len >= 0 && mr_buf_reserve(&text, (size_t)len + 1) != NULL) {
        va_start(arguments, format);
        vsnprintf(text.data, (size_t)len + 1, format, arguments);
        va_end(arguments);
        text.len = (size_t)len;
    }
    out = text.len > 0 ? mr_arena_text(self->arena, (struct mr_slice){text.data, text.len}) : NULL;
    self->arena->failed |= out == NULL;
    mr_buf_fini(&text);
    return out != NULL ? out : "";
}

const char *mr_words_of(struct mr_making *self, const char *name)
{
    char *out = mr_arena_text(self->arena, mr_slice_of(name));

    for (char *c = out; c != NULL && *c != '\0'; c++)
        if (*c == '_')
            *c = ' ';
    return out != NULL ? out : "";
}

bool mr_make_row(struct mr_making *self, const struct mr_op_info *info)
{
    struct mr_op_info *ops = mr_arena_grow(self->arena, self->ops, self->op_count, sizeof *ops);

    if (ops == NULL)
        return false;
    self->ops = ops;
    ops[self->op_count++] = *info;
    return true;
}

void mr_make_op(struct mr_making *self, const struct mr_op_info *info)
{
    if (mr_make_row(self, info))
        mr_make_way(self, info->name, info->verb, info->path);
}

void mr_make_way(struct mr_making *self, const char *name, enum mr_verb verb, const char *path)
{
    struct mr_way *ways = mr_arena_grow(self->arena, self->ways, self->way_count, sizeof *ways);

    if (ways == NULL)
        return;
    self->ways = ways;
    ways[self->way_count++] = (struct mr_way){name, verb, path, (enum mr_op)(MR_OP_COUNT + self->op_count - 1)};
}

/* Room for one more of `size`; false: there is no memory for it. */
static bool grow(struct mr_making *self, void **items, unsigned count, unsigned *room, size_t size)
{
    unsigned wanted = *room > 0 ? 2 * *room : 16;
    void *more = count < *room ? *items : realloc(*items, wanted * size);

    self->arena->failed |= more == NULL;
    if (more == NULL)
        return false;
    if (count == *room)
        *room = wanted;
    *items = more;
    return true;
}

static void add_statement(struct mr_making *self, struct mr_made made)
{
    void *all = self->statements;

    if (grow(self, &all, self->statement_count, &self->statement_room, sizeof made)) {
        self->statements = all;
        self->statements[self->statement_count++] = made;
    }
}

void mr_make_statement(struct mr_making *self, const char *name, struct mr_buf *text)
{
    self->arena->failed |= text->failed;
    if (text->len > 0)
        add_statement(
            self, (struct mr_made){.statement = {name, mr_arena_text(self->arena, (struct mr_slice){text->data, text->len})}});
    mr_buf_fini(text);
}

void mr_make_job_statement(struct mr_making *self, const char *name, struct mr_buf *text)
{
    unsigned before = self->statement_count;
    const char **all;

    mr_make_statement(self, name, text);
    all =
        self->statement_count > before ? mr_arena_grow(self->arena, self->job_texts, self->job_text_count, sizeof *all) : NULL;
    if (all == NULL)
        return;
    self->job_texts = all;
    all[self->job_text_count++] = self->statements[before].statement.text;
}

void mr_make_written(struct mr_making *self, const char *name, const struct mr_writing *writing, unsigned which)
{
    add_statement(self, (struct mr_made){{name, NULL}, writing, which});
}

bool mr_has_statement(const struct mr_making *self, const char *name)
{
    for (unsigned i = 0; i < self->statement_count; i++)
        if (strcmp(self->statements[i].statement.name, name) == 0)
            return true;
    return false;
}

const struct mr_traits *mr_make_traits(struct mr_making *self, const struct mr_traits *traits)
{
    static const struct mr_traits none;
    struct mr_traits *copy = mr_arena_take(self->arena, sizeof *copy);

    if (copy == NULL)
        return &none;
    *copy = *traits;
    return copy;
}

void mr_make_field(struct mr_making *self, struct mr_making_fields *fields, struct mr_field field)
{
    void *items = fields->items;

    if (grow(self, &items, fields->count, &fields->room, sizeof field)) {
        fields->items = items;
        fields->items[fields->count++] = field;
    }
}

const struct mr_field *mr_make_fields(struct mr_making *self, struct mr_making_fields *fields)
{
    struct mr_field *items = mr_arena_take(self->arena, (fields->count + 1) * sizeof *items);

    if (items != NULL && fields->count > 0)
        memcpy(items, fields->items, fields->count * sizeof *items);
    free(fields->items);
    *fields = (struct mr_making_fields){0};
    return items;
}

/* ---- What declarations mean ---- */

const char *mr_path_of(struct mr_making *self, const char *path)
{
    char *out = mr_arena_text(self->arena, mr_slice_of(path));
    char *to = out;

    if (out == NULL)
        return "";
    for (const char *from = path; *from != '\0'; from++)
        if (*from == '{')
            *to++ = ':';
        else if (*from != '}')
            *to++ = *from;
    *to = '\0';
    return out;
}

static enum mr_type type_of(const struct mr_app_field *field)
{
    static const enum mr_type types[] = {
        [MR_APP_TEXT] = MR_TEXT,       [MR_APP_UUID] = MR_UUID,      [MR_APP_INTEGER] = MR_INT,
        [MR_APP_DECIMAL] = MR_DECIMAL, [MR_APP_NUMBER] = MR_NUMBER,  [MR_APP_BOOLEAN] = MR_BOOL,
        [MR_APP_DATE] = MR_DATE,       [MR_APP_TIMESTAMP] = MR_TIME, [MR_APP_JSON] = MR_JSON,
    };

    return types[field->type.index];
}

/* The loader has compiled it, too, so that only memory can be missing. */
static const struct mr_pattern *pattern_of(struct mr_making *self, const char *text)
{
    struct mr_pattern **all;
    struct mr_pattern *pattern = NULL;

    if (text == NULL)
        return NULL;
    all = mr_arena_grow(self->arena, self->patterns, self->pattern_count, sizeof *all);
    if (all == NULL || mr_pattern_new(&pattern, text) != MR_OK) {
        self->arena->failed = true;
        return NULL;
    }
    self->patterns = all;
    all[self->pattern_count++] = pattern;
    return pattern;
}

static void set_range(struct mr_field *out, const struct mr_app_range *range)
{
    if (out->type != MR_INT) {
        out->least = range->min;
        out->most = range->max;
        return;
    }
    out->min = range->min != NULL ? strtoll(range->min, NULL, 10) : INT64_MIN;
    out->max = range->max != NULL ? strtoll(range->max, NULL, 10) : INT64_MAX;
}

static void set_bounds(struct mr_field *out, const struct mr_app_field *field)
{
    if (field->length.is_set) {
        out->min = field->length.min;
        out->max = field->length.max;
    }
    if (field->range.is_set)
        set_range(out, &field->range);
    out->scale = field->scale.is_set ? (int)field->scale.value : -1;
    out->many = field->many;
    if (field->items.is_set) {
        out->items_min = field->items.min;
        out->items_max = field->items.max;
    }
}

/* As struct mr_field has it: the value's text, of arrays and of JSON that of JSON. */
static const char *text_of(struct mr_making *self, const struct mr_app_field *field, const struct mr_yaml *value)
{
    struct mr_buf json = {0};
    const char *out = NULL;

    if (value == NULL || (!field->many && field->type.index != MR_APP_JSON && field->type.index != MR_APP_DECIMAL &&
                          field->type.index != MR_APP_NUMBER))
        return value != NULL ? value->text : NULL;
    if (mr_yaml_json(value, &json))
        out = mr_arena_text(self->arena, (struct mr_slice){json.data, json.len});
    self->arena->failed |= out == NULL;
    mr_buf_fini(&json);
    return out;
}

struct mr_field mr_field_of(struct mr_making *self, const struct mr_app_field *field, enum mr_source from)
{
    struct mr_field out = {
        .name = field->name,
        .type = type_of(field),
        .from = from,
        .required = field->required,
        .clearable = field->clearable,
        .fallback = text_of(self, field, field->fallback),
        .example = text_of(self, field, field->example),
        .pattern = pattern_of(self, field->pattern),
        .hint = field->hint,
        .about = field->about != NULL ? field->about : mr_make_text(self, "its %s", field->name),
    };

    set_bounds(&out, field);
    return out;
}

/* "order_item" becomes "orderItem". */
static const char *camel_of(struct mr_making *self, const char *word)
{
    char *out = mr_arena_text(self->arena, mr_slice_of(word));
    char *to = out;

    if (out == NULL)
        return "";
    for (const char *from = word; *from != '\0'; from++)
        if (from[0] == '_' && from[1] >= 'a' && from[1] <= 'z')
            *to++ = (char)(*++from - 'a' + 'A');
        else if (*from != '_')
            *to++ = *from;
    *to = '\0';
    return out;
}

const char *mr_id_name(struct mr_making *self, const struct mr_app_resource *resource)
{
    return mr_make_text(self, "%sId", camel_of(self, resource->name));
}

const char *mr_row_path(struct mr_making *self, const struct mr_app_resource *resource)
{
    return mr_make_text(self, "%s/:%s", resource->path, mr_id_name(self, resource));
}

void mr_make_caller(struct mr_making *self, struct mr_making_fields *fields, const char *scopes)
{
    mr_make_field(
        self, fields,
        (struct mr_field){
            .name = "caller", .type = MR_UUID, .from = MR_TOKEN_USER, .required = scopes == NULL, .about = "who calls"});
    if (scopes != NULL)
        mr_make_field(
            self, fields,
            (struct mr_field){.name = MR_KEY_FIELD, .type = MR_UUID, .from = MR_TOKEN_KEY, .about = "the API key that calls"});
}

void mr_make_idempotency(struct mr_making *self, struct mr_making_fields *fields)
{
    mr_make_field(self, fields,
                  (struct mr_field){.name = "Idempotency-Key",
                                    .type = MR_TEXT,
                                    .from = MR_HEADER,
                                    .min = 1,
                                    .max = 255,
                                    .about = "the same key for a day: the first answer again",
                                    .example = "\"8e03978e-40d5-43dd-bc93-6894a57f9324\""});
    mr_make_field(self, fields,
                  (struct mr_field){.name = "$fingerprint",
                                    .type = MR_TEXT,
                                    .from = MR_FINGERPRINT,
                                    .about = "tells whether the payload is the same, too"});
}

void mr_make_row_id(struct mr_making *self, struct mr_making_fields *fields, const struct mr_app_resource *resource)
{
    mr_make_field(self, fields,
                  (struct mr_field){.name = mr_id_name(self, resource),
                                    .type = MR_UUID,
                                    .from = MR_PATH,
                                    .required = true,
                                    .example = MR_EXAMPLE_ID,
                                    .about = mr_make_text(self, "the %s", mr_words_of(self, resource->name))});
}

/* ---- Results ---- */

struct members {
    struct mr_member *items; /* ended by a NULL name */
    unsigned count;
};

static void add_member(struct mr_making *self, struct members *members, struct mr_member member)
{
    struct mr_member *items = members->items;

    if (members->count == 0)
        items = mr_arena_grow(self->arena, items, 0, sizeof *items);
    if (items != NULL)
        items[members->count] = member;
    if (items != NULL)
        items = mr_arena_grow(self->arena, items, members->count + 1, sizeof *items);
    if (items == NULL)
        return;
    members->items = items;
    members->count++;
}

/* A name of the application's words: "order_item" becomes "OrderItem". */
static const char *title_of(struct mr_making *self, const char *word)
{
    char *out = mr_arena_text(self->arena, mr_slice_of(word));
    char *to = out;
    bool upper = true;

    if (out == NULL)
        return "";
    for (const char *from = word; *from != '\0'; from++) {
        if (*from == '_') {
            upper = true;
            continue;
        }
        *to++ = (char)(upper && *from >= 'a' && *from <= 'z' ? *from - 'a' + 'A' : *from);
        upper = false;
    }
    *to = '\0';
    return out;
}

static const char *about_of(struct mr_making *self, const struct mr_app_field *field)
{
    return field->about != NULL ? field->about : mr_make_text(self, "its %s", field->name);
}

static struct mr_member member_of(struct mr_making *self, const struct mr_app_field *field);

/* What is in a json value. */
static const struct mr_result *inner_of(struct mr_making *self, const struct mr_app_field *field)
{
    struct mr_result *out = mr_arena_take(self->arena, sizeof *out);
    struct members members = {0};

    if (out == NULL)
        return &mr_result_anything;
    for (unsigned i = 0; i < field->members.count; i++)
        add_member(self, &members, member_of(self, &field->members.items[i]));
    *out = (struct mr_result){.name = title_of(self, field->name), .about = about_of(self, field), .members = members.items};
    return out;
}

static struct mr_member member_of(struct mr_making *self, const struct mr_app_field *field)
{
    return (struct mr_member){.name = field->name,
                              .type = type_of(field),
                              .optional = field->clearable || (!field->required && field->fallback == NULL),
                              .many = field->many,
                              .json = field->members.count > 0 ? inner_of(self, field) : NULL,
                              .keyed = field->keyed,
                              .example = text_of(self, field, field->example),
                              .about = about_of(self, field)};
}

const struct mr_app_field *mr_field_of_column(const struct mr_app_resource *resource, const char *column)
{
    for (unsigned i = 0; i < resource->fields.count; i++)
        if (strcmp(resource->fields.items[i].column, column) == 0)
            return &resource->fields.items[i];
    return NULL;
}

/* Whether it shows what the other resource shows itself, in that order. */
static bool is_all_of(const struct mr_app_resource *other, const struct mr_app_embed *embed)
{
    bool all = !mr_app_is_served(other) && embed->columns.count == other->fields.count;

    for (unsigned i = 0; all && i < other->fields.count; i++)
        all = strcmp(other->fields.items[i].column, embed->columns.items[i].name) == 0 &&
              other->fields.items[i].embed.node == NULL;
    return all;
}

/* What stands embedded: those columns of the other resource that were asked for, as it would show them itself. */
static const struct mr_result *embedded_of(struct mr_making *self, const struct mr_app_field *field)
{
    const struct mr_app_resource *other = mr_app_resource(self->application, field->references.resource);
    struct mr_result *out = mr_arena_take(self->arena, sizeof *out);
    struct members members = {0};

    if (out == NULL || other == NULL)
        return &mr_result_anything;
    if (is_all_of(other, &field->embed))
        return mr_result_of(self, other);
    for (unsigned i = 0; i < field->embed.columns.count; i++) {
        const char *column = field->embed.columns.items[i].name;
        const struct mr_app_field *shown = mr_field_of_column(other, column);

        add_member(self, &members,
                   shown != NULL ? member_of(self, shown)
                                 : (struct mr_member){.name = mr_embed_name(self, other, column),
                                                      .type = MR_TEXT,
                                                      .optional = true,
                                                      .about = mr_make_text(self, "its %s", column)});
    }
    out->name = mr_make_text(self, "%s%s", title_of(self, other->name), title_of(self, field->embed.as));
    out->about = mr_make_text(self, "a %s, as it stands in others", other->name);
    out->members = members.items;
    return out;
}

const char *mr_embed_name(struct mr_making *self, const struct mr_app_resource *other, const char *column)
{
    const struct mr_app_field *field = mr_field_of_column(other, column);

    return field != NULL ? field->name : camel_of(self, column);
}

/* Rows of others are not shown, whatever refers to them. */
static bool has_owner(const struct mr_making *self, const char *name)
{
    const struct mr_app_resource *resource = mr_app_resource(self->application, name);

    return resource == NULL || resource->owner != NULL;
}

static const struct mr_result *make_result(struct mr_making *self, const struct mr_app_resource *resource)
{
    struct mr_result *out = mr_arena_take(self->arena, sizeof *out);
    struct members members = {0};

    if (out == NULL)
        return &mr_result_anything;
    if (mr_app_is_served(resource))
        add_member(self, &members,
                   (struct mr_member){.name = "id", .type = MR_UUID, .about = "its id", .example = MR_EXAMPLE_ID});
    for (unsigned i = 0; i < resource->fields.count; i++) {
        const struct mr_app_field *field = &resource->fields.items[i];

        struct mr_member member = member_of(self, field);

        /* Every row has an owner. */
        member.optional = member.optional && (resource->owner == NULL || strcmp(field->column, resource->owner) != 0);
        add_member(self, &members, member);
        if (field->embed.node != NULL)
            add_member(self, &members,
                       (struct mr_member){.name = field->embed.as,
                                          .optional = !field->required || has_owner(self, field->references.resource),
                                          .columns = embedded_of(self, field),
                                          .about = mr_make_text(self, "what %s names", field->name)});
    }
    if (mr_app_is_served(resource)) {
        add_member(self, &members, (struct mr_member){.name = "createdAt", .type = MR_TIME, .about = "when it was created"});
        add_member(self, &members, (struct mr_member){.name = "updatedAt", .type = MR_TIME, .about = "when it last changed"});
    }
    *out = (struct mr_result){
        .name = title_of(self, resource->name),
        .about = resource->about != NULL ? resource->about : mr_make_text(self, "a %s", mr_words_of(self, resource->name)),
        .members = members.items,
    };
    return out;
}

const struct mr_result *mr_result_of(struct mr_making *self, const struct mr_app_resource *resource)
{
    const struct mr_result **known = &self->results[resource - self->application->resources];

    if (*known == NULL)
        *known = make_result(self, resource);
    return *known;
}

/* ---- Maps of fields ---- */

static bool same_text(const char *left, const char *right)
{
    return left == right || (left != NULL && right != NULL && strcmp(left, right) == 0);
}

static bool same_members(const struct mr_member *left, const struct mr_member *right);

static bool same_member(const struct mr_member *left, const struct mr_member *right)
{
    if (!same_text(left->name, right->name) || left->type != right->type || left->optional != right->optional ||
        left->many != right->many || left->keyed != right->keyed || !same_text(left->example, right->example) ||
        !same_text(left->about, right->about) || (left->json == NULL) != (right->json == NULL))
        return false;
    return left->json == NULL || left->json == right->json || same_members(left->json->members, right->json->members);
}

static bool same_members(const struct mr_member *left, const struct mr_member *right)
{
    for (; left->name != NULL && right->name != NULL; left++, right++)
        if (!same_member(left, right))
            return false;
    return left->name == NULL && right->name == NULL;
}

/* "order_list" and "order_get" begin with "order"; NULL: with no word, or one that something else is called by. */
static const char *shared_name(struct mr_making *self, const char *left, const char *right)
{
    size_t same = 0;
    char *out;

    for (size_t i = 0; left[i] == right[i] && left[i] != '\0'; i++)
        if (left[i] == '_')
            same = i;
    out = same > 0 ? mr_arena_text(self->arena, (struct mr_slice){left, same}) : NULL;
    if (out == NULL || mr_app_resource(self->application, out) != NULL)
        return NULL;
    for (unsigned i = 0; i < self->map_count; i++)
        if (strcmp(self->maps[i].result->name, title_of(self, out)) == 0)
            return NULL;
    return out;
}

/* Operations with equal answers share a schema, named by the words that their names share. */
static const struct mr_result *share(struct mr_making *self, struct mr_made_map *map, const char *name)
{
    const char *shared = map->is_shared ? NULL : shared_name(self, map->operation, name);

    map->is_shared = true;
    if (shared != NULL) {
        map->result->name = title_of(self, shared);
        map->result->about = mr_make_text(self, "one %s", mr_words_of(self, shared));
    }
    return map->result;
}

const struct mr_result *mr_result_of_fields(struct mr_making *self, const char *name, const char *about,
                                            const struct mr_app_fields *fields)
{
    struct mr_made_map *maps = mr_arena_grow(self->arena, self->maps, self->map_count, sizeof *maps);
    struct mr_result *out = mr_arena_take(self->arena, sizeof *out);
    struct members members = {0};

    if (maps == NULL || out == NULL)
        return &mr_result_anything;
    self->maps = maps;
    for (unsigned i = 0; i < fields->count; i++)
        add_member(self, &members, member_of(self, &fields->items[i]));
    for (unsigned i = 0; i < self->map_count && members.items != NULL; i++)
        if (same_members(maps[i].result->members, members.items))
            return share(self, &maps[i], name);
    *out = (struct mr_result){.name = title_of(self, name),
                              .about = about != NULL ? about : mr_make_text(self, "what %s answers", name),
                              .members = members.items};
    if (members.items != NULL)
        maps[self->map_count++] = (struct mr_made_map){name, out, false};
    return out;
}
