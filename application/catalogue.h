/*
 * catalogue: what a database has, as far as declarations speak of it: tables, columns, unique indexes and foreign keys.
 *
 * It is read once, from a connection that sees what the application's statements will see, and stays as it was then. Everything
 * belongs to its arena.
 */
#ifndef MR_APPLICATION_CATALOGUE_H
#define MR_APPLICATION_CATALOGUE_H

#include "application/arena.h"
#include "runtime/db.h"

struct mr_sql_column {
    int number; /* pg_attribute.attnum */
    const char *name;
    const char *quoted; /* as SQL has to write it */
    const char *told;   /* its type as PostgreSQL writes it: "character varying(32)", "numeric(7,2)[]" */
    const char *
        type; /* of a domain what it is made of, of an array its element: "varchar"; with its schema when that is no system type */
    int modifier;           /* pg_attribute.atttypmod of that; -1: none */
    const char *domain;     /* NULL: it is none */
    bool is_domain_checked; /* the domain says CHECK or NOT NULL */
    bool is_many;           /* an array */
    bool is_enum;
    bool is_not_null;
    bool has_default;   /* an identity's included */
    bool may_be_filled; /* by a trigger of the table's, in place of NULL */
    bool is_generated;  /* and never written: GENERATED ALWAYS */
};

/* A valid index, or a constraint, that lets a combination of columns be there once: not partial, and without expressions. */
struct mr_sql_unique {
    const int *numbers; /* of its columns */
    unsigned count;
};

struct mr_sql_reference {
    const int *numbers; /* of the columns that refer */
    const int *targets; /* of those referred to */
    unsigned count;
    const char *table; /* referred to, without its schema */
    unsigned table_id;
    char on_delete; /* pg_constraint.confdeltype: a no action, r restrict, c cascade, n set null, d set default */
};

struct mr_sql_table {
    unsigned id; /* pg_class.oid */
    const char *name;
    const char *quoted;      /* as SQL has to write it */
    char kind;               /* pg_class.relkind: r table, p partitioned table, v view, m materialized view, f foreign table */
    bool has_insert_trigger; /* BEFORE INSERT, of each row */
    struct mr_sql_column *columns;
    unsigned column_count;
    struct mr_sql_unique *uniques;
    unsigned unique_count;
    struct mr_sql_reference *references;
    unsigned reference_count;
};

struct mr_catalogue {
    struct mr_sql_table *tables; /* by name; those that a statement finds without naming a schema */
    unsigned table_count;
    struct mr_arena arena;
};

/* Reads the catalogue. mr_catalogue_fini frees `out`, which is empty on failure. */
mr_status mr_catalogue_read(struct mr_catalogue *out, mr_db *db, int64_t deadline_ms) MR_WARN_UNUSED;

/* Frees the tables, not the struct itself. An empty one is fine. */
void mr_catalogue_fini(struct mr_catalogue *self);

/* A table by its name; borrowed. NULL when there is none. */
const struct mr_sql_table *mr_catalogue_table(const struct mr_catalogue *self, const char *name);

/* A column by name; borrowed from the table. NULL when it has none of that name. */
const struct mr_sql_column *mr_catalogue_column(const struct mr_sql_table *self, const char *name);

/* Whether one of the table's unique indexes is on these columns (NULLs are skipped) and no others, in any order. */
bool mr_catalogue_is_unique(const struct mr_sql_table *self, const struct mr_sql_column *const *columns, unsigned count);

#endif
