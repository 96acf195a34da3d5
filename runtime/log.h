/*
 * log: one line an event on standard error, JSON for machines or pretty for people.
 *
 * The format and the least level are set once, before any thread starts; a line is one write, so that lines
 * of several threads never mix. Never hand it a password, a token, a hash or a whole request.
 */
#ifndef MR_RUNTIME_LOG_H
#define MR_RUNTIME_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/buffer.h"

enum mr_log_level { MR_LOG_DEBUG, MR_LOG_INFO, MR_LOG_WARN, MR_LOG_ERROR };

/* A named value of a line: text when `text.data` is set, else the integer. With the name "" it is left out. */
struct mr_log_field {
    const char *name;
    struct mr_slice text;
    int64_t integer;
};

#define mr_log_text(field, value)  ((struct mr_log_field){.name = (field), .text = mr_slice_of(value)})
#define mr_log_slice(field, value) ((struct mr_log_field){.name = (field), .text = (value)})
#define mr_log_int(field, value)   ((struct mr_log_field){.name = (field), .integer = (int64_t)(value)})

/* traceId and spanId of a traceparent (W3C Trace Context); left out when there is none. Borrowed. */
#define mr_log_trace(traceparent) mr_log_trace_id(traceparent), mr_log_span_id(traceparent)

/* The field traceId of a traceparent; left out when that is empty. Borrows it. */
struct mr_log_field mr_log_trace_id(struct mr_slice traceparent);

/* The field spanId of a traceparent; left out when that is empty. Borrows it. */
struct mr_log_field mr_log_span_id(struct mr_slice traceparent);

/* mr_log(MR_LOG_INFO, "listening", mr_log_int("port", 3000)); */
/* clang-format off */
#define mr_log(level, ...)                                                                            \
    do {                                                                                              \
        if (mr_log_wants(level))                                                                      \
            mr_log_line(level, MR_LOG_FIRST(__VA_ARGS__, 0), (const struct mr_log_field[]){MR_LOG_REST(__VA_ARGS__)}); \
    } while (0)
#define MR_LOG_FIRST(message, ...) message
#define MR_LOG_REST(message, ...)  __VA_ARGS__ __VA_OPT__(, ){.name = NULL}
/* clang-format on */

/*
 * As mr_log, for lines that may repeat with every message or statement while something is wrong: each place in the code writes at
 * most MR_LOG_BURST lines a second, and the next line counts the suppressed ones in `leftOut`.
 */
#define mr_log_bounded(level, message, ...)                                                             \
    do {                                                                                                \
        static struct mr_log_bound bound_;                                                              \
        int64_t left_out_;                                                                              \
        if (mr_log_wants(level) && mr_log_passes(&bound_, &left_out_))                                  \
            mr_log(level, message, __VA_ARGS__, mr_log_int(left_out_ > 0 ? "leftOut" : "", left_out_)); \
    } while (0)

enum { MR_LOG_BURST = 20 };

/* A zeroed struct has written nothing. Any thread. */
struct mr_log_bound {
    _Atomic int64_t second;
    _Atomic int64_t written; /* in that second */
    _Atomic int64_t left_out;
};

/* Whether one more line may be written now. If so, sets `left_out` to the number of lines suppressed since the last one. */
bool mr_log_passes(struct mr_log_bound *self, int64_t *left_out);

/* Sets level and format; call once, before other threads exist. */
void mr_log_setup(enum mr_log_level least, bool json);

/* Whether lines of this level are written; ask before gathering expensive fields. Any thread. */
bool mr_log_wants(enum mr_log_level level);

/* Writes one line; `fields` ends at a NULL name. Use the macro above. */
void mr_log_line(enum mr_log_level level, const char *message, const struct mr_log_field *fields);

/* Converts "debug", "info", "warn" or "error" to a level. False: another word, and `out` is untouched. */
bool mr_log_level_parse(const char *word, enum mr_log_level *out);

#endif
