/*
 * From a host name to a connection that may serve.
 *
 * Nothing but the settings decides where it goes and how: what libpq would read from its environment is cleared at the start
 * of the process (app/main.c), and what it would read from the home directory is led to where nothing is.
 */
#include <poll.h>
#include <stdio.h>

#include "runtime/db_internal.h"
#include "runtime/db_tls.h"
#include "runtime/shutdown.h"

enum { PARAMETERS = 32 };

/* A name below something that is no directory: libpq takes it for a file that does not exist. */
#define NO_FILE "/dev/null/none"

/* `reached` is how far it came. */
bool db_finish_connect(mr_db *self, int64_t deadline_ms, ConnStatusType *reached)
{
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;

    while (state != PGRES_POLLING_OK) {
        if (state == PGRES_POLLING_FAILED || db_now_ms(self) >= deadline_ms)
            return false;
        if (!db_wait_socket(self, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline_ms))
            return false;
        if (PQstatus(self->conn) != CONNECTION_BAD)
            *reached = PQstatus(self->conn);
        state = PQconnectPoll(self->conn);
    }
    return true;
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

/* What the server's certificate is verified by; NULL: by nothing. */
static const char *verified_by(const struct mr_config *config)
{
    return strcmp(config->db_ssl, "verify-full") == 0 ? authorities(config) : NULL;
}

static void add_tls(struct parameters *parameters, const struct mr_config *config)
{
    bool verify = verified_by(config) != NULL;

    add(parameters, "sslmode", verify ? "verify-full" : strcmp(config->db_ssl, "false") != 0 ? "require" : "disable");
    add(parameters, "sslrootcert", verify ? authorities(config) : NO_FILE);
    add(parameters, "sslcert", NO_FILE);
    add(parameters, "sslkey", NO_FILE);
    add(parameters, "sslcrl", NO_FILE);
    add(parameters, "gssencmode", "disable");
}

struct db_keepalive db_keepalive(const struct mr_config *config)
{
    int64_t seconds = config->db_tcp_timeout / 1000 > 2 ? config->db_tcp_timeout / 1000 : 2;

    return (struct db_keepalive){.idle_s = seconds / 2, .interval_s = 1, .count = seconds - seconds / 2};
}

/* A server that is gone without a word is noticed within DB_TCP_TIMEOUT, whether or not something was sent. */
struct tcp_limits {
    char user_timeout[24]; /* milliseconds */
    char idle[24];
    char interval[24];
    char count[24];
};

static struct tcp_limits tcp_limits(const struct mr_config *config)
{
    struct db_keepalive keepalive = db_keepalive(config);
    struct tcp_limits out;

    snprintf(out.user_timeout, sizeof out.user_timeout, "%lld", (long long)config->db_tcp_timeout);
    snprintf(out.idle, sizeof out.idle, "%lld", (long long)keepalive.idle_s);
    snprintf(out.interval, sizeof out.interval, "%lld", (long long)keepalive.interval_s);
    snprintf(out.count, sizeof out.count, "%lld", (long long)keepalive.count);
    return out;
}

PGconn *db_start_connect(const struct mr_db_options *options)
{
    const struct mr_config *config = options->config;
    struct tcp_limits tcp = tcp_limits(config);
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
    add(&parameters, "keepalives_interval", tcp.interval);
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

static mr_status fail_trouble(mr_db *self, enum mr_db_trouble trouble, const char *sqlstate, const char *message)
{
    db_fail(self, MR_UNAVAILABLE, true, sqlstate, message);
    self->error.trouble = trouble;
    db_drop(self);
    return MR_UNAVAILABLE;
}

/* libpq failed at TLS; false when a handshake of our own does not find out why. */
static bool explain_tls(const mr_db *self, int64_t deadline_ms, char *reason, size_t room)
{
    const struct mr_config *config = self->options.config;
    struct db_tls_peer peer = {.address = PQhostaddr(self->conn),
                               .port = PQport(self->conn),
                               .name = PQhost(self->conn),
                               .authorities = verified_by(config)};

    return peer.address != NULL && peer.address[0] != '\0' &&
           db_tls_explain(&peer, db_left_ms(self, deadline_ms), reason, room);
}

static mr_status fail_connect(mr_db *self, ConnStatusType reached, int64_t deadline_ms)
{
    const char *message = PQerrorMessage(self->conn);
    const char *found = find_sqlstate(message);
    char sqlstate[6] = "08001";
    char reason[200];

    if (found != NULL) {
        memcpy(sqlstate, found, 5);
        return fail_trouble(self, db_trouble_of(sqlstate), sqlstate, line_of(message, found));
    }
    if (PQconnectionNeedsPassword(self->conn))
        return fail_trouble(self, MR_DB_REFUSED, "28P01", message);
    if (db_now_ms(self) >= deadline_ms)
        return fail_trouble(self, MR_DB_AWAY, sqlstate, "no connection in time");
    if (reached == CONNECTION_SSL_STARTUP && explain_tls(self, deadline_ms, reason, sizeof reason))
        return fail_trouble(self, MR_DB_TLS, sqlstate, reason);
    return fail_trouble(self, MR_DB_AWAY, sqlstate, message);
}

/* Before libpq looks for them, which says no more than that it cannot. */
static bool has_authorities(const struct mr_config *config, char *reason, size_t room)
{
    const char *path = verified_by(config);

    return path == NULL || strcmp(path, "system") == 0 || db_tls_has_authorities(path, reason, room);
}

static mr_status open_connection(mr_db *self)
{
    int64_t deadline_ms = db_now_ms(self) + self->options.config->db_connect_timeout;
    uint64_t demotions = db_demotions();
    ConnStatusType reached = CONNECTION_BAD;
    char reason[200];
    mr_status status;

    if (mr_shutdown_is_cut())
        return db_fail(self, MR_UNAVAILABLE, true, "", "the process ends");
    if (!has_authorities(self->options.config, reason, sizeof reason))
        return fail_trouble(self, MR_DB_TLS, "08001", reason);
    self->cut = false;
    self->shared = db_pooler_shares(self);
    self->demotions = UINT64_MAX; /* that a server is a standby from the start says nothing of the others */
    self->conn = db_start_connect(&self->options);
    if (self->conn == NULL)
        return db_fail(self, MR_NO_MEMORY, true, "", "out of memory");
    PQsetNoticeReceiver(self->conn, db_take_notice, self);
    PQsetErrorVerbosity(self->conn, PQERRORS_VERBOSE);
    if (PQstatus(self->conn) == CONNECTION_BAD || !db_finish_connect(self, deadline_ms, &reached) ||
        PQsetnonblocking(self->conn, 1) != 0)
        return fail_connect(self, reached, deadline_ms);
    PQsetErrorVerbosity(self->conn, PQERRORS_DEFAULT);
    self->timeout_ms = db_usual_timeout(&self->options);
    status = db_set_up(self, deadline_ms);
    self->demotions = demotions;
    return status;
}

mr_status db_open(mr_db *self)
{
    mr_status status;

    self->opening = true;
    status = open_connection(self);
    if (db_pooler_found(self, status) && !db_pooler_divides(self))
        status = open_connection(self);
    if (db_pooler_divides(self) && (status == MR_OK || strcmp(self->error.sqlstate, "42P05") == 0))
        status =
            fail_trouble(self, MR_DB_POOLED, "08P01", "a pooler in front of the database pools statements: no transactions");
    self->opening = false;
    return status;
}
