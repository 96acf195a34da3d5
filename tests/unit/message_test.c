/*
 * Operations that an application installs beside the map's.
 */
#include "gateway/route.h"

#include <stdlib.h>

#include "proto/message.h"
#include "runtime/actor.h"
#include "runtime/metrics.h"
#include "sql/sql.h"
#include "tests/support/test.h"

static const struct mr_traits traits = {.summary = "a product", .shape = MR_SHAPE_ONE,
                                        .fields = MR_FIELDS({"id", MR_UUID, MR_PATH, true, .about = "its id"})};
static const struct mr_op_info ops[] = {
    {"product_get", MR_VERB_GET, "/v1/products/:id", MR_ACTOR_DATA_READER, MR_ACCESS_PUBLIC, 200, MR_BY_SQL, .traits = &traits}};
static const struct mr_way ways[] = {{"product_get", MR_VERB_GET, "/v1/products/:id", (enum mr_op)MR_OP_COUNT}};
static const struct mr_group groups[] = {{"products", "Things that are for sale"}};
static const struct mr_op_table shop = {ops, 1, ways, 1, groups, 1, "Shop", "1.0", NULL, NULL};

static int remove_shop(void **state)
{
    (void)state;
    mr_ops_install(NULL);
    mr_statements_install(NULL, 0);
    mr_metrics_setup("AS", "all", false);
    return 0;
}

static mr_status find(const char *path, struct mr_route *out)
{
    return mr_route_find(out, MR_VERB_GET, mr_slice_of(path), NULL);
}

static void test_message__an_application_s_operations_stand_behind_the_engine_s(void **state)
{
    struct mr_route route;

    (void)state;
    assert_int_equal(mr_op_count(), MR_OP_COUNT);
    assert_int_equal(find("/v1/products/1", &route), MR_NOT_FOUND);
    mr_ops_install(&shop);
    assert_int_equal(mr_op_count(), MR_OP_COUNT + 1);
    assert_int_equal(find("/v1/users/profile", &route), MR_OK);
    assert_int_equal(route.op, MR_OP_profile_get);
    assert_int_equal(find("/v1/products/1", &route), MR_OK);
    assert_int_equal(route.op, MR_OP_COUNT);
    assert_string_equal(mr_op_info(route.op)->name, "product_get");
    assert_int_equal(mr_field_count(route.op), 1);
    mr_ops_install(NULL);
    assert_int_equal(find("/v1/users/profile", &route), MR_OK);
    assert_int_equal(find("/v1/products/1", &route), MR_NOT_FOUND);
}

/* The first of two ways to a path is not the one that was told first, but the one that is written out. */
static void test_message__what_is_written_out_comes_before_a_parameter(void **state)
{
    static const struct mr_op_info both[] = {
        {"product_get", MR_VERB_GET, "/v1/products/:id", MR_ACTOR_DATA_READER, MR_ACCESS_PUBLIC, 200, MR_BY_SQL, .traits = &traits},
        {"product_new", MR_VERB_GET, "/v1/products/new", MR_ACTOR_DATA_READER, MR_ACCESS_PUBLIC, 200, MR_BY_SQL, .traits = &traits},
        {"any_get", MR_VERB_GET, "/v1/:kind/:id", MR_ACTOR_DATA_READER, MR_ACCESS_PUBLIC, 200, MR_BY_SQL, .traits = &traits}};
    static const struct mr_way three[] = {{"product_get", MR_VERB_GET, "/v1/products/:id", (enum mr_op)MR_OP_COUNT},
                                          {"product_new", MR_VERB_GET, "/v1/products/new", (enum mr_op)(MR_OP_COUNT + 1)},
                                          {"any_get", MR_VERB_GET, "/v1/:kind/:id", (enum mr_op)(MR_OP_COUNT + 2)}};
    static const struct mr_op_table table = {both, 3, three, 3, NULL, 0, NULL, NULL, NULL, NULL};
    struct mr_route route;

    (void)state;
    mr_ops_install(&table);
    assert_int_equal(find("/v1/products/new", &route), MR_OK);
    assert_int_equal(route.op, MR_OP_COUNT + 1);
    assert_int_equal(find("/v1/products/old", &route), MR_OK);
    assert_int_equal(route.op, MR_OP_COUNT);
    assert_int_equal(find("/v1/others/old", &route), MR_OK);
    assert_int_equal(route.op, MR_OP_COUNT + 2);
    assert_int_equal(find("/v1/users/profile", &route), MR_OK);
    assert_int_equal(route.op, MR_OP_profile_get);
}

static void test_message__its_groups_follow_the_engine_s(void **state)
{
    unsigned count = 0;

    (void)state;
    mr_ops_install(&shop);
    while (mr_group(count) != NULL)
        count++;
    assert_string_equal(mr_group(count - 1)->name, "products");
}

static void test_message__its_requests_are_counted_by_themselves(void **state)
{
    (void)state;
    mr_ops_install(&shop);
    mr_metrics_setup("AS", "all", false);
    mr_metric_request((enum mr_op)MR_OP_COUNT, 200, 10);
    mr_metric_request(MR_OP_NONE, 404, 10);
    assert_int_equal(mr_op_family((enum mr_op)MR_OP_COUNT)->requests[0], 1);
    assert_int_equal(mr_op_family(MR_OP_NONE)->requests[0], 0);
    assert_int_equal(mr_op_family(MR_OP_NONE)->requests[2], 1);
}

static void test_message__its_statements_come_before_the_engine_s(void **state)
{
    static const struct mr_statement own[] = {{"product_get", "SELECT 1"}, {"register", "SELECT 2"}};

    (void)state;
    mr_statements_install(own, 2);
    assert_string_equal(mr_statement_find("product_get")->text, "SELECT 1");
    assert_string_equal(mr_statement_find("register")->text, "SELECT 2");
    assert_non_null(mr_statement_find("refresh__rotate"));
    assert_null(mr_statement_find("product"));
}

static char *write_text(const void *context, unsigned place)
{
    char text[32];

    snprintf(text, sizeof text, "SELECT %u, '%s'", place, (const char *)context);
    return strdup(text);
}

static void test_message__a_statement_without_a_text_is_written_when_it_is_asked_for(void **state)
{
    static const struct mr_statement own[] = {{"product_get", "SELECT 1"}, {"product_list/name", NULL}};
    char *text;

    (void)state;
    mr_statements_install(own, 2);
    mr_statements_write_with(write_text, "x");
    text = mr_statement_text(mr_statement_find("product_list/name"));
    assert_string_equal(text, "SELECT 1, 'x'");
    free(text);
    text = mr_statement_text(mr_statement_find("product_get"));
    assert_string_equal(text, "SELECT 1");
    free(text);
    text = mr_statement_text(mr_statement_find("register"));
    assert_string_equal(text, mr_statement_find("register")->text);
    free(text);
}

static const struct mr_variant *second(const struct mr_pick *self, const struct mr_traits *traits_of, const struct mr_value *values)
{
    (void)self;
    return &traits_of->variants[values[0].present ? 1 : 0];
}

static const struct mr_pick pick = {second};
static const struct mr_traits picked = {
    .shape = MR_SHAPE_MANY,
    .variants = MR_VARIANTS({.statement = "a", .shape = MR_SHAPE_MANY}, {.statement = "b", .shape = MR_SHAPE_MANY}),
    .pick = &pick,
    .fields = MR_FIELDS({"id", MR_UUID, MR_PATH, true, .about = "the product"})};

static void test_message__a_variant_may_be_picked_by_whoever_made_them(void **state)
{
    static const struct mr_op_info list[] = {
        {"product_list", MR_VERB_GET, "/v1/products", MR_ACTOR_DATA_READER, MR_ACCESS_PUBLIC, 200, MR_BY_SQL, .traits = &picked}};
    static const struct mr_op_table table = {list, 1, ways, 1, NULL, 0, NULL, NULL, NULL, NULL};

    (void)state;
    mr_ops_install(&table);
    assert_string_equal(mr_message_variant((enum mr_op)MR_OP_COUNT, &(struct mr_value){.present = true})->statement, "b");
    assert_string_equal(mr_message_variant((enum mr_op)MR_OP_COUNT, &(struct mr_value){.present = false})->statement, "a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_message__an_application_s_operations_stand_behind_the_engine_s, remove_shop),
        cmocka_unit_test_teardown(test_message__what_is_written_out_comes_before_a_parameter, remove_shop),
        cmocka_unit_test_teardown(test_message__its_groups_follow_the_engine_s, remove_shop),
        cmocka_unit_test_teardown(test_message__its_requests_are_counted_by_themselves, remove_shop),
        cmocka_unit_test_teardown(test_message__its_statements_come_before_the_engine_s, remove_shop),
        cmocka_unit_test_teardown(test_message__a_statement_without_a_text_is_written_when_it_is_asked_for, remove_shop),
        cmocka_unit_test_teardown(test_message__a_variant_may_be_picked_by_whoever_made_them, remove_shop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
