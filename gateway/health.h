/*
 * health: what balancers, orchestrators and people ask. The functions of the first kind answer, and end the exchange.
 */
#ifndef MR_GATEWAY_HEALTH_H
#define MR_GATEWAY_HEALTH_H

#include "gateway/exchange.h"

void health_answer(struct exchange *exchange);
void health_live(struct exchange *exchange);
void health_ready(struct exchange *exchange);

/* A ping that `health_answer` sent is answered, or its time is over. */
void health_pinged(struct exchange *exchange, bool answered);

/* An actor answered from the database at `mailbox`. */
void health_saw(struct gateway *gateway, unsigned mailbox);

#endif
