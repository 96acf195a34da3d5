/*
 * apikey: the form of API keys, and what their scopes allow.
 *
 * A key is "mk_" and 256 random bits in base64url (RFC 4648, 5), 46 characters. A scope is words with colons between them,
 * "jobs:enqueue". An operation names the scopes that let a key call it (`scopes` of its traits). A scope can be narrowed by one
 * more word, "jobs:enqueue:receipts", where the operation says to what (`narrow`, or a field from MR_TOKEN_ONLY).
 *
 * Thread: any.
 */
#ifndef MR_PROTO_APIKEY_H
#define MR_PROTO_APIKEY_H

#include "proto/message.h"

#define MR_KEY_PREFIX "mk_"

enum { MR_KEY_BYTES = 32, MR_KEY_TEXT = 46, MR_KEY_HASH = 32, MR_SCOPE_MAX = 128, MR_SCOPES_MAX = 32 };

/* Whether a credential is meant to be an API key; an access token never is. */
bool mr_key_is_meant(struct mr_slice credential);

/* Whether a credential has the form of an API key. It may be unknown all the same. */
bool mr_key_is_formed(struct mr_slice credential);

/* Takes the next of "these|words"; false at their end. */
bool mr_scope_next(const char **scopes, struct mr_slice *out);

/* Whether a key may hold this op's scope for one value only, as in "jobs:enqueue:send_receipt". */
bool mr_scope_can_narrow(const struct mr_traits *traits);

/*
 * Whether a key with the scopes `granted` (separated by spaces) may call an op. `value` is the value of the op's field `narrow`,
 * or empty. If the op's statement has to apply the narrowing, `only`, which is empty before, gets the values that the key is
 * narrowed to, as the literal of a text[].
 */
bool mr_scope_grants(const struct mr_traits *traits, struct mr_slice granted, struct mr_slice value, struct mr_buf *only);

/*
 * Appends every scope that an op of this process uses, as the literal of a text[]. A scope that can be narrowed appears a second
 * time, followed by ":*".
 */
void mr_scopes_known(struct mr_buf *out);

#endif
