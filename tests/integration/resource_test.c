/*
 * The operations of a declared resource, by real actors on a real database: what holds for tasks holds for each of them.
 */
#include "proto/uuid.h"
#include "tests/support/served.h"
#include "tests/support/test.h"

/* One application, database and crew for all tests; each begins with empty tables. */
static struct served *served;

static int start(void **state)
{
    if (database_server_start(state) != 0)
        return -1;
    served = served_new(APPLICATION("library"));
    served_migrate(served);
    served_actors(served);
    return 0;
}

static int stop(void **state)
{
    served_destroy(&served);
    return database_server_stop(state);
}

static int setup(void **state)
{
    sql_exec(served->database->db,
             "DROP TRIGGER IF EXISTS swallowed ON book;"
             " TRUNCATE shelf, vault, seal, book, loan, remark, complaint, millrace.idempotency_key;"
             " INSERT INTO shelf (id, code, label) VALUES (gen_random_uuid(), 'A', 'Adventure'), (gen_random_uuid(), 'B', 'Botany');"
             " INSERT INTO vault (id, code) VALUES (gen_random_uuid(), 'V')");
    *state = served;
    return 0;
}

static const struct reply *post(void *state, const char *path, enum caller caller, const char *body)
{
    return served_call(state, MR_VERB_POST, path, caller, NULL, body);
}

static const struct reply *post_keyed(void *state, const char *path, enum caller caller, const char *key, const char *body)
{
    return served_call(state, MR_VERB_POST, path, caller, (headers){"Idempotency-Key", key}, body);
}

/* The path of what an answer holds, in static storage. */
static const char *path_of(const char *path, const struct reply *reply)
{
    static char out[4][128];
    static unsigned next;
    char *room = out[next++ % 4];

    assert_int_equal(reply->kind, MR_REPLY);
    snprintf(room, sizeof out[0], "%s/%s", path, reply_text(reply, NULL, "id"));
    return room;
}

static int64_t count(void *state, const char *table)
{
    return sql_number(((struct served *)state)->database->db, "SELECT count(*) FROM %s", table);
}

/* Keeps the writer inside a statement, so that what is sent meanwhile waits and becomes one batch: a complaint, whose table is locked. */
static mr_db *plug(struct served *self)
{
    mr_db *holder = database_connect(self->database);

    sql_exec(holder, "BEGIN; LOCK TABLE complaint");
    served_send(self, MR_VERB_POST, "/v1/complaints", NOBODY, NULL, "{\"words\":\"plug\"}");
    eventually(backend_pid(self->database->db, driver_actor(self->driver, MR_OP_profile_update)->name, true) != 0);
    return holder;
}

/* Lets it go on, and waits for all answers; what waited was one batch. */
static void pull(struct served *self, mr_db *holder)
{
    struct mr_actor *writer = driver_actor(self->driver, MR_OP_profile_update);
    uint64_t before = writer->stats.batches;

    sql_exec(holder, "COMMIT");
    mr_db_destroy(&holder);
    driver_await_all(self->driver, 0);
    assert_int_equal(writer->stats.batches, before + 1);
}

#define BOOK(isbn) "{\"isbn\":\"" isbn "\",\"title\":\"" isbn "\",\"shelf\":\"A\"}"

/* ---- Create ---- */

static void test_create__answers_with_what_was_stored(void **state)
{
    const struct reply *reply = post(*state, "/v1/books", ANN,
                                     "{\"isbn\":\"1\",\"title\":\"  Dune \",\"copies\":0,\"shelf\":\"A\",\"note\":null,"
                                     "\"printedAt\":\"2027-01-01\",\"isOut\":false,\"version\":7}");

    assert_int_equal(reply_http(reply, NULL), 200);
    assert_string_equal(reply_text(reply, NULL, "title"), "Dune"); /* by the trigger */
    assert_true(json_is_true(json_object_get(reply->body, "isOut")));
    assert_string_equal(reply_text(reply, "shelfInfo", "label"), "Adventure");
    assert_string_equal(reply_text(reply, NULL, "printedAt"), "2027-01-01T00:00:00.000Z");
    assert_null(json_object_get(reply->body, "note"));
    assert_string_equal(reply_text(reply, NULL, "createdAt"), reply_text(reply, NULL, "updatedAt"));
    assert_int_equal(json_array_size(json_object_get(reply->body, "tags")), 0); /* nothing that null could say */
    assert_int_equal(json_object_size(reply->body), 11);
    assert_true(json_equal(reply->body, served_call(*state, MR_VERB_GET, path_of("/v1/books", reply), NOBODY, NULL, "")->body));
}

static void test_create__belongs_to_who_calls(void **state)
{
    const struct reply *book = post(*state, "/v1/books", ANN, BOOK("1"));
    const struct reply *loan;
    char body[160];

    snprintf(body, sizeof body, "{\"book\":\"%s\",\"place\":\"desk\",\"userId\":\"%s\"}", reply_text(book, NULL, "id"),
             reply_text(book, NULL, "id"));
    loan = post(*state, "/v1/loans", ANN, body);
    assert_string_equal(reply_text(loan, "bookInfo", "isbn"), "1");
    assert_int_equal(reply_http(served_call(*state, MR_VERB_GET, path_of("/v1/loans", loan), ANN, NULL, ""), NULL), 200);
    assert_int_equal(reply_http(served_call(*state, MR_VERB_GET, path_of("/v1/loans", loan), BOB, NULL, ""), NULL), 404);
    assert_int_equal(reply_http(served_call(*state, MR_VERB_GET, path_of("/v1/loans", loan), ADMIN, NULL, ""), NULL), 404);
}

static void test_create__names_only_what_the_caller_may_see(void **state)
{
    const struct reply *book = post(*state, "/v1/books", ANN, BOOK("1"));
    const struct reply *loan;
    char body[160];

    assert_int_equal(reply_http(post(*state, "/v1/books", ANN, "{\"isbn\":\"2\",\"title\":\"t\",\"shelf\":\"C\"}"), "shelf"), 400);
    snprintf(body, sizeof body, "{\"book\":\"%s\",\"place\":\"desk\"}", reply_text(book, NULL, "id"));
    loan = post(*state, "/v1/loans", ANN, body);
    snprintf(body, sizeof body, "{\"loan\":\"%s\",\"words\":\"w\"}", reply_text(loan, NULL, "id"));
    assert_int_equal(reply_http(post(*state, "/v1/remarks", BOB, body), "loan"), 400);
    assert_int_equal(reply_http(post(*state, "/v1/remarks", ADMIN, body), "loan"), 400);
    assert_string_equal(reply_text(post(*state, "/v1/remarks", ANN, body), "loanInfo", "place"), "desk");
    /* Vaults are for administrators, and so is to name one. */
    assert_int_equal(reply_http(post(*state, "/v1/books", ANN, "{\"isbn\":\"2\",\"title\":\"t\",\"shelf\":\"A\",\"vault\":\"V\"}"), "vault"), 400);
    assert_int_equal(reply_http(post(*state, "/v1/books", ADMIN, "{\"isbn\":\"2\",\"title\":\"t\",\"shelf\":\"A\",\"vault\":\"V\"}"), NULL), 200);
    assert_int_equal(count(*state, "book"), 2);
}

static void test_create__a_value_that_is_taken_is_409(void **state)
{
    assert_int_equal(reply_http(post(*state, "/v1/books", ANN, "{\"isbn\":\"1\",\"mark\":\"m\",\"title\":\"t\",\"shelf\":\"A\"}"), NULL), 200);
    assert_int_equal(reply_http(post(*state, "/v1/books", BOB, "{\"isbn\":\"1\",\"mark\":\"m\",\"title\":\"u\",\"shelf\":\"A\"}"), "isbn"), 409);
    assert_int_equal(reply_http(post(*state, "/v1/books", BOB, "{\"isbn\":\"2\",\"mark\":\"m\",\"title\":\"u\",\"shelf\":\"A\"}"), "mark"), 409);
    assert_int_equal(count(*state, "book"), 1);
}

/* A name that others have among theirs is free, and they are not told of. */
static void test_create__what_is_unique_is_so_among_the_callers(void **state)
{
    const struct reply *book = post(*state, "/v1/books", ANN, BOOK("1"));
    char body[160];

    snprintf(body, sizeof body, "{\"book\":\"%s\",\"place\":\"desk\"}", reply_text(book, NULL, "id"));
    assert_int_equal(reply_http(post(*state, "/v1/loans", ANN, body), NULL), 200);
    assert_int_equal(reply_http(post(*state, "/v1/loans", BOB, body), NULL), 200);
    assert_int_equal(reply_http(post(*state, "/v1/loans", ANN, body), "place"), 409);
}

static void test_create__of_one_batch_the_first_wins(void **state)
{
    struct served *self = *state;
    mr_db *holder = plug(self);
    unsigned sent[6];

    for (unsigned i = 0; i < 6; i++)
        sent[i] = served_send(self, MR_VERB_POST, "/v1/books", i % 2 == 0 ? ANN : BOB, NULL,
                              i < 4 ? BOOK("1") : i == 4 ? BOOK("2") : "{\"isbn\":\"3\",\"title\":\"t\",\"shelf\":\"C\"}");
    pull(self, holder);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(reply_http(&self->driver->replies[sent[i]], i == 0 || i == 4 ? NULL : i == 5 ? "shelf" : "isbn"),
                         i == 0 || i == 4 ? 200 : i == 5 ? 400 : 409);
}

static void test_create__the_same_key_has_the_same_answer(void **state)
{
    struct served *self = *state;
    const struct reply *first = post_keyed(*state, "/v1/books", ANN, "k", BOOK("1"));
    const struct reply *again;

    assert_int_equal(reply_http(first, NULL), 200);
    sql_exec(self->database->db, "UPDATE book SET title = 'changed', version = 2");
    again = post_keyed(*state, "/v1/books", ANN, "k", BOOK("1"));
    assert_true(json_equal(first->body, again->body));
    sql_exec(self->database->db, "DELETE FROM book");
    assert_true(json_equal(first->body, post_keyed(*state, "/v1/books", ANN, "k", BOOK("1"))->body));
    assert_int_equal(reply_http(post_keyed(*state, "/v1/books", ANN, "k", BOOK("2")), NULL), 422);
    assert_int_equal(reply_http(post_keyed(*state, "/v1/books", BOB, "k", BOOK("2")), NULL), 200);
    /* A failure is not kept. */
    assert_int_equal(reply_http(post_keyed(*state, "/v1/books", ANN, "l", BOOK("2")), "isbn"), 409);
    sql_exec(self->database->db, "DELETE FROM book");
    assert_int_equal(reply_http(post_keyed(*state, "/v1/books", ANN, "l", BOOK("2")), NULL), 200);
    /* A day later it is a new key. */
    sql_exec(self->database->db, "UPDATE millrace.idempotency_key SET created_at = now() - interval '25 hours'");
    assert_int_equal(reply_http(post_keyed(*state, "/v1/books", ANN, "k", BOOK("3")), NULL), 200);
    assert_int_equal(count(*state, "book"), 2);
}

/* The other operation's message has the same fields. */
static void test_create__a_key_belongs_to_its_operation(void **state)
{
    assert_int_equal(reply_http(post_keyed(*state, "/v1/vaults", ADMIN, "k", "{\"code\":\"W\"}"), NULL), 200);
    assert_int_equal(reply_http(post_keyed(*state, "/v1/seals", ADMIN, "k", "{\"code\":\"W\"}"), NULL), 422);
    assert_int_equal(count(*state, "seal"), 0);
}

/* Another transaction takes the key, and commits while this one's statement waits for it. */
static void test_create__a_key_lost_in_a_race_has_the_winners_answer(void **state)
{
    struct served *self = *state;
    mr_db *other = database_connect(self->database);
    const char *writer = driver_actor(self->driver, MR_OP_profile_update)->name;
    const struct reply *won = post_keyed(*state, "/v1/books", ANN, "k", BOOK("1"));
    unsigned sent;

    sql_exec(other, "CREATE TEMP TABLE kept AS SELECT * FROM millrace.idempotency_key; DELETE FROM millrace.idempotency_key; DELETE FROM book");
    sql_exec(other, "BEGIN; INSERT INTO millrace.idempotency_key SELECT * FROM kept");
    sent = served_send(self, MR_VERB_POST, "/v1/books", ANN, (headers){"Idempotency-Key", "k"}, BOOK("1"));
    eventually(backend_pid(self->database->db, writer, true) != 0);
    sql_exec(other, "COMMIT");
    assert_true(json_equal(driver_await(self->driver, sent)->body, won->body));
    assert_int_equal(count(*state, "book"), 0);
    mr_db_destroy(&other);
}

static void test_create__a_value_lost_in_a_race_is_409(void **state)
{
    struct served *self = *state;
    mr_db *other = database_connect(self->database);
    const char *writer = driver_actor(self->driver, MR_OP_profile_update)->name;
    unsigned sent;

    sql_exec(other, "BEGIN; INSERT INTO book (id, isbn, title, copies, tags, shelf_code) VALUES (gen_random_uuid(), '1', 't', 1, '{}', 'A')");
    sent = served_send(self, MR_VERB_POST, "/v1/books", ANN, NULL, BOOK("1"));
    eventually(backend_pid(self->database->db, writer, true) != 0);
    sql_exec(other, "COMMIT");
    assert_int_equal(reply_http(driver_await(self->driver, sent), "isbn"), 409);
    mr_db_destroy(&other);
}

/* As after a lost connection, when the statement has taken effect: run again, it finds its own row. */
static void test_create__finds_what_it_wrote(void **state)
{
    struct served *self = *state;
    enum mr_op op = op_named("book_create");
    struct mr_value values[MR_FIELDS_MAX] = {0};
    uint8_t id[16];

    make_id(id, 5, 1);
    set_id(value_of(values, op, "id"), id);
    set_id(value_of(values, op, "caller"), self->users[ANN]);
    *value_of(values, op, "$admin") = (struct mr_value){.present = true, .boolean = false};
    set_text(value_of(values, op, "isbn"), "1");
    set_text(value_of(values, op, "title"), "t");
    set_text(value_of(values, op, "shelf"), "A");
    set_int(value_of(values, op, "copies"), 1);
    for (unsigned i = 0; i < 2; i++) {
        const struct reply *reply = driver_await(self->driver, driver_send(self->driver, op, values, self->users[ANN]));

        assert_int_equal(reply_http(reply, NULL), 200);
        assert_string_equal(reply_text(reply, NULL, "isbn"), "1");
    }
    assert_int_equal(count(*state, "book"), 1);
}

/* Everybody may complain, and only administrators read what about. */
static void test_create__shows_only_what_its_caller_may_read(void **state)
{
    const struct reply *reply = post(*state, "/v1/complaints", NOBODY, "{\"words\":\"too loud\"}");

    assert_int_equal(json_object_size(reply->body), 1);
    assert_non_null(json_object_get(reply->body, "id"));
    reply = served_call(*state, MR_VERB_GET, path_of("/v1/complaints", reply), ADMIN, NULL, "");
    assert_string_equal(reply_text(reply, NULL, "words"), "too loud");
}

/* ---- Update ---- */

static const struct reply *put(void *state, const char *path, enum caller caller, const char *body)
{
    return served_call(state, MR_VERB_PUT, path, caller, NULL, body);
}

static const struct reply *put_if(void *state, const char *path, const char *header, const char *value, const char *body)
{
    return served_call(state, MR_VERB_PATCH, path, ANN, (headers){header, value}, body);
}

static void test_update__leaves_what_is_left_out_and_clears_what_is_null(void **state)
{
    const struct reply *reply = post(*state, "/v1/books", ANN,
                                     "{\"isbn\":\"1\",\"title\":\"t\",\"copies\":3,\"shelf\":\"A\",\"note\":\"n\",\"mark\":\"m\"}");
    const char *path = path_of("/v1/books", reply);
    char body[128];

    reply = put(*state, path, BOB, "{\"shelf\":\"B\",\"note\":null,\"isOut\":true}");
    assert_int_equal(reply_http(reply, NULL), 200);
    assert_string_equal(reply_text(reply, "shelfInfo", "label"), "Botany");
    assert_string_equal(reply_text(reply, NULL, "title"), "t");
    assert_string_equal(reply_text(reply, NULL, "mark"), "m");
    assert_null(json_object_get(reply->body, "note"));
    assert_true(json_is_false(json_object_get(reply->body, "isOut")));
    assert_int_equal(json_integer_value(json_object_get(reply->body, "copies")), 3);
    snprintf(body, sizeof body, "{\"id\":\"%s\",\"title\":\" u \",\"mark\":null,\"copies\":0}", reply_text(reply, NULL, "id"));
    reply = served_call(*state, MR_VERB_PATCH, path, BOB, NULL, body);
    assert_string_equal(reply_text(reply, NULL, "title"), "u");
    assert_null(json_object_get(reply->body, "mark"));
    assert_true(json_is_true(json_object_get(reply->body, "isOut")));
    assert_true(json_equal(reply->body, served_call(*state, MR_VERB_GET, path, NOBODY, NULL, "")->body));
}

static void test_update__of_what_is_not_the_callers_is_404(void **state)
{
    const struct reply *book = post(*state, "/v1/books", ANN, BOOK("1"));
    const char *path;
    char body[160];

    snprintf(body, sizeof body, "{\"book\":\"%s\",\"place\":\"desk\"}", reply_text(book, NULL, "id"));
    path = path_of("/v1/loans", post(*state, "/v1/loans", ANN, body));
    for (enum caller caller = BOB; caller <= ADMIN; caller++) {
        assert_int_equal(reply_http(put(*state, path, caller, "{\"place\":\"shelf\"}"), NULL), 404);
        assert_int_equal(reply_http(served_call(*state, MR_VERB_PUT, path, caller, (headers){"If-Match", "\"1\""}, "{\"place\":\"shelf\"}"), NULL), 404);
        assert_int_equal(reply_http(served_call(*state, MR_VERB_DELETE, path, caller, NULL, ""), NULL), 404);
        assert_int_equal(reply_http(served_call(*state, MR_VERB_DELETE, path, caller, (headers){"If-Match", "\"9\""}, ""), NULL), 404);
    }
    assert_string_equal(reply_text(served_call(*state, MR_VERB_GET, path, ANN, NULL, ""), NULL, "place"), "desk");
    assert_int_equal(reply_http(put(*state, path_of("/v1/remarks", book), ANN, "{\"words\":\"w\"}"), NULL), 404);
}

static void test_update__names_only_what_the_caller_may_see(void **state)
{
    const struct reply *book = post(*state, "/v1/books", ANN, BOOK("1"));
    const char *loans[2];
    const char *remark;
    char ids[2][40];
    char body[160];

    assert_int_equal(reply_http(put(*state, path_of("/v1/books", book), ANN, "{\"shelf\":\"C\"}"), "shelf"), 400);
    assert_int_equal(reply_http(put(*state, path_of("/v1/books", book), ANN, "{\"vault\":\"V\"}"), "vault"), 400);
    assert_int_equal(reply_http(put(*state, path_of("/v1/books", book), ADMIN, "{\"vault\":\"V\"}"), NULL), 200);
    snprintf(body, sizeof body, "{\"book\":\"%s\",\"place\":\"desk\"}", reply_text(book, NULL, "id"));
    for (unsigned i = 0; i < 2; i++) {
        const struct reply *loan = post(*state, "/v1/loans", i == 0 ? ANN : BOB, body);

        loans[i] = path_of("/v1/loans", loan);
        snprintf(ids[i], sizeof ids[i], "%s", reply_text(loan, NULL, "id"));
    }
    snprintf(body, sizeof body, "{\"loan\":\"%s\",\"words\":\"w\"}", ids[0]);
    remark = path_of("/v1/remarks", post(*state, "/v1/remarks", ANN, body));
    snprintf(body, sizeof body, "{\"loan\":\"%s\"}", ids[1]);
    assert_int_equal(reply_http(put(*state, remark, ANN, body), "loan"), 400);
    assert_int_equal(reply_http(served_call(*state, MR_VERB_DELETE, loans[0], ANN, NULL, ""), NULL), 200);
    assert_int_equal(reply_http(put(*state, remark, ANN, "{\"words\":\"x\"}"), NULL), 404); /* it went with its loan */
}

static void test_update__under_conditions(void **state)
{
    const char *path = path_of("/v1/books", post(*state, "/v1/books", ANN, BOOK("1")));

    assert_int_equal(reply_http(put_if(*state, path, "If-Match", "\"2\"", "{\"note\":\"a\"}"), NULL), 412);
    assert_int_equal(reply_http(put_if(*state, path, "If-Match", "\"1\", \"7\"", "{\"note\":\"a\"}"), NULL), 200);
    assert_int_equal(reply_http(put_if(*state, path, "If-Match", "\"1\"", "{\"note\":\"b\"}"), NULL), 412);
    assert_int_equal(reply_http(put_if(*state, path, "If-None-Match", "\"2\"", "{\"note\":\"b\"}"), NULL), 412);
    assert_int_equal(reply_http(put_if(*state, path, "If-None-Match", "*", "{\"note\":\"b\"}"), NULL), 412);
    assert_int_equal(reply_http(put_if(*state, path, "If-None-Match", "\"1\"", "{\"note\":\"b\"}"), NULL), 200);
    /* What is not the stored version is not looked at further. */
    assert_int_equal(reply_http(put_if(*state, path, "If-Match", "\"1\"", "{\"shelf\":\"C\"}"), NULL), 412);
    assert_int_equal(reply_http(put_if(*state, path, "If-Match", "\"3\"", "{\"shelf\":\"C\"}"), "shelf"), 400);
    assert_int_equal(reply_http(served_call(*state, MR_VERB_DELETE, path, ANN, (headers){"If-Match", "\"2\""}, ""), NULL), 412);
    assert_int_equal(reply_http(served_call(*state, MR_VERB_DELETE, path, ANN, (headers){"If-Match", "\"3\""}, ""), NULL), 200);
    assert_int_equal(reply_http(served_call(*state, MR_VERB_DELETE, path, ANN, NULL, ""), NULL), 404);
}

static void test_update__a_value_that_is_taken_is_409(void **state)
{
    const char *paths[2] = {path_of("/v1/books", post(*state, "/v1/books", ANN, BOOK("1"))),
                            path_of("/v1/books", post(*state, "/v1/books", ANN, BOOK("2")))};

    assert_int_equal(reply_http(put(*state, paths[0], ANN, "{\"isbn\":\"2\"}"), "isbn"), 409);
    assert_int_equal(reply_http(put(*state, paths[0], ANN, "{\"isbn\":\"1\",\"mark\":\"m\"}"), NULL), 200);
    assert_int_equal(reply_http(put(*state, paths[1], ANN, "{\"isbn\":\"3\",\"mark\":\"m\"}"), "mark"), 409);
    assert_int_equal(reply_http(put(*state, paths[0], ANN, "{\"mark\":null}"), NULL), 200);
    assert_int_equal(reply_http(put(*state, paths[1], ANN, "{\"isbn\":\"3\",\"mark\":\"m\"}"), NULL), 200);
}

static void test_update__of_one_batch_the_first_wins(void **state)
{
    struct served *self = *state;
    const char *paths[3];
    mr_db *holder;
    unsigned sent[3];

    paths[0] = path_of("/v1/books", post(*state, "/v1/books", ANN, BOOK("1")));
    paths[1] = path_of("/v1/books", post(*state, "/v1/books", ANN, BOOK("2")));
    paths[2] = path_of("/v1/books", post(*state, "/v1/books", ANN, BOOK("3")));
    holder = plug(self);
    for (unsigned i = 0; i < 3; i++)
        sent[i] = served_send(self, MR_VERB_PUT, paths[i], i == 1 ? BOB : ANN, NULL, i < 2 ? "{\"mark\":\"m\"}" : "{\"note\":\"n\"}");
    pull(self, holder);
    assert_int_equal(reply_http(&self->driver->replies[sent[0]], NULL), 200);
    assert_int_equal(reply_http(&self->driver->replies[sent[1]], "mark"), 409);
    assert_int_equal(reply_http(&self->driver->replies[sent[2]], NULL), 200);
}

static void test_update__a_value_lost_in_a_race_is_409(void **state)
{
    struct served *self = *state;
    mr_db *other = database_connect(self->database);
    const char *writer = driver_actor(self->driver, MR_OP_profile_update)->name;
    const char *path = path_of("/v1/books", post(*state, "/v1/books", ANN, BOOK("1")));
    unsigned sent;

    sql_exec(other, "BEGIN; INSERT INTO book (id, isbn, title, copies, tags, shelf_code) VALUES (gen_random_uuid(), '2', 't', 1, '{}', 'A')");
    sent = served_send(self, MR_VERB_PUT, path, ANN, NULL, "{\"isbn\":\"2\"}");
    eventually(backend_pid(self->database->db, writer, true) != 0);
    sql_exec(other, "COMMIT");
    assert_int_equal(reply_http(driver_await(self->driver, sent), "isbn"), 409);
    mr_db_destroy(&other);
}

/* ---- All of them ---- */

/* What the database alone knows: the answer names the fields, and says nothing of rows. */
static void test_resource__a_broken_constraint_is_an_answer(void **state)
{
    const char *path = path_of("/v1/books", post(*state, "/v1/books", ANN, BOOK("1")));
    const char *shelf = path_of("/v1/shelves", post(*state, "/v1/shelves", ADMIN, "{\"code\":\"D\",\"label\":\"l\"}"));

    assert_int_equal(reply_http(post(*state, "/v1/books", BOB, "{\"isbn\":\"2\",\"title\":\"u\",\"copies\":-1,\"shelf\":\"D\"}"), "copies"), 400);
    assert_int_equal(reply_http(post_keyed(*state, "/v1/books", BOB, "k", "{\"isbn\":\"2\",\"title\":\"u\",\"copies\":-1,\"shelf\":\"D\"}"), "copies"), 400);
    assert_int_equal(reply_http(put(*state, path, BOB, "{\"copies\":-1}"), "copies"), 400);
    assert_int_equal(reply_http(post(*state, "/v1/books", BOB, "{\"isbn\":\"2\",\"title\":\"1\",\"shelf\":\"D\"}"), "title|copies"), 409);
    assert_int_equal(reply_http(post(*state, "/v1/books", BOB, "{\"isbn\":\"2\",\"title\":\"2\",\"shelf\":\"D\"}"), NULL), 200);
    assert_int_equal(reply_http(put(*state, path, BOB, "{\"title\":\"2\"}"), "title|copies"), 409);
    /* Others name it. */
    assert_int_equal(reply_http(served_call(*state, MR_VERB_DELETE, shelf, ADMIN, NULL, ""), NULL), 409);
    assert_int_equal(reply_http(put(*state, shelf, ADMIN, "{\"code\":\"E\"}"), NULL), 409);
    assert_int_equal(reply_http(put(*state, shelf, ADMIN, "{\"code\":\"D\",\"label\":\"m\",\"parent\":\"A\"}"), NULL), 200);
}

#define FULL                                                                                                        \
    "{\"isbn\":\"9\",\"title\":\"t\",\"shelf\":\"A\",\"price\":12345.60,\"weight\":0.1,\"published\":\"0044-03-15\","        \
    "\"tags\":[\"a,b\",\"\\\"{}\\\\\",\"NULL\"],\"scores\":[3,-1],\"extra\":{\"x\":[1,null,12345678901234567890.5],\"y\":\"\\u00e9\"}}"

/* Every type goes in, comes out of the row, and out of what a key keeps of it. */
static void test_resource__every_type_is_stored_and_cleared(void **state)
{
    const struct reply *reply = post_keyed(*state, "/v1/books", ANN, "k", FULL);
    const char *path = path_of("/v1/books", reply);
    json_error_t error;
    json_t *given = json_loads(FULL, 0, &error);
    const char *name;
    json_t *value;

    json_object_foreach(given, name, value)
    {
        if (!json_equal(value, json_object_get(reply->body, name)))
            fail_test("%s is %s", name, json_dumps(json_object_get(reply->body, name), JSON_ENCODE_ANY));
    }
    json_decref(given);
    assert_true(json_equal(reply->body, post_keyed(*state, "/v1/books", ANN, "k", FULL)->body));
    assert_true(json_equal(reply->body, served_call(*state, MR_VERB_GET, path, NOBODY, NULL, "")->body));
    assert_int_equal(reply_http(put(*state, path, ANN, "{\"tags\":[],\"price\":0.05}"), NULL), 200);
    reply = put(*state, path, ANN, "{\"weight\":null,\"published\":null,\"scores\":null,\"extra\":null,\"printedAt\":null,\"vault\":null}");
    assert_int_equal(json_object_size(reply->body), 11);
    assert_int_equal(json_array_size(json_object_get(reply->body, "tags")), 0);
    assert_true(json_real_value(json_object_get(reply->body, "price")) == 0.05);
    assert_true(json_equal(reply->body, served_call(*state, MR_VERB_GET, path, NOBODY, NULL, "")->body));
}

static void test_resource__who_is_gone_is_401(void **state)
{
    const char *path = path_of("/v1/books", post(*state, "/v1/books", BOB, BOOK("1")));

    assert_int_equal(reply_http(post(*state, "/v1/books", GONE, BOOK("2")), NULL), 401);
    assert_int_equal(reply_http(post_keyed(*state, "/v1/books", GONE, "k", BOOK("2")), NULL), 401);
    assert_int_equal(reply_http(post(*state, "/v1/books", GONE, "{\"isbn\":\"2\",\"title\":\"t\",\"shelf\":\"C\"}"), NULL), 401);
    assert_int_equal(reply_http(put(*state, path, GONE, "{\"note\":\"n\"}"), NULL), 401);
    assert_int_equal(reply_http(put(*state, path, GONE, "{\"isbn\":\"1\",\"shelf\":\"C\"}"), NULL), 401);
    assert_int_equal(reply_http(served_call(*state, MR_VERB_DELETE, path, GONE, NULL, ""), NULL), 401);
    assert_int_equal(count(*state, "book"), 1);
}

/* A message that a trigger swallows has an answer, and those beside it have theirs. */
static void test_resource__what_a_trigger_swallows_is_409(void **state)
{
    struct served *self = *state;
    const char *path = path_of("/v1/books", post(*state, "/v1/books", ANN, BOOK("1")));

    sql_exec(self->database->db, "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
                                 " CREATE TRIGGER swallowed BEFORE INSERT OR UPDATE OR DELETE ON book FOR EACH ROW EXECUTE FUNCTION swallow()");
    assert_int_equal(reply_http(post(*state, "/v1/books", ANN, BOOK("2")), NULL), 409);
    assert_int_equal(reply_http(put(*state, path, ANN, "{\"note\":\"n\"}"), NULL), 409);
    assert_int_equal(reply_http(served_call(*state, MR_VERB_DELETE, path, ANN, NULL, ""), NULL), 409);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_create__answers_with_what_was_stored, setup),
        cmocka_unit_test_setup(test_create__belongs_to_who_calls, setup),
        cmocka_unit_test_setup(test_create__names_only_what_the_caller_may_see, setup),
        cmocka_unit_test_setup(test_resource__who_is_gone_is_401, setup),
        cmocka_unit_test_setup(test_resource__a_broken_constraint_is_an_answer, setup),
        cmocka_unit_test_setup(test_resource__every_type_is_stored_and_cleared, setup),
        cmocka_unit_test_setup(test_create__a_value_that_is_taken_is_409, setup),
        cmocka_unit_test_setup(test_create__what_is_unique_is_so_among_the_callers, setup),
        cmocka_unit_test_setup(test_create__of_one_batch_the_first_wins, setup),
        cmocka_unit_test_setup(test_create__the_same_key_has_the_same_answer, setup),
        cmocka_unit_test_setup(test_create__a_key_belongs_to_its_operation, setup),
        cmocka_unit_test_setup(test_create__a_key_lost_in_a_race_has_the_winners_answer, setup),
        cmocka_unit_test_setup(test_create__a_value_lost_in_a_race_is_409, setup),
        cmocka_unit_test_setup(test_create__finds_what_it_wrote, setup),
        cmocka_unit_test_setup(test_create__shows_only_what_its_caller_may_read, setup),
        cmocka_unit_test_setup(test_update__leaves_what_is_left_out_and_clears_what_is_null, setup),
        cmocka_unit_test_setup(test_update__of_what_is_not_the_callers_is_404, setup),
        cmocka_unit_test_setup(test_update__names_only_what_the_caller_may_see, setup),
        cmocka_unit_test_setup(test_update__under_conditions, setup),
        cmocka_unit_test_setup(test_update__a_value_that_is_taken_is_409, setup),
        cmocka_unit_test_setup(test_update__of_one_batch_the_first_wins, setup),
        cmocka_unit_test_setup(test_update__a_value_lost_in_a_race_is_409, setup),
        cmocka_unit_test_setup(test_resource__what_a_trigger_swallows_is_409, setup),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
