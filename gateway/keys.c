#include "gateway/keys.h"

#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>

#include "gateway/admit.h"
#include "gateway/dispatch.h"
#include "gateway/exchange.h"
#include "gateway/reply.h"
#include "gateway/upload.h"
#include "proto/json_reader.h"

/* With KEY_LIFE_MS, less than the 5 s that docs/api-keys.md promises: what was asked for is believed from then on. */
enum { SLOTS = 4096, KEY_LIFE_MS = 4000 };

_Static_assert(MR_KEY_HASH == crypto_hash_sha256_BYTES, "a hash fits");

struct mr_key_cache {
    struct mr_key entries[SLOTS];
};

struct mr_key_cache *mr_key_cache_new(void)
{
    return calloc(1, sizeof(struct mr_key_cache));
}

void mr_key_cache_destroy(struct mr_key_cache **self)
{
    if (*self == NULL)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        free((*self)->entries[i].scopes);
    free(*self);
    *self = NULL;
}

/* Nobody aims at a slot: only keys that are good come into one, and those are random. */
static size_t slot_of(const uint8_t hash[MR_KEY_HASH])
{
    return (size_t)(hash[0] | hash[1] << 8) % SLOTS;
}

bool mr_key_cache_knew(const struct mr_key_cache *self, const uint8_t hash[MR_KEY_HASH])
{
    const struct mr_key *key = &self->entries[slot_of(hash)];

    return key->scopes != NULL && sodium_memcmp(key->hash, hash, sizeof key->hash) == 0;
}

const struct mr_key *mr_key_cache_find(const struct mr_key_cache *self, const uint8_t hash[MR_KEY_HASH], int64_t now_ms)
{
    const struct mr_key *key = &self->entries[slot_of(hash)];

    return key->until_ms > now_ms && mr_key_cache_knew(self, hash) ? key : NULL;
}

bool mr_key_cache_may_ask(struct mr_key_cache *self, const uint8_t hash[MR_KEY_HASH], int64_t now_ms, int64_t pause_ms)
{
    struct mr_key *key = &self->entries[slot_of(hash)];

    if (!mr_key_cache_knew(self, hash))
        return true;
    if (key->asked_ms != 0 && now_ms - key->asked_ms < pause_ms)
        return false;
    key->asked_ms = now_ms;
    return true;
}

void mr_key_cache_drop(struct mr_key_cache *self, const uint8_t hash[MR_KEY_HASH])
{
    struct mr_key *key = &self->entries[slot_of(hash)];

    if (!mr_key_cache_knew(self, hash))
        return;
    free(key->scopes);
    *key = (struct mr_key){.scopes = NULL};
}

mr_status mr_key_cache_keep(struct mr_key_cache *self, const uint8_t hash[MR_KEY_HASH], const uint8_t id[16],
                            struct mr_slice scopes, int64_t until_ms)
{
    struct mr_key *key = &self->entries[slot_of(hash)];
    char *copy = strndup(scopes.data, scopes.len);

    if (copy == NULL)
        return MR_NO_MEMORY;
    free(key->scopes);
    key->scopes = copy;
    key->until_ms = until_ms;
    key->asked_ms = 0;
    memcpy(key->hash, hash, sizeof key->hash);
    memcpy(key->id, id, sizeof key->id);
    return MR_OK;
}

void mr_key_hash(uint8_t out[MR_KEY_HASH], struct mr_slice key)
{
    crypto_hash_sha256(out, (const unsigned char *)key.data, key.len);
}

/* ---- Holding ---- */

static size_t size_of(const struct mr_http_request *request, struct mr_slice body)
{
    size_t size = request->path.len + request->query.len + body.len;

    for (unsigned i = 0; i < request->header_count; i++)
        size += request->headers[i].name.len + request->headers[i].value.len;
    return size;
}

static void move(struct mr_slice *slice, char **at)
{
    char *to = *at;

    if (slice->len > 0)
        memcpy(to, slice->data, slice->len);
    *at += slice->len;
    slice->data = to;
}

struct held *held_new(const struct mr_http_request *request, struct mr_slice body)
{
    size_t size = sizeof(struct held) + size_of(request, body) + 1; /* what is empty points into the block, too */
    struct held *self = malloc(size);
    char *at;

    if (self == NULL)
        return NULL;
    *self = (struct held){.size = size, .body = body, .request = *request};
    at = self->bytes;
    move(&self->request.path, &at);
    move(&self->request.query, &at);
    for (unsigned i = 0; i < request->header_count; i++) {
        move(&self->request.headers[i].name, &at);
        move(&self->request.headers[i].value, &at);
    }
    move(&self->body, &at);
    return self;
}

/* ---- Asking ---- */

/* An operation that anybody may call asks nobody. */
static bool wants_caller(const struct exchange *exchange)
{
    enum mr_access access = mr_op_info(exchange->op)->access;

    return access == MR_ACCESS_USER || access == MR_ACCESS_ADMIN;
}

/* Its hash is made once for a request: it is a tenth of what the gateway does for it. */
static bool has_key(struct exchange *exchange, struct mr_slice credential)
{
    if (!exchange->has_key && mr_key_is_formed(credential)) {
        mr_key_hash(exchange->key_hash, credential);
        exchange->has_key = true;
    }
    return exchange->has_key;
}

bool keys_must_ask(struct exchange *exchange, const struct mr_http_request *request)
{
    struct mr_slice credential;

    if (exchange->key_asked_ms != 0 || !wants_caller(exchange) || !mr_bearer(request, &credential) ||
        !has_key(exchange, credential))
        return false;
    return mr_key_cache_find(exchange->gateway->keys, exchange->key_hash, gateway_now_ms(exchange->gateway)) == NULL;
}

static mr_status ask(struct exchange *exchange, const struct mr_http_request *request, struct mr_slice body)
{
    const struct mr_value hash = {.present = true, .text = {(const char *)exchange->key_hash, MR_KEY_HASH}};

    if (!mr_key_cache_knew(exchange->gateway->keys, exchange->key_hash) && !admit_guess(exchange, request))
        return MR_RATE_LIMITED;
    exchange->held = held_new(request, body);
    if (exchange->held == NULL)
        return MR_NO_MEMORY;
    exchange->key_asked_ms = gateway_now_ms(exchange->gateway);
    return exchange_send(exchange, MR_OP_key_verify, &hash, NULL, exchange->gateway->config->request_timeout);
}

void keys_ask(struct exchange *exchange, const struct mr_http_request *request, struct mr_slice body)
{
    mr_status status = ask(exchange, request, body);

    if (status != MR_OK)
        reply_problem(exchange, status, NULL, (struct mr_slice){0});
}

/* ---- The answer: {scopes, life}, and the key's id beside it ---- */

static mr_status keep_told(const struct exchange *exchange, const struct json_t *told, const uint8_t *id)
{
    const json_t *scopes = json_object_get(told, "scopes");
    const json_t *life = json_object_get(told, "life");
    int64_t life_ms = json_integer_value(life) < KEY_LIFE_MS ? json_integer_value(life) : KEY_LIFE_MS;

    if (!json_is_string(scopes) || !json_is_integer(life))
        return MR_INTERNAL;
    return mr_key_cache_keep(exchange->gateway->keys, exchange->key_hash, id,
                             (struct mr_slice){json_string_value(scopes), json_string_length(scopes)},
                             exchange->key_asked_ms + life_ms);
}

static mr_status keep(const struct exchange *exchange, struct mr_slice payload)
{
    struct mr_reply_head head;
    struct mr_slice json;
    struct json_t *told = NULL;
    struct mr_json_refusal why;
    mr_status status = MR_INTERNAL;

    if (mr_reply_decode(payload, &head, &json) == MR_OK && head.id.len == 16 && mr_json_load(&told, json, &why) == MR_OK)
        status = keep_told(exchange, told, (const uint8_t *)head.id.data);
    json_decref(told);
    return status;
}

static void refuse(struct exchange *exchange, struct mr_slice payload)
{
    struct mr_fault fault;

    if (mr_fault_decode(&fault, payload) != MR_OK) {
        reply_problem(exchange, MR_INTERNAL, NULL, (struct mr_slice){0});
        return;
    }
    if (fault.status == MR_INVALID_KEY) {
        mr_key_cache_drop(exchange->gateway->keys, exchange->key_hash);
        admit_guessed(exchange, &exchange->held->request);
    }
    reply_fault(exchange, &fault);
}

mr_status keys_ask_again(struct exchange *exchange)
{
    const struct mr_value hash = {.present = true, .text = {(const char *)exchange->key_hash, MR_KEY_HASH}};
    struct mr_principal caller = exchange->caller;
    mr_status status;

    exchange->key_asked_ms = gateway_now_ms(exchange->gateway);
    status = exchange_send(exchange, MR_OP_key_verify, &hash, NULL, exchange->gateway->config->request_timeout);
    exchange->caller = caller; /* the message was nobody's */
    exchange->has_user = true;
    return status;
}

mr_status keys_keep_answer(const struct exchange *exchange, const struct mr_envelope *reply)
{
    struct mr_fault fault;

    if (reply->kind == MR_REPLY)
        return keep(exchange, reply->payload);
    if (mr_fault_decode(&fault, reply->payload) != MR_OK)
        return MR_INTERNAL;
    if (fault.status == MR_INVALID_KEY)
        mr_key_cache_drop(exchange->gateway->keys, exchange->key_hash);
    return fault.status;
}

void keys_answered(struct exchange *exchange, const struct mr_envelope *reply)
{
    struct held *held = exchange->held;
    mr_status status;

    if (reply->kind != MR_REPLY) {
        refuse(exchange, reply->payload);
        return;
    }
    exchange_settle(exchange);
    status = keep(exchange, reply->payload);
    exchange->held = NULL; /* the exchange may end, and be another's, while this goes on */
    if (status != MR_OK)
        reply_problem(exchange, status, NULL, (struct mr_slice){0});
    else if (exchange->parts != NULL)
        upload_identified(exchange, &held->request);
    else
        dispatch_identified(exchange, &held->request, held->body);
    free(held);
}

mr_status keys_identify(struct mr_principal *out, const struct mr_key **key, struct exchange *exchange,
                        struct mr_slice credential)
{
    int64_t now_ms = exchange->key_asked_ms != 0 ? exchange->key_asked_ms : gateway_now_ms(exchange->gateway);
    const struct mr_key *found;

    if (!has_key(exchange, credential))
        return MR_INVALID_KEY;
    found = mr_key_cache_find(exchange->gateway->keys, exchange->key_hash, now_ms);
    if (found == NULL)
        return MR_INVALID_KEY;
    *out = (struct mr_principal){.role = MR_ROLE_KEY};
    memcpy(out->user_id, found->id, sizeof out->user_id);
    *key = found;
    return MR_OK;
}
