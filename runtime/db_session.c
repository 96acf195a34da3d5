/*
 * What a session is set to, and whether its server is one that may serve.
 */
#include <stdio.h>
#include <stdlib.h>

#include "runtime/db_internal.h"
#include "runtime/needs.h"

enum { IDLE_TIMEOUT_MS = 60000 };

int64_t db_usual_timeout(const struct mr_db_options *options)
{
    if (!options->set_wise)
        return 0;
    return options->statement_timeout != 0 ? options->statement_timeout : options->config->request_timeout;
}

/* What keeps a connection from serving, by the server's own code; what it says in words may be translated. */
enum mr_db_trouble db_trouble_of(const char *sqlstate)
{
    static const struct {
        const char *sqlstate; /* or the class */
        enum mr_db_trouble trouble;
    } known[] = {
        {"28", MR_DB_REFUSED}, {"3D000", MR_DB_MISSING},   {"42501", MR_DB_FORBIDDEN}, {"42", MR_DB_SCHEMA},
        {"3F", MR_DB_SCHEMA},  {"25006", MR_DB_READ_ONLY}, {"53300", MR_DB_FULL},      {"57P03", MR_DB_STARTING},
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strncmp(sqlstate, known[i].sqlstate, strlen(known[i].sqlstate)) == 0)
            return known[i].trouble;
    return MR_DB_AWAY;
}

/* ---- What the session is set to ---- */

/*
 * Where the application's tables are: in public, or where a release that searched by "$user" has put everything, in the schema
 * of the role's name. There schema_migration is, a table until migration 13 and a view since. The engine's own tables are in
 * `millrace`, and its SQL says so; a role of that name may have all of them there. It is asked of the caches that a session has anyway:
 * a query over pg_class took longer than all the other settings.
 */
#define OWN                "quote_ident(current_user)"
#define HAS_RECORD(schema) "to_regclass(" schema " || '.schema_migration') IS NOT NULL"
#define MAY_USE(schema)                                                                   \
    "CASE WHEN to_regnamespace(" schema ") IS NULL THEN false WHEN has_schema_privilege(" \
    "to_regnamespace(" schema "), 'USAGE') THEN " HAS_RECORD(schema) " ELSE false END"
#define HOME_SCHEMA                                                                            \
    "CASE WHEN NOT (" MAY_USE(OWN) ") THEN 'public' WHEN current_user <> 'millrace' THEN " OWN \
                                   " WHEN " MAY_USE("'public'") " THEN 'public' ELSE " OWN " END"

/* What is temporary comes last: else a table of that kind would stand in for one of the application's. */
#define SEARCH_PATH HOME_SCHEMA " || ', pg_temp'"

/* What our SQL depends on, whatever role, database or server say. `set_wise`: only where set-wise statements run. */
static const struct {
    const char *name;
    const char *value;
    bool set_wise;
} session_settings[] = {
    {"DateStyle", "ISO, YMD", false},
    {"IntervalStyle", "postgres", false},
    {"TimeZone", "UTC", false},
    {"bytea_output", "hex", false},
    {"extra_float_digits", "1", false},
    {"standard_conforming_strings", "on", false},
    {"array_nulls", "on", false},
    {"client_min_messages", "warning", false},
    {"default_transaction_isolation", "read committed", false},
    {"gin_fuzzy_search_limit", "0", false},          /* a search would silently leave rows out */
    {"plan_cache_mode", "force_generic_plan", true}, /* and a plan made for an empty table must not outlive its growth */
    {"enable_seqscan", "off", true},
    {"enable_hashjoin", "off", true},
    {"enable_mergejoin", "off", true},
    {"enable_nestloop", "on", true},
    {"enable_indexscan", "on", true},
    {"enable_indexonlyscan", "on", true},
    {"enable_bitmapscan", "on", true},
    {"jit", "off", true},
};

enum { SESSION_SETTINGS = sizeof session_settings / sizeof session_settings[0] };

/*
 * Settings that end a session of ours, by the first version that has them. Looking them up in pg_settings would cost a connection
 * more than all the rest of its set-up.
 */
static const struct {
    const char *name;
    int version;
} other_timeouts[] = {{"idle_session_timeout", 140000}, {"transaction_timeout", 170000}};

/*
 * The server's end of the connection. A network that is interrupted for longer than DB_TCP_TIMEOUT costs us every connection, and the
 * server would hear nothing of that: by its own settings it keeps such sessions for two hours, and a few interruptions take all that
 * it has. No tcp_user_timeout: it would also end a session whose answer we are slow to read.
 */
static void add_keepalive(struct mr_buf *out, const struct mr_config *config)
{
    struct db_keepalive keepalive = db_keepalive(config);

    mr_buf_printf(out,
                  ", set_config('tcp_keepalives_idle', '%lld', false), set_config('tcp_keepalives_interval', '%lld', false),"
                  " set_config('tcp_keepalives_count', '%lld', false)",
                  (long long)keepalive.idle_s, (long long)keepalive.interval_s, (long long)keepalive.count);
}

static int64_t lock_timeout(const struct mr_db_options *options)
{
    if (!options->set_wise)
        return 0;
    return options->lock_timeout != 0 ? options->lock_timeout : options->config->db_lock_timeout;
}

void db_settings_sql(struct mr_buf *out, const struct mr_db *self, int64_t timeout_ms)
{
    const struct mr_db_options *options = &self->options;
    const char *local = self->shared ? "true" : "false";

    mr_buf_printf(out,
                  "SELECT set_config('statement_timeout', '%lld', %s), set_config('lock_timeout', '%lld', %s),"
                  " set_config('idle_in_transaction_session_timeout', '%lld', %s), set_config('search_path', " SEARCH_PATH
                  ", %s)",
                  (long long)timeout_ms, local, (long long)lock_timeout(options), local,
                  options->idle_timeout != 0 ? (long long)options->idle_timeout : (long long)IDLE_TIMEOUT_MS, local, local);
    if (!self->shared) /* there the server's end is the pooler's */
        add_keepalive(out, options->config);
    for (size_t i = 0; i < sizeof other_timeouts / sizeof other_timeouts[0] && !self->shared; i++)
        if (PQserverVersion(self->conn) >= other_timeouts[i].version)
            mr_buf_printf(out, ", set_config('%s', '0', false)", other_timeouts[i].name);
    for (size_t i = 0; i < SESSION_SETTINGS; i++)
        if (options->set_wise || !session_settings[i].set_wise)
            mr_buf_printf(out, ", set_config('%s', '%s', %s)", session_settings[i].name, session_settings[i].value, local);
}

static bool send_sql(mr_db *self, const char *sql)
{
    return PQsendQueryParams(self->conn, sql, 0, NULL, NULL, NULL, NULL, 0) == 1;
}

/*
 * Settings that only a superuser may change and that would change what our SQL does are looked at, and whether what the application
 * needs is there.
 */
#define CHECK_SQL \
    "SELECT current_setting('transaction_read_only'), current_setting('session_replication_role'), pg_backend_pid(), "

static bool send_check(mr_db *self)
{
    struct mr_buf sql = {0};
    bool sent;

    mr_buf_text(&sql, CHECK_SQL);
    mr_needs_sql(&sql, self->options.use);
    mr_buf_char(&sql, '\0');
    sent = !sql.failed && send_sql(self, sql.data);
    mr_buf_fini(&sql);
    return sent;
}

/* Its own statement, and the first: a role's limit may be less than what all the others take. */
static bool send_statement_timeout(mr_db *self, int64_t timeout_ms)
{
    char sql[80];

    snprintf(sql, sizeof sql, "SELECT set_config('statement_timeout', '%lld', %s)", (long long)timeout_ms,
             self->shared ? "true" : "false");
    return send_sql(self, sql);
}

bool db_send_settings(mr_db *self, int64_t timeout_ms)
{
    struct mr_buf sql = {0};
    bool sent;

    db_settings_sql(&sql, self, timeout_ms);
    mr_buf_char(&sql, '\0');
    sent = send_statement_timeout(self, timeout_ms) && !sql.failed && send_sql(self, sql.data);
    mr_buf_fini(&sql);
    return sent;
}

/*
 * The settings first: the names in a statement are looked up when it is prepared. In a session that is shared nothing may
 * stay behind: the settings hold for this transaction, and the statements are only tried.
 */
static bool send_set_up(mr_db *self)
{
    bool may_owe = db_may_owe(self);
    char sql[80];

    if (PQenterPipelineMode(self->conn) != 1 || !db_send_settings(self, db_usual_timeout(&self->options)))
        return false;
    for (const struct mr_statement *const *s = self->statements; s != NULL && *s != NULL && !may_owe; s++)
        if (PQsendPrepare(self->conn, self->shared ? "" : (*s)->name, (*s)->text, 0, NULL) != 1)
            return false;
    if (self->options.channel != NULL && !self->shared) {
        snprintf(sql, sizeof sql, "LISTEN %s", self->options.channel);
        if (!send_sql(self, sql))
            return false;
    }
    return send_check(self);
}

static bool is_value(const PGresult *result, int column, const char *value)
{
    return PQntuples(result) == 1 && strcmp(PQgetvalue(result, 0, column), value) == 0;
}

/* Whether the server is one for this connection: a name may still lead to the one that was demoted, or to a standby. */
static mr_status check_server(mr_db *self, const PGresult *result)
{
    if (is_value(result, 0, "on") && !self->options.standby)
        return db_fail(self, MR_UNAVAILABLE, true, "25006", "the server takes no writes: it is a standby, or was demoted");
    if (!is_value(result, 1, "origin"))
        return db_fail(self, MR_UNAVAILABLE, true, "55000",
                       "session_replication_role is not origin for this role or database: triggers would not fire");
    return MR_OK;
}

/* ---- What the application needs of it ---- */

static mr_status fail_needs(mr_db *self, enum mr_db_trouble trouble, const char *missing)
{
    mr_needs_note(missing);
    db_fail(self, MR_UNAVAILABLE, true, trouble == MR_DB_OTHER ? "55000" : "42P01", missing);
    self->error.trouble = trouble;
    return MR_UNAVAILABLE;
}

/* Migrations first: what they make cannot be there before. */
static mr_status check_needs(mr_db *self, const PGresult *result, int64_t deadline_ms)
{
    struct mr_buf problem = {0};
    enum mr_db_trouble trouble = MR_DB_NONE;
    mr_status status;

    if (!mr_needs_any(self->options.use))
        return MR_OK;
    status = mr_needs_migrations(self, deadline_ms, &problem, &trouble);
    mr_buf_char(&problem, '\0');
    if (status == MR_CONFLICT)
        status = fail_needs(self, trouble, problem.failed ? "" : problem.data);
    else if (status == MR_OK && !PQgetisnull(result, 0, 3))
        status = fail_needs(self, MR_DB_TABLES, PQgetvalue(result, 0, 3));
    else if (status == MR_OK && self->options.use == MR_DB_FOR_REQUESTS)
        mr_needs_note_met();
    mr_buf_fini(&problem);
    return status;
}

/* In one round trip; until the application's migrations were seen once, in three. */
mr_status db_set_up(mr_db *self, int64_t deadline_ms)
{
    PGresult *result = NULL;
    mr_status status;

    if (!send_set_up(self))
        return db_fail_lost(self, PQerrorMessage(self->conn));
    status = db_end_pipeline(self, deadline_ms, &result);
    if (status == MR_OK)
        status = check_server(self, result);
    if (status == MR_OK)
        self->server_pid = (int)strtol(PQgetvalue(result, 0, 2), NULL, 10);
    if (status == MR_OK)
        status = check_needs(self, result, deadline_ms);
    PQclear(result);
    if (status != MR_OK) {
        if (self->error.trouble == MR_DB_NONE)
            self->error.trouble = db_trouble_of(self->error.sqlstate);
        db_drop(self);
    }
    return status;
}
