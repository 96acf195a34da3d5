/*
 * needs: what this process's application needs in its database, so that what is missing shows before a request fails.
 *
 * A connection for requests or jobs checks when it is made: have the application's migrations run, are the tables, columns and
 * functions that its operations name there, and may this role use them? If not, the connection fails, as it does when one of the
 * engine's tables is missing, with a trouble of its own (MR_DB_TROUBLES). The process is then not ready and says why, until somebody
 * has migrated or granted.
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
    const char **columns; /* those that are known to be used */
    unsigned column_count;
    enum mr_db_use use; /* whose connections need it */
};

struct mr_function_need {
    const char *schema; /* NULL: wherever the search path leads */
    const char *function;
    enum mr_db_use use;
};

struct mr_needs {
    const struct mr_table_need *items;
    unsigned count;
    const struct mr_function_need *functions;
    unsigned function_count;
};

/*
 * Makes these the needs of this process. Borrows `needs` until the process ends or until the next call. NULL: none, and nobody
 * checks migrations.
 */
void mr_needs_install(const struct mr_needs *needs);

/* Whether a connection for that use has anything to check. */
bool mr_needs_any(enum mr_db_use use);

/*
 * Appends an expression whose value lists the tables, columns and functions that are missing or that this role may not use; NULL if
 * there are none. It reads only the catalogue and needs no rights.
 */
void mr_needs_sql(struct mr_buf *out, enum mr_db_use use);

/*
 * Whether the database has all migrations of this process's application (mr_app_steps_installed), and no other application's.
 * Asks once a process, because no migration is ever taken back. If the role may not read the record, assumes so. MR_OK: it has.
 * MR_CONFLICT: `problem` and `trouble` say why not. Any other status: the question failed, see mr_db_last_error(db).
 */
mr_status mr_needs_migrations(mr_db *db, int64_t deadline_ms, struct mr_buf *problem,
                              enum mr_db_trouble *trouble) MR_WARN_UNUSED;

/* Notes that all migrations, of the engine and the application, have been found or made applied. Any thread. */
void mr_needs_note_migrated(void);

/* Whether mr_needs_note_migrated was called since mr_needs_install. Any thread. */
bool mr_needs_are_migrated(void);

/* A connection for requests has found all that it needs. Any thread. */
void mr_needs_note_met(void);

/* Whether one has since mr_needs_install. Any thread. */
bool mr_needs_were_met(void);

enum { MR_NEEDS_ROOM = 256 };

/* Notes for operators what is missing: its names, copied and cut to MR_NEEDS_ROOM; "": nothing. Any thread. */
void mr_needs_note(const char *missing);

/* Copies what mr_needs_note noted last, terminated; "": nothing is missing. Any thread. */
void mr_needs_missing(char out[MR_NEEDS_ROOM]);

#endif
