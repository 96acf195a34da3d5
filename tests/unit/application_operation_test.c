/* Operations of a folder: what of them cannot be served is told, with its place, and what they become. */
#include "application/build.h"

#include "tests/support/folder.h"
#include "tests/support/test.h"

static struct folder folder;
static struct mr_application *application;
static struct mr_built *built;

static int setup(void **state)
{
    (void)state;
    folder_make(&folder);
    folder_write(&folder, "resources/item.yaml",
                 "path: /v1/items\nfields:\n  name: {type: text}\noperations: [create, get, list, update, delete]\n");
    folder_write(&folder, "queries/item.sql", "-- name: it\nSELECT 1 AS x\n");
    return 0;
}

static void forget(void)
{
    mr_built_destroy(&built);
    mr_application_destroy(&application);
}

static int teardown(void **state)
{
    (void)state;
    forget();
    folder_remove(&folder);
    return 0;
}

/* What is told of an operation `it` and its statement; "": nothing, and it is built. */
static void assert_told(const char *operation, const char *sql, const char *expected)
{
    struct mr_problems problems = {0};
    struct mr_buf told = {0};
    struct mr_buf file = {0};

    forget();
    mr_buf_printf(&file, "it: {%s%s}\n%c", strstr(operation, "route:") != NULL ? "" : "route: GET /v1/it, ", operation, '\0');
    folder_write(&folder, "operations/it.yaml", file.data);
    mr_buf_clear(&file, SIZE_MAX);
    mr_buf_printf(&file, "-- name: it\n%s\n%c", sql, '\0');
    folder_write(&folder, "queries/item.sql", file.data);
    application = folder_load(folder.path, &problems);
    if (problems.found == 0 && mr_application_build(&built, application, &problems) == MR_OK)
        assert_int_equal(problems.found, 0);
    mr_problems_print(&problems, &told);
    if (!mr_slice_is(buf_slice(&told), expected))
        fail_test("%s / %s\n  was told %.*s\n  and not  %s", operation, sql, (int)told.len, told.len > 0 ? told.data : "", expected);
    mr_buf_fini(&file);
    mr_buf_fini(&told);
    mr_problems_fini(&problems);
}

static const struct mr_op_info *op_of(const char *name);

static void assert_answers(const char *operation, const char *sql, const char *expected)
{
    const char *answers;

    assert_told(operation, sql, "");
    answers = op_of("it")->traits->answers;
    if (strcmp(answers != NULL ? answers : "", expected) != 0)
        fail_test("%s: answers %s, expected %s", sql, answers, expected);
}

/* The document promises what a folder can answer, and not whatever SQL could. */
static void test_operation__failures_are_those_that_the_folder_declares(void **state)
{
    (void)state;
    folder_write(&folder, "migrations/0001_items.sql",
                 "CREATE TABLE item (name text);\nCREATE FUNCTION take(text) RETURNS SETOF item LANGUAGE plpgsql AS $$ BEGIN\n"
                 "RAISE SQLSTATE 'MR410' USING MESSAGE = format('%s is gone', count(1)); END $$;\n");
    assert_answers("returns: {n: {type: integer}}", "SELECT count(*) AS n FROM item", "404");
    assert_answers("returns: [item]", "SELECT * FROM item", "");
    assert_answers("returns: [item]", "SELECT * FROM take('a')", "409|410");
    assert_answers("returns: item", "SELECT * FROM public.\"take\"('a')", "404|409|410");
    assert_answers("returns: [item]", "SELECT i.*, CASE WHEN i.name IS NULL THEN 422 END AS \"$status\" FROM item i", "422");
    assert_answers("returns: [item]", "SELECT i.*, i.name AS \"$status\" FROM item i", "400|403|404|409|410|412|422");
    assert_answers("route: POST /v1/it, idempotent: true", "DELETE FROM item WHERE name = 'a404'", "409|410|422");
    folder_write(&folder, "migrations/0001_items.sql", "CREATE FUNCTION take(text) RETURNS text AS $$ RAISE 'x' USING ERRCODE = 'MR' || $1 $$;\n");
    assert_answers("returns: {a: {type: text}}", "SELECT take('a') AS a", "400|403|404|409|410|412|422");
}

/* Two that answer with the same are told once. */
static void test_operation__equal_answers_are_one(void **state)
{
    static const char answer[] = "{a: {type: text, about: its a}, b: {type: json, fields: {c: {type: integer}}}}";
    char operations[600];

    (void)state;
    snprintf(operations, sizeof operations,
             "route: GET /v1/it, returns: %s}\nthing_get: {route: GET /v1/things/one, returns: %s, statement: it}\nthing_list: {route: GET /v1/things, returns: [%s], statement: it}\n"
             "other: {route: GET /v1/other, statement: it, returns: {a: {type: text, about: another a}, b: {type: json, fields: {c: {type: integer}}}}",
             "{a: {type: text}, b: {type: json, fields: {c: {type: number}}}}", answer, answer);
    assert_told(operations, "SELECT 1 AS a, 2 AS b", "");
    assert_ptr_equal(op_of("thing_get")->traits->returns, op_of("thing_list")->traits->returns);
    assert_string_equal(op_of("thing_get")->traits->returns->name, "Thing");
    assert_string_equal(op_of("it")->traits->returns->name, "It");
    assert_string_equal(op_of("other")->traits->returns->name, "Other");
}

static void test_operation__names_that_are_no_fields(void **state)
{
    (void)state;
    assert_told("fields: {amount: {type: integer}}", "SELECT :amuont, :amount",
                "queries/item.sql:2:8: it has no field \"amuont\", expected \":amount\"\n");
    assert_told("fields: {a: {type: integer}}", "SELECT :a +\n  :zzzzz",
                "queries/item.sql:3:3: it has no field \"zzzzz\", expected one of its fields or caller|role|newId|now\n");
    assert_told("access: public", "SELECT 1 WHERE :caller IS NULL",
                "queries/item.sql:2:16: \":caller\" where anybody may call it, expected access: user or admin\n");
    assert_told("access: public", "SELECT :newId, :now", "");
}

static void test_operation__fields_that_the_statement_leaves(void **state)
{
    (void)state;
    assert_told("fields: {a: {type: integer}, b: {type: text}}", "SELECT :a, 'b', \":b\" FROM x -- :b",
                "operations/it.yaml:1:54: the statement it does not use \"b\", expected \":b\" in it\n");
    assert_told("fields: {a: {type: integer}}", "WITH k AS ({{k}}) SELECT k.\"$n\" FROM k", "");
}

static void test_operation__answers_that_do_not_fit(void **state)
{
    (void)state;
    assert_told("returns: {x: {type: integer}}", "DELETE FROM t",
                "operations/it.yaml:1:34: the statement it answers no rows, expected a query, RETURNING, or no `returns`\n");
    assert_told("returns: item", "CALL p()",
                "operations/it.yaml:1:34: the statement it answers no rows, expected a query, RETURNING, or no `returns`\n");
    assert_told("returns: {x: {type: integer}, y: {type: text}}", "SELECT x, z AS yy FROM t",
                "operations/it.yaml:1:55: the statement it has no column \"y\", expected one of that name\n");
    assert_told("returns: {x: {type: integer}, y: {type: text}}", "SELECT t.* FROM t", "");
    assert_told("returns: {x: {type: integer}}", "DELETE FROM t RETURNING x", "");
    assert_told("returns: {x: {type: integer}}", "WITH k AS ({{k}}) SELECT n, x FROM k, t",
                "queries/item.sql:2:1: a set-wise statement without the column \"$n\", expected it: k.\"$n\"\n");
}

static void test_operation__keys_that_cannot_be_kept(void **state)
{
    (void)state;
    assert_told("route: POST /v1/it, access: public, idempotent: true", "SELECT 1",
                "operations/it.yaml:1:54: keys are a user's own, expected access: user or admin\n");
    assert_told("route: POST /v1/it, idempotent: true", "CALL p()",
                "operations/it.yaml:1:38: CALL cannot be kept with its answer, expected another statement or no `idempotent`\n");
    assert_told("route: POST /v1/it, idempotent: true", "WITH k AS ({{k}}) SELECT k.\"$n\" FROM k",
                "operations/it.yaml:1:38: a set-wise statement cannot be kept with its answer, expected another statement or no `idempotent`\n");
}

static void test_operation__statements_in_the_place_of_others(void **state)
{
    (void)state;
    assert_told("access: public", "SELECT 1\n-- name: item_get\nSELECT * FROM item WHERE id = :itemId", "");
    assert_told("access: public", "SELECT 1\n-- name: item_get\nSELECT * FROM item WHERE id = :id",
                "queries/item.sql:4:31: item_get has no field \"id\", expected one of its own\n");
    assert_told("access: public", "SELECT 1\n-- name: item_list\nSELECT * FROM item",
                "queries/item.sql:3:1: the list item_list is many statements and cannot be replaced by one, expected an operation of its own\n");
    assert_told("access: public", "SELECT 1\n-- name: item_update\nUPDATE item SET name = :name WHERE id = :itemId RETURNING *",
                "queries/item.sql:4:1: item_update honours If-Match, expected a statement that begins with WITH k AS ({{k}})\n");
    assert_told("access: public", "SELECT 1\n-- name: item_update\nWITH k AS ({{k}}) SELECT k.\"$n\", i.* FROM k, item i", "");
    assert_told("access: public", "SELECT 1\n-- name: item_create\nCALL p()",
                "queries/item.sql:4:1: CALL in the place of item_create, expected a statement that answers with a row\n"
                "queries/item.sql:4:1: the statement answers no rows, expected a query or RETURNING\n");
    assert_told("access: public", "SELECT 1\n-- name: item_create\nINSERT INTO item (id, name) VALUES (:id, :name) RETURNING *", "");
}

/* From here on the resource is another one. */
static void write_item(const char *access)
{
    char text[256];

    snprintf(text, sizeof text, "path: /v1/items\naccess: %s\nfields:\n  name: {type: text, clearable: true}\n  seen: {type: text, readonly: true}\n"
                                "operations: [create, import]\n", access);
    folder_write(&folder, "resources/item.yaml", text);
}

/* Nothing that is declared, or said by a statement, is passed by. */
static void test_operation__an_import_that_would_go_round_something(void **state)
{
    (void)state;
    write_item("user");
    assert_told("access: public", "SELECT 1\n-- name: item_create\nINSERT INTO item (id, name) VALUES (:id, :name) RETURNING *",
                "queries/item.sql:3:1: an import of \"item\" would make rows without item_create, expected a trigger in its place, or"
                " \"import\" left out\n");
    assert_told("access: public", "SELECT 1\n-- name: item_import\nSELECT * FROM item",
                "queries/item.sql:3:1: the import item_import is a job and cannot be replaced by a statement, expected another name\n");
    write_item("public");
    assert_told("access: public", "SELECT 1",
                "resources/item.yaml:6:13: \"import\" where everybody may write, and nobody could see what became of it, expected access of"
                " users or administrators\n");
}

static const struct mr_op_info *op_of(const char *name)
{
    const struct mr_op_table *table = mr_built_ops(built);

    for (unsigned i = 0; i < table->op_count; i++)
        if (strcmp(table->ops[i].name, name) == 0)
            return &table->ops[i];
    fail_test("there is no operation %s", name);
    return NULL;
}

static void test_operation__becomes_a_row_of_the_map(void **state)
{
    const struct mr_op_info *info;
    const struct mr_field *fields;

    (void)state;
    assert_told("status: 201, about: Does it, key: a, fields: {a: {type: text, required: true}}, returns: item, access: admin",
                "SELECT * FROM item WHERE name = :a AND :role = 'admin'", "");
    info = op_of("it");
    fields = info->traits->fields;
    assert_int_equal(info->verb, MR_VERB_GET);
    assert_int_equal(info->access, MR_ACCESS_ADMIN);
    assert_int_equal(info->http, 201);
    assert_int_equal(info->actor, MR_ACTOR_DATA_WRITER);
    assert_true(info->traits->row_wise);
    assert_true(info->traits->versioned);
    assert_string_equal(info->traits->key, "a");
    assert_string_equal(info->traits->location, "/v1/items/:id");
    assert_string_equal(info->traits->summary, "Does it");
    assert_string_equal(info->traits->answers, "404");
    assert_string_equal(fields[0].name, "a");
    assert_int_equal(fields[0].from, MR_QUERY);
    assert_true(fields[0].required);
    assert_int_equal(fields[1].from, MR_TOKEN_USER);
    assert_int_equal(fields[2].from, MR_TOKEN_ADMIN);
    assert_null(fields[3].name);
    assert_true(mr_built_has_choices(built));
}

static void test_operation__of_a_scope_takes_keys_and_administrators(void **state)
{
    const struct mr_op_info *info;
    const struct mr_field *fields;

    (void)state;
    assert_told("access: items:read, returns: [item]", "SELECT * FROM item WHERE name = :role", "");
    info = op_of("it");
    fields = info->traits->fields;
    assert_int_equal(info->access, MR_ACCESS_ADMIN);
    assert_string_equal(info->traits->scopes, "items:read");
    assert_int_equal(fields[0].from, MR_TOKEN_USER);
    assert_false(fields[0].required);
    assert_int_equal(fields[1].from, MR_TOKEN_KEY);
    assert_int_equal(fields[2].from, MR_TOKEN_ADMIN);
    assert_false(fields[2].required);
    assert_null(fields[3].name);
    assert_told("access: admin, returns: [item]", "SELECT * FROM item", "");
    assert_null(op_of("it")->traits->scopes);
}

static void test_operation__that_is_a_call_without_arguments_has_no_parameter(void **state)
{
    (void)state;
    assert_told("access: items:read", "CALL tidy()", "");
    assert_null(op_of("it")->traits->fields[0].name);
    assert_told("", "CALL tidy()", "");
    assert_null(op_of("it")->traits->fields[0].name);
}

/* A record has what a create has, but for what only the answer to one needs. */
static void test_operation__an_import_takes_what_a_create_does(void **state)
{
    const struct mr_op_info *info;
    const struct mr_field *record;

    (void)state;
    write_item("{read: public, write: admin}");
    assert_told("access: public", "SELECT 1", "");
    info = op_of("item_import");
    record = info->traits->import->fields;
    assert_int_equal(info->verb, MR_VERB_POST);
    assert_string_equal(info->path, "/v1/items/import");
    assert_int_equal(info->access, op_of("item_create")->access);
    assert_int_equal(info->http, 202);
    assert_ptr_equal(info->traits->upload, &mr_import_upload);
    for (unsigned i = 0; record[i].name != NULL; i++) {
        assert_string_equal(record[i].name, op_of("item_create")->traits->fields[i].name);
        assert_false(record[i].clearable);
        assert_string_not_equal(record[i].name, "seen");
    }
    assert_int_equal(mr_fields_count(record), 3);
}

/* In two lanes messages of one key would pass each other. */
static void test_operation__a_list_is_slow_unless_it_changes_something(void **state)
{
    (void)state;
    assert_told("returns: [item]", "SELECT * FROM item", "");
    assert_int_equal(op_of("it")->traits->lane, MR_LANE_SLOW);
    assert_told("returns: [item]", "UPDATE item SET name = 'x' RETURNING *", "");
    assert_int_equal(op_of("it")->traits->lane, MR_LANE_QUICK);
    assert_told("returns: [item]", "WITH k AS ({{k}}), x AS (DELETE FROM item RETURNING *) SELECT k.\"$n\", x.* FROM k, x", "");
    assert_int_equal(op_of("it")->traits->lane, MR_LANE_QUICK);
    assert_told("key: a, fields: {a: {type: text}}, returns: [item]", "SELECT * FROM item_of(:a)", "");
    assert_int_equal(op_of("it")->traits->lane, MR_LANE_QUICK);
}

/* One of no fields at all has to have something to be one of a batch by. */
static void test_operation__has_a_field_at_least(void **state)
{
    (void)state;
    assert_told("access: public", "SELECT 1", "");
    assert_int_equal(op_of("it")->http, 204);
    assert_int_equal(op_of("it")->traits->fields[0].from, MR_NEW_ID);
    assert_null(op_of("it")->traits->fields[1].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operation__names_that_are_no_fields),
        cmocka_unit_test(test_operation__fields_that_the_statement_leaves),
        cmocka_unit_test(test_operation__answers_that_do_not_fit),
        cmocka_unit_test(test_operation__failures_are_those_that_the_folder_declares),
        cmocka_unit_test(test_operation__equal_answers_are_one),
        cmocka_unit_test(test_operation__keys_that_cannot_be_kept),
        cmocka_unit_test(test_operation__statements_in_the_place_of_others),
        cmocka_unit_test(test_operation__becomes_a_row_of_the_map),
        cmocka_unit_test(test_operation__of_a_scope_takes_keys_and_administrators),
        cmocka_unit_test(test_operation__that_is_a_call_without_arguments_has_no_parameter),
        cmocka_unit_test(test_operation__a_list_is_slow_unless_it_changes_something),
        cmocka_unit_test(test_operation__has_a_field_at_least),
        cmocka_unit_test(test_operation__an_import_that_would_go_round_something),
        cmocka_unit_test(test_operation__an_import_takes_what_a_create_does),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
