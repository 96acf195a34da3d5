/* Bytes as the text of a value, read as every type and format; an instant that is taken is written and read again. */
#include <string.h>

#include "proto/field.h"
#include "proto/timestamp.h"
#include "tests/fuzz/fuzz.h"

static const struct mr_field fields[] = {
    {.name = "text", .type = MR_TEXT, .min = 1, .max = 100},
    {.name = "email", .type = MR_TEXT, .min = 3, .max = 255, .format = MR_FORMAT_EMAIL},
    {.name = "code", .type = MR_TEXT, .min = 1, .max = 32, .format = MR_FORMAT_CODE},
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
            if (fields[i].type == MR_INT)
                must(value.integer >= 1 && value.integer <= 100);
            if (fields[i].type == MR_TEXT)
                must(memchr(data, '\0', size) == NULL);
        } else {
            must(problem.code != NULL && !value.present);
        }
    }
    return 0;
}
