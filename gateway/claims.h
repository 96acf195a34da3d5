/*
 * claims: gives back runs that an answer hands out and that nobody receives.
 *
 * A claim's answer carries the claims of its runs (struct mr_reply_head). If the client disconnected before it could be sent or
 * received, or was answered 504 earlier, they are given back at once, and the attempt does not count. If that is impossible
 * because the process dies or the database is away, the runs return when their lease ends.
 *
 * Thread: the gateway's.
 */
#ifndef MR_GATEWAY_CLAIMS_H
#define MR_GATEWAY_CLAIMS_H

#include "gateway/exchange.h"

/* The claims in a success; empty: it hands out nothing. */
struct mr_slice claims_of(const struct mr_envelope *reply);

/* Gives these back. Empty: nothing happens. */
void claims_give_back(struct gateway *gateway, struct mr_slice claims);

/* Asks that the runs in the exchange's answer be given back if it does not arrive. To be called before the answer. */
void claims_need_receipt(const struct exchange *exchange, struct mr_slice claims);

#endif
