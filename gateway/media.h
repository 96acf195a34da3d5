/*
 * media: the media type, charset and content coding of a request's body (RFC 9110, 8.3 and 8.4).
 *
 * Thread: any; nothing is allocated, slices borrow the request's.
 */
#ifndef MR_GATEWAY_MEDIA_H
#define MR_GATEWAY_MEDIA_H

#include "http/head.h"

struct mr_media {
    struct mr_slice type;    /* "type/subtype", as sent */
    struct mr_slice charset; /* as sent, quotes and all; empty when none is named */
};

/* Reads a media type by its grammar (RFC 9110, 8.3.1); false for anything else, and for two charsets. */
bool mr_media_parse(struct mr_media *out, struct mr_slice text);

/* Whether text of that type is UTF-8: it names no other charset, in whatever case, quoted or not. */
bool mr_media_is_utf8(const struct mr_media *media);

/* The one of "one|of|these" that the type is, without regard to case; false when it is none. */
bool mr_media_match(const char *types, struct mr_slice type, struct mr_slice *out);

/*
 * The one of `types` that the Content-Type names. MR_MEDIA_TYPE when it is missing, malformed, another one or no UTF-8;
 * `detail` (static) is set when it is the charset, else left alone.
 */
mr_status mr_media_type(const struct mr_http_request *request, const char *types, struct mr_slice *out,
                        const char **detail) MR_WARN_UNUSED;

enum mr_coding { MR_CODING_IDENTITY, MR_CODING_GZIP };

/*
 * The coding of the body. MR_CODING: it is one that is not taken, or several, or the field is no list. `takes_gzip`: gzip
 * and its alias x-gzip (RFC 9110, 8.4.1.3) are taken, else only identity is.
 */
mr_status mr_media_coding(const struct mr_http_request *request, bool takes_gzip, enum mr_coding *out) MR_WARN_UNUSED;

#endif
