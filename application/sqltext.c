#include "application/making.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

static void quoted(struct mr_buf *out, char quote, const char *text)
{
    mr_buf_char(out, quote);
    for (; *text != '\0'; text++) {
        if (*text == quote)
            mr_buf_char(out, quote);
        mr_buf_char(out, *text);
    }
    mr_buf_char(out, quote);
}

void mr_sql_name(struct mr_buf *out, const char *name)
{
    quoted(out, '"', name);
}

/* standard_conforming_strings is on in every session of ours: a backslash is a backslash. */
void mr_sql_literal(struct mr_buf *out, const char *text)
{
    quoted(out, '\'', text);
}

void mr_sql_put(struct mr_buf *out, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    for (const char *at = format; *at != '\0'; at++) {
        if (*at != '%') {
            mr_buf_char(out, *at);
            continue;
        }
        at++;
        assert(*at == 'I' || *at == 'L' || *at == 's');
        if (*at == 's')
            mr_buf_text(out, va_arg(arguments, const char *));
        else
            quoted(out, *at == 'I' ? '"' : '\'', va_arg(arguments, const char *));
    }
    va_end(arguments);
}

void mr_sql_column(struct mr_buf *out, const char *alias, const char *name)
{
    mr_sql_name(out, alias);
    mr_buf_char(out, '.');
    mr_sql_name(out, name);
}

void mr_sql_given(struct mr_buf *out, const char *field)
{
    struct mr_buf name = {0};

    mr_buf_printf(&name, "%s?", field);
    mr_buf_char(&name, '\0');
    out->failed |= name.failed;
    if (!name.failed)
        mr_sql_name(out, name.data);
    mr_buf_fini(&name);
}

/* The arrays, in the order of runtime/answer.c. */
static void parameters(struct mr_buf *out, const struct mr_field *fields)
{
    unsigned number = 1;

    for (const struct mr_field *field = fields; field->name != NULL; field++) {
        mr_buf_printf(out, "%s$%u::%s[]", number > 1 ? ", " : "", number, mr_field_sql(field));
        number++;
        if (field->clearable)
            mr_buf_printf(out, ", $%u::boolean[]", number++);
    }
}

static void parameter_names(struct mr_buf *out, const struct mr_field *fields)
{
    for (const struct mr_field *field = fields; field->name != NULL; field++) {
        mr_sql_name(out, field->name);
        mr_buf_text(out, ", ");
        if (!field->clearable)
            continue;
        mr_sql_given(out, field->name);
        mr_buf_text(out, ", ");
    }
    mr_buf_text(out, "\"$n\"");
}

/* Each of its own type, whatever it was sent as. */
static void columns(struct mr_buf *out, const struct mr_field *fields)
{
    for (const struct mr_field *field = fields; field->name != NULL; field++) {
        mr_sql_column(out, "$b", field->name);
        if (strcmp(mr_field_sql(field), mr_field_cast(field)) != 0) {
            mr_buf_printf(out, "::%s AS ", mr_field_cast(field));
            mr_sql_name(out, field->name);
        }
        mr_buf_text(out, ", ");
        if (!field->clearable)
            continue;
        mr_buf_text(out, "\"$b\".");
        mr_sql_given(out, field->name);
        mr_buf_text(out, ", ");
    }
    mr_buf_text(out, "\"$b\".\"$n\"");
}

static const struct mr_field *field_from(const struct mr_field *fields, enum mr_source source)
{
    while (fields->name != NULL && fields->from != source)
        fields++;
    return fields->name != NULL ? fields : NULL;
}

void mr_sql_batch(struct mr_buf *out, const struct mr_field *fields)
{
    const struct mr_field *caller = field_from(fields, MR_TOKEN_USER);
    const struct mr_field *key = field_from(fields, MR_TOKEN_KEY);

    mr_buf_text(out, "SELECT ");
    columns(out, fields);
    if (key != NULL) /* the gateway has verified it */
        mr_sql_put(out, ", coalesce(\"$u\".id, \"$b\".%I) AS \"$caller\"", key->name);
    else if (caller != NULL)
        mr_buf_text(out, ", \"$u\".id AS \"$caller\"");
    mr_buf_text(out, " FROM unnest(");
    parameters(out, fields);
    mr_buf_text(out, ") WITH ORDINALITY AS \"$b\" (");
    parameter_names(out, fields);
    mr_buf_char(out, ')');
    if (caller == NULL)
        return;
    mr_buf_text(out, " LEFT JOIN " MR_USERS " AS \"$u\" ON \"$u\".id = ");
    mr_sql_column(out, "$b", caller->name);
}

/* ---- Rows of a resource ---- */

static void put_member(struct mr_buf *out, const char *alias, const char *column, const char *name)
{
    mr_sql_column(out, alias, column);
    mr_buf_text(out, " AS ");
    mr_sql_name(out, name);
}

static void member(struct mr_buf *out, const char *alias, const char *column, const char *name)
{
    mr_buf_text(out, ", ");
    put_member(out, alias, column, name);
}

void mr_sql_embed_alias(char room[16], unsigned place)
{
    snprintf(room, 16, "$e%u", place);
}

static void embedded_members(struct mr_buf *out, struct mr_making *self, const struct mr_app_field *field, unsigned place)
{
    const struct mr_app_resource *other = mr_app_resource(self->application, field->references.resource);
    char alias[16];

    mr_sql_embed_alias(alias, place);
    for (unsigned i = 0; other != NULL && i < field->embed.columns.count; i++) {
        const char *column = field->embed.columns.items[i].name;

        member(out, alias, column, mr_make_text(self, "%s.%s", field->embed.as, mr_embed_name(self, other, column)));
    }
}

void mr_sql_members(struct mr_buf *out, struct mr_making *self, const struct mr_app_resource *resource, const char *alias)
{
    bool is_served = mr_app_is_served(resource);

    if (is_served)
        put_member(out, alias, "id", "id");
    for (unsigned i = 0; i < resource->fields.count; i++) {
        const struct mr_app_field *field = &resource->fields.items[i];

        mr_buf_text(out, i > 0 || is_served ? ", " : "");
        put_member(out, alias, field->column, field->name);
        if (field->embed.node != NULL)
            embedded_members(out, self, field, i);
    }
    if (!is_served)
        return;
    member(out, alias, "created_at", "createdAt");
    member(out, alias, "updated_at", "updatedAt");
}

static void embed(struct mr_buf *out, struct mr_making *self, const struct mr_app_field *field, unsigned place,
                  const char *alias, const char *caller)
{
    const struct mr_app_resource *other = mr_app_resource(self->application, field->references.resource);
    const struct mr_app_field *key = other != NULL ? mr_app_field(&other->fields, field->references.field) : NULL;
    char own[16];

    if (other == NULL)
        return;
    mr_sql_embed_alias(own, place);
    mr_buf_text(out, " LEFT JOIN ");
    mr_sql_name(out, other->table);
    mr_buf_text(out, " AS ");
    mr_sql_name(out, own);
    mr_buf_text(out, " ON ");
    mr_sql_column(out, own, key != NULL ? key->column : "id");
    mr_buf_text(out, " = ");
    mr_sql_column(out, alias, field->column);
    if (other->owner == NULL)
        return;
    mr_buf_text(out, " AND ");
    mr_sql_column(out, own, other->owner);
    mr_buf_printf(out, " = %s", caller != NULL ? caller : "NULL");
}

void mr_sql_embeds(struct mr_buf *out, struct mr_making *self, const struct mr_app_resource *resource, const char *alias,
                   const char *caller)
{
    for (unsigned i = 0; i < resource->fields.count; i++)
        if (resource->fields.items[i].embed.node != NULL)
            embed(out, self, &resource->fields.items[i], i, alias, caller);
}

/* ---- Words ---- */

static bool words_of_texts(struct mr_buf *out, const struct mr_app_resource *resource, const char *alias)
{
    bool any = false;

    for (unsigned i = 0; i < resource->list.search.count; i++) {
        const struct mr_app_field *field = mr_app_field(&resource->fields, resource->list.search.items[i].name);

        if (field == NULL || field->type.index != MR_APP_TEXT)
            continue;
        mr_buf_text(out, any ? " || ' ' || coalesce(" : "to_tsvector('simple', translate(coalesce(");
        mr_sql_column(out, alias, field->column);
        mr_buf_text(out, ", '')");
        any = true;
    }
    if (any)
        mr_buf_text(out, ", " MR_SQL_SIGNS ", repeat(' ', 32)))");
    return any;
}

void mr_sql_words(struct mr_buf *out, const struct mr_app_resource *resource, const char *alias)
{
    bool any;

    mr_buf_char(out, '(');
    any = words_of_texts(out, resource, alias);
    for (unsigned i = 0; i < resource->list.search.count; i++) {
        const struct mr_app_field *field = mr_app_field(&resource->fields, resource->list.search.items[i].name);

        if (field == NULL || field->type.index != MR_APP_JSON)
            continue;
        mr_buf_text(out, any ? " || to_tsvector('simple', coalesce(" : "to_tsvector('simple', coalesce(");
        mr_sql_column(out, alias, field->column);
        mr_buf_text(out, ", '{}'))");
        any = true;
    }
    if (resource->owner != NULL) {
        mr_buf_text(out, " || array_to_tsvector(ARRAY[");
        mr_sql_column(out, alias, resource->owner);
        mr_buf_text(out, "::text])");
    }
    mr_buf_char(out, ')');
}
