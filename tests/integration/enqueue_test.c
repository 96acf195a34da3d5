/*
 * millrace.enqueue and what it comes to: a run in the caller's transaction, by any role that was granted it, or an exception that says
 * why not; one run for a unique key; a wake that costs no transaction its commit.
 */
#include "sql/sql.h"
#include "tests/support/database.h"
#include "tests/support/test.h"

static struct database *database;
static mr_db *db;    /* the owner's */
static mr_db *other; /* another connection of theirs */

static int setup(void **state)
{
    (void)state;
    database = database_new();
    db = database->db;
    other = database_connect(database);
    sql_exec(db, "INSERT INTO millrace.job (name, work, manual, args) VALUES ('plain', 'pull', false, NULL),"
                 " ('strict', 'push', false, '{\"orderId\": {\"type\": \"uuid\", \"required\": true}, \"n\": {\"type\": \"integer\", \"min\": 1, \"max\": 5},"
                 "   \"locale\": {\"type\": \"text\", \"length\": [2, 5], \"default\": \"en\"}, \"at\": {\"type\": \"timestamp\"},"
                 "   \"day\": {\"type\": \"date\"}, \"gift\": {\"type\": \"boolean\"}, \"price\": {\"type\": \"number\"}, \"more\": {\"type\": \"json\"}}');"
                 "INSERT INTO millrace.job (name, work, manual, unique_by, unique_for_ms) VALUES"
                 " ('once', 'pull', false, '{orderId}', NULL), ('hourly', 'pull', false, '{orderId}', 3600000)");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mr_db_destroy(&other);
    database_destroy(&database);
    return 0;
}

#define EVERYWHERE "SELECT (SELECT count(*) FROM millrace.run) + (SELECT count(*) FROM millrace.ready) + (SELECT count(*) FROM millrace.later)" \
                   " + (SELECT count(*) FROM millrace.run_unique)"

/* The statement fails with that SQLSTATE, and its message has `words`. */
static void must_fail(mr_db *on, const char *sql, const char *sqlstate, const char *words)
{
    mr_rows *rows = NULL;

    if (mr_db_exec(on, sql, mr_mono_ms(&mr_system_clock) + 30000, &rows) == MR_OK)
        fail_test("%s: works", sql);
    if (strcmp(mr_db_last_error(on)->sqlstate, sqlstate) != 0 || strstr(mr_db_last_error(on)->message, words) == NULL)
        fail_test("%s: %s %s, expected %s %s", sql, mr_db_last_error(on)->sqlstate, mr_db_last_error(on)->message, sqlstate, words);
}

/* ---- Whose transaction, whose rights ---- */

static void test_enqueue__is_gone_with_the_caller_s_transaction(void **state)
{
    (void)state;
    sql_exec(db, "BEGIN; SELECT millrace.enqueue('plain', '{\"a\": 1}'), millrace.enqueue('plain', run_at => now() + interval '1 day'),"
                 " millrace.enqueue('once', '{\"orderId\": 1}'); SELECT millrace.enqueue_many('plain', ARRAY['{}', '{}']::jsonb[])");
    assert_int_equal(sql_number(db, EVERYWHERE), 5 + 4 + 1 + 1);
    assert_int_equal(sql_number(other, EVERYWHERE), 0);
    sql_exec(db, "ROLLBACK");
    assert_int_equal(sql_number(db, EVERYWHERE), 0);
}

static void test_enqueue__leaves_what_was_asked_for(void **state)
{
    (void)state;
    sql_exec(db, "SELECT millrace.enqueue('plain', '{\"a\": 1}', priority => 3, key => 'k', unique_key => 'u')");
    assert_string_equal(sql_text(db, "SELECT concat_ws(' ', r.args, r.priority, r.key, r.unique_key, r.turn = r.due_at - interval '3 minutes', r.max_attempts,"
                                     " r.created_by = session_user) FROM millrace.run r JOIN millrace.ready y USING (job, key, turn, id)"),
                        "{\"a\": 1} 3 k u t 10 t");
    sql_exec(db, "TRUNCATE millrace.run; SELECT millrace.enqueue('plain', run_at => now() + interval '1 day')");
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.run r JOIN millrace.later l USING (id, job, key, turn) WHERE l.at = r.due_at"), 1);
}

/* Those of one call keep their order, and its ids are in it. */
static void test_enqueue_many__keeps_the_order(void **state)
{
    (void)state;
    sql_exec(db, "CREATE TABLE had AS SELECT id, n FROM millrace.enqueue_many('plain', ARRAY(SELECT jsonb_build_object('n', i) FROM generate_series(1, 5000) i))"
                 " WITH ORDINALITY AS q (id, n)");
    assert_int_equal(sql_number(db, "SELECT count(*) FROM had JOIN millrace.run r USING (id) WHERE (r.args ->> 'n')::bigint = had.n"), 5000);
    assert_int_equal(sql_number(db, "SELECT count(*) FROM (SELECT n, row_number() OVER (ORDER BY id) AS place FROM had) h WHERE h.n = h.place"), 5000);
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.enqueue_many('plain', '{}')"), 0);
    assert_int_equal(sql_number(db, "SELECT count(*) FROM had WHERE substr(id::text, 15, 1) = '7' AND substr(id::text, 20, 1) IN ('8', '9', 'a', 'b')"), 5000);
}

static void test_enqueue__needs_the_grant_and_nothing_else(void **state)
{
    (void)state;
    sql_exec(db, "CREATE ROLE shop; GRANT USAGE ON SCHEMA millrace TO shop; SET ROLE shop");
    must_fail(db, "SELECT millrace.enqueue('plain')", "42501", "enqueue");
    must_fail(db, "SELECT millrace.enqueue_many('plain', '{}')", "42501", "enqueue_many");
    sql_exec(db, "RESET ROLE; GRANT EXECUTE ON FUNCTION millrace.enqueue, millrace.enqueue_many TO shop; SET ROLE shop");
    sql_exec(db, "SELECT millrace.enqueue('plain')");
    must_fail(db, "SELECT count(*) FROM millrace.run", "42501", "run");
    must_fail(db, "SELECT * FROM millrace.queue_runs('{1}', '{plain}', '{\"{}\"}', NULL, NULL, NULL, NULL, NULL, NULL)", "42501", "");
    sql_exec(db, "RESET ROLE; DROP OWNED BY shop; DROP ROLE shop");
}

/* What a caller puts in the way of names is not found. */
static void test_enqueue__finds_its_own_names(void **state)
{
    (void)state;
    sql_exec(db, "CREATE SCHEMA evil; CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT 'infinity'::timestamptz $$;"
                 "CREATE FUNCTION evil.greatest(a timestamptz, b timestamptz) RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil'; END $$;"
                 "CREATE FUNCTION evil.lpad(text, integer, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil'; END $$;"
                 "SET search_path = evil, pg_catalog; CREATE TEMP TABLE run (id uuid); SELECT millrace.enqueue('plain', '{}', pg_catalog.now()); RESET search_path");
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.ready"), 1);
}

static void test_enqueue__works_under_repeatable_read(void **state)
{
    (void)state;
    sql_exec(db, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM millrace.run");
    sql_exec(other, "UPDATE millrace.job SET ticked_at = now(), changed_at = now(); SELECT millrace.enqueue('plain'), millrace.enqueue('once', '{\"orderId\": 1}')");
    sql_exec(db, "SELECT millrace.enqueue('plain'), millrace.enqueue('strict', '{\"orderId\": \"0198c1d0-0000-7000-8000-000000000001\"}'),"
                 " millrace.enqueue('once', '{\"orderId\": 2}'); COMMIT");
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.ready"), 5);
    sql_exec(db, "BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT millrace.enqueue('once', '{\"orderId\": 3}'), millrace.enqueue('once', '{\"orderId\": 3}'); COMMIT");
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.ready"), 6);
}

/* ---- What does not fit ---- */

static void test_enqueue__says_what_is_wrong(void **state)
{
    (void)state;
    must_fail(db, "SELECT millrace.enqueue('nobody')", "42704", "job \"nobody\": there is no such job");
    must_fail(db, "SELECT millrace.enqueue('strict')", "22023", "job \"strict\": args.orderId is required");
    must_fail(db, "SELECT millrace.enqueue('plain', '[]')", "22023", "args must be an object");
    must_fail(db, "SELECT millrace.enqueue('plain', priority => 101)", "22023", "priority must be from -100 to 100");
    must_fail(db, "SELECT millrace.enqueue('plain', key => repeat('k', 256))", "22023", "key must be at most 255 characters long");
    must_fail(db, "SELECT millrace.enqueue('plain', unique_key => '')", "22023", "uniqueKey must be 1 to 255 characters long");
    must_fail(db, "SELECT millrace.enqueue('plain', run_at => 'infinity')", "22023", "runAt must be a point in time");
    must_fail(db, "SELECT millrace.enqueue('plain', run_at => '10000-01-01 00:00:00Z')", "22023", "runAt must be a point in time before the year 10000");
    must_fail(db, "SELECT millrace.enqueue_many('strict', ARRAY['{}', '{\"x\": 1}']::jsonb[])", "22023", "args.");
    must_fail(db, "SELECT millrace.enqueue('cleanup', key => 'k')", "22023", "key is for jobs of work push and pull");
    must_fail(db, "SELECT millrace.enqueue('import')", "55000", "is started by an upload");
    must_fail(db, "SELECT millrace.enqueue('bulk', '{\"action\": \"delete\", \"job\": \"plain\"}')", "55000", "is started by POST /v1/job-runs/retry");
    must_fail(db, "SELECT millrace.enqueue_many('bulk', '{NULL}')", "55000", "is started by POST /v1/job-runs/retry");
    sql_exec(db, "UPDATE millrace.job SET removed_at = now() WHERE name = 'plain'");
    must_fail(db, "SELECT millrace.enqueue('plain')", "55000", "job \"plain\": was removed");
    assert_int_equal(sql_number(db, EVERYWHERE), 0);
}

/* Arguments and what is said of them, NULL where they fit. */
static const struct {
    const char *args, *problem;
} cases[] = {
    {"{}", NULL},
    {"{\"n\": 5, \"locale\": \"de-CH\", \"gift\": true, \"price\": 1.5, \"more\": [1, {\"a\": null}]}", NULL},
    {"{\"n\": null, \"locale\": null}", NULL},
    {"{\"n\": 5.0}", NULL},
    {"{\"at\": \"2026-02-28T23:59:59.5+02:00\", \"day\": \"2028-02-29\"}", NULL},
    {"{\"n\": 0}", "args.n must be from 1 to 5"},
    {"{\"n\": 6}", "args.n must be from 1 to 5"},
    {"{\"n\": 1.5}", "args.n must be an integer"},
    {"{\"n\": \"1\"}", "args.n must be an integer"},
    {"{\"n\": 1e40}", "args.n must be an integer"},
    {"{\"locale\": \"x\"}", "args.locale must be 2 to 5 characters long, is 1"},
    {"{\"locale\": 1}", "args.locale must be a text"},
    {"{\"gift\": 1}", "args.gift must be a boolean"},
    {"{\"price\": \"1\"}", "args.price must be a number"},
    {"{\"at\": \"2026-02-30T00:00:00Z\"}", "args.at must be a timestamp such as 2026-01-31T12:00:00Z"},
    {"{\"at\": \"2026-02-28T00:00:00\"}", "args.at must be a timestamp such as 2026-01-31T12:00:00Z"},
    {"{\"at\": \"tomorrow\"}", "args.at must be a timestamp such as 2026-01-31T12:00:00Z"},
    {"{\"day\": \"2027-02-29\"}", "args.day must be a date such as 2026-01-31"},
    {"{\"day\": \"today\"}", "args.day must be a date such as 2026-01-31"},
    {"{\"orderId\": \"1\"}", "args.orderId must be a UUID"},
    {"{\"who\": 1}", "args.who is not an argument of the job"},
};

static void test_enqueue__holds_arguments_against_their_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char sql[512];

        snprintf(sql, sizeof sql, "SELECT millrace.enqueue('strict', '{\"orderId\": \"0198C1D0-0000-7000-8000-000000000001\"}'::jsonb || '%s')", cases[i].args);
        if (cases[i].problem == NULL)
            sql_exec(db, "%s", sql);
        else
            must_fail(db, sql, "22023", cases[i].problem);
    }
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.run"), 5);
    assert_string_equal(sql_text(db, "SELECT string_agg(args ->> 'locale', ' ' ORDER BY id) FROM millrace.run"), "en de-CH en en en");
}

/* A row for each thing that is wrong, the id of what is right, and nothing of the former. */
static void test_queue_runs__answers_each(void **state)
{
    (void)state;
    assert_string_equal(
        sql_text(db, "SELECT string_agg(concat_ws(' ', q.n, q.status, q.field, q.message, q.id IS NOT NULL), '; ' ORDER BY q.n, q.field)"
                     " FROM millrace.queue_runs('{1,2,3,4}', '{strict,plain,none,plain}', ARRAY['{\"n\": 7}', '{}', '{}', '{}']::jsonb[], NULL,"
                     " '{NULL,NULL,NULL,300}', NULL, NULL, NULL, NULL) q"),
        "1 400 args.n must be from 1 to 5 f; 1 400 args.orderId is required f; 2 t; 3 404 job there is no such job f; 4 400 priority must be from -100 to 100 f");
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.run"), 1);
}

/* What is queued together is queued as a whole: one that is wrong leaves nothing of the others, not even their unique keys. */
static void test_queue_and_tell__queues_wholes_or_nothing(void **state)
{
    (void)state;
    assert_string_equal(
        sql_text(db, "SELECT string_agg(concat_ws(' ', whole, n, status, field), ', ' ORDER BY n)"
                     " FROM millrace.queue_and_tell('{1,2,3,4,5}', '{once,plain,strict,once,plain}', ARRAY['{\"orderId\": 1}', '{}', '{}', '{\"orderId\": 2}', '{}']::jsonb[], NULL,"
                     " NULL, NULL, '{NULL,u,NULL,NULL,v}', NULL, NULL, '{1,1,1,2,2}')"),
        "1 3 400 args.orderId, 2 4, 2 5");
    assert_string_equal(sql_text(db, "SELECT string_agg(job || ' ' || left(unique_key, 4), ', ' ORDER BY job) FROM millrace.run"), "once args, plain v");
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.run_unique"), 2);
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.ready"), 2);
}

/* All that an answer needs, without a look at the run. */
static void test_queue_and_tell__tells_what_the_run_is(void **state)
{
    (void)state;
    sql_exec(db, "UPDATE millrace.job SET priority = 7, attempts = 3 WHERE name = 'plain'");
    sql_exec(db, "CREATE TEMP TABLE q AS SELECT * FROM millrace.queue_and_tell('{1,2}', '{plain,plain}', '{\"{}\",\"{}\"}', '{NULL,2099-01-01}', '{NULL,-3}', '{NULL,k}',"
                 " NULL, NULL, NULL, NULL)");
    assert_string_equal(sql_text(db, "SELECT string_agg(concat_ws(' ', q.job = r.job, q.work, q.max_attempts = r.max_attempts, q.due_at = r.due_at, coalesce(q.key, '') = r.key,"
                                     " q.priority = r.priority, r.priority, r.turn = r.due_at - r.priority * interval '1 minute'), ', ' ORDER BY q.n)"
                                     " FROM q JOIN millrace.run r ON r.id = q.id"),
                        "t pull t t t t 7 t, t pull t t t t -3 t");
}

/* ---- By HTTP: a batch of messages ---- */

/* Prepares the statement of an operation under its name. */
static void prepare(const char *name)
{
    for (const struct mr_statement *s = mr_statements; s->name != NULL; s++)
        if (strcmp(s->name, name) == 0) {
            char *text = mr_statement_text(s);

            sql_exec(db, "PREPARE %s AS %s", name, text);
            free(text);
            return;
        }
    fail_test("there is no statement %s", name);
}

#define IDS(n) "array_fill('00000000-0000-0000-0000-000000000001'::uuid, ARRAY[" #n "])"
#define NONE(type, n) "array_fill(NULL::" #type ", ARRAY[" #n "])"

/* What is plain is queued by the statement, the rest by a function: each message has the answer that it would have alone. */
static void test_create__answers_each_of_a_mixed_batch(void **state)
{
    (void)state;
    sql_exec(db, "UPDATE millrace.job SET priority = 7, attempts = 3 WHERE name = 'plain'; SELECT millrace.enqueue('once', '{\"orderId\": 1}')");
    prepare("job_run_create__any");
    sql_exec(db, "CREATE TEMP TABLE answers AS EXECUTE job_run_create__any(" IDS(9) ", " NONE(uuid, 9) ","
                 " '{plain,strict,plain,none,once,once,once,plain,plain}', '{t1,t2,t3,t4,t5,t6,t7,t8,t9}', " NONE(text, 9) ", " NONE(text, 9) ", "
                 IDS(8) " || NULL::uuid, ARRAY['{\"a\": 1}', '{\"n\": 7}', NULL, '{}', '{\"orderId\": 1}', '{\"orderId\": 2}', '{\"orderId\": 2}', '{}', '{}'],"
                 " '{NULL,NULL,2099-01-01,NULL,NULL,NULL,NULL,NULL,NULL}', '{NULL,NULL,-3,NULL,NULL,NULL,NULL,NULL,NULL}',"
                 " '{NULL,NULL,k,NULL,NULL,NULL,NULL,NULL,NULL}', '{NULL,NULL,NULL,NULL,NULL,NULL,NULL,u,NULL}', " NONE(text, 9) ")");
    assert_string_equal(sql_text(db, "SELECT string_agg(CASE WHEN \"$status\" IS NULL THEN concat_ws(' ', n, job, state, priority, key, duplicate)"
                                     " ELSE concat_ws(' ', n, \"$status\", \"$field\") END, '; ' ORDER BY n, \"$field\") FROM answers"),
                        "1 plain queued 7; 2 400 args.n; 2 400 args.orderId; 3 plain queued -3 k; 4 404; 5 once queued 0 t; 6 once queued 0; 7 once queued t;"
                        " 8 plain queued 7; 9 401");
    assert_int_equal(sql_number(db, "SELECT count(DISTINCT id) FROM answers WHERE n IN (6, 7)"), 1);
    assert_string_equal(sql_text(db, "SELECT string_agg(concat_ws(' ', a.n, r.job, r.trigger, r.args, r.priority, nullif(r.key, ''), r.unique_key = 'u', r.max_attempts, r.traceparent,"
                                     " r.due_at = a.\"dueAt\", r.turn = r.due_at - r.priority * interval '1 minute', y.id IS NOT NULL, l.at = r.due_at), '; ' ORDER BY a.n)"
                                     " FROM answers a JOIN millrace.run r USING (id) LEFT JOIN millrace.ready y ON (y.job, y.key, y.turn, y.id) = (r.job, r.key, r.turn, r.id)"
                                     " LEFT JOIN millrace.later l ON l.id = r.id WHERE a.job = 'plain'"),
                        "1 plain manual {\"a\": 1} 7 3 t1 t t t; 3 plain manual {} -3 k 3 t3 t t f t; 8 plain manual {} 7 t 3 t8 t t t");
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.run"), 5);
}

/* The same where no message has a time or a unique key: for that there is a statement with fewer steps, and a function for what is not plain. */
static void test_create__answers_each_of_a_batch_without_times_and_unique_keys(void **state)
{
    (void)state;
    sql_exec(db, "UPDATE millrace.job SET priority = 7, attempts = 3 WHERE name = 'plain'; SELECT millrace.enqueue('once', '{\"orderId\": 1}');"
                 " INSERT INTO millrace.account (id) VALUES ('00000000-0000-0000-0000-000000000001'); SELECT setval('millrace.wake', 0)");
    prepare("job_run_create");
    sql_exec(db, "CREATE TEMP TABLE answers AS EXECUTE job_run_create(" IDS(9) ", " NONE(uuid, 8) ","
                 " '{plain,strict,plain,none,once,once,once,plain,strict}', '{t1,t2,t3,t4,t5,t6,t7,t8,t9}', " NONE(text, 9) ", " NONE(text, 9) ", "
                 IDS(7) " || NULL::uuid || '00000000-0000-0000-0000-000000000001'::uuid,"
                 " ARRAY['{\"a\": 1}', '{\"n\": 7}', NULL, '{}', '{\"orderId\": 1}', '{\"orderId\": 2}', '{\"orderId\": 2}', '{}',"
                 "   '{\"orderId\": \"0198c1d0-0000-7000-8000-000000000001\"}'], "
                 NONE(timestamptz, 9) ", '{NULL,NULL,-3,NULL,NULL,NULL,NULL,NULL,NULL}', '{NULL,NULL,k,NULL,NULL,NULL,NULL,NULL,NULL}', "
                 NONE(text, 9) ", " NONE(text, 9) ")");
    assert_string_equal(sql_text(db, "SELECT string_agg(CASE WHEN \"$status\" IS NULL THEN concat_ws(' ', n, job, state, priority, key, duplicate, \"waitsFor\")"
                                     " ELSE concat_ws(' ', n, \"$status\", \"$field\", \"$code\") END, '; ' ORDER BY n, \"$field\") FROM answers"),
                        "1 plain queued 7; 2 400 args.n rule; 2 400 args.orderId required; 3 plain queued -3 k; 4 404; 5 once queued 0 t; 6 once queued 0;"
                        " 7 once queued t; 8 401; 9 strict queued 0 scheduler");
    assert_int_equal(sql_number(db, "SELECT count(DISTINCT id) FROM answers WHERE n IN (6, 7)"), 1);
    assert_string_equal(sql_text(db, "SELECT string_agg(concat_ws(' ', a.n, r.job, r.trigger, r.priority, nullif(r.key, ''), r.max_attempts, r.traceparent, r.due_at = a.\"dueAt\","
                                     " r.turn = r.due_at - r.priority * interval '1 minute', r.created_by = session_user, y.id IS NOT NULL), '; ' ORDER BY a.n)"
                                     " FROM answers a JOIN millrace.run r USING (id) LEFT JOIN millrace.ready y ON (y.job, y.key, y.turn, y.id) = (r.job, r.key, r.turn, r.id)"
                                     " WHERE a.duplicate IS NULL"),
                        "1 plain manual 7 3 t1 t t t t; 3 plain manual -3 k 3 t3 t t t t; 6 once manual 0 10 t6 t t t t; 9 strict manual 0 10 t9 t t t t");
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.run"), 5);
    assert_int_equal(sql_number(db, "SELECT (last_value > 0)::integer FROM millrace.wake"), 1);
}

/* A run has no other outcome than these, whoever writes it. */
static void test_run__refuses_what_is_no_outcome(void **state)
{
    (void)state;
    sql_exec(db, "SELECT millrace.enqueue('plain')");
    must_fail(db, "UPDATE millrace.run SET outcome = 'lost'", "23514", "lost");
    sql_exec(db, "UPDATE millrace.run SET outcome = 'dead'");
}

/* Of an array all runs are queued or none, whichever way it takes; the others of the batch are queued all the same. */
static void test_create_many__queues_each_array_whole(void **state)
{
    (void)state;
    prepare("job_run_create__many");
    sql_exec(db, "INSERT INTO millrace.account (id) VALUES ('00000000-0000-0000-0000-000000000001')");
    sql_exec(db, "CREATE TEMP TABLE answers AS EXECUTE job_run_create__many(" IDS(5) ", " NONE(uuid, 5) ", '{plain,strict,once,plain,none}', '{t1,t2,t3,t4,t5}',"
                 " '{NULL,NULL,NULL,i,NULL}', '{NULL,NULL,NULL,f,NULL}', " IDS(5) ", " NONE(text, 5) ", " NONE(timestamptz, 5) ", " NONE(bigint, 5) ", "
                 NONE(text, 5) ", " NONE(text, 5) ", ARRAY['[{\"args\":{\"a\":1}},{\"runAt\":\"2099-01-01T00:00:00Z\",\"priority\":-3,\"key\":\"k\"},{}]',"
                 " '[{\"args\":{\"orderId\":\"0198c0de-7a5c-7e0f-8a1b-2c3d4e5f6073\"}},{\"args\":{\"n\":7}}]',"
                 " '[{\"args\":{\"orderId\":1}},{\"args\":{\"orderId\":1}}]', '[{\"\\u0075niqueKey\":\"u\"},{}]', '[{}]'])");
    assert_string_equal(sql_text(db, "SELECT string_agg(concat_ws(' ', n, \"$status\", \"$field\", json_array_length(runs)), '; ' ORDER BY n, \"$field\") FROM answers"),
                        "1 3; 2 400 [1].args.n; 2 400 [1].args.orderId; 3 2; 4 2; 5 404");
    assert_string_equal(sql_text(db, "SELECT string_agg(concat_ws(' ', a.n, r.job, r.args, r.priority, nullif(r.key, ''), r.unique_key = 'u', r.traceparent, y.id IS NOT NULL,"
                                     " l.at = r.due_at), '; ' ORDER BY a.n, e.place)"
                                     " FROM answers a CROSS JOIN LATERAL json_array_elements(a.runs) WITH ORDINALITY AS e (run, place)"
                                     " JOIN millrace.run r ON r.id = (e.run ->> 'id')::uuid LEFT JOIN millrace.ready y ON y.id = r.id LEFT JOIN millrace.later l ON l.id = r.id"),
                        "1 plain {\"a\": 1} 0 t1 t; 1 plain {} -3 k t1 f t; 1 plain {} 0 t1 t; 3 once {\"orderId\": 1} 0 f t3 t; 3 once {\"orderId\": 1} 0 f t3 t;"
                        " 4 plain {} 0 t t4 t; 4 plain {} 0 t4 t");
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.run"), 6);
    assert_int_equal(sql_number(db, "SELECT count(DISTINCT id) FROM millrace.run WHERE id::text ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab]'"), 6);
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.idempotency_key WHERE key = 'i' AND jsonb_array_length(answer -> 'runs') = 2"), 1);
}

/* ---- Jobs of `work: sql` ---- */

static void test_enqueue__of_a_job_by_sql_makes_a_run_of_its_own_kind(void **state)
{
    (void)state;
    sql_exec(db, "SELECT millrace.enqueue('maintenance', '{\"a\": 1}', now() + interval '1 hour')");
    assert_string_equal(sql_text(db, "SELECT concat_ws(' ', job, trigger, state, args, exclusive, run_after > now()) FROM millrace.job_run"),
                        "maintenance user queued {\"a\": 1} t t");
    assert_int_equal(sql_number(db, EVERYWHERE), 0);
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.every_run WHERE is_sql AND state = 'queued'"), 1);
}

/* ---- Unique ---- */

static void finish(const char *job)
{
    sql_exec(db, "SELECT * FROM (SELECT array_agg(id) AS ids, array_agg(claim) AS claims, array_agg('succeeded'::text) AS outcomes"
                 "  FROM millrace.claim_runs('%s', 100, 30000, 'w', NULL)) c, millrace.settle_runs(c.ids, c.claims, c.outcomes, NULL, NULL, NULL, NULL, NULL)", job);
}

static void test_unique__answers_the_run_that_is_there(void **state)
{
    char first[64];

    (void)state;
    snprintf(first, sizeof first, "%s", sql_text(db, "SELECT millrace.enqueue('plain', unique_key => 'k')"));
    assert_string_equal(sql_text(db, "SELECT millrace.enqueue('plain', unique_key => 'k')"), first);
    assert_string_equal(sql_text(db, "SELECT q.id || ' ' || q.duplicate FROM millrace.queue_runs('{1}', '{plain}', '{\"{}\"}', NULL, NULL, NULL, '{k}', NULL, NULL) q") + 37,
                        "true");
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.run"), 1);
    finish("plain");
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.run_unique"), 0);
    assert_string_not_equal(sql_text(db, "SELECT millrace.enqueue('plain', unique_key => 'k')"), first);
}

static void test_unique__by_arguments_and_within_one_call(void **state)
{
    (void)state;
    assert_int_equal(sql_number(db, "SELECT count(DISTINCT id) FROM millrace.enqueue_many('once', ARRAY['{\"orderId\": 1, \"x\": 1}', '{\"orderId\": 1, \"x\": 2}',"
                                    " '{\"orderId\": 2}', '{}', '{}']::jsonb[]) AS q (id)"), 3);
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.ready"), 3);
}

/* However they are written: as PostgreSQL writes a numeric, in another zone, in capitals. */
static void test_unique__is_by_values_that_mean_the_same(void **state)
{
    (void)state;
    sql_exec(db, "INSERT INTO millrace.job (name, work, manual, args, unique_by) VALUES ('same', 'pull', false,"
                 " '{\"n\": {\"type\": \"number\"}, \"u\": {\"type\": \"uuid\"}, \"at\": {\"type\": \"timestamp\"}, \"t\": {\"type\": \"text\"}}', '{n,u,at,t}')");
    assert_int_equal(sql_number(db, "SELECT count(DISTINCT id) FROM millrace.enqueue_many('same', ARRAY['{\"n\": 12.5}', '{\"n\": 12.50}', '{\"n\": 1.25e1}',"
                                    " jsonb_build_object('n', 12.500::numeric(9, 3))]) AS q (id)"), 1);
    assert_int_equal(sql_number(db, "SELECT count(DISTINCT id) FROM millrace.enqueue_many('once', ARRAY['{\"orderId\": 100}', '{\"orderId\": 1e2}', '{\"orderId\": 100.0}']::jsonb[]) AS q (id)"), 1);
    assert_int_equal(sql_number(db, "SELECT count(DISTINCT id) FROM millrace.enqueue_many('same', ARRAY['{\"u\": \"0198C0DE-7A5C-7E0F-8A1B-2C3D4E5F6073\"}',"
                                    " '{\"u\": \"0198c0de-7a5c-7e0f-8a1b-2c3d4e5f6073\"}']::jsonb[]) AS q (id)"), 1);
    assert_int_equal(sql_number(db, "SELECT count(DISTINCT id) FROM millrace.enqueue_many('same', ARRAY['{\"at\": \"2026-01-31T12:00:00Z\"}',"
                                    " '{\"at\": \"2026-01-31T13:00:00.000+01:00\"}']::jsonb[]) AS q (id)"), 1);
    assert_int_equal(sql_number(db, "SELECT count(DISTINCT id) FROM millrace.enqueue_many('same', ARRAY['{\"t\": \"a\"}', '{\"t\": \"A\"}', '{\"t\": \"1\"}', '{\"t\": \"1.0\"}', '{}']::jsonb[])"
                                    " AS q (id)"), 5);
    assert_string_equal(sql_text(db, "SELECT args ->> 'n' FROM millrace.run WHERE job = 'same' ORDER BY id LIMIT 1"), "12.5"); /* as it came */
}

/* However deep they are. What looks like a number in a text, or in a name, is none. */
static void test_unique__is_by_what_values_hold(void **state)
{
    static const struct {
        const char *like, *unlike; /* {"a": 1, "b": [{"n": 2.5, "t": "x\"1.50"}, 100]} */
    } values[] = {
        {"{\"b\": [{\"t\": \"x\\\"1.50\", \"n\": 2.500}, 1e2], \"a\": 1.0}", "{\"a\": 1, \"b\": [{\"n\": 2.5, \"t\": \"x\\\"1.5\"}, 100]}"},
        {"{\"a\": 1.000, \"b\": [{\"n\": 25e-1, \"t\": \"x\\u00221.50\"}, 100.00]}", "{\"a\": 1, \"b\": [100, {\"n\": 2.5, \"t\": \"x\\\"1.50\"}]}"},
        {"{\"a\": 0.01e2, \"b\": [{\"n\": 2.50, \"t\": \"x\\\"1.50\"}, 100]}", "{\"a\": 1.05, \"b\": [{\"n\": 2.5, \"t\": \"x\\\"1.50\"}, 100]}"},
        {"{\"a\": 1, \"b\": [{\"t\": \"x\\\"1.50\", \"n\": 2.5}, 100]}", "{\"a.0\": 1, \"b\": [{\"n\": 2.5, \"t\": \"x\\\"1.50\"}, 100]}"},
    };
    char first[40];

    (void)state;
    snprintf(first, sizeof first, "%s", sql_text(db, "SELECT millrace.enqueue('once', '{\"orderId\": {\"a\": 1, \"b\": [{\"n\": 2.5, \"t\": \"x\\\"1.50\"}, 100]}}')"));
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_string_equal(sql_text(db, "SELECT millrace.enqueue('once', '{\"orderId\": %s}')", values[i].like), first);
        assert_string_not_equal(sql_text(db, "SELECT millrace.enqueue('once', '{\"orderId\": %s}')", values[i].unlike), first);
    }
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.run"), 1 + sizeof values / sizeof values[0]);
    assert_int_equal(sql_number(db, "SELECT count(DISTINCT millrace.alike(v, NULL)) FROM unnest('{0,0.0,-0.00,10.010,10.01,10.0100}'::jsonb[]) v"), 2);
    /* As deep as JSON may be. */
    assert_int_equal(sql_number(db, "SELECT count(DISTINCT millrace.alike((repeat('[', 2000) || v.n || repeat(']', 2000))::jsonb, NULL)) FROM (VALUES ('1'), ('1.0')) v (n)"), 1);
}

static void test_unique__for_a_time_outlasts_the_run(void **state)
{
    char first[64];

    (void)state;
    snprintf(first, sizeof first, "%s", sql_text(db, "SELECT millrace.enqueue('hourly', '{\"orderId\": 1}')"));
    finish("hourly");
    assert_string_equal(sql_text(db, "SELECT millrace.enqueue('hourly', '{\"orderId\": 1}')"), first);
    sql_exec(db, "UPDATE millrace.run_unique SET until = now() - interval '1 second'");
    assert_string_not_equal(sql_text(db, "SELECT millrace.enqueue('hourly', '{\"orderId\": 1}')"), first);
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.run_unique"), 1);
}

/* Who wants the same key waits for whoever may have it; a run's outcome waits for nobody who was answered with that run. */
static void test_unique__is_decided_by_the_first_transaction(void **state)
{
    (void)state;
    sql_exec(db, "BEGIN; SELECT millrace.enqueue('plain', unique_key => 'k')");
    sql_exec(other, "SET lock_timeout = '50ms'");
    must_fail(other, "SELECT millrace.enqueue('plain', unique_key => 'k')", "55P03", "");
    sql_exec(other, "SELECT millrace.enqueue('plain', unique_key => 'another')");
    sql_exec(db, "COMMIT");
    sql_exec(other, "BEGIN; SELECT millrace.enqueue('plain', unique_key => 'k')");
    sql_exec(db, "SET lock_timeout = '5s'");
    finish("plain");
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.run WHERE outcome = 'succeeded'"), 2);
    sql_exec(other, "COMMIT");
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.run"), 2);
}

/* Two schedulers that make the run of one tick. */
static void test_queue_runs__makes_one_run_of_a_tick(void **state)
{
    static const char tick[] = "SELECT q.duplicate::int FROM millrace.queue_runs('{1}', '{plain}', '{\"{}\"}', '{2026-01-01T00:00:00Z}', NULL, NULL, NULL, NULL, '{cron}') q";

    (void)state;
    sql_exec(db, "BEGIN");
    assert_int_equal(sql_number(db, "%s", tick), 0);
    sql_exec(other, "SET lock_timeout = '50ms'");
    must_fail(other, tick, "55P03", "");
    sql_exec(db, "COMMIT");
    assert_int_equal(sql_number(other, "%s", tick), 1);
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.ready"), 1);
    assert_string_equal(sql_text(db, "SELECT (scheduled_for = '2026-01-01T00:00:00Z') || ' ' || trigger || ' ' || (due_at > scheduled_for) FROM millrace.run"), "true cron true");
}

/* ---- Wakes ---- */

/* However many transactions queue runs, a listener hears of them once in 10 ms; and of the first at once. */
static void test_wake__is_told_no_more_than_once_in_ten_milliseconds(void **state)
{
    struct mr_db_options options = {.config = &database->config, .clock = &mr_system_clock, .host = database->config.db_host,
                                    .application_name = "listener", .channel = "millrace_ready"};
    mr_db *listener = NULL;
    int64_t began;
    int heard = 0;

    (void)state;
    assert_int_equal(mr_db_new(&listener, &options, NULL), MR_OK);
    assert_int_equal(mr_db_connect(listener), MR_OK);
    mr_db_notified(listener);
    began = mr_mono_ms(&mr_system_clock);
    sql_exec(db, "SELECT millrace.enqueue('plain')");
    eventually((mr_db_consume_input(listener), mr_db_notified(listener)));
    for (int i = 0; i < 400; i++) {
        sql_exec(db, "SELECT millrace.enqueue('plain')");
        mr_db_consume_input(listener);
        heard += mr_db_notified(listener);
    }
    if (heard > (mr_mono_ms(&mr_system_clock) - began) / 10 + 2)
        fail_test("told %d times in %lld ms", heard, (long long)(mr_mono_ms(&mr_system_clock) - began));
    mr_db_destroy(&listener);
}

/* NOTIFY commits one by one. While a transaction that notifies is open, the others do without, and after a while they do again. */
static void test_wake__is_left_to_the_transaction_that_tells_it(void **state)
{
    int64_t told;

    (void)state;
    sql_exec(db, "BEGIN; SELECT millrace.enqueue('plain')");
    assert_int_equal(sql_number(db, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"), 1);
    told = sql_number(db, "SELECT last_value FROM millrace.wake");
    eventually((sql_exec(other, "SELECT millrace.enqueue('plain')"), sql_number(other, "SELECT last_value FROM millrace.wake") != told));
    assert_true(sql_number(other, "SELECT last_value FROM millrace.wake") >= told + 10); /* 100 ms */
    sql_exec(db, "COMMIT");
}

/* So it may be prepared: docs/jobs.md says how. */
static void test_wake__is_of_nobody_where_the_run_is_due_in_a_second(void **state)
{
    (void)state;
    sql_exec(db, "SELECT setval('millrace.wake', 0); SELECT millrace.enqueue('plain', run_at => now() + interval '1 second');"
                 "SELECT millrace.enqueue_many('plain', '{NULL, NULL}', now() + interval '1 second'), millrace.enqueue('plain', '{}', now() + interval '1 second', unique_key => 'u')");
    assert_int_equal(sql_number(db, "SELECT last_value FROM millrace.wake"), 0);
    sql_exec(db, "SELECT millrace.enqueue('plain')");
    assert_int_not_equal(sql_number(db, "SELECT last_value FROM millrace.wake"), 0);
}

/* A clock that was ahead must not keep everybody asleep. */
static void test_wake__survives_a_clock_that_was_set_back(void **state)
{
    (void)state;
    sql_exec(db, "SELECT setval('millrace.wake', (extract(epoch FROM now() + interval '1 hour') * 100)::bigint)");
    sql_exec(db, "SELECT millrace.enqueue('plain')");
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.wake WHERE last_value < (extract(epoch FROM now() + interval '1 minute') * 100)::bigint"), 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_enqueue__is_gone_with_the_caller_s_transaction),
        TEST(test_enqueue__leaves_what_was_asked_for),
        TEST(test_enqueue_many__keeps_the_order),
        TEST(test_enqueue__needs_the_grant_and_nothing_else),
        TEST(test_enqueue__finds_its_own_names),
        TEST(test_enqueue__works_under_repeatable_read),
        TEST(test_enqueue__says_what_is_wrong),
        TEST(test_enqueue__holds_arguments_against_their_rules),
        TEST(test_queue_runs__answers_each),
        TEST(test_queue_and_tell__queues_wholes_or_nothing),
        TEST(test_queue_and_tell__tells_what_the_run_is),
        TEST(test_create__answers_each_of_a_mixed_batch),
        TEST(test_create__answers_each_of_a_batch_without_times_and_unique_keys),
        TEST(test_run__refuses_what_is_no_outcome),
        TEST(test_create_many__queues_each_array_whole),
        TEST(test_enqueue__of_a_job_by_sql_makes_a_run_of_its_own_kind),
        TEST(test_unique__answers_the_run_that_is_there),
        TEST(test_unique__by_arguments_and_within_one_call),
        TEST(test_unique__is_by_values_that_mean_the_same),
        TEST(test_unique__is_by_what_values_hold),
        TEST(test_unique__for_a_time_outlasts_the_run),
        TEST(test_unique__is_decided_by_the_first_transaction),
        TEST(test_queue_runs__makes_one_run_of_a_tick),
        TEST(test_wake__is_told_no_more_than_once_in_ten_milliseconds),
        TEST(test_wake__is_left_to_the_transaction_that_tells_it),
        TEST(test_wake__is_of_nobody_where_the_run_is_due_in_a_second),
        TEST(test_wake__survives_a_clock_that_was_set_back),
    };

    return cmocka_run_group_tests(tests, database_server_start, database_server_stop);
}
