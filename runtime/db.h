/*
 * db: one connection to PostgreSQL. Only its files know libpq.
 *
 * Every statement is prepared at connect, in one round trip; those of an application when they are first needed. So are all on
 * the first connection of an `unhurried` one, while a process starts: to prepare them takes the server longer than all else that
 * it does for a connection. Waits have a limit; a connection that broke, or whose answer did not come in time, is dropped and
 * reopened, with growing pauses between attempts.
 *
 * Thread: a connection belongs to one thread.
 */
#ifndef MR_RUNTIME_DB_H
#define MR_RUNTIME_DB_H

#include "runtime/clock.h"
#include "runtime/config.h"
#include "runtime/params.h"
#include "sql/sql.h"

typedef struct mr_db mr_db;
typedef struct mr_rows mr_rows;

/* What a connection is for: whether it stands without all that the application needs (runtime/needs.h). */
enum mr_db_use { MR_DB_FOR_ITSELF, MR_DB_FOR_REQUESTS, MR_DB_FOR_JOBS };

struct mr_db_options {
    const struct mr_config *config; /* the DB_* settings; borrowed */
    const struct mr_clock *clock;   /* for timeouts and backoff; borrowed */
    const char *host;               /* config->db_host or db_host_read_only */
    const char *application_name;   /* shows in pg_stat_activity; borrowed */
    const char *channel;            /* LISTEN to it (a plain identifier); NULL: to none */
    bool standby;              /* a server that takes no writes will do; otherwise it is connected to again until one does */
    bool set_wise;             /* generic plans and index scans only: what set-wise statements need */
    int64_t statement_timeout; /* of a set-wise connection, milliseconds; the server ends what takes longer. 0: the deadline of
                                       a request */
    int64_t lock_timeout;      /* of a set-wise connection, milliseconds; 0: DB_LOCK_TIMEOUT */
    int64_t idle_timeout;      /* for a transaction that is left open, milliseconds; 0: a minute */
    bool application;          /* knows the statements of the application, too: each is prepared when it is first needed */
    bool unhurried;            /* on its first connection also the others, where the migrations were just seen applied */
    enum mr_db_use use;        /* beside the engine's tables it needs those of the application's requests, or jobs */
};

/*
 * Why there is no connection. `heals`: by itself, or by what others do to the database; what does not heal needs another
 * setting, right, password or certificate.
 */
/* clang-format off */
#define MR_DB_TROUBLES(T) \
    /* name       word          heals  what a client may read */ \
    T(NONE,       "",           true,  "") \
    T(AWAY,       "away",       true,  "The database cannot be reached.") \
    T(STARTING,   "starting",   true,  "The database is starting or stopping.") \
    T(FULL,       "full",       true,  "The database has no connection left.") \
    T(READ_ONLY,  "readOnly",   true,  "The database takes no writes: it is a standby, or was demoted.") \
    T(SCHEMA,     "schema",     true,  "The schema is not the one that is needed, or may not be seen: have the migrations run?") \
    T(PENDING,    "pending",    true,  "Migrations of the application have not run.") \
    T(TABLES,     "tables",     true,  "A table, column or function of the application is missing, or may not be used.") \
    T(OTHER,      "otherApplication", false, "The database is that of another application, or of a newer release of this one.") \
    T(REFUSED,    "refused",    false, "The database refuses the user or the password.") \
    T(MISSING,    "noDatabase", false, "There is no such database.") \
    T(FORBIDDEN,  "noRight",    false, "The user lacks a right to the database.") \
    T(TLS,        "tls",        false, "TLS to the database cannot be set up.") \
    T(POOLED,     "statementPool", false, "A pooler in front of the database allows no transactions.")
/* clang-format on */

enum mr_db_trouble {
#define T(name, word, heals, text) MR_DB_##name,
    MR_DB_TROUBLES(T)
#undef T
};

/* The word for a trouble in logs and for programs, e.g. "readOnly". Static. */
const char *mr_db_trouble_word(enum mr_db_trouble trouble);

/* A sentence about a trouble that clients may see. It names no host and no user. Static. */
const char *mr_db_trouble_text(enum mr_db_trouble trouble);

/* Names in PostgreSQL are shorter than 64 bytes. */
enum { MR_DB_NAME = 64 };

/* What went wrong last, for the log and for the decision what to do about it. */
struct mr_db_error {
    mr_status status;
    bool lost;                  /* the connection is gone; whether the statement took effect is not known */
    bool undone;                /* nothing of the statement took effect, though it was to blame for nothing: it may run again */
    bool rerun;                 /* halving the batch can find the message to blame */
    enum mr_db_trouble trouble; /* of a failure to connect; NONE of others */
    unsigned position;          /* of the text that was sent, in characters from 1, where the server said one; 0: it did not */
    unsigned statements;        /* of that text which had ended well before; each counts that has an answer of its own */
    char sqlstate[6];
    char message[256];
    char schema[MR_DB_NAME]; /* of the table that the error names; these are empty where it names none */
    char table[MR_DB_NAME];
    char column[MR_DB_NAME];
    char constraint[MR_DB_NAME];
};

/* Makes the object and does not connect. Borrows `statements`, which end with NULL, until mr_db_destroy. MR_NO_MEMORY. */
mr_status mr_db_new(mr_db **out, const struct mr_db_options *options,
                    const struct mr_statement *const *statements) MR_WARN_UNUSED;

/* Closes the connection, frees it and sets the caller's pointer to NULL. Accepts NULL. */
void mr_db_destroy(mr_db **self);

/*
 * Connects and prepares, unless the connection stands. An attempt takes at most DB_CONNECT_TIMEOUT. MR_UNAVAILABLE at once,
 * without an attempt, during the pause after a failed one (50 ms, doubling up to 1 s).
 */
mr_status mr_db_connect(mr_db *self) MR_WARN_UNUSED;

/*
 * Sets a function that is called a few times a second while an attempt to connect waits; NULL: none. It must not use the
 * connection.
 */
void mr_db_meanwhile(mr_db *self, void (*call)(void *argument), void *argument);

/* As mr_db_connect, but ignores the pause; for the one attempt after a lost connection. */
mr_status mr_db_reconnect(mr_db *self) MR_WARN_UNUSED;

/* Closes the connection in an orderly way; the next mr_db_connect opens another. */
void mr_db_release(mr_db *self);

/* Whether the connection stands, as far as known: a broken one is noticed when it is used. */
bool mr_db_is_up(const mr_db *self);

/* Whether the server refused the user or password (class 28). Waiting does not help then, only a new secret. */
bool mr_db_is_refused(const mr_db *self);

/* Why the connection is down; NONE while it is up. */
enum mr_db_trouble mr_db_trouble(const mr_db *self);

/* Whether the connection is down for a reason that waiting cannot heal. */
bool mr_db_is_hopeless(const mr_db *self);

/*
 * Whether it is time to log that the connection is down: for each new reason at once, then after 10 s, 20 s and so on, five
 * minutes at most. Sets `attempts` to the number of failed attempts in succession.
 */
bool mr_db_should_tell(mr_db *self, int64_t *attempts);

/* The socket; -1 while down. If it is readable while no statement runs, call mr_db_consume_input. */
int mr_db_fd(const mr_db *self);

/*
 * A descriptor that becomes readable when this process finds that the primary of this connection was demoted, so that a waiting
 * thread wakes up; the next mr_db_connect then replaces the connection. -1 while down, and for a connection to a replica.
 * Borrowed; do not read from it.
 */
int mr_db_demoted_fd(const mr_db *self);

/*
 * The number of this connection, from 1 on, different for each one that is made: what was learnt of an earlier connection may
 * not hold.
 */
uint64_t mr_db_serial(const mr_db *self);

/* Reads what the server sent without being asked. Drops the connection if the server has closed it. */
void mr_db_consume_input(mr_db *self);

/*
 * Whether the channel may have been notified since the last call. It says true after a reconnect and, in a shared session, which
 * cannot listen, every five seconds.
 */
bool mr_db_notified(mr_db *self);

/* Whether a pooler gives each transaction another session. Locks and settings of a session then do not belong to this connection. */
bool mr_db_is_shared(const mr_db *self);

/*
 * Milliseconds until mr_db_notified should be called although nothing arrives at the socket; -1: the session listens, so waiting
 * is enough.
 */
int64_t mr_db_poll_in_ms(const mr_db *self);

/*
 * Runs a prepared statement. The server cancels it at `deadline_ms` (monotonic): MR_TIMEOUT, and the connection stays. A
 * deadline that has passed already gives MR_TIMEOUT without sending anything. If the server is silent shortly after the
 * deadline, the connection is dropped. MR_OK: the caller frees `out` with mr_rows_free. Otherwise mr_db_last_error() has the
 * details.
 */
mr_status mr_db_run(mr_db *self, const char *statement, const struct mr_params *params, int64_t deadline_ms,
                    mr_rows **out) MR_WARN_UNUSED;

/* ---- Statements in flight ---- */

/*
 * Whether to use mr_db_send although other batches are in flight: the round trip to the server is long (runtime/pace.h), or has
 * to be measured. Otherwise mr_db_run is better, unless the caller can work meanwhile.
 */
bool mr_db_overlaps(const mr_db *self);

/* Whether the connection stands and nothing known speaks against using it. */
bool mr_db_is_sound(const mr_db *self);

/* Whether the statement can be sent at once: it is prepared, or does not need to be. */
bool mr_db_is_prepared(const mr_db *self, const char *statement);

/*
 * Prepares those of `statements` (ended by NULL) that are not prepared yet; mr_db_window_guard needs prepared ones. Nothing may
 * be in flight. Fails as mr_db_run does.
 */
mr_status mr_db_prepare(mr_db *self, const char *const *statements, int64_t deadline_ms) MR_WARN_UNUSED;

/* Whether the connection stands and still has statements to prepare that nobody has needed. */
bool mr_db_owes(const mr_db *self);

/*
 * Prepares one of the statements that mr_db_owes means. On failure the connection is dropped, as when preparing fails at
 * connect: something that the process needs is missing.
 */
mr_status mr_db_prepare_next(mr_db *self, int64_t deadline_ms) MR_WARN_UNUSED;

/* How many statements were sent and not taken yet. While there are any, only mr_db_send and mr_db_take may use the connection. */
unsigned mr_db_in_flight(const mr_db *self);

/* Milliseconds until another statement may be sent; -1: not before one is taken. */
int64_t mr_db_send_due_in_ms(const mr_db *self);

/*
 * Sends a prepared statement after those in flight and does not wait for its answer. Each statement is a transaction. If the
 * result is not MR_OK, it is not in flight; if the error also says `lost`, none is any more.
 */
mr_status mr_db_send(mr_db *self, const char *statement, const struct mr_params *params, int64_t deadline_ms) MR_WARN_UNUSED;

/*
 * Takes the answer to the oldest statement in flight, with `status` and `out` as mr_db_run gives them. False: it has not
 * arrived, which happens only without `wait`. If the error says `lost`, because the connection broke or the server was silent
 * past the deadline, nothing is in flight any more, and nobody knows which of the others took effect.
 */
bool mr_db_take(mr_db *self, bool wait, mr_status *status, mr_rows **out) MR_WARN_UNUSED;

/*
 * Milliseconds until mr_db_take has to be called although nothing arrives, because the oldest statement is then late; -1:
 * nothing is in flight.
 */
int64_t mr_db_look_in_ms(const mr_db *self);

/* ---- A window: statements that share a round trip, each with an outcome of its own (docs/decisions/0045-row-wise.md) ---- */

enum { MR_DB_WINDOW_MAX = 16 };

/* What became of one of its runs. */
struct mr_db_step {
    mr_status status;
    mr_rows *rows;            /* of MR_OK: what it answered, and that is committed; the caller's to free */
    struct mr_db_error error; /* otherwise. `undone`: it took no effect, though it is to blame for nothing, and may run again */
    const char *guard;        /* that failed, so that the statement did not run; NULL: none */
};

/*
 * Begins a window: several executions of one prepared statement, up to `deadline_ms` (monotonic). With `together` they are one
 * transaction with a savepoint for each, so a failed one undoes only its own work; otherwise each is a transaction. Not MR_OK:
 * there is no window. While there is one, only the functions below may use the connection.
 */
mr_status mr_db_window_begin(mr_db *self, const char *statement, bool together, int64_t deadline_ms) MR_WARN_UNUSED;

/*
 * Queues another prepared statement, the guard, before the next execution that is added: if the guard fails, that execution does
 * not run. Its rows are ignored. At most two of them.
 */
void mr_db_window_guard(mr_db *self, const char *statement, const struct mr_params *params);

/* As mr_db_window_guard, but before all executions of a window that is `together`. Call it before anything is queued. */
void mr_db_window_guard_all(mr_db *self, const char *statement, const struct mr_params *params);

/* Queues the next execution, at most MR_DB_WINDOW_MAX in all. */
void mr_db_window_add(mr_db *self, const struct mr_params *params);

/*
 * Sends the queue and fills `steps`, one for each execution. If the commit of a window that is `together` fails, or its guard
 * for all, every step has failed with that error. The connection is dropped if it broke, if the server was silent past the
 * deadline, or if a statement was cancelled, because the cancellation may still be under way.
 */
void mr_db_window_end(mr_db *self, struct mr_db_step *steps);

/*
 * As mr_db_window_end, for a window that is `together`, in two round trips: this one sends the executions, and
 * mr_db_window_commit runs one more prepared statement and commits. `steps` says what would hold; mr_db_window_commit updates
 * the same array to what holds.
 */
void mr_db_window_hold(mr_db *self, struct mr_db_step *steps);

/*
 * The second round trip: runs `statement` (borrowed; NULL: none) and commits. `steps` is the array that mr_db_window_hold was
 * given.
 */
void mr_db_window_commit(mr_db *self, const char *statement, const struct mr_params *params, struct mr_db_step *steps);

/* Ends a held window without a commit: all steps have failed with `status`. */
void mr_db_window_abandon(mr_db *self, mr_status status, struct mr_db_step *steps);

/* Runs SQL text with any number of statements. `out` (may be NULL) gets the rows of the last, values as text; the caller frees it. */
mr_status mr_db_exec(mr_db *self, const char *sql, int64_t deadline_ms, mr_rows **out) MR_WARN_UNUSED;

/* As mr_db_exec, for a question that the server may not support: a missing feature (0A000) does not count against the connection. */
mr_status mr_db_ask(mr_db *self, const char *sql, int64_t deadline_ms, mr_rows **out) MR_WARN_UNUSED;

/*
 * Finds out what a statement would answer, without running it: `out` has its columns and no row, and the caller frees it.
 * `types` has the OIDs of its first `count` parameters (pg_type.dat); the server infers the others, and any that is 0. Nothing
 * stays prepared.
 */
mr_status mr_db_describe(mr_db *self, const char *sql, const uint32_t *types, unsigned count, int64_t deadline_ms,
                         mr_rows **out) MR_WARN_UNUSED;

/*
 * As mr_db_exec, without rows and without a deadline (it lifts the server's limit). Cancels the statement once `is_over`, which
 * it calls a few times a second, returns true: MR_TIMEOUT.
 */
mr_status mr_db_exec_unless(mr_db *self, const char *sql, bool (*is_over)(void *argument), void *argument) MR_WARN_UNUSED;

/*
 * Finds out who blocks the statement that waits for a lock on this connection. `out`, which the caller frees, has a row for each
 * of pg_blocking_pids: process id, application name (or user), and seconds since its transaction began, as text. Uses a
 * connection of its own and closes it.
 */
mr_status mr_db_blockers(const mr_db *self, mr_rows **out) MR_WARN_UNUSED;

/* The details of the last failure. Borrowed until the next call with this connection. */
const struct mr_db_error *mr_db_last_error(const mr_db *self);

/*
 * The server's first warning during the last statement; "": none. Borrowed until the next statement. A statement may succeed
 * with a warning although it did not do its work, such as VACUUM of another role's table.
 */
const char *mr_db_warning(const mr_db *self);

/* ---- Rows ---- */

/* Number of rows. */
unsigned mr_rows_count(const mr_rows *self);

/* Number of columns. */
unsigned mr_rows_columns(const mr_rows *self);

/* Name of a column; borrowed from the rows. `column` is below mr_rows_columns. */
const char *mr_rows_name(const mr_rows *self, unsigned column);

/* The OID of the column's type (pg_type.dat); for a domain, the OID of its base type. */
uint32_t mr_rows_type(const mr_rows *self, unsigned column);

/* The column's value; false when it is NULL. Borrowed until mr_rows_free. */
bool mr_rows_get(const mr_rows *self, unsigned row, unsigned column, struct mr_slice *out);

/* The column as an integer (smallint, integer, bigint); `otherwise` when it is NULL. */
int64_t mr_rows_int(const mr_rows *self, unsigned row, unsigned column, int64_t otherwise);

/* The number of rows that the statement wrote or, if it only reads, returned. */
int64_t mr_rows_affected(const mr_rows *self);

/* Appends the cursor of a row (proto/cursor.h): its id and the value that it is sorted by; `key` -1: the id alone. */
void mr_rows_cursor(struct mr_buf *out, const mr_rows *self, unsigned row, unsigned id, int key);

/* Frees the rows, and whatever was borrowed from them, and sets the caller's pointer to NULL. Accepts NULL. */
void mr_rows_free(mr_rows **self);

/* ---- Types of columns ---- */

/*
 * As mr_type_known (runtime/column.h), for any type of the database. It also knows enums, citext, domains over known types, and
 * arrays of these; of arrays of domains, only those over text. MR_OK: `out` is the answer. Nothing may be in flight.
 */
mr_status mr_db_type_known(mr_db *db, uint32_t type, int64_t deadline_ms, bool *out) MR_WARN_UNUSED;

#endif
