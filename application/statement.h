/*
 * statement: the named parameters of a statement in queries/, its kind, and what it calls and reads.
 *
 * Nothing here needs a database. Whether its functions may run once for a batch is a question for the database:
 * application/volatility.h.
 */
#ifndef MR_APPLICATION_STATEMENT_H
#define MR_APPLICATION_STATEMENT_H

#include "application/model.h"

enum { MR_ROWS_MARK = 5 };

enum mr_sql_kind {
    MR_SQL_READ,     /* a query that changes and locks nothing, as far as its own text says */
    MR_SQL_SET_WISE, /* it begins with WITH k AS ({{k}}), and answers a batch as it is */
    MR_SQL_CHANGE,   /* it changes or locks rows, or samples them: INSERT, FOR UPDATE, ... */
    MR_SQL_CALL      /* CALL */
};

/* `:name`. */
struct mr_sql_parameter {
    const char *name;
    size_t begin; /* bytes of the text, the colon included */
    size_t end;
    struct mr_place place;
};

/* A function, an operator, a relation, a column of the answer. */
struct mr_sql_name {
    const char *schema; /* NULL: it was not said */
    const char *name;
    bool of_parameters; /* a function whose arguments come from parameters alone */
};

struct mr_sql_names {
    struct mr_sql_name *items;
    unsigned count;
};

struct mr_sql {
    const char *text; /* without a semicolon */
    struct mr_place place;
    enum mr_sql_kind kind;
    struct mr_sql_parameter *parameters; /* in the order of the text; a name may be there twice */
    unsigned parameter_count;
    bool changes;                  /* rows, or locks them; of SET_WISE too */
    bool answers;                  /* with rows: a query, or RETURNING */
    bool has_star;                 /* some of the answer's columns have no name here */
    bool has_with;                 /* it begins with a WITH list, */
    bool is_recursive;             /* which is WITH RECURSIVE */
    size_t list_at;                /* where the first name of the list stands, */
    size_t main_at;                /* and where the statement itself begins; both 0 without a list */
    size_t rows_at;                /* of SET_WISE: where `{{k}}` stands, MR_ROWS_MARK bytes */
    struct mr_sql_names functions; /* called anywhere in it, each once */
    struct mr_sql_names operators;
    struct mr_sql_names relations; /* read or written; the names of its own WITH lists are in `parts` */
    struct mr_sql_names parts;
    struct mr_sql_names computed; /* columns of the answer that are more than a column or a value; one without a name is "" */
    struct mr_sql_names columns;  /* that the answer names; one without a name, and what `*` stands for, is not among them */
};

/*
 * Reads a statement into the arena. False: at least one problem was added, each with its place in the file, or the arena has
 * failed. Refused are: what does not parse, more than one statement, and everything but SELECT, VALUES, TABLE, INSERT, UPDATE,
 * DELETE, MERGE and CALL; SELECT INTO; numbered parameters; `:name` in a set-wise statement, which takes its fields from k; and
 * names in quotation marks that begin with $, which are the engine's, but for those of an answer ("$status" and so on).
 */
bool mr_sql_read(struct mr_sql *out, struct mr_arena *arena, const struct mr_app_statement *statement,
                 struct mr_problems *problems);

/*
 * Collects the functions, operators and relations in a text that PostgreSQL wrote itself, such as a view's. False: it does not
 * parse.
 */
bool mr_sql_collect(struct mr_sql *out, struct mr_arena *arena, const char *text);

/* As mr_sql_collect, for any statement. */
bool mr_sql_collect_names(struct mr_sql *out, struct mr_arena *arena, const char *text);

/* Whether the name is among those collected. */
bool mr_sql_has(const struct mr_sql_names *self, const char *name);

/* Appends the text from byte `from` up to byte `to`, and calls `write` for each parameter in it. */
void mr_sql_write(const struct mr_sql *self, size_t from, size_t to, struct mr_buf *out,
                  void (*write)(struct mr_buf *out, const char *name, void *argument), void *argument);

#endif
