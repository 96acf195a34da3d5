#include "gateway/link.h"

#include <jansson.h>

#include "tests/support/tasks.h"
#include "tests/support/test.h"

static const struct mr_principal caller = {.user_id = {0xca, 0x11}, .role = MR_ROLE_USER};
static const uint8_t new_id[16] = {0x1d};
static const char a_task[] = "/v1/tasks/919108f7-52d1-4320-9bac-f847db4148a8";
static const char trace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/* Name and value of up to four headers, ended by a NULL name. */
typedef const char *const headers[4][2];

/* A request of its parts, read under its conditions. */
static mr_status read_with_headers(struct mr_request *out, enum mr_verb verb, const char *path, const char *query, headers given,
                                   struct mr_slice body, const char **detail)
{
    struct mr_http_request http = {.verb = verb, .path = mr_slice_of(path), .query = mr_slice_of(query)};
    struct mr_preconditions conditions = {.if_unmodified_since = false};
    struct mr_request_facts facts = {.principal = &caller, .conditions = &conditions, .new_id = new_id, .traceparent = trace};
    struct mr_route route;
    mr_status status;

    for (unsigned i = 0; i < 4 && given[i][0] != NULL; i++)
        http.headers[http.header_count++] = (struct mr_http_header){mr_slice_of(given[i][0]), mr_slice_of(given[i][1])};
    assert_int_equal(mr_route_find(&route, verb, http.path, NULL), MR_OK);
    assert_int_equal(mr_preconditions_read(&conditions, &http), MR_OK);
    status = mr_request_read(out, &route, &http, body, &facts, detail);
    mr_preconditions_fini(&conditions);
    return status;
}

/* `type` NULL: without a Content-Type. */
static mr_status read_request(struct mr_request *out, enum mr_verb verb, const char *path, const char *query, const char *type,
                              struct mr_slice body, const char **detail)
{
    return read_with_headers(out, verb, path, query, (headers){{type != NULL ? "Content-Type" : NULL, type}}, body, detail);
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

#define TASK(name) value(&request, op_named("task_create"), name)

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
    assert_memory_equal(value_from(request.values, op_named("task_create"), MR_TOKEN_USER)->uuid, caller.user_id, 16); /* never the body's */
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
    static const char *const bad[] = {"", " ", "{", "{\"a\":1}x", "[]", "\"x\"", "null", "1", "{\"a\":NaN}", "{'a':1}",
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

static void test_request__a_key_that_stands_twice_is_named(void **state)
{
    struct mr_request request;
    const char *detail;

    (void)state;
    assert_int_equal(read_task(&request, "{\"summary\":\"a\",\"x\":[{\"y\":1,\"y\":2}]}", &detail), MR_INVALID);
    assert_null(detail);
    assert_string_equal(errors_of(&request), "x[0].y:duplicate");
    mr_request_fini(&request);
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
        mr_status post, patch;
    } types[] = {{NULL, MR_OK, MR_OK},
                 {"application/json", MR_OK, MR_OK},
                 {"Application/JSON; charset=utf-8", MR_OK, MR_OK},
                 {"application/json;charset=\"UTF-8\"", MR_OK, MR_OK},
                 {"application/merge-patch+json", MR_MEDIA_TYPE, MR_OK},
                 {"application/Merge-Patch+json; charset=utf-8", MR_MEDIA_TYPE, MR_OK},
                 {"application/json-patch+json", MR_MEDIA_TYPE, MR_MEDIA_TYPE},
                 {"application/problem+json", MR_MEDIA_TYPE, MR_MEDIA_TYPE},
                 {"application/json; charset=iso-8859-1", MR_MEDIA_TYPE, MR_MEDIA_TYPE},
                 {"application/json; charset", MR_MEDIA_TYPE, MR_MEDIA_TYPE},
                 {"application/json charset=utf-8", MR_MEDIA_TYPE, MR_MEDIA_TYPE},
                 {"text/plain", MR_MEDIA_TYPE, MR_MEDIA_TYPE},
                 {"application/jsonx", MR_MEDIA_TYPE, MR_MEDIA_TYPE},
                 {"application/x-www-form-urlencoded", MR_MEDIA_TYPE, MR_MEDIA_TYPE},
                 {"", MR_MEDIA_TYPE, MR_MEDIA_TYPE}};

    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        static const char body[] = "{\"summary\":\"s\",\"taskPriorityCode\":\"LOW\"}";
        struct mr_request request;
        const char *detail;

        assert_int_equal(read_request(&request, MR_VERB_POST, "/v1/tasks", "", types[i].type, mr_slice_of(body), &detail), types[i].post);
        mr_request_fini(&request);
        assert_int_equal(read_request(&request, MR_VERB_PATCH, a_task, "", types[i].type, mr_slice_of(body), &detail), types[i].patch);
        mr_request_fini(&request);
        assert_int_equal(read_request(&request, MR_VERB_PUT, a_task, "", types[i].type, mr_slice_of(body), &detail), types[i].post);
        mr_request_fini(&request);
    }
}

static void test_request__a_body_with_a_coding_is_not_read(void **state)
{
    struct mr_request request;
    const char *detail;

    (void)state;
    assert_int_equal(read_with_headers(&request, MR_VERB_PATCH, a_task, "", (headers){{"Content-Encoding", "gzip"}}, MR_SLICE("{}"), &detail),
                     MR_CODING);
    mr_request_fini(&request);
    assert_int_equal(read_with_headers(&request, MR_VERB_PATCH, a_task, "", (headers){{"Content-Encoding", "identity"}}, MR_SLICE("{}"), &detail),
                     MR_OK);
    mr_request_fini(&request);
}

/* RFC 7396: null removes, and what cannot be removed is not quietly left as it is. */
static void test_request__a_merge_patch_removes_only_what_can_be(void **state)
{
    static const char body[] = "{\"summary\":null,\"description\":null,\"isComplete\":null}";
    struct mr_request request;
    const char *detail;

    (void)state;
    assert_int_equal(read_request(&request, MR_VERB_PATCH, a_task, "", "application/merge-patch+json", mr_slice_of(body), &detail), MR_INVALID);
    assert_string_equal(errors_of(&request), "summary:null,isComplete:null");
    assert_true(value(&request, op_named("task_update"), "description")->cleared);
    mr_request_fini(&request);
    assert_int_equal(read_request(&request, MR_VERB_PATCH, a_task, "", "application/json", mr_slice_of(body), &detail), MR_OK);
    mr_request_fini(&request);
}

static mr_status read_query(struct mr_request *out, const char *query)
{
    const char *detail;

    return read_request(out, MR_VERB_GET, "/v1/tasks", query, NULL, (struct mr_slice){"", 0}, &detail);
}

/* Behind a row whose value was 7 (proto/cursor.h). */
#define A_CURSOR "0123456789abcdef0123456789abcdef137"

#define LIST(name) value(&request, op_named("task_list"), name)

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
    assert_string_equal(errors_of(&request), "limit:type,cursor:format,page:range,pageSize:range");
    mr_request_fini(&request);
    assert_int_equal(read_query(&request, "page=1&page=2"), MR_INVALID);
    assert_string_equal(errors_of(&request), "page:duplicate");
    mr_request_fini(&request);
    assert_int_equal(read_query(&request, "page=1&%70age=2"), MR_INVALID);
    assert_string_equal(errors_of(&request), "page:duplicate");
    mr_request_fini(&request);
    assert_int_equal(read_query(&request, "%70%61ge=x&pag=0&pages=0&page%00=0&page%=0"), MR_INVALID);
    assert_string_equal(errors_of(&request), "page:type");
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
    assert_int_equal(value(&request, op_named("task_get"), "taskId")->uuid[0], 0x91);
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
    assert_true(value(&request, op_named("task_update"), "description")->cleared);
    assert_false(value(&request, op_named("task_update"), "description")->present);
    assert_false(value(&request, op_named("task_update"), "summary")->cleared);
    assert_false(value(&request, op_named("task_update"), "dueAt")->cleared);
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

static void test_request__a_cursor_belongs_to_its_order(void **state)
{
    static const char digits[] = A_CURSOR;
    static const struct {
        const char *before, *error; /* NULL: taken */
    } rows[] = {
        {"sort=dueAt&cursor=dueAt.", NULL},
        {"cursor=-createdAt.", NULL},
        {"cursor=%2DcreatedAt%2E", NULL},
        {"sort=dueAt&cursor=-dueAt.", "cursor:mismatch"},
        {"sort=dueAt&cursor=dueA.", "cursor:mismatch"},
        {"sort=dueAt&cursor=dueAtt.", "cursor:mismatch"},
        {"sort=dueAt&cursor=.", "cursor:mismatch"},
        {"cursor=dueAt.", "cursor:mismatch"},
        {"cursor=dueAt.-createdAt.", "cursor:format"},
        {"cursor=", "cursor:format"}, /* as the releases before wrote it */
        {"sort=none&cursor=none.", "sort:choice"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mr_request request;
        char query[128];

        snprintf(query, sizeof query, "%s%s", rows[i].before, digits);
        if (read_query(&request, query) != (rows[i].error != NULL ? MR_INVALID : MR_OK))
            fail_test("%s", query);
        if (rows[i].error != NULL)
            assert_string_equal(errors_of(&request), rows[i].error);
        else
            assert_slice_equal(LIST("cursor")->text, digits);
        mr_request_fini(&request);
    }
}

static const char *link_of(enum mr_verb verb, const char *path, const char *query)
{
    static char text[2048];
    struct mr_buf link = {0};
    struct mr_request request;
    const char *detail;
    struct mr_route route;

    assert_int_equal(mr_route_find(&route, verb, mr_slice_of(path), NULL), MR_OK);
    assert_int_equal(read_request(&request, verb, path, query, NULL, (struct mr_slice){"", 0}, &detail), MR_OK);
    mr_link_begin(&request, route.op, &link);
    snprintf(text, sizeof text, "%.*s", (int)link.len, link.data);
    mr_buf_fini(&link);
    mr_request_fini(&request);
    return text;
}

/* RFC 8288, 3 and RFC 3986, 2: only what is known, and nothing that could end the target. */
static void test_request__a_link_is_made_of_what_was_read(void **state)
{
    (void)state;
    assert_string_equal(link_of(MR_VERB_GET, "/v1/tasks", ""), "/v1/tasks?cursor=-createdAt.");
    assert_string_equal(link_of(MR_VERB_GET, "/v1/tasks", "sort=dueAt&limit=%35&x=y&cursor=dueAt." A_CURSOR),
                        "/v1/tasks?limit=5&sort=dueAt&cursor=dueAt.");
    assert_string_equal(link_of(MR_VERB_GET, "/v1/tasks", "x=>;rel=next,<evil&q=a>b%3E%26c+d%20\"&limit=1"),
                        "/v1/tasks?limit=1&q=a%3Eb%3E%26c%20d%20%22&cursor=-createdAt.");
    assert_string_equal(link_of(MR_VERB_GET, "/v1/tasks", "q=%C3%A4-._~+!*'()"), "/v1/tasks?q=%C3%A4-._~%20%21%2A%27%28%29&cursor=-createdAt.");
    assert_string_equal(link_of(MR_VERB_GET, "/v1/jobs/clean%75p>/runs", "limit=5"), "/v1/jobs/cleanup%3E/runs?limit=5&cursor=");
}

static void test_request__idempotency_keys(void **state)
{
    static const struct {
        const char *text, *key; /* NULL: refused, naming the header */
    } rows[] = {
        {"one", "one"},
        {"\"one\"", "one"},
        {"a b;c=d", "a b;c=d"},
        {"a\\b", "a\\b"},
        {"\"a\\\\b\"", "a\\b"},
        {"\"a\\\"b, c\"", "a\"b, c"},
        {"", NULL},
        {"\"\"", NULL},
        {"\"", NULL},
        {"\"one", NULL},
        {"one\"", NULL},
        {"\"one\\\"", NULL},
        {"\"o\\ne\"", NULL},
        {"\"one\"two", NULL},
        {"\"one\";a=1", NULL},
        {"\"one\", \"two\"", NULL},
        {"one, two", NULL},
        {"t\xc3\xa4sk", NULL},
        {"\"t\xc3\xa4sk\"", NULL},
        {"a\tb", NULL},
        {"\"a\tb\"", NULL},
        {"a\x7f", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mr_request request;
        const char *detail;
        mr_status status = read_with_headers(&request, MR_VERB_POST, "/v1/tasks", "", (headers){{"Idempotency-Key", rows[i].text}},
                                             MR_SLICE("{\"summary\":\"s\",\"taskPriorityCode\":\"LOW\"}"), &detail);

        if (status != (rows[i].key != NULL ? MR_OK : MR_INVALID))
            fail_test("%s: %s", rows[i].text, mr_status_name(status));
        if (rows[i].key != NULL)
            assert_slice_equal(TASK("Idempotency-Key")->text, rows[i].key);
        else
            assert_true(strncmp(errors_of(&request), "Idempotency-Key:", 16) == 0);
        mr_request_fini(&request);
    }
}

static void test_request__two_idempotency_keys_are_none(void **state)
{
    struct mr_request request;
    const char *detail;

    (void)state;
    assert_int_equal(read_with_headers(&request, MR_VERB_POST, "/v1/tasks", "", (headers){{"Idempotency-Key", "one"}, {"idempotency-key", "one"}},
                                       MR_SLICE("{\"summary\":\"s\",\"taskPriorityCode\":\"LOW\"}"), &detail),
                     MR_INVALID);
    assert_string_equal(errors_of(&request), "Idempotency-Key:duplicate");
    mr_request_fini(&request);
}

/* What a statement is asked, "matches/unless" with - for nothing, or the status when none is. */
static const char *guards_of(enum mr_verb verb, const char *path, headers given)
{
    static char text[256];
    struct mr_request request;
    const char *detail;
    struct mr_route route;
    mr_status status;
    int match;
    int none;

    assert_int_equal(mr_route_find(&route, verb, mr_slice_of(path), NULL), MR_OK);
    status = read_with_headers(&request, verb, path, "", given, MR_SLICE("{\"summary\":\"s\",\"taskPriorityCode\":\"LOW\"}"), &detail);
    match = mr_field_index(route.op, "If-Match");
    none = mr_field_index(route.op, "If-None-Match");
    if (status == MR_INVALID)
        snprintf(text, sizeof text, "%s", errors_of(&request));
    else if (status != MR_OK || match < 0)
        snprintf(text, sizeof text, "%s", mr_status_name(status));
    else
        snprintf(text, sizeof text, "%.*s/%.*s", request.values[match].present ? (int)request.values[match].text.len : 1,
                 request.values[match].present ? request.values[match].text.data : "-",
                 request.values[none].present ? (int)request.values[none].text.len : 1,
                 request.values[none].present ? request.values[none].text.data : "-");
    mr_request_fini(&request);
    return text;
}

#define GUARDS(verb, path, wanted, ...) assert_string_equal(guards_of(MR_VERB_##verb, path, (headers){__VA_ARGS__}), wanted)

static void test_request__guards_of_what_has_a_version(void **state)
{
    (void)state;
    GUARDS(PUT, a_task, "-/-", {NULL});
    GUARDS(PUT, a_task, "3,4/-", {"If-Match", "\"3\", W/\"9\""}, {"If-Match", "\"x\", \"4\""});
    GUARDS(PATCH, a_task, "/-", {"If-Match", "W/\"3\""});
    GUARDS(DELETE, a_task, "-/-", {"If-Match", "*"});
    GUARDS(DELETE, a_task, "-/*", {"If-None-Match", "*"});
    GUARDS(DELETE, a_task, "1/3,9", {"If-None-Match", "\"3\", W/\"9\""}, {"If-Match", "\"1\""});
    GUARDS(PUT, a_task, "If-Match:format", {"If-Match", "3"});
    GUARDS(PUT, a_task, "If-Match:format,If-None-Match:format", {"If-Match", "3"}, {"If-None-Match", "\"3"});
    GUARDS(PUT, a_task, "PRECONDITION", {"If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"});
    GUARDS(PUT, a_task, "3/-", {"If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"}, {"If-Match", "\"3\""});
}

/* A write that knows no version is never let through as if its guard was not there. */
static void test_request__guards_of_what_has_no_version(void **state)
{
    (void)state;
    GUARDS(POST, "/v1/tasks", "OK", {"If-Match", "*"}); /* the list is there, */
    GUARDS(POST, "/v1/tasks", "PRECONDITION", {"If-None-Match", "*"});
    GUARDS(POST, "/v1/tasks", "PRECONDITION", {"If-Match", "\"1\""}); /* and has no tag */
    GUARDS(POST, "/v1/tasks", "OK", {"If-None-Match", "\"1\""});
    GUARDS(POST, "/v1/tasks", "PRECONDITION", {"If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"});
    GUARDS(POST, "/v1/tasks", "If-None-Match:format", {"If-None-Match", "1"});
    GUARDS(DELETE, "/v1/users/profile", "PRECONDITION", {"If-Match", "\"1\""});
    GUARDS(DELETE, "/v1/users/profile", "PRECONDITION", {"If-None-Match", "*"});
    GUARDS(POST, "/v1/auth/signout", "PRECONDITION", {"If-Match", "*"}); /* nothing can be read there */
    GUARDS(POST, "/v1/auth/signout", "OK", {"If-None-Match", "*"});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request__fields_come_from_body_token_and_gateway),
        cmocka_unit_test(test_request__fallbacks_and_nulls),
        cmocka_unit_test(test_request__every_problem_is_told_at_once),
        cmocka_unit_test(test_request__bodies_that_are_no_json_object),
        cmocka_unit_test(test_request__a_key_that_stands_twice_is_named),
        cmocka_unit_test(test_request__nesting_ends_at_sixteen),
        cmocka_unit_test(test_request__media_types),
        cmocka_unit_test(test_request__a_body_with_a_coding_is_not_read),
        cmocka_unit_test(test_request__a_merge_patch_removes_only_what_can_be),
        cmocka_unit_test(test_request__query_parameters),
        cmocka_unit_test(test_request__path_parameters),
        cmocka_unit_test(test_request__null_clears_only_what_is_clearable),
        cmocka_unit_test(test_request__an_id_in_the_body_has_to_be_the_one_in_the_path),
        cmocka_unit_test(test_request__numbers_that_are_no_integers),
        cmocka_unit_test(test_request__a_cursor_belongs_to_its_order),
        cmocka_unit_test(test_request__a_link_is_made_of_what_was_read),
        cmocka_unit_test(test_request__idempotency_keys),
        cmocka_unit_test(test_request__two_idempotency_keys_are_none),
        cmocka_unit_test(test_request__guards_of_what_has_a_version),
        cmocka_unit_test(test_request__guards_of_what_has_no_version),
    };

    return cmocka_run_group_tests(tests, tasks_serve, tasks_end);
}
