/*
 * link: the Link header of a list (RFC 8288).
 *
 * The target contains the fields that were read, encoded anew by RFC 3986. Nothing is copied from the client as it came, so
 * nobody can end the target early and add a link of their own.
 */
#ifndef MR_GATEWAY_LINK_H
#define MR_GATEWAY_LINK_H

#include "gateway/request.h"

/* Appends "/v1/tasks?limit=5&sort=dueAt&cursor=dueAt."; the cursor's digits are to follow. */
void mr_link_begin(const struct mr_request *self, enum mr_op op, struct mr_buf *out);

#endif
