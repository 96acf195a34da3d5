#include "proto/field.h"
#include "proto/pattern.h"

#include "tests/support/test.h"

static bool parse(const struct mr_field *field, struct mr_slice text, struct mr_value *out, const char *code)
{
    struct mr_problem problem = {0};
    bool good = mr_field_parse(field, text, out, &problem);

    if (!good && (code == NULL || strcmp(problem.code, code) != 0))
        fail_test("\"%.*s\": %s: %s", (int)text.len, text.data, problem.code, problem.message);
    if (!good)
        assert_true(strlen(problem.message) > 5);
    return good;
}

#define assert_takes(field, text)          assert_true(parse((field), mr_slice_of(text), &(struct mr_value){0}, NULL))
#define assert_refuses(field, text, code)  assert_false(parse((field), mr_slice_of(text), &(struct mr_value){0}, (code)))

static void test_field__text_is_measured_in_code_points(void **state)
{
    const struct mr_field field = {.name = "f", .type = MR_TEXT, .min = 2, .max = 3};

    (void)state;
    assert_refuses(&field, "a", "length");
    assert_takes(&field, "ab");
    assert_takes(&field, "abc");
    assert_refuses(&field, "abcd", "length");
    assert_refuses(&field, "\xc3\xa9", "length");                              /* one of two bytes */
    assert_takes(&field, "\xf0\x9f\xa6\xa9\xe2\x82\xac\xc3\xa9");              /* three of four, three and two bytes */
    assert_refuses(&field, "\xf0\x9f\xa6\xa9\xe2\x82\xac\xc3\xa9x", "length");
}

static void test_field__text_without_bounds_may_be_empty_or_long(void **state)
{
    const struct mr_field field = {.name = "f", .type = MR_TEXT};
    char *text = malloc(100001);

    (void)state;
    memset(text, 'x', 100000);
    text[100000] = '\0';
    assert_takes(&field, "");
    assert_takes(&field, text);
    free(text);
}

static void test_field__text_is_well_formed_utf8_without_nul(void **state)
{
    static const char *const bad[] = {
        "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xe2\x82", "\xed\xa0\x80",
        "\xed\xbf\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf0\x9f\xa6", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80",
        "\xfe", "\xff", "good\xff"};
    static const char *const good[] = {"", "\x01", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                                       "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"};
    const struct mr_field field = {.name = "f", .type = MR_TEXT};
    int64_t points;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_refuses(&field, bad[i], "encoding");
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_takes(&field, good[i]);
    assert_true(mr_utf8_valid(MR_SLICE("a\xc3\xa9\xf0\x9f\xa6\xa9"), &points));
    assert_int_equal(points, 3);
}

static void test_field__a_zero_byte_is_no_text(void **state)
{
    const struct mr_field field = {.name = "f", .type = MR_TEXT};

    (void)state;
    assert_false(parse(&field, MR_SLICE("a\0b"), &(struct mr_value){0}, "encoding"));
    assert_false(parse(&field, MR_SLICE("\0"), &(struct mr_value){0}, "encoding"));
}

/* The dot-atom form of RFC 5322, 3.4.1, with a domain as RFC 1035 has it. */
static void test_field__addresses_for_mail(void **state)
{
    static const char *const good[] = {"a@b.co", "first.last@example.org", "o'neil+tag@mail.example.co.uk", "x_1-2@1a.example", "!#$%&'*+/=?^_`{|}~-@x.yz",
                                       "A@B.CD", "a@xn--bcher-kva.example"};
    static const char *const bad[] = {"",          "a",          "@",            "a@",           "@b.co",         "a@b",           "a@b.",       "a@.b",
                                      "a@b..c",    ".a@b.co",    "a.@b.co",      "a..b@b.co",    "a b@b.co",      "a@b c.co",      "a@-b.co",    "a@b-.co",
                                      "a@@b.co",   "a@b@c.co",   "\"a\"@b.co",   "a@[1.2.3.4]",  "a@b_c.co",      "(c)a@b.co",     "a,b@c.co",   "a@b.co ",
                                      "\xc3\xa9@b.co", "a@\xc3\xa9.co", "a@b.co\n", "a\r\nBcc: x@y.zz@b.co", "<a@b.co>"};
    const struct mr_field field = {.name = "email", .type = MR_TEXT, .min = 3, .max = 255, .format = MR_FORMAT_EMAIL};
    char text[300];

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_takes(&field, good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_refuses(&field, bad[i], strlen(bad[i]) < 3 ? "length" : "email");
    memset(text, 'l', sizeof text);
    strcpy(text + 64, "@example.org");
    assert_takes(&field, text);
    memset(text, 'l', sizeof text);
    strcpy(text + 65, "@example.org");
    assert_refuses(&field, text, "email");
    memset(text, 'd', sizeof text);
    memcpy(text, "a@", 2);
    strcpy(text + 2 + 63, ".co");
    assert_takes(&field, text);
    memset(text, 'd', sizeof text);
    memcpy(text, "a@", 2);
    strcpy(text + 2 + 64, ".co");
    assert_refuses(&field, text, "email");
}

static void test_field__codes_and_cursors(void **state)
{
    const struct mr_field code = {.name = "c", .type = MR_TEXT, .min = 1, .max = 32, .format = MR_FORMAT_CODE};
    const struct mr_field cursor = {.name = "c", .type = MR_TEXT, .min = 4, .max = 4, .format = MR_FORMAT_CURSOR};

    (void)state;
    assert_takes(&code, "A-Z_09");
    assert_refuses(&code, "low", "format");
    assert_refuses(&code, "A B", "format");
    assert_refuses(&code, "\xc3\x84", "format");
    assert_refuses(&code, "A/B", "format");
    assert_refuses(&code, "", "length");
    assert_takes(&cursor, "09af");
    assert_refuses(&cursor, "09AF", "format");
    assert_refuses(&cursor, "09ag", "format");
}

static void test_field__words(void **state)
{
    const struct mr_field words = {.name = "q", .type = MR_TEXT, .min = 1, .max = 200, .format = MR_FORMAT_WORDS};
    static const char *const good[] = {"a", "7", "-a", "docs/crash.log", "--- x", "\xc3\xa4", "\xd0\xb6", "\xe6\x97\xa5", "\xd9\xa3", "\xe2\x85\xa7", NULL};
    static const char *const none[] = {"-", "---", " ", "/.:@", "\xe2\x80\x94", "\xf0\x9f\x98\x80", "\xe2\x80\x8b", "\xcc\x81", "\xc2\xa0", NULL};

    (void)state;
    for (size_t i = 0; good[i] != NULL; i++)
        assert_takes(&words, good[i]);
    for (size_t i = 0; none[i] != NULL; i++)
        assert_refuses(&words, none[i], "words");
    assert_refuses(&words, "", "length");
}

static void test_field__usernames(void **state)
{
    const struct mr_field name = {.name = "n", .type = MR_TEXT, .min = 3, .max = 50, .format = MR_FORMAT_USERNAME};
    struct mr_problem problem;
    struct mr_value value;

    (void)state;
    assert_takes(&name, "Ada Lovelace");
    assert_refuses(&name, "ad", "length");
    assert_refuses(&name, "a\xe2\x80\x8b" "da", "invisible");
    assert_refuses(&name, "ada\xf3\xa0\x81\x81", "invisible");
    assert_false(mr_field_parse(&name, MR_SLICE("ada\xf3\xa0\x81\x81"), &value, &problem));
    assert_non_null(strstr(problem.message, "U+E0041"));
}

static void test_field__integers(void **state)
{
    const struct mr_field bounded = {.name = "i", .type = MR_INT, .min = 1, .max = 100};
    const struct mr_field free_one = {.name = "i", .type = MR_INT};
    struct mr_value value;

    (void)state;
    assert_takes(&bounded, "1");
    assert_takes(&bounded, "100");
    assert_takes(&bounded, "007");
    assert_refuses(&bounded, "0", "range");
    assert_refuses(&bounded, "101", "range");
    assert_refuses(&bounded, "-1", "range");
    for (const char *const *bad = (const char *const[]){"", "-", "+1", "1.0", "1e3", "0x1", " 1", "1 ", "a", "--1", NULL}; *bad != NULL; bad++)
        assert_refuses(&free_one, *bad, "type");
    assert_true(parse(&free_one, MR_SLICE("-12345678901234567"), &value, NULL));
    assert_int_equal(value.integer, INT64_C(-12345678901234567));
    assert_true(value.present);
    {
        static const struct mr_field any = {.name = "n", .type = MR_INT};

        assert_true(parse(&any, MR_SLICE("-9223372036854775808"), &value, NULL));
        assert_true(value.integer == INT64_MIN);
        assert_true(parse(&any, MR_SLICE("9223372036854775807"), &value, NULL));
        assert_true(value.integer == INT64_MAX);
        assert_refuses(&any, "9223372036854775808", "range");
        assert_refuses(&any, "-9223372036854775809", "range");
        assert_refuses(&any, "99999999999999999999999999999", "range");
        assert_refuses(&any, "99999999999999999999999999999x", "type");
    }
}

static void test_field__booleans_ids_and_times(void **state)
{
    const struct mr_field boolean = {.name = "b", .type = MR_BOOL};
    const struct mr_field id = {.name = "u", .type = MR_UUID};
    const struct mr_field time = {.name = "t", .type = MR_TIME};
    struct mr_value value;

    (void)state;
    assert_true(parse(&boolean, MR_SLICE("true"), &value, NULL));
    assert_true(value.boolean);
    assert_true(parse(&boolean, MR_SLICE("false"), &value, NULL));
    assert_false(value.boolean);
    for (const char *const *bad = (const char *const[]){"", "1", "0", "TRUE", "yes", "true ", NULL}; *bad != NULL; bad++)
        assert_refuses(&boolean, *bad, "type");
    assert_takes(&id, "919108f7-52d1-4320-9bac-f847db4148a8");
    assert_refuses(&id, "919108f7", "type");
    assert_true(parse(&time, MR_SLICE("1970-01-01T00:00:01Z"), &value, NULL));
    assert_int_equal(value.integer, 1000000);
    assert_refuses(&time, "tomorrow", "type");
}

static void test_field__a_refused_value_leaves_the_result_alone(void **state)
{
    const struct mr_field field = {.name = "i", .type = MR_INT, .min = 1, .max = 2};
    struct mr_value value = {.present = false, .integer = 77};

    (void)state;
    assert_false(parse(&field, MR_SLICE("3"), &value, "range"));
    assert_false(value.present);
    assert_int_equal(value.integer, 77);
}

static void test_field__a_long_problem_is_cut_not_overrun(void **state)
{
    struct mr_problem problem;
    char text[2 * sizeof problem.message];

    (void)state;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    mr_problem_set(&problem, "code", "%s", text);
    assert_int_equal(strlen(problem.message), sizeof problem.message - 1);
}

/* A hint of an application, in its own language: an answer with half of a character is no JSON. */
static void test_field__a_long_problem_is_cut_between_characters(void **state)
{
    struct mr_problem problem;
    char text[2 * sizeof problem.message];

    (void)state;
    for (size_t lead = 0; lead < 4; lead++) {
        memset(text, 'x', sizeof text);
        for (size_t i = lead; i + 4 < sizeof text; i += 4)
            memcpy(text + i, "\xf0\x9f\x98\x80", 4);
        text[sizeof text - 1] = '\0';
        mr_problem_set(&problem, "code", "%s", text);
        assert_true(strlen(problem.message) > sizeof problem.message - 5);
        assert_true(mr_utf8_valid(mr_slice_of(problem.message), NULL));
    }
}

/* ---- Exact numbers, doubles, dates, JSON ---- */

/* A value and what becomes of it: the text that is sent, or the code of what is wrong. */
struct outcome {
    const char *text, *sent, *code;
};

static void check_outcomes(const struct mr_field *field, const struct outcome *outcomes)
{
    for (; outcomes->text != NULL; outcomes++) {
        struct mr_value value = {0};

        if (parse(field, mr_slice_of(outcomes->text), &value, outcomes->code) != (outcomes->sent != NULL))
            fail_test("%s was %s", outcomes->text, outcomes->sent != NULL ? "refused" : "taken");
        if (outcomes->sent != NULL && !mr_slice_is(value.text, outcomes->sent))
            fail_test("%s became %.*s", outcomes->text, (int)value.text.len, value.text.data);
    }
}

static void test_field__decimals_are_exact(void **state)
{
    static const struct mr_field price = {.name = "price", .type = MR_DECIMAL, .scale = 2, .least = "-1.5", .most = "99999999999999999999.99"};
    static const struct mr_field any = {.name = "any", .type = MR_DECIMAL, .scale = -1};
    static const struct mr_field whole = {.name = "whole", .type = MR_DECIMAL};
    static const struct outcome prices[] = {
        {"0", "0", NULL},         {"-0.00", "0", NULL},      {"0e999999999999", "0", NULL}, {"1.50", "1.5", NULL},   {"1.500", "1.5", NULL},
        {"1.00", "1", NULL},      {"100", "100", NULL},      {"12e-1", "12e-1", NULL},      {"1E+2", "1E+2", NULL},  {"1.5e1", "1.5e1", NULL},
        {"99999999999999999999.99", "99999999999999999999.99", NULL}, {"99999999999999999999.991", NULL, "scale"},
        {"100000000000000000000", NULL, "range"}, {"-1.5", "-1.5", NULL}, {"-1.51", NULL, "range"}, {"1e20", NULL, "range"},
        {"1e-3", NULL, "scale"},  {"1.005", NULL, "scale"},  {"1e999999999999999999999", NULL, "range"}, {"1e-999999999999999999999", NULL, "range"},
        {"", NULL, "type"},       {"-", NULL, "type"},       {"+1", NULL, "type"},          {"01", NULL, "type"},    {".5", NULL, "type"},
        {"5.", NULL, "type"},     {"1e", NULL, "type"},      {"1e+", NULL, "type"},         {"0x1", NULL, "type"},   {"NaN", NULL, "type"},
        {"Infinity", NULL, "type"}, {" 1", NULL, "type"},    {"1 ", NULL, "type"},          {"1,5", NULL, "type"},   {"1_000", NULL, "type"},
        {NULL, NULL, NULL}};
    static const struct outcome anys[] = {{"0.1234567890123456789012345678901234567890", "0.123456789012345678901234567890123456789", NULL},
                                          {"1e999", "1e999", NULL}, {"1e1001", NULL, "range"}, {"1e-1000", "1e-1000", NULL}, {"1e-1001", NULL, "range"},
                                          {NULL, NULL, NULL}};
    static const struct outcome wholes[] = {{"7", "7", NULL}, {"7.0", "7", NULL}, {"7.1", NULL, "scale"}, {NULL, NULL, NULL}};
    char digits[1100];

    (void)state;
    check_outcomes(&price, prices);
    check_outcomes(&any, anys);
    check_outcomes(&whole, wholes);
    memset(digits, '7', sizeof digits);
    digits[1000] = '\0';
    assert_takes(&any, digits);
    digits[1000] = '7';
    digits[1001] = '\0';
    assert_refuses(&any, digits, "range");
}

static void test_field__an_open_range_says_its_side(void **state)
{
    static const struct mr_field least = {.name = "f", .type = MR_DECIMAL, .scale = -1, .least = "0.1"};
    static const struct mr_field most = {.name = "f", .type = MR_NUMBER, .most = "-2.5"};
    struct mr_problem problem;
    struct mr_value value;

    (void)state;
    assert_false(mr_field_parse(&least, MR_SLICE("0.09999999999999999999999"), &value, &problem));
    assert_string_equal(problem.message, "must be at least 0.1");
    assert_takes(&least, "1e300");
    assert_false(mr_field_parse(&most, MR_SLICE("-2.4"), &value, &problem));
    assert_string_equal(problem.message, "must be at most -2.5");
    assert_takes(&most, "-2.5");
}

static void test_field__numbers_are_finite_doubles(void **state)
{
    static const struct mr_field any = {.name = "n", .type = MR_NUMBER};
    static const struct mr_field share = {.name = "n", .type = MR_NUMBER, .least = "0", .most = "1"};
    static const char *const bad[] = {"NaN", "inf", "0x10", "1e", "", "1.", "--1"};
    struct mr_value value;

    (void)state;
    assert_true(parse(&any, MR_SLICE("0.1"), &value, NULL));
    assert_true(value.number == 0.1);
    assert_true(parse(&any, MR_SLICE("-1.7976931348623157e308"), &value, NULL));
    assert_true(parse(&any, MR_SLICE("1e-400"), &value, NULL));
    assert_true(value.number == 0);
    assert_refuses(&any, "1e309", "range");
    assert_refuses(&any, "-1e309", "range");
    assert_takes(&share, "1");
    assert_refuses(&share, "1.0000000000000000000001", "range");
    assert_refuses(&share, "-0.0000001", "range");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_refuses(&any, bad[i], "type");
}

static void test_field__dates_are_days_of_the_calendar(void **state)
{
    static const struct mr_field date = {.name = "d", .type = MR_DATE};
    static const char *const good[] = {"0001-01-01", "9999-12-31", "2000-02-29", "2027-01-31"};
    static const char *const bad[] = {"0000-01-01", "2027-02-29", "1900-02-29", "2027-13-01", "2027-00-01", "2027-04-31", "2027-01-00", "2027-1-1",
                                      "20270131",   "2027-01-31T00:00:00Z", "2027-W01-1", "2027-001", "", " 2027-01-31", "2027-01-31 ", "today",
                                      "10000-01-01", "-001-01-01", "2027/01/31"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        check_outcomes(&date, (struct outcome[]){{good[i], good[i], NULL}, {NULL, NULL, NULL}});
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_refuses(&date, bad[i], "type");
}

static void test_field__patterns_cover_the_whole(void **state)
{
    struct mr_pattern *pattern = NULL;
    struct mr_field field = {.name = "sku", .type = MR_TEXT};
    struct mr_problem problem;

    (void)state;
    assert_int_equal(mr_pattern_new(&pattern, "[A-Z]+|[0-9]{2}"), MR_OK);
    field.pattern = pattern;
    assert_takes(&field, "ABC");
    assert_takes(&field, "42");
    assert_refuses(&field, "421", "format");
    assert_refuses(&field, "ABC1", "format");
    assert_refuses(&field, "xABC", "format");
    assert_refuses(&field, "ABC\n", "format");
    assert_refuses(&field, "", "format");
    assert_false(mr_field_parse(&field, (struct mr_slice){"4", 1}, &(struct mr_value){0}, &problem));
    assert_string_equal(problem.message, "must match [A-Z]+|[0-9]{2}");
    assert_true(mr_pattern_matches(pattern, (struct mr_slice){"12345", 2})); /* and not what is behind the text */
    mr_pattern_destroy(&pattern);
    assert_null(pattern);
    assert_int_equal(mr_pattern_new(&pattern, "("), MR_INVALID);
}

static void test_field__the_number_of_items(void **state)
{
    static const struct mr_field some = {.name = "f", .many = true, .items_min = 1, .items_max = 3};
    static const struct mr_field any = {.name = "f", .many = true};
    struct mr_problem problem;

    (void)state;
    assert_false(mr_field_check_items(&some, 0, &problem));
    assert_string_equal(problem.code, "items");
    assert_true(mr_field_check_items(&some, 1, &problem) && mr_field_check_items(&some, 3, &problem));
    assert_false(mr_field_check_items(&some, 4, &problem));
    assert_true(mr_field_check_items(&any, 0, &problem) && mr_field_check_items(&any, 100000, &problem));
}

static void test_field__a_bound_of_zero_is_one(void **state)
{
    static const struct mr_field debt = {.name = "f", .type = MR_INT, .min = -5, .max = 0};

    (void)state;
    assert_takes(&debt, "0");
    assert_refuses(&debt, "1", "range");
    assert_refuses(&debt, "-6", "range");
}

/* pg_type.dat */
static void test_field__types_are_those_of_the_server(void **state)
{
    static const struct {
        struct mr_field field;
        uint32_t oid;
        const char *sent, *cast;
    } types[] = {
        {{.type = MR_UUID}, 2950, "uuid", "uuid"},
        {{.type = MR_TEXT}, 25, "text", "text"},
        {{.type = MR_TIME}, 1184, "timestamptz", "timestamptz"},
        {{.type = MR_BOOL}, 16, "boolean", "boolean"},
        {{.type = MR_INT}, 20, "bigint", "bigint"},
        {{.type = MR_DECIMAL}, 25, "text", "numeric"},
        {{.type = MR_NUMBER}, 25, "text", "double precision"},
        {{.type = MR_DATE}, 25, "text", "date"},
        {{.type = MR_JSON}, 25, "text", "jsonb"},
        {{.type = MR_UUID, .many = true}, 25, "text", "uuid[]"},
        {{.type = MR_NUMBER, .many = true}, 25, "text", "double precision[]"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        assert_int_equal(mr_field_oid(&types[i].field), types[i].oid);
        assert_string_equal(mr_field_sql(&types[i].field), types[i].sent);
        assert_string_equal(mr_field_cast(&types[i].field), types[i].cast);
    }
    assert_string_equal(mr_type_told(MR_TEXT), "string");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_field__text_is_measured_in_code_points),
        cmocka_unit_test(test_field__text_without_bounds_may_be_empty_or_long),
        cmocka_unit_test(test_field__text_is_well_formed_utf8_without_nul),
        cmocka_unit_test(test_field__a_zero_byte_is_no_text),
        cmocka_unit_test(test_field__addresses_for_mail),
        cmocka_unit_test(test_field__codes_and_cursors),
        cmocka_unit_test(test_field__words),
        cmocka_unit_test(test_field__usernames),
        cmocka_unit_test(test_field__integers),
        cmocka_unit_test(test_field__booleans_ids_and_times),
        cmocka_unit_test(test_field__a_refused_value_leaves_the_result_alone),
        cmocka_unit_test(test_field__a_long_problem_is_cut_not_overrun),
        cmocka_unit_test(test_field__a_long_problem_is_cut_between_characters),
        cmocka_unit_test(test_field__decimals_are_exact),
        cmocka_unit_test(test_field__an_open_range_says_its_side),
        cmocka_unit_test(test_field__numbers_are_finite_doubles),
        cmocka_unit_test(test_field__dates_are_days_of_the_calendar),
        cmocka_unit_test(test_field__patterns_cover_the_whole),
        cmocka_unit_test(test_field__the_number_of_items),
        cmocka_unit_test(test_field__a_bound_of_zero_is_one),
        cmocka_unit_test(test_field__types_are_those_of_the_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
