#include "application/arena.h"

#include <stddef.h>
#include <stdlib.h>

enum { BLOCK = 64 * 1024, ALIGN = _Alignof(max_align_t) };

struct mr_arena_block {
    struct mr_arena_block *next;
    size_t used;
    size_t room;
    _Alignas(max_align_t) char bytes[];
};

static struct mr_arena_block *add_block(struct mr_arena *self, size_t size)
{
    size_t room = size > BLOCK ? size : BLOCK;
    struct mr_arena_block *block = calloc(1, sizeof *block + room);

    if (block == NULL)
        return NULL;
    block->room = room;
    block->next = self->blocks;
    self->blocks = block;
    return block;
}

void *mr_arena_take(struct mr_arena *self, size_t size)
{
    struct mr_arena_block *block = self->blocks;
    void *out;

    size = (size + ALIGN - 1) / ALIGN * ALIGN;
    if (self->failed || (self->limit > 0 && size > self->limit - self->taken)) {
        self->failed = true;
        return NULL;
    }
    if (block == NULL || block->room - block->used < size)
        block = add_block(self, size);
    if (block == NULL) {
        self->failed = true;
        return NULL;
    }
    out = block->bytes + block->used;
    block->used += size;
    self->taken += size;
    return out;
}

char *mr_arena_text(struct mr_arena *self, struct mr_slice text)
{
    char *copy = mr_arena_take(self, text.len + 1);

    if (copy != NULL && text.len > 0)
        memcpy(copy, text.data, text.len);
    return copy;
}

void *mr_arena_grow(struct mr_arena *self, void *items, unsigned count, size_t size)
{
    void *copy;

    if (count > 0 && (count & (count - 1)) != 0)
        return items;
    copy = mr_arena_take(self, (count > 0 ? 2 * (size_t)count : 1) * size);
    if (copy != NULL && count > 0)
        memcpy(copy, items, count * size);
    return copy;
}

void mr_arena_fini(struct mr_arena *self)
{
    while (self->blocks != NULL) {
        struct mr_arena_block *next = self->blocks->next;

        free(self->blocks);
        self->blocks = next;
    }
    *self = (struct mr_arena){.limit = self->limit};
}
