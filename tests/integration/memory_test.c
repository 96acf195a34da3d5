/*
 * An actor that has no memory for its mail: it waits for some, and does not go round without a pause.
 */
#include <stdatomic.h>
#include <unistd.h>

#include "actors/auth.h"
#include "tests/support/fixture.h"
#include "tests/support/test.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MALLOC_IS_OURS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define MALLOC_IS_OURS 0
#endif
#endif
#ifndef MALLOC_IS_OURS
#define MALLOC_IS_OURS 1
#endif

static atomic_bool refusing;
static atomic_uint refused;

#if MALLOC_IS_OURS
void *allocate(size_t size) __asm__("__libc_malloc"); /* of glibc */

/* Refuses messages, which nothing else is as large as. */
void *malloc(size_t size)
{
    if (size != sizeof(struct mr_message) || !atomic_load(&refusing))
        return allocate(size);
    atomic_fetch_add(&refused, 1);
    return NULL;
}
#endif

static void test_memory__that_is_short_makes_an_actor_pause(void **state)
{
    struct fixture *self = *state;
    struct driver *driver;
    struct mr_value values[MR_FIELDS_MAX] = {0};
    struct stopwatch watch;
    unsigned id;

    if (!MALLOC_IS_OURS)
        skip();
    driver_destroy(&self->driver);
    driver = driver_new(&self->database->config, &mr_system_clock);
    atomic_store(&refusing, true);
    driver_start(driver, &mr_auth_spec, MR_LANE_QUICK, 0);
    set_id(&values[0], self->user);
    id = driver_send(driver, MR_OP_db_ping, values, NULL);
    atomic_store(&refused, 0);
    watch = stopwatch_start();
    eventually(stopwatch_passed_ms(&watch) > 300 && atomic_load(&refused) > 0);
    assert_in_range(atomic_load(&refused), 1, stopwatch_passed_ms(&watch) / 3); /* one each 20 ms; without a pause there are many thousands */
    atomic_store(&refusing, false);
    assert_int_equal(driver_await(driver, id)->kind, MR_REPLY);
    driver_destroy(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_memory__that_is_short_makes_an_actor_pause, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, database_server_start, database_server_stop);
}
