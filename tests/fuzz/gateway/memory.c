#include "tests/fuzz/gateway/memory.h"

#include <errno.h>
#include <stddef.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static _Thread_local bool watched;
static unsigned to_succeed;
static unsigned to_fail;
static bool failed;

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

bool memory_has_failed(void)
{
    return failed;
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

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}
