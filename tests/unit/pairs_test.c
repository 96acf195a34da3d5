#include "runtime/pairs.h"

#include "tests/support/test.h"

/* "a=1;b=2!" : what is found, and "!" when the text is broken behind that. */
static const char *pairs(const char *text)
{
    static char found[256];
    struct mr_slice rest = mr_slice_of(text);
    struct mr_slice name;
    struct mr_buf value = {0};
    struct mr_buf out = {0};
    enum mr_pair pair;

    while ((pair = mr_pairs_next(&rest, &name, &value)) == MR_PAIR_FOUND) {
        mr_buf_slice(&out, name);
        mr_buf_char(&out, '=');
        mr_buf_append(&out, value.data, value.len);
        mr_buf_char(&out, ';');
    }
    if (pair == MR_PAIR_BROKEN)
        mr_buf_char(&out, '!');
    snprintf(found, sizeof found, "%.*s", (int)out.len, out.len > 0 ? out.data : "");
    mr_buf_fini(&out);
    mr_buf_fini(&value);
    return found;
}

static void test_pairs__are_taken_in_order(void **state)
{
    (void)state;
    assert_string_equal(pairs(""), "");
    assert_string_equal(pairs("a=1"), "a=1;");
    assert_string_equal(pairs("a=1,b=2"), "a=1;b=2;");
    assert_string_equal(pairs(" a = 1 , ,b=2 ,"), "a=1;b=2;");
    assert_string_equal(pairs("a="), "a=;");
    assert_string_equal(pairs("a=b=c"), "a=b=c;");
}

static void test_pairs__values_are_decoded(void **state)
{
    (void)state;
    assert_string_equal(pairs("a=x%2Cy%3dz"), "a=x,y=z;");
    assert_string_equal(pairs("authorization=Basic%20abc"), "authorization=Basic abc;");
    assert_string_equal(pairs("a=%C3%BC"), "a=\xc3\xbc;");
}

static void test_pairs__what_is_broken_is_said_to_be(void **state)
{
    static const char *const broken[] = {"a", "=1", "a=%", "a=%4", "a=%zz", "a=%00", "a=%0d%0ab:c", "a=\x01"};

    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        if (strcmp(pairs(broken[i]), "!") != 0)
            fail_test("\"%s\" came to %s", broken[i], pairs(broken[i]));
    assert_string_equal(pairs("a=1,b"), "a=1;!");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs__are_taken_in_order),
        cmocka_unit_test(test_pairs__values_are_decoded),
        cmocka_unit_test(test_pairs__what_is_broken_is_said_to_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
