/*
 * docs: the OpenAPI document, and the page that shows it.
 *
 * Both are made once, when the gateway starts, and kept compressed; who does not take gzip gets them decompressed. With
 * API_DOCS=false there are none, and their paths lead nowhere.
 */
#ifndef MR_GATEWAY_DOCS_H
#define MR_GATEWAY_DOCS_H

#include "gateway/exchange.h"

/* Begins to make the document, by a thread of its own. MR_NO_MEMORY: docs_fini frees what was made. */
mr_status docs_setup(struct gateway *gateway) MR_WARN_UNUSED;

/* Frees what docs_setup made. A gateway that was zeroed, or set up in part, is fine. */
void docs_fini(struct gateway *gateway);

/* Answers an op whose traits say `kept`, and ends the exchange. */
void docs_answer(struct exchange *exchange, const struct mr_http_request *request);

#endif
