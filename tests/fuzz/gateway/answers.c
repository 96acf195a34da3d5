#include "tests/fuzz/gateway/answers.h"

#include <strings.h>

#include "proto/status.h"

/* Headers as they are counted: those that have to be there once, or must not be there. */
struct seen {
    unsigned date;
    unsigned id;
    unsigned length;
    unsigned nosniff;
    unsigned transfer;
    unsigned authenticate;
    unsigned allow;
    unsigned retry;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_token(struct mr_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] <= ' ' || text.data[i] == 0x7f || (text.data[i] & 0x80) != 0 ||
            strchr("\"(),/:;<=>?@[\\]{}", text.data[i]) != NULL)
            return false;
    return text.len > 0;
}

/* Visible characters with blanks and tabs between them (RFC 9110, 5.5), nothing beyond ASCII. */
static bool is_value(struct mr_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((text.data[i] < ' ' && text.data[i] != '\t') || text.data[i] == 0x7f)
            return false;
    return text.len == 0 || (text.data[0] != ' ' && text.data[text.len - 1] != ' ');
}

static bool named(struct mr_slice name, const char *wanted)
{
    return name.len == strlen(wanted) && strncasecmp(name.data, wanted, name.len) == 0;
}

static bool read_length(struct answer *out, struct mr_slice value)
{
    out->has_length = true;
    out->length = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (!is_digit(value.data[i]))
            return false;
        out->length = out->length * 10 + (size_t)(value.data[i] - '0');
    }
    return value.len > 0 && value.len < 12;
}

static bool read_header(struct answer *out, struct seen *seen, struct mr_slice name, struct mr_slice value)
{
    seen->date += named(name, "date");
    seen->id += named(name, "x-request-id");
    seen->nosniff += named(name, "x-content-type-options");
    seen->transfer += named(name, "transfer-encoding");
    seen->authenticate += named(name, "www-authenticate");
    seen->allow += named(name, "allow");
    seen->retry += named(name, "retry-after");
    if (named(name, "x-request-id"))
        out->id = value;
    if (named(name, "content-type"))
        out->is_page = memmem(value.data, value.len, "text/", 5) == value.data;
    if (named(name, "connection"))
        out->closes = out->closes || named(value, "close");
    if (!named(name, "content-length"))
        return true;
    seen->length++;
    return read_length(out, value);
}

/* "HTTP/1.1 200 OK"; the reason is the one that belongs to the code. */
static bool read_status(struct answer *out, struct mr_slice line)
{
    static const char version[] = "HTTP/1.1 ";
    struct mr_slice reason;

    if (line.len < 13 || memcmp(line.data, version, 9) != 0 || line.data[12] != ' ')
        return false;
    out->status = 0;
    for (size_t i = 9; i < 12; i++) {
        if (!is_digit(line.data[i]))
            return false;
        out->status = out->status * 10 + (line.data[i] - '0');
    }
    out->interim = out->status < 200;
    reason = (struct mr_slice){line.data + 13, line.len - 13};
    if (out->interim)
        return out->status == 100 && mr_slice_is(reason, "Continue");
    return out->status < 600 && !mr_slice_is(reason, "Unknown") && mr_slice_is(reason, mr_http_reason(out->status));
}

/* Takes the next line, without its CRLF; a bare CR or LF in it is left in. False when it is not there yet. */
static bool next_line(struct mr_slice *rest, struct mr_slice *line)
{
    const char *end = memmem(rest->data, rest->len, "\r\n", 2);

    if (end == NULL)
        return false;
    *line = (struct mr_slice){rest->data, (size_t)(end - rest->data)};
    *rest = (struct mr_slice){end + 2, rest->len - line->len - 2};
    return true;
}

static const char *read_fields(struct answer *out, struct seen *seen, struct mr_slice head)
{
    struct mr_slice line;

    while (next_line(&head, &line)) {
        const char *colon = memchr(line.data, ':', line.len);
        struct mr_slice name;
        struct mr_slice value;

        if (colon == NULL)
            return "a header line without a colon";
        name = (struct mr_slice){line.data, (size_t)(colon - line.data)};
        value = (struct mr_slice){colon + 1, line.len - name.len - 1};
        if (value.len > 0 && *value.data == ' ')
            value = (struct mr_slice){value.data + 1, value.len - 1};
        if (!is_token(name))
            return "a header name that is no token";
        if (!is_value(value))
            return "a header value with a control character, or blanks around it";
        if (!read_header(out, seen, name, value))
            return "a length that is no number";
    }
    return head.len == 0 ? NULL : "the last header line has no end";
}

/* What the contract asks of every answer. */
static const char *check_fields(const struct answer *answer, const struct seen *seen)
{
    bool bare = answer->status == 204 || answer->status == 304;

    if (answer->interim)
        return seen->length + seen->transfer > 0 ? "an interim answer with a body" : NULL;
    if (seen->transfer > 0 || seen->length > 1)
        return "a transfer encoding, or two lengths";
    if (bare != (seen->length == 0))
        return bare ? "a length where no body may be" : "no length";
    if (seen->date != 1 || seen->id != 1 || seen->nosniff != 1)
        return "Date, X-Request-Id or X-Content-Type-Options is missing or there twice";
    if (answer->status == 401 ? seen->authenticate == 0 : answer->status != 403 && seen->authenticate > 0)
        return "401 without WWW-Authenticate, or that with what is neither 401 nor 403";
    if (answer->status == 405 && seen->allow != 1)
        return "405 without Allow";
    if ((answer->status == 503 || answer->status == 429) && seen->retry != 1)
        return "503 or 429 without Retry-After";
    return NULL;
}

static bool has_no_body(struct mr_slice rest, int to_head)
{
    if (to_head >= 0)
        return to_head != 0;
    return rest.len >= 5 && memcmp(rest.data, "HTTP/", 5) == 0;
}

static enum answer_progress broken(const char **out, const char *why)
{
    *out = why;
    return ANSWER_BROKEN;
}

enum answer_progress answer_read(struct answer *out, const char *data, size_t len, int to_head, size_t *used, const char **why)
{
    const char *end = memmem(data, len, "\r\n\r\n", 4);
    struct mr_slice head;
    struct mr_slice line;
    struct seen seen = {0};

    *out = (struct answer){.status = 0};
    if (end == NULL)
        return ANSWER_MORE;
    head = (struct mr_slice){data, (size_t)(end - data) + 2};
    if (!next_line(&head, &line) || !read_status(out, line))
        return broken(why, "no status line");
    *why = read_fields(out, &seen, head);
    if (*why == NULL)
        *why = check_fields(out, &seen);
    if (*why != NULL)
        return ANSWER_BROKEN;
    *used = (size_t)(end - data) + 4;
    if (has_no_body((struct mr_slice){data + *used, len - *used}, out->interim ? 1 : to_head))
        return ANSWER_COMPLETE;
    if (len - *used < out->length)
        return ANSWER_MORE;
    out->body = (struct mr_slice){data + *used, out->length};
    *used += out->length;
    return ANSWER_COMPLETE;
}
