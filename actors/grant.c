#include "actors/grant.h"

#include <sodium.h>

#include "proto/json.h"
#include "proto/uuid.h"
#include "runtime/answer.h"
#include "runtime/token.h"

enum { REFRESH_BYTES = 32 };

_Static_assert(REFRESH_BYTES == crypto_auth_hmacsha256_BYTES, "an heir is as long as a random token");
_Static_assert(MR_TOKEN_HASH == 2 * crypto_hash_sha256_BYTES + 1, "a hash in hexadecimal fits");
_Static_assert(MR_TOKEN_TEXT == sodium_base64_ENCODED_LEN(REFRESH_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING),
               "a token fits");

void mr_grant_hash(char out[MR_TOKEN_HASH], struct mr_slice token)
{
    uint8_t hash[crypto_hash_sha256_BYTES];

    crypto_hash_sha256(hash, (const unsigned char *)token.data, token.len);
    sodium_bin2hex(out, MR_TOKEN_HASH, hash, sizeof hash);
}

static void make_id(struct mr_attempt *attempt, int64_t now_ms)
{
    uint8_t random[10];

    randombytes_buf(random, sizeof random);
    mr_uuid_next(attempt->token_id, now_ms, random);
}

static void set_token(struct mr_attempt *attempt, const uint8_t token[REFRESH_BYTES])
{
    sodium_bin2base64(attempt->refresh_token, sizeof attempt->refresh_token, token, REFRESH_BYTES,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    mr_grant_hash(attempt->refresh_hash, mr_slice_of(attempt->refresh_token));
}

void mr_grant_make(struct mr_attempt *attempt, int64_t now_ms)
{
    uint8_t token[REFRESH_BYTES];

    make_id(attempt, now_ms);
    randombytes_buf(token, sizeof token);
    set_token(attempt, token);
}

/* A key of its own, so that no heir is ever the signature of an access token. */
static void heir_key(uint8_t key[crypto_auth_hmacsha256_BYTES], const char *secret)
{
    static const unsigned char purpose[] = "millrace: heir of a refresh token";
    crypto_auth_hmacsha256_state state;

    crypto_auth_hmacsha256_init(&state, (const unsigned char *)secret, strlen(secret));
    crypto_auth_hmacsha256_update(&state, purpose, sizeof purpose - 1);
    crypto_auth_hmacsha256_final(&state, key);
}

/*
 * The id is stored and nowhere else, and its random bits are new each time: the secret and an old token do not lead to
 * the live one without the database, nor the database without both.
 */
static void derive(struct mr_attempt *attempt, struct mr_slice spent, const char *secret)
{
    uint8_t key[crypto_auth_hmacsha256_BYTES];
    uint8_t token[REFRESH_BYTES];
    crypto_auth_hmacsha256_state state;

    heir_key(key, secret);
    crypto_auth_hmacsha256_init(&state, key, sizeof key);
    crypto_auth_hmacsha256_update(&state, attempt->token_id, sizeof attempt->token_id);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)spent.data, spent.len);
    crypto_auth_hmacsha256_final(&state, token);
    set_token(attempt, token);
    sodium_memzero(key, sizeof key);
    sodium_memzero(&state, sizeof state);
}

void mr_grant_inherit(struct mr_attempt *attempt, struct mr_slice spent, const struct mr_config *config, int64_t now_ms)
{
    make_id(attempt, now_ms);
    derive(attempt, spent, config->jwt_secret);
}

bool mr_grant_recall(struct mr_attempt *attempt, struct mr_slice spent, const struct mr_config *config, const uint8_t id[16],
                     struct mr_slice hash)
{
    memcpy(attempt->token_id, id, sizeof attempt->token_id);
    derive(attempt, spent, config->jwt_secret);
    if (mr_slice_is(hash, attempt->refresh_hash))
        return true;
    if (config->jwt_secret_previous[0] == '\0')
        return false;
    derive(attempt, spent, config->jwt_secret_previous);
    return mr_slice_is(hash, attempt->refresh_hash);
}

void mr_grant_answer(struct mr_actor *self, const struct mr_attempt *attempt)
{
    struct mr_buf token = {0};
    struct mr_buf body = {0};
    int64_t life_s = self->config->jwt_expires_in / 1000;
    mr_status status = mr_token_issue(&token, &attempt->principal, mr_slice_of(attempt->username), self->config->jwt_secret,
                                      mr_wall_ms(self->clock) / 1000, life_s);

    if (status == MR_OK) {
        mr_buf_text(&body, "{\"accessToken\":");
        mr_json_string(&body, (struct mr_slice){token.data, token.len});
        mr_buf_text(&body, ",\"refreshToken\":");
        mr_json_string(&body, mr_slice_of(attempt->refresh_token));
        mr_buf_text(&body, ",\"tokenType\":\"Bearer\",\"expiresIn\":");
        mr_buf_int(&body, life_s);
        mr_buf_char(&body, '}');
        status = body.failed ? MR_NO_MEMORY : MR_OK;
    }
    if (status == MR_OK) {
        mr_answer_json(self, attempt->message, NULL, (struct mr_slice){body.data, body.len});
    } else {
        mr_answer_error(self, attempt->message, status, NULL, NULL, NULL);
    }
    mr_buf_fini(&token);
    mr_buf_fini(&body);
}
