/*
 * form: in which of its forms an operation's statement runs, and the operation's traits that follow.
 */
#ifndef MR_APPLICATION_FORM_H
#define MR_APPLICATION_FORM_H

#include "application/choice.h"
#include "application/customsql.h"

/*
 * Makes the statements of operation number `at`, with the traits `traits`: for a set-wise one the statement for a batch, for any
 * other the statement for one message. A query that may answer a batch is a choice (application/choice.h): it gets both, and a
 * second operation that answers batches. Replaces a statement that the operation already has.
 */
void mr_make_form(const struct mr_custom *custom, unsigned at, struct mr_traits *traits);

#endif
