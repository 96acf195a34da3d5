/*
 * grammar: which bytes and words HTTP allows where.
 *
 * Thread: any; nothing is allocated.
 */
#ifndef MR_HTTP_GRAMMAR_H
#define MR_HTTP_GRAMMAR_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/buffer.h"

enum mr_http_class {
    MR_HTTP_TOKEN = 1, /* tchar (RFC 9110, 5.6.2) */
    MR_HTTP_VALUE = 2, /* field-vchar, obs-text, SP and HTAB (RFC 9110, 5.5) */
    MR_HTTP_PATH = 4,  /* pchar and "/" (RFC 3986, 3.3); of pct-encoded only the percent sign is known here */
    MR_HTTP_QUERY = 8, /* pchar, "/" and "?" (RFC 3986, 3.4) */
    MR_HTTP_NAME = 16, /* reg-name without the comma, which would make a list of it (RFC 3986, 3.2.2) */
    MR_HTTP_DIGIT = 32,
    MR_HTTP_HEX = 64
};

extern const uint8_t mr_http_classes[256];

/* Whether the byte is of a class; classes may be added up. */
static inline bool mr_http_is(char c, enum mr_http_class wanted)
{
    return (mr_http_classes[(unsigned char)c] & wanted) != 0;
}

/* Length of the beginning of `text` whose bytes are all of the class. */
size_t mr_http_span(struct mr_slice text, enum mr_http_class wanted);

/* Whether every byte of `text` is of the class; true for an empty text. */
bool mr_http_all(struct mr_slice text, enum mr_http_class wanted);

/* As mr_http_all for MR_HTTP_VALUE, eight bytes at a time. */
bool mr_http_is_value(struct mr_slice text);

/*
 * Whether `text` is uri-host [":" port] (RFC 9110, 7.2), not empty, with a port of at most five digits. User
 * information and lists are none.
 */
bool mr_http_is_host(struct mr_slice text);

/* `text` without the blanks and tabs around it (OWS; RFC 9110, 5.6.3). */
struct mr_slice mr_http_trim(struct mr_slice text);

/* Whether `text` is `word` without regard to case. */
bool mr_http_same_word(struct mr_slice text, const char *word);

/* Value of a hexadecimal digit, -1 for any other byte. */
int mr_http_hex(char c);

#endif
