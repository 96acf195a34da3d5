/*
 * Is there a pooler between us and the server, and does it keep a session for a connection?
 *
 * A pooler makes up the process id that it tells its clients; so there is one if the back end says another. Whether it pools
 * sessions or transactions, none tells. A second connection that is in a transaction finds out: where transactions are
 * pooled, it is given the back end that the first has just used, or the first is given another one meanwhile. Where statements
 * are pooled the transaction is refused. What is found
 * holds for the process; other clients of the pool may hide it, and then the first prepared statement that is missing shows
 * it (SQLSTATE 26000, or 42P05 when it is there already).
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "runtime/db_internal.h"
#include "runtime/log.h"

enum { UNKNOWN, KEEPS, SHARES, DIVIDES };
enum { PROBE_MS = 1000 };

static _Atomic int known[2]; /* of the primary, and of the replica */

static _Atomic int *known_of(const mr_db *self)
{
    return &known[self->options.standby ? 1 : 0];
}

bool db_pooler_shares(const mr_db *self)
{
    return atomic_load(known_of(self)) == SHARES;
}

bool db_pooler_divides(const mr_db *self)
{
    return atomic_load(known_of(self)) == DIVIDES;
}

static void note(const mr_db *self, int what)
{
    if (what == UNKNOWN || atomic_exchange(known_of(self), what) == what || what == DIVIDES)
        return;
    if (what == SHARES)
        mr_log(MR_LOG_WARN, "a pooler shares its sessions", mr_log_text("host", self->options.host),
               mr_log_text("effect", "statements are not kept prepared, polling replaces NOTIFY, migrations are refused"));
    else
        mr_log(MR_LOG_INFO, "a pooler keeps a session for each connection", mr_log_text("host", self->options.host));
}

static bool is_sign(const char *sqlstate)
{
    return strcmp(sqlstate, "26000") == 0 || strcmp(sqlstate, "42P05") == 0;
}

void db_pooler_note(const mr_db *self, const char *sqlstate)
{
    if (is_sign(sqlstate) && atomic_load(known_of(self)) == KEEPS)
        note(self, SHARES);
}

/* ---- The probe ---- */

/* The back end that runs the text, which ends with a question for it; 0: none answered. */
static int ask_pid(mr_db *self, const char *sql, int64_t deadline_ms)
{
    PGresult *result = NULL;
    int pid = 0;

    if (self->conn == NULL || !PQsendQuery(self->conn, sql) || db_take_results(self, deadline_ms, &result) != MR_OK)
        return 0;
    if (result != NULL && PQntuples(result) == 1)
        pid = (int)strtol(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return pid;
}

static bool connect_second(mr_db *second, int64_t deadline_ms)
{
    ConnStatusType reached = CONNECTION_BAD;

    second->opening = true;
    second->conn = db_start_connect(&second->options);
    if (second->conn != NULL)
        PQsetNoticeReceiver(second->conn, db_take_notice, second);
    return second->conn != NULL && PQstatus(second->conn) != CONNECTION_BAD &&
           db_finish_connect(second, deadline_ms, &reached) && PQsetnonblocking(second->conn, 1) == 0;
}

/* Whether the second was broken off at its BEGIN, not just late, and the first still answers. */
static bool broke_alone(mr_db *self, const mr_db *second)
{
    return second->conn == NULL && second->error.status != MR_TIMEOUT &&
           ask_pid(self, "SELECT pg_backend_pid()", db_now_ms(self) + PROBE_MS) != 0;
}

/*
 * PgBouncer breaks off one that begins a transaction where statements are pooled, without a SQLSTATE that libpq would tell. A second
 * connection that was not made, or had no answer in time, says nothing, because what is noted holds for the process: the next
 * connection asks again.
 */
static int probe(mr_db *self)
{
    mr_db second = {.options = self->options};
    int64_t deadline_ms = db_now_ms(self) + PROBE_MS;
    bool connected = connect_second(&second, deadline_ms);
    int pid = connected ? ask_pid(&second, "BEGIN; SELECT pg_backend_pid()", deadline_ms) : 0;
    int found = UNKNOWN;

    if (pid != 0 &&
        (pid == self->server_pid || ask_pid(self, "SELECT pg_backend_pid()", db_now_ms(self) + PROBE_MS) != self->server_pid))
        found = SHARES;
    else if (pid != 0)
        found = KEEPS;
    else if (connected && broke_alone(self, &second))
        found = DIVIDES;
    if (second.conn != NULL)
        db_drop(&second);
    return found;
}

/* A connection may break for once, and a refusal ends a start: it has to break twice. */
static int probe_surely(mr_db *self)
{
    int found = probe(self);

    return found == DIVIDES ? probe(self) : found;
}

/*
 * Whether the pool is one of statements, asked by two connections of their own: who has met a statement that another has prepared in
 * the same back end knows that it is shared, and has lost the connection over it.
 */
static bool breaks_transactions(const mr_db *self)
{
    mr_db first = {.options = self->options};
    bool breaks = connect_second(&first, db_now_ms(self) + PROBE_MS) && probe_surely(&first) == DIVIDES;

    if (first.conn != NULL)
        db_drop(&first);
    return breaks;
}

/* What setting it up as a session of our own has left behind in one of everybody's. */
static void clean_up(mr_db *self)
{
    if (self->conn != NULL && PQsendQuery(self->conn, "DISCARD ALL"))
        (void)!db_take_results(self, db_now_ms(self) + PROBE_MS, NULL);
    if (self->conn != NULL)
        db_drop(self);
}

bool db_pooler_found(mr_db *self, mr_status status)
{
    if (self->shared)
        return false;
    if (status != MR_OK && strcmp(self->error.sqlstate, "42P05") == 0) {
        note(self, breaks_transactions(self) ? DIVIDES : SHARES);
        return true;
    }
    if (status != MR_OK || self->server_pid == PQbackendPID(self->conn))
        return false;
    if (atomic_load(known_of(self)) == UNKNOWN || db_pooler_divides(self))
        note(self, probe_surely(self));
    if (!db_pooler_shares(self))
        return false;
    clean_up(self);
    return true;
}
