/*
 * verify_plans: whether an index serves a query, as the server plans it for an empty table.
 *
 * Which operator class, collation, order of NULLs and predicate of a partial index serve a query is its knowledge, and not to be
 * written down a second time. With everything else forbidden the plan reads a table in full, sorts, or throws rows away only where
 * there is no such index. One thing a plan does not tell: an index on (a, b) is read from end to end for a condition on b. So the
 * columns that are compared have to be the index's first; which also says no to two indexes that are put together.
 */
#ifndef MR_APPLICATION_VERIFY_PLANS_H
#define MR_APPLICATION_VERIFY_PLANS_H

#include "application/verify_internal.h"

/* Something that a list can be asked for. */
struct wish {
    struct mr_place place;
    const char *what;
    const char *name;
    const char *index; /* that would do, as CREATE INDEX takes it */
};

/* A zeroed struct with `self` has none. */
struct wishes {
    struct verifying *self;
    struct mr_arena arena; /* until wishes_fini; for whoever adds, too */
    struct wish *items;
    unsigned count;
    struct mr_buf sql; /* asks for all of them */
};

/* Adds a question. Takes over `query`; `compared` are the columns that it compares, in which NULLs are skipped. */
void wishes_add(struct wishes *self, struct wish wish, struct mr_buf *query, const struct mr_sql_column *const *compared,
                unsigned count);

/* Asks all questions in one statement, and adds a problem for each that no index serves. */
mr_status wishes_ask(struct wishes *self) MR_WARN_UNUSED;

/* Frees the queries of those that were added. */
void wishes_fini(struct wishes *self);

#endif
