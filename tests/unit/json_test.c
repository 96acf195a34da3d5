#include "proto/json.h"

#include <jansson.h>
#include <math.h>

#include "tests/support/test.h"

static char *text_of(struct mr_buf *wire)
{
    struct mr_wire at = mr_wire_of(wire->data, wire->len);
    struct mr_buf json = {0};

    assert_int_equal(mr_json_from_wire(&json, &at), MR_OK);
    assert_ptr_equal(at.at, at.end);
    mr_buf_char(&json, '\0');
    mr_buf_fini(wire);
    return json.data;
}

static void check(struct mr_buf *wire, const char *expected)
{
    char *json = text_of(wire);

    assert_string_equal(json, expected);
    free(json);
}

static void test_json__scalars(void **state)
{
    struct mr_buf buf = {0};

    (void)state;
    mr_wire_nil(&buf);
    check(&buf, "null");
    mr_wire_bool(&buf, true);
    check(&buf, "true");
    mr_wire_int(&buf, INT64_MIN);
    check(&buf, "-9223372036854775808");
    mr_wire_double(&buf, 0.5);
    check(&buf, "0.5");
    mr_wire_uuid(&buf, (const uint8_t *)"\x91\x91\x08\xf7\x52\xd1\x43\x20\x9b\xac\xf8\x47\xdb\x41\x48\xa8");
    check(&buf, "\"919108f7-52d1-4320-9bac-f847db4148a8\"");
    mr_wire_time(&buf, INT64_C(1798761600000000));
    check(&buf, "\"2027-01-01T00:00:00.000Z\"");
}

static void test_json__containers_nest_in_order(void **state)
{
    struct mr_buf buf = {0};

    (void)state;
    mr_wire_map(&buf, 2);
    mr_wire_text(&buf, MR_SLICE("a"));
    mr_wire_array(&buf, 3);
    mr_wire_int(&buf, 1);
    mr_wire_array(&buf, 0);
    mr_wire_map(&buf, 0);
    mr_wire_text(&buf, MR_SLICE("b \"quoted\""));
    mr_wire_nil(&buf);
    check(&buf, "{\"a\":[1,[],{}],\"b \\\"quoted\\\"\":null}");
}

/* Every character below U+0080, and some above, as jansson reads them back. */
static void test_json__strings_are_read_back_by_another_parser(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 0x80; c++) {
        char text[] = {'a', (char)c, 'b', (char)c, '\0'};
        struct mr_buf buf = {0};
        json_t *json;

        mr_json_string(&buf, (struct mr_slice){text, 4});
        json = json_loadb(buf.data, buf.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_non_null(json);
        assert_int_equal(json_string_length(json), 4);
        assert_memory_equal(json_string_value(json), text, 4);
        json_decref(json);
        mr_buf_fini(&buf);
    }
    for (const char *const *text = (const char *const[]){"", "\xc3\xa9", "\xe2\x80\xa8", "\xf0\x9f\xa6\xa9 end", "</script>", NULL}; *text != NULL; text++) {
        struct mr_buf buf = {0};
        json_t *json;

        mr_json_string(&buf, mr_slice_of(*text));
        json = json_loadb(buf.data, buf.len, JSON_DECODE_ANY, NULL);
        assert_string_equal(json_string_value(json), *text);
        json_decref(json);
        mr_buf_fini(&buf);
    }
}

static void test_json__doubles_keep_their_value(void **state)
{
    static const double values[] = {0.1, -1e300, 1.0 / 3, 5e-324, 123456789.125, 1e21};

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct mr_buf buf = {0};
        char *json;

        mr_wire_double(&buf, values[i]);
        json = text_of(&buf);
        assert_true(strtod(json, NULL) == values[i]);
        free(json);
    }
}

static mr_status status_of(struct mr_slice wire)
{
    struct mr_wire at = mr_wire_of(wire.data, wire.len);
    struct mr_buf json = {0};
    mr_status status = mr_json_from_wire(&json, &at);

    mr_buf_fini(&json);
    return status;
}

static void test_json__what_json_cannot_say_is_refused(void **state)
{
    struct mr_buf buf = {0};

    (void)state;
    mr_wire_double(&buf, NAN);
    assert_int_equal(status_of(buf_slice(&buf)), MR_INVALID);
    mr_buf_clear(&buf, SIZE_MAX);
    mr_wire_double(&buf, -INFINITY);
    assert_int_equal(status_of(buf_slice(&buf)), MR_INVALID);
    mr_buf_fini(&buf);
    assert_int_equal(status_of(MR_SLICE("\xc4\x02xx")), MR_INVALID);     /* a bin that is no UUID */
    assert_int_equal(status_of(MR_SLICE("\xd4\x01x")), MR_INVALID);      /* an extension that is no instant */
    assert_int_equal(status_of(MR_SLICE("\x81\x01\x01")), MR_INVALID);   /* a key that is no text */
    assert_int_equal(status_of(MR_SLICE("\xc1")), MR_INVALID);
    assert_int_equal(status_of((struct mr_slice){"", 0}), MR_INVALID);
}

static void test_json__nesting_ends_at_the_limit(void **state)
{
    char deep[MR_WIRE_DEPTH + 2];

    (void)state;
    memset(deep, '\x91', sizeof deep);
    deep[MR_WIRE_DEPTH] = 1;
    assert_int_equal(status_of((struct mr_slice){deep, MR_WIRE_DEPTH + 1}), MR_OK);
    deep[MR_WIRE_DEPTH] = '\x91';
    deep[MR_WIRE_DEPTH + 1] = 1;
    assert_int_equal(status_of((struct mr_slice){deep, MR_WIRE_DEPTH + 2}), MR_INVALID);
}

static void test_json__cut_input_is_refused(void **state)
{
    struct mr_buf buf = {0};

    (void)state;
    mr_wire_map(&buf, 3);
    mr_wire_text(&buf, MR_SLICE("id"));
    mr_wire_uuid(&buf, (const uint8_t *)"0123456789abcdef");
    mr_wire_text(&buf, MR_SLICE("list"));
    mr_wire_array(&buf, 2);
    mr_wire_time(&buf, 0);
    mr_wire_double(&buf, 1.5);
    mr_wire_text(&buf, MR_SLICE("n"));
    mr_wire_int(&buf, 70000);
    assert_int_equal(status_of(buf_slice(&buf)), MR_OK);
    for (size_t len = 0; len < buf.len; len++) {
        char *copy = malloc(len > 0 ? len : 1);

        memcpy(copy, buf.data, len);
        assert_int_equal(status_of((struct mr_slice){copy, len}), MR_INVALID);
        free(copy);
    }
    mr_buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json__scalars),
        cmocka_unit_test(test_json__containers_nest_in_order),
        cmocka_unit_test(test_json__strings_are_read_back_by_another_parser),
        cmocka_unit_test(test_json__doubles_keep_their_value),
        cmocka_unit_test(test_json__what_json_cannot_say_is_refused),
        cmocka_unit_test(test_json__nesting_ends_at_the_limit),
        cmocka_unit_test(test_json__cut_input_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
