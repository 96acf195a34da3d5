/*
 * The next batch is at the server before the last one's answers are written: what runtime/flight.h promises of a database near by,
 * by a real actor and a real server. A plug lets creates, an update and a delete gather, which are three batches; a lock keeps the
 * second of them at the server.
 */
#include "tests/support/driver.h"
#include "tests/support/fixture.h"
#include "tests/support/test.h"

enum { CREATED = 4, UPDATED, DELETED, TASKS };

struct sent {
    unsigned created[CREATED];
    unsigned updated;
    unsigned deleted;
};

static struct mr_actor *writer(const struct fixture *self)
{
    return driver_actor(self->driver, op_named("task_create"));
}

static const uint8_t *task(unsigned number)
{
    static uint8_t id[16];

    make_id(id, 5, number);
    return id;
}

static unsigned send_update(struct fixture *self, unsigned number)
{
    struct mr_value values[MR_FIELDS_MAX] = {0};

    task_update_values(values, task(number), self->user);
    set_text(value_of(values, op_named("task_update"), "summary"), "updated");
    return driver_send(self->driver, op_named("task_update"), values, self->user);
}

static unsigned send_delete(struct fixture *self, unsigned number)
{
    struct mr_value values[MR_FIELDS_MAX] = {0};

    task_delete_values(values, task(number), self->user);
    return driver_send(self->driver, op_named("task_delete"), values, self->user);
}

/* What is not UTF-8 is refused by the server: no gateway sends it. */
static unsigned send_new(struct fixture *self, unsigned number, bool good)
{
    struct mr_value values[MR_FIELDS_MAX] = {0};

    task_create_values(values, task(number), self->user, "created", "LOW");
    if (!good)
        set_slice(value_of(values, op_named("task_create"), "summary"), MR_SLICE("bad \xff\xfe bytes"));
    return driver_send(self->driver, op_named("task_create"), values, self->user);
}

/* A statement leads only when it is prepared, and it is prepared when it is first asked for. */
static void prepare(struct fixture *self)
{
    driver_await(self->driver, send_new(self, UPDATED, true));
    driver_await(self->driver, send_new(self, DELETED, true));
    driver_await(self->driver, send_update(self, TASKS));
    driver_await(self->driver, send_delete(self, TASKS));
}

/* The three batches, of which the second waits for `holder`. `bad` is the create that the server refuses; CREATED: none. */
static struct sent send_three(struct fixture *self, mr_db *holder, unsigned bad)
{
    struct plug plug;
    struct sent out;

    prepare(self);
    plug = plug_writer(self->driver, self->database);
    for (unsigned i = 0; i < CREATED; i++)
        out.created[i] = send_new(self, i, i != bad);
    out.updated = send_update(self, UPDATED);
    out.deleted = send_delete(self, DELETED);
    sql_exec(holder, "BEGIN; SELECT 1 FROM task WHERE summary = 'created' FOR UPDATE");
    plug_pull(&plug);
    return out;
}

static int64_t created(const struct fixture *self)
{
    return sql_number(self->database->db, "SELECT count(*) FROM task WHERE summary = 'created'");
}

static void test_lead__the_server_works_while_answers_are_written(void **state)
{
    struct fixture *self = *state;
    mr_db *holder = database_connect(self->database);
    struct sent sent = send_three(self, holder, CREATED);

    for (unsigned i = 0; i < CREATED; i++)
        assert_int_equal(driver_await(self->driver, sent.created[i])->kind, MR_REPLY);
    eventually(writer(self)->stats.in_flight == 1); /* the update, which was sent before they were answered */
    assert_int_equal(self->driver->replies[sent.updated].count, 0);
    assert_int_equal(writer(self)->stats.overlaps, 0);
    sql_exec(holder, "ROLLBACK");
    assert_string_equal(reply_text(driver_await(self->driver, sent.updated), NULL, "summary"), "updated");
    assert_int_equal(driver_await(self->driver, sent.deleted)->kind, MR_REPLY);
    driver_await_all(self->driver, 0);
    assert_int_equal(created(self), CREATED);
    mr_db_destroy(&holder);
}

/* The first batch is halved when the second has come back; each message has its own answer. */
static void test_lead__a_refused_batch_is_halved_and_takes_no_other_with_it(void **state)
{
    struct fixture *self = *state;
    mr_db *holder = database_connect(self->database);
    struct sent sent = send_three(self, holder, 1);

    eventually(writer(self)->stats.in_flight == 2);
    sql_exec(holder, "ROLLBACK");
    driver_await_all(self->driver, 0);
    for (unsigned i = 0; i < CREATED; i++)
        assert_int_equal(self->driver->replies[sent.created[i]].status, i == 1 ? MR_INVALID : MR_OK);
    assert_string_equal(reply_text(driver_await(self->driver, sent.updated), NULL, "summary"), "updated");
    assert_int_equal(driver_await(self->driver, sent.deleted)->kind, MR_REPLY);
    assert_int_equal(created(self), CREATED - 1);
    mr_db_destroy(&holder);
}

/* The update is lost with the connection and must not run twice; what was not sent yet has a new one. */
static void test_lead__a_lost_connection_costs_only_what_was_sent(void **state)
{
    struct fixture *self = *state;
    mr_db *holder = database_connect(self->database);
    struct sent sent = send_three(self, holder, CREATED);
    int64_t waiter = 0;

    for (unsigned i = 0; i < CREATED; i++)
        assert_int_equal(driver_await(self->driver, sent.created[i])->kind, MR_REPLY);
    eventually((waiter = backend_pid(self->database->db, writer(self)->name, true)) != 0); /* the update; before, it was the creates */
    sql_exec(self->database->db, "SELECT pg_terminate_backend(%lld, 5000)", (long long)waiter);
    sql_exec(holder, "ROLLBACK");
    assert_int_equal(driver_await(self->driver, sent.updated)->status, MR_UNAVAILABLE);
    assert_int_equal(driver_await(self->driver, sent.deleted)->kind, MR_REPLY);
    driver_await_all(self->driver, 0);
    mr_db_destroy(&holder);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lead__the_server_works_while_answers_are_written),
        TEST(test_lead__a_refused_batch_is_halved_and_takes_no_other_with_it),
        TEST(test_lead__a_lost_connection_costs_only_what_was_sent),
    };

    return cmocka_run_group_tests(tests, tasks_server_start, tasks_server_stop);
}
