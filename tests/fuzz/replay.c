/*
 * Replays a corpus: each file of the directories given, and each beginning and one-byte change of the small ones; behind
 * --as-is the files alone, for a target that takes long.
 */
#include <dirent.h>
#include <stdbool.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

enum { SMALL = 512 };

/* In memory of the exact size, so that a read past the end is noticed. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);

    memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void run_variations(uint8_t *data, size_t size)
{
    static const uint8_t changes[] = {0x00, 0x7f, 0x80, 0xc1, 0xdd, 0xff};

    for (size_t len = 0; len < size; len++)
        run(data, len);
    for (size_t i = 0; i < size; i++) {
        uint8_t was = data[i];

        for (size_t c = 0; c < sizeof changes; c++) {
            data[i] = changes[c];
            run(data, size);
        }
        data[i] = was;
    }
}

static void replay_file(const char *path, bool as_is)
{
    static uint8_t data[1 << 20];
    FILE *file = fopen(path, "rb");
    size_t size;

    must(file != NULL);
    size = fread(data, 1, sizeof data, file);
    fclose(file);
    run(data, size);
    if (!as_is && size <= SMALL)
        run_variations(data, size);
}

int main(int argc, char **argv)
{
    unsigned files = 0;
    bool as_is = argc > 1 && strcmp(argv[1], "--as-is") == 0;

    for (int i = as_is ? 2 : 1; i < argc; i++) {
        DIR *directory = opendir(argv[i]);
        struct dirent *entry;

        must(directory != NULL);
        while ((entry = readdir(directory)) != NULL) {
            char path[4096];

            if (entry->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            replay_file(path, as_is);
            files++;
        }
        closedir(directory);
    }
    printf("%u files\n", files);
    return files > 0 ? 0 : 1;
}
