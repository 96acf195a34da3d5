/*
 * link: where the rest of a list is (RFC 8288).
 *
 * The target is made of the fields that were read, encoded anew by RFC 3986: nothing that the client wrote goes out as it
 * came in, so nobody can end it early and write a link of their own behind it.
 */
#ifndef MR_GATEWAY_LINK_H
#define MR_GATEWAY_LINK_H

#include "gateway/request.h"

/* Appends "/v1/tasks?limit=5&sort=dueAt&cursor=dueAt."; the cursor's digits are to follow. */
void mr_link_begin(const struct mr_request *self, enum mr_op op, struct mr_buf *out);

#endif
