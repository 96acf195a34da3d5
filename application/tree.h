/*
 * tree: what a parse tree of PostgreSQL's parser holds, as application/statement.h wants to know it.
 */
#ifndef MR_APPLICATION_TREE_H
#define MR_APPLICATION_TREE_H

#include <jansson.h>

#include "application/statement.h"

/* What a text is; what follows outweighs what stands in front of it. */
enum mr_tree_found {
    MR_TREE_READ,
    MR_TREE_CHANGE, /* it changes, locks or samples rows, here or further down */
    MR_TREE_CALL,
    MR_TREE_INTO, /* SELECT INTO */
    MR_TREE_OTHER /* `told` is no statement that an operation may have */
};

struct mr_tree {
    struct mr_arena *arena;
    struct mr_sql *out; /* its names are added to */
    enum mr_tree_found found;
    char told[64]; /* its kind, "Copy" */
};

/* Adds a copy of a name, unless it is there already. The copy lives in the arena. */
void mr_sql_add(struct mr_sql_names *self, struct mr_arena *arena, const char *schema, const char *name, bool of_parameters);

/* Collects what the tree of one statement contains, as mr_parse returns it. */
void mr_tree_walk(struct mr_tree *self, json_t *root);

#endif
