#include "gateway/media.h"

#include <strings.h>

#include "http/grammar.h"

/* Takes the token at the front; empty when there is none. */
static struct mr_slice take_token(struct mr_slice *text)
{
    size_t len = mr_http_span(*text, MR_HTTP_TOKEN);
    struct mr_slice token = {text->data, len};

    *text = (struct mr_slice){text->data + len, text->len - len};
    return token;
}

/* Takes the quoted string at the front, quotes and all (RFC 9110, 5.6.4); empty when it is none. */
static struct mr_slice take_quoted(struct mr_slice *text)
{
    struct mr_slice none = {text->data, 0};
    size_t i = 1;

    for (; i < text->len && text->data[i] != '"'; i++) {
        if (text->data[i] == '\\' && ++i == text->len)
            return none;
        if (!mr_http_is(text->data[i], MR_HTTP_VALUE))
            return none;
    }
    if (i >= text->len)
        return none;
    none.len = i + 1;
    *text = (struct mr_slice){text->data + i + 1, text->len - i - 1};
    return none;
}

static bool take_char(struct mr_slice *text, char c)
{
    if (text->len == 0 || *text->data != c)
        return false;
    *text = (struct mr_slice){text->data + 1, text->len - 1};
    return true;
}

static void skip_blanks(struct mr_slice *text)
{
    while (take_char(text, ' ') || take_char(text, '\t'))
        continue;
}

/* token "=" ( token / quoted-string ), without blanks around the sign; a charset is kept, once. */
static bool read_parameter(struct mr_media *out, struct mr_slice *text)
{
    struct mr_slice name = take_token(text);
    struct mr_slice value;

    if (name.len == 0 || !take_char(text, '='))
        return false;
    value = text->len > 0 && *text->data == '"' ? take_quoted(text) : take_token(text);
    if (value.len == 0)
        return false;
    if (!mr_http_same_word(name, "charset"))
        return true;
    if (out->charset.len > 0)
        return false;
    out->charset = value;
    return true;
}

/* *( OWS ";" OWS [ parameter ] ) and nothing behind it. */
static bool read_parameters(struct mr_media *out, struct mr_slice text)
{
    for (;;) {
        skip_blanks(&text);
        if (text.len == 0)
            return true;
        if (!take_char(&text, ';'))
            return false;
        skip_blanks(&text);
        if (text.len > 0 && *text.data != ';' && !read_parameter(out, &text))
            return false;
    }
}

bool mr_media_parse(struct mr_media *out, struct mr_slice text)
{
    struct mr_slice type = take_token(&text);
    struct mr_slice subtype;

    if (type.len == 0 || !take_char(&text, '/'))
        return false;
    subtype = take_token(&text);
    if (subtype.len == 0)
        return false;
    *out = (struct mr_media){.type = {type.data, type.len + 1 + subtype.len}};
    return read_parameters(out, text);
}

bool mr_media_is_utf8(const struct mr_media *media)
{
    static const char wanted[] = "utf-8";
    struct mr_slice charset = media->charset;
    bool quoted = charset.len >= 2 && *charset.data == '"';
    size_t at = 0;

    if (charset.len == 0)
        return true;
    for (size_t i = quoted; i < charset.len - quoted; i++, at++) {
        if (quoted && charset.data[i] == '\\')
            i++;
        if (at == sizeof wanted - 1 || strncasecmp(&charset.data[i], &wanted[at], 1) != 0)
            return false;
    }
    return at == sizeof wanted - 1;
}

bool mr_media_match(const char *types, struct mr_slice type, struct mr_slice *out)
{
    for (const char *at = types; at != NULL; at = strchr(at, '|')) {
        size_t len;

        at += *at == '|';
        len = strcspn(at, "|");
        if (len == type.len && strncasecmp(at, type.data, len) == 0) {
            *out = (struct mr_slice){at, len};
            return true;
        }
    }
    return false;
}

mr_status mr_media_type(const struct mr_http_request *request, const char *types, struct mr_slice *out, const char **detail)
{
    struct mr_slice text;
    struct mr_media media;

    if (mr_http_header_count(request, "content-type") != 1 || !mr_http_header(request, "content-type", &text) ||
        !mr_media_parse(&media, text) || !mr_media_match(types, media.type, out))
        return MR_MEDIA_TYPE;
    if (mr_media_is_utf8(&media))
        return MR_OK;
    *detail = "The body has to be in UTF-8.";
    return MR_MEDIA_TYPE;
}

static bool read_coding(struct mr_slice name, bool takes_gzip, enum mr_coding *out)
{
    bool is_gzip = mr_http_same_word(name, "gzip") || mr_http_same_word(name, "x-gzip");

    *out = is_gzip ? MR_CODING_GZIP : MR_CODING_IDENTITY;
    return is_gzip ? takes_gzip : mr_http_same_word(name, "identity");
}

mr_status mr_media_coding(const struct mr_http_request *request, bool takes_gzip, enum mr_coding *out)
{
    struct mr_http_list list = {0};
    enum mr_coding coding = MR_CODING_IDENTITY;
    struct mr_slice name;
    unsigned count = 0;

    for (; mr_http_list_item(&list, request, "content-encoding", &name); count++)
        if (count > 0 || !read_coding(name, takes_gzip, &coding))
            return MR_CODING;
    if (list.broken)
        return MR_CODING;
    *out = coding;
    return MR_OK;
}
