/*
 * body: finds the content and the end of a request's body (RFC 9112, 6 and 7).
 *
 * By length or by chunks, the caller sees the same: pieces of content, in place, and an end. A chunked body is parsed strictly:
 * the bytes around the content are bounded, and a byte out of place refuses the message.
 *
 * Thread: any; nothing is allocated.
 */
#ifndef MR_HTTP_BODY_H
#define MR_HTTP_BODY_H

#include "http/head.h"

enum {
    MR_HTTP_CHUNK_LINE = 256,        /* bytes of a chunk's size line, extensions included */
    MR_HTTP_CHUNK_SPARE = 16 * 1024, /* bytes of extensions and trailers in a body */
    MR_HTTP_CHUNK_DIGITS = 8         /* hexadecimal digits of a size that are not zeros in front */
};

enum mr_http_body_state {
    MR_HTTP_BODY_LENGTH, /* content by Content-Length */
    MR_HTTP_CHUNK_SIZE,  /* the digits of a chunk's size */
    MR_HTTP_CHUNK_EXT,   /* what may follow them on the line */
    MR_HTTP_CHUNK_SIZE_LF,
    MR_HTTP_CHUNK_DATA,
    MR_HTTP_CHUNK_CR, /* behind the data */
    MR_HTTP_CHUNK_LF,
    MR_HTTP_TRAILER_NAME, /* at the start of a trailer line, or in its name */
    MR_HTTP_TRAILER_VALUE,
    MR_HTTP_TRAILER_LF,
    MR_HTTP_LAST_LF, /* of the empty line at the end */
    MR_HTTP_BODY_END
};

struct mr_http_body {
    enum mr_http_body_state state;
    uint64_t left;   /* bytes of content still to come: of the body, or of the chunk at hand */
    unsigned digits; /* of the size being read */
    unsigned line;   /* bytes of the line being read */
    unsigned spare;  /* bytes of extensions and trailers so far */
};

/* Begins to read the body whose head is `request`, which is borrowed for the call. */
void mr_http_body_init(struct mr_http_body *self, const struct mr_http_request *request);

/*
 * Reads the next `len` bytes. Sets `*framing` to how many of them are framing and done with, and `*piece` to the content after
 * those, in place; it is empty if none has arrived. MORE: consume the piece (mr_http_body_took), or wait for more bytes.
 * COMPLETE: the body ended with the framing. REFUSED: it is malformed.
 */
enum mr_http_progress mr_http_body_next(struct mr_http_body *self, const char *data, size_t len, size_t *framing,
                                        struct mr_slice *piece) MR_WARN_UNUSED;

/* Says that `len` bytes of the last piece were consumed. */
void mr_http_body_took(struct mr_http_body *self, size_t len);

#endif
