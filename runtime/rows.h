/*
 * rows: writes the rows of a result as the JSON of a reply, in one pass.
 *
 * A column's name is its JSON name; a dotted name ("shelf.code") nests, its columns standing side by
 * side; a NULL is left out, and so is a value that JSON has no form for. Reserved: the ordinal, which is "$n" or, where there is
 * no such, n; "$status", "$field", "$code", "$message", "$next", "$version", "$page",
 * "$pageSize", "$totalItems", "$take", "$key", "$pending" (a boolean: what the client may wait for has not come yet).
 *
 * A list whose statement has the column "$take" continues in a Link without a column "$next": its rows are one more than "$take" when
 * there is a rest, and the cursor is made here, from the id and the "$key" of the last row that belongs to the answer. "$key" is
 * what the rows are in the order of; a time, an integer, a boolean, an id or text. NULL, or no such column: there is none.
 */
#ifndef MR_RUNTIME_ROWS_H
#define MR_RUNTIME_ROWS_H

#include "proto/envelope.h"
#include "runtime/column.h"
#include "runtime/db.h"

enum { MR_COLUMNS_MAX = MR_ROW_COLUMNS, MR_LIST_BYTES = 1048576, MR_REPLY_BYTES = 16 * 1048576, MR_ROW_PLANS = 128 };

/* A column that goes into the JSON. */
struct mr_column {
    unsigned index;
    uint32_t type;
    mr_column_writer *write;
    struct mr_slice member; /* `,"code":` of "shelf.code", escaped: what stands in front of its value */
    struct mr_slice open;   /* `,"shelf":{`; empty: top level */
    size_t name_bytes;      /* of "code" */
    unsigned run_end;       /* the column behind those that nest under the same name, side by side with it */
};

/* What a result's columns say of its rows. It borrows nothing from the result, and does not change. */
struct mr_row_plan;

/* The plans of results that were read before, each made once: a statement's next result has the same columns. Zeroed: none. */
struct mr_row_plans {
    struct mr_row_plan *plans[MR_ROW_PLANS];
};

/*
 * Finds or makes the plan for a result of the named statement; borrowed until the next call. MR_INTERNAL: it has more than
 * MR_COLUMNS_MAX columns, or no ordinal. A `single` result needs no ordinal: its rows answer one message, and a column n is like
 * any other.
 */
mr_status mr_row_plan_find(struct mr_row_plans *self, const struct mr_row_plan **out, const char *statement,
                           const mr_rows *rows, bool single) MR_WARN_UNUSED;

/* Frees the plans, also those that mr_row_plan_find has lent. */
void mr_row_plans_fini(struct mr_row_plans *self);

/* The ordinal of a row; 0: it has none. */
int64_t mr_row_ordinal(const struct mr_row_plan *plan, const mr_rows *rows, unsigned row);

/* The reserved columns of a row that concern its message as a whole. */
struct mr_row {
    int64_t status; /* HTTP code; 0: success */
    struct mr_slice field;
    struct mr_slice code;      /* the rule that it breaks; empty: the usual for the status */
    struct mr_slice message;   /* what is wrong with the field; empty, also where it was blank: the usual for the status */
    struct mr_reply_head head; /* the id is that of a column of that name and of type uuid */
};

/* Reads the columns of row `row` that are not part of its JSON. The slices of `out` borrow the rows. */
void mr_row_read(struct mr_row *out, const struct mr_row_plan *plan, const mr_rows *rows, unsigned row);

/* What came of a body beside its text. Zeroed before, and `next` freed behind it. */
struct mr_body_notes {
    struct mr_buf next; /* cursor of the last row, when others had to be left out; else empty */
    const char *unsaid; /* a column whose value was left out, because JSON has no form for it; NULL: none. Of the rows */
};

/*
 * Appends the rows [from, to) as JSON of the given shape. A row whose columns are all NULL only carries an ordinal, and adds no
 * element to an array. The column "$take" limits an array to that many rows, and to MR_LIST_BYTES in all, but at least one.
 * MR_INTERNAL: a column's type is not understood.
 */
mr_status mr_rows_body(struct mr_buf *out, enum mr_shape shape, const struct mr_row_plan *plan, const mr_rows *rows,
                       unsigned from, unsigned to, struct mr_body_notes *notes) MR_WARN_UNUSED;

#endif
