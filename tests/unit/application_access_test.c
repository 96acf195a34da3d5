#include "application/access.h"

#include "tests/support/test.h"

static void test_access__of_each_word(void **state)
{
    (void)state;
    assert_int_equal(mr_access_of("public"), MR_ACCESS_PUBLIC);
    assert_int_equal(mr_access_of("user"), MR_ACCESS_USER);
    assert_int_equal(mr_access_of("admin"), MR_ACCESS_ADMIN);
    assert_int_equal(mr_access_of("items:read"), MR_ACCESS_ADMIN);
    assert_null(mr_access_scopes("public"));
    assert_null(mr_access_scopes("user"));
    assert_null(mr_access_scopes("admin"));
    assert_string_equal(mr_access_scopes("items:read"), "items:read");
}

/* A row for each who reads, a column for what they are to read, too. */
static void test_access__covers_what_all_of_them_may_read(void **state)
{
    static const char *const words[] = {"public", "user", "admin", "a:b", "c:d"};
    static const char *const covered[] = {"x....", "xx...", "xxxxx", "x..x.", "x...x"};

    (void)state;
    for (unsigned reader = 0; reader < 5; reader++)
        for (unsigned wanted = 0; wanted < 5; wanted++)
            if (mr_access_covers(words[reader], words[wanted]) != (covered[reader][wanted] == 'x'))
                fail_test("who reads %s, and %s", words[reader], words[wanted]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_access__of_each_word),
        cmocka_unit_test(test_access__covers_what_all_of_them_may_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
