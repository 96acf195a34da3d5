/*
 * wire: msgpack (https://github.com/msgpack/msgpack/blob/master/spec.md) in and out of memory.
 *
 * Writing appends to a buffer and cannot fail but for memory (`mr_buf.failed`). Reading is a cursor over
 * borrowed bytes that checks every bound, allocates nothing and never follows a length it was told before
 * it has seen that many bytes.
 *
 * Three types need more than msgpack has: a UUID travels as a bin of 16 bytes, an instant as extension 1
 * with the microseconds since 1970 in eight bytes, big-endian, and a field's JSON as extension 2, its text.
 */
#ifndef MR_PROTO_WIRE_H
#define MR_PROTO_WIRE_H

#include <stdint.h>

#include "proto/buffer.h"
#include "proto/status.h"

enum { MR_WIRE_TIME = 1, MR_WIRE_JSON = 2 };

/* Appends nil. Like all the writers here it sets `out->failed` when out of memory, and borrows what it is given. */
void mr_wire_nil(struct mr_buf *out);

/* Appends a boolean. */
void mr_wire_bool(struct mr_buf *out, bool value);

/* Appends an integer in its shortest form. */
void mr_wire_int(struct mr_buf *out, int64_t value);

/* Appends a 64-bit float. */
void mr_wire_double(struct mr_buf *out, double value);

/* Appends a text (str); it has to be UTF-8. */
void mr_wire_text(struct mr_buf *out, struct mr_slice text);

/* Appends `len` bytes (bin). */
void mr_wire_bin(struct mr_buf *out, const void *data, size_t len);

/* Appends the 16 bytes of a UUID (bin). */
void mr_wire_uuid(struct mr_buf *out, const uint8_t uuid[16]);

/* Appends an instant (ext MR_WIRE_TIME); `micros`: microseconds since 1970. */
void mr_wire_time(struct mr_buf *out, int64_t micros);
/* Begins a bin that will hold what is appended next. Pass the returned position to mr_wire_bin_end. */
size_t mr_wire_bin_begin(struct mr_buf *out);

/* Ends the bin; `begun` is what mr_wire_bin_begin returned. */
void mr_wire_bin_end(struct mr_buf *out, size_t begun);
/* Appends JSON (ext MR_WIRE_JSON). `text` has to be one well-formed JSON value; this function does not check it. */
void mr_wire_json(struct mr_buf *out, struct mr_slice text);

/* Appends the head of an array; the next `count` values are its elements. */
void mr_wire_array(struct mr_buf *out, uint32_t count);

struct mr_wire {
    const uint8_t *at;
    const uint8_t *end;
};

enum mr_wire_kind {
    MR_WIRE_NIL,
    MR_WIRE_BOOL,
    MR_WIRE_INT,
    MR_WIRE_DOUBLE,
    MR_WIRE_TEXT,
    MR_WIRE_BIN,
    MR_WIRE_EXT,
    MR_WIRE_ARRAY,
    MR_WIRE_MAP
};

/* One item. Of an array or map only its head: `count` items (a map: pairs) follow. */
struct mr_wire_item {
    enum mr_wire_kind kind;
    union {
        bool boolean;
        int64_t integer;
        double number;
        struct mr_slice bytes; /* TEXT, BIN, EXT; borrowed */
        uint32_t count;
    };
    int8_t ext; /* EXT: its type */
};

/* Begins to read `len` bytes of msgpack; `data` is borrowed and has to outlive the reader. */
static inline struct mr_wire mr_wire_of(const void *data, size_t len)
{
    return (struct mr_wire){data, (const uint8_t *)data + len};
}

/* Reads the next item, which borrows the bytes. MR_INVALID: the bytes end here or within an item, or an integer exceeds INT64_MAX. */
mr_status mr_wire_next(struct mr_wire *self, struct mr_wire_item *out) MR_WARN_UNUSED;

/* Microseconds of an instant; false for any other item. */
bool mr_wire_is_time(const struct mr_wire_item *item, int64_t *micros);

#endif
