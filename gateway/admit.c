/*
 * admit: whether a caller may have one more request now.
 *
 * What the auth actor does is limited for each client address, strictly and by default: its callers are unknown or
 * tell a password, and each costs a hash. Everything else that reaches an actor is limited for each user, or for the
 * address of who is not signed in. What the gateway answers itself, health first of all, is never limited.
 */
#include <libwebsockets.h>
#include <sys/socket.h>

#include "gateway/client_address.h"
#include "gateway/internal.h"

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

/* Once a connection, when the first request on it asks. */
static const uint8_t *peer_of(struct connection *connection)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;

    if (!connection->peer_is_known) {
        getpeername(lws_get_socket_fd(connection->wsi), (struct sockaddr *)&address, &len);
        mr_client_address_of(connection->peer, (const struct sockaddr *)&address);
        connection->peer_is_known = true;
    }
    return connection->peer;
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
    mr_client_address(address, request, (unsigned)gateway->config->trust_proxy_hops, peer_of(exchange->connection));
    return mr_rate_limit_take(limit, MR_RATE_ADDRESS, address, exchange->started_ms, &exchange->quota);
}
