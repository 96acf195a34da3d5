/*
 * From the rows of a result to the bytes that a client reads: every type, nesting and shape.
 */
#include <jansson.h>

#include "runtime/params.h"
#include "runtime/rows.h"
#include "tests/support/database.h"
#include "tests/support/test.h"

static struct database *database;
static struct mr_row_plans plans; /* of one name: each statement meets those of others */

static int setup(void **state)
{
    if (database_server_start(state) != 0)
        return -1;
    database = database_new_empty();
    sql_exec(database->db, "CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE DOMAIN price AS numeric");
    return 0;
}

static int teardown(void **state)
{
    mr_row_plans_fini(&plans);
    database_destroy(&database);
    return database_server_stop(state);
}

static mr_db *connect_with(const struct mr_statement *statement)
{
    const struct mr_statement *statements[] = {statement, NULL};
    struct mr_db_options options = {.config = &database->config,
                                    .clock = &mr_system_clock,
                                    .host = database->config.db_host,
                                    .application_name = "replies_test",
                                    .set_wise = true};
    mr_db *db = NULL;

    assert_int_equal(mr_db_new(&db, &options, statements), MR_OK);
    if (mr_db_connect(db) != MR_OK)
        fail_test("%s: %s", statement->text, mr_db_last_error(db)->message);
    return db;
}

/* The rows of a select list for each of the numbers 1 to `count`, k.n. */
static mr_rows *rows_of(const char *select, int64_t count)
{
    struct mr_statement statement = {.name = "reply"};
    struct mr_params params = {0};
    struct mr_buf text = {0};
    mr_rows *rows = NULL;
    mr_db *db;

    mr_buf_printf(&text, "SELECT %s FROM unnest($1::bigint[]) WITH ORDINALITY AS k (v, n)", select);
    mr_buf_char(&text, '\0');
    statement.text = text.data;
    db = connect_with(&statement);
    mr_params_begin(&params, 1);
    for (int64_t i = 1; i <= count; i++)
        mr_params_int(&params, 0, i);
    assert_int_equal(mr_params_end(&params), MR_OK);
    if (mr_db_run(db, "reply", &params, mr_mono_ms(&mr_system_clock) + 20000, &rows) != MR_OK)
        fail_test("%s: %s", select, mr_db_last_error(db)->message);
    mr_params_fini(&params);
    mr_db_destroy(&db);
    mr_buf_fini(&text);
    return rows;
}

/* The body that a client reads of all rows, the caller's; `next` gets the cursor of the rest. NULL: there is none. */
static char *body_of(const mr_rows *rows, enum mr_shape shape, struct mr_buf *next)
{
    struct mr_body_notes notes = {.unsaid = NULL};
    const struct mr_row_plan *plan;
    struct mr_buf json = {0};
    mr_status status;

    assert_int_equal(mr_row_plan_find(&plans, &plan, "reply", rows, false), MR_OK);
    status = mr_rows_body(&json, shape, plan, rows, 0, mr_rows_count(rows), &notes);
    *next = notes.next;
    if (status != MR_OK)
        mr_buf_fini(&json);
    else
        mr_buf_char(&json, '\0');
    return json.data;
}

static void check(const char *select, int64_t count, enum mr_shape shape, const char *expected)
{
    mr_rows *rows = rows_of(select, count);
    struct mr_buf next = {0};
    char *body = body_of(rows, shape, &next);

    if ((body == NULL) != (expected == NULL) || (body != NULL && strcmp(body, expected) != 0))
        fail_test("%s\nis %s\nnot %s", select, body != NULL ? body : "(none)", expected != NULL ? expected : "(none)");
    assert_int_equal(next.len, 0);
    free(body);
    mr_buf_fini(&next);
    mr_rows_free(&rows);
}

static void test_replies__every_type_in_one_row(void **state)
{
    (void)state;
    check("k.n, true AS b, false AS c, (-32768)::smallint AS i2, 7 AS i4, 9223372036854775807 AS i8, 4294967295::oid AS o,"
          " E'a\"b\\\\c/\\b\\f\\n\\r\\t\\x01\\x1f\\x7f é 🦩'::text AS t, 'v'::varchar(5) AS v, 'c'::char(3) AS ch, 'n'::name AS na, 'x'::\"char\" AS xc,"
          " ''::text AS e, 'u' AS u,"
          " '{\"a\":  1.10}'::json AS j, '{\"b\":1, \"a\":[1, 2]}'::jsonb AS jb, 'null'::jsonb AS jn, '\"s\"'::jsonb AS js,"
          " '019108f7-52d1-7320-9bac-f847db4148a8'::uuid AS id, '2027-01-31 12:34:56.789999Z'::timestamptz AS ts,"
          " '1969-12-31 23:59:59.9995Z'::timestamptz AS told, '0001-01-01Z'::timestamptz AS tmin, '9999-12-31 23:59:59.999999Z'::timestamptz AS tmax,"
          " '2027-01-31'::date AS d, 0.1::float8 AS f8, (-1e300)::float8 AS f8b, 1e15::float8 AS f8c, 1e17::float8 AS f8d, 0::float8 AS f8e, '-0'::float8 AS f8f,"
          " 0.1::float4 AS f4, 1e10::float4 AS f4b,"
          " 12345678901234567890.1230::numeric AS nu, (-0.5)::numeric(5,2) AS nv, 0::numeric AS n0, 1e12::numeric AS nw,"
          " 'happy'::mood AS m, 1.50::price AS p",
          1, MR_SHAPE_ONE,
          "{\"b\":true,\"c\":false,\"i2\":-32768,\"i4\":7,\"i8\":9223372036854775807,\"o\":4294967295,"
          "\"t\":\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f é 🦩\",\"v\":\"v\",\"ch\":\"c  \",\"na\":\"n\",\"xc\":\"x\",\"e\":\"\",\"u\":\"u\","
          "\"j\":{\"a\":  1.10},\"jb\":{\"a\": [1, 2], \"b\": 1},\"jn\":null,\"js\":\"s\","
          "\"id\":\"019108f7-52d1-7320-9bac-f847db4148a8\",\"ts\":\"2027-01-31T12:34:56.789Z\","
          "\"told\":\"1969-12-31T23:59:59.999Z\",\"tmin\":\"0001-01-01T00:00:00.000Z\",\"tmax\":\"9999-12-31T23:59:59.999Z\","
          "\"d\":\"2027-01-31\",\"f8\":0.1,\"f8b\":-1e+300,\"f8c\":1e+15,\"f8d\":1e+17,\"f8e\":0,\"f8f\":-0,\"f4\":0.1,\"f4b\":1e+10,"
          "\"nu\":12345678901234567890.1230,\"nv\":-0.50,\"n0\":0,\"nw\":1000000000000,\"m\":\"happy\",\"p\":1.50}");
    check("k.n, '{}'::int[] AS a, '{1,NULL}'::int[] AS b, '{{1,2},{3,4}}'::bigint[] AS c, ARRAY[E'a\"\\n', NULL, ''] AS d,"
          " ARRAY[1.10, 'NaN']::numeric[] AS e, ARRAY['2027-01-31Z', 'infinity']::timestamptz[] AS f, ARRAY['{\"a\":1}']::jsonb[] AS g,"
          " ARRAY['019108f7-52d1-7320-9bac-f847db4148a8']::uuid[] AS h, '{sad}'::mood[] AS i, ARRAY[0.5, 'NaN']::float4[] AS j,"
          " ARRAY[true, NULL] AS l, '{a,b}'::varchar[] AS m, ARRAY['2027-01-31']::date[] AS o, '[5:6]={1,2}'::smallint[] AS p, ARRAY[1.5]::float8[] AS q,"
          " '{}'::mood[] AS r",
          1, MR_SHAPE_ONE,
          "{\"a\":[],\"b\":[1,null],\"c\":[[1,2],[3,4]],\"d\":[\"a\\\"\\n\",null,\"\"],\"e\":[1.10,null],"
          "\"f\":[\"2027-01-31T00:00:00.000Z\",null],\"g\":[{\"a\": 1}],\"h\":[\"019108f7-52d1-7320-9bac-f847db4148a8\"],"
          "\"i\":[\"sad\"],\"j\":[0.5,null],\"l\":[true,null],\"m\":[\"a\",\"b\"],\"o\":[\"2027-01-31\"],\"p\":[1,2],\"q\":[1.5],\"r\":[]}");
}

static void test_replies__names_nest(void **state)
{
    (void)state;
    check("k.n, 1 AS a, 2 AS \"g.a\", 3 AS \"g.b\", 4 AS \"h.a\", 5 AS b", 1, MR_SHAPE_ONE,
          "{\"a\":1,\"g\":{\"a\":2,\"b\":3},\"h\":{\"a\":4},\"b\":5}");
    check("k.n, 1 AS \"g.a.b\", 2 AS \".c\", 3 AS \"d.\"", 1, MR_SHAPE_ONE, "{\"g\":{\"a.b\":1},\"c\":2,\"d\":{\"\":3}}");
    check("k.n, 1 AS \"a\"\"b\", 2 AS \"é\", 3 AS \"t\tb\", 4 AS \"g\"\"h.i\\j\"", 1, MR_SHAPE_ONE,
          "{\"a\\\"b\":1,\"é\":2,\"t\\tb\":3,\"g\\\"h\":{\"i\\\\j\":4}}");
}

static void test_replies__null_is_left_out(void **state)
{
    (void)state;
    check("k.n, NULL::int AS a, NULL::int AS \"g.a\", 3 AS \"g.b\", NULL::int AS \"h.a\", NULL::text AS \"h.b\", NULL::interval AS i, 5 AS b, NULL::int AS c",
          1, MR_SHAPE_ONE, "{\"g\":{\"b\":3},\"b\":5}");
    check("k.n, 1 AS \"g.a\", NULL::int AS \"g.b\", NULL::int AS c", 1, MR_SHAPE_ONE, "{\"g\":{\"a\":1}}");
    check("k.n, NULL::int AS a, NULL::int AS \"g.a\"", 1, MR_SHAPE_ONE, "{}");
    check("k.n", 1, MR_SHAPE_ONE, "{}");
    check("k.n, 'NaN'::float8 AS \"g.a\", 'infinity'::date AS b, '-infinity'::timestamptz AS c, 'NaN'::float4 AS d, 'NaN'::numeric AS e,"
          " '10000-01-01Z'::timestamptz AS f, 1 AS z",
          1, MR_SHAPE_ONE, "{\"z\":1}");
}

static void test_replies__shapes(void **state)
{
    (void)state;
    check("k.n, 1 AS a", 1, MR_SHAPE_NONE, "null");
    check("1 AS n, k.v AS a, NULL::int AS b", 3, MR_SHAPE_MANY, "[{\"a\":1},{\"a\":2},{\"a\":3}]");
    check("1 AS n, NULL::int AS a, NULL::int AS \"g.a\"", 1, MR_SHAPE_MANY, "[]");
    check("1 AS n, nullif(k.v, 2) AS a, nullif(k.v, 2) AS \"g.a\"", 3, MR_SHAPE_MANY, "[{\"a\":1,\"g\":{\"a\":1}},{\"a\":3,\"g\":{\"a\":3}}]");
    check("1 AS n, nullif(k.v, 1) AS a", 3, MR_SHAPE_MANY, "[{\"a\":2},{\"a\":3}]");
    check("1 AS n, k.v AS a", 2, MR_SHAPE_ONE, "{\"a\":1}");
    check("1 AS n, 2 AS \"$page\", 10 AS \"$pageSize\", 21::bigint AS \"$totalItems\", k.v AS a", 2, MR_SHAPE_PAGE,
          "{\"data\":[{\"a\":1},{\"a\":2}],\"pagination\":{\"page\":2,\"pageSize\":10,\"totalItems\":21,\"totalPages\":3}}");
    check("1 AS n, 1 AS \"$page\", 10 AS \"$pageSize\", 0::bigint AS \"$totalItems\", NULL::int AS a", 1, MR_SHAPE_PAGE,
          "{\"data\":[],\"pagination\":{\"page\":1,\"pageSize\":10,\"totalItems\":0,\"totalPages\":0}}");
    check("1 AS n, k.v AS a", 1, MR_SHAPE_PAGE,
          "{\"data\":[{\"a\":1}],\"pagination\":{\"page\":0,\"pageSize\":0,\"totalItems\":0,\"totalPages\":0}}");
}

static void test_replies__reserved_names_and_the_ordinal(void **state)
{
    (void)state;
    check("k.n AS \"$n\", 9 AS n, NULL::int AS \"$status\", 'f' AS \"$field\", 'm' AS \"$message\", 'x' AS \"$next\", 3::bigint AS \"$version\", 1 AS a", 1,
          MR_SHAPE_ONE, "{\"n\":9,\"a\":1}");
}

static void test_replies__a_type_that_is_not_known_is_an_error(void **state)
{
    (void)state;
    check("k.n, '1 s'::interval AS a", 1, MR_SHAPE_ONE, NULL);
    check("1 AS n, CASE WHEN k.v = 2 THEN ROW(1) END AS a, k.v AS b", 2, MR_SHAPE_MANY, NULL);
}

#define ID "('00000000-0000-4000-8000-' || lpad(k.v::text, 12, '0'))::uuid AS id"

/* As many as were asked for, and the cursor of the last. */
static void test_replies__a_list_ends_where_it_was_asked_to(void **state)
{
    mr_rows *rows = rows_of("1 AS n, 2::bigint AS \"$take\", k.v AS \"$key\", " ID, 3);
    struct mr_buf next = {0};
    char *body = body_of(rows, MR_SHAPE_MANY, &next);

    (void)state;
    assert_string_equal(body, "[{\"id\":\"00000000-0000-4000-8000-000000000001\"},{\"id\":\"00000000-0000-4000-8000-000000000002\"}]");
    assert_slice_equal(buf_slice(&next), "00000000000040008000000000000002132");
    free(body);
    mr_buf_fini(&next);
    mr_rows_free(&rows);
    check("1 AS n, 3::bigint AS \"$take\", k.v AS \"$key\", k.v AS a, " ID, 1, MR_SHAPE_MANY,
          "[{\"a\":1,\"id\":\"00000000-0000-4000-8000-000000000001\"}]");
}

static unsigned items_of(const char *select, int64_t count, bool *continues)
{
    mr_rows *rows = rows_of(select, count);
    struct mr_buf next = {0};
    char *body = body_of(rows, MR_SHAPE_MANY, &next);
    json_error_t error;
    json_t *array = json_loads(body, 0, &error);
    unsigned items = (unsigned)json_array_size(array);

    assert_non_null(array);
    *continues = next.len > 0;
    json_decref(array);
    free(body);
    mr_buf_fini(&next);
    mr_rows_free(&rows);
    return items;
}

/* A mebibyte of values and of their names: 4 * (262125 + 1 + 16 + 2) is just that. */
static void test_replies__a_list_ends_at_a_mebibyte(void **state)
{
    bool continues;

    (void)state;
    assert_int_equal(items_of("1 AS n, 9::bigint AS \"$take\", repeat('x', 262125) AS a, " ID, 5, &continues), 4);
    assert_true(continues);
    assert_int_equal(items_of("1 AS n, 9::bigint AS \"$take\", repeat('x', 262125) AS a, " ID, 4, &continues), 4);
    assert_false(continues);
    assert_int_equal(items_of("1 AS n, 9::bigint AS \"$take\", repeat('x', 262126) AS a, " ID, 4, &continues), 3);
    assert_true(continues);
    assert_int_equal(items_of("1 AS n, 9::bigint AS \"$take\", repeat('x', 1500000) AS a, " ID, 2, &continues), 1);
    assert_true(continues);
    assert_int_equal(items_of("1 AS n, repeat('x', 300000) AS a, " ID, 5, &continues), 5);
    assert_false(continues);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies__every_type_in_one_row),
        cmocka_unit_test(test_replies__names_nest),
        cmocka_unit_test(test_replies__null_is_left_out),
        cmocka_unit_test(test_replies__shapes),
        cmocka_unit_test(test_replies__reserved_names_and_the_ordinal),
        cmocka_unit_test(test_replies__a_type_that_is_not_known_is_an_error),
        cmocka_unit_test(test_replies__a_list_ends_where_it_was_asked_to),
        cmocka_unit_test(test_replies__a_list_ends_at_a_mebibyte),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
