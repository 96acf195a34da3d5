/*
 * Claims, outcomes and what time does to them: fair among keys, limits that hold with many connections at once, leases by the
 * database's clock, an outcome that counts once.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "tests/support/database.h"
#include "tests/support/test.h"

static struct database *database;
static mr_db *db;
static mr_db *other;

static int setup(void **state)
{
    (void)state;
    database = database_new();
    db = database->db;
    other = database_connect(database);
    sql_exec(db, "INSERT INTO millrace.job (name, work, manual) VALUES ('pull', 'pull', false), ('push', 'push', false), ('quiet', 'pull', false)");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mr_db_destroy(&other);
    database_destroy(&database);
    return 0;
}

#define TEXT(...) sql_text(db, __VA_ARGS__)

/* Claims into a table `hand`: id, claim, attempt, key, args and the place in which it came. */
static int64_t claim_on(mr_db *on, int most, const char *after_key)
{
    sql_exec(on, "DROP TABLE IF EXISTS pg_temp.hand; CREATE TEMP TABLE hand AS SELECT * FROM millrace.claim_runs('pull', %d, 30000, 'w1', %s)"
                 " WITH ORDINALITY AS c (id, claim, attempt, max_attempts, key, args, created_at, due_at, scheduled_for, traceparent, until, place)",
             most, after_key);
    return sql_number(on, "SELECT count(*) FROM hand");
}

static int64_t claim(int most)
{
    return claim_on(db, most, "NULL");
}

/* Tells the same of all that is in hand; "200 succeeded, 409 …", in the order of claims, each answer once. */
static const char *settle_on(mr_db *on, const char *outcome, const char *error, const char *pause_ms)
{
    return sql_text(on,
                    "SELECT string_agg(DISTINCT s.status || ' ' || s.state, ', ') FROM (SELECT array_agg(id ORDER BY place) AS ids, array_agg(claim ORDER BY place) AS claims,"
                    " count(*)::int AS n FROM hand) h, millrace.settle_runs(h.ids, h.claims, array_fill('%s'::text, ARRAY[h.n]), NULL,"
                    " array_fill(%s::text, ARRAY[h.n]), array_fill(%s::bigint, ARRAY[h.n]), NULL, array_fill(NULL::jsonb, ARRAY[h.n])) s",
                    outcome, error, pause_ms);
}

static const char *settle(const char *outcome)
{
    return settle_on(db, outcome, "NULL", "NULL");
}

static const char *state_of_all(void)
{
    return TEXT("SELECT string_agg(state || ' ' || n, ', ' ORDER BY state) FROM (SELECT state, count(*) AS n FROM millrace.every_run GROUP BY state) s");
}

/* A run that is not finished stands in one of the three tables, any other in none of them; what is dead or cancelled is in the table of such. */
static void assert_places(void)
{
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.run r WHERE (r.outcome IS NULL)::int <>"
                                    " (SELECT count(*) FROM millrace.ready y WHERE y.job = r.job AND y.key = r.key AND y.turn = r.turn AND y.id = r.id)"
                                    " + (SELECT count(*) FROM millrace.later l WHERE l.id = r.id AND l.turn = r.turn)"
                                    " + (SELECT count(*) FROM millrace.lease l WHERE l.id = r.id)"),
                     0);
    assert_int_equal(sql_number(db, "SELECT (SELECT count(*) FROM millrace.ready) + (SELECT count(*) FROM millrace.later) + (SELECT count(*) FROM millrace.lease)"
                                    " - (SELECT count(*) FROM millrace.run WHERE outcome IS NULL)"),
                     0);
    assert_int_equal(sql_number(db, "SELECT count(*) FROM (SELECT r.job, r.outcome, r.id FROM millrace.run r WHERE r.outcome IN ('dead', 'cancelled')) r"
                                    " FULL JOIN millrace.stopped s ON s.job = r.job AND s.outcome = r.outcome AND s.id = r.id"
                                    " WHERE r.id IS NULL OR s.id IS NULL"),
                     0);
}

static void sweep(void)
{
    sql_exec(db, "SELECT * FROM millrace.sweep_runs(1000)");
}

/* As if that much time had passed for what waits and for what is in hand. */
static void pass(const char *interval)
{
    sql_exec(db, "UPDATE millrace.later SET at = at - interval '%s'; UPDATE millrace.lease SET until = until - interval '%s'", interval, interval);
}

/* ---- Whose turn it is ---- */

static void test_claim__gives_what_was_queued(void **state)
{
    (void)state;
    sql_exec(db, "SELECT millrace.enqueue('pull', '{\"a\": 1}', key => 'k')");
    assert_int_equal(claim(10), 1);
    assert_string_equal(TEXT("SELECT concat_ws(' ', attempt, max_attempts, key, args, until > now() + interval '29 s', until < now() + interval '31 s') FROM hand"),
                        "1 10 k {\"a\": 1} t t");
    assert_string_equal(state_of_all(), "running 1");
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.claim_runs('pull', 10, NULL, NULL, NULL)"), 0);
    assert_string_equal(settle("succeeded"), "200 succeeded");
    assert_string_equal(TEXT("SELECT concat_ws(' ', attempt, started_at IS NOT NULL, finished_at IS NOT NULL) FROM millrace.run"), "1 t t");
    assert_places();
}

/* Who queues 100,000 does not stand in front of who queues one. */
static void test_claim__takes_keys_in_turn(void **state)
{
    char after[32] = "NULL";
    int claims = 0;

    (void)state;
    sql_exec(db, "SELECT count(*) FROM millrace.enqueue_many('pull', array_fill('{}'::jsonb, ARRAY[100000]), key => 'a')");
    sql_exec(db, "SELECT millrace.enqueue('pull', key => 'b'), millrace.enqueue('pull', key => 'c'), millrace.enqueue('pull')");
    assert_int_equal(claim(8), 8);
    assert_string_equal(TEXT("SELECT string_agg(key || n, ' ' ORDER BY key) FROM (SELECT key, count(*) AS n FROM hand GROUP BY key) h"), "1 a5 b1 c1");
    assert_string_equal(TEXT("SELECT string_agg(key, ',' ORDER BY place) FROM hand WHERE place <= 4"), "a,b,c,");
    sql_exec(db, "SELECT count(millrace.enqueue('pull', key => 'k' || i)) FROM generate_series(1, 50) i");
    /* One at a time, from the key that came last: each of the 51 keys has its turn once in 51. */
    for (; claims < 51; claims++) {
        assert_int_equal(claim_on(db, 1, after), 1);
        snprintf(after, sizeof after, "'%s'", TEXT("SELECT key FROM hand"));
    }
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.ready WHERE key <> 'a'"), 0);
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.ready"), 100000 - 5 - 1);
}

static void test_claim__of_one_key_goes_by_priority_which_age_makes_up_for(void **state)
{
    (void)state;
    sql_exec(db, "SELECT millrace.enqueue('pull', '{\"n\": \"usual\"}'), millrace.enqueue('pull', '{\"n\": \"urgent\"}', priority => 5),"
                 " millrace.enqueue('pull', '{\"n\": \"idle\"}', priority => -5), millrace.enqueue('pull', '{\"n\": \"second\"}')");
    /* Six minutes ago that one was less urgent than five points now. */
    sql_exec(db, "UPDATE millrace.run SET turn = turn - interval '6 minutes' WHERE args ->> 'n' = 'second';"
                 "UPDATE millrace.ready y SET turn = r.turn FROM millrace.run r WHERE r.id = y.id");
    assert_int_equal(claim(10), 4);
    assert_string_equal(TEXT("SELECT string_agg(args ->> 'n', ' ' ORDER BY place) FROM hand"), "second urgent usual idle");
}

static void test_claim__fills_up_where_others_have_less_than_their_share(void **state)
{
    (void)state;
    sql_exec(db, "SELECT count(millrace.enqueue('pull', key => 'a')) FROM generate_series(1, 60) i; SELECT millrace.enqueue('pull', key => 'b')");
    assert_int_equal(claim(50), 50);
    assert_int_equal(sql_number(db, "SELECT count(*) FROM hand WHERE key = 'b'"), 1);
}

static void test_claim__of_a_paused_job_gives_nothing(void **state)
{
    (void)state;
    sql_exec(db, "SELECT millrace.enqueue('pull'); UPDATE millrace.job SET paused_at = now() WHERE name = 'pull'");
    assert_int_equal(claim(1), 0);
    sql_exec(db, "UPDATE millrace.job SET paused_at = NULL, removed_at = now() WHERE name = 'pull'");
    assert_int_equal(claim(1), 1); /* what waits for a job that was removed is worked on */
}

static void test_claim__finds_what_a_long_transaction_commits(void **state)
{
    (void)state;
    sql_exec(other, "BEGIN; SELECT millrace.enqueue('pull', '{\"n\": \"early\"}')");
    for (int i = 0; i < 30; i++) {
        sql_exec(db, "SELECT millrace.enqueue('pull', '{\"n\": \"late\"}')");
        assert_int_equal(claim(5), 1);
        assert_string_equal(TEXT("SELECT args ->> 'n' FROM hand"), "late");
        assert_string_equal(settle("succeeded"), "200 succeeded");
    }
    sql_exec(db, "SELECT millrace.enqueue('pull', '{\"n\": \"late\"}')");
    sql_exec(other, "COMMIT");
    assert_int_equal(claim(1), 1);
    assert_string_equal(TEXT("SELECT args ->> 'n' FROM hand"), "early");
}

/* When the session looks at everything next, which it does each second. It has to have noted something. */
static void look_again_in(const char *interval)
{
    assert_int_equal(sql_number(db, "SELECT count(set_config(name, jsonb_set(setting::jsonb, '{next}', to_jsonb(now() + interval '%s'))::text, false)) FROM"
                                    " (SELECT 'millrace.marks_' || md5('pull') AS name, current_setting('millrace.marks_' || md5('pull'), true) AS setting) s"
                                    " WHERE setting <> ''", interval), 1);
}

static int64_t entries_read(void)
{
    return sql_number(db, "SELECT pg_stat_get_xact_tuples_returned('millrace.ready_pkey'::regclass)");
}

/*
 * A transaction that stays open keeps the entries of all that was claimed meanwhile. Claims read past them once a second, not each
 * time; and what has a turn before those of the last claims is found at the next look.
 */
static void test_claim__does_not_grow_while_a_transaction_stays_open(void **state)
{
    int64_t read;

    (void)state;
    sql_exec(other, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM millrace.run");
    sql_exec(db, "SELECT count(*) FROM millrace.enqueue_many('pull', array_fill('{}'::jsonb, ARRAY[9000]))");
    for (int i = 0; i < 8; i++)
        assert_int_equal(claim(1000), 1000);
    assert_int_equal(claim(50), 50); /* it has read past 8,000, and noted where it came to */
    look_again_in("1 hour");
    sql_exec(db, "BEGIN");
    read = entries_read();
    assert_int_equal(claim(50), 50);
    read = entries_read() - read;
    sql_exec(db, "COMMIT");
    if (read > 500)
        fail_test("a claim of 50 read %lld entries", (long long)read);
    sql_exec(db, "SELECT millrace.enqueue('pull', '{\"n\": \"urgent\"}', priority => 100), millrace.enqueue('pull', '{\"n\": \"new\"}', key => 'new')");
    look_again_in("0 s");
    assert_int_equal(claim(50), 50);
    assert_int_equal(sql_number(db, "SELECT count(*) FROM hand WHERE args <> '{}'"), 2);
    sql_exec(other, "COMMIT");
}

/* Where each claim visits many keys, nothing is noted: what is dead of a key is read once, on the way to the first that is not. */
static void test_claim__of_many_keys_reads_what_is_dead_once(void **state)
{
    int64_t read;

    (void)state;
    sql_exec(other, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM millrace.run");
    sql_exec(db, "SELECT millrace.enqueue('pull', key => 'k' || i %% 50) FROM generate_series(1, 2000) i");
    assert_int_equal(claim(1500), 1500); /* 30 of each */
    sql_exec(db, "BEGIN");
    read = entries_read();
    assert_int_equal(claim(50), 50);
    read = entries_read() - read;
    sql_exec(db, "COMMIT");
    assert_in_range(read, 50 * 30, 50 * 36);
    sql_exec(other, "COMMIT");
}

/* ---- Limits, with many connections at once ---- */

enum { WORKERS = 6, MOST = 5, RUNS = 300 };

static atomic_int settled;
static atomic_llong seen_most, seen_most_of_a_key;

static void note_most(atomic_llong *most, long long value)
{
    long long before = atomic_load(most);

    while (value > before && !atomic_compare_exchange_weak(most, &before, value)) {
    }
}

/*
 * Claims and settles until nothing is left; between the two it counts what all have in hand. NULL, or `argument` where a statement
 * failed: a thread must not fail the test itself, nor use sql_text, whose answer has one place.
 */
static void *work(void *argument)
{
    mr_db *mine = argument;

    while (atomic_load(&settled) < RUNS) {
        mr_rows *rows = NULL;
        struct mr_slice value = {"", 0};
        int64_t counts[3] = {0};
        static const char *const steps[] = {
            ("DROP TABLE IF EXISTS pg_temp.hand; CREATE TEMP TABLE hand AS SELECT id, claim FROM millrace.claim_runs('pull', 3, 30000, 'w', NULL);"
            "SELECT count(*) FROM hand"),
            "SELECT count(*) FROM millrace.lease",
            "SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM millrace.lease GROUP BY key) k"};

        for (int i = 0; i < 3; i++) {
            if (mr_db_exec(mine, steps[i], mr_mono_ms(&mr_system_clock) + 60000, &rows) != MR_OK)
                return argument;
            if (mr_rows_get(rows, 0, 0, &value))
                counts[i] = strtoll(value.data, NULL, 10);
            mr_rows_free(&rows);
        }
        note_most(&seen_most, counts[1]);
        note_most(&seen_most_of_a_key, counts[2]);
        if (counts[0] == 0) {
            pause_briefly();
            continue;
        }
        if (mr_db_exec(mine, "SELECT count(*) FROM (SELECT array_agg(id) AS ids, array_agg(claim) AS claims, count(*)::int AS n FROM hand) h,"
                             " millrace.settle_runs(h.ids, h.claims, array_fill('succeeded'::text, ARRAY[h.n]), NULL, NULL, NULL, NULL, NULL) s WHERE s.status = 200",
                       mr_mono_ms(&mr_system_clock) + 60000, &rows) != MR_OK)
            return argument;
        if (mr_rows_get(rows, 0, 0, &value))
            atomic_fetch_add(&settled, (int)strtoll(value.data, NULL, 10));
        mr_rows_free(&rows);
    }
    return NULL;
}

static void work_side_by_side(void)
{
    pthread_t threads[WORKERS];
    mr_db *dbs[WORKERS];
    bool good = true;

    settled = 0;
    seen_most = 0;
    seen_most_of_a_key = 0;
    for (int i = 0; i < WORKERS; i++)
        dbs[i] = database_connect(database);
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, dbs[i]), 0);
    for (int i = 0; i < WORKERS; i++) {
        void *failed = NULL;

        pthread_join(threads[i], &failed);
        good = good && failed == NULL;
        mr_db_destroy(&dbs[i]);
    }
    assert_true(good);
    assert_int_equal(settled, RUNS);
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.run WHERE outcome = 'succeeded' AND attempt = 1"), RUNS);
    assert_places();
}

static void test_limit__of_the_job_is_exact(void **state)
{
    (void)state;
    sql_exec(db, "UPDATE millrace.job SET concurrency = %d WHERE name = 'pull'; SELECT count(millrace.enqueue('pull')) FROM generate_series(1, %d)", MOST, RUNS);
    work_side_by_side();
    assert_int_equal(seen_most, MOST);
}

static void test_limit__of_a_key_is_exact(void **state)
{
    (void)state;
    sql_exec(db, "UPDATE millrace.job SET per_key = 1 WHERE name = 'pull'; SELECT count(millrace.enqueue('pull', key => 'k' || i %% 7)) FROM generate_series(1, %d) i", RUNS);
    work_side_by_side();
    assert_int_equal(seen_most_of_a_key, 1);
    assert_true(seen_most > 1);
}

static void test_limit__is_followed_at_once(void **state)
{
    (void)state;
    sql_exec(db, "SELECT count(millrace.enqueue('pull', key => 'k' || i %% 3)) FROM generate_series(1, 30) i");
    assert_int_equal(claim(4), 4);
    sql_exec(db, "UPDATE millrace.job SET concurrency = 6 WHERE name = 'pull'");
    assert_int_equal(claim(30), 2);
    sql_exec(db, "UPDATE millrace.job SET concurrency = 4 WHERE name = 'pull'");
    assert_int_equal(claim(30), 0);
    sql_exec(db, "UPDATE millrace.job SET concurrency = NULL, per_key = 3 WHERE name = 'pull'");
    assert_int_equal(claim(30), 3);
}

/* Counting is of no use on a snapshot from before the others' claims. */
static void test_limit__is_not_counted_under_repeatable_read(void **state)
{
    mr_rows *rows = NULL;

    (void)state;
    sql_exec(db, "UPDATE millrace.job SET concurrency = 1 WHERE name = 'pull'; SELECT millrace.enqueue('pull')");
    sql_exec(db, "BEGIN ISOLATION LEVEL REPEATABLE READ");
    assert_int_not_equal(mr_db_exec(db, "SELECT * FROM millrace.claim_runs('pull', 1, 1000, 'w', NULL)", mr_mono_ms(&mr_system_clock) + 30000, &rows), MR_OK);
    assert_non_null(strstr(mr_db_last_error(db)->message, "READ COMMITTED"));
    sql_exec(db, "ROLLBACK");
}

/* ---- Outcomes ---- */

static void test_settle__counts_once_and_says_so_again(void **state)
{
    (void)state;
    sql_exec(db, "SELECT millrace.enqueue('pull')");
    assert_int_equal(claim(1), 1);
    assert_string_equal(settle("succeeded"), "200 succeeded");
    assert_string_equal(settle("succeeded"), "200 succeeded");
    assert_string_equal(settle("failed"), "409 succeeded");
    assert_string_equal(settle("working"), "409 succeeded");
    assert_int_equal(sql_number(db, "SELECT succeeded + failed FROM millrace.run_tally"), 1);
    sql_exec(db, "UPDATE hand SET id = gen_random_uuid()");
    assert_string_equal(TEXT("SELECT s.status || ' ' || s.message FROM hand, millrace.settle_runs(ARRAY[hand.id], ARRAY[hand.claim], '{failed}', NULL, NULL, NULL, NULL, NULL) s"),
                        "404 there is no such run");
    assert_int_equal(sql_number(db, "SELECT status FROM millrace.settle_runs('{00000000-0000-0000-0000-000000000000}', '{1}', '{done}', NULL, NULL, NULL, NULL, NULL)"), 400);
}

/* What is said twice of one run in a batch is said one after the other. */
static void test_settle__takes_a_batch_in_its_order(void **state)
{
    (void)state;
    sql_exec(db, "SELECT millrace.enqueue('pull'), millrace.enqueue('pull')");
    assert_int_equal(claim(2), 2);
    assert_string_equal(TEXT("SELECT string_agg(s.n || ' ' || s.status || ' ' || s.state, ', ' ORDER BY s.n) FROM (SELECT min(id::text)::uuid AS a, max(id::text)::uuid AS b, max(claim) AS c"
                             " FROM hand) h, millrace.settle_runs(ARRAY[h.a, h.b, h.a, h.a], ARRAY[h.c, h.c, h.c, h.c], '{working,succeeded,failed,succeeded}', NULL, NULL, NULL, NULL, NULL) s"),
                        "1 200 running, 2 200 succeeded, 3 200 failed, 4 409 failed");
    assert_places();
}

/* A worker's failure is kept whatever work the job is by now; of a call whoever made it keeps the attempt, and the sweep that of either. */
static void test_settle__keeps_the_attempt_of_whoever_had_the_run(void **state)
{
    static const char *const works[] = {"push", "pull"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        sql_exec(db, "TRUNCATE millrace.run_attempt; SELECT millrace.enqueue_many('pull', '{NULL, NULL}')");
        assert_int_equal(claim(1), 1);
        sql_exec(db, "UPDATE millrace.job SET work = '%s' WHERE name = 'pull'", works[i]);
        assert_string_equal(settle_on(db, "failed", "'by a worker'", "NULL"), "200 failed");
        assert_string_equal(TEXT("SELECT string_agg(error || ' ' || worker, ', ') FROM millrace.run_attempt"), "by a worker w1");
        assert_int_equal(claim(1), 1);
        assert_int_equal(sql_number(db, "SELECT s.status FROM hand, millrace.settle_runs(ARRAY[hand.id], ARRAY[hand.claim], '{failed}', NULL, '{by a call}', NULL, NULL, NULL) s"), 200);
        assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.run_attempt"), 1);
    }
    sql_exec(db, "DELETE FROM millrace.run; DELETE FROM millrace.later");
}

static void test_settle__of_a_failure_waits_longer_each_time_and_dies_in_the_end(void **state)
{
    (void)state;
    sql_exec(db, "UPDATE millrace.job SET attempts = 5, retry_first_ms = 1000, retry_most_ms = 3000 WHERE name = 'pull'; SELECT millrace.enqueue('pull')");
    for (int attempt = 1; attempt <= 5; attempt++) {
        int usual = attempt == 1 ? 1000 : attempt == 2 ? 2000 : 3000;

        assert_int_equal(claim(1), 1);
        assert_int_equal(sql_number(db, "SELECT attempt FROM hand"), attempt);
        sql_exec(db, "BEGIN"); /* in which now() stands still */
        assert_string_equal(settle_on(db, "failed", "'no luck'", "NULL"), attempt < 5 ? "200 failed" : "200 dead");
        if (attempt < 5)
            assert_in_range(sql_number(db, "SELECT extract(epoch FROM at - now()) * 1000 FROM millrace.later"), usual * 9 / 10, usual * 11 / 10);
        sql_exec(db, "COMMIT");
        assert_places();
        assert_int_equal(claim(1), 0);
        pass("4 s");
        sweep();
    }
    assert_string_equal(TEXT("SELECT concat_ws(' ', outcome, attempt, error, dead_at = finished_at) FROM millrace.run"), "dead 5 no luck t");
    assert_string_equal(TEXT("SELECT string_agg(attempt || ' ' || error || ' ' || worker, ', ' ORDER BY attempt) FROM millrace.run_attempt"),
                        "1 no luck w1, 2 no luck w1, 3 no luck w1, 4 no luck w1, 5 no luck w1");
    assert_string_equal(TEXT("SELECT sum(failed) || ' ' || sum(dead) FROM millrace.run_tally"), "5 1");
}

/* A thousand failures at once: between 0.9 and 1.1 times what is usual, and spread over that. */
static void test_settle__of_failures_spreads_their_retries(void **state)
{
    (void)state;
    sql_exec(db, "UPDATE millrace.job SET retry_first_ms = 1000000 WHERE name = 'pull'; SELECT count(millrace.enqueue('pull')) FROM generate_series(1, 1000)");
    assert_int_equal(claim(1000), 1000);
    sql_exec(db, "BEGIN");
    assert_string_equal(settle("failed"), "200 failed");
    assert_string_equal(TEXT("SELECT concat_ws(' ', min(s) >= 900, max(s) <= 1100, min(s) < 910, max(s) > 1090) FROM (SELECT extract(epoch FROM at - now()) AS s FROM millrace.later) l"),
                        "t t t t");
    sql_exec(db, "COMMIT");
}

static void test_settle__honours_a_pause_that_the_worker_asks_for(void **state)
{
    (void)state;
    sql_exec(db, "SELECT millrace.enqueue('pull')");
    assert_int_equal(claim(1), 1);
    sql_exec(db, "BEGIN");
    assert_string_equal(settle_on(db, "failed", "'busy'", "90000"), "200 failed");
    assert_int_equal(sql_number(db, "SELECT extract(epoch FROM at - now()) FROM millrace.later"), 90);
    sql_exec(db, "COMMIT");
    pass("90 s");
    sweep();
    assert_int_equal(claim(1), 1);
    assert_int_equal(sql_number(db, "SELECT attempt FROM hand"), 2);
    assert_string_equal(settle_on(db, "failed", "'busy'", "0"), "200 failed");
    assert_int_equal(claim(1), 1);
}

static void test_settle__snoozed_and_released_are_no_attempts(void **state)
{
    (void)state;
    sql_exec(db, "SELECT millrace.enqueue('pull')");
    for (int i = 0; i < 12; i++) {
        assert_int_equal(claim(1), 1);
        assert_int_equal(sql_number(db, "SELECT attempt FROM hand"), 1);
        assert_string_equal(settle_on(db, i % 2 ? "snoozed" : "released", "NULL", "5000"), "200 queued");
        assert_places();
        pass("5 s");
        sweep();
    }
    assert_string_equal(state_of_all(), "queued 1");
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.run_attempt"), 0);
}

static void test_settle__working_keeps_the_lease(void **state)
{
    (void)state;
    sql_exec(db, "SELECT millrace.enqueue('pull')");
    assert_int_equal(claim(1), 1);
    assert_string_equal(TEXT("SELECT s.status || ' ' || s.state FROM hand, millrace.settle_runs(ARRAY[hand.id], ARRAY[hand.claim], '{working}', NULL, NULL, NULL, '{600000}', '{\"{\\\"done\\\": 3}\"}') s"),
                        "200 running");
    assert_string_equal(TEXT("SELECT concat_ws(' ', until > now() + interval '9 minutes', progress) FROM millrace.every_run"), "t {\"done\": 3}");
    pass("5 minutes");
    sweep();
    assert_string_equal(settle("succeeded"), "200 succeeded");
}

static void *succeed_in_hand(void *argument)
{
    return strcmp(settle_on(argument, "succeeded", "NULL", "NULL"), "200 succeeded") == 0 ? argument : NULL;
}

/* Of two that tell the same at once the second has to wait for the first, and is answered by what that left. */
static void test_settle__of_the_same_twice_at_once_is_the_same_answer(void **state)
{
    pthread_t thread;
    void *good = NULL;

    (void)state;
    sql_exec(db, "SELECT count(millrace.enqueue('pull')) FROM generate_series(1, 3)");
    assert_int_equal(claim_on(other, 3, "NULL"), 3);
    sql_exec(db, "BEGIN; SELECT millrace.settle_runs(array_agg(id), array_agg(claim), '{succeeded,succeeded,succeeded}', NULL, NULL, NULL, NULL, NULL) FROM millrace.lease");
    assert_int_equal(pthread_create(&thread, NULL, succeed_in_hand, other), 0);
    eventually(sql_number(db, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") == 1);
    sql_exec(db, "COMMIT");
    pthread_join(thread, &good);
    assert_non_null(good);
    assert_int_equal(sql_number(db, "SELECT sum(succeeded) FROM millrace.run_tally"), 3);
    assert_places();
}

static void test_functions__of_nothing_answer_nothing(void **state)
{
    static const char *const calls[] = {
        "millrace.claim_runs('pull', 0, 1000, 'w', NULL)",
        "millrace.claim_runs('pull', NULL, 1000, 'w', NULL)",
        "millrace.claim_runs(NULL, 1, 1000, 'w', NULL)",
        "millrace.claim_for('pull', '{}', '{}', '{}', NULL)",
        "millrace.claim_for('pull', '{NULL}', '{NULL}', '{NULL}', NULL)",
        "millrace.settle_runs('{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')",
        "millrace.settle_runs('{}', NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
        "millrace.settle_runs(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
        "millrace.cancel_runs('{}')",
        "millrace.cancel_runs(NULL)",
        "millrace.retry_runs('{}')",
        "millrace.retry_runs(NULL)",
        "millrace.delete_runs('{}')",
        "millrace.delete_runs(NULL)",
        "millrace.queue_runs('{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')",
        "millrace.queue_runs(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
        "millrace.enqueue_many('pull', '{}')",
        "millrace.enqueue_many('pull', NULL)"};

    (void)state;
    sql_exec(db, "SELECT millrace.enqueue('pull')");
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        if (sql_number(db, "SELECT count(*) FROM %s", calls[i]) != 0)
            fail_test("%s answers", calls[i]);
    assert_int_equal(sql_number(db, "SELECT status FROM millrace.settle_runs('{NULL}', '{NULL}', '{succeeded}', NULL, NULL, NULL, NULL, NULL)"), 404);
    assert_int_equal(sql_number(db, "SELECT status FROM millrace.cancel_runs('{NULL}')"), 404);
    assert_int_equal(sql_number(db, "SELECT status FROM millrace.retry_runs('{NULL}')"), 404);
    assert_int_equal(sql_number(db, "SELECT status FROM millrace.delete_runs('{NULL}')"), 404);
    assert_int_equal(claim(1), 1);
    assert_int_equal(sql_number(db, "SELECT s.status FROM hand, millrace.settle_runs(ARRAY[hand.id], ARRAY[hand.claim], '{NULL}', NULL, NULL, NULL, NULL, NULL) s"), 400);
    assert_int_equal(sql_number(db, "SELECT s.status FROM hand, millrace.settle_runs(ARRAY[hand.id], '{NULL}', '{succeeded}', NULL, NULL, NULL, NULL, NULL) s"), 409);
    assert_places();
}

/* ---- Time ---- */

static void test_sweep__makes_ready_what_is_due(void **state)
{
    (void)state;
    sql_exec(db, "SELECT millrace.enqueue('pull', '{}', now() + interval '60 s')");
    assert_int_equal(claim(1), 0);
    assert_string_equal(TEXT("SELECT concat_ws(' ', promoted, expired, next_ms BETWEEN 50000 AND 60000) FROM millrace.sweep_runs(10)"), "0 0 t");
    pass("61 s");
    assert_string_equal(TEXT("SELECT concat_ws(' ', promoted, expired, next_ms IS NULL) FROM millrace.sweep_runs(10)"), "1 0 t");
    assert_int_equal(claim(1), 1);
}

/* At once, however long the job waits after a failure: the lease was the pause. */
static void test_sweep__takes_back_what_nobody_has_been_heard_of(void **state)
{
    (void)state;
    sql_exec(db, "UPDATE millrace.job SET retry_first_ms = 3600000 WHERE name = 'pull'; SELECT millrace.enqueue('pull')");
    assert_int_equal(claim(1), 1);
    assert_string_equal(TEXT("SELECT concat_ws(' ', promoted, expired, next_ms BETWEEN 1 AND 30000) FROM millrace.sweep_runs(10)"), "0 0 t");
    pass("30 s");
    assert_int_equal(sql_number(db, "SELECT expired FROM millrace.sweep_runs(10)"), 1);
    assert_string_equal(TEXT("SELECT concat_ws(' ', state, attempt, error) FROM millrace.every_run"), "failed 1 the lease ran out");
    assert_string_equal(TEXT("SELECT attempt || ' ' || error FROM millrace.run_attempt"), "1 the lease ran out");
    assert_string_equal(settle("succeeded"), "409 failed"); /* the worker comes too late */
    assert_int_equal(sql_number(db, "SELECT attempt FROM millrace.claim_runs('pull', 1, 30000, 'w2', NULL)"), 2);
    assert_string_equal(settle("succeeded"), "409 running");
    assert_string_equal(settle("working"), "409 running");
    assert_places();
}

/* What somebody holds is passed over; nothing waits, and two that look at once take each run once. */
static void test_sweep__waits_for_nobody(void **state)
{
    (void)state;
    sql_exec(db, "SELECT count(millrace.enqueue('pull', '{}', now() + (i %% 2) * interval '1 s')) FROM generate_series(1, 20) i");
    assert_int_equal(claim(10), 10);
    pass("60 s");
    sql_exec(other, "BEGIN; SELECT id FROM millrace.lease ORDER BY id LIMIT 3 FOR UPDATE; SELECT id FROM millrace.later ORDER BY id LIMIT 2 FOR UPDATE;"
                    "SELECT id FROM millrace.run WHERE id = (SELECT max(id::text)::uuid FROM millrace.lease) FOR UPDATE");
    sql_exec(db, "SET lock_timeout = '100ms'");
    assert_string_equal(TEXT("SELECT promoted || ' ' || expired FROM millrace.sweep_runs(100)"), "8 6");
    sql_exec(other, "ROLLBACK");
    sql_exec(db, "BEGIN");
    assert_string_equal(TEXT("SELECT promoted || ' ' || expired FROM millrace.sweep_runs(1)"), "1 1");
    sql_exec(other, "SET lock_timeout = '100ms'");
    assert_string_equal(sql_text(other, "SELECT promoted || ' ' || expired FROM millrace.sweep_runs(100)"), "1 3");
    sql_exec(db, "COMMIT");
    assert_places();
}

/* ---- Cancel, retry, delete ---- */

static void test_cancel__ends_what_waits_and_tells_who_works(void **state)
{
    (void)state;
    sql_exec(db, "SELECT millrace.enqueue('pull'), millrace.enqueue('pull', '{}', now() + interval '1 h'), millrace.enqueue('pull', unique_key => 'u'),"
                 " millrace.enqueue('pull', key => 'z')");
    assert_int_equal(claim_on(db, 1, "'y'"), 1);
    assert_string_equal(TEXT("SELECT string_agg(c.status || ' ' || c.state, ', ' ORDER BY r.key, c.n) FROM (SELECT array_agg(id ORDER BY id) AS ids FROM millrace.run) a"
                             " CROSS JOIN millrace.cancel_runs(a.ids) c JOIN millrace.run r ON r.id = a.ids[c.n]"),
                        "200 cancelled, 200 cancelled, 200 cancelled, 200 cancelling");
    assert_places();
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.run_unique"), 0);
    assert_string_equal(settle("working"), "200 cancelling");
    assert_string_equal(settle_on(db, "failed", "'stopped'", "NULL"), "200 cancelled");
    assert_string_equal(state_of_all(), "cancelled 4");
    assert_int_equal(sql_number(db, "SELECT status FROM (SELECT id FROM millrace.run LIMIT 1) r, millrace.cancel_run(r.id)"), 409);
    assert_int_equal(sql_number(db, "SELECT status FROM millrace.cancel_run(gen_random_uuid())"), 404);
    assert_places();
}

static void test_cancel__is_too_late_for_a_success_and_in_time_for_all_else(void **state)
{
    static const char *const cases[][2] = {{"succeeded", "200 succeeded"}, {"failed", "200 cancelled"}, {"snoozed", "200 cancelled"}, {"released", "200 cancelled"}};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        sql_exec(db, "SELECT millrace.enqueue('pull')");
        assert_int_equal(claim(1), 1);
        sql_exec(db, "SELECT millrace.cancel_runs(array_agg(id)) FROM hand");
        assert_string_equal(settle(cases[i][0]), cases[i][1]);
        assert_places();
    }
    sql_exec(db, "SELECT millrace.enqueue('pull')");
    assert_int_equal(claim(1), 1);
    sql_exec(db, "SELECT millrace.cancel_runs(array_agg(id)) FROM hand");
    pass("1 minute");
    sweep();
    assert_string_equal(TEXT("SELECT state FROM millrace.every_run JOIN hand USING (id)"), "cancelled");
    assert_places();
}

static void *fail_in_hand(void *argument)
{
    return strcmp(settle_on(argument, "failed", "NULL", "NULL"), "200 cancelled") == 0 ? argument : NULL;
}

/* An outcome that has to wait for whoever cancels decides by what is there then. */
static void test_cancel__that_commits_during_an_outcome_counts(void **state)
{
    pthread_t thread;
    void *good = NULL;

    (void)state;
    sql_exec(db, "SELECT millrace.enqueue('pull')");
    assert_int_equal(claim_on(other, 1, "NULL"), 1);
    sql_exec(db, "BEGIN; SELECT millrace.cancel_runs(array_agg(id)) FROM millrace.run");
    assert_int_equal(pthread_create(&thread, NULL, fail_in_hand, other), 0);
    eventually(sql_number(db, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") == 1);
    sql_exec(db, "COMMIT");
    pthread_join(thread, &good);
    assert_non_null(good);
    assert_places();
}

static void test_retry__plays_again_what_is_dead(void **state)
{
    (void)state;
    sql_exec(db, "UPDATE millrace.job SET attempts = 1 WHERE name = 'pull'; SELECT millrace.enqueue('pull', unique_key => 'u'), millrace.enqueue('pull')");
    assert_int_equal(claim(2), 2);
    assert_string_equal(settle("failed"), "200 dead");
    sql_exec(db, "SELECT millrace.enqueue('pull', unique_key => 'u')"); /* another stands for the key by now */
    assert_string_equal(TEXT("SELECT string_agg(s.status || ' ' || s.state, ', ' ORDER BY r.unique_key) FROM (SELECT array_agg(id) AS ids FROM hand) h"
                             " CROSS JOIN millrace.retry_runs(h.ids) s JOIN millrace.run r ON r.id = h.ids[s.n]"), "409 dead, 200 queued");
    assert_places();
    sql_exec(db, "SELECT millrace.cancel_runs(array_agg(id)) FROM millrace.run WHERE outcome IS NULL AND unique_key = 'u'");
    assert_string_equal(TEXT("SELECT string_agg(DISTINCT s.status || ' ' || s.state, ', ') FROM (SELECT array_agg(id) AS ids FROM millrace.run WHERE dead_at IS NOT NULL) h,"
                             " millrace.retry_runs(h.ids) s"), "200 queued");
    assert_int_equal(claim(10), 2);
    assert_string_equal(TEXT("SELECT string_agg(attempt || '/' || max_attempts, ' ') FROM hand"), "2/2 2/2");
    assert_string_equal(settle("succeeded"), "200 succeeded");
    assert_int_equal(sql_number(db, "SELECT status FROM (SELECT id FROM hand LIMIT 1) r, millrace.retry_run(r.id)"), 409);
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.run_unique"), 0);
}

/* Each died while another could be queued, so they have the key one after the other: in one call only one of them comes back. */
static void test_retry__of_two_with_one_unique_key_is_of_one(void **state)
{
    (void)state;
    sql_exec(db, "UPDATE millrace.job SET attempts = 1 WHERE name = 'pull'");
    for (int i = 0; i < 3; i++) {
        sql_exec(db, "SELECT millrace.enqueue('pull', unique_key => 'u'), millrace.enqueue('pull', unique_key => 'v' || %d)", i);
        assert_int_equal(claim(2), 2);
        assert_string_equal(settle("failed"), "200 dead");
    }
    assert_string_equal(TEXT("SELECT string_agg(DISTINCT r.unique_key || ' ' || s.status || ' ' || s.state, ', ' ORDER BY r.unique_key || ' ' || s.status || ' ' || s.state)"
                             " FROM (SELECT array_agg(id ORDER BY id) AS ids FROM millrace.run) h CROSS JOIN millrace.retry_runs(h.ids) s JOIN millrace.run r ON r.id = h.ids[s.n]"),
                        "u 200 queued, u 409 dead, v0 200 queued, v1 200 queued, v2 200 queued");
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.ready"), 4);
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.run_unique u JOIN millrace.ready r ON r.id = u.run_id"), 4);
    assert_places();
}

static void assert_listed(const char *expected)
{
    assert_string_equal(TEXT("SELECT coalesce(string_agg(s.outcome || ' ' || s.many, ', ' ORDER BY s.outcome), '') FROM"
                             " (SELECT s.outcome, count(*) AS many FROM millrace.stopped s GROUP BY s.outcome) s"),
                        expected);
    assert_places();
}

static void test_stopped__is_what_is_dead_or_cancelled(void **state)
{
    (void)state;
    sql_exec(db, "UPDATE millrace.job SET attempts = 1 WHERE name = 'pull'; SELECT millrace.enqueue('pull') FROM generate_series(1, 6)");
    assert_int_equal(claim(4), 4);
    sql_exec(db, "SELECT millrace.cancel_runs(array_agg(id)) FROM (SELECT id FROM hand LIMIT 1) h");
    settle("failed");
    assert_listed("cancelled 1, dead 3");
    sql_exec(db, "SELECT millrace.cancel_runs(array_agg(id)) FROM millrace.run WHERE outcome IS NULL");
    assert_listed("cancelled 3, dead 3");
    sql_exec(db, "SELECT millrace.retry_runs(ARRAY[min(id::text), max(id::text)]::uuid[]) FROM millrace.run WHERE outcome = 'dead'");
    assert_listed("cancelled 3, dead 1");
    sql_exec(db, "SELECT millrace.retry_runs(array_agg(id)) FROM millrace.run WHERE outcome = 'cancelled'");
    assert_listed("dead 1");
    assert_int_equal(claim(10), 5);
    settle("failed");
    assert_listed("dead 6");
    sql_exec(db, "SELECT millrace.delete_runs(ARRAY[min(id::text)]::uuid[]) FROM millrace.run");
    assert_listed("dead 5");
}

static void test_stopped__follows_whoever_changes_a_run(void **state)
{
    (void)state;
    sql_exec(db, "SELECT millrace.enqueue('pull') FROM generate_series(1, 3)");
    sql_exec(db, "SELECT millrace.cancel_runs(array_agg(id)) FROM millrace.run"); /* says that it keeps the table, and no longer than it does */
    sql_exec(db, "UPDATE millrace.run SET outcome = 'dead', dead_at = now(), cancelled_at = NULL");
    assert_listed("dead 3");
    sql_exec(db, "BEGIN; SELECT millrace.retry_runs(ARRAY[min(id::text)]::uuid[]) FROM millrace.run; DELETE FROM millrace.run WHERE outcome = 'dead'; COMMIT");
    assert_listed("");
    sql_exec(db, "DELETE FROM millrace.ready; UPDATE millrace.run SET outcome = 'cancelled'");
    assert_listed("cancelled 1");
    sql_exec(db, "UPDATE millrace.run SET outcome = 'succeeded'");
    assert_listed("");
}

/* One that is queued behind the retry is claimed behind it, and the priority counts as it does for every other. */
static void test_retry__of_a_failure_is_as_if_it_were_queued_now(void **state)
{
    (void)state;
    sql_exec(db, "UPDATE millrace.job SET retry_first_ms = 3600000 WHERE name = 'pull'; SELECT millrace.enqueue('pull', '{}', priority => 5)");
    assert_int_equal(claim(1), 1);
    assert_string_equal(settle("failed"), "200 failed");
    assert_string_equal(TEXT("SELECT s.status || ' ' || s.state FROM (SELECT id FROM millrace.run) r, millrace.retry_run(r.id) s"), "200 failed");
    assert_string_equal(TEXT("SELECT concat_ws(' ', r.due_at <= now(), y.turn = r.turn, r.due_at - r.turn) FROM millrace.run r JOIN millrace.ready y ON y.id = r.id"),
                        "t t 00:05:00");
    sql_exec(db, "SELECT millrace.enqueue('pull', '{}', priority => 5)");
    assert_int_equal(claim(1), 1);
    assert_string_equal(TEXT("SELECT r.failed::text FROM hand h JOIN millrace.run r ON r.id = h.id"), "true");
    assert_places();
}

static void test_retry__of_a_failure_is_now(void **state)
{
    (void)state;
    sql_exec(db, "SELECT millrace.enqueue('pull')");
    assert_int_equal(claim(1), 1);
    assert_string_equal(settle("failed"), "200 failed");
    assert_int_equal(claim(1), 0);
    assert_string_equal(TEXT("SELECT s.status || ' ' || s.state FROM (SELECT id FROM millrace.run) r, millrace.retry_run(r.id) s"), "200 failed");
    assert_places();
    assert_int_equal(claim(1), 1);
}

static void test_delete__takes_all_of_a_run_that_is_not_in_hand(void **state)
{
    (void)state;
    sql_exec(db, "SELECT millrace.enqueue('pull', key => 'a'), millrace.enqueue('pull', key => 'b'), millrace.enqueue('pull', key => 'c', unique_key => 'u'),"
                 " millrace.enqueue('pull', '{}', now() + interval '1 h', key => 'd')");
    assert_int_equal(claim_on(db, 1, "NULL"), 1);
    assert_string_equal(settle_on(db, "failed", "'x'", "0"), "200 failed");
    assert_int_equal(claim_on(db, 1, "'a'"), 1);
    assert_string_equal(TEXT("SELECT string_agg(r.key || ' ' || s.status, ', ' ORDER BY r.key) FROM (SELECT array_agg(id) AS ids FROM millrace.run) h"
                             " CROSS JOIN millrace.delete_runs(h.ids) s JOIN (SELECT id, key FROM millrace.run) r ON r.id = h.ids[s.n]"),
                        "a 200, b 409, c 200, d 200");
    assert_int_equal(sql_number(db, "SELECT (SELECT count(*) FROM millrace.run) + (SELECT count(*) FROM millrace.run_attempt) + (SELECT count(*) FROM millrace.run_unique)"), 1);
    assert_places();
}

/* ---- How it lies ---- */

/* An outcome that is a success touches no index of `run`. */
static void test_run__updates_stay_in_their_page(void **state)
{
    (void)state;
    sql_exec(db, "SELECT count(*) FROM millrace.enqueue_many('pull', array_fill('{\"order\": 4711, \"mail\": \"somebody@example.org\"}'::jsonb, ARRAY[3000]))");
    assert_int_equal(claim(3000), 3000);
    assert_string_equal(settle("succeeded"), "200 succeeded");
    sql_exec(db, "SELECT pg_stat_force_next_flush()");
    assert_int_equal(sql_number(db, "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relid = 'millrace.run'::regclass"), 3000);
    assert_true(sql_number(db, "SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relid = 'millrace.run'::regclass") >= 2900);
}

static void test_run__that_dies_and_is_played_again_stays_in_its_page(void **state)
{
    (void)state;
    sql_exec(db, "UPDATE millrace.job SET attempts = 1 WHERE name = 'pull';"
                 " SELECT count(*) FROM millrace.enqueue_many('pull', array_fill('{\"order\": 4711}'::jsonb, ARRAY[1000]))");
    assert_int_equal(claim(1000), 1000);
    assert_string_equal(settle("failed"), "200 dead");
    sql_exec(db, "SELECT millrace.retry_runs(array_agg(id)) FROM hand");
    sql_exec(db, "SELECT millrace.cancel_runs(array_agg(id)) FROM hand");
    sql_exec(db, "SELECT pg_stat_force_next_flush()");
    assert_int_equal(sql_number(db, "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relid = 'millrace.run'::regclass"), 3000);
    assert_true(sql_number(db, "SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relid = 'millrace.run'::regclass") >= 2900);
}

/* A process may have another role than whoever migrates: rows and sequences are all that it needs. */
static void test_rights__to_rows_and_sequences_are_enough(void **state)
{
    (void)state;
    sql_exec(db, "CREATE ROLE process; GRANT USAGE ON SCHEMA millrace TO process; GRANT USAGE ON ALL SEQUENCES IN SCHEMA millrace TO process;"
                 "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA millrace TO process; SET ROLE process");
    sql_exec(db, "SELECT * FROM millrace.queue_runs('{1,2,3}', '{pull,pull,pull}', '{\"{}\",\"{}\",\"{}\"}', NULL, NULL, NULL, '{NULL,u,NULL}', NULL, NULL)");
    assert_int_equal(claim(2), 2);
    assert_string_equal(settle("failed"), "200 failed");
    pass("4 s");
    assert_int_equal(sql_number(db, "SELECT promoted FROM millrace.sweep_runs(10)"), 2);
    assert_int_equal(sql_number(db, "SELECT count(*) FROM (SELECT array_agg(id) AS ids FROM millrace.run) r, millrace.cancel_runs(r.ids) c WHERE c.status = 200"), 3);
    assert_int_equal(sql_number(db, "SELECT count(*) FROM (SELECT array_agg(id) AS ids FROM millrace.run) r, millrace.retry_runs(r.ids) c WHERE c.status = 200"), 3);
    assert_int_equal(sql_number(db, "SELECT count(*) FROM (SELECT array_agg(id) AS ids FROM millrace.run) r, millrace.delete_runs(r.ids) c WHERE c.status = 200"), 3);
    sql_exec(db, "DROP TABLE hand; RESET ROLE; DROP OWNED BY process; DROP ROLE process");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_claim__gives_what_was_queued),
        TEST(test_claim__takes_keys_in_turn),
        TEST(test_claim__of_one_key_goes_by_priority_which_age_makes_up_for),
        TEST(test_claim__fills_up_where_others_have_less_than_their_share),
        TEST(test_claim__of_a_paused_job_gives_nothing),
        TEST(test_claim__finds_what_a_long_transaction_commits),
        TEST(test_claim__does_not_grow_while_a_transaction_stays_open),
        TEST(test_claim__of_many_keys_reads_what_is_dead_once),
        TEST(test_limit__of_the_job_is_exact),
        TEST(test_limit__of_a_key_is_exact),
        TEST(test_limit__is_followed_at_once),
        TEST(test_limit__is_not_counted_under_repeatable_read),
        TEST(test_settle__counts_once_and_says_so_again),
        TEST(test_settle__takes_a_batch_in_its_order),
        TEST(test_settle__keeps_the_attempt_of_whoever_had_the_run),
        TEST(test_settle__of_a_failure_waits_longer_each_time_and_dies_in_the_end),
        TEST(test_settle__of_failures_spreads_their_retries),
        TEST(test_settle__honours_a_pause_that_the_worker_asks_for),
        TEST(test_settle__snoozed_and_released_are_no_attempts),
        TEST(test_settle__working_keeps_the_lease),
        TEST(test_settle__of_the_same_twice_at_once_is_the_same_answer),
        TEST(test_functions__of_nothing_answer_nothing),
        TEST(test_sweep__makes_ready_what_is_due),
        TEST(test_sweep__takes_back_what_nobody_has_been_heard_of),
        TEST(test_sweep__waits_for_nobody),
        TEST(test_cancel__ends_what_waits_and_tells_who_works),
        TEST(test_cancel__is_too_late_for_a_success_and_in_time_for_all_else),
        TEST(test_cancel__that_commits_during_an_outcome_counts),
        TEST(test_retry__plays_again_what_is_dead),
        TEST(test_retry__of_two_with_one_unique_key_is_of_one),
        TEST(test_retry__of_a_failure_is_now),
        TEST(test_retry__of_a_failure_is_as_if_it_were_queued_now),
        TEST(test_stopped__is_what_is_dead_or_cancelled),
        TEST(test_stopped__follows_whoever_changes_a_run),
        TEST(test_delete__takes_all_of_a_run_that_is_not_in_hand),
        TEST(test_rights__to_rows_and_sequences_are_enough),
        TEST(test_run__updates_stay_in_their_page),
        TEST(test_run__that_dies_and_is_played_again_stays_in_its_page),
    };

    return cmocka_run_group_tests(tests, database_server_start, database_server_stop);
}
