/*
 * What is a JSON object, case by case: the kinds that public suites of JSON readers know, and ours.
 *
 * A text that is no object is read as the value of a member, and has to be refused by itself.
 */
#include "proto/json_reader.h"

#include <jansson.h>

#include "tests/support/test.h"

enum kind {
    TAKEN,   /* RFC 8259 says so */
    REFUSED, /* RFC 8259 says so */
    STRICT,  /* RFC 8259 leaves it open, or allows it, and we do not */
    NUMBER   /* RFC 8259, 6 lets a reader set limits; ours concern the field only */
};

struct row {
    enum kind kind;
    const char *text;
    size_t len;
};

#define ROW(kind, text) {kind, text, sizeof text - 1}
#define YES(text)       ROW(TAKEN, text)
#define NO(text)        ROW(REFUSED, text)
#define OURS(text)      ROW(STRICT, text)
#define LARGE(text)     ROW(NUMBER, text)

/* clang-format off */
static const struct row rows[] = {
    /* Arrays. */
    YES("[]"), YES("[ ]"), YES("[[]]"), YES("[[]   ]"), YES("[\"\"]"), YES("[\"a\"]"), YES("[false]"), YES("[null]"),
    YES("[1]"), YES("[1, \"a\", null, true]"), YES(" [1]"), YES("[2] "), YES("[1\n,2]"), YES("[1,null,null,null,2]"),
    YES("[[[1],[2]],[[]]]"), NO("["), NO("[1"), NO("[1,"), NO("[,"), NO("[,]"), NO("[,1]"), NO("[1,]"), NO("[1,,2]"),
    NO("[1,,]"), NO("[,,]"), NO("[\"\",]"), NO("[\"x\",,]"), NO("[1 2]"), NO("[\"a\" \"b\"]"), NO("[1 true]"),
    NO("[\"a\":1]"), NO("[:]"), NO("[\"x\""), NO("[\"\""), NO("[1]]"), NO("[\"a\"]]"), NO("]"), NO("[]]"),
    NO("[1\n,1\n,1"), NO("[3[4]]"), NO("[1:2]"), NO("[-]"), NO("[- 1]"), NO("[x"), NO("[\"a\"\n,4\n,1,"),
    NO("[\x0b" "1]"), NO("[\xa0" "1]"), NO("[\xe2\x81\xa0" "1]"), NO("[\xc2\xa0" "1]"), NO("[*]"), NO("[a]"),
    NO("[<null>]"), NO("[\?]"), NO("['a']"), NO("[1;2]"), NO("(1)"), NO("[1)"), NO("<a>"), NO("[1}"), NO("{1]"),
    NO("[][]"), NO("[1][2]"), NO("[1]x"), NO("[1],"), NO("[1]:"), NO("[1]#"), NO("[1]//"), NO("[1]/*x*/"),
    NO("[/*x*/1]"), NO("[#\n1]"), NO("[,\"\"]"), NO("[\"\x00\"]"),
    /* Objects. */
    YES("{}"), YES("{ }"), YES("{\"a\":1}"), YES("{\"\":0}"), YES("{\"a\":[]}"), YES("{\"a\":{\"b\":{\"c\":null}}}"),
    YES("{\"a\":\"b\",\"c\":\"d\"}"), YES("{\"a\":\n\"b\"\n}"), YES("{\"a\" : 1 , \"b\" : 2}"),
    YES("{\"\\u0061\":1}"), YES("{\"a\\tb\":1}"), YES("{\"\xc3\xa9\":1}"), YES("{\"min\":-1.0e+28,\"max\":1.0e+28}"),
    YES("{\"x\":[{\"y\":1},{\"y\":1}]}"), NO("{"), NO("{\"a\""), NO("{\"a\":"), NO("{\"a\":1"), NO("{\"a\":1,"),
    NO("{\"a\":1,}"), NO("{\"a\":1,,}"), NO("{\"a\":1,,\"b\":2}"), NO("{,}"), NO("{,\"a\":1}"), NO("{:1}"), NO("{:}"),
    NO("{\"a\"}"), NO("{\"a\",\"b\"}"), NO("{\"a\" 1}"), NO("{\"a\"::1}"), NO("{\"a\":1:2}"), NO("{\"a\":1 \"b\":2}"),
    NO("{\"a\":1;\"b\":2}"), NO("{\"a\"=1}"), NO("{\"a\";1}"), NO("{a:1}"), NO("{'a':1}"), NO("{1:1}"),
    NO("{null:1}"), NO("{true:1}"), NO("{[]:1}"), NO("{{}:1}"), NO("{\"a\":}"), NO("{\"a\":,\"b\":1}"),
    NO("{\"a\":1}}"), NO("{\"a\":1}]"), NO("{\"a\":1]"), NO("{\"a\":1}{\"b\":2}"), NO("{\"a\":1}\"b\""),
    NO("{\"a\":1}#"), NO("{\"a\":1}//"), NO("{\"a\":1}/**/"), NO("{/**/\"a\":1}"), NO("{\"a\":/*x*/1}"),
    NO("{\"a\":1}x"), NO("{\"a\":1}1"), NO("{\"a\":1},"), NO("{\"a\":1}."), NO("{\"a\":nul}"), NO("{\"a\":True}"),
    NO("{\"a\":undefined}"), NO("{\"a\":a}"), NO("{\"a\":\"b}"), NO("{\"a:1}"), NO("{\"a\\\":1}"),
    NO("{\"a\":1,\"b\"}"), NO("{{\"a\":1}}"), NO("{[1]}"), NO("}"), NO("{\"a\":1 "), NO("{\"\x01\":1}"),
    NO("{\"x\":truex}"), NO("{'a'}"), NO("{\"a\":'b'}"), NO("{\"a\":.}"), NO("{\"a\":-}"), NO("{~}"),
    NO("{\"a\":1\x00}"), NO("{\"a\":1}\x00"), NO("{\"a\":true\x00}"), NO("{\"a\":true\x00garbage}"),
    NO("{\"a\":null\x00,\"b\":}"), NO("{\"a\":1\x00" "2}"), NO("{\"a\":false\x00\"x\"}"), NO("{\"a\":1.5\x00" "e}"),
    NO("{\"a\"\x00:1}"), NO("\x00{\"a\":1}"), NO("{\x00\"a\":1}"), NO("{\"a\":[1\x00]}"), NO("{\"a\":\"b\"\x00}"),
    OURS("{\"a\":1,\"a\":1}"), OURS("{\"a\":1,\"a\":2}"), OURS("{\"a\":1,\"\\u0061\":2}"),
    OURS("{\"x\":{\"a\":1,\"b\":2,\"a\":3}}"), OURS("{\"x\":[{\"a\":1,\"a\":1}]}"), OURS("{\"\":1,\"\":2}"),
    OURS("{\"a\\u0000b\":1}"), OURS("{\"\\u0000\":1}"),
    /* Literals. */
    YES("true"), YES("false"), YES("null"), YES(" null "), YES("\ttrue"), YES("true\n"), NO("tru"), NO("truee"),
    NO("True"), NO("TRUE"), NO("nul"), NO("nulll"), NO("Null"), NO("NULL"), NO("fals"), NO("False"), NO("undefined"),
    NO("nil"), NO("yes"), NO("t"), NO("n"), NO("f"), NO("truefalse"), NO("null null"), NO("true1"), NO("true,"),
    NO("nan"), NO("NaN"), NO("-NaN"), NO("Infinity"), NO("-Infinity"), NO("+Infinity"), NO("Inf"), NO("infinity"),
    NO("true\x00"), NO("nul\x00l"), NO("null\x00x"), NO("tr\xc3\xbc" "e"), NO("true\xc2\xa0"), NO("\xef\xbb\xbftrue"),
    /* Numbers. */
    YES("0"), YES("-0"), YES("1"), YES("-1"), YES("10"), YES("123456789"), YES("1234567890123456789"),
    YES("9223372036854775807"), YES("-9223372036854775808"), YES("0.0"), YES("-0.0"), YES("0.5"), YES("-0.5"),
    YES("1.25"), YES("1e1"), YES("1E1"), YES("1e+1"), YES("1e-1"), YES("1E+1"), YES("1E-1"), YES("0e0"), YES("0e+1"),
    YES("0E-1"), YES("-0e1"), YES("1.5e10"), YES("1.5E-10"), YES("123.456e78"), YES("1e00"), YES("1e-00"),
    YES("0.10"), YES("1.000000000000000000000000000000001"), YES("4 "), YES("-1.0e+28"), LARGE("9223372036854775808"),
    LARGE("-9223372036854775809"), LARGE("18446744073709551616"), LARGE("123456789012345678901234567890"),
    LARGE("-123456789012345678901234567890"), LARGE("1e308"), LARGE("1e309"), LARGE("-1e309"), LARGE("1E400"),
    LARGE("1e+9999"), LARGE("0.4e00669999999999999999999999999999999999999999999999"), LARGE("123123e100000"),
    LARGE("-123123e100000"), LARGE("1e-400"), LARGE("1e-99999"), LARGE("123.456e-789"), LARGE("-1e-9999999999"),
    LARGE("0e999999"), LARGE("1e9999999999999999999999"), NO("-"), NO("+"), NO("+1"), NO("++1"), NO("--1"), NO("-+1"),
    NO("- 1"), NO("-a"), NO("-1a"), NO("01"), NO("-01"), NO("00"), NO("000"), NO("-00"), NO("012"), NO("0123"),
    NO("-012"), NO("1."), NO("-1."), NO(".1"), NO("-.1"), NO("."), NO("1..2"), NO("1.2.3"), NO("0.e1"), NO("1.e1"),
    NO("-2."), NO("2.e3"), NO("2.e+3"), NO("2.e-3"), NO("0.1.2"), NO("1e"), NO("1E"), NO("1e+"), NO("1e-"), NO("1E+"),
    NO("0e"), NO("0e+"), NO("0E"), NO("0E+"), NO("0.3e"), NO("0.3e+"), NO("1.0e"), NO("1.0e+"), NO("1.0e-"),
    NO("1ee2"), NO("1e+-2"), NO("1e1.5"), NO("1e1e1"), NO("1e1+1"), NO("0x1"), NO("0x"), NO("0X1F"), NO("0b1"),
    NO("0o7"), NO("1_000"), NO("1 000"), NO("1,000"), NO("1a"), NO("1.5f"), NO("1L"), NO("10n"), NO("1/2"), NO("1+2"),
    NO("1-2"), NO("1%"), NO("\xc2\xbd"), NO("\xef\xbc\x91"), NO("1\xef\xbc\x91"), NO("\xd9\xa1"), NO("-\xd9\xa1"),
    NO("1e\xef\xbc\x91"), NO("01e999"), NO("-01e999"), NO("1e999x"), NO("1e9.1e999"), NO(".1e999"), NO("+1e999"),
    NO("1.e999"), NO("1e999e5"), NO("1e999-1"), NO("0e+-1"), NO("123\xe5"), NO("1e1\xe5"), NO("0\xe5"), NO("1\x00"),
    NO("1\x00" "2"), NO("1e5\x00"), NO("-1\x00x"), NO("99999999999999999999x"), NO("99999999999999999999."),
    NO("99999999999999999999e"), NO("1e999 1"), NO("1e999\x00"),
    NO("0.08.8e999"), NO("00.1e999"), NO("1.1e999.1"), NO("0.0.99999999999999999999"), NO("1e1e1e1e999"), NO("--1e999"),
    /* Strings. */
    YES("\"\""), YES("\"a\""), YES(" \"a\" "), YES("\"asd\""), YES("\"\\\"\""), YES("\"\\\\\""), YES("\"\\/\""),
    YES("\"\\b\\f\\n\\r\\t\""), YES("\"\\\\a\""), YES("\"\\\\n\""), YES("\"\\u0060\""), YES("\"\\u00e9\""),
    YES("\"\\u0041\\u0042\""), YES("\"\\uA66D\""), YES("\"\\ud801\\udc37\""), YES("\"\\ud83d\\ude39\\ud83d\\udc8d\""),
    YES("\"\\uDBFF\\uDFFF\""), YES("\"\\uFFFF\""), YES("\"\\uFFFE\""), YES("\"\\uFDD0\""), YES("\"\\u2028\\u2029\""),
    YES("\"\\u0012\""), YES("\"\\u007F\""), YES("\"\\u001f\""), YES("\"/\""), YES("\"\x7f\""), YES("\"\xc3\xa9\""),
    YES("\"\xe4\xb8\xad\xe6\x96\x87\""), YES("\"\xf0\x9f\x98\x80\""), YES("\"\xe2\x80\xa8\xe2\x80\xa9\""),
    YES("\"\xef\xbb\xbf\""), YES("\"\xef\xbf\xbf\""), YES("\"\xf4\x8f\xbf\xbf\""), YES("\"\xc2\x80\""),
    YES("\"\xf0\x9d\x84\x9e\""), YES("\"a/*b*/c\""), YES("\"#\""), YES("\"[1,{}]\""), YES("\"new\\u00A0line\""),
    YES("\"\\u0821\""), YES("\"\\u200B\""), YES("\"\\uD834\\uDd1e\""), YES("\"1e999\""), YES("\"\\\\1e999\""),
    YES("\"\\\"99999999999999999999\""), OURS("\"\\u0000\""), OURS("\"a\\u0000b\""), NO("\""), NO("\"a"),
    NO("\"a\\\""), NO("\"\\"), NO("\"\\\""), NO("\"\\a\""), NO("\"\\x00\""), NO("\"\\'\""), NO("\"\\0\""),
    NO("\"\\v\""), NO("\"\\e\""), NO("\"\\ \""), NO("\"\\\n\""), NO("\"\\\t\""), NO("\"\\U0041\""), NO("\"\\u\""),
    NO("\"\\u1\""), NO("\"\\u12\""), NO("\"\\u123\""), NO("\"\\u00A\""), NO("\"\\u+123\""), NO("\"\\u 123\""),
    NO("\"\\u-123\""), NO("\"\\uqqqq\""), NO("\"\\u00zz\""), NO("\"\\u{41}\""), NO("\"\\ud800\""), NO("\"\\udc00\""),
    NO("\"\\ud800\\ud800\""), NO("\"\\ud800\\u0041\""), NO("\"\\ud800abc\""), NO("\"\\ud800\\n\""),
    NO("\"\\ud800\\u\""), NO("\"\\ud800\\u1\""), NO("\"\\ud800\\u1x\""), NO("\"\\udc00\\ud800\""),
    NO("\"\\uDd1e\\uD834\""), NO("\"\\ud888\\u1234\""), NO("\"\\uD800\\uD800\\n\""), NO("\"a\tb\""), NO("\"a\nb\""),
    NO("\"a\rb\""), NO("\"a\x00" "b\""), NO("\"a\x1f" "b\""), NO("\"\x01\""), NO("\"\x08\""), NO("\"a\"b\""), NO("a"),
    NO("'a'"), NO("`a`"), NO("\"a'"), NO("\xe2\x80\x9c" "a\xe2\x80\x9d"), NO("\"a\" \"b\""),
    NO("\"\\\xf0\x9f\x98\x80\""), NO("\"\\\xc3\xa9\""), NO("\"\\\xe5\""), NO("\"\xff\""), NO("\"\xfe\""),
    NO("\"\x80\""), NO("\"\xbf\""), NO("\"\xe9\""), NO("\"\xc0\x80\""), NO("\"\xc0\xaf\""), NO("\"\xc1\xbf\""),
    NO("\"\xe0\x80\xaf\""), NO("\"\xe0\x9f\xbf\""), NO("\"\xf0\x80\x80\xaf\""), NO("\"\xf0\x8f\xbf\xbf\""),
    NO("\"\xed\xa0\x80\""), NO("\"\xed\xbf\xbf\""), NO("\"\xed\xa0\x81\xed\xb0\x80\""), NO("\"\xf4\x90\x80\x80\""),
    NO("\"\xf5\x80\x80\x80\""), NO("\"\xf8\x80\x80\x80\x80\""), NO("\"\xfc\x80\x80\x80\x80\x80\""), NO("\"\xc3\""),
    NO("\"\xc3(\""), NO("\"\xe2\x82\""), NO("\"\xe2(\xa1\""), NO("\"\xf0\x9f\x98\""), NO("\"\xf0(\x8c\xbc\""),
    NO("\"\xc3\xa9\xa9\""), NO("\"\\u\xe5\""), NO("\"\xe6\x97\xa5\xd1\x88\xfa\""), NO("\"a\xf0"),
    /* The text as a whole. */
    YES(" {\"a\":1} "), YES("\r\n\t{\"a\":1}\r\n\t"), YES("{\"a\"\r\n:\t1}"), YES("{\n}"), NO(""), NO(" "), NO("\n"),
    NO("\xef\xbb\xbf{}"), NO("\xef\xbb\xbf"), NO("{}\xef\xbb\xbf"), NO("\xef\xbb{}"),
    NO("{\x00\"\x00" "a\x00\"\x00:\x00" "1\x00}\x00"), NO("\x00{\x00\"\x00" "a\x00\"\x00:\x00" "1\x00}"),
    NO("\xff\xfe{\x00\"\x00" "a\x00\"\x00:\x00" "1\x00}\x00"),
    NO("{\x00\x00\x00\"\x00\x00\x00" "a\x00\x00\x00\"\x00\x00\x00:\x00\x00\x00" "1\x00\x00\x00}\x00\x00\x00"),
    NO("\xe2\x81\xa0{}"), NO("\x0c{}"), NO("\x0b{}"), NO("{}\x0c"), NO("\x1e{}"), NO("{}\x1a"), NO("//x\n{}"),
    NO("/*x*/{}"), NO("#x\n{}"), NO("{}{}"), NO("{} {}"), NO("{}\n{}"), NO("{},{}"), NO("{}[]"), NO("<!-- -->{}"),
    NO("callback({})"), NO("{};"), NO("({})"), NO("\\u007b\\u007d"), NO("{\"a\":1\xc2\xa0}"),
    NO("{\xe3\x80\x80\"a\":1}"), NO("\xe5"), NO("{\"a\":1}\xe5"), NO("\xff\xfe"), NO("%7B%7D"), NO("\\"), NO("'"),
    NO("`"), NO("$"), NO("@"), NO("[\\n]"), NO("{\\n}"),
};
/* clang-format on */

static struct mr_json_refusal why;

static bool takes(const char *text, size_t len)
{
    char *exact = malloc(len > 0 ? len : 1); /* reading on behind it is noticed */
    json_t *json = NULL;
    mr_status status;

    memcpy(exact, text, len);
    why.detail = NULL;
    status = mr_json_load(&json, (struct mr_slice){exact, len}, &why);
    free(exact);
    assert_int_equal(status == MR_OK, json != NULL);
    if (status != MR_OK)
        assert_non_null(why.detail);
    json_decref(json);
    return status == MR_OK;
}

/* {"v":TEXT} */
static bool takes_as_value(const char *text, size_t len)
{
    struct mr_buf whole = {0};
    bool taken;

    mr_buf_text(&whole, "{\"v\":");
    mr_buf_append(&whole, text, len);
    mr_buf_char(&whole, '}');
    taken = takes(whole.data, whole.len);
    mr_buf_fini(&whole);
    return taken;
}

static bool is_object(const struct row *row)
{
    json_t *json = json_loadb(row->text, row->len, JSON_DECODE_ANY, NULL);
    bool is = json_is_object(json);

    json_decref(json);
    return is;
}

static void test_json_reader__takes_what_is_json_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool wanted = rows[i].kind == TAKEN || rows[i].kind == NUMBER;

        if (takes_as_value(rows[i].text, rows[i].len) != wanted)
            fail_test("row %zu, as a value: %.*s %s", i, (int)rows[i].len, rows[i].text, wanted ? why.detail : "was taken");
        if (takes(rows[i].text, rows[i].len) != (wanted && is_object(&rows[i])))
            fail_test("row %zu: %.*s", i, (int)rows[i].len, rows[i].text);
    }
}

/* What is cut off is no JSON, wherever that is. */
static void test_json_reader__no_beginning_of_one_is_one(void **state)
{
    static const char whole[] = "{\"a\":[1,-2.5e3,true,null,\"x\\u00e9\\\\\"],\"b\":{\"c\":123456789012345678901}}";

    (void)state;
    assert_true(takes(whole, sizeof whole - 1));
    for (size_t len = 0; len < sizeof whole - 1; len++)
        assert_false(takes(whole, len));
}

static void test_json_reader__a_nul_is_refused_wherever_it_stands(void **state)
{
    char text[] = "{\"a\" : [ 1 , true , null , 1.5 , \"x\" ] , \"b\" : { } } ";
    size_t len = sizeof text - 1;

    (void)state;
    assert_true(takes(text, len));
    for (size_t i = 0; i < len; i++) {
        char was = text[i];

        text[i] = '\0';
        assert_false(takes(text, len));
        text[i] = was;
    }
}

static struct mr_buf nested(unsigned depth, const char *open, const char *inner, const char *close)
{
    struct mr_buf out = {0};

    mr_buf_text(&out, "{\"v\":");
    for (unsigned i = 1; i < depth; i++)
        mr_buf_text(&out, open);
    mr_buf_text(&out, inner);
    for (unsigned i = 1; i < depth; i++)
        mr_buf_text(&out, close);
    mr_buf_char(&out, '}');
    return out;
}

static void test_json_reader__nests_sixteen_deep(void **state)
{
    static const struct {
        const char *open, *inner, *close;
    } kinds[] = {{"[", "", "]"}, {"[", "1", "]"}, {"{\"a\":", "{}", "}"}, {"{\"a\":", "1", "}"}, {"[{\"a\":", "1", "}]"}};
    static const unsigned deep[] = {18, 40, 2047, 2048, 2049, 100000};

    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        struct mr_buf text = nested(8, kinds[k].open, kinds[k].inner, kinds[k].close);

        assert_true(takes(text.data, text.len));
        mr_buf_fini(&text);
        for (size_t d = 0; d < sizeof deep / sizeof deep[0]; d++) {
            text = nested(deep[d], kinds[k].open, kinds[k].inner, kinds[k].close);
            assert_false(takes(text.data, text.len));
            assert_string_equal(why.detail, "The body nests deeper than 16 levels.");
            mr_buf_fini(&text);
        }
        text = nested(100000, kinds[k].open, kinds[k].inner, ""); /* and never closed */
        assert_false(takes(text.data, text.len));
        mr_buf_fini(&text);
    }
}

static void test_json_reader__numbers_of_any_length_are_numbers(void **state)
{
    static const char *const forms[] = {"%s", "-%s", "0.%s", "-0.%s", "1e%s", "1e-%s", "%s.5", "%sE+1", "1.%se0"};

    (void)state;
    for (size_t digits = 1; digits <= 1200; digits += digits < 40 ? 1 : 97)
        for (size_t f = 0; f < sizeof forms / sizeof forms[0]; f++) {
            char number[1300];
            char text[1400];
            char wrong[1410];

            memset(number, '9', digits);
            number[digits] = '\0';
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(text, sizeof text, forms[f], number);
#pragma GCC diagnostic pop
            assert_true(takes_as_value(text, strlen(text)));
            snprintf(wrong, sizeof wrong, "0%s", text + (*text == '-'));
            assert_false(takes_as_value(wrong, strlen(wrong)));
            snprintf(wrong, sizeof wrong, "%sx", text);
            assert_false(takes_as_value(wrong, strlen(wrong)));
        }
}

/* ---- The value of a field ---- */

static const struct mr_field count_field = {.name = "v", .type = MR_INT, .from = MR_BODY, .min = -100, .max = 100};
static const struct mr_field any_field = {.name = "v", .type = MR_INT, .from = MR_BODY};
static const struct mr_field text_field = {.name = "v", .type = MR_TEXT, .from = MR_BODY, .min = 1, .max = 100};

/* NULL when it is taken; else the code of what is wrong. */
static const char *wrong_with(const struct mr_field *field, const char *text, int64_t *out)
{
    static struct mr_problem problem;
    struct mr_value value;
    struct mr_buf whole = {0};
    json_t *json = NULL;
    bool good;

    mr_buf_printf(&whole, "{\"v\":%s,\"other\":1e999}", text);
    assert_int_equal(mr_json_load(&json, (struct mr_slice){whole.data, whole.len}, &why), MR_OK);
    good = mr_json_read_value(field, json_object_get(json, "v"), (struct mr_slice){text, strlen(text)}, &value, &problem);
    *out = value.integer;
    json_decref(json);
    mr_buf_fini(&whole);
    return good ? NULL : problem.code;
}

static void test_json_reader__a_number_matters_to_its_field_only(void **state)
{
    static const struct {
        const char *text;
        const char *of_count, *of_any;
    } values[] = {
        {"7", NULL, NULL},
        {"-100", NULL, NULL},
        {"101", "range", NULL},
        {"9223372036854775806", "range", NULL},
        {"9223372036854775807", "range", NULL},
        {"9223372036854775808", "range", "range"},
        {"-9223372036854775808", "range", NULL},
        {"-9223372036854775809", "range", "range"},
        {"123456789012345678901234567890", "range", "range"},
        {"-123456789012345678901234567890", "range", "range"},
        {"7.0", "type", "type"},
        {"7e0", "type", "type"},
        {"1e999", "type", "type"},
        {"-1e999", "type", "type"},
        {"1e-999", "type", "type"},
    };
    int64_t integer;

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        const char *of_count = wrong_with(&count_field, values[i].text, &integer);
        const char *of_any = wrong_with(&any_field, values[i].text, &integer);

        if (of_any == NULL && integer != strtoll(values[i].text, NULL, 10))
            fail_test("%s was read as %lld", values[i].text, (long long)integer);
        if ((of_count == NULL) != (values[i].of_count == NULL) || (of_count != NULL && strcmp(of_count, values[i].of_count) != 0))
            fail_test("%s: %s, not %s", values[i].text, of_count, values[i].of_count);
        if ((of_any == NULL) != (values[i].of_any == NULL) || (of_any != NULL && strcmp(of_any, values[i].of_any) != 0))
            fail_test("%s: %s, not %s", values[i].text, of_any, values[i].of_any);
        assert_string_equal(wrong_with(&text_field, values[i].text, &integer), "type");
    }
}

static void test_json_reader__a_key_that_stands_twice_is_named_with_its_place(void **state)
{
    static const struct {
        const char *text, *place;
    } texts[] = {
        {"{\"a\":1,\"a\":2}", "a"},
        {" { \"a\" : 1 , \"b\" : [ 1 , 2 ] , \"a\" : ", "a"}, /* what comes after is not read */
        {"{\"b\":{\"a\":[{},{\"c\":{\"x\":1}},{\"c\":{\"y\":0,\"x\":1,\"x\":1}}]}}", "b.a[2].c.x"},
        {"{\"b\":{\"x\":1},\"c\":{\"x\":[{\"x\":1}],\"y\":2},\"b\":{}}", "b"},
        {"{\"b\":\"},{[,\\\"\",\"c\":\"x\",\"d\":[\"x\",\"x\",{\"x\":1,\"x\":1}]}", "d[2].x"},
        {"{\"n\":1e999,\"m\":123456789012345678901234567890,\"\\u006e\":1}", "n"},
        {"{\"\xc3\xa9\":1,\"b\":{\"\\\"\\n\":1,\"\\\"\\n\":1}}", "b.\"\n"},
        {"[{\"a\":1},[1,[2,3]],{\"a\":1,\"a\":1}]", "[2].a"},
        {"{\"\":1,\"\":1}", ""},
        {"{\"a\":1,\"a\"", "a"},
        {"{\"a\":1,\"a", ""},
        {"{\"a\":1,}", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        json_t *json = NULL;

        assert_int_equal(mr_json_load_any(&json, mr_slice_of(texts[i].text), &why), MR_INVALID);
        assert_string_equal(why.twice, texts[i].place);
    }
}

static void test_json_reader__a_long_key_that_stands_twice_is_cut(void **state)
{
    struct mr_buf text = {0};
    json_t *json = NULL;
    char name[2001];

    (void)state;
    memset(name, 'k', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    mr_buf_printf(&text, "{\"a\":{\"%s\":1,\"%s\":1}}", name, name);
    assert_int_equal(mr_json_load(&json, (struct mr_slice){text.data, text.len}, &why), MR_INVALID);
    assert_int_equal(strlen(why.twice), MR_JSON_PLACE - 1);
    assert_memory_equal(why.twice, "a.kkk", 5);
    mr_buf_fini(&text);
}

static void test_json_reader__text_is_left_alone(void **state)
{
    static const char whole[] = "{\"n\":1e999,\"s\":\"1e999 99999999999999999999 \\\\\\\" 1e999\",\"m\":-99999999999999999999}";
    json_t *json = NULL;

    (void)state;
    assert_int_equal(mr_json_load(&json, (struct mr_slice){whole, sizeof whole - 1}, &why), MR_OK);
    assert_string_equal(json_string_value(json_object_get(json, "s")), "1e999 99999999999999999999 \\\" 1e999");
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_reader__takes_what_is_json_and_nothing_else),
        cmocka_unit_test(test_json_reader__no_beginning_of_one_is_one),
        cmocka_unit_test(test_json_reader__a_nul_is_refused_wherever_it_stands),
        cmocka_unit_test(test_json_reader__nests_sixteen_deep),
        cmocka_unit_test(test_json_reader__numbers_of_any_length_are_numbers),
        cmocka_unit_test(test_json_reader__a_number_matters_to_its_field_only),
        cmocka_unit_test(test_json_reader__a_key_that_stands_twice_is_named_with_its_place),
        cmocka_unit_test(test_json_reader__a_long_key_that_stands_twice_is_cut),
        cmocka_unit_test(test_json_reader__text_is_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
