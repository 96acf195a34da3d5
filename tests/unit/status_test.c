#include "proto/status.h"

#include "tests/support/test.h"

/* PostgreSQL manual, Appendix A. */
static const struct {
    const char *sqlstate;
    mr_status status;
    bool rerun;
} table[] = {
    {"22004", MR_INTERNAL, true},
    {"22001", MR_INVALID, true},      {"22003", MR_INVALID, true},      {"22021", MR_INVALID, true},
    {"22P02", MR_INVALID, true},      {"22P05", MR_INVALID, true},      {"22008", MR_INVALID, true},
    {"23505", MR_CONFLICT, true},     {"23503", MR_INVALID, true},      {"23502", MR_INVALID, true},
    {"23514", MR_INVALID, true},      {"40001", MR_OVERLOADED, true},   {"40P01", MR_OVERLOADED, true},
    {"55P03", MR_OVERLOADED, true},   {"57014", MR_TIMEOUT, false},     {"53100", MR_UNAVAILABLE, false},
    {"53200", MR_UNAVAILABLE, false}, {"53300", MR_UNAVAILABLE, false}, {"57P01", MR_UNAVAILABLE, false},
    {"57P02", MR_UNAVAILABLE, false}, {"57P03", MR_UNAVAILABLE, false}, {"57P05", MR_UNAVAILABLE, false},
    {"58030", MR_UNAVAILABLE, false}, {"08006", MR_UNAVAILABLE, false}, {"08P01", MR_UNAVAILABLE, false},
    {"25006", MR_UNAVAILABLE, false}, {"25001", MR_INTERNAL, true},     {"42601", MR_INTERNAL, true},
    {"42P01", MR_INTERNAL, true},     {"XX000", MR_INTERNAL, true},     {"P0001", MR_INTERNAL, true},
    {"", MR_INTERNAL, true},          {"2", MR_INTERNAL, true},
};

static void test_status__sqlstates_map_as_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        bool rerun = !table[i].rerun;

        if (mr_status_from_sqlstate(table[i].sqlstate, &rerun) != table[i].status || rerun != table[i].rerun)
            fail_test("%s", table[i].sqlstate);
        assert_int_equal(mr_status_from_sqlstate(table[i].sqlstate, NULL), table[i].status);
    }
}

static void test_status__http_codes_come_back_as_themselves(void **state)
{
    (void)state;
    for (int status = MR_INVALID; status < MR_STATUS_COUNT; status++) {
        int http = mr_status_http((mr_status)status);

        assert_in_range(http, 400, 504);
        assert_int_equal(mr_status_http(mr_status_from_http(http)), http);
        assert_string_not_equal(mr_http_reason(http), "Unknown");
    }
    assert_int_equal(mr_status_from_http(418), MR_INTERNAL);
    assert_int_equal(mr_status_from_http(200), MR_INTERNAL);
    assert_int_equal(mr_status_from_http(0), MR_INTERNAL);
}

static void test_status__statements_speak_of_these(void **state)
{
    (void)state;
    assert_int_equal(mr_status_from_http(400), MR_INVALID);
    assert_int_equal(mr_status_from_http(401), MR_INVALID_TOKEN);
    assert_int_equal(mr_status_from_http(404), MR_NOT_FOUND);
    assert_int_equal(mr_status_from_http(409), MR_CONFLICT);
    assert_int_equal(mr_status_from_http(412), MR_PRECONDITION);
    assert_int_equal(mr_status_from_http(422), MR_UNPROCESSABLE);
}

/* A sentence for people that gives nothing away. */
static void test_status__details_are_sentences(void **state)
{
    (void)state;
    for (int status = MR_INVALID; status < MR_STATUS_COUNT; status++) {
        const char *detail = mr_status_detail((mr_status)status);

        assert_int_equal(detail[strlen(detail) - 1], '.');
        assert_null(strstr(detail, "SQL"));
        assert_true(strlen(mr_status_name((mr_status)status)) > 0);
    }
    assert_string_equal(mr_status_name(MR_NOT_FOUND), "NOT_FOUND");
    assert_string_equal(mr_http_reason(999), "Unknown");
}

/* Who somebody is and how much they may ask for is not for SQL to say. */
static void test_status__an_application_may_raise_some(void **state)
{
    static const char *const others[] = {"MR401", "MR429", "MR500", "MR200", "MR4xx", "MR9", "MR", "23505", "P0001", ""};

    (void)state;
    assert_int_equal(mr_status_raised("MR400"), MR_INVALID);
    assert_int_equal(mr_status_raised("MR403"), MR_FORBIDDEN);
    assert_int_equal(mr_status_raised("MR404"), MR_NOT_FOUND);
    assert_int_equal(mr_status_raised("MR409"), MR_CONFLICT);
    assert_int_equal(mr_status_raised("MR410"), MR_GONE);
    assert_int_equal(mr_status_raised("MR412"), MR_PRECONDITION);
    assert_int_equal(mr_status_raised("MR422"), MR_UNPROCESSABLE);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(mr_status_raised(others[i]), MR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status__sqlstates_map_as_the_table_says),
        cmocka_unit_test(test_status__http_codes_come_back_as_themselves),
        cmocka_unit_test(test_status__statements_speak_of_these),
        cmocka_unit_test(test_status__details_are_sentences),
        cmocka_unit_test(test_status__an_application_may_raise_some),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
