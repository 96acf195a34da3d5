#include "runtime/plan.h"

#include "tests/support/test.h"

enum { MANY = 3000 };

static struct mr_message queue[MANY];
static unsigned waiting;
static struct mr_message *batch[MR_PLAN_MAX];

static int setup(void **state)
{
    (void)state;
    memset(queue, 0, sizeof queue);
    waiting = 0;
    return 0;
}

/* Appends a message of a key (0: none) and a user (0: nobody). */
static struct mr_message *add(enum mr_op op, uint64_t key, uint8_t user)
{
    struct mr_message *message = &queue[waiting];

    message->envelope.op = op;
    message->key = key;
    message->envelope.has_principal = user != 0;
    message->envelope.principal.user_id[15] = user;
    if (waiting++ > 0)
        queue[waiting - 2].next = message;
    return message;
}

static unsigned plan(unsigned max)
{
    return mr_plan_batch(waiting > 0 ? queue : NULL, waiting, 0, max, batch);
}

/* The places in the queue of what was planned, as "0 1 2". */
static const char *places(unsigned count)
{
    static char text[4096];

    text[0] = '\0';
    for (unsigned i = 0; i < count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%u", i > 0 ? " " : "", (unsigned)(batch[i] - queue));
    return text;
}

static void test_plan__takes_all_that_wait_in_their_order(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5; i++)
        add(MR_OP_profile_get, 0, 1);
    assert_string_equal(places(plan(128)), "0 1 2 3 4");
    for (unsigned i = 0; i < 5; i++)
        assert_true(queue[i].taken);
}

static void test_plan__an_empty_queue_is_an_empty_batch(void **state)
{
    (void)state;
    assert_int_equal(plan(128), 0);
}

static void test_plan__takes_no_more_than_it_may(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MANY; i++)
        add(MR_OP_profile_get, 0, (uint8_t)(1 + i % 200));
    assert_int_equal(plan(128), 128);
    setup(NULL);
    for (unsigned i = 0; i < MANY; i++)
        add(MR_OP_profile_get, 0, (uint8_t)(1 + i % 200));
    assert_int_equal(plan(MR_PLAN_MAX), MR_PLAN_MAX);
    setup(NULL);
    for (unsigned i = 0; i < 3; i++)
        add(MR_OP_profile_get, 0, 1);
    assert_int_equal(plan(1), 1);
}

static void test_plan__is_cut_at_the_first_conflict(void **state)
{
    (void)state;
    add(MR_OP_profile_update, 7, 1);
    add(MR_OP_profile_update, 8, 1);
    add(MR_OP_profile_delete, 7, 1);
    add(MR_OP_profile_update, 9, 1);
    assert_string_equal(places(plan(128)), "0 1");
    assert_false(queue[3].taken);
}

static void test_plan__messages_without_a_key_never_conflict(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 10; i++)
        add(MR_OP_profile_get, 0, 1);
    assert_int_equal(plan(128), 10);
}

static void test_plan__one_user_gets_a_quarter_before_others_had_a_turn(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++)
        add(MR_OP_profile_get, 0, 1);
    add(MR_OP_profile_get, 0, 2);
    assert_string_equal(places(plan(8)), "0 1 20 2 3 4 5 6");
}

static void test_plan__when_all_fit_there_are_no_shares(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 7; i++)
        add(MR_OP_profile_get, 0, 1);
    add(MR_OP_profile_get, 0, 2);
    assert_string_equal(places(plan(8)), "0 1 2 3 4 5 6 7");
}

static void test_plan__nobody_and_millrace_itself_have_no_share(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++)
        add(MR_OP_db_ping, 0, 0);
    assert_string_equal(places(plan(8)), "0 1 2 3 4 5 6 7");
}

/* Passed over for their user's share, 2 (key 5) must not be overtaken by 4 of the same key. */
static void test_plan__what_is_passed_over_is_not_overtaken_by_its_key(void **state)
{
    (void)state;
    add(MR_OP_profile_update, 1, 1);
    add(MR_OP_profile_update, 2, 1);
    add(MR_OP_profile_update, 5, 1);
    add(MR_OP_profile_update, 3, 2);
    add(MR_OP_profile_update, 5, 2);
    for (unsigned i = 0; i < 10; i++)
        add(MR_OP_profile_update, 100 + i, 3);
    assert_string_equal(places(plan(8)), "0 1 3 2");
}

/* Random queues: whatever is taken, no key twice, and none before an older one of its key. */
static void test_plan__never_breaks_the_order_of_a_key(void **state)
{
    uint64_t seed = 3;

    (void)state;
    for (unsigned round = 0; round < 2000; round++) {
        unsigned count;
        unsigned max = 1 + random_below(&seed, 16);
        unsigned length = 1 + random_below(&seed, 40);

        setup(NULL);
        for (unsigned i = 0; i < length; i++)
            add(MR_OP_profile_update, random_below(&seed, 12), (uint8_t)random_below(&seed, 4));
        count = plan(max);
        assert_in_range(count, 1, max);
        for (unsigned i = 0; i < length; i++)
            for (unsigned j = 0; j < i && queue[i].taken && queue[i].key != 0; j++)
                if (queue[j].key == queue[i].key)
                    fail_test("round %u: %u before or beside %u", round, i, j);
        for (unsigned i = 0; i < count; i++)
            for (unsigned j = 0; j < i; j++)
                assert_ptr_not_equal(batch[i], batch[j]);
    }
}

static void test_plan__groups_what_one_statement_answers(void **state)
{
    static const struct mr_variant variant = {.statement = "another"};

    (void)state;
    add(MR_OP_profile_update, 0, 1);
    add(MR_OP_job_list, 0, 1);
    add(MR_OP_profile_update, 0, 1);
    add(MR_OP_job_list, 0, 1)->variant = &variant;
    add(MR_OP_job_list, 0, 1);
    assert_int_equal(plan(128), 5);
    assert_int_equal(mr_plan_group(batch, 5, 128), 2);
    assert_string_equal(places(5), "0 2 1 3 4");
    assert_int_equal(mr_plan_group(batch + 2, 3, 128), 2);
    assert_string_equal(places(5), "0 2 1 4 3");
    assert_int_equal(mr_plan_group(batch + 4, 1, 128), 1);
}

static void test_plan__a_group_is_no_larger_than_its_op_allows(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5; i++)
        add(MR_OP_sign_in, 0, 0);
    assert_int_equal(plan(128), 5);
    assert_int_equal(mr_plan_group(batch, 5, 2), 2);
    assert_string_equal(places(5), "0 1 2 3 4");
}

/* One resource, one key, whatever the field is called. */
static void test_plan__keys_of_messages(void **state)
{
    static const struct mr_field create_fields[] = {{.name = "id", .type = MR_UUID}, {.name = NULL}};
    static const struct mr_field update_fields[] = {{.name = "word", .type = MR_TEXT}, {.name = "noteId", .type = MR_UUID}, {.name = NULL}};
    static const struct mr_traits create_traits = {.resource = "note", .key = "id", .fields = create_fields};
    static const struct mr_traits update_traits = {.resource = "note", .key = "noteId", .fields = update_fields};
    static const struct mr_traits get_traits = {.fields = create_fields};
    static const struct mr_op_info ops[] = {
        {"note_create", MR_VERB_NONE, NULL, MR_ACTOR_DATA_WRITER, MR_ACCESS_PUBLIC, 200, MR_BY_SQL, .traits = &create_traits},
        {"note_update", MR_VERB_NONE, NULL, MR_ACTOR_DATA_WRITER, MR_ACCESS_PUBLIC, 200, MR_BY_SQL, .traits = &update_traits},
        {"note_get", MR_VERB_NONE, NULL, MR_ACTOR_DATA_READER, MR_ACCESS_PUBLIC, 200, MR_BY_SQL, .traits = &get_traits},
    };
    static const struct mr_op_table table = {.ops = ops, .op_count = 3};
    const enum mr_op create_op = (enum mr_op)MR_OP_COUNT;
    const enum mr_op update_op = (enum mr_op)(MR_OP_COUNT + 1);
    struct mr_value create[1] = {{.present = true}};
    struct mr_value update[2] = {{.present = false}, {.present = true}};
    uint64_t key;

    (void)state;
    mr_ops_install(&table);
    memset(create[0].uuid, 5, 16);
    memset(update[1].uuid, 5, 16);
    key = mr_message_key(create_op, create);
    assert_true(key != 0);
    assert_true(key == mr_message_key(update_op, update));
    memset(update[1].uuid, 6, 16);
    assert_true(key != mr_message_key(update_op, update));
    assert_true(mr_message_key((enum mr_op)(MR_OP_COUNT + 2), create) == 0);
    mr_ops_install(NULL);
}

/* A key of any type is its value, wherever that lies in memory. */
static void test_plan__keys_of_every_type(void **state)
{
    static const struct {
        struct mr_field field;
        const char *one, *other;
    } keys[] = {
        {{.type = MR_TEXT}, "a", "b"},
        {{.type = MR_UUID}, "019108f7-52d1-7320-9bac-f847db4148a8", "019108f7-52d1-7320-9bac-f847db4148a9"},
        {{.type = MR_TIME}, "2027-01-31", "2027-02-01"},
        {{.type = MR_BOOL}, "true", "false"},
        {{.type = MR_INT}, "1", "2"},
        {{.type = MR_DECIMAL, .scale = -1}, "1.50", "1.51"},
        {{.type = MR_NUMBER}, "0.1", "0.2"},
        {{.type = MR_DATE}, "2027-01-31", "2027-02-01"},
        {{.type = MR_JSON}, "[1]", "[2]"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct mr_field fields[2] = {keys[i].field, {.name = NULL}};
        const struct mr_traits traits = {.summary = "x", .resource = "x", .key = "k", .fields = fields};
        const struct mr_op_info info = {"x", MR_VERB_NONE, NULL, MR_ACTOR_DATA_WRITER, MR_ACCESS_PUBLIC, 200, MR_BY_SQL, .traits = &traits};
        const struct mr_op_table table = {.ops = &info, .op_count = 1};
        const enum mr_op op = (enum mr_op)MR_OP_COUNT;
        struct mr_problem problem;
        struct mr_value values[3];
        char copies[3][64];

        fields[0].name = "k";
        mr_ops_install(&table);
        memset(values, 0x5a, sizeof values); /* what is beside a value is not the value */
        for (unsigned v = 0; v < 3; v++) {
            struct mr_value parsed;

            snprintf(copies[v], sizeof copies[v], "%s", v < 2 ? keys[i].one : keys[i].other);
            assert_true(mr_field_parse(&fields[0], mr_slice_of(copies[v]), &parsed, &problem));
            if (v == 0)
                values[v] = parsed;
            else { /* as a decoder leaves it: the members of its type, and no others */
                values[v].present = true;
                if (keys[i].field.type == MR_UUID)
                    memcpy(values[v].uuid, parsed.uuid, 16);
                else if (keys[i].field.type == MR_BOOL)
                    values[v].boolean = parsed.boolean;
                else if (keys[i].field.type == MR_INT || keys[i].field.type == MR_TIME)
                    values[v].integer = parsed.integer;
                else if (keys[i].field.type == MR_NUMBER)
                    values[v].number = parsed.number;
                else
                    values[v].text = parsed.text;
            }
        }
        if (mr_message_key(op, &values[0]) != mr_message_key(op, &values[1]) || mr_message_key(op, &values[0]) == mr_message_key(op, &values[2]))
            fail_test("keys of type %s", mr_field_cast(&fields[0]));
        mr_ops_install(NULL);
    }
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

/* Sends them, as the actor does with what was planned. */
static void fly(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        batch[i]->flying = true;
}

static void test_plan__what_waits_for_a_key_in_flight_is_passed_over_with_all_of_its_key(void **state)
{
    (void)state;
    add(MR_OP_profile_delete, 7, 1);
    fly(plan(128));
    add(MR_OP_profile_delete, 7, 1);
    add(MR_OP_profile_delete, 8, 1);
    add(MR_OP_job_run_cancel, 7, 1);
    add(MR_OP_profile_update, 0, 1);
    assert_string_equal(places(mr_plan_batch(queue, waiting - 1, 1, 128, batch)), "2 4");
    fly(2);
    assert_int_equal(mr_plan_batch(queue, waiting - 3, 3, 128, batch), 0); /* all that is left is held */
    queue[0].flying = false;
    queue[0].answered = true;
    assert_string_equal(places(mr_plan_batch(queue, waiting - 2, 2, 128, batch)), "1");
}

static void test_plan__as_many_keys_in_flight_as_there_may_be(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MANY; i++)
        add(MR_OP_profile_delete, 1 + i, (uint8_t)(1 + i % 200));
    assert_int_equal(plan(MR_PLAN_MAX), MR_PLAN_MAX);
    fly(MR_PLAN_MAX);
    assert_int_equal(mr_plan_batch(queue, waiting - MR_PLAN_MAX, MR_PLAN_MAX, MR_PLAN_MAX, batch), MR_PLAN_MAX);
}

/* The tables are no larger than what comes into them: who only asks must leave room. */
static void test_plan__many_ask_for_the_few_that_are_in_flight(void **state)
{
    (void)state;
    add(MR_OP_profile_delete, MANY, 1);
    add(MR_OP_profile_delete, MANY + 1, 2);
    fly(plan(128));
    for (unsigned i = 2; i < 200; i++)
        add(MR_OP_profile_delete, i, (uint8_t)i);
    assert_int_equal(mr_plan_batch(queue, waiting - 2, 2, 128, batch), 128);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_plan__takes_all_that_wait_in_their_order),
        TEST(test_plan__an_empty_queue_is_an_empty_batch),
        TEST(test_plan__takes_no_more_than_it_may),
        TEST(test_plan__is_cut_at_the_first_conflict),
        TEST(test_plan__messages_without_a_key_never_conflict),
        TEST(test_plan__one_user_gets_a_quarter_before_others_had_a_turn),
        TEST(test_plan__when_all_fit_there_are_no_shares),
        TEST(test_plan__nobody_and_millrace_itself_have_no_share),
        TEST(test_plan__what_is_passed_over_is_not_overtaken_by_its_key),
        TEST(test_plan__never_breaks_the_order_of_a_key),
        TEST(test_plan__what_waits_for_a_key_in_flight_is_passed_over_with_all_of_its_key),
        TEST(test_plan__as_many_keys_in_flight_as_there_may_be),
        TEST(test_plan__many_ask_for_the_few_that_are_in_flight),
        TEST(test_plan__groups_what_one_statement_answers),
        TEST(test_plan__a_group_is_no_larger_than_its_op_allows),
        TEST(test_plan__keys_of_messages),
        TEST(test_plan__keys_of_every_type),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
