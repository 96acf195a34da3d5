/*
 * form: in which of its forms an operation's statement runs, and the operation's traits that follow.
 */
#ifndef MR_APPLICATION_FORM_H
#define MR_APPLICATION_FORM_H

#include "application/choice.h"
#include "application/customsql.h"

/*
 * Makes the statements of an operation that was added, `op`, with the traits `traits`: for a set-wise one the statement for a
 * batch, for any other the statement for one message and, if it is a query that may answer a batch, a second one as a choice.
 * Replaces a statement that the operation already has.
 */
void mr_make_form(const struct mr_custom *custom, struct mr_op_info *op, struct mr_traits *traits);

#endif
