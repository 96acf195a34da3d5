/*
 * span: one piece of work of a trace, from its beginning to its end.
 *
 * A span is made only for a trace that is recorded; whoever makes one ends it (mr_span_end), which gives it away. Where there is
 * no memory it is NULL, and every function here accepts that: no work fails because a span is missing. Names and attributes follow
 * OpenTelemetry's semantic conventions.
 *
 * Thread: a span belongs to one at a time.
 */
#ifndef MR_RUNTIME_SPAN_H
#define MR_RUNTIME_SPAN_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/buffer.h"

enum { MR_TRACEPARENT = 56 }; /* with its terminator */

enum {
    MR_SPAN_ATTRIBUTES = 16,
    MR_SPAN_TEXT = 1024, /* bytes of all texts of a span; what is longer is cut */
    MR_SPAN_VALUE = 256, /* bytes of one value */
    MR_SPAN_LINKS = 128
};

/* Values of OTLP. */
enum mr_span_kind { MR_SPAN_INTERNAL = 1, MR_SPAN_SERVER = 2, MR_SPAN_CLIENT = 3, MR_SPAN_PRODUCER = 4, MR_SPAN_CONSUMER = 5 };

/* Where a piece of work stands among others (W3C Trace Context). */
struct mr_context {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    bool sampled;
};

struct mr_attribute {
    const char *key;      /* a literal */
    struct mr_slice text; /* in the span's own room; data NULL: `integer` counts */
    int64_t integer;
};

struct mr_span {
    struct mr_context context;
    uint8_t parent_id[8];
    bool has_parent;
    bool parent_is_remote;
    enum mr_span_kind kind;
    int64_t start_us; /* monotonic */
    int64_t end_us;
    bool failed;
    struct mr_slice name;
    struct mr_slice trace_state; /* as the caller sent it */
    struct mr_attribute attributes[MR_SPAN_ATTRIBUTES];
    unsigned attribute_count;
    struct mr_context *links; /* owned */
    unsigned link_count;
    unsigned links_dropped;
    size_t used;
    char text[MR_SPAN_TEXT];
};

/* Parses a traceparent of version 00. False: it is none, and `out` is untouched. */
bool mr_context_read(struct mr_context *out, struct mr_slice traceparent);

/* Writes a traceparent, terminated. */
void mr_context_write(char out[MR_TRACEPARENT], const struct mr_context *context);

/*
 * Begins a span with the id of `context`, as a child of `parent`; NULL: as a root. `start_us`: monotonic, microseconds. The
 * caller ends or destroys it. NULL: no memory, which is counted.
 */
struct mr_span *mr_span_new(enum mr_span_kind kind, const struct mr_context *context, const struct mr_context *parent,
                            int64_t start_us);

/* As mr_span_new, with a new id in the parent's trace. */
struct mr_span *mr_span_below(enum mr_span_kind kind, const struct mr_context *parent, int64_t start_us);

/* Sets the name as printf would print it, cut to the span's room. Accepts NULL. */
void mr_span_name(struct mr_span *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Sets an attribute. `key` has to be a literal; the text is copied and cut to MR_SPAN_VALUE bytes. An attribute without room is
 * left out. Accepts NULL.
 */
void mr_span_text(struct mr_span *self, const char *key, struct mr_slice value);

/* Sets an attribute to an integer. As mr_span_text. */
void mr_span_int(struct mr_span *self, const char *key, int64_t value);

/* Keeps the caller's tracestate (W3C Trace Context, 3.3), unless it is longer than 512 bytes. */
void mr_span_state(struct mr_span *self, struct mr_slice trace_state);

/* Makes room for `count` links, at most MR_SPAN_LINKS; mr_span_link then adds them. */
void mr_span_expect_links(struct mr_span *self, unsigned count);

/* Adds a link to a copy of `to`, unless mr_span_expect_links made no room for it. */
void mr_span_link(struct mr_span *self, const struct mr_context *to);

/* Marks the span as failed, with `type` as error.type. */
void mr_span_fail(struct mr_span *self, struct mr_slice type);

/* Ends the span at `end_us` (monotonic) and hands it to the tracer, which frees it. Accepts NULL. */
void mr_span_end(struct mr_span *self, int64_t end_us);

/* Frees a span that is not to be recorded, and sets the caller's pointer to NULL. Accepts NULL. */
void mr_span_destroy(struct mr_span **self);

#endif
