/*
 * migrate: brings the schema of a database up to what this binary needs.
 *
 * Each migration is one transaction and is recorded with the SHA-256 of its text (runtime/ledger.h says where). An
 * advisory lock lets one process at a time migrate; the others wait and find the work done.
 *
 * Thread: any; opens a connection of its own and closes it.
 */
#ifndef MR_RUNTIME_MIGRATE_H
#define MR_RUNTIME_MIGRATE_H

#include "runtime/db.h"

/*
 * Applies the missing migrations. Waits `patience_ms` for a database that does not answer yet. On failure `problem` says what
 * happened in one line: the database cannot be reached, is newer than the binary and does not allow it, recorded a migration
 * with another text, or refused a statement. A failed migration has no effect.
 */
mr_status mr_migrate_up(const struct mr_config *config, const struct mr_clock *clock, int64_t patience_ms, unsigned *applied,
                        struct mr_buf *problem) MR_WARN_UNUSED;

/*
 * As mr_migrate_up, on a connection made by mr_migrate_db, connected or not; NULL: it makes one. If nothing had to be done, `db`
 * stays the caller's and is connected; otherwise it is destroyed and set to NULL.
 */
mr_status mr_migrate_up_on(mr_db **db, const struct mr_config *config, const struct mr_clock *clock, int64_t patience_ms,
                           unsigned *applied, struct mr_buf *problem) MR_WARN_UNUSED;

/* Makes such a connection without connecting. The caller destroys it. `config` and `clock` are borrowed. */
mr_status mr_migrate_db(mr_db **out, const struct mr_config *config, const struct mr_clock *clock) MR_WARN_UNUSED;

/* As mr_migrate_up, with other migrations than the binary's, ended by a NULL name. For tests. */
mr_status mr_migrate_up_with(const struct mr_config *config, const struct mr_clock *clock, int64_t patience_ms,
                             const struct mr_migration *migrations, unsigned *applied, struct mr_buf *problem) MR_WARN_UNUSED;

/*
 * Appends a line for each migration that the database has or the binary knows: version, name, and when it was applied or
 * "pending". Changes nothing.
 */
mr_status mr_migrate_status(const struct mr_config *config, const struct mr_clock *clock, struct mr_buf *out,
                            struct mr_buf *problem) MR_WARN_UNUSED;

#endif
