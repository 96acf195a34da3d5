/*
 * build: an application as the tables that everything behind the loader works with.
 *
 * Its resources and operations become rows beside the map's (proto/message.h) and statements beside the embedded ones
 * (sql/sql.h). Nothing that reads those tables knows where a row came from.
 *
 * Thread: building and installing belong to the start, before other threads exist; what was installed is only read.
 */
#ifndef MR_APPLICATION_BUILD_H
#define MR_APPLICATION_BUILD_H

#include "application/choice.h"
#include "application/load.h"
#include "runtime/db.h"
#include "runtime/needs.h"
#include "sql/sql.h"

/* What an application becomes. */
struct mr_built;

/*
 * Builds the tables. MR_OK: `out` is the caller's, to destroy, and borrows `application`. MR_INVALID: `problems` has what cannot
 * be served. MR_NO_MEMORY.
 */
mr_status mr_application_build(struct mr_built **out, const struct mr_application *application,
                               struct mr_problems *problems) MR_WARN_UNUSED;

/*
 * Asks a migrated database which statements may answer a batch at once (application/volatility.h); until then each message runs
 * separately. Operations may be in use meanwhile; only one thread at a time may call this. MR_OK: the findings are in force, and
 * `*missing` is NULL or says what the database lacks, "there is no relation x", so that the caller has to ask again; borrowed
 * until then. Not MR_OK: nothing has changed, and unless it is MR_NO_MEMORY, mr_db_last_error(db) has the details.
 */
mr_status mr_built_settle(struct mr_built *self, mr_db *db, int64_t deadline_ms, const char **missing) MR_WARN_UNUSED;

/* Whether mr_built_settle has anything to ask. */
bool mr_built_has_choices(const struct mr_built *self);

/* The choice that an operation's statement has, NULL when it has none. Borrowed. */
const struct mr_choice *mr_built_choice(const struct mr_built *self, const char *name);

/*
 * Makes these the operations and jobs of this process, until it ends or until the next call; they must not be destroyed before.
 * NULL: none.
 */
void mr_built_install(const struct mr_built *self);

/* The operations that were built; borrowed. */
const struct mr_op_table *mr_built_ops(const struct mr_built *self);

/* The statements, sorted by name; borrowed. Those of lists have no text before mr_built_text makes it. */
const struct mr_statement *mr_built_statements(const struct mr_built *self, unsigned *count);

/* The text of the statement at that place, which the caller frees. NULL: out of memory. */
char *mr_built_text(const struct mr_built *self, unsigned place);

/*
 * Parses the statements of jobs for what they need of the database, in a process that works on jobs. That takes longer than
 * everything else done with a folder. Call it once, before mr_built_needs. MR_NO_MEMORY: the result must not be used.
 */
mr_status mr_built_read_jobs(struct mr_built *self) MR_WARN_UNUSED;

/* What the application needs of its database (runtime/needs.h); borrowed. A serving process installs it. */
const struct mr_needs *mr_built_needs(const struct mr_built *self);

/*
 * Frees it, and all that was borrowed from it, and sets the caller's pointer to NULL. Accepts NULL. Not while it is
 * installed.
 */
void mr_built_destroy(struct mr_built **self);

#endif
