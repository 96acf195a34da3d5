/* Bytes as the text of a value, read as every type and format; an instant that is taken is written and read again. */
#include <string.h>

#include "proto/field.h"
#include "proto/timestamp.h"
#include "proto/username.h"
#include "tests/fuzz/fuzz.h"

static const struct mr_field fields[] = {
    {.name = "text", .type = MR_TEXT, .min = 1, .max = 100},
    {.name = "email", .type = MR_TEXT, .min = 3, .max = 255, .format = MR_FORMAT_EMAIL},
    {.name = "code", .type = MR_TEXT, .min = 1, .max = 32, .format = MR_FORMAT_CODE},
    {.name = "username", .type = MR_TEXT, .min = 3, .max = 50, .format = MR_FORMAT_USERNAME},
    {.name = "words", .type = MR_TEXT, .min = 1, .max = 200, .format = MR_FORMAT_WORDS},
    {.name = "cursor", .type = MR_TEXT, .min = 48, .max = 48, .format = MR_FORMAT_CURSOR},
    {.name = "uuid", .type = MR_UUID},
    {.name = "time", .type = MR_TIME},
    {.name = "boolean", .type = MR_BOOL},
    {.name = "integer", .type = MR_INT, .min = 1, .max = 100},
};

static void check_instant(int64_t micros)
{
    char text[MR_TIMESTAMP_TEXT];
    int64_t again;

    mr_timestamp_format(text, micros);
    must(mr_timestamp_parse(&again, text, sizeof text));
    must(micros - again >= 0 && micros - again < 1000);
}

/* Folding again changes nothing; a name that may be registered has a folded form. */
static void check_fold(struct mr_slice name, bool may_be_registered)
{
    struct mr_buf once = {0};
    struct mr_buf twice = {0};

    if (mr_username_fold(name, &once) == MR_OK) {
        if (once.len <= MR_USERNAME_BYTES) {
            must(mr_username_fold((struct mr_slice){once.data, once.len}, &twice) == MR_OK);
            must(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
        }
    } else {
        must(!may_be_registered && once.len == 0);
    }
    mr_buf_fini(&once);
    mr_buf_fini(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mr_slice text = {(const char *)data, size};

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        struct mr_value value = {.present = false};
        struct mr_problem problem;

        if (mr_field_parse(&fields[i], text, &value, &problem)) {
            must(value.present);
            if (fields[i].type == MR_TIME)
                check_instant(value.integer);
            if (fields[i].format == MR_FORMAT_USERNAME)
                check_fold(text, true);
            if (fields[i].type == MR_INT)
                must(value.integer >= 1 && value.integer <= 100);
            if (fields[i].type == MR_TEXT)
                must(memchr(data, '\0', size) == NULL);
        } else {
            must(problem.code != NULL && !value.present);
        }
    }
    check_fold(text, false);
    return 0;
}
