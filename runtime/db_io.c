/*
 * Waiting for the server, its results, cancelling, and what a failure means.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "runtime/db_internal.h"
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "runtime/shutdown.h"

enum { MEANWHILE_MS = 100, CANCELS_MOST = 256, LOOK_MS = 100, CANCEL_MS = 2000 };

/* Of libpq: a read takes what is there, but for less room than READ_LEAST. Short results, of a few reads, are not measured. */
enum { READ_LEAST = 8192, READS_FREE = 16 };

void db_drop(mr_db *self)
{
    PQfinish(self->conn);
    self->conn = NULL;
    self->stale = false;
    db_read_anew(self);
    PQclear(self->pipeline.kept);
    self->pipeline.kept = NULL;
    self->pipeline.status = MR_OK;
    self->pipeline.count = 0;
}

mr_status db_fail(mr_db *self, mr_status status, bool lost, const char *sqlstate, const char *message)
{
    self->error = (struct mr_db_error){.status = status, .lost = lost};
    snprintf(self->error.sqlstate, sizeof self->error.sqlstate, "%s", sqlstate);
    mr_slice_copy(self->error.message, sizeof self->error.message, (struct mr_slice){message, strcspn(message, "\n")});
    mr_metric_sqlstate(sqlstate);
    return status;
}

static void copy_name(char out[MR_DB_NAME], const PGresult *result, int field)
{
    const char *name = PQresultErrorField(result, field);

    snprintf(out, MR_DB_NAME, "%s", name != NULL ? name : "");
}

/* What the server names as concerned. */
static void note_names(mr_db *self, const PGresult *result)
{
    copy_name(self->error.schema, result, PG_DIAG_SCHEMA_NAME);
    copy_name(self->error.table, result, PG_DIAG_TABLE_NAME);
    copy_name(self->error.column, result, PG_DIAG_COLUMN_NAME);
    copy_name(self->error.constraint, result, PG_DIAG_CONSTRAINT_NAME);
}

mr_status db_fail_lost(mr_db *self, const char *message)
{
    db_fail(self, MR_UNAVAILABLE, true, "08006", message);
    db_drop(self);
    return MR_UNAVAILABLE;
}

void db_take_notice(void *self, const PGresult *notice)
{
    mr_db *db = self;
    const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *sqlstate = PQresultErrorField(notice, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);

    if (severity == NULL || strcmp(severity, "WARNING") != 0 || message == NULL)
        return;
    if (db->warning[0] == '\0')
        snprintf(db->warning, sizeof db->warning, "%s", message);
    mr_log_bounded(MR_LOG_WARN, "the database warns", mr_log_text("actor", db->options.application_name),
                   mr_log_text("sqlstate", sqlstate != NULL ? sqlstate : ""), mr_log_text("reason", message));
}

/* The server may still answer, and nobody would take it: the connection is of no more use. */
static mr_status fail_late(mr_db *self)
{
    db_fail(self, MR_TIMEOUT, true, "", "no answer in time");
    db_drop(self);
    return MR_TIMEOUT;
}

mr_status db_fail_wait(mr_db *self, int64_t deadline_ms)
{
    if (db_now_ms(self) >= deadline_ms)
        return fail_late(self);
    return db_fail_lost(self, mr_shutdown_is_cut() ? "the process ends" : PQerrorMessage(self->conn));
}

/*
 * ---- Cancelling: libpq's own function waits without a limit, so a thread of its own does that ----
 *
 * DB_TCP_TIMEOUT bounds its wait for a host that is gone (libpq 15 applies the connection's settings). A server that is there and
 * never closes holds the thread for as long; so there are only so many. Who finds none left gives its connection up all the same.
 */
static _Atomic unsigned cancels;

static void forget(PGcancel *order)
{
    PQfreeCancel(order);
    atomic_fetch_sub(&cancels, 1);
}

static void *send_cancel(void *argument)
{
    PGcancel *order = argument;
    char ignored[256];

    PQcancel(order, ignored, sizeof ignored);
    forget(order);
    return NULL;
}

/* Asks the server to end the statement at work, and does not wait: its result tells whether it did. */
void db_cancel(mr_db *self)
{
    PGcancel *order = PQgetCancel(self->conn);
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    pthread_t thread;

    if (order == NULL)
        return;
    if (atomic_fetch_add(&cancels, 1) >= CANCELS_MOST) {
        forget(order);
        return;
    }
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&thread, &attributes, send_cancel, order) != 0)
        forget(order);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

/* ---- Waiting ---- */

int64_t db_left_ms(const mr_db *self, int64_t deadline_ms)
{
    int64_t left = deadline_ms - db_now_ms(self);
    int64_t left_to_process = mr_shutdown_is_cut() ? mr_shutdown_limit_ms() - mr_mono_ms(&mr_system_clock) : INT64_MAX;

    return left < left_to_process ? left : left_to_process;
}

/* The end of the process cancels a statement at work, once, and gives up a connection that does not stand yet. */
static bool cut_short(mr_db *self)
{
    self->cut = true;
    if (PQstatus(self->conn) != CONNECTION_OK)
        return false;
    db_cancel(self);
    return true;
}

/* The descriptor is asked for each time: it can change while connecting. */
bool db_wait_socket(mr_db *self, short events, int64_t deadline_ms)
{
    int64_t left;

    while ((left = db_left_ms(self, deadline_ms)) > 0) {
        struct pollfd items[2] = {{.fd = PQsocket(self->conn), .events = events},
                                  {.fd = self->cut ? -1 : mr_shutdown_cut_fd(), .events = POLLIN}};
        bool slice = self->opening && self->meanwhile != NULL && left > MEANWHILE_MS;
        int ready = poll(items, 2, slice ? MEANWHILE_MS : (int)(left < INT32_MAX ? left : INT32_MAX));

        if (ready < 0 && errno != EINTR)
            return false;
        if (ready > 0)
            return items[1].revents == 0 || cut_short(self);
        if (slice)
            self->meanwhile(self->meanwhile_argument);
    }
    return false;
}

static size_t waiting(const mr_db *self)
{
    int bytes = 0;

    return ioctl(PQsocket(self->conn), FIONREAD, &bytes) == 0 && bytes > 0 ? (size_t)bytes : 0;
}

void db_read_anew(mr_db *self)
{
    self->reads = 0;
    self->heard = 0;
    self->overflowed = false;
}

/*
 * libpq does not tell how much it has read. It read at least by how much the socket has less, and at least READ_LEAST if so much
 * was there: while the server goes on to send, that is less than it really was, by a small factor.
 */
static bool read_measured(mr_db *self)
{
    size_t before = waiting(self);
    bool usable = PQconsumeInput(self->conn) == 1;
    size_t after = usable ? waiting(self) : 0;
    size_t least = before < READ_LEAST ? before : READ_LEAST;

    self->heard += before > after + least ? before - after : least;
    if (self->heard > DB_RESULT_BYTES && !self->overflowed) {
        self->overflowed = true;
        db_cancel(self);
    }
    return usable;
}

bool db_read(mr_db *self)
{
    return self->reads++ < READS_FREE ? PQconsumeInput(self->conn) == 1 : read_measured(self);
}

/* Sends what is queued and reads until a result is whole. */
bool db_await_result(mr_db *self, int64_t deadline_ms)
{
    int unsent;

    while ((unsent = PQflush(self->conn)) > 0 || PQisBusy(self->conn)) {
        if (unsent < 0 || !db_wait_socket(self, unsent > 0 ? POLLIN | POLLOUT : POLLIN, deadline_ms))
            return false;
        if (!db_read(self))
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

/*
 * The session, or its server, is not what it was when it was set up, and never will be again: a new connection heals that.
 * With `undone` the server says at the same time that nothing of the statement took effect.
 */
static const struct {
    const char *sqlstate;
    bool undone;
} stale_signs[] = {
    {"25006", true},  /* read-only: the primary was demoted, as Aurora does at a failover, and the socket stays */
    {"57P01", false}, /* terminated by an administrator, or at the server's end */
    {"57P02", false}, /* another back end has crashed */
    {"57P03", false}, /* it is starting or stopping */
    {"0A000", true},  /* "cached plan must not change result type": a migration went by */
    {"26000", true},  /* the prepared statements are gone: DISCARD ALL, or a pooler's other session */
    {"42P05", true},  /* they are there already: a pooler's session that somebody else has set up */
};

/*
 * One sign is enough for every connection to the primary: they all go to the same server. Whoever has nothing to do polls the
 * bell of the count that it knows, which rings for all of them until the count after the next: two bells take turns. A thread
 * that sleeps through two demotions in a row notices when it uses its connection.
 */
static _Atomic uint64_t demotions;
static int bells[2] = {-1, -1};
static pthread_once_t bells_made = PTHREAD_ONCE_INIT;

static void make_bells(void)
{
    for (int i = 0; i < 2; i++)
        bells[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

uint64_t db_demotions(void)
{
    return atomic_load(&demotions);
}

int db_demotion_fd(uint64_t known)
{
    pthread_once(&bells_made, make_bells);
    return bells[known % 2];
}

static void note_demotion(const mr_db *self)
{
    uint64_t known = self->demotions;
    uint64_t rung;

    if (self->options.standby || !atomic_compare_exchange_strong(&demotions, &known, known + 1))
        return;
    (void)!read(db_demotion_fd(known + 1), &rung, sizeof rung);
    (void)!write(db_demotion_fd(known), &(uint64_t){1}, sizeof(uint64_t));
}

static mr_status fail_stale(mr_db *self, const char *sqlstate, bool undone, const char *message)
{
    db_fail(self, MR_UNAVAILABLE, true, sqlstate, message);
    self->error.undone = undone;
    self->stale = true;
    if (strcmp(sqlstate, "25006") == 0)
        note_demotion(self);
    db_pooler_note(self, sqlstate);
    return MR_UNAVAILABLE;
}

static unsigned position_of(const PGresult *result)
{
    const char *position = PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);

    return position != NULL ? (unsigned)strtoul(position, NULL, 10) : 0;
}

static mr_status fail_result(mr_db *self, const PGresult *result)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    bool rerun = false;
    mr_status status;

    if (sqlstate == NULL && PQstatus(self->conn) == CONNECTION_OK)
        return db_fail(self, MR_NO_MEMORY, false, "", PQresultErrorMessage(result)); /* libpq's own, with the rows lost */
    if (sqlstate == NULL)
        return db_fail(self, MR_UNAVAILABLE, true, "08006", PQresultErrorMessage(result));
    for (size_t i = 0; i < sizeof stale_signs / sizeof stale_signs[0]; i++)
        if (strcmp(sqlstate, stale_signs[i].sqlstate) == 0 && !(self->asking && strcmp(sqlstate, "0A000") == 0)) {
            status = fail_stale(self, sqlstate, stale_signs[i].undone, message != NULL ? message : "");
            self->error.position = position_of(result);
            return status;
        }
    if (self->overflowed && strcmp(sqlstate, "57014") == 0) {
        status = db_fail(self, MR_ANSWER_TOO_LARGE, false, sqlstate, "the result is larger than 32 MiB");
        self->error.rerun = true; /* one message of the batch may be to blame */
        return status;
    }
    status = db_fail(self, mr_status_from_sqlstate(sqlstate, &rerun), false, sqlstate, message != NULL ? message : "");
    if (mr_status_raised(sqlstate) != MR_OK && message != NULL) /* the application's words, for its client: all lines of them */
        mr_slice_copy(self->error.message, sizeof self->error.message, mr_slice_of(message));
    self->error.rerun = rerun;
    self->error.position = position_of(result);
    note_names(self, result);
    return status;
}

/* The last good result is kept, the first bad one decides; what only followed a bad one says nothing. */
mr_status db_weigh(mr_db *self, mr_status status, PGresult *result, PGresult **kept)
{
    ExecStatusType kind = PQresultStatus(result);

    if (kind == PGRES_TUPLES_OK || kind == PGRES_COMMAND_OK || kind == PGRES_EMPTY_QUERY) {
        PQclear(*kept);
        *kept = result;
        db_read_anew(self);
        return status;
    }
    if (!is_good(result) && kind != PGRES_PIPELINE_ABORTED && status == MR_OK)
        status = fail_result(self, result);
    db_read_anew(self);
    PQclear(result);
    return status;
}

/* How long results are waited for: until the deadline, or until somebody says that it is over, and then CANCEL_MS more. */
struct patience {
    int64_t deadline_ms;
    bool (*is_over)(void *argument); /* NULL: the deadline decides */
    void *argument;
};

/* Each result of a text of many statements, and not only the first, may take its time. */
static bool await_patiently(mr_db *self, struct patience *patience)
{
    while (patience->is_over != NULL) {
        if (db_await_result(self, db_now_ms(self) + LOOK_MS))
            return true;
        if (PQstatus(self->conn) == CONNECTION_BAD)
            return false;
        if (patience->is_over(patience->argument)) {
            db_cancel(self);
            *patience = (struct patience){.deadline_ms = db_now_ms(self) + CANCEL_MS};
        }
    }
    return db_await_result(self, patience->deadline_ms);
}

/*
 * Takes every result of what was sent. In pipeline mode each statement's results end with a NULL, and the whole with the
 * synchronization point. A connection that went down meanwhile, or is stale, is dropped; the error then says `lost`,
 * whatever the server's last words were.
 */
static mr_status take_results(mr_db *self, struct patience *patience, PGresult **out)
{
    bool pipeline = PQpipelineStatus(self->conn) != PQ_PIPELINE_OFF;
    PGresult *kept = NULL;
    mr_status status = MR_OK;
    unsigned ended = 0;

    for (bool synced = false; !synced && PQstatus(self->conn) == CONNECTION_OK;) {
        PGresult *result;

        if (!await_patiently(self, patience)) {
            PQclear(kept);
            return db_fail_wait(self, patience->deadline_ms);
        }
        result = PQgetResult(self->conn);
        synced = pipeline ? PQresultStatus(result) == PGRES_PIPELINE_SYNC : result == NULL;
        if (result == NULL)
            continue;
        status = db_weigh(self, status, result, &kept);
        ended += status == MR_OK;
    }
    if (PQstatus(self->conn) == CONNECTION_BAD && status == MR_OK)
        status = db_fail(self, MR_UNAVAILABLE, true, "08006", PQerrorMessage(self->conn));
    if (status != MR_OK)
        self->error.statements = ended;
    if (PQstatus(self->conn) == CONNECTION_BAD || self->stale) {
        self->error.lost = true;
        db_drop(self);
    }
    if (status != MR_OK || out == NULL) {
        PQclear(kept);
        return status;
    }
    *out = kept;
    return MR_OK;
}

mr_status db_take_results(mr_db *self, int64_t deadline_ms, PGresult **out)
{
    return take_results(self, &(struct patience){.deadline_ms = deadline_ms}, out);
}

mr_status db_take_results_unless(mr_db *self, bool (*is_over)(void *argument), void *argument)
{
    return take_results(self, &(struct patience){.deadline_ms = INT64_MAX, .is_over = is_over, .argument = argument}, NULL);
}

/* Takes what a pipeline has to say and leaves pipeline mode. */
mr_status db_end_pipeline(mr_db *self, int64_t deadline_ms, PGresult **out)
{
    mr_status status;

    if (PQpipelineSync(self->conn) != 1)
        return db_fail_lost(self, PQerrorMessage(self->conn));
    status = db_take_results(self, deadline_ms, out);
    if (self->conn == NULL || PQexitPipelineMode(self->conn) == 1)
        return status;
    if (status == MR_OK && out != NULL) {
        PQclear(*out);
        *out = NULL;
    }
    return db_fail_lost(self, PQerrorMessage(self->conn));
}
