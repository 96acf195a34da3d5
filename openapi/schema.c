/*
 * schema: fields and results as JSON Schema 2020-12.
 *
 * A field says what is taken, so its bounds stand in it; a result says what is told, and a client must bear more members than
 * are listed here, so objects are open.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "openapi/internal.h"
#include "proto/pattern.h"

enum { NAME_MAX_LEN = 192, NUMBER_ROOM = 12, CHOICE_MAX = 64, NUMBER_DIGITS = DOC_DIGITS };

/* ---- Values ---- */

/* NULL: of any. */
static const char *type_name(enum mr_type type)
{
    switch (type) {
    case MR_BOOL: return "boolean";
    case MR_INT: return "integer";
    case MR_DECIMAL:
    case MR_NUMBER: return "number";
    case MR_JSON: return NULL;
    default: return "string";
    }
}

/* By which a reader knows what a string or a number is; NULL: there is none. */
static const char *format_name(enum mr_type type)
{
    switch (type) {
    case MR_INT: return "int64";
    case MR_UUID: return "uuid";
    case MR_DATE: return "date";
    case MR_DECIMAL: return "decimal";
    case MR_NUMBER: return "double";
    default: return NULL;
    }
}

/* `text` as a value of the type. A number is written in as many digits as a reader of the document keeps of it. */
static json_t *typed(enum mr_type type, const char *text)
{
    switch (type) {
    case MR_INT: return json_integer(strtoll(text, NULL, 10));
    case MR_BOOL: return json_boolean(strcmp(text, "true") == 0);
    case MR_DECIMAL:
    case MR_NUMBER:
        return strpbrk(text, ".eE") == NULL && strlen(text) <= NUMBER_DIGITS ? json_integer(strtoll(text, NULL, 10))
                                                                             : json_real(strtod(text, NULL));
    case MR_JSON: return json_loads(text, JSON_DECODE_ANY, NULL);
    default: return json_string(text);
    }
}

/* An integer for us, a text such as "30s" for who sends it. */
static bool is_duration(const struct mr_field *field)
{
    return field->format == MR_FORMAT_DURATION;
}

static void put_choices(struct doc *doc, json_t *schema, const char *choices)
{
    json_t *list = put_array(doc, schema, "enum");
    char choice[CHOICE_MAX];

    while (next_choice(&choices, choice, sizeof choice))
        add(doc, list, json_string(choice));
}

static json_t *array_of(struct doc *doc, json_t *items)
{
    json_t *self = json_object();

    put_text(doc, self, "type", "array");
    put(doc, self, "items", items);
    return self;
}

/* ---- Fields ---- */

static json_t *fields_schema(struct doc *doc, const struct mr_field *fields);

/* Digits alone, or behind one of the values of the field that they belong to (struct mr_field). */
static void put_cursor(struct doc *doc, json_t *schema, const struct mr_field *field)
{
    const char *before = field->belongs_to != NULL ? "[^.]+\\." : "";

    if (field->min == field->max)
        put(doc, schema, "pattern", json_sprintf("^%s[0-9A-Fa-f]{%lld}$", before, (long long)field->max));
    else
        put(doc, schema, "pattern", json_sprintf("^%s[0-9a-f]{%lld,}$", before, (long long)field->min));
}

/* Whether ECMA-262, by which readers of the document go, has no other meaning for what is between brackets. */
static bool reads_alike(const char *pattern)
{
    static const char *const own[] = {"[:", "[.", "[=", "[]", "[^]"};
    const char *bracket = strchr(pattern, '[');

    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (strstr(pattern, own[i]) != NULL)
            return false;
    return bracket == NULL || strchr(bracket, '\\') == NULL;
}

static void put_pattern(struct doc *doc, json_t *schema, const char *pattern)
{
    if (reads_alike(pattern))
        put(doc, schema, "pattern", json_sprintf("^(?:%s)$", pattern));
}

static void put_text_rules(struct doc *doc, json_t *schema, const struct mr_field *field)
{
    if (field->format == MR_FORMAT_CURSOR) {
        put_cursor(doc, schema, field);
        return;
    }
    if (field->format == MR_FORMAT_CHOICE)
        put_choices(doc, schema, field->choices);
    if (field->format == MR_FORMAT_CODE)
        put_text(doc, schema, "pattern", "^[A-Z0-9_-]*$");
    if (field->format == MR_FORMAT_EMAIL)
        put_text(doc, schema, "format", "email");
    if (field->format == MR_FORMAT_URL)
        put_text(doc, schema, "format", "uri");
    if (field->format == MR_FORMAT_NAME)
        put_text(doc, schema, "pattern", "^[a-z][a-z0-9_-]*$");
    if (field->format == MR_FORMAT_SECRET)
        put_text(doc, schema, "pattern", "^whsec_[A-Za-z0-9+/]+=*$");
    if (field->pattern != NULL)
        put_pattern(doc, schema, mr_pattern_text(field->pattern));
    if (field->min > 0)
        put(doc, schema, "minLength", json_integer(field->min));
    if (field->max > 0)
        put(doc, schema, "maxLength", json_integer(field->max));
}

static void put_bounds(struct doc *doc, json_t *schema, const struct mr_field *field)
{
    if (field->min == 0 && field->max == 0)
        return;
    put(doc, schema, "minimum", json_integer(field->min));
    put(doc, schema, "maximum", json_integer(field->max));
}

/* One that would be rounded is left out: the answer of the gateway has it. */
static void put_bound(struct doc *doc, json_t *schema, const char *name, const char *bound)
{
    if (bound != NULL && strlen(bound) <= NUMBER_DIGITS)
        put(doc, schema, name, typed(MR_NUMBER, bound));
}

/* `type` NULL: of any, null among them. */
static void put_type(struct doc *doc, json_t *schema, const char *type, bool nullable)
{
    if (type != NULL && nullable)
        put(doc, schema, "type", json_pack("[s, s]", type, "null"));
    else if (type != NULL)
        put_text(doc, schema, "type", type);
}

/* What each value has to be like. */
static void put_rules(struct doc *doc, json_t *schema, const struct mr_field *field)
{
    if (is_duration(field)) {
        put_text(doc, schema, "pattern", "^[0-9]{1,9}(ms|s|m|h|d)$");
        return;
    }
    if (format_name(field->type) != NULL)
        put_text(doc, schema, "format", format_name(field->type));
    if (field->type == MR_TEXT)
        put_text_rules(doc, schema, field);
    else if (field->type == MR_INT)
        put_bounds(doc, schema, field);
    put_bound(doc, schema, "minimum", field->least);
    put_bound(doc, schema, "maximum", field->most);
}

static void put_items(struct doc *doc, json_t *schema, const struct mr_field *field)
{
    json_t *items = put_object(doc, schema, "items");

    put_type(doc, items, type_name(field->type), false);
    put_rules(doc, items, field);
    if (field->items_min > 0)
        put(doc, schema, "minItems", json_integer(field->items_min));
    if (field->items_max > 0)
        put(doc, schema, "maxItems", json_integer(field->items_max));
}

/* Of the field: what is `many` is given as JSON. */
static json_t *typed_of(const struct mr_field *field, const char *text)
{
    return typed(field->many ? MR_JSON : is_duration(field) ? MR_TEXT : field->type, text);
}

/* The objects of an array. */
static json_t *objects_schema(struct doc *doc, const struct mr_field *field)
{
    json_t *self = array_of(doc, fields_schema(doc, field->of));

    put_text(doc, self, "description", field->about);
    if (field->items_min > 0)
        put(doc, self, "minItems", json_integer(field->items_min));
    if (field->items_max > 0)
        put(doc, self, "maxItems", json_integer(field->items_max));
    if (field->example != NULL)
        put(doc, self, "examples", json_pack("[o]", typed(MR_JSON, field->example)));
    return self;
}

json_t *field_schema(struct doc *doc, const struct mr_field *field)
{
    json_t *self;

    if (field->of != NULL)
        return objects_schema(doc, field);
    self = json_object();
    put_type(doc, self, field->many ? "array" : is_duration(field) ? "string" : type_name(field->type), field->clearable);
    if (field->from == MR_BODY)
        put(doc, self, "description",
            field->type == MR_TIME ? json_sprintf("%s; a %s", field->about, mr_type_told(MR_TIME)) : json_string(field->about));
    if (field->many)
        put_items(doc, self, field);
    else
        put_rules(doc, self, field);
    if (field->fallback != NULL)
        put(doc, self, "default", typed_of(field, field->fallback));
    if (field->example != NULL)
        put(doc, self, "examples", json_pack("[o]", typed_of(field, field->example)));
    return self;
}

json_t *field_example(struct doc *doc, const struct mr_field *field)
{
    json_t *self = field->example != NULL ? typed_of(field, field->example) : NULL;

    if (field->example != NULL && self == NULL)
        doc->failed = true;
    return self;
}

/* ---- Bodies ---- */

bool has_body(const struct mr_traits *traits)
{
    for (const struct mr_field *field = traits->fields; field->name != NULL; field++)
        if (field->from == MR_BODY)
            return true;
    return false;
}

/*
 * Whether a schema stands there already that says the same. Two may have one name, of fields of two operations, or of an application
 * and the engine: then `name`, which leaves NUMBER_ROOM, becomes that of the place for this one, "Thing2".
 */
static bool has_schema(const struct doc *doc, char name[NAME_MAX_LEN], const json_t *schema)
{
    size_t len = strlen(name);
    const json_t *there;

    for (unsigned n = 2; (there = json_object_get(doc->schemas, name)) != NULL && !json_equal(there, schema); n++)
        snprintf(name + len, NAME_MAX_LEN - len, "%u", n);
    return there != NULL;
}

/* "product_create" becomes "ProductCreateBody". */
static void name_body(char out[NAME_MAX_LEN], const char *op)
{
    size_t len = 0;
    bool first = true;

    for (; *op != '\0' && len + sizeof "Body" + NUMBER_ROOM < NAME_MAX_LEN; op++) {
        int c = first ? toupper((unsigned char)*op) : *op;

        if (*op != '_')
            len += (size_t)snprintf(out + len, NAME_MAX_LEN - len, "%c", c);
        first = *op == '_';
    }
    snprintf(out + len, NAME_MAX_LEN - len, "Body");
}

/* The properties of the object that "retry.first" is a member of, and the member's own name in `*name`. */
static json_t *place_of_member(struct doc *doc, json_t *properties, const struct mr_field *field, const char **name)
{
    const char *dot = strchr(field->name, '.');
    char group[NAME_MAX_LEN];
    json_t *object;

    *name = field->name;
    if (dot == NULL)
        return properties;
    *name = dot + 1;
    snprintf(group, sizeof group, "%.*s", (int)(dot - field->name), field->name);
    object = json_object_get(properties, group);
    if (object == NULL) {
        object = put_object(doc, properties, group);
        put_type(doc, object, "object", field->clearable);
    }
    properties = json_object_get(object, "properties");
    return properties != NULL ? properties : put_object(doc, object, "properties");
}

/* Those of them that stand in a body. */
static json_t *fields_schema(struct doc *doc, const struct mr_field *fields)
{
    json_t *self = json_object();
    json_t *properties;
    json_t *required = json_array();

    put_text(doc, self, "type", "object");
    properties = put_object(doc, self, "properties");
    for (const struct mr_field *field = fields; field->name != NULL; field++) {
        const char *name;
        json_t *place;

        if (field->from != MR_BODY)
            continue;
        place = place_of_member(doc, properties, field, &name);
        put(doc, place, name, field_schema(doc, field));
        if (field->required)
            add(doc, required, json_string(field->name));
    }
    if (json_array_size(required) > 0)
        put(doc, self, "required", json_incref(required));
    json_decref(required);
    return self;
}

/* The body, or an array of such where the op takes that, too. */
static json_t *or_items(struct doc *doc, const struct mr_traits *traits, json_t *body)
{
    const struct mr_field *field = traits->fields;
    json_t *any;
    json_t *items;

    while (field->name != NULL && field->from != MR_BODY_ITEMS)
        field++;
    if (field->name == NULL)
        return body;
    any = json_array();
    items = array_of(doc, json_incref(body));
    put_text(doc, items, "description", field->about);
    put(doc, items, "minItems", json_integer(field->items_min));
    put(doc, items, "maxItems", json_integer(field->items_max));
    add(doc, any, body);
    add(doc, any, items);
    return json_pack("{s:o}", "oneOf", any);
}

json_t *body_reference(struct doc *doc, const struct mr_op_info *info)
{
    char name[NAME_MAX_LEN];
    json_t *schema = fields_schema(doc, info->traits->fields);

    if (info->traits->body_exact)
        put(doc, schema, "additionalProperties", json_false());
    name_body(name, info->name);
    if (!has_schema(doc, name, schema))
        put(doc, doc->schemas, name, json_incref(schema));
    json_decref(schema);
    return or_items(doc, info->traits, reference(doc, "schemas", name));
}

static void put_example(struct doc *doc, json_t *body, const struct mr_field *field)
{
    const char *dot = strchr(field->name, '.');
    char group[NAME_MAX_LEN];
    json_t *object;

    if (dot == NULL) {
        put(doc, body, field->name, field_example(doc, field));
        return;
    }
    snprintf(group, sizeof group, "%.*s", (int)(dot - field->name), field->name);
    object = json_object_get(body, group);
    put(doc, object != NULL ? object : put_object(doc, body, group), dot + 1, field_example(doc, field));
}

/* Without a value for a member that is required it would be refused: an application's fields need no example. */
static bool has_example(const struct mr_traits *traits)
{
    for (const struct mr_field *field = traits->fields; field->name != NULL; field++)
        if (field->from == MR_BODY && field->required && field->example == NULL)
            return false;
    return true;
}

json_t *body_example(struct doc *doc, const struct mr_traits *traits)
{
    json_t *self = has_example(traits) ? json_object() : NULL;

    for (const struct mr_field *field = traits->fields; self != NULL && field->name != NULL; field++)
        if (field->from == MR_BODY && field->example != NULL)
            put_example(doc, self, field);
    return self;
}

/* ---- Results ---- */

static json_t *value_schema(struct doc *doc, const struct mr_member *member)
{
    json_t *self = json_object();

    put_type(doc, self, type_name(member->type), false);
    if (format_name(member->type) != NULL)
        put_text(doc, self, "format", format_name(member->type));
    else if (member->type == MR_TIME)
        put_text(doc, self, "format", "date-time");
    else if (member->format != NULL)
        put_text(doc, self, "format", member->format);
    if (member->choices != NULL)
        put_choices(doc, self, member->choices);
    return self;
}

static json_t *keyed(struct doc *doc, json_t *values)
{
    json_t *self = json_object();

    put_text(doc, self, "type", "object");
    put(doc, self, "additionalProperties", values);
    return self;
}

/* In JSON Schema 2020-12 other words may stand beside a reference. */
static json_t *member_schema(struct doc *doc, const struct mr_member *member)
{
    const struct mr_result *nested = member->json != NULL ? member->json : member->columns;
    json_t *self = nested != NULL ? result_reference(doc, nested) : value_schema(doc, member);

    if (member->keyed)
        self = keyed(doc, self);
    if (member->many)
        self = array_of(doc, self);
    put_text(doc, self, "description", member->about);
    if (member->example != NULL)
        put(doc, self, "examples", json_pack(member->many ? "[[o]]" : "[o]", typed(member->type, member->example)));
    return self;
}

static void put_members(struct doc *doc, json_t *schema, const struct mr_member *members)
{
    json_t *properties = put_object(doc, schema, "properties");
    json_t *required = json_array();

    for (const struct mr_member *member = members; member->name != NULL; member++) {
        put(doc, properties, member->name, member_schema(doc, member));
        if (!member->optional)
            add(doc, required, json_string(member->name));
    }
    if (json_array_size(required) > 0)
        put(doc, schema, "required", json_incref(required));
    json_decref(required);
}

static void describe_result(struct doc *doc, json_t *schema, const struct mr_result *result)
{
    put_text(doc, schema, "type", "object");
    put_text(doc, schema, "description", result->about);
    if (result->members != NULL)
        put_members(doc, schema, result->members);
}

/* Its place is taken before its members are looked at, so that it keeps the order in which results are met. */
json_t *result_reference(struct doc *doc, const struct mr_result *result)
{
    char name[NAME_MAX_LEN];
    json_t *schema;

    snprintf(name, sizeof name - NUMBER_ROOM, "%s", result->name);
    if (json_object_get(doc->schemas, name) == NULL) {
        describe_result(doc, put_object(doc, doc->schemas, name), result);
        return reference(doc, "schemas", name);
    }
    schema = json_object();
    describe_result(doc, schema, result);
    if (!has_schema(doc, name, schema))
        put(doc, doc->schemas, name, json_incref(schema));
    json_decref(schema);
    return reference(doc, "schemas", name);
}

/* ---- Successes ---- */

static const struct mr_result pagination = {
    .name = "Pagination",
    .about = "The position of a page in its list",
    .members = MR_MEMBERS({"page", MR_INT, .about = "which page this is, from 1", .example = "1"},
                          {"pageSize", MR_INT, .about = "items on a page", .example = "10"},
                          {"totalItems", MR_INT, .about = "items in all", .example = "42"},
                          {"totalPages", MR_INT, .about = "pages in all", .example = "5"}),
};

/* "Product" becomes "ProductPage". */
static json_t *page_reference(struct doc *doc, const struct mr_result *of)
{
    char name[NAME_MAX_LEN];
    char about[NAME_MAX_LEN];
    const struct mr_member members[] = {{"data", .json = of, .many = true, .about = "the items of the page"},
                                        {"pagination", .json = &pagination, .about = "where it stands"},
                                        {.name = NULL}};
    const struct mr_result page = {.name = name, .about = about, .members = members};

    snprintf(name, sizeof name, "%sPage", of->name);
    snprintf(about, sizeof about, "A page of a list: see %s", of->name);
    return result_reference(doc, &page);
}

static json_t *shape_schema(struct doc *doc, enum mr_shape shape, const struct mr_result *of)
{
    if (shape == MR_SHAPE_PAGE)
        return page_reference(doc, of);
    return shape == MR_SHAPE_MANY ? array_of(doc, result_reference(doc, of)) : result_reference(doc, of);
}

static const struct mr_result *result_of(const struct mr_traits *traits, const struct mr_variant *variant)
{
    return variant->returns != NULL ? variant->returns : traits->returns;
}

/* Whether the op, or a variant before this one, tells the same in the same shape. */
static bool is_told_before(const struct mr_traits *traits, const struct mr_variant *variant)
{
    if (variant->shape == MR_SHAPE_NONE || (variant->shape == traits->shape && result_of(traits, variant) == traits->returns))
        return true;
    for (const struct mr_variant *other = traits->variants; other < variant; other++)
        if (other->shape == variant->shape && result_of(traits, other) == result_of(traits, variant))
            return true;
    return false;
}

json_t *success_schema(struct doc *doc, const struct mr_traits *traits)
{
    json_t *any = json_array();
    json_t *self;

    add(doc, any, shape_schema(doc, traits->shape, traits->returns));
    for (const struct mr_variant *variant = traits->variants; variant != NULL && variant->statement != NULL; variant++)
        if (!is_told_before(traits, variant))
            add(doc, any, shape_schema(doc, variant->shape, result_of(traits, variant)));
    self = json_array_size(any) == 1 ? json_incref(json_array_get(any, 0)) : json_pack("{s:O}", "oneOf", any);
    json_decref(any);
    return self;
}
