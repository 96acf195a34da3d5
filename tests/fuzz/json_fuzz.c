/* Bytes as a body on the wire; the JSON made of it is JSON, unless its text was not UTF-8 to begin with. */
#include <jansson.h>

#include "proto/field.h"
#include "proto/json.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mr_wire wire = mr_wire_of(data, size);
    struct mr_buf out = {0};

    if (mr_json_from_wire(&out, &wire) == MR_OK && mr_utf8_valid((struct mr_slice){out.data, out.len}, NULL)) {
        json_error_t error;
        json_t *json = json_loadb(out.data, out.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);

        /* jansson takes no key that holds U+0000 and no number it cannot hold; neither is a fault of ours */
        must(json != NULL || json_error_code(&error) == json_error_null_byte_in_key ||
             json_error_code(&error) == json_error_numeric_overflow);
        json_decref(json);
    }
    mr_buf_fini(&out);
    return 0;
}
