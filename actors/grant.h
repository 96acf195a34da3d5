/*
 * grant: the two tokens that a sign-in and a refresh hand out.
 *
 * Only the hash of a refresh token is stored. A token is handed out when its row is committed, not before.
 */
#ifndef MR_ACTORS_GRANT_H
#define MR_ACTORS_GRANT_H

#include "actors/step.h"

/* Makes the first refresh token of a session: its id, itself and its hash. */
void mr_grant_make(struct mr_attempt *attempt, int64_t now_ms);

/*
 * Makes the heir of `spent`, a refresh token's text: its id, itself and its hash. The heir, its successor, is a MAC (RFC 2104)
 * over the id and the spent token, so a client that sends the spent token again can get it again, although only its hash is
 * stored.
 */
void mr_grant_inherit(struct mr_attempt *attempt, struct mr_slice spent, const struct mr_config *config, int64_t now_ms);

/*
 * Makes the heir `id` of `spent` again, whose stored hash is `hash` (hexadecimal), with JWT_SECRET or the one before it. False:
 * another secret made it, or a release whose tokens are random; the attempt must not be used any more.
 */
bool mr_grant_recall(struct mr_attempt *attempt, struct mr_slice spent, const struct mr_config *config, const uint8_t id[16],
                     struct mr_slice hash) MR_WARN_UNUSED;

/* SHA-256 of a refresh token's text, in hexadecimal. */
void mr_grant_hash(char out[MR_TOKEN_HASH], struct mr_slice token);

/* Answers with the refresh token and an access token for the attempt's principal. */
void mr_grant_answer(struct mr_actor *self, const struct mr_attempt *attempt);

#endif
