/*
 * The second structural test: every named statement prepares as its actor would, takes the parameters of its
 * field table, and on large tables uses an index although it was prepared while they were empty.
 */
#include "proto/uuid.h"
#include "sql/sql.h"
#include "tests/support/fixture.h"
#include "tests/support/test.h"

enum { TASKS_OF_ONE = 60000, OTHER_USERS = 6000, WAIT_MS = 60000, STATEMENTS_MAX = 160 };

/* The engine's, and those of the jobs of tasks; ended by NULL. */
static const struct mr_statement *all[STATEMENTS_MAX + 1];

#define FOR_EACH_STATEMENT(s) for (const struct mr_statement *const *each = all, *s; (s = *each) != NULL; each++)

static void add(unsigned *count, const struct mr_statement *statement)
{
    assert_true(*count < STATEMENTS_MAX);
    all[(*count)++] = statement;
}

static int setup(void **state)
{
    int failed = tasks_server_start(state);
    const struct mr_statement *own;
    unsigned own_count;
    unsigned count = 0;

    own = mr_statements_installed(&own_count);
    for (const struct mr_statement *s = mr_statements; s->name != NULL; s++)
        add(&count, s);
    for (unsigned i = 0; i < own_count; i++)
        if (own[i].text != NULL && strstr(own[i].text, "(most, cursor, scheduled_for, settings, args, skip, skipped)") != NULL)
            add(&count, &own[i]);
    return failed;
}

/* The op a statement belongs to: of its name, or of what stands before "/" or "__". */
static int op_of(const char *statement)
{
    const char *slash = strchr(statement, '/');
    const char *end = slash != NULL ? slash : strstr(statement, "__");
    size_t len = end != NULL ? (size_t)(end - statement) : strlen(statement);

    for (int op = 0; op < MR_OP_COUNT; op++)
        if (strlen(mr_op_info((enum mr_op)op)->name) == len && strncmp(mr_op_info((enum mr_op)op)->name, statement, len) == 0)
            return op;
    return -1;
}

static mr_db *connect_as_actor(const struct database *database)
{
    struct mr_db_options options = {.config = &database->config,
                                    .clock = &mr_system_clock,
                                    .host = database->config.db_host,
                                    .application_name = "statement_test",
                                    .set_wise = true};
    mr_db *db = NULL;

    assert_int_equal(mr_db_new(&db, &options, all), MR_OK);
    if (mr_db_connect(db) != MR_OK)
        fail_test("a statement does not prepare: %s", mr_db_last_error(db)->message);
    return db;
}

static void test_statement__parameters_are_those_of_the_field_table(void **state)
{
    struct database *database = database_new();
    mr_db *db = connect_as_actor(database);

    (void)state;
    for (const struct mr_statement *s = mr_statements; s->name != NULL; s++) {
        int op = op_of(s->name);
        const struct mr_op_info *info = mr_op_info(op >= 0 ? (enum mr_op)op : (enum mr_op)0);
        bool is_main = op >= 0 && strcmp(info->name, s->name) == 0;
        struct mr_buf expected = {0};

        if (op < 0)
            continue; /* of a job, or of the scheduler */
        for (const struct mr_variant *v = info->traits->variants; v != NULL && v->statement != NULL; v++)
            is_main = is_main || strcmp(v->statement, s->name) == 0;
        if (!is_main)
            continue; /* of C code, which binds its own */
        for (const struct mr_field *f = info->traits->fields; f->name != NULL; f++) {
            static const char *const names[] = {[MR_TEXT] = "text", [MR_UUID] = "uuid", [MR_TIME] = "timestamp with time zone",
                                                [MR_BOOL] = "boolean", [MR_INT] = "bigint", [MR_BYTES] = "bytea", [MR_DECIMAL] = "text",
                                                [MR_NUMBER] = "text", [MR_DATE] = "text", [MR_JSON] = "text"};

            mr_buf_printf(&expected, "%s%s[]", expected.len > 0 ? "," : "", names[mr_field_carried(f)]);
            if (f->clearable)
                mr_buf_text(&expected, ",boolean[]");
        }
        mr_buf_char(&expected, '\0');
        assert_string_equal(sql_text(db, "SELECT array_to_string(parameter_types, ',') FROM pg_prepared_statements WHERE name = '%s'",
                                     s->name),
                            expected.data);
        mr_buf_fini(&expected);
    }
    mr_db_destroy(&db);
    database_destroy(&database);
}

static void test_statement__actors_plan_for_large_tables(void **state)
{
    static const struct {
        const char *setting, *value;
    } settings[] = {{"plan_cache_mode", "force_generic_plan"}, {"enable_seqscan", "off"},  {"enable_hashjoin", "off"},
                    {"enable_mergejoin", "off"},               {"lock_timeout", "3s"},     {"statement_timeout", "10s"},
                    {"jit", "off"},                            {"client_encoding", "UTF8"}};
    struct database *database = database_new();
    mr_db *db = connect_as_actor(database);

    (void)state;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        assert_string_equal(sql_text(db, "SHOW %s", settings[i].setting), settings[i].value);
    mr_db_destroy(&db);
    database_destroy(&database);
}

static void fill(mr_db *db)
{
    sql_exec(db,
             "INSERT INTO millrace.app_user (id, username, email, first_name, last_name, password_hash)"
             " SELECT lpad(to_hex(i), 32, '0')::uuid, 'user' || i, 'user' || i || '@example.org', 'F', 'L', '' FROM generate_series(1, %d) i;"
             "INSERT INTO millrace.session (id, user_id, password_version) SELECT u.id, u.id, 1 FROM millrace.app_user u;"
             "INSERT INTO millrace.refresh_token (id, session_id, token_hash, expires_at)"
             " SELECT u.id, u.id, sha256(u.username::bytea), now() FROM millrace.app_user u;"
             "ALTER TABLE task DISABLE TRIGGER ALL;"
             "INSERT INTO task (id, user_id, summary, priority_code, created_at)"
             " SELECT lpad(to_hex(i), 32, '0')::uuid,"
             "        lpad(to_hex(CASE WHEN i <= %d THEN 1 ELSE i - %d + 1 END), 32, '0')::uuid,"
             "        'task ' || i, 'LOW', timestamptz '2027-01-01' + i * interval '1 s'"
             "   FROM generate_series(1, %d + %d - 1) i;"
             "ALTER TABLE task ENABLE TRIGGER ALL;"
             "INSERT INTO millrace.job_run (id, job, trigger, state, finished_at)"
             " SELECT lpad(to_hex(i), 32, '0')::uuid, 'import', 'user', CASE WHEN i %% 100 = 0 THEN 'queued' ELSE 'succeeded' END, now()"
             "   FROM generate_series(1, %d) i;"
             "INSERT INTO millrace.import_part (run_id, part, bytes) SELECT u.id, 0, '' FROM millrace.app_user u;"
             "INSERT INTO task_change (user_id, day, created, completed, due, in_time) SELECT u.id, now(), 1, 0, 0, 0 FROM millrace.app_user u;"
             "INSERT INTO task_stat (user_id, day) SELECT u.id, now() FROM millrace.app_user u;"
             "INSERT INTO report (user_id, period_from, period_to, figures) SELECT u.id, now(), now(), '{}' FROM millrace.app_user u;"
             "INSERT INTO millrace.idempotency_key (user_id, key, fingerprint, answer) SELECT u.id, 'k', '', '{}' FROM millrace.app_user u;"
             "ANALYZE",
             OTHER_USERS, TASKS_OF_ONE, TASKS_OF_ONE, TASKS_OF_ONE, OTHER_USERS, OTHER_USERS);
}

/* The lines that `sql`, an EXPLAIN, answers. */
static void read_plan(mr_db *db, const char *sql, struct mr_buf *out)
{
    mr_rows *rows = NULL;

    if (mr_db_exec(db, sql, mr_mono_ms(&mr_system_clock) + WAIT_MS, &rows) != MR_OK)
        fail_test("%s: %s", sql, mr_db_last_error(db)->message);
    for (unsigned row = 0; row < mr_rows_count(rows); row++) {
        struct mr_slice line = {"", 0};

        mr_rows_get(rows, row, 0, &line);
        mr_buf_slice(out, line);
        mr_buf_char(out, '\n');
    }
    mr_buf_char(out, '\0');
    mr_rows_free(&rows);
}

/* EXECUTE with an array of one plausible element for each parameter. */
static void explain(mr_db *db, const char *name, struct mr_buf *out)
{
    char *sql = NULL;

    if (asprintf(&sql, "EXPLAIN EXECUTE \"%s\"%s", name,
                 sql_text(db,
                          "SELECT '(' || string_agg(CASE t::text WHEN 'uuid[]' THEN '''{00000000-0000-0000-0000-000000000001}'''"
                          " WHEN 'text[]' THEN '''{00000000000000000000000000000001}''' WHEN 'boolean[]' THEN '''{t}'''"
                          " WHEN 'bigint[]' THEN '''{1}''' ELSE '''{2027-01-01}''' END, ', ' ORDER BY n) || ')'"
                          "  FROM pg_prepared_statements p, unnest(p.parameter_types) WITH ORDINALITY AS x (t, n) WHERE p.name = '%s'",
                          name)) < 0)
        fail();
    read_plan(db, sql, out);
    free(sql);
}

static void check_plan(mr_db *db, const char *name)
{
    /* clang-format off */
    static const char *const bad[] = {"Seq Scan on task ", "Seq Scan on task\n", "Seq Scan on app_user", "Seq Scan on account", "Seq Scan on refresh_token",
                                      "Seq Scan on session", "Seq Scan on job_run", "Seq Scan on import_part", "Seq Scan on task_change",
                                      "Seq Scan on task_stat", "Seq Scan on report", "Seq Scan on idempotency_key",
                                      "Hash Join", "Merge Join"};
    /* clang-format on */
    struct mr_buf plan = {0};

    explain(db, name, &plan);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (strstr(plan.data, bad[i]) != NULL)
            fail_test("%s: %s\n%s", name, bad[i], plan.data);
    mr_buf_fini(&plan);
}

/* Plans by cost alone would be bad here: nothing was analyzed when they were made. */
static void test_statement__large_tables_are_read_by_index(void **state)
{
    struct database *database = database_new();
    mr_db *early = connect_as_actor(database);
    mr_db *late = NULL;

    (void)state;
    FOR_EACH_STATEMENT(s)
        check_plan(early, s->name); /* the plan is made, and kept, while the tables are empty */
    fill(database->db);
    late = connect_as_actor(database);
    FOR_EACH_STATEMENT(s) {
        check_plan(early, s->name);
        check_plan(late, s->name);
    }
    mr_db_destroy(&early);
    mr_db_destroy(&late);
    database_destroy(&database);
}

/*
 * One user has a hundred times as many tasks as the others, in a table that is small, and then in one of which nothing is known: an
 * index of the owner promises a few rows, and has a thousand.
 */
static void test_statement__one_row_is_found_by_its_id(void **state)
{
    static const char *const names[] = {"task_get", "task_update", "task_delete", "task_create/again"};
    struct database *database = database_new();
    unsigned count;
    const struct mr_statement *own = mr_statements_installed(&count);
    unsigned found = 0;

    (void)state;
    for (int analyzed = 0; analyzed <= 1; analyzed++) {
        mr_db *db = connect_as_actor(database);

        if (!analyzed)
            sql_exec(database->db,
                     "ALTER TABLE task SET (autovacuum_enabled = false);"
                     "INSERT INTO millrace.app_user (id, username, email, first_name, last_name, password_hash)"
                     " SELECT lpad(to_hex(i), 32, '0')::uuid, 'u' || i, 'u@example.org', 'F', 'L', '' FROM generate_series(1, 301) i;"
                     "INSERT INTO task (id, user_id, summary, priority_code)"
                     " SELECT lpad(to_hex(i), 32, '0')::uuid, lpad(to_hex(CASE WHEN i <= 1000 THEN 1 ELSE 2 + i %% 300 END), 32, '0')::uuid,"
                     " 'task ' || i, 'LOW' FROM generate_series(1, 4000) i");
        else
            sql_exec(database->db, "ANALYZE");
        for (unsigned i = 0; i < count; i++)
            for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
                struct mr_buf plan = {0};
                char *text;

                if (strcmp(own[i].name, names[n]) != 0)
                    continue;
                found++;
                text = mr_statement_text(&own[i]);
                sql_exec(db, "PREPARE \"%s\" AS %s", names[n], text);
                explain(db, names[n], &plan);
                if (strstr(plan.data, "task_pkey") == NULL || strstr(plan.data, "task_user_") != NULL)
                    fail_test("%s, %s analyzed:\n%s", names[n], analyzed ? "" : "not", plan.data);
                mr_buf_fini(&plan);
                free(text);
            }
        mr_db_destroy(&db);
    }
    assert_int_equal(found, 2 * sizeof names / sizeof names[0]);
    database_destroy(&database);
}

/* An array of as many elements as there are messages, each as `element` makes it of its number `i`, as a literal. */
static void put_array(struct mr_buf *out, mr_db *db, const char *element, int messages)
{
    mr_buf_printf(out, "%s'%s'", out->data[out->len - 1] != '(' ? ", " : "",
                  sql_text(db, "SELECT array_agg((%s)::text)::text FROM generate_series(1, %d) i", element, messages));
}

/* Whether each scan of what the statement has made so far ran once, or not at all. */
static bool reads_each_once(const char *plan)
{
    const char *scan = strstr(plan, "CTE Scan on ");

    if (scan == NULL)
        fail_test("it reads nothing of what it did:\n%s", plan);
    for (; scan != NULL; scan = strstr(scan + 1, "CTE Scan on ")) {
        const char *loops = strstr(scan, " loops=");
        const char *end = strchr(scan, '\n');

        if (loops != NULL && loops < end && strtol(loops + strlen(" loops="), NULL, 10) > 1)
            return false;
    }
    return true;
}

static void prepare_own(mr_db *db, const char *name)
{
    unsigned count;
    const struct mr_statement *own = mr_statements_installed(&count);

    for (unsigned i = 0; i < count; i++) {
        char *text;

        if (strcmp(own[i].name, name) != 0)
            continue;
        text = mr_statement_text(&own[i]);
        sql_exec(db, "PREPARE \"%s\" AS %s", name, text);
        free(text);
    }
}

/* What a batch did is joined with its messages once, not looked through again for each: an actor's session has no join by hash. */
static void test_statement__what_a_batch_did_is_read_once(void **state)
{
    static const char user[] = "'00000000-0000-0000-0000-000000000001'";
    static const char none[] = "NULL";
    static const char id[] = "lpad(to_hex(i), 32, '0')::uuid";
    static const struct {
        const char *name;
        const char *parameters[13];
    } statements[] = {
        {"task_create", {id, user, "'s'", none, none, "false", "'LOW'", none, none}},
        {"task_create/again", {id, user, "'s'", none, none, "false", "'LOW'", none, none}},
        {"task_update", {id, user, none, "'t'", none, "false", none, "false", "true", "'HIGH'", none, none}},
        {"task_delete", {id, user, none, none}},
    };
    enum { MESSAGES = 24 };
    struct database *database = database_new();
    mr_db *db = connect_as_actor(database);

    (void)state;
    sql_exec(database->db, "INSERT INTO millrace.app_user (id, username, email, first_name, last_name, password_hash)"
                           " VALUES ('00000000-0000-0000-0000-000000000001', 'u', 'u@example.org', 'F', 'L', '')");
    for (size_t s = 0; s < sizeof statements / sizeof statements[0]; s++) {
        struct mr_buf sql = {0};
        struct mr_buf plan = {0};

        prepare_own(db, statements[s].name);
        mr_buf_printf(&sql, "EXPLAIN (ANALYZE, COSTS off, TIMING off) EXECUTE \"%s\"(", statements[s].name);
        for (int i = 0; statements[s].parameters[i] != NULL; i++)
            put_array(&sql, database->db, statements[s].parameters[i], MESSAGES);
        mr_buf_append(&sql, ")", sizeof ")");
        read_plan(db, sql.data, &plan);
        if (!reads_each_once(plan.data))
            fail_test("%s:\n%s", statements[s].name, plan.data);
        mr_buf_fini(&sql);
        mr_buf_fini(&plan);
    }
    assert_int_equal(sql_number(database->db, "SELECT count(*) FROM task"), 0);
    mr_db_destroy(&db);
    database_destroy(&database);
}

/* Runs of a job in each state, as many more as `count`, numbered from `from` on; a quarter of them dead, cancelled, done and waiting each. */
static void add_runs(mr_db *db, int from, int count)
{
    sql_exec(db,
             "INSERT INTO millrace.job (name, work, manual) VALUES ('pull', 'pull', false) ON CONFLICT DO NOTHING;"
             "INSERT INTO millrace.run (id, job, key, outcome, finished_at, dead_at, cancelled_at)"
             " SELECT lpad(to_hex(i), 32, '0')::uuid, 'pull', 'k' || i / 4 %% 2, (ARRAY['dead', 'cancelled', 'succeeded', NULL])[i %% 4 + 1],"
             "        CASE WHEN i %% 4 < 3 THEN now() END, CASE WHEN i %% 4 = 0 THEN now() END, CASE WHEN i %% 4 = 1 THEN now() END"
             "   FROM generate_series(%d, %d) i;"
             "INSERT INTO millrace.ready (job, key, turn, id) SELECT r.job, r.key, r.turn, r.id FROM millrace.run r"
             " WHERE r.outcome IS NULL AND r.id >= lpad(to_hex(%d), 32, '0')::uuid;"
             "INSERT INTO millrace.stopped (job, outcome, id) SELECT r.job, r.outcome, r.id FROM millrace.run r"
             " WHERE r.outcome IN ('dead', 'cancelled') AND r.id >= lpad(to_hex(%d), 32, '0')::uuid;"
             "INSERT INTO millrace.job_run (id, job, trigger, state, finished_at)"
             " SELECT lpad(to_hex(i), 32, '0')::uuid, 'cleanup', 'user', (ARRAY['dead', 'succeeded'])[i %% 2 + 1], now() FROM generate_series(%d, %d) i",
             from, from + count - 1, from, from, from + 1000000, from + 1000000 + count / 4);
}

/* Entries of tables and indexes that a list of runs reads; the server counts them. */
static int64_t reads_of(mr_db *db, const char *list)
{
    static const char counted[] = "SELECT sum(pg_stat_get_xact_tuples_returned(c.oid) + CASE WHEN c.relkind = 'r' THEN pg_stat_get_xact_tuples_fetched(c.oid) ELSE 0 END)::bigint"
                                  " FROM pg_class c WHERE c.relnamespace = 'millrace'::regnamespace AND c.relname ~ '^(run|ready|later|lease|stopped|job_run)' AND c.relkind IN ('r', 'i')";
    int64_t before = sql_number(db, "BEGIN; %s", counted);
    int64_t reads;

    sql_exec(db, "EXECUTE %s", list);
    reads = sql_number(db, "%s", counted) - before;
    sql_exec(db, "COMMIT");
    return reads;
}

/* Pages that it looks at: entries that an index passes over are counted nowhere else. */
static long pages_of(mr_db *db, const char *list)
{
    struct mr_buf sql = {0};
    struct mr_buf plan = {0};
    const char *hit;
    long pages;

    mr_buf_printf(&sql, "EXPLAIN (ANALYZE, BUFFERS, COSTS off, TIMING off) EXECUTE %s", list);
    mr_buf_char(&sql, '\0');
    read_plan(db, sql.data, &plan);
    hit = strstr(plan.data, "shared hit=");
    pages = hit != NULL ? strtol(hit + strlen("shared hit="), NULL, 10) : -1;
    mr_buf_fini(&sql);
    mr_buf_fini(&plan);
    return pages;
}

/* The view of both stores has an order that the planner does not see: a list that asks it for more than single runs reads all of them. */
static void test_statement__lists_of_runs_read_a_page(void **state)
{
#define CALLER "'{NULL}', '{00000000-0000-0000-0000-000000000001}', '{NULL}', "
#define SEARCH(job, run_state, key, since) \
    "job_run_search(" CALLER "'{" job "}', '{" run_state "}', '{" key "}', '{" since "}', '{50}', '{NULL}')"
    static const char *const lists[] = {
        SEARCH("NULL", "NULL", "NULL", "NULL"),      SEARCH("pull", "NULL", "NULL", "NULL"),
        SEARCH("NULL", "dead", "NULL", "NULL"),      SEARCH("pull", "dead", "NULL", "NULL"),
        SEARCH("pull", "cancelled", "NULL", "NULL"), SEARCH("pull", "queued", "NULL", "NULL"),
        SEARCH("pull", "failed", "NULL", "NULL"),    SEARCH("pull", "running", "NULL", "NULL"),
        SEARCH("pull", "succeeded", "NULL", "NULL"), SEARCH("pull", "NULL", "k1", "NULL"),
        SEARCH("pull", "NULL", "NULL", "1970-01-01"), SEARCH("cleanup", "dead", "NULL", "NULL"),
        "job_run_list('{NULL}', '{pull}', '{50}', '{NULL}', '{00000000-0000-0000-0000-000000000001}')",
        "job_run_list('{NULL}', '{cleanup}', '{50}', '{NULL}', '{00000000-0000-0000-0000-000000000001}')"};
    enum { LISTS = sizeof lists / sizeof lists[0], FEW = 12000 };
    struct database *database = database_new();
    mr_db *db = connect_as_actor(database);
    int64_t reads[LISTS];

    (void)state;
    for (int i = 0; i < LISTS; i++)
        reads_of(db, lists[i]); /* the plan is made, and kept, while the tables are empty */
    add_runs(database->db, 1, FEW);
    sql_exec(database->db, "VACUUM ANALYZE"); /* entries of the last leaf are read alike */
    for (int i = 0; i < LISTS; i++)
        reads[i] = reads_of(db, lists[i]);
    add_runs(database->db, FEW + 1, 3 * FEW);
    sql_exec(database->db, "VACUUM ANALYZE");
    for (int i = 0; i < LISTS; i++) {
        int64_t more = reads_of(db, lists[i]);

        assert_true(reads[i] > 0 || strstr(lists[i], "running") != NULL); /* none is leased */
        if (more > reads[i] + reads[i] / 4 + 100)
            fail_test("%s reads %lld of few, %lld of four times as many", lists[i], (long long)reads[i], (long long)more);
    }
    assert_in_range(pages_of(db, SEARCH("pull", "NULL", "k7", "NULL")), 1, 60);
    mr_db_destroy(&db);
    database_destroy(&database);
}

/* Runs a statement of a job, two rows a chunk, from cursor to cursor; returns how many rows it handled in all. */
static int64_t run_chunks(mr_db *db, const char *statement)
{
    char cursor[128] = "NULL";
    int64_t handled = 0;

    for (int chunk = 0; chunk < 20; chunk++) {
        mr_rows *rows = NULL;
        struct mr_slice value = {"", 0};
        char *sql = NULL;

        if (asprintf(&sql, "EXECUTE \"%s\"('{2}', ARRAY[%s]::text[], '{NULL}', ARRAY['%s'], ARRAY['%s'], '{f}', '{0}')", statement, cursor,
                     "{\"CLEANUP_SCOPE\": \"completed\", \"CLEANUP_COMPLETED_AFTER\": 0, \"AUDIT_RETENTION\": 0, \"JOB_RUN_RETENTION\": 86400000}",
                     "{\"scope\": \"completed\", \"completedAfter\": \"0s\"}") < 0)
            fail();
        if (mr_db_exec(db, sql, mr_mono_ms(&mr_system_clock) + WAIT_MS, &rows) != MR_OK)
            fail_test("%s: %s", sql, mr_db_last_error(db)->message);
        free(sql);
        mr_rows_get(rows, 0, 0, &value);
        handled += strtoll(value.data, NULL, 10);
        if (mr_rows_get(rows, 0, 1, &value))
            snprintf(cursor, sizeof cursor, "'%.*s'", (int)value.len, value.data);
        mr_rows_get(rows, 0, 2, &value);
        if (value.data[0] == 'f') {
            mr_rows_free(&rows);
            return handled;
        }
        mr_rows_free(&rows);
    }
    return -1;
}

/* A cursor is text that is read again: under settings that turn day and month around it has to lead to the same row. */
static void test_statement__a_cursor_reads_the_same_under_every_setting(void **state)
{
    static const char *const styles[] = {"ISO, YMD", "SQL, DMY", "German", "Postgres, MDY"};
    static const char *const zones[] = {"UTC", "Asia/Kolkata", "America/St_Johns", "Pacific/Chatham"};

    (void)state;
    for (int i = 0; i < 4; i++) {
        struct database *database = database_new();
        mr_db *db = connect_as_actor(database);

        sql_exec(database->db,
                 "INSERT INTO millrace.app_user (id, username, email, first_name, last_name, password_hash)"
                 " VALUES ('00000000-0000-0000-0000-000000000001', 'u', 'u@example.org', 'F', 'L', '');"
                 "INSERT INTO task (id, user_id, summary, priority_code, is_complete, completed_at)"
                 " SELECT gen_random_uuid(), '00000000-0000-0000-0000-000000000001', 't', 'LOW', true,"
                 "        timestamptz '2020-01-31 23:59:59.999999Z' + i * interval '36 hours 1 microsecond' FROM generate_series(1, 11) i;"
                 "UPDATE task SET completed_at = timestamptz '2020-01-31 23:59:59.999999Z' + n * interval '36 hours 1 microsecond'"
                 "  FROM (SELECT id, row_number() OVER () AS n FROM task) t WHERE t.id = task.id;"
                 "INSERT INTO millrace.import_part (run_id, part, bytes, created_at)"
                 " SELECT gen_random_uuid(), 0, '', timestamptz '2020-01-31 23:59:59.999999Z' + i * interval '36 hours 1 microsecond'"
                 "   FROM generate_series(1, 11) i;"
                 "INSERT INTO millrace.audit (id, at, by, operation, subject_type, subject)"
                 " SELECT gen_random_uuid(), timestamptz '2020-01-31 23:59:59.999999Z' + i / 3 * interval '36 hours 1 microsecond',"
                 "        'command', 'grant-admin', 'user', gen_random_uuid() FROM generate_series(1, 11) i;"
                 "INSERT INTO millrace.session (id, user_id, password_version)"
                 " VALUES ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000001', 1);"
                 "INSERT INTO millrace.refresh_token (id, session_id, token_hash, expires_at)"
                 " SELECT gen_random_uuid(), '00000000-0000-0000-0000-000000000001', i::text::bytea,"
                 "        timestamptz '2020-01-31 23:59:59.999999Z' + i / 3 * interval '36 hours 1 microsecond' FROM generate_series(1, 11) i;"
                 "INSERT INTO millrace.idempotency_key (user_id, key, fingerprint, answer, created_at)"
                 " SELECT '00000000-0000-0000-0000-000000000001', repeat('/', i), '', '{}',"
                 "        timestamptz '2020-01-31 23:59:59.999999Z' + i / 3 * interval '36 hours 1 microsecond' FROM generate_series(1, 11) i");
        sql_exec(db, "SET DateStyle TO %s; SET TimeZone TO '%s'", styles[i], zones[i]);
        assert_int_equal(run_chunks(db, "cleanup__tasks/completed"), 11);
        assert_int_equal(sql_number(database->db, "SELECT count(*) FROM task"), 0);
        assert_int_equal(run_chunks(db, "cleanup__importParts"), 11);
        assert_int_equal(sql_number(database->db, "SELECT count(*) FROM millrace.import_part"), 0);
        assert_int_equal(run_chunks(db, "cleanup__refreshTokens"), 11);
        assert_int_equal(run_chunks(db, "cleanup__idempotencyKeys"), 11);
        assert_int_equal(run_chunks(db, "cleanup__audit"), 11);
        mr_db_destroy(&db);
        database_destroy(&database);
    }
}

/* By its job's `keep`, else by JOB_RUN_RETENTION (a day here); whatever a job left that is gone, from every table. */
static void test_statement__clean_up_keeps_runs_as_long_as_their_job_says(void **state)
{
    static const char old_id[] = "rpad(lpad(to_hex((extract(epoch FROM now() - interval '2 days') * 1000)::bigint), 12, '0') || '7', 32, lpad(to_hex(i), 4, '0'))::uuid";
    struct database *database = database_new();
    mr_db *db = connect_as_actor(database);

    (void)state;
    sql_exec(database->db, "INSERT INTO millrace.job (name, work, manual, keep_ms) VALUES ('usual', 'pull', false, NULL), ('long', 'pull', false, 864000000);"
                           "INSERT INTO millrace.run (id, job, outcome, finished_at, key)"
                           " SELECT %s, CASE i %% 2 WHEN 0 THEN 'usual' ELSE 'long' END, 'succeeded', now() - interval '2 days', i::text FROM generate_series(1, 8) i;"
                           "INSERT INTO millrace.run (id, job) SELECT %s, CASE i WHEN 9 THEN 'usual' ELSE 'gone' END FROM generate_series(9, 12) i;"
                           "INSERT INTO millrace.ready (job, key, turn, id) SELECT job, key, turn, id FROM millrace.run WHERE outcome IS NULL;"
                           "INSERT INTO millrace.run_attempt (run_id, attempt, at) SELECT id, 1, now() FROM millrace.run",
             old_id, old_id);
    assert_int_equal(run_chunks(db, "cleanup__workerRuns"), 4 + 3);
    assert_string_equal(sql_text(database->db, "SELECT string_agg(job || ' ' || n, ', ' ORDER BY job) FROM (SELECT job, count(*) AS n FROM millrace.run GROUP BY job) r"),
                        "long 4, usual 1");
    assert_int_equal(sql_number(database->db, "SELECT count(*) FROM millrace.ready"), 1);
    assert_int_equal(sql_number(database->db, "SELECT count(*) FROM millrace.run_attempt"), 5);
    mr_db_destroy(&db);
    database_destroy(&database);
}

/* A page of a job's runs reads no more of them than it shows, whichever table they are in. */
static void test_statement__a_page_of_runs_reads_a_page(void **state)
{
    static const char *const indexes[] = {"job_run_of_job", "run_of_job"};
    struct database *database = database_new();
    mr_db *db = connect_as_actor(database);

    (void)state;
    sql_exec(database->db, "INSERT INTO millrace.job (name, work, manual) VALUES ('deliver', 'pull', false);"
                           "INSERT INTO millrace.run (id, job) SELECT gen_random_uuid(), 'deliver' FROM generate_series(1, 2000);"
                           "INSERT INTO millrace.job_run (id, job, trigger) SELECT gen_random_uuid(), 'maintenance', 'manual' FROM generate_series(1, 2000)");
    for (int i = 0; i < 2; i++) {
        sql_exec(db, "BEGIN");
        assert_int_equal(sql_number(db, "EXECUTE job_run_list('{NULL}', '{%s}', '{20}', '{NULL}', '{00000000-0000-0000-0000-000000000001}')",
                                    i == 0 ? "maintenance" : "deliver"), 1);
        assert_in_range(sql_number(db, "SELECT pg_stat_get_xact_tuples_returned('millrace.%s'::regclass)", indexes[i]), 20, 100);
        sql_exec(db, "COMMIT");
    }
    mr_db_destroy(&db);
    database_destroy(&database);
}

/* A unit that the database refuses must not stop the others: each statement that does a chunk can pass one, and name it. */
static void test_statement__of_a_job_can_pass_a_unit(void **state)
{
    unsigned count = 0;

    (void)state;
    FOR_EACH_STATEMENT(s) {
        if (strstr(s->text, "(most, cursor, scheduled_for, settings, args, skip, skipped)") == NULL)
            continue;
        count++;
        if (strstr(s->text, "NOT (SELECT k.skip FROM k)") == NULL || strstr(s->text, "END AS unit") == NULL)
            fail_test("%s: changes a unit that is to be skipped, or does not name it", s->name);
        if (strstr(s->text, "NULL::text AS cursor") != NULL && strcmp(s->name, "removal__accounts") != 0)
            fail_test("%s: has no cursor to go past a unit", s->name);
    }
    assert_true(count >= 20);
}

/*
 * What belongs to a user refers to the account, never to app_user, and nothing cascades: the removal of a user is a job that has a
 * statement for each of these tables.
 */
static void test_statement__the_job_removal_deletes_from_every_table_of_an_account(void **state)
{
    struct database *database = database_new();
    mr_rows *tables = NULL;

    (void)state;
    assert_int_equal(sql_number(database->db, "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND confrelid = 'millrace.app_user'::regclass"),
                     0);
    assert_int_equal(sql_number(database->db, "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND confrelid = 'millrace.account'::regclass"
                                              " AND confdeltype <> 'a'"),
                     0);
    assert_int_equal(mr_db_exec(database->db,
                                "SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND confrelid = 'millrace.account'::regclass",
                                mr_mono_ms(&mr_system_clock) + WAIT_MS, &tables),
                     MR_OK);
    assert_true(mr_rows_count(tables) >= 6);
    for (unsigned row = 0; row < mr_rows_count(tables); row++) {
        struct mr_slice table = {"", 0};
        bool is_cleared = false;
        char wanted[100];
        char quoted[100]; /* as what is generated has it */

        mr_rows_get(tables, row, 0, &table);
        snprintf(wanted, sizeof wanted, "DELETE FROM %.*s ", (int)table.len, table.data);
        snprintf(quoted, sizeof quoted, "DELETE FROM \"%.*s\" ", (int)table.len, table.data);
        FOR_EACH_STATEMENT(s)
            is_cleared = is_cleared || (strncmp(s->name, "removal__", 9) == 0 && (strstr(s->text, wanted) != NULL || strstr(s->text, quoted) != NULL));
        if (!is_cleared)
            fail_test("no statement of the job `removal` deletes from %.*s", (int)table.len, table.data);
    }
    mr_rows_free(&tables);
    database_destroy(&database);
}

/* An instant that is put together with other text takes the session's DateStyle: to_char has to say in which form. */
static void test_statement__no_instant_is_written_in_the_sessions_style(void **state)
{
    static const char *const bad[] = {"_at ||", "_at::text", "|| now()", "now()::text"};

    (void)state;
    FOR_EACH_STATEMENT(s)
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
            if (strstr(s->text, bad[i]) != NULL)
                fail_test("%s: \"%s\" depends on DateStyle", s->name, bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statement__parameters_are_those_of_the_field_table),
        cmocka_unit_test(test_statement__actors_plan_for_large_tables),
        cmocka_unit_test(test_statement__large_tables_are_read_by_index),
        cmocka_unit_test(test_statement__one_row_is_found_by_its_id),
        cmocka_unit_test(test_statement__lists_of_runs_read_a_page),
        cmocka_unit_test(test_statement__no_instant_is_written_in_the_sessions_style),
        cmocka_unit_test(test_statement__what_a_batch_did_is_read_once),
        cmocka_unit_test(test_statement__a_cursor_reads_the_same_under_every_setting),
        cmocka_unit_test(test_statement__clean_up_keeps_runs_as_long_as_their_job_says),
        cmocka_unit_test(test_statement__a_page_of_runs_reads_a_page),
        cmocka_unit_test(test_statement__of_a_job_can_pass_a_unit),
        cmocka_unit_test(test_statement__the_job_removal_deletes_from_every_table_of_an_account),
    };

    return cmocka_run_group_tests(tests, setup, tasks_server_stop);
}
