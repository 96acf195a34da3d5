/*
 * memory: allocations of our own code: they are counted, and fail when the driver says so.
 *
 * The linker puts the functions here in place of malloc, calloc, realloc and free (--wrap) where objects linked into the
 * program call them. Shared libraries are left alone: several end the process when memory ends.
 *
 * One thread at a time calls memory_watch or is memory_known; handing over is up to the driver.
 */
#ifndef MR_TESTS_FUZZ_GATEWAY_MEMORY_H
#define MR_TESTS_FUZZ_GATEWAY_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/* Of what the gateway allocates from now on, the first `after` succeed and `count` more fail; 0 of them: all is well. */
void memory_fail(unsigned after, unsigned count);

/* Whether the gateway runs in this thread: nobody else's allocations are counted. */
void memory_watch(bool on);

/* The calling thread may free what the gateway has allocated. */
void memory_known(void);

/* Blocks that the gateway has allocated and not freed. */
unsigned memory_live(void);

/* Whether any allocation has failed since the last memory_fail. */
bool memory_has_failed(void);

#endif
