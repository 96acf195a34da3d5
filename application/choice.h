/*
 * choice: an operation whose statement may answer a whole batch, if nothing that it calls is volatile.
 *
 * Until a database has said so (mr_built_settle) it runs message by message, which is always right.
 */
#ifndef MR_APPLICATION_CHOICE_H
#define MR_APPLICATION_CHOICE_H

#include "application/statement.h"
#include "proto/message.h"

struct mr_choice {
    const char *name; /* of the operation and its statement */
    struct mr_sql sql;
    const char *set_wise;         /* the statement for a batch */
    const char *why;              /* what is in the way of it; NULL: nothing, or nobody has asked */
    bool is_set_wise;             /* it has been taken */
    struct mr_traits *traits;     /* those that are served, message by message until then, */
    struct mr_traits for_batches; /* and what becomes of them */
};

#endif
