/*
 * read_internal: what read.c, which reads sections and what their keys need of each other, and read_value.c, which reads the values of
 * keys, share.
 */
#ifndef MR_APPLICATION_READ_INTERNAL_H
#define MR_APPLICATION_READ_INTERNAL_H

#include <regex.h>

#include "application/read.h"

struct mr_reader {
    struct mr_arena *arena;
    struct mr_problems *problems;
    bool compiled[MR_KIND_COUNT];
    regex_t patterns[MR_KIND_COUNT];
};

/* Reads the value of `key` into its member, `out`. */
typedef void read_value(struct mr_reader *self, const struct mr_key *key, const struct mr_yaml *node, void *out);

/* What reads values of that kind, which has no keys of its own: not a section, nor what contains one. */
read_value *read_value_of(enum mr_kind kind);

/* Whether text fits the pattern of its kind, which is compiled when it is first wanted; kinds without one take any. */
bool read_fits(struct mr_reader *self, enum mr_kind kind, const char *text);

/* Adds the problem of a node that is not the text that was expected; a number or a word of YAML is told to want quotes. */
void read_unexpected(struct mr_reader *self, const struct mr_yaml *node, const char *expected);

/* The same where no text was expected. */
void read_mistyped(struct mr_reader *self, const struct mr_yaml *node, const char *expected);

/* Whether the node is of that kind, and has something in it, but not too much; adds a problem otherwise. */
bool read_is_filled(struct mr_reader *self, const struct mr_yaml *node, enum mr_yaml_kind kind, const char *expected);

/* "one|of|these" as "one, of or these", in `room`. */
const char *read_list_words(const char *words, char *room, size_t size);

#endif
