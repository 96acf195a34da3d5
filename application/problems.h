/*
 * problems: all problems of an application's files, each with its place.
 *
 * A line says what was found and what was expected: `resources/product.yaml:4:5: unknown key "lenght", expected "length"`. The
 * number of problems that are kept and printed is bounded; the rest is counted. Not shared between threads.
 */
#ifndef MR_APPLICATION_PROBLEMS_H
#define MR_APPLICATION_PROBLEMS_H

#include <stdbool.h>

#include "proto/buffer.h"

enum { MR_PROBLEMS_KEPT = 1000, MR_PROBLEMS_TOLD = 100, MR_PROBLEM_TEXT = 1000, MR_QUOTE_ROOM = 64 };

/* Where something stands in a file. Line and column count from 1, columns in characters; 0: the file as a whole. */
struct mr_place {
    const char *file; /* below the application's folder */
    unsigned line;
    unsigned column;
    const char *variable; /* of the environment, whose value stands there; NULL: none */
};

struct mr_app_problem {
    struct mr_place place; /* the file's name is a copy */
    unsigned order;        /* of two in one place, the one that was found first comes first */
    char *text;
};

/* A zeroed struct has no problems. */
struct mr_problems {
    struct mr_app_problem *items;
    unsigned count; /* kept */
    unsigned found; /* in all */
    bool failed;    /* memory ran out: there is a problem that could not be kept */
    const char *of; /* whose files these are, printed before each place; static; NULL: nothing is printed */
};

/* Adds a problem, followed by the variable of its place if there is one. Cuts the text at MR_PROBLEM_TEXT bytes. */
void mr_problems_add(struct mr_problems *self, struct mr_place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Sorts the problems and appends a line for each, by file, line and column, at most MR_PROBLEMS_TOLD, and the number of further
 * ones. A problem that was found twice is printed once.
 */
void mr_problems_print(struct mr_problems *self, struct mr_buf *out);

/* Frees the memory; the list is empty and usable again. */
void mr_problems_fini(struct mr_problems *self);

/* `text` as a message may quote it: in quotation marks, on one line, cut when it is long. Returns `room`. */
const char *mr_quote(char room[MR_QUOTE_ROOM], const char *text);

#endif
