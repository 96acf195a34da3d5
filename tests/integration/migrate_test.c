#include "runtime/migrate.h"

#include <pthread.h>

#include "tests/support/database.h"
#include "tests/support/test.h"

static struct database *database;

static int setup(void **state)
{
    (void)state;
    database = database_new_empty();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    database_destroy(&database);
    return 0;
}

static const struct mr_migration two[] = {
    {1, 0, "0001_first", "CREATE TABLE first (n integer);"},
    {2, 0, "0002_second", "CREATE TABLE second (n integer); INSERT INTO first VALUES (1);"},
    {0, 0, NULL, NULL}};
static const struct mr_migration broken[] = {
    {1, 0, "0001_first", "CREATE TABLE first (n integer);"},
    {2, 0, "0002_second", "CREATE TABLE half (n integer); INSERT INTO half VALUES (1); SELECT 1/0;"},
    {3, 0, "0003_third", "CREATE TABLE third (n integer);"},
    {0, 0, NULL, NULL}};
static const struct mr_migration changed[] = {
    {1, 0, "0001_first", "CREATE TABLE first (n bigint);"}, {2, 0, "0002_second", "CREATE TABLE second (n integer);"}, {0, 0, NULL, NULL}};
static const struct mr_migration one[] = {{1, 0, "0001_first", "CREATE TABLE first (n integer);"}, {0, 0, NULL, NULL}};


/* As many as the older record holds, and some behind them. */
#define NOTHING "SELECT;"
#define OLDER                                                                                                    \
    {1, 0, "0001_first", "CREATE TABLE first (n integer);"}, {2, 0, "0002_x", NOTHING}, {3, 0, "0003_x", NOTHING}, \
        {4, 0, "0004_x", NOTHING}, {5, 0, "0005_x", NOTHING}, {6, 0, "0006_x", NOTHING}, {7, 0, "0007_x", NOTHING}
#define EIGHTH {8, 7, "0008_eighth", "CREATE TABLE eighth (n integer);"}

static const struct mr_migration to_7[] = {OLDER, {0, 0, NULL, NULL}};
static const struct mr_migration to_8[] = {OLDER, EIGHTH, {0, 0, NULL, NULL}};
static const struct mr_migration to_9[] = {OLDER, EIGHTH, {9, 7, "0009_ninth", "CREATE TABLE ninth (n integer);"}, {0, 0, NULL, NULL}};
static const struct mr_migration to_9_contracting[] = {OLDER, EIGHTH, {9, 8, "0009_ninth", "DROP TABLE first;"}, {0, 0, NULL, NULL}};
static const struct mr_migration to_8_changed[] = {OLDER, {8, 7, "0008_eighth", "CREATE TABLE eighth (n bigint);"}, {0, 0, NULL, NULL}};
static const struct mr_migration to_8_broken[] = {OLDER, {8, 7, "0008_eighth", "CREATE TABLE eighth (n integer); SELECT 1/0;"}, {0, 0, NULL, NULL}};

static struct mr_buf problem;

static mr_status up(const struct mr_migration *migrations, unsigned *applied)
{
    mr_buf_clear(&problem, 0);
    return mr_migrate_up_with(&database->config, &mr_system_clock, 0, migrations, applied, &problem);
}

static bool problem_has(const char *text)
{
    return problem.len > 0 && memmem(problem.data, problem.len, text, strlen(text)) != NULL;
}

static bool exists(const char *table)
{
    return sql_number(database->db, "SELECT count(*) FROM pg_class WHERE relname = '%s'", table) == 1;
}

static void test_migrate__applies_what_is_missing_and_then_nothing(void **state)
{
    unsigned applied = 99;

    (void)state;
    assert_int_equal(up(one, &applied), MR_OK);
    assert_int_equal(applied, 1);
    assert_int_equal(up(two, &applied), MR_OK);
    assert_int_equal(applied, 1);
    assert_int_equal(up(two, &applied), MR_OK);
    assert_int_equal(applied, 0);
    assert_int_equal(sql_number(database->db, "SELECT count(*) FROM first"), 1);
    assert_string_equal(sql_text(database->db, "SELECT string_agg(version || ' ' || name, ', ' ORDER BY version) FROM schema_migration"),
                        "1 0001_first, 2 0002_second");
}

static void test_migrate__the_migrations_of_the_binary_apply(void **state)
{
    struct mr_buf list = {0};
    unsigned applied;

    (void)state;
    mr_buf_clear(&problem, 0);
    assert_int_equal(mr_migrate_status(&database->config, &mr_system_clock, &list, &problem), MR_OK);
    assert_non_null(memmem(list.data, list.len, "0001  0001_", 11));
    assert_non_null(memmem(list.data, list.len, "pending", 7));
    assert_false(exists("schema_migration")); /* asking changes nothing */
    assert_int_equal(mr_migrate_up(&database->config, &mr_system_clock, 0, &applied, &problem), MR_OK);
    assert_true(exists("task"));
    mr_buf_clear(&list, 0);
    assert_int_equal(mr_migrate_status(&database->config, &mr_system_clock, &list, &problem), MR_OK);
    assert_null(memmem(list.data, list.len, "pending", 7));
    mr_buf_fini(&list);
}

/* What was dead or cancelled before migration 16 made a table of such is in it. */
static void test_migrate__dead_runs_of_before_are_listed(void **state)
{
    struct mr_migration before[64] = {0};
    unsigned applied;

    (void)state;
    for (unsigned i = 0; mr_migrations[i].name != NULL && mr_migrations[i].version < 16; i++) {
        assert_true(i + 1 < sizeof before / sizeof before[0]);
        before[i] = mr_migrations[i];
    }
    assert_int_equal(up(before, &applied), MR_OK);
    sql_exec(database->db, "INSERT INTO millrace.run (id, job, outcome, finished_at, dead_at, cancelled_at)"
                           " SELECT gen_random_uuid(), 'pull', o, now(), CASE WHEN o = 'dead' THEN now() END, CASE WHEN o = 'cancelled' THEN now() END"
                           "   FROM unnest(ARRAY['dead', 'dead', 'dead', 'cancelled', 'cancelled', 'succeeded', NULL]) o");
    assert_int_equal(mr_migrate_up(&database->config, &mr_system_clock, 0, &applied, &problem), MR_OK);
    assert_string_equal(sql_text(database->db, "SELECT string_agg(n, ', ' ORDER BY n) FROM (SELECT s.outcome || ' ' || count(*) AS n FROM millrace.stopped s"
                                               "  JOIN millrace.run r ON r.id = s.id AND r.job = s.job AND r.outcome = s.outcome GROUP BY s.outcome) s"),
                        "cancelled 2, dead 3");
}

static void test_migrate__a_connection_is_handed_back_when_nothing_was_to_do(void **state)
{
    mr_db *db = NULL;
    unsigned applied = 0;

    (void)state;
    mr_buf_clear(&problem, 0);
    assert_int_equal(mr_migrate_up_on(&db, &database->config, &mr_system_clock, 0, &applied, &problem), MR_OK);
    assert_true(applied > 0);
    assert_null(db); /* it holds a lock, and waits for others */
    assert_int_equal(mr_migrate_db(&db, &database->config, &mr_system_clock), MR_OK);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(mr_migrate_up_on(&db, &database->config, &mr_system_clock, 0, &applied, &problem), MR_OK);
        assert_int_equal(applied, 0);
        assert_true(mr_db_is_up(db));
        assert_int_equal(sql_number(db, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"),
                         0);
    }
    mr_db_destroy(&db);
}

static void test_migrate__one_that_fails_halfway_leaves_nothing_behind(void **state)
{
    unsigned applied = 99;

    (void)state;
    assert_int_not_equal(up(broken, &applied), MR_OK);
    assert_int_equal(applied, 1);
    assert_true(problem_has("0002_second"));
    assert_true(problem_has("22012"));
    assert_true(exists("first"));
    assert_false(exists("half"));
    assert_false(exists("third"));
    assert_int_equal(sql_number(database->db, "SELECT max(version) FROM schema_migration"), 1);
    assert_int_equal(up(two, &applied), MR_OK); /* the corrected text goes on from there */
    assert_int_equal(applied, 1);
}

static void test_migrate__a_changed_text_is_refused(void **state)
{
    unsigned applied;

    (void)state;
    assert_int_equal(up(one, &applied), MR_OK);
    assert_int_equal(up(changed, &applied), MR_CONFLICT);
    assert_int_equal(applied, 0);
    assert_true(problem_has("another text"));
    assert_false(exists("second"));
}

static void test_migrate__a_newer_database_is_refused(void **state)
{
    unsigned applied;

    (void)state;
    assert_int_equal(up(two, &applied), MR_OK);
    assert_int_equal(up(one, &applied), MR_CONFLICT);
    assert_true(problem_has("version 2"));
}

static void test_migrate__a_history_that_cannot_be_is_refused(void **state)
{
    static const int versions[] = {0, -1, 2};
    unsigned applied;

    (void)state;
    assert_int_equal(up(two, &applied), MR_OK);
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        sql_exec(database->db, "DELETE FROM schema_migration; INSERT INTO schema_migration (version, name, checksum) VALUES (%d, 'x', 'x')", versions[i]);
        assert_int_equal(up(two, &applied), MR_CONFLICT);
        assert_true(problem.len > 0);
    }
}

static void test_migrate__a_database_that_is_not_there_is_told(void **state)
{
    unsigned applied;

    (void)state;
    database->config.db_database = "no_such_database";
    assert_int_equal(up(two, &applied), MR_UNAVAILABLE);
    assert_true(problem_has("no_such_database"));
    assert_int_equal(applied, 0);
}

/* ---- From the eighth on ---- */

static const char *older(void)
{
    return sql_text(database->db, "SELECT string_agg(version::text, ' ' ORDER BY version) FROM public.schema_migration");
}

static const char *later(void)
{
    return sql_text(database->db, "SELECT string_agg(version || ' ' || name || ' ' || runs_with, ', ' ORDER BY version) FROM millrace.migration");
}

static unsigned applied_by(const struct mr_migration *migrations)
{
    unsigned applied = 99;

    if (up(migrations, &applied) != MR_OK)
        fail_test("%.*s", (int)problem.len, problem.data);
    return applied;
}

static void test_migrate__later_ones_have_a_record_of_their_own(void **state)
{
    (void)state;
    assert_int_equal(applied_by(to_7), 7);
    assert_int_equal(sql_number(database->db, "SELECT count(*) FROM pg_namespace WHERE nspname = 'millrace'"), 0);
    assert_int_equal(applied_by(to_8), 1);
    assert_int_equal(applied_by(to_9), 1);
    assert_int_equal(applied_by(to_9), 0);
    assert_string_equal(older(), "1 2 3 4 5 6 7");
    assert_string_equal(later(), "8 0008_eighth 7, 9 0009_ninth 7");
}

static void test_migrate__a_fresh_database_gets_both_records(void **state)
{
    (void)state;
    assert_int_equal(applied_by(to_9), 9);
    assert_string_equal(older(), "1 2 3 4 5 6 7");
    assert_string_equal(later(), "8 0008_eighth 7, 9 0009_ninth 7");
}

static void test_migrate__a_binary_runs_on_a_newer_database_that_allows_it(void **state)
{
    (void)state;
    assert_int_equal(applied_by(to_9), 9);
    assert_int_equal(applied_by(to_8), 0);
    assert_int_equal(applied_by(to_7), 0);
    assert_string_equal(later(), "8 0008_eighth 7, 9 0009_ninth 7");
}

static void test_migrate__a_newer_database_says_who_is_too_old(void **state)
{
    unsigned applied = 99;

    (void)state;
    assert_int_equal(applied_by(to_9_contracting), 9);
    assert_int_equal(applied_by(to_8), 0);
    assert_int_equal(up(to_7, &applied), MR_CONFLICT);
    assert_int_equal(applied, 0);
    assert_true(problem_has("the database is at version 9, this binary knows versions up to 7 and 0009 needs one that knows 8"));
}

/* One that forbids is not overruled by one behind it that would allow. */
static void test_migrate__every_newer_one_has_to_allow_it(void **state)
{
    unsigned applied;

    (void)state;
    assert_int_equal(applied_by(to_9_contracting), 9);
    sql_exec(database->db, "INSERT INTO millrace.migration (version, name, checksum, runs_with) VALUES (10, 'x', 'x', 7)");
    assert_int_equal(applied_by(to_8), 0);
    assert_int_equal(up(to_7, &applied), MR_CONFLICT);
    assert_true(problem_has("0009 needs one that knows 8"));
}

static void test_migrate__a_changed_text_of_a_later_one_is_refused(void **state)
{
    unsigned applied = 99;

    (void)state;
    assert_int_equal(applied_by(to_8), 8);
    assert_int_equal(up(to_8_changed, &applied), MR_CONFLICT);
    assert_int_equal(applied, 0);
    assert_true(problem_has("migration 8 was applied with another text"));
}

static void test_migrate__a_later_one_that_fails_leaves_no_record(void **state)
{
    unsigned applied;

    (void)state;
    assert_int_not_equal(up(to_8_broken, &applied), MR_OK);
    assert_int_equal(applied, 7);
    assert_false(exists("eighth"));
    assert_int_equal(sql_number(database->db, "SELECT count(*) FROM pg_namespace WHERE nspname = 'millrace'"), 0);
    assert_int_equal(applied_by(to_8), 1);
}

static void test_migrate__a_row_in_the_wrong_record_is_refused(void **state)
{
    static const char *const spoilt[] = {
        "INSERT INTO schema_migration (version, name, checksum) VALUES (8, 'x', 'x')",
        "DELETE FROM schema_migration WHERE version = 8; DELETE FROM millrace.migration WHERE version = 8",
        "DELETE FROM schema_migration WHERE version = 7"};
    unsigned applied;

    (void)state;
    assert_int_equal(applied_by(to_9), 9);
    for (size_t i = 0; i < sizeof spoilt / sizeof spoilt[0]; i++) {
        sql_exec(database->db, "%s", spoilt[i]);
        assert_int_equal(up(to_9, &applied), MR_CONFLICT);
        assert_int_equal(applied, 0);
        assert_true(problem.len > 0);
    }
}

/* "$user" stands first in the search_path, so the schema of the ledger hides what is in public from a role of its name. */
static void test_migrate__a_role_named_like_the_schema_sees_one_database(void **state)
{
    (void)state;
    sql_exec(database->db, "DO $$ BEGIN CREATE ROLE millrace SUPERUSER LOGIN; EXCEPTION WHEN duplicate_object THEN END $$");
    database->config.db_user = "millrace";
    assert_int_equal(applied_by(to_8), 8);
    assert_int_equal(applied_by(to_9), 1);
    assert_int_equal(applied_by(to_9), 0);
    sql_exec(database->db, "SET ROLE millrace; SET search_path = \"$user\", public");
    assert_int_equal(sql_number(database->db, "SELECT count(*) FROM pg_class WHERE relname = 'ninth' AND relnamespace = 'public'::regnamespace"), 1);
    /* What a release that knows no ledger does at its start. */
    sql_exec(database->db, "CREATE TABLE IF NOT EXISTS schema_migration (version integer PRIMARY KEY)");
    assert_string_equal(sql_text(database->db, "SELECT string_agg(version::text, ' ' ORDER BY version) FROM schema_migration"), "1 2 3 4 5 6 7");
}

/* Some administrators give each role a schema of its own and nothing else. */
static void test_migrate__tables_that_already_are_in_that_schema_stay_there(void **state)
{
    (void)state;
    sql_exec(database->db, "DO $$ BEGIN CREATE ROLE millrace SUPERUSER LOGIN; EXCEPTION WHEN duplicate_object THEN END $$");
    sql_exec(database->db, "CREATE SCHEMA millrace AUTHORIZATION millrace");
    database->config.db_user = "millrace";
    /* As the release before did it, which searched by "$user". */
    sql_exec(database->db, "CREATE TABLE millrace.schema_migration (version integer PRIMARY KEY, name text NOT NULL, "
                           "checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())");
    assert_int_equal(applied_by(to_7), 7);
    assert_int_equal(applied_by(to_9), 2);
    assert_int_equal(applied_by(to_8), 0);
    assert_int_equal(sql_number(database->db, "SELECT count(*) FROM millrace.schema_migration"), 7);
    assert_int_equal(sql_number(database->db, "SELECT count(*) FROM pg_class WHERE relname = 'ninth' AND relnamespace = 'millrace'::regnamespace"), 1);
}

static void test_migrate__the_list_shows_both_records_and_what_is_newer(void **state)
{
    struct mr_buf list = {0};
    unsigned applied;

    (void)state;
    mr_buf_clear(&problem, 0);
    assert_int_equal(mr_migrate_up(&database->config, &mr_system_clock, 0, &applied, &problem), MR_OK);
    sql_exec(database->db, "CREATE SCHEMA IF NOT EXISTS millrace");
    sql_exec(database->db, "CREATE TABLE IF NOT EXISTS millrace.migration (version integer, name text, checksum text, applied_at timestamptz DEFAULT now(), runs_with integer)");
    sql_exec(database->db, "INSERT INTO millrace.migration (version, name, checksum, runs_with) VALUES (%u, 'some_name', 'x', 7)", applied + 1);
    assert_int_equal(mr_migrate_status(&database->config, &mr_system_clock, &list, &problem), MR_OK);
    assert_non_null(memmem(list.data, list.len, "0007  0007_", 11));
    assert_non_null(memmem(list.data, list.len, "  some_name ", 12));
    assert_non_null(memmem(list.data, list.len, "newer than this binary", 22));
    mr_buf_fini(&list);
}

static void *migrate_in_thread(void *argument)
{
    unsigned *applied = argument;
    struct mr_buf own_problem = {0};
    mr_status status = mr_migrate_up_with(&database->config, &mr_system_clock, 0, two, applied, &own_problem);

    mr_buf_fini(&own_problem);
    return status == MR_OK ? argument : NULL;
}

static void test_migrate__of_several_at_once_one_does_the_work(void **state)
{
    enum { THREADS = 6 };
    pthread_t threads[THREADS];
    unsigned applied[THREADS] = {0};
    unsigned total = 0;
    bool good = true;

    (void)state;
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, migrate_in_thread, &applied[i]), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        void *result;

        pthread_join(threads[i], &result);
        good = good && result != NULL;
        total += applied[i];
    }
    assert_true(good);
    assert_int_equal(total, 2);
    assert_int_equal(sql_number(database->db, "SELECT count(*) FROM first"), 1);
}

static void test_migrate__waits_for_another_that_holds_the_lock(void **state)
{
    pthread_t thread;
    unsigned applied = 0;
    mr_db *holder = database_connect(database);
    void *result;

    (void)state;
    sql_exec(holder, "SELECT pg_advisory_lock(7883960444165051237)");
    assert_int_equal(pthread_create(&thread, NULL, migrate_in_thread, &applied), 0);
    eventually(sql_number(database->db, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") == 1);
    assert_false(exists("first"));
    mr_db_destroy(&holder); /* a holder that dies lets go */
    pthread_join(thread, &result);
    assert_non_null(result);
    assert_int_equal(applied, 2);
}

static void *alter_in_thread(void *argument)
{
    static const struct mr_migration altering[] = {
        {1, 0, "0001_first", "CREATE TABLE first (n integer);"}, {2, 0, "0002_alter", "ALTER TABLE first ADD COLUMN m integer"}, {0, 0, NULL, NULL}};
    struct mr_buf own_problem = {0};
    mr_status status = mr_migrate_up_with(&database->config, &mr_system_clock, 0, altering, argument, &own_problem);

    mr_buf_fini(&own_problem);
    return status == MR_OK ? argument : NULL;
}

/* Whoever comes behind a migration that waits would wait as long as it does: it steps back, they pass, and it tries again. */
static void test_migrate__one_that_waits_for_a_reader_lets_others_pass(void **state)
{
    mr_db *reader = database_connect(database);
    unsigned applied = 0;
    pthread_t thread;
    void *result;

    (void)state;
    assert_int_equal(up(one, &applied), MR_OK);
    sql_exec(reader, "BEGIN; SELECT count(*) FROM first");
    assert_int_equal(pthread_create(&thread, NULL, alter_in_thread, &applied), 0);
    for (int i = 0; i < 2; i++) {
        struct stopwatch watch;

        eventually(sql_number(database->db, "SELECT count(*) FROM pg_locks WHERE locktype = 'relation' AND NOT granted") == 1);
        watch = stopwatch_start();
        assert_int_equal(sql_number(database->db, "SELECT count(*) FROM first"), 0); /* behind the migration */
        assert_took(&watch, 0, 2000);
    }
    sql_exec(reader, "COMMIT");
    pthread_join(thread, &result);
    assert_non_null(result);
    assert_int_equal(applied, 1);
    mr_db_destroy(&reader);
}

static int done(void **state)
{
    mr_buf_fini(&problem);
    return database_server_stop(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_migrate__applies_what_is_missing_and_then_nothing),
        TEST(test_migrate__the_migrations_of_the_binary_apply),
        TEST(test_migrate__dead_runs_of_before_are_listed),
        TEST(test_migrate__a_connection_is_handed_back_when_nothing_was_to_do),
        TEST(test_migrate__one_that_fails_halfway_leaves_nothing_behind),
        TEST(test_migrate__a_changed_text_is_refused),
        TEST(test_migrate__a_newer_database_is_refused),
        TEST(test_migrate__a_history_that_cannot_be_is_refused),
        TEST(test_migrate__a_database_that_is_not_there_is_told),
        TEST(test_migrate__later_ones_have_a_record_of_their_own),
        TEST(test_migrate__a_fresh_database_gets_both_records),
        TEST(test_migrate__a_binary_runs_on_a_newer_database_that_allows_it),
        TEST(test_migrate__a_newer_database_says_who_is_too_old),
        TEST(test_migrate__every_newer_one_has_to_allow_it),
        TEST(test_migrate__a_changed_text_of_a_later_one_is_refused),
        TEST(test_migrate__a_later_one_that_fails_leaves_no_record),
        TEST(test_migrate__a_row_in_the_wrong_record_is_refused),
        TEST(test_migrate__a_role_named_like_the_schema_sees_one_database),
        TEST(test_migrate__tables_that_already_are_in_that_schema_stay_there),
        TEST(test_migrate__the_list_shows_both_records_and_what_is_newer),
        TEST(test_migrate__of_several_at_once_one_does_the_work),
        TEST(test_migrate__waits_for_another_that_holds_the_lock),
        TEST(test_migrate__one_that_waits_for_a_reader_lets_others_pass),
    };

    return cmocka_run_group_tests(tests, database_server_start, done);
}
