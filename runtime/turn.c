#include "runtime/turn.h"

#include <time.h>

#include "runtime/log.h"

/* The pause lets those pass who have queued behind us. */
enum { PAUSE_MS = 1500 };

#define LIMIT_SQL "SET lock_timeout = '1s'"

/* Who holds a lock of ours, or on a table of ours, and for how long; the oldest transaction is the likeliest culprit. */
#define HOLDER_SQL                                                                                                  \
    "SELECT a.pid, coalesce(nullif(a.application_name, ''), a.usename::text, '?'),"                                 \
    " extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, a.backend_start))::bigint"                      \
    " FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid LEFT JOIN pg_class c ON c.oid = l.relation"          \
    " WHERE l.granted AND l.pid <> pg_backend_pid() AND l.database = (SELECT oid FROM pg_database WHERE datname = " \
    "current_database())"                                                                                           \
    " AND (l.locktype = 'advisory' OR (l.locktype = 'relation' AND c.relnamespace <> 'pg_catalog'::regnamespace))"  \
    " ORDER BY a.xact_start NULLS LAST LIMIT 1"

mr_status mr_turn_setup(mr_db *db, int64_t deadline_ms)
{
    return mr_db_exec(db, LIMIT_SQL, deadline_ms, NULL);
}

static void note_wait(mr_db *db, const char *what, int64_t deadline_ms)
{
    struct mr_slice holder[3] = {{"", 0}, {"", 0}, {"", 0}};
    mr_rows *rows = NULL;

    if (mr_db_exec(db, HOLDER_SQL, deadline_ms, &rows) == MR_OK && mr_rows_count(rows) == 1)
        for (unsigned column = 0; column < 3; column++)
            (void)mr_rows_get(rows, 0, column, &holder[column]);
    mr_log(MR_LOG_WARN, "waiting for a lock", mr_log_text("for", what), mr_log_slice("holder", holder[1]),
           mr_log_slice("pid", holder[0]), mr_log_slice("heldForS", holder[2]));
    mr_rows_free(&rows);
}

mr_status mr_turn_exec(mr_db *db, const char *sql, const char *what, int64_t deadline_ms, struct mr_db_error *failure)
{
    mr_status status;

    while ((status = mr_db_exec(db, sql, deadline_ms, NULL)) != MR_OK) {
        *failure = *mr_db_last_error(db);
        if (mr_db_is_up(db))
            (void)!mr_db_exec(db, "ROLLBACK", deadline_ms, NULL);
        if (strcmp(failure->sqlstate, "55P03") != 0 || !mr_db_is_up(db))
            break;
        note_wait(db, what, deadline_ms);
        nanosleep(&(struct timespec){.tv_sec = PAUSE_MS / 1000, .tv_nsec = PAUSE_MS % 1000 * 1000000L}, NULL);
    }
    return status;
}
