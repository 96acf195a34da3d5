/*
 * ledger: which migrations a database has, and whether a binary may work on what they left.
 *
 * Migrations 1 to 7 are recorded in schema_migration, which gets no more rows: releases that know no other record refuse
 * a database that has a newer one there. Later migrations are recorded in millrace.migration, each with the oldest binary
 * that its result still serves, so that a release can be rolled back without undoing its migrations.
 *
 * millrace.schema_migration is a view of schema_migration. A role of the name "millrace" looks into that schema first
 * (search_path begins with "$user"), and a release that knows no ledger would make an empty record there, and a second,
 * empty set of tables.
 *
 * A database that began with the baseline (sql/baseline.sql) has no schema_migration: millrace.migration has a row for each migration
 * that the baseline stands for, as if they had run, and what a binary asks of a record it asks of this one as well.
 */
#ifndef MR_RUNTIME_LEDGER_H
#define MR_RUNTIME_LEDGER_H

#include "runtime/db.h"

/* Room for the SHA-256 of a migration's text, in hexadecimal and terminated. */
enum { MR_CHECKSUM_ROOM = 65 };

/* Writes the checksum of a migration's text, by which both ledgers recognize an edited migration. Terminated. */
void mr_ledger_checksum(char out[MR_CHECKSUM_ROOM], const char *text);

/* The first migration that is recorded in millrace.migration. */
enum { MR_LEDGER_FIRST = 8 };

/*
 * Statements for a connection that migrates: which records exist, and to make the older one. Every connection searches the
 * schema that the record is in (db_session.c), never the one that the ledger alone is in.
 */
extern const char mr_ledger_exists_sql[];
extern const char mr_ledger_make_sql[];

/* The SQL that lists the applied migrations, given the answer to mr_ledger_exists_sql. Static. NULL: nothing is recorded. */
const char *mr_ledger_list_sql(const mr_rows *exists);

/* A migration that a database has; the slices are borrowed from the rows. */
struct mr_applied {
    int version;
    int runs_with; /* the least number of migrations that a binary has to know to run on what this one left */
    bool in_ledger;
    struct mr_slice name;
    struct mr_slice checksum;
    struct mr_slice when;
};

/* Whether the database began with the baseline, given the rows of mr_ledger_list_sql. */
bool mr_ledger_is_of_baseline(const mr_rows *applied);

/* The name under which the migrations are recorded that a baseline stands for. */
extern const char mr_ledger_baseline_name[];

/* Reads one row of mr_ledger_list_sql. Its texts borrow the rows. */
struct mr_applied mr_ledger_row(const mr_rows *applied, unsigned row);

/*
 * Whether a binary that knows the migrations `known` (ended by a NULL name) may work on a database with those in `applied`:
 * migrations that both know have the same text, and those that only the database knows allow this binary. MR_CONFLICT: `problem`
 * says why not.
 */
mr_status mr_ledger_check(const mr_rows *applied, const struct mr_migration *known, struct mr_buf *problem) MR_WARN_UNUSED;

/* Appends the statements that make the baseline and record the migrations it stands for, in one transaction. */
void mr_ledger_baseline_sql(struct mr_buf *out, const struct mr_baseline *baseline, const struct mr_migration *migrations);

/* Appends the statements that apply a migration and record it, in one transaction. */
void mr_ledger_apply_sql(struct mr_buf *out, const struct mr_migration *migration);

#endif
