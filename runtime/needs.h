/*
 * needs: what this process's application needs in its database, so that a missing table or right shows before a request fails.
 *
 * A connection for requests or jobs checks when it is made: have the application's migrations run, do the tables that its
 * operations name exist, and may this role use them? If not, the connection fails, as it does when one of the engine's tables is
 * missing, with a trouble of its own (MR_DB_TROUBLES). The process is then not ready and says why, until somebody has migrated or
 * granted.
 *
 * Thread: installing belongs to the start, before there are connections that are for requests or jobs. The rest: any.
 */
#ifndef MR_RUNTIME_NEEDS_H
#define MR_RUNTIME_NEEDS_H

#include "runtime/db.h"

/* What is done with a table, as bits; 0: something, nobody knows what, so that any right will do. */
enum { MR_RIGHT_SELECT = 1, MR_RIGHT_INSERT = 2, MR_RIGHT_UPDATE = 4, MR_RIGHT_DELETE = 8 };

struct mr_table_need {
    const char *schema; /* NULL: wherever the search path leads */
    const char *table;
    unsigned rights;
    enum mr_db_use use; /* whose connections need it */
};

struct mr_needs {
    const struct mr_table_need *items;
    unsigned count;
};

/* Makes them those of this process; borrowed until it ends, or until another call. NULL: none, and migrations are not asked for. */
void mr_needs_install(const struct mr_needs *needs);

/* Whether such a connection has anything to ask. */
bool mr_needs_any(enum mr_db_use use);

/*
 * Appends a query of one text, in brackets: which of the tables are missing or may not be used by this role, and NULL when none is.
 * It reads the catalogue alone, and needs no right.
 */
void mr_needs_sql(struct mr_buf *out, enum mr_db_use use);

/*
 * Whether the application's migrations (mr_app_steps_installed) have run on the database, and are this application's: asked once a
 * process, since none is ever taken back. A role that may not read the record is believed. MR_OK: they have. MR_CONFLICT: `problem` says
 * what is in the way, and `trouble` which kind it is of. Otherwise the question could not be asked: mr_db_last_error(db).
 */
mr_status mr_needs_migrations(mr_db *db, int64_t deadline_ms, struct mr_buf *problem,
                              enum mr_db_trouble *trouble) MR_WARN_UNUSED;

/* All migrations, the engine's and the application's, were found applied, or were applied, a moment ago. Any thread. */
void mr_needs_note_migrated(void);

/* Whether that was said since mr_needs_install. Any thread. */
bool mr_needs_are_migrated(void);

/* A connection for requests has found all that it needs. Any thread. */
void mr_needs_note_met(void);

/* Whether one has since mr_needs_install. Any thread. */
bool mr_needs_were_met(void);

enum { MR_NEEDS_ROOM = 256 };

/* Notes what is missing, for operators: names of migrations and of tables, copied and cut to MR_NEEDS_ROOM; "": nothing. Any thread. */
void mr_needs_note(const char *missing);

/* What was noted last, ended by NUL; "": nothing is missing. Any thread. */
void mr_needs_missing(char out[MR_NEEDS_ROOM]);

#endif
