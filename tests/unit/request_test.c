#include "gateway/request.h"

#include <jansson.h>

#include "tests/support/test.h"

static const struct mr_principal caller = {.user_id = {0xca, 0x11}, .role = MR_ROLE_USER};
static const uint8_t new_id[16] = {0x1d};
static const char trace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/* A request of its parts, read. `type` NULL: without a Content-Type. */
static mr_status read_request(struct mr_request *out, enum mr_verb verb, const char *path, const char *query, const char *type,
                              struct mr_slice body, const char **detail)
{
    struct mr_http_request http = {.verb = verb, .path = mr_slice_of(path), .query = mr_slice_of(query)};
    struct mr_request_facts facts = {.principal = &caller, .new_id = new_id, .traceparent = trace};
    struct mr_route route;

    if (type != NULL)
        http.headers[http.header_count++] = (struct mr_http_header){MR_SLICE("Content-Type"), mr_slice_of(type)};
    assert_int_equal(mr_route_find(&route, verb, http.path, NULL), MR_OK);
    return mr_request_read(out, &route, &http, body, &facts, detail);
}

static mr_status read_task(struct mr_request *out, const char *body, const char **detail)
{
    return read_request(out, MR_VERB_POST, "/v1/tasks", "", "application/json", mr_slice_of(body), detail);
}

/* "field:code" of every error, in order, comma-separated. */
static const char *errors_of(const struct mr_request *request)
{
    static char text[1024];
    struct mr_buf json = {0};
    json_t *errors;
    json_t *error;
    size_t i;

    mr_buf_printf(&json, "[%.*s]", (int)request->errors.len, request->errors.len > 0 ? request->errors.data : "");
    errors = json_loadb(json.data, json.len, 0, NULL);
    assert_non_null(errors);
    text[0] = '\0';
    json_array_foreach(errors, i, error)
    {
        assert_true(strlen(json_string_value(json_object_get(error, "message"))) > 5);
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s:%s", i > 0 ? "," : "",
                 json_string_value(json_object_get(error, "field")), json_string_value(json_object_get(error, "code")));
    }
    json_decref(errors);
    mr_buf_fini(&json);
    return text;
}

static const struct mr_value *value(const struct mr_request *request, enum mr_op op, const char *name)
{
    return &request->values[mr_field_index(op, name)];
}

#define TASK(name) value(&request, MR_OP_task_create, name)

static void test_request__fields_come_from_body_token_and_gateway(void **state)
{
    struct mr_request request;
    const char *detail;

    (void)state;
    assert_int_equal(read_task(&request,
                               "{\"summary\":\"buy m\\u00fcsli\",\"dueAt\":\"2027-01-01\",\"isComplete\":true,\"taskPriorityCode\":\"HIGH\","
                               "\"unknown\":{\"deep\":[1]},\"userId\":\"919108f7-52d1-4320-9bac-f847db4148a8\",\"id\":7}",
                               &detail),
                     MR_OK);
    assert_slice_equal(TASK("summary")->text, "buy m\xc3\xbcsli");
    assert_int_equal(TASK("dueAt")->integer, INT64_C(1798761600000000));
    assert_true(TASK("isComplete")->boolean);
    assert_memory_equal(TASK("userId")->uuid, caller.user_id, 16); /* never the body's */
    assert_memory_equal(TASK("id")->uuid, new_id, 16);
    assert_false(TASK("description")->present);
    mr_request_fini(&request);
}

static void test_request__fallbacks_and_nulls(void **state)
{
    struct mr_request request;
    const char *detail;

    (void)state;
    assert_int_equal(read_task(&request, "{\"summary\":\"s\",\"taskPriorityCode\":\"LOW\",\"isComplete\":null,\"dueAt\":null,\"description\":null}", &detail), MR_OK);
    assert_true(TASK("isComplete")->present);
    assert_false(TASK("isComplete")->boolean);
    assert_false(TASK("dueAt")->present);
    assert_false(TASK("dueAt")->cleared);
    mr_request_fini(&request);
    assert_int_equal(read_task(&request, "{\"summary\":null,\"taskPriorityCode\":\"LOW\"}", &detail), MR_INVALID);
    assert_string_equal(errors_of(&request), "summary:required");
    mr_request_fini(&request);
}

static void test_request__every_problem_is_told_at_once(void **state)
{
    struct mr_request request;
    const char *detail;

    (void)state;
    assert_int_equal(read_task(&request, "{\"description\":5,\"dueAt\":\"soon\",\"isComplete\":\"true\",\"taskPriorityCode\":\"low\"}", &detail), MR_INVALID);
    assert_string_equal(errors_of(&request), "summary:required,description:type,dueAt:type,isComplete:type,taskPriorityCode:format");
    mr_request_fini(&request);
    assert_int_equal(read_request(&request, MR_VERB_POST, "/v1/auth/register", "", NULL,
                                  MR_SLICE("{\"firstName\":\"\",\"lastName\":7,\"email\":\"nobody\",\"username\":\"ab\",\"password\":\"short\"}"), &detail),
                     MR_INVALID);
    assert_string_equal(errors_of(&request), "firstName:length,lastName:type,email:email,username:length,password:length");
    mr_request_fini(&request);
}

static void test_request__bodies_that_are_no_json_object(void **state)
{
    static const char *const bad[] = {"", " ", "{", "{\"a\":1}x", "[]", "\"x\"", "null", "1", "{\"a\":1,\"a\":2}", "{\"a\":NaN}", "{'a':1}",
                                      "{\"a\":\"\xff\"}", "{\"summary\":\"\\u0000\"}", "{\"a\":1,}", "\xef\xbb\xbf{}", "{\"a\":\"\\ud800\"}"};
    struct mr_request request;
    const char *detail;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        detail = NULL;
        if (read_task(&request, bad[i], &detail) != MR_INVALID)
            fail_test("%s was taken", bad[i]);
        assert_non_null(detail);
        mr_request_fini(&request);
    }
}

static void test_request__nesting_ends_at_sixteen(void **state)
{
    (void)state;
    for (unsigned depth = 15; depth <= 17; depth++) {
        struct mr_request request;
        struct mr_buf body = {0};
        const char *detail;
        mr_status status;

        mr_buf_text(&body, "{\"summary\":\"s\",\"taskPriorityCode\":\"LOW\",\"x\":");
        for (unsigned i = 1; i < depth; i++)
            mr_buf_char(&body, '[');
        for (unsigned i = 1; i < depth; i++)
            mr_buf_char(&body, ']');
        mr_buf_char(&body, '}');
        mr_buf_char(&body, '\0');
        status = read_task(&request, body.data, &detail);
        assert_int_equal(status, depth <= 16 ? MR_OK : MR_INVALID);
        mr_request_fini(&request);
        mr_buf_fini(&body);
    }
}

static void test_request__media_types(void **state)
{
    static const struct {
        const char *type;
        mr_status status;
    } types[] = {{NULL, MR_OK}, {"application/json", MR_OK}, {"Application/JSON; charset=utf-8", MR_OK}, {"text/plain", MR_MEDIA_TYPE},
                 {"application/jsonx", MR_MEDIA_TYPE}, {"application/x-www-form-urlencoded", MR_MEDIA_TYPE}, {"", MR_MEDIA_TYPE}};

    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct mr_request request;
        const char *detail;

        assert_int_equal(read_request(&request, MR_VERB_POST, "/v1/tasks", "", types[i].type,
                                      MR_SLICE("{\"summary\":\"s\",\"taskPriorityCode\":\"LOW\"}"), &detail),
                         types[i].status);
        mr_request_fini(&request);
    }
}

static mr_status read_query(struct mr_request *out, const char *query)
{
    const char *detail;

    return read_request(out, MR_VERB_GET, "/v1/tasks", query, NULL, (struct mr_slice){"", 0}, &detail);
}

#define LIST(name) value(&request, MR_OP_task_list, name)

static void test_request__query_parameters(void **state)
{
    struct mr_request request;

    (void)state;
    assert_int_equal(read_query(&request, "page=3&pageSize=%32%30&unknown=%zz&flag&=x"), MR_OK);
    assert_int_equal(LIST("page")->integer, 3);
    assert_int_equal(LIST("pageSize")->integer, 20);
    mr_request_fini(&request);
    assert_int_equal(read_query(&request, ""), MR_OK);
    assert_false(LIST("page")->present);
    assert_int_equal(LIST("pageSize")->integer, 10);
    mr_request_fini(&request);
    assert_int_equal(read_query(&request, "page=0&pageSize=101&limit=x&cursor=abc"), MR_INVALID);
    assert_string_equal(errors_of(&request), "limit:type,cursor:length,page:range,pageSize:range");
    mr_request_fini(&request);
    assert_int_equal(read_query(&request, "page=1&page=2"), MR_INVALID);
    assert_string_equal(errors_of(&request), "page:duplicate");
    mr_request_fini(&request);
    assert_int_equal(read_query(&request, "page="), MR_INVALID);
    assert_string_equal(errors_of(&request), "page:type");
    mr_request_fini(&request);
    assert_int_equal(read_query(&request, "page=%"), MR_INVALID);
    mr_request_fini(&request);
    assert_int_equal(read_query(&request, "page=%00"), MR_INVALID);
    mr_request_fini(&request);
}

static void test_request__path_parameters(void **state)
{
    struct mr_request request;
    const char *detail;

    (void)state;
    assert_int_equal(read_request(&request, MR_VERB_GET, "/v1/tasks/919108F7-52d1-4320-9bac-f847db4148a8", "", NULL, (struct mr_slice){"", 0}, &detail), MR_OK);
    assert_int_equal(value(&request, MR_OP_task_get, "taskId")->uuid[0], 0x91);
    mr_request_fini(&request);
    assert_int_equal(read_request(&request, MR_VERB_GET, "/v1/tasks/919108f7%2d52d1-4320-9bac-f847db4148a8", "", NULL, (struct mr_slice){"", 0}, &detail), MR_OK);
    mr_request_fini(&request);
    assert_int_equal(read_request(&request, MR_VERB_GET, "/v1/tasks/nonsense", "", NULL, (struct mr_slice){"", 0}, &detail), MR_INVALID);
    assert_string_equal(errors_of(&request), "taskId:type");
    mr_request_fini(&request);
}

static void test_request__null_clears_only_what_is_clearable(void **state)
{
    static const char path[] = "/v1/tasks/919108f7-52d1-4320-9bac-f847db4148a8";
    struct mr_request request;
    const char *detail;

    (void)state;
    assert_int_equal(read_request(&request, MR_VERB_PUT, path, "", NULL, MR_SLICE("{\"description\":null,\"summary\":null}"), &detail), MR_OK);
    assert_true(value(&request, MR_OP_task_update, "description")->cleared);
    assert_false(value(&request, MR_OP_task_update, "description")->present);
    assert_false(value(&request, MR_OP_task_update, "summary")->cleared);
    assert_false(value(&request, MR_OP_task_update, "dueAt")->cleared);
    mr_request_fini(&request);
}

static void test_request__an_id_in_the_body_has_to_be_the_one_in_the_path(void **state)
{
    static const char path[] = "/v1/tasks/919108f7-52d1-4320-9bac-f847db4148a8";
    struct mr_request request;
    const char *detail;

    (void)state;
    assert_int_equal(read_request(&request, MR_VERB_PUT, path, "", NULL, MR_SLICE("{\"id\":\"919108F7-52d1-4320-9bac-f847db4148a8\"}"), &detail), MR_OK);
    mr_request_fini(&request);
    assert_int_equal(read_request(&request, MR_VERB_PUT, path, "", NULL, MR_SLICE("{\"id\":\"919108f7-52d1-4320-9bac-f847db4148a9\"}"), &detail), MR_INVALID);
    assert_string_equal(errors_of(&request), "id:mismatch");
    mr_request_fini(&request);
}

static void test_request__numbers_that_are_no_integers(void **state)
{
    struct mr_request request;
    const char *detail;

    (void)state;
    assert_int_equal(read_task(&request, "{\"summary\":1e400,\"taskPriorityCode\":\"LOW\"}", &detail), MR_INVALID);
    mr_request_fini(&request);
    assert_int_equal(read_task(&request, "{\"summary\":99999999999999999999,\"taskPriorityCode\":\"LOW\"}", &detail), MR_INVALID);
    mr_request_fini(&request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request__fields_come_from_body_token_and_gateway),
        cmocka_unit_test(test_request__fallbacks_and_nulls),
        cmocka_unit_test(test_request__every_problem_is_told_at_once),
        cmocka_unit_test(test_request__bodies_that_are_no_json_object),
        cmocka_unit_test(test_request__nesting_ends_at_sixteen),
        cmocka_unit_test(test_request__media_types),
        cmocka_unit_test(test_request__query_parameters),
        cmocka_unit_test(test_request__path_parameters),
        cmocka_unit_test(test_request__null_clears_only_what_is_clearable),
        cmocka_unit_test(test_request__an_id_in_the_body_has_to_be_the_one_in_the_path),
        cmocka_unit_test(test_request__numbers_that_are_no_integers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
