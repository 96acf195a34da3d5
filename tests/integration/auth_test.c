/*
 * The auth actor: register and sign-in, as messages.
 */
#include "actors/auth.h"

#include "proto/uuid.h"
#include "runtime/token.h"
#include "tests/support/driver.h"
#include "tests/support/test.h"

struct fixture {
    struct database *database;
    struct driver *driver;
};

static int setup_on(void **state, struct database *database)
{
    struct fixture *self = calloc(1, sizeof *self);

    self->database = database;
    self->driver = driver_new(&self->database->config, &mr_system_clock);
    driver_start(self->driver, &mr_auth_spec, MR_LANE_SLOW, 0);
    *state = self;
    return 0;
}

static int setup(void **state)
{
    return setup_on(state, database_new());
}

/* What the database makes of case is A to Z only. */
static int setup_c(void **state)
{
    return setup_on(state, database_new_in("C"));
}

static int teardown(void **state)
{
    struct fixture *self = *state;

    driver_destroy(&self->driver);
    database_destroy(&self->database);
    free(self);
    return 0;
}

static unsigned send_register(struct fixture *self, uint64_t number, const char *username, const char *password)
{
    struct mr_value values[MR_FIELDS_MAX] = {0};
    uint8_t id[16];

    make_id(id, 1, number);
    set_id(value_of(values, MR_OP_register, "id"), id);
    set_text(value_of(values, MR_OP_register, "firstName"), "Ada");
    set_text(value_of(values, MR_OP_register, "lastName"), "Lovelace");
    set_text(value_of(values, MR_OP_register, "email"), "ada@example.org");
    set_text(value_of(values, MR_OP_register, "username"), username);
    set_text(value_of(values, MR_OP_register, "password"), password);
    return driver_send(self->driver, MR_OP_register, values, NULL);
}

static unsigned send_sign_in(struct fixture *self, const char *username, const char *password)
{
    struct mr_value values[MR_FIELDS_MAX] = {0};

    set_text(value_of(values, MR_OP_sign_in, "username"), username);
    set_text(value_of(values, MR_OP_sign_in, "password"), password);
    return driver_send(self->driver, MR_OP_sign_in, values, NULL);
}

static void test_auth__registers_and_never_shows_the_password(void **state)
{
    struct fixture *self = *state;
    const struct reply *reply = driver_await(self->driver, send_register(self, 1, "Ada", "correct horse"));
    char *text = json_dumps(reply->body, 0);

    assert_int_equal(reply->kind, MR_REPLY);
    assert_string_equal(reply_text(reply, NULL, "username"), "Ada");
    assert_string_equal(reply_text(reply, NULL, "id"), reply_text(reply, NULL, "sub"));
    assert_null(strstr(text, "argon2"));
    assert_null(strstr(text, "horse"));
    free(text);
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM millrace.app_user WHERE password_hash LIKE '$argon2id$%%'"), 1);
}

static void test_auth__a_name_is_taken_whatever_its_case(void **state)
{
    struct fixture *self = *state;
    unsigned sent[4];

    sent[0] = send_register(self, 1, "Ada", "correct horse");
    sent[1] = send_register(self, 2, "aDA", "another one");
    sent[2] = send_register(self, 3, "ADA", "a third one");
    sent[3] = send_register(self, 4, "Bob", "correct horse");
    driver_await_all(self->driver, 0);
    assert_int_equal(self->driver->replies[sent[0]].kind, MR_REPLY);
    for (unsigned i = 1; i < 3; i++) {
        assert_int_equal(self->driver->replies[sent[i]].status, MR_CONFLICT);
        assert_string_equal(self->driver->replies[sent[i]].field, "username");
    }
    assert_int_equal(self->driver->replies[sent[3]].kind, MR_REPLY);
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM millrace.app_user"), 2);
}

/* Of each row the second name is the first in another spelling. */
static const char *const spellings[][2] = {
    {"Zoë", "Zoe\u0308"}, {"Straße", "STRASSE"}, {"σίσυφος", "ΣΊΣΥΦΟΣ"}, {"ёжик", "ЁЖИК"}, {"Ａｄａ", "ada"}, {"ﬃnn", "FFINN"},
    {"ಠ_ಠ", "ಠ_ಠ"}, {"Åse", "\u212bse"}};
enum { SPELLINGS = sizeof spellings / sizeof spellings[0] };

static void test_auth__a_name_is_taken_in_every_spelling(void **state)
{
    struct fixture *self = *state;

    for (unsigned i = 0; i < SPELLINGS; i++)
        assert_int_equal(driver_await(self->driver, send_register(self, 2 * i + 1, spellings[i][0], "correct horse"))->kind, MR_REPLY);
    for (unsigned i = 0; i < SPELLINGS; i++) {
        const struct reply *reply = driver_await(self->driver, send_register(self, 2 * i + 2, spellings[i][1], "another horse"));

        assert_int_equal(reply->status, MR_CONFLICT);
        assert_string_equal(reply->field, "username");
    }
    for (unsigned i = 0; i < SPELLINGS; i++)
        for (unsigned j = 0; j < 2; j++)
            assert_int_equal(driver_await(self->driver, send_sign_in(self, spellings[i][j], "correct horse"))->kind, MR_REPLY);
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM millrace.app_user WHERE username_folded IS NULL"), 0);
}

/* In one statement: none of them is in the snapshot of the others. */
static void test_auth__of_two_spellings_at_once_one_wins(void **state)
{
    struct fixture *self = *state;
    unsigned sent[2 * SPELLINGS];
    unsigned good = 0;

    for (unsigned i = 0; i < SPELLINGS; i++)
        for (unsigned j = 0; j < 2; j++)
            sent[2 * i + j] = send_register(self, 2 * i + j + 1, spellings[i][j], "correct horse");
    driver_await_all(self->driver, 0);
    for (unsigned i = 0; i < 2 * SPELLINGS; i++) {
        const struct reply *reply = &self->driver->replies[sent[i]];

        good += reply->kind == MR_REPLY;
        if (reply->kind != MR_REPLY)
            assert_int_equal(reply->status, MR_CONFLICT);
    }
    assert_int_equal(good, SPELLINGS);
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM millrace.app_user"), SPELLINGS);
}

/* A user as a release without folded names writes them; the password is that of the user `like`. */
static void insert_of_old(struct fixture *self, unsigned number, const char *username, const char *like)
{
    uint8_t raw[16];
    char id[MR_UUID_TEXT + 1] = "";

    make_id(raw, 1, number);
    mr_uuid_format(id, raw);
    sql_exec(self->database->db,
             "INSERT INTO millrace.app_user (id, username, email, first_name, last_name, password_hash)"
             " SELECT '%s', '%s', 'x@example.org', 'F', 'L', password_hash FROM millrace.app_user WHERE username = '%s'",
             id, username, like);
}

static const char *signed_in_as(struct fixture *self, const char *username)
{
    static struct mr_principal principal;
    static char id[MR_UUID_TEXT + 1];
    const struct reply *reply = driver_await(self->driver, send_sign_in(self, username, "correct horse"));
    int64_t expires_s;

    if (reply->kind != MR_REPLY)
        return "nobody";
    assert_int_equal(mr_token_verify(&principal, &expires_s, mr_slice_of(reply_text(reply, NULL, "accessToken")),
                                     self->database->config.jwt_secret, mr_wall_ms(&mr_system_clock) / 1000),
                     MR_OK);
    mr_uuid_format(id, principal.user_id);
    return sql_text(self->database->db, "SELECT username FROM millrace.app_user WHERE id = '%s'", id);
}

static void test_auth__a_user_of_an_older_release_signs_in_and_is_folded(void **state)
{
    struct fixture *self = *state;

    assert_int_equal(driver_await(self->driver, send_register(self, 1, "Ada", "correct horse"))->kind, MR_REPLY);
    insert_of_old(self, 2, "Bob", "Ada");
    insert_of_old(self, 3, "Straße", "Ada");
    assert_string_equal(signed_in_as(self, "BOB"), "Bob"); /* as that release found them */
    assert_string_equal(signed_in_as(self, "Straße"), "Straße");
    assert_string_equal(sql_text(self->database->db, "SELECT string_agg(username_folded, ' ' ORDER BY id) FROM millrace.app_user"), "ada bob strasse");
    assert_string_equal(signed_in_as(self, "STRASSE"), "Straße");
    assert_int_equal(driver_await(self->driver, send_register(self, 4, "STRASSE", "correct horse"))->status, MR_CONFLICT);
}

static void test_auth__a_wrong_password_folds_nothing(void **state)
{
    struct fixture *self = *state;

    assert_int_equal(driver_await(self->driver, send_register(self, 1, "Ada", "correct horse"))->kind, MR_REPLY);
    insert_of_old(self, 2, "Bob", "Ada");
    assert_int_equal(driver_await(self->driver, send_sign_in(self, "Bob", "wrong horse"))->status, MR_BAD_CREDENTIALS);
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM millrace.app_user WHERE username_folded IS NULL"), 1);
}

static void test_auth__names_that_collide_already_sign_in_by_their_spelling(void **state)
{
    struct fixture *self = *state;

    assert_int_equal(driver_await(self->driver, send_register(self, 1, "Straße", "correct horse"))->kind, MR_REPLY);
    insert_of_old(self, 2, "STRASSE", "Straße");
    insert_of_old(self, 3, "ＳＴＲＡＳＳＥ", "Straße");
    for (int i = 0; i < 2; i++) {
        assert_string_equal(signed_in_as(self, "STRASSE"), "STRASSE");
        assert_string_equal(signed_in_as(self, "ＳＴＲＡＳＳＥ"), "ＳＴＲＡＳＳＥ");
        assert_string_equal(signed_in_as(self, "Straße"), "Straße");
        assert_string_equal(signed_in_as(self, "strasse"), "Straße");
    }
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM millrace.app_user WHERE username_folded IS NULL"), 2);
}

/* The same message again, as after a lost connection: the row it wrote is its own. */
static void test_auth__a_registration_that_is_repeated_is_no_conflict(void **state)
{
    struct fixture *self = *state;

    assert_int_equal(driver_await(self->driver, send_register(self, 1, "Ada", "correct horse"))->kind, MR_REPLY);
    assert_int_equal(driver_await(self->driver, send_register(self, 1, "Ada", "correct horse"))->kind, MR_REPLY);
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM millrace.app_user"), 1);
}

/* Another transaction commits the row while the statement waits for it, and then is not in its snapshot. */
static void race(struct fixture *self, uint64_t id_number, enum mr_kind expected, mr_status status)
{
    mr_db *racer = database_connect(self->database);
    char id[MR_UUID_TEXT + 1] = "";
    uint8_t raw[16];
    unsigned sent;

    make_id(raw, 1, id_number);
    mr_uuid_format(id, raw);
    sql_exec(racer,
             "BEGIN; INSERT INTO millrace.app_user (id, username, email, first_name, last_name, password_hash)"
             " VALUES ('%s', 'ADA', 'x@example.org', 'F', 'L', '')",
             id);
    sent = send_register(self, 1, "ada", "correct horse");
    eventually(backend_pid(self->database->db, "auth/slow", true) != 0);
    sql_exec(racer, "COMMIT");
    assert_int_equal(driver_await(self->driver, sent)->kind, expected);
    assert_int_equal(driver_await(self->driver, sent)->status, status);
    mr_db_destroy(&racer);
}

static void test_auth__a_registration_that_raced_with_itself_is_no_conflict(void **state)
{
    race(*state, 1, MR_REPLY, MR_OK);
}

static void test_auth__a_registration_that_lost_a_race_is_a_conflict(void **state)
{
    race(*state, 2, MR_ERROR, MR_CONFLICT);
}

static void test_auth__tokens_for_the_right_password_only(void **state)
{
    struct fixture *self = *state;
    struct mr_principal principal;
    const struct reply *reply;
    int64_t expires_s;
    unsigned sent[3];

    driver_await(self->driver, send_register(self, 1, "Ada", "correct horse"));
    sent[0] = send_sign_in(self, "ada", "correct horse");
    sent[1] = send_sign_in(self, "Ada", "wrong horse");
    sent[2] = send_sign_in(self, "nobody", "correct horse");
    driver_await_all(self->driver, 0);
    assert_int_equal(self->driver->replies[sent[1]].status, MR_BAD_CREDENTIALS);
    assert_int_equal(self->driver->replies[sent[2]].status, MR_BAD_CREDENTIALS);
    reply = &self->driver->replies[sent[0]];
    assert_string_equal(reply_text(reply, NULL, "tokenType"), "Bearer");
    assert_int_equal(json_integer_value(json_object_get(reply->body, "expiresIn")), 3600);
    assert_int_equal(mr_token_verify(&principal, &expires_s, mr_slice_of(reply_text(reply, NULL, "accessToken")),
                                     self->database->config.jwt_secret, mr_wall_ms(&mr_system_clock) / 1000),
                     MR_OK);
    assert_int_equal(principal.role, MR_ROLE_USER);
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM millrace.refresh_token WHERE token_hash = sha256('%s'::bytea)",
                                reply_text(reply, NULL, "refreshToken")),
                     1);
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM millrace.refresh_token"), 1);
}

static void test_auth__an_administrator_is_told_from_a_user(void **state)
{
    struct fixture *self = *state;
    struct mr_principal principal;
    int64_t expires_s;
    const struct reply *reply;

    driver_await(self->driver, send_register(self, 1, "Ada", "correct horse"));
    sql_exec(self->database->db, "UPDATE millrace.app_user SET role = 'admin'");
    reply = driver_await(self->driver, send_sign_in(self, "ada", "correct horse"));
    assert_int_equal(mr_token_verify(&principal, &expires_s, mr_slice_of(reply_text(reply, NULL, "accessToken")),
                                     self->database->config.jwt_secret, mr_wall_ms(&mr_system_clock) / 1000),
                     MR_OK);
    assert_int_equal(principal.role, MR_ROLE_ADMIN);
}

/* A name whose bytes the server refuses takes nobody along: the finding statement serves the whole batch. */
static void test_auth__a_bad_name_does_not_fail_the_others(void **state)
{
    struct fixture *self = *state;
    unsigned good;
    unsigned bad;

    driver_await(self->driver, send_register(self, 1, "Ada", "correct horse"));
    driver_send(self->driver, MR_OP_sign_in, (struct mr_value[MR_FIELDS_MAX]){{.present = true, .text = MR_SLICE("slow")}, {.present = true, .text = MR_SLICE("x")}}, NULL);
    bad = send_sign_in(self, "\xff\xfe", "correct horse");
    good = send_sign_in(self, "Ada", "correct horse");
    driver_await_all(self->driver, 0);
    assert_int_equal(self->driver->replies[good].kind, MR_REPLY);
    assert_int_equal(self->driver->replies[bad].kind, MR_ERROR);
    assert_in_range(mr_status_http(self->driver->replies[bad].status), 400, 401);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#define TEST_C(name) cmocka_unit_test_setup_teardown(name, setup_c, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_auth__registers_and_never_shows_the_password),
        TEST(test_auth__a_name_is_taken_whatever_its_case),
        TEST(test_auth__a_name_is_taken_in_every_spelling),
        TEST_C(test_auth__a_name_is_taken_in_every_spelling),
        TEST(test_auth__of_two_spellings_at_once_one_wins),
        TEST_C(test_auth__of_two_spellings_at_once_one_wins),
        TEST(test_auth__a_user_of_an_older_release_signs_in_and_is_folded),
        TEST_C(test_auth__a_user_of_an_older_release_signs_in_and_is_folded),
        TEST(test_auth__a_wrong_password_folds_nothing),
        TEST_C(test_auth__a_wrong_password_folds_nothing),
        TEST(test_auth__names_that_collide_already_sign_in_by_their_spelling),
        TEST_C(test_auth__names_that_collide_already_sign_in_by_their_spelling),
        TEST(test_auth__a_registration_that_is_repeated_is_no_conflict),
        TEST(test_auth__a_registration_that_raced_with_itself_is_no_conflict),
        TEST(test_auth__a_registration_that_lost_a_race_is_a_conflict),
        TEST(test_auth__tokens_for_the_right_password_only),
        TEST(test_auth__an_administrator_is_told_from_a_user),
        TEST(test_auth__a_bad_name_does_not_fail_the_others),
    };

    return cmocka_run_group_tests(tests, database_server_start, database_server_stop);
}
