/*
 * mail: what comes back from the actors, and what does not come back in time.
 */
#ifndef MR_GATEWAY_MAIL_H
#define MR_GATEWAY_MAIL_H

#include "gateway/internal.h"

/* Delivers the replies that have come; each ends its exchange, or lets an upload go on. */
void mail_take(struct gateway *gateway);

/* Answers 504 to the requests whose deadline has passed, and ends their exchanges. */
void mail_expire(struct gateway *gateway);

#endif
