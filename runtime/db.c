#include "runtime/db_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "runtime/shutdown.h"

/*
 * LATE_MS: how long past the deadline the server's own word is waited for: it ends the statement at the deadline, and a
 * connection that says so is a good one. SLACK_MS: a limit of the server's that is later by no more is left as it is.
 */
enum { BACKOFF_LEAST_MS = 50, BACKOFF_MOST_MS = 1000, LOOK_MS = 100, CANCEL_MS = 2000, LATE_MS = 500, SLACK_MS = 250 };

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
    db_drop(*self);
    free(*self);
    *self = NULL;
}

mr_status mr_db_reconnect(mr_db *self)
{
    mr_status status;

    if (self->conn != NULL)
        return MR_OK;
    status = db_open(self);
    if (status == MR_OK) {
        self->backoff_ms = 0;
        self->failures = 0;
        self->notified = true;
        return MR_OK;
    }
    self->failures++;
    self->backoff_ms = self->backoff_ms == 0 ? BACKOFF_LEAST_MS : self->backoff_ms * 2;
    if (self->backoff_ms > BACKOFF_MOST_MS)
        self->backoff_ms = BACKOFF_MOST_MS;
    self->next_attempt_ms = db_now_ms(self) + self->backoff_ms;
    return status;
}

/* Another connection to the primary has found it demoted since this one was made. */
static bool is_demoted(const mr_db *self)
{
    return self->conn != NULL && !self->options.standby && self->demotions != db_demotions();
}

mr_status mr_db_connect(mr_db *self)
{
    if (is_demoted(self))
        db_fail_lost(self, "the server was demoted");
    if (self->conn == NULL && self->backoff_ms > 0 && db_now_ms(self) < self->next_attempt_ms)
        return MR_UNAVAILABLE;
    return mr_db_reconnect(self);
}

void mr_db_meanwhile(mr_db *self, void (*call)(void *argument), void *argument)
{
    self->meanwhile = call;
    self->meanwhile_argument = argument;
}

void mr_db_release(mr_db *self)
{
    db_drop(self);
}

bool mr_db_is_refused(const mr_db *self)
{
    return self->conn == NULL && strncmp(self->error.sqlstate, "28", 2) == 0;
}

bool mr_db_is_hopeless(const mr_db *self)
{
    return self->conn == NULL && self->error.hopeless;
}

const char *mr_db_trouble(const mr_db *self)
{
    static const struct {
        const char *sqlstate; /* or its beginning */
        const char *text;
    } troubles[] = {
        {"28", "The database refuses the user or the password."},
        {"3D000", "There is no such database."},
        {"42501", "The user lacks a right to the database."},
        {"42", "The schema is not the one that is needed: have the migrations run?"},
        {"3F", "The schema is not the one that is needed: have the migrations run?"},
        {"25006", "The database takes no writes: it is a standby, or was demoted."},
        {"53300", "The database has no connection left."},
        {"57P03", "The database is starting or stopping."},
    };

    if (self->conn != NULL)
        return NULL;
    for (size_t i = 0; i < sizeof troubles / sizeof troubles[0]; i++)
        if (strncmp(self->error.sqlstate, troubles[i].sqlstate, strlen(troubles[i].sqlstate)) == 0)
            return troubles[i].text;
    return self->error.hopeless ? "TLS to the database cannot be set up." : "The database cannot be reached.";
}

unsigned mr_db_failures(const mr_db *self)
{
    return self->failures;
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
        db_fail_lost(self, PQerrorMessage(self->conn));
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
    if (db_left_ms(self, deadline_ms) <= 0)
        return db_fail(self, MR_TIMEOUT, false, "", "its deadline had passed before it was sent");
    self->cut = mr_shutdown_is_cut();
    return MR_OK;
}

/*
 * The limit that the server should have for a statement with so much time; -1: the one it has will do. A limit that is a
 * little early or late is left alone, since a change costs more than a quick statement.
 */
static int64_t timeout_to_set(const mr_db *self, int64_t left)
{
    int64_t usual = db_usual_timeout(&self->options);
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
        return db_fail_lost(self, PQerrorMessage(self->conn));
    status = db_end_pipeline(self, deadline_ms, out);
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
    timeout_ms = timeout_to_set(self, db_left_ms(self, deadline_ms));
    if (timeout_ms >= 0)
        status = run_limited(self, statement, params, timeout_ms, deadline_ms + LATE_MS, &result);
    else if (send_run(self, statement, params))
        status = db_take_results(self, deadline_ms + LATE_MS, &result);
    else
        status = db_fail_lost(self, PQerrorMessage(self->conn));
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
        return db_fail_lost(self, PQerrorMessage(self->conn));
    status = db_take_results(self, deadline_ms, out != NULL ? &result : NULL);
    if (status == MR_OK && out != NULL)
        *out = (mr_rows *)(void *)result;
    return status;
}

/* Takes the server's limit away; the next mr_db_run sets it again. */
static mr_status lift_timeout(mr_db *self)
{
    mr_status status = MR_OK;

    if (self->timeout_ms != 0)
        status = mr_db_exec(self, "SET statement_timeout = 0", db_now_ms(self) + CANCEL_MS, NULL);
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
        return db_fail_lost(self, PQerrorMessage(self->conn));
    while (!db_await_result(self, db_now_ms(self) + LOOK_MS)) {
        if (PQstatus(self->conn) == CONNECTION_BAD)
            return db_fail_lost(self, PQerrorMessage(self->conn));
        if (is_over(argument)) {
            db_cancel(self);
            break;
        }
    }
    return db_take_results(self, db_now_ms(self) + CANCEL_MS, NULL);
}

const struct mr_db_error *mr_db_last_error(const mr_db *self)
{
    return &self->error;
}
