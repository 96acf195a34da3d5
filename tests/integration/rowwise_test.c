/*
 * Messages that are answered one by one, many in a round trip, by real actors on a real database: an application of a test's own,
 * a small shop.
 */
#include "actors/data_writer.h"
#include "proto/uuid.h"
#include "runtime/constraints.h"
#include "tests/support/distance.h"
#include "tests/support/driver.h"
#include "tests/support/test.h"

enum { BASKETS = 64 };

/* ---- The shop ---- */

/* An order tells the transaction that it was placed in, and which place it has in it. Who goes through a gate waits while it is held. */
static const char schema[] =
    "CREATE TABLE gate (id int PRIMARY KEY); INSERT INTO gate SELECT generate_series(1, 9);"
    "CREATE TABLE shelf (code text PRIMARY KEY); INSERT INTO shelf VALUES ('left');"
    "CREATE TABLE purchase (place bigserial PRIMARY KEY, basket_id uuid NOT NULL, quantity bigint CHECK (quantity > 0), note text,"
    "  placed_in xid8 NOT NULL DEFAULT pg_current_xact_id());"
    "CREATE TABLE product (id uuid PRIMARY KEY, sku text NOT NULL, shelf_code text REFERENCES shelf, price bigint,"
    "  during int8range, CONSTRAINT price_is_fair CHECK (price BETWEEN 1 AND 100),"
    "  CONSTRAINT one_label UNIQUE (shelf_code, sku), EXCLUDE USING gist (during WITH &&));"
    "CREATE UNIQUE INDEX product_sku ON product (lower(sku));"
    "CREATE TABLE voucher (code text UNIQUE DEFERRABLE INITIALLY DEFERRED);"
    "CREATE FUNCTION place_order(basket uuid, quantity bigint, note text, note_given boolean, gate int, OUT id bigint,"
    "  OUT \"noteGiven\" boolean, OUT n text) LANGUAGE plpgsql AS $$ BEGIN"
    "  INSERT INTO purchase (basket_id, quantity, note) VALUES (basket, quantity, note) RETURNING place INTO id;"
    "  IF gate IS NOT NULL THEN PERFORM FROM gate g WHERE g.id = gate FOR UPDATE; END IF;"
    "  IF quantity = 404 THEN RAISE SQLSTATE 'MR404'; END IF;"
    "  IF quantity = 401 THEN RAISE SQLSTATE 'MR401' USING MESSAGE = 'who are you?'; END IF;"
    "  IF quantity = 500 THEN RAISE EXCEPTION 'a secret'; END IF;"
    "  IF quantity > 100 THEN RAISE SQLSTATE 'MR409' USING MESSAGE = 'out of stock', COLUMN = 'quantity'; END IF;"
    "  \"noteGiven\" := note_given; n := note; END $$;"
    "CREATE FUNCTION take_turns(first int, second int) RETURNS void LANGUAGE plpgsql AS $$ BEGIN"
    "  PERFORM FROM gate g WHERE g.id = first FOR UPDATE; PERFORM FROM gate g WHERE g.id = 8 FOR SHARE;"
    "  PERFORM FROM gate g WHERE g.id = second FOR UPDATE; END $$;";

enum op {
    ORDER_PLACE,   /* by the key of its basket */
    ORDER_ADD,     /* the same, without a key */
    ORDER_REPEAT,  /* the same, safe to run again */
    ORDER_LIST,    /* many */
    ORDER_CANCEL,  /* none */
    ORDER_FIND,    /* one */
    PRODUCT_ADD,   /* breaks constraints */
    SHELF_DROP,
    VOUCHER_ADD,   /* breaks one at the commit, in a window */
    VOUCHER_SPEND, /* and by itself */
    TURN_TAKE,     /* locks two rows */
    BATCH_CHECK,   /* set-wise, and raises */
    ORDER_ONCE,    /* by the key of its basket, and honours an Idempotency-Key */
    ORDER_SINGLE,  /* the same, without a key */
    OPS
};

/* A field from the body, or from elsewhere. */
#define IN(field, kind)            {.name = field, .type = kind, .from = MR_BODY}
#define FROM(field, kind, source)  {.name = field, .type = kind, .from = source, .required = true}
#define BASKET                     IN("basketId", MR_UUID)
#define ORDER_FIELDS                                                                                                      \
    MR_FIELDS(BASKET, IN("quantity", MR_INT), {"note", MR_TEXT, MR_BODY, .clearable = true}, IN("gate", MR_INT))

#define ONCE_FIELDS                                                                                                       \
    MR_FIELDS(BASKET, IN("quantity", MR_INT), {"note", MR_TEXT, MR_BODY, .clearable = true}, IN("gate", MR_INT),           \
              {"Idempotency-Key", MR_TEXT, MR_HEADER, .about = "the key"}, {"fingerprint", MR_TEXT, MR_FINGERPRINT, .about = "of the payload"})

static const struct mr_traits traits[OPS] = {
    [ORDER_PLACE] = {.shape = MR_SHAPE_ONE, .row_wise = true, .constraints = true, .resource = "basket", .key = "basketId", .fields = ORDER_FIELDS},
    [ORDER_ADD] = {.shape = MR_SHAPE_ONE, .row_wise = true, .constraints = true, .fields = ORDER_FIELDS},
    [ORDER_REPEAT] = {.shape = MR_SHAPE_ONE, .row_wise = true, .rerun_safe = true, .resource = "basket", .key = "basketId", .fields = ORDER_FIELDS},
    [ORDER_LIST] = {.shape = MR_SHAPE_MANY, .row_wise = true, .fields = MR_FIELDS(BASKET)},
    [ORDER_CANCEL] = {.shape = MR_SHAPE_NONE, .row_wise = true, .fields = MR_FIELDS(BASKET)},
    [ORDER_FIND] = {.shape = MR_SHAPE_ONE, .row_wise = true, .fields = MR_FIELDS(BASKET)},
    [PRODUCT_ADD] = {.shape = MR_SHAPE_NONE, .row_wise = true, .constraints = true,
                     .fields = MR_FIELDS(FROM("id", MR_UUID, MR_NEW_ID), IN("sku", MR_TEXT), IN("shelf", MR_TEXT),
                                         IN("price", MR_INT), IN("from", MR_INT))},
    [SHELF_DROP] = {.shape = MR_SHAPE_NONE, .row_wise = true, .constraints = true, .fields = MR_FIELDS(FROM("code", MR_TEXT, MR_PATH))},
    [VOUCHER_ADD] = {.shape = MR_SHAPE_NONE, .row_wise = true, .constraints = true, .resource = "voucher", .key = "number",
                     .fields = MR_FIELDS(IN("number", MR_INT), IN("code", MR_TEXT), IN("gate", MR_INT))},
    [VOUCHER_SPEND] = {.shape = MR_SHAPE_NONE, .row_wise = true, .constraints = true, .fields = MR_FIELDS(IN("code", MR_TEXT))},
    [TURN_TAKE] = {.shape = MR_SHAPE_NONE, .row_wise = true, .resource = "turn", .key = "first",
                   .fields = MR_FIELDS(IN("first", MR_INT), IN("second", MR_INT))},
    [ORDER_ONCE] = {.shape = MR_SHAPE_ONE, .row_wise = true, .constraints = true, .idempotent = true, .resource = "basket", .key = "basketId",
                    .fields = ONCE_FIELDS},
    [ORDER_SINGLE] = {.shape = MR_SHAPE_ONE, .row_wise = true, .idempotent = true, .resource = "basket", .fields = ONCE_FIELDS},
    [BATCH_CHECK] = {.shape = MR_SHAPE_ONE, .fields = MR_FIELDS(IN("number", MR_INT))},
};

#define OP_OF(name, i, verb) {name, MR_VERB_##verb, "/v1/" name, MR_ACTOR_DATA_WRITER, MR_ACCESS_USER, 200, MR_BY_SQL, &traits[i]}

static const struct mr_op_info ops[OPS] = {
    OP_OF("order_place", ORDER_PLACE, POST),   OP_OF("order_add", ORDER_ADD, POST),
    OP_OF("order_repeat", ORDER_REPEAT, POST), OP_OF("order_list", ORDER_LIST, POST),
    OP_OF("order_cancel", ORDER_CANCEL, POST), OP_OF("order_find", ORDER_FIND, POST),
    OP_OF("product_add", PRODUCT_ADD, POST),   OP_OF("shelf_drop", SHELF_DROP, DELETE),
    OP_OF("voucher_add", VOUCHER_ADD, POST),   OP_OF("voucher_spend", VOUCHER_SPEND, POST),
    OP_OF("turn_take", TURN_TAKE, POST),       OP_OF("batch_check", BATCH_CHECK, POST),
    OP_OF("order_once", ORDER_ONCE, POST),     OP_OF("order_single", ORDER_SINGLE, POST),
};

#define PLACE "SELECT * FROM place_order($1, $2::bigint, $3::text, $4::boolean, $5::bigint::int)"

#define PLACE_ONCE "WITH unused AS (SELECT $6::text, $7::text) SELECT id, \"noteGiven\", 7 AS \"$version\" FROM place_order($1, $2::bigint, $3::text, $4::boolean, $5::bigint::int) WHERE id > 0 AND $2 <> 99"

static const struct mr_statement statements[] = {
    {"batch_check", "SELECT k.n, (1 / (k.number - 7))::bigint AS good, raised.* FROM unnest($1::bigint[]) WITH ORDINALITY AS k (number, n)"
                    " LEFT JOIN LATERAL (SELECT id AS place FROM place_order(gen_random_uuid(), CASE k.number WHEN 9 THEN 101 ELSE 1 END, NULL, NULL, NULL)) raised ON true"},
    {"order_add", PLACE},
    {"order_cancel", "DELETE FROM purchase WHERE basket_id = $1 RETURNING place"},
    {"order_find", "SELECT place AS id, quantity FROM purchase WHERE basket_id = $1"},
    {"order_list", "UPDATE purchase SET note = 'listed' WHERE basket_id = $1 RETURNING place AS id, note, quantity AS \"amount.quantity\""},
    {"order_once", PLACE_ONCE},
    {"order_place", PLACE},
    {"order_repeat", PLACE},
    {"order_single", PLACE_ONCE},
    {"product_add", "INSERT INTO product (id, sku, shelf_code, price, during) VALUES ($1, $2, $3, $4::bigint, int8range($5::bigint, $5::bigint + 9))"},
    {"shelf_drop", "DELETE FROM shelf WHERE code = $1"},
    {"turn_take", "SELECT take_turns($1::bigint::int, $2::bigint::int)"},
    {"voucher_add", "INSERT INTO voucher SELECT $2 WHERE $1::bigint > 0 AND EXISTS (SELECT FROM gate WHERE id = $3::bigint FOR UPDATE)"},
    {"voucher_spend", "INSERT INTO voucher VALUES ($1)"},
};

static const struct mr_column_names names[] = {
    {"product", "id", "id"},       {"product", "sku", "sku"}, {"product", "shelf_code", "shelf"},
    {"product", "price", "price"}, {NULL, NULL, NULL},
};

/* ---- The fixture ---- */

struct shop {
    struct database *database;
    struct distance *distance; /* the actor's way to the database; NULL: the same as the test's */
    struct mr_config far;
    struct driver *driver;
    const char *writer; /* its application name */
    uint8_t user[16];
    uint8_t baskets[BASKETS][16];
};

static void open_shop(struct shop *self)
{
    static const struct mr_op_table table = {.ops = ops, .op_count = OPS};

    mr_ops_install(&table);
    mr_statements_install(statements, sizeof statements / sizeof statements[0]);
    mr_constraints_install(names);
    self->database = database_new();
    sql_exec(self->database->db, "%s", schema);
    make_user(self->database->db, 1, self->user);
    for (unsigned i = 0; i < BASKETS; i++)
        make_id(self->baskets[i], 5, i);
}

static int shop_setup(void **state)
{
    struct shop *self = calloc(1, sizeof *self);

    open_shop(self);
    self->driver = driver_new(&self->database->config, &mr_system_clock);
    self->writer = driver_start(self->driver, &mr_data_writer_spec, MR_LANE_QUICK, 0)->name;
    *state = self;
    return 0;
}

static int far_shop_setup(void **state)
{
    struct shop *self = calloc(1, sizeof *self);

    open_shop(self);
    self->far = self->database->config;
    self->distance = distance_new(&self->far, 0);
    self->driver = driver_new(&self->far, &mr_system_clock);
    self->writer = driver_start(self->driver, &mr_data_writer_spec, MR_LANE_QUICK, 0)->name;
    *state = self;
    return 0;
}

static int shop_teardown(void **state)
{
    struct shop *self = *state;

    driver_destroy(&self->driver);
    distance_destroy(&self->distance);
    database_destroy(&self->database);
    free(self);
    mr_ops_install(NULL);
    mr_statements_install(NULL, 0);
    mr_constraints_install(NULL);
    return 0;
}

static enum mr_op op_of(enum op op)
{
    return (enum mr_op)(MR_OP_COUNT + (unsigned)op);
}

/* `quantity`, `gate` 0: left out. */
static unsigned send_order_until(struct shop *self, enum op op, unsigned basket, int64_t quantity, int64_t gate, int64_t life_ms)
{
    struct mr_value values[MR_FIELDS_MAX] = {0};

    set_id(&values[0], self->baskets[basket]);
    if (quantity != 0)
        set_int(&values[1], quantity);
    if (gate != 0)
        set_int(&values[3], gate);
    return driver_send_until(self->driver, op_of(op), values, self->user, mr_wall_ms(&mr_system_clock) + life_ms);
}

static unsigned send_order(struct shop *self, enum op op, unsigned basket, int64_t quantity, int64_t gate)
{
    return send_order_until(self, op, basket, quantity, gate, 15000);
}

static const struct reply *ask_basket(struct shop *self, enum op op, unsigned basket)
{
    struct mr_value values[MR_FIELDS_MAX] = {0};

    set_id(&values[0], self->baskets[basket]);
    return driver_await(self->driver, driver_send(self->driver, op_of(op), values, self->user));
}

/* Keeps the writer inside a statement, so that what is sent meanwhile becomes one batch. */
static mr_db *hold_gate(struct shop *self, int gate)
{
    mr_db *holder = database_connect(self->database);

    sql_exec(holder, "BEGIN; SELECT FROM gate WHERE id = %d FOR UPDATE", gate);
    return holder;
}

static void await_waiting(struct shop *self)
{
    eventually(backend_pid(self->database->db, self->writer, true) != 0);
}

static mr_db *plug(struct shop *self)
{
    mr_db *holder = hold_gate(self, 9);

    send_order(self, ORDER_ADD, 0, 77, 9);
    await_waiting(self);
    return holder;
}

static void unplug(mr_db *holder)
{
    sql_exec(holder, "COMMIT");
    mr_db_destroy(&holder);
}

static int64_t orders(struct shop *self, const char *where)
{
    return sql_number(self->database->db, "SELECT count(*) FROM purchase WHERE quantity <> 77 AND %s", where);
}

/* ---- One message ---- */

static void test_rowwise__values_are_values_and_rows_without_an_ordinal_the_answer(void **state)
{
    struct shop *self = *state;
    struct mr_value values[MR_FIELDS_MAX] = {0};
    const struct reply *reply;

    set_id(&values[0], self->baskets[1]);
    set_int(&values[1], 3);
    reply = driver_await(self->driver, driver_send(self->driver, op_of(ORDER_PLACE), values, self->user));
    assert_int_equal(reply->kind, MR_REPLY);
    assert_true(json_is_false(json_object_get(reply->body, "noteGiven")));
    assert_null(json_object_get(reply->body, "n"));
    values[2].cleared = true;
    reply = driver_await(self->driver, driver_send(self->driver, op_of(ORDER_ADD), values, self->user));
    assert_true(json_is_true(json_object_get(reply->body, "noteGiven")));
    set_text(&values[2], "");
    reply = driver_await(self->driver, driver_send(self->driver, op_of(ORDER_ADD), values, self->user));
    assert_true(json_is_true(json_object_get(reply->body, "noteGiven")));
    assert_string_equal(json_string_value(json_object_get(reply->body, "n")), ""); /* a column like any other */
    assert_int_equal(orders(self, "quantity = 3"), 3);
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
    assert_int_equal(orders(self, "true"), 0);
}

/* ---- Windows ---- */

static void test_rowwise__a_window_is_one_transaction_of_sixteen_in_the_order_of_its_keys(void **state)
{
    struct shop *self = *state;
    mr_db *holder = plug(self);

    for (unsigned i = 40; i > 0; i--)
        send_order(self, ORDER_PLACE, i, 1, 0);
    unplug(holder);
    driver_await_all(self->driver, 0);
    assert_int_equal(orders(self, "true"), 40);
    assert_int_equal(sql_number(self->database->db, "SELECT count(DISTINCT placed_in) FROM purchase WHERE quantity = 1"), 3);
    assert_int_equal(sql_number(self->database->db, "SELECT max(count) FROM (SELECT count(*) FROM purchase GROUP BY placed_in) t"), 16);
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM purchase a JOIN purchase b USING (placed_in)"
                                                    " WHERE a.place < b.place AND a.basket_id > b.basket_id"), 0);
}

static void test_rowwise__without_a_key_each_is_a_transaction(void **state)
{
    struct shop *self = *state;
    mr_db *holder = plug(self);

    for (unsigned i = 1; i <= 40; i++)
        send_order(self, ORDER_ADD, i, i % 10 == 0 ? 101 : 1, 0);
    unplug(holder);
    driver_await_all(self->driver, 0);
    assert_int_equal(orders(self, "true"), 36);
    assert_int_equal(sql_number(self->database->db, "SELECT count(DISTINCT placed_in) FROM purchase WHERE quantity = 1"), 36);
    assert_int_equal(driver_actor(self->driver, op_of(ORDER_ADD))->stats.batches, 2);
}

/* What failed leaves nothing behind, though it had written before; and nobody else notices. */
static void test_rowwise__one_in_ten_fails_by_itself(void **state)
{
    struct shop *self = *state;
    mr_db *holder = plug(self);
    unsigned sent[41];

    for (unsigned i = 1; i <= 40; i++)
        sent[i] = send_order(self, ORDER_PLACE, i, i % 10 == 0 ? 101 : 1, 0);
    unplug(holder);
    driver_await_all(self->driver, 0);
    for (unsigned i = 1; i <= 40; i++) {
        const struct reply *reply = driver_await(self->driver, sent[i]);

        assert_int_equal(reply->status, i % 10 == 0 ? MR_CONFLICT : MR_OK);
        assert_string_equal(reply->field, i % 10 == 0 ? "quantity" : "");
        assert_string_equal(reply->text, i % 10 == 0 ? "out of stock" : "");
    }
    assert_int_equal(orders(self, "true"), 36);
    assert_int_equal(orders(self, "quantity = 101"), 0);
}

static void test_rowwise__messages_of_one_key_keep_their_order(void **state)
{
    struct shop *self = *state;
    mr_db *holder = plug(self);

    for (unsigned i = 1; i <= 30; i++)
        send_order(self, ORDER_PLACE, 1 + i % 3, i, 0);
    unplug(holder);
    driver_await_all(self->driver, 0);
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM purchase a JOIN purchase b USING (basket_id)"
                                                    " WHERE a.place < b.place AND a.quantity > b.quantity AND a.quantity <> 77"), 0);
    assert_int_equal(orders(self, "true"), 30);
}

/* The first of a window waits for a lock until its deadline; the others have theirs later, and are done. */
static void test_rowwise__what_runs_out_of_time_takes_no_other_along(void **state)
{
    struct shop *self = *state;
    mr_db *gate = hold_gate(self, 1);
    mr_db *holder = plug(self);
    int64_t pid = backend_pid(self->database->db, self->writer, false);
    unsigned late;
    unsigned sent[4];

    late = send_order_until(self, ORDER_PLACE, 1, 1, 1, 1500);
    for (unsigned i = 2; i < 6; i++)
        sent[i - 2] = send_order_until(self, ORDER_PLACE, i, 1, 0, 1500);
    unplug(holder);
    assert_int_equal(driver_await(self->driver, late)->status, MR_TIMEOUT);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(driver_await(self->driver, sent[i])->kind, MR_REPLY);
    assert_int_equal(orders(self, "true"), 4);
    assert_int_equal(backend_pid(self->database->db, self->writer, false), pid);
    unplug(gate);
}

/*
 * A window whose statements wait ends with its deadline, not after fifteen limits of 1.5 s: what is at work is cancelled, one after
 * the other, and what was done before holds. Without that the connection would go, and the window with it.
 */
static void test_rowwise__a_window_ends_with_its_deadline(void **state)
{
    struct shop *self = *state;
    mr_db *gate = hold_gate(self, 1);
    mr_db *holder = plug(self);
    unsigned last = 0;

    for (unsigned i = 1; i <= 16; i++)
        last = send_order_until(self, ORDER_PLACE, i, 1, i > 1 ? 1 : 0, 1500);
    unplug(holder);
    assert_int_equal(driver_await(self->driver, last)->status, MR_TIMEOUT);
    assert_int_equal(orders(self, "true"), 1);
    unplug(gate);
    assert_int_equal(driver_await(self->driver, send_order(self, ORDER_PLACE, 20, 1, 0))->kind, MR_REPLY);
    assert_int_equal(orders(self, "true"), 2);
}

static void test_rowwise__what_became_late_is_not_run(void **state)
{
    struct shop *self = *state;
    struct mr_actor *writer = driver_actor(self->driver, op_of(ORDER_PLACE));
    mr_db *holder = plug(self);
    int64_t deadline_ms = mr_wall_ms(&mr_system_clock) + 300;

    send_order_until(self, ORDER_PLACE, 1, 1, 0, 300);
    eventually(mr_wall_ms(&mr_system_clock) > deadline_ms);
    unplug(holder);
    assert_int_equal(driver_await(self->driver, send_order(self, ORDER_PLACE, 2, 1, 0))->kind, MR_REPLY);
    eventually(writer->stats.expired == 1);
    driver_await_all(self->driver, 1);
    assert_int_equal(orders(self, "true"), 1);
}

/* Late ones are looked for from window to window: the second of a batch waits for the first. */
static void test_rowwise__what_became_late_behind_a_window_is_not_run(void **state)
{
    struct shop *self = *state;
    struct mr_actor *writer = driver_actor(self->driver, op_of(ORDER_PLACE));
    mr_db *gate = hold_gate(self, 1);
    mr_db *holder = plug(self);
    int64_t deadline_ms;

    for (unsigned i = 1; i <= 16; i++)
        send_order(self, ORDER_PLACE, i, 1, i == 1 ? 1 : 0);
    deadline_ms = mr_wall_ms(&mr_system_clock) + 1500;
    send_order_until(self, ORDER_PLACE, 17, 1, 0, 1500);
    unplug(holder);
    driver_await(self->driver, 1);
    await_waiting(self);
    eventually(mr_wall_ms(&mr_system_clock) > deadline_ms);
    unplug(gate);
    driver_await_all(self->driver, 1);
    eventually(writer->stats.expired == 1);
    assert_int_equal(orders(self, "true"), 16);
}

/* ---- Callers ---- */

static void test_rowwise__who_is_gone_is_told_so_and_nothing_is_done(void **state)
{
    struct shop *self = *state;
    mr_db *holder = plug(self);
    uint8_t nobody[16];
    struct mr_value values[MR_FIELDS_MAX] = {0};
    unsigned gone;
    unsigned alone;

    make_id(nobody, 1, 4711);
    for (unsigned i = 1; i <= 5; i++)
        send_order(self, ORDER_PLACE, i, 1, 0);
    set_id(&values[0], self->baskets[6]);
    set_int(&values[1], 1);
    gone = driver_send(self->driver, op_of(ORDER_PLACE), values, nobody);
    alone = driver_send(self->driver, op_of(ORDER_ADD), values, nobody);
    unplug(holder);
    driver_await_all(self->driver, 0);
    assert_int_equal(driver_await(self->driver, gone)->status, MR_INVALID_TOKEN);
    assert_int_equal(driver_await(self->driver, alone)->status, MR_INVALID_TOKEN);
    assert_int_equal(orders(self, "true"), 5);
}

/* ---- Commits ---- */

/* A constraint that is deferred breaks the commit of a whole window: nothing of it holds, and the one to blame is found. */
static void test_rowwise__a_commit_that_fails_is_its_culprit_s_answer(void **state)
{
    struct shop *self = *state;
    mr_db *holder = plug(self);
    unsigned sent[8];

    sql_exec(self->database->db, "INSERT INTO voucher VALUES ('spent')");
    for (unsigned i = 0; i < 8; i++) {
        struct mr_value values[MR_FIELDS_MAX] = {0};
        char code[16];

        snprintf(code, sizeof code, "V%u", i);
        set_int(&values[0], i + 1);
        set_text(&values[1], i == 5 ? "spent" : code);
        set_int(&values[2], 1);
        sent[i] = driver_send(self->driver, op_of(VOUCHER_ADD), values, self->user);
    }
    unplug(holder);
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
    assert_int_equal(driver_await(self->driver, driver_send(self->driver, op_of(VOUCHER_SPEND), values, self->user))->kind, MR_REPLY);
    assert_int_equal(driver_await(self->driver, driver_send(self->driver, op_of(VOUCHER_SPEND), values, self->user))->status, MR_CONFLICT);
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
    mr_db *holder = plug(self);
    unsigned sent;
    unsigned beside;

    sql_exec(other, "SET deadlock_timeout = '1min'"); /* it is the writer who looks, and so the victim */
    sql_exec(other, "BEGIN; SELECT FROM gate WHERE id = 2 FOR UPDATE; SAVEPOINT s; SELECT FROM gate WHERE id = 8 FOR UPDATE");
    set_int(&values[0], 1);
    set_int(&values[1], 2);
    sent = driver_send(self->driver, op_of(TURN_TAKE), values, self->user);
    set_int(&values[0], 3);
    set_int(&values[1], 4);
    beside = driver_send(self->driver, op_of(TURN_TAKE), values, self->user);
    unplug(holder);
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
    mr_db *holder = plug(self);
    mr_db *gate = hold_gate(self, 1);

    for (unsigned i = 1; i <= 8; i++)
        send_order(self, ORDER_PLACE, i, 1, i == 5 ? 1 : 0);
    unplug(holder);
    eventually(sql_number(self->database->db, "SELECT count(*) FROM purchase WHERE quantity = 77") == 1);
    await_waiting(self);
    sql_exec(self->database->db, "SELECT pg_terminate_backend(%lld)",
             (long long)backend_pid(self->database->db, self->writer, true));
    await_waiting(self); /* another back end, at the same place */
    unplug(gate);
    driver_await_all(self->driver, 0);
    for (unsigned i = 1; i <= self->driver->sent; i++)
        assert_int_equal(driver_await(self->driver, i)->kind, MR_REPLY);
    assert_int_equal(orders(self, "true"), 8);
}

/* The commit was sent, and its confirmation lost: nobody knows, and nothing is run twice. */
static void lose_confirmation(struct shop *self, enum op op)
{
    mr_db *gate = hold_gate(self, 1);
    mr_db *holder = plug(self);

    for (unsigned i = 1; i <= 4; i++)
        send_order(self, op, i, 1, i == 1 ? 1 : 0);
    unplug(holder);
    driver_await(self->driver, 1);
    await_waiting(self);
    distance_hold_answers(self->distance, true);
    unplug(gate);
    eventually(orders(self, "true") == 4);
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
    assert_int_equal(orders(self, "true"), 4);
}

static void test_rowwise__what_may_run_twice_does_after_a_lost_confirmation(void **state)
{
    struct shop *self = *state;

    lose_confirmation(self, ORDER_REPEAT);
    for (unsigned i = 2; i <= 5; i++)
        assert_int_equal(driver_await(self->driver, i)->kind, MR_REPLY);
    assert_int_equal(orders(self, "true"), 8); /* the statement says that it may, though it does not look */
}

static void test_rowwise__without_a_database_everybody_is_told_at_once(void **state)
{
    struct shop *self = *state;
    mr_db *holder = plug(self);

    for (unsigned i = 1; i <= 40; i++)
        send_order(self, i % 2 == 0 ? ORDER_PLACE : ORDER_ADD, i, 1, 0);
    distance_destroy(&self->distance);
    unplug(holder);
    driver_await_all(self->driver, 0);
    for (unsigned i = 2; i <= self->driver->sent; i++)
        assert_int_equal(driver_await(self->driver, i)->status, MR_UNAVAILABLE);
    assert_int_equal(orders(self, "true"), 0);
}

/* ---- Keys of the caller's ---- */

static unsigned send_keyed(struct shop *self, enum op op, unsigned basket, int64_t quantity, int64_t gate, const char *key, const char *fingerprint)
{
    struct mr_value values[MR_FIELDS_MAX] = {0};

    set_id(&values[0], self->baskets[basket]);
    set_int(&values[1], quantity);
    if (gate != 0)
        set_int(&values[3], gate);
    set_text(&values[4], key);
    set_text(&values[5], fingerprint);
    return driver_send(self->driver, op_of(op), values, self->user);
}

static int64_t id_of(struct shop *self, unsigned sent)
{
    const struct reply *reply = driver_await(self->driver, sent);

    assert_int_equal(reply->status, MR_OK);
    return json_integer_value(json_object_get(reply->body, "id"));
}

static void check_repeated(struct shop *self, enum op op)
{
    mr_db *holder = plug(self);
    unsigned first = send_keyed(self, op, 1, 1, 0, "K1", "same");
    unsigned beside = send_order(self, ORDER_PLACE, 2, 2, 0);
    unsigned other = send_keyed(self, op, 3, 3, 0, "K3", "another");
    unsigned again = send_keyed(self, op, 1, 1, 0, "K1", "same");
    unsigned differs = send_keyed(self, op, 4, 4, 0, "K1", "differs");

    unplug(holder);
    assert_true(id_of(self, first) != id_of(self, other));
    assert_int_equal(id_of(self, again), id_of(self, first));
    assert_int_equal(driver_await(self->driver, differs)->status, MR_UNPROCESSABLE);
    assert_int_equal(driver_await(self->driver, beside)->kind, MR_REPLY);
    again = send_keyed(self, op, 1, 1, 0, "K1", "same");
    assert_int_equal(id_of(self, again), id_of(self, first));
    assert_true(json_equal(driver_await(self->driver, again)->body, driver_await(self->driver, first)->body));
    assert_int_equal(orders(self, "true"), 3);
    sql_exec(self->database->db, "UPDATE idempotency_key SET created_at = now() - interval '25 hours'");
    assert_true(id_of(self, send_keyed(self, op, 1, 1, 0, "K1", "same")) != id_of(self, first));
    assert_int_equal(orders(self, "true"), 4);
}

static void test_rowwise__a_key_that_comes_again_gets_the_first_answer(void **state)
{
    check_repeated(*state, ORDER_ONCE);
}

static void test_rowwise__so_it_does_where_each_is_a_transaction(void **state)
{
    check_repeated(*state, ORDER_SINGLE);
}

/* An exception, a row that says so, none at all: the key is free again. */
static void test_rowwise__what_fails_is_not_kept(void **state)
{
    struct shop *self = *state;
    mr_db *holder = plug(self);
    unsigned sent[3] = {send_keyed(self, ORDER_ONCE, 1, 404, 0, "K1", "a"), send_keyed(self, ORDER_ONCE, 2, 99, 0, "K2", "b"),
                        send_keyed(self, ORDER_ONCE, 3, 1, 0, "K3", "c")};

    unplug(holder);
    assert_int_equal(driver_await(self->driver, sent[0])->status, MR_NOT_FOUND);
    assert_int_equal(driver_await(self->driver, sent[1])->status, MR_NOT_FOUND);
    id_of(self, sent[2]);
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM idempotency_key"), 1);
    id_of(self, send_keyed(self, ORDER_ONCE, 1, 1, 0, "K1", "d"));
    id_of(self, send_keyed(self, ORDER_ONCE, 2, 1, 0, "K2", "e"));
}

/* Another process is at work on the same request: its end decides. */
static void test_rowwise__a_claim_that_is_not_committed_is_waited_for(void **state)
{
    struct shop *self = *state;
    mr_db *other = database_connect(self->database);
    unsigned sent;

    for (unsigned commits = 0; commits < 2; commits++) {
        sql_exec(other, "BEGIN; INSERT INTO idempotency_key SELECT id, 'K1', 'same', '{\"$body\": \"{\\\"id\\\":4711}\"}' FROM app_user WHERE username = 'user1'");
        sent = send_keyed(self, ORDER_ONCE, 1, 1, 0, "K1", "same");
        await_waiting(self);
        sql_exec(other, commits ? "COMMIT" : "ROLLBACK");
        assert_int_equal(id_of(self, sent) == 4711, commits);
        if (!commits)
            sql_exec(self->database->db, "DELETE FROM idempotency_key");
    }
    assert_int_equal(orders(self, "true"), 1);
    mr_db_destroy(&other);
}

/* What was kept by another operation, or by another release, is no answer. */
static void test_rowwise__what_was_kept_in_another_form_is_422(void **state)
{
    struct shop *self = *state;

    sql_exec(self->database->db, "INSERT INTO idempotency_key SELECT id, 'K1', 'same', '{\"id\": 1}' FROM app_user WHERE username = 'user1'");
    assert_int_equal(driver_await(self->driver, send_keyed(self, ORDER_ONCE, 1, 1, 0, "K1", "same"))->status, MR_UNPROCESSABLE);
}

static void test_rowwise__who_is_gone_claims_no_key(void **state)
{
    struct shop *self = *state;
    int64_t pid = backend_pid(self->database->db, self->writer, false);
    struct mr_value values[MR_FIELDS_MAX] = {0};
    mr_db *holder = plug(self);
    uint8_t nobody[16];
    unsigned gone;

    make_id(nobody, 1, 4711);
    set_id(&values[0], self->baskets[1]);
    set_int(&values[1], 1);
    set_text(&values[4], "K1");
    set_text(&values[5], "a");
    gone = driver_send(self->driver, op_of(ORDER_ONCE), values, nobody);
    send_keyed(self, ORDER_ONCE, 2, 1, 0, "K2", "b");
    unplug(holder);
    driver_await_all(self->driver, 0);
    assert_int_equal(driver_await(self->driver, gone)->status, MR_INVALID_TOKEN);
    assert_int_equal(orders(self, "true"), 1);
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM idempotency_key"), 1);
    assert_int_equal(backend_pid(self->database->db, self->writer, false), pid);
}

/* A key makes it safe to run again: it finds what the first did. */
static void test_rowwise__a_key_survives_a_lost_confirmation(void **state)
{
    struct shop *self = *state;
    mr_db *gate = hold_gate(self, 1);
    mr_db *holder = plug(self);
    unsigned sent[4];

    for (unsigned i = 0; i < 4; i++) {
        char key[8];

        snprintf(key, sizeof key, "K%u", i);
        sent[i] = send_keyed(self, ORDER_ONCE, i + 1, 1, i == 0 ? 1 : 0, key, key);
    }
    unplug(holder);
    driver_await(self->driver, 1);
    await_waiting(self);
    distance_cut(self->distance); /* before the commit is sent */
    await_waiting(self);
    unplug(gate);
    for (unsigned i = 0; i < 4; i++)
        id_of(self, sent[i]);
    assert_int_equal(orders(self, "true"), 4);
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
    assert_int_equal(orders(self, "true"), 0);
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
    reply = driver_await(self->driver, driver_send(self->driver, op_of(PRODUCT_ADD), values, self->user));
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
    reply = driver_await(self->driver, driver_send(self->driver, op_of(SHELF_DROP), values, self->user));
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
    mr_db *holder = plug(self);
    unsigned sent[20];

    for (unsigned i = 0; i < 20; i++) {
        struct mr_value values[MR_FIELDS_MAX] = {0};

        set_int(&values[0], i);
        sent[i] = driver_send(self->driver, op_of(BATCH_CHECK), values, self->user);
    }
    unplug(holder);
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
        NEAR(test_rowwise__a_key_that_comes_again_gets_the_first_answer),
        NEAR(test_rowwise__so_it_does_where_each_is_a_transaction),
        NEAR(test_rowwise__what_fails_is_not_kept),
        NEAR(test_rowwise__a_claim_that_is_not_committed_is_waited_for),
        NEAR(test_rowwise__what_was_kept_in_another_form_is_422),
        NEAR(test_rowwise__who_is_gone_claims_no_key),
        FAR(test_rowwise__a_key_survives_a_lost_confirmation),
        NEAR(test_rowwise__what_an_application_raises_is_told_and_nothing_else),
        NEAR(test_rowwise__a_broken_constraint_names_its_fields),
        NEAR(test_rowwise__a_set_wise_statement_may_raise_too),
    };

    return cmocka_run_group_tests(tests, database_server_start, database_server_stop);
}
