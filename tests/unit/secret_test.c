/*
 * The secret that `millrace all` keeps: made once, whole, by one of many, and refused when it is no good.
 */
#include "app/secret.h"

#include <dirent.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/config.h"
#include "tests/support/test.h"

enum { PATH_ROOM = 256 };

struct fixture {
    char home[PATH_ROOM];
    char state[PATH_ROOM + 8]; /* below it; not made yet */
    char path[PATH_ROOM + 32];
};

static int setup(void **state)
{
    struct fixture *self = calloc(1, sizeof *self);

    strcpy(self->home, "/tmp/millrace-secret-XXXXXX");
    if (mkdtemp(self->home) == NULL)
        return 1;
    snprintf(self->state, sizeof self->state, "%s/state", self->home);
    snprintf(self->path, sizeof self->path, "%s/jwt_secret", self->state);
    *state = self;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *self = *state;

    unlink(self->path);
    rmdir(self->path);
    rmdir(self->state);
    unlink(self->state);
    assert_int_equal(rmdir(self->home), 0); /* nothing else was left behind */
    free(self);
    return 0;
}

static unsigned count_files(const char *directory)
{
    DIR *files = opendir(directory);
    unsigned count = 0;

    assert_non_null(files);
    for (struct dirent *file; (file = readdir(files)) != NULL;)
        count += file->d_name[0] != '.';
    closedir(files);
    return count;
}

static void write_file(const struct fixture *self, const char *text, size_t len)
{
    FILE *file;

    mkdir(self->state, 0755);
    file = fopen(self->path, "we");
    assert_int_equal(fwrite(text, 1, len, file), len);
    fclose(file);
    chmod(self->path, 0600);
}

static void test_secret__is_made_once_and_for_its_owner_only(void **state)
{
    struct fixture *self = *state;
    struct mr_buf problem = {0};
    char first[MR_SECRET_ROOM];
    char second[MR_SECRET_ROOM];
    struct stat info;

    umask(0);
    assert_int_equal(mr_secret_read(first, self->state, &problem), MR_NOT_FOUND);
    assert_int_equal(mr_secret_keep(first, self->state, &problem), MR_OK);
    assert_int_equal(strlen(first), 64);
    assert_int_equal(mr_secret_keep(second, self->state, &problem), MR_OK);
    assert_string_equal(first, second);
    assert_int_equal(mr_secret_read(second, self->state, &problem), MR_OK);
    assert_string_equal(first, second);
    assert_int_equal(stat(self->path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_int_equal(count_files(self->state), 1);
    unlink(self->path);
    assert_int_equal(mr_secret_keep(second, self->state, &problem), MR_OK);
    assert_string_not_equal(first, second);
    assert_int_equal(problem.len, 0);
    mr_buf_fini(&problem);
}

static void keep_and_tell(const struct fixture *self, int gate, int out)
{
    struct mr_buf problem = {0};
    char secret[MR_SECRET_ROOM] = "";
    char go;

    (void)!read(gate, &go, 1); /* ends when the gate is closed, for all at once */
    (void)!mr_secret_keep(secret, self->state, &problem);
    (void)!write(out, secret, 64);
    _exit(0);
}

static void test_secret__of_many_that_start_at_once_is_one(void **state)
{
    enum { PROCESSES = 24, ROUNDS = 5 };
    struct fixture *self = *state;

    for (int round = 0; round < ROUNDS; round++) {
        char told[PROCESSES][64];
        int gate[2];
        int out[2];

        assert_int_equal(pipe(gate), 0);
        assert_int_equal(pipe(out), 0);
        for (int i = 0; i < PROCESSES; i++)
            if (fork() == 0) {
                close(gate[1]);
                keep_and_tell(self, gate[0], out[1]);
            }
        close(gate[0]);
        close(gate[1]);
        for (int i = 0; i < PROCESSES; i++)
            assert_int_equal(read(out[0], told[i], sizeof told[i]), sizeof told[i]);
        while (wait(NULL) > 0) {
        }
        for (int i = 1; i < PROCESSES; i++)
            assert_memory_equal(told[i], told[0], sizeof told[0]);
        close(out[0]);
        close(out[1]);
        assert_int_equal(count_files(self->state), 1);
        unlink(self->path);
        rmdir(self->state);
    }
}

/* Its path is told, what is in it is not; and it is left as it is. */
static void refused(const struct fixture *self, const char *text, size_t len)
{
    struct mr_buf problem = {0};
    char secret[MR_SECRET_ROOM];
    struct stat info;

    write_file(self, text, len);
    assert_int_equal(mr_secret_keep(secret, self->state, &problem), MR_INVALID);
    assert_non_null(memmem(problem.data, problem.len, self->path, strlen(self->path)));
    if (len > 0)
        assert_null(memmem(problem.data, problem.len, text, len));
    assert_int_equal(stat(self->path, &info), 0);
    assert_int_equal(info.st_size, len);
    mr_buf_fini(&problem);
}

#define REFUSED(self, text) refused(self, text, sizeof(text) - 1)

static void test_secret__that_is_no_good_is_refused(void **state)
{
    static char large[5000];
    struct fixture *self = *state;

    memset(large, 'x', sizeof large);
    REFUSED(self, "");
    REFUSED(self, "\n");
    REFUSED(self, "31 bytes are one byte too short\n");
    REFUSED(self, "with a\0byte that is nothing, and long enough otherwise");
    REFUSED(self, "in two lines, of which the first\nis long enough on its own");
    REFUSED(self, "with a \x01 control byte, and long enough otherwise");
    REFUSED(self, MR_EXAMPLE_JWT_SECRET);
    refused(self, large, sizeof large);
    refused(self, large, MR_SECRET_ROOM);
}

static void test_secret__of_the_operator_s_own_is_taken(void **state)
{
    struct fixture *self = *state;
    struct mr_buf problem = {0};
    char secret[MR_SECRET_ROOM];

    write_file(self, "32 bytes are just about enough..\n", 33);
    assert_int_equal(mr_secret_keep(secret, self->state, &problem), MR_OK);
    assert_string_equal(secret, "32 bytes are just about enough..");
    mr_buf_fini(&problem);
}

static void fails(const struct fixture *self, mr_status status)
{
    struct mr_buf problem = {0};
    char secret[MR_SECRET_ROOM];

    assert_int_equal(mr_secret_keep(secret, self->state, &problem), status);
    assert_non_null(memmem(problem.data, problem.len, self->path, strlen(self->path)));
    mr_buf_fini(&problem);
}

static void test_secret__that_cannot_be_read_or_made_names_its_path(void **state)
{
    struct fixture *self = *state;

    mkdir(self->state, 0755);
    mkdir(self->path, 0755);
    fails(self, MR_INVALID);
    rmdir(self->path);
    assert_int_equal(symlink("/nonexistent/secret", self->path), 0);
    fails(self, MR_UNAVAILABLE);
    assert_int_equal(count_files(self->state), 1); /* the link */
    unlink(self->path);
    rmdir(self->state);
    assert_int_equal(symlink("/dev/null", self->state), 0);
    fails(self, MR_UNAVAILABLE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_secret__is_made_once_and_for_its_owner_only),
        TEST(test_secret__of_many_that_start_at_once_is_one),
        TEST(test_secret__that_is_no_good_is_refused),
        TEST(test_secret__of_the_operator_s_own_is_taken),
        TEST(test_secret__that_cannot_be_read_or_made_names_its_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
