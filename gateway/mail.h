/*
 * mail: replies from the actors, and deadlines of those that do not reply in time.
 */
#ifndef MR_GATEWAY_MAIL_H
#define MR_GATEWAY_MAIL_H

#include "gateway/internal.h"

/* Delivers the replies that have arrived; each ends its exchange, or resumes an upload. */
void mail_take(struct gateway *gateway);

/* Answers 504 to the requests whose deadline has passed, and ends their exchanges. */
void mail_expire(struct gateway *gateway);

#endif
