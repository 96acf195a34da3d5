/*
 * Every type on its way into PostgreSQL and out of it: fields as parameters, columns as JSON.
 */
#include <math.h>

#include "proto/field.h"
#include "proto/literal.h"
#include "runtime/params.h"
#include "runtime/rows.h"
#include "tests/support/database.h"
#include "tests/support/test.h"

static struct database *database;

static int setup(void **state)
{
    (void)state;
    database = database_new_empty();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    database_destroy(&database);
    return 0;
}

static int64_t soon(void)
{
    return mr_mono_ms(&mr_system_clock) + 20000;
}

static mr_db *connect_with(const struct mr_statement *statement)
{
    const struct mr_statement **statements = calloc(2, sizeof *statements); /* as long as the process, like those of an actor */
    struct mr_db_options options = {.config = &database->config,
                                    .clock = &mr_system_clock,
                                    .host = database->config.db_host,
                                    .application_name = "types_test",
                                    .set_wise = true};
    mr_db *db = NULL;

    statements[0] = statement;
    assert_int_equal(mr_db_new(&db, &options, statements), MR_OK);
    if (mr_db_connect(db) != MR_OK)
        fail_test("%s: %s", statement->text, mr_db_last_error(db)->message);
    free(statements);
    return db;
}

/* The rows of a statement of one parameter, an array of the numbers 1 to `count`. */
static mr_rows *run(mr_db *db, const struct mr_statement *statement, int64_t count)
{
    struct mr_params params = {0};
    mr_rows *rows = NULL;

    mr_params_begin(&params, 1);
    for (int64_t i = 1; i <= count; i++)
        mr_params_int(&params, 0, i);
    assert_int_equal(mr_params_end(&params), MR_OK);
    if (mr_db_run(db, statement->name, &params, soon(), &rows) != MR_OK)
        fail_test("%s: %s", statement->text, mr_db_last_error(db)->message);
    mr_params_fini(&params);
    return rows;
}

/* What a client reads; the caller's. NULL: a type that is not known. */
static char *json_of(const mr_rows *rows, unsigned row, unsigned column)
{
    uint32_t type = mr_rows_type(rows, column);
    struct mr_buf json = {0};
    struct mr_slice bytes;

    if (!mr_rows_get(rows, row, column, &bytes)) {
        mr_buf_text(&json, "null");
    } else if (mr_column_writer_of(type)(&json, type, bytes) != MR_SAID) {
        mr_buf_fini(&json);
        return NULL;
    }
    mr_buf_char(&json, '\0');
    return json.data;
}

/* An expression and the JSON that it becomes; NULL: it is of a type that is not known. */
struct column {
    const char *sql, *json;
};

static void check_columns(const struct column *columns, unsigned count)
{
    struct mr_buf text = {0};
    struct mr_statement statement = {.name = "columns"};
    mr_rows *rows;
    mr_db *db;

    mr_buf_text(&text, "SELECT ");
    for (unsigned i = 0; i < count; i++)
        mr_buf_printf(&text, "%s%s", i > 0 ? ", " : "", columns[i].sql);
    mr_buf_text(&text, " FROM unnest($1::bigint[])");
    mr_buf_char(&text, '\0');
    statement.text = text.data;
    db = connect_with(&statement);
    rows = run(db, &statement, 1);
    assert_int_equal(mr_rows_columns(rows), count);
    for (unsigned i = 0; i < count; i++) {
        char *json = json_of(rows, 0, i);

        if ((json == NULL) != (columns[i].json == NULL) || (json != NULL && strcmp(json, columns[i].json) != 0))
            fail_test("%s is %s", columns[i].sql, json);
        free(json);
    }
    mr_rows_free(&rows);
    mr_db_destroy(&db);
    mr_buf_fini(&text);
}

#define CHECK_COLUMNS(columns) check_columns(columns, sizeof columns / sizeof columns[0])

static void test_types__columns_are_json(void **state)
{
    static const struct column columns[] = {
        {"true", "true"},
        {"(-32768)::smallint", "-32768"},
        {"2147483647::int", "2147483647"},
        {"(-9223372036854775808)::bigint", "-9223372036854775808"},
        {"4294967295::oid", "4294967295"},
        {"'a\"b'::text", "\"a\\\"b\""},
        {"'v'::varchar(5)", "\"v\""},
        {"'c'::char(3)", "\"c  \""},
        {"'n'::name", "\"n\""},
        {"'u'", "\"u\""},
        {"NULL::int", "null"},
        {"'{\"a\": 1.10}'::json", "{\"a\": 1.10}"},
        {"'{\"a\":1.10, \"b\":123456789012345678901234567890}'::jsonb", "{\"a\": 1.10, \"b\": 123456789012345678901234567890}"},
        {"'null'::jsonb", "null"},
        {"'019108f7-52d1-7320-9bac-f847db4148a8'::uuid", "\"019108f7-52d1-7320-9bac-f847db4148a8\""},
        {"'2027-01-31 12:34:56.789123Z'::timestamptz", "\"2027-01-31T12:34:56.789Z\""},
        {"'2027-01-31'::date", "\"2027-01-31\""},
        {"'0001-01-01'::date", "\"0001-01-01\""},
        {"'9999-12-31'::date", "\"9999-12-31\""},
        {"'1999-12-31'::date", "\"1999-12-31\""},
        {"0.1::float8", "0.1"},
        {"(1.0/3)::float8", "0.3333333333333333"},
        {"'5e-324'::float8", "4.94065645841247e-324"},
        {"'-1.7976931348623157e308'::float8", "-1.7976931348623157e+308"},
        {"0.1::float4", "0.1"},
        {"(1.0/3)::float4", "0.33333334"},
        {"16777216::float4", "16777216"},
    };

    (void)state;
    CHECK_COLUMNS(columns);
}

static void test_types__numerics_are_exact(void **state)
{
    static const struct column columns[] = {
        {"0::numeric", "0"},
        {"0.00::numeric", "0.00"},
        {"1::numeric", "1"},
        {"-1::numeric", "-1"},
        {"0.1::numeric", "0.1"},
        {"0.00001::numeric", "0.00001"},
        {"0.0000000000000000000000000001::numeric", "0.0000000000000000000000000001"},
        {"10000::numeric", "10000"},
        {"100000000::numeric", "100000000"},
        {"12345.6789::numeric", "12345.6789"},
        {"-99999.99::numeric(7,2)", "-99999.99"},
        {"5::numeric(7,2)", "5.00"},
        {"1.50::numeric", "1.50"},
        {"10001.00010001::numeric", "10001.00010001"},
        {"123456789012345678901234567890.123456789012345678901234567890::numeric", "123456789012345678901234567890.123456789012345678901234567890"},
        {"1e20::numeric", "100000000000000000000"},
        {"1e-20::numeric", "0.00000000000000000001"},
        {"round(2/3.0, 3)", "0.667"},
    };

    (void)state;
    CHECK_COLUMNS(columns);
}

/* Against the server's own words, in every shape that the four decimals of a digit can have. */
static void test_types__numerics_are_what_the_server_writes(void **state)
{
    static const struct mr_statement statement = {
        "numerics", "SELECT v, v::text FROM unnest($1::bigint[]) AS k (n), LATERAL (SELECT ((k.n % 2) * 2 - 1) * (k.n * 7919 % 100003)::numeric"
                    " * power(10::numeric, (k.n % 41 - 20)::int)) AS x (v)"};
    mr_db *db = connect_with(&statement);
    mr_rows *rows = run(db, &statement, 1000);

    (void)state;
    assert_int_equal(mr_rows_count(rows), 1000);
    for (unsigned row = 0; row < 1000; row++) {
        char *json = json_of(rows, row, 0);
        struct mr_slice expected;

        assert_true(mr_rows_get(rows, row, 1, &expected));
        if (!mr_slice_is(expected, json))
            fail_test("%.*s was written as %s", (int)expected.len, expected.data, json);
        free(json);
    }
    mr_rows_free(&rows);
    mr_db_destroy(&db);
}

static void test_types__arrays_are_arrays(void **state)
{
    static const struct column columns[] = {
        {"'{}'::int[]", "[]"},
        {"'{1,2,NULL}'::int[]", "[1,2,null]"},
        {"'[5:6]={1,2}'::bigint[]", "[1,2]"},
        {"'{{1,2},{3,4}}'::smallint[]", "[[1,2],[3,4]]"},
        {"'{{{1}},{{2}}}'::int[]", "[[[1]],[[2]]]"},
        {"ARRAY['a','b\"','']", "[\"a\",\"b\\\"\",\"\"]"},
        {"ARRAY[1.10,0.5]::numeric[]", "[1.10,0.5]"},
        {"ARRAY['NaN',1]::numeric[]", "[null,1]"},
        {"ARRAY['infinity',1]::float8[]", "[null,1]"},
        {"ARRAY['infinity','2027-01-31']::date[]", "[null,\"2027-01-31\"]"},
        {"ARRAY['-infinity','2027-01-31']::timestamptz[]", "[null,\"2027-01-31T00:00:00.000Z\"]"},
        {"ARRAY[true,false]", "[true,false]"},
        {"ARRAY['{\"a\":[1]}','null']::jsonb[]", "[{\"a\": [1]},null]"},
        {"ARRAY['019108f7-52d1-7320-9bac-f847db4148a8']::uuid[]", "[\"019108f7-52d1-7320-9bac-f847db4148a8\"]"},
        {"ARRAY['v']::varchar[]", "[\"v\"]"},
        {"ARRAY['1 s']::interval[]", NULL},
    };

    (void)state;
    CHECK_COLUMNS(columns);
}

/* In a time zone of our own a local time would be another instant, an interval has many words, bytes have no text. */
static void test_types__what_is_not_known_is_an_error(void **state)
{
    static const struct column columns[] = {{"'1 s'::interval", NULL}, {"'2027-01-31'::timestamp", NULL}, {"'x'::bytea", NULL},
                                            {"'10.0.0.1'::inet", NULL}, {"'[1,2)'::int4range", NULL},      {"ROW(1)", NULL}};

    (void)state;
    CHECK_COLUMNS(columns);
    assert_true(mr_type_known(1700) && mr_type_known(1231) && mr_type_known(1082) && mr_type_known(25));
    assert_false(mr_type_known(1186) || mr_type_known(17) || mr_type_known(1114) || mr_type_known(0));
}

static void test_types__those_of_the_database_s_own(void **state)
{
    static const struct column columns[] = {
        {"'happy'::mood", "\"happy\""},
        {"ARRAY['sad','happy']::mood[]", "[\"sad\",\"happy\"]"},
        {"'{}'::mood[]", "[]"},
        {"'A b'::citext", "\"A b\""},
        {"ARRAY['A b',NULL]::citext[]", "[\"A b\",null]"},
        {"1.50::price", "1.50"},
        {"ARRAY[1.50]::price[]", NULL},
        {"ARRAY['a']::word[]", "[\"a\"]"},
        {"'{1.50}'::prices", "[1.50]"},
        {"'{sad}'::moods", "[\"sad\"]"},
        {"ROW('a','b')::pair", NULL},
        {"'empty'::shift", NULL},
        {"'(,)'::shift", NULL},
        {"'[2027-01-01,2027-01-02)'::shift", NULL},
        {"ARRAY[ROW('a','b')]::pair[]", NULL},
    };
    static const struct {
        const char *type;
        bool known;
    } types[] = {{"mood", true}, {"mood[]", true}, {"citext", true}, {"citext[]", true}, {"price", true}, {"price[]", false}, {"word[]", true}, {"prices", true}, {"moods", true},
                 {"pair", false}, {"pair[]", false}, {"shift", false}, {"int", true}, {"interval[]", false}, {"odd", false}, {"text", true}};

    (void)state;
    sql_exec(database->db, "CREATE EXTENSION citext; CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE DOMAIN price AS numeric CHECK (VALUE > 0);"
                           "CREATE DOMAIN moods AS mood[]; CREATE TYPE pair AS (a text, b text); CREATE TYPE shift AS RANGE (subtype = date);"
                           "CREATE DOMAIN odd AS interval; CREATE DOMAIN word AS text; CREATE DOMAIN prices AS numeric[]");
    CHECK_COLUMNS(columns);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        bool known = false;
        uint32_t oid = (uint32_t)sql_number(database->db, "SELECT '%s'::regtype::oid", types[i].type);

        assert_int_equal(mr_db_type_known(database->db, oid, soon(), &known), MR_OK);
        if (known != types[i].known)
            fail_test("%s is %sknown", types[i].type, known ? "" : "not ");
    }
}

/* A member that JSON cannot say is left out as a NULL is, and somebody hears of it. */
static void test_types__what_json_cannot_say_is_left_out(void **state)
{
    static const struct mr_statement statement = {
        "unsaid", "SELECT 1 AS a, 'NaN'::numeric AS b, 'Infinity'::numeric AS c, 'NaN'::float8 AS d, '-Infinity'::float4 AS e, 'infinity'::date AS f,"
                  " '10000-01-01'::date AS g, '0001-01-01 BC'::date AS h, 'infinity'::timestamptz AS i, '-infinity'::timestamptz AS j,"
                  " '10000-01-01Z'::timestamptz AS k, 'NaN'::float8 AS \"l.m\", 2 AS z, k.n AS \"$n\", 7 AS n FROM unnest($1::bigint[]) AS k (n)"};
    mr_db *db = connect_with(&statement);
    mr_rows *rows = run(db, &statement, 1);
    struct mr_row_plans plans = {0};
    const struct mr_row_plan *plan;
    struct mr_body_notes notes = {.unsaid = NULL};
    struct mr_buf json = {0};

    (void)state;
    assert_int_equal(mr_row_plan_find(&plans, &plan, statement.name, rows, false), MR_OK);
    assert_int_equal(mr_rows_body(&json, MR_SHAPE_ONE, plan, rows, 0, 1, &notes), MR_OK);
    assert_slice_equal(buf_slice(&json), "{\"a\":1,\"z\":2,\"n\":7}");
    assert_string_equal(notes.unsaid, "l.m");
    mr_buf_fini(&json);
    mr_row_plans_fini(&plans);
    mr_rows_free(&rows);
    mr_db_destroy(&db);
}

static void test_types__rows_without_ordinal_or_with_too_many_columns(void **state)
{
    struct mr_statement none = {"none", "SELECT k.n AS x FROM unnest($1::bigint[]) AS k (n)"};
    struct mr_statement many = {.name = "many"};
    struct mr_buf text = {0};

    (void)state;
    mr_buf_text(&text, "SELECT k.n");
    for (unsigned i = 0; i <= MR_COLUMNS_MAX; i++)
        mr_buf_printf(&text, ", 1 AS c%u", i);
    mr_buf_text(&text, " FROM unnest($1::bigint[]) AS k (n)");
    mr_buf_char(&text, '\0');
    many.text = text.data;
    for (int i = 0; i < 2; i++) {
        const struct mr_statement *statement = i == 0 ? &none : &many;
        mr_db *db = connect_with(statement);
        mr_rows *rows = run(db, statement, 1);
        struct mr_row_plans plans = {0};
        const struct mr_row_plan *plan;

        assert_int_equal(mr_row_plan_find(&plans, &plan, statement->name, rows, false), MR_INTERNAL);
        mr_row_plans_fini(&plans);
        mr_rows_free(&rows);
        mr_db_destroy(&db);
    }
    mr_buf_fini(&text);
}

/* ---- Parameters ---- */

/* A field, a good value of it as text, and what the server makes of that. */
struct sent {
    struct mr_field field;
    const char *text, *expected;
};

static const struct sent sents[] = {
    {{.type = MR_TEXT}, "a\"{b},\\ NULL", "a\"{b},\\ NULL"},
    {{.type = MR_TEXT}, "", ""},
    {{.type = MR_TEXT}, "NULL", "NULL"},
    {{.type = MR_UUID}, "019108f7-52d1-7320-9bac-f847db4148a8", "019108f7-52d1-7320-9bac-f847db4148a8"},
    {{.type = MR_TIME}, "2027-01-31T12:34:56.789123Z", "2027-01-31 12:34:56.789123+00"},
    {{.type = MR_TIME}, "0001-01-01", "0001-01-01 00:00:00+00"},
    {{.type = MR_TIME}, "9999-12-31T23:59:59.999999Z", "9999-12-31 23:59:59.999999+00"},
    {{.type = MR_BOOL}, "true", "true"},
    {{.type = MR_INT}, "-123456789012345678", "-123456789012345678"},
    {{.type = MR_DECIMAL, .scale = -1}, "12345678901234567890123.45600", "12345678901234567890123.456"},
    {{.type = MR_DECIMAL, .scale = -1}, "-1.5E-3", "-0.0015"},
    {{.type = MR_DECIMAL, .scale = -1}, "1e20", "100000000000000000000"},
    {{.type = MR_DECIMAL, .scale = -1}, "0e999999999999", "0"},
    {{.type = MR_NUMBER}, "0.1", "0.1"},
    {{.type = MR_NUMBER}, "-1.7976931348623157e308", "-1.7976931348623157e+308"},
    {{.type = MR_NUMBER}, "5e-324", "5e-324"},
    {{.type = MR_NUMBER}, "1e-400", "0"},
    {{.type = MR_DATE}, "0001-01-01", "0001-01-01"},
    {{.type = MR_DATE}, "9999-12-31", "9999-12-31"},
    {{.type = MR_JSON}, "{\"a\":[1.10,\"x\\\"\\\\\"],\"b\":1e308}", NULL},
    {{.type = MR_JSON}, "null", "null"},
    {{.type = MR_JSON}, "\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\""},
};

enum { SENTS = sizeof sents / sizeof sents[0] };

static void parse(const struct sent *sent, struct mr_value *out)
{
    struct mr_problem problem;

    if (!mr_field_parse(&sent->field, mr_slice_of(sent->text), out, &problem))
        fail_test("%s: %s", sent->text, problem.message);
}

/* A value as an element of a batch, and alone in an array of its own; both as the column's type, and back as its text. */
static void test_types__fields_are_parameters(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SENTS; i++) {
        struct mr_field many = sents[i].field;
        struct mr_statement statement = {.name = "sent"};
        struct mr_params params = {0};
        struct mr_buf text = {0};
        struct mr_buf literal = {0};
        struct mr_value value;
        struct mr_slice got;
        mr_rows *rows = NULL;
        mr_db *db;

        many.many = true;
        mr_buf_printf(&text,
                      "SELECT k.a::%s, (k.b::%s)[2], k.a::%s::text, (k.b::%s)[1]::text, k.n, cardinality(k.b::%s)::text"
                      " FROM unnest($1::%s[], $2::%s[]) WITH ORDINALITY AS k (a, b, n) ORDER BY n",
                      mr_field_cast(&sents[i].field), mr_field_cast(&many), mr_field_cast(&sents[i].field), mr_field_cast(&many), mr_field_cast(&many),
                      mr_field_sql(&sents[i].field), mr_field_sql(&many));
        mr_buf_char(&text, '\0');
        statement.text = text.data;
        db = connect_with(&statement);
        sql_exec(db, "SET timezone = 'UTC'");
        parse(&sents[i], &value);
        mr_literal_begin(&literal);
        mr_literal_add(&literal, many.type, &value);
        mr_literal_add(&literal, many.type, &value);
        mr_literal_end(&literal);
        mr_params_begin(&params, 2);
        mr_params_add(&params, 0, mr_field_carried(&sents[i].field), &value);
        mr_params_add(&params, 1, mr_field_carried(&many), &(struct mr_value){.present = true, .text = {literal.data, literal.len}});
        mr_params_add(&params, 0, mr_field_carried(&sents[i].field), &(struct mr_value){.present = false});
        mr_params_add(&params, 1, mr_field_carried(&many), &(struct mr_value){.present = false});
        assert_int_equal(mr_params_end(&params), MR_OK);
        if (mr_db_run(db, "sent", &params, soon(), &rows) != MR_OK)
            fail_test("%s: %s", statement.text, mr_db_last_error(db)->message);
        assert_int_equal(mr_rows_count(rows), 2);
        for (unsigned column = 2; column < 4; column++) {
            assert_true(mr_rows_get(rows, 0, column, &got));
            if (sents[i].expected != NULL && !mr_slice_is(got, sents[i].expected))
                fail_test("%s became %.*s", sents[i].text, (int)got.len, got.data);
            assert_false(mr_rows_get(rows, 1, column, &got));
        }
        assert_true(mr_rows_get(rows, 0, 0, &got) && mr_rows_get(rows, 0, 1, &got) && mr_rows_get(rows, 0, 5, &got));
        assert_slice_equal(got, "2");
        mr_rows_free(&rows);
        mr_params_fini(&params);
        mr_buf_fini(&text);
        mr_buf_fini(&literal);
        mr_db_destroy(&db);
    }
}

/* The form of a parameter that is no array is that of an element behind its length. */
static void test_types__a_scalar_is_an_element(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SENTS; i++) {
        struct mr_params params = {0};
        struct mr_slice scalar;
        struct mr_value value;

        parse(&sents[i], &value);
        mr_params_begin(&params, 2);
        mr_params_value(&params, 1, mr_field_carried(&sents[i].field), &value);
        mr_params_add(&params, 0, mr_field_carried(&sents[i].field), &value);
        assert_int_equal(mr_params_end(&params), MR_OK);
        scalar = (struct mr_slice){params.arrays[1].bytes.data, params.arrays[1].bytes.len};
        assert_int_equal(params.arrays[0].bytes.len, 20 + 4 + scalar.len);
        if (scalar.len > 0)
            assert_memory_equal(params.arrays[0].bytes.data + 24, scalar.data, scalar.len);
        mr_params_fini(&params);
    }
}

/* As many as a message can have, then few, then many again: what was kept of one is not in the way of the next. */
static void test_types__many_parameters(void **state)
{
    static const unsigned counts[] = {MR_PARAMS_MAX, 2, MR_PARAMS_MAX};
    struct mr_params params = {0};

    (void)state;
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        struct mr_statement statement = {.name = "wide"};
        struct mr_buf text = {0};
        mr_rows *rows = NULL;
        mr_db *db;

        mr_buf_text(&text, "SELECT 0");
        for (unsigned i = 1; i <= counts[c]; i++)
            mr_buf_printf(&text, " + ($%u::bigint[])[2] * %u", i, i);
        mr_buf_char(&text, '\0');
        statement.text = text.data;
        db = connect_with(&statement);
        mr_params_begin(&params, counts[c]);
        for (unsigned i = 0; i < counts[c]; i++) {
            mr_params_int(&params, i, -1);
            mr_params_int(&params, i, i + 7);
        }
        assert_int_equal(mr_params_end(&params), MR_OK);
        if (mr_db_run(db, "wide", &params, soon(), &rows) != MR_OK)
            fail_test("%s", mr_db_last_error(db)->message);
        {
            int64_t expected = 0;

            for (int64_t i = 1; i <= counts[c]; i++)
                expected += i * (i + 6);
            assert_int_equal(mr_rows_int(rows, 0, 0, 0), expected);
        }
        mr_rows_free(&rows);
        mr_buf_fini(&text);
        mr_db_destroy(&db);
    }
    mr_params_fini(&params);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_types__columns_are_json),
        TEST(test_types__numerics_are_exact),
        TEST(test_types__numerics_are_what_the_server_writes),
        TEST(test_types__arrays_are_arrays),
        TEST(test_types__what_is_not_known_is_an_error),
        TEST(test_types__those_of_the_database_s_own),
        TEST(test_types__what_json_cannot_say_is_left_out),
        TEST(test_types__rows_without_ordinal_or_with_too_many_columns),
        TEST(test_types__fields_are_parameters),
        TEST(test_types__a_scalar_is_an_element),
        TEST(test_types__many_parameters),
    };

    return cmocka_run_group_tests(tests, database_server_start, database_server_stop);
}
