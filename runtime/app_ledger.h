/*
 * app_ledger: which migrations of its application a database has.
 *
 * An application numbers its migrations by itself, from 1. They are recorded in millrace.app_migration, beside the engine's, with
 * the SHA-256 of their text. A database whose migrations this folder does not know is served, so that processes with an older folder
 * run beside newer ones and a deployment can be rolled back; one that is marked as breaking forbids that.
 */
#ifndef MR_RUNTIME_APP_LEDGER_H
#define MR_RUNTIME_APP_LEDGER_H

#include "runtime/db.h"

/* Migration `i` of the array is number i + 1. */
struct mr_app_step {
    const char *name; /* "0001_shop" */
    const char *text;
    bool breaking; /* a process that does not know it may not run on what it leaves */
};

struct mr_app_steps {
    const struct mr_app_step *items;
    unsigned count;
    /*
     * Databases from before applications had migrations of their own are its: what its first migration makes, those of the engine
     * have made there. It counts as applied. A new database is made by them, too, so that the release before runs on it.
     */
    bool inherits;
};

/*
 * Makes these the migrations of this process's application. Borrows `steps` until the process ends or until the next call. NULL:
 * there is no application, and the engine's migrations run from the first on. Call it before other threads exist.
 */
void mr_app_steps_install(const struct mr_app_steps *steps);

/* The steps installed last; borrowed. NULL: there are none. Any thread. */
const struct mr_app_steps *mr_app_steps_installed(void);

/* For a connection that migrates: whether there is a record, to make one, and what is in it. */
extern const char mr_app_ledger_exists_sql[];
extern const char mr_app_ledger_make_sql[];
extern const char mr_app_ledger_list_sql[];

/* The name of a row of the list; borrowed from the rows. */
struct mr_slice mr_app_ledger_name(const mr_rows *applied, unsigned row);

/* When a row of the list was applied, as PostgreSQL writes it; borrowed from the rows. */
struct mr_slice mr_app_ledger_when(const mr_rows *applied, unsigned row);

/*
 * Whether a process that knows the migrations `known` may work on a database with those in `applied`: migrations that both know
 * have the same text, and none that only the database knows is breaking. MR_CONFLICT: `problem` says why not.
 */
mr_status mr_app_ledger_check(const mr_rows *applied, const struct mr_app_steps *known, struct mr_buf *problem) MR_WARN_UNUSED;

/* Appends the statement that records migration 1 without running it, because the engine's migrations made its tables. */
void mr_app_ledger_adopt_sql(struct mr_buf *out, const struct mr_app_step *step);

/* Appends the statements that apply number `number` and record it, in one transaction. */
void mr_app_ledger_apply_sql(struct mr_buf *out, unsigned number, const struct mr_app_step *step);

#endif
