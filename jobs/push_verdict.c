#include "jobs/push_verdict.h"

#include <jansson.h>
#include <stdio.h>

#include "proto/field.h"

/*
 * Whether all of the body is JSON of any kind; jsonb has no room for NUL, and neither has jansson by default. An integer may have any
 * size, as that of a worker.
 */
static bool is_json(const struct mr_call *call)
{
    json_t *value = NULL;

    if (call->is_cut || call->answer.len == 0)
        return false;
    value = json_loadb(call->answer.data, call->answer.len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
    json_decref(value);
    return value != NULL;
}

static int64_t retry_after_ms(const struct mr_call *call)
{
    int64_t most_s = MR_PUSH_RETRY_AFTER_MOST_MS / 1000;

    if ((call->http != 429 && call->http != 503) || call->retry_after_s <= 0)
        return -1;
    return (call->retry_after_s < most_s ? call->retry_after_s : most_s) * 1000;
}

static void judge_answer(const struct mr_call *call, struct mr_push_verdict *out)
{
    const char *more = "";

    if (call->http >= 200 && call->http < 300) {
        out->outcome = MR_PUSH_SUCCEEDED;
        if (is_json(call))
            out->result = (struct mr_slice){call->answer.data, call->answer.len};
        return;
    }
    out->is_gone = call->http == 410;
    out->retry_after_ms = retry_after_ms(call);
    if (out->is_gone)
        more = ": it wants no more, and the job is paused";
    else if (call->http < 400)
        more = ": redirections are not followed";
    snprintf(out->error, sizeof out->error, "the receiver answered %d%s", call->http, more);
}

void mr_push_judge(const struct mr_call *call, struct mr_push_verdict *out)
{
    *out = (struct mr_push_verdict){.outcome = MR_PUSH_FAILED, .retry_after_ms = -1};
    switch (call->end) {
    case MR_CALL_ANSWERED: judge_answer(call, out); return;
    case MR_CALL_NOT_SENT: out->outcome = MR_PUSH_RELEASED; break;
    case MR_CALL_NO_ANSWER: out->is_dead = true; break;
    case MR_CALL_FORBIDDEN: break;
    }
    snprintf(out->error, sizeof out->error, "%s", call->error);
}

/* ---- Text ---- */

/* Bytes of the character at the beginning of `text`; 0: none begins there, or it is NUL. */
static size_t character(struct mr_slice text)
{
    for (size_t len = 1; len <= 4 && len <= text.len; len++)
        if (mr_utf8_valid((struct mr_slice){text.data, len}, NULL))
            return len;
    return 0;
}

void mr_push_text(struct mr_buf *out, struct mr_slice text, size_t most)
{
    size_t end = out->len + most;

    while (text.len > 0) {
        size_t len = character(text);

        if (out->failed || out->len + (len > 0 ? len : 1) > end)
            return;
        if (len > 0)
            mr_buf_append(out, text.data, len);
        else
            mr_buf_char(out, '?');
        len = len > 0 ? len : 1;
        text = (struct mr_slice){text.data + len, text.len - len};
    }
}
