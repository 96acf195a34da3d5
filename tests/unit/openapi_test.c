/*
 * The document says what the tables say: nothing is missing, nothing is twice, and every reference leads somewhere.
 */
#include <jansson.h>

#include "openapi/openapi.h"
#include "openapi/page.h"
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
    const json_t *reference = at(operation_of(document, way), "requestBody content application/json schema $ref");
    const char *name = strrchr(json_string_value(reference), '/') + 1;
    const json_t *schema = json_object_get(at(document, "components schemas"), name);
    const json_t *property = json_object_get(json_object_get(schema, "properties"), field->name);
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
        assert_int_equal(mr_openapi_answers((enum mr_op)op, 403), info->access == MR_ACCESS_ADMIN);
        assert_int_equal(mr_openapi_answers((enum mr_op)op, 504), info->actor != MR_ACTOR_GATEWAY);
        assert_false(mr_openapi_answers((enum mr_op)op, 418));
    }
    assert_true(mr_openapi_answers(MR_OP_task_create, 422));
    assert_false(mr_openapi_answers(MR_OP_task_create, 404));
    assert_true(mr_openapi_answers(MR_OP_task_get, 304));
    assert_false(mr_openapi_answers(MR_OP_task_update, 304));
    assert_true(mr_openapi_answers(MR_OP_health, 503));
}

/* Whoever may call says how: a test of the map holds access against the fields. */
static void test_openapi__security_is_the_access(void **state)
{
    static const size_t schemes[] = {
        [MR_ACCESS_PUBLIC] = 0, [MR_ACCESS_OPTIONAL] = 2, [MR_ACCESS_USER] = 1, [MR_ACCESS_ADMIN] = 1, [MR_ACCESS_INTERNAL] = 0};
    json_t *document = load();
    unsigned i = 0;

    (void)state;
    for (const struct mr_way *way = mr_way(0); way != NULL; way = mr_way(++i))
        if (way->path != NULL)
            assert_int_equal(json_array_size(at(operation_of(document, way), "security")), schemes[mr_op_info(way->op)->access]);
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
