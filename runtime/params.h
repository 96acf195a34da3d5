/*
 * params: the parameters of a statement in binary form: for a set-wise statement one PostgreSQL array for each field; for one
 * that answers a single message, its values.
 *
 * Binary needs no quoting and no parsing: a UUID is its 16 bytes, an instant one integer (PostgreSQL's
 * array_recv in src/backend/utils/adt/arrayfuncs.c decides the layout).
 */
#ifndef MR_RUNTIME_PARAMS_H
#define MR_RUNTIME_PARAMS_H

#include "proto/message.h"
#include "proto/wire.h"
#include "proto/status.h"

/* PostgreSQL counts microseconds from 2000-01-01, the wire from 1970-01-01. */
#define MR_POSTGRES_EPOCH_MICROS INT64_C(946684800000000)

/* One array being built, or a value. */
struct mr_param {
    struct mr_buf bytes;
    uint32_t elements;
    bool has_null; /* an element is NULL; of a value: it is */
    bool is_value; /* it is no array */
};

/* A zeroed struct holds nothing; after mr_params_fini too. */
struct mr_params {
    struct mr_param *arrays;
    unsigned room;
    unsigned count;
    bool failed; /* there was no memory for them */
};

/* Begins `count` empty arrays, at most MR_PARAMS_MAX, reusing memory. */
void mr_params_begin(struct mr_params *self, unsigned count);

/*
 * Appends a value of `type` to array `column`; NULL when it is not present. Every call for a column has the same type, which for a
 * field is mr_field_carried. The elements are of the SQL type mr_field_sql, and it is up to the statement to cast them.
 */
void mr_params_add(struct mr_params *self, unsigned column, enum mr_type type, const struct mr_value *value);

/*
 * Appends a copy of a text to array `column`; NULL appends NULL. This function and those below are for code without a field's
 * value.
 */
void mr_params_text(struct mr_params *self, unsigned column, const char *text);

/* Appends an integer to array `column`. */
void mr_params_int(struct mr_params *self, unsigned column, int64_t integer);

/* Appends an instant to array `column`; `micros`: microseconds since 1970. */
void mr_params_time(struct mr_params *self, unsigned column, int64_t micros);

/* Appends a boolean to array `column`. */
void mr_params_bool(struct mr_params *self, unsigned column, bool boolean);

/* Appends a UUID to array `column`; its 16 bytes are copied. */
void mr_params_id(struct mr_params *self, unsigned column, const uint8_t id[16]);

/* Appends NULL to array `column`, whose elements are of `type`. */
void mr_params_null(struct mr_params *self, unsigned column, enum mr_type type);

/* Makes parameter `column` a value instead of an array: NULL when it is not present. Between mr_params_begin and mr_params_end. */
void mr_params_value(struct mr_params *self, unsigned column, enum mr_type type, const struct mr_value *value);

/* Completes the parameters, which can now be sent. MR_NO_MEMORY: an append failed. */
mr_status mr_params_end(struct mr_params *self) MR_WARN_UNUSED;

/* Frees what the parameters hold, not the struct itself. A zeroed struct is fine. */
void mr_params_fini(struct mr_params *self);

#endif
