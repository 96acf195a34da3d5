/*
 * Zones without the C library, held against it: every zone of the system's database, at many moments.
 */
#include "scheduler/tzif.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "tests/support/test.h"

enum { FILE_ROOM = 65536, ZONES_LEAST = 300 };

#define FOLDER "/usr/share/zoneinfo"

static size_t read_file(const char *path, uint8_t bytes[FILE_ROOM])
{
    FILE *file = fopen(path, "rbe");
    size_t length;

    if (file == NULL)
        return 0;
    length = fread(bytes, 1, FILE_ROOM, file);
    fclose(file);
    return length;
}

static int64_t offset_of_library(int64_t second)
{
    time_t at = (time_t)second;
    struct tm tm;

    assert_non_null(localtime_r(&at, &tm));
    return tm.tm_gmtoff;
}

/* Until then zones change as governments like; later by their last rules. */
#define EXPLICIT INT64_C(2240524800) /* 2041 */
#define COVERED  INT64_C(16725225600) /* 2500 */

/* From 1970 on every eleven days and some, and around each change that is seen so; later now and then. */
static void compare(const char *name, const struct mr_tzif *zone)
{
    int64_t step = 1000003;
    int64_t before = 0;

    setenv("TZ", name, 1);
    tzset();
    for (int64_t at = 0; at < COVERED; at += step) {
        int64_t offset = offset_of_library(at);
        int64_t low = at - step;
        int64_t high = at;

        if (mr_tzif_offset(zone, at) != offset)
            fail_test("%s at %lld: %lld, expected %lld", name, (long long)at, (long long)mr_tzif_offset(zone, at), (long long)offset);
        while (at > 0 && offset != before && high - low > 1) {
            int64_t middle = low + (high - low) / 2;

            if (offset_of_library(middle) == before)
                low = middle;
            else
                high = middle;
        }
        for (int64_t near = high - 1; at > 0 && offset != before && near <= high; near++)
            if (mr_tzif_offset(zone, near) != offset_of_library(near))
                fail_test("%s around its change at %lld", name, (long long)high);
        before = offset;
        step = at < EXPLICIT ? step : 61 * INT64_C(1000003);
    }
}

static unsigned compare_folder(const char *below)
{
    char path[512];
    unsigned zones = 0;
    DIR *dir;

    snprintf(path, sizeof path, FOLDER "/%s", below);
    dir = opendir(path);
    if (dir == NULL)
        return 0;
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        static uint8_t bytes[FILE_ROOM];
        struct mr_tzif *zone = NULL;
        struct stat info;
        char name[300];
        size_t length;

        snprintf(name, sizeof name, "%s%s%s", below, *below != '\0' ? "/" : "", entry->d_name);
        snprintf(path, sizeof path, FOLDER "/%s", name);
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, "posix") == 0 || strcmp(entry->d_name, "right") == 0 || stat(path, &info) != 0)
            continue;
        if (S_ISDIR(info.st_mode)) {
            zones += compare_folder(name);
            continue;
        }
        length = read_file(path, bytes);
        if (length < 4 || memcmp(bytes, "TZif", 4) != 0)
            continue;
        assert_int_equal(mr_tzif_new(&zone, bytes, length), MR_OK);
        compare(name, zone);
        mr_tzif_destroy(&zone);
        zones++;
    }
    closedir(dir);
    return zones;
}

static void test_tzif__says_what_the_c_library_says(void **state)
{
    unsigned zones = compare_folder("");

    (void)state;
    print_message("%u zones\n", zones);
    assert_true(zones >= ZONES_LEAST);
}

static void test_tzif__cut_or_wrong_bytes_are_refused(void **state)
{
    static uint8_t bytes[FILE_ROOM];
    size_t length = read_file(FOLDER "/Europe/Berlin", bytes);
    struct mr_tzif *zone = NULL;

    (void)state;
    assert_true(length > 0);
    for (size_t cut = 0; cut < length; cut++)
        assert_int_equal(mr_tzif_new(&zone, bytes, cut), MR_INVALID);
    for (size_t i = 0; i < length; i++) { /* whatever it says then, it says it without reading elsewhere */
        uint8_t kept = bytes[i];

        bytes[i] = 0xff;
        if (mr_tzif_new(&zone, bytes, length) == MR_OK)
            (void)mr_tzif_offset(zone, INT64_C(1700000000));
        mr_tzif_destroy(&zone);
        bytes[i] = kept;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tzif__says_what_the_c_library_says),
        cmocka_unit_test(test_tzif__cut_or_wrong_bytes_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
