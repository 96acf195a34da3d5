/*
 * Bytes as a value of each type, and of an array of the same bytes: a writer takes what it was given and no more, and what it says is
 * JSON, unless its text was not UTF-8 to begin with, or is JSON of the database's, which is passed on.
 */
#include <jansson.h>

#include "proto/field.h"
#include "runtime/column.h"
#include "tests/fuzz/fuzz.h"

enum { JSON_TYPE = 114, JSONB_TYPE = 3802 };

/* A scalar of each kind, arrays of some, a type of the database's own, and one that is not known. */
static const uint32_t types[] = {16, 21, 23, 20, 26, 25, 1700, 2950, 1184, 1082, 701, 700, 114, 3802, 1007, 1009, 1231, 1185, MR_TYPE_OWN_FIRST, 1186};

static bool has_json(uint32_t type, struct mr_slice bytes)
{
    static const char text[] = {0, 0, 0, JSON_TYPE};
    static const char binary[] = {0, 0, JSONB_TYPE >> 8, (char)(JSONB_TYPE & 0xff)};

    return type == JSON_TYPE || type == JSONB_TYPE ||
           (bytes.len > 0 && (memmem(bytes.data, bytes.len, text, sizeof text) != NULL || memmem(bytes.data, bytes.len, binary, sizeof binary) != NULL));
}

static void check_json(struct mr_slice text)
{
    json_error_t error;
    json_t *json = json_loadb(text.data, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);

    must(json != NULL || json_error_code(&error) == json_error_numeric_overflow || json_error_code(&error) == json_error_stack_overflow);
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mr_slice bytes = {(const char *)data, size};
    struct mr_buf out = {0};

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        enum mr_said said;

        mr_buf_clear(&out, SIZE_MAX);
        said = mr_column_writer_of(types[i])(&out, types[i], bytes);
        must(!out.failed && (mr_type_known(types[i]) || said != MR_UNSAID));
        if (said == MR_SAID && !has_json(types[i], bytes) && mr_utf8_valid((struct mr_slice){out.data, out.len}, NULL))
            check_json((struct mr_slice){out.data, out.len});
    }
    mr_buf_fini(&out);
    return 0;
}
