/*
 * yaml: a file of an application, as a tree in which every node knows its place.
 *
 * The language is YAML 1.2 with its core schema (10.3): `on` and `yes` are text, and so is a date. It refuses whatever makes a
 * file mean something other than what it shows: aliases and anchors, tags, duplicate keys in a map, a second document. It also
 * refuses text that is not UTF-8, and files beyond the bounds below, which no hand-written file comes near.
 */
#ifndef MR_APPLICATION_YAML_H
#define MR_APPLICATION_YAML_H

#include "application/arena.h"
#include "application/problems.h"

enum { MR_YAML_BYTES = 1024 * 1024, MR_YAML_NODES = 20000, MR_YAML_DEPTH = 16 };

enum mr_yaml_kind { MR_YAML_NULL, MR_YAML_BOOLEAN, MR_YAML_INTEGER, MR_YAML_FLOAT, MR_YAML_TEXT, MR_YAML_LIST, MR_YAML_MAP };

struct mr_yaml {
    enum mr_yaml_kind kind;
    unsigned line; /* of its first character, from 1 */
    unsigned column;
    const char *file;
    const char *text;      /* of a scalar: UTF-8 without U+0000, with `${NAME}` filled in */
    const char *source;    /* the same as it stands in the file; what a message may quote */
    const char *variable;  /* that was filled in, the first of several; NULL: none */
    struct mr_yaml *key;   /* in a map: the scalar that names it */
    struct mr_yaml *next;  /* in its map or list */
    struct mr_yaml *first; /* of a map or a list; NULL when that is empty */
    unsigned count;
    bool
        is_repeated; /* of a key that its map had already: its value has been left out, so that who reads finds each key once */
};

/*
 * Reads a file into the arena: its root, or NULL with at least one problem added (or with `arena->failed`). `file` is what
 * places name and has to live as long as the arena.
 */
struct mr_yaml *mr_yaml_read(struct mr_arena *arena, const char *file, struct mr_slice text, struct mr_problems *problems);

/* The value of a key of a map, NULL when it has none. */
const struct mr_yaml *mr_yaml_get(const struct mr_yaml *map, const char *key);

/* Where the node stands: file, line and column. */
struct mr_place mr_yaml_place(const struct mr_yaml *node);

/* The place of a key's value; of the map when it does not have the key. */
struct mr_place mr_yaml_place_of(const struct mr_yaml *map, const char *key);

/* The kind in words, for messages: "a list", "text", ... Static. */
const char *mr_yaml_told(enum mr_yaml_kind kind);

/* Whether the whole text is UTF-8 without U+0000. False: a problem is added at the first wrong byte. */
bool mr_check_utf8(const char *file, struct mr_slice text, struct mr_problems *problems);

/* Appends the node as JSON (RFC 8259). False: it contains a number that JSON does not have, such as 0x1f or .inf. */
bool mr_yaml_json(const struct mr_yaml *node, struct mr_buf *out);

#endif
