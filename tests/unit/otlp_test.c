/*
 * The JSON mapping of OTLP (opentelemetry.io/docs/specs/otlp, "JSON Protobuf Encoding"): what is written is read again by a
 * library, and looked at.
 */
#include "runtime/otlp.h"

#include <jansson.h>

#include "tests/support/test.h"

static const struct mr_context context = {.trace_id = {0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21,
                                                       0x1c, 0x80, 0x31, 0x9c},
                                          .span_id = {0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31},
                                          .sampled = true};
static const struct mr_context other = {.trace_id = {1}, .span_id = {2}, .sampled = true};

#define TRACEPARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static json_t *encoded(const struct mr_span *span)
{
    struct mr_buf resource = {0};
    struct mr_buf out = {0};
    json_t *root;

    mr_otlp_attribute(&resource, MR_SLICE("service.name"), MR_SLICE("a \"name\""));
    mr_otlp_attribute(&resource, MR_SLICE("b"), MR_SLICE("\xff"));
    mr_otlp_begin(&out, &resource, "1.2.3");
    mr_otlp_span(&out, span, true, 1700000000000000);
    mr_otlp_span(&out, span, false, 1700000000000000);
    mr_otlp_end(&out);
    assert_false(out.failed);
    root = json_loadb(out.data, out.len, JSON_REJECT_DUPLICATES, NULL);
    if (root == NULL)
        fail_test("no JSON: %.*s", (int)out.len, out.data);
    mr_buf_fini(&out);
    mr_buf_fini(&resource);
    return root;
}

static json_t *first(json_t *object, const char *member)
{
    json_t *item = json_array_get(json_object_get(object, member), 0);

    assert_non_null(item);
    return item;
}

static json_t *scope(json_t *root)
{
    return first(first(root, "resourceSpans"), "scopeSpans");
}

static const char *text(const json_t *object, const char *member)
{
    const char *value = json_string_value(json_object_get(object, member));

    if (value == NULL)
        fail_test("there is no text %s", member);
    return value;
}

/* The value of an attribute: {"stringValue": …} or {"intValue": …}. */
static json_t *attribute(json_t *object, const char *key)
{
    json_t *item;
    size_t i;

    json_array_foreach(json_object_get(object, "attributes"), i, item)
        if (strcmp(text(item, "key"), key) == 0)
            return json_object_get(item, "value");
    fail_test("there is no attribute %s", key);
    return NULL;
}

static void test_otlp__a_span_is_what_the_mapping_says(void **state)
{
    struct mr_span *span = mr_span_new(MR_SPAN_SERVER, &context, &other, 1000);
    json_t *root;
    json_t *one;

    (void)state;
    mr_span_name(span, "GET %s", "/v1/tasks/:id");
    mr_span_text(span, "url.path", MR_SLICE("/v1/\"x\""));
    mr_span_int(span, "http.response.status_code", 200);
    span->parent_is_remote = true;
    span->end_us = 1250;
    root = encoded(span);
    one = first(scope(root), "spans");
    assert_string_equal(text(one, "traceId"), "0af7651916cd43dd8448eb211c80319c");
    assert_string_equal(text(one, "spanId"), "b7ad6b7169203331");
    assert_string_equal(text(one, "parentSpanId"), "0200000000000000");
    assert_string_equal(text(one, "name"), "GET /v1/tasks/:id");
    assert_int_equal(json_integer_value(json_object_get(one, "kind")), 2);
    assert_int_equal(json_integer_value(json_object_get(one, "flags")), 0x301);
    assert_string_equal(text(one, "startTimeUnixNano"), "1700000000001000000");
    assert_string_equal(text(one, "endTimeUnixNano"), "1700000000001250000");
    assert_string_equal(text(attribute(one, "url.path"), "stringValue"), "/v1/\"x\"");
    assert_string_equal(text(attribute(one, "http.response.status_code"), "intValue"), "200");
    assert_null(json_object_get(one, "links"));
    assert_null(json_object_get(one, "status"));
    assert_int_equal(json_array_size(json_object_get(scope(root), "spans")), 2);
    json_decref(root);
    mr_span_destroy(&span);
}

static void test_otlp__a_resource_and_a_scope_stand_above(void **state)
{
    struct mr_span *span = mr_span_new(MR_SPAN_INTERNAL, &context, NULL, 0);
    json_t *root = encoded(span);
    json_t *resource = json_object_get(first(root, "resourceSpans"), "resource");

    (void)state;
    assert_string_equal(text(attribute(resource, "service.name"), "stringValue"), "a \"name\"");
    assert_string_equal(text(attribute(resource, "b"), "stringValue"), "?");
    assert_string_equal(text(json_object_get(scope(root), "scope"), "name"), "millrace");
    assert_string_equal(text(json_object_get(scope(root), "scope"), "version"), "1.2.3");
    assert_null(json_object_get(first(scope(root), "spans"), "parentSpanId"));
    json_decref(root);
    mr_span_destroy(&span);
}

static void test_otlp__links_failures_and_states_are_told(void **state)
{
    struct mr_span *span = mr_span_new(MR_SPAN_CLIENT, &context, NULL, 0);
    json_t *root;
    json_t *one;

    (void)state;
    mr_span_expect_links(span, MR_SPAN_LINKS + 2);
    for (int i = 0; i < MR_SPAN_LINKS + 2; i++)
        mr_span_link(span, &other);
    mr_span_fail(span, MR_SLICE("57014"));
    mr_span_state(span, MR_SLICE("rojo=00f067aa0ba902b7"));
    root = encoded(span);
    one = first(scope(root), "spans");
    assert_int_equal(json_array_size(json_object_get(one, "links")), MR_SPAN_LINKS);
    assert_string_equal(text(first(one, "links"), "traceId"), "01000000000000000000000000000000");
    assert_string_equal(text(first(one, "links"), "spanId"), "0200000000000000");
    assert_int_equal(json_integer_value(json_object_get(one, "droppedLinksCount")), 2);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(one, "status"), "code")), 2);
    assert_string_equal(text(attribute(one, "error.type"), "stringValue"), "57014");
    assert_string_equal(text(one, "traceState"), "rojo=00f067aa0ba902b7");
    json_decref(root);
    mr_span_destroy(&span);
}

/* More, longer and stranger than a span has room for: what is left is whole. */
static void test_otlp__a_span_is_bounded(void **state)
{
    struct mr_span *span = mr_span_new(MR_SPAN_CLIENT, &context, NULL, 0);
    char large[3 * MR_SPAN_VALUE];
    json_t *root;

    (void)state;
    memset(large, 0xc3, sizeof large - 1);
    large[sizeof large - 1] = '\0';
    for (int i = 0; i < 2 * MR_SPAN_ATTRIBUTES; i++)
        mr_span_text(span, "large", (struct mr_slice){large, sizeof large - 1});
    mr_span_state(span, (struct mr_slice){large, sizeof large - 1});
    mr_span_name(span, "%s", large);
    root = encoded(span);
    assert_int_equal(json_array_size(json_object_get(first(scope(root), "spans"), "attributes")), MR_SPAN_ATTRIBUTES);
    json_decref(root);
    mr_span_destroy(&span);
    mr_span_text(NULL, "a", MR_SLICE("b"));
    mr_span_end(NULL, 0);
}

static void test_context__is_read_as_it_is_written(void **state)
{
    struct mr_context read = {0};
    char written[MR_TRACEPARENT];

    (void)state;
    mr_context_write(written, &context);
    assert_string_equal(written, TRACEPARENT);
    assert_true(mr_context_read(&read, mr_slice_of(written)));
    assert_memory_equal(read.trace_id, context.trace_id, sizeof read.trace_id);
    assert_memory_equal(read.span_id, context.span_id, sizeof read.span_id);
    assert_true(read.sampled);
    written[MR_TRACEPARENT - 2] = '2';
    assert_true(mr_context_read(&read, mr_slice_of(written)));
    assert_false(read.sampled);
}

static void test_context__what_is_none_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
                                      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-012",
                                      "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                                      "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                                      "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                                      "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                                      "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                                      "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
                                      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331_01",
                                      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g"};
    struct mr_context untouched = context;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (mr_context_read(&untouched, mr_slice_of(bad[i])))
            fail_test("\"%s\" was taken", bad[i]);
    assert_memory_equal(&untouched, &context, sizeof context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_otlp__a_span_is_what_the_mapping_says),
        cmocka_unit_test(test_otlp__a_resource_and_a_scope_stand_above),
        cmocka_unit_test(test_otlp__links_failures_and_states_are_told),
        cmocka_unit_test(test_otlp__a_span_is_bounded),
        cmocka_unit_test(test_context__is_read_as_it_is_written),
        cmocka_unit_test(test_context__what_is_none_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
