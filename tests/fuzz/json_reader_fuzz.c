/* Bytes as a body: what is taken is what jansson takes of a text without NUL, and what it only calls too large. */
#include <jansson.h>
#include <string.h>

#include "proto/json_reader.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mr_slice text = {(const char *)data, size};
    struct mr_json_refusal why = {.detail = NULL};
    json_error_t error;
    json_t *ours = NULL;
    json_t *theirs = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &error);
    mr_status status = mr_json_load(&ours, text, &why);

    if (status != MR_OK)
        must(ours == NULL && why.detail != NULL);
    else if (theirs == NULL)
        must(json_error_code(&error) == json_error_numeric_overflow);
    else
        must(memchr(data, '\0', size) == NULL && json_is_object(ours));
    json_decref(ours);
    json_decref(theirs);
    return 0;
}
