#include <stdlib.h>

#include "application/check.h"
#include "application/keys.h"
#include "application/value.h"

const char *mr_column_of(struct mr_arena *arena, const char *name)
{
    char *out = mr_arena_take(arena, 2 * strlen(name) + 1);
    char *at = out;

    if (out == NULL)
        return NULL;
    for (const char *c = name; *c != '\0'; c++) {
        bool upper = *c >= 'A' && *c <= 'Z';

        if (upper && c > name && c[-1] != '_')
            *at++ = '_';
        *at++ = (char)(upper ? *c - 'A' + 'a' : *c);
    }
    return out;
}

static void check_bound(const struct mr_app_field *field, const char *bound, struct mr_problems *problems)
{
    struct mr_place place = mr_yaml_place(mr_yaml_get(field->node, "range"));

    if (field->type.index == MR_APP_INTEGER && strchr(bound, '.') != NULL)
        mr_problems_add(problems, place, "%s in the range of an integer, expected integers", bound);
    else if (field->type.index == MR_APP_INTEGER &&
             (mr_decimal_compare(bound, "-9223372036854775808") < 0 || mr_decimal_compare(bound, "9223372036854775807") > 0))
        mr_problems_add(problems, place, "%s is not a 64-bit integer, expected one", bound);
    else if (field->scale.is_set && mr_decimal_scale(bound) > field->scale.value)
        mr_problems_add(problems, place, "%s has more digits after the point than \"scale\" says, expected at most %lld", bound,
                        (long long)field->scale.value);
}

/* Bounds of 0 and 0 are no bounds to struct mr_field, and a field that can only be 0 says nothing. */
static void check_room(const struct mr_app_field *field, struct mr_problems *problems)
{
    const struct mr_app_range *range = &field->range;

    if (field->type.index == MR_APP_INTEGER && range->min != NULL && range->max != NULL &&
        mr_decimal_compare(range->min, "0") == 0 && mr_decimal_compare(range->max, "0") == 0)
        mr_problems_add(problems, mr_yaml_place(mr_yaml_get(field->node, "range")),
                        "a range of 0 alone, expected one of more than one integer");
}

static void check_field(struct mr_app_field *field, struct mr_problems *problems)
{
    if (field->node == NULL)
        return;
    if (field->range.min != NULL)
        check_bound(field, field->range.min, problems);
    if (field->range.max != NULL)
        check_bound(field, field->range.max, problems);
    check_room(field, problems);
    mr_check_default(field, problems);
}

/* Also what is in a json value. */
static void check_all(struct mr_app_fields *fields, struct mr_problems *problems)
{
    for (unsigned i = 0; i < fields->count; i++) {
        check_field(&fields->items[i], problems);
        check_all(&fields->items[i].members, problems);
    }
}

void mr_check_fields(struct mr_application *self, struct mr_problems *problems)
{
    for (unsigned i = 0; i < self->resource_count; i++) {
        struct mr_app_fields *fields = &self->resources[i].fields;

        check_all(fields, problems);
        for (unsigned f = 0; f < fields->count; f++)
            if (fields->items[f].column == NULL)
                fields->items[f].column = mr_column_of(&self->arena, fields->items[f].name);
    }
    for (unsigned i = 0; i < self->operation_count; i++) {
        check_all(&self->operations[i].fields, problems);
        check_all(&self->operations[i].returns.fields, problems);
    }
    for (unsigned i = 0; i < self->job_count; i++)
        check_all(&self->jobs[i].args, problems);
}
