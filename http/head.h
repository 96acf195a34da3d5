/*
 * head: parses the head of an HTTP/1.1 request by the grammar of RFC 9112, and accepts nothing else.
 *
 * It refuses what a proxy on the way could understand differently, and known fields that cannot be parsed, which never count as
 * absent. docs/http.md lists what is accepted and refused, with the section of the standard.
 *
 * Thread: any; nothing is allocated, slices borrow the bytes of the head.
 */
#ifndef MR_HTTP_HEAD_H
#define MR_HTTP_HEAD_H

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

/* Fields that are no lists: two of them are two requests to whoever reads the first and whoever reads the last (RFC 9110, 5.3). */
#define MR_HTTP_SINGLE(FIELD)                                       \
    FIELD(HOST, "host", "Host")                                     \
    FIELD(LENGTH, "content-length", "Content-Length")               \
    FIELD(TYPE, "content-type", "Content-Type")                     \
    FIELD(AUTHORIZATION, "authorization", "Authorization")          \
    FIELD(KEY, "idempotency-key", "Idempotency-Key")                \
    FIELD(CONTENT_RANGE, "content-range", "Content-Range")          \
    FIELD(IF_RANGE, "if-range", "If-Range")                         \
    FIELD(UNMODIFIED, "if-unmodified-since", "If-Unmodified-Since") \
    FIELD(RANGE, "range", "Range")                                  \
    FIELD(MODIFIED, "if-modified-since", "If-Modified-Since")       \
    FIELD(ORIGIN, "origin", "Origin")                               \
    FIELD(CODING, "transfer-encoding", "Transfer-Encoding")

/* What a head is refused for with MR_INVALID, beside fields that come twice: field or NULL, rule, and why in words. */
#define MR_HTTP_FAULTS(FAULT)                                                                                                  \
    FAULT(LINE_END, NULL, NULL, "A line of the head contains a control byte or does not end in CR LF (RFC 9112, 2.2).")        \
    FAULT(REQUEST_LINE, NULL, NULL, "The request line is not a method, a target and HTTP/1.1 or HTTP/1.0 (RFC 9112, 3).")      \
    FAULT(TARGET, NULL, NULL, "The request target contains a byte that has to be escaped, or has another form (RFC 3986, 3).") \
    FAULT(FIELD_LINE, NULL, NULL, "A line of the head is not a name, a colon and a value (RFC 9112, 5).")                      \
    FAULT(NO_HOST, "Host", "required", "is required")                                                                          \
    FAULT(HOST, "Host", "format", "must be one host, with or without a port (RFC 9110, 7.2)")                                  \
    FAULT(LENGTH, "Content-Length", "format", "must be one number of digits (RFC 9112, 6.3)")                                  \
    FAULT(LENGTH_BESIDE, "Content-Length", "conflict", "must not come with Transfer-Encoding (RFC 9112, 6.3)")

/* The place of a fault, which is its bit, too. */
enum mr_http_fault {
#define FAULT(name, field, code, message) MR_HTTP_FAULT_##name,
    MR_HTTP_FAULTS(FAULT)
#undef FAULT
#define FIELD(name, plain, shown) MR_HTTP_TWICE_##name,
        MR_HTTP_SINGLE(FIELD)
#undef FIELD
            MR_HTTP_FAULT_COUNT
};

struct mr_http_reason {
    const char *field; /* as standards write it; NULL: of none, and `message` is a sentence */
    const char *code;  /* NULL where `field` is */
    const char *message;
};

extern const struct mr_http_reason mr_http_reasons[MR_HTTP_FAULT_COUNT];

struct mr_http_header {
    struct mr_slice name;  /* a token */
    struct mr_slice value; /* without blanks around it; no control bytes but tabs */
};

struct mr_http_request {
    enum mr_verb verb; /* of HEAD: GET; MR_VERB_NONE for a method the map has no row for */
    bool is_head;
    bool is_options;
    unsigned minor;        /* of the version: 1, or 0 */
    struct mr_slice path;  /* as sent, not decoded */
    struct mr_slice query; /* without the question mark */
    struct mr_http_header headers[MR_HTTP_HEADERS_MAX];
    unsigned header_count;
    uint64_t
        absent; /* a set bit: no field has a name of so many bytes, modulo 64; most that are looked for are not there. 0: not known */
    uint64_t again;          /* a set bit: perhaps more than one has */
    uint64_t content_length; /* 0 when there is none */
    bool has_length;
    bool chunked;
    bool keep_alive;
    bool expects_continue;
    uint32_t faults; /* a set bit for each enum mr_http_fault */
};

/* Where looking for the end of a head has got to. A zeroed struct is the start. */
struct mr_http_scan {
    size_t at;         /* bytes looked at */
    size_t line;       /* where the line at hand begins */
    size_t first_line; /* length of the request line, once it is known */
};

enum mr_http_progress { MR_HTTP_MORE, MR_HTTP_COMPLETE, MR_HTTP_REFUSED };

/*
 * Looks for the end of the head in the `len` bytes received so far; resumes where the last call stopped.
 * COMPLETE: `*head_len` bytes are the head, its empty line included. REFUSED: `*fault` says why.
 */
enum mr_http_progress mr_http_scan(struct mr_http_scan *scan, const char *data, size_t len, size_t *head_len, mr_status *fault);

/*
 * Reads a complete head. Anything but MR_OK is a fault of framing: answer it and close. The verb, the path and the fields
 * in front of the fault are set then, so that the answer can name the methods of the path and go to the request's origin. With
 * MR_INVALID, `faults` says why.
 */
mr_status mr_http_parse(struct mr_http_request *out, const char *head, size_t len) MR_WARN_UNUSED;

/* ---- Field lines. Names are compared without regard to case; callers give them in lower case. ---- */

/*
 * Value of a field that may come once; false when it is missing. Those that may not come twice are refused by
 * mr_http_parse; of others the first is returned.
 */
bool mr_http_header_find(const struct mr_http_request *request, const char *name, struct mr_slice *value);

/* How many lines a field has. */
unsigned mr_http_header_count(const struct mr_http_request *request, const char *name);

/* The bit for a name of that length. */
static inline uint64_t mr_http_length_bit(size_t len)
{
    return UINT64_C(1) << len % 64;
}

/* As mr_http_header_find; inline, so that the compiler knows the length of the name. */
static inline bool mr_http_header(const struct mr_http_request *request, const char *name, struct mr_slice *value)
{
    return (request->absent & mr_http_length_bit(strlen(name))) == 0 && mr_http_header_find(request, name, value);
}

/* Takes the next item of a comma-separated list, without blanks around it; false at its end. Empty items are passed over. */
bool mr_http_list_next(struct mr_slice *list, struct mr_slice *item);

/* Whether the comma-separated list in `value` holds `word` (lower case), without regard to case. */
bool mr_http_list_has(struct mr_slice value, const char *word);

/*
 * Whether an item of Accept or a similar field has a weight of zero, "q=0" to "q=0.000", which means that it is not wanted (RFC
 * 9110, 12.4.2).
 */
bool mr_http_is_unwanted(struct mr_slice item);

/* Takes the next line of a field, from header `*next` on; false when there is no more. */
bool mr_http_line_next(const struct mr_http_request *request, const char *name, unsigned *next, struct mr_slice *line);

/*
 * Where reading a list-valued field has got to: its items, of all its lines in order (RFC 9110, 5.3 and 5.6.1). A zeroed
 * struct is the start.
 */
struct mr_http_list {
    unsigned next;        /* the header to look at next */
    struct mr_slice rest; /* of the line at hand */
    bool broken;          /* a quoted string does not end on its line: this is no list, and no more items come */
};

/*
 * Takes the next item of a list-valued field, without blanks around it; false at its end. Empty items are passed over; a
 * comma inside a quoted string does not split.
 */
bool mr_http_list_item(struct mr_http_list *list, const struct mr_http_request *request, const char *name,
                       struct mr_slice *item);

/* Whether the list of that name holds `word`, on whichever of its lines. */
bool mr_http_header_has(const struct mr_http_request *request, const char *name, const char *word);

#endif
