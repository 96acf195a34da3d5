/*
 * orders: a small shop of a test's own, whose operations are answered message by message: its tables, its operations, and a
 * data-writer that serves them.
 *
 * Thread: the test's. One at a time: the operations that are installed are those of the process.
 */
#ifndef MR_TESTS_SUPPORT_ORDERS_H
#define MR_TESTS_SUPPORT_ORDERS_H

#include "tests/support/distance.h"
#include "tests/support/driver.h"

enum { BASKETS = 64 };

enum order {
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
struct shop {
    struct database *database;
    struct distance *distance; /* the actor's way to the database; NULL: the same as the test's */
    struct mr_config far;
    struct driver *driver;
    const char *writer; /* its application name */
    uint8_t user[16];
    uint8_t baskets[BASKETS][16];
};

/* For cmocka_unit_test_setup_teardown; the state is a struct shop. Far: the writer's way to the database is a struct distance. */
int shop_setup(void **state);
int far_shop_setup(void **state);
int shop_teardown(void **state);

enum mr_op order_op(enum order order);

/* Sends an order; returns its number for driver_await. `quantity`, `gate` 0: left out. */
unsigned send_order(struct shop *self, enum order order, unsigned basket, int64_t quantity, int64_t gate);
unsigned send_order_until(struct shop *self, enum order order, unsigned basket, int64_t quantity, int64_t gate, int64_t life_ms);

/* Asks about a basket, and waits for the answer. */
const struct reply *ask_basket(struct shop *self, enum order order, unsigned basket);

/* Holds a gate: who goes through it waits until the connection is let go by unplug_shop. */
mr_db *hold_gate(struct shop *self, int gate);

/* Waits until the writer waits for a lock. */
void await_waiting(struct shop *self);

/* Keeps the writer inside a statement, so that what is sent meanwhile becomes one batch. */
mr_db *plug_shop(struct shop *self);
void unplug_shop(mr_db *holder);

/* Orders that are stored and match a condition, without those of plug_shop. */
int64_t count_orders(struct shop *self, const char *where);

#endif
