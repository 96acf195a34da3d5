/*
 * sql: the statements and migrations of sql/queries and sql/migrations, embedded at build time.
 */
#ifndef MR_SQL_SQL_H
#define MR_SQL_SQL_H

#include <stddef.h>

/*
 * A named statement: the text that follows `-- name: NAME` in a query file, with its {{parts}} filled in. One of an application
 * may have none: it is one of very many, and is written when it is asked for (mr_statement_text).
 */
struct mr_statement {
    const char *name;
    const char *text;
};

/*
 * A migration: sql/migrations/NNNN_name.sql, forward only. From 8 on its first line is `-- runs with: K`: a binary that
 * knows the migrations up to K still runs on what this one leaves.
 */
struct mr_migration {
    int version;
    int runs_with; /* below `version`; 0 for those that need a binary that knows them */
    const char *name;
    const char *text;
};

/*
 * sql/baseline.sql: the engine's tables as the migrations up to `version` leave them, and nothing else of what these make. A new
 * database gets it in their place, unless its application began before applications had migrations of their own.
 */
struct mr_baseline {
    int version;
    const char *text;
};

/* Texts that jobs of an application may have for {{NAME}}: {{chunk}}, the rows of a chunk, and what goes with it. Ended by a NULL name. */
extern const struct mr_statement mr_parts[];

/* Ended by a NULL name; in the order of files and of the text in them. */
extern const struct mr_statement mr_statements[];

/* Ended by a NULL name; versions rise by one from 1. */
extern const struct mr_migration mr_migrations[];

extern const struct mr_baseline mr_baseline;

/*
 * Those of mr_statements whose names begin with `prefix`, all of them, ended by NULL; the caller frees the list. NULL: out of memory.
 */
const struct mr_statement **mr_statements_of(const char *prefix);

/*
 * Makes the statements of an application known beside these; they are prepared when they are first needed. Sorted by name, as
 * strcmp has it; borrowed until the process ends, or until another call. To be called before other threads exist.
 */
void mr_statements_install(const struct mr_statement *statements, unsigned count);

/*
 * Writes the installed statement at that place, which has no text. The result is the caller's to free; NULL: out of memory. Any
 * thread may call it.
 */
typedef char *mr_statement_writer(const void *context, unsigned place);

/* Who writes those that were installed without a text; until the next mr_statements_install. */
void mr_statements_write_with(mr_statement_writer *write, const void *context);

/* A copy of the text, written now if there is none; the caller's to free. NULL: out of memory. */
char *mr_statement_text(const struct mr_statement *self);

/* Those, `count` of them. */
const struct mr_statement *mr_statements_installed(unsigned *count);

/* The place of the statement of that name among those; -1 when it is none of them. */
int mr_statement_place(const char *name);

/* The statement of that name, of an application first; NULL when there is none. */
const struct mr_statement *mr_statement_find(const char *name);

#endif
