/*
 * What a release without folded names left is filled in beside the work.
 */
#include "actors/usernames.h"

#include "runtime/log.h"
#include "tests/support/database.h"
#include "tests/support/test.h"

static struct database *database;
static struct mr_usernames *usernames;

static int setup(void **state)
{
    (void)state;
    database = database_new();
    return 0;
}

static int setup_c(void **state)
{
    (void)state;
    database = database_new_in("C");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_true(mr_usernames_stop_by(&usernames, INT64_MAX));
    database_destroy(&database);
    return 0;
}

static void start(void)
{
    assert_int_equal(mr_usernames_start(&usernames, &database->config, &mr_system_clock), MR_OK);
}

static int64_t unfolded(void)
{
    return sql_number(database->db, "SELECT count(*) FROM millrace.app_user WHERE username_folded IS NULL");
}

/* The connection is closed when all is done. */
static bool is_done(void)
{
    return sql_number(database->db, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'usernames' AND datname = current_database()") == 0;
}

static void insert(int number, const char *username)
{
    sql_exec(database->db,
             "INSERT INTO millrace.app_user (id, username, email, first_name, last_name, password_hash)"
             " VALUES (lpad(to_hex(%d), 32, '0')::uuid, '%s', 'x@example.org', 'F', 'L', '')",
             number, username);
}

static void test_usernames__all_are_filled_chunk_by_chunk(void **state)
{
    (void)state;
    sql_exec(database->db, "INSERT INTO millrace.app_user (id, username, email, first_name, last_name, password_hash)"
                           " SELECT lpad(to_hex(i), 32, '0')::uuid, 'Straße' || i, 'x@example.org', 'F', 'L', '' FROM generate_series(1, 1203) i");
    start();
    eventually(unfolded() == 0);
    assert_int_equal(sql_number(database->db, "SELECT count(*) FROM millrace.app_user WHERE username_folded = 'strasse' || ltrim(substr(username, 7))"), 1203);
    eventually(is_done());
}

static void test_usernames__of_names_that_collide_the_first_gets_it(void **state)
{
    (void)state;
    insert(1, "Straße");
    insert(2, "other");
    insert(3, "STRASSE");
    insert(4, "ＳＴＲＡＳＳＥ");
    start();
    eventually(unfolded() == 2);
    assert_string_equal(sql_text(database->db, "SELECT username FROM millrace.app_user WHERE username_folded = 'strasse'"), "Straße");
    eventually(is_done());
    assert_true(mr_usernames_stop_by(&usernames, INT64_MAX));
    start(); /* the next start of the process: they still collide, and nothing changes */
    eventually(is_done());
    assert_int_equal(unfolded(), 2);
}

/* One that is stored keeps its name, although an older user turns up. */
static void test_usernames__what_is_stored_stays(void **state)
{
    (void)state;
    insert(7, "STRASSE");
    sql_exec(database->db, "UPDATE millrace.app_user SET username_folded = 'strasse'");
    insert(1, "Straße");
    start();
    eventually(is_done());
    assert_string_equal(sql_text(database->db, "SELECT username FROM millrace.app_user WHERE username_folded = 'strasse'"), "STRASSE");
    assert_int_equal(unfolded(), 1);
}

/* Names that no release would take any more, among them one that folds to nothing. */
static void test_usernames__odd_names_hold_nobody_up(void **state)
{
    (void)state;
    insert(1, "\u200b\u200b\u200b");
    insert(2, "");
    sql_exec(database->db, "UPDATE millrace.app_user SET username = repeat('x', 2000) WHERE username = ''");
    insert(3, "Ada");
    start();
    eventually(unfolded() == 2);
    eventually(is_done());
    assert_string_equal(sql_text(database->db, "SELECT username_folded FROM millrace.app_user WHERE username = 'Ada'"), "ada");
}

static void test_usernames__several_processes_at_once(void **state)
{
    enum { PROCESSES = 4 };
    struct mr_usernames *several[PROCESSES] = {0};

    (void)state;
    sql_exec(database->db, "INSERT INTO millrace.app_user (id, username, email, first_name, last_name, password_hash)"
                           " SELECT lpad(to_hex(i), 32, '0')::uuid, (CASE WHEN i %% 2 = 0 THEN 'STRASSE' ELSE 'Straße' END) || i / 2, 'x@example.org', 'F', 'L', ''"
                           "   FROM generate_series(2, 2001) i");
    for (int i = 0; i < PROCESSES; i++)
        assert_int_equal(mr_usernames_start(&several[i], &database->config, &mr_system_clock), MR_OK);
    eventually(unfolded() == 1000);
    eventually(is_done());
    for (int i = 0; i < PROCESSES; i++)
        assert_true(mr_usernames_stop_by(&several[i], INT64_MAX));
    assert_int_equal(sql_number(database->db, "SELECT count(*) FROM millrace.app_user WHERE username_folded IS NOT NULL AND username NOT LIKE 'STRASSE%%'"), 0);
}

/* A table that is locked, or not migrated yet, is a failure like any other. */
static void test_usernames__a_failure_is_tried_again(void **state)
{
    (void)state;
    insert(1, "Ada");
    sql_exec(database->db, "ALTER TABLE millrace.app_user RENAME COLUMN username_folded TO later");
    start();
    eventually(!is_done());
    eventually(sql_number(database->db, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'usernames'") == 0);
    sql_exec(database->db, "ALTER TABLE millrace.app_user RENAME COLUMN later TO username_folded");
    eventually(unfolded() == 0);
}

static void test_usernames__stopping_does_not_wait_for_the_end(void **state)
{
    (void)state;
    sql_exec(database->db, "INSERT INTO millrace.app_user (id, username, email, first_name, last_name, password_hash)"
                           " SELECT gen_random_uuid(), 'user' || i, 'x@example.org', 'F', 'L', '' FROM generate_series(1, 20000) i");
    start();
    eventually(unfolded() < 20000);
    assert_true(mr_usernames_stop_by(&usernames, INT64_MAX));
    assert_in_range(unfolded(), 1, 19999);
}

static void with_a_collision(void)
{
    for (int i = 0; i < 30; i++) {
        char name[32];

        snprintf(name, sizeof name, "Straße%d", i);
        insert(2 * i + 1, name);
        snprintf(name, sizeof name, "STRASSE%d", i);
        insert(2 * i + 2, name);
    }
    start();
    eventually(unfolded() == 30);
    eventually(is_done());
    assert_true(mr_usernames_stop_by(&usernames, INT64_MAX));
}

static unsigned count(const struct mr_buf *text, const char *what)
{
    unsigned found = 0;

    for (const char *at = text->data; (at = strstr(at, what)) != NULL; at++)
        found++;
    return found;
}

static void test_usernames__the_log_names_some_who_collide(void **state)
{
    struct mr_buf text;

    (void)state;
    mr_log_setup(MR_LOG_INFO, true);
    text = capture_stderr(with_a_collision);
    mr_log_setup((enum mr_log_level)(MR_LOG_ERROR + 1), false);
    assert_int_equal(count(&text, "username collides with an older one"), 20);
    assert_int_equal(count(&text, "\"username\":\"STRASSE0\",\"userId\":\"00000000-0000-0000-0000-000000000002\""), 1);
    assert_int_equal(count(&text, "\"users\":30,\"colliding\":30"), 1);
    mr_buf_fini(&text);
}

#define TEST(name)   cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_C(name) cmocka_unit_test_setup_teardown(name, setup_c, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_usernames__all_are_filled_chunk_by_chunk),
        TEST_C(test_usernames__all_are_filled_chunk_by_chunk),
        TEST(test_usernames__of_names_that_collide_the_first_gets_it),
        TEST_C(test_usernames__of_names_that_collide_the_first_gets_it),
        TEST(test_usernames__what_is_stored_stays),
        TEST(test_usernames__odd_names_hold_nobody_up),
        TEST(test_usernames__several_processes_at_once),
        TEST(test_usernames__a_failure_is_tried_again),
        TEST(test_usernames__stopping_does_not_wait_for_the_end),
        TEST(test_usernames__the_log_names_some_who_collide),
    };

    return cmocka_run_group_tests(tests, database_server_start, database_server_stop);
}
