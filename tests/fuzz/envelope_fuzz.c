/* Bytes as an envelope, and its payload as what the envelope says it is; what is taken comes back as it went in. */
#include "proto/envelope.h"
#include "tests/fuzz/fuzz.h"

static void check_round_trip(const struct mr_envelope *envelope)
{
    struct mr_envelope again;
    struct mr_buf buf = {0};

    must(mr_envelope_encode(&buf, envelope) == MR_OK);
    must(mr_envelope_decode(&again, buf.data, buf.len) == MR_OK);
    must(again.op == envelope->op && again.kind == envelope->kind && again.correlation == envelope->correlation);
    must(again.payload.len == envelope->payload.len);
    mr_buf_fini(&buf);
}

static void check_payload(const struct mr_envelope *envelope)
{
    struct mr_value values[MR_FIELDS_MAX];
    struct mr_buf buf = {0};

    if (mr_payload_decode(values, envelope->op, envelope->payload) != MR_OK)
        return;
    mr_payload_encode(&buf, envelope->op, values);
    must(!buf.failed);
    must(mr_payload_decode(values, envelope->op, (struct mr_slice){buf.data, buf.len}) == MR_OK);
    mr_buf_fini(&buf);
}

/* Its pieces lie inside of it, and make a reply that says the same. */
static void check_reply(struct mr_slice payload, const struct mr_reply_head *head, struct mr_slice json)
{
    struct mr_reply_head again;
    struct mr_slice text;
    struct mr_buf buf = {0};
    size_t begun = mr_reply_begin(&buf);

    must(json.data >= payload.data && json.data + json.len <= payload.data + payload.len);
    mr_buf_slice(&buf, json);
    mr_reply_end(&buf, begun, head);
    must(!buf.failed);
    must(mr_reply_decode((struct mr_slice){buf.data, buf.len}, &again, &text) == MR_OK);
    must(text.len == json.len && memcmp(text.data, json.data, json.len) == 0);
    must(again.version == head->version && again.next.len == head->next.len && again.id.len == head->id.len);
    mr_buf_fini(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mr_envelope envelope;
    struct mr_fault fault;
    struct mr_reply_head head;
    struct mr_slice json;

    if (mr_envelope_decode(&envelope, data, size) != MR_OK)
        return 0;
    check_round_trip(&envelope);
    check_payload(&envelope);
    (void)!mr_fault_decode(&fault, envelope.payload);
    if (mr_reply_decode(envelope.payload, &head, &json) == MR_OK)
        check_reply(envelope.payload, &head, json);
    return 0;
}
