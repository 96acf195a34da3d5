/*
 * The baseline of a new database leaves what the migrations before it leave, but for what these make for tasks and for releases
 * before the schema millrace.
 */
#include "runtime/app_ledger.h"

#include <pthread.h>

#include "application/folder.h"
#include "proto/jobs.h"
#include "proto/message.h"
#include "runtime/ledger.h"
#include "runtime/migrate.h"
#include "tests/support/database.h"
#include "tests/support/test.h"

/* The engine's tables as every application has them. */
static struct database *fresh;
static struct mr_buf problem;

static const struct mr_app_steps no_steps = {.count = 0};

static mr_status up(const struct database *database, const struct mr_app_steps *steps, unsigned *applied)
{
    mr_status status;

    mr_buf_clear(&problem, 0);
    mr_app_steps_install(steps);
    status = mr_migrate_up(&database->config, &mr_system_clock, 0, applied, &problem);
    mr_buf_char(&problem, '\0');
    return status;
}

static void must_go_up(const struct database *database, const struct mr_app_steps *steps, unsigned expected)
{
    unsigned applied = 99;

    if (up(database, steps, &applied) != MR_OK)
        fail_test("%s", problem.data);
    assert_int_equal(applied, expected);
}

static void must_be_refused(const struct database *database, const struct mr_app_steps *steps, const char *why)
{
    unsigned applied = 99;

    assert_int_equal(up(database, steps, &applied), MR_CONFLICT);
    assert_int_equal(applied, 0);
    if (strstr(problem.data, why) == NULL)
        fail_test("%s, expected: %s", problem.data, why);
}

static unsigned migrations_behind_baseline(void)
{
    unsigned count = 0;

    while (mr_migrations[count].name != NULL)
        count++;
    return count - (unsigned)mr_baseline.version;
}

static int setup(void **state)
{
    (void)state;
    fresh = database_new_empty();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mr_app_steps_install(NULL);
    database_destroy(&fresh);
    return 0;
}

static bool exists(const struct database *database, const char *relation)
{
    return sql_number(database->db, "SELECT (to_regclass('%s') IS NOT NULL)::int", relation) == 1;
}

/* ---- What is there ---- */

/*
 * A line for each thing in schema `$s`: columns in their order, constraints, indexes, triggers, functions, sequences, comments. A
 * constraint that was added without a look at the rows says NOT VALID until somebody has it looked at, and holds all the same.
 */
#define CATALOGUE                                                                                                               \
    "WITH t AS (SELECT c.* FROM pg_class c WHERE c.relnamespace = '%1$s'::regnamespace AND c.relkind = 'r')"                    \
    " SELECT format('table %%s %%s %%s', t.relname, t.relpersistence,"                                                          \
    "               (SELECT string_agg(o, ' ' ORDER BY o) FROM unnest(t.reloptions) o)) AS line FROM t"                         \
    " UNION ALL SELECT format('column %%s %%s %%s %%s %%s %%s %%s %%s %%s %%s', t.relname,"                                     \
    "               row_number() OVER (PARTITION BY t.oid ORDER BY a.attnum), a.attname, format_type(a.atttypid, a.atttypmod)," \
    "               a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated, a.attstorage, a.attcollation::regcollation)" \
    "   FROM t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped"                               \
    "   LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum"                                                     \
    " UNION ALL SELECT format('constraint %%s %%s %%s', t.relname, n.conname, replace(pg_get_constraintdef(n.oid), ' NOT VALID', ''))" \
    "   FROM t JOIN pg_constraint n ON n.conrelid = t.oid"                                                                      \
    " UNION ALL SELECT format('index %%s %%s', pg_get_indexdef(i.indexrelid), obj_description(i.indexrelid, 'pg_class'))"       \
    "   FROM t JOIN pg_index i ON i.indrelid = t.oid"                                                                           \
    " UNION ALL SELECT format('trigger %%s %%s', pg_get_triggerdef(g.oid), g.tgenabled) FROM pg_trigger g"                      \
    "   JOIN pg_class c ON c.oid = g.tgrelid AND c.relkind = 'r' JOIN pg_proc p ON p.oid = g.tgfoid"                            \
    "   WHERE NOT g.tgisinternal AND (p.pronamespace = '%1$s'::regnamespace OR c.relnamespace = '%1$s'::regnamespace)"          \
    " UNION ALL SELECT format('function %%s', pg_get_functiondef(p.oid)) FROM pg_proc p WHERE p.pronamespace = '%1$s'::regnamespace" \
    " UNION ALL SELECT format('sequence %%s %%s %%s %%s', s.sequencename, s.data_type, s.increment_by, s.cache_size)"           \
    "   FROM pg_sequences s WHERE s.schemaname = '%1$s'"

/* Lines of one catalogue that the other has not; `but` is a condition for lines that need not be there. */
static void must_be_in(const struct database *here, const struct database *there, const char *schema, const char *but)
{
    mr_db *db = database_connect(there);
    mr_rows *rows = NULL;
    char *query = NULL;
    char *sql = NULL;
    unsigned missing = 0;

    assert_true(asprintf(&query, CATALOGUE, schema) > 0);
    assert_true(asprintf(&sql, "SELECT line FROM (%s) c WHERE NOT (%s) ORDER BY 1", query, but) > 0);
    assert_int_equal(mr_db_exec(here->db, sql, mr_mono_ms(&mr_system_clock) + 30000, &rows), MR_OK);
    assert_true(mr_rows_count(rows) > 50);
    for (unsigned row = 0; row < mr_rows_count(rows); row++) {
        struct mr_slice line = {"", 0};

        mr_rows_get(rows, row, 0, &line);
        if (sql_number(db, "SELECT count(*) FROM (%s) c WHERE line = $line$%.*s$line$", query, (int)line.len, line.data) == 1)
            continue;
        print_error("only %s has: %.*s\n", here->name, (int)line.len, line.data);
        missing++;
    }
    assert_int_equal(missing, 0);
    mr_rows_free(&rows);
    mr_db_destroy(&db);
    free(query);
    free(sql);
}

/* What the migrations make for tasks, and to run beside older releases: the records, and odd and even claims. */
#define OF_TASKS                                                                                                          \
    "line LIKE '%task_account_gone%' OR line LIKE '% ON public.task%' OR line LIKE '% schema_migration %' OR line LIKE '%.schema_migration %'"             \
    " OR line LIKE 'constraint migration migration_%' OR line LIKE 'sequence job_claim %'"

static void test_baseline__leaves_what_the_migrations_leave(void **state)
{
    struct database *migrated = database_new_empty();
    char jobs[1024];

    (void)state;
    must_go_up(migrated, NULL, (unsigned)mr_baseline.version + migrations_behind_baseline());
    must_go_up(fresh, &no_steps, 1 + migrations_behind_baseline());
    must_be_in(migrated, fresh, "millrace", OF_TASKS);
    must_be_in(fresh, migrated, "millrace", OF_TASKS);
    snprintf(jobs, sizeof jobs, "%s", sql_text(migrated->db, "SELECT string_agg(j::text, ' ' ORDER BY name) FROM millrace.job j"
                                                             " WHERE name NOT IN ('aggregate', 'report')"));
    assert_string_equal(sql_text(fresh->db, "SELECT string_agg(j::text, ' ' ORDER BY name) FROM millrace.job j"), jobs);
    database_destroy(&migrated);
}

/* Of the releases before: the sequence, which has odd claims, and a function that nothing calls. */
#define OF_OLDER_RELEASES "line LIKE 'sequence job_claim %' OR line LIKE 'function %.forget_task_count()%'"

/* What a database that is adopted has, a new one of the baseline gets from the application: the one in the binary. */
static void test_baseline__and_the_first_migration_of_tasks_leave_what_the_migrations_leave(void **state)
{
    static const char priorities[] = "SELECT string_agg(p::text, ' ' ORDER BY code) FROM task_priority p";
    struct database *migrated = database_new_empty();
    struct mr_app_step step = {.name = "0001_tasks"};
    struct mr_app_steps tasks = {.items = &step, .count = 1};
    char expected[1024];

    (void)state;
    for (unsigned i = 0; i < mr_packed_application.count; i++)
        if (strcmp(mr_packed_application.files[i].name, "migrations/0001_tasks.sql") == 0)
            step.text = mr_packed_application.files[i].text;
    assert_non_null(step.text);
    must_go_up(migrated, NULL, (unsigned)mr_baseline.version + migrations_behind_baseline());
    must_go_up(fresh, &tasks, 2 + migrations_behind_baseline());
    must_be_in(migrated, fresh, "public", OF_OLDER_RELEASES);
    must_be_in(fresh, migrated, "public", "false");
    snprintf(expected, sizeof expected, "%s", sql_text(migrated->db, "%s", priorities));
    assert_string_equal(sql_text(fresh->db, "%s", priorities), expected);
    database_destroy(&migrated);
}

static void test_baseline__leaves_nothing_in_public(void **state)
{
    (void)state;
    must_go_up(fresh, &no_steps, 1 + migrations_behind_baseline());
    assert_int_equal(sql_number(fresh->db, "SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace)"
                                           " + (SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace)"
                                           " + (SELECT count(*) FROM pg_type WHERE typnamespace = 'public'::regnamespace)"), 0);
}

/* An actor prepares all its statements at once: one that names a table of tasks would keep it from its work. */
static void test_baseline__has_what_statements_of_the_engine_name(void **state)
{
    unsigned prepared = 0;

    (void)state;
    must_go_up(fresh, &no_steps, 1 + migrations_behind_baseline());
    for (const struct mr_statement *s = mr_statements; s->name != NULL; s++) {
        sql_exec(fresh->db, "/* %s */ PREPARE it AS %s", s->name, s->text);
        sql_exec(fresh->db, "DEALLOCATE it");
        prepared++;
    }
    assert_true(prepared > 60);
}

/* As if all that it stands for had run: a binary that checks the record needs to know no baseline. */
static void test_baseline__leaves_the_record_of_the_migrations(void **state)
{
    char hash[MR_CHECKSUM_ROOM];

    (void)state;
    must_go_up(fresh, &no_steps, 1 + migrations_behind_baseline());
    for (const struct mr_migration *m = mr_migrations; m->name != NULL; m++) {
        mr_ledger_checksum(hash, m->text);
        assert_int_equal(sql_number(fresh->db, "SELECT count(*) FROM millrace.migration WHERE version = %d AND runs_with = %d AND checksum = '%s'",
                                    m->version, m->runs_with > 0 ? m->runs_with : m->version, hash), 1);
    }
}

static void test_baseline__a_text_that_was_changed_is_refused(void **state)
{
    (void)state;
    must_go_up(fresh, &no_steps, 1 + migrations_behind_baseline());
    sql_exec(fresh->db, "UPDATE millrace.migration SET checksum = 'x' WHERE version = 5");
    must_be_refused(fresh, &no_steps, "another text");
}

static void test_baseline__a_schema_of_somebody_else_is_refused_with_its_name(void **state)
{
    unsigned applied = 99;

    (void)state;
    sql_exec(fresh->db, "CREATE SCHEMA millrace; CREATE TABLE millrace.job (n integer)");
    assert_int_not_equal(up(fresh, &no_steps, &applied), MR_OK);
    assert_non_null(strstr(problem.data, "has a relation \"job\" that is not of this installation"));
    assert_false(exists(fresh, "millrace.account"));
    sql_exec(fresh->db, "DROP TABLE millrace.job");
    must_go_up(fresh, &no_steps, 1 + migrations_behind_baseline());
}

/* A release that knows no baseline was started there, and made tables of its own. Whoever has the baseline's goes on with these. */
static void test_baseline__tables_of_an_older_release_beside_it_change_nothing(void **state)
{
    (void)state;
    must_go_up(fresh, &no_steps, 1 + migrations_behind_baseline());
    sql_exec(fresh->db, "CREATE TABLE schema_migration (version integer, name text, checksum text, applied_at timestamptz DEFAULT now());"
                        "INSERT INTO schema_migration (version, name, checksum) VALUES (1, '0001_users_and_tasks', 'x')");
    must_go_up(fresh, &no_steps, 0);
}

/* ---- Applications ---- */

static const struct mr_app_step notes_items[] = {{"0001_note", "CREATE TABLE note (id uuid PRIMARY KEY)", false},
                                                 {"0002_task", "CREATE TABLE task (id uuid PRIMARY KEY)", false}};
static const struct mr_app_steps notes = {.items = notes_items, .count = 2};
/* The first would fail on tables that are there. */
static const struct mr_app_step heir_items[] = {{"0001_tasks", "CREATE TABLE task (id uuid PRIMARY KEY)", false},
                                                {"0002_more", "ALTER TABLE task ADD COLUMN more text", false}};
static const struct mr_app_steps heir = {.items = heir_items, .count = 2, .inherits = true};

static void test_application__has_a_database_without_tasks(void **state)
{
    (void)state;
    must_go_up(fresh, &notes, 3 + migrations_behind_baseline());
    assert_false(exists(fresh, "schema_migration"));
    assert_int_equal(sql_number(fresh->db, "SELECT count(*) FROM pg_attribute WHERE attrelid = 'task'::regclass AND attnum > 0"), 1);
    must_go_up(fresh, &notes, 0);
}

static void test_application__that_inherits_has_one_on_which_older_releases_run(void **state)
{
    (void)state;
    must_go_up(fresh, &heir, (unsigned)mr_baseline.version + migrations_behind_baseline() + 1);
    assert_int_equal(sql_number(fresh->db, "SELECT max(version) FROM public.schema_migration"), 7);
    assert_true(exists(fresh, "task_count"));
    assert_string_equal(sql_text(fresh->db, "SELECT string_agg(number || ' ' || name, ', ' ORDER BY number) FROM millrace.app_migration"),
                        "1 0001_tasks, 2 0002_more");
    must_go_up(fresh, &heir, 0);
}

static struct mr_migration *migrations_to(int version)
{
    struct mr_migration *out = calloc((size_t)version + 1, sizeof *out);

    assert_non_null(out);
    memcpy(out, mr_migrations, (size_t)version * sizeof *out);
    return out;
}

/* Whichever release has left it, in the middle of its migrations too. */
static void test_application__that_inherits_adopts_what_an_older_release_made(void **state)
{
    (void)state;
    for (int version = 1; version <= mr_baseline.version; version += 3) {
        struct database *old = database_new_empty();
        struct mr_migration *known = migrations_to(version);
        unsigned applied;

        mr_app_steps_install(NULL);
        assert_int_equal(mr_migrate_up_with(&old->config, &mr_system_clock, 0, known, &applied, &problem), MR_OK);
        assert_int_equal(applied, version);
        sql_exec(old->db, "INSERT INTO app_user (id, username, email, first_name, last_name, password_hash)"
                          " VALUES (gen_random_uuid(), 'ann', '', '', '', '')");
        must_be_refused(old, &notes, "belongs to another application, whose tables the engine's migrations have made");
        must_be_refused(old, &no_steps, "belongs to another application");
        must_go_up(old, &heir, (unsigned)mr_baseline.version - (unsigned)version + migrations_behind_baseline() + 1);
        assert_int_equal(sql_number(old->db, "SELECT count(*) FROM millrace.app_user WHERE username = 'ann'"), 1);
        must_be_refused(old, &notes, "belongs to another application: its first migration is 0001_tasks");
        free(known);
        database_destroy(&old);
    }
}

static void test_application__that_inherits_and_another_refuse_each_other(void **state)
{
    struct database *other = database_new_empty();

    (void)state;
    must_go_up(fresh, &notes, 3 + migrations_behind_baseline());
    must_be_refused(fresh, &heir, "belongs to another application");
    must_go_up(other, &heir, (unsigned)mr_baseline.version + migrations_behind_baseline() + 1);
    must_be_refused(other, &notes, "belongs to another application");
    database_destroy(&other);
}

static void test_application__that_inherits_makes_its_tables_where_there_are_the_engine_s_alone(void **state)
{
    (void)state;
    must_go_up(fresh, &no_steps, 1 + migrations_behind_baseline());
    must_go_up(fresh, &heir, 2);
    assert_false(exists(fresh, "task_count"));
}

/* ---- Interrupted, and all at once ---- */

static const struct mr_app_step broken_items[] = {{"0001_note", "CREATE TABLE note (id uuid PRIMARY KEY); SELECT 1/0", false}};
static const struct mr_app_steps broken = {.items = broken_items, .count = 1};

static void test_interrupted__a_start_goes_on_where_the_one_before_came_to(void **state)
{
    unsigned applied = 99;

    (void)state;
    assert_int_not_equal(up(fresh, &broken, &applied), MR_OK);
    assert_int_equal(applied, 1 + migrations_behind_baseline());
    assert_false(exists(fresh, "note"));
    must_go_up(fresh, &notes, 2);
    must_go_up(fresh, &notes, 0);
}

/* Between the engine's last migration and the record that it is adopted. */
static void test_interrupted__what_is_not_adopted_yet_is_adopted_by_the_next_start(void **state)
{
    (void)state;
    must_go_up(fresh, NULL, (unsigned)mr_baseline.version + migrations_behind_baseline());
    must_be_refused(fresh, &notes, "belongs to another application");
    must_go_up(fresh, &heir, 1);
    sql_exec(fresh->db, "DELETE FROM millrace.app_migration; ALTER TABLE task DROP COLUMN more");
    must_go_up(fresh, &heir, 1);
}

static void *go_up(void *argument)
{
    struct mr_buf own_problem = {0};
    mr_status status = mr_migrate_up(&fresh->config, &mr_system_clock, 0, argument, &own_problem);

    mr_buf_fini(&own_problem);
    return status == MR_OK ? argument : NULL;
}

static void start_together(const struct mr_app_steps *steps, unsigned expected)
{
    enum { THREADS = 5 };
    pthread_t threads[THREADS];
    unsigned applied[THREADS] = {0};
    unsigned total = 0;
    bool good = true;

    mr_app_steps_install(steps);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, go_up, &applied[i]), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        void *result;

        pthread_join(threads[i], &result);
        good = good && result != NULL;
        total += applied[i];
    }
    assert_true(good);
    assert_int_equal(total, expected);
}

static void test_together__one_does_the_work(void **state)
{
    (void)state;
    start_together(&notes, 3 + migrations_behind_baseline());
}

static void test_together__one_adopts(void **state)
{
    (void)state;
    must_go_up(fresh, NULL, (unsigned)mr_baseline.version + migrations_behind_baseline());
    start_together(&heir, 1);
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
        TEST(test_baseline__leaves_what_the_migrations_leave),
        TEST(test_baseline__and_the_first_migration_of_tasks_leave_what_the_migrations_leave),
        TEST(test_baseline__has_what_statements_of_the_engine_name),
        TEST(test_baseline__leaves_nothing_in_public),
        TEST(test_baseline__leaves_the_record_of_the_migrations),
        TEST(test_baseline__a_text_that_was_changed_is_refused),
        TEST(test_baseline__a_schema_of_somebody_else_is_refused_with_its_name),
        TEST(test_baseline__tables_of_an_older_release_beside_it_change_nothing),
        TEST(test_application__has_a_database_without_tasks),
        TEST(test_application__that_inherits_has_one_on_which_older_releases_run),
        TEST(test_application__that_inherits_adopts_what_an_older_release_made),
        TEST(test_application__that_inherits_and_another_refuse_each_other),
        TEST(test_application__that_inherits_makes_its_tables_where_there_are_the_engine_s_alone),
        TEST(test_interrupted__a_start_goes_on_where_the_one_before_came_to),
        TEST(test_interrupted__what_is_not_adopted_yet_is_adopted_by_the_next_start),
        TEST(test_together__one_does_the_work),
        TEST(test_together__one_adopts),
    };

    return cmocka_run_group_tests(tests, database_server_start, done);
}
