/*
 * etag: entity tags, ours and those that clients send (RFC 9110, 8.8.3).
 *
 * Thread: any; nothing is allocated.
 */
#ifndef MR_GATEWAY_ETAG_H
#define MR_GATEWAY_ETAG_H

#include "proto/buffer.h"

enum { MR_ETAG_TEXT = 35 };

struct mr_etag {
    bool weak;
    struct mr_slice opaque; /* with its quotes */
};

/* A strong tag for a body: a hash of its bytes, quoted and terminated. */
void mr_etag_make(char out[MR_ETAG_TEXT], struct mr_slice body);

/*
 * Takes the next tag of a list (RFC 9110, 5.6.1: empty items are ignored). False at its end, where `list` is empty, and at
 * anything that is not an entity tag (a bare word, a blank, an open quote), where `list` begins with it.
 */
bool mr_etag_next(struct mr_slice *list, struct mr_etag *tag);

/* Whether one of the list's tags is `etag`, a strong one of ours; `weakly`: also when it came with W/ (RFC 9110, 8.8.3.2). */
bool mr_etag_listed(struct mr_slice list, const char *etag, bool weakly);

#endif
