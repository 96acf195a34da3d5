/*
 * The document cannot lie about what comes back: PostgreSQL is asked for the columns of every statement, and they have to be
 * the members of the result that its op returns, by name and type; and the statuses in its text have to be those told.
 */
#include <libpq-fe.h>

#include "openapi/openapi.h"
#include "sql/sql.h"
#include "tests/support/database.h"
#include "tests/support/test.h"

enum { OID_BOOL = 16, OID_INT8 = 20, OID_INT2 = 21, OID_INT4 = 23, OID_TEXT = 25, OID_JSON = 114, OID_TEXTS = 1009, OID_TIME = 1184, OID_UUID = 2950, OID_JSONB = 3802 };

/* The text of a statement; NULL when there is none of that name. */
static const char *sql_of(const char *statement)
{
    const struct mr_statement *found = mr_statement_find(statement);

    return found != NULL ? found->text : NULL;
}

/* A connection of the test's own, which may look at descriptions. */
static PGconn *connect_to(const struct database *database)
{
    const char *names[] = {"host", "user", "dbname", NULL};
    const char *values[] = {database->config.db_host, database->config.db_user, database->config.db_database, NULL};
    PGconn *connection = PQconnectdbParams(names, values, 0);

    if (PQstatus(connection) != CONNECTION_OK)
        fail_test("%s", PQerrorMessage(connection));
    return connection;
}

static PGresult *describe(PGconn *connection, const char *statement)
{
    PGresult *result = PQprepare(connection, "", sql_of(statement), 0, NULL); /* unnamed: variants may share a statement */

    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        fail_test("%s: %s", statement, PQerrorMessage(connection));
    PQclear(result);
    result = PQdescribePrepared(connection, "");
    assert_int_equal(PQresultStatus(result), PGRES_COMMAND_OK);
    return result;
}

static bool fits(const struct mr_member *member, Oid type)
{
    if (member->json != NULL)
        return type == OID_JSON || type == OID_JSONB;
    if (member->many)
        return member->type == MR_TEXT && type == OID_TEXTS; /* no other array is told yet */
    switch (member->type) {
    case MR_UUID: return type == OID_UUID;
    case MR_TIME: return type == OID_TIME;
    case MR_BOOL: return type == OID_BOOL;
    case MR_INT: return type == OID_INT2 || type == OID_INT4 || type == OID_INT8;
    case MR_JSON: return type == OID_JSON || type == OID_JSONB;
    default: return type == OID_TEXT;
    }
}

/* The members as columns, those of nested objects under their own names; false at the end. */
static void expect_column(const PGresult *description, int *at, const char *statement, const char *group, const struct mr_member *member)
{
    char name[128];
    const char *found;

    snprintf(name, sizeof name, "%s%s%s", group, group[0] != '\0' ? "." : "", member->name);
    for (; *at < PQnfields(description); (*at)++) {
        found = PQfname(description, *at);
        if (strcmp(found, "n") != 0 && found[0] != '$')
            break;
    }
    if (*at == PQnfields(description))
        fail_test("%s: there is no column for %s", statement, name);
    if (strcmp(PQfname(description, *at), name) != 0)
        fail_test("%s: the column is %s where %s is told", statement, PQfname(description, *at), name);
    if (!fits(member, PQftype(description, *at)))
        fail_test("%s: %s has a column of type %u", statement, name, PQftype(description, *at));
    (*at)++;
}

static void compare(const PGresult *description, const char *statement, const struct mr_result *result)
{
    int at = 0;

    for (const struct mr_member *member = result->members; member->name != NULL; member++) {
        if (member->columns == NULL)
            expect_column(description, &at, statement, "", member);
        for (const struct mr_member *m = member->columns != NULL ? member->columns->members : NULL; m != NULL && m->name != NULL; m++)
            expect_column(description, &at, statement, member->name, m);
    }
    for (; at < PQnfields(description); at++)
        if (strcmp(PQfname(description, at), "n") != 0 && PQfname(description, at)[0] != '$')
            fail_test("%s: nothing is told of the column %s", statement, PQfname(description, at));
}

static bool has_column(const PGresult *description, const char *name)
{
    return PQfnumber(description, name) >= 0;
}

static void check_statement(PGconn *connection, const struct mr_op_info *info, const char *statement, enum mr_shape shape,
                            const struct mr_result *returns)
{
    PGresult *description = describe(connection, statement);
    char next[] = "\"$next\""; /* PQfnumber folds what has no quotes */
    char version[] = "\"$version\"";

    if (returns != NULL)
        compare(description, statement, returns);
    if (info->traits->versioned != has_column(description, version))
        fail_test("%s: `versioned` is not what the statement does", statement);
    if (shape == MR_SHAPE_MANY && info->traits->continued != has_column(description, next))
        fail_test("%s: `continued` is not what the statement does", statement);
    PQclear(description);
}

/* Calls `check` for each statement that makes the success of an op of clients. */
static void test_openapi__results_are_the_columns_of_the_statements(void **state)
{
    struct database *database = database_new();
    PGconn *connection = connect_to(database);
    unsigned checked = 0;

    (void)state;
    for (int op = 0; op < MR_OP_COUNT; op++) {
        const struct mr_op_info *info = mr_op_info((enum mr_op)op);

        if (info->path == NULL || info->actor == MR_ACTOR_GATEWAY)
            continue;
        for (const struct mr_variant *v = info->traits->variants; v != NULL && v->statement != NULL; v++, checked++)
            check_statement(connection, info, v->statement, v->shape, v->returns != NULL ? v->returns : info->traits->returns);
        if (mr_statement_find(info->name) != NULL) {
            check_statement(connection, info, info->name, info->traits->shape, info->traits->returns);
            checked++;
        }
    }
    assert_true(checked >= 8);
    PQfinish(connection);
    database_destroy(&database);
}

/* Every status in the text in front of AS "$status", in the order of the text. */
static void check_statuses(enum mr_op op, const char *statement)
{
    const char *end = strstr(sql_of(statement), "AS \"$status\"");
    const char *from = end;

    if (end == NULL)
        return;
    while (from > sql_of(statement) && strncmp(from, "CASE", 4) != 0)
        from--;
    for (const char *at = from; at < end; at++) {
        bool is_outcome = strncmp(at, "THEN ", 5) == 0 || strncmp(at, "ELSE ", 5) == 0;
        long http = is_outcome ? strtol(at + 5, NULL, 10) : 0;

        if (http != 0 && !mr_openapi_answers(op, (int)http))
            fail_test("%s answers %ld, which is not told", statement, http);
    }
}

static bool text_has(const char *statement, const char *status)
{
    char then[16];
    char otherwise[16];
    const char *sql = sql_of(statement);

    snprintf(then, sizeof then, "THEN %s", status);
    snprintf(otherwise, sizeof otherwise, "ELSE %s", status);
    return sql != NULL && (strstr(sql, then) != NULL || strstr(sql, otherwise) != NULL);
}

/* Whether some statement of the op has the status in its text; what has no statement of its name is code's. */
static bool statement_has(const struct mr_op_info *info, const char *status)
{
    bool has = sql_of(info->name) == NULL || text_has(info->name, status);

    for (const struct mr_variant *v = info->traits->variants; v != NULL && v->statement != NULL; v++)
        has = has || text_has(v->statement, status);
    return has;
}

static void test_openapi__statuses_are_those_of_the_statements(void **state)
{
    (void)state;
    for (int op = 0; op < MR_OP_COUNT; op++) {
        const struct mr_op_info *info = mr_op_info((enum mr_op)op);
        char status[4] = "";

        if (info->path == NULL || info->actor == MR_ACTOR_GATEWAY)
            continue;
        if (mr_statement_find(info->name) != NULL)
            check_statuses((enum mr_op)op, info->name);
        for (const struct mr_variant *v = info->traits->variants; v != NULL && v->statement != NULL; v++)
            check_statuses((enum mr_op)op, v->statement);
        for (const char *at = info->traits->answers; at != NULL; at = strchr(at, '|') != NULL ? strchr(at, '|') + 1 : NULL) {
            memcpy(status, at, 3);
            if (!statement_has(info, status))
                fail_test("%s is told to answer %s, and its statement does not", info->name, status);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_openapi__results_are_the_columns_of_the_statements),
        cmocka_unit_test(test_openapi__statuses_are_those_of_the_statements),
    };

    return cmocka_run_group_tests(tests, database_server_start, database_server_stop);
}
