/*
 * db_internal: what the files of db share. They alone know libpq.
 *
 *   db.c          life of a connection, and statements
 *   db_connect.c  from a host name to a connection that may serve
 *   db_session.c  what the session is set to
 *   db_prepare.c  the statements of an application, prepared when they are first needed
 *   db_pooler.c   whether a pooler shares it
 *   db_pipeline.c statements in flight
 *   db_window.c   statements that share a round trip
 *   db_io.c       waiting, results, cancelling, failing
 *   db_rows.c     rows
 *   db_describe.c what a statement would answer
 *   db_tls.c      why TLS cannot be had; without libpq
 */
#ifndef MR_RUNTIME_DB_INTERNAL_H
#define MR_RUNTIME_DB_INTERNAL_H

#include <libpq-fe.h>

#include "runtime/db.h"
#include "runtime/pace.h"

/*
 * LATE_MS: how long past the deadline the server's own word is waited for: it ends the statement at the deadline, and a
 * connection that says so is a good one.
 */
enum { DB_LATE_MS = 500, DB_IN_FLIGHT_MAX = 64 };

/* What a statement may answer, for a batch. libpq keeps all of it in memory; past that the statement is cancelled. */
enum { DB_RESULT_BYTES = 32 * 1048576 };

/* A statement that was sent and has not been answered. */
struct db_in_flight {
    int64_t sent_ms;
    int64_t deadline_ms;
    bool probes;        /* a probe was sent in front, and has not come back */
    bool limited;       /* a limit was set in front; a failure rolls it back */
    bool cancelled;     /* it was past its deadline */
    bool beside_cancel; /* it was in flight while another was cancelled */
};

/* A ring. What has arrived of the oldest is kept until all of it has. */
struct db_pipeline {
    struct db_in_flight ring[DB_IN_FLIGHT_MAX];
    unsigned first;
    unsigned count;
    bool read; /* while something was sent: an answer may be there, though the socket does not say so */
    PGresult *kept;
    mr_status status;
    struct mr_db_error error;
};

enum { DB_GUARDS_MAX = 2 };

/* What stands between two synchronization points of a window: first what is the window's own, the guards, then the statement. */
struct db_segment {
    unsigned before;                   /* commands of the window's own in front */
    const char *guards[DB_GUARDS_MAX]; /* statements that have to succeed first */
    unsigned guard_count;
    unsigned commands; /* in all */
};

/* Its own segments stand around the steps; without commands there is none. */
struct db_window {
    const char *statement; /* of each of its steps */
    bool together;
    bool usable; /* all could be queued so far */
    bool cancelled;
    bool limited; /* the limit was set */
    int64_t timeout_ms;
    int64_t begun_ms;
    int64_t deadline_ms;
    int64_t look_ms; /* when what is at work is to be cancelled */
    bool holds;      /* its steps have come to their end, and wait for the commit */
    struct db_segment head;
    struct db_segment steps[MR_DB_WINDOW_MAX];
    unsigned count;
    struct db_segment undo;
    struct db_segment last; /* a statement in front of the commit */
    struct db_segment commit;
};

struct mr_db {
    struct mr_db_options options;
    const struct mr_statement *const *statements;
    uint64_t *prepared; /* of the application's statements: the serial of the connection that it was prepared on */
    bool *done;         /* of `statements`: prepared; looked at while some are owed */
    unsigned owed;      /* of `statements`: not prepared on this connection */
    PGconn *conn;       /* NULL: down */
    int64_t backoff_ms;
    int64_t next_attempt_ms;
    int64_t timeout_ms; /* statement_timeout as the server has it; 0: none */
    bool replans;       /* a statement was slow: the next goes behind DISCARD PLANS */
    int64_t next_replan_ms;
    uint64_t demotions;                /* how many this process knew of when it connected */
    void (*meanwhile)(void *argument); /* NULL: nothing */
    void *meanwhile_argument;
    uint64_t serial; /* connections that came to stand */
    bool opening;
    bool asking; /* for what the server may lack */
    bool notified;
    bool cut;          /* the end of the process has cancelled what was at work here (runtime/shutdown.h) */
    bool shared;       /* a pooler gives each transaction another session: nothing of a session's may be relied on */
    int server_pid;    /* of the back end that set it up; 0: not known */
    int64_t polled_ms; /* when the channel was last taken for notified, where it cannot be listened to */
    bool stale;        /* its server, or its session, is not what it was: to be dropped */
    unsigned reads;    /* of the result that is arriving */
    size_t heard;      /* bytes of it, at least */
    bool overflowed;   /* it passed DB_RESULT_BYTES, and its statement was cancelled */
    struct mr_db_error error;
    char warning[200];       /* the first of the statement at work, or of the last one; "": none */
    int64_t attempts_failed; /* in a row */
    enum mr_db_trouble told; /* what was logged last */
    int64_t tell_pause_ms;
    int64_t next_tell_ms;
    struct mr_pace pace;
    struct db_pipeline pipeline;
    struct db_window window;
};

/* Monotonic time of the connection's clock, in milliseconds. */
static inline int64_t db_now_ms(const mr_db *self)
{
    return mr_mono_ms(self->options.clock);
}

/* db.c */

/* Checks, before a statement is sent, that there is a connection and that time is left. */
mr_status db_begin(mr_db *self, int64_t deadline_ms) MR_WARN_UNUSED;

/* Whether another connection has found the primary demoted since this connection was made. */
bool db_is_demoted(const mr_db *self);

/*
 * The limit to set on the server for a statement with `left` milliseconds; -1: the present one is close enough, since a change
 * costs more than a quick statement.
 */
int64_t db_timeout_to_set(const mr_db *self, int64_t left);

/* Queues a change of the server's limits. False: the connection is useless. */
bool db_send_limits(mr_db *self, int64_t timeout_ms);

/* Notes how long a statement took. Whoever waited long has the session's plans made anew (db.c says why). */
void db_note_took(mr_db *self, int64_t took_ms);

/* Queues, in pipeline mode, that the server makes its plans anew. False: the connection is useless. */
bool db_send_replan(mr_db *self);

/*
 * Queues, in pipeline mode, what is due in front of a statement: new plans, and a change of the limits (`timeout_ms` -1: none is
 * needed). False: the connection is useless.
 */
bool db_send_front(mr_db *self, int64_t timeout_ms);

/* Queues the execution of a statement. Borrows its parameters for the call. False: the connection is useless. */
bool db_send_run(mr_db *self, const char *statement, const struct mr_params *params);

/* db_connect.c */

/* Makes one attempt to connect. MR_OK: the session is set up, and the server is one that this connection is for. */
mr_status db_open(mr_db *self) MR_WARN_UNUSED;

/* How an idle connection is probed before its peer counts as gone. */
struct db_keepalive {
    int64_t idle_s;
    int64_t interval_s;
    int64_t count; /* probes without an answer */
};

/* The probes that notice within DB_TCP_TIMEOUT that a peer is gone: the same for both ends of a connection. */
struct db_keepalive db_keepalive(const struct mr_config *config);

/* Starts to connect without waiting; the caller's to PQfinish. NULL: no memory. */
PGconn *db_start_connect(const struct mr_db_options *options);

/* Completes an attempt until `deadline_ms` (monotonic); `reached` is the state it came to. False: there is no connection. */
bool db_finish_connect(mr_db *self, int64_t deadline_ms, ConnStatusType *reached);

/* db_session.c */

/* Sets up the session and checks its server, in one round trip. */
mr_status db_set_up(mr_db *self, int64_t deadline_ms) MR_WARN_UNUSED;

/* Appends a statement that sets everything our SQL depends on: for the session, or for the transaction if the session is shared. */
void db_settings_sql(struct mr_buf *out, const struct mr_db *self, int64_t timeout_ms);

/* As db_settings_sql, sent in pipeline mode. */
bool db_send_settings(mr_db *self, int64_t timeout_ms);

/* The trouble that a SQLSTATE means for an attempt to connect. */
enum mr_db_trouble db_trouble_of(const char *sqlstate);

/* db_pooler.c */

/* Whether a pooler is known to share the sessions of this server. */
bool db_pooler_shares(const mr_db *self);

/*
 * Finds out, after an attempt to connect with that outcome, whether there is a pooler and how it pools. True: it shares
 * sessions, which was not known. The connection is dropped and has to be opened again as a shared one, unless db_pooler_divides.
 */
bool db_pooler_found(mr_db *self, mr_status status);

/* Whether the last check found a pooler that pools statements, which jobs and migrations cannot use. */
bool db_pooler_divides(const mr_db *self);

/* Notes an error that shows that the session now belongs to somebody else: the pooler shares sessions, whatever was found before. */
void db_pooler_note(const mr_db *self, const char *sqlstate);

/* The server's limit for a statement whose deadline is not nearer, in milliseconds; 0: none. */
int64_t db_usual_timeout(const struct mr_db_options *options);

/* db_prepare.c */

/* Whether the connection being set up may prepare its statements later. If so, it owes them from here on. */
bool db_may_owe(mr_db *self);

/* How many of `statements` there are. */
unsigned db_statement_count(const mr_db *self);

/* Prepares it unless that is done: a round trip of its own. Nothing may be in flight. */
mr_status db_prepare(mr_db *self, const char *statement, int64_t deadline_ms) MR_WARN_UNUSED;

/* The statement's name on the server, which is short because it travels with each call. Returns `room`, or `statement`. */
const char *db_prepared_name(const mr_db *self, const char *statement, char room[16]);

/* The text of a statement, for a session that cannot keep prepared ones. The caller frees it. NULL: out of memory. */
char *db_statement_text(const mr_db *self, const char *statement);

/* db_io.c */

/*
 * Closes the connection, and throws away what its pipeline had gathered. No error is noted; with no connection it does
 * nothing.
 */
void db_drop(mr_db *self);

/* libpq's notice receiver: keeps and logs a warning. `self` is the mr_db. */
void db_take_notice(void *self, const PGresult *notice);

/* Combines a result with `status`: keeps the last good result, and lets the first bad one decide. Takes over `result`. */
mr_status db_weigh(mr_db *self, mr_status status, PGresult *result, PGresult **kept);

/* Notes that no result came because the deadline passed or the connection broke, and drops the connection. */
mr_status db_fail_wait(mr_db *self, int64_t deadline_ms);

/* Sets the error and returns `status`. */
mr_status db_fail(mr_db *self, mr_status status, bool lost, const char *sqlstate, const char *message);

/* As db_fail, and drops the connection. */
mr_status db_fail_lost(mr_db *self, const char *message);

/* Milliseconds to the deadline, or to the end of this process if that is sooner. */
int64_t db_left_ms(const mr_db *self, int64_t deadline_ms);

/* Waits for the socket. False: the deadline passed, or the shutdown was cut while the connection did not stand. */
bool db_wait_socket(mr_db *self, short events, int64_t deadline_ms);

/*
 * Reads what has arrived, as PQconsumeInput does, and cancels the statement whose result passes DB_RESULT_BYTES. False: the
 * connection is useless.
 */
bool db_read(mr_db *self);

/* A result was taken: what is read from here on belongs to the next. */
void db_read_anew(mr_db *self);

/* Sends what is queued, and reads until a complete result has arrived. */
bool db_await_result(mr_db *self, int64_t deadline_ms);

/*
 * Takes all results of what was sent, in pipeline mode up to the synchronization point. MR_OK: `out` (may be NULL) is the last
 * good one, for the caller to free with `PQclear`.
 */
mr_status db_take_results(mr_db *self, int64_t deadline_ms, PGresult **out) MR_WARN_UNUSED;

/*
 * As db_take_results, without a deadline: cancels the running statement once `is_over`, which it calls a few times a second,
 * returns true.
 */
mr_status db_take_results_unless(mr_db *self, bool (*is_over)(void *argument), void *argument) MR_WARN_UNUSED;

/* Ends what was sent in pipeline mode, takes its results as db_take_results does, and leaves that mode. */
mr_status db_end_pipeline(mr_db *self, int64_t deadline_ms, PGresult **out) MR_WARN_UNUSED;

/* Asks the server to cancel the running statement and does not wait; the statement's result tells whether it did. */
void db_cancel(mr_db *self);

/* How many demotions of a primary this process has noticed. */
uint64_t db_demotions(void);

/* A descriptor that becomes readable when more than `known` demotions were noticed; -1: the system had none to give. */
int db_demotion_fd(uint64_t known);

#endif
