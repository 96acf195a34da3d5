/*
 * column: turns a value in PostgreSQL's binary form into JSON.
 *
 * How the values of a column are written follows from its type, so a writer is chosen once for a result and called for each of its
 * values. Types go by their object identifiers (pg_type.dat).
 *
 * Thread: any; nothing is kept.
 */
#ifndef MR_RUNTIME_COLUMN_H
#define MR_RUNTIME_COLUMN_H

#include <stdint.h>

#include "proto/buffer.h"

enum { MR_TYPE_OWN_FIRST = 16384 }; /* OIDs from here on are a database's own (src/include/access/transam.h) */

enum mr_said {
    MR_SAID,
    MR_UNSAID,    /* JSON has no form for it: NaN, the infinities, a day or an instant outside of the years 0001 to 9999 */
    MR_UNREADABLE /* its type is not understood, or these are not its bytes */
};

/*
 * Appends a value that is not NULL. A number is exact. Arrays become arrays, in which an element that JSON has no form for is null,
 * as one that is NULL. Unless MR_SAID, what was appended is to be thrown away.
 */
typedef enum mr_said mr_column_writer(struct mr_buf *out, uint32_t type, struct mr_slice bytes);

/* How values of a type are written; never NULL. */
mr_column_writer *mr_column_writer_of(uint32_t type);

/*
 * Whether Millrace can read values of a built-in type: bool, the integers, float4, float8, numeric, text and its kin, uuid,
 * json, jsonb, date, timestamptz, and arrays of these. A statement has to cast values of any other type, e.g. `::text`.
 */
bool mr_type_known(uint32_t type);

/* Whether the OID is that of uuid. */
bool mr_type_is_uuid(uint32_t type);

/* The integer (smallint, integer, bigint or boolean) in the binary form `bytes`. */
int64_t mr_column_int(struct mr_slice bytes);

/* Appends a value in the form that a cursor holds (proto/cursor.h). Any type without a form of its own has to arrive as text. */
void mr_column_key(struct mr_buf *out, uint32_t type, struct mr_slice bytes);

#endif
