#include "runtime/db.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/shutdown.h"

/*
 * LATE_MS: how long past the deadline the server's own word is waited for: it ends the statement at the deadline, and a
 * connection that says so is a good one. SLACK_MS: a limit of the server's that is later by no more is left as it is.
 */
enum {
    BACKOFF_LEAST_MS = 50,
    BACKOFF_MOST_MS = 1000,
    IDLE_TIMEOUT_MS = 60000,
    LOOK_MS = 100,
    CANCEL_MS = 2000,
    LATE_MS = 500,
    SLACK_MS = 250
};

/* Object identifiers of the result types that are understood (pg_type.dat). */
/* clang-format off */
enum { OID_BOOL = 16, OID_INT8 = 20, OID_INT2 = 21, OID_INT4 = 23, OID_TEXT = 25, OID_FLOAT8 = 701,
       OID_VARCHAR = 1043, OID_TIMESTAMPTZ = 1184, OID_UUID = 2950, OID_UNKNOWN = 705, OID_JSON = 114, OID_JSONB = 3802 };
/* clang-format on */

struct mr_db {
    struct mr_db_options options;
    const struct mr_statement *const *statements;
    PGconn *conn; /* NULL: down */
    int64_t backoff_ms;
    int64_t next_attempt_ms;
    int64_t timeout_ms; /* statement_timeout as the server has it; 0: none */
    bool notified;
    bool cut; /* the end of the process has cancelled what was at work here (runtime/shutdown.h) */
    struct mr_db_error error;
};

/* A PGresult by another name: mr_rows is never defined, only pointed to. */
static const PGresult *result_of(const mr_rows *rows)
{
    return (const PGresult *)(const void *)rows;
}

static void ignore_notice(void *argument, const char *message)
{
    (void)argument;
    (void)message;
}

static int64_t now_ms(const mr_db *self)
{
    return mr_mono_ms(self->options.clock);
}

static void drop(mr_db *self)
{
    PQfinish(self->conn);
    self->conn = NULL;
}

static mr_status fail(mr_db *self, mr_status status, bool lost, bool rerun, const char *sqlstate, const char *message)
{
    self->error = (struct mr_db_error){.status = status, .lost = lost, .rerun = rerun};
    snprintf(self->error.sqlstate, sizeof self->error.sqlstate, "%s", sqlstate);
    snprintf(self->error.message, sizeof self->error.message, "%s", message);
    self->error.message[strcspn(self->error.message, "\n")] = '\0';
    return status;
}

static mr_status fail_lost(mr_db *self, const char *message)
{
    fail(self, MR_UNAVAILABLE, true, false, "08006", message);
    drop(self);
    return MR_UNAVAILABLE;
}

/* The server may still answer, and nobody would take it: the connection is of no more use. */
static mr_status fail_late(mr_db *self)
{
    fail(self, MR_TIMEOUT, true, false, "", "no answer in time");
    drop(self);
    return MR_TIMEOUT;
}

static mr_status fail_wait(mr_db *self, int64_t deadline_ms)
{
    if (now_ms(self) >= deadline_ms)
        return fail_late(self);
    return fail_lost(self, mr_shutdown_is_cut() ? "the process ends" : PQerrorMessage(self->conn));
}

/* ---- Cancelling: libpq's own function connects and waits without a limit, so a thread of its own does that ---- */

static void *send_cancel(void *argument)
{
    PGcancel *order = argument;
    char ignored[256];

    PQcancel(order, ignored, sizeof ignored);
    PQfreeCancel(order);
    return NULL;
}

/* Asks the server to end the statement at work, and does not wait: its result tells whether it did. */
static void cancel(mr_db *self)
{
    PGcancel *order = PQgetCancel(self->conn);
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    pthread_t thread;

    if (order == NULL)
        return;
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&thread, &attributes, send_cancel, order) != 0)
        PQfreeCancel(order);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

/* ---- Waiting ---- */

static int64_t left_ms(const mr_db *self, int64_t deadline_ms)
{
    int64_t left = deadline_ms - now_ms(self);
    int64_t left_to_process = mr_shutdown_is_cut() ? mr_shutdown_limit_ms() - mr_mono_ms(&mr_system_clock) : INT64_MAX;

    return left < left_to_process ? left : left_to_process;
}

/* The end of the process cancels a statement at work, once, and gives up a connection that does not stand yet. */
static bool cut_short(mr_db *self)
{
    self->cut = true;
    if (PQstatus(self->conn) != CONNECTION_OK)
        return false;
    cancel(self);
    return true;
}

/* Waits for the socket; false when the deadline passes first. The descriptor is asked for each time: it can change while connecting. */
static bool wait_socket(mr_db *self, short events, int64_t deadline_ms)
{
    struct pollfd items[2] = {{.fd = PQsocket(self->conn), .events = events},
                              {.fd = self->cut ? -1 : mr_shutdown_cut_fd(), .events = POLLIN}};
    int64_t left = left_ms(self, deadline_ms);

    if (left <= 0 || (poll(items, 2, (int)(left < INT32_MAX ? left : INT32_MAX)) < 0 && errno != EINTR))
        return false;
    return items[1].revents == 0 || cut_short(self);
}

static bool finish_connect(mr_db *self, int64_t deadline_ms)
{
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;

    while (state != PGRES_POLLING_OK) {
        if (state == PGRES_POLLING_FAILED || now_ms(self) >= deadline_ms)
            return false;
        if (!wait_socket(self, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline_ms))
            return false;
        state = PQconnectPoll(self->conn);
    }
    return true;
}

/* Sends what is queued and reads until a result is whole. */
static bool await_result(mr_db *self, int64_t deadline_ms)
{
    int unsent;

    while ((unsent = PQflush(self->conn)) > 0 || PQisBusy(self->conn)) {
        if (unsent < 0 || !wait_socket(self, unsent > 0 ? POLLIN | POLLOUT : POLLIN, deadline_ms))
            return false;
        if (!PQconsumeInput(self->conn))
            return false;
    }
    return unsent == 0;
}

static bool is_good(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);

    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_PIPELINE_SYNC ||
           status == PGRES_EMPTY_QUERY;
}

static mr_status fail_result(mr_db *self, const PGresult *result)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    bool rerun = false;
    mr_status status;

    if (sqlstate == NULL && PQstatus(self->conn) == CONNECTION_OK)
        return fail(self, MR_NO_MEMORY, false, false, "", PQresultErrorMessage(result)); /* libpq's own, with the rows lost */
    if (sqlstate == NULL)
        return fail(self, MR_UNAVAILABLE, true, false, "08006", PQresultErrorMessage(result));
    status = mr_status_from_sqlstate(sqlstate, &rerun);
    return fail(self, status, false, rerun, sqlstate, message != NULL ? message : "");
}

/* The last good result is kept, the first bad one decides; what only followed a bad one says nothing. */
static mr_status weigh(mr_db *self, mr_status status, PGresult *result, PGresult **kept)
{
    ExecStatusType kind = PQresultStatus(result);

    if (kind == PGRES_TUPLES_OK || kind == PGRES_COMMAND_OK || kind == PGRES_EMPTY_QUERY) {
        PQclear(*kept);
        *kept = result;
        return status;
    }
    if (!is_good(result) && kind != PGRES_PIPELINE_ABORTED && status == MR_OK)
        status = fail_result(self, result);
    PQclear(result);
    return status;
}

/*
 * Takes every result of what was sent. In pipeline mode each statement's results end with a NULL, and the whole with the
 * synchronization point. A connection that went down meanwhile is dropped; the error then says `lost`, whatever the server's
 * last words were.
 */
static mr_status take_results(mr_db *self, int64_t deadline_ms, PGresult **out)
{
    bool pipeline = PQpipelineStatus(self->conn) != PQ_PIPELINE_OFF;
    PGresult *kept = NULL;
    mr_status status = MR_OK;

    for (bool synced = false; !synced && PQstatus(self->conn) == CONNECTION_OK;) {
        PGresult *result;

        if (!await_result(self, deadline_ms)) {
            PQclear(kept);
            return fail_wait(self, deadline_ms);
        }
        result = PQgetResult(self->conn);
        synced = pipeline ? PQresultStatus(result) == PGRES_PIPELINE_SYNC : result == NULL;
        if (result != NULL)
            status = weigh(self, status, result, &kept);
    }
    if (PQstatus(self->conn) == CONNECTION_BAD) {
        if (status == MR_OK)
            status = fail(self, MR_UNAVAILABLE, true, false, "08006", PQerrorMessage(self->conn));
        self->error.lost = true;
        drop(self);
    }
    if (status != MR_OK || out == NULL) {
        PQclear(kept);
        return status;
    }
    *out = kept;
    return MR_OK;
}

/* Takes what a pipeline has to say and leaves pipeline mode. */
static mr_status end_pipeline(mr_db *self, int64_t deadline_ms, PGresult **out)
{
    mr_status status;

    if (PQpipelineSync(self->conn) != 1)
        return fail_lost(self, PQerrorMessage(self->conn));
    status = take_results(self, deadline_ms, out);
    if (self->conn == NULL || PQexitPipelineMode(self->conn) == 1)
        return status;
    if (status == MR_OK && out != NULL) {
        PQclear(*out);
        *out = NULL;
    }
    return fail_lost(self, PQerrorMessage(self->conn));
}

static bool send_prepares(mr_db *self)
{
    char listen[80];

    if (!PQenterPipelineMode(self->conn))
        return false;
    for (const struct mr_statement *const *s = self->statements; *s != NULL; s++)
        if (!PQsendPrepare(self->conn, (*s)->name, (*s)->text, 0, NULL))
            return false;
    if (self->options.channel != NULL) {
        snprintf(listen, sizeof listen, "LISTEN %s", self->options.channel);
        if (!PQsendQueryParams(self->conn, listen, 0, NULL, NULL, NULL, NULL, 0))
            return false;
    }
    return true;
}

static mr_status prepare_all(mr_db *self, int64_t deadline_ms)
{
    mr_status status;

    if (self->statements == NULL || self->statements[0] == NULL)
        return MR_OK;
    if (!send_prepares(self))
        return fail_lost(self, PQerrorMessage(self->conn));
    status = end_pipeline(self, deadline_ms, NULL);
    if (status != MR_OK)
        drop(self);
    return status;
}

/* What the server allows a statement unless its deadline is nearer; 0: no limit. */
static int64_t usual_timeout(const struct mr_db_options *options)
{
    if (!options->set_wise)
        return 0;
    return options->statement_timeout != 0 ? options->statement_timeout : options->config->request_timeout;
}

/* What every set-wise statement relies on: a plan made for an empty table must not outlive its growth. */
static void server_options(char *out, size_t room, const struct mr_db_options *options)
{
    static const char planner[] = " -c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off"
                                  " -c enable_mergejoin=off -c jit=off";

    snprintf(out, room, "-c statement_timeout=%lld -c lock_timeout=%lld -c idle_in_transaction_session_timeout=%lld%s",
             (long long)usual_timeout(options), options->set_wise ? (long long)options->config->db_lock_timeout : 0LL,
             options->idle_timeout != 0 ? (long long)options->idle_timeout : (long long)IDLE_TIMEOUT_MS,
             options->set_wise ? planner : "");
}

/* The system's authorities have a name of their own since libpq 16; before it, they are the file that Debian gathers. */
static const char *authorities(const struct mr_config *config)
{
    if (config->db_ssl_root_cert[0] != '\0')
        return config->db_ssl_root_cert;
    return PQlibVersion() >= 160000 ? "system" : "/etc/ssl/certs/ca-certificates.crt";
}

static PGconn *start_connect(const struct mr_db_options *options)
{
    const struct mr_config *config = options->config;
    bool tls = strcmp(config->db_ssl, "false") != 0;
    bool verify = strcmp(config->db_ssl, "verify-full") == 0;
    char port[8];
    char server[512];
    /* clang-format off */
    const char *const names[] = {"host", "port", "user", "password", "dbname", "application_name", "client_encoding",
                                 "options", "tcp_user_timeout", "keepalives_idle", "sslmode",
                                 verify ? "sslrootcert" : NULL, NULL};
    const char *const values[] = {options->host, port, config->db_user, config->db_pass, config->db_database,
                                  options->application_name, "UTF8", server, "10000", "30",
                                  verify ? "verify-full" : tls ? "require" : "disable",
                                  authorities(config), NULL};
    /* clang-format on */

    snprintf(port, sizeof port, "%d", (int)config->db_port);
    server_options(server, sizeof server, options);
    return PQconnectStartParams(names, values, 0);
}

/* Why there is no connection. The verbose form of the server's refusal begins with its SQLSTATE: "FATAL:  28P01: ...". */
static mr_status fail_connect(mr_db *self, bool late)
{
    const char *refusal = strstr(PQerrorMessage(self->conn), "FATAL:  ");
    char sqlstate[6] = "08001";

    if (refusal != NULL && strspn(refusal + 8, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5)
        memcpy(sqlstate, refusal + 8, 5);
    fail(self, MR_UNAVAILABLE, true, false, sqlstate, late ? "no connection in time" : PQerrorMessage(self->conn));
    drop(self);
    return MR_UNAVAILABLE;
}

static mr_status attempt(mr_db *self)
{
    int64_t deadline_ms = now_ms(self) + self->options.config->db_connect_timeout;

    if (mr_shutdown_is_cut())
        return fail(self, MR_UNAVAILABLE, true, false, "", "the process ends");
    self->cut = false;
    self->conn = start_connect(&self->options);
    if (self->conn == NULL)
        return fail(self, MR_NO_MEMORY, true, false, "", "out of memory");
    PQsetNoticeProcessor(self->conn, ignore_notice, NULL);
    PQsetErrorVerbosity(self->conn, PQERRORS_VERBOSE);
    if (PQstatus(self->conn) == CONNECTION_BAD || !finish_connect(self, deadline_ms) || PQsetnonblocking(self->conn, 1) != 0)
        return fail_connect(self, now_ms(self) >= deadline_ms);
    PQsetErrorVerbosity(self->conn, PQERRORS_DEFAULT);
    self->timeout_ms = usual_timeout(&self->options);
    return prepare_all(self, deadline_ms);
}

mr_status mr_db_new(mr_db **out, const struct mr_db_options *options, const struct mr_statement *const *statements)
{
    mr_db *self = calloc(1, sizeof *self);

    if (self == NULL)
        return MR_NO_MEMORY;
    self->options = *options;
    self->statements = statements;
    *out = self;
    return MR_OK;
}

void mr_db_destroy(mr_db **self)
{
    if (*self == NULL)
        return;
    drop(*self);
    free(*self);
    *self = NULL;
}

mr_status mr_db_reconnect(mr_db *self)
{
    mr_status status;

    if (self->conn != NULL)
        return MR_OK;
    status = attempt(self);
    if (status == MR_OK) {
        self->backoff_ms = 0;
        self->notified = true;
        return MR_OK;
    }
    self->backoff_ms = self->backoff_ms == 0 ? BACKOFF_LEAST_MS : self->backoff_ms * 2;
    if (self->backoff_ms > BACKOFF_MOST_MS)
        self->backoff_ms = BACKOFF_MOST_MS;
    self->next_attempt_ms = now_ms(self) + self->backoff_ms;
    return status;
}

mr_status mr_db_connect(mr_db *self)
{
    if (self->conn == NULL && self->backoff_ms > 0 && now_ms(self) < self->next_attempt_ms)
        return MR_UNAVAILABLE;
    return mr_db_reconnect(self);
}

void mr_db_release(mr_db *self)
{
    drop(self);
}

bool mr_db_is_refused(const mr_db *self)
{
    return self->conn == NULL && strncmp(self->error.sqlstate, "28", 2) == 0;
}

bool mr_db_is_up(const mr_db *self)
{
    return self->conn != NULL;
}

int mr_db_fd(const mr_db *self)
{
    return self->conn != NULL ? PQsocket(self->conn) : -1;
}

void mr_db_listen(mr_db *self)
{
    if (self->conn != NULL && (!PQconsumeInput(self->conn) || PQstatus(self->conn) == CONNECTION_BAD))
        fail_lost(self, PQerrorMessage(self->conn));
}

bool mr_db_notified(mr_db *self)
{
    PGnotify *notice;
    bool notified = self->notified;

    while (self->conn != NULL && (notice = PQnotifies(self->conn)) != NULL) {
        notified = true;
        PQfreemem(notice);
    }
    self->notified = false;
    return notified;
}

/* ---- Statements ---- */

/* What comes after the cut is not cancelled once more; it has less time. */
static mr_status begin(mr_db *self, int64_t deadline_ms)
{
    if (self->conn == NULL)
        return MR_UNAVAILABLE;
    if (left_ms(self, deadline_ms) <= 0)
        return fail(self, MR_TIMEOUT, false, false, "", "its deadline had passed before it was sent");
    self->cut = mr_shutdown_is_cut();
    return MR_OK;
}

/*
 * The limit that the server should have for a statement with so much time; -1: the one it has will do. A limit that is a
 * little early or late is left alone, since a change costs more than a quick statement.
 */
static int64_t timeout_to_set(const mr_db *self, int64_t left)
{
    int64_t usual = usual_timeout(&self->options);
    int64_t wanted = left < usual ? left : usual;

    if (usual == 0 ||
        (self->timeout_ms != 0 && self->timeout_ms <= wanted + SLACK_MS && self->timeout_ms >= wanted - wanted / 8))
        return -1;
    return wanted;
}

static bool send_run(mr_db *self, const char *statement, const struct mr_params *params)
{
    const char *values[MR_FIELDS_MAX];
    int lengths[MR_FIELDS_MAX];
    int formats[MR_FIELDS_MAX];

    for (unsigned i = 0; i < params->count; i++) {
        values[i] = params->arrays[i].bytes.data;
        lengths[i] = (int)params->arrays[i].bytes.len;
        formats[i] = 1;
    }
    return PQsendQueryPrepared(self->conn, statement, (int)params->count, values, lengths, formats, 1) == 1;
}

/* In the same round trip: the limit first. A failure of the statement rolls the limit back, too. */
static mr_status run_limited(mr_db *self, const char *statement, const struct mr_params *params, int64_t timeout_ms,
                             int64_t deadline_ms, PGresult **out)
{
    char sql[80];
    mr_status status;

    snprintf(sql, sizeof sql, "SET statement_timeout = %lld", (long long)timeout_ms);
    if (PQenterPipelineMode(self->conn) != 1 || PQsendQueryParams(self->conn, sql, 0, NULL, NULL, NULL, NULL, 0) != 1 ||
        !send_run(self, statement, params))
        return fail_lost(self, PQerrorMessage(self->conn));
    status = end_pipeline(self, deadline_ms, out);
    if (status == MR_OK)
        self->timeout_ms = timeout_ms;
    return status;
}

mr_status mr_db_run(mr_db *self, const char *statement, const struct mr_params *params, int64_t deadline_ms, mr_rows **out)
{
    PGresult *result = NULL;
    mr_status status = begin(self, deadline_ms);
    int64_t timeout_ms;

    if (status != MR_OK)
        return status;
    timeout_ms = timeout_to_set(self, left_ms(self, deadline_ms));
    if (timeout_ms >= 0)
        status = run_limited(self, statement, params, timeout_ms, deadline_ms + LATE_MS, &result);
    else if (send_run(self, statement, params))
        status = take_results(self, deadline_ms + LATE_MS, &result);
    else
        status = fail_lost(self, PQerrorMessage(self->conn));
    if (status == MR_OK)
        *out = (mr_rows *)(void *)result;
    return status;
}

mr_status mr_db_exec(mr_db *self, const char *sql, int64_t deadline_ms, mr_rows **out)
{
    PGresult *result = NULL;
    mr_status status = begin(self, deadline_ms);

    if (status != MR_OK)
        return status;
    if (!PQsendQuery(self->conn, sql))
        return fail_lost(self, PQerrorMessage(self->conn));
    status = take_results(self, deadline_ms, out != NULL ? &result : NULL);
    if (status == MR_OK && out != NULL)
        *out = (mr_rows *)(void *)result;
    return status;
}

/* Takes the server's limit away; the next mr_db_run sets it again. */
static mr_status lift_timeout(mr_db *self)
{
    mr_status status = MR_OK;

    if (self->timeout_ms != 0)
        status = mr_db_exec(self, "SET statement_timeout = 0", now_ms(self) + CANCEL_MS, NULL);
    if (status == MR_OK)
        self->timeout_ms = 0;
    return status;
}

mr_status mr_db_exec_unless(mr_db *self, const char *sql, bool (*is_over)(void *argument), void *argument)
{
    mr_status status = self->conn != NULL ? lift_timeout(self) : MR_UNAVAILABLE;

    if (status != MR_OK)
        return status;
    if (!PQsendQuery(self->conn, sql))
        return fail_lost(self, PQerrorMessage(self->conn));
    while (!await_result(self, now_ms(self) + LOOK_MS)) {
        if (PQstatus(self->conn) == CONNECTION_BAD)
            return fail_lost(self, PQerrorMessage(self->conn));
        if (is_over(argument)) {
            cancel(self);
            break;
        }
    }
    return take_results(self, now_ms(self) + CANCEL_MS, NULL);
}

const struct mr_db_error *mr_db_last_error(const mr_db *self)
{
    return &self->error;
}

unsigned mr_rows_count(const mr_rows *self)
{
    return (unsigned)PQntuples(result_of(self));
}

unsigned mr_rows_columns(const mr_rows *self)
{
    return (unsigned)PQnfields(result_of(self));
}

const char *mr_rows_name(const mr_rows *self, unsigned column)
{
    return PQfname(result_of(self), (int)column);
}

bool mr_rows_get(const mr_rows *self, unsigned row, unsigned column, struct mr_slice *out)
{
    const PGresult *result = result_of(self);

    if (PQgetisnull(result, (int)row, (int)column))
        return false;
    *out = (struct mr_slice){PQgetvalue(result, (int)row, (int)column), (size_t)PQgetlength(result, (int)row, (int)column)};
    return true;
}

static int64_t big_endian(struct mr_slice bytes)
{
    uint64_t value = bytes.len > 0 && (bytes.data[0] & 0x80) ? UINT64_MAX : 0;

    for (size_t i = 0; i < bytes.len; i++)
        value = value << 8 | (uint8_t)bytes.data[i];
    return (int64_t)value;
}

int64_t mr_rows_int(const mr_rows *self, unsigned row, unsigned column, int64_t otherwise)
{
    struct mr_slice bytes;

    return mr_rows_get(self, row, column, &bytes) ? big_endian(bytes) : otherwise;
}

mr_status mr_rows_wire(const mr_rows *self, unsigned row, unsigned column, struct mr_buf *out)
{
    struct mr_slice bytes;
    int64_t integer;
    double number;

    if (!mr_rows_get(self, row, column, &bytes)) {
        mr_wire_nil(out);
        return MR_OK;
    }
    switch (PQftype(result_of(self), (int)column)) {
    case OID_BOOL: mr_wire_bool(out, bytes.data[0] != 0); return MR_OK;
    case OID_INT2:
    case OID_INT4:
    case OID_INT8: mr_wire_int(out, big_endian(bytes)); return MR_OK;
    case OID_TEXT:
    case OID_VARCHAR:
    case OID_UNKNOWN: mr_wire_text(out, bytes); return MR_OK;
    case OID_JSON: mr_wire_json(out, bytes); return MR_OK;
    case OID_JSONB: mr_wire_json(out, (struct mr_slice){bytes.data + 1, bytes.len - 1}); return MR_OK; /* behind its version */
    case OID_UUID: mr_wire_uuid(out, (const uint8_t *)bytes.data); return MR_OK;
    case OID_TIMESTAMPTZ: mr_wire_time(out, big_endian(bytes) + MR_POSTGRES_EPOCH_MICROS); return MR_OK;
    case OID_FLOAT8:
        integer = big_endian(bytes);
        memcpy(&number, &integer, sizeof number);
        mr_wire_double(out, number);
        return MR_OK;
    default: return MR_INTERNAL;
    }
}

void mr_rows_free(mr_rows **self)
{
    PQclear((PGresult *)(void *)*self);
    *self = NULL;
}
