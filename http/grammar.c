#include "http/grammar.h"

#include <arpa/inet.h>
#include <strings.h>

#define TOKEN MR_HTTP_TOKEN
#define VALUE MR_HTTP_VALUE
#define PATH  (MR_HTTP_PATH | MR_HTTP_QUERY)
#define QUERY MR_HTTP_QUERY
#define NAME  MR_HTTP_NAME

/* Everywhere: the unreserved characters and most of the sub-delims (RFC 3986, 2.2 and 2.3), which are tchar as well. */
#define COMMON (TOKEN | VALUE | PATH | NAME)

const uint8_t mr_http_classes[256] = {
    ['\t'] = VALUE,
    [' '] = VALUE,
    ['!'] = COMMON,
    ['"'] = VALUE,
    ['#'] = TOKEN | VALUE,
    ['$'] = COMMON,
    ['%'] = COMMON,
    ['&'] = COMMON,
    ['\''] = COMMON,
    ['('] = VALUE | PATH | NAME,
    [')'] = VALUE | PATH | NAME,
    ['*'] = COMMON,
    ['+'] = COMMON,
    [','] = VALUE | PATH,
    ['-'] = COMMON,
    ['.'] = COMMON,
    ['/'] = VALUE | PATH,
    ['0' ... '9'] = COMMON | MR_HTTP_DIGIT | MR_HTTP_HEX,
    [':'] = VALUE | PATH,
    [';'] = VALUE | PATH | NAME,
    ['<'] = VALUE,
    ['='] = VALUE | PATH | NAME,
    ['>'] = VALUE,
    ['?'] = VALUE | QUERY,
    ['@'] = VALUE | PATH,
    ['A' ... 'F'] = COMMON | MR_HTTP_HEX,
    ['G' ... 'Z'] = COMMON,
    ['['] = VALUE,
    ['\\'] = VALUE,
    [']'] = VALUE,
    ['^'] = TOKEN | VALUE,
    ['_'] = COMMON,
    ['`'] = TOKEN | VALUE,
    ['a' ... 'f'] = COMMON | MR_HTTP_HEX,
    ['g' ... 'z'] = COMMON,
    ['{'] = VALUE,
    ['|'] = TOKEN | VALUE,
    ['}'] = VALUE,
    ['~'] = COMMON,
    [0x80 ... 0xff] = VALUE,
};

enum { BLOCK = 16 };

/* Whether each byte of a block may stand in a field value: none is below a blank but a tab, none is DEL. Made for vector registers. */
static bool block_is_value(const char *at)
{
    unsigned char bad = 0;

    for (size_t i = 0; i < BLOCK; i++) {
        unsigned char c = (unsigned char)at[i];

        bad |= (unsigned char)((c < ' ' && c != '\t') || c == 0x7f);
    }
    return bad == 0;
}

/* A token or a cookie is long, and each of its bytes is looked at; some of the last block's for the second time. */
bool mr_http_is_value(struct mr_slice text)
{
    if (text.len < BLOCK)
        return mr_http_all(text, MR_HTTP_VALUE);
    for (size_t at = 0; at < text.len - BLOCK; at += BLOCK)
        if (!block_is_value(text.data + at))
            return false;
    return block_is_value(text.data + text.len - BLOCK);
}

size_t mr_http_span(struct mr_slice text, enum mr_http_class wanted)
{
    size_t len = 0;

    while (len < text.len && mr_http_is(text.data[len], wanted))
        len++;
    return len;
}

bool mr_http_all(struct mr_slice text, enum mr_http_class wanted)
{
    return mr_http_span(text, wanted) == text.len;
}

/* Nothing, or a colon and at most five digits; RFC 3986, 3.2.3 lets the digits be missing. */
static bool is_port(struct mr_slice text)
{
    return text.len == 0 ||
           (text.data[0] == ':' && text.len <= 6 && mr_http_all((struct mr_slice){text.data + 1, text.len - 1}, MR_HTTP_DIGIT));
}

static bool is_ipv6(struct mr_slice text)
{
    char copy[INET6_ADDRSTRLEN] = {0};
    struct in6_addr address;

    if (text.len >= sizeof copy || memchr(text.data, '\0', text.len) != NULL)
        return false;
    memcpy(copy, text.data, text.len);
    return inet_pton(AF_INET6, copy, &address) == 1;
}

bool mr_http_is_host(struct mr_slice text)
{
    size_t len;

    if (text.len > 0 && text.data[0] == '[') {
        const char *end = memchr(text.data, ']', text.len);

        if (end == NULL)
            return false;
        len = (size_t)(end - text.data) + 1;
        return is_ipv6((struct mr_slice){text.data + 1, len - 2}) && is_port((struct mr_slice){end + 1, text.len - len});
    }
    len = mr_http_span(text, MR_HTTP_NAME);
    return len > 0 && is_port((struct mr_slice){text.data + len, text.len - len});
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct mr_slice mr_http_trim(struct mr_slice text)
{
    while (text.len > 0 && is_blank(text.data[0]))
        text = (struct mr_slice){text.data + 1, text.len - 1};
    while (text.len > 0 && is_blank(text.data[text.len - 1]))
        text.len--;
    return text;
}

bool mr_http_same_word(struct mr_slice text, const char *word)
{
    return text.len == strlen(word) && strncasecmp(text.data, word, text.len) == 0;
}

int mr_http_hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}
