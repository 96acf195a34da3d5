/* When files count as changed: once for a burst, and only when a file of the application is another one. The clock is the test's. */
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/watch.h"
#include "tests/support/folder.h"
#include "tests/support/test.h"

enum { PATH_ROOM = 512 };

static struct folder folder;
static struct mr_watch *watch;
static int64_t now_ms;

static void path_of(char out[2 * PATH_ROOM], const char *name)
{
    snprintf(out, 2 * (size_t)PATH_ROOM, "%s/%s", folder.path, name);
}

static void write_file(const char *name, const char *text)
{
    folder_write(&folder, name, text);
}

static void rename_file(const char *from, const char *to)
{
    char old[2 * PATH_ROOM];
    char new[2 * PATH_ROOM];

    path_of(old, from);
    path_of(new, to);
    assert_int_equal(rename(old, new), 0);
}

/* So much later. */
static bool look(int64_t later_ms)
{
    now_ms += later_ms;
    return mr_watch_look(watch, now_ms);
}

static bool is_awake(void)
{
    struct pollfd fd = {mr_watch_fd(watch), POLLIN, 0};

    return poll(&fd, 1, 0) == 1;
}

static int setup(void **state)
{
    (void)state;
    folder_make_bare(&folder);
    now_ms = 1000;
    folder_add(&folder, "resources");
    write_file("millrace.yaml", "title: Test\n");
    assert_int_equal(mr_watch_new(&watch, folder.path), MR_OK);
    assert_true(look(0)); /* the first */
    assert_false(look(1000));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mr_watch_destroy(&watch);
    folder_remove(&folder);
    return 0;
}

static void assert_changed_once(void)
{
    assert_true(is_awake());
    assert_false(look(0));
    assert_int_equal(mr_watch_timeout_ms(watch, now_ms), MR_WATCH_QUIET_MS);
    assert_false(look(MR_WATCH_QUIET_MS - 1));
    assert_true(look(1));
    assert_false(look(MR_WATCH_QUIET_MS));
    assert_true(mr_watch_timeout_ms(watch, now_ms) > MR_WATCH_QUIET_MS);
}

static void test_file__that_is_written_is_a_change_once_it_is_still(void **state)
{
    (void)state;
    write_file("resources/product.yaml", "path: /v1/products\n");
    assert_changed_once();
}

static void test_file__that_is_replaced_is_a_change(void **state)
{
    (void)state;
    write_file("resources/.product.yaml.swp", "path: /v1/products\n");
    rename_file("resources/.product.yaml.swp", "resources/product.yaml");
    assert_changed_once();
}

static void test_file__that_goes_or_gets_another_name_is_a_change(void **state)
{
    char path[2 * PATH_ROOM];

    (void)state;
    write_file("resources/product.yaml", "path: /v1/products\n");
    assert_changed_once();
    rename_file("resources/product.yaml", "resources/thing.yaml");
    assert_changed_once();
    path_of(path, "resources/thing.yaml");
    assert_int_equal(unlink(path), 0);
    assert_changed_once();
}

static void test_burst__is_one_change_and_is_not_waited_for_without_end(void **state)
{
    char text[32];
    int64_t took = 0;

    (void)state;
    for (int i = 0; took == 0; i++) {
        snprintf(text, sizeof text, "title: %d\n", i);
        write_file("millrace.yaml", text);
        if (look(50))
            took = 50 * (int64_t)i;
        assert_true(i < 100);
    }
    assert_int_equal(took, MR_WATCH_LONGEST_MS);
}

static void test_what_is_not_the_applications__is_no_change(void **state)
{
    (void)state;
    folder_add(&folder, ".millrace");
    write_file(".millrace/data", "x");
    write_file("README.md", "x");
    write_file("resources/product.yaml~", "x");
    write_file("resources/.product.yaml.swp", "x");
    assert_false(look(0));
    assert_false(look(1000));
}

static void test_file__of_the_same_length_is_a_change(void **state)
{
    (void)state;
    write_file("millrace.yaml", "title: Tesa\n");
    assert_changed_once();
    write_file("millrace.yaml", "title: Tesb\n");
    assert_changed_once();
}

static void test_folder__that_is_new_or_replaced_is_watched(void **state)
{
    (void)state;
    folder_add(&folder, "jobs");
    look(0);
    look(1000);
    write_file("jobs/night.yaml", "night: {work: sql}\n");
    assert_changed_once();
    rename_file("jobs", "old");
    folder_add(&folder, "jobs");
    assert_changed_once();
    write_file("jobs/night.yaml", "night: {work: pull}\n");
    assert_changed_once();
}

static void test_change__that_no_event_told_of_is_found(void **state)
{
    char path[2 * PATH_ROOM];

    (void)state;
    /* Through another folder.path, of which nobody tells: as on a network's file system. */
    folder_add(&folder, "elsewhere");
    write_file("elsewhere/product.yaml", "path: /v1/products\n");
    path_of(path, "resources/product.yaml");
    assert_int_equal(symlink("../elsewhere/product.yaml", path), 0);
    assert_changed_once();
    write_file("elsewhere/product.yaml", "path: /v1/things\n");
    assert_false(is_awake());
    assert_false(look(1000));
    assert_true(look(MR_WATCH_QUIET_MS));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_file__that_is_written_is_a_change_once_it_is_still),
        TEST(test_file__that_is_replaced_is_a_change),
        TEST(test_file__that_goes_or_gets_another_name_is_a_change),
        TEST(test_burst__is_one_change_and_is_not_waited_for_without_end),
        TEST(test_what_is_not_the_applications__is_no_change),
        TEST(test_file__of_the_same_length_is_a_change),
        TEST(test_folder__that_is_new_or_replaced_is_watched),
        TEST(test_change__that_no_event_told_of_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
