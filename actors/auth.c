#include "actors/auth.h"

#include <stdlib.h>

#include "actors/apikeys.h"
#include "actors/grant.h"
#include "actors/usernames.h"
#include "proto/username.h"
#include "runtime/answer.h"
#include "runtime/plan.h"

/* Checking takes long; nobody gets work done for them after they have been told 504. */
static bool is_late(const struct mr_actor *self, const struct mr_message *message)
{
    return message->envelope.deadline_ms <= mr_wall_ms(self->clock);
}

static struct mr_value *value_of(const struct mr_attempt *attempt, const char *field)
{
    struct mr_message *message = attempt->message;

    return &message->values[mr_field_index(message->envelope.op, field)];
}

static void add_expiry(const struct mr_actor *self, struct mr_params *params, unsigned column)
{
    mr_params_time(params, column, (mr_wall_ms(self->clock) + self->config->refresh_expires_in) * 1000);
}

static bool take_id(uint8_t out[16], const mr_rows *rows, int row, unsigned column)
{
    struct mr_slice id = {0};

    if (!mr_rows_get(rows, (unsigned)row, column, &id) || id.len != 16)
        return false;
    memcpy(out, id.data, 16);
    return true;
}

/* Id, username and role, in the columns from the second on. */
static bool take_user(struct mr_attempt *attempt, const mr_rows *rows, int row)
{
    struct mr_slice username = {"", 0};
    struct mr_slice role = {"", 0};

    mr_rows_get(rows, (unsigned)row, 2, &username);
    mr_rows_get(rows, (unsigned)row, 3, &role);
    if (username.len >= sizeof attempt->username)
        return false;
    memcpy(attempt->username, username.data, username.len);
    attempt->username[username.len] = '\0';
    attempt->principal.role = mr_slice_is(role, "admin") ? MR_ROLE_ADMIN : MR_ROLE_USER;
    return take_id(attempt->principal.user_id, rows, row, 1);
}

/* ---- Register ---- */

/* What is stored and does not come from the client. */
struct made {
    char hash[MR_PASSWORD_HASH];
    struct mr_buf folded;
};

static void fold_name(struct mr_message *message, struct mr_buf *out)
{
    struct mr_value *folded = &message->values[mr_field_index(MR_OP_register, "usernameFolded")];

    folded->present = mr_username_fold(message->values[mr_field_index(MR_OP_register, "username")].text, out) == MR_OK;
    folded->text = (struct mr_slice){out->data, out->len};
}

static void make_one(struct mr_actor *self, struct mr_message *message, struct made *out)
{
    struct mr_value *password = &message->values[mr_field_index(MR_OP_register, "password")];
    struct mr_value *hash = &message->values[mr_field_index(MR_OP_register, "passwordHash")];
    mr_status status = is_late(self, message) ? MR_TIMEOUT : mr_password_hash(out->hash, password->text);

    fold_name(message, &out->folded);
    if (status == MR_OK && out->folded.failed)
        status = MR_NO_MEMORY;
    if (status != MR_OK) {
        mr_answer_error(self, message, status, NULL, NULL, NULL);
        return;
    }
    password->present = false; /* goes nowhere from here */
    hash->present = true;
    hash->text = mr_slice_of(out->hash);
}

static void on_register(struct mr_actor *self, struct mr_message *const *messages, unsigned count)
{
    struct made *made = calloc(count, sizeof *made);
    struct mr_message *hashed[MR_PLAN_MAX];
    unsigned good = 0;

    for (unsigned i = 0; i < count && made != NULL; i++) {
        make_one(self, messages[i], &made[i]);
        if (!messages[i]->answered)
            hashed[good++] = messages[i];
    }
    if (made == NULL)
        for (unsigned i = 0; i < count; i++)
            mr_answer_error(self, messages[i], MR_NO_MEMORY, NULL, NULL, NULL);
    else if (good > 0)
        mr_answer_by_sql(self, hashed, good);
    for (unsigned i = 0; i < count && made != NULL; i++)
        mr_buf_fini(&made[i].folded);
    free(made);
}

/* ---- Sign in: find the user, check the password, store a better hash if there is one, store the session ---- */

static void bind_username(const struct mr_actor *self, struct mr_params *params, const struct mr_attempt *attempt)
{
    (void)self;
    mr_params_add(params, 0, MR_TEXT, value_of(attempt, "username"));
    mr_usernames_bind(params, 1, value_of(attempt, "username")->text);
}

/* Goes on when username and password belong together. */
static void check_password(struct mr_actor *self, struct mr_attempt *attempt, const mr_rows *rows, int row)
{
    struct mr_slice password = value_of(attempt, "password")->text;
    struct mr_slice hash = {0};

    if (is_late(self, attempt->message)) {
        mr_step_fail(self, attempt, MR_TIMEOUT);
        return;
    }
    if (row >= 0)
        mr_rows_get(rows, (unsigned)row, 4, &hash);
    if (!mr_password_matches(hash, password) || !take_user(attempt, rows, row)) {
        mr_step_fail(self, attempt, MR_BAD_CREDENTIALS);
        return;
    }
    attempt->password_version = mr_rows_int(rows, (unsigned)row, 5, 0);
    attempt->is_unfolded = mr_rows_int(rows, (unsigned)row, 6, 0) != 0;
    if (mr_password_is_outdated(hash) && mr_password_hash(attempt->password_hash, password) != MR_OK)
        attempt->password_hash[0] = '\0'; /* the old one serves until the next time */
    mr_grant_make(attempt, mr_wall_ms(self->clock));
    memcpy(attempt->principal.session_id, attempt->token_id, sizeof attempt->principal.session_id);
    attempt->principal.has_session = true;
}

static void bind_grant(const struct mr_actor *self, struct mr_params *params, const struct mr_attempt *attempt)
{
    bool better = attempt->password_hash[0] != '\0';

    mr_params_id(params, 0, attempt->token_id);
    mr_params_id(params, 1, attempt->principal.user_id);
    mr_params_int(params, 2, attempt->password_version);
    mr_params_text(params, 3, attempt->refresh_hash);
    add_expiry(self, params, 4);
    mr_params_add(params, 5, MR_TEXT, &(struct mr_value){.present = better, .text = mr_slice_of(attempt->password_hash)});
}

/* Without a row the password that was checked is another one by now. */
static void take_grant(struct mr_actor *self, struct mr_attempt *attempt, const mr_rows *rows, int row)
{
    (void)rows;
    if (row < 0)
        mr_step_fail(self, attempt, MR_BAD_CREDENTIALS);
    else
        mr_grant_answer(self, attempt);
}

static const struct mr_step sign_in_find = {"sign_in__find", true, 2, bind_username, check_password};
static const struct mr_step sign_in_grant = {"sign_in__grant", false, 6, bind_grant, take_grant};

/* Of those whom release 7 registered since this process started. What fails here is for the next sign-in. */
static void store_folded(struct mr_actor *self, const struct mr_attempt *attempts, unsigned count, int64_t deadline_ms)
{
    mr_rows *colliding = NULL;
    unsigned found = 0;

    mr_params_begin(&self->params, 2);
    for (unsigned i = 0; i < count; i++) {
        if (!attempts[i].is_unfolded)
            continue;
        mr_params_id(&self->params, 0, attempts[i].principal.user_id);
        mr_usernames_bind(&self->params, 1, mr_slice_of(attempts[i].username));
        found++;
    }
    if (found > 0 && mr_params_end(&self->params) == MR_OK &&
        mr_answer_query(self, "register__fold", true, deadline_ms, &colliding) == MR_OK)
        mr_rows_free(&colliding);
}

static void on_sign_in(struct mr_actor *self, struct mr_message *const *messages, unsigned count)
{
    struct mr_attempt *attempts = mr_step_begin(self, messages, count);
    int64_t deadline_ms = mr_answer_deadline(self, messages, count);

    if (attempts == NULL)
        return;
    mr_step_run(self, &sign_in_find, attempts, count, deadline_ms);
    count = mr_step_left(attempts, count);
    store_folded(self, attempts, count, deadline_ms);
    mr_step_run(self, &sign_in_grant, attempts, count, deadline_ms);
    free(attempts);
}

/* ---- Refresh: one token for the next ---- */

static struct mr_slice spent_token(const struct mr_attempt *attempt)
{
    return value_of(attempt, "refreshToken")->text;
}

static void bind_rotation(const struct mr_actor *self, struct mr_params *params, const struct mr_attempt *attempt)
{
    mr_params_text(params, 0, attempt->spent_hash);
    mr_params_id(params, 1, attempt->token_id);
    mr_params_text(params, 2, attempt->refresh_hash);
    add_expiry(self, params, 3);
    mr_params_int(params, 4, self->config->refresh_grace);
}

/* The token was exchanged for the one that this attempt has made, or for one that is to be made again. */
static bool take_heir(const struct mr_actor *self, struct mr_attempt *attempt, const uint8_t id[16], const mr_rows *rows,
                      int row)
{
    struct mr_slice hash = {"", 0};

    mr_rows_get(rows, (unsigned)row, 6, &hash);
    return mr_slice_is(hash, attempt->refresh_hash) || mr_grant_recall(attempt, spent_token(attempt), self->config, id, hash);
}

/* Left without an answer when another spent the token first: see refresh__rotate. */
static void take_rotation(struct mr_actor *self, struct mr_attempt *attempt, const mr_rows *rows, int row)
{
    struct mr_slice heir = {"", 0};
    uint8_t id[16];

    if (row >= 0 && !mr_rows_get(rows, (unsigned)row, 5, &heir))
        return;
    if (row < 0 || !take_user(attempt, rows, row) || !take_id(attempt->principal.session_id, rows, row, 4) ||
        !take_id(id, rows, row, 5) || !take_heir(self, attempt, id, rows, row)) {
        mr_step_fail(self, attempt, MR_BAD_REFRESH_TOKEN);
        return;
    }
    attempt->principal.has_session = true;
    mr_grant_answer(self, attempt);
}

/* May run again after a lost connection: a token that was spent for the id of the same message is no reuse. */
static const struct mr_step refresh_rotate = {"refresh__rotate", true, 5, bind_rotation, take_rotation};

static void begin_rotation(struct mr_actor *self, struct mr_attempt *attempt)
{
    mr_grant_inherit(attempt, spent_token(attempt), self->config, mr_wall_ms(self->clock));
    mr_grant_hash(attempt->spent_hash, spent_token(attempt));
    if (is_late(self, attempt->message)) /* a token must not be spent for nobody */
        mr_step_fail(self, attempt, MR_TIMEOUT);
}

/* A token that is lost to another is known as spent at the second look, so there is no third. */
static void on_refresh(struct mr_actor *self, struct mr_message *const *messages, unsigned count)
{
    enum { LOOKS = 2 };
    struct mr_attempt *attempts = mr_step_begin(self, messages, count);
    int64_t deadline_ms = mr_answer_deadline(self, messages, count);
    unsigned left = count;

    if (attempts == NULL)
        return;
    for (unsigned i = 0; i < count; i++)
        begin_rotation(self, &attempts[i]);
    for (int look = 0; look < LOOKS && (left = mr_step_left(attempts, left)) > 0; look++)
        mr_step_run(self, &refresh_rotate, attempts, left, deadline_ms);
    left = mr_step_left(attempts, left);
    for (unsigned i = 0; i < left; i++)
        mr_step_fail(self, &attempts[i], MR_OVERLOADED);
    free(attempts);
}

/* ---- Change of the password: find the user, check the old one, hash and store the new one ---- */

static void wrong_password(struct mr_actor *self, struct mr_attempt *attempt)
{
    mr_answer_error(self, attempt->message, MR_INVALID, "currentPassword", "wrong", "is not the current password");
}

static void bind_user(const struct mr_actor *self, struct mr_params *params, const struct mr_attempt *attempt)
{
    (void)self;
    mr_params_add(params, 0, MR_UUID, value_of(attempt, "userId"));
}

static void check_current(struct mr_actor *self, struct mr_attempt *attempt, const mr_rows *rows, int row)
{
    struct mr_slice hash = {0};
    mr_status status;

    if (row < 0 || is_late(self, attempt->message)) {
        mr_step_fail(self, attempt, row < 0 ? MR_INVALID_TOKEN : MR_TIMEOUT);
        return;
    }
    mr_rows_get(rows, (unsigned)row, 1, &hash);
    if (!mr_password_matches(hash, value_of(attempt, "currentPassword")->text)) {
        wrong_password(self, attempt);
        return;
    }
    attempt->password_version = mr_rows_int(rows, (unsigned)row, 2, 0);
    status = mr_password_hash(attempt->password_hash, value_of(attempt, "newPassword")->text);
    if (status != MR_OK)
        mr_step_fail(self, attempt, status);
}

static void bind_password(const struct mr_actor *self, struct mr_params *params, const struct mr_attempt *attempt)
{
    (void)self;
    mr_params_add(params, 0, MR_UUID, value_of(attempt, "userId"));
    mr_params_int(params, 1, attempt->password_version);
    mr_params_text(params, 2, attempt->password_hash);
}

/* Without a row the password that was checked is another one by now. */
static void take_changed(struct mr_actor *self, struct mr_attempt *attempt, const mr_rows *rows, int row)
{
    (void)rows;
    if (row < 0) {
        wrong_password(self, attempt);
        return;
    }
    mr_answer_nothing(self, attempt->message);
}

static const struct mr_step password_find = {"password_change__find", true, 1, bind_user, check_current};
static const struct mr_step password_store = {"password_change__store", false, 3, bind_password, take_changed};

static void on_password_change(struct mr_actor *self, struct mr_message *const *messages, unsigned count)
{
    struct mr_attempt *attempts = mr_step_begin(self, messages, count);
    int64_t deadline_ms = mr_answer_deadline(self, messages, count);

    if (attempts == NULL)
        return;
    mr_step_run(self, &password_find, attempts, count, deadline_ms);
    mr_step_run(self, &password_store, attempts, mr_step_left(attempts, count), deadline_ms);
    free(attempts);
}

/* ---- Sign out ---- */

static void hash_token(struct mr_message *message, char hash[MR_TOKEN_HASH])
{
    struct mr_value *token = &message->values[mr_field_index(MR_OP_sign_out, "refreshToken")];

    if (!token->present)
        return;
    mr_grant_hash(hash, token->text);
    token->text = mr_slice_of(hash);
}

/* The token itself goes nowhere from here: statement and log of the server see its hash. */
static void on_sign_out(struct mr_actor *self, struct mr_message *const *messages, unsigned count)
{
    char(*hashes)[MR_TOKEN_HASH] = calloc(count, sizeof *hashes);

    for (unsigned i = 0; i < count; i++)
        if (hashes != NULL)
            hash_token(messages[i], hashes[i]);
        else
            mr_answer_error(self, messages[i], MR_NO_MEMORY, NULL, NULL, NULL);
    if (hashes != NULL)
        mr_answer_by_sql(self, messages, count);
    free(hashes);
}

static mr_code_handler *const handlers[MR_OP_COUNT] = {
    [MR_OP_register] = on_register,
    [MR_OP_sign_in] = on_sign_in,
    [MR_OP_refresh] = on_refresh,
    [MR_OP_sign_out] = on_sign_out,
    [MR_OP_password_change] = on_password_change,
    [MR_OP_api_key_create] = mr_on_api_key_create,
    [MR_OP_key_verify] = mr_on_key_verify,
};

const struct mr_actor_spec mr_auth_spec = {.id = MR_ACTOR_AUTH, .handlers = handlers};
