#include "gateway/rate_limit.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static const int64_t ns_per_ms = 1000000;
static const int64_t ns_per_s = 1000000000;

/* A bucket as one number, the moment it is full again: past or never set, it is full now. */
struct place {
    uint64_t caller; /* hash; two callers with the same one share a bucket, which nobody can bring about */
    int64_t full_at_ns;
};

struct mr_rate_limit {
    const char *policy;
    unsigned per_minute;
    int64_t token_ns;  /* time in which a token comes back */
    int64_t bucket_ns; /* and in which all do */
    unsigned char key[crypto_shorthash_KEYBYTES];
    struct place sets[MR_RATE_SETS][MR_RATE_WAYS];
};

struct mr_rate_limit *mr_rate_limit_new(const char *policy, unsigned per_minute)
{
    struct mr_rate_limit *self = calloc(1, sizeof *self);

    if (self == NULL)
        return NULL;
    self->policy = policy;
    self->per_minute = per_minute;
    self->token_ns = MR_RATE_WINDOW_S * ns_per_s / per_minute;
    self->bucket_ns = self->token_ns * per_minute;
    crypto_shorthash_keygen(self->key);
    return self;
}

void mr_rate_limit_destroy(struct mr_rate_limit **self)
{
    free(*self);
    *self = NULL;
}

static uint64_t hash_of(const struct mr_rate_limit *self, enum mr_rate_caller caller, const uint8_t id[MR_RATE_ID])
{
    unsigned char text[1 + MR_RATE_ID] = {(unsigned char)caller};
    uint64_t hash;

    memcpy(text + 1, id, MR_RATE_ID);
    crypto_shorthash((unsigned char *)&hash, text, sizeof text, self->key);
    return hash;
}

/* The caller's place; else the fullest bucket of the set becomes theirs, as it stands. */
static struct place *place_of(struct mr_rate_limit *self, uint64_t hash)
{
    struct place *set = self->sets[hash % MR_RATE_SETS];
    struct place *fullest = &set[0];

    for (int i = 0; i < MR_RATE_WAYS; i++) {
        if (set[i].caller == hash)
            return &set[i];
        if (set[i].full_at_ns < fullest->full_at_ns)
            fullest = &set[i];
    }
    fullest->caller = hash;
    return fullest;
}

/* Until the next token is there; 0 or less: it is. */
static int64_t wait_of(const struct mr_rate_limit *self, const struct place *place, int64_t now_ns)
{
    int64_t missing_ns = place->full_at_ns > now_ns ? place->full_at_ns - now_ns : 0;

    return missing_ns + self->token_ns - self->bucket_ns;
}

bool mr_rate_limit_has(struct mr_rate_limit *self, enum mr_rate_caller caller, const uint8_t id[MR_RATE_ID], int64_t now_ms)
{
    return wait_of(self, place_of(self, hash_of(self, caller, id)), now_ms * ns_per_ms) <= 0;
}

bool mr_rate_limit_take(struct mr_rate_limit *self, enum mr_rate_caller caller, const uint8_t id[MR_RATE_ID], int64_t now_ms,
                        struct mr_quota *quota)
{
    struct place *place = place_of(self, hash_of(self, caller, id));
    int64_t now_ns = now_ms * ns_per_ms;
    int64_t missing_ns = place->full_at_ns > now_ns ? place->full_at_ns - now_ns : 0;
    int64_t wait_ns = wait_of(self, place, now_ns);
    bool good = wait_ns <= 0;

    if (good) {
        missing_ns += self->token_ns;
        place->full_at_ns = now_ns + missing_ns;
    }
    *quota = (struct mr_quota){
        .policy = self->policy,
        .limit = self->per_minute,
        .remaining = (unsigned)((self->bucket_ns - missing_ns) / self->token_ns),
        .reset_s = (unsigned)(((good ? missing_ns : wait_ns) + ns_per_s - 1) / ns_per_s),
    };
    return good;
}
