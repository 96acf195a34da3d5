/*
 * Batches in flight: what runtime/flight.h promises, by real actors on a real database that is far away.
 */
#include "runtime/db.h"
#include "tests/support/distance.h"
#include "tests/support/driver.h"
#include "tests/support/fixture.h"
#include "tests/support/test.h"

/* A round trip that is much longer than what a busy machine makes of a pause. */
enum { EACH_WAY_MS = 100, TASKS = 3 };

static struct distance *distance;

static uint8_t tasks[TASKS][16];

static struct mr_actor *writer(const struct fixture *self)
{
    return driver_actor(self->driver, op_named("task_create"));
}

/* An actor finds out how far its database is from some statements, one after the other. */
static void find_out(struct fixture *self, enum mr_op op)
{
    struct mr_actor *actor = driver_actor(self->driver, op);
    uint8_t id[16];

    for (unsigned i = 0; actor->stats.overlaps == 0; i++) {
        unsigned sent = 0;

        assert_true(i < 100);
        for (unsigned k = 0; k < 2; k++) {
            make_id(id, 9, 100 * (unsigned)op + 2 * i + k);
            sent = op == op_named("task_create") ? send_create(self->driver, id, self->user, "warm up", "LOW")
                                           : send_get(self->driver, id, self->user);
            driver_receive(self->driver, 10);
        }
        driver_await(self->driver, sent);
    }
    driver_await_all(self->driver, 0);
}

static unsigned send_update(struct fixture *self, const uint8_t id[16], const char *summary, int64_t life_ms)
{
    struct mr_value values[MR_FIELDS_MAX] = {0};

    task_update_values(values, id, self->user);
    set_text(value_of(values, op_named("task_update"), "summary"), summary);
    return driver_send_until(self->driver, op_named("task_update"), values, self->user, mr_wall_ms(&mr_system_clock) + life_ms);
}

static unsigned send_delete(struct fixture *self, const uint8_t id[16])
{
    struct mr_value values[MR_FIELDS_MAX] = {0};

    task_delete_values(values, id, self->user);
    return driver_send(self->driver, op_named("task_delete"), values, self->user);
}

/* A statement is prepared when it is first asked for, with nothing else in flight. */
static void prepare(struct fixture *self)
{
    uint8_t nothing[16];

    make_id(nothing, 8, 1);
    driver_await(self->driver, send_update(self, nothing, "nothing", 10000));
    driver_await(self->driver, send_delete(self, nothing));
}

static int far_setup(void **state)
{
    struct fixture *self;

    fixture_setup(state);
    self = *state;
    for (unsigned i = 0; i < TASKS; i++) {
        make_id(tasks[i], 2, i);
        driver_await(self->driver, send_create(self->driver, tasks[i], self->user, "as it was", "LOW"));
    }
    driver_destroy(&self->driver);
    distance = distance_new(&self->database->config, EACH_WAY_MS);
    self->driver = driver_with_data(&self->database->config);
    prepare(self);
    return 0;
}

static int far_teardown(void **state)
{
    struct fixture *self = *state;

    distance_hold_requests(distance, false);
    distance_hold_answers(distance, false);
    driver_destroy(&self->driver);
    distance_destroy(&distance);
    return fixture_teardown(state);
}

static const char *summary_of(const struct fixture *self, const uint8_t id[16])
{
    char text[MR_UUID_TEXT + 1] = "";

    mr_uuid_format(text, id);
    return sql_text(self->database->db, "SELECT summary FROM task WHERE id = '%s'", text);
}

/* A sequence counts what was rolled back, too. */
static void count_updates(const struct fixture *self)
{
    sql_exec(self->database->db,
             "CREATE SEQUENCE updates;"
             "CREATE FUNCTION count_one() RETURNS trigger LANGUAGE plpgsql AS"
             " $$BEGIN IF NEW.summary LIKE 'counted%%' THEN PERFORM nextval('updates'); END IF; RETURN NEW; END$$;"
             "CREATE TRIGGER count_one BEFORE UPDATE ON task FOR EACH ROW EXECUTE FUNCTION count_one()");
}

static int64_t updates(const struct fixture *self)
{
    return sql_number(self->database->db, "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM updates");
}

/* ---- Going well ---- */

static void test_overlap__batches_do_not_wait_for_each_other_and_answers_are_not_mixed_up(void **state)
{
    struct fixture *self = *state;
    const struct mr_actor *reader = driver_actor(self->driver, op_named("task_get"));
    static const char *const summaries[TASKS] = {"zero", "one", "two"};
    unsigned sent[TASKS];

    for (unsigned i = 0; i < TASKS; i++)
        driver_await(self->driver, send_update(self, tasks[i], summaries[i], 10000));
    for (unsigned tries = 0; reader->stats.overlaps < 2 * TASKS; tries++) {
        assert_true(tries < 100);
        for (unsigned i = 0; i < TASKS; i++) {
            sent[i] = send_get(self->driver, tasks[i], self->user);
            driver_receive(self->driver, EACH_WAY_MS / 5);
        }
        for (unsigned i = 0; i < TASKS; i++)
            assert_string_equal(reply_text(driver_await(self->driver, sent[i]), NULL, "summary"), summaries[i]);
    }
    driver_await_all(self->driver, 0);
}

/* What has one key goes one after the other, in the order of arrival; what has another does not wait for it. */
static void test_overlap__a_key_keeps_its_order_and_holds_nobody_else(void **state)
{
    struct fixture *self = *state;
    unsigned ordered[12];
    unsigned other;
    char summary[16];

    find_out(self, op_named("task_create"));
    for (unsigned i = 0; i < 12; i++) {
        snprintf(summary, sizeof summary, "number %u", i);
        ordered[i] = send_update(self, tasks[0], summary, 10000);
    }
    other = send_update(self, tasks[1], "another", 10000);
    driver_await_all(self->driver, 0);
    for (unsigned i = 1; i < 12; i++) {
        const struct reply *reply = &self->driver->replies[ordered[i]];

        assert_int_equal(reply->kind, MR_REPLY);
        assert_true(reply->place > self->driver->replies[ordered[i - 1]].place);
        snprintf(summary, sizeof summary, "number %u", i);
        assert_string_equal(reply_text(reply, NULL, "summary"), summary);
    }
    assert_true(self->driver->replies[other].place < self->driver->replies[ordered[4]].place);
    assert_string_equal(summary_of(self, tasks[0]), "number 11");
}

/* ---- Refused ---- */

/* Three statements in flight, one of which the server refuses for one message: that one alone fails. */
static void test_overlap__a_refused_batch_is_halved_and_takes_no_other_with_it(void **state)
{
    struct fixture *self = *state;
    struct mr_value values[MR_FIELDS_MAX];
    unsigned good[8];
    unsigned bad = 0;
    unsigned updated;
    unsigned deleted;
    uint64_t overlaps;
    uint8_t id[16];

    find_out(self, op_named("task_create"));
    overlaps = writer(self)->stats.overlaps;
    distance_hold_answers(distance, true);
    good[0] = send_get(self->driver, tasks[2], self->user);
    for (unsigned i = 1; i < 8; i++) {
        make_id(id, 3, i);
        task_create_values(values, id, self->user, "good", "LOW");
        if (i == 3)
            set_slice(value_of(values, op_named("task_create"), "summary"), MR_SLICE("bad \xff\xfe bytes"));
        good[i] = driver_send(self->driver, op_named("task_create"), values, self->user);
        if (i == 3)
            bad = good[i];
    }
    updated = send_update(self, tasks[0], "updated", 10000);
    deleted = send_delete(self, tasks[1]);
    eventually(writer(self)->stats.overlaps > overlaps);
    distance_hold_answers(distance, false);
    driver_await_all(self->driver, 0);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(self->driver->replies[good[i]].kind, good[i] == bad ? MR_ERROR : MR_REPLY);
    assert_int_equal(self->driver->replies[bad].status, MR_INVALID);
    assert_string_equal(reply_text(driver_await(self->driver, updated), NULL, "summary"), "updated");
    assert_int_equal(driver_await(self->driver, deleted)->kind, MR_REPLY);
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM task WHERE summary = 'good'"), 6);
}

/* The batch that is run again is the older one; the message behind it, of the same key, must not be overtaken by that. */
static void test_overlap__a_key_keeps_its_order_when_its_batch_is_run_again(void **state)
{
    struct fixture *self = *state;
    struct mr_value values[MR_FIELDS_MAX] = {0};
    unsigned first;
    unsigned last;

    find_out(self, op_named("task_create"));
    distance_hold_answers(distance, true);
    first = send_update(self, tasks[0], "first", 10000);
    task_update_values(values, tasks[1], self->user);
    set_slice(value_of(values, op_named("task_update"), "summary"), MR_SLICE("bad \xff\xfe bytes"));
    driver_send(self->driver, op_named("task_update"), values, self->user);
    last = send_update(self, tasks[0], "last", 10000);
    eventually(writer(self)->stats.in_flight > 0);
    distance_hold_answers(distance, false);
    driver_await_all(self->driver, 0);
    assert_true(self->driver->replies[last].place > self->driver->replies[first].place);
    assert_string_equal(summary_of(self, tasks[0]), "last");
}

/* ---- Lost ---- */

struct lost {
    unsigned created;
    unsigned updated;
    unsigned deleted;
};

/* Three statements in flight, on one connection. */
static struct lost send_three(struct fixture *self)
{
    struct lost out;
    uint8_t id[16];

    make_id(id, 4, 1);
    out.created = send_create(self->driver, id, self->user, "created", "LOW");
    out.updated = send_update(self, tasks[0], "counted", 10000);
    out.deleted = send_delete(self, tasks[1]);
    eventually(writer(self)->stats.in_flight == 3);
    return out;
}

static void check_lost(struct fixture *self, const struct lost *lost)
{
    driver_await_all(self->driver, 0);
    assert_int_equal(self->driver->replies[lost->created].kind, MR_REPLY); /* its id says whether it is there */
    assert_int_equal(self->driver->replies[lost->updated].status, MR_UNAVAILABLE);
    assert_int_equal(self->driver->replies[lost->deleted].status, MR_UNAVAILABLE);
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM task WHERE summary = 'created'"), 1);
}

/* None of them reached the server; it is not known, so only the one that may is run again. */
static void test_overlap__what_was_lost_on_its_way_is_not_run_blindly(void **state)
{
    struct fixture *self = *state;
    struct lost lost;

    find_out(self, op_named("task_create"));
    count_updates(self);
    distance_hold_requests(distance, true);
    lost = send_three(self);
    distance_cut(distance);
    distance_hold_requests(distance, false);
    check_lost(self, &lost);
    assert_int_equal(updates(self), 0);
    assert_string_equal(summary_of(self, tasks[0]), "as it was");
    assert_string_equal(summary_of(self, tasks[1]), "as it was");
    driver_await(self->driver, send_update(self, tasks[0], "counted later", 10000));
    assert_int_equal(updates(self), 1);
}

/* All of them took effect, and nobody heard of it: none takes effect a second time. */
static void test_overlap__what_was_lost_on_its_way_back_is_not_run_twice(void **state)
{
    struct fixture *self = *state;
    struct lost lost;

    find_out(self, op_named("task_create"));
    count_updates(self);
    distance_hold_answers(distance, true);
    lost = send_three(self);
    eventually(sql_number(self->database->db, "SELECT count(*) FROM task WHERE summary IN ('created', 'counted')") == 2);
    eventually(summary_of(self, tasks[1])[0] == '\0');
    distance_cut(distance);
    distance_hold_answers(distance, false);
    check_lost(self, &lost);
    assert_int_equal(updates(self), 1);
}

/* All reads are run again, once, on one new connection. */
static void test_overlap__reads_that_were_lost_are_run_again(void **state)
{
    struct fixture *self = *state;
    struct mr_actor *reader = driver_actor(self->driver, op_named("task_get"));
    unsigned sent[TASKS];

    find_out(self, op_named("task_get"));
    distance_hold_answers(distance, true);
    for (unsigned i = 0; i < TASKS; i++) {
        sent[i] = send_get(self->driver, tasks[i], self->user);
        eventually(reader->stats.in_flight > 0);
    }
    distance_cut(distance);
    distance_hold_answers(distance, false);
    driver_await_all(self->driver, 0);
    for (unsigned i = 0; i < TASKS; i++)
        assert_string_equal(reply_text(driver_await(self->driver, sent[i]), NULL, "summary"), "as it was");
}

/* ---- Late ---- */

/*
 * The first waits for a lock until its deadline, the second then for another lock until its own, which the server does not
 * know; the third is in time. Each has the answer that is its own, and the connection stays.
 */
static void test_overlap__what_is_late_is_ended_and_the_connection_stays(void **state)
{
    struct fixture *self = *state;
    mr_db *holder = database_connect(self->database);
    unsigned late[2];
    unsigned created;
    int64_t pid;
    uint8_t id[16];

    find_out(self, op_named("task_create"));
    pid = backend_pid(self->database->db, writer(self)->name, false);
    sql_exec(holder, "BEGIN; SELECT 1 FROM task WHERE summary = 'as it was' FOR UPDATE");
    late[0] = send_update(self, tasks[0], "late", 1500);
    eventually(writer(self)->stats.in_flight == 1);
    late[1] = send_delete(self, tasks[1]);
    make_id(id, 4, 1);
    created = send_create(self->driver, id, self->user, "created", "LOW");
    eventually(backend_pid(self->database->db, writer(self)->name, true) != 0);
    assert_int_equal(driver_await(self->driver, late[0])->status, MR_TIMEOUT);
    sql_exec(holder, "ROLLBACK");
    driver_await_all(self->driver, 0);
    assert_int_equal(self->driver->replies[late[1]].kind, MR_REPLY);
    assert_int_equal(self->driver->replies[created].kind, MR_REPLY);
    assert_int_equal(backend_pid(self->database->db, writer(self)->name, false), pid);
    assert_string_equal(summary_of(self, tasks[0]), "as it was");
    mr_db_destroy(&holder);
}

/* ---- The end ---- */

static void test_overlap__what_is_in_flight_is_answered_before_the_actor_ends(void **state)
{
    struct fixture *self = *state;
    struct lost sent;
    struct mr_actor *actor;

    find_out(self, op_named("task_create"));
    sent = send_three(self);
    for (unsigned i = 0; i < self->driver->actor_count; i++)
        if (self->driver->actors[i] == writer(self)) {
            actor = self->driver->actors[i];
            self->driver->actors[i] = self->driver->actors[--self->driver->actor_count];
            assert_true(mr_actor_stop_by(&actor, mr_mono_ms(&mr_system_clock) + 60000));
            break;
        }
    driver_await_all(self->driver, 0);
    assert_int_equal(self->driver->replies[sent.created].kind, MR_REPLY);
    assert_int_equal(self->driver->replies[sent.updated].kind, MR_REPLY);
    assert_int_equal(self->driver->replies[sent.deleted].kind, MR_REPLY);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, far_setup, far_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_overlap__batches_do_not_wait_for_each_other_and_answers_are_not_mixed_up),
        TEST(test_overlap__a_key_keeps_its_order_and_holds_nobody_else),
        TEST(test_overlap__a_refused_batch_is_halved_and_takes_no_other_with_it),
        TEST(test_overlap__a_key_keeps_its_order_when_its_batch_is_run_again),
        TEST(test_overlap__what_was_lost_on_its_way_is_not_run_blindly),
        TEST(test_overlap__what_was_lost_on_its_way_back_is_not_run_twice),
        TEST(test_overlap__reads_that_were_lost_are_run_again),
        TEST(test_overlap__what_is_late_is_ended_and_the_connection_stays),
        TEST(test_overlap__what_is_in_flight_is_answered_before_the_actor_ends),
    };

    return cmocka_run_group_tests(tests, tasks_server_start, tasks_server_stop);
}
