/*
 * claims: runs that an answer hands out, and that nobody is there for.
 *
 * A claim's answer carries the claims of its runs (struct mr_reply_head). Where the client has gone before it could be sent, has hung up
 * before it was taken, or was told 504 long ago, they are given back at once, and the attempt does not count. What cannot be given back,
 * because the process dies or the database is away, comes back when its lease is over.
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

/* Asks that what the answer to the exchange hands out be given back if it does not arrive. Before the answer. */
void claims_need_receipt(const struct exchange *exchange, struct mr_slice claims);

#endif
