#include "proto/wire.h"

#include <float.h>
#include <msgpack.h>

#include "tests/support/test.h"

static int append(void *out, const char *bytes, size_t len)
{
    mr_buf_append(out, bytes, len);
    return 0;
}

/* We send no maps; others may. */
static void write_map(struct mr_buf *out, uint32_t pairs)
{
    msgpack_packer packer;

    msgpack_packer_init(&packer, out, append);
    msgpack_pack_map(&packer, pairs);
}

static struct mr_wire_item next(struct mr_wire *wire)
{
    struct mr_wire_item item = {0};

    assert_int_equal(mr_wire_next(wire, &item), MR_OK);
    return item;
}

static void test_wire__what_is_written_is_read(void **state)
{
    static const uint8_t uuid[16] = {1, 2, 3, 15};
    struct mr_buf buf = {0};
    struct mr_wire_item item;
    struct mr_wire wire;
    int64_t micros = 0;

    (void)state;
    mr_wire_nil(&buf);
    mr_wire_bool(&buf, true);
    mr_wire_bool(&buf, false);
    mr_wire_double(&buf, -0.5);
    mr_wire_text(&buf, MR_SLICE("text"));
    mr_wire_bin(&buf, "\0\1", 2);
    mr_wire_uuid(&buf, uuid);
    mr_wire_time(&buf, INT64_C(-1234567890123));
    mr_wire_array(&buf, 1);
    write_map(&buf, 0);
    wire = mr_wire_of(buf.data, buf.len);
    assert_int_equal(next(&wire).kind, MR_WIRE_NIL);
    assert_true(next(&wire).boolean);
    assert_false(next(&wire).boolean);
    item = next(&wire);
    assert_true(item.kind == MR_WIRE_DOUBLE && item.number == -0.5);
    item = next(&wire);
    assert_int_equal(item.kind, MR_WIRE_TEXT);
    assert_slice_equal(item.bytes, "text");
    item = next(&wire);
    assert_true(item.kind == MR_WIRE_BIN && item.bytes.len == 2);
    item = next(&wire);
    assert_true(item.kind == MR_WIRE_BIN && item.bytes.len == 16);
    assert_memory_equal(item.bytes.data, uuid, 16);
    assert_false(mr_wire_is_time(&item, &micros));
    item = next(&wire);
    assert_true(mr_wire_is_time(&item, &micros));
    assert_int_equal(micros, INT64_C(-1234567890123));
    item = next(&wire);
    assert_true(item.kind == MR_WIRE_ARRAY && item.count == 1);
    item = next(&wire);
    assert_true(item.kind == MR_WIRE_MAP && item.count == 0);
    assert_int_equal(mr_wire_next(&wire, &item), MR_INVALID);
    mr_buf_fini(&buf);
}

static void test_wire__integers_of_every_width(void **state)
{
    (void)state;
    for (int bits = 0; bits < 64; bits++)
        for (int around = -2; around <= 2; around++)
            for (int sign = -1; sign <= 1; sign += 2) {
                int64_t value = (int64_t)(((UINT64_C(1) << bits) + (uint64_t)(int64_t)around) * (uint64_t)(int64_t)sign);
                struct mr_buf buf = {0};
                struct mr_wire_item item;
                struct mr_wire wire;

                mr_wire_int(&buf, value);
                wire = mr_wire_of(buf.data, buf.len);
                item = next(&wire);
                assert_int_equal(item.kind, MR_WIRE_INT);
                assert_int_equal(item.integer, value);
                assert_ptr_equal(wire.at, wire.end);
                mr_buf_fini(&buf);
            }
}

/* Every head of the specification's table of formats, with the shortest body. */
static const struct {
    const char *bytes;
    size_t len;
    enum mr_wire_kind kind;
    int64_t value; /* of an integer; length or count of the others */
} formats[] = {
    {"\x00", 1, MR_WIRE_INT, 0},
    {"\x7f", 1, MR_WIRE_INT, 127},
    {"\xe0", 1, MR_WIRE_INT, -32},
    {"\xff", 1, MR_WIRE_INT, -1},
    {"\x81\x01\x01", 3, MR_WIRE_MAP, 1},
    {"\x91\x01", 2, MR_WIRE_ARRAY, 1},
    {"\xa0", 1, MR_WIRE_TEXT, 0},
    {"\xa1x", 2, MR_WIRE_TEXT, 1},
    {"\xc0", 1, MR_WIRE_NIL, 0},
    {"\xc2", 1, MR_WIRE_BOOL, 0},
    {"\xc3", 1, MR_WIRE_BOOL, 1},
    {"\xc4\x01x", 3, MR_WIRE_BIN, 1},
    {"\xc5\x00\x01x", 4, MR_WIRE_BIN, 1},
    {"\xc6\x00\x00\x00\x01x", 6, MR_WIRE_BIN, 1},
    {"\xc7\x01\x05x", 4, MR_WIRE_EXT, 1},
    {"\xc8\x00\x01\x05x", 5, MR_WIRE_EXT, 1},
    {"\xc9\x00\x00\x00\x01\x05x", 7, MR_WIRE_EXT, 1},
    {"\xca\x3f\x80\x00\x00", 5, MR_WIRE_DOUBLE, 1},
    {"\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00", 9, MR_WIRE_DOUBLE, 1},
    {"\xcc\xff", 2, MR_WIRE_INT, 255},
    {"\xcd\xff\xff", 3, MR_WIRE_INT, 65535},
    {"\xce\xff\xff\xff\xff", 5, MR_WIRE_INT, 4294967295},
    {"\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", 9, MR_WIRE_INT, INT64_MAX},
    {"\xd0\x80", 2, MR_WIRE_INT, -128},
    {"\xd1\x80\x00", 3, MR_WIRE_INT, -32768},
    {"\xd2\x80\x00\x00\x00", 5, MR_WIRE_INT, INT32_MIN},
    {"\xd3\x80\x00\x00\x00\x00\x00\x00\x00", 9, MR_WIRE_INT, INT64_MIN},
    {"\xd4\x05x", 3, MR_WIRE_EXT, 1},
    {"\xd5\x05xx", 4, MR_WIRE_EXT, 2},
    {"\xd6\x05xxxx", 6, MR_WIRE_EXT, 4},
    {"\xd7\x05xxxxxxxx", 10, MR_WIRE_EXT, 8},
    {"\xd8\x05xxxxxxxxxxxxxxxx", 18, MR_WIRE_EXT, 16},
    {"\xd9\x01x", 3, MR_WIRE_TEXT, 1},
    {"\xda\x00\x01x", 4, MR_WIRE_TEXT, 1},
    {"\xdb\x00\x00\x00\x01x", 6, MR_WIRE_TEXT, 1},
    {"\xdc\x00\x01\x01", 4, MR_WIRE_ARRAY, 1},
    {"\xdd\x00\x00\x00\x01\x01", 6, MR_WIRE_ARRAY, 1},
    {"\xde\x00\x01\x01\x01", 5, MR_WIRE_MAP, 1},
    {"\xdf\x00\x00\x00\x01\x01\x01", 7, MR_WIRE_MAP, 1},
};

static int64_t value_of(const struct mr_wire_item *item)
{
    switch (item->kind) {
    case MR_WIRE_NIL: return 0;
    case MR_WIRE_BOOL: return item->boolean;
    case MR_WIRE_INT: return item->integer;
    case MR_WIRE_DOUBLE: return (int64_t)item->number;
    case MR_WIRE_TEXT:
    case MR_WIRE_BIN:
    case MR_WIRE_EXT: return (int64_t)item->bytes.len;
    case MR_WIRE_ARRAY:
    case MR_WIRE_MAP: return item->count;
    }
    return -1;
}

static void test_wire__every_format_is_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        struct mr_wire wire = mr_wire_of(formats[i].bytes, formats[i].len);
        struct mr_wire_item item = next(&wire);

        if (item.kind != formats[i].kind || value_of(&item) != formats[i].value)
            fail_test("head %02x", (unsigned char)formats[i].bytes[0]);
        if (item.kind == MR_WIRE_EXT)
            assert_int_equal(item.ext, 5);
        if (item.kind != MR_WIRE_ARRAY && item.kind != MR_WIRE_MAP)
            assert_ptr_equal(wire.at, wire.end);
    }
}

/* In memory of the exact size, so that a read past the end is noticed. */
static void test_wire__every_truncation_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        for (size_t len = 0; len < formats[i].len; len++) {
            char *copy = malloc(len > 0 ? len : 1);
            struct mr_wire wire;
            struct mr_wire_item item;

            memcpy(copy, formats[i].bytes, len);
            wire = mr_wire_of(copy, len);
            if (mr_wire_next(&wire, &item) == MR_OK)
                fail_test("head %02x cut to %zu", (unsigned char)formats[i].bytes[0], len);
            free(copy);
        }
}

static void test_wire__lengths_that_lie_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } lies[] = {
        {"\xc6\xff\xff\xff\xffx", 6}, {"\xdb\xff\xff\xff\xffx", 6}, {"\xc9\xff\xff\xff\xff\x05x", 7}, {"\xdd\xff\xff\xff\xff\x01", 6},
        {"\xdf\xff\xff\xff\xff\x01", 6}, {"\xdf\x80\x00\x00\x00\x01", 6}, {"\x9f\x01\x01", 3}, {"\x8f\x01\x01", 3}, {"\xbfxx", 3},
        {"\xc1", 1}, {"\xcf\x80\x00\x00\x00\x00\x00\x00\x00", 9}};

    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        struct mr_wire wire = mr_wire_of(lies[i].bytes, lies[i].len);
        struct mr_wire_item item;

        if (mr_wire_next(&wire, &item) == MR_OK)
            fail_test("lie %zu was believed", i);
    }
}

static void test_wire__a_time_is_extension_1_of_eight_bytes(void **state)
{
    struct mr_wire_item item = {.kind = MR_WIRE_EXT, .ext = MR_WIRE_TIME, .bytes = {"\0\0\0\0\0\0\0\x05", 8}};
    int64_t micros = 77;

    (void)state;
    assert_true(mr_wire_is_time(&item, &micros));
    assert_int_equal(micros, 5);
    item.bytes.len = 7;
    assert_false(mr_wire_is_time(&item, &micros));
    item.bytes.len = 8;
    item.ext = 2;
    assert_false(mr_wire_is_time(&item, &micros));
}

/* ---- Against msgpack-c ---- */

static void write_random(struct mr_buf *out, uint64_t *seed, unsigned depth)
{
    char bytes[300];
    unsigned len = random_below(seed, random_below(seed, 4) == 0 ? 300 : 20);
    unsigned count = random_below(seed, random_below(seed, 8) == 0 ? 40 : 5);

    memset(bytes, 'a' + (int)random_below(seed, 26), sizeof bytes);
    switch (random_below(seed, depth > 0 ? 9 : 7)) {
    case 0: mr_wire_nil(out); break;
    case 1: mr_wire_bool(out, random_below(seed, 2)); break;
    case 2: mr_wire_int(out, (int64_t)(random_next(seed) >> random_below(seed, 64)) * (random_below(seed, 2) ? 1 : -1)); break;
    case 3: mr_wire_double(out, (double)(int64_t)random_next(seed) / 1024.0); break;
    case 4: mr_wire_text(out, (struct mr_slice){bytes, len}); break;
    case 5: mr_wire_bin(out, bytes, len); break;
    case 6: mr_wire_time(out, (int64_t)random_next(seed)); break;
    case 7:
        mr_wire_array(out, count);
        for (unsigned i = 0; i < count; i++)
            write_random(out, seed, depth - 1);
        break;
    default:
        write_map(out, count);
        for (unsigned i = 0; i < 2 * count; i++)
            write_random(out, seed, depth - 1);
        break;
    }
}

static void compare(struct mr_wire *wire, const msgpack_object *object)
{
    struct mr_wire_item item = next(wire);

    switch (object->type) {
    case MSGPACK_OBJECT_NIL: assert_int_equal(item.kind, MR_WIRE_NIL); break;
    case MSGPACK_OBJECT_BOOLEAN: assert_true(item.kind == MR_WIRE_BOOL && item.boolean == object->via.boolean); break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER: assert_true(item.kind == MR_WIRE_INT && (uint64_t)item.integer == object->via.u64); break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER: assert_true(item.kind == MR_WIRE_INT && item.integer == object->via.i64); break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        assert_int_equal(item.kind, MR_WIRE_DOUBLE);
        assert_memory_equal(&item.number, &object->via.f64, sizeof item.number);
        break;
    case MSGPACK_OBJECT_STR:
    case MSGPACK_OBJECT_BIN:
        assert_int_equal(item.kind, object->type == MSGPACK_OBJECT_STR ? MR_WIRE_TEXT : MR_WIRE_BIN);
        assert_int_equal(item.bytes.len, object->via.str.size);
        assert_memory_equal(item.bytes.data, object->via.str.ptr, item.bytes.len);
        break;
    case MSGPACK_OBJECT_EXT:
        assert_true(item.kind == MR_WIRE_EXT && item.ext == object->via.ext.type && item.bytes.len == object->via.ext.size);
        assert_memory_equal(item.bytes.data, object->via.ext.ptr, item.bytes.len);
        break;
    case MSGPACK_OBJECT_ARRAY:
        assert_true(item.kind == MR_WIRE_ARRAY && item.count == object->via.array.size);
        for (uint32_t i = 0; i < item.count; i++)
            compare(wire, &object->via.array.ptr[i]);
        break;
    case MSGPACK_OBJECT_MAP:
        assert_true(item.kind == MR_WIRE_MAP && item.count == object->via.map.size);
        for (uint32_t i = 0; i < object->via.map.size; i++) {
            compare(wire, &object->via.map.ptr[i].key);
            compare(wire, &object->via.map.ptr[i].val);
        }
        break;
    }
}

static void test_wire__reads_what_msgpack_c_reads(void **state)
{
    uint64_t seed = 1;

    (void)state;
    for (int i = 0; i < 3000; i++) {
        struct mr_buf buf = {0};
        struct mr_wire wire;
        msgpack_unpacked other;
        size_t used = 0;

        write_random(&buf, &seed, 4);
        wire = mr_wire_of(buf.data, buf.len);
        msgpack_unpacked_init(&other);
        assert_int_equal(msgpack_unpack_next(&other, buf.data, buf.len, &used), MSGPACK_UNPACK_SUCCESS);
        assert_int_equal(used, buf.len);
        compare(&wire, &other.data);
        assert_ptr_equal(wire.at, wire.end);
        msgpack_unpacked_destroy(&other);
        mr_buf_fini(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wire__what_is_written_is_read),
        cmocka_unit_test(test_wire__integers_of_every_width),
        cmocka_unit_test(test_wire__every_format_is_understood),
        cmocka_unit_test(test_wire__every_truncation_is_refused),
        cmocka_unit_test(test_wire__lengths_that_lie_are_refused),
        cmocka_unit_test(test_wire__a_time_is_extension_1_of_eight_bytes),
        cmocka_unit_test(test_wire__reads_what_msgpack_c_reads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
