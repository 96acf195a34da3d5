/*
 * admit: whether a caller may have one more request now.
 *
 * What the auth actor does is limited for each client address, strictly and by default: its callers are unknown or
 * tell a password, and each costs a hash. Everything else that reaches an actor is limited for each user, or for the
 * address of who is not signed in. What the gateway answers itself, health first of all, is never limited.
 */
#include "gateway/admit.h"

#include "gateway/client_address.h"
#include "http/target.h"

static bool open_limit(struct mr_rate_limit **out, const char *policy, int64_t per_minute)
{
    if (per_minute == 0)
        return true;
    *out = mr_rate_limit_new(policy, (unsigned)per_minute);
    return *out != NULL;
}

bool admit_setup(struct gateway *gateway)
{
    return open_limit(&gateway->auth_limit, "auth", gateway->config->rate_auth) &&
           open_limit(&gateway->default_limit, "default", gateway->config->rate_default);
}

void admit_fini(struct gateway *gateway)
{
    mr_rate_limit_destroy(&gateway->auth_limit);
    mr_rate_limit_destroy(&gateway->default_limit);
}

static void address_of(uint8_t out[MR_CLIENT_ADDRESS], const struct exchange *exchange, const struct mr_http_request *request)
{
    uint8_t peer[MR_CLIENT_ADDRESS];

    mr_client_address_of(peer, mr_http_peer(exchange->connection));
    mr_client_address(out, request, (unsigned)exchange->gateway->config->trust_proxy_hops, peer);
}

bool admit_guess(struct exchange *exchange, const struct mr_http_request *request)
{
    struct mr_rate_limit *limit = exchange->gateway->auth_limit;
    uint8_t address[MR_CLIENT_ADDRESS];

    if (limit == NULL)
        return true;
    address_of(address, exchange, request);
    return mr_rate_limit_has(limit, MR_RATE_ADDRESS, address, exchange->started_ms) ||
           mr_rate_limit_take(limit, MR_RATE_ADDRESS, address, exchange->started_ms, &exchange->quota);
}

void admit_guessed(struct exchange *exchange, const struct mr_http_request *request)
{
    struct mr_rate_limit *limit = exchange->gateway->auth_limit;
    uint8_t address[MR_CLIENT_ADDRESS];

    if (limit == NULL)
        return;
    address_of(address, exchange, request);
    (void)!mr_rate_limit_take(limit, MR_RATE_ADDRESS, address, exchange->started_ms, &exchange->quota);
}

bool admit(struct exchange *exchange, const struct mr_http_request *request, const struct mr_principal *caller)
{
    struct gateway *gateway = exchange->gateway;
    bool strict = mr_op_info(exchange->op)->actor == MR_ACTOR_AUTH;
    struct mr_rate_limit *limit = strict ? gateway->auth_limit : gateway->default_limit;
    uint8_t address[MR_CLIENT_ADDRESS];

    if (limit == NULL)
        return true;
    if (caller != NULL && !strict)
        return mr_rate_limit_take(limit, MR_RATE_USER, caller->user_id, exchange->started_ms, &exchange->quota);
    address_of(address, exchange, request);
    return mr_rate_limit_take(limit, MR_RATE_ADDRESS, address, exchange->started_ms, &exchange->quota);
}

/* An operation that may be called without a token has no use for a key. */
static mr_status identify(struct exchange *exchange, const struct mr_http_request *request, struct mr_principal *caller,
                          const struct mr_key **key)
{
    const struct gateway *gateway = exchange->gateway;
    enum mr_access access = mr_op_info(exchange->op)->access;
    struct mr_slice credential;

    if (access == MR_ACCESS_PUBLIC)
        return MR_UNAUTHORIZED;
    if (access != MR_ACCESS_OPTIONAL && mr_bearer(request, &credential) && mr_key_is_meant(credential))
        return keys_identify(caller, key, exchange, credential);
    return mr_authenticate(caller, gateway->tokens, request, gateway->config->jwt_secret, gateway->config->jwt_secret_previous,
                           mr_wall_ms(gateway->clock) / 1000);
}

/* What the path says of the field that a scope may be narrowed by. */
static mr_status read_narrow(const struct exchange *exchange, struct mr_buf *out)
{
    const char *field = mr_op_info(exchange->op)->traits->narrow;

    for (unsigned i = 0; field != NULL && i < exchange->route.param_count; i++)
        if (mr_slice_is(exchange->route.params[i].name, field))
            return mr_http_decode(out, exchange->route.params[i].value, false);
    return MR_OK;
}

static mr_status admit_key(struct exchange *exchange, const struct mr_key *key)
{
    const struct mr_traits *traits = mr_op_info(exchange->op)->traits;
    struct mr_buf value = {0};
    mr_status status = MR_KEY_REFUSED;

    if (traits->scopes != NULL)
        status = read_narrow(exchange, &value);
    if (status == MR_OK && !mr_scope_grants(traits, mr_slice_of(key->scopes),
                                            (struct mr_slice){value.len > 0 ? value.data : "", value.len}, &exchange->only))
        status = MR_SCOPE;
    if (value.failed || exchange->only.failed)
        status = MR_NO_MEMORY;
    mr_buf_fini(&value);
    return status;
}

mr_status admit_caller(struct exchange *exchange, const struct mr_http_request *request, struct mr_principal *caller)
{
    enum mr_access access = mr_op_info(exchange->op)->access;
    const struct mr_key *key = NULL;

    exchange->identity = identify(exchange, request, caller, &key);
    if (!admit(exchange, request, exchange->identity == MR_OK ? caller : NULL))
        return MR_RATE_LIMITED;
    if (access == MR_ACCESS_PUBLIC || access == MR_ACCESS_OPTIONAL)
        return MR_OK;
    if (key != NULL)
        return admit_key(exchange, key);
    if (exchange->identity == MR_OK && access == MR_ACCESS_ADMIN && caller->role != MR_ROLE_ADMIN)
        return MR_FORBIDDEN;
    return exchange->identity;
}
