#include "proto/envelope.h"

#include "tests/support/test.h"

static const struct mr_envelope sample = {
    .kind = MR_REQUEST,
    .op = MR_OP_profile_get,
    .correlation = UINT64_C(0x3fffffff00000001),
    .deadline_ms = 1800000000000,
    .traceparent = {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", 55},
    .has_principal = true,
    .principal = {.user_id = {1, 2, 3}, .role = MR_ROLE_ADMIN},
    .payload = {"\x90", 1},
    .times = {1800000000000000, 1, 70000, 128},
};

static void encode(struct mr_buf *out, const struct mr_envelope *envelope)
{
    assert_int_equal(mr_envelope_encode(out, envelope), MR_OK);
}

static bool decodes(const void *data, size_t len)
{
    struct mr_envelope out;

    return mr_envelope_decode(&out, data, len) == MR_OK;
}

static void test_envelope__comes_back_as_it_went(void **state)
{
    struct mr_buf buf = {0};
    struct mr_envelope out;

    (void)state;
    encode(&buf, &sample);
    assert_int_equal(mr_envelope_decode(&out, buf.data, buf.len), MR_OK);
    assert_int_equal(out.kind, sample.kind);
    assert_int_equal(out.op, sample.op);
    assert_int_equal(out.correlation, sample.correlation);
    assert_int_equal(out.deadline_ms, sample.deadline_ms);
    assert_slice_equal(out.traceparent, sample.traceparent.data);
    assert_true(out.has_principal);
    assert_memory_equal(out.principal.user_id, sample.principal.user_id, 16);
    assert_int_equal(out.principal.role, MR_ROLE_ADMIN);
    assert_slice_equal(out.payload, "\x90");
    assert_memory_equal(&out.times, &sample.times, sizeof out.times);
    mr_buf_fini(&buf);
}

static void test_envelope__goes_without_principal_trace_and_payload(void **state)
{
    struct mr_envelope bare = {.kind = MR_ERROR, .op = MR_OP_health};
    struct mr_buf buf = {0};
    struct mr_envelope out;

    (void)state;
    encode(&buf, &bare);
    assert_int_equal(mr_envelope_decode(&out, buf.data, buf.len), MR_OK);
    assert_false(out.has_principal);
    assert_int_equal(out.traceparent.len, 0);
    assert_int_equal(out.payload.len, 0);
    mr_buf_fini(&buf);
}

static void test_envelope__cut_or_followed_by_more_it_is_refused(void **state)
{
    struct mr_buf buf = {0};

    (void)state;
    encode(&buf, &sample);
    for (size_t len = 0; len < buf.len; len++) {
        char *copy = malloc(len > 0 ? len : 1);

        memcpy(copy, buf.data, len);
        assert_false(decodes(copy, len));
        free(copy);
    }
    mr_buf_char(&buf, '\0');
    assert_false(decodes(buf.data, buf.len));
    mr_buf_fini(&buf);
}

/* An envelope whose item `wrong` is replaced by what `put` writes. */
struct items {
    int64_t version, kind, op, correlation, deadline, times;
};

static void write(struct mr_buf *out, uint32_t count, struct items items, int64_t role, size_t id_len)
{
    mr_wire_array(out, count);
    mr_wire_int(out, items.version);
    mr_wire_int(out, items.kind);
    mr_wire_int(out, items.op);
    mr_wire_int(out, items.correlation);
    mr_wire_int(out, items.deadline);
    mr_wire_nil(out);
    mr_wire_array(out, 2);
    mr_wire_bin(out, "0123456789abcdefX", id_len);
    mr_wire_int(out, role);
    mr_wire_bin(out, "", 0);
    mr_wire_array(out, 4);
    for (int i = 0; i < 4; i++)
        mr_wire_int(out, items.times);
}

static bool takes(uint32_t count, struct items items, int64_t role, size_t id_len)
{
    struct mr_buf buf = {0};
    bool good;

    write(&buf, count, items, role, id_len);
    good = decodes(buf.data, buf.len);
    mr_buf_fini(&buf);
    return good;
}

static void test_envelope__unknown_numbers_are_refused(void **state)
{
    const struct items good = {MR_ENVELOPE_VERSION, MR_REPLY, MR_OP_profile_get, 1, 1, 1};
    struct items bad[] = {good, good, good, good, good, good, good, good, good, good};

    (void)state;
    bad[0].version = 0;
    bad[1].version = MR_ENVELOPE_VERSION + 1;
    bad[2].kind = MR_KIND_COUNT;
    bad[3].kind = -1;
    bad[4].op = MR_OP_COUNT;
    bad[5].op = -1;
    bad[6].op = INT64_C(1) << 32; /* would be 0 if it were cut to 32 bits */
    bad[7].correlation = -1;
    bad[8].deadline = -1;
    bad[9].times = -1;
    assert_true(takes(9, good, MR_ROLE_USER, 16));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (takes(9, bad[i], MR_ROLE_USER, 16))
            fail_test("case %zu was taken", i);
    assert_false(takes(8, good, MR_ROLE_USER, 16));
    assert_false(takes(10, good, MR_ROLE_USER, 16));
    assert_false(takes(9, good, MR_ROLE_COUNT, 16));
    assert_false(takes(9, good, -1, 16));
    assert_false(takes(9, good, MR_ROLE_USER, 15));
    assert_false(takes(9, good, MR_ROLE_USER, 17));
}

static void test_envelope__items_of_another_kind_are_refused(void **state)
{
    struct mr_buf good = {0};

    (void)state;
    write(&good, 9, (struct items){MR_ENVELOPE_VERSION, 0, 1, 1, 1, 0}, 0, 16);
    for (size_t at = 0; at < 7; at++) { /* heads of one byte: array, five integers, nil */
        static const char others[] = "\xc0\xc2\xa0\x90\x80\x00";

        for (const char *head = others; head < others + 6; head++) {
            char bad[64];
            bool same_kind = (at >= 1 && at <= 5 && *head == '\0') || (at == 6 && (*head == '\xc0' || *head == '\xa0'));

            assert_in_range(good.len, 1, sizeof bad);
            memcpy(bad, good.data, good.len);
            bad[at] = *head;
            if (!same_kind && decodes(bad, good.len))
                fail_test("item %zu as %02x", at, (unsigned char)*head);
        }
    }
    mr_buf_fini(&good);
}

static void test_envelope__the_result_is_untouched_by_a_failure(void **state)
{
    struct mr_envelope out = {.correlation = 77};

    (void)state;
    assert_int_equal(mr_envelope_decode(&out, "\x99\x02\x00\x00\x05", 5), MR_INVALID);
    assert_int_equal(out.correlation, 77);
}

/* ---- Payloads ---- */

static void fill(struct mr_value *values, enum mr_op op)
{
    memset(values, 0, MR_FIELDS_MAX * sizeof *values);
    for (int i = 0; mr_op_info(op)->traits->fields[i].name != NULL; i++) {
        values[i].present = true;
        switch (mr_field_carried(&mr_op_info(op)->traits->fields[i])) {
        case MR_TEXT: values[i].text = MR_SLICE("some text"); break;
        case MR_BYTES: values[i].text = MR_SLICE("\xff\0bytes"); break;
        case MR_UUID: memset(values[i].uuid, 0x40 + i, 16); break;
        case MR_TIME: values[i].integer = INT64_C(-1000001) * (i + 1); break;
        case MR_INT: values[i].integer = i + 1; break;
        case MR_BOOL: values[i].boolean = true; break;
        case MR_DECIMAL: values[i].text = MR_SLICE("-12345678901234567890.5"); break;
        case MR_NUMBER: values[i].number = 0.1; break;
        case MR_DATE: values[i].text = MR_SLICE("2027-01-31"); break;
        case MR_JSON: values[i].text = MR_SLICE("{\"a\":[1.10]}"); break;
        }
    }
}

static void compare(const struct mr_value *a, const struct mr_value *b, enum mr_type type)
{
    assert_int_equal(a->present, b->present);
    assert_int_equal(a->cleared, b->cleared);
    if (!a->present)
        return;
    switch (type) {
    case MR_TEXT:
    case MR_DECIMAL:
    case MR_DATE:
    case MR_JSON:
    case MR_BYTES: assert_int_equal(a->text.len, b->text.len); assert_memory_equal(a->text.data, b->text.data, a->text.len); break;
    case MR_UUID: assert_memory_equal(a->uuid, b->uuid, 16); break;
    case MR_TIME:
    case MR_INT: assert_int_equal(a->integer, b->integer); break;
    case MR_BOOL: assert_int_equal(a->boolean, b->boolean); break;
    case MR_NUMBER: assert_true(a->number == b->number); break;
    }
}

static void test_envelope__payloads_of_every_op_come_back(void **state)
{
    (void)state;
    for (int op = 0; op < MR_OP_COUNT; op++)
        for (int variation = 0; variation < 3; variation++) { /* all there; optional ones left out; clearable ones cleared */
            const struct mr_field *fields = mr_op_info((enum mr_op)op)->traits->fields;
            struct mr_value in[MR_FIELDS_MAX];
            struct mr_value out[MR_FIELDS_MAX];
            struct mr_buf buf = {0};

            fill(in, (enum mr_op)op);
            for (int i = 0; variation > 0 && fields[i].name != NULL; i++) {
                in[i].present = fields[i].required;
                in[i].cleared = variation == 2 && fields[i].clearable;
            }
            mr_payload_encode(&buf, (enum mr_op)op, in);
            assert_int_equal(mr_payload_decode(out, (enum mr_op)op, buf_slice(&buf)), MR_OK);
            for (int i = 0; fields[i].name != NULL; i++)
                compare(&in[i], &out[i], mr_field_carried(&fields[i]));
            mr_buf_fini(&buf);
        }
}

static bool fits(enum mr_op op, const struct mr_buf *payload)
{
    struct mr_value out[MR_FIELDS_MAX];

    return mr_payload_decode(out, op, buf_slice(payload)) == MR_OK;
}

static void test_envelope__a_payload_that_does_not_fit_is_refused(void **state)
{
    struct mr_value in[MR_FIELDS_MAX];

    (void)state;
    for (int op = 0; op < MR_OP_COUNT; op++) {
        const struct mr_field *fields = mr_op_info((enum mr_op)op)->traits->fields;
        unsigned count = mr_field_count((enum mr_op)op);
        struct mr_buf buf = {0};

        fill(in, (enum mr_op)op);
        mr_payload_encode(&buf, (enum mr_op)op, in);
        for (size_t cut = 0; cut < buf.len; cut++)
            assert_int_not_equal(mr_payload_decode(in, (enum mr_op)op, (struct mr_slice){buf.data, cut}), MR_OK);
        mr_buf_char(&buf, '\xc0');
        assert_false(fits((enum mr_op)op, &buf));
        mr_buf_fini(&buf);
        for (unsigned wrong = 0; wrong < count; wrong++) {
            mr_wire_array(&buf, count); /* a double fits no field */
            fill(in, (enum mr_op)op);
            for (unsigned i = 0; i < count; i++)
                mr_wire_double(&buf, 1);
            assert_false(fits((enum mr_op)op, &buf));
            mr_buf_clear(&buf, SIZE_MAX);
            in[wrong].present = false;
            mr_payload_encode(&buf, (enum mr_op)op, in);
            assert_int_equal(fits((enum mr_op)op, &buf), !fields[wrong].required);
            mr_buf_clear(&buf, SIZE_MAX);
            in[wrong].cleared = true;
            mr_payload_encode(&buf, (enum mr_op)op, in);
            assert_int_equal(fits((enum mr_op)op, &buf), fields[wrong].clearable);
            mr_buf_fini(&buf);
        }
    }
}

static void test_envelope__replies_and_faults_come_back(void **state)
{
    struct mr_fault fault = {MR_CONFLICT, MR_SLICE("username"), MR_SLICE("taken"), {"", 0}, MR_SLICE("{}")};
    struct mr_buf buf = {0};
    struct mr_fault out;
    struct mr_reply_head said = {MR_SLICE("cursor"), 7, MR_SLICE("0123456789abcdef"), MR_SLICE("0123456789abcdef01234567"), true};
    struct mr_reply_head nothing = {{"", 0}, 0, {"", 0}, {"", 0}, false};
    struct mr_reply_head head;
    struct mr_slice json;
    size_t begun;

    (void)state;
    begun = mr_reply_begin(&buf);
    mr_buf_text(&buf, "{\"a\":5}");
    mr_reply_end(&buf, begun, &said);
    assert_int_equal(mr_reply_decode(buf_slice(&buf), &head, &json), MR_OK);
    assert_slice_equal(json, "{\"a\":5}");
    assert_slice_equal(head.next, "cursor");
    assert_int_equal(head.version, 7);
    assert_slice_equal(head.id, "0123456789abcdef");
    assert_slice_equal(head.claims, "0123456789abcdef01234567");
    assert_true(head.pending);
    for (size_t len = 0; len < buf.len; len++)
        assert_int_equal(mr_reply_decode((struct mr_slice){buf.data, len}, &head, &json), MR_INVALID);
    mr_buf_clear(&buf, SIZE_MAX);
    begun = mr_reply_begin(&buf);
    for (unsigned i = 0; i < 100000; i++)
        mr_buf_char(&buf, '1');
    mr_reply_end(&buf, begun, &nothing);
    assert_int_equal(mr_reply_decode(buf_slice(&buf), &head, &json), MR_OK);
    assert_int_equal(json.len, 100000);
    assert_int_equal(head.next.len + head.id.len + (size_t)head.version, 0);
    assert_int_equal(mr_reply_decode(MR_SLICE("\x96\xc4\x01" "1\xc0\x01\xc4\x00\xc4\x00\xc2"), &head, &json), MR_OK);
    assert_int_equal(mr_reply_decode(MR_SLICE("\x92\xc4\x01" "1\xc0"), &head, &json), MR_INVALID);
    assert_int_equal(mr_reply_decode(MR_SLICE("\x94\xc4\x01" "1\xc0\x01\xc4\x00"), &head, &json), MR_INVALID);
    assert_int_equal(mr_reply_decode(MR_SLICE("\x96\xc4\x00\xc0\x01\xc4\x00\xc4\x00\xc2"), &head, &json), MR_INVALID);
    assert_int_equal(mr_reply_decode(MR_SLICE("\x96\x01\xc0\x01\xc4\x00\xc4\x00\xc2"), &head, &json), MR_INVALID);
    assert_int_equal(mr_reply_decode(MR_SLICE("\x96\xc4\x01" "1\xc0\x01\xc4\x02hi\xc4\x00\xc2"), &head, &json), MR_INVALID);
    assert_int_equal(mr_reply_decode(MR_SLICE("\x96\xc4\x01" "1\xc0\xff\xc4\x00\xc4\x00\xc2"), &head, &json), MR_INVALID);
    assert_int_equal(mr_reply_decode(MR_SLICE("\x96\xc4\x01" "1\xc0\x01\xc4\x00\xc4\x00\xc2\xc0"), &head, &json), MR_INVALID);
    assert_int_equal(mr_reply_decode(MR_SLICE("\x96\xc4\x01" "1\xc0\x01\xc4\x00\xc4\x02hi\xc2"), &head, &json), MR_INVALID);
    assert_int_equal(mr_reply_decode(MR_SLICE("\x96\xc4\x01" "1\xc0\x01\xc4\x00\xc4\x00\x01"), &head, &json), MR_INVALID);
    mr_buf_clear(&buf, SIZE_MAX);
    mr_fault_encode(&buf, &fault);
    assert_int_equal(mr_fault_decode(&out, buf_slice(&buf)), MR_OK);
    assert_int_equal(out.status, MR_CONFLICT);
    assert_slice_equal(out.field, "username");
    assert_slice_equal(out.code, "taken");
    assert_int_equal(out.message.len, 0);
    assert_slice_equal(out.errors, "{}");
    for (size_t cut = 0; cut < buf.len; cut++)
        assert_int_equal(mr_fault_decode(&out, (struct mr_slice){buf.data, cut}), MR_INVALID);
    assert_int_equal(mr_fault_decode(&out, MR_SLICE("\x95\x00\xc0\xc0\xc0\xc0")), MR_INVALID); /* OK is no fault */
    assert_int_equal(mr_fault_decode(&out, MR_SLICE("\x95\x7f\xc0\xc0\xc0\xc0")), MR_INVALID);
    mr_buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_envelope__comes_back_as_it_went),
        cmocka_unit_test(test_envelope__goes_without_principal_trace_and_payload),
        cmocka_unit_test(test_envelope__cut_or_followed_by_more_it_is_refused),
        cmocka_unit_test(test_envelope__unknown_numbers_are_refused),
        cmocka_unit_test(test_envelope__items_of_another_kind_are_refused),
        cmocka_unit_test(test_envelope__the_result_is_untouched_by_a_failure),
        cmocka_unit_test(test_envelope__payloads_of_every_op_come_back),
        cmocka_unit_test(test_envelope__a_payload_that_does_not_fit_is_refused),
        cmocka_unit_test(test_envelope__replies_and_faults_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
