/*
 * The document says what the tables say: nothing is missing, nothing is twice, and every reference leads somewhere.
 */
#include <jansson.h>

#include "openapi/openapi.h"
#include "proto/apikey.h"
#include "openapi/page.h"
#include "proto/pattern.h"
#include "tests/support/tasks.h"
#include "tests/support/test.h"

static json_t *load(void)
{
    struct mr_buf text = {0};
    json_t *document;

    assert_int_equal(mr_openapi_write(&text, "1.2.3", false), MR_OK);
    document = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(document);
    mr_buf_fini(&text);
    return document;
}

/* By a path of names, each behind a blank. */
static const json_t *at(const json_t *json, const char *path)
{
    char names[256];
    char *rest = NULL;

    snprintf(names, sizeof names, "%s", path);
    for (char *name = strtok_r(names, " ", &rest); name != NULL && json != NULL; name = strtok_r(NULL, " ", &rest))
        json = json_object_get(json, name);
    return json;
}

static void assert_text(const json_t *json, const char *path, const char *expected)
{
    const json_t *found = at(json, path);

    if (!json_is_string(found))
        fail_test("there is no text at %s", path);
    assert_string_equal(json_string_value(found), expected);
}

static const json_t *operation_of(const json_t *document, const struct mr_way *way)
{
    char path[128] = "";
    char verb[8] = "";

    for (const char *c = way->path; *c != '\0'; c++) {
        size_t len = strlen(path);

        if (*c == ':') {
            snprintf(path + len, sizeof path - len, "{%.*s}", (int)strcspn(c + 1, "/"), c + 1);
            c += strcspn(c, "/") - 1;
        } else {
            snprintf(path + len, sizeof path - len, "%c", *c);
        }
    }
    for (size_t i = 0; mr_verb_name(way->verb)[i] != '\0'; i++)
        verb[i] = (char)(mr_verb_name(way->verb)[i] | 0x20);
    return json_object_get(json_object_get(json_object_get(document, "paths"), path), verb);
}

static void test_openapi__every_way_is_an_operation_with_its_own_name(void **state)
{
    json_t *document = load();
    json_t *seen = json_object();
    unsigned i = 0;

    (void)state;
    assert_text(document, "openapi", "3.1.0");
    assert_text(document, "info version", "1.2.3");
    for (const struct mr_way *way = mr_way(0); way != NULL; way = mr_way(++i)) {
        const json_t *operation;

        if (way->path == NULL)
            continue;
        operation = operation_of(document, way);
        assert_text(operation, "operationId", way->name);
        assert_text(operation, "summary", mr_op_info(way->op)->traits->summary);
        assert_null(json_object_get(seen, way->name));
        json_object_set_new(seen, way->name, json_true());
    }
    json_decref(seen);
    json_decref(document);
}

static bool has_parameter(const json_t *operation, const struct mr_field *field)
{
    const json_t *parameter;
    size_t i;

    json_array_foreach(json_object_get(operation, "parameters"), i, parameter)
        if (strcmp(json_string_value(json_object_get(parameter, "name")), field->name) == 0) {
            const char *told = json_string_value(json_object_get(parameter, "description"));

            return strncmp(told, field->about, strlen(field->about)) == 0;
        }
    return false;
}

static bool has_property(const json_t *document, const struct mr_way *way, const struct mr_field *field)
{
    const json_t *body = at(operation_of(document, way), "requestBody content application/json schema");
    const json_t *one = json_object_get(body, "oneOf") != NULL ? json_array_get(json_object_get(body, "oneOf"), 0) : body;
    const char *name = strrchr(json_string_value(json_object_get(one, "$ref")), '/') + 1;
    const json_t *schema = json_object_get(at(document, "components schemas"), name);
    const char *dot = strchr(field->name, '.');
    const json_t *outer = dot != NULL ? json_object_getn(json_object_get(schema, "properties"), field->name, (size_t)(dot - field->name)) : schema;
    const json_t *property = json_object_get(json_object_get(outer, "properties"), dot != NULL ? dot + 1 : field->name);
    const char *told = json_string_value(json_object_get(property, "description"));

    return told != NULL && strncmp(told, field->about, strlen(field->about)) == 0;
}

static bool is_from_head(const struct mr_field *field)
{
    return field->from == MR_PATH || field->from == MR_QUERY || field->from == MR_HEADER || field->from == MR_IF_MATCH ||
           field->from == MR_IF_NONE_MATCH;
}

/* A field that a client gives is told with its `about`; one that the gateway or the actor makes is nobody's business. */
static void test_openapi__tells_every_field_of_a_client_and_no_other(void **state)
{
    json_t *document = load();
    unsigned i = 0;

    (void)state;
    for (const struct mr_way *way = mr_way(0); way != NULL; way = mr_way(++i)) {
        const struct mr_field *fields = mr_op_info(way->op)->traits->fields;

        for (const struct mr_field *field = fields; way->path != NULL && field->name != NULL; field++) {
            if (is_from_head(field) != has_parameter(operation_of(document, way), field))
                fail_test("%s: %s", way->name, field->name);
            if (field->from == MR_BODY && !has_property(document, way, field))
                fail_test("%s: %s is not in the body", way->name, field->name);
        }
    }
    assert_null(at(document, "components schemas RegisterBody properties passwordHash"));
    json_decref(document);
}

static void test_openapi__bounds_are_those_of_the_field(void **state)
{
    json_t *document = load();
    const json_t *summary = at(document, "components schemas TaskCreateBody properties summary");
    const json_t *description = at(document, "components schemas TaskUpdateBody properties description");

    (void)state;
    assert_int_equal(json_integer_value(json_object_get(summary, "minLength")), 1);
    assert_int_equal(json_integer_value(json_object_get(summary, "maxLength")), 500);
    assert_int_equal(json_integer_value(json_object_get(description, "maxLength")), 65536);
    assert_string_equal(json_string_value(json_array_get(json_object_get(description, "type"), 1)), "null");
    assert_text(summary, "type", "string"); /* null does not clear it */
    json_decref(document);
}

/* The value behind "#/a/b/c". */
static const json_t *follow(const json_t *document, const char *reference)
{
    char path[256];

    assert_memory_equal(reference, "#/", 2);
    snprintf(path, sizeof path, "%s", reference + 2);
    for (char *slash = path; (slash = strchr(slash, '/')) != NULL;)
        *slash = ' ';
    return at(document, path);
}

static void check_references(const json_t *document, json_t *json)
{
    const json_t *reference = json_object_get(json, "$ref");
    const char *name;
    json_t *value;
    size_t i;

    if (json_is_string(reference) && follow(document, json_string_value(reference)) == NULL)
        fail_test("%s leads nowhere", json_string_value(reference));
    json_object_foreach(json, name, value)
        check_references(document, value);
    json_array_foreach(json, i, value)
        check_references(document, value);
}

static void test_openapi__every_reference_leads_somewhere(void **state)
{
    json_t *document = load();

    (void)state;
    check_references(document, document);
    json_decref(document);
}

/* A status that the map or the traits name, and some that follow from them. */
static void test_openapi__answers_follow_from_the_traits(void **state)
{
    (void)state;
    for (int op = 0; op < MR_OP_COUNT; op++) {
        const struct mr_op_info *info = mr_op_info((enum mr_op)op);

        if (info->path == NULL)
            continue;
        assert_true(mr_openapi_answers((enum mr_op)op, info->http));
        /* An API key is refused where it lacks a scope, or a user is needed. */
        assert_int_equal(mr_openapi_answers((enum mr_op)op, 403), info->access == MR_ACCESS_ADMIN || info->access == MR_ACCESS_USER);
        assert_int_equal(mr_openapi_answers((enum mr_op)op, 504), info->actor != MR_ACTOR_GATEWAY);
        assert_false(mr_openapi_answers((enum mr_op)op, 418));
    }
    assert_true(mr_openapi_answers(op_named("task_create"), 422));
    assert_false(mr_openapi_answers(op_named("task_create"), 404));
    assert_true(mr_openapi_answers(op_named("task_get"), 304));
    assert_false(mr_openapi_answers(op_named("task_update"), 304));
    assert_true(mr_openapi_answers(MR_OP_health, 503));
}

static size_t count_scopes(const char *scopes)
{
    struct mr_slice scope;
    size_t count = 0;

    while (mr_scope_next(&scopes, &scope))
        count++;
    return count;
}

/* Whoever may call says how: a test of the map holds access against the fields. Each scope is a way in of its own. */
static void test_openapi__security_is_the_access(void **state)
{
    static const size_t schemes[] = {
        [MR_ACCESS_PUBLIC] = 0, [MR_ACCESS_OPTIONAL] = 2, [MR_ACCESS_USER] = 1, [MR_ACCESS_ADMIN] = 1, [MR_ACCESS_INTERNAL] = 0};
    json_t *document = load();
    unsigned i = 0;

    (void)state;
    for (const struct mr_way *way = mr_way(0); way != NULL; way = mr_way(++i))
        if (way->path != NULL)
            assert_int_equal(json_array_size(at(operation_of(document, way), "security")),
                             schemes[mr_op_info(way->op)->access] + count_scopes(mr_op_info(way->op)->traits->scopes));
    json_decref(document);
}

/* The same tables make the same bytes: what a build answers does not change from process to process. */
static void test_openapi__is_the_same_each_time(void **state)
{
    struct mr_buf a = {0};
    struct mr_buf b = {0};

    (void)state;
    assert_int_equal(mr_openapi_write(&a, "1.2.3", true), MR_OK);
    assert_int_equal(mr_openapi_write(&b, "1.2.3", true), MR_OK);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    mr_buf_fini(&a);
    mr_buf_fini(&b);
}

/* Every file is one gzip member, and nothing in ours asks another host. */
static void test_openapi__the_page_is_whole(void **state)
{
    (void)state;
    for (const struct mr_page_file *file = mr_page_files; file->name != NULL; file++) {
        assert_true(file->gzip.len > 20);
        assert_memory_equal(file->gzip.data, "\x1f\x8b\x08", 3);
        assert_non_null(strchr(file->type, '/'));
    }
}

/* ---- Types that only applications have ---- */

static struct mr_field typed_fields[] = {
    {.name = "sku", .type = MR_TEXT, .from = MR_BODY, .min = 1, .max = 9, .about = "x"},
    {.name = "odd", .type = MR_TEXT, .from = MR_BODY, .about = "x"},
    {.name = "price", .type = MR_DECIMAL, .scale = 2, .least = "0", .most = "99999.99", .from = MR_BODY, .clearable = true, .fallback = "0.50", .about = "x"},
    {.name = "exact", .type = MR_DECIMAL, .scale = -1, .most = "99999999999999999999.99", .from = MR_BODY, .about = "x"},
    {.name = "share", .type = MR_NUMBER, .most = "1", .from = MR_BODY, .about = "x"},
    {.name = "day", .type = MR_DATE, .from = MR_BODY, .clearable = true, .about = "x"},
    {.name = "details", .type = MR_JSON, .from = MR_BODY, .clearable = true, .fallback = "{\"a\":[1]}", .about = "x"},
    {.name = "tags", .type = MR_TEXT, .many = true, .items_min = 1, .items_max = 20, .min = 1, .max = 40, .from = MR_BODY, .clearable = true,
     .fallback = "[\"a\"]", .about = "x"},
    {.name = "prices", .type = MR_DECIMAL, .many = true, .least = "0", .from = MR_BODY, .about = "x"},
    {.name = NULL}};
static const struct mr_result typed_result = {
    .name = "Typed", .about = "x",
    .members = MR_MEMBERS({"price", MR_DECIMAL, .about = "x"}, {"share", MR_NUMBER, .about = "x"}, {"day", MR_DATE, .about = "x"},
                          {"details", MR_JSON, .about = "x"}, {"days", MR_DATE, .many = true, .about = "x"})};
static const struct mr_traits typed_traits = {.summary = "x", .shape = MR_SHAPE_ONE, .returns = &typed_result, .fields = typed_fields};
static const struct mr_op_info typed_op = {"typed_make", MR_VERB_POST, "/v1/typed", MR_ACTOR_DATA_WRITER, MR_ACCESS_PUBLIC, 200, MR_BY_SQL, .traits = &typed_traits};
static const struct mr_way typed_way = {"typed_make", MR_VERB_POST, "/v1/typed", (enum mr_op)MR_OP_COUNT};
static const struct mr_op_table typed_table = {.ops = &typed_op, .op_count = 1, .ways = &typed_way, .way_count = 1, .title = "x", .version = "1"};

static void assert_schema(const json_t *document, const char *schema, const char *property, const char *expected)
{
    char path[96];
    char *found;

    snprintf(path, sizeof path, "components schemas %s properties %s", schema, property);
    found = json_dumps(at(document, path), JSON_SORT_KEYS | JSON_COMPACT | JSON_REAL_PRECISION(15));
    if (found == NULL || strcmp(found, expected) != 0)
        fail_test("%s is %s, not %s", path, found, expected);
    free(found);
}

/* ---- Names that two things have ---- */

static const struct mr_result alike[] = {{.name = "Thing", .about = "x", .members = MR_MEMBERS({"a", MR_INT, .about = "x"})},
                                         {.name = "Thing", .about = "x", .members = MR_MEMBERS({"a", MR_TEXT, .about = "x"})},
                                         {.name = "Thing", .about = "x", .members = MR_MEMBERS({"a", MR_INT, .about = "x"})},
                                         {.name = "JobRun", .about = "not the engine's", .members = MR_MEMBERS({"a", MR_INT, .about = "x"})}};
static const struct mr_result alike_answers[] = {
    {.name = "First", .about = "x", .members = MR_MEMBERS({"thing", MR_JSON, .json = &alike[0], .about = "x"})},
    {.name = "Second", .about = "x", .members = MR_MEMBERS({"thing", MR_JSON, .json = &alike[1], .about = "x"})},
    {.name = "Third", .about = "x", .members = MR_MEMBERS({"thing", MR_JSON, .json = &alike[2], .about = "x"})},
    {.name = "Fourth", .about = "x", .members = MR_MEMBERS({"thing", MR_JSON, .json = &alike[3], .about = "x"})}};

static void test_openapi__what_differs_has_a_schema_of_its_own_whatever_it_is_called(void **state)
{
    static const char *const expected[][2] = {{"First", "Thing"}, {"Second", "Thing2"}, {"Third", "Thing"}, {"Fourth", "JobRun2"}};
    enum { COUNT = sizeof expected / sizeof expected[0] };
    static const struct mr_field no_fields[] = {{.name = NULL}};
    struct mr_traits traits[COUNT];
    struct mr_op_info ops[COUNT];
    struct mr_way own_ways[COUNT];
    char paths[COUNT][16];
    const struct mr_op_table table = {.ops = ops, .op_count = COUNT, .ways = own_ways, .way_count = COUNT, .title = "x", .version = "1"};
    json_t *document;

    (void)state;
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(paths[i], sizeof paths[i], "/v1/a%u", i);
        traits[i] = (struct mr_traits){.summary = "x", .shape = MR_SHAPE_ONE, .returns = &alike_answers[i], .fields = no_fields};
        ops[i] = (struct mr_op_info){paths[i] + 4, MR_VERB_GET, paths[i], MR_ACTOR_DATA_READER, MR_ACCESS_PUBLIC, 200, MR_BY_SQL, .traits = &traits[i]};
        own_ways[i] = (struct mr_way){paths[i] + 4, MR_VERB_GET, paths[i], (enum mr_op)(MR_OP_COUNT + i)};
    }
    mr_ops_install(&table);
    document = load();
    for (unsigned i = 0; i < COUNT; i++) {
        char schema[96];

        snprintf(schema, sizeof schema, "{\"thing\":{\"$ref\":\"#/components/schemas/%s\",\"description\":\"x\"}}", expected[i][1]);
        assert_schema(document, expected[i][0], "", schema);
    }
    assert_schema(document, "Thing", "a", "{\"description\":\"x\",\"format\":\"int64\",\"type\":\"integer\"}");
    assert_schema(document, "Thing2", "a", "{\"description\":\"x\",\"type\":\"string\"}");
    json_decref(document);
    mr_ops_install(NULL);
}

static void test_openapi__types_of_applications(void **state)
{
    static const char *const bodies[][2] = {
        {"sku", "{\"description\":\"x\",\"maxLength\":9,\"minLength\":1,\"pattern\":\"^(?:[A-Z]+|[0-9])$\",\"type\":\"string\"}"},
        {"odd", "{\"description\":\"x\",\"type\":\"string\"}"}, /* what another reader would read otherwise is not told */
        {"price", "{\"default\":0.5,\"description\":\"x\",\"format\":\"decimal\",\"maximum\":99999.99,\"minimum\":0,\"type\":[\"number\",\"null\"]}"},
        {"exact", "{\"description\":\"x\",\"format\":\"decimal\",\"type\":\"number\"}"}, /* a bound that would be rounded is none */
        {"share", "{\"description\":\"x\",\"format\":\"double\",\"maximum\":1,\"type\":\"number\"}"},
        {"day", "{\"description\":\"x\",\"format\":\"date\",\"type\":[\"string\",\"null\"]}"},
        {"details", "{\"default\":{\"a\":[1]},\"description\":\"x\"}"},
        {"tags", "{\"default\":[\"a\"],\"description\":\"x\",\"items\":{\"maxLength\":40,\"minLength\":1,\"type\":\"string\"},"
                 "\"maxItems\":20,\"minItems\":1,\"type\":[\"array\",\"null\"]}"},
        {"prices", "{\"description\":\"x\",\"items\":{\"format\":\"decimal\",\"minimum\":0,\"type\":\"number\"},\"type\":\"array\"}"},
    };
    static const char *const results[][2] = {
        {"price", "{\"description\":\"x\",\"format\":\"decimal\",\"type\":\"number\"}"},
        {"share", "{\"description\":\"x\",\"format\":\"double\",\"type\":\"number\"}"},
        {"day", "{\"description\":\"x\",\"format\":\"date\",\"type\":\"string\"}"},
        {"details", "{\"description\":\"x\"}"},
        {"days", "{\"description\":\"x\",\"items\":{\"format\":\"date\",\"type\":\"string\"},\"type\":\"array\"}"},
    };
    struct mr_pattern *patterns[2] = {NULL, NULL};
    json_t *document;

    (void)state;
    assert_int_equal(mr_pattern_new(&patterns[0], "[A-Z]+|[0-9]"), MR_OK);
    assert_int_equal(mr_pattern_new(&patterns[1], "[[:upper:]]+"), MR_OK);
    typed_fields[0].pattern = patterns[0];
    typed_fields[1].pattern = patterns[1];
    mr_ops_install(&typed_table);
    document = load();
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
        assert_schema(document, "TypedMakeBody", bodies[i][0], bodies[i][1]);
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++)
        assert_schema(document, "Typed", results[i][0], results[i][1]);
    json_decref(document);
    mr_ops_install(NULL);
    mr_pattern_destroy(&patterns[0]);
    mr_pattern_destroy(&patterns[1]);
}

/* One that lacks a required member would be refused. */
static void test_openapi__an_example_of_a_body_is_whole_or_none(void **state)
{
    static const char body[] = "paths /v1/typed post requestBody content application/json";
    json_t *document;
    char *example;

    (void)state;
    typed_fields[0].required = true;
    typed_fields[1].example = "x";
    mr_ops_install(&typed_table);
    document = load();
    assert_non_null(at(document, body));
    assert_null(json_object_get(at(document, body), "example"));
    json_decref(document);
    typed_fields[0].example = "A";
    document = load();
    example = json_dumps(json_object_get(at(document, body), "example"), JSON_COMPACT);
    assert_string_equal(example, "{\"sku\":\"A\",\"odd\":\"x\"}");
    free(example);
    json_decref(document);
    mr_ops_install(NULL);
    typed_fields[0].required = false;
    typed_fields[0].example = typed_fields[1].example = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_openapi__every_way_is_an_operation_with_its_own_name),
        cmocka_unit_test(test_openapi__tells_every_field_of_a_client_and_no_other),
        cmocka_unit_test(test_openapi__bounds_are_those_of_the_field),
        cmocka_unit_test(test_openapi__every_reference_leads_somewhere),
        cmocka_unit_test(test_openapi__answers_follow_from_the_traits),
        cmocka_unit_test(test_openapi__security_is_the_access),
        cmocka_unit_test(test_openapi__is_the_same_each_time),
        cmocka_unit_test(test_openapi__the_page_is_whole),
        cmocka_unit_test(test_openapi__types_of_applications),
        cmocka_unit_test(test_openapi__an_example_of_a_body_is_whole_or_none),
        cmocka_unit_test(test_openapi__what_differs_has_a_schema_of_its_own_whatever_it_is_called),
    };

    return cmocka_run_group_tests(tests, tasks_serve, tasks_end);
}
