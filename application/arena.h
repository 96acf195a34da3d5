/*
 * arena: memory that is given back all at once.
 *
 * A model of an application is thousands of small pieces that live and end together. A failed allocation, or one past the
 * limit, is remembered in `failed`, so that who fills the arena checks once, at the end. Not shared between threads.
 */
#ifndef MR_APPLICATION_ARENA_H
#define MR_APPLICATION_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/buffer.h"

struct mr_arena_block;

struct mr_arena {
    struct mr_arena_block *blocks;
    size_t taken; /* bytes in all */
    size_t limit; /* 0: none */
    bool failed;
};

/* Allocates `size` zeroed bytes, aligned for any type, which live until mr_arena_fini. NULL: no memory, and `failed` is set. */
void *mr_arena_take(struct mr_arena *self, size_t size);

/* A terminated copy of `text`; NULL with `failed` set. */
char *mr_arena_text(struct mr_arena *self, struct mr_slice text);

/*
 * Room for one more in an array of `count` elements: the array itself, or a copy twice as long when `count` is 0 or a power of
 * two. NULL with `failed` set. The new element is zeroed; pointers into the old array stay valid, but see no later change.
 */
void *mr_arena_grow(struct mr_arena *self, void *items, unsigned count, size_t size);

/* Frees everything that was allocated; the arena is empty and usable again. */
void mr_arena_fini(struct mr_arena *self);

#endif
