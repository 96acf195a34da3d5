#include "runtime/lag.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/actor.h"
#include "runtime/log.h"
#include "runtime/replica.h"

/* LOOK: between two looks. FRESH: how old the primary's last word may be while it counts as up. */
enum { LOOK_MS = 500, FRESH_MS = 1500 };

/*
 * What a replica is asked, from the best question to the last resort: whether it is one, its position in the log, whether it
 * has replayed all that it has received, and by how much it is behind as far as it knows. The last commit that it replayed may be
 * old because nobody writes, so that age says something only of a replica that is behind. Aurora replays no log; its readers
 * know their lag in milliseconds, and their own row by name where the release has that function.
 */
static const char *const replica_questions[] = {
    "SELECT pg_is_in_recovery(), pg_last_wal_replay_lsn(), pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn(),"
    " (extract(epoch FROM clock_timestamp() - coalesce(pg_last_xact_replay_timestamp(), pg_postmaster_start_time())) * 1000)"
    "::bigint",
    "SELECT pg_is_in_recovery(), NULL, NULL, ceil(replica_lag_in_msec)::bigint FROM aurora_replica_status()"
    " WHERE server_id = aurora_db_instance_identifier() AND replica_lag_in_msec IS NOT NULL",
    "SELECT pg_is_in_recovery(), NULL, NULL, ceil(max(replica_lag_in_msec))::bigint FROM aurora_replica_status()"
    " HAVING max(replica_lag_in_msec) IS NOT NULL",
};

/* Everything that is acknowledged is before it: a commit is flushed first. */
static const char *const primary_questions[] = {"SELECT pg_current_wal_flush_lsn()"};

enum {
    REPLICA_QUESTIONS = sizeof replica_questions / sizeof replica_questions[0],
    PRIMARY_QUESTIONS = sizeof primary_questions / sizeof primary_questions[0]
};

/* ---- How far the primary's log has come ---- */

struct position {
    uint64_t lsn;
    int64_t asked_ms; /* monotonic: what was acknowledged before is before `lsn`; 0: never asked */
};

static pthread_mutex_t newest_lock = PTHREAD_MUTEX_INITIALIZER;
static struct position newest;
static _Atomic bool no_positions; /* the primary does not tell its position */
static _Atomic bool told_no_figure;

static void publish(const struct position *position)
{
    pthread_mutex_lock(&newest_lock);
    if (position->asked_ms > newest.asked_ms)
        newest = *position;
    pthread_mutex_unlock(&newest_lock);
    atomic_store(&no_positions, false);
}

static struct position newest_position(void)
{
    struct position out;

    pthread_mutex_lock(&newest_lock);
    out = newest;
    pthread_mutex_unlock(&newest_lock);
    return out;
}

/* "16/B374D848" */
static bool read_lsn(const mr_rows *rows, unsigned column, uint64_t *out)
{
    struct mr_slice text;
    char copy[32];
    char *slash;
    char *end;
    uint64_t high;
    uint64_t low;

    if (!mr_rows_get(rows, 0, column, &text))
        return false;
    snprintf(copy, sizeof copy, "%.*s", (int)text.len, text.data);
    high = strtoull(copy, &slash, 16);
    if (slash == copy || *slash != '/')
        return false;
    low = strtoull(slash + 1, &end, 16);
    if (end == slash + 1 || *end != '\0')
        return false;
    *out = high << 32 | low;
    return true;
}

/* ---- Asking ---- */

/* A reader for users who have just written: it is there beside each reader of the replica. */
static bool is_at_primary(const struct mr_actor *self)
{
    return !self->on_replica && mr_actor_info(self->spec->id)->database == MR_DATABASE_REPLICA &&
           self->config->db_host_read_only[0] != '\0';
}

/* Whom the actor asks; NULL: nobody, or not now. */
static mr_db *whom(const struct mr_actor *self)
{
    mr_db *db = NULL;

    if (self->replica != NULL)
        db = mr_replica_db(self->replica);
    else if (is_at_primary(self))
        db = self->primary;
    return db != NULL && mr_db_is_up(db) ? db : NULL;
}

static unsigned questions_of(const struct mr_actor *self)
{
    return self->replica != NULL ? REPLICA_QUESTIONS : PRIMARY_QUESTIONS;
}

/* What is over the next time: a statement that was cancelled, a server that is full. Anything else the server does not know. */
static bool passes(const char *sqlstate)
{
    return strncmp(sqlstate, "57", 2) == 0 || strncmp(sqlstate, "40", 2) == 0 || strncmp(sqlstate, "53", 2) == 0 ||
           sqlstate[0] == '\0';
}

/* A row for the first question that the server answers; NULL: for none, or not this time. */
static mr_rows *ask(struct mr_actor *self, mr_db *db)
{
    const char *const *questions = self->replica != NULL ? replica_questions : primary_questions;
    struct mr_lag *lag = &self->lag;

    for (; lag->question < questions_of(self); lag->question++) {
        mr_rows *rows = NULL;
        int64_t deadline_ms = mr_mono_ms(self->clock) + self->config->db_connect_timeout;
        mr_status status = mr_db_ask(db, questions[lag->question], deadline_ms, &rows);

        if (status == MR_OK && mr_rows_count(rows) == 1)
            return rows;
        mr_rows_free(&rows);
        if (status != MR_OK && (!mr_db_is_up(db) || passes(mr_db_last_error(db)->sqlstate)))
            break;
    }
    return NULL;
}

/* ---- What the answers mean ---- */

struct words {
    bool has_position;
    uint64_t position;
    bool is_level; /* with all that it has received */
    int64_t lag_ms;
};

static bool is_true(const mr_rows *rows, unsigned column)
{
    struct mr_slice text;

    return mr_rows_get(rows, 0, column, &text) && mr_slice_is(text, "t");
}

static int64_t read_number(const mr_rows *rows, unsigned column)
{
    struct mr_slice text;
    int64_t number = 0;

    if (!mr_rows_get(rows, 0, column, &text))
        return 0;
    for (size_t i = 0; i < text.len && text.data[i] >= '0' && text.data[i] <= '9' && number < INT32_MAX * INT64_C(1000); i++)
        number = number * 10 + (text.data[i] - '0');
    return number; /* clocks that differ: a negative one is 0 */
}

/* False: it is no replica that tells how far it is. One that is none (a name that leads to the primary) has no other answer. */
static bool read_words(struct mr_actor *self, const mr_rows *rows, struct words *out)
{
    bool is_replica = is_true(rows, 0);

    *out = (struct words){.is_level = is_true(rows, 2), .lag_ms = read_number(rows, 3)};
    out->has_position = read_lsn(rows, 1, &out->position);
    if (is_replica && (out->has_position || self->lag.question > 0))
        return true;
    self->lag.question = is_replica ? self->lag.question + 1 : REPLICA_QUESTIONS;
    return false;
}

/*
 * While the primary tells its position, a replica is level when it has come there. Otherwise (the primary is away, or asleep)
 * nothing but the replica's own word is left: level with what it has received.
 *
 * One that is not level is behind by the age of the last commit it replayed, or by the time since it was level, whichever is
 * less: the one is too much when nobody wrote for long, the other when somebody always writes.
 */
static void judge(struct mr_actor *self, const struct words *words, const struct position *position, int64_t asked_ms)
{
    struct mr_lag *lag = &self->lag;
    bool fresh = words->has_position && position->asked_ms != 0 && position->asked_ms >= asked_ms - FRESH_MS;
    bool is_there = words->has_position && position->asked_ms != 0 && words->position >= position->lsn;
    int64_t lag_ms = 0;

    if (fresh ? is_there : words->is_level)
        lag->level_ms = fresh ? position->asked_ms : asked_ms;
    else if (lag->level_ms != 0 && asked_ms - lag->level_ms < words->lag_ms)
        lag_ms = asked_ms - lag->level_ms;
    else
        lag_ms = words->lag_ms;
    atomic_store(&self->stats.replica_lag_ms, lag_ms);
    if (is_there)
        atomic_store(&self->stats.replica_has_ms, position->asked_ms);
    else if (!words->has_position || atomic_load(&no_positions))
        atomic_store(&self->stats.replica_has_ms, asked_ms - lag_ms);
}

static void note_no_figure(struct mr_actor *self)
{
    atomic_store(&self->stats.replica_lag_ms, 0);
    atomic_store(&self->stats.replica_has_ms, INT64_MAX);
    if (!atomic_exchange(&told_no_figure, true))
        mr_log(MR_LOG_WARN, "the replica does not report its lag", mr_log_text("actor", self->name),
               mr_log_text(
                   "effect",
                   "DB_REPLICA_MAX_LAG has no effect; who wrote reads from the primary for DB_READ_YOUR_WRITES and no longer"));
}

static void look_at_replica(struct mr_actor *self, mr_db *db)
{
    struct position position = newest_position();
    int64_t asked_ms = mr_mono_ms(self->clock);
    mr_rows *rows = ask(self, db);
    struct words words;

    if (rows != NULL && read_words(self, rows, &words))
        judge(self, &words, &position, asked_ms);
    mr_rows_free(&rows);
    if (self->lag.question >= REPLICA_QUESTIONS)
        note_no_figure(self);
}

static void look_at_primary(struct mr_actor *self, mr_db *db)
{
    struct position position = {.asked_ms = mr_mono_ms(self->clock)};
    mr_rows *rows = ask(self, db);

    if (rows != NULL && read_lsn(rows, 0, &position.lsn))
        publish(&position);
    mr_rows_free(&rows);
    if (self->lag.question >= PRIMARY_QUESTIONS)
        atomic_store(&no_positions, true);
}

/* What was learnt of a server says nothing of the next one. */
static void forget_other(struct mr_actor *self, const mr_db *db)
{
    if (self->lag.connection == mr_db_serial(db))
        return;
    self->lag = (struct mr_lag){.connection = mr_db_serial(db)};
    atomic_store(&self->stats.replica_has_ms, 0);
}

void mr_lag_look(struct mr_actor *self)
{
    mr_db *db = whom(self);

    if (db == NULL)
        return;
    forget_other(self, db);
    if (mr_lag_due_in_ms(self) != 0)
        return;
    self->lag.looked_ms = mr_mono_ms(self->clock);
    if (self->replica != NULL)
        look_at_replica(self, db);
    else
        look_at_primary(self, db);
}

bool mr_lag_is_beyond(const struct mr_actor *self)
{
    int64_t bound_ms = self->config->db_replica_max_lag;

    if (bound_ms == 0)
        return false;
    return atomic_load(&self->stats.replica_lag_ms) > (atomic_load(&self->stats.replica_lags) ? bound_ms / 2 : bound_ms);
}

int64_t mr_lag_due_in_ms(const struct mr_actor *self)
{
    const mr_db *db = whom(self);
    int64_t left_ms = self->lag.looked_ms + LOOK_MS - mr_mono_ms(self->clock);

    if (db == NULL)
        return -1;
    if (self->lag.connection != mr_db_serial(db) || self->lag.looked_ms == 0)
        return 0;
    if (self->lag.question >= questions_of(self))
        return -1;
    return left_ms > 0 ? left_ms : 0;
}
