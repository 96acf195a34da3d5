#include "runtime/token.h"

#include <errno.h>
#include <jwt.h>
#include <stdlib.h>

#include "proto/uuid.h"

static const char *const role_names[] = {[MR_ROLE_USER] = "user", [MR_ROLE_ADMIN] = "admin"};

/* libjwt wants terminated strings; usernames are at most 50 code points. */
static bool add_text(jwt_t *jwt, const char *name, struct mr_slice value)
{
    char text[256];

    if (value.len >= sizeof text)
        return false;
    memcpy(text, value.data, value.len);
    text[value.len] = '\0';
    return jwt_add_grant(jwt, name, text) == 0;
}

/* Whether the session is added, or there is none to add. */
static bool add_session(jwt_t *jwt, const struct mr_principal *principal)
{
    char id[MR_UUID_TEXT];

    if (!principal->has_session)
        return true;
    mr_uuid_format(id, principal->session_id);
    return add_text(jwt, "sid", (struct mr_slice){id, sizeof id});
}

static bool add_claims(jwt_t *jwt, const struct mr_principal *principal, struct mr_slice username, int64_t now_s,
                       int64_t life_s)
{
    char id[MR_UUID_TEXT];

    mr_uuid_format(id, principal->user_id);
    return add_text(jwt, "sub", (struct mr_slice){id, sizeof id}) && add_text(jwt, "id", (struct mr_slice){id, sizeof id}) &&
           add_text(jwt, "username", username) && add_text(jwt, "role", mr_slice_of(role_names[principal->role])) &&
           add_session(jwt, principal) && add_text(jwt, "iss", MR_SLICE(MR_TOKEN_ISSUER)) &&
           jwt_add_grant_int(jwt, "iat", now_s) == 0 && jwt_add_grant_int(jwt, "exp", now_s + life_s) == 0;
}

mr_status mr_token_issue(struct mr_buf *out, const struct mr_principal *principal, struct mr_slice username, const char *secret,
                         int64_t now_s, int64_t life_s)
{
    jwt_t *jwt = NULL;
    char *text = NULL;
    mr_status status = MR_NO_MEMORY;

    if (jwt_new(&jwt) != 0)
        goto out;
    if (!add_claims(jwt, principal, username, now_s, life_s) ||
        jwt_set_alg(jwt, JWT_ALG_HS256, (const unsigned char *)secret, (int)strlen(secret)) != 0)
        goto out;
    text = jwt_encode_str(jwt);
    if (text == NULL)
        goto out;
    mr_buf_text(out, text);
    status = out->failed ? MR_NO_MEMORY : MR_OK;

out:
    free(text);
    jwt_free(jwt);
    return status;
}

static bool is_role(const char *name, enum mr_role *out)
{
    for (int role = 0; name != NULL && role < MR_ROLE_COUNT; role++)
        if (strcmp(name, role_names[role]) == 0) {
            *out = (enum mr_role)role;
            return true;
        }
    return false;
}

/* A claim that is missing reads as 0 with errno set: no expiry is no token, no nbf is valid at once. */
static bool in_time(jwt_t *jwt, int64_t now_s, int64_t *expires_s)
{
    errno = 0;
    *expires_s = jwt_get_grant_int(jwt, "exp");
    if (errno != 0 || *expires_s <= now_s)
        return false;
    return jwt_get_grant_int(jwt, "nbf") <= now_s;
}

/* The session the token was issued in; a token without one is sound, one that names nonsense is not. */
static bool read_session(jwt_t *jwt, struct mr_principal *out)
{
    const char *id;

    errno = 0;
    id = jwt_get_grant(jwt, "sid");
    out->has_session = id != NULL;
    return id != NULL ? mr_uuid_parse(out->session_id, id, strlen(id)) : errno == ENOENT;
}

static bool read_claims(jwt_t *jwt, struct mr_principal *out, int64_t *expires_s, int64_t now_s)
{
    const char *issuer = jwt_get_grant(jwt, "iss");
    const char *id = jwt_get_grant(jwt, "id");

    return jwt_get_alg(jwt) == JWT_ALG_HS256 && issuer != NULL && strcmp(issuer, MR_TOKEN_ISSUER) == 0 &&
           in_time(jwt, now_s, expires_s) && id != NULL && mr_uuid_parse(out->user_id, id, strlen(id)) &&
           is_role(jwt_get_grant(jwt, "role"), &out->role) && read_session(jwt, out);
}

mr_status mr_token_verify(struct mr_principal *out, int64_t *expires_s, struct mr_slice token, const char *secret,
                          int64_t now_s)
{
    char text[MR_TOKEN_MAX + 1];
    struct mr_principal principal = {0};
    int64_t expires = 0;
    jwt_t *jwt = NULL;
    int failure;
    bool good;

    if (token.len == 0 || token.len > MR_TOKEN_MAX || memchr(token.data, '\0', token.len) != NULL)
        return MR_UNAUTHORIZED;
    memcpy(text, token.data, token.len);
    text[token.len] = '\0';
    failure = jwt_decode(&jwt, text, (const unsigned char *)secret, (int)strlen(secret));
    if (failure != 0)
        return failure == ENOMEM ? MR_NO_MEMORY : MR_UNAUTHORIZED;
    good = read_claims(jwt, &principal, &expires, now_s);
    jwt_free(jwt);
    if (!good)
        return MR_UNAUTHORIZED;
    *out = principal;
    *expires_s = expires;
    return MR_OK;
}
