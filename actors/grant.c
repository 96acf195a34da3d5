#include "actors/grant.h"

#include <sodium.h>

#include "proto/uuid.h"
#include "runtime/answer.h"
#include "runtime/token.h"

enum { REFRESH_BYTES = 32 };

_Static_assert(MR_TOKEN_HASH == 2 * crypto_hash_sha256_BYTES + 1, "a hash in hexadecimal fits");
_Static_assert(MR_TOKEN_TEXT == sodium_base64_ENCODED_LEN(REFRESH_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING),
               "a token fits");

void mr_grant_hash(char out[MR_TOKEN_HASH], struct mr_slice token)
{
    uint8_t hash[crypto_hash_sha256_BYTES];

    crypto_hash_sha256(hash, (const unsigned char *)token.data, token.len);
    sodium_bin2hex(out, MR_TOKEN_HASH, hash, sizeof hash);
}

void mr_grant_make(struct mr_attempt *attempt, int64_t now_ms)
{
    uint8_t token[REFRESH_BYTES];
    uint8_t random[10];

    randombytes_buf(random, sizeof random);
    mr_uuid_v7(attempt->token_id, now_ms, random);
    randombytes_buf(token, sizeof token);
    sodium_bin2base64(attempt->refresh_token, sizeof attempt->refresh_token, token, sizeof token,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    mr_grant_hash(attempt->refresh_hash, mr_slice_of(attempt->refresh_token));
}

void mr_grant_answer(struct mr_actor *self, const struct mr_attempt *attempt)
{
    struct mr_buf token = {0};
    struct mr_buf body = {0};
    int64_t life_s = self->config->jwt_expires_in / 1000;
    mr_status status = mr_token_issue(&token, &attempt->principal, mr_slice_of(attempt->username), self->config->jwt_secret,
                                      mr_wall_ms(self->clock) / 1000, life_s);

    if (status == MR_OK) {
        mr_wire_map(&body, 4);
        mr_wire_text(&body, MR_SLICE("accessToken"));
        mr_wire_text(&body, (struct mr_slice){token.data, token.len});
        mr_wire_text(&body, MR_SLICE("refreshToken"));
        mr_wire_text(&body, mr_slice_of(attempt->refresh_token));
        mr_wire_text(&body, MR_SLICE("tokenType"));
        mr_wire_text(&body, MR_SLICE("Bearer"));
        mr_wire_text(&body, MR_SLICE("expiresIn"));
        mr_wire_int(&body, life_s);
        mr_answer_body(self, attempt->message, &body);
    } else {
        mr_answer_error(self, attempt->message, status, NULL, NULL, NULL);
    }
    mr_buf_fini(&token);
    mr_buf_fini(&body);
}
