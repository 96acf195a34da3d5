#include "proto/wire.h"

#include <msgpack/pack.h>

static int append(void *data, const char *bytes, size_t len)
{
    mr_buf_append(data, bytes, len);
    return 0;
}

static msgpack_packer packer(struct mr_buf *out)
{
    return (msgpack_packer){.data = out, .callback = append};
}

void mr_wire_nil(struct mr_buf *out)
{
    msgpack_packer pk = packer(out);

    msgpack_pack_nil(&pk);
}

void mr_wire_bool(struct mr_buf *out, bool value)
{
    msgpack_packer pk = packer(out);

    if (value)
        msgpack_pack_true(&pk);
    else
        msgpack_pack_false(&pk);
}

void mr_wire_int(struct mr_buf *out, int64_t value)
{
    msgpack_packer pk = packer(out);

    msgpack_pack_int64(&pk, value);
}

void mr_wire_double(struct mr_buf *out, double value)
{
    msgpack_packer pk = packer(out);

    msgpack_pack_double(&pk, value);
}

void mr_wire_text(struct mr_buf *out, struct mr_slice text)
{
    msgpack_packer pk = packer(out);

    msgpack_pack_str(&pk, text.len);
    mr_buf_slice(out, text);
}

void mr_wire_bin(struct mr_buf *out, const void *data, size_t len)
{
    msgpack_packer pk = packer(out);

    msgpack_pack_bin(&pk, len);
    mr_buf_append(out, data, len);
}

void mr_wire_uuid(struct mr_buf *out, const uint8_t uuid[16])
{
    mr_wire_bin(out, uuid, 16);
}

void mr_wire_time(struct mr_buf *out, int64_t micros)
{
    msgpack_packer pk = packer(out);
    uint8_t bytes[8];

    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)((uint64_t)micros >> (56 - 8 * i));
    msgpack_pack_ext(&pk, sizeof bytes, MR_WIRE_TIME);
    mr_buf_append(out, bytes, sizeof bytes);
}

/* Head 0xc6 (bin 32) and four bytes for the length, which is not known yet. */
enum { BIN_32 = 0xc6, BIN_32_HEAD = 5 };

size_t mr_wire_bin_begin(struct mr_buf *out)
{
    mr_buf_append(out, (const uint8_t[BIN_32_HEAD]){BIN_32}, BIN_32_HEAD);
    return out->len;
}

void mr_wire_bin_end(struct mr_buf *out, size_t begun)
{
    size_t len = out->len - begun;

    if (len > UINT32_MAX)
        out->failed = true;
    for (int i = 1; !out->failed && i < BIN_32_HEAD; i++)
        out->data[begun - (size_t)i] = (char)(uint8_t)(len >> 8 * (i - 1));
}

void mr_wire_json(struct mr_buf *out, struct mr_slice text)
{
    msgpack_packer pk = packer(out);

    msgpack_pack_ext(&pk, text.len, MR_WIRE_JSON);
    mr_buf_slice(out, text);
}

void mr_wire_array(struct mr_buf *out, uint32_t count)
{
    msgpack_packer pk = packer(out);

    msgpack_pack_array(&pk, count);
}

static bool big_endian(struct mr_wire *self, size_t bytes, uint64_t *out)
{
    uint64_t value = 0;

    if ((size_t)(self->end - self->at) < bytes)
        return false;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | *self->at++;
    *out = value;
    return true;
}

static bool take_bytes(struct mr_wire *self, enum mr_wire_kind kind, uint64_t len, struct mr_wire_item *out)
{
    if ((uint64_t)(self->end - self->at) < len)
        return false;
    out->kind = kind;
    out->bytes = (struct mr_slice){(const char *)self->at, (size_t)len};
    self->at += len;
    return true;
}

/* A head whose length stands in the `bytes` that follow it. */
static bool sized_bytes(struct mr_wire *self, enum mr_wire_kind kind, size_t bytes, struct mr_wire_item *out)
{
    uint64_t len;

    return big_endian(self, bytes, &len) && take_bytes(self, kind, len, out);
}

static bool ext_bytes(struct mr_wire *self, uint64_t len, struct mr_wire_item *out)
{
    uint64_t type;

    if (!big_endian(self, 1, &type))
        return false;
    out->ext = (int8_t)(uint8_t)type;
    return take_bytes(self, MR_WIRE_EXT, len, out);
}

static bool sized_ext(struct mr_wire *self, size_t bytes, struct mr_wire_item *out)
{
    uint64_t len;

    return big_endian(self, bytes, &len) && ext_bytes(self, len, out);
}

/* Every item takes at least one byte, so a count over what is left is a lie that need not be believed. */
static bool container(const struct mr_wire *self, enum mr_wire_kind kind, uint64_t count, struct mr_wire_item *out)
{
    out->kind = kind;
    out->count = (uint32_t)count;
    return count * (kind == MR_WIRE_MAP ? 2 : 1) <= (uint64_t)(self->end - self->at);
}

static bool sized_container(struct mr_wire *self, enum mr_wire_kind kind, size_t bytes, struct mr_wire_item *out)
{
    uint64_t count;

    return big_endian(self, bytes, &count) && container(self, kind, count, out);
}

static bool unsigned_int(struct mr_wire *self, size_t bytes, struct mr_wire_item *out)
{
    uint64_t value;

    if (!big_endian(self, bytes, &value) || value > INT64_MAX)
        return false;
    out->kind = MR_WIRE_INT;
    out->integer = (int64_t)value;
    return true;
}

static bool signed_int(struct mr_wire *self, size_t bytes, struct mr_wire_item *out)
{
    uint64_t value;
    unsigned shift = (unsigned)(64 - 8 * bytes);

    if (!big_endian(self, bytes, &value))
        return false;
    out->kind = MR_WIRE_INT;
    out->integer = (int64_t)(value << shift) >> shift;
    return true;
}

static bool floating(struct mr_wire *self, size_t bytes, struct mr_wire_item *out)
{
    uint64_t bits;
    float single;

    if (!big_endian(self, bytes, &bits))
        return false;
    out->kind = MR_WIRE_DOUBLE;
    if (bytes == 8) {
        memcpy(&out->number, &bits, sizeof out->number);
        return true;
    }
    memcpy(&single, &(uint32_t){(uint32_t)bits}, sizeof single);
    out->number = (double)single;
    return true;
}

static bool simple(struct mr_wire_item *out, enum mr_wire_kind kind, int64_t value)
{
    out->kind = kind;
    if (kind == MR_WIRE_BOOL)
        out->boolean = value != 0;
    else
        out->integer = value;
    return true;
}

/* The heads 0xc0 to 0xdf, in the order of the specification's table of formats. */
static bool long_form(struct mr_wire *self, uint8_t head, struct mr_wire_item *out)
{
    switch (head) {
    case 0xc0: return simple(out, MR_WIRE_NIL, 0);
    case 0xc2:
    case 0xc3: return simple(out, MR_WIRE_BOOL, head & 1);
    case 0xc4:
    case 0xc5:
    case 0xc6: return sized_bytes(self, MR_WIRE_BIN, (size_t)1 << (head - 0xc4), out);
    case 0xc7:
    case 0xc8:
    case 0xc9: return sized_ext(self, (size_t)1 << (head - 0xc7), out);
    case 0xca: return floating(self, 4, out);
    case 0xcb: return floating(self, 8, out);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf: return unsigned_int(self, (size_t)1 << (head - 0xcc), out);
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3: return signed_int(self, (size_t)1 << (head - 0xd0), out);
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8: return ext_bytes(self, UINT64_C(1) << (head - 0xd4), out);
    case 0xd9:
    case 0xda:
    case 0xdb: return sized_bytes(self, MR_WIRE_TEXT, (size_t)1 << (head - 0xd9), out);
    case 0xdc:
    case 0xdd: return sized_container(self, MR_WIRE_ARRAY, (size_t)2 << (head - 0xdc), out);
    case 0xde:
    case 0xdf: return sized_container(self, MR_WIRE_MAP, (size_t)2 << (head - 0xde), out);
    default: return false;
    }
}

static bool next(struct mr_wire *self, struct mr_wire_item *out)
{
    uint8_t head;

    if (self->at == self->end)
        return false;
    head = *self->at++;
    if (head <= 0x7f)
        return simple(out, MR_WIRE_INT, head);
    if (head >= 0xe0)
        return simple(out, MR_WIRE_INT, (int8_t)head);
    if (head <= 0x8f)
        return container(self, MR_WIRE_MAP, head & 0x0f, out);
    if (head <= 0x9f)
        return container(self, MR_WIRE_ARRAY, head & 0x0f, out);
    if (head <= 0xbf)
        return take_bytes(self, MR_WIRE_TEXT, head & 0x1f, out);
    return long_form(self, head, out);
}

mr_status mr_wire_next(struct mr_wire *self, struct mr_wire_item *out)
{
    return next(self, out) ? MR_OK : MR_INVALID;
}

bool mr_wire_is_time(const struct mr_wire_item *item, int64_t *micros)
{
    uint64_t bits = 0;

    if (item->kind != MR_WIRE_EXT || item->ext != MR_WIRE_TIME || item->bytes.len != 8)
        return false;
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | (uint8_t)item->bytes.data[i];
    *micros = (int64_t)bits;
    return true;
}
