/*
 * What a declared field becomes: its rules as the gateway holds values against them, and its type in the rows of a batch.
 */
#include "application/build.h"
#include "application/making.h"
#include "tests/support/folder.h"
#include "tests/support/test.h"

static const char declared[] =
    "path: /v1/things\n"
    "fields:\n"
    "  sku: {type: text, length: 1..9, pattern: '[A-Z]+'}\n"
    "  price: {type: decimal, scale: 2, range: 0..99999.99, default: 0.50}\n"
    "  exact: {type: decimal, clearable: true, range: '-1.5..'}\n"
    "  share: {type: number, range: ..1, default: 0.5}\n"
    "  stock: {type: integer, default: 3, range: 0..10}\n"
    "  day: {type: date, default: '2027-01-31'}\n"
    "  details: {type: json, clearable: true, default: {a: [1, 2.50], b: 'x'}}\n"
    "  tags: {type: text, many: true, items: 0..20, length: 1..5, default: [a, 'b\"']}\n"
    "  prices: {type: decimal, many: true, scale: 1}\n"
    "  flag: {type: boolean, default: true}\n";

enum { SKU, PRICE, EXACT, SHARE, STOCK, DAY, DETAILS, TAGS, PRICES, FLAG };

struct made {
    struct folder folder;
    struct mr_application *application;
    struct mr_problems problems;
    struct mr_arena arena;
    struct mr_making making;
    const struct mr_field *fields;
};

static struct made *load(const char *resource)
{
    static const struct mr_application_options options = {.lookup = NULL};
    struct made *self = calloc(1, sizeof *self);
    mr_status status;

    assert_non_null(self);
    folder_make(&self->folder);
    folder_write(&self->folder, "resources/thing.yaml", resource);
    folder_write(&self->folder, "resources/other.yaml", "path: /v1/others\nfields: {code: {type: text}, a: {type: text}, b: {type: text}, c: {type: text}}\n");
    status = mr_application_load(&self->application, self->folder.path, &options, &self->problems);
    folder_remove(&self->folder);
    if (status != MR_OK)
        fail_test("%s", self->problems.count > 0 ? self->problems.items[0].text : "no memory");
    return self;
}

static int make(void **state)
{
    struct made *self = load(declared);
    const struct mr_app_fields *fields;
    struct mr_making_fields gathered = {0};

    *state = self;
    self->making = (struct mr_making){.application = self->application, .arena = &self->arena, .problems = &self->problems};
    fields = &mr_app_resource(self->application, "thing")->fields;
    for (unsigned i = 0; i < fields->count; i++)
        mr_make_field(&self->making, &gathered, mr_field_of(&self->making, &fields->items[i], MR_BODY));
    self->fields = mr_make_fields(&self->making, &gathered);
    return self->arena.failed;
}

static int destroy(void **state)
{
    struct made *self = *state;

    for (unsigned i = 0; i < self->making.pattern_count; i++)
        mr_pattern_destroy(&self->making.patterns[i]);
    mr_problems_fini(&self->problems);
    mr_arena_fini(&self->arena);
    mr_application_destroy(&self->application);
    free(self);
    return 0;
}

static bool takes(const struct mr_field *field, const char *text)
{
    struct mr_problem problem;
    struct mr_value value;

    return mr_field_parse(field, mr_slice_of(text), &value, &problem);
}

static void test_application_types__rules_are_those_declared(void **state)
{
    const struct made *self = *state;
    const struct mr_field *fields = self->fields;

    assert_int_equal(mr_fields_count(self->fields), FLAG + 1);
    assert_true(takes(&fields[SKU], "ABC") && !takes(&fields[SKU], "abc") && !takes(&fields[SKU], "ABCDEFGHIJ"));
    assert_true(takes(&fields[PRICE], "99999.99") && !takes(&fields[PRICE], "100000") && !takes(&fields[PRICE], "0.001"));
    assert_true(takes(&fields[EXACT], "0.123456789012345678901234567890") && !takes(&fields[EXACT], "-1.51"));
    assert_true(takes(&fields[SHARE], "-1e300") && !takes(&fields[SHARE], "1.1"));
    assert_true(takes(&fields[STOCK], "10") && !takes(&fields[STOCK], "11") && !takes(&fields[STOCK], "-1"));
    assert_true(takes(&fields[DAY], "2027-01-31") && !takes(&fields[DAY], "2027-01-32"));
    assert_true(takes(&fields[DETAILS], "[1]") && fields[DETAILS].clearable);
    assert_true(fields[TAGS].many && fields[TAGS].items_max == 20 && takes(&fields[TAGS], "abcde") && !takes(&fields[TAGS], "abcdef"));
    assert_true(fields[PRICES].many && takes(&fields[PRICES], "1.5") && !takes(&fields[PRICES], "1.55"));
}

static void test_application_types__defaults_are_texts(void **state)
{
    static const char *const expected[] = {[SKU] = NULL,       [PRICE] = "0.50", [EXACT] = NULL, [SHARE] = "0.5", [STOCK] = "3",
                                           [DAY] = "2027-01-31", [DETAILS] = "{\"a\":[1,2.50],\"b\":\"x\"}", [TAGS] = "[\"a\",\"b\\\"\"]",
                                           [PRICES] = NULL,    [FLAG] = "true"};
    const struct made *self = *state;

    for (unsigned i = 0; i <= FLAG; i++)
        if (expected[i] == NULL)
            assert_null(self->fields[i].fallback);
        else
            assert_string_equal(self->fields[i].fallback, expected[i]);
}

static void test_application_types__a_batch_has_columns_of_their_types(void **state)
{
    static const char *const parts[] = {
        "unnest($1::text[], $2::text[], $3::text[], $4::boolean[], $5::text[], $6::bigint[], $7::text[], $8::text[], $9::boolean[], $10::text[], $11::text[], $12::boolean[])",
        "\"$b\".\"sku\", ", "\"$b\".\"price\"::numeric AS \"price\"", "\"$b\".\"exact\"::numeric AS \"exact\", \"$b\".\"exact?\"",
        "\"$b\".\"share\"::double precision AS \"share\"", "\"$b\".\"stock\", ", "\"$b\".\"day\"::date AS \"day\"",
        "\"$b\".\"details\"::jsonb AS \"details\"", "\"$b\".\"tags\"::text[] AS \"tags\"", "\"$b\".\"prices\"::numeric[] AS \"prices\"", "\"$b\".\"$n\" FROM"};
    const struct made *self = *state;
    struct mr_buf sql = {0};

    mr_sql_batch(&sql, self->fields);
    mr_buf_char(&sql, '\0');
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strstr(sql.data, parts[i]) == NULL)
            fail_test("%s is not in %s", parts[i], sql.data);
    mr_buf_fini(&sql);
}

/* How the building of a resource with so many fields ends: with the first problem, or without one. In static storage. */
static const char *outcome_of(unsigned count, const char *field)
{
    static char text[512];
    struct mr_buf yaml = {0};
    struct mr_built *built = NULL;
    struct made *self;
    mr_status status;
    void *made;

    mr_buf_text(&yaml, "path: /v1/things\nfields:\n");
    for (unsigned i = 0; i < count; i++) {
        const char *embed = strstr(field, "EMBED");
        int before = embed != NULL ? (int)(embed - field) : (int)strlen(field);

        mr_buf_printf(&yaml, "  f%u: %.*s", i, before, field);
        if (embed != NULL)
            mr_buf_printf(&yaml, "e%u%s", i, embed + 5);
        mr_buf_char(&yaml, '\n');
    }
    mr_buf_char(&yaml, '\0');
    self = made = load(yaml.data);
    status = mr_application_build(&built, self->application, &self->problems);
    assert_int_equal(status == MR_OK, self->problems.count == 0);
    snprintf(text, sizeof text, "%s", self->problems.count > 0 ? self->problems.items[0].text : "");
    mr_built_destroy(&built);
    destroy(&made);
    mr_buf_fini(&yaml);
    return text;
}

static void test_application_types__a_resource_may_have_a_hundred_fields(void **state)
{
    (void)state;
    assert_string_equal(outcome_of(100, "{type: decimal, clearable: true, default: 1.5}"), "");
    assert_string_equal(outcome_of(100, "{type: text, pattern: '[a-z]+'}"), "");
}

static void test_application_types__more_columns_than_a_row_holds_are_refused(void **state)
{
    (void)state;
    assert_string_equal(outcome_of(80, "{type: text, references: other.code, embed: {as: EMBED, columns: [code, a, b, c]}}"),
                        "thing_create answers with 403 columns, expected at most 240");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_application_types__rules_are_those_declared, make, destroy),
        cmocka_unit_test_setup_teardown(test_application_types__defaults_are_texts, make, destroy),
        cmocka_unit_test_setup_teardown(test_application_types__a_batch_has_columns_of_their_types, make, destroy),
        cmocka_unit_test(test_application_types__a_resource_may_have_a_hundred_fields),
        cmocka_unit_test(test_application_types__more_columns_than_a_row_holds_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
