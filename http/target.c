#include "http/target.h"

#include "http/grammar.h"

/* "/path?query"; `//` at its start is part of the path, not of a host. */
static bool split_origin_form(struct mr_slice target, struct mr_slice *path, struct mr_slice *query)
{
    size_t len = mr_http_span(target, MR_HTTP_PATH);
    struct mr_slice rest = {target.data + len, target.len - len};

    *path = (struct mr_slice){target.data, len};
    *query = (struct mr_slice){target.data + len, 0};
    if (rest.len == 0)
        return true;
    *query = (struct mr_slice){rest.data + 1, rest.len - 1};
    return rest.data[0] == '?' && mr_http_all(*query, MR_HTTP_QUERY);
}

/* Length of "http://" or "https://" at the start; 0: neither. */
static size_t scheme_len(struct mr_slice target)
{
    static const char *const schemes[] = {"http://", "https://"};

    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t len = strlen(schemes[i]);

        if (target.len > len && mr_http_same_word((struct mr_slice){target.data, len}, schemes[i]))
            return len;
    }
    return 0;
}

static bool split_absolute_form(struct mr_slice target, struct mr_slice *path, struct mr_slice *query)
{
    size_t start = scheme_len(target);
    size_t end = start;

    if (start == 0)
        return false;
    while (end < target.len && target.data[end] != '/' && target.data[end] != '?')
        end++;
    if (!mr_http_is_host((struct mr_slice){target.data + start, end - start}))
        return false;
    if (!split_origin_form((struct mr_slice){target.data + end, target.len - end}, path, query))
        return false;
    if (path->len == 0)
        *path = (struct mr_slice){"/", 1};
    return true;
}

bool mr_http_target_split(struct mr_slice target, bool is_options, struct mr_slice *path, struct mr_slice *query)
{
    if (is_options && mr_slice_is(target, "*")) {
        *path = target;
        *query = (struct mr_slice){"", 0};
        return true;
    }
    if (target.len > 0 && target.data[0] == '/')
        return split_origin_form(target, path, query);
    return split_absolute_form(target, path, query);
}

bool mr_http_query_next(struct mr_slice *query, struct mr_slice *name, struct mr_slice *value)
{
    const char *amp;
    const char *equals;
    size_t len;

    if (query->len == 0)
        return false;
    amp = memchr(query->data, '&', query->len);
    len = amp != NULL ? (size_t)(amp - query->data) : query->len;
    equals = memchr(query->data, '=', len);
    *name = (struct mr_slice){query->data, equals != NULL ? (size_t)(equals - query->data) : len};
    *value = equals != NULL ? (struct mr_slice){equals + 1, len - name->len - 1} : (struct mr_slice){query->data + len, 0};
    len += amp != NULL;
    *query = (struct mr_slice){query->data + len, query->len - len};
    return true;
}

/* The byte that "%XX" at the front of `text` stands for; -1: a broken escape, or U+0000. */
static int escaped_byte(struct mr_slice text)
{
    int high = text.len > 2 ? mr_http_hex(text.data[1]) : -1;
    int low = text.len > 2 ? mr_http_hex(text.data[2]) : -1;

    return high < 0 || low < 0 || high + low == 0 ? -1 : high << 4 | low;
}

/* How much at the front stands for itself. */
static size_t plain_run(struct mr_slice text, bool form)
{
    size_t len = 0;

    while (len < text.len && text.data[len] != '%' && !(form && text.data[len] == '+'))
        len++;
    return len;
}

bool mr_http_query_is(struct mr_slice name, const char *plain)
{
    size_t at = 0;

    for (; at < name.len && *plain != '\0'; plain++, at++) {
        int c = (unsigned char)name.data[at];

        if (c == '%') {
            c = escaped_byte((struct mr_slice){name.data + at, name.len - at});
            at += 2;
        }
        if (c != (unsigned char)*plain)
            return false;
    }
    return at == name.len && *plain == '\0';
}

mr_status mr_http_decode(struct mr_buf *out, struct mr_slice text, bool form)
{
    size_t plain = plain_run(text, form);

    mr_buf_append(out, text.data, plain);
    for (size_t i = plain; i < text.len; i++) {
        char c = text.data[i];

        if (c == '%') {
            int byte = escaped_byte((struct mr_slice){text.data + i, text.len - i});

            if (byte < 0)
                return MR_INVALID;
            c = (char)byte;
            i += 2;
        } else if (c == '+' && form) {
            c = ' ';
        }
        mr_buf_char(out, c);
    }
    return out->failed ? MR_NO_MEMORY : MR_OK;
}
