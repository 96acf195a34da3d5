/*
 * A resource with a field of every type, alone and in arrays, from the body of a request to the table and back.
 */
#include "tests/support/served.h"
#include "tests/support/test.h"

static struct served *served;

static int start(void **state)
{
    if (database_server_start(state) != 0)
        return -1;
    served = served_new(APPLICATION("gauge"));
    served_migrate(served);
    served_actors(served);
    served_importer(served);
    return 0;
}

static int stop(void **state)
{
    served_destroy(&served);
    return database_server_stop(state);
}

static int setup(void **state)
{
    (void)state;
    sql_exec(served->database->db, "SET timezone = 'UTC'; TRUNCATE reading");
    return 0;
}

static const struct reply *must(const struct reply *reply)
{
    if (reply->kind != MR_REPLY)
        fail_test("%s: %s %s", mr_status_name(reply->status), reply->field, reply->text);
    return reply;
}

static const struct reply *post(const char *body)
{
    return must(served_call(served, MR_VERB_POST, "/v1/readings", ANN, NULL, body));
}

static const char *path_of(const struct reply *reply)
{
    static char path[64];

    snprintf(path, sizeof path, "/v1/readings/%s", reply_text(reply, NULL, "id"));
    return path;
}

/* Each of `parts`, ended by NULL, stands in the text of the answer. */
static void assert_holds(const struct reply *reply, const char *const *parts)
{
    for (; *parts != NULL; parts++)
        if (strstr(reply->json, *parts) == NULL)
            fail_test("%s is not in %s", *parts, reply->json);
}

#define FULL                                                                                                                        \
    "{\"code\":\"AB-1\",\"amount\":12345678901234567890123456789.000123,\"price\":99999999999999999999.99,\"share\":0.1,"           \
    "\"day\":\"0001-01-01\",\"at\":\"2027-01-31T01:00:00+01:00\",\"details\":{\"b\":[1.10,\"x\\\"\"],\"a\":12345678901234567890.50}," \
    "\"source\":\"019108f7-52d1-7320-9bac-f847db4148a8\",\"good\":false,\"count\":-7,"                                              \
    "\"words\":[\"a,b\",\"\",\"{\\\"}\\\\\",\"NULL\",\"\\u00e9\"],\"amounts\":[1.5,-0.0,12345678901234567890.5],\"shares\":[1e300,0.1]," \
    "\"days\":[\"9999-12-31\"],\"times\":[\"2027-01-31\"],\"parts\":[{\"a\":\"]\"},null,1.10],"                                      \
    "\"sources\":[\"019108f7-52d1-7320-9bac-f847db4148a8\"],\"flags\":[],\"counts\":[9223372036854775806,-1],\"doubled\":1}"

static const char *const full_parts[] = {
    "\"code\":\"AB-1\"", "\"amount\":12345678901234567890123456789.000123,", "\"price\":99999999999999999999.99,", "\"share\":0.1,",
    "\"day\":\"0001-01-01\"", "\"at\":\"2027-01-31T00:00:00.000Z\"", "\"details\":{\"a\": 12345678901234567890.50, \"b\": [1.10, \"x\\\"\"]}",
    "\"source\":\"019108f7-52d1-7320-9bac-f847db4148a8\"", "\"good\":false", "\"count\":-7", "\"words\":[\"a,b\",\"\",\"{\\\"}\\\\\",\"NULL\",\"\xc3\xa9\"]",
    "\"amounts\":[1.5,0,12345678901234567890.5]", "\"shares\":[1e+300,0.1]", "\"days\":[\"9999-12-31\"]", "\"times\":[\"2027-01-31T00:00:00.000Z\"]",
    "\"parts\":[{\"a\": \"]\"},null,1.10]", "\"sources\":[\"019108f7-52d1-7320-9bac-f847db4148a8\"]", "\"flags\":[]", "\"counts\":[9223372036854775806,-1]",
    "\"doubled\":24691357802469135780246913578.000246,", NULL};

/* Each value is the one that a create makes of it. */
static void test_typed__an_imported_row_is_as_one_that_was_created(void **state)
{
    (void)state;
    post(FULL);
    post("{\"code\":\"A-1\"}");
    assert_string_equal(served_imported(served, "reading_import", ANN, false, FULL "\n{\"code\":\"A-1\"}\n{\"code\":\"no\",\"price\":0.001,\"days\":[\"x\"]}"),
                        "succeeded 2 1; 3 code must match [A-Z]+-[0-9]+; 3 price must have at most 2 digits after the point;"
                        " 3 days[0] must be a date (RFC 3339), as 2027-01-31");
    assert_int_equal(sql_number(served->database->db, "SELECT count(*) FROM reading"), 4);
    assert_int_equal(sql_number(served->database->db, "SELECT count(DISTINCT to_jsonb(r) - '{id,created_at,updated_at}'::text[]) FROM reading r"), 2);
    assert_string_equal(sql_text(served->database->db, "SELECT string_agg(DISTINCT price || ' ' || (details -> 'a' ->> 0), ', ') FROM reading WHERE code = 'A-1'"),
                        "0.50 1.10");
}

static void test_typed__a_row_comes_back_as_it_was_sent(void **state)
{
    const struct reply *made = post(FULL);

    (void)state;
    assert_holds(made, full_parts);
    assert_holds(must(served_call(served, MR_VERB_GET, path_of(made), NOBODY, NULL, "")), full_parts);
    assert_int_equal(sql_number(served->database->db, "SELECT count(*) FROM reading WHERE amount = 12345678901234567890123456789.000123"
                                                      " AND share = 0.1 AND words[3] = '{\"}\\' AND parts[2] = 'null' AND cardinality(flags) = 0"), 1);
}

static void test_typed__what_is_left_out_has_its_default_or_none(void **state)
{
    static const char *const parts[] = {"\"price\":0.50,", "\"details\":{\"a\": [1.10]}", "\"good\":true", "\"count\":3,", "\"flags\":[true,false]", NULL};
    const struct reply *made = post("{\"code\":\"A-1\"}");

    (void)state;
    assert_holds(made, parts);
    for (const char *const *name = (const char *const[]){"amount", "share", "day", "at", "source", "words", "amounts", "parts", "counts", "doubled", NULL};
         *name != NULL; name++)
        assert_null(json_object_get(made->body, *name));
}

static void test_typed__null_clears_and_silence_keeps(void **state)
{
    static const char *const kept[] = {"\"share\":0.1,", "\"amounts\":[1.5,0,12345678901234567890.5]", "\"details\":{\"a\": 12345678901234567890.50,", NULL};
    static const char *const changed[] = {"\"details\":[2.50]", "\"words\":[]", "\"amount\":0.5,", NULL};
    const struct reply *made = post(FULL);
    char path[64];
    const struct reply *reply;

    (void)state;
    snprintf(path, sizeof path, "%s", path_of(made));
    reply = must(served_call(served, MR_VERB_PATCH, path, ANN, NULL,
                             "{\"amount\":null,\"day\":null,\"words\":null,\"parts\":null,\"source\":null,\"counts\":null}"));
    for (const char *const *name = (const char *const[]){"amount", "day", "words", "parts", "source", "counts", "doubled", NULL}; *name != NULL; name++)
        assert_null(json_object_get(reply->body, *name));
    assert_holds(reply, kept);
    reply = must(served_call(served, MR_VERB_PATCH, path, ANN, NULL, "{\"details\":[2.50],\"words\":[],\"amount\":5e-1}"));
    assert_holds(reply, changed);
    reply = must(served_call(served, MR_VERB_PATCH, path, ANN, NULL, "{\"details\":null,\"amounts\":null}"));
    assert_null(json_object_get(reply->body, "details"));
    assert_null(json_object_get(reply->body, "amounts"));
}

/* Messages with and without a value share a batch, and each has its own. */
static void test_typed__a_batch_keeps_them_apart(void **state)
{
    mr_db *holder = database_connect(served->database);
    unsigned sent[8];
    char expected[64];

    (void)state;
    sql_exec(holder, "BEGIN; LOCK TABLE reading");
    for (unsigned i = 0; i < 8; i++) {
        char body[160];

        snprintf(body, sizeof body, i % 2 == 0 ? "{\"code\":\"A-%u\",\"amount\":%u.50,\"words\":[\"w%u\"]}" : "{\"code\":\"A-%u\"}", i, i, i);
        sent[i] = served_send(served, MR_VERB_POST, "/v1/readings", ANN, NULL, body);
    }
    sql_exec(holder, "COMMIT");
    mr_db_destroy(&holder);
    for (unsigned i = 0; i < 8; i++) {
        const struct reply *reply = must(driver_await(served->driver, sent[i]));

        snprintf(expected, sizeof expected, "\"amount\":%u.5,", i);
        assert_int_equal(strstr(reply->json, expected) != NULL, i % 2 == 0);
        snprintf(expected, sizeof expected, "\"words\":[\"w%u\"]", i);
        assert_int_equal(strstr(reply->json, expected) != NULL, i % 2 == 0);
    }
}

/* Its maker would have to ask for it: a value that JSON cannot say is left out, alone, and the row is there. */
static void test_typed__a_value_that_json_cannot_say_is_left_out(void **state)
{
    static const char *const parts[] = {"\"code\":\"A-1\"", "\"shares\":[null,0.5]", "\"good\":true", NULL};
    const struct reply *made = post("{\"code\":\"A-1\",\"share\":0.5,\"amount\":1,\"day\":\"2027-01-31\"}");
    const struct reply *reply;

    (void)state;
    sql_exec(served->database->db, "UPDATE reading SET share = 'NaN', amount = 'Infinity', day = 'infinity', shares = '{NaN,0.5}'");
    reply = must(served_call(served, MR_VERB_GET, path_of(made), NOBODY, NULL, ""));
    assert_holds(reply, parts);
    for (const char *const *name = (const char *const[]){"share", "amount", "day", "doubled", NULL}; *name != NULL; name++)
        assert_null(json_object_get(reply->body, *name));
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_typed__a_row_comes_back_as_it_was_sent),
        TEST(test_typed__an_imported_row_is_as_one_that_was_created),
        TEST(test_typed__what_is_left_out_has_its_default_or_none),
        TEST(test_typed__null_clears_and_silence_keeps),
        TEST(test_typed__a_batch_keeps_them_apart),
        TEST(test_typed__a_value_that_json_cannot_say_is_left_out),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
