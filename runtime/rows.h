/*
 * rows: from the columns of a result to the JSON-to-be of a reply.
 *
 * A column's name is its JSON name; a dotted name ("taskPriority.code") nests, its columns standing side by
 * side; a NULL is left out, and so is a value that JSON has no form for. Reserved: the ordinal, which is "$n" or, where there is
 * no such, n; "$status", "$field", "$message", "$next", "$version", "$page",
 * "$pageSize", "$totalItems", "$take", "$key".
 *
 * A list whose statement has the column "$take" goes on in a Link without a column "$next": its rows are one more than "$take" when
 * there is a rest, and the cursor is made here, from the id and the "$key" of the last row that belongs to the answer. "$key" is
 * what the rows are in the order of; a time, an integer, a boolean, an id or text. NULL, or no such column: there is none.
 */
#ifndef MR_RUNTIME_ROWS_H
#define MR_RUNTIME_ROWS_H

#include "proto/envelope.h"
#include "runtime/db.h"

enum { MR_COLUMNS_MAX = MR_ROW_COLUMNS, MR_LIST_BYTES = 1048576 };

/* A column that goes into the JSON. */
struct mr_column {
    unsigned index;
    struct mr_slice group; /* "taskPriority" of "taskPriority.code"; empty: top level */
    struct mr_slice name;
    bool may_be_unsaid; /* the type has values that JSON has no form for */
    bool is_present;    /* in the row at hand: it is not NULL, and JSON has a form for it */
};

struct mr_row_plan {
    struct mr_column columns[MR_COLUMNS_MAX];
    unsigned count;
    int ordinal;
    int status, field, message, next, version, id, page, page_size, total_items, take, key; /* column index, -1: none */
    const char *unsaid; /* a column whose value was left out, because JSON has no form for it; NULL: none */
};

/* The reserved columns of a row that concern its message as a whole. */
struct mr_row {
    int64_t status; /* HTTP code; 0: success */
    struct mr_slice field;
    struct mr_slice message;   /* what is wrong with the field; empty: the usual for the status */
    struct mr_reply_head head; /* the id is that of a column of that name and of type uuid */
};

/* MR_INTERNAL: there are more than MR_COLUMNS_MAX columns, or none is the ordinal. The plan borrows from the rows. */
mr_status mr_row_plan_init(struct mr_row_plan *out, const mr_rows *rows) MR_WARN_UNUSED;

/* The same of rows without an ordinal: they answer one message, and n is a column like any other. */
mr_status mr_row_plan_init_single(struct mr_row_plan *out, const mr_rows *rows) MR_WARN_UNUSED;

void mr_row_read(struct mr_row *out, const struct mr_row_plan *plan, const mr_rows *rows, unsigned row);

/*
 * The rows [from, the result) belong to the answer: at most "$take", and of at most MR_LIST_BYTES together, but one at least. When
 * that leaves some out, `next` gets the cursor of the last. Without a column "$take": all of them.
 */
unsigned mr_rows_fit(const struct mr_row_plan *plan, const mr_rows *rows, unsigned from, unsigned to, struct mr_buf *next);

/*
 * Appends the body made of the rows [from, to) in the given shape. A row whose columns are all NULL is no item
 * of an array: it is there to answer its ordinal. MR_INTERNAL for a column type that is not understood. Sets `plan->unsaid`.
 */
mr_status mr_rows_body(struct mr_buf *out, enum mr_shape shape, struct mr_row_plan *plan, const mr_rows *rows, unsigned from,
                       unsigned to) MR_WARN_UNUSED;

#endif
