#include "proto/envelope.h"

#include <math.h>

#include "proto/json.h"

enum { ENVELOPE_ITEMS = 9, TIMES_ITEMS = 4, REPLY_ITEMS = 6, FAULT_ITEMS = 5 };

static void optional_text(struct mr_buf *out, struct mr_slice text)
{
    if (text.len == 0)
        mr_wire_nil(out);
    else
        mr_wire_text(out, text);
}

static bool next_of_kind(struct mr_wire *wire, enum mr_wire_kind kind, struct mr_wire_item *item)
{
    return mr_wire_next(wire, item) == MR_OK && item->kind == kind;
}

static bool next_array(struct mr_wire *wire, uint32_t count)
{
    struct mr_wire_item item;

    return next_of_kind(wire, MR_WIRE_ARRAY, &item) && item.count == count;
}

/* An integer of 0 to `limit` - 1. */
static bool next_below(struct mr_wire *wire, int64_t limit, int64_t *out)
{
    struct mr_wire_item item;

    if (!next_of_kind(wire, MR_WIRE_INT, &item) || item.integer < 0 || item.integer >= limit)
        return false;
    *out = item.integer;
    return true;
}

static bool next_optional_text(struct mr_wire *wire, struct mr_slice *out)
{
    struct mr_wire_item item;

    if (mr_wire_next(wire, &item) != MR_OK || (item.kind != MR_WIRE_NIL && item.kind != MR_WIRE_TEXT))
        return false;
    *out = item.kind == MR_WIRE_TEXT ? item.bytes : (struct mr_slice){"", 0};
    return true;
}

mr_status mr_envelope_encode(struct mr_buf *out, const struct mr_envelope *envelope)
{
    mr_wire_array(out, ENVELOPE_ITEMS);
    mr_wire_int(out, MR_ENVELOPE_VERSION);
    mr_wire_int(out, envelope->kind);
    mr_wire_int(out, envelope->op);
    mr_wire_int(out, (int64_t)envelope->correlation);
    mr_wire_int(out, envelope->deadline_ms);
    optional_text(out, envelope->traceparent);
    if (envelope->has_principal) {
        mr_wire_array(out, 2);
        mr_wire_uuid(out, envelope->principal.user_id);
        mr_wire_int(out, envelope->principal.role);
    } else {
        mr_wire_nil(out);
    }
    mr_wire_bin(out, envelope->payload.data, envelope->payload.len);
    mr_wire_array(out, TIMES_ITEMS);
    mr_wire_int(out, envelope->times.sent_us);
    mr_wire_int(out, envelope->times.mailbox_us);
    mr_wire_int(out, envelope->times.database_us);
    mr_wire_int(out, envelope->times.batch);
    return out->failed ? MR_NO_MEMORY : MR_OK;
}

static bool next_principal(struct mr_wire *wire, struct mr_envelope *out)
{
    struct mr_wire_item item;
    int64_t role;

    if (mr_wire_next(wire, &item) != MR_OK)
        return false;
    if (item.kind == MR_WIRE_NIL)
        return true;
    if (item.kind != MR_WIRE_ARRAY || item.count != 2)
        return false;
    if (!next_of_kind(wire, MR_WIRE_BIN, &item) || item.bytes.len != 16 || !next_below(wire, MR_ROLE_COUNT, &role))
        return false;
    memcpy(out->principal.user_id, item.bytes.data, 16);
    out->principal.role = (enum mr_role)role;
    out->has_principal = true;
    return true;
}

static bool next_times(struct mr_wire *wire, struct mr_times *out)
{
    return next_array(wire, TIMES_ITEMS) && next_below(wire, INT64_MAX, &out->sent_us) &&
           next_below(wire, INT64_MAX, &out->mailbox_us) && next_below(wire, INT64_MAX, &out->database_us) &&
           next_below(wire, INT64_MAX, &out->batch);
}

mr_status mr_envelope_decode(struct mr_envelope *out, const void *data, size_t len)
{
    struct mr_wire wire = mr_wire_of(data, len);
    struct mr_envelope env = {0};
    struct mr_wire_item item;
    int64_t version;
    int64_t kind;
    int64_t op;
    int64_t correlation;

    if (!next_array(&wire, ENVELOPE_ITEMS) || !next_below(&wire, MR_ENVELOPE_VERSION + 1, &version) ||
        version != MR_ENVELOPE_VERSION || !next_below(&wire, MR_KIND_COUNT, &kind) || !next_below(&wire, mr_op_count(), &op) ||
        !next_below(&wire, INT64_MAX, &correlation) || !next_below(&wire, INT64_MAX, &env.deadline_ms) ||
        !next_optional_text(&wire, &env.traceparent) || !next_principal(&wire, &env) ||
        !next_of_kind(&wire, MR_WIRE_BIN, &item) || !next_times(&wire, &env.times) || wire.at != wire.end)
        return MR_INVALID;
    env.kind = (enum mr_kind)kind;
    env.op = (enum mr_op)op;
    env.correlation = (uint64_t)correlation;
    env.payload = item.bytes;
    *out = env;
    return MR_OK;
}

static void encode_value(struct mr_buf *out, enum mr_type type, const struct mr_value *value)
{
    if (!value->present) {
        value->cleared ? mr_wire_array(out, 0) : mr_wire_nil(out);
        return;
    }
    switch (type) {
    case MR_TEXT:
    case MR_DECIMAL:
    case MR_DATE: mr_wire_text(out, value->text); break;
    case MR_JSON: mr_wire_json(out, value->text); break;
    case MR_NUMBER: mr_wire_double(out, value->number); break;
    case MR_UUID: mr_wire_uuid(out, value->uuid); break;
    case MR_TIME: mr_wire_time(out, value->integer); break;
    case MR_INT: mr_wire_int(out, value->integer); break;
    case MR_BOOL: mr_wire_bool(out, value->boolean); break;
    case MR_BYTES: mr_wire_bin(out, value->text.data, value->text.len); break;
    }
}

void mr_payload_encode(struct mr_buf *out, enum mr_op op, const struct mr_value *values)
{
    const struct mr_field *fields = mr_op_info(op)->traits->fields;
    unsigned count = mr_field_count(op);

    mr_wire_array(out, count);
    for (unsigned i = 0; i < count; i++)
        encode_value(out, mr_field_carried(&fields[i]), &values[i]);
}

static bool take_bytes(const struct mr_wire_item *item, enum mr_wire_kind kind, struct mr_value *out)
{
    if (item->kind != kind)
        return false;
    out->text = item->bytes;
    return true;
}

/* nil: left out; an empty array: cleared. */
static bool decode_value(const struct mr_wire_item *item, enum mr_type type, struct mr_value *out)
{
    out->cleared = item->kind == MR_WIRE_ARRAY && item->count == 0;
    out->present = item->kind != MR_WIRE_NIL && !out->cleared;
    if (!out->present)
        return true;
    switch (type) {
    case MR_TEXT:
    case MR_DECIMAL:
    case MR_DATE: return take_bytes(item, MR_WIRE_TEXT, out);
    case MR_BYTES: return take_bytes(item, MR_WIRE_BIN, out);
    case MR_JSON: return item->kind == MR_WIRE_EXT && item->ext == MR_WIRE_JSON && take_bytes(item, MR_WIRE_EXT, out);
    case MR_NUMBER:
        if (item->kind != MR_WIRE_DOUBLE || !isfinite(item->number))
            return false;
        out->number = item->number;
        return true;
    case MR_UUID:
        if (item->kind != MR_WIRE_BIN || item->bytes.len != 16)
            return false;
        memcpy(out->uuid, item->bytes.data, 16);
        return true;
    case MR_TIME: return mr_wire_is_time(item, &out->integer);
    case MR_INT:
        if (item->kind != MR_WIRE_INT)
            return false;
        out->integer = item->integer;
        return true;
    case MR_BOOL:
        if (item->kind != MR_WIRE_BOOL)
            return false;
        out->boolean = item->boolean;
        return true;
    }
    return false;
}

mr_status mr_payload_decode(struct mr_value *values, enum mr_op op, struct mr_slice payload)
{
    struct mr_wire wire = mr_wire_of(payload.data, payload.len);
    const struct mr_field *fields = mr_op_info(op)->traits->fields;
    unsigned count = mr_field_count(op);
    struct mr_wire_item item;

    if (!next_array(&wire, count))
        return MR_INVALID;
    for (unsigned i = 0; i < count; i++) {
        if (mr_wire_next(&wire, &item) != MR_OK || !decode_value(&item, mr_field_carried(&fields[i]), &values[i]))
            return MR_INVALID;
        if ((fields[i].required && !values[i].present) || (values[i].cleared && !fields[i].clearable))
            return MR_INVALID;
    }
    return wire.at == wire.end ? MR_OK : MR_INVALID;
}

size_t mr_reply_begin(struct mr_buf *out)
{
    mr_wire_array(out, REPLY_ITEMS);
    return mr_wire_bin_begin(out);
}

void mr_reply_end(struct mr_buf *out, size_t begun, const struct mr_reply_head *head)
{
    mr_wire_bin_end(out, begun);
    optional_text(out, head->next);
    mr_wire_int(out, head->version);
    mr_wire_bin(out, head->id.data, head->id.len);
    mr_wire_bin(out, head->claims.data, head->claims.len);
    mr_wire_bool(out, head->pending);
}

mr_status mr_reply_decode(struct mr_slice payload, struct mr_reply_head *head, struct mr_slice *json)
{
    struct mr_wire wire = mr_wire_of(payload.data, payload.len);
    struct mr_reply_head read;
    struct mr_wire_item body;
    struct mr_wire_item id;
    struct mr_wire_item claims;
    struct mr_wire_item pending;

    if (!next_array(&wire, REPLY_ITEMS) || !next_of_kind(&wire, MR_WIRE_BIN, &body) || body.bytes.len == 0 ||
        !next_optional_text(&wire, &read.next) || !next_below(&wire, INT64_MAX, &read.version) ||
        !next_of_kind(&wire, MR_WIRE_BIN, &id) || (id.bytes.len != 0 && id.bytes.len != 16) ||
        !next_of_kind(&wire, MR_WIRE_BIN, &claims) || claims.bytes.len % MR_CLAIM_BYTES != 0 ||
        !next_of_kind(&wire, MR_WIRE_BOOL, &pending) || wire.at != wire.end)
        return MR_INVALID;
    read.id = id.bytes;
    read.claims = claims.bytes;
    read.pending = pending.boolean;
    *head = read;
    *json = body.bytes;
    return MR_OK;
}

void mr_fault_encode(struct mr_buf *out, const struct mr_fault *fault)
{
    mr_wire_array(out, FAULT_ITEMS);
    mr_wire_int(out, fault->status);
    optional_text(out, fault->field);
    optional_text(out, fault->code);
    optional_text(out, fault->message);
    optional_text(out, fault->errors);
}

void mr_fault_error(struct mr_buf *out, struct mr_slice field, struct mr_slice code, struct mr_slice message)
{
    mr_buf_text(out, out->len > 0 ? ",{\"field\":" : "{\"field\":");
    mr_json_string(out, field);
    mr_buf_text(out, ",\"code\":");
    mr_json_string(out, code);
    mr_buf_text(out, ",\"message\":");
    mr_json_string(out, message);
    mr_buf_char(out, '}');
}

mr_status mr_fault_decode(struct mr_fault *out, struct mr_slice payload)
{
    struct mr_wire wire = mr_wire_of(payload.data, payload.len);
    struct mr_fault fault;
    int64_t status;

    if (!next_array(&wire, FAULT_ITEMS) || !next_below(&wire, MR_STATUS_COUNT, &status) || status == MR_OK ||
        !next_optional_text(&wire, &fault.field) || !next_optional_text(&wire, &fault.code) ||
        !next_optional_text(&wire, &fault.message) || !next_optional_text(&wire, &fault.errors))
        return MR_INVALID;
    fault.status = (mr_status)status;
    *out = fault;
    return MR_OK;
}
