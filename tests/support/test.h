/*
 * test: cmocka, and what every test of Millrace wants beside it.
 */
#ifndef MR_TESTS_SUPPORT_TEST_H
#define MR_TESTS_SUPPORT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/buffer.h"
#include "runtime/clock.h"

/* Fails the test with a formatted reason. */
#define fail_test(...)        \
    do {                      \
        print_error(__VA_ARGS__); \
        print_error("\n");    \
        fail();               \
    } while (0)

#define assert_slice_equal(slice, text)                                                                         \
    do {                                                                                                        \
        struct mr_slice have_ = (slice);                                                                        \
        if (!mr_slice_is(have_, (text)))                                                                        \
            fail_test("\"%.*s\" is not \"%s\"", (int)have_.len, have_.len > 0 ? have_.data : "", (text)); \
    } while (0)

/* What a buffer holds so far, as a slice that is never NULL. */
static inline struct mr_slice buf_slice(const struct mr_buf *buf)
{
    return (struct mr_slice){buf->len > 0 ? buf->data : "", buf->len};
}

/* Pseudo-random numbers that are the same in every run (SplitMix64). */
static inline uint64_t random_next(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* From 0 to `limit` - 1. */
static inline unsigned random_below(uint64_t *seed, unsigned limit)
{
    return (unsigned)(random_next(seed) % limit);
}

/*
 * Counts the milliseconds that a bound is about: those in which the machine was too busy, so that something waited for a core or a disk, do
 * not count, for they say nothing of the program. A fifth of the time always counts: every wait ends.
 */
struct stopwatch {
    int64_t began_ms;
    int64_t pressure_ms;
};

struct stopwatch stopwatch_start(void);
int64_t stopwatch_passed_ms(const struct stopwatch *self); /* by the clock */
int64_t stopwatch_ms(const struct stopwatch *self);

/* From `least` by the clock to `most` that count. */
#define assert_took(watch, least, most)                                \
    do {                                                               \
        assert_in_range(stopwatch_passed_ms(watch), (least), INT64_MAX); \
        assert_in_range(stopwatch_ms(watch), 0, (most));               \
    } while (0)

/* Waits until `condition` holds, ten seconds at most. */
#define eventually(condition)                                                                      \
    do {                                                                                           \
        struct stopwatch watch_ = stopwatch_start();                                               \
        while (!(condition)) {                                                                     \
            if (stopwatch_ms(&watch_) > 10000)                                                     \
                fail_test("%s:%d: never came true: %s", __FILE__, __LINE__, #condition);           \
            pause_briefly();                                                                       \
        }                                                                                          \
    } while (0)

/* Two milliseconds: between two looks at a condition. */
void pause_briefly(void);

/* What `write_lines` puts on standard error, terminated; the caller's to free. */
struct mr_buf capture_stderr(void (*write_lines)(void));

/* A clock that shows what the test says. */
struct test_clock {
    struct mr_clock clock;
    _Atomic int64_t wall_ms;
    _Atomic int64_t mono_ms;
};

void test_clock_init(struct test_clock *self, int64_t now_ms);
void test_clock_advance(struct test_clock *self, int64_t ms);

#endif
