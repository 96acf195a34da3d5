/*
 * Values of every type in a request: in a body, in a query, in the path, as defaults, alone and in arrays.
 */
#include <jansson.h>

#include "gateway/link.h"
#include "proto/pattern.h"
#include "tests/support/test.h"

#define AT_BODY  .from = MR_BODY, .about = "x"
#define AT_QUERY .from = MR_QUERY, .about = "x"

static struct mr_field post_fields[] = {
    {.name = "sku", .type = MR_TEXT, AT_BODY},
    {.name = "price", .type = MR_DECIMAL, .scale = 2, .least = "0", .most = "99999999999999999999.99", AT_BODY, .clearable = true},
    {.name = "share", .type = MR_NUMBER, AT_BODY},
    {.name = "released", .type = MR_DATE, AT_BODY, .clearable = true},
    {.name = "details", .type = MR_JSON, AT_BODY, .clearable = true},
    {.name = "tags", .type = MR_TEXT, .many = true, .items_min = 0, .items_max = 4, .min = 1, .max = 5, AT_BODY, .clearable = true},
    {.name = "prices", .type = MR_DECIMAL, .scale = 1, .many = true, AT_BODY},
    {.name = "times", .type = MR_TIME, .many = true, AT_BODY},
    {.name = "ids", .type = MR_UUID, .many = true, AT_BODY},
    {.name = "flags", .type = MR_BOOL, .many = true, AT_BODY, .fallback = "[true, false]"},
    {.name = "counts", .type = MR_INT, .many = true, .min = 1, .max = 9, AT_BODY},
    {.name = "numbers", .type = MR_NUMBER, .many = true, AT_BODY},
    {.name = "days", .type = MR_DATE, .many = true, AT_BODY},
    {.name = "values", .type = MR_JSON, .many = true, AT_BODY},
    {.name = "kind", .type = MR_JSON, AT_BODY, .fallback = "{\"a\": 1.10}"},
    {.name = "Idempotency-Key", .type = MR_TEXT, .from = MR_HEADER, .min = 1, .max = 100, .about = "x"},
    {.name = "fingerprint", .type = MR_TEXT, .from = MR_FINGERPRINT, .about = "x"},
    {.name = NULL}};

static const struct mr_field get_fields[] = {
    {.name = "priceUpTo", .type = MR_DECIMAL, .scale = 2, AT_QUERY},
    {.name = "share", .type = MR_NUMBER, AT_QUERY, .fallback = "0.5"},
    {.name = "after", .type = MR_DATE, AT_QUERY},
    {.name = "tags", .type = MR_TEXT, .many = true, .items_min = 1, .items_max = 3, .min = 1, .max = 5, AT_QUERY},
    {.name = "counts", .type = MR_INT, .many = true, AT_QUERY, .fallback = "[7]"},
    {.name = "day", .type = MR_DATE, .from = MR_PATH, .required = true, .about = "x"},
    {.name = NULL}};

enum { POST = MR_OP_COUNT, GET };

static const struct mr_traits post_traits = {.summary = "x", .shape = MR_SHAPE_NONE, .fields = post_fields};
static const struct mr_traits get_traits = {.summary = "x", .shape = MR_SHAPE_NONE, .fields = get_fields};
static const struct mr_op_info ops[] = {
    {"thing_make", MR_VERB_POST, "/v1/things", MR_ACTOR_DATA_WRITER, MR_ACCESS_PUBLIC, 204, MR_BY_SQL, .traits = &post_traits},
    {"thing_get", MR_VERB_GET, "/v1/things/:day", MR_ACTOR_DATA_READER, MR_ACCESS_PUBLIC, 204, MR_BY_SQL, .traits = &get_traits}};
static const struct mr_way ways[] = {{"thing_make", MR_VERB_POST, "/v1/things", (enum mr_op)POST},
                                     {"thing_get", MR_VERB_GET, "/v1/things/:day", (enum mr_op)GET}};
static const struct mr_op_table table = {.ops = ops, .op_count = 2, .ways = ways, .way_count = 2};

static int install(void **state)
{
    struct mr_pattern *pattern = NULL;

    assert_int_equal(mr_pattern_new(&pattern, "[A-Z]+-[0-9]+"), MR_OK);
    *state = pattern;
    post_fields[0].pattern = pattern;
    mr_ops_install(&table);
    return 0;
}

static int uninstall(void **state)
{
    struct mr_pattern *pattern = *state;

    mr_ops_install(NULL);
    mr_pattern_destroy(&pattern);
    return 0;
}

static mr_status read_http(struct mr_request *out, const struct mr_http_request *http, struct mr_slice body)
{
    struct mr_request_facts facts = {.traceparent = ""};
    struct mr_route route;
    const char *detail;

    assert_int_equal(mr_route_find(&route, http->verb, http->path, NULL), MR_OK);
    return mr_request_read(out, &route, http, body, &facts, &detail);
}

static mr_status read_body(struct mr_request *out, const char *body)
{
    struct mr_http_request http = {.verb = MR_VERB_POST, .path = MR_SLICE("/v1/things")};

    return read_http(out, &http, mr_slice_of(body));
}

static mr_status read_query(struct mr_request *out, const char *query)
{
    struct mr_http_request http = {.verb = MR_VERB_GET, .path = MR_SLICE("/v1/things/2027-01-31"), .query = mr_slice_of(query)};

    return read_http(out, &http, (struct mr_slice){"", 0});
}

static const struct mr_value *value_of(const struct mr_request *request, int op, const char *name)
{
    return &request->values[mr_field_index((enum mr_op)op, name)];
}

/* What is sent for one member, or the errors as "field:code,..."; in static storage. */
static const char *outcome(const char *name, const char *json)
{
    static char text[2048];
    struct mr_request request;
    struct mr_buf body = {0};
    mr_status status;

    mr_buf_printf(&body, "{\"other\":{\"%s\":7},\"%s\" : %s }", name, name, json);
    mr_buf_char(&body, '\0');
    status = read_body(&request, body.data);
    text[0] = '\0';
    if (status == MR_OK) {
        const struct mr_value *value = value_of(&request, POST, name);

        snprintf(text, sizeof text, "%.*s%s", value->present ? (int)value->text.len : 0, value->present ? value->text.data : "",
                 value->cleared ? "cleared" : "");
    } else {
        struct mr_buf list = {0};
        json_t *errors;
        json_t *error;
        size_t i;

        mr_buf_printf(&list, "[%.*s]", (int)request.errors.len, request.errors.len > 0 ? request.errors.data : "");
        errors = json_loadb(list.data, list.len, 0, NULL);
        json_array_foreach(errors, i, error)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s:%s", i > 0 ? "," : "!", json_string_value(json_object_get(error, "field")),
                     json_string_value(json_object_get(error, "code")));
        json_decref(errors);
        mr_buf_fini(&list);
    }
    mr_request_fini(&request);
    mr_buf_fini(&body);
    return text;
}

static void test_request_types__members_keep_their_digits(void **state)
{
    static const struct {
        const char *name, *json, *outcome;
    } members[] = {
        {"price", "12345678901234567890.12", "12345678901234567890.12"},
        {"price", "0.10", "0.1"},
        {"price", "1e2", "1e2"},
        {"price", "\"1.5\"", "!price:type"},
        {"price", "1.234", "!price:scale"},
        {"price", "-0.01", "!price:range"},
        {"price", "1e400000", "!price:range"},
        {"price", "100000000000000000000", "!price:range"},
        {"price", "true", "!price:type"},
        {"price", "null", "cleared"},
        {"share", "1e400", "!share:range"},
        {"share", "\"0\"", "!share:type"},
        {"share", "null", ""},
        {"released", "\"2027-01-31\"", "2027-01-31"},
        {"released", "\"2027-02-30\"", "!released:type"},
        {"released", "20270131", "!released:type"},
        {"released", "null", "cleared"},
        {"details", "{\"a\":[1.10, 12345678901234567890.5 , \"\\u00e9\"],\"a2\":null}", "{\"a\":[1.10, 12345678901234567890.5 , \"\\u00e9\"],\"a2\":null}"},
        {"details", "0.10", "0.10"},
        {"details", "false", "false"},
        {"details", "\"text\"", "\"text\""},
        {"details", "[]", "[]"},
        {"details", "null", "cleared"},
        {"details", "[1e400000]", "!details:range"},
        {"details", "[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]", "[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]"},
        {"sku", "\"AB-12\"", "AB-12"},
        {"sku", "\"AB-12x\"", "!sku:format"},
        {"sku", "\"\"", "!sku:format"},
        {"tags", "[]", "{}"},
        {"tags", "[\"a\"]", "{\"a\"}"},
        {"tags", "[\"a,b\",\"{\\\"}\",\"\\\\\",\"NULL\"]", "{\"a,b\",\"{\\\"}\",\"\\\\\",\"NULL\"}"},
        {"tags", "null", "cleared"},
        {"tags", "\"a\"", "!tags:type"},
        {"tags", "{\"0\":\"a\"}", "!tags:type"},
        {"tags", "[\"a\",\"\",\"toolong\",7]", "!tags[1]:length,tags[2]:length,tags[3]:type"},
        {"tags", "[\"a\",null]", "!tags[1]:type"},
        {"tags", "[\"a\",[\"b\"]]", "!tags[1]:type"},
        {"tags", "[1,2,3,4,5]", "!tags:items"},
        {"prices", "[1.50,12345678901234567890, 2e0 ]", "{\"1.5\",\"12345678901234567890\",\"2e0\"}"},
        {"prices", "[1.55,\"1\",{},1.5]", "!prices[0]:scale,prices[1]:type,prices[2]:type"},
        {"times", "[\"2027-01-31\",\"2027-01-31T01:02:03.000004+01:00\"]", "{\"2027-01-31T00:00:00.000000Z\",\"2027-01-31T00:02:03.000004Z\"}"},
        {"times", "[\"soon\"]", "!times[0]:type"},
        {"ids", "[\"019108F7-52D1-7320-9BAC-F847DB4148A8\"]", "{\"019108f7-52d1-7320-9bac-f847db4148a8\"}"},
        {"ids", "[\"x\"]", "!ids[0]:type"},
        {"flags", "[false,true]", "{\"false\",\"true\"}"},
        {"flags", "[\"true\"]", "!flags[0]:type"},
        {"flags", "null", "{\"true\",\"false\"}"},
        {"counts", "[1,9]", "{\"1\",\"9\"}"},
        {"counts", "[0,1.0,99999999999999999999]", "!counts[0]:range,counts[1]:type,counts[2]:range"},
        {"counts", "[0,0,0,0,0,0,0,0,0,0,0,0]",
         "!counts[0]:range,counts[1]:range,counts[2]:range,counts[3]:range,counts[4]:range,counts[5]:range,counts[6]:range,counts[7]:range,counts[8]:range,counts[9]:range"},
        {"numbers", "[0.1,1e300,-0]", "{\"0.1\",\"1e+300\",\"-0\"}"},
        {"numbers", "[1e309]", "!numbers[0]:range"},
        {"days", "[\"2027-01-31\",\"2027-01-32\"]", "!days[1]:type"},
        {"values", "[{\"a\":\"]\"},1.10,null,[\"x\\\\\"]]", "{\"{\\\"a\\\":\\\"]\\\"}\",\"1.10\",\"null\",\"[\\\"x\\\\\\\\\\\"]\"}"},
        {"values", "[1,1e400000]", "!values[1]:range"},
        {"kind", "null", "{\"a\": 1.10}"},
        {"kind", "7", "7"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        const char *found = outcome(members[i].name, members[i].json);

        if (strcmp(found, members[i].outcome) != 0)
            fail_test("%s: %s became %s, not %s", members[i].name, members[i].json, found, members[i].outcome);
    }
}

static void test_request_types__every_problem_is_told_at_once(void **state)
{
    (void)state;
    assert_string_equal(outcome("sku", "\"x\",\"price\":1.234,\"details\":1e999,\"tags\":[\"\"],\"released\":1"),
                        "!sku:format,price:scale,released:type,details:range,tags[0]:length");
}

static void test_request_types__values_that_are_not_text(void **state)
{
    struct mr_request request;

    (void)state;
    assert_int_equal(read_body(&request, "{\"share\":0.1}"), MR_OK);
    assert_true(value_of(&request, POST, "share")->number == 0.1);
    assert_false(value_of(&request, POST, "price")->present || value_of(&request, POST, "price")->cleared);
    assert_false(value_of(&request, POST, "tags")->present);
    mr_request_fini(&request);
}

static void test_request_types__they_travel(void **state)
{
    static const char body[] = "{\"sku\":\"A-1\",\"price\":1.25,\"share\":1e-7,\"released\":\"2027-01-31\",\"details\":{\"a\":1.10},\"tags\":null,"
                               "\"prices\":[1,2.5],\"values\":[{}]}";
    struct mr_request request;
    struct mr_value values[MR_FIELDS_MAX];
    struct mr_buf payload = {0};

    (void)state;
    assert_int_equal(read_body(&request, body), MR_OK);
    mr_payload_encode(&payload, (enum mr_op)POST, request.values);
    assert_int_equal(mr_payload_decode(values, (enum mr_op)POST, (struct mr_slice){payload.data, payload.len}), MR_OK);
    assert_slice_equal(values[1].text, "1.25");
    assert_true(values[2].number == 1e-7);
    assert_slice_equal(values[3].text, "2027-01-31");
    assert_slice_equal(values[4].text, "{\"a\":1.10}");
    assert_true(values[5].cleared && !values[5].present);
    assert_slice_equal(values[6].text, "{\"1\",\"2.5\"}");
    assert_slice_equal(values[13].text, "{\"{}\"}");
    for (size_t cut = 0; cut < payload.len; cut++)
        assert_int_not_equal(mr_payload_decode(values, (enum mr_op)POST, (struct mr_slice){payload.data, cut}), MR_OK);
    mr_request_fini(&request);
    mr_buf_fini(&payload);
}

/* A value of another kind, and a number that is none, fit no field. */
static void test_request_types__a_payload_that_does_not_fit_is_refused(void **state)
{
    enum { KINDS = 5 };
    unsigned count = mr_field_count((enum mr_op)POST);
    struct mr_value values[MR_FIELDS_MAX];

    (void)state;
    for (unsigned field = 0; field < count; field++)
        for (unsigned kind = 0; kind < KINDS; kind++) {
            enum mr_type type = post_fields[field].type;
            bool is_text = post_fields[field].many || type == MR_TEXT || type == MR_DECIMAL || type == MR_DATE;
            bool fits = (kind == 0 && is_text) || (kind == 1 && type == MR_NUMBER && !post_fields[field].many) ||
                        (kind == 3 && type == MR_JSON && !post_fields[field].many);
            struct mr_buf payload = {0};

            mr_wire_array(&payload, count);
            for (unsigned i = 0; i < count; i++)
                if (i != field)
                    mr_wire_nil(&payload);
                else if (kind == 0)
                    mr_wire_text(&payload, MR_SLICE("1"));
                else if (kind == 1)
                    mr_wire_double(&payload, 1);
                else if (kind == 2)
                    mr_wire_double(&payload, 1e308 * 10);
                else if (kind == 3)
                    mr_wire_json(&payload, MR_SLICE("1"));
                else
                    mr_wire_int(&payload, 1);
            if ((mr_payload_decode(values, (enum mr_op)POST, (struct mr_slice){payload.data, payload.len}) == MR_OK) != fits)
                fail_test("%s: kind %u", post_fields[field].name, kind);
            mr_buf_fini(&payload);
        }
}

static void fingerprint_of(const char *body, char out[33])
{
    struct mr_http_request http = {.verb = MR_VERB_POST, .path = MR_SLICE("/v1/things"), .header_count = 1};
    struct mr_request request;

    http.headers[0] = (struct mr_http_header){MR_SLICE("Idempotency-Key"), MR_SLICE("k")};
    assert_int_equal(read_http(&request, &http, mr_slice_of(body)), MR_OK);
    assert_int_equal(value_of(&request, POST, "fingerprint")->text.len, 32);
    memcpy(out, value_of(&request, POST, "fingerprint")->text.data, 32);
    mr_request_fini(&request);
}

static void test_request_types__a_fingerprint_knows_what_was_asked(void **state)
{
    char one[33] = "";
    char same[33] = "";
    char other[33] = "";

    (void)state;
    fingerprint_of("{\"price\":1.50,\"tags\":[\"a\",\"b\"]}", one);
    fingerprint_of("{\"tags\":[\"a\", \"b\"], \"price\":1.5}", same);
    fingerprint_of("{\"price\":1.51,\"tags\":[\"a\",\"b\"]}", other);
    assert_string_equal(one, same);
    assert_string_not_equal(one, other);
    fingerprint_of("{\"price\":1.50,\"tags\":[\"a,b\"]}", other);
    assert_string_not_equal(one, other);
}

/* ---- Query and path ---- */

static void test_request_types__queries(void **state)
{
    struct mr_request request;

    (void)state;
    assert_int_equal(read_query(&request, "priceUpTo=10.50&after=2027-01-01&tags=a%2Cb&tags=%22&counts=1&x=y&counts=2"), MR_OK);
    assert_slice_equal(value_of(&request, GET, "priceUpTo")->text, "10.5");
    assert_slice_equal(value_of(&request, GET, "after")->text, "2027-01-01");
    assert_slice_equal(value_of(&request, GET, "tags")->text, "{\"a,b\",\"\\\"\"}");
    assert_slice_equal(value_of(&request, GET, "counts")->text, "{\"1\",\"2\"}");
    assert_slice_equal(value_of(&request, GET, "day")->text, "2027-01-31");
    assert_true(value_of(&request, GET, "share")->number == 0.5);
    mr_request_fini(&request);
    assert_int_equal(read_query(&request, ""), MR_OK);
    assert_false(value_of(&request, GET, "tags")->present);
    assert_slice_equal(value_of(&request, GET, "counts")->text, "{\"7\"}");
    mr_request_fini(&request);
}

static void test_request_types__queries_that_are_refused(void **state)
{
    static const struct {
        const char *query, *field;
    } bad[] = {{"priceUpTo=1.234", "\"priceUpTo\""}, {"priceUpTo=a", "\"priceUpTo\""}, {"priceUpTo=1&priceUpTo=2", "\"priceUpTo\""}, {"share=inf", "\"share\""},
               {"after=tomorrow", "\"after\""},      {"tags=a&tags=", "\"tags[1]\""},  {"tags=a&tags=b&tags=c&tags=d", "\"tags\""},  {"counts=1&counts=x", "\"counts[1]\""},
               {"counts=", "\"counts[0]\""}};
    struct mr_request request;
    struct mr_buf many = {0};
    unsigned told = 0;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(read_query(&request, bad[i].query), MR_INVALID);
        mr_buf_char(&request.errors, '\0');
        if (strstr(request.errors.data, bad[i].field) == NULL)
            fail_test("%s: %s", bad[i].query, request.errors.data);
        mr_request_fini(&request);
    }
    for (unsigned i = 0; i < 1000; i++)
        mr_buf_text(&many, "counts=x&");
    mr_buf_char(&many, '\0');
    assert_int_equal(read_query(&request, many.data), MR_INVALID);
    mr_buf_char(&request.errors, '\0');
    for (const char *at = strstr(request.errors.data, "counts["); at != NULL; at = strstr(at + 1, "counts["))
        told++;
    assert_int_equal(told, 10);
    mr_request_fini(&request);
    mr_buf_fini(&many);
}

static void test_request_types__a_link_repeats_what_is_many(void **state)
{
    struct mr_request request;
    struct mr_buf link = {0};

    (void)state;
    assert_int_equal(read_query(&request, "tags=a%2Cb&tags=%22%5C&after=2027-01-01"), MR_OK);
    mr_link_begin(&request, (enum mr_op)GET, &link);
    mr_buf_char(&link, '\0');
    assert_string_equal(link.data, "/v1/things/2027-01-31?after=2027-01-01&tags=a%2Cb&tags=%22%5C&counts=7&cursor=");
    mr_request_fini(&request);
    mr_buf_fini(&link);
}

/* ---- Width ---- */

static void test_request_types__as_many_fields_as_there_may_be(void **state)
{
    static char names[MR_FIELDS_MAX][8];
    static struct mr_field fields[MR_FIELDS_MAX + 1];
    static const struct mr_traits traits = {.summary = "x", .shape = MR_SHAPE_NONE, .fields = fields};
    static const struct mr_op_info wide[] = {
        {"wide_make", MR_VERB_POST, "/v1/wide", MR_ACTOR_DATA_WRITER, MR_ACCESS_PUBLIC, 204, MR_BY_SQL, .traits = &traits}};
    static const struct mr_way way[] = {{"wide_make", MR_VERB_POST, "/v1/wide", (enum mr_op)MR_OP_COUNT}};
    static const struct mr_op_table wide_table = {.ops = wide, .op_count = 1, .ways = way, .way_count = 1};
    struct mr_http_request http = {.verb = MR_VERB_POST, .path = MR_SLICE("/v1/wide")};
    struct mr_value values[MR_FIELDS_MAX];
    struct mr_request request;
    struct mr_buf body = {0};
    struct mr_buf payload = {0};

    (void)state;
    for (unsigned i = 0; i < MR_FIELDS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "f%u", i);
        fields[i] = (struct mr_field){.name = names[i], .type = i % 2 == 0 ? MR_DECIMAL : MR_INT, .scale = -1, .from = MR_BODY, .about = "x"};
        mr_buf_printf(&body, "%s\"f%u\":%u", i == 0 ? "{" : ",", i, i);
    }
    mr_buf_text(&body, "}");
    mr_ops_install(&wide_table);
    assert_int_equal(read_http(&request, &http, (struct mr_slice){body.data, body.len}), MR_OK);
    mr_payload_encode(&payload, (enum mr_op)MR_OP_COUNT, request.values);
    assert_int_equal(mr_payload_decode(values, (enum mr_op)MR_OP_COUNT, (struct mr_slice){payload.data, payload.len}), MR_OK);
    for (unsigned i = 0; i < MR_FIELDS_MAX; i++) {
        char text[8];

        snprintf(text, sizeof text, "%u", i);
        if (i % 2 == 0)
            assert_slice_equal(values[i].text, text);
        else
            assert_int_equal(values[i].integer, i);
    }
    mr_request_fini(&request);
    mr_buf_fini(&body);
    mr_buf_fini(&payload);
    mr_ops_install(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_types__members_keep_their_digits),
        cmocka_unit_test(test_request_types__every_problem_is_told_at_once),
        cmocka_unit_test(test_request_types__values_that_are_not_text),
        cmocka_unit_test(test_request_types__they_travel),
        cmocka_unit_test(test_request_types__a_payload_that_does_not_fit_is_refused),
        cmocka_unit_test(test_request_types__a_fingerprint_knows_what_was_asked),
        cmocka_unit_test(test_request_types__queries),
        cmocka_unit_test(test_request_types__queries_that_are_refused),
        cmocka_unit_test(test_request_types__a_link_repeats_what_is_many),
        cmocka_unit_test(test_request_types__as_many_fields_as_there_may_be),
    };

    return cmocka_run_group_tests(tests, install, uninstall);
}
