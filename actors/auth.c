#include "actors/auth.h"

#include <sodium.h>
#include <stdlib.h>

#include "actors/password.h"
#include "proto/uuid.h"
#include "runtime/actor.h"
#include "runtime/answer.h"
#include "runtime/plan.h"
#include "runtime/token.h"

enum { REFRESH_BYTES = 32, REFRESH_TEXT = 44, REFRESH_HASH_TEXT = 2 * crypto_hash_sha256_BYTES + 1 };

/* What a sign-in has come to. */
struct grant {
    struct mr_message *message;
    struct mr_principal principal;
    struct mr_slice username; /* as stored; borrowed from the rows */
    uint8_t id[16];
    char refresh_token[REFRESH_TEXT];
    char refresh_hash[REFRESH_HASH_TEXT];
};

/* Checking takes long; nobody gets work done for them after they have been told 504. */
static bool is_late(const struct mr_actor *self, const struct mr_message *message)
{
    return message->envelope.deadline_ms <= mr_wall_ms(self->clock);
}

static void hash_one(struct mr_actor *self, struct mr_message *message, char out[MR_PASSWORD_HASH])
{
    struct mr_value *password = &message->values[mr_field_index(MR_OP_register, "password")];
    struct mr_value *hash = &message->values[mr_field_index(MR_OP_register, "passwordHash")];
    mr_status status = is_late(self, message) ? MR_TIMEOUT : mr_password_hash(out, password->text);

    if (status != MR_OK) {
        mr_answer_error(self, message, status, NULL, NULL, NULL);
        return;
    }
    password->present = false; /* goes nowhere from here */
    hash->present = true;
    hash->text = mr_slice_of(out);
}

static void on_register(struct mr_actor *self, struct mr_message *const *messages, unsigned count)
{
    char(*hashes)[MR_PASSWORD_HASH] = calloc(count, sizeof *hashes);
    struct mr_message *hashed[MR_PLAN_MAX];
    unsigned good = 0;

    for (unsigned i = 0; i < count && hashes != NULL; i++) {
        hash_one(self, messages[i], hashes[i]);
        if (!messages[i]->answered)
            hashed[good++] = messages[i];
    }
    if (hashes == NULL)
        for (unsigned i = 0; i < count; i++)
            mr_answer_error(self, messages[i], MR_NO_MEMORY, NULL, NULL, NULL);
    else if (good > 0)
        mr_answer_by_sql(self, hashed, good);
    free(hashes);
}

/* The server refused a statement for many, and for fewer it may not: the message to blame is to stand alone. */
static bool can_halve(const struct mr_actor *self, mr_status status, unsigned count)
{
    const struct mr_db_error *error = mr_db_last_error(self->db);

    return count > 1 && status == error->status && error->rerun && !error->lost;
}

static mr_status find_users(struct mr_actor *self, struct mr_message *const *messages, unsigned count, mr_rows **out)
{
    int username = mr_field_index(MR_OP_sign_in, "username");

    mr_params_begin(&self->params, 1);
    for (unsigned i = 0; i < count; i++)
        mr_params_add(&self->params, 0, MR_TEXT, &messages[i]->values[username]);
    if (mr_params_end(&self->params) != MR_OK)
        return MR_NO_MEMORY;
    return mr_answer_query(self, "sign_in__find", true, mr_answer_deadline(self, messages, count), out);
}

/* Row of ordinal `n`, -1 when there is no such user. */
static int row_of(const mr_rows *rows, int64_t n)
{
    for (unsigned row = 0; row < mr_rows_count(rows); row++)
        if (mr_rows_int(rows, row, 0, 0) == n)
            return (int)row;
    return -1;
}

static void make_refresh_token(struct grant *grant, int64_t now_ms)
{
    uint8_t token[REFRESH_BYTES];
    uint8_t hash[crypto_hash_sha256_BYTES];
    uint8_t random[10];

    randombytes_buf(random, sizeof random);
    mr_uuid_v7(grant->id, now_ms, random);
    randombytes_buf(token, sizeof token);
    sodium_bin2base64(grant->refresh_token, sizeof grant->refresh_token, token, sizeof token,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    crypto_hash_sha256(hash, (const unsigned char *)grant->refresh_token, strlen(grant->refresh_token));
    sodium_bin2hex(grant->refresh_hash, sizeof grant->refresh_hash, hash, sizeof hash);
}

/* Fills `out` when username and password belong together; otherwise answers the message. */
static bool check(struct mr_actor *self, struct mr_message *message, const mr_rows *rows, int row, struct grant *out)
{
    struct mr_slice password = message->values[mr_field_index(MR_OP_sign_in, "password")].text;
    struct mr_slice id = {0};
    struct mr_slice role = {0};
    struct mr_slice hash = {0};

    if (is_late(self, message)) {
        mr_answer_error(self, message, MR_TIMEOUT, NULL, NULL, NULL);
        return false;
    }
    out->message = message;
    if (row >= 0) {
        mr_rows_get(rows, (unsigned)row, 1, &id);
        mr_rows_get(rows, (unsigned)row, 2, &out->username);
        mr_rows_get(rows, (unsigned)row, 3, &role);
        mr_rows_get(rows, (unsigned)row, 4, &hash);
    }
    if (!mr_password_matches(hash, password) || id.len != sizeof out->principal.user_id) {
        mr_answer_error(self, message, MR_BAD_CREDENTIALS, NULL, NULL, NULL);
        return false;
    }
    memcpy(out->principal.user_id, id.data, id.len);
    out->principal.role = mr_slice_is(role, "admin") ? MR_ROLE_ADMIN : MR_ROLE_USER;
    make_refresh_token(out, mr_wall_ms(self->clock));
    return true;
}

/* Keeps the hashes of the refresh tokens; a token is handed out only when its row is committed. */
static mr_status store_grants(struct mr_actor *self, const struct grant *grants, unsigned count, int64_t deadline_ms)
{
    struct mr_value expires = {.present = true, .integer = (mr_wall_ms(self->clock) + self->config->refresh_expires_in) * 1000};
    mr_rows *rows = NULL;
    mr_status status;

    mr_params_begin(&self->params, 4);
    for (unsigned i = 0; i < count; i++) {
        struct mr_value id = {.present = true};
        struct mr_value user = {.present = true};
        struct mr_value hash = {.present = true, .text = mr_slice_of(grants[i].refresh_hash)};

        memcpy(id.uuid, grants[i].id, sizeof id.uuid);
        memcpy(user.uuid, grants[i].principal.user_id, sizeof user.uuid);
        mr_params_add(&self->params, 0, MR_UUID, &id);
        mr_params_add(&self->params, 1, MR_UUID, &user);
        mr_params_add(&self->params, 2, MR_TEXT, &hash);
        mr_params_add(&self->params, 3, MR_TIME, &expires);
    }
    if (mr_params_end(&self->params) != MR_OK)
        return MR_NO_MEMORY;
    status = mr_answer_query(self, "sign_in__grant", false, deadline_ms, &rows);
    mr_rows_free(&rows);
    return status;
}

static void answer_grant(struct mr_actor *self, const struct grant *grant)
{
    struct mr_buf token = {0};
    struct mr_buf body = {0};
    int64_t life_s = self->config->jwt_expires_in / 1000;
    mr_status status = mr_token_issue(&token, &grant->principal, grant->username, self->config->jwt_secret,
                                      mr_wall_ms(self->clock) / 1000, life_s);

    if (status == MR_OK) {
        mr_wire_map(&body, 4);
        mr_wire_text(&body, MR_SLICE("accessToken"));
        mr_wire_text(&body, (struct mr_slice){token.data, token.len});
        mr_wire_text(&body, MR_SLICE("refreshToken"));
        mr_wire_text(&body, mr_slice_of(grant->refresh_token));
        mr_wire_text(&body, MR_SLICE("tokenType"));
        mr_wire_text(&body, MR_SLICE("Bearer"));
        mr_wire_text(&body, MR_SLICE("expiresIn"));
        mr_wire_int(&body, life_s);
        mr_answer_body(self, grant->message, &body);
    } else {
        mr_answer_error(self, grant->message, status, NULL, NULL, NULL);
    }
    mr_buf_fini(&token);
    mr_buf_fini(&body);
}

static void answer_grants(struct mr_actor *self, const struct grant *grants, unsigned count, int64_t deadline_ms)
{
    mr_status status = count > 0 ? store_grants(self, grants, count, deadline_ms) : MR_OK;

    if (status != MR_OK && can_halve(self, status, count)) {
        answer_grants(self, grants, count / 2, deadline_ms);
        answer_grants(self, grants + count / 2, count - count / 2, deadline_ms);
        return;
    }
    if (status != MR_OK)
        mr_answer_log(self, "sign_in__grant", status, count);
    for (unsigned i = 0; i < count; i++)
        if (status == MR_OK)
            answer_grant(self, &grants[i]);
        else
            mr_answer_error(self, grants[i].message, status, NULL, NULL, NULL);
}

static void on_sign_in(struct mr_actor *self, struct mr_message *const *messages, unsigned count)
{
    struct grant *grants = calloc(count, sizeof *grants);
    mr_rows *rows = NULL;
    mr_status status = grants != NULL ? find_users(self, messages, count, &rows) : MR_NO_MEMORY;
    unsigned good = 0;

    if (status != MR_OK && can_halve(self, status, count)) {
        on_sign_in(self, messages, count / 2);
        on_sign_in(self, messages + count / 2, count - count / 2);
    } else if (status != MR_OK) {
        mr_answer_log(self, "sign_in__find", status, count);
        for (unsigned i = 0; i < count; i++)
            mr_answer_error(self, messages[i], status, NULL, NULL, NULL);
    } else {
        for (unsigned i = 0; i < count; i++)
            good += check(self, messages[i], rows, row_of(rows, i + 1), &grants[good]);
        answer_grants(self, grants, good, mr_answer_deadline(self, messages, count));
    }
    mr_rows_free(&rows);
    free(grants);
}

static mr_code_handler *const handlers[MR_OP_COUNT] = {
    [MR_OP_register] = on_register,
    [MR_OP_sign_in] = on_sign_in,
};

const struct mr_actor_spec mr_auth_spec = {.id = MR_ACTOR_AUTH, .handlers = handlers};
