#include "proto/timestamp.h"

#include "tests/support/test.h"

/* Computed by Python's datetime (isoformat, strftime, isocalendar, tm_yday), independently of the code under test. */
static const struct {
    const char *text;
    int64_t micros;
} table[] = {
    {"0001-01-01T00:00:00Z", INT64_C(-62135596800000000)},
    {"0001-12-31T23:59:59.999999Z", INT64_C(-62104060800000001)},
    {"1582-10-15T00:00:00Z", INT64_C(-12219292800000000)},
    {"1899-12-31T12:00:00Z", INT64_C(-2209032000000000)},
    {"1900-02-28T00:00:00Z", INT64_C(-2203977600000000)},
    {"1900-03-01T00:00:00Z", INT64_C(-2203891200000000)},
    {"1969-12-31T23:59:59.999999Z", INT64_C(-1)},
    {"1970-01-01T00:00:00Z", INT64_C(0)},
    {"1970-01-01T00:00:00.000001Z", INT64_C(1)},
    {"1999-12-31T23:59:59Z", INT64_C(946684799000000)},
    {"2000-02-29T00:00:00Z", INT64_C(951782400000000)},
    {"2000-03-01T00:00:00Z", INT64_C(951868800000000)},
    {"2024-02-29T12:34:56.789000Z", INT64_C(1709210096789000)},
    {"2026-12-31T00:00:00Z", INT64_C(1798675200000000)},
    {"2027-01-01T00:00:00Z", INT64_C(1798761600000000)},
    {"2038-01-19T03:14:07Z", INT64_C(2147483647000000)},
    {"2038-01-19T03:14:08Z", INT64_C(2147483648000000)},
    {"2100-02-28T23:59:59Z", INT64_C(4107542399000000)},
    {"2100-03-01T00:00:00Z", INT64_C(4107542400000000)},
    {"9999-12-31T23:59:59.999999Z", INT64_C(253402300799999999)},
    {"6826-08-22T09:54:59.682554-19:43", INT64_C(153260833079682554)},
    {"17070303T183423.383452+1647", INT64_C(-8294220756616548)},
    {"3744-W44-4", INT64_C(56008108800000000)},
    {"3744W444", INT64_C(56008108800000000)},
    {"7273-159", INT64_C(167360256000000000)},
    {"7273159", INT64_C(167360256000000000)},
    {"9540-07-02 05:49", INT64_C(238901896140000000)},
    {"9912-11-23T03:09:43.129815-07:46", INT64_C(250653524143129815)},
    {"99441118T004521.613984+0404", INT64_C(251662884081613984)},
    {"0711-W32-5", INT64_C(-39711081600000000)},
    {"0711W325", INT64_C(-39711081600000000)},
    {"7253-304", INT64_C(166741632000000000)},
    {"7253304", INT64_C(166741632000000000)},
    {"9952-06-29 04:00", INT64_C(251903102400000000)},
    {"1794-12-07T03:04:47.609851+15:59", INT64_C(-5524635252390149)},
    {"33540531T082459.390487-1621", INT64_C(43687903559390487)},
    {"9808-W47-6", INT64_C(247371840000000000)},
    {"9808W476", INT64_C(247371840000000000)},
    {"8603-173", INT64_C(209332080000000000)},
    {"8603173", INT64_C(209332080000000000)},
    {"8073-10-14 05:58", INT64_C(192616898280000000)},
    {"5222-02-05T03:43:36.260494-10:44", INT64_C(102626317656260494)},
    {"13950401T164055.602326-0231", INT64_C(-18137364484397674)},
    {"8646-W49-3", INT64_C(210703161600000000)},
    {"8646W493", INT64_C(210703161600000000)},
    {"7858-039", INT64_C(185810630400000000)},
    {"7858039", INT64_C(185810630400000000)},
    {"1359-05-01 04:23", INT64_C(-19270899420000000)},
    {"2916-01-22T16:12:04.793919+00:21", INT64_C(29854713064793919)},
    {"72801219T171702.041111+2237", INT64_C(167597923202041111)},
    {"5556-W25-4", INT64_C(113178038400000000)},
    {"5556W254", INT64_C(113178038400000000)},
    {"8656-123", INT64_C(211000291200000000)},
    {"8656123", INT64_C(211000291200000000)},
    {"8203-11-15 22:21", INT64_C(196721994060000000)},
    {"0962-07-26T23:25:38.766676-01:52", INT64_C(-31791480141233324)},
    {"78700910T143901.298420+0320", INT64_C(186207851941298420)},
    {"0320-W24-4", INT64_C(-52055136000000000)},
    {"0320W244", INT64_C(-52055136000000000)},
    {"2907-194", INT64_C(29585520000000000)},
    {"2907194", INT64_C(29585520000000000)},
    {"1020-11-30 11:59", INT64_C(-29950257660000000)},
    {"6839-10-24T22:26:23.409940+10:53", INT64_C(153676438403409940)},
    {"28700212T133251.471007+0425", INT64_C(28404983271471007)},
    {"4839-W19-4", INT64_C(90548236800000000)},
    {"4839W194", INT64_C(90548236800000000)},
    {"7598-047", INT64_C(177606518400000000)},
    {"7598047", INT64_C(177606518400000000)},
    {"6654-04-01 09:44", INT64_C(147820585440000000)},
    {"3006-07-19T19:47:46.158647-07:10", INT64_C(32710273066158647)},
    {"40370805T064537.012649+1006", INT64_C(65246935177012649)},
    {"4517-W10-5", INT64_C(80381635200000000)},
    {"4517W105", INT64_C(80381635200000000)},
    {"7234-089", INT64_C(166123440000000000)},
    {"7234089", INT64_C(166123440000000000)},
    {"9883-05-10 08:29", INT64_C(249721345740000000)},
};

/* Forms that Python does not read; the instants follow from the standards. */
static const struct {
    const char *text;
    const char *same_as;
} forms[] = {
    {"2027-01-01", "2027-01-01T00:00:00Z"},
    {"20270101", "2027-01-01T00:00:00Z"},
    {"2027-01-01T00:00", "2027-01-01T00:00:00Z"},
    {"2027-01-01t00:00z", "2027-01-01T00:00:00Z"},
    {"2027-01-01 00:00:00", "2027-01-01T00:00:00Z"},
    {"20270101T0000", "2027-01-01T00:00:00Z"},
    {"20270101T000000Z", "2027-01-01T00:00:00Z"},
    {"2027-01-01T24:00", "2027-01-02T00:00:00Z"},
    {"2027-01-01T24:00:00.000Z", "2027-01-02T00:00:00Z"},
    {"2026-12-31T23:59:60Z", "2027-01-01T00:00:00Z"}, /* RFC 3339, 5.8: a leap second */
    {"2027-01-01T01:00:00+01:00", "2027-01-01T00:00:00Z"},
    {"2027-01-01T01:00:00+0100", "2027-01-01T00:00:00Z"},
    {"2027-01-01T01:00:00+01", "2027-01-01T00:00:00Z"},
    {"2026-12-31T18:30:00-05:30", "2027-01-01T00:00:00Z"},
    {"2027-01-01T00:00:00-00:00", "2027-01-01T00:00:00Z"},
    {"2027-01-01T00:00:00.5Z", "2027-01-01T00:00:00.500000Z"},
    {"2027-01-01T00:00:00,5Z", "2027-01-01T00:00:00.500000Z"},
    {"2027-01-01T00:00:00.1234567890123456789012345678901234567890Z", "2027-01-01T00:00:00.123456Z"},
    {"2027-01-01T00:00:00.9999999Z", "2027-01-01T00:00:00.999999Z"},
    {"2027-W01", "2027-01-04T00:00:00Z"},
    {"2026-W53-7", "2027-01-03T00:00:00Z"},
    {"2027-W01-1T12:00Z", "2027-01-04T12:00:00Z"},
    {"2027-001", "2027-01-01T00:00:00Z"},
    {"2028-366", "2028-12-31T00:00:00Z"},
    {"2027-032T10:00", "2027-02-01T10:00:00Z"},
};

static const char *const bad[] = {
    "", " ", "x", "2027", "2027-01", "202701", "27-01-01", "2027-1-1", "2027-00-01", "2027-13-01", "2027-01-00", "2027-01-32",
    "2027-02-29", "1900-02-29", "2100-02-29", "2027-04-31", "2027-000", "2027-366", "2027-W00", "2027-W53", "2027-W01-0",
    "2027-W01-8", "2027-W01-", "0000-01-01", "10000-01-01", "-2027-01-01", "+2027-01-01", "2027/01/01", "2027-0101", "202701-01",
    "2027-01-01T", "2027-01-01T1", "2027-01-01T12", "2027-01-01T12:", "2027-01-01T12:0", "2027-01-01T25:00", "2027-01-01T24:00:01",
    "2027-01-01T24:01", "2027-01-01T12:60", "2027-01-01T12:00:61", "2027-01-01T12:00:", "2027-01-01T12:00:00.", "2027-01-01T12:00:00.Z",
    "2027-01-01T12:0000", "2027-01-01T1200:00", "2027-01-01T12:00:00+", "2027-01-01T12:00:00+1", "2027-01-01T12:00:00+24:00",
    "2027-01-01T12:00:00+01:", "2027-01-01T12:00:00+01:60", "2027-01-01T12:00:00ZZ", "2027-01-01T12:00:00Z ", " 2027-01-01",
    "2027-01-01Z", "2027-01-01+01:00", "2027-01-01T12:00:00 Z", "2027-01-01T12:00:00UTC", "1767225600", "2027-01-01T-1:00",
    "\xd9\xa2\xd9\xa0\xd9\xa2\xd9\xa7-01-01", ("2027-01-01T12:00:00\xe2\x88\x92" "01:00")};

static int64_t parse(const char *text)
{
    int64_t micros = 0;

    if (!mr_timestamp_parse(&micros, text, strlen(text)))
        fail_test("%s: refused", text);
    return micros;
}

static void test_timestamp__agrees_with_an_independent_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (parse(table[i].text) != table[i].micros)
            fail_test("%s: %lld, not %lld", table[i].text, (long long)parse(table[i].text), (long long)table[i].micros);
}

static void test_timestamp__takes_the_forms_of_both_standards(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        if (parse(forms[i].text) != parse(forms[i].same_as))
            fail_test("%s is not %s", forms[i].text, forms[i].same_as);
}

static void test_timestamp__refuses_everything_else_and_leaves_the_result_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t micros = 77;

        if (mr_timestamp_parse(&micros, bad[i], strlen(bad[i])))
            fail_test("\"%s\" was taken", bad[i]);
        assert_int_equal(micros, 77);
    }
}

/* Every prefix of a valid text, in memory that ends where it ends, so that reading on is noticed. */
static void test_timestamp__reads_no_further_than_it_may(void **state)
{
    static const char *const whole[] = {"2027-01-01T12:34:56.789+01:30", "2027-W01-1T12:34:56Z", "20270101T123456,5-0130", "2027-123T1234"};

    (void)state;
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
        for (size_t len = 0; len <= strlen(whole[i]); len++) {
            char *copy = malloc(len > 0 ? len : 1);
            int64_t micros;

            memcpy(copy, whole[i], len);
            (void)mr_timestamp_parse(&micros, copy, len);
            free(copy);
        }
}

static void test_timestamp__what_was_read_is_written_and_read_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char text[MR_TIMESTAMP_TEXT + 1] = "";
        int64_t micros = table[i].micros;
        int64_t millis = micros >= 0 ? micros / 1000 : (micros - 999) / 1000;

        mr_timestamp_format(text, micros);
        if (parse(text) != millis * 1000)
            fail_test("%s came out as %s", table[i].text, text);
    }
}

/* What would be written with a year of more or fewer than four digits is refused where it comes in. */
static void test_timestamp__an_instant_outside_the_years_0001_to_9999_is_refused(void **state)
{
    static const char *const outside[] = {"9999-12-31T23:59:60Z", "9999-12-31T24:00", "9999-12-31T23:59:59-00:01",
                                          "0001-01-01T00:00:00+00:01", "9999-W52-6"};
    int64_t micros;

    (void)state;
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++)
        if (mr_timestamp_parse(&micros, outside[i], strlen(outside[i])))
            fail_test("%s was taken", outside[i]);
    assert_true(parse("9999-12-31T23:59:59.999999Z") > 0);
    assert_true(parse("0001-01-01T00:00:00Z") < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timestamp__agrees_with_an_independent_table),
        cmocka_unit_test(test_timestamp__takes_the_forms_of_both_standards),
        cmocka_unit_test(test_timestamp__refuses_everything_else_and_leaves_the_result_alone),
        cmocka_unit_test(test_timestamp__reads_no_further_than_it_may),
        cmocka_unit_test(test_timestamp__what_was_read_is_written_and_read_again),
        cmocka_unit_test(test_timestamp__an_instant_outside_the_years_0001_to_9999_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
