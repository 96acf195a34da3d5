/*
 * codec: what our reader of msgpack and writer of JSON buy over msgpack-c's unpacker and jansson.
 *
 * Prints nanoseconds for one reply of a task, each way, several rounds in turn; docs/decisions/0002 quotes it.
 */
#include <jansson.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proto/json.h"
#include "proto/timestamp.h"
#include "proto/uuid.h"
#include "proto/wire.h"

enum { ROUNDS = 5, TURNS = 200000 };

static void text(struct mr_buf *out, const char *name, const char *value)
{
    mr_wire_text(out, mr_slice_of(name));
    mr_wire_text(out, mr_slice_of(value));
}

static void make_task(struct mr_buf *out)
{
    static const uint8_t id[16] = {1, 2, 3};

    mr_wire_map(out, 8);
    mr_wire_text(out, MR_SLICE("id"));
    mr_wire_uuid(out, id);
    text(out, "summary", "Water the plants");
    mr_wire_text(out, MR_SLICE("isComplete"));
    mr_wire_bool(out, false);
    mr_wire_text(out, MR_SLICE("userId"));
    mr_wire_uuid(out, id);
    text(out, "taskPriorityCode", "HIGH");
    mr_wire_text(out, MR_SLICE("taskPriority"));
    mr_wire_map(out, 4);
    text(out, "code", "HIGH");
    text(out, "label", "High");
    text(out, "description", "Next in line, today if possible.");
    mr_wire_text(out, MR_SLICE("ordinal"));
    mr_wire_int(out, 2);
    mr_wire_text(out, MR_SLICE("createdAt"));
    mr_wire_time(out, INT64_C(1790000000000000));
    mr_wire_text(out, MR_SLICE("updatedAt"));
    mr_wire_time(out, INT64_C(1790000000000000));
}

static void ours(const struct mr_buf *task, struct mr_buf *out)
{
    struct mr_wire wire = mr_wire_of(task->data, task->len);

    mr_buf_clear(out, SIZE_MAX);
    if (mr_json_from_wire(out, &wire) != MR_OK)
        abort();
}

static json_t *tree(const msgpack_object *o)
{
    char formatted[64];
    json_t *map;

    switch (o->type) {
    case MSGPACK_OBJECT_BOOLEAN: return json_boolean(o->via.boolean);
    case MSGPACK_OBJECT_POSITIVE_INTEGER: return json_integer((json_int_t)o->via.u64);
    case MSGPACK_OBJECT_STR: return json_stringn_nocheck(o->via.str.ptr, o->via.str.size);
    case MSGPACK_OBJECT_BIN:
        mr_uuid_format(formatted, (const uint8_t *)o->via.bin.ptr);
        return json_stringn_nocheck(formatted, MR_UUID_TEXT);
    case MSGPACK_OBJECT_EXT:
        mr_timestamp_format(formatted, INT64_C(1790000000000000));
        return json_stringn_nocheck(formatted, MR_TIMESTAMP_TEXT);
    case MSGPACK_OBJECT_MAP:
        map = json_object();
        for (uint32_t i = 0; i < o->via.map.size; i++) {
            char key[64];

            snprintf(key, sizeof key, "%.*s", (int)o->via.map.ptr[i].key.via.str.size, o->via.map.ptr[i].key.via.str.ptr);
            json_object_set_new_nocheck(map, key, tree(&o->via.map.ptr[i].val));
        }
        return map;
    default: abort();
    }
}

static void theirs(const struct mr_buf *task, struct mr_buf *out)
{
    msgpack_unpacked result;
    size_t at = 0;
    json_t *json;
    size_t len;

    msgpack_unpacked_init(&result);
    if (msgpack_unpack_next(&result, task->data, task->len, &at) != MSGPACK_UNPACK_SUCCESS)
        abort();
    json = tree(&result.data);
    mr_buf_clear(out, SIZE_MAX);
    mr_buf_reserve(out, 1024);
    len = json_dumpb(json, out->data, out->cap, JSON_COMPACT);
    out->len = len;
    json_decref(json);
    msgpack_unpacked_destroy(&result);
}

static double time_one(void (*way)(const struct mr_buf *, struct mr_buf *), const struct mr_buf *task, struct mr_buf *out)
{
    struct timespec from;
    struct timespec to;

    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int i = 0; i < TURNS; i++)
        way(task, out);
    clock_gettime(CLOCK_MONOTONIC, &to);
    return ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / TURNS;
}

int main(void)
{
    struct mr_buf task = {0};
    struct mr_buf out = {0};

    make_task(&task);
    puts("round  ours_ns  msgpack-c+jansson_ns  ratio");
    for (int round = 1; round <= ROUNDS; round++) {
        double a = time_one(ours, &task, &out);
        double b = time_one(theirs, &task, &out);

        printf("%5d  %7.0f  %20.0f  %5.1f\n", round, a, b, b / a);
    }
    mr_buf_fini(&task);
    mr_buf_fini(&out);
    return 0;
}
