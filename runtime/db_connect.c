/*
 * From a host name to a connection that may serve.
 *
 * Nothing but the settings decides where it goes and how: what libpq would read from its environment is cleared at the start
 * of the process (app/main.c), and what it would read from the home directory is led to where nothing is.
 */
#include <poll.h>
#include <stdio.h>

#include "runtime/db_internal.h"
#include "runtime/shutdown.h"

enum { IDLE_TIMEOUT_MS = 60000, SETTINGS_ROOM = 1536, PARAMETERS = 32 };

/* A name below something that is no directory: libpq takes it for a file that does not exist. */
#define NO_FILE "/dev/null/none"

static void ignore_notice(void *argument, const char *message)
{
    (void)argument;
    (void)message;
}

static bool finish_connect(mr_db *self, int64_t deadline_ms)
{
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;

    while (state != PGRES_POLLING_OK) {
        if (state == PGRES_POLLING_FAILED || db_now_ms(self) >= deadline_ms)
            return false;
        if (!db_wait_socket(self, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline_ms))
            return false;
        state = PQconnectPoll(self->conn);
    }
    return true;
}

int64_t db_usual_timeout(const struct mr_db_options *options)
{
    if (!options->set_wise)
        return 0;
    return options->statement_timeout != 0 ? options->statement_timeout : options->config->request_timeout;
}

/* ---- What the session is set to ---- */

/* Our tables are in public, or where a release that searched by "$user" has put them: in the schema of the role's name. */
#define HOME_SCHEMA                                                      \
    "coalesce((SELECT quote_ident(n.nspname) FROM pg_catalog.pg_class c" \
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"          \
    " WHERE c.relname = 'schema_migration' AND c.relkind = 'r' AND n.nspname = current_user), 'public')"

/*
 * What our SQL depends on, whatever role, database or server say; a statement rather than start-up options, which poolers
 * refuse or ignore. It fails, and the connection with it, when one of them cannot be set. What every set-wise statement relies
 * on comes with it: a plan made for an empty table must not outlive its growth.
 */
static void settings_sql(char out[SETTINGS_ROOM], const struct mr_db_options *options)
{
    static const char always[] =
        "SELECT set_config('DateStyle', 'ISO, YMD', false), set_config('IntervalStyle', 'postgres', false),"
        " set_config('TimeZone', 'UTC', false), set_config('search_path', " HOME_SCHEMA ", false),"
        " set_config('bytea_output', 'hex', false), set_config('extra_float_digits', '1', false),"
        " set_config('standard_conforming_strings', 'on', false),"
        " set_config('default_transaction_isolation', 'read committed', false)";
    static const char set_wise[] = ", set_config('plan_cache_mode', 'force_generic_plan', false),"
                                   " set_config('enable_seqscan', 'off', false), set_config('enable_hashjoin', 'off', false),"
                                   " set_config('enable_mergejoin', 'off', false), set_config('jit', 'off', false)";

    snprintf(out, SETTINGS_ROOM,
             "%s%s, set_config('statement_timeout', '%lld', false), set_config('lock_timeout', '%lld', false),"
             " set_config('idle_in_transaction_session_timeout', '%lld', false)",
             always, options->set_wise ? set_wise : "", (long long)db_usual_timeout(options),
             options->set_wise ? (long long)options->config->db_lock_timeout : 0LL,
             options->idle_timeout != 0 ? (long long)options->idle_timeout : (long long)IDLE_TIMEOUT_MS);
}

static bool send_sql(mr_db *self, const char *sql)
{
    return PQsendQueryParams(self->conn, sql, 0, NULL, NULL, NULL, NULL, 0) == 1;
}

/* The settings first: the names in a statement are looked up when it is prepared. */
static bool send_set_up(mr_db *self)
{
    char sql[SETTINGS_ROOM];

    settings_sql(sql, &self->options);
    if (PQenterPipelineMode(self->conn) != 1 || !send_sql(self, sql))
        return false;
    for (const struct mr_statement *const *s = self->statements; s != NULL && *s != NULL; s++)
        if (PQsendPrepare(self->conn, (*s)->name, (*s)->text, 0, NULL) != 1)
            return false;
    if (self->options.channel != NULL) {
        snprintf(sql, sizeof sql, "LISTEN %s", self->options.channel);
        if (!send_sql(self, sql))
            return false;
    }
    return send_sql(self, "SELECT current_setting('transaction_read_only')");
}

/* Whether the server is one for this connection: a name may still lead to the one that was demoted, or to a standby. */
static mr_status check_server(mr_db *self, const PGresult *result)
{
    bool read_only = PQntuples(result) == 1 && strcmp(PQgetvalue(result, 0, 0), "on") == 0;

    if (!read_only || self->options.standby)
        return MR_OK;
    return db_fail(self, MR_UNAVAILABLE, true, "25006", "the server takes no writes: it is a standby, or was demoted");
}

/* In one round trip. */
static mr_status set_up(mr_db *self, int64_t deadline_ms)
{
    PGresult *result = NULL;
    mr_status status;

    if (!send_set_up(self))
        return db_fail_lost(self, PQerrorMessage(self->conn));
    status = db_end_pipeline(self, deadline_ms, &result);
    if (status == MR_OK)
        status = check_server(self, result);
    PQclear(result);
    if (status != MR_OK)
        db_drop(self);
    return status;
}

/* ---- The connection itself ---- */

/* The system's authorities have a name of their own since libpq 16; before it, they are the file that Debian gathers. */
static const char *authorities(const struct mr_config *config)
{
    if (config->db_ssl_root_cert[0] != '\0')
        return config->db_ssl_root_cert;
    return PQlibVersion() >= 160000 ? "system" : "/etc/ssl/certs/ca-certificates.crt";
}

struct parameters {
    const char *names[PARAMETERS];
    const char *values[PARAMETERS];
    unsigned count;
};

static void add(struct parameters *self, const char *name, const char *value)
{
    self->names[self->count] = name;
    self->values[self->count++] = value;
}

static void add_tls(struct parameters *parameters, const struct mr_config *config)
{
    bool verify = strcmp(config->db_ssl, "verify-full") == 0;

    add(parameters, "sslmode", verify ? "verify-full" : strcmp(config->db_ssl, "false") != 0 ? "require" : "disable");
    add(parameters, "sslrootcert", verify ? authorities(config) : NO_FILE);
    add(parameters, "sslcert", NO_FILE);
    add(parameters, "sslkey", NO_FILE);
    add(parameters, "sslcrl", NO_FILE);
    add(parameters, "gssencmode", "disable");
}

/* A peer that is gone without a word is noticed within DB_TCP_TIMEOUT, whether or not something was sent. */
struct tcp_limits {
    char user_timeout[24]; /* milliseconds */
    char idle[24];         /* seconds, as the next */
    char count[24];
};

static struct tcp_limits tcp_limits(int64_t timeout_ms)
{
    int64_t seconds = timeout_ms / 1000 > 2 ? timeout_ms / 1000 : 2;
    struct tcp_limits out;

    snprintf(out.user_timeout, sizeof out.user_timeout, "%lld", (long long)timeout_ms);
    snprintf(out.idle, sizeof out.idle, "%lld", (long long)(seconds / 2));
    snprintf(out.count, sizeof out.count, "%lld", (long long)(seconds - seconds / 2));
    return out;
}

static PGconn *start_connect(const struct mr_db_options *options)
{
    const struct mr_config *config = options->config;
    struct tcp_limits tcp = tcp_limits(config->db_tcp_timeout);
    struct parameters parameters = {.count = 0};
    char port[8];

    snprintf(port, sizeof port, "%d", (int)config->db_port);
    add(&parameters, "host", options->host);
    add(&parameters, "port", port);
    add(&parameters, "user", config->db_user);
    add(&parameters, "password", config->db_pass);
    add(&parameters, "passfile", NO_FILE);
    add(&parameters, "dbname", config->db_database);
    add(&parameters, "application_name", options->application_name);
    add(&parameters, "client_encoding", "UTF8");
    add(&parameters, "tcp_user_timeout", tcp.user_timeout);
    add(&parameters, "keepalives_idle", tcp.idle);
    add(&parameters, "keepalives_interval", "1");
    add(&parameters, "keepalives_count", tcp.count);
    add_tls(&parameters, config);
    add(&parameters, NULL, NULL);
    return PQconnectStartParams(parameters.names, parameters.values, 0);
}

/* ---- Why there is none ---- */

static bool is_sqlstate(const char *text)
{
    return strspn(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 && (text[5] == ':' || text[5] == '\n');
}

/*
 * The verbose form of a refusal has its SQLSTATE behind the severity, which a server may translate: "FATAL:  28P01: ...".
 * NULL: the server did not get to say anything.
 */
static const char *find_sqlstate(const char *message)
{
    while ((message = strstr(message, ":  ")) != NULL) {
        message += 3;
        if (is_sqlstate(message))
            return message;
    }
    return NULL;
}

/* The line that a position is in: of several addresses, each has one. */
static const char *line_of(const char *text, const char *at)
{
    while (at > text && at[-1] != '\n')
        at--;
    return at;
}

/* libpq's own words, which it would translate only if this process set a locale. */
static bool is_tls_problem(const char *message)
{
    static const char *const words[] = {"root certificate file", "could not read root certificate", "does not match host name",
                                        "certificate verify failed", "server does not support SSL"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strstr(message, words[i]) != NULL)
            return true;
    return false;
}

static bool is_untrusted(const char *message)
{
    return strstr(message, "certificate verify failed") != NULL;
}

/* What waiting does not heal: no such user or password (28), database (3D000) or right to connect (42501), or TLS that cannot be. */
static bool is_hopeless(const char *sqlstate, const char *message)
{
    return strncmp(sqlstate, "28", 2) == 0 || strcmp(sqlstate, "3D000") == 0 || strcmp(sqlstate, "42501") == 0 ||
           is_tls_problem(message);
}

static mr_status fail_connect(mr_db *self, bool late)
{
    const char *message = PQerrorMessage(self->conn);
    const char *found = find_sqlstate(message);
    char sqlstate[6] = "08001";
    char problem[256];

    if (found != NULL)
        memcpy(sqlstate, found, 5);
    if (is_untrusted(message) && db_tls_problem(&self->options, authorities(self->options.config), problem, sizeof problem))
        db_fail(self, MR_UNAVAILABLE, true, sqlstate, problem);
    else
        db_fail(self, MR_UNAVAILABLE, true, sqlstate,
                late            ? "no connection in time"
                : found != NULL ? line_of(message, found)
                                : message);
    self->error.hopeless = !late && is_hopeless(sqlstate, message);
    db_drop(self);
    return MR_UNAVAILABLE;
}

static mr_status open_connection(mr_db *self)
{
    int64_t deadline_ms = db_now_ms(self) + self->options.config->db_connect_timeout;
    uint64_t demotions = db_demotions();
    mr_status status;

    if (mr_shutdown_is_cut())
        return db_fail(self, MR_UNAVAILABLE, true, "", "the process ends");
    self->cut = false;
    self->demotions = UINT64_MAX; /* that a server is a standby from the start says nothing of the others */
    self->conn = start_connect(&self->options);
    if (self->conn == NULL)
        return db_fail(self, MR_NO_MEMORY, true, "", "out of memory");
    PQsetNoticeProcessor(self->conn, ignore_notice, NULL);
    PQsetErrorVerbosity(self->conn, PQERRORS_VERBOSE);
    if (PQstatus(self->conn) == CONNECTION_BAD || !finish_connect(self, deadline_ms) || PQsetnonblocking(self->conn, 1) != 0)
        return fail_connect(self, db_now_ms(self) >= deadline_ms);
    PQsetErrorVerbosity(self->conn, PQERRORS_DEFAULT);
    self->timeout_ms = db_usual_timeout(&self->options);
    status = set_up(self, deadline_ms);
    self->demotions = demotions;
    return status;
}

mr_status db_open(mr_db *self)
{
    mr_status status;

    self->opening = true;
    status = open_connection(self);
    self->opening = false;
    return status;
}
