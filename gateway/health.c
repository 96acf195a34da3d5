/*
 * health: it tells of the database. A sign of life of the primary counts for five seconds, unless an actor has lost its
 * connection since; then a ping goes to the auth actor, bounded to a second. Overload is no outage: a full mailbox takes
 * the ping all the same, and while it waits there answers to others count as well.
 */
#include "gateway/health.h"

#include "gateway/reply.h"
#include "proto/json.h"

enum { BELIEVE_MS = 5000, PING_MS = 1000 };

static bool actors_connected(const struct gateway *gateway)
{
    for (unsigned i = 0; i < gateway->mailbox_count; i++)
        if (!mr_actor_has_database(gateway->mailboxes[i].actor))
            return false;
    return true;
}

/* Every connection was closed because there was no work: a ping would wake the database up. */
static bool actors_rest(const struct gateway *gateway)
{
    for (unsigned i = 0; i < gateway->mailbox_count; i++)
        if (!atomic_load(&gateway->mailboxes[i].actor->stats.resting))
            return false;
    return true;
}

/* MAJOR.MINOR.PATCH with an optional -pre and +build (semver.org, 2.0.0). */
static bool is_semver(const char *text)
{
    for (int part = 0; part < 3; part++) {
        size_t digits = strspn(text, "0123456789");

        if (digits == 0 || (digits > 1 && *text == '0'))
            return false;
        text += digits;
        if (part < 2 && *text++ != '.')
            return false;
    }
    if (*text == '\0')
        return true;
    return (*text == '-' || *text == '+') && text[1] != '\0' &&
           strspn(text + 1, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-+") == strlen(text + 1);
}

/* A replica that is away, or behind by too much, is no failure: its readers read from the primary meanwhile. */
static void look_at_replica(struct health_state *out, const struct gateway *gateway)
{
    for (unsigned i = 0; i < gateway->mailbox_count; i++) {
        const struct mr_actor *actor = gateway->mailboxes[i].actor;
        int64_t lag_ms;

        if (!actor->on_replica)
            continue;
        out->has_replica = true;
        out->replica_away |= atomic_load(&actor->stats.replica_away);
        if (!atomic_load(&actor->stats.replica_lags))
            continue;
        out->replica_lags = true;
        lag_ms = atomic_load(&actor->stats.replica_lag_ms);
        out->lag_ms = lag_ms > out->lag_ms ? lag_ms : out->lag_ms;
    }
}

static void write_replica(struct mr_buf *out, const struct health_state *state)
{
    if (!state->has_replica)
        return;
    if (state->replica_lags && !state->replica_away)
        mr_buf_printf(out, "\"replica\":{\"status\":\"lagging\",\"lagMs\":%lld},", (long long)state->lag_ms);
    else
        mr_buf_printf(out, "\"replica\":{\"status\":\"%s\"},", state->replica_away ? "down" : "up");
}

/* The members of the parts that do not fail, comma-separated. */
static void write_parts(struct mr_buf *out, const struct gateway *gateway, const struct health_state *state)
{
    bool from_env = is_semver(gateway->config->app_version);

    if (state->up)
        mr_buf_text(out, state->idle ? "\"database\":{\"status\":\"up\",\"idle\":true}," : "\"database\":{\"status\":\"up\"},");
    write_replica(out, state);
    mr_buf_text(out, "\"version\":{\"status\":\"up\",\"value\":");
    mr_json_string(out, mr_slice_of(from_env ? gateway->config->app_version : gateway->options->version));
    mr_buf_text(out, from_env ? ",\"source\":\"env\"}" : ",\"source\":\"build\"}");
}

/* The details are the parts that do not fail and those that do. */
static void write_health(struct mr_buf *out, const struct gateway *gateway, const struct health_state *state)
{
    static const char down[] = "\"database\":{\"status\":\"down\"}";

    mr_buf_text(out, state->up ? "{\"status\":\"ok\",\"info\":{" : "{\"status\":\"error\",\"info\":{");
    write_parts(out, gateway, state);
    mr_buf_text(out, "},\"error\":{");
    mr_buf_text(out, state->up ? "" : down);
    mr_buf_text(out, "},\"details\":{");
    if (!state->up) {
        mr_buf_text(out, down);
        mr_buf_char(out, ',');
    }
    write_parts(out, gateway, state);
    mr_buf_text(out, "}}");
}

static struct health_state look(const struct gateway *gateway, bool up)
{
    struct health_state state = {.up = up, .idle = actors_rest(gateway)};

    look_at_replica(&state, gateway);
    return state;
}

static bool is_same(const struct health_state *a, const struct health_state *b)
{
    return a->up == b->up && a->idle == b->idle && a->has_replica == b->has_replica && a->replica_away == b->replica_away &&
           a->replica_lags == b->replica_lags && a->lag_ms == b->lag_ms;
}

/* The text is kept for as long as nothing in it changes. */
static void reply_health(struct exchange *exchange, bool up)
{
    struct gateway *gateway = exchange->gateway;
    struct mr_buf *body = &gateway->health;
    struct health_state state = look(gateway, up);

    if (body->len == 0 || !is_same(&state, &gateway->health_state)) {
        mr_buf_clear(body, KEEP_BYTES);
        write_health(body, gateway, &state);
        gateway->health_state = state;
    }
    if (body->failed) {
        mr_buf_fini(body);
        reply_problem(exchange, MR_NO_MEMORY, NULL, (struct mr_slice){0});
    } else {
        reply_json(exchange, up ? 200 : 503, (struct mr_slice){body->data, body->len}, up ? NULL : "Retry-After: 1\r\n");
    }
}

static bool was_seen_since(const struct gateway *gateway, int64_t since_ms)
{
    return gateway->database_seen_ms != 0 && gateway->database_seen_ms >= since_ms;
}

void health_saw(struct gateway *gateway, unsigned mailbox)
{
    if (!gateway->mailboxes[mailbox].actor->on_replica)
        gateway->database_seen_ms = gateway_now_ms(gateway);
}

void health_answer(struct exchange *exchange)
{
    struct gateway *gateway = exchange->gateway;
    struct mr_value id = {.present = true};

    if (actors_rest(gateway) || (actors_connected(gateway) && was_seen_since(gateway, exchange->started_ms - BELIEVE_MS))) {
        reply_health(exchange, true);
        return;
    }
    memcpy(id.uuid, exchange->new_id, sizeof id.uuid);
    if (exchange_send(exchange, MR_OP_db_ping, &id, NULL, PING_MS) != MR_OK)
        reply_health(exchange, false);
}

void health_pinged(struct exchange *exchange, bool answered)
{
    reply_health(exchange, answered || was_seen_since(exchange->gateway, exchange->started_ms));
}

void health_live(struct exchange *exchange)
{
    reply_json(exchange, 200, MR_SLICE("{\"status\":\"ok\"}"), NULL);
}

/* What keeps the first actor without a connection from one. */
static const char *why_unready(const struct gateway *gateway)
{
    const char *trouble = NULL;

    for (unsigned i = 0; i < gateway->mailbox_count && trouble == NULL; i++)
        trouble = atomic_load(&gateway->mailboxes[i].actor->stats.trouble);
    return trouble;
}

void health_ready(struct exchange *exchange)
{
    struct gateway *gateway = exchange->gateway;

    if (gateway->draining)
        reply_problem(exchange, MR_UNAVAILABLE, "The process is shutting down.", (struct mr_slice){0});
    else if (!actors_connected(gateway))
        reply_problem(exchange, MR_UNAVAILABLE, why_unready(gateway), (struct mr_slice){0});
    else
        reply_json(exchange, 200, MR_SLICE("{\"status\":\"ok\"}"), NULL);
}
