#include "gateway/route.h"

#include "tests/support/tasks.h"
#include "tests/support/test.h"

static mr_status find(struct mr_route *out, enum mr_verb verb, const char *path, struct mr_buf *allow)
{
    return mr_route_find(out, verb, mr_slice_of(path), allow);
}

static void test_route__every_row_of_the_map_is_found(void **state)
{
    (void)state;
    for (unsigned op = 0; op < mr_op_count(); op++) {
        const struct mr_op_info *info = mr_op_info((enum mr_op)op);
        struct mr_route route;

        if (info->path == NULL)
            continue;
        assert_int_equal(find(&route, info->verb, info->path, NULL), MR_OK);
        assert_int_equal(route.op, op);
    }
}

static void test_route__parameters_come_as_sent(void **state)
{
    struct mr_route route;

    (void)state;
    assert_int_equal(find(&route, MR_VERB_GET, "/v1/tasks/a%2Fb", NULL), MR_OK);
    assert_int_equal(route.op, op_named("task_get"));
    assert_int_equal(route.param_count, 1);
    assert_slice_equal(route.params[0].name, "taskId");
    assert_slice_equal(route.params[0].value, "a%2Fb");
}

static void test_route__an_alias_leads_to_the_same_row(void **state)
{
    struct mr_route route;

    (void)state;
    assert_int_equal(find(&route, MR_VERB_GET, "/health", NULL), MR_OK);
    assert_int_equal(route.op, MR_OP_health);
}

static void test_route__other_paths_are_not_found(void **state)
{
    static const char *const paths[] = {"", "/", "v1/tasks", "/v1", "/v1/tasks/", "/v1/tasks/1/2", "//v1/tasks", "/v1//tasks", "/V1/tasks",
                                        "/v1/tasks?x", "/v1/taskss", "/v1/task", "/health/", "/v1/users/profile/", "*"};
    struct mr_buf allow = {0};
    struct mr_route route;

    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        if (find(&route, MR_VERB_GET, paths[i], &allow) != MR_NOT_FOUND)
            fail_test("%s was found", paths[i]);
        assert_int_equal(allow.len, 0);
    }
}

static void test_route__other_verbs_are_told_what_is_allowed(void **state)
{
    struct mr_buf allow = {0};
    struct mr_route route;

    (void)state;
    assert_int_equal(find(&route, MR_VERB_DELETE, "/v1/tasks", &allow), MR_METHOD);
    assert_non_null(memmem(allow.data, allow.len, "OPTIONS", 7));
    assert_non_null(memmem(allow.data, allow.len, "GET, HEAD", 9));
    assert_non_null(memmem(allow.data, allow.len, "POST", 4));
    assert_null(memmem(allow.data, allow.len, "PUT", 3));
    mr_buf_clear(&allow, SIZE_MAX);
    assert_int_equal(find(&route, MR_VERB_POST, "/v1/tasks/1", &allow), MR_METHOD);
    assert_non_null(memmem(allow.data, allow.len, "GET, HEAD", 9));
    assert_non_null(memmem(allow.data, allow.len, "DELETE", 6));
    assert_null(memmem(allow.data, allow.len, "POST", 4));
    mr_buf_clear(&allow, SIZE_MAX);
    assert_int_equal(find(&route, MR_VERB_NONE, "/health", &allow), MR_METHOD);
    assert_slice_equal(buf_slice(&allow), "OPTIONS, GET, HEAD");
    mr_buf_fini(&allow);
}

/* A row without a route must not be reached by a verb the map does not know. */
static void test_route__internal_rows_have_no_way_in(void **state)
{
    struct mr_route route;

    (void)state;
    assert_int_equal(find(&route, MR_VERB_NONE, "", NULL), MR_NOT_FOUND);
    assert_int_equal(find(&route, MR_VERB_NONE, "db_ping", NULL), MR_NOT_FOUND);
}

static void test_route__a_resource_is_all_that_has_its_path(void **state)
{
    (void)state;
    assert_true(mr_route_takes(op_named("task_create"), MR_VERB_GET));
    assert_true(mr_route_takes(op_named("task_update"), MR_VERB_GET));
    assert_true(mr_route_takes(op_named("task_update"), MR_VERB_PATCH)); /* an alias */
    assert_true(mr_route_takes(op_named("task_delete"), MR_VERB_PUT));
    assert_true(mr_route_takes(MR_OP_health, MR_VERB_GET));
    assert_false(mr_route_takes(op_named("task_create"), MR_VERB_PATCH));
    assert_false(mr_route_takes(op_named("task_import"), MR_VERB_GET)); /* although GET of a task has a path like it */
    assert_false(mr_route_takes(MR_OP_sign_in, MR_VERB_GET));
    assert_false(mr_route_takes(MR_OP_run_due, MR_VERB_NONE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_route__every_row_of_the_map_is_found),
        cmocka_unit_test(test_route__parameters_come_as_sent),
        cmocka_unit_test(test_route__an_alias_leads_to_the_same_row),
        cmocka_unit_test(test_route__other_paths_are_not_found),
        cmocka_unit_test(test_route__other_verbs_are_told_what_is_allowed),
        cmocka_unit_test(test_route__internal_rows_have_no_way_in),
        cmocka_unit_test(test_route__a_resource_is_all_that_has_its_path),
    };

    return cmocka_run_group_tests(tests, tasks_serve, tasks_end);
}
