/*
 * page: the files of the page at /apidoc, compressed, in the binary.
 *
 * They come from openapi/page/ and from the npm package that its lock file names; cmake/page.cmake writes the table.
 */
#ifndef MR_OPENAPI_PAGE_H
#define MR_OPENAPI_PAGE_H

#include "proto/buffer.h"

struct mr_page_file {
    const char *name;     /* as in /apidoc/NAME; empty for the page itself */
    const char *type;     /* media type */
    struct mr_slice gzip; /* its bytes (RFC 1952), one member */
};

/* Ended by a NULL name; empty when the page was left out of the build (MR_DOCS_PAGE). */
extern const struct mr_page_file mr_page_files[];

#endif
