/*
 * admit: whether a caller may have one more request now.
 *
 * What the auth actor does is limited for each client address, strictly and by default: its callers are unknown or
 * tell a password, and each costs a hash. Everything else that reaches an actor is limited for each user, or for the
 * address of who is not signed in. What the gateway answers itself, health first of all, is never limited.
 */
#include "gateway/admit.h"

#include "gateway/client_address.h"

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

bool admit(struct exchange *exchange, const struct mr_http_request *request, const struct mr_principal *caller)
{
    struct gateway *gateway = exchange->gateway;
    bool strict = mr_op_info(exchange->op)->actor == MR_ACTOR_AUTH;
    struct mr_rate_limit *limit = strict ? gateway->auth_limit : gateway->default_limit;
    uint8_t address[MR_CLIENT_ADDRESS];
    uint8_t peer[MR_CLIENT_ADDRESS];

    if (limit == NULL)
        return true;
    if (caller != NULL && !strict)
        return mr_rate_limit_take(limit, MR_RATE_USER, caller->user_id, exchange->started_ms, &exchange->quota);
    mr_client_address_of(peer, mr_http_peer(exchange->connection));
    mr_client_address(address, request, (unsigned)gateway->config->trust_proxy_hops, peer);
    return mr_rate_limit_take(limit, MR_RATE_ADDRESS, address, exchange->started_ms, &exchange->quota);
}

mr_status admit_caller(struct exchange *exchange, const struct mr_http_request *request, struct mr_principal *caller)
{
    struct gateway *gateway = exchange->gateway;
    enum mr_access access = mr_op_info(exchange->op)->access;

    exchange->identity = MR_UNAUTHORIZED;
    if (access != MR_ACCESS_PUBLIC)
        exchange->identity = mr_authenticate(caller, gateway->tokens, request, gateway->config->jwt_secret,
                                             gateway->config->jwt_secret_previous, mr_wall_ms(gateway->clock) / 1000);
    if (!admit(exchange, request, exchange->identity == MR_OK ? caller : NULL))
        return MR_RATE_LIMITED;
    if (access == MR_ACCESS_PUBLIC || access == MR_ACCESS_OPTIONAL)
        return MR_OK;
    if (exchange->identity == MR_OK && access == MR_ACCESS_ADMIN && caller->role != MR_ROLE_ADMIN)
        return MR_FORBIDDEN;
    return exchange->identity;
}
