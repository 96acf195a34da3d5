#include "runtime/db.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/column.h"
#include "runtime/needs.h"
#include "tests/support/database.h"
#include "tests/support/test.h"

static struct database *database;

static int setup(void **state)
{
    (void)state;
    database = database_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    database_destroy(&database);
    return 0;
}

static const struct mr_statement echo = {
    "echo", "SELECT t, u, i, b, w, count(*) OVER () AS total, k.n FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::boolean[], $5::timestamptz[])"
            " WITH ORDINALITY AS k (t, u, i, b, w, n) ORDER BY n"};
static const struct mr_statement sleeper = {"sleeper", "SELECT pg_sleep(k.s) FROM unnest($1::bigint[]) AS k (s)"};
static const struct mr_statement broken = {"broken", "SELECT nonsense FROM nowhere"};

static mr_db *make_db(const struct mr_config *config, const struct mr_clock *clock, const struct mr_statement *const *statements)
{
    struct mr_db_options options = {
        .config = config, .clock = clock, .host = config->db_host, .application_name = "db_test", .set_wise = true};
    mr_db *out = NULL;

    assert_int_equal(mr_db_new(&out, &options, statements), MR_OK);
    return out;
}

static int64_t in_ms(int64_t ms)
{
    return mr_mono_ms(&mr_system_clock) + ms;
}

static struct mr_slice get(const mr_rows *rows, unsigned row, unsigned column)
{
    struct mr_slice out = {"(null)", 6};

    mr_rows_get(rows, row, column, &out);
    return out;
}

/* What goes in as binary arrays comes out as the same values: for every type, with NULLs. */
static void test_db__binary_arrays_are_what_the_server_takes(void **state)
{
    static const struct mr_statement *const statements[] = {&echo, NULL};
    static const int64_t integers[] = {0, 1, -1, INT64_MAX, INT64_MIN, 946684800000000, 253402300799999999, -62135596800000000};
    mr_db *db = make_db(&database->config, &mr_system_clock, statements);
    struct mr_params params = {0};

    (void)state;
    assert_int_equal(mr_db_connect(db), MR_OK);
    for (unsigned count = 1; count <= 8; count++) {
        mr_rows *rows = NULL;

        mr_params_begin(&params, 5);
        for (unsigned i = 0; i < count; i++) {
            struct mr_value value = {.present = i % 3 != 2};
            char text[20000];

            memset(text, 'x', sizeof text);
            value.text = (struct mr_slice){text, i * 2500};
            mr_params_add(&params, 0, MR_TEXT, &value);
            memset(value.uuid, (int)i, sizeof value.uuid);
            mr_params_add(&params, 1, MR_UUID, &value);
            value.integer = integers[i];
            mr_params_add(&params, 2, MR_INT, &value);
            value.boolean = i % 2 == 0;
            mr_params_add(&params, 3, MR_BOOL, &value);
            value.integer = i < 5 ? integers[i % 3] : integers[i];
            mr_params_add(&params, 4, MR_TIME, &value);
        }
        assert_int_equal(mr_params_end(&params), MR_OK);
        if (mr_db_run(db, "echo", &params, in_ms(5000), &rows) != MR_OK)
            fail_test("%u: %s", count, mr_db_last_error(db)->message);
        assert_int_equal(mr_rows_count(rows), count);
        for (unsigned i = 0; i < count; i++) {
            assert_int_equal(mr_rows_int(rows, i, 6, 0), i + 1);
            if (i % 3 == 2) {
                for (unsigned column = 0; column < 5; column++)
                    assert_false(mr_rows_get(rows, i, column, &(struct mr_slice){0}));
                continue;
            }
            assert_int_equal(get(rows, i, 0).len, i * 2500);
            assert_int_equal(get(rows, i, 1).data[7], i);
            assert_int_equal(mr_rows_int(rows, i, 2, 0), integers[i]);
            assert_int_equal(get(rows, i, 3).data[0], i % 2 == 0);
            assert_int_equal(mr_rows_int(rows, i, 4, 0) + MR_POSTGRES_EPOCH_MICROS, i < 5 ? integers[i % 3] : integers[i]);
        }
        mr_rows_free(&rows);
    }
    mr_params_fini(&params);
    mr_db_destroy(&db);
}

static void test_db__an_error_of_the_server_keeps_the_connection(void **state)
{
    mr_db *db = make_db(&database->config, &mr_system_clock, NULL);

    (void)state;
    assert_int_equal(mr_db_connect(db), MR_OK);
    assert_int_equal(mr_db_exec(db, "SELECT 1/0", in_ms(5000), NULL), MR_INVALID);
    assert_string_equal(mr_db_last_error(db)->sqlstate, "22012");
    assert_false(mr_db_last_error(db)->lost);
    assert_true(mr_db_is_up(db));
    assert_int_equal(sql_number(db, "SELECT 42"), 42);
    mr_db_destroy(&db);
}

static void test_db__a_statement_that_does_not_prepare_is_told(void **state)
{
    static const struct mr_statement *const statements[] = {&echo, &broken, &sleeper, NULL};
    mr_db *db = make_db(&database->config, &mr_system_clock, statements);

    (void)state;
    assert_int_not_equal(mr_db_connect(db), MR_OK);
    assert_string_equal(mr_db_last_error(db)->sqlstate, "42P01");
    assert_false(mr_db_is_up(db));
    mr_db_destroy(&db);
}

static mr_status run_with(mr_db *db, const char *statement, int64_t number, int64_t deadline_ms)
{
    struct mr_params params = {0};
    mr_rows *rows = NULL;
    mr_status status;

    mr_params_begin(&params, 1);
    mr_params_int(&params, 0, number);
    assert_int_equal(mr_params_end(&params), MR_OK);
    status = mr_db_run(db, statement, &params, deadline_ms, &rows);
    if (status == MR_OK)
        mr_rows_free(&rows);
    mr_params_fini(&params);
    return status;
}

/* Runs `sleeper` for so many seconds. */
static mr_status sleep_for(mr_db *db, int64_t seconds, int64_t deadline_ms)
{
    return run_with(db, "sleeper", seconds, deadline_ms);
}

/* A connection stands whatever is wrong with a statement of the application's, and prepares each when it is needed first. */
static void test_db__statements_of_an_application_are_prepared_when_they_are_needed(void **state)
{
    static const struct mr_statement own[] = {{"a/broken", "SELECT nonsense FROM nowhere"},
                                              {"b/echo", "SELECT k.i FROM unnest($1::bigint[]) AS k (i)"}};
    struct mr_db_options options = {.config = &database->config,
                                    .clock = &mr_system_clock,
                                    .host = database->config.db_host,
                                    .application_name = "db_test",
                                    .set_wise = true,
                                    .application = true};
    mr_db *db = NULL;

    (void)state;
    mr_statements_install(own, 2);
    assert_int_equal(mr_db_new(&db, &options, NULL), MR_OK);
    for (int connection = 0; connection < 2; connection++) {
        assert_int_equal(mr_db_connect(db), MR_OK);
        assert_false(mr_db_is_prepared(db, "b/echo"));
        assert_int_not_equal(run_with(db, "a/broken", 1, in_ms(5000)), MR_OK);
        assert_string_equal(mr_db_last_error(db)->sqlstate, "42P01");
        assert_true(mr_db_is_up(db));
        assert_int_equal(run_with(db, "b/echo", 1, in_ms(5000)), MR_OK);
        assert_true(mr_db_is_prepared(db, "b/echo"));
        assert_int_equal(run_with(db, "b/echo", 1, in_ms(5000)), MR_OK);
        assert_int_equal(sql_number(db, "SELECT count(*) FROM pg_prepared_statements"), 1);
        mr_db_release(db);
    }
    mr_db_destroy(&db);
    mr_statements_install(NULL, 0);
}

static mr_db *make_unhurried(const struct mr_statement *const *statements)
{
    struct mr_db_options options = {.config = &database->config,
                                    .clock = &mr_system_clock,
                                    .host = database->config.db_host,
                                    .application_name = "db_test",
                                    .set_wise = true,
                                    .unhurried = true};
    mr_db *out = NULL;

    assert_int_equal(mr_db_new(&out, &options, statements), MR_OK);
    return out;
}

/* Where nobody has looked at the migrations, what is missing has to show at connect; so it does on a connection that is made anew. */
static void test_db__an_unhurried_connection_prepares_what_is_needed_first(void **state)
{
    static const struct mr_statement *const statements[] = {&echo, &sleeper, NULL};
    static const char *const names[] = {"sleeper", NULL};
    mr_db *db = make_unhurried(statements);

    (void)state;
    assert_int_equal(mr_db_connect(db), MR_OK);
    assert_false(mr_db_owes(db));
    assert_int_equal(sql_number(db, "SELECT count(*) FROM pg_prepared_statements"), 2);
    mr_db_destroy(&db);

    mr_needs_note_migrated();
    db = make_unhurried(statements);
    assert_int_equal(mr_db_connect(db), MR_OK);
    assert_true(mr_db_owes(db));
    assert_false(mr_db_is_prepared(db, "sleeper"));
    assert_int_equal(run_with(db, "sleeper", 0, in_ms(5000)), MR_OK);
    assert_int_equal(mr_db_prepare(db, names, in_ms(5000)), MR_OK);
    assert_true(mr_db_is_prepared(db, "sleeper"));
    assert_int_equal(sql_number(db, "SELECT count(*) FROM pg_prepared_statements"), 1);
    assert_true(mr_db_owes(db));
    assert_int_equal(mr_db_prepare_next(db, in_ms(5000)), MR_OK);
    assert_false(mr_db_owes(db));
    assert_true(mr_db_is_prepared(db, "echo"));
    mr_db_release(db);
    assert_int_equal(mr_db_connect(db), MR_OK);
    assert_false(mr_db_owes(db));
    assert_int_equal(sql_number(db, "SELECT count(*) FROM pg_prepared_statements"), 2);
    mr_db_destroy(&db);
    mr_needs_install(NULL);
}

static void test_db__what_an_unhurried_connection_cannot_prepare_takes_it_down(void **state)
{
    static const struct mr_statement *const statements[] = {&echo, &broken, NULL};
    mr_db *db = make_unhurried(statements);

    (void)state;
    mr_needs_note_migrated();
    assert_int_equal(mr_db_connect(db), MR_OK);
    assert_int_equal(mr_db_prepare_next(db, in_ms(5000)), MR_OK);
    assert_int_not_equal(mr_db_prepare_next(db, in_ms(5000)), MR_OK);
    assert_false(mr_db_is_up(db));
    assert_int_equal(mr_db_trouble(db), MR_DB_SCHEMA);
    assert_int_not_equal(mr_db_reconnect(db), MR_OK);
    assert_int_equal(mr_db_trouble(db), MR_DB_SCHEMA);
    mr_db_destroy(&db);
    mr_needs_install(NULL);
}

static mr_db *connect_sleeper(void)
{
    static const struct mr_statement *const statements[] = {&sleeper, NULL};
    mr_db *db = make_db(&database->config, &mr_system_clock, statements);

    assert_int_equal(mr_db_connect(db), MR_OK);
    return db;
}

static void test_db__the_server_ends_a_statement_at_its_deadline_and_the_connection_stays(void **state)
{
    mr_db *db = connect_sleeper();
    int64_t pid = backend_pid(database->db, "db_test", false);

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct stopwatch watch = stopwatch_start();

        assert_int_equal(sleep_for(db, 5, in_ms(200)), MR_TIMEOUT);
        assert_took(&watch, 190, 650);
        assert_string_equal(mr_db_last_error(db)->sqlstate, "57014");
        assert_false(mr_db_last_error(db)->lost);
        assert_int_equal(backend_pid(database->db, "db_test", false), pid);
        assert_int_equal(sleep_for(db, 0, in_ms(5000)), MR_OK); /* its time is its own, not that of the one before */
    }
    assert_int_equal(sleep_for(db, 1, in_ms(9000)), MR_OK);
    mr_db_destroy(&db);
}

static void test_db__what_is_late_already_is_not_sent(void **state)
{
    mr_db *db = connect_sleeper();
    struct stopwatch watch = stopwatch_start();

    (void)state;
    assert_int_equal(sleep_for(db, 5, watch.began_ms), MR_TIMEOUT);
    assert_took(&watch, 0, 200);
    assert_false(mr_db_last_error(db)->lost);
    assert_true(mr_db_is_up(db));
    mr_db_destroy(&db);
}

/* A server that does not end it either is given up, and soon. */
static void test_db__a_hung_server_loses_the_connection_shortly_after_the_deadline(void **state)
{
    mr_db *db = connect_sleeper();
    pid_t pid = (pid_t)backend_pid(database->db, "db_test", false);
    struct stopwatch watch = stopwatch_start();
    mr_status status;

    (void)state;
    assert_int_equal(kill(pid, SIGSTOP), 0);
    status = sleep_for(db, 0, in_ms(200));
    kill(pid, SIGCONT);
    assert_int_equal(status, MR_TIMEOUT);
    assert_took(&watch, 190, 2000);
    assert_true(mr_db_last_error(db)->lost);
    assert_false(mr_db_is_up(db));
    assert_int_equal(mr_db_fd(db), -1);
    assert_int_equal(sleep_for(db, 0, in_ms(200)), MR_UNAVAILABLE);
    assert_int_equal(mr_db_reconnect(db), MR_OK);
    mr_db_destroy(&db);
}

static bool at_once(void *argument)
{
    (void)argument;
    return true;
}

/* What lifts the limit for one statement does not lift it for the next. */
static void test_db__a_statement_without_a_limit_leaves_the_limit_of_the_next(void **state)
{
    mr_db *db = connect_sleeper();

    (void)state;
    assert_int_equal(mr_db_exec_unless(db, "SELECT pg_sleep(30)", at_once, NULL), MR_TIMEOUT);
    assert_true(mr_db_is_up(db));
    assert_string_equal(sql_text(db, "SHOW statement_timeout"), "0");
    assert_int_equal(sleep_for(db, 0, in_ms(60000)), MR_OK);
    assert_string_equal(sql_text(db, "SHOW statement_timeout"), "10s");
    mr_db_destroy(&db);
}

static bool never(void *argument)
{
    (void)argument;
    return false;
}

/* Of a long text the first results arrive while later statements are at work, and these may take as long as they like. */
static void test_db__every_statement_of_a_text_has_its_time(void **state)
{
    mr_db *db = connect_sleeper();

    (void)state;
    assert_int_equal(mr_db_exec_unless(db, "SELECT 1; SELECT repeat('x', 20000); SELECT pg_sleep(2.3); SELECT 1", never, NULL), MR_OK);
    assert_int_equal(mr_db_exec_unless(db, "SELECT 1; SELECT repeat('x', 20000); SELECT pg_sleep(30)", at_once, NULL), MR_TIMEOUT);
    assert_true(mr_db_is_up(db));
    mr_db_destroy(&db);
}

/* To cancel takes a connection of its own, and that may hang: nobody waits for it beyond the statement's own end. */
static void test_db__a_cancellation_that_hangs_is_not_waited_for(void **state)
{
    mr_db *db = connect_sleeper();
    int64_t postmaster = sql_number(database->db, "SELECT pg_ls_dir::int FROM (SELECT split_part(pg_read_file('postmaster.pid'), E'\n', 1)::int AS pg_ls_dir) f");
    struct stopwatch watch = stopwatch_start();
    mr_status status;

    (void)state;
    assert_true(postmaster > 0);
    assert_int_equal(kill((pid_t)postmaster, SIGSTOP), 0);
    status = mr_db_exec_unless(db, "SELECT pg_sleep(30)", at_once, NULL);
    kill((pid_t)postmaster, SIGCONT);
    assert_int_equal(status, MR_TIMEOUT);
    assert_took(&watch, 1900, 4000);
    mr_db_destroy(&db);
}

static void test_db__the_server_ends_what_takes_too_long(void **state)
{
    mr_db *db;

    (void)state;
    database->config.request_timeout = 100;
    db = make_db(&database->config, &mr_system_clock, NULL);
    assert_int_equal(mr_db_connect(db), MR_OK);
    assert_int_equal(mr_db_exec(db, "SELECT pg_sleep(5)", in_ms(5000), NULL), MR_TIMEOUT);
    assert_string_equal(mr_db_last_error(db)->sqlstate, "57014");
    assert_false(mr_db_last_error(db)->rerun);
    assert_true(mr_db_is_up(db));
    mr_db_destroy(&db);
}

/* A host that takes the connection and never says a word. */
static void test_db__a_silent_host_costs_no_more_than_the_connect_timeout(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct mr_config config = database->config;
    struct stopwatch watch = stopwatch_start();
    mr_db *db;

    (void)state;
    assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    config.db_host = "127.0.0.1";
    config.db_port = ntohs(address.sin_port);
    config.db_connect_timeout = 200;
    db = make_db(&config, &mr_system_clock, NULL);
    assert_int_equal(mr_db_connect(db), MR_UNAVAILABLE);
    assert_took(&watch, 190, 2000);
    mr_db_destroy(&db);
    close(listener);
}

/* The test's clock stands still unless it is moved: pauses of 50 ms, doubling to a second. */
static void test_db__attempts_are_spaced_by_growing_pauses(void **state)
{
    static struct test_clock clock;
    struct mr_config config = database->config;
    static const int64_t pauses[] = {50, 100, 200, 400, 800, 1000, 1000, 1000};
    mr_db *db;

    (void)state;
    test_clock_init(&clock, 0);
    config.db_host = "/nonexistent";
    db = make_db(&config, &clock.clock, NULL);
    for (size_t i = 0; i < sizeof pauses / sizeof pauses[0]; i++) {
        assert_int_equal(mr_db_connect(db), MR_UNAVAILABLE); /* an attempt */
        config.db_host = database->config.db_host;
        test_clock_advance(&clock, pauses[i] - 1);
        assert_int_equal(mr_db_connect(db), MR_UNAVAILABLE);
        assert_false(mr_db_is_up(db)); /* none was made, though it would have worked */
        test_clock_advance(&clock, 1);
    }
    mr_db_destroy(&db);
}

static void test_db__a_success_resets_the_pause(void **state)
{
    static struct test_clock clock;
    struct mr_config config = database->config;
    mr_db *db;

    (void)state;
    test_clock_init(&clock, 0);
    config.db_database = "no_such_database";
    db = make_db(&config, &clock.clock, NULL);
    for (int i = 0; i < 3; i++)
        assert_int_equal(mr_db_reconnect(db), MR_UNAVAILABLE);
    config.db_database = database->name;
    assert_int_equal(mr_db_connect(db), MR_UNAVAILABLE); /* 200 ms have to pass */
    assert_int_equal(mr_db_reconnect(db), MR_OK);
    sql_exec(database->db, "SELECT pg_terminate_backend(%lld, 5000)", (long long)backend_pid(database->db, "db_test", false));
    mr_db_consume_input(db);
    eventually((mr_db_consume_input(db), !mr_db_is_up(db)));
    assert_int_equal(mr_db_connect(db), MR_OK); /* at once: nothing failed since */
    mr_db_destroy(&db);
}

/* What role, database or server say about a session is not what our SQL gets to see. */
static void test_db__a_session_is_set_to_what_the_sql_depends_on(void **state)
{
    static const struct {
        const char *name;
        const char *foreign;
        const char *ours;
    } settings[] = {
        {"DateStyle", "SQL, DMY", "ISO, YMD"},
        {"IntervalStyle", "sql_standard", "postgres"},
        {"TimeZone", "Asia/Kolkata", "UTC"},
        {"search_path", "nowhere", "public, pg_temp"},
        {"bytea_output", "escape", "hex"},
        {"extra_float_digits", "-5", "1"},
        {"default_transaction_isolation", "serializable", "read committed"},
        {"statement_timeout", "900ms", "10s"},
        {"lock_timeout", "1ms", "3s"},
        {"idle_in_transaction_session_timeout", "0", "1min"},
        {"plan_cache_mode", "force_custom_plan", "force_generic_plan"},
        {"enable_seqscan", "on", "off"},
        {"enable_indexscan", "off", "on"},
        {"standard_conforming_strings", "off", "on"},
        {"array_nulls", "off", "on"},
        {"client_min_messages", "debug1", "warning"},
        {"gin_fuzzy_search_limit", "1", "0"},
        {"idle_session_timeout", "5s", "0"},
        {"client_encoding", "LATIN1", "UTF8"},
    };
    static const struct mr_statement *const statements[] = {&sleeper, NULL};
    mr_db *db;

    (void)state;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        sql_exec(database->db, "ALTER DATABASE %s SET %s TO %s%s%s", database->name, settings[i].name,
                 settings[i].name[0] == 'D' ? "" : "'", settings[i].foreign, settings[i].name[0] == 'D' ? "" : "'");
    db = make_db(&database->config, &mr_system_clock, statements);
    assert_int_equal(mr_db_connect(db), MR_OK);
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        assert_string_equal(sql_text(db, "SHOW %s", settings[i].name), settings[i].ours);
    mr_db_destroy(&db);
}

/* What no ordinary role may set is looked at: writes without their triggers would be wrong, and nobody would know. */
static void test_db__a_session_without_triggers_is_refused(void **state)
{
    mr_db *db = make_db(&database->config, &mr_system_clock, NULL);

    (void)state;
    sql_exec(database->db, "ALTER DATABASE %s SET session_replication_role TO replica", database->name);
    assert_int_equal(mr_db_connect(db), MR_UNAVAILABLE);
    assert_non_null(strstr(mr_db_last_error(db)->message, "session_replication_role"));
    sql_exec(database->db, "ALTER DATABASE %s RESET session_replication_role", database->name);
    assert_int_equal(mr_db_reconnect(db), MR_OK);
    mr_db_destroy(&db);
}

/* A migration went by, a pooler gave us another session: the statement is run again on a connection that is set up anew. */
static void test_db__a_session_that_is_not_what_it_was_is_dropped(void **state)
{
    static const struct mr_statement reader = {"reader", "SELECT k.i, s.summary FROM unnest($1::bigint[]) AS k (i) LEFT JOIN stale s ON s.id = k.i"};
    static const struct mr_statement *const statements[] = {&reader, NULL};
    static const char *const harm[] = {"ALTER TABLE stale ALTER COLUMN summary TYPE varchar(99)", "DEALLOCATE ALL"};
    static const char *const signs[] = {"0A000", "26000"};
    struct mr_params params = {0};
    mr_rows *rows = NULL;
    mr_db *db;

    (void)state;
    sql_exec(database->db, "CREATE TABLE stale (id bigint, summary text)");
    db = make_db(&database->config, &mr_system_clock, statements);
    mr_params_begin(&params, 1);
    mr_params_int(&params, 0, 1);
    assert_int_equal(mr_params_end(&params), MR_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(mr_db_connect(db), MR_OK);
        assert_int_equal(mr_db_run(db, "reader", &params, in_ms(5000), &rows), MR_OK);
        mr_rows_free(&rows);
        sql_exec(db, "%s", harm[i]);
        assert_int_equal(mr_db_run(db, "reader", &params, in_ms(5000), &rows), MR_UNAVAILABLE);
        assert_string_equal(mr_db_last_error(db)->sqlstate, signs[i]);
        assert_true(mr_db_last_error(db)->lost && mr_db_last_error(db)->undone);
        assert_false(mr_db_is_up(db));
        assert_int_equal(mr_db_reconnect(db), MR_OK);
        assert_int_equal(mr_db_run(db, "reader", &params, in_ms(5000), &rows), MR_OK);
        mr_rows_free(&rows);
    }
    mr_params_fini(&params);
    mr_db_destroy(&db);
}

static void make_read_only(bool yes)
{
    sql_exec(database->db, "ALTER DATABASE %s SET default_transaction_read_only TO %s", database->name, yes ? "on" : "off");
}

/* A new connection is one that can write, or none; a connection that only reads takes any server. */
static void test_db__a_server_that_takes_no_writes_is_not_connected_to(void **state)
{
    struct mr_db_options reader = {
        .config = &database->config, .clock = &mr_system_clock, .host = database->config.db_host, .application_name = "reader", .standby = true};
    mr_db *db = make_db(&database->config, &mr_system_clock, NULL);
    mr_db *other = NULL;

    (void)state;
    assert_int_equal(mr_db_new(&other, &reader, NULL), MR_OK);
    make_read_only(true);
    assert_int_equal(mr_db_connect(db), MR_UNAVAILABLE);
    assert_string_equal(mr_db_last_error(db)->sqlstate, "25006");
    assert_non_null(strstr(mr_db_last_error(db)->message, "standby"));
    assert_false(mr_db_is_up(db));
    assert_int_equal(mr_db_connect(other), MR_OK);
    make_read_only(false);
    assert_int_equal(mr_db_reconnect(db), MR_OK);
    mr_db_destroy(&db);
    mr_db_destroy(&other);
}

static bool is_readable(int fd)
{
    struct pollfd item = {.fd = fd, .events = POLLIN};

    assert_true(fd >= 0);
    return poll(&item, 1, 0) == 1;
}

/* One sign of a demotion recycles every connection to the primary, and none to the replica. */
static void test_db__one_demotion_is_enough_for_all(void **state)
{
    struct mr_db_options reader = {
        .config = &database->config, .clock = &mr_system_clock, .host = database->config.db_host, .application_name = "reader", .standby = true};
    mr_db *db[3] = {NULL};
    mr_db *other = NULL;
    int bell;

    (void)state;
    assert_int_equal(mr_db_new(&other, &reader, NULL), MR_OK);
    assert_int_equal(mr_db_connect(other), MR_OK);
    for (int i = 0; i < 3; i++) {
        db[i] = make_db(&database->config, &mr_system_clock, NULL);
        assert_int_equal(mr_db_connect(db[i]), MR_OK);
    }
    bell = mr_db_demoted_fd(db[0]);
    assert_false(is_readable(bell));
    assert_int_equal(mr_db_demoted_fd(other), -1);
    sql_exec(db[1], "SET default_transaction_read_only TO on");
    assert_int_equal(mr_db_exec(db[1], "CREATE TABLE nothing ()", in_ms(5000), NULL), MR_UNAVAILABLE);
    assert_false(mr_db_is_up(db[1]));
    assert_int_equal(mr_db_demoted_fd(db[1]), -1);
    assert_true(is_readable(bell));
    make_read_only(true);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(mr_db_connect(db[i]), MR_UNAVAILABLE);
        assert_false(mr_db_is_up(db[i]));
    }
    assert_int_equal(mr_db_connect(other), MR_OK);
    assert_int_equal(sql_number(other, "SELECT 42"), 42);
    make_read_only(false);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(mr_db_reconnect(db[i]), MR_OK);
        assert_int_equal(mr_db_connect(db[i]), MR_OK);
        assert_false(is_readable(mr_db_demoted_fd(db[i])));
        mr_db_destroy(&db[i]);
    }
    mr_db_destroy(&other);
}

static void test_db__notices_of_its_channel(void **state)
{
    struct mr_db_options options = {.config = &database->config, .clock = &mr_system_clock, .host = database->config.db_host,
                                    .application_name = "db_test", .channel = "some_channel", .set_wise = true};
    static const struct mr_statement *const statements[] = {&echo, NULL};
    mr_db *db = NULL;

    (void)state;
    assert_int_equal(mr_db_new(&db, &options, statements), MR_OK);
    assert_int_equal(mr_db_connect(db), MR_OK);
    assert_true(mr_db_notified(db)); /* what was told before the connection stood is not known */
    assert_false(mr_db_notified(db));
    sql_exec(database->db, "NOTIFY some_channel");
    eventually((mr_db_consume_input(db), mr_db_notified(db)));
    assert_false(mr_db_notified(db));
    sql_exec(database->db, "NOTIFY another_channel");
    assert_int_equal(sql_number(db, "SELECT 1"), 1);
    assert_false(mr_db_notified(db));
    mr_db_destroy(&db);
}

static void test_db__types_it_does_not_know_are_an_error_not_a_crash(void **state)
{
    static const struct mr_statement odd = {"odd", "SELECT '{\"1 s\"}'::interval[], '{1}'::bytea, '1 s'::interval, 2::smallint, 3::int, 0.5::float8,"
                                                   " 'v'::varchar, 'u', NULL FROM unnest($1::bigint[])"};
    static const struct mr_statement *const statements[] = {&odd, NULL};
    mr_db *db = make_db(&database->config, &mr_system_clock, statements);
    struct mr_params params = {0};
    struct mr_value one = {.present = true, .integer = 1};
    struct mr_buf json = {0};
    struct mr_slice bytes;
    mr_rows *rows = NULL;

    (void)state;
    assert_int_equal(mr_db_connect(db), MR_OK);
    mr_params_begin(&params, 1);
    mr_params_add(&params, 0, MR_INT, &one);
    assert_int_equal(mr_params_end(&params), MR_OK);
    assert_int_equal(mr_db_run(db, "odd", &params, in_ms(5000), &rows), MR_OK);
    for (unsigned column = 0; column < mr_rows_columns(rows); column++) {
        uint32_t type = mr_rows_type(rows, column);

        if (mr_rows_get(rows, 0, column, &bytes))
            assert_int_equal(mr_column_writer_of(type)(&json, type, bytes), column < 3 ? MR_UNREADABLE : MR_SAID);
    }
    assert_int_equal(mr_rows_int(rows, 0, 3, 0), 2);
    assert_int_equal(mr_rows_int(rows, 0, 8, 77), 77);
    mr_rows_free(&rows);
    mr_params_fini(&params);
    mr_buf_fini(&json);
    mr_db_destroy(&db);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* ---- In flight ---- */

static const struct mr_statement divider = {"divider", "SELECT 1 / k.d FROM unnest($1::bigint[]) AS k (d)"};

static mr_db *connect_for_flights(void)
{
    static const struct mr_statement *const statements[] = {&sleeper, &divider, NULL};
    mr_db *db = make_db(&database->config, &mr_system_clock, statements);

    assert_int_equal(mr_db_connect(db), MR_OK);
    return db;
}

static void send_number(mr_db *db, const char *statement, int64_t number, int64_t deadline_ms)
{
    struct mr_params params = {0};

    mr_params_begin(&params, 1);
    mr_params_int(&params, 0, number);
    assert_int_equal(mr_params_end(&params), MR_OK);
    assert_int_equal(mr_db_send(db, statement, &params, deadline_ms), MR_OK);
    mr_params_fini(&params);
}

static mr_status take_next(mr_db *db)
{
    mr_status status = MR_OK;
    mr_rows *rows = NULL;

    assert_true(mr_db_take(db, true, &status, &rows));
    if (status == MR_OK)
        assert_int_equal(mr_rows_count(rows), 1);
    mr_rows_free(&rows);
    return status;
}

static void test_db__one_in_flight_that_fails_takes_no_other_with_it(void **state)
{
    mr_db *db = connect_for_flights();
    int64_t soon_ms = in_ms(900); /* a limit goes in front of each */

    (void)state;
    for (int i = 0; i < 2; i++) {
        send_number(db, "divider", 1, in_ms(9000));
        send_number(db, "divider", 0, soon_ms);
        send_number(db, "divider", 1, in_ms(9000));
        assert_int_equal(mr_db_in_flight(db), 3);
        assert_int_equal(take_next(db), MR_OK);
        assert_int_not_equal(take_next(db), MR_OK);
        assert_string_equal(mr_db_last_error(db)->sqlstate, "22012");
        assert_false(mr_db_last_error(db)->lost);
        assert_int_equal(take_next(db), MR_OK);
        assert_int_equal(mr_db_in_flight(db), 0);
        assert_int_equal(sleep_for(db, 0, in_ms(5000)), MR_OK); /* the connection is as before */
        soon_ms = in_ms(5000);
    }
    mr_db_destroy(&db);
}

/* The second begins when its time is nearly over, which the server does not know. */
static void test_db__one_in_flight_that_began_late_is_cancelled_and_the_connection_stays(void **state)
{
    mr_db *db = connect_for_flights();
    int64_t pid = backend_pid(database->db, "db_test", false);
    struct stopwatch watch = stopwatch_start();

    (void)state;
    send_number(db, "sleeper", 2, watch.began_ms + 9000);
    send_number(db, "sleeper", 9, watch.began_ms + 2500);
    send_number(db, "sleeper", 0, watch.began_ms + 9000);
    assert_int_equal(take_next(db), MR_OK);
    assert_int_equal(take_next(db), MR_TIMEOUT);
    assert_took(&watch, 2500, 4000);
    assert_false(mr_db_last_error(db)->lost);
    assert_int_equal(take_next(db), MR_OK);
    assert_int_equal(backend_pid(database->db, "db_test", false), pid);
    mr_db_destroy(&db);
}

static void test_db__a_connection_that_breaks_loses_all_in_flight(void **state)
{
    mr_db *db = connect_for_flights();

    (void)state;
    for (int i = 0; i < 3; i++)
        send_number(db, "sleeper", 5, in_ms(9000));
    sql_exec(database->db, "SELECT pg_terminate_backend(%lld)", (long long)backend_pid(database->db, "db_test", false));
    assert_int_equal(take_next(db), MR_UNAVAILABLE);
    assert_true(mr_db_last_error(db)->lost);
    assert_false(mr_db_last_error(db)->undone);
    assert_int_equal(mr_db_in_flight(db), 0);
    assert_false(mr_db_is_up(db));
    assert_int_equal(mr_db_reconnect(db), MR_OK);
    assert_int_equal(sleep_for(db, 0, in_ms(5000)), MR_OK);
    mr_db_destroy(&db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_db__binary_arrays_are_what_the_server_takes),
        TEST(test_db__an_error_of_the_server_keeps_the_connection),
        TEST(test_db__a_statement_that_does_not_prepare_is_told),
        TEST(test_db__statements_of_an_application_are_prepared_when_they_are_needed),
        TEST(test_db__an_unhurried_connection_prepares_what_is_needed_first),
        TEST(test_db__what_an_unhurried_connection_cannot_prepare_takes_it_down),
        TEST(test_db__the_server_ends_a_statement_at_its_deadline_and_the_connection_stays),
        TEST(test_db__one_in_flight_that_fails_takes_no_other_with_it),
        TEST(test_db__one_in_flight_that_began_late_is_cancelled_and_the_connection_stays),
        TEST(test_db__a_connection_that_breaks_loses_all_in_flight),
        TEST(test_db__what_is_late_already_is_not_sent),
        TEST(test_db__a_hung_server_loses_the_connection_shortly_after_the_deadline),
        TEST(test_db__a_statement_without_a_limit_leaves_the_limit_of_the_next),
        TEST(test_db__every_statement_of_a_text_has_its_time),
        TEST(test_db__a_cancellation_that_hangs_is_not_waited_for),
        TEST(test_db__the_server_ends_what_takes_too_long),
        TEST(test_db__a_silent_host_costs_no_more_than_the_connect_timeout),
        TEST(test_db__attempts_are_spaced_by_growing_pauses),
        TEST(test_db__a_success_resets_the_pause),
        TEST(test_db__a_session_is_set_to_what_the_sql_depends_on),
        TEST(test_db__a_session_without_triggers_is_refused),
        TEST(test_db__a_session_that_is_not_what_it_was_is_dropped),
        TEST(test_db__a_server_that_takes_no_writes_is_not_connected_to),
        TEST(test_db__one_demotion_is_enough_for_all),
        TEST(test_db__notices_of_its_channel),
        TEST(test_db__types_it_does_not_know_are_an_error_not_a_crash),
    };

    return cmocka_run_group_tests(tests, database_server_start, database_server_stop);
}
