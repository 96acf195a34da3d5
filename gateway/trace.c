#include "gateway/trace.h"

enum { TRACE_AT = 3, TRACE_LEN = 32, PARENT_AT = 36, PARENT_LEN = 16, FLAGS_AT = 53, FLAGS_LEN = 2, LEN = MR_TRACEPARENT - 1 };

/* Lower-case digits, not all of them zero unless that is allowed. */
static bool is_hex(const char *text, size_t len, bool may_be_zero)
{
    bool all_zero = true;

    for (size_t i = 0; i < len; i++) {
        if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
            return false;
        all_zero = all_zero && text[i] == '0';
    }
    return may_be_zero || !all_zero;
}

static bool is_good(struct mr_slice text)
{
    const char *t = text.data;

    if (text.len < LEN || !is_hex(t, 2, true) || memcmp(t, "ff", 2) == 0)
        return false;
    if (text.len > LEN && (memcmp(t, "00", 2) == 0 || t[LEN] != '-'))
        return false;
    return t[TRACE_AT - 1] == '-' && is_hex(t + TRACE_AT, TRACE_LEN, false) && t[PARENT_AT - 1] == '-' &&
           is_hex(t + PARENT_AT, PARENT_LEN, false) && t[FLAGS_AT - 1] == '-' && is_hex(t + FLAGS_AT, FLAGS_LEN, true);
}

/* As version 00 has it: of the flags to come only "sampled" is known (3.2.4). */
static void copy(char out[MR_TRACEPARENT], const char *given)
{
    memcpy(out, given, LEN);
    out[LEN] = '\0';
    if (memcmp(given, "00", 2) == 0)
        return;
    memcpy(out, "00", 2);
    memcpy(out + FLAGS_AT, strchr("13579bdf", given[LEN - 1]) != NULL ? "01" : "00", FLAGS_LEN);
}

/* Of two parents neither is the one. */
static bool is_given(const struct mr_http_request *request, struct mr_slice *out)
{
    return mr_http_header_count(request, "traceparent") == 1 && mr_http_header(request, "traceparent", out) && is_good(*out);
}

void mr_trace_of(char out[MR_TRACEPARENT], const struct mr_http_request *request, const uint8_t id[16])
{
    static const char digits[] = "0123456789abcdef";
    struct mr_slice given;

    if (request != NULL && is_given(request, &given)) {
        copy(out, given.data);
        return;
    }
    memcpy(out, "00-00000000000000000000000000000000-0000000000000000-00", MR_TRACEPARENT);
    for (size_t i = 0; i < 16; i++) {
        out[TRACE_AT + 2 * i] = digits[id[i] >> 4];
        out[TRACE_AT + 2 * i + 1] = digits[id[i] & 15];
    }
    memcpy(out + PARENT_AT, out + TRACE_AT + TRACE_LEN - PARENT_LEN, PARENT_LEN);
}

struct mr_slice mr_trace_id(const char traceparent[MR_TRACEPARENT])
{
    return (struct mr_slice){traceparent + TRACE_AT, TRACE_LEN};
}
