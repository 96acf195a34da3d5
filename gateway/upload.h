/*
 * upload: a body that is larger than a message, sent on in parts while it arrives.
 *
 * Ownership: the exchange owns what is kept of it (parts.h), and frees that at its end. A function that "may answer" may end the
 * exchange (exchange_end): the caller must not touch it afterwards.
 */
#ifndef MR_GATEWAY_UPLOAD_H
#define MR_GATEWAY_UPLOAD_H

#include "gateway/exchange.h"

/* Begins the upload that the exchange's operation takes. May answer: that it cannot begin. */
void upload_begin(struct exchange *exchange, const struct mr_http_request *request);

/* Goes on with an upload whose API key had to be verified first. May answer. */
void upload_identified(struct exchange *exchange, const struct mr_http_request *request);

/* Content came; returns how much was taken. May answer. */
size_t upload_take(struct exchange *exchange, struct mr_slice content);

/* All of it was taken. May answer. */
void upload_end(struct exchange *exchange);

/* A message of the upload was refused: nothing is made of it. Never answers; the caller does. */
void upload_refused(struct exchange *exchange);

/* The part under way is stored. May answer. */
void upload_part_kept(struct exchange *exchange);

#endif
