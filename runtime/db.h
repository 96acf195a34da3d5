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
    T(TABLES,     "tables",     true,  "A table of the application is missing, or may not be used.") \
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

/* Its word, for logs and for programs; static. */
const char *mr_db_trouble_word(enum mr_db_trouble trouble);

/* Its sentence, for clients; static. It names no host and no user. */
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

/* Makes the object and opens nothing. `statements` are kept, borrowed, ended by NULL. */
mr_status mr_db_new(mr_db **out, const struct mr_db_options *options,
                    const struct mr_statement *const *statements) MR_WARN_UNUSED;

/* Closes the connection, frees it and sets the caller's pointer to NULL. Accepts NULL. */
void mr_db_destroy(mr_db **self);

/*
 * Connects and prepares unless that is done already. MR_UNAVAILABLE at once when the last attempt failed
 * less than the present pause ago (50 ms doubling to 1 s); an attempt takes at most DB_CONNECT_TIMEOUT.
 */
mr_status mr_db_connect(mr_db *self) MR_WARN_UNUSED;

/* What is called a few times a second while an attempt to connect waits; NULL: nothing. It must not use the connection. */
void mr_db_meanwhile(mr_db *self, void (*call)(void *argument), void *argument);

/* As mr_db_connect, without regard to the pause; for the one attempt after a connection was lost. */
mr_status mr_db_reconnect(mr_db *self) MR_WARN_UNUSED;

/* Closes the connection in order; the next mr_db_connect opens another. */
void mr_db_release(mr_db *self);

/* Whether the connection stands, as far as is known: a broken one is noticed at the next use. */
bool mr_db_is_up(const mr_db *self);

/* The server does not take this user or password (class 28): no waiting will change that, a new secret will. */
bool mr_db_is_refused(const mr_db *self);

/* Why it is down; NONE while it is up. */
enum mr_db_trouble mr_db_trouble(const mr_db *self);

/* It is down for a reason that no waiting heals. */
bool mr_db_is_hopeless(const mr_db *self);

/*
 * Whether it is time to log that it is (still) down: with a new reason, and then after 10 s, 20 s and so on, five minutes
 * at most. `attempts` gets how many to connect have failed in a row.
 */
bool mr_db_should_tell(mr_db *self, int64_t *attempts);

/* The socket, -1 when down. Readable while no statement runs means that the server has something to say: mr_db_consume_input. */
int mr_db_fd(const mr_db *self);

/*
 * Readable once this process has found the primary demoted since this connection was made, so that whoever only waits wakes up:
 * the next mr_db_connect makes it anew. -1 when down, and of a connection to a replica. Borrowed, and not to be read.
 */
int mr_db_demoted_fd(const mr_db *self);

/* Another number for each connection that came to stand, from 1 on; what was learnt of one may not hold for the next. */
uint64_t mr_db_serial(const mr_db *self);

/* Takes in what the server sent unasked; drops the connection when that was a good-bye. */
void mr_db_consume_input(mr_db *self);

/*
 * Whether the channel was notified since the last call, or may have been: a new connection counts, and in a shared session,
 * which cannot listen, every five seconds.
 */
bool mr_db_notified(mr_db *self);

/* A pooler gives each transaction another session: a lock or a setting of the session's is not this connection's. */
bool mr_db_is_shared(const mr_db *self);

/* Milliseconds until mr_db_notified is to be asked, since nothing will arrive at the socket; -1: it is listened to. */
int64_t mr_db_poll_in_ms(const mr_db *self);

/*
 * Runs a prepared statement. The server ends it at `deadline_ms` (monotonic): MR_TIMEOUT, and the connection stays; so it is
 * when the deadline has passed already, and then nothing is sent. A server that says nothing shortly after that loses the
 * connection. MR_OK: `out` holds the rows, the caller's to free. Otherwise mr_db_last_error() tells more.
 */
mr_status mr_db_run(mr_db *self, const char *statement, const struct mr_params *params, int64_t deadline_ms,
                    mr_rows **out) MR_WARN_UNUSED;

/* ---- Statements in flight ---- */

/*
 * Whether statements should be sent with mr_db_send whatever else waits: the way to the server is long (runtime/pace.h), or it is
 * time to find out. Otherwise mr_db_run is better, unless there is something to do meanwhile.
 */
bool mr_db_overlaps(const mr_db *self);

/* Whether the connection stands, and nothing is known that speaks against using it. */
bool mr_db_is_sound(const mr_db *self);

/* Whether the statement can be sent at once: it is prepared, or does not have to be. */
bool mr_db_is_prepared(const mr_db *self, const char *statement);

/*
 * Prepares those of the names, ended by NULL, that are not: mr_db_window_guard takes no others. Nothing may be in flight. A failure is
 * as that of mr_db_run.
 */
mr_status mr_db_prepare(mr_db *self, const char *const *statements, int64_t deadline_ms) MR_WARN_UNUSED;

/* Whether an unhurried connection stands and has statements that were not needed yet. */
bool mr_db_owes(const mr_db *self);

/*
 * Prepares one of these, for the next who asks. When that fails, the connection is dropped, as one that fails at connect: what it was made
 * for is not there.
 */
mr_status mr_db_prepare_next(mr_db *self, int64_t deadline_ms) MR_WARN_UNUSED;

/* How many were sent and not taken. While there are any, nothing but mr_db_send and mr_db_take may use the connection. */
unsigned mr_db_in_flight(const mr_db *self);

/* In how many milliseconds another may be sent; -1: not before one was taken. */
int64_t mr_db_send_due_in_ms(const mr_db *self);

/*
 * Sends a prepared statement behind those in flight and does not wait for its answer; each is a transaction of its own. Not
 * MR_OK: it is not in flight; when the error says `lost`, no other is any more.
 */
mr_status mr_db_send(mr_db *self, const char *statement, const struct mr_params *params, int64_t deadline_ms) MR_WARN_UNUSED;

/*
 * Takes the answer to the oldest in flight: `status` and `out` as of mr_db_run. False: it has not come yet, which cannot be
 * with `wait`. When the error says `lost`, because the connection broke or the server was silent past the deadline, the others
 * are not in flight any more: whether they took effect is not known either.
 */
bool mr_db_take(mr_db *self, bool wait, mr_status *status, mr_rows **out) MR_WARN_UNUSED;

/* In how many milliseconds mr_db_take is to be called whatever arrives: the oldest gets late then; -1: nothing is in flight. */
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
 * Begins a window of runs of one prepared statement, `statement`, that ends at `deadline_ms` (monotonic). `together`: they are one
 * transaction, each in a savepoint, so that one which fails takes back only what it did; otherwise each is a transaction of its own.
 * Not MR_OK: there is no window. While there is one, only the functions below may use the connection.
 */
mr_status mr_db_window_begin(mr_db *self, const char *statement, bool together, int64_t deadline_ms) MR_WARN_UNUSED;

/*
 * Queues another prepared statement, a guard without rows of interest, in front of the next run that is added: when it fails, that
 * one does not run. Two of them at most.
 */
void mr_db_window_guard(mr_db *self, const char *statement, const struct mr_params *params);

/* The same in front of all runs of a window that is together, before anything is queued. */
void mr_db_window_guard_all(mr_db *self, const char *statement, const struct mr_params *params);

/* Queues the next run, one of MR_DB_WINDOW_MAX at most. */
void mr_db_window_add(mr_db *self, const struct mr_params *params);

/*
 * Runs what was queued and fills `steps`, one for each that was added. When the commit of a window that is together fails, or a guard
 * of all, all of them have failed with that. The connection is dropped when it broke, when it was silent past the
 * deadline, or when a statement had to be cancelled: the order to do so may still be on its way.
 */
void mr_db_window_end(mr_db *self, struct mr_db_step *steps);

/*
 * As mr_db_window_end, in two round trips, for a window that is together. This one sends the runs; mr_db_window_commit runs one more
 * prepared statement and commits. Here `steps` says what would hold; mr_db_window_commit makes the same array say what does.
 */
void mr_db_window_hold(mr_db *self, struct mr_db_step *steps);

/*
 * The second round trip: runs `statement` (borrowed; NULL: none) and commits. `steps` is the array that mr_db_window_hold was
 * given.
 */
void mr_db_window_commit(mr_db *self, const char *statement, const struct mr_params *params, struct mr_db_step *steps);

/* Instead of the latter: nothing is committed, and all steps have failed with `status`. */
void mr_db_window_abandon(mr_db *self, mr_status status, struct mr_db_step *steps);

/* Runs SQL text, any number of statements; `out` (may be NULL) gets the rows of the last, values as text. */
mr_status mr_db_exec(mr_db *self, const char *sql, int64_t deadline_ms, mr_rows **out) MR_WARN_UNUSED;

/* As mr_db_exec, of what the server may not know: a feature that it lacks (0A000) says nothing of the connection then. */
mr_status mr_db_ask(mr_db *self, const char *sql, int64_t deadline_ms, mr_rows **out) MR_WARN_UNUSED;

/*
 * What a statement would answer: `out` has its columns and no row. `types` are the OIDs of its first `count` parameters (pg_type.dat);
 * the server finds out those of the others, and one that is 0. Nothing runs, and nothing stays prepared.
 */
mr_status mr_db_describe(mr_db *self, const char *sql, const uint32_t *types, unsigned count, int64_t deadline_ms,
                         mr_rows **out) MR_WARN_UNUSED;

/*
 * As mr_db_exec without rows and without a deadline (the server's limit is lifted), but cancels the statement once `is_over` (asked some times a second)
 * says so; MR_TIMEOUT then.
 */
mr_status mr_db_exec_unless(mr_db *self, const char *sql, bool (*is_over)(void *argument), void *argument) MR_WARN_UNUSED;

/*
 * Who keeps the statement at work here waiting for a lock: a row of process id, application name (or user, when it has none) and
 * seconds since its transaction began, values as text, for each of pg_blocking_pids. By a connection of its own, which is closed.
 */
mr_status mr_db_blockers(const mr_db *self, mr_rows **out) MR_WARN_UNUSED;

/* Why the last call failed; borrowed until the next call with this connection. */
const struct mr_db_error *mr_db_last_error(const mr_db *self);

/*
 * The first warning of the server's while the last statement ran; "": none. Borrowed until the next. A statement that did not
 * do what it was to do may succeed with no more than that: VACUUM of somebody else's table.
 */
const char *mr_db_warning(const mr_db *self);

/* ---- Rows ---- */

/* Number of rows. */
unsigned mr_rows_count(const mr_rows *self);

/* Number of columns. */
unsigned mr_rows_columns(const mr_rows *self);

/* Name of a column; borrowed from the rows. `column` is below mr_rows_columns. */
const char *mr_rows_name(const mr_rows *self, unsigned column);

/* OID of the column's type (pg_type.dat); of a domain that of its base. */
uint32_t mr_rows_type(const mr_rows *self, unsigned column);

/* The column's value; false when it is NULL. Borrowed until mr_rows_free. */
bool mr_rows_get(const mr_rows *self, unsigned row, unsigned column, struct mr_slice *out);

/* The column as an integer (smallint, integer, bigint); `otherwise` when it is NULL. */
int64_t mr_rows_int(const mr_rows *self, unsigned row, unsigned column, int64_t otherwise);

/* How many rows the statement wrote; of one that only reads, how many it gave. */
int64_t mr_rows_affected(const mr_rows *self);

/* Appends the cursor of a row (proto/cursor.h): its id, and what it is sorted by; `key` -1: by the id alone. */
void mr_rows_cursor(struct mr_buf *out, const mr_rows *self, unsigned row, unsigned id, int key);

/* Frees the rows, and whatever was borrowed from them, and sets the caller's pointer to NULL. Accepts NULL. */
void mr_rows_free(mr_rows **self);

/* ---- Types of columns ---- */

/*
 * mr_type_known (runtime/column.h) for any type of the database: enums and citext are known too, domains over what is known, and arrays, of domains
 * only of such over text. MR_OK: `out` is the answer.
 * By text, so at any time outside of a pipeline.
 */
mr_status mr_db_type_known(mr_db *db, uint32_t type, int64_t deadline_ms, bool *out) MR_WARN_UNUSED;

#endif
