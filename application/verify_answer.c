/*
 * What a statement answers, beside what its operation says that it returns.
 */
#include <stdio.h>

#include "application/keys.h"
#include "application/verify_internal.h"

enum {
    BOOL = 16,
    NAME = 19,
    INT8 = 20,
    INT2 = 21,
    INT4 = 23,
    TEXT = 25,
    JSON = 114,
    FLOAT4 = 700,
    FLOAT8 = 701,
    UNKNOWN = 705,
    BPCHAR = 1042,
    VARCHAR = 1043,
    DATE = 1082,
    TIMESTAMPTZ = 1184,
    NUMERIC = 1700,
    UUID = 2950,
    JSONB = 3802
};

/*
 * The types of the declarations in SQL, by pg_type.dat: what a parameter is, and what a column may be. A number that is exact, or
 * whole, is a number too; a whole number that is `numeric` could have digits after the point.
 */
static const struct {
    const char *name;
    uint32_t id;
    uint32_t array_id;
    uint32_t fits[5];
    uint32_t arrays[5];
} types[] = {
    [MR_APP_TEXT] = {"text", TEXT, 1009, {TEXT, VARCHAR, BPCHAR, NAME, UNKNOWN}, {1009, 1015, 1014, 1003}},
    [MR_APP_UUID] = {"uuid", UUID, 2951, {UUID}, {2951}},
    [MR_APP_INTEGER] = {"bigint", INT8, 1016, {INT8, INT4, INT2}, {1016, 1007, 1005}},
    [MR_APP_DECIMAL] = {"numeric", NUMERIC, 1231, {NUMERIC, INT8, INT4, INT2}, {1231, 1016, 1007, 1005}},
    [MR_APP_NUMBER] = {"double precision", FLOAT8, 1022, {FLOAT8, FLOAT4, NUMERIC, INT8, INT4}, {1022, 1021, 1231, 1016, 1007}},
    [MR_APP_BOOLEAN] = {"boolean", BOOL, 1000, {BOOL}, {1000}},
    [MR_APP_DATE] = {"date", DATE, 1182, {DATE}, {1182}},
    [MR_APP_TIMESTAMP] = {"timestamptz", TIMESTAMPTZ, 1185, {TIMESTAMPTZ}, {1185}},
    [MR_APP_JSON] = {"jsonb", JSONB, 3807, {JSONB, JSON}, {3807, 199}},
};

enum { FITS = sizeof types[0].fits / sizeof types[0].fits[0] };

/* Something that is answered. */
struct answer {
    struct verifying *self;
    const char *statement; /* its name, and for one of queries/ its place: "order_place (queries/order.sql:1)" */
    const mr_rows *columns;
    struct mr_place place; /* where it is asked for */
};

uint32_t verify_type_id(const struct mr_app_field *field)
{
    return field->many ? types[field->type.index].array_id : types[field->type.index].id;
}

const char *verify_type_name(const struct mr_app_field *field)
{
    static const char *const arrays[] = {"text[]",    "uuid[]", "bigint[]",      "numeric[]", "double precision[]",
                                         "boolean[]", "date[]", "timestamptz[]", "jsonb[]"};

    return field->many ? arrays[field->type.index] : types[field->type.index].name;
}

static bool is_known(const struct mr_app_field *field, uint32_t type)
{
    const uint32_t *fits = field->many ? types[field->type.index].arrays : types[field->type.index].fits;

    for (int i = 0; i < FITS && fits[i] != 0; i++)
        if (fits[i] == type)
            return true;
    return false;
}

/* -1: there is none. */
static int column_named(const mr_rows *columns, const char *name)
{
    for (unsigned i = 0; i < mr_rows_columns(columns); i++)
        if (strcmp(mr_rows_name(columns, i), name) == 0)
            return (int)i;
    return -1;
}

static void no_column(const struct answer *answer, const char *name)
{
    struct mr_buf words = {0};
    char room[MR_WORD_ROOM];
    const char *near;

    for (unsigned i = 0; i < mr_rows_columns(answer->columns); i++)
        mr_word_add(&words, mr_rows_name(answer->columns, i));
    near = mr_word_near_of(&words, name, room);
    if (near != NULL)
        complain(answer->self, answer->place, "the statement %s answers no column \"%s\", expected it, or \"%s\" here",
                 answer->statement, name, near);
    else
        complain(answer->self, answer->place, "the statement %s answers no column \"%s\", expected it", answer->statement,
                 name);
}

/* What the server calls a type; enumerations and citext, whose numbers differ from one database to the next, read as text. */
static mr_status ask(const struct answer *answer, uint32_t type, char told[64], bool *is_text)
{
    struct mr_slice text = {"?", 1};
    mr_rows *rows = NULL;
    char sql[200];
    mr_status status;

    snprintf(sql, sizeof sql,
             "SELECT pg_catalog.format_type(%u, NULL), (SELECT typtype = 'e' OR typname = 'citext' FROM pg_catalog.pg_type"
             " WHERE oid = %u)",
             (unsigned)type, (unsigned)type);
    status = mr_db_exec(answer->self->options->db, sql, verify_deadline(), &rows);
    if (status == MR_OK) {
        mr_rows_get(rows, 0, 0, &text);
        snprintf(told, 64, "%.*s", (int)text.len, text.data);
        *is_text = mr_rows_get(rows, 0, 1, &text) && mr_slice_is(text, "t");
    }
    mr_rows_free(&rows);
    return status;
}

static mr_status verify_column_of(const struct answer *answer, const char *name, const struct mr_app_field *field)
{
    int column = column_named(answer->columns, name);
    char told[64] = "";
    bool is_text = false;
    mr_status status;

    if (column < 0) {
        no_column(answer, name);
        return MR_OK;
    }
    if (!field->type.is_set || is_known(field, mr_rows_type(answer->columns, (unsigned)column)))
        return MR_OK;
    status = ask(answer, mr_rows_type(answer->columns, (unsigned)column), told, &is_text);
    if (status == MR_OK && !(is_text && field->type.index == MR_APP_TEXT && !field->many))
        complain(answer->self, answer->place, "the column \"%s\" of the statement %s is %s, expected %s", name,
                 answer->statement, told, verify_type_name(field));
    return status;
}

static mr_status verify_fields(const struct answer *answer, const struct mr_app_fields *fields)
{
    mr_status status = MR_OK;

    for (unsigned i = 0; i < fields->count && status == MR_OK; i++) {
        struct answer one = *answer;

        if (fields->items[i].node == NULL)
            continue;
        one.place = verify_field_place(&fields->items[i]);
        status = verify_column_of(&one, fields->items[i].name, &fields->items[i]);
    }
    return status;
}

/* A statement that answers a resource answers rows of its table, under the columns' names. */
static mr_status verify_resource(const struct answer *answer, const struct mr_app_resource *resource)
{
    static const struct {
        const char *name;
        struct mr_app_field field;
    } standards[] = {{"id", {.type = {true, MR_APP_UUID}}},
                     {"version", {.type = {true, MR_APP_INTEGER}}},
                     {"created_at", {.type = {true, MR_APP_TIMESTAMP}}},
                     {"updated_at", {.type = {true, MR_APP_TIMESTAMP}}}};
    mr_status status = MR_OK;

    for (size_t i = 0; mr_app_is_served(resource) && i < sizeof standards / sizeof standards[0] && status == MR_OK; i++)
        status = verify_column_of(answer, standards[i].name, &standards[i].field);
    for (unsigned i = 0; i < resource->fields.count && status == MR_OK; i++)
        if (resource->fields.items[i].column != NULL)
            status = verify_column_of(answer, resource->fields.items[i].column, &resource->fields.items[i]);
    return status;
}

mr_status verify_answer(struct verifying *self, const struct mr_app_statement *source, const struct mr_app_returns *returns,
                        const mr_rows *columns)
{
    struct answer answer = {.self = self, .columns = columns};
    const struct mr_app_resource *resource;
    char name[256];

    if (returns->node == NULL)
        return MR_OK;
    snprintf(name, sizeof name, "%s (%s:%u)", source->name, source->place.file, source->place.line);
    answer.statement = name;
    answer.place = mr_yaml_place(returns->node);
    if (returns->resource == NULL)
        return verify_fields(&answer, &returns->fields);
    resource = mr_app_resource(self->application, returns->resource);
    return resource != NULL ? verify_resource(&answer, resource) : MR_OK;
}

/* ---- What the document tells ---- */

enum mr_app_type verify_app_type(enum mr_type type)
{
    static const enum mr_app_type types_of[] = {
        [MR_TEXT] = MR_APP_TEXT,   [MR_UUID] = MR_APP_UUID,  [MR_TIME] = MR_APP_TIMESTAMP,  [MR_BOOL] = MR_APP_BOOLEAN,
        [MR_INT] = MR_APP_INTEGER, [MR_BYTES] = MR_APP_TEXT, [MR_DECIMAL] = MR_APP_DECIMAL, [MR_NUMBER] = MR_APP_NUMBER,
        [MR_DATE] = MR_APP_DATE,   [MR_JSON] = MR_APP_JSON};

    return types_of[type];
}

static mr_status verify_member(const struct answer *answer, const char *group, const struct mr_member *member)
{
    struct mr_app_field field = {.many = member->many,
                                 .type = {true, member->json != NULL ? (int)MR_APP_JSON : (int)verify_app_type(member->type)}};
    char name[160];

    snprintf(name, sizeof name, "%s%s%s", group, group[0] != '\0' ? "." : "", member->name);
    return verify_column_of(answer, name, &field);
}

mr_status verify_result(struct verifying *self, const char *statement, struct mr_place place, const struct mr_result *result,
                        const mr_rows *columns)
{
    struct answer answer = {.self = self, .statement = statement, .columns = columns, .place = place};
    mr_status status = MR_OK;

    for (const struct mr_member *m = result->members; m != NULL && m->name != NULL && status == MR_OK; m++) {
        const struct mr_member *inner = m->columns != NULL ? m->columns->members : NULL;

        if (m->columns == NULL)
            status = verify_member(&answer, "", m);
        for (; inner != NULL && inner->name != NULL && status == MR_OK; inner++)
            status = verify_member(&answer, m->name, inner);
    }
    return status;
}
