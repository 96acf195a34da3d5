/*
 * The first structural test: every row of the map is unique, documented and complete.
 */
#include "actors/auth.h"
#include "actors/data_reader.h"
#include "actors/data_writer.h"
#include "actors/work.h"
#include "jobs/job.h"
#include "gateway/route.h"
#include "runtime/actor.h"
#include "runtime/ledger.h"
#include "sql/sql.h"
#include "tests/support/test.h"

static const struct mr_actor_spec *const specs[] = {&mr_auth_spec, &mr_data_reader_spec, &mr_data_writer_spec, &mr_work_spec, &mr_job_spec};

#define FOR_EACH_OP(info)                                                                                    \
    for (const struct mr_op_info *info = mr_op_info((enum mr_op)0); info < mr_op_info((enum mr_op)0) + MR_OP_COUNT; info++)

static enum mr_op op_of(const struct mr_op_info *info)
{
    return (enum mr_op)(info - mr_op_info((enum mr_op)0));
}

static void test_map__names_and_routes_are_unique(void **state)
{
    (void)state;
    FOR_EACH_OP(a)
        for (const struct mr_op_info *b = a + 1; b < mr_op_info((enum mr_op)0) + MR_OP_COUNT; b++) {
            assert_string_not_equal(a->name, b->name);
            if (a->path != NULL && b->path != NULL && a->verb == b->verb)
                assert_string_not_equal(a->path, b->path);
        }
}

static void test_map__a_row_has_a_verb_if_and_only_if_it_has_a_path(void **state)
{
    (void)state;
    FOR_EACH_OP(info)
    {
        assert_int_equal(info->path != NULL, info->verb != MR_VERB_NONE);
        if (info->path != NULL)
            assert_int_equal(info->path[0], '/');
        assert_int_equal(info->path == NULL, info->access == MR_ACCESS_INTERNAL);
    }
}

static void test_map__every_row_and_field_is_documented(void **state)
{
    (void)state;
    FOR_EACH_OP(info)
    {
        assert_non_null(info->traits->summary);
        assert_true(strlen(info->traits->summary) >= 8);
        assert_true(info->http >= 200 && info->http < 300);
        for (const struct mr_field *f = info->traits->fields; f->name != NULL; f++)
            if (f->about == NULL || strlen(f->about) < 4)
                fail_test("%s.%s is not documented", info->name, f->name);
    }
}

/* Names in the documentation, an alias among them, are what clients are made of. */
static void test_map__ways_have_names_of_their_own(void **state)
{
    unsigned i = 0;

    (void)state;
    for (const struct mr_way *a = mr_way(0); a != NULL; a = mr_way(++i)) {
        unsigned j = i + 1;

        for (const struct mr_way *b = mr_way(j); b != NULL; b = mr_way(++j))
            assert_string_not_equal(a->name, b->name);
        if (a->path != NULL && mr_op_info(a->op)->path == NULL)
            fail_test("%s leads to what has no route", a->name);
    }
}

static void check_members(const struct mr_result *result)
{
    for (const struct mr_member *m = result->members; m != NULL && m->name != NULL; m++) {
        if (m->about == NULL || strlen(m->about) < 4)
            fail_test("%s.%s is not documented", result->name, m->name);
        assert_false(m->json != NULL && m->columns != NULL);
        assert_null(m->columns != NULL ? strchr(m->name, '.') : NULL);
        if (m->json != NULL || m->columns != NULL)
            check_members(m->json != NULL ? m->json : m->columns);
    }
}

/* A body that nobody describes is one that no client can be made for. */
static void test_map__every_success_is_documented(void **state)
{
    (void)state;
    FOR_EACH_OP(info)
    {
        const struct mr_traits *t = info->traits;

        if (info->path == NULL)
            continue;
        if ((info->http != 204) != (t->returns != NULL || t->media != NULL))
            fail_test("%s: what a success tells is not documented, or there is none", info->name);
        assert_false(t->returns != NULL && t->media != NULL);
        if (t->returns != NULL)
            check_members(t->returns);
    }
}

static void test_map__a_success_without_a_body_is_204_or_internal(void **state)
{
    (void)state;
    FOR_EACH_OP(info)
        if (info->path != NULL)
            assert_int_equal(info->traits->shape == MR_SHAPE_NONE, info->http == 204);
}

static void test_map__fields_fit_and_are_unique(void **state)
{
    (void)state;
    FOR_EACH_OP(info)
    {
        assert_true(mr_field_count(op_of(info)) <= MR_FIELDS_MAX);
        assert_true(mr_statement_params(op_of(info)) <= MR_PARAMS_MAX);
        for (const struct mr_field *f = info->traits->fields; f->name != NULL; f++) {
            assert_true(f->min <= f->max || f->max == 0);
            assert_false(f->required && (f->fallback != NULL || f->clearable));
            for (const struct mr_field *g = f + 1; g->name != NULL; g++)
                assert_string_not_equal(f->name, g->name);
        }
    }
}

static bool path_has(const char *path, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = path; (at = strchr(at, ':')) != NULL; at++)
        if (strncmp(at + 1, name, len) == 0 && (at[len + 1] == '/' || at[len + 1] == '\0'))
            return true;
    return false;
}

static void test_map__path_parameters_and_path_fields_are_the_same(void **state)
{
    (void)state;
    FOR_EACH_OP(info)
    {
        unsigned colons = 0;
        unsigned fields = 0;

        for (const char *c = info->path; c != NULL && *c != '\0'; c++)
            colons += *c == ':';
        for (const struct mr_field *f = info->traits->fields; f->name != NULL; f++)
            if (f->from == MR_PATH) {
                assert_true(path_has(info->path, f->name));
                assert_true(f->required);
                fields++;
            }
        assert_int_equal(colons, fields);
    }
}

/* What needs a caller is not public: a field of the caller's id would be read from nowhere. */
static void test_map__access_fits_the_fields(void **state)
{
    (void)state;
    FOR_EACH_OP(info)
        for (const struct mr_field *f = info->traits->fields; f->name != NULL; f++)
            if (f->from == MR_TOKEN_USER || f->from == MR_TOKEN_ADMIN || f->from == MR_TOKEN_SESSION)
                assert_true(info->access == MR_ACCESS_USER || info->access == MR_ACCESS_ADMIN ||
                            (info->access == MR_ACCESS_OPTIONAL && !f->required));
}

/* An API key is no user: what it may call must not ask for one, and its statement has to be told which key it is. */
static void test_map__what_takes_a_key_does_not_need_a_user(void **state)
{
    unsigned found = 0;

    (void)state;
    FOR_EACH_OP(info)
    {
        const struct mr_traits *t = info->traits;
        bool has_key = false;

        for (const struct mr_field *f = t->fields; f->name != NULL; f++) {
            has_key = has_key || f->from == MR_TOKEN_KEY;
            if (t->scopes != NULL && f->required && (f->from == MR_TOKEN_USER || f->from == MR_TOKEN_ADMIN))
                fail_test("%s takes a key, and needs %s", info->name, f->name);
            if (t->scopes == NULL && (f->from == MR_TOKEN_KEY || f->from == MR_TOKEN_ONLY))
                fail_test("%s takes no key, and reads %s", info->name, f->name);
        }
        if (has_key != (t->scopes != NULL) || (has_key && info->access != MR_ACCESS_USER && info->access != MR_ACCESS_ADMIN))
            fail_test("%s: scopes, access and fields do not fit", info->name);
        if (t->narrow != NULL)
            assert_int_equal(t->fields[mr_field_index(op_of(info), t->narrow)].from, MR_PATH);
        found += has_key;
    }
    assert_true(found >= 6);
}

/* Without one anybody could call it, and with one that has to be given nobody could do with an access token alone. */
static void test_map__an_optional_caller_has_a_credential_instead(void **state)
{
    (void)state;
    FOR_EACH_OP(info)
    {
        const char *credential = info->traits->credential;
        int field = credential != NULL ? mr_field_index(op_of(info), credential) : -1;

        assert_int_equal(info->access == MR_ACCESS_OPTIONAL, credential != NULL);
        if (credential == NULL)
            continue;
        assert_true(field >= 0);
        assert_int_equal(info->traits->fields[field].from, MR_BODY);
        assert_false(info->traits->fields[field].required);
        assert_null(info->traits->fields[field].fallback);
        assert_null(info->traits->upload);
        assert_int_equal(info->traits->cache_s, 0);
    }
}

/* The auth actor's ops are limited strictly, so that nobody guesses at leisure (gateway/admit.c). */
static void test_map__who_takes_a_password_or_a_token_is_the_auth_actor(void **state)
{
    (void)state;
    FOR_EACH_OP(info)
        for (const struct mr_field *f = info->traits->fields; f->name != NULL; f++)
            if ((strcasestr(f->name, "password") != NULL || strcasestr(f->name, "token") != NULL) && info->actor != MR_ACTOR_AUTH)
                fail_test("%s takes %s", info->name, f->name);
}

static void test_map__a_user_sees_only_what_is_theirs(void **state)
{
    (void)state;
    FOR_EACH_OP(info)
    {
        bool has_user = false;

        for (const struct mr_field *f = info->traits->fields; f->name != NULL; f++)
            has_user = has_user || f->from == MR_TOKEN_USER;
        if (info->access == MR_ACCESS_USER)
            assert_true(has_user);
    }
}

/* What is kept is kept by path alone: an answer to one user must never be there for another to find. */
static void test_map__what_is_cached_is_public_and_the_same_for_all(void **state)
{
    (void)state;
    FOR_EACH_OP(info)
    {
        if (info->traits->cache_s == 0)
            continue;
        if (info->access != MR_ACCESS_PUBLIC || info->verb != MR_VERB_GET)
            fail_test("%s is kept for everybody, and is not a public GET", info->name);
        for (const struct mr_field *f = info->traits->fields; f->name != NULL; f++)
            if (f->from != MR_PATH && f->from != MR_NEW_ID)
                fail_test("%s is kept by its path, and depends on %s too", info->name, f->name);
    }
}

/* The two are the key of such an operation (mr_message_key), and what the gateway takes for the Idempotency-Key is its header. */
static void test_map__what_is_idempotent_has_one_user_and_one_header(void **state)
{
    (void)state;
    FOR_EACH_OP(info)
    {
        unsigned users = 0;
        unsigned headers = 0;

        for (const struct mr_field *f = info->traits->fields; f->name != NULL; f++) {
            users += f->from == MR_TOKEN_USER;
            headers += f->from == MR_HEADER;
        }
        if (info->traits->idempotent && (users != 1 || headers != 1))
            fail_test("%s is idempotent, and has %u users and %u headers", info->name, users, headers);
    }
}

/* When the last part of an upload has come, its request's head is not there any more. */
static void test_map__an_upload_takes_nothing_from_the_head_that_is_not_kept(void **state)
{
    (void)state;
    FOR_EACH_OP(info)
        for (const struct mr_field *f = info->traits->fields; info->traits->upload != NULL && f->name != NULL; f++)
            if (f->from == MR_QUERY || f->from == MR_IF_MATCH || f->from == MR_BODY)
                fail_test("%s is an upload, and reads %s from what is gone by then", info->name, f->name);
}

static void test_map__traits_name_fields_that_exist(void **state)
{
    (void)state;
    FOR_EACH_OP(info)
    {
        const struct mr_traits *t = info->traits;

        assert_int_equal(t->key != NULL, t->resource != NULL);
        if (t->key != NULL)
            assert_true(t->fields[mr_field_index(op_of(info), t->key)].required);
        for (const struct mr_variant *v = t->variants; v != NULL && v->statement != NULL; v++)
            for (const struct mr_when *when = v->when; when != NULL && when->field != NULL; when++)
                assert_true(mr_field_index(op_of(info), when->field) >= 0);
        for (const char *at = t->location; at != NULL && (at = strchr(at, ':')) != NULL; at++) {
            char name[64];

            snprintf(name, sizeof name, "%.*s", (int)strcspn(at + 1, "/"), at + 1);
            assert_true(mr_field_index(op_of(info), name) >= 0);
        }
        for (const struct mr_field *f = t->fields; f->name != NULL; f++)
            if (f->same_as != NULL) {
                assert_true(mr_field_index(op_of(info), f->same_as) >= 0);
                assert_int_equal(t->fields[mr_field_index(op_of(info), f->same_as)].type, f->type);
            }
    }
}

static bool has_source(const struct mr_op_info *info, enum mr_source source)
{
    for (const struct mr_field *f = info->traits->fields; f->name != NULL; f++)
        if (f->from == source)
            return true;
    return false;
}

/* Whoever looks at one guard looks at both; what has no version is judged in the gateway. */
static void test_map__guards_come_together_and_only_on_writes(void **state)
{
    (void)state;
    FOR_EACH_OP(info)
    {
        assert_int_equal(has_source(info, MR_IF_MATCH), has_source(info, MR_IF_NONE_MATCH));
        if (has_source(info, MR_IF_MATCH))
            assert_true(info->verb != MR_VERB_GET && mr_route_takes(op_of(info), MR_VERB_GET));
    }
}

/* What a cursor belongs to always has a value, one that cannot hold a dot. */
static void test_map__cursors_belong_to_a_choice(void **state)
{
    (void)state;
    FOR_EACH_OP(info)
        for (const struct mr_field *f = info->traits->fields; f->name != NULL; f++) {
            const struct mr_field *other;

            if (f->belongs_to == NULL)
                continue;
            assert_int_equal(f->format, MR_FORMAT_CURSOR);
            assert_true(mr_field_index(op_of(info), f->belongs_to) >= 0);
            other = &info->traits->fields[mr_field_index(op_of(info), f->belongs_to)];
            assert_int_equal(other->format, MR_FORMAT_CHOICE);
            assert_non_null(other->fallback);
            assert_null(strchr(other->choices, '.'));
        }
}

/* Everybody gets the same answer from the cache: it must not be one that somebody may not see. */
static void test_map__only_what_is_public_is_cached(void **state)
{
    (void)state;
    FOR_EACH_OP(info)
        if (info->traits->cache_s > 0)
            assert_true(info->access == MR_ACCESS_PUBLIC && info->verb == MR_VERB_GET && !has_source(info, MR_QUERY));
}

/* Order per key holds within one mailbox: ops of one resource share an actor and a lane. */
static void test_map__ops_of_a_key_share_a_mailbox(void **state)
{
    (void)state;
    FOR_EACH_OP(a)
        FOR_EACH_OP(b)
            if (a->traits->resource != NULL && b->traits->resource != NULL &&
                strcmp(a->traits->resource, b->traits->resource) == 0) {
                assert_int_equal(a->actor, b->actor);
                assert_int_equal(a->traits->lane, b->traits->lane);
            }
}

static void test_map__a_reader_may_be_run_again(void **state)
{
    (void)state;
    FOR_EACH_OP(info)
        if (info->actor == MR_ACTOR_DATA_READER)
            assert_true(info->traits->rerun_safe);
}

static void test_map__sql_has_a_statement_and_code_has_a_handler(void **state)
{
    (void)state;
    FOR_EACH_OP(info)
    {
        if (info->actor == MR_ACTOR_GATEWAY) {
            assert_int_equal(info->handler, MR_BY_CODE);
            continue;
        }
        if (info->handler == MR_BY_SQL) {
            assert_true(mr_statement_find(info->name) != NULL || info->traits->variants != NULL);
            for (const struct mr_variant *v = info->traits->variants; v != NULL && v->statement != NULL; v++)
                assert_non_null(mr_statement_find(v->statement));
            continue;
        }
        for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++)
            if (specs[i]->id == info->actor) {
                assert_non_null(specs[i]->handlers);
                assert_non_null(specs[i]->handlers[op_of(info)]);
            }
    }
}

static void test_map__every_actor_has_a_spec(void **state)
{
    (void)state;
    FOR_EACH_OP(info)
    {
        bool found = info->actor == MR_ACTOR_GATEWAY;

        for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++)
            found = found || specs[i]->id == info->actor;
        assert_true(found);
    }
}

/* Of a job, of the scheduler, of who pushes, or of a start: "cleanup__tasks/all", "schedule__tick", "push__look", "declaration__hold". */
static bool is_of_a_job(const char *statement)
{
    size_t len = strcspn(statement, "_");

    for (int job = 0; job < MR_JOB_COUNT; job++)
        if (strlen(mr_job_info((enum mr_job)job)->name) == len && strncmp(statement, mr_job_info((enum mr_job)job)->name, len) == 0)
            return strncmp(statement + len, "__", 2) == 0;
    return strncmp(statement, "schedule__", 10) == 0 || strncmp(statement, "push__", 6) == 0 ||
           strncmp(statement, "declaration__", 13) == 0;
}

/* What it asks beside the statements of an application's operations, and what those that import have under names of their own. */
static bool is_of_the_runtime(const char *statement)
{
    return strncmp(statement, "row_wise__", 10) == 0 || strcmp(statement, "import_run") == 0;
}

static bool belongs(const char *statement)
{
    FOR_EACH_OP(info)
    {
        size_t len = strlen(info->name);

        if (strncmp(statement, info->name, len) == 0 && (statement[len] == '\0' || statement[len] == '/' || strncmp(statement + len, "__", 2) == 0))
            return true;
    }
    return false;
}

static void test_map__every_statement_belongs_to_an_op_and_is_unique(void **state)
{
    (void)state;
    for (const struct mr_statement *a = mr_statements; a->name != NULL; a++) {
        if (!belongs(a->name) && !is_of_a_job(a->name) && !is_of_the_runtime(a->name))
            fail_test("statement %s belongs to no op and to no job", a->name);
        for (const struct mr_statement *b = a + 1; b->name != NULL; b++)
            assert_string_not_equal(a->name, b->name);
    }
}

static void test_map__migrations_count_from_one(void **state)
{
    int version = 1;

    (void)state;
    for (const struct mr_migration *m = mr_migrations; m->name != NULL; m++) {
        assert_int_equal(m->version, version++);
        assert_true(strlen(m->text) > 0);
    }
}

/* Words that take something away from a release that is still running. */
static const char *contracting_word(const char *text)
{
    /* The ledger's own, which the table that it shows replaces. */
    static const char view[] = "DROP VIEW millrace.schema_migration;";
    static const char *const words[] = {"DROP TABLE",  "DROP COLUMN", "DROP FUNCTION", "RENAME ",   "SET NOT NULL",
                                        "SET DATA TYPE", "DROP DEFAULT",  "TRUNCATE",      "DROP VIEW", "DROP SEQUENCE"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        for (const char *at = text; (at = strcasestr(at, words[i])) != NULL; at++)
            if (strncmp(at, view, strlen(view)) != 0)
                return words[i];
    return NULL;
}

/* The release before the ledger knows 7 and uses all that they made. CONTRIBUTING.md: expand, then contract. */
static void test_map__a_migration_says_who_still_runs_on_what_it_leaves(void **state)
{
    (void)state;
    for (const struct mr_migration *m = mr_migrations; m->name != NULL; m++) {
        const char *word = contracting_word(m->text);

        if (m->version < MR_LEDGER_FIRST) {
            assert_int_equal(m->runs_with, 0);
            continue;
        }
        assert_in_range(m->runs_with, MR_LEDGER_FIRST - 1, m->version - 1);
        if (word != NULL && m->runs_with < MR_LEDGER_FIRST)
            fail_test("%s runs with %d, but says %s", m->name, m->runs_with, word);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map__names_and_routes_are_unique),
        cmocka_unit_test(test_map__a_row_has_a_verb_if_and_only_if_it_has_a_path),
        cmocka_unit_test(test_map__every_row_and_field_is_documented),
        cmocka_unit_test(test_map__ways_have_names_of_their_own),
        cmocka_unit_test(test_map__every_success_is_documented),
        cmocka_unit_test(test_map__a_success_without_a_body_is_204_or_internal),
        cmocka_unit_test(test_map__fields_fit_and_are_unique),
        cmocka_unit_test(test_map__path_parameters_and_path_fields_are_the_same),
        cmocka_unit_test(test_map__access_fits_the_fields),
        cmocka_unit_test(test_map__what_takes_a_key_does_not_need_a_user),
        cmocka_unit_test(test_map__an_optional_caller_has_a_credential_instead),
        cmocka_unit_test(test_map__who_takes_a_password_or_a_token_is_the_auth_actor),
        cmocka_unit_test(test_map__a_user_sees_only_what_is_theirs),
        cmocka_unit_test(test_map__what_is_cached_is_public_and_the_same_for_all),
        cmocka_unit_test(test_map__what_is_idempotent_has_one_user_and_one_header),
        cmocka_unit_test(test_map__an_upload_takes_nothing_from_the_head_that_is_not_kept),
        cmocka_unit_test(test_map__traits_name_fields_that_exist),
        cmocka_unit_test(test_map__ops_of_a_key_share_a_mailbox),
        cmocka_unit_test(test_map__a_reader_may_be_run_again),
        cmocka_unit_test(test_map__sql_has_a_statement_and_code_has_a_handler),
        cmocka_unit_test(test_map__every_actor_has_a_spec),
        cmocka_unit_test(test_map__every_statement_belongs_to_an_op_and_is_unique),
        cmocka_unit_test(test_map__migrations_count_from_one),
        cmocka_unit_test(test_map__a_migration_says_who_still_runs_on_what_it_leaves),
        cmocka_unit_test(test_map__guards_come_together_and_only_on_writes),
        cmocka_unit_test(test_map__cursors_belong_to_a_choice),
        cmocka_unit_test(test_map__only_what_is_public_is_cached),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
