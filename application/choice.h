/*
 * choice: an operation whose statement may answer a whole batch, if nothing that it calls is volatile.
 *
 * Two statements and two operations are made of it: the one that has the route runs message by message, which is always right; its
 * successor (proto/message.h) answers batches, and takes its place when a database has said that it may (mr_built_settle).
 */
#ifndef MR_APPLICATION_CHOICE_H
#define MR_APPLICATION_CHOICE_H

#include "application/statement.h"
#include "proto/message.h"

/* What the name of the statement for one message ends with; the one for a batch has the operation's name. */
#define MR_EACH "/each"

struct mr_choice {
    const char *name; /* of the operation and its statement for a batch */
    const char *each; /* of its statement for one message */
    struct mr_sql sql;
    struct mr_successor *successor;
    const char *why; /* what is in the way of it; NULL: nothing, or nobody has asked */
};

#endif
