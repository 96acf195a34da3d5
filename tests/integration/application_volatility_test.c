/* Which queries may answer a batch at once: what the catalogue of a real server says of everything that they call and read. */
#include "application/volatility.h"

#include "application/sqlfiles.h"
#include "tests/support/database.h"
#include "tests/support/test.h"

static struct database *database;

static int setup(void **state)
{
    if (database_server_start(state) != 0)
        return 1;
    database = database_new_empty();
    sql_exec(database->db,
             "CREATE SEQUENCE ticket;"
             "CREATE TABLE item (id int, name text, tags text[], at timestamptz);"
             "CREATE FUNCTION draw() RETURNS bigint LANGUAGE sql AS $$ SELECT nextval('ticket') $$;"
             "CREATE FUNCTION calm(int) RETURNS int LANGUAGE sql STABLE AS $$ SELECT $1 $$;"
             "CREATE FUNCTION either(int) RETURNS int LANGUAGE sql STABLE AS $$ SELECT $1 $$;"
             "CREATE FUNCTION either(text) RETURNS int LANGUAGE sql VOLATILE AS $$ SELECT 1 $$;"
             "CREATE FUNCTION step(int, int) RETURNS int LANGUAGE sql VOLATILE AS $$ SELECT $2 $$;"
             "CREATE AGGREGATE last_of(int) (SFUNC = step, STYPE = int);"
             "CREATE OPERATOR <~~> (FUNCTION = step, LEFTARG = int, RIGHTARG = int);"
             "CREATE VIEW plain AS SELECT lower(name) AS name FROM item;"
             "CREATE VIEW drawing AS SELECT draw() AS number, name FROM plain;"
             "CREATE VIEW hidden_random AS SELECT random() AS r;"
             "CREATE VIEW deep AS SELECT * FROM (SELECT name FROM drawing) x;"
             "CREATE VIEW \"Odd \"\"name'\" AS SELECT 1 AS one;"
             "CREATE MATERIALIZED VIEW kept AS SELECT random() AS r;"
             "CREATE TABLE guarded (id int); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;"
             "CREATE POLICY calm ON guarded USING (id = current_setting('x.y')::int);"
             "CREATE TABLE lottery (id int); ALTER TABLE lottery ENABLE ROW LEVEL SECURITY;"
             "CREATE POLICY one ON lottery USING (true); CREATE POLICY two ON lottery USING (random() < 0.5);"
             "CREATE SCHEMA other; CREATE VIEW other.item AS SELECT draw() AS number;"
             "CREATE FUNCTION other.calm2() RETURNS int LANGUAGE sql STABLE AS $$ SELECT 1 $$;");
    return 0;
}

static int teardown(void **state)
{
    database_destroy(&database);
    return database_server_stop(state);
}

/* What is in the way of a query, NULL when nothing is; static storage. */
static const char *reason(const char *text)
{
    static char room[200];
    struct mr_application application = {.title = NULL};
    struct mr_problems problems = {0};
    struct mr_volatility volatility = {.arena = &application.arena};
    struct mr_buf file = {0};
    struct mr_sql sql;
    struct mr_objection why = {.text = NULL};

    mr_buf_printf(&file, "-- name: it\n%s", text);
    mr_cut_statements(&application, "it.sql", (struct mr_slice){file.data, file.len}, &problems);
    assert_int_equal(application.statement_count, 1);
    if (!mr_sql_read(&sql, &application.arena, &application.statements[0], &problems))
        fail_test("%s: %s", text, problems.items[0].text);
    assert_int_equal(sql.kind, MR_SQL_READ);
    mr_volatility_add(&volatility, &sql);
    if (mr_volatility_ask(&volatility, database->db, mr_mono_ms(&mr_system_clock) + 10000) != MR_OK)
        fail_test("%s: %s", text, mr_db_last_error(database->db)->message);
    if (mr_volatility_allows(&volatility, &sql, &why)) {
        assert_null(why.text);
        room[0] = '\0';
    } else {
        snprintf(room, sizeof room, "%s", why.text);
    }
    mr_buf_fini(&file);
    mr_problems_fini(&problems);
    mr_arena_fini(&application.arena);
    return room[0] != '\0' ? room : NULL;
}

static void assert_allowed(const char *text)
{
    const char *why = reason(text);

    if (why != NULL)
        fail_test("%s: %s", text, why);
}

static void assert_refused(const char *text, const char *expected)
{
    const char *why = reason(text);

    if (why == NULL || strcmp(why, expected) != 0)
        fail_test("%s: \"%s\", not \"%s\"", text, why != NULL ? why : "", expected);
}

static void test_volatility__allows_what_depends_on_the_snapshot_alone(void **state)
{
    (void)state;
    assert_allowed("SELECT 1");
    assert_allowed("SELECT count(*), max(id) + :n, now(), current_date, lower(name) FROM item WHERE id BETWEEN :a AND :b");
    assert_allowed("SELECT *, calm(:n), public.calm(id), pg_catalog.upper(name) FROM item, generate_series(1, :n) ORDER BY id");
    assert_allowed("SELECT name, rank() OVER (ORDER BY id), to_tsvector('simple', name) @@ plainto_tsquery(:q) FROM item");
    assert_allowed("SELECT extract(year FROM at), at AT TIME ZONE 'UTC', coalesce(name, 'x'), name LIKE :p ESCAPE '!' FROM item");
    assert_allowed("WITH x AS (SELECT id FROM item) SELECT * FROM x JOIN plain p ON true WHERE x.id = ANY (SELECT id FROM x)");
    assert_allowed("WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT sum(n) FROM t");
    assert_allowed("SELECT * FROM \"Odd \"\"name'\", kept, guarded, pg_catalog.pg_class, information_schema.schemata");
    assert_allowed("SELECT other.calm2() FROM public.item");
    assert_allowed("SELECT array_agg(name ORDER BY id), string_agg(name, :sep), json_build_object('a', id), max(id) FILTER (WHERE id > :a)"
                   " FROM item GROUP BY id");
}

static void test_volatility__refuses_what_may_differ_from_call_to_call(void **state)
{
    (void)state;
    assert_refused("SELECT nextval('ticket')", "nextval() is volatile");
    assert_refused("SELECT * FROM item WHERE id = (SELECT draw())", "draw() is volatile");
    assert_refused("SELECT id FROM item ORDER BY random() LIMIT 1", "random() is volatile");
    assert_refused("SELECT gen_random_uuid(), clock_timestamp()", "gen_random_uuid() is volatile");
    assert_refused("SELECT * FROM draw()", "draw() is volatile");
    assert_refused("SELECT CASE WHEN :a THEN 1 ELSE (WITH x AS (SELECT pg_sleep(0)) SELECT 1 FROM x) END", "pg_sleep() is volatile");
    assert_refused("SELECT set_config('search_path', :a, false)", "set_config() is volatile");
    assert_refused("SELECT either(1)", "either() is volatile");
    assert_refused("SELECT last_of(id) FROM item", "last_of() is volatile");
    assert_refused("SELECT id <~~> 1 FROM item", "the operator <~~> is volatile");
    assert_refused("SELECT id FROM item WHERE id OPERATOR(public.<~~>) ANY (SELECT 1)", "the operator <~~> is volatile");
}

static void test_volatility__looks_into_views_and_policies(void **state)
{
    (void)state;
    assert_refused("SELECT * FROM drawing", "draw() is volatile");
    assert_refused("SELECT * FROM deep", "draw() is volatile");
    assert_refused("SELECT (SELECT count(*) FROM item i WHERE EXISTS (SELECT FROM hidden_random))", "random() is volatile");
    assert_refused("SELECT * FROM lottery", "random() is volatile");
    assert_refused("SELECT * FROM item, other.item AS o", "draw() is volatile");
    /* A list that has the name of a view: in doubt it is the view. */
    assert_refused("WITH drawing AS (SELECT * FROM drawing) SELECT * FROM drawing", "draw() is volatile");
}

static void test_volatility__refuses_what_it_does_not_know(void **state)
{
    (void)state;
    assert_refused("SELECT nothing_of_the_kind(1)", "there is no function nothing_of_the_kind()");
    assert_refused("SELECT other.draw()", "there is no function draw()");
    assert_refused("SELECT * FROM nowhere", "there is no relation nowhere");
    assert_refused("WITH x AS (SELECT 1) SELECT * FROM other.x", "there is no relation x");
    assert_refused("SELECT \"it's\"()", "there is no function it's()");
}

/* In the middle of the batch's statement such an aggregate would be one over the batch. */
static void test_volatility__refuses_aggregates_of_parameters_alone(void **state)
{
    (void)state;
    assert_refused("SELECT max(:a) FROM item", "max() is an aggregate of parameters alone");
    assert_refused("SELECT count(*) FILTER (WHERE :a) FROM item", "count() is an aggregate of parameters alone");
    assert_refused("SELECT sum((SELECT id FROM item LIMIT :a)) FROM item", "sum() is an aggregate of parameters alone");
    assert_allowed("SELECT upper(:a), max(id + :b) FROM item");
}

/* A cast is nowhere in a query's text, so one of the database's is one too many. */
static void test_volatility__refuses_all_where_a_cast_is_volatile(void **state)
{
    (void)state;
    sql_exec(database->db, "CREATE TYPE pair AS (a int, b int);"
                           "CREATE FUNCTION to_pair(int) RETURNS pair LANGUAGE sql VOLATILE AS $$ SELECT ROW($1, 1)::pair $$;"
                           "CREATE CAST (int AS pair) WITH FUNCTION to_pair(int)");
    assert_refused("SELECT 1", "the function of a cast is volatile");
    sql_exec(database->db, "DROP CAST (int AS pair)");
    assert_allowed("SELECT 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_volatility__allows_what_depends_on_the_snapshot_alone),
        cmocka_unit_test(test_volatility__refuses_what_may_differ_from_call_to_call),
        cmocka_unit_test(test_volatility__looks_into_views_and_policies),
        cmocka_unit_test(test_volatility__refuses_what_it_does_not_know),
        cmocka_unit_test(test_volatility__refuses_aggregates_of_parameters_alone),
        cmocka_unit_test(test_volatility__refuses_all_where_a_cast_is_volatile),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
