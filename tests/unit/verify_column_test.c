/* A field and its column: which pairs fit, and what is said of those that do not. */
#include "application/read.h"
#include "application/verify.h"
#include "tests/support/test.h"

static struct mr_problems problems;

static int teardown(void **state)
{
    (void)state;
    mr_problems_fini(&problems);
    return 0;
}

/* Columns as pg_attribute has them. */
#define ONE(told_, type_, modifier_, ...) \
    ((struct mr_sql_column){.name = "x", .told = (told_), .type = (type_), .modifier = (modifier_), __VA_ARGS__})
#define COLUMN(told, type, ...)   ONE(told, type, -1, __VA_ARGS__)
#define TEXT(...)                 COLUMN("text", "text", __VA_ARGS__)
#define VARCHAR(n, ...)           ONE("character varying(" #n ")", "varchar", (n) + 4, __VA_ARGS__)
#define CHARACTER(n)              ONE("character(" #n ")", "bpchar", (n) + 4, )
#define INTEGER()                 COLUMN("integer", "int4", )
#define NUMERIC(precision, scale) \
    ONE("numeric(" #precision "," #scale ")", "numeric", ((precision) << 16 | ((scale) & 0x7ff)) + 4, )

struct pair {
    const char *field; /* as it would stand in the file */
    struct mr_sql_column column;
    const char *problem; /* NULL: it fits */
};

static const struct pair pairs[] = {
    /* types */
    {"{type: text}", TEXT(), NULL},
    {"{type: text}", COLUMN("citext", "citext", ), NULL},
    {"{type: text}", INTEGER(), "1:8: the column \"x\" is integer, expected text"},
    {"{type: text}", COLUMN("other.text", "other.text", ), "1:8: the column \"x\" is other.text, expected text"},
    {"{type: uuid}", COLUMN("uuid", "uuid", ), NULL},
    {"{type: uuid}", TEXT(), "1:8: the column \"x\" is text, expected uuid"},
    {"{type: integer}", COLUMN("bigint", "int8", ), NULL},
    {"{type: integer}", COLUMN("numeric", "numeric", ), "1:8: the column \"x\" is numeric, expected bigint, integer or smallint"},
    {"{type: decimal}", COLUMN("numeric", "numeric", ), NULL},
    {"{type: decimal}", COLUMN("double precision", "float8", ), "1:8: the column \"x\" is double precision, expected numeric"},
    {"{type: decimal}", COLUMN("money", "money", ), "1:8: the column \"x\" is money, expected numeric"},
    {"{type: number}", COLUMN("double precision", "float8", ), NULL},
    {"{type: number}", COLUMN("real", "float4", ), "1:8: the column \"x\" is real, expected double precision"},
    {"{type: boolean}", COLUMN("boolean", "bool", ), NULL},
    {"{type: date}", COLUMN("date", "date", ), NULL},
    {"{type: date}", COLUMN("timestamp with time zone", "timestamptz", ), "1:8: the column \"x\" is timestamp with time zone, expected date"},
    {"{type: timestamp}", COLUMN("timestamp with time zone", "timestamptz", ), NULL},
    {"{type: timestamp}", COLUMN("timestamp without time zone", "timestamp", ),
     "1:8: the column \"x\" is timestamp without time zone, expected timestamp with time zone"},
    {"{type: json}", COLUMN("jsonb", "jsonb", ), NULL},
    {"{type: json}", COLUMN("json", "json", ), "1:8: the column \"x\" is json, expected jsonb"},
    /* arrays */
    {"{type: text, many: true}", COLUMN("text[]", "text", .is_many = true), NULL},
    {"{type: text, many: true}", TEXT(), "1:8: the column \"x\" is text, expected an array of text"},
    {"{type: text}", COLUMN("text[]", "text", .is_many = true), "1:8: the column \"x\" is text[], expected text"},
    {"{type: text, many: true, length: 1..9}", VARCHAR(8, .is_many = true),
     "1:34: the length goes to 9, and the column \"x\" is character varying(8), expected at most 8"},
    /* enumerations and domains */
    {"{type: text, readonly: true}", COLUMN("mood", "public.mood", .is_enum = true), NULL},
    {"{type: text}", COLUMN("mood", "public.mood", .is_enum = true),
     "1:8: the column \"x\" is mood, an enumeration, expected text with a CHECK, or readonly: true"},
    {"{type: text, many: true, readonly: true}", COLUMN("mood[]", "public.mood", .is_enum = true, .is_many = true),
     "1:8: the column \"x\" is mood[], expected an array of text"},
    {"{type: text}", COLUMN("name_t", "text", .domain = "name_t"), NULL},
    {"{type: text}", COLUMN("name_t", "text", .domain = "name_t", .is_domain_checked = true),
     "1:1: the column \"x\" is of the domain name_t, whose constraint names no column when it is broken, expected text with a CHECK"
     " of the table"},
    {"{type: text, readonly: true}", COLUMN("name_t", "text", .domain = "name_t", .is_domain_checked = true), NULL},
    /* lengths */
    {"{type: text, length: 0..32}", VARCHAR(32), NULL},
    {"{type: text, length: 0..33}", VARCHAR(32), "1:22: the length goes to 33, and the column \"x\" is character varying(32), expected at most 32"},
    {"{type: text}", VARCHAR(32), "1:1: no \"length\", and the column \"x\" is character varying(32), expected one of at most 32"},
    {"{type: text, readonly: true}", VARCHAR(32), NULL},
    {"{type: text, length: 0..33}", COLUMN("character varying", "varchar", ), NULL},
    {"{type: text, length: 3..3}", CHARACTER(3), NULL},
    {"{type: text, length: 1..3}", CHARACTER(3), "1:22: the column \"x\" is character(3), which pads with blanks, expected text"},
    /* integers */
    {"{type: integer, range: 0..2147483647}", INTEGER(), NULL},
    {"{type: integer, range: 0..2147483648}", INTEGER(),
     "1:24: the range goes from 0 to 2147483648, and the column \"x\" is integer, expected it within -2147483648..2147483647"},
    {"{type: integer, range: -2147483649..0}", INTEGER(),
     "1:24: the range goes from -2147483649 to 0, and the column \"x\" is integer, expected it within -2147483648..2147483647"},
    {"{type: integer, range: 0..}", INTEGER(),
     "1:24: the range has no upper end, and the column \"x\" is integer, expected one within -2147483648..2147483647"},
    {"{type: integer, range: ..5}", INTEGER(),
     "1:24: the range has no lower end, and the column \"x\" is integer, expected one within -2147483648..2147483647"},
    {"{type: integer}", INTEGER(), "1:1: no \"range\", and the column \"x\" is integer, expected one within -2147483648..2147483647"},
    {"{type: integer, readonly: true}", INTEGER(), NULL},
    {"{type: integer, range: 0..32768}", COLUMN("smallint", "int2", ),
     "1:24: the range goes from 0 to 32768, and the column \"x\" is smallint, expected it within -32768..32767"},
    /* decimals */
    {"{type: decimal, scale: 2, range: -99999.99..99999.99}", NUMERIC(7, 2), NULL},
    {"{type: decimal, scale: 1, range: 0..99999.9}", NUMERIC(7, 2), NULL},
    {"{type: decimal, scale: 2, range: 0..100000}", NUMERIC(7, 2),
     "1:34: the range goes from 0 to 100000, and the column \"x\" is numeric(7,2), expected it within -99999.99..99999.99"},
    {"{type: decimal, scale: 2}", NUMERIC(7, 2), "1:1: no \"range\", and the column \"x\" is numeric(7,2), expected one within -99999.99..99999.99"},
    {"{type: decimal, scale: 3, range: 0..1}", NUMERIC(7, 2),
     "1:24: the scale is 3, and the column \"x\" is numeric(7,2), which would round, expected at most 2"},
    {"{type: decimal, range: 0..1}", NUMERIC(7, 2), "1:1: no \"scale\", and the column \"x\" is numeric(7,2), expected one of at most 2"},
    {"{type: decimal, scale: 4, range: 0..0.0099}", NUMERIC(2, 4), NULL},
    {"{type: decimal, scale: 4, range: 0..0.01}", NUMERIC(2, 4),
     "1:34: the range goes from 0 to 0.01, and the column \"x\" is numeric(2,4), expected it within -0.0099..0.0099"},
    {"{type: decimal, scale: 0, range: 0..100}", NUMERIC(3, -2),
     "1:24: the scale is 0, and the column \"x\" is numeric(3,-2), which would round, expected at most 0"},
    /* NULL, and who writes */
    {"{type: text, clearable: true}", TEXT(), NULL},
    {"{type: text, clearable: true}", TEXT(.is_not_null = true, .has_default = true),
     "1:25: null clears it, and the column \"x\" is NOT NULL, expected a column that takes NULL, or no \"clearable\""},
    {"{type: text}", TEXT(.is_not_null = true),
     "1:1: a new row without it has NULL there, and the column \"x\" is NOT NULL, expected required: true or a default"},
    {"{type: text, required: true}", TEXT(.is_not_null = true), NULL},
    {"{type: text, default: a}", TEXT(.is_not_null = true), NULL},
    {"{type: text}", TEXT(.is_not_null = true, .has_default = true),
     "1:1: a new row without it has NULL there, and the column \"x\" is NOT NULL, expected required: true or a default"},
    {"{type: text}", TEXT(.is_not_null = true, .may_be_filled = true), NULL},
    {"{type: text, many: true}", TEXT(.is_many = true, .is_not_null = true), NULL},
    {"{type: text, readonly: true}", TEXT(.is_not_null = true), NULL},
    {"{type: text}", TEXT(.is_generated = true), "1:1: the column \"x\" is GENERATED ALWAYS, expected readonly: true"},
    {"{type: text, readonly: true}", TEXT(.is_generated = true), NULL},
};

/* Reads a field as the loader does. */
static void read_field(struct mr_arena *arena, const char *text, struct mr_app_field *out)
{
    struct mr_yaml *node = mr_yaml_read(arena, "f.yaml", mr_slice_of(text), &problems);
    struct mr_reader *reader = mr_reader_new(arena, &problems);

    assert_non_null(node);
    assert_non_null(reader);
    *out = (struct mr_app_field){.name = "f"};
    mr_read_section(reader, MR_SECTION_field, node, out);
    mr_reader_destroy(&reader);
    assert_int_equal(problems.found, 0);
}

static bool is_as_expected(const struct pair *pair)
{
    struct mr_arena arena = {0};
    struct mr_app_field field;
    struct mr_buf told = {0};
    struct mr_buf expected = {0};
    bool good;

    read_field(&arena, pair->field, &field);
    mr_verify_column(&field, &pair->column, &problems);
    mr_problems_print(&problems, &told);
    if (pair->problem != NULL)
        mr_buf_printf(&expected, "f.yaml:%s\n", pair->problem);
    mr_buf_char(&expected, '\0');
    good = mr_slice_is(buf_slice(&told), expected.data);
    if (!good)
        print_error("%s, %s:\n%.*sand not\n%s", pair->field, pair->column.told, (int)told.len, told.len > 0 ? told.data : "",
                    expected.data);
    mr_problems_fini(&problems);
    mr_buf_fini(&told);
    mr_buf_fini(&expected);
    mr_arena_fini(&arena);
    return good;
}

static void test_verify__fields_and_their_columns(void **state)
{
    unsigned wrong = 0;

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        wrong += !is_as_expected(&pairs[i]);
    assert_int_equal(wrong, 0);
}

/* The loader has told what is wrong with it. */
static void test_verify__a_field_without_a_type_is_passed_over(void **state)
{
    struct mr_app_field field = {.name = "f"};

    (void)state;
    mr_verify_column(&field, &TEXT(), &problems);
    assert_int_equal(problems.found, 0);
}

/* The loader and the check may look at the same. */
static void test_problems__what_two_have_found_is_told_once(void **state)
{
    struct mr_buf told = {0};

    (void)state;
    for (int i = 0; i < 2; i++) {
        mr_problems_add(&problems, (struct mr_place){.file = "a", .line = 1, .column = 1}, "one");
        mr_problems_add(&problems, (struct mr_place){.file = "a", .line = 1, .column = 1}, "other");
        mr_problems_add(&problems, (struct mr_place){.file = "a", .line = 2, .column = 1}, "one");
    }
    mr_problems_print(&problems, &told);
    assert_slice_equal(buf_slice(&told), "a:1:1: one\na:1:1: other\na:2:1: one\n");
    mr_buf_fini(&told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_verify__fields_and_their_columns, teardown),
        cmocka_unit_test_teardown(test_problems__what_two_have_found_is_told_once, teardown),
        cmocka_unit_test_teardown(test_verify__a_field_without_a_type_is_passed_over, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
