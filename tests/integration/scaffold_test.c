/* The migrations that `millrace new` writes, on a real database. */
#include "application/scaffold.h"
#include "tests/support/database.h"
#include "tests/support/folder.h"
#include "tests/support/test.h"

static void test_reserved_words__are_those_of_the_server(void **state)
{
    struct database *database = database_new_empty();
    struct mr_buf ours = {0};

    (void)state;
    for (const char *const *word = mr_reserved_words; *word != NULL; word++)
        mr_buf_printf(&ours, "%s%s", ours.len > 0 ? " " : "", *word);
    assert_int_equal(sql_number(database->db,
                                "SELECT count(*) FROM (SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'T')"
                                " EXCEPT SELECT unnest(string_to_array('%.*s', ' '))) missing",
                                (int)ours.len, ours.data),
                     0);
    mr_buf_fini(&ours);
    database_destroy(&database);
}

static void test_migrations__run_and_hold_the_declared_bounds(void **state)
{
    static const char *const fields[] = {"sku:text:unique", "user:uuid:clearable", "limit:integer:clearable", "price:decimal",
                                         "weight:number",   "sold:boolean",        "on:date:clearable",       "at:timestamp:clearable",
                                         "details:json:clearable", "tags:text:many"};
    struct folder folder;
    struct mr_buf told = {0};
    struct mr_buf problem = {0};
    struct mr_scaffold scaffold = {folder.path, NULL, &told, &problem};
    struct mr_application *application = NULL;
    struct mr_problems problems = {0};
    struct database *database = database_new_empty();

    (void)state;
    folder_make_bare(&folder);
    assert_int_equal(mr_scaffold_application(&scaffold), MR_OK);
    assert_int_equal(mr_scaffold_resource(&scaffold, "order", fields, sizeof fields / sizeof fields[0]), MR_OK);
    assert_int_equal(mr_scaffold_migration(&scaffold, "more"), MR_OK);
    assert_int_equal(mr_application_load(&application, folder.path, NULL, &problems), MR_OK);
    sql_exec(database->db, "%s", application->migrations[0].sql);
    sql_exec(database->db, "INSERT INTO \"order\" (id, sku, price, weight) VALUES (gen_random_uuid(), 'a', 9999999999.99, 1.5)");
    assert_int_equal(sql_number(database->db, "SELECT count(*) FROM \"order\" WHERE NOT sold AND tags = '{}' AND version = 1"
                                              " AND created_at <= now() AND updated_at <= clock_timestamp()"),
                     1);
    assert_int_equal(sql_number(database->db, "SELECT count(*) FROM pg_index WHERE indrelid = '\"order\"'::regclass"), 3);
    mr_application_destroy(&application);
    mr_buf_fini(&told);
    mr_buf_fini(&problem);
    mr_problems_fini(&problems);
    folder_remove(&folder);
    database_destroy(&database);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reserved_words__are_those_of_the_server),
        cmocka_unit_test(test_migrations__run_and_hold_the_declared_bounds),
    };

    return cmocka_run_group_tests(tests, database_server_start, database_server_stop);
}
