/*
 * What becomes of messages when the connection to the database breaks, hangs or is refused.
 */
#include <signal.h>

#include "actors/auth.h"
#include "actors/password.h"
#include "proto/uuid.h"
#include "tests/support/driver.h"
#include "tests/support/fixture.h"
#include "tests/support/test.h"

static const char *name_of(const struct fixture *self, enum mr_op op)
{
    return driver_actor(self->driver, op)->name;
}

static void terminate(const struct fixture *self, int64_t pid)
{
    sql_exec(self->database->db, "SELECT pg_terminate_backend(%lld)", (long long)pid);
}

static void test_connection__inserts_survive_a_lost_connection_exactly_once(void **state)
{
    struct fixture *self = *state;
    mr_db *holder = database_connect(self->database);
    struct plug plug = plug_writer(self->driver, self->database);
    const char *writer = name_of(self, op_named("task_create"));
    int64_t first;
    int64_t second = 0;
    uint8_t id[16];

    sql_exec(holder, "BEGIN; SELECT 1 FROM millrace.account a JOIN millrace.app_user u USING (id) WHERE u.username = 'user1' FOR UPDATE OF a");
    for (unsigned i = 0; i < 20; i++) {
        make_id(id, 2, i);
        send_create(self->driver, id, self->user, "durable", "LOW");
    }
    first = backend_pid(self->database->db, writer, true);
    plug_pull(&plug);
    driver_await(self->driver, plug.id);
    eventually(backend_pid(self->database->db, writer, true) == first); /* inside the INSERT of the twenty */
    terminate(self, first);
    eventually((second = backend_pid(self->database->db, writer, true)) != 0 && second != first);
    sql_exec(holder, "ROLLBACK");
    driver_await_all(self->driver, 0);
    for (unsigned i = 1; i <= self->driver->sent; i++)
        assert_int_equal(self->driver->replies[i].kind, MR_REPLY);
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM task WHERE summary = 'durable'"), 20);
    mr_db_destroy(&holder);
}

/* A first run that commits without being heard of, in the role of `holder`: the re-run tells what it finds. */
static void test_connection__what_was_committed_before_the_loss_is_acknowledged(void **state)
{
    struct fixture *self = *state;
    mr_db *holder = database_connect(self->database);
    const char *writer = name_of(self, op_named("task_create"));
    char id_text[MR_UUID_TEXT + 1] = "";
    char user_text[MR_UUID_TEXT + 1] = "";
    unsigned sent;
    uint8_t id[16];

    make_id(id, 2, 1);
    mr_uuid_format(id_text, id);
    mr_uuid_format(user_text, self->user);
    sql_exec(holder, "BEGIN; INSERT INTO task (id, user_id, summary, priority_code) VALUES ('%s', '%s', 'kept', 'LOW')", id_text,
             user_text);
    sent = send_create(self->driver, id, self->user, "run again", "LOW");
    eventually(backend_pid(self->database->db, writer, true) != 0);
    terminate(self, backend_pid(self->database->db, writer, true));
    sql_exec(holder, "COMMIT");
    assert_int_equal(driver_await(self->driver, sent)->status, MR_OK);
    assert_string_equal(reply_text(driver_await(self->driver, sent), NULL, "summary"), "kept");
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM task"), 1);
    mr_db_destroy(&holder);
}

static void test_connection__an_update_is_not_run_again_blindly(void **state)
{
    struct fixture *self = *state;
    mr_db *holder = database_connect(self->database);
    const char *writer = name_of(self, op_named("task_update"));
    struct mr_value values[MR_FIELDS_MAX] = {0};
    const struct reply *reply;
    unsigned sent;
    uint8_t id[16];

    assert_false(mr_op_info(op_named("task_update"))->traits->rerun_safe);
    make_id(id, 2, 1);
    driver_await(self->driver, send_create(self->driver, id, self->user, "as it was", "LOW"));
    sql_exec(holder, "BEGIN; SELECT 1 FROM task FOR UPDATE");
    task_update_values(values, id, self->user);
    set_text(value_of(values, op_named("task_update"), "summary"), "changed");
    sent = driver_send(self->driver, op_named("task_update"), values, self->user);
    eventually(backend_pid(self->database->db, writer, true) != 0);
    terminate(self, backend_pid(self->database->db, writer, true));
    for (int i = 0; i < 25 && self->driver->replies[sent].count == 0; i++)
        driver_receive(self->driver, 20);
    sql_exec(holder, "COMMIT");
    reply = driver_await(self->driver, sent);
    assert_int_equal(reply->status, MR_UNAVAILABLE);
    assert_string_equal(sql_text(self->database->db, "SELECT summary FROM task"), "as it was");
    assert_int_equal(driver_await(self->driver, send_get(self->driver, id, self->user))->kind, MR_REPLY);
    mr_db_destroy(&holder);
}

static void test_connection__a_refresh_token_is_not_stored_twice(void **state)
{
    struct fixture *self = *state;
    mr_db *holder = database_connect(self->database);
    struct mr_value values[MR_FIELDS_MAX] = {0};
    char hash[MR_PASSWORD_HASH];
    unsigned sent;

    driver_start(self->driver, &mr_auth_spec, MR_LANE_SLOW, 0);
    assert_int_equal(mr_password_hash(hash, MR_SLICE("correct horse")), MR_OK);
    sql_exec(self->database->db, "UPDATE millrace.app_user SET password_hash = '%s'", hash);
    sql_exec(holder, "BEGIN; LOCK TABLE millrace.refresh_token IN ACCESS EXCLUSIVE MODE");
    set_text(value_of(values, MR_OP_sign_in, "username"), "USER1");
    set_text(value_of(values, MR_OP_sign_in, "password"), "correct horse");
    sent = driver_send(self->driver, MR_OP_sign_in, values, NULL);
    eventually(backend_pid(self->database->db, "auth/slow", true) != 0);
    terminate(self, backend_pid(self->database->db, "auth/slow", true));
    for (int i = 0; i < 25 && self->driver->replies[sent].count == 0; i++)
        driver_receive(self->driver, 20);
    sql_exec(holder, "COMMIT");
    assert_int_equal(driver_await(self->driver, sent)->status, MR_UNAVAILABLE);
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM millrace.refresh_token"), 0);
    assert_int_equal(driver_await(self->driver, driver_send(self->driver, MR_OP_sign_in, values, NULL))->kind, MR_REPLY);
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM millrace.refresh_token"), 1);
    mr_db_destroy(&holder);
}

static void refuse_connections(const struct fixture *self, bool refuse)
{
    struct mr_config admin = self->database->config;
    mr_db *db = NULL;
    struct mr_db_options options = {.config = &admin, .clock = &mr_system_clock, .host = admin.db_host, .application_name = "admin"};

    admin.db_database = "postgres";
    assert_int_equal(mr_db_new(&db, &options, NULL), MR_OK);
    assert_int_equal(mr_db_connect(db), MR_OK);
    sql_exec(db, "ALTER DATABASE %s ALLOW_CONNECTIONS %s", self->database->name, refuse ? "false" : "true");
    if (refuse)
        sql_exec(db, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '%s'", self->database->name);
    mr_db_destroy(&db);
}

static void test_connection__while_the_database_is_away_everybody_is_told_at_once(void **state)
{
    struct fixture *self = *state;
    struct mr_actor *reader = driver_actor(self->driver, op_named("task_get"));
    struct stopwatch returned;
    uint8_t id[16];

    make_id(id, 2, 1);
    refuse_connections(self, true);
    eventually(!reader->stats.connected);
    for (unsigned i = 0; i < 30; i++) {
        struct stopwatch watch = stopwatch_start();
        const struct reply *reply = driver_await(self->driver, send_get(self->driver, id, self->user));

        assert_int_equal(reply->status, MR_UNAVAILABLE);
        assert_took(&watch, 0, 1000);
    }
    refuse_connections(self, false);
    returned = stopwatch_start();
    eventually(reader->stats.connected);
    assert_took(&returned, 0, 2000);
    assert_int_equal(driver_await(self->driver, send_get(self->driver, id, self->user))->status, MR_NOT_FOUND);
    driver_await_all(self->driver, 0);
}

static void test_connection__actors_start_without_a_database(void **state)
{
    struct fixture *self = *state;
    uint8_t id[16];

    make_id(id, 2, 1);
    driver_destroy(&self->driver);
    refuse_connections(self, true);
    self->driver = driver_with_data(&self->database->config);
    assert_false(driver_actor(self->driver, op_named("task_get"))->stats.connected);
    assert_int_equal(driver_await(self->driver, send_get(self->driver, id, self->user))->status, MR_UNAVAILABLE);
    refuse_connections(self, false);
    eventually(driver_actor(self->driver, op_named("task_get"))->stats.connected);
}

static const char *trouble(const struct mr_actor *actor)
{
    const char *text = atomic_load(&actor->stats.trouble);

    return text != NULL ? text : "none";
}

/* What readiness may tell: why an actor has no connection, and nothing once it has one. */
static void test_connection__an_actor_says_why_it_has_none(void **state)
{
    struct fixture *self = *state;
    static struct mr_config config; /* the last actors outlive this function */
    struct mr_actor *reader;

    driver_destroy(&self->driver);
    config = self->database->config;
    sql_exec(self->database->db, "ALTER TABLE millrace.job_run RENAME TO job_run_elsewhere");
    self->driver = driver_with_data(&config);
    reader = driver_actor(self->driver, op_named("task_get"));
    eventually(strstr(trouble(reader), "migrations") != NULL);
    assert_false(reader->stats.connected);
    sql_exec(self->database->db, "ALTER TABLE millrace.job_run_elsewhere RENAME TO job_run");
    eventually(reader->stats.connected && strcmp(trouble(reader), "none") == 0);
    driver_destroy(&self->driver);
    config.db_database = "nowhere";
    self->driver = driver_with_data(&config);
    assert_string_equal(trouble(driver_actor(self->driver, op_named("task_get"))), "There is no such database.");
    driver_destroy(&self->driver);
    config.db_host = "/nonexistent";
    self->driver = driver_with_data(&config);
    assert_string_equal(trouble(driver_actor(self->driver, op_named("task_get"))), "The database cannot be reached.");
}

static void test_connection__a_lost_idle_connection_is_noticed_without_work(void **state)
{
    struct fixture *self = *state;
    struct mr_actor *reader = driver_actor(self->driver, op_named("task_get"));
    int64_t before = backend_pid(self->database->db, reader->name, false);
    int64_t after = 0;

    terminate(self, before);
    eventually((after = backend_pid(self->database->db, reader->name, false)) != 0 && after != before);
    eventually(reader->stats.connected);
}

/* A server that does not answer holds an actor until the deadline of what it asked for, not longer. */
static void test_connection__a_hung_server_costs_no_more_than_the_deadline(void **state)
{
    struct fixture *self = *state;
    struct mr_value values[MR_FIELDS_MAX];
    int64_t hung = backend_pid(self->database->db, name_of(self, op_named("task_get")), false);
    struct stopwatch watch = stopwatch_start();
    const struct reply *reply;
    unsigned sent;
    uint8_t id[16];

    make_id(id, 2, 1);
    assert_int_equal(kill((pid_t)hung, SIGSTOP), 0);
    task_get_values(values, id, self->user);
    sent = driver_send_until(self->driver, op_named("task_get"), values, self->user, mr_wall_ms(&mr_system_clock) + 400);
    reply = driver_await(self->driver, sent);
    kill((pid_t)hung, SIGCONT);
    assert_int_equal(reply->status, MR_TIMEOUT);
    assert_took(&watch, 300, 3000);
    assert_int_equal(driver_await(self->driver, send_get(self->driver, id, self->user))->status, MR_NOT_FOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_connection__inserts_survive_a_lost_connection_exactly_once),
        TEST(test_connection__what_was_committed_before_the_loss_is_acknowledged),
        TEST(test_connection__an_update_is_not_run_again_blindly),
        TEST(test_connection__a_refresh_token_is_not_stored_twice),
        TEST(test_connection__while_the_database_is_away_everybody_is_told_at_once),
        TEST(test_connection__actors_start_without_a_database),
        TEST(test_connection__an_actor_says_why_it_has_none),
        TEST(test_connection__a_lost_idle_connection_is_noticed_without_work),
        TEST(test_connection__a_hung_server_costs_no_more_than_the_deadline),
    };

    return cmocka_run_group_tests(tests, tasks_server_start, tasks_server_stop);
}
