/*
 * Sessions in batches: what a reused token, a race, a lost connection and a change of the password do to them.
 */
#include <sodium.h>

#include "actors/auth.h"
#include "actors/data_writer.h"
#include "actors/grant.h"
#include "actors/password.h"
#include "proto/uuid.h"
#include "tests/support/driver.h"
#include "tests/support/test.h"

#define PREVIOUS_SECRET "the secret of the tests before this one, as long"

enum { PLUG = 900 };

struct fixture {
    struct database *database;
    struct driver *driver;
    mr_db *holder; /* of the plug's lock */
};

static int setup_with(void **state, int64_t grace_ms)
{
    struct fixture *self = calloc(1, sizeof *self);

    self->database = database_new();
    self->database->config.refresh_grace = grace_ms;
    self->database->config.jwt_secret_previous = PREVIOUS_SECRET;
    self->driver = driver_new(&self->database->config, &mr_system_clock);
    driver_start(self->driver, &mr_auth_spec, MR_LANE_QUICK, 0);
    driver_start(self->driver, &mr_auth_spec, MR_LANE_SLOW, 0);
    driver_start(self->driver, &mr_data_writer_spec, MR_LANE_QUICK, 0);
    self->holder = database_connect(self->database);
    *state = self;
    return 0;
}

static int setup(void **state)
{
    return setup_with(state, 10000);
}

/* JWT_REFRESH_GRACE=0s: every second use is a reuse. */
static int setup_strict(void **state)
{
    return setup_with(state, 0);
}

static int teardown(void **state)
{
    struct fixture *self = *state;

    mr_db_destroy(&self->holder);
    driver_destroy(&self->driver);
    database_destroy(&self->database);
    free(self);
    return 0;
}

/* Session `number` of user<user>, with tokens "token-<number>-1" and so on; all but the last are spent. */
static void add_session(struct fixture *self, unsigned number, unsigned user, unsigned tokens)
{
    uint8_t id[16];

    if (sql_number(self->database->db, "SELECT count(*) FROM millrace.app_user WHERE username = 'user%u'", user) == 0)
        make_user(self->database->db, user, id);
    sql_exec(self->database->db,
             "INSERT INTO millrace.session (id, user_id, password_version)"
             " SELECT lpad(to_hex(%u), 32, '0')::uuid, id, password_version FROM millrace.app_user WHERE username = 'user%u';"
             "INSERT INTO millrace.refresh_token (id, session_id, token_hash, expires_at, next_id)"
             " SELECT lpad(to_hex(%u * 1000 + i), 32, '0')::uuid, lpad(to_hex(%u), 32, '0')::uuid, sha256(('token-%u-' || i)::bytea),"
             "        now() + interval '1 h', CASE WHEN i < %u THEN lpad(to_hex(%u * 1000 + i + 1), 32, '0')::uuid END"
             "   FROM generate_series(1, %u) i",
             number, user, number, number, number, tokens, number, tokens);
}

static unsigned send_refresh(struct fixture *self, const char *token)
{
    struct mr_value values[MR_FIELDS_MAX] = {0};

    set_text(value_of(values, MR_OP_refresh, "refreshToken"), token);
    return driver_send(self->driver, MR_OP_refresh, values, NULL);
}

static unsigned send_refresh_of(struct fixture *self, unsigned session, unsigned token)
{
    char text[64];

    snprintf(text, sizeof text, "token-%u-%u", session, token);
    return send_refresh(self, text);
}

static bool has_session(struct fixture *self, unsigned number)
{
    return sql_number(self->database->db, "SELECT count(*) FROM millrace.session WHERE id = lpad(to_hex(%u), 32, '0')::uuid", number) == 1;
}

static mr_status status_of(struct fixture *self, unsigned sent)
{
    return driver_await(self->driver, sent)->status;
}

/* Keeps the auth actor inside a statement, so that what is sent meanwhile becomes one batch. */
static void plug(struct fixture *self)
{
    add_session(self, PLUG, PLUG, 1);
    sql_exec(self->holder, "BEGIN; SELECT 1 FROM millrace.session WHERE id = lpad(to_hex(%d), 32, '0')::uuid FOR UPDATE", PLUG);
    send_refresh_of(self, PLUG, 1);
    eventually(backend_pid(self->database->db, "auth/0", true) != 0);
}

static void unplug(struct fixture *self, enum mr_op op)
{
    sql_exec(self->holder, "COMMIT");
    driver_await_all(self->driver, 0);
    assert_int_equal(driver_actor(self->driver, op)->stats.batches, 2);
}

static void test_session__many_users_refresh_in_one_batch(void **state)
{
    enum { USERS = 100 };
    struct fixture *self = *state;
    unsigned sent[USERS];

    for (unsigned i = 0; i < USERS; i++)
        add_session(self, i + 1, i + 1, 1 + i % 3);
    plug(self);
    for (unsigned i = 0; i < USERS; i++)
        sent[i] = send_refresh_of(self, i + 1, 1 + i % 3);
    unplug(self, MR_OP_refresh);
    for (unsigned i = 0; i < USERS; i++) {
        const char *token = reply_text(&self->driver->replies[sent[i]], NULL, "refreshToken");

        assert_int_equal(self->driver->replies[sent[i]].kind, MR_REPLY);
        assert_int_equal(sql_number(self->database->db,
                                    "SELECT count(*) FROM millrace.refresh_token WHERE token_hash = sha256('%s'::bytea) AND next_id IS NULL"
                                    " AND session_id = lpad(to_hex(%u), 32, '0')::uuid",
                                    token, i + 1),
                         1);
    }
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM millrace.refresh_token WHERE next_id IS NULL"), USERS + 1);
}

static void test_session__a_reused_token_harms_no_other_session(void **state)
{
    struct fixture *self = *state;
    unsigned good[3];
    unsigned bad[4];

    add_session(self, 1, 1, 1);
    add_session(self, 2, 1, 3); /* another session of the same user */
    add_session(self, 3, 2, 1);
    add_session(self, 4, 3, 1);
    sql_exec(self->database->db, "UPDATE millrace.refresh_token SET expires_at = now() WHERE token_hash = sha256('token-4-1')");
    add_session(self, 5, 4, 2);
    plug(self);
    good[0] = send_refresh_of(self, 1, 1);
    bad[0] = send_refresh_of(self, 2, 1); /* spent */
    good[1] = send_refresh_of(self, 3, 1);
    bad[1] = send_refresh_of(self, 4, 1); /* expired */
    bad[2] = send_refresh(self, "never heard of");
    bad[3] = send_refresh_of(self, 2, 3); /* live, but behind the reuse */
    good[2] = send_refresh_of(self, 5, 2);
    unplug(self, MR_OP_refresh);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(self->driver->replies[good[i]].kind, MR_REPLY);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(self->driver->replies[bad[i]].status, MR_BAD_REFRESH_TOKEN);
    assert_false(has_session(self, 2));
    for (unsigned i = 1; i <= 5; i++)
        assert_true(i == 2 || has_session(self, i));
}

/* As if one after the other: what came before the reuse has won, and has won nothing. */
static void test_session__a_token_twice_in_a_batch_ends_the_session_without_a_grace(void **state)
{
    struct fixture *self = *state;
    const struct reply *first;
    unsigned sent[4];
    unsigned before;

    add_session(self, 1, 1, 1);
    add_session(self, 2, 2, 2);
    plug(self);
    for (unsigned i = 0; i < 3; i++)
        sent[i] = send_refresh_of(self, 1, 1);
    before = send_refresh_of(self, 2, 2);
    sent[3] = send_refresh_of(self, 2, 1);
    unplug(self, MR_OP_refresh);
    first = &self->driver->replies[sent[0]];
    assert_int_equal(first->kind, MR_REPLY);
    assert_int_equal(self->driver->replies[before].kind, MR_REPLY);
    for (unsigned i = 1; i < 4; i++)
        assert_int_equal(self->driver->replies[sent[i]].status, MR_BAD_REFRESH_TOKEN);
    assert_false(has_session(self, 1));
    assert_false(has_session(self, 2));
    assert_int_equal(status_of(self, send_refresh(self, reply_text(first, NULL, "refreshToken"))), MR_BAD_REFRESH_TOKEN);
}

/* Another process spends the token while the statement waits for the session: its snapshot still shows the token live. */
static void test_session__a_token_spent_this_moment_is_reused_without_a_grace(void **state)
{
    struct fixture *self = *state;
    unsigned sent;

    add_session(self, 1, 1, 1);
    sql_exec(self->holder, "BEGIN; SELECT 1 FROM millrace.session FOR UPDATE;"
                           "UPDATE millrace.refresh_token SET next_id = gen_random_uuid();"
                           "INSERT INTO millrace.refresh_token (id, session_id, token_hash, expires_at)"
                           " SELECT next_id, session_id, sha256('next'), now() + interval '1 h' FROM millrace.refresh_token");
    sent = send_refresh_of(self, 1, 1);
    eventually(backend_pid(self->database->db, "auth/0", true) != 0);
    sql_exec(self->holder, "COMMIT");
    assert_int_equal(status_of(self, sent), MR_BAD_REFRESH_TOKEN);
    assert_false(has_session(self, 1));
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM millrace.refresh_token"), 0); /* also the one it could not see */
}

static void test_session__one_that_ends_this_moment_gives_nothing(void **state)
{
    struct fixture *self = *state;
    unsigned sent;

    add_session(self, 1, 1, 1);
    sql_exec(self->holder, "BEGIN; DELETE FROM millrace.session");
    sent = send_refresh_of(self, 1, 1);
    eventually(backend_pid(self->database->db, "auth/0", true) != 0);
    sql_exec(self->holder, "COMMIT");
    assert_int_equal(status_of(self, sent), MR_BAD_REFRESH_TOKEN);
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM millrace.refresh_token"), 0);
}

static void test_session__of_an_older_password_is_over(void **state)
{
    struct fixture *self = *state;

    add_session(self, 1, 1, 1);
    sql_exec(self->database->db, "UPDATE millrace.app_user SET password_version = password_version + 1");
    add_session(self, 2, 1, 1);
    assert_int_equal(status_of(self, send_refresh_of(self, 1, 1)), MR_BAD_REFRESH_TOKEN);
    assert_int_equal(status_of(self, send_refresh_of(self, 2, 1)), MR_OK);
}

/* Cut off before the server has done anything: the statement runs again on a new connection. */
static void test_session__a_refresh_survives_a_lost_connection(void **state)
{
    struct fixture *self = *state;
    unsigned sent;

    add_session(self, 1, 1, 1);
    sql_exec(self->holder, "BEGIN; SELECT 1 FROM millrace.session FOR UPDATE");
    sent = send_refresh_of(self, 1, 1);
    eventually(backend_pid(self->database->db, "auth/0", true) != 0);
    sql_exec(self->database->db, "SELECT pg_terminate_backend(%lld, 5000)", (long long)backend_pid(self->database->db, "auth/0", true));
    sql_exec(self->holder, "COMMIT");
    assert_int_equal(status_of(self, sent), MR_OK);
    assert_int_equal(status_of(self, send_refresh(self, reply_text(driver_await(self->driver, sent), NULL, "refreshToken"))), MR_OK);
}

static void run_rotation(mr_db *db, const char *old_token, const char *id, const char *new_hash, int64_t expected)
{
    assert_int_equal(
        sql_number(db, "EXECUTE rotate(ARRAY[encode(sha256('%s'), 'hex')], '{%s}', '{%s}', ARRAY[now() + interval '1 h'], '{0}')",
                   old_token, id, new_hash),
        expected);
}

/* Cut off when it was done and before anybody knew: the same statement finds its own work, and no reuse. */
static void test_session__a_rotation_that_is_repeated_is_no_reuse(void **state)
{
    static const char id[] = "00000000-0000-7000-8000-00000000abcd";
    static const char other[] = "00000000-0000-7000-8000-00000000ef01";
    struct fixture *self = *state;
    mr_db *db = self->database->db;

    add_session(self, 1, 1, 1);
    sql_exec(db, "PREPARE rotate AS %s", mr_statement_find("refresh__rotate")->text);
    run_rotation(db, "token-1-1", id, "00ff", 1);
    run_rotation(db, "token-1-1", id, "00ff", 1);
    assert_int_equal(sql_number(db, "SELECT count(*) FROM millrace.refresh_token"), 2);
    assert_true(has_session(self, 1));
    run_rotation(db, "token-1-1", other, "00ee", 0);
    assert_false(has_session(self, 1));
    sql_exec(db, "DEALLOCATE rotate");
}

/* ---- The grace ---- */

/* Sends a refresh and returns the refresh token that came back, which has to be one. */
static const char *heir_of(struct fixture *self, const char *token)
{
    const struct reply *reply = driver_await(self->driver, send_refresh(self, token));

    assert_int_equal(reply->kind, MR_REPLY);
    return reply_text(reply, NULL, "refreshToken");
}

/* Puts back by `seconds` when tokens were spent. */
static void age_tokens(struct fixture *self, unsigned seconds)
{
    sql_exec(self->database->db, "UPDATE millrace.refresh_token SET created_at = created_at - interval '%u s'", seconds);
}

static int64_t count_live(struct fixture *self)
{
    return sql_number(self->database->db, "SELECT count(*) FROM millrace.refresh_token WHERE next_id IS NULL");
}

static void test_session__a_spent_token_gets_the_same_heir_within_the_grace(void **state)
{
    struct fixture *self = *state;
    const char *heir;

    add_session(self, 1, 1, 1);
    heir = heir_of(self, "token-1-1");
    for (unsigned age = 0; age < 3; age++) {
        assert_string_equal(heir_of(self, "token-1-1"), heir);
        age_tokens(self, 3);
    }
    assert_int_equal(count_live(self), 1);
    assert_string_equal(heir_of(self, heir), heir_of(self, heir)); /* the heir has a grace of its own */
    assert_int_equal(count_live(self), 1);
    assert_true(has_session(self, 1));
}

static void test_session__a_spent_token_ends_the_session_after_the_grace(void **state)
{
    struct fixture *self = *state;
    const char *heir;

    add_session(self, 1, 1, 1);
    heir = heir_of(self, "token-1-1");
    age_tokens(self, 11);
    assert_int_equal(status_of(self, send_refresh(self, "token-1-1")), MR_BAD_REFRESH_TOKEN);
    assert_false(has_session(self, 1));
    assert_int_equal(status_of(self, send_refresh(self, heir)), MR_BAD_REFRESH_TOKEN);
}

/* Whoever has a token has seen the one before it arrive. A thief could hide behind two quick refreshes otherwise. */
static void test_session__a_grace_ends_when_the_heir_is_spent(void **state)
{
    struct fixture *self = *state;
    const char *live;

    add_session(self, 1, 1, 1);
    live = heir_of(self, heir_of(self, "token-1-1"));
    assert_int_equal(status_of(self, send_refresh(self, "token-1-1")), MR_BAD_REFRESH_TOKEN);
    assert_false(has_session(self, 1));
    assert_int_equal(status_of(self, send_refresh(self, live)), MR_BAD_REFRESH_TOKEN);
}

/* The heir's transaction began after ours, and committed before our statement took its snapshot. */
static void test_session__an_heir_of_the_future_is_no_grace_where_there_is_none(void **state)
{
    struct fixture *self = *state;

    add_session(self, 1, 1, 1);
    heir_of(self, "token-1-1");
    sql_exec(self->database->db, "UPDATE millrace.refresh_token SET created_at = now() + interval '1 min'");
    assert_int_equal(status_of(self, send_refresh(self, "token-1-1")), MR_BAD_REFRESH_TOKEN);
    assert_false(has_session(self, 1));
}

static void test_session__a_token_that_comes_many_times_in_a_batch_has_one_heir(void **state)
{
    enum { TIMES = 20 };
    struct fixture *self = *state;
    unsigned sent[TIMES];
    const char *heir;

    add_session(self, 1, 1, 1);
    plug(self);
    for (unsigned i = 0; i < TIMES; i++)
        sent[i] = send_refresh_of(self, 1, 1);
    unplug(self, MR_OP_refresh);
    heir = reply_text(&self->driver->replies[sent[0]], NULL, "refreshToken");
    for (unsigned i = 0; i < TIMES; i++) {
        assert_int_equal(self->driver->replies[sent[i]].kind, MR_REPLY);
        assert_string_equal(reply_text(&self->driver->replies[sent[i]], NULL, "refreshToken"), heir);
    }
    assert_int_equal(count_live(self), 2); /* and that of the plug */
    assert_int_equal(status_of(self, send_refresh(self, heir)), MR_OK);
}

/* As the process that `config` describes spends token-1-1 at this moment: in a transaction that `holder` leaves open. */
static struct mr_attempt spend(struct fixture *self, const struct mr_config *config)
{
    struct mr_attempt heir = {.message = NULL};
    char id[MR_UUID_TEXT];

    mr_grant_inherit(&heir, MR_SLICE("token-1-1"), config, 1000);
    mr_uuid_format(id, heir.token_id);
    sql_exec(self->holder,
             "BEGIN; SELECT 1 FROM millrace.session FOR UPDATE; UPDATE millrace.refresh_token SET next_id = '%.*s';"
             "INSERT INTO millrace.refresh_token (id, session_id, token_hash, expires_at)"
             " SELECT next_id, session_id, decode('%s', 'hex'), now() + interval '1 h' FROM millrace.refresh_token",
             MR_UUID_TEXT, id, heir.refresh_hash);
    return heir;
}

/* Its snapshot shows the token live and no heir; a second look shows both. */
static void test_session__a_token_spent_this_moment_by_another_process_gets_its_heir(void **state)
{
    struct fixture *self = *state;
    struct mr_attempt heir;
    unsigned sent;

    add_session(self, 1, 1, 1);
    heir = spend(self, &self->database->config);
    sent = send_refresh_of(self, 1, 1);
    eventually(backend_pid(self->database->db, "auth/0", true) != 0);
    sql_exec(self->holder, "COMMIT");
    assert_int_equal(status_of(self, sent), MR_OK);
    assert_string_equal(reply_text(driver_await(self->driver, sent), NULL, "refreshToken"), heir.refresh_token);
    assert_int_equal(count_live(self), 1);
    assert_int_equal(status_of(self, send_refresh(self, heir.refresh_token)), MR_OK);
}

static void test_session__an_heir_outlives_a_rotation_of_the_secret(void **state)
{
    struct fixture *self = *state;
    struct mr_config before = self->database->config;
    struct mr_attempt heir;

    add_session(self, 1, 1, 1);
    before.jwt_secret = PREVIOUS_SECRET;
    heir = spend(self, &before);
    sql_exec(self->holder, "COMMIT");
    assert_string_equal(heir_of(self, "token-1-1"), heir.refresh_token);
    assert_int_equal(status_of(self, send_refresh(self, heir.refresh_token)), MR_OK);
}

/* Of a process with a newer secret, or of a release whose tokens are random: no answer, and no harm within the grace. */
static void test_session__an_heir_that_cannot_be_made_again_is_none(void **state)
{
    struct fixture *self = *state;
    struct mr_config other = self->database->config;
    struct mr_attempt heir;

    add_session(self, 1, 1, 1);
    other.jwt_secret = "a secret that nobody here knows, long enough";
    heir = spend(self, &other);
    sql_exec(self->holder, "COMMIT");
    assert_int_equal(status_of(self, send_refresh_of(self, 1, 1)), MR_BAD_REFRESH_TOKEN);
    assert_true(has_session(self, 1));
    assert_int_equal(status_of(self, send_refresh(self, heir.refresh_token)), MR_OK);
}

static void test_session__a_grace_opens_no_session_that_is_over(void **state)
{
    struct fixture *self = *state;

    add_session(self, 1, 1, 1);
    add_session(self, 2, 2, 1);
    heir_of(self, "token-1-1");
    heir_of(self, "token-2-1");
    sql_exec(self->database->db, "UPDATE millrace.app_user SET password_version = password_version + 1 WHERE username = 'user1';"
                                 "UPDATE millrace.refresh_token SET expires_at = now()"
                                 " WHERE next_id IS NULL AND session_id = lpad('2', 32, '0')::uuid");
    assert_int_equal(status_of(self, send_refresh_of(self, 1, 1)), MR_BAD_REFRESH_TOKEN);
    assert_int_equal(status_of(self, send_refresh_of(self, 2, 1)), MR_BAD_REFRESH_TOKEN);
}

/* ---- Passwords ---- */

static void set_password(struct fixture *self, unsigned user, const char *password, size_t memory)
{
    char hash[crypto_pwhash_STRBYTES];

    assert_int_equal(crypto_pwhash_str_alg(hash, password, strlen(password), 1, memory, crypto_pwhash_ALG_ARGON2ID13), 0);
    sql_exec(self->database->db, "UPDATE millrace.app_user SET password_hash = '%s' WHERE username = 'user%u'", hash, user);
}

static unsigned send_sign_in(struct fixture *self, const char *username, const char *password)
{
    struct mr_value values[MR_FIELDS_MAX] = {0};

    set_text(value_of(values, MR_OP_sign_in, "username"), username);
    set_text(value_of(values, MR_OP_sign_in, "password"), password);
    return driver_send(self->driver, MR_OP_sign_in, values, NULL);
}

static bool has_todays_hash(struct fixture *self, unsigned user)
{
    return strncmp(sql_text(self->database->db, "SELECT password_hash FROM millrace.app_user WHERE username = 'user%u'", user),
                   "$argon2id$v=19$m=19456,t=2,p=1$", 31) == 0;
}

static void test_session__signin_makes_an_outdated_hash_anew(void **state)
{
    struct fixture *self = *state;
    uint8_t id[16];

    make_user(self->database->db, 1, id);
    make_user(self->database->db, 2, id);
    set_password(self, 1, "correct horse", 8192);
    set_password(self, 2, "correct horse", 8192);
    assert_int_equal(status_of(self, send_sign_in(self, "user1", "wrong horse")), MR_BAD_CREDENTIALS);
    assert_false(has_todays_hash(self, 1));
    assert_int_equal(status_of(self, send_sign_in(self, "user1", "correct horse")), MR_OK);
    assert_true(has_todays_hash(self, 1));
    assert_false(has_todays_hash(self, 2));
    assert_int_equal(status_of(self, send_sign_in(self, "user1", "correct horse")), MR_OK);
    assert_int_equal(sql_number(self->database->db, "SELECT password_version FROM millrace.app_user WHERE username = 'user1'"), 1);
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM millrace.session"), 2); /* the first one goes on */
}

/* A password that changes while the old one is being checked: the better hash of the old one does not come back. */
static void test_session__a_better_hash_does_not_undo_a_change(void **state)
{
    struct fixture *self = *state;
    unsigned sent;
    uint8_t id[16];

    make_user(self->database->db, 1, id);
    set_password(self, 1, "correct horse", 8192);
    sql_exec(self->holder, "BEGIN; UPDATE millrace.app_user SET password_hash = 'changed', password_version = password_version + 1");
    sent = send_sign_in(self, "user1", "correct horse");
    eventually(backend_pid(self->database->db, "auth/slow", true) != 0);
    sql_exec(self->holder, "COMMIT");
    (void)status_of(self, sent);
    assert_string_equal(sql_text(self->database->db, "SELECT password_hash FROM millrace.app_user"), "changed");
    assert_int_equal(sql_number(self->database->db, "SELECT count(*) FROM millrace.session s JOIN millrace.app_user u USING (password_version)"), 0);
}

static unsigned send_password_change(struct fixture *self, unsigned user, const char *current, const char *new_one)
{
    struct mr_value values[MR_FIELDS_MAX] = {0};
    uint8_t id[16];

    make_id(id, 1, user);
    set_id(value_of(values, MR_OP_password_change, "userId"), id);
    set_text(value_of(values, MR_OP_password_change, "currentPassword"), current);
    set_text(value_of(values, MR_OP_password_change, "newPassword"), new_one);
    return driver_send(self->driver, MR_OP_password_change, values, id);
}

static void test_session__passwords_change_in_a_batch_each_once(void **state)
{
    struct fixture *self = *state;
    unsigned sent[4];

    for (unsigned user = 1; user <= 4; user++) {
        add_session(self, user, user, 1);
        set_password(self, user, "correct horse", 8192);
    }
    sql_exec(self->holder, "BEGIN; SELECT 1 FROM millrace.app_user WHERE username = 'user4' FOR UPDATE");
    send_password_change(self, 4, "correct horse", "new horse 0");
    eventually(backend_pid(self->database->db, "auth/slow", true) != 0);
    sent[0] = send_password_change(self, 2, "correct horse", "new horse 1");
    sent[1] = send_password_change(self, 1, "wrong horse", "new horse 2");
    sent[2] = send_password_change(self, 2, "correct horse", "new horse 3");
    sent[3] = send_password_change(self, 3, "correct horse", "new horse 4");
    unplug(self, MR_OP_password_change);
    assert_int_equal(self->driver->replies[sent[0]].kind, MR_REPLY);
    assert_int_equal(self->driver->replies[sent[3]].kind, MR_REPLY);
    for (unsigned i = 1; i < 3; i++) {
        assert_int_equal(self->driver->replies[sent[i]].status, MR_INVALID);
        assert_string_equal(self->driver->replies[sent[i]].field, "currentPassword");
    }
    assert_true(has_session(self, 1));
    assert_false(has_session(self, 2));
    assert_false(has_session(self, 3));
    assert_int_equal(status_of(self, send_sign_in(self, "user2", "new horse 1")), MR_OK);
    assert_int_equal(status_of(self, send_sign_in(self, "user2", "new horse 3")), MR_BAD_CREDENTIALS);
}

/* As user `user` in session `session` (0: in none), or as nobody (user 0); with a refresh token unless that is NULL. */
static unsigned send_sign_out(struct fixture *self, unsigned user, unsigned session, const char *token)
{
    struct mr_value values[MR_FIELDS_MAX] = {0};
    uint8_t id[16];

    make_id(id, 1, user);
    if (user != 0)
        set_id(value_of(values, MR_OP_sign_out, "userId"), id);
    if (session != 0)
        set_id(value_of(values, MR_OP_sign_out, "sessionId"), (uint8_t[16]){[15] = (uint8_t)session});
    if (token != NULL)
        set_text(value_of(values, MR_OP_sign_out, "refreshToken"), token);
    return driver_send(self->driver, MR_OP_sign_out, values, user != 0 ? id : NULL);
}

static void test_session__signout_in_a_batch_ends_what_each_means(void **state)
{
    struct fixture *self = *state;
    unsigned sent[9];

    for (unsigned number = 1; number <= 12; number++)
        add_session(self, number, (number + 1) / 2, 2); /* 1 and 2 are of user1, ... */
    plug(self);
    sent[0] = send_sign_out(self, 1, 2, NULL);
    sent[1] = send_sign_out(self, 2, 0, NULL);
    sent[2] = send_sign_out(self, 3, 1, NULL);        /* not theirs */
    sent[3] = send_sign_out(self, 77, 0, NULL);       /* there is no such user */
    sent[4] = send_sign_out(self, 0, 0, "token-7-2"); /* live */
    sent[5] = send_sign_out(self, 0, 0, "token-8-1"); /* spent */
    sent[6] = send_sign_out(self, 0, 0, "token-8-9"); /* unknown */
    sent[7] = send_sign_out(self, 5, 9, "token-11-2");
    sent[8] = send_sign_out(self, 77, 0, "token-12-2");
    unplug(self, MR_OP_sign_out);
    for (unsigned i = 0; i < 9; i++)
        assert_int_equal(status_of(self, sent[i]), i == 3 ? MR_INVALID_TOKEN : MR_OK);
    for (unsigned number = 1; number <= 12; number++)
        assert_int_equal(has_session(self, number), number == 1 || number == 5 || number == 6 || number == 10);
}

#define TEST(name)   cmocka_unit_test_setup_teardown(name, setup, teardown)
#define STRICT(name) cmocka_unit_test_setup_teardown(name, setup_strict, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_session__many_users_refresh_in_one_batch),
        TEST(test_session__a_reused_token_harms_no_other_session),
        STRICT(test_session__a_token_twice_in_a_batch_ends_the_session_without_a_grace),
        STRICT(test_session__a_token_spent_this_moment_is_reused_without_a_grace),
        TEST(test_session__one_that_ends_this_moment_gives_nothing),
        TEST(test_session__of_an_older_password_is_over),
        TEST(test_session__a_refresh_survives_a_lost_connection),
        TEST(test_session__a_rotation_that_is_repeated_is_no_reuse),
        TEST(test_session__a_spent_token_gets_the_same_heir_within_the_grace),
        TEST(test_session__a_spent_token_ends_the_session_after_the_grace),
        TEST(test_session__a_grace_ends_when_the_heir_is_spent),
        STRICT(test_session__an_heir_of_the_future_is_no_grace_where_there_is_none),
        TEST(test_session__a_token_that_comes_many_times_in_a_batch_has_one_heir),
        TEST(test_session__a_token_spent_this_moment_by_another_process_gets_its_heir),
        TEST(test_session__an_heir_outlives_a_rotation_of_the_secret),
        TEST(test_session__an_heir_that_cannot_be_made_again_is_none),
        TEST(test_session__a_grace_opens_no_session_that_is_over),
        TEST(test_session__signin_makes_an_outdated_hash_anew),
        TEST(test_session__a_better_hash_does_not_undo_a_change),
        TEST(test_session__passwords_change_in_a_batch_each_once),
        TEST(test_session__signout_in_a_batch_ends_what_each_means),
    };

    return cmocka_run_group_tests(tests, database_server_start, database_server_stop);
}
