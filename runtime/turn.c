#include "runtime/turn.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "runtime/log.h"

/* The pause lets those pass who have queued behind us. Who is in the way is asked when a wait is half over. */
enum { PAUSE_MS = 1500, ASK_AFTER_MS = 500, NAME_ROOM = 64 };

#define LIMIT_SQL "SET lock_timeout = '1s'"

mr_status mr_turn_setup(mr_db *db, int64_t deadline_ms)
{
    return mr_db_exec(db, LIMIT_SQL, deadline_ms, NULL);
}

/* One attempt, and who was in its way. */
struct attempt {
    const mr_db *db;
    int64_t begun_ms;
    int64_t deadline_ms;
    bool asked;
    long long pid; /* 0: nobody was found */
    char name[NAME_ROOM];
    long long held_s;
    unsigned blockers;
};

static long long number(const mr_rows *rows, unsigned column)
{
    struct mr_slice text = {"0", 1};

    mr_rows_get(rows, 0, column, &text);
    return strtoll(text.data, NULL, 10); /* libpq terminates its values */
}

static void ask(struct attempt *self)
{
    struct mr_slice name = {"", 0};
    mr_rows *rows = NULL;

    self->asked = true;
    if (mr_db_blockers(self->db, &rows) == MR_OK && mr_rows_count(rows) > 0) {
        mr_rows_get(rows, 0, 1, &name);
        snprintf(self->name, sizeof self->name, "%.*s", (int)name.len, name.data);
        self->pid = number(rows, 0);
        self->held_s = number(rows, 2);
        self->blockers = mr_rows_count(rows);
    }
    mr_rows_free(&rows);
}

/* Some times a second while the statement runs: it is over when its time is. */
static bool look(void *argument)
{
    struct attempt *self = argument;
    int64_t now_ms = mr_mono_ms(&mr_system_clock);

    if (!self->asked && now_ms - self->begun_ms >= ASK_AFTER_MS)
        ask(self);
    return now_ms >= self->deadline_ms;
}

/* A lock was not had in time, or the server ended a circle of waits by ending this one. */
static bool is_in_the_way(const struct mr_db_error *failure)
{
    return strcmp(failure->sqlstate, "55P03") == 0 || strcmp(failure->sqlstate, "40P01") == 0;
}

static void note_wait(const struct attempt *attempt, const char *what)
{
    mr_log(MR_LOG_WARN, "waiting for a lock", mr_log_text("for", what), mr_log_text("holder", attempt->name),
           mr_log_int("pid", attempt->pid), mr_log_int("heldForS", attempt->held_s), mr_log_int("holders", attempt->blockers));
}

mr_status mr_turn_exec(mr_db *db, const char *sql, const char *what, int64_t deadline_ms, struct mr_db_error *failure)
{
    for (;;) {
        struct attempt attempt = {.db = db, .begun_ms = mr_mono_ms(&mr_system_clock), .deadline_ms = deadline_ms};
        mr_status status = mr_db_exec_unless(db, sql, look, &attempt);

        if (status == MR_OK)
            return MR_OK;
        *failure = *mr_db_last_error(db);
        if (mr_db_is_up(db))
            (void)!mr_db_exec(db, "ROLLBACK", deadline_ms, NULL);
        if (!is_in_the_way(failure) || !mr_db_is_up(db))
            return status;
        note_wait(&attempt, what);
        nanosleep(&(struct timespec){.tv_sec = PAUSE_MS / 1000, .tv_nsec = PAUSE_MS % 1000 * 1000000L}, NULL);
    }
}
