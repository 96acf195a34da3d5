/*
 * admit: whether a caller may have one more request now.
 */
#ifndef MR_GATEWAY_ADMIT_H
#define MR_GATEWAY_ADMIT_H

#include "gateway/exchange.h"

/* Opens the buckets that the settings ask for. False: no memory; admit_fini frees what was opened. */
bool admit_setup(struct gateway *gateway);

/* Frees the buckets. A gateway that was zeroed, or set up in part, is fine. */
void admit_fini(struct gateway *gateway);

/* False when the caller has to wait; exchange.quota says how long. `caller` NULL: not signed in. */
bool admit(struct exchange *exchange, const struct mr_http_request *request, const struct mr_principal *caller);

/*
 * Identifies and authorizes the caller: MR_OK, or the status to answer with. Sets exchange->identity and, if that is MR_OK,
 * `caller`; for a public or optional operation it need not be.
 */
mr_status admit_caller(struct exchange *exchange, const struct mr_http_request *request,
                       struct mr_principal *caller) MR_WARN_UNUSED;

/*
 * Whether the client's address may have one more unknown API key looked up: unknown keys count like attempts at a password.
 * False: exchange.quota says how long it has to wait.
 */
bool admit_guess(struct exchange *exchange, const struct mr_http_request *request);

/* The key that was looked up is none. */
void admit_guessed(struct exchange *exchange, const struct mr_http_request *request);

#endif
