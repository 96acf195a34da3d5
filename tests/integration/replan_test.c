/*
 * Plans do not outlive the growth of the tables that they were made for, whichever way a statement is sent. A plan that was made for one
 * row walks the whole index; one that is made anew looks each key up. The server says which it has, and keeps it until it is told
 * otherwise, because autovacuum does not run here. The clock stands still but for a statement that is to be slow.
 */
#include "runtime/db.h"
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

static const struct mr_statement find = {
    "find", "SELECT k.n, g.id FROM unnest($1::bigint[]) WITH ORDINALITY AS k (id, n) LEFT JOIN grown g ON g.id = k.id"};
static const struct mr_statement other = {"other", "SELECT k.n FROM unnest($1::bigint[]) AS k (n)"};
static const struct mr_statement *const statements[] = {&find, &other, NULL};

static int64_t now_ms = 1000000;
static int64_t step_ms;

static int64_t tick(const struct mr_clock *self)
{
    (void)self;
    return now_ms += step_ms;
}

static const struct mr_clock by_steps = {.wall_ms = tick, .mono_ms = tick};

static int64_t in_ms(int64_t ms)
{
    return now_ms + ms;
}

static void with_one(struct mr_params *out)
{
    mr_params_begin(out, 1);
    mr_params_add(out, 0, MR_INT, &(struct mr_value){.present = true, .integer = 1});
    assert_int_equal(mr_params_end(out), MR_OK);
}

static void run(mr_db *db, const char *statement)
{
    struct mr_params params = {0};
    mr_rows *rows = NULL;

    with_one(&params);
    if (mr_db_run(db, statement, &params, in_ms(10000), &rows) != MR_OK)
        fail_test("%s: %s", statement, mr_db_last_error(db)->message);
    assert_int_equal(mr_rows_count(rows), 1);
    mr_rows_free(&rows);
    mr_params_fini(&params);
}

static void fly(mr_db *db, const char *statement)
{
    struct mr_params params = {0};
    mr_status status = MR_OK;
    mr_rows *rows = NULL;

    with_one(&params);
    assert_int_equal(mr_db_send(db, statement, &params, in_ms(10000)), MR_OK);
    assert_true(mr_db_take(db, true, &status, &rows));
    if (status != MR_OK)
        fail_test("%s: %s", statement, mr_db_last_error(db)->message);
    assert_int_equal(mr_rows_count(rows), 1);
    mr_rows_free(&rows);
    mr_params_fini(&params);
}

static void open_window(mr_db *db, const char *statement, bool together)
{
    struct mr_db_step step;
    struct mr_params params = {0};

    with_one(&params);
    assert_int_equal(mr_db_window_begin(db, statement, together, in_ms(10000)), MR_OK);
    mr_db_window_add(db, &params);
    mr_db_window_end(db, &step);
    if (step.status != MR_OK)
        fail_test("%s: %s", statement, step.error.message);
    mr_rows_free(&step.rows);
    mr_params_fini(&params);
}

static void together(mr_db *db, const char *statement)
{
    open_window(db, statement, true);
}

static void side_by_side(mr_db *db, const char *statement)
{
    open_window(db, statement, false);
}

static bool looks_up(mr_db *db)
{
    mr_rows *rows = NULL;
    struct mr_slice line;
    bool out = false;

    assert_int_equal(mr_db_exec(db, "EXPLAIN (COSTS OFF) EXECUTE find('{1}')", in_ms(10000), &rows), MR_OK);
    for (unsigned row = 0; row < mr_rows_count(rows); row++)
        out |= mr_rows_get(rows, row, 0, &line) && memmem(line.data, line.len, "Index Cond", strlen("Index Cond")) != NULL;
    mr_rows_free(&rows);
    return out;
}

/* A table that was one row when the plan was made. */
static mr_db *grown(void)
{
    struct mr_db_options options = {.config = &database->config,
                                    .clock = &by_steps,
                                    .host = database->config.db_host,
                                    .application_name = "replan_test",
                                    .set_wise = true};
    mr_db *out = NULL;

    sql_exec(database->db, "CREATE TABLE grown (id bigint PRIMARY KEY) WITH (autovacuum_enabled = off);"
                           "INSERT INTO grown VALUES (1); ANALYZE grown");
    assert_int_equal(mr_db_new(&out, &options, statements), MR_OK);
    assert_int_equal(mr_db_connect(out), MR_OK);
    run(out, "find");
    sql_exec(database->db, "INSERT INTO grown SELECT generate_series(2, 50000)");
    run(out, "find");
    assert_false(looks_up(out)); /* which is what the server does of itself: if not, this tests nothing */
    return out;
}

typedef void way(mr_db *db, const char *statement);

static void be_slow(mr_db *db, way *send_by)
{
    step_ms = 20;
    send_by(db, "other");
    step_ms = 0;
}

static void test_way(way *send_by)
{
    mr_db *db = grown();

    send_by(db, "other");
    send_by(db, "find");
    assert_false(looks_up(db)); /* nobody was slow */
    be_slow(db, send_by);
    assert_false(looks_up(db));
    send_by(db, "find");
    assert_true(looks_up(db));
    send_by(db, "find");
    mr_db_destroy(&db);
}

static void test_replan__behind_a_slow_statement(void **state)
{
    (void)state;
    test_way(run);
}

static void test_replan__behind_a_slow_one_in_flight(void **state)
{
    (void)state;
    test_way(fly);
}

static void test_replan__behind_a_slow_window(void **state)
{
    (void)state;
    test_way(together);
}

static void test_replan__behind_a_slow_window_of_many_transactions(void **state)
{
    (void)state;
    test_way(side_by_side);
}

/* Making plans takes time, too: who is slow all the time does it every five seconds. */
static void test_replan__not_with_each_statement(void **state)
{
    mr_db *db = grown();

    (void)state;
    be_slow(db, run);
    run(db, "find");
    assert_true(looks_up(db));
    sql_exec(database->db, "TRUNCATE grown; INSERT INTO grown VALUES (1); ANALYZE grown");
    run(db, "find");
    sql_exec(database->db, "INSERT INTO grown SELECT generate_series(2, 50000)");
    now_ms += 4000;
    be_slow(db, run);
    run(db, "find");
    assert_false(looks_up(db));
    now_ms += 1000;
    be_slow(db, run);
    run(db, "find");
    assert_true(looks_up(db));
    mr_db_destroy(&db);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_replan__behind_a_slow_statement),
        TEST(test_replan__behind_a_slow_one_in_flight),
        TEST(test_replan__behind_a_slow_window),
        TEST(test_replan__behind_a_slow_window_of_many_transactions),
        TEST(test_replan__not_with_each_statement),
    };

    return cmocka_run_group_tests(tests, database_server_start, database_server_stop);
}
