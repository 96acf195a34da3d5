/*
 * The PostgreSQL of `millrace all`: one at a time, kept data, and what a crash leaves behind.
 */
#include "app/embedded.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/log.h"
#include "tests/support/database.h"
#include "tests/support/test.h"

static char state_dir[64];

static int setup(void **state)
{
    (void)state;
    mr_log_setup((enum mr_log_level)(MR_LOG_ERROR + 1), false);
    snprintf(state_dir, sizeof state_dir, "/tmp/millrace-embedded-XXXXXX");
    return mkdtemp(state_dir) != NULL && chmod(state_dir, 0755) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", state_dir);
    return system(command);
}

static mr_status start(struct mr_embedded **out, struct mr_buf *problem)
{
    struct mr_embedded_options options = {.state_dir = state_dir, .bin_dir = "", .database = "kept", .settings = "-c fsync=off -c shared_buffers=1MB"};

    mr_buf_clear(problem, SIZE_MAX);
    return mr_embedded_start(out, &options, problem);
}

static mr_db *connect_to(const struct mr_embedded *server)
{
    static struct mr_config config;
    struct mr_db_options options = {.config = &config, .clock = &mr_system_clock, .application_name = "embedded_test"};
    mr_db *db = NULL;

    database_config(&config, "kept");
    options.host = mr_embedded_host(server);
    assert_int_equal(mr_db_new(&db, &options, NULL), MR_OK);
    eventually(mr_db_reconnect(db) == MR_OK);
    return db;
}

static pid_t recorded_pid(void)
{
    char path[128];
    long pid = 0;
    FILE *file;

    snprintf(path, sizeof path, "%s/postgres/data/postmaster.pid", state_dir);
    file = fopen(path, "r");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%ld", &pid) != 1)
        pid = 0;
    fclose(file);
    return (pid_t)pid;
}

static mode_t mode_of(const char *path)
{
    struct stat info;

    assert_int_equal(stat(path, &info), 0);
    return info.st_mode & 0777;
}

/* One cluster serves all of this, because making one is what takes longest. */
static void test_embedded__a_life(void **state)
{
    struct mr_embedded *server = NULL;
    struct mr_embedded *second = NULL;
    struct mr_buf problem = {0};
    char path[128];
    mr_db *db;
    pid_t pid;
    FILE *file;

    (void)state;
    if (start(&server, &problem) != MR_OK)
        fail_test("%.*s", (int)problem.len, problem.data);
    db = connect_to(server);
    sql_exec(db, "CREATE TABLE kept (n integer); INSERT INTO kept VALUES (42)");
    assert_string_equal(sql_text(db, "SHOW listen_addresses"), "");
    assert_int_equal(mode_of(mr_embedded_host(server)), 0700);

    /* a second one on the same directory is refused, and the first does not mind */
    assert_int_equal(start(&second, &problem), MR_UNAVAILABLE);
    assert_non_null(memmem(problem.data, problem.len, "another `millrace all`", 22));
    assert_int_equal(sql_number(db, "SELECT n FROM kept"), 42);
    mr_db_destroy(&db);

    /* a server that dies is started again */
    pid = recorded_pid();
    assert_true(pid > 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    eventually(recorded_pid() > 0 && recorded_pid() != pid);
    db = connect_to(server);
    assert_int_equal(sql_number(db, "SELECT n FROM kept"), 42);
    mr_db_destroy(&db);

    /* stopped, it is gone; started, the data are there */
    pid = recorded_pid();
    mr_embedded_stop(&server, 10000);
    assert_null(server);
    assert_int_not_equal(kill(pid, 0), 0);
    mr_embedded_stop(&server, 10000);

    /* the pid file of a process that is something else by now */
    snprintf(path, sizeof path, "%s/postgres/data/postmaster.pid", state_dir);
    file = fopen(path, "w");
    fprintf(file, "%d\n%s/postgres/data\n", (int)getpid(), state_dir);
    fclose(file);
    if (start(&server, &problem) != MR_OK)
        fail_test("a stale pid file: %.*s", (int)problem.len, problem.data);
    db = connect_to(server);
    assert_int_equal(sql_number(db, "SELECT n FROM kept"), 42);
    mr_db_destroy(&db);
    mr_embedded_stop(&server, 10000);
    mr_buf_fini(&problem);
}

/* A Millrace that is killed takes its server with it, and the next one finds the data. */
static void test_embedded__after_a_kill(void **state)
{
    struct mr_embedded *server = NULL;
    struct mr_buf problem = {0};
    mr_db *db;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        if (start(&server, &problem) != MR_OK)
            _exit(1);
        db = connect_to(server);
        sql_exec(db, "CREATE TABLE kept (n integer); INSERT INTO kept VALUES (43)");
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    if (start(&server, &problem) != MR_OK)
        fail_test("%.*s", (int)problem.len, problem.data);
    assert_true(recorded_pid() > 0);
    db = connect_to(server);
    assert_int_equal(sql_number(db, "SELECT n FROM kept"), 43);
    mr_db_destroy(&db);
    mr_embedded_stop(&server, 10000);
    mr_buf_fini(&problem);
}

static void test_embedded__without_its_programs_it_says_so(void **state)
{
    struct mr_embedded_options options = {.state_dir = state_dir, .bin_dir = "/nonexistent", .database = "x"};
    struct mr_embedded *server = NULL;
    struct mr_buf problem = {0};

    (void)state;
    assert_int_equal(mr_embedded_start(&server, &options, &problem), MR_UNAVAILABLE);
    assert_non_null(memmem(problem.data, problem.len, "MILLRACE_PG_BIN", 15));
    assert_null(server);
    mr_buf_fini(&problem);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_embedded__a_life),
        TEST(test_embedded__after_a_kill),
        TEST(test_embedded__without_its_programs_it_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
