/*
 * read: turns the tree of a file into the model, as the table of keys says.
 *
 * It reads every key, so that it reports all problems of a file at once. What has a problem keeps its member zeroed.
 */
#ifndef MR_APPLICATION_READ_H
#define MR_APPLICATION_READ_H

#include "application/keys.h"
#include "application/model.h"

struct mr_reader;

/* Makes a reader, which the caller destroys. Borrows `arena` and `problems` until then. NULL: out of memory. */
struct mr_reader *mr_reader_new(struct mr_arena *arena, struct mr_problems *problems);

/* Frees it and sets the caller's pointer to NULL; what it read stays in the arena. Accepts NULL. */
void mr_reader_destroy(struct mr_reader **self);

/* Reads a map into `out`, a zeroed struct that belongs to the section. Adds problems. */
void mr_read_section(struct mr_reader *self, enum mr_section section, const struct mr_yaml *node, void *out);

/* Checks a text against the pattern of its kind. Adds a problem that says what was expected. */
bool mr_read_text(struct mr_reader *self, enum mr_kind kind, const struct mr_yaml *node, const char **out);

/* Whether `name` fits the pattern of a resource's, an operation's or a job's name: ^[a-z][a-z0-9_]{0,62}$. */
bool mr_is_word(const char *name);

#endif
