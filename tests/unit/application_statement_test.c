/* Statements: which colons are parameters, what is refused and where, and what a statement is found to be. */
#include "application/statement.h"

#include "application/parse.h"
#include "application/sqlfiles.h"
#include "proto/buffer.h"
#include "tests/support/test.h"

struct reading {
    struct mr_application application;
    struct mr_problems problems;
    struct mr_sql sql;
    bool good;
};

/* The statement of a file that has only it; its SQL begins in the second line. */
static void read_sql(struct reading *self, const char *text)
{
    struct mr_buf file = {0};

    *self = (struct reading){.good = false};
    mr_buf_printf(&file, "-- name: it\n%s", text);
    mr_cut_statements(&self->application, "queries/it.sql", (struct mr_slice){file.data, file.len}, &self->problems);
    if (self->problems.found == 0 && self->application.statement_count == 1)
        self->good = mr_sql_read(&self->sql, &self->application.arena, &self->application.statements[0], &self->problems);
    mr_buf_fini(&file);
    assert_false(self->application.arena.failed);
    assert_int_equal(self->good, self->problems.found == 0);
}

static void forget(struct reading *self)
{
    mr_problems_fini(&self->problems);
    mr_arena_fini(&self->application.arena);
}

static void write_mark(struct mr_buf *out, const char *name, void *argument)
{
    (void)argument;
    mr_buf_printf(out, "<%s>", name);
}

/* The SQL with each parameter as <name>. */
static void assert_parameters(const char *text, const char *expected)
{
    struct reading reading;
    struct mr_buf out = {0};

    read_sql(&reading, text);
    if (!reading.good) {
        mr_problems_print(&reading.problems, &out);
        fail_test("%s\n%.*s", text, (int)out.len, out.data);
    }
    mr_sql_write(&reading.sql, 0, strlen(reading.sql.text), &out, write_mark, NULL);
    if (!mr_slice_is(buf_slice(&out), expected))
        fail_test("%s\n  became  %.*s\n  and not %s", text, (int)out.len, out.data, expected);
    mr_buf_fini(&out);
    forget(&reading);
}

static void assert_told(const char *text, const char *expected)
{
    struct reading reading;
    struct mr_buf out = {0};

    read_sql(&reading, text);
    mr_problems_print(&reading.problems, &out);
    if (!mr_slice_is(buf_slice(&out), expected))
        fail_test("%s\n  was told %.*s\n  and not  %s", text, (int)out.len, out.len > 0 ? out.data : "", expected);
    mr_buf_fini(&out);
    forget(&reading);
}

static void test_parameters__are_what_the_scanner_sees(void **state)
{
    (void)state;
    assert_parameters("SELECT :a, :b_2 , :camelCase", "SELECT <a>, <b_2> , <camelCase>");
    assert_parameters("SELECT :a::int, (:b)::text[], a.b::text", "SELECT <a>::int, (<b>)::text[], a.b::text");
    assert_parameters("SELECT 1 WHERE x=:a AND y<>:b OR z>=:c", "SELECT 1 WHERE x=<a> AND y<><b> OR z>=<c>");
    /* Words of SQL are names as well. */
    assert_parameters("SELECT :select, :user, :limit, :from, :null", "SELECT <select>, <user>, <limit>, <from>, <null>");
    assert_parameters("SELECT 1 LIMIT :limit OFFSET :offset", "SELECT 1 LIMIT <limit> OFFSET <offset>");
    assert_parameters("SELECT $$ :a $$, $x$ :b $$ :c $x$, :d", "SELECT $$ :a $$, $x$ :b $$ :c $x$, <d>");
    assert_parameters("SELECT ':a', 'it''s :b', E'\\':c', e'\\\\', :d", "SELECT ':a', 'it''s :b', E'\\':c', e'\\\\', <d>");
    assert_parameters("SELECT U&'\\0041 :a', U&'!0041' UESCAPE '!', B'01', X'1f', N':a', :d",
                      "SELECT U&'\\0041 :a', U&'!0041' UESCAPE '!', B'01', X'1f', N':a', <d>");
    assert_parameters("SELECT 'a'\n ':b', :c", "SELECT 'a'\n ':b', <c>");
    assert_parameters("SELECT \":a\", \"x\"\":b\", t.\"c:d\", :e FROM t", "SELECT \":a\", \"x\"\":b\", t.\"c:d\", <e> FROM t");
    assert_parameters("SELECT 1 -- :a '\n, :b /* :c /* :d */ ' :e */, :f", "SELECT 1 -- :a '\n, <b> /* :c /* :d */ ' :e */, <f>");
    assert_parameters("SELECT f(x => :a, y := :b, z=>:c, w:=:d)", "SELECT f(x => <a>, y := <b>, z=><c>, w:=<d>)");
    assert_parameters("SELECT d ? :a, d ?| :b, d ?& array[:c], d -> :e ->> :f, d @> :g, d #>> '{a,:b}' FROM t",
                      "SELECT d ? <a>, d ?| <b>, d ?& array[<c>], d -> <e> ->> <f>, d @> <g>, d #>> '{a,:b}' FROM t");
    assert_parameters("SELECT d @? '$.a[*] ? (@.b == 1)', d->'k'->:n, d @@ :p FROM t",
                      "SELECT d @? '$.a[*] ? (@.b == 1)', d->'k'-><n>, d @@ <p> FROM t");
    assert_parameters("SELECT -:a, +:b, !!:c, 2*:d, :e||:f", "SELECT -<a>, +<b>, !!<c>, 2*<d>, <e>||<f>");
    assert_parameters("SELECT 'ü', :a, 'ß€😀', :b", "SELECT 'ü', <a>, 'ß€😀', <b>");
    assert_parameters("SELECT CASE WHEN :a THEN :b ELSE :c END, :d IN (:e,:f), ROW(:g)",
                      "SELECT CASE WHEN <a> THEN <b> ELSE <c> END, <d> IN (<e>,<f>), ROW(<g>)");
    assert_parameters("CALL pay(:a, :b)", "CALL pay(<a>, <b>)");
    assert_parameters("SELECT 1 WHERE t = ANY(:tags)", "SELECT 1 WHERE t = ANY(<tags>)");
    assert_parameters("VALUES (:a, :b), (:a, :c)", "VALUES (<a>, <b>), (<a>, <c>)");
}

static void test_parameters__are_not_the_bounds_of_a_slice(void **state)
{
    (void)state;
    assert_parameters("SELECT a[1:2], a[lo:hi], a[:n], a[1: :n], a[:m: :n] FROM t",
                      "SELECT a[1:2], a[lo:hi], a[<n>], a[1: <n>], a[<m>: <n>] FROM t");
    assert_parameters("SELECT a[f(x):hi], a[b[1]:hi], a[(:x):hi], a[:lo:hi], a[\"lo\":hi], a[$$1$$::int:hi] FROM t",
                      "SELECT a[f(x):hi], a[b[1]:hi], a[(<x>):hi], a[<lo>:hi], a[\"lo\":hi], a[$$1$$::int:hi] FROM t");
    assert_parameters("SELECT a[CASE WHEN :x THEN :y ELSE :z END:hi] FROM t",
                      "SELECT a[CASE WHEN <x> THEN <y> ELSE <z> END:hi] FROM t");
    assert_parameters("SELECT array[:a,:b], array[[:a],[:b]], a[f(:a):hi], a[x - :y:hi] FROM t",
                      "SELECT array[<a>,<b>], array[[<a>],[<b>]], a[f(<a>):hi], a[x - <y>:hi] FROM t");
    assert_parameters("SELECT a[: n], a[:], a[2:] FROM t", "SELECT a[: n], a[:], a[2:] FROM t");
}

static void test_text__ends_at_its_semicolon(void **state)
{
    (void)state;
    assert_parameters("SELECT ';' -- ;\n, :a; -- and that is all; really\n", "SELECT ';' -- ;\n, <a>");
    assert_parameters("SELECT :a;;\n", "SELECT <a>");
    assert_parameters("SELECT :a -- last", "SELECT <a>");
}

static void test_statement__that_is_refused_says_where(void **state)
{
    (void)state;
    assert_told("SELECT 1 fro t", "queries/it.sql:2:14: syntax error at or near \"t\", expected SQL as PostgreSQL 15 reads it\n");
    assert_told("SELECT 'ü',\n  'ß' :a", "queries/it.sql:3:7: syntax error at or near \":a\", expected SQL as PostgreSQL 15 reads it\n");
    assert_told("\n\n  SELECT ~ 'abc", "queries/it.sql:4:12: unterminated quoted string at or near \"'abc\", expected SQL as PostgreSQL 15 reads it\n");
    assert_told("SELECT 'a\n\tb", "queries/it.sql:2:8: unterminated quoted string at or near \"'a  b\", expected SQL as PostgreSQL 15 reads it\n");
    assert_told("SELECT", "");
    assert_told("SELECT (", "queries/it.sql:2:9: syntax error at end of input, expected SQL as PostgreSQL 15 reads it\n");
    assert_told("/* nothing */", "queries/it.sql:2:1: nothing but comments, expected a statement\n");
    assert_told("SELECT 1;\nSELECT 2", "queries/it.sql:3:1: a second statement, expected one\n");
    assert_told("SELECT 1; COMMIT;", "queries/it.sql:2:11: a second statement, expected one\n");
    assert_told("SELECT :a, $1", "queries/it.sql:2:12: a numbered parameter, expected the name of a field behind a colon\n");
    assert_told("SELECT n:a FROM t", "queries/it.sql:2:9: a parameter right behind a word, expected a space between them\n");
    assert_told("SELECT 1 LIMIT:a", "queries/it.sql:2:15: a parameter right behind a word, expected a space between them\n");
    assert_told("SELECT :a$b", "queries/it.sql:2:8: syntax error at or near \":\", expected SQL as PostgreSQL 15 reads it\n");
    assert_told("SELECT :\"a\"", "queries/it.sql:2:8: syntax error at or near \":\", expected SQL as PostgreSQL 15 reads it\n");
    assert_told("SELECT : a", "queries/it.sql:2:8: syntax error at or near \":\", expected SQL as PostgreSQL 15 reads it\n");
    assert_told("SELECT 1 INTO t", "queries/it.sql:2:1: SELECT INTO makes a table, expected a statement that answers or INSERT\n");
}

static void test_statement__of_another_kind_is_refused(void **state)
{
    static const char *const texts[][2] = {
        {"BEGIN", "Transaction"},           {"COMMIT", "Transaction"},
        {"ROLLBACK TO s", "Transaction"},   {"PREPARE TRANSACTION 'a'", "Transaction"},
        {"COPY t FROM STDIN", "Copy"},      {"COPY (SELECT 1) TO PROGRAM 'x'", "Copy"},
        {"SET search_path = x", "VariableSet"}, {"RESET ALL", "VariableSet"},
        {"LOCK TABLE t", "Lock"},           {"TRUNCATE t", "Truncate"},
        {"DO $$ BEGIN END $$", "Do"},       {"LISTEN x", "Listen"},
        {"DROP TABLE t", "Drop"},           {"CREATE TABLE t (x int)", "Create"},
        {"CREATE TABLE t AS SELECT 1", "CreateTableAs"}, {"EXPLAIN SELECT 1", "Explain"},
        {"PREPARE x AS SELECT 1", "Prepare"}, {"DISCARD ALL", "Discard"},
        {"DECLARE c CURSOR FOR SELECT 1", "DeclareCursor"}, {"GRANT x TO y", "GrantRole"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char expected[256];

        snprintf(expected, sizeof expected,
                 "queries/it.sql:2:1: a statement of the kind %s, expected SELECT, VALUES, INSERT, UPDATE, DELETE, MERGE or CALL\n",
                 texts[i][1]);
        assert_told(texts[i][0], expected);
    }
}

static void test_names__of_the_engine_are_refused(void **state)
{
    static const char told[] = "names in quotation marks that begin with $ are the engine's, expected another\n";
    char expected[256];

    (void)state;
    snprintf(expected, sizeof expected, "queries/it.sql:2:17: %s", told);
    assert_told("SELECT * FROM t \"$k\"", expected);
    snprintf(expected, sizeof expected, "queries/it.sql:2:13: %s", told);
    assert_told("SELECT 1 AS \"$n\"", expected);
    assert_told("SELECT 1 AS U&\"\\0024n\"", "queries/it.sql:2:13: an escaped name, expected it in plain UTF-8\n");
    assert_told("SELECT 404 AS \"$status\", 'x' AS \"$field\", 'y' AS \"$message\"", "");
    assert_told("WITH k AS ({{k}}) SELECT k.\"$n\" FROM k", "");
}

static enum mr_sql_kind kind_of(const char *text)
{
    struct reading reading;
    enum mr_sql_kind kind;

    read_sql(&reading, text);
    if (!reading.good)
        fail_test("refused: %s", text);
    kind = reading.sql.kind;
    forget(&reading);
    return kind;
}

static void test_kind__is_found(void **state)
{
    (void)state;
    assert_int_equal(kind_of("SELECT 1"), MR_SQL_READ);
    assert_int_equal(kind_of("VALUES (1)"), MR_SQL_READ);
    assert_int_equal(kind_of("TABLE t"), MR_SQL_READ);
    assert_int_equal(kind_of("(SELECT 1 UNION SELECT 2) ORDER BY 1"), MR_SQL_READ);
    assert_int_equal(kind_of("WITH x AS (SELECT 1) SELECT * FROM x"), MR_SQL_READ);
    assert_int_equal(kind_of("SELECT 'FOR UPDATE', \"insert\" FROM \"delete\" -- FOR UPDATE"), MR_SQL_READ);
    assert_int_equal(kind_of("INSERT INTO t VALUES (:a)"), MR_SQL_CHANGE);
    assert_int_equal(kind_of("UPDATE t SET x = 1"), MR_SQL_CHANGE);
    assert_int_equal(kind_of("DELETE FROM t RETURNING *"), MR_SQL_CHANGE);
    assert_int_equal(kind_of("MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE"), MR_SQL_CHANGE);
    assert_int_equal(kind_of("WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x"), MR_SQL_CHANGE);
    assert_int_equal(kind_of("SELECT * FROM t FOR UPDATE"), MR_SQL_CHANGE);
    assert_int_equal(kind_of("SELECT * FROM (SELECT * FROM t FOR KEY SHARE) u"), MR_SQL_CHANGE);
    assert_int_equal(kind_of("SELECT (SELECT x FROM t FOR NO KEY UPDATE)"), MR_SQL_CHANGE);
    assert_int_equal(kind_of("SELECT * FROM t TABLESAMPLE SYSTEM (1)"), MR_SQL_CHANGE);
    assert_int_equal(kind_of("CALL p()"), MR_SQL_CALL);
}

static void test_rows__make_a_statement_set_wise(void **state)
{
    static const char told[] = "{{k}} in the middle, expected a statement that begins with WITH k AS ({{k}})\n";
    char expected[256];

    (void)state;
    assert_int_equal(kind_of("-- as\nWITH k AS ({{k}}) SELECT k.\"$n\" FROM k"), MR_SQL_SET_WISE);
    assert_int_equal(kind_of("with recursive \"k\" as not materialized ( {{k}} ), x AS (DELETE FROM t) SELECT 1"), MR_SQL_SET_WISE);
    assert_int_equal(kind_of("SELECT '{{k}}' -- {{k}}"), MR_SQL_READ);
    assert_parameters("SELECT '{{k}}', :a", "SELECT '{{k}}', <a>");
    snprintf(expected, sizeof expected, "queries/it.sql:2:29: %s", told);
    assert_told("WITH j AS (SELECT 1), k AS ({{k}}) SELECT 1", expected);
    snprintf(expected, sizeof expected, "queries/it.sql:2:12: %s", told);
    assert_told("WITH j AS ({{k}}) SELECT 1", expected);
    assert_told("WITH k AS ({{k}}) SELECT :a, k.\"$n\" FROM k",
                "queries/it.sql:2:26: a parameter in a set-wise statement, expected its field as a column of k\n");
    assert_told("WITH k AS ({{k}}) SELECT 1 fro t",
                "queries/it.sql:2:32: syntax error at or near \"t\", expected SQL as PostgreSQL 15 reads it\n");
    assert_told("WITH k AS ({{k}}), j AS ({{k}}) SELECT 1",
                "queries/it.sql:2:26: syntax error at or near \"{\", expected SQL as PostgreSQL 15 reads it\n");
}

static const char *name_list(const struct mr_sql_names *names)
{
    static char room[512];
    size_t at = 0;

    room[0] = '\0';
    for (unsigned i = 0; i < names->count; i++)
        at += (size_t)snprintf(room + at, sizeof room - at, "%s%s%s%s%s", i > 0 ? " " : "",
                               names->items[i].schema != NULL ? names->items[i].schema : "",
                               names->items[i].schema != NULL ? "." : "", names->items[i].name,
                               names->items[i].of_parameters ? "!" : "");
    return room;
}

static void test_names__are_collected(void **state)
{
    struct reading reading;

    (void)state;
    read_sql(&reading, "WITH a AS (SELECT lower(x) FROM b.c) SELECT pg_catalog.now() AS at, x, t.y, 1, max(:p), *, max(x + :p) AS \"$status\""
                       " FROM a, d JOIN LATERAL gen(1) ON true WHERE x <-> y OPERATOR(s.+) 1 = ANY (SELECT z FROM \"E\") AND x LIKE 'a'"
                       " ORDER BY x USING <~");
    assert_true(reading.good);
    assert_string_equal(name_list(&reading.sql.functions), "pg_catalog.now max! gen lower");
    assert_string_equal(name_list(&reading.sql.relations), "a d E b.c");
    assert_string_equal(name_list(&reading.sql.parts), "a");
    assert_string_equal(name_list(&reading.sql.operators), "+ = s.+ <-> ~~ <~");
    assert_string_equal(name_list(&reading.sql.columns), "at x y $status");
    forget(&reading);
}

static size_t main_of(const char *text)
{
    struct reading reading;
    size_t at;

    read_sql(&reading, text);
    assert_true(reading.good);
    assert_true(reading.sql.has_with);
    at = reading.sql.main_at;
    forget(&reading);
    return at;
}

static void test_main__is_found_behind_a_list(void **state)
{
    static const char *const texts[] = {
        "WITH a AS (SELECT 1) |SELECT * FROM a",
        "WITH RECURSIVE a(n) AS (SELECT 1 UNION ALL SELECT n FROM a), b AS MATERIALIZED (SELECT 2) |INSERT INTO t SELECT 1",
        "WITH update AS (SELECT 1), values(insert) AS (SELECT 2)|UPDATE t SET x = 1",
        "WITH a AS (SELECT ')') |(SELECT 1)",
        "WITH a AS (SELECT 1) |VALUES (1)",
        "WITH RECURSIVE a(x) AS (SELECT 1 UNION ALL SELECT x FROM a) SEARCH DEPTH FIRST BY x SET y |SELECT * FROM a",
        "WITH a AS (DELETE FROM t) |MERGE INTO t USING a ON true WHEN MATCHED THEN DELETE",
        "WITH a AS (SELECT 1) |TABLE a",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        size_t mark = (size_t)(strchr(texts[i], '|') - texts[i]);
        char text[256];

        snprintf(text, sizeof text, "%.*s%s", (int)mark, texts[i], texts[i] + mark + 1);
        assert_int_equal(main_of(text), mark);
    }
}

/* The parser descends on the stack: what could exhaust it is refused, whatever it is. */
static void test_statement__that_is_very_deep_or_long_is_refused(void **state)
{
    static const char *const parts[][2] = {{"(", ")"}, {"1+", ""}, {"NOT ", ""}, {"- ", ""}, {"CASE WHEN ", " THEN 1 END"}, {"ARRAY[", "]"}};

    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct mr_buf text = {0};
        struct reading reading;
        size_t times = (MR_PARSE_BYTES - 20) / (strlen(parts[i][0]) + strlen(parts[i][1]));

        mr_buf_text(&text, "SELECT ");
        for (size_t j = 0; j < times; j++)
            mr_buf_text(&text, parts[i][0]);
        mr_buf_text(&text, "1");
        for (size_t j = 0; j < times; j++)
            mr_buf_text(&text, parts[i][1]);
        mr_buf_char(&text, '\0');
        read_sql(&reading, text.data);
        assert_int_equal(reading.problems.found, 1);
        forget(&reading);
        mr_buf_clear(&text, 0);
        mr_buf_fini(&text);
    }
}

static void test_statement__that_is_too_long_is_refused(void **state)
{
    char *text = malloc(MR_PARSE_BYTES + 10);

    (void)state;
    memset(text, ' ', MR_PARSE_BYTES + 9);
    memcpy(text, "SELECT", 6);
    memcpy(text + MR_PARSE_BYTES, "1\0", 2);
    assert_told(text, "queries/it.sql:2:1: the statement is too long, expected SQL as PostgreSQL 15 reads it\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parameters__are_what_the_scanner_sees),
        cmocka_unit_test(test_parameters__are_not_the_bounds_of_a_slice),
        cmocka_unit_test(test_text__ends_at_its_semicolon),
        cmocka_unit_test(test_statement__that_is_refused_says_where),
        cmocka_unit_test(test_statement__of_another_kind_is_refused),
        cmocka_unit_test(test_names__of_the_engine_are_refused),
        cmocka_unit_test(test_kind__is_found),
        cmocka_unit_test(test_rows__make_a_statement_set_wise),
        cmocka_unit_test(test_names__are_collected),
        cmocka_unit_test(test_main__is_found_behind_a_list),
        cmocka_unit_test(test_statement__that_is_very_deep_or_long_is_refused),
        cmocka_unit_test(test_statement__that_is_too_long_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
