/*
 * Messages that are answered one by one and honour an Idempotency-Key, by real actors on a real database.
 */
#include "tests/support/orders.h"
#include "tests/support/test.h"

static unsigned send_keyed(struct shop *self, enum order order, unsigned basket, int64_t quantity, int64_t gate, const char *key, const char *fingerprint)
{
    struct mr_value values[MR_FIELDS_MAX] = {0};

    set_id(&values[0], self->baskets[basket]);
    set_int(&values[1], quantity);
    if (gate != 0)
        set_int(&values[3], gate);
    set_text(&values[4], key);
    set_text(&values[5], fingerprint);
    return driver_send(self->driver, order_op(order), values, self->user);
}

static int64_t id_of(struct shop *self, unsigned sent)
{
    const struct reply *reply = driver_await(self->driver, sent);

    assert_int_equal(reply->status, MR_OK);
    return json_integer_value(json_object_get(reply->body, "id"));
}

static void check_repeated(struct shop *self, enum order order)
{
    mr_db *holder = plug_shop(self);
    unsigned first = send_keyed(self, order, 1, 1, 0, "K1", "same");
    unsigned beside = send_order(self, ORDER_PLACE, 2, 2, 0);
    unsigned other = send_keyed(self, order, 3, 3, 0, "K3", "another");
    unsigned again = send_keyed(self, order, 1, 1, 0, "K1", "same");
    unsigned differs = send_keyed(self, order, 4, 4, 0, "K1", "differs");

    unplug_shop(holder);
    assert_true(id_of(self, first) != id_of(self, other));
    assert_int_equal(id_of(self, again), id_of(self, first));
    assert_int_equal(driver_await(self->driver, differs)->status, MR_UNPROCESSABLE);
    assert_int_equal(driver_await(self->driver, beside)->kind, MR_REPLY);
    again = send_keyed(self, order, 1, 1, 0, "K1", "same");
    assert_int_equal(id_of(self, again), id_of(self, first));
    assert_true(json_equal(driver_await(self->driver, again)->body, driver_await(self->driver, first)->body));
    assert_int_equal(count_orders(self, "true"), 3);
    sql_exec(self->database->db, "UPDATE millrace.idempotency_key SET created_at = now() - interval '25 hours'");
    assert_true(id_of(self, send_keyed(self, order, 1, 1, 0, "K1", "same")) != id_of(self, first));
    assert_int_equal(count_orders(self, "true"), 4);
}

static void test_rowwise_key__a_key_that_comes_again_gets_the_first_answer(void **state)
{
    check_repeated(*state, ORDER_ONCE);
}

static void test_rowwise_key__so_it_does_where_each_is_a_transaction(void **state)
{
    check_repeated(*state, ORDER_SINGLE);
}

/* An exception, a row that says so, none at all: the key is free again. */
static void test_rowwise_key__what_fails_is_not_kept(void **state)
{
    struct shop *self = *state;
    mr_db *holder = plug_shop(self);
    unsigned sent[3] = {send_keyed(self, ORDER_ONCE, 1, 404, 0, "K1", "a"), send_keyed(self, ORDER_ONCE, 2, 99, 0, "K2", "b"),
                        send_keyed(self, ORDER_ONCE, 3, 1, 0, "K3", "c")};

    unplug_shop(holder);
    assert_int_equal(driver_await(self->driver, sent[0])->status, MR_NOT_FOUND);
    assert_int_equal(driver_await(self->driver, sent[1])->status, MR_NOT_FOUND);
    id_of(self, sent[2]);
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM millrace.idempotency_key"), 1);
    id_of(self, send_keyed(self, ORDER_ONCE, 1, 1, 0, "K1", "d"));
    id_of(self, send_keyed(self, ORDER_ONCE, 2, 1, 0, "K2", "e"));
}

/* Another process is at work on the same request: its end decides. */
static void test_rowwise_key__a_claim_that_is_not_committed_is_waited_for(void **state)
{
    struct shop *self = *state;
    mr_db *other = database_connect(self->database);
    unsigned sent;

    for (unsigned commits = 0; commits < 2; commits++) {
        sql_exec(other, "BEGIN; INSERT INTO millrace.idempotency_key SELECT id, 'K1', 'same', '{\"$body\": \"{\\\"id\\\":4711}\"}' FROM millrace.app_user WHERE username = 'user1'");
        sent = send_keyed(self, ORDER_ONCE, 1, 1, 0, "K1", "same");
        await_waiting(self);
        sql_exec(other, commits ? "COMMIT" : "ROLLBACK");
        assert_int_equal(id_of(self, sent) == 4711, commits);
        if (!commits)
            sql_exec(self->database->db, "DELETE FROM millrace.idempotency_key");
    }
    assert_int_equal(count_orders(self, "true"), 1);
    mr_db_destroy(&other);
}

/* What was kept by another operation, or by another release, is no answer. */
static void test_rowwise_key__what_was_kept_in_another_form_is_422(void **state)
{
    struct shop *self = *state;

    sql_exec(self->database->db, "INSERT INTO millrace.idempotency_key SELECT id, 'K1', 'same', '{\"id\": 1}' FROM millrace.app_user WHERE username = 'user1'");
    assert_int_equal(driver_await(self->driver, send_keyed(self, ORDER_ONCE, 1, 1, 0, "K1", "same"))->status, MR_UNPROCESSABLE);
}

static void test_rowwise_key__who_is_gone_claims_no_key(void **state)
{
    struct shop *self = *state;
    int64_t pid = backend_pid(self->database->db, self->writer, false);
    struct mr_value values[MR_FIELDS_MAX] = {0};
    mr_db *holder = plug_shop(self);
    uint8_t nobody[16];
    unsigned gone;

    make_id(nobody, 1, 4711);
    set_id(&values[0], self->baskets[1]);
    set_int(&values[1], 1);
    set_text(&values[4], "K1");
    set_text(&values[5], "a");
    gone = driver_send(self->driver, order_op(ORDER_ONCE), values, nobody);
    send_keyed(self, ORDER_ONCE, 2, 1, 0, "K2", "b");
    unplug_shop(holder);
    driver_await_all(self->driver, 0);
    assert_int_equal(driver_await(self->driver, gone)->status, MR_INVALID_TOKEN);
    assert_int_equal(count_orders(self, "true"), 1);
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM millrace.idempotency_key"), 1);
    assert_int_equal(backend_pid(self->database->db, self->writer, false), pid);
}

/* A key makes it safe to run again: it finds what the first did. */
static void test_rowwise_key__a_key_survives_a_lost_confirmation(void **state)
{
    struct shop *self = *state;
    mr_db *gate = hold_gate(self, 1);
    mr_db *holder = plug_shop(self);
    unsigned sent[4];

    for (unsigned i = 0; i < 4; i++) {
        char key[8];

        snprintf(key, sizeof key, "K%u", i);
        sent[i] = send_keyed(self, ORDER_ONCE, i + 1, 1, i == 0 ? 1 : 0, key, key);
    }
    unplug_shop(holder);
    driver_await(self->driver, 1);
    await_waiting(self);
    distance_cut(self->distance); /* before the commit is sent */
    await_waiting(self);
    unplug_shop(gate);
    for (unsigned i = 0; i < 4; i++)
        id_of(self, sent[i]);
    assert_int_equal(count_orders(self, "true"), 4);
}

#define NEAR(test) cmocka_unit_test_setup_teardown(test, shop_setup, shop_teardown)
#define FAR(test)  cmocka_unit_test_setup_teardown(test, far_shop_setup, shop_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NEAR(test_rowwise_key__a_key_that_comes_again_gets_the_first_answer),
        NEAR(test_rowwise_key__so_it_does_where_each_is_a_transaction),
        NEAR(test_rowwise_key__what_fails_is_not_kept),
        NEAR(test_rowwise_key__a_claim_that_is_not_committed_is_waited_for),
        NEAR(test_rowwise_key__what_was_kept_in_another_form_is_422),
        NEAR(test_rowwise_key__who_is_gone_claims_no_key),
        FAR(test_rowwise_key__a_key_survives_a_lost_confirmation),
    };

    return cmocka_run_group_tests(tests, database_server_start, database_server_stop);
}
