/*
 * parts: the part of an upload that has arrived and is not sent yet, and counts of the rest.
 *
 * Thread: the gateway's. Nothing here knows of exchanges or actors.
 */
#ifndef MR_GATEWAY_PARTS_H
#define MR_GATEWAY_PARTS_H

#include "gateway/inflate.h"
#include "gateway/request.h"
#include "proto/envelope.h"

struct parts {
    struct mr_principal caller;
    struct mr_request head;     /* the fields that the head had; the values of the others are not set */
    struct mr_slice type;       /* one of the op's media types; static */
    int64_t sent;               /* that an actor has stored */
    int64_t lines;              /* in those, and in the present one once it is counted */
    bool is_in_line;            /* the last character was no line break */
    bool is_wide;               /* the text is UTF-16; parts have an even length, so that none ends within two bytes */
    bool low_byte;              /* then: which of the two is the lower one */
    bool ended;                 /* no more content comes */
    bool is_kept;               /* actors may hold some of it, */
    bool is_handed_over;        /* and may have made something of it: the last message was sent, and was not refused */
    uint8_t digest[32];         /* of those too: tells whether the content is the same as another time */
    struct mr_buf part;         /* the present one: MR_UPLOAD_PART bytes at most */
    struct mr_inflate *inflate; /* what decodes the content; NULL: it is taken as it comes. Owned */
};

/* NULL: no memory. */
struct parts *parts_new(void);

/* Frees it and sets the caller's pointer to NULL. Accepts NULL. */
void parts_destroy(struct parts **self);

/*
 * Takes from the front of `content` until the present part is full. Until then the decoder keeps nothing back, so before the next
 * part takes new content, this has to be called with none. MR_INVALID: the content is not of its coding; MR_TOO_LARGE: it decodes
 * to more than its bound; MR_NO_MEMORY.
 */
mr_status parts_fill(struct parts *self, struct mr_slice *content) MR_WARN_UNUSED;

/* Whether the content may end here. */
bool parts_may_end(const struct parts *self);

/* Whether the present part is full: it has to be sent, and parts_next called, before more is taken. */
bool parts_is_full(const struct parts *self);

/* Takes the present part into the count of lines and the digest. Once, when it is complete. */
void parts_note(struct parts *self);

/* The present part is stored; the next begins. */
void parts_next(struct parts *self);

#endif
