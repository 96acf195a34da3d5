/*
 * The batch rules of docs/architecture.md, by real actors on a real database. Each test fails when its rule is
 * taken out of the code.
 */
#include <signal.h>

#include "actors/data_writer.h"
#include "proto/uuid.h"
#include "tests/support/driver.h"
#include "tests/support/fixture.h"
#include "tests/support/test.h"

static uint64_t batches(const struct fixture *self, enum mr_op op)
{
    return driver_batches(self->driver, op);
}

static void test_batch__what_waits_becomes_one_statement(void **state)
{
    struct fixture *self = *state;
    struct plug plug = plug_writer(self->driver, self->database);
    uint8_t id[16];

    for (unsigned i = 0; i < 50; i++) {
        make_id(id, 2, i);
        send_create(self->driver, id, self->user, "one of many", "LOW");
    }
    plug_pull(&plug);
    driver_await_all(self->driver, 0);
    assert_int_equal(batches(self, op_named("task_create")), 2); /* the plug, and all the others */
    assert_int_equal(driver_actor(self->driver, op_named("task_create"))->stats.messages, 51);
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM task"), 51);
}

static unsigned send_update(struct fixture *self, const uint8_t id[16], const char *summary, int64_t deadline_ms)
{
    struct mr_value values[MR_FIELDS_MAX] = {0};

    task_update_values(values, id, self->user);
    set_text(value_of(values, op_named("task_update"), "summary"), summary);
    return driver_send_until(self->driver, op_named("task_update"), values, self->user, deadline_ms);
}

/* Two groups of one batch: the first waits for a lock until the second is late. Nothing of the second is carried out. */
static void test_batch__what_became_late_behind_another_group_is_not_sent(void **state)
{
    struct fixture *self = *state;
    struct mr_actor *writer = driver_actor(self->driver, op_named("task_create"));
    mr_db *holder = database_connect(self->database);
    struct plug plug;
    int64_t deadline_ms;
    int64_t pid;
    unsigned first;
    unsigned late;
    uint8_t id[2][16];

    make_id(id[0], 2, 1);
    make_id(id[1], 2, 2);
    driver_await(self->driver, send_create(self->driver, id[0], self->user, "as it was", "LOW"));
    pid = backend_pid(self->database->db, writer->name, false);
    plug = plug_writer(self->driver, self->database);
    sql_exec(holder, "BEGIN; SELECT 1 FROM millrace.account JOIN millrace.app_user USING (id) WHERE username = 'user1' FOR UPDATE OF account");
    deadline_ms = mr_wall_ms(&mr_system_clock) + 1000;
    first = send_create(self->driver, id[1], self->user, "waits", "LOW");
    late = send_update(self, id[0], "too late", deadline_ms);
    plug_pull(&plug);
    driver_await(self->driver, plug.id);
    eventually(backend_pid(self->database->db, writer->name, true) != 0);
    eventually(mr_wall_ms(&mr_system_clock) > deadline_ms);
    sql_exec(holder, "ROLLBACK");
    assert_int_equal(driver_await(self->driver, first)->kind, MR_REPLY);
    eventually(writer->stats.expired == 1);
    assert_int_equal(driver_await(self->driver, send_get(self->driver, id[0], self->user))->kind, MR_REPLY);
    assert_int_equal(self->driver->replies[late].count, 0);
    assert_string_equal(sql_text(self->database->db, "SELECT summary FROM task WHERE summary <> 'waits' AND summary <> 'plug'"),
                        "as it was");
    assert_int_equal(backend_pid(self->database->db, writer->name, false), pid);
    mr_db_destroy(&holder);
}

/* A batch of slow statements, one after the other: each is ended by the server at its deadline, on one and the same connection. */
static void test_batch__statements_that_run_out_of_time_keep_the_connection(void **state)
{
    struct fixture *self = *state;
    const char *writer = driver_actor(self->driver, op_named("task_create"))->name;
    mr_db *holder = database_connect(self->database);
    int64_t pid = backend_pid(self->database->db, writer, false);
    uint8_t id[16];

    make_id(id, 2, 1);
    driver_await(self->driver, send_create(self->driver, id, self->user, "as it was", "LOW"));
    sql_exec(holder, "BEGIN; SELECT 1 FROM task FOR UPDATE");
    for (int i = 0; i < 4; i++) {
        struct stopwatch watch = stopwatch_start();
        const struct reply *reply =
            driver_await(self->driver, send_update(self, id, "slow", mr_wall_ms(&mr_system_clock) + 300));

        assert_int_equal(reply->status, MR_TIMEOUT);
        assert_took(&watch, 250, 1500);
    }
    sql_exec(holder, "ROLLBACK");
    assert_int_equal(driver_await(self->driver, send_update(self, id, "quick", mr_wall_ms(&mr_system_clock) + 10000))->kind,
                     MR_REPLY);
    assert_int_equal(backend_pid(self->database->db, writer, false), pid);
    mr_db_destroy(&holder);
}

static void test_batch__one_message_is_a_batch_of_one(void **state)
{
    struct fixture *self = *state;
    uint8_t id[16];

    for (unsigned i = 0; i < 5; i++) {
        make_id(id, 2, i);
        driver_await(self->driver, send_create(self->driver, id, self->user, "alone", "LOW"));
    }
    assert_int_equal(batches(self, op_named("task_create")), 5);
}

static void test_batch__expected_outcomes_stand_beside_successes(void **state)
{
    struct fixture *self = *state;
    struct plug plug = plug_writer(self->driver, self->database);
    uint8_t id[4][16];
    uint8_t nobody[16];
    unsigned sent[4];

    for (unsigned i = 0; i < 4; i++)
        make_id(id[i], 2, i);
    make_id(nobody, 1, 4711);
    sent[0] = send_create(self->driver, id[0], self->user, "good", "HIGH");
    sent[1] = send_create(self->driver, id[1], self->user, "unknown priority", "NO_SUCH");
    sent[2] = send_create(self->driver, id[2], nobody, "user is gone", "HIGH");
    sent[3] = send_create(self->driver, id[3], self->user, "good too", "LOW");
    plug_pull(&plug);
    driver_await_all(self->driver, 0);

    assert_int_equal(batches(self, op_named("task_create")), 2);
    assert_string_equal(reply_text(driver_await(self->driver, sent[0]), NULL, "summary"), "good");
    assert_string_equal(reply_text(driver_await(self->driver, sent[0]), "taskPriority", "label"), "High");
    assert_int_equal(driver_await(self->driver, sent[1])->status, MR_INVALID);
    assert_string_equal(driver_await(self->driver, sent[1])->field, "taskPriorityCode");
    assert_int_equal(driver_await(self->driver, sent[2])->status, MR_INVALID_TOKEN);
    assert_string_equal(reply_text(driver_await(self->driver, sent[3]), NULL, "summary"), "good too");
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM task"), 3); /* the plug's, too */
}

static void test_batch__absent_and_foreign_rows_are_404(void **state)
{
    struct fixture *self = *state;
    uint8_t other[16];
    uint8_t id[2][16];
    unsigned sent[3];

    make_user(self->database->db, 2, other);
    make_id(id[0], 2, 1);
    make_id(id[1], 2, 2);
    driver_await(self->driver, send_create(self->driver, id[0], self->user, "mine", "LOW"));
    sent[0] = send_get(self->driver, id[0], self->user);
    sent[1] = send_get(self->driver, id[0], other);
    sent[2] = send_get(self->driver, id[1], self->user);
    driver_await_all(self->driver, 0);
    assert_string_equal(reply_text(driver_await(self->driver, sent[0]), NULL, "summary"), "mine");
    assert_int_equal(driver_await(self->driver, sent[1])->status, MR_NOT_FOUND);
    assert_int_equal(driver_await(self->driver, sent[2])->status, MR_NOT_FOUND);
}

/* Bytes that the gateway lets nobody send: the server refuses them with 22021 for the whole statement. */
static void refused_message_stands_alone(struct fixture *self, struct mr_slice bad, mr_status expected)
{
    struct plug plug = plug_writer(self->driver, self->database);
    struct mr_value values[MR_FIELDS_MAX];
    unsigned wrong = 0;
    uint8_t id[16];

    for (unsigned i = 0; i < 40; i++) {
        make_id(id, 2, i);
        task_create_values(values, id, self->user, "good", "LOW");
        if (i == 23) {
            set_slice(value_of(values, op_named("task_create"), "summary"), bad);
            wrong = driver_send(self->driver, op_named("task_create"), values, self->user);
        } else {
            driver_send(self->driver, op_named("task_create"), values, self->user);
        }
    }
    plug_pull(&plug);
    driver_await_all(self->driver, 0);
    for (unsigned i = 1; i <= self->driver->sent; i++)
        assert_int_equal(self->driver->replies[i].kind, i == wrong ? MR_ERROR : MR_REPLY);
    assert_int_equal(self->driver->replies[wrong].status, expected);
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM task WHERE summary = 'good'"), 39);
}

static void test_batch__ill_formed_text_fails_alone(void **state)
{
    refused_message_stands_alone(*state, MR_SLICE("bad \xff\xfe bytes"), MR_INVALID);
}

static void test_batch__a_zero_byte_fails_alone(void **state)
{
    refused_message_stands_alone(*state, MR_SLICE("zero \0 byte"), MR_INVALID);
}

static void test_batch__a_surprise_of_the_server_fails_alone(void **state)
{
    struct fixture *self = *state;

    sql_exec(self->database->db, "ALTER TABLE task ADD CHECK (summary <> 'refused')");
    refused_message_stands_alone(self, MR_SLICE("refused"), MR_INVALID);
}

static void test_batch__an_unknown_error_is_internal_and_alone(void **state)
{
    struct fixture *self = *state;

    sql_exec(self->database->db,
             "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
             " $$BEGIN IF NEW.summary = 'raise' THEN RAISE EXCEPTION 'secret detail'; END IF; RETURN NEW; END$$;"
             "CREATE TRIGGER refuse BEFORE INSERT ON task FOR EACH ROW EXECUTE FUNCTION refuse()");
    refused_message_stands_alone(self, MR_SLICE("raise"), MR_INTERNAL);
}

/* A sequence counts statements that were rolled back, too. */
static void count_executions(const struct fixture *self)
{
    sql_exec(self->database->db,
             "CREATE SEQUENCE executions;"
             "CREATE FUNCTION count_one() RETURNS trigger LANGUAGE plpgsql AS"
             " $$BEGIN PERFORM nextval('executions'); RETURN NULL; END$$;"
             "CREATE TRIGGER count_one BEFORE INSERT ON task FOR EACH STATEMENT EXECUTE FUNCTION count_one()");
}

static int64_t executions(const struct fixture *self)
{
    return sql_number(self->database->db, "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM executions");
}

/* Restarts the actors with settings of the test's. */
static void restart(struct fixture *self)
{
    driver_destroy(&self->driver);
    self->driver = driver_with_data(&self->database->config);
}

static void test_batch__a_statement_out_of_time_is_not_run_again(void **state)
{
    struct fixture *self = *state;
    mr_db *holder = database_connect(self->database);
    struct plug plug;
    uint8_t id[16];
    uint8_t held[16];

    self->database->config.db_lock_timeout = 60000;
    self->database->config.request_timeout = 700;
    restart(self);
    make_user(self->database->db, 2, held);
    count_executions(self);
    plug = plug_writer(self->driver, self->database);
    sql_exec(holder, "BEGIN; SELECT 1 FROM millrace.account a JOIN millrace.app_user u USING (id) WHERE u.username = 'user2' FOR UPDATE OF a");
    for (unsigned i = 0; i < 4; i++) {
        make_id(id, 2, i);
        send_create(self->driver, id, held, "blocked", "LOW");
    }
    plug_pull(&plug);
    driver_await_all(self->driver, 0);
    for (unsigned i = 2; i <= 5; i++)
        assert_int_equal(self->driver->replies[i].status, MR_TIMEOUT);
    assert_int_equal(executions(self), 2); /* the plug, and the four once */
    sql_exec(holder, "ROLLBACK");
    mr_db_destroy(&holder);
}

static void test_batch__a_wait_for_a_lock_ends_in_503(void **state)
{
    struct fixture *self = *state;
    mr_db *holder = database_connect(self->database);
    struct stopwatch watch;
    uint8_t id[16];
    const struct reply *reply;

    self->database->config.db_lock_timeout = 150;
    restart(self);
    sql_exec(holder, "BEGIN; SELECT 1 FROM millrace.account a JOIN millrace.app_user u USING (id) WHERE u.username = 'user1' FOR UPDATE OF a");
    make_id(id, 2, 1);
    watch = stopwatch_start();
    reply = driver_await(self->driver, send_create(self->driver, id, self->user, "blocked", "LOW"));
    assert_int_equal(reply->status, MR_OVERLOADED);
    assert_int_equal(mr_status_http(reply->status), 503);
    assert_took(&watch, 0, 5000);
    sql_exec(holder, "ROLLBACK");
    mr_db_destroy(&holder);
}

static void test_batch__the_same_key_never_shares_a_batch(void **state)
{
    struct fixture *self = *state;
    struct plug plug = plug_writer(self->driver, self->database);
    uint8_t id[3][16];
    unsigned first;
    unsigned second;

    count_executions(self);
    for (unsigned i = 0; i < 3; i++)
        make_id(id[i], 2, i);
    first = send_create(self->driver, id[0], self->user, "first", "LOW");
    send_create(self->driver, id[1], self->user, "another", "LOW");
    second = send_create(self->driver, id[0], self->user, "second", "LOW");
    send_create(self->driver, id[2], self->user, "last", "LOW");
    plug_pull(&plug);
    driver_await_all(self->driver, 0);
    assert_int_equal(batches(self, op_named("task_create")), 3); /* the plug; first and another; second and last */
    assert_string_equal(reply_text(driver_await(self->driver, first), NULL, "summary"), "first");
    assert_string_equal(reply_text(driver_await(self->driver, second), NULL, "summary"), "first");
    assert_true(driver_await(self->driver, first)->place < driver_await(self->driver, second)->place);
}

static void test_batch__answers_of_a_key_come_in_the_order_of_arrival(void **state)
{
    struct fixture *self = *state;
    struct plug plug = plug_writer(self->driver, self->database);
    unsigned sent[60];
    uint8_t id[16];

    for (unsigned i = 0; i < 60; i++) {
        char summary[16];

        snprintf(summary, sizeof summary, "number %u", i);
        make_id(id, 2, i % 3);
        sent[i] = send_create(self->driver, id, self->user, summary, "LOW");
    }
    plug_pull(&plug);
    driver_await_all(self->driver, 0);
    for (unsigned i = 3; i < 60; i++) {
        assert_true(self->driver->replies[sent[i]].place > self->driver->replies[sent[i - 3]].place);
        assert_string_equal(reply_text(&self->driver->replies[sent[i]], NULL, "summary"),
                            reply_text(&self->driver->replies[sent[i % 3]], NULL, "summary"));
    }
}

static void test_batch__an_insert_that_is_repeated_finds_what_it_wrote(void **state)
{
    struct fixture *self = *state;
    uint8_t id[16];
    const struct reply *first;
    const struct reply *second;

    make_id(id, 2, 1);
    first = driver_await(self->driver, send_create(self->driver, id, self->user, "once", "LOW"));
    second = driver_await(self->driver, send_create(self->driver, id, self->user, "once", "LOW"));
    assert_int_equal(second->kind, MR_REPLY);
    assert_true(json_equal(first->body, second->body));
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM task"), 1);
}

/* A first run whose connection was lost may still be committing when the second begins. */
static void test_batch__an_ordinal_that_lost_a_race_is_run_once_more(void **state)
{
    struct fixture *self = *state;
    mr_db *racer = database_connect(self->database);
    char id_text[MR_UUID_TEXT + 1] = "";
    char user_text[MR_UUID_TEXT + 1] = "";
    uint8_t id[16];
    unsigned sent;

    make_id(id, 2, 1);
    mr_uuid_format(id_text, id);
    mr_uuid_format(user_text, self->user);
    sql_exec(racer,
             "BEGIN; INSERT INTO task (id, user_id, summary, priority_code) VALUES ('%s', '%s', 'the winner', 'LOW')",
             id_text, user_text);
    sent = send_create(self->driver, id, self->user, "the loser", "LOW");
    eventually(backend_pid(self->database->db, driver_actor(self->driver, op_named("task_create"))->name, true) != 0);
    sql_exec(racer, "COMMIT");
    assert_int_equal(driver_await(self->driver, sent)->kind, MR_REPLY);
    assert_string_equal(reply_text(driver_await(self->driver, sent), NULL, "summary"), "the winner");
    assert_string_equal(reply_text(driver_await(self->driver, sent), NULL, "id"), id_text);
    mr_db_destroy(&racer);
}

static void test_batch__one_user_gets_a_share_when_others_wait(void **state)
{
    struct fixture *self = *state;
    uint8_t modest[16];
    struct plug plug;
    unsigned last;
    uint8_t id[16];

    self->database->config.actor_batch_max = 8;
    restart(self);
    make_user(self->database->db, 2, modest);
    plug = plug_writer(self->driver, self->database);
    for (unsigned i = 0; i < 40; i++) {
        make_id(id, 2, i);
        send_create(self->driver, id, self->user, "greedy", "LOW");
    }
    make_id(id, 3, 1);
    last = send_create(self->driver, id, modest, "modest", "LOW");
    plug_pull(&plug);
    driver_await_all(self->driver, 0);
    assert_true(self->driver->replies[last].place <= 9); /* the plug, and the first batch */
}

static void test_batch__no_more_messages_than_the_settings_say(void **state)
{
    struct fixture *self = *state;
    struct plug plug;
    uint8_t id[16];

    self->database->config.actor_batch_max = 8;
    restart(self);
    plug = plug_writer(self->driver, self->database);
    for (unsigned i = 0; i < 24; i++) {
        make_id(id, 2, i);
        send_create(self->driver, id, self->user, "task", "LOW");
    }
    plug_pull(&plug);
    driver_await_all(self->driver, 0);
    assert_int_equal(batches(self, op_named("task_create")), 4);
}

static void test_batch__past_its_deadline_a_message_is_dropped(void **state)
{
    struct fixture *self = *state;
    struct mr_value values[MR_FIELDS_MAX];
    uint8_t id[16];
    unsigned late;

    make_id(id, 2, 1);
    task_create_values(values, id, self->user, "late", "LOW");
    late = driver_send_until(self->driver, op_named("task_create"), values, self->user, mr_wall_ms(&mr_system_clock) - 1);
    make_id(id, 2, 2);
    driver_await(self->driver, send_create(self->driver, id, self->user, "in time", "LOW"));
    driver_await_all(self->driver, 1);
    assert_int_equal(self->driver->replies[late].count, 0);
    assert_int_equal(driver_actor(self->driver, op_named("task_create"))->stats.expired, 1);
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM task WHERE summary = 'late'"), 0);
}

/* The clock is the test's: the message expires while it waits behind the plug, whatever the machine does. */
static void test_batch__a_deadline_that_passes_in_the_queue_counts_too(void **state)
{
    struct fixture *self = *state;
    static struct test_clock clock;
    struct mr_value values[MR_FIELDS_MAX];
    struct plug plug;
    unsigned late;
    unsigned good;
    uint8_t id[16];

    driver_destroy(&self->driver);
    test_clock_init(&clock, mr_wall_ms(&mr_system_clock));
    self->driver = driver_new(&self->database->config, &clock.clock);
    driver_start(self->driver, &mr_data_writer_spec, MR_LANE_QUICK, 0);
    plug = plug_writer(self->driver, self->database);
    make_id(id, 2, 1);
    task_create_values(values, id, self->user, "late", "LOW");
    late = driver_send_until(self->driver, op_named("task_create"), values, self->user, clock.wall_ms + 500);
    make_id(id, 2, 2);
    good = send_create(self->driver, id, self->user, "in time", "LOW");
    test_clock_advance(&clock, 500);
    plug_pull(&plug);
    assert_int_equal(driver_await(self->driver, good)->kind, MR_REPLY);
    driver_await_all(self->driver, 1);
    assert_int_equal(self->driver->replies[late].count, 0);
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM task WHERE summary = 'late'"), 0);
}

static void stop_backend(const struct fixture *self, const char *actor, bool stop)
{
    sql_exec(self->database->db, "SELECT 1");
    assert_int_equal(kill((pid_t)backend_pid(self->database->db, actor, false), stop ? SIGSTOP : SIGCONT), 0);
}

static void test_batch__a_slow_op_does_not_stand_before_a_quick_one(void **state)
{
    struct fixture *self = *state;
    const char *slow = driver_actor(self->driver, op_named("task_list"))->name;
    struct mr_value values[MR_FIELDS_MAX];
    unsigned list;
    unsigned get;
    uint8_t id[16];

    make_id(id, 2, 1);
    driver_await(self->driver, send_create(self->driver, id, self->user, "quick", "LOW"));
    stop_backend(self, slow, true);
    task_list_values(values, self->user);
    list = driver_send(self->driver, op_named("task_list"), values, self->user);
    get = send_get(self->driver, id, self->user);
    for (int i = 0; i < 40 && self->driver->replies[get].count == 0; i++)
        driver_receive(self->driver, 50);
    stop_backend(self, slow, false);
    assert_string_equal(reply_text(driver_await(self->driver, get), NULL, "summary"), "quick");
    assert_int_equal(driver_await(self->driver, list)->kind, MR_REPLY);
    assert_true(self->driver->replies[get].place < self->driver->replies[list].place);
}

/* ---- What does not belong into a mailbox ---- */

static void test_batch__what_is_no_envelope_is_counted_and_survived(void **state)
{
    struct fixture *self = *state;
    struct mr_actor *reader = driver_actor(self->driver, op_named("task_get"));
    static const char *const bad[] = {"", "x", "\xc1", "\x98\x01", "\xdd\xff\xff\xff\xff", "\x98\x63\x00\x00\x01\x01\xc0\xc0\xc4\x00"};
    uint8_t id[16];

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        driver_send_raw(self->driver, reader->name, bad[i], strlen(bad[i]));
    make_id(id, 2, 1);
    assert_int_equal(driver_await(self->driver, send_get(self->driver, id, self->user))->status, MR_NOT_FOUND);
    assert_int_equal(reader->stats.malformed, sizeof bad / sizeof bad[0]);
    driver_await_all(self->driver, 0);
}

static void test_batch__an_op_of_another_actor_is_counted_and_not_run(void **state)
{
    struct fixture *self = *state;
    struct mr_actor *reader = driver_actor(self->driver, op_named("task_get"));
    struct mr_envelope envelope = {.kind = MR_REQUEST, .op = op_named("task_create"), .correlation = 1, .deadline_ms = INT64_MAX - 1};
    struct mr_value values[MR_FIELDS_MAX];
    struct mr_buf payload = {0};
    struct mr_buf frame = {0};
    uint8_t id[16];

    make_id(id, 2, 1);
    task_create_values(values, id, self->user, "smuggled", "LOW");
    mr_payload_encode(&payload, op_named("task_create"), values);
    envelope.payload = buf_slice(&payload);
    assert_int_equal(mr_envelope_encode(&frame, &envelope), MR_OK);
    driver_send_raw(self->driver, reader->name, frame.data, frame.len);
    driver_await(self->driver, send_get(self->driver, id, self->user));
    assert_int_equal(reader->stats.malformed, 1);
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM task"), 0);
    mr_buf_fini(&payload);
    mr_buf_fini(&frame);
}

static void test_batch__a_payload_that_does_not_fit_is_answered(void **state)
{
    struct fixture *self = *state;
    struct mr_actor *reader = driver_actor(self->driver, op_named("task_get"));
    struct mr_envelope envelope = {.kind = MR_REQUEST, .op = op_named("task_get"), .deadline_ms = INT64_MAX - 1, .payload = MR_SLICE("\x91\x01")};
    struct mr_buf frame = {0};
    uint8_t id[16];

    envelope.correlation = ++self->driver->sent;
    assert_int_equal(mr_envelope_encode(&frame, &envelope), MR_OK);
    driver_send_raw(self->driver, reader->name, frame.data, frame.len);
    assert_int_equal(driver_await(self->driver, 1)->status, MR_INVALID);
    make_id(id, 2, 1);
    assert_int_equal(driver_await(self->driver, send_get(self->driver, id, self->user))->status, MR_NOT_FOUND);
    mr_buf_fini(&frame);
}

/* ---- Everything at once ---- */

enum { MIXED = 4000, USERS = 12 };

/* Whether an answer belongs to its asker; what it is was fixed when it was sent. */
struct expectation {
    enum mr_op op;
    mr_status status;
    unsigned number; /* of the task */
    unsigned user;
};

static void check_answer(const struct reply *reply, const struct expectation *expected, const uint8_t users[USERS][16])
{
    char text[64];
    uint8_t id[16];

    assert_int_equal(reply->count, 1);
    if (expected->status != MR_OK) {
        assert_int_equal(reply->kind, MR_ERROR);
        assert_int_equal(reply->status, expected->status);
        return;
    }
    assert_int_equal(reply->kind, MR_REPLY);
    if (expected->op == op_named("task_list")) {
        size_t index;
        json_t *task;

        mr_uuid_format(text, users[expected->user]);
        text[MR_UUID_TEXT] = '\0';
        json_array_foreach(json_is_array(reply->body) ? reply->body : json_object_get(reply->body, "data"), index, task)
            assert_string_equal(json_string_value(json_object_get(task, "userId")), text);
        return;
    }
    make_id(id, 2, expected->number);
    mr_uuid_format(text, id);
    text[MR_UUID_TEXT] = '\0';
    assert_string_equal(reply_text(reply, NULL, "id"), text);
    snprintf(text, sizeof text, "task %u", expected->number);
    assert_string_equal(reply_text(reply, NULL, "summary"), text);
}

static unsigned send_random(struct fixture *self, uint64_t *seed, const uint8_t users[USERS][16], struct expectation *out)
{
    struct mr_value values[MR_FIELDS_MAX];
    unsigned user = random_below(seed, USERS);
    unsigned number = random_below(seed, MIXED);
    char summary[32];
    uint8_t id[16];

    *out = (struct expectation){.user = user, .number = number};
    make_id(id, 2, number);
    switch (random_below(seed, 6)) {
    case 0:
    case 1: /* tasks of even numbers exist, and user number % USERS has them */
        *out = (struct expectation){op_named("task_get"), number % 2 == 0 && user == number % USERS ? MR_OK : MR_NOT_FOUND, number, user};
        task_get_values(values, id, users[user]);
        break;
    case 2:
        *out = (struct expectation){op_named("task_list"), MR_OK, number, user};
        if (number % 2 == 0)
            task_list_values(values, users[user]);
        else
            task_page_values(values, users[user], 1 + number % 40, 1 + number % 30);
        break;
    case 3:
        *out = (struct expectation){op_named("task_create"), MR_INVALID, number, user};
        make_id(id, 4, random_next(seed));
        task_create_values(values, id, users[user], number % 2 == 0 ? "ok" : "\xff", number % 2 == 0 ? "NONE" : "LOW");
        break;
    default: /* odd ones are made, each as often as it comes up; the first makes it, the others find it */
        number |= 1;
        *out = (struct expectation){op_named("task_create"), MR_OK, MIXED * 2 + number, number % USERS};
        user = number % USERS;
        make_id(id, 2, out->number);
        snprintf(summary, sizeof summary, "task %u", out->number);
        task_create_values(values, id, users[user], summary, "LOW");
        break;
    }
    return driver_send(self->driver, out->op, values, users[user]);
}

static void test_batch__every_message_gets_its_own_answer_once(void **state)
{
    struct fixture *self = *state;
    static struct expectation expected[MIXED + 1];
    uint8_t users[USERS][16];
    uint64_t seed = 20270101;

    for (unsigned i = 0; i < USERS; i++)
        make_user(self->database->db, 100 + i, users[i]);
    for (unsigned i = 0; i < MIXED; i += 2) {
        char id[MR_UUID_TEXT];
        char user[MR_UUID_TEXT];
        uint8_t raw[16];

        make_id(raw, 2, i);
        mr_uuid_format(id, raw);
        mr_uuid_format(user, users[i % USERS]);
        if (i == 0)
            sql_exec(self->database->db, "BEGIN");
        sql_exec(self->database->db,
                 "INSERT INTO task (id, user_id, summary, priority_code) VALUES ('%.36s', '%.36s', 'task %u', 'LOW')", id, user, i);
    }
    sql_exec(self->database->db, "COMMIT");
    for (unsigned i = 1; i <= MIXED; i++) {
        struct expectation one;
        unsigned sent = send_random(self, &seed, (const uint8_t(*)[16])users, &one);

        expected[sent] = one;
        if (i % 400 == 0)
            driver_receive(self->driver, 0);
    }
    driver_await_all(self->driver, 0);
    for (unsigned i = 1; i <= MIXED; i++)
        check_answer(&self->driver->replies[i], &expected[i], (const uint8_t(*)[16])users);
    assert_true(batches(self, op_named("task_get")) < driver_actor(self->driver, op_named("task_get"))->stats.messages);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_batch__what_waits_becomes_one_statement),
        TEST(test_batch__what_became_late_behind_another_group_is_not_sent),
        TEST(test_batch__statements_that_run_out_of_time_keep_the_connection),
        TEST(test_batch__one_message_is_a_batch_of_one),
        TEST(test_batch__expected_outcomes_stand_beside_successes),
        TEST(test_batch__absent_and_foreign_rows_are_404),
        TEST(test_batch__ill_formed_text_fails_alone),
        TEST(test_batch__a_zero_byte_fails_alone),
        TEST(test_batch__a_surprise_of_the_server_fails_alone),
        TEST(test_batch__an_unknown_error_is_internal_and_alone),
        TEST(test_batch__a_statement_out_of_time_is_not_run_again),
        TEST(test_batch__a_wait_for_a_lock_ends_in_503),
        TEST(test_batch__the_same_key_never_shares_a_batch),
        TEST(test_batch__answers_of_a_key_come_in_the_order_of_arrival),
        TEST(test_batch__an_insert_that_is_repeated_finds_what_it_wrote),
        TEST(test_batch__an_ordinal_that_lost_a_race_is_run_once_more),
        TEST(test_batch__one_user_gets_a_share_when_others_wait),
        TEST(test_batch__no_more_messages_than_the_settings_say),
        TEST(test_batch__past_its_deadline_a_message_is_dropped),
        TEST(test_batch__a_deadline_that_passes_in_the_queue_counts_too),
        TEST(test_batch__a_slow_op_does_not_stand_before_a_quick_one),
        TEST(test_batch__what_is_no_envelope_is_counted_and_survived),
        TEST(test_batch__an_op_of_another_actor_is_counted_and_not_run),
        TEST(test_batch__a_payload_that_does_not_fit_is_answered),
        TEST(test_batch__every_message_gets_its_own_answer_once),
    };

    return cmocka_run_group_tests(tests, tasks_server_start, tasks_server_stop);
}
