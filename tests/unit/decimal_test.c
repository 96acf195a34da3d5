#include "proto/decimal.h"

#include "tests/support/test.h"

static void test_decimal__parts(void **state)
{
    static const struct {
        const char *text;
        int64_t power, scale;
        bool negative, is_integer, is_zero;
    } numbers[] = {
        {"0", 0, 0, false, true, true},       {"-0", 0, 0, false, true, true},     {"0.000", 0, 0, false, false, true}, {"-0e9", 0, 0, false, false, true},
        {"7", 0, 0, false, true, false},      {"-7", 0, 0, true, true, false},     {"700", 2, 0, false, true, false},   {"7.5", 0, 1, false, false, false},
        {"0.05", -2, 2, false, false, false}, {"0.050", -2, 2, false, false, false}, {"10.010", 1, 2, false, false, false}, {"1e3", 3, 0, false, false, false},
        {"1.25e1", 1, 1, false, false, false}, {"1.25E+2", 2, 0, false, false, false}, {"125e-3", -1, 3, false, false, false}, {"100e-2", 0, 0, false, false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct mr_decimal out;

        if (!mr_decimal_parse(&out, mr_slice_of(numbers[i].text)))
            fail_test("%s is refused", numbers[i].text);
        if (out.power != numbers[i].power || out.scale != numbers[i].scale || out.negative != numbers[i].negative ||
            out.is_integer != numbers[i].is_integer || (out.digits == out.end) != numbers[i].is_zero)
            fail_test("%s: power %lld, scale %lld", numbers[i].text, (long long)out.power, (long long)out.scale);
    }
}

/* Each is less than the next; the same number in other words stands in one line, apart by `|`. */
static void test_decimal__order(void **state)
{
    static const char *const lines[] = {"-1e400|-10e399", "-100000000000000000000.5", "-2|-2.0|-200e-2", "-1.5", "-1e-400", "0|-0|0.0|0e5",
                                        "1e-400", "0.099999999999999999999999", "0.1|1e-1|0.10", "0.11", "1|1.00|10e-1|0.1e1", "1.0000000000000000000000001",
                                        "9", "10|1e1", "99.9", "100", "123456789012345678901234567890", "1e400"};
    enum { LINES = sizeof lines / sizeof lines[0], MANY = 64 };
    struct mr_decimal numbers[MANY];
    unsigned line_of[MANY];
    unsigned count = 0;

    (void)state;
    for (unsigned line = 0; line < LINES; line++)
        for (const char *at = lines[line]; *at != '\0'; at += strcspn(at, "|") + (at[strcspn(at, "|")] == '|')) {
            assert_true(mr_decimal_parse(&numbers[count], (struct mr_slice){at, strcspn(at, "|")}));
            line_of[count++] = line;
        }
    for (unsigned a = 0; a < count; a++)
        for (unsigned b = 0; b < count; b++) {
            int expected = (line_of[a] > line_of[b]) - (line_of[a] < line_of[b]);

            if (mr_decimal_order(&numbers[a], &numbers[b]) != expected)
                fail_test("number %u against number %u: lines \"%s\" and \"%s\"", a, b, lines[line_of[a]], lines[line_of[b]]);
        }
}

static void test_decimal__texts_may_be_written_loosely(void **state)
{
    (void)state;
    assert_int_equal(mr_decimal_compare("+1", "1"), 0);
    assert_int_equal(mr_decimal_compare("007", "7.0"), 0);
    assert_int_equal(mr_decimal_compare(".5", "0.5"), 0);
    assert_int_equal(mr_decimal_compare("5.", "5"), 0);
    assert_int_equal(mr_decimal_compare("-.5", "0"), -1);
    assert_int_equal(mr_decimal_scale("0.50"), 1);
    assert_int_equal(mr_decimal_scale("5"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decimal__parts),
        cmocka_unit_test(test_decimal__order),
        cmocka_unit_test(test_decimal__texts_may_be_written_loosely),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
