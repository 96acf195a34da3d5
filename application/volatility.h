/*
 * volatility: whether a query may answer a whole batch, or has to run once for each message.
 *
 * Inside of one statement PostgreSQL may call a function once for all messages. That is right for functions whose answer
 * depends on their arguments and the statement's snapshot alone, and wrong for volatile ones: two messages would get the same
 * ticket. The catalogue says which is which; a name without a schema is what the connection's search_path makes of it. In doubt a query counts as volatile: when a function, one of that name with other
 * arguments, an operator's or a cast's function is volatile, when the same is true of a view or a policy that it reads, and
 * when the catalogue does not know a name. An aggregate of parameters alone counts too: in the middle of the batch's statement
 * it would be an aggregate over the batch.
 *
 * A set of questions is asked in a few statements, however many queries there are.
 */
#ifndef MR_APPLICATION_VOLATILITY_H
#define MR_APPLICATION_VOLATILITY_H

#include "application/statement.h"
#include "runtime/db.h"

enum mr_verdict { MR_UNKNOWN, MR_STABLE, MR_AGGREGATE, MR_VOLATILE };

/* A table, or a view with what it calls and reads. */
struct mr_relation {
    enum mr_verdict verdict; /* MR_STABLE: as far as `uses` is */
    struct mr_sql uses;
};

/* A zeroed struct with an arena has no questions. */
struct mr_volatility {
    struct mr_arena *arena;
    struct mr_sql asked; /* every name of the queries, and of the views below them */
    enum mr_verdict *functions;
    enum mr_verdict *operators;
    struct mr_relation *relations;
    bool casts; /* a cast's function is volatile, somewhere in the database */
};

/* Adds what a query calls and reads to the questions. Borrows `sql`. */
void mr_volatility_add(struct mr_volatility *self, const struct mr_sql *sql);

/* Asks. Not MR_OK: nothing is known; mr_db_last_error(db) tells more unless it is MR_NO_MEMORY. */
mr_status mr_volatility_ask(struct mr_volatility *self, mr_db *db, int64_t deadline_ms) MR_WARN_UNUSED;

/* Why a query may not run once for a batch. */
struct mr_objection {
    const char *text; /* "random() is volatile"; of the arena, and "" when memory ran out */
    bool is_unknown;  /* the catalogue does not know a name: another answer may be had later */
};

/* Whether a query that was added may run once for a batch. False: `why` says what is in the way. */
bool mr_volatility_allows(const struct mr_volatility *self, const struct mr_sql *sql, struct mr_objection *why);

#endif
