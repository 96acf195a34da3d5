/*
 * form: in which of its forms an operation's statement runs, and the operation's traits that follow.
 */
#ifndef MR_APPLICATION_FORM_H
#define MR_APPLICATION_FORM_H

#include "application/choice.h"
#include "application/customsql.h"

/*
 * Makes the statement of the operation in the place `at`, whose traits are `traits`: of a set-wise one the statement for a batch, of any
 * other that for one message. A query that may answer a batch is a choice (application/choice.h): it has both, and a second operation that
 * answers batches. A statement that the operation has already is replaced.
 */
void mr_make_form(const struct mr_custom *custom, unsigned at, struct mr_traits *traits);

#endif
