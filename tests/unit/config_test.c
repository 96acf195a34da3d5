#include "runtime/config.h"

#include <jansson.h>
#include <unistd.h>

#include "tests/support/test.h"

/* The environment of a test: pairs of name and value, ended by NULL. */
static const char *const *environment;

/* Of an application: one that is a secret, and one that the engine has, too. */
static const struct mr_config_variable variables[] = {{"SHOP_CRON", "cron", "0 4 * * *", "when the shop sweeps", false},
                                                      {"SHOP_SECRET", "text", "", "signs calls", true},
                                                      {"SHOP_SCOPE", "old|all", "old", "what goes", false},
                                                      {"APP_PORT", "text", "", "the engine's own", false}};
static const struct mr_config_more more = {variables, sizeof variables / sizeof variables[0]};

static const char *get(const char *name)
{
    for (const char *const *pair = environment; *pair != NULL; pair += 2)
        if (strcmp(pair[0], name) == 0)
            return pair[1];
    return NULL;
}

#define ENV(...) ((const char *const[]){__VA_ARGS__, NULL})

static mr_status read_config(struct mr_config *out, enum mr_role_of_process role, const char *const *env, struct mr_buf *problems)
{
    environment = env;
    mr_buf_clear(problems, SIZE_MAX);
    return mr_config_read(out, role, get, NULL, problems);
}

/* Reads with one setting; fails the test when it is refused. */
static struct mr_config with(const char *name, const char *value)
{
    struct mr_buf problems = {0};
    struct mr_config config;

    if (read_config(&config, MR_RUN_ALL, ENV(name, value), &problems) != MR_OK)
        fail_test("%s=%s: %.*s", name, value, (int)problems.len, problems.data);
    mr_buf_fini(&problems);
    return config;
}

static void refused(const char *name, const char *value)
{
    struct mr_buf problems = {0};
    struct mr_config config;

    if (read_config(&config, MR_RUN_ALL, ENV(name, value), &problems) == MR_OK)
        fail_test("%s=%s was taken", name, value);
    assert_non_null(memmem(problems.data, problems.len, name, strlen(name)));
    mr_buf_fini(&problems);
}

static void test_config__defaults_are_complete(void **state)
{
    struct mr_buf problems = {0};
    struct mr_config config;

    (void)state;
    assert_int_equal(read_config(&config, MR_RUN_ALL, ((const char *const[]){NULL}), &problems), MR_OK);
    assert_int_equal(config.app_port, 3000);
    assert_int_equal(config.jwt_expires_in, 3600000);
    assert_int_equal(config.request_timeout, 10000);
    assert_int_equal(config.mailbox_max_bytes, 16 * 1024 * 1024);
    assert_true(config.db_migrations_run);
    assert_string_equal(config.jwt_secret, ""); /* `all` makes one */
    assert_int_equal(config.refresh_grace, 10000);
    assert_string_equal(config.db_database, "millrace");
    mr_buf_fini(&problems);
}

static void test_config__durations(void **state)
{
    (void)state;
    assert_int_equal(with("JWT_EXPIRES_IN", "30m").jwt_expires_in, 1800000);
    assert_int_equal(with("JWT_EXPIRES_IN", "1h").jwt_expires_in, 3600000);
    assert_int_equal(with("JWT_EXPIRES_IN", "7d").jwt_expires_in, 604800000);
    assert_int_equal(with("JWT_EXPIRES_IN", "90").jwt_expires_in, 90000);
    assert_int_equal(with("DB_LOCK_TIMEOUT", "250ms").db_lock_timeout, 250);
    for (const char *const *bad = ENV("0s", "31d", "1 h", "h", "-1h", "1.5h", "1w", "1H", "99999999999999999999d", "106751991167301d", "1h30m", " 1h"); *bad != NULL; bad++)
        refused("JWT_EXPIRES_IN", *bad);
}

static void test_config__bytes(void **state)
{
    (void)state;
    assert_int_equal(with("MAILBOX_MAX_BYTES", "2048").mailbox_max_bytes, 2048);
    assert_int_equal(with("MAILBOX_MAX_BYTES", "64KiB").mailbox_max_bytes, 65536);
    assert_int_equal(with("MAILBOX_MAX_BYTES", "1024MiB").mailbox_max_bytes, 1073741824);
    for (const char *const *bad = ENV("1023", "1025MiB", "1KB", "1kib", "1GiB", "-1", "KiB"); *bad != NULL; bad++)
        refused("MAILBOX_MAX_BYTES", *bad);
}

static void test_config__integers_booleans_and_choices(void **state)
{
    (void)state;
    assert_int_equal(with("APP_PORT", "1").app_port, 1);
    assert_int_equal(with("APP_PORT", "65535").app_port, 65535);
    for (const char *const *bad = ENV("0", "65536", "-1", "80a", "0x50", "8 0", "3e3", "99999999999999999999"); *bad != NULL; bad++)
        refused("APP_PORT", *bad);
    assert_false(with("DB_MIGRATIONS_RUN", "false").db_migrations_run);
    for (const char *const *bad = ENV("yes", "1", "TRUE", "tru"); *bad != NULL; bad++)
        refused("DB_MIGRATIONS_RUN", *bad);
    assert_string_equal(with("LOGGING_LEVEL", "error").logging_level, "error");
    for (const char *const *bad = ENV("fatal", "ERROR", "err", "errors", "debug|info", "|", "info|"); *bad != NULL; bad++)
        refused("LOGGING_LEVEL", *bad);
}

static void test_config__every_problem_is_told_at_once(void **state)
{
    struct mr_buf problems = {0};
    struct mr_config config;
    unsigned lines = 0;

    (void)state;
    assert_int_equal(read_config(&config, MR_RUN_API,
                                 ENV("APP_PORT", "none", "DB_PORT", "99999", "LOGGING_FORMAT", "xml", "JWT_EXPIRES_IN", "soon", "NODE_ENV", "production"),
                                 &problems),
                     MR_INVALID);
    for (size_t i = 0; i < problems.len; i++)
        lines += problems.data[i] == '\n';
    mr_buf_char(&problems, '\0');
    assert_int_equal(lines, 6); /* those four, no DB_HOST, no secret */
    for (const char *const *part = ENV("APP_PORT=none: expected an integer, 1..65535\n", "DB_PORT=99999: expected", "LOGGING_FORMAT=xml: expected one of json|pretty",
                                       "JWT_EXPIRES_IN=soon: expected a duration", "DB_HOST: expected", "JWT_SECRET: expected");
         *part != NULL; part++)
        if (strstr(problems.data, *part) == NULL)
            fail_test("\"%s\" is not in:\n%s", *part, problems.data);
    mr_buf_fini(&problems);
}

static void test_config__production_wants_a_secret_of_its_own(void **state)
{
    static const struct {
        const char *secret;
        mr_status status;
    } cases[] = {{"", MR_INVALID}, {"short", MR_INVALID}, {"31 bytes are one byte too short", MR_INVALID},
                 {"32 bytes are just about enough..", MR_OK}, {MR_EXAMPLE_JWT_SECRET, MR_INVALID}};
    struct mr_buf problems = {0};
    struct mr_config config;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const *env = ENV("NODE_ENV", "production", "DB_HOST", "db", "JWT_SECRET", cases[i].secret);

        assert_int_equal(read_config(&config, MR_RUN_API, env, &problems), cases[i].status);
        if (cases[i].secret[0] != '\0')
            assert_null(memmem(problems.data != NULL ? problems.data : "", problems.len, cases[i].secret, strlen(cases[i].secret)));
        assert_int_equal(read_config(&config, MR_RUN_SCHEDULER, env, &problems), MR_OK);
        assert_int_equal(read_config(&config, MR_RUN_MIGRATE, env, &problems), MR_OK);
    }
    mr_buf_fini(&problems);
}

/* That development is the default of NODE_ENV says nothing: an API would sign with a secret that everybody knows. */
static void test_config__an_api_needs_a_secret_unless_development_is_said(void **state)
{
    static const struct {
        const char *stage;
        const char *secret;
        mr_status status;
        const char *used;
    } cases[] = {{"", "", MR_INVALID, ""},
                 {"test", "", MR_INVALID, ""},
                 {"development", "", MR_OK, MR_EXAMPLE_JWT_SECRET},
                 {"", MR_EXAMPLE_JWT_SECRET, MR_INVALID, ""},
                 {"test", MR_EXAMPLE_JWT_SECRET, MR_INVALID, ""},
                 {"development", MR_EXAMPLE_JWT_SECRET, MR_OK, MR_EXAMPLE_JWT_SECRET},
                 {"", "mine", MR_OK, "mine"},
                 {"development", "mine", MR_OK, "mine"}};
    struct mr_buf problems = {0};
    struct mr_config config;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const *env = ENV("NODE_ENV", cases[i].stage, "DB_HOST", "db", "JWT_SECRET", cases[i].secret);

        assert_int_equal(read_config(&config, MR_RUN_API, env, &problems), cases[i].status);
        if (cases[i].status == MR_OK)
            assert_string_equal(config.jwt_secret, cases[i].used);
        else
            assert_non_null(memmem(problems.data, problems.len, "JWT_SECRET", 10));
    }
    mr_buf_fini(&problems);
}

/* Its own beats one that everybody knows, also in development; production leaves nothing to chance. */
static void test_config__all_is_left_to_make_a_secret_except_in_production(void **state)
{
    struct mr_buf problems = {0};
    struct mr_config config;

    (void)state;
    assert_string_equal(with("NODE_ENV", "development").jwt_secret, "");
    assert_string_equal(with("NODE_ENV", "test").jwt_secret, "");
    assert_string_equal(with("JWT_SECRET", "mine").jwt_secret, "mine");
    assert_int_equal(read_config(&config, MR_RUN_ALL, ENV("NODE_ENV", "production"), &problems), MR_INVALID);
    refused("JWT_SECRET", MR_EXAMPLE_JWT_SECRET);
    mr_buf_fini(&problems);
}

/* It verifies as much as the other does; but there may be none. */
static void test_config__production_wants_a_previous_secret_as_strong(void **state)
{
    static const struct {
        const char *previous;
        mr_status status;
    } cases[] = {{"", MR_OK}, {"short", MR_INVALID}, {"31 bytes are one byte too short", MR_INVALID},
                 {"32 bytes are just about enough..", MR_OK}, {MR_EXAMPLE_JWT_SECRET, MR_INVALID}};
    struct mr_buf problems = {0};
    struct mr_config config;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const *env = ENV("NODE_ENV", "production", "DB_HOST", "db", "JWT_SECRET", "a secret of the tests, long enough as well",
                                     "JWT_SECRET_PREVIOUS", cases[i].previous);

        problems.len = 0;
        assert_int_equal(read_config(&config, MR_RUN_API, env, &problems), cases[i].status);
        mr_buf_char(&problems, '\0');
        assert_int_equal(strstr(problems.data, "JWT_SECRET_PREVIOUS=***: expected") != NULL, cases[i].status != MR_OK);
        assert_int_equal(read_config(&config, MR_RUN_SCHEDULER, env, &problems), MR_OK);
    }
    assert_string_equal(with("JWT_SECRET_PREVIOUS", "short").jwt_secret_previous, "short"); /* not in production */
    mr_buf_fini(&problems);
}

static void test_config__a_role_ignores_what_is_not_for_it(void **state)
{
    struct mr_buf problems = {0};
    struct mr_config config;
    const char *const *env = ENV("DB_HOST", "db", "APP_PORT", "nonsense", "JWT_EXPIRES_IN", "nonsense", "JWT_SECRET", "s");

    (void)state;
    assert_int_equal(read_config(&config, MR_RUN_MIGRATE, env, &problems), MR_OK);
    assert_int_equal(config.app_port, 3000);
    assert_string_equal(config.jwt_secret, "");
    assert_int_equal(read_config(&config, MR_RUN_API, env, &problems), MR_INVALID);
    mr_buf_fini(&problems);
}

static void test_config__only_all_does_without_a_database_host(void **state)
{
    struct mr_buf problems = {0};
    struct mr_config config;

    (void)state;
    assert_int_equal(read_config(&config, MR_RUN_ALL, ((const char *const[]){NULL}), &problems), MR_OK);
    assert_int_equal(read_config(&config, MR_RUN_API, ((const char *const[]){NULL}), &problems), MR_INVALID);
    assert_int_equal(read_config(&config, MR_RUN_SCHEDULER, ((const char *const[]){NULL}), &problems), MR_INVALID);
    assert_int_equal(read_config(&config, MR_RUN_MIGRATE, ((const char *const[]){NULL}), &problems), MR_INVALID);
    mr_buf_fini(&problems);
}

/* Without a database `check` starts one of its own, as `all` does, by the same programs. */
static void test_config__check_does_without_a_database_host(void **state)
{
    struct mr_buf problems = {0};
    struct mr_config config;

    (void)state;
    assert_int_equal(read_config(&config, MR_RUN_CHECK, ENV("MILLRACE_PG_BIN", "/opt/pg", "APP_PORT", "none"), &problems), MR_OK);
    assert_string_equal(config.pg_bin_dir, "/opt/pg");
    assert_int_equal(read_config(&config, MR_RUN_CHECK, ENV("DB_HOST", "db", "DB_PORT", "none"), &problems), MR_INVALID);
    mr_buf_fini(&problems);
}

static void test_config__aliases_and_empty_values(void **state)
{
    struct mr_buf problems = {0};
    struct mr_config config;

    (void)state;
    assert_int_equal(read_config(&config, MR_RUN_ALL, ENV("DB_USERNAME", "alias", "DB_PASSWORD", "word", "APP_PORT", ""), &problems), MR_OK);
    assert_string_equal(config.db_user, "alias");
    assert_string_equal(config.db_pass, "word");
    assert_int_equal(config.app_port, 3000);
    assert_int_equal(read_config(&config, MR_RUN_ALL, ENV("DB_USERNAME", "alias", "DB_USER", "name"), &problems), MR_OK);
    assert_string_equal(config.db_user, "name");
    assert_int_equal(read_config(&config, MR_RUN_ALL, ENV("DB_USERNAME", "alias", "DB_USER", ""), &problems), MR_OK);
    assert_string_equal(config.db_user, "alias");
    mr_buf_fini(&problems);
}

static void test_config__secrets_are_masked_wherever_they_could_show(void **state)
{
    struct mr_buf out = {0};

    (void)state;
    environment = ENV("JWT_SECRET", "hunter2-hunter2", "DB_PASSWORD", "hunter2");
    mr_config_print(&out, get, &more);
    mr_config_print_json(&out, get, &more);
    assert_null(memmem(out.data, out.len, "hunter2", 7));
    assert_non_null(memmem(out.data, out.len, "JWT_SECRET=***", 14));
    assert_non_null(memmem(out.data, out.len, "DB_PASS=***", 11));
    mr_buf_fini(&out);
}

static void test_config__what_the_application_has_beside_is_printed(void **state)
{
    struct mr_buf out = {0};

    (void)state;
    environment = ENV("SHOP_SECRET", "hush", "SHOP_CRON", "1 2 3 4 5");
    mr_config_print(&out, get, &more);
    mr_config_print_json(&out, get, &more);
    mr_config_print_markdown(&out, &more);
    mr_buf_char(&out, '\0');
    assert_non_null(strstr(out.data, "\nSHOP_CRON=1 2 3 4 5\nSHOP_SECRET=***\nSHOP_SCOPE=old\n"));
    assert_null(strstr(out.data, "hush"));
    assert_null(strstr(out.data, "the engine's own"));
    assert_non_null(strstr(out.data, "| `SHOP_CRON` | `0 4 * * *` | cron | when the shop sweeps |\n"));
    assert_non_null(strstr(out.data, "| `SHOP_SECRET` |  | secret | signs calls |\n"));
    assert_non_null(strstr(out.data, "| `SHOP_SCOPE` | `old` | old, all | what goes |\n"));
    mr_buf_fini(&out);
}

static void test_config__the_json_print_out_is_json(void **state)
{
    struct mr_buf out = {0};
    json_t *settings;
    json_t *setting;
    size_t i;
    unsigned ports = 0;

    (void)state;
    environment = ENV("APP_PORT", "8080", "APP_VERSION", "a \"quoted\" \\ one");
    mr_config_print_json(&out, get, &more);
    settings = json_loadb(out.data, out.len, 0, NULL);
    assert_true(json_array_size(settings) > 20);
    json_array_foreach(settings, i, setting)
    {
        assert_true(json_array_size(json_object_get(setting, "roles")) > 0);
        assert_true(strlen(json_string_value(json_object_get(setting, "about"))) > 5);
        if (strcmp(json_string_value(json_object_get(setting, "name")), "APP_PORT") == 0) {
            assert_string_equal(json_string_value(json_object_get(setting, "value")), "8080");
            ports++;
        }
    }
    assert_int_equal(ports, 1);
    json_decref(settings);
    mr_buf_fini(&out);
}

static void test_config__the_markdown_table_has_four_cells_a_row(void **state)
{
    struct mr_buf out = {0};
    char *rest = NULL;

    (void)state;
    mr_config_print_markdown(&out, &more);
    mr_buf_char(&out, '\0');
    for (char *line = strtok_r(out.data, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        unsigned bars = 0;

        for (const char *c = line; *c != '\0'; c++)
            bars += *c == '|';
        if (bars != 5)
            fail_test("%s", line);
    }
    mr_buf_fini(&out);
}

static void test_config__a_dotenv_file_fills_gaps_only(void **state)
{
    char path[] = "/tmp/millrace-dotenv-XXXXXX";
    int fd = mkstemp(path);
    static const char text[] = "# comment\n\nMR_TEST_PLAIN=plain\n  MR_TEST_BLANKS =  two words  \nMR_TEST_QUOTED=\"in quotes\"\nMR_TEST_SINGLE='x=y'\n"
                               "MR_TEST_SET=from file\nno equals sign\nMR_TEST_HALF=\"half\nMR_TEST_LAST=last";

    (void)state;
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    setenv("MR_TEST_SET", "from environment", 1);
    assert_int_equal(mr_config_load_dotenv(path), MR_OK);
    unlink(path);
    assert_string_equal(getenv("MR_TEST_PLAIN"), "plain");
    assert_string_equal(getenv("MR_TEST_BLANKS"), "two words");
    assert_string_equal(getenv("MR_TEST_QUOTED"), "in quotes");
    assert_string_equal(getenv("MR_TEST_SINGLE"), "x=y");
    assert_string_equal(getenv("MR_TEST_SET"), "from environment");
    assert_string_equal(getenv("MR_TEST_HALF"), "\"half");
    assert_string_equal(getenv("MR_TEST_LAST"), "last");
    assert_int_equal(mr_config_load_dotenv("/nonexistent/.env"), MR_OK);
    assert_int_not_equal(mr_config_load_dotenv("/dev/null/.env"), MR_OK);
}

/* A file with a secret in it, named by a variable; the path is the caller's to unlink. */
static void give_file(const char *name, char *path, const char *text, size_t len)
{
    int fd = mkstemp(path);

    assert_int_equal(write(fd, text, len), len);
    close(fd);
    setenv(name, path, 1);
}

static void forget_secrets(void)
{
    static const char *const names[] = {"DB_PASS",    "DB_PASS_FILE",    "DB_PASSWORD", "DB_PASSWORD_FILE",
                                        "JWT_SECRET", "JWT_SECRET_FILE", "DB_HOST_FILE"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
}

static void secret_is(const char *variable, const char *text, size_t len, const char *setting, const char *expected)
{
    char path[] = "/tmp/millrace-secret-XXXXXX";
    struct mr_buf problems = {0};

    forget_secrets();
    give_file(variable, path, text, len);
    assert_int_equal(mr_config_load_secrets(MR_RUN_API, &problems), expected != NULL ? MR_OK : MR_INVALID);
    if (expected != NULL)
        assert_string_equal(getenv(setting), expected);
    else
        assert_non_null(memmem(problems.data, problems.len, path, strlen(path)));
    unlink(path);
    mr_buf_fini(&problems);
    forget_secrets();
}

static void test_config__a_secret_may_stand_in_a_file(void **state)
{
    static char large[5000];

    (void)state;
    memset(large, 'x', sizeof large);
    secret_is("DB_PASS_FILE", "one line\n", 9, "DB_PASS", "one line");
    secret_is("DB_PASSWORD_FILE", "no end", 6, "DB_PASS", "no end");
    secret_is("JWT_SECRET_FILE", " kept \r\n", 8, "JWT_SECRET", " kept ");
    secret_is("JWT_SECRET_FILE", "two\n\n", 5, "JWT_SECRET", "two\n");
    secret_is("DB_PASS_FILE", "", 0, NULL, NULL);
    secret_is("DB_PASS_FILE", "\n", 1, NULL, NULL);
    secret_is("DB_PASS_FILE", "a\0b", 3, NULL, NULL);
    secret_is("DB_PASS_FILE", large, sizeof large, NULL, NULL);
}

static void test_config__a_secret_comes_from_one_place(void **state)
{
    char path[] = "/tmp/millrace-secret-XXXXXX";
    struct mr_buf problems = {0};

    (void)state;
    forget_secrets();
    give_file("DB_PASS_FILE", path, "from file", 9);
    setenv("DB_PASSWORD", "from environment", 1);
    assert_int_equal(mr_config_load_secrets(MR_RUN_API, &problems), MR_INVALID);
    assert_non_null(memmem(problems.data, problems.len, "is set as well", 14));
    assert_null(memmem(problems.data, problems.len, "from ", 5));
    unlink(path);
    mr_buf_fini(&problems);
    forget_secrets();
}

static void test_config__a_role_reads_its_own_files_of_secrets_only(void **state)
{
    struct mr_buf problems = {0};

    (void)state;
    forget_secrets();
    setenv("JWT_SECRET_FILE", "/nonexistent/secret", 1);
    setenv("DB_HOST_FILE", "/nonexistent/host", 1);
    assert_int_equal(mr_config_load_secrets(MR_RUN_SCHEDULER, &problems), MR_OK);
    assert_int_equal(mr_config_load_secrets(MR_RUN_API, &problems), MR_INVALID);
    assert_non_null(memmem(problems.data, problems.len, "JWT_SECRET_FILE=/nonexistent/secret", 35));
    assert_null(memmem(problems.data, problems.len, "DB_HOST", 7));
    mr_buf_fini(&problems);
    forget_secrets();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config__defaults_are_complete),
        cmocka_unit_test(test_config__durations),
        cmocka_unit_test(test_config__bytes),
        cmocka_unit_test(test_config__integers_booleans_and_choices),
        cmocka_unit_test(test_config__every_problem_is_told_at_once),
        cmocka_unit_test(test_config__production_wants_a_secret_of_its_own),
        cmocka_unit_test(test_config__an_api_needs_a_secret_unless_development_is_said),
        cmocka_unit_test(test_config__all_is_left_to_make_a_secret_except_in_production),
        cmocka_unit_test(test_config__production_wants_a_previous_secret_as_strong),
        cmocka_unit_test(test_config__a_role_ignores_what_is_not_for_it),
        cmocka_unit_test(test_config__only_all_does_without_a_database_host),
        cmocka_unit_test(test_config__check_does_without_a_database_host),
        cmocka_unit_test(test_config__aliases_and_empty_values),
        cmocka_unit_test(test_config__secrets_are_masked_wherever_they_could_show),
        cmocka_unit_test(test_config__what_the_application_has_beside_is_printed),
        cmocka_unit_test(test_config__the_json_print_out_is_json),
        cmocka_unit_test(test_config__the_markdown_table_has_four_cells_a_row),
        cmocka_unit_test(test_config__a_dotenv_file_fills_gaps_only),
        cmocka_unit_test(test_config__a_secret_may_stand_in_a_file),
        cmocka_unit_test(test_config__a_secret_comes_from_one_place),
        cmocka_unit_test(test_config__a_role_reads_its_own_files_of_secrets_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
