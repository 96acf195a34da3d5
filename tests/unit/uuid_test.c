#include "proto/uuid.h"

#include <pthread.h>
#include <stdlib.h>

#include "tests/support/test.h"

static void test_uuid__parses_any_version_and_case_and_writes_lower_case(void **state)
{
    static const char *const texts[][2] = {
        {"00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000000"},
        {"ffffffff-ffff-ffff-ffff-ffffffffffff", "ffffffff-ffff-ffff-ffff-ffffffffffff"},
        {"C232AB00-9414-11EC-B3C8-9F6BDECED846", "c232ab00-9414-11ec-b3c8-9f6bdeced846"}, /* RFC 9562, A.1 */
        {"919108f7-52d1-4320-9bac-f847db4148a8", "919108f7-52d1-4320-9bac-f847db4148a8"}, /* A.3 */
        {"017F22E2-79B0-7CC3-98C4-DC0C0C07398F", "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"}, /* A.6 */
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char out[MR_UUID_TEXT + 1] = "";
        uint8_t uuid[16];

        assert_true(mr_uuid_parse(uuid, texts[i][0], strlen(texts[i][0])));
        mr_uuid_format(out, uuid);
        assert_string_equal(out, texts[i][1]);
    }
}

static void test_uuid__refuses_other_forms_and_leaves_the_result_alone(void **state)
{
    static const char *const bad[] = {
        "", "-", "919108f7-52d1-4320-9bac-f847db4148a", "919108f7-52d1-4320-9bac-f847db4148a8 ", "919108f752d143209bacf847db4148a8",
        "{919108f7-52d1-4320-9bac-f847db4148a8}", "919108f7-52d1-4320-9bac-f847db4148ag", "919108f7-52d1-4320-9bac--847db4148a8",
        "919108f7052d1-4320-9bac-f847db4148a8", "urn:uuid:919108f7-52d1-4320-9bac-f847", "------------------------------------",
        "919108f7-52d1-4320-9bac-f847db4148\xc3\xa9"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t uuid[16] = {[15] = 77};

        assert_false(mr_uuid_parse(uuid, bad[i], strlen(bad[i])));
        assert_int_equal(uuid[15], 77);
    }
}

/* RFC 9562, A.6: 2022-02-22T19:22:22.000Z. */
static void test_uuid__version_7_is_the_example_of_the_standard(void **state)
{
    static const uint8_t random[10] = {0xfc, 0xc3, 0xd8, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f};
    char out[MR_UUID_TEXT + 1] = "";
    uint8_t uuid[16];

    (void)state;
    mr_uuid_v7(uuid, INT64_C(1645557742000), random);
    mr_uuid_format(out, uuid);
    assert_string_equal(out, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
}

static void test_uuid__version_7_sorts_by_time(void **state)
{
    uint8_t all[10];
    uint8_t none[10] = {0};
    uint8_t a[16];
    uint8_t b[16];

    (void)state;
    memset(all, 0xff, sizeof all);
    for (int64_t ms = 1; ms < INT64_C(1) << 47; ms *= 3) {
        mr_uuid_v7(a, ms, all);
        mr_uuid_v7(b, ms + 1, none);
        assert_true(memcmp(a, b, 16) < 0);
        assert_int_equal(a[6] >> 4, 7);
        assert_int_equal(a[8] >> 6, 2);
    }
}

/* Of the millisecond `ms`, with the greatest counter to begin with, and with the least. */
static void next(uint8_t out[16], int64_t ms, bool greatest)
{
    uint8_t random[10];

    memset(random, greatest ? 0xff : 0, sizeof random);
    mr_uuid_next(out, ms, random);
    assert_int_equal(out[6] >> 4, 7);
    assert_int_equal(out[8] >> 6, 2);
}

static int64_t ms_of(const uint8_t uuid[16])
{
    int64_t ms = 0;

    for (int i = 0; i < 6; i++)
        ms = ms << 8 | uuid[i];
    return ms;
}

static void test_uuid_next__ascends_within_a_millisecond(void **state)
{
    const int64_t ms = INT64_C(1700000000000);
    uint8_t last[16];
    uint8_t id[16];

    (void)state;
    next(last, ms, true);
    assert_int_equal(ms_of(last), ms);
    for (int i = 0; i < 20000; i++) {
        next(id, ms, i % 2 == 0);
        assert_true(memcmp(last, id, 16) < 0);
        if (i < 2048)
            assert_int_equal(ms_of(id), ms);
        memcpy(last, id, sizeof last);
    }
    assert_in_range(ms_of(last), ms + 1, ms + 20000 / 2048);
}

static void test_uuid_next__follows_the_clock_but_for_small_steps_back(void **state)
{
    const int64_t ms = INT64_C(1710000000000);
    uint8_t last[16];
    uint8_t id[16];

    (void)state;
    next(last, ms, true);
    next(id, ms + 1, false);
    assert_true(memcmp(last, id, 16) < 0);
    assert_int_equal(ms_of(id), ms + 1);
    memcpy(last, id, sizeof last);
    next(id, ms + 1 - 10000, true);
    assert_true(memcmp(last, id, 16) < 0);
    assert_int_equal(ms_of(id), ms + 1);
    next(id, ms - 10000, false);
    assert_int_equal(ms_of(id), ms - 10000);
}

enum { MAKERS = 4, MADE = 20000 };

struct maker {
    pthread_t thread;
    uint8_t ids[MADE][16];
};

static void *make(void *argument)
{
    struct maker *self = argument;
    uint8_t random[10] = {0};

    for (int i = 0; i < MADE; i++)
        mr_uuid_next(self->ids[i], INT64_C(1720000000000), random);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

static void test_uuid_next__serves_threads_that_ask_at_once(void **state)
{
    struct maker *makers = calloc(MAKERS, sizeof *makers);
    uint8_t(*all)[16] = calloc(MAKERS * MADE, sizeof *all);

    (void)state;
    assert_non_null(makers);
    assert_non_null(all);
    for (int m = 0; m < MAKERS; m++)
        assert_int_equal(pthread_create(&makers[m].thread, NULL, make, &makers[m]), 0);
    for (int m = 0; m < MAKERS; m++)
        assert_int_equal(pthread_join(makers[m].thread, NULL), 0);
    for (int m = 0; m < MAKERS; m++) {
        for (int i = 1; i < MADE; i++)
            assert_true(memcmp(makers[m].ids[i - 1], makers[m].ids[i], 16) < 0);
        memcpy(all + (size_t)m * MADE, makers[m].ids, sizeof makers[m].ids);
    }
    qsort(all, MAKERS * MADE, sizeof *all, compare);
    for (int i = 1; i < MAKERS * MADE; i++)
        assert_true(memcmp(all[i - 1], all[i], 16) < 0);
    free(all);
    free(makers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uuid__parses_any_version_and_case_and_writes_lower_case),
        cmocka_unit_test(test_uuid__refuses_other_forms_and_leaves_the_result_alone),
        cmocka_unit_test(test_uuid__version_7_is_the_example_of_the_standard),
        cmocka_unit_test(test_uuid__version_7_sorts_by_time),
        cmocka_unit_test(test_uuid_next__ascends_within_a_millisecond),
        cmocka_unit_test(test_uuid_next__follows_the_clock_but_for_small_steps_back),
        cmocka_unit_test(test_uuid_next__serves_threads_that_ask_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
