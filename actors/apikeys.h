/*
 * apikeys: the auth actor's part of API keys (proto/apikey.h): it makes keys, and looks up whose a hash is.
 *
 * A key has 256 random bits, so storing its plain SHA-256 is enough: nobody can guess it, and a look-up by the hash is one step
 * in an index (docs/decisions/0056-api-keys.md).
 *
 * Thread: the actor's.
 */
#ifndef MR_ACTORS_APIKEYS_H
#define MR_ACTORS_APIKEYS_H

#include "runtime/actor.h"

/* The handler of MR_OP_api_key_create. Answers every message. */
void mr_on_api_key_create(struct mr_actor *self, struct mr_message *const *messages, unsigned count);

/*
 * The handler of MR_OP_key_verify. Answers with the key's id and {scopes: separated by spaces, life: milliseconds until it
 * expires}, or with MR_INVALID_KEY.
 */
void mr_on_key_verify(struct mr_actor *self, struct mr_message *const *messages, unsigned count);

#endif
