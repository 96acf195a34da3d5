/*
 * Operations of a folder, whose statements are plain SQL, on real actors and a real database: whatever form a statement is run in,
 * each message gets its own answer.
 */
#include "application/build.h"
#include "proto/uuid.h"
#include "tests/support/driver.h"
#include "tests/support/folder.h"
#include "tests/support/test.h"

static const char schema[] =
    "CREATE TABLE category (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), version bigint NOT NULL DEFAULT 1, code text UNIQUE,"
    "  label text, created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());"
    "CREATE TABLE product (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), version bigint NOT NULL DEFAULT 7, name text,"
    "  stock bigint, category_code text REFERENCES category (code), created_at timestamptz NOT NULL DEFAULT now(),"
    "  updated_at timestamptz NOT NULL DEFAULT now());"
    "CREATE TABLE purchase (id uuid PRIMARY KEY, version bigint NOT NULL DEFAULT 1, user_id uuid NOT NULL, note text,"
    "  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());"
    "INSERT INTO category (code, label) VALUES ('A', 'Apples'), ('B', 'Books');"
    "INSERT INTO product (name, stock, category_code) VALUES ('ant', 1, 'A'), ('bee', 2, 'B'), ('cat', 3, NULL), ('cow', 4, 'A');"
    "CREATE SEQUENCE ticket;"
    "CREATE FUNCTION counted(text) RETURNS text LANGUAGE sql AS $$ SELECT $1 || nextval('ticket') $$;"
    "CREATE PROCEDURE take_stock(by bigint) LANGUAGE sql AS $$ UPDATE product SET stock = stock - by $$;";

static const char operations[] =
    "find: {route: GET /v1/find, access: public, fields: {name: {type: text, required: true}}, returns: product}\n"
    "listed: {route: GET /v1/listed, access: public, fields: {like: {type: text}, most: {type: integer, required: true}}, returns: [product]}\n"
    "own_names: {route: GET /v1/own, access: public, fields: {a: {type: text}}, returns: {n: {type: integer}, k: {type: text}}}\n"
    "nothing: {route: GET /v1/nothing, access: public, fields: {row: {type: boolean}}, returns: {x: {type: text}}}\n"
    "who: {route: GET /v1/who, returns: {id: {type: uuid}, as: {type: text}, new: {type: boolean}, today: {type: boolean}}}\n"
    "refused: {route: GET /v1/refused, access: public, fields: {at: {type: integer}}, returns: {x: {type: integer}}}\n"
    "windows: {route: GET /v1/windows, access: public, fields: {more: {type: integer}}, returns: {least: {type: integer}, of: {type: integer}}}\n"
    "draw: {route: POST /v1/tickets, access: public, returns: {number: {type: integer}}}\n"
    "draw_late: {route: GET /v1/tickets, access: public, fields: {say: {type: text}}, returns: {said: {type: text}}}\n"
    "shout: {route: POST /v1/shout, access: public, fields: {what: {type: text}}, returns: {said: {type: text}}}\n"
    "tell: {route: POST /v1/tell, fields: {what: {type: text}}, returns: [order]}\n"
    "order_add: {route: POST /v1/orders, status: 201, fields: {note: {type: text}}, returns: order}\n"
    "order_swap: {route: PUT /v1/orders, key: from, fields: {from: {type: text}, to: {type: text}}, returns: [order]}\n"
    "order_drop: {route: DELETE /v1/orders, fields: {note: {type: text, from: query}}}\n"
    "stock_take: {route: POST /v1/stock, access: public, fields: {by: {type: integer}}}\n"
    "by_word: {route: GET /v1/by-word, access: public, fields: {word: {type: text}}, returns: {n: {type: integer}}}\n"
    "typed: {route: GET /v1/typed, access: public, fields: {words: {type: text, required: true}, on: {type: boolean, default: true}},\n"
    "  returns: {first: {type: text}, cut: {type: text}, literal: {type: text}}}\n";

static const char statements[] =
    "-- name: find\nSELECT * FROM product k WHERE k.name = :name\n"
    "-- name: listed\nSELECT * FROM product WHERE name LIKE coalesce(:like, '%') ORDER BY name DESC LIMIT :most; -- the last first\n"
    "-- name: own_names\nWITH k AS (SELECT :a AS a, 999 AS n) SELECT k.n AS n, k.a AS k FROM k\n"
    "-- name: nothing\nSELECT NULL::text AS x WHERE :row\n"
    "-- name: who\nSELECT :caller AS id, :role AS \"as\", :newId IS NOT NULL AS new, :now >= current_date AS today\n"
    "-- name: refused\nSELECT CASE WHEN :at > 200 THEN :at WHEN :at > 1 THEN 409 END AS \"$status\", 'at' AS \"$field\", 'is late' AS \"$message\", :at AS x\n"
    "-- name: windows\nSELECT min(stock) + :more AS least, count(*) OVER () AS of FROM product\n"
    "-- name: draw\nSELECT nextval('ticket') AS number\n"
    "-- name: draw_late\nSELECT counted(:say) AS said\n"
    "-- name: shout\nWITH k AS ({{k}}), loud AS (SELECT k.\"$n\", upper(k.what) AS what FROM k)\n"
    "SELECT what || '!' AS said, \"$n\", 'secret' AS other FROM loud\n"
    "-- name: tell\nWITH k AS ({{k}}), told AS (\n"
    "  INSERT INTO purchase (id, user_id, note) SELECT gen_random_uuid(), k.caller, k.what || g FROM k, generate_series(1, 3) g RETURNING *)\n"
    "SELECT k.\"$n\", t.* FROM k LEFT JOIN told t ON t.user_id = k.caller AND starts_with(t.note, k.what) ORDER BY t.note DESC\n"
    "-- name: order_add\nINSERT INTO purchase (id, user_id, note) VALUES (:newId, :caller, :note) RETURNING *;\n"
    "-- name: order_swap\nWITH gone AS (DELETE FROM purchase WHERE note = :from RETURNING *)\n"
    "INSERT INTO purchase (id, user_id, note) SELECT id, user_id, :to FROM gone RETURNING *\n"
    "-- name: order_drop\nDELETE FROM purchase WHERE note = :note\n"
    "-- name: stock_take\nCALL take_stock(:by)\n"
    "-- name: by_word\nSELECT stock AS n FROM product WHERE name = word AND :word IS NOT NULL\n"
    "-- name: product_get\nSELECT * FROM product WHERE id = :productId AND name <> 'cow'\n"
    "-- name: category_get\nWITH k AS ({{k}}) SELECT k.\"$n\", CASE WHEN c.id IS NULL THEN 404 END AS \"$status\", c.*\n"
    "  FROM k LEFT JOIN category c ON c.id = k.\"categoryId\"\n"
    "-- name: typed\nSELECT (string_to_array(:words, ' '))[1] AS first, (string_to_array(:words, ' '))[2:3]::text AS cut,\n"
    "  CASE WHEN :on THEN ':words ' || $$:on$$ END AS literal /* :nobody */\n";

struct custom {
    struct folder folder;
    struct mr_application *application;
    struct mr_built *built;
    struct database *database;
    struct driver *driver;
    mr_db *db; /* that prepares the application's statements */
    uint8_t users[2][16];
    uint8_t gone[16];
};

static struct custom *self;

static void build(void)
{
    struct mr_problems problems = {0};
    struct mr_buf told = {0};

    self->application = folder_load(self->folder.path, &problems);
    if (problems.found > 0 || mr_application_build(&self->built, self->application, &problems) != MR_OK)
        mr_problems_print(&problems, &told);
    if (self->built == NULL)
        fail_test("%.*s", (int)told.len, told.data);
    mr_buf_fini(&told);
    mr_problems_fini(&problems);
}

static void write_folder(void)
{
    folder_make(&self->folder);
    folder_write(&self->folder, "resources/category.yaml",
                 "path: /v1/categories\naccess: {read: public, write: admin}\nfields:\n"
                 "  code: {type: text, required: true}\n  label: {type: text}\noperations: [get]\n");
    folder_write(&self->folder, "resources/product.yaml",
                 "path: /v1/products\naccess: {read: public, write: admin}\nfields:\n  name: {type: text}\n  stock: {type: integer}\n"
                 "  category: {type: text, column: category_code, references: category.code, embed: {as: shelf, columns: [label]}}\n"
                 "operations: [get]\n");
    folder_write(&self->folder, "resources/order.yaml",
                 "path: /v1/orders\ntable: purchase\nowner: user_id\nfields:\n  note: {type: text}\noperations: [get]\n");
    folder_write(&self->folder, "operations/all.yaml", operations);
    folder_write(&self->folder, "queries/all.sql", statements);
}

static int setup(void **state)
{
    struct mr_db_options options;
    const char *missing;

    self = calloc(1, sizeof *self);
    (void)state;
    write_folder();
    build();
    self->database = database_new();
    sql_exec(self->database->db, "%s", schema);
    assert_int_equal(mr_built_settle(self->built, self->database->db, mr_mono_ms(&mr_system_clock) + 10000, &missing), MR_OK);
    assert_null(missing);
    mr_built_install(self->built);
    options = (struct mr_db_options){.config = &self->database->config,
                                     .clock = &mr_system_clock,
                                     .host = self->database->config.db_host,
                                     .application_name = "custom_test",
                                     .set_wise = true,
                                     .application = true};
    assert_int_equal(mr_db_new(&self->db, &options, NULL), MR_OK);
    self->driver = driver_with_data(&self->database->config);
    for (unsigned i = 0; i < 2; i++)
        make_user(self->database->db, i, self->users[i]);
    make_id(self->gone, 9, 9);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    driver_destroy(&self->driver);
    mr_db_destroy(&self->db);
    database_destroy(&self->database);
    mr_built_install(NULL);
    mr_built_destroy(&self->built);
    mr_application_destroy(&self->application);
    folder_remove(&self->folder);
    free(self);
    return 0;
}

static void set_bool(struct mr_value *value, bool boolean)
{
    *value = (struct mr_value){.present = true, .boolean = boolean};
}

/* ---- A batch's statement, run by itself ---- */

struct batch {
    const char *name;
    enum mr_op op;
    struct mr_params params;
    mr_rows *rows;
};

static void batch_begin(struct batch *batch, const char *name)
{
    *batch = (struct batch){.name = name, .op = op_named(name)};
    assert_false(mr_op_info(batch->op)->traits->row_wise);
    mr_params_begin(&batch->params, mr_statement_params(batch->op));
}

/* A message of one text, integer or boolean (as its first field is), and of a caller where the operation has one. */
static void batch_add(struct batch *batch, const char *text, int64_t integer, const uint8_t *user)
{
    const struct mr_field *fields = mr_op_info(batch->op)->traits->fields;
    uint8_t id[16] = {1};

    for (unsigned i = 0; fields[i].name != NULL; i++) {
        if (fields[i].from == MR_TOKEN_USER)
            mr_params_id(&batch->params, i, user);
        else if (fields[i].type == MR_UUID)
            mr_params_id(&batch->params, i, id);
        else if (fields[i].type == MR_TEXT)
            mr_params_text(&batch->params, i, text);
        else if (fields[i].type == MR_BOOL)
            mr_params_bool(&batch->params, i, integer != 0);
        else
            mr_params_int(&batch->params, i, integer);
    }
}

static void batch_run(struct batch *batch)
{
    assert_int_equal(mr_params_end(&batch->params), MR_OK);
    if (mr_db_connect(self->db) != MR_OK ||
        mr_db_run(self->db, batch->name, &batch->params, mr_mono_ms(&mr_system_clock) + 10000, &batch->rows) != MR_OK)
        fail_test("%s: %s", batch->name, mr_db_last_error(self->db)->message);
}

static void batch_end(struct batch *batch)
{
    mr_rows_free(&batch->rows);
    mr_params_fini(&batch->params);
}

static unsigned column_of(const mr_rows *rows, const char *name)
{
    for (unsigned i = 0; i < mr_rows_columns(rows); i++)
        if (strcmp(mr_rows_name(rows, i), name) == 0)
            return i;
    fail_test("no column %s", name);
    return 0;
}

static bool has_column(const mr_rows *rows, const char *name)
{
    for (unsigned i = 0; i < mr_rows_columns(rows); i++)
        if (strcmp(mr_rows_name(rows, i), name) == 0)
            return true;
    return false;
}

/* "-": NULL. */
static void assert_text(const mr_rows *rows, unsigned row, const char *column, const char *expected)
{
    struct mr_slice text = MR_SLICE("-");

    (void)mr_rows_get(rows, row, column_of(rows, column), &text);
    if (!mr_slice_is(text, expected))
        fail_test("row %u, %s: \"%.*s\" is not \"%s\"", row, column, (int)text.len, text.data, expected);
}

static void assert_int(const mr_rows *rows, unsigned row, const char *column, int64_t expected)
{
    assert_int_equal(mr_rows_int(rows, row, column_of(rows, column), -1), expected);
}

static void test_custom__a_query_in_the_middle_of_a_batch_answers_each_message(void **state)
{
    struct batch batch;

    (void)state;
    batch_begin(&batch, "find");
    batch_add(&batch, "bee", 0, NULL);
    batch_add(&batch, "none", 0, NULL);
    batch_add(&batch, "ant", 0, NULL);
    batch_run(&batch);
    assert_int_equal(mr_rows_count(batch.rows), 3);
    assert_int(batch.rows, 0, "$n", 1);
    assert_text(batch.rows, 0, "name", "bee");
    assert_text(batch.rows, 0, "shelf.label", "Books");
    assert_int(batch.rows, 0, "$version", 7);
    assert_int(batch.rows, 0, "$status", -1);
    assert_int(batch.rows, 1, "$status", 404);
    assert_int(batch.rows, 2, "$n", 3);
    assert_text(batch.rows, 2, "name", "ant");
    assert_false(has_column(batch.rows, "category_code"));
    batch_end(&batch);
}

static void test_custom__order_and_limit_are_of_each_message(void **state)
{
    static const char *const names[] = {"cow", "cat", "cow", "bee"};
    static const int64_t ordinals[] = {1, 1, 2, 3};
    struct batch batch;

    (void)state;
    batch_begin(&batch, "listed");
    batch_add(&batch, "c%", 2, NULL);
    batch_add(&batch, NULL, 1, NULL);
    batch_add(&batch, "b%", 5, NULL);
    batch_add(&batch, "x%", 5, NULL);
    batch_run(&batch);
    assert_int_equal(mr_rows_count(batch.rows), 5);
    for (unsigned row = 0; row < 4; row++) {
        assert_int(batch.rows, row, "$n", ordinals[row]);
        assert_text(batch.rows, row, "name", names[row]);
    }
    assert_int(batch.rows, 4, "$n", 4); /* and nothing else: an empty list */
    assert_text(batch.rows, 4, "name", "-");
    batch_end(&batch);
}

static void test_custom__names_of_the_query_route_nothing_to_strangers(void **state)
{
    struct batch batch;

    (void)state;
    batch_begin(&batch, "own_names");
    batch_add(&batch, "one", 0, NULL);
    batch_add(&batch, "two", 0, NULL);
    batch_run(&batch);
    for (unsigned row = 0; row < 2; row++) {
        assert_int(batch.rows, row, "$n", row + 1);
        assert_int(batch.rows, row, "n", 999);
        assert_text(batch.rows, row, "k", row == 0 ? "one" : "two");
    }
    batch_end(&batch);
}

static void test_custom__a_row_of_nulls_is_no_missing_row(void **state)
{
    struct batch batch;

    (void)state;
    batch_begin(&batch, "nothing");
    batch_add(&batch, NULL, 1, NULL);
    batch_add(&batch, NULL, 0, NULL);
    batch_run(&batch);
    assert_int(batch.rows, 0, "$status", -1);
    assert_int(batch.rows, 1, "$status", 404);
    batch_end(&batch);
}

static void test_custom__reserved_names_are_of_each_caller(void **state)
{
    struct batch batch;

    (void)state;
    batch_begin(&batch, "who");
    batch_add(&batch, NULL, 0, self->users[0]);
    batch_add(&batch, NULL, 1, self->users[1]);
    batch_add(&batch, NULL, 1, self->gone);
    batch_run(&batch);
    assert_text(batch.rows, 0, "as", "user");
    assert_text(batch.rows, 1, "as", "admin");
    assert_int(batch.rows, 1, "$status", -1);
    assert_int(batch.rows, 2, "$status", 401);
    batch_end(&batch);
}

static void test_custom__a_query_refuses_by_its_status(void **state)
{
    struct batch batch;

    (void)state;
    batch_begin(&batch, "refused");
    batch_add(&batch, NULL, 1, NULL);
    batch_add(&batch, NULL, 2, NULL);
    batch_run(&batch);
    assert_int(batch.rows, 0, "$status", -1);
    assert_int(batch.rows, 1, "$status", 409);
    assert_text(batch.rows, 1, "$field", "at");
    assert_text(batch.rows, 1, "$message", "is late");
    batch_end(&batch);
}

static void test_custom__a_status_that_is_the_engines_is_a_failure(void **state)
{
    static const int told[][2] = {{422, 422}, {410, 410}, {401, 500}, {429, 500}, {503, 500}, {201, 500}};
    struct batch batch;

    (void)state;
    batch_begin(&batch, "refused");
    for (unsigned i = 0; i < sizeof told / sizeof told[0]; i++)
        batch_add(&batch, NULL, told[i][0], NULL);
    batch_run(&batch);
    for (unsigned i = 0; i < sizeof told / sizeof told[0]; i++)
        assert_int(batch.rows, i, "$status", told[i][1]);
    batch_end(&batch);
}

static void test_custom__aggregates_are_of_each_message(void **state)
{
    struct batch batch;

    (void)state;
    batch_begin(&batch, "windows");
    batch_add(&batch, NULL, 10, NULL);
    batch_add(&batch, NULL, 20, NULL);
    batch_run(&batch);
    assert_int_equal(mr_rows_count(batch.rows), 2);
    assert_int(batch.rows, 0, "least", 11);
    assert_int(batch.rows, 1, "least", 21);
    assert_int(batch.rows, 1, "of", 1);
    batch_end(&batch);
}

static void test_custom__a_set_wise_statement_is_given_the_rows(void **state)
{
    struct batch batch;

    (void)state;
    batch_begin(&batch, "shout");
    batch_add(&batch, "hey", 0, NULL);
    batch_add(&batch, "you", 0, NULL);
    batch_run(&batch);
    assert_int(batch.rows, 0, "$n", 1);
    assert_text(batch.rows, 0, "said", "HEY!");
    assert_text(batch.rows, 1, "said", "YOU!");
    assert_false(has_column(batch.rows, "other"));
    batch_end(&batch);
}

static mr_rows *ask_server(const char *sql)
{
    mr_rows *rows = NULL;

    if (mr_db_connect(self->db) != MR_OK || mr_db_exec(self->db, sql, mr_mono_ms(&mr_system_clock) + 10000, &rows) != MR_OK)
        fail_test("%s: %s", sql, mr_db_last_error(self->db)->message);
    return rows;
}

/* What a statement found for 24 messages is joined with them in one go, not looked through once for each. */
static void test_custom__a_set_wise_statement_is_joined_once(void **state)
{
    char *text = mr_statement_text(mr_statement_find("shout"));
    struct mr_buf sql = {0};
    mr_rows *plan;

    (void)state;
    mr_buf_printf(&sql, "PREPARE joined AS %s", text);
    mr_buf_append(&sql, "", 1);
    plan = ask_server(sql.data);
    mr_rows_free(&plan);
    plan = ask_server("EXPLAIN (ANALYZE, COSTS off, TIMING off) EXECUTE joined (array_fill('x'::text, ARRAY[24]), NULL)");
    assert_true(mr_rows_count(plan) > 3);
    for (unsigned row = 0; row < mr_rows_count(plan); row++) {
        struct mr_slice line = MR_SLICE("");

        (void)mr_rows_get(plan, row, 0, &line);
        if (memmem(line.data, line.len, "loops=24", 8) != NULL)
            fail_test("%.*s", (int)line.len, line.data);
    }
    mr_rows_free(&plan);
    plan = ask_server("DEALLOCATE joined");
    mr_rows_free(&plan);
    mr_buf_fini(&sql);
    free(text);
}

/* Nothing is done for a caller who is gone. */
static void test_custom__a_set_wise_statement_sees_no_caller_who_is_gone(void **state)
{
    struct batch batch;

    (void)state;
    batch_begin(&batch, "tell");
    batch_add(&batch, "a", 0, self->gone);
    batch_add(&batch, "b", 0, self->users[0]);
    batch_run(&batch);
    assert_int_equal(mr_rows_count(batch.rows), 4);
    assert_int(batch.rows, 0, "$n", 1);
    assert_int(batch.rows, 0, "$status", 401);
    for (unsigned row = 1; row < 4; row++) {
        static const char *const notes[] = {"b3", "b2", "b1"};

        assert_int(batch.rows, row, "$n", 2);
        assert_int(batch.rows, row, "$status", -1);
        assert_text(batch.rows, row, "note", notes[row - 1]);
    }
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM purchase WHERE note ~ '^[ab][123]$'"), 3);
    batch_end(&batch);
}

/* ---- By actors ---- */

static const struct reply *ask(const char *name, const struct mr_value *values, const uint8_t *user)
{
    return driver_await(self->driver, driver_send(self->driver, op_named(name), values, user));
}

static void test_custom__each_message_draws_its_own_ticket(void **state)
{
    unsigned ids[40];
    bool seen[1000] = {false};

    (void)state;
    assert_true(mr_op_info(op_named("draw"))->traits->row_wise);
    assert_true(mr_op_info(op_named("draw_late"))->traits->row_wise);
    assert_string_equal(mr_built_choice(self->built, "draw_late")->why, "counted() is volatile");
    for (unsigned i = 0; i < 40; i++) {
        struct mr_value values[MR_FIELDS_MAX] = {0};

        if (i % 2 == 0)
            make_id(values[0].uuid, 7, i);
        values[0].present = i % 2 == 0;
        if (i % 2 == 1)
            set_text(&values[0], "");
        ids[i] = driver_send(self->driver, op_named(i % 2 == 0 ? "draw" : "draw_late"), values, NULL);
    }
    for (unsigned i = 0; i < 40; i++) {
        const struct reply *reply = driver_await(self->driver, ids[i]);
        int64_t number;

        assert_int_equal(reply->status, MR_OK);
        number = i % 2 == 0 ? json_integer_value(json_object_get(reply->body, "number"))
                            : strtoll(reply_text(reply, NULL, "said"), NULL, 10);
        assert_true(number > 0 && number < 1000);
        assert_false(seen[number]);
        seen[number] = true;
    }
}

static void test_custom__a_change_answers_with_what_it_returns(void **state)
{
    struct mr_value values[MR_FIELDS_MAX] = {0};
    const struct reply *reply;

    (void)state;
    set_text(&values[0], "mine");
    set_id(&values[1], self->users[0]);
    make_id(values[2].uuid, 3, 1);
    values[2].present = true;
    reply = ask("order_add", values, self->users[0]);
    assert_int_equal(reply->status, MR_OK);
    assert_string_equal(reply_text(reply, NULL, "note"), "mine");
    assert_null(json_object_get(reply->body, "user_id"));
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM purchase WHERE note = 'mine'"), 1);
    assert_string_equal(mr_op_info(op_named("order_add"))->traits->location, "/v1/orders/:id");
    /* Behind a WITH list that changes rows too. */
    memset(values, 0, sizeof values);
    set_text(&values[0], "mine");
    set_text(&values[1], "yours");
    set_id(&values[2], self->users[0]);
    reply = ask("order_swap", values, self->users[0]);
    assert_int_equal(reply->status, MR_OK);
    assert_int_equal(json_array_size(reply->body), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(reply->body, 0), "note")), "yours");
    /* Without an answer. */
    memset(values, 0, sizeof values);
    set_text(&values[0], "yours");
    set_id(&values[1], self->users[0]);
    reply = ask("order_drop", values, self->users[0]);
    assert_int_equal(reply->status, MR_OK);
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM purchase WHERE note IN ('mine', 'yours')"), 0);
    /* By somebody who is gone. */
    set_id(&values[1], self->gone);
    assert_int_equal(ask("order_drop", values, self->gone)->status, MR_INVALID_TOKEN);
}

static void test_custom__a_procedure_is_called(void **state)
{
    struct mr_value values[MR_FIELDS_MAX] = {0};

    (void)state;
    set_int(&values[0], 1);
    assert_int_equal(ask("stock_take", values, NULL)->status, MR_OK);
    assert_int_equal(sql_number(self->database->db, "SELECT min(stock) FROM product"), 0);
    set_int(&values[0], -1);
    assert_int_equal(ask("stock_take", values, NULL)->status, MR_OK);
    assert_int_equal(sql_number(self->database->db, "SELECT min(stock) FROM product"), 1);
}

static void test_custom__casts_slices_and_strings_stay_what_they_are(void **state)
{
    struct mr_value values[MR_FIELDS_MAX] = {0};
    const struct reply *reply;

    (void)state;
    set_text(&values[0], "a b c");
    set_bool(&values[1], true);
    reply = ask("typed", values, NULL);
    assert_int_equal(reply->status, MR_OK);
    assert_string_equal(reply_text(reply, NULL, "first"), "a");
    assert_string_equal(reply_text(reply, NULL, "cut"), "{b,c}");
    assert_string_equal(reply_text(reply, NULL, "literal"), ":words :on");
}

/* A word that lost its colon is no field of the message, but what it is in PostgreSQL: a column that is not there. */
static void test_custom__a_word_without_a_colon_is_no_parameter(void **state)
{
    struct mr_value values[MR_FIELDS_MAX] = {0};

    (void)state;
    assert_false(mr_op_info(op_named("by_word"))->traits->row_wise);
    set_text(&values[0], "bee");
    assert_int_equal(ask("by_word", values, NULL)->status, MR_INTERNAL);
}

static void test_custom__a_statement_takes_the_place_of_one_that_was_generated(void **state)
{
    struct mr_value values[MR_FIELDS_MAX] = {0};
    const struct reply *reply;
    uint8_t id[16];

    (void)state;
    sql_exec(self->database->db, "INSERT INTO category (id, code, label) VALUES ('00000000-0000-7000-8000-000000000001', 'C', 'Cars');"
                                 "INSERT INTO product (id, name, category_code) VALUES ('00000000-0000-7000-8000-000000000001', 'cow', 'C'),"
                                 " ('00000000-0000-7000-8000-000000000002', 'dog', 'C')");
    assert_true(mr_uuid_parse(id, "00000000-0000-7000-8000-000000000002", 36));
    set_id(&values[0], id);
    reply = ask("product_get", values, NULL);
    assert_string_equal(reply_text(reply, NULL, "name"), "dog");
    assert_string_equal(reply_text(reply, "shelf", "label"), "Cars");
    assert_int_equal(ask("category_get", values, NULL)->status, MR_NOT_FOUND);
    id[15] = 1;
    set_id(&values[0], id);
    assert_int_equal(ask("product_get", values, NULL)->status, MR_NOT_FOUND);
    assert_string_equal(reply_text(ask("category_get", values, NULL), NULL, "label"), "Cars");
}

static void test_custom__what_only_reads_goes_to_the_readers(void **state)
{
    static const char *const batched[] = {"find", "listed", "own_names", "nothing", "who", "refused", "windows", "typed"};

    (void)state;
    for (size_t i = 0; i < sizeof batched / sizeof batched[0]; i++) {
        const struct mr_op_info *info = mr_op_info(op_named(batched[i]));

        if (info->traits->row_wise || info->actor != MR_ACTOR_DATA_READER || !info->traits->rerun_safe)
            fail_test("%s: %s", batched[i], mr_built_choice(self->built, batched[i])->why);
    }
    assert_int_equal(mr_op_info(op_named("draw_late"))->actor, MR_ACTOR_DATA_WRITER);
    assert_int_equal(mr_op_info(op_named("shout"))->actor, MR_ACTOR_DATA_WRITER);
}

/* Whose message was on its way when the other operation took over is answered in the form that it began with. */
static void test_custom__a_message_begun_by_the_other_form_is_answered(void **state)
{
    static const char *const names[] = {"bee", "none"};
    enum mr_op later = op_named("find");
    enum mr_op first = (enum mr_op)MR_OP_COUNT;
    unsigned ids[4];

    (void)state;
    while (mr_op_info(first)->successor == NULL || mr_op_info(first)->successor->op != later)
        first++;
    assert_string_equal(mr_op_info(first)->name, "find");
    assert_int_equal(mr_op_info(first)->actor, MR_ACTOR_DATA_WRITER);
    for (unsigned i = 0; i < 4; i++) {
        struct mr_value values[MR_FIELDS_MAX] = {0};

        set_text(&values[0], names[i % 2]);
        ids[i] = driver_send(self->driver, i < 2 ? first : later, values, NULL);
    }
    for (unsigned i = 0; i < 4; i += 2) {
        const struct reply *found = driver_await(self->driver, ids[i]);

        assert_string_equal(reply_text(found, NULL, "name"), "bee");
        assert_string_equal(reply_text(found, "shelf", "label"), "Books");
        assert_int_equal(driver_await(self->driver, ids[i + 1])->status, MR_NOT_FOUND);
    }
}

/* Until the catalogue knows every name a query runs one by one, and may be asked about again. */
static void test_custom__what_is_missing_is_asked_again(void **state)
{
    int64_t deadline_ms = mr_mono_ms(&mr_system_clock) + 10000;
    const char *missing = NULL;
    struct mr_built *built = NULL;
    struct mr_problems problems = {0};
    const struct mr_choice *choice;

    (void)state;
    assert_int_equal(mr_application_build(&built, self->application, &problems), MR_OK);
    choice = mr_built_choice(built, "find");
    sql_exec(self->database->db, "ALTER TABLE product RENAME TO elsewhere");
    assert_int_equal(mr_built_settle(built, self->database->db, deadline_ms, &missing), MR_OK);
    assert_string_equal(missing, "there is no relation product");
    assert_false(choice->successor->is_ready);
    sql_exec(self->database->db, "ALTER TABLE elsewhere RENAME TO product");
    assert_int_equal(mr_built_settle(built, self->database->db, deadline_ms, &missing), MR_OK);
    assert_null(missing);
    assert_true(choice->successor->is_ready);
    assert_null(choice->why);
    mr_problems_fini(&problems);
    mr_built_destroy(&built);
}

static int start(void **state)
{
    return database_server_start(state) != 0 || setup(state) != 0;
}

static int stop(void **state)
{
    (void)teardown(state);
    return database_server_stop(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_custom__a_query_in_the_middle_of_a_batch_answers_each_message),
        cmocka_unit_test(test_custom__order_and_limit_are_of_each_message),
        cmocka_unit_test(test_custom__names_of_the_query_route_nothing_to_strangers),
        cmocka_unit_test(test_custom__a_row_of_nulls_is_no_missing_row),
        cmocka_unit_test(test_custom__reserved_names_are_of_each_caller),
        cmocka_unit_test(test_custom__a_query_refuses_by_its_status),
        cmocka_unit_test(test_custom__a_status_that_is_the_engines_is_a_failure),
        cmocka_unit_test(test_custom__aggregates_are_of_each_message),
        cmocka_unit_test(test_custom__a_set_wise_statement_is_given_the_rows),
        cmocka_unit_test(test_custom__a_set_wise_statement_is_joined_once),
        cmocka_unit_test(test_custom__a_set_wise_statement_sees_no_caller_who_is_gone),
        cmocka_unit_test(test_custom__each_message_draws_its_own_ticket),
        cmocka_unit_test(test_custom__a_change_answers_with_what_it_returns),
        cmocka_unit_test(test_custom__a_procedure_is_called),
        cmocka_unit_test(test_custom__casts_slices_and_strings_stay_what_they_are),
        cmocka_unit_test(test_custom__a_word_without_a_colon_is_no_parameter),
        cmocka_unit_test(test_custom__a_statement_takes_the_place_of_one_that_was_generated),
        cmocka_unit_test(test_custom__what_only_reads_goes_to_the_readers),
        cmocka_unit_test(test_custom__a_message_begun_by_the_other_form_is_answered),
        cmocka_unit_test(test_custom__what_is_missing_is_asked_again),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
