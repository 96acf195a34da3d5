#include "gateway/authenticate.h"

#include <sodium.h>
#include <stdlib.h>
#include <strings.h>

#include "runtime/token.h"

enum { SLOTS = 4096, SLOT_BYTES = 32 };

/* A slot holds one token; a newer one that falls into it takes its place, so that memory stays bounded. */
struct entry {
    char *token;
    size_t len;
    struct mr_principal principal;
    int64_t expires_s;
};

struct mr_token_cache {
    unsigned char key[crypto_shorthash_KEYBYTES]; /* nobody outside can aim at a slot */
    struct entry entries[SLOTS];
};

struct mr_token_cache *mr_token_cache_new(void)
{
    struct mr_token_cache *self = calloc(1, sizeof *self);

    if (self != NULL)
        crypto_shorthash_keygen(self->key);
    return self;
}

void mr_token_cache_destroy(struct mr_token_cache **self)
{
    if (*self == NULL)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        free((*self)->entries[i].token);
    free(*self);
    *self = NULL;
}

/* By its end: there the signature is, which differs where anything does. What is remembered was verified, so nobody chooses it. */
static struct entry *slot_of(struct mr_token_cache *self, struct mr_slice token)
{
    size_t len = token.len < SLOT_BYTES ? token.len : SLOT_BYTES;
    uint64_t hash;

    crypto_shorthash((unsigned char *)&hash, (const unsigned char *)token.data + token.len - len, len, self->key);
    return &self->entries[hash % SLOTS];
}

/* In a time that tells nothing of where they differ. Blocks, because a byte at a time is a tenth of what a request costs here. */
static bool is_same(const char *a, const char *b, size_t len)
{
    unsigned char rest[2][crypto_verify_64_BYTES] = {{0}};
    int differ = 0;

    for (; len > crypto_verify_64_BYTES; len -= crypto_verify_64_BYTES) {
        differ |= crypto_verify_64((const unsigned char *)a, (const unsigned char *)b);
        a += crypto_verify_64_BYTES;
        b += crypto_verify_64_BYTES;
    }
    memcpy(rest[0], a, len);
    memcpy(rest[1], b, len);
    return (differ | crypto_verify_64(rest[0], rest[1])) == 0;
}

static bool holds(const struct entry *entry, struct mr_slice token, int64_t now_s)
{
    return entry->token != NULL && entry->len == token.len && entry->expires_s > now_s &&
           is_same(entry->token, token.data, token.len);
}

static void remember(struct entry *entry, struct mr_slice token, const struct mr_principal *principal, int64_t expires_s)
{
    char *copy = malloc(token.len);

    if (copy == NULL)
        return;
    memcpy(copy, token.data, token.len);
    free(entry->token);
    *entry = (struct entry){copy, token.len, *principal, expires_s};
}

bool mr_bearer(const struct mr_http_request *request, struct mr_slice *out)
{
    static const char scheme[] = "bearer ";
    struct mr_slice value;

    if (!mr_http_header(request, "authorization", &value) || value.len < sizeof scheme ||
        strncasecmp(value.data, scheme, sizeof scheme - 1) != 0)
        return false;
    *out = (struct mr_slice){value.data + sizeof scheme - 1, value.len - (sizeof scheme - 1)};
    while (out->len > 0 && *out->data == ' ')
        *out = (struct mr_slice){out->data + 1, out->len - 1};
    while (out->len > 0 && (out->data[out->len - 1] == ' ' || out->data[out->len - 1] == '\t'))
        out->len--;
    return out->len > 0;
}

/* The secret in use, else the one before it. An empty secret is none: anybody could sign with it. */
static mr_status verify(struct mr_principal *out, int64_t *expires_s, struct mr_slice token, const char *secret,
                        const char *previous, int64_t now_s)
{
    mr_status status = mr_token_verify(out, expires_s, token, secret, now_s);

    if (status == MR_INVALID_TOKEN && *previous != '\0')
        status = mr_token_verify(out, expires_s, token, previous, now_s);
    return status;
}

mr_status mr_authenticate(struct mr_principal *out, struct mr_token_cache *cache, const struct mr_http_request *request,
                          const char *secret, const char *previous, int64_t now_s)
{
    struct mr_slice token;
    struct entry *entry;
    int64_t expires_s;
    mr_status status;

    if (!mr_bearer(request, &token))
        return MR_UNAUTHORIZED;
    entry = slot_of(cache, token);
    if (holds(entry, token, now_s)) {
        *out = entry->principal;
        return MR_OK;
    }
    status = verify(out, &expires_s, token, secret, previous, now_s);
    if (status == MR_OK)
        remember(entry, token, out, expires_s);
    return status;
}
