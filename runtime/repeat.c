#include "runtime/repeat.h"

#include "proto/json.h"
#include "proto/uuid.h"
#include "runtime/answer.h"

#define FIRST "row_wise__first"

/* Of the claim when the key is there: division by zero. */
#define IS_THERE "22012"

static const struct mr_value *value_from(const struct mr_message *message, enum mr_source source)
{
    const struct mr_field *fields = mr_op_info(message->envelope.op)->traits->fields;

    for (unsigned i = 0; fields[i].name != NULL; i++)
        if (fields[i].from == source)
            return &message->values[i];
    return NULL;
}

bool mr_repeat_is_keyed(const struct mr_message *message)
{
    const struct mr_value *key = value_from(message, MR_HEADER);

    return mr_op_info(message->envelope.op)->traits->idempotent && message->envelope.has_principal && key != NULL &&
           key->present;
}

static void add_key(struct mr_params *params, const struct mr_message *message)
{
    mr_params_id(params, 0, message->envelope.principal.user_id);
    mr_params_add(params, 1, MR_TEXT, value_from(message, MR_HEADER));
}

static struct mr_slice fingerprint_of(const struct mr_message *message)
{
    const struct mr_value *fingerprint = value_from(message, MR_FINGERPRINT);

    return fingerprint != NULL && fingerprint->present ? fingerprint->text : (struct mr_slice){"", 0};
}

mr_status mr_repeat_claim(struct mr_actor *self, const struct mr_message *message)
{
    struct mr_params *params = &self->other_params;
    struct mr_value fingerprint = {.present = true, .text = fingerprint_of(message)};
    mr_status status;

    mr_params_begin(params, 3);
    add_key(params, message);
    mr_params_add(params, 2, MR_TEXT, &fingerprint);
    status = mr_params_end(params);
    if (status == MR_OK)
        mr_db_window_guard(self->db, MR_REPEAT_CLAIM, params);
    return status;
}

/* ---- Keeping ---- */

/* {"$body": its JSON as text, "$version": …, "$id": …}: jsonb would put the members of an object into another order. */
static mr_status write_kept(struct mr_buf *out, struct mr_slice payload)
{
    struct mr_reply_head head;
    struct mr_slice json;
    char id[MR_UUID_TEXT + 1];
    mr_status status = mr_reply_decode(payload, &head, &json);

    if (status != MR_OK)
        return status;
    mr_buf_text(out, "{\"$body\":");
    mr_json_string(out, json);
    mr_buf_printf(out, ",\"$version\":%lld", (long long)head.version);
    if (head.id.len == 16) {
        mr_uuid_format(id, (const uint8_t *)head.id.data);
        mr_buf_printf(out, ",\"$id\":\"%.*s\"", MR_UUID_TEXT, id);
    }
    mr_buf_char(out, '}');
    return out->failed ? MR_NO_MEMORY : MR_OK;
}

/* An answer that is no success is not kept, and its key is given back: NULL in its place. */
static mr_status add_answer(struct mr_actor *self, const struct mr_message *message, const mr_rows *rows)
{
    struct mr_params *params = &self->other_params;
    struct mr_buf kept = {0};
    struct mr_value answer = {.present = mr_answer_make(self, message, rows)};
    mr_status status = MR_OK;

    if (answer.present)
        status = self->body.failed ? MR_NO_MEMORY : write_kept(&kept, (struct mr_slice){self->body.data, self->body.len});
    answer.text = (struct mr_slice){kept.data, kept.len};
    add_key(params, message);
    mr_params_add(params, 2, MR_TEXT, &answer);
    mr_buf_fini(&kept);
    return status;
}

void mr_repeat_commit(struct mr_actor *self, struct mr_message *const *messages, unsigned count, struct mr_db_step *steps)
{
    struct mr_params *params = &self->other_params;
    mr_status status = MR_OK;
    unsigned keys = 0;

    mr_params_begin(params, 3);
    for (unsigned i = 0; i < count && status == MR_OK; i++)
        if (steps[i].status == MR_OK && mr_repeat_is_keyed(messages[i])) {
            status = add_answer(self, messages[i], steps[i].rows);
            keys++;
        }
    if (status == MR_OK)
        status = mr_params_end(params);
    if (status == MR_OK)
        mr_db_window_commit(self->db, keys > 0 ? MR_REPEAT_KEEP : NULL, params, steps);
    else
        mr_db_window_abandon(self->db, status, steps);
}

/* ---- Repeating ---- */

bool mr_repeat_was_there(const struct mr_db_step *step)
{
    return step->guard != NULL && strcmp(step->guard, MR_REPEAT_CLAIM) == 0 && strcmp(step->error.sqlstate, IS_THERE) == 0;
}

enum column { FINGERPRINT, BODY, VERSION, ID };

static void answer_first(struct mr_actor *self, struct mr_message *message, const mr_rows *rows)
{
    struct mr_reply_head head = {.next = {"", 0}, .version = mr_rows_int(rows, 0, VERSION, 0), .id = {"", 0}};
    struct mr_slice fingerprint = {"", 0};
    struct mr_slice ours = fingerprint_of(message);
    struct mr_slice body;

    mr_rows_get(rows, 0, FINGERPRINT, &fingerprint);
    mr_rows_get(rows, 0, ID, &head.id);
    if (fingerprint.len != ours.len || memcmp(fingerprint.data, ours.data, ours.len) != 0 || !mr_rows_get(rows, 0, BODY, &body))
        mr_answer_error(self, message, MR_UNPROCESSABLE, NULL, NULL, NULL);
    else
        mr_answer_json(self, message, &head, body);
}

bool mr_repeat_answer(struct mr_actor *self, struct mr_message *message)
{
    struct mr_params *params = &self->params;
    int64_t deadline_ms = mr_answer_deadline(self, &message, 1);
    mr_rows *rows = NULL;
    bool found = true;
    mr_status status;

    mr_params_begin(params, 2);
    add_key(params, message);
    status = mr_params_end(params);
    if (status == MR_OK)
        status = mr_answer_query(self, FIRST, true, deadline_ms, &rows);
    if (status != MR_OK) {
        mr_answer_log(self, FIRST, status, 1);
        mr_answer_error(self, message, status, NULL, NULL, NULL);
    } else if (mr_rows_count(rows) == 0) {
        found = false;
    } else {
        answer_first(self, message, rows);
    }
    mr_rows_free(&rows);
    return found;
}
