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

#define OF_EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Whether one of eight bytes may stand in no field value: below a blank, which a tab is, too, or DEL. */
static bool has_control(const char *at)
{
    uint64_t word;
    uint64_t del;

    memcpy(&word, at, sizeof word);
    del = word ^ OF_EACH(0x7f);
    return ((((word - OF_EACH(' ')) & ~word) | ((del - OF_EACH(1)) & ~del)) & OF_EACH(0x80)) != 0;
}

/* A token or a cookie is long, and each of its bytes is looked at. */
bool mr_http_is_value(struct mr_slice text)
{
    size_t clean = 0;

    while (text.len - clean >= sizeof(uint64_t) && !has_control(text.data + clean))
        clean += sizeof(uint64_t);
    return mr_http_all((struct mr_slice){text.data + clean, text.len - clean}, MR_HTTP_VALUE);
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
