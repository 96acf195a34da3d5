#include "runtime/mailbox.h"

#include <poll.h>
#include <stdatomic.h>

#include "tests/support/test.h"

enum { THOUSANDS = 5000, PEERS = 4 };

static int setup(void **state)
{
    (void)state;
    mr_mailbox_setup();
    return 0;
}

static mr_mailbox *open_mailbox(const char *name)
{
    mr_mailbox *out = NULL;

    assert_int_equal(mr_mailbox_new(&out, name), MR_OK);
    return out;
}

/* Takes the next message, waiting five seconds at most. */
static void take(mr_mailbox *mailbox, struct mr_parcel *out)
{
    struct stopwatch watch = stopwatch_start();

    while (!mr_mailbox_take(mailbox, out)) {
        struct pollfd item = {.fd = mr_mailbox_fd(mailbox), .events = POLLIN};

        if (stopwatch_ms(&watch) > 5000)
            fail_test("no mail");
        (void)poll(&item, 1, 10);
    }
}

static void test_mailbox__bytes_arrive_with_their_sender(void **state)
{
    mr_mailbox *a = open_mailbox("a");
    mr_mailbox *b = open_mailbox("b");
    struct mr_parcel parcel;

    (void)state;
    assert_int_equal(mr_mailbox_connect(a, "b"), MR_OK);
    assert_int_equal(mr_mailbox_send(a, "b", "x\0y", 3), MR_OK);
    take(b, &parcel);
    assert_string_equal(parcel.from, "a");
    assert_int_equal(parcel.len, 3);
    assert_memory_equal(parcel.data, "x\0y", 3);
    mr_parcel_release(&parcel);
    assert_int_equal(mr_mailbox_send(b, "a", "", 0), MR_OK); /* back, without a connection of its own */
    take(a, &parcel);
    assert_string_equal(parcel.from, "b");
    assert_int_equal(parcel.len, 0);
    mr_parcel_release(&parcel);
    assert_false(mr_mailbox_take(a, &parcel));
    mr_mailbox_destroy(&a);
    mr_mailbox_destroy(&b);
    mr_mailbox_destroy(&b);
}

static void test_mailbox__an_unknown_name_is_refused(void **state)
{
    mr_mailbox *a = open_mailbox("a");

    (void)state;
    assert_int_equal(mr_mailbox_send(a, "nobody", "x", 1), MR_UNAVAILABLE);
    mr_mailbox_destroy(&a);
}

static void test_mailbox__a_name_belongs_to_one(void **state)
{
    mr_mailbox *a = open_mailbox("a");
    mr_mailbox *other = NULL;

    (void)state;
    assert_int_not_equal(mr_mailbox_new(&other, "a"), MR_OK);
    assert_null(other);
    mr_mailbox_destroy(&a);
    for (int i = 0; i < 20; i++) { /* given back at once */
        a = open_mailbox("a");
        mr_mailbox_destroy(&a);
    }
}

static void test_mailbox__what_was_not_taken_is_freed(void **state)
{
    mr_mailbox *a = open_mailbox("a");
    mr_mailbox *b = open_mailbox("b");

    (void)state;
    assert_int_equal(mr_mailbox_connect(a, "b"), MR_OK);
    for (int i = 0; i < 100; i++)
        assert_int_equal(mr_mailbox_send(a, "b", "left behind", 11), MR_OK);
    mr_mailbox_destroy(&b);
    mr_mailbox_destroy(&a);
}

/* So much memory is nowhere: an allocation fails, and the sanitizers are not to take that for a fault of ours. */
#define TOO_LARGE ((size_t)1 << 60)

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the names are the sanitizers' */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* When there is no memory for a message, nothing of it is sent, and the next one is as whole as any. */
static void test_mailbox__without_memory_nothing_is_sent_and_the_next_arrives_whole(void **state)
{
    mr_mailbox *a = open_mailbox("a");
    mr_mailbox *b = open_mailbox("b");
    struct mr_parcel parcel;

    (void)state;
    assert_int_equal(mr_mailbox_connect(a, "b"), MR_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(mr_mailbox_send(a, "b", "", TOO_LARGE), MR_NO_MEMORY);
        assert_int_equal(mr_mailbox_send(a, "b", "whole", 5), MR_OK);
        take(b, &parcel);
        assert_string_equal(parcel.from, "a");
        assert_int_equal(parcel.len, 5);
        assert_memory_equal(parcel.data, "whole", 5);
        mr_parcel_release(&parcel);
        assert_false(mr_mailbox_take(b, &parcel));
    }
    mr_mailbox_destroy(&a);
    mr_mailbox_destroy(&b);
}

static void test_mailbox__large_messages_arrive_whole(void **state)
{
    mr_mailbox *a = open_mailbox("a");
    mr_mailbox *b = open_mailbox("b");
    size_t len = 4 * 1024 * 1024;
    char *large = malloc(len);
    struct mr_parcel parcel;

    (void)state;
    for (size_t i = 0; i < len; i++)
        large[i] = (char)(i * 31 >> 3);
    assert_int_equal(mr_mailbox_connect(a, "b"), MR_OK);
    assert_int_equal(mr_mailbox_send(a, "b", large, len), MR_OK);
    take(b, &parcel);
    assert_int_equal(parcel.len, len);
    assert_int_equal(memcmp(parcel.data, large, len), 0);
    mr_parcel_release(&parcel);
    free(large);
    mr_mailbox_destroy(&a);
    mr_mailbox_destroy(&b);
}

/* ---- Threads ---- */

struct echo {
    mr_mailbox *mailbox;
    atomic_int running;
    atomic_int echoed;
};

/* Sends back what it gets until it is told to end. */
static void echo(mr_thread *thread, void *argument)
{
    struct echo *self = argument;
    struct mr_parcel parcel;
    bool stop = false;

    self->running = 1;
    mr_thread_ready(thread);
    while (!stop) {
        stop = mr_mailbox_wait(self->mailbox, thread, -1, -1, -1).stop;
        while (mr_mailbox_take(self->mailbox, &parcel)) {
            if (mr_mailbox_send(self->mailbox, parcel.from, parcel.data, parcel.len) == MR_OK)
                self->echoed++;
            mr_parcel_release(&parcel);
        }
    }
    self->running = 0;
}

static void test_mailbox__threads_start_and_stop_synchronously(void **state)
{
    struct echo self = {.mailbox = open_mailbox("echo")};

    (void)state;
    for (int i = 0; i < 20; i++) {
        mr_thread *thread = mr_thread_start("echo", echo, &self);

        assert_non_null(thread);
        assert_int_equal(self.running, 1);
        mr_thread_stop(&thread);
        assert_int_equal(self.running, 0);
        assert_null(thread);
        mr_thread_stop(&thread);
    }
    mr_mailbox_destroy(&self.mailbox);
}

/* Thousands of messages to several threads and back: nothing lost, nothing twice, order kept. */
static void test_mailbox__thousands_cross_threads_in_order(void **state)
{
    static struct echo peers[PEERS];
    mr_mailbox *here = open_mailbox("here");
    mr_thread *threads[PEERS];
    char names[PEERS][8];
    unsigned expected[PEERS] = {0};
    struct mr_parcel parcel;

    (void)state;
    for (unsigned i = 0; i < PEERS; i++) {
        snprintf(names[i], sizeof names[i], "peer%u", i);
        peers[i] = (struct echo){.mailbox = open_mailbox(names[i])};
        assert_int_equal(mr_mailbox_connect(here, names[i]), MR_OK);
        threads[i] = mr_thread_start(names[i], echo, &peers[i]);
    }
    for (unsigned i = 0; i < THOUSANDS; i++)
        assert_int_equal(mr_mailbox_send(here, names[i % PEERS], &i, sizeof i), MR_OK);
    for (unsigned i = 0; i < THOUSANDS; i++) {
        unsigned number;
        unsigned peer;

        take(here, &parcel);
        memcpy(&number, parcel.data, sizeof number);
        peer = (unsigned)(parcel.from[4] - '0');
        assert_int_equal(number % PEERS, peer);
        assert_int_equal(number / PEERS, expected[peer]++);
        mr_parcel_release(&parcel);
    }
    assert_false(mr_mailbox_take(here, &parcel));
    for (unsigned i = 0; i < PEERS; i++) {
        mr_thread_stop(&threads[i]);
        mr_mailbox_destroy(&peers[i].mailbox);
    }
    mr_mailbox_destroy(&here);
}

static void wait_for_nothing(mr_thread *thread, void *argument)
{
    struct echo *self = argument;
    struct mr_wake wake;

    mr_thread_ready(thread);
    do {
        wake = mr_mailbox_wait(self->mailbox, thread, -1, -1, 5);
        if (!wake.mail && !wake.stop && !wake.fd)
            self->echoed++;
    } while (!wake.stop);
}

static void test_mailbox__a_wait_ends_at_its_limit(void **state)
{
    struct echo self = {.mailbox = open_mailbox("idle")};
    mr_thread *thread = mr_thread_start("idle", wait_for_nothing, &self);

    (void)state;
    eventually(self.echoed >= 3);
    mr_thread_stop(&thread);
    mr_mailbox_destroy(&self.mailbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mailbox__bytes_arrive_with_their_sender),
        cmocka_unit_test(test_mailbox__an_unknown_name_is_refused),
        cmocka_unit_test(test_mailbox__a_name_belongs_to_one),
        cmocka_unit_test(test_mailbox__what_was_not_taken_is_freed),
        cmocka_unit_test(test_mailbox__without_memory_nothing_is_sent_and_the_next_arrives_whole),
        cmocka_unit_test(test_mailbox__large_messages_arrive_whole),
        cmocka_unit_test(test_mailbox__threads_start_and_stop_synchronously),
        cmocka_unit_test(test_mailbox__thousands_cross_threads_in_order),
        cmocka_unit_test(test_mailbox__a_wait_ends_at_its_limit),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
