/*
 * list: the cases of a resource's list, and the statements that answer them.
 *
 * Every order, every combination of filters and every shape of the answer has a statement of its own, so that each can use an
 * index. A resource has hundreds, each with a number; the text is generated when it is first needed:
 *
 *     shape (walk, page) x order x (no filter, one, two; of few rows, of many; or words)
 *
 * With more than two filters the first two decide, in the order of struct list; the others are compared in passing.
 */
#ifndef MR_APPLICATION_LIST_H
#define MR_APPLICATION_LIST_H

#include "application/making.h"
#include "application/statement.h"

enum {
    LIST_MOST = 1000,             /* rows of a plain array */
    LIST_KEY_MOST = 500,          /* characters of a text that a list can be in the order of: a cursor holds it */
    LIST_FEW_BYTES = 4 * 1048576, /* as many rows as cannot be longer are few, and not counted in bytes by the statement */
    LIST_TEXT_MOST = 1048576,     /* of a text that has no bound: it came in a request */
    LIST_BATCH = 16,              /* messages in one statement, when an index has what they ask for, */
    LIST_BATCH_OF_SOME = 4        /* and when it may have to pass over other rows */
};

/* What a list can be compared with, or be in the order of. */
struct list_column {
    const char *name; /* in JSON */
    const char *column;
    enum mr_app_type type;
    bool nullable;
    const struct mr_app_field *field; /* NULL: every resource has it */
};

struct list_order {
    struct list_column by;
    bool descending;
    const struct mr_app_field *through;   /* `by` is of the row that this field references: LIST_BY of rows; NULL: of the own */
    const struct mr_app_resource *others; /* those rows' */
};

/* What a row has its order by, when that is of another. */
#define LIST_BY "$by"

struct list_filter {
    struct list_column of;
    const char *parameter;
    enum mr_app_comparison comparison;
    unsigned field; /* its place in the message */
};

/* Lives in the arena of what was built, beside the application; nothing changes after the build. */
struct list {
    const struct mr_application *application;
    const struct mr_app_resource *resource;
    const struct mr_field *fields;
    bool by_user;
    struct mr_sql total;       /* text NULL: rows are counted */
    struct list_order *orders; /* the first is the default */
    unsigned order_count;
    struct list_filter *filters; /* those that tell a value first */
    unsigned filter_count;
    unsigned limit, page, page_size, words, sort; /* places in the message; `words` is 0 when there are none */
    int64_t few;                                  /* rows; LIST_MOST: all are */
};

/* One of the statements. */
struct list_case {
    bool paged;
    unsigned order;
    bool many;        /* rows that may be too long together */
    bool searched;    /* all filters are compared in passing then */
    unsigned firm[2]; /* filters that decide, in ascending order */
    unsigned firm_count;
};

/* Finds the orders: both directions of each declared one, the declared direction first. Adds problems. */
void list_find_orders(struct mr_making *self, struct list *list);

/* Makes the fields of the message and the filters. Adds problems. */
void list_make_fields(struct mr_making *self, struct list *list);

/* How many rows are certainly not too long together. */
int64_t list_few_rows(const struct list *list);

/* The number of cases of a list, each with a statement of its own. */
unsigned list_cases(const struct list *self);

/* The case with that number, from 0 to list_cases - 1. */
struct list_case list_case_at(const struct list *self, unsigned which);

/* The number of a case of this list: the inverse of list_case_at. */
unsigned list_case_number(const struct list *self, const struct list_case *one);

/* How many messages may share the statement of a case. */
unsigned list_batch(const struct list *self, const struct list_case *one);

/* Appends the statement's text. */
void list_write(const struct list *list, const struct list_case *one, struct mr_buf *out);

/* Whether a value may take more than a few hundred bytes; true for NULL, a column without a field. */
bool list_is_long(const struct mr_app_field *field);

#endif
