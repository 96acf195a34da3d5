#include "runtime/token.h"

#include <errno.h>
#include <jansson.h>
#include <jwt.h>
#include <math.h>
#include <sodium.h>
#include <stdlib.h>

#include "proto/json_reader.h"
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

/* ---- What a token says: its parts are read strictly, so that no name stands there twice (RFC 7519, 4) ---- */

/* NULL: it is no base64url without padding (RFC 7515, 2), or no JSON object. */
static json_t *read_part(struct mr_slice part)
{
    unsigned char text[MR_TOKEN_MAX];
    struct mr_json_refusal why;
    json_t *json = NULL;
    size_t len;

    if (sodium_base642bin(text, sizeof text, part.data, part.len, NULL, &len, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) !=
        0)
        return NULL;
    return mr_json_load(&json, (struct mr_slice){(const char *)text, len}, &why) == MR_OK ? json : NULL;
}

/* Takes what stands before the next dot; what is left begins behind it. */
static struct mr_slice take_part(struct mr_slice *token)
{
    const char *dot = memchr(token->data, '.', token->len);
    size_t len = dot != NULL ? (size_t)(dot - token->data) : token->len;
    struct mr_slice part = {token->data, len};

    len += dot != NULL;
    *token = (struct mr_slice){token->data + len, token->len - len};
    return part;
}

/* An extension that has to be understood is one we do not (RFC 7515, 4.1.11). */
static bool check_head(const json_t *head)
{
    const char *algorithm = json_string_value(json_object_get(head, "alg"));

    return algorithm != NULL && strcmp(algorithm, "HS256") == 0 && json_object_get(head, "crit") == NULL;
}

static bool is_role(const char *name, enum mr_role *out)
{
    for (size_t role = 0; name != NULL && role < sizeof role_names / sizeof role_names[0]; role++)
        if (strcmp(name, role_names[role]) == 0) {
            *out = (enum mr_role)role;
            return true;
        }
    return false;
}

/* A NumericDate (RFC 7519, 2), which may have a fraction. False when it is there and is none; what is not there is `out`. */
static bool read_date(const json_t *claims, const char *name, double *out)
{
    const json_t *date = json_object_get(claims, name);

    if (date == NULL)
        return true;
    *out = json_number_value(date);
    return json_is_number(date);
}

/* From the second in which the token may be used no more; a fraction of it is one in which it may. */
static int64_t end_of(double expires)
{
    return expires < (double)INT64_MAX ? (int64_t)ceil(expires) : INT64_MAX;
}

static bool in_time(const json_t *claims, int64_t now_s, int64_t *expires_s)
{
    double now = (double)now_s;
    double expires = 0;
    double not_before = 0;
    double issued = 0;

    if (!read_date(claims, "exp", &expires) || !read_date(claims, "nbf", &not_before) || !read_date(claims, "iat", &issued))
        return false;
    if (expires <= now || not_before > now)
        return false;
    *expires_s = end_of(expires);
    return true;
}

static bool read_id(const json_t *claims, const char *name, uint8_t out[16])
{
    const json_t *id = json_object_get(claims, name);

    return json_is_string(id) && mr_uuid_parse(out, json_string_value(id), json_string_length(id));
}

static bool is_text_if_there(const json_t *claims, const char *name)
{
    const json_t *value = json_object_get(claims, name);

    return value == NULL || json_is_string(value);
}

/* A token for somebody is for somebody else (RFC 7519, 4.1.3): ours are for nobody in particular. */
static bool is_ours(const json_t *claims)
{
    const char *issuer = json_string_value(json_object_get(claims, "iss"));

    return issuer != NULL && strcmp(issuer, MR_TOKEN_ISSUER) == 0 && json_object_get(claims, "aud") == NULL &&
           is_text_if_there(claims, "sub") && is_text_if_there(claims, "username") && is_text_if_there(claims, "jti");
}

static bool read_claims(const json_t *claims, struct mr_principal *out, int64_t *expires_s, int64_t now_s)
{
    out->has_session = json_object_get(claims, "sid") != NULL;
    return is_ours(claims) && in_time(claims, now_s, expires_s) && read_id(claims, "id", out->user_id) &&
           is_role(json_string_value(json_object_get(claims, "role")), &out->role) &&
           (!out->has_session || read_id(claims, "sid", out->session_id));
}

/* Of a token whose signature is good. */
static bool read_token(struct mr_slice token, struct mr_principal *out, int64_t *expires_s, int64_t now_s)
{
    json_t *head = read_part(take_part(&token));
    json_t *claims = read_part(take_part(&token));
    bool good = check_head(head) && read_claims(claims, out, expires_s, now_s);

    json_decref(head);
    json_decref(claims);
    return good;
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
        return MR_INVALID_TOKEN;
    memcpy(text, token.data, token.len);
    text[token.len] = '\0';
    failure = jwt_decode(&jwt, text, (const unsigned char *)secret, (int)strlen(secret));
    if (failure != 0)
        return failure == ENOMEM ? MR_NO_MEMORY : MR_INVALID_TOKEN;
    good = jwt_get_alg(jwt) == JWT_ALG_HS256 && read_token(token, &principal, &expires, now_s);
    jwt_free(jwt);
    if (!good)
        return MR_INVALID_TOKEN;
    *out = principal;
    *expires_s = expires;
    return MR_OK;
}
