/*
 * http: the head of an HTTP/1.1 request (RFC 9112), read strictly.
 *
 * What other servers on the way could understand in another way is refused: bare LF or CR, folded lines, a
 * length that is no plain number or stands twice, a length together with a transfer encoding, no Host or two.
 * http_parser knows methods, targets and header names; the framing rules are ours.
 *
 * Thread: any; nothing is allocated, slices borrow the bytes of the head.
 */
#ifndef MR_GATEWAY_HTTP_H
#define MR_GATEWAY_HTTP_H

#include <stdint.h>

#include "proto/buffer.h"
#include "proto/ops.h"
#include "proto/status.h"

enum {
    MR_HTTP_TARGET_MAX = 8 * 1024,
    MR_HTTP_HEADERS_SIZE = 16 * 1024, /* all header lines together */
    MR_HTTP_HEADERS_MAX = 100,
    MR_HTTP_LINE_SLACK = 64, /* method, version and blanks around a target */
    MR_HTTP_HEAD_MAX = MR_HTTP_TARGET_MAX + MR_HTTP_LINE_SLACK + MR_HTTP_HEADERS_SIZE
};

struct mr_http_header {
    struct mr_slice name;
    struct mr_slice value;
};

struct mr_http_request {
    enum mr_verb verb; /* of HEAD: GET; MR_VERB_NONE for a method the map has no row for */
    bool is_head;
    bool is_options;
    struct mr_slice path;  /* as sent, not decoded */
    struct mr_slice query; /* without the question mark */
    struct mr_http_header headers[MR_HTTP_HEADERS_MAX];
    unsigned header_count;
    uint64_t content_length;
    bool keep_alive;
    bool expects_continue;
};

/* Where looking for the end of a head has got to. A zeroed struct is the start. */
struct mr_http_scan {
    size_t at;         /* bytes looked at */
    size_t line;       /* where the line at hand begins */
    size_t first_line; /* length of the request line, once it is known */
};

enum mr_http_progress { MR_HTTP_MORE, MR_HTTP_COMPLETE, MR_HTTP_REFUSED };

/*
 * Looks for the end of the head in the `len` bytes received so far; goes on where the last call stopped.
 * COMPLETE: `*head_len` bytes are the head, its empty line included. REFUSED: `*fault` says why.
 */
enum mr_http_progress mr_http_scan(struct mr_http_scan *scan, const char *data, size_t len, size_t *head_len, mr_status *fault);

/*
 * Reads a complete head. Anything but MR_OK is a framing fault: answer it and close. `verb` and `path` are set
 * as far as they were read, so that the answer to an unknown method can list the known ones.
 */
mr_status mr_http_parse(struct mr_http_request *out, const char *head, size_t len) MR_WARN_UNUSED;

/*
 * Value of a header, name in lower case, without blanks around it (RFC 9112, 5.1); false when it is missing. The first when
 * there are several.
 */
bool mr_http_header(const struct mr_http_request *request, const char *name, struct mr_slice *value);

/* How often a header is there, name in lower case. */
unsigned mr_http_header_count(const struct mr_http_request *request, const char *name);

/* Takes the next name and value of a query, both as sent; false at its end. */
bool mr_http_query_next(struct mr_slice *query, struct mr_slice *name, struct mr_slice *value);

/* Takes the next item of a comma-separated list, without blanks around it; false at its end. Empty items are passed over. */
bool mr_http_list_next(struct mr_slice *list, struct mr_slice *item);

/* Whether the comma-separated list in `value` holds `word` (lower case), without regard to case. */
bool mr_http_list_has(struct mr_slice value, const char *word);

/*
 * Where reading a list-valued field has got to: its items, of all its lines in order (RFC 9110, 5.3 and 5.6.1). A zeroed
 * struct is the start.
 */
struct mr_http_list {
    unsigned next;        /* the header to look at next */
    struct mr_slice rest; /* of the line at hand */
    bool broken;          /* a quoted string does not end on its line: this is no list, and no more items come */
};

/* Takes the next line of a field, name in lower case, from header `*next` on; without blanks around it, never NULL. */
bool mr_http_line_next(const struct mr_http_request *request, const char *name, unsigned *next, struct mr_slice *line);

/*
 * Takes the next item of a list-valued field, name in lower case, without blanks around it; false at its end. Empty items
 * are passed over; a comma inside a quoted string does not split.
 */
bool mr_http_list_item(struct mr_http_list *list, const struct mr_http_request *request, const char *name,
                       struct mr_slice *item);

/* Whether one of a field's items, on whatever line, is `word`; both in lower case, the items without regard to case. */
bool mr_http_has_item(const struct mr_http_request *request, const char *name, const char *word);

/* Appends `text` with %XX decoded (and + as blank when `form`). MR_INVALID for a broken escape and for %00. */
mr_status mr_http_decode(struct mr_buf *out, struct mr_slice text, bool form) MR_WARN_UNUSED;

#endif
