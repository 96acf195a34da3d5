#include "runtime/params.h"

#include <assert.h>
#include <stdlib.h>

#include "proto/json.h"

enum { ARRAY_HEAD = 20, KEEP_BYTES = 64 * 1024 };

static void put_be(char *out, size_t bytes, uint64_t value)
{
    while (bytes-- > 0) {
        out[bytes] = (char)(uint8_t)value;
        value >>= 8;
    }
}

static void append_be(struct mr_buf *out, size_t bytes, uint64_t value)
{
    char text[8];

    put_be(text, bytes, value);
    mr_buf_append(out, text, bytes);
}

/* The value as the receive function of the type reads it that it is sent as (MR_TYPES); that of text takes it as it is. */
static void append_value(struct mr_buf *out, enum mr_type type, const struct mr_value *value)
{
    switch (type) {
    case MR_TEXT:
    case MR_DECIMAL:
    case MR_DATE:
    case MR_JSON:
    case MR_BYTES: mr_buf_append(out, value->text.data, value->text.len); break;
    case MR_NUMBER: mr_json_number(out, value->number); break;
    case MR_UUID: mr_buf_append(out, value->uuid, 16); break;
    case MR_TIME: append_be(out, 8, (uint64_t)(value->integer - MR_POSTGRES_EPOCH_MICROS)); break;
    case MR_INT: append_be(out, 8, (uint64_t)value->integer); break;
    case MR_BOOL: mr_buf_char(out, value->boolean ? 1 : 0); break;
    }
}

/* The same behind its length. */
static void append_element(struct mr_buf *out, enum mr_type type, const struct mr_value *value)
{
    size_t at = out->len;

    append_be(out, 4, 0);
    append_value(out, type, value);
    if (!out->failed)
        put_be(out->data + at, 4, out->len - at - 4);
}

static bool make_room(struct mr_params *self, unsigned count)
{
    struct mr_param *arrays;

    if (count <= self->room)
        return true;
    arrays = realloc(self->arrays, count * sizeof *arrays);
    if (arrays == NULL)
        return false;
    memset(arrays + self->room, 0, (count - self->room) * sizeof *arrays);
    self->arrays = arrays;
    self->room = count;
    return true;
}

void mr_params_begin(struct mr_params *self, unsigned count)
{
    assert(count <= MR_PARAMS_MAX);
    self->failed = !make_room(self, count);
    self->count = self->failed ? 0 : count;
    count = self->count;
    for (unsigned i = 0; i < count; i++) {
        struct mr_param *array = &self->arrays[i];

        mr_buf_clear(&array->bytes, KEEP_BYTES);
        if (mr_buf_reserve(&array->bytes, ARRAY_HEAD) != NULL)
            array->bytes.len = ARRAY_HEAD;
        array->elements = 0;
        array->has_null = false;
        array->is_value = false;
    }
}

/* NULL without memory, which mr_params_end tells. */
static struct mr_param *param_of(struct mr_params *self, unsigned column)
{
    assert(self->failed || column < self->count);
    return self->failed ? NULL : &self->arrays[column];
}

static void set_head(struct mr_param *array, enum mr_type type)
{
    char *head = array->bytes.data;

    put_be(head, 4, 1); /* dimensions */
    put_be(head + 8, 4, mr_field_oid(&(struct mr_field){.type = type}));
    put_be(head + 16, 4, 1); /* lower bound */
}

void mr_params_add(struct mr_params *self, unsigned column, enum mr_type type, const struct mr_value *value)
{
    struct mr_param *array = param_of(self, column);
    struct mr_buf *out;

    if (array == NULL)
        return;
    out = &array->bytes;
    if (array->elements++ == 0 && !out->failed)
        set_head(array, type);
    if (!value->present) {
        array->has_null = true;
        append_be(out, 4, UINT32_MAX);
        return;
    }
    append_element(out, type, value);
}

void mr_params_value(struct mr_params *self, unsigned column, enum mr_type type, const struct mr_value *value)
{
    struct mr_param *param = param_of(self, column);

    if (param == NULL)
        return;
    param->is_value = true;
    param->has_null = !value->present;
    if (param->bytes.failed) /* of room for an array's head, and told by mr_params_end */
        return;
    param->bytes.len = 0;
    if (value->present)
        append_value(&param->bytes, type, value);
}

void mr_params_text(struct mr_params *self, unsigned column, const char *text)
{
    mr_params_add(self, column, MR_TEXT,
                  &(struct mr_value){.present = text != NULL, .text = mr_slice_of(text != NULL ? text : "")});
}

void mr_params_int(struct mr_params *self, unsigned column, int64_t integer)
{
    mr_params_add(self, column, MR_INT, &(struct mr_value){.present = true, .integer = integer});
}

void mr_params_time(struct mr_params *self, unsigned column, int64_t micros)
{
    mr_params_add(self, column, MR_TIME, &(struct mr_value){.present = true, .integer = micros});
}

void mr_params_bool(struct mr_params *self, unsigned column, bool boolean)
{
    mr_params_add(self, column, MR_BOOL, &(struct mr_value){.present = true, .boolean = boolean});
}

void mr_params_id(struct mr_params *self, unsigned column, const uint8_t id[16])
{
    struct mr_value value = {.present = true};

    memcpy(value.uuid, id, sizeof value.uuid);
    mr_params_add(self, column, MR_UUID, &value);
}

void mr_params_null(struct mr_params *self, unsigned column, enum mr_type type)
{
    mr_params_add(self, column, type, &(struct mr_value){.present = false});
}

mr_status mr_params_end(struct mr_params *self)
{
    if (self->failed)
        return MR_NO_MEMORY;
    for (unsigned i = 0; i < self->count; i++) {
        struct mr_param *array = &self->arrays[i];

        if (array->bytes.failed)
            return MR_NO_MEMORY;
        if (array->is_value)
            continue;
        put_be(array->bytes.data + 4, 4, array->has_null);
        put_be(array->bytes.data + 12, 4, array->elements);
    }
    return MR_OK;
}

void mr_params_fini(struct mr_params *self)
{
    for (unsigned i = 0; i < self->room; i++)
        mr_buf_fini(&self->arrays[i].bytes);
    free(self->arrays);
    *self = (struct mr_params){.arrays = NULL};
}
