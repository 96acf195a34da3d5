#include "tests/support/orders.h"

#include "actors/data_writer.h"
#include "runtime/constraints.h"
#include "tests/support/test.h"

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

#define OP_OF(name, i, verb) {name, MR_VERB_##verb, "/v1/" name, MR_ACTOR_DATA_WRITER, MR_ACCESS_USER, 200, MR_BY_SQL, .traits = &traits[i]}

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

int shop_setup(void **state)
{
    struct shop *self = calloc(1, sizeof *self);

    open_shop(self);
    self->driver = driver_new(&self->database->config, &mr_system_clock);
    self->writer = driver_start(self->driver, &mr_data_writer_spec, MR_LANE_QUICK, 0)->name;
    *state = self;
    return 0;
}

int far_shop_setup(void **state)
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

int shop_teardown(void **state)
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

enum mr_op order_op(enum order order)
{
    return (enum mr_op)(MR_OP_COUNT + (unsigned)order);
}

unsigned send_order_until(struct shop *self, enum order order, unsigned basket, int64_t quantity, int64_t gate, int64_t life_ms)
{
    struct mr_value values[MR_FIELDS_MAX] = {0};

    set_id(&values[0], self->baskets[basket]);
    if (quantity != 0)
        set_int(&values[1], quantity);
    if (gate != 0)
        set_int(&values[3], gate);
    return driver_send_until(self->driver, order_op(order), values, self->user, mr_wall_ms(&mr_system_clock) + life_ms);
}

unsigned send_order(struct shop *self, enum order order, unsigned basket, int64_t quantity, int64_t gate)
{
    return send_order_until(self, order, basket, quantity, gate, 15000);
}

const struct reply *ask_basket(struct shop *self, enum order order, unsigned basket)
{
    struct mr_value values[MR_FIELDS_MAX] = {0};

    set_id(&values[0], self->baskets[basket]);
    return driver_await(self->driver, driver_send(self->driver, order_op(order), values, self->user));
}

mr_db *hold_gate(struct shop *self, int gate)
{
    mr_db *holder = database_connect(self->database);

    sql_exec(holder, "BEGIN; SELECT FROM gate WHERE id = %d FOR UPDATE", gate);
    return holder;
}

void await_waiting(struct shop *self)
{
    eventually(backend_pid(self->database->db, self->writer, true) != 0);
}

mr_db *plug_shop(struct shop *self)
{
    mr_db *holder = hold_gate(self, 9);

    send_order(self, ORDER_ADD, 0, 77, 9);
    await_waiting(self);
    return holder;
}

void unplug_shop(mr_db *holder)
{
    sql_exec(holder, "COMMIT");
    mr_db_destroy(&holder);
}

int64_t count_orders(struct shop *self, const char *where)
{
    return sql_number(self->database->db, "SELECT count(*) FROM purchase WHERE quantity <> 77 AND %s", where);
}
