#include "actors/apikeys.h"

#include <sodium.h>
#include <stdlib.h>

#include "actors/grant.h"
#include "proto/apikey.h"
#include "proto/json.h"
#include "runtime/answer.h"

enum { CREATE_PARAMS = 8, DAY_MS = 86400000 };

_Static_assert(MR_KEY_TEXT == sizeof MR_KEY_PREFIX - 1 +
                                  sodium_base64_ENCODED_LEN(MR_KEY_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING) - 1,
               "a key is as long as it is said to be");
_Static_assert(MR_TOKEN_TEXT == MR_KEY_TEXT - (sizeof MR_KEY_PREFIX - 1) + 1, "an attempt has room for it, but for its prefix");

static struct mr_value *value_of(const struct mr_attempt *attempt, const char *field)
{
    struct mr_message *message = attempt->message;

    return &message->values[mr_field_index(message->envelope.op, field)];
}

/* ---- Making ---- */

/* The key itself; its bytes are those of the attempt's token. */
static void write_key(char out[MR_KEY_TEXT + 1], const struct mr_attempt *attempt)
{
    memcpy(out, MR_KEY_PREFIX, sizeof MR_KEY_PREFIX - 1);
    memcpy(out + sizeof MR_KEY_PREFIX - 1, attempt->refresh_token, MR_TOKEN_TEXT);
}

static void draw(struct mr_attempt *attempt)
{
    uint8_t random[MR_KEY_BYTES];
    char key[MR_KEY_TEXT + 1];

    randombytes_buf(random, sizeof random);
    sodium_bin2base64(attempt->refresh_token, sizeof attempt->refresh_token, random, sizeof random,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    write_key(key, attempt);
    mr_grant_hash(attempt->refresh_hash, (struct mr_slice){key, MR_KEY_TEXT});
    sodium_memzero(random, sizeof random);
    sodium_memzero(key, sizeof key);
}

static void bind_key(const struct mr_actor *self, struct mr_params *params, const struct mr_attempt *attempt)
{
    (void)self;
    mr_params_add(params, 0, MR_UUID, value_of(attempt, "id"));
    mr_params_add(params, 1, MR_UUID, value_of(attempt, "userId"));
    mr_params_add(params, 2, MR_TEXT, value_of(attempt, "name"));
    mr_params_add(params, 3, MR_TEXT, value_of(attempt, "scopes"));
    mr_params_add(params, 4, MR_TIME, value_of(attempt, "expiresAt"));
    mr_params_text(params, 5, attempt->refresh_hash);
    mr_params_add(params, 6, MR_TEXT, value_of(attempt, "knownScopes"));
    mr_params_text(params, 7, "user");
}

static void refuse_scopes(struct mr_actor *self, struct mr_attempt *attempt, struct mr_slice unknown)
{
    struct mr_buf text = {0};

    mr_buf_text(&text, "no operation knows ");
    mr_buf_slice(&text, unknown);
    mr_buf_char(&text, '\0');
    if (text.failed)
        mr_step_fail(self, attempt, MR_NO_MEMORY);
    else
        mr_answer_error(self, attempt->message, MR_INVALID, "scopes", "unknown", text.data);
    mr_buf_fini(&text);
}

/* The object that the statement made, with the key in front. */
static void tell_key(struct mr_actor *self, struct mr_attempt *attempt, struct mr_slice told)
{
    struct mr_reply_head head = {.id = {(const char *)value_of(attempt, "id")->uuid, 16}};
    char key[MR_KEY_TEXT + 1];
    struct mr_buf json = {0};

    write_key(key, attempt);
    mr_buf_printf(&json, "{\"key\":\"%s\",", key);
    mr_buf_append(&json, told.data + 1, told.len - 1);
    if (json.failed)
        mr_step_fail(self, attempt, MR_NO_MEMORY);
    else
        mr_answer_json(self, attempt->message, &head, (struct mr_slice){json.data, json.len});
    sodium_memzero(key, sizeof key);
    mr_buf_fini(&json);
}

static void take_key(struct mr_actor *self, struct mr_attempt *attempt, const mr_rows *rows, int row)
{
    struct mr_slice unknown = {"", 0};
    struct mr_slice told = {"", 0};

    if (row < 0) {
        mr_step_fail(self, attempt, MR_INTERNAL);
        return;
    }
    mr_rows_get(rows, (unsigned)row, 2, &unknown);
    mr_rows_get(rows, (unsigned)row, 4, &told);
    if (mr_rows_int(rows, (unsigned)row, 1, 0) != 0)
        mr_step_fail(self, attempt, MR_INVALID_TOKEN);
    else if (unknown.len > 0)
        refuse_scopes(self, attempt, unknown);
    else if (mr_rows_int(rows, (unsigned)row, 3, 0) != 0)
        mr_answer_error(self, attempt->message, MR_INVALID, "expiresAt", "range", "must be in the future");
    else if (told.len > 2)
        tell_key(self, attempt, told);
    else
        mr_step_fail(self, attempt, MR_INTERNAL);
}

static const struct mr_step store_key = {"api_key_create__store", true, CREATE_PARAMS, bind_key, take_key};

void mr_on_api_key_create(struct mr_actor *self, struct mr_message *const *messages, unsigned count)
{
    struct mr_attempt *attempts = mr_step_begin(self, messages, count);
    struct mr_buf known = {0};

    mr_scopes_known(&known);
    for (unsigned i = 0; attempts != NULL && i < count; i++) {
        draw(&attempts[i]);
        *value_of(&attempts[i], "knownScopes") = (struct mr_value){.present = true, .text = {known.data, known.len}};
        if (known.failed)
            mr_step_fail(self, &attempts[i], MR_NO_MEMORY);
    }
    if (attempts != NULL)
        mr_step_run(self, &store_key, attempts, mr_step_left(attempts, count), mr_answer_deadline(self, messages, count));
    if (attempts != NULL)
        sodium_memzero(attempts, count * sizeof *attempts);
    free(attempts);
    mr_buf_fini(&known);
}

/* ---- Verifying ---- */

static void bind_hash(const struct mr_actor *self, struct mr_params *params, const struct mr_attempt *attempt)
{
    (void)self;
    mr_params_add(params, 0, MR_BYTES, value_of(attempt, "keyHash"));
}

static void take_found(struct mr_actor *self, struct mr_attempt *attempt, const mr_rows *rows, int row)
{
    struct mr_slice id = {"", 0};
    struct mr_slice scopes = {"", 0};
    struct mr_reply_head head = {.version = 0};
    struct mr_buf body = {0};

    if (row < 0) {
        mr_step_fail(self, attempt, MR_INVALID_KEY);
        return;
    }
    mr_rows_get(rows, (unsigned)row, 1, &id);
    mr_rows_get(rows, (unsigned)row, 2, &scopes);
    head.id = id;
    mr_buf_text(&body, "{\"scopes\":");
    mr_json_string(&body, scopes);
    mr_buf_printf(&body, ",\"life\":%lld}", (long long)mr_rows_int(rows, (unsigned)row, 3, DAY_MS));
    if (body.failed)
        mr_step_fail(self, attempt, MR_NO_MEMORY);
    else
        mr_answer_json(self, attempt->message, &head, (struct mr_slice){body.data, body.len});
    mr_buf_fini(&body);
}

static const struct mr_step find_key = {"key_verify__find", true, 1, bind_hash, take_found};

void mr_on_key_verify(struct mr_actor *self, struct mr_message *const *messages, unsigned count)
{
    struct mr_attempt *attempts = mr_step_begin(self, messages, count);

    if (attempts != NULL)
        mr_step_run(self, &find_key, attempts, count, mr_answer_deadline(self, messages, count));
    free(attempts);
}
