#include "tests/fuzz/gateway/memory.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *block);

enum { SLOTS = 1 << 16 };

static _Thread_local bool watched;
static _Thread_local bool known;
static unsigned to_succeed;
static unsigned to_fail;
static bool failed;

/* The addresses of live blocks, by hash and then the next free place; a removed one leaves the mark. */
static void *blocks[SLOTS];
static char removed;
static unsigned live;
static unsigned used; /* places that are not NULL */

void memory_fail(unsigned after, unsigned count)
{
    to_succeed = after;
    to_fail = count;
    failed = false;
}

void memory_watch(bool on)
{
    watched = on;
}

void memory_known(void)
{
    known = true;
}

bool memory_has_failed(void)
{
    return failed;
}

unsigned memory_live(void)
{
    return live;
}

static bool fails(void)
{
    if (!watched || to_fail == 0)
        return false;
    if (to_succeed > 0) {
        to_succeed--;
        return false;
    }
    to_fail--;
    failed = true;
    errno = ENOMEM;
    return true;
}

static unsigned place_of(const void *block)
{
    return (unsigned)(((uintptr_t)block >> 4) * 2654435761U) % SLOTS;
}

static void put(void *block)
{
    unsigned at = place_of(block);

    while (blocks[at] != NULL && blocks[at] != &removed)
        at = (at + 1) % SLOTS;
    used += blocks[at] == NULL;
    blocks[at] = block;
}

/* Without the marks, of which there are more with time. */
static void rebuild(void)
{
    static void *before[SLOTS];

    memcpy(before, blocks, sizeof blocks);
    memset(blocks, 0, sizeof blocks);
    used = 0;
    for (unsigned i = 0; i < SLOTS; i++)
        if (before[i] != NULL && before[i] != &removed)
            put(before[i]);
}

static void *note(void *block)
{
    if (block == NULL || !watched)
        return block;
    if (used > SLOTS / 2)
        rebuild();
    must(used <= SLOTS / 2);
    put(block);
    live++;
    return block;
}

static void forget(const void *block)
{
    if (block == NULL || !known)
        return;
    for (unsigned at = place_of(block); blocks[at] != NULL; at = (at + 1) % SLOTS)
        if (blocks[at] == block) {
            blocks[at] = &removed;
            live--;
            return;
        }
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : note(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : note(__real_calloc(count, size));
}

void *__wrap_realloc(void *old, size_t size)
{
    if (fails())
        return NULL;
    forget(old);
    return note(__real_realloc(old, size));
}

void __wrap_free(void *block)
{
    forget(block);
    __real_free(block);
}
