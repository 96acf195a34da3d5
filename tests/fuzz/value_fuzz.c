/*
 * Bytes as the member of a body, and as a parameter of a query, for a field of each type, alone and in an array: jansson and the
 * scanner of its text mean the same, what is taken is of the field's grammar, and an array's literal has the elements that went in.
 */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "proto/decimal.h"
#include "proto/jsontext.h"
#include "proto/literal.h"
#include "proto/json_reader.h"
#include "proto/timestamp.h"
#include "tests/fuzz/fuzz.h"

static const struct mr_field fields[] = {
    {.name = "v", .type = MR_DECIMAL, .scale = 2, .least = "-5", .most = "99999999999999999999.99", .from = MR_BODY},
    {.name = "v", .type = MR_DECIMAL, .scale = -1, .from = MR_BODY},
    {.name = "v", .type = MR_NUMBER, .from = MR_BODY},
    {.name = "v", .type = MR_DATE, .from = MR_BODY},
    {.name = "v", .type = MR_JSON, .from = MR_BODY},
    {.name = "v", .type = MR_TEXT, .from = MR_BODY},
    {.name = "v", .type = MR_INT, .from = MR_BODY},
    {.name = "v", .type = MR_TIME, .from = MR_BODY},
    {.name = "v", .type = MR_UUID, .from = MR_BODY},
    {.name = "v", .type = MR_BOOL, .from = MR_BODY},
};

enum { FIELDS = sizeof fields / sizeof fields[0] };

static void check_value(const struct mr_field *field, const struct mr_value *value)
{
    struct mr_decimal number;
    struct mr_problem problem;
    int64_t days;

    must(value->present);
    if (field->type == MR_DECIMAL) {
        must(mr_decimal_parse(&number, value->text) && value->text.len <= MR_DECIMAL_DIGITS);
        must(field->scale < 0 || number.scale <= field->scale);
        must(number.power <= MR_DECIMAL_DIGITS && number.scale <= MR_DECIMAL_DIGITS);
    }
    if (field->type == MR_NUMBER)
        must(isfinite(value->number));
    if (field->type == MR_DATE)
        must(mr_date_parse(&days, value->text.data, value->text.len));
    if (field->type == MR_JSON)
        must(mr_json_check(value->text, &problem));
}

static void check_text(const struct mr_field *field, struct mr_slice text)
{
    struct mr_problem problem = {.code = NULL};
    struct mr_value value;

    if (mr_field_parse(field, text, &value, &problem))
        check_value(field, &value);
    else
        must(problem.code != NULL && problem.message[0] != '\0');
}

/* The same elements, one after the other. */
static void check_literal(const struct mr_field *field, const json_t *array, struct mr_slice text, struct mr_slice literal)
{
    struct mr_json_walk walk = mr_json_walk_of(text);
    struct mr_field one = *field;
    struct mr_buf element = {0};
    size_t i;
    const json_t *item;

    one.many = false;
    json_array_foreach(array, i, item)
    {
        struct mr_slice part;
        struct mr_problem problem;
        struct mr_value value;
        struct mr_buf expected = {0};

        must(mr_json_element_next(&walk, &part));
        must(mr_json_read_value(&one, item, part, &value, &problem));
        check_value(&one, &value);
        mr_literal_text(&expected, field->type, &value);
        mr_buf_clear(&element, SIZE_MAX);
        must(mr_literal_next(&literal, &element));
        must(element.len == expected.len && (element.len == 0 || memcmp(element.data, expected.data, element.len) == 0));
        mr_buf_fini(&expected);
    }
    must(!mr_json_element_next(&walk, &(struct mr_slice){0}));
    must(!mr_literal_next(&literal, &element));
    mr_buf_fini(&element);
}

static unsigned told;

static void tell(void *context, const struct mr_field *field, int index, const struct mr_problem *problem)
{
    (void)context;
    (void)field;
    (void)index;
    must(problem->code != NULL && problem->message[0] != '\0');
    told++;
}

static void check_array(const struct mr_field *field, const json_t *json, struct mr_slice text)
{
    static const struct mr_listener listener = {tell, NULL};
    struct mr_buf room = {0};
    struct mr_value value;

    told = 0;
    if (mr_json_read_array(field, json, text, &room, &value, &listener)) {
        must(told == 0 && value.present && value.text.data[0] == '{' && value.text.data[value.text.len - 1] == '}');
        check_literal(field, json, text, value.text);
    } else {
        must(told > 0 && told <= MR_ITEM_PROBLEMS);
    }
    mr_buf_fini(&room);
}

/* Numbers about as large as a double can be are replaced before jansson sees them (proto/json_reader.c). */
static bool may_be_replaced(struct mr_slice text)
{
    return memchr(text.data, 'e', text.len) != NULL || memchr(text.data, 'E', text.len) != NULL || text.len > 300;
}

/* What the scanner finds is what jansson found: the same value, written in its own way. */
static void check_found(const json_t *json, struct mr_slice text)
{
    json_error_t error;
    json_t *again = json_loadb(text.data, text.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);

    must(text.len > 0);
    must(again != NULL || json_error_code(&error) == json_error_numeric_overflow);
    must(again == NULL || json_equal(again, (json_t *)json) != 0 || may_be_replaced(text));
    json_decref(again);
}

static void check_member(struct mr_slice body, const json_t *object)
{
    const json_t *json = json_object_get(object, "v");

    for (unsigned i = 0; json != NULL && !json_is_null(json) && i < FIELDS; i++) {
        struct mr_field many = fields[i];
        struct mr_field pair[2] = {fields[i], {.name = NULL}};
        struct mr_value found[1] = {{.present = false}};
        struct mr_problem problem;
        struct mr_value value;

        many.many = true;
        pair[0].type = MR_JSON; /* so that it is looked for */
        mr_json_find(body, pair, found);
        check_found(json, found[0].text);
        if (mr_json_read_value(&fields[i], json, found[0].text, &value, &problem))
            check_value(&fields[i], &value);
        check_array(&many, json, found[0].text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mr_slice text = {(const char *)data, size};
    struct mr_json_refusal why;
    json_t *object = NULL;

    for (unsigned i = 0; i < FIELDS; i++)
        check_text(&fields[i], text);
    if (mr_json_load(&object, text, &why) == MR_OK)
        check_member(text, object);
    json_decref(object);
    return 0;
}
