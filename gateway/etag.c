#include "gateway/etag.h"

#include <sodium.h>

void mr_etag_make(char out[MR_ETAG_TEXT], struct mr_slice body)
{
    unsigned char hash[16];

    crypto_generichash(hash, sizeof hash, (const unsigned char *)body.data, body.len, NULL, 0);
    out[0] = '"';
    sodium_bin2hex(out + 1, MR_ETAG_TEXT - 1, hash, sizeof hash);
    memcpy(out + 1 + 2 * sizeof hash, "\"", 2);
}

static void skip(struct mr_slice *text, size_t count)
{
    *text = (struct mr_slice){text->data + count, text->len - count};
}

static void skip_blanks(struct mr_slice *text)
{
    while (text->len > 0 && (*text->data == ' ' || *text->data == '\t'))
        skip(text, 1);
}

/* etagc: anything visible but a quote, and bytes above ASCII. A backslash is only itself. */
static bool is_tag_char(char c)
{
    return c != '"' && (unsigned char)c > ' ' && c != 0x7f;
}

/* The bytes of the tag at the front, 0 when there is none. */
static size_t tag_length(struct mr_slice text, bool *weak)
{
    size_t i = text.len >= 2 && memcmp(text.data, "W/", 2) == 0 ? 2 : 0;

    *weak = i > 0;
    if (i == text.len || text.data[i++] != '"')
        return 0;
    while (i < text.len && is_tag_char(text.data[i]))
        i++;
    return i < text.len && text.data[i] == '"' ? i + 1 : 0;
}

bool mr_etag_next(struct mr_slice *list, struct mr_etag *tag)
{
    struct mr_slice rest = *list;
    size_t len;

    while (rest.len > 0 && (*rest.data == ',' || *rest.data == ' ' || *rest.data == '\t'))
        skip(&rest, 1);
    *list = rest;
    len = tag_length(rest, &tag->weak);
    if (len == 0)
        return false;
    tag->opaque = (struct mr_slice){rest.data + (tag->weak ? 2 : 0), len - (tag->weak ? 2 : 0)};
    skip(&rest, len);
    skip_blanks(&rest);
    if (rest.len > 0 && *rest.data != ',')
        return false; /* two tags without a comma between them */
    *list = rest;
    return true;
}

bool mr_etag_listed(struct mr_slice list, const char *etag, bool weakly)
{
    struct mr_etag tag;

    while (mr_etag_next(&list, &tag))
        if ((weakly || !tag.weak) && mr_slice_is(tag.opaque, etag))
            return true;
    return false;
}
