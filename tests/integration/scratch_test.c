/*
 * Scratch databases of a server that is there: made, gone, and refused. One with a server of its own is in tests/e2e/check_test.py.
 */
#include "app/scratch.h"

#include <time.h>

#include "tests/support/database.h"
#include "tests/support/test.h"

static struct mr_config config;
static struct mr_scratch *scratch;
static struct mr_buf problem;
static mr_db *admin;

static mr_db *connect_as(const struct mr_config *settings)
{
    struct mr_db_options options = {.config = settings, .clock = &mr_system_clock, .host = settings->db_host, .application_name = "test"};
    mr_db *db = NULL;

    assert_int_equal(mr_db_new(&db, &options, NULL), MR_OK);
    assert_int_equal(mr_db_reconnect(db), MR_OK);
    return db;
}

static int setup(void **state)
{
    static struct mr_config server;

    (void)state;
    database_config(&server, "postgres");
    database_config(&config, "postgres");
    admin = connect_as(&server);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mr_status status = mr_scratch_destroy(&scratch, &problem);

    mr_buf_fini(&problem);
    mr_db_destroy(&admin);
    return status == MR_OK ? 0 : -1;
}

static bool exists(const char *name)
{
    return sql_number(admin, "SELECT count(*) FROM pg_database WHERE datname = '%s'", name) == 1;
}

static int64_t count(void)
{
    return sql_number(admin, "SELECT count(*) FROM pg_database WHERE datname LIKE 'millrace\\_scratch\\_%%'");
}

/* The database that is configured need not be there: it is often made by who starts. */
static void test_scratch__is_made_and_gone(void **state)
{
    char name[64];
    mr_db *db;

    (void)state;
    config.db_database = "not_there";
    assert_int_equal(mr_scratch_new(&scratch, &config, &problem), MR_OK);
    snprintf(name, sizeof name, "%s", mr_scratch_config(scratch)->db_database);
    assert_true(exists(name));
    db = connect_as(mr_scratch_config(scratch));
    assert_int_equal(sql_number(db, "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                                    " WHERE n.nspname = 'public'"), 0);
    sql_exec(db, "BEGIN; CREATE TABLE t (x int)");

    /* also with somebody in it */
    assert_int_equal(mr_scratch_destroy(&scratch, &problem), MR_OK);
    assert_null(scratch);
    assert_false(exists(name));
    mr_db_destroy(&db);
}

static void test_scratch__two_at_once(void **state)
{
    struct mr_scratch *other = NULL;

    (void)state;
    assert_int_equal(mr_scratch_new(&scratch, &config, &problem), MR_OK);
    assert_int_equal(mr_scratch_new(&other, &config, &problem), MR_OK);
    assert_string_not_equal(mr_scratch_config(scratch)->db_database, mr_scratch_config(other)->db_database);
    assert_int_equal(mr_scratch_destroy(&other, &problem), MR_OK);
    assert_true(exists(mr_scratch_config(scratch)->db_database));
}

static void test_scratch__a_role_without_the_right_is_told(void **state)
{
    (void)state;
    sql_exec(admin, "CREATE ROLE plain LOGIN");
    config.db_user = "plain";
    assert_int_equal(mr_scratch_new(&scratch, &config, &problem), MR_FORBIDDEN);
    assert_null(scratch);
    assert_slice_equal(buf_slice(&problem), "the role plain may not make a scratch database; grant it CREATEDB, or leave DB_HOST out"
                                            " for a server of its own");
    assert_int_equal(count(), 0);
}

static void test_scratch__without_a_server_it_says_so(void **state)
{
    (void)state;
    config.db_host = "/nonexistent";
    assert_int_equal(mr_scratch_new(&scratch, &config, &problem), MR_UNAVAILABLE);
    assert_non_null(memmem(problem.data, problem.len, "/nonexistent", 12));
}

/* What a kill has left is removed by the next, unless it is young, somebody is in it, or it is called otherwise. */
static void test_scratch__what_others_left_behind_goes(void **state)
{
    long long now = (long long)time(NULL);
    char old[64];
    char used[64];
    char young[64];
    static struct mr_config in_used;
    mr_db *db;

    (void)state;
    snprintf(old, sizeof old, "millrace_scratch_%lld_0123456789abcdef", now - 4000);
    snprintf(used, sizeof used, "millrace_scratch_%lld_0123456789abcdee", now - 4000);
    snprintf(young, sizeof young, "millrace_scratch_%lld_0123456789abcdef", now - 60);
    sql_exec(admin, "CREATE DATABASE %s", old);
    sql_exec(admin, "CREATE DATABASE %s", used);
    sql_exec(admin, "CREATE DATABASE %s", young);
    sql_exec(admin, "CREATE DATABASE millrace_scratch_1");
    database_config(&in_used, used);
    db = connect_as(&in_used);
    assert_int_equal(mr_scratch_new(&scratch, &config, &problem), MR_OK);
    assert_false(exists(old));
    assert_true(exists(used));
    assert_true(exists(young));
    assert_true(exists("millrace_scratch_1"));
    mr_db_destroy(&db);
    sql_exec(admin, "DROP DATABASE %s WITH (FORCE)", used);
    sql_exec(admin, "DROP DATABASE %s", young);
    sql_exec(admin, "DROP DATABASE millrace_scratch_1");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_scratch__is_made_and_gone),
        TEST(test_scratch__two_at_once),
        TEST(test_scratch__a_role_without_the_right_is_told),
        TEST(test_scratch__without_a_server_it_says_so),
        TEST(test_scratch__what_others_left_behind_goes),
    };

    return cmocka_run_group_tests(tests, database_server_start, database_server_stop);
}
