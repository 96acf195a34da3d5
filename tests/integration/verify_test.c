/*
 * An application held against a database: what fits, what does not and what is said of it, and where.
 */
#include "application/verify.h"

#include "application/build.h"
#include "tests/support/database.h"
#include "tests/support/folder.h"
#include "tests/support/test.h"

static struct database *database;
static struct folder folder;
static struct mr_problems problems;

static int setup(void **state)
{
    (void)state;
    problems = (struct mr_problems){0};
    folder_make(&folder);
    database = database_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mr_problems_fini(&problems);
    database_destroy(&database);
    folder_remove(&folder);
    return 0;
}

static bool never(void *argument)
{
    (void)argument;
    return false;
}

static mr_status verify(const char *path, bool (*is_over)(void *))
{
    struct mr_application *application = folder_load(path, &problems);
    struct mr_verify_options options = {.db = database->db, .is_over = is_over};
    struct mr_built *built = NULL;
    mr_status status = MR_OK;

    if (problems.found == 0)
        status = mr_application_build(&built, application, &problems);
    assert_true(status == MR_OK || status == MR_INVALID);
    options.built = built;
    status = mr_verify(application, &options, &problems);
    mr_built_destroy(&built);
    mr_application_destroy(&application);
    return status;
}

/* Whether exactly these problems are found; says which are if not. */
static bool finds(const char *path, const char *expected)
{
    struct mr_buf told = {0};
    mr_status status = verify(path, never);
    bool good;

    mr_problems_print(&problems, &told);
    good = status == MR_OK && mr_slice_is(buf_slice(&told), expected);
    if (!good)
        print_error("%s: %s\n%.*sand not\n%s", mr_status_name(status), mr_db_last_error(database->db)->message, (int)told.len,
                    told.len > 0 ? told.data : "", expected);
    mr_buf_fini(&told);
    mr_problems_fini(&problems);
    return good;
}

#define STANDARD                                                                                    \
    "id uuid PRIMARY KEY, version bigint NOT NULL DEFAULT 1,"                                       \
    " created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()"

/* ---- Whole folders ---- */

static void test_verify__the_folders_are_good(void **state)
{
    (void)state;
    assert_true(finds(MR_SOURCE_DIR "/tests/data/applications/shop", ""));
    sql_exec(database->db, "DROP TABLE product, category, basket, purchase, purchase_line, supply CASCADE");
    assert_true(finds(MR_SOURCE_DIR "/tests/data/applications/library", ""));
    sql_exec(database->db, "DROP TABLE book, shelf, vault, loan, remark, complaint, seal");
    assert_true(finds(MR_SOURCE_DIR "/examples/shop", ""));
}

static void test_verify__the_tasks_are_good(void **state)
{
    (void)state;
    sql_exec(database->db, "DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    assert_true(finds(MR_SOURCE_DIR "/apps/tasks", ""));
}

static void test_verify__every_mistake_is_told_at_once(void **state)
{
    struct mr_buf expected = {0};

    (void)state;
    read_file(MR_SOURCE_DIR "/tests/data/mistakes/problems.txt", &expected);
    mr_buf_char(&expected, '\0');
    assert_true(finds(MR_SOURCE_DIR "/tests/data/mistakes", expected.data));
    mr_buf_fini(&expected);
}

/* ---- Migrations ---- */

static const struct broken {
    const char *sql;
    const char *problems;
} broken[] = {
    {"CREATE TABLE a (x text);\n-- \xc3\xa4\nCREATE TABLE b (\n    name \xc3\xa4\xc3\xb6, y txet\n);\n",
     "migrations/0001_first.sql:4:10: type \"\xc3\xa4\xc3\xb6\" does not exist (SQLSTATE 42704), expected SQL that runs\n"},
    {"SELECT 1;\r\n\tSELEC 2;\r\n",
     "migrations/0001_first.sql:2:2: syntax error at or near \"SELEC\" (SQLSTATE 42601), expected SQL that runs\n"},
    /* what fails while it runs has no position, but statements are counted */
    {"CREATE TABLE a (x int); -- ;\n;;\n/* ; */ SELECT ';', $$;$$;\nCREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE"
     " WHEN true THEN 2 END; END;\nCREATE RULE r AS ON INSERT TO a DO (SELECT 1; SELECT 2);\n  CREATE TABLE a (y int);\n",
     "migrations/0001_first.sql:6:3: relation \"a\" already exists (SQLSTATE 42P07), expected SQL that runs\n"},
    {"SELECT 1;\nDO $$ BEGIN\n  PERFORM 1;\n  RAISE 'no';\nEND $$;\n",
     "migrations/0001_first.sql:2:1: no (SQLSTATE P0001), expected SQL that runs\n"},
    /* said by the COMMIT */
    {"CREATE TABLE a (x int PRIMARY KEY); CREATE TABLE b (x int REFERENCES a DEFERRABLE INITIALLY DEFERRED);\n"
     "INSERT INTO b VALUES (1);\n",
     "migrations/0001_first.sql: insert or update on table \"b\" violates foreign key constraint \"b_x_fkey\" (SQLSTATE 23503),"
     " expected SQL that runs\n"},
    /* which the connection takes for a sign that it is of no use any more */
    {"SELECT 1;\nCREATE TABLE a (x text) PARTITION BY HASH (x);\nALTER TABLE a ADD CONSTRAINT c EXCLUDE (x WITH =);\n",
     "migrations/0001_first.sql:3:19: exclusion constraints are not supported on partitioned tables (SQLSTATE 0A000), expected SQL"
     " that runs\n"},
    {"CREATE INDEX CONCURRENTLY ON millrace.app_user (id);",
     "migrations/0001_first.sql:1:1: CREATE INDEX CONCURRENTLY cannot run inside a transaction block (SQLSTATE 25001), expected SQL"
     " that runs\n"},
};

static void test_verify__a_broken_migration_has_its_place(void **state)
{
    (void)state;
    folder_write(&folder, "resources/thing.yaml", "path: /v1/things\nfields: {name: {type: text}}\n");
    folder_write(&folder, "migrations/0002_second.sql", "SELECT nothing;");
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        folder_write(&folder, "migrations/0001_first.sql", broken[i].sql);
        assert_int_equal(mr_db_reconnect(database->db), MR_OK);
        assert_true(finds(folder.path, broken[i].problems));
    }
}

/* Where a migration is missing, what the others leave behind says nothing. */
static void test_verify__a_gap_in_the_migrations_is_all_that_is_told(void **state)
{
    (void)state;
    folder_write(&folder, "resources/thing.yaml", "path: /v1/things\nfields: {name: {type: text}}\n");
    folder_write(&folder, "migrations/0002_second.sql", "SELECT nothing;");
    assert_true(finds(folder.path, "migrations/0002_second.sql: a gap in front of the number 0002, expected 0001\n"));
}

/* Once before the first step, and then while the migration is at work. */
static unsigned asked;

static bool later(void *argument)
{
    (void)argument;
    return ++asked > 2;
}

static void test_verify__a_migration_at_work_is_cancelled(void **state)
{
    (void)state;
    asked = 0;
    folder_write(&folder, "migrations/0001_first.sql", "SELECT pg_sleep(3600);");
    assert_int_equal(verify(folder.path, later), MR_TIMEOUT);
    assert_string_equal(mr_db_last_error(database->db)->sqlstate, "57014");
    assert_int_equal(problems.found, 0);
}

static bool at_once(void *argument)
{
    (void)argument;
    return true;
}

static void test_verify__nothing_begins_once_it_is_over(void **state)
{
    (void)state;
    folder_write(&folder, "migrations/0001_first.sql", "CREATE TABLE thing (x int);");
    assert_int_equal(verify(folder.path, at_once), MR_TIMEOUT);
    assert_string_equal(sql_text(database->db, "SELECT to_regclass('thing')"), "");
}

static void test_verify__a_server_that_goes_is_no_problem_of_the_application(void **state)
{
    (void)state;
    folder_write(&folder, "migrations/0001_first.sql", "SELECT pg_terminate_backend(pg_backend_pid());");
    assert_int_not_equal(verify(folder.path, never), MR_OK);
    assert_int_equal(problems.found, 0);
}

/* ---- What an index serves ---- */

#define NO_ORDER(name, columns) "resources/thing.yaml:5:10: no index serves the order by " name ", expected CREATE INDEX ON thing (" columns ")\n"
#define NO_FILTER(name, columns) "resources/thing.yaml:6:15: no index serves the filter " name ", expected CREATE INDEX ON thing (" columns ")\n"
#define A_FILTER(text)  "list:\n  sort: [id]\n  filter: {" text "}\n"
#define A_SORT(text)    "list:\n  sort: [" text "]\n"

#define SIGNS "'!\"#$%&''()*+,-./:;<=>?@[\\]^_`{|}~'"
#define WORDS(text) "to_tsvector('simple', translate(" text ", " SIGNS ", repeat(' ', 32)))"
#define NO_SEARCH(text, owner) "resources/thing.yaml:4:17: no index serves the search q, expected CREATE INDEX ON thing USING gin ((" WORDS(text) owner "))\n"

static const struct index {
    const char *sql;
    const char *list; /* from the fourth line on */
    const char *problems;
} indexes[] = {
    {"", A_SORT("id"), ""},
    {"", A_SORT("-id"), ""},
    {"", A_SORT("a"), NO_ORDER("a", "a, id")},
    {"CREATE INDEX ON thing (a)", A_SORT("a"), NO_ORDER("a", "a, id")},
    {"CREATE UNIQUE INDEX ON thing (a)", A_SORT("a"), NO_ORDER("a", "a, id")}, /* many rows may have none */
    {"ALTER TABLE thing ALTER a SET NOT NULL; CREATE UNIQUE INDEX ON thing (a)", A_SORT("a"), ""},
    {"", "list: {search: [a]}\n", "resources/thing.yaml:4:7: no index serves the order by createdAt, expected CREATE INDEX ON thing (created_at, id)\n" NO_SEARCH("coalesce(\"a\", '')", "")},
    {"CREATE INDEX ON thing (created_at, id); CREATE INDEX ON thing USING gin ((" WORDS("coalesce(a, '')") "))", "list: {search: [a]}\n", ""},
    {"CREATE INDEX ON thing (created_at, id); CREATE INDEX ON thing USING gin (to_tsvector('simple', coalesce(a, '')))", "list: {search: [a]}\n", NO_SEARCH("coalesce(\"a\", '')", "")},
    {"CREATE INDEX ON thing (a, id)", A_SORT("a"), ""},
    {"CREATE INDEX ON thing (a, id)", A_SORT("-a"), ""},
    {"CREATE INDEX ON thing (a DESC, id DESC)", A_SORT("a"), ""},
    {"CREATE INDEX ON thing (a, id) INCLUDE (b)", A_SORT("a"), ""},
    {"CREATE INDEX ON thing (a, id, b)", A_SORT("a"), ""},
    {"CREATE INDEX ON thing (b, a, id)", A_SORT("a"), NO_ORDER("a", "a, id")},
    {"CREATE INDEX ON thing (a DESC, id)", A_SORT("a"), NO_ORDER("a", "a, id")},
    {"CREATE INDEX ON thing (a NULLS FIRST, id)", A_SORT("a"), NO_ORDER("a", "a, id")},
    {"CREATE INDEX ON thing (a text_pattern_ops, id)", A_SORT("a"), NO_ORDER("a", "a, id")},
    {"CREATE INDEX ON thing (a COLLATE \"C\", id)", A_SORT("a"), NO_ORDER("a", "a, id")},
    {"CREATE INDEX ON thing (a, id) WHERE b > 0", A_SORT("a"), NO_ORDER("a", "a, id")},
    {"CREATE INDEX ON thing (a, id) WHERE a IS NOT NULL", A_SORT("a"), NO_ORDER("a", "a, id")}, /* rows without an a come last */
    {"CREATE INDEX ON thing (a, id) WHERE a IS NOT NULL; CREATE INDEX ON thing (a, id) WHERE a IS NULL", A_SORT("a"), ""},
    {"ALTER TABLE thing ALTER a SET NOT NULL; CREATE INDEX ON thing (a, id) WHERE a IS NOT NULL", A_SORT("a"), ""},
    {"CREATE INDEX ON thing (lower(a), id)", A_SORT("a"), NO_ORDER("a", "a, id")},
    {"CREATE INDEX ON thing (created_at, id)", A_SORT("-createdAt"), ""},
    {"", A_SORT("updatedAt"), NO_ORDER("updatedAt", "updated_at, id")},
    {"", A_FILTER("b: '='"), NO_FILTER("b", "b, id")},
    {"CREATE INDEX ON thing (b)", A_FILTER("b: '='"), ""},
    {"CREATE INDEX ON thing USING hash (b)", A_FILTER("b: '='"), ""},
    {"CREATE INDEX ON thing USING hash (b)", A_FILTER("b: '>'"), NO_FILTER("b", "b, id")},
    {"CREATE INDEX ON thing (b)", A_FILTER("b: '>='"), ""},
    {"CREATE INDEX ON thing (a, b)", A_FILTER("b: '='"), NO_FILTER("b", "b, id")},
    {"CREATE INDEX ON thing (a, b); CREATE INDEX ON thing (b)", A_FILTER("b: '='"), ""},
    {"CREATE INDEX ON thing (b) WHERE a = 'x'", A_FILTER("b: '='"), NO_FILTER("b", "b, id")},
    {"", A_FILTER("b: '!='"), ""},
};

/* Of a resource with an owner only their rows are walked. */
static const struct index owned[] = {
    {"", A_SORT("id"), NO_ORDER("id", "user_id, id")},
    {"CREATE INDEX ON thing (user_id)", A_SORT("id"), NO_ORDER("id", "user_id, id")},
    {"CREATE INDEX ON thing (user_id, id)", A_SORT("id"), ""},
    {"CREATE INDEX ON thing (user_id, id); CREATE INDEX ON thing (a, id)", A_SORT("a"), NO_ORDER("a", "user_id, a, id")},
    {"CREATE INDEX ON thing (user_id, a, id)", A_SORT("a"), ""},
    {"ALTER TABLE thing ALTER a SET NOT NULL; CREATE UNIQUE INDEX ON thing (user_id, a)", A_SORT("a"), ""},
    {"CREATE INDEX ON thing (user_id, created_at, id); CREATE INDEX ON thing USING gin ((" WORDS("coalesce(a, '')") "))", "list: {search: [a]}\n", NO_SEARCH("coalesce(\"a\", '')", " || array_to_tsvector(ARRAY[\"user_id\"::text])")},
    {"CREATE INDEX ON thing (user_id, created_at, id); CREATE INDEX ON thing USING gin ((" WORDS("coalesce(a, '')") " || array_to_tsvector(ARRAY[user_id::text])))", "list: {search: [a]}\n", ""},
    {"CREATE INDEX ON thing (user_id, id); CREATE INDEX ON thing (b)", A_FILTER("b: '='"), NO_FILTER("b", "user_id, b, id")},
    {"CREATE INDEX ON thing (user_id, id); CREATE UNIQUE INDEX ON thing (b)", A_FILTER("b: '='"), ""},
    {"CREATE INDEX ON thing (user_id, id); CREATE UNIQUE INDEX ON thing (b)", A_FILTER("b: '>'"), NO_FILTER("b", "user_id, b, id")},
    {"CREATE INDEX ON thing (user_id, id); CREATE INDEX ON thing (user_id, b)", A_FILTER("b: '='"), ""},
    {"CREATE INDEX ON thing (user_id, id); CREATE INDEX ON thing (a, user_id, id)", A_SORT("a"), NO_ORDER("a", "user_id, a, id")},
    {"CREATE INDEX ON thing (user_id, id); CREATE INDEX ON thing (user_id, a, b)", A_FILTER("b: '='"),
     NO_FILTER("b", "user_id, b, id")},
    {"CREATE INDEX ON thing (user_id, id); CREATE INDEX ON thing (b, user_id)", A_FILTER("b: '='"), ""},
};

static bool check_index(const struct index *index, const char *owner_column, const char *owner)
{
    char text[1024];
    bool good;

    sql_exec(database->db, "DROP TABLE IF EXISTS thing");
    snprintf(text, sizeof text, "CREATE TABLE thing (" STANDARD ", a text, b integer%s);\n%s;\n", owner_column, index->sql);
    folder_write(&folder, "migrations/0001_first.sql", text);
    snprintf(text, sizeof text, "path: /v1/things\n%s\nfields: {a: {type: text, default: x, length: 1..40}, b: {type: integer, range: 0..9}}\n%s", owner, index->list);
    folder_write(&folder, "resources/thing.yaml", text);
    good = finds(folder.path, index->problems);
    if (!good)
        print_error("%s\n", index->sql);
    return good;
}

static void test_verify__an_index_serves_or_does_not(void **state)
{
    unsigned wrong = 0;

    (void)state;
    for (size_t i = 0; i < sizeof indexes / sizeof indexes[0]; i++)
        wrong += !check_index(&indexes[i], "", "");
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++)
        wrong += !check_index(&owned[i], ", user_id uuid NOT NULL REFERENCES millrace.app_user ON DELETE CASCADE", "owner: user_id");
    assert_int_equal(wrong, 0);
}

/* ---- What else a database may hold ---- */

static const struct whole {
    const char *sql;
    const char *resource;
    const char *problems;
} wholes[] = {
    /* a table that is divided is one, and so is a foreign key with others */
    {"CREATE TABLE thing (" STANDARD ", a text) PARTITION BY HASH (id); CREATE TABLE thing_0 PARTITION OF thing"
     " FOR VALUES WITH (MODULUS 1, REMAINDER 0); CREATE INDEX ON thing (a, id)",
     "fields: {a: {type: text, length: 1..40}}\nlist: {sort: [a]}\n", ""},
    /* names that have to be quoted */
    {"CREATE TABLE \"order\" (" STANDARD ", \"select\" text, \"group\" integer[]); CREATE INDEX ON \"order\" (\"select\", id)",
     "table: order\nfields: {select: {type: text, length: 1..40}, group: {type: integer, many: true, range: 0..9}}\nlist: {sort: [select], filter: {select: '='}}\n", ""},
    {"CREATE TABLE \"order\" (" STANDARD ", \"select\" text)", "table: order\nfields: {select: {type: text, length: 1..40, unique: true}}\nlist: {sort: [select]}\n",
     "resources/thing.yaml:3:54: no unique index is on the column \"select\", expected CREATE UNIQUE INDEX ON \"order\" (\"select\")\n"
     "resources/thing.yaml:4:15: no index serves the order by select, expected CREATE INDEX ON \"order\" (\"select\", id)\n"},
    /* a trigger fills the rest in */
    {"CREATE TABLE thing (" STANDARD ", a text, b text NOT NULL); CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS"
     " $$BEGIN NEW.b := 'b'; RETURN NEW; END$$; CREATE TRIGGER fill BEFORE INSERT ON thing FOR EACH ROW EXECUTE FUNCTION fill()",
     "fields: {a: {type: text}}\noperations: [create, get]\n", ""},
    {"CREATE TABLE thing (" STANDARD ", a text, b text NOT NULL)", "fields: {a: {type: text}}\noperations: [get, update]\n", ""},
    {"CREATE TABLE thing (" STANDARD ", a text, b bigint NOT NULL, c bigint GENERATED ALWAYS AS IDENTITY)",
     "fields: {a: {type: text}, b: {type: integer, default: 0}, c: {type: integer, readonly: true}}\noperations: [create, get]\n", ""},
    /* domains of domains */
    {"CREATE DOMAIN short AS varchar(8); CREATE DOMAIN shorter AS short; CREATE TABLE thing (" STANDARD ", a shorter)",
     "fields: {a: {type: text, length: 0..9}}\noperations: [create, get]\n",
     "resources/thing.yaml:2:34: the length goes to 9, and the column \"a\" is shorter, expected at most 8\n"},
    {"CREATE DOMAIN filled AS text NOT NULL; CREATE DOMAIN more AS filled; CREATE TABLE thing (" STANDARD ", a more)",
     "fields: {a: {type: text, required: true}}\noperations: [create, get]\n",
     "resources/thing.yaml:2:10: the column \"a\" is of the domain more, whose constraint names no column when it is broken, expected"
     " text with a CHECK of the table\n"},
    /* a constraint that waits for the COMMIT cannot be looked at before */
    {"CREATE TABLE thing (" STANDARD ", a text UNIQUE DEFERRABLE)", "fields: {a: {type: text, unique: true}}\noperations: [create, get]\n",
     "resources/thing.yaml:2:34: no unique index is on the column \"a\", expected CREATE UNIQUE INDEX ON thing (a)\n"},
    {"CREATE SCHEMA other; CREATE TABLE other.thing (" STANDARD ", a text)", "fields: {a: {type: text}}\noperations: [create, get]\n",
     "resources/thing.yaml:1:1: there is no table \"thing\", expected one that migrations/ makes\n"},
    {"CREATE TABLE thing (" STANDARD ", user_id uuid NOT NULL, a text, FOREIGN KEY (user_id) REFERENCES millrace.account ON DELETE CASCADE)",
     "owner: user_id\nfields: {a: {type: text}}\noperations: [create, get]\n", ""},
};

static void test_verify__what_else_a_database_may_hold(void **state)
{
    unsigned wrong = 0;
    char text[1024];

    (void)state;
    for (size_t i = 0; i < sizeof wholes / sizeof wholes[0]; i++) {
        sql_exec(database->db, "DROP SCHEMA IF EXISTS other CASCADE; DROP TABLE IF EXISTS thing, \"order\";"
                               "DROP FUNCTION IF EXISTS fill; DROP DOMAIN IF EXISTS shorter, short, more, filled");
        folder_write(&folder, "migrations/0001_first.sql", wholes[i].sql);
        snprintf(text, sizeof text, "path: /v1/things\n%s", wholes[i].resource);
        folder_write(&folder, "resources/thing.yaml", text);
        wrong += !finds(folder.path, wholes[i].problems);
    }
    assert_int_equal(wrong, 0);
}

/* ---- Statements that were made, and those in their place ---- */

#define ENUMERATION \
    "the column \"a\" is mood, an enumeration, which lists cannot compare with a text, expected text with a CHECK"

static void write_thing(const char *column, const char *resource)
{
    char text[1024];

    snprintf(text, sizeof text, "CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TABLE thing (" STANDARD ", a %s);\n"
                                "CREATE INDEX ON thing (a, id); CREATE INDEX ON thing (created_at, id);\n", column);
    folder_write(&folder, "migrations/0001_first.sql", text);
    snprintf(text, sizeof text, "path: /v1/things\n%s", resource);
    folder_write(&folder, "resources/thing.yaml", text);
}

/* The application has an operator of its own, which fits better than the server's. */
static void test_verify__what_was_made_is_prepared(void **state)
{
    (void)state;
    write_thing("varchar(9));\n"
                "CREATE FUNCTION greater(varchar, text) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN true;\n"
                "CREATE OPERATOR > (FUNCTION = greater, LEFTARG = varchar, RIGHTARG = text",
                "fields: {a: {type: text, readonly: true, length: 1..9}}\nlist: {sort: [a]}\noperations: [list]\n");
    assert_true(finds(folder.path,
                      "resources/thing.yaml:1:7: the statement that was made for thing_list/walk/a cannot be prepared: could not"
                      " determine interpretation of row comparison operator > (SQLSTATE 0A000)\n"));
    sql_exec(database->db, "DROP TABLE thing; DROP OPERATOR > (varchar, text); DROP FUNCTION greater; DROP TYPE mood");
}

/* The words of an enumeration are shown, also in rows that may be long. */
static void test_verify__an_enumeration_is_read_and_not_compared(void **state)
{
    (void)state;
    write_thing("mood", "fields: {a: {type: text, readonly: true}}\noperations: [get, list]\n");
    assert_true(finds(folder.path, ""));
    sql_exec(database->db, "DROP TABLE thing; DROP TYPE mood");
    write_thing("mood", "fields: {a: {type: text, readonly: true, length: 1..9}}\n"
                        "list:\n  sort: [-a]\n  filter: {mood: a =}\n  search: [a]\noperations: [list]\n");
    assert_true(finds(folder.path, "resources/thing.yaml:4:10: " ENUMERATION "\n"
                                   "resources/thing.yaml:5:18: " ENUMERATION "\n"
                                   "resources/thing.yaml:6:12: " ENUMERATION "\n"
                                   "resources/thing.yaml:6:12: the search q cannot be planned: invalid input value for enum mood:"
                                   " \"\"\n"));
}

static void test_verify__what_takes_its_place_is_prepared_and_answers_the_same(void **state)
{
    (void)state;
    write_thing("text", "fields: {a: {type: text}}\n");
    folder_write(&folder, "queries/thing.sql", "-- name: thing_get\nSELECT *, colour FROM thing WHERE id = :thingId;\n");
    assert_true(finds(folder.path, "queries/thing.sql:2:11: column \"colour\" does not exist (SQLSTATE 42703), expected a statement that"
                                   " can be prepared\n"));
    sql_exec(database->db, "DROP TABLE thing; DROP TYPE mood");
    folder_write(&folder, "queries/thing.sql",
                 "-- name: thing_get\nSELECT id, version AS a, created_at, updated_at FROM thing WHERE id = :thingId;\n");
    assert_true(finds(folder.path,
                      "resources/thing.yaml:1:7: the statement thing_get (queries/thing.sql:1) answers no column \"version\", expected it\n"
                      "resources/thing.yaml:1:7: the column \"a\" of the statement thing_get (queries/thing.sql:1) is bigint, expected text\n"));
}

/* ---- Size ---- */

enum { MANY = 200, BOUND_MS = 60000 };

static void write_one(struct mr_buf *migrations, unsigned i)
{
    char name[64];
    char text[512];

    mr_buf_printf(migrations,
                  "CREATE TABLE thing_%u (" STANDARD ", a text NOT NULL UNIQUE, b integer, c numeric(7, 2), d date);\n"
                  "CREATE INDEX ON thing_%u (b, id); CREATE INDEX ON thing_%u (c, id); CREATE INDEX ON thing_%u (d, id);\n",
                  i, i, i, i);
    snprintf(name, sizeof name, "resources/thing_%u.yaml", i);
    snprintf(text, sizeof text,
             "path: /v1/things%u\nfields:\n  a: {type: text, required: true, unique: true, length: 1..40}\n"
             "  b: {type: integer, range: 0..9}\n  c: {type: decimal, scale: 2, range: 0..9}\n  d: {type: date, clearable: true}\n"
             "list: {sort: [a, -b, c], filter: {b: '=', c: '<', d: '>='}}\n",
             i);
    folder_write(&folder, name, text);
}

/* A bound that catches what grows with the square of it, not a measurement: it takes a second. */
static void test_verify__two_hundred_resources_take_no_time(void **state)
{
    struct mr_buf migrations = {0};
    int64_t begun_ms;

    (void)state;
    for (unsigned i = 0; i < MANY; i++)
        write_one(&migrations, i);
    mr_buf_char(&migrations, '\0');
    folder_write(&folder, "migrations/0001_first.sql", migrations.data);
    mr_buf_fini(&migrations);
    begun_ms = mr_mono_ms(&mr_system_clock);
    assert_true(finds(folder.path, ""));
    print_message("%d resources: %lld ms\n", MANY, (long long)(mr_mono_ms(&mr_system_clock) - begun_ms));
    assert_true(mr_mono_ms(&mr_system_clock) - begun_ms < BOUND_MS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_verify__the_folders_are_good),
        TEST(test_verify__the_tasks_are_good),
        TEST(test_verify__every_mistake_is_told_at_once),
        TEST(test_verify__a_broken_migration_has_its_place),
        TEST(test_verify__a_gap_in_the_migrations_is_all_that_is_told),
        TEST(test_verify__a_migration_at_work_is_cancelled),
        TEST(test_verify__nothing_begins_once_it_is_over),
        TEST(test_verify__a_server_that_goes_is_no_problem_of_the_application),
        TEST(test_verify__an_index_serves_or_does_not),
        TEST(test_verify__what_else_a_database_may_hold),
        TEST(test_verify__what_was_made_is_prepared),
        TEST(test_verify__an_enumeration_is_read_and_not_compared),
        TEST(test_verify__what_takes_its_place_is_prepared_and_answers_the_same),
        TEST(test_verify__two_hundred_resources_take_no_time),
    };

    return cmocka_run_group_tests(tests, database_server_start, database_server_stop);
}
