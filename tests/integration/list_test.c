/*
 * The lists of an application's resources, as messages: walks, pages, filters and words, each against what plain SQL says.
 */
#include <stdlib.h>

#include "application/build.h"
#include "proto/uuid.h"
#include "tests/support/driver.h"
#include "tests/support/fixture.h"
#include "tests/support/folder.h"
#include "tests/support/test.h"

enum { ROWS = 1000 };

static const char thing[] = "path: /v1/things\n"
                            "owner: user_id\n"
                            "fields:\n"
                            "  code:  {type: text, required: true, length: 0..40}\n"
                            "  name:  {type: text, clearable: true, length: 0..200}\n"
                            "  about: {type: text, clearable: true, length: 0..65536}\n"
                            "  rank:  {type: integer, clearable: true}\n"
                            "  due:   {type: timestamp, clearable: true}\n"
                            "  done:  {type: boolean, default: false}\n"
                            "  price: {type: decimal, scale: 2, clearable: true}\n"
                            "  day:   {type: date, clearable: true}\n"
                            "  mass:  {type: number, clearable: true}\n"
                            "  shelf: {type: text, column: shelf_code, references: shelf.code, embed: {as: where, columns: [code, label]}}\n"
                            "  kind:  {type: text, required: true, length: 1..9, column: kind_code, references: kind.code}\n"
                            "list:\n"
                            "  sort:   [-createdAt, code, -name, rank, due, done, price, day, mass, id, urgency: kind.weight]\n"
                            "  filter: {done: '=', rankFrom: 'rank >=', shelf: '=', notRank: 'rank !=', dueBefore: 'due <', priceUpTo: 'price <=', from: 'day >='}\n"
                            "  search: [name, about]\n"
                            "  total:  thing_total\n";
static const char kind[] = "path: /v1/kinds\n"
                           "access: public\n"
                           "fields:\n"
                           "  code:   {type: text, required: true, length: 1..9}\n"
                           "  weight: {type: integer, required: true}\n"
                           "operations: []\n";
static const char total[] = "-- name: thing_total\n"
                            "SELECT sum(items) FROM thing_count WHERE user_id = :caller;\n";
static const char shelf[] = "path: /v1/shelves\n"
                            "access: {read: public, write: admin}\n"
                            "fields:\n"
                            "  code:  {type: text, required: true, length: 1..32, unique: true}\n"
                            "  label: {type: text, required: true, length: 1..100}\n"
                            "list: {sort: [label], filter: {label: '='}, search: [label]}\n"
                            "cache: 10m\n";
static const char tables[] =
    "CREATE TABLE shelf (id uuid PRIMARY KEY, version bigint NOT NULL DEFAULT 1, code text NOT NULL UNIQUE, label text NOT NULL,"
    " created_at timestamptz NOT NULL DEFAULT clock_timestamp(), updated_at timestamptz NOT NULL DEFAULT clock_timestamp());"
    "CREATE TABLE kind (code text PRIMARY KEY, weight integer NOT NULL);"
    "CREATE INDEX ON kind (weight);"
    "INSERT INTO kind VALUES ('K1', 3), ('K2', -1), ('K3', 3), ('K4', 2000000000);"
    "CREATE TABLE thing_count (user_id uuid, items bigint NOT NULL); CREATE INDEX ON thing_count (user_id);"
    "CREATE TABLE thing (id uuid PRIMARY KEY, version bigint NOT NULL DEFAULT 1, user_id uuid NOT NULL, code text COLLATE \"C\" NOT NULL,"
    " name varchar(200), about text, rank integer, price numeric(9, 2), day date, mass float8, due timestamptz, done boolean NOT NULL DEFAULT false, shelf_code text REFERENCES shelf (code), kind_code text NOT NULL DEFAULT 'K1' REFERENCES kind (code),"
    " created_at timestamptz NOT NULL DEFAULT clock_timestamp(), updated_at timestamptz NOT NULL DEFAULT clock_timestamp());"
    "CREATE INDEX ON shelf (label, id);"
    "CREATE INDEX ON thing (user_id, created_at, id); CREATE INDEX ON thing (user_id, code, id); CREATE INDEX ON thing (user_id, name, id);"
    "CREATE INDEX ON thing (user_id, rank, id); CREATE INDEX ON thing (user_id, due, id); CREATE INDEX ON thing (user_id, done, id); CREATE INDEX ON thing (user_id, price, id);"
    "CREATE INDEX ON thing (user_id, day, id); CREATE INDEX ON thing (user_id, mass, id);"
    "CREATE INDEX ON thing (user_id, id); CREATE INDEX ON thing (user_id, shelf_code, id); CREATE INDEX ON thing (user_id, kind_code, id);";

struct state {
    struct folder folder;
    struct mr_application *application;
    struct mr_built *built;
    struct fixture *fixture;
    uint8_t other[16];
    char other_text[MR_UUID_TEXT + 1];
};

static struct mr_problems problems;

static void serve(struct state *self)
{
    mr_status status;
    struct mr_buf told = {0};

    folder_make(&self->folder);
    folder_write(&self->folder, "resources/thing.yaml", thing);
    folder_write(&self->folder, "resources/shelf.yaml", shelf);
    folder_write(&self->folder, "resources/kind.yaml", kind);
    folder_write(&self->folder, "queries/thing.sql", total);
    self->application = folder_load(self->folder.path, &problems);
    status = mr_application_build(&self->built, self->application, &problems);
    mr_problems_print(&problems, &told);
    if (status != MR_OK)
        fail_test("%s: %.*s", mr_status_name(status), (int)told.len, told.data);
    mr_buf_fini(&told);
    mr_built_install(self->built);
}

/* The text of a list's index of words, as the statements have it. */
static void make_words_index(struct state *self)
{
    char *text = mr_statement_text(mr_statement_find("thing_list/walk/code/q"));
    char *from = strstr(text, "(to_tsvector(");
    char *to = strstr(text, " @@ ");

    assert_non_null(from);
    assert_non_null(to);
    *to = '\0';
    for (char *at = strstr(from, "\"t\"."); at != NULL; at = strstr(at, "\"t\"."))
        memset(at, ' ', 4);
    sql_exec(self->fixture->database->db, "CREATE INDEX thing_words ON thing USING gin (%s)", from);
    free(text);
}

/* Rows with ties and gaps in everything they can be in the order of, of two owners. */
static void fill(struct state *self, unsigned rows)
{
    sql_exec(self->fixture->database->db, "%s", tables);
    make_words_index(self);
    sql_exec(self->fixture->database->db,
             "INSERT INTO shelf (id, code, label) SELECT gen_random_uuid(), 'S' || i, 'shelf ' || i / 3 FROM generate_series(1, 20) i;"
             "INSERT INTO thing (id, user_id, code, name, about, rank, due, done, price, day, mass, shelf_code, kind_code, created_at)"
             " SELECT lpad(to_hex(i * 7919 %% 1000003), 32, '0')::uuid, CASE WHEN i %% 2 = 0 THEN '%s' ELSE '%s' END::uuid,"
             "        CASE WHEN i %% 13 = 0 THEN '' ELSE chr(65 + i %% 50) || 'é' END, CASE WHEN i %% 5 > 1 THEN 'name ' || i %% 40 END,"
             "        CASE WHEN i %% 3 = 0 THEN 'word' || i %% 7 || ', and path/to/' || i END,"
             "        CASE WHEN i %% 7 > 0 THEN i %% 30 - 10 END,"
             "        CASE i %% 11 WHEN 0 THEN NULL WHEN 1 THEN timestamptz 'infinity' WHEN 2 THEN timestamptz '-infinity'"
             "        ELSE timestamptz '2027-01-01' + (i %% 100) * interval '1.000001 s' END,"
             "        i %% 4 = 0, CASE WHEN i %% 6 > 0 THEN (i %% 17 - 3) / 4.0 END,"
             "        CASE i %% 8 WHEN 0 THEN NULL WHEN 1 THEN date 'infinity' WHEN 2 THEN date '-infinity' ELSE date '1969-12-20' + i %% 20 END,"
             "        CASE WHEN i %% 10 > 0 THEN (i %% 23 - 7) / 3.0::float8 END, CASE WHEN i %% 9 > 0 THEN 'S' || 1 + i %% 20 END, 'K' || 1 + i / 5 %% 4, timestamptz '2027-01-01' + (i / 3) * interval '1.000001 s'"
             "   FROM generate_series(1, %u) i;"
             "INSERT INTO thing_count SELECT user_id, count(*) FROM thing GROUP BY 1;"
             "ANALYZE thing; ANALYZE shelf; ANALYZE kind",
             self->fixture->user_text, self->other_text, 2 * rows);
}

/* One database for all of them: each leaves it as it was. */
static int setup(void **state)
{
    struct state *self = calloc(1, sizeof *self);
    void *fixture;

    database_server_start(state);
    serve(self);
    fixture_setup(&fixture);
    self->fixture = fixture;
    make_user(self->fixture->database->db, 2, self->other);
    mr_uuid_format(self->other_text, self->other);
    fill(self, ROWS);
    *state = self;
    return 0;
}

static int teardown(void **state)
{
    struct state *self = *state;
    void *fixture = self->fixture;

    fixture_teardown(&fixture);
    mr_built_install(NULL);
    mr_built_destroy(&self->built);
    mr_application_destroy(&self->application);
    folder_remove(&self->folder);
    free(self);
    return database_server_stop(state);
}

/* ---- Messages ---- */

/* "sort=-rank&limit=7": as the gateway reads it, fallbacks included. */
static void read_values(struct mr_value out[MR_FIELDS_MAX], enum mr_op op, const uint8_t *user, char *query)
{
    const struct mr_field *fields = mr_op_info(op)->traits->fields;
    struct mr_problem problem;

    memset(out, 0, MR_FIELDS_MAX * sizeof *out);
    for (unsigned i = 0; fields[i].name != NULL; i++) {
        if (fields[i].from == MR_TOKEN_USER)
            set_id(&out[i], user);
        else if (fields[i].fallback != NULL)
            assert_true(mr_field_parse(&fields[i], mr_slice_of(fields[i].fallback), &out[i], &problem));
    }
    for (char *rest = NULL, *part = strtok_r(query, "&", &rest); part != NULL; part = strtok_r(NULL, "&", &rest)) {
        char *value = strchr(part, '=');
        int field;

        *value++ = '\0';
        field = mr_field_index(op, part);
        if (field < 0 || !mr_field_parse(&fields[field], mr_slice_of(value), &out[field], &problem))
            fail_test("%s=%s: %s", part, value, field < 0 ? "no such parameter" : problem.message);
    }
}

static unsigned send(struct state *self, const char *list, const uint8_t *user, const char *query)
{
    struct mr_value values[MR_FIELDS_MAX];
    enum mr_op op = op_named(list);
    char *copy = strdup(query);
    unsigned id;

    read_values(values, op, user, copy);
    id = driver_send(self->fixture->driver, op, values, user);
    free(copy);
    return id;
}

static const struct reply *ask(struct state *self, const char *list, const char *query)
{
    return driver_await(self->fixture->driver, send(self, list, self->fixture->user, query));
}

/* Appends the ids of a list, in its order. */
static unsigned add_ids(struct mr_buf *out, const json_t *array)
{
    size_t index;
    json_t *item;

    assert_true(json_is_array(array));
    json_array_foreach(array, index, item)
    {
        mr_buf_printf(out, "%s'%s'", out->len > 0 ? "," : "", json_string_value(json_object_get(item, "id")));
    }
    return (unsigned)json_array_size(array);
}

/* Follows a list to its end; the number of answers. */
static unsigned walk(struct state *self, const char *list, const char *query, unsigned limit, struct mr_buf *ids)
{
    char cursor[512] = "";
    unsigned answers = 0;

    do {
        char whole[1024];
        const struct reply *reply;
        unsigned count;

        snprintf(whole, sizeof whole, "limit=%u%s%s%s%s", limit, query[0] != '\0' ? "&" : "", query, cursor[0] != '\0' ? "&cursor=" : "",
                 cursor);
        reply = ask(self, list, whole);
        assert_int_equal(reply->kind, MR_REPLY);
        count = add_ids(ids, reply->body);
        snprintf(cursor, sizeof cursor, "%s", reply->next);
        if (count > limit || (cursor[0] != '\0' && count != limit))
            fail_test("%s: %u of %u", whole, count, limit);
        answers++;
    } while (cursor[0] != '\0');
    return answers;
}

/* Holds ids against the table: all rows of `where`, in that order. */
static void check_ids(struct state *self, const struct mr_buf *ids, const char *where, const char *order, const char *told)
{
    int64_t found = sql_number(self->fixture->database->db,
                               "SELECT count(*) FROM unnest(ARRAY[%.*s]::uuid[]) WITH ORDINALITY AS a (id, n)"
                               " FULL JOIN (SELECT id, row_number() OVER (ORDER BY %s) AS n FROM thing WHERE %s) AS e USING (id)"
                               " WHERE a.n IS DISTINCT FROM e.n",
                               (int)ids->len, ids->len > 0 ? ids->data : "", order, where);

    if (found != 0)
        fail_test("%s: %lld rows are not where they belong", told, (long long)found);
}

static const struct order {
    const char *sort, *by;
} orders[] = {
    {"-createdAt", "created_at DESC, id DESC"},
    {"createdAt", "created_at, id"},
    {"code", "code, id"},
    {"-code", "code DESC, id DESC"},
    {"name", "name IS NULL, name, id"},
    {"-name", "name IS NULL, name DESC, id DESC"},
    {"rank", "rank IS NULL, rank, id"},
    {"-rank", "rank IS NULL, rank DESC, id DESC"},
    {"due", "due IS NULL, due, id"},
    {"-due", "due IS NULL, due DESC, id DESC"},
    {"price", "price IS NULL, price, id"},
    {"-price", "price IS NULL, price DESC, id DESC"},
    {"day", "day IS NULL, day, id"},
    {"-day", "day IS NULL, day DESC, id DESC"},
    {"mass", "mass IS NULL, mass, id"},
    {"-mass", "mass IS NULL, mass DESC, id DESC"},
    {"done", "done, id"},
    {"-done", "done DESC, id DESC"},
    {"id", "id"},
    {"-id", "id DESC"},
    {"urgency", "(SELECT weight FROM kind WHERE kind.code = kind_code), id"},
    {"-urgency", "(SELECT weight FROM kind WHERE kind.code = kind_code) DESC, id DESC"},
};

static void test_list__a_walk_meets_every_row_once_in_every_order(void **state)
{
    struct state *self = *state;
    char where[80];

    snprintf(where, sizeof where, "user_id = '%s'", self->fixture->user_text);
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        struct mr_buf ids = {0};
        char query[64];

        snprintf(query, sizeof query, "sort=%s", orders[i].sort);
        assert_int_equal(walk(self, "thing_list", query, 50, &ids), ROWS / 50);
        check_ids(self, &ids, where, orders[i].by, query);
        mr_buf_fini(&ids);
    }
}

static void test_list__a_plain_list_is_as_long_as_it_may_be(void **state)
{
    struct state *self = *state;
    const struct reply *reply = ask(self, "thing_list", "sort=rank");

    assert_int_equal(json_array_size(reply->body), ROWS);
    assert_string_equal(reply->next, "");
    sql_exec(self->fixture->database->db, "INSERT INTO thing (id, user_id, code) VALUES (gen_random_uuid(), '%s', 'x')",
             self->fixture->user_text);
    reply = ask(self, "thing_list", "sort=rank");
    sql_exec(self->fixture->database->db, "DELETE FROM thing WHERE code = 'x'");
    assert_int_equal(json_array_size(reply->body), ROWS);
    assert_string_not_equal(reply->next, "");
}

static void test_list__pages_have_their_rows_and_the_total(void **state)
{
    struct state *self = *state;
    char where[80];

    snprintf(where, sizeof where, "user_id = '%s'", self->fixture->user_text);
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        struct mr_buf ids = {0};
        char query[64];

        for (unsigned page = 1; page <= 11; page++) {
            const struct reply *reply;
            json_t *told;

            snprintf(query, sizeof query, "page=%u&pageSize=100&sort=%s", page, orders[i].sort);
            reply = ask(self, "thing_list", query);
            told = json_object_get(reply->body, "pagination");
            assert_int_equal(add_ids(&ids, json_object_get(reply->body, "data")), page <= 10 ? 100 : 0);
            assert_int_equal(json_integer_value(json_object_get(told, "totalItems")), ROWS);
            assert_int_equal(json_integer_value(json_object_get(told, "totalPages")), 10);
            assert_int_equal(json_integer_value(json_object_get(told, "page")), page);
        }
        check_ids(self, &ids, where, orders[i].by, query);
        mr_buf_fini(&ids);
    }
}

static int64_t total_of(struct state *self, const char *query)
{
    return json_integer_value(json_object_get(json_object_get(ask(self, "thing_list", query)->body, "pagination"), "totalItems"));
}

static void test_list__an_application_knows_the_total_of_what_is_not_narrowed(void **state)
{
    struct state *self = *state;
    int64_t done = sql_number(self->fixture->database->db, "SELECT count(*) FROM thing WHERE done AND user_id = '%s'",
                              self->fixture->user_text);

    sql_exec(self->fixture->database->db, "INSERT INTO thing_count VALUES ('%s', -923)", self->fixture->user_text);
    assert_int_equal(total_of(self, "page=1"), ROWS - 923);
    assert_int_equal(total_of(self, "page=3&pageSize=100&sort=-rank"), ROWS - 923);
    assert_int_equal(total_of(self, "page=1&done=true"), done);
    assert_int_not_equal(total_of(self, "page=1&q=word1"), ROWS - 923);
    sql_exec(self->fixture->database->db, "DELETE FROM thing_count WHERE items < 0 OR user_id = '%s'", self->fixture->user_text);
    assert_int_equal(total_of(self, "page=1"), 0);
    sql_exec(self->fixture->database->db, "INSERT INTO thing_count VALUES ('%s', %d)", self->fixture->user_text, (int)ROWS);
}

/* Alone, in pairs, all together, and with words; walked and by pages. */
static void test_list__filters_leave_what_they_should(void **state)
{
    static const struct {
        const char *query, *where;
    } cases[] = {
        {"done=true", "done"},
        {"done=false", "NOT done"},
        {"shelf=S3", "shelf_code = 'S3'"},
        {"shelf=nowhere", "false"},
        {"rankFrom=12", "rank >= 12"},
        {"rankFrom=99999999999", "false"},
        {"notRank=3", "rank IS DISTINCT FROM 3"},
        {"dueBefore=2027-01-01T00:00:10Z", "due < '2027-01-01T00:00:10Z'"},
        {"priceUpTo=0.25", "price <= 0.25"},
        {"from=1970-01-02", "day >= '1970-01-02'"},
        {"priceUpTo=1&done=true", "price <= 1 AND done"},
        {"done=true&shelf=S5", "done AND shelf_code = 'S5'"},
        {"rankFrom=0&dueBefore=2027-01-02", "rank >= 0 AND due < '2027-01-02'"},
        {"done=false&notRank=1&rankFrom=0", "NOT done AND rank <> 1 AND rank >= 0"},
        {"done=false&notRank=1&rankFrom=0&shelf=S2&dueBefore=2027-01-02",
         "NOT done AND rank <> 1 AND rank >= 0 AND shelf_code = 'S2' AND due < '2027-01-02'"},
        {"q=word3", "about LIKE '%word3,%'"},
        {"q=PATH to", "about LIKE '%path/to%'"},
        {"q=name.7", "name = 'name 7'"},
        {"q=word3&done=true&rankFrom=1", "about LIKE '%word3,%' AND done AND rank >= 1"},
        {"q=nobody", "false"},
    };
    static const size_t some[] = {0, 5, 6, 9};
    struct state *self = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t j = 0; j < sizeof some / sizeof some[0]; j++) {
            const struct order *order = &orders[some[j]];
            const struct reply *reply;
            struct mr_buf ids = {0};
            char where[512];
            char query[512];

            snprintf(where, sizeof where, "user_id = '%s' AND %s", self->fixture->user_text, cases[i].where);
            snprintf(query, sizeof query, "%s&sort=%s", cases[i].query, order->sort);
            walk(self, "thing_list", query, 100, &ids);
            check_ids(self, &ids, where, order->by, query);
            snprintf(query, sizeof query, "%s&sort=%s&page=1&pageSize=100", cases[i].query, order->sort);
            reply = ask(self, "thing_list", query);
            assert_int_equal(json_integer_value(json_object_get(json_object_get(reply->body, "pagination"), "totalItems")),
                             sql_number(self->fixture->database->db, "SELECT count(*) FROM thing WHERE %s", where));
            mr_buf_fini(&ids);
        }
}

static void test_list__rows_of_others_are_not_there(void **state)
{
    static const char *const queries[] = {"limit=100", "limit=100&sort=rank", "page=1&pageSize=100", "limit=100&q=path",
                                          "limit=100&done=false"};
    struct state *self = *state;

    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        unsigned ids[16];

        for (unsigned n = 0; n < 16; n++)
            ids[n] = send(self, "thing_list", n % 2 == 0 ? self->fixture->user : self->other, queries[i]);
        for (unsigned n = 0; n < 16; n++) {
            const struct reply *reply = driver_await(self->fixture->driver, ids[n]);
            const json_t *rows = json_is_array(reply->body) ? reply->body : json_object_get(reply->body, "data");
            struct mr_buf found = {0};

            assert_int_equal(reply->kind, MR_REPLY);
            assert_int_equal(add_ids(&found, rows), json_array_size(rows));
            assert_true(json_array_size(rows) > 10);
            assert_int_equal(sql_number(self->fixture->database->db, "SELECT count(*) FROM thing WHERE id IN (%.*s) AND user_id <> '%s'",
                                        (int)found.len, found.data, n % 2 == 0 ? self->fixture->user_text : self->other_text),
                             0);
            mr_buf_fini(&found);
        }
    }
}

static void test_list__who_is_gone_is_told_so(void **state)
{
    static const char *const queries[] = {"limit=10", "page=1", "q=path", "done=true&rankFrom=1"};
    struct state *self = *state;
    uint8_t nobody[16];

    make_id(nobody, 1, 77);
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        const struct reply *reply = driver_await(self->fixture->driver, send(self, "thing_list", nobody, queries[i]));

        assert_int_equal(reply->kind, MR_ERROR);
        assert_int_equal(mr_status_http(reply->status), 401);
    }
}

static void test_list__everybody_s_rows_need_nobody(void **state)
{
    struct state *self = *state;
    const struct reply *reply = ask(self, "shelf_list", "limit=5");
    const json_t *first = json_array_get(reply->body, 0);

    assert_int_equal(json_array_size(reply->body), 5);
    assert_string_equal(json_string_value(json_object_get(first, "label")), "shelf 0");
    assert_int_equal(json_object_size(first), 5);
    reply = ask(self, "shelf_list", "page=2&pageSize=15");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(reply->body, "pagination"), "totalItems")), 20);
    assert_int_equal(json_array_size(json_object_get(reply->body, "data")), 5);
    assert_int_equal(mr_op_info(op_named("shelf_list"))->traits->cache_s, 600);
}

static void test_list__a_row_has_what_it_embeds(void **state)
{
    struct state *self = *state;
    const json_t *first = json_array_get(ask(self, "thing_list", "limit=1&shelf=S3")->body, 0);
    const json_t *where = json_object_get(first, "where");

    assert_string_equal(json_string_value(json_object_get(first, "shelf")), "S3");
    assert_string_equal(json_string_value(json_object_get(where, "code")), "S3");
    assert_string_equal(json_string_value(json_object_get(where, "label")), "shelf 1");
}

/* Forty rows of 200 kB: the actor cuts at a mebibyte, and no row is lost or met twice. */
static void test_list__long_rows_end_an_answer(void **state)
{
    struct state *self = *state;
    const char *queries[] = {"sort=code&q=giant", "sort=code&rankFrom=1000", "sort=code&rankFrom=1000&notRank=3"};
    char where[120];

    sql_exec(self->fixture->database->db,
             "INSERT INTO thing (id, user_id, code, name, about, rank)"
             " SELECT gen_random_uuid(), '%s', 'giant', 'giant', repeat(chr(128512), 50000), 1000 FROM generate_series(1, 40)",
             self->fixture->user_text);
    snprintf(where, sizeof where, "user_id = '%s' AND rank = 1000", self->fixture->user_text);
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        struct mr_buf ids = {0};
        char cursor[512] = "";
        unsigned answers = 0;

        do {
            char whole[1024];
            const struct reply *reply;

            snprintf(whole, sizeof whole, "%s%s%s", queries[i], cursor[0] != '\0' ? "&cursor=" : "", cursor);
            reply = ask(self, "thing_list", whole);
            assert_int_equal(reply->kind, MR_REPLY);
            assert_in_range(add_ids(&ids, reply->body), 1, 5);
            snprintf(cursor, sizeof cursor, "%s", reply->next);
            answers++;
        } while (cursor[0] != '\0');
        assert_int_equal(answers, 8);
        check_ids(self, &ids, where, "code, id", queries[i]);
        mr_buf_fini(&ids);
    }
    sql_exec(self->fixture->database->db, "DELETE FROM thing WHERE code = 'giant'");
}

/* The greatest and the least that proto/cursor.h lets pass are no errors of SQL. */
static void test_list__no_cursor_is_an_error_of_the_statement(void **state)
{
    static const struct {
        const char *sort, *key;
    } cases[] = {{"rank", "9223372036854775807"},    {"rank", "-9223372036854775808"},   {"due", "9223371331199999999"},
                 {"due", "-210866803200000000"},     {"due", "9223372036854775807"},     {"-due", "-9223372036854775808"},
                 {"done", "0"},                      {"done", "1"},
                 {"price", "-0.25"},                 {"price", "NaN"},
                 {"day", "2145031948"},              {"day", "-2440588"},
                 {"day", "2147483647"},              {"mass", "5e-324"},
                 {"mass", "-Infinity"},                      {"code", ""},
                 {"name", "\xf0\x9f\x98\x80'\"\\%s"}, {"id", NULL},                      {"rank", NULL}};
    static const uint8_t ids[2][16] = {{0}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
    struct state *self = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t j = 0; j < 2; j++) {
            struct mr_buf query = {0};
            struct mr_slice key = mr_slice_of(cases[i].key != NULL ? cases[i].key : "");
            const struct mr_field *cursor;
            char *digits;

            mr_buf_printf(&query, "sort=%s&cursor=", cases[i].sort);
            mr_cursor_write(&query, ids[j], cases[i].key != NULL ? &key : NULL);
            mr_buf_char(&query, '\0');
            digits = strrchr(query.data, '=') + 1;
            cursor = &mr_op_info(op_named("thing_list"))->traits->fields[mr_field_index(op_named("thing_list"), "cursor")];
            assert_true(mr_cursor_is_good(
                mr_slice_of(digits), cursor->keys[mr_field_choice(
                                         &mr_op_info(op_named("thing_list"))->traits->fields[mr_field_index(op_named("thing_list"), "sort")],
                                         mr_slice_of(cases[i].sort))]));
            assert_int_equal(ask(self, "thing_list", query.data)->kind, MR_REPLY);
            mr_buf_fini(&query);
        }
}

/* NULL for each parameter of a list's statement. */
static void add_nothing(struct mr_buf *out, const struct mr_field *fields)
{
    for (unsigned i = 0; fields[i].name != NULL; i++)
        mr_buf_printf(out, "%sNULL", i > 0 ? ", " : "");
}

static void check_plan(mr_db *db, const char *statement, bool in_order)
{
    char *text = mr_statement_text(mr_statement_find(statement));
    struct mr_buf nothing = {0};
    struct mr_buf told = {0};
    mr_rows *rows = NULL;

    add_nothing(&nothing, mr_op_info(op_named("thing_list"))->traits->fields);
    mr_buf_printf(&told, "PREPARE plan AS %s", text);
    mr_buf_char(&told, '\0');
    if (mr_db_exec(db, told.data, mr_mono_ms(&mr_system_clock) + 30000, NULL) != MR_OK)
        fail_test("%s: %s", statement, mr_db_last_error(db)->message);
    mr_buf_clear(&told, SIZE_MAX);
    mr_buf_printf(&told, "EXPLAIN (COSTS off) EXECUTE plan (%.*s)", (int)nothing.len, nothing.data);
    mr_buf_char(&told, '\0');
    if (mr_db_exec(db, told.data, mr_mono_ms(&mr_system_clock) + 30000, &rows) != MR_OK)
        fail_test("%s: %s", statement, mr_db_last_error(db)->message);
    mr_buf_clear(&told, SIZE_MAX);
    for (unsigned i = 0; i < mr_rows_count(rows); i++) {
        struct mr_slice line = {"", 0};

        mr_rows_get(rows, i, 0, &line);
        mr_buf_slice(&told, line);
        mr_buf_char(&told, '\n');
    }
    mr_buf_char(&told, '\0');
    mr_rows_free(&rows);
    if (strstr(told.data, "Seq Scan") != NULL || (in_order && strstr(told.data, "Sort Key") != NULL))
        fail_test("%s:\n%s", statement, told.data);
    sql_exec(db, "DEALLOCATE plan");
    mr_buf_fini(&told);
    mr_buf_fini(&nothing);
    free(text);
}

/* As an actor's connection plans them, before it has seen a value: none reads a whole table, and what shares a batch of sixteen sorts nothing. */
static void test_list__each_statement_reads_an_index(void **state)
{
    struct state *self = *state;
    struct mr_db_options options = {.config = &self->fixture->database->config,
                                    .clock = &mr_system_clock,
                                    .host = self->fixture->database->config.db_host,
                                    .application_name = "list_test",
                                    .set_wise = true};
    static const struct mr_statement *const none[] = {NULL};
    const struct mr_variant *variant = mr_op_info(op_named("thing_list"))->traits->variants;
    unsigned whole = 0;
    mr_db *db = NULL;

    assert_int_equal(mr_db_new(&db, &options, none), MR_OK);
    assert_int_equal(mr_db_connect(db), MR_OK);
    for (; variant->statement != NULL; variant++) {
        bool by_places = strstr(variant->statement, "urgency") != NULL; /* the few rows that a field references, and those of one of them */

        whole += variant->batch_max == 16;
        if (variant->batch_max == 16 || strchr(variant->statement, '+') == NULL)
            check_plan(db, variant->statement, variant->batch_max == 16 && variant->shape == MR_SHAPE_MANY && !by_places);
    }
    assert_true(whole > 30);
    mr_db_destroy(&db);
}

/* A batch is cancelled as a whole: who may have to pass over many rows does not keep strangers. */
static void test_list__what_no_index_promises_runs_alone(void **state)
{
    static const struct {
        const char *query, *statement;
        unsigned most;
    } cases[] = {
        {"limit=10", "thing_list/walk/-createdAt", 16},
        {"", "thing_list/walk/-createdAt/many", 4},
        {"limit=10&sort=rank&rankFrom=3", "thing_list/walk/rank/rankFrom", 16},
        {"limit=10&rankFrom=3", "thing_list/walk/-createdAt/rankFrom", 1},
        {"limit=10&done=true", "thing_list/walk/-createdAt/done", 4},
        {"limit=10&notRank=3&sort=rank", "thing_list/walk/rank/notRank", 1},
        {"limit=10&rankFrom=3&done=true", "thing_list/walk/-createdAt/done+rankFrom", 1},
        {"limit=10&rankFrom=3&done=true&shelf=S1", "thing_list/walk/-createdAt/done+shelf", 1},
        {"limit=10&q=word&done=true", "thing_list/walk/-createdAt/q", 1},
        {"limit=10&sort=urgency", "thing_list/walk/urgency", 16},
        {"limit=10&sort=-urgency&done=true", "thing_list/walk/-urgency/done", 1},
        {"page=1", "thing_list/page/-createdAt", 16},
        {"page=1&pageSize=100&sort=-code", "thing_list/page/-code/many", 1},
    };
    enum mr_op op = op_named("thing_list");

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static const uint8_t user[16];
        struct mr_value values[MR_FIELDS_MAX];
        char *copy = strdup(cases[i].query);
        const struct mr_variant *variant;

        read_values(values, op, user, copy);
        variant = mr_message_variant(op, values);
        assert_string_equal(variant->statement, cases[i].statement);
        assert_int_equal(variant->batch_max, cases[i].most);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list__a_walk_meets_every_row_once_in_every_order),
        cmocka_unit_test(test_list__a_plain_list_is_as_long_as_it_may_be),
        cmocka_unit_test(test_list__pages_have_their_rows_and_the_total),
        cmocka_unit_test(test_list__an_application_knows_the_total_of_what_is_not_narrowed),
        cmocka_unit_test(test_list__filters_leave_what_they_should),
        cmocka_unit_test(test_list__rows_of_others_are_not_there),
        cmocka_unit_test(test_list__who_is_gone_is_told_so),
        cmocka_unit_test(test_list__everybody_s_rows_need_nobody),
        cmocka_unit_test(test_list__a_row_has_what_it_embeds),
        cmocka_unit_test(test_list__long_rows_end_an_answer),
        cmocka_unit_test(test_list__no_cursor_is_an_error_of_the_statement),
        cmocka_unit_test(test_list__each_statement_reads_an_index),
        cmocka_unit_test(test_list__what_no_index_promises_runs_alone),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
