#include "runtime/db_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/metrics.h"
#include "runtime/shutdown.h"

/* SLACK_MS: a limit of the server's that is later by no more is left as it is. */
enum { BACKOFF_LEAST_MS = 50, BACKOFF_MOST_MS = 1000, CANCEL_MS = 2000, SLACK_MS = 250 };
enum { SLOW_MS = 25, REPLAN_PAUSE_MS = 5000 };
enum { TELL_LEAST_MS = 10000, TELL_MOST_MS = 300000, POLL_MS = 5000 };

mr_status mr_db_new(mr_db **out, const struct mr_db_options *options, const struct mr_statement *const *statements)
{
    mr_db *self = calloc(1, sizeof *self);

    if (self == NULL)
        return MR_NO_MEMORY;
    self->options = *options;
    self->statements = statements;
    if (options->application) {
        unsigned count;

        (void)mr_statements_installed(&count);
        self->prepared = calloc(count + 1, sizeof *self->prepared);
    }
    if (options->unhurried)
        self->done = calloc(db_statement_count(self) + 1, sizeof *self->done);
    if ((options->application && self->prepared == NULL) || (options->unhurried && self->done == NULL)) {
        mr_db_destroy(&self);
        return MR_NO_MEMORY;
    }
    *out = self;
    return MR_OK;
}

void mr_db_destroy(mr_db **self)
{
    if (*self == NULL)
        return;
    db_drop(*self);
    free((*self)->prepared);
    free((*self)->done);
    free(*self);
    *self = NULL;
}

static unsigned in_flight_most(const mr_db *self)
{
    int64_t most = self->options.config->db_in_flight;

    return most < DB_IN_FLIGHT_MAX ? (unsigned)most : DB_IN_FLIGHT_MAX;
}

mr_status mr_db_reconnect(mr_db *self)
{
    mr_status status;

    if (self->conn != NULL)
        return MR_OK;
    status = db_open(self);
    if (status == MR_OK) {
        self->backoff_ms = 0;
        self->attempts_failed = 0;
        mr_metric_add(MR_METRIC_db_reconnects, self->serial > 0);
        self->notified = true;
        self->serial++;
        mr_pace_init(&self->pace, in_flight_most(self));
        return MR_OK;
    }
    self->attempts_failed++;
    mr_metric_add(MR_METRIC_db_failed, 1);
    self->backoff_ms = self->backoff_ms == 0 ? BACKOFF_LEAST_MS : self->backoff_ms * 2;
    if (self->backoff_ms > BACKOFF_MOST_MS)
        self->backoff_ms = BACKOFF_MOST_MS;
    self->next_attempt_ms = db_now_ms(self) + self->backoff_ms;
    return status;
}

bool db_is_demoted(const mr_db *self)
{
    return self->conn != NULL && !self->options.standby && self->demotions != db_demotions();
}

mr_status mr_db_connect(mr_db *self)
{
    if (db_is_demoted(self) && self->pipeline.count == 0)
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

/* ---- Why it is down ---- */

static const struct {
    const char *word;
    bool heals;
    const char *text;
} troubles[] = {
#define T(name, word, heals, text) {word, heals, text},
    MR_DB_TROUBLES(T)
#undef T
};

const char *mr_db_trouble_word(enum mr_db_trouble trouble)
{
    return troubles[trouble].word;
}

const char *mr_db_trouble_text(enum mr_db_trouble trouble)
{
    return troubles[trouble].text;
}

enum mr_db_trouble mr_db_trouble(const mr_db *self)
{
    if (self->conn != NULL)
        return MR_DB_NONE;
    return self->error.trouble != MR_DB_NONE ? self->error.trouble : MR_DB_AWAY;
}

bool mr_db_is_refused(const mr_db *self)
{
    return mr_db_trouble(self) == MR_DB_REFUSED;
}

bool mr_db_is_hopeless(const mr_db *self)
{
    return !troubles[mr_db_trouble(self)].heals;
}

bool mr_db_should_tell(mr_db *self, int64_t *attempts)
{
    enum mr_db_trouble trouble = mr_db_trouble(self);
    int64_t now_ms = db_now_ms(self);
    bool news = trouble != self->told;

    if (trouble == MR_DB_NONE) {
        self->told = MR_DB_NONE;
        return false;
    }
    if (self->attempts_failed == 0 || (!news && now_ms < self->next_tell_ms))
        return false;
    self->told = trouble;
    self->tell_pause_ms = news ? TELL_LEAST_MS : self->tell_pause_ms * 2;
    if (self->tell_pause_ms > TELL_MOST_MS)
        self->tell_pause_ms = TELL_MOST_MS;
    self->next_tell_ms = now_ms + self->tell_pause_ms;
    *attempts = self->attempts_failed;
    return true;
}

bool mr_db_is_up(const mr_db *self)
{
    return self->conn != NULL;
}

int mr_db_fd(const mr_db *self)
{
    return self->conn != NULL ? PQsocket(self->conn) : -1;
}

uint64_t mr_db_serial(const mr_db *self)
{
    return self->serial;
}

int mr_db_demoted_fd(const mr_db *self)
{
    return self->conn != NULL && !self->options.standby ? db_demotion_fd(self->demotions) : -1;
}

void mr_db_consume_input(mr_db *self)
{
    if (self->conn != NULL && (!PQconsumeInput(self->conn) || PQstatus(self->conn) == CONNECTION_BAD))
        db_fail_lost(self, PQerrorMessage(self->conn));
}

bool mr_db_is_shared(const mr_db *self)
{
    return self->conn != NULL && self->shared;
}

int64_t mr_db_poll_in_ms(const mr_db *self)
{
    int64_t left = self->polled_ms + POLL_MS - db_now_ms(self);

    if (!mr_db_is_shared(self) || self->options.channel == NULL)
        return -1;
    return left > 0 ? left : 0;
}

static bool is_poll_due(mr_db *self)
{
    if (mr_db_poll_in_ms(self) != 0)
        return false;
    self->polled_ms = db_now_ms(self);
    return true;
}

bool mr_db_notified(mr_db *self)
{
    PGnotify *notice;
    bool notified = self->notified || is_poll_due(self);

    while (self->conn != NULL && (notice = PQnotifies(self->conn)) != NULL) {
        notified = true;
        PQfreemem(notice);
    }
    self->notified = false;
    return notified;
}

/* ---- Statements ---- */

/* A statement after the cut is not cancelled again; it has less time. */
mr_status db_begin(mr_db *self, int64_t deadline_ms)
{
    if (self->conn == NULL)
        return MR_UNAVAILABLE;
    if (db_left_ms(self, deadline_ms) <= 0)
        return db_fail(self, MR_TIMEOUT, false, "", "the deadline had passed before the statement was sent");
    self->cut = mr_shutdown_is_cut();
    self->warning[0] = '\0';
    return MR_OK;
}

int64_t db_timeout_to_set(const mr_db *self, int64_t left)
{
    int64_t usual = db_usual_timeout(&self->options);
    int64_t wanted = left < usual ? left : usual;

    if (self->shared)
        return usual == 0 ? 0 : wanted;
    if (usual == 0 ||
        (self->timeout_ms != 0 && self->timeout_ms <= wanted + SLACK_MS && self->timeout_ms >= wanted - wanted / 8))
        return -1;
    return wanted;
}

bool db_send_run(mr_db *self, const char *statement, const struct mr_params *params)
{
    const char *values[MR_PARAMS_MAX];
    int lengths[MR_PARAMS_MAX];
    int formats[MR_PARAMS_MAX];
    char name[16];
    char *text;
    bool sent;

    for (unsigned i = 0; i < params->count; i++) {
        values[i] = params->arrays[i].is_value && params->arrays[i].has_null ? NULL : params->arrays[i].bytes.data;
        lengths[i] = (int)params->arrays[i].bytes.len;
        formats[i] = 1;
    }
    if (!self->shared)
        return PQsendQueryPrepared(self->conn, db_prepared_name(self, statement, name), (int)params->count, values, lengths,
                                   formats, 1) == 1;
    text = db_statement_text(self, statement);
    sent = text != NULL && PQsendQueryParams(self->conn, text, (int)params->count, NULL, values, lengths, formats, 1) == 1;
    free(text);
    return sent;
}

bool db_send_limits(mr_db *self, int64_t timeout_ms)
{
    char sql[80];

    if (self->shared)
        return db_send_settings(self, timeout_ms);
    snprintf(sql, sizeof sql, "SET statement_timeout = %lld", (long long)timeout_ms);
    return PQsendQueryParams(self->conn, sql, 0, NULL, NULL, NULL, NULL, 0) == 1;
}

/*
 * A plan is kept until the server has new statistics of its tables, which autovacuum makes a minute later at the earliest. One that
 * was made for a handful of rows walks all of them for each message, and goes on to do so when they have become a hundred
 * thousand. A new plan sees how large the tables are, statistics or not. Making all of a session's takes some milliseconds.
 */
void db_note_took(mr_db *self, int64_t took_ms)
{
    self->replans = self->replans || (!self->shared && took_ms >= SLOW_MS + 2 * mr_pace_trip_ms(&self->pace) &&
                                      db_now_ms(self) >= self->next_replan_ms);
}

bool db_send_replan(mr_db *self)
{
    self->replans = false;
    self->next_replan_ms = db_now_ms(self) + REPLAN_PAUSE_MS;
    return PQsendQueryParams(self->conn, "DISCARD PLANS", 0, NULL, NULL, NULL, NULL, 0) == 1;
}

bool db_send_front(mr_db *self, int64_t timeout_ms)
{
    return (!self->replans || db_send_replan(self)) && (timeout_ms < 0 || db_send_limits(self, timeout_ms));
}

/* In the same round trip: what goes in front of it, the limit last. A failure of the statement rolls the limit back, too. */
static mr_status run_behind(mr_db *self, const char *statement, const struct mr_params *params, int64_t timeout_ms,
                            int64_t deadline_ms, PGresult **out)
{
    mr_status status;

    if (PQenterPipelineMode(self->conn) != 1 || !db_send_front(self, timeout_ms) || !db_send_run(self, statement, params))
        return db_fail_lost(self, PQerrorMessage(self->conn));
    status = db_end_pipeline(self, deadline_ms, out);
    if (status == MR_OK && timeout_ms >= 0)
        self->timeout_ms = timeout_ms;
    return status;
}

mr_status mr_db_run(mr_db *self, const char *statement, const struct mr_params *params, int64_t deadline_ms, mr_rows **out)
{
    PGresult *result = NULL;
    mr_status status = db_begin(self, deadline_ms);
    int64_t begun_ms = db_now_ms(self);
    int64_t timeout_ms;
    int64_t took_ms;

    assert(self->pipeline.count == 0);
    if (status == MR_OK)
        status = db_prepare(self, statement, deadline_ms);
    if (status != MR_OK)
        return status;
    timeout_ms = db_timeout_to_set(self, db_left_ms(self, deadline_ms));
    if (timeout_ms >= 0 || self->replans)
        status = run_behind(self, statement, params, timeout_ms, deadline_ms + DB_LATE_MS, &result);
    else if (db_send_run(self, statement, params))
        status = db_take_results(self, deadline_ms + DB_LATE_MS, &result);
    else
        status = db_fail_lost(self, PQerrorMessage(self->conn));
    took_ms = db_now_ms(self) - begun_ms;
    mr_pace_note_alone(&self->pace, took_ms);
    db_note_took(self, took_ms);
    if (status == MR_OK)
        *out = (mr_rows *)(void *)result;
    return status;
}

/* In a shared session the settings come with the text that begins a transaction, and hold for that. */
static bool send_text(mr_db *self, const char *sql)
{
    struct mr_buf text = {0};
    bool sent;

    if (!self->shared || PQtransactionStatus(self->conn) != PQTRANS_IDLE)
        return PQsendQuery(self->conn, sql) == 1;
    db_settings_sql(&text, self, db_usual_timeout(&self->options));
    mr_buf_printf(&text, "; %s", sql);
    mr_buf_char(&text, '\0');
    sent = !text.failed && PQsendQuery(self->conn, text.data) == 1;
    mr_buf_fini(&text);
    return sent;
}

mr_status mr_db_exec(mr_db *self, const char *sql, int64_t deadline_ms, mr_rows **out)
{
    PGresult *result = NULL;
    mr_status status = db_begin(self, deadline_ms);

    if (status != MR_OK)
        return status;
    if (!send_text(self, sql))
        return db_fail_lost(self, PQerrorMessage(self->conn));
    status = db_take_results(self, deadline_ms, out != NULL ? &result : NULL);
    if (status == MR_OK && out != NULL)
        *out = (mr_rows *)(void *)result;
    return status;
}

mr_status mr_db_ask(mr_db *self, const char *sql, int64_t deadline_ms, mr_rows **out)
{
    mr_status status;

    self->asking = true;
    status = mr_db_exec(self, sql, deadline_ms, out);
    self->asking = false;
    return status;
}

/* Takes the server's limit away; the next mr_db_run sets it again. */
static mr_status lift_timeout(mr_db *self)
{
    mr_status status = MR_OK;

    if (self->timeout_ms != 0 && !self->shared)
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
    self->warning[0] = '\0';
    if (!PQsendQuery(self->conn, sql))
        return db_fail_lost(self, PQerrorMessage(self->conn));
    return db_take_results_unless(self, is_over, argument);
}

mr_status mr_db_blockers(const mr_db *self, mr_rows **out)
{
    mr_db *other = NULL;
    char sql[400];
    mr_status status = mr_db_new(&other, &self->options, NULL);

    snprintf(sql, sizeof sql,
             "SELECT a.pid, coalesce(nullif(a.application_name, ''), a.usename::text, '?'),"
             " extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, a.backend_start))::bigint"
             " FROM unnest(pg_blocking_pids(%d)) AS b (pid) JOIN pg_stat_activity a ON a.pid = b.pid ORDER BY 3 DESC",
             self->server_pid);
    if (status == MR_OK)
        status = mr_db_connect(other);
    if (status == MR_OK)
        status = mr_db_exec(other, sql, db_now_ms(self) + CANCEL_MS, out);
    mr_db_destroy(&other);
    return status;
}

const char *mr_db_warning(const mr_db *self)
{
    return self->warning;
}

const struct mr_db_error *mr_db_last_error(const mr_db *self)
{
    return &self->error;
}
