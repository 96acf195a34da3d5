#include "actors/password.h"

#include <sodium.h>
#include <stdlib.h>

enum { PASSES = 2, MEMORY_BYTES = 19456 * 1024 };

_Static_assert(MR_PASSWORD_HASH >= crypto_pwhash_STRBYTES, "a hash fits its buffer");

/* The hash of a password that nobody has; verified against when there is no user, so that both take the same time. */
static const char nobody[] =
    "$argon2id$v=19$m=19456,t=2,p=1$1yaNsTe/zPPZmOEqgrPEuA$Y8i7lHX1t6d+cFxxOp9hiBX7OTFxkUm1PKv6UYcrsaQ";

mr_status mr_password_hash(char out[MR_PASSWORD_HASH], struct mr_slice password)
{
    return crypto_pwhash_str_alg(out, password.data, password.len, PASSES, MEMORY_BYTES, crypto_pwhash_ALG_ARGON2ID13) == 0
               ? MR_OK
               : MR_NO_MEMORY;
}

bool mr_password_matches(struct mr_slice hash, struct mr_slice password)
{
    bool known = hash.len > 0 && hash.len < MR_PASSWORD_HASH;
    char text[MR_PASSWORD_HASH] = {0};
    bool same;

    memcpy(text, known ? hash.data : nobody, known ? hash.len : sizeof nobody);
    same = crypto_pwhash_str_verify(text, password.data, password.len) == 0;
    return known && same;
}

/* The number behind `name` in a PHC string, 0 when there is none. */
static unsigned long parameter(const char *text, const char *name)
{
    const char *at = strstr(text, name);

    return at != NULL ? strtoul(at + strlen(name), NULL, 10) : 0;
}

/* crypto_pwhash_str_needs_rehash() would also ask for less than the hash was made with. */
bool mr_password_is_outdated(struct mr_slice hash)
{
    char text[MR_PASSWORD_HASH] = {0};

    if (hash.len >= sizeof text)
        return true;
    memcpy(text, hash.data, hash.len);
    return strncmp(text, "$argon2id$v=19$", 15) != 0 || parameter(text, "$m=") * 1024 < MEMORY_BYTES ||
           parameter(text, ",t=") < PASSES;
}
