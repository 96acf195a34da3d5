/*
 * Imports of declared resources, by the real job on a real database: what holds for a create holds for each line of an upload.
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
    sql_exec(served->database->db,
             "DROP TRIGGER IF EXISTS refused ON book;"
             " TRUNCATE shelf, vault, seal, book, loan, remark, millrace.idempotency_key, millrace.job_run, millrace.import_part;"
             " INSERT INTO shelf (id, code, label) VALUES (gen_random_uuid(), 'A', 'Adventure'), (gen_random_uuid(), 'B', 'Botany');"
             " INSERT INTO vault (id, code) VALUES (gen_random_uuid(), 'V')");
    return 0;
}

static void assert_imported(const char *op, enum caller caller, const char *text, const char *outcome)
{
    assert_string_equal(served_imported(served, op, caller, text[0] != '{', text), outcome);
}

static int64_t count(const char *table)
{
    return sql_number(served->database->db, "SELECT count(*) FROM %s", table);
}

#define BOOK(isbn) "{\"isbn\":\"" isbn "\",\"title\":\"" isbn "\",\"shelf\":\"A\"}"

/* ---- Rows ---- */

/* But for what tells when and which, the row is the one that a create makes of the same. */
static void test_import__a_line_becomes_what_a_create_makes_of_it(void **state)
{
    static const char same[] = "SELECT count(DISTINCT to_jsonb(b) - '{id,isbn,title,created_at,updated_at}'::text[]) FROM book b";
    static const char *const bodies[] = {
        "\"shelf\":\"A\"}",
        "\"shelf\":\"B\",\"copies\":0,\"note\":null,\"printedAt\":\"2027-01-01\",\"price\":0.10,\"weight\":1e-3,\"published\":\"2027-01-31\","
        "\"tags\":[\"a,b\",\"{\\\"}\"],\"scores\":[3,-1],\"extra\":{\"a\":[1.10]},\"isOut\":false,\"version\":7,\"id\":\"x\"}"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char text[512];

        setup(NULL);
        snprintf(text, sizeof text, "{\"isbn\":\"1\",\"title\":\" made\",%s", bodies[i]);
        assert_int_equal(reply_http(served_call(served, MR_VERB_POST, "/v1/books", ANN, NULL, text), NULL), 200);
        snprintf(text, sizeof text, "{\"isbn\":\"2\",\"title\":\" imported\",%s", bodies[i]);
        assert_imported("book_import", ANN, text, "succeeded 1 0");
        assert_int_equal(sql_number(served->database->db, "%s", same), 1);
        assert_string_equal(sql_text(served->database->db, "SELECT title FROM book WHERE isbn = '2'"), "imported"); /* by the trigger */
    }
    assert_string_equal(sql_text(served->database->db, "SELECT concat_ws(' ', version, is_out, price, tags) FROM book WHERE isbn = '2'"),
                        "1 t 0.10 {\"a,b\",\"{\\\"}\"}");
}

static void test_import__cells_are_of_every_type(void **state)
{
    (void)state;
    assert_imported("book_import", ANN,
                    "isbn,title,shelf,price,weight,published,tags,scores,extra,printedAt,isOut\n"
                    "1,t,A,99999.99,0.1,2027-01-31,\"[\"\"a\"\"]\",\"[1,2]\",\"{\"\"b\"\":1.10}\",2027-01-01T00:00:00Z,true\n"
                    "2,u,A,0.001,x,2027-02-31,\"[\"\"\"\"]\",[1.5],{,soon,\n",
                    "succeeded 1 1; 3 price must have at most 2 digits after the point; 3 weight must be a number; 3 published must be a"
                    " date (RFC 3339), as 2027-01-31; 3 tags[0] must be 1 to 40 characters long, is 0; 3 scores[0] must be an integer;"
                    " 3 extra must be JSON (RFC 8259); 3 printedAt must be a date or date-time (RFC 3339, ISO 8601)");
    assert_string_equal(sql_text(served->database->db, "SELECT concat_ws(' ', is_out, price, weight, published, tags, scores, extra) FROM book"),
                        "f 99999.99 0.1 2027-01-31 {a} {1,2} {\"b\": 1.10}");
}

static void test_import__of_many_lines_makes_a_row_of_each_in_their_order(void **state)
{
    struct mr_buf text = {0};

    (void)state;
    for (unsigned i = 0; i < 4000; i++)
        mr_buf_printf(&text, "{\"isbn\":\"%u\",\"title\":\"%u\",\"shelf\":\"%s\"}\n", 9999 - i, i, i % 1000 == 500 ? "C" : "B");
    mr_buf_char(&text, '\0');
    assert_imported("book_import", ANN, text.data,
                    "succeeded 3996 4; 501 shelf must name something that exists; 1501 shelf must name something that exists;"
                    " 2501 shelf must name something that exists; 3501 shelf must name something that exists");
    assert_int_equal(count("book"), 3996);
    assert_int_equal(sql_number(served->database->db,
                                "SELECT count(*) FROM (SELECT title::int < lead(title::int) OVER (ORDER BY id) AS good FROM book) b WHERE good"),
                     3995);
    mr_buf_fini(&text);
}

/* ---- What others have ---- */

static void test_import__a_value_that_is_taken_is_a_problem_of_its_line(void **state)
{
    (void)state;
    served_call(served, MR_VERB_POST, "/v1/books", BOB, NULL, BOOK("1"));
    assert_imported("book_import", ANN,
                    "isbn,mark,title,shelf\n"
                    "1,,one,A\n"   /* stored */
                    "2,m,two,A\n"
                    "2,,three,A\n" /* by the line before */
                    "3,m,four,A\n"
                    "4,,five,C\n"  /* wrong, so that it takes nothing */
                    "4,,six,A\n",
                    "succeeded 2 4; 2 isbn is taken already; 4 isbn is taken already; 5 mark is taken already; 6 shelf must name something"
                    " that exists");
    assert_string_equal(sql_text(served->database->db, "SELECT string_agg(title, ' ' ORDER BY id) FROM book WHERE isbn <> '1'"), "two six");
}

/* A constraint that is not declared names its fields as it does where a create breaks it. */
static void test_import__a_constraint_that_is_not_declared_names_its_fields(void **state)
{
    (void)state;
    assert_imported("book_import", ANN, "isbn,title,shelf\n1,same,A\n2,same,A\n3,other,A\n4,same,B\n3,other,A\n",
                    "succeeded 2 3; 3 title is taken already; 3 copies is taken already; 5 title is taken already; 5 copies is taken already;"
                    " 6 isbn is taken already");
    assert_string_equal(sql_text(served->database->db, "SELECT string_agg(isbn, ' ' ORDER BY isbn) FROM book"), "1 3");
}

/* Of a trigger that makes no row, more is not known. */
static void test_import__what_is_not_made_is_told(void **state)
{
    (void)state;
    sql_exec(served->database->db,
             "CREATE OR REPLACE FUNCTION keep_away() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;"
             " CREATE TRIGGER refused BEFORE INSERT ON book FOR EACH ROW WHEN (NEW.title = 'unwanted') EXECUTE FUNCTION keep_away()");
    assert_imported("book_import", ANN, "isbn,title,shelf\n1,one,A\n2,unwanted,A\n3,three,A\n", "succeeded 2 1; 3  collides with what is stored");
}

/* Whoever was faster has it. */
static void test_import__a_value_that_is_taken_meanwhile_is_told(void **state)
{
    mr_db *other = database_connect(served->database);
    const struct reply *reply;
    char run[64];

    (void)state;
    sql_exec(other, "BEGIN; INSERT INTO book (id, isbn, title, copies, shelf_code, tags) VALUES (gen_random_uuid(), '2', 'x', 1, 'A', '{}')");
    reply = served_upload(served, "book_import", ANN, NULL, false, BOOK("1") "\n" BOOK("2") "\n" BOOK("3"));
    snprintf(run, sizeof run, "%s", reply_text(reply, NULL, "id"));
    served_prompt_importer(served);
    eventually(backend_pid(served->database->db, "job/0", true) != 0);
    sql_exec(other, "COMMIT");
    assert_string_equal(served_outcome(served, run), "succeeded 2 1; 2 isbn is taken already");
    mr_db_destroy(&other);
}

/* ---- What the database refuses ---- */

static void test_import__a_broken_rule_names_its_fields_and_stops_no_other_line(void **state)
{
    struct mr_buf text = {0};

    (void)state;
    sql_exec(served->database->db,
             "CREATE OR REPLACE FUNCTION book_refused() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
             " IF NEW.title = 'enough' THEN RAISE SQLSTATE 'MR409' USING MESSAGE = 'there are enough', COLUMN = 'title'; END IF;"
             " IF NEW.title = 'broken' THEN RAISE 'a secret of the trigger'; END IF; RETURN NEW; END $$;"
             " CREATE TRIGGER refused BEFORE INSERT ON book FOR EACH ROW EXECUTE FUNCTION book_refused()");
    for (unsigned i = 0; i < 300; i++)
        mr_buf_printf(&text, "{\"isbn\":\"%u\",\"title\":\"%s\",\"shelf\":\"A\",\"copies\":%d}\n", i,
                      i == 17 ? "enough" : i == 18 ? "broken" : "fine", i == 250 ? -1 : (int)i);
    mr_buf_char(&text, '\0');
    assert_imported("book_import", ANN, text.data,
                    "succeeded 297 3; 18 title there are enough; 19  was refused by the database: raised by a function;"
                    " 251 copies breaks a rule of what is stored");
    mr_buf_fini(&text);
}

/* ---- Who ---- */

static void test_import__rows_belong_to_who_uploads(void **state)
{
    const char *book;
    char text[512];

    (void)state;
    served_call(served, MR_VERB_POST, "/v1/books", BOB, NULL, BOOK("1"));
    book = sql_text(served->database->db, "SELECT id::text FROM book");
    snprintf(text, sizeof text, "book,place,userId,user_id,caller\n%s,desk,%s,%s,%s\n%s,desk,,,\n", book, book, book, book, book);
    assert_imported("loan_import", ANN, text, "succeeded 1 1; 3 place is taken already");
    assert_imported("loan_import", BOB, text, "succeeded 1 1; 3 place is taken already"); /* another's place is none of his */
    assert_int_equal(sql_number(served->database->db, "SELECT count(DISTINCT user_id) FROM loan"), 2);
    assert_string_equal(sql_text(served->database->db, "SELECT string_agg(e ->> 'field', ' ' ORDER BY e ->> 'field') FROM"
                                                       " (SELECT DISTINCT jsonb_array_elements(result -> 'ignored') AS e FROM millrace.job_run) r"),
                        "caller userId user_id");
}

static void test_import__names_only_what_the_uploader_may_see(void **state)
{
    char book[64];
    char text[256];

    (void)state;
    served_call(served, MR_VERB_POST, "/v1/books", BOB, NULL, BOOK("1"));
    snprintf(book, sizeof book, "%s", sql_text(served->database->db, "SELECT id::text FROM book"));
    snprintf(text, sizeof text, "book,place\n%s,desk\n00000000-0000-0000-0000-000000000001,shed\n", book);
    assert_imported("loan_import", ANN, text, "succeeded 1 1; 3 book must name something that exists");
    snprintf(text, sizeof text, "loan,words\n%s,mine\n", sql_text(served->database->db, "SELECT id::text FROM loan"));
    assert_imported("remark_import", BOB, text, "succeeded 0 1; 2 loan must name something that exists");
    assert_imported("remark_import", ADMIN, text, "succeeded 0 1; 2 loan must name something that exists");
    assert_imported("remark_import", ANN, text, "succeeded 1 0");
    /* Vaults are for administrators, and so is to name one. */
    assert_imported("book_import", ANN, "isbn,title,shelf,vault\n2,t,A,V\n", "succeeded 0 1; 2 vault must name something that exists");
    assert_imported("book_import", ADMIN, "isbn,title,shelf,vault\n2,t,A,V\n", "succeeded 1 0");
}

/* What may be written may be imported, by the same. */
static void test_import__access_is_that_of_writing(void **state)
{
    (void)state;
    assert_int_equal(mr_op_info(op_named("book_import"))->access, MR_ACCESS_USER);
    assert_int_equal(mr_op_info(op_named("seal_import"))->access, MR_ACCESS_ADMIN);
    assert_imported("seal_import", ADMIN, "code\nX\n", "succeeded 1 0");
    assert_int_equal(reply_http(served_upload(served, "book_import", GONE, NULL, true, "isbn,title,shelf\n1,t,A\n"), NULL), 401);
    assert_int_equal(count("book"), 0);
}

/* Between the upload and its run. */
static void test_import__nothing_is_made_for_who_is_gone(void **state)
{
    const struct reply *reply;
    uint8_t ann[16];
    char run[64];

    (void)state;
    memcpy(ann, served->users[ANN], 16);
    make_user(served->database->db, 77, served->users[ANN]);
    reply = served_upload(served, "book_import", ANN, NULL, false, BOOK("1"));
    snprintf(run, sizeof run, "%s", reply_text(reply, NULL, "id"));
    memcpy(served->users[ANN], ann, 16);
    sql_exec(served->database->db, "DELETE FROM millrace.app_user WHERE id = (SELECT owner FROM millrace.job_run WHERE id = '%s')", run);
    assert_string_equal(served_outcome(served, run), "succeeded 0 1; 1  belongs to a user who is gone");
    assert_int_equal(count("book"), 0);
}

/* ---- Runs ---- */

static void test_import__the_same_key_imports_once(void **state)
{
    char first[64];

    (void)state;
    snprintf(first, sizeof first, "%s", reply_text(served_upload(served, "book_import", ANN, "k", false, BOOK("1")), NULL, "id"));
    assert_string_equal(reply_text(served_upload(served, "book_import", ANN, "k", false, BOOK("1")), NULL, "id"), first);
    assert_int_equal(reply_http(served_upload(served, "book_import", ANN, "k", false, BOOK("2")), NULL), 422);
    assert_string_equal(served_outcome(served, first), "succeeded 1 0");
    assert_int_equal(count("millrace.job_run"), 1);
}

/* It is tried again, for a process with the folder that has it may come; here there is one attempt. */
static void test_import__of_a_resource_that_is_gone_is_dead(void **state)
{
    static const char run[] = "01900000-0000-7000-8000-000000000001";

    (void)state;
    sql_exec(served->database->db,
             "INSERT INTO millrace.job_run (id, job, trigger, exclusive, max_attempts, args) VALUES ('%s', 'import', 'user', false, 1,"
             " '{\"operation\": \"gadget_import\", \"format\": \"text/csv\", \"parts\": 1}')",
             run);
    assert_string_equal(served_outcome(served, run), "dead the served application has no operation gadget_import any more");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_import__a_line_becomes_what_a_create_makes_of_it, setup),
        cmocka_unit_test_setup(test_import__cells_are_of_every_type, setup),
        cmocka_unit_test_setup(test_import__of_many_lines_makes_a_row_of_each_in_their_order, setup),
        cmocka_unit_test_setup(test_import__a_value_that_is_taken_is_a_problem_of_its_line, setup),
        cmocka_unit_test_setup(test_import__a_constraint_that_is_not_declared_names_its_fields, setup),
        cmocka_unit_test_setup(test_import__what_is_not_made_is_told, setup),
        cmocka_unit_test_setup(test_import__a_value_that_is_taken_meanwhile_is_told, setup),
        cmocka_unit_test_setup(test_import__a_broken_rule_names_its_fields_and_stops_no_other_line, setup),
        cmocka_unit_test_setup(test_import__rows_belong_to_who_uploads, setup),
        cmocka_unit_test_setup(test_import__names_only_what_the_uploader_may_see, setup),
        cmocka_unit_test_setup(test_import__access_is_that_of_writing, setup),
        cmocka_unit_test_setup(test_import__nothing_is_made_for_who_is_gone, setup),
        cmocka_unit_test_setup(test_import__the_same_key_imports_once, setup),
        cmocka_unit_test_setup(test_import__of_a_resource_that_is_gone_is_dead, setup),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
