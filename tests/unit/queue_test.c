#include "runtime/queue.h"

#include "proto/envelope.h"
#include "runtime/mailbox.h"
#include "tests/support/test.h"

enum { NOW_MS = 1000, TAKE_MS = 30000 };

static const struct mr_actor_spec spec = {.id = MR_ACTOR_AUTH};
static struct test_clock test_clock_of_all;
static struct mr_actor actor; /* as much of one as the queue looks at */
static mr_mailbox *gateway;

static int setup(void **state)
{
    (void)state;
    mr_mailbox_setup();
    return 0;
}

static int begin(void **state)
{
    (void)state;
    test_clock_init(&test_clock_of_all, NOW_MS);
    actor = (struct mr_actor){.spec = &spec, .clock = &test_clock_of_all.clock, .lane = mr_op_info(MR_OP_db_ping)->traits->lane};
    actor.last = &actor.first;
    assert_int_equal(mr_mailbox_new(&actor.mailbox, "actor"), MR_OK);
    assert_int_equal(mr_mailbox_new(&gateway, "gateway"), MR_OK);
    assert_int_equal(mr_mailbox_connect(gateway, "actor"), MR_OK);
    return 0;
}

static int end(void **state)
{
    (void)state;
    mr_queue_free(&actor);
    mr_mailbox_destroy(&actor.mailbox);
    mr_mailbox_destroy(&gateway);
    return 0;
}

/* Sends a message and waits until the actor has it. */
static struct mr_message *add(int64_t deadline_ms)
{
    struct mr_envelope envelope = {.kind = MR_REQUEST, .op = MR_OP_db_ping, .deadline_ms = deadline_ms};
    struct stopwatch watch = stopwatch_start();
    struct mr_message **place = actor.last;
    struct mr_value values[MR_FIELDS_MAX] = {{.present = true, .uuid = {1}}};
    struct mr_buf payload = {0};
    struct mr_buf frame = {0};

    mr_payload_encode(&payload, envelope.op, values);
    envelope.payload = (struct mr_slice){payload.data, payload.len};
    assert_int_equal(mr_envelope_encode(&frame, &envelope), MR_OK);
    assert_int_equal(mr_mailbox_send(gateway, "actor", frame.data, frame.len), MR_OK);
    while (*place == NULL) {
        assert_true(mr_queue_take_mail(&actor));
        if (stopwatch_ms(&watch) > TAKE_MS)
            fail_test("no mail");
    }
    mr_buf_fini(&payload);
    mr_buf_fini(&frame);
    return *place;
}

static void test_sweep__frees_what_is_answered_wherever_it_stands(void **state)
{
    struct mr_message *messages[5];
    struct mr_message *added;

    (void)state;
    for (unsigned i = 0; i < 5; i++)
        messages[i] = add(NOW_MS + 100);
    mr_queue_note_answered(&actor, messages[1]);
    mr_queue_note_answered(&actor, messages[1]); /* a second answer, in place of one that had no memory, is of the same message */
    mr_queue_note_answered(&actor, messages[4]);
    assert_int_equal(actor.answered, 2);
    mr_queue_sweep(&actor);
    assert_int_equal(actor.waiting, 3);
    assert_int_equal(actor.answered, 0);
    assert_ptr_equal(actor.first, messages[0]);
    assert_ptr_equal(messages[0]->next, messages[2]);
    assert_ptr_equal(messages[3]->next, NULL);
    assert_ptr_equal(actor.last, &messages[3]->next);
    added = add(NOW_MS + 100);
    assert_ptr_equal(messages[3]->next, added);
    assert_int_equal(actor.waiting, 4);
}

static void test_sweep__what_flies_stays_until_it_has_landed(void **state)
{
    struct mr_message *message = add(NOW_MS + 100);

    (void)state;
    message->flying = true;
    test_clock_advance(&test_clock_of_all, 200);
    mr_queue_sweep(&actor);
    mr_queue_note_answered(&actor, message);
    mr_queue_sweep(&actor);
    assert_int_equal(actor.waiting, 1);
    message->flying = false;
    mr_queue_sweep(&actor);
    assert_int_equal(actor.waiting, 0);
    assert_int_equal(actor.stats.expired, 0);
}

static void test_sweep__drops_what_is_late_and_nothing_before(void **state)
{
    (void)state;
    add(NOW_MS + 300);
    mr_queue_sweep(&actor);
    add(NOW_MS + 100); /* in front of nobody, and the first to go */
    add(NOW_MS + 200);
    for (unsigned left = 3; left > 0; left--) {
        test_clock_advance(&test_clock_of_all, 99);
        mr_queue_sweep(&actor);
        assert_int_equal(actor.waiting, left);
        test_clock_advance(&test_clock_of_all, 1);
        mr_queue_sweep(&actor);
        assert_int_equal(actor.waiting, left - 1);
    }
    assert_int_equal(actor.stats.expired, 3);
    assert_ptr_equal(actor.last, &actor.first);
}

/* A batch is a hundred of thousands: to look at each of those for every batch took a fifth of the actor's time. */
static void test_sweep__looks_no_further_than_it_has_to(void **state)
{
    struct mr_message *first = add(NOW_MS + 100);
    struct mr_message *trap;

    (void)state;
    (void)add(NOW_MS + 100);
    trap = add(NOW_MS + 100);
    mr_queue_sweep(&actor);
    trap->envelope.deadline_ms = NOW_MS; /* who looks at it drops it */
    mr_queue_note_answered(&actor, first);
    mr_queue_sweep(&actor);
    assert_int_equal(actor.waiting, 2);
    mr_queue_sweep(&actor);
    assert_int_equal(actor.waiting, 2);
    test_clock_advance(&test_clock_of_all, 100);
    mr_queue_sweep(&actor);
    assert_int_equal(actor.waiting, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_sweep__frees_what_is_answered_wherever_it_stands),
        TEST(test_sweep__what_flies_stays_until_it_has_landed),
        TEST(test_sweep__drops_what_is_late_and_nothing_before),
        TEST(test_sweep__looks_no_further_than_it_has_to),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
