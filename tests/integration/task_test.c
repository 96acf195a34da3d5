/*
 * The statements of tasks, as messages: lists and their bounds, pages, changes, locks.
 */
#include "actors/data_writer.h"
#include "application/folder.h"
#include "proto/cursor.h"
#include "proto/timestamp.h"
#include "proto/uuid.h"
#include "tests/support/driver.h"
#include "tests/support/fixture.h"
#include "tests/support/test.h"

/* Tasks 1 to `count`, the last the newest; three at a time share their moment, so that ids decide. */
static void make_tasks(struct fixture *self, unsigned count, unsigned description_bytes)
{
    sql_exec(self->database->db,
             "INSERT INTO task (id, user_id, summary, description, priority_code, created_at)"
             " SELECT lpad(to_hex(i), 32, '0')::uuid, '%s', 'task ' || i, nullif(repeat('d', %u), ''), 'LOW',"
             "        timestamptz '2027-01-01' + (i / 3) * interval '1.000001 s'"
             "   FROM generate_series(1, %u) i",
             self->user_text, description_bytes, count);
}

static const struct reply *list(struct fixture *self, int64_t limit, const char *cursor)
{
    struct mr_value values[MR_FIELDS_MAX];

    task_list_values(values, self->user);
    if (limit > 0)
        set_int(value_of(values, op_named("task_list"), "limit"), limit);
    if (cursor[0] != '\0')
        set_text(value_of(values, op_named("task_list"), "cursor"), cursor);
    return driver_await(self->driver, driver_send(self->driver, op_named("task_list"), values, self->user));
}

/* Follows the list to its end; every task once, newest first. */
static unsigned walk(struct fixture *self, int64_t limit, unsigned count, size_t most_items)
{
    char cursor[512] = "";
    unsigned expected = count;
    unsigned answers = 0;

    do {
        const struct reply *reply = list(self, limit, cursor);
        size_t index;
        json_t *task;

        assert_int_equal(reply->kind, MR_REPLY);
        assert_true(json_array_size(reply->body) <= most_items);
        json_array_foreach(reply->body, index, task)
        {
            char summary[32];

            snprintf(summary, sizeof summary, "task %u", expected--);
            assert_string_equal(json_string_value(json_object_get(task, "summary")), summary);
        }
        answers++;
        snprintf(cursor, sizeof cursor, "%s", reply->next);
    } while (cursor[0] != '\0');
    assert_int_equal(expected, 0);
    return answers;
}

static void test_task__a_walk_meets_every_row_once(void **state)
{
    make_tasks(*state, 100, 0);
    assert_int_equal(walk(*state, 7, 100, 7), 15);
}

static void test_task__a_limit_that_fits_exactly_has_no_rest(void **state)
{
    make_tasks(*state, 10, 0);
    assert_int_equal(walk(*state, 10, 10, 10), 1);
    assert_int_equal(walk(*state, 9, 10, 9), 2);
}

static void test_task__a_plain_list_ends_at_a_thousand_rows(void **state)
{
    make_tasks(*state, 2001, 0);
    assert_int_equal(json_array_size(list(*state, 0, "")->body), 1000);
    assert_int_equal(walk(*state, 0, 2001, 1000), 3);
}

static void test_task__a_plain_list_ends_at_a_mebibyte(void **state)
{
    struct fixture *self = *state;

    make_tasks(self, 60, 65536);
    assert_in_range(json_array_size(list(self, 0, "")->body), 10, 16);
    assert_in_range(walk(self, 0, 60, 16), 4, 6);
}

static void test_task__an_empty_list_is_an_empty_array(void **state)
{
    const struct reply *reply = list(*state, 0, "");

    assert_true(json_is_array(reply->body));
    assert_int_equal(json_array_size(reply->body), 0);
    assert_string_equal(reply->next, "");
}

/* What follows a task of that moment, in microseconds since 1970. */
static const json_t *list_from(struct fixture *self, const char *moment)
{
    static const uint8_t id[16] = {0xff};
    struct mr_slice key = mr_slice_of(moment);
    struct mr_buf cursor = {0};
    const struct reply *reply;

    mr_cursor_write(&cursor, id, &key);
    mr_buf_char(&cursor, '\0');
    reply = list(self, 5, cursor.data);
    mr_buf_fini(&cursor);
    return reply->body;
}

static void test_task__a_cursor_out_of_any_range_is_the_end_that_is_nearest(void **state)
{
    struct fixture *self = *state;
    make_tasks(self, 3, 0);
    assert_int_equal(json_array_size(list_from(self, "-1")), 0); /* before 1970: nothing is older */
    assert_int_equal(json_array_size(list_from(self, "-9223372036854775807")), 0);
    assert_int_equal(json_array_size(list_from(self, "9223372036854775806")), 3);
    assert_int_equal(json_array_size(list(self, 5, "")->body), 3);
}

static const json_t *page(struct fixture *self, int64_t number, int64_t size)
{
    struct mr_value values[MR_FIELDS_MAX];
    const struct reply *reply;

    task_page_values(values, self->user, number, size);
    reply = driver_await(self->driver, driver_send(self->driver, op_named("task_list"), values, self->user));
    assert_int_equal(reply->kind, MR_REPLY);
    return reply->body;
}

static int64_t figure(const json_t *body, const char *name)
{
    const json_t *value = json_object_get(json_object_get(body, "pagination"), name);

    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static void check_page(const json_t *body, int64_t number, int64_t size, int64_t pages, int64_t items, size_t here)
{
    assert_int_equal(figure(body, "page"), number);
    assert_int_equal(figure(body, "pageSize"), size);
    assert_int_equal(figure(body, "totalPages"), pages);
    assert_int_equal(figure(body, "totalItems"), items);
    assert_int_equal(json_array_size(json_object_get(body, "data")), here);
}

static void test_task__totals_survive_an_empty_page(void **state)
{
    struct fixture *self = *state;

    check_page(page(self, 1, 10), 1, 10, 0, 0, 0);
    make_tasks(self, 25, 0);
    check_page(page(self, 1, 10), 1, 10, 3, 25, 10);
    check_page(page(self, 3, 10), 3, 10, 3, 25, 5);
    check_page(page(self, 4, 10), 4, 10, 3, 25, 0);
    check_page(page(self, 2147483647, 100), 2147483647, 100, 1, 25, 0);
}

static void test_task__instants_and_nulls_come_out_as_they_went_in(void **state)
{
    struct fixture *self = *state;
    struct mr_value values[MR_FIELDS_MAX];
    const struct reply *reply;
    int64_t due = 0;
    uint8_t id[16];

    make_id(id, 2, 1);
    task_create_values(values, id, self->user, "\xF0\x9F\xA6\xA9 flamingo", "URGENT");
    assert_true(mr_timestamp_parse(&due, "2027-03-28T01:30:00.123456+01:00", 32));
    set_int(value_of(values, op_named("task_create"), "dueAt"), due);
    reply = driver_await(self->driver, driver_send(self->driver, op_named("task_create"), values, self->user));
    assert_string_equal(reply_text(reply, NULL, "dueAt"), "2027-03-28T00:30:00.123Z");
    assert_string_equal(reply_text(reply, NULL, "summary"), "\xF0\x9F\xA6\xA9 flamingo");
    assert_string_equal(reply_text(reply, NULL, "taskPriorityCode"), "URGENT");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(reply->body, "taskPriority"), "ordinal")), 1);
    assert_null(json_object_get(reply->body, "description"));
    assert_true(json_is_false(json_object_get(reply->body, "isComplete")));
    assert_int_equal(sql_number(self->database->db, "SELECT (extract(epoch FROM due_at) * 1000000)::bigint FROM task"), due);
}

/* ---- Changes ---- */

static struct mr_value *update_value(struct mr_value *values, const char *name)
{
    return value_of(values, op_named("task_update"), name);
}

static void test_task__an_update_changes_what_was_given_and_clears_what_was_null(void **state)
{
    struct fixture *self = *state;
    struct mr_value values[MR_FIELDS_MAX];
    const struct reply *reply;
    uint8_t id[16];

    make_id(id, 2, 1);
    task_create_values(values, id, self->user, "before", "LOW");
    set_text(value_of(values, op_named("task_create"), "description"), "details");
    set_int(value_of(values, op_named("task_create"), "dueAt"), 0);
    driver_await(self->driver, driver_send(self->driver, op_named("task_create"), values, self->user));

    task_update_values(values, id, self->user);
    set_text(update_value(values, "summary"), "after");
    reply = driver_await(self->driver, driver_send(self->driver, op_named("task_update"), values, self->user));
    assert_string_equal(reply_text(reply, NULL, "summary"), "after");
    assert_string_equal(reply_text(reply, NULL, "description"), "details");
    assert_string_equal(reply_text(reply, NULL, "dueAt"), "1970-01-01T00:00:00.000Z");

    task_update_values(values, id, self->user);
    update_value(values, "description")->cleared = true;
    update_value(values, "dueAt")->cleared = true;
    reply = driver_await(self->driver, driver_send(self->driver, op_named("task_update"), values, self->user));
    assert_string_equal(reply_text(reply, NULL, "summary"), "after");
    assert_null(json_object_get(reply->body, "description"));
    assert_null(json_object_get(reply->body, "dueAt"));
}

static void test_task__outcomes_of_updates_stand_side_by_side(void **state)
{
    struct fixture *self = *state;
    struct mr_value values[MR_FIELDS_MAX];
    struct plug plug;
    uint8_t other[16];
    uint8_t id[4][16];
    unsigned sent[4];

    make_user(self->database->db, 2, other);
    for (unsigned i = 0; i < 4; i++)
        make_id(id[i], 2, i);
    for (unsigned i = 0; i < 3; i++)
        driver_await(self->driver, send_create(self->driver, id[i], self->user, "before", "LOW"));
    plug = plug_writer(self->driver, self->database);
    for (unsigned i = 0; i < 4; i++) {
        task_update_values(values, id[i], i == 1 ? other : self->user);
        set_text(update_value(values, "taskPriorityCode"), i == 2 ? "NONE" : "HIGH");
        sent[i] = driver_send(self->driver, op_named("task_update"), values, self->user);
    }
    plug_pull(&plug);
    driver_await_all(self->driver, 0);
    assert_string_equal(reply_text(driver_await(self->driver, sent[0]), NULL, "taskPriorityCode"), "HIGH");
    assert_int_equal(driver_await(self->driver, sent[1])->status, MR_NOT_FOUND);
    assert_int_equal(driver_await(self->driver, sent[2])->status, MR_INVALID);
    assert_string_equal(driver_await(self->driver, sent[2])->field, "taskPriorityCode");
    assert_int_equal(driver_await(self->driver, sent[3])->status, MR_NOT_FOUND);
    assert_int_equal(driver_batches(self->driver, op_named("task_create")), 3 + 2);
}

/* Every kind of guard in one statement, for a task whose version is 1; each answers for itself (RFC 9110, 13.1). */
static void test_task__guards_of_one_batch_stand_side_by_side(void **state)
{
    static const struct {
        const char *match, *none_match; /* NULL: not given */
        mr_status status;
    } rows[] = {
        {NULL, NULL, MR_OK},    {"1", NULL, MR_OK},         {"7,1", NULL, MR_OK},         {"7", NULL, MR_PRECONDITION},
        {"", NULL, MR_PRECONDITION}, {NULL, "*", MR_PRECONDITION}, {NULL, "1", MR_PRECONDITION}, {NULL, "7,1", MR_PRECONDITION},
        {NULL, "7", MR_OK},     {NULL, "", MR_OK},          {"1", "7", MR_OK},            {"1", "1", MR_PRECONDITION},
        {"7", "7", MR_PRECONDITION}, {"1", "*", MR_PRECONDITION},
    };
    enum { COUNT = sizeof rows / sizeof rows[0] };
    const enum mr_op ops[] = {op_named("task_update"), op_named("task_delete")};
    struct fixture *self = *state;

    for (unsigned o = 0; o < 2; o++) {
        struct mr_value values[MR_FIELDS_MAX];
        unsigned sent[COUNT];
        struct plug plug;
        uint64_t before;

        for (unsigned i = 0; i < COUNT; i++) {
            uint8_t id[16];

            make_id(id, 2 + o, i);
            driver_await(self->driver, send_create(self->driver, id, self->user, "before", "LOW"));
        }
        before = driver_batches(self->driver, ops[o]);
        plug = plug_writer(self->driver, self->database);
        for (unsigned i = 0; i < COUNT; i++) {
            uint8_t id[16];

            make_id(id, 2 + o, i);
            memset(values, 0, sizeof values);
            set_id(value_from(values, ops[o], MR_PATH), id);
            set_id(value_from(values, ops[o], MR_TOKEN_USER), self->user);
            if (rows[i].match != NULL)
                set_text(value_of(values, ops[o], "If-Match"), rows[i].match);
            if (rows[i].none_match != NULL)
                set_text(value_of(values, ops[o], "If-None-Match"), rows[i].none_match);
            sent[i] = driver_send(self->driver, ops[o], values, self->user);
        }
        plug_pull(&plug);
        driver_await_all(self->driver, 0);
        for (unsigned i = 0; i < COUNT; i++) {
            const struct reply *reply = driver_await(self->driver, sent[i]);

            if (reply->kind == MR_REPLY ? rows[i].status != MR_OK : reply->status != rows[i].status)
                fail_test("op %u, row %u", o, i);
        }
        assert_int_equal(driver_batches(self->driver, ops[o]), before + 2); /* the plug, and all of these */
    }
}

/* Create, change and delete of one key, all waiting: three batches, in this order. */
static void test_task__ops_of_one_key_keep_their_order(void **state)
{
    struct fixture *self = *state;
    struct plug plug = plug_writer(self->driver, self->database);
    struct mr_value values[MR_FIELDS_MAX];
    unsigned sent[5];
    uint8_t id[16];

    make_id(id, 2, 1);
    sent[0] = send_create(self->driver, id, self->user, "born", "LOW");
    task_update_values(values, id, self->user);
    set_text(update_value(values, "summary"), "grown");
    sent[1] = driver_send(self->driver, op_named("task_update"), values, self->user);
    task_get_values(values, id, self->user);
    sent[2] = driver_send(self->driver, op_named("task_delete"), values, self->user);
    sent[3] = driver_send(self->driver, op_named("task_delete"), values, self->user);
    sent[4] = send_create(self->driver, id, self->user, "reborn", "LOW");
    plug_pull(&plug);
    driver_await_all(self->driver, 0);
    assert_string_equal(reply_text(driver_await(self->driver, sent[0]), NULL, "summary"), "born");
    assert_string_equal(reply_text(driver_await(self->driver, sent[1]), NULL, "summary"), "grown");
    assert_int_equal(driver_await(self->driver, sent[2])->kind, MR_REPLY);
    assert_int_equal(driver_await(self->driver, sent[3])->status, MR_NOT_FOUND);
    assert_string_equal(reply_text(driver_await(self->driver, sent[4]), NULL, "summary"), "reborn");
    for (unsigned i = 1; i < 5; i++)
        assert_true(self->driver->replies[sent[i]].place > self->driver->replies[sent[i - 1]].place);
}

/* Two writers change the same rows in opposite orders, again and again: locks taken in one order never cross. */
static void test_task__batches_of_two_writers_do_not_deadlock(void **state)
{
    struct fixture *self = *state;
    struct mr_value values[MR_FIELDS_MAX];
    struct mr_envelope envelope = {.kind = MR_REQUEST, .op = op_named("task_update"), .deadline_ms = INT64_MAX - 1};

    driver_start(self->driver, &mr_data_writer_spec, MR_LANE_QUICK, 1);
    make_tasks(self, 64, 0);
    for (unsigned round = 0; round < 20; round++)
        for (unsigned i = 0; i < 64; i++)
            for (unsigned writer = 0; writer < 2; writer++) {
                struct mr_buf payload = {0};
                struct mr_buf frame = {0};
                uint8_t id[16] = {0};

                id[15] = (uint8_t)(writer == 0 ? 1 + i : 64 - i);
                task_update_values(values, id, self->user);
                update_value(values, "description")->cleared = true;
                mr_payload_encode(&payload, op_named("task_update"), values);
                envelope.payload = buf_slice(&payload);
                envelope.correlation = ++self->driver->sent;
                assert_int_equal(mr_envelope_encode(&frame, &envelope), MR_OK);
                driver_send_raw(self->driver, writer == 0 ? "data-writer/0" : "data-writer/1", frame.data, frame.len);
                mr_buf_fini(&payload);
                mr_buf_fini(&frame);
            }
    driver_await_all(self->driver, 0);
    for (unsigned i = 1; i <= self->driver->sent; i++)
        assert_int_equal(self->driver->replies[i].kind, MR_REPLY);
    assert_int_equal(sql_number(self->database->db, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"), 0);
    assert_int_equal(sql_number(self->database->db, "SELECT min(version) FROM task"), 41);
}

/*
 * Creates in every shape: two users, three days, some due, done, done late, or in a year without end. What their statements have appended
 * sums up to what a look at every task counts, and a plain batch of one user appends one row to each table.
 */
static void test_task__what_creates_append_sums_up_to_what_there_is(void **state)
{
    mr_db *db = ((struct fixture *)*state)->database->db;
    unsigned replaced = 0;
    static const char appended[] = "SELECT (SELECT count(*) FROM task_count) + (SELECT count(*) FROM task_change)";

    /* The database is that of releases with tasks compiled in: the trigger's function is the folder's, as a start makes it. */
    for (unsigned i = 0; i < mr_packed_application.count; i++)
        if (strcmp(mr_packed_application.files[i].name, "migrations/0003_counts.sql") == 0) {
            sql_exec(db, "%s", mr_packed_application.files[i].text);
            replaced++;
        }
    assert_int_equal(replaced, 1);
    sql_exec(db, "INSERT INTO millrace.account (id) SELECT lpad(to_hex(i), 32, '0')::uuid FROM generate_series(1, 2) i;"
                 "ALTER TABLE task ALTER id SET DEFAULT gen_random_uuid(), ALTER summary SET DEFAULT '', ALTER priority_code SET DEFAULT 'LOW'");
    sql_exec(db, "INSERT INTO task (user_id) SELECT lpad('1', 32, '0')::uuid FROM generate_series(1, 40)");
    assert_int_equal(sql_number(db, "%s", appended), 2);
    sql_exec(db, "INSERT INTO task (user_id, created_at, is_complete, due_at)"
                 " SELECT lpad(to_hex(1 + i %% 2), 32, '0')::uuid, CASE WHEN i %% 7 = 0 THEN 'infinity' ELSE timestamptz '2027-01-01' + i %% 3 * interval '1 day' END,"
                 "        i %% 5 = 0, CASE i %% 11 WHEN 0 THEN '-infinity' WHEN 1 THEN 'infinity' WHEN 2 THEN NULL"
                 "                       ELSE timestamptz '2026-12-31' + i %% 4 * interval '17 hours' END"
                 "   FROM generate_series(1, 2000) i");
    assert_int_equal(sql_number(db, "SELECT sum(items) FROM task_count"), 2040);
    assert_int_equal(
        sql_number(db, "SELECT count(*) FROM (SELECT user_id, count(*) AS items FROM task GROUP BY 1"
                       "  EXCEPT SELECT user_id, sum(items) FROM task_count GROUP BY 1) AS other"),
        0);
    assert_true(sql_number(db, "SELECT count(DISTINCT day) FROM task_change WHERE in_time > 0") > 1);
#define FIGURES "day, sum(created), sum(completed), sum(due), sum(in_time)"
#define COUNTED "SELECT user_id, " FIGURES " FROM task t CROSS JOIN LATERAL task_days(created_at, completed_at, due_at) GROUP BY 1, 2"
#define SUMMED  "SELECT user_id, " FIGURES " FROM task_change GROUP BY 1, 2"
    assert_int_equal(sql_number(db, "SELECT count(*) FROM ((" COUNTED " EXCEPT " SUMMED ") UNION ALL (" SUMMED " EXCEPT " COUNTED ")) AS other"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_task__a_walk_meets_every_row_once),
        TEST(test_task__a_limit_that_fits_exactly_has_no_rest),
        TEST(test_task__a_plain_list_ends_at_a_thousand_rows),
        TEST(test_task__a_plain_list_ends_at_a_mebibyte),
        TEST(test_task__an_empty_list_is_an_empty_array),
        TEST(test_task__a_cursor_out_of_any_range_is_the_end_that_is_nearest),
        TEST(test_task__totals_survive_an_empty_page),
        TEST(test_task__instants_and_nulls_come_out_as_they_went_in),
        TEST(test_task__an_update_changes_what_was_given_and_clears_what_was_null),
        TEST(test_task__outcomes_of_updates_stand_side_by_side),
        TEST(test_task__guards_of_one_batch_stand_side_by_side),
        TEST(test_task__ops_of_one_key_keep_their_order),
        TEST(test_task__batches_of_two_writers_do_not_deadlock),
        TEST(test_task__what_creates_append_sums_up_to_what_there_is),
    };

    return cmocka_run_group_tests(tests, tasks_server_start, tasks_server_stop);
}
