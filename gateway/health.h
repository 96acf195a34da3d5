/*
 * health: answers to the health checks of balancers, orchestrators and people. Thread: the gateway's.
 */
#ifndef MR_GATEWAY_HEALTH_H
#define MR_GATEWAY_HEALTH_H

#include "gateway/exchange.h"

/* Answers with the state of the database: from the cache, or after a ping. Ends the exchange, now or in health_pinged. */
void health_answer(struct exchange *exchange);

/* Answers that the process runs. Ends the exchange. */
void health_live(struct exchange *exchange);

/* Answers whether every actor is connected and the process is not draining. Ends the exchange. */
void health_ready(struct exchange *exchange);

/* A ping that health_answer sent is answered, or has timed out: answers, and ends the exchange. */
void health_pinged(struct exchange *exchange, bool answered);

/* An actor answered from the database at `mailbox`. */
void health_saw(struct gateway *gateway, unsigned mailbox);

#endif
