/*
 * A field and its column. Every rule says which value would come back without the column's name, or not as it was sent.
 */
#include <stdio.h>
#include <stdlib.h>

#include "application/value.h"
#include "application/verify_internal.h"

enum { NUMERIC_DIGITS = 1100, NO_MODIFIER = -1, MODIFIER_BASE = 4 }; /* numeric(1000, -1000..1000) is the widest there is */

/* What a type of the declarations may be stored as; the first is what a message recommends. */
static const struct {
    const char *words;
    const char *told;
} fitting[] = {
    [MR_APP_TEXT] = {"text|varchar|bpchar|citext", "text"},
    [MR_APP_UUID] = {"uuid", "uuid"},
    [MR_APP_INTEGER] = {"int8|int4|int2", "bigint, integer or smallint"},
    [MR_APP_DECIMAL] = {"numeric", "numeric"},
    [MR_APP_NUMBER] = {"float8", "double precision"},
    [MR_APP_BOOLEAN] = {"bool", "boolean"},
    [MR_APP_DATE] = {"date", "date"},
    [MR_APP_TIMESTAMP] = {"timestamptz", "timestamp with time zone"},
    [MR_APP_JSON] = {"jsonb", "jsonb"},
};

struct pair {
    const struct mr_app_field *field;
    const struct mr_sql_column *column;
    struct mr_problems *problems;
};

struct mr_place verify_field_place(const struct mr_app_field *field)
{
    const struct mr_yaml *column = mr_yaml_get(field->node, "column");

    return mr_yaml_place(column != NULL ? column : field->node->key != NULL ? field->node->key : field->node);
}

/* Of a key of the field; where it does not have that, of its name. */
static struct mr_place place_of(const struct pair *self, const char *key)
{
    const struct mr_yaml *value = mr_yaml_get(self->field->node, key);

    return value != NULL ? mr_yaml_place(value) : verify_field_place(self->field);
}

/* ---- The type ---- */

static bool is_fitting(const struct pair *self)
{
    const char *words = fitting[self->field->type.index].words;
    const char *at = strstr(words, self->column->type);
    size_t length = strlen(self->column->type);

    while (at != NULL && !((at == words || at[-1] == '|') && (at[length] == '|' || at[length] == '\0')))
        at = strstr(at + 1, self->column->type);
    return at != NULL;
}

/* A word of an enumeration reads as text; one that is none cannot be written, and nothing would say of which field. */
static bool is_enum_of_text(const struct pair *self)
{
    return self->column->is_enum && self->field->type.index == MR_APP_TEXT && !self->field->many && !self->column->is_many;
}

static bool check_type(const struct pair *self)
{
    if ((self->field->many == self->column->is_many && is_fitting(self)) || (is_enum_of_text(self) && self->field->readonly))
        return true;
    if (is_enum_of_text(self))
        complain(self, place_of(self, "type"),
                 "the column \"%s\" is %s, an enumeration, expected text with a CHECK, or readonly: true", self->column->name,
                 self->column->told);
    else
        complain(self, place_of(self, "type"), "the column \"%s\" is %s, expected %s%s", self->column->name, self->column->told,
                 self->field->many ? "an array of " : "", fitting[self->field->type.index].told);
    return false;
}

/* ---- Text ---- */

static void check_length(const struct pair *self)
{
    const struct mr_app_length *length = &self->field->length;
    bool padded = strcmp(self->column->type, "bpchar") == 0;
    int room = self->column->modifier - MODIFIER_BASE;

    if (padded && !(length->is_set && length->min == room && length->max == room)) {
        complain(self, place_of(self, "length"), "the column \"%s\" is %s, which pads with blanks, expected text",
                 self->column->name, self->column->told);
        return;
    }
    if (self->column->modifier == NO_MODIFIER)
        return;
    if (!length->is_set)
        complain(self, verify_field_place(self->field),
                 "no \"length\", and the column \"%s\" is %s, expected one of at most %d", self->column->name,
                 self->column->told, room);
    else if (length->max > room)
        complain(self, place_of(self, "length"), "the length goes to %lld, and the column \"%s\" is %s, expected at most %d",
                 (long long)length->max, self->column->name, self->column->told, room);
}

/* ---- Numbers ---- */

/* `least` and `most` are what the column takes. */
static void check_range(const struct pair *self, const char *least, const char *most)
{
    const struct mr_app_range *range = &self->field->range;
    struct mr_place place = place_of(self, "range");

    if (range->min == NULL || range->max == NULL)
        complain(self, place, "%s, and the column \"%s\" is %s, expected one within %s..%s",
                 range->min != NULL   ? "the range has no upper end"
                 : range->max != NULL ? "the range has no lower end"
                                      : "no \"range\"",
                 self->column->name, self->column->told, least, most);
    else if (mr_decimal_compare(range->min, least) < 0 || mr_decimal_compare(range->max, most) > 0)
        complain(self, place, "the range goes from %s to %s, and the column \"%s\" is %s, expected it within %s..%s",
                 range->min, range->max, self->column->name, self->column->told, least, most);
}

static void check_integer(const struct pair *self)
{
    if (strcmp(self->column->type, "int2") == 0)
        check_range(self, "-32768", "32767");
    else if (strcmp(self->column->type, "int4") == 0)
        check_range(self, "-2147483648", "2147483647");
}

/* The greatest value of numeric(precision, scale), behind a minus sign: "-99999.99" is that of (7, 2). */
static void greatest(char out[NUMERIC_DIGITS], int precision, int scale)
{
    int whole = precision - scale;
    char *at = out;

    *at++ = '-';
    if (whole <= 0)
        *at++ = '0';
    for (int i = 0; i < whole; i++)
        *at++ = '9';
    if (scale > 0)
        *at++ = '.';
    for (int i = 0; i < scale; i++)
        *at++ = whole < 0 && i < -whole ? '0' : '9';
    *at = '\0';
}

static void check_decimal(const struct pair *self)
{
    const struct mr_app_integer *scale = &self->field->scale;
    int modifier = self->column->modifier - MODIFIER_BASE;
    int precision = modifier >> 16 & 0xffff;
    int room = ((modifier & 0x7ff) ^ 0x400) - 0x400;
    char most[NUMERIC_DIGITS];

    if (self->column->modifier == NO_MODIFIER)
        return;
    if (!scale->is_set)
        complain(self, place_of(self, "scale"), "no \"scale\", and the column \"%s\" is %s, expected one of at most %d",
                 self->column->name, self->column->told, room > 0 ? room : 0);
    else if (scale->value > room)
        complain(self, place_of(self, "scale"),
                 "the scale is %lld, and the column \"%s\" is %s, which would round, expected at most %d",
                 (long long)scale->value, self->column->name, self->column->told, room > 0 ? room : 0);
    if (!scale->is_set || scale->value > room)
        return;
    greatest(most, precision, room);
    check_range(self, most, most + 1);
}

/* ---- NULL ---- */

/* Whether a new row has a value there that is not NULL; an array that was left out is empty. A DEFAULT of the column's is not used. */
static bool has_value(const struct mr_app_field *field)
{
    return field->required || field->fallback != NULL || (field->many && !field->clearable);
}

static void check_null(const struct pair *self)
{
    const struct mr_sql_column *column = self->column;

    if (self->field->clearable && column->is_not_null)
        complain(self, place_of(self, "clearable"),
                 "null clears it, and the column \"%s\" is NOT NULL, expected a column that takes NULL, or no \"clearable\"",
                 column->name);
    else if (!has_value(self->field) && column->is_not_null && !column->may_be_filled)
        complain(self, verify_field_place(self->field),
                 "a new row without it has NULL there, and the column \"%s\" is NOT NULL, expected required: true or a"
                 " default",
                 column->name);
}

/* ---- Everything that is written ---- */

static void check_written(const struct pair *self)
{
    if (self->column->is_generated) {
        complain(self, verify_field_place(self->field), "the column \"%s\" is GENERATED ALWAYS, expected readonly: true",
                 self->column->name);
        return;
    }
    if (self->column->is_domain_checked)
        complain(self, verify_field_place(self->field),
                 "the column \"%s\" is of the domain %s, whose constraint names no column when it is broken, expected %s with a"
                 " CHECK of the table",
                 self->column->name, self->column->domain, fitting[self->field->type.index].told);
    switch (self->field->type.index) {
    case MR_APP_TEXT: check_length(self); break;
    case MR_APP_INTEGER: check_integer(self); break;
    case MR_APP_DECIMAL: check_decimal(self); break;
    default: break;
    }
    check_null(self);
}

void mr_verify_column(const struct mr_app_field *field, const struct mr_sql_column *column, struct mr_problems *problems)
{
    struct pair self = {field, column, problems};

    if (!field->type.is_set)
        return; /* the loader has told why */
    if (check_type(&self) && !field->readonly)
        check_written(&self);
}
