/*
 * constraints: the answer when an application's SQL refuses a message.
 *
 * An error is an answer when the application meant it as one: it was raised with an SQLSTATE of class MR, or it says that a
 * constraint was broken and the operation has the trait `constraints`. PostgreSQL names the constraint; its columns are asked for
 * once and kept; their names in JSON are in the table that whoever installs the application fills. Nothing of what the server says
 * in words about values or rows reaches the client, except the message that the application raised.
 */
#ifndef MR_RUNTIME_CONSTRAINTS_H
#define MR_RUNTIME_CONSTRAINTS_H

#include "runtime/actor.h"

/* What is said of a value that another row has, and of one that names no row. */
#define MR_TOLD_TAKEN   "is taken already"
#define MR_TOLD_UNKNOWN "must name something that exists"

/* That column's name in JSON. */
struct mr_column_names {
    const char *table;
    const char *column;
    const char *field;
};

/*
 * Installs the names under which clients know columns; `names` ends with a NULL table and is borrowed for good. NULL: none. A
 * column that is not listed gets its own name in camel case, if the message has a field of that name that comes from the client.
 * Call it before other threads exist.
 */
void mr_constraints_install(const struct mr_column_names *names);

/* The answer to a client. */
struct mr_refusal {
    mr_status status;
    char fields[256]; /* "one|or|more"; empty: the request as a whole */
    const char *code; /* for programs, of the fields */
    char text[256];   /* for people; empty: the usual for the status */
};

/*
 * Whether the error answers a message of that op (a broken constraint), and how. It may query the database, so nothing may be in
 * flight; if the query fails, the answer names no field.
 */
bool mr_constraints_explain(struct mr_actor *self, enum mr_op op, const struct mr_db_error *error, struct mr_refusal *out);

/*
 * As mr_constraints_explain, for a record of an upload that the op imports (struct mr_import), whether or not the op itself
 * answers broken constraints.
 */
bool mr_constraints_explain_record(struct mr_actor *self, enum mr_op op, const struct mr_db_error *error,
                                   struct mr_refusal *out);

/* Frees what an actor has looked up, and sets the caller's pointer to NULL. Accepts NULL. */
void mr_constraints_destroy(struct mr_constraints **self);

#endif
