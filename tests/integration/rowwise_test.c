/*
 * Messages that are answered one by one, many in a round trip, by real actors on a real database.
 */
#include "tests/support/orders.h"
#include "tests/support/test.h"

/* ---- One message ---- */

static void test_rowwise__values_are_values_and_rows_without_an_ordinal_the_answer(void **state)
{
    struct shop *self = *state;
    struct mr_value values[MR_FIELDS_MAX] = {0};
    const struct reply *reply;

    set_id(&values[0], self->baskets[1]);
    set_int(&values[1], 3);
    reply = driver_await(self->driver, driver_send(self->driver, order_op(ORDER_PLACE), values, self->user));
    assert_int_equal(reply->kind, MR_REPLY);
    assert_true(json_is_false(json_object_get(reply->body, "noteGiven")));
    assert_null(json_object_get(reply->body, "n"));
    values[2].cleared = true;
    reply = driver_await(self->driver, driver_send(self->driver, order_op(ORDER_ADD), values, self->user));
    assert_true(json_is_true(json_object_get(reply->body, "noteGiven")));
    set_text(&values[2], "");
    reply = driver_await(self->driver, driver_send(self->driver, order_op(ORDER_ADD), values, self->user));
    assert_true(json_is_true(json_object_get(reply->body, "noteGiven")));
    assert_string_equal(json_string_value(json_object_get(reply->body, "n")), ""); /* a column like any other */
    assert_int_equal(count_orders(self, "quantity = 3"), 3);
}

static void test_rowwise__no_row_is_404_or_an_empty_list_or_nothing(void **state)
{
    struct shop *self = *state;

    assert_int_equal(ask_basket(self, ORDER_FIND, 1)->status, MR_NOT_FOUND);
    assert_int_equal(json_array_size(ask_basket(self, ORDER_LIST, 1)->body), 0);
    assert_true(json_is_null(ask_basket(self, ORDER_CANCEL, 1)->body));
    driver_await(self->driver, send_order(self, ORDER_ADD, 1, 1, 0));
    driver_await(self->driver, send_order(self, ORDER_ADD, 1, 2, 0));
    assert_int_equal(json_array_size(ask_basket(self, ORDER_LIST, 1)->body), 2);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(json_array_get(ask_basket(self, ORDER_LIST, 1)->body, 0), "amount"), "quantity")), 1);
    assert_int_equal(ask_basket(self, ORDER_FIND, 1)->kind, MR_REPLY);
    assert_int_equal(ask_basket(self, ORDER_CANCEL, 1)->kind, MR_REPLY);
    assert_int_equal(count_orders(self, "true"), 0);
}

/* ---- Windows ---- */

static void test_rowwise__a_window_is_one_transaction_of_sixteen_in_the_order_of_its_keys(void **state)
{
    struct shop *self = *state;
    mr_db *holder = plug_shop(self);

    for (unsigned i = 40; i > 0; i--)
        send_order(self, ORDER_PLACE, i, 1, 0);
    unplug_shop(holder);
    driver_await_all(self->driver, 0);
    assert_int_equal(count_orders(self, "true"), 40);
    assert_int_equal(sql_number(self->database->db, "SELECT count(DISTINCT placed_in) FROM purchase WHERE quantity = 1"), 3);
    assert_int_equal(sql_number(self->database->db, "SELECT max(count) FROM (SELECT count(*) FROM purchase GROUP BY placed_in) t"), 16);
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM purchase a JOIN purchase b USING (placed_in)"
                                                    " WHERE a.place < b.place AND a.basket_id > b.basket_id"), 0);
}

static void test_rowwise__without_a_key_each_is_a_transaction(void **state)
{
    struct shop *self = *state;
    mr_db *holder = plug_shop(self);

    for (unsigned i = 1; i <= 40; i++)
        send_order(self, ORDER_ADD, i, i % 10 == 0 ? 101 : 1, 0);
    unplug_shop(holder);
    driver_await_all(self->driver, 0);
    assert_int_equal(count_orders(self, "true"), 36);
    assert_int_equal(sql_number(self->database->db, "SELECT count(DISTINCT placed_in) FROM purchase WHERE quantity = 1"), 36);
    assert_int_equal(driver_actor(self->driver, order_op(ORDER_ADD))->stats.batches, 2);
}

/* What failed leaves nothing behind, though it had written before; and nobody else notices. */
static void test_rowwise__one_in_ten_fails_by_itself(void **state)
{
    struct shop *self = *state;
    mr_db *holder = plug_shop(self);
    unsigned sent[41];

    for (unsigned i = 1; i <= 40; i++)
        sent[i] = send_order(self, ORDER_PLACE, i, i % 10 == 0 ? 101 : 1, 0);
    unplug_shop(holder);
    driver_await_all(self->driver, 0);
    for (unsigned i = 1; i <= 40; i++) {
        const struct reply *reply = driver_await(self->driver, sent[i]);

        assert_int_equal(reply->status, i % 10 == 0 ? MR_CONFLICT : MR_OK);
        assert_string_equal(reply->field, i % 10 == 0 ? "quantity" : "");
        assert_string_equal(reply->text, i % 10 == 0 ? "out of stock" : "");
    }
    assert_int_equal(count_orders(self, "true"), 36);
    assert_int_equal(count_orders(self, "quantity = 101"), 0);
}

static void test_rowwise__messages_of_one_key_keep_their_order(void **state)
{
    struct shop *self = *state;
    mr_db *holder = plug_shop(self);

    for (unsigned i = 1; i <= 30; i++)
        send_order(self, ORDER_PLACE, 1 + i % 3, i, 0);
    unplug_shop(holder);
    driver_await_all(self->driver, 0);
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM purchase a JOIN purchase b USING (basket_id)"
                                                    " WHERE a.place < b.place AND a.quantity > b.quantity AND a.quantity <> 77"), 0);
    assert_int_equal(count_orders(self, "true"), 30);
}

/* The first of a window waits for a lock until its deadline; the others have theirs later, and are done. */
static void test_rowwise__what_runs_out_of_time_takes_no_other_along(void **state)
{
    struct shop *self = *state;
    mr_db *gate = hold_gate(self, 1);
    mr_db *holder = plug_shop(self);
    int64_t pid = backend_pid(self->database->db, self->writer, false);
    unsigned late;
    unsigned sent[4];

    late = send_order_until(self, ORDER_PLACE, 1, 1, 1, 1500);
    for (unsigned i = 2; i < 6; i++)
        sent[i - 2] = send_order_until(self, ORDER_PLACE, i, 1, 0, 1500);
    unplug_shop(holder);
    assert_int_equal(driver_await(self->driver, late)->status, MR_TIMEOUT);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(driver_await(self->driver, sent[i])->kind, MR_REPLY);
    assert_int_equal(count_orders(self, "true"), 4);
    assert_int_equal(backend_pid(self->database->db, self->writer, false), pid);
    unplug_shop(gate);
}

/*
 * A window whose statements wait ends with its deadline, not after fifteen limits of 1.5 s: what is at work is cancelled, one after
 * the other, and what was done before holds. Without that the connection would go, and the window with it.
 */
static void test_rowwise__a_window_ends_with_its_deadline(void **state)
{
    struct shop *self = *state;
    mr_db *gate = hold_gate(self, 1);
    mr_db *holder = plug_shop(self);
    unsigned last = 0;

    for (unsigned i = 1; i <= 16; i++)
        last = send_order_until(self, ORDER_PLACE, i, 1, i > 1 ? 1 : 0, 1500);
    unplug_shop(holder);
    assert_int_equal(driver_await(self->driver, last)->status, MR_TIMEOUT);
    assert_int_equal(count_orders(self, "true"), 1);
    unplug_shop(gate);
    assert_int_equal(driver_await(self->driver, send_order(self, ORDER_PLACE, 20, 1, 0))->kind, MR_REPLY);
    assert_int_equal(count_orders(self, "true"), 2);
}

static void test_rowwise__what_became_late_is_not_run(void **state)
{
    struct shop *self = *state;
    struct mr_actor *writer = driver_actor(self->driver, order_op(ORDER_PLACE));
    mr_db *holder = plug_shop(self);
    int64_t deadline_ms = mr_wall_ms(&mr_system_clock) + 300;

    send_order_until(self, ORDER_PLACE, 1, 1, 0, 300);
    eventually(mr_wall_ms(&mr_system_clock) > deadline_ms);
    unplug_shop(holder);
    assert_int_equal(driver_await(self->driver, send_order(self, ORDER_PLACE, 2, 1, 0))->kind, MR_REPLY);
    eventually(writer->stats.expired == 1);
    driver_await_all(self->driver, 1);
    assert_int_equal(count_orders(self, "true"), 1);
}

/* Late ones are looked for from window to window: the second of a batch waits for the first. */
static void test_rowwise__what_became_late_behind_a_window_is_not_run(void **state)
{
    struct shop *self = *state;
    struct mr_actor *writer = driver_actor(self->driver, order_op(ORDER_PLACE));
    mr_db *gate = hold_gate(self, 1);
    mr_db *holder = plug_shop(self);
    int64_t deadline_ms;

    for (unsigned i = 1; i <= 16; i++)
        send_order(self, ORDER_PLACE, i, 1, i == 1 ? 1 : 0);
    deadline_ms = mr_wall_ms(&mr_system_clock) + 1500;
    send_order_until(self, ORDER_PLACE, 17, 1, 0, 1500);
    unplug_shop(holder);
    driver_await(self->driver, 1);
    await_waiting(self);
    eventually(mr_wall_ms(&mr_system_clock) > deadline_ms);
    unplug_shop(gate);
    driver_await_all(self->driver, 1);
    eventually(writer->stats.expired == 1);
    assert_int_equal(count_orders(self, "true"), 16);
}

/* ---- Callers ---- */

static void test_rowwise__who_is_gone_is_told_so_and_nothing_is_done(void **state)
{
    struct shop *self = *state;
    mr_db *holder = plug_shop(self);
    uint8_t nobody[16];
    struct mr_value values[MR_FIELDS_MAX] = {0};
    unsigned gone;
    unsigned alone;

    make_id(nobody, 1, 4711);
    for (unsigned i = 1; i <= 5; i++)
        send_order(self, ORDER_PLACE, i, 1, 0);
    set_id(&values[0], self->baskets[6]);
    set_int(&values[1], 1);
    gone = driver_send(self->driver, order_op(ORDER_PLACE), values, nobody);
    alone = driver_send(self->driver, order_op(ORDER_ADD), values, nobody);
    unplug_shop(holder);
    driver_await_all(self->driver, 0);
    assert_int_equal(driver_await(self->driver, gone)->status, MR_INVALID_TOKEN);
    assert_int_equal(driver_await(self->driver, alone)->status, MR_INVALID_TOKEN);
    assert_int_equal(count_orders(self, "true"), 5);
}

/* ---- Commits ---- */

/* A constraint that is deferred breaks the commit of a whole window: nothing of it holds, and the one to blame is found. */
static void test_rowwise__a_commit_that_fails_is_its_culprit_s_answer(void **state)
{
    struct shop *self = *state;
    mr_db *holder = plug_shop(self);
    unsigned sent[8];

    sql_exec(self->database->db, "INSERT INTO voucher VALUES ('spent')");
    for (unsigned i = 0; i < 8; i++) {
        struct mr_value values[MR_FIELDS_MAX] = {0};
        char code[16];

        snprintf(code, sizeof code, "V%u", i);
        set_int(&values[0], i + 1);
        set_text(&values[1], i == 5 ? "spent" : code);
        set_int(&values[2], 1);
        sent[i] = driver_send(self->driver, order_op(VOUCHER_ADD), values, self->user);
    }
    unplug_shop(holder);
    for (unsigned i = 0; i < 8; i++) {
        const struct reply *reply = driver_await(self->driver, sent[i]);

        assert_int_equal(reply->status, i == 5 ? MR_CONFLICT : MR_OK);
        assert_string_equal(reply->field, i == 5 ? "code" : "");
    }
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM voucher"), 8);
}

static void test_rowwise__a_commit_of_its_own_that_fails_is_an_answer(void **state)
{
    struct shop *self = *state;
    struct mr_value values[MR_FIELDS_MAX] = {0};

    set_text(&values[0], "once");
    assert_int_equal(driver_await(self->driver, driver_send(self->driver, order_op(VOUCHER_SPEND), values, self->user))->kind, MR_REPLY);
    assert_int_equal(driver_await(self->driver, driver_send(self->driver, order_op(VOUCHER_SPEND), values, self->user))->status, MR_CONFLICT);
    assert_int_equal(driver_await(self->driver, send_order(self, ORDER_ADD, 1, 1, 0))->kind, MR_REPLY);
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM voucher"), 1);
}

/*
 * Another session has row 2 and wants row 1, which the window has: one of them is the victim. Both are done in the end. The other
 * comes to want it in the moment in which it lets the window go on, so that it waits already when the window looks.
 */
static void test_rowwise__the_victim_of_a_deadlock_runs_again(void **state)
{
    struct shop *self = *state;
    mr_db *other = database_connect(self->database);
    struct mr_value values[MR_FIELDS_MAX] = {0};
    mr_db *holder = plug_shop(self);
    unsigned sent;
    unsigned beside;

    sql_exec(other, "SET deadlock_timeout = '1min'"); /* it is the writer who looks, and so the victim */
    sql_exec(other, "BEGIN; SELECT FROM gate WHERE id = 2 FOR UPDATE; SAVEPOINT s; SELECT FROM gate WHERE id = 8 FOR UPDATE");
    set_int(&values[0], 1);
    set_int(&values[1], 2);
    sent = driver_send(self->driver, order_op(TURN_TAKE), values, self->user);
    set_int(&values[0], 3);
    set_int(&values[1], 4);
    beside = driver_send(self->driver, order_op(TURN_TAKE), values, self->user);
    unplug_shop(holder);
    driver_await(self->driver, 1);
    await_waiting(self);
    sql_exec(other, "ROLLBACK TO s; SELECT FROM gate WHERE id = 1 FOR UPDATE"); /* comes once the victim has let go */
    sql_exec(other, "COMMIT");
    assert_int_equal(driver_await(self->driver, sent)->kind, MR_REPLY);
    assert_int_equal(driver_await(self->driver, beside)->kind, MR_REPLY);
    mr_db_destroy(&other);
}

/* ---- Lost connections ---- */

/* The server says good-bye while a statement of the window is at work: nothing of it holds, so all of it runs again. */
static void test_rowwise__a_back_end_that_is_ended_in_a_window_costs_nothing(void **state)
{
    struct shop *self = *state;
    mr_db *holder = plug_shop(self);
    mr_db *gate = hold_gate(self, 1);

    for (unsigned i = 1; i <= 8; i++)
        send_order(self, ORDER_PLACE, i, 1, i == 5 ? 1 : 0);
    unplug_shop(holder);
    eventually(sql_number(self->database->db, "SELECT count(*) FROM purchase WHERE quantity = 77") == 1);
    await_waiting(self);
    sql_exec(self->database->db, "SELECT pg_terminate_backend(%lld)",
             (long long)backend_pid(self->database->db, self->writer, true));
    await_waiting(self); /* another back end, at the same place */
    unplug_shop(gate);
    driver_await_all(self->driver, 0);
    for (unsigned i = 1; i <= self->driver->sent; i++)
        assert_int_equal(driver_await(self->driver, i)->kind, MR_REPLY);
    assert_int_equal(count_orders(self, "true"), 8);
}

/* The commit was sent, and its confirmation lost: nobody knows, and nothing is run twice. */
static void lose_confirmation(struct shop *self, enum order order)
{
    mr_db *gate = hold_gate(self, 1);
    mr_db *holder = plug_shop(self);

    for (unsigned i = 1; i <= 4; i++)
        send_order(self, order, i, 1, i == 1 ? 1 : 0);
    unplug_shop(holder);
    driver_await(self->driver, 1);
    await_waiting(self);
    distance_hold_answers(self->distance, true);
    unplug_shop(gate);
    eventually(count_orders(self, "true") == 4);
    distance_cut(self->distance);
    distance_hold_answers(self->distance, false);
    driver_await_all(self->driver, 0);
}

static void test_rowwise__a_lost_confirmation_is_503_and_nothing_runs_twice(void **state)
{
    struct shop *self = *state;

    lose_confirmation(self, ORDER_PLACE);
    for (unsigned i = 2; i <= 5; i++)
        assert_int_equal(driver_await(self->driver, i)->status, MR_UNAVAILABLE);
    assert_int_equal(count_orders(self, "true"), 4);
}

static void test_rowwise__what_may_run_twice_does_after_a_lost_confirmation(void **state)
{
    struct shop *self = *state;

    lose_confirmation(self, ORDER_REPEAT);
    for (unsigned i = 2; i <= 5; i++)
        assert_int_equal(driver_await(self->driver, i)->kind, MR_REPLY);
    assert_int_equal(count_orders(self, "true"), 8); /* the statement says that it may, though it does not look */
}

static void test_rowwise__without_a_database_everybody_is_told_at_once(void **state)
{
    struct shop *self = *state;
    mr_db *holder = plug_shop(self);

    for (unsigned i = 1; i <= 40; i++)
        send_order(self, i % 2 == 0 ? ORDER_PLACE : ORDER_ADD, i, 1, 0);
    distance_end(self->distance);
    unplug_shop(holder);
    driver_await_all(self->driver, 0);
    for (unsigned i = 2; i <= self->driver->sent; i++)
        assert_int_equal(driver_await(self->driver, i)->status, MR_UNAVAILABLE);
    assert_int_equal(count_orders(self, "true"), 0);
}

/* ---- What is told ---- */

static void test_rowwise__what_an_application_raises_is_told_and_nothing_else(void **state)
{
    struct shop *self = *state;
    const struct reply *reply = driver_await(self->driver, send_order(self, ORDER_PLACE, 1, 404, 0));

    assert_int_equal(reply->status, MR_NOT_FOUND);
    assert_string_equal(reply->text, ""); /* MR404 is no sentence */
    reply = driver_await(self->driver, send_order(self, ORDER_PLACE, 1, 401, 0));
    assert_int_equal(reply->status, MR_INTERNAL);
    assert_string_equal(reply->text, "");
    reply = driver_await(self->driver, send_order(self, ORDER_PLACE, 1, 500, 0));
    assert_int_equal(reply->status, MR_INTERNAL);
    assert_string_equal(reply->text, "");
    assert_int_equal(count_orders(self, "true"), 0);
}

static void add_product(struct shop *self, unsigned id, const char *sku, const char *shelf, int64_t price, int64_t from,
                        mr_status status, const char *field, const char *code)
{
    struct mr_value values[MR_FIELDS_MAX] = {0};
    const struct reply *reply;

    set_id(&values[0], self->baskets[id]);
    if (sku != NULL)
        set_text(&values[1], sku);
    if (shelf != NULL)
        set_text(&values[2], shelf);
    set_int(&values[3], price);
    if (from != 0)
        set_int(&values[4], from);
    reply = driver_await(self->driver, driver_send(self->driver, order_op(PRODUCT_ADD), values, self->user));
    assert_int_equal(reply->status, status);
    assert_string_equal(reply->field, field);
    assert_string_equal(reply->code, code);
}

static void test_rowwise__a_broken_constraint_names_its_fields(void **state)
{
    struct shop *self = *state;
    struct mr_value values[MR_FIELDS_MAX] = {0};
    const struct reply *reply;

    for (unsigned twice = 0; twice < 2; twice++) { /* asked, and remembered */
        if (twice == 0)
            add_product(self, 1, "A", "left", 1, 10, MR_OK, "", "");
        add_product(self, 1, "B", "left", 1, 20, MR_CONFLICT, "id", "taken");
        add_product(self, 2, "A", "left", 1, 20, MR_CONFLICT, "shelf|sku", "taken");
        add_product(self, 2, "a", NULL, 1, 20, MR_CONFLICT, "sku", "taken");
        add_product(self, 2, "B", "left", 101, 20, MR_INVALID, "price", "range");
        add_product(self, 2, NULL, "left", 1, 20, MR_INVALID, "sku", "required");
        add_product(self, 2, "B", "right", 1, 20, MR_INVALID, "shelf", "unknown");
        add_product(self, 2, "B", "left", 1, 11, MR_CONFLICT, "", "taken"); /* clients do not know its column */
    }
    set_text(&values[0], "left");
    reply = driver_await(self->driver, driver_send(self->driver, order_op(SHELF_DROP), values, self->user));
    assert_int_equal(reply->status, MR_CONFLICT);
    assert_string_equal(reply->field, "");
    assert_string_equal(reply->text, "The resource is still in use.");
    reply = driver_await(self->driver, send_order(self, ORDER_PLACE, 1, -1, 0)); /* by its own name, in camel case */
    assert_int_equal(reply->status, MR_INVALID);
    assert_string_equal(reply->field, "quantity");
    reply = driver_await(self->driver, send_order(self, ORDER_REPEAT, 1, -1, 0)); /* an op that does not ask for it */
    assert_int_equal(reply->status, MR_INVALID);
    assert_string_equal(reply->field, "");
}

static void test_rowwise__a_set_wise_statement_may_raise_too(void **state)
{
    struct shop *self = *state;
    mr_db *holder = plug_shop(self);
    unsigned sent[20];

    for (unsigned i = 0; i < 20; i++) {
        struct mr_value values[MR_FIELDS_MAX] = {0};

        set_int(&values[0], i);
        sent[i] = driver_send(self->driver, order_op(BATCH_CHECK), values, self->user);
    }
    unplug_shop(holder);
    driver_await_all(self->driver, 0);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(driver_await(self->driver, sent[i])->status, i == 7 ? MR_INVALID : i == 9 ? MR_CONFLICT : MR_OK);
    assert_string_equal(driver_await(self->driver, sent[9])->field, "quantity");
}

#define NEAR(test) cmocka_unit_test_setup_teardown(test, shop_setup, shop_teardown)
#define FAR(test)  cmocka_unit_test_setup_teardown(test, far_shop_setup, shop_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NEAR(test_rowwise__values_are_values_and_rows_without_an_ordinal_the_answer),
        NEAR(test_rowwise__no_row_is_404_or_an_empty_list_or_nothing),
        NEAR(test_rowwise__a_window_is_one_transaction_of_sixteen_in_the_order_of_its_keys),
        NEAR(test_rowwise__without_a_key_each_is_a_transaction),
        NEAR(test_rowwise__one_in_ten_fails_by_itself),
        NEAR(test_rowwise__messages_of_one_key_keep_their_order),
        NEAR(test_rowwise__what_runs_out_of_time_takes_no_other_along),
        NEAR(test_rowwise__a_window_ends_with_its_deadline),
        NEAR(test_rowwise__what_became_late_is_not_run),
        NEAR(test_rowwise__what_became_late_behind_a_window_is_not_run),
        NEAR(test_rowwise__who_is_gone_is_told_so_and_nothing_is_done),
        NEAR(test_rowwise__a_commit_that_fails_is_its_culprit_s_answer),
        NEAR(test_rowwise__a_commit_of_its_own_that_fails_is_an_answer),
        NEAR(test_rowwise__the_victim_of_a_deadlock_runs_again),
        NEAR(test_rowwise__a_back_end_that_is_ended_in_a_window_costs_nothing),
        FAR(test_rowwise__a_lost_confirmation_is_503_and_nothing_runs_twice),
        FAR(test_rowwise__what_may_run_twice_does_after_a_lost_confirmation),
        FAR(test_rowwise__without_a_database_everybody_is_told_at_once),
        NEAR(test_rowwise__what_an_application_raises_is_told_and_nothing_else),
        NEAR(test_rowwise__a_broken_constraint_names_its_fields),
        NEAR(test_rowwise__a_set_wise_statement_may_raise_too),
    };

    return cmocka_run_group_tests(tests, database_server_start, database_server_stop);
}
