/*
 * grant: the two tokens that a sign-in and a refresh hand out.
 *
 * Only the hash of a refresh token is stored. A token is handed out when its row is committed, not before.
 */
#ifndef MR_ACTORS_GRANT_H
#define MR_ACTORS_GRANT_H

#include "actors/step.h"

/* Makes a refresh token, its id and its hash. */
void mr_grant_make(struct mr_attempt *attempt, int64_t now_ms);

/* SHA-256 of a refresh token's text, in hexadecimal. */
void mr_grant_hash(char out[MR_TOKEN_HASH], struct mr_slice token);

/* Answers with the refresh token and an access token for the attempt's principal. */
void mr_grant_answer(struct mr_actor *self, const struct mr_attempt *attempt);

#endif
