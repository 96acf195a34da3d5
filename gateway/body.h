/*
 * body: a JSON body as the values of a message's fields.
 *
 * Thread: the gateway's.
 */
#ifndef MR_GATEWAY_BODY_H
#define MR_GATEWAY_BODY_H

#include "gateway/request.h"

/*
 * Reads field `i`, from MR_BODY, out of `self->json`. Before the call, the value holds the member's text, for fields that are
 * read from the text. Adds problems to the request's errors.
 */
void mr_body_field(struct mr_request *self, unsigned i, const struct mr_field *field);

/*
 * Reads a body that is an array, as the value of the field from MR_BODY_ITEMS: each element is checked against the fields from
 * MR_BODY, and its problems are reported under names like "[3].args".
 */
void mr_body_items(struct mr_request *self, const struct mr_field *fields, struct mr_slice text);

/*
 * Refuses members of the body that are none of the fields, for an op with `body_exact`; without a body there are none. A name that is
 * longer than any field's is not repeated.
 */
void mr_body_unknown(struct mr_request *self, const struct mr_field *fields);

/* Checks the schedule of a body that names its time zone. Call it when all fields are read; a zone stands behind its expression. */
void mr_body_schedule(struct mr_request *self, const struct mr_field *fields);

/* Adds an error of a member or a field. */
void mr_body_error(struct mr_request *self, const char *name, const char *code, const char *message);

#endif
