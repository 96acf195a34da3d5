/*
 * keys: the cache of verified API keys.
 *
 * The gateway asks the auth actor once and caches the answer for KEY_LIFE_MS. So a deleted key stops working everywhere within 5
 * seconds, and while the database is down a key works that long. While the gateway asks, it holds the request: a copy of its head
 * and body, which counts as bytes of the mailbox. Only the key's hash leaves the gateway, and only the hash is cached.
 *
 * Thread: the gateway's.
 */
#ifndef MR_GATEWAY_KEYS_H
#define MR_GATEWAY_KEYS_H

#include "http/head.h"
#include "proto/apikey.h"
#include "proto/envelope.h"

struct exchange;
struct mr_key_cache;

/* A key that was verified. Borrowed from the cache, until another is kept. */
struct mr_key {
    uint8_t hash[MR_KEY_HASH];
    uint8_t id[16];
    char *scopes; /* separated by spaces; NULL: the slot is free */
    int64_t until_ms;
    int64_t asked_ms; /* when a request that waits asked for it anew */
};

/* A request that waits until its key is verified, in one block. */
struct held {
    size_t size; /* of the block, in bytes */
    struct mr_slice body;
    struct mr_http_request request;
    char bytes[];
};

/* Bounded: 4096 slots, selected by the hash; a new key replaces the one in its slot. */
struct mr_key_cache *mr_key_cache_new(void);

/* Frees it and sets the caller's pointer to NULL. Accepts NULL. */
void mr_key_cache_destroy(struct mr_key_cache **self);

/* The cached key of that hash at `now_ms` (monotonic); NULL: the auth actor has to be asked. */
const struct mr_key *mr_key_cache_find(const struct mr_key_cache *self, const uint8_t hash[MR_KEY_HASH], int64_t now_ms);

/* Whether a key of that hash was valid at the last answer, however long ago: then it does not count as a guess. */
bool mr_key_cache_knew(const struct mr_key_cache *self, const uint8_t hash[MR_KEY_HASH]);

/*
 * Whether a waiting request may ask for the key again: one of those with the same key does, every `pause_ms`. True: the caller
 * has to ask now.
 */
bool mr_key_cache_may_ask(struct mr_key_cache *self, const uint8_t hash[MR_KEY_HASH], int64_t now_ms, int64_t pause_ms);

/* Forgets it: it is no key any more. */
void mr_key_cache_drop(struct mr_key_cache *self, const uint8_t hash[MR_KEY_HASH]);

/* Remembers a key until `until_ms`. MR_NO_MEMORY: nothing has changed. */
mr_status mr_key_cache_keep(struct mr_key_cache *self, const uint8_t hash[MR_KEY_HASH], const uint8_t id[16],
                            struct mr_slice scopes, int64_t until_ms) MR_WARN_UNUSED;

/* SHA-256 of a key. */
void mr_key_hash(uint8_t out[MR_KEY_HASH], struct mr_slice key);

/* A copy of the request and its body, the caller's to free(). NULL: no memory. */
struct held *held_new(const struct mr_http_request *request, struct mr_slice body);

/*
 * Whether the caller is an API key that is not in the cache, so that the request has to wait for keys_ask. Sets `key_hash` of the exchange if
 * the caller shows what may be a key.
 */
bool keys_must_ask(struct exchange *exchange, const struct mr_http_request *request);

/*
 * Holds a copy of the request and asks the auth actor who its key is, behind keys_must_ask. If that cannot be done it answers, which ends the exchange: the
 * caller must not touch it afterwards. Otherwise keys_answered resumes the request: in dispatch.c a whole one, in upload.c an upload.
 */
void keys_ask(struct exchange *exchange, const struct mr_http_request *request, struct mr_slice body);

/* Takes the auth actor's answer, and resumes the request that was held. May end the exchange; `reply` is borrowed. */
void keys_answered(struct exchange *exchange, const struct mr_envelope *reply);

/* The same for a parked request (gateway/waiting.h): nothing is held, and nothing answered. */
mr_status keys_ask_again(struct exchange *exchange) MR_WARN_UNUSED;

/*
 * Takes the auth actor's answer: MR_OK, and the key is cached; MR_INVALID_KEY, and it is removed; or the reason why nothing is
 * known.
 */
mr_status keys_keep_answer(const struct exchange *exchange, const struct mr_envelope *reply) MR_WARN_UNUSED;

/*
 * Sets `out` to the calling key, as a principal, and `key` to its cache entry. MR_INVALID_KEY: it is not a key, or not a valid
 * one.
 */
mr_status keys_identify(struct mr_principal *out, const struct mr_key **key, struct exchange *exchange,
                        struct mr_slice credential) MR_WARN_UNUSED;

#endif
